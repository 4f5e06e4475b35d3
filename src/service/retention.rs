//! What is kept no longer than policy says: every node erases of its own what has expired, and removes of others what they left.
//!
//! A signal ends with the days of its kind (or its own), a marker with the days that it holds, an amendment or rekeying with its
//! signal, an opinion with the signal that it is about, a lead with the days of the policy after the last that was said of it. Of its own a
//! node writes an erasure, which every other node carries out; what stands in another member's feed longer than
//! [`RETENTION_GRACE`] beyond its end is removed without one, because its member may have left.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blocking::off_thread;
use super::erase::{ERASED_PER_ENTRY, Eraser, Named, lead_with_steps, signal_with_additions};
use super::record::Reader;
use super::signals::SignalError;
use crate::domain::limits::{MAX_ERASED_AT_ONCE, RETENTION_GRACE};
use crate::domain::{Clock, ErasureReason, FeedId, Seq, SignalRef, Statement};
use crate::feed::{Body, Entry, NotUnderstood};
use crate::membership::Directory;
use crate::store::{FeedSummary, Store, StoreError};

/// Entries looked at in one go, between which others use the disk.
const LOOKED_AT: usize = 4_096;

/// See the module.
pub struct Retention {
    /// Where everything is.
    pub store: Arc<Store>,
    /// What the policy says.
    pub directory: Arc<Directory>,
    /// Erases what is this member's own.
    pub eraser: Arc<Eraser>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What a sweep came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Own entries that were erased.
    pub erased: u64,
    /// Entries of other members that were removed here.
    pub removed: u64,
}

impl Retention {
    /// Looks through all feeds. Reads every entry: some ten seconds of one core for ten million.
    ///
    /// # Errors
    /// The store's, or that looking ended with a panic. What was found until then is done.
    pub async fn sweep(&self) -> Result<Swept, SignalError> {
        let mut swept = Swept::default();
        for FeedSummary { feed, size, .. } in self.store.feeds() {
            let own = feed.member == *self.directory.member();
            let mut from = Seq::ZERO;
            while from < size {
                let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
                let of = feed.clone();
                let _changing = if own { Some(self.eraser.signals.leads.lock().await) } else { None };
                let found = off_thread(move || ended(&store, &directory, &*clock, &of, from)).await??;
                from = from.plus(LOOKED_AT);
                if own {
                    swept.erased += self.erase(&feed, found).await?;
                } else {
                    swept.removed += self.remove(&feed, found).await?;
                }
            }
        }
        Ok(swept)
    }

    async fn erase(&self, feed: &FeedId, ended: Vec<Named>) -> Result<u64, StoreError> {
        let mut erased = 0;
        for part in packed(ended, ERASED_PER_ENTRY) {
            let count = part.len() as u64;
            match self.eraser.write(&feed.audience, part, ErasureReason::Expired).await {
                Ok(Some(_)) => erased += count,
                // Somebody else erases some of it just now; the next sweep finds the rest.
                Ok(None) => {}
                Err(SignalError::Store(error)) => return Err(error),
                Err(error) => tracing::warn!(code = error.code(), %feed, %error, "what has expired could not be erased"),
            }
        }
        Ok(erased)
    }

    async fn remove(&self, feed: &FeedId, ended: Vec<Named>) -> Result<u64, StoreError> {
        let mut removed = 0;
        for part in packed(ended, MAX_ERASED_AT_ONCE) {
            let seqs = part.iter().map(|(seq, _)| *seq).collect();
            removed += self.store.expire(feed.clone(), seqs).await? as u64;
        }
        Ok(removed)
    }
}

/// Puts together what is erased in one go, at most `size` entries: what belongs together stays so, where it fits. Of what does not the
/// later parts go first: a lead is shorter then, and no other one.
fn packed(ended: Vec<Named>, size: usize) -> Vec<Named> {
    let mut parts: Vec<Named> = Vec::new();
    for together in ended {
        for piece in together.rchunks(size) {
            match parts.last_mut().filter(|last| last.len() + piece.len() <= size) {
                Some(last) => last.extend_from_slice(piece),
                None => parts.push(piece.to_vec()),
            }
        }
    }
    parts
}

/// What has ended among the entries from `from` on, together what belongs together.
fn ended(store: &Store, directory: &Directory, clock: &dyn Clock, feed: &FeedId, from: Seq) -> Result<Vec<Named>, StoreError> {
    let reader = Reader::new(store, directory, clock);
    let own = feed.member == *directory.member();
    let grace = if own { 0 } else { RETENTION_GRACE.as_secs() / 86_400 };
    let grace = u16::try_from(grace).unwrap_or(u16::MAX);
    let is_over = |entry: &Entry, days: u16| reader.now >= entry.recorded_at.plus_days(days).plus_days(grace);
    let (mut ended, mut leads) = (Vec::new(), BTreeSet::new());
    for (i, leaf) in store.run_of(feed, from, LOOKED_AT)?.into_iter().enumerate() {
        let at = SignalRef { feed: feed.clone(), seq: from.plus(i) };
        let Ok(entry) = leaf.read() else { continue };
        let is_over = match &entry.body {
            Body::Signal { content, .. } => {
                let days = |statement: &Statement| reader.roster().policy.retention_days(statement);
                // Amendments can only make it longer or shorter where there are any.
                let amended = if store.speaks_of(&at) { reader.record_of(at.clone(), &leaf)? } else { None };
                is_over(&entry, amended.map_or_else(|| days(&content.statement), |record| days(record.statement())))
            }
            Body::Marker(marker) => {
                let days = marker.valid_days.unwrap_or_else(|| reader.roster().policy.markers.days(marker.kind));
                is_over(&entry, days)
            }
            Body::Amendment(amendment) => is_gone(store, &SignalRef { seq: amendment.signal, ..at.clone() })?,
            Body::Rekeying(rekeying) => {
                let signal = SignalRef { seq: rekeying.signal, ..at.clone() };
                let is_signal = || Ok(matches!(store.entry(&signal)?.map(|entry| entry.body), Some(Body::Signal { .. })));
                // What is about no signal holds pseudonyms all the same.
                is_gone(store, &signal)? || (is_over(&entry, reader.roster().policy.retention_days) && !is_signal()?)
            }
            Body::Opinion(opinion) => is_gone(store, &opinion.signal)?,
            Body::Referral(referral) => {
                let days = reader.roster().policy.retention_days;
                let newest = store.lead_steps(feed, referral.lead).pop();
                let newest = newest.map(|step| store.entry(&step)).transpose()?.flatten();
                is_over(&entry, days) && newest.is_none_or(|newest| is_over(&newest, days))
            }
            Body::Retraction(_) | Body::Dispute(_) | Body::Decision(_) | Body::MarkerLift(_) | Body::Erasure(_) => false,
        };
        if is_over && !store.is_erased(&at) {
            match entry.body {
                Body::Signal { tag, .. } => ended.push(signal_with_additions(store, &at, tag)?),
                Body::Rekeying(rekeying) => ended.push(vec![(at.seq, rekeying.tag)]),
                Body::Referral(referral) if !leads.insert(referral.lead) => {}
                Body::Referral(referral) => ended.push(lead_with_steps(store, &at, referral.lead)),
                _ => ended.push(vec![(at.seq, None)]),
            }
        }
    }
    Ok(ended)
}

/// Whether the content of a signal is gone from this node.
fn is_gone(store: &Store, signal: &SignalRef) -> Result<bool, StoreError> {
    if store.is_erased(signal) {
        return Ok(true);
    }
    let leaf = store.read(&signal.feed, signal.seq)?;
    Ok(leaf.is_some_and(|leaf| matches!(leaf.read(), Err(NotUnderstood::Expired))))
}
