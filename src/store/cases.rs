//! Reading what entries say about others.

use super::casebook::Noted;
use super::index::Position;
use super::state::State;
use super::{Store, StoreError};
use crate::domain::{CaseTag, Marker, Pseudonym, SignalRef, Timestamp};
use crate::feed::{Body, Entry, Note};

/// A marker that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingMarker {
    /// Where.
    pub at: SignalRef,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What it says.
    pub marker: Marker,
}

impl Store {
    /// Whether any entry says something about this one. In memory.
    #[must_use]
    pub fn speaks_of(&self, entry: &SignalRef) -> bool {
        self.shared.state.read().casebook.speaks_of(entry)
    }

    /// What entries say about a signal, and the decisions of its disputes: as many of each member as count. Reads entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn notes_about(&self, signal: &SignalRef) -> Result<Vec<Note>, StoreError> {
        let mut notes = self.read_notes(|state| state.casebook.about(signal))?;
        let disputes = notes.iter().filter(|note| matches!(note.body, Body::Dispute(_))).map(|note| note.at.clone());
        for dispute in disputes.collect::<Vec<_>>() {
            let decisions = |state: &State| match state.number(&signal.feed) {
                Some(of) => state.casebook.decisions(&dispute, of),
                None => Vec::new(),
            };
            notes.extend(self.read_notes(decisions)?);
        }
        Ok(notes)
    }

    fn read_notes(&self, noted: impl FnOnce(&State) -> Vec<Noted>) -> Result<Vec<Note>, StoreError> {
        let noted: Vec<(SignalRef, Timestamp)> = {
            let state = self.shared.state.read();
            noted(&state).into_iter().filter_map(|noted| Some((state.name_of(noted.at)?, noted.since))).collect()
        };
        let mut notes = Vec::with_capacity(noted.len());
        for (at, since) in noted {
            if let Some(entry) = self.entry(&at)? {
                notes.push(Note { at, recorded_at: entry.recorded_at, since, body: entry.body });
            }
        }
        Ok(notes)
    }

    /// The entry at a position as this version reads it; `None` where nothing that it understands stands there.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn entry(&self, at: &SignalRef) -> Result<Option<Entry>, StoreError> {
        Ok(self.read(&at.feed, at.seq)?.and_then(|leaf| leaf.read().ok()))
    }

    /// The entries that record disputes under a reference. In memory.
    #[must_use]
    pub fn case(&self, tag: &CaseTag) -> Vec<SignalRef> {
        let state = self.shared.state.read();
        state.casebook.case(tag).into_iter().filter_map(|at| state.name_of(at)).collect()
    }

    /// The entries after `after` that record disputes, in order, at most `count`. In memory.
    #[must_use]
    pub fn disputes_after(&self, after: Option<&SignalRef>, count: usize) -> Vec<SignalRef> {
        self.shared.state.read().casebook.disputes_after(after).take(count).cloned().collect()
    }

    /// Whether a marker may name this pseudonym. In memory; one probe.
    #[must_use]
    pub fn is_marked(&self, pseudonym: &Pseudonym) -> bool {
        self.shared.state.read().casebook.is_marked(pseudonym.into())
    }

    /// Where own markers stand that were neither taken back nor erased, whether their time is over or not. In memory.
    #[must_use]
    pub fn own_markers(&self) -> Vec<SignalRef> {
        let state = self.shared.state.read();
        let erased =
            |at: &SignalRef| state.number(&at.feed).is_some_and(|no| state.casebook.is_erased(Position::new(no, at.seq)));
        state.own_markers.iter().filter(|at| !state.casebook.is_lifted(at) && !erased(at)).cloned().collect()
    }

    /// The markers that name this pseudonym and were not taken back. Reads entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn markers_of(&self, pseudonym: &Pseudonym) -> Result<Vec<StandingMarker>, StoreError> {
        let positions: Vec<SignalRef> = {
            let state = self.shared.state.read();
            let marked = state.casebook.markers(pseudonym.into()).into_iter().filter_map(|at| state.name_of(at));
            marked.filter(|at| !state.casebook.is_lifted(at)).collect()
        };
        let mut markers = Vec::new();
        for at in positions {
            if let Some(Entry { recorded_at, body: Body::Marker(marker) }) = self.entry(&at)?
                && marker.pseudonyms.iter().any(|set| set.pseudonyms.contains(pseudonym))
            {
                markers.push(StandingMarker { at, recorded_at, marker });
            }
        }
        Ok(markers)
    }
}
