use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::limits::{MAX_REFUSALS_REMEMBERED, REFUSAL_LOG_PAUSE};

/// Tells the first of a row of equal events from its repetitions, so that a caller that tries again and again does not fill
/// the log.
pub(super) struct Repeats<K>(Mutex<HashMap<K, Row>>);

struct Row {
    logged_at: Instant,
    held_back: u64,
}

impl<K: Eq + Hash> Repeats<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// `Some` where the event is to be logged, with how many of its kind were not since the last that was.
    pub(super) fn pass(&self, event: K, now: Instant) -> Option<u64> {
        let mut rows = self.0.lock();
        if let Some(row) = rows.get_mut(&event) {
            if now.duration_since(row.logged_at) < REFUSAL_LOG_PAUSE {
                row.held_back += 1;
                return None;
            }
            row.logged_at = now;
            return Some(std::mem::take(&mut row.held_back));
        }
        if rows.len() >= MAX_REFUSALS_REMEMBERED {
            rows.retain(|_, row| now.duration_since(row.logged_at) < REFUSAL_LOG_PAUSE);
        }
        // Still full: the log is as busy as it may be.
        if rows.len() >= MAX_REFUSALS_REMEMBERED {
            return None;
        }
        rows.insert(event, Row { logged_at: now, held_back: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_passes_and_the_next_after_the_pause_tells_of_those_between() {
        let (repeats, start) = (Repeats::new(), Instant::now());
        assert_eq!(repeats.pass("a", start), Some(0));
        assert_eq!(repeats.pass("b", start), Some(0), "another kind");
        assert_eq!((repeats.pass("a", start), repeats.pass("a", start)), (None, None));
        assert_eq!(repeats.pass("a", start + REFUSAL_LOG_PAUSE), Some(2));
        assert_eq!(repeats.pass("a", start + 2 * REFUSAL_LOG_PAUSE), Some(0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (repeats, start) = (Repeats::new(), Instant::now());
        assert!((0..MAX_REFUSALS_REMEMBERED).all(|kind| repeats.pass(kind, start) == Some(0)));
        assert_eq!(repeats.pass(MAX_REFUSALS_REMEMBERED, start), None);
        assert_eq!(repeats.pass(MAX_REFUSALS_REMEMBERED, start + REFUSAL_LOG_PAUSE), Some(0));
        assert_eq!(repeats.0.lock().len(), 1);
    }
}
