//! Looking for rings whose goods are worth a lead.

use std::collections::BTreeSet;

use super::{Leads, amount, leads_on};
use crate::domain::{FeedId, FieldError, MemberId, Region, Seq, SignalRef, Thresholds};
use crate::feed::{Body, Entry, Leaf};
use crate::membership::Directory;
use crate::service::cases::CaseError;
use crate::service::freshness::rests_on;
use crate::service::goods::{GoodsTotal, Measured};
use crate::service::record::{Reader, SignalRecord};
use crate::service::rings::{Reach, Ring, WalkBounds};
use crate::store::{FreshnessRecord, Store, StoreError};

/// Entries looked at for one page of a search: a tenth of a second where nothing is found.
const MAX_LOOKED_AT: usize = 16_384;
/// Entries read at once.
const RUN: usize = 1_024;
/// Rings walked for one page of a search, each over a thousand sellers at the most.
const MAX_WALKS: usize = 32;

/// A ring that meets a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLead {
    /// A signal of it, by which it is opened.
    pub signal: SignalRef,
    /// Sellers.
    pub sellers: usize,
    /// Signals about them.
    pub signals: usize,
    /// Who stated these.
    pub members: BTreeSet<MemberId>,
    /// Where the sellers were seen.
    pub regions: BTreeSet<Region>,
    /// There are more sellers.
    pub cut: bool,
    /// What their goods come to.
    pub goods: GoodsTotal,
    /// How they measure up.
    pub thresholds: Vec<Measured>,
    /// Leads that name one of these signals already, at most 64.
    pub leads: BTreeSet<SignalRef>,
}

/// Some of what a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPage {
    /// In the order of their signals.
    pub found: Vec<FoundLead>,
    /// From which entry the search goes on; `None` at the end.
    pub next: Option<SignalRef>,
}

impl Leads {
    /// Looks for rings that meet a threshold, from the entry `from` on. A page may be short, or even empty, while more follows. It looks from signals that state
    /// an amount. A ring of which `reach` leaves a part out is told of in parts, as they are seen from such signals.
    ///
    /// # Errors
    /// A [`FieldError`], or the store's.
    pub async fn find(&self, from: Option<SignalRef>, thresholds: Thresholds, reach: Reach) -> Result<FoundPage, CaseError> {
        reach.validate()?;
        thresholds.validate()?;
        if thresholds.rules.is_empty() {
            return Err(FieldError::new("THRESHOLD_COUNT", "thresholds", "give at least one rule to measure by").into());
        }
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let (freshness, bounds) = (self.rings.freshness.fresh(), self.rings.bounds);
        let search = move || {
            let reader = Reader::new(&store, &directory, &*clock);
            let roster = reader.roster();
            let feeds = roster.readable_feeds(directory.member()).into_iter();
            let feeds = feeds.filter(|feed| roster.is_active(&feed.member) && rests_on(&freshness, feed));
            let (seen, found) = (BTreeSet::new(), Vec::new());
            let mut search = Search {
                store: &store,
                directory: &directory,
                reader: &reader,
                freshness: &freshness,
                reach: &reach,
                thresholds: &thresholds,
                bounds,
                seen,
                looked_at: 0,
                walks: 0,
                found,
            };
            for feed in feeds.skip_while(|feed| from.as_ref().is_some_and(|from| *feed < from.feed)) {
                let begin = from.as_ref().filter(|from| from.feed == feed).map_or(Seq::ZERO, |from| from.seq);
                if let Some(seq) = search.look_through(&feed, begin)? {
                    return Ok(FoundPage { found: search.found, next: Some(SignalRef { feed, seq }) });
                }
            }
            Ok(FoundPage { found: search.found, next: None })
        };
        self.rings.searches.run(search).await?
    }
}

/// A search for rings that meet a threshold: what it looks with, and what it has come to.
struct Search<'a> {
    store: &'a Store,
    directory: &'a Directory,
    reader: &'a Reader<'a>,
    freshness: &'a FreshnessRecord,
    reach: &'a Reach,
    thresholds: &'a Thresholds,
    bounds: WalkBounds,
    /// Signals of rings that were walked.
    seen: BTreeSet<SignalRef>,
    looked_at: usize,
    walks: usize,
    found: Vec<FoundLead>,
}

impl Search<'_> {
    /// Looks at the entries of `feed` from `at` on; gives where to go on where the page is full.
    fn look_through(&mut self, feed: &FeedId, mut at: Seq) -> Result<Option<Seq>, StoreError> {
        loop {
            if self.looked_at >= MAX_LOOKED_AT || self.walks >= MAX_WALKS {
                return Ok(Some(at));
            }
            let leaves = self.store.run_of(feed, at, RUN)?;
            if leaves.is_empty() {
                return Ok(None);
            }
            for leaf in leaves {
                self.look_at(SignalRef { feed: feed.clone(), seq: at }, &leaf)?;
                at = at.plus(1);
                if self.walks >= MAX_WALKS {
                    break;
                }
            }
        }
    }

    /// Walks the ring around a signal that may be worth something, unless it was walked before.
    fn look_at(&mut self, signal: SignalRef, leaf: &Leaf) -> Result<(), StoreError> {
        self.looked_at += 1;
        if self.seen.contains(&signal) || !may_be_worth_something(self.store, &signal, leaf) {
            return Ok(());
        }
        let record = self.reader.record_of(signal.clone(), leaf)?.filter(|record| record.status.is_live());
        let Some(record) = record else { return Ok(()) };
        let ring = self.walk(record)?;
        if !ring.cut {
            self.seen.extend(ring.signals().map(|record| record.signal.clone()));
        }
        let rates = &self.reader.roster().policy.rates;
        let ring = ring.valued(rates.base, self.thresholds, rates);
        if ring.thresholds.iter().any(|measured| measured.met) && self.is_told_here(&ring, &signal)? {
            let leads = leads_on(self.store, self.directory, ring.signals().map(|record| &record.signal), None);
            self.found.push(FoundLead::of(signal, &ring, leads));
        }
        Ok(())
    }

    /// A ring that is known whole is told of at the first of its signals at which a walk begins, unless that walk does not know it
    /// whole. Of a ring that is cut every walk knows another part.
    fn is_told_here(&mut self, ring: &Ring, signal: &SignalRef) -> Result<bool, StoreError> {
        let begins = |record: &&SignalRecord| amount(record).is_some() || self.store.speaks_of(&record.signal);
        match ring.signals().filter(begins).min_by_key(|record| &record.signal) {
            Some(first) if !ring.cut && first.signal != *signal => Ok(self.walk(first.clone())?.cut),
            _ => Ok(true),
        }
    }

    fn walk(&mut self, record: SignalRecord) -> Result<Ring, StoreError> {
        self.walks += 1;
        Ring::around(record, self.reach, self.store, self.reader, self.freshness, self.bounds)
    }
}

/// Whether the entry is a signal that states an amount, or may have come to do so.
fn may_be_worth_something(store: &Store, signal: &SignalRef, leaf: &Leaf) -> bool {
    let Ok(Entry { body: Body::Signal { content, .. }, .. }) = leaf.read() else { return false };
    content.statement.goods_value.is_some_and(|value| value.amount.is_some()) || store.speaks_of(signal)
}

impl FoundLead {
    fn of(signal: SignalRef, ring: &Ring, leads: BTreeSet<SignalRef>) -> Self {
        let region = |record: &SignalRecord| record.statement().sighting.as_ref()?.region.clone();
        Self {
            signal,
            sellers: ring.sellers.len(),
            signals: ring.signals().count(),
            members: ring.signals().map(|record| record.signal.feed.member.clone()).collect(),
            regions: ring.signals().filter_map(region).collect(),
            cut: ring.cut,
            goods: ring.goods.clone(),
            thresholds: ring.thresholds.clone(),
            leads,
        }
    }
}
