//! The writer's part of adding to this member's own feeds: what is there already is seen here, where everything stands in one order.

use std::collections::HashSet;
use std::sync::Arc;

use super::group::Group;
use super::writer::Writer;
use super::{Append, Appended, StoreError};
use crate::domain::{Audience, FeedId, KeyId, Seq};
use crate::feed::{Body, Entry, EntryBytes};

impl Writer {
    pub(super) fn own_feed(&self, audience: &Audience) -> FeedId {
        FeedId { member: self.shared.member.clone(), audience: audience.clone() }
    }

    pub(super) fn stage_items(&mut self, items: Vec<Append>, group: &mut Group) -> Vec<Result<Appended, StoreError>> {
        let mut target: Option<(FeedId, Result<(), StoreError>)> = None;
        let stage = |item: Append| {
            let (feed, open) = match target.take() {
                Some(same) if same.0.audience == *item.audience() => target.insert(same),
                _ => {
                    let feed = self.own_feed(item.audience());
                    let open = self.may_append(&feed, group);
                    target.insert((feed, open))
                }
            };
            open.clone().and_then(|()| self.stage_item(feed, item, group))
        };
        items.into_iter().map(stage).collect()
    }

    fn may_append(&self, feed: &FeedId, group: &Group) -> Result<(), StoreError> {
        if group.is_behind(feed) || self.shared.state.read().behind.contains_key(feed) {
            return Err(StoreError::OwnFeedBehind);
        }
        if self.shared.is_confirmed(feed) { Ok(()) } else { Err(StoreError::OwnFeedUnconfirmed) }
    }

    fn stage_item(&mut self, feed: &FeedId, item: Append, group: &mut Group) -> Result<Appended, StoreError> {
        match item {
            Append::Signal { tag, known_as, entry, bytes, .. } => {
                let tags = || known_as.iter().chain([&tag]);
                for tag in tags() {
                    let staged = group.tags.get(feed).and_then(|tags| tags.get(tag)).cloned();
                    let held = if staged.is_some() { staged } else { self.shared.find_submission(feed, tag)? };
                    if let Some((seq, entry)) = held {
                        return Ok(entry.map_or(Appended::Erased(seq), |entry| Appended::Known(seq, entry)));
                    }
                }
                let seq = self.push(feed, bytes, Ok(entry.clone()), group)?;
                let staged = match group.tags.get_mut(feed) {
                    Some(staged) => staged,
                    None => group.tags.entry(feed.clone()).or_default(),
                };
                staged.extend(tags().map(|tag| (*tag, (seq, Some(entry.clone())))));
                Ok(Appended::Created(seq))
            }
            Append::Retraction { signal, entry, bytes, .. } => {
                if !self.is_signal(feed, signal)? {
                    return Err(StoreError::NoSuchSignal);
                }
                let withdrawn = self.shared.state.read().feed(feed).is_some_and(|f| f.view.is_withdrawn(signal));
                if withdrawn || !group.withdrawn.insert((feed.clone(), signal)) {
                    return Ok(Appended::Withdrawn);
                }
                self.push(feed, bytes, Ok(entry), group).map(Appended::Created)
            }
            Append::Erasure { entries, entry, bytes, .. } => {
                if entries.iter().all(|seq| self.is_gone(feed, *seq, group)) || self.leaves_rekeyings(feed, &entries, group) {
                    return Ok(Appended::Gone);
                }
                group.erased.entry(feed.clone()).or_default().extend(entries);
                self.push(feed, bytes, Ok(entry), group).map(Appended::Created)
            }
            Append::Rekeying { signal, entry, bytes, .. } => self.stage_rekeying(feed, signal, entry, bytes, group),
            Append::Note { entry, bytes, .. } => self.push(feed, bytes, Ok(entry), group).map(Appended::Created),
        }
    }

    fn is_signal(&self, feed: &FeedId, seq: Seq) -> Result<bool, StoreError> {
        let leaf = self.shared.read(feed, seq)?;
        Ok(leaf.is_some_and(|leaf| leaf.read().is_ok_and(|entry| matches!(entry.body, Body::Signal { .. }))))
    }

    /// In order with all else that is added, so that two who send the same at once add one.
    fn stage_rekeying(
        &mut self,
        feed: &FeedId,
        signal: Seq,
        entry: Arc<Entry>,
        bytes: EntryBytes,
        group: &mut Group,
    ) -> Result<Appended, StoreError> {
        let at = (feed.clone(), signal);
        let withdrawn = self.shared.state.read().feed(feed).is_some_and(|f| f.view.is_withdrawn(signal));
        if withdrawn || group.withdrawn.contains(&at) || self.is_gone(feed, signal, group) {
            return Ok(Appended::Unneeded);
        }
        let Body::Rekeying(rekeying) = &entry.body else { return Err(StoreError::NoSuchSignal) };
        let known = self.shared.keyed(feed, signal)?.ok_or(StoreError::NoSuchSignal)?;
        let held = known.content.pseudonyms.iter().chain(known.rekeyings.iter().flat_map(|(_, sets)| sets));
        let mut held: HashSet<KeyId> = held.map(|set| set.key.clone()).collect();
        held.extend(group.rekeyed.get(&at).into_iter().flatten().cloned());
        if rekeying.pseudonyms.iter().all(|set| held.contains(&set.key)) {
            return Ok(Appended::Unneeded);
        }
        if !rekeying.fits(&known.content) {
            return Err(StoreError::NoSuchSignal);
        }
        group.rekeyed.entry(at).or_default().extend(rekeying.pseudonyms.iter().map(|set| set.key.clone()));
        self.push(feed, bytes, Ok(entry), group).map(Appended::Created)
    }

    /// Whether an erasure names the entry, or will once the group is durable.
    fn is_gone(&self, feed: &FeedId, seq: Seq, group: &Group) -> bool {
        self.shared.is_erased(feed, seq) || group.erased.get(feed).is_some_and(|erased| erased.contains(&seq))
    }

    /// Whether pseudonyms of what is erased would stay, because a signal was given them after it was looked at.
    fn leaves_rekeyings(&self, feed: &FeedId, entries: &[Seq], group: &Group) -> bool {
        let rekeyings = self.shared.rekeyings(feed, entries);
        let staged = |signal: &Seq| group.rekeyed.contains_key(&(feed.clone(), *signal));
        rekeyings.iter().any(|at| !entries.contains(at) && !self.is_gone(feed, *at, group))
            || (!group.rekeyed.is_empty() && entries.iter().any(staged))
    }
}
