//! Between the generated messages and the words of the domain. Strict on the way in, total on the way out.

use std::str::FromStr;

use super::proto;
use crate::domain::limits::{MAX_IDENTIFIER_BYTES, MAX_IDENTIFIERS};
use crate::domain::{
    Alert, AlertId, DisputeGround, DisputeOutcome, FieldError, Identifier, IdentifierKind, RetractionReason, Seq, SignalRef,
    Standing, Strength, Submission, Timestamp, Verdict, Watch, WatchId,
};
use crate::feed::{
    Amended, DisputeEnd, Disputed, Opined, change_to_wire, digests_to_wire, entry_name_from_wire, required_word,
    stance_to_wire, statement_from_wire, statement_to_wire,
};
use crate::service::{
    Answer, CaseRecord, CaseSignal, ErasurePage, ErasureRecord, MarkerMatch, OverrideDraft, OverrideMatch, PastCheck, Receipt,
    Replica, SignalMatch, SignalRecord,
};
use crate::store::{FeedFreshness, FreshnessRecord, Override, OverrideId};

/// What a text says; an empty one says nothing.
pub(super) fn optional<T: FromStr<Err = FieldError>>(text: &str) -> Result<Option<T>, FieldError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// The name of an entry in `field`; an empty one names none.
pub(super) fn optional_name(field: &'static str, name: &str) -> Result<Option<SignalRef>, FieldError> {
    if name.is_empty() { Ok(None) } else { entry_name_from_wire(field, name).map(Some) }
}

/// A submission as it came in.
pub(super) fn submission(message: Option<proto::Submission>) -> Result<Submission, FieldError> {
    let missing = |field: &'static str| FieldError::new("FIELD_MISSING", field, "this field is required");
    let message = message.ok_or_else(|| missing("submission"))?;
    let id = optional(&message.submission_id)?;
    let statement = message.statement.ok_or_else(|| missing("statement"))?;
    Ok(Submission {
        id,
        audience: message.audience.parse()?,
        identifiers: identifiers(message.identifiers)?,
        statement: statement_from_wire(statement).map_err(|e| e.inside("statement"))?,
    })
}

/// Identifiers of one seller as they came in: 1 to 32, of known kinds and bounded length.
pub(super) fn identifiers(messages: Vec<proto::Identifier>) -> Result<Vec<Identifier>, FieldError> {
    if !(1..=MAX_IDENTIFIERS).contains(&messages.len()) {
        return Err(FieldError::new("IDENTIFIER_COUNT", "identifiers", "give 1 to 32 identifiers of one seller"));
    }
    let one = |(i, message)| identifier(message).map_err(|e| e.inside(format!("identifiers[{i}]")));
    messages.into_iter().enumerate().map(one).collect()
}

fn identifier(message: proto::Identifier) -> Result<Identifier, FieldError> {
    let kind = IdentifierKind::from_number(message.kind)
        .ok_or_else(|| FieldError::new("IDENTIFIER_KIND_UNKNOWN", "kind", "give a kind that this node's version knows"))?;
    if message.value.len() > MAX_IDENTIFIER_BYTES {
        return Err(FieldError::new("IDENTIFIER_TOO_LONG", "value", "give at most 2048 bytes"));
    }
    if message.region.len() > 2 {
        let advice = "give the two letters of an ISO 3166-1 alpha-2 code, or leave it empty";
        return Err(FieldError::new("REGION_UNKNOWN", "region", advice));
    }
    Ok(Identifier { kind, value: message.value, region: message.region })
}

/// The reason of a retraction.
pub(super) fn reason(number: i32) -> Result<RetractionReason, FieldError> {
    RetractionReason::from_number(number).ok_or_else(|| {
        FieldError::new("RETRACTION_REASON_UNKNOWN", "reason", "say why: mistaken identity, no infringement, ...")
    })
}

pub(super) fn receipt(receipt: &Receipt) -> proto::SubmissionReceipt {
    let Receipt { signal, created, rekeyed, status } = receipt;
    proto::SubmissionReceipt { signal: signal.to_string(), created: *created, rekeyed: *rekeyed, status: status.number() }
}

pub(super) fn record(record: &SignalRecord) -> proto::SignalRecord {
    let life = record.life.as_deref();
    let amendment = |amended: &Amended| proto::AmendmentRecord {
        amendment: SignalRef { feed: record.signal.feed.clone(), seq: amended.seq }.to_string(),
        recorded_at_ms: amended.at.unix_ms(),
        change: Some(change_to_wire(&amended.change)),
    };
    proto::SignalRecord {
        signal: record.signal.to_string(),
        status: record.status.number(),
        recorded_at_ms: record.recorded_at.unix_ms(),
        kinds: record.content.kinds.iter().map(|k| k.number()).collect(),
        statement: Some(statement_to_wire(&record.content.statement)),
        retraction_reason: record.retraction.map_or(0, RetractionReason::number),
        amendments: life.iter().flat_map(|life| &life.amendments).map(amendment).collect(),
        disputes: life.iter().flat_map(|life| &life.disputes).map(dispute).collect(),
        opinions: life.iter().flat_map(|life| &life.opinions).map(opinion).collect(),
        answer_until_ms: life.and_then(|life| life.answer_until).map_or(0, Timestamp::unix_ms),
    }
}

pub(super) fn erasures(page: &ErasurePage) -> proto::ListErasuresResponse {
    let erasure = |record: &ErasureRecord| proto::ErasureRecord {
        erasure: record.erasure.to_string(),
        recorded_at_ms: record.recorded_at.unix_ms(),
        reason: record.reason.number(),
        entries: u32::try_from(record.entries).unwrap_or(u32::MAX),
    };
    proto::ListErasuresResponse {
        erasures: page.erasures.iter().map(erasure).collect(),
        replicas: page.replicas.iter().map(replica).collect(),
        next_seq: page.next.map_or(0, Seq::get),
    }
}

fn replica(replica: &Replica) -> proto::ErasureReplica {
    let progress = replica.progress;
    proto::ErasureReplica {
        member: replica.member.to_string(),
        removed_before_seq: progress.map_or(0, |progress| progress.removed.get()),
        removed_at_ms: progress.map_or(0, |progress| progress.removed_at.unix_ms()),
        purged_before_seq: progress.map_or(0, |progress| progress.purged.get()),
        purged_at_ms: progress.map_or(0, |progress| progress.purged_at.unix_ms()),
        receipt: replica.receipt.clone(),
    }
}

fn dispute(disputed: &Disputed) -> proto::DisputeState {
    let Disputed { dispute, opened_at, due, ground, end, .. } = disputed;
    dispute_state(dispute, *opened_at, *due, *ground, end.as_ref())
}

fn dispute_state(
    dispute: &SignalRef,
    opened_at: Timestamp,
    due: Timestamp,
    ground: DisputeGround,
    end: Option<&DisputeEnd>,
) -> proto::DisputeState {
    proto::DisputeState {
        dispute: dispute.to_string(),
        opened_at_ms: opened_at.unix_ms(),
        due_ms: due.unix_ms(),
        ground: ground.number(),
        ended: end.is_some(),
        outcome: end.and_then(|end| end.outcome).map_or(0, DisputeOutcome::number),
        ended_at_ms: end.map_or(0, |end| end.at.unix_ms()),
    }
}

fn opinion(opined: &Opined) -> proto::OpinionRecord {
    let (stance, evidence, reason) = stance_to_wire(&opined.stance);
    let (member, recorded_at_ms) = (opined.opinion.feed.member.to_string(), opined.at.unix_ms());
    proto::OpinionRecord { member, recorded_at_ms, stance, evidence, reason }
}

pub(super) fn case(case: &CaseRecord) -> proto::CaseRecord {
    let signal = |of: &CaseSignal| proto::CaseSignal {
        signal: of.signal.to_string(),
        status: of.status.number(),
        dispute: Some(dispute_state(&case.dispute, of.opened_at, of.due, case.ground, of.end.as_ref())),
    };
    proto::CaseRecord {
        dispute: case.dispute.to_string(),
        ground: case.ground.number(),
        sha256: digests_to_wire(&case.digests),
        signals: case.signals.iter().map(signal).collect(),
    }
}

pub(super) fn answer(answer: &Answer) -> proto::CheckAnswer {
    let (reference, reference_error) = match &answer.reference {
        Ok(reference) => (reference.to_string(), String::new()),
        Err(error) => (String::new(), error.code().to_owned()),
    };
    let (own, elsewhere): (Vec<_>, Vec<_>) = answer.matches.iter().partition(|m| m.own);
    proto::CheckAnswer {
        reference,
        checked_at_ms: answer.checked_at.unix_ms(),
        verdict: answer.judgment.verdict.number(),
        reasons: answer.judgment.reasons.iter().map(|reason| reason.number()).collect(),
        score: answer.judgment.score.into(),
        markers: answer.markers.iter().map(marker_match).collect(),
        overrides: answer.overrides.iter().map(override_match).collect(),
        members_elsewhere: answer.members_elsewhere,
        elsewhere: elsewhere.into_iter().map(signal_match).collect(),
        own: own.into_iter().map(signal_match).collect(),
        matches_omitted: answer.omitted,
        reference_error,
        own_omitted: answer.own_omitted,
        watch: String::new(),
        watch_error: String::new(),
    }
}

/// What is to be answered about a seller.
pub(super) fn override_draft(message: proto::SetOverrideRequest) -> Result<OverrideDraft, FieldError> {
    let until = match message.until_ms {
        0 => None,
        ms if jiff::Timestamp::from_millisecond(ms).is_ok() => Some(Timestamp::from_unix_ms(ms)),
        _ => return Err(FieldError::new("OVERRIDE_ENDED", "until_ms", "give an instant to come, or leave it empty")),
    };
    Ok(OverrideDraft {
        verdict: required_word(message.verdict, Verdict::from_number, "VERDICT_UNKNOWN", "verdict")?,
        identifiers: identifiers(message.identifiers)?,
        until,
        note: message.note,
    })
}

pub(super) fn override_record(id: OverrideId, made: &Override) -> proto::OverrideRecord {
    proto::OverrideRecord {
        r#override: id.to_string(),
        verdict: made.verdict.number(),
        kinds: made.kinds.iter().map(|kind| kind.number()).collect(),
        made_at_ms: made.made_at.unix_ms(),
        until_ms: made.until.map_or(0, Timestamp::unix_ms),
        note: made.note.clone(),
        indices: Vec::new(),
    }
}

fn override_match(found: &OverrideMatch) -> proto::OverrideRecord {
    proto::OverrideRecord { kinds: Vec::new(), indices: found.indices.clone(), ..override_record(found.id, &found.made) }
}

fn standing(standing: Standing) -> Option<proto::Standing> {
    Some(proto::Standing { verdict: standing.verdict.number(), members_elsewhere: standing.members })
}

pub(super) fn watch(id: WatchId, watch: &Watch) -> proto::WatchRecord {
    proto::WatchRecord {
        watch: id.to_string(),
        kinds: watch.kinds.iter().map(|kind| kind.number()).collect(),
        made_at_ms: watch.made_at.unix_ms(),
        until_ms: watch.until.unix_ms(),
        label: watch.label.clone(),
        standing: standing(watch.standing),
    }
}

pub(super) fn alert(id: AlertId, alert: &Alert) -> proto::Alert {
    proto::Alert {
        alert: id.to_string(),
        watch: alert.watch.to_string(),
        label: alert.label.clone(),
        kind: alert.kind.number(),
        raised_at_ms: alert.raised_at.unix_ms(),
        before: standing(alert.before),
        after: standing(alert.after),
        signal: alert.signal.as_ref().map(ToString::to_string).unwrap_or_default(),
        refused: alert.refused.clone(),
    }
}

fn marker_match(found: &MarkerMatch) -> proto::MarkerMatch {
    proto::MarkerMatch {
        marker: found.marker.to_string(),
        kind: found.kind.number(),
        reason: found.reason.number(),
        recorded_at_ms: found.recorded_at.unix_ms(),
        index: found.index,
        identifier: found.identifier.number(),
    }
}

fn signal_match(found: &SignalMatch) -> proto::SignalMatch {
    let matched = found.matched.iter().map(|m| proto::MatchedIdentifier {
        index: m.index,
        kind: m.kind.number(),
        strength: match m.strength {
            Strength::Void => proto::Strength::Void.into(),
            Strength::Weak => proto::Strength::Weak.into(),
            Strength::Strong => proto::Strength::Strong.into(),
        },
    });
    proto::SignalMatch {
        signal: found.record.signal.to_string(),
        member: found.record.signal.feed.member.to_string(),
        status: found.record.status.number(),
        recorded_at_ms: found.record.recorded_at.unix_ms(),
        statement: Some(statement_to_wire(found.record.statement())),
        matched: matched.collect(),
        quarantined: found.quarantined,
        counts: found.counts,
    }
}

pub(super) fn freshness(freshness: &FreshnessRecord) -> proto::Freshness {
    let feed = |f: &FeedFreshness| proto::FeedFreshness {
        member: f.feed.member.to_string(),
        audience: f.feed.audience.to_string(),
        size: f.size.get(),
        newest_size: f.newest_size.get(),
        last_heard_ms: f.last_heard.map_or(0, Timestamp::unix_ms),
        state: f.state.number(),
        live_signals: f.live_signals,
        not_understood: f.not_understood,
        missing: f.missing,
    };
    proto::Freshness { as_of_ms: freshness.as_of.unix_ms(), feeds: freshness.feeds.iter().map(feed).collect() }
}

pub(super) fn past_check(past: &PastCheck) -> proto::GetCheckResponse {
    proto::GetCheckResponse {
        answer: Some(answer(&past.answer)),
        freshness: Some(freshness(&past.answer.freshness)),
        kinds: past.kinds.iter().map(|k| k.number()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_told_by_its_own_field() {
        let read = |value: &str, region: &str| {
            let message = proto::Identifier { kind: 4, value: value.into(), region: region.into() };
            identifiers(vec![message]).map(|_| ()).map_err(|error| (error.code, error.field))
        };
        assert_eq!(read("+8613800138000", "CN"), Ok(()));
        assert_eq!(read("13800138000", "CHN"), Err(("REGION_UNKNOWN", "identifiers[0].region".into())));
        assert_eq!(read(&"1".repeat(2_049), "CN"), Err(("IDENTIFIER_TOO_LONG", "identifiers[0].value".into())));
    }
}
