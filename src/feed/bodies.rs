//! Bodies of entries between the domain's types and the generated ones, but for signals.
//!
//! Reading is strict and hangs on no table that changes and on no day, as in [`super::codec`]. What only ever clears a seller reads
//! a reason that this version does not know as "other".

use super::statement::{
    Words, change_from, change_to_wire, day_from_wire, digests_from_wire, digests_to_wire, evidence_list_from_wire,
    evidence_to_wire, goods_value_from_wire, goods_value_to_wire, grades_are_given, signals_from_wire, stated, unknown, word,
};
use super::wire;
use super::{codec, wire::entry::Body as Wire};
use crate::domain::{
    Amendment, CaseTag, Decision, Dispute, DisputeGround, DisputeOutcome, Erasure, ErasureReason, FieldError, IdentifierKind,
    LeadId, Marker, MarkerKind, MarkerLift, MarkerReason, Opinion, Referral, ReferralStage, Region, Rekeying, Retraction,
    RetractionReason, Sentence, Seq, SignalRef, Stance, SubmissionTag,
};

pub(super) fn retraction_to_wire(retraction: Retraction) -> Wire {
    Wire::Retraction(wire::Retraction { signal_seq: retraction.signal.get(), reason: retraction.reason.number() })
}

/// A reason that this version does not know is a reason all the same.
pub(super) fn retraction_from_wire(retraction: wire::Retraction) -> Retraction {
    let reason = RetractionReason::from_number(retraction.reason).unwrap_or(RetractionReason::Other);
    Retraction { signal: Seq::new(retraction.signal_seq), reason }
}

pub(super) fn amendment_to_wire(amendment: &Amendment) -> Wire {
    let change = Some(change_to_wire(&amendment.change));
    Wire::Amendment(wire::Amendment { signal_seq: amendment.signal.get(), change })
}

pub(super) fn amendment_from_wire(amendment: wire::Amendment) -> Result<Amendment, FieldError> {
    let change = amendment.change.unwrap_or_default();
    let change = change_from(change, Words::WellFormed).map_err(|e| e.inside("change"))?;
    Ok(Amendment { signal: Seq::new(amendment.signal_seq), change })
}

pub(super) fn dispute_to_wire(dispute: &Dispute) -> Wire {
    Wire::Dispute(wire::Dispute {
        signals: dispute.signals.iter().map(ToString::to_string).collect(),
        ground: dispute.ground.number(),
        sha256: digests_to_wire(&dispute.digests),
        reference: dispute.reference.0.to_vec().into(),
    })
}

pub(super) fn dispute_from_wire(dispute: &wire::Dispute) -> Result<Dispute, FieldError> {
    Ok(Dispute {
        signals: signals_from_wire("signals", &dispute.signals)?,
        ground: DisputeGround::from_number(dispute.ground).unwrap_or(DisputeGround::Other),
        digests: digests_from_wire(&dispute.sha256)?,
        reference: CaseTag(codec::fixed(&dispute.reference, "reference")?),
    })
}

pub(super) fn decision_to_wire(decision: &Decision) -> Wire {
    Wire::Decision(wire::Decision {
        dispute: decision.dispute.to_string(),
        outcome: decision.outcome.number(),
        signal_seqs: decision.signals.iter().map(|seq| seq.get()).collect(),
        reference: decision.reference.0.to_vec().into(),
    })
}

pub(super) fn decision_from_wire(decision: &wire::Decision) -> Result<Decision, FieldError> {
    Ok(Decision {
        dispute: entry_name_from_wire("dispute", &decision.dispute)?,
        outcome: required_word(decision.outcome, DisputeOutcome::from_number, "DISPUTE_OUTCOME_UNKNOWN", "outcome")?,
        signals: decision.signal_seqs.iter().map(|seq| Seq::new(*seq)).collect(),
        reference: CaseTag(codec::fixed(&decision.reference, "reference")?),
    })
}

pub(super) fn opinion_to_wire(opinion: &Opinion) -> Wire {
    let (stance, evidence, reason) = stance_to_wire(&opinion.stance);
    Wire::Opinion(wire::Opinion { signal: opinion.signal.to_string(), stance, evidence, reason })
}

/// A stance, the evidence of one who agrees, and the reason of one who does not.
#[must_use]
pub fn stance_to_wire(stance: &Stance) -> (i32, Vec<wire::Evidence>, i32) {
    match stance {
        Stance::Agree(evidence) => (wire::Stance::Agree.into(), evidence.iter().map(evidence_to_wire).collect(), 0),
        Stance::Disagree(reason) => (wire::Stance::Disagree.into(), Vec::new(), reason.number()),
        Stance::None => (wire::Stance::None.into(), Vec::new(), 0),
    }
}

pub(super) fn opinion_from_wire(opinion: wire::Opinion) -> Result<Opinion, FieldError> {
    grades_are_given(&opinion.evidence)?;
    let signal = entry_name_from_wire("signal", &opinion.signal)?;
    Ok(Opinion { signal, stance: stance_from_wire(opinion.stance, opinion.evidence, opinion.reason)? })
}

/// A stance with what it needs and nothing else.
///
/// # Errors
/// The first field without a meaning, or that does not go with the stance.
pub fn stance_from_wire(stance: i32, evidence: Vec<wire::Evidence>, reason: i32) -> Result<Stance, FieldError> {
    let stance = wire::Stance::try_from(stance).map_err(|_| unknown("STANCE_UNKNOWN", "stance"))?;
    if stance != wire::Stance::Agree && !evidence.is_empty() {
        return Err(FieldError::new("EVIDENCE_COUNT", "evidence", "evidence goes with agreement; leave it out"));
    }
    if stance != wire::Stance::Disagree && reason != 0 {
        return Err(FieldError::new("DISPUTE_GROUND_UNFIT", "reason", "a reason goes with disagreement; leave it out"));
    }
    match stance {
        wire::Stance::Agree => evidence_list_from_wire(evidence).map(Stance::Agree),
        wire::Stance::Disagree => {
            required_word(reason, DisputeGround::from_number, "DISPUTE_GROUND_UNKNOWN", "reason").map(Stance::Disagree)
        }
        wire::Stance::None => Ok(Stance::None),
        wire::Stance::Unspecified => Err(unknown("STANCE_UNKNOWN", "stance")),
    }
}

/// An opinion that disagrees; `None` for any other.
pub(super) fn disagreement(opinion: &wire::Opinion) -> Option<Result<Opinion, FieldError>> {
    (opinion.stance == i32::from(wire::Stance::Disagree)).then(|| {
        let reason = DisputeGround::from_number(opinion.reason).unwrap_or(DisputeGround::Other);
        Ok(Opinion { signal: entry_name_from_wire("signal", &opinion.signal)?, stance: Stance::Disagree(reason) })
    })
}

/// A decision that the seller was right; `None` for any other.
pub(super) fn refutation(decision: &wire::Decision) -> Option<Result<Decision, FieldError>> {
    (decision.outcome == DisputeOutcome::Refuted.number()).then(|| decision_from_wire(decision))
}

/// A victim's marker; `None` for any other.
pub(super) fn victim(marker: &wire::Marker) -> Option<Result<Marker, FieldError>> {
    (marker.kind == MarkerKind::Victim.number()).then(|| {
        let reason = MarkerReason::from_number(marker.reason).unwrap_or(MarkerReason::Other);
        // Of the identifiers those count whose kind is known; the others are of no signal that this version reads.
        let known = |place: usize| marker.kinds.get(place).is_some_and(|kind| IdentifierKind::from_number(*kind).is_some());
        let set = |set: &wire::PseudonymSet| {
            let kept = set.pseudonyms.iter().enumerate().filter(|(place, _)| known(*place) || *place >= marker.kinds.len());
            wire::PseudonymSet { pseudonyms: kept.map(|(_, pseudonym)| pseudonym.clone()).collect(), ..set.clone() }
        };
        let kinds = marker.kinds.iter().copied().filter(|kind| IdentifierKind::from_number(*kind).is_some()).collect();
        let pseudonyms = marker.pseudonyms.iter().map(set).collect();
        marker_from_wire(&wire::Marker { kinds, pseudonyms, reason: reason.number(), ..marker.clone() })
    })
}

pub(super) fn marker_to_wire(marker: &Marker) -> Wire {
    Wire::Marker(wire::Marker {
        kind: marker.kind.number(),
        kinds: marker.kinds.iter().map(|kind| kind.number()).collect(),
        pseudonyms: marker.pseudonyms.iter().map(codec::set_to_wire).collect(),
        reason: marker.reason.number(),
        sha256: digests_to_wire(&marker.digests),
        valid_days: marker.valid_days.map_or(0, u32::from),
    })
}

pub(super) fn marker_from_wire(marker: &wire::Marker) -> Result<Marker, FieldError> {
    Ok(Marker {
        kind: required_word(marker.kind, MarkerKind::from_number, "MARKER_KIND_UNKNOWN", "kind")?,
        kinds: codec::kinds_from_wire(&marker.kinds)?,
        pseudonyms: codec::sets_from_wire(&marker.pseudonyms)?,
        reason: required_word(marker.reason, MarkerReason::from_number, "MARKER_REASON_UNKNOWN", "reason")?,
        digests: digests_from_wire(&marker.sha256)?,
        valid_days: validity_from_wire(marker.valid_days)?,
    })
}

/// Days that a marker holds; `None` for 0.
///
/// # Errors
/// More than there can be.
pub fn validity_from_wire(days: u32) -> Result<Option<u16>, FieldError> {
    let too_long = |_| FieldError::new("VALIDITY_OUT_OF_RANGE", "valid_days", "give 1 to 3653 days, or leave it empty");
    if days == 0 { Ok(None) } else { u16::try_from(days).map(Some).map_err(too_long) }
}

pub(super) fn lift_to_wire(lift: MarkerLift) -> Wire {
    Wire::MarkerLift(wire::MarkerLift { marker_seq: lift.marker.get() })
}

pub(super) fn lift_from_wire(lift: wire::MarkerLift) -> MarkerLift {
    MarkerLift { marker: Seq::new(lift.marker_seq) }
}

pub(super) fn erasure_to_wire(erasure: &Erasure) -> Wire {
    let tag = |tag: &Option<SubmissionTag>| tag.map_or_else(Default::default, |tag| tag.0.to_vec().into());
    Wire::Erasure(wire::Erasure {
        seqs: erasure.entries.iter().map(|seq| seq.get()).collect(),
        reason: erasure.reason.number(),
        submission_tags: erasure.tags.iter().map(tag).collect(),
    })
}

/// What it names is erased whatever the tags are: those that do not fit are passed over.
pub(super) fn erasure_from_wire(erasure: &wire::Erasure) -> Erasure {
    let fit = erasure.submission_tags.len() == erasure.seqs.len();
    let tags = erasure.submission_tags.iter().filter(|_| fit);
    Erasure {
        entries: erasure.seqs.iter().map(|seq| Seq::new(*seq)).collect(),
        tags: tags.map(|tag| tag.as_ref().try_into().ok().map(SubmissionTag)).collect(),
        reason: ErasureReason::from_number(erasure.reason).unwrap_or(ErasureReason::Other),
    }
}

pub(super) fn referral_to_wire(referral: &Referral) -> Wire {
    Wire::Referral(wire::Referral {
        lead: referral.lead.0.to_vec().into(),
        stage: referral.stage.number(),
        signals: referral.signals.iter().map(ToString::to_string).collect(),
        region: referral.region.as_ref().map(ToString::to_string).unwrap_or_default(),
        authority: referral.authority.clone().unwrap_or_default(),
        sentence: referral.sentence.map_or(0, Sentence::number),
        happened_on: referral.happened_on.map(|day| day.to_string()).unwrap_or_default(),
        goods_value: referral.goods_value.as_ref().map(goods_value_to_wire),
    })
}

pub(super) fn referral_from_wire(referral: wire::Referral) -> Result<Referral, FieldError> {
    let goods_value = |value| goods_value_from_wire(value, Words::WellFormed).map_err(|e| e.inside("goods_value"));
    Ok(Referral {
        lead: LeadId(codec::fixed(&referral.lead, "lead")?),
        stage: required_word(referral.stage, ReferralStage::from_number, "REFERRAL_STAGE_UNKNOWN", "stage")?,
        signals: signals_from_wire("signals", &referral.signals)?,
        region: stated(referral.region).map(|text| Region::well_formed(&text)).transpose()?,
        authority: stated(referral.authority),
        sentence: word(referral.sentence, Sentence::from_number, "SENTENCE_UNKNOWN", "sentence")?,
        happened_on: day_from_wire("happened_on", &referral.happened_on)?,
        goods_value: referral.goods_value.map(goods_value).transpose()?,
    })
}

pub(super) fn rekeying_to_wire(rekeying: &Rekeying) -> Wire {
    Wire::Rekeying(wire::Rekeying {
        signal_seq: rekeying.signal.get(),
        submission_tag: rekeying.tag.map_or_else(Default::default, |tag| tag.0.to_vec().into()),
        pseudonyms: rekeying.pseudonyms.iter().map(codec::set_to_wire).collect(),
    })
}

pub(super) fn rekeying_from_wire(rekeying: &wire::Rekeying) -> Result<Rekeying, FieldError> {
    let tag = match rekeying.submission_tag.as_ref() {
        [] => None,
        tag => Some(SubmissionTag(codec::fixed(tag, "submission_tag")?)),
    };
    let pseudonyms = codec::sets_from_wire(&rekeying.pseudonyms)?;
    Ok(Rekeying { signal: Seq::new(rekeying.signal_seq), tag, pseudonyms })
}

/// The name of an entry.
///
/// # Errors
/// [`FieldError`] in `field` where it is none.
pub fn entry_name_from_wire(field: &'static str, name: &str) -> Result<SignalRef, FieldError> {
    name.parse().map_err(|error: FieldError| FieldError { field: field.to_owned(), ..error })
}

/// A word of a vocabulary that cannot be left out.
///
/// # Errors
/// `code` in `field` for 0, and for a number without a word.
pub fn required_word<T>(
    number: i32,
    from_number: fn(i32) -> Option<T>,
    code: &'static str,
    field: &'static str,
) -> Result<T, FieldError> {
    word(number, from_number, code, field)?.ok_or_else(|| unknown(code, field))
}
