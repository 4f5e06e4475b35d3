//! Rings: sellers who are linked by strong identifiers that they share. Computed from the index when somebody asks, and kept nowhere.
//!
//! A walk over sellers and identifiers in turn, breadth first, bounded in depth, in sellers and in what it reads and keeps. An identifier that
//! more sellers have than the policy's limit is a *hub* (a forwarding agent, a shared host, a placeholder): it is named and links
//! nobody. Weak identifiers and those of victims link nobody either, and signals count as in a check: live, and of members that
//! take part.
//!
//! Who is one seller is told by what a store is known by: the marketplace accounts, domains and addresses on the web that a signal
//! names; a signal without any is one with those that name the same strong identifiers. An identifier has a pseudonym under each key:
//! it is followed under all of them at once, and sellers are one where they are under any key that both are known under. Keys are
//! those that checks are answered under: under others anybody writes what nobody can compare, and what is left of a key that was
//! destroyed finds nobody. A member that says under two keys that two sellers are one opens no hub: at least as many sellers count as
//! there are under any one key.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::blocking::Turns;
use super::cases::CaseError;
use super::freshness::rests_on;
use super::goods::{GoodsTotal, Measured};
use super::record::{Reader, SignalRecord};
use super::{FreshnessBoard, Pseudonymiser, Signals};
use crate::domain::limits::{
    MAX_RING_DEPTH, MAX_RING_HUBS, MAX_RING_LINKS, MAX_RING_READS, MAX_RING_SELLERS, MAX_RING_SIGNALS,
};
use crate::domain::{
    Audience, Clock, Currency, FeedId, FieldError, Identifier, IdentifierKind, KeyId, MarkerKind, Pseudonym, PseudonymSet,
    Rates, SignalRef, Strength, Thresholds,
};
use crate::membership::Directory;
use crate::store::{FreshnessRecord, Position, Store, StoreError};

/// Signals of one seller that are read before an identifier counts as a hub unread: members flag the same store several times.
const SIGNALS_A_SELLER: usize = 4;

/// Finds rings. Clones share all but the bounds.
#[derive(Clone)]
pub struct Rings {
    /// What is walked over.
    pub store: Arc<Store>,
    /// Who takes part, and the policy.
    pub directory: Arc<Directory>,
    /// Which feeds may be read.
    pub freshness: Arc<FreshnessBoard>,
    /// What replaces the identifiers that are asked about.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Reads the signal that is asked about.
    pub signals: Arc<Signals>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who walks in their turn; searches for leads, too.
    pub searches: Turns,
    /// What a walk takes at most.
    pub bounds: WalkBounds,
}

/// What a walk takes at most, whatever members have put in its way. Where one is reached the ring is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkBounds {
    /// Signals in the ring.
    pub signals: usize,
    /// Entries read.
    pub reads: usize,
    /// Links in the ring.
    pub links: usize,
    /// Hubs that are named.
    pub hubs: usize,
}

impl Default for WalkBounds {
    fn default() -> Self {
        Self { signals: MAX_RING_SIGNALS, reads: MAX_RING_READS, links: MAX_RING_LINKS, hubs: MAX_RING_HUBS }
    }
}

/// Where a walk begins, how far it goes, and what its goods are measured by.
#[derive(Debug, Clone)]
pub struct RingQuery {
    /// Where.
    pub start: RingStart,
    /// How far.
    pub reach: Reach,
    /// What the goods are summed in; `None` for the base of the policy's rates.
    pub currency: Option<Currency>,
    /// What the goods are measured by.
    pub thresholds: Thresholds,
}

/// How far a walk goes.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Links from the start, 1 to 8.
    pub depth: usize,
    /// Sellers at most, 1 to 1,000.
    pub sellers: usize,
    /// Signals of this audience only: what is said to it of the ring must not tell of others. `None` for all that this member reads.
    pub audience: Option<Audience>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { depth: 4, sellers: 100, audience: None }
    }
}

impl Reach {
    /// # Errors
    /// The first bound that is out of bounds.
    pub(super) fn validate(&self) -> Result<(), FieldError> {
        if !(1..=MAX_RING_DEPTH).contains(&self.depth) {
            return Err(FieldError::new("RING_DEPTH_INVALID", "depth", "give 1 to 8 links"));
        }
        if !(1..=MAX_RING_SELLERS).contains(&self.sellers) {
            return Err(FieldError::new("RING_SIZE_INVALID", "max_sellers", "give 1 to 1000 sellers"));
        }
        Ok(())
    }
}

/// Where a walk begins.
#[derive(Debug, Clone)]
pub enum RingStart {
    /// At the seller of a signal.
    Signal(SignalRef),
    /// At 1 to 32 identifiers of one seller.
    Identifiers(Vec<Identifier>),
}

/// Sellers who are linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The sellers, those nearest to the start first.
    pub sellers: Vec<RingSeller>,
    /// Which of them share an identifier of which kind, the smaller place first.
    pub links: BTreeSet<(usize, usize, IdentifierKind)>,
    /// Identifiers that too many sellers have.
    pub hubs: Vec<Hub>,
    /// There are more sellers, or links beyond the depth; or more was in the way than a walk takes.
    pub cut: bool,
    /// What the goods of its sellers come to.
    pub goods: GoodsTotal,
    /// How they measure up to each of the thresholds that were given.
    pub thresholds: Vec<Measured>,
}

/// A seller of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingSeller {
    /// Links from the start.
    pub depth: usize,
    /// By which seller it was reached, and the kind of identifier that they share; `None` at the start.
    pub via: Option<(usize, IdentifierKind)>,
    /// What members say of it.
    pub signals: Vec<SignalRecord>,
}

/// An identifier that too many sellers have to link them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// Its kind.
    pub kind: IdentifierKind,
    /// A seller that has it; `None` where it was asked about.
    pub seller: Option<usize>,
    /// Sellers that have it, or signals that name it where those were too many to read: at least so many.
    pub count: usize,
}

impl Ring {
    /// All that members say of its sellers.
    pub(super) fn signals(&self) -> impl Iterator<Item = &SignalRecord> {
        self.sellers.iter().flat_map(|seller| &seller.signals)
    }

    /// The ring around the seller of `record`.
    pub(super) fn around(
        record: SignalRecord,
        reach: &Reach,
        store: &Store,
        reader: &Reader<'_>,
        freshness: &FreshnessRecord,
        bounds: WalkBounds,
    ) -> Result<Self, StoreError> {
        let mut walk = Walk::new(store, reader, freshness, reach, bounds);
        walk.meet(record, None, 0);
        walk.run()
    }

    /// With what its goods come to, and how they measure up.
    pub(super) fn valued(mut self, currency: Currency, thresholds: &Thresholds, rates: &Rates) -> Self {
        let records: Vec<&SignalRecord> = self.signals().collect();
        let goods = GoodsTotal::of(&records, rates, currency);
        let measured = thresholds.rules.iter().map(|rule| Measured::of(&records, rule, rates)).collect();
        (self.goods, self.thresholds) = (goods, measured);
        self
    }
}

impl Rings {
    /// The ring around a seller.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], or why no pseudonyms could be made, or the store's.
    pub async fn ring(&self, query: RingQuery) -> Result<Ring, CaseError> {
        query.reach.validate()?;
        query.thresholds.validate()?;
        let (start, record) = match query.start {
            RingStart::Signal(signal) => (Vec::new(), Some(self.signals.get(signal).await?)),
            RingStart::Identifiers(identifiers) => {
                let (kinds, forms) = self.pseudonymiser.seller(&identifiers)?;
                let sets = self.pseudonymiser.to_check(vec![forms]).await?.into_iter().flatten().collect::<Vec<_>>();
                (under_all_keys(&kinds, sets.iter()).collect(), None)
            }
        };
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let (freshness, bounds) = (self.freshness.fresh(), self.bounds);
        let walk = move || {
            let reader = Reader::new(&store, &directory, &*clock);
            let rates = &reader.roster().policy.rates;
            let currency = query.currency.unwrap_or(rates.base);
            let mut walk = Walk::new(&store, &reader, &freshness, &query.reach, bounds);
            record.into_iter().for_each(|record| walk.meet(record, None, 0));
            walk.queue.extend(start.into_iter().map(|(kind, pseudonyms)| Step { from: None, kind, pseudonyms, depth: 0 }));
            Ok::<_, StoreError>(walk.run()?.valued(currency, &query.thresholds, rates))
        };
        Ok(self.searches.run(walk).await??)
    }
}

/// An identifier that is to be looked at.
struct Step {
    from: Option<usize>,
    kind: IdentifierKind,
    pseudonyms: Vec<UnderKey>,
    depth: usize,
}

/// A pseudonym with its key: the same bytes under another key are another identifier.
type UnderKey = (KeyId, Pseudonym);

/// What a seller is told apart by under a key.
type KnownBy = (KeyId, Vec<Pseudonym>);

/// Numbers of sellers, by what they are known by under each key.
#[derive(Default)]
struct Sellers(HashMap<KnownBy, usize>);

impl Sellers {
    fn find(&self, known_by: &[KnownBy]) -> Option<usize> {
        known_by.iter().find_map(|known_by| self.0.get(known_by).copied())
    }

    /// What leads to another seller already goes on to.
    fn note(&mut self, known_by: Vec<KnownBy>, number: usize) {
        for known_by in known_by {
            self.0.entry(known_by).or_insert(number);
        }
    }

    /// How many there are under that key under which there are most.
    fn most_under_one_key(&self) -> usize {
        let mut under: BTreeMap<&KeyId, usize> = BTreeMap::new();
        self.0.keys().for_each(|(key, _)| *under.entry(key).or_default() += 1);
        under.into_values().max().unwrap_or(0)
    }
}

struct Walk<'a> {
    store: &'a Store,
    reader: &'a Reader<'a>,
    freshness: &'a FreshnessRecord,
    /// Under which checks are answered.
    keys: BTreeSet<&'a KeyId>,
    ring: Ring,
    /// Place of each seller in the ring.
    places: Sellers,
    seen: HashSet<UnderKey>,
    read: HashSet<SignalRef>,
    queue: VecDeque<Step>,
    reach: &'a Reach,
    /// Of `reads` what is left.
    bounds: WalkBounds,
}

impl<'a> Walk<'a> {
    fn new(
        store: &'a Store,
        reader: &'a Reader<'a>,
        freshness: &'a FreshnessRecord,
        reach: &'a Reach,
        bounds: WalkBounds,
    ) -> Self {
        let goods = GoodsTotal::nothing(reader.roster().policy.rates.base);
        let (sellers, hubs, thresholds) = (Vec::new(), Vec::new(), Vec::new());
        let ring = Ring { sellers, links: BTreeSet::new(), hubs, cut: false, goods, thresholds };
        let (places, seen, read, queue) = (Sellers::default(), HashSet::new(), HashSet::new(), VecDeque::new());
        let in_use = reader.roster().keys.iter().filter(|key| key.state.is_in_use());
        let keys = in_use.map(|key| &key.id).collect();
        Self { store, reader, freshness, keys, ring, places, seen, read, queue, reach, bounds }
    }

    fn run(mut self) -> Result<Ring, StoreError> {
        while let Some(mut step) = self.queue.pop_front() {
            step.pseudonyms.retain(|pseudonym| self.seen.insert(pseudonym.clone()));
            if !step.pseudonyms.is_empty() && self.links(&step)? {
                self.follow(&step)?;
            }
        }
        Ok(self.ring)
    }

    /// Whether the identifier may link: strong, and of no victim.
    fn links(&self, step: &Step) -> Result<bool, StoreError> {
        if self.reader.roster().strength(step.kind) == Strength::Weak {
            return Ok(false);
        }
        for (key, pseudonym) in step.pseudonyms.iter().filter(|(_, pseudonym)| self.store.is_marked(pseudonym)) {
            let markers = self.reader.markers_of(pseudonym, self.freshness)?;
            let mut victims = markers.iter().filter(|standing| standing.marker.kind == MarkerKind::Victim);
            if victims.any(|standing| standing.marker.subject().names(key, step.kind, pseudonym)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn follow(&mut self, step: &Step) -> Result<(), StoreError> {
        let limit = usize::from(self.reader.roster().policy.hub_sellers);
        let (named, skipped) = self.named(step, limit * SIGNALS_A_SELLER);
        let count = named.len().saturating_add(skipped);
        if count > limit * SIGNALS_A_SELLER {
            self.name_hub(step, count);
            return Ok(());
        }
        let Some(reads) = self.bounds.reads.checked_sub(named.len()) else {
            self.ring.cut = true;
            return Ok(());
        };
        self.bounds.reads = reads;
        let mut records = Vec::with_capacity(count);
        for signal in named {
            let record = self.reader.signal(signal)?;
            records.extend(record.filter(|record| self.counts(record) && names(record, step)));
        }
        // What is known under most keys first: it tells that those are one who are known under one of them each.
        records.sort_by_key(|record| Reverse(record.content.pseudonyms.len() + record.rekeyed.len()));
        let sellers = self.count_sellers(&records);
        if sellers > limit {
            self.name_hub(step, sellers);
            return Ok(());
        }
        for record in records {
            let depth = if step.from.is_none() { 0 } else { step.depth + 1 };
            self.meet(record, step.from.map(|from| (from, step.kind)), depth);
        }
        Ok(())
    }

    fn name_hub(&mut self, step: &Step, count: usize) {
        if self.ring.hubs.len() == self.bounds.hubs {
            self.ring.cut = true;
            return;
        }
        self.ring.hubs.push(Hub { kind: step.kind, seller: step.from, count });
    }

    /// The signals that the index names, each once under however many keys, and how many it names beyond.
    fn named(&self, step: &Step, each: usize) -> (BTreeSet<SignalRef>, usize) {
        let (mut named, mut skipped) = (BTreeSet::new(), 0);
        for (_, pseudonym) in &step.pseudonyms {
            let found: Vec<_> =
                self.store.newest_positions(pseudonym, each).into_iter().filter(|f| self.reads(&f.feed)).collect();
            // The same signals are left out under each key.
            let beyond: u64 = found.iter().map(|found| found.skipped).sum();
            skipped = skipped.max(usize::try_from(beyond).unwrap_or(usize::MAX));
            for found in found {
                let name = |position: Position| SignalRef { feed: found.feed.clone(), seq: position.seq() };
                named.extend(found.newest.iter().copied().map(name));
            }
        }
        (named, skipped)
    }

    fn count_sellers(&self, records: &[SignalRecord]) -> usize {
        let (mut sellers, mut count) = (Sellers::default(), 0);
        for record in records {
            let known_by = self.known_by(record);
            let number = sellers.find(&known_by).unwrap_or_else(|| {
                count += 1;
                count
            });
            sellers.note(known_by, number);
        }
        // A member that gives a signal the pseudonyms of two sellers, one under each key, makes two of them one; not under one key.
        count.max(sellers.most_under_one_key())
    }

    fn reads(&self, feed: &FeedId) -> bool {
        rests_on(self.freshness, feed) && self.reach.audience.as_ref().is_none_or(|audience| *audience == feed.audience)
    }

    fn counts(&self, record: &SignalRecord) -> bool {
        record.status.is_live() && self.reader.roster().is_active(&record.signal.feed.member)
    }

    /// Takes a signal into the ring, and what it names into the queue.
    fn meet(&mut self, record: SignalRecord, via: Option<(usize, IdentifierKind)>, depth: usize) {
        let is_new = !self.read.contains(&record.signal);
        if is_new && self.read.len() == self.bounds.signals {
            self.ring.cut = true;
            return;
        }
        let known_by = self.known_by(&record);
        let place = match self.places.find(&known_by) {
            Some(place) => place,
            None if depth > self.reach.depth || self.ring.sellers.len() == self.reach.sellers => {
                self.ring.cut = true;
                return;
            }
            None => {
                let place = self.ring.sellers.len();
                self.ring.sellers.push(RingSeller { depth, via, signals: Vec::new() });
                place
            }
        };
        self.places.note(known_by, place);
        if let Some((from, kind)) = via
            && from != place
        {
            let link = (from.min(place), from.max(place), kind);
            if self.ring.links.len() < self.bounds.links || self.ring.links.contains(&link) {
                self.ring.links.insert(link);
            } else {
                self.ring.cut = true;
            }
        }
        if !is_new {
            return;
        }
        self.read.insert(record.signal.clone());
        let depth = self.ring.sellers[place].depth;
        let named = under_all_keys(&record.content.kinds, self.sets(&record));
        let steps: Vec<Step> = named.map(|(kind, pseudonyms)| Step { from: Some(place), kind, pseudonyms, depth }).collect();
        self.queue.extend(steps);
        self.ring.sellers[place].signals.push(record);
    }

    /// The pseudonyms of a signal's seller under each key that checks are answered under.
    fn sets<'r>(&self, record: &'r SignalRecord) -> impl Iterator<Item = &'r PseudonymSet> + Clone {
        record.content.pseudonyms.iter().chain(&record.rekeyed).filter(|set| self.keys.contains(&set.key))
    }

    fn known_by(&self, record: &SignalRecord) -> Vec<KnownBy> {
        self.sets(record).map(|set| (set.key.clone(), self.known_under(record, set))).collect()
    }

    fn known_under(&self, record: &SignalRecord, set: &PseudonymSet) -> Vec<Pseudonym> {
        let named = || record.content.kinds.iter().copied().zip(set.pseudonyms.iter().copied());
        let is_place = |kind| matches!(kind, IdentifierKind::MarketplaceAccount | IdentifierKind::Domain | IdentifierKind::Url);
        let mut known: Vec<Pseudonym> = named().filter(|(kind, _)| is_place(*kind)).map(|(_, p)| p).collect();
        if known.is_empty() {
            let strong = |kind| self.reader.roster().strength(kind) == Strength::Strong;
            known = named().filter(|(kind, _)| strong(*kind)).map(|(_, p)| p).collect();
        }
        known.sort_unstable();
        known.dedup();
        known
    }
}

/// Each identifier with its pseudonym in each of the sets.
fn under_all_keys<'a>(
    kinds: &'a [IdentifierKind],
    sets: impl Iterator<Item = &'a PseudonymSet> + Clone,
) -> impl Iterator<Item = (IdentifierKind, Vec<UnderKey>)> {
    let under = move |place: usize| move |set: &PseudonymSet| Some((set.key.clone(), *set.pseudonyms.get(place)?));
    let pseudonyms = move |place| sets.clone().filter_map(under(place)).collect();
    kinds.iter().copied().enumerate().map(move |(place, kind)| (kind, pseudonyms(place)))
}

/// Whether the signal names a whole pseudonym of the step, as an identifier of the kind.
fn names(record: &SignalRecord, step: &Step) -> bool {
    let subjects = record.subjects();
    step.pseudonyms.iter().any(|(key, pseudonym)| subjects.iter().any(|subject| subject.names(key, step.kind, pseudonym)))
}
