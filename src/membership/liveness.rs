use std::collections::HashMap;

use parking_lot::RwLock;

use crate::domain::{FeedId, MemberId, Seq, Timestamp};

/// When each member was last heard, and how large the newest signed checkpoint of each feed is. Bounded by the roster: only
/// members and feeds of it are ever noted.
#[derive(Default)]
pub struct Liveness {
    heard: RwLock<HashMap<MemberId, Timestamp>>,
    newest: RwLock<HashMap<FeedId, Seq>>,
}

impl Liveness {
    /// Nothing heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `member`'s own node gave word at `at`. The last word counts, also where the clock was set back since the one before.
    pub fn heard(&self, member: &MemberId, at: Timestamp) {
        self.heard.write().insert(member.clone(), at);
    }

    /// A checkpoint of `size` entries, rightly signed, was seen.
    pub fn newest(&self, feed: &FeedId, size: Seq) {
        let mut newest = self.newest.write();
        let known = newest.entry(feed.clone()).or_insert(size);
        *known = size.max(*known);
    }

    /// When `member`'s own node last gave word; `None` for not since this node started, or not since its clock, which says `now`, was set
    /// back: how long ago that was, nobody can tell.
    #[must_use]
    pub fn last_heard(&self, member: &MemberId, now: Timestamp) -> Option<Timestamp> {
        self.heard.read().get(member).copied().filter(|heard| *heard <= now)
    }

    /// The largest size of `feed` that was signed and seen; 0 for none.
    #[must_use]
    pub fn newest_size(&self, feed: &FeedId) -> Seq {
        self.newest.read().get(feed).copied().unwrap_or(Seq::ZERO)
    }
}
