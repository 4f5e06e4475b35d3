//! The growing end of one feed, as the writer sees it.
//!
//! A tip runs ahead of what is durable while a commit is being built. If the commit fails, the tips are thrown away and read
//! from disk again.

use super::engine::Commit;
use super::index::FeedNo;
use super::rows::{CheckpointRow, HeadRow};
use super::{keys, segment};
use crate::domain::limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};
use crate::domain::{FeedId, Seq};
use crate::feed::{Frontier, Hash, Leaf, SignedCheckpoint};
use prost::Message as _;

/// A size of a feed, counted in entries and in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extent {
    pub(super) size: Seq,
    pub(super) bytes: u64,
}

impl Extent {
    /// Whether everything from `start` to here fits into one batch.
    fn in_one_batch_from(self, start: Self) -> bool {
        self.size.since(start.size) <= MAX_BATCH_ENTRIES as u64
            && self.bytes.saturating_sub(start.bytes) <= MAX_BATCH_BYTES as u64
    }
}

pub(super) struct Tip {
    pub(super) id: FeedId,
    pub(super) no: FeedNo,
    pub(super) frontier: Frontier,
    /// Entries of the last segment while it is not full.
    tail: Vec<Leaf>,
    bytes: u64,
    /// The newest checkpoint.
    head: Option<(Extent, CheckpointRow)>,
    /// The last checkpoint that is kept for good, so that batches between kept ones stay bounded.
    kept: Extent,
}

impl Tip {
    pub(super) fn new(id: FeedId, no: FeedNo) -> Self {
        Self { id, no, frontier: Frontier::empty(), tail: Vec::new(), bytes: 0, head: None, kept: Extent::default() }
    }

    /// The tip of a stored feed.
    pub(super) fn restore(id: FeedId, no: FeedNo, frontier: Frontier, tail: Vec<Leaf>, row: HeadRow) -> Self {
        let head = Extent { size: frontier.size(), bytes: row.checkpoint.bytes };
        Self {
            id,
            no,
            frontier,
            tail,
            bytes: head.bytes,
            head: Some((head, row.checkpoint)),
            kept: Extent { size: Seq::new(row.kept_size), bytes: row.kept_bytes },
        }
    }

    pub(super) fn extent(&self) -> Extent {
        Extent { size: self.frontier.size(), bytes: self.bytes }
    }

    /// Whether all that was pushed is under a checkpoint.
    pub(super) fn is_signed(&self) -> bool {
        self.head.as_ref().is_some_and(|(extent, _)| extent.size == self.frontier.size())
    }

    /// Whether an entry of `len` bytes must wait until what stands here is under a checkpoint, because a batch from the last
    /// checkpoint over it would be too large.
    pub(super) fn checkpoint_due_before(&self, len: usize) -> bool {
        let then = Extent { size: self.frontier.size().plus(1), bytes: self.bytes + len as u64 };
        !then.in_one_batch_from(self.head.as_ref().map_or(Extent::default(), |(extent, _)| *extent))
    }

    /// Appends one entry. Full segments go into `commit` at once.
    pub(super) fn push(&mut self, leaf: Leaf, commit: &mut Commit) -> std::io::Result<Seq> {
        let seq = self.frontier.size();
        self.frontier.push(leaf.hash());
        self.bytes += leaf.size() as u64;
        self.tail.push(leaf);
        if self.tail.len() == segment::SEGMENT_ENTRIES {
            self.write_tail(seq, commit)?;
            self.tail.clear();
        }
        Ok(seq)
    }

    /// Makes `checkpoint`, which covers all that was pushed, the newest. The one before it is kept for good where without it
    /// the way from the last kept one would be longer than a batch.
    pub(super) fn advance(&mut self, checkpoint: &SignedCheckpoint, commit: &mut Commit) {
        let extent = self.extent();
        if let Some((previous, row)) = self.head.take()
            && !extent.in_one_batch_from(self.kept)
        {
            commit.put(keys::checkpoint(self.no, previous.size), row.encode_to_vec());
            self.kept = previous;
        }
        let frontier = self.frontier.hashes().iter().flat_map(|hash| hash.0).collect();
        self.head = Some((extent, CheckpointRow { note: checkpoint.note().clone(), frontier, bytes: extent.bytes }));
    }

    /// Puts what is not yet in `commit` there: the unfinished segment and the head.
    pub(super) fn finish(&self, commit: &mut Commit) -> std::io::Result<()> {
        if !self.tail.is_empty() {
            let last = Seq::new(self.frontier.size().get() - 1);
            self.write_tail(last, commit)?;
        }
        if let Some((_, checkpoint)) = &self.head {
            let row = HeadRow {
                feed: self.id.to_string(),
                checkpoint: checkpoint.clone(),
                kept_size: self.kept.size.get(),
                kept_bytes: self.kept.bytes,
            };
            commit.put(keys::head(self.no), row.encode_to_vec());
        }
        Ok(())
    }

    /// Replaces what stands in the unfinished segment, as far as it was replaced on disk.
    pub(super) fn replace(&mut self, segment: u64, leaves: &[Leaf]) {
        if segment == segment::number_of(self.frontier.size()) {
            self.tail.iter_mut().zip(leaves).for_each(|(held, leaf)| held.clone_from(leaf));
        }
    }

    fn write_tail(&self, last: Seq, commit: &mut Commit) -> std::io::Result<()> {
        commit.put(keys::segment(self.no, segment::number_of(last)), segment::pack(&self.tail)?);
        Ok(())
    }
}

/// Splits the stored form of a frontier. `None` where it is not a whole number of hashes.
pub(super) fn read_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let chunks = bytes.chunks_exact(32);
    if !chunks.remainder().is_empty() {
        return None;
    }
    chunks.map(|chunk| chunk.try_into().ok().map(Hash)).collect()
}
