//! Between the generated messages and the words of the domain. Strict on the way in, total on the way out.

use super::proto;
use crate::domain::limits::{MAX_IDENTIFIER_BYTES, MAX_IDENTIFIERS};
use crate::domain::{FieldError, Identifier, IdentifierKind, RetractionReason, Strength, Submission, Timestamp};
use crate::feed::{statement_from_wire, statement_to_wire};
use crate::service::{Answer, PastCheck, Receipt, SignalMatch, SignalRecord};
use crate::store::{FeedFreshness, FreshnessRecord};

/// A submission as it came in.
pub(super) fn submission(message: Option<proto::Submission>) -> Result<Submission, FieldError> {
    let missing = |field: &'static str| FieldError::new("FIELD_MISSING", field, "this field is required");
    let message = message.ok_or_else(|| missing("submission"))?;
    let id = if message.submission_id.is_empty() { None } else { Some(message.submission_id.parse()?) };
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
    proto::SubmissionReceipt { signal: receipt.signal.to_string(), created: receipt.created, status: receipt.status.number() }
}

pub(super) fn record(record: &SignalRecord) -> proto::SignalRecord {
    proto::SignalRecord {
        signal: record.signal.to_string(),
        status: record.status.number(),
        recorded_at_ms: record.recorded_at.unix_ms(),
        kinds: record.content.kinds.iter().map(|k| k.number()).collect(),
        statement: Some(statement_to_wire(&record.content.statement)),
        retraction_reason: record.retraction.map_or(0, RetractionReason::number),
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
        verdict: answer.verdict.number(),
        members_elsewhere: answer.members_elsewhere,
        elsewhere: elsewhere.into_iter().map(signal_match).collect(),
        own: own.into_iter().map(signal_match).collect(),
        matches_omitted: answer.omitted,
        reference_error,
        own_omitted: answer.own_omitted,
    }
}

fn signal_match(found: &SignalMatch) -> proto::SignalMatch {
    let matched = found.matched.iter().map(|m| proto::MatchedIdentifier {
        index: m.index,
        kind: m.kind.number(),
        strength: match m.strength {
            Strength::Weak => proto::Strength::Weak.into(),
            Strength::Strong => proto::Strength::Strong.into(),
        },
    });
    proto::SignalMatch {
        signal: found.record.signal.to_string(),
        member: found.record.signal.feed.member.to_string(),
        status: found.record.status.number(),
        recorded_at_ms: found.record.recorded_at.unix_ms(),
        statement: Some(statement_to_wire(&found.record.content.statement)),
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
