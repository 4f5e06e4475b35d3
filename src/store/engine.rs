//! sled, and how it is used so that what it acknowledges survives a power cut.
//!
//! This is the only file that names sled's types. sled 0.34.7 ends a flush with `sync_file_range`, which says nothing about
//! the disk's cache or the file's metadata; a commit here therefore forces the file, and any blob file, after the flush.
//! After a failed commit the handle is not trusted: nothing is written through it again, and it is replaced by a fresh open
//! once the volume has room.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

/// Room that is kept back on the volume, because sled cannot open a store on a full disk: eight sled segments of 512 KiB.
const BALLAST_BYTES: usize = 4 * 1_024 * 1_024;
/// Free bytes below which a store that ran full stays read-only: ballast and a few group commits.
const ROOM_TO_RESUME: u64 = 16 * 1_024 * 1_024;
const BALLAST: &str = "ballast";
const DATABASE: &str = "db";
const BLOBS: &str = "blobs";

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
    #[error("the store's files cannot be used")]
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

fn io_error(error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::Full(error),
        _ => EngineError::Io(error),
    }
}

fn sled_error(error: sled::Error) -> EngineError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("acquire lock") => EngineError::InUse,
        sled::Error::Io(error) => io_error(error),
        sled::Error::Corruption { .. } => EngineError::Damaged("a checksum does not match".into()),
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
            EngineError::Damaged(error.to_string())
        }
    }
}

/// Puts and removals that become durable together or not at all.
#[derive(Default)]
pub(super) struct Commit {
    batch: sled::Batch,
    changes: usize,
}

impl Commit {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch.insert(key, value);
        self.changes += 1;
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.batch.remove(key);
        self.changes += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes == 0
    }
}

/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);

/// An open sled database that can be replaced by a fresh open of the same files.
pub(super) struct Engine {
    folder: PathBuf,
    cache_bytes: u64,
    database: RwLock<Option<sled::Db>>,
    blobs_forced_until: Mutex<SystemTime>,
}

impl Engine {
    /// Opens or creates the database in `folder`.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, EngineError> {
        std::fs::create_dir_all(folder).map_err(io_error)?;
        let engine = Self {
            folder: folder.to_owned(),
            cache_bytes,
            database: RwLock::new(None),
            blobs_forced_until: Mutex::new(SystemTime::UNIX_EPOCH),
        };
        engine.reopen()?;
        Ok(engine)
    }

    /// Drops the handle and opens the files anew. Gives the ballast back where the volume is full.
    pub(super) fn reopen(&self) -> Result<(), EngineError> {
        let mut database = self.database.write();
        *database = None;
        let opened = match self.open_database() {
            Err(EngineError::Full(_)) => {
                self.drop_ballast();
                self.open_database()?
            }
            other => other?,
        };
        force(&self.folder)?;
        if let Some(parent) = self.folder.parent() {
            force(parent)?;
        }
        *database = Some(opened);
        Ok(())
    }

    /// sled panics on some damaged files; here that is an error like any other.
    fn open_database(&self) -> Result<sled::Db, EngineError> {
        let config = sled::Config::new()
            .path(self.folder.join("sled"))
            .cache_capacity(self.cache_bytes)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()))
            .map_err(|_| EngineError::Damaged("the database could not be recovered".into()))?
            .map_err(sled_error)
    }

    /// Applies `commit`, and returns once it survives a power cut.
    pub(super) fn commit(&self, commit: Commit) -> Result<(), EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        database.apply_batch(commit.batch).map_err(sled_error)?;
        database.flush().map_err(sled_error)?;
        self.force_files()
    }

    fn force_files(&self) -> Result<(), EngineError> {
        let folder = self.folder.join("sled");
        File::open(folder.join(DATABASE)).and_then(|file| file.sync_data()).map_err(io_error)?;
        self.force_new_blobs(&folder.join(BLOBS))
    }

    /// Blob files are written once; only those newer than the last look need forcing, and the folder that names them.
    fn force_new_blobs(&self, folder: &Path) -> Result<(), EngineError> {
        let changed = match std::fs::metadata(folder).and_then(|m| m.modified()) {
            Ok(changed) => changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error(error)),
        };
        let mut until = self.blobs_forced_until.lock();
        if changed < *until {
            return Ok(());
        }
        for file in std::fs::read_dir(folder).map_err(io_error)? {
            let file = file.map_err(io_error)?;
            let forced = match file.metadata() {
                Ok(meta) if meta.modified().map_err(io_error)? >= *until => force(&file.path()),
                Ok(_) => Ok(()),
                Err(error) => Err(io_error(error)),
            };
            match forced {
                Err(EngineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        force(folder)?;
        *until = changed;
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        Ok(database.get(key).map_err(sled_error)?.map(|value| value.to_vec()))
    }

    /// The first pair at or after `from` whose key starts with `prefix`.
    pub(super) fn first_from(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Pair>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let pair = database.range(from.to_vec()..).next().transpose().map_err(sled_error)?;
        Ok(pair.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    /// The last pair at or before `until` whose key starts with `prefix`.
    pub(super) fn last_until(&self, prefix: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let pair = database.range(..=until.to_vec()).next_back().transpose().map_err(sled_error)?;
        Ok(pair.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    /// Visits every pair whose key starts with `prefix`, in order, until `visit` fails.
    pub(super) fn scan<E: From<EngineError>>(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        for pair in database.scan_prefix(prefix) {
            let (key, value) = pair.map_err(sled_error)?;
            visit(&key, &value)?;
        }
        Ok(())
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        fn below(path: &Path) -> u64 {
            let Ok(entries) = std::fs::read_dir(path) else { return 0 };
            entries
                .flatten()
                .map(|e| match e.metadata() {
                    Ok(meta) if meta.is_dir() => below(&e.path()),
                    Ok(meta) => meta.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        below(&self.folder)
    }

    pub(super) fn free_bytes(&self) -> u64 {
        fs4::available_space(&self.folder).unwrap_or(0)
    }

    /// Whether there is room enough to write again after the volume ran full.
    pub(super) fn has_room(&self) -> bool {
        self.free_bytes() >= ROOM_TO_RESUME
    }

    /// Sets the ballast aside, where it is not yet.
    pub(super) fn keep_ballast(&self) -> Result<(), EngineError> {
        let path = self.folder.join(BALLAST);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == BALLAST_BYTES as u64) {
            return Ok(());
        }
        std::fs::write(&path, vec![0xA5; BALLAST_BYTES]).map_err(io_error)?;
        force(&path)
    }

    fn drop_ballast(&self) {
        if let Err(error) = std::fs::remove_file(self.folder.join(BALLAST)) {
            tracing::debug!(%error, "no ballast to give back");
        }
    }
}

fn force(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error)
}
