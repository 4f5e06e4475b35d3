//! Reading entries: one by one, by the submission that they were made of, and in runs as they are handed to other members.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::index::FeedNo;
use super::rows::CheckpointRow;
use super::{Shared, Store, StoreError, damaged, keys, segment, state};
use crate::domain::{FeedId, Seq, SubmissionTag};
use crate::feed::{Body, Entry, EntryBytes, Frontier, decode};

/// Consecutive entries of a feed that end at a checkpoint.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// Sequence number of the first.
    pub first: Seq,
    /// The entries, at least one.
    pub entries: Vec<EntryBytes>,
    /// The checkpoint, as signed note.
    pub checkpoint: Bytes,
}

impl Store {
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
        Ok(Some(StoredBatch { first: size, entries: self.range(no, size, end)?, checkpoint }))
    }

    fn range(&self, no: FeedNo, from: Seq, to: Seq) -> Result<Vec<EntryBytes>, StoreError> {
        let mut entries = Vec::new();
        let mut number = segment::number_of(from);
        let mut skip = segment::place_of(from);
        let wanted = usize::try_from(to.since(from)).unwrap_or(0);
        while entries.len() < wanted {
            let value = self.shared.engine.get(&keys::segment(no, number)).map_err(|e| StoreError::unreadable(&e))?;
            let stored = segment::unpack(&value.ok_or_else(|| damaged("a segment"))?).map_err(|_| damaged("a segment"))?;
            let before = entries.len();
            entries.extend(stored.into_iter().skip(skip).take(wanted - before));
            if entries.len() == before {
                return Err(damaged("a segment"));
            }
            (number, skip) = (number + 1, 0);
        }
        Ok(entries)
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
        let kept = self.shared.engine.last_until(&keys::checkpoints(no), &keys::checkpoint(no, size));
        let mut frontier = match kept.map_err(|e| StoreError::unreadable(&e))? {
            Some((_, value)) => {
                let row = CheckpointRow::decode(&*value).map_err(|_| damaged("a kept checkpoint"))?;
                state::read_frontier(&row, feed).map_err(|_| damaged("a kept checkpoint"))?
            }
            None => Frontier::empty(),
        };
        for entry in self.range(no, frontier.size(), size)? {
            frontier.push(entry.leaf_hash());
        }
        Ok(Some(frontier))
    }
}

impl Shared {
    /// The own signal that was made of the submission with this tag.
    pub(super) fn find_submission(&self, feed: &FeedId, tag: &SubmissionTag) -> Result<Option<(Seq, Arc<Entry>)>, StoreError> {
        let (positions, no) = {
            let state = self.state.read();
            let positions = state.submissions.positions(tag.into());
            if positions.is_empty() {
                return Ok(None);
            }
            (positions, state.number(feed))
        };
        for position in positions.into_iter().filter(|position| Some(position.feed()) == no) {
            let entry = self.segments.read(&self.engine, position.feed(), position.seq());
            let entry = entry.map_err(|e| StoreError::unreadable(&e))?;
            if let Ok(entry) = decode(&entry)
                && matches!(&entry.body, Body::Signal { tag: held, .. } if held == tag)
            {
                return Ok(Some((position.seq(), Arc::new(entry))));
            }
        }
        Ok(None)
    }

    /// The entry at `seq`, or `None` where the feed does not reach so far.
    pub(super) fn read(&self, feed: &FeedId, seq: Seq) -> Result<Option<EntryBytes>, StoreError> {
        let no = {
            let state = self.state.read();
            state.number(feed).filter(|no| state.feeds.get(no).is_some_and(|f| seq < f.frontier.size()))
        };
        let Some(no) = no else { return Ok(None) };
        self.segments.read(&self.engine, no, seq).map(Some).map_err(|e| StoreError::unreadable(&e))
    }
}
