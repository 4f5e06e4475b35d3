use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::domain::{Audience, Entropy, EntropyError, FieldError, SubmissionId, SubmissionTag};
use crate::feed::Hash;

const BYTES: usize = 32;
const BY_ID: &[u8] = b"countermark/submission-id/v1";
const BY_CONTENT: &[u8] = b"countermark/submission-content/v1";

/// 32 random bytes that never leave the node. With them a submission's id becomes the tag that stands in the entry, so that
/// what a submitter wrote into the id can be read by nobody, and guessed only by who has this secret too.
pub struct LocalSecret {
    bytes: Zeroizing<[u8; BYTES]>,
    /// The expanded key, which the library wipes when it is dropped.
    key: hmac::Key,
}

impl LocalSecret {
    fn of(bytes: Zeroizing<[u8; BYTES]>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        Self { bytes, key }
    }

    /// A new secret.
    ///
    /// # Errors
    /// Where there are no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self::of(bytes))
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn from_text(text: &str) -> Result<Self, FieldError> {
        let invalid = || {
            FieldError::new(
                "LOCAL_SECRET_INVALID",
                "local_secret",
                "the file holds 32 bytes in base64; restore it from a backup",
            )
        };
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| invalid())?);
        let mut secret = Zeroizing::new([0; BYTES]);
        if bytes.len() != BYTES {
            return Err(invalid());
        }
        secret.copy_from_slice(&bytes);
        Ok(Self::of(secret))
    }

    /// Base64 and a line end, for a file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // With room for all of it from the start: text that grows leaves its beginning behind in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(2 * BYTES));
        BASE64.encode_string(self.bytes.as_slice(), &mut text);
        text.push('\n');
        text
    }

    /// A key for another purpose: HMAC-SHA-256 of the purpose's name under the secret.
    pub(super) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; BYTES]> {
        let mut derived = Zeroizing::new([0; BYTES]);
        derived.copy_from_slice(hmac::sign(&self.key, purpose).as_ref());
        derived
    }

    /// The tag of a submission that has an id.
    pub(super) fn by_id(&self, audience: &Audience, id: &SubmissionId) -> SubmissionTag {
        self.tag(BY_ID, audience, id.as_bytes())
    }

    /// A tag of a submission without an id: by its content, as seen under one key.
    pub(super) fn by_content(&self, audience: &Audience, content: &Hash) -> SubmissionTag {
        self.tag(BY_CONTENT, audience, &content.0)
    }

    fn tag(&self, purpose: &[u8], audience: &Audience, submission: &[u8]) -> SubmissionTag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(purpose);
        context.update(&[0]);
        context.update(audience.as_str().as_bytes());
        context.update(&[0]);
        context.update(submission);
        let mut tag = [0; 16];
        tag.copy_from_slice(&context.sign().as_ref()[..16]);
        SubmissionTag(tag)
    }
}

impl fmt::Debug for LocalSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalSecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> LocalSecret {
        LocalSecret::of(Zeroizing::new([byte; BYTES]))
    }

    #[test]
    fn a_tag_depends_on_secret_audience_and_id_or_content() {
        let id: SubmissionId = "case-17".parse().expect("valid");
        let (all, group) = (Audience::Alliance, Audience::Group("luxury".parse().expect("valid")));
        let tag = secret(1).by_id(&all, &id);
        assert_ne!(tag, secret(2).by_id(&all, &id));
        assert_ne!(tag, secret(1).by_id(&group, &id));
        assert_ne!(tag, secret(1).by_id(&all, &"case-18".parse().expect("valid")));
        let by_content = secret(1).by_content(&all, &Hash([1; 32]));
        assert_ne!(by_content, secret(1).by_content(&all, &Hash([2; 32])));
        assert_ne!(by_content, secret(1).by_content(&group, &Hash([1; 32])));
    }

    #[test]
    fn a_secret_reads_back_and_is_not_shown() {
        let text = secret(7).to_text();
        assert_eq!(LocalSecret::from_text(&text).expect("reads back").bytes, secret(7).bytes);
        assert_eq!(format!("{:?}", secret(7)), "LocalSecret(redacted)");
        assert!(LocalSecret::from_text("AAAA").is_err());
    }
}
