use super::{DirectoryError, LinkError};
use crate::feed::{BatchError, CheckpointError, EntryBytesError, ForkProofError};
use crate::store::StoreError;

/// Why a session with a peer ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The way to the peer, or the peer's refusal to talk.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The peer gave no sign of life for three heartbeats, or left a question unanswered for as long.
    #[error("no word from the peer for {0:?}")]
    Silent(std::time::Duration),
    /// The peer ended the stream.
    #[error("the peer ended the stream")]
    Ended,
    /// The peer sent what no honest node sends.
    #[error("the peer misbehaved: {}: {_0}", .0.code())]
    Misbehaved(Misbehaviour),
    /// This node could not read or keep what it was sent.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SessionError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Link(error) => error.code,
            Self::Silent(_) => "PEER_SILENT",
            Self::Ended => "STREAM_ENDED",
            Self::Misbehaved(_) => "PEER_MISBEHAVED",
            Self::Store(error) => error.code(),
        }
    }

    /// Whether it comes back with the next session, as long as the peer greets: of a link that was lost, none of it is left.
    pub(super) const fn outlives_greeting(&self) -> bool {
        matches!(self, Self::Misbehaved(_) | Self::Store(_))
    }

    /// What is told apart in logs: the code, and of a misbehaviour which one it was.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Misbehaved(misbehaviour) => misbehaviour.code(),
            other => other.code(),
        }
    }
}

impl From<Misbehaviour> for SessionError {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Misbehaved(misbehaviour)
    }
}

/// What a peer sent that it should not have.
#[derive(Debug, thiserror::Error)]
pub enum Misbehaviour {
    /// Entries that are not those that were signed, too many, or none.
    #[error(transparent)]
    Batch(BatchError),
    /// A batch under a checkpoint that does not hold.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// An entry beyond the bounds.
    #[error(transparent)]
    Entry(EntryBytesError),
    /// A batch under the checkpoint of another feed.
    #[error("a batch under the checkpoint of another feed")]
    OtherFeed,
    /// A batch of a feed that it was not asked for.
    #[error("a batch of a feed that was not asked for")]
    NotAsked,
    /// Entries are missing before a batch, again after they were asked for.
    #[error("entries are missing before a batch")]
    Gap,
    /// The first event of the stream was no heartbeat.
    #[error("the stream did not open with a heartbeat")]
    NoGreeting,
}

impl Misbehaviour {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Batch(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Entry(error) => error.code(),
            Self::OtherFeed => "BATCH_OTHER_FEED",
            Self::NotAsked => "BATCH_NOT_ASKED",
            Self::Gap => "BATCH_GAP",
            Self::NoGreeting => "STREAM_NO_HEARTBEAT",
        }
    }
}

/// Something that a peer showed and that is not taken; the session goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Complaint {
    /// A checkpoint that does not hold.
    #[error(transparent)]
    Checkpoint(CheckpointError),
    /// Evidence of a fork that proves nothing.
    #[error(transparent)]
    Evidence(ForkProofError),
    /// More than one checkpoint, or more proofs than one needs, of a feed.
    #[error("the peer shows one feed more than once")]
    Repeated,
    /// The peer's own node shows less of its feed than it once signed.
    #[error("the member's node shows less of its own feed than it has signed; it lost data")]
    Stale,
    /// A roster that is not taken.
    #[error(transparent)]
    Roster(DirectoryError),
    /// A feed that is not served.
    #[error("the peer does not serve a feed that this node may read")]
    Refused(super::Refusal),
}

impl Complaint {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint(error) => error.code(),
            Self::Evidence(error) => error.code(),
            Self::Repeated => "CHECKPOINT_REPEATED",
            Self::Stale => "CHECKPOINT_STALE",
            Self::Roster(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
        }
    }
}

/// Why a peer is not given what it asked for, or the stream that it follows on ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// The peer is no active member any more.
    #[error("the member is not active in the roster")]
    NotAMember,
    /// The feed is not the peer's to read, or there is none.
    #[error("there is no such feed that is shared with this member")]
    NotShared,
    /// Less is held of the feed.
    #[error("the feed is not held up to this size")]
    NotHeld,
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[source] StoreError),
}

impl ServeError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAMember => "MEMBER_NOT_ACTIVE",
            Self::NotShared => "FEED_NOT_SHARED",
            Self::NotHeld => "FEED_NOT_HELD",
            Self::Store(error) => error.code(),
        }
    }
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
