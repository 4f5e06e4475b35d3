//! The simulated alliance: members, their nodes, and the net between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::limits::SALT_BYTES;
use crate::domain::{
    AllianceName, Audience, Clock, Entropy, EntropyError, Evidence, EvidenceKind, FeedId, Group, IdentifierKind, Infringement,
    Member, MemberId, MemberKind, MemberState, NodeVersion, Pseudonym, PseudonymSet, Roster, Seq, SignalContent, Statement,
    SubmissionTag, Timestamp,
};
use crate::feed::{Body, Entry, EntryBytes, Hash, SignedRoster, SigningKey, encode, leaf_hash};
use crate::replication::{
    Dialer, Directory, FollowCommand, FollowEvent, FollowStream, Heads, Link, LinkError, Liveness, OwnFeeds, Pace, PeerStatus,
    Reader, Replicator, ServeContext, ServeError, Setup, Traffic, serve,
};
use crate::store::{Append, Options, Store, StoreError};

/// Real time, a hundred times as fast: stores write real files from their own threads, which a paused clock would overtake.
pub(super) const PACE: Pace = Pace {
    heartbeat: Duration::from_millis(100),
    relay_after: Duration::from_millis(300),
    backoff_first: Duration::from_millis(10),
    backoff_last: Duration::from_millis(200),
};
/// After this a condition counts as never coming true.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_800_000_000_000)))
    }

    pub(super) fn pass_days(&self, days: i64) {
        self.0.fetch_add(days * 86_400_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Counts up, so that every draw differs.
pub(super) struct Counter(pub(super) AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

pub(super) fn key(name: &str) -> Arc<SigningKey> {
    let seed = name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(257).wrapping_add(u64::from(byte)));
    Arc::new(SigningKey::generate(&Counter(AtomicU64::new(seed << 16))).expect("a key"))
}

pub(super) fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

pub(super) fn id(text: &str) -> MemberId {
    text.parse().expect("valid")
}

pub(super) fn feed(text: &str) -> FeedId {
    text.parse().expect("valid")
}

/// Active members, groups of some of them, and expelled ones.
pub(super) fn roster(serial: u64, members: &[&str], groups: &[(&str, &[&str])], expelled: &[&str]) -> Roster {
    let member = |name: &&str| Member {
        id: id(name),
        kind: MemberKind::Brand,
        name: (*name).to_owned(),
        state: if expelled.contains(name) { MemberState::Expelled } else { MemberState::Active },
        address: format!("{name}:1"),
        feed_key: key(name).public(),
    };
    let group = |(name, members): &(&str, &[&str])| Group {
        name: name.parse().expect("valid"),
        members: members.iter().map(|member| id(member)).collect(),
    };
    Roster {
        serial,
        members: members.iter().map(member).collect(),
        groups: groups.iter().map(group).collect(),
        ..Roster::first(alliance(), "2026-11-22T00:00:00Z".into())
    }
}

pub(super) fn signed(roster: Roster) -> Bytes {
    SignedRoster::sign(roster, &key("secretariat")).expect("valid").note().clone()
}

/// A signal that is the same for the same number.
pub(super) fn signal(audience: &str, n: u64) -> Append {
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let mut pseudonym = [7; 32];
    pseudonym[..8].copy_from_slice(&spread);
    let mut tag = [0; 16];
    tag[..8].copy_from_slice(&spread);
    let content = SignalContent {
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: vec![PseudonymSet { key: "k1".parse().expect("valid"), pseudonyms: vec![Pseudonym(pseudonym)] }],
        statement: Statement {
            brand: Some("Brand".into()),
            ..Statement::of(Infringement::Other, vec![Evidence::of(EvidenceKind::TestPurchase)])
        },
    };
    let tag = SubmissionTag(tag);
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(1), body: Body::Signal { tag, content } };
    let bytes = encode(&entry, [n as u8; SALT_BYTES]).expect("fits");
    Append::Signal { audience: audience.parse().expect("valid"), tag, known_as: vec![], entry: entry.into(), bytes }
}

/// What goes wrong with what one node sends to another.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// A bit of the first entry of every batch of this feed.
    FlippedBit(FeedId),
    /// Every batch's checkpoint of this feed is this one.
    Checkpoint(FeedId, Bytes),
    /// This batch comes before every event.
    Unasked(FollowEvent),
    /// No batch of this feed arrives.
    Withheld(FeedId),
    /// The entries of this feed arrive without their content.
    Hollow(FeedId),
    /// The link breaks after so many entries, once.
    CutAfter(usize),
    /// The peer claims a roster of this serial, and shows this one.
    Roster(u64, Bytes),
    /// Heads arrive so much later.
    LateHeads(Duration),
}

/// What went from one node to another.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) bytes: AtomicU64,
    pub(super) entries: AtomicU64,
}

type Way = (MemberId, MemberId);

/// Who can reach whom, at which node, and how badly.
#[derive(Default)]
pub(super) struct Net {
    nodes: Mutex<BTreeMap<String, Arc<Endpoint>>>,
    /// The node that answers for a member, where it is not the one of that name.
    routes: Mutex<BTreeMap<Way, String>>,
    cut: Mutex<BTreeSet<Way>>,
    /// Open streams, by follower and server.
    open: Mutex<BTreeMap<Way, CancellationToken>>,
    faults: Mutex<BTreeMap<Way, Vec<Fault>>>,
    meters: Mutex<BTreeMap<Way, Arc<Meter>>>,
}

struct Endpoint {
    serving: ServeContext,
    directory: Arc<Directory>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Net {
    fn break_link(&self, way: &Way) {
        if let Some(open) = self.open.lock().remove(way) {
            open.cancel();
        }
    }

    pub(super) fn meter(&self, from: &str, to: &str) -> Arc<Meter> {
        self.meters.lock().entry((id(from), id(to))).or_default().clone()
    }

    /// What `to` gets from `from` is faulty from now on.
    pub(super) fn set_faults(&self, from: &str, to: &str, faults: Vec<Fault>) {
        self.faults.lock().insert((id(from), id(to)), faults);
    }

    fn endpoint(&self, from: &MemberId, to: &MemberId) -> Option<Arc<Endpoint>> {
        let way = (from.clone(), to.clone());
        if self.cut.lock().contains(&way) {
            return None;
        }
        let node = self.routes.lock().get(&way).cloned().unwrap_or_else(|| to.to_string());
        self.nodes.lock().get(&node).cloned()
    }

    /// Between the sender and the follower: counts, and does what is wrong.
    fn transmit(&self, sent: &Way, event: FollowEvent, broken: &CancellationToken) -> Vec<FollowEvent> {
        let mut faults = self.faults.lock();
        let faults = faults.entry(sent.clone()).or_default();
        let mut events = vec![event];
        for fault in faults.iter_mut() {
            match (fault, &mut events[..]) {
                (Fault::FlippedBit(of), [FollowEvent::Batch { feed, entries, .. }, ..]) if feed == of => {
                    let mut bytes = entries[0].to_vec();
                    bytes[5] ^= 1;
                    entries[0] = bytes.into();
                }
                (Fault::Checkpoint(of, note), [FollowEvent::Batch { feed, checkpoint, .. }, ..]) if feed == of => {
                    *checkpoint = note.clone();
                }
                (Fault::Roster(serial, _), [FollowEvent::Heartbeat(word), ..]) => word.roster_serial = *serial,
                (Fault::Withheld(of), [FollowEvent::Batch { feed, .. }, ..]) if feed == of => events.clear(),
                (Fault::Hollow(of), [FollowEvent::Batch { feed, entries, erased, .. }, ..]) if feed == of => {
                    erased.extend(entries.iter_mut().map(|entry| leaf_hash(&std::mem::take(entry))));
                }
                (Fault::Unasked(batch), _) => events.push(batch.clone()),
                (Fault::CutAfter(left), [FollowEvent::Batch { entries, .. }, ..]) => {
                    *left = left.saturating_sub(entries.len());
                    if *left == 0 {
                        broken.cancel();
                    }
                }
                _ => {}
            }
        }
        faults.retain(|fault| *fault != Fault::CutAfter(0));
        let meter = self.meters.lock().entry(sent.clone()).or_default().clone();
        for event in &events {
            let (bytes, entries) = payload(event);
            meter.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            meter.entries.fetch_add(entries as u64, Ordering::Relaxed);
        }
        events
    }
}

fn payload(event: &FollowEvent) -> (usize, usize) {
    match event {
        FollowEvent::Batch { feed, entries, checkpoint, .. } => {
            let bytes: usize = entries.iter().map(Bytes::len).sum();
            (feed.to_string().len() + 8 + bytes + checkpoint.len(), entries.len())
        }
        FollowEvent::Heartbeat(_) => (72, 0),
        FollowEvent::Refused { feed, refusal } => (feed.to_string().len() + refusal.code().len(), 0),
    }
}

pub(super) struct NetDialer {
    pub(super) me: MemberId,
    pub(super) net: Arc<Net>,
}

#[async_trait]
impl Dialer for NetDialer {
    async fn dial(&self, member: &MemberId, address: &str) -> Result<Box<dyn Link>, LinkError> {
        assert_eq!(address, format!("{member}:1"), "the roster's address");
        let endpoint = self.net.endpoint(&self.me, member);
        let endpoint = endpoint.ok_or_else(|| LinkError::new("PEER_UNREACHABLE", "nobody there"))?;
        if !endpoint.directory.roster().roster().is_active(&self.me) {
            return Err(LinkError::new("PEER_REFUSED", "not an active member"));
        }
        let version = NodeVersion::own();
        Ok(Box::new(MemoryLink { net: self.net.clone(), me: self.me.clone(), peer: member.clone(), version }))
    }
}

struct MemoryLink {
    net: Arc<Net>,
    me: MemberId,
    peer: MemberId,
    version: NodeVersion,
}

impl MemoryLink {
    /// From the one that serves to the one that follows.
    fn sent(&self) -> Way {
        (self.peer.clone(), self.me.clone())
    }

    fn endpoint(&self) -> Result<Arc<Endpoint>, LinkError> {
        self.net.endpoint(&self.me, &self.peer).ok_or_else(|| LinkError::new("STREAM_BROKEN", "the link is cut"))
    }

    fn count(&self, bytes: usize) {
        self.net.meters.lock().entry(self.sent()).or_default().bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Asks the peer among its own tasks, so that it does not close its store under the question.
    async fn ask<T, F>(&self, question: impl FnOnce(Arc<Endpoint>, MemberId) -> F) -> Result<T, LinkError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServeError>> + Send + 'static,
    {
        let endpoint = self.endpoint()?;
        let tasks = endpoint.tasks.clone();
        let answer = tasks.spawn(question(endpoint, self.me.clone())).await.expect("no panic");
        answer.map_err(|error| LinkError::new(error.code(), error.to_string()))
    }
}

#[async_trait]
impl Link for MemoryLink {
    fn version(&self) -> &NodeVersion {
        &self.version
    }

    async fn roster(&self) -> Result<Bytes, LinkError> {
        let faults = self.net.faults.lock().get(&self.sent()).cloned().unwrap_or_default();
        let shown = faults.into_iter().find_map(|fault| if let Fault::Roster(_, note) = fault { Some(note) } else { None });
        let note = shown.map_or_else(|| self.endpoint().map(|endpoint| endpoint.serving.roster_note()), Ok)?;
        self.count(note.len());
        Ok(note)
    }

    async fn checkpoints(&self) -> Result<Heads, LinkError> {
        let faults = self.net.faults.lock().get(&self.sent()).cloned().unwrap_or_default();
        for fault in faults {
            if let Fault::LateHeads(by) = fault {
                tokio::time::sleep(by).await;
            }
        }
        let heads = self.ask(async |endpoint, me| endpoint.serving.heads_for(&me).await).await?;
        let forks = heads.forks.iter().map(|f| f.first.len() + f.second.len() + 32 * (f.frontier.len() + f.leaf_hashes.len()));
        self.count(heads.checkpoints.iter().map(Bytes::len).sum::<usize>() + forks.sum::<usize>());
        Ok(heads)
    }

    async fn frontier(&self, feed: &FeedId, size: Seq) -> Result<Vec<Hash>, LinkError> {
        let feed = feed.clone();
        self.ask(async move |endpoint, me| endpoint.serving.frontier_for(&me, &feed, size).await).await
    }

    async fn receipt(&self, feed: &FeedId) -> Result<Bytes, LinkError> {
        let feed = feed.clone();
        self.ask(async move |endpoint, me| endpoint.serving.receipt_for(&me, &feed).await).await
    }

    async fn entries(&self, feed: &FeedId, seqs: &[Seq]) -> Result<Vec<(Seq, EntryBytes)>, LinkError> {
        let faults = self.net.faults.lock().get(&self.sent()).cloned().unwrap_or_default();
        if faults.contains(&Fault::Hollow(feed.clone())) {
            return Ok(Vec::new());
        }
        let (feed, seqs) = (feed.clone(), seqs.to_vec());
        self.ask(async move |endpoint, me| endpoint.serving.entries_for(&me, &feed, seqs).await).await
    }

    async fn follow(&self) -> Result<FollowStream, LinkError> {
        let endpoint = self.endpoint()?;
        let (commands, asked) = mpsc::channel(4);
        let (out, served) = mpsc::channel(2);
        let (peer, shutdown) = (self.me.clone(), endpoint.shutdown.child_token());
        let tasks = endpoint.tasks.clone();
        tasks.spawn(async move {
            let ended = serve(peer, ReceiverStream::new(asked), out, &endpoint.serving, shutdown).await;
            assert!(matches!(ended, Ok(()) | Err(ServeError::NotAMember | ServeError::Store(StoreError::Closed))), "{ended:?}");
        });
        let broken = CancellationToken::new();
        self.net.open.lock().insert((self.me.clone(), self.peer.clone()), broken.clone());
        let (net, sent, cut) = (self.net.clone(), self.sent(), broken.clone());
        let events = ReceiverStream::new(served).flat_map(move |event| {
            futures_util::stream::iter(net.transmit(&sent, event, &cut).into_iter().map(Ok).collect::<Vec<_>>())
        });
        let error = futures_util::stream::once(async { Err(LinkError::new("STREAM_BROKEN", "the stream broke")) });
        Ok(FollowStream { commands, events: events.take_until(broken.cancelled_owned()).chain(error).boxed() })
    }

    fn traffic(&self) -> Traffic {
        let received_bytes = self.net.meters.lock().entry(self.sent()).or_default().bytes.load(Ordering::Relaxed);
        Traffic { received_bytes, sent_bytes: 0 }
    }
}

/// A running node.
pub(super) struct Node {
    pub(super) store: Arc<Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) liveness: Arc<Liveness>,
    replicator: Replicator,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    pub(super) fn size(&self, of: &str) -> u64 {
        self.store.size(&feed(of)).get()
    }

    pub(super) fn peer(&self, member: &str) -> Option<PeerStatus> {
        self.replicator.peers().into_iter().find(|peer| peer.member == id(member))
    }

    pub(super) fn error_of(&self, member: &str) -> Option<&'static str> {
        self.peer(member)?.last_error.map(|failure| failure.code)
    }

    pub(super) fn is_connected(&self, member: &str) -> bool {
        self.peer(member).is_some_and(|peer| peer.connected)
    }

    /// Appends as a submitter does: again, while the node has heard of nobody yet.
    pub(super) async fn append(&self, audience: &str, numbers: std::ops::Range<u64>) {
        for chunk in numbers.collect::<Vec<_>>().chunks(500) {
            let taken = async {
                while self.try_append(audience, chunk).await < chunk.len() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(PATIENCE, taken).await.expect("the node comes to hear of somebody");
        }
    }

    /// Appends what the node takes: nothing until it has heard of somebody. Gives how many it holds then.
    pub(super) async fn try_append(&self, audience: &str, numbers: &[u64]) -> usize {
        let outcomes = self.store.append(numbers.iter().map(|n| signal(audience, *n)).collect()).await.expect("durable");
        let unheard = |outcome: &Result<_, _>| matches!(outcome, Err(StoreError::OwnFeedUnconfirmed));
        assert!(outcomes.iter().all(|outcome| outcome.is_ok() || unheard(outcome)), "{outcomes:?}");
        outcomes.iter().filter(|outcome| outcome.is_ok()).count()
    }

    /// Everything that it holds for `audience`, to be compared.
    pub(super) fn picture(&self, audience: &Audience) -> BTreeMap<String, (u64, Hash, String)> {
        let feeds = self.store.feeds().into_iter().filter(|summary| summary.feed.audience == *audience);
        feeds.map(|s| (s.feed.to_string(), (s.size.get(), s.root, format!("{:?}", s.view_digest)))).collect()
    }
}

/// All of it.
pub(super) struct World {
    pub(super) net: Arc<Net>,
    pub(super) clock: Arc<TestClock>,
    /// Of nodes that start from now on.
    pub(super) pace: Pace,
    folders: tempfile::TempDir,
    roster: Bytes,
    nodes: BTreeMap<String, Node>,
}

impl World {
    pub(super) fn new(roster: Roster) -> Self {
        let folders = tempfile::tempdir().expect("a folder");
        let (net, clock, nodes) = (Arc::default(), TestClock::new(), BTreeMap::new());
        Self { net, clock, pace: PACE, folders, roster: signed(roster), nodes }
    }

    /// An alliance whose nodes all run.
    pub(super) async fn of(roster: Roster) -> Self {
        let mut world = Self::new(roster.clone());
        for member in &roster.members {
            world.start(member.id.as_str()).await;
        }
        world
    }

    /// Nodes that start from now on are given this roster.
    pub(super) fn hand_out(&mut self, roster: Roster) {
        self.roster = signed(roster);
    }

    pub(super) fn node(&self, name: &str) -> &Node {
        &self.nodes[name]
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    pub(super) async fn start(&mut self, name: &str) {
        self.start_as(name, name).await;
    }

    /// Starts the node `name`, which says that it is `member`'s.
    pub(super) async fn start_as(&mut self, name: &str, member: &str) {
        self.start_with(name, member, OwnFeeds::Confirm).await;
    }

    /// Starts it with own feeds taken for that.
    pub(super) async fn start_with(&mut self, name: &str, member: &str, own: OwnFeeds) {
        let me = id(member);
        let (clock, entropy) = (self.clock.clone(), Arc::new(Counter(AtomicU64::new(1))));
        let options = Options {
            folder: self.folder(name),
            cache_bytes: 4 << 20,
            alliance: alliance(),
            member: me.clone(),
            key: key(member),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let store = Arc::new(Store::open(options).expect("opens"));
        let secretariat = key("secretariat").public();
        let directory = Directory::open(alliance(), me.clone(), secretariat, store.clone(), Some(self.roster.clone()));
        let directory = Arc::new(directory.await.expect("a member"));
        let (tasks, shutdown, liveness) = (TaskTracker::new(), CancellationToken::new(), Arc::new(Liveness::new()));
        let reader = Reader::new(store.clone(), tasks.clone());
        let endpoint = Endpoint {
            serving: ServeContext::new(reader.clone(), directory.clone(), self.pace, key(member)),
            directory: directory.clone(),
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        let setup = Setup {
            reader,
            directory: directory.clone(),
            liveness: liveness.clone(),
            dialer: Arc::new(NetDialer { me, net: self.net.clone() }),
            clock,
            entropy,
            pace: self.pace,
            own,
        };
        let replicator = Replicator::spawn(setup, &tasks, shutdown.clone());
        self.net.nodes.lock().insert(name.to_owned(), Arc::new(endpoint));
        self.nodes.insert(name.to_owned(), Node { store, directory, liveness, replicator, shutdown, tasks });
    }

    /// Stops a node; all of its tasks are joined and its files closed.
    pub(super) async fn stop(&mut self, name: &str) {
        let node = self.nodes.remove(name).expect("it runs");
        self.net.nodes.lock().remove(name);
        node.shutdown.cancel();
        node.tasks.close();
        tokio::time::timeout(PATIENCE, node.tasks.wait()).await.expect("all tasks end");
        node.store.close();
        assert_eq!(Arc::strong_count(&node.store), 3, "nobody but node, directory and replicator holds the store");
    }

    /// What `member` asks of the others goes to the node `name` where it is meant for `of`.
    pub(super) fn route(&self, member: &str, of: &str, name: &str) {
        self.net.routes.lock().insert((id(member), id(of)), name.to_owned());
    }

    pub(super) fn cut(&self, a: &str, b: &str) {
        for way in [(id(a), id(b)), (id(b), id(a))] {
            self.net.cut.lock().insert(way.clone());
            self.net.break_link(&way);
        }
    }

    pub(super) fn heal(&self, a: &str, b: &str) {
        self.net.cut.lock().remove(&(id(a), id(b)));
        self.net.cut.lock().remove(&(id(b), id(a)));
    }

    pub(super) fn heal_all(&self) {
        self.net.cut.lock().clear();
    }

    /// Waits until it holds.
    pub(super) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let waited = async {
            while !holds(self) {
                look.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, waited).await.is_err() {
            let peers = self.nodes.iter().map(|(name, node)| format!("{name}: {:#?}\n", node.replicator.peers()));
            panic!("never: {what}\n{}", peers.collect::<String>());
        }
    }

    /// Waits until all nodes hold the same of what is for all, `entries` in all.
    pub(super) async fn converge(&self, entries: u64) {
        self.until("all nodes hold the same", |world| {
            let pictures: Vec<_> = world.nodes.values().map(|node| node.picture(&Audience::Alliance)).collect();
            let total: u64 = pictures[0].values().map(|(size, ..)| size).sum();
            total == entries && pictures.windows(2).all(|pair| pair[0] == pair[1])
        })
        .await;
    }

    /// An open link from one member to another, to be driven by hand.
    pub(super) async fn dial(&self, from: &str, to: &str) -> Result<Box<dyn Link>, LinkError> {
        NetDialer { me: id(from), net: self.net.clone() }.dial(&id(to), &format!("{to}:1")).await
    }
}

/// The next event that is no heartbeat.
pub(super) async fn next_word(stream: &mut FollowStream) -> FollowEvent {
    loop {
        let event = tokio::time::timeout(PATIENCE, stream.events.next()).await.expect("in time");
        match event.expect("goes on").expect("no error") {
            FollowEvent::Heartbeat(_) => {}
            event => return event,
        }
    }
}

pub(super) fn follow(of: &str, size: u64) -> FollowCommand {
    FollowCommand::Follow { feed: feed(of), size: Seq::new(size) }
}
