use std::collections::HashMap;

use parking_lot::RwLock;

use crate::domain::{FeedId, Seq, Timestamp};

/// When each feed's member was last heard, and how large the newest signed checkpoint of each feed is. Bounded by the roster: only
/// feeds of it are ever noted.
#[derive(Default)]
pub struct Liveness {
    heard: RwLock<HashMap<FeedId, Timestamp>>,
    newest: RwLock<HashMap<FeedId, Seq>>,
}

impl Liveness {
    /// Nothing heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The own node of `feed`'s member, whose copy of it was compared with, gave word at `at`. The last word counts, also where the
    /// clock was set back since the one before.
    pub fn heard(&self, feed: &FeedId, at: Timestamp) {
        self.heard.write().insert(feed.clone(), at);
    }

    /// A checkpoint of `size` entries, rightly signed, was seen.
    pub fn newest(&self, feed: &FeedId, size: Seq) {
        let mut newest = self.newest.write();
        let known = newest.entry(feed.clone()).or_insert(size);
        *known = size.max(*known);
    }

    /// When the own node of `feed`'s member last gave word after its copy was compared with; `None` for not since this node started, or
    /// not since its clock, which says `now`, was set back: how long ago that was, nobody can tell.
    #[must_use]
    pub fn last_heard(&self, feed: &FeedId, now: Timestamp) -> Option<Timestamp> {
        self.heard.read().get(feed).copied().filter(|heard| *heard <= now)
    }

    /// The largest size of `feed` that was signed and seen; 0 for none.
    #[must_use]
    pub fn newest_size(&self, feed: &FeedId) -> Seq {
        self.newest.read().get(feed).copied().unwrap_or(Seq::ZERO)
    }
}
