//! sled, and how it is used so that what it acknowledges survives a power cut.
//!
//! This is the only file that names sled's types. sled 0.34.7 leaves gaps, and each is closed here:
//!
//! - It ends a flush with `sync_file_range`, which says nothing about the disk's cache or the file's metadata. A commit forces
//!   the log after the flush, and opening forces what an earlier process left in the system's cache, because recovery writes
//!   down what it has read.
//! - It puts what is larger than a quarter of its own segments into files of their own, which it writes in no order with the
//!   log; where such a file is missing, recovery skips it and half a batch remains. Its segments are so large here, and values
//!   so small, that no page ever becomes a file: see [`MAX_VALUE_BYTES`]. With such segments it also reuses none of them within
//!   one commit, hence nothing that is not superseded durably.
//! - It writes its settings in two writes and reads the halves as damage. They are written aside and renamed here.
//! - It takes a snapshot that was not written to its end for the newest one. Such a file is removed here before it looks.
//! - Its threads hold the file for a moment longer than the handle. Whoever closes waits until they let go.
//! - Its flush can sleep through a write that fails on another thread. Whoever waits long is woken by a second flush.
//! - It panics where the last forcing of its files fails. A handle that is dropped may.
//! - A read finishes a split of pages that a write has left pending, which is a write. A commit looks up what it has put, so that
//!   no read has to write.
//! - It reads a page that left its cache from the file even where its newest write failed, and then fails. On a full disk the
//!   files are opened anew in the room of the ballast, so that reads go on.
//!
//! After a failed commit the handle is not trusted: nothing is written through it again. Pages whose forcing failed may stay
//! in the system's cache as if they were on disk; opening therefore forgets what is cached of the files and reads them from disk.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::{Backing, Commit, EngineError, MAX_VALUE_BYTES, Pair, Visitor};

/// Bytes of sled's segments, its largest. A page beyond a quarter of it would become a file.
const SEGMENT_BYTES: usize = 16 * 1_024 * 1_024;
/// Keys that a leaf of sled's tree may hold at once: it splits above 16, and merges with one of fewer than 4.
const MAX_LEAF_KEYS: usize = 20;
const _: () = assert!(MAX_LEAF_KEYS * MAX_VALUE_BYTES < SEGMENT_BYTES / 4 - 1_024);
/// Room that is kept back on the volume, because sled cannot open a store on a full disk: it fills its last segment, and writes
/// a snapshot.
const BALLAST_BYTES: usize = SEGMENT_BYTES + 8 * 1_024 * 1_024;
/// Free bytes below which a store that ran full stays read-only: ballast, a segment and a few group commits.
const ROOM_TO_RESUME: u64 = 4 * SEGMENT_BYTES as u64;
/// Free bytes below which nothing is committed. Better refused here than half way through sled, where the handle is spoilt.
pub(in crate::store) const ROOM_TO_COMMIT: u64 = SEGMENT_BYTES as u64;
/// How often is looked whether sled's threads still hold the files after the handle is gone, five seconds in all, and the pause
/// between two looks.
const RELEASE_LOOKS: u32 = 5_000;
const RELEASE_PAUSE: Duration = Duration::from_millis(1);
/// How long a flush may take before another one looks whether it was forgotten: long for a disk that is well. Doubled each time,
/// so that a disk that hangs does not gather threads.
const WAKE_AFTER: Duration = Duration::from_secs(1);
const WAKE_LAST: Duration = Duration::from_secs(60);
const BALLAST: &str = "ballast";
/// Held locked by the process that has the store open; sled's own lock comes too late to keep its files from being prepared.
const LOCK: &str = "lock";
/// Written and removed to find out whether there is room.
const PROBE: &str = "probe";
const FOLDER: &str = "sled";
const SCRATCH: &str = "sled.new";
const DATABASE: &str = "db";
const SETTINGS: &str = "conf";
const UNFINISHED: &str = "generating";
/// Where the files are written anew: unfinished, whole, and the old ones until they are overwritten.
const FRESH: &str = "sled.fresh";
const NEXT: &str = "sled.next";
const OLD: &str = "sled.old";
/// Bytes that are copied in one batch.
const COPY_BYTES: usize = 4 * 1_024 * 1_024;

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

/// An open sled database that can be replaced by a fresh open of the same files.
pub(super) struct SledEngine {
    folder: PathBuf,
    cache_bytes: u64,
    database: RwLock<Option<sled::Db>>,
    /// A write failed within sled.
    spoilt: AtomicBool,
    lock: Mutex<Option<File>>,
}

impl SledEngine {
    /// Opens or creates the database in `folder`.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, EngineError> {
        // Pseudonyms and who was asked about are nobody else's on this machine.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error)?;
        let lock = Mutex::new(Some(lock(&folder.join(LOCK))?));
        let engine =
            Self { folder: folder.to_owned(), cache_bytes, database: RwLock::new(None), spoilt: AtomicBool::new(false), lock };
        engine.reopen()?;
        Ok(engine)
    }

    /// Whether there is a database in `folder`, or one that was written anew and not yet taken into use.
    pub(super) fn is_in(folder: &Path) -> bool {
        [FOLDER, NEXT].iter().any(|name| folder.join(name).exists())
    }

    fn open_database(&self) -> Result<sled::Db, EngineError> {
        self.prepare()?;
        let folder = self.folder.join(FOLDER);
        // They may have been written a moment ago, by a handle of [`Self::rewrite`].
        await_release(&folder);
        let database = open_sled(&self.config(&folder))?;
        force(&folder)?;
        Ok(database)
    }

    fn config(&self, folder: &Path) -> sled::Config {
        sled::Config::new()
            .path(folder)
            .cache_capacity(self.cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None)
            .mode(sled::Mode::HighThroughput)
    }

    /// Brings the files into a state that sled opens, and forces what an earlier process wrote and did not force. A crash at any
    /// line leaves what the next call takes up.
    fn prepare(&self) -> Result<(), EngineError> {
        self.take_up_rewritten()?;
        let folder = self.folder.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(io_error)?;
        if !folder.join(SETTINGS).exists() {
            self.write_settings(&folder)?;
        }
        for file in std::fs::read_dir(&folder).map_err(io_error)? {
            let path = file.map_err(io_error)?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                std::fs::remove_file(&path).map_err(io_error)?;
            } else if path.is_file() {
                force(&path)?;
                forget_cached(&path)?;
            }
        }
        force(&folder)?;
        force(&self.folder)?;
        self.folder.parent().map_or(Ok(()), force)
    }

    /// The settings that sled itself writes into a scratch store, put in place whole.
    fn write_settings(&self, folder: &Path) -> Result<(), EngineError> {
        let scratch = self.folder.join(SCRATCH);
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(io_error)?;
        }
        close_sled(open_sled(&self.config(&scratch))?)?;
        let written = scratch.join(SETTINGS);
        force(&written)?;
        std::fs::rename(&written, folder.join(SETTINGS)).map_err(io_error)?;
        force(folder)?;
        std::fs::remove_dir_all(&scratch).map_err(io_error)
    }

    fn copy_to(&self, folder: &Path) -> Result<(), EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let copy = open_sled(&self.config(folder))?;
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for pair in database.iter() {
            let (key, value) = pair.map_err(sled_error)?;
            bytes += key.len() + value.len();
            batch.insert(key, value);
            if bytes >= COPY_BYTES {
                copy.apply_batch(std::mem::take(&mut batch)).map_err(sled_error)?;
                bytes = 0;
            }
        }
        copy.apply_batch(batch).map_err(sled_error)?;
        flush(&copy)?;
        close_sled(copy)?;
        for file in std::fs::read_dir(folder).map_err(io_error)? {
            let path = file.map_err(io_error)?.path();
            if path.is_file() {
                force(&path)?;
            }
        }
        force(folder)
    }

    /// Takes files into use that were written anew and are whole. Nothing was committed since they were.
    fn take_up_rewritten(&self) -> Result<(), EngineError> {
        let [current, next, old] = [FOLDER, NEXT, OLD].map(|name| self.folder.join(name));
        if next.exists() {
            if current.exists() {
                wipe_folder(&old)?;
                std::fs::rename(&current, &old).map_err(io_error)?;
                force(&self.folder)?;
            }
            std::fs::rename(&next, &current).map_err(io_error)?;
            force(&self.folder)?;
        }
        wipe_folder(&old)?;
        wipe_folder(&self.folder.join(FRESH))
    }

    /// Drops the handle, and waits until no thread of sled's holds the files any more.
    fn release(&self, database: &mut Option<sled::Db>) {
        let Some(handle) = database.take() else { return };
        if let Err(error) = close_sled(handle) {
            tracing::error!(code = error.code(), %error, "what was not acknowledged may be lost");
        }
        await_release(&self.folder.join(FOLDER));
    }

    fn write(&self, commit: Commit) -> Result<(), EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let (mut batch, mut keys) = (sled::Batch::default(), Vec::new());
        for (key, change) in commit.into_changes() {
            match change {
                Some(value) => batch.insert(&*key, value),
                None => batch.remove(&*key),
            }
            keys.push(key);
        }
        database.apply_batch(batch).map_err(sled_error)?;
        for key in keys {
            database.get(key).map_err(sled_error)?;
        }
        flush(database)?;
        let log = self.folder.join(FOLDER).join(DATABASE);
        File::open(log).and_then(|file| file.sync_data()).map_err(io_error)
    }

    fn drop_ballast(&self) {
        if let Err(error) = std::fs::remove_file(self.folder.join(BALLAST)) {
            tracing::debug!(%error, "no ballast to give back");
        }
    }
}

impl Backing for SledEngine {
    /// Closes the files and lets other processes have them. Nothing is read or written any more.
    fn close(&self) {
        self.release(&mut self.database.write());
        // Unlocked and not only closed: a child that was forked meanwhile holds the same lock for a moment.
        if let Some(file) = self.lock.lock().take()
            && let Err(error) = file.unlock()
        {
            tracing::warn!(%error, "the lock of the store could not be given back");
        }
    }

    /// Opens the files anew after the volume ran full, in the room of the ballast; without one, the handle at hand is what still
    /// reads, and it stays.
    fn reopen_in_ballast(&self) -> Result<(), EngineError> {
        let spoilt = self.spoilt.load(Ordering::Relaxed);
        if !self.is_open() || spoilt && self.folder.join(BALLAST).exists() {
            self.drop_ballast();
            return self.reopen();
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.database.read_recursive().is_some()
    }

    /// Drops the handle and opens the files anew. Gives the ballast back where the volume is full.
    fn reopen(&self) -> Result<(), EngineError> {
        let mut database = self.database.write();
        self.release(&mut database);
        let opened = match self.open_database() {
            Err(EngineError::Full(_)) => {
                self.drop_ballast();
                self.open_database()?
            }
            other => other?,
        };
        *database = Some(opened);
        self.spoilt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes all that is there into new files, takes them into use and overwrites the old ones with zeros: sled leaves what was
    /// removed in the free room of its file. Nothing may be committed meanwhile; reads go on but for a moment. An error before the
    /// new files are whole leaves the old ones in use.
    fn rewrite(&self) -> Result<(), EngineError> {
        let fresh = self.folder.join(FRESH);
        wipe_folder(&fresh)?;
        let needed = std::fs::metadata(self.folder.join(FOLDER).join(DATABASE)).map_or(0, |meta| meta.len());
        if self.free_bytes() < needed.saturating_add(ROOM_TO_COMMIT) {
            return Err(EngineError::Full(io::ErrorKind::StorageFull.into()));
        }
        if let Err(error) = self.copy_to(&fresh) {
            wipe_folder(&fresh)?;
            return Err(error);
        }
        std::fs::rename(&fresh, self.folder.join(NEXT)).map_err(io_error)?;
        force(&self.folder)?;
        self.reopen()
    }

    /// Applies `commit`, and returns once it survives a power cut.
    fn commit(&self, commit: Commit) -> Result<(), EngineError> {
        if self.free_bytes() < ROOM_TO_COMMIT {
            return Err(EngineError::Full(io::ErrorKind::StorageFull.into()));
        }
        let written = self.write(commit);
        self.spoilt.fetch_or(written.is_err(), Ordering::Relaxed);
        written
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        Ok(database.get(key).map_err(sled_error)?.map(|value| value.to_vec()))
    }

    /// The first pair at or after `from` whose key starts with `prefix`.
    fn first_from(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Pair>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let pair = database.range(from.to_vec()..).next().transpose().map_err(sled_error)?;
        Ok(pair.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    /// The last pair at or before `until` whose key starts with `prefix`.
    fn last_until(&self, prefix: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        let pair = database.range(..=until.to_vec()).next_back().transpose().map_err(sled_error)?;
        Ok(pair.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn visit(&self, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), EngineError> {
        let database = self.database.read_recursive();
        let database = database.as_ref().ok_or(EngineError::Suspended)?;
        for pair in database.range(from.to_vec()..) {
            let (key, value) = pair.map_err(sled_error)?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
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

    fn free_bytes(&self) -> u64 {
        fs4::available_space(&self.folder).unwrap_or(0)
    }

    /// Whether there is room enough to write again after the volume ran full. What is free may not be ours (a quota, blocks kept
    /// back), so it is tried; the handle that still reads is not given up for a hope.
    fn has_room(&self) -> bool {
        let path = self.folder.join(PROBE);
        let room = self.free_bytes() >= ROOM_TO_RESUME && fill(&path).is_ok();
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the probe for room could not be removed");
        }
        room
    }

    /// Sets the ballast aside, where it is not yet.
    fn keep_ballast(&self) -> Result<(), EngineError> {
        let path = self.folder.join(BALLAST);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == BALLAST_BYTES as u64) {
            return Ok(());
        }
        fill(&path)
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        self.close();
    }
}

/// sled's flush. Where a write fails on a thread of its pool, sled notes the error and may wake nobody: a flush that was
/// waiting already would wait for ever. Another one sees the error at once, and wakes all.
fn flush(database: &sled::Db) -> Result<(), EngineError> {
    let flushed = std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut pause = WAKE_AFTER;
            while let Err(mpsc::RecvTimeoutError::Timeout) = waiting.recv_timeout(pause) {
                scope.spawn(|| database.flush());
                pause = (pause * 2).min(WAKE_LAST);
            }
        });
        let flushed = database.flush();
        drop(done);
        flushed
    });
    flushed.map(drop).map_err(sled_error)
}

/// Locks the store's own lock file.
fn lock(path: &Path) -> Result<File, EngineError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EngineError::InUse),
        Err(TryLockError::Error(error)) => Err(io_error(error)),
    }
}

/// Lets the system forget what it has cached of a file, so that what is read next comes from the disk: after a failed fsync the
/// cache may show what no disk holds, and calls it clean.
fn forget_cached(path: &Path) -> Result<(), EngineError> {
    let forget = |file| rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(io::Error::from);
    File::open(path).and_then(forget).map_err(io_error)
}

/// sled panics on some damaged files; here that is an error like any other.
fn open_sled(config: &sled::Config) -> Result<sled::Db, EngineError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()))
        .map_err(|_| EngineError::Damaged("the database could not be recovered".into()))?
        .map_err(sled_error)
}

/// sled panics where it cannot force its files when it lets go of them.
fn close_sled(database: sled::Db) -> Result<(), EngineError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(database)))
        .map_err(|_| EngineError::Io(io::Error::other("the files could not be forced to disk when they were closed")))
}

/// Waits until no thread of sled's holds the files: it may for a moment after the last handle is gone.
fn await_release(folder: &Path) {
    let Ok(file) = File::open(folder.join(DATABASE)) else { return };
    for _ in 0..RELEASE_LOOKS {
        let Err(TryLockError::WouldBlock) = file.try_lock() else { return };
        std::thread::sleep(RELEASE_PAUSE);
    }
}

/// Overwrites a folder's files with zeros and removes it, where it is there.
fn wipe_folder(folder: &Path) -> Result<(), EngineError> {
    if !folder.exists() {
        return Ok(());
    }
    for file in std::fs::read_dir(folder).map_err(io_error)? {
        let path = file.map_err(io_error)?.path();
        if path.is_dir() {
            wipe_folder(&path)?;
        } else {
            wipe_file(&path).map_err(io_error)?;
        }
    }
    std::fs::remove_dir(folder).map_err(io_error)
}

/// Overwrites a file with zeros and removes it.
pub(in crate::store) fn wipe_file(path: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = vec![0; 1_024 * 1_024];
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(part).unwrap_or(0)])?;
        left -= part;
    }
    file.sync_all()?;
    std::fs::remove_file(path)
}

/// Writes as much as the ballast takes.
fn fill(path: &Path) -> Result<(), EngineError> {
    std::fs::write(path, vec![0xA5; BALLAST_BYTES]).map_err(io_error)?;
    force(path)
}

fn force(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error)
}
