//! Under which keys signals have pseudonyms: the keys that they were stated under, and those of their rekeyings.

use std::collections::BTreeMap;

use super::index::FeedNo;
use super::state::Bodies;
use super::{EngineError, Shared, Store, StoreError};
use crate::domain::{Audience, FeedId, KeyId, PseudonymSet, Seq, SignalRef};
use crate::feed::{Body, KeyedSignal, rekeyings_at};

/// How many live signals of a feed of this member, or watches, have pseudonyms under each key, or how many more. Kept up one by one,
/// so that nobody reads all of them to know how far a change of keys has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct KeyCounts(BTreeMap<KeyId, i64>);

impl KeyCounts {
    /// So many more of one key.
    pub(super) fn add(&mut self, key: &KeyId, by: i64) {
        let count = self.0.entry(key.clone()).or_default();
        *count += by;
        if *count == 0 {
            self.0.remove(key);
        }
    }

    /// So many more of each.
    pub(super) fn add_all(&mut self, more: &Self) {
        more.0.iter().for_each(|(key, by)| self.add(key, *by));
    }

    /// How many there are of a key.
    pub(super) fn of(&self, key: &KeyId) -> u64 {
        self.0.get(key).copied().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&KeyId, i64)> {
        self.0.iter().map(|(key, count)| (key, *count))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(KeyId, i64)> for KeyCounts {
    fn from_iter<I: IntoIterator<Item = (KeyId, i64)>>(counts: I) -> Self {
        let mut all = Self::default();
        counts.into_iter().for_each(|(key, by)| all.add(&key, by));
        all
    }
}

impl Shared {
    /// The signal at `signal` with the rekeyings that count; `None` where there is no signal.
    pub(super) fn keyed(&self, feed: &FeedId, signal: Seq) -> Result<Option<KeyedSignal>, StoreError> {
        let Some(leaf) = self.read(feed, signal)? else { return Ok(None) };
        let Ok(Body::Signal { content, .. }) = leaf.read().map(|entry| entry.body) else { return Ok(None) };
        let counting: Vec<Seq> = {
            let state = self.state.read();
            state.feed(feed).map_or_else(Vec::new, |record| record.view.counting_rekeyings(signal).collect())
        };
        let read = |at| Ok::<_, StoreError>(self.read(feed, at)?.and_then(|leaf| leaf.read().ok()).map(|entry| entry.body));
        Ok(Some(KeyedSignal { signal, content, rekeyings: rekeyings_at(counting, read)? }))
    }

    /// The rekeyings of a signal that count, as they are on disk, and the pseudonyms of each.
    pub(super) fn stored_rekeyings(&self, no: FeedNo, signal: Seq) -> Result<Vec<(Seq, Vec<PseudonymSet>)>, EngineError> {
        let counting: Vec<Seq> = {
            let state = self.state.read();
            state.feeds.get(&no).map_or_else(Vec::new, |record| record.view.counting_rekeyings(signal).collect())
        };
        let mut bodies = Bodies::of(&self.engine, no);
        rekeyings_at(counting, |at| bodies.read(at))
    }

    /// All rekeyings of these signals.
    pub(super) fn rekeyings(&self, feed: &FeedId, signals: &[Seq]) -> Vec<Seq> {
        let state = self.state.read();
        let view = state.feed(feed).map(|record| &record.view);
        view.into_iter().flat_map(|view| signals.iter().flat_map(|signal| view.rekeyings_of(*signal))).collect()
    }
}

impl Store {
    /// Where the rekeyings of a signal stand that count as long as it stands, the newest first, at most
    /// [`crate::domain::limits::MAX_REKEYINGS`]. In memory.
    #[must_use]
    pub fn rekeyings(&self, signal: &SignalRef) -> Vec<Seq> {
        let state = self.shared.state.read();
        state.feed(&signal.feed).map_or_else(Vec::new, |record| record.view.newest_rekeyings(signal.seq).collect())
    }

    /// Where all rekeyings of a signal stand, whether they count or not. In memory.
    #[must_use]
    pub fn all_rekeyings(&self, signal: &SignalRef) -> Vec<Seq> {
        self.shared.rekeyings(&signal.feed, &[signal.seq])
    }

    /// The pseudonyms that these rekeyings give the signal. Reads entries where there are any.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn rekeyed(&self, signal: &SignalRef) -> Result<Vec<PseudonymSet>, StoreError> {
        let read = |at| {
            let entry = self.entry(&SignalRef { feed: signal.feed.clone(), seq: at })?;
            Ok::<_, StoreError>(entry.map(|entry| entry.body))
        };
        Ok(rekeyings_at(self.rekeyings(signal), read)?.into_iter().flat_map(|(_, sets)| sets).collect())
    }

    /// Live signals of this member in those audiences that are `within`. In memory.
    #[must_use]
    pub fn own_live_signals_in(&self, within: impl Fn(&Audience) -> bool) -> u64 {
        let state = self.shared.state.read();
        let own = state.feeds.values().filter(|record| record.id.member == self.shared.member && within(&record.id.audience));
        own.map(|record| record.view.signals() - record.view.withdrawn()).sum()
    }

    /// Of these the ones that have pseudonyms under `key`. In memory.
    #[must_use]
    pub fn own_live_signals_under(&self, key: &KeyId, within: impl Fn(&Audience) -> bool) -> u64 {
        let state = self.shared.state.read();
        let within = |no: &FeedNo| state.feeds.get(no).is_some_and(|record| within(&record.id.audience));
        state.keyed.iter().filter(|(no, _)| within(no)).map(|(_, counts)| counts.of(key)).sum()
    }
}
