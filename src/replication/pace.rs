use std::time::Duration;

use crate::domain::limits::{BACKOFF_FIRST, BACKOFF_LAST, HEARTBEAT_INTERVAL, RELAY_AFTER};

/// The intervals of replication. Those of the alliance are [`Pace::default`]; a simulation hands down shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often a follower hears from a node with nothing new.
    pub heartbeat: Duration,
    /// How long a member may be unreachable before its feeds are asked of others.
    pub relay_after: Duration,
    /// First wait before a peer is dialled again.
    pub backoff_first: Duration,
    /// Longest wait before a peer is dialled again; the only one after it misbehaved.
    pub backoff_last: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT_INTERVAL,
            relay_after: RELAY_AFTER,
            backoff_first: BACKOFF_FIRST,
            backoff_last: BACKOFF_LAST,
        }
    }
}

impl Pace {
    /// How often a peer can make this node list heads or look at a roster: nearly as often as an honest one gives word, with
    /// room for heartbeats that come a little early.
    #[must_use]
    pub fn allowance(&self) -> Duration {
        self.heartbeat * 3 / 4
    }

    /// How long a peer that tampered with a feed or withheld it is asked for that feed last of all, and how long what is
    /// wrong with it is not logged again: an hour.
    #[must_use]
    pub const fn memory(&self) -> Duration {
        self.heartbeat.saturating_mul(360)
    }

    /// How long a peer may be silent, or leave a question unanswered, before it counts as gone: three heartbeats.
    #[must_use]
    pub const fn silence(&self) -> Duration {
        self.heartbeat.saturating_mul(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_heartbeat_is_listened_to_that_comes_a_little_early_and_no_more() {
        let pace = Pace::default();
        assert!(pace.allowance() < pace.heartbeat && pace.allowance() * 2 > pace.heartbeat);
    }
}
