use crate::domain::EntropyError;

/// Why a part of the protocol was refused or could not be done. Never holds what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ToprfError {
    /// Bytes that are no canonical encoding of an element other than the identity (RFC 9496).
    #[error("element {place} is none: 32 bytes in canonical form are wanted, and not the identity")]
    ElementInvalid {
        /// Which of those given, from 0.
        place: usize,
    },
    /// Bytes that are no canonical encoding of a scalar, or zero.
    #[error("the scalar is none: 32 bytes in canonical form are wanted, and not zero")]
    ScalarInvalid,
    /// As many elements as were asked for did not come back, or more or fewer than a batch has were given.
    #[error("{given} elements were given where {wanted} are wanted")]
    CountWrong {
        /// How many there were.
        given: usize,
        /// How many there should have been.
        wanted: usize,
    },
    /// The proof does not show that the elements were multiplied with the holder's share.
    #[error("the proof does not hold: this is not the work of the holder's share")]
    ProofWrong,
    /// A quorum that is none.
    #[error("the quorum is none: as many different holders as the threshold are wanted, each of the key's")]
    QuorumInvalid,
    /// No randomness.
    #[error("the operating system gave no random bytes")]
    Entropy(#[from] EntropyError),
}

impl ToprfError {
    /// Stable name for logs, metrics and peers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ElementInvalid { .. } => "ELEMENT_INVALID",
            Self::ScalarInvalid => "SCALAR_INVALID",
            Self::CountWrong { .. } => "ELEMENT_COUNT",
            Self::ProofWrong => "PROOF_WRONG",
            Self::QuorumInvalid => "QUORUM_INVALID",
            Self::Entropy(_) => "NO_ENTROPY",
        }
    }
}
