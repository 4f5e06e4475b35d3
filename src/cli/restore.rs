//! `restore`: a store out of a backup, or out of what the other members hold; and `store verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::backup::refuse_flaws;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, counted, facts};
use super::{Environment, wait_for, words};
use crate::archive::{Archive, ArchivedFeed, Identities};
use crate::config::{LoadedConfig, NodeConfig, Purpose};
use crate::daemon::{Recovery, restore_from_peers};
use crate::store::{OpenError, Piece, Restoration, RowDigest, Verification, verify_store};

const MIB: u64 = 1_024 * 1_024;

const RESTORE_HELP: &str = "\
Works in the `data_dir` of the node's configuration, which must be empty but for `shares` and `evidence`: move an old store away first,
and leave those two where they are, or put them back (a share of a pseudonym key is in no backup). Every feed is held against the checkpoints that its members signed before the store can be opened.

Afterwards start the node as ever. It compares its own feeds with every other member that may hold them, gets back what was added after
the backup, and takes no submission before they are level: so an old backup never makes a second history. Where a member will not come
back, start it once with --recover-own-feed: then it waits only for those that answer.

With --from-peers nothing but configuration and keys is needed. All feeds come from the other members, own ones too; what no member
had is lost, and so is what is never shared: overrides, watches, references of checks, the audit log. Keep the keys: without
`local_secret` a submission is not recognised when it is made again.

JSON: {source, data_dir, as_of, rows, bytes, feeds: [{feed, size, root}]}; with --from-peers {complete, own_feeds_level, feeds:
[{feed, size, known}], unreached}.";

#[derive(Args)]
#[command(after_help = RESTORE_HELP)]
pub(super) struct RestoreArguments {
    /// The backup's folder.
    #[arg(value_name = "FOLDER", required_unless_present = "from_peers", conflicts_with = "from_peers")]
    folder: Option<PathBuf>,
    /// Get everything back from the other members.
    #[arg(long)]
    from_peers: bool,
    /// Do not wait for members that cannot be reached. If one of them holds more of this member's own feeds than all others, the member
    /// will have signed two histories, and nobody takes its signals any more.
    #[arg(long, requires = "from_peers")]
    skip_unreached: bool,
    /// File of the age identity that the backup is encrypted to, as age-keygen writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "from_peers")]
    identity: Option<PathBuf>,
    /// Read and verify the backup, and write nothing.
    #[arg(long, conflicts_with = "from_peers")]
    dry_run: bool,
    /// The node's configuration, or the folder of its node.toml; else COUNTERMARK_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: RestoreArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let config = arguments.config.as_deref();
    let Some(folder) = &arguments.folder else { return wait_for(from_peers(&arguments, environment, printer)) };
    let loaded = load(config, environment)?;
    let identities = arguments.identity.as_deref().map(Identities::read).transpose()?;
    let archive = Archive::open(folder, identities)?;
    let verified = match arguments.dry_run {
        true => verify(&archive, &loaded, printer)?,
        false => put_back(&archive, &loaded, environment, printer)?,
    };
    printer.end_progress();
    refuse_flaws("the backup is damaged; what was put back of it does not open", &verified)?;
    printer.show(&Restored {
        source: folder.clone(),
        data_dir: (!arguments.dry_run).then(|| loaded.config.node.data_dir.clone()),
        as_of: archive.manifest().as_of_ms.and_then(words::instant),
        found: Found::of(verified),
    })?;
    if !arguments.dry_run {
        printer.note("start the node: it gets back what was added since, and takes submissions once its own feeds are level");
    }
    Ok(Outcome::Done)
}

fn load(config: Option<&Path>, environment: &Environment) -> Result<LoadedConfig, Failure> {
    let path = environment.variables.find(Purpose::Node, config)?;
    Ok(NodeConfig::load(&path, &environment.variables)?)
}

fn verify(archive: &Archive, loaded: &LoadedConfig, printer: &mut Printer) -> Result<Verification, Failure> {
    let (mut digest, mut rows) = (RowDigest::default(), 0);
    archive.read(|piece: Piece| {
        rows += piece.rows();
        digest.take(&piece);
        printer.progress(|| format!("{rows} rows read"));
        Ok::<_, Failure>(())
    })?;
    let config = &loaded.config;
    Ok(digest.verify(&config.node.alliance, &config.node.member, &config.roster.secretariat_key))
}

fn put_back(
    archive: &Archive,
    loaded: &LoadedConfig,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Verification, Failure> {
    let config = loaded.config.clone();
    let (node, cache) = (config.node, config.store.cache_mib * MIB);
    let mut restoration = Restoration::begin(&node.data_dir, cache, node.alliance, node.member, config.roster.secretariat_key)?;
    let mut rows = 0;
    archive.read(|piece: Piece| {
        rows += piece.rows();
        restoration.put(piece)?;
        printer.progress(|| format!("{rows} rows put back"));
        Ok::<_, Failure>(())
    })?;
    printer.progress(|| "verifying".to_owned());
    Ok(restoration.finish(environment.now())?)
}

async fn from_peers(
    arguments: &RestoreArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let told = |recovery: &Recovery| {
        let (held, known) = recovery.feeds.values().fold((0, 0), |(held, known), feed| (held + feed.0, known + feed.1));
        printer.progress(|| format!("{held} of {known} entries are here; {} members not reached", recovery.unreached.len()));
    };
    let recovery =
        restore_from_peers(arguments.config.as_deref(), arguments.skip_unreached, &environment.variables, told).await?;
    printer.end_progress();
    let outcome = if recovery.is_complete { Outcome::Done } else { Outcome::Failed };
    printer.show(&Recovered::of(recovery))?;
    Ok(outcome)
}

/// That feeds are whole, for people.
pub(super) fn verified(feeds: &[ArchivedFeed]) -> String {
    let entries: u64 = feeds.iter().map(|feed| feed.size).sum();
    format!("{}, {entries} entries in all, as their members signed them", counted(feeds.len() as u64, "feed"))
}

/// What a store or a backup was found to hold.
#[derive(Debug, Serialize)]
struct Found {
    rows: u64,
    bytes: u64,
    feeds: Vec<ArchivedFeed>,
}

impl Found {
    fn of(verified: Verification) -> Self {
        Self { rows: verified.rows, bytes: verified.bytes, feeds: verified.feeds.iter().map(Into::into).collect() }
    }

    fn facts(&self) -> [(&'static str, String); 2] {
        let verified = verified(&self.feeds);
        [("rows", format!("{}, {}", self.rows, words::bytes(self.bytes))), ("verified", verified)]
    }
}

/// A backup that was put back, or only read. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Restored {
    source: PathBuf,
    /// Null where nothing was written.
    data_dir: Option<PathBuf>,
    as_of: Option<String>,
    #[serde(flatten)]
    found: Found,
}

impl Show for Restored {
    fn table(&self) -> String {
        let [rows, verified] = self.found.facts();
        let data_dir = self.data_dir.as_ref().map_or("nothing was written".to_owned(), |folder| folder.display().to_string());
        let as_of = self.as_of.clone().unwrap_or_default();
        facts([("backup", self.source.display().to_string()), ("as of", as_of), ("put back into", data_dir), rows, verified])
    }
}

/// A feed that came from other members.
#[derive(Debug, Serialize)]
struct RecoveredFeed {
    feed: String,
    size: u64,
    /// Entries that there are, as far as anybody reached knows.
    known: u64,
}

/// What other members had. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Recovered {
    complete: bool,
    own_feeds_level: bool,
    feeds: Vec<RecoveredFeed>,
    unreached: Vec<String>,
}

impl Recovered {
    fn of(recovery: Recovery) -> Self {
        let feed =
            |(feed, (size, known)): (crate::domain::FeedId, (u64, u64))| RecoveredFeed { feed: feed.to_string(), size, known };
        Self {
            complete: recovery.is_complete,
            own_feeds_level: recovery.is_own_level,
            feeds: recovery.feeds.into_iter().map(feed).collect(),
            unreached: recovery.unreached.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Show for Recovered {
    fn table(&self) -> String {
        let entries: u64 = self.feeds.iter().map(|feed| feed.size).sum();
        let outcome = match (self.complete, self.own_feeds_level) {
            (true, _) => "all is here that the members reached have; start the node",
            (false, true) => "interrupted; own feeds are level. Start the node: it goes on",
            (false, false) => {
                "interrupted before own feeds were level. Start the node: it goes on, and takes submissions once they are"
            }
        };
        let unreached = if self.unreached.is_empty() { "nobody".to_owned() } else { self.unreached.join(", ") };
        facts([
            ("entries", format!("{entries} in {}", counted(self.feeds.len() as u64, "feed"))),
            ("not reached", unreached),
            ("outcome", outcome.to_owned()),
        ])
    }
}

const STORE_VERIFY_HELP: &str = "\
For a node that does not run. Every feed is hashed anew and held against the checkpoints that its member signed, the audit log against
its head, and the roster against the secretariat's key. Of a running node a backup does the same.

JSON: {data_dir, rows, bytes, feeds: [{feed, size, root}]}.";

#[derive(Args)]
#[command(after_help = STORE_VERIFY_HELP)]
pub(super) struct StoreVerifyArguments {
    /// The node's configuration, or the folder of its node.toml; else COUNTERMARK_CONFIG names it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A store that is whole. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Verified {
    data_dir: PathBuf,
    #[serde(flatten)]
    found: Found,
}

impl Show for Verified {
    fn table(&self) -> String {
        let [rows, verified] = self.found.facts();
        facts([("store", self.data_dir.display().to_string()), rows, verified])
    }
}

pub(super) fn verify_offline(
    arguments: &StoreVerifyArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let config = load(arguments.config.as_deref(), environment)?.config;
    let (node, secretariat) = (&config.node, &config.roster.secretariat_key);
    let verified = verify_store(&node.data_dir, config.store.cache_mib * MIB, &node.alliance, &node.member, secretariat)?;
    refuse_flaws("the store is damaged", &verified)?;
    printer.show(&Verified { data_dir: config.node.data_dir, found: Found::of(verified) })?;
    Ok(Outcome::Done)
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::of(error.code(), &error)
    }
}
