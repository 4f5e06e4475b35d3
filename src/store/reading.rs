//! Reading entries: one by one, by the submission that they were made of, and in runs as they are handed to other members.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::index::{FeedNo, Position};
use super::rows::CheckpointRow;
use super::{Shared, Store, StoreError, damaged, keys, segment, state};
use crate::domain::{FeedId, Rekeying, Seq, SubmissionTag};
use crate::feed::{Body, Entry, Frontier, Hash, InclusionPath, Leaf, NotUnderstood};

/// Where an own signal stands, and what its entry says unless that is erased.
pub(super) type Submitted = (Seq, Option<Arc<Entry>>);

/// Consecutive entries of a feed that end at a checkpoint.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// Sequence number of the first.
    pub first: Seq,
    /// The entries, at least one, or what is left of them.
    pub leaves: Vec<Leaf>,
    /// The checkpoint, as signed note.
    pub checkpoint: Bytes,
}

/// An entry with the way from it to a checkpoint.
#[derive(Debug, Clone)]
pub struct Proven {
    /// Its sequence number.
    pub seq: Seq,
    /// The entry, or what is left of it.
    pub leaf: Leaf,
    /// From it to the root of the checkpoint.
    pub path: InclusionPath,
    /// The checkpoint, as signed note.
    pub checkpoint: Bytes,
}

impl Store {
    /// Those of the entries `seqs` that are held, each with its path to the next checkpoint that is kept. Reads a batch for each.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn prove(&self, feed: &FeedId, seqs: &BTreeSet<Seq>) -> Result<Vec<Proven>, StoreError> {
        let Some(no) = self.shared.state.read().number(feed) else { return Ok(Vec::new()) };
        let mut proven = Vec::with_capacity(seqs.len());
        let mut next = seqs.first().copied();
        while let Some(first) = next {
            let frontier = self.kept_until(no, feed, first)?;
            let Some(batch) = self.batch_after(feed, frontier.size())? else { break };
            let hashes: Vec<Hash> = batch.leaves.iter().map(Leaf::hash).collect();
            let end = batch.first.plus(batch.leaves.len());
            if end <= first {
                break;
            }
            for (seq, path) in
                seqs.range(first..end).filter_map(|seq| Some((*seq, InclusionPath::of(&frontier, &hashes, *seq)?)))
            {
                let leaf = usize::try_from(seq.since(batch.first)).ok().and_then(|place| batch.leaves.get(place));
                let checkpoint = batch.checkpoint.clone();
                proven.extend(leaf.map(|leaf| Proven { seq, leaf: leaf.clone(), path, checkpoint }));
            }
            next = seqs.range(end..).next().copied();
        }
        Ok(proven)
    }

    /// The entries from `size` on up to the next checkpoint that is kept; `None` where nothing follows.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn batch_after(&self, feed: &FeedId, size: Seq) -> Result<Option<StoredBatch>, StoreError> {
        let (no, head, note) = {
            let state = self.shared.state.read();
            match (state.number(feed), state.feed(feed)) {
                (Some(no), Some(record)) if record.frontier.size() > size => (no, record.frontier.size(), record.note.clone()),
                _ => return Ok(None),
            }
        };
        let next = self.shared.engine.first_from(&keys::checkpoints(no), &keys::checkpoint(no, size.plus(1)));
        let (end, checkpoint) = match next.map_err(|e| StoreError::unreadable(&e))? {
            Some((key, value)) if keys::read_number(&key).is_some_and(|n| Seq::new(n) < head) => {
                let end = keys::read_number(&key).map_or(head, Seq::new);
                (end, CheckpointRow::decode(&*value).map_err(|_| damaged("a kept checkpoint"))?.note)
            }
            _ => (head, note),
        };
        Ok(Some(StoredBatch { first: size, leaves: self.range(no, size, end)?, checkpoint }))
    }

    /// What stands at `from` and after it, at most `count`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn run_of(&self, feed: &FeedId, from: Seq, count: usize) -> Result<Vec<Leaf>, StoreError> {
        let (no, size) = {
            let state = self.shared.state.read();
            match (state.number(feed), state.feed(feed)) {
                (Some(no), Some(record)) if record.frontier.size() > from => (no, record.frontier.size()),
                _ => return Ok(Vec::new()),
            }
        };
        self.range(no, from, size.min(from.plus(count)))
    }

    fn range(&self, no: FeedNo, from: Seq, to: Seq) -> Result<Vec<Leaf>, StoreError> {
        let mut leaves = Vec::new();
        let mut number = segment::number_of(from);
        let mut skip = segment::place_of(from);
        let wanted = usize::try_from(to.since(from)).unwrap_or(0);
        while leaves.len() < wanted {
            let value = self.shared.engine.get(&keys::segment(no, number)).map_err(|e| StoreError::unreadable(&e))?;
            let stored = segment::unpack(&value.ok_or_else(|| damaged("a segment"))?).map_err(|_| damaged("a segment"))?;
            let before = leaves.len();
            leaves.extend(stored.into_iter().skip(skip).take(wanted - before));
            if leaves.len() == before {
                return Err(damaged("a segment"));
            }
            (number, skip) = (number + 1, 0);
        }
        Ok(leaves)
    }

    /// The frontier of a feed at an earlier size; `None` where it is not held so far.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn frontier_at(&self, feed: &FeedId, size: Seq) -> Result<Option<Frontier>, StoreError> {
        let no = {
            let state = self.shared.state.read();
            match (state.number(feed), state.feed(feed)) {
                (Some(no), Some(record)) if record.frontier.size() >= size => no,
                _ => return Ok(None),
            }
        };
        let mut frontier = self.kept_until(no, feed, size)?;
        for leaf in self.range(no, frontier.size(), size)? {
            frontier.push(leaf.hash());
        }
        Ok(Some(frontier))
    }

    /// The frontier at the last checkpoint kept for good that covers at most `size` entries.
    fn kept_until(&self, no: FeedNo, feed: &FeedId, size: Seq) -> Result<Frontier, StoreError> {
        let kept = self.shared.engine.last_until(&keys::checkpoints(no), &keys::checkpoint(no, size));
        match kept.map_err(|e| StoreError::unreadable(&e))? {
            Some((_, value)) => {
                let row = CheckpointRow::decode(&*value).map_err(|_| damaged("a kept checkpoint"))?;
                state::read_frontier(&row, feed).map_err(|_| damaged("a kept checkpoint"))
            }
            None => Ok(Frontier::empty()),
        }
    }
}

impl Shared {
    /// The own signal that was made of the submission with this tag, and what it says unless that is erased. Where all that is left is
    /// the erasure of a rekeying, that one's place stands for it.
    pub(super) fn find_submission(&self, feed: &FeedId, tag: &SubmissionTag) -> Result<Option<Submitted>, StoreError> {
        let (positions, no) = {
            let state = self.state.read();
            let positions = state.submissions.positions(tag.into());
            if positions.is_empty() {
                return Ok(None);
            }
            (positions, state.number(feed))
        };
        for position in positions.into_iter().filter(|position| Some(position.feed()) == no) {
            let leaf = self.segments.read(&self.engine, position.feed(), position.seq());
            match leaf.map_err(|e| StoreError::unreadable(&e))?.read() {
                Ok(entry) if matches!(&entry.body, Body::Signal { tag: held, .. } if held == tag) => {
                    return Ok(Some((position.seq(), Some(Arc::new(entry)))));
                }
                Ok(Entry { body: Body::Rekeying(Rekeying { signal, tag: Some(held), .. }), .. }) if held == *tag => {
                    let leaf = self.read(feed, signal)?;
                    match leaf.map(|leaf| leaf.read()) {
                        Some(Ok(entry)) if matches!(entry.body, Body::Signal { .. }) => {
                            return Ok(Some((signal, Some(Arc::new(entry)))));
                        }
                        Some(Err(NotUnderstood::Erased)) => return Ok(Some((signal, None))),
                        Some(Ok(_) | Err(_)) | None => {}
                    }
                }
                Err(NotUnderstood::Erased) if self.was_erased(feed, position.seq(), tag)? => {
                    return Ok(Some((position.seq(), None)));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Whether the entry at `seq` was a signal of the submission with this tag: the erasure says so.
    fn was_erased(&self, feed: &FeedId, seq: Seq, tag: &SubmissionTag) -> Result<bool, StoreError> {
        let by = self.state.read().feed(feed).and_then(|record| record.view.retraction_of(seq));
        let Some(by) = by else { return Ok(false) };
        let Some(Ok(Entry { body: Body::Erasure(erasure), .. })) = self.read(feed, by)?.map(|leaf| leaf.read()) else {
            return Ok(false);
        };
        let mut named = erasure.entries.iter().zip(&erasure.tags);
        Ok(named.any(|(named, known)| *named == seq && known.as_ref() == Some(tag)))
    }

    /// Whether an erasure names the entry.
    pub(super) fn is_erased(&self, feed: &FeedId, seq: Seq) -> bool {
        let state = self.state.read();
        state.number(feed).is_some_and(|no| state.casebook.is_erased(Position::new(no, seq)))
    }

    /// What stands at `seq`, or `None` where the feed does not reach so far.
    pub(super) fn read(&self, feed: &FeedId, seq: Seq) -> Result<Option<Leaf>, StoreError> {
        let no = {
            let state = self.state.read();
            state.number(feed).filter(|no| state.feeds.get(no).is_some_and(|f| seq < f.frontier.size()))
        };
        let Some(no) = no else { return Ok(None) };
        self.segments.read(&self.engine, no, seq).map(Some).map_err(|e| StoreError::unreadable(&e))
    }
}
