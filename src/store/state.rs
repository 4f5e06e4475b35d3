//! What is derived from the log and kept in memory: the feeds with their views, and the index.
//!
//! Readers share it under a lock that is held for look-ups only. The writer changes it after a commit is durable, so nobody
//! sees what could still be lost. `load` takes up the hints, folds the entries after them, and holds the frontier that they come to
//! against the feed's newest checkpoint; without hints, which is also how it is rebuilt on demand, it folds the whole log.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use prost::Message as _;

use super::casebook::Casebook;
use super::effects::Effects;
use super::engine::{Engine, EngineError};
use super::erasures::Erasures;
use super::hints::{FeedHint, Hints, Recalled, RecalledFeed};
use super::index::{FeedNo, Position, PositionIndex, Postings as _};
use super::keyed::KeyCounts;
use super::rows::{CheckpointRow, ForkRow, HeadRow};
use super::segment;
use super::tip::{Tip, read_hashes};
use super::{OpenError, keys};
use crate::domain::{FeedId, MemberId, PseudonymSet, Seq, SignalRef, Timestamp};
use crate::feed::{Body, Entry, FeedView, Frontier, Hash, KeyedSignal, Leaf, NotUnderstood};

/// Entries after which a hint is due: about so many are folded when a store opens whose hints are whole, in a fraction of a second.
const MOST_ENTRIES_WITHOUT_HINT: u64 = 65_536;
/// The same for a small store, whose hints stay small too.
const LEAST_ENTRIES_WITHOUT_HINT: u64 = 256;
/// Between the two, the part of all entries that may be without a hint.
const PART_WITHOUT_HINT: u64 = 64;
/// Bytes of effects after which a hint is due.
const MOST_BYTES_WITHOUT_HINT: usize = 4 * 1_024 * 1_024;

/// One feed as it is on disk.
pub(super) struct FeedRecord {
    pub(super) id: FeedId,
    pub(super) frontier: Frontier,
    /// The newest checkpoint, as signed note.
    pub(super) note: Bytes,
    pub(super) view: FeedView,
    /// What the entries did that no hint tells of.
    unhinted: Effects,
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
    /// Live signals of each own feed under each key.
    pub(super) keyed: BTreeMap<FeedNo, KeyCounts>,
    /// Own markers, whether they were taken back or not.
    pub(super) own_markers: BTreeSet<SignalRef>,
    /// What entries say about others.
    pub(super) casebook: Casebook,
    /// Which erasures there are, and how far they are carried out.
    pub(super) erasures: Erasures,
    pub(super) forks: BTreeMap<FeedId, ForkRecord>,
    /// Own feeds of which another member holds more, and how much.
    pub(super) behind: BTreeMap<FeedId, Seq>,
    own: MemberId,
    /// Entries of all feeds.
    entries: u64,
    /// Those that no hint tells of, and the bytes of their effects.
    unhinted: (u64, usize),
}

/// Everything derived, and the growing ends of the feeds. Where the hints do not fit the log, they are thrown away.
pub(super) fn load(
    engine: &Engine,
    own: &MemberId,
    recalled: Recalled,
    hints: &mut Hints,
) -> Result<(State, BTreeMap<FeedId, Tip>), OpenError> {
    // sled panics on some damaged pages where they are read; here that is damage like any other.
    let attempt = |recalled: Recalled, hints: &mut Hints| {
        hints.resume(&recalled);
        let read = std::panic::AssertUnwindSafe(|| State::read(engine, own, recalled, hints));
        std::panic::catch_unwind(read).unwrap_or_else(|_| Err(OpenError::damaged("its pages cannot be read")))
    };
    let recalls = !recalled.is_empty();
    match attempt(recalled, hints) {
        Err(error) if recalls => {
            tracing::warn!(code = error.code(), %error, "the hints do not fit the log; all of it is read instead");
            attempt(Recalled::default(), hints)
        }
        loaded => loaded,
    }
    .inspect_err(|_| hints.stop())
}

impl State {
    fn read(
        engine: &Engine,
        own: &MemberId,
        mut recalled: Recalled,
        hints: &mut Hints,
    ) -> Result<(Self, BTreeMap<FeedId, Tip>), OpenError> {
        let mut state = Self {
            feeds: BTreeMap::new(),
            numbers: HashMap::new(),
            entries: recalled.entries(),
            subjects: recalled.subjects,
            submissions: recalled.submissions,
            keyed: recalled.keys,
            own_markers: BTreeSet::new(),
            casebook: Casebook::default(),
            erasures: Erasures::default(),
            forks: BTreeMap::new(),
            behind: BTreeMap::new(),
            own: own.clone(),
            unhinted: (0, 0),
        };
        let mut tips = BTreeMap::new();
        for (no, row) in read_heads(engine)? {
            let id: FeedId = row.feed.parse().map_err(|_| OpenError::damaged("the name of a feed"))?;
            let tip = state.load_feed(engine, no, &id, row, recalled.feeds.remove(&no), hints)?;
            tips.insert(id, tip);
        }
        if !recalled.feeds.is_empty() {
            return Err(OpenError::damaged("a feed is missing"));
        }
        state.load_marks(engine)?;
        Ok((state, tips))
    }

    fn load_feed(
        &mut self,
        engine: &Engine,
        no: FeedNo,
        id: &FeedId,
        row: HeadRow,
        recalled: Option<RecalledFeed>,
        hints: &mut Hints,
    ) -> Result<Tip, OpenError> {
        let signed = read_frontier(&row.checkpoint, id)?;
        self.add_feed(no, id.clone());
        let (mut grown, mut hinted) = (Frontier::empty(), Seq::ZERO);
        if let Some(recalled) = recalled {
            if recalled.id != *id || recalled.frontier.size() > signed.size() {
                return Err(OpenError::damaged(format!("entries of {id} are missing")));
            }
            grown = recalled.frontier;
            hinted = grown.size();
            let record = self.record(no)?;
            record.unhinted = Effects::from(grown.size());
            record.view = recalled.view;
            self.recall_notes(engine, no, id, &recalled.noted)?;
        }
        let mut tail = Vec::new();
        let mut bodies = Bodies::of(engine, no);
        let from = keys::segment(no, segment::number_of(grown.size()));
        engine.scan_from(&keys::segments(no), &from, |key, value| {
            // An unacknowledged commit may have left more than the head covers, in the last segment and after it.
            let left = usize::try_from(signed.size().since(grown.size())).unwrap_or(usize::MAX);
            if keys::read_number(key) != Some(segment::number_of(grown.size())) {
                return if left == 0 { Ok(()) } else { Err(OpenError::damaged(format!("entries of {id} are missing"))) };
            }
            let entries = segment::unpack(value).map_err(|_| OpenError::damaged(format!("a segment of {id}")))?;
            let known = segment::place_of(grown.size());
            tail = entries.into_iter().take(known.saturating_add(left)).collect();
            let new = tail.get(known..).unwrap_or_default();
            let read: Vec<_> = new.iter().map(Leaf::read).collect();
            for (i, entry) in read.iter().enumerate() {
                self.check_erased(engine, no, grown.size().plus(i), entry, hinted)?;
            }
            self.fold(no, grown.size(), read.iter().map(Result::as_ref), |at| bodies.read(at))?;
            new.iter().for_each(|leaf| grown.push(leaf.hash()));
            if self.is_hint_due() {
                self.record(no)?.frontier = grown.clone();
                hints.append(self.all_hints());
            }
            Ok(())
        })?;
        if grown != signed {
            return Err(OpenError::damaged(format!("the entries of {id} are not those of its checkpoint")));
        }
        if segment::place_of(grown.size()) == 0 {
            tail.clear();
        }
        // Hints may tell of all entries, but those of the last segment are written again when it grows. They are the leaves of the
        // narrowest subtrees.
        let mut last = Frontier::empty();
        tail.iter().for_each(|leaf| last.push(leaf.hash()));
        if tail.len() != segment::place_of(grown.size()) || !grown.hashes().ends_with(last.hashes()) {
            return Err(OpenError::damaged(format!("the last entries of {id} are not those of its checkpoint")));
        }
        let record = self.record(no)?;
        record.frontier = grown.clone();
        record.note = row.checkpoint.note.clone();
        Ok(Tip::restore(id.clone(), no, grown, tail, row))
    }

    /// Makes sure that what the entry at `at` erases of those before `hinted` was still there when the hints were written, or erased by
    /// then: what they tell of it could not be taken back any more.
    fn check_erased(
        &self,
        engine: &Engine,
        no: FeedNo,
        at: Seq,
        entry: &Result<Entry, NotUnderstood>,
        hinted: Seq,
    ) -> Result<(), OpenError> {
        let Ok(Entry { body: Body::Erasure(erasure), .. }) = entry else { return Ok(()) };
        let view = self.feeds.get(&no).map(|record| &record.view);
        let is_known_gone = |seq: Seq| {
            let position = Position::new(no, seq);
            self.casebook.is_erased(position) || view.is_some_and(|view| view.is_withdrawn(seq) || view.is_missing(seq))
        };
        for seq in erasure.entries.iter().copied().filter(|seq| *seq < at.min(hinted) && !is_known_gone(*seq)) {
            if read_leaf(engine, no, seq)?.is_some_and(|leaf| leaf.bytes().is_none()) {
                return Err(OpenError::damaged("the hints are older than what was erased"));
            }
        }
        Ok(())
    }

    /// Reads again what the hints only name: each segment once, however many of its entries are notes.
    fn recall_notes(&mut self, engine: &Engine, no: FeedNo, id: &FeedId, noted: &[(Seq, Timestamp)]) -> Result<(), OpenError> {
        let damaged = || OpenError::damaged(format!("an entry of {id}"));
        for of_segment in noted.chunk_by(|(a, _), (b, _)| segment::number_of(*a) == segment::number_of(*b)) {
            let number = segment::number_of(of_segment[0].0);
            let value = engine.get(&keys::segment(no, number))?.ok_or_else(damaged)?;
            let entries = segment::unpack(&value).map_err(|_| damaged())?;
            for (seq, since) in of_segment {
                let entry = match entries.get(segment::place_of(*seq)).ok_or_else(damaged)?.read() {
                    Ok(entry) => entry,
                    Err(NotUnderstood::Erased | NotUnderstood::Expired) => continue,
                    Err(_) => return Err(damaged()),
                };
                self.take_note(SignalRef { feed: id.clone(), seq: *seq }, Position::new(no, *seq), *since, &entry.body);
            }
        }
        Ok(())
    }

    /// Notes what the entry at `at`, which stands as `name`, says of others.
    fn take_note(&mut self, name: SignalRef, at: Position, since: Timestamp, body: &Body) {
        self.casebook.take(&name, at, since, body);
        if matches!(body, Body::Erasure(_)) {
            self.erasures.note(at);
        }
        if matches!(body, Body::Marker(_)) && name.feed.member == self.own {
            self.own_markers.insert(name);
        }
    }

    /// Drops what was kept of an entry whose content is gone, and of what `rekeyings` say that count of a signal. Where an erasure named
    /// it, its signal counted no more already.
    pub(super) fn expire(&mut self, at: Position, feed: &FeedId, body: Body, rekeyings: Vec<(Seq, Vec<PseudonymSet>)>) {
        self.casebook.forget(at, feed, &body);
        self.own_markers.remove(&SignalRef { feed: feed.clone(), seq: at.seq() });
        let Some(record) = self.feeds.get_mut(&at.feed()) else { return };
        let (found_as, sets): (Position, Vec<PseudonymSet>) = match body {
            Body::Signal { content, .. } => {
                let sets = content.pseudonyms.iter().chain(rekeyings.iter().flat_map(|(_, sets)| sets)).cloned().collect();
                record.view.expire(KeyedSignal { signal: at.seq(), content, rekeyings });
                (at, sets)
            }
            Body::Rekeying(rekeying) => {
                // Where it was erased the fold has seen to it, and what other rekeyings lead to stays.
                let counted = record.view.expire_rekeying(at.seq(), &rekeying);
                (Position::new(at.feed(), rekeying.signal), if counted { rekeying.pseudonyms } else { Vec::new() })
            }
            _ => return,
        };
        let subjects = sets.iter().flat_map(|set| &set.pseudonyms);
        subjects.for_each(|pseudonym| self.subjects.remove(pseudonym.into(), found_as));
    }

    fn load_marks(&mut self, engine: &Engine) -> Result<(), OpenError> {
        self.erasures.load(engine)?;
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

    /// Entries of all feeds.
    pub(super) const fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn number(&self, feed: &FeedId) -> Option<FeedNo> {
        self.numbers.get(feed).copied()
    }

    pub(super) fn feed(&self, feed: &FeedId) -> Option<&FeedRecord> {
        self.feeds.get(&self.number(feed)?)
    }

    /// The name of the entry at a position.
    pub(super) fn name_of(&self, position: Position) -> Option<SignalRef> {
        Some(SignalRef { feed: self.feeds.get(&position.feed())?.id.clone(), seq: position.seq() })
    }

    fn record(&mut self, no: FeedNo) -> Result<&mut FeedRecord, OpenError> {
        self.feeds.get_mut(&no).ok_or_else(|| OpenError::damaged("a feed's number"))
    }

    /// Makes room for a feed; the number is the next one of the store.
    pub(super) fn add_feed(&mut self, no: FeedNo, id: FeedId) {
        self.numbers.insert(id.clone(), no);
        self.feeds.entry(no).or_insert_with(|| FeedRecord {
            id,
            frontier: Frontier::empty(),
            note: Bytes::new(),
            view: FeedView::new(),
            unhinted: Effects::default(),
        });
    }

    /// Takes durable entries, of which the first stands at `first`, into the feed's view and the index. `read` gives what an earlier
    /// entry says that one does something to.
    pub(super) fn fold<'a>(
        &mut self,
        no: FeedNo,
        first: Seq,
        entries: impl ExactSizeIterator<Item = Result<&'a Entry, &'a NotUnderstood>> + Clone,
        read: impl FnMut(Seq) -> Result<Option<Body>, EngineError>,
    ) -> Result<(), OpenError> {
        let count = entries.len() as u64;
        let record = self.feeds.get_mut(&no).ok_or_else(|| OpenError::damaged("a feed's number"))?;
        let effects = Effects::fold(&mut record.view, first, entries.clone(), record.id.member == self.own, read)?;
        let mut notes = Vec::new();
        for (seq, since) in &effects.noted {
            let place = usize::try_from(seq.since(first)).unwrap_or(usize::MAX);
            if let Some(Ok(entry)) = entries.clone().nth(place) {
                notes.push((SignalRef { feed: record.id.clone(), seq: *seq }, Position::new(no, *seq), *since, &entry.body));
            }
        }
        notes.into_iter().for_each(|(name, at, since, body)| self.take_note(name, at, since, body));
        effects.index_subjects(no, &mut self.subjects);
        effects.index_submissions(no, &mut self.submissions);
        if effects.keys.len() > 0 {
            self.keyed.entry(no).or_default().add_all(&effects.keys);
        }
        self.entries += count;
        self.unhinted.0 += count;
        self.unhinted.1 += effects.bytes();
        self.record(no)?.unhinted.append(effects);
        Ok(())
    }

    /// Whether there is enough that no hint tells of.
    pub(super) fn is_hint_due(&self) -> bool {
        let (entries, bytes) = self.unhinted;
        let part = self.entries / PART_WITHOUT_HINT;
        entries >= part.clamp(LEAST_ENTRIES_WITHOUT_HINT, MOST_ENTRIES_WITHOUT_HINT) || bytes >= MOST_BYTES_WITHOUT_HINT
    }

    /// Hints of all that none tells of. Whoever takes them must write them.
    pub(super) fn all_hints(&mut self) -> Vec<FeedHint> {
        self.unhinted = (0, 0);
        self.feeds.iter_mut().filter_map(|(no, record)| record.hint(*no)).collect()
    }
}

impl FeedRecord {
    fn hint(&mut self, no: FeedNo) -> Option<FeedHint> {
        // A commit that could not be taken in whole leaves the two apart.
        if self.unhinted.added.is_empty() || self.frontier.size() != self.view.size() {
            return None;
        }
        let effects = std::mem::replace(&mut self.unhinted, Effects::from(self.view.size()));
        let totals = self.view.totals();
        Some(FeedHint { no, id: self.id.clone(), frontier: self.frontier.clone(), totals, effects })
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

/// What is stored at `seq`, or `None` where the feed does not reach so far.
pub(super) fn read_leaf(engine: &Engine, no: FeedNo, seq: Seq) -> Result<Option<Leaf>, EngineError> {
    let Some(value) = engine.get(&keys::segment(no, segment::number_of(seq)))? else { return Ok(None) };
    let leaves = segment::unpack(&value).map_err(|e| EngineError::Damaged(e.to_string()))?;
    Ok(leaves.into_iter().nth(segment::place_of(seq)))
}

/// Reads what entries of one feed say. What is read one after the other often stands side by side, so the last segment is kept.
pub(super) struct Bodies<'e> {
    engine: &'e Engine,
    no: FeedNo,
    last: Option<(u64, Vec<Leaf>)>,
}

impl<'e> Bodies<'e> {
    pub(super) fn of(engine: &'e Engine, no: FeedNo) -> Self {
        Self { engine, no, last: None }
    }

    /// `None` where nothing stands that this version understands and that is not erased.
    pub(super) fn read(&mut self, seq: Seq) -> Result<Option<Body>, EngineError> {
        let number = segment::number_of(seq);
        if self.last.as_ref().is_none_or(|(held, _)| *held != number) {
            let Some(value) = self.engine.get(&keys::segment(self.no, number))? else { return Ok(None) };
            let leaves = segment::unpack(&value).map_err(|e| EngineError::Damaged(e.to_string()))?;
            self.last = Some((number, leaves));
        }
        let leaf = self.last.as_ref().and_then(|(_, leaves)| leaves.get(segment::place_of(seq)));
        Ok(leaf.and_then(|leaf| leaf.read().ok()).map(|entry| entry.body))
    }
}
