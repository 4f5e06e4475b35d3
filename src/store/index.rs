//! The index in memory: from a pseudonym to the positions of the live signals that name it, and from a submission tag to the
//! position of the signal that was made of it.
//!
//! It is derived from the feeds: built when the store opens, kept up by every commit. It holds no pseudonym and no tag, only 8
//! bytes of one and a position of 8 bytes, so a row costs about 26 bytes with the table's slack; whoever asks reads the entry
//! and compares the whole value. A miss costs one probe.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::domain::{Pseudonym, Seq, SubmissionTag};

const FEED_BITS: u32 = 20;
const SEQ_BITS: u32 = 42;
const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;
const LIST: u64 = 1 << 63;

/// A store's own short number for a feed, below 2^20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedNo(u32);

impl FeedNo {
    /// `None` at 2^20 and above, which no roster reaches.
    pub fn new(number: u32) -> Option<Self> {
        (number < 1 << FEED_BITS).then_some(Self(number))
    }

    pub(super) fn get(self) -> u32 {
        self.0
    }
}

/// Where an entry stands: feed number and sequence number in 62 bits. The lowest bit of the 63 is a mark: the signal there
/// rests on conclusive evidence, or was given more to rest on later. The mark lets a check find the few signals that confirm under a flood of those that allege,
/// and is no part of the position: positions with and without it are equal.
#[derive(Debug, Clone, Copy)]
pub struct Position(u64);

impl Position {
    /// The position of `seq` in `feed`, without the mark. Sequence numbers stay below 2^42: at a million entries a second,
    /// 139 years.
    pub fn new(feed: FeedNo, seq: Seq) -> Self {
        Self((u64::from(feed.0) << SEQ_BITS | seq.get() & SEQ_MASK) << 1)
    }

    /// The same position, marked where the signal there is `conclusive`.
    pub fn marked(self, conclusive: bool) -> Self {
        Self(self.0 & !1 | u64::from(conclusive))
    }

    /// The feed's number.
    pub fn feed(self) -> FeedNo {
        FeedNo(u32::try_from(self.place() >> SEQ_BITS).unwrap_or(u32::MAX))
    }

    /// The entry's sequence number.
    pub fn seq(self) -> Seq {
        Seq::new(self.place() & SEQ_MASK)
    }

    /// Whether the signal there rests on conclusive evidence.
    pub fn is_conclusive(self) -> bool {
        self.0 & 1 != 0
    }

    fn place(self) -> u64 {
        self.0 >> 1
    }
}

impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Position {}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Hash for Position {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// The newest positions of one feed under a fingerprint.
pub struct Newest {
    /// Which.
    pub feed: FeedNo,
    /// The newest first: so many marked ones and so many others, at most, as were asked for.
    pub positions: Vec<Position>,
    /// Positions of this feed beyond those.
    pub skipped: u64,
}

/// Eight bytes of a pseudonym or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl From<&Pseudonym> for Fingerprint {
    fn from(pseudonym: &Pseudonym) -> Self {
        Self::of(&pseudonym.0)
    }
}

impl From<&SubmissionTag> for Fingerprint {
    fn from(tag: &SubmissionTag) -> Self {
        Self::of(&tag.0)
    }
}

impl Fingerprint {
    fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(bytes.first_chunk().copied().unwrap_or_default())
    }

    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// One row: a fingerprint, and either one position or, with the top bit set, the number of a list.
///
/// Several positions share one row, because equal hashes in an open table would make a flood of one pseudonym quadratic.
#[derive(Clone, Copy)]
struct Row {
    fingerprint: Fingerprint,
    slot: u64,
}

/// Positions that a list holds in one piece; above, a tree costs less than to move them.
const FEW: usize = 64;

/// Positions under one fingerprint, in ascending order. A flood of them costs each change the logarithm of their number.
enum List {
    Few(Vec<Position>),
    Many(BTreeSet<Position>),
}

impl List {
    /// True where it was not there.
    fn insert(&mut self, position: Position) -> bool {
        match self {
            Self::Few(few) if few.len() == FEW => {
                let mut many = BTreeSet::from_iter(few.drain(..));
                let added = many.insert(position);
                *self = Self::Many(many);
                added
            }
            Self::Few(few) => few.binary_search(&position).map_err(|at| few.insert(at, position)).is_err(),
            Self::Many(many) => many.insert(position),
        }
    }

    /// True where it was there.
    fn remove(&mut self, position: Position) -> bool {
        match self {
            Self::Few(few) => few.binary_search(&position).map(|at| few.remove(at)).is_ok(),
            Self::Many(many) => many.remove(&position),
        }
    }

    /// The only one that is left.
    fn last_one(&self) -> Option<Position> {
        match self {
            Self::Few(few) => {
                if let [last] = few[..] {
                    Some(last)
                } else {
                    None
                }
            }
            Self::Many(many) => {
                if many.len() == 1 {
                    many.first().copied()
                } else {
                    None
                }
            }
        }
    }

    /// From the last to the first.
    fn each_backwards(&self, visit: impl FnMut(Position)) {
        match self {
            Self::Few(few) => few.iter().rev().copied().for_each(visit),
            Self::Many(many) => many.iter().rev().copied().for_each(visit),
        }
    }
}

/// Rows whose hashes have some bits in common.
#[derive(Default)]
struct Shard {
    rows: HashTable<Row>,
    lists: Vec<List>,
    free: Vec<usize>,
}

/// Shards of an index. So many that a shard of ten million rows fits into a processor's own cache, which makes filling a new index
/// several times faster, and that the growth of one is over before anybody waits for it.
const SHARDS: usize = 1_024;

/// Fingerprint to positions.
pub struct PositionIndex {
    shards: Vec<Shard>,
    postings: u64,
    hasher: RandomState,
}

/// What takes in changes of an index, now or later.
pub trait Postings {
    /// A position that is there already stays there once.
    fn insert(&mut self, fingerprint: Fingerprint, position: Position);

    /// Whether the position was there or not, it is not there afterwards.
    fn remove(&mut self, fingerprint: Fingerprint, position: Position);
}

impl Default for PositionIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl PositionIndex {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        Self { shards, postings: 0, hasher: RandomState::new() }
    }

    /// Pairs of fingerprint and position held.
    #[must_use]
    pub fn postings(&self) -> u64 {
        self.postings
    }

    /// Positions under this fingerprint, in ascending order.
    #[must_use]
    pub fn positions(&self, fingerprint: Fingerprint) -> Vec<Position> {
        let mut positions = Vec::new();
        self.each_backwards(fingerprint, |position| positions.push(position));
        positions.reverse();
        positions
    }

    /// Whether there is any position under this fingerprint. One probe, however many there are.
    #[must_use]
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        let hash = self.hasher.hash_one(fingerprint);
        self.shards[shard_of(hash)].row(hash, fingerprint).is_some()
    }

    /// The newest positions of each feed: up to `each` marked ones, and up to `each` others. Looks at every position and
    /// copies none beyond those, so that a flood costs a scan of memory and no more.
    #[must_use]
    pub fn newest(&self, fingerprint: Fingerprint, each: usize) -> Vec<Newest> {
        let mut feeds: BTreeMap<FeedNo, (Newest, [usize; 2])> = BTreeMap::new();
        self.each_backwards(fingerprint, |position| {
            let feed = position.feed();
            let empty = || (Newest { feed, positions: Vec::new(), skipped: 0 }, [0, 0]);
            let (newest, taken) = feeds.entry(feed).or_insert_with(empty);
            let taken = &mut taken[usize::from(position.is_conclusive())];
            if *taken < each {
                *taken += 1;
                newest.positions.push(position);
            } else {
                newest.skipped += 1;
            }
        });
        feeds.into_values().map(|(newest, _)| newest).collect()
    }

    /// Positions of one feed stand in the order of their sequence, so that going backwards meets the newest first.
    fn each_backwards(&self, fingerprint: Fingerprint, visit: impl FnMut(Position)) {
        let hash = self.hasher.hash_one(fingerprint);
        let shard = &self.shards[shard_of(hash)];
        match shard.row(hash, fingerprint) {
            None => {}
            Some(row) if row.slot & LIST != 0 => shard.lists[list_number(row.slot)].each_backwards(visit),
            Some(row) => std::iter::once(Position(row.slot)).for_each(visit),
        }
    }
}

impl Postings for PositionIndex {
    fn insert(&mut self, fingerprint: Fingerprint, position: Position) {
        let hash = self.hasher.hash_one(fingerprint);
        self.postings += u64::from(self.shards[shard_of(hash)].insert(&self.hasher, hash, fingerprint, position));
    }

    fn remove(&mut self, fingerprint: Fingerprint, position: Position) {
        let hash = self.hasher.hash_one(fingerprint);
        self.postings -= u64::from(self.shards[shard_of(hash)].remove(hash, fingerprint, position));
    }
}

fn shard_of(hash: u64) -> usize {
    // Neither the lowest nor the highest bits: a shard's own table goes by those.
    usize::try_from(hash >> 40).unwrap_or(0) % SHARDS
}

impl Shard {
    fn row(&self, hash: u64, fingerprint: Fingerprint) -> Option<&Row> {
        self.rows.find(hash, |row| row.fingerprint == fingerprint)
    }

    /// True where it was not there.
    fn insert(&mut self, hasher: &RandomState, hash: u64, fingerprint: Fingerprint, position: Position) -> bool {
        let rehash = |row: &Row| hasher.hash_one(row.fingerprint);
        let mut held = match self.rows.entry(hash, |row| row.fingerprint == fingerprint, rehash) {
            Entry::Occupied(held) => held,
            Entry::Vacant(vacant) => {
                vacant.insert(Row { fingerprint, slot: position.0 });
                return true;
            }
        };
        let row = held.get_mut();
        if row.slot & LIST != 0 {
            return self.lists[list_number(row.slot)].insert(position);
        }
        if Position(row.slot) == position {
            return false;
        }
        let mut few = vec![Position(row.slot), position];
        few.sort_unstable();
        let number = self.free.pop().unwrap_or_else(|| {
            self.lists.push(List::Few(Vec::new()));
            self.lists.len() - 1
        });
        self.lists[number] = List::Few(few);
        row.slot = LIST | number as u64;
        true
    }

    /// True where it was there.
    fn remove(&mut self, hash: u64, fingerprint: Fingerprint, position: Position) -> bool {
        let Ok(mut found) = self.rows.find_entry(hash, |row| row.fingerprint == fingerprint) else { return false };
        let slot = found.get().slot;
        if slot & LIST == 0 {
            let there = Position(slot) == position;
            if there {
                found.remove();
            }
            return there;
        }
        let list = &mut self.lists[list_number(slot)];
        let there = list.remove(position);
        if let Some(last) = list.last_one() {
            *list = List::Few(Vec::new());
            self.free.push(list_number(slot));
            found.get_mut().slot = last.0;
        }
        there
    }
}

/// Changes of an index that is built of them in one go: several times faster than one by one, because each shard is filled while
/// it is in the processor's cache.
pub(super) struct Gathered {
    /// In the order in which they came. Removals have the bit of a list set, which no position has.
    changes: Vec<Vec<Row>>,
    hasher: RandomState,
}

impl Gathered {
    /// Nothing yet; room for about so many changes.
    pub(super) fn with_room_for(changes: usize) -> Self {
        let each = changes / SHARDS + changes / SHARDS / 16;
        let changes = std::iter::repeat_with(|| Vec::with_capacity(each)).take(SHARDS).collect();
        Self { changes, hasher: RandomState::new() }
    }

    /// The index that they come to. Two threads fill it; its tables are made by this one, which should be the one that changes
    /// them later: an allocator has back sooner what the thread gives that took it.
    pub(super) fn build(mut self) -> PositionIndex {
        let room = |changes: &Vec<Row>| Shard { rows: HashTable::with_capacity(changes.len()), ..Shard::default() };
        let mut shards: Vec<_> = self.changes.iter().map(room).collect();
        let (first, second) = shards.split_at_mut(SHARDS / 2);
        let of_second = self.changes.split_off(SHARDS / 2);
        let (of_first, hasher) = (self.changes, &self.hasher);
        let postings = std::thread::scope(|scope| {
            let second = scope.spawn(|| fill(second, of_second, hasher));
            let first = fill(first, of_first, hasher);
            // A panic goes on.
            first + second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        PositionIndex { shards, postings, hasher: self.hasher }
    }

    fn push(&mut self, fingerprint: Fingerprint, slot: u64) {
        let shard = shard_of(self.hasher.hash_one(fingerprint));
        self.changes[shard].push(Row { fingerprint, slot });
    }
}

impl Postings for Gathered {
    fn insert(&mut self, fingerprint: Fingerprint, position: Position) {
        self.push(fingerprint, position.0);
    }

    fn remove(&mut self, fingerprint: Fingerprint, position: Position) {
        self.push(fingerprint, LIST | position.0);
    }
}

/// Takes each shard's changes into it; gives the positions that they leave there.
fn fill(shards: &mut [Shard], changes: Vec<Vec<Row>>, hasher: &RandomState) -> u64 {
    let mut postings = 0;
    for (shard, changes) in shards.iter_mut().zip(changes) {
        for Row { fingerprint, slot } in changes {
            let (hash, position) = (hasher.hash_one(fingerprint), Position(slot & !LIST));
            if slot & LIST == 0 {
                postings += u64::from(shard.insert(hasher, hash, fingerprint, position));
            } else {
                postings -= u64::from(shard.remove(hash, fingerprint, position));
            }
        }
    }
    postings
}

fn list_number(slot: u64) -> usize {
    usize::try_from(slot & !LIST).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(feed: u32, seq: u64) -> Position {
        Position::new(FeedNo::new(feed).expect("small"), Seq::new(seq))
    }

    #[test]
    fn a_position_keeps_both_numbers_at_their_bounds() {
        let far = position((1 << FEED_BITS) - 1, SEQ_MASK);
        assert_eq!((far.feed().get(), far.seq().get()), ((1 << FEED_BITS) - 1, SEQ_MASK));
        assert_eq!(far.0 & LIST, 0);
        assert!(FeedNo::new(1 << FEED_BITS).is_none());
    }

    #[test]
    fn the_mark_is_no_part_of_a_position() {
        let (plain, marked) = (position(3, 9), position(3, 9).marked(true));
        assert_eq!((plain, marked.seq(), marked.feed()), (marked, plain.seq(), plain.feed()));
        assert!(marked.is_conclusive() && !plain.is_conclusive() && marked < position(3, 10));
        let (mut index, subject) = (PositionIndex::new(), Fingerprint::of(&[1; 32]));
        for rest in [0, 2] {
            (0..rest).for_each(|seq| index.insert(subject, position(3, seq)));
            index.insert(subject, marked);
            index.remove(subject, plain);
            assert_eq!(index.postings(), rest, "found and taken out without its mark");
        }
    }

    #[test]
    fn a_flood_hides_neither_other_feeds_nor_the_marked() {
        let (mut index, subject) = (PositionIndex::new(), Fingerprint::of(&[1; 32]));
        index.insert(subject, position(1, 0).marked(true));
        (1..5_000).for_each(|seq| index.insert(subject, position(1, seq)));
        index.insert(subject, position(2, 7));
        let newest = index.newest(subject, 2);
        let seqs = |n: &Newest| n.positions.iter().map(|p| p.seq().get()).collect::<Vec<_>>();
        assert_eq!(newest.iter().map(|n| (n.feed.get(), n.skipped)).collect::<Vec<_>>(), [(1, 4_997), (2, 0)]);
        assert_eq!((seqs(&newest[0]), seqs(&newest[1])), (vec![4_999, 4_998, 0], vec![7]));
        assert!(index.contains(subject) && !index.contains(Fingerprint::of(&[2; 32])));
    }

    proptest! {
        #[test]
        fn behaves_like_a_map_of_sets(steps in prop::collection::vec((0u8..5, 0u8..6, 0u32..2, 0u64..8), 0..200)) {
            check(steps.into_iter().map(|(kind, subject, feed, seq)| (kind < 3, subject, position(feed, seq))))?;
        }

        #[test]
        fn behaves_so_under_a_flood(steps in prop::collection::vec((0u8..5, 0u32..3, 0u64..300), 0..1_500)) {
            check(steps.into_iter().map(|(kind, feed, seq)| (kind < 4, 0, position(feed, seq))))?;
        }
    }

    /// Adds and removes, one by one and gathered, and compares with a plain map.
    fn check(steps: impl Iterator<Item = (bool, u8, Position)>) -> Result<(), TestCaseError> {
        let (mut index, mut gathered) = (PositionIndex::new(), Gathered::with_room_for(0));
        let mut model: BTreeMap<u8, BTreeSet<Position>> = BTreeMap::new();
        for (add, subject, position) in steps {
            let fingerprint = Fingerprint::of(&[subject; 32]);
            if add {
                index.insert(fingerprint, position);
                gathered.insert(fingerprint, position);
                model.entry(subject).or_default().insert(position);
            } else {
                index.remove(fingerprint, position);
                gathered.remove(fingerprint, position);
                model.entry(subject).or_default().remove(&position);
            }
        }
        for index in [index, gathered.build()] {
            for (subject, set) in &model {
                prop_assert_eq!(index.positions(Fingerprint::of(&[*subject; 32])), Vec::from_iter(set.iter().copied()));
            }
            prop_assert_eq!(index.postings(), model.values().map(|set| set.len() as u64).sum::<u64>());
        }
        Ok(())
    }
}
