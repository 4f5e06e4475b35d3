//! Leads: rings whose goods are worth a prosecutor's time, and what became of them.
//!
//! A lead is opened in the feed of the audience that its signals were shared with, from what that audience knows alone: what is said to
//! it must not tell that two sellers belong together for a reason that only a group may know. From then on every member of the
//! audience sees who follows it and how far it has come; only the member that opened it says so.

mod bundle;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

pub use self::bundle::Bundle;
pub use self::search::{FoundLead, FoundPage};
use super::blocking::off_thread;
use super::cases::CaseError;
use super::goods::GoodsTotal;
use super::record::{Reader, SignalRecord};
use super::rings::{Reach, RingQuery, RingStart};
use super::{Rings, Signals};
use crate::domain::limits::{MAX_CASE_SIGNALS, MAX_LEAD_STEPS, MAX_OVERLAPS, MAX_PAGE, MAX_PAGE_BYTES};
use crate::domain::{
    Audience, Clock, FeedId, GoodsValue, LeadId, MemberId, Referral, ReferralStage, Region, Roster, Sentence, SignalRef,
    SignalStatus, Thresholds,
};
use crate::feed::{Body, Lead, LeadOutline};
use crate::membership::Directory;
use crate::store::{Store, StoreError};

/// Bytes of an entry's name in an answer.
const NAME_BYTES: usize = 128;

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
}

/// A lead as this node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadRecord {
    /// What its member says of it.
    pub lead: Lead,
    /// What each signal that it rests on is now; `None` where this node cannot read it.
    pub signals: Vec<(SignalRef, Option<SignalStatus>)>,
    /// Other leads that name one of these signals, at most 64; of each feed those of the newest that name it.
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

impl Leads {
    /// Opens a lead on the ring around a signal's seller, as far as the signal's audience knows it. Durable when this returns. Where an
    /// own open lead rests on the signal already, that is given, and `false`.
    ///
    /// # Errors
    /// A [`FieldError`](crate::domain::FieldError), [`CaseError::NotFound`], [`CaseError::Transition`] where the signal counts no
    /// more or there is no room; or the store's.
    pub async fn open(&self, signal: SignalRef, reach: Reach, region: Option<Region>) -> Result<(LeadRecord, bool), CaseError> {
        let audience = signal.feed.audience.clone();
        self.directory.check_audience(&audience).map_err(|_| CaseError::NotFound("signal"))?;
        let counts = self.signals.get(signal.clone()).await?.status.is_live();
        if !counts || !self.directory.roster().roster().is_active(&signal.feed.member) {
            return Err(CaseError::transition(
                "SIGNAL_NOT_LIVE",
                "this signal counts for nothing; open the lead at another one",
            ));
        }
        let _changing = self.signals.leads.lock().await;
        if let Some(open) = self.own_on(&signal, |lead| lead.stage().is_open()).await? {
            return Ok((self.record(open).await?, false));
        }
        let feed = FeedId { member: self.directory.member().clone(), audience: audience.clone() };
        if self.store.is_full_of_leads(&feed) {
            return Err(CaseError::transition("LEADS_FULL", "no more leads are kept; erase some that are done with"));
        }
        let reach = Reach { audience: Some(audience.clone()), ..reach };
        let start = RingStart::Signal(signal);
        let query = RingQuery { start, reach, currency: None, thresholds: Thresholds::default() };
        let ring = self.rings.ring(query).await?;
        let mut records = ring.signals();
        let start = records.next();
        // What states an amount next: an entry has no room for all signals of a large ring.
        let (worth, other): (Vec<&SignalRecord>, Vec<&SignalRecord>) = records.partition(|record| amount(record).is_some());
        let chosen: Vec<&SignalRecord> = start.into_iter().chain(worth).chain(other).take(MAX_CASE_SIGNALS).collect();
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
    /// A [`FieldError`](crate::domain::FieldError), [`CaseError::NotFound`], [`CaseError::NotOwn`], [`CaseError::Transition`] where it
    /// cannot come to that now, or nothing of it counts any more; or the store's.
    pub async fn progress(&self, lead: SignalRef, progress: Progress) -> Result<(SignalRef, SignalRef), CaseError> {
        let _changing = self.signals.leads.lock().await;
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
            let message = "a lead does not come to that from where it is; `leads show` tells its steps, `leads record --help` which may follow";
            return Err(CaseError::transition("LEAD_STAGE_UNFIT", message));
        }
        if record.lead.steps().count() >= MAX_LEAD_STEPS {
            let message = "this lead has as many steps as count; open another one for what is still to come";
            return Err(CaseError::transition("LEAD_STEPS_FULL", message));
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
            let roster = self.directory.roster();
            let counts = |(signal, status): &&(SignalRef, Option<SignalStatus>)| {
                status.is_some_and(SignalStatus::is_live) && roster.roster().is_active(&signal.feed.member)
            };
            for (signal, _) in record.signals.iter().filter(counts) {
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
        let (store, directory, name) = (self.store.clone(), self.directory.clone(), lead.clone());
        let named = move || match reads_leads_of(directory.roster().roster(), directory.member(), &name.feed) {
            true => store.lead(&name),
            false => Ok(None),
        };
        let found = match off_thread(named).await?? {
            Some(named) => Some(named),
            None => self.own_on(&lead, |_| true).await?,
        };
        self.record(found.ok_or(CaseError::NotFound("lead"))?).await
    }

    /// Leads after the one named `after`, at most `count` (1 to 1,000) and no more than fit into one answer.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, filter: LeadFilter, after: Option<SignalRef>, count: usize) -> Result<LeadPage, CaseError> {
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let (own, count) = (self.directory.member().clone(), count.clamp(1, MAX_PAGE));
        let read = move || {
            let reader = Reader::new(&store, &directory, &*clock);
            let chosen = readable(&store, &directory).into_iter().filter(|lead| {
                after.as_ref().is_none_or(|after| lead.name > *after)
                    && (!filter.open_only || lead.stage().is_open())
                    && (!filter.own_only || lead.name.feed.member == own)
                    && filter
                        .region
                        .as_ref()
                        .is_none_or(|within| lead.region.as_ref().is_some_and(|region| region.is_in(within)))
            });
            let (mut leads, mut bytes, mut last) = (Vec::new(), 0, None);
            for LeadOutline { name, .. } in chosen {
                if leads.len() == count || bytes >= MAX_PAGE_BYTES {
                    return Ok(LeadPage { leads, next: last });
                }
                if let Some(lead) = store.lead(&name)? {
                    let record = LeadRecord::of(lead, &store, &directory, &reader)?;
                    bytes += record.size();
                    leads.push(record);
                }
                last = Some(name);
            }
            Ok::<_, StoreError>(LeadPage { leads, next: None })
        };
        Ok(off_thread(read).await??)
    }

    /// How many leads came how far; with `own_only` those of this member.
    ///
    /// # Errors
    /// That counting ended with a panic.
    pub async fn funnels(&self, own_only: bool) -> Result<Funnels, CaseError> {
        let (store, directory) = (self.store.clone(), self.directory.clone());
        let count = move || {
            let mut funnels = Funnels::default();
            let own = directory.member();
            for lead in readable(&store, &directory).iter().filter(|lead| !own_only || lead.name.feed.member == *own) {
                funnels.overall.add(lead);
                funnels.by_region.entry(lead.region.clone()).or_default().add(lead);
            }
            funnels
        };
        Ok(off_thread(count).await?)
    }

    /// The newest own lead that rests on the signal, of those that are `wanted`.
    async fn own_on(
        &self,
        signal: &SignalRef,
        wanted: impl Fn(&LeadOutline) -> bool + Send + 'static,
    ) -> Result<Option<Lead>, CaseError> {
        let (store, member, signal) = (self.store.clone(), self.directory.member().clone(), signal.clone());
        let find = move || {
            let mut own: Vec<LeadOutline> = store.leads_naming(&signal);
            own.retain(|lead| lead.name.feed.member == member && wanted(lead));
            own.sort_unstable_by(|a, b| b.name.cmp(&a.name));
            for LeadOutline { name, .. } in own {
                if let Some(lead) = store.lead(&name)?.filter(|lead| lead.signals().contains(&signal)) {
                    return Ok(Some(lead));
                }
            }
            Ok::<_, StoreError>(None)
        };
        Ok(off_thread(find).await??)
    }

    async fn record(&self, lead: Lead) -> Result<LeadRecord, CaseError> {
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let read = move || LeadRecord::of(lead, &store, &directory, &Reader::new(&store, &directory, &*clock));
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

impl LeadRecord {
    fn of(lead: Lead, store: &Store, directory: &Directory, reader: &Reader<'_>) -> Result<Self, StoreError> {
        let status = |signal: &SignalRef| {
            let status = reader.signal(signal.clone())?.map(|record| record.status);
            let status = status.or_else(|| store.is_erased(signal).then_some(SignalStatus::Erased));
            Ok((signal.clone(), status))
        };
        let signals = lead.signals().iter().map(status).collect::<Result<_, StoreError>>()?;
        let overlaps = leads_on(store, directory, lead.signals(), Some(lead.name()));
        Ok(Self { lead, signals, overlaps })
    }

    /// Bytes that it takes in an answer, about.
    fn size(&self) -> usize {
        let authority = |referral: &Referral| referral.authority.as_ref().map_or(0, String::len);
        let steps: usize = self.lead.steps().map(|step| NAME_BYTES + authority(&step.referral)).sum();
        steps + (self.signals.len() + self.overlaps.len()) * NAME_BYTES
    }
}

/// Whether what the feed says of leads is for this member, and counts.
fn reads_leads_of(roster: &Roster, reader: &MemberId, feed: &FeedId) -> bool {
    roster.may_read_feed(reader, feed) && roster.is_active(&feed.member)
}

/// Every lead that this member may read, in the order of their names.
fn readable(store: &Store, directory: &Directory) -> Vec<LeadOutline> {
    let (signed, mut leads) = (directory.roster(), store.leads());
    leads.retain(|lead| reads_leads_of(signed.roster(), directory.member(), &lead.name.feed));
    leads
}

/// Leads but for `this` that were not dropped and name one of `signals`, as many as are told of.
fn leads_on<'s>(
    store: &Store,
    directory: &Directory,
    signals: impl IntoIterator<Item = &'s SignalRef>,
    this: Option<&SignalRef>,
) -> BTreeSet<SignalRef> {
    let signed = directory.roster();
    let mut found = BTreeSet::new();
    for lead in signals.into_iter().flat_map(|signal| store.leads_naming(signal)) {
        let counts = lead.stage() != ReferralStage::Dropped && Some(&lead.name) != this;
        if counts && reads_leads_of(signed.roster(), directory.member(), &lead.name.feed) {
            found.insert(lead.name);
            if found.len() == MAX_OVERLAPS {
                break;
            }
        }
    }
    found
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
    fn add(&mut self, lead: &LeadOutline) {
        let one = |stage| usize::from(lead.reached(stage));
        self.identified += 1;
        self.referred += one(ReferralStage::Referred);
        self.accepted += one(ReferralStage::Accepted);
        self.arrested += one(ReferralStage::Arrested);
        self.convicted += one(ReferralStage::Convicted);
        self.open += usize::from(lead.stage().is_open());
    }
}
