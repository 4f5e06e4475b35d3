//! Members that run no node: their entries, made and signed here with the keys in their folders, and put into the store of a
//! node that then relays them. So a store with many feeds takes minutes and not as many nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::messages;
use super::rig::Rig;
use crate::cli::failure::Failure;
use crate::config::{LoadedConfig, Materials, NodeConfig};
use crate::domain::limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, SALT_BYTES};
use crate::domain::{AllianceName, Audience, Entropy, FeedId, Identifier, SignalContent, SubmissionTag};
use crate::feed::{Body, Checkpoint, Entry, EntryBytes, Frontier, SignedCheckpoint, SigningKey, encode, statement_from_wire};
use crate::population::Find;
use crate::pseudonym::{Canonicaliser, KeyRing, Purpose};
use crate::store::{Import, Options, Store};

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
            ring: KeyRing::new(&roster.roster().keys, materials.pseudonym_keys)?,
            entropy: rig.environment().entropy.clone(),
            now: rig.environment().now(),
        })
    }

    /// The entry that a node would write.
    pub(super) async fn entry(&self, find: &Find) -> Result<EntryBytes, Failure> {
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
    scribe: Scribe,
    /// By member.
    feeds: BTreeMap<usize, Feed>,
    entries: u64,
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
        let mut feeds = BTreeMap::new();
        for member in members {
            let (loaded, materials) = self::materials(rig, member)?;
            let id = FeedId { member: loaded.config.node.member, audience: Audience::Alliance };
            let feed = Feed { id, key: materials.feed_key, frontier: Frontier::empty(), waiting: Vec::new(), bytes: 0 };
            feeds.insert(member, feed);
        }
        Ok(Self { alliance: node.alliance, store, scribe: Scribe::of(rig)?, feeds, entries: 0 })
    }

    /// Adds a find to the feed of the member whose rank it has.
    pub(super) async fn take(&mut self, find: &Find) -> Result<(), Failure> {
        let entry = self.scribe.entry(find).await?;
        self.entries += 1;
        let place = find.member % self.feeds.len();
        let Some(feed) = self.feeds.values_mut().nth(place) else { return Ok(()) };
        feed.bytes += entry.as_slice().len();
        feed.waiting.push(entry);
        if feed.waiting.len() == MAX_BATCH_ENTRIES || feed.bytes >= MAX_BATCH_BYTES {
            feed.settle(&self.alliance, &self.store).await?;
        }
        Ok(())
    }

    /// Entries taken.
    pub(super) const fn entries(&self) -> u64 {
        self.entries
    }

    /// Stores what is left, and closes the store. Gives the number of entries.
    pub(super) async fn finish(mut self) -> Result<u64, Failure> {
        for feed in self.feeds.values_mut() {
            feed.settle(&self.alliance, &self.store).await?;
        }
        let store = self.store;
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.map_err(|error| Failure::of("BENCH_STORE", &error))?;
        Ok(self.entries)
    }
}

impl Feed {
    async fn settle(&mut self, alliance: &AllianceName, store: &Store) -> Result<(), Failure> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut grown = self.frontier.clone();
        self.waiting.iter().for_each(|entry| grown.push(entry.leaf_hash()));
        let checkpoint = Checkpoint { feed: self.id.clone(), size: grown.size(), root: grown.root() };
        let signed = SignedCheckpoint::sign(checkpoint, alliance, &self.key);
        let import = Import::verify(&self.frontier, std::mem::take(&mut self.waiting), signed);
        let import = import.map_err(|error| Failure::of("BENCH_BATCH", &error))?;
        store.import(import).await.map_err(|error| Failure::of("BENCH_STORE", &error))?;
        (self.frontier, self.bytes) = (grown, 0);
        Ok(())
    }
}
