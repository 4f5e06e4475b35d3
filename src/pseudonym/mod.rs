//! From an identifier to what may leave the process: canonical forms, keys, pseudonyms.
//!
//! Two members that hold the same seller must arrive at the same bytes, however each wrote the identifier down. So every
//! kind has one canonical form, computed with pinned libraries and held by golden vectors, and the pseudonym is a keyed
//! function of that form and of nothing else. What cannot be canonicalised is refused with the reason and never guessed:
//! a refusal is seen and put right, a wrong form is a match that is missed for ever.
//!
//! This layer does no I/O and knows the domain only. It never repeats a value: no error, `Debug` or log of it contains an
//! identifier, a part of one, or a key. Whether an identifier is *accepted* may depend on the roster (shared hosts); its
//! canonical *form* depends on the roster only through a platform's case rule.

mod account;
mod bank;
mod cache;
mod canonical;
pub mod ceremony;
mod country;
mod dealer;
mod domain;
mod email;
mod error;
mod held;
mod hmac;
mod hosts;
mod keyring;
mod licence;
mod name;
mod phone;
mod scheme;
mod shared_key;
mod text;
pub mod toprf;
mod url;

#[cfg(test)]
mod tests;

pub use cache::PseudonymCache;
pub use canonical::{CanonicalIdentifier, Canonicaliser};
pub use dealer::deal;
pub use error::PseudonymError;
pub use held::HeldShares;
pub use hmac::HmacKey;
pub use keyring::{Holders, KeyRing, KeyStatus, MAX_IDENTIFIERS_PER_BATCH, NoHolders, PseudonymScheme, Purpose};
pub use shared_key::SharedKey;

/// Version of the canonical forms; part of what is pseudonymised.
///
/// It covers the rules of this layer and the data they pin: the Public Suffix List, the phone metadata, the Unicode
/// tables. A change that alters the form of any identifier raises it, so that old and new forms are never taken for each
/// other; the golden vectors say when that is.
pub const CANONICAL_FORMS_VERSION: u8 = 1;
