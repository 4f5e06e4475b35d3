//! The ledger of a key holder: how much of each shared key every member has used, by day.
//!
//! A request is charged before it is computed, in a commit that is durable before anything is computed: whoever asks again under
//! the same name is charged once, and a crash costs the member what it asked for and never gives the budget anew. Each day has its own
//! row, which is not forgotten for as long as a clock may go back to it: a clock that jumps ahead spends what belongs to that day,
//! and one that goes back finds what was spent.

use std::collections::HashMap;

use prost::Message as _;

use super::group::Group;
use super::request::Request;
use super::rows::{ChargedRow, UsageRow};
use super::writer::Writer;
use super::{Store, StoreError, damaged, keys};
use crate::domain::limits::{LEDGER_DAYS, MAX_PAGE};
use crate::domain::{Charge, Charged, Usage};

/// Rows that are removed in one commit.
const PRUNED_PER_COMMIT: usize = 1_024;

/// What is charged in a commit that is being built.
#[derive(Default)]
pub(super) struct Charges {
    usage: HashMap<Vec<u8>, UsageRow>,
    requests: HashMap<Vec<u8>, ChargedRow>,
}

impl Store {
    /// Takes a request from a member's budget. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`], [`StoreError::Unreadable`].
    pub async fn charge(&self, charge: Charge) -> Result<Charged, StoreError> {
        self.request(|reply| Request::Charge(Box::new(charge), reply)).await
    }

    /// Forgets some of what was charged on days of which newer ones are kept, 400 of them, and names of requests of days before
    /// `today` and the one before it; how many rows.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`], [`StoreError::Unreadable`].
    pub async fn prune_ledger(&self, today: u32) -> Result<usize, StoreError> {
        self.request(|reply| Request::PruneLedger(today, reply)).await
    }

    /// What members used from the day `from` on, about `count` rows in the order of days; and the day from which to go on.
    /// Days are told of whole.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn usage(&self, from: u32, count: usize) -> Result<(Vec<Usage>, Option<u32>), StoreError> {
        let mut usage: Vec<Usage> = Vec::new();
        let mut key = keys::usage_of_day(from);
        loop {
            let next = self.shared.engine.first_from(&keys::usages(), &key).map_err(|e| StoreError::unreadable(&e))?;
            let Some((found, row)) = next else { return Ok((usage, None)) };
            let read = read_usage(&found, &row)?;
            let is_new_day = usage.last().is_none_or(|last| last.day != read.day);
            if is_new_day && usage.len() >= count.clamp(1, MAX_PAGE) {
                return Ok((usage, Some(read.day)));
            }
            usage.push(read);
            key = found;
            key.push(0);
        }
    }
}

fn read_usage(key: &[u8], row: &[u8]) -> Result<Usage, StoreError> {
    let broken = || damaged("the ledger of evaluations");
    let (day, name) = keys::read_usage(key).ok_or_else(broken)?;
    let mut parts = name.split('/');
    let (id, class, member) = (parts.next(), parts.next(), parts.next());
    let UsageRow { evaluations, requests } = UsageRow::decode(row).map_err(|_| broken())?;
    let text = |part: Option<&str>| part.map(str::to_owned).ok_or_else(broken);
    Ok(Usage {
        day,
        key: text(id)?.parse().map_err(|_| broken())?,
        class: text(class)?.parse().map_err(|_| broken())?,
        member: text(member)?.parse().map_err(|_| broken())?,
        evaluations,
        requests,
    })
}

impl Writer {
    pub(super) fn stage_charge(&self, charge: &Charge, group: &mut Group) -> Result<Charged, StoreError> {
        let Charge { member, key, class, day, count, budget, request, digest } = charge;
        // A request that is made again about midnight is known by the day before.
        for day in [*day, day.saturating_sub(1)] {
            let name = keys::charged(day, request, member);
            let known = match group.charges.requests.get(&name) {
                Some(staged) => Some(staged.clone()),
                None => self.read_row::<ChargedRow>(&name)?,
            };
            match known {
                Some(known) if known.digest == digest => return Ok(Charged::Granted { spent: known.spent }),
                Some(_) => return Ok(Charged::Reused),
                None => {}
            }
        }
        let row = keys::usage(*day, &format!("{key}/{class}/{member}"));
        let used = match group.charges.usage.get(&row) {
            Some(staged) => staged.clone(),
            None => self.read_row::<UsageRow>(&row)?.unwrap_or_default(),
        };
        let spent = used.evaluations.saturating_add(u64::from(*count));
        if spent > *budget {
            return Ok(Charged::Over { spent: used.evaluations });
        }
        let used = UsageRow { evaluations: spent, requests: used.requests + 1 };
        let charged = ChargedRow { digest: digest.to_vec(), spent };
        let name = keys::charged(*day, request, member);
        group.commit.put(row.clone(), used.encode_to_vec());
        group.commit.put(name.clone(), charged.encode_to_vec());
        group.charges.usage.insert(row, used);
        group.charges.requests.insert(name, charged);
        Ok(Charged::Granted { spent })
    }

    fn read_row<M: prost::Message + Default>(&self, key: &[u8]) -> Result<Option<M>, StoreError> {
        let row = self.shared().engine.get(key).map_err(|error| StoreError::unreadable(&error))?;
        row.map(|row| M::decode(&*row).map_err(|_| damaged("the ledger of evaluations"))).transpose()
    }

    pub(super) fn stage_ledger_pruned(&self, today: u32, group: &mut Group) -> Result<usize, StoreError> {
        let engine = &self.shared().engine;
        let next = |prefix: &[u8], from: &[u8]| engine.first_from(prefix, from).map_err(|e| StoreError::unreadable(&e));
        let mut pruned = 0;
        // Days are counted and not measured by the clock, which may be wrong today.
        let (mut days, mut from) = (Vec::new(), keys::usages());
        while let Some((key, _)) = next(&keys::usages(), &from)? {
            let (day, _) = keys::read_usage(&key).ok_or_else(|| damaged("the ledger of evaluations"))?;
            days.push(day);
            let Some(following) = day.checked_add(1) else { break };
            from = keys::usage_of_day(following);
        }
        let kept_from = days.len().checked_sub(LEDGER_DAYS).and_then(|first| days.get(first));
        let ends = [
            kept_from.map(|day| (keys::usages(), keys::usage_of_day(*day))),
            today.checked_sub(1).map(|day| (keys::all_charged(), keys::charged_on(day))),
        ];
        for (prefix, end) in ends.into_iter().flatten() {
            let mut from = prefix.clone();
            while pruned < PRUNED_PER_COMMIT
                && let Some((key, _)) = next(&prefix, &from)?
                && key < end
            {
                group.commit.remove(&key);
                pruned += 1;
                from = key;
                from.push(0);
            }
        }
        Ok(pruned)
    }
}
