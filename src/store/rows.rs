//! Values of the small rows, as protobuf messages of the store's own. The schema version of the store says how to read them.

use prost::Message;

use crate::domain::{Pseudonym, PseudonymSet};

/// Whose store it is, and in which schema.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SchemaRow {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(string, tag = "2")]
    pub alliance: String,
    #[prost(string, tag = "3")]
    pub member: String,
    /// Rows are still being put back into it.
    #[prost(bool, tag = "4")]
    pub unfinished: bool,
}

/// That a store was put back, and its own feeds may lack what other members hold.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RestoredRow {
    #[prost(int64, tag = "1")]
    pub restored_at_ms: i64,
}

/// Rows of a backup, as the engine keeps them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PieceRow {
    #[prost(message, repeated, tag = "1")]
    pub pairs: Vec<PairRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PairRow {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// Absent where there is nothing under the key any more.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub value: Option<Vec<u8>>,
}

/// What is remembered of the rows of a backup so far.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DigestRow {
    #[prost(message, optional, tag = "1")]
    pub schema: Option<SchemaRow>,
    #[prost(message, repeated, tag = "2")]
    pub heads: Vec<DigestHeadRow>,
    #[prost(message, repeated, tag = "3")]
    pub parts: Vec<DigestPartRow>,
    #[prost(message, repeated, tag = "4")]
    pub kept: Vec<DigestKeptRow>,
    #[prost(message, repeated, tag = "5")]
    pub roster: Vec<PairRow>,
    #[prost(string, repeated, tag = "6")]
    pub flaws: Vec<String>,
    #[prost(uint64, tag = "7")]
    pub rows: u64,
    #[prost(uint64, tag = "8")]
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct DigestHeadRow {
    #[prost(uint32, tag = "1")]
    pub feed: u32,
    #[prost(message, required, tag = "2")]
    pub head: HeadRow,
}

/// Entries of a segment, by the roots of the perfect subtrees over them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DigestPartRow {
    #[prost(uint32, tag = "1")]
    pub feed: u32,
    #[prost(uint64, tag = "2")]
    pub number: u64,
    #[prost(uint64, tag = "3")]
    pub leaves: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub hashes: Vec<u8>,
}

/// A checkpoint that is kept.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DigestKeptRow {
    #[prost(uint32, tag = "1")]
    pub feed: u32,
    #[prost(uint64, tag = "2")]
    pub size: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub note: bytes::Bytes,
}

/// A feed as of its newest checkpoint.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeadRow {
    /// `member/audience`.
    #[prost(string, tag = "1")]
    pub feed: String,
    #[prost(message, required, tag = "2")]
    pub checkpoint: CheckpointRow,
    /// Size and bytes of the last checkpoint that was kept before this one; zero for none.
    #[prost(uint64, tag = "3")]
    pub kept_size: u64,
    #[prost(uint64, tag = "4")]
    pub kept_bytes: u64,
}

/// A checkpoint with what is needed to go on from it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckpointRow {
    /// The signed note.
    #[prost(bytes = "bytes", tag = "1")]
    pub note: bytes::Bytes,
    /// Roots of the perfect subtrees, the widest first, 32 bytes each.
    #[prost(bytes = "vec", tag = "2")]
    pub frontier: Vec<u8>,
    /// Bytes of all entries up to here.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

/// Proof of two histories of a feed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ForkRow {
    #[prost(bytes = "bytes", tag = "1")]
    pub first: bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub second: bytes::Bytes,
    #[prost(bytes = "vec", tag = "3")]
    pub frontier: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub leaf_hashes: Vec<u8>,
    #[prost(int64, tag = "5")]
    pub found_at_ms: i64,
}

/// Checks that were recorded in one commit.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckBlockRow {
    #[prost(message, repeated, tag = "1")]
    pub checks: Vec<CheckRow>,
    /// What the answers rest on; many checks share one.
    #[prost(message, repeated, tag = "2")]
    pub freshness: Vec<FreshnessRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CheckRow {
    /// 8 random bytes without which the reference does not open it.
    #[prost(fixed64, tag = "1")]
    pub secret: u64,
    #[prost(int64, tag = "2")]
    pub checked_at_ms: i64,
    #[prost(int32, repeated, tag = "3")]
    pub kinds: Vec<i32>,
    #[prost(message, repeated, tag = "4")]
    pub pseudonyms: Vec<PseudonymSetRow>,
    #[prost(int32, tag = "5")]
    pub verdict: i32,
    #[prost(uint32, tag = "6")]
    pub members_elsewhere: u32,
    #[prost(uint32, tag = "7")]
    pub omitted: u32,
    #[prost(message, repeated, tag = "8")]
    pub matches: Vec<MatchRow>,
    /// Index in `CheckBlockRow.freshness`.
    #[prost(uint32, tag = "9")]
    pub freshness: u32,
    #[prost(uint32, tag = "10")]
    pub own_omitted: u32,
    #[prost(int32, repeated, tag = "11")]
    pub reasons: Vec<i32>,
    #[prost(uint32, tag = "12")]
    pub score: u32,
}

/// A check that is kept in its reference.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BriefCheckRow {
    #[prost(int64, tag = "1")]
    pub checked_at_ms: i64,
    /// How old the picture was then.
    #[prost(uint32, tag = "2")]
    pub age_ms: u32,
    #[prost(uint32, tag = "3")]
    pub generation: u32,
    #[prost(uint32, tag = "4")]
    pub place: u32,
    #[prost(int32, repeated, tag = "5")]
    pub kinds: Vec<i32>,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub pseudonyms: Vec<u8>,
    #[prost(int32, tag = "7")]
    pub verdict: i32,
    #[prost(uint32, tag = "8")]
    pub members_elsewhere: u32,
    #[prost(message, repeated, tag = "9")]
    pub matches: Vec<MatchRow>,
    /// Tells apart checks that are equal otherwise.
    #[prost(fixed32, tag = "10")]
    pub number: u32,
    #[prost(int32, repeated, tag = "11")]
    pub reasons: Vec<i32>,
    #[prost(uint32, tag = "12")]
    pub score: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PseudonymSetRow {
    #[prost(string, tag = "1")]
    pub key: String,
    /// 32 bytes each.
    #[prost(bytes = "vec", tag = "2")]
    pub pseudonyms: Vec<u8>,
}

impl From<&PseudonymSet> for PseudonymSetRow {
    fn from(set: &PseudonymSet) -> Self {
        Self { key: set.key.to_string(), pseudonyms: set.pseudonyms.iter().flat_map(|p| p.0).collect() }
    }
}

impl PseudonymSetRow {
    /// `None` where it is damaged.
    pub(super) fn read(&self) -> Option<PseudonymSet> {
        let (pseudonyms, []) = self.pseudonyms.as_chunks() else { return None };
        Some(PseudonymSet { key: self.key.parse().ok()?, pseudonyms: pseudonyms.iter().copied().map(Pseudonym).collect() })
    }
}

/// What this member's node answers about a seller.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OverrideRow {
    #[prost(int32, tag = "1")]
    pub verdict: i32,
    #[prost(int32, repeated, tag = "2")]
    pub kinds: Vec<i32>,
    #[prost(message, repeated, tag = "3")]
    pub pseudonyms: Vec<PseudonymSetRow>,
    #[prost(int64, tag = "4")]
    pub made_at_ms: i64,
    /// 0 for no end.
    #[prost(int64, tag = "5")]
    pub until_ms: i64,
    #[prost(string, tag = "6")]
    pub note: String,
}

/// What a seller comes to, in short.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StandingRow {
    #[prost(int32, tag = "1")]
    pub verdict: i32,
    #[prost(uint32, tag = "2")]
    pub members: u32,
}

/// A standing check.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchRow {
    #[prost(int32, repeated, tag = "1")]
    pub kinds: Vec<i32>,
    #[prost(message, repeated, tag = "2")]
    pub pseudonyms: Vec<PseudonymSetRow>,
    #[prost(int64, tag = "3")]
    pub made_at_ms: i64,
    #[prost(int64, tag = "4")]
    pub until_ms: i64,
    #[prost(string, tag = "5")]
    pub label: String,
    #[prost(message, required, tag = "6")]
    pub standing: StandingRow,
}

/// That a watch is to be looked at.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LookRow {
    /// Another one for each time that it was asked for.
    #[prost(uint64, tag = "1")]
    pub mark: u64,
    /// `member/audience/sequence` of the signal or marker that it was first asked for by; empty for none.
    #[prost(string, tag = "2")]
    pub cause: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AlertRow {
    #[prost(uint64, tag = "1")]
    pub watch: u64,
    #[prost(string, tag = "2")]
    pub label: String,
    #[prost(int32, tag = "3")]
    pub kind: i32,
    #[prost(int64, tag = "4")]
    pub raised_at_ms: i64,
    #[prost(message, required, tag = "5")]
    pub before: StandingRow,
    #[prost(message, required, tag = "6")]
    pub after: StandingRow,
    /// `member/audience/sequence`, or empty.
    #[prost(string, tag = "7")]
    pub signal: String,
    /// Code of why its receiver refused it, or empty.
    #[prost(string, tag = "8")]
    pub refused: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MatchRow {
    /// `member/audience/sequence`.
    #[prost(string, tag = "1")]
    pub signal: String,
    #[prost(int32, tag = "2")]
    pub status: i32,
    /// Positions in the question.
    #[prost(uint32, repeated, tag = "3")]
    pub strong: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    pub weak: Vec<u32>,
    #[prost(bool, tag = "5")]
    pub quarantined: bool,
    #[prost(bool, tag = "6")]
    pub counts: bool,
    /// Positions of victims' identifiers.
    #[prost(uint32, repeated, tag = "7")]
    pub void: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FreshnessRow {
    #[prost(int64, tag = "1")]
    pub as_of_ms: i64,
    #[prost(message, repeated, tag = "2")]
    pub feeds: Vec<FeedFreshnessRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FeedFreshnessRow {
    /// `member/audience`.
    #[prost(string, tag = "1")]
    pub feed: String,
    #[prost(uint64, tag = "2")]
    pub size: u64,
    #[prost(uint64, tag = "3")]
    pub newest_size: u64,
    #[prost(int64, tag = "4")]
    pub last_heard_ms: i64,
    #[prost(int32, tag = "5")]
    pub state: i32,
    #[prost(uint64, tag = "6")]
    pub live_signals: u64,
    #[prost(uint64, tag = "7")]
    pub not_understood: u64,
    #[prost(uint64, tag = "8")]
    pub missing: u64,
}

/// What a hint says, feed by feed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HintRow {
    #[prost(message, repeated, tag = "1")]
    pub feeds: Vec<FeedHintRow>,
}

/// What a run of entries of one feed did, and where it left the feed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FeedHintRow {
    #[prost(uint32, tag = "1")]
    pub number: u32,
    /// `member/audience`.
    #[prost(string, tag = "2")]
    pub feed: String,
    /// Position of the first entry.
    #[prost(uint64, tag = "3")]
    pub first: u64,
    /// As in `CheckpointRow`.
    #[prost(bytes = "bytes", tag = "4")]
    pub frontier: bytes::Bytes,
    /// Of the view after the run, as are the next two.
    #[prost(uint64, tag = "5")]
    pub signals: u64,
    #[prost(uint64, tag = "6")]
    pub not_understood: u64,
    /// 32 bytes.
    #[prost(bytes = "bytes", tag = "7")]
    pub digest: bytes::Bytes,
    /// A big-endian `u16` an entry: 0 where it added nothing, 1 where its content is missing, else twice its pseudonyms and two,
    /// and one where it is conclusive.
    #[prost(bytes = "bytes", tag = "8")]
    pub added: bytes::Bytes,
    /// The first 8 bytes of each pseudonym.
    #[prost(bytes = "bytes", tag = "9")]
    pub subjects: bytes::Bytes,
    /// The first 8 bytes of the tag of each signal; nothing in other members' feeds.
    #[prost(bytes = "bytes", tag = "10")]
    pub submissions: bytes::Bytes,
    #[prost(message, repeated, tag = "11")]
    pub withdrawn: Vec<TouchedRow>,
    /// The latest instant at which any entry was recorded.
    #[prost(int64, tag = "12")]
    pub latest_ms: i64,
    /// Entries about others.
    #[prost(message, repeated, tag = "13")]
    pub noted: Vec<NotedRow>,
    /// Signals that an amendment gave more to rest on.
    #[prost(message, repeated, tag = "14")]
    pub strengthened: Vec<TouchedRow>,
    /// What else was erased.
    #[prost(message, repeated, tag = "15")]
    pub gone: Vec<GoneRow>,
    /// Submissions of erased signals that came without their content, and of rekeyings.
    #[prost(message, repeated, tag = "16")]
    pub tombstones: Vec<TombstoneRow>,
    /// What became of rekeyings.
    #[prost(message, repeated, tag = "17")]
    pub keyed: Vec<KeyedRow>,
    /// Live signals more under each key; nothing in other members' feeds.
    #[prost(message, repeated, tag = "18")]
    pub keys: Vec<KeyCountRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyedRow {
    #[prost(uint64, tag = "1")]
    pub signal: u64,
    #[prost(uint64, tag = "2")]
    pub rekeying: u64,
    /// 1 where it counts, 2 where it does no more, 3 where it is gone.
    #[prost(uint32, tag = "3")]
    pub keying: u32,
    #[prost(bool, tag = "4")]
    pub is_conclusive: bool,
    /// The first 8 bytes of each pseudonym that comes or goes with it.
    #[prost(bytes = "bytes", tag = "5")]
    pub subjects: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyCountRow {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(sint64, tag = "2")]
    pub more: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct GoneRow {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// The erasure.
    #[prost(uint64, tag = "2")]
    pub by: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct TombstoneRow {
    /// The first 8 bytes of the tag.
    #[prost(fixed64, tag = "1")]
    pub submission: u64,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
}

/// What another member's node has said of its copy of an own feed.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ReceiptRow {
    #[prost(message, required, tag = "1")]
    pub progress: ErasedRow,
    /// The signed note.
    #[prost(bytes = "bytes", tag = "2")]
    pub note: bytes::Bytes,
}

/// How far a feed's erasures have been carried out here.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct ErasedRow {
    /// What every erasure before this position names cannot be read any more, since this instant.
    #[prost(uint64, tag = "1")]
    pub removed: u64,
    #[prost(int64, tag = "2")]
    pub removed_at_ms: i64,
    /// The same, and the files were written anew without it.
    #[prost(uint64, tag = "3")]
    pub purged: u64,
    #[prost(int64, tag = "4")]
    pub purged_at_ms: i64,
    /// When content was last removed because its time had ended.
    #[prost(int64, tag = "5")]
    pub expired_at_ms: i64,
}

impl ErasedRow {
    /// Whether something was removed that is still in the files.
    pub(super) const fn is_purge_due(&self) -> bool {
        self.purged < self.removed || self.purged_at_ms < self.expired_at_ms
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct NotedRow {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// When it counts as recorded.
    #[prost(int64, tag = "2")]
    pub since_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TouchedRow {
    #[prost(uint64, tag = "1")]
    pub signal: u64,
    #[prost(uint64, tag = "2")]
    pub by: u64,
    /// The first 8 bytes of each of the signal's pseudonyms.
    #[prost(bytes = "bytes", tag = "3")]
    pub subjects: bytes::Bytes,
}

/// Consecutive records of the audit log.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AuditBlockRow {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub records: Vec<bytes::Bytes>,
}

/// The head of the audit log.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AuditHeadRow {
    #[prost(uint64, tag = "1")]
    pub size: u64,
    /// As in `CheckpointRow`.
    #[prost(bytes = "vec", tag = "2")]
    pub frontier: Vec<u8>,
    /// The signed note.
    #[prost(bytes = "bytes", tag = "3")]
    pub note: bytes::Bytes,
    /// The first record that is kept, and the frontier of those before it.
    #[prost(uint64, tag = "4")]
    pub kept_from: u64,
    #[prost(bytes = "vec", tag = "5")]
    pub kept_frontier: Vec<u8>,
}

/// What a member used of a shared key on a day.
#[derive(Clone, PartialEq, Message)]
pub(super) struct UsageRow {
    #[prost(uint64, tag = "1")]
    pub evaluations: u64,
    #[prost(uint64, tag = "2")]
    pub requests: u64,
}

/// A request that was charged.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChargedRow {
    /// SHA-256 of what was asked.
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
    /// What was used of the budget with it.
    #[prost(uint64, tag = "2")]
    pub spent: u64,
}
