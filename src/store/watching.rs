//! The writer's part of watches: see [`super::watches`].

use std::collections::BTreeMap;

use prost::Message as _;

use super::engine::EngineError;
use super::group::Group;
use super::index::{FeedNo, Fingerprint};
use super::rows::{AlertRow, LookRow, WatchRow};
use super::state::read_leaf;
use super::watches::{Delivered, Look, read_alert, read_watch, write_alert, write_watch};
use super::writer::Writer;
use super::{StoreError, damaged, keys};
use crate::domain::limits::{MAX_ALERTS, MAX_WATCHES};
use crate::domain::{Alert, AlertId, FeedId, PseudonymSet, Seq, SignalRef, Standing, Watch, WatchId};
use crate::feed::{Body, Entry};

impl Writer {
    pub(super) fn stage_watches(&self, watches: Vec<Watch>, group: &mut Group) -> Result<Vec<WatchId>, StoreError> {
        let held = self.shared.watches.read();
        if held.count() + group.watches.added() + watches.len() as u64 > MAX_WATCHES {
            return Err(StoreError::WatchesFull);
        }
        let mut ids = Vec::with_capacity(watches.len());
        for watch in watches {
            let number = held.last() + group.watches.added() + 1;
            group.commit.put(keys::watch(number), write_watch(&watch).encode_to_vec());
            group.watches.add(number, &watch);
            self.stage_look(number, None, group);
            ids.push(WatchId(number));
        }
        group.commit.put(keys::last_watch(), (held.last() + group.watches.added()).to_be_bytes().to_vec());
        Ok(ids)
    }

    pub(super) fn stage_removal(&self, ids: &[WatchId], group: &mut Group) -> Result<usize, StoreError> {
        let mut removed = 0;
        // Everything is read before anything is staged: a read that fails leaves nothing behind.
        let held = ids.iter().map(|WatchId(number)| self.held_watch(*number)).collect::<Result<Vec<_>, _>>()?;
        for (WatchId(number), watch) in ids.iter().zip(held) {
            let Some(watch) = watch.filter(|_| !group.watches.is_removed(*number)) else { continue };
            group.commit.remove(&keys::watch(*number));
            group.commit.remove(&keys::look(*number));
            group.watches.remove(*number, &watch);
            removed += 1;
        }
        Ok(removed)
    }

    fn held_watch(&self, number: u64) -> Result<Option<Watch>, StoreError> {
        let row = self.shared.engine.get(&keys::watch(number)).map_err(|e| StoreError::unreadable(&e))?;
        row.map(|row| WatchRow::decode(&*row).ok().and_then(read_watch).ok_or_else(|| damaged("a watch"))).transpose()
    }

    /// Has a watch looked at, because of an entry or for no cause.
    fn stage_look(&self, number: u64, cause: Option<&SignalRef>, group: &mut Group) {
        if group.watches.is_removed(number) {
            return;
        }
        let held = self.shared.watches.read();
        let before = group.watches.look(number).map_or_else(|| held.look(number), Option::as_ref);
        // What asked first is named, and asked again it is by another mark.
        let first = before.map(|before| before.cause.clone()).filter(|cause| !cause.is_empty());
        let cause = first.or_else(|| cause.map(ToString::to_string)).unwrap_or_default();
        group.last_mark = group.last_mark.max(held.last_mark()) + 1;
        let look = LookRow { mark: group.last_mark, cause };
        group.commit.put(keys::look(number), look.encode_to_vec());
        group.watches.set_look(number, Some(look));
    }

    pub(super) fn stage_look_again(&self, group: &mut Group) {
        let known: Vec<u64> = self.shared.watches.read().known().collect();
        known.into_iter().for_each(|number| self.stage_look(number, None, group));
    }

    pub(super) fn stage_settled(
        &self,
        settled: Vec<(Look, Standing, Option<Alert>)>,
        group: &mut Group,
    ) -> Result<(), StoreError> {
        // Everything is read before anything is staged: a read that fails leaves nothing behind.
        let watches = settled.iter().map(|(look, ..)| self.held_watch(look.watch.0)).collect::<Result<Vec<_>, _>>()?;
        for ((look, standing, alert), watch) in settled.into_iter().zip(watches) {
            let number = look.watch.0;
            let Some(watch) = watch.filter(|_| !group.watches.is_removed(number)) else { continue };
            let held = self.shared.watches.read();
            if let Some(alert) = alert {
                if held.alerts() >= MAX_ALERTS {
                    // What is not told stays to be looked at.
                    continue;
                }
                let id = held.last_alert().max(group.watches.last_alert()) + 1;
                group.commit.put(keys::alert(id), write_alert(&alert).encode_to_vec());
                group.commit.put(keys::last_alert(), id.to_be_bytes().to_vec());
                group.watches.raised(id);
            }
            if watch.standing != standing {
                group.commit.put(keys::watch(number), write_watch(&Watch { standing, ..watch }).encode_to_vec());
                group.watches.stand(number, standing);
            }
            let is_answered = held.look(number).is_some_and(|asked| asked.mark == look.mark);
            if is_answered && group.watches.look(number).is_none() {
                group.commit.remove(&keys::look(number));
                group.watches.set_look(number, None);
            }
        }
        Ok(())
    }

    pub(super) fn stage_acknowledged(&self, id: AlertId, group: &mut Group) -> Result<bool, StoreError> {
        let key = keys::alert(id.0);
        let held = self.shared.engine.get(&key).map_err(|e| StoreError::unreadable(&e))?.is_some();
        if !held || !group.acknowledged.insert(id) {
            return Ok(false);
        }
        group.commit.remove(&key);
        group.watches.acknowledged();
        Ok(true)
    }

    pub(super) fn stage_delivery(&self, id: AlertId, delivered: Delivered, group: &mut Group) -> Result<(), StoreError> {
        match delivered {
            Delivered::Taken => {
                self.stage_acknowledged(id, group)?;
            }
            Delivered::Refused(code) => {
                let key = keys::alert(id.0);
                let row = self.shared.engine.get(&key).map_err(|e| StoreError::unreadable(&e))?;
                if let Some(row) = row.filter(|_| !group.acknowledged.contains(&id)) {
                    let alert = AlertRow::decode(&*row).ok().and_then(read_alert).ok_or_else(|| damaged("an alert"))?;
                    group.commit.put(key, write_alert(&Alert { refused: code.to_owned(), ..alert }).encode_to_vec());
                }
            }
        }
        // Last: where the alert could not be read, it is handed over again.
        group.commit.put(keys::delivered(), id.0.to_be_bytes().to_vec());
        group.watches.delivered(id.0);
        Ok(())
    }

    /// Has the watches looked at that what grew in this group concerns.
    pub(super) fn find_watched(&self, group: &mut Group) -> Result<(), EngineError> {
        if self.shared.watches.read().is_empty() {
            return Ok(());
        }
        // Each watch once, with what concerned it first: however often a seller is named, it is one look.
        let mut found: BTreeMap<u64, SignalRef> = BTreeMap::new();
        for (feed, grown) in &group.grown {
            let Some(tip) = self.tips.get(feed) else { continue };
            for (i, entry) in grown.entries.iter().enumerate() {
                let Ok(entry) = entry else { continue };
                let at = || SignalRef { feed: feed.clone(), seq: grown.first.plus(i) };
                if let Body::Signal { content, .. } = &entry.body {
                    // Nearly all entries are signals that nobody watches for: a probe for each pseudonym, and nothing else.
                    let watches = self.shared.watches.read();
                    for number in pseudonyms(&content.pseudonyms).flat_map(|fingerprint| watches.naming(fingerprint)) {
                        found.entry(number).or_insert_with(at);
                    }
                    continue;
                }
                let about = self.concerned(tip.no, &at(), entry)?;
                let watches = self.shared.watches.read();
                for (fingerprint, cause) in about {
                    for number in watches.naming(fingerprint) {
                        found.entry(number).or_insert_with(|| cause.clone());
                    }
                }
            }
        }
        found.iter().for_each(|(number, cause)| self.stage_look(*number, Some(cause), group));
        Ok(())
    }

    /// The pseudonyms that an entry other than a signal changes something about, each with the signal or marker that names it.
    fn concerned(&self, no: FeedNo, at: &SignalRef, entry: &Entry) -> Result<Vec<(Fingerprint, SignalRef)>, EngineError> {
        let own = |seq: Seq| (no, SignalRef { feed: at.feed.clone(), seq });
        let of_other = |signal: &SignalRef| Some((self.number_of(&signal.feed)?, signal.clone()));
        let named: Vec<(FeedNo, SignalRef)> = match &entry.body {
            Body::Marker(marker) => return Ok(of_subject(&marker.pseudonyms, at)),
            Body::Rekeying(rekeying) => {
                let signal = SignalRef { feed: at.feed.clone(), seq: rekeying.signal };
                return Ok(of_subject(&rekeying.pseudonyms, &signal));
            }
            Body::Retraction(retraction) => vec![own(retraction.signal)],
            Body::Amendment(amendment) => vec![own(amendment.signal)],
            Body::MarkerLift(lift) => vec![own(lift.marker)],
            Body::Erasure(erasure) => erasure.entries.iter().copied().map(own).collect(),
            Body::Opinion(opinion) => of_other(&opinion.signal).into_iter().collect(),
            Body::Dispute(dispute) => dispute.signals.iter().filter_map(of_other).collect(),
            Body::Decision(decision) if decision.signals.is_empty() => self.disputed_by(&decision.dispute)?,
            Body::Decision(decision) => decision.signals.iter().copied().map(own).collect(),
            Body::Signal { .. } | Body::Referral(_) => Vec::new(),
        };
        let mut concerned = Vec::new();
        for (no, name) in named {
            // What stands in the same group is not on disk yet; it asks for a look itself.
            match read_leaf(&self.shared.engine, no, name.seq)?.map(|leaf| leaf.read()) {
                Some(Ok(Entry { body: Body::Signal { content, .. }, .. })) => {
                    concerned.extend(of_subject(&content.pseudonyms, &name));
                    for (_, sets) in self.shared.stored_rekeyings(no, name.seq)? {
                        concerned.extend(of_subject(&sets, &name));
                    }
                }
                Some(Ok(Entry { body: Body::Marker(marker), .. })) => concerned.extend(of_subject(&marker.pseudonyms, &name)),
                Some(Ok(_) | Err(_)) | None => {}
            }
        }
        Ok(concerned)
    }

    fn disputed_by(&self, dispute: &SignalRef) -> Result<Vec<(FeedNo, SignalRef)>, EngineError> {
        let Some(no) = self.number_of(&dispute.feed) else { return Ok(Vec::new()) };
        let read = read_leaf(&self.shared.engine, no, dispute.seq)?.map(|leaf| leaf.read());
        let Some(Ok(Entry { body: Body::Dispute(dispute), .. })) = read else { return Ok(Vec::new()) };
        let signals = dispute.signals.into_iter();
        Ok(signals.filter_map(|signal| Some((self.number_of(&signal.feed)?, signal))).collect())
    }

    fn number_of(&self, feed: &FeedId) -> Option<FeedNo> {
        self.tips.get(feed).map(|tip| tip.no)
    }
}

fn pseudonyms(sets: &[PseudonymSet]) -> impl Iterator<Item = Fingerprint> {
    sets.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
}

fn of_subject(sets: &[PseudonymSet], name: &SignalRef) -> Vec<(Fingerprint, SignalRef)> {
    pseudonyms(sets).map(|fingerprint| (fingerprint, name.clone())).collect()
}
