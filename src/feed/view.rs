//! What one feed comes to: a pure fold over its entries in the order of their sequence.
//!
//! It keeps what follows from the entries and nothing else, so a view that is folded entry by entry, batch by batch or anew from
//! the first entry is the same, and nodes with the same entries have the same view. It holds no signal, and never decides
//! what a signal means to a check. Entries that cannot count (not understood, a retraction of what is no earlier live signal)
//! change nothing but the size and the counts, on every node alike.

use std::collections::BTreeMap;
use std::fmt;

use roaring::RoaringTreemap;

use super::transcript::Transcript;
use super::{Body, Entry, Hash, NotUnderstood};
use crate::domain::{Seq, SignalContent};

const PURPOSE: &str = "countermark/view/v1";

/// What the entries of one feed come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedView {
    size: Seq,
    signals: u64,
    not_understood: u64,
    /// The signals that no longer count; asked for every match of a check, so it is a bitmap beside the map.
    withdrawn: RoaringTreemap,
    /// Withdrawn signal to the retraction that did it; the reason stands there.
    retractions: BTreeMap<Seq, Seq>,
    digest: ViewDigest,
}

/// What an entry means for an index of live signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The entry is a signal: index it.
    Added,
    /// The signal at this position no longer counts: take it out of the index.
    Withdrawn(Seq),
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
    /// `read` gives the content of an earlier signal of this feed, and is called at most once, for a retraction: the digest gives
    /// up what the signal had brought in. It answers `None` where no signal that this version understands stands there, and
    /// must know the entries before `seq` of the same batch, committed or not.
    ///
    /// # Errors
    /// [`FoldError::OutOfOrder`] where `seq` is not the next one, [`FoldError::Read`] where `read` failed. The view is then as
    /// it was.
    pub fn apply<E>(
        &mut self,
        seq: Seq,
        entry: Result<&Entry, &NotUnderstood>,
        read: impl FnOnce(Seq) -> Result<Option<SignalContent>, E>,
    ) -> Result<Effect, FoldError<E>> {
        if seq != self.size {
            return Err(FoldError::OutOfOrder { expected: self.size, found: seq });
        }
        let effect = match entry.map(|entry| &entry.body) {
            Ok(Body::Signal { content, .. }) => self.add(seq, content),
            Ok(Body::Retraction(retraction)) => self.withdraw(retraction.signal, seq, read)?,
            Err(_) => {
                self.not_understood += 1;
                Effect::Nothing
            }
        };
        self.size = seq.plus(1);
        Ok(effect)
    }

    /// Entries taken in.
    #[must_use]
    pub const fn size(&self) -> Seq {
        self.size
    }

    /// Signals among them, withdrawn ones included.
    #[must_use]
    pub const fn signals(&self) -> u64 {
        self.signals
    }

    /// Signals that are withdrawn.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        self.withdrawn.len()
    }

    /// Entries that this version draws nothing from.
    #[must_use]
    pub const fn not_understood(&self) -> u64 {
        self.not_understood
    }

    /// Whether the signal at `seq` is withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self, seq: Seq) -> bool {
        self.withdrawn.contains(seq.get())
    }

    /// Position of the retraction that withdrew the signal at `seq`; its reason stands there.
    #[must_use]
    pub fn retraction_of(&self, seq: Seq) -> Option<Seq> {
        self.retractions.get(&seq).copied()
    }

    /// Digest of the live signals.
    #[must_use]
    pub const fn digest(&self) -> ViewDigest {
        self.digest
    }

    fn add(&mut self, seq: Seq, content: &SignalContent) -> Effect {
        self.signals += 1;
        self.digest.add(signal_digest(seq, content));
        Effect::Added
    }

    fn withdraw<E>(
        &mut self,
        signal: Seq,
        by: Seq,
        read: impl FnOnce(Seq) -> Result<Option<SignalContent>, E>,
    ) -> Result<Effect, FoldError<E>> {
        if signal >= by || self.is_withdrawn(signal) {
            return Ok(Effect::Nothing);
        }
        let Some(content) = read(signal).map_err(FoldError::Read)? else { return Ok(Effect::Nothing) };
        self.digest.remove(signal_digest(signal, &content));
        self.withdrawn.insert(signal.get());
        self.retractions.insert(signal, by);
        Ok(Effect::Withdrawn(signal))
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
    transcript.number(content.pseudonyms.len() as u64);
    for set in &content.pseudonyms {
        transcript.bytes(set.key.as_str().as_bytes());
        transcript.number(set.pseudonyms.len() as u64);
        set.pseudonyms.iter().for_each(|pseudonym| transcript.bytes(&pseudonym.0));
    }
    transcript.finish()
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

#[cfg(test)]
mod tests;
