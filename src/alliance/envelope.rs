//! Secrets for one member's eyes (HPKE, RFC 9180, base mode): X25519, HKDF-SHA256, AES-256-GCM.
//!
//! It hides, and does not say who sealed: what comes out is to be compared with what the signed roster says of it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::AllianceError;
use super::ed25519::{secret_bytes, secret_text};
use crate::domain::FieldError;

const KEY_BYTES: usize = 32;

/// The public X25519 key for which secrets are sealed, in text as standard base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvelopeKey(pub [u8; KEY_BYTES]);

impl TryFrom<String> for EnvelopeKey {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let bytes = BASE64.decode(&text).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            FieldError::new("ENVELOPE_KEY_INVALID", "envelope_key", "give the 32 bytes of an X25519 key in base64")
        })
    }
}

impl From<EnvelopeKey> for String {
    fn from(key: EnvelopeKey) -> Self {
        BASE64.encode(key.0)
    }
}

impl fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvelopeKey({})", BASE64.encode(self.0))
    }
}

/// What a sealed secret consists of.
pub(super) struct Sealed {
    pub(super) encapsulated: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
}

/// A new pair: the public key, and the private one as the text of its file.
pub(super) fn generate() -> Result<(EnvelopeKey, Zeroizing<String>), AllianceError> {
    let (public, private) = SUITE.generate_key_pair().map_err(AllianceError::Envelope)?;
    let public = public.0.try_into().map_err(|_| AllianceError::EnvelopeKey)?;
    Ok((EnvelopeKey(public), secret_text(private.secret_bytes())))
}

/// Seals `secret` for `key`; `info` says what it is, and must be the same when it is opened.
pub(super) fn seal(key: &EnvelopeKey, info: &[u8], secret: &[u8]) -> Result<Sealed, AllianceError> {
    let key = HpkePublicKey(key.0.to_vec());
    let (encapsulated, ciphertext) = SUITE.seal(info, &[], secret, &key).map_err(AllianceError::Envelope)?;
    Ok(Sealed { encapsulated: encapsulated.0, ciphertext })
}

/// Opens what was sealed for the private key in `text`.
pub(super) fn open(text: &str, info: &[u8], sealed: Sealed) -> Result<Zeroizing<Vec<u8>>, AllianceError> {
    let mut bytes = secret_bytes(text).filter(|b| b.len() == KEY_BYTES).ok_or(AllianceError::EnvelopeKey)?;
    // Moved, not copied: the library wipes it.
    let key = HpkePrivateKey::from(std::mem::take(&mut *bytes));
    let opened = SUITE.open(&EncapsulatedSecret(sealed.encapsulated), info, &[], &sealed.ciphertext, &key);
    opened.map(Zeroizing::new).map_err(AllianceError::Envelope)
}
