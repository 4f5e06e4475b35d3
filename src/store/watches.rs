//! Watches: standing checks of this member's, matched against entries as they arrive, and the alerts that come of them.
//!
//! The writer looks up every pseudonym of an entry in an index in memory, one probe each, and puts what concerns a watch down in the
//! same commit: that the watch is *to be looked at*. So nothing is missed, whatever happens between the entry and the alert. Whoever
//! looks settles the matter in one commit too: what the watch comes to now, and the alert where that is news. A watch is to be looked
//! at once, however many entries concern it meanwhile; what arrives while it is looked at asks for another look.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use super::engine::Engine;
use super::index::{FeedNo, Fingerprint, Position, PositionIndex, Postings as _};
use super::keyed::KeyCounts;
use super::request::Request;
use super::rows::{AlertRow, LookRow, PseudonymSetRow, StandingRow, WatchRow};
use super::{OpenError, Store, StoreError, damaged, keys};
use crate::domain::{
    Alert, AlertId, AlertKind, IdentifierKind, KeyId, Pseudonym, Seq, SignalRef, Standing, Timestamp, Verdict, Watch, WatchId,
};

/// A watch that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Which.
    pub watch: WatchId,
    /// Tells apart what asked for it; to be given back with the outcome.
    pub mark: u64,
    /// The entry that asked first, where it was one.
    pub cause: Option<SignalRef>,
}

/// What became of an alert that was handed to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It was taken: that acknowledges it.
    Taken,
    /// It was refused, for the reason with this code: it stays, and is handed over no more.
    Refused(&'static str),
}

/// In memory: who is watched, and what is to be looked at.
pub(super) struct Watches {
    /// Of each pseudonym the watches that name it: a watch's number stands in the place of an entry's.
    index: PositionIndex,
    /// Watches that there are.
    count: u64,
    /// Those that have pseudonyms under each key.
    keyed: KeyCounts,
    /// The newest watch and alert there ever were.
    last: u64,
    last_alert: u64,
    /// Watches that were not unknown when they were looked at last: what they come to may change with time alone.
    known: BTreeSet<u64>,
    looks: BTreeMap<u64, LookRow>,
    last_mark: u64,
    alerts: u64,
    /// Up to which alert all were handed to their receiver.
    delivered: u64,
}

/// What becomes of watches in one commit.
#[derive(Default)]
pub(super) struct WatchChanges {
    added: Vec<(u64, Named)>,
    removed: Vec<(u64, Named)>,
    looks: BTreeMap<u64, Option<LookRow>>,
    standings: Vec<(u64, bool)>,
    alerts: i64,
    last_alert: u64,
    delivered: u64,
}

/// By what a watch is found, and under which keys.
struct Named {
    fingerprints: Vec<Fingerprint>,
    keys: Vec<KeyId>,
}

impl Named {
    fn by(watch: &Watch) -> Self {
        let fingerprints = watch.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from).collect();
        Self { fingerprints, keys: watch.pseudonyms.iter().map(|set| set.key.clone()).collect() }
    }
}

impl Watches {
    pub(super) fn load(engine: &Engine) -> Result<Self, OpenError> {
        let mut watches = Self {
            index: PositionIndex::new(),
            count: 0,
            keyed: KeyCounts::default(),
            last: 0,
            last_alert: 0,
            known: BTreeSet::new(),
            looks: BTreeMap::new(),
            last_mark: 0,
            alerts: 0,
            delivered: 0,
        };
        engine.scan(&keys::watches(), |key, value| {
            let broken = || OpenError::damaged("a watch");
            let number = keys::read_numbered(key).ok_or_else(broken)?;
            let watch = WatchRow::decode(value).ok().and_then(read_watch).ok_or_else(broken)?;
            watches.add(number, &Named::by(&watch));
            watches.stand(number, watch.standing != Standing::UNKNOWN);
            Ok::<_, OpenError>(())
        })?;
        engine.scan(&keys::looks(), |key, value| {
            let broken = || OpenError::damaged("what is to be looked at");
            let number = keys::read_numbered(key).ok_or_else(broken)?;
            let look = LookRow::decode(value).map_err(|_| broken())?;
            watches.last_mark = watches.last_mark.max(look.mark);
            watches.looks.insert(number, look);
            Ok::<_, OpenError>(())
        })?;
        engine.scan(&keys::alerts(), |_, _| {
            watches.alerts += 1;
            Ok::<_, OpenError>(())
        })?;
        let numbers = [
            (keys::last_watch(), &mut watches.last),
            (keys::last_alert(), &mut watches.last_alert),
            (keys::delivered(), &mut watches.delivered),
        ];
        for (key, last) in numbers {
            if let Some(value) = engine.get(&key)? {
                let number = value.as_slice().try_into().map(u64::from_be_bytes);
                *last = number.map_err(|_| OpenError::damaged("the number of the last watch"))?;
            }
        }
        Ok(watches)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) const fn last_alert(&self) -> u64 {
        self.last_alert
    }

    pub(super) const fn alerts(&self) -> u64 {
        self.alerts
    }

    pub(super) const fn last_mark(&self) -> u64 {
        self.last_mark
    }

    pub(super) fn look(&self, number: u64) -> Option<&LookRow> {
        self.looks.get(&number)
    }

    pub(super) fn known(&self) -> impl Iterator<Item = u64> {
        self.known.iter().copied()
    }

    /// The watches that may name a pseudonym.
    pub(super) fn naming(&self, fingerprint: Fingerprint) -> Vec<u64> {
        if !self.index.contains(fingerprint) {
            return Vec::new();
        }
        self.index.positions(fingerprint).into_iter().map(|position| position.seq().get()).collect()
    }

    fn place(number: u64) -> Option<Position> {
        Some(Position::new(FeedNo::new(0)?, Seq::new(number)))
    }

    fn add(&mut self, number: u64, named: &Named) {
        let Some(place) = Self::place(number) else { return };
        named.fingerprints.iter().for_each(|fingerprint| self.index.insert(*fingerprint, place));
        named.keys.iter().for_each(|key| self.keyed.add(key, 1));
        self.count += 1;
        self.last = self.last.max(number);
    }

    fn stand(&mut self, number: u64, known: bool) {
        if known {
            self.known.insert(number);
        } else {
            self.known.remove(&number);
        }
    }

    /// Takes in what is on disk now.
    pub(super) fn take(&mut self, changes: WatchChanges) {
        let WatchChanges { added, removed, looks, standings, alerts, last_alert, delivered } = changes;
        added.iter().for_each(|(number, named)| self.add(*number, named));
        standings.into_iter().for_each(|(number, known)| self.stand(number, known));
        for (number, named) in removed {
            if let Some(place) = Self::place(number) {
                named.fingerprints.iter().for_each(|fingerprint| self.index.remove(*fingerprint, place));
                named.keys.iter().for_each(|key| self.keyed.add(key, -1));
            }
            self.count = self.count.saturating_sub(1);
            self.known.remove(&number);
        }
        for (number, look) in looks {
            match look {
                Some(look) => {
                    self.last_mark = self.last_mark.max(look.mark);
                    self.looks.insert(number, look);
                }
                None => drop(self.looks.remove(&number)),
            }
        }
        self.alerts = self.alerts.saturating_add_signed(alerts);
        self.last_alert = self.last_alert.max(last_alert);
        self.delivered = self.delivered.max(delivered);
    }
}

impl WatchChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.looks.is_empty() && self.alerts == 0 && self.delivered == 0
    }

    pub(super) fn add(&mut self, number: u64, watch: &Watch) {
        self.added.push((number, Named::by(watch)));
    }

    pub(super) fn added(&self) -> u64 {
        self.added.len() as u64
    }

    pub(super) fn remove(&mut self, number: u64, watch: &Watch) {
        self.removed.push((number, Named::by(watch)));
        self.looks.insert(number, None);
    }

    pub(super) fn is_removed(&self, number: u64) -> bool {
        self.removed.iter().any(|(removed, _)| *removed == number)
    }

    /// What was staged last of a look.
    pub(super) fn look(&self, number: u64) -> Option<&Option<LookRow>> {
        self.looks.get(&number)
    }

    pub(super) fn set_look(&mut self, number: u64, look: Option<LookRow>) {
        self.looks.insert(number, look);
    }

    pub(super) fn stand(&mut self, number: u64, standing: Standing) {
        self.standings.push((number, standing != Standing::UNKNOWN));
    }

    pub(super) fn raised(&mut self, number: u64) {
        self.alerts += 1;
        self.last_alert = number;
    }

    pub(super) fn acknowledged(&mut self) {
        self.alerts -= 1;
    }

    pub(super) const fn last_alert(&self) -> u64 {
        self.last_alert
    }

    pub(super) fn delivered(&mut self, number: u64) {
        self.delivered = self.delivered.max(number);
    }
}

fn write_standing(standing: Standing) -> StandingRow {
    StandingRow { verdict: standing.verdict.number(), members: standing.members }
}

fn read_standing(row: &StandingRow) -> Option<Standing> {
    Some(Standing { verdict: Verdict::from_number(row.verdict)?, members: row.members })
}

pub(super) fn write_watch(watch: &Watch) -> WatchRow {
    WatchRow {
        kinds: watch.kinds.iter().map(|kind| kind.number()).collect(),
        pseudonyms: watch.pseudonyms.iter().map(PseudonymSetRow::from).collect(),
        made_at_ms: watch.made_at.unix_ms(),
        until_ms: watch.until.unix_ms(),
        label: watch.label.clone(),
        standing: write_standing(watch.standing),
    }
}

pub(super) fn read_watch(row: WatchRow) -> Option<Watch> {
    Some(Watch {
        kinds: row.kinds.iter().map(|kind| IdentifierKind::from_number(*kind)).collect::<Option<_>>()?,
        pseudonyms: row.pseudonyms.iter().map(PseudonymSetRow::read).collect::<Option<_>>()?,
        made_at: Timestamp::from_unix_ms(row.made_at_ms),
        until: Timestamp::from_unix_ms(row.until_ms),
        standing: read_standing(&row.standing)?,
        label: row.label,
    })
}

pub(super) fn write_alert(alert: &Alert) -> AlertRow {
    AlertRow {
        watch: alert.watch.0,
        label: alert.label.clone(),
        kind: alert.kind.number(),
        raised_at_ms: alert.raised_at.unix_ms(),
        before: write_standing(alert.before),
        after: write_standing(alert.after),
        signal: alert.signal.as_ref().map(ToString::to_string).unwrap_or_default(),
        refused: alert.refused.clone(),
    }
}

pub(super) fn read_alert(row: AlertRow) -> Option<Alert> {
    Some(Alert {
        watch: WatchId(row.watch),
        kind: AlertKind::from_number(row.kind)?,
        raised_at: Timestamp::from_unix_ms(row.raised_at_ms),
        before: read_standing(&row.before)?,
        after: read_standing(&row.after)?,
        signal: if row.signal.is_empty() { None } else { Some(row.signal.parse().ok()?) },
        label: row.label,
        refused: row.refused,
    })
}

impl Store {
    /// Keeps watches; each is to be looked at once. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::WatchesFull`], [`StoreError::Unwritable`].
    pub async fn put_watches(&self, watches: Vec<Watch>) -> Result<Vec<WatchId>, StoreError> {
        self.request(|reply| Request::PutWatches(watches, reply)).await
    }

    /// Ends watches. Durable when this returns; gives how many there were.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn remove_watches(&self, ids: Vec<WatchId>) -> Result<usize, StoreError> {
        self.request(|reply| Request::RemoveWatches(ids, reply)).await
    }

    /// A watch; `None` where there is none. Reads.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn watch(&self, id: WatchId) -> Result<Option<Watch>, StoreError> {
        let row = self.shared.engine.get(&keys::watch(id.0)).map_err(|e| StoreError::unreadable(&e))?;
        let read = |row: Vec<u8>| WatchRow::decode(&*row).ok().and_then(read_watch).ok_or_else(|| damaged("a watch"));
        row.map(read).transpose()
    }

    /// The watches after `after`, at most `count`, in the order in which they were made. Reads.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn watches(&self, after: Option<WatchId>, count: usize) -> Result<Vec<(WatchId, Watch)>, StoreError> {
        let read = |row: &[u8]| WatchRow::decode(row).ok().and_then(read_watch).ok_or_else(|| damaged("a watch"));
        let from = keys::watch(after.map_or(0, |after| after.0.saturating_add(1)));
        self.numbered(&keys::watches(), from, count, |number, row| Ok((WatchId(number), read(row)?)))
    }

    /// The alerts after `after` that nobody acknowledged, at most `count`, in the order in which they were raised. Reads.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn alerts(&self, after: Option<AlertId>, count: usize) -> Result<Vec<(AlertId, Alert)>, StoreError> {
        let read = |row: &[u8]| AlertRow::decode(row).ok().and_then(read_alert).ok_or_else(|| damaged("an alert"));
        let from = keys::alert(after.map_or(0, |after| after.0.saturating_add(1)));
        self.numbered(&keys::alerts(), from, count, |number, row| Ok((AlertId(number), read(row)?)))
    }

    /// The rows at and after `from` whose keys start with `prefix` and end with a number, at most `count`.
    pub(super) fn numbered<T>(
        &self,
        prefix: &[u8],
        mut from: Vec<u8>,
        count: usize,
        read: impl Fn(u64, &[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        while rows.len() < count {
            let next = self.shared.engine.first_from(prefix, &from).map_err(|e| StoreError::unreadable(&e))?;
            let Some((key, row)) = next else { break };
            rows.push(read(keys::read_numbered(&key).ok_or_else(|| damaged("a number"))?, &row)?);
            from = key;
            from.push(0);
        }
        Ok(rows)
    }

    /// Watches, and alerts that nobody acknowledged. In memory.
    #[must_use]
    pub fn watch_counts(&self) -> (u64, u64) {
        let watches = self.shared.watches.read();
        (watches.count(), watches.alerts())
    }

    /// Watches that have no pseudonyms under `key`, those too whose time is over and that are still to be swept away. In memory.
    #[must_use]
    pub fn watches_without(&self, key: &KeyId) -> u64 {
        let watches = self.shared.watches.read();
        watches.count().saturating_sub(watches.keyed.of(key))
    }

    /// Whether a watch may name this pseudonym. In memory; one probe.
    #[must_use]
    pub fn is_watched(&self, pseudonym: &Pseudonym) -> bool {
        self.shared.watches.read().index.contains(pseudonym.into())
    }

    /// Some of the watches that are to be looked at, at most `count`. In memory.
    #[must_use]
    pub fn looks(&self, count: usize) -> Vec<Look> {
        let watches = self.shared.watches.read();
        let look =
            |(number, row): (&u64, &LookRow)| Look { watch: WatchId(*number), mark: row.mark, cause: row.cause.parse().ok() };
        watches.looks.iter().take(count).map(look).collect()
    }

    /// Says what looks came to: what each watch stands at now, and the alert where that is news. Where something asked for another look
    /// meanwhile, that stays. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn settle_looks(&self, settled: Vec<(Look, Standing, Option<Alert>)>) -> Result<(), StoreError> {
        self.request(|reply| Request::SettleLooks(settled, reply)).await
    }

    /// Has every watch looked at again that is not unknown. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn look_again(&self) -> Result<(), StoreError> {
        self.request(Request::LookAgain).await
    }

    /// Whether an alert may have been raised after `after`. In memory.
    #[must_use]
    pub fn may_have_alerts(&self, after: Option<AlertId>) -> bool {
        let watches = self.shared.watches.read();
        watches.alerts > 0 && watches.last_alert > after.map_or(0, |after| after.0)
    }

    /// The last alert that was handed to its receiver, with all before it. In memory.
    #[must_use]
    pub fn delivered_until(&self) -> Option<AlertId> {
        let delivered = self.shared.watches.read().delivered;
        (delivered > 0).then_some(AlertId(delivered))
    }

    /// Notes what became of an alert that was handed to its receiver. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn note_delivery(&self, id: AlertId, delivered: Delivered) -> Result<(), StoreError> {
        self.request(|reply| Request::NoteDelivery(id, delivered, reply)).await
    }

    /// Takes an alert away. Durable when this returns; false where there was none.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn acknowledge(&self, id: AlertId) -> Result<bool, StoreError> {
        self.request(|reply| Request::Acknowledge(id, reply)).await
    }
}
