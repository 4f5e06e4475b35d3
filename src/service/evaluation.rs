//! What nodes and key holders ask and answer one another.

use async_trait::async_trait;
use bytes::Bytes;

use super::{FellowHolders, HolderRefusal};
use crate::domain::{GroupElement, HolderIndex, KeyClass, KeyId, MemberId, Timestamp};
use crate::feed::{EvaluationReceipt, Hash, sha256};
use crate::pseudonym::toprf::{ELEMENT_BYTES, Evaluation};

/// What a node asks a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationRequest {
    /// The node's own name for it, 16 random bytes: the same again costs nothing.
    pub request: [u8; 16],
    /// Under which key.
    pub key: KeyId,
    /// For which class of identifiers.
    pub class: KeyClass,
    /// The generation of shares that the quorum has.
    pub generation: u32,
    /// Who computes together.
    pub quorum: Vec<HolderIndex>,
    /// Blinded elements: 8, 32, 128, 512 or 1,024 of them.
    pub blinded: Vec<[u8; ELEMENT_BYTES]>,
}

impl EvaluationRequest {
    /// SHA-256 of what `member` asks: of the text `member key class generation quorum` with the quorum's places in
    /// ascending order and between commas, a line feed, and the elements.
    #[must_use]
    pub fn digest(&self, member: &MemberId) -> Hash {
        let Self { request: _, key, class, generation, quorum, blinded } = self;
        let mut quorum = quorum.clone();
        quorum.sort_unstable();
        let quorum: Vec<String> = quorum.iter().map(ToString::to_string).collect();
        let head = format!("{member} {key} {class} {generation} {}\n", quorum.join(","));
        sha256(&[head.as_bytes(), blinded.as_flattened()])
    }

    /// What `holder` signs when it gives `member` this answer with its `share` (times the generator), but for the day and what is spent,
    /// which it alone knows. The answer stands in it as SHA-256 of the elements and the proof.
    #[must_use]
    pub fn receipt(
        &self,
        holder: &MemberId,
        member: &MemberId,
        share: [u8; ELEMENT_BYTES],
        evaluation: &Evaluation,
    ) -> EvaluationReceipt {
        EvaluationReceipt {
            holder: holder.clone(),
            member: member.clone(),
            key: self.key.clone(),
            class: self.class,
            generation: self.generation,
            share: GroupElement(share),
            day: 0,
            count: self.count(),
            spent: 0,
            asked: self.digest(member),
            answered: sha256(&[evaluation.elements.as_flattened(), &evaluation.proof]),
        }
    }

    /// Elements of the batch.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.blinded.len()).unwrap_or(u32::MAX)
    }
}

/// What a holder answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationAnswer {
    /// Elements and proof.
    pub evaluation: Evaluation,
    /// What it was charged, as signed note.
    pub receipt: Bytes,
}

/// Why a holder gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// The budget of the day does not suffice.
    #[error("the budget of the day is used up; it renews at {renews_at}")]
    OverBudget {
        /// When it renews.
        renews_at: Timestamp,
    },
    /// It answered what is not true.
    #[error("{detail}")]
    Wrong {
        /// Stable code.
        code: &'static str,
        /// A sentence.
        detail: String,
    },
    /// It could not be reached, refused, or answered something else.
    #[error("{detail}")]
    Failed {
        /// Stable code.
        code: String,
        /// A sentence.
        detail: String,
    },
}

impl From<HolderRefusal> for HolderError {
    fn from(refusal: HolderRefusal) -> Self {
        match refusal {
            HolderRefusal::OverBudget { renews_at, .. } => Self::OverBudget { renews_at },
            other => Self::failed(other.code(), other.to_string()),
        }
    }
}

impl HolderError {
    /// Whether the holder has shares of another generation than it was asked for.
    #[must_use]
    pub fn is_of_other_generation(&self) -> bool {
        self.code() == HolderRefusal::GenerationOther { held: 0 }.code()
    }

    /// Of another kind than a spent budget.
    #[must_use]
    pub fn failed(code: &str, detail: String) -> Self {
        Self::Failed { code: code.to_owned(), detail }
    }

    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::OverBudget { .. } => "EVALUATION_BUDGET_SPENT",
            Self::Wrong { code, .. } => code,
            Self::Failed { code, .. } => code,
        }
    }
}

/// The way to key holders.
#[async_trait]
pub trait KeyHolders: FellowHolders {
    /// Asks one of them.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn evaluate(&self, holder: &MemberId, request: &EvaluationRequest) -> Result<EvaluationAnswer, HolderError>;
}
