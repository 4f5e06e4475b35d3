//! An alliance without networks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::hall::{Chest, Door, Hall, Present};
use crate::domain::limits::MAX_ROWS_PER_CHUNK;
use crate::domain::{
    Audience, Clock, Entropy, EntropyError, Evidence, EvidenceKind, FeedId, Group, Identifier, IdentifierKind, Infringement,
    KeyId, KeyState, MarkerKind, MarkerReason, Member, MemberId, MemberKind, MemberState, Roster, RosterKey, Scheme,
    SharedGeneration, Statement, Submission, Timestamp,
};
use crate::feed::{SignedCheckpoint, SignedRoster, SigningKey};
use crate::membership::{Directory, Liveness};
use crate::pseudonym::{HmacKey, PseudonymCache, deal};
use crate::service::{
    AccuracyBoard, Answer, Cases, Ceremonies, CeremonyDesk, CeremonyPace, Eraser, FreshnessBoard, HolderBoard, HolderDesk,
    KeyHolder, KeySecrets, Leads, LocalSecret, MarkerDraft, Overrides, Pseudonymiser, Receipt, Retention, Rings, ScreenError,
    Screener, ShareBook, Signals, SubmitError, Submitter, Turns, WalkBounds, Watcher, Watches, dealt_record,
};
use crate::store::{Import, Options, Store};

const START_MS: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 86_400_000;

pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn advance_days(&self, days: i64) {
        self.advance_ms(days * DAY_MS);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Counts up, so that every draw differs.
pub(super) struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.0.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

pub(super) fn entropy(seed: u64) -> Arc<Counter> {
    Arc::new(Counter(AtomicU64::new(seed << 32 | 1)))
}

/// The keys folder of one node.
#[derive(Default)]
pub(crate) struct HeldKeys(Mutex<BTreeMap<KeyId, u8>>);

impl HeldKeys {
    pub(crate) fn put(&self, key: &str) {
        self.0.lock().insert(key.parse().expect("valid"), secret_byte(key));
    }
}

impl KeySecrets for HeldKeys {
    fn secrets(&self) -> Vec<(KeyId, HmacKey)> {
        self.0.lock().iter().map(|(id, byte)| (id.clone(), key_of(*byte))).collect()
    }

    fn destroy(&self, key: &KeyId) {
        self.0.lock().retain(|id, _| id != key);
    }
}

fn secret_byte(key: &str) -> u8 {
    key.bytes().last().expect("a name")
}

fn key_of(byte: u8) -> HmacKey {
    HmacKey::from_bytes(Zeroizing::new([byte; 32]))
}

/// One member's node, without its edge.
pub(crate) struct TestNode {
    pub(crate) store: Arc<Store>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) freshness: Arc<FreshnessBoard>,
    pub(crate) pseudonymiser: Arc<Pseudonymiser>,
    pub(crate) submitter: Submitter,
    pub(crate) signals: Arc<Signals>,
    pub(crate) cases: Cases,
    pub(crate) eraser: Arc<Eraser>,
    pub(crate) retention: Retention,
    pub(crate) watches: Watches,
    pub(crate) watcher: Watcher,
    pub(crate) accuracy: Arc<AccuracyBoard>,
    pub(crate) overrides: Overrides,
    pub(crate) leads: Leads,
    pub(crate) screener: Arc<Screener>,
    pub(crate) keys: Arc<HeldKeys>,
    pub(crate) chest: Arc<Chest>,
    pub(crate) clock: Arc<TestClock>,
    feed_key: Arc<SigningKey>,
    _folder: tempfile::TempDir,
}

pub(crate) struct World {
    secretariat: SigningKey,
    pub(crate) roster: Roster,
    pub(crate) hall: Arc<Hall>,
    /// Holders that were started.
    opened: AtomicU64,
    nodes: BTreeMap<MemberId, TestNode>,
}

pub(crate) fn member(name: &str) -> MemberId {
    name.parse().expect("valid")
}

pub(crate) fn feed(name: &str) -> FeedId {
    name.parse().expect("valid")
}

impl World {
    /// Members who hold key `k1`, and a group `makers` of all of them.
    pub(crate) async fn new(members: &[&str]) -> Self {
        let feed_keys: Vec<_> =
            (1..).zip(members).map(|(seed, id)| (*id, SigningKey::generate(&*entropy(seed)).expect("a key"))).collect();
        let listed = |(id, key): &(&str, SigningKey)| Member {
            id: member(id),
            kind: MemberKind::Brand,
            name: (*id).into(),
            state: MemberState::Active,
            address: "127.0.0.1:1".into(),
            feed_key: key.public(),
        };
        let roster = Roster {
            members: feed_keys.iter().map(listed).collect(),
            groups: vec![Group {
                name: "makers".parse().expect("valid"),
                members: members.iter().map(|id| member(id)).collect(),
            }],
            keys: vec![roster_key("k1", KeyState::Active)],
            ..Roster::first("alliance.example".parse().expect("valid"), "2026-11-22T00:00:00Z".into())
        };
        let secretariat = SigningKey::generate(&*entropy(99)).expect("a key");
        let mut world = Self { secretariat, roster, hall: Arc::default(), opened: AtomicU64::new(0), nodes: BTreeMap::new() };
        for (seed, (id, key)) in (1_000..).zip(feed_keys) {
            let node = world.open(member(id), Arc::new(key), seed).await;
            world.open_holder_of(&node);
            world.nodes.insert(member(id), node);
        }
        world
    }

    async fn open(&self, id: MemberId, feed_key: Arc<SigningKey>, seed: u64) -> TestNode {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(TestClock(AtomicI64::new(START_MS)));
        let options = Options {
            folder: folder.path().to_owned(),
            cache_bytes: 16 << 20,
            alliance: self.roster.alliance.clone(),
            member: id.clone(),
            key: feed_key.clone(),
            clock: clock.clone(),
            entropy: entropy(seed),
        };
        let store = Arc::new(Store::open(options).expect("opens"));
        let note = SignedRoster::sign(self.roster.clone(), &self.secretariat).expect("valid").note().clone();
        let (alliance, secretariat) = (self.roster.alliance.clone(), self.secretariat.public());
        let directory = Directory::open(alliance, id, secretariat, store.clone(), Some(note)).await.expect("a member");
        let (directory, liveness, keys) = (Arc::new(directory), Arc::new(Liveness::new()), Arc::new(HeldKeys::default()));
        keys.put("k1");
        let door = Arc::new(Door { hall: self.hall.clone(), member: directory.member().clone() });
        let cache = PseudonymCache::new(0, &*entropy(seed + 6)).expect("random");
        let (board, shelf) = (Arc::new(HolderBoard::new(directory.clone(), clock.clone())), self.hall.clone());
        let desk = HolderDesk::new(directory.clone(), door, board, entropy(seed + 4), clock.clone(), shelf, cache);
        let desk = Arc::new(desk);
        let pseudonymiser = Arc::new(Pseudonymiser::new(directory.clone(), keys.clone(), desk, clock.clone()));
        let chest = Arc::new(Chest::default());
        let freshness = FreshnessBoard::new(store.clone(), directory.clone(), liveness.clone(), clock.clone());
        let freshness = Arc::new(freshness);
        let secret = Arc::new(LocalSecret::generate(&*entropy(seed + 1)).expect("a secret"));
        let signals = Arc::new(Signals {
            store: store.clone(),
            directory: directory.clone(),
            secret: secret.clone(),
            clock: clock.clone(),
            entropy: entropy(seed + 2),
            leads: tokio::sync::Mutex::default(),
        });
        let cases = Cases {
            store: store.clone(),
            directory: directory.clone(),
            signals: signals.clone(),
            pseudonymiser: pseudonymiser.clone(),
            secret: secret.clone(),
            clock: clock.clone(),
            recording: tokio::sync::Mutex::default(),
        };
        let accuracy = Arc::new(AccuracyBoard::new(store.clone(), directory.clone(), clock.clone()));
        let screener = Screener::new(
            store.clone(),
            directory.clone(),
            pseudonymiser.clone(),
            freshness.clone(),
            accuracy.clone(),
            clock.clone(),
            &secret,
        );
        let rings = Arc::new(Rings {
            store: store.clone(),
            directory: directory.clone(),
            freshness: freshness.clone(),
            pseudonymiser: pseudonymiser.clone(),
            signals: signals.clone(),
            clock: clock.clone(),
            searches: Turns::default(),
            bounds: WalkBounds::default(),
        });
        let leads = Leads {
            store: store.clone(),
            directory: directory.clone(),
            signals: signals.clone(),
            rings: rings.clone(),
            clock: clock.clone(),
        };
        let overrides = Overrides {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            clock: clock.clone(),
        };
        let eraser = Arc::new(Eraser { store: store.clone(), directory: directory.clone(), signals: signals.clone() });
        let retention =
            Retention { store: store.clone(), directory: directory.clone(), eraser: eraser.clone(), clock: clock.clone() };
        let screener = Arc::new(screener);
        let watches = Watches {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            clock: clock.clone(),
        };
        let watcher = Watcher { store: store.clone(), screener: screener.clone(), clock: clock.clone() };
        TestNode {
            watches,
            watcher,
            eraser,
            retention,
            submitter: Submitter {
                store: store.clone(),
                directory: directory.clone(),
                pseudonymiser: pseudonymiser.clone(),
                secret,
                clock: clock.clone(),
                entropy: entropy(seed + 3),
            },
            signals,
            cases,
            accuracy,
            overrides,
            leads,
            screener,
            store,
            directory,
            liveness,
            freshness,
            pseudonymiser,
            keys,
            chest,
            clock,
            feed_key,
            _folder: folder,
        }
    }

    pub(crate) fn node(&self, id: &str) -> &TestNode {
        &self.nodes[&member(id)]
    }

    /// A new roster, in force at every node at once.
    pub(crate) async fn amend(&mut self, change: impl FnOnce(&mut Roster)) {
        change(&mut self.roster);
        self.roster.serial += 1;
        let note = SignedRoster::sign(self.roster.clone(), &self.secretariat).expect("valid").note().clone();
        for node in self.nodes.values() {
            assert!(node.directory.offer(note.clone()).await.expect("newer"));
        }
    }

    /// Keys with these states, whose secrets every node holds.
    pub(crate) async fn rotate(&mut self, keys: &[(&str, KeyState)]) {
        self.nodes.values().for_each(|node| keys.iter().for_each(|(id, _)| node.keys.put(id)));
        self.amend(|roster| roster.keys = keys.iter().map(|(id, state)| roster_key(id, *state)).collect()).await;
    }

    /// Makes a key that these members share the only one, of which `threshold` of them are needed.
    pub(crate) async fn share_key(&mut self, threshold: u16, holders: &[&str]) {
        let members: Vec<MemberId> = holders.iter().map(|holder| member(holder)).collect();
        let (sharing, held) = deal(threshold, &members, &*entropy(77)).expect("dealt");
        let (id, scheme, state) = ("s1".parse().expect("valid"), Scheme::ToprfRistretto255, KeyState::Active);
        let listed = RosterKey { id, scheme, state, check: String::new(), sharing: Some(sharing) };
        let generation = SharedGeneration::of(&listed).expect("dealt");
        for (holder, held) in holders.iter().zip(held) {
            let node = self.node(holder);
            node.chest.put(&listed.id, dealt_record(held, generation.clone(), node.clock.now()));
            self.open_holder(holder);
        }
        self.amend(|roster| roster.keys = vec![listed]).await;
    }

    /// Starts what `name` does as a holder of keys, from what it has kept.
    pub(crate) fn open_holder(&self, name: &str) -> Present {
        self.open_holder_of(self.node(name))
    }

    fn open_holder_of(&self, node: &TestNode) -> Present {
        let book = Arc::new(ShareBook::new(node.chest.clone()));
        let (store, directory, key, clock) =
            (node.store.clone(), node.directory.clone(), node.feed_key.clone(), node.clock.clone());
        // Others than those that it drew before.
        let fresh = entropy(5_000 + self.opened.fetch_add(1, Ordering::SeqCst));
        let holder = KeyHolder::new(store, directory.clone(), book.clone(), key.clone(), clock.clone(), fresh.clone());
        let member = directory.member().clone();
        let ceremonies = Ceremonies {
            book,
            directory,
            fellows: Arc::new(Door { hall: self.hall.clone(), member: member.clone() }),
            feed_key: key.clone(),
            clock,
            entropy: fresh,
            pace: CeremonyPace::default(),
            desk: CeremonyDesk::default(),
        };
        let present = Present { holder: Arc::new(holder), ceremonies: Arc::new(ceremonies), key };
        self.hall.enter(member, present.clone());
        present
    }

    /// Copies all that is new of `name` from its member to `to`.
    pub(crate) async fn deliver(&self, name: &str, to: &str) {
        while self.deliver_next(name, to).await {}
    }

    /// Copies what `name`'s member committed next; false where there is nothing new.
    pub(crate) async fn deliver_next(&self, name: &str, to: &str) -> bool {
        let of = feed(name);
        let (from, to) = (&self.nodes[&of.member], self.node(to));
        let Some(batch) = from.store.batch_after(&of, to.store.size(&of)).expect("readable") else { return false };
        let key = from.feed_key.public();
        let checkpoint = SignedCheckpoint::open(batch.checkpoint, &self.roster.alliance, |_| Some(key)).expect("signed");
        let import = Import::verify(&to.store.frontier(&of), batch.leaves, checkpoint).expect("as signed");
        to.store.import(import).await.expect("stored");
        true
    }
}

pub(crate) fn roster_key(id: &str, state: KeyState) -> RosterKey {
    let check = key_of(secret_byte(id)).check_value();
    RosterKey { id: id.parse().expect("valid"), scheme: Scheme::HmacSha256, state, check, sharing: None }
}

impl TestNode {
    pub(crate) fn feed_key(&self) -> &Arc<SigningKey> {
        &self.feed_key
    }

    pub(crate) async fn submit(&self, submission: Submission) -> Result<Receipt, SubmitError> {
        self.submitter.submit(vec![submission]).await.pop().expect("one outcome")
    }

    pub(crate) async fn submit_all(&self, submissions: impl IntoIterator<Item = Submission>) {
        let mut rest = submissions.into_iter();
        loop {
            let piece: Vec<Submission> = rest.by_ref().take(MAX_ROWS_PER_CHUNK).collect();
            if piece.is_empty() {
                return;
            }
            for outcome in self.submitter.submit(piece).await {
                assert!(outcome.expect("taken").created);
            }
        }
    }

    /// Asks a moment later, so that no earlier picture of the feeds serves.
    pub(crate) async fn check(&self, identifiers: Vec<Identifier>) -> Result<Answer, ScreenError> {
        self.clock.advance_ms(1_000);
        self.screener.check(vec![identifiers]).await.pop().expect("one outcome")
    }

    pub(crate) async fn ask(&self, domain: &str) -> Answer {
        self.check(vec![named(domain)]).await.expect("answered")
    }
}

pub(crate) fn identifier(kind: IdentifierKind, value: &str) -> Identifier {
    Identifier { kind, value: value.into(), region: String::new() }
}

pub(crate) fn named(domain: &str) -> Identifier {
    identifier(IdentifierKind::Domain, domain)
}

/// A marker for the whole alliance, for as long as the policy says.
pub(crate) fn marker(kind: MarkerKind, identifier: Identifier, reason: MarkerReason) -> MarkerDraft {
    let audience = Audience::Alliance;
    MarkerDraft { kind, audience, identifiers: vec![identifier], reason, digests: vec![], valid_days: None }
}

/// What is stated of `domain` to `audience`, told apart by `case`.
pub(crate) fn submission(audience: &str, domain: &str, evidence: EvidenceKind, case: usize) -> Submission {
    Submission {
        id: None,
        audience: audience.parse().expect("valid"),
        identifiers: vec![named(domain)],
        statement: Statement {
            brand: Some(format!("Case {case}")),
            ..Statement::of(Infringement::TrademarkCounterfeit, vec![Evidence::of(evidence)])
        },
    }
}

/// An allegation to the whole alliance.
pub(crate) fn allegation(domain: &str, case: usize) -> Submission {
    submission("all", domain, EvidenceKind::TestPurchase, case)
}
