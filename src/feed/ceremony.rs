//! What the participants of a key ceremony say to one another, each part signed with the member's feed key, so that who lies is
//! proven a liar by what it signed.
//!
//! The signature is under the digest of a part and not under the part, since some parts are for one participant alone.

use bytes::Bytes;

use super::note::{open_note, sign_note};
use super::{Hash, NoteError, SigningKey, sha256};
use crate::domain::limits::{MAX_CEREMONY_PART_BYTES, MAX_CHECKPOINT_BYTES};
use crate::domain::{AllianceName, FeedKey, MemberId};

/// First line, so that nothing else can be passed off as a part.
const PURPOSE: &str = "countermark key ceremony v1";

/// A round of a ceremony, or a part of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Round {
    /// Commitments to a polynomial.
    Commitments,
    /// What commitments were seen of whom.
    Echo,
    /// Shares for one other participant.
    Shares,
    /// That a member wants its share repaired.
    Repair,
    /// Commitments to the pieces into which a helper split its part.
    Split,
}

impl Round {
    /// As it is signed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commitments => "commitments",
            Self::Echo => "echo",
            Self::Shares => "shares",
            Self::Repair => "repair",
            Self::Split => "split",
        }
    }
}

/// Whose part it is, of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyPart {
    /// The digest that names the ceremony.
    pub ceremony: Hash,
    /// Which part.
    pub round: Round,
    /// Who made it.
    pub from: MemberId,
    /// For whom it is; `None` where it is for all.
    pub to: Option<MemberId>,
}

impl CeremonyPart {
    /// Six lines: purpose, alliance, ceremony, round, from and to, where `-` is for all, and the digest of the part.
    fn text(&self, alliance: &AllianceName, body: &[u8]) -> String {
        let Self { ceremony, round, from, to } = self;
        let to = to.as_ref().map_or("-", MemberId::as_str);
        format!("{PURPOSE}\n{alliance}\n{ceremony}\n{}\n{from} {to}\n{}\n", round.as_str(), sha256(&[body]))
    }

    fn key_name(&self, alliance: &AllianceName) -> String {
        format!("{alliance}/{}", self.from)
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, alliance: &AllianceName, body: &[u8], key: &SigningKey) -> Bytes {
        sign_note(&self.text(alliance, body), &self.key_name(alliance), key)
    }

    /// Verifies that it is this part, and signed by who made it.
    ///
    /// # Errors
    /// [`NoteError`]; [`NoteError::Malformed`] also where the note is another part's.
    pub fn verify(&self, alliance: &AllianceName, note: &[u8], body: &[u8], key: &FeedKey) -> Result<(), NoteError> {
        if note.len() > MAX_CHECKPOINT_BYTES || body.len() > MAX_CEREMONY_PART_BYTES {
            return Err(NoteError::Malformed);
        }
        let text = open_note(note, &self.key_name(alliance), key)?;
        if text == self.text(alliance, body) { Ok(()) } else { Err(NoteError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{alliance, padded, signing_key};

    #[test]
    fn a_part_is_of_one_ceremony_one_round_one_maker_and_one_receiver() {
        let part = CeremonyPart {
            ceremony: sha256(&[b"ceremony"]),
            round: Round::Shares,
            from: "acme".parse().expect("valid"),
            to: Some("chips".parse().expect("valid")),
        };
        let (key, public) = (signing_key(1), signing_key(1).public());
        let note = part.sign(&alliance(), b"shares", &key);
        assert_eq!(part.verify(&alliance(), &note, b"shares", &public), Ok(()));
        assert_eq!(part.verify(&alliance(), &note, b"others", &public), Err(NoteError::Malformed));
        assert_eq!(part.verify(&alliance(), &note, b"shares", &signing_key(2).public()), Err(NoteError::NotSigned));
        for other in [
            CeremonyPart { ceremony: sha256(&[b"another"]), ..part.clone() },
            CeremonyPart { round: Round::Commitments, ..part.clone() },
            CeremonyPart { from: "brand".parse().expect("valid"), ..part.clone() },
            CeremonyPart { to: None, ..part.clone() },
        ] {
            assert!(other.verify(&alliance(), &note, b"shares", &public).is_err());
        }
    }

    #[test]
    fn a_part_and_its_note_have_bounds() {
        let (ceremony, from) = (sha256(&[b"ceremony"]), "acme".parse().expect("valid"));
        let part = CeremonyPart { ceremony, round: Round::Commitments, from, to: None };
        let (key, public) = (signing_key(1), signing_key(1).public());
        let longest = vec![1; MAX_CEREMONY_PART_BYTES];
        let note = part.sign(&alliance(), &longest, &key);
        let verify = |bytes| part.verify(&alliance(), &padded(&note, bytes), &longest, &public);
        assert_eq!(verify(MAX_CHECKPOINT_BYTES), Ok(()));
        assert_eq!(verify(MAX_CHECKPOINT_BYTES + 1), Err(NoteError::Malformed));
        let longer = vec![1; MAX_CEREMONY_PART_BYTES + 1];
        let note = part.sign(&alliance(), &longer, &key);
        assert_eq!(part.verify(&alliance(), &note, &longer, &public), Err(NoteError::Malformed));
    }

    #[test]
    fn a_part_is_signed_under_the_name_of_its_maker() {
        let (ceremony, from) = (sha256(&[b"ceremony"]), "acme".parse().expect("valid"));
        let part = CeremonyPart { ceremony, round: Round::Commitments, from, to: None };
        let note = part.sign(&alliance(), b"commitments", &signing_key(1));
        let text = std::str::from_utf8(&note).expect("text");
        assert!(text.contains("\n\n\u{2014} alliance.example/acme "), "{text}");
    }
}
