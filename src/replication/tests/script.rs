//! A node among peers that do nothing but what a test has them do, in a time that passes when everybody waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::world::{Counter, TestClock, alliance, feed, id, key, signal, signed};
use crate::domain::{FeedId, MemberId, NodeVersion, Roster, Seq};
use crate::feed::{EntryBytes, Hash};
use crate::replication::{
    Dialer, Directory, FollowCommand, FollowEvent, FollowStream, Heads, Held, Link, LinkError, Liveness, OwnFeeds, Pace,
    PeerStatus, Reader, Replicator, ServeContext, Setup, Traffic, Word, heads_digest,
};
use crate::store::{ModelDisk, Owner, Store};

/// A store in memory, and who belongs to the alliance.
pub(super) struct Member {
    pub(super) store: Arc<Store>,
    pub(super) directory: Arc<Directory>,
}

impl Member {
    /// The node of `name`; its signatures differ from those of another one of the same name where `draw` does.
    pub(super) async fn new(name: &str, roster: &Roster, draw: u64) -> Self {
        let owner = Owner {
            alliance: alliance(),
            member: id(name),
            key: key(name),
            clock: TestClock::new(),
            entropy: Arc::new(Counter(AtomicU64::new(draw))),
        };
        let store = Arc::new(Store::open_model(&ModelDisk::new(), owner).expect("opens"));
        let note = Some(signed(roster.clone()));
        let directory = Directory::open(alliance(), id(name), key("secretariat").public(), store.clone(), note).await;
        Self { store, directory: Arc::new(directory.expect("a member")) }
    }

    pub(super) async fn append(&self, audience: &str, numbers: std::ops::Range<u64>) {
        let outcomes = self.store.append(numbers.map(|n| signal(audience, n)).collect()).await.expect("durable");
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    pub(super) fn size(&self, of: &str) -> u64 {
        self.store.size(&feed(of)).get()
    }

    pub(super) fn serving(&self) -> ServeContext {
        let reader = Reader::new(self.store.clone(), TaskTracker::new());
        let name = self.directory.member().clone();
        ServeContext::new(reader, self.directory.clone(), Pace::default(), key(name.as_str()))
    }

    /// What it would show to `peer`.
    pub(super) async fn heads_for(&self, peer: &str) -> Heads {
        self.serving().heads_for(&id(peer)).await.expect("read")
    }

    /// The batch of its feed `of` after `size`.
    pub(super) fn batch(&self, of: &str, size: u64) -> FollowEvent {
        let batch = self.store.batch_after(&feed(of), Seq::new(size)).expect("read").expect("there is more");
        let entries = batch.leaves.iter().map(|leaf| leaf.bytes().expect("not erased").bytes().clone()).collect();
        FollowEvent::Batch { feed: feed(of), first: batch.first, entries, erased: vec![], checkpoint: batch.checkpoint }
    }

    /// The same without a word of content, as if all of it had been erased.
    pub(super) fn shells(&self, of: &str, size: u64) -> FollowEvent {
        let batch = self.store.batch_after(&feed(of), Seq::new(size)).expect("read").expect("there is more");
        let (entries, erased) = batch.leaves.iter().map(|leaf| (Bytes::new(), leaf.hash())).unzip();
        FollowEvent::Batch { feed: feed(of), first: batch.first, entries, erased, checkpoint: batch.checkpoint }
    }

    /// What its heartbeat says where it and `peer` hold the same, as this node does.
    pub(super) fn word_for(&self, peer: &str) -> Word {
        let (signed, held) = (self.directory.roster(), Held::of(&self.store));
        let heads_digest = heads_digest(signed.roster(), &held, self.directory.member(), &id(peer));
        Word { roster_serial: signed.roster().serial, roster_digest: signed.digest(), heads_digest }
    }
}

/// What a peer does, and what it was asked.
#[derive(Default)]
struct Script {
    is_there: bool,
    dials: Vec<Instant>,
    roster: Bytes,
    heads: Heads,
    events: VecDeque<Result<FollowEvent, LinkError>>,
    waker: Option<std::task::Waker>,
    commands: Vec<FollowCommand>,
    rosters: usize,
    listings: usize,
    contents: Vec<FeedId>,
}

/// A peer. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Peer(Arc<Mutex<Script>>);

impl Peer {
    /// From now on it is there, and shows these heads to whoever asks.
    pub(super) fn shows(&self, heads: Heads) {
        let mut script = self.0.lock();
        (script.is_there, script.heads) = (true, heads);
    }

    /// It says this, and everybody has done with it what they will.
    pub(super) async fn says(&self, event: FollowEvent) {
        self.put(Ok(event));
        settle().await;
    }

    /// Its heartbeats, one in ten seconds.
    pub(super) async fn beats(&self, word: Word, count: usize) {
        for _ in 0..count {
            sleep(Pace::default().heartbeat - MOMENT).await;
            self.says(FollowEvent::Heartbeat(word)).await;
        }
    }

    /// Its line breaks.
    pub(super) async fn breaks(&self) {
        self.put(Err(LinkError::new("STREAM_BROKEN", "the stream broke")));
        settle().await;
    }

    fn put(&self, event: Result<FollowEvent, LinkError>) {
        let mut script = self.0.lock();
        script.events.push_back(event);
        script.waker.take().into_iter().for_each(std::task::Waker::wake);
    }

    /// What it was told since this was asked last.
    pub(super) fn told(&self) -> Vec<FollowCommand> {
        std::mem::take(&mut self.0.lock().commands)
    }

    /// How often its roster and its heads were fetched since this was asked last.
    pub(super) fn asked(&self) -> (usize, usize) {
        let mut script = self.0.lock();
        (std::mem::take(&mut script.rosters), std::mem::take(&mut script.listings))
    }

    /// Of which feeds it was asked for content that is missing since this was asked last.
    pub(super) fn asked_for_content(&self) -> Vec<FeedId> {
        std::mem::take(&mut self.0.lock().contents)
    }

    /// When it was dialled.
    pub(super) fn dials(&self) -> Vec<Instant> {
        self.0.lock().dials.clone()
    }
}

const MOMENT: Duration = Duration::from_millis(1);

/// Until nobody has anything left to do.
pub(super) async fn settle() {
    sleep(MOMENT).await;
}

struct Line(Peer, NodeVersion);

#[async_trait]
impl Link for Line {
    async fn roster(&self) -> Result<Bytes, LinkError> {
        let mut script = self.0.0.lock();
        script.rosters += 1;
        Ok(script.roster.clone())
    }

    async fn checkpoints(&self) -> Result<Heads, LinkError> {
        let mut script = self.0.0.lock();
        script.listings += 1;
        Ok(script.heads.clone())
    }

    async fn frontier(&self, _: &FeedId, _: Seq) -> Result<Vec<Hash>, LinkError> {
        Err(LinkError::new("FEED_NOT_HELD", "not held"))
    }

    async fn receipt(&self, _: &FeedId) -> Result<Bytes, LinkError> {
        Ok(Bytes::new())
    }

    async fn entries(&self, feed: &FeedId, _: &[Seq]) -> Result<Vec<(Seq, EntryBytes)>, LinkError> {
        self.0.0.lock().contents.push(feed.clone());
        Ok(Vec::new())
    }

    async fn follow(&self) -> Result<FollowStream, LinkError> {
        let (commands, mut told) = mpsc::channel(4);
        let (peer, script) = (self.0.clone(), self.0.0.clone());
        tokio::spawn(async move {
            while let Some(command) = told.recv().await {
                script.lock().commands.push(command);
            }
        });
        let events = poll_fn(move |context| {
            let mut script = peer.0.lock();
            match script.events.pop_front() {
                Some(event) => Poll::Ready(Some(event)),
                None => {
                    script.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        Ok(FollowStream { commands, events: events.boxed() })
    }

    fn version(&self) -> &NodeVersion {
        &self.1
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

struct Peers(BTreeMap<MemberId, Peer>);

#[async_trait]
impl Dialer for Peers {
    async fn dial(&self, member: &MemberId, _: &str) -> Result<Box<dyn Link>, LinkError> {
        let peer = self.0.get(member).cloned().unwrap_or_default();
        let mut script = peer.0.lock();
        script.dials.push(Instant::now());
        if !script.is_there {
            return Err(LinkError::new("PEER_UNREACHABLE", "nobody there"));
        }
        drop(script);
        Ok(Box::new(Line(peer, NodeVersion::own())))
    }
}

/// The node `a`, which follows the others of its roster.
pub(super) struct Stage {
    pub(super) a: Member,
    pub(super) liveness: Arc<Liveness>,
    pub(super) peers: BTreeMap<String, Peer>,
    replicator: Replicator,
    _shutdown: tokio_util::sync::DropGuard,
}

impl Stage {
    /// Begins with peers that are not there.
    pub(super) async fn new(roster: &Roster, own: OwnFeeds) -> Self {
        let a = Member::new("a", roster, 1).await;
        let others = roster.members.iter().filter(|member| member.id != id("a"));
        let peers: BTreeMap<String, Peer> = others.map(|member| (member.id.to_string(), Peer::default())).collect();
        for peer in peers.values() {
            peer.0.lock().roster = signed(roster.clone());
        }
        let liveness = Arc::new(Liveness::new());
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let setup = Setup {
            reader: Reader::new(a.store.clone(), tasks.clone()),
            directory: a.directory.clone(),
            liveness: liveness.clone(),
            dialer: Arc::new(Peers(peers.iter().map(|(name, peer)| (id(name), peer.clone())).collect())),
            clock: TestClock::new(),
            entropy: Arc::new(Counter(AtomicU64::new(1))),
            pace: Pace::default(),
            own,
        };
        let replicator = Replicator::spawn(setup, &tasks, shutdown.clone());
        settle().await;
        Self { a, liveness, peers, replicator, _shutdown: shutdown.drop_guard() }
    }

    pub(super) fn peer(&self, name: &str) -> &Peer {
        &self.peers[name]
    }

    /// Has `name` come with these heads, and greet with `word`; the node has dialled it and drawn its conclusions.
    pub(super) async fn greeted_by(&self, name: &str, heads: Heads, word: Word) {
        self.peer(name).put(Ok(FollowEvent::Heartbeat(word)));
        self.peer(name).shows(heads);
        while !self.status(name).connected {
            sleep(Pace::default().backoff_first).await;
        }
        settle().await;
    }

    pub(super) fn status(&self, name: &str) -> PeerStatus {
        self.replicator.peers().into_iter().find(|peer| peer.member == id(name)).expect("dialled")
    }

    /// What went wrong with a peer last.
    pub(super) fn error_of(&self, name: &str) -> Option<&'static str> {
        self.status(name).last_error.map(|failure| failure.code)
    }

    /// What `name` says where it holds what this node holds.
    pub(super) fn agreed(&self, name: &str) -> Word {
        self.a.word_for(name)
    }

    /// What it says where it holds something else.
    pub(super) fn other(&self, name: &str) -> Word {
        Word { heads_digest: Hash([9; 32]), ..self.agreed(name) }
    }
}

/// The feeds that a peer was told to send, and no more to send.
pub(super) fn followed(commands: &[FollowCommand]) -> (Vec<(String, u64)>, BTreeSet<String>) {
    let (mut begun, mut ended) = (Vec::new(), BTreeSet::new());
    for command in commands {
        match command {
            FollowCommand::Follow { feed, size } => begun.push((feed.to_string(), size.get())),
            FollowCommand::Unfollow { feed } => drop(ended.insert(feed.to_string())),
        }
    }
    (begun, ended)
}
