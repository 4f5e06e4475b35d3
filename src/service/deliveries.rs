//! Alerts that are handed to a receiver of the member's, one after the other, until it has taken each; taking one acknowledges it.
//!
//! A receiver that cannot be reached, or that is in trouble, is tried again for ever, ever more rarely: alerts are durable and wait.
//! One that refuses an alert is tried a few times; then the alert is set aside, stays listed with the reason, and the next ones go on.
//! A crash between a delivery and its record delivers once more: a receiver knows an alert by its name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::blocking::off_thread;
use super::cases::CaseError;
use super::worker::work;
use crate::domain::limits::MAX_REFUSED_DELIVERIES;
use crate::domain::{Alert, AlertId, Clock, Timestamp};
use crate::store::{Delivered, Store};

/// Takes alerts.
#[async_trait]
pub trait AlertSink: Send + Sync + 'static {
    /// Hands over one alert; has a deadline of its own.
    ///
    /// # Errors
    /// Where the receiver has not taken it.
    async fn deliver(&self, id: AlertId, alert: &Alert) -> Result<(), DeliveryError>;
}

/// Why an alert was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DeliveryError {
    /// Stable code.
    pub code: &'static str,
    /// What happened, for the operator.
    pub detail: String,
    /// The receiver refused this alert, and will refuse it again.
    pub refused: bool,
}

/// How deliveries go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryStatus {
    /// When the receiver last took an alert; `None` for not since the start.
    pub delivered_at: Option<Timestamp>,
    /// Since when the alert at hand has not been taken; `None` where all is well.
    pub failing_since: Option<Timestamp>,
    /// Code and words of the last failure.
    pub last_error: Option<(&'static str, String)>,
}

/// Delivers alerts.
pub struct Deliveries {
    /// Where they are.
    pub store: Arc<Store>,
    /// Takes them.
    pub sink: Arc<dyn AlertSink>,
    /// The first wait before an alert is handed over again, and the longest.
    pub pauses: (Duration, Duration),
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How it goes.
    pub status: Arc<Mutex<DeliveryStatus>>,
}

impl Deliveries {
    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let what = "what was delivered could not be noted; it is delivered again";
        work(self.store.changes(), &stop, self.pauses.1, what, || self.next()).await;
    }

    /// Delivers the next alert; false where there is none.
    async fn next(&self) -> Result<bool, CaseError> {
        if !self.store.may_have_alerts(self.store.delivered_until()) {
            return Ok(false);
        }
        let store = self.store.clone();
        let next = off_thread(move || store.alerts(store.delivered_until(), 1)).await??;
        let Some((id, alert)) = next.into_iter().next() else { return Ok(false) };
        let delivered = self.deliver(id, &alert).await;
        self.store.note_delivery(id, delivered).await?;
        Ok(true)
    }

    /// Tries until the alert is taken, or refused for good.
    async fn deliver(&self, id: AlertId, alert: &Alert) -> Delivered {
        let ((mut pause, longest), mut refusals) = (self.pauses, 0);
        loop {
            let error = match self.sink.deliver(id, alert).await {
                Ok(()) => {
                    let delivered_at = Some(self.clock.now());
                    *self.status.lock() = DeliveryStatus { delivered_at, ..DeliveryStatus::default() };
                    return Delivered::Taken;
                }
                Err(error) => error,
            };
            refusals += u32::from(error.refused);
            self.failed(id, &error);
            if refusals >= MAX_REFUSED_DELIVERIES {
                tracing::error!(code = error.code, %id, %error, "the receiver refuses an alert; it is set aside");
                self.status.lock().failing_since = None;
                return Delivered::Refused(error.code);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    fn failed(&self, id: AlertId, error: &DeliveryError) {
        let mut status = self.status.lock();
        if status.failing_since.is_none() {
            tracing::warn!(code = error.code, %id, %error, "an alert could not be delivered; it is tried again");
        }
        status.failing_since.get_or_insert(self.clock.now());
        status.last_error = Some((error.code, error.detail.clone()));
    }
}

/// How long a receiver may take.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
