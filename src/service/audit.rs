//! The audit log as the member's admins read it, and what is noted in it that changes nothing in the store.
//!
//! What a client changes is noted by the store, in the commit that changes it. Checks change nothing, and a node answers tens of
//! thousands a second: those of one client within a second are one record, which is on disk a second later. Of an export the record is
//! on disk before its first byte leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::blocking::off_thread;
use super::cases::CaseError;
use crate::domain::limits::{AUDIT_FLUSH_INTERVAL, MAX_PAGE};
use crate::domain::{Actor, AuditKind, AuditRecord, ClientName, Clock, Seq, Timestamp};
use crate::feed::{audit_time, decode_audit, sha256};
use crate::membership::Directory;
use crate::store::{AuditPage, Store, StoreError, actor};

/// References of checks that one record tells of.
const MAX_REFERENCES: usize = 16;
/// Bytes of the digest of one: who has the reference finds the record, and nobody finds the reference.
const DIGEST_BYTES: usize = 8;

/// Notes and reads who did what.
pub struct AuditTrail {
    store: Arc<Store>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    /// What is not on disk yet.
    pending: Mutex<BTreeMap<(Arc<Actor>, AuditKind), Answered>>,
}

/// How many answers, and the digests of the references of the first of them.
#[derive(Default)]
struct Answered {
    count: u32,
    digests: Vec<String>,
}

impl AuditTrail {
    /// The log of `store`, kept for as long as the policy of `directory` says.
    #[must_use]
    pub fn new(store: Arc<Store>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { store, directory, clock, pending: Mutex::default() }
    }

    /// Notes that the present task's client got the answers with these references.
    pub fn answered<'r>(&self, kind: AuditKind, references: impl IntoIterator<Item = &'r str>) {
        let Some(actor) = actor() else { return };
        let mut pending = self.pending.lock();
        let Answered { count, digests } = pending.entry((actor, kind)).or_default();
        for reference in references {
            *count = count.saturating_add(1);
            if digests.len() < MAX_REFERENCES && !reference.is_empty() {
                digests.push(sha256(&[reference.as_bytes()]).to_string().chars().take(2 * DIGEST_BYTES).collect());
            }
        }
    }

    /// Notes that the present task's client takes something away. Durable when this returns.
    ///
    /// # Errors
    /// The store's: then nothing may be handed out.
    pub async fn exported(&self, reference: String) -> Result<(), CaseError> {
        let Some(actor) = actor() else { return Ok(()) };
        let (at, actor) = (self.clock.now(), Actor::clone(&actor));
        let record = AuditRecord { at, actor, kind: AuditKind::Export, reference, count: 1 };
        Ok(self.store.note_audit(vec![record]).await?)
    }

    /// Brings to disk what was noted, every second until `stop`, and once more then.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let waited = stop.run_until_cancelled(tokio::time::sleep(AUDIT_FLUSH_INTERVAL)).await;
            self.flush().await;
            if waited.is_none() {
                return;
            }
        }
    }

    /// Brings to disk what was noted. What could not be stays, and is counted on.
    pub async fn flush(&self) {
        let pending = std::mem::take(&mut *self.pending.lock());
        if pending.is_empty() {
            return;
        }
        let at = self.clock.now();
        let record = |((actor, kind), answered): (&(Arc<Actor>, AuditKind), &Answered)| {
            let (reference, count) = (answered.digests.join(","), answered.count);
            AuditRecord { at, actor: Actor::clone(actor), kind: *kind, reference, count }
        };
        let records = pending.iter().map(record).filter(|record| record.count > 0).collect();
        if let Err(error) = self.store.note_audit(records).await {
            tracing::warn!(code = error.code(), %error, "checks could not be noted in the audit log; it is tried again");
            let mut held = self.pending.lock();
            for (key, Answered { count, digests }) in pending {
                let since = held.entry(key).or_default();
                since.count = since.count.saturating_add(count);
                since.digests.splice(0..0, digests);
                since.digests.truncate(MAX_REFERENCES);
            }
        }
    }

    /// Answers that are not on disk yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.pending.lock().values().map(|answered| u64::from(answered.count)).sum()
    }

    /// Records from `from` on, at most `count` (1 to 1,000), those that are kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, from: Seq, count: usize) -> Result<AuditPage, CaseError> {
        let store = self.store.clone();
        Ok(off_thread(move || store.audit(from, count.clamp(1, MAX_PAGE))).await??)
    }

    /// How many rows each client has handed in today (UTC), as far as something came of them: checks, and submissions of what was new or
    /// was there already.
    ///
    /// # Errors
    /// The store's.
    pub async fn rows_of_today(&self) -> Result<BTreeMap<ClientName, u64>, CaseError> {
        let (store, today) = (self.store.clone(), self.clock.now().unix_day());
        Ok(off_thread(move || rows_of(&store, today)).await??)
    }

    /// Forgets what is older than the policy says; how many records.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<u64, CaseError> {
        let days = self.directory.roster().roster().policy.audit_days;
        let before = Timestamp::from_unix_ms(self.clock.now().unix_ms() - i64::from(days) * 86_400_000);
        let mut forgotten = 0;
        loop {
            match self.store.prune_audit(before).await? {
                0 => return Ok(forgotten),
                pruned => forgotten += pruned as u64,
            }
        }
    }
}

/// Looks at the newest records first, back to those of the day before.
fn rows_of(store: &Store, unix_day: i64) -> Result<BTreeMap<ClientName, u64>, StoreError> {
    let mut rows: BTreeMap<ClientName, u64> = BTreeMap::new();
    let mut end = store.audit(Seq::ZERO, 0)?.size.get();
    loop {
        let begin = end.saturating_sub(MAX_PAGE as u64);
        let page = store.audit(Seq::new(begin), usize::try_from(end - begin).unwrap_or(0))?;
        for record in page.records.iter().filter_map(|bytes| decode_audit(bytes)) {
            let is_of_rows = matches!(record.kind, AuditKind::Check | AuditKind::Submission | AuditKind::Rekeying);
            if is_of_rows && record.at.unix_day() == unix_day {
                *rows.entry(record.actor.client).or_default() += u64::from(record.count);
            }
        }
        let is_older = |bytes: &bytes::Bytes| audit_time(bytes).is_some_and(|at| at.unix_day() < unix_day);
        // Nothing is left before it, or nothing that is kept, or nothing of today.
        if begin == 0 || page.first.get() > begin || page.records.first().is_some_and(is_older) {
            return Ok(rows);
        }
        end = begin;
    }
}
