//! What may be asked of the writer.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::backup::{BackupId, LastRows, Lease};
use super::checks::{CheckRecord, CheckReference, FreshnessRecord};
use super::overrides::Override;
use super::pictures::PictureId;
use super::watches::{Delivered, Look};
use super::{Append, Appended, Import, StoreError};
use crate::domain::{Actor, Alert, AlertId, AuditRecord, Charge, Charged, FeedId, Seq, Standing, Timestamp, Watch, WatchId};
use crate::feed::{EntryBytes, ErasureReceipt, ForkProof};

/// About how many bytes a feed takes in a picture.
const PICTURE_BYTES_A_FEED: usize = 64;
/// Bytes of the largest record of the audit log.
const AUDIT_BYTES: usize = 600;
/// Bytes of the largest set of an override's pseudonyms.
const OVERRIDE_BYTES: usize = 1_100;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Request {
    Append(Vec<Append>, Reply<Vec<Result<Appended, StoreError>>>),
    Import(Box<Import>, Reply<Seq>),
    RecordChecks(Vec<CheckRecord>, Reply<Vec<CheckReference>>),
    KeepPicture(Arc<FreshnessRecord>, Reply<PictureId>),
    Quarantine(Box<ForkProof>, Reply<()>),
    MarkBehind(FeedId, Seq, Reply<()>),
    PutRoster(bytes::Bytes, Reply<()>),
    PutOverride(Box<Override>, Reply<u64>),
    RemoveOverride(u64, Reply<bool>),
    PutWatches(Vec<Watch>, Reply<Vec<WatchId>>),
    RemoveWatches(Vec<WatchId>, Reply<usize>),
    SettleLooks(Vec<(Look, Standing, Option<Alert>)>, Reply<()>),
    LookAgain(Reply<()>),
    Acknowledge(AlertId, Reply<bool>),
    NoteDelivery(AlertId, Delivered, Reply<()>),
    Rebuild(Reply<()>),
    Purge(Reply<bool>),
    BeginBackup(Option<BackupId>, Reply<Lease>),
    EndBackup(BackupId, BTreeSet<Vec<u8>>, Reply<LastRows>),
    EndRestoration(Reply<()>),
    Fill(FeedId, Vec<(Seq, EntryBytes)>, Reply<usize>),
    Expire(FeedId, Vec<Seq>, Reply<usize>),
    PutReceipt(Box<ErasureReceipt>, bytes::Bytes, Reply<()>),
    Audit(Vec<AuditRecord>, Reply<()>),
    PruneAudit(Timestamp, Reply<usize>),
    Charge(Box<Charge>, Reply<Charged>),
    PruneLedger(u32, Reply<usize>),
}

impl Request {
    pub(super) fn entries(&self) -> usize {
        match self {
            Self::Append(items, _) => items.len(),
            Self::Import(import, _) => import.entries.len(),
            Self::RecordChecks(checks, _) => checks.len(),
            Self::Fill(_, entries, _) => entries.len(),
            Self::Expire(_, seqs, _) => seqs.len(),
            Self::PutWatches(watches, _) => watches.len(),
            Self::RemoveWatches(ids, _) => ids.len(),
            Self::SettleLooks(settled, _) => settled.len(),
            Self::Audit(records, _) => records.len(),
            Self::KeepPicture(..)
            | Self::Quarantine(..)
            | Self::MarkBehind(..)
            | Self::PutRoster(..)
            | Self::PutOverride(..)
            | Self::RemoveOverride(..)
            | Self::Rebuild(_)
            | Self::Purge(_)
            | Self::BeginBackup(..)
            | Self::EndBackup(..)
            | Self::EndRestoration(_)
            | Self::LookAgain(_)
            | Self::Acknowledge(..)
            | Self::NoteDelivery(..)
            | Self::PruneAudit(..)
            | Self::Charge(..)
            | Self::PruneLedger(..)
            | Self::PutReceipt(..) => 1,
        }
    }

    /// About how many bytes it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(items, _) => items.iter().map(|item| item.bytes().as_slice().len()).sum(),
            Self::Import(import, _) => import.entries.iter().map(|(leaf, _)| leaf.size()).sum(),
            Self::RecordChecks(checks, _) => checks.iter().map(CheckRecord::weight).sum(),
            Self::KeepPicture(picture, _) => PICTURE_BYTES_A_FEED * picture.feeds.len(),
            Self::PutRoster(note, _) | Self::PutReceipt(_, note, _) => note.len(),
            Self::Fill(_, entries, _) => entries.iter().map(|(_, bytes)| bytes.as_slice().len()).sum(),
            Self::PutWatches(watches, _) => watches.iter().map(|watch| OVERRIDE_BYTES * watch.pseudonyms.len()).sum(),
            Self::PutOverride(made, _) => OVERRIDE_BYTES * made.pseudonyms.len(),
            Self::Audit(records, _) => AUDIT_BYTES * records.len(),
            Self::Quarantine(..)
            | Self::MarkBehind(..)
            | Self::PruneAudit(..)
            | Self::Charge(..)
            | Self::PruneLedger(..)
            | Self::RemoveOverride(..)
            | Self::Rebuild(_)
            | Self::Expire(..)
            | Self::RemoveWatches(..)
            | Self::SettleLooks(..)
            | Self::LookAgain(_)
            | Self::Acknowledge(..)
            | Self::NoteDelivery(..)
            | Self::BeginBackup(..)
            | Self::EndBackup(..)
            | Self::EndRestoration(_)
            | Self::Purge(_) => 0,
        }
    }

    pub(super) fn refuse(self, error: StoreError) {
        match self {
            Self::Append(_, reply) => answer(reply, Err(error)),
            Self::Import(_, reply) => answer(reply, Err(error)),
            Self::RecordChecks(_, reply) => answer(reply, Err(error)),
            Self::KeepPicture(_, reply) => answer(reply, Err(error)),
            Self::PutOverride(_, reply) => answer(reply, Err(error)),
            Self::PutWatches(_, reply) => answer(reply, Err(error)),
            Self::RemoveOverride(_, reply) | Self::Purge(reply) | Self::Acknowledge(_, reply) => answer(reply, Err(error)),
            Self::Fill(_, _, reply)
            | Self::Expire(_, _, reply)
            | Self::RemoveWatches(_, reply)
            | Self::PruneLedger(_, reply)
            | Self::PruneAudit(_, reply) => answer(reply, Err(error)),
            Self::Charge(_, reply) => answer(reply, Err(error)),
            Self::BeginBackup(_, reply) => answer(reply, Err(error)),
            Self::EndBackup(_, _, reply) => answer(reply, Err(error)),
            Self::Quarantine(_, reply)
            | Self::MarkBehind(_, _, reply)
            | Self::PutRoster(_, reply)
            | Self::PutReceipt(_, _, reply)
            | Self::SettleLooks(_, reply)
            | Self::LookAgain(reply)
            | Self::EndRestoration(reply)
            | Self::Audit(_, reply)
            | Self::NoteDelivery(_, _, reply)
            | Self::Rebuild(reply) => answer(reply, Err(error)),
        }
    }
}

/// Whoever asked may have gone; what was committed stays committed.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    drop(reply.send(result));
}

/// A request and its share of the bytes that may wait.
pub(super) struct Queued {
    pub(super) request: Request,
    /// On whose behalf it is made.
    pub(super) actor: Option<Arc<Actor>>,
    pub(super) _share: OwnedSemaphorePermit,
}
