use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::belief::newest;
use super::book::{ShareBook, VaultError};
use super::making::{Plan, Seat, Step};
use super::record::{Held, Record};
use super::repairing::{RepairError, Repairing, Wanted};
use super::report::{CeremonyRefusal, CeremonyState, KeyReport};
use super::{CeremonyAnswer, CeremonyQuery, FellowHolders, RepairAnswer, RepairQuery};
use crate::domain::limits::{
    CEREMONY_IDLE, CEREMONY_INTERVAL, CEREMONY_RETRY, HOLDER_TIMEOUT, MAX_GENERATIONS_AHEAD, MAX_SIGNED_RESULTS, MIN_SHARE_AGE,
    SHARE_OVERLAP,
};
use crate::domain::{
    Clock, Entropy, EntropyError, HolderIndex, KeyId, KeyState, MemberId, Roster, RosterKey, SharedGeneration, Sharing,
    Timestamp,
};
use crate::feed::{Hash, SigningKey, sha256};
use crate::membership::Directory;
use crate::service::HolderError;
use crate::service::blocking::{Panicked, off_thread};

const DAY: Duration = Duration::from_secs(86_400);

/// How often a holder looks for what is to be done. That of the alliance is the default; tests hand down shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CeremonyPace {
    /// While a ceremony is at hand.
    pub busy: Duration,
    /// Otherwise.
    pub idle: Duration,
}

impl Default for CeremonyPace {
    fn default() -> Self {
        Self { busy: CEREMONY_INTERVAL, idle: CEREMONY_IDLE }
    }
}

/// Why a look at one key came to nothing; it is looked at again.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    #[error(transparent)]
    Repair(#[from] RepairError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl LookError {
    fn code(&self) -> &str {
        match self {
            Self::Vault(error) => error.code(),
            Self::Entropy(_) => "NO_ENTROPY",
            Self::Repair(RepairError::Helper { code, .. }) => code,
            Self::Repair(RepairError::Request) => "REPAIR_INVALID",
            Self::Repair(RepairError::Ceremony(error)) => error.code(),
            Self::Panicked(panicked) => panicked.code(),
        }
    }
}

/// Brings about what the roster says of the keys that this member holds shares of, and answers other holders that do the same.
pub struct Ceremonies {
    /// The shares.
    pub book: Arc<ShareBook>,
    /// Who holds what.
    pub directory: Arc<Directory>,
    /// The way to the others.
    pub fellows: Arc<dyn FellowHolders>,
    /// Signs this member's parts.
    pub feed_key: Arc<SigningKey>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives seeds.
    pub entropy: Arc<dyn Entropy>,
    /// How often it looks.
    pub pace: CeremonyPace,
    /// What is known beside the records.
    pub desk: CeremonyDesk,
}

/// What a holder remembers while its node runs.
#[derive(Debug, Default)]
pub struct CeremonyDesk {
    /// Keys whose shares are to be made anew although they are not old.
    wanted: Mutex<BTreeSet<KeyId>>,
    woken: Notify,
    reports: Mutex<BTreeMap<KeyId, KeyReport>>,
    /// Helpers that did not help, by key.
    avoided: Mutex<BTreeMap<KeyId, BTreeSet<HolderIndex>>>,
}

/// One key, its roster, and this member's place.
struct Looked<'l> {
    roster: &'l Roster,
    key: &'l RosterKey,
    sharing: &'l Sharing,
    place: HolderIndex,
    others: BTreeMap<HolderIndex, MemberId>,
}

/// The newest shares that anybody spoke of, and what was heard of them.
type Newest = Option<(SharedGeneration, Bytes)>;

impl Ceremonies {
    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, mut serials: watch::Receiver<u64>, stop: CancellationToken) {
        loop {
            let Some(busy) = stop.run_until_cancelled(self.look()).await else { return };
            let pause = if busy { self.pace.busy } else { self.pace.idle };
            let next = async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    changed = serials.changed() => if changed.is_err() { tokio::time::sleep(pause).await },
                    () = self.desk.woken.notified() => {}
                }
            };
            if stop.run_until_cancelled(next).await.is_none() {
                return;
            }
        }
    }

    /// Has the shares of a key made anew as soon as the other holders are there.
    pub fn refresh(&self, key: &KeyId) {
        self.desk.wanted.lock().insert(key.clone());
        self.desk.woken.notify_one();
    }

    /// How this member's shares stand.
    #[must_use]
    pub fn reports(&self) -> Vec<KeyReport> {
        self.desk.reports.lock().values().cloned().collect()
    }

    /// Looks at every key once; whether a ceremony is at hand.
    pub async fn look(&self) -> bool {
        let signed = self.directory.roster();
        let roster = signed.roster();
        let mut busy = false;
        let listed = roster.keys.iter().filter(|key| key.sharing.is_some());
        for key in listed {
            match self.look_at(roster, key).await {
                Ok(at_hand) => busy |= at_hand,
                Err(error) => {
                    tracing::error!(key = %key.id, code = error.code(), %error, "this member's share of a key cannot be seen to");
                    self.report_failure(&key.id, &error);
                }
            }
        }
        self.forget(roster);
        busy
    }

    /// Destroys what is kept of keys that the roster calls destroyed. One that it leaves out is kept: by a slip of the secretariat nobody is
    /// to lose a key.
    fn forget(&self, roster: &Roster) {
        let ended = |key: &KeyId| roster.keys.iter().any(|listed| listed.id == *key && listed.state == KeyState::Destroyed);
        let kept = self.book.keys().unwrap_or_default();
        for key in kept.into_iter().filter(ended) {
            match self.book.destroy(&key) {
                Ok(()) => tracing::info!(%key, "this member's share of a key that is destroyed is destroyed, too"),
                Err(error) => tracing::error!(%key, code = error.code(), %error, "a share could not be destroyed"),
            }
        }
        let listed = |key: &KeyId| roster.keys.iter().any(|listed| listed.id == *key && listed.state != KeyState::Destroyed);
        self.desk.reports.lock().retain(|key, _| listed(key));
    }

    fn report_failure(&self, key: &KeyId, error: &LookError) {
        if let Some(report) = self.desk.reports.lock().get_mut(key) {
            let culprit = match error {
                LookError::Repair(RepairError::Helper { helper, .. }) => Some(helper.clone()),
                _ => None,
            };
            report.state = CeremonyState::Failed { code: error.code().to_owned(), sentence: error.to_string(), culprit };
        }
    }

    fn report(&self, looked: &Looked<'_>, record: &Record, state: CeremonyState, waiting_for: Vec<MemberId>) {
        let held = record.held.as_ref();
        let report = KeyReport {
            key: looked.key.id.clone(),
            place: looked.place,
            generation: held.map(|held| held.sharing.generation),
            since: held.map(|held| held.since),
            state,
            waiting_for,
        };
        self.desk.reports.lock().insert(looked.key.id.clone(), report);
    }

    async fn look_at(&self, roster: &Roster, key: &RosterKey) -> Result<bool, LookError> {
        let own = self.directory.member();
        let Some(sharing) = key.sharing.as_ref().filter(|_| key.state != KeyState::Destroyed) else { return Ok(false) };
        let mut others = sharing.seats();
        others.retain(|_, member| member != own);
        let place = sharing.index_of(own);
        let Some(place) = place.filter(|_| roster.is_active(own)) else { return self.leave(roster, key, &others).await };
        let looked = Looked { roster, key, sharing, place, others };
        let id = &key.id;
        let mut record = (*self.book.record(id)?).clone();
        let now = self.clock.now();

        let newest = self.newest(&looked).await;
        let set_back = record.set_back(now);
        let fitted = self.fit(&looked, &mut record, &newest, now);
        let caught_up = self.catch_up(&looked, &mut record, &newest, now);
        if set_back || fitted || caught_up {
            self.book.keep(id, &record)?;
        }
        if record.before.is_some() && record.held.as_ref().is_some_and(|held| now.since(held.since) >= SHARE_OVERLAP) {
            record.before = None;
            self.book.keep(id, &record)?;
            tracing::info!(key = %id, "the shares before the last ones are erased");
        }
        let in_use = SharedGeneration::of(key);
        if in_use.is_some() && record.prune() {
            self.book.keep(id, &record)?;
        }
        match (&record.held, in_use) {
            (Some(held), Some(listed)) if !held.sharing.is_of_the_same_keys(&listed) => {
                self.report(&looked, &record, other_key(id), Vec::new());
                Ok(false)
            }
            (None, None) => self.make(&looked, record, None).await,
            (Some(_), None) => {
                self.report(&looked, &record, CeremonyState::Made, Vec::new());
                Ok(false)
            }
            (None, Some(listed)) => self.repair(&looked, &record, newest.map_or(listed, |(newest, _)| newest)).await,
            (Some(held), Some(_)) => {
                let held = held.clone();
                if self.is_due(&looked, &record, &held, now) || self.is_joined(&looked, &held, now).await {
                    self.make(&looked, record, Some(held)).await
                } else {
                    self.report(&looked, &record, CeremonyState::Held, Vec::new());
                    Ok(false)
                }
            }
        }
    }

    /// Sees to it that the shares in use are those that the roster wants, where this member has such; true where the record has changed.
    /// Nothing is destroyed by that: what a roster says wrongly, the next one may say rightly.
    fn fit(&self, looked: &Looked<'_>, record: &mut Record, newest: &Newest, now: Timestamp) -> bool {
        let Some(listed) = SharedGeneration::of(looked.key) else {
            // A key that is made, but by others than are to hold it.
            let is_of_others = |held: &Held| {
                held.sharing.holders != looked.sharing.in_order() || held.sharing.threshold != looked.sharing.threshold
            };
            let changed = record.held.as_ref().is_some_and(is_of_others);
            if changed {
                record.set_aside();
            }
            return changed;
        };
        let is_of_it = |held: &Held| held.sharing.is_of_the_same_keys(&listed);
        let is_here = |held: &Held| held.place() == Some(looked.place);
        let fits = |held: &Held| is_of_it(held) && is_here(held) && held.sharing.generation >= listed.generation;
        if record.held.as_ref().is_some_and(fits) {
            return false;
        }
        // All have signed what the roster has taken into use, though this member may not have seen that they had.
        let is_listed = |held: &Held| (held.sharing.generation, &held.sharing.classes) == (listed.generation, &listed.classes);
        let is_newest = newest.as_ref().is_none_or(|(newest, _)| newest.generation <= listed.generation);
        if is_newest && let Some(found) = record.take(|kept| is_listed(kept) && is_here(kept)) {
            if record.held.as_ref().is_some_and(is_of_it) {
                record.retire()
            } else {
                record.set_aside()
            }
            record.held = Some(Held { since: now, ..found });
            return true;
        }
        // Of no use at this place, or with the shares that nodes ask for; the others repair it.
        let is_useless = record.held.as_ref().is_some_and(is_of_it);
        if is_useless {
            record.retire();
        }
        is_useless
    }

    /// A member that is to have no share destroys the one that it has as soon as the others have made it useless.
    async fn leave(
        &self,
        roster: &Roster,
        key: &RosterKey,
        others: &BTreeMap<HolderIndex, MemberId>,
    ) -> Result<bool, LookError> {
        self.desk.reports.lock().remove(&key.id);
        let record = self.book.record(&key.id)?;
        // What all have signed is as good as what is in use: it may be taken into use yet.
        let noted = record.signed.iter().filter(|signed| signed.note.is_some());
        let Some(held) = record.held.iter().chain(noted).max_by_key(|held| held.sharing.generation) else {
            if record.running.is_some() || !record.signed.is_empty() {
                self.book.destroy(&key.id)?;
            }
            return Ok(false);
        };
        let newest = newest(&*self.fellows, roster, key, others.values()).await;
        if newest.is_some_and(|(newest, _)| newest.generation > held.sharing.generation) {
            self.book.destroy(&key.id)?;
            tracing::info!(key = %key.id, "this member holds no share any more; the one that it had is destroyed");
        }
        Ok(false)
    }

    async fn newest(&self, looked: &Looked<'_>) -> Newest {
        newest(&*self.fellows, looked.roster, looked.key, looked.others.values()).await
    }

    /// Takes up shares with which the others have gone on; true where the record has changed.
    fn catch_up(&self, looked: &Looked<'_>, record: &mut Record, newest: &Newest, now: Timestamp) -> bool {
        let Some((said, note)) = newest else { return false };
        let held = record.held.as_ref().map(|held| held.sharing.generation);
        if held.is_some_and(|held| held >= said.generation) {
            return false;
        }
        if record.signed.iter().any(|signed| signed.sharing == *said) {
            if looked.sharing.classes.is_empty() {
                // Which of two the secretariat takes into use is not known yet.
                record.set_aside();
            }
            record.adopt(said.generation, note.clone(), now);
            self.desk.wanted.lock().remove(&looked.key.id);
            tracing::info!(key = %looked.key.id, generation = said.generation, "the shares that all have signed are in use");
            return true;
        }
        if record.held.as_ref().is_none_or(|held| !held.sharing.is_of_the_same_keys(said)) {
            return false;
        }
        // They have gone on without this member: its share fits no other any more.
        tracing::warn!(key = %looked.key.id, generation = said.generation, "the other holders have newer shares; this member's is repaired");
        record.retire();
        true
    }

    /// Whether shares are to be made anew: they are old, were made by others than are to have them, or somebody wants it.
    fn is_due(&self, looked: &Looked<'_>, record: &Record, held: &Held, now: Timestamp) -> bool {
        let age = now.since(held.since);
        let changed = held.sharing.holders != looked.sharing.in_order();
        let days = looked.roster.policy.evaluations.refresh_days;
        let wanted = self.desk.wanted.lock().contains(&looked.key.id);
        changed || wanted || record.running.is_some() || age >= DAY * days.into()
    }

    /// Whether another holder has begun to make shares anew, and these are old enough that it may want to; or so many have that one of
    /// them does not lie.
    async fn is_joined(&self, looked: &Looked<'_>, held: &Held, now: Timestamp) -> bool {
        // No ceremony has this name: only how far the others are is asked.
        let answers = self.answers(looked, Hash([0; 32])).await;
        let begun = answers.values().filter(|answer| answer.generation > held.sharing.generation).count();
        begun >= usize::from(looked.sharing.threshold) || (begun > 0 && now.since(held.since) >= MIN_SHARE_AGE)
    }

    /// The others' parts of a ceremony, of those that answer.
    async fn answers(&self, looked: &Looked<'_>, ceremony: Hash) -> BTreeMap<HolderIndex, CeremonyAnswer> {
        let query = &CeremonyQuery { key: looked.key.id.clone(), ceremony };
        let ask = |(place, member): (&HolderIndex, &MemberId)| {
            let (place, member) = (*place, member.clone());
            async move {
                let answer = timeout(HOLDER_TIMEOUT, self.fellows.ceremony(&member, query)).await.ok()?.ok()?;
                Some((place, answer))
            }
        };
        future::join_all(looked.others.iter().map(ask)).await.into_iter().flatten().collect()
    }

    /// Takes the steps of a ceremony that can be taken now.
    async fn make(&self, looked: &Looked<'_>, mut record: Record, base: Option<Held>) -> Result<bool, LookError> {
        let (id, alliance) = (&looked.key.id, self.directory.alliance());
        let plan = Plan::of(id, looked.sharing, looked.place, base);
        let now = self.clock.now();
        // One that failed is given up for the next generation, after a while.
        let running = plan.running(alliance, &record);
        let failed = running.and_then(|running| Some((running.failed.as_ref()?.at_ms, running.generation)));
        let has_room = plan.results(&record) < MAX_SIGNED_RESULTS;
        let is_due = |at_ms| now.since(Timestamp::from_unix_ms(at_ms)) >= CEREMONY_RETRY;
        let at_least = match failed {
            Some((at_ms, generation)) if has_room && (is_due(at_ms) || self.desk.wanted.lock().remove(id)) => {
                generation.saturating_add(1)
            }
            Some(_) | None => plan.least,
        };
        if plan.begin(alliance, &mut record, at_least, &*self.entropy)? {
            self.book.keep(id, &record)?;
            tracing::info!(key = %id, generation = record.running.as_ref().map(|r| r.generation), "a key ceremony begins");
        }
        loop {
            let Some((generation, ceremony)) = record.running.as_ref().map(|running| (running.generation, running.ceremony))
            else {
                return Ok(false);
            };
            let answers = self.answers(looked, ceremony).await;
            // Whoever is ahead does not come down again, so the others come up: not all at once, not past what can be kept, and not by the
            // word of one that may just have made this attempt fail.
            let rests = record.running.as_ref().is_some_and(|running| running.failed.is_some());
            let ahead = answers.values().map(|answer| answer.generation).max().unwrap_or(0);
            let ahead = ahead.min(generation.saturating_add(MAX_GENERATIONS_AHEAD));
            if !rests
                && ahead > generation
                && plan.results(&record) < MAX_SIGNED_RESULTS
                && plan.begin(alliance, &mut record, ahead, &*self.entropy)?
            {
                self.book.keep(id, &record)?;
                self.report(
                    looked,
                    &record,
                    CeremonyState::Making,
                    plan.others().map(|holder| holder.member.clone()).collect(),
                );
                return Ok(true);
            }
            let (seat, now) = (self.seat(), self.clock.now());
            let work = (plan.clone(), record.clone(), looked.roster.clone());
            let (stepped, after) = off_thread(move || {
                let (plan, mut record, roster) = work;
                let step = plan.step(&seat.at(&roster), &mut record, &answers, now);
                (step, record)
            })
            .await?;
            match stepped {
                Step::Waiting(missing) => {
                    let failed = record.running.as_ref().and_then(|running| running.failed.clone());
                    let state = failed.map_or(CeremonyState::Making, |failed| CeremonyState::Failed {
                        code: failed.code,
                        sentence: failed.sentence,
                        culprit: failed.culprit,
                    });
                    let busy = state == CeremonyState::Making;
                    self.report(looked, &record, state, missing);
                    return Ok(busy);
                }
                Step::Changed => {
                    if let Some(failed) = after.running.as_ref().and_then(|running| running.failed.as_ref()) {
                        let culprit = failed.culprit.as_ref().map(ToString::to_string);
                        tracing::error!(key = %id, code = failed.code, culprit, "a key ceremony failed: {}", failed.sentence);
                    }
                    self.book.keep(id, &after)?;
                    record = after;
                }
                Step::Done => {
                    self.book.keep(id, &after)?;
                    record = after;
                    self.desk.wanted.lock().remove(id);
                    let generation = record.held.as_ref().map(|held| held.sharing.generation);
                    tracing::info!(key = %id, generation, "the shares that all have signed are in use");
                    let state =
                        if SharedGeneration::of(looked.key).is_some() { CeremonyState::Held } else { CeremonyState::Made };
                    self.report(looked, &record, state, Vec::new());
                    return Ok(false);
                }
            }
        }
    }

    fn seat(&self) -> OwnSeat {
        OwnSeat { directory: self.directory.clone(), key: self.feed_key.clone() }
    }

    /// As many others as are needed, at random, without those that lied or did not answer: one that found another out fails, too, and is
    /// not to be left for that with the one that lied.
    fn helpers(&self, looked: &Looked<'_>, threshold: usize) -> Result<BTreeSet<HolderIndex>, EntropyError> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        let mut avoided = self.desk.avoided.lock();
        let avoided = avoided.entry(looked.key.id.clone()).or_default();
        let left = looked.others.keys().filter(|place| !avoided.contains(place)).count();
        if left < threshold {
            avoided.clear();
        }
        let mut left: Vec<HolderIndex> = looked.others.keys().filter(|place| !avoided.contains(place)).copied().collect();
        left.sort_by_key(|place| sha256(&[&salt, &place.get().to_be_bytes()]));
        Ok(left.into_iter().take(threshold).collect())
    }

    /// Asks a quorum for the share that this member has not.
    async fn repair(&self, looked: &Looked<'_>, record: &Record, sharing: SharedGeneration) -> Result<bool, LookError> {
        let id = &looked.key.id;
        self.report(looked, record, CeremonyState::Repairing, Vec::new());
        let threshold = usize::from(sharing.threshold);
        let helpers = self.helpers(looked, threshold)?;
        if helpers.len() < threshold {
            return Ok(false);
        }
        let wanted =
            Wanted::new(id.clone(), sharing.generation, looked.place, helpers, &*self.entropy).map_err(RepairError::from)?;
        let query = wanted.query(self.directory.alliance(), self.directory.member(), &self.feed_key);
        let ask = |place: &HolderIndex| {
            let (place, member, query) = (*place, looked.others.get(place).cloned(), &query);
            async move {
                let none = || HolderError::failed("NOT_A_HOLDER", "there is no such holder".into());
                let Some(member) = member else { return (place, Err(none())) };
                let late = |_| HolderError::failed("HOLDER_TIMEOUT", "it did not answer in time".into());
                let answer = timeout(HOLDER_TIMEOUT, self.fellows.repair(&member, query)).await;
                (place, answer.map_err(late).and_then(|answer| answer))
            }
        };
        let mut answers = BTreeMap::new();
        let mut silent = Vec::new();
        for (place, answer) in future::join_all(wanted.helpers.iter().map(ask)).await {
            match answer {
                Ok(answer) => drop(answers.insert(place, answer)),
                Err(error) => {
                    let helper = looked.others.get(&place).map(ToString::to_string);
                    let code = error.code();
                    tracing::warn!(key = %id, helper, code, %error, "a holder did not help with the repair of this member's share");
                    if code != CeremonyRefusal::RepairFailed(String::new()).code() {
                        self.desk.avoided.lock().entry(id.clone()).or_default().insert(place);
                    }
                    silent.extend(looked.others.get(&place).cloned());
                }
            }
        }
        if !silent.is_empty() {
            self.report(looked, record, CeremonyState::Repairing, silent);
            return Ok(true);
        }
        let holders = looked.sharing.seats();
        let (seat, roster, kept) = (self.seat(), looked.roster.clone(), sharing.clone());
        let finished = off_thread(move || {
            let repairing = Repairing {
                alliance: seat.directory.alliance(),
                roster: &roster,
                wanted: &wanted,
                query: &query,
                sharing: &kept,
                holders: &holders,
            };
            repairing.finish(&answers)
        })
        .await?;
        let shares = match finished {
            Ok(shares) => shares,
            Err(error) => {
                if let RepairError::Helper { helper, .. } = &error
                    && let Some(place) = looked.others.iter().find(|(_, member)| *member == helper).map(|(place, _)| *place)
                {
                    self.desk.avoided.lock().entry(id.clone()).or_default().insert(place);
                }
                return Err(error.into());
            }
        };
        let note = self.newest(looked).await.filter(|(newest, _)| *newest == sharing).map(|(_, note)| note);
        let held = Held { shares, sharing, note, since: self.clock.now() };
        let record = Record { held: Some(held), before: None, ..record.clone() };
        self.book.keep(id, &record)?;
        self.desk.avoided.lock().remove(id);
        tracing::info!(key = %id, "this member's share of a key is there again");
        self.report(looked, &record, CeremonyState::Held, Vec::new());
        Ok(false)
    }

    /// This member's parts of a ceremony, as far as they are made.
    ///
    /// # Errors
    /// [`CeremonyRefusal`].
    pub async fn ceremony(&self, from: &MemberId, query: &CeremonyQuery) -> Result<CeremonyAnswer, CeremonyRefusal> {
        let signed = self.directory.roster();
        let (sharing, own) = self.party(signed.roster(), &query.key, from)?;
        let (book, seat, from, query) = (self.book.clone(), self.seat(), from.clone(), query.clone());
        off_thread(move || {
            let record = book.record(&query.key)?;
            let Some(running) = &record.running else { return Ok(CeremonyAnswer::default()) };
            let others = CeremonyAnswer { generation: running.generation, ..CeremonyAnswer::default() };
            let plan = Plan::of(&query.key, &sharing, own, record.held.clone());
            let named = plan.name(seat.directory.alliance(), running.generation);
            if running.ceremony != query.ceremony || named != running.ceremony {
                return Ok(others);
            }
            Ok(plan.parts(&seat.at(signed.roster()), &record, &from)?)
        })
        .await?
    }

    /// This member's help with a repair: to the one that wants its share the sum, to another helper its piece.
    ///
    /// # Errors
    /// [`CeremonyRefusal`].
    pub async fn help(&self, from: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, CeremonyRefusal> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        let wanted = Wanted::open(query, self.directory.alliance(), roster)?;
        let (sharing, own) = self.party(roster, &wanted.key, from)?;
        let none = || CeremonyRefusal::ShareMissing(wanted.key.clone());
        let asks = sharing.index_of(from).ok_or_else(|| CeremonyRefusal::NotAHolder(wanted.key.clone()))?;
        let is_party = wanted.helpers.contains(&own) && (asks == wanted.place || wanted.helpers.contains(&asks));
        if !is_party || sharing.index_of(&query.member) != Some(wanted.place) || wanted.helpers.contains(&wanted.place) {
            return Err(RepairError::Request.into());
        }
        let (book, id) = (self.book.clone(), wanted.key.clone());
        let record = off_thread(move || book.record(&id)).await??;
        let held = record.held.as_ref().filter(|held| held.sharing.generation == wanted.generation).ok_or_else(none)?;
        let holders = sharing.seats();
        let repairing = Repairing {
            alliance: self.directory.alliance(),
            roster,
            wanted: &wanted,
            query,
            sharing: &held.sharing,
            holders: &holders,
        };
        let splits = repairing.splits(&held.shares)?;
        let split = repairing.sign_splits(&splits, self.directory.member(), &self.feed_key);
        let piece = |to: HolderIndex| Repairing::pieces(&splits, to).ok_or(RepairError::Request);
        if asks != wanted.place {
            return Ok(RepairAnswer { splits: vec![split], scalars: piece(asks)? });
        }
        tracing::info!(key = %wanted.key, member = %from, "this member helps to repair a share");
        let mut given = repairing.ask_helpers(own, &*self.fellows).await?;
        given.insert(own, (split, piece(own)?));
        Ok(repairing.answer(own, given)?)
    }

    /// How a key is shared, and this member's place; only among its holders.
    fn party(&self, roster: &Roster, key: &KeyId, from: &MemberId) -> Result<(Sharing, HolderIndex), CeremonyRefusal> {
        let listed = roster.keys.iter().find(|listed| listed.id == *key && listed.state != KeyState::Destroyed);
        let sharing = listed.and_then(|listed| listed.sharing.as_ref());
        let sharing = sharing.ok_or_else(|| CeremonyRefusal::KeyUnknown(key.clone()))?;
        let own =
            sharing.index_of(self.directory.member()).filter(|_| roster.is_active(from) && sharing.index_of(from).is_some());
        own.map(|own| (sharing.clone(), own)).ok_or_else(|| CeremonyRefusal::NotAHolder(key.clone()))
    }
}

/// That the roster has another key under a name than this member has shares of.
fn other_key(key: &KeyId) -> CeremonyState {
    let sentence = format!(
        "the roster has another key under the name {key} than the one this member has a share of, which is kept: compare rosters \
         with the secretariat; where the old key is gone for good, move its file out of data_dir/shares"
    );
    CeremonyState::Failed { code: "KEY_OTHER".to_owned(), sentence, culprit: None }
}

/// What parts are signed with, for another thread.
struct OwnSeat {
    directory: Arc<Directory>,
    key: Arc<SigningKey>,
}

impl OwnSeat {
    fn at<'s>(&'s self, roster: &'s Roster) -> Seat<'s> {
        Seat { alliance: self.directory.alliance(), member: self.directory.member(), key: &self.key, roster }
    }
}
