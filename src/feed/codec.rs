//! Entries to bytes and back: format 1 of `entry.proto`.
//!
//! Encoding happens once, by the member that owns the feed; nothing here is ever used to check a signature or a hash. Reading is
//! strict, because every node must draw the same from the same bytes, whatever its version:
//!
//! - The format number decides first. Another format is not understood, even where this version could guess at it.
//! - Format 1 has one encoding of each entry: known fields in the order of their numbers, defaults left out, numbers packed, as
//!   every common protobuf library writes them. Anything else (a field that this version does not know, one given twice, two
//!   bodies, an overlong number) is not understood. A reader that skipped an unknown field would count a signal without
//!   something that a newer node reads in it, and of two bodies protobuf takes the last one *known*, so versions would silently
//!   differ. Not understood is visible: it is counted, and the node says so. So a new field or body needs no new format
//!   number to be safe, only an upgrade to be read; and an understood signal carries nothing that nobody looked at.
//! - What only ever clears a seller is the exception: a retraction, an erasure, a dispute, a decision that refutes, an opinion that
//!   disagrees and a victim's marker hold whatever else stands in them but a signal. Where a newer node sees a seller cleared, an
//!   older one must not go on accusing.

use jiff::civil::Date;
use prost::Message as _;

use super::statement::{statement_of_entry, statement_to_wire};
use super::{Body, Entry, EntryBytes, EntryBytesError, bodies, wire};
use crate::domain::limits::SALT_BYTES;
use crate::domain::{
    Audience, FieldError, IdentifierKind, KeyId, Pseudonym, PseudonymSet, SignalContent, SubmissionTag, Timestamp,
};

/// The layout that this version reads and writes.
const FORMAT: u32 = 1;

/// The format number alone; all other fields are skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Layout {
    #[prost(uint32, tag = "1")]
    format: u32,
}

/// What may clear a seller, and whether there is a signal, also where a later body has taken the place of both.
#[derive(Clone, PartialEq, prost::Message)]
struct ClearingParts {
    #[prost(bytes = "bytes", optional, tag = "4")]
    signal: Option<bytes::Bytes>,
    #[prost(message, optional, tag = "5")]
    retraction: Option<wire::Retraction>,
    #[prost(message, optional, tag = "7")]
    dispute: Option<wire::Dispute>,
    #[prost(message, optional, tag = "8")]
    decision: Option<wire::Decision>,
    #[prost(message, optional, tag = "9")]
    opinion: Option<wire::Opinion>,
    #[prost(message, optional, tag = "10")]
    marker: Option<wire::Marker>,
    #[prost(message, optional, tag = "12")]
    erasure: Option<wire::Erasure>,
}

impl ClearingParts {
    /// The first that is there and clears; `None` where there is none, or a signal beside it.
    fn body(&self) -> Option<Result<Body, FieldError>> {
        if self.signal.is_some() {
            return None;
        }
        let retraction = self.retraction.map(|retraction| Ok(Body::Retraction(bodies::retraction_from_wire(retraction))));
        let erasure = || self.erasure.as_ref().map(|erasure| Ok(Body::Erasure(bodies::erasure_from_wire(erasure))));
        let dispute = || self.dispute.as_ref().map(|dispute| bodies::dispute_from_wire(dispute).map(Body::Dispute));
        let decision = || self.decision.as_ref().and_then(bodies::refutation).map(|read| read.map(Body::Decision));
        let opinion = || self.opinion.as_ref().and_then(bodies::disagreement).map(|read| read.map(Body::Opinion));
        let marker = || self.marker.as_ref().and_then(bodies::victim).map(|read| read.map(Body::Marker));
        retraction.or_else(erasure).or_else(dispute).or_else(decision).or_else(opinion).or_else(marker)
    }
}

/// The bytes of `entry`, to be kept for ever. `salt` is fresh randomness for each entry.
///
/// What goes in is judged as what comes out of a feed: an entry that other nodes would not understand must never be signed.
///
/// # Errors
/// [`EncodeError::TooLarge`] (code `ENTRY_TOO_LARGE`) above 8,192 bytes, [`EncodeError::Invalid`] where the entry is out of bounds.
pub fn encode(entry: &Entry, salt: [u8; SALT_BYTES]) -> Result<EntryBytes, EncodeError> {
    let body = match &entry.body {
        Body::Signal { tag, content } => wire::entry::Body::Signal(signal_to_wire(*tag, content)),
        Body::Retraction(retraction) => bodies::retraction_to_wire(*retraction),
        Body::Amendment(amendment) => bodies::amendment_to_wire(amendment),
        Body::Dispute(dispute) => bodies::dispute_to_wire(dispute),
        Body::Decision(decision) => bodies::decision_to_wire(decision),
        Body::Opinion(opinion) => bodies::opinion_to_wire(opinion),
        Body::Marker(marker) => bodies::marker_to_wire(marker),
        Body::MarkerLift(lift) => bodies::lift_to_wire(*lift),
        Body::Erasure(erasure) => bodies::erasure_to_wire(erasure),
        Body::Referral(referral) => bodies::referral_to_wire(referral),
        Body::Rekeying(rekeying) => bodies::rekeying_to_wire(rekeying),
    };
    let message = wire::Entry {
        format: FORMAT,
        salt: salt.to_vec().into(),
        recorded_at_ms: entry.recorded_at.unix_ms(),
        body: Some(body),
    };
    let bytes = EntryBytes::from_peer(message.encode_to_vec().into()).map_err(EncodeError::TooLarge)?;
    judge(entry).map_err(|error| EncodeError::Invalid(NotUnderstood::OutOfBounds(error)))?;
    Ok(bytes)
}

/// What this version reads in `bytes`. Does no more than read: whether a day lies in the future, or a platform is in the roster,
/// was for the submission to check, and must not make nodes differ later.
///
/// # Errors
/// [`NotUnderstood`], which is no failure of the feed: the bytes are kept and relayed, and nothing is drawn from them.
pub fn decode(bytes: &EntryBytes) -> Result<Entry, NotUnderstood> {
    let Layout { format } = Layout::decode(bytes.as_slice()).map_err(|_| NotUnderstood::Malformed)?;
    if format != FORMAT {
        return Err(NotUnderstood::UnknownFormat { format });
    }
    let message = wire::Entry::decode(bytes.bytes().clone()).map_err(|_| NotUnderstood::Malformed)?;
    if message.body.is_none() {
        return Err(NotUnderstood::UnknownBody);
    }
    // Nearly all entries are signals and nothing else.
    let clears = !matches!(message.body, Some(wire::entry::Body::Signal(_)));
    if clears
        && let Ok(parts) = ClearingParts::decode(bytes.as_slice())
        && let Some(body) = parts.body()
    {
        let body = body.map_err(NotUnderstood::OutOfBounds)?;
        return judged(Entry { recorded_at: Timestamp::from_unix_ms(message.recorded_at_ms), body });
    }
    if message.encode_to_vec() != bytes.as_slice() {
        return Err(NotUnderstood::NotCanonical);
    }
    entry_from_wire(message).map_err(NotUnderstood::OutOfBounds).and_then(judged)
}

fn judged(entry: Entry) -> Result<Entry, NotUnderstood> {
    judge(&entry).map_err(NotUnderstood::OutOfBounds)?;
    Ok(entry)
}

/// Every bound of an entry that its types leave open: the same for what is written and for what is read.
fn judge(entry: &Entry) -> Result<(), FieldError> {
    // An instant that a calendar has, so that adding days to it or showing it never fails.
    let ms = entry.recorded_at.unix_ms();
    if ms < 0 || jiff::Timestamp::from_millisecond(ms).is_err() {
        return Err(out_of_bounds("recorded_at_ms", "the instant lies in 1970 to 9999"));
    }
    match &entry.body {
        Body::Signal { content, .. } => judge_content(content).map_err(|e| e.inside("signal")),
        Body::Retraction(_) | Body::MarkerLift(_) => Ok(()),
        Body::Amendment(amendment) => amendment.change.validate_shape(Date::MAX).map_err(|e| e.inside("amendment.change")),
        Body::Dispute(dispute) => dispute.validate(&audience_of(dispute.signals.first())).map_err(|e| e.inside("dispute")),
        Body::Decision(decision) => decision.validate(&decision.dispute.feed.audience).map_err(|e| e.inside("decision")),
        Body::Opinion(opinion) => opinion.validate(&opinion.signal.feed.audience, false).map_err(|e| e.inside("opinion")),
        Body::Marker(marker) => marker.validate().map_err(|e| e.inside("marker")),
        Body::Erasure(erasure) => erasure.validate().map_err(|e| e.inside("erasure")),
        Body::Referral(referral) => {
            referral.validate(&audience_of(referral.signals.first()), Date::MAX).map_err(|e| e.inside("referral"))
        }
        Body::Rekeying(rekeying) => rekeying.validate().map_err(|e| e.inside("rekeying")),
    }
    .map_err(|error| FieldError { code: "ENTRY_OUT_OF_BOUNDS", ..error })
}

/// Bytes do not tell in which feed they stand: that what an entry names is of its own audience is for the view to see. Here it is
/// only that all of it is of one.
fn audience_of(first: Option<&crate::domain::SignalRef>) -> Audience {
    first.map_or(Audience::Alliance, |signal| signal.feed.audience.clone())
}

fn judge_content(content: &SignalContent) -> Result<(), FieldError> {
    content.subject().validate()?;
    content.statement.validate_shape(Date::MAX).map_err(|e| e.inside("statement"))
}

fn entry_from_wire(message: wire::Entry) -> Result<Entry, FieldError> {
    use wire::entry::Body as Wire;
    fixed::<SALT_BYTES>(&message.salt, "salt")?;
    let recorded_at = Timestamp::from_unix_ms(message.recorded_at_ms);
    let body = match message.body {
        Some(Wire::Signal(signal)) => signal_from_wire(signal).map_err(|e| e.inside("signal"))?,
        Some(Wire::Amendment(m)) => bodies::amendment_from_wire(m).map(Body::Amendment).map_err(|e| e.inside("amendment"))?,
        Some(Wire::Decision(m)) => bodies::decision_from_wire(&m).map(Body::Decision).map_err(|e| e.inside("decision"))?,
        Some(Wire::Opinion(m)) => bodies::opinion_from_wire(m).map(Body::Opinion).map_err(|e| e.inside("opinion"))?,
        Some(Wire::Marker(m)) => bodies::marker_from_wire(&m).map(Body::Marker).map_err(|e| e.inside("marker"))?,
        Some(Wire::MarkerLift(m)) => Body::MarkerLift(bodies::lift_from_wire(m)),
        Some(Wire::Referral(m)) => bodies::referral_from_wire(m).map(Body::Referral).map_err(|e| e.inside("referral"))?,
        Some(Wire::Rekeying(m)) => bodies::rekeying_from_wire(&m).map(Body::Rekeying).map_err(|e| e.inside("rekeying"))?,
        Some(Wire::Retraction(_) | Wire::Dispute(_) | Wire::Erasure(_)) | None => {
            return Err(out_of_bounds("body", "an entry has one body"));
        }
    };
    Ok(Entry { recorded_at, body })
}

fn signal_to_wire(tag: SubmissionTag, content: &SignalContent) -> wire::Signal {
    wire::Signal {
        submission_tag: tag.0.to_vec().into(),
        kinds: content.kinds.iter().map(|kind| kind.number()).collect(),
        pseudonyms: content.pseudonyms.iter().map(set_to_wire).collect(),
        statement: Some(statement_to_wire(&content.statement)),
    }
}

pub(super) fn set_to_wire(set: &PseudonymSet) -> wire::PseudonymSet {
    let pseudonyms = set.pseudonyms.iter().map(|p| p.0.to_vec().into()).collect();
    wire::PseudonymSet { key_id: set.key.to_string(), pseudonyms }
}

fn signal_from_wire(signal: wire::Signal) -> Result<Body, FieldError> {
    let tag = SubmissionTag(fixed(&signal.submission_tag, "submission_tag")?);
    let kinds = kinds_from_wire(&signal.kinds)?;
    let pseudonyms = sets_from_wire(&signal.pseudonyms)?;
    let statement = signal.statement.ok_or_else(|| out_of_bounds("statement", "a signal has a statement"))?;
    let statement = statement_of_entry(statement).map_err(|e| e.inside("statement"))?;
    Ok(Body::Signal { tag, content: SignalContent { kinds, pseudonyms, statement } })
}

pub(super) fn kinds_from_wire(kinds: &[i32]) -> Result<Vec<IdentifierKind>, FieldError> {
    let kind = |(i, number): (usize, &i32)| {
        IdentifierKind::from_number(*number).ok_or_else(|| out_of_bounds(format!("kinds[{i}]"), "no such kind of identifier"))
    };
    kinds.iter().enumerate().map(kind).collect()
}

pub(super) fn sets_from_wire(sets: &[wire::PseudonymSet]) -> Result<Vec<PseudonymSet>, FieldError> {
    let set = |(i, set)| set_from_wire(set).map_err(|e| e.inside(format!("pseudonyms[{i}]")));
    sets.iter().enumerate().map(set).collect()
}

fn set_from_wire(set: &wire::PseudonymSet) -> Result<PseudonymSet, FieldError> {
    let key: KeyId = set.key_id.parse().map_err(|_| out_of_bounds("key_id", "not the id of a key"))?;
    let pseudonym = |(i, bytes): (usize, &bytes::Bytes)| {
        fixed(bytes, "").map(Pseudonym).map_err(|error| error.inside(format!("pseudonyms[{i}]")))
    };
    Ok(PseudonymSet { key, pseudonyms: set.pseudonyms.iter().enumerate().map(pseudonym).collect::<Result<_, _>>()? })
}

pub(super) fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], FieldError> {
    bytes.try_into().map_err(|_| out_of_bounds(field, format!("{N} bytes")))
}

fn out_of_bounds(field: impl Into<String>, message: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
    FieldError::new("ENTRY_OUT_OF_BOUNDS", field, message)
}

/// Why an entry of this node's own cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It has more bytes than an entry may have.
    #[error("the entry is too large: fewer identifiers or shorter texts are needed")]
    TooLarge(#[source] EntryBytesError),
    /// It is out of bounds, so that nobody would understand it.
    #[error("the entry is out of bounds")]
    Invalid(#[source] NotUnderstood),
}

impl EncodeError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(bytes) => bytes.code(),
            Self::Invalid(reason) => reason.code(),
        }
    }
}

/// Why nothing is drawn from an entry: it is newer than this version, or its member made it wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// Of a layout that this version does not know; 0 is none.
    #[error("entries of format {format} are not known to this version")]
    UnknownFormat {
        /// The format given.
        format: u32,
    },
    /// Of a body that this version does not know, or none.
    #[error("the entry's body is not known to this version")]
    UnknownBody,
    /// No protobuf message of this layout.
    #[error("the entry is malformed")]
    Malformed,
    /// Holds a field that this version does not know, or is not encoded as format 1 wants it.
    #[error("the entry holds what this version does not know")]
    NotCanonical,
    /// A field is missing, too long or of no meaning.
    #[error("the entry is out of bounds")]
    OutOfBounds(#[source] FieldError),
    /// Its content is gone.
    #[error("the entry was erased")]
    Erased,
    /// Its content is gone because the time that it is kept has ended.
    #[error("the entry has expired")]
    Expired,
}

impl NotUnderstood {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownFormat { .. } => "ENTRY_FORMAT_UNKNOWN",
            Self::UnknownBody => "ENTRY_BODY_UNKNOWN",
            Self::Malformed => "ENTRY_MALFORMED",
            Self::NotCanonical => "ENTRY_NOT_CANONICAL",
            Self::OutOfBounds(_) => "ENTRY_OUT_OF_BOUNDS",
            Self::Erased => "ENTRY_ERASED",
            Self::Expired => "ENTRY_EXPIRED",
        }
    }
}

#[cfg(test)]
mod tests;
