//! Erasures, and how far this node has carried them out.
//!
//! What an erasure names counts for nothing from the moment it is taken in. Its content goes in two steps, which every node takes
//! by itself and in the order of the feed:
//!
//! - *removed*: the segments that held it are written anew with its leaf hash, and what was kept of it in memory is dropped.
//!   Nothing reads it any more. A moment after the erasure, some segments at a time, between commits.
//! - *purged*: the database and the hints beside it are written anew without it, and the old files are overwritten with zeros before
//!   they are removed, because sled leaves old pages in the free room of its file, and the hints hold eight bytes of each pseudonym.
//!   When whoever runs the store asks for it, since it takes as long as copying the store does.
//!
//! What other members' feeds hold beyond its time is removed in the same two steps, without an erasure: the member may have left.
//!
//! What nobody can promise: a file system that copies on write, a disk that moves its blocks (as flash does), a snapshot or a
//! backup of the volume keep what was once written for as long as they do.
//!
//! How far a feed has come is kept as a row; a crash at any line leaves work that is done again and is the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use super::engine::Engine;
use super::index::{FeedNo, Position};
use super::request::Request;
use super::rows::{ErasedRow, ReceiptRow};
use super::{OpenError, Store, StoreError, keys};
use crate::domain::{ErasureProgress, FeedId, MemberId, Seq, SignalRef, Timestamp};
use crate::feed::{EntryBytes, ErasureReceipt};

/// A receipt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// How far the holder's node has come.
    pub progress: ErasureProgress,
    /// What it signed.
    pub note: Bytes,
}

/// Of one feed.
#[derive(Default)]
struct OfFeed {
    /// Where its erasures stand, ascending.
    all: Vec<Seq>,
    row: ErasedRow,
    /// What other members' nodes have said, of an own feed.
    receipts: BTreeMap<MemberId, StoredReceipt>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Erasures(BTreeMap<FeedNo, OfFeed>);

impl Erasures {
    /// Takes in how far things are.
    pub(super) fn load(&mut self, engine: &Engine) -> Result<(), OpenError> {
        engine.scan(&keys::all_erased(), |key, value| {
            let damaged = || OpenError::damaged("the row of a feed's erasures");
            let no = keys::read_feed(key).ok_or_else(damaged)?;
            self.0.entry(no).or_default().row = ErasedRow::decode(value).map_err(|_| damaged())?;
            Ok::<_, OpenError>(())
        })?;
        engine.scan(&keys::all_receipts(), |key, value| {
            let damaged = || OpenError::damaged("a receipt");
            let (no, holder) = keys::read_receipt(key).ok_or_else(damaged)?;
            let row = ReceiptRow::decode(value).map_err(|_| damaged())?;
            let receipt = StoredReceipt { progress: read_progress(&row.progress), note: row.note };
            self.0.entry(no).or_default().receipts.insert(holder, receipt);
            Ok(())
        })
    }

    /// A receipt as it is on disk now.
    pub(super) fn set_receipt(&mut self, no: FeedNo, holder: MemberId, receipt: StoredReceipt) {
        self.0.entry(no).or_default().receipts.insert(holder, receipt);
    }

    /// What a member's node has said of a feed.
    pub(super) fn receipt(&self, no: FeedNo, holder: &MemberId) -> Option<&StoredReceipt> {
        self.0.get(&no)?.receipts.get(holder)
    }

    /// There is an erasure at `at`, the last one of its feed.
    pub(super) fn note(&mut self, at: Position) {
        self.0.entry(at.feed()).or_default().all.push(at.seq());
    }

    /// The first erasure of any feed that is not carried out.
    pub(super) fn next(&self) -> Option<Position> {
        self.0.iter().find_map(|(no, feed)| Some(Position::new(*no, *feed.left().first()?)))
    }

    /// The row of a feed once the erasure at `at` is carried out.
    pub(super) fn removed(&self, at: Position, now: Timestamp) -> ErasedRow {
        let row = self.row(at.feed());
        ErasedRow { removed: at.seq().plus(1).get(), removed_at_ms: now.unix_ms(), ..row }
    }

    /// The row of a feed of which content was removed because its time had ended.
    pub(super) fn expired(&self, no: FeedNo, now: Timestamp) -> ErasedRow {
        let row = self.row(no);
        // After the last purge, also where the clock stands still or was set back.
        ErasedRow { expired_at_ms: now.unix_ms().max(row.purged_at_ms + 1), ..row }
    }

    /// The row of a feed where an erasure at `seq` or after it may not have been carried out.
    pub(super) fn back_to(&self, no: FeedNo, seq: Seq) -> ErasedRow {
        let row = self.row(no);
        ErasedRow { removed: row.removed.min(seq.get()), purged: row.purged.min(seq.get()), ..row }
    }

    /// The rows of the feeds of which something is removed and not purged, once it is.
    pub(super) fn purged(&self, now: Timestamp) -> Vec<(FeedNo, ErasedRow)> {
        let due = self.0.iter().filter(|(_, feed)| feed.row.is_purge_due());
        due.map(|(no, feed)| (*no, feed.row.purged_at(now))).collect()
    }

    /// Whether something is removed and not purged.
    pub(super) fn is_purge_due(&self) -> bool {
        self.0.values().any(|feed| feed.row.is_purge_due())
    }

    /// When something was purged last; the epoch where nothing was.
    pub(super) fn last_purge(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.values().map(|feed| feed.row.purged_at_ms).max().unwrap_or_default())
    }

    /// A row as it is on disk now.
    pub(super) fn set(&mut self, no: FeedNo, row: ErasedRow) {
        self.0.entry(no).or_default().row = row;
    }

    /// Where the erasures of a feed stand.
    pub(super) fn of(&self, no: FeedNo) -> &[Seq] {
        self.0.get(&no).map_or(&[], |feed| &feed.all)
    }

    /// How far those of a feed are carried out; `None` where there are none.
    pub(super) fn progress(&self, no: FeedNo) -> Option<ErasureProgress> {
        Some(read_progress(&self.0.get(&no).filter(|feed| !feed.all.is_empty())?.row))
    }

    fn row(&self, no: FeedNo) -> ErasedRow {
        self.0.get(&no).map(|feed| feed.row).unwrap_or_default()
    }
}

impl Store {
    /// Whether an erasure names the entry. In memory.
    #[must_use]
    pub fn is_erased(&self, entry: &SignalRef) -> bool {
        self.shared.is_erased(&entry.feed, entry.seq)
    }

    /// Entries of a feed whose content is missing though no erasure names them, at most `count`. In memory.
    #[must_use]
    pub fn missing(&self, feed: &FeedId, count: usize) -> Vec<Seq> {
        let state = self.shared.state.read();
        state.feed(feed).map_or_else(Vec::new, |record| record.view.first_missing(count).collect())
    }

    /// Where the erasures of a feed stand, ascending. In memory.
    #[must_use]
    pub fn erasures(&self, feed: &FeedId) -> Vec<Seq> {
        let state = self.shared.state.read();
        state.number(feed).map_or_else(Vec::new, |no| state.erasures.of(no).to_vec())
    }

    /// How far this node has carried out the erasures of a feed; `None` where there are none. In memory.
    #[must_use]
    pub fn erasure_progress(&self, feed: &FeedId) -> Option<ErasureProgress> {
        let state = self.shared.state.read();
        state.erasures.progress(state.number(feed)?)
    }

    /// What another member's node has signed of its copy of an own feed. In memory.
    #[must_use]
    pub fn receipt(&self, feed: &FeedId, holder: &MemberId) -> Option<StoredReceipt> {
        let state = self.shared.state.read();
        state.erasures.receipt(state.number(feed)?, holder).cloned()
    }

    /// Keeps what another member's node has signed of its copy of a feed, in the place of what it signed before. Whether it is rightly
    /// signed is the caller's to know.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn put_receipt(&self, receipt: ErasureReceipt, note: Bytes) -> Result<(), StoreError> {
        self.request(|reply| Request::PutReceipt(Box::new(receipt), note, reply)).await
    }

    /// Since when something that was removed is to be purged, and when the last purge was; `None` where nothing is. In memory.
    #[must_use]
    pub fn purge_due(&self) -> Option<Timestamp> {
        let state = self.shared.state.read();
        state.erasures.is_purge_due().then(|| state.erasures.last_purge())
    }

    /// Writes the files anew without what erasures have removed; false where there is nothing of that kind. Takes as long as copying the
    /// store does, and as much room; nothing is committed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] where there is no room. The store goes on as it was.
    pub async fn purge(&self) -> Result<bool, StoreError> {
        self.request(Request::Purge).await
    }

    /// Removes content of another member's feed whose time has ended, 1 to 1,024 entries; whether it has is the caller's to know. Gives how
    /// many were removed.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`], [`StoreError::Unreadable`].
    pub async fn expire(&self, feed: FeedId, seqs: Vec<Seq>) -> Result<usize, StoreError> {
        self.request(|reply| Request::Expire(feed, seqs, reply)).await
    }

    /// Puts back content of entries that is missing though no erasure names them. What is not the content that was signed is passed
    /// over. Gives how many came back.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn fill(&self, feed: FeedId, entries: Vec<(Seq, EntryBytes)>) -> Result<usize, StoreError> {
        self.request(|reply| Request::Fill(feed, entries, reply)).await
    }
}

impl ErasedRow {
    /// The same, once the files were written anew.
    fn purged_at(self, now: Timestamp) -> Self {
        Self { purged: self.removed, purged_at_ms: now.unix_ms().max(self.expired_at_ms), ..self }
    }
}

fn read_progress(row: &ErasedRow) -> ErasureProgress {
    ErasureProgress {
        removed: Seq::new(row.removed),
        removed_at: Timestamp::from_unix_ms(row.removed_at_ms),
        purged: Seq::new(row.purged),
        purged_at: Timestamp::from_unix_ms(row.purged_at_ms),
    }
}

impl From<&ErasureReceipt> for ErasedRow {
    fn from(ErasureReceipt { progress, .. }: &ErasureReceipt) -> Self {
        Self {
            removed: progress.removed.get(),
            removed_at_ms: progress.removed_at.unix_ms(),
            purged: progress.purged.get(),
            purged_at_ms: progress.purged_at.unix_ms(),
            expired_at_ms: 0,
        }
    }
}

impl OfFeed {
    /// Those that are not carried out.
    fn left(&self) -> &[Seq] {
        let done = self.all.partition_point(|seq| seq.get() < self.row.removed);
        self.all.get(done..).unwrap_or_default()
    }
}
