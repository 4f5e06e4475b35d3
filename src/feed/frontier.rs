//! The frontier of a tree: all that is needed to let it grow.
//!
//! A tree of `n` leaves splits into perfect subtrees, one for each bit of `n`; the frontier holds their roots, the widest first.
//! It never holds a leaf that it could fold away, and keeps one invariant: there are as many hashes as bits set in the size.

use super::hash::{Hash, node_hash, sha256};
use crate::domain::Seq;

/// The compact range of `[0, size)`: the roots of its perfect subtrees, the widest first; at most 64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: Seq,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: Seq::ZERO, hashes: Vec::new() }
    }

    /// The frontier of a tree of `size` leaves from its hashes.
    ///
    /// # Errors
    /// Where there are not as many hashes as bits set in `size`. Whether they are the right ones, only a signed root tells.
    pub fn from_parts(size: Seq, hashes: Vec<Hash>) -> Result<Self, FrontierError> {
        let expected = size.get().count_ones() as usize;
        if hashes.len() == expected {
            return Ok(Self { size, hashes });
        }
        Err(FrontierError { size, expected, found: hashes.len() })
    }

    /// Leaves of the tree.
    #[must_use]
    pub const fn size(&self) -> Seq {
        self.size
    }

    /// Roots of the perfect subtrees, the widest first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        // As in binary addition: each trailing one of the size is a subtree as wide as the one at hand, and carries into it.
        let carries = self.size.get().trailing_ones() as usize;
        let kept = self.hashes.len().saturating_sub(carries);
        let node = self.hashes.drain(kept..).rev().fold(leaf, |right, left| node_hash(&left, &right));
        self.hashes.push(node);
        self.size = self.size.plus(1);
    }

    /// The Merkle tree hash (RFC 6962, section 2.1); for a tree without leaves SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let widest_last = self.hashes.iter().rev().copied();
        widest_last.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(|| sha256(&[]))
    }
}

/// A frontier that no tree of that size has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frontier of {size} leaves has {expected} hashes, not {found}")]
pub struct FrontierError {
    /// The size given.
    pub size: Seq,
    /// Bits set in it.
    pub expected: usize,
    /// Hashes given.
    pub found: usize,
}

impl FrontierError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "FRONTIER_INVALID"
    }
}

#[cfg(test)]
mod tests;
