//! What commands make of files that other hands wrote, without the commands: where fuzzers and tests begin.

use super::audit::{self, Lines};
use super::feed::{Keys, read_entry};
use super::leads;
use crate::domain::FeedKey;
use crate::feed::SignedRoster;

/// Verifies the text of a lead's bundle by the secretariat's key, as `feed verify --bundle` does.
///
/// # Errors
/// The code of what is wrong.
pub fn lead_bundle(text: &str, secretariat: &FeedKey) -> Result<(), String> {
    leads::verified(text, secretariat).map(drop).map_err(|failure| failure.code().to_owned())
}

/// Verifies the export of an audit log by the roster, as `audit verify` does.
///
/// # Errors
/// The code of what is wrong.
pub fn audit_export(file: &[u8], roster: &SignedRoster) -> Result<(), String> {
    audit::verified(Lines(file), None, roster).map(drop).map_err(|failure| failure.code().to_owned())
}

/// Whether this is the verifier key of a feed, as `feed verify --key` takes it.
#[must_use]
pub fn is_verifier_key(text: &str) -> bool {
    Keys::of_feed(text).is_ok()
}

/// Whether this is a line of a file of entries, as `feed verify --entries` takes it.
#[must_use]
pub fn is_entry_line(line: &[u8]) -> bool {
    read_entry(line).is_some()
}
