//! A signal as this node holds it, with all that was said of it since.

use std::sync::Arc;

use super::freshness::rests_on;
use super::rekeying::first_under_each_key;
use crate::domain::{
    Clock, Pseudonym, PseudonymSet, RetractionReason, Roster, Seq, SignalContent, SignalRef, SignalStatus, Statement, Subject,
    Timestamp,
};
use crate::feed::{Body, Entry, Leaf, Life, SignedRoster, Told, life, marker_holds};
use crate::membership::Directory;
use crate::store::{FreshnessRecord, StandingMarker, Store, StoreError};

/// A signal as this node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRecord {
    /// Its name.
    pub signal: SignalRef,
    /// What it is now.
    pub status: SignalStatus,
    /// When its member took it in.
    pub recorded_at: Timestamp,
    /// What it said when it was stated.
    pub content: SignalContent,
    /// The pseudonyms that it was given under later keys: one set for each.
    pub rekeyed: Vec<PseudonymSet>,
    /// Why it was withdrawn, where it was.
    pub retraction: Option<RetractionReason>,
    /// What was said of it since; `None` where nothing was.
    pub life: Option<Box<Life>>,
}

impl SignalRecord {
    /// What it says now, amendments included.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        self.life.as_ref().map_or(&self.content.statement, |life| &life.statement)
    }

    /// Whom it is about, under the keys that it was stated under and under later ones.
    pub(super) fn subjects(&self) -> [Subject<'_>; 2] {
        [self.content.subject(), Subject { kinds: &self.content.kinds, pseudonyms: &self.rekeyed }]
    }
}

/// Reads signals under one roster and at one moment.
pub(super) struct Reader<'a> {
    store: &'a Store,
    signed: Arc<SignedRoster>,
    pub(super) now: Timestamp,
}

impl<'a> Reader<'a> {
    pub(super) fn new(store: &'a Store, directory: &Directory, clock: &dyn Clock) -> Self {
        Self { store, signed: directory.roster(), now: clock.now() }
    }

    pub(super) fn roster(&self) -> &Roster {
        self.signed.roster()
    }

    /// The signal at a position; `None` where nothing, or another kind of entry, stands there.
    pub(super) fn signal(&self, signal: SignalRef) -> Result<Option<SignalRecord>, StoreError> {
        match self.store.read(&signal.feed, signal.seq)? {
            Some(leaf) => self.record_of(signal, &leaf),
            None => Ok(None),
        }
    }

    /// What the entry says that stands there; `None` where it is no signal, or erased.
    pub(super) fn record_of(&self, signal: SignalRef, leaf: &Leaf) -> Result<Option<SignalRecord>, StoreError> {
        let Ok(Entry { recorded_at, body: Body::Signal { content, .. } }) = leaf.read() else { return Ok(None) };
        let (gone, retraction) = match self.store.retraction_of(&signal.feed, signal.seq) {
            Some(at) => self.taken_away(&signal, at)?,
            None => (None, None),
        };
        // What is to be gone is not read any more, also while it is still there.
        if gone == Some(SignalStatus::Erased) {
            return Ok(None);
        }
        let life = if self.store.speaks_of(&signal) {
            let notes = self.store.notes_about(&signal)?;
            let told = Told { signal: &signal, recorded_at, statement: &content.statement, gone, notes: &notes };
            Some(Box::new(life(&told, self.roster(), self.now)))
        } else {
            None
        };
        let status = match (&life, gone) {
            (Some(life), _) => life.status,
            (None, Some(gone)) => gone,
            (None, None) => self.status_alone(&content, recorded_at),
        };
        let rekeyed = first_under_each_key(&content, self.store.rekeyed(&signal)?);
        Ok(Some(SignalRecord { signal, status, recorded_at, content, rekeyed, retraction, life }))
    }

    /// What a signal is of which nothing else was said.
    pub(super) fn status_alone(&self, content: &SignalContent, recorded_at: Timestamp) -> SignalStatus {
        let kept_days = self.roster().policy.retention_days(&content.statement);
        match () {
            () if recorded_at.is_ahead_of(self.now) => SignalStatus::DatedAhead,
            () if self.now >= recorded_at.plus_days(kept_days) => SignalStatus::Expired,
            () => content.live_status(),
        }
    }

    /// The markers that name a pseudonym and hold, of the feeds that an answer rests on.
    pub(super) fn markers_of(
        &self,
        pseudonym: &Pseudonym,
        freshness: &FreshnessRecord,
    ) -> Result<Vec<StandingMarker>, StoreError> {
        let mut markers = self.store.markers_of(pseudonym)?;
        markers.retain(|StandingMarker { at, recorded_at, marker }| {
            rests_on(freshness, &at.feed) && marker_holds(marker, &at.feed.member, *recorded_at, self.roster(), self.now)
        });
        Ok(markers)
    }

    /// What the signal is that the entry at `at` took away, and why where it says so.
    fn taken_away(&self, signal: &SignalRef, at: Seq) -> Result<(Option<SignalStatus>, Option<RetractionReason>), StoreError> {
        let entry = self.store.entry(&SignalRef { feed: signal.feed.clone(), seq: at })?;
        Ok(match entry.map(|entry| entry.body) {
            Some(Body::Retraction(retraction)) => (Some(SignalStatus::Withdrawn), Some(retraction.reason)),
            _ => (Some(SignalStatus::Erased), None),
        })
    }
}
