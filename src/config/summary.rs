use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Serialize;

use super::error::ConfigError;
use super::materials::Materials;
use super::node::LoadedConfig;
use crate::domain::{AllianceName, ClientName, FeedKey, KeyId, MemberId, Role, Timestamp};
use crate::feed::Hash;
use crate::rpc::tls::TrustAnchors;
use crate::telemetry::{Filter, Format};

/// What will hold when a node starts with this configuration. Shows no secret; keys stand here by id or public part.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The file.
    pub config: PathBuf,
    /// Its SHA-256, lower-case hexadecimal.
    pub config_sha256: String,
    /// Environment variables that hold in place of what the file says.
    pub overrides: Vec<String>,
    /// The alliance.
    pub alliance: AllianceName,
    /// The member.
    pub member: MemberId,
    /// The store's folder.
    pub data_dir: PathBuf,
    /// Memory for the store's cache.
    pub cache_mib: u64,
    /// Where other nodes dial in.
    pub peers_listen: SocketAddr,
    /// Where the member's clients dial in.
    pub clients_listen: SocketAddr,
    /// Where metrics and health are told; `None` for nowhere.
    pub monitoring_listen: Option<SocketAddr>,
    /// Who is handed traces; `None` for nobody.
    pub traces_collector: Option<SocketAddr>,
    /// The node's certificate.
    pub certificate: CertificateSummary,
    /// Revocation lists of the alliance's CA.
    pub peers_crl: CrlSummary,
    /// Revocation lists of the member's own CA.
    pub clients_crl: CrlSummary,
    /// Who may do what.
    pub access: Vec<AccessSummary>,
    /// The public part of the key that signs the member's feeds.
    pub feed_key: FeedKey,
    /// The key with which the secretariat signs rosters.
    pub secretariat_key: FeedKey,
    /// Pseudonym keys that were found.
    pub pseudonym_keys: Vec<KeyId>,
    /// The first roster, where one is named.
    pub roster: Option<RosterSummary>,
    /// How is logged.
    pub log_format: Format,
    /// How much is logged.
    pub log_level: Filter,
}

/// A certificate in a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct CertificateSummary {
    /// Whom it names, as SPIFFE id.
    pub identity: String,
    /// Its number, hexadecimal.
    pub serial: String,
    /// The last instant at which it is good, RFC 3339.
    pub not_after: String,
}

/// Revocation lists in a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct CrlSummary {
    /// How many certificates they revoke; `None` where there is no list.
    pub revoked: Option<usize>,
    /// When the first of them wants to be replaced, RFC 3339.
    pub next_update: Option<String>,
}

/// A client in a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct AccessSummary {
    /// Its name.
    pub name: ClientName,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Calls a second; `None` for as many as it likes.
    pub calls_per_second: Option<NonZeroU32>,
    /// Rows of streams a second; `None` for as many as it likes.
    pub rows_per_second: Option<NonZeroU32>,
    /// Rows a day; `None` for as many as it likes.
    pub rows_per_day: Option<NonZeroU32>,
}

/// A roster in a [`Summary`].
#[derive(Debug, Clone, Serialize)]
pub struct RosterSummary {
    /// Its serial.
    pub serial: u64,
    /// When it was signed, RFC 3339.
    pub issued_at: String,
    /// Its members, expelled ones included.
    pub members: usize,
}

impl LoadedConfig {
    /// What will hold.
    ///
    /// # Errors
    /// [`ConfigError::Tls`] where a revocation list cannot be read.
    pub fn summary(&self, materials: &Materials) -> Result<Summary, ConfigError> {
        let config = self.config.clone();
        let access = config.clients.access.0.iter().map(|(name, grant)| AccessSummary {
            name: name.clone(),
            roles: grant.roles.clone(),
            calls_per_second: grant.allowance.calls_per_second,
            rows_per_second: grant.allowance.rows_per_second,
            rows_per_day: grant.allowance.rows_per_day,
        });
        let certificate = CertificateSummary {
            identity: materials.certificate.identity.to_string(),
            serial: materials.certificate.serial.to_string(),
            not_after: materials.certificate.not_after.to_string(),
        };
        Ok(Summary {
            config: self.path.clone(),
            config_sha256: Hash(self.sha256.0).to_string(),
            overrides: self.overrides.clone(),
            access: access.collect(),
            certificate,
            peers_crl: self.crl_summary("peers", &materials.alliance)?,
            clients_crl: self.crl_summary("clients", &materials.clients)?,
            feed_key: materials.feed_key.public(),
            pseudonym_keys: materials.pseudonym_keys.keys().cloned().collect(),
            roster: materials.roster.as_ref().map(|signed| RosterSummary {
                serial: signed.roster().serial,
                issued_at: signed.roster().issued_at.clone(),
                members: signed.roster().members.len(),
            }),
            alliance: config.node.alliance,
            member: config.node.member,
            data_dir: config.node.data_dir,
            cache_mib: config.store.cache_mib,
            peers_listen: config.peers.listen,
            clients_listen: config.clients.listen,
            traces_collector: config.traces.map(|settings| settings.collector.address()),
            monitoring_listen: config.monitoring.map(|settings| settings.listen.address()),
            secretariat_key: config.roster.secretariat_key,
            log_format: config.log.format,
            log_level: config.log.level,
        })
    }

    fn crl_summary(&self, section: &str, anchors: &TrustAnchors) -> Result<CrlSummary, ConfigError> {
        let revocations = anchors.revocations().map_err(|source| self.tls(section, section, source))?;
        Ok(CrlSummary {
            revoked: (!anchors.crls.is_empty()).then_some(revocations.serials.len()),
            next_update: revocations.next_update.as_ref().map(Timestamp::to_string),
        })
    }
}

impl fmt::Display for CrlSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.revoked, &self.next_update) {
            (None, _) => f.write_str("no revocation list"),
            (Some(revoked), None) => write!(f, "certificates revoked: {revoked}"),
            (Some(revoked), Some(next)) => write!(f, "certificates revoked: {revoked}, next list due {next}"),
        }
    }
}

impl fmt::Display for Summary {
    /// One line for each fact, the names in a column of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<16} {value}");
        line("configuration", &self.config.display())?;
        line("sha256", &self.config_sha256)?;
        self.overrides.iter().try_for_each(|variable| line("overridden by", variable))?;
        line("alliance", &self.alliance)?;
        line("member", &self.member)?;
        line("data", &self.data_dir.display())?;
        line("cache", &format_args!("{} MiB", self.cache_mib))?;
        line("certificate", &self.certificate.identity)?;
        line("", &format_args!("serial {}, good until {}", self.certificate.serial, self.certificate.not_after))?;
        line("peers", &format_args!("{}; {}", self.peers_listen, self.peers_crl))?;
        line("clients", &format_args!("{}; {}", self.clients_listen, self.clients_crl))?;
        for client in &self.access {
            let roles: Vec<&str> = client.roles.iter().map(|role| role.as_str()).collect();
            let most = |what: &str, most: Option<NonZeroU32>| most.map(|most| format!("; {most} {what}"));
            let pace = [
                most("calls a second", client.calls_per_second),
                most("rows a second", client.rows_per_second),
                most("rows a day", client.rows_per_day),
            ];
            let pace: String = pace.into_iter().flatten().collect();
            line("", &format_args!("{}: {}{pace}", client.name, roles.join(", ")))?;
        }
        match self.monitoring_listen {
            Some(address) => line("monitoring", &address)?,
            None => line("monitoring", &"off")?,
        }
        match self.traces_collector {
            Some(address) => line("traces", &address)?,
            None => line("traces", &"off")?,
        }
        line("feed key", &String::from(self.feed_key))?;
        line("secretariat key", &String::from(self.secretariat_key))?;
        let keys: Vec<&str> = self.pseudonym_keys.iter().map(KeyId::as_str).collect();
        line("pseudonym keys", &if keys.is_empty() { "none".to_owned() } else { keys.join(", ") })?;
        match &self.roster {
            Some(r) => line("roster", &format_args!("serial {} of {}, {} members", r.serial, r.issued_at, r.members))?,
            None => line("roster", &"that of the store")?,
        }
        line("log", &format_args!("{}, {}", self.log_format, self.log_level))
    }
}
