//! What this member said of sellers beside its signals, and under which keys it has no pseudonyms.
//!
//! The node keeps no identifiers to make new ones from: it is to be made again while the old key still answers, or it ends with that
//! key, and nobody is told.

use crate::domain::{KeyId, MemberId, Roster, Timestamp};
use crate::feed::{Body, Entry, marker_holds};
use crate::store::{Store, StoreError};

/// How much of this member's holds and has no pseudonyms under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unkeyed {
    /// Markers, of audiences that the member may still write to.
    pub markers: u64,
    /// Overrides.
    pub overrides: u64,
    /// Watches; one whose time is over counts until it is swept away.
    pub watches: u64,
}

impl Unkeyed {
    /// Reads the entry of every own marker.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub(super) fn under(
        key: &KeyId,
        store: &Store,
        roster: &Roster,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut markers = 0;
        for at in store.own_markers() {
            if roster.may_read(member, &at.feed.audience)
                && let Some(Entry { recorded_at, body: Body::Marker(marker) }) = store.entry(&at)?
                && marker_holds(&marker, member, recorded_at, roster, now)
                && marker.pseudonyms.iter().all(|set| set.key != *key)
            {
                markers += 1;
            }
        }
        Ok(Self { markers, overrides: store.overrides_without(key, now), watches: store.watches_without(key) })
    }
}
