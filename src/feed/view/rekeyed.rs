//! Which rekeyings of a feed's signals count.
//!
//! A rekeying is taken in where it is about an earlier live signal of the feed and fits it. Of those of one signal whose content is
//! not erased the newest [`MAX_REKEYINGS`] count: every node that holds the same entries counts the same ones, also one that never
//! saw the content of those that are erased.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, FeedView, FoldError, signal_digest};
use crate::domain::limits::MAX_REKEYINGS;
use crate::domain::{PseudonymSet, Rekeying, Seq, SignalContent, SignalStatus};
use crate::feed::transcript::Transcript;
use crate::feed::{Body, Hash};

const PURPOSE: &str = "countermark/rekeying/v1";

/// A signal, and the rekeyings of it that count, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedSignal {
    /// Where it stands.
    pub signal: Seq,
    /// What it says.
    pub content: SignalContent,
    /// Where each stands, and its pseudonyms.
    pub rekeyings: Vec<(Seq, Vec<PseudonymSet>)>,
}

impl KeyedSignal {
    /// The pseudonyms of the signal, and of its rekeyings but for that at `but`.
    fn others(&self, but: Seq) -> Vec<PseudonymSet> {
        let rekeyings = self.rekeyings.iter().filter(|(at, _)| *at != but).flat_map(|(_, sets)| sets);
        self.content.pseudonyms.iter().chain(rekeyings).cloned().collect()
    }
}

/// What becomes of the pseudonyms that a rekeying gives a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    /// The signal.
    pub signal: Seq,
    /// Where the rekeying stands.
    pub rekeying: Seq,
    /// What the rekeying is now.
    pub keying: Keying,
    /// The signal rests on conclusive evidence, or was given more to rest on later.
    pub conclusive: bool,
    /// The pseudonyms that the signal is found by from now on, or no more; none where that was said before.
    pub sets: Vec<PseudonymSet>,
    /// Those that it is found by beside these.
    pub others: Vec<PseudonymSet>,
}

/// What a rekeying is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keying {
    /// It counts.
    Counts,
    /// It counts no more, because its signal does not, or newer ones do.
    Spent,
    /// There is nothing left of it.
    Gone,
}

/// The pseudonyms of the rekeyings at these places, each with its place. Where nothing is left of one there are none.
///
/// # Errors
/// What `read` fails with.
pub fn rekeyings_at<E>(
    places: impl IntoIterator<Item = Seq>,
    mut read: impl FnMut(Seq) -> Result<Option<Body>, E>,
) -> Result<Vec<(Seq, Vec<PseudonymSet>)>, E> {
    let mut rekeyings = Vec::new();
    for at in places {
        if let Some(Body::Rekeying(rekeying)) = read(at)? {
            rekeyings.push((at, rekeying.pseudonyms));
        }
    }
    Ok(rekeyings)
}

impl FeedView {
    /// The rekeyings of the signal at `signal`, whether they count or not, the newest first.
    pub fn rekeyings_of(&self, signal: Seq) -> impl Iterator<Item = Seq> {
        self.rekeyings.range((signal, Seq::ZERO)..=(signal, Seq::new(u64::MAX))).rev().map(|(_, at)| *at)
    }

    /// Those that count as long as the signal stands, the newest first.
    pub fn newest_rekeyings(&self, signal: Seq) -> impl Iterator<Item = Seq> {
        self.rekeyings_of(signal).take(MAX_REKEYINGS)
    }

    /// Those that count, the newest first: none of a signal that is withdrawn.
    pub fn counting_rekeyings(&self, signal: Seq) -> impl Iterator<Item = Seq> {
        let most = if self.is_withdrawn(signal) { 0 } else { MAX_REKEYINGS };
        self.rekeyings_of(signal).take(most)
    }

    /// The signal at `signal` with the rekeyings that count; `None` where no signal stands there that this version understands and that
    /// is not erased.
    ///
    /// # Errors
    /// [`FoldError::Read`].
    pub fn keyed<E>(
        &self,
        signal: Seq,
        mut read: impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Option<KeyedSignal>, FoldError<E>> {
        match read(signal).map_err(FoldError::Read)? {
            Some(Body::Signal { content, .. }) => self.with_rekeyings(signal, content, MAX_REKEYINGS, &mut read).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    pub(super) fn with_rekeyings<E>(
        &self,
        signal: Seq,
        content: SignalContent,
        most: usize,
        read: &mut impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<KeyedSignal, FoldError<E>> {
        let rekeyings = rekeyings_at(self.rekeyings_of(signal).take(most), read).map_err(FoldError::Read)?;
        Ok(KeyedSignal { signal, content, rekeyings })
    }

    /// Takes in a rekeying. What it is about is looked up only where that can be a live signal.
    pub(super) fn rekey<E>(
        &mut self,
        at: Seq,
        rekeying: &Rekeying,
        read: impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Effect, FoldError<E>> {
        if rekeying.signal >= at || self.is_withdrawn(rekeying.signal) {
            return Ok(Effect::Nothing);
        }
        let Some(mut known) = self.keyed(rekeying.signal, read)?.filter(|known| rekeying.fits(&known.content)) else {
            return Ok(Effect::Nothing);
        };
        self.rekeyings.insert((rekeying.signal, at));
        let too_many = if known.rekeyings.len() == MAX_REKEYINGS { known.rekeyings.pop() } else { None };
        known.rekeyings.insert(0, (at, rekeying.pseudonyms.clone()));
        let mut rekeyed = vec![self.counts(&known, (at, rekeying.pseudonyms.clone()))];
        rekeyed.extend(too_many.map(|oldest| self.counts_no_more(&known, oldest, Keying::Spent)));
        Ok(Effect::Rekeyed(rekeyed))
    }

    fn counts(&mut self, known: &KeyedSignal, (at, sets): (Seq, Vec<PseudonymSet>)) -> Rekeyed {
        self.totals.digest.add(rekeying_digest(known.signal, at, &sets));
        self.rekeyed(known, at, Keying::Counts, sets)
    }

    fn counts_no_more(&mut self, known: &KeyedSignal, (at, sets): (Seq, Vec<PseudonymSet>), keying: Keying) -> Rekeyed {
        self.totals.digest.remove(rekeying_digest(known.signal, at, &sets));
        self.rekeyed(known, at, keying, sets)
    }

    fn rekeyed(&self, known: &KeyedSignal, rekeying: Seq, keying: Keying, sets: Vec<PseudonymSet>) -> Rekeyed {
        let others = known.others(rekeying);
        Rekeyed { signal: known.signal, rekeying, keying, conclusive: self.is_conclusive(known), sets, others }
    }

    /// Whether the signal rests on conclusive evidence, or was given more to rest on later.
    #[must_use]
    pub fn is_conclusive(&self, known: &KeyedSignal) -> bool {
        known.content.live_status() == SignalStatus::Confirmed || self.strengthened.contains(known.signal.get())
    }

    /// What was known of a signal counts no more, with its rekeyings one by one.
    pub(super) fn drop_signal(&mut self, mut known: KeyedSignal) -> Vec<Rekeyed> {
        let mut rekeyed = Vec::new();
        while let Some(newest) = known.rekeyings.pop() {
            rekeyed.push(self.counts_no_more(&known, newest, Keying::Spent));
        }
        self.totals.digest.remove(signal_digest(known.signal, &known.content));
        rekeyed
    }

    /// There is nothing left of the signal: nobody will ask for its rekeyings again.
    pub(super) fn forget_rekeyings(&mut self, signal: Seq) -> Vec<Rekeyed> {
        let all: Vec<Seq> = self.rekeyings_of(signal).collect();
        all.into_iter().map(|at| self.forget_rekeying(signal, at)).collect()
    }

    fn forget_rekeying(&mut self, signal: Seq, rekeying: Seq) -> Rekeyed {
        self.rekeyings.remove(&(signal, rekeying));
        Rekeyed { signal, rekeying, keying: Keying::Gone, conclusive: false, sets: Vec::new(), others: Vec::new() }
    }

    /// The signals that stand while rekeyings of theirs are `erased`, with as many rekeyings as may come to count in their place.
    pub(super) fn bereft<E>(
        &self,
        erased: &BTreeMap<Seq, BTreeSet<Seq>>,
        read: &mut impl FnMut(Seq) -> Result<Option<Body>, E>,
    ) -> Result<Vec<KeyedSignal>, FoldError<E>> {
        let mut bereft = Vec::new();
        for (signal, rekeyings) in erased.iter().filter(|(signal, _)| !self.is_withdrawn(**signal)) {
            if let Some(Body::Signal { content, .. }) = read(*signal).map_err(FoldError::Read)? {
                bereft.push(self.with_rekeyings(*signal, content, MAX_REKEYINGS + rekeyings.len(), read)?);
            }
        }
        Ok(bereft)
    }

    /// Forgets the `erased` rekeyings; those that are next take the place of what counted.
    pub(super) fn erase_rekeyings(&mut self, bereft: Vec<KeyedSignal>, erased: &BTreeMap<Seq, BTreeSet<Seq>>) -> Vec<Rekeyed> {
        let mut rekeyed = Vec::new();
        for KeyedSignal { signal, content, rekeyings: all } in bereft {
            let is_erased = |at: &Seq| erased.get(&signal).is_some_and(|erased| erased.contains(at));
            let counted: Vec<_> = all.iter().take(MAX_REKEYINGS).cloned().collect();
            let left: Vec<_> = all.into_iter().filter(|(at, _)| !is_erased(at)).take(MAX_REKEYINGS).collect();
            let known = KeyedSignal { signal, content, rekeyings: left.clone() };
            let lost = counted.iter().filter(|(at, _)| is_erased(at));
            rekeyed.extend(lost.map(|lost| self.counts_no_more(&known, lost.clone(), Keying::Spent)));
            let gained = left.into_iter().filter(|(at, _)| counted.iter().all(|(counted, _)| counted != at));
            rekeyed.extend(gained.map(|gained| self.counts(&known, gained)));
        }
        let pairs = erased.iter().flat_map(|(signal, erased)| erased.iter().map(|at| (*signal, *at)));
        let left: Vec<(Seq, Seq)> = pairs.filter(|pair| self.rekeyings.contains(pair)).collect();
        rekeyed.extend(left.into_iter().map(|(signal, at)| self.forget_rekeying(signal, at)));
        rekeyed
    }

    /// The content of the rekeying at `at` is gone from this node because its time had ended. True where it counted until now, which it
    /// does not where its signal went before.
    pub fn expire_rekeying(&mut self, at: Seq, rekeying: &Rekeying) -> bool {
        let counted = self.counting_rekeyings(rekeying.signal).any(|counting| counting == at);
        if counted {
            self.totals.digest.remove(rekeying_digest(rekeying.signal, at, &rekeying.pseudonyms));
        }
        self.rekeyings.remove(&(rekeying.signal, at));
        counted
    }
}

/// What a rekeying that counts brings into its feed's digest: SHA-256 over its signal, its position, and its pseudonyms with their
/// keys.
pub(super) fn rekeying_digest(signal: Seq, at: Seq, sets: &[PseudonymSet]) -> Hash {
    let mut transcript = Transcript::of(PURPOSE);
    transcript.number(signal.get());
    transcript.number(at.get());
    super::write_sets(&mut transcript, sets);
    transcript.finish()
}
