//! The feed key as far as a join request needs it: made, and proven to be held.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::AllianceError;
use crate::domain::{Entropy, FeedKey};

/// A new seed (RFC 8032, 5.1.5) as the text of its file: 32 bytes in base64, and a line feed.
pub(super) fn generate(entropy: &dyn Entropy) -> Result<Zeroizing<String>, AllianceError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(seed.as_mut_slice())?;
    Ok(secret_text(seed.as_slice()))
}

/// The public key of the seed in `text`.
pub(super) fn public(text: &str) -> Result<FeedKey, AllianceError> {
    let pair = pair(text)?;
    let bytes = pair.public_key().as_ref().try_into().map_err(|_| AllianceError::FeedKey)?;
    Ok(FeedKey(bytes))
}

/// Signs `message` with the seed in `text`.
pub(super) fn sign(text: &str, message: &[u8]) -> Result<Vec<u8>, AllianceError> {
    Ok(pair(text)?.sign(message).as_ref().to_vec())
}

/// Whether `signature` is that of `message` by `key`.
pub(super) fn verify(key: &FeedKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.0).verify(message, signature).is_ok()
}

fn pair(text: &str) -> Result<Ed25519KeyPair, AllianceError> {
    let seed = secret_bytes(text).ok_or(AllianceError::FeedKey)?;
    Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| AllianceError::FeedKey)
}

/// How a secret stands in its file: base64 and a line feed.
pub(super) fn secret_text(bytes: &[u8]) -> Zeroizing<String> {
    // The capacity is that of the whole text, so that no part is left behind where it grows.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2 + 8));
    BASE64.encode_string(bytes, &mut text);
    text.push('\n');
    text
}

/// The secret in the text of its file; blanks around it do not count.
pub(super) fn secret_bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    BASE64.decode(text.trim()).ok().map(Zeroizing::new)
}
