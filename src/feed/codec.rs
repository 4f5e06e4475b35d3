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
//! - A retraction is the exception: it withdraws its signal whatever else stands in it. Where a newer node sees a seller cleared,
//!   an older one must not go on accusing.

use jiff::civil::Date;
use prost::Message as _;

use super::statement::{statement_of_entry, statement_to_wire};
use super::wire;
use super::{Body, Entry, EntryBytes, EntryBytesError};
use crate::domain::limits::{MAX_ACTIVE_KEYS, MAX_IDENTIFIERS, SALT_BYTES};
use crate::domain::{
    FieldError, IdentifierKind, KeyId, Pseudonym, PseudonymSet, Retraction, RetractionReason, Seq, SignalContent,
    SubmissionTag, Timestamp,
};

/// The layout that this version reads and writes.
const FORMAT: u32 = 1;

/// The format number alone; all other fields are skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Layout {
    #[prost(uint32, tag = "1")]
    format: u32,
}

/// Whether there is a signal, also where a later body has taken its place.
#[derive(Clone, PartialEq, prost::Message)]
struct SignalPart {
    #[prost(bytes = "bytes", optional, tag = "4")]
    signal: Option<bytes::Bytes>,
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
        Body::Retraction(retraction) => wire::entry::Body::Retraction(wire::Retraction {
            signal_seq: retraction.signal.get(),
            reason: retraction.reason.number(),
        }),
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
    if let Some(wire::entry::Body::Retraction(retraction)) = &message.body
        && SignalPart::decode(bytes.as_slice()).is_ok_and(|part| part.signal.is_none())
    {
        let body = Body::Retraction(retraction_from_wire(*retraction));
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
        Body::Retraction(_) => Ok(()),
    }
}

fn judge_content(content: &SignalContent) -> Result<(), FieldError> {
    if !(1..=MAX_IDENTIFIERS).contains(&content.kinds.len()) {
        return Err(out_of_bounds("kinds", "a signal has 1 to 32 identifiers"));
    }
    if !(1..=MAX_ACTIVE_KEYS).contains(&content.pseudonyms.len()) {
        return Err(out_of_bounds("pseudonyms", "a signal has 1 to 4 sets of pseudonyms"));
    }
    for (i, set) in content.pseudonyms.iter().enumerate() {
        if content.pseudonyms[..i].iter().any(|earlier| earlier.key == set.key) {
            return Err(out_of_bounds(format!("pseudonyms[{i}].key_id"), "one set for each key"));
        }
        if set.pseudonyms.len() != content.kinds.len() {
            return Err(out_of_bounds(format!("pseudonyms[{i}].pseudonyms"), "one pseudonym for each identifier"));
        }
    }
    content.statement.validate_shape(Date::MAX).map_err(|e| e.inside("statement"))
}

fn entry_from_wire(message: wire::Entry) -> Result<Entry, FieldError> {
    fixed::<SALT_BYTES>(&message.salt, "salt")?;
    let recorded_at = Timestamp::from_unix_ms(message.recorded_at_ms);
    let body = match message.body {
        Some(wire::entry::Body::Signal(signal)) => signal_from_wire(signal).map_err(|e| e.inside("signal"))?,
        Some(wire::entry::Body::Retraction(_)) | None => return Err(out_of_bounds("body", "an entry has one body")),
    };
    Ok(Entry { recorded_at, body })
}

fn signal_to_wire(tag: SubmissionTag, content: &SignalContent) -> wire::Signal {
    let set = |set: &PseudonymSet| wire::PseudonymSet {
        key_id: set.key.to_string(),
        pseudonyms: set.pseudonyms.iter().map(|p| p.0.to_vec().into()).collect(),
    };
    wire::Signal {
        submission_tag: tag.0.to_vec().into(),
        kinds: content.kinds.iter().map(|kind| kind.number()).collect(),
        pseudonyms: content.pseudonyms.iter().map(set).collect(),
        statement: Some(statement_to_wire(&content.statement)),
    }
}

fn signal_from_wire(signal: wire::Signal) -> Result<Body, FieldError> {
    let tag = SubmissionTag(fixed(&signal.submission_tag, "submission_tag")?);
    let kind = |(i, number): (usize, &i32)| {
        IdentifierKind::from_number(*number).ok_or_else(|| out_of_bounds(format!("kinds[{i}]"), "no such kind of identifier"))
    };
    let kinds = signal.kinds.iter().enumerate().map(kind).collect::<Result<_, _>>()?;
    let set = |(i, set)| set_from_wire(set).map_err(|e| e.inside(format!("pseudonyms[{i}]")));
    let pseudonyms = signal.pseudonyms.iter().enumerate().map(set).collect::<Result<_, _>>()?;
    let statement = signal.statement.ok_or_else(|| out_of_bounds("statement", "a signal has a statement"))?;
    let statement = statement_of_entry(statement).map_err(|e| e.inside("statement"))?;
    Ok(Body::Signal { tag, content: SignalContent { kinds, pseudonyms, statement } })
}

fn set_from_wire(set: &wire::PseudonymSet) -> Result<PseudonymSet, FieldError> {
    let key: KeyId = set.key_id.parse().map_err(|_| out_of_bounds("key_id", "not the id of a key"))?;
    let pseudonym = |(i, bytes): (usize, &bytes::Bytes)| {
        fixed(bytes, "").map(Pseudonym).map_err(|error| error.inside(format!("pseudonyms[{i}]")))
    };
    Ok(PseudonymSet { key, pseudonyms: set.pseudonyms.iter().enumerate().map(pseudonym).collect::<Result<_, _>>()? })
}

/// A reason that this version does not know is a reason all the same.
fn retraction_from_wire(retraction: wire::Retraction) -> Retraction {
    let reason = RetractionReason::from_number(retraction.reason).unwrap_or(RetractionReason::Other);
    Retraction { signal: Seq::new(retraction.signal_seq), reason }
}

fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], FieldError> {
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
        }
    }
}

#[cfg(test)]
mod tests;
