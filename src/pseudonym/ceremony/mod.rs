//! How the shares of a key come about, become others, and come back.
//!
//! Making a key is FROST's distributed key generation (Figure 1 of ePrint 2020/852, without a dealer), and making its shares anew
//! is the same with polynomials whose constant is zero, so that the key stays and no old share fits a new one. Both are of the
//! crate `frost-ristretto255`. A ceremony has four rounds, in each of which every participant gives one part to the others:
//!
//! 1. commitments to its polynomial, for each class of identifiers;
//! 2. an echo: the digest of all commitments, so that nobody has shown two faces;
//! 3. shares, another one to each participant;
//! 4. its signature under what came of it.
//!
//! This module computes the parts of the rounds 1 and 3, and what comes of them; sending, signing and keeping them is its
//! callers' work. Everything that a participant draws follows from one seed, so that a ceremony is taken up after a crash with
//! the seed and what the others sent, and gives the same parts again.
//!
//! A lost share is [repaired](Repair) by as many holders as the threshold, none of which learns it (Stinson and Wei, ePrint
//! 2017/1155). The crate's values are committed to here beside it, so that a holder that lies is named.

mod making;
mod repair;
mod seeded;

#[cfg(test)]
mod tests;

pub use making::{Made, Making, Purpose};
pub use repair::{Piece, Repair, Split};
pub use seeded::{SEED_BYTES, Seed};

use crate::domain::{HolderIndex, KeyClass};

/// Why a ceremony cannot go on. Never holds what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// A participant sent what is no such part.
    #[error("holder {holder} sent what cannot be read as {what}")]
    Malformed {
        /// Who.
        holder: HolderIndex,
        /// What it should have been.
        what: &'static str,
    },
    /// A participant sent a part that is not true.
    #[error("holder {holder} sent {what} of class {class} that does not hold")]
    Wrong {
        /// Who.
        holder: HolderIndex,
        /// What.
        what: &'static str,
        /// Of the key of which class.
        class: KeyClass,
    },
    /// The parts of a participant are missing, or there are others'.
    #[error("the parts at hand are not those of all participants")]
    Incomplete,
    /// What this member held before is not what it is said to be.
    #[error("the share that this member has is not the one that the others know of")]
    OwnShareWrong,
    /// Arithmetic that cannot fail did.
    #[error("the arithmetic of the ceremony failed")]
    Unsound,
}

impl CeremonyError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "CEREMONY_PART_MALFORMED",
            Self::Wrong { .. } => "CEREMONY_PART_WRONG",
            Self::Incomplete => "CEREMONY_INCOMPLETE",
            Self::OwnShareWrong => "OWN_SHARE_WRONG",
            Self::Unsound => "CEREMONY_UNSOUND",
        }
    }

    /// Who is to blame, where that is known.
    #[must_use]
    pub const fn culprit(&self) -> Option<HolderIndex> {
        match self {
            Self::Malformed { holder, .. } | Self::Wrong { holder, .. } => Some(*holder),
            Self::Incomplete | Self::OwnShareWrong | Self::Unsound => None,
        }
    }
}
