use std::fmt;
use std::str::FromStr;

use super::limits::{MAX_ERASED_AT_ONCE, MAX_IDENTIFIERS, MAX_SUBMISSION_ID_BYTES};
use super::marker::validate_sets;
use super::vocabulary::vocabulary;
use super::{
    Audience, EvidenceGrade, FieldError, Identifier, IdentifierKind, PseudonymSet, Seq, Statement, Subject, Timestamp,
};

/// The submitter's own name for a signal: 1 to 128 bytes of its choosing.
///
/// Not shown by `Debug`: submitters put what they like into it.
#[derive(Clone, PartialEq, Eq)]
pub struct SubmissionId(String);

impl SubmissionId {
    /// The bytes that the tag is computed over.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for SubmissionId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        if (1..=MAX_SUBMISSION_ID_BYTES).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(FieldError::new("SUBMISSION_ID_INVALID", "submission_id", "give 1 to 128 bytes, or leave it empty"))
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubmissionId(redacted)")
    }
}

/// 16 bytes by which the owner recognises a submission it already holds; random to everyone else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionTag(pub [u8; 16]);

/// A signal as it is handed in, before its identifiers become pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// `None`: the content itself is the id.
    pub id: Option<SubmissionId>,
    /// Who may read it.
    pub audience: Audience,
    /// 1 to 32 identifiers of one seller.
    pub identifiers: Vec<Identifier>,
    /// What is known of the infringement.
    pub statement: Statement,
}

/// What a signal says: the seller as pseudonyms, and the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalContent {
    /// Kind of each identifier, 1 to 32.
    pub kinds: Vec<IdentifierKind>,
    /// One set for each key that was active, 1 to 4, each as long as `kinds`.
    pub pseudonyms: Vec<PseudonymSet>,
    /// What is known of the infringement.
    pub statement: Statement,
}

impl SignalContent {
    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kinds: &self.kinds, pseudonyms: &self.pseudonyms }
    }

    /// What the signal is as long as nothing else was said of it: confirmed where any of its evidence is conclusive, else alleged.
    #[must_use]
    pub fn live_status(&self) -> SignalStatus {
        let conclusive = self.statement.evidence.iter().any(|e| e.grade == EvidenceGrade::Conclusive);
        if conclusive { SignalStatus::Confirmed } else { SignalStatus::Alleged }
    }
}

/// Withdraws a signal of the same feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retraction {
    /// The signal; smaller than the retraction's own position.
    pub signal: Seq,
    /// Why.
    pub reason: RetractionReason,
}

vocabulary! {
    /// Why a signal is withdrawn.
    RetractionReason, "reason", "RETRACTION_REASON_UNKNOWN";
    /// The wrong seller, or a wrong identifier.
    MistakenIdentity = 1, "mistaken_identity";
    /// The goods are genuine, or the right is not infringed.
    NoInfringement = 2, "no_infringement";
    /// The parties have settled, or the seller is licensed now.
    Settled = 3, "settled";
    /// No longer on the list that the signal was taken from.
    SourceWithdrew = 4, "source_withdrew";
    /// Entered by mistake.
    EntryError = 5, "entry_error";
    /// Anything else.
    Other = 6, "other";
}

/// Gives a signal of the same feed pseudonyms under further keys, so that it is still found once those that it was stated under are
/// destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeying {
    /// The signal; smaller than the rekeying's own position.
    pub signal: Seq,
    /// By it the owner recognises the submission under the new keys, where it has no id of its own.
    pub tag: Option<SubmissionTag>,
    /// One set for each key, 1 to 4, none of which the signal was stated under, each as long as the signal's kinds and in their
    /// order.
    pub pseudonyms: Vec<PseudonymSet>,
}

impl Rekeying {
    /// # Errors
    /// The first field that is out of bounds. Whether it fits the signal is not seen from here.
    pub fn validate(&self) -> Result<(), FieldError> {
        let named = self.pseudonyms.first().map_or(0, |set| set.pseudonyms.len());
        if !(1..=MAX_IDENTIFIERS).contains(&named) {
            return Err(FieldError::new("PSEUDONYM_COUNT", "pseudonyms", "give 1 to 4 sets of 1 to 32 pseudonyms"));
        }
        validate_sets(&self.pseudonyms, named)
    }

    /// Whether it has a pseudonym for each identifier of a signal that says `content`, under keys that the signal was not stated
    /// under; else it counts for nothing. Who the seller is under the others the signal has said.
    #[must_use]
    pub fn fits(&self, content: &SignalContent) -> bool {
        let is_new = |set: &PseudonymSet| content.pseudonyms.iter().all(|held| held.key != set.key);
        self.pseudonyms.iter().all(|set| set.pseudonyms.len() == content.kinds.len() && is_new(set))
    }
}

/// Removes the content of entries of the same feed, on every node and for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Which, ascending, 1 to 1,024; each smaller than the erasure's own position.
    pub entries: Vec<Seq>,
    /// Under which tag each was submitted, where it is a signal: one for each of `entries`, or none at all. By it the owner's node
    /// recognises what comes again.
    pub tags: Vec<Option<SubmissionTag>>,
    /// Why.
    pub reason: ErasureReason,
}

impl Erasure {
    /// # Errors
    /// Where it names none, too many, or not in order.
    pub fn validate(&self) -> Result<(), FieldError> {
        let ascending = self.entries.is_sorted_by(|a, b| a < b);
        if !(1..=MAX_ERASED_AT_ONCE).contains(&self.entries.len()) || !ascending {
            return Err(FieldError::new("ENTRY_COUNT", "seqs", "name 1 to 1024 entries in ascending order"));
        }
        if !self.tags.is_empty() && self.tags.len() != self.entries.len() {
            return Err(FieldError::new("TAG_COUNT", "submission_tags", "give one tag for each entry, or none"));
        }
        Ok(())
    }
}

/// How far the erasures of one feed are carried out at one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureProgress {
    /// Nothing reads any more what an erasure before this position names.
    pub removed: Seq,
    /// When the last of it was removed.
    pub removed_at: Timestamp,
    /// The node's files were written anew without what an erasure before this position names.
    pub purged: Seq,
    /// When they were last; the epoch where they were not.
    pub purged_at: Timestamp,
}

vocabulary! {
    /// Why content is erased.
    ErasureReason, "reason", "ERASURE_REASON_UNKNOWN";
    /// The time that it is kept has ended.
    Expired = 1, "expired";
    /// Somebody named in it has a right to have it erased.
    Request = 2, "request";
    /// An authority or court ordered it.
    Order = 3, "order";
    /// It should never have been entered.
    EntryError = 4, "entry_error";
    /// Anything else.
    Other = 5, "other";
}

vocabulary! {
    /// What a signal is now.
    SignalStatus, "status", "SIGNAL_STATUS_UNKNOWN";
    /// Stated, without conclusive evidence.
    Alleged = 1, "alleged";
    /// Rests on a conclusive piece of evidence, or on a substantial one that its seller left unanswered.
    Confirmed = 2, "confirmed";
    /// Taken back by the member that stated it.
    Withdrawn = 3, "withdrawn";
    /// The seller was told and may still answer: an allegation, whatever it rests on.
    RefutationPending = 4, "refutation_pending";
    /// Rebutted by the seller, or disagreed with by another member, and nobody has decided.
    Disputed = 5, "disputed";
    /// The seller was right, or was left without an answer for too long.
    Refuted = 6, "refuted";
    /// The time that it is kept has ended.
    Expired = 7, "expired";
    /// Its content is gone.
    Erased = 8, "erased";
    /// Dated more than a day ahead: says nothing until then.
    DatedAhead = 9, "dated_ahead";
}

impl SignalStatus {
    /// Whether a signal with this status says anything against its seller.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Alleged | Self::Confirmed | Self::RefutationPending | Self::Disputed => true,
            Self::Withdrawn | Self::Refuted | Self::Expired | Self::Erased | Self::DatedAhead => false,
        }
    }
}
