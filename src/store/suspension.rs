use std::time::Duration;

use super::StoreError;
use super::engine::EngineError;
use crate::domain::Timestamp;

/// First wait between two attempts to write again: each one probes the volume and may read the whole store.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const LAST_WAIT: Duration = Duration::from_secs(60);

/// Why nothing is written at present, and when that may change.
///
/// Only a full volume is waited for. After any other failure nobody knows what of the last writes is on disk and what is in the
/// system's cache alone, so nothing is written until the node is started again.
pub(super) struct Suspension {
    refusal: StoreError,
    passes: bool,
    last_attempt: Timestamp,
    wait: Duration,
}

impl Suspension {
    pub(super) fn new(error: &EngineError, now: Timestamp) -> Self {
        let passes = matches!(error, EngineError::Full(_));
        Self { refusal: StoreError::unwritable(error), passes, last_attempt: now, wait: FIRST_WAIT }
    }

    /// What whoever wants to write is told.
    pub(super) fn refusal(&self) -> StoreError {
        self.refusal.clone()
    }

    /// Whether to try again now. A clock that was set back must not stretch the wait.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let since = now.unix_ms() - self.last_attempt.unix_ms();
        self.passes && u64::try_from(since).map_or(true, |ms| Duration::from_millis(ms) >= self.wait)
    }

    /// An attempt failed; the next one comes after twice the wait.
    pub(super) fn attempt_failed(&mut self, now: Timestamp) {
        self.last_attempt = now;
        self.wait = LAST_WAIT.min(self.wait * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_ms(seconds * 1_000)
    }

    #[test]
    fn attempts_become_rarer() {
        let mut full = Suspension::new(&EngineError::Full(std::io::ErrorKind::StorageFull.into()), at(0));
        let mut attempts = Vec::new();
        for second in 0..200 {
            if full.is_due(at(second)) {
                attempts.push(second);
                full.attempt_failed(at(second));
            }
        }
        assert_eq!(attempts, [1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(full.is_due(at(-5)), "the clock was set back");
    }

    #[test]
    fn only_a_full_volume_is_waited_for() {
        for error in
            [EngineError::Io(std::io::ErrorKind::Other.into()), EngineError::Damaged("x".into()), EngineError::Suspended]
        {
            assert!(!Suspension::new(&error, at(0)).is_due(at(1_000_000)), "{error}");
        }
    }
}
