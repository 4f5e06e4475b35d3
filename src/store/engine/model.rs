//! A disk in memory that forgets and fails as disks do, at the step that it is told.
//!
//! What a commit forced is on it for good; of a commit that failed, all is there or nothing, as with sled. A crash takes every open
//! handle away at once and leaves what was forced. What was overwritten or removed stays in free room until all is rewritten, so
//! that whoever looks for it finds it. The disk is the test's, and outlives the stores that are opened on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::{Backing, Change, Commit, EngineError, Pair, Visitor};

/// Free bytes of a disk that is not full.
const ROOM_BYTES: u64 = 1 << 40;

/// Something that goes wrong on a disk, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFault {
    /// When.
    pub moment: Moment,
    /// What; a look that fails does nothing more than that.
    pub kind: FaultKind,
    /// What is left of the step that failed. Means nothing for a look.
    pub remains: Remains,
}

/// When a fault strikes, counted from when it was set: 0 is the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At the so many-th step that changes or forces something.
    Step(u64),
    /// At the so many-th look at rows.
    Read(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The call fails.
    Refused,
    /// The call fails because the volume is full, and it is full from then on.
    Full,
    /// The machine loses its power: nothing that was opened before can be used any more.
    PowerCut,
}

/// What is left of a step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing of it, anywhere.
    Nothing,
    /// The open store shows it, and it is gone when the disk is opened again.
    Shown,
    /// It is on the disk, and whoever asked is told that it failed.
    Forced,
}

#[derive(Default)]
struct Platter {
    rows: BTreeMap<Vec<u8>, Bytes>,
    /// What was overwritten or removed since all was rewritten.
    residue: Vec<Bytes>,
    is_full: bool,
    has_ballast: bool,
    /// The handle that has it open.
    open: Option<u64>,
    handles: u64,
    /// Counts the crashes: whatever ran before one runs no more.
    machine: u64,
}

impl Platter {
    fn stop(&mut self) {
        self.open = None;
        self.machine += 1;
    }

    fn apply(&mut self, changes: Vec<Change>) {
        for (key, change) in changes {
            let old = match change {
                Some(value) => self.rows.insert(key, value.into()),
                None => self.rows.remove(&key),
            };
            self.residue.extend(old);
        }
    }
}

#[derive(Default)]
struct Faults {
    steps: u64,
    reads: u64,
    /// Those to come, by the count at which they strike.
    at_step: BTreeMap<u64, (FaultKind, Remains)>,
    at_read: BTreeSet<u64>,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct ModelDisk {
    platter: Arc<RwLock<Platter>>,
    faults: Arc<Mutex<Faults>>,
}

impl ModelDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a fault strike.
    pub fn fail(&self, fault: DiskFault) {
        let mut faults = self.faults.lock();
        let (steps, reads) = (faults.steps, faults.reads);
        match fault.moment {
            Moment::Step(n) => drop(faults.at_step.insert(steps + n, (fault.kind, fault.remains))),
            Moment::Read(n) => {
                faults.at_read.insert(reads + n);
            }
        }
    }

    /// Lets no fault strike any more.
    pub fn mend(&self) {
        let mut faults = self.faults.lock();
        faults.at_step.clear();
        faults.at_read.clear();
    }

    /// How many steps changed or forced something so far, and how often rows were looked at.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let faults = self.faults.lock();
        (faults.steps, faults.reads)
    }

    /// Fills the volume, or makes room on it.
    pub fn set_full(&self, is_full: bool) {
        self.platter.write().is_full = is_full;
    }

    /// The machine is gone, and with it whatever has the disk open: every later call of theirs fails and changes nothing.
    pub fn crash(&self) {
        self.platter.write().stop();
    }

    /// Whether a store has it open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.platter.read().open.is_some()
    }

    /// All that was on it is lost, as in a crash.
    pub fn wipe(&self) {
        let mut platter = self.platter.write();
        platter.stop();
        *platter = Platter { handles: platter.handles, machine: platter.machine, ..Platter::default() };
    }

    /// Another disk with the same on it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let platter = self.platter.read();
        let copy = Platter { rows: platter.rows.clone(), residue: platter.residue.clone(), ..Platter::default() };
        Self { platter: Arc::new(RwLock::new(copy)), faults: Arc::default() }
    }

    /// All that somebody who takes the disk apart finds: every value, and what is left of old ones.
    #[must_use]
    pub fn contents(&self) -> Vec<Bytes> {
        let platter = self.platter.read();
        platter.rows.values().chain(&platter.residue).cloned().collect()
    }
}

fn refused() -> EngineError {
    EngineError::Io(io::Error::other("the disk does not answer"))
}

fn full() -> EngineError {
    EngineError::Full(io::ErrorKind::StorageFull.into())
}

/// A store's handle to a disk.
pub(super) struct ModelEngine {
    disk: ModelDisk,
    machine: u64,
    handle: Mutex<Option<u64>>,
    /// What reads show and the disk does not hold, since a commit failed.
    shown: RwLock<BTreeMap<Vec<u8>, Option<Bytes>>>,
    /// A commit failed.
    is_spoilt: AtomicBool,
}

impl ModelEngine {
    pub(super) fn open(disk: &ModelDisk) -> Result<Self, EngineError> {
        let engine = Self {
            disk: disk.clone(),
            machine: disk.platter.read().machine,
            handle: Mutex::new(None),
            shown: RwLock::new(BTreeMap::new()),
            is_spoilt: AtomicBool::new(false),
        };
        engine.take_up()?;
        Ok(engine)
    }

    /// Opens the disk; a full one in the room of its ballast.
    fn take_up(&self) -> Result<(), EngineError> {
        let machine = self.machine;
        self.step(|platter| {
            if platter.machine != machine {
                return Err(refused());
            }
            if platter.open.is_some() {
                return Err(EngineError::InUse);
            }
            if platter.is_full && !std::mem::take(&mut platter.has_ballast) {
                return Err(full());
            }
            platter.handles += 1;
            platter.open = Some(platter.handles);
            *self.handle.lock() = platter.open;
            Ok(())
        })?;
        self.shown.write().clear();
        self.is_spoilt.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether this handle is the one that has the disk open.
    fn check(&self) -> Result<(), EngineError> {
        let handle = *self.handle.lock();
        match handle {
            None => Err(EngineError::Suspended),
            Some(_) if handle == self.disk.platter.read().open => Ok(()),
            Some(_) => Err(refused()),
        }
    }

    /// One step of work, or the fault whose turn it is.
    fn step(&self, work: impl FnOnce(&mut Platter) -> Result<(), EngineError>) -> Result<(), EngineError> {
        match self.next_fault() {
            None => work(&mut self.disk.platter.write()),
            Some((kind, remains)) => {
                if remains == Remains::Forced {
                    work(&mut self.disk.platter.write())?;
                }
                Err(self.strike(kind))
            }
        }
    }

    fn next_fault(&self) -> Option<(FaultKind, Remains)> {
        let mut faults = self.disk.faults.lock();
        let now = faults.steps;
        faults.steps += 1;
        faults.at_step.remove(&now)
    }

    fn strike(&self, kind: FaultKind) -> EngineError {
        let mut platter = self.disk.platter.write();
        match kind {
            FaultKind::Refused => refused(),
            FaultKind::Full => {
                platter.is_full = true;
                full()
            }
            FaultKind::PowerCut => {
                platter.stop();
                refused()
            }
        }
    }

    /// Before every look at rows.
    fn look(&self) -> Result<(), EngineError> {
        self.check()?;
        let mut faults = self.disk.faults.lock();
        let now = faults.reads;
        faults.reads += 1;
        if faults.at_read.remove(&now) { Err(refused()) } else { Ok(()) }
    }

    /// The rows as reads show them. Hardly ever more than the disk holds.
    fn with_rows<T>(&self, read: impl FnOnce(&BTreeMap<Vec<u8>, Bytes>) -> T) -> T {
        let platter = self.disk.platter.read_recursive();
        let shown = self.shown.read_recursive();
        if shown.is_empty() {
            return read(&platter.rows);
        }
        let mut rows = platter.rows.clone();
        for (key, change) in &*shown {
            match change {
                Some(value) => drop(rows.insert(key.clone(), value.clone())),
                None => drop(rows.remove(key)),
            }
        }
        read(&rows)
    }
}

impl Backing for ModelEngine {
    fn close(&self) {
        let Some(handle) = self.handle.lock().take() else { return };
        let mut platter = self.disk.platter.write();
        if platter.open == Some(handle) {
            platter.open = None;
        }
    }

    fn reopen_in_ballast(&self) -> Result<(), EngineError> {
        let may_drop = self.is_spoilt.load(Ordering::Relaxed) && self.disk.platter.read().has_ballast;
        if !self.is_open() || may_drop {
            return self.reopen();
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.handle.lock().is_some()
    }

    fn reopen(&self) -> Result<(), EngineError> {
        self.close();
        self.take_up()
    }

    fn rewrite(&self) -> Result<(), EngineError> {
        self.check()?;
        // The copy is beside what is in use, whether it comes to its end or not.
        self.step(|platter| if platter.is_full { Err(full()) } else { Ok(()) })?;
        self.step(|platter| {
            platter.residue.clear();
            Ok(())
        })
        .inspect_err(|_| self.close())?;
        self.reopen()
    }

    fn commit(&self, commit: Commit) -> Result<(), EngineError> {
        self.check()?;
        if self.disk.platter.read().is_full {
            return Err(full());
        }
        let changes = commit.into_changes();
        let Some((kind, remains)) = self.next_fault() else {
            self.disk.platter.write().apply(changes);
            return Ok(());
        };
        self.is_spoilt.store(true, Ordering::Relaxed);
        match remains {
            Remains::Nothing => {}
            Remains::Shown => {
                let changes = changes.into_iter().map(|(key, change)| (key, change.map(Bytes::from)));
                self.shown.write().extend(changes);
            }
            Remains::Forced => self.disk.platter.write().apply(changes),
        }
        Err(self.strike(kind))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.look()?;
        Ok(self.with_rows(|rows| rows.get(key).map(|value| value.to_vec())))
    }

    fn first_from(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Pair>, EngineError> {
        self.look()?;
        Ok(self.with_rows(|rows| {
            let first = rows.range::<[u8], _>((Included(from), Unbounded)).next();
            first.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.to_vec()))
        }))
    }

    fn last_until(&self, prefix: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        self.look()?;
        Ok(self.with_rows(|rows| {
            let last = rows.range::<[u8], _>((Unbounded, Included(until))).next_back();
            last.filter(|(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.clone(), value.to_vec()))
        }))
    }

    fn visit(&self, from: &[u8], visit: &mut Visitor<'_>) -> Result<(), EngineError> {
        self.look()?;
        self.with_rows(|rows| {
            for (key, value) in rows.range::<[u8], _>((Included(from), Unbounded)) {
                if visit(key, value).is_break() {
                    break;
                }
            }
        });
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.with_rows(|rows| rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn free_bytes(&self) -> u64 {
        if self.disk.platter.read().is_full { 0 } else { ROOM_BYTES }
    }

    fn has_room(&self) -> bool {
        !self.disk.platter.read().is_full
    }

    fn keep_ballast(&self) -> Result<(), EngineError> {
        self.check()?;
        if self.disk.platter.read().has_ballast {
            return Ok(());
        }
        self.step(|platter| {
            platter.has_ballast = !platter.is_full;
            if platter.has_ballast { Ok(()) } else { Err(full()) }
        })
    }
}

impl Drop for ModelEngine {
    fn drop(&mut self) {
        self.close();
    }
}
