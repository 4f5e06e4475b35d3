//! Reading what feeds say of their leads.

use super::leadbook::KeptStep;
use super::state::State;
use super::{Store, StoreError};
use crate::domain::limits::MAX_LEADS_BY_FEED;
use crate::domain::{FeedId, LeadId, SignalRef};
use crate::feed::{Body, Entry, Lead, LeadOutline, LeadStep, counting};

impl Store {
    /// How far each lead came, in the order of their names. In memory.
    #[must_use]
    pub fn leads(&self) -> Vec<LeadOutline> {
        let state = self.shared.state.read();
        let mut leads: Vec<LeadOutline> = state.casebook.leads().filter_map(|steps| outline(&state, steps)).collect();
        drop(state);
        leads.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        leads
    }

    /// The leads that a signal was named by, of each feed the newest eight. In memory.
    #[must_use]
    pub fn leads_naming(&self, signal: &SignalRef) -> Vec<LeadOutline> {
        let state = self.shared.state.read();
        let keys = state.casebook.leads_naming(signal);
        keys.filter_map(|key| outline(&state, state.casebook.lead(key))).collect()
    }

    /// The lead of this name. Reads its entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn lead(&self, name: &SignalRef) -> Result<Option<Lead>, StoreError> {
        let Some(Entry { body: Body::Referral(opening), .. }) = self.entry(name)? else { return Ok(None) };
        let mut steps = Vec::new();
        let kept: Vec<SignalRef> = {
            let state = self.shared.state.read();
            let Some(no) = state.number(&name.feed) else { return Ok(None) };
            state.casebook.lead(&(no, opening.lead)).filter_map(|step| state.name_of(step.at)).collect()
        };
        for at in kept {
            if let Some(Entry { recorded_at, body: Body::Referral(referral) }) = self.entry(&at)? {
                steps.push(LeadStep { at, recorded_at, referral });
            }
        }
        Ok(Lead::of(steps).filter(|lead| lead.name() == name))
    }

    /// The entries in which a feed says something of a lead, those that count for nothing too, in order. In memory.
    #[must_use]
    pub fn lead_steps(&self, feed: &FeedId, lead: LeadId) -> Vec<SignalRef> {
        let state = self.shared.state.read();
        let Some(no) = state.number(feed) else { return Vec::new() };
        state.casebook.lead_positions(&(no, lead)).filter_map(|at| state.name_of(at)).collect()
    }

    /// Whether more leads of the feed would count for nothing. In memory.
    #[must_use]
    pub fn is_full_of_leads(&self, feed: &FeedId) -> bool {
        let state = self.shared.state.read();
        state.number(feed).is_some_and(|no| state.casebook.count_leads(no) >= MAX_LEADS_BY_FEED)
    }
}

fn outline<'a>(state: &State, steps: impl Iterator<Item = &'a KeptStep>) -> Option<LeadOutline> {
    let counting = counting(steps, |step| step.stage);
    let name = state.name_of(counting.first()?.at)?;
    let region = counting.iter().rev().find_map(|step| step.region.clone());
    Some(LeadOutline::new(name, region, counting.into_iter().map(|step| step.stage).collect()))
}
