//! What one feed comes to: a pure fold over its entries in the order of their sequence.
//!
//! What entries say about others (amendments, disputes, opinions, markers) may be about other feeds, which arrive in any order: a view
//! only notes them, and [`super::life`] says what a signal has come to.
//!
//! It keeps what follows from the entries and nothing else, so a view that is folded entry by entry, batch by batch or anew from
//! the first entry is the same, and nodes with the same entries have the same view. It holds no signal, and never decides
//! what a signal means to a check. Entries that cannot count (not understood, a retraction of what is no earlier live signal)
//! change nothing but the size and the counts, on every node alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use roaring::RoaringTreemap;

use super::transcript::Transcript;
use super::{Body, Entry, Hash, NotUnderstood};
use crate::domain::limits::MAX_REKEYINGS;
use crate::domain::{PseudonymSet, Seq, SignalContent, Timestamp};
pub use rekeyed::{KeyedSignal, Keying, Rekeyed, rekeyings_at};

mod rekeyed;

const PURPOSE: &str = "countermark/view/v1";

/// What the entries of one feed come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedView {
    totals: ViewTotals,
    /// The signals that no longer count; asked for every match of a check, so it is a bitmap beside the map.
    withdrawn: RoaringTreemap,
    /// Withdrawn signal to the retraction that did it, and what is erased to the erasure; the reason stands there.
    retractions: BTreeMap<Seq, Seq>,
    /// Entries whose content is missing though no erasure names them.
    missing: RoaringTreemap,
    /// Signal and rekeying of it, as long as there is something left of both.
    rekeyings: BTreeSet<(Seq, Seq)>,
    /// Live signals that an amendment gave more to rest on.
    strengthened: RoaringTreemap,
}

/// What came of entries that are not looked at again, see [`FeedView::resume`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Since {
    /// Withdrawn signals, and the retraction or erasure that did it.
    pub withdrawn: Vec<(Seq, Seq)>,
    /// Entries that came without their content.
    pub missing: Vec<Seq>,
    /// What else was erased, and by which erasure.
    pub gone: Vec<(Seq, Seq)>,
    /// Signal, rekeying, and what that is.
    pub rekeyed: Vec<(Seq, Seq, Keying)>,
    /// Signals that an amendment gave more to rest on.
    pub strengthened: Vec<Seq>,
}

/// What of a view has one size, however many entries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewTotals {
    /// Entries taken in.
    pub size: Seq,
    /// Signals among them, withdrawn ones included.
    pub signals: u64,
    /// Entries among them that this version draws nothing from.
    pub not_understood: u64,
    /// Digest of the live signals.
    pub digest: ViewDigest,
    /// The latest instant at which any of them was recorded.
    pub latest: Timestamp,
}

/// What an entry means for an index of live signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The entry is a signal: index it.
    Added,
    /// The entry takes signals away.
    Withdrawn {
        /// They no longer count: take them out of the index.
        signals: Vec<Seq>,
        /// The same of their rekeyings.
        rekeyed: Vec<Rekeyed>,
    },
    /// A signal is found by other pseudonyms.
    Rekeyed(Vec<Rekeyed>),
    /// The entry takes others away.
    Erased {
        /// Signals that no longer count: take them out of the index.
        withdrawn: Vec<Seq>,
        /// Others among what it names of which nothing counted any more: signals that were withdrawn before, entries that came
        /// without their content, and rekeyings.
        gone: Vec<Seq>,
        /// What becomes of rekeyings by that.
        rekeyed: Vec<Rekeyed>,
        /// It counts as recorded at this instant, no earlier than any before it.
        since: Timestamp,
    },
    /// The content of the entry is missing.
    Missing,
    /// The entry says something about others: note that it counts as recorded at this instant, no earlier than any before it.
    Noted(Timestamp),
    /// Nothing to do.
    Nothing,
}

impl FeedView {
    /// The view of a feed without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the entry at `seq`, which is the next one.
    ///
    /// `read` gives what an earlier entry of this feed says, and is called for each that the entry retracts, erases or gives other
    /// pseudonyms: the digest gives up what it had brought in. It answers `None` where nothing stands there that this version
    /// understands and that is not erased, and must know the entries before `seq` of the same batch, committed or not.
    ///
    /// # Errors
    /// [`FoldError::OutOfOrder`] where `seq` is not the next one, [`FoldError::Read`] where `read` failed. The view is then as
    /// it was.
    pub fn apply<E>(
        &mut self,
        seq: Seq,
        entry: Result<&Entry, &NotUnderstood>,
        mut read: impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Effect, FoldError<E>> {
        if seq != self.totals.size {
            return Err(FoldError::OutOfOrder { expected: self.totals.size, found: seq });
        }
        let latest = entry.map_or(self.totals.latest, |entry| self.totals.latest.max(entry.recorded_at));
        let effect = match entry.map(|entry| &entry.body) {
            Ok(Body::Signal { content, .. }) => self.add(seq, content),
            Ok(Body::Retraction(retraction)) => self.retract(retraction.signal, seq, read)?,
            Ok(Body::Erasure(erasure)) => self.erase(&erasure.entries, seq, latest, &mut read)?,
            Ok(Body::Rekeying(rekeying)) => self.rekey(seq, rekeying, read)?,
            Ok(Body::Amendment(amendment)) => {
                let is_live = amendment.signal < seq && !self.is_withdrawn(amendment.signal);
                if is_live && amendment.change.strengthens() {
                    self.strengthened.insert(amendment.signal.get());
                }
                Effect::Noted(latest)
            }
            Ok(
                Body::Dispute(_)
                | Body::Decision(_)
                | Body::Opinion(_)
                | Body::Marker(_)
                | Body::MarkerLift(_)
                | Body::Referral(_),
            ) => Effect::Noted(latest),
            Err(NotUnderstood::Erased) => {
                self.missing.insert(seq.get());
                Effect::Missing
            }
            Err(NotUnderstood::Expired) => Effect::Nothing,
            Err(_) => {
                self.totals.not_understood += 1;
                Effect::Nothing
            }
        };
        (self.totals.size, self.totals.latest) = (seq.plus(1), latest);
        Ok(effect)
    }

    /// Goes on to where an equal view was after more entries of the same feed, without those entries: what it had come to, and
    /// what came of them meanwhile.
    ///
    /// # Errors
    /// Where no view goes on from here like that. What was taken in so far stays.
    pub fn resume(&mut self, totals: ViewTotals, since: Since) -> Result<(), ResumeError> {
        let Since { withdrawn, missing, gone, rekeyed, strengthened } = since;
        let (now, then) = (&self.totals, &totals);
        let grew = then.signals >= now.signals && then.not_understood >= now.not_understood && then.latest >= now.latest;
        if then.size < now.size || !grew {
            return Err(ResumeError);
        }
        for (signal, rekeying, keying) in rekeyed {
            if rekeying >= totals.size || signal >= rekeying {
                return Err(ResumeError);
            }
            match keying {
                Keying::Counts | Keying::Spent => drop(self.rekeyings.insert((signal, rekeying))),
                Keying::Gone => drop(self.rekeyings.remove(&(signal, rekeying))),
            }
        }
        if strengthened.iter().any(|signal| *signal >= totals.size) {
            return Err(ResumeError);
        }
        self.strengthened.extend(strengthened.into_iter().map(Seq::get));
        for (signal, by) in withdrawn {
            let is_new = self.totals.size <= by && by < totals.size && signal < by && !self.is_withdrawn(signal);
            if !is_new {
                return Err(ResumeError);
            }
            self.note_withdrawal(signal, by);
        }
        self.missing.extend(missing.into_iter().map(Seq::get));
        for (entry, by) in gone {
            if by >= totals.size || entry >= by {
                return Err(ResumeError);
            }
            self.note_erasure(entry, by);
        }
        self.totals = totals;
        Ok(())
    }

    /// What the entries come to, but for which signals are withdrawn.
    #[must_use]
    pub const fn totals(&self) -> ViewTotals {
        self.totals
    }

    /// Entries taken in.
    #[must_use]
    pub const fn size(&self) -> Seq {
        self.totals.size
    }

    /// Signals among them, withdrawn ones included.
    #[must_use]
    pub const fn signals(&self) -> u64 {
        self.totals.signals
    }

    /// Signals that are withdrawn.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        self.withdrawn.len()
    }

    /// Entries that this version draws nothing from.
    #[must_use]
    pub const fn not_understood(&self) -> u64 {
        self.totals.not_understood
    }

    /// Whether the signal at `seq` is withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self, seq: Seq) -> bool {
        self.withdrawn.contains(seq.get())
    }

    /// Whether the entry at `seq` came without its content though no erasure that is held names it.
    #[must_use]
    pub fn is_missing(&self, seq: Seq) -> bool {
        self.missing.contains(seq.get())
    }

    /// How many such entries there are.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing.len()
    }

    /// The first of them, at most `count`.
    pub fn first_missing(&self, count: usize) -> impl Iterator<Item = Seq> {
        self.missing.iter().take(count).map(Seq::new)
    }

    /// Position of the retraction or erasure that took the signal at `seq` away; its reason stands there.
    #[must_use]
    pub fn retraction_of(&self, seq: Seq) -> Option<Seq> {
        self.retractions.get(&seq).copied()
    }

    /// Digest of the live signals.
    #[must_use]
    pub const fn digest(&self) -> ViewDigest {
        self.totals.digest
    }

    fn add(&mut self, seq: Seq, content: &SignalContent) -> Effect {
        self.totals.signals += 1;
        self.totals.digest.add(signal_digest(seq, content));
        Effect::Added
    }

    fn retract<E>(
        &mut self,
        signal: Seq,
        by: Seq,
        read: impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Effect, FoldError<E>> {
        if signal >= by || self.is_withdrawn(signal) {
            return Ok(Effect::Nothing);
        }
        let Some(known) = self.keyed(signal, read)? else { return Ok(Effect::Nothing) };
        let rekeyed = self.drop_signal(known);
        self.note_withdrawal(signal, by);
        Ok(Effect::Withdrawn { signals: vec![signal], rekeyed })
    }

    fn erase<E>(
        &mut self,
        entries: &[Seq],
        by: Seq,
        since: Timestamp,
        read: &mut impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Effect, FoldError<E>> {
        let (mut withdrawn, mut gone) = (Vec::new(), Vec::new());
        let mut erased: BTreeMap<Seq, BTreeSet<Seq>> = BTreeMap::new();
        for entry in entries.iter().copied().filter(|entry| *entry < by) {
            if self.is_withdrawn(entry) || self.is_missing(entry) {
                gone.push(entry);
                continue;
            }
            match read(entry).map_err(FoldError::Read)? {
                Some(Body::Signal { content, .. }) => {
                    withdrawn.push(self.with_rekeyings(entry, content, MAX_REKEYINGS, read)?);
                }
                Some(Body::Rekeying(rekeying)) => {
                    gone.push(entry);
                    if self.rekeyings.contains(&(rekeying.signal, entry)) {
                        erased.entry(rekeying.signal).or_default().insert(entry);
                    }
                }
                Some(_) | None => {}
            }
        }
        // With the signal its rekeyings go, whether they are named or not.
        withdrawn.iter().for_each(|known| drop(erased.remove(&known.signal)));
        let bereft = self.bereft(&erased, read)?;
        // Everything is read: from here on nothing fails.
        let mut rekeyed = Vec::new();
        let signals = withdrawn.iter().map(|known| known.signal).collect();
        for known in withdrawn {
            let signal = known.signal;
            rekeyed.extend(self.drop_signal(known));
            self.note_withdrawal(signal, by);
        }
        rekeyed.extend(self.erase_rekeyings(bereft, &erased));
        for entry in entries {
            if self.is_withdrawn(*entry) {
                rekeyed.extend(self.forget_rekeyings(*entry));
            }
        }
        gone.iter().for_each(|entry| self.note_erasure(*entry, by));
        Ok(Effect::Erased { withdrawn: signals, gone, rekeyed, since })
    }

    /// The content at `seq` is gone from this node because its time had ended: a signal with that content, and with these rekeyings
    /// that count, counts no more.
    pub fn expire(&mut self, known: KeyedSignal) {
        let seq = known.signal;
        if !self.is_withdrawn(seq) {
            self.drop_signal(known);
            self.withdrawn.insert(seq.get());
            self.strengthened.remove(seq.get());
        }
        self.forget_rekeyings(seq);
    }

    fn note_erasure(&mut self, entry: Seq, by: Seq) {
        self.missing.remove(entry.get());
        self.retractions.insert(entry, by);
    }

    fn note_withdrawal(&mut self, signal: Seq, by: Seq) {
        self.withdrawn.insert(signal.get());
        self.strengthened.remove(signal.get());
        self.retractions.insert(signal, by);
    }
}

/// What a live signal brings into its feed's digest: SHA-256 over its position and what a check draws from it (status, kinds,
/// and pseudonyms with their keys).
#[must_use]
pub fn signal_digest(seq: Seq, content: &SignalContent) -> Hash {
    let mut transcript = Transcript::of(PURPOSE);
    transcript.number(seq.get());
    transcript.word(content.live_status().number());
    transcript.number(content.kinds.len() as u64);
    content.kinds.iter().for_each(|kind| transcript.word(kind.number()));
    write_sets(&mut transcript, &content.pseudonyms);
    transcript.finish()
}

fn write_sets(transcript: &mut Transcript, sets: &[PseudonymSet]) {
    transcript.number(sets.len() as u64);
    for set in sets {
        transcript.bytes(set.key.as_str().as_bytes());
        transcript.number(set.pseudonyms.len() as u64);
        set.pseudonyms.iter().for_each(|pseudonym| transcript.bytes(&pseudonym.0));
    }
}

/// A digest of a set of live signals, by which nodes find out that they see the same.
///
/// The sum of the signals' digests as four 64-bit lanes, each modulo 2^64, so that signals can come and go in any order. A check
/// of consistency between honest nodes and nothing more: sums can be steered by whoever chooses what is summed. What is
/// true of a feed is its signed tree.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewDigest([u64; 4]);

impl ViewDigest {
    /// Takes a signal in.
    pub fn add(&mut self, signal: Hash) {
        self.each_lane(signal, u64::wrapping_add);
    }

    /// Takes a signal out.
    pub fn remove(&mut self, signal: Hash) {
        self.each_lane(signal, u64::wrapping_sub);
    }

    /// Four big-endian numbers.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (lanes, _) = bytes.as_chunks_mut::<8>();
        lanes.iter_mut().zip(self.0).for_each(|(lane, sum)| *lane = sum.to_be_bytes());
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let (lanes, _) = bytes.as_chunks::<8>();
        let mut sums = [0; 4];
        sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum = u64::from_be_bytes(*lane));
        Self(sums)
    }

    fn each_lane(&mut self, signal: Hash, operation: impl Fn(u64, u64) -> u64) {
        let (lanes, _) = signal.0.as_chunks::<8>();
        for (sum, lane) in self.0.iter_mut().zip(lanes) {
            *sum = operation(*sum, u64::from_be_bytes(*lane));
        }
    }
}

impl fmt::Display for ViewDigest {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|lane| write!(f, "{lane:016x}"))
    }
}

impl fmt::Debug for ViewDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewDigest({self})")
    }
}

/// Why an entry was not taken in. Both are faults of this node, never of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError<E> {
    /// Entries were left out or given twice.
    #[error("the view is at entry {expected} and was given entry {found}")]
    OutOfOrder {
        /// The next entry.
        expected: Seq,
        /// The entry given.
        found: Seq,
    },
    /// An earlier signal could not be read.
    #[error("an earlier signal could not be read")]
    Read(#[source] E),
}

impl<E> FoldError<E> {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "VIEW_OUT_OF_ORDER",
            Self::Read(_) => "VIEW_READ_FAILED",
        }
    }
}

/// What was said to follow a view is no later view of the same feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what should follow the view of a feed does not")]
pub struct ResumeError;

#[cfg(test)]
mod tests;
