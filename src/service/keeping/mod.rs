//! The shares that this member holds of keys: where they are kept, and how they come about, become others and come back.
//!
//! What the roster says is what the holders bring about by themselves: a pending key with holders is made, a holder without a
//! share has it repaired, shares that are old or were held by somebody who is to have none are made anew. So a ceremony needs
//! nobody who leads it, and is aborted by a roster that does not want it any more.
//!
//! Every participant asks the others for their parts, again and again until it has them; nobody is written to. What a participant
//! says follows from a seed and from what it has kept of the others, and is on disk before it is shown: a node that is killed at
//! any point goes on where it was. A ceremony that fails is begun anew under a higher generation, and whoever made it fail is
//! named. A result that this member has signed is kept until it sees one that all have signed, because the others may have gone on
//! with it.

mod belief;
mod book;
mod ceremonies;
mod making;
mod record;
mod repairing;
mod report;

pub(super) use belief::newest;
pub use belief::{Disbelief, believe};
pub use book::{ShareBook, ShareVault, VaultError};
pub use ceremonies::{Ceremonies, CeremonyDesk, CeremonyPace};
pub use record::{Signed, dealt_record};
pub use report::{CeremonyRefusal, CeremonyState, KeyReport};

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::HolderError;
use crate::domain::{KeyId, MemberId};
use crate::feed::Hash;

/// What a participant asks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyQuery {
    /// Of which key.
    pub key: KeyId,
    /// The digest that names the ceremony.
    pub ceremony: Hash,
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub struct CeremonyAnswer {
    /// The generation that is being made there; zero where none is.
    pub generation: u32,
    /// Commitments, where they are made.
    pub commitments: Option<Signed>,
    /// What commitments were seen, where all were.
    pub echo: Option<Signed>,
    /// Shares for who asks, where all saw the same.
    pub shares: Option<Signed>,
    /// The note of what came of it.
    pub result: Option<Bytes>,
}

/// What a holder asks others that lost its share, or has none yet, and what its helpers ask one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairQuery {
    /// Who wants its share.
    pub member: MemberId,
    /// What it wants, as text.
    pub wanted: Bytes,
    /// Its signature.
    pub note: Bytes,
}

/// What a helper answers.
#[derive(Clone)]
pub struct RepairAnswer {
    /// What each helper, in order, committed to; to another helper its own alone.
    pub splits: Vec<Signed>,
    /// A scalar for each class: to the member the sum, to another helper its piece.
    pub scalars: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for RepairAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepairAnswer({} splits, redacted)", self.splits.len())
    }
}

/// The way to the other holders of a key.
#[async_trait]
pub trait FellowHolders: Send + Sync + 'static {
    /// What the holders said of the newest shares that this one knows of, as note; `None` where it knows of none beside the roster's.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn sharing(&self, holder: &MemberId, key: &KeyId) -> Result<Option<Bytes>, HolderError>;

    /// Its parts of a ceremony, as far as they are made.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn ceremony(&self, holder: &MemberId, query: &CeremonyQuery) -> Result<CeremonyAnswer, HolderError>;

    /// Its help with a repair.
    ///
    /// # Errors
    /// [`HolderError`].
    async fn repair(&self, holder: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, HolderError>;
}
