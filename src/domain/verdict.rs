//! What matching signals come to: the rule by which every node sums up a check.
//!
//! Given are the live signals that match by a strong identifier which no victim's marker takes out, of members that have not been
//! expelled. Of each, the *weight* is that of its best evidence (indicative 25 %, substantial 50 %, conclusive 100 %), halved after
//! each half-life of that kind of evidence, times the percent that the alliance's policy leaves to its member. One that has fallen
//! below the policy's least weight is *faded* and flags no more. A disputed signal flags nobody either. A signal is *covered* where a
//! member vouches for every strong identifier by which it matches: who borrows the phone of an honest dealer is not vouched for.
//!
//! A member *confirms* with a confirmed signal about counterfeits (parallel imports are none) that was not derived from other
//! members' signals. Members whose best pieces share a digest confirm together, as one: who copies adds no weight, whatever the
//! dates say. That pieces stand in signals which were disputed or refuted is told as a reason and changes nothing: else anyone
//! could take the weight from a signal by denying a copy of it.
//!
//! In this order:
//! 1. Where members confirm with signals that are not covered: [`Verdict::RepeatOffender`] where there are two of them, or one about
//!    incidents that lie as many days apart as the policy says and share no digest; else [`Verdict::Confirmed`].
//! 2. [`Verdict::Alleged`] where any other signal flags that is not covered. Numbers do not turn allegations into a confirmation:
//!    members copy each other's lists.
//! 3. [`Verdict::Disputed`] where there are disputed signals, or covered ones that confirm.
//! 4. [`Verdict::KnownGood`] where a member vouches for the seller.
//! 5. [`Verdict::NoneKnown`].
//!
//! The score, 0 to 100, only sums up: the complement of the product over the members (those that share a digest as one) of what each
//! one's weightiest flagging signal leaves open, where an agreement with own evidence counts as half a signal of its member. Who
//! agrees does so about the seller that the signal was stated of. Where a key that it was stated under shows that this is another one
//! than was asked about, agreements count for nothing. Once all these keys are destroyed nobody can tell any more, and they count: to
//! let them fall with the keys would lower the score of every signal that was honestly submitted again, and who flags falsely needs
//! no agreement for a score of 100.

use std::collections::{BTreeMap, BTreeSet};

use super::vocabulary::vocabulary;
use super::{Evidence, EvidenceGrade, Infringement, MemberId, Sha256Digest, SignalStatus, Timestamp, VerdictPolicy};

/// Parts that a full weight has: all is counted in whole numbers, so that every node arrives at the same.
const FULL: u64 = 1_000_000;

vocabulary! {
    /// The summary of a check; see the module's rule.
    Verdict, "verdict", "VERDICT_UNKNOWN";
    /// No live signal matches by a strong identifier.
    NoneKnown = 1, "none_known";
    /// Flagged, without conclusive evidence.
    Alleged = 2, "alleged";
    /// Flagged on conclusive evidence.
    Confirmed = 3, "confirmed";
    /// Confirmed by several members, or again and again.
    RepeatOffender = 4, "repeat_offender";
    /// Flagged, and the seller or another member denies it.
    Disputed = 5, "disputed";
    /// A member vouches for the seller.
    KnownGood = 6, "known_good";
}

impl Verdict {
    /// Whether somebody flags the seller.
    #[must_use]
    pub const fn is_flagged(self) -> bool {
        match self {
            Self::Alleged | Self::Confirmed | Self::RepeatOffender | Self::Disputed => true,
            Self::NoneKnown | Self::KnownGood => false,
        }
    }
}

vocabulary! {
    /// Why a verdict is what it is.
    Reason, "reason", "REASON_UNKNOWN";
    /// A member has conclusive evidence, or the seller left a substantial one unanswered.
    ConfirmedByMember = 1, "confirmed_by_member";
    /// Several members have, each its own.
    SeveralMembers = 2, "several_members";
    /// One member has confirmed incidents that lie far apart.
    Repeated = 3, "repeated";
    /// A member alleges it.
    AllegedByMember = 4, "alleged_by_member";
    /// The seller was told and may still answer.
    RefutationPending = 5, "refutation_pending";
    /// The seller denies it, or another member does, and nobody has decided.
    DisputeOpen = 6, "dispute_open";
    /// A member vouches for the seller.
    VouchedFor = 7, "vouched_for";
    /// An identifier belongs to a victim, and counts for nothing.
    VictimMarked = 8, "victim_marked";
    /// Signals are too old to flag.
    Faded = 9, "faded";
    /// Signals were derived from other members' and add no weight.
    Derived = 10, "derived";
    /// Signals are about genuine goods sold outside their market.
    ParallelImport = 11, "parallel_import";
    /// Signals match by weak identifiers alone.
    WeakOnly = 12, "weak_only";
    /// Signals are of members that were expelled.
    ExpelledOnly = 13, "expelled_only";
    /// The weight of a member's signals is lowered.
    WeightLowered = 14, "weight_lowered";
    /// This member's own list or override decides.
    DecidedHere = 15, "decided_here";
    /// Some of what a signal rests on stands in others that were disputed or refuted.
    EvidenceDenied = 16, "evidence_denied";
}

impl Reason {
    /// The reason in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ConfirmedByMember => "a member has conclusive evidence, or the seller left its evidence unanswered",
            Self::SeveralMembers => "several members confirm it, each on evidence of its own",
            Self::Repeated => "a member has confirmed incidents that lie far apart",
            Self::AllegedByMember => "a member alleges it",
            Self::RefutationPending => "the seller was told and may still answer",
            Self::DisputeOpen => "the seller or another member denies it, and it is not decided",
            Self::VouchedFor => "a member vouches for the seller",
            Self::VictimMarked => "an identifier belongs to a victim and counts for nothing",
            Self::Faded => "signals are too old to flag",
            Self::Derived => "signals were derived from other members' and add no weight",
            Self::ParallelImport => "signals are about genuine goods sold outside their market",
            Self::WeakOnly => "signals match by weak identifiers alone",
            Self::ExpelledOnly => "signals are of members that were expelled",
            Self::WeightLowered => "the weight of a member's signals is lowered",
            Self::DecidedHere => "this member's own list or override decides",
            Self::EvidenceDenied => "some of what a signal rests on stands in others that were disputed or refuted",
        }
    }
}

/// A live signal that matches by a strong identifier, as far as a verdict weighs it.
#[derive(Debug, Clone)]
pub struct Testimony<'a> {
    /// Whose.
    pub member: &'a MemberId,
    /// What it is now; live.
    pub status: SignalStatus,
    /// What was infringed.
    pub infringement: Infringement,
    /// All that it rests on, amendments included; at least one.
    pub evidence: &'a [Evidence],
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The day of the incident since 1970, as far as it is stated, else of the record.
    pub incident_day: i64,
    /// It says that it was derived from others.
    pub derived: bool,
    /// A member vouches for every strong identifier by which it matches.
    pub covered: bool,
    /// Other members that agree about this seller, each on evidence of its own.
    pub agreed_by: BTreeSet<&'a MemberId>,
}

/// What else is known.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Digests of the evidence of matching signals that were refuted.
    pub refuted: BTreeSet<Sha256Digest>,
    /// A member vouches for the seller.
    pub vouched_for: bool,
    /// Matches fell away for a victim's marker.
    pub victim_marked: bool,
    /// Signals matched by weak identifiers alone.
    pub weak: bool,
    /// Signals matched of members that were expelled.
    pub expelled: bool,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgment {
    /// The summary.
    pub verdict: Verdict,
    /// Why, in order of their numbers.
    pub reasons: BTreeSet<Reason>,
    /// 0 to 100.
    pub score: u8,
}

/// Sums up. `weight_of` gives the percent of its weight that is left to a member.
#[must_use]
pub fn judge(
    testimonies: &[Testimony<'_>],
    circumstances: &Circumstances,
    policy: &VerdictPolicy,
    weight_of: impl Fn(&MemberId) -> u8,
    now: Timestamp,
) -> Judgment {
    let mut reasons = BTreeSet::new();
    let mut note = |reason, holds: bool| {
        if holds {
            reasons.insert(reason);
        }
        holds
    };
    let denied = denied(testimonies, circumstances);
    let (mut flagging, mut disputed) = (Vec::new(), false);
    for testimony in testimonies {
        let percent = weight_of(testimony.member);
        note(Reason::WeightLowered, percent < 100);
        let weight = weight(testimony.evidence, testimony.recorded_at, policy, now) * u64::from(percent) / 100;
        if note(Reason::Faded, weight == 0 || weight < FULL * u64::from(policy.least_weight_percent) / 100) {
            continue;
        }
        if note(Reason::DisputeOpen, testimony.status == SignalStatus::Disputed) {
            disputed = true;
            continue;
        }
        note(Reason::RefutationPending, testimony.status == SignalStatus::RefutationPending);
        let derived = note(Reason::Derived, testimony.derived);
        let parallel = note(Reason::ParallelImport, testimony.infringement == Infringement::ParallelImport);
        let digests = best_pieces(testimony.evidence);
        note(Reason::EvidenceDenied, !digests.is_disjoint(&denied));
        let confirms = testimony.status == SignalStatus::Confirmed && !derived && !parallel;
        let weight = if derived { 0 } else { weight };
        flagging.push(Flagging { testimony, weight, confirms, digests });
    }
    let confirming = |covered: bool| flagging.iter().filter(move |f| f.confirms && f.testimony.covered == covered);
    let confirmed = groups(confirming(false)).len();
    let several = note(Reason::SeveralMembers, confirmed > 1);
    let repeated = note(Reason::Repeated, is_repeated(confirming(false), policy));
    note(Reason::ConfirmedByMember, flagging.iter().any(|f| f.confirms));
    note(Reason::AllegedByMember, flagging.iter().any(|f| !f.confirms));
    let copied = groups(flagging.iter()).len() < flagging.iter().map(|f| f.testimony.member).collect::<BTreeSet<_>>().len();
    note(Reason::Derived, copied);
    let vouched = note(Reason::VouchedFor, circumstances.vouched_for);
    note(Reason::VictimMarked, circumstances.victim_marked);
    let silent = flagging.is_empty() && !disputed;
    note(Reason::WeakOnly, circumstances.weak && silent);
    note(Reason::ExpelledOnly, circumstances.expelled && silent);
    let verdict = match () {
        () if several || repeated => Verdict::RepeatOffender,
        () if confirmed > 0 => Verdict::Confirmed,
        () if flagging.iter().any(|f| !f.testimony.covered) => Verdict::Alleged,
        () if disputed || confirming(true).next().is_some() => Verdict::Disputed,
        () if vouched => Verdict::KnownGood,
        () => Verdict::NoneKnown,
    };
    Judgment { verdict, reasons, score: score(&flagging) }
}

struct Flagging<'a> {
    testimony: &'a Testimony<'a>,
    weight: u64,
    confirms: bool,
    /// Of the best pieces.
    digests: BTreeSet<Sha256Digest>,
}

/// Digests that stand in disputed or refuted signals.
fn denied(testimonies: &[Testimony<'_>], circumstances: &Circumstances) -> BTreeSet<Sha256Digest> {
    let disputed = testimonies.iter().filter(|testimony| testimony.status == SignalStatus::Disputed);
    let disputed = disputed.flat_map(|testimony| testimony.evidence).flat_map(|evidence| &evidence.digests).copied();
    disputed.chain(circumstances.refuted.iter().copied()).collect()
}

/// The digests of the best pieces.
fn best_pieces(evidence: &[Evidence]) -> BTreeSet<Sha256Digest> {
    let best = evidence.iter().map(|evidence| evidence.grade).max();
    let pieces = evidence.iter().filter(|evidence| Some(evidence.grade) == best);
    pieces.flat_map(|evidence| &evidence.digests).copied().collect()
}

/// Members with what they rest on: those that share a digest are one group.
fn groups<'f, 'a: 'f>(flagging: impl Iterator<Item = &'f Flagging<'a>>) -> Vec<BTreeSet<&'a MemberId>> {
    let mut of_member: BTreeMap<&MemberId, BTreeSet<Sha256Digest>> = BTreeMap::new();
    for one in flagging {
        of_member.entry(one.testimony.member).or_default().extend(&one.digests);
    }
    let mut groups: Vec<BTreeSet<&MemberId>> = Vec::new();
    let mut of_digest: BTreeMap<Sha256Digest, usize> = BTreeMap::new();
    for (member, digests) in of_member {
        let related: BTreeSet<usize> = digests.iter().filter_map(|digest| of_digest.get(digest).copied()).collect();
        let group = related.first().copied().unwrap_or_else(|| {
            groups.push(BTreeSet::new());
            groups.len() - 1
        });
        groups[group].insert(member);
        for other in related.into_iter().skip(1) {
            let joined = std::mem::take(&mut groups[other]);
            groups[group].extend(joined);
            of_digest.values_mut().filter(|of| **of == other).for_each(|of| *of = group);
        }
        of_digest.extend(digests.into_iter().map(|digest| (digest, group)));
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Of the weightiest piece of evidence.
fn weight(evidence: &[Evidence], recorded_at: Timestamp, policy: &VerdictPolicy, now: Timestamp) -> u64 {
    let age_days = now.since(recorded_at).as_secs() / 86_400;
    evidence.iter().map(|evidence| faded(base(evidence.grade), age_days, policy.half_life(evidence.kind))).max().unwrap_or(0)
}

const fn base(grade: EvidenceGrade) -> u64 {
    match grade {
        EvidenceGrade::Indicative => FULL / 4,
        EvidenceGrade::Substantial => FULL / 2,
        EvidenceGrade::Conclusive => FULL,
    }
}

/// Halved after each half-life, and in a straight line between.
fn faded(weight: u64, age_days: u64, half_life_days: u16) -> u64 {
    let half_life = u64::from(half_life_days.max(1));
    let halved = weight.checked_shr(u32::try_from(age_days / half_life).unwrap_or(u32::MAX)).unwrap_or(0);
    halved - halved / 2 * (age_days % half_life) / half_life
}

/// Whether a member has two confirmed incidents far apart that share no digest.
fn is_repeated<'f, 'a: 'f>(confirming: impl Iterator<Item = &'f Flagging<'a>>, policy: &VerdictPolicy) -> bool {
    let mut of_member: BTreeMap<&MemberId, Vec<&Flagging<'_>>> = BTreeMap::new();
    confirming.for_each(|one| of_member.entry(one.testimony.member).or_default().push(one));
    let far = |a: &Flagging<'_>, b: &Flagging<'_>| {
        let apart = a.testimony.incident_day.abs_diff(b.testimony.incident_day);
        apart >= u64::from(policy.repeat_after_days) && a.digests.is_disjoint(&b.digests)
    };
    of_member.values().any(|all| all.iter().enumerate().any(|(i, a)| all[..i].iter().any(|b| far(a, b))))
}

fn score(flagging: &[Flagging<'_>]) -> u8 {
    let groups = groups(flagging.iter());
    let group_of = |member: &MemberId| groups.iter().position(|group| group.contains(member));
    let mut of_group = vec![0; groups.len()];
    let mut of_others: BTreeMap<&MemberId, u64> = BTreeMap::new();
    for Flagging { testimony, weight, .. } in flagging {
        if let Some(group) = group_of(testimony.member) {
            of_group[group] = *weight.max(&of_group[group]);
        }
        for member in testimony.agreed_by.iter().filter(|member| group_of(member).is_none()) {
            let agreed = of_others.entry(member).or_default();
            *agreed = (*agreed).max(weight / 2);
        }
    }
    let open = of_group.iter().chain(of_others.values()).fold(FULL, |open, weight| open * (FULL - (*weight).min(FULL)) / FULL);
    u8::try_from((FULL - open) * 100 / FULL).unwrap_or(100)
}

#[cfg(test)]
mod tests;
