//! What is added to this member's own feeds, and what becomes of it.

use std::sync::Arc;

use crate::domain::{Audience, Seq, SubmissionTag};
use crate::feed::{Entry, EntryBytes};

/// An entry that this member adds to a feed of its own.
pub enum Append {
    /// A signal, unless one with one of its tags is there.
    Signal {
        /// Who may read it.
        audience: Audience,
        /// Its submission.
        tag: SubmissionTag,
        /// Other tags that the same submission may stand under; a signal with one of these is the same too.
        known_as: Vec<SubmissionTag>,
        /// What `bytes` decode to.
        entry: Arc<Entry>,
        /// The entry as it will stand in the feed.
        bytes: EntryBytes,
    },
    /// A retraction, unless the signal is withdrawn.
    Retraction {
        /// The feed's audience.
        audience: Audience,
        /// The signal in the same feed.
        signal: Seq,
        /// What `bytes` decode to.
        entry: Arc<Entry>,
        /// The entry as it will stand in the feed.
        bytes: EntryBytes,
    },
    /// An erasure of what is not erased yet; where all of it is, nothing is added.
    Erasure {
        /// The feed's audience.
        audience: Audience,
        /// What is erased.
        entries: Vec<Seq>,
        /// What `bytes` decode to.
        entry: Arc<Entry>,
        /// The entry as it will stand in the feed.
        bytes: EntryBytes,
    },
    /// Pseudonyms of a signal under further keys, unless it has them under each of these keys or does not count any more.
    Rekeying {
        /// The feed's audience.
        audience: Audience,
        /// The signal in the same feed.
        signal: Seq,
        /// What `bytes` decode to.
        entry: Arc<Entry>,
        /// The entry as it will stand in the feed.
        bytes: EntryBytes,
    },
    /// An entry about others.
    Note {
        /// Who may read it.
        audience: Audience,
        /// What `bytes` decode to.
        entry: Arc<Entry>,
        /// The entry as it will stand in the feed.
        bytes: EntryBytes,
    },
}

impl Append {
    pub(super) const fn audience(&self) -> &Audience {
        match self {
            Self::Signal { audience, .. }
            | Self::Retraction { audience, .. }
            | Self::Erasure { audience, .. }
            | Self::Rekeying { audience, .. }
            | Self::Note { audience, .. } => audience,
        }
    }

    pub(super) const fn bytes(&self) -> &EntryBytes {
        match self {
            Self::Signal { bytes, .. }
            | Self::Retraction { bytes, .. }
            | Self::Erasure { bytes, .. }
            | Self::Rekeying { bytes, .. }
            | Self::Note { bytes, .. } => bytes,
        }
    }
}

/// What became of an [`Append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It stands at this position now.
    Created(Seq),
    /// Of a signal: one with one of its tags stands at this position, as the entry says.
    Known(Seq, Arc<Entry>),
    /// Of a signal: one with one of its tags stood at this position, and was erased.
    Erased(Seq),
    /// Of a retraction: its signal was withdrawn before.
    Withdrawn,
    /// Of an erasure: all that it names was erased before, or a signal among it was given pseudonyms meanwhile that it does not name.
    Gone,
    /// Of a rekeying: its signal has pseudonyms under these keys, or counts no more.
    Unneeded,
}
