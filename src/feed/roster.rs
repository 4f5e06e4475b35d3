//! The roster as the secretariat signs it: a note whose text is TOML, under the key name `<alliance>/roster`.
//!
//! Nothing of the text is read before the signature holds. A [`SignedRoster`] is valid in itself; whether it may replace
//! the one that a node holds, [`supersede`] decides: a node never goes back, and never chooses between two of one serial.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;

use super::hash::sha256;
use super::note::{open_note, sign_note};
use super::{Hash, NoteError, SigningKey};
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::domain::{AllianceName, FeedKey, FieldError, MemberId, Roster};

/// A valid roster with the secretariat's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRoster {
    roster: Roster,
    text: Bytes,
    note: Bytes,
    digest: Hash,
}

impl SignedRoster {
    /// Validates and signs `roster`, and reads back what it made, so that no roster is signed that nodes would refuse.
    ///
    /// # Errors
    /// [`RosterError::Invalid`], [`RosterError::TooLarge`] or [`RosterError::Unwritable`].
    pub fn sign(roster: Roster, key: &SigningKey) -> Result<Self, RosterError> {
        roster.validate().map_err(RosterError::Invalid)?;
        let text = toml::to_string(&roster).map_err(|e| RosterError::Unwritable(Box::new(e)))?;
        let note = sign_note(&text, &key_name(&roster.alliance), key);
        Self::open(note, &roster.alliance, &key.public())
    }

    /// Verifies a note that came from outside against the secretariat's key.
    ///
    /// # Errors
    /// One [`RosterError`] for each reason not to take it.
    pub fn open(note: Bytes, alliance: &AllianceName, key: &FeedKey) -> Result<Self, RosterError> {
        if note.len() > MAX_ROSTER_BYTES {
            return Err(RosterError::TooLarge);
        }
        let text = open_note(&note, &key_name(alliance), key).map_err(RosterError::Note)?;
        let roster = parse(text)?;
        roster.validate().map_err(RosterError::Invalid)?;
        if &roster.alliance != alliance {
            return Err(RosterError::ForeignAlliance);
        }
        let digest = sha256(&[text.as_bytes()]);
        let text = note.slice(..text.len());
        Ok(Self { roster, text, note, digest })
    }

    /// What was signed.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// SHA-256 of the signed text: which of two rosters it is, whoever signed it beside the secretariat.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// The signed note, as it came.
    #[must_use]
    pub const fn note(&self) -> &Bytes {
        &self.note
    }
}

/// The name under which the secretariat signs.
fn key_name(alliance: &AllianceName) -> String {
    format!("{alliance}/roster")
}

/// The layout's number alone, read first: a newer layout is told from a broken one.
#[derive(Deserialize)]
struct Layout {
    format: u32,
}

fn parse(text: &str) -> Result<Roster, RosterError> {
    let malformed = |e| RosterError::Malformed(Box::new(e));
    let Layout { format } = toml::from_str(text).map_err(malformed)?;
    if format != Roster::FORMAT {
        return Err(RosterError::UnknownFormat { format });
    }
    toml::from_str(text).map_err(malformed)
}

/// What a candidate means for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It takes the place of the one held.
    Replace,
    /// It is the one held.
    Keep,
}

/// Whether `candidate` replaces `current`. A higher serial does; the same text is nothing new, whoever else signed it.
///
/// # Errors
/// [`RosterError::RolledBack`] for a lower serial, [`RosterError::Equivocation`] for another text of the same serial: then the
/// secretariat signed two rosters as one, and a person must find out why. [`RosterError::MemberDropped`] and
/// [`RosterError::FeedKeyChanged`] for one that does not go on from the one held.
pub fn supersede(current: Option<&SignedRoster>, candidate: &SignedRoster) -> Result<Replacement, RosterError> {
    let Some(current) = current else { return Ok(Replacement::Replace) };
    let (held, offered) = (current.roster.serial, candidate.roster.serial);
    if current.roster.alliance != candidate.roster.alliance {
        return Err(RosterError::ForeignAlliance);
    }
    match offered.cmp(&held) {
        std::cmp::Ordering::Greater => goes_on(&current.roster, &candidate.roster).map(|()| Replacement::Replace),
        std::cmp::Ordering::Less => Err(RosterError::RolledBack { held, offered }),
        std::cmp::Ordering::Equal if current.text == candidate.text => Ok(Replacement::Keep),
        std::cmp::Ordering::Equal => Err(RosterError::Equivocation { serial: held }),
    }
}

/// Whether `next` keeps every member of `held` and the key of its feeds: what a member has signed must stay readable, and nobody
/// else may ever sign in its name.
fn goes_on(held: &Roster, next: &Roster) -> Result<(), RosterError> {
    let keys: HashMap<_, _> = next.members.iter().map(|member| (&member.id, member.feed_key)).collect();
    for member in &held.members {
        match keys.get(&member.id) {
            Some(key) if *key == member.feed_key => {}
            Some(_) => return Err(RosterError::FeedKeyChanged { member: member.id.clone() }),
            None => return Err(RosterError::MemberDropped { member: member.id.clone() }),
        }
    }
    Ok(())
}

/// Why a roster is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// More bytes than a roster has.
    #[error("a roster has at most {MAX_ROSTER_BYTES} bytes")]
    TooLarge,
    /// Not signed by the secretariat.
    #[error("the secretariat's signature does not hold")]
    Note(#[source] NoteError),
    /// Signed, of a layout that this version does not know.
    #[error("this roster is of format {format}; upgrade this node")]
    UnknownFormat {
        /// Its format.
        format: u32,
    },
    /// Signed, but not TOML of a roster.
    #[error("the text is not a roster")]
    Malformed(#[source] Box<toml::de::Error>),
    /// Contradicts itself.
    #[error("the roster is not valid")]
    Invalid(#[source] FieldError),
    /// Of another alliance.
    #[error("a roster of another alliance")]
    ForeignAlliance,
    /// TOML has no form for it.
    #[error("the roster cannot be written")]
    Unwritable(#[source] Box<toml::ser::Error>),
    /// Older than the one held.
    #[error("roster {offered} is older than roster {held}, which is held")]
    RolledBack {
        /// Serial held.
        held: u64,
        /// Serial offered.
        offered: u64,
    },
    /// It leaves out a member.
    #[error("the roster leaves out {member}; the secretariat expels a member and keeps it on the list")]
    MemberDropped {
        /// Who is missing.
        member: MemberId,
    },
    /// It gives a member another key for its feeds.
    #[error("the roster changes the feed key of {member}; the secretariat admits it under a new name")]
    FeedKeyChanged {
        /// Whose key.
        member: MemberId,
    },
    /// Another roster of the serial held.
    #[error("there are two rosters of serial {serial}")]
    Equivocation {
        /// The serial of both.
        serial: u64,
    },
}

impl RosterError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "ROSTER_TOO_LARGE",
            Self::Note(note) => note.code(),
            Self::UnknownFormat { .. } => "ROSTER_FORMAT",
            Self::Malformed(_) => "ROSTER_MALFORMED",
            Self::Invalid(field) => field.code,
            Self::ForeignAlliance => "ROSTER_FOREIGN_ALLIANCE",
            Self::Unwritable(_) => "ROSTER_UNWRITABLE",
            Self::RolledBack { .. } => "ROSTER_ROLLED_BACK",
            Self::MemberDropped { .. } => "ROSTER_MEMBER_DROPPED",
            Self::FeedKeyChanged { .. } => "ROSTER_FEED_KEY_CHANGED",
            Self::Equivocation { .. } => "ROSTER_EQUIVOCATION",
        }
    }
}

#[cfg(test)]
mod tests;
