//! One record of a feed, and the bytes that stand for it.
//!
//! [`EntryBytes`] are what is signed, kept and sent; they are bounded and otherwise opaque. An [`Entry`] is what this version
//! reads in them. The way from the one to the other is the codec's; nothing else here looks inside.

use bytes::Bytes;

use super::{Hash, NotUnderstood, decode, leaf_hash};
use crate::domain::limits::MAX_ENTRY_BYTES;
use crate::domain::{
    Amendment, Decision, Dispute, Erasure, Marker, MarkerLift, Opinion, Referral, Rekeying, Retraction, SignalContent,
    SubmissionTag, Timestamp,
};

/// One record of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the owner's node took it in: 1970 to 9999.
    pub recorded_at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A seller infringed.
    Signal {
        /// By it the owner recognises the submission.
        tag: SubmissionTag,
        /// What is said.
        content: SignalContent,
    },
    /// A signal of the same feed is withdrawn.
    Retraction(Retraction),
    /// Something is added to a signal of the same feed.
    Amendment(Amendment),
    /// A seller rebuts signals.
    Dispute(Dispute),
    /// A dispute ended.
    Decision(Decision),
    /// What the member thinks of another member's signal.
    Opinion(Opinion),
    /// What holds against all signals that name an identifier.
    Marker(Marker),
    /// A marker of the same feed is taken back.
    MarkerLift(MarkerLift),
    /// Content of the same feed is removed.
    Erasure(Erasure),
    /// How far a lead has come.
    Referral(Referral),
    /// A signal of the same feed has further pseudonyms.
    Rekeying(Rekeying),
}

impl Body {
    /// Whether an erasure takes away what an entry of this kind says. Others hold no pseudonym, and without them what they ended
    /// would hold again.
    #[must_use]
    pub const fn is_erasable(&self) -> bool {
        match self {
            Self::Signal { .. }
            | Self::Amendment(_)
            | Self::Opinion(_)
            | Self::Marker(_)
            | Self::Referral(_)
            | Self::Rekeying(_) => true,
            Self::Retraction(_) | Self::Dispute(_) | Self::Decision(_) | Self::MarkerLift(_) | Self::Erasure(_) => false,
        }
    }
}

/// The bytes of an entry, 1 to 8,192, as their member encoded them. Clones share them.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryBytes(Bytes);

impl EntryBytes {
    /// Takes bytes that came from outside, or from the store. Any bytes within the bounds can stand in a feed: whether this
    /// version reads them is another question.
    ///
    /// # Errors
    /// [`EntryBytesError`] beyond the bounds.
    pub fn from_peer(bytes: Bytes) -> Result<Self, EntryBytesError> {
        match bytes.len() {
            0 => Err(EntryBytesError::Empty),
            1..=MAX_ENTRY_BYTES => Ok(Self(bytes)),
            _ => Err(EntryBytesError::TooLarge),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be shared.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The leaf that they are in the tree.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.0)
    }
}

impl std::fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EntryBytes({} bytes, leaf {})", self.0.len(), self.leaf_hash())
    }
}

/// What stands at a position of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// An entry.
    Entry(EntryBytes),
    /// What is left of an entry whose content is gone: its leaf hash. The tree over the feed is the same. An erasure in the same
    /// feed says why, or the content never reached this node.
    Erased(Hash),
    /// The same, where this node removed the content because the time that it is kept had ended.
    Expired(Hash),
}

impl Leaf {
    /// What it is in the tree.
    #[must_use]
    pub fn hash(&self) -> Hash {
        match self {
            Self::Entry(bytes) => bytes.leaf_hash(),
            Self::Erased(hash) | Self::Expired(hash) => *hash,
        }
    }

    /// The entry; `None` where its content is gone.
    #[must_use]
    pub const fn bytes(&self) -> Option<&EntryBytes> {
        match self {
            Self::Entry(bytes) => Some(bytes),
            Self::Erased(_) | Self::Expired(_) => None,
        }
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Entry(bytes) => bytes.as_slice().len(),
            Self::Erased(hash) | Self::Expired(hash) => hash.0.len(),
        }
    }

    /// What this version reads in it.
    ///
    /// # Errors
    /// [`NotUnderstood`]; [`NotUnderstood::Erased`] or [`NotUnderstood::Expired`] where nothing is left to read.
    pub fn read(&self) -> Result<Entry, NotUnderstood> {
        match self {
            Self::Entry(bytes) => decode(bytes),
            Self::Erased(_) => Err(NotUnderstood::Erased),
            Self::Expired(_) => Err(NotUnderstood::Expired),
        }
    }
}

impl From<EntryBytes> for Leaf {
    fn from(bytes: EntryBytes) -> Self {
        Self::Entry(bytes)
    }
}

/// Bytes that no entry can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryBytesError {
    /// None at all.
    #[error("an entry has at least one byte")]
    Empty,
    /// Too many.
    #[error("an entry has at most {MAX_ENTRY_BYTES} bytes")]
    TooLarge,
}

impl EntryBytesError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "ENTRY_EMPTY",
            Self::TooLarge => "ENTRY_TOO_LARGE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_bounded() {
        let of = |n: usize| EntryBytes::from_peer(vec![0; n].into()).map(|e| e.as_slice().len());
        assert_eq!(of(0), Err(EntryBytesError::Empty));
        assert_eq!(of(1), Ok(1));
        assert_eq!(of(MAX_ENTRY_BYTES), Ok(MAX_ENTRY_BYTES));
        assert_eq!(of(MAX_ENTRY_BYTES + 1).map_err(|e| e.code()), Err("ENTRY_TOO_LARGE"));
    }

    #[test]
    fn an_erasure_takes_away_what_can_hold_a_pseudonym_and_nothing_that_ended_something() {
        let lift = crate::domain::MarkerLift { marker: crate::domain::Seq::ZERO };
        assert!(crate::feed::fixtures::signal_entry().body.is_erasable());
        assert!(!Body::MarkerLift(lift).is_erasable());
    }

    #[test]
    fn a_leaf_has_bytes_only_while_it_has_its_content() {
        let bytes = EntryBytes::from_peer(Bytes::from_static(b"an entry")).expect("fits");
        let hash = bytes.leaf_hash();
        assert_eq!(Leaf::Entry(bytes.clone()).bytes(), Some(&bytes));
        assert_eq!((Leaf::Erased(hash).bytes(), Leaf::Expired(hash).bytes()), (None, None));
    }
}
