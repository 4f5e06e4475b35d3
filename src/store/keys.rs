//! Keys of the log tree. One tree holds everything, so that one sled `Batch` is one atomic commit.
//!
//! A key is a tag byte and big-endian integers, at most 16 bytes, which sled keeps inline; rare rows have a feed's name
//! instead. No key holds an identifier or a pseudonym.

use super::index::FeedNo;
use super::pictures::PictureId;
use crate::domain::{FeedId, MemberId, Seq};

const SCHEMA: u8 = 0x00;
const HEAD: u8 = 0x01;
const SEGMENT: u8 = 0x02;
const CHECKPOINT: u8 = 0x03;
const CHECKS: u8 = 0x04;
const FORK: u8 = 0x05;
const ROSTER: u8 = 0x06;
const BEHIND: u8 = 0x07;
const PART: u8 = 0x08;
const PICTURE: u8 = 0x09;
const OVERRIDE: u8 = 0x0a;
const LAST_OVERRIDE: u8 = 0x0b;
const ERASED: u8 = 0x0c;
const RECEIPT: u8 = 0x0d;
const WATCH: u8 = 0x0e;
const LAST_WATCH: u8 = 0x0f;
const LOOK: u8 = 0x10;
const ALERT: u8 = 0x11;
const LAST_ALERT: u8 = 0x12;
const DELIVERED: u8 = 0x13;
const AUDIT: u8 = 0x14;
const AUDIT_HEAD: u8 = 0x15;
const USAGE: u8 = 0x16;
const CHARGED: u8 = 0x17;
const RESTORED: u8 = 0x18;
const BACKED_UP: u8 = 0x19;

/// The row that says which schema this store has and whose it is.
pub(super) fn schema() -> Vec<u8> {
    vec![SCHEMA]
}

/// That the store was put back from elsewhere, until its own feeds are known to be level.
pub(super) fn restored() -> Vec<u8> {
    vec![RESTORED]
}

/// When a backup came to its end last.
pub(super) fn backed_up() -> Vec<u8> {
    vec![BACKED_UP]
}

/// The newest roster.
pub(super) fn roster() -> Vec<u8> {
    vec![ROSTER]
}

/// Prefix of all heads.
pub(super) fn heads() -> Vec<u8> {
    vec![HEAD]
}

/// State of a feed as of its newest checkpoint.
pub(super) fn head(feed: FeedNo) -> Vec<u8> {
    with_feed(HEAD, feed)
}

/// Prefix of the marks made with [`behind`].
pub(super) fn all_behind() -> Vec<u8> {
    vec![BEHIND]
}

/// Marks an own feed of which another member holds more.
pub(super) fn behind(feed: &FeedId) -> Vec<u8> {
    with_name(BEHIND, feed)
}

/// Prefix of the rows made with [`fork`].
pub(super) fn forks() -> Vec<u8> {
    vec![FORK]
}

/// Proof that a feed has two histories. By name: this node may hold nothing else of the feed.
pub(super) fn fork(feed: &FeedId) -> Vec<u8> {
    with_name(FORK, feed)
}

/// The feed of a key made by [`behind`] or [`fork`].
pub(super) fn read_name(key: &[u8]) -> Option<FeedId> {
    std::str::from_utf8(key.get(1..)?).ok()?.parse().ok()
}

/// Prefix of all segments of a feed.
pub(super) fn segments(feed: FeedNo) -> Vec<u8> {
    with_feed(SEGMENT, feed)
}

/// The segment with this number.
pub(super) fn segment(feed: FeedNo, number: u64) -> Vec<u8> {
    with_number(SEGMENT, feed, number)
}

/// The kept checkpoint of this size.
pub(super) fn checkpoint(feed: FeedNo, size: Seq) -> Vec<u8> {
    with_number(CHECKPOINT, feed, size.get())
}

/// Prefix of all kept checkpoints of a feed.
pub(super) fn checkpoints(feed: FeedNo) -> Vec<u8> {
    with_feed(CHECKPOINT, feed)
}

/// A block of check records.
pub(super) fn checks(day: u16, block: u64) -> Vec<u8> {
    let mut key = checks_of_day(day);
    key.extend_from_slice(&block.to_be_bytes());
    key
}

/// Prefix of the check records of one day.
pub(super) fn checks_of_day(day: u16) -> Vec<u8> {
    let mut key = all_checks();
    key.extend_from_slice(&day.to_be_bytes());
    key
}

/// Prefix of all check records.
pub(super) fn all_checks() -> Vec<u8> {
    vec![CHECKS]
}

/// Day and block number of a key made by [`checks`].
pub(super) fn read_checks(key: &[u8]) -> Option<(u16, u64)> {
    let (day, block) = key.strip_prefix(&[CHECKS])?.split_at_checked(2)?;
    Some((u16::from_be_bytes(day.try_into().ok()?), u64::from_be_bytes(block.try_into().ok()?)))
}

/// A picture of how fresh feeds were.
pub(super) fn picture(id: PictureId) -> Vec<u8> {
    let mut key = pictures_of(id.generation);
    key.push(id.place);
    key
}

/// Prefix of the pictures of one generation.
pub(super) fn pictures_of(generation: u32) -> Vec<u8> {
    let mut key = all_pictures();
    key.extend_from_slice(&generation.to_be_bytes());
    key
}

/// Prefix of all pictures.
pub(super) fn all_pictures() -> Vec<u8> {
    vec![PICTURE]
}

/// The picture of a key made by [`picture`].
pub(super) fn read_picture(key: &[u8]) -> Option<PictureId> {
    Some(PictureId::from_bytes(key.strip_prefix(&[PICTURE])?.try_into().ok()?))
}

/// Prefix of all overrides.
pub(super) fn overrides() -> Vec<u8> {
    vec![OVERRIDE]
}

/// The number of the newest override there ever was, so that none is given twice.
pub(super) fn last_override() -> Vec<u8> {
    vec![LAST_OVERRIDE]
}

/// An override of this member.
pub(super) fn override_of(number: u64) -> Vec<u8> {
    numbered(OVERRIDE, number)
}

/// How far a feed's erasures are carried out.
pub(super) fn erased(feed: FeedNo) -> Vec<u8> {
    with_feed(ERASED, feed)
}

/// Prefix of the rows made with [`erased`].
pub(super) fn all_erased() -> Vec<u8> {
    vec![ERASED]
}

/// What a member's node has said of its copy of a feed.
pub(super) fn receipt(feed: FeedNo, holder: &MemberId) -> Vec<u8> {
    [&with_feed(RECEIPT, feed)[..], holder.as_str().as_bytes()].concat()
}

/// Prefix of the rows made with [`receipt`].
pub(super) fn all_receipts() -> Vec<u8> {
    vec![RECEIPT]
}

/// Feed and holder of a key made by [`receipt`].
pub(super) fn read_receipt(key: &[u8]) -> Option<(FeedNo, MemberId)> {
    Some((read_feed(key)?, std::str::from_utf8(key.get(5..)?).ok()?.parse().ok()?))
}

/// Prefix of all watches.
pub(super) fn watches() -> Vec<u8> {
    vec![WATCH]
}

/// A watch of this member.
pub(super) fn watch(number: u64) -> Vec<u8> {
    numbered(WATCH, number)
}

/// The number of the newest watch there ever was, so that none is given twice.
pub(super) fn last_watch() -> Vec<u8> {
    vec![LAST_WATCH]
}

/// Prefix of the rows made with [`look`].
pub(super) fn looks() -> Vec<u8> {
    vec![LOOK]
}

/// That a watch is to be looked at.
pub(super) fn look(watch: u64) -> Vec<u8> {
    numbered(LOOK, watch)
}

/// Prefix of all alerts that nobody acknowledged.
pub(super) fn alerts() -> Vec<u8> {
    vec![ALERT]
}

/// An alert.
pub(super) fn alert(number: u64) -> Vec<u8> {
    numbered(ALERT, number)
}

/// The number of the newest alert there ever was.
pub(super) fn last_alert() -> Vec<u8> {
    vec![LAST_ALERT]
}

/// Up to which alert all were handed to their receiver.
pub(super) fn delivered() -> Vec<u8> {
    vec![DELIVERED]
}

/// Prefix of the rows made with [`audit`].
pub(super) fn audits() -> Vec<u8> {
    vec![AUDIT]
}

/// Records of the audit log, of which this is the first one's number.
pub(super) fn audit(first: u64) -> Vec<u8> {
    numbered(AUDIT, first)
}

/// The head of the audit log.
pub(super) fn audit_head() -> Vec<u8> {
    vec![AUDIT_HEAD]
}

/// Prefix of the rows made with [`usage`].
pub(super) fn usages() -> Vec<u8> {
    vec![USAGE]
}

/// Where the rows of a day begin.
pub(super) fn usage_of_day(day: u32) -> Vec<u8> {
    [&[USAGE], &day.to_be_bytes()[..]].concat()
}

/// What was used on a day; `name` says of what and by whom.
pub(super) fn usage(day: u32, name: &str) -> Vec<u8> {
    [&usage_of_day(day), name.as_bytes()].concat()
}

/// Day and name of a key made by [`usage`].
pub(super) fn read_usage(key: &[u8]) -> Option<(u32, &str)> {
    let day = u32::from_be_bytes(key.get(1..5)?.try_into().ok()?);
    Some((day, std::str::from_utf8(key.get(5..)?).ok()?))
}

/// Prefix of the rows made with [`charged`].
pub(super) fn all_charged() -> Vec<u8> {
    vec![CHARGED]
}

/// Where the rows of a day begin.
pub(super) fn charged_on(day: u32) -> Vec<u8> {
    [&[CHARGED], &day.to_be_bytes()[..]].concat()
}

/// A request that was charged on a day.
pub(super) fn charged(day: u32, request: &[u8; 16], member: &MemberId) -> Vec<u8> {
    [&charged_on(day), &request[..], member.as_str().as_bytes()].concat()
}

/// The number of a key made by [`watch`], [`look`], [`alert`], [`override_of`] or [`audit`].
pub(super) fn read_numbered(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

fn numbered(tag: u8, number: u64) -> Vec<u8> {
    [&[tag], &number.to_be_bytes()[..]].concat()
}

/// A part of the large value whose row has this key.
pub(super) fn part(key: &[u8], part: u32) -> Vec<u8> {
    [&[PART], key, &part.to_be_bytes()].concat()
}

/// What kind of row a key belongs to, for whoever is shown all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    Schema,
    Head(FeedNo),
    Segment(FeedNo, u64),
    Checkpoint(FeedNo, Seq),
    Restored,
    /// The roster, or a part of it.
    Roster,
    /// Any other.
    Other,
}

/// The kind of row under `key`; `None` where no row has such a key.
pub(super) fn kind(key: &[u8]) -> Option<RowKind> {
    Some(match *key.first()? {
        SCHEMA => RowKind::Schema,
        HEAD => RowKind::Head(read_feed(key)?),
        SEGMENT => RowKind::Segment(read_feed(key)?, read_number(key)?),
        CHECKPOINT => RowKind::Checkpoint(read_feed(key)?, Seq::new(read_number(key)?)),
        RESTORED => RowKind::Restored,
        ROSTER => RowKind::Roster,
        PART if key.get(1) == Some(&ROSTER) => RowKind::Roster,
        tag if tag <= BACKED_UP => RowKind::Other,
        _ => return None,
    })
}

/// The feed number at the start of a key made with one.
pub(super) fn read_feed(key: &[u8]) -> Option<FeedNo> {
    FeedNo::new(u32::from_be_bytes(key.get(1..5)?.try_into().ok()?))
}

/// The number at the end of a key made by [`segment`] or [`checkpoint`].
pub(super) fn read_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(5..13)?.try_into().ok()?))
}

fn with_name(tag: u8, feed: &FeedId) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(feed.to_string().as_bytes());
    key
}

fn with_feed(tag: u8, feed: FeedNo) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(tag);
    key.extend_from_slice(&feed.get().to_be_bytes());
    key
}

fn with_number(tag: u8, feed: FeedNo, number: u64) -> Vec<u8> {
    let mut key = with_feed(tag, feed);
    key.extend_from_slice(&number.to_be_bytes());
    key
}
