//! Work that comes up as the store changes, done until there is none, and again when it has changed.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cases::CaseError;
use crate::store::StoreError;

/// Takes steps until `stop`, or the store is closed. A step tells whether there may be more to do; after one that found nothing, the next
/// change of the store is waited for. One that fails, for whatever reason, is tried again after `pause`: `what` says what then
/// happens, for the log.
pub(super) async fn work<S: Future<Output = Result<bool, CaseError>>>(
    mut changes: watch::Receiver<u64>,
    stop: &CancellationToken,
    pause: Duration,
    what: &'static str,
    step: impl Fn() -> S,
) {
    while let Some(worked) = stop.run_until_cancelled(step()).await {
        let next = match worked {
            Ok(true) => continue,
            Ok(false) => stop.run_until_cancelled(changes.changed()).await.is_some_and(|changed| changed.is_ok()),
            Err(CaseError::Store(StoreError::Closed)) => false,
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "{what}");
                stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
            }
        };
        if !next {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::super::blocking::Panicked;
    use super::*;

    /// How many of the steps are taken, where the last is followed by nothing but what `end` does.
    async fn taken(steps: Vec<Result<bool, CaseError>>, stop: &CancellationToken, end: impl Fn(&CancellationToken)) -> usize {
        let (changed, changes) = watch::channel(0);
        let changed = RefCell::new(Some(changed));
        let count = Cell::new(0);
        let step = || async {
            let at = count.replace(count.get() + 1);
            let worked = steps.get(at).cloned().unwrap_or_else(|| {
                end(stop);
                drop(changed.take());
                Ok(false)
            });
            if let (Ok(false), Some(changed)) = (&worked, &*changed.borrow()) {
                // Something changes while the step is taken, so that the next one need not be waited for.
                changed.send_modify(|version| *version += 1);
            }
            worked
        };
        work(changes, stop, Duration::ZERO, "it is tried again", step).await;
        count.get()
    }

    #[tokio::test]
    async fn a_step_that_fails_or_ends_with_a_panic_is_not_the_last() {
        let failed = CaseError::Store(StoreError::WatchesFull);
        let steps = vec![Err(failed), Err(Panicked.into()), Ok(true), Ok(false)];
        assert_eq!(taken(steps, &CancellationToken::new(), |_| {}).await, 5);
    }

    #[tokio::test]
    async fn a_closed_store_and_a_stop_end_it() {
        let stop = CancellationToken::new();
        assert_eq!(taken(vec![Ok(true), Err(StoreError::Closed.into()), Ok(true)], &stop, |_| {}).await, 2);
        assert_eq!(taken(vec![Ok(true)], &stop, CancellationToken::cancel).await, 2);
        assert_eq!(taken(vec![Ok(true)], &stop, |_| {}).await, 0, "it is stopped already");
    }
}
