//! A node that has lost all but its configuration and its keys gets back what the other members hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::interval;

use super::configured::{Signals, Told, bind_all};
use super::{Node, NodeSetup, ServeError, StartError, SystemClock, setup};
use crate::config::{Environment, NodeConfig, Purpose};
use crate::domain::{Clock as _, FeedId, MemberId};
use crate::replication::OwnFeeds;
use crate::service::NodeReport;
use crate::store::{OpenError, Restoration};
use crate::telemetry;

/// How often it is looked how far it has come.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row that show it complete: what a member has that was only just reached is heard of between two.
const LOOKS_TO_BE_SURE: u32 = 5;

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Entries held of each feed, and how many there are known to be.
    pub feeds: BTreeMap<FeedId, (u64, u64)>,
    /// Members that could not be reached: what only they hold may be missing.
    pub unreached: Vec<MemberId>,
    /// Own feeds are as long as any member knows them, and may be written to.
    pub is_own_level: bool,
    /// All that is known to be there is here.
    pub is_complete: bool,
}

impl Recovery {
    fn of(report: &NodeReport, is_restored: bool) -> Self {
        let unreached: Vec<MemberId> =
            report.peers.iter().filter(|peer| !peer.connected).map(|peer| peer.member.clone()).collect();
        let is_level = |feed: &crate::store::FeedFreshness| {
            let is_compared = feed.last_heard.is_some() || unreached.contains(&feed.feed.member);
            feed.size >= feed.newest_size && is_compared
        };
        let is_known = |feed: &&crate::store::FeedFreshness| report.peers.iter().any(|peer| peer.member == feed.feed.member);
        let all_level = report.freshness.feeds.iter().filter(is_known).all(is_level);
        let sizes = report.freshness.feeds.iter().map(|feed| (feed.feed.clone(), (feed.size.get(), feed.newest_size.get())));
        Self { feeds: sizes.collect(), is_own_level: !is_restored, is_complete: !is_restored && all_level, unreached }
    }
}

/// Runs the node of a configuration whose store is lost until all is back that the members it reaches hold, and stops it. `told` is told
/// now and then how far it has come. A store that was begun and not completed is gone on with; any other is left alone. Where it is
/// interrupted, what it came to is returned, and the node goes on with it when it is started.
///
/// It waits for every member that may hold own feeds, unless `skip_unreached`: if one of those that cannot be reached holds more of
/// them than all others, what is added to them then is a second history.
///
/// # Errors
/// See [`ServeError`]; `RESTORE_NOT_EMPTY` where there is a store.
pub async fn restore_from_peers(
    flag: Option<&Path>,
    skip_unreached: bool,
    environment: &Environment,
    mut told: impl FnMut(&Recovery),
) -> Result<Recovery, ServeError> {
    let path = environment.find(Purpose::Node, flag)?;
    let loaded = NodeConfig::load(&path, environment)?;
    let config = loaded.config.clone();
    let _telemetry = telemetry::init(config.log.format, &config.log.level, None)?;
    let mut signals = Signals::new().map_err(ServeError::Signals)?;
    let materials = loaded.materials(SystemClock.now())?;
    let own_feeds = if skip_unreached { OwnFeeds::Recover } else { OwnFeeds::RecoverWithAll };
    let setup = NodeSetup { own_feeds, ..setup(loaded, materials) };
    let is_there = begin(&setup)?;
    let open = Node::open(setup).await?;
    if is_there && !open.ground.store.is_restored() {
        open.close().await;
        return Err(StartError::from(OpenError::NotEmpty).into());
    }
    let monitoring = config.monitoring.as_ref().map(|settings| settings.listen.address());
    let listeners = match bind_all(config.peers.listen, config.clients.listen, monitoring).await {
        Ok(listeners) => listeners,
        Err(error) => {
            open.close().await;
            return Err(error);
        }
    };
    let node = open.listen(listeners).await?;
    let recovered = watch(&node, &mut signals, &mut told).await;
    node.stop().await;
    recovered
}

/// Whether there is a store already.
fn begin(setup: &NodeSetup) -> Result<bool, StartError> {
    let (alliance, member) = (setup.alliance.clone(), setup.member.clone());
    match Restoration::begin(&setup.data_dir, setup.cache_bytes, alliance, member, setup.secretariat) {
        Ok(restoration) => restoration.finish(setup.clock.now()).map(|_| false).map_err(StartError::from),
        Err(OpenError::NotEmpty) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

async fn watch(node: &Node, signals: &mut Signals, told: &mut impl FnMut(&Recovery)) -> Result<Recovery, ServeError> {
    let (mut looks, mut complete, mut recovery) = (interval(LOOK), 0, Recovery::default());
    while complete < LOOKS_TO_BE_SURE {
        tokio::select! {
            _ = looks.tick() => {}
            failure = node.failed() => return Err(failure.into()),
            what = signals.next() => match what {
                Told::Stop => return Ok(Recovery { is_complete: false, ..recovery }),
                Told::Reload(_) => continue,
            },
        }
        let (state, store) = (node.state.clone(), node.store.clone());
        let look = tokio::task::spawn_blocking(move || Recovery::of(&state.report(), store.is_restored()));
        recovery = look.await.map_err(|error| StartError::Io(std::io::Error::other(error)))?;
        complete = if recovery.is_complete { complete + 1 } else { 0 };
        told(&recovery);
    }
    Ok(recovery)
}
