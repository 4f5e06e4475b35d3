//! Receipts of key holders: a holder's signature under what it was asked and what it answered.
//!
//! A signed note like a checkpoint. With the request and the answer at hand it shows two things: how much the holder says that the
//! member has used of its budget; and, where the answer's proof does not hold, that the holder gave it.

use bytes::Bytes;

use super::note::{open_note, sign_note};
use super::{Hash, NoteError, SigningKey};
use crate::domain::limits::MAX_CHECKPOINT_BYTES;
use crate::domain::{AllianceName, FeedKey, GroupElement, KeyClass, KeyId, MemberId};

/// First line of every such receipt, so that nothing else can be passed off as one.
const PURPOSE: &str = "countermark evaluation receipt v1";

/// What a holder says of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationReceipt {
    /// Who answered.
    pub holder: MemberId,
    /// Who asked.
    pub member: MemberId,
    /// Under which key, for which class of identifiers.
    pub key: KeyId,
    /// The class.
    pub class: KeyClass,
    /// The generation of the holder's share.
    pub generation: u32,
    /// That share, times the generator: what the answer is to be verified by. Without it an honest answer could be held against its
    /// holder by whoever shows other shares of the same generation.
    pub share: GroupElement,
    /// The holder's day, in days since 1970-01-01 UTC.
    pub day: u32,
    /// Elements that were evaluated.
    pub count: u32,
    /// What the member has used that day with this request.
    pub spent: u64,
    /// SHA-256 of the request.
    pub asked: Hash,
    /// SHA-256 of the evaluated elements and the proof.
    pub answered: Hash,
}

fn key_name(alliance: &AllianceName, holder: &MemberId) -> String {
    format!("{alliance}/{holder}")
}

impl EvaluationReceipt {
    /// Nine lines: purpose, alliance, holder and member, key with class, generation and share (in base64), day, count, spent, and the
    /// two digests in lower-case hexadecimal; numbers are decimal.
    fn text(&self, alliance: &AllianceName) -> String {
        let Self { holder, member, key, class, generation, share, day, count, spent, asked, answered } = self;
        let share = String::from(*share);
        format!(
            "{PURPOSE}\n{alliance}\n{holder} {member}\n{key} {class} {generation} {share}\n{day}\n{count}\n{spent}\n{asked}\n{answered}\n"
        )
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, alliance: &AllianceName, key: &SigningKey) -> Bytes {
        sign_note(&self.text(alliance), &key_name(alliance, &self.holder), key)
    }

    /// Verifies that the holder signed just this, but for day and spent, which are taken from the note.
    ///
    /// # Errors
    /// [`NoteError`]; [`NoteError::Malformed`] also where it says something else.
    pub fn open(mut self, note: &[u8], alliance: &AllianceName, key: &FeedKey) -> Result<Self, NoteError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(NoteError::Malformed);
        }
        let text = open_note(note, &key_name(alliance, &self.holder), key)?;
        let mut lines = text.lines().skip(4);
        self.day = lines.next().and_then(|day| day.parse().ok()).ok_or(NoteError::Malformed)?;
        self.spent = lines.nth(1).and_then(|spent| spent.parse().ok()).ok_or(NoteError::Malformed)?;
        if self.text(alliance) == text { Ok(self) } else { Err(NoteError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{alliance, padded, signing_key};
    use crate::feed::sha256;

    fn receipt() -> EvaluationReceipt {
        EvaluationReceipt {
            holder: "acme".parse().expect("valid"),
            member: "bazaar".parse().expect("valid"),
            key: "k1".parse().expect("valid"),
            class: KeyClass::LowEntropy,
            generation: 3,
            share: GroupElement([5; 32]),
            day: 20_000,
            count: 8,
            spent: 808,
            asked: sha256(&[b"asked"]),
            answered: sha256(&[b"answered"]),
        }
    }

    #[test]
    fn a_receipt_is_of_one_request_and_one_answer() {
        let receipt = receipt();
        let (key, public) = (signing_key(1), signing_key(1).public());
        let note = receipt.sign(&alliance(), &key);
        let expected = EvaluationReceipt { day: 0, spent: 0, ..receipt.clone() };
        assert_eq!(expected.clone().open(&note, &alliance(), &public), Ok(receipt.clone()));
        for other in [
            EvaluationReceipt { holder: "chips".parse().expect("valid"), ..expected.clone() },
            EvaluationReceipt { member: "chips".parse().expect("valid"), ..expected.clone() },
            EvaluationReceipt { class: KeyClass::Name, ..expected.clone() },
            EvaluationReceipt { generation: 4, ..expected.clone() },
            EvaluationReceipt { share: GroupElement([6; 32]), ..expected.clone() },
            EvaluationReceipt { count: 9, ..expected.clone() },
            EvaluationReceipt { asked: sha256(&[b"other"]), ..expected.clone() },
            EvaluationReceipt { answered: sha256(&[b"other"]), ..expected.clone() },
        ] {
            assert!(other.open(&note, &alliance(), &public).is_err());
        }
        assert_eq!(expected.clone().open(&note, &alliance(), &signing_key(2).public()), Err(NoteError::NotSigned));
        let changed = String::from_utf8(note.to_vec()).expect("text").replace("\n808\n", "\n8\n");
        assert_eq!(expected.clone().open(changed.as_bytes(), &alliance(), &public), Err(NoteError::WrongSignature));
        let odd = EvaluationReceipt { day: 7, ..receipt }.text(&alliance()).replace("\n7\n", "\n+7\n");
        let note = sign_note(&odd, &key_name(&alliance(), &expected.holder), &key);
        assert_eq!(expected.open(&note, &alliance(), &public), Err(NoteError::Malformed), "a number has one form");
    }

    #[test]
    fn a_receipt_is_signed_under_the_name_of_its_holder_and_no_longer_than_a_checkpoint() {
        let note = receipt().sign(&alliance(), &signing_key(1));
        let text = std::str::from_utf8(&note).expect("text");
        assert!(text.contains("\n\n\u{2014} alliance.example/acme "), "{text}");
        let open = |bytes| receipt().open(&padded(&note, bytes), &alliance(), &signing_key(1).public());
        assert_eq!((open(MAX_CHECKPOINT_BYTES), open(MAX_CHECKPOINT_BYTES + 1)), (Ok(receipt()), Err(NoteError::Malformed)));
    }
}
