//! Hints: what the log came to, written beside it now and then, so that a store opens without reading all of its log. (The word
//! is Bitcask's, whose hint files spare it the same.)
//!
//! A hint says of a run of entries of one feed what they did to the feed's view and to the index; all of them, one after the
//! other, are what a fold over the log would give. They hold of pseudonyms and submissions the eight bytes that the index holds.
//!
//! Hints are derived and trusted with nothing: they are never forced to disk, and what cannot be read or does not fit the log
//! is thrown away and made anew. A run is hinted at only after it is durable in the log, so no hint is ahead of it; a feed opens
//! only if the frontier of its hints, grown by the entries after them, is the one that its member signed. Entries that hints tell
//! of are not looked at before they are wanted.
//!
//! The file: a line that names the format and the version of the program, because another version may draw something else from
//! the same entries; then frames of
//! - the bytes of the payload, the subjects and the submissions in it, each a big-endian `u32`,
//! - a SHA-256 over the one before it (at first over that line), these three numbers and the payload,
//! - the payload: a [`HintRow`].
//!
//! What follows the first frame that is not whole is cut off. So a torn write costs what it held, and no frame can be taken
//! for one of another place. A whole frame that does not follow those before it is no accident of a disk: nothing of such a file
//! is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use prost::Message as _;

use super::effects::{Added, Effects, Keyed, Touched};
use super::engine::{ROOM_TO_COMMIT, wipe_file};
use super::index::{FeedNo, Fingerprint, Gathered, PositionIndex};
use super::keyed::KeyCounts;
use super::rows::{FeedHintRow, GoneRow, HintRow, KeyCountRow, KeyedRow, NotedRow, TombstoneRow, TouchedRow};
use super::tip::read_hashes;
use crate::domain::{FeedId, MemberId, Seq, Timestamp};
use crate::feed::{FeedView, Frontier, Hash, Keying, Since, ViewDigest, ViewTotals, sha256};

const FILE: &str = "hints";
const FORMAT: &[u8] = concat!("countermark hints 4 ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();
const NUMBERS: usize = 3 * 4;
const SUM: usize = 32;
/// Most bytes of a payload that is read: a hint is due long before.
const MAX_PAYLOAD_BYTES: usize = 256 * 1_024 * 1_024;
/// Payloads that are read ahead of the index.
const READ_AHEAD: usize = 4;

/// A run of entries of one feed, and where it left the feed.
pub(super) struct FeedHint {
    pub(super) no: FeedNo,
    pub(super) id: FeedId,
    pub(super) frontier: Frontier,
    pub(super) totals: ViewTotals,
    pub(super) effects: Effects,
}

/// Where the next frame goes: so many bytes into the file, after a frame with this sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    bytes: u64,
    sum: Hash,
}

impl End {
    /// Before the first frame.
    fn start() -> Self {
        Self { bytes: FORMAT.len() as u64, sum: sha256(&[FORMAT]) }
    }
}

/// A feed as its hints left it.
pub(super) struct RecalledFeed {
    pub(super) id: FeedId,
    pub(super) frontier: Frontier,
    pub(super) view: FeedView,
    /// Entries about others, and when each counts as recorded.
    pub(super) noted: Vec<(Seq, Timestamp)>,
}

/// What all hints come to.
pub(super) struct Recalled {
    pub(super) feeds: BTreeMap<FeedNo, RecalledFeed>,
    pub(super) subjects: PositionIndex,
    pub(super) submissions: PositionIndex,
    /// Live signals of each own feed under each key.
    pub(super) keys: BTreeMap<FeedNo, KeyCounts>,
    end: End,
}

impl Default for Recalled {
    fn default() -> Self {
        Self {
            feeds: BTreeMap::new(),
            subjects: PositionIndex::new(),
            submissions: PositionIndex::new(),
            keys: BTreeMap::new(),
            end: End::start(),
        }
    }
}

impl Recalled {
    pub(super) fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// Entries that the hints are about.
    pub(super) fn entries(&self) -> u64 {
        self.feeds.values().map(|feed| feed.frontier.size().get()).sum()
    }
}

/// The file of hints.
pub(super) struct Hints {
    /// `None` where there is no place for one.
    path: Option<PathBuf>,
    /// `None` where nothing is written: not yet, or no more since a write failed.
    writer: Option<(File, End)>,
}

impl Hints {
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: Some(folder.join(FILE)), writer: None }
    }

    /// Of a store that keeps none, and reads its log whenever it is opened.
    pub(super) const fn none() -> Self {
        Self { path: None, writer: None }
    }

    /// Reads what is there; nothing where nothing can be read. Changes nothing.
    pub(super) fn recall(&self, own: &MemberId) -> Recalled {
        let Some(path) = &self.path else { return Recalled::default() };
        let read = std::panic::AssertUnwindSafe(|| File::open(path).and_then(|file| recall(file, own)));
        match std::panic::catch_unwind(read).unwrap_or_else(|_| Err(io::Error::other("a hint does not fit"))) {
            Ok(recalled) => recalled,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Recalled::default(),
            Err(error) => {
                tracing::warn!(%error, "the hints cannot be read; the log is read instead");
                Recalled::default()
            }
        }
    }

    /// Goes on after what was recalled, and cuts off the rest.
    pub(super) fn resume(&mut self, recalled: &Recalled) {
        let cut = self.path.as_deref().map(|path| cut(path, recalled.end)).transpose();
        self.writer = cut.unwrap_or_else(|error| {
            give_up(&error);
            None
        });
    }

    /// Writes down `hints`, which follow those before. Where that fails, no more are written until the store is opened anew; nor
    /// are they where the room that is left is the log's.
    pub(super) fn append(&mut self, hints: Vec<FeedHint>) {
        if hints.is_empty() {
            return;
        }
        let (Some(path), Some((mut file, end))) = (&self.path, self.writer.take()) else { return };
        let written = match fs4::available_space(path) {
            Ok(free) if free < ROOM_TO_COMMIT => Err(io::ErrorKind::StorageFull.into()),
            Ok(_) | Err(_) => write_frame(&mut file, end, hints),
        };
        match written {
            Ok(end) => self.writer = Some((file, end)),
            Err(error) => {
                give_up(&error);
                // What is left of a torn frame is cut off at the next open anyway; its room may be needed before.
                drop(file.set_len(end.bytes));
            }
        }
    }

    /// Writes the file anew without the pseudonyms of what is erased, and overwrites the old one. Where that fails, there is none any
    /// more: the next open of the store takes longer.
    pub(super) fn redact(&mut self, is_erased: impl Fn(FeedNo, Seq) -> bool) {
        let (Some(path), Some((_, end))) = (&self.path, self.writer.take()) else { return self.discard() };
        match rewrite(path, end, is_erased) {
            Ok(written) => self.writer = Some(written),
            Err(error) => {
                give_up(&error);
                self.discard();
            }
        }
    }

    /// Throws the hints away.
    pub(super) fn discard(&mut self) {
        self.writer = None;
        if let Some(path) = &self.path
            && let Err(error) = wipe_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the old hints could not be removed; they may hold parts of what has expired");
        }
    }

    /// Writes no more: what would come next does not follow.
    pub(super) fn stop(&mut self) {
        self.writer = None;
    }
}

/// The file at `path` without what follows `end`.
fn cut(path: &Path, end: End) -> io::Result<(File, End)> {
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    if end == End::start() {
        file.set_len(0)?;
        file.write_all(FORMAT)?;
    } else {
        file.set_len(end.bytes)?;
        file.seek(SeekFrom::Start(end.bytes))?;
    }
    Ok((file, end))
}

/// The hints up to `end` without the pseudonyms of what is erased, in the place of the file at `path`.
fn rewrite(path: &Path, end: End, is_erased: impl Fn(FeedNo, Seq) -> bool) -> io::Result<(File, End)> {
    let fresh = path.with_extension("new");
    let mut from = File::open(path)?;
    let mut file = File::create(&fresh)?;
    file.write_all(FORMAT)?;
    from.seek(SeekFrom::Start(FORMAT.len() as u64))?;
    let (mut read, mut written) = (End::start(), End::start());
    while read.bytes < end.bytes {
        let lost = || io::Error::other("a hint is lost");
        let (row, next) = read_row(&mut from, read)?.ok_or_else(lost)?;
        let mut hints = row.feeds.into_iter().map(FeedHint::from_row).collect::<Option<Vec<_>>>().ok_or_else(lost)?;
        for FeedHint { no, effects, .. } in &mut hints {
            effects.redact(|seq| is_erased(*no, seq));
        }
        written = write_frame(&mut file, written, hints)?;
        read = next;
    }
    file.sync_all()?;
    wipe_file(path)?;
    std::fs::rename(&fresh, path)?;
    Ok((file, written))
}

fn give_up(error: &io::Error) {
    tracing::warn!(%error, "hints cannot be written; the next open of the store takes longer");
}

fn write_frame(file: &mut File, end: End, hints: Vec<FeedHint>) -> io::Result<End> {
    let count = |each: fn(&Effects) -> usize| hints.iter().map(|hint| each(&hint.effects)).sum::<usize>();
    let subjects =
        |effects: &Effects| effects.subjects.len() + effects.keyed.iter().map(|keyed| keyed.subjects.len()).sum::<usize>();
    let counts = [count(subjects), count(|effects| effects.submissions.len() + effects.tombstones.len())];
    let payload = HintRow { feeds: hints.into_iter().map(FeedHint::into_row).collect() }.encode_to_vec();
    let mut numbers = [0; NUMBERS];
    for (place, number) in numbers.chunks_exact_mut(4).zip([payload.len(), counts[0], counts[1]]) {
        place.copy_from_slice(&u32::try_from(number).map_err(io::Error::other)?.to_be_bytes());
    }
    let sum = sha256(&[&end.sum.0, &numbers, &payload]);
    let frame = [&numbers[..], &sum.0, &payload].concat();
    file.write_all(&frame)?;
    Ok(End { bytes: end.bytes + frame.len() as u64, sum })
}

/// The numbers of a frame.
struct Numbers {
    payload: usize,
    subjects: usize,
    submissions: usize,
}

/// `None` at the end of the file.
fn read_numbers(file: &mut File) -> io::Result<Option<(Numbers, [u8; NUMBERS], Hash)>> {
    let (mut raw, mut sum) = ([0; NUMBERS], Hash([0; SUM]));
    match file.read_exact(&mut raw).and_then(|()| file.read_exact(&mut sum.0)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let (words, _) = raw.as_chunks::<4>();
    let mut numbers = words.iter().map(|word| usize::try_from(u32::from_be_bytes(*word)).unwrap_or(usize::MAX));
    let mut next = || numbers.next().unwrap_or(0);
    Ok(Some((Numbers { payload: next(), subjects: next(), submissions: next() }, raw, sum)))
}

/// The frame that follows `before`, and where it ends; `None` where no whole one follows.
fn read_row(file: &mut File, before: End) -> io::Result<Option<(HintRow, End)>> {
    let Some((numbers, raw, sum)) = read_numbers(file)? else { return Ok(None) };
    if numbers.payload > MAX_PAYLOAD_BYTES {
        return Ok(None);
    }
    let mut payload = Vec::new();
    file.take(numbers.payload as u64).read_to_end(&mut payload)?;
    if payload.len() != numbers.payload || sha256(&[&before.sum.0, &raw, &payload]) != sum {
        return Ok(None);
    }
    let row = HintRow::decode(Bytes::from(payload)).map_err(io::Error::other)?;
    Ok(Some((row, End { bytes: before.bytes + (NUMBERS + SUM + numbers.payload) as u64, sum })))
}

/// How many subjects and submissions the frames say they have; no more than the file has room for.
fn count(file: &mut File) -> io::Result<(usize, usize)> {
    let length = file.metadata()?.len();
    let (mut at, mut subjects, mut submissions) = (file.stream_position()?, 0_usize, 0_usize);
    while let Some((numbers, ..)) = read_numbers(file)? {
        let end = at + (NUMBERS + SUM) as u64 + numbers.payload as u64;
        let is_whole = end <= length && (1..=MAX_PAYLOAD_BYTES).contains(&numbers.payload);
        if !is_whole || (numbers.subjects + numbers.submissions) * 8 > numbers.payload {
            break;
        }
        (subjects, submissions) = (subjects + numbers.subjects, submissions + numbers.submissions);
        at = file.seek(SeekFrom::Start(end))?;
    }
    Ok((subjects, submissions))
}

/// Whole payloads, on their way to both halves of the index.
type Payload = Arc<Vec<(FeedNo, Effects)>>;

fn recall(mut file: File, own: &MemberId) -> io::Result<Recalled> {
    let mut format = [0; FORMAT.len()];
    if file.read_exact(&mut format).is_err() || format != FORMAT {
        return Ok(Recalled::default());
    }
    let (subjects, submissions) = count(&mut file)?;
    let (subjects, submissions) = (Gathered::with_room_for(subjects), Gathered::with_room_for(submissions));
    file.seek(SeekFrom::Start(FORMAT.len() as u64))?;
    let mut recalled = Recalled::default();
    let halves = std::thread::scope(|scope| {
        let (to_subjects, payloads) = sync_channel(READ_AHEAD);
        let subjects = scope.spawn(move || gather(subjects, &payloads, Effects::index_subjects));
        let (to_submissions, payloads) = sync_channel(READ_AHEAD);
        let submissions = scope.spawn(move || gather(submissions, &payloads, Effects::index_submissions));
        while let Some(payload) = recalled.read_frame(&mut file, own)? {
            let payload: Payload = Arc::new(payload);
            // Where one of them has panicked, so does joining it.
            drop((to_subjects.send(payload.clone()), to_submissions.send(payload)));
        }
        drop((to_subjects, to_submissions));
        let joined = |half: std::thread::Result<Gathered>| half.map_err(|_| io::Error::other("a hint does not fit"));
        Ok::<_, io::Error>((joined(subjects.join())?, joined(submissions.join())?))
    });
    let (subjects, submissions) = halves?;
    (recalled.subjects, recalled.submissions) = (subjects.build(), submissions.build());
    Ok(recalled)
}

/// Whether this is a payload with which a file of hints can begin, of a store of `own`: behind the sum that is over it, which fuzzers and
/// tests cannot get past.
#[must_use]
pub fn is_hint(payload: &[u8], own: &MemberId) -> bool {
    let row = HintRow::decode(payload).ok();
    let Some(hints) = row.and_then(|row| Recalled::default().take_row(row, own)) else { return false };
    let [mut subjects, mut submissions] = [(); 2].map(|()| Gathered::with_room_for(0));
    for (no, effects) in &hints {
        effects.index_subjects(*no, &mut subjects);
        effects.index_submissions(*no, &mut submissions);
    }
    drop((subjects.build(), submissions.build()));
    true
}

fn gather(mut index: Gathered, payloads: &Receiver<Payload>, take: fn(&Effects, FeedNo, &mut Gathered)) -> Gathered {
    for payload in payloads {
        payload.iter().for_each(|(no, effects)| take(effects, *no, &mut index));
    }
    index
}

impl Recalled {
    /// The next frame, taken into the views; `None` where no whole one follows, an error where one does not follow that is whole.
    fn read_frame(&mut self, file: &mut File, own: &MemberId) -> io::Result<Option<Vec<(FeedNo, Effects)>>> {
        let Some((row, end)) = read_row(file, self.end)? else { return Ok(None) };
        let hints = self.take_row(row, own);
        let hints = hints.ok_or_else(|| io::Error::other("a hint does not follow those before it"))?;
        self.end = end;
        Ok(Some(hints))
    }

    /// `None` where the hints do not follow those before them.
    fn take_row(&mut self, row: HintRow, own: &MemberId) -> Option<Vec<(FeedNo, Effects)>> {
        let hints = row.feeds.into_iter().map(FeedHint::from_row).collect::<Option<Vec<_>>>();
        let hints = hints.filter(|hints| hints.iter().all(|hint| self.take_view(hint, own)))?;
        Some(hints.into_iter().map(|hint| (hint.no, hint.effects)).collect())
    }

    /// False where the hint does not follow those before it.
    fn take_view(&mut self, hint: &FeedHint, own: &MemberId) -> bool {
        let feed = self.feeds.entry(hint.no).or_insert_with(|| RecalledFeed {
            id: hint.id.clone(),
            frontier: Frontier::empty(),
            view: FeedView::new(),
            noted: Vec::new(),
        });
        let signals = hint.effects.added.iter().filter(|added| added.is_signal()).count();
        let submissions = if hint.id.member == *own { signals } else { 0 };
        let follows = feed.id == hint.id && feed.view.size() == hint.effects.first;
        let adds_up = hint.effects.submissions.len() == submissions
            && hint.totals.signals == feed.view.signals() + signals as u64
            && feed.view.withdrawn() + hint.effects.withdrawn.len() as u64 <= hint.totals.signals;
        let since = Since {
            withdrawn: hint.effects.withdrawn.iter().map(|withdrawal| (withdrawal.signal, withdrawal.by)).collect(),
            missing: hint.effects.missing().collect(),
            gone: hint.effects.gone.clone(),
            rekeyed: hint.effects.keyed.iter().map(|keyed| (keyed.signal, keyed.rekeying, keyed.keying)).collect(),
            strengthened: hint.effects.strengthened.iter().map(|strengthened| strengthened.signal).collect(),
        };
        if !follows || !adds_up || feed.view.resume(hint.totals, since).is_err() {
            return false;
        }
        if hint.effects.keys.len() > 0 {
            self.keys.entry(hint.no).or_default().add_all(&hint.effects.keys);
        }
        feed.frontier = hint.frontier.clone();
        feed.noted.extend(&hint.effects.noted);
        true
    }
}

impl FeedHint {
    fn into_row(self) -> FeedHintRow {
        let Self { no, id, frontier, totals, effects } = self;
        FeedHintRow {
            number: no.get(),
            feed: id.to_string(),
            first: effects.first.get(),
            frontier: frontier.hashes().iter().flat_map(|hash| hash.0).collect(),
            signals: totals.signals,
            not_understood: totals.not_understood,
            digest: totals.digest.to_bytes().to_vec().into(),
            added: effects.added.iter().flat_map(|added| added.bits().to_be_bytes()).collect(),
            subjects: write_fingerprints(&effects.subjects),
            submissions: write_fingerprints(&effects.submissions),
            withdrawn: write_touched(&effects.withdrawn),
            strengthened: write_touched(&effects.strengthened),
            latest_ms: totals.latest.unix_ms(),
            noted: effects.noted.iter().map(|(seq, since)| NotedRow { seq: seq.get(), since_ms: since.unix_ms() }).collect(),
            gone: effects.gone.iter().map(|(seq, by)| GoneRow { seq: seq.get(), by: by.get() }).collect(),
            tombstones: effects.tombstones.iter().map(write_tombstone).collect(),
            keyed: effects.keyed.iter().map(write_keyed).collect(),
            keys: effects.keys.iter().map(|(key, more)| KeyCountRow { key: key.to_string(), more }).collect(),
        }
    }

    fn from_row(row: FeedHintRow) -> Option<Self> {
        let (added, []) = row.added.as_chunks::<2>() else { return None };
        let effects = Effects {
            first: Seq::new(row.first),
            added: added.iter().map(|bits| Added::from_bits(u16::from_be_bytes(*bits))).collect(),
            subjects: read_fingerprints(&row.subjects)?,
            submissions: read_fingerprints(&row.submissions)?,
            withdrawn: read_touched(row.withdrawn)?,
            strengthened: read_touched(row.strengthened)?,
            noted: row.noted.iter().map(|row| (Seq::new(row.seq), Timestamp::from_unix_ms(row.since_ms))).collect(),
            gone: row.gone.iter().map(|row| (Seq::new(row.seq), Seq::new(row.by))).collect(),
            tombstones: row.tombstones.iter().map(read_tombstone).collect(),
            keyed: row.keyed.iter().map(read_keyed).collect::<Option<_>>()?,
            keys: row.keys.iter().map(|row| Some((row.key.parse().ok()?, row.more))).collect::<Option<_>>()?,
        };
        let size = Seq::new(row.first.checked_add(effects.added.len() as u64)?);
        let hint = Self {
            no: FeedNo::new(row.number)?,
            id: row.feed.parse().ok()?,
            frontier: Frontier::from_parts(size, read_hashes(&row.frontier)?).ok()?,
            totals: ViewTotals {
                size,
                signals: row.signals,
                not_understood: row.not_understood,
                digest: ViewDigest::from_bytes(row.digest.as_ref().try_into().ok()?),
                latest: Timestamp::from_unix_ms(row.latest_ms),
            },
            effects,
        };
        hint.effects.are_whole().then_some(hint)
    }
}

fn write_touched(touched: &[Touched]) -> Vec<TouchedRow> {
    let row = |touched: &Touched| TouchedRow {
        signal: touched.signal.get(),
        by: touched.by.get(),
        subjects: write_fingerprints(&touched.subjects),
    };
    touched.iter().map(row).collect()
}

fn read_touched(rows: Vec<TouchedRow>) -> Option<Vec<Touched>> {
    let touched = |row: TouchedRow| {
        Some(Touched { signal: Seq::new(row.signal), by: Seq::new(row.by), subjects: read_fingerprints(&row.subjects)? })
    };
    rows.into_iter().map(touched).collect()
}

fn write_tombstone((submission, seq): &(Fingerprint, Seq)) -> TombstoneRow {
    TombstoneRow { submission: u64::from_be_bytes(submission.to_bytes()), seq: seq.get() }
}

fn read_tombstone(row: &TombstoneRow) -> (Fingerprint, Seq) {
    (Fingerprint::from_bytes(row.submission.to_be_bytes()), Seq::new(row.seq))
}

fn write_keyed(keyed: &Keyed) -> KeyedRow {
    let keying = match keyed.keying {
        Keying::Counts => 1,
        Keying::Spent => 2,
        Keying::Gone => 3,
    };
    KeyedRow {
        signal: keyed.signal.get(),
        rekeying: keyed.rekeying.get(),
        keying,
        is_conclusive: keyed.is_conclusive,
        subjects: write_fingerprints(&keyed.subjects),
    }
}

fn read_keyed(row: &KeyedRow) -> Option<Keyed> {
    let keying = match row.keying {
        1 => Keying::Counts,
        2 => Keying::Spent,
        3 => Keying::Gone,
        _ => return None,
    };
    Some(Keyed {
        signal: Seq::new(row.signal),
        rekeying: Seq::new(row.rekeying),
        keying,
        is_conclusive: row.is_conclusive,
        subjects: read_fingerprints(&row.subjects)?,
    })
}

fn write_fingerprints(fingerprints: &[Fingerprint]) -> Bytes {
    fingerprints.iter().flat_map(|fingerprint| fingerprint.to_bytes()).collect()
}

fn read_fingerprints(bytes: &[u8]) -> Option<Vec<Fingerprint>> {
    let (fingerprints, []) = bytes.as_chunks::<8>() else { return None };
    Some(fingerprints.iter().map(|bytes| Fingerprint::from_bytes(*bytes)).collect())
}
