//! What consecutive entries of one feed do to the index: the pure outcome of a fold, taken into the index here and nowhere else,
//! whether the entries were just committed, read from the log, or summed up earlier in a hint.

use std::collections::{BTreeMap, BTreeSet};

use super::OpenError;
use super::engine::EngineError;
use super::index::{FeedNo, Fingerprint, Position, Postings};
use crate::domain::{Amendment, Seq, SignalContent, SignalStatus, Timestamp};
use crate::feed::{Body, Effect, Entry, FeedView, FoldError, NotUnderstood};

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
    /// Submissions of erased signals that came without their content, and where each stands; none in other members' feeds.
    pub(super) tombstones: Vec<(Fingerprint, Seq)>,
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

impl Effects {
    /// Of no entry yet; the first will stand at `first`.
    pub(super) fn from(first: Seq) -> Self {
        Self { first, ..Self::default() }
    }

    /// Of the entries that follow those of `view`, which takes them in. `read` gives the earlier signal that an entry withdraws.
    pub(super) fn fold<'a>(
        view: &mut FeedView,
        first: Seq,
        entries: impl IntoIterator<Item = Result<&'a Entry, &'a NotUnderstood>>,
        own: bool,
        mut read: impl FnMut(Seq) -> Result<Option<SignalContent>, EngineError>,
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
        read: &mut impl FnMut(Seq) -> Result<Option<SignalContent>, EngineError>,
    ) -> Result<(), OpenError> {
        let seq = self.first.plus(self.added.len());
        let mut before: BTreeMap<Seq, Option<SignalContent>> = BTreeMap::new();
        let mut look = |at| {
            let content = read(at)?;
            before.insert(at, content.clone());
            Ok::<_, EngineError>(content)
        };
        let effect = view.apply(seq, entry, &mut look);
        if let Ok(Entry { body: Body::Amendment(Amendment { signal, change }), .. }) = entry
            && change.strengthens()
            && *signal < seq
            && !view.is_withdrawn(*signal)
        {
            look(*signal)?;
        }
        let touched = |signal: Seq, before: &BTreeMap<Seq, Option<SignalContent>>| Touched {
            signal,
            by: seq,
            subjects: before.get(&signal).into_iter().flatten().flat_map(fingerprints).collect(),
        };
        let added = match effect {
            Ok(Effect::Added) => self.add_signal(entry, own),
            Ok(Effect::Withdrawn(signals)) => {
                self.withdrawn.extend(signals.into_iter().map(|signal| touched(signal, &before)));
                Added::NOTHING
            }
            Ok(Effect::Erased { withdrawn, gone, since }) => {
                self.noted.push((seq, since));
                self.withdrawn.extend(withdrawn.into_iter().map(|signal| touched(signal, &before)));
                if own {
                    // What was taken in whole is known by its submission already.
                    let came_empty = gone.iter().copied().filter(|seq| !view.is_withdrawn(*seq)).collect();
                    self.tombstones.extend(tombstones(entry, &came_empty));
                }
                self.gone.extend(gone.into_iter().map(|entry| (entry, seq)));
                Added::NOTHING
            }
            Ok(Effect::Missing) => Added::MISSING,
            Ok(Effect::Noted(since)) => {
                self.noted.push((seq, since));
                self.strengthened.extend(before.keys().map(|signal| touched(*signal, &before)));
                Added::NOTHING
            }
            Ok(Effect::Nothing) => Added::NOTHING,
            Err(FoldError::Read(error)) => return Err(error.into()),
            Err(FoldError::OutOfOrder { .. }) => return Err(OpenError::damaged("the order of a feed's entries")),
        };
        self.added.push(added);
        Ok(())
    }

    fn add_signal(&mut self, entry: Result<&Entry, &NotUnderstood>, own: bool) -> Added {
        let Ok(Entry { body: Body::Signal { tag, content }, .. }) = entry else { return Added::NOTHING };
        let before = self.subjects.len();
        self.subjects.extend(fingerprints(content));
        if own {
            self.submissions.push(tag.into());
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
    }

    /// Takes them into the index of pseudonyms. A withdrawn signal is found by no check any more.
    pub(super) fn index_subjects(&self, no: FeedNo, index: &mut impl Postings) {
        let mut subjects = self.subjects.iter();
        for (i, added) in self.added.iter().enumerate() {
            let position = Position::new(no, self.first.plus(i)).marked(added.is_conclusive());
            subjects.by_ref().take(added.pseudonyms()).for_each(|subject| index.insert(*subject, position));
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

/// The submissions of those signals among what an erasure names that are in `came_empty`.
fn tombstones(entry: Result<&Entry, &NotUnderstood>, came_empty: &BTreeSet<Seq>) -> impl Iterator<Item = (Fingerprint, Seq)> {
    let erasure = entry.ok().and_then(|entry| match &entry.body {
        Body::Erasure(erasure) => Some(erasure),
        _ => None,
    });
    let tags = erasure.into_iter().flat_map(|erasure| erasure.entries.iter().zip(&erasure.tags));
    tags.filter(|(seq, _)| came_empty.contains(seq)).filter_map(|(seq, tag)| Some((tag.as_ref()?.into(), *seq)))
}

fn fingerprints(content: &SignalContent) -> impl Iterator<Item = Fingerprint> {
    content.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
}
