//! The net between the nodes: every message takes its time, and some take for ever.
//!
//! What passes between two nodes arrives in order on one connection, and in any order on several. A way that is silent swallows what
//! is sent over it, as a route that is lost does; one that refuses ends what uses it. What a liar sends is changed on its way, so that
//! its own node stays an honest one that lies as far as others can see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use countermark::domain::{FeedId, MemberId, NodeVersion, Seq};
use countermark::feed::{EntryBytes, Hash};
use countermark::membership::Directory;
use countermark::replication::{
    Dialer, FollowCommand, FollowEvent, FollowStream, Heads, Link, LinkError, ServeContext, ServeError, Traffic, serve,
};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dice::Dice;
use super::lies::{Liar, Lie};
use super::trace::Trace;

/// A node as others reach it.
pub(crate) struct Endpoint {
    pub(crate) serving: ServeContext,
    pub(crate) directory: Arc<Directory>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It arrives.
    Open,
    /// Whoever sends is told that there is no way.
    Refusing,
    /// It never arrives, and nobody says so.
    Silent,
}

/// From one node to another: by sender and receiver.
pub(crate) type Ends = (MemberId, MemberId);

/// One way between two nodes.
struct Way {
    condition: Condition,
    /// Milliseconds that every message takes, and up to so many more.
    delay: (u64, u64),
    /// Of a thousand messages, how many end their connection.
    breaks: u64,
    liar: Liar,
    dice: Dice,
    /// Bytes that arrived.
    bytes: Arc<AtomicU64>,
}

/// See the module.
pub(crate) struct Net {
    pub(crate) trace: Trace,
    seed: u64,
    /// The nodes of each member: one, or the second one of a member that runs two with one name.
    nodes: Mutex<BTreeMap<(MemberId, bool), Arc<Endpoint>>>,
    /// Who gets to the second node of a member.
    to_twin: Mutex<BTreeSet<Ends>>,
    ways: Mutex<BTreeMap<Ends, Way>>,
    /// Connections by who dialled whom.
    open: Mutex<BTreeMap<Ends, Vec<CancellationToken>>>,
}

fn broken() -> LinkError {
    LinkError::new("STREAM_BROKEN", "the connection broke")
}

fn unreachable() -> LinkError {
    LinkError::new("PEER_UNREACHABLE", "nobody there")
}

impl Net {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            trace: Trace::new(),
            seed,
            nodes: Mutex::default(),
            to_twin: Mutex::default(),
            ways: Mutex::default(),
            open: Mutex::default(),
        })
    }

    fn with<T>(&self, ends: &Ends, change: impl FnOnce(&mut Way) -> T) -> T {
        let mut ways = self.ways.lock();
        let way = ways.entry(ends.clone()).or_insert_with(|| Way::of(self.seed, ends));
        change(way)
    }

    pub(crate) fn set_condition(&self, ends: &Ends, condition: Condition) {
        self.with(ends, |way| way.condition = condition);
        if condition == Condition::Refusing {
            self.break_between(&ends.0, &ends.1);
        }
    }

    /// Messages on this way take longer, and now and then end their connection.
    pub(crate) fn strain(&self, ends: &Ends, delay: (u64, u64), breaks: u64) {
        self.with(ends, |way| (way.delay, way.breaks) = (delay, breaks));
    }

    pub(crate) fn set_lies(&self, ends: &Ends, lies: Vec<Lie>) {
        self.with(ends, |way| way.liar.tell(lies));
    }

    /// Every way is as it should be.
    pub(crate) fn heal(&self) {
        for (ends, way) in self.ways.lock().iter_mut() {
            let Way { delay, .. } = Way::of(self.seed, ends);
            (way.condition, way.delay, way.breaks) = (Condition::Open, delay, 0);
        }
    }

    /// Nobody lies any more but `liar`.
    pub(crate) fn end_lies(&self, liar: Option<&MemberId>) {
        for ((from, _), way) in self.ways.lock().iter_mut() {
            if Some(from) != liar {
                way.liar.tell(Vec::new());
            }
        }
    }

    pub(crate) fn break_between(&self, a: &MemberId, b: &MemberId) {
        for ends in [(a.clone(), b.clone()), (b.clone(), a.clone())] {
            let open = self.open.lock().remove(&ends).unwrap_or_default();
            open.iter().for_each(CancellationToken::cancel);
        }
    }

    pub(crate) fn arrive(&self, member: &MemberId, is_twin: bool, endpoint: Endpoint) {
        self.nodes.lock().insert((member.clone(), is_twin), Arc::new(endpoint));
    }

    /// The node is gone, and with it whatever its member is connected to.
    pub(crate) fn leave(&self, member: &MemberId, is_twin: bool) {
        self.nodes.lock().remove(&(member.clone(), is_twin));
        let mut open = self.open.lock();
        for ((from, to), connections) in open.iter_mut() {
            if from == member || to == member {
                connections.drain(..).for_each(|connection| connection.cancel());
            }
        }
    }

    /// From now on `from` gets to the second node of `to`.
    pub(crate) fn lead_to_twin(&self, ends: &Ends) {
        self.to_twin.lock().insert(ends.clone());
        self.break_between(&ends.0, &ends.1);
    }

    fn endpoint(&self, there: &Ends) -> Option<Arc<Endpoint>> {
        let is_twin = self.to_twin.lock().contains(there);
        self.nodes.lock().get(&(there.1.clone(), is_twin)).cloned()
    }

    /// Bytes that arrived on all ways between nodes other than these.
    pub(crate) fn bytes_without(&self, others: &BTreeSet<MemberId>) -> u64 {
        let ways = self.ways.lock();
        let honest = ways.iter().filter(|((from, to), _)| !others.contains(from) && !others.contains(to));
        honest.map(|(_, way)| way.bytes.load(Ordering::Relaxed)).sum()
    }

    /// Takes a message over a way.
    async fn pass(&self, ends: &Ends, connection: &CancellationToken, bytes: usize, what: &str) -> Result<(), LinkError> {
        let (pause, breaks) = self.with(ends, |way| (way.dice_pause(), way.dice.roll(1_000) < way.breaks));
        sleep(pause).await;
        if breaks {
            self.trace.note(format_args!("{} -> {}: the connection breaks", ends.0, ends.1));
            connection.cancel();
            return Err(broken());
        }
        match self.with(ends, |way| way.condition) {
            Condition::Open => {}
            Condition::Refusing => return Err(broken()),
            Condition::Silent => std::future::pending().await,
        }
        self.with(ends, |way| way.bytes.fetch_add(bytes as u64, Ordering::Relaxed));
        self.trace.note(format_args!("{} -> {}: {what}", ends.0, ends.1));
        Ok(())
    }
}

impl Way {
    /// As it is when nothing is wrong: some are near, some far.
    fn of(seed: u64, (from, to): &Ends) -> Self {
        let purpose =
            format!("{from}>{to}").bytes().fold(1, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(u64::from(byte)));
        let mut dice = Dice::of(seed, purpose);
        let near = 1 + dice.roll(80);
        Self {
            condition: Condition::Open,
            delay: (near, 1 + near / 2),
            breaks: 0,
            liar: Liar::default(),
            dice,
            bytes: Arc::default(),
        }
    }

    fn dice_pause(&mut self) -> Duration {
        Duration::from_millis(self.delay.0 + self.dice.roll(self.delay.1))
    }
}

/// The dialer of one node.
pub(crate) struct NetDialer {
    pub(crate) me: MemberId,
    pub(crate) net: Arc<Net>,
}

#[async_trait]
impl Dialer for NetDialer {
    async fn dial(&self, member: &MemberId, _: &str) -> Result<Box<dyn Link>, LinkError> {
        let connection = CancellationToken::new();
        let (there, back) = ((self.me.clone(), member.clone()), (member.clone(), self.me.clone()));
        if self.net.with(&there, |way| way.condition) == Condition::Refusing {
            return Err(unreachable());
        }
        self.net.pass(&there, &connection, 0, "dial").await?;
        let endpoint = self.net.endpoint(&there).ok_or_else(unreachable)?;
        if !endpoint.directory.roster().roster().is_active(&self.me) {
            return Err(LinkError::new("PEER_REFUSED", "not an active member"));
        }
        drop(endpoint);
        self.net.pass(&back, &connection, 0, "accepted").await?;
        self.net.open.lock().entry(there.clone()).or_default().push(connection.clone());
        let received = self.net.with(&back, |way| way.bytes.clone());
        let version = NodeVersion::own();
        Ok(Box::new(MemoryLink { net: self.net.clone(), there, back, connection, received, version }))
    }
}

struct MemoryLink {
    net: Arc<Net>,
    there: Ends,
    back: Ends,
    connection: CancellationToken,
    received: Arc<AtomicU64>,
    version: NodeVersion,
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.connection.cancel();
    }
}

impl MemoryLink {
    fn endpoint(&self) -> Result<Arc<Endpoint>, LinkError> {
        self.net.endpoint(&self.there).ok_or_else(broken)
    }

    /// Asks the peer among its own tasks, so that it does not close its store under the question; what it answers may be a lie.
    async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnOnce(&Endpoint, &MemberId) -> Result<T, ServeError>,
        lie: impl FnOnce(&mut Liar, T) -> Option<T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<T, LinkError> {
        let asked = async {
            self.net.pass(&self.there, &self.connection, 0, what).await?;
            let endpoint = self.endpoint()?;
            let answer = endpoint.tasks.track_future(question(&endpoint, &self.there.0)).await;
            drop(endpoint);
            let answer = answer.map_err(|error| LinkError::new(error.code(), error.to_string()))?;
            let Some(answer) = self.net.with(&self.back, |way| lie(&mut way.liar, answer)) else {
                return std::future::pending().await;
            };
            self.net.pass(&self.back, &self.connection, size(&answer), &format!("answer to {what}")).await?;
            Ok(answer)
        };
        self.connection.run_until_cancelled(asked).await.unwrap_or_else(|| Err(broken()))
    }
}

#[async_trait]
impl Link for MemoryLink {
    fn version(&self) -> &NodeVersion {
        &self.version
    }

    async fn roster(&self) -> Result<Bytes, LinkError> {
        let question = async |endpoint: &Endpoint, _: &MemberId| Ok(endpoint.serving.roster_note());
        self.ask("roster", question, Liar::roster, Bytes::len).await
    }

    async fn checkpoints(&self) -> Result<Heads, LinkError> {
        let question = async |endpoint: &Endpoint, me: &MemberId| endpoint.serving.heads_for(me).await;
        let size = |heads: &Heads| {
            let forks =
                heads.forks.iter().map(|f| f.first.len() + f.second.len() + 32 * (f.frontier.len() + f.leaf_hashes.len()));
            heads.checkpoints.iter().map(Bytes::len).sum::<usize>() + forks.sum::<usize>()
        };
        self.ask("heads", question, Liar::heads, size).await
    }

    async fn frontier(&self, feed: &FeedId, size: Seq) -> Result<Vec<Hash>, LinkError> {
        let question = async |endpoint: &Endpoint, me: &MemberId| endpoint.serving.frontier_for(me, feed, size).await;
        self.ask("frontier", question, Liar::frontier, |hashes| 32 * hashes.len()).await
    }

    async fn receipt(&self, feed: &FeedId) -> Result<Bytes, LinkError> {
        let question = async |endpoint: &Endpoint, me: &MemberId| endpoint.serving.receipt_for(me, feed).await;
        self.ask("receipt", question, |_, note| Some(note), Bytes::len).await
    }

    async fn entries(&self, feed: &FeedId, seqs: &[Seq]) -> Result<Vec<(Seq, EntryBytes)>, LinkError> {
        let question = async |endpoint: &Endpoint, me: &MemberId| endpoint.serving.entries_for(me, feed, seqs.to_vec()).await;
        let size = |entries: &Vec<(Seq, EntryBytes)>| entries.iter().map(|(_, bytes)| bytes.as_slice().len()).sum();
        self.ask("entries", question, Liar::entries, size).await
    }

    async fn follow(&self) -> Result<FollowStream, LinkError> {
        let opened = self.net.pass(&self.there, &self.connection, 0, "follow");
        self.connection.run_until_cancelled(opened).await.unwrap_or_else(|| Err(broken()))?;
        let endpoint = self.endpoint()?;
        let (commands, commanded) = mpsc::channel(4);
        let (asking, asked) = mpsc::channel(4);
        let (out, served) = mpsc::channel(2);
        let (shown, events) = mpsc::channel(4);
        let (peer, shutdown, tasks) = (self.there.0.clone(), endpoint.shutdown.child_token(), endpoint.tasks.clone());
        tasks.spawn(async move {
            // A store that cannot be read ends a stream as any other failure of the node does.
            let ended = serve(peer, ReceiverStream::new(asked), out, &endpoint.serving, shutdown).await;
            assert!(matches!(ended, Ok(()) | Err(ServeError::NotAMember | ServeError::Store(_))), "{ended:?}");
        });
        let connection = self.connection.clone();
        tokio::spawn(carry_commands(self.net.clone(), self.there.clone(), connection.clone(), commanded, asking));
        tokio::spawn(carry_events(self.net.clone(), self.back.clone(), connection, served, shown));
        Ok(FollowStream { commands, events: ReceiverStream::new(events).boxed() })
    }

    fn traffic(&self) -> Traffic {
        Traffic { received_bytes: self.received.load(Ordering::Relaxed), sent_bytes: 0 }
    }
}

/// Brings commands to the one that serves, until either end is gone.
async fn carry_commands(
    net: Arc<Net>,
    there: Ends,
    connection: CancellationToken,
    mut from: mpsc::Receiver<FollowCommand>,
    to: mpsc::Sender<FollowCommand>,
) {
    let carried = async {
        while let Some(command) = from.recv().await {
            let what = match &command {
                FollowCommand::Follow { feed, size } => format!("follow {feed} from {size}"),
                FollowCommand::Unfollow { feed } => format!("unfollow {feed}"),
            };
            if net.pass(&there, &connection, 8, &what).await.is_err() || to.send(command).await.is_err() {
                return;
            }
        }
    };
    connection.run_until_cancelled(carried).await;
}

/// Brings events to the one that follows, until either end is gone.
async fn carry_events(
    net: Arc<Net>,
    back: Ends,
    connection: CancellationToken,
    mut from: mpsc::Receiver<FollowEvent>,
    to: mpsc::Sender<Result<FollowEvent, LinkError>>,
) {
    let carried = async {
        while let Some(event) = from.recv().await {
            let Some(event) = net.with(&back, |way| way.liar.event(event, &mut way.dice)) else { continue };
            let (what, bytes) = told(&event);
            if let Err(error) = net.pass(&back, &connection, bytes, &what).await {
                return Some(error);
            }
            if to.send(Ok(event)).await.is_err() {
                return None;
            }
        }
        None
    };
    let ended = connection.run_until_cancelled(carried).await.unwrap_or_else(|| Some(broken()));
    if let Some(error) = ended {
        drop(to.send(Err(error)).await);
    }
}

/// An event in words, and its bytes.
fn told(event: &FollowEvent) -> (String, usize) {
    match event {
        FollowEvent::Batch { feed, first, entries, erased, checkpoint } => {
            let bytes: usize = entries.iter().map(Bytes::len).sum();
            let what = format!("{feed} from {first}: {} entries, {} erased", entries.len(), erased.len());
            (what, feed.to_string().len() + 8 + bytes + 32 * erased.len() + checkpoint.len())
        }
        FollowEvent::Heartbeat(word) => (format!("heartbeat {} {}", word.roster_serial, word.heads_digest), 72),
        FollowEvent::Refused { feed, refusal } => (format!("refused {feed} {}", refusal.code()), 32),
    }
}
