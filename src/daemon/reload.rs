//! Taking a changed configuration and changed files while the node runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};

use super::{Node, Renewal, StartError, SystemClock, setup};
use crate::config::{ConfigError, Environment, LoadedConfig, Materials, NodeConfig};
use crate::domain::Clock as _;
use crate::service::ReloadRefusal;
use crate::telemetry::{Telemetry, TelemetryError};

/// Why a running node goes on with what it has.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration or a file it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was configured does not make a node.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Settings differ that a running node cannot change.
    #[error("{} cannot change while the node runs; restart it, or set them back", .0.join(", "))]
    RestartNeeded(Vec<&'static str>),
    /// The log's filter cannot be changed.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Reading ended by a fault of this program.
    #[error("reading the configuration ended by a fault of this program")]
    Panicked,
}

impl ReloadError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Start(error) => error.code(),
            Self::RestartNeeded(_) => "RESTART_NEEDED",
            Self::Telemetry(error) => error.code(),
            Self::Panicked => "RELOAD_PANICKED",
        }
    }
}

/// What is needed to read everything again, and what must be the same then.
pub(super) struct Reloader {
    path: PathBuf,
    environment: Environment,
    started_with: NodeConfig,
    files: FixedFiles,
    telemetry: Telemetry,
}

/// What stood in the files that only a start reads: the setting that names one, and the SHA-256 of what it holds.
type FixedFiles = BTreeMap<&'static str, Vec<u8>>;

/// Those of them that say where alerts go.
const WEBHOOK_FILES: [&str; 2] = ["webhook.ca", "webhook.secret"];

fn fixed_files(materials: &Materials) -> FixedFiles {
    let (feed_key, local_secret) = (materials.feed_key.public(), materials.local_secret.to_text());
    let mut files: Vec<(_, &[u8])> = vec![("keys.feed_key", &feed_key.0), ("keys.local_secret", local_secret.as_bytes())];
    if let Some(webhook) = &materials.webhook {
        files.extend(WEBHOOK_FILES.into_iter().zip([webhook.ca.as_bytes(), &webhook.secret]));
    }
    files.into_iter().map(|(setting, bytes)| (setting, digest(&SHA256, bytes).as_ref().to_vec())).collect()
}

impl Reloader {
    pub(super) fn new(
        path: PathBuf,
        environment: Environment,
        started_with: &NodeConfig,
        materials: &Materials,
        telemetry: Telemetry,
    ) -> Self {
        Self { path, environment, started_with: started_with.clone(), files: fixed_files(materials), telemetry }
    }

    /// Has `node` take what holds now, all or nothing. The one line about it, good or bad, is logged here, and whoever asked is told.
    pub(super) async fn reload(&self, node: &Node) -> Result<(), ReloadRefusal> {
        let error = match self.take(node).await {
            Ok(()) => {
                tracing::info!("the configuration and its files were read again and are in force");
                return Ok(());
            }
            Err(error) => error,
        };
        let cause = std::iter::successors(std::error::Error::source(&error), |e| e.source()).last();
        let cause = cause.map(ToString::to_string).unwrap_or_default();
        tracing::error!(code = error.code(), %error, cause, "nothing was reloaded; what was in force stays");
        let sentence = if cause.is_empty() { error.to_string() } else { format!("{error}: {cause}") };
        Err(ReloadRefusal { code: error.code(), sentence })
    }

    async fn take(&self, node: &Node) -> Result<(), ReloadError> {
        let (path, environment) = (self.path.clone(), self.environment.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &environment)).await;
        let (loaded, materials, webhook) = read.map_err(|_| ReloadError::Panicked)??;
        let mut fixed = fixed_differences(&self.started_with, &loaded.config);
        let files = fixed_files(&materials);
        let changed =
            self.files.iter().filter(|(setting, digest)| files.get(*setting) != Some(*digest)).map(|(setting, _)| *setting);
        let (of_alerts, of_the_node) = changed.partition::<Vec<_>, _>(|setting| WEBHOOK_FILES.contains(setting));
        fixed.extend(of_the_node);
        if !fixed.is_empty() {
            return Err(ReloadError::RestartNeeded(fixed));
        }
        let filter = loaded.config.log.level.clone();
        node.renew(Renewal::from(setup(loaded, materials))).await?;
        if let Some(error) = webhook {
            tracing::warn!(code = error.code(), %error, "alerts are posted as before; a restart would fail until this is mended");
        } else if !of_alerts.is_empty() {
            let settings = of_alerts.join(", ");
            tracing::warn!(
                code = "RESTART_NEEDED",
                settings,
                "alerts are posted as before; a restart takes what the files hold now"
            );
        }
        Ok(self.telemetry.set_filter(&filter)?)
    }
}

/// What holds now, and what is wrong with the webhook's files: where alerts go is no reason to let in who was revoked.
fn read(
    path: &std::path::Path,
    environment: &Environment,
) -> Result<(LoadedConfig, Materials, Option<ConfigError>), ConfigError> {
    let loaded = NodeConfig::load(path, environment)?;
    let mut materials = loaded.materials_without_webhook(SystemClock.now())?;
    let wrong = loaded.webhook().map(|webhook| materials.webhook = webhook).err();
    Ok((loaded, materials, wrong))
}

/// The settings that only a start reads and that are not the same in both.
fn fixed_differences(old: &NodeConfig, new: &NodeConfig) -> Vec<&'static str> {
    let differences = [
        ("node.alliance", old.node.alliance != new.node.alliance),
        ("node.member", old.node.member != new.node.member),
        ("node.data_dir", old.node.data_dir != new.node.data_dir),
        ("peers.listen", old.peers.listen != new.peers.listen),
        ("peers.addresses", old.peers.addresses != new.peers.addresses),
        ("clients.listen", old.clients.listen != new.clients.listen),
        ("roster.secretariat_key", old.roster.secretariat_key != new.roster.secretariat_key),
        ("keys.local_secret", old.keys.local_secret != new.keys.local_secret),
        ("keys.pseudonym_keys", old.keys.pseudonym_keys != new.keys.pseudonym_keys),
        ("webhook", old.webhook != new.webhook),
        ("monitoring", old.monitoring != new.monitoring),
        ("traces", old.traces != new.traces),
        ("store.cache_mib", old.store.cache_mib != new.store.cache_mib),
        ("log.format", old.log.format != new.log.format),
    ];
    differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
