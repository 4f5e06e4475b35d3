//! A whole node: everything below put together, its two listeners, its start and its stop.
//!
//! Nothing is reachable before the store is open, the roster in force, and every key and certificate known to be good: what can
//! fail is opened first, and only then it listens. While it runs, certificates, revocation lists, roles and the roster can be
//! replaced; no connection outlives the right that it was opened by. A stop ends the listeners first, lets the calls at hand
//! end, then replication, then the store.

mod configured;
mod evidence;
mod housekeeping;
mod listeners;
mod monitoring;
mod parts;
mod recovery;
mod reload;
mod rights;
mod supervisor;
mod system;
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use zeroize::Zeroizing;

use crate::domain::limits::DRAIN_TIMEOUT;
use crate::domain::{AllianceName, Clock, Entropy, FeedKey, MemberId};
use crate::feed::{RosterError, SigningKey};
use crate::membership::DirectoryError;
use crate::pseudonym::PseudonymError;
use crate::replication::{OwnFeeds, Pace};
use crate::rpc::tls::{Credentials, TlsError, TrustAnchors};
use crate::rpc::{AccessList, Listener};
use crate::service::{CeremonyPace, EvidenceShelf, KeySecrets, LocalSecret, NodeState, ReloadDesk, ShareVault};
use crate::store::{OpenError, Options, Store, StoreError};

use listeners::{Health, Serving};
use monitoring::Monitor;
use parts::{Ground, Parts};
use rights::{Rights, Tls};

pub use configured::{ServeError, serve, setup};
pub use evidence::{EvidenceFileError, EvidenceFolder, read_evidence};
pub use recovery::{Recovery, restore_from_peers};
pub use reload::ReloadError;
pub use rights::Renewal;
pub use system::{SystemClock, SystemEntropy};
pub use vault::FolderVault;

/// What a node is made of, read and verified.
pub struct NodeSetup {
    /// The alliance.
    pub alliance: AllianceName,
    /// The node's member.
    pub member: MemberId,
    /// Folder of the store.
    pub data_dir: PathBuf,
    /// Bytes of memory for the store's page cache.
    pub cache_bytes: u64,
    /// Signs the member's feeds.
    pub feed_key: SigningKey,
    /// Makes the tags of submissions.
    pub local_secret: LocalSecret,
    /// Secrets of the pseudonym keys that all members hold.
    pub secrets: Arc<dyn KeySecrets>,
    /// Where this member's shares of those are kept that are shared.
    pub vault: Arc<dyn ShareVault>,
    /// Pseudonyms under them that are remembered in memory.
    pub cached_pseudonyms: usize,
    /// Where it is kept what shows that a holder lied.
    pub shelf: Arc<dyn EvidenceShelf>,
    /// The roster at hand, as signed note; the store may have a newer one.
    pub roster: Option<Bytes>,
    /// The secretariat's public key.
    pub secretariat: FeedKey,
    /// The node's certificate of the alliance CA, for both listeners and for dialling.
    pub credentials: Credentials,
    /// The alliance CA.
    pub peers: TrustAnchors,
    /// The member's own CA.
    pub clients: TrustAnchors,
    /// Roles of clients.
    pub access: AccessList,
    /// Who is handed alerts.
    pub webhook: Option<WebhookSetup>,
    /// Addresses of peers that differ from the roster's.
    pub addresses: BTreeMap<MemberId, String>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// How often nodes give word and how long they wait.
    pub pace: Pace,
    /// How often holders of keys look for what is to be done.
    pub ceremony_pace: CeremonyPace,
    /// What the member's own feeds are taken for.
    pub own_feeds: OwnFeeds,
    /// Where clients ask for a reload.
    pub reloads: ReloadDesk,
}

/// Who is handed alerts, see [`Webhook`].
pub struct WebhookSetup {
    /// Where alerts are posted.
    pub url: Url,
    /// PEM: the CA that the receiver's certificate leads to.
    pub ca: String,
    /// What both sides hold, 24 to 64 bytes.
    pub secret: Zeroizing<Vec<u8>>,
}

/// The sockets of a node.
pub struct Listeners {
    /// For the nodes of other members.
    pub peers: TcpListener,
    /// For the member's own clients.
    pub clients: TcpListener,
    /// For whoever monitors the node, on this machine; `None` for nobody.
    pub monitoring: Option<TcpListener>,
}

/// Why a node does not start, or does not take what it is given anew.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate, key or CA does not hold.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no roster that holds.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A roster at hand contradicts the one in force.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// Pseudonyms cannot be made.
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
    /// The certificate is another member's.
    #[error("the certificate is for {0}; give this node's own")]
    WrongCertificate(String),
    /// The feed key is not the one in the roster.
    #[error("the feed key is not the one that the roster lists for this member; give the one that was admitted")]
    WrongFeedKey,
    /// A thread or a socket could not be had.
    #[error("the operating system refused")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tls(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Directory(error) => error.code(),
            Self::Roster(error) => error.code(),
            Self::Pseudonym(error) => error.code(),
            Self::WrongCertificate(_) => "WRONG_CERTIFICATE",
            Self::WrongFeedKey => "WRONG_FEED_KEY",
            Self::Io(_) => "START_IO",
        }
    }
}

/// A node that has all it needs and cannot be reached yet.
pub struct OpenNode {
    tls: Tls,
    ground: Ground,
}

impl OpenNode {
    /// Serves on sockets that are bound already.
    ///
    /// # Errors
    /// [`StartError::Io`].
    pub async fn listen(self, sockets: Listeners) -> Result<Node, StartError> {
        let Self { tls, ground } = self;
        let (peers_address, clients_address) = (sockets.peers.local_addr()?, sockets.clients.local_addr()?);
        let (serving, working) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        // From here on no newer roster goes by unseen, also one that comes with the first connection.
        let serials = ground.directory.subscribe();
        let parts = Parts::on(ground, &tls, &tasks, &serving, &working);
        let peers = parts.peer_server(&tls, sockets.peers, &serving);
        let (clients, health) = parts.client_server(&tls, sockets.clients, &serving).await;
        if let Some(socket) = sockets.monitoring {
            let connections = [(Listener::Peers, peers.connections.clone()), (Listener::Clients, clients.connections.clone())];
            let monitor = Monitor::new(parts.state.clone(), &parts.counted, connections, serving.clone());
            tracing::info!(address = %socket.local_addr()?, "metrics and health are told");
            tasks.spawn(monitoring::serve(Arc::new(monitor), socket, working.clone()));
        }
        let rights = Arc::new(parts.rights(tls, peers.connections, clients.connections));
        tasks.spawn(rights.clone().watch(serials, working.clone()));
        tasks.close();
        tracing::info!(member = %parts.directory.member(), peers = %peers_address, clients = %clients_address, "the node is ready");
        let servers = vec![peers.server, clients.server];
        let (store, state) = (parts.store, parts.state);
        Ok(Node { peers_address, clients_address, store, state, rights, health, serving, working, servers, tasks })
    }

    /// Gives up again.
    pub async fn close(self) {
        let store = self.ground.store.clone();
        drop(self);
        close_store(store).await;
    }
}

/// A running node.
pub struct Node {
    peers_address: SocketAddr,
    clients_address: SocketAddr,
    store: Arc<Store>,
    state: Arc<NodeState>,
    rights: Arc<Rights>,
    health: Health,
    /// Ends listeners and the input of streams.
    serving: CancellationToken,
    /// Ends everything else.
    working: CancellationToken,
    servers: Vec<Serving>,
    tasks: TaskTracker,
}

impl Node {
    /// Opens the store and makes sure of everything else that a node needs.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn open(setup: NodeSetup) -> Result<OpenNode, StartError> {
        let tls = Tls::build(&setup)?;
        Ok(OpenNode { tls, ground: Ground::open(setup).await? })
    }

    /// Starts a node on sockets that are bound already.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start(setup: NodeSetup, sockets: Listeners) -> Result<Self, StartError> {
        Self::open(setup).await?.listen(sockets).await
    }

    /// Where other members' nodes reach this one.
    #[must_use]
    pub const fn peers_address(&self) -> SocketAddr {
        self.peers_address
    }

    /// Where the member's clients reach it.
    #[must_use]
    pub const fn clients_address(&self) -> SocketAddr {
        self.clients_address
    }

    /// Waits for what makes it useless to go on: the store's writer has panicked. The process is to end.
    pub async fn failed(&self) -> StoreError {
        self.store.panicked().await
    }

    /// Takes certificates, revocation lists, roles and a roster anew, all or none, and closes the connections whose right has
    /// gone with the old ones. The secrets of pseudonym keys are read again as well.
    ///
    /// # Errors
    /// See [`StartError`]. What was in force stays so.
    pub async fn renew(&self, renewal: Renewal) -> Result<(), StartError> {
        self.rights.renew(renewal).await
    }

    /// Takes no new call, reads nothing more of those at hand, lets them end within [`DRAIN_TIMEOUT`], and closes the store.
    pub async fn stop(self) {
        tracing::info!("the node is stopping");
        self.health.end().await;
        self.serving.cancel();
        let mut servers = join_all(self.servers);
        let ended = match tokio::time::timeout(DRAIN_TIMEOUT, &mut servers).await {
            Ok(ended) => ended,
            Err(_) => {
                let connections = self.rights.close_all();
                tracing::warn!(code = "DRAIN_TIMEOUT", connections, "calls at hand were cut off");
                servers.await
            }
        };
        if ended.iter().any(|server| !matches!(server, Ok(Ok(())))) {
            tracing::error!(code = "SERVER_FAILED", "a listener did not end in order");
        }
        self.working.cancel();
        self.tasks.wait().await;
        close_store(self.store).await;
        tracing::info!("the node has stopped");
    }
}

async fn close_store(store: Arc<Store>) {
    if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
        tracing::error!(code = "STORE_CLOSE_PANICKED", "the store was not closed in order; it recovers on the next start");
    }
}

/// How long [`Node::stop`] may take at most, for supervisors: the drain, and as long again for the store and the last spans.
pub const STOP_WITHIN: Duration = Duration::from_secs(2 * DRAIN_TIMEOUT.as_secs());
