//! A whole node: everything below put together, its two listeners, its start and its stop.
//!
//! Nothing is bound before all that was configured is known to be good, and nothing is served before the store is open and
//! the roster is in force. A stop ends the listeners first, lets the calls at hand end, then replication, then the store.

mod configured;
mod system;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::domain::limits::{
    DRAIN_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_CLIENT_MESSAGE_BYTES, MAX_PEER_MESSAGE_BYTES,
    MAX_STREAMS_PER_CONNECTION,
};
use crate::domain::{AllianceName, Clock, Entropy, FeedKey, MemberId, Timestamp};
use crate::feed::SigningKey;
use crate::membership::{Directory, DirectoryError, Liveness};
use crate::pseudonym::PseudonymError;
use crate::replication::{OwnFeeds, Pace, Reader, Replicator, ServeContext, Setup};
use crate::rpc::acceptor::{Acceptor, OpenConnections, clients_of, peers_of};
use crate::rpc::proto::DESCRIPTORS;
use crate::rpc::proto::node_service_server::NodeServiceServer;
use crate::rpc::proto::peer_service_server::PeerServiceServer;
use crate::rpc::proto::screening_service_server::ScreeningServiceServer;
use crate::rpc::proto::signal_service_server::SignalServiceServer;
use crate::rpc::tls::{Credentials, TlsError, TrustAnchors, client_config, server_config, verify_node};
use crate::rpc::{AccessList, NodeServer, PeerDialer, PeerServer, ScreeningServer, SignalServer};
use crate::service::{FreshnessBoard, KeySecrets, LocalSecret, NodeState, Pseudonymiser, Screener, Signals, Submitter};
use crate::store::{OpenError, Options, Store, StoreError};

pub use configured::{ServeError, serve, setup};
pub use system::{SystemClock, SystemEntropy};

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
    /// Secrets of the pseudonym keys.
    pub secrets: Arc<dyn KeySecrets>,
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
    /// Addresses of peers that differ from the roster's.
    pub addresses: BTreeMap<MemberId, String>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// How often nodes give word and how long they wait.
    pub pace: Pace,
    /// What the member's own feeds are taken for.
    pub own_feeds: OwnFeeds,
}

/// The two sockets of a node.
pub struct Listeners {
    /// For the nodes of other members.
    pub peers: TcpListener,
    /// For the member's own clients.
    pub clients: TcpListener,
}

/// Why a node does not start.
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
            Self::Pseudonym(error) => error.code(),
            Self::WrongCertificate(_) => "WRONG_CERTIFICATE",
            Self::WrongFeedKey => "WRONG_FEED_KEY",
            Self::Io(_) => "START_IO",
        }
    }
}

/// A running node.
pub struct Node {
    peers_address: SocketAddr,
    clients_address: SocketAddr,
    store: Arc<Store>,
    /// Ends listeners and streams.
    serving: CancellationToken,
    /// Ends everything else.
    working: CancellationToken,
    servers: Vec<JoinHandle<Result<(), tonic::transport::Error>>>,
    tasks: TaskTracker,
}

impl Node {
    /// Starts a node on sockets that are bound already.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start(setup: NodeSetup, listeners: Listeners) -> Result<Self, StartError> {
        let tls = Tls::build(&setup)?;
        let addresses = (listeners.peers.local_addr()?, listeners.clients.local_addr()?);
        let (serving, working) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let parts = Parts::open(setup, tls.dialling.clone(), &tasks, &working).await?;
        let (peers, peer_connections) = parts.peer_server(&tls, listeners.peers, &serving);
        let (clients, client_connections) = parts.client_server(&tls, listeners.clients, &serving).await;
        let directory = parts.directory.clone();
        tasks.spawn(close_expelled(directory, vec![peer_connections, client_connections], working.clone()));
        tasks.close();
        tracing::info!(member = %parts.directory.member(), peers = %addresses.0, clients = %addresses.1, "the node is ready");
        Ok(Self {
            peers_address: addresses.0,
            clients_address: addresses.1,
            store: parts.store,
            serving,
            working,
            servers: vec![peers, clients],
            tasks,
        })
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

    /// Takes no new call, lets those at hand end within [`DRAIN_TIMEOUT`], and closes the store.
    pub async fn stop(self) {
        tracing::info!("the node is stopping");
        self.serving.cancel();
        for mut server in self.servers {
            if tokio::time::timeout(DRAIN_TIMEOUT, &mut server).await.is_err() {
                tracing::warn!(code = "DRAIN_TIMEOUT", "calls at hand were cut off");
                server.abort();
            }
        }
        self.working.cancel();
        self.tasks.wait().await;
        let store = self.store;
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!(code = "STORE_CLOSE_PANICKED", "the store was not closed in order; it recovers on the next start");
        }
        tracing::info!("the node has stopped");
    }
}

/// TLS of both listeners and for dialling.
struct Tls {
    peers: Arc<ArcSwap<rustls::ServerConfig>>,
    clients: Arc<ArcSwap<rustls::ServerConfig>>,
    dialling: Arc<ArcSwap<rustls::ClientConfig>>,
}

impl Tls {
    fn build(setup: &NodeSetup) -> Result<Self, StartError> {
        let certificate = verify_node(&setup.credentials, &setup.peers, setup.clock.now())?;
        let identity = &certificate.identity;
        let node = crate::rpc::identity::Identity::Node { alliance: setup.alliance.clone(), member: setup.member.clone() };
        if *identity != node {
            return Err(StartError::WrongCertificate(identity.to_string()));
        }
        Ok(Self {
            peers: Arc::new(ArcSwap::from_pointee(server_config(&setup.credentials, &setup.peers)?)),
            clients: Arc::new(ArcSwap::from_pointee(server_config(&setup.credentials, &setup.clients)?)),
            dialling: Arc::new(ArcSwap::from_pointee(client_config(&setup.credentials, &setup.peers)?)),
        })
    }
}

/// The use cases and what they stand on.
struct Parts {
    store: Arc<Store>,
    directory: Arc<Directory>,
    serve: Arc<ServeContext>,
    signals: SignalServer,
    screening: ScreeningServer,
    node: NodeServer,
}

impl Parts {
    /// Opens the store, and starts replication among `tasks`.
    async fn open(
        setup: NodeSetup,
        dialling: Arc<ArcSwap<rustls::ClientConfig>>,
        tasks: &TaskTracker,
        working: &CancellationToken,
    ) -> Result<Self, StartError> {
        let (clock, entropy) = (setup.clock.clone(), setup.entropy.clone());
        let feed_key = Arc::new(setup.feed_key);
        let options = Options {
            folder: setup.data_dir,
            cache_bytes: setup.cache_bytes,
            alliance: setup.alliance.clone(),
            member: setup.member.clone(),
            key: feed_key.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let opened = tokio::task::spawn_blocking(move || Store::open(options)).await;
        let store = Arc::new(opened.map_err(std::io::Error::other)??);
        let directory =
            Directory::open(setup.alliance.clone(), setup.member, setup.secretariat, store.clone(), setup.roster).await?;
        let directory = Arc::new(directory);
        let listed = directory.roster().roster().member(directory.member()).map(|m| m.feed_key);
        if listed != Some(feed_key.public()) {
            return Err(StartError::WrongFeedKey);
        }
        let pseudonymiser = Arc::new(Pseudonymiser::new(directory.clone(), setup.secrets, clock.clone()));
        pseudonymiser.problem().map_or(Ok(()), Err)?;
        let liveness = Arc::new(Liveness::new());
        let dialer = PeerDialer { alliance: setup.alliance, tls: dialling, addresses: setup.addresses };
        let reader = Reader::new(store.clone(), tasks.clone());
        let replication = Setup {
            reader: reader.clone(),
            directory: directory.clone(),
            liveness: liveness.clone(),
            dialer: Arc::new(dialer),
            clock: clock.clone(),
            entropy: entropy.clone(),
            pace: setup.pace,
            own: setup.own_feeds,
        };
        let replicator = Arc::new(Replicator::spawn(replication, tasks, working.clone()));
        let freshness = Arc::new(FreshnessBoard::new(store.clone(), directory.clone(), liveness, clock.clone()));
        let access = Arc::new(ArcSwap::from_pointee(setup.access));
        let secret = Arc::new(setup.local_secret);
        let submitter = Submitter {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            secret: secret.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let signals = Signals { store: store.clone(), directory: directory.clone(), secret, clock: clock.clone(), entropy };
        let screener = Screener {
            store: store.clone(),
            directory: directory.clone(),
            pseudonymiser: pseudonymiser.clone(),
            freshness: freshness.clone(),
            clock: clock.clone(),
        };
        let started_at: Timestamp = clock.now();
        let state =
            NodeState { store: store.clone(), directory: directory.clone(), freshness, pseudonymiser, replicator, started_at };
        Ok(Self {
            serve: Arc::new(ServeContext::new(reader, directory.clone(), setup.pace)),
            signals: SignalServer { submitter: Arc::new(submitter), signals: Arc::new(signals), access: access.clone() },
            screening: ScreeningServer { screener: Arc::new(screener), access: access.clone() },
            node: NodeServer { state: Arc::new(state), access },
            store,
            directory,
        })
    }

    fn peer_server(&self, tls: &Tls, listener: TcpListener, serving: &CancellationToken) -> (Serving, OpenConnections) {
        let service = PeerServiceServer::new(PeerServer { context: self.serve.clone(), shutdown: serving.clone() })
            .max_decoding_message_size(MAX_PEER_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PEER_MESSAGE_BYTES);
        let directory = self.directory.clone();
        let active = move |member: &MemberId| directory.roster().roster().is_active(member);
        let acceptor = Acceptor::new(tls.peers.clone(), peers_of(self.directory.alliance().clone(), active));
        serve_on(server().add_service(service), acceptor, listener, serving)
    }

    async fn client_server(&self, tls: &Tls, listener: TcpListener, serving: &CancellationToken) -> (Serving, OpenConnections) {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<SignalServiceServer<SignalServer>>().await;
        health.set_serving::<ScreeningServiceServer<ScreeningServer>>().await;
        health.set_serving::<NodeServiceServer<NodeServer>>().await;
        let router = server()
            .add_service(health_service)
            .add_service(SignalServiceServer::new(self.signals.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(
                ScreeningServiceServer::new(self.screening.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES),
            )
            .add_service(NodeServiceServer::new(self.node.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES));
        let router = with_reflection(router);
        let alliance = self.directory.alliance().clone();
        let acceptor = Acceptor::new(tls.clients.clone(), clients_of(alliance, self.directory.member().clone()));
        serve_on(router, acceptor, listener, serving)
    }
}

type Serving = JoinHandle<Result<(), tonic::transport::Error>>;

fn server() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(MAX_STREAMS_PER_CONNECTION))
}

/// Both versions of reflection: some tools speak only the older one.
fn with_reflection(router: Router) -> Router {
    let builder = || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => router.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(code = "REFLECTION", %error, "reflection is not offered");
            router
        }
    }
}

fn serve_on(
    router: Router,
    acceptor: Acceptor,
    listener: TcpListener,
    serving: &CancellationToken,
) -> (Serving, OpenConnections) {
    let connections = acceptor.open_connections();
    let incoming = acceptor.accept(listener, serving.clone());
    let ended = serving.clone().cancelled_owned();
    (tokio::spawn(router.serve_with_incoming_shutdown(Box::pin(incoming), ended)), connections)
}

/// Cuts connections of members as soon as a roster expels them.
async fn close_expelled(directory: Arc<Directory>, connections: Vec<OpenConnections>, working: CancellationToken) {
    let mut serials = directory.subscribe();
    loop {
        tokio::select! {
            () = working.cancelled() => return,
            changed = serials.changed() => if changed.is_err() { return },
        }
        let signed = directory.roster();
        for open in &connections {
            let closed = open.close_where(|peer| !signed.roster().is_active(peer.identity.member()));
            if closed > 0 {
                tracing::warn!(code = "MEMBER_NOT_ACTIVE", closed, "connections of expelled members were cut");
            }
        }
    }
}

/// How long [`Node::stop`] may take at most, for supervisors.
pub const STOP_WITHIN: Duration = Duration::from_secs(2 * DRAIN_TIMEOUT.as_secs() + 10);
