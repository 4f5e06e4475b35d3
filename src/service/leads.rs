//! Leads: rings whose goods are worth a prosecutor's time, and what became of them.
//!
//! A lead is opened in the feed of the audience that its signals were shared with, from what that audience knows alone: what is said to
//! it must not tell that two sellers belong together for a reason that only a group may know. From then on every member of the
//! audience sees who follows it and how far it has come; only the member that opened it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::civil::Date;

use super::blocking::off_thread;
use super::cases::CaseError;
use super::freshness::rests_on;
use super::goods::{GoodsTotal, Measured};
use super::record::{Reader, SignalRecord};
use super::rings::{Reach, Ring, RingQuery, RingStart};
use super::{Rings, Signals};
use crate::domain::limits::{MAX_BUNDLE_ENTRIES, MAX_CASE_SIGNALS, MAX_PAGE};
use crate::domain::{
    Audience, Clock, FeedId, FieldError, GoodsValue, LeadId, MemberId, Referral, ReferralStage, Region, Sentence, Seq,
    SignalRef, SignalStatus, Thresholds, Timestamp,
};
use crate::feed::{Body, Entry, EntryBytes, Lead, Leaf, write_proof};
use crate::membership::Directory;
use crate::store::{FreshnessRecord, Store, StoreError};

/// Entries looked at for one page of a search: a tenth of a second where nothing is found.
const MAX_LOOKED_AT: usize = 16_384;
/// Entries read at once.
const RUN: usize = 1_024;
/// Rings walked for one page of a search, each over a thousand sellers at the most.
const MAX_WALKS: usize = 32;

/// Finds, opens and follows leads.
pub struct Leads {
    /// Where everything is.
    pub store: Arc<Store>,
    /// Who may read what.
    pub directory: Arc<Directory>,
    /// Makes entries.
    pub signals: Arc<Signals>,
    /// Finds who belongs together.
    pub rings: Arc<Rings>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Held from when it is seen that something may be recorded until it is: two at once would both see it.
    pub recording: tokio::sync::Mutex<()>,
}

/// A lead as this node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadRecord {
    /// What its member says of it.
    pub lead: Lead,
    /// What each signal that it rests on is now; `None` where this node cannot read it.
    pub signals: Vec<(SignalRef, Option<SignalStatus>)>,
    /// Other leads that rest on one of these signals.
    pub overlaps: BTreeSet<SignalRef>,
}

/// Some leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadPage {
    /// In the order of their names.
    pub leads: Vec<LeadRecord>,
    /// After which lead the next page starts; `None` at the end.
    pub next: Option<SignalRef>,
}

/// Which leads are listed.
#[derive(Debug, Clone, Default)]
pub struct LeadFilter {
    /// Only those with which somebody has to do something yet.
    pub open_only: bool,
    /// Only those of this member.
    pub own_only: bool,
    /// Only those there, or in a subdivision of it.
    pub region: Option<Region>,
}

/// How many leads came how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Funnel {
    /// All of them.
    pub identified: usize,
    /// Handed to an authority.
    pub referred: usize,
    /// Taken up by one.
    pub accepted: usize,
    /// Somebody was arrested.
    pub arrested: usize,
    /// Somebody was convicted, and not acquitted since.
    pub convicted: usize,
    /// Somebody has to do something yet.
    pub open: usize,
}

/// The funnel, whole and by region.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Funnels {
    /// All leads.
    pub overall: Funnel,
    /// By region; `None` for those that name none.
    pub by_region: BTreeMap<Option<Region>, Funnel>,
}

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
    /// Leads that rest on one of these signals already.
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

/// What became of a lead.
#[derive(Debug, Clone)]
pub struct Progress {
    /// How far it came.
    pub stage: ReferralStage,
    /// Where.
    pub region: Option<Region>,
    /// To whom.
    pub authority: Option<String>,
    /// Of a conviction.
    pub sentence: Option<Sentence>,
    /// When; `None` for today.
    pub happened_on: Option<Date>,
}

/// All that an authority needs to verify a lead by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The lead.
    pub lead: SignalRef,
    /// The roster in force, as signed note.
    pub roster: Bytes,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whose node made it.
    pub made_by: MemberId,
    /// What the lead rests on, and all that was said of it: each entry with its proof of inclusion.
    pub entries: Vec<(SignalRef, EntryBytes, String)>,
    /// There is more than fits.
    pub cut: bool,
}

impl Leads {
    /// Looks for rings that meet a threshold, from the entry `from` on. A page may be short, or even empty, while more follows.
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
        let freshness = self.rings.freshness.fresh();
        let search = move || {
            let reader = Reader::new(&store, &directory, &*clock);
            let roster = reader.roster();
            let feeds = roster.readable_feeds(directory.member()).into_iter();
            let feeds = feeds.filter(|feed| roster.is_active(&feed.member) && rests_on(&freshness, feed));
            let known = named_by_leads(&readable_leads(&store, &directory)?);
            let (store, reader, freshness, reach, thresholds) = (&*store, &reader, &freshness, &reach, &thresholds);
            let (seen, found) = (BTreeSet::new(), Vec::new());
            let mut search = Search { store, reader, freshness, reach, thresholds, known, seen, looked_at: 0, walks: 0, found };
            for feed in feeds.skip_while(|feed| from.as_ref().is_some_and(|from| *feed < from.feed)) {
                let begin = from.as_ref().filter(|from| from.feed == feed).map_or(Seq::ZERO, |from| from.seq);
                if let Some(seq) = search.look_through(&feed, begin)? {
                    return Ok(FoundPage { found: search.found, next: Some(SignalRef { feed, seq }) });
                }
            }
            Ok(FoundPage { found: search.found, next: None })
        };
        off_thread(search).await?
    }

    /// Opens a lead on the ring around a signal's seller, as far as the signal's audience knows it. Durable when this returns. Where an
    /// own open lead rests on the signal already, that is given, and `false`.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], [`CaseError::Transition`] where the signal counts no more; or the store's.
    pub async fn open(&self, signal: SignalRef, reach: Reach, region: Option<Region>) -> Result<(LeadRecord, bool), CaseError> {
        let audience = signal.feed.audience.clone();
        self.directory.check_audience(&audience).map_err(|_| CaseError::NotFound("signal"))?;
        if !self.signals.get(signal.clone()).await?.status.is_live() {
            return Err(CaseError::transition(
                "SIGNAL_NOT_LIVE",
                "this signal counts for nothing; open the lead at another one",
            ));
        }
        let _recording = self.recording.lock().await;
        let own = self.directory.member();
        let rests_on_it =
            |lead: &Lead| lead.stage().is_open() && lead.signals().contains(&signal) && lead.feed().member == *own;
        let leads = self.readable().await?;
        if let Some(open) = leads.iter().find(|lead| rests_on_it(lead)) {
            return Ok((self.record(open.clone(), &leads).await?, false));
        }
        let reach = Reach { audience: Some(audience.clone()), ..reach };
        let start = RingStart::Signal(signal);
        let query = RingQuery { start, reach, currency: None, thresholds: Thresholds::default() };
        let ring = self.rings.ring(query).await?;
        // What states an amount first: an entry has no room for all signals of a large ring.
        let (worth, other): (Vec<&SignalRecord>, Vec<&SignalRecord>) =
            ring.signals().partition(|record| amount(record).is_some());
        let chosen: Vec<&SignalRecord> = worth.into_iter().chain(other).take(MAX_CASE_SIGNALS).collect();
        let mut id = LeadId([0; 16]);
        self.signals.entropy.fill(&mut id.0)?;
        let opening = Referral {
            lead: id,
            stage: ReferralStage::Identified,
            region: region.or_else(|| region_of(&chosen)),
            goods_value: self.goods_value(&chosen),
            signals: chosen.into_iter().map(|record| record.signal.clone()).collect(),
            authority: None,
            sentence: None,
            happened_on: None,
        };
        let lead = self.write(audience, opening).await?;
        Ok((self.get(lead).await?, true))
    }

    /// Says what became of an own lead. Durable when this returns; gives the lead's name and the entry's place, which is the last
    /// step's where that says the same. What is referred are the signals that count at that time.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], [`CaseError::NotOwn`], [`CaseError::Transition`] where it cannot come to that now, or
    /// nothing of it counts any more; or the store's.
    pub async fn progress(&self, lead: SignalRef, progress: Progress) -> Result<(SignalRef, SignalRef), CaseError> {
        let _recording = self.recording.lock().await;
        let record = self.get(lead).await?;
        if record.lead.feed().member != *self.directory.member() {
            return Err(CaseError::NotOwn("this lead is another member's; only that member says what became of it"));
        }
        let Progress { stage, region, authority, sentence, happened_on } = progress;
        let last = record.lead.last();
        let told = (stage, &region, &authority, sentence, happened_on);
        let before = &last.referral;
        if told == (before.stage, &before.region, &before.authority, before.sentence, before.happened_on) {
            return Ok((record.lead.name().clone(), last.at.clone()));
        }
        if !stage.follows(Some(before.stage)) {
            let message = "a lead does not come to that from where it is; `leads show` tells its steps, and help for `leads` which may follow";
            return Err(CaseError::transition("LEAD_STAGE_UNFIT", message));
        }
        let mut step = Referral {
            lead: before.lead,
            stage,
            region,
            authority,
            sentence,
            happened_on,
            signals: Vec::new(),
            goods_value: None,
        };
        if stage.names_signals() {
            let mut counting = Vec::new();
            for (signal, _) in record.signals.iter().filter(|(_, status)| status.is_some_and(SignalStatus::is_live)) {
                counting.push(self.signals.get(signal.clone()).await?);
            }
            if counting.is_empty() {
                return Err(CaseError::transition("LEAD_EMPTY", "no signal of this lead counts any more; drop it"));
            }
            step.goods_value = self.goods_value(&counting.iter().collect::<Vec<_>>());
            step.signals = counting.into_iter().map(|record| record.signal).collect();
        }
        let entry = self.write(record.lead.feed().audience.clone(), step).await?;
        Ok((record.lead.name().clone(), entry))
    }

    /// One lead: the one of this name, or the newest own one that rests on the signal of this name.
    ///
    /// # Errors
    /// [`CaseError::NotFound`], or the store's.
    pub async fn get(&self, lead: SignalRef) -> Result<LeadRecord, CaseError> {
        let leads = self.readable().await?;
        let own = self.directory.member();
        let rests_on_it = |held: &&Lead| held.feed().member == *own && held.signals().contains(&lead);
        let found = leads.iter().find(|held| *held.name() == lead).or_else(|| leads.iter().rev().find(rests_on_it));
        let found = found.cloned().ok_or(CaseError::NotFound("lead"))?;
        self.record(found, &leads).await
    }

    /// Leads after the one named `after`, at most `count` (1 to 1,000). Reads what is said of all leads.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, filter: &LeadFilter, after: Option<SignalRef>, count: usize) -> Result<LeadPage, CaseError> {
        let leads = self.readable().await?;
        let known = named_by_leads(&leads);
        let own = self.directory.member();
        let mut chosen = leads.into_iter().filter(|lead| {
            after.as_ref().is_none_or(|after| lead.name() > after)
                && (!filter.open_only || lead.stage().is_open())
                && (!filter.own_only || lead.feed().member == *own)
                && filter.region.as_ref().is_none_or(|within| lead.region().is_some_and(|region| region.is_in(within)))
        });
        let page: Vec<Lead> = chosen.by_ref().take(count.clamp(1, MAX_PAGE)).collect();
        let next = chosen.next().and(page.last()).map(|last| last.name().clone());
        Ok(LeadPage { leads: self.records(page, &known).await?, next })
    }

    /// How many leads came how far; with `own_only` those of this member.
    ///
    /// # Errors
    /// The store's.
    pub async fn funnels(&self, own_only: bool) -> Result<Funnels, CaseError> {
        let mut funnels = Funnels::default();
        let own = self.directory.member();
        for lead in self.readable().await?.iter().filter(|lead| !own_only || lead.feed().member == *own) {
            funnels.overall.add(lead);
            funnels.by_region.entry(lead.region().cloned()).or_default().add(lead);
        }
        Ok(funnels)
    }

    /// What an authority needs to verify the lead: each entry that it rests on, and all that was said of it, with its proof.
    ///
    /// # Errors
    /// [`CaseError::NotFound`], or the store's.
    pub async fn export(&self, lead: SignalRef) -> Result<Bundle, CaseError> {
        let record = self.get(lead).await?;
        let (store, directory, made_at) = (self.store.clone(), self.directory.clone(), self.clock.now());
        let gather = move || {
            let (named, cut) = named_by(&store, &record)?;
            let mut by_feed: BTreeMap<FeedId, BTreeSet<Seq>> = BTreeMap::new();
            for name in named {
                by_feed.entry(name.feed).or_default().insert(name.seq);
            }
            let mut entries = Vec::new();
            for (feed, seqs) in by_feed {
                for proven in store.prove(&feed, &seqs)? {
                    // What is gone cannot be shown.
                    let Leaf::Entry(bytes) = proven.leaf else { continue };
                    let name = SignalRef { feed: feed.clone(), seq: proven.seq };
                    entries.push((name, bytes, write_proof(&proven.path, &proven.checkpoint)));
                }
            }
            let (roster, made_by) = (directory.roster().note().clone(), directory.member().clone());
            let lead = record.lead.name().clone();
            Ok::<_, StoreError>(Bundle { lead, roster, made_at, made_by, entries, cut })
        };
        Ok(off_thread(gather).await??)
    }

    /// Every lead that this member may read, in the order of their names.
    async fn readable(&self) -> Result<Vec<Lead>, CaseError> {
        let (store, directory) = (self.store.clone(), self.directory.clone());
        Ok(off_thread(move || readable_leads(&store, &directory)).await??)
    }

    /// One of `leads`, which are all that this member may read.
    async fn record(&self, lead: Lead, leads: &[Lead]) -> Result<LeadRecord, CaseError> {
        self.records(vec![lead], &named_by_leads(leads)).await?.pop().ok_or(CaseError::NotFound("lead"))
    }

    async fn records(&self, leads: Vec<Lead>, known: &Known) -> Result<Vec<LeadRecord>, CaseError> {
        let overlaps = |lead: &Lead| {
            let others = lead.signals().iter().filter_map(|signal| known.get(signal)).flatten();
            others.filter(|other| *other != lead.name()).cloned().collect()
        };
        let overlaps: Vec<BTreeSet<SignalRef>> = leads.iter().map(overlaps).collect();
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let read = move || {
            let reader = Reader::new(&store, &directory, &*clock);
            let record = |(lead, overlaps): (Lead, BTreeSet<SignalRef>)| {
                let status = |signal: &SignalRef| {
                    let record = reader.signal(signal.clone())?;
                    let status = record.map(|record| record.status);
                    let status = status.or_else(|| store.is_erased(signal).then_some(SignalStatus::Erased));
                    Ok((signal.clone(), status))
                };
                let signals = lead.signals().iter().map(status).collect::<Result<_, StoreError>>()?;
                Ok(LeadRecord { lead, signals, overlaps })
            };
            leads.into_iter().zip(overlaps).map(record).collect::<Result<Vec<_>, StoreError>>()
        };
        Ok(off_thread(read).await??)
    }

    fn goods_value(&self, records: &[&SignalRecord]) -> Option<GoodsValue> {
        let signed = self.directory.roster();
        let rates = &signed.roster().policy.rates;
        let total = GoodsTotal::of(records, rates, rates.base);
        let amount = (total.total_minor > 0).then_some((total.total_minor, total.currency));
        amount.map(|amount| GoodsValue { amount: Some(amount), count: None, reference: None, state: None })
    }

    async fn write(&self, audience: Audience, referral: Referral) -> Result<SignalRef, CaseError> {
        referral.validate(&audience, self.clock.now().date())?;
        Ok(self.signals.note(audience, Body::Referral(referral)).await?)
    }
}

/// A search for rings that meet a threshold: what it looks with, and what it has come to.
struct Search<'a> {
    store: &'a Store,
    reader: &'a Reader<'a>,
    freshness: &'a FreshnessRecord,
    reach: &'a Reach,
    thresholds: &'a Thresholds,
    known: Known,
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
        self.walks += 1;
        let ring = Ring::around(record, self.reach, self.store, self.reader, self.freshness)?;
        self.seen.extend(ring.signals().map(|record| record.signal.clone()));
        let rates = &self.reader.roster().policy.rates;
        let ring = ring.valued(rates.base, self.thresholds, rates);
        // A ring is told of once, at the first of its signals that states an amount.
        let first = ring.signals().filter(|record| amount(record).is_some()).map(|record| &record.signal).min();
        if first == Some(&signal) && ring.thresholds.iter().any(|measured| measured.met) {
            self.found.push(FoundLead::of(signal, &ring, &self.known));
        }
        Ok(())
    }
}

/// Which leads rest on a signal.
type Known = BTreeMap<SignalRef, Vec<SignalRef>>;

fn named_by_leads(leads: &[Lead]) -> Known {
    let mut known = Known::new();
    for lead in leads.iter().filter(|lead| lead.stage() != ReferralStage::Dropped) {
        lead.signals().iter().for_each(|signal| known.entry(signal.clone()).or_default().push(lead.name().clone()));
    }
    known
}

fn readable_leads(store: &Store, directory: &Directory) -> Result<Vec<Lead>, StoreError> {
    let signed = directory.roster();
    let (roster, reader) = (signed.roster(), directory.member());
    let mut leads = store.leads()?;
    leads.retain(|lead| roster.may_read_feed(reader, lead.feed()) && roster.is_active(&lead.feed().member));
    leads.sort_unstable_by(|a, b| a.name().cmp(b.name()));
    Ok(leads)
}

/// Entries that a lead rests on, its own first, and whether there are more than a bundle has room for.
fn named_by(store: &Store, record: &LeadRecord) -> Result<(Vec<SignalRef>, bool), StoreError> {
    let mut named: Vec<SignalRef> = record.lead.steps().map(|step| step.at.clone()).collect();
    named.extend(record.lead.signals().iter().cloned());
    for signal in record.lead.signals() {
        let retraction = store.retraction_of(&signal.feed, signal.seq);
        named.extend(retraction.map(|seq| SignalRef { feed: signal.feed.clone(), seq }));
        if store.speaks_of(signal) {
            named.extend(store.notes_about(signal)?.into_iter().map(|note| note.at));
        }
    }
    let cut = named.len() > MAX_BUNDLE_ENTRIES;
    named.truncate(MAX_BUNDLE_ENTRIES);
    Ok((named, cut))
}

/// Whether the entry is a signal that states an amount, or may have come to do so.
fn may_be_worth_something(store: &Store, signal: &SignalRef, leaf: &Leaf) -> bool {
    let Ok(Entry { body: Body::Signal { content, .. }, .. }) = leaf.read() else { return false };
    content.statement.goods_value.is_some_and(|value| value.amount.is_some()) || store.speaks_of(signal)
}

fn amount(record: &SignalRecord) -> Option<i64> {
    record.statement().goods_value.as_ref()?.amount.map(|(minor, _)| minor)
}

/// Where most of the signals were seen; of several the first by its code.
fn region_of(records: &[&SignalRecord]) -> Option<Region> {
    let mut count: BTreeMap<&Region, usize> = BTreeMap::new();
    for region in records.iter().filter_map(|record| record.statement().sighting.as_ref()?.region.as_ref()) {
        *count.entry(region).or_default() += 1;
    }
    count.into_iter().rev().max_by_key(|(_, count)| *count).map(|(region, _)| region.clone())
}

impl Funnel {
    fn add(&mut self, lead: &Lead) {
        let one = |stage| usize::from(lead.reached(stage));
        self.identified += 1;
        self.referred += one(ReferralStage::Referred);
        self.accepted += one(ReferralStage::Accepted);
        self.arrested += one(ReferralStage::Arrested);
        self.convicted += one(ReferralStage::Convicted);
        self.open += usize::from(lead.stage().is_open());
    }
}

impl FoundLead {
    fn of(signal: SignalRef, ring: &Ring, known: &Known) -> Self {
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
            leads: ring.signals().filter_map(|record| known.get(&record.signal)).flatten().cloned().collect(),
        }
    }
}
