//! Checkpoints: a member's signature under the size and root of its feed (C2SP tlog-checkpoint,
//! <https://c2sp.org/tlog-checkpoint>).
//!
//! A [`SignedCheckpoint`] was signed here or verified here; there is no other way to make one. The note is kept as it came and
//! handed on unchanged. That two checkpoints of one feed agree is not known here: see the batch and fork modules.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::note::{decimal, open_note, sign_note};
use super::{Hash, NoteError, SigningKey};
use crate::domain::limits::MAX_CHECKPOINT_BYTES;
use crate::domain::{AllianceName, FeedId, FeedKey, Seq};

/// The head of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of which feed.
    pub feed: FeedId,
    /// Entries that it covers.
    pub size: Seq,
    /// Root of the tree of that size.
    pub root: Hash,
}

/// A checkpoint with its member's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Bytes,
}

impl SignedCheckpoint {
    /// Signs `checkpoint` with the key of its feed's member. The key's name is the feed's origin.
    #[must_use]
    pub fn sign(checkpoint: Checkpoint, alliance: &AllianceName, key: &SigningKey) -> Self {
        let origin = checkpoint.feed.origin(alliance);
        let text = head_text(&origin, checkpoint.size, &checkpoint.root);
        let note = sign_note(&text, &origin, key);
        Self { checkpoint, note }
    }

    /// Verifies a note that came from outside. `key_of` gives the key of a feed's member, or `None` where the roster has no such
    /// member or the member has no feed for that audience.
    ///
    /// The origin line is read before the signature, because it says whose signature to expect; nothing else is.
    ///
    /// Extension lines are tolerated and ignored, as the specification has it: they say nothing about the tree, so checkpoints
    /// that differ in them only are no fork. This node signs none.
    ///
    /// # Errors
    /// One [`CheckpointError`] for each reason not to believe it; all of it is its sender's fault, except that
    /// [`CheckpointError::UnknownMember`] may mean that this node's roster is old.
    pub fn open(
        note: Bytes,
        alliance: &AllianceName,
        key_of: impl FnOnce(&FeedId) -> Option<FeedKey>,
    ) -> Result<Self, CheckpointError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointError::TooLarge);
        }
        let feed = claimed_feed(&note, alliance)?;
        let key = key_of(&feed).ok_or_else(|| CheckpointError::UnknownMember(feed.clone()))?;
        let text = open_note(&note, &feed.origin(alliance), &key).map_err(CheckpointError::Note)?;
        let (size, root) = size_and_root(text).ok_or(CheckpointError::Malformed)?;
        Ok(Self { checkpoint: Checkpoint { feed, size, root }, note })
    }

    /// What was signed.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note, as it came.
    #[must_use]
    pub const fn note(&self) -> &Bytes {
        &self.note
    }
}

/// The feed of the origin line.
fn claimed_feed(note: &[u8], alliance: &AllianceName) -> Result<FeedId, CheckpointError> {
    let line = note.split(|b| *b == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let (of_alliance, feed) = line.and_then(|line| line.split_once('/')).ok_or(CheckpointError::Malformed)?;
    if of_alliance != alliance.as_str() {
        return Err(CheckpointError::ForeignAlliance);
    }
    feed.parse().map_err(|_| CheckpointError::Malformed)
}

/// What is signed of a tree: its origin, its size and its root.
pub(super) fn head_text(origin: &str, size: Seq, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", BASE64.encode(root.0))
}

/// Second and third line of a text whose lines are all non-empty.
pub(super) fn size_and_root(text: &str) -> Option<(Seq, Hash)> {
    let mut lines = text.strip_suffix('\n')?.split('\n').skip(1);
    let size = Seq::new(decimal(lines.next()?)?);
    let root = BASE64.decode(lines.next()?).ok()?;
    let root = Hash::try_from(root.as_slice()).ok()?;
    lines.all(|extension| !extension.is_empty()).then_some((size, root))
}

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// More bytes than a checkpoint has.
    #[error("a checkpoint has at most {MAX_CHECKPOINT_BYTES} bytes")]
    TooLarge,
    /// Not origin, size and root.
    #[error("not a checkpoint of a feed")]
    Malformed,
    /// Its origin is not of this alliance.
    #[error("a checkpoint of another alliance")]
    ForeignAlliance,
    /// The roster has no such member, or it has no such feed.
    #[error("no member signs a feed {0}")]
    UnknownMember(FeedId),
    /// Not signed by the feed's member.
    #[error("the signature does not hold")]
    Note(#[source] NoteError),
}

impl CheckpointError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "CHECKPOINT_TOO_LARGE",
            Self::Malformed => "CHECKPOINT_MALFORMED",
            Self::ForeignAlliance => "CHECKPOINT_FOREIGN_ALLIANCE",
            Self::UnknownMember(_) => "CHECKPOINT_UNKNOWN_MEMBER",
            Self::Note(note) => note.code(),
        }
    }
}

#[cfg(test)]
mod tests;
