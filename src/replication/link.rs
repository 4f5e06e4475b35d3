//! What replication asks of the way to a peer. The gRPC edge implements it over mutual TLS; tests in memory.
//!
//! A link is to the member that was dialled and to nobody else: whoever implements [`Dialer`] has verified that. What arrives
//! over it is that peer's word and is verified here. Bounds of messages are the implementer's: nothing larger than
//! [`crate::domain::limits::MAX_PEER_MESSAGE_BYTES`] gets this far.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use crate::domain::{FeedId, MemberId, NodeVersion, Seq};
use crate::feed::{EntryBytes, Hash};
use crate::store::ForkRecord;

/// Opens links to the nodes of other members.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `member`'s node, and verifies that it is.
    ///
    /// # Errors
    /// Where there is no such node at `address` now. Has no deadline of its own.
    async fn dial(&self, member: &MemberId, address: &str) -> Result<Box<dyn Link>, LinkError>;
}

/// A connection to one peer. Dropping it closes it.
#[async_trait]
pub trait Link: Send + Sync {
    /// The newest roster that the peer holds, as signed note.
    ///
    /// # Errors
    /// Where the peer did not answer.
    async fn roster(&self) -> Result<Bytes, LinkError>;

    /// The newest checkpoint of every feed that the peer holds and this node may read, and the forks that it knows of.
    ///
    /// # Errors
    /// Where the peer did not answer.
    async fn checkpoints(&self) -> Result<Heads, LinkError>;

    /// Hashes of the peer's frontier of `feed` at `size`, the widest subtree first.
    ///
    /// # Errors
    /// Where the peer did not answer, or holds less.
    async fn frontier(&self, feed: &FeedId, size: Seq) -> Result<Vec<Hash>, LinkError>;

    /// What the peer signs of its copy of `feed`: how far it has carried out the erasures, as signed note; empty where it has carried
    /// out none.
    ///
    /// # Errors
    /// Where the peer did not answer.
    async fn receipt(&self, feed: &FeedId) -> Result<Bytes, LinkError>;

    /// The entries at `seqs` as far as the peer has their content.
    ///
    /// # Errors
    /// Where the peer did not answer.
    async fn entries(&self, feed: &FeedId, seqs: &[Seq]) -> Result<Vec<(Seq, EntryBytes)>, LinkError>;

    /// Opens the stream on which feeds are followed.
    ///
    /// # Errors
    /// Where the peer did not open it.
    async fn follow(&self) -> Result<FollowStream, LinkError>;

    /// Which program the peer runs, by its own word when the link was opened.
    fn version(&self) -> &NodeVersion;

    /// Bytes of messages on this link so far.
    fn traffic(&self) -> Traffic;
}

/// What a peer shows of the feeds it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// Signed notes, one for each feed that has entries.
    pub checkpoints: Vec<Bytes>,
    /// Evidence of forks.
    pub forks: Vec<ForkParts>,
}

/// The parts of a [`crate::feed::ForkProof`], as they came: evidence of nothing yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkParts {
    /// The checkpoint of the smaller or equal size, as signed note.
    pub first: Bytes,
    /// The other one.
    pub second: Bytes,
    /// The second history's frontier at the first one's size; empty where sizes are equal.
    pub frontier: Vec<Hash>,
    /// The second history's leaf hashes from there on; empty where sizes are equal.
    pub leaf_hashes: Vec<Hash>,
}

impl From<ForkRecord> for ForkParts {
    fn from(record: ForkRecord) -> Self {
        Self { first: record.first, second: record.second, frontier: record.frontier, leaf_hashes: record.leaf_hashes }
    }
}

/// An open stream of followed feeds. Dropping either half ends it.
pub struct FollowStream {
    /// To the peer. Bounded; a full channel is never waited for while events are at hand.
    pub commands: mpsc::Sender<FollowCommand>,
    /// From the peer. Ends where the peer ends the stream; after an error nothing follows.
    pub events: BoxStream<'static, Result<FollowEvent, LinkError>>,
}

/// What a follower tells its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowCommand {
    /// Serve this feed from here on. Takes the place of an earlier one for the same feed.
    Follow {
        /// Which.
        feed: FeedId,
        /// Entries that the follower holds.
        size: Seq,
    },
    /// Serve this feed no more.
    Unfollow {
        /// Which.
        feed: FeedId,
    },
}

/// What a follower is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEvent {
    /// The next entries of a feed.
    Batch {
        /// Which feed.
        feed: FeedId,
        /// Sequence number of the first entry.
        first: Seq,
        /// Entries as their member encoded them, and an empty one for each that is erased.
        entries: Vec<Bytes>,
        /// The leaf hashes of those, in order.
        erased: Vec<Hash>,
        /// The checkpoint that they end at, as signed note.
        checkpoint: Bytes,
    },
    /// The peer is there. Comes first on every stream.
    Heartbeat(Word),
    /// The peer does not serve a feed. The stream goes on.
    Refused {
        /// Which.
        feed: FeedId,
        /// Why.
        refusal: Refusal,
    },
}

/// What a heartbeat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// Serial of the peer's roster.
    pub roster_serial: u64,
    /// [`crate::feed::SignedRoster::digest`] of the peer's roster.
    pub roster_digest: Hash,
    /// See [`super::heads_digest`].
    pub heads_digest: Hash,
}

impl Word {
    /// Which roster the peer has.
    pub(super) const fn roster(&self) -> (u64, Hash) {
        (self.roster_serial, self.roster_digest)
    }
}

/// Why a peer does not serve a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The follower is not in its audience, or there is no such feed: the answer is the same.
    NotShared,
    /// The stream follows as many feeds as a stream may.
    TooManyFeeds,
    /// The peer's copy cannot be read now.
    Unavailable,
    /// A reason that this version does not know.
    Unknown,
}

impl Refusal {
    /// Stable code; travels in `FollowRefused.code`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotShared => "FEED_NOT_SHARED",
            Self::TooManyFeeds => "TOO_MANY_FEEDS",
            Self::Unavailable => "FEED_UNAVAILABLE",
            Self::Unknown => "FEED_REFUSED",
        }
    }

    /// The refusal with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Self {
        let known = [Self::NotShared, Self::TooManyFeeds, Self::Unavailable];
        known.into_iter().find(|refusal| refusal.code() == code).unwrap_or(Self::Unknown)
    }
}

/// Bytes of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From the peer.
    pub received_bytes: u64,
    /// To the peer.
    pub sent_bytes: u64,
}

impl std::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received_bytes: self.received_bytes.saturating_add(other.received_bytes),
            sent_bytes: self.sent_bytes.saturating_add(other.sent_bytes),
        }
    }
}

/// Why a link gives no answer, or no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct LinkError {
    /// Stable code, such as `PEER_UNREACHABLE`, `PEER_REFUSED`, `STREAM_BROKEN`.
    pub code: &'static str,
    /// What happened, for the operator.
    pub detail: String,
}

impl LinkError {
    /// An error with a stable `code`.
    #[must_use]
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_code_and_one_of_a_later_version_is_a_refusal_all_the_same() {
        for refusal in [Refusal::NotShared, Refusal::TooManyFeeds, Refusal::Unavailable, Refusal::Unknown] {
            assert_eq!(Refusal::from_code(refusal.code()), refusal);
        }
        assert_eq!(Refusal::from_code("FEED_TOO_LATE"), Refusal::Unknown);
    }
}
