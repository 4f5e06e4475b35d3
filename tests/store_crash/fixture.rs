//! What the load writes: every entry, check and roster follows from a number, so that whoever reads the store afterwards
//! knows what should stand there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use countermark::domain::limits::SALT_BYTES;
use countermark::domain::{
    AllianceName, Audience, Clock, Entropy, EntropyError, Erasure, ErasureReason, Evidence, EvidenceGrade, EvidenceKind,
    FeedId, IdentifierKind, Infringement, Judgment, Pseudonym, PseudonymSet, Reason, Retraction, RetractionReason, Seq,
    Sha256Digest, SignalContent, SignalStatus, Statement, SubmissionTag, Timestamp, Verdict,
};
use countermark::feed::{
    Body, Checkpoint, Entry, EntryBytes, ForkProof, Frontier, Hash, Leaf, SignedCheckpoint, SigningKey, encode,
};
use countermark::store::{Append, CheckRecord, FeedFreshness, FeedState, FreshnessRecord, Import, MatchRecord, Options, Store};

/// Signals with this bit in their number are about as large as an entry may be, and do not compress.
pub const HEAVY: u64 = 1 << 63;
/// Entries of the imported feed up to each of its checkpoints: one, some, a segment and one more, and many.
const IMPORTED: [u64; 6] = [1, 7, 17, 3, 260, 32];

/// SplitMix64: a stream of numbers from a seed.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

/// Stands still until it is moved on. It starts anew in each process, so that a later one may find it set back.
struct LoadClock;

static NOW_MS: AtomicI64 = AtomicI64::new(1_800_000_000_000);

impl Clock for LoadClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(NOW_MS.load(Ordering::Relaxed))
    }
}

pub fn move_clock(by: Duration) {
    NOW_MS.fetch_add(i64::try_from(by.as_millis()).expect("no age"), Ordering::Relaxed);
}

/// Starts anew in each process: references of checks differ by their block.
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut random = Random(self.0.fetch_add(1, Ordering::Relaxed) << 32);
        out.iter_mut().for_each(|byte| *byte = random.next() as u8);
        Ok(())
    }
}

pub fn key(member: &str) -> Arc<SigningKey> {
    let seed = u64::from(member.as_bytes()[0]);
    Arc::new(SigningKey::generate(&Counter(AtomicU64::new(seed))).expect("a key"))
}

pub fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

pub fn options(folder: &Path) -> Options {
    Options {
        folder: folder.to_owned(),
        cache_bytes: 16 << 20,
        alliance: alliance(),
        member: "acme".parse().expect("valid"),
        key: key("acme"),
        clock: Arc::new(LoadClock),
        entropy: Arc::new(Counter(AtomicU64::new(1))),
    }
}

/// The two audiences of the load.
pub fn audience(name: &str) -> Audience {
    name.parse().expect("valid")
}

pub fn own_feed(audience: &str) -> FeedId {
    format!("acme/{audience}").parse().expect("valid")
}

pub fn imported_feed() -> FeedId {
    "bolt/all".parse().expect("valid")
}

pub fn tag(n: u64) -> SubmissionTag {
    SubmissionTag(Random(n ^ 0x7461_6700).bytes())
}

pub fn pseudonym(n: u64) -> Pseudonym {
    Pseudonym(Random(n ^ 0x7073_6575).bytes())
}

fn content(n: u64) -> SignalContent {
    let mut random = Random(n);
    let heavy = n & HEAVY != 0;
    let (keys, identifiers, evidence) = if heavy { (4, 32, 13) } else { (1, 1, 1) };
    let piece = |random: &mut Random| Evidence {
        kind: EvidenceKind::TestPurchase,
        grade: EvidenceGrade::Conclusive,
        digests: (0..if heavy { 8 } else { 0 }).map(|_| Sha256Digest(random.bytes())).collect(),
    };
    let evidence = (0..evidence).map(|_| piece(&mut random)).collect();
    let mut set = |key: usize| PseudonymSet {
        key: format!("k{key}").parse().expect("valid"),
        pseudonyms: (0..identifiers)
            .map(|i| if key == 0 && i == 0 { pseudonym(n) } else { Pseudonym(random.bytes()) })
            .collect(),
    };
    SignalContent {
        kinds: vec![IdentifierKind::Phone; identifiers],
        pseudonyms: (0..keys).map(&mut set).collect(),
        statement: Statement { brand: Some(format!("Brand {n}")), ..Statement::of(Infringement::Other, evidence) },
    }
}

fn encoded(body: Body, n: u64) -> (Entry, EntryBytes) {
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(1), body };
    let bytes = encode(&entry, Random(n ^ 0x7361_6C74).bytes::<SALT_BYTES>()).expect("fits");
    (entry, bytes)
}

/// The `n`-th signal as it stands in a feed.
pub fn signal_entry(n: u64) -> (Entry, EntryBytes) {
    encoded(Body::Signal { tag: tag(n), content: content(n) }, n)
}

pub fn signal(name: &str, n: u64) -> Append {
    let (entry, bytes) = signal_entry(n);
    Append::Signal { audience: audience(name), tag: tag(n), known_as: vec![], entry: entry.into(), bytes }
}

/// Erases signals of an own feed, as its node would.
pub fn erasure(name: &str, signals: &[Seq]) -> Append {
    let mut entries = signals.to_vec();
    entries.sort_unstable();
    let body = Body::Erasure(Erasure { entries: entries.clone(), tags: vec![], reason: ErasureReason::Request });
    let (entry, bytes) = encoded(body, entries[0].get());
    Append::Erasure { audience: audience(name), entries, entry: entry.into(), bytes }
}

pub fn retraction(name: &str, signal: Seq) -> Append {
    let body = Body::Retraction(Retraction { signal, reason: RetractionReason::EntryError });
    let (entry, bytes) = encoded(body, signal.get());
    Append::Retraction { audience: audience(name), signal, entry: entry.into(), bytes }
}

pub fn check_record(n: u64) -> CheckRecord {
    let freshness = FeedFreshness {
        feed: imported_feed(),
        size: Seq::new(n),
        newest_size: Seq::new(n + 1),
        last_heard: Some(Timestamp::from_unix_ms(3)),
        state: FeedState::Followed,
        live_signals: n,
        not_understood: 0,
        missing: 0,
    };
    CheckRecord {
        checked_at: Timestamp::from_unix_ms(5),
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: content(n).pseudonyms,
        judgment: Judgment { verdict: Verdict::Alleged, reasons: [Reason::AllegedByMember].into(), score: 20 },
        members_elsewhere: 2,
        omitted: 0,
        own_omitted: 0,
        matches: vec![MatchRecord {
            signal: "acme/all/3".parse().expect("valid"),
            status: SignalStatus::Alleged,
            strong: vec![0],
            weak: vec![],
            void: vec![],
            quarantined: false,
            counts: true,
        }],
        freshness: Arc::new(FreshnessRecord { as_of: Timestamp::from_unix_ms(4), feeds: vec![freshness] }),
    }
}

/// Different from byte to byte; with [`HEAVY`] nearly as long as a roster may be.
pub fn roster(n: u64) -> Bytes {
    let words = if n & HEAVY != 0 { 380_000 } else { 400 };
    let mut random = Random(n ^ 0x726F_7374);
    std::iter::once(n).chain((0..words).map(|_| random.next())).flat_map(u64::to_be_bytes).collect()
}

/// Rosters are put one after the other, light ones or heavy ones.
pub fn roster_number(note: &[u8]) -> u64 {
    u64::from_be_bytes(note[..8].try_into().expect("eight bytes"))
}

/// The number of the imported feed's `i`-th signal.
pub fn imported(i: u64) -> u64 {
    1 << 60 | i
}

/// The next batch of the other member's feed after what `store` holds.
pub fn next_import(store: &Store) -> Import {
    let frontier = store.frontier(&imported_feed());
    let start = frontier.size().get();
    let mut end = 0;
    for step in IMPORTED.iter().cycle() {
        end += step;
        if end > start {
            break;
        }
    }
    let entries: Vec<_> = (start..end).map(|i| signal_entry(imported(i)).1).collect();
    let grown = grow(frontier.clone(), &entries);
    let checkpoint = Checkpoint { feed: imported_feed(), size: grown.size(), root: grown.root() };
    let signed = SignedCheckpoint::sign(checkpoint, &alliance(), &key("bolt"));
    Import::verify(&frontier, entries.into_iter().map(Leaf::from).collect(), signed).expect("as signed")
}

/// The feed whose member signed two histories.
pub fn forked_feed() -> FeedId {
    "cup/all".parse().expect("valid")
}

pub fn fork() -> ForkProof {
    let signed = |root| {
        let checkpoint = Checkpoint { feed: forked_feed(), size: Seq::new(1), root: Hash([root; 32]) };
        SignedCheckpoint::sign(checkpoint, &alliance(), &key("cup"))
    };
    ForkProof::new(signed(1), signed(2), vec![], vec![]).expect("a fork")
}

/// An own feed of which another member holds more.
pub fn behind_feed() -> FeedId {
    own_feed("south")
}

fn grow(mut frontier: Frontier, entries: &[EntryBytes]) -> Frontier {
    entries.iter().for_each(|entry| frontier.push(entry.leaf_hash()));
    frontier
}
