//! Who did what with a node: the words of its audit log. What only reads is not noted, but for what answers about sellers (checks,
//! rings, searches for leads) and exports.

use super::ClientName;
use super::Timestamp;
use super::vocabulary::vocabulary;

/// A client of the member, as its certificate names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// Its name.
    pub client: ClientName,
    /// Number of its certificate, lower-case hexadecimal.
    pub certificate: String,
}

/// One line of the audit log. Names no seller, and holds nothing that was asked or stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub kind: AuditKind,
    /// What came of it: names of entries (`acme/all/17`, or `acme/all/17-144` for a run of them), watches, alerts or overrides; of
    /// checks and rings digests of what they can be told by, at most 16. At most 400 characters.
    pub reference: String,
    /// How many: rows of one piece of work, or answers within a second.
    pub count: u32,
}

vocabulary! {
    /// What was done.
    AuditKind, "kind", "AUDIT_KIND_UNKNOWN";
    /// Sellers were checked.
    Check = 1, "check";
    /// Signals were submitted.
    Submission = 2, "submission";
    /// A signal was withdrawn.
    Retraction = 3, "retraction";
    /// Something was added to a signal.
    Amendment = 4, "amendment";
    /// Content was erased.
    Erasure = 5, "erasure";
    /// A seller's rebuttal was recorded.
    Dispute = 6, "dispute";
    /// A dispute was decided.
    Decision = 7, "decision";
    /// An opinion on another member's signal was given.
    Opinion = 8, "opinion";
    /// Identifiers were marked.
    Marker = 9, "marker";
    /// A marker was taken back.
    MarkerLift = 10, "marker_lift";
    /// A lead was opened, or moved on.
    Lead = 11, "lead";
    /// An own word about a seller was given.
    Override = 12, "override";
    /// It was taken back.
    OverrideRemoval = 13, "override_removal";
    /// Sellers are watched.
    Watch = 14, "watch";
    /// Watches were ended.
    WatchRemoval = 15, "watch_removal";
    /// An alert was acknowledged.
    Acknowledgement = 16, "acknowledgement";
    /// A lead was exported.
    Export = 17, "export";
    /// The answer of an earlier check was read again.
    CheckRead = 18, "check_read";
    /// Who belongs to a seller was asked.
    Ring = 19, "ring";
    /// Rings that are worth a lead were looked for.
    LeadSearch = 20, "lead_search";
    /// What the engine keeps of removed content was purged.
    Purge = 21, "purge";
    /// The index was built anew.
    Rebuild = 22, "rebuild";
    /// Signals that were submitted again were given pseudonyms under the keys that are active now.
    Rekeying = 23, "rekeying";
    /// All rows of the store were copied to whoever asked.
    Backup = 24, "backup";
}
