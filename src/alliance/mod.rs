//! The ceremonies of an alliance: founding it, asking to join, admitting, accepting.
//!
//! Private keys are made where they are used and never travel: a member sends a [`JoinRequest`], the secretariat answers with
//! an [`Admission`]. Both are files that may pass through anybody's hands. Their fingerprints are compared by another way, such
//! as the telephone: all that is trusted afterwards hangs on that.
//!
//! Everything here takes values and gives values; [`folder`] alone touches files. Nothing here opens a connection.

mod admission;
mod ed25519;
mod envelope;
mod error;
pub mod folder;
mod join;
mod pki;
mod platforms;
#[cfg(test)]
mod tests;
mod transcript;

pub use admission::{Accepted, Admission, PseudonymSecret, RosterHandover, SealedKey};
pub use envelope::EnvelopeKey;
pub use error::AllianceError;
pub use join::{Applicant, JoinRequest, MemberSecrets};
pub use pki::{AllianceCa, ClientCa};
pub use platforms::default_platforms;
pub use transcript::Fingerprint;
