//! By what an answer can be read again.
//!
//! An answer that names many signals is kept in the store. One that names none or a few, as nearly all do, is kept in its
//! reference: when, what was asked by kind, a digest of the pseudonyms, what was found and which picture of the feeds it rests
//! on, sealed by this node. So vetting a million sellers waits for no disk, and the disk does not tell who was asked about.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use super::LocalSecret;
use crate::domain::{FieldError, PseudonymSet};
use crate::store::{BriefCheck, CheckReference};

const PREFIX: &str = "chk_";
/// Bound into every seal, so that it is taken for nothing else.
const PURPOSE: &[u8] = b"countermark/check-reference/v1";
const DIGEST_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// The shortest there is: instant, picture, one kind, digest, number.
const LEAST_BYTES: usize = 48;
/// As long as a reference may be: a line of a log, a field of a form.
const MOST_BYTES: usize = 240;
/// Signals that an answer names at most to be kept in its reference.
pub(super) const MAX_SEALED_MATCHES: usize = 4;

/// By this a check can be read again. As text `chk_` and 24 characters for one that is kept in the store, 70 to 320 for one that
/// is sealed in its reference: about 80 where nothing was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Of an answer in the store.
    Kept(CheckReference),
    /// Of an answer that named few signals, or none.
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
            Some(bytes) if (LEAST_BYTES..=MOST_BYTES).contains(&bytes.len()) => Ok(Self::Sealed(SealedReference(bytes))),
            _ => text.parse().map(Self::Kept),
        }
    }
}

/// A short answer, which only the node that gave it can read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedReference(Vec<u8>);

impl fmt::Debug for SealedReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedReference(..)")
    }
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

    /// A number that no other check of this millisecond has.
    pub(super) fn number(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// `None` where the answer is too long for a reference.
    pub(super) fn seal(&self, check: &BriefCheck) -> Option<SealedReference> {
        let mut bytes = check.to_bytes();
        if bytes.len() + TAG_BYTES > MOST_BYTES {
            return None;
        }
        self.key.seal_in_place_append_tag(Self::nonce(), Aad::from(PURPOSE), &mut bytes).ok()?;
        Some(SealedReference(bytes))
    }

    /// `None` where this node did not seal it.
    pub(super) fn open(&self, sealed: &SealedReference) -> Option<BriefCheck> {
        let mut bytes = sealed.0.clone();
        BriefCheck::from_bytes(self.key.open_in_place(Self::nonce(), Aad::from(PURPOSE), &mut bytes).ok()?)
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
    use crate::domain::limits::MAX_IDENTIFIERS;
    use crate::domain::{Entropy, EntropyError, IdentifierKind, Judgment, SignalStatus, Timestamp, Verdict};
    use crate::store::{MatchRecord, PictureId};

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

    fn check(kinds: usize, matches: usize) -> BriefCheck {
        let matched = |n: usize| MatchRecord {
            signal: format!("a-member-with-a-long-name/all/{}", 9_000_000 + n).parse().expect("valid"),
            status: SignalStatus::Confirmed,
            strong: vec![0, 1],
            weak: vec![],
            void: vec![],
            quarantined: false,
            counts: true,
        };
        BriefCheck {
            checked_at: Timestamp::from_unix_ms(1_800_000_000_123),
            as_of: Timestamp::from_unix_ms(1_800_000_000_100),
            picture: PictureId::from_bytes([0, 1, 2, 3, 4]),
            kinds: vec![IdentifierKind::Phone; kinds],
            pseudonyms: [5; DIGEST_BYTES],
            judgment: Judgment { verdict: Verdict::NoneKnown, reasons: [].into(), score: 0 },
            members_elsewhere: 0,
            matches: (0..matches).map(matched).collect(),
            number: 7,
        }
    }

    #[test]
    fn what_was_sealed_is_read_again_by_the_same_node_only() {
        let (mine, other) = (seal(1), seal(2));
        for (kinds, matches) in [(1, 0), (3, 1), (MAX_IDENTIFIERS, 0), (2, MAX_SEALED_MATCHES - 1)] {
            let sealed = mine.seal(&check(kinds, matches)).expect("fits");
            let text = Reference::Sealed(sealed.clone()).to_string();
            assert!((70..=324).contains(&text.len()), "{}", text.len());
            assert_eq!(text.parse(), Ok(Reference::Sealed(sealed.clone())));
            assert_eq!(mine.open(&sealed), Some(check(kinds, matches)));
            assert_eq!(other.open(&sealed), None);
            for at in 0..sealed.0.len() {
                let mut forged = sealed.clone();
                forged.0[at] ^= 1;
                assert_eq!(mine.open(&forged), None, "byte {at}");
            }
        }
        assert_eq!(mine.seal(&check(MAX_IDENTIFIERS, 8)), None, "too long for a reference");
    }

    #[test]
    fn two_checks_have_two_references_and_show_nothing() {
        let seal = seal(1);
        let numbered = || BriefCheck { number: seal.number(), ..check(3, 1) };
        let (a, b) = (seal.seal(&numbered()).expect("fits"), seal.seal(&numbered()).expect("fits"));
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
