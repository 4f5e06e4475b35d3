//! Verifies a batch of entries against the checkpoint that it ends at, before anything of it is stored.
//!
//! Pure: the caller's frontier is left as it was, and the next one comes back only if every entry is the one that was signed.
//! Whether the checkpoint is of the right feed is the caller's to know: a frontier has no name.

use super::{Frontier, Hash, Leaf, SignedCheckpoint};
use crate::domain::Seq;
use crate::domain::limits::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES};

/// The frontier after `leaves`, which follow what `frontier` covers and end at `checkpoint`.
///
/// # Errors
/// [`BatchError::Empty`] and [`BatchError::TooLarge`] where it is no batch, [`BatchError::Stale`] where the checkpoint covers
/// nothing new, [`BatchError::SizeMismatch`] where entries are missing or too many, [`BatchError::RootMismatch`] where they are not
/// what was signed, or the histories do not agree.
pub fn verify_batch(frontier: &Frontier, leaves: &[Leaf], checkpoint: &SignedCheckpoint) -> Result<Frontier, BatchError> {
    let signed = checkpoint.checkpoint();
    check_bounds(leaves)?;
    if signed.size <= frontier.size() {
        return Err(BatchError::Stale { held: frontier.size(), signed: signed.size });
    }
    let reached = frontier.size().plus(leaves.len());
    if reached != signed.size {
        return Err(BatchError::SizeMismatch { reached, signed: signed.size });
    }
    let mut grown = frontier.clone();
    for leaf in leaves {
        grown.push(leaf.hash());
    }
    let computed = grown.root();
    if computed == signed.root { Ok(grown) } else { Err(BatchError::RootMismatch { computed }) }
}

fn check_bounds(leaves: &[Leaf]) -> Result<(), BatchError> {
    if leaves.is_empty() {
        return Err(BatchError::Empty);
    }
    // A batch ends with the entry that reaches the limit, so one entry may lie beyond it.
    let (entries, bytes) = (leaves.len(), leaves.iter().map(Leaf::size).sum::<usize>());
    if entries > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES + MAX_ENTRY_BYTES {
        return Err(BatchError::TooLarge { entries, bytes });
    }
    Ok(())
}

/// Why a batch is not taken. All of it is the sender's fault, but [`BatchError::RootMismatch`] may be its member's: a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Without entries.
    #[error("a batch without entries")]
    Empty,
    /// Beyond the bounds of a batch.
    #[error("a batch of {entries} entries and {bytes} bytes is too large")]
    TooLarge {
        /// Entries in it.
        entries: usize,
        /// Bytes of the entries.
        bytes: usize,
    },
    /// The checkpoint covers nothing that is not held already.
    #[error("a checkpoint of {signed} entries where {held} are held")]
    Stale {
        /// Entries held.
        held: Seq,
        /// Size of the checkpoint.
        signed: Seq,
    },
    /// The entries do not end where the checkpoint does.
    #[error("entries up to {reached} with a checkpoint of {signed}")]
    SizeMismatch {
        /// Size after the entries.
        reached: Seq,
        /// Size of the checkpoint.
        signed: Seq,
    },
    /// The entries are not those that were signed.
    #[error("the entries hash to {computed}, which is not the signed root")]
    RootMismatch {
        /// Root of what is held and the entries.
        computed: Hash,
    },
}

impl BatchError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "BATCH_EMPTY",
            Self::TooLarge { .. } => "BATCH_TOO_LARGE",
            Self::Stale { .. } => "CHECKPOINT_STALE",
            Self::SizeMismatch { .. } => "BATCH_SIZE_MISMATCH",
            Self::RootMismatch { .. } => "BATCH_ROOT_MISMATCH",
        }
    }
}

#[cfg(test)]
mod tests;
