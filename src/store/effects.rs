//! What consecutive entries of one feed do to the index: the pure outcome of a fold, taken into the index here and nowhere else,
//! whether the entries were just committed, read from the log, or summed up earlier in a hint.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::OpenError;
use super::engine::EngineError;
use super::index::{FeedNo, Fingerprint, Position, Postings};
use super::keyed::KeyCounts;
use crate::domain::{Amendment, PseudonymSet, Seq, SignalContent, SignalStatus, Timestamp};
use crate::feed::{Body, Effect, Entry, FeedView, FoldError, Keying, NotUnderstood, Rekeyed};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Effects {
    /// Position of the first entry.
    pub(super) first: Seq,
    /// What each entry added.
    pub(super) added: Vec<Added>,
    /// Pseudonyms of the signals, in the order of the entries.
    pub(super) subjects: Vec<Fingerprint>,
    /// Submissions of the signals, in the order of the entries; none in other members' feeds.
    pub(super) submissions: Vec<Fingerprint>,
    /// Signals that were withdrawn, of this run or before it.
    pub(super) withdrawn: Vec<Touched>,
    /// Live signals that an amendment gave more to rest on, of this run or before it.
    pub(super) strengthened: Vec<Touched>,
    /// Entries about others, and when each counts as recorded.
    pub(super) noted: Vec<(Seq, Timestamp)>,
    /// Entries of which nothing counted any more, of this run or before it, and the erasure that names each.
    pub(super) gone: Vec<(Seq, Seq)>,
    /// Submissions that stand elsewhere than in a signal: of erased signals that came without their content, and of rekeyings. None in
    /// other members' feeds.
    pub(super) tombstones: Vec<(Fingerprint, Seq)>,
    /// What became of rekeyings, of this run or before it.
    pub(super) keyed: Vec<Keyed>,
    /// How many more live signals have pseudonyms under each key; none in other members' feeds.
    pub(super) keys: KeyCounts,
}

/// What an entry added to the index: nothing, a signal with so many pseudonyms, marked where it is conclusive, or what would be
/// there but for its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added(u16);

impl Added {
    const NOTHING: Self = Self(0);
    const MISSING: Self = Self(1);

    /// More pseudonyms than an entry has room for do not occur.
    fn signal(pseudonyms: usize, conclusive: bool) -> Self {
        Self(u16::try_from(pseudonyms + 1).unwrap_or(u16::MAX >> 1) << 1 | u16::from(conclusive))
    }

    pub(super) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    pub(super) const fn is_signal(self) -> bool {
        self.0 > 1
    }

    pub(super) const fn is_missing(self) -> bool {
        self.0 == Self::MISSING.0
    }

    pub(super) const fn is_conclusive(self) -> bool {
        self.is_signal() && self.0 & 1 != 0
    }

    /// Without its pseudonyms, where it has any.
    pub(super) const fn emptied(self) -> Self {
        if self.is_signal() { Self(1 << 1) } else { self }
    }

    pub(super) fn pseudonyms(self) -> usize {
        usize::from((self.0 >> 1).saturating_sub(1))
    }
}

/// A signal to which a later entry of its feed does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) signal: Seq,
    /// Position of that entry.
    pub(super) by: Seq,
    /// The signal's pseudonyms.
    pub(super) subjects: Vec<Fingerprint>,
}

/// A rekeying, and what it does to the signal that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) signal: Seq,
    pub(super) rekeying: Seq,
    pub(super) keying: Keying,
    pub(super) is_conclusive: bool,
    /// By what the signal is found from now on where the rekeying counts, and no more where it does not.
    pub(super) subjects: Vec<Fingerprint>,
}

impl Effects {
    /// Of no entry yet; the first will stand at `first`.
    pub(super) fn from(first: Seq) -> Self {
        Self { first, ..Self::default() }
    }

    /// Of the entries that follow those of `view`, which takes them in. `read` gives what an earlier entry says that one does something to.
    pub(super) fn fold<'a>(
        view: &mut FeedView,
        first: Seq,
        entries: impl IntoIterator<Item = Result<&'a Entry, &'a NotUnderstood>>,
        own: bool,
        mut read: impl FnMut(Seq) -> Result<Option<Body>, EngineError>,
    ) -> Result<Self, OpenError> {
        let mut effects = Self::from(first);
        for entry in entries {
            effects.take(view, entry, own, &mut read)?;
        }
        Ok(effects)
    }

    fn take(
        &mut self,
        view: &mut FeedView,
        entry: Result<&Entry, &NotUnderstood>,
        own: bool,
        read: &mut impl FnMut(Seq) -> Result<Option<Body>, EngineError>,
    ) -> Result<(), OpenError> {
        let seq = self.first.plus(self.added.len());
        let mut before: BTreeMap<Seq, SignalContent> = BTreeMap::new();
        let look = |at| {
            let body = read(at)?;
            if let Some(Body::Signal { content, .. }) = &body {
                before.insert(at, content.clone());
            }
            Ok::<_, EngineError>(body)
        };
        let added = match view.apply(seq, entry, look).map_err(of_fold)? {
            Effect::Added => self.add_signal(entry, own),
            Effect::Withdrawn { signals, rekeyed } => {
                self.take_rekeyed(rekeyed, own);
                self.withdraw(signals, seq, &before, own);
                Added::NOTHING
            }
            Effect::Erased { withdrawn, gone, rekeyed, since } => {
                self.noted.push((seq, since));
                self.take_rekeyed(rekeyed, own);
                self.withdraw(withdrawn, seq, &before, own);
                if own {
                    // What was taken in whole is known by its submission already.
                    let came_empty = gone.iter().copied().filter(|seq| !view.is_withdrawn(*seq)).collect();
                    self.tombstones.extend(tombstones(entry, &came_empty));
                }
                self.gone.extend(gone.into_iter().map(|entry| (entry, seq)));
                Added::NOTHING
            }
            Effect::Rekeyed(rekeyed) => {
                self.take_rekeyed(rekeyed, own);
                Added::NOTHING
            }
            Effect::Missing => Added::MISSING,
            Effect::Noted(since) => {
                self.noted.push((seq, since));
                self.strengthen(view, seq, entry, read)?;
                Added::NOTHING
            }
            Effect::Nothing => Added::NOTHING,
        };
        if own && let Ok(Entry { body: Body::Rekeying(rekeying), .. }) = entry {
            self.tombstones.extend(rekeying.tag.as_ref().map(|tag| (tag.into(), seq)));
        }
        self.added.push(added);
        Ok(())
    }

    fn withdraw(&mut self, signals: Vec<Seq>, by: Seq, before: &BTreeMap<Seq, SignalContent>, own: bool) {
        for signal in signals {
            let content = before.get(&signal);
            let sets = content.map_or(&[][..], |content| &content.pseudonyms);
            if own {
                sets.iter().for_each(|set| self.keys.add(&set.key, -1));
            }
            self.withdrawn.push(Touched { signal, by, subjects: fingerprints(sets).collect() });
        }
    }

    /// Marks a signal that an amendment gives more to rest on, wherever it is found.
    fn strengthen(
        &mut self,
        view: &FeedView,
        by: Seq,
        entry: Result<&Entry, &NotUnderstood>,
        read: &mut impl FnMut(Seq) -> Result<Option<Body>, EngineError>,
    ) -> Result<(), OpenError> {
        let Ok(Entry { body: Body::Amendment(Amendment { signal, change }), .. }) = entry else { return Ok(()) };
        let signal = *signal;
        if signal >= by || view.is_withdrawn(signal) || !change.strengthens() {
            return Ok(());
        }
        let known = view.keyed(signal, read).map_err(of_fold)?;
        let subjects = known.iter().flat_map(|known| fingerprints(&known.content.pseudonyms)).collect();
        self.strengthened.push(Touched { signal, by, subjects });
        for (rekeying, sets) in known.into_iter().flat_map(|known| known.rekeyings) {
            let subjects: Vec<Fingerprint> = fingerprints(&sets).collect();
            let again = |keying| Keyed { signal, rekeying, keying, is_conclusive: true, subjects: subjects.clone() };
            self.keyed.extend([again(Keying::Spent), again(Keying::Counts)]);
        }
        Ok(())
    }

    fn take_rekeyed(&mut self, rekeyed: Vec<Rekeyed>, own: bool) {
        for Rekeyed { signal, rekeying, keying, conclusive, sets, others } in rekeyed {
            let counts = keying == Keying::Counts;
            if own {
                let only_here = sets.iter().filter(|set| others.iter().all(|other| other.key != set.key));
                only_here.for_each(|set| self.keys.add(&set.key, if counts { 1 } else { -1 }));
            }
            // What others lead to stays; what comes is there once, however often it comes.
            let stay: HashSet<Fingerprint> = if counts { HashSet::new() } else { fingerprints(&others).collect() };
            let subjects = fingerprints(&sets).filter(|subject| !stay.contains(subject)).collect();
            self.keyed.push(Keyed { signal, rekeying, keying, is_conclusive: conclusive, subjects });
        }
    }

    fn add_signal(&mut self, entry: Result<&Entry, &NotUnderstood>, own: bool) -> Added {
        let Ok(Entry { body: Body::Signal { tag, content }, .. }) = entry else { return Added::NOTHING };
        let before = self.subjects.len();
        self.subjects.extend(fingerprints(&content.pseudonyms));
        if own {
            self.submissions.push(tag.into());
            content.pseudonyms.iter().for_each(|set| self.keys.add(&set.key, 1));
        }
        Added::signal(self.subjects.len() - before, content.live_status() == SignalStatus::Confirmed)
    }

    /// Whether the columns fit together.
    pub(super) fn are_whole(&self) -> bool {
        let signals = self.added.iter().filter(|added| added.is_signal()).count();
        let pseudonyms: usize = self.added.iter().map(|added| added.pseudonyms()).sum();
        let noted = self.noted.iter().all(|(seq, _)| seq.since(self.first) < self.added.len() as u64 && *seq >= self.first);
        self.subjects.len() == pseudonyms && (self.submissions.is_empty() || self.submissions.len() == signals) && noted
    }

    /// Adds those of the entries that follow.
    pub(super) fn append(&mut self, mut next: Self) {
        self.added.append(&mut next.added);
        self.subjects.append(&mut next.subjects);
        self.submissions.append(&mut next.submissions);
        self.withdrawn.append(&mut next.withdrawn);
        self.noted.append(&mut next.noted);
        self.strengthened.append(&mut next.strengthened);
        self.gone.append(&mut next.gone);
        self.tombstones.append(&mut next.tombstones);
        self.keyed.append(&mut next.keyed);
        self.keys.add_all(&next.keys);
    }

    /// Forgets the pseudonyms of what is erased.
    pub(super) fn redact(&mut self, is_erased: impl Fn(Seq) -> bool) {
        let mut subjects = std::mem::take(&mut self.subjects).into_iter();
        for (i, added) in self.added.iter_mut().enumerate() {
            let of_entry = subjects.by_ref().take(added.pseudonyms());
            if is_erased(self.first.plus(i)) {
                of_entry.for_each(drop);
                *added = added.emptied();
            } else {
                self.subjects.extend(of_entry);
            }
        }
        let touched = self.withdrawn.iter_mut().chain(&mut self.strengthened);
        touched.filter(|touched| is_erased(touched.signal)).for_each(|touched| touched.subjects.clear());
        let keyed = self.keyed.iter_mut().filter(|keyed| is_erased(keyed.signal) || is_erased(keyed.rekeying));
        keyed.for_each(|keyed| keyed.subjects.clear());
    }

    /// Entries whose content is missing.
    pub(super) fn missing(&self) -> impl Iterator<Item = Seq> {
        let missing = self.added.iter().enumerate().filter(|(_, added)| added.is_missing());
        missing.map(|(i, _)| self.first.plus(i))
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        let touched = self.withdrawn.iter().chain(&self.strengthened);
        let touched = touched.map(|touched| 16 + 8 * touched.subjects.len()).sum::<usize>();
        2 * self.added.len()
            + 8 * (self.subjects.len() + self.submissions.len())
            + 16 * (self.noted.len() + self.gone.len() + self.tombstones.len())
            + touched
            + self.keyed.iter().map(|keyed| 24 + 8 * keyed.subjects.len()).sum::<usize>()
            + 48 * self.keys.len()
    }

    /// Takes them into the index of pseudonyms. A withdrawn signal is found by no check any more.
    pub(super) fn index_subjects(&self, no: FeedNo, index: &mut impl Postings) {
        let mut subjects = self.subjects.iter();
        for (i, added) in self.added.iter().enumerate() {
            let position = Position::new(no, self.first.plus(i)).marked(added.is_conclusive());
            subjects.by_ref().take(added.pseudonyms()).for_each(|subject| index.insert(*subject, position));
        }
        for Keyed { signal, keying, is_conclusive, subjects, .. } in &self.keyed {
            let position = Position::new(no, *signal).marked(*is_conclusive);
            match keying {
                Keying::Counts => subjects.iter().for_each(|subject| index.insert(*subject, position)),
                Keying::Spent | Keying::Gone => subjects.iter().for_each(|subject| index.remove(*subject, position)),
            }
        }
        for strengthened in &self.strengthened {
            let position = Position::new(no, strengthened.signal).marked(true);
            for subject in &strengthened.subjects {
                index.remove(*subject, position);
                index.insert(*subject, position);
            }
        }
        for withdrawal in &self.withdrawn {
            let position = Position::new(no, withdrawal.signal);
            withdrawal.subjects.iter().for_each(|subject| index.remove(*subject, position));
        }
    }

    /// Takes them into the index of submissions. That of a withdrawn signal is still known.
    pub(super) fn index_submissions(&self, no: FeedNo, index: &mut impl Postings) {
        let signals = self.added.iter().enumerate().filter(|(_, added)| added.is_signal());
        for ((i, _), submission) in signals.zip(&self.submissions) {
            index.insert(*submission, Position::new(no, self.first.plus(i)));
        }
        self.tombstones.iter().for_each(|(submission, seq)| index.insert(*submission, Position::new(no, *seq)));
    }
}

/// The submissions of those among what an erasure names that are in `came_empty`.
fn tombstones(entry: Result<&Entry, &NotUnderstood>, came_empty: &BTreeSet<Seq>) -> impl Iterator<Item = (Fingerprint, Seq)> {
    let erasure = entry.ok().and_then(|entry| match &entry.body {
        Body::Erasure(erasure) => Some(erasure),
        _ => None,
    });
    let tags = erasure.into_iter().flat_map(|erasure| erasure.entries.iter().zip(&erasure.tags));
    tags.filter(|(seq, _)| came_empty.contains(seq)).filter_map(|(seq, tag)| Some((tag.as_ref()?.into(), *seq)))
}

fn fingerprints(sets: &[PseudonymSet]) -> impl Iterator<Item = Fingerprint> {
    sets.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
}

fn of_fold(error: FoldError<EngineError>) -> OpenError {
    match error {
        FoldError::Read(error) => error.into(),
        FoldError::OutOfOrder { .. } => OpenError::damaged("the order of a feed's entries"),
    }
}
