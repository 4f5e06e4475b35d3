//! Proof that a member signed two histories of one feed that cannot both be true.
//!
//! A [`ForkProof`] is checked as it is made, so that a value of the type is proof, wherever its parts came from. It says nothing
//! about which history is the right one: neither is. It never says more than the two signatures do, so nobody can be accused
//! by a proof that a third party made up.

use super::{Frontier, FrontierError, Hash, SignedCheckpoint};
use crate::domain::FeedId;
use crate::domain::limits::MAX_BATCH_ENTRIES;

/// Two checkpoints of one feed, each signed by its member, that contradict each other.
///
/// Of the same size: their roots differ, and that is all. Of two sizes: the second history's frontier at the first one's size
/// and its leaf hashes from there on hash to the second root, while the frontier's own root is not the first root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    first: SignedCheckpoint,
    second: SignedCheckpoint,
    frontier: Vec<Hash>,
    leaf_hashes: Vec<Hash>,
}

impl ForkProof {
    /// Verifies the parts. `first` has the smaller or the same size; `frontier` and `leaf_hashes` are empty where sizes are equal.
    ///
    /// # Errors
    /// One [`ForkProofError`] for each way in which the parts prove nothing.
    pub fn new(
        first: SignedCheckpoint,
        second: SignedCheckpoint,
        frontier: Vec<Hash>,
        leaf_hashes: Vec<Hash>,
    ) -> Result<Self, ForkProofError> {
        let (a, b) = (first.checkpoint(), second.checkpoint());
        if a.feed != b.feed {
            return Err(ForkProofError::DifferentFeeds);
        }
        if a.size > b.size {
            return Err(ForkProofError::WrongOrder);
        }
        let root_at_first_size = if a.size == b.size {
            equal_sizes(&frontier, &leaf_hashes).map(|()| b.root)?
        } else {
            root_before(&second, Frontier::from_parts(a.size, frontier.clone())?, &leaf_hashes)?
        };
        if root_at_first_size == a.root {
            return Err(ForkProofError::Consistent);
        }
        Ok(Self { first, second, frontier, leaf_hashes })
    }

    /// The feed.
    #[must_use]
    pub const fn feed(&self) -> &FeedId {
        &self.first.checkpoint().feed
    }

    /// The checkpoint of the smaller or the same size.
    #[must_use]
    pub const fn first(&self) -> &SignedCheckpoint {
        &self.first
    }

    /// The checkpoint that contradicts it.
    #[must_use]
    pub const fn second(&self) -> &SignedCheckpoint {
        &self.second
    }

    /// The second history's frontier at the first one's size; empty where sizes are equal.
    #[must_use]
    pub fn frontier(&self) -> &[Hash] {
        &self.frontier
    }

    /// The second history's leaf hashes from the first one's size on; empty where sizes are equal.
    #[must_use]
    pub fn leaf_hashes(&self) -> &[Hash] {
        &self.leaf_hashes
    }
}

/// With equal sizes the roots speak for themselves; parts that nothing binds must not travel along.
fn equal_sizes(frontier: &[Hash], leaf_hashes: &[Hash]) -> Result<(), ForkProofError> {
    if frontier.is_empty() && leaf_hashes.is_empty() { Ok(()) } else { Err(ForkProofError::Unproven) }
}

/// The root of `second`'s history at the size of `frontier`, if the parts are indeed of that history.
fn root_before(second: &SignedCheckpoint, frontier: Frontier, leaf_hashes: &[Hash]) -> Result<Hash, ForkProofError> {
    let second = second.checkpoint();
    let before = frontier.root();
    if leaf_hashes.len() > MAX_BATCH_ENTRIES {
        return Err(ForkProofError::TooLarge);
    }
    if frontier.size().plus(leaf_hashes.len()) != second.size {
        return Err(ForkProofError::Unproven);
    }
    let mut grown = frontier;
    leaf_hashes.iter().for_each(|leaf| grown.push(*leaf));
    if grown.root() == second.root { Ok(before) } else { Err(ForkProofError::Unproven) }
}

/// Why the parts are no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkProofError {
    /// The checkpoints are of two feeds.
    #[error("the checkpoints are of different feeds")]
    DifferentFeeds,
    /// The first checkpoint is the larger one.
    #[error("the first checkpoint is larger than the second")]
    WrongOrder,
    /// More leaf hashes than a batch has entries.
    #[error("more than {MAX_BATCH_ENTRIES} leaf hashes")]
    TooLarge,
    /// The frontier is of no tree of the first size.
    #[error("the frontier does not fit the first checkpoint")]
    Frontier(#[from] FrontierError),
    /// The parts do not hash to the second root.
    #[error("the parts do not lead to the second checkpoint")]
    Unproven,
    /// The second history goes on from the first.
    #[error("the checkpoints agree")]
    Consistent,
}

impl ForkProofError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DifferentFeeds => "FORK_PROOF_FEEDS",
            Self::WrongOrder => "FORK_PROOF_ORDER",
            Self::TooLarge => "FORK_PROOF_TOO_LARGE",
            Self::Frontier(_) => "FORK_PROOF_FRONTIER",
            Self::Unproven => "FORK_UNPROVEN",
            Self::Consistent => "FORK_CONSISTENT",
        }
    }
}

#[cfg(test)]
mod tests;
