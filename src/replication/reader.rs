//! The store as replication reads it: off the threads that drive connections, and its heads at one glance.
//!
//! Every blocking read runs on a thread for blocking work and is tracked, so that shutdown waits for it; of a store in memory, where
//! nothing blocks, it is one step of the task that asks, which lets the others go first as it would while it waits for a thread. The heads of all feeds
//! are gathered once for each change of the store, however many peers ask for a digest of them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::domain::{Audience, FeedId, MemberId, Roster, Seq};
use crate::feed::Hash;
use crate::store::{FeedSummary, Store, StoreError};

/// In the place of a quarantined feed's size: no feed reaches it, so a node that knows of a fork never agrees with one that
/// does not, and nodes that know of it agree whichever branch they hold.
const FORKED_SIZE: u64 = u64::MAX;

/// The heads, and the store's count of changes before they were gathered.
type Snapshot = (u64, Arc<Held>);

/// Reads of the store for replication. Clones share the store and the heads.
#[derive(Clone)]
pub struct Reader {
    store: Arc<Store>,
    tasks: TaskTracker,
    held: Arc<Mutex<Option<Snapshot>>>,
}

impl Reader {
    /// Reads of `store`; those under way are among `tasks`.
    #[must_use]
    pub fn new(store: Arc<Store>, tasks: TaskTracker) -> Self {
        Self { store, tasks, held: Arc::default() }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Runs `work` with the store, off the threads that drive connections where it may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.store.is_model() {
            tokio::task::yield_now().await;
            return Ok(work(&self.store));
        }
        let store = self.store.clone();
        let done = self.tasks.spawn_blocking(move || work(&store)).await;
        done.map_err(|error| StoreError::Unreadable { code: "STORE_READ_FAILED", detail: error.to_string() })
    }

    /// All that is held, as of a moment not before this call.
    pub(super) async fn held(&self) -> Result<Arc<Held>, StoreError> {
        let cache = self.held.clone();
        self.run(move |store| {
            // Held while the heads are gathered, so that they are gathered once; only such threads wait for it.
            let mut cache = cache.lock();
            let version = store.version();
            match &*cache {
                Some((of, held)) if *of == version => held.clone(),
                _ => cache.insert((version, Arc::new(Held::of(store)))).1.clone(),
            }
        })
        .await
    }
}

/// What a store holds of all feeds, at one moment.
pub struct Held {
    /// In the order of their names.
    heads: Vec<(String, FeedSummary)>,
    forked: BTreeSet<FeedId>,
    /// Feeds of which content is missing.
    hollow: Vec<FeedId>,
}

impl Held {
    /// Gathers it. Costs a few hashes for each feed.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        let mut heads: Vec<_> = store.feeds().into_iter().map(|head| (head.feed.to_string(), head)).collect();
        heads.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let hollow = heads.iter().filter(|(_, head)| head.missing > 0).map(|(_, head)| head.feed.clone()).collect();
        Self { heads, forked: store.forks().into_iter().map(|(feed, _)| feed).collect(), hollow }
    }

    /// The newest checkpoints of the feeds that pass, in the order of their names.
    pub(super) fn notes(&self, shared: &Shared<'_>) -> Vec<Bytes> {
        let shared = self.heads.iter().filter(|(_, head)| shared.has(&head.feed));
        shared.map(|(_, head)| head.checkpoint.clone()).collect()
    }

    /// Name, size and root of each shared feed with entries, and of each shared feed that is quarantined.
    fn lines(&self, shared: &Shared<'_>) -> Vec<(String, u64, [u8; 32])> {
        let sound = self.heads.iter().filter(|(_, head)| !self.forked.contains(&head.feed) && shared.has(&head.feed));
        let forked = self.forked.iter().filter(|feed| shared.has(feed));
        let sound = sound.map(|(name, head)| (name.clone(), head.size.get(), head.root.0));
        let mut lines: Vec<_> = sound.chain(forked.map(|feed| (feed.to_string(), FORKED_SIZE, [0; 32]))).collect();
        lines.sort_unstable();
        lines
    }

    pub(super) const fn forked(&self) -> &BTreeSet<FeedId> {
        &self.forked
    }

    /// The feeds of which content is missing though no erasure names it.
    pub(super) fn hollow(&self) -> &[FeedId] {
        &self.hollow
    }

    /// Entries held of `feed`.
    pub(super) fn size(&self, feed: &FeedId) -> Seq {
        let name = feed.to_string();
        let found = self.heads.binary_search_by(|(other, _)| other.cmp(&name));
        found.ok().and_then(|i| self.heads.get(i)).map_or(Seq::ZERO, |(_, head)| head.size)
    }
}

/// SHA-256 over name, size and root of every feed in `held` that both `a` and `b` may read, in the order of the names' bytes:
/// the name and a newline, the size in eight bytes with the highest first, the root. A quarantined feed has the size 2^64 - 1
/// and 32 zero bytes. Equal digests: `a` and `b` have nothing to fetch from one another.
#[must_use]
pub fn heads_digest(roster: &Roster, held: &Held, a: &MemberId, b: &MemberId) -> Hash {
    let mut context = Context::new(&SHA256);
    for (name, size, root) in held.lines(&Shared::between(roster, a, b)) {
        context.update(name.as_bytes());
        context.update(b"\n");
        context.update(&size.to_be_bytes());
        context.update(&root);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Hash(digest)
}

/// The feeds that two members may read both: [`Roster::may_read_feed`] for many feeds at once.
pub(super) struct Shared<'r> {
    members: HashSet<&'r MemberId>,
    audiences: Vec<(Audience, Option<&'r BTreeSet<MemberId>>)>,
}

impl<'r> Shared<'r> {
    pub(super) fn between(roster: &'r Roster, a: &MemberId, b: &MemberId) -> Self {
        let mut shared = Self { members: HashSet::new(), audiences: Vec::new() };
        if roster.is_active(a) && roster.is_active(b) {
            shared.members = roster.members.iter().map(|member| &member.id).collect();
            shared.audiences.push((Audience::Alliance, None));
            let groups = roster.groups.iter().filter(|group| group.members.contains(a) && group.members.contains(b));
            shared.audiences.extend(groups.map(|group| (Audience::Group(group.name.clone()), Some(&group.members))));
        }
        shared
    }

    pub(super) fn has(&self, feed: &FeedId) -> bool {
        let audience = self.audiences.iter().find(|(audience, _)| *audience == feed.audience);
        audience.is_some_and(|(_, group)| match group {
            Some(members) => members.contains(&feed.member),
            None => self.members.contains(&feed.member),
        })
    }
}
