use bytes::Bytes;

use super::evaluation::{EvaluationAnswer, EvaluationRequest};
use super::keeping::{Disbelief, believe};
use crate::domain::{MemberId, Roster, RosterKey, SharedGeneration, Sharing, Timestamp};
use crate::feed::{EvaluationReceipt, NoteError};
use crate::pseudonym::SharedKey;
use crate::pseudonym::toprf::{Blinded, Quorum, ToprfError};

/// What shows that a holder answered what does not verify: all that was asked and answered, with its own signature under it. Whoever
/// believes the roster can verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderEvidence {
    /// Who answered.
    pub holder: MemberId,
    /// Who asked.
    pub member: MemberId,
    /// What was asked.
    pub request: EvaluationRequest,
    /// What it answered.
    pub answer: EvaluationAnswer,
    /// What all holders signed of the shares; `None` where the roster said it.
    pub sharing: Option<Bytes>,
    /// The roster that who asked went by, as signed note.
    pub roster: Bytes,
    /// When, by the clock of who asked.
    pub at: Timestamp,
}

/// Where such evidence is kept. May write files; what cannot be kept is logged there.
pub trait EvidenceShelf: Send + Sync + 'static {
    /// Keeps it; `error` is why the answer does not verify.
    fn keep(&self, evidence: &HolderEvidence, error: ToprfError);
}

/// Why evidence shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The roster knows nothing of the key, or of the holder.
    #[error("the roster has no key {0} of which this member is a holder; give the roster of that time")]
    KeyUnknown(String),
    /// The roster speaks of other shares than were asked for, and no note of the holders is there.
    #[error("the roster has shares of generation {listed}, and nothing shows what those of generation {asked} are")]
    GenerationUnknown {
        /// By the roster.
        listed: u32,
        /// By the request.
        asked: u32,
    },
    /// The holders' note is not to be believed.
    #[error("what the holders say of their shares is not to be believed: {0}")]
    Sharing(#[from] Disbelief),
    /// The holder signed no such answer.
    #[error("the holder did not sign this answer to this request: {0}")]
    Receipt(#[from] NoteError),
    /// Who asked asked what nobody can answer.
    #[error("what was asked is itself invalid: {0}")]
    AskedInvalid(ToprfError),
    /// There is nothing to complain of.
    #[error("the answer is right: it is the work of the holder's share")]
    AnswerRight,
}

impl EvidenceError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyUnknown(_) => "KEY_UNKNOWN",
            Self::GenerationUnknown { .. } => "SHARE_GENERATION_OTHER",
            Self::Sharing(error) => error.code(),
            Self::Receipt(_) => "RECEIPT_WRONG",
            Self::AskedInvalid(_) => "EVIDENCE_ASKED_INVALID",
            Self::AnswerRight => "EVIDENCE_ANSWER_RIGHT",
        }
    }
}

impl HolderEvidence {
    /// That the holder signed a wrong answer: gives what it signed, and why it is wrong. `roster` is one that is believed, such as
    /// that of the evidence once its signature is verified.
    ///
    /// # Errors
    /// [`EvidenceError`]: this blames nobody.
    pub fn verify(&self, roster: &Roster) -> Result<(EvaluationReceipt, ToprfError), EvidenceError> {
        let unknown = || EvidenceError::KeyUnknown(self.request.key.to_string());
        let listed = roster.keys.iter().find(|key| key.id == self.request.key).ok_or_else(unknown)?;
        let place = listed.sharing.as_ref().and_then(|sharing: &Sharing| sharing.index_of(&self.holder)).ok_or_else(unknown)?;
        let feed_key = roster.member(&self.holder).map(|listed| listed.feed_key).ok_or_else(unknown)?;
        let key = self.shared_key(roster, listed)?;

        let shares = key.shares(self.request.class).ok_or_else(unknown)?;
        let share = shares.verifying_share(place);
        let expected = self.request.receipt(&self.holder, &self.member, share, &self.answer.evaluation);
        let receipt = expected.open(&self.answer.receipt, &roster.alliance, &feed_key)?;
        let asked = EvidenceError::AskedInvalid;
        let quorum = Quorum::new(self.request.quorum.clone(), key.threshold).map_err(asked)?;
        if !quorum.holders().contains(&place) {
            return Err(asked(ToprfError::QuorumInvalid));
        }
        let blinded = Blinded::of(self.request.blinded.clone()).map_err(asked)?;
        match blinded.verify(&self.answer.evaluation, shares, &quorum, place) {
            Ok(_) => Err(EvidenceError::AnswerRight),
            Err(error) => Ok((receipt, error)),
        }
    }

    /// The key with the shares that were asked for.
    fn shared_key(&self, roster: &Roster, listed: &RosterKey) -> Result<SharedKey, EvidenceError> {
        let said = self.sharing.as_ref().map(|note| believe(&roster.alliance, roster, listed, note)).transpose()?;
        let unknown = |_| EvidenceError::KeyUnknown(listed.id.to_string());
        let key =
            SharedKey::of(listed, said.as_ref().filter(|said: &&SharedGeneration| said.generation == self.request.generation));
        let key = key.map_err(unknown)?;
        if key.generation == self.request.generation {
            return Ok(key);
        }
        Err(EvidenceError::GenerationUnknown { listed: key.generation, asked: self.request.generation })
    }
}
