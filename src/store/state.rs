//! What is derived from the log and kept in memory: the feeds with their views, and the index.
//!
//! Readers share it under a lock that is held for look-ups only. The writer changes it after a commit is durable, so nobody
//! sees what could still be lost. `load` builds all of it from the log and verifies every feed against its checkpoint on the
//! way, which is also how it is rebuilt on demand.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use prost::Message as _;

use super::engine::{Engine, EngineError};
use super::index::{FeedNo, Position, PositionIndex};
use super::rows::{CheckpointRow, ForkRow, HeadRow};
use super::segment;
use super::tip::{Tip, read_hashes};
use super::{OpenError, keys};
use crate::domain::{FeedId, MemberId, Seq, SignalContent, SignalStatus, Timestamp};
use crate::feed::{Body, Effect, Entry, EntryBytes, FeedView, FoldError, Frontier, Hash, NotUnderstood, decode};

/// One feed as it is on disk.
pub(super) struct FeedRecord {
    pub(super) id: FeedId,
    pub(super) frontier: Frontier,
    /// The newest checkpoint, as signed note.
    pub(super) note: Bytes,
    pub(super) view: FeedView,
}

/// Evidence that a member signed two histories of a feed, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkRecord {
    /// Signed note of the smaller or equal size.
    pub first: Bytes,
    /// The signed note that contradicts it.
    pub second: Bytes,
    /// See [`crate::feed::ForkProof::frontier`].
    pub frontier: Vec<crate::feed::Hash>,
    /// See [`crate::feed::ForkProof::leaf_hashes`].
    pub leaf_hashes: Vec<crate::feed::Hash>,
    /// When this node found it.
    pub found_at: Timestamp,
}

pub(super) struct State {
    pub(super) feeds: BTreeMap<FeedNo, FeedRecord>,
    numbers: HashMap<FeedId, FeedNo>,
    pub(super) subjects: PositionIndex,
    /// Signals of own feeds by submission tag.
    pub(super) submissions: PositionIndex,
    pub(super) forks: BTreeMap<FeedId, ForkRecord>,
    /// Own feeds of which another member holds more, and how much.
    pub(super) behind: BTreeMap<FeedId, Seq>,
    own: MemberId,
}

impl State {
    fn new(own: MemberId) -> Self {
        Self {
            feeds: BTreeMap::new(),
            numbers: HashMap::new(),
            subjects: PositionIndex::new(),
            submissions: PositionIndex::new(),
            forks: BTreeMap::new(),
            behind: BTreeMap::new(),
            own,
        }
    }

    /// Reads everything, and verifies each feed against its newest checkpoint.
    pub(super) fn load(engine: &Engine, own: &MemberId) -> Result<(Self, BTreeMap<FeedId, Tip>), OpenError> {
        let mut state = Self::new(own.clone());
        let mut tips = BTreeMap::new();
        for (no, row) in read_heads(engine)? {
            let id: FeedId = row.feed.parse().map_err(|_| OpenError::damaged("the name of a feed"))?;
            let tip = state.load_feed(engine, no, &id, row)?;
            tips.insert(id, tip);
        }
        state.load_marks(engine)?;
        Ok((state, tips))
    }

    fn load_feed(&mut self, engine: &Engine, no: FeedNo, id: &FeedId, row: HeadRow) -> Result<Tip, OpenError> {
        let signed = read_frontier(&row.checkpoint, id)?;
        self.add_feed(no, id.clone());
        let mut grown = Frontier::empty();
        let mut tail = Vec::new();
        engine.scan(&keys::segments(no), |key, value| {
            let entries = segment::unpack(value).map_err(|_| OpenError::damaged(format!("a segment of {id}")))?;
            // An unacknowledged commit may have left more in the last segment than the head covers.
            let left = usize::try_from(signed.size().since(grown.size())).unwrap_or(usize::MAX);
            if keys::read_number(key) != Some(segment::number_of(grown.size())) && left > 0 {
                return Err(OpenError::damaged(format!("entries of {id} are missing")));
            }
            tail.clear();
            for entry in entries.into_iter().take(left) {
                self.fold(no, grown.size(), &decode(&entry), |at| read_signal(engine, no, at))?;
                grown.push(entry.leaf_hash());
                tail.push(entry);
            }
            Ok(())
        })?;
        if grown != signed {
            return Err(OpenError::damaged(format!("the entries of {id} are not those of its checkpoint")));
        }
        if tail.len() == segment::SEGMENT_ENTRIES || grown.size().get().is_multiple_of(segment::SEGMENT_ENTRIES as u64) {
            tail.clear();
        }
        let record = self.feeds.get_mut(&no).ok_or_else(|| OpenError::damaged("a feed's number"))?;
        record.frontier = grown.clone();
        record.note = row.checkpoint.note.clone();
        Ok(Tip::restore(id.clone(), no, grown, tail, row))
    }

    fn load_marks(&mut self, engine: &Engine) -> Result<(), OpenError> {
        engine.scan(&keys::forks(), |key, value| {
            let feed = keys::read_name(key).ok_or_else(|| OpenError::damaged("the name of a forked feed"))?;
            let row = ForkRow::decode(value).map_err(|_| OpenError::damaged("the proof of a fork"))?;
            let hashes = |bytes: &[u8]| read_hashes(bytes).ok_or_else(|| OpenError::damaged("the proof of a fork"));
            let fork = ForkRecord {
                frontier: hashes(&row.frontier)?,
                leaf_hashes: hashes(&row.leaf_hashes)?,
                found_at: Timestamp::from_unix_ms(row.found_at_ms),
                first: row.first,
                second: row.second,
            };
            self.forks.insert(feed, fork);
            Ok::<_, OpenError>(())
        })?;
        engine.scan(&keys::all_behind(), |key, value| {
            let feed = keys::read_name(key).ok_or_else(|| OpenError::damaged("the name of a feed"))?;
            let size = value.try_into().map(u64::from_be_bytes).map_err(|_| OpenError::damaged("the size of a feed"))?;
            self.behind.insert(feed, Seq::new(size));
            Ok(())
        })
    }

    pub(super) fn number(&self, feed: &FeedId) -> Option<FeedNo> {
        self.numbers.get(feed).copied()
    }

    pub(super) fn feed(&self, feed: &FeedId) -> Option<&FeedRecord> {
        self.feeds.get(&self.number(feed)?)
    }

    /// Makes room for a feed; the number is the next one of the store.
    pub(super) fn add_feed(&mut self, no: FeedNo, id: FeedId) {
        self.numbers.insert(id.clone(), no);
        self.feeds.entry(no).or_insert_with(|| FeedRecord {
            id,
            frontier: Frontier::empty(),
            note: Bytes::new(),
            view: FeedView::new(),
        });
    }

    /// Takes one durable entry into the feed's view and the index. `read` gives the earlier signal that the entry withdraws.
    pub(super) fn fold(
        &mut self,
        no: FeedNo,
        seq: Seq,
        entry: &Result<Entry, NotUnderstood>,
        read: impl FnOnce(Seq) -> Result<Option<SignalContent>, EngineError>,
    ) -> Result<(), OpenError> {
        let Some(record) = self.feeds.get_mut(&no) else { return Err(OpenError::damaged("a feed's number")) };
        let own = record.id.member == self.own;
        let mut withdrawn = None;
        let effect = record.view.apply(seq, entry.as_ref(), |at| {
            withdrawn = read(at)?;
            Ok::<_, EngineError>(withdrawn.clone())
        });
        match effect {
            Ok(Effect::Added) => self.add_signal(Position::new(no, seq), entry, own),
            Ok(Effect::Withdrawn(at)) => self.remove_signal(Position::new(no, at), withdrawn.as_ref()),
            Ok(Effect::Nothing) => {}
            Err(FoldError::Read(error)) => return Err(error.into()),
            Err(FoldError::OutOfOrder { .. }) => return Err(OpenError::damaged("the order of a feed's entries")),
        }
        Ok(())
    }

    fn add_signal(&mut self, position: Position, entry: &Result<Entry, NotUnderstood>, own: bool) {
        let Ok(Entry { body: Body::Signal { tag, content }, .. }) = entry else { return };
        let marked = position.marked(content.live_status() == SignalStatus::Confirmed);
        for pseudonym in content.pseudonyms.iter().flat_map(|set| &set.pseudonyms) {
            self.subjects.insert(pseudonym.into(), marked);
        }
        if own {
            self.submissions.insert(tag.into(), position);
        }
    }

    /// A withdrawn signal is found by no check any more; its submission is still known.
    fn remove_signal(&mut self, position: Position, content: Option<&SignalContent>) {
        for pseudonym in content.iter().flat_map(|c| &c.pseudonyms).flat_map(|set| &set.pseudonyms) {
            self.subjects.remove(pseudonym.into(), position);
        }
    }
}

fn read_heads(engine: &Engine) -> Result<Vec<(FeedNo, HeadRow)>, OpenError> {
    let mut heads = Vec::new();
    engine.scan(&keys::heads(), |key, value| {
        let no = keys::read_feed(key).ok_or_else(|| OpenError::damaged("a feed's number"))?;
        heads.push((no, HeadRow::decode(value).map_err(|_| OpenError::damaged("the head of a feed"))?));
        Ok::<_, OpenError>(())
    })?;
    Ok(heads)
}

/// The frontier that a stored checkpoint carries. It is the one whose root its member signed.
pub(super) fn read_frontier(row: &CheckpointRow, id: &FeedId) -> Result<Frontier, OpenError> {
    let damaged = || OpenError::damaged(format!("a checkpoint of {id}"));
    let (size, root) = signed_head(&row.note).ok_or_else(damaged)?;
    let frontier = Frontier::from_parts(size, read_hashes(&row.frontier).ok_or_else(damaged)?).map_err(|_| damaged())?;
    if frontier.root() == root { Ok(frontier) } else { Err(damaged()) }
}

/// Size and root of a checkpoint note of this store, whose signature was verified before it was stored.
fn signed_head(note: &[u8]) -> Option<(Seq, Hash)> {
    let mut lines = std::str::from_utf8(note).ok()?.lines().skip(1);
    let size = lines.next()?.parse().ok().map(Seq::new)?;
    let root = BASE64.decode(lines.next()?).ok()?;
    Some((size, Hash::try_from(root.as_slice()).ok()?))
}

/// The stored entry at `seq`, or `None` where the feed does not reach so far.
pub(super) fn read_entry(engine: &Engine, no: FeedNo, seq: Seq) -> Result<Option<EntryBytes>, EngineError> {
    let Some(value) = engine.get(&keys::segment(no, segment::number_of(seq)))? else { return Ok(None) };
    let entries = segment::unpack(&value).map_err(|e| EngineError::Damaged(e.to_string()))?;
    Ok(entries.into_iter().nth(segment::place_of(seq)))
}

pub(super) fn read_signal(engine: &Engine, no: FeedNo, seq: Seq) -> Result<Option<SignalContent>, EngineError> {
    let entry = read_entry(engine, no, seq)?;
    Ok(entry.and_then(|bytes| match decode(&bytes) {
        Ok(Entry { body: Body::Signal { content, .. }, .. }) => Some(content),
        Ok(Entry { body: Body::Retraction(_), .. }) | Err(_) => None,
    }))
}
