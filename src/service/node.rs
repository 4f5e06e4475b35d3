use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;

use super::blocking::off_thread;
use super::cases::CaseError;
use super::{
    Accuracy, AccuracyBoard, Deadline, Deadlines, DeliveryStatus, FreshnessBoard, HolderBoard, HolderStanding, Pseudonymiser,
};
use crate::domain::{AllianceName, Audience, Clock, FeedId, MemberId, Timestamp};
use crate::feed::Hash;
use crate::membership::Directory;
use crate::pseudonym::{KeyStatus, PseudonymError};
use crate::replication::{PeerStatus, Replicator};
use crate::store::{Backup, FeedSummary, ForkRecord, FreshnessRecord, Piece, Store, StoreError, StoreHealth};

/// What a node knows of itself.
pub struct NodeState {
    /// What is held.
    pub store: Arc<Store>,
    /// Who belongs.
    pub directory: Arc<Directory>,
    /// What answers rest on.
    pub freshness: Arc<FreshnessBoard>,
    /// The keys.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// How the holders of shared keys do.
    pub key_holders: Arc<HolderBoard>,
    /// The peers.
    pub replicator: Arc<Replicator>,
    /// How often members were wrong.
    pub accuracy: Arc<AccuracyBoard>,
    /// How deliveries of alerts go, where they have a receiver.
    pub deliveries: Option<Arc<Mutex<DeliveryStatus>>>,
    /// When what is in force ends.
    pub deadlines: Deadlines,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// When the node started.
    pub started_at: Timestamp,
}

/// A node's state at one moment.
pub struct NodeReport {
    /// The alliance.
    pub alliance: AllianceName,
    /// The node's member.
    pub member: MemberId,
    /// Serial of the roster in force.
    pub roster_serial: u64,
    /// When the node started.
    pub started_at: Timestamp,
    /// Room and health of the store.
    pub health: StoreHealth,
    /// Every feed.
    pub freshness: Arc<FreshnessRecord>,
    /// How old what is held of each feed is, see [`FreshnessBoard::lags`].
    pub lags: BTreeMap<FeedId, Duration>,
    /// Every other member.
    pub peers: Vec<PeerStatus>,
    /// Equal on nodes that hold the same entries of audience `all`.
    pub view_digest: Hash,
    /// The pseudonym keys.
    pub keys: Vec<KeyStatus>,
    /// Why no pseudonyms can be made under them; `None` where all is well.
    pub key_problem: Option<PseudonymError>,
    /// How the holders of shared keys did.
    pub key_holders: BTreeMap<MemberId, HolderStanding>,
    /// Proofs of forks.
    pub forks: Vec<(FeedId, ForkRecord)>,
    /// Live signals of this member, over all audiences.
    pub own_live_signals: u64,
    /// How often members were wrong.
    pub accuracy: BTreeMap<MemberId, Accuracy>,
    /// Watches, and alerts that nobody has acknowledged.
    pub watches: (u64, u64),
    /// How deliveries of alerts go, where they have a receiver.
    pub deliveries: Option<DeliveryStatus>,
    /// When what is in force ends.
    pub deadlines: Arc<Vec<Deadline>>,
}

/// What was derived from the feeds, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Derived {
    /// Equal on nodes that hold the same entries of audience `all`.
    pub view_digest: Hash,
    /// Rows of the subject index.
    pub index_rows: u64,
}

impl NodeState {
    /// Builds everything derived anew from the feeds; gives what it was before and is now.
    ///
    /// # Errors
    /// As [`Store::rebuild`].
    pub async fn rebuild(&self) -> Result<(Derived, Derived), StoreError> {
        let before = self.derived();
        self.store.rebuild().await?;
        let after = self.derived();
        tracing::info!(changed = before != after, rows = after.index_rows, "the index was built anew");
        Ok((before, after))
    }

    /// The next piece of a backup, with the backup.
    ///
    /// # Errors
    /// As [`Backup::next_piece`] and [`Store::end_backup`].
    pub async fn next_piece(&self, mut backup: Backup) -> Result<(Backup, Piece), CaseError> {
        let (mut backup, next) = off_thread(move || {
            let next = backup.next_piece();
            (backup, next)
        })
        .await?;
        let piece = match next? {
            Some(piece) => piece,
            None => self.store.end_backup(&mut backup).await?,
        };
        Ok((backup, piece))
    }

    fn derived(&self) -> Derived {
        Derived { view_digest: view_digest(self.store.feeds()), index_rows: self.store.index_rows() }
    }

    /// Looks at everything; reads the sizes of files.
    #[must_use]
    pub fn report(&self) -> NodeReport {
        self.accuracy.renew_beside();
        let freshness = self.freshness.fresh();
        NodeReport {
            alliance: self.directory.alliance().clone(),
            member: self.directory.member().clone(),
            roster_serial: self.directory.roster().roster().serial,
            started_at: self.started_at,
            health: self.store.health(),
            lags: self.freshness.lags(&freshness),
            freshness,
            peers: self.replicator.peers(),
            view_digest: view_digest(self.store.feeds()),
            keys: self.pseudonymiser.listed_keys(),
            key_problem: self.pseudonymiser.problem(),
            key_holders: self.key_holders.holders(),
            forks: self.store.forks(),
            own_live_signals: self.store.own_live_signals(),
            accuracy: self.accuracy.members(),
            watches: self.store.watch_counts(),
            deliveries: self.deliveries.as_ref().map(|status| status.lock().clone()),
            deadlines: self.deadlines.load_full(),
        }
    }
}

/// SHA-256 over name, size and view of every feed of audience `all` that has entries, in order of name.
fn view_digest(mut feeds: Vec<FeedSummary>) -> Hash {
    feeds.retain(|f| f.feed.audience == Audience::Alliance && f.size.get() > 0);
    feeds.sort_by(|a, b| a.feed.cmp(&b.feed));
    let mut digest = Context::new(&SHA256);
    for feed in feeds {
        digest.update(format!("{} {} {}\n", feed.feed, feed.size, feed.view_digest).as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.finish().as_ref());
    Hash(hash)
}
