//! Who is asked for what. Pure: the same situation gives the same plan.
//!
//! A feed is followed at its own member's node while that is connected. While it is away for long, any member of the audience
//! may relay the feed: the one that is known to hold most of it, and among equals the one that has it already or that a hash
//! chooses, so that the nodes of an alliance do not all turn to the same peer. A feed is never followed at two peers at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::domain::limits::MAX_FOLLOWED_FEEDS;
use crate::domain::{Audience, FeedId, MemberId, Roster, Seq};
use crate::feed::{Hash, leaf_hash};

/// At which peer each feed is followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan(BTreeMap<FeedId, MemberId>);

impl Plan {
    /// The feeds to follow at `peer`.
    pub(super) fn at(&self, peer: &MemberId) -> BTreeSet<FeedId> {
        self.0.iter().filter(|(_, at)| *at == peer).map(|(feed, _)| feed.clone()).collect()
    }

    fn is_at(&self, feed: &FeedId, peer: &MemberId) -> bool {
        self.0.get(feed) == Some(peer)
    }
}

/// Whether a peer can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// There is a session with it.
    Connected,
    /// Not for a short while: its feeds wait for it.
    Lost,
    /// For so long that others are asked for its feeds.
    Away,
}

/// What is known of a peer.
#[derive(Debug, Clone)]
pub(super) struct Prospect {
    pub(super) presence: Presence,
    /// Sizes that it has shown signed and that were beyond what was held.
    pub(super) known: BTreeMap<FeedId, Seq>,
    /// Feeds that it does not serve in this session.
    pub(super) refused: BTreeSet<FeedId>,
    /// Feeds of which it sent entries that were not those signed: it is asked for them last of all.
    pub(super) distrusted: BTreeSet<FeedId>,
    /// Feeds of its own of which it has lost a part.
    pub(super) stale: BTreeSet<FeedId>,
    /// Feeds that it has shown more of than it sends.
    pub(super) stalled: BTreeSet<FeedId>,
}

impl Prospect {
    pub(super) const fn new(presence: Presence) -> Self {
        Self {
            presence,
            known: BTreeMap::new(),
            refused: BTreeSet::new(),
            distrusted: BTreeSet::new(),
            stale: BTreeSet::new(),
            stalled: BTreeSet::new(),
        }
    }

    fn has_fault(&self, feed: &FeedId) -> bool {
        let faults = [&self.refused, &self.distrusted, &self.stale, &self.stalled];
        faults.iter().any(|feeds| feeds.contains(feed))
    }
}

/// What a plan is made from.
pub(super) struct Situation<'a> {
    pub(super) me: &'a MemberId,
    pub(super) roster: &'a Roster,
    /// Every peer that has an address. Who is not here counts as away.
    pub(super) peers: &'a BTreeMap<MemberId, Prospect>,
    pub(super) quarantined: &'a BTreeSet<FeedId>,
    /// Entries held of a feed.
    pub(super) held: &'a dyn Fn(&FeedId) -> Seq,
    pub(super) previous: &'a Plan,
    /// Own feeds are followed as well, where another member is known to hold more of them.
    pub(super) recovering: bool,
}

impl Situation<'_> {
    /// The plan for this situation. Where a peer cannot take all feeds on one stream, those with known news come first.
    pub(super) fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        let mut load: BTreeMap<&MemberId, usize> = BTreeMap::new();
        let relays = self.relays();
        let mut wanted: Vec<FeedId> = self.roster.readable_feeds(self.me).into_iter().collect();
        wanted.retain(|feed| feed.member != *self.me || self.recovering && self.has_news(feed));
        wanted.retain(|feed| !self.quarantined.contains(feed));
        wanted.sort_by_key(|feed| !self.has_news(feed));
        for feed in wanted {
            let room = |peer: &&MemberId| load.get(*peer).is_none_or(|feeds| *feeds < MAX_FOLLOWED_FEEDS);
            if let Some(peer) = self.source(&feed, &relays, room) {
                *load.entry(peer).or_default() += 1;
                plan.0.insert(feed, peer.clone());
            }
        }
        plan
    }

    fn has_news(&self, feed: &FeedId) -> bool {
        self.peers.values().any(|peer| peer.known.contains_key(feed))
    }

    /// The connected peers, with the audiences that each belongs to.
    fn relays(&self) -> Vec<(&MemberId, &Prospect, HashSet<Audience>)> {
        let active = self.peers.iter().filter(|(id, peer)| peer.presence == Presence::Connected && self.roster.is_active(id));
        active.map(|(id, peer)| (id, peer, self.audiences(id))).collect()
    }

    fn audiences(&self, member: &MemberId) -> HashSet<Audience> {
        let groups = self.roster.groups.iter().filter(|group| group.members.contains(member));
        let groups = groups.map(|group| Audience::Group(group.name.clone()));
        groups.chain([Audience::Alliance]).collect()
    }

    fn source<'s>(
        &'s self,
        feed: &FeedId,
        relays: &[(&'s MemberId, &'s Prospect, HashSet<Audience>)],
        room: impl Fn(&&MemberId) -> bool,
    ) -> Option<&'s MemberId> {
        match self.peers.get_key_value(&feed.member).filter(|(id, _)| self.roster.is_active(id)) {
            Some((_, owner)) if owner.presence == Presence::Lost => return None,
            Some((id, owner)) if owner.presence == Presence::Connected && !owner.has_fault(feed) && room(&id) => {
                return Some(id);
            }
            _ => {}
        }
        let held = (self.held)(feed);
        let may_serve = relays
            .iter()
            .filter(|(id, peer, audiences)| audiences.contains(&feed.audience) && !peer.refused.contains(feed) && room(id));
        // A peer that was slow to send what it shows is passed over for one that shows something, too: not for one that has
        // nothing, or everybody would wait for everybody else.
        let best = may_serve.max_by_key(|(id, peer, _)| {
            let reach = peer.known.get(feed).copied().unwrap_or_default().max(held);
            let news = reach > held;
            (
                !peer.distrusted.contains(feed),
                news && !peer.stalled.contains(feed),
                news,
                reach,
                self.previous.is_at(feed, id),
                rendezvous(feed, id),
            )
        });
        best.map(|(id, _, _)| *id)
    }
}

/// Chooses among equals: different peers for different feeds, the same one while nobody comes or goes.
fn rendezvous(feed: &FeedId, peer: &MemberId) -> Hash {
    leaf_hash(format!("{feed}\n{peer}").as_bytes())
}

#[cfg(test)]
mod tests;
