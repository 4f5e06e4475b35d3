//! What a peer gets: the feeds it may read, from where it stands, as they grow.
//!
//! A stream keeps nothing but where its follower stands, and asks for every piece anew when there is room for it: a slow peer
//! costs no memory. Feeds take turns, so that a large one does not hold up the others. Permission is looked up in the roster
//! when a feed is asked for and whenever the roster changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::reader::Shared;
use super::{Directory, FollowCommand, FollowEvent, ForkParts, Heads, Pace, Reader, Refusal, ServeError, Word, heads_digest};
use crate::domain::limits::{
    MAX_ENTRIES_ASKED, MAX_FOLLOWED_FEEDS, MAX_LISTED_FORKS, MAX_LOGGED_REFUSALS, MAX_PEER_MESSAGE_BYTES,
};
use crate::domain::{FeedId, MemberId, Seq, SignalRef};
use crate::feed::{EntryBytes, ErasureReceipt, Hash, Leaf, SigningKey};
use crate::store::{StoreError, StoredBatch};

/// Refusals waiting to be sent; beyond it no further command is taken.
const MAX_WAITING_REFUSALS: usize = 64;
/// Bytes of fork proofs in one answer: half a message, so that the checkpoints fit beside them.
const MAX_FORK_BYTES: usize = MAX_PEER_MESSAGE_BYTES / 2;

/// What serving peers needs. One for the node.
pub struct ServeContext {
    reader: Reader,
    directory: Arc<Directory>,
    pace: Pace,
    /// Signs receipts.
    key: Arc<SigningKey>,
    /// What each peer was refused, as far as it was logged.
    refused: Mutex<BTreeMap<MemberId, BTreeSet<(String, &'static str)>>>,
}

impl ServeContext {
    /// Serves what `reader` reads, to whom `directory` allows it, and signs receipts with `key`.
    #[must_use]
    pub fn new(reader: Reader, directory: Arc<Directory>, pace: Pace, key: Arc<SigningKey>) -> Self {
        Self { reader, directory, pace, key, refused: Mutex::default() }
    }

    /// Logs that `peer` was refused, and why, once for each thing that it asked for: `subject` is a feed, or empty for all of
    /// a stream. A refusal that ends a call is logged where calls end. Beyond [`MAX_LOGGED_REFUSALS`] of one peer nothing more is logged.
    pub fn note_refusal(&self, peer: &MemberId, subject: &str, code: &'static str) {
        let mut refused = self.refused.lock();
        let of_peer = refused.entry(peer.clone()).or_default();
        if of_peer.len() > MAX_LOGGED_REFUSALS || !of_peer.insert((subject.to_owned(), code)) {
            return;
        }
        if of_peer.len() > MAX_LOGGED_REFUSALS {
            tracing::warn!(%peer, code, "the peer was refused many things; no more of it is logged");
        } else {
            tracing::warn!(%peer, feed = subject, code, "the peer was refused what it asked for");
        }
    }

    /// The roster in force, as signed note.
    #[must_use]
    pub fn roster_note(&self) -> Bytes {
        self.directory.roster().note().clone()
    }

    /// The newest checkpoint of every feed that is held and that `peer` may read, and the forks found in such feeds: the
    /// shortest proofs first, and no more than fit in a message.
    ///
    /// # Errors
    /// [`ServeError::Store`].
    pub async fn heads_for(&self, peer: &MemberId) -> Result<Heads, ServeError> {
        let held = self.reader.held().await?;
        let signed = self.directory.roster();
        let shared = Shared::between(signed.roster(), self.directory.member(), peer);
        let checkpoints = held.notes(&shared);
        let forks = self.reader.run(crate::store::Store::forks).await?;
        let forks = forks.into_iter().filter(|(feed, _)| shared.has(feed)).map(|(_, fork)| fork.into()).collect();
        Ok(Heads { checkpoints, forks: shortest(forks) })
    }

    /// The hashes of the frontier of `feed` at `size`, the widest subtree first.
    ///
    /// # Errors
    /// [`ServeError::NotShared`] where `peer` may not read it, [`ServeError::NotHeld`], [`ServeError::Store`].
    pub async fn frontier_for(&self, peer: &MemberId, feed: &FeedId, size: Seq) -> Result<Vec<Hash>, ServeError> {
        if !self.shares(feed, peer) {
            return Err(ServeError::NotShared);
        }
        let feed = feed.clone();
        let frontier = self.reader.run(move |store| store.frontier_at(&feed, size)).await??;
        frontier.map(|frontier| frontier.hashes().to_vec()).ok_or(ServeError::NotHeld)
    }

    /// How far this node has carried out the erasures of `feed`, as signed note; empty where it has carried out none.
    ///
    /// # Errors
    /// [`ServeError::NotShared`] where `peer` may not read it, [`ServeError::Store`].
    pub async fn receipt_for(&self, peer: &MemberId, feed: &FeedId) -> Result<Bytes, ServeError> {
        if !self.shares(feed, peer) {
            return Err(ServeError::NotShared);
        }
        let of = feed.clone();
        let Some(progress) = self.reader.run(move |store| store.erasure_progress(&of)).await? else { return Ok(Bytes::new()) };
        if progress.removed == Seq::ZERO {
            return Ok(Bytes::new());
        }
        let receipt = ErasureReceipt { feed: feed.clone(), holder: self.directory.member().clone(), progress };
        Ok(receipt.sign(self.directory.alliance(), &self.key))
    }

    /// The entries of `feed` at `seqs` whose content is held and not erased: at most [`MAX_ENTRIES_ASKED`] are looked at.
    ///
    /// # Errors
    /// [`ServeError::NotShared`] where `peer` may not read it, [`ServeError::Store`].
    pub async fn entries_for(
        &self,
        peer: &MemberId,
        feed: &FeedId,
        seqs: Vec<Seq>,
    ) -> Result<Vec<(Seq, EntryBytes)>, ServeError> {
        if !self.shares(feed, peer) {
            return Err(ServeError::NotShared);
        }
        let feed = feed.clone();
        let read = move |store: &crate::store::Store| {
            let mut entries = Vec::new();
            for seq in seqs.into_iter().take(MAX_ENTRIES_ASKED) {
                let at = SignalRef { feed: feed.clone(), seq };
                let leaf = if store.is_erased(&at) { None } else { store.read(&feed, seq)? };
                entries.extend(leaf.and_then(|leaf| Some((seq, leaf.bytes()?.clone()))));
            }
            Ok::<_, StoreError>(entries)
        };
        Ok(self.reader.run(read).await??)
    }

    /// Whether `feed` is for `peer` and for this node: what this node may not read any more it hands on no more.
    fn shares(&self, feed: &FeedId, peer: &MemberId) -> bool {
        let signed = self.directory.roster();
        signed.roster().may_read_feed(peer, feed) && signed.roster().may_read_feed(self.directory.member(), feed)
    }
}

/// The shortest of `forks`, as many as fit in an answer.
fn shortest(mut forks: Vec<ForkParts>) -> Vec<ForkParts> {
    // A hash has two bytes before it in a message.
    let bytes_of =
        |fork: &ForkParts| fork.first.len() + fork.second.len() + 34 * (fork.frontier.len() + fork.leaf_hashes.len());
    forks.sort_by_key(bytes_of);
    forks.truncate(MAX_LISTED_FORKS);
    let mut bytes = 0;
    forks.retain(|fork| {
        bytes += bytes_of(fork);
        bytes <= MAX_FORK_BYTES
    });
    forks
}

/// Serves one stream until the follower ends it or `shutdown` is called. Whoever calls has verified that it is `peer`'s, and
/// drops `commands` and the other end of `out` when the connection is gone.
///
/// # Errors
/// [`ServeError::NotAMember`] where the peer is expelled, now or on the way; [`ServeError::Store`] where the store is closed.
pub async fn serve(
    peer: MemberId,
    mut commands: impl Stream<Item = FollowCommand> + Send + Unpin,
    out: mpsc::Sender<FollowEvent>,
    ctx: &ServeContext,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let mut rosters = ctx.directory.subscribe();
    let mut changes = ctx.reader.store().changes();
    let mut beat = interval(ctx.pace.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outlet = Outlet::new(peer, ctx);
    outlet.recheck()?;
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = out.closed() => return Ok(()),
            changed = rosters.changed() => match changed {
                Ok(()) => outlet.recheck()?,
                Err(_) => return Ok(()),
            },
            _ = beat.tick() => outlet.heartbeat_due = true,
            command = commands.next(), if outlet.refusals.len() < MAX_WAITING_REFUSALS => match command {
                Some(command) => outlet.take(command),
                None => return Ok(()),
            },
            changed = changes.changed() => match changed {
                Ok(()) => outlet.find_grown().await?,
                Err(_) => return Ok(()),
            },
            permit = out.reserve(), if outlet.has_output() => match permit {
                Ok(permit) => if let Some(event) = outlet.next().await? { permit.send(event) },
                Err(_) => return Ok(()),
            },
        }
    }
}

/// One stream: where its follower stands, and what it is owed.
struct Outlet<'a> {
    peer: MemberId,
    ctx: &'a ServeContext,
    /// Entries that the follower has of each feed, as far as it was told.
    followed: BTreeMap<FeedId, Seq>,
    /// Followed feeds that may have more.
    ready: BTreeSet<FeedId>,
    /// Whose turn it was.
    last: Option<FeedId>,
    refusals: VecDeque<(FeedId, Refusal)>,
    heartbeat_due: bool,
}

impl<'a> Outlet<'a> {
    const fn new(peer: MemberId, ctx: &'a ServeContext) -> Self {
        Self {
            peer,
            ctx,
            followed: BTreeMap::new(),
            ready: BTreeSet::new(),
            last: None,
            refusals: VecDeque::new(),
            heartbeat_due: true,
        }
    }

    /// Drops what the roster in force does not allow, and lets the follower know of that roster.
    fn recheck(&mut self) -> Result<(), ServeError> {
        let signed = self.ctx.directory.roster();
        if !signed.roster().is_active(&self.peer) {
            return Err(ServeError::NotAMember);
        }
        let shared = Shared::between(signed.roster(), self.ctx.directory.member(), &self.peer);
        let lost: Vec<FeedId> = self.followed.keys().filter(|feed| !shared.has(feed)).cloned().collect();
        lost.into_iter().for_each(|feed| self.refuse(feed, Refusal::NotShared));
        self.heartbeat_due = true;
        Ok(())
    }

    fn refuse(&mut self, feed: FeedId, refusal: Refusal) {
        self.ctx.note_refusal(&self.peer, &feed.to_string(), refusal.code());
        self.followed.remove(&feed);
        self.ready.remove(&feed);
        self.refusals.push_back((feed, refusal));
    }

    fn take(&mut self, command: FollowCommand) {
        match command {
            FollowCommand::Follow { feed, .. } if !self.ctx.shares(&feed, &self.peer) => self.refuse(feed, Refusal::NotShared),
            FollowCommand::Follow { feed, .. }
                if self.followed.len() >= MAX_FOLLOWED_FEEDS && !self.followed.contains_key(&feed) =>
            {
                self.refuse(feed, Refusal::TooManyFeeds);
            }
            FollowCommand::Follow { feed, size } => {
                self.ready.insert(feed.clone());
                self.followed.insert(feed, size);
            }
            FollowCommand::Unfollow { feed } => {
                self.followed.remove(&feed);
                self.ready.remove(&feed);
            }
        }
    }

    async fn find_grown(&mut self) -> Result<(), ServeError> {
        let followed = self.followed.clone();
        let grown = move |store: &crate::store::Store| -> Vec<FeedId> {
            followed.into_iter().filter(|(feed, size)| store.size(feed) > *size).map(|(feed, _)| feed).collect()
        };
        self.ready.extend(self.ctx.reader.run(grown).await?);
        Ok(())
    }

    fn has_output(&self) -> bool {
        self.heartbeat_due || !self.refusals.is_empty() || !self.ready.is_empty()
    }

    /// The next event; a feed that turns out to have no more gives none.
    async fn next(&mut self) -> Result<Option<FollowEvent>, ServeError> {
        // Refusals first: a heartbeat that shows another roster says that what was refused before it may be asked for again.
        if let Some((feed, refusal)) = self.refusals.pop_front() {
            return Ok(Some(FollowEvent::Refused { feed, refusal }));
        }
        if self.heartbeat_due {
            self.heartbeat_due = false;
            return self.heartbeat().await.map(Some);
        }
        let Some(feed) = self.whose_turn() else { return Ok(None) };
        let size = self.followed.get(&feed).copied().unwrap_or_default();
        self.last = Some(feed.clone());
        let wanted = feed.clone();
        match self.ctx.reader.run(move |store| store.batch_after(&wanted, size)).await? {
            Ok(Some(batch)) => Ok(Some(self.batch(feed, batch))),
            Ok(None) => {
                self.ready.remove(&feed);
                Ok(None)
            }
            Err(StoreError::Closed) => Err(StoreError::Closed.into()),
            Err(error) => {
                tracing::error!(code = error.code(), %feed, peer = %self.peer, %error, "a feed cannot be served");
                self.refuse(feed, Refusal::Unavailable);
                Ok(None)
            }
        }
    }

    fn whose_turn(&self) -> Option<FeedId> {
        let after = self.last.as_ref().and_then(|last| self.ready.range((Excluded(last), Unbounded)).next());
        after.or_else(|| self.ready.first()).cloned()
    }

    fn batch(&mut self, feed: FeedId, batch: StoredBatch) -> FollowEvent {
        self.followed.insert(feed.clone(), batch.first.plus(batch.leaves.len()));
        let bytes = |leaf: &Leaf| leaf.bytes().map_or_else(Bytes::new, |entry| entry.bytes().clone());
        let entries = batch.leaves.iter().map(bytes).collect();
        let erased = batch.leaves.iter().filter(|leaf| leaf.bytes().is_none()).map(Leaf::hash).collect();
        FollowEvent::Batch { feed, first: batch.first, entries, erased, checkpoint: batch.checkpoint }
    }

    async fn heartbeat(&self) -> Result<FollowEvent, ServeError> {
        let held = self.ctx.reader.held().await?;
        let signed = self.ctx.directory.roster();
        let roster = signed.roster();
        let heads_digest = heads_digest(roster, &held, self.ctx.directory.member(), &self.peer);
        Ok(FollowEvent::Heartbeat(Word { roster_serial: roster.serial, roster_digest: signed.digest(), heads_digest }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proof of so many hashes, half of them in its frontier, and so many bytes in each of its checkpoints.
    fn proof(hashes: usize, note: usize) -> ForkParts {
        let (note, half) = (Bytes::from(vec![b'n'; note]), vec![Hash([7; 32]); hashes / 2]);
        ForkParts { first: note.clone(), second: note, frontier: half.clone(), leaf_hashes: half }
    }

    #[test]
    fn the_shortest_proofs_are_listed_and_no_more_than_half_a_message_of_them() {
        let hashes_of = |forks: Vec<ForkParts>| forks.iter().map(|fork| 2 * fork.frontier.len()).collect::<Vec<_>>();
        assert_eq!(hashes_of(shortest(vec![proof(6, 300), proof(2, 300), proof(4, 300)])), [2, 4, 6]);
        // Four of these leave eight bytes of each quarter.
        let quarter = |note| proof(MAX_FORK_BYTES / 4 / 34, note);
        assert_eq!(shortest(vec![quarter(4); 5]).len(), 4);
        assert_eq!(shortest(vec![quarter(5); 5]).len(), 3, "checkpoints count, too");
        assert_eq!(shortest(vec![proof(0, 1); MAX_LISTED_FORKS + 1]).len(), MAX_LISTED_FORKS);
    }
}
