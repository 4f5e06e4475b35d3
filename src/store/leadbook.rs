//! What feeds say of their leads: in memory, derived from the log. How far each came and where; whoever asks for more reads the
//! entries.

use std::collections::{BTreeMap, HashMap};

use super::index::{FeedNo, Position};
use crate::domain::limits::{MAX_CASE_SIGNALS, MAX_LEAD_STEPS, MAX_LEADS_BY_FEED};
use crate::domain::{LeadId, Referral, ReferralStage, Region, SignalRef};
use crate::feed::counting;

/// Steps of one lead that are kept with what they say: beyond those that count, so that others take the place of those that are erased.
const MAX_STEPS_KEPT: usize = 2 * MAX_LEAD_STEPS;
/// Leads of one feed that are kept: beyond those that its member opens, so that one that was erased makes room everywhere, whether its
/// content is removed yet or not.
const MAX_LEADS_KEPT: usize = 2 * MAX_LEADS_BY_FEED;
/// Leads of one feed that are found by one signal: the newest, of which those that were dropped go first.
const MAX_LEADS_OF_SIGNAL: usize = 8;
/// Names of signals by which the leads of one feed are found; a hundred megabytes of memory.
const MAX_NAMED_BY_FEED: usize = MAX_LEADS_BY_FEED * MAX_CASE_SIGNALS;

/// A lead by the feed that says what becomes of it.
pub(super) type LeadKey = (FeedNo, LeadId);

/// One step of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptStep {
    pub(super) at: Position,
    pub(super) stage: ReferralStage,
    pub(super) region: Option<Region>,
}

/// What is said of one lead, in the order of the feed.
#[derive(Default)]
struct Kept {
    steps: Vec<KeptStep>,
    /// Where more is said, which counts for nothing.
    more: Vec<Position>,
}

impl Kept {
    fn is_dropped(&self) -> bool {
        let counting = counting(&self.steps, |step| step.stage);
        counting.last().is_some_and(|step| step.stage == ReferralStage::Dropped)
    }
}

/// How much of a feed is kept.
#[derive(Default)]
struct Held {
    leads: usize,
    names: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct LeadBook {
    leads: BTreeMap<LeadKey, Kept>,
    held: HashMap<FeedNo, Held>,
    /// Which leads name a signal, and where each did so last.
    naming: HashMap<SignalRef, Vec<(LeadKey, Position)>>,
}

impl LeadBook {
    /// Takes in what the entry at `at` says.
    pub(super) fn take(&mut self, at: Position, referral: &Referral) {
        let key = (at.feed(), referral.lead);
        if !self.leads.contains_key(&key) {
            let held = self.held.entry(at.feed()).or_default();
            if !referral.stage.follows(None) || held.leads == MAX_LEADS_KEPT {
                return;
            }
            held.leads += 1;
        }
        let kept = self.leads.entry(key).or_default();
        if kept.steps.len() == MAX_STEPS_KEPT {
            return kept.more.push(at);
        }
        kept.steps.push(KeptStep { at, stage: referral.stage, region: referral.region.clone() });
        referral.signals.iter().for_each(|signal| self.name(signal, key, at));
    }

    fn name(&mut self, signal: &SignalRef, key: LeadKey, at: Position) {
        let held = self.held.entry(key.0).or_default();
        let naming = self.naming.entry(signal.clone()).or_default();
        let before = naming.len();
        naming.retain(|(other, _)| *other != key);
        let of_feed: Vec<usize> = (0..naming.len()).filter(|place| naming[*place].0.0 == key.0).collect();
        if of_feed.len() == MAX_LEADS_OF_SIGNAL {
            let is_dropped = |place: &&usize| self.leads.get(&naming[**place].0).is_some_and(Kept::is_dropped);
            let goes = of_feed.iter().find(is_dropped).or(of_feed.first());
            goes.map(|place| naming.remove(*place));
        }
        held.names -= before - naming.len();
        if held.names < MAX_NAMED_BY_FEED {
            held.names += 1;
            naming.push((key, at));
        }
        if naming.is_empty() {
            self.naming.remove(signal);
        }
    }

    /// Forgets a step whose content is gone.
    pub(super) fn forget(&mut self, at: Position, referral: &Referral) {
        let key = (at.feed(), referral.lead);
        let held = self.held.entry(at.feed()).or_default();
        if let Some(kept) = self.leads.get_mut(&key) {
            kept.steps.retain(|step| step.at != at);
            kept.more.retain(|more| *more != at);
            if kept.steps.is_empty() && kept.more.is_empty() {
                self.leads.remove(&key);
                held.leads -= 1;
            }
        }
        for signal in &referral.signals {
            if let Some(naming) = self.naming.get_mut(signal) {
                let before = naming.len();
                naming.retain(|(_, named_at)| *named_at != at);
                held.names -= before - naming.len();
                if naming.is_empty() {
                    self.naming.remove(signal);
                }
            }
        }
    }

    /// The steps of one lead, or none.
    pub(super) fn steps(&self, key: &LeadKey) -> &[KeptStep] {
        self.leads.get(key).map_or(&[], |kept| &kept.steps)
    }

    /// Where anything is said of a lead.
    pub(super) fn positions(&self, key: &LeadKey) -> impl Iterator<Item = Position> {
        let kept = self.leads.get(key).into_iter();
        kept.flat_map(|kept| kept.steps.iter().map(|step| step.at).chain(kept.more.iter().copied()))
    }

    /// The steps of each lead.
    pub(super) fn all(&self) -> impl Iterator<Item = &[KeptStep]> {
        self.leads.values().map(|kept| kept.steps.as_slice())
    }

    /// Leads that name the signal, and where each did so last.
    pub(super) fn naming(&self, signal: &SignalRef) -> &[(LeadKey, Position)] {
        self.naming.get(signal).map_or(&[], Vec::as_slice)
    }

    /// Leads of one feed.
    pub(super) fn count(&self, feed: FeedNo) -> usize {
        self.held.get(&feed).map_or(0, |held| held.leads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Seq;

    fn signal() -> SignalRef {
        SignalRef { feed: "acme/all".parse().expect("valid"), seq: Seq::ZERO }
    }

    fn at(seq: u64) -> Position {
        Position::new(FeedNo::new(1).expect("few"), Seq::new(seq))
    }

    fn referral(lead: u8, stage: ReferralStage) -> Referral {
        let signals = if stage.names_signals() { vec![signal()] } else { vec![] };
        let (authority, sentence, happened_on) = (None, None, None);
        Referral { lead: LeadId([lead; 16]), stage, signals, region: None, authority, sentence, happened_on, goods_value: None }
    }

    #[test]
    fn a_signal_finds_the_newest_of_the_leads_that_name_it_and_none_that_is_gone() {
        let mut book = LeadBook::default();
        for lead in 0..12 {
            book.take(at(lead.into()), &referral(lead, ReferralStage::Identified));
        }
        book.take(at(20), &referral(11, ReferralStage::Referred));
        let found: Vec<u64> = book.naming(&signal()).iter().map(|(_, at)| at.seq().get()).collect();
        assert_eq!(found, [4, 5, 6, 7, 8, 9, 10, 20]);
        assert_eq!(book.count(at(0).feed()), 12);
        for (seq, lead, stage) in [(20, 11, ReferralStage::Referred), (11, 11, ReferralStage::Identified)] {
            book.forget(at(seq), &referral(lead, stage));
        }
        assert_eq!((book.naming(&signal()).len(), book.count(at(0).feed())), (7, 11));
    }

    #[test]
    fn a_lead_that_is_open_is_found_however_many_were_dropped_since() {
        let mut book = LeadBook::default();
        book.take(at(0), &referral(0, ReferralStage::Identified));
        for lead in 1..20 {
            book.take(at(10 * u64::from(lead)), &referral(lead, ReferralStage::Identified));
            book.take(at(10 * u64::from(lead) + 1), &referral(lead, ReferralStage::Dropped));
        }
        assert!(book.naming(&signal()).iter().any(|((_, lead), _)| *lead == LeadId([0; 16])));
    }

    #[test]
    fn nobody_fills_the_book_by_saying_much() {
        let mut book = LeadBook::default();
        book.take(at(0), &referral(1, ReferralStage::Accepted));
        assert_eq!(book.all().count(), 0, "nothing opened it");
        for seq in 0..1_000 {
            book.take(at(seq), &referral(1, ReferralStage::Referred));
        }
        let key = (at(0).feed(), LeadId([1; 16]));
        assert_eq!((book.steps(&key).len(), book.positions(&key).count()), (MAX_STEPS_KEPT, 1_000), "to be erased");
        for n in 0..40_000_u64 {
            let mut other = referral(2, ReferralStage::Identified);
            other.lead.0[..8].copy_from_slice(&n.to_be_bytes());
            book.take(at(2_000 + n), &other);
        }
        assert_eq!(book.count(at(0).feed()), MAX_LEADS_KEPT);
    }
}
