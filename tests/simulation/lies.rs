//! What a liar says in the place of what its node would.

use bytes::Bytes;
use countermark::domain::Seq;
use countermark::feed::{EntryBytes, Hash, leaf_hash};
use countermark::replication::{FollowEvent, ForkParts, Heads};

use super::dice::Dice;

/// A kind of lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A bit of an entry is another one.
    FlippedBit,
    /// The last entry of a batch is missing.
    ShortBatch,
    /// An entry stands twice in a batch.
    LongBatch,
    /// A batch says that it starts elsewhere.
    WrongStart,
    /// A batch comes under the checkpoint of the one before it, whatever its feed.
    OtherCheckpoint,
    /// No batch arrives.
    Withheld,
    /// Every second batch is missing.
    Gaps,
    /// Entries come without their content.
    Hollow,
    /// The heads are those that were shown first.
    StaleHeads,
    /// No heads are shown at all.
    NoHeads,
    /// Every checkpoint is shown twice, and forks are made up.
    Clutter,
    /// A digest of heads that nobody has.
    WrongDigest,
    /// A roster that nobody has is claimed, and the first one shown.
    OldRoster,
    /// Questions are not answered.
    Mute,
    /// There are no heartbeats.
    NoHeartbeat,
}

pub(crate) const LIES: [Lie; 15] = [
    Lie::FlippedBit,
    Lie::ShortBatch,
    Lie::LongBatch,
    Lie::WrongStart,
    Lie::OtherCheckpoint,
    Lie::Withheld,
    Lie::Gaps,
    Lie::Hollow,
    Lie::StaleHeads,
    Lie::NoHeads,
    Lie::Clutter,
    Lie::WrongDigest,
    Lie::OldRoster,
    Lie::Mute,
    Lie::NoHeartbeat,
];

/// One who lies to one other, and what it remembers for it.
#[derive(Default)]
pub(crate) struct Liar {
    lies: Vec<Lie>,
    batches: u64,
    checkpoint: Option<Bytes>,
    heads: Option<Heads>,
    roster: Option<Bytes>,
}

impl Liar {
    /// From now on it tells these lies.
    pub(crate) fn tell(&mut self, lies: Vec<Lie>) {
        self.lies = lies;
    }

    fn tells(&self, lie: Lie) -> bool {
        self.lies.contains(&lie)
    }

    pub(crate) fn event(&mut self, event: FollowEvent, dice: &mut Dice) -> Option<FollowEvent> {
        match event {
            FollowEvent::Heartbeat(_) if self.tells(Lie::NoHeartbeat) => None,
            FollowEvent::Heartbeat(mut word) => {
                if self.tells(Lie::WrongDigest) {
                    word.heads_digest = leaf_hash(&dice.roll(1 << 40).to_be_bytes());
                }
                if self.tells(Lie::OldRoster) {
                    word.roster_serial += 3;
                    word.roster_digest = leaf_hash(b"a roster");
                }
                Some(FollowEvent::Heartbeat(word))
            }
            FollowEvent::Batch { feed, first, entries, erased, checkpoint } => {
                self.batches += 1;
                let before = self.checkpoint.replace(checkpoint.clone());
                if self.tells(Lie::Withheld) || self.tells(Lie::Gaps) && self.batches.is_multiple_of(2) {
                    return None;
                }
                let (mut entries, mut erased) = (entries, erased);
                self.spoil(&mut entries, &mut erased, dice);
                let first = if self.tells(Lie::WrongStart) { first.plus(1) } else { first };
                let checkpoint = before.filter(|_| self.tells(Lie::OtherCheckpoint)).unwrap_or(checkpoint);
                Some(FollowEvent::Batch { feed, first, entries, erased, checkpoint })
            }
            refused @ FollowEvent::Refused { .. } => Some(refused),
        }
    }

    fn spoil(&self, entries: &mut Vec<Bytes>, erased: &mut Vec<Hash>, dice: &mut Dice) {
        if self.tells(Lie::FlippedBit)
            && let place = dice.index(entries.len())
            && !entries[place].is_empty()
        {
            let mut bytes = entries[place].to_vec();
            let at = dice.index(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
            entries[place] = bytes.into();
        }
        if self.tells(Lie::ShortBatch) {
            entries.pop();
        }
        if self.tells(Lie::LongBatch)
            && let Some(last) = entries.last().cloned()
        {
            entries.push(last);
        }
        if self.tells(Lie::Hollow) && erased.is_empty() {
            erased.extend(entries.iter_mut().map(|entry| leaf_hash(&std::mem::take(entry))));
        }
    }

    pub(crate) fn heads(&mut self, heads: Heads) -> Option<Heads> {
        let first = self.heads.get_or_insert_with(|| heads.clone()).clone();
        let mut shown = if self.tells(Lie::StaleHeads) { first } else { heads };
        if self.tells(Lie::NoHeads) {
            shown = Heads::default();
        }
        if self.tells(Lie::Clutter) {
            let note = shown.checkpoints.first().cloned().unwrap_or_default();
            let made_up = ForkParts { first: note.clone(), second: note, frontier: vec![], leaf_hashes: vec![] };
            shown.checkpoints.extend(shown.checkpoints.clone());
            shown.forks.push(made_up);
        }
        (!self.tells(Lie::Mute)).then_some(shown)
    }

    pub(crate) fn roster(&mut self, note: Bytes) -> Option<Bytes> {
        let first = self.roster.get_or_insert_with(|| note.clone()).clone();
        (!self.tells(Lie::Mute)).then_some(if self.tells(Lie::OldRoster) { first } else { note })
    }

    pub(crate) fn frontier(&mut self, mut hashes: Vec<Hash>) -> Option<Vec<Hash>> {
        if self.tells(Lie::FlippedBit)
            && let Some(hash) = hashes.first_mut()
        {
            hash.0[0] ^= 1;
        }
        (!self.tells(Lie::Mute)).then_some(hashes)
    }

    pub(crate) fn entries(&mut self, entries: Vec<(Seq, EntryBytes)>) -> Option<Vec<(Seq, EntryBytes)>> {
        let entries = if self.tells(Lie::Hollow) { Vec::new() } else { entries };
        (!self.tells(Lie::Mute)).then_some(entries)
    }
}
