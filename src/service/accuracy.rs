//! How often each member was wrong: of its signals that were disputed and decided, how many were refuted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::blocking::contained;
use super::record::Reader;
use crate::domain::{Clock, DisputeOutcome, MemberId, SignalRef, Timestamp, VerdictPolicy};
use crate::feed::{Body, Disputed, Entry};
use crate::membership::Directory;
use crate::store::{Store, StoreError};

/// How old the counts may be before they are counted anew.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// What became of a member's disputed signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accuracy {
    /// Signals that were denied at another member, upheld, and never refuted.
    pub upheld: u64,
    /// Signals that were refuted, or left without an answer.
    pub refuted: u64,
}

impl Accuracy {
    /// Percent of the decided ones that were refuted.
    #[must_use]
    pub const fn refuted_percent(self) -> u64 {
        match self.upheld + self.refuted {
            0 => 0,
            decided => self.refuted * 100 / decided,
        }
    }

    /// Percent of its weight that the policy leaves to a member with this accuracy.
    const fn weight_percent(self, policy: &VerdictPolicy) -> u8 {
        let judged = self.upheld + self.refuted >= policy.accuracy_after as u64;
        if judged && self.refuted_percent() > policy.refuted_percent as u64 { policy.inaccurate_weight_percent } else { 100 }
    }
}

/// The accuracy of every member that has any, as of a moment ago.
pub struct AccuracyBoard {
    store: Arc<Store>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    counted: ArcSwap<Counted>,
    counting: AtomicBool,
}

#[derive(Default)]
struct Counted {
    at: Option<Timestamp>,
    members: BTreeMap<MemberId, Accuracy>,
}

impl AccuracyBoard {
    /// Counts what `store` holds, when it is first asked.
    #[must_use]
    pub fn new(store: Arc<Store>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { store, directory, clock, counted: ArcSwap::default(), counting: AtomicBool::new(false) }
    }

    /// Percent of its weight that is left to a member.
    #[must_use]
    pub fn weight_percent(&self, member: &MemberId, policy: &VerdictPolicy) -> u8 {
        let accuracy = self.counted.load().members.get(member).copied().unwrap_or_default();
        policy.weight_percent(member).min(accuracy.weight_percent(policy))
    }

    /// What was counted last.
    #[must_use]
    pub fn members(&self) -> BTreeMap<MemberId, Accuracy> {
        self.counted.load().members.clone()
    }

    /// Has it counted beside, where that was long ago. Called within the runtime.
    pub fn renew_beside(self: &Arc<Self>) {
        if self.is_due() {
            let this = self.clone();
            drop(tokio::task::spawn_blocking(move || this.renew()));
        }
    }

    fn is_due(&self) -> bool {
        let is_old = |at: Timestamp| self.clock.now().since(at) >= RENEW_AFTER;
        self.counted.load().at.is_none_or(is_old) && !self.counting.load(Ordering::Acquire)
    }

    /// Counts, where that was long ago.
    pub fn renew(&self) {
        if !self.is_due() || self.counting.swap(true, Ordering::AcqRel) {
            return;
        }
        let now = self.clock.now();
        let counted = contained(|| self.count());
        if let Ok(Err(error)) = &counted {
            tracing::warn!(code = error.code(), %error, "the members' accuracy could not be counted");
        }
        // A failure waits as long as a success does: what cannot be read is not read again with every check.
        let members = counted.ok().and_then(Result::ok).unwrap_or_else(|| self.members());
        self.counted.store(Arc::new(Counted { at: Some(now), members }));
        self.counting.store(false, Ordering::Release);
    }

    fn count(&self) -> Result<BTreeMap<MemberId, Accuracy>, StoreError> {
        let reader = Reader::new(&self.store, &self.directory, &*self.clock);
        let mut disputed: BTreeSet<SignalRef> = BTreeSet::new();
        for at in self.store.disputes_after(None, usize::MAX) {
            if let Some(Entry { body: Body::Dispute(dispute), .. }) = self.store.entry(&at)? {
                disputed.extend(dispute.signals);
            }
        }
        let mut members: BTreeMap<MemberId, Accuracy> = BTreeMap::new();
        for signal in disputed {
            let member = signal.feed.member.clone();
            let Some(life) = reader.signal(signal)?.and_then(|record| record.life) else { continue };
            let end = |dispute: &Disputed| dispute.end.as_ref().map(|end| (end.clears(), end.outcome));
            let refuted = life.disputes.iter().filter_map(end).any(|(clears, _)| clears);
            // Nobody makes himself right by denying his own signal and upholding it.
            let others = life.disputes.iter().filter(|dispute| dispute.dispute.feed.member != member);
            let upheld = others.filter_map(end).any(|(_, outcome)| outcome == Some(DisputeOutcome::Upheld));
            if refuted {
                members.entry(member).or_default().refuted += 1;
            } else if upheld {
                members.entry(member).or_default().upheld += 1;
            }
        }
        Ok(members)
    }
}
