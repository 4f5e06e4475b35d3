use crate::domain::{EntropyError, KeyId};

/// Why no pseudonyms were made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PseudonymError {
    /// The roster has no key that the purpose may use.
    #[error("the roster has no active key; the secretariat runs the key ceremony and publishes a roster with one")]
    NoActiveKey,
    /// This node was not given the secret of a key in use.
    #[error("the secret of key {0} is missing; fetch it as the alliance agreed and name its file in the configuration")]
    KeyMissing(KeyId),
    /// The secret this node was given is another key's.
    #[error("the secret given for key {0} is not the one the roster means; its check value differs")]
    KeyMismatch(KeyId),
    /// A key file that holds no key. What it holds is not told: a mistyped key is still nearly a key.
    #[error("this is no key: give the 32 bytes of a key in standard base64, on one line")]
    KeyInvalid,
    /// More identifiers than one batch may have.
    #[error("{given} identifiers in one batch, and at most {most} are taken; split it")]
    BatchTooLarge {
        /// How many there were.
        given: usize,
        /// How many there may be.
        most: usize,
    },
    /// A new key could not be made.
    #[error("no key was made")]
    Entropy(#[source] EntropyError),
}

impl PseudonymError {
    /// Stable name for logs, metrics and clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoActiveKey => "NO_ACTIVE_KEY",
            Self::KeyMissing(_) => "KEY_MISSING",
            Self::KeyMismatch(_) => "KEY_MISMATCH",
            Self::KeyInvalid => "KEY_TEXT_INVALID",
            Self::BatchTooLarge { .. } => "BATCH_TOO_LARGE",
            Self::Entropy(_) => "NO_ENTROPY",
        }
    }
}
