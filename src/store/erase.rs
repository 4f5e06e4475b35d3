//! The writer's part of erasing: see [`super::erasures`] for what is done when, and why.

use bytes::Bytes;
use prost::Message as _;

use super::engine::{Commit, EngineError};
use super::erasures::StoredReceipt;
use super::group::Group;
use super::index::{FeedNo, Position};
use super::rows::{ErasedRow, ReceiptRow};
use super::state::read_leaf;
use super::writer::Writer;
use super::{StoreError, damaged, keys, segment};
use crate::domain::{Actor, AuditKind, AuditRecord, FeedId, PseudonymSet, Seq};
use crate::feed::{Body, Entry, EntryBytes, ErasureReceipt, Hash, Leaf};

/// Segments that are written anew in one commit: at most 8 MiB.
const SEGMENTS_PER_COMMIT: usize = 64;

/// An erasure that is being carried out.
pub(super) struct Erasing {
    at: Position,
    /// What it names and is not removed yet, ascending.
    left: Vec<Seq>,
}

/// A segment without what is erased.
struct Redacted {
    number: u64,
    leaves: Vec<Leaf>,
    /// What this node understood of what it erased.
    forgotten: Vec<Forgotten>,
}

/// What an entry said.
struct Forgotten {
    seq: Seq,
    body: Body,
    /// Of a signal that stood until now: the rekeyings that counted.
    rekeyings: Vec<(Seq, Vec<PseudonymSet>)>,
}

impl Writer {
    /// Whether something is to be removed.
    pub(super) fn has_to_erase(&self) -> bool {
        !self.is_suspended() && (self.erasing.is_some() || self.shared.state.read().erasures.next().is_some())
    }

    /// Removes some of what is to be removed. A failure suspends writing.
    pub(super) fn erase_some(&mut self) {
        if self.has_to_erase()
            && let Err(error) = self.try_erase()
        {
            self.erasing = None;
            self.suspend(&error);
        }
    }

    fn try_erase(&mut self) -> Result<(), EngineError> {
        let Some(mut erasing) = self.next_erasing()? else { return Ok(()) };
        let mut commit = Commit::default();
        let mut redacted = Vec::new();
        while redacted.len() < SEGMENTS_PER_COMMIT
            && let Some(first) = erasing.left.first()
        {
            let number = segment::number_of(*first);
            let end = erasing.left.partition_point(|seq| segment::number_of(*seq) == number);
            let named: Vec<Seq> = erasing.left.drain(..end).collect();
            redacted.extend(self.redact(erasing.at.feed(), number, &named, Leaf::Erased)?);
        }
        put_segments(erasing.at.feed(), &redacted, &mut commit)?;
        let done = erasing.left.is_empty();
        let row = done.then(|| self.shared.state.read().erasures.removed(erasing.at, self.shared.clock.now()));
        if let Some(row) = &row {
            commit.put(keys::erased(erasing.at.feed()), row.encode_to_vec());
        }
        self.shared.engine.commit(commit)?;
        self.forget(erasing.at.feed(), redacted, row);
        self.erasing = (!done).then_some(erasing);
        Ok(())
    }

    fn next_erasing(&mut self) -> Result<Option<Erasing>, EngineError> {
        if let Some(erasing) = self.erasing.take() {
            return Ok(Some(erasing));
        }
        let Some(at) = self.shared.state.read().erasures.next() else { return Ok(None) };
        // Hints that tell of the erasure need not be thrown away after a crash.
        let last = self.shared.state.write().all_hints();
        self.hints.append(last);
        let entry = read_leaf(&self.shared.engine, at.feed(), at.seq())?.map(|leaf| leaf.read());
        let Some(Ok(Entry { body: Body::Erasure(erasure), .. })) = entry else {
            return Err(EngineError::Damaged("an erasure is missing".into()));
        };
        let left = erasure.entries.into_iter().filter(|seq| *seq < at.seq()).collect();
        Ok(Some(Erasing { at, left }))
    }

    /// The segment without what is `named` in it, of which `left` stays; `None` where nothing of that is there.
    fn redact(&self, no: FeedNo, number: u64, named: &[Seq], left: fn(Hash) -> Leaf) -> Result<Option<Redacted>, EngineError> {
        let damaged = || EngineError::Damaged("a segment cannot be read".into());
        let value = self.shared.engine.get(&keys::segment(no, number))?.ok_or_else(damaged)?;
        let mut leaves = segment::unpack(&value).map_err(|_| damaged())?;
        let (mut forgotten, mut changed) = (Vec::new(), false);
        for seq in named {
            let leaf = leaves.get_mut(segment::place_of(*seq)).ok_or_else(damaged)?;
            match leaf.read() {
                Ok(entry) if !entry.body.is_erasable() => continue,
                Ok(entry) => forgotten.push(self.last_of(no, *seq, entry.body)?),
                Err(_) => {}
            }
            let gone = left(leaf.hash());
            changed |= *leaf != gone;
            *leaf = gone;
        }
        Ok(changed.then_some(Redacted { number, leaves, forgotten }))
    }

    /// What is to be known of an entry before its content goes, and before that of its rekeyings does, which stand after it.
    fn last_of(&self, no: FeedNo, seq: Seq, body: Body) -> Result<Forgotten, EngineError> {
        Ok(Forgotten { seq, body, rekeyings: self.shared.stored_rekeyings(no, seq)? })
    }

    /// Drops from memory what is gone from disk.
    fn forget(&mut self, no: FeedNo, redacted: Vec<Redacted>, row: Option<ErasedRow>) {
        let shared = self.shared.clone();
        shared.segments.clear();
        let mut state = shared.state.write();
        let Some(feed) = state.feeds.get(&no).map(|record| record.id.clone()) else { return };
        for Redacted { number, leaves, forgotten } in redacted {
            if let Some(tip) = self.tips.get_mut(&feed) {
                tip.replace(number, &leaves);
            }
            for Forgotten { seq, body, rekeyings } in forgotten {
                state.expire(Position::new(no, seq), &feed, body, rekeyings);
            }
        }
        if let Some(row) = row {
            state.erasures.set(no, row);
        }
        drop(state);
        shared.announce();
    }

    /// Removes content of another member's feed whose time has ended. The hints still hold parts of it: the next open reads the log.
    pub(super) fn expire(&mut self, feed: &FeedId, mut seqs: Vec<Seq>) -> Result<usize, StoreError> {
        if self.is_suspended() {
            return Err(StoreError::unwritable(&EngineError::Suspended));
        }
        let shared = self.shared.clone();
        let (no, size) = {
            let state = shared.state.read();
            let Some(no) = state.number(feed).filter(|_| feed.member != shared.member) else { return Ok(0) };
            (no, state.feed(feed).map_or(Seq::ZERO, |record| record.frontier.size()))
        };
        seqs.retain(|seq| *seq < size);
        seqs.sort_unstable();
        self.hints.discard();
        self.try_expire(no, &seqs).map_err(|error| {
            self.suspend(&error);
            StoreError::unwritable(&error)
        })
    }

    fn try_expire(&mut self, no: FeedNo, seqs: &[Seq]) -> Result<usize, EngineError> {
        let mut expired = 0;
        for part in seqs.chunks(SEGMENTS_PER_COMMIT) {
            let mut redacted = Vec::new();
            for named in part.chunk_by(|a, b| segment::number_of(*a) == segment::number_of(*b)) {
                redacted.extend(self.redact(no, segment::number_of(named[0]), named, Leaf::Expired)?);
            }
            expired += redacted.iter().map(|redacted| redacted.forgotten.len()).sum::<usize>();
            let row = self.shared.state.read().erasures.expired(no, self.shared.clock.now());
            let mut commit = Commit::default();
            put_segments(no, &redacted, &mut commit)?;
            commit.put(keys::erased(no), row.encode_to_vec());
            self.shared.engine.commit(commit)?;
            self.forget(no, redacted, Some(row));
        }
        Ok(expired)
    }

    /// Puts back content that is missing, as far as it is what was signed; derived state is built anew with it.
    pub(super) fn stage_fill(
        &mut self,
        feed: &FeedId,
        mut entries: Vec<(Seq, EntryBytes)>,
        group: &mut Group,
    ) -> Result<usize, StoreError> {
        let shared = self.shared.clone();
        let no = {
            let state = shared.state.read();
            let (Some(no), Some(record)) = (state.number(feed), state.feed(feed)) else { return Ok(0) };
            entries.retain(|(seq, _)| record.view.is_missing(*seq));
            no
        };
        // What grows in the same group writes the last segment, too, and would undo it.
        if group.has_grown(feed) {
            return Ok(0);
        }
        entries.sort_unstable_by_key(|(seq, _)| *seq);
        let mut filled = 0;
        // Staged once all of it was read: a read that fails leaves nothing behind.
        let mut segments = Vec::new();
        for of_segment in entries.chunk_by(|(a, _), (b, _)| segment::number_of(*a) == segment::number_of(*b)) {
            let key = keys::segment(no, segment::number_of(of_segment[0].0));
            let value = shared.engine.get(&key).map_err(|error| StoreError::unreadable(&error))?;
            let mut leaves = segment::unpack(&value.ok_or_else(|| damaged("a segment"))?).map_err(|_| damaged("a segment"))?;
            for (seq, bytes) in of_segment {
                if let Some(leaf) = leaves.get_mut(segment::place_of(*seq))
                    && *leaf == Leaf::Erased(bytes.leaf_hash())
                {
                    *leaf = bytes.clone().into();
                    filled += 1;
                }
            }
            segments.push((key, segment::pack(&leaves)));
        }
        segments.into_iter().try_for_each(|(key, segment)| group.put(key, segment))?;
        if filled > 0
            && let Some((first, _)) = entries.first()
        {
            // There may be erasures among them: what was carried out beyond is carried out again.
            let row = shared.state.read().erasures.back_to(no, *first);
            group.commit.put(keys::erased(no), row.encode_to_vec());
        }
        group.rebuild_after(filled > 0);
        Ok(filled)
    }

    /// Keeps a receipt, unless one that says more is kept.
    pub(super) fn stage_receipt(&self, receipt: ErasureReceipt, note: Bytes, group: &mut Group) {
        let state = self.shared.state.read();
        let Some(no) = state.number(&receipt.feed) else { return };
        let ErasureReceipt { holder, progress, .. } = &receipt;
        let says_more =
            |held: &StoredReceipt| (held.progress.removed, held.progress.purged) > (progress.removed, progress.purged);
        if state.erasures.receipt(no, holder).is_some_and(says_more) {
            return;
        }
        let row = ReceiptRow { progress: (&receipt).into(), note: note.clone() };
        group.commit.put(keys::receipt(no, holder), row.encode_to_vec());
        group.receipts.push((no, holder.clone(), StoredReceipt { progress: *progress, note }));
    }

    /// Writes the files anew without what was removed; on whose behalf is noted with it.
    pub(super) fn purge(&mut self, actor: Option<Actor>) -> Result<bool, StoreError> {
        let shared = self.shared.clone();
        while self.has_to_erase() {
            self.erase_some();
        }
        if self.is_suspended() || !shared.state.read().erasures.is_purge_due() {
            return Ok(false);
        }
        self.redact_hints();
        shared.engine.rewrite().map_err(|error| {
            // The files that are there stay in use, unless they could not be opened again.
            if !shared.engine.is_open() {
                self.suspend(&error);
            }
            StoreError::unwritable(&error)
        })?;
        let at = shared.clock.now();
        let rows = shared.state.read().erasures.purged(at);
        let mut group = Group { at, ..Group::default() };
        let (kind, reference) = (AuditKind::Purge, String::new());
        group.audit.extend(actor.map(|actor| AuditRecord { at, actor, kind, reference, count: 1 }));
        self.finish_audit(&mut group);
        rows.iter().for_each(|(no, row)| group.commit.put(keys::erased(*no), row.encode_to_vec()));
        shared.engine.commit(group.commit).map_err(|error| {
            self.suspend(&error);
            StoreError::unwritable(&error)
        })?;
        let mut state = shared.state.write();
        rows.into_iter().for_each(|(no, row)| state.erasures.set(no, row));
        drop(state);
        shared.announce();
        Ok(true)
    }

    fn redact_hints(&mut self) {
        let shared = self.shared.clone();
        let last = shared.state.write().all_hints();
        self.hints.append(last);
        let state = shared.state.read();
        self.hints.redact(|no, seq| state.casebook.erased(no).is_some_and(|erased| erased.contains(seq.get())));
    }
}

fn put_segments(no: FeedNo, redacted: &[Redacted], commit: &mut Commit) -> Result<(), EngineError> {
    for Redacted { number, leaves, .. } in redacted {
        commit.put(keys::segment(no, *number), segment::pack(leaves).map_err(EngineError::Io)?);
    }
    Ok(())
}
