use super::toprf::ToprfError;
use crate::domain::{EntropyError, KeyClass, KeyId, Timestamp};

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
    /// What the roster says of a shared key does not fit together.
    #[error("what the roster says of the shared key {key} does not fit together: {error}; tell the secretariat")]
    SharesInconsistent {
        /// Which.
        key: KeyId,
        /// What does not.
        error: ToprfError,
    },
    /// Too few holders of a shared key answered.
    #[error("too few holders of key {key} answered as they should ({reasons}); {needed} are needed; try again")]
    HoldersUnreachable {
        /// Which.
        key: KeyId,
        /// How many would do.
        needed: u16,
        /// Which holder failed, and with what code.
        reasons: String,
    },
    /// The member has asked its holders for as much as it may in a day.
    #[error("the day's budget of evaluations for {class} identifiers under key {key} is used up; it renews at {renews_at}")]
    BudgetSpent {
        /// Which.
        key: KeyId,
        /// For which identifiers.
        class: KeyClass,
        /// When there is more.
        renews_at: Timestamp,
    },
    /// A fault of the program.
    #[error("a fault of this node kept it from making pseudonyms; tell its operator, whose log says where")]
    Panicked,
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
            Self::SharesInconsistent { .. } => "KEY_SHARES_INCONSISTENT",
            Self::HoldersUnreachable { .. } => "KEY_HOLDERS_UNREACHABLE",
            Self::BudgetSpent { .. } => "EVALUATION_BUDGET_SPENT",
            Self::Panicked => "PANICKED",
            Self::Entropy(_) => "NO_ENTROPY",
        }
    }
}
