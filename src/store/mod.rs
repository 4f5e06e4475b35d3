//! The durable log of all feeds this node holds, and what is derived from it.
//!
//! This is the one place that knows the database. Everything above deals in feeds, positions and entries, so that a second
//! store on another engine can take its place. It knows no network and no service.
//!
//! - `engine` is what rows are asked of: sled, so used that a commit survives a power cut, or a disk in memory that fails at the
//!   step that it is told; `keys`, `rows`, `segment` are the layout on disk.
//! - `append`, `request`, `desk`, `tip`, `appending` and `writer` are the one way to commit.
//! - `state` and `index` are derived, in memory; `effects` is what entries do to them. `hints` lets a store open without reading
//!   all of its log.
//! - `keyed` tells under which keys signals have pseudonyms.
//! - `audit` notes who did what.
//! - `backup` copies all rows while they change, `restore` puts them back, `verify` holds them against what members signed.
//! - `erasures` and `erase` take content away for good; `watches` and `watching` find what this member waits for.
//!
//! What holds at any instant, whatever happens: an acknowledged entry is on disk and under a signed checkpoint; a feed on disk
//! is whole up to its newest checkpoint; nothing is served or found that was not forced to disk.

mod announcer;
mod append;
mod appending;
mod audit;
mod backup;
mod casebook;
mod cases;
mod checks;
mod desk;
mod effects;
mod engine;
mod erase;
mod erasures;
mod error;
pub mod floor;
mod frame;
mod group;
mod hints;
mod import;
pub mod index;
mod keyed;
mod keys;
mod leadbook;
mod leads;
mod ledger;
mod meters;
mod overrides;
mod pictures;
mod reading;
mod records;
mod request;
mod restore;
mod rows;
mod segment;
mod segments;
mod state;
mod suspension;
mod tip;
mod verify;
mod watches;
mod watching;
mod writer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use prost::Message as _;
use tokio::sync::watch;

pub use announcer::Announcer;
pub use append::{Append, Appended};
pub use audit::{AuditPage, acting_for, actor, on_behalf_of};
pub use backup::{Backup, BackupId, BackupPlace, Piece};
pub use cases::StandingMarker;
pub use checks::{BriefCheck, CheckRecord, CheckReference, FeedFreshness, FeedState, FreshnessRecord, MatchRecord};
pub use engine::{DiskFault, EngineError, FaultKind, ModelDisk, Moment, Remains};
pub use erasures::StoredReceipt;
pub use error::{OpenError, StoreError};
pub use hints::is_hint;
pub use import::Import;
pub use index::{FeedNo, Position};
pub use meters::StoreMeters;
pub use overrides::{Override, OverrideId};
pub use pictures::PictureId;
pub use reading::{Proven, StoredBatch};
pub use restore::Restoration;
pub use state::ForkRecord;
pub use verify::{RowDigest, Verification, VerifiedFeed, verify_store};
pub use watches::{Delivered, Look};

use crate::domain::limits::COMMIT_STALL;
use crate::domain::{AllianceName, Audience, Clock, Entropy, FeedId, MemberId, Pseudonym, Seq, SubmissionTag, Timestamp};
use crate::feed::{ForkProof, Frontier, Hash, Leaf, SigningKey, ViewDigest};
use desk::Desk;
use engine::{Commit, Engine};
use hints::{Hints, Recalled};
use index::Newest;
use overrides::Overrides;
use request::{Reply, Request};
use rows::SchemaRow;
use segments::RecentSegments;
use state::{FeedRecord, State};
use watches::Watches;
use writer::Writer;

/// The layout on disk. A store with a higher number is refused.
const SCHEMA_VERSION: u32 = 1;

/// Where a store lies and whose it is.
pub struct Options {
    /// The store's folder; created where it does not exist.
    pub folder: PathBuf,
    /// Bytes of memory for sled's page cache.
    pub cache_bytes: u64,
    /// The alliance.
    pub alliance: AllianceName,
    /// This node's member.
    pub member: MemberId,
    /// Signs this member's feeds.
    pub key: Arc<SigningKey>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl Options {
    fn split(self) -> (Place, Owner) {
        let Self { folder, cache_bytes, alliance, member, key, clock, entropy } = self;
        (Place::Folder { folder, cache_bytes }, Owner { alliance, member, key, clock, entropy })
    }
}

/// Whose a store is, and what it is handed down.
pub struct Owner {
    /// The alliance.
    pub alliance: AllianceName,
    /// This node's member.
    pub member: MemberId,
    /// Signs this member's feeds.
    pub key: Arc<SigningKey>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
}

/// Where a store lies.
enum Place {
    Folder { folder: PathBuf, cache_bytes: u64 },
    Model(ModelDisk),
}

/// A feed as it is held.
#[derive(Debug, Clone)]
pub struct FeedSummary {
    /// Which.
    pub feed: FeedId,
    /// Entries held.
    pub size: Seq,
    /// Root of the tree over them.
    pub root: Hash,
    /// Its newest checkpoint, as signed note.
    pub checkpoint: Bytes,
    /// Signals that are not withdrawn.
    pub live_signals: u64,
    /// Entries that this version draws nothing from.
    pub not_understood: u64,
    /// Entries whose content is missing though no erasure names them.
    pub missing: u64,
    /// Digest of what is derived from it.
    pub view_digest: ViewDigest,
}

impl FeedSummary {
    fn of(record: &FeedRecord) -> Self {
        Self {
            feed: record.id.clone(),
            size: record.frontier.size(),
            root: record.frontier.root(),
            checkpoint: record.note.clone(),
            live_signals: record.view.signals() - record.view.withdrawn(),
            not_understood: record.view.not_understood(),
            missing: record.view.missing(),
            view_digest: record.view.digest(),
        }
    }
}

/// Where a feed's newest signals stand that may name a pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPositions {
    /// Which feed.
    pub feed: FeedId,
    /// The newest first.
    pub newest: Vec<Position>,
    /// How many stand in this feed beyond those.
    pub skipped: u64,
}

/// Room and health of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes free on its volume.
    pub free_bytes: u64,
    /// Pairs of pseudonym and signal in the index.
    pub index_rows: u64,
    /// What waits for the writer.
    pub queue: QueueDepth,
    /// When a backup came to its end last; `None` for never.
    pub backed_up_at: Option<Timestamp>,
    /// Code and words of why nothing can be written now.
    pub problem: Option<(&'static str, String)>,
}

/// What waits for the store's writer: at most [`MAX_COMMIT_QUEUE`](crate::domain::limits::MAX_COMMIT_QUEUE)
/// requests and [`MAX_COMMIT_QUEUE_BYTES`](crate::domain::limits::MAX_COMMIT_QUEUE_BYTES) bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Requests.
    pub requests: usize,
    /// Their bytes and those of what is being committed, in whole kibibytes.
    pub bytes: usize,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    code: &'static str,
    detail: String,
}

/// What readers and the writer share.
struct Shared {
    alliance: AllianceName,
    member: MemberId,
    engine: Engine,
    segments: RecentSegments,
    state: RwLock<State>,
    roster: RwLock<Option<Bytes>>,
    problem: RwLock<Option<Problem>>,
    overrides: RwLock<Overrides>,
    watches: RwLock<Watches>,
    /// The own feeds that may be written to; `None` for all of them.
    confirmed: RwLock<Option<BTreeSet<FeedId>>>,
    changes: Announcer<u64>,
    /// True once the writer has panicked.
    panicked: watch::Sender<bool>,
    /// Since when the writer has been at work on one commit.
    at_work: Mutex<Option<Timestamp>>,
    /// When a backup came to its end last.
    backed_up_at: Mutex<Option<Timestamp>>,
    /// The backup at hand.
    backup: Mutex<Option<backup::Session>>,
    /// It was put back, and own feeds may lack what other members hold.
    restored: AtomicBool,
    clock: Arc<dyn Clock>,
    meters: StoreMeters,
}

impl Shared {
    fn announce(&self) {
        self.changes.change(|n| {
            *n = n.wrapping_add(1);
            true
        });
    }

    fn today(&self) -> u16 {
        u16::try_from(self.clock.now().unix_day()).unwrap_or(u16::MAX)
    }

    fn began(&self, now: Timestamp) {
        *self.at_work.lock() = Some(now);
    }

    fn ended(&self) {
        *self.at_work.lock() = None;
    }

    fn panicked() -> StoreError {
        let detail = "the store's writer has stopped with a panic; the node must be started again".to_owned();
        StoreError::Unwritable { code: "STORE_WRITER_PANICKED", detail }
    }

    fn writer_panicked(&self) {
        let refusal = Self::panicked();
        tracing::error!(code = refusal.code(), "{refusal}");
        *self.problem.write() = Some(Problem { code: refusal.code(), detail: refusal.to_string() });
        self.ended();
        self.panicked.send_replace(true);
    }

    /// The problem at hand, or that a commit takes too long.
    fn problem(&self) -> Option<Problem> {
        let stalled = || {
            let since = (*self.at_work.lock())?;
            let ms = u64::try_from(self.clock.now().unix_ms() - since.unix_ms()).ok()?;
            let detail = "the disk has not answered for a while; look after it".to_owned();
            (ms > COMMIT_STALL.as_millis() as u64).then_some(Problem { code: "STORE_STALLED", detail })
        };
        self.problem.read().clone().or_else(stalled)
    }

    fn is_confirmed(&self, feed: &FeedId) -> bool {
        self.confirmed.read().as_ref().is_none_or(|confirmed| confirmed.contains(feed))
    }
}

/// An open store. Only one process opens it at a time.
pub struct Store {
    shared: Arc<Shared>,
    desk: Desk,
}

impl Store {
    /// Opens the store, or creates it, and builds what is derived: a few seconds for ten million entries, where the hints
    /// beside the log are whole, and half a minute where they are not.
    ///
    /// # Errors
    /// See [`OpenError`]. The log is not changed by a refused open.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let (place, owner) = options.split();
        let (shared, desk) = Desk::with_thread(move || open_writer(place, owner))?;
        Ok(Self { shared, desk })
    }

    /// Opens what is on a disk in memory. The store has no thread of its own: whoever asks for something to be written does it, with
    /// all that others asked for meanwhile. So a program with one thread does the same in the same order whenever it runs.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_model(disk: &ModelDisk, owner: Owner) -> Result<Self, OpenError> {
        let writer = open_writer(Place::Model(disk.clone()), owner)?;
        Ok(Self { shared: writer.shared().clone(), desk: Desk::without_thread(writer) })
    }

    /// Whether it has no thread of its own, and what reads it need not have one either: nothing of it waits for a disk.
    #[must_use]
    pub const fn is_model(&self) -> bool {
        self.desk.is_without_thread()
    }

    /// Ends what is queued, closes the files and lets other processes have them. Blocks until all is done. Nothing is read any
    /// more either.
    pub fn close(&self) {
        self.desk.close();
        self.shared.engine.close();
    }

    /// Waits for a panic of the writer. Nothing is written after it: whoever runs the store ends the process.
    pub async fn panicked(&self) -> StoreError {
        // The sender lives as long as the store.
        drop(self.shared.panicked.subscribe().wait_for(|panicked| *panicked).await);
        Shared::panicked()
    }

    /// Adds entries to this member's feeds. They are durable when this returns; one outcome for each, in order.
    ///
    /// # Errors
    /// The outer error where nothing of it was written.
    pub async fn append(&self, items: Vec<Append>) -> Result<Vec<Result<Appended, StoreError>>, StoreError> {
        self.request(|reply| Request::Append(items, reply)).await
    }

    /// Adds a verified batch to another member's feed, or gets back a part of an own one. Durable when this returns; gives the size reached.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`] where it does not follow what is held, [`StoreError::Quarantined`].
    pub async fn import(&self, import: Import) -> Result<Seq, StoreError> {
        self.request(|reply| Request::Import(Box::new(import), reply)).await
    }

    /// Takes no more of a feed whose member signed two histories, and keeps the proof; an own one is not written to any more either.
    /// A second proof changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn quarantine(&self, proof: ForkProof) -> Result<(), StoreError> {
        self.request(|reply| Request::Quarantine(Box::new(proof), reply)).await
    }

    /// Writes nothing more to an own feed of which another member holds `size` entries, until so many are held here.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn mark_behind(&self, feed: FeedId, size: Seq) -> Result<(), StoreError> {
        self.request(|reply| Request::MarkBehind(feed, size, reply)).await
    }

    /// From now on own feeds are written to only when they were confirmed: a store that was put back from an old copy looks whole,
    /// and what is added to it would be a second history of what other members hold.
    pub fn require_confirmation(&self) {
        self.shared.confirmed.write().get_or_insert_default();
    }

    /// The own feed `feed` is whole as far as it could be compared, and may be written to. Holds until the store is closed.
    pub fn confirm(&self, feed: &FeedId) {
        if let Some(confirmed) = self.shared.confirmed.write().as_mut() {
            confirmed.insert(feed.clone());
        }
    }

    /// Whether the store was put back from elsewhere, and own feeds were not known to be level since.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.shared.restored.load(Ordering::Relaxed)
    }

    /// Own feeds are level: the store is as good as one that was never lost.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn end_restoration(&self) -> Result<(), StoreError> {
        self.request(Request::EndRestoration).await
    }

    /// Keeps the newest roster. Whether it is newer and rightly signed is the caller's to know.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn put_roster(&self, note: Bytes) -> Result<(), StoreError> {
        self.request(|reply| Request::PutRoster(note, reply)).await
    }

    /// Builds everything derived anew from the log.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] where the log cannot be read; the store is then suspended.
    pub async fn rebuild(&self) -> Result<(), StoreError> {
        self.request(Request::Rebuild).await
    }

    async fn request<T>(&self, make: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        self.desk.request(make).await
    }

    /// Counts the commits since the store was opened.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.changes.value()
    }

    /// The same, to wait for: it changes with every commit.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The newest roster kept, as signed note.
    #[must_use]
    pub fn roster(&self) -> Option<Bytes> {
        self.shared.roster.read().clone()
    }

    /// The feed as it is held; `None` where nothing of it is.
    #[must_use]
    pub fn feed(&self, feed: &FeedId) -> Option<FeedSummary> {
        self.shared.state.read().feed(feed).map(FeedSummary::of)
    }

    /// Every feed of which something is held, in the order in which they were met.
    #[must_use]
    pub fn feeds(&self) -> Vec<FeedSummary> {
        self.shared.state.read().feeds.values().map(FeedSummary::of).collect()
    }

    /// This member's own feeds of which something is held.
    #[must_use]
    pub fn own_feeds(&self) -> Vec<FeedId> {
        let state = self.shared.state.read();
        state.feeds.values().filter(|record| record.id.member == self.shared.member).map(|record| record.id.clone()).collect()
    }

    /// Entries held of a feed.
    #[must_use]
    pub fn size(&self, feed: &FeedId) -> Seq {
        self.shared.state.read().feed(feed).map_or(Seq::ZERO, |record| record.frontier.size())
    }

    /// The frontier of a feed as it is held.
    #[must_use]
    pub fn frontier(&self, feed: &FeedId) -> Frontier {
        self.shared.state.read().feed(feed).map_or_else(Frontier::empty, |record| record.frontier.clone())
    }

    /// Proofs of forks.
    #[must_use]
    pub fn forks(&self) -> Vec<(FeedId, ForkRecord)> {
        self.shared.state.read().forks.iter().map(|(feed, fork)| (feed.clone(), fork.clone())).collect()
    }

    /// Whether and why a feed is not followed, as far as the store knows.
    #[must_use]
    pub fn feed_state(&self, feed: &FeedId) -> FeedState {
        let state = self.shared.state.read();
        match () {
            () if state.forks.contains_key(feed) => FeedState::Quarantined,
            () if state.behind.contains_key(feed) => FeedState::Behind,
            () if feed.member == self.shared.member && !self.shared.is_confirmed(feed) => FeedState::Unconfirmed,
            () => FeedState::Followed,
        }
    }

    /// Live signals of this member, over all audiences.
    #[must_use]
    pub fn own_live_signals(&self) -> u64 {
        self.own_live_signals_in(|_| true)
    }

    /// Positions of live signals that may name this pseudonym; whoever reads the entry compares it whole. In memory.
    #[must_use]
    pub fn positions(&self, pseudonym: &Pseudonym) -> Vec<Position> {
        self.shared.state.read().subjects.positions(pseudonym.into())
    }

    /// Whether any live signal may name this pseudonym. In memory; one probe, however many do.
    #[must_use]
    pub fn is_named(&self, pseudonym: &Pseudonym) -> bool {
        self.shared.state.read().subjects.contains(pseudonym.into())
    }

    /// Of each feed the newest live signals that may name this pseudonym: up to `each` that may be confirmed, and up to `each`
    /// others. In memory.
    #[must_use]
    pub fn newest_positions(&self, pseudonym: &Pseudonym, each: usize) -> Vec<FeedPositions> {
        let state = self.shared.state.read();
        let newest = state.subjects.newest(pseudonym.into(), each).into_iter();
        let of_feed = |newest: Newest| {
            let feed = state.feeds.get(&newest.feed)?.id.clone();
            Some(FeedPositions { feed, newest: newest.positions, skipped: newest.skipped })
        };
        newest.filter_map(of_feed).collect()
    }

    /// The feed with this number.
    #[must_use]
    pub fn feed_of(&self, position: Position) -> Option<FeedId> {
        self.shared.state.read().feeds.get(&position.feed()).map(|record| record.id.clone())
    }

    /// What stands at `seq`; `None` where the feed does not reach so far. Reads from disk where it is not cached.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn read(&self, feed: &FeedId, seq: Seq) -> Result<Option<Leaf>, StoreError> {
        self.shared.read(feed, seq)
    }

    /// Whether [`Self::read`] finds the entry in memory, unless another one takes its place meanwhile.
    #[must_use]
    pub fn is_recent(&self, feed: &FeedId, seq: Seq) -> bool {
        let no = self.shared.state.read().number(feed);
        no.is_some_and(|no| self.shared.segments.has(no, seq))
    }

    /// The retraction that withdrew a signal; `None` where it is live.
    #[must_use]
    pub fn retraction_of(&self, feed: &FeedId, seq: Seq) -> Option<Seq> {
        self.shared.state.read().feed(feed)?.view.retraction_of(seq)
    }

    /// The own signal that was made of the submission with this tag.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn find_submission(&self, audience: &Audience, tag: &SubmissionTag) -> Result<Option<Seq>, StoreError> {
        let feed = FeedId { member: self.shared.member.clone(), audience: audience.clone() };
        Ok(self.shared.find_submission(&feed, tag)?.map(|(seq, _)| seq))
    }

    /// Pairs of pseudonym and signal in the index.
    #[must_use]
    pub fn index_rows(&self) -> u64 {
        self.shared.state.read().subjects.postings()
    }

    /// Room and health. Looks at the files.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        StoreHealth {
            disk_bytes: self.shared.engine.disk_bytes(),
            free_bytes: self.shared.engine.free_bytes(),
            index_rows: self.index_rows(),
            queue: self.desk.depth(),
            backed_up_at: *self.shared.backed_up_at.lock(),
            problem: self.shared.problem().map(|problem| (problem.code, problem.detail)),
        }
    }

    /// What is counted here.
    #[must_use]
    pub fn meters(&self) -> StoreMeters {
        self.shared.meters.clone()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Unreadable { code: "STORE_DAMAGED", detail: format!("{what} cannot be read; restore the store") }
}

/// Opens the files and builds what is derived.
fn open_writer(place: Place, owner: Owner) -> Result<Writer, OpenError> {
    let began = owner.clock.now();
    let (engine, recalled, mut hints) = open_engine(&place, &owner.member)?;
    check_schema(&engine, &owner)?;
    let by_hints = recalled.entries();
    let (state, tips) = state::load(&engine, &owner.member, recalled, &mut hints)?;
    let ms = owner.clock.now().unix_ms() - began.unix_ms();
    tracing::info!(entries = state.entries(), by_hints, ms, "the store is open");
    let roster = engine.get_large(&keys::roster())?.map(Bytes::from);
    let overrides = Overrides::load(&engine)?;
    let watches = Watches::load(&engine)?;
    let restored = engine.get(&keys::restored())?.is_some();
    let backed_up_at = backup::backed_up_at(&engine)?;
    let shared = Arc::new(Shared {
        alliance: owner.alliance,
        member: owner.member,
        engine,
        segments: RecentSegments::new(),
        state: RwLock::new(state),
        roster: RwLock::new(roster),
        problem: RwLock::new(None),
        overrides: RwLock::new(overrides),
        watches: RwLock::new(watches),
        confirmed: RwLock::new(None),
        changes: Announcer::new(0),
        panicked: watch::Sender::new(false),
        at_work: Mutex::new(None),
        backed_up_at: Mutex::new(backed_up_at),
        backup: Mutex::new(None),
        restored: AtomicBool::new(restored),
        clock: owner.clock,
        meters: StoreMeters::default(),
    });
    Writer::new(shared, tips, hints, owner.key, owner.entropy)
}

/// Opens the rows, and reads the hints beside them at the same time.
fn open_engine(place: &Place, member: &MemberId) -> Result<(Engine, Recalled, Hints), OpenError> {
    let (folder, cache_bytes) = match place {
        Place::Folder { folder, cache_bytes } => (folder, *cache_bytes),
        Place::Model(disk) => return Ok((Engine::open_model(disk)?, Recalled::default(), Hints::none())),
    };
    let hints = Hints::of(folder);
    let (engine, recalled) = std::thread::scope(|scope| {
        let opening = scope.spawn(|| Engine::open(folder, cache_bytes));
        let recalled = hints.recall(member);
        (opening.join(), recalled)
    });
    let engine = engine.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok((engine, recalled, hints))
}

/// Writes the schema row of a new store; refuses one that is not ours.
fn check_schema(engine: &Engine, owner: &Owner) -> Result<(), OpenError> {
    let Some(value) = engine.get(&keys::schema())? else {
        let mut commit = Commit::default();
        commit.put(keys::schema(), SchemaRow::of(&owner.alliance, &owner.member).encode_to_vec());
        return Ok(engine.commit(commit)?);
    };
    let row = SchemaRow::decode(&*value).map_err(|_| OpenError::damaged("the schema row"))?;
    row.check(&owner.alliance, &owner.member)
}

impl SchemaRow {
    /// Of a store in this version's schema.
    fn of(alliance: &AllianceName, member: &MemberId) -> Self {
        Self { version: SCHEMA_VERSION, alliance: alliance.to_string(), member: member.to_string(), unfinished: false }
    }

    /// Whether a store with this row is read by this version for this member.
    fn check(self, alliance: &AllianceName, member: &MemberId) -> Result<(), OpenError> {
        if self.version > SCHEMA_VERSION {
            return Err(OpenError::NewerSchema { found: self.version, known: SCHEMA_VERSION });
        }
        if self.alliance != alliance.as_str() || self.member != member.as_str() {
            return Err(OpenError::WrongOwner { alliance: self.alliance, member: self.member });
        }
        if self.unfinished { Err(OpenError::Unfinished) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
