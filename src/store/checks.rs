//! Records of checks: what was asked, as pseudonyms, and what was answered.
//!
//! A record is found by its reference alone: day, block and place give its position, and 64 random bits that stand in the
//! record too keep anyone from reading others by counting.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use prost::Message as _;

use super::pictures::PictureId;
use super::rows::{BriefCheckRow, CheckBlockRow, CheckRow, FeedFreshnessRow, FreshnessRow, MatchRow, PseudonymSetRow};
use crate::domain::{
    FeedId, FieldError, IdentifierKind, Judgment, PseudonymSet, Reason, Seq, SignalRef, SignalStatus, Timestamp, Verdict,
};

const PREFIX: &str = "chk_";

/// By this a check can be read again: `chk_` and 24 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckReference {
    pub(super) day: u16,
    pub(super) block: u64,
    pub(super) place: u16,
    pub(super) secret: u64,
}

/// Bits of the block number in a reference: 48.
const MAX_BLOCK: u64 = (1 << 48) - 1;

impl fmt::Display for CheckReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 18];
        bytes[..2].copy_from_slice(&self.day.to_be_bytes());
        bytes[2..8].copy_from_slice(&self.block.min(MAX_BLOCK).to_be_bytes()[2..]);
        bytes[8..10].copy_from_slice(&self.place.to_be_bytes());
        bytes[10..].copy_from_slice(&self.secret.to_be_bytes());
        write!(f, "{PREFIX}{}", BASE64.encode(bytes))
    }
}

impl FromStr for CheckReference {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let invalid =
            || FieldError::new("REFERENCE_INVALID", "reference", "give the reference of a check as it was answered, chk_...");
        let bytes = text.strip_prefix(PREFIX).and_then(|rest| BASE64.decode(rest).ok()).ok_or_else(invalid)?;
        let bytes: [u8; 18] = bytes.try_into().map_err(|_| invalid())?;
        let number = |range: std::ops::Range<usize>| bytes[range].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let short = |range| u16::try_from(number(range)).map_err(|_| invalid());
        Ok(Self { day: short(0..2)?, block: number(2..8), place: short(8..10)?, secret: number(10..18) })
    }
}

/// What was asked and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// When.
    pub checked_at: Timestamp,
    /// Kinds of the asked identifiers, one for each place in the question.
    pub kinds: Vec<IdentifierKind>,
    /// The asked identifiers, each once, under every key that was in use.
    pub pseudonyms: Vec<PseudonymSet>,
    /// The summary, and why.
    pub judgment: Judgment,
    /// Members other than this one that flag by a strong identifier.
    pub members_elsewhere: u32,
    /// Matching signals beyond those listed.
    pub omitted: u32,
    /// Of those, this member's own.
    pub own_omitted: u32,
    /// Matching signals, own ones included.
    pub matches: Vec<MatchRecord>,
    /// What the answer rests on.
    pub freshness: Arc<FreshnessRecord>,
}

/// A check whose answer is short enough to be kept in its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BriefCheck {
    /// When.
    pub checked_at: Timestamp,
    /// When it was true what the picture shows.
    pub as_of: Timestamp,
    /// What the answer rests on.
    pub picture: PictureId,
    /// Kinds of the asked identifiers, one for each place in the question.
    pub kinds: Vec<IdentifierKind>,
    /// Stands for the pseudonyms of what was asked.
    pub pseudonyms: [u8; 16],
    /// The summary, and why.
    pub judgment: Judgment,
    /// Members other than this one that flag by a strong identifier.
    pub members_elsewhere: u32,
    /// Matching signals, own ones included; none is omitted.
    pub matches: Vec<MatchRecord>,
    /// Tells apart checks that are equal otherwise.
    pub number: u32,
}

impl BriefCheck {
    /// A few dozen bytes, which still show all of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let age_ms = self.checked_at.unix_ms().saturating_sub(self.as_of.unix_ms());
        let row = BriefCheckRow {
            checked_at_ms: self.checked_at.unix_ms(),
            age_ms: u32::try_from(age_ms).unwrap_or(0),
            generation: self.picture.generation,
            place: self.picture.place.into(),
            kinds: self.kinds.iter().map(|k| k.number()).collect(),
            pseudonyms: self.pseudonyms.to_vec(),
            verdict: self.judgment.verdict.number(),
            reasons: reason_numbers(&self.judgment),
            score: self.judgment.score.into(),
            members_elsewhere: self.members_elsewhere,
            matches: self.matches.iter().map(encode_match).collect(),
            number: self.number,
        };
        row.encode_to_vec()
    }

    /// `None` where this version cannot read it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let row = BriefCheckRow::decode(bytes).ok()?;
        Some(Self {
            checked_at: Timestamp::from_unix_ms(row.checked_at_ms),
            as_of: Timestamp::from_unix_ms(row.checked_at_ms.checked_sub(row.age_ms.into())?),
            picture: PictureId { generation: row.generation, place: u8::try_from(row.place).ok()? },
            kinds: row.kinds.iter().map(|k| IdentifierKind::from_number(*k)).collect::<Option<_>>()?,
            pseudonyms: row.pseudonyms.try_into().ok()?,
            judgment: decode_judgment(row.verdict, &row.reasons, row.score)?,
            members_elsewhere: row.members_elsewhere,
            matches: row.matches.into_iter().map(decode_match).collect::<Option<_>>()?,
            number: row.number,
        })
    }
}

/// A signal that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchRecord {
    /// Which.
    pub signal: SignalRef,
    /// What it was then.
    pub status: SignalStatus,
    /// Positions in the question that matched by a strong identifier.
    pub strong: Vec<u32>,
    /// Positions in the question that matched by a weak identifier.
    pub weak: Vec<u32>,
    /// Positions in the question that matched by an identifier of a victim.
    pub void: Vec<u32>,
    /// Its feed was quarantined.
    pub quarantined: bool,
    /// It counted towards the verdict.
    pub counts: bool,
}

/// What answers rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessRecord {
    /// When this was taken.
    pub as_of: Timestamp,
    /// Every feed that the node may read, in order.
    pub feeds: Vec<FeedFreshness>,
}

impl FreshnessRecord {
    /// Whether both tell the same of every feed, whenever they were taken.
    #[must_use]
    pub fn tells_the_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&FeedFreshness, &FeedFreshness)| {
            let just_then = (a.last_heard == Some(self.as_of), b.last_heard == Some(other.as_of));
            match just_then {
                (true, true) => FeedFreshness { last_heard: b.last_heard, ..a.clone() } == *b,
                (false, false) => a == b,
                (true, false) | (false, true) => false,
            }
        };
        self.feeds.len() == other.feeds.len() && self.feeds.iter().zip(&other.feeds).all(same)
    }

    /// The same at another moment: what was heard just then, as own feeds are, is heard just then again.
    #[must_use]
    pub fn at(mut self, as_of: Timestamp) -> Self {
        let before = std::mem::replace(&mut self.as_of, as_of);
        self.feeds.iter_mut().filter(|f| f.last_heard == Some(before)).for_each(|f| f.last_heard = Some(as_of));
        self
    }
}

/// How fresh one feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFreshness {
    /// Which.
    pub feed: FeedId,
    /// Entries held.
    pub size: Seq,
    /// Entries of the newest signed checkpoint seen anywhere.
    pub newest_size: Seq,
    /// Last word from the feed's own member; `None` for never.
    pub last_heard: Option<Timestamp>,
    /// Whether and why it is followed.
    pub state: FeedState,
    /// Signals that are not withdrawn.
    pub live_signals: u64,
    /// Entries that this version draws nothing from.
    pub not_understood: u64,
    /// Entries whose content is missing though no erasure names them.
    pub missing: u64,
}

/// Whether a feed is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// It is.
    Followed = 1,
    /// Its member signed two histories.
    Quarantined = 2,
    /// Its member has been expelled.
    Expelled = 3,
    /// Own feed of which another member holds more.
    Behind = 4,
    /// Own feed that no other member has been compared with since the node started.
    Unconfirmed = 5,
}

impl FeedState {
    /// Number in the proto and in records.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    fn from_number(number: i32) -> Option<Self> {
        let all = [Self::Followed, Self::Quarantined, Self::Expelled, Self::Behind, Self::Unconfirmed];
        all.into_iter().find(|s| s.number() == number)
    }
}

/// Checks in one block. Whoever reads one check reads its block.
const BLOCK_CHECKS: usize = 64;
/// Bytes of encoded checks at which a block ends.
const BLOCK_BYTES: usize = 128 * 1_024;

/// A block of records that is being filled. Equal freshness is written once.
#[derive(Default)]
pub(super) struct CheckBlock {
    row: CheckBlockRow,
    freshness: Vec<Arc<FreshnessRecord>>,
    /// Bytes of the checks, and of any freshness but the first: that one is there however short the block is.
    bytes: usize,
}

impl CheckBlock {
    pub(super) fn is_full(&self) -> bool {
        self.row.checks.len() >= BLOCK_CHECKS || self.bytes >= BLOCK_BYTES
    }

    /// Takes a check in, and gives its place.
    pub(super) fn push(&mut self, secret: u64, check: &CheckRecord) -> u16 {
        let freshness = self.share(&check.freshness);
        let row = encode_check(secret, check, freshness);
        self.bytes += row.encoded_len();
        self.row.checks.push(row);
        u16::try_from(self.row.checks.len() - 1).unwrap_or(u16::MAX)
    }

    fn share(&mut self, freshness: &Arc<FreshnessRecord>) -> u32 {
        let at = self.freshness.iter().rposition(|f| Arc::ptr_eq(f, freshness) || f == freshness);
        let at = at.unwrap_or_else(|| {
            let row = encode_freshness(freshness);
            self.bytes += if self.freshness.is_empty() { 0 } else { row.encoded_len() };
            self.row.freshness.push(row);
            self.freshness.push(freshness.clone());
            self.freshness.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.row.encode_to_vec()
    }
}

impl CheckRecord {
    /// About how many bytes it takes, freshness aside.
    pub(super) fn weight(&self) -> usize {
        let pseudonyms: usize = self.pseudonyms.iter().map(|set| 48 + 32 * set.pseudonyms.len()).sum();
        let matches: usize = self.matches.iter().map(|m| 128 + 4 * (m.strong.len() + m.weak.len() + m.void.len())).sum();
        64 + pseudonyms + matches
    }
}

fn encode_check(secret: u64, check: &CheckRecord, freshness: u32) -> CheckRow {
    CheckRow {
        secret,
        checked_at_ms: check.checked_at.unix_ms(),
        kinds: check.kinds.iter().map(|k| k.number()).collect(),
        pseudonyms: check.pseudonyms.iter().map(PseudonymSetRow::from).collect(),
        verdict: check.judgment.verdict.number(),
        reasons: reason_numbers(&check.judgment),
        score: check.judgment.score.into(),
        members_elsewhere: check.members_elsewhere,
        omitted: check.omitted,
        own_omitted: check.own_omitted,
        matches: check.matches.iter().map(encode_match).collect(),
        freshness,
    }
}

fn reason_numbers(judgment: &Judgment) -> Vec<i32> {
    judgment.reasons.iter().map(|reason| reason.number()).collect()
}

fn decode_judgment(verdict: i32, reasons: &[i32], score: u32) -> Option<Judgment> {
    Some(Judgment {
        verdict: Verdict::from_number(verdict)?,
        reasons: reasons.iter().map(|reason| Reason::from_number(*reason)).collect::<Option<_>>()?,
        score: u8::try_from(score).ok()?,
    })
}

fn encode_match(m: &MatchRecord) -> MatchRow {
    MatchRow {
        signal: m.signal.to_string(),
        status: m.status.number(),
        strong: m.strong.clone(),
        weak: m.weak.clone(),
        void: m.void.clone(),
        quarantined: m.quarantined,
        counts: m.counts,
    }
}

fn decode_match(m: MatchRow) -> Option<MatchRecord> {
    Some(MatchRecord {
        signal: m.signal.parse().ok()?,
        status: SignalStatus::from_number(m.status)?,
        strong: m.strong,
        weak: m.weak,
        void: m.void,
        quarantined: m.quarantined,
        counts: m.counts,
    })
}

pub(super) fn encode_freshness(freshness: &FreshnessRecord) -> FreshnessRow {
    let feed = |f: &FeedFreshness| FeedFreshnessRow {
        feed: f.feed.to_string(),
        size: f.size.get(),
        newest_size: f.newest_size.get(),
        last_heard_ms: f.last_heard.map_or(0, Timestamp::unix_ms),
        state: f.state.number(),
        live_signals: f.live_signals,
        not_understood: f.not_understood,
        missing: f.missing,
    };
    FreshnessRow { as_of_ms: freshness.as_of.unix_ms(), feeds: freshness.feeds.iter().map(feed).collect() }
}

/// The record that `reference` names in its block; `None` where it is not there, the secret does not fit, or the block was
/// not written by this version.
pub(super) fn decode_check(mut block: CheckBlockRow, reference: &CheckReference) -> Option<CheckRecord> {
    let place = usize::from(reference.place);
    let row = (place < block.checks.len()).then(|| block.checks.swap_remove(place))?;
    if !bool::from(subtle::ConstantTimeEq::ct_eq(&row.secret, &reference.secret)) {
        return None;
    }
    let freshness = block.freshness.get(usize::try_from(row.freshness).ok()?)?;
    Some(CheckRecord {
        checked_at: Timestamp::from_unix_ms(row.checked_at_ms),
        kinds: row.kinds.iter().map(|k| IdentifierKind::from_number(*k)).collect::<Option<_>>()?,
        pseudonyms: row.pseudonyms.iter().map(PseudonymSetRow::read).collect::<Option<_>>()?,
        judgment: decode_judgment(row.verdict, &row.reasons, row.score)?,
        members_elsewhere: row.members_elsewhere,
        omitted: row.omitted,
        own_omitted: row.own_omitted,
        matches: row.matches.into_iter().map(decode_match).collect::<Option<_>>()?,
        freshness: Arc::new(decode_freshness(freshness)?),
    })
}

pub(super) fn decode_freshness(row: &FreshnessRow) -> Option<FreshnessRecord> {
    let feed = |f: &FeedFreshnessRow| {
        Some(FeedFreshness {
            feed: f.feed.parse().ok()?,
            size: Seq::new(f.size),
            newest_size: Seq::new(f.newest_size),
            last_heard: (f.last_heard_ms != 0).then(|| Timestamp::from_unix_ms(f.last_heard_ms)),
            state: FeedState::from_number(f.state)?,
            live_signals: f.live_signals,
            not_understood: f.not_understood,
            missing: f.missing,
        })
    };
    let feeds = row.feeds.iter().map(feed).collect::<Option<_>>()?;
    Some(FreshnessRecord { as_of: Timestamp::from_unix_ms(row.as_of_ms), feeds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_one_spelling_of_28_characters() {
        let reference = CheckReference { day: 20_000, block: MAX_BLOCK, place: 511, secret: u64::MAX - 1 };
        let text = reference.to_string();
        assert_eq!((text.len(), text.parse()), (28, Ok(reference)));
        assert_eq!("chk_".parse::<CheckReference>().expect_err("refused").code, "REFERENCE_INVALID");
    }
}
