//! Scheme `toprf-ristretto255`: pseudonyms that no member can compute alone.
//!
//! The key of a class of identifiers is shared among holders, of which any `t` together can use it (Shamir). A node hashes an
//! identifier to the group (RFC 9497, suite ristretto255-SHA512), multiplies it with a random scalar and sends that to `t` holders.
//! Each holder multiplies it with its share, already times its Lagrange coefficient in this quorum, and proves for the whole batch
//! that it did so and nothing else (DLEQ). The node verifies, adds up, takes its own scalar out again and has `k * H(x)`: the
//! pseudonym is the encoding of that element. So holders see neither what is asked nor what comes of it, and a node that has fewer
//! than `t` shares cannot try identifiers without asking a holder for each.
//!
//! The element itself is the pseudonym, not the hash that RFC 9497 makes of it: the hash is never computed, since with both of
//! them at hand identifiers could be tried without the holders. The threshold form is that of TOPPSS (ePrint 2017/363).
//!
//! Elements and scalars are 32 bytes each, as RFC 9496 and RFC 8032 write them, and are taken in canonical form only; no element
//! is the identity. What is secret (shares, the node's scalars, hashed identifiers) is multiplied in constant time and wiped; only
//! what the network sees is multiplied in variable time.
//!
//! | what | who knows it |
//! |---|---|
//! | identifier, hashed identifier, the node's scalars | the node, while it waits |
//! | blinded and evaluated elements, proofs | the node, its quorum |
//! | share | its holder |
//! | public key, verifying shares | everybody (the roster) |

mod error;
mod group;
mod holder;
mod node;
mod proof;
mod quorum;

#[cfg(test)]
mod tests;

pub use error::ToprfError;
pub(super) use group::random_scalar;
pub use group::{ELEMENT_BYTES, SCALAR_BYTES};
pub use holder::{Evaluation, KeyShare};
pub use node::{Blinded, Blinding, MAX_BATCH, Verified, padded};
pub use proof::PROOF_BYTES;
pub use quorum::{PublicShares, Quorum};
pub(super) use quorum::{at, lagrange};
