//! What is being built into one commit, and what is to become of the derived state once it is durable.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::StoreError;
use super::backup::{BackupId, LastRows, Lease};
use super::checks::CheckBlock;
use super::engine::{Commit, EngineError};
use super::erasures::StoredReceipt;
use super::index::FeedNo;
use super::ledger::Charges;
use super::overrides::Override;
use super::reading::Submitted;
use super::request::{Reply, answer};
use super::state::ForkRecord;
use super::watches::WatchChanges;
use crate::domain::{Actor, AlertId, AuditRecord, FeedId, KeyId, MemberId, Seq, SubmissionTag, Timestamp};
use crate::feed::{Entry, NotUnderstood};

/// What is being built into one commit.
#[derive(Default)]
pub(super) struct Group {
    pub(super) commit: Commit,
    pub(super) grown: BTreeMap<FeedId, Grown>,
    pub(super) tags: HashMap<FeedId, HashMap<SubmissionTag, Submitted>>,
    pub(super) withdrawn: HashSet<(FeedId, Seq)>,
    pub(super) erased: HashMap<FeedId, HashSet<Seq>>,
    /// Keys under which signals are given pseudonyms.
    pub(super) rekeyed: HashMap<(FeedId, Seq), HashSet<KeyId>>,
    /// When it was begun.
    pub(super) at: Timestamp,
    /// Blocks of check records: their day, the number of the first, and each in turn.
    pub(super) day: u16,
    pub(super) first_block: u64,
    pub(super) blocks: Vec<CheckBlock>,
    pub(super) forks: Vec<(FeedId, ForkRecord)>,
    pub(super) behind: Vec<(FeedId, Seq)>,
    /// Own feeds that are behind no more.
    pub(super) level: Vec<FeedId>,
    pub(super) roster: Option<bytes::Bytes>,
    /// Overrides that come or go.
    pub(super) overrides: Vec<(u64, Option<Override>)>,
    /// What other members' nodes have signed of their copies of own feeds.
    pub(super) receipts: Vec<(FeedNo, MemberId, StoredReceipt)>,
    /// Watches that come or go, and what is to be looked at.
    pub(super) watches: WatchChanges,
    /// The newest mark of a look in this group.
    pub(super) last_mark: u64,
    pub(super) acknowledged: HashSet<AlertId>,
    /// What is to be noted in the audit log.
    pub(super) audit: Vec<AuditRecord>,
    /// What members use of shared keys.
    pub(super) charges: Charges,
    /// Its oldest records go.
    pub(super) audit_pruned: bool,
    /// Something could not be staged whole, so that nothing of the group may be committed.
    pub(super) broken: Option<EngineError>,
    /// The derived state is to be built anew after the commit.
    pub(super) rebuild: bool,
    /// What is to be removed of other members' feeds after the commit, because its time has ended.
    pub(super) expired: Vec<(FeedId, Vec<Seq>, Reply<usize>)>,
    /// Whoever asked that the files are written anew after the commit, and on whose behalf.
    pub(super) purge: Option<(Reply<bool>, Option<Actor>)>,
    /// Backups that are begun after the commit, or gone on with.
    pub(super) backups_begun: Vec<(Option<BackupId>, Reply<Lease>)>,
    /// Backups whose last rows are read after it.
    pub(super) backups_ended: Vec<(BackupId, BTreeSet<Vec<u8>>, Reply<LastRows>)>,
    /// Own feeds are level again in a store that was put back.
    pub(super) ends_restoration: bool,
    pub(super) replies: Vec<GroupReply>,
}

/// Answers one request with what became of its group.
pub(super) type GroupReply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Group {
    pub(super) fn broke(&mut self, error: std::io::Error) -> StoreError {
        let error = EngineError::Io(error);
        let refusal = StoreError::unwritable(&error);
        self.broken = Some(error);
        refusal
    }

    /// Notes an entry of a feed, whose first one in this group stands at `first`.
    pub(super) fn grow(&mut self, feed: &FeedId, first: Seq, entry: Result<Arc<Entry>, NotUnderstood>) {
        let grown = match self.grown.get_mut(feed) {
            Some(grown) => grown,
            None => self.grown.entry(feed.clone()).or_insert(Grown { first, ..Grown::default() }),
        };
        grown.entries.push(entry);
    }

    /// Answers a request with what was staged for it once the group is durable, or at once that nothing was.
    pub(super) fn answer_after<T: Send + 'static>(&mut self, reply: Reply<T>, staged: Result<T, StoreError>) {
        match staged {
            Ok(staged) => self.replies.push(Box::new(move |result| answer(reply, result.map(|()| staged)))),
            Err(error) => answer(reply, Err(error)),
        }
    }

    pub(super) fn has_grown(&self, feed: &FeedId) -> bool {
        self.grown.contains_key(feed)
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: std::io::Result<Vec<u8>>) -> Result<(), StoreError> {
        match value {
            Ok(value) => self.commit.put(key, value),
            Err(error) => return Err(self.broke(error)),
        }
        Ok(())
    }

    pub(super) fn rebuild_after(&mut self, needed: bool) {
        self.rebuild |= needed;
    }

    pub(super) fn is_forked(&self, feed: &FeedId) -> bool {
        self.forks.iter().any(|(forked, _)| forked == feed)
    }

    pub(super) fn is_behind(&self, feed: &FeedId) -> bool {
        self.behind.iter().any(|(behind, _)| behind == feed)
    }
}

/// What a feed gains in a group.
#[derive(Default)]
pub(super) struct Grown {
    pub(super) first: Seq,
    pub(super) entries: Vec<Result<Arc<Entry>, NotUnderstood>>,
    pub(super) note: bytes::Bytes,
}
