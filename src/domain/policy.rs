//! What holds for all members: part of the roster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::limits::{MAX_HUB_SELLERS, MAX_RETENTION_DAYS};
use super::{
    Calendar, EvidenceKind, FieldError, IdentifierKind, Infringement, KeyClass, MarkerKind, MemberId, Rates, Statement,
};

/// Days that a seller may be left without a decision at most.
const MAX_RESOLVE_DAYS: u16 = 365;
/// Working days that a seller may have to answer at most.
const MAX_ANSWER_DAYS: u16 = 60;
/// Rules of retention: each pair of infringement and evidence once is enough.
const MAX_RULES: usize = 200;

/// What holds for all members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Kinds of identifiers that only support.
    pub weak_kinds: BTreeSet<IdentifierKind>,
    /// Domains beside the built-in list that host many sellers, so that they are nobody's identity.
    pub shared_hosts: BTreeSet<String>,
    /// Days that a signal is kept where neither it nor a rule says otherwise.
    pub retention_days: u16,
    /// Days for signals of one infringement, or that rest on one kind of evidence. The longest that fits holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retention: Vec<RetentionRule>,
    /// Sellers with one identifier up to which it links them; on more it is a hub (an agent, a placeholder) and links nobody.
    pub hub_sellers: u16,
    /// Days that a watch runs where it does not say otherwise.
    pub watch_days: u16,
    /// Days that a node's audit log is kept.
    pub audit_days: u16,
    /// A seller's right to answer.
    pub answers: AnswerPolicy,
    /// How long markers hold.
    pub markers: MarkerPolicy,
    /// What a verdict weighs.
    pub verdict: VerdictPolicy,
    /// How much members may ask of the holders of shared keys.
    pub evaluations: EvaluationPolicy,
    /// What currencies are worth in one another.
    pub rates: Rates,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            weak_kinds: [IdentifierKind::LegalName, IdentifierKind::PostalAddress].into(),
            shared_hosts: BTreeSet::new(),
            retention_days: 1_826,
            retention: Vec::new(),
            hub_sellers: 50,
            watch_days: 360,
            audit_days: 1_826,
            answers: AnswerPolicy::default(),
            markers: MarkerPolicy::default(),
            verdict: VerdictPolicy::default(),
            evaluations: EvaluationPolicy::default(),
            rates: Rates::default(),
        }
    }
}

impl Policy {
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self) -> Result<(), FieldError> {
        days("retention_days", self.retention_days)?;
        if self.retention.len() > MAX_RULES {
            return Err(FieldError::new("ROSTER_TOO_LARGE", "retention", "give at most 200 rules of retention"));
        }
        for (i, rule) in self.retention.iter().enumerate() {
            rule.validate().map_err(|error| error.inside(format!("retention[{i}]")))?;
        }
        if !(2..=MAX_HUB_SELLERS).contains(&self.hub_sellers) {
            return Err(FieldError::new("HUB_LIMIT_INVALID", "hub_sellers", "give 2 to 1000 sellers"));
        }
        days("watch_days", self.watch_days)?;
        days("audit_days", self.audit_days)?;
        self.answers.validate().map_err(|error| error.inside("answers"))?;
        self.markers.validate().map_err(|error| error.inside("markers"))?;
        self.verdict.validate().map_err(|error| error.inside("verdict"))?;
        self.evaluations.validate().map_err(|error| error.inside("evaluations"))?;
        self.rates.validate().map_err(|error| error.inside("rates"))
    }

    /// Days that a signal with this statement is kept.
    #[must_use]
    pub fn retention_days(&self, statement: &Statement) -> u16 {
        let rules = self.retention.iter().filter(|rule| rule.fits(statement)).map(|rule| rule.days).max();
        statement.retention_days.unwrap_or_else(|| rules.unwrap_or(self.retention_days))
    }
}

fn days(field: &'static str, days: u16) -> Result<(), FieldError> {
    if (1..=MAX_RETENTION_DAYS).contains(&days) {
        return Ok(());
    }
    Err(FieldError::new("RETENTION_OUT_OF_RANGE", field, "give 1 to 3653 days"))
}

fn percent(field: &'static str, percent: u8) -> Result<(), FieldError> {
    if percent <= 100 { Ok(()) } else { Err(FieldError::new("PERCENT_INVALID", field, "give 0 to 100 percent")) }
}

/// How long some signals are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// Of this infringement only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infringement: Option<Infringement>,
    /// With evidence of this kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceKind>,
    /// Days after it was recorded, 1 to 3,653.
    pub days: u16,
}

impl RetentionRule {
    fn validate(&self) -> Result<(), FieldError> {
        if self.infringement.is_none() && self.evidence.is_none() {
            let message = "name an infringement or a kind of evidence; retention_days holds for all others";
            return Err(FieldError::new("RETENTION_RULE_EMPTY", "", message));
        }
        days("days", self.days)
    }

    fn fits(&self, statement: &Statement) -> bool {
        self.infringement.is_none_or(|infringement| infringement == statement.infringement)
            && self.evidence.is_none_or(|kind| statement.evidence.iter().any(|evidence| evidence.kind == kind))
    }
}

/// How much a member may ask of each holder of a shared key in a day (UTC, by the holder's clock). A batch counts with what fills it
/// up: one identifier as 8. With `n` holders of which `t` are needed a member gets at most `n / t` times as much in all.
///
/// This is what bounds how many identifiers a member, or a thief of its keys, can try: 20,000 phones a day are the 10^10 that there
/// are in over a thousand years.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationPolicy {
    /// Of what can be counted through, such as phones.
    pub low_entropy: u64,
    /// Of what businesses are known by in public.
    pub business: u64,
    /// Of e-mail, names and addresses.
    pub name: u64,
    /// Days after which the holders of a key make its shares anew, 1 to 365, so that shares that were stolen one by one fit together
    /// only where they were stolen within that time.
    pub refresh_days: u16,
    /// Members that have other budgets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberBudget>,
}

/// The budgets of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberBudget {
    /// Which.
    pub member: MemberId,
    /// As in [`EvaluationPolicy`]; what is left out is as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_entropy: Option<u64>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<u64>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<u64>,
}

impl Default for EvaluationPolicy {
    fn default() -> Self {
        Self { low_entropy: 20_000, business: 1_000_000, name: 200_000, refresh_days: 30, members: Vec::new() }
    }
}

impl EvaluationPolicy {
    /// What the member may ask of each holder in a day.
    #[must_use]
    pub fn budget(&self, member: &MemberId, class: KeyClass) -> u64 {
        let own = self.members.iter().find(|budget| budget.member == *member);
        match class {
            KeyClass::LowEntropy => own.and_then(|own| own.low_entropy).unwrap_or(self.low_entropy),
            KeyClass::Business => own.and_then(|own| own.business).unwrap_or(self.business),
            KeyClass::Name => own.and_then(|own| own.name).unwrap_or(self.name),
        }
    }

    fn validate(&self) -> Result<(), FieldError> {
        if !(1..=365).contains(&self.refresh_days) {
            return Err(FieldError::new("REFRESH_DAYS_INVALID", "refresh_days", "give 1 to 365 days"));
        }
        let named: BTreeSet<&MemberId> = self.members.iter().map(|budget| &budget.member).collect();
        if named.len() == self.members.len() {
            return Ok(());
        }
        Err(FieldError::new("ROSTER_DUPLICATE", "members", "each member stands once"))
    }
}

/// A seller's right to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerPolicy {
    /// Working days that a seller has after it was told, 1 to 60.
    pub working_days: u16,
    /// Calendar days within which a dispute is decided, 1 to 365; after them it has lapsed in the seller's favour.
    pub resolve_days: u16,
    /// What a working day is.
    pub calendar: Calendar,
}

impl Default for AnswerPolicy {
    fn default() -> Self {
        Self { working_days: 3, resolve_days: 15, calendar: Calendar::default() }
    }
}

impl AnswerPolicy {
    fn validate(&self) -> Result<(), FieldError> {
        if !(1..=MAX_ANSWER_DAYS).contains(&self.working_days) {
            return Err(FieldError::new("ANSWER_DAYS_INVALID", "working_days", "give 1 to 60 working days"));
        }
        if !(1..=MAX_RESOLVE_DAYS).contains(&self.resolve_days) {
            return Err(FieldError::new("ANSWER_DAYS_INVALID", "resolve_days", "give 1 to 365 days"));
        }
        self.calendar.validate().map_err(|error| error.inside("calendar"))
    }
}

/// How long markers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MarkerPolicy {
    /// Days that a victim's marker holds where it does not say otherwise: thirteen months.
    pub victim_days: u16,
    /// The same of the known good.
    pub known_good_days: u16,
}

impl Default for MarkerPolicy {
    fn default() -> Self {
        Self { victim_days: 396, known_good_days: 396 }
    }
}

impl MarkerPolicy {
    fn validate(&self) -> Result<(), FieldError> {
        days("victim_days", self.victim_days)?;
        days("known_good_days", self.known_good_days)
    }

    /// Days that a marker of this kind holds.
    #[must_use]
    pub const fn days(&self, kind: MarkerKind) -> u16 {
        match kind {
            MarkerKind::Victim => self.victim_days,
            MarkerKind::KnownGood => self.known_good_days,
        }
    }
}

/// What a verdict weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerdictPolicy {
    /// Days after which evidence weighs half, where its kind is not named in `half_life_days_by_evidence`.
    pub half_life_days: u16,
    /// The same by kind of evidence.
    pub half_life_days_by_evidence: BTreeMap<EvidenceKind, u16>,
    /// Percent of full weight below which a signal flags no more.
    pub least_weight_percent: u8,
    /// Days between two incidents after which one member's confirmations make a repeat offender.
    pub repeat_after_days: u16,
    /// Percent of its weight that remains to a member's signals; all others have 100.
    pub member_weight_percent: BTreeMap<MemberId, u8>,
    /// Percent of a member's decided disputes that may end in the seller's favour before its weight falls.
    pub refuted_percent: u8,
    /// Signals of a member that must have been disputed and decided before its accuracy is judged.
    pub accuracy_after: u32,
    /// Percent of its weight that then remains to it; 100 for no change.
    pub inaccurate_weight_percent: u8,
}

impl Default for VerdictPolicy {
    fn default() -> Self {
        let lasting = [EvidenceKind::CourtJudgment, EvidenceKind::AdministrativeDecision, EvidenceKind::PoliceRaid];
        Self {
            half_life_days: 730,
            half_life_days_by_evidence: lasting.map(|kind| (kind, 1_826)).into(),
            least_weight_percent: 5,
            repeat_after_days: 30,
            member_weight_percent: BTreeMap::new(),
            refuted_percent: 20,
            accuracy_after: 20,
            inaccurate_weight_percent: 100,
        }
    }
}

impl VerdictPolicy {
    fn validate(&self) -> Result<(), FieldError> {
        days("half_life_days", self.half_life_days)?;
        for (kind, half_life) in &self.half_life_days_by_evidence {
            days("half_life_days_by_evidence", *half_life)
                .map_err(|error| FieldError { field: format!("{}.{kind}", error.field), ..error })?;
        }
        days("repeat_after_days", self.repeat_after_days)?;
        percent("least_weight_percent", self.least_weight_percent)?;
        percent("refuted_percent", self.refuted_percent)?;
        percent("inaccurate_weight_percent", self.inaccurate_weight_percent)?;
        self.member_weight_percent.values().try_for_each(|weight| percent("member_weight_percent", *weight))
    }

    /// Percent of its weight that the policy leaves to a member.
    #[must_use]
    pub fn weight_percent(&self, member: &MemberId) -> u8 {
        self.member_weight_percent.get(member).copied().unwrap_or(100)
    }

    /// Days after which evidence of this kind weighs half.
    #[must_use]
    pub fn half_life(&self, kind: EvidenceKind) -> u16 {
        self.half_life_days_by_evidence.get(&kind).copied().unwrap_or(self.half_life_days)
    }
}
