use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::document::Loaded;
use super::error::ConfigError;
use super::node::LoadedConfig;
use crate::alliance::folder::{FolderError, read_public, read_secret};
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::domain::{KeyId, Timestamp};
use crate::feed::{SignedRoster, SigningKey};
use crate::pseudonym::{HmacKey, KeyRing};
use crate::rpc::identity::{Certificate, Identity};
use crate::rpc::tls::{Credentials, TlsError, TrustAnchors, server_config, verify_node, webhook_config};
use crate::service::LocalSecret;

/// Bytes of a chain or CA as PEM: a dozen certificates are a tenth of it.
const MAX_CERTIFICATE_BYTES: u64 = 256 * 1_024;
/// Bytes of a revocation list: about a hundred thousand certificates.
const MAX_CRL_BYTES: u64 = 8 * 1_024 * 1_024;
/// Pseudonym keys in the folder: a new one every year of the node's life, and those that pending ceremonies bring.
const MAX_PSEUDONYM_KEYS: usize = 64;

/// What may stand before the base64 of a webhook's secret (Standard Webhooks 1.0.0).
const WEBHOOK_SECRET_PREFIX: &str = "whsec_";
/// Bytes of such a secret (the same).
const WEBHOOK_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What the files of a node's configuration hold.
pub struct Materials {
    /// What both listeners and the dialler present.
    pub own: Credentials,
    /// What the certificate among it says.
    pub certificate: Certificate,
    /// Whom the node believes to be a peer.
    pub alliance: TrustAnchors,
    /// Whom it believes to be a client of the member.
    pub clients: TrustAnchors,
    /// Signs the member's feeds.
    pub feed_key: SigningKey,
    /// For what the node keys for itself alone.
    pub local_secret: LocalSecret,
    /// The pseudonym keys in the folder, by id; not yet compared with any roster.
    pub pseudonym_keys: BTreeMap<KeyId, HmacKey>,
    /// What alerts are handed over with, where a receiver is named.
    pub webhook: Option<WebhookMaterials>,
    /// The first roster, where one is named. The store may hold a newer one.
    pub roster: Option<SignedRoster>,
}

/// What alerts are handed over with.
pub struct WebhookMaterials {
    /// PEM: the CA that the receiver's certificate leads to.
    pub ca: String,
    /// What both sides hold, 24 to 64 bytes. Wiped when dropped.
    pub secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for WebhookMaterials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookMaterials(redacted)")
    }
}

impl fmt::Debug for Materials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Materials(redacted, of {})", self.certificate.identity)
    }
}

impl LoadedConfig {
    /// Reads every file that the configuration names, and validates that peers will accept the certificate at `now`. The same
    /// call serves a reload: it changes nothing.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting that names the file.
    pub fn materials(&self, now: Timestamp) -> Result<Materials, ConfigError> {
        Ok(Materials { webhook: self.webhook()?, ..self.materials_without_webhook(now)? })
    }

    /// The same without what alerts are handed over with.
    ///
    /// # Errors
    /// As there.
    pub fn materials_without_webhook(&self, now: Timestamp) -> Result<Materials, ConfigError> {
        let config = &self.config;
        let (own, certificate) = credentials(self, "peers", &config.peers.certificate, &config.peers.key)?;
        let needed = Identity::Node { alliance: config.node.alliance.clone(), member: config.node.member.clone() };
        if certificate.identity != needed {
            let (setting, found) = (self.setting("peers.certificate"), certificate.identity);
            return Err(ConfigError::Identity { setting, found, needed: format!("{needed}, as [node] says") });
        }
        let alliance = trust_anchors(self, "peers", &config.peers.ca, &config.peers.crl)?;
        let clients = self.client_anchors()?;
        server_config(&own, &alliance).map_err(|source| self.tls("peers", "peers", source))?;
        verify_node(&own, &alliance, now).map_err(|source| self.tls("peers", "peers", source))?;
        server_config(&own, &clients).map_err(|source| self.tls("peers", "clients", source))?;
        Ok(Materials {
            feed_key: self.feed_key()?,
            local_secret: self.local_secret()?,
            pseudonym_keys: self.pseudonym_keys()?,
            roster: self.roster()?,
            webhook: None,
            own,
            certificate,
            alliance,
            clients,
        })
    }

    /// Compares what a roster lists with what is at hand: the member, its feed key, the pseudonym keys. Not for a start: there
    /// the roster in the store counts where it is newer.
    ///
    /// # Errors
    /// [`ConfigError::NotAMember`], [`ConfigError::WrongFeedKey`], [`ConfigError::RosterKeys`], with the codes of a start.
    pub fn check_roster(&self, materials: &Materials) -> Result<(), ConfigError> {
        let Some(signed) = &materials.roster else { return Ok(()) };
        let (roster, member) = (signed.roster(), &self.config.node.member);
        let serial = roster.serial;
        if !roster.is_active(member) {
            return Err(ConfigError::NotAMember { setting: self.setting("roster.file"), serial, member: member.clone() });
        }
        if roster.member(member).is_none_or(|listed| listed.feed_key != materials.feed_key.public()) {
            return Err(ConfigError::WrongFeedKey { setting: self.setting("keys.feed_key"), serial });
        }
        // The ring takes its secrets and wipes them, so that it is given those that were read for it.
        let keys = KeyRing::check(&roster.keys, self.pseudonym_keys()?);
        let setting = || self.setting("keys.pseudonym_keys");
        keys.map_err(|source| ConfigError::RosterKeys { setting: setting(), serial, source })
    }

    /// Checks that the node can tell clients of the member by the authorities and lists that it is given.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting that names the file.
    pub fn check_clients(&self) -> Result<(), ConfigError> {
        self.client_anchors()?.check().map_err(|source| self.tls("peers", "clients", source))
    }

    fn client_anchors(&self) -> Result<TrustAnchors, ConfigError> {
        trust_anchors(self, "clients", &self.config.clients.ca, &self.config.clients.crl)
    }

    fn feed_key(&self) -> Result<SigningKey, ConfigError> {
        let text = self.file("keys.feed_key", read_secret(&self.config.keys.feed_key))?;
        let setting = || self.setting("keys.feed_key");
        SigningKey::from_seed_text(&text).map_err(|source| ConfigError::FeedKey { setting: setting(), source })
    }

    /// What alerts are handed over with, where a receiver is named.
    ///
    /// # Errors
    /// [`ConfigError`] with the setting that names the file.
    pub fn webhook(&self) -> Result<Option<WebhookMaterials>, ConfigError> {
        let Some(settings) = &self.config.webhook else { return Ok(None) };
        let ca = self.file("webhook.ca", read_public(&settings.ca, MAX_CERTIFICATE_BYTES))?;
        webhook_config(&ca).map_err(|source| ConfigError::Tls { setting: self.setting("webhook.ca"), source })?;
        let text = self.file("webhook.secret", read_secret(&settings.secret))?;
        let base64 = text.trim();
        let decoded = BASE64.decode(base64.strip_prefix(WEBHOOK_SECRET_PREFIX).unwrap_or(base64)).map(Zeroizing::new);
        let secret = decoded.ok().filter(|secret| WEBHOOK_SECRET_BYTES.contains(&secret.len()));
        let secret = secret.ok_or_else(|| ConfigError::WebhookSecret { setting: self.setting("webhook.secret") })?;
        Ok(Some(WebhookMaterials { ca, secret }))
    }

    fn local_secret(&self) -> Result<LocalSecret, ConfigError> {
        let text = self.file("keys.local_secret", read_secret(&self.config.keys.local_secret))?;
        let setting = || self.setting("keys.local_secret");
        LocalSecret::from_text(&text).map_err(|source| ConfigError::LocalSecret { setting: setting(), source })
    }

    /// The pseudonym keys in the folder now. The node reads them again with every new roster, so that a key that was put
    /// there before its roster came is found.
    ///
    /// # Errors
    /// [`ConfigError`] where the folder or a key in it cannot be read.
    pub fn pseudonym_keys(&self) -> Result<BTreeMap<KeyId, HmacKey>, ConfigError> {
        let setting = || self.setting("keys.pseudonym_keys");
        let files = self.file("keys.pseudonym_keys", key_files(&self.config.keys.pseudonym_keys))?;
        if files.len() > MAX_PSEUDONYM_KEYS {
            return Err(ConfigError::TooManyKeys { setting: setting(), most: MAX_PSEUDONYM_KEYS });
        }
        let mut keys = BTreeMap::new();
        for path in files {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let id: KeyId = name.parse().map_err(|source| ConfigError::KeyName { setting: setting(), source })?;
            let text = self.file("keys.pseudonym_keys", read_secret(&path))?;
            let key = HmacKey::from_text(&text);
            let key = key.map_err(|source| ConfigError::PseudonymKey { setting: setting(), key: id.clone(), source })?;
            keys.insert(id, key);
        }
        Ok(keys)
    }

    fn roster(&self) -> Result<Option<SignedRoster>, ConfigError> {
        let Some(path) = &self.config.roster.file else { return Ok(None) };
        let note = self.file("roster.file", read_public(path, MAX_ROSTER_BYTES as u64))?;
        let opened = SignedRoster::open(note.into(), &self.config.node.alliance, &self.config.roster.secretariat_key);
        opened.map(Some).map_err(|source| ConfigError::Roster { setting: self.setting("roster.file"), source })
    }
}

/// The files `*.key` of a folder, sorted; one more than the bound at the most.
fn key_files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let io = |source| FolderError::Io { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "key") && files.len() <= MAX_PSEUDONYM_KEYS {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl<T> Loaded<T> {
    fn file<F>(&self, key: &str, read: Result<F, FolderError>) -> Result<F, ConfigError> {
        read.map_err(|source| ConfigError::File { setting: self.setting(key), source })
    }

    /// Names the setting that `source` is about: certificate and key stand in the section `own`, CA and lists in `callers`.
    pub(super) fn tls(&self, own: &str, callers: &str, source: TlsError) -> ConfigError {
        let key = match source {
            TlsError::Key | TlsError::KeyMismatch => format!("{own}.key"),
            TlsError::Ca | TlsError::Verifier(_) => format!("{callers}.ca"),
            TlsError::Crl | TlsError::CrlIssuer | TlsError::CrlTwice | TlsError::CrlSignature => format!("{callers}.crl"),
            TlsError::Certificate | TlsError::Identity(_) | TlsError::NotTrusted(_) | TlsError::Configuration(_) => {
                format!("{own}.certificate")
            }
        };
        ConfigError::Tls { setting: self.setting(&key), source }
    }
}

/// A certificate with its key, of `section`.
pub(super) fn credentials<T>(
    loaded: &Loaded<T>,
    section: &str,
    certificate: &Path,
    key: &Path,
) -> Result<(Credentials, Certificate), ConfigError> {
    let chain = loaded.file(&format!("{section}.certificate"), read_public(certificate, MAX_CERTIFICATE_BYTES))?;
    let key = loaded.file(&format!("{section}.key"), read_secret(key))?;
    let own = Credentials { chain, key };
    let certificate = own.certificate().map_err(|source| loaded.tls(section, section, source))?;
    Ok((own, certificate))
}

/// A CA with its revocation lists, of `section`.
pub(super) fn trust_anchors<T>(
    loaded: &Loaded<T>,
    section: &str,
    ca: &Path,
    crls: &[PathBuf],
) -> Result<TrustAnchors, ConfigError> {
    let ca = loaded.file(&format!("{section}.ca"), read_public(ca, MAX_CERTIFICATE_BYTES))?;
    let crls = crls.iter().map(|crl| loaded.file(&format!("{section}.crl"), read_public(crl, MAX_CRL_BYTES)));
    Ok(TrustAnchors { ca, crls: crls.collect::<Result<_, _>>()? })
}
