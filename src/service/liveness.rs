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

    /// `member`'s own node gave word at `at`.
    pub fn heard(&self, member: &MemberId, at: Timestamp) {
        let mut heard = self.heard.write();
        let last = heard.entry(member.clone()).or_insert(at);
        *last = at.max(*last);
    }

    /// A checkpoint of `size` entries, rightly signed, was seen.
    pub fn newest(&self, feed: &FeedId, size: Seq) {
        let mut newest = self.newest.write();
        let known = newest.entry(feed.clone()).or_insert(size);
        *known = size.max(*known);
    }

    /// When `member`'s own node last gave word; `None` for not since this node started.
    #[must_use]
    pub fn last_heard(&self, member: &MemberId) -> Option<Timestamp> {
        self.heard.read().get(member).copied()
    }

    /// The largest size of `feed` that was signed and seen; 0 for none.
    #[must_use]
    pub fn newest_size(&self, feed: &FeedId) -> Seq {
        self.newest.read().get(feed).copied().unwrap_or(Seq::ZERO)
    }
}
