use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::{Clock, FeedId, MemberState, Roster, Timestamp};
use crate::membership::{Directory, Liveness};
use crate::store::{FeedFreshness, FeedState, FreshnessRecord, Store};

/// How long one picture of all feeds serves; checks come by the hundred thousand a second, feeds change by the hundred.
const SERVES_MS: i64 = 100;

/// What answers rest on, feed by feed.
pub struct FreshnessBoard {
    store: Arc<Store>,
    directory: Arc<Directory>,
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
    /// The newest picture, and the serial of the roster it was taken under.
    latest: Mutex<Option<(u64, Arc<FreshnessRecord>)>>,
}

impl FreshnessBoard {
    /// Looks at these.
    #[must_use]
    pub fn new(store: Arc<Store>, directory: Arc<Directory>, liveness: Arc<Liveness>, clock: Arc<dyn Clock>) -> Self {
        Self { store, directory, liveness, clock, latest: Mutex::new(None) }
    }

    /// The state of every feed that this node may read under the roster in force, at most a tenth of a second old. It may tell
    /// of a little less of a feed than an answer rests on, never of more.
    #[must_use]
    pub fn now(&self) -> Arc<FreshnessRecord> {
        let now = self.clock.now();
        let signed = self.directory.roster();
        let roster = signed.roster();
        let mut latest = self.latest.lock();
        let serves = |p: &FreshnessRecord| (0..SERVES_MS).contains(&(now.unix_ms() - p.as_of.unix_ms()));
        match &*latest {
            Some((serial, picture)) if *serial == roster.serial && serves(picture) => picture.clone(),
            _ => {
                let picture = Arc::new(self.picture(roster, now));
                *latest = Some((roster.serial, picture.clone()));
                picture
            }
        }
    }

    /// In the order of the feeds. Own feeds stay in the picture also where this member has left their group: it may still read
    /// what it said itself.
    fn picture(&self, roster: &Roster, now: Timestamp) -> FreshnessRecord {
        let own = self.directory.member();
        let mut feeds = roster.readable_feeds(own);
        feeds.extend(self.store.own_feeds());
        FreshnessRecord { as_of: now, feeds: feeds.into_iter().map(|feed| self.feed(feed, roster, now)).collect() }
    }

    fn feed(&self, feed: FeedId, roster: &Roster, now: Timestamp) -> FeedFreshness {
        let held = self.store.feed(&feed);
        let size = held.as_ref().map_or_else(Default::default, |f| f.size);
        let own = feed.member == *self.directory.member();
        let expelled = roster.member(&feed.member).is_none_or(|m| m.state == MemberState::Expelled);
        FeedFreshness {
            size,
            newest_size: size.max(self.liveness.newest_size(&feed)),
            last_heard: if own { Some(now) } else { self.liveness.last_heard(&feed.member) },
            state: match self.store.feed_state(&feed) {
                FeedState::Followed if expelled => FeedState::Expelled,
                state => state,
            },
            live_signals: held.as_ref().map_or(0, |f| f.live_signals),
            not_understood: held.as_ref().map_or(0, |f| f.not_understood),
            feed,
        }
    }
}

/// Whether an answer that rests on `freshness` may draw on `feed`: it may where the feed is listed, and on no other.
pub(super) fn rests_on(freshness: &FreshnessRecord, feed: &FeedId) -> bool {
    freshness.feeds.binary_search_by(|listed| listed.feed.cmp(feed)).is_ok()
}
