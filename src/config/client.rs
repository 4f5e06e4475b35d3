use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::document::{self, Key, Kind, Loaded};
use super::environment::Environment;
use super::error::ConfigError;
use super::materials::{credentials, trust_anchors};
use super::node::refuse_unknown;
use super::values::{Address, NodeName, Share, sentence};
use crate::domain::ClientName;
use crate::rpc::identity::{Certificate, Identity};
use crate::rpc::tls::{Credentials, TrustAnchors, client_config};

/// Every setting of a client's configuration.
pub(super) const KEYS: &[Key] = &[
    Key { section: "client", name: "address", kind: Kind::Text },
    Key { section: "client", name: "server_name", kind: Kind::Text },
    Key { section: "client", name: "certificate", kind: Kind::Path },
    Key { section: "client", name: "key", kind: Kind::Path },
    Key { section: "client", name: "ca", kind: Kind::Path },
    Key { section: "client", name: "retract_share", kind: Kind::Number },
];

/// A configuration of a client, and where it came from.
pub type LoadedClient = Loaded<ClientConfig>;

/// What those who call a node decide. `config/client.toml` explains every key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// `[client]`
    pub client: CallSettings,
}

/// `[client]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettings {
    /// Where the node's client listener is dialled.
    #[serde(deserialize_with = "sentence")]
    pub address: Address,
    /// The name that TLS verifies there.
    #[serde(deserialize_with = "sentence")]
    pub server_name: NodeName,
    /// The client's certificate, PEM, of the member's own CA.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The alliance's CA, PEM: nodes have their certificate from it.
    pub ca: PathBuf,
    /// Above this share of the member's live signals a retraction wants a confirmation.
    #[serde(default = "default_retract_share")]
    pub retract_share: Share,
}

const fn default_retract_share() -> Share {
    Share::TENTH
}

impl ClientConfig {
    /// Reads and validates the file at `path` with the overrides of `environment`. Opens no other file: that is for
    /// [`LoadedClient::materials`].
    ///
    /// # Errors
    /// [`ConfigError`] with the place of the first fault.
    pub fn load(path: &Path, environment: &Environment) -> Result<LoadedClient, ConfigError> {
        refuse_unknown(environment)?;
        document::load(path, environment, KEYS)
    }
}

/// What the files of a client's configuration hold.
pub struct ClientMaterials {
    /// What the client presents.
    pub own: Credentials,
    /// Whom it believes.
    pub servers: TrustAnchors,
    /// What the client's certificate says.
    pub certificate: Certificate,
    /// Whom it names among the member's clients.
    pub name: ClientName,
}

impl fmt::Debug for ClientMaterials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientMaterials(redacted, of {})", self.certificate.identity)
    }
}

impl LoadedClient {
    /// Reads and validates the files.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting that names the file.
    pub fn materials(&self) -> Result<ClientMaterials, ConfigError> {
        let settings = &self.config.client;
        let (own, certificate) = credentials(self, "client", &settings.certificate, &settings.key)?;
        let servers = trust_anchors(self, "client", &settings.ca, &[])?;
        client_config(&own, &servers).map_err(|source| self.tls("client", "client", source))?;
        let NodeName { member, alliance } = &settings.server_name;
        match &certificate.identity {
            Identity::Client { alliance: a, member: m, name } if (a, m) == (alliance, member) => {
                Ok(ClientMaterials { name: name.clone(), own, servers, certificate })
            }
            found => Err(ConfigError::Identity {
                setting: self.setting("client.certificate"),
                found: found.clone(),
                needed: format!("a client of {member} in {alliance}, as server_name says"),
            }),
        }
    }
}
