//! Members that run no node: their entries, made and signed here with the keys in their folders, and put into the store of a
//! node that then relays them. So a store with many feeds takes minutes and not as many nodes.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::messages;
use super::rig::Rig;
use crate::cli::failure::Failure;
use crate::config::{LoadedConfig, Materials, NodeConfig};
use crate::domain::limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, SALT_BYTES};
use crate::domain::{AllianceName, Audience, Entropy, FeedId, Identifier, SignalContent, SubmissionTag};
use crate::feed::{
    Body, Checkpoint, Entry, EntryBytes, Frontier, Leaf, SignedCheckpoint, SigningKey, encode, statement_from_wire,
};
use crate::population::Find;
use crate::pseudonym::{Canonicaliser, KeyRing, NoHolders, Purpose};
use crate::store::{Import, Options, Store};

/// Finds that become entries in one task.
const AT_ONCE: usize = 4_096;
/// Tasks under way beside the one that stores: the cores that the goals are for.
const TASKS: usize = 2;

/// Turns finds into entries.
pub(super) struct Scribe {
    canonicaliser: Canonicaliser,
    ring: KeyRing,
    entropy: Arc<dyn Entropy>,
    now: crate::domain::Timestamp,
}

impl Scribe {
    /// With the keys of the first member, which are everybody's.
    pub(super) fn of(rig: &Rig) -> Result<Self, Failure> {
        let (_, materials) = materials(rig, 0)?;
        let roster = materials.roster.ok_or_else(|| Failure::new("BENCH_ROSTER", "the folder has no roster"))?;
        Ok(Self {
            canonicaliser: Canonicaliser::new(roster.roster())?,
            ring: KeyRing::new(&roster.roster().keys, materials.pseudonym_keys, &NoHolders)?,
            entropy: rig.environment().entropy.clone(),
            now: rig.environment().now(),
        })
    }

    /// The entries that a node would write.
    pub(super) async fn entries(&self, finds: &[Find]) -> Result<Vec<EntryBytes>, Failure> {
        let mut entries = Vec::with_capacity(finds.len());
        for find in finds {
            entries.push(self.entry(find).await?);
        }
        Ok(entries)
    }

    async fn entry(&self, find: &Find) -> Result<EntryBytes, Failure> {
        let known: Vec<&Identifier> = find.store.known().collect();
        let forms = known.iter().map(|identifier| self.canonicaliser.canonical(identifier)).collect::<Result<Vec<_>, _>>()?;
        let content = SignalContent {
            kinds: known.iter().map(|identifier| identifier.kind).collect(),
            pseudonyms: self.ring.pseudonyms(Purpose::Submit, &forms).await?,
            statement: statement_from_wire(messages::statement(find))?,
        };
        let mut random = [0; 16 + SALT_BYTES];
        self.entropy.fill(&mut random)?;
        let (tag, salt) = random.split_at(16);
        let tag = SubmissionTag(tag.try_into().unwrap_or_default());
        let entry = Entry { recorded_at: self.now, body: Body::Signal { tag, content } };
        let salt = salt.try_into().unwrap_or_default();
        encode(&entry, salt).map_err(|error| Failure::of("BENCH_ENTRY", &error))
    }
}

/// Configuration and files of a member.
fn materials(rig: &Rig, member: usize) -> Result<(LoadedConfig, Materials), Failure> {
    let environment = rig.environment();
    let loaded = NodeConfig::load(&rig.home(member).path().join("node.toml"), &environment.variables)?;
    let materials = loaded.materials(environment.now())?;
    Ok((loaded, materials))
}

/// The feed of one member, and what of it is not in the store yet.
struct Feed {
    id: FeedId,
    key: SigningKey,
    frontier: Frontier,
    waiting: Vec<EntryBytes>,
    bytes: usize,
}

/// The store of a node that relays the feeds of many.
pub(super) struct Relay {
    alliance: AllianceName,
    store: Store,
    scribe: Arc<Scribe>,
    feeds: Vec<Feed>,
}

impl Relay {
    /// Opens the store of `member`, which must not run, for the feeds of `members`.
    pub(super) fn open(rig: &Rig, member: usize, members: impl Iterator<Item = usize>) -> Result<Self, Failure> {
        let (loaded, materials) = materials(rig, member)?;
        let (node, environment) = (loaded.config.node, rig.environment());
        let options = Options {
            folder: node.data_dir,
            cache_bytes: loaded.config.store.cache_bytes(),
            alliance: node.alliance.clone(),
            member: node.member,
            key: Arc::new(materials.feed_key),
            clock: environment.clock.clone(),
            entropy: environment.entropy.clone(),
        };
        let store = Store::open(options).map_err(|error| Failure::of("BENCH_STORE", &error))?;
        let mut feeds = Vec::new();
        for member in members {
            let (loaded, materials) = self::materials(rig, member)?;
            let id = FeedId { member: loaded.config.node.member, audience: Audience::Alliance };
            feeds.push(Feed { id, key: materials.feed_key, frontier: Frontier::empty(), waiting: Vec::new(), bytes: 0 });
        }
        Ok(Self { alliance: node.alliance, store, scribe: Arc::new(Scribe::of(rig)?), feeds })
    }

    /// Stores each find in the feed of the member whose rank it has; entries are made beside the storing of earlier ones.
    pub(super) async fn store(&mut self, mut finds: impl Iterator<Item = Find>) -> Result<(), Failure> {
        let mut making: VecDeque<JoinHandle<_>> = VecDeque::new();
        loop {
            while making.len() < TASKS {
                let chunk: Vec<Find> = finds.by_ref().take(AT_ONCE).collect();
                if chunk.is_empty() {
                    break;
                }
                let scribe = self.scribe.clone();
                making.push_back(tokio::spawn(async move {
                    let entries = scribe.entries(&chunk).await?;
                    Ok::<_, Failure>(chunk.iter().map(|find| find.member).zip(entries).collect::<Vec<_>>())
                }));
            }
            let Some(made) = making.pop_front() else { return Ok(()) };
            for (member, entry) in made.await.map_err(|error| Failure::of("BENCH_TASK", &error))?? {
                let place = member % self.feeds.len();
                self.feeds[place].take(entry, &self.alliance, &self.store).await?;
            }
        }
    }

    /// Stores what is left, and closes the store.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        for feed in &mut self.feeds {
            feed.settle(&self.alliance, &self.store).await?;
        }
        let store = self.store;
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.map_err(|error| Failure::of("BENCH_STORE", &error))
    }
}

impl Feed {
    /// Takes an entry, and stores what waits once it is as much as one message of a peer.
    async fn take(&mut self, entry: EntryBytes, alliance: &AllianceName, store: &Store) -> Result<(), Failure> {
        self.bytes += entry.as_slice().len();
        self.waiting.push(entry);
        if self.waiting.len() == MAX_BATCH_ENTRIES || self.bytes >= MAX_BATCH_BYTES {
            self.settle(alliance, store).await
        } else {
            Ok(())
        }
    }

    async fn settle(&mut self, alliance: &AllianceName, store: &Store) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut grown = self.frontier.clone();
        self.waiting.iter().for_each(|entry| grown.push(entry.leaf_hash()));
        let checkpoint = Checkpoint { feed: self.id.clone(), size: grown.size(), root: grown.root() };
        let signed = SignedCheckpoint::sign(checkpoint, alliance, &self.key);
        let waiting = std::mem::take(&mut self.waiting);
        let import = Import::verify(&self.frontier, waiting.into_iter().map(Leaf::from).collect(), signed);
        let import = import.map_err(|error| Failure::of("BENCH_BATCH", &error))?;
        store.import(import).await.map_err(|error| Failure::of("BENCH_STORE", &error))?;
        (self.frontier, self.bytes) = (grown, 0);
        Ok(())
    }
}
