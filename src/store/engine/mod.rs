//! What the store asks of whatever keeps its rows.
//!
//! There are two: sled on a volume, which every node runs on, and a disk that is modelled in memory and fails where it is told to,
//! for whoever wants to see what a failure at any step leaves behind. Nothing above this border knows which one it has. Rows are
//! bytes under bytes, in the order of their keys; a commit is durable whole or not at all.

mod model;
mod noted;
mod on_sled;

use std::io;
use std::ops::{ControlFlow, Deref};
use std::path::Path;

pub use model::{DiskFault, FaultKind, ModelDisk, Moment, Remains};
pub(super) use on_sled::{ROOM_TO_COMMIT, wipe_file};

use super::keys;
use model::ModelEngine;
use noted::Noted;
use on_sled::SledEngine;

/// Bytes of the largest value that may be put: a leaf full of such values is below a quarter of one of sled's segments.
pub(super) const MAX_VALUE_BYTES: usize = 192 * 1_024;
/// Bytes of each part of a large value.
const PART_BYTES: usize = 128 * 1_024;

/// Why the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another process has the store open.
    #[error("another process has this store open; stop it first, or use another data folder")]
    InUse,
    /// The volume is full.
    #[error("the store's volume is full; free some space, writing resumes by itself")]
    Full(#[source] io::Error),
    /// The files cannot be read as a store.
    #[error("the store is damaged; restore it from a backup, or from the other members")]
    Damaged(String),
    /// The operating system refused.
    #[error("the store's files cannot be used; look after the disk, then start the node again")]
    Io(#[source] io::Error),
    /// An earlier write failed, and the store has not been opened anew yet.
    #[error("writing is suspended since an earlier failure")]
    Suspended,
}

impl EngineError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse => "STORE_IN_USE",
            Self::Full(_) => "STORE_FULL",
            Self::Damaged(_) => "STORE_DAMAGED",
            Self::Io(_) => "STORE_IO",
            Self::Suspended => "STORE_SUSPENDED",
        }
    }
}

/// A key, and what becomes of the value under it: `None` where it is removed.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// Puts and removals that become durable together or not at all. Of several for one key, the last one counts.
#[derive(Default)]
pub(super) struct Commit(Vec<Change>);

impl Commit {
    /// Puts a value of at most [`MAX_VALUE_BYTES`].
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!(value.len() <= MAX_VALUE_BYTES, "{} bytes", value.len());
        self.0.push((key, Some(value)));
    }

    /// Puts a value of any size, in parts beside `key`. To be read by [`Engine::get_large`].
    pub(super) fn put_large(&mut self, key: &[u8], value: &[u8]) {
        let parts = parts_of(value.len());
        self.put(key.to_vec(), parts.to_be_bytes().to_vec());
        for (part, bytes) in (0..parts).zip(value.chunks(PART_BYTES)) {
            self.put(keys::part(key, part), bytes.to_vec());
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), None));
    }

    /// Removes a value that was put in `parts`.
    pub(super) fn remove_large(&mut self, key: &[u8], parts: u32) {
        self.remove(key);
        (0..parts).for_each(|part| self.remove(&keys::part(key, part)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn into_changes(self) -> Vec<Change> {
        self.0
    }
}

/// Parts of a large value of `len` bytes.
pub(super) fn parts_of(len: usize) -> u32 {
    u32::try_from(len.div_ceil(PART_BYTES)).unwrap_or(u32::MAX)
}

/// Parts of a large value by the row under its key.
pub(super) fn read_parts(row: &[u8]) -> Option<u32> {
    row.try_into().ok().map(u32::from_be_bytes)
}

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Is shown one pair after the other until it breaks.
type Visitor<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// Keeps rows. Whoever commits is one; many read at the same time, also while a commit is being made, and also from within a visit.
///
/// After a failed commit nothing more is committed before [`Self::reopen`]; what it held may be there or not, whole, and reads may
/// show it or not until then.
pub(super) trait Backing: Send + Sync {
    /// Closes the files and lets other processes have them. Nothing is read or written any more.
    fn close(&self);

    /// Opens the files anew after the volume ran full, in the room of the ballast; without one, the handle at hand is what still
    /// reads, and it stays.
    fn reopen_in_ballast(&self) -> Result<(), EngineError>;

    /// Whether anything can be read.
    fn is_open(&self) -> bool;

    /// Drops the handle and opens the files anew. Gives the ballast back where the volume is full.
    fn reopen(&self) -> Result<(), EngineError>;

    /// Writes all that is there into new files, takes them into use and destroys the old ones, which still hold what was removed.
    /// Nothing may be committed meanwhile; reads go on but for a moment. An error before the new files are whole leaves the old
    /// ones in use.
    fn rewrite(&self) -> Result<(), EngineError>;

    /// Applies `commit`, and returns once it survives a power cut.
    fn commit(&self, commit: Commit) -> Result<(), EngineError>;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// The first pair at or after `from` whose key starts with `prefix`.
    fn first_from(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Pair>, EngineError>;

    /// The last pair at or before `until` whose key starts with `prefix`.
    fn last_until(&self, prefix: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError>;

    /// Visits every pair at or after `from`, in order, until `visit` breaks.
    fn visit(&self, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), EngineError>;

    fn disk_bytes(&self) -> u64;

    fn free_bytes(&self) -> u64;

    /// Whether there is room enough to write again after the volume ran full.
    fn has_room(&self) -> bool;

    /// Sets the ballast aside, where it is not yet: room to open in where the volume has none.
    fn keep_ballast(&self) -> Result<(), EngineError>;
}

/// What keeps the rows of an open store.
pub(super) struct Engine {
    backing: Box<dyn Backing>,
    /// What commits touch, while somebody wants to know.
    pub(super) noted: Noted,
}

impl Deref for Engine {
    type Target = dyn Backing;

    fn deref(&self) -> &Self::Target {
        &*self.backing
    }
}

impl Engine {
    /// Opens or creates sled's files in `folder`.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, EngineError> {
        Ok(Self { backing: Box::new(SledEngine::open(folder, cache_bytes)?), noted: Noted::default() })
    }

    /// Whether there are files of an engine in `folder`.
    pub(super) fn is_in(folder: &Path) -> bool {
        SledEngine::is_in(folder)
    }

    /// Opens what is on a disk in memory.
    pub(super) fn open_model(disk: &ModelDisk) -> Result<Self, EngineError> {
        Ok(Self { backing: Box::new(ModelEngine::open(disk)?), noted: Noted::default() })
    }

    /// As [`Backing::commit`]. What it touches is noted after it is there to be read, and also where it failed: it may be there.
    pub(super) fn commit(&self, commit: Commit) -> Result<(), EngineError> {
        let touched = self.noted.keys_of(&commit);
        let committed = self.backing.commit(commit);
        self.noted.add(touched);
        committed
    }

    /// Pairs after the key `after`, in order: as many as come to about `bytes`, none where there are no more.
    pub(super) fn pairs_after(&self, after: &[u8], bytes: usize) -> Result<Vec<Pair>, EngineError> {
        let (mut pairs, mut taken) = (Vec::new(), 0);
        self.visit(after, &mut |key, value| {
            if key > after {
                taken += key.len() + value.len();
                pairs.push((key.to_vec(), value.to_vec()));
            }
            if taken < bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(pairs)
    }

    /// What [`Commit::put_large`] put.
    pub(super) fn get_large(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let Some(row) = self.get(key)? else { return Ok(None) };
        let damaged = || EngineError::Damaged("a value is not whole".into());
        let mut value = Vec::new();
        for part in 0..read_parts(&row).ok_or_else(damaged)? {
            match self.get(&keys::part(key, part))? {
                Some(bytes) => value.extend(bytes),
                // It may have been removed since its row was read.
                None if self.get(key)?.is_none() => return Ok(None),
                None => return Err(damaged()),
            }
        }
        Ok(Some(value))
    }

    /// Visits every pair whose key starts with `prefix`, in order, until `visit` fails.
    pub(super) fn scan<E: From<EngineError>>(
        &self,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.scan_from(prefix, prefix, visit)
    }

    /// The same, for those at or after `from`.
    pub(super) fn scan_from<E: From<EngineError>>(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = Ok(());
        self.visit(from, &mut |key, value| {
            if !key.starts_with(prefix) {
                return ControlFlow::Break(());
            }
            failed = visit(key, value);
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failed
    }
}
