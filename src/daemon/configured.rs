//! From configuration to a running node, and the life of the process around it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::Reloader;
use super::supervisor::Supervisor;
use super::{EvidenceFolder, FolderVault, Listeners, Node, NodeSetup, StartError, SystemClock, SystemEntropy, WebhookSetup};
use crate::alliance::folder::destroy;
use crate::config::{ConfigError, Environment, LoadedConfig, Materials, NodeConfig, Purpose};
use crate::domain::{Clock as _, KeyId};
use crate::pseudonym::HmacKey;
use crate::replication::{OwnFeeds, Pace};
use crate::rpc::AccessList;
use crate::service::{CeremonyPace, KeySecrets, ReloadDesk, ReloadWish};
use crate::store::StoreError;
use crate::telemetry::{self, Collector, TelemetryError};

const MIB: u64 = 1_024 * 1_024;

/// Why a configured node does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration or a file it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The logs cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// What was configured does not make a node.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be bound.
    #[error("{setting} = {address} cannot be bound; {}", bind_advice(source))]
    Bind {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The store can be written no more until the process is started again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signals of the operating system cannot be received.
    #[error("signals of the operating system cannot be received")]
    Signals(#[source] io::Error),
    /// What runs the daemon cannot be told its state.
    #[error("NOTIFY_SOCKET names no socket that could be written to")]
    Supervisor(#[source] io::Error),
}

fn bind_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process has it: stop that, or give another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: give one of its own, or 0.0.0.0 or [::] for all",
        io::ErrorKind::PermissionDenied => "this user may not: give a port above 1023, or the right to take lower ones",
        _ => "give an address and port that this machine can listen on",
    }
}

impl ServeError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Telemetry(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Bind { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => "ADDRESS_IN_USE",
                io::ErrorKind::AddrNotAvailable => "ADDRESS_NOT_AVAILABLE",
                io::ErrorKind::PermissionDenied => "ADDRESS_FORBIDDEN",
                _ => "ADDRESS_UNUSABLE",
            },
            Self::Signals(_) => "SIGNALS",
            Self::Supervisor(_) => "SUPERVISOR",
        }
    }
}

/// The keys folder, read anew with every roster.
struct KeyFolder(LoadedConfig);

impl KeySecrets for KeyFolder {
    fn secrets(&self) -> Vec<(KeyId, HmacKey)> {
        match self.0.pseudonym_keys() {
            Ok(keys) => keys.into_iter().collect(),
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the folder of pseudonym keys cannot be read");
                Vec::new()
            }
        }
    }

    fn destroy(&self, key: &KeyId) {
        let path = self.0.config.keys.pseudonym_keys.join(format!("{key}.key"));
        match destroy(&path) {
            Ok(true) => tracing::info!(%key, "the secret of a key that is destroyed is destroyed, too"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                %key, code = error.code(), %error,
                "the secret of a key that is destroyed could not be removed; remove it by hand, and from backups"
            ),
        }
    }
}

/// What a node is made of, from its configuration.
#[must_use]
pub fn setup(loaded: LoadedConfig, materials: Materials) -> NodeSetup {
    let config = loaded.config.clone();
    let folder = Arc::new(KeyFolder(loaded));
    // Beside what the engine keeps in the same folder, so that whoever moves one moves the other.
    let shares = config.node.data_dir.join("shares");
    let evidence = config.node.data_dir.join("evidence");
    let addresses = config.peers.addresses.iter().map(|(member, address)| (member.clone(), address.as_str().to_owned()));
    NodeSetup {
        alliance: config.node.alliance,
        member: config.node.member,
        data_dir: config.node.data_dir,
        cache_bytes: config.store.cache_mib * MIB,
        feed_key: materials.feed_key,
        local_secret: materials.local_secret,
        secrets: folder,
        vault: Arc::new(FolderVault::at(shares)),
        cached_pseudonyms: config.keys.pseudonym_cache,
        shelf: Arc::new(EvidenceFolder::at(evidence)),
        roster: materials.roster.map(|roster| roster.note().clone()),
        secretariat: config.roster.secretariat_key,
        credentials: materials.own,
        peers: materials.alliance,
        clients: materials.clients,
        access: AccessList::new(config.clients.access.0),
        addresses: addresses.collect(),
        webhook: config.webhook.zip(materials.webhook).map(|(settings, materials)| WebhookSetup {
            url: settings.url.url().clone(),
            ca: materials.ca,
            secret: materials.secret,
        }),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        pace: Pace::default(),
        ceremony_pace: CeremonyPace::default(),
        own_feeds: OwnFeeds::default(),
        reloads: ReloadDesk::default(),
    }
}

/// Runs the node of a configuration until SIGTERM or SIGINT; SIGHUP has it read configuration and files again. Nothing is bound
/// before all of it is known to be good.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(flag: Option<&Path>, own_feeds: OwnFeeds, environment: &Environment) -> Result<(), ServeError> {
    let path = environment.find(Purpose::Node, flag)?;
    let loaded = NodeConfig::load(&path, environment)?;
    let telemetry = telemetry::init(loaded.config.log.format, &loaded.config.log.level, collector(&loaded.config).as_ref())?;
    let mut signals = Signals::new().map_err(ServeError::Signals)?;
    let supervisor = Supervisor::of(environment).map_err(ServeError::Supervisor)?;
    let materials = loaded.materials(SystemClock.now())?;
    let (peers, clients) = (loaded.config.peers.listen, loaded.config.clients.listen);
    let monitoring = loaded.config.monitoring.as_ref().map(|settings| settings.listen.address());
    let reloader = Reloader::new(path, environment.clone(), &loaded.config, &materials, telemetry.clone());
    let (reloads, mut wishes) = ReloadDesk::open();
    let open = Node::open(NodeSetup { own_feeds, reloads, ..setup(loaded, materials) }).await?;
    let listeners = match bind_all(peers, clients, monitoring).await {
        Ok(listeners) => listeners,
        Err(error) => {
            open.close().await;
            return Err(error);
        }
    };
    let node = open.listen(listeners).await?;
    supervisor.ready();
    let failure = loop {
        let told = tokio::select! {
            told = signals.next() => told,
            Some(wish) = wishes.recv() => Told::Reload(Some(wish)),
            failure = node.failed() => break Some(failure),
        };
        match told {
            Told::Reload(wish) => {
                supervisor.reloading();
                let reloaded = reloader.reload(&node).await;
                supervisor.ready();
                if let Some(wish) = wish {
                    // Who asked may have left.
                    drop(wish.send(reloaded));
                }
            }
            Told::Stop => break None,
        }
    };
    supervisor.stopping();
    node.stop().await;
    telemetry.end_traces().await;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

fn collector(config: &NodeConfig) -> Option<Collector> {
    let member = config.node.member.to_string();
    let settings = config.traces.as_ref()?;
    Some(Collector { address: settings.collector.address(), member, one_in: settings.one_in })
}

/// What the operating system or a client tells the node to do.
#[derive(Debug)]
pub(super) enum Told {
    Stop,
    /// Where a client asked, it is told what came of it.
    Reload(Option<ReloadWish>),
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload(None),
        }
    }
}

pub(super) async fn bind_all(
    peers: SocketAddr,
    clients: SocketAddr,
    monitoring: Option<SocketAddr>,
) -> Result<Listeners, ServeError> {
    Ok(Listeners {
        peers: bind("peers.listen", peers).await?,
        clients: bind("clients.listen", clients).await?,
        monitoring: match monitoring {
            Some(address) => Some(bind("monitoring.listen", address).await?),
            None => None,
        },
    })
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { setting, address, source })
}
