//! From configuration to a running node, and the life of the process around it.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Listeners, Node, NodeSetup, StartError, SystemClock, SystemEntropy};
use crate::config::{ConfigError, Environment, LoadedConfig, Materials, NodeConfig, Purpose};
use crate::domain::{Clock as _, KeyId};
use crate::pseudonym::HmacKey;
use crate::replication::{OwnFeeds, Pace};
use crate::rpc::AccessList;
use crate::service::KeySecrets;
use crate::store::StoreError;
use crate::telemetry::{self, TelemetryError};

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
    #[error("{address} cannot be bound; another process may have it")]
    Bind {
        /// The setting and its value.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store can be written no more until the process is started again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signals of the operating system cannot be received.
    #[error("signals of the operating system cannot be received")]
    Signals(#[source] std::io::Error),
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
            Self::Bind { .. } => "ADDRESS_IN_USE",
            Self::Signals(_) => "SIGNALS",
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
}

/// What a node is made of, from its configuration.
#[must_use]
pub fn setup(loaded: LoadedConfig, materials: Materials) -> NodeSetup {
    let config = loaded.config.clone();
    let addresses = config.peers.addresses.iter().map(|(member, address)| (member.clone(), address.as_str().to_owned()));
    NodeSetup {
        alliance: config.node.alliance,
        member: config.node.member,
        data_dir: config.node.data_dir,
        cache_bytes: config.store.cache_mib * MIB,
        feed_key: materials.feed_key,
        local_secret: materials.local_secret,
        secrets: Arc::new(KeyFolder(loaded)),
        roster: materials.roster.map(|roster| roster.note().clone()),
        secretariat: config.roster.secretariat_key,
        credentials: materials.own,
        peers: materials.alliance,
        clients: materials.clients,
        access: AccessList::new(config.clients.access.0),
        addresses: addresses.collect(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        pace: Pace::default(),
        own_feeds: OwnFeeds::default(),
    }
}

/// Runs the node of a configuration until SIGTERM or SIGINT. Nothing is bound before all of it is known to be good.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(flag: Option<&Path>, own_feeds: OwnFeeds, environment: &Environment) -> Result<(), ServeError> {
    let path = environment.find(Purpose::Node, flag)?;
    let loaded = NodeConfig::load(&path, environment)?;
    let _telemetry = telemetry::init(loaded.config.log.format, &loaded.config.log.level)?;
    let materials = loaded.materials(SystemClock.now())?;
    let (mut terminate, mut interrupt) = stop_signals().map_err(ServeError::Signals)?;
    let listeners = Listeners {
        peers: bind("peers.listen", loaded.config.peers.listen).await?,
        clients: bind("clients.listen", loaded.config.clients.listen).await?,
    };
    let node = Node::start(NodeSetup { own_feeds, ..setup(loaded, materials) }, listeners).await?;
    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        failure = node.failed() => Some(failure),
    };
    node.stop().await;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

fn stop_signals() -> std::io::Result<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)> {
    Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
}

async fn bind(setting: &str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError::Bind { address: format!("{setting} = {address}"), source })
}
