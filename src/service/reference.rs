//! By what an answer can be read again.
//!
//! An answer that names signals is kept in the store. One that found nothing, as nearly all do, is kept in its reference: when,
//! what was asked by kind, a digest of the pseudonyms and which picture of the feeds it rests on, sealed by this node. So
//! vetting a million sellers writes nothing, and the disk does not tell who was asked about.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::LocalSecret;
use crate::domain::limits::MAX_IDENTIFIERS;
use crate::domain::{FieldError, IdentifierKind, PseudonymSet, Timestamp};
use crate::store::{CheckReference, PictureId};

const PREFIX: &str = "chk_";
/// Bound into every seal, so that it is taken for nothing else.
const PURPOSE: &[u8] = b"countermark/check-reference/v1";
const VERSION: u8 = 1;
/// Version, instant, age of the picture, picture, counter, digest.
const HEAD_BYTES: usize = 1 + 6 + 2 + 5 + 4 + DIGEST_BYTES;
const DIGEST_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const MOST_BYTES: usize = HEAD_BYTES + MAX_IDENTIFIERS + TAG_BYTES;

/// By this a check can be read again. As text `chk_` and 24 characters for one that is kept in the store, 68 to 110 for one that
/// is sealed in its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Of an answer in the store.
    Kept(CheckReference),
    /// Of an answer that found nothing.
    Sealed(SealedReference),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(reference) => reference.fmt(f),
            Self::Sealed(SealedReference(bytes)) => write!(f, "{PREFIX}{}", BASE64.encode(bytes)),
        }
    }
}

impl FromStr for Reference {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let bytes =
            text.strip_prefix(PREFIX).filter(|rest| rest.len() <= 2 * MOST_BYTES).and_then(|rest| BASE64.decode(rest).ok());
        match bytes {
            Some(bytes) if (HEAD_BYTES + 1 + TAG_BYTES..=MOST_BYTES).contains(&bytes.len()) => {
                Ok(Self::Sealed(SealedReference(bytes)))
            }
            _ => text.parse().map(Self::Kept),
        }
    }
}

/// An answer that found nothing, which only the node that gave it can read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedReference(Vec<u8>);

impl fmt::Debug for SealedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedReference(..)")
    }
}

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NothingFound {
    pub(super) checked_at: Timestamp,
    /// When it was true what the picture shows.
    pub(super) as_of: Timestamp,
    pub(super) picture: PictureId,
    /// Of every identifier asked, in its place.
    pub(super) kinds: Vec<IdentifierKind>,
    /// See [`digest`].
    pub(super) pseudonyms: [u8; DIGEST_BYTES],
}

/// Seals and opens. Its key is derived from the node's local secret.
pub(super) struct Seal {
    key: LessSafeKey,
    /// Tells apart what is sealed in one millisecond about one seller.
    counter: AtomicU32,
}

impl Seal {
    pub(super) fn new(secret: &LocalSecret) -> Self {
        let key = secret.derive(PURPOSE);
        // The key has the length of the algorithm.
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()).expect("a key of 32 bytes");
        Self { key: LessSafeKey::new(key), counter: AtomicU32::new(0) }
    }

    /// Under one nonce for all: AES-GCM-SIV (RFC 8452) shows no more than that two messages are equal, and none are.
    fn nonce() -> Nonce {
        Nonce::assume_unique_for_key([0; NONCE_LEN])
    }

    /// `None` where the instant or the age of the picture does not fit, which no clock comes to.
    pub(super) fn seal(&self, found: &NothingFound) -> Option<SealedReference> {
        let age = u16::try_from(found.checked_at.unix_ms().checked_sub(found.as_of.unix_ms())?).ok()?;
        let [0, 0, instant @ ..] = u64::try_from(found.checked_at.unix_ms()).ok()?.to_be_bytes() else { return None };
        let mut bytes = Vec::with_capacity(MOST_BYTES);
        bytes.push(VERSION);
        bytes.extend(instant);
        bytes.extend(age.to_be_bytes());
        bytes.extend(found.picture.to_bytes());
        bytes.extend(self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes.extend(found.pseudonyms);
        for kind in &found.kinds {
            bytes.push(u8::try_from(kind.number()).ok()?);
        }
        self.key.seal_in_place_append_tag(Self::nonce(), Aad::from(PURPOSE), &mut bytes).ok()?;
        Some(SealedReference(bytes))
    }

    /// `None` where this node did not seal it.
    pub(super) fn open(&self, sealed: &SealedReference) -> Option<NothingFound> {
        let mut bytes = sealed.0.clone();
        let plain = self.key.open_in_place(Self::nonce(), Aad::from(PURPOSE), &mut bytes).ok()?;
        let (head, kinds) = plain.split_first_chunk::<HEAD_BYTES>()?;
        let part = |from: usize, to: usize| head.get(from..to);
        let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |n, byte| n << 8 | i64::from(*byte));
        let checked_at = number(part(1, 7)?);
        (head[0] == VERSION).then_some(())?;
        Some(NothingFound {
            checked_at: Timestamp::from_unix_ms(checked_at),
            as_of: Timestamp::from_unix_ms(checked_at - number(part(7, 9)?)),
            picture: PictureId::from_bytes(part(9, 14)?.try_into().ok()?),
            pseudonyms: part(18, HEAD_BYTES)?.try_into().ok()?,
            kinds: kinds.iter().map(|kind| IdentifierKind::from_number(i32::from(*kind))).collect::<Option<_>>()?,
        })
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(redacted)")
    }
}

/// 16 bytes of SHA-256 over the pseudonyms of all sets: who has the same identifiers and keys can tell that they were asked.
pub(super) fn digest(sets: &[PseudonymSet]) -> [u8; DIGEST_BYTES] {
    let mut context = Context::new(&SHA256);
    sets.iter().flat_map(|set| &set.pseudonyms).for_each(|pseudonym| context.update(&pseudonym.0));
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&context.finish().as_ref()[..DIGEST_BYTES]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Entropy, EntropyError};

    struct Same(u8);

    impl Entropy for Same {
        fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
            out.fill(self.0);
            Ok(())
        }
    }

    fn seal(secret: u8) -> Seal {
        Seal::new(&LocalSecret::generate(&Same(secret)).expect("a secret"))
    }

    fn found(kinds: usize) -> NothingFound {
        NothingFound {
            checked_at: Timestamp::from_unix_ms(1_800_000_000_123),
            as_of: Timestamp::from_unix_ms(1_800_000_000_100),
            picture: PictureId::from_bytes([0, 1, 2, 3, 4]),
            kinds: vec![IdentifierKind::Phone; kinds],
            pseudonyms: [5; DIGEST_BYTES],
        }
    }

    #[test]
    fn what_was_sealed_is_read_again_by_the_same_node_only() {
        let (mine, other) = (seal(1), seal(2));
        for kinds in [1, 3, MAX_IDENTIFIERS] {
            let sealed = mine.seal(&found(kinds)).expect("fits");
            let text = Reference::Sealed(sealed.clone()).to_string();
            assert!((72..=114).contains(&text.len()), "{}", text.len());
            assert_eq!(text.parse(), Ok(Reference::Sealed(sealed.clone())));
            assert_eq!(mine.open(&sealed), Some(found(kinds)));
            assert_eq!(other.open(&sealed), None);
            for at in 0..sealed.0.len() {
                let mut forged = sealed.clone();
                forged.0[at] ^= 1;
                assert_eq!(mine.open(&forged), None, "byte {at}");
            }
        }
    }

    #[test]
    fn two_checks_have_two_references_and_show_nothing() {
        let seal = seal(1);
        let (a, b) = (seal.seal(&found(3)).expect("fits"), seal.seal(&found(3)).expect("fits"));
        assert_ne!(a, b);
        assert!(!a.0.windows(4).any(|bytes| bytes == [5; 4]), "the digest is not to be seen");
        assert_eq!(format!("{a:?} {seal:?}"), "SealedReference(..) Seal(redacted)");
    }

    #[test]
    fn no_other_text_is_a_reference() {
        for text in ["", "chk_", "chk_AAAA", "abc_AAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(text.parse::<Reference>().expect_err("refused").code, "REFERENCE_INVALID", "{text}");
        }
    }
}
