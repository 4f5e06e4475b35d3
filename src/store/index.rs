//! The index in memory: from a pseudonym to the positions of the live signals that name it, and from a submission tag to the
//! position of the signal that was made of it.
//!
//! It is derived from the feeds: built by one scan when the store opens, kept up by every commit. It holds no pseudonym and
//! no tag, only 8 bytes of one and a position of 8 bytes, so a row costs about 26 bytes with the table's slack; whoever asks
//! reads the entry and compares the whole value. A miss costs one probe.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::domain::{Pseudonym, Seq, SubmissionTag};

const FEED_BITS: u32 = 20;
const SEQ_BITS: u32 = 43;
const SEQ_MASK: u64 = (1 << SEQ_BITS) - 1;
const LIST: u64 = 1 << 63;

/// A store's own short number for a feed, below 2^20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedNo(u32);

impl FeedNo {
    /// `None` at 2^20 and above, which no roster reaches.
    pub(super) fn new(number: u32) -> Option<Self> {
        (number < 1 << FEED_BITS).then_some(Self(number))
    }

    pub(super) fn get(self) -> u32 {
        self.0
    }
}

/// Where an entry stands: feed number and sequence number in 63 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The position of `seq` in `feed`. Sequence numbers stay below 2^43: at a million entries a second, 278 years.
    pub(super) fn new(feed: FeedNo, seq: Seq) -> Self {
        Self(u64::from(feed.0) << SEQ_BITS | seq.get() & SEQ_MASK)
    }

    /// The feed's number.
    pub fn feed(self) -> FeedNo {
        FeedNo(u32::try_from(self.0 >> SEQ_BITS).unwrap_or(u32::MAX))
    }

    /// The entry's sequence number.
    pub fn seq(self) -> Seq {
        Seq::new(self.0 & SEQ_MASK)
    }
}

/// Eight bytes of a pseudonym or tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64);

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
        Self(bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
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

    fn to_vec(&self) -> Vec<Position> {
        match self {
            Self::Few(few) => few.clone(),
            Self::Many(many) => many.iter().copied().collect(),
        }
    }
}

/// Fingerprint to positions.
pub(super) struct PositionIndex {
    rows: HashTable<Row>,
    lists: Vec<List>,
    free: Vec<usize>,
    postings: u64,
    hasher: RandomState,
}

impl PositionIndex {
    pub(super) fn new() -> Self {
        Self { rows: HashTable::new(), lists: Vec::new(), free: Vec::new(), postings: 0, hasher: RandomState::new() }
    }

    /// Pairs of fingerprint and position held.
    pub(super) fn postings(&self) -> u64 {
        self.postings
    }

    /// A position that is there already stays there once.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, position: Position) {
        let hash = self.hasher.hash_one(fingerprint);
        let added = match self.rows.find_mut(hash, |row| row.fingerprint == fingerprint) {
            Some(row) if row.slot & LIST != 0 => self.lists[list_number(row.slot)].insert(position),
            Some(row) if row.slot == position.0 => false,
            Some(row) => {
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
            None => {
                let hasher = &self.hasher;
                let row = Row { fingerprint, slot: position.0 };
                self.rows.insert_unique(hash, row, |row| hasher.hash_one(row.fingerprint));
                true
            }
        };
        self.postings += u64::from(added);
    }

    pub(super) fn remove(&mut self, fingerprint: Fingerprint, position: Position) {
        let hash = self.hasher.hash_one(fingerprint);
        let Ok(mut found) = self.rows.find_entry(hash, |row| row.fingerprint == fingerprint) else { return };
        let slot = found.get().slot;
        if slot & LIST == 0 {
            if slot == position.0 {
                found.remove();
                self.postings -= 1;
            }
            return;
        }
        let list = &mut self.lists[list_number(slot)];
        self.postings -= u64::from(list.remove(position));
        if let Some(last) = list.last_one() {
            *list = List::Few(Vec::new());
            self.free.push(list_number(slot));
            found.get_mut().slot = last.0;
        }
    }

    /// Positions under this fingerprint, in ascending order.
    pub(super) fn positions(&self, fingerprint: Fingerprint) -> Vec<Position> {
        match self.rows.find(self.hasher.hash_one(fingerprint), |row| row.fingerprint == fingerprint) {
            None => Vec::new(),
            Some(row) if row.slot & LIST != 0 => self.lists[list_number(row.slot)].to_vec(),
            Some(row) => vec![Position(row.slot)],
        }
    }
}

fn list_number(slot: u64) -> usize {
    usize::try_from(slot & !LIST).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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

    /// Adds and removes, and compares with a plain map.
    fn check(steps: impl Iterator<Item = (bool, u8, Position)>) -> Result<(), TestCaseError> {
        let mut index = PositionIndex::new();
        let mut model: BTreeMap<u8, BTreeSet<Position>> = BTreeMap::new();
        for (add, subject, position) in steps {
            let fingerprint = Fingerprint::of(&[subject; 32]);
            if add {
                index.insert(fingerprint, position);
                model.entry(subject).or_default().insert(position);
            } else {
                index.remove(fingerprint, position);
                model.entry(subject).or_default().remove(&position);
            }
        }
        for (subject, set) in &model {
            prop_assert_eq!(index.positions(Fingerprint::of(&[*subject; 32])), Vec::from_iter(set.iter().copied()));
        }
        prop_assert_eq!(index.postings(), model.values().map(|set| set.len() as u64).sum::<u64>());
        Ok(())
    }
}
