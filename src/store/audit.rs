//! The audit log: who did what with this node.
//!
//! What a client changes is noted in the commit that changes it, so that nothing is acknowledged without it, and nothing is noted that
//! did not happen. On whose behalf a request of the store is made is known from the task that makes it: the edge says so once for each
//! call, see [`on_behalf_of`], and no use case needs to hand it on.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::engine::{Engine, EngineError};
use super::group::Group;
use super::request::Request;
use super::rows::{AuditBlockRow, AuditHeadRow};
use super::tip::read_hashes;
use super::writer::Writer;
use super::{Append, Appended, OpenError, Store, StoreError, damaged, keys};
use crate::domain::{Actor, Audience, AuditKind, AuditRecord, Seq, Timestamp};
use crate::feed::{AuditHead, Body, Frontier, audit_time, encode_audit, leaf_hash};

/// Records in one row.
const BLOCK_RECORDS: usize = 64;
/// Rows that are removed in one commit.
const PRUNED_BLOCKS: usize = 256;

tokio::task_local! {
    static ACTOR: Arc<Actor>;
}

/// Runs `work` so that what it asks of the store is noted as done by `actor`.
pub async fn on_behalf_of<F: Future>(actor: impl Into<Arc<Actor>>, work: F) -> F::Output {
    ACTOR.scope(actor.into(), work).await
}

/// The same for work that does not wait.
pub fn acting_for<T>(actor: impl Into<Arc<Actor>>, work: impl FnOnce() -> T) -> T {
    ACTOR.sync_scope(actor.into(), work)
}

/// On whose behalf the present task works; `None` for the node's own.
#[must_use]
pub fn actor() -> Option<Arc<Actor>> {
    ACTOR.try_with(Clone::clone).ok()
}

/// Some of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// Number of the first record.
    pub first: Seq,
    /// The records, as they are hashed.
    pub records: Vec<Bytes>,
    /// Records that there ever were.
    pub size: Seq,
    /// The head over all of them, as signed note; empty where there is none.
    pub head: Bytes,
    /// The frontier over those that are kept no more.
    pub kept_after: Frontier,
}

/// The growing end of the log.
pub(super) struct AuditTip {
    frontier: Frontier,
    /// Over the records that are kept no more.
    kept_after: Frontier,
}

impl AuditTip {
    pub(super) fn load(engine: &Engine) -> Result<Self, OpenError> {
        let broken = || OpenError::damaged("the head of the audit log");
        match read_head(engine)? {
            Some(row) => Ok(Self {
                frontier: frontier(row.size, &row.frontier).ok_or_else(broken)?,
                kept_after: frontier(row.kept_from, &row.kept_frontier).ok_or_else(broken)?,
            }),
            None => Ok(Self { frontier: Frontier::empty(), kept_after: Frontier::empty() }),
        }
    }
}

pub(super) fn read_head(engine: &Engine) -> Result<Option<AuditHeadRow>, EngineError> {
    let row = engine.get(&keys::audit_head())?;
    row.map(|row| AuditHeadRow::decode(&*row).map_err(|_| EngineError::Damaged("the head of the audit log".into()))).transpose()
}

pub(super) fn frontier(size: u64, hashes: &[u8]) -> Option<Frontier> {
    Frontier::from_parts(Seq::new(size), read_hashes(hashes)?).ok()
}

pub(super) fn bytes_of(frontier: &Frontier) -> Vec<u8> {
    frontier.hashes().iter().flat_map(|hash| hash.0).collect()
}

impl Store {
    /// Notes what was done without changing the store. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn note_audit(&self, records: Vec<AuditRecord>) -> Result<(), StoreError> {
        self.request(|reply| Request::Audit(records, reply)).await
    }

    /// Forgets some records from before `before`, the oldest first; how many. The tree over the rest still verifies.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn prune_audit(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.request(|reply| Request::PruneAudit(before, reply)).await
    }

    /// Records from `from` on, about `count`, those that are kept.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn audit(&self, from: Seq, count: usize) -> Result<AuditPage, StoreError> {
        loop {
            let page = self.audit_page(from, count)?;
            // What was removed while it was read would be missing from the page, and the rest numbered wrongly.
            let head = read_head(&self.shared.engine).map_err(|error| StoreError::unreadable(&error))?.unwrap_or_default();
            if page.kept_after.size() == Seq::new(head.kept_from) {
                return Ok(page);
            }
        }
    }

    fn audit_page(&self, from: Seq, count: usize) -> Result<AuditPage, StoreError> {
        let unreadable = |error: EngineError| StoreError::unreadable(&error);
        let engine = &self.shared.engine;
        let head = read_head(engine).map_err(unreadable)?.unwrap_or_default();
        let broken = || damaged("the head of the audit log");
        let kept_after = frontier(head.kept_from, &head.kept_frontier).ok_or_else(broken)?;
        let (size, from) = (Seq::new(head.size), from.max(kept_after.size()));
        let mut page = AuditPage { first: from, records: Vec::new(), size, head: head.note, kept_after };
        let begin = engine.last_until(&keys::audits(), &keys::audit(from.get())).map_err(unreadable)?;
        let mut begin = begin.map_or_else(|| keys::audit(from.get()), |(key, _)| key);
        let wanted = usize::try_from(size.get().saturating_sub(from.get())).unwrap_or(usize::MAX).min(count);
        let block = |first, row: &[u8]| match AuditBlockRow::decode(row) {
            Ok(block) => Ok((first, block.records)),
            Err(_) => Err(damaged("the audit log")),
        };
        while page.records.len() < wanted
            && let Some((first, records)) = self.numbered(&keys::audits(), begin, 1, block)?.pop()
        {
            let skipped = usize::try_from(from.get().saturating_sub(first)).unwrap_or(usize::MAX);
            page.records.extend(records.into_iter().skip(skipped).take(wanted - page.records.len()));
            begin = keys::audit(first + 1);
        }
        Ok(page)
    }
}

impl Writer {
    /// Notes what became of entries that were to be appended.
    pub(super) fn note_appended(
        actor: Option<&Actor>,
        asked: &[(AuditKind, Audience)],
        appended: &[Result<Appended, StoreError>],
        name: impl Fn(&Audience) -> String,
        group: &mut Group,
    ) {
        let Some(actor) = actor else { return };
        let mut runs: BTreeMap<(AuditKind, &Audience), (u32, Seq, Seq)> = BTreeMap::new();
        for ((kind, audience), outcome) in asked.iter().zip(appended) {
            let seq = match outcome {
                Ok(Appended::Created(seq) | Appended::Known(seq, _) | Appended::Erased(seq)) => *seq,
                Ok(Appended::Withdrawn | Appended::Gone | Appended::Unneeded) | Err(_) => continue,
            };
            let (count, first, last) = runs.entry((*kind, audience)).or_insert((0, seq, seq));
            (*count, *first, *last) = (*count + 1, (*first).min(seq), (*last).max(seq));
        }
        for ((kind, audience), (count, first, last)) in runs {
            let feed = name(audience);
            let reference = if first == last { format!("{feed}/{first}") } else { format!("{feed}/{first}-{last}") };
            group.audit.push(AuditRecord { at: group.at, actor: actor.clone(), kind, reference, count });
        }
    }

    /// Puts what was noted into the commit, under a new head.
    pub(super) fn finish_audit(&mut self, group: &mut Group) {
        let records = std::mem::take(&mut group.audit);
        if records.is_empty() && !group.audit_pruned {
            return;
        }
        for block in records.chunks(BLOCK_RECORDS) {
            let first = self.audit.frontier.size();
            let records: Vec<Bytes> = block.iter().map(|record| encode_audit(record).into()).collect();
            records.iter().for_each(|record| self.audit.frontier.push(leaf_hash(record)));
            group.commit.put(keys::audit(first.get()), AuditBlockRow { records }.encode_to_vec());
        }
        let head = AuditHead { size: self.audit.frontier.size(), root: self.audit.frontier.root() };
        let row = AuditHeadRow {
            size: head.size.get(),
            frontier: bytes_of(&self.audit.frontier),
            note: head.sign(&self.shared.alliance, &self.shared.member, self.key()),
            kept_from: self.audit.kept_after.size().get(),
            kept_frontier: bytes_of(&self.audit.kept_after),
        };
        group.commit.put(keys::audit_head(), row.encode_to_vec());
    }

    /// Takes the oldest records out whose time is over, whole rows of them.
    pub(super) fn stage_audit_pruned(&mut self, before: Timestamp, group: &mut Group) -> Result<usize, StoreError> {
        let mut pruned = 0;
        for _ in 0..PRUNED_BLOCKS {
            let from = self.audit.kept_after.size();
            let row = self.shared.engine.get(&keys::audit(from.get())).map_err(|e| StoreError::unreadable(&e))?;
            let Some(row) = row else { break };
            let block = AuditBlockRow::decode(&*row).map_err(|_| damaged("the audit log"))?;
            let is_over = |record: &Bytes| audit_time(record).is_some_and(|at| at < before);
            if !block.records.iter().all(is_over) {
                break;
            }
            block.records.iter().for_each(|record| self.audit.kept_after.push(leaf_hash(record)));
            group.commit.remove(&keys::audit(from.get()));
            (pruned, group.audit_pruned) = (pruned + block.records.len(), true);
        }
        Ok(pruned)
    }
}

impl Append {
    /// What appending it is called in the audit log.
    pub(super) fn audited_as(&self) -> (AuditKind, Audience) {
        let kind = match self {
            Self::Signal { .. } => AuditKind::Submission,
            Self::Rekeying { .. } => AuditKind::Rekeying,
            Self::Retraction { .. } => AuditKind::Retraction,
            Self::Erasure { .. } => AuditKind::Erasure,
            Self::Note { entry, .. } => match &entry.body {
                Body::Signal { .. } => AuditKind::Submission,
                Body::Retraction(_) => AuditKind::Retraction,
                Body::Amendment(_) => AuditKind::Amendment,
                Body::Dispute(_) => AuditKind::Dispute,
                Body::Decision(_) => AuditKind::Decision,
                Body::Opinion(_) => AuditKind::Opinion,
                Body::Marker(_) => AuditKind::Marker,
                Body::MarkerLift(_) => AuditKind::MarkerLift,
                Body::Erasure(_) => AuditKind::Erasure,
                Body::Referral(_) => AuditKind::Lead,
                Body::Rekeying(_) => AuditKind::Rekeying,
            },
        };
        (kind, self.audience().clone())
    }
}
