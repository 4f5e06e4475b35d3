//! Watches: standing checks that stay on this node, and alerts where their answer changes.
//!
//! The store says which watches are to be looked at ([`crate::store::Look`]); a [`Watcher`] looks, which is a check like any other,
//! from what this node holds, and settles what it found. An alert is there until a client acknowledges it, so it is delivered at
//! least once, whoever was away.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::blocking::off_thread;
use super::cases::CaseError;
use super::worker::work;
use super::{Pseudonymiser, Screener};
use crate::domain::limits::{LOOK_AGAIN_INTERVAL, MAX_ALERTS, MAX_NAME_CHARS, MAX_PAGE, MAX_WATCH_DAYS};
use crate::domain::{Alert, AlertId, Clock, FieldError, Identifier, SignalRef, Standing, Strength, Timestamp, Watch, WatchId};
use crate::membership::Directory;
use crate::store::{Look, Store, StoreError};

/// Watches that are looked at together: one commit, and little memory.
const LOOKED_AT: usize = 256;
/// Watches that are read at a time where those that have ended are looked for.
const SWEPT: usize = 1_000;
/// How long a watcher waits after a failure of the store.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Makes, lists and ends watches, and hands out alerts.
pub struct Watches {
    /// Where they are.
    pub store: Arc<Store>,
    /// Which kinds are weak, and how long a watch runs.
    pub directory: Arc<Directory>,
    /// What replaces the identifiers.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What is to be watched.
#[derive(Debug, Clone)]
pub struct WatchDraft {
    /// Whom.
    pub identifiers: Vec<Identifier>,
    /// For how many days; `None` for those of the policy.
    pub days: Option<u16>,
    /// The member's own name for it, at most 120 characters. Kept as it is: it must not name the seller.
    pub label: String,
}

impl Watches {
    /// Watches sellers from now on; what is known of them already is told at once. Durable when this returns. One outcome for each, in
    /// order.
    pub async fn add(&self, drafts: Vec<WatchDraft>) -> Vec<Result<WatchId, CaseError>> {
        let mut outcomes: Vec<Result<WatchId, CaseError>> = Vec::with_capacity(drafts.len());
        let (mut places, mut watches) = (Vec::new(), Vec::new());
        for (place, draft) in drafts.into_iter().enumerate() {
            match self.watch(draft).await {
                Ok(watch) => {
                    places.push(place);
                    watches.push(watch);
                    // Taken back below.
                    outcomes.push(Err(StoreError::Closed.into()));
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        if watches.is_empty() {
            return outcomes;
        }
        match self.store.put_watches(watches).await {
            Ok(ids) => places.into_iter().zip(ids).for_each(|(place, id)| outcomes[place] = Ok(id)),
            Err(error) => places.into_iter().for_each(|place| outcomes[place] = Err(error.clone().into())),
        }
        outcomes
    }

    async fn watch(&self, draft: WatchDraft) -> Result<Watch, CaseError> {
        let WatchDraft { identifiers, days, label } = draft;
        if label.chars().count() > MAX_NAME_CHARS || label.chars().any(char::is_control) {
            let message = "give at most 120 characters without control characters";
            return Err(FieldError::new("TEXT_INVALID", "label", message).into());
        }
        let signed = self.directory.roster();
        let days = days.unwrap_or(signed.roster().policy.watch_days);
        if !(1..=MAX_WATCH_DAYS).contains(&days) {
            return Err(FieldError::new("WATCH_DAYS_INVALID", "days", "give 1 to 3653 days, or 0 for the policy's").into());
        }
        if identifiers.iter().all(|identifier| signed.roster().strength(identifier.kind) == Strength::Weak) {
            let message = "a name or an address alone flags nobody; give an account, phone, licence or other strong identifier";
            return Err(FieldError::new("IDENTIFIERS_ALL_WEAK", "identifiers", message).into());
        }
        let (kinds, forms) = self.pseudonymiser.seller(&identifiers)?;
        let pseudonyms = self.pseudonymiser.to_write(forms).await?;
        let made_at = self.clock.now();
        Ok(Watch { kinds, pseudonyms, made_at, until: made_at.plus_days(days), label, standing: Standing::UNKNOWN })
    }

    /// Ends a watch. Durable when this returns; false where there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, id: WatchId) -> Result<bool, CaseError> {
        Ok(self.store.remove_watches(vec![id]).await? > 0)
    }

    /// Those after `after`, at most `count` (1 to 1,000), in the order in which they were made.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, after: Option<WatchId>, count: usize) -> Result<Vec<(WatchId, Watch)>, CaseError> {
        let store = self.store.clone();
        Ok(off_thread(move || store.watches(after, count.clamp(1, MAX_PAGE))).await??)
    }

    /// The alerts after `after` that nobody acknowledged, at most `count` (1 to 1,000), in the order in which they were raised.
    ///
    /// # Errors
    /// The store's.
    pub async fn alerts(&self, after: Option<AlertId>, count: usize) -> Result<Vec<(AlertId, Alert)>, CaseError> {
        let store = self.store.clone();
        Ok(off_thread(move || store.alerts(after, count.clamp(1, MAX_PAGE))).await??)
    }

    /// Takes an alert away, so that it is delivered no more. Durable when this returns; false where there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn acknowledge(&self, id: AlertId) -> Result<bool, CaseError> {
        Ok(self.store.acknowledge(id).await?)
    }

    /// Ends the watches whose time is over.
    ///
    /// # Errors
    /// The store's, or that reading ended with a panic.
    pub async fn sweep(&self) -> Result<usize, CaseError> {
        let (mut after, mut ended) = (None, 0);
        loop {
            let store = self.store.clone();
            let page = off_thread(move || store.watches(after, SWEPT)).await??;
            let Some((last, _)) = page.last() else { return Ok(ended) };
            after = Some(*last);
            let now = self.clock.now();
            let over: Vec<WatchId> = page.iter().filter(|(_, watch)| watch.until <= now).map(|(id, _)| *id).collect();
            if !over.is_empty() {
                ended += self.store.remove_watches(over).await?;
            }
        }
    }
}

/// Looks at watches as they are to be looked at.
pub struct Watcher {
    /// What is to be looked at, and where it is settled.
    pub store: Arc<Store>,
    /// Looks.
    pub screener: Arc<Screener>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Watcher {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let look = || async { Ok(self.look().await? > 0) };
        let looking = work(self.store.changes(), &stop, PAUSE, "watches could not be looked at; it is tried again", look);
        tokio::select! {
            () = looking => {}
            () = self.ask_again() => {}
        }
    }

    /// Asks for looks as time goes by, from the start on; never ends.
    async fn ask_again(&self) {
        let mut again = tokio::time::interval(LOOK_AGAIN_INTERVAL);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            again.tick().await;
            if let Err(error) = self.store.look_again().await {
                tracing::warn!(code = error.code(), %error, "watches could not be asked for again");
            }
        }
    }

    /// Looks at some of the watches that are to be looked at; gives how many were settled.
    ///
    /// # Errors
    /// The store's, or that a look ended with a panic.
    pub async fn look(&self) -> Result<usize, CaseError> {
        let looks = self.store.looks(LOOKED_AT);
        // Where nobody takes alerts any more, watches wait: what is to be looked at stays so.
        if looks.is_empty() || self.store.watch_counts().1 >= MAX_ALERTS {
            return Ok(0);
        }
        let (store, screener, now) = (self.store.clone(), self.screener.clone(), self.clock.now());
        let find = move || looks.into_iter().map(|look| found(&store, &screener, look, now)).collect::<Result<Vec<_>, _>>();
        let found = off_thread(find).await??;
        let settled: Vec<_> = found.into_iter().flatten().collect();
        let count = settled.len();
        let alerts = settled.iter().filter(|(_, _, alert)| alert.is_some()).count();
        self.store.settle_looks(settled).await?;
        if alerts > 0 {
            tracing::info!(alerts, "watched sellers are seen in another light");
        }
        Ok(count)
    }
}

/// What a look comes to; `None` where there is no such watch any more.
fn found(
    store: &Store,
    screener: &Screener,
    look: Look,
    now: Timestamp,
) -> Result<Option<(Look, Standing, Option<Alert>)>, StoreError> {
    let Some(watch) = store.watch(look.watch)? else { return Ok(None) };
    // One whose time is over waits for the sweep, and tells nothing any more.
    if watch.until <= now {
        return Ok(Some((look, watch.standing, None)));
    }
    let (standing, signal): (Standing, Option<SignalRef>) = screener.standing_of(&watch)?;
    let alert = standing.news_after(watch.standing).map(|kind| Alert {
        watch: look.watch,
        label: watch.label.clone(),
        kind,
        raised_at: now,
        before: watch.standing,
        after: standing,
        signal: look.cause.clone().or(signal),
        refused: String::new(),
    });
    Ok(Some((look, standing, alert)))
}
