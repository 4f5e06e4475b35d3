//! Whether rows are those that members signed.
//!
//! Every entry of every feed is hashed anew, and the root that comes of it is held against the feed's newest checkpoint, whose signature is
//! verified by the roster among the rows, and that by the secretariat's key. What no member signs (overrides, watches, records of
//! checks) can only be read, or not. Rows may come in the order of a backup: entries of a feed may be stated anew, without their
//! content, but never as others, so that a digest of each segment is all that is remembered.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use prost::Message as _;

use super::audit::{bytes_of, frontier, read_head};
use super::backup::Piece;
use super::engine::{Engine, EngineError, read_parts};
use super::index::FeedNo;
use super::keys::RowKind;
use super::rows::{
    AuditBlockRow, CheckpointRow, DigestHeadRow, DigestKeptRow, DigestPartRow, DigestRow, HeadRow, PairRow, SchemaRow,
};
use super::segment::{self, SEGMENT_ENTRIES};
use super::{OpenError, keys};
use crate::domain::limits::MAX_FLAWS;
use crate::domain::{AllianceName, FeedId, FeedKey, MemberId, Seq};
use crate::feed::{AuditHead, Frontier, Hash, SignedCheckpoint, SignedRoster, leaf_hash};

/// A feed whose entries are those under its newest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFeed {
    /// Which.
    pub feed: FeedId,
    /// Its entries.
    pub size: Seq,
    /// Root of the tree over them.
    pub root: Hash,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// The feeds that are whole, in the order of their names.
    pub feeds: Vec<VerifiedFeed>,
    /// What is wrong, the first [`MAX_FLAWS`]; none where all is well.
    pub flaws: Vec<String>,
    /// Rows that were read.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Entries of one segment.
enum Part {
    /// A full one, by the root over it.
    Full(Hash),
    Growing(Frontier),
}

/// What is remembered of rows to tell whether they are whole: about 3 bytes for each entry of a feed.
#[derive(Default)]
pub struct RowDigest {
    schema: Option<SchemaRow>,
    heads: BTreeMap<FeedNo, HeadRow>,
    parts: BTreeMap<(FeedNo, u64), Part>,
    /// Notes of checkpoints that are kept.
    kept: BTreeMap<(FeedNo, Seq), Bytes>,
    /// The roster's row and its parts; `None` for what was removed.
    roster: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    flaws: Vec<String>,
    rows: u64,
    bytes: u64,
}

impl RowDigest {
    /// Takes note of the rows of a backup.
    pub fn take(&mut self, piece: &Piece) {
        piece.pairs.iter().for_each(|(key, value)| self.row(key, value.as_deref()));
    }

    /// Takes note of all that `later` does, which came after it.
    pub fn absorb(&mut self, later: Self) {
        self.schema = later.schema.or(self.schema.take());
        self.heads.extend(later.heads);
        self.parts.extend(later.parts);
        self.kept.extend(later.kept);
        self.roster.extend(later.roster);
        later.flaws.into_iter().for_each(|flaw| self.flaw(flaw));
        self.rows += later.rows;
        self.bytes += later.bytes;
    }

    fn flaw(&mut self, what: impl Into<String>) {
        if self.flaws.len() < MAX_FLAWS {
            self.flaws.push(what.into());
        }
    }

    fn row(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.rows += 1;
        self.bytes += (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        let Some(kind) = keys::kind(key) else { return self.flaw("there is a row that this version does not know") };
        if self.note(kind, key, value).is_none() {
            self.flaw(format!("a row cannot be read ({kind:?})"));
        }
    }

    /// `None` for what stands under no such key: rows of feeds are never removed.
    fn note(&mut self, kind: RowKind, key: &[u8], value: Option<&[u8]>) -> Option<()> {
        match kind {
            RowKind::Schema => self.schema = Some(SchemaRow::decode(value?).ok()?),
            RowKind::Head(no) => drop(self.heads.insert(no, HeadRow::decode(value?).ok()?)),
            RowKind::Segment(no, number) => drop(self.parts.insert((no, number), Part::of(value?)?)),
            RowKind::Checkpoint(no, size) => {
                self.kept.insert((no, size), CheckpointRow::decode(value?).ok()?.note);
            }
            RowKind::Roster => drop(self.roster.insert(key.to_vec(), value.map(<[u8]>::to_vec))),
            RowKind::Restored | RowKind::Other => {}
        }
        Some(())
    }

    /// As bytes, to be gone on with another time.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let part = |((no, number), part): (&(FeedNo, u64), &Part)| {
            let (leaves, hashes) = match part {
                Part::Full(root) => (SEGMENT_ENTRIES as u64, root.0.to_vec()),
                Part::Growing(grown) => (grown.size().get(), bytes_of(grown)),
            };
            DigestPartRow { feed: no.get(), number: *number, leaves, hashes }
        };
        let roster = self.roster.iter().map(|(key, value)| PairRow { key: key.clone(), value: value.clone() });
        DigestRow {
            schema: self.schema.clone(),
            heads: self.heads.iter().map(|(no, head)| DigestHeadRow { feed: no.get(), head: head.clone() }).collect(),
            parts: self.parts.iter().map(part).collect(),
            kept: self
                .kept
                .iter()
                .map(|((no, size), note)| DigestKeptRow { feed: no.get(), size: size.get(), note: note.clone() })
                .collect(),
            roster: roster.collect(),
            flaws: self.flaws.clone(),
            rows: self.rows,
            bytes: self.bytes,
        }
        .encode_to_vec()
    }

    /// What [`Self::encode`] made; `None` where it did not make these bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let row = DigestRow::decode(bytes).ok()?;
        let part = |row: DigestPartRow| {
            let is_full = row.leaves == SEGMENT_ENTRIES as u64;
            let part = match is_full {
                true => Part::Full(Hash::try_from(&*row.hashes).ok()?),
                false => Part::Growing(frontier(row.leaves, &row.hashes)?),
            };
            Some(((FeedNo::new(row.feed)?, row.number), part))
        };
        Some(Self {
            schema: row.schema,
            heads: row.heads.into_iter().map(|row| Some((FeedNo::new(row.feed)?, row.head))).collect::<Option<_>>()?,
            parts: row.parts.into_iter().map(part).collect::<Option<_>>()?,
            kept: row
                .kept
                .into_iter()
                .map(|row| Some(((FeedNo::new(row.feed)?, Seq::new(row.size)), row.note)))
                .collect::<Option<_>>()?,
            roster: row.roster.into_iter().map(|pair| (pair.key, pair.value)).collect(),
            flaws: row.flaws,
            rows: row.rows,
            bytes: row.bytes,
        })
    }

    /// The roster among the rows, where it holds.
    fn signed_roster(&self, alliance: &AllianceName, secretariat: &FeedKey) -> Option<SignedRoster> {
        let row = |key: &[u8]| self.roster.get(key)?.as_deref();
        let mut note = Vec::new();
        for part in 0..read_parts(row(&keys::roster())?)? {
            note.extend(row(&keys::part(&keys::roster(), part))?);
        }
        SignedRoster::open(note.into(), alliance, secretariat).ok()
    }

    /// What holds of all rows, taken as those of `member`'s store.
    #[must_use]
    pub fn verify(mut self, alliance: &AllianceName, member: &MemberId, secretariat: &FeedKey) -> Verification {
        // Of one that is being put back, the rows are those that are looked at.
        match self.schema.take().map(|row| SchemaRow { unfinished: false, ..row }.check(alliance, member)) {
            None => self.flaw("no row says whose store it is"),
            Some(Err(error)) => self.flaw(error.to_string()),
            Some(Ok(())) => {}
        }
        let roster = self.signed_roster(alliance, secretariat);
        let (heads, mut feeds) = (std::mem::take(&mut self.heads), Vec::new());
        match roster {
            Some(roster) => {
                for (no, head) in heads {
                    match self.verify_feed(no, &head, &roster) {
                        Ok(feed) => feeds.push(feed),
                        Err(why) => self.flaw(format!("{}: {why}", head.feed)),
                    }
                }
                if let Some((no, _)) = self.parts.keys().next().copied() {
                    self.flaw(format!("there are entries of a feed without a checkpoint (number {})", no.get()));
                }
            }
            None if heads.is_empty() && self.roster.is_empty() => {}
            None => self.flaw("there is no roster that the secretariat signed"),
        }
        feeds.sort_by(|a, b| a.feed.cmp(&b.feed));
        Verification { feeds, flaws: self.flaws, rows: self.rows, bytes: self.bytes }
    }

    fn verify_feed(&mut self, no: FeedNo, head: &HeadRow, roster: &SignedRoster) -> Result<VerifiedFeed, String> {
        let of_feed = (no, 0)..=(no, u64::MAX);
        let parts: BTreeMap<_, _> = self.parts.extract_if(of_feed, |_, _| true).collect();
        let kept: Vec<_> = self.kept.extract_if((no, Seq::ZERO)..=(no, Seq::new(u64::MAX)), |_, _| true).collect();
        let feed: FeedId = head.feed.parse().map_err(|_| "this is no name of a feed".to_owned())?;
        // Whoever has left a group signed its feed there all the same.
        let key = roster.roster().member(&feed.member).map(|member| member.feed_key);
        let open = |note: &Bytes| {
            let signed =
                SignedCheckpoint::open(note.clone(), &roster.roster().alliance, |_| key).map_err(|error| error.to_string())?;
            if signed.checkpoint().feed == feed { Ok(signed) } else { Err("its checkpoint is another feed's".to_owned()) }
        };
        for ((_, size), note) in &kept {
            let signed = open(note).map_err(|error| format!("the checkpoint of size {size}: {error}"))?;
            if signed.checkpoint().size != *size {
                return Err(format!("the checkpoint of size {size} is one of size {}", signed.checkpoint().size));
            }
        }
        let signed = open(&head.checkpoint.note)?;
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        let grown = tree_of(parts.into_iter().map(|((_, number), part)| (number, part)))?;
        if grown.size() != size {
            return Err(format!("there are {} entries under a checkpoint of {size}", grown.size()));
        }
        if grown.root() != root {
            return Err(format!("the {size} entries are not those that the member signed"));
        }
        if bytes_of(&grown) != head.checkpoint.frontier {
            return Err("its frontier is not that of its entries".to_owned());
        }
        Ok(VerifiedFeed { feed, size, root })
    }
}

impl Part {
    fn of(value: &[u8]) -> Option<Self> {
        let mut grown = Frontier::empty();
        segment::unpack(value).ok()?.iter().for_each(|leaf| grown.push(leaf.hash()));
        let is_full = grown.size() == Seq::new(SEGMENT_ENTRIES as u64);
        Some(if is_full { Self::Full(grown.root()) } else { Self::Growing(grown) })
    }
}

/// The tree over segments in their order. Full ones are perfect subtrees, which grow into a tree as leaves do.
fn tree_of(parts: impl Iterator<Item = (u64, Part)>) -> Result<Frontier, String> {
    let (mut full, mut last) = (Frontier::empty(), Frontier::empty());
    for (number, part) in parts {
        if number != full.size().get() || last != Frontier::empty() {
            return Err(format!("entries from {} on are missing", full.size().get() * SEGMENT_ENTRIES as u64));
        }
        match part {
            Part::Full(root) => full.push(root),
            Part::Growing(grown) => last = grown,
        }
    }
    let size = full.size().get() * SEGMENT_ENTRIES as u64 + last.size().get();
    let hashes = full.hashes().iter().chain(last.hashes()).copied().collect();
    Frontier::from_parts(Seq::new(size), hashes).map_err(|error| error.to_string())
}

/// Looks through the store in `folder`, which no process has open. Changes nothing of what it holds.
///
/// # Errors
/// [`OpenError`] where it cannot be read at all; what else is wrong is among the flaws.
pub fn verify_store(
    folder: &Path,
    cache_bytes: u64,
    alliance: &AllianceName,
    member: &MemberId,
    secretariat: &FeedKey,
) -> Result<Verification, OpenError> {
    if !Engine::is_in(folder) {
        return Err(OpenError::Absent);
    }
    let engine = Engine::open(folder, cache_bytes)?;
    if let Some(row) = engine.get(&keys::schema())? {
        let row = SchemaRow::decode(&*row).map_err(|_| OpenError::damaged("the schema row"))?;
        row.check(alliance, member)?;
    }
    verify(&engine, alliance, member, secretariat)
}

/// Looks through all rows.
pub(super) fn verify(
    engine: &Engine,
    alliance: &AllianceName,
    member: &MemberId,
    secretariat: &FeedKey,
) -> Result<Verification, OpenError> {
    let read = AssertUnwindSafe(|| {
        let mut digest = RowDigest::default();
        engine.scan(&[], |key, value| {
            digest.row(key, Some(value));
            Ok::<_, EngineError>(())
        })?;
        let roster = digest.signed_roster(alliance, secretariat);
        let key = roster.and_then(|signed| Some(signed.roster().member(member)?.feed_key));
        if let Some(key) = key
            && let Err(why) = verify_audit(engine, alliance, member, &key)?
        {
            digest.flaw(format!("the audit log: {why}"));
        }
        Ok(digest.verify(alliance, member, secretariat))
    });
    // The engine panics on some damaged pages where they are read; here that is damage like any other.
    catch_unwind(read).unwrap_or_else(|_| Err(OpenError::damaged("its pages cannot be read")))
}

/// Whether the records that are kept lead to the head that the member signed.
fn verify_audit(
    engine: &Engine,
    alliance: &AllianceName,
    member: &MemberId,
    key: &FeedKey,
) -> Result<Result<(), String>, EngineError> {
    let Some(head) = read_head(engine)? else { return Ok(Ok(())) };
    let Some(mut grown) = frontier(head.kept_from, &head.kept_frontier) else {
        return Ok(Err("its head cannot be read".to_owned()));
    };
    let mut is_whole = true;
    engine.scan(&keys::audits(), |key, value| {
        let block = AuditBlockRow::decode(value).unwrap_or_default();
        is_whole &= keys::read_numbered(key) == Some(grown.size().get()) && !block.records.is_empty();
        block.records.iter().for_each(|record| grown.push(leaf_hash(record)));
        Ok::<_, EngineError>(())
    })?;
    Ok(match AuditHead::open(&head.note, alliance, member, key) {
        Err(error) => Err(error.to_string()),
        Ok(signed) if !is_whole || signed.size != grown.size() => Err(format!("records are missing of {}", signed.size)),
        Ok(signed) if signed.root != grown.root() => Err("its records are not those that the member signed".to_owned()),
        Ok(_) => Ok(()),
    })
}
