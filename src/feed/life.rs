//! What a signal has come to: a pure function of the signal, of the entries about it in all feeds, of the alliance's roster and of
//! the moment. It does not hang on the order in which feeds arrived.
//!
//! - What is said counts as long as its member takes part and belongs to the audience.
//! - Amendments are the member's own, later in the same feed; the first 32 count, and of all the evidence the best 16 pieces.
//! - Disputes may be recorded by any member; of one member the first 16 count. The signal's member decides: that the seller was right,
//!   which holds whatever else is said and whoever recorded the dispute, or that the signal stands. Where it says nothing, the
//!   dispute lapses in the seller's favour after the policy's days; the member may still decide afterwards, as it may state the
//!   signal anew. The recording member may say, until it lapses, that the seller took it back.
//! - Of the opinions of a member about another's signal the newest holds.
//! - Times are their members' own words. A dispute counts as recorded no earlier than the signal and than any entry before it in its
//!   feed; what is dated ahead counts from now, and a signal or marker that is dated more than a day ahead says nothing yet.
//!   Nothing that decides for good hangs on a date.
//!
//! The status follows in this order: erased or withdrawn, dated ahead, expired, refuted (decided or lapsed), disputed (a dispute is
//! open, or a member disagrees), refutation pending (the seller was told, and its working days are not over), confirmed (conclusive
//! evidence; or evidence that was substantial when the seller was told and that it left unanswered, as the member states after
//! that time), alleged. A signal whose last outcome is an acquittal is alleged at most.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::Body;
use crate::domain::limits::{MAX_AMENDMENTS, MAX_DISPUTES_BY_MEMBER, MAX_EVIDENCE};
use crate::domain::{
    AnswerStep, Change, Dispute, DisputeGround, DisputeOutcome, Evidence, EvidenceGrade, Marker, MemberId, Opinion, Policy,
    ReferralStage, Roster, Seq, Sha256Digest, SignalRef, SignalStatus, Stance, Statement, Timestamp,
};

/// An entry about another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub at: SignalRef,
    /// When its member says that it was recorded.
    pub recorded_at: Timestamp,
    /// The same, but no earlier than any entry before it in its feed.
    pub since: Timestamp,
    /// What it says.
    pub body: Body,
}

/// A signal, and all that is known about it.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// Which.
    pub signal: &'a SignalRef,
    /// When its member recorded it.
    pub recorded_at: Timestamp,
    /// As it was stated.
    pub statement: &'a Statement,
    /// What it is where its member has taken it back or erased it.
    pub gone: Option<SignalStatus>,
    /// Amendments, disputes and opinions about it, and decisions of those disputes; others are passed over.
    pub notes: &'a [Note],
}

/// What a signal has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// What it is now.
    pub status: SignalStatus,
    /// What it says with its amendments.
    pub statement: Statement,
    /// The amendments that count, in order.
    pub amendments: Vec<Amended>,
    /// The disputes that count, in order of time.
    pub disputes: Vec<Disputed>,
    /// What other members think, in order of their names.
    pub opinions: Vec<Opined>,
    /// Until when the seller may answer, where it was told.
    pub answer_until: Option<Timestamp>,
}

/// One amendment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    /// Where it stands.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What it adds.
    pub change: Change,
}

/// One dispute of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disputed {
    /// The entry that recorded it.
    pub dispute: SignalRef,
    /// When it was recorded.
    pub opened_at: Timestamp,
    /// When it lapses in the seller's favour.
    pub due: Timestamp,
    /// What the seller says.
    pub ground: DisputeGround,
    /// What the seller handed in.
    pub digests: Vec<Sha256Digest>,
    /// How it ended.
    pub end: Option<DisputeEnd>,
}

/// How a dispute ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeEnd {
    /// `None` where it lapsed in the seller's favour.
    pub outcome: Option<DisputeOutcome>,
    /// When.
    pub at: Timestamp,
}

impl DisputeEnd {
    /// Whether the seller was right, or was left without an answer.
    #[must_use]
    pub const fn clears(&self) -> bool {
        matches!(self.outcome, None | Some(DisputeOutcome::Refuted))
    }
}

/// What another member thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opined {
    /// The entry that says so, in that member's feed.
    pub opinion: SignalRef,
    /// Since when.
    pub at: Timestamp,
    /// What.
    pub stance: Stance,
}

/// What a signal has come to at `now`.
#[must_use]
pub fn life(told: &Told<'_>, roster: &Roster, now: Timestamp) -> Life {
    let policy = &roster.policy;
    let amendments = amendments(told);
    let statement = amended(told.statement, &amendments);
    let disputes = disputes(told, roster, now);
    let opinions = opinions(told, roster);
    let kept_until = told.recorded_at.plus_days(policy.retention_days(&statement));
    let answer = answer(told.statement, &amendments, policy);
    let has = |holds: fn(&Disputed) -> bool| disputes.iter().any(holds);
    let disagrees = opinions.iter().any(|opinion| matches!(opinion.stance, Stance::Disagree(_)));
    let status = if let Some(gone) = told.gone {
        gone
    } else if told.recorded_at.is_ahead_of(now) {
        SignalStatus::DatedAhead
    } else if now >= kept_until {
        SignalStatus::Expired
    } else if has(|dispute| dispute.end.as_ref().is_some_and(DisputeEnd::clears)) {
        SignalStatus::Refuted
    } else if disagrees || has(|dispute| dispute.end.is_none()) {
        SignalStatus::Disputed
    } else if answer.until.is_some_and(|until| now < until) {
        SignalStatus::RefutationPending
    } else if is_confirmed(&statement.evidence, &amendments, &answer) {
        SignalStatus::Confirmed
    } else {
        SignalStatus::Alleged
    };
    Life { status, statement, amendments, disputes, opinions, answer_until: answer.until }
}

/// Whether a marker of a member says anything at `now`.
#[must_use]
pub fn marker_holds(marker: &Marker, member: &MemberId, recorded_at: Timestamp, roster: &Roster, now: Timestamp) -> bool {
    let days = marker.valid_days.unwrap_or_else(|| roster.policy.markers.days(marker.kind));
    roster.is_active(member) && !recorded_at.is_ahead_of(now) && now < recorded_at.plus_days(days)
}

/// Whether `note` can be about the signal: of its audience, by one who belongs to it, and after it where both stand in one feed.
fn fits(told: &Told<'_>, note: &Note, roster: &Roster) -> bool {
    let (signal, at) = (told.signal, &note.at);
    at.feed.audience == signal.feed.audience
        && roster.writes_to(&at.feed.member, &at.feed.audience)
        && (at.feed != signal.feed || at.seq > signal.seq)
}

fn amendments(told: &Told<'_>) -> Vec<Amended> {
    let own = |note: &&Note| note.at.feed == told.signal.feed && note.at.seq > told.signal.seq;
    let mut amendments: Vec<Amended> = told
        .notes
        .iter()
        .filter(own)
        .filter_map(|note| match &note.body {
            Body::Amendment(amendment) if amendment.signal == told.signal.seq => {
                Some(Amended { seq: note.at.seq, at: note.recorded_at, change: amendment.change.clone() })
            }
            _ => None,
        })
        .collect();
    amendments.sort_unstable_by_key(|amended| amended.seq);
    amendments.truncate(MAX_AMENDMENTS);
    amendments
}

/// The statement with what was added to it.
fn amended(statement: &Statement, amendments: &[Amended]) -> Statement {
    let mut statement = statement.clone();
    for Amended { change, .. } in amendments {
        statement.evidence.extend(change.evidence.iter().cloned());
        for action in &change.actions {
            if !statement.actions.contains(action) {
                statement.actions.push(*action);
            }
        }
        statement.goods_value = change.goods_value.clone().or(statement.goods_value);
        statement.acted_on = change.acted_on.or(statement.acted_on);
    }
    let mut known = HashSet::new();
    statement.evidence.retain(|evidence| known.insert(evidence.clone()));
    if statement.evidence.len() > MAX_EVIDENCE {
        statement.evidence.sort_by_key(|evidence| Reverse(evidence.grade));
        statement.evidence.truncate(MAX_EVIDENCE);
    }
    statement
}

/// What became of a seller's right to answer.
struct Answer {
    /// When its working days end, where it was told.
    until: Option<Timestamp>,
    /// What it was told of, where it left that unanswered.
    unanswered: Option<EvidenceGrade>,
}

/// A seller is told of the evidence that there is. Telling it again of the same gives no new term; telling it of more does.
fn answer(statement: &Statement, amendments: &[Amended], policy: &Policy) -> Answer {
    let best = |evidence: &[Evidence]| evidence.iter().map(|evidence| evidence.grade).max();
    let mut known = best(&statement.evidence);
    let (mut told_of, mut news) = (None, true);
    let mut answer = Answer { until: None, unanswered: None };
    for Amended { at, change, .. } in amendments {
        known = known.max(best(&change.evidence));
        news |= !change.evidence.is_empty();
        match change.step {
            Some(AnswerStep::SellerNotified) if news => {
                let until = policy.answers.calendar.working_days_after(*at, policy.answers.working_days);
                answer = Answer { until: Some(until), unanswered: None };
                (told_of, news) = (known, false);
            }
            Some(AnswerStep::Unrefuted) if answer.until.is_some_and(|until| *at >= until) => answer.unanswered = told_of,
            Some(AnswerStep::SellerNotified | AnswerStep::Unrefuted) | None => {}
        }
    }
    answer
}

fn disputes(told: &Told<'_>, roster: &Roster, now: Timestamp) -> Vec<Disputed> {
    let mut by_feed: BTreeMap<_, Vec<(&Note, &Dispute)>> = BTreeMap::new();
    for note in told.notes.iter().filter(|note| fits(told, note, roster)) {
        if let Body::Dispute(dispute) = &note.body
            && dispute.signals.contains(told.signal)
        {
            by_feed.entry(&note.at.feed).or_default().push((note, dispute));
        }
    }
    let mut disputes = Vec::new();
    for (feed, recorded) in &mut by_feed {
        recorded.sort_unstable_by_key(|(note, _)| note.at.seq);
        let counted = recorded.iter().take(MAX_DISPUTES_BY_MEMBER);
        let counted = counted.map(|(note, dispute)| disputed(told, note, dispute, roster, now));
        // Of those that left, what the signal's own member has conceded stays.
        let active = roster.is_active(&feed.member);
        let conceded = |end: &DisputeEnd| end.outcome == Some(DisputeOutcome::Refuted);
        disputes.extend(counted.filter(|disputed| active || disputed.end.as_ref().is_some_and(conceded)));
    }
    disputes.sort_unstable_by(|a, b| (a.opened_at, &a.dispute).cmp(&(b.opened_at, &b.dispute)));
    disputes
}

fn disputed(told: &Told<'_>, note: &Note, dispute: &Dispute, roster: &Roster, now: Timestamp) -> Disputed {
    let answers = &roster.policy.answers;
    let opened_at = note.since.max(told.recorded_at).min(now);
    let due = answers.calendar.days_after(opened_at, answers.resolve_days);
    let decided = |outcome, before: Timestamp| {
        let fit = told
            .notes
            .iter()
            .filter(|other| other.since.min(now) < before && decides(other, note, dispute, told.signal, outcome));
        let first = fit.min_by_key(|decision| decision.at.seq);
        first.map(|decision| DisputeEnd { outcome: Some(outcome), at: decision.recorded_at.max(opened_at) })
    };
    let lapsed = || (now >= due).then_some(DisputeEnd { outcome: None, at: due });
    let end = decided(DisputeOutcome::Refuted, Timestamp::MAX)
        .or_else(|| decided(DisputeOutcome::Upheld, Timestamp::MAX))
        .or_else(|| decided(DisputeOutcome::TakenBack, due))
        .or_else(lapsed);
    Disputed { dispute: note.at.clone(), opened_at, due, ground: dispute.ground, digests: dispute.digests.clone(), end }
}

/// Whether `note` ends the dispute about `signal` in this way: by the signal's member, or by the member that recorded it where the
/// seller took it back.
fn decides(note: &Note, at: &Note, dispute: &Dispute, signal: &SignalRef, outcome: DisputeOutcome) -> bool {
    let Body::Decision(decision) = &note.body else { return false };
    let may = match outcome {
        DisputeOutcome::TakenBack => note.at.feed == at.at.feed,
        DisputeOutcome::Upheld | DisputeOutcome::Refuted => {
            note.at.feed == signal.feed && decision.signals.contains(&signal.seq)
        }
    };
    may && decision.outcome == outcome
        && decision.dispute == at.at
        && decision.reference == dispute.reference
        && (note.at.feed != at.at.feed || note.at.seq > at.at.seq)
}

fn opinions(told: &Told<'_>, roster: &Roster) -> Vec<Opined> {
    let mut newest: BTreeMap<&MemberId, (&Note, &Opinion)> = BTreeMap::new();
    for note in told.notes.iter().filter(|note| fits(told, note, roster)) {
        let member = &note.at.feed.member;
        if let Body::Opinion(opinion) = &note.body
            && opinion.signal == *told.signal
            && *member != told.signal.feed.member
            && roster.is_active(member)
            && newest.get(member).is_none_or(|(known, _)| known.at.seq < note.at.seq)
        {
            newest.insert(member, (note, opinion));
        }
    }
    let held = newest.into_iter().filter(|(_, (_, opinion))| opinion.stance != Stance::None);
    held.map(|(_, (note, opinion))| Opined { opinion: note.at.clone(), at: note.recorded_at, stance: opinion.stance.clone() })
        .collect()
}

fn is_confirmed(evidence: &[Evidence], amendments: &[Amended], answer: &Answer) -> bool {
    let last_outcome = amendments.iter().rev().find_map(|amended| amended.change.outcome);
    let conclusive = evidence.iter().any(|evidence| evidence.grade == EvidenceGrade::Conclusive);
    match last_outcome {
        Some(ReferralStage::Acquitted) => false,
        Some(ReferralStage::Convicted) => true,
        Some(_) | None => conclusive || answer.unanswered >= Some(EvidenceGrade::Substantial),
    }
}

#[cfg(test)]
mod tests;
