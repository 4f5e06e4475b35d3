use super::book::VaultError;
use super::repairing::RepairError;
use crate::domain::{HolderIndex, KeyId, MemberId, Timestamp};
use crate::pseudonym::ceremony::CeremonyError;
use crate::service::blocking::Panicked;

/// How this member's share of a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CeremonyState {
    /// All is well.
    Held,
    /// The key is made, and its shares are there; the secretariat is to put it into the roster.
    Made,
    /// Shares are being made.
    Making,
    /// This member has no share, and asks the others for it.
    Repairing,
    /// A ceremony or repair failed and is begun anew later.
    Failed {
        /// Stable code.
        code: String,
        /// A sentence.
        sentence: String,
        /// Who is to blame, where that is known.
        culprit: Option<MemberId>,
    },
}

/// What this member holds of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// Which.
    pub key: KeyId,
    /// Its place.
    pub place: HolderIndex,
    /// Which shares it has; `None` where it has none.
    pub generation: Option<u32>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How it stands.
    pub state: CeremonyState,
    /// Whose parts are waited for.
    pub waiting_for: Vec<MemberId>,
}

/// Why another holder was told nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyRefusal {
    /// Whoever asks has nothing to do with the key.
    #[error("only the holders of key {0} take part in its ceremonies; compare rosters")]
    NotAHolder(KeyId),
    /// There is no such shared key.
    #[error("the roster of this holder has no shared key {0}; compare rosters")]
    KeyUnknown(KeyId),
    /// It has other shares, or none.
    #[error("this holder has not the shares of key {0} that are asked for")]
    ShareMissing(KeyId),
    /// What is asked for is no repair.
    #[error("this is no request for a share of this key that its holder signed")]
    RepairInvalid,
    /// Another helper did not answer as it should.
    #[error("the repair failed at another helper: {0}")]
    RepairFailed(String),
    /// The arithmetic failed.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// Shares cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A fault of the program.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl CeremonyRefusal {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAHolder(_) => "NOT_A_HOLDER",
            Self::KeyUnknown(_) => "KEY_UNKNOWN",
            Self::ShareMissing(_) => "SHARE_MISSING",
            Self::RepairInvalid => "REPAIR_INVALID",
            Self::RepairFailed(_) => "REPAIR_FAILED",
            Self::Ceremony(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Panicked(panicked) => panicked.code(),
        }
    }
}

impl From<RepairError> for CeremonyRefusal {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Helper { .. } => Self::RepairFailed(error.to_string()),
            RepairError::Request => Self::RepairInvalid,
            RepairError::Ceremony(error) => error.into(),
        }
    }
}
