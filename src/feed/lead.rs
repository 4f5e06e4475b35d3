//! What a lead comes to: a pure fold over what one feed says of it.
//!
//! Only the feed that opened a lead says what became of it: an entry of another feed with the same id is about another lead. A step
//! that cannot follow the one before counts for nothing, so that every node arrives at the same.

use crate::domain::limits::MAX_LEAD_STEPS;
use crate::domain::{FeedId, GoodsValue, Referral, ReferralStage, Region, SignalRef, Timestamp};

/// One step of a lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadStep {
    /// The entry that says it.
    pub at: SignalRef,
    /// When that was recorded.
    pub recorded_at: Timestamp,
    /// What it says.
    pub referral: Referral,
}

/// A lead with the steps that count; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    first: LeadStep,
    later: Vec<LeadStep>,
}

impl Lead {
    /// From what one feed says of it, in order; `None` where nothing opens it.
    #[must_use]
    pub fn of(steps: Vec<LeadStep>) -> Option<Self> {
        let mut steps = counting(steps, |step| step.referral.stage).into_iter();
        Some(Self { first: steps.next()?, later: steps.collect() })
    }

    /// The entry that opened it, which is its name.
    #[must_use]
    pub const fn name(&self) -> &SignalRef {
        &self.first.at
    }

    /// The feed that says what becomes of it.
    #[must_use]
    pub const fn feed(&self) -> &FeedId {
        &self.first.at.feed
    }

    /// The steps in order; at least one.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &LeadStep> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The newest step.
    #[must_use]
    pub fn last(&self) -> &LeadStep {
        self.later.last().unwrap_or(&self.first)
    }

    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> ReferralStage {
        self.last().referral.stage
    }

    /// The signals that it rests on: those that were named last.
    #[must_use]
    pub fn signals(&self) -> &[SignalRef] {
        self.naming().map_or(&[], |step| &step.referral.signals)
    }

    /// What the goods of these signals came to when they were named.
    #[must_use]
    pub fn goods_value(&self) -> Option<&GoodsValue> {
        self.naming().and_then(|step| step.referral.goods_value.as_ref())
    }

    /// Where: as it was said last.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        self.steps().rev().find_map(|step| step.referral.region.as_ref())
    }

    /// To whom: as it was said last.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.steps().rev().find_map(|step| step.referral.authority.as_deref())
    }

    /// How far it came, and where.
    #[must_use]
    pub fn outline(&self) -> LeadOutline {
        let stages = self.steps().map(|step| step.referral.stage).collect();
        LeadOutline { name: self.name().clone(), region: self.region().cloned(), stages }
    }

    fn naming(&self) -> Option<&LeadStep> {
        self.steps().rev().find(|step| step.referral.stage.names_signals())
    }
}

/// How far a lead came, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadOutline {
    /// The entry that opened it.
    pub name: SignalRef,
    /// As it was said last.
    pub region: Option<Region>,
    /// Of the steps that count; at least one.
    stages: Vec<ReferralStage>,
}

impl LeadOutline {
    /// Of the stages of the steps that count, at least one.
    #[must_use]
    pub const fn new(name: SignalRef, region: Option<Region>, stages: Vec<ReferralStage>) -> Self {
        Self { name, region, stages }
    }

    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> ReferralStage {
        self.stages.last().copied().unwrap_or(ReferralStage::Identified)
    }

    /// Whether it ever came so far. Of judgments the newest holds, and who was arrested or judged had a lead that was accepted.
    #[must_use]
    pub fn reached(&self, stage: ReferralStage) -> bool {
        let judged = |stage: &&ReferralStage| matches!(stage, ReferralStage::Convicted | ReferralStage::Acquitted);
        match stage {
            ReferralStage::Identified => true,
            ReferralStage::Convicted | ReferralStage::Acquitted => self.stages.iter().rev().find(judged) == Some(&stage),
            _ => self.stages.contains(&stage),
        }
    }
}

/// Those of the steps that count: the first that opens a lead, and what can follow, as many as count.
pub fn counting<T>(steps: impl IntoIterator<Item = T>, stage: impl Fn(&T) -> ReferralStage) -> Vec<T> {
    let mut counting: Vec<T> = Vec::new();
    for step in steps {
        if counting.len() < MAX_LEAD_STEPS && stage(&step).follows(counting.last().map(&stage)) {
            counting.push(step);
        }
    }
    counting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LeadId, Seq};
    use ReferralStage::{Accepted, Acquitted, Arrested, Convicted, Dropped, Identified, NotAccepted, Referred};

    fn step(seq: u64, stage: ReferralStage) -> LeadStep {
        let at = SignalRef { feed: "acme/all".parse().expect("valid"), seq: Seq::new(seq) };
        let signals = if stage.names_signals() { vec![SignalRef { seq: Seq::new(100 + seq), ..at.clone() }] } else { vec![] };
        let referral = Referral {
            lead: LeadId([1; 16]),
            stage,
            signals,
            region: (seq == 1).then(|| "CN-GD".parse().expect("listed")),
            authority: None,
            sentence: None,
            happened_on: None,
            goods_value: None,
        };
        LeadStep { at, recorded_at: Timestamp::from_unix_ms(0), referral }
    }

    fn lead(stages: &[ReferralStage]) -> Option<Lead> {
        Lead::of(stages.iter().enumerate().map(|(seq, stage)| step(seq as u64, *stage)).collect())
    }

    #[test]
    fn a_lead_goes_its_way_and_what_cannot_follow_counts_for_nothing() {
        let found = lead(&[Identified, Referred, NotAccepted, Referred, Accepted, Arrested, Convicted]).expect("opened");
        assert_eq!((found.stage(), found.steps().count()), (Convicted, 7));
        assert_eq!(found.signals(), [SignalRef { seq: Seq::new(103), ..found.name().clone() }], "those of the second referral");
        assert_eq!(found.region().map(Region::as_str), Some("CN-GD"));
        for stage in [Identified, Referred, NotAccepted, Accepted, Arrested, Convicted] {
            assert!(found.outline().reached(stage), "{stage}");
        }
        assert!(!found.outline().reached(Acquitted) && !found.outline().reached(Dropped));
        let odd = lead(&[Accepted, Identified, Accepted, Convicted, Identified]).expect("opened");
        assert_eq!((odd.stage(), odd.steps().count(), odd.name().seq), (Identified, 1, Seq::new(1)));
        assert_eq!(lead(&[Accepted, Convicted]), None, "nobody opened it");
        assert_eq!(lead(&[Identified, Dropped, Referred]).expect("opened").stage(), Dropped, "a new one is needed");
    }

    #[test]
    fn what_was_said_last_of_a_lead_holds() {
        let worth = |count| GoodsValue { amount: None, count: Some(count), reference: None, state: None };
        let mut steps = vec![step(1, Identified), step(2, Referred), step(3, Accepted), step(4, Arrested)];
        steps[0].referral.goods_value = Some(worth(1));
        steps[1].referral.goods_value = Some(worth(2));
        steps[1].referral.authority = Some("Customs of Huangpu".into());
        steps[2].referral.authority = Some("Police of Shenzhen".into());
        let found = Lead::of(steps).expect("opened");
        assert_eq!(found.goods_value(), Some(&worth(2)), "with the signals that were named last");
        assert_eq!(found.authority(), Some("Police of Shenzhen"));
        let silent = lead(&[Referred]).expect("opened");
        assert_eq!((silent.goods_value(), silent.authority()), (None, None));
        assert!(silent.outline().reached(Identified), "who was referred was identified");
    }

    #[test]
    fn of_judgments_the_newest_holds() {
        let appealed = lead(&[Referred, Accepted, Convicted, Acquitted]).expect("opened").outline();
        assert!(appealed.reached(Acquitted) && !appealed.reached(Convicted));
        assert!(lead(&[Referred, Accepted, Acquitted, Convicted]).expect("opened").outline().reached(Convicted));
    }

    #[test]
    fn nobody_makes_a_lead_grow_for_ever() {
        let many: Vec<ReferralStage> = [Referred, Accepted].into_iter().chain(std::iter::repeat_n(Arrested, 500)).collect();
        assert_eq!(lead(&many).expect("opened").steps().count(), MAX_LEAD_STEPS);
    }
}
