//! One member's node: its disk, its clock, and what runs on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countermark::domain::{Clock, Entropy, EntropyError, MemberId, Timestamp};
use countermark::feed::SigningKey;
use countermark::membership::{Directory, DirectoryError, Liveness};
use countermark::replication::{OwnFeeds, Pace, Reader, Replicator, ServeContext, Setup};
use countermark::service::FreshnessBoard;
use countermark::store::{ModelDisk, OpenError, Owner, Store};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::net::{Endpoint, Net, NetDialer};
use super::words::{NOW_MS, alliance, mix};

/// After this a node that was told to stop counts as one that never does.
const PATIENCE: Duration = Duration::from_secs(600);

/// Virtual time, and how much this node's clock is off.
pub(crate) struct SkewedClock {
    began: Instant,
    skew_ms: AtomicI64,
}

impl SkewedClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), skew_ms: AtomicI64::new(0) })
    }

    pub(crate) fn jump(&self, ms: i64) {
        self.skew_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_ms(NOW_MS + passed + self.skew_ms.load(Ordering::Relaxed))
    }
}

/// Bytes that follow from the moment, so that it does not matter who draws first within one.
struct MomentaryEntropy {
    began: Instant,
    seed: u64,
}

impl Entropy for MomentaryEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let moment = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        for (place, chunk) in (0_u64..).zip(out.chunks_mut(8)) {
            let bytes = mix(self.seed ^ mix(moment) ^ place << 56).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

/// What runs while a node does.
pub(crate) struct Running {
    pub(crate) store: Arc<Store>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) board: FreshnessBoard,
    pub(crate) replicator: Replicator,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// See the module.
pub(crate) struct Node {
    pub(crate) member: MemberId,
    /// The second one that its member runs.
    is_twin: bool,
    key: Arc<SigningKey>,
    pub(crate) disk: ModelDisk,
    pub(crate) clock: Arc<SkewedClock>,
    entropy: Arc<MomentaryEntropy>,
    pub(crate) running: Option<Running>,
    /// The roster that came with its last admission.
    pub(crate) at_hand: bytes::Bytes,
    secretariat: countermark::domain::FeedKey,
}

/// Why a node did not start.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// Its disk fails, with this code.
    Disk { code: &'static str },
    /// It is expelled.
    Expelled,
}

impl Node {
    pub(crate) fn new(
        member: &MemberId,
        key: Arc<SigningKey>,
        at_hand: bytes::Bytes,
        secretariat: countermark::domain::FeedKey,
        seed: u64,
    ) -> Self {
        let entropy = Arc::new(MomentaryEntropy { began: Instant::now(), seed });
        let (disk, clock) = (ModelDisk::new(), SkewedClock::new());
        Self { member: member.clone(), is_twin: false, key, disk, clock, entropy, running: None, at_hand, secretariat }
    }

    /// A second node of the same member, with a copy of its disk. It does not run.
    pub(crate) fn twin(&self) -> Self {
        Self {
            member: self.member.clone(),
            is_twin: true,
            key: self.key.clone(),
            disk: self.disk.copy(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            running: None,
            at_hand: self.at_hand.clone(),
            secretariat: self.secretariat,
        }
    }

    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        self.running.as_ref().map(|running| &running.store)
    }

    /// Starts it; own feeds are taken for that.
    pub(crate) async fn start(&mut self, net: &Arc<Net>, own: OwnFeeds) -> Result<(), NotStarted> {
        assert!(self.running.is_none(), "{} runs", self.member);
        let owner = Owner {
            alliance: alliance(),
            member: self.member.clone(),
            key: self.key.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        let store = Store::open_model(&self.disk, owner).map_err(|error| match error {
            OpenError::Engine(error) => NotStarted::Disk { code: error.code() },
            error => panic!("{}: {error}", self.member),
        })?;
        let store = Arc::new(store);
        let directory =
            Directory::open(alliance(), self.member.clone(), self.secretariat, store.clone(), Some(self.at_hand.clone()));
        let directory = Arc::new(directory.await.map_err(|error| match error {
            DirectoryError::NotAMember => NotStarted::Expelled,
            DirectoryError::Store(error) => NotStarted::Disk { code: error.code() },
            error => panic!("{}: {error}", self.member),
        })?);
        let (tasks, shutdown, liveness) = (TaskTracker::new(), CancellationToken::new(), Arc::new(Liveness::new()));
        let reader = Reader::new(store.clone(), tasks.clone());
        let pace = Pace::default();
        net.arrive(
            &self.member,
            self.is_twin,
            Endpoint {
                serving: ServeContext::new(reader.clone(), directory.clone(), pace, self.key.clone()),
                directory: directory.clone(),
                tasks: tasks.clone(),
                shutdown: shutdown.clone(),
            },
        );
        let setup = Setup {
            reader,
            directory: directory.clone(),
            liveness: liveness.clone(),
            dialer: Arc::new(NetDialer { me: self.member.clone(), net: net.clone() }),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            pace,
            own,
        };
        let replicator = Replicator::spawn(setup, &tasks, shutdown.clone());
        let board = FreshnessBoard::new(store.clone(), directory.clone(), liveness, self.clock.clone());
        self.running = Some(Running { store, directory, board, replicator, shutdown, tasks });
        Ok(())
    }

    /// Stops it; all of its tasks are joined and its store closed.
    pub(crate) async fn stop(&mut self, net: &Net) {
        let Some(running) = self.running.take() else { return };
        net.leave(&self.member, self.is_twin);
        running.shutdown.cancel();
        running.tasks.close();
        timeout(PATIENCE, running.tasks.wait()).await.unwrap_or_else(|_| panic!("{}: a task does not end", self.member));
        running.store.close();
    }

    /// Takes the power away. What runs is stopped without a word to anybody, and changes nothing on the disk any more.
    pub(crate) async fn crash(&mut self, net: &Net) {
        self.disk.crash();
        self.stop(net).await;
    }
}
