use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::document::{self, Key, Kind, Loaded};
use super::environment::Environment;
use super::error::ConfigError;
use super::values::{Address, ClientRoles, HttpsUrl, LoopbackAddress, sentence};
use super::{client, node};
use crate::domain::{AllianceName, FeedKey, MemberId};
use crate::telemetry::{Filter, Format, HAS_TRACES};

/// Every setting that the environment can override. `clients.access` and `peers.addresses` are tables, for which it has no form.
pub(super) const KEYS: &[Key] = &[
    Key { section: "node", name: "alliance", kind: Kind::Text },
    Key { section: "node", name: "member", kind: Kind::Text },
    Key { section: "node", name: "data_dir", kind: Kind::Path },
    Key { section: "peers", name: "listen", kind: Kind::Text },
    Key { section: "peers", name: "certificate", kind: Kind::Path },
    Key { section: "peers", name: "key", kind: Kind::Path },
    Key { section: "peers", name: "ca", kind: Kind::Path },
    Key { section: "peers", name: "crl", kind: Kind::Paths },
    Key { section: "clients", name: "listen", kind: Kind::Text },
    Key { section: "clients", name: "ca", kind: Kind::Path },
    Key { section: "clients", name: "crl", kind: Kind::Paths },
    Key { section: "roster", name: "file", kind: Kind::Path },
    Key { section: "roster", name: "secretariat_key", kind: Kind::Text },
    Key { section: "keys", name: "feed_key", kind: Kind::Path },
    Key { section: "keys", name: "local_secret", kind: Kind::Path },
    Key { section: "keys", name: "pseudonym_keys", kind: Kind::Path },
    Key { section: "keys", name: "pseudonym_cache", kind: Kind::Integer },
    Key { section: "store", name: "cache_mib", kind: Kind::Integer },
    Key { section: "webhook", name: "url", kind: Kind::Text },
    Key { section: "webhook", name: "ca", kind: Kind::Path },
    Key { section: "webhook", name: "secret", kind: Kind::Path },
    Key { section: "monitoring", name: "listen", kind: Kind::Text },
    Key { section: "traces", name: "collector", kind: Kind::Text },
    Key { section: "traces", name: "one_in", kind: Kind::Integer },
    Key { section: "log", name: "format", kind: Kind::Text },
    Key { section: "log", name: "level", kind: Kind::Text },
];

const BYTES_PER_MIB: u64 = 1_024 * 1_024;
/// What sled wants at the least, and a tebibyte.
const CACHE_MIB: std::ops::RangeInclusive<u64> = 8..=1_024 * 1_024;
const DEFAULT_CACHE_MIB: u64 = 64;
/// Some ten gigabytes of memory.
const MAX_CACHED_PSEUDONYMS: usize = 100_000_000;

/// A configuration of a node, and where it came from.
pub type LoadedConfig = Loaded<NodeConfig>;

/// What an operator decides for a node. `config/node.toml` explains every key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Whose node it is.
    pub node: NodeSettings,
    /// The other nodes.
    pub peers: PeerSettings,
    /// The member's own programs and staff.
    pub clients: ClientSettings,
    /// The list of members.
    pub roster: RosterSettings,
    /// The node's secrets.
    pub keys: KeySettings,
    /// The store.
    #[serde(default)]
    pub store: StoreSettings,
    /// Who is handed alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// Where metrics and health are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringSettings>,
    /// Who is handed traces; refused by a program that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<TraceSettings>,
    /// What is logged.
    #[serde(default)]
    pub log: LogSettings,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// The alliance.
    #[serde(deserialize_with = "sentence")]
    pub alliance: AllianceName,
    /// The member.
    #[serde(deserialize_with = "sentence")]
    pub member: MemberId,
    /// The store's folder.
    pub data_dir: PathBuf,
}

/// `[peers]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// Where other nodes dial in.
    pub listen: SocketAddr,
    /// The node's certificate and what leads to the alliance's CA, PEM. Both listeners present it.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The alliance's CA, PEM.
    pub ca: PathBuf,
    /// Revocation lists of the alliance's CA, PEM; none where there is none.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// Addresses to dial in place of those of the roster.
    #[serde(default)]
    pub addresses: BTreeMap<MemberId, Address>,
}

/// `[clients]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Where the member's clients dial in.
    pub listen: SocketAddr,
    /// The member's own CA, PEM.
    pub ca: PathBuf,
    /// Revocation lists of that CA, PEM; none where there is none.
    #[serde(default)]
    pub crl: Vec<PathBuf>,
    /// Who may do what. With none the node serves peers only.
    #[serde(default)]
    pub access: ClientRoles,
}

/// `[roster]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterSettings {
    /// The first roster, a signed note. Not needed once the store holds one.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The key with which the secretariat signs rosters.
    #[serde(deserialize_with = "sentence")]
    pub secretariat_key: FeedKey,
}

/// `[keys]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// File of the seed with which the member signs its feeds.
    pub feed_key: PathBuf,
    /// File of the secret for what the node keys for itself alone.
    pub local_secret: PathBuf,
    /// Folder with a file `<key id>.key` for each pseudonym key.
    pub pseudonym_keys: PathBuf,
    /// Pseudonyms under shared keys that are remembered in memory; 0 for none.
    #[serde(default, deserialize_with = "pseudonym_cache")]
    pub pseudonym_cache: usize,
}

fn pseudonym_cache<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let entries = i64::deserialize(deserializer)?;
    let allowed = usize::try_from(entries).ok().filter(|entries| *entries <= MAX_CACHED_PSEUDONYMS);
    allowed.ok_or_else(|| D::Error::custom(format!("give 0 to {MAX_CACHED_PSEUDONYMS} pseudonyms")))
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// Memory for the store's page cache, in MiB.
    #[serde(deserialize_with = "cache_mib")]
    pub cache_mib: u64,
}

impl StoreSettings {
    /// The same in bytes.
    #[must_use]
    pub const fn cache_bytes(&self) -> u64 {
        self.cache_mib.saturating_mul(BYTES_PER_MIB)
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { cache_mib: DEFAULT_CACHE_MIB }
    }
}

fn cache_mib<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let mib = i64::deserialize(deserializer)?;
    let allowed = u64::try_from(mib).ok().filter(|mib| CACHE_MIB.contains(mib));
    allowed.ok_or_else(|| D::Error::custom(format!("give {} to {} MiB", CACHE_MIB.start(), CACHE_MIB.end())))
}

/// `[webhook]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where alerts are posted.
    pub url: HttpsUrl,
    /// The CA that the receiver's certificate leads to, PEM.
    pub ca: PathBuf,
    /// File of the secret that both sides hold.
    pub secret: PathBuf,
}

/// `[monitoring]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitoringSettings {
    /// Where metrics and health are told, over plain HTTP: on this machine only.
    pub listen: LoopbackAddress,
}

/// `[traces]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSettings {
    /// Where the collector listens for OTLP over gRPC, without TLS: on this machine only.
    pub collector: LoopbackAddress,
    /// Of so many traces that nobody has decided about one is recorded.
    #[serde(default = "every_one")]
    pub one_in: NonZeroU32,
}

const fn every_one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: Format,
    /// How much.
    pub level: Filter,
}

impl NodeConfig {
    /// Reads and validates the file at `path` with the overrides of `environment`. Opens no other file: that is for
    /// [`LoadedConfig::materials`].
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first fault.
    pub fn load(path: &Path, environment: &Environment) -> Result<LoadedConfig, ConfigError> {
        refuse_unknown(environment)?;
        let loaded: LoadedConfig = document::load(path, environment, KEYS)?;
        let (peers, clients) = (loaded.config.peers.listen, loaded.config.clients.listen);
        // Port 0 is whichever is free, so that two of them are not the same.
        if peers == clients && peers.port() != 0 {
            return Err(loaded.refused("clients.listen", "peers.listen has the same address; the two listeners need one each"));
        }
        let monitoring = loaded.config.monitoring.as_ref().map(|settings| settings.listen.address());
        if monitoring.is_some_and(|address| address.port() != 0 && (address == peers || address == clients)) {
            return Err(loaded.refused("monitoring.listen", "another listener has the same address; each needs one of its own"));
        }
        if loaded.config.traces.is_some() && !HAS_TRACES {
            return Err(ConfigError::TracesNotBuilt { setting: loaded.setting("traces.collector") });
        }
        if loaded.config.traces.as_ref().is_some_and(|settings| settings.collector.address().port() == 0) {
            return Err(loaded.refused("traces.collector", "give the port that the collector listens on, usually 4317"));
        }
        Ok(loaded)
    }
}

/// One environment may serve a node and its clients: a variable that means a setting of either is known.
pub(super) fn refuse_unknown(environment: &Environment) -> Result<(), ConfigError> {
    environment.refuse_unknown(node::KEYS.iter().chain(client::KEYS).map(|key| (key.section, key.name)))
}
