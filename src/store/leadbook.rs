//! What feeds say of their leads: in memory, derived from the log. How far each came and where; whoever asks for more reads the
//! entries.

use std::collections::{BTreeMap, HashMap};

use super::index::{FeedNo, Position};
use crate::domain::limits::{MAX_LEAD_STEPS, MAX_LEADS_BY_FEED};
use crate::domain::{LeadId, Referral, ReferralStage, Region, SignalRef};

/// Steps of one lead that are kept: beyond those that count, so that others take the place of those that are erased.
const MAX_STEPS_KEPT: usize = 2 * MAX_LEAD_STEPS;
/// Leads of one feed that are found by one signal: the newest.
const MAX_LEADS_OF_SIGNAL: usize = 8;

/// A lead by the feed that says what becomes of it.
pub(super) type LeadKey = (FeedNo, LeadId);

/// One step of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptStep {
    pub(super) at: Position,
    pub(super) stage: ReferralStage,
    pub(super) region: Option<Region>,
}

/// See the module.
#[derive(Default)]
pub(super) struct LeadBook {
    /// In the order of the feed.
    leads: BTreeMap<LeadKey, Vec<KeptStep>>,
    held: HashMap<FeedNo, usize>,
    /// Which leads name a signal, and where each did so last.
    naming: HashMap<SignalRef, Vec<(LeadKey, Position)>>,
}

impl LeadBook {
    /// Takes in what the entry at `at` says.
    pub(super) fn take(&mut self, at: Position, referral: &Referral) {
        let key = (at.feed(), referral.lead);
        if !self.leads.contains_key(&key) {
            let held = self.held.entry(at.feed()).or_default();
            if !referral.stage.follows(None) || *held == MAX_LEADS_BY_FEED {
                return;
            }
            *held += 1;
        }
        let steps = self.leads.entry(key).or_default();
        if steps.len() == MAX_STEPS_KEPT {
            return;
        }
        steps.push(KeptStep { at, stage: referral.stage, region: referral.region.clone() });
        for signal in &referral.signals {
            let naming = self.naming.entry(signal.clone()).or_default();
            naming.retain(|(other, _)| *other != key);
            let of_feed = |(key, _): &(LeadKey, Position)| key.0 == at.feed();
            if naming.iter().filter(|named| of_feed(named)).count() == MAX_LEADS_OF_SIGNAL
                && let Some(oldest) = naming.iter().position(of_feed)
            {
                naming.remove(oldest);
            }
            naming.push((key, at));
        }
    }

    /// Forgets a step whose content is gone.
    pub(super) fn forget(&mut self, at: Position, referral: &Referral) {
        let key = (at.feed(), referral.lead);
        if let Some(steps) = self.leads.get_mut(&key) {
            steps.retain(|step| step.at != at);
            if steps.is_empty() {
                self.leads.remove(&key);
                self.held.entry(at.feed()).and_modify(|held| *held -= 1);
            }
        }
        for signal in &referral.signals {
            if let Some(naming) = self.naming.get_mut(signal) {
                naming.retain(|(_, named_at)| *named_at != at);
                if naming.is_empty() {
                    self.naming.remove(signal);
                }
            }
        }
    }

    /// The steps of one lead, or none.
    pub(super) fn steps(&self, key: &LeadKey) -> &[KeptStep] {
        self.leads.get(key).map_or(&[], Vec::as_slice)
    }

    /// The steps of each lead.
    pub(super) fn all(&self) -> impl Iterator<Item = &[KeptStep]> {
        self.leads.values().map(Vec::as_slice)
    }

    /// Leads that name the signal, and where each did so last.
    pub(super) fn naming(&self, signal: &SignalRef) -> &[(LeadKey, Position)] {
        self.naming.get(signal).map_or(&[], Vec::as_slice)
    }

    /// Leads of one feed.
    pub(super) fn count(&self, feed: FeedNo) -> usize {
        self.held.get(&feed).copied().unwrap_or(0)
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
    fn nobody_fills_the_book_by_saying_much() {
        let mut book = LeadBook::default();
        book.take(at(0), &referral(1, ReferralStage::Accepted));
        assert_eq!(book.all().count(), 0, "nothing opened it");
        for seq in 0..1_000 {
            book.take(at(seq), &referral(1, ReferralStage::Referred));
        }
        assert_eq!(book.steps(&(at(0).feed(), LeadId([1; 16]))).len(), MAX_STEPS_KEPT);
        for n in 0..20_000_u64 {
            let mut other = referral(2, ReferralStage::Identified);
            other.lead.0[..8].copy_from_slice(&n.to_be_bytes());
            book.take(at(2_000 + n), &other);
        }
        assert_eq!(book.count(at(0).feed()), MAX_LEADS_BY_FEED);
    }
}
