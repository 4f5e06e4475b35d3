use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::{Clock, FeedId, MemberState, Roster, Timestamp};
use crate::membership::{Directory, Liveness};
use crate::store::{FeedFreshness, FeedState, FreshnessRecord, PictureId, Store, StoreError};

/// How long one picture of all feeds serves; checks come by the hundred thousand a second, feeds change by the hundred.
const SERVES_MS: i64 = 100;

/// How old a kept picture may be while the next one is on its way to the disk, so that one waits for it and not all.
const KEPT_SERVES_MS: i64 = 2 * SERVES_MS;

/// A picture that answers can be read again by.
pub(super) struct KeptPicture {
    /// What it shows.
    pub(super) record: Arc<FreshnessRecord>,
    /// Under which it is kept, or why it could not be.
    pub(super) id: Result<PictureId, StoreError>,
}

/// The newest picture that is kept.
struct Kept {
    serial: u64,
    id: PictureId,
    /// As it was kept, and as it was told last: the same but for its moment.
    record: Arc<FreshnessRecord>,
}

/// What answers rest on, feed by feed.
pub struct FreshnessBoard {
    store: Arc<Store>,
    directory: Arc<Directory>,
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
    /// The newest picture, and the serial of the roster it was taken under.
    latest: Mutex<Option<(u64, Arc<FreshnessRecord>)>>,
    kept: Mutex<Option<Kept>>,
    /// When each feed was last held up to all that its member was known to have signed, by the pictures that were taken.
    level_at: Mutex<BTreeMap<FeedId, Timestamp>>,
    /// One picture at a time is written.
    keeping: tokio::sync::Mutex<()>,
}

impl FreshnessBoard {
    /// Looks at these.
    #[must_use]
    pub fn new(store: Arc<Store>, directory: Arc<Directory>, liveness: Arc<Liveness>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            directory,
            liveness,
            clock,
            latest: Mutex::new(None),
            kept: Mutex::new(None),
            level_at: Mutex::default(),
            keeping: tokio::sync::Mutex::new(()),
        }
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
            _ => self.take(roster, now, &mut latest),
        }
    }

    /// The same as of this moment. For whoever waits for a change: an answer may be given by a picture that is a little older.
    #[must_use]
    pub fn fresh(&self) -> Arc<FreshnessRecord> {
        let signed = self.directory.roster();
        self.take(signed.roster(), self.clock.now(), &mut self.latest.lock())
    }

    fn take(&self, roster: &Roster, now: Timestamp, latest: &mut Option<(u64, Arc<FreshnessRecord>)>) -> Arc<FreshnessRecord> {
        let picture = Arc::new(self.picture(roster, now));
        self.note_level(&picture);
        *latest = Some((roster.serial, picture.clone()));
        picture
    }

    fn note_level(&self, picture: &FreshnessRecord) {
        let mut level_at = self.level_at.lock();
        let before = std::mem::take(&mut *level_at);
        let level = |feed: &FeedFreshness| feed.last_heard.filter(|_| feed.size >= feed.newest_size);
        let known = |feed: &FeedFreshness| level(feed).or_else(|| before.get(&feed.feed).copied());
        *level_at = picture.feeds.iter().filter_map(|feed| Some((feed.feed.clone(), known(feed)?))).collect();
    }

    /// How old what is held of each feed of `picture` is: the time since it was last known to be all that its member had signed.
    /// Exact while it is level, else by the last picture that was taken while it was. A feed that never was since the node
    /// started is left out.
    #[must_use]
    pub fn lags(&self, picture: &FreshnessRecord) -> BTreeMap<FeedId, Duration> {
        let level_at = self.level_at.lock();
        let lag = |feed: &FeedFreshness| Some((feed.feed.clone(), picture.as_of.since(*level_at.get(&feed.feed)?)));
        picture.feeds.iter().filter_map(lag).collect()
    }

    /// As [`Self::now`], kept on disk. Where it tells nothing new it is there already. Where it does, the first to notice waits
    /// until it is written, and the last one serves all others meanwhile, for a tenth of a second more.
    pub(super) async fn kept(&self) -> KeptPicture {
        let (serial, record) = (self.directory.roster().roster().serial, self.now());
        if let Some(id) = self.known(serial, &record) {
            return KeptPicture { record, id: Ok(id) };
        }
        let is_on_its_way = self.keeping.try_lock().is_err();
        if is_on_its_way && let Some(last) = self.last(serial, record.as_of) {
            return last;
        }
        KeptPicture { id: self.keep(serial, record.clone()).await, record }
    }

    /// The picture that was kept last, while it may still serve.
    fn last(&self, serial: u64, now: Timestamp) -> Option<KeptPicture> {
        let kept = self.kept.lock();
        let serves = |kept: &&Kept| (0..KEPT_SERVES_MS).contains(&(now.unix_ms() - kept.record.as_of.unix_ms()));
        let last = kept.as_ref().filter(|kept| kept.serial == serial).filter(serves)?;
        Some(KeptPicture { record: last.record.clone(), id: Ok(last.id) })
    }

    /// The picture that is kept, where `record` tells the same. It is told with the moment of `record` from now on.
    fn known(&self, serial: u64, record: &Arc<FreshnessRecord>) -> Option<PictureId> {
        let mut kept = self.kept.lock();
        let kept = kept.as_mut().filter(|kept| kept.serial == serial)?;
        if !Arc::ptr_eq(&kept.record, record) {
            kept.record.tells_the_same(record).then(|| kept.record = record.clone())?;
        }
        Some(kept.id)
    }

    async fn keep(&self, serial: u64, record: Arc<FreshnessRecord>) -> Result<PictureId, StoreError> {
        let _one_at_a_time = self.keeping.lock().await;
        if let Some(id) = self.known(serial, &record) {
            return Ok(id);
        }
        let id = self.store.keep_picture(record.clone()).await?;
        *self.kept.lock() = Some(Kept { serial, id, record });
        Ok(id)
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
            last_heard: if own { Some(now) } else { self.liveness.last_heard(&feed, now) },
            state: match self.store.feed_state(&feed) {
                FeedState::Followed if expelled => FeedState::Expelled,
                state => state,
            },
            live_signals: held.as_ref().map_or(0, |f| f.live_signals),
            not_understood: held.as_ref().map_or(0, |f| f.not_understood),
            missing: held.as_ref().map_or(0, |f| f.missing),
            feed,
        }
    }
}

/// Whether an answer that rests on `freshness` may draw on `feed`: it may where the feed is listed, and on no other.
pub(super) fn rests_on(freshness: &FreshnessRecord, feed: &FeedId) -> bool {
    freshness.feeds.binary_search_by(|listed| listed.feed.cmp(feed)).is_ok()
}
