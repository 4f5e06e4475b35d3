//! What a node does by itself now and then: it looks for what is kept too long and for watches that are over, and has its files written anew
//! where content was removed.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::domain::limits::{HOUSEKEEPING_INTERVAL, PURGE_INTERVAL, SWEEP_INTERVAL};
use crate::domain::{Clock, Timestamp};
use crate::service::{AuditTrail, Retention, Watches};
use crate::store::Store;

pub(super) struct Housekeeping {
    pub(super) store: Arc<Store>,
    pub(super) retention: Retention,
    pub(super) watches: Arc<Watches>,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Housekeeping {
    /// Works until `stop`. What is under way then ends as it ends: a sweep between two pieces, a purge when it is done.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(HOUSEKEEPING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one is at once, and a node that starts has other things to do.
        ticks.tick().await;
        let mut swept_at: Option<Timestamp> = None;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = self.clock.now();
            if swept_at.is_none_or(|at| now.since(at) >= SWEEP_INTERVAL) {
                swept_at = Some(now);
                if stop.run_until_cancelled(self.sweep()).await.is_none() {
                    return;
                }
            }
            if self.store.purge_due().is_some_and(|last| now.since(last) >= PURGE_INTERVAL) {
                self.purge().await;
            }
        }
    }

    async fn sweep(&self) {
        match self.retention.sweep().await {
            Ok(swept) if swept.erased + swept.removed > 0 => {
                tracing::info!(erased = swept.erased, removed = swept.removed, "what was kept long enough is gone");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(code = error.code(), %error, "what is kept too long could not be looked for"),
        }
        match self.watches.sweep().await {
            Ok(ended) if ended > 0 => tracing::info!(ended, "watches whose time is over have ended"),
            Ok(_) => {}
            Err(error) => tracing::warn!(code = error.code(), %error, "watches that are over could not be looked for"),
        }
        self.prune_ledger().await;
        match self.audit.sweep().await {
            Ok(forgotten) if forgotten > 0 => tracing::info!(forgotten, "audit records were kept long enough"),
            Ok(_) => {}
            Err(error) => tracing::warn!(code = error.code(), %error, "old audit records could not be removed"),
        }
    }

    /// Until there is nothing left that was kept long enough.
    async fn prune_ledger(&self) {
        let today = u32::try_from(self.clock.now().unix_day()).unwrap_or(0);
        let mut forgotten = 0;
        loop {
            match self.store.prune_ledger(today).await {
                Ok(0) => break,
                Ok(rows) => forgotten += rows,
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "the ledger of shared keys could not be pruned");
                    break;
                }
            }
        }
        if forgotten > 0 {
            tracing::info!(forgotten, "old rows of the ledger of shared keys were removed");
        }
    }

    async fn purge(&self) {
        match self.store.purge().await {
            Ok(true) => tracing::info!("the store's files were written anew without what was erased"),
            Ok(false) => {}
            Err(error) => tracing::warn!(
                code = error.code(), %error,
                "the store's files still hold what was erased; they are written anew once there is room"
            ),
        }
    }
}
