use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::domain::{Entropy, Pseudonym};

use super::{CanonicalIdentifier, PseudonymError, PseudonymScheme};

const KEY_BYTES: usize = 32;
/// Bytes of an HMAC that a roster publishes so that a node recognises the right secret: enough that no wrong one passes.
const CHECK_BYTES: usize = 8;
/// Separates check values from pseudonyms: the published bytes are a function of the key alone.
const CHECK_LABEL: &[u8] = b"countermark-key-check";

/// The secret of scheme `hmac-sha256`: 32 bytes that all members hold. Wiped when dropped; `Debug` shows nothing of it.
pub struct HmacKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    /// The expanded key, which the library wipes when it is dropped. To expand it costs as much as a pseudonym.
    schedule: hmac::Key,
}

impl HmacKey {
    /// A key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let schedule = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        Self { bytes, schedule }
    }

    /// A new key.
    ///
    /// # Errors
    /// [`PseudonymError::Entropy`] where the operating system gives no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, PseudonymError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(bytes.as_mut_slice()).map_err(PseudonymError::Entropy)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Reads the text of a key file: standard base64 (RFC 4648 section 4) of 32 bytes, white space around it ignored.
    ///
    /// # Errors
    /// [`PseudonymError::KeyInvalid`] for anything else. The decoder's own error names a byte of the text, so it is not
    /// passed on.
    pub fn from_text(text: &str) -> Result<Self, PseudonymError> {
        let decoded = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| PseudonymError::KeyInvalid)?);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if decoded.len() != KEY_BYTES {
            return Err(PseudonymError::KeyInvalid);
        }
        bytes.copy_from_slice(&decoded);
        Ok(Self::from_bytes(bytes))
    }

    /// The text of a key file, with a line feed at its end. Whoever holds it can enumerate every phone number.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // The capacity is that of the whole text, so that no part of it is left behind by a growing buffer.
        let mut text = Zeroizing::new(String::with_capacity(64));
        BASE64.encode_string(self.bytes.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// What the roster says of this key in `check`: 8 bytes as 16 lower-case hexadecimal digits.
    #[must_use]
    pub fn check_value(&self) -> String {
        let tag = hmac::sign(&self.schedule, CHECK_LABEL);
        hex::encode(&tag.as_ref()[..CHECK_BYTES])
    }

    /// Whether `check` of the roster means this key. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, check: &str) -> bool {
        self.check_value().as_bytes().ct_eq(check.to_ascii_lowercase().as_bytes()).into()
    }

    /// The pseudonym of one identifier.
    ///
    /// HMAC-SHA-256 (RFC 2104) over [`CanonicalIdentifier::input`].
    fn pseudonym(schedule: &hmac::Key, identifier: &CanonicalIdentifier) -> Pseudonym {
        let mut context = hmac::Context::with_key(schedule);
        identifier.input().into_iter().for_each(|part| context.update(part));
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Pseudonym(bytes)
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(redacted)")
    }
}

#[async_trait]
impl PseudonymScheme for HmacKey {
    async fn pseudonyms(&self, identifiers: &[CanonicalIdentifier]) -> Result<Vec<Pseudonym>, PseudonymError> {
        Ok(identifiers.iter().map(|identifier| Self::pseudonym(&self.schedule, identifier)).collect())
    }
}
