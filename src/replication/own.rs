//! When this member's own feeds may be written to.
//!
//! A store that was lost, or put back from an old copy, looks whole to itself. What was added to it would be a second history
//! of a feed that other members hold more of, and would brand its member as one that signs two. So each own feed waits, after
//! every start, until it was compared with the members of its audience that can be reached, one at the least.

use std::collections::BTreeSet;

use super::session::Context;
use crate::domain::{FeedId, MemberId, Roster};
use crate::store::{FeedState, Store, StoreError};

/// What a node takes its own feeds for when it starts. An operator's decision, for one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnFeeds {
    /// Nothing is written to one until it was compared with another member of its audience, and with each other one that can be reached
    /// soon after the start: the first to answer may hold less than the next.
    #[default]
    Confirm,
    /// They are whole: for a node that can reach no other member, and whose store is known to be its newest.
    Trust,
    /// What is missing of them is fetched from the other members; then they are written to again. They wait for every member
    /// of the audience that answers, because the first one may not hold the most.
    Recover,
    /// The same, and they wait for every member of the audience, whether it answers or not: what nobody decides where the store was put
    /// back, because the one that is away may hold the most.
    RecoverWithAll,
}

impl OwnFeeds {
    /// What they are taken for where nothing else was decided and the store was put back: it may be older than any member's copy.
    pub(super) fn after_restoring(self, store: &Store) -> Self {
        if self == Self::Confirm && store.is_restored() { Self::RecoverWithAll } else { self }
    }

    /// Whether what is missing of them is fetched.
    pub(super) const fn recovers(self) -> bool {
        matches!(self, Self::Recover | Self::RecoverWithAll)
    }
}

impl Context {
    /// Once every own feed of a store that was put back is level, it is as good as one that was never lost.
    pub(super) async fn end_restoration(&self) {
        let is_settled = |feed| !matches!(self.store().feed_state(&feed), FeedState::Unconfirmed | FeedState::Behind);
        let signed = self.directory.roster();
        if !self.own.recovers()
            || !self.store().is_restored()
            || !own_feeds(signed.roster(), self.directory.member()).into_iter().all(is_settled)
        {
            return;
        }
        match self.store().end_restoration().await {
            Ok(()) => tracing::info!("own feeds are level with what other members hold; the store is restored"),
            Err(StoreError::Closed) => {}
            Err(error) => tracing::warn!(code = error.code(), %error, "that the store is restored could not be noted"),
        }
    }

    /// Lets own feeds wait, but for those that there is nobody to compare with.
    pub(super) fn hold_own_feeds(&self) {
        match self.own {
            OwnFeeds::Trust => {
                tracing::warn!(code = "OWN_FEED_TRUSTED", "own feeds are written to without a look at other members")
            }
            OwnFeeds::Confirm | OwnFeeds::Recover | OwnFeeds::RecoverWithAll => {
                self.store().require_confirmation();
                self.confirm_unshared();
            }
        }
    }

    /// Own feeds of an audience without another member that can be asked wait for nobody.
    pub(super) fn confirm_unshared(&self) {
        let signed = self.directory.roster();
        let me = self.directory.member();
        for feed in own_feeds(signed.roster(), me) {
            if sharers(signed.roster(), me, &feed).next().is_none() {
                self.store().confirm(&feed);
            }
        }
    }

    /// The own feeds that wait.
    fn waiting(&self, roster: &Roster) -> BTreeSet<FeedId> {
        let mut feeds = own_feeds(roster, self.directory.member());
        feeds.retain(|feed| self.store().feed_state(feed) == FeedState::Unconfirmed);
        feeds
    }

    /// Those of them that `peer` can tell something of.
    pub(super) fn waiting_for(&self, peer: &MemberId) -> BTreeSet<FeedId> {
        let signed = self.directory.roster();
        let mut feeds = self.waiting(signed.roster());
        feeds.retain(|feed| signed.roster().may_read(peer, &feed.audience));
        feeds
    }

    /// `peer`, which has the same roster, showed its heads.
    pub(super) fn confirm_by(&self, peer: &MemberId) {
        self.board.compared(peer, self.directory.roster().roster().serial);
        self.confirm_compared();
    }

    /// Lets own feeds be written to of which enough others were compared with, and none holds more.
    pub(super) fn confirm_compared(&self) {
        let signed = self.directory.roster();
        let (roster, me) = (signed.roster(), self.directory.member());
        for feed in self.waiting(roster) {
            let others = || sharers(roster, me, &feed);
            let (board, serial) = (&self.board, roster.serial);
            let heard = board.any_compared(others(), serial)
                && match self.own {
                    OwnFeeds::Confirm | OwnFeeds::Trust => board.all_had_their_turn(others(), serial, &self.pace),
                    OwnFeeds::Recover => {
                        board.all_had_their_turn(others(), serial, &self.pace) && board.none_expected(others(), &self.pace)
                    }
                    OwnFeeds::RecoverWithAll => board.all_compared(others(), serial),
                };
            if heard && self.liveness.newest_size(&feed) <= self.store().size(&feed) {
                self.store().confirm(&feed);
                tracing::info!(%feed, "the own feed was compared with other members' copies, and is written to");
                self.board.want_replan();
            }
        }
    }
}

fn own_feeds(roster: &Roster, me: &MemberId) -> BTreeSet<FeedId> {
    roster.readable_feeds(me).into_iter().filter(|feed| feed.member == *me).collect()
}

/// The other members that may hold `feed` and can be dialled.
fn sharers<'r>(roster: &'r Roster, me: &MemberId, feed: &FeedId) -> impl Iterator<Item = &'r MemberId> {
    let (me, audience) = (me.clone(), feed.audience.clone());
    let members = roster.members.iter().filter(|member| !member.address.is_empty()).map(|member| &member.id);
    members.filter(move |id| **id != me && roster.may_read(id, &audience))
}
