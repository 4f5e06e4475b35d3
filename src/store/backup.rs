//! A copy of all rows of a store that goes on being written to, as of one moment: its end.
//!
//! First all rows are read in the order of their keys, and meanwhile the engine notes which keys commits touch. These are read again,
//! and what was touched while they were, until few are left; the last ones the writer reads itself, between two commits. Whoever puts
//! the pieces into an empty store in their order has the store as it was then. Nothing waits but for the last piece.
//!
//! Where a reader breaks off, the node remembers for a while what was touched, and the reader goes on after the last key that it kept.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use prost::Message as _;

use super::engine::{Commit, Engine, EngineError, Pair};
use super::request::Request;
use super::rows::{PairRow, PieceRow};
use super::writer::Writer;
use super::{Shared, Store, StoreError, keys};
use crate::domain::limits::{BACKUP_RESUME_WITHIN, MAX_BACKUP_CHANGES, MAX_BACKUP_LAST_ROWS, MAX_BACKUP_PIECE_BYTES};
use crate::domain::{FieldError, Timestamp};

/// Names a backup from its begin to its end: 16 random bytes, 32 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupId([u8; 16]);

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for BackupId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let invalid =
            || FieldError::new("BACKUP_ID_INVALID", "backup", "give the 32 hexadecimal digits that the backup was begun with");
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(invalid)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Where a reader goes on that broke off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlace {
    /// Which backup.
    pub id: BackupId,
    /// The last key that it kept of the rows that come in order.
    pub after: Vec<u8>,
}

/// Rows, in their order. Later ones take the place of earlier ones with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    pub(super) pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Nothing comes after it.
    is_last: bool,
    is_in_order: bool,
}

impl Piece {
    #[cfg(test)]
    pub(super) fn of(pairs: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Self {
        Self { pairs, ..Self::default() }
    }

    fn in_order(pairs: Vec<Pair>) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key, Some(value))).collect();
        Self { pairs, is_last: false, is_in_order: true }
    }

    /// How many.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.pairs.len()
    }

    /// Whether the backup is whole with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.is_last
    }

    /// After which key a reader that has kept it goes on; `None` once that is no more than the beginning of what changed.
    #[must_use]
    pub fn until(&self) -> Option<&[u8]> {
        self.pairs.last().filter(|_| self.is_in_order).map(|(key, _)| &**key)
    }

    /// Its rows as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pairs = self.pairs.iter().map(|(key, value)| PairRow { key: key.clone(), value: value.clone() });
        PieceRow { pairs: pairs.collect() }.encode_to_vec()
    }

    /// Rows that [`Self::encode`] made; `None` where it did not make these bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        Self::received(bytes, false)
    }

    /// The same, which came in the order of their keys or did not.
    #[must_use]
    pub fn received(bytes: &[u8], is_in_order: bool) -> Option<Self> {
        let pairs = PieceRow::decode(bytes).ok()?.pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
        Some(Self { pairs, is_last: false, is_in_order })
    }
}

/// When a backup came to its end last; `None` for never.
pub(super) fn backed_up_at(engine: &Engine) -> Result<Option<Timestamp>, EngineError> {
    let row = engine.get(&keys::backed_up())?.and_then(|row| row.try_into().ok());
    Ok(row.map(|ms| Timestamp::from_unix_ms(i64::from_be_bytes(ms))))
}

/// What the store remembers of a backup.
pub(super) struct Session {
    id: BackupId,
    /// What was touched and read again, or is about to be.
    touched: BTreeSet<Vec<u8>>,
    is_read: bool,
    rested_at: Timestamp,
}

/// A backup that is being read.
pub struct Backup {
    lease: Lease,
    stage: Stage,
}

/// That somebody reads a backup. Given up when dropped, also on the way to whoever asked for it and has gone.
pub(super) struct Lease {
    shared: Arc<Shared>,
    id: BackupId,
}

enum Stage {
    /// Rows in order, after this key.
    InOrder(Vec<u8>),
    /// What was touched meanwhile.
    Touched(BTreeSet<Vec<u8>>),
}

/// The last rows, and the keys that are left where they were too many.
pub(super) type LastRows = (Piece, BTreeSet<Vec<u8>>);

impl Store {
    /// Begins a backup, or goes on with one that broke off. One that rests is given up for one that begins.
    ///
    /// # Errors
    /// [`StoreError::BackupRunning`], [`StoreError::BackupEnded`], [`StoreError::Unwritable`].
    pub async fn back_up(&self, place: Option<BackupPlace>) -> Result<Backup, StoreError> {
        let (id, after) = place.map_or((None, Vec::new()), |place| (Some(place.id), place.after));
        let lease = self.request(|reply| Request::BeginBackup(id, reply)).await?;
        Ok(Backup { lease, stage: Stage::InOrder(after) })
    }

    /// The last rows of a backup that has no others any more: of all that was touched, what it is now. Where it was too much, there
    /// are others again.
    ///
    /// # Errors
    /// [`StoreError::BackupEnded`], [`StoreError::Unwritable`].
    pub async fn end_backup(&self, backup: &mut Backup) -> Result<Piece, StoreError> {
        let left = match &mut backup.stage {
            Stage::Touched(left) => std::mem::take(left),
            Stage::InOrder(_) => return Err(StoreError::BackupEnded),
        };
        let id = backup.lease.id;
        let (piece, left) = self.request(|reply| Request::EndBackup(id, left, reply)).await?;
        backup.stage = Stage::Touched(left);
        Ok(piece)
    }
}

impl Backup {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> BackupId {
        self.lease.id
    }

    /// The next rows, about [`MAX_BACKUP_PIECE_BYTES`] of them; `None` where only the last ones are left, see [`Store::end_backup`].
    /// Reads from disk.
    ///
    /// # Errors
    /// [`StoreError::BackupOutrun`], [`StoreError::BackupEnded`], [`StoreError::Unreadable`].
    pub fn next_piece(&mut self) -> Result<Option<Piece>, StoreError> {
        let Lease { shared, id } = &self.lease;
        let engine = &shared.engine;
        if let Stage::InOrder(after) = &mut self.stage {
            let pairs = engine.pairs_after(after, MAX_BACKUP_PIECE_BYTES).map_err(|e| StoreError::unreadable(&e))?;
            if let Some((last, _)) = pairs.last() {
                after.clone_from(last);
                return Ok(Some(Piece::in_order(pairs)));
            }
            self.stage = Stage::Touched(shared.touched_of(*id)?);
        }
        let Stage::Touched(left) = &mut self.stage else { return Ok(None) };
        if left.is_empty() {
            *left = shared.newly_touched_of(*id)?;
        }
        if left.len() <= MAX_BACKUP_LAST_ROWS {
            return Ok(None);
        }
        shared.read_again(left).map(Some)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(session) = self.shared.backup.lock().as_mut().filter(|session| session.id == self.id) {
            session.is_read = false;
            session.rested_at = self.shared.clock.now();
        }
    }
}

impl Shared {
    /// All that was touched since the backup was begun.
    fn touched_of(&self, id: BackupId) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        self.newly_touched_of(id)?;
        let session = self.backup.lock();
        session
            .as_ref()
            .filter(|session| session.id == id)
            .map(|session| session.touched.clone())
            .ok_or(StoreError::BackupEnded)
    }

    /// What was touched since it was asked for last.
    fn newly_touched_of(&self, id: BackupId) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut session = self.backup.lock();
        let session = session.as_mut().filter(|session| session.id == id).ok_or(StoreError::BackupEnded)?;
        let touched = self.engine.noted.take().ok_or(StoreError::BackupOutrun)?;
        session.touched.extend(touched.iter().cloned());
        if session.touched.len() > MAX_BACKUP_CHANGES { Err(StoreError::BackupOutrun) } else { Ok(touched) }
    }

    /// What stands under the first of these keys now, about a piece of it; takes them out.
    fn read_again(&self, left: &mut BTreeSet<Vec<u8>>) -> Result<Piece, StoreError> {
        let (mut piece, mut bytes) = (Piece::default(), 0);
        while bytes < MAX_BACKUP_PIECE_BYTES
            && let Some(key) = left.pop_first()
        {
            let value = self.engine.get(&key).map_err(|error| StoreError::unreadable(&error))?;
            bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            piece.pairs.push((key, value));
        }
        Ok(piece)
    }

    /// Forgets a backup with which nobody went on for long.
    pub(super) fn give_up_backup(&self, now: Timestamp) {
        let mut session = self.backup.lock();
        let is_over = |session: &Session| !session.is_read && now.since(session.rested_at) > BACKUP_RESUME_WITHIN;
        if session.as_ref().is_some_and(is_over) {
            *session = None;
            self.engine.noted.end();
        }
    }
}

impl Writer {
    pub(super) fn may_begin_backup(&self, resumed: Option<BackupId>) -> Result<(), StoreError> {
        match (&*self.shared().backup.lock(), resumed) {
            (Some(session), _) if session.is_read => Err(StoreError::BackupRunning),
            (Some(session), Some(id)) if session.id == id => Ok(()),
            (_, None) => Ok(()),
            (_, Some(_)) => Err(StoreError::BackupEnded),
        }
    }

    pub(super) fn begin_backup(&self, resumed: Option<BackupId>) -> Result<Lease, StoreError> {
        self.may_begin_backup(resumed)?;
        let shared = self.shared();
        let mut session = shared.backup.lock();
        if let (Some(rested), Some(id)) = (&mut *session, resumed) {
            rested.is_read = true;
            return Ok(Lease { shared: shared.clone(), id });
        }
        let mut id = [0; 16];
        self.entropy.fill(&mut id).map_err(|error| StoreError::Unwritable { code: "ENTROPY", detail: error.to_string() })?;
        let id = BackupId(id);
        shared.engine.noted.begin();
        *session = Some(Session { id, touched: BTreeSet::new(), is_read: true, rested_at: shared.clock.now() });
        Ok(Lease { shared: shared.clone(), id })
    }

    /// Keeps when it was, for whoever looks after the node.
    fn note_backed_up(&mut self) -> Result<(), StoreError> {
        let shared = self.shared().clone();
        let now = shared.clock.now();
        let mut commit = Commit::default();
        commit.put(keys::backed_up(), now.unix_ms().to_be_bytes().to_vec());
        shared.engine.commit(commit).map_err(|error| {
            self.suspend(&error);
            StoreError::unwritable(&error)
        })?;
        *shared.backed_up_at.lock() = Some(now);
        Ok(())
    }

    /// Between two commits.
    pub(super) fn end_backup(&mut self, id: BackupId, mut left: BTreeSet<Vec<u8>>) -> Result<LastRows, StoreError> {
        let shared = self.shared().clone();
        if self.is_suspended() {
            // What the failed commit has left behind is not known before the store is opened anew.
            let problem = shared.problem().map(|problem| (problem.code, problem.detail));
            let (code, detail) = problem.unwrap_or(("STORE_SUSPENDED", "nothing can be written now".to_owned()));
            return Err(StoreError::Unwritable { code, detail });
        }
        left.extend(shared.newly_touched_of(id)?);
        let mut piece = shared.read_again(&mut left)?;
        piece.is_last = left.is_empty();
        if piece.is_last {
            *shared.backup.lock() = None;
            shared.engine.noted.end();
            self.note_backed_up()?;
        }
        Ok((piece, left))
    }
}
