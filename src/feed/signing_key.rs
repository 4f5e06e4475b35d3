//! The secret with which a member signs its feeds, and the secretariat the roster.
//!
//! It never shows itself: `Debug` prints the public key, there is no `Display`, no `Clone` and no comparison, and memory that
//! held the seed is wiped. The invariant: the key pair is the one of the seed.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::domain::{Entropy, EntropyError, FeedKey};

const SEED_BYTES: usize = 32;
/// The decoder wants room for whole groups of three bytes.
const SEED_BUFFER_BYTES: usize = 33;
/// Base64 of the seed and a newline, so that the text is never moved while it grows.
const SEED_TEXT_BYTES: usize = 45;

/// An Ed25519 private key (RFC 8032).
pub struct SigningKey {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    pair: Ed25519KeyPair,
    public: FeedKey,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::Entropy`] where there are no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(seed.as_mut_slice()).map_err(KeyError::Entropy)?;
        Self::from_seed(seed)
    }

    /// The key whose seed stands in a file as base64; blanks around it do not count.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] for anything but 32 bytes in standard base64.
    pub fn from_seed_text(text: &str) -> Result<Self, KeyError> {
        let mut buffer = Zeroizing::new([0; SEED_BUFFER_BYTES]);
        let length = BASE64.decode_slice(text.trim(), buffer.as_mut_slice()).map_err(|_| KeyError::Malformed)?;
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        if length != SEED_BYTES {
            return Err(KeyError::Malformed);
        }
        seed.copy_from_slice(&buffer[..SEED_BYTES]);
        Self::from_seed(seed)
    }

    /// The content of the key's file: the seed in base64 and a newline.
    #[must_use]
    pub fn to_seed_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SEED_TEXT_BYTES));
        BASE64.encode_string(self.seed.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// The key by which others verify.
    #[must_use]
    pub const fn public(&self) -> FeedKey {
        self.public
    }

    /// The signature of `message`. Deterministic, as RFC 8032 has it.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn from_seed(seed: Zeroizing<[u8; SEED_BYTES]>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyError::Malformed)?;
        let public = pair.public_key().as_ref().try_into().map(FeedKey).map_err(|_| KeyError::Malformed)?;
        Ok(Self { seed, pair, public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(redacted, of {:?})", self.public)
    }
}

/// Why there is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The environment gave no randomness.
    #[error("no signing key could be made")]
    Entropy(#[source] EntropyError),
    /// The file holds something else.
    #[error("a signing key is 32 bytes in standard base64")]
    Malformed,
}

impl KeyError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Entropy(_) => "SIGNING_KEY_ENTROPY",
            Self::Malformed => "SIGNING_KEY_MALFORMED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{FixedEntropy, signing_key};

    #[test]
    fn rfc_8032_section_7_1_test_2() {
        let seed = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";
        let key = SigningKey::from_seed_text(seed).expect("a seed");
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(crate::feed::Hash(key.public().0).to_string(), public);
        let signature = hex::encode(key.sign(&[0x72]));
        let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                        085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(signature, expected);
    }

    #[test]
    fn the_file_reads_back_and_shows_nothing() {
        let key = signing_key(7);
        let text = key.to_seed_text();
        assert!(text.ends_with('\n') && text.len() == SEED_TEXT_BYTES);
        assert_eq!(SigningKey::from_seed_text(&text).expect("a seed").public(), key.public());
        assert!(!format!("{key:?}").contains(text.trim()));
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        for bad in ["", "AAAA", "not base64 at all", &"A".repeat(44), &"A".repeat(4_000)] {
            assert_eq!(SigningKey::from_seed_text(bad).expect_err("refused"), KeyError::Malformed, "{bad}");
        }
        let entropy = FixedEntropy(None);
        assert_eq!(SigningKey::generate(&entropy).expect_err("none").code(), "SIGNING_KEY_ENTROPY");
    }
}
