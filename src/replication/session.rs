//! One connection to a peer, from its first heartbeat to its end.
//!
//! Whether there is anything to fetch, the digest in a heartbeat tells: heads are asked for only where it differs from this
//! node's own. What is stored was verified off the threads that drive connections, and a session that is dropped at any point
//! leaves behind what is durable and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::board::{Board, Occasion};
use super::error::Complaint;
use super::judge::{Mismatch, Offered, Opener, Standing, Verdict, judge, weigh};
use super::plan::Plan;
use super::upkeep::Upkeep;
use super::{
    Directory, FollowCommand, FollowEvent, Link, LinkError, Liveness, Misbehaviour, OwnFeeds, Pace, Reader, Refusal,
    SessionError, Word, heads_digest,
};
use crate::domain::{Audience, Clock, FeedId, MemberId, Seq};
use crate::feed::{ForkProof, Hash};
use crate::store::{Announcer, FeedState, Store, StoreError};

/// What a heartbeat with other heads weighs when nothing came since the last one: the feeds are not on their way.
const QUIET: u32 = 4;
/// What it weighs while batches come. Not nothing: where all feeds grow, heads never agree at a heartbeat, fork or not.
const FLOWING: u32 = 1;
/// The weight at which heads are asked for: two quiet heartbeats. Doubled each time that it did not help.
const PATIENCE: u32 = 2 * QUIET;
/// The most that it is doubled to: one listing every ten minutes among peers that are busy all the time.
const LONGEST_PATIENCE: u32 = 16 * QUIET;
/// The weight of heartbeats for which a peer may show more of a feed than it sends: three quiet ones.
const STALLED: u32 = 3 * QUIET;
/// Batches that may still be on their way when a feed is asked for again: what a peer's stream and the connection hold.
const MAX_BATCHES_ON_THE_WAY: u32 = 64;

/// What all sessions share.
pub(super) struct Context {
    pub(super) reader: Reader,
    pub(super) directory: Arc<Directory>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pace: Pace,
    pub(super) own: OwnFeeds,
    pub(super) board: Board,
    pub(super) plan: Announcer<Arc<Plan>>,
}

impl Context {
    pub(super) fn store(&self) -> &Arc<Store> {
        self.reader.store()
    }

    fn opener(&self) -> Opener {
        Opener {
            alliance: self.directory.alliance().clone(),
            roster: self.directory.roster(),
            me: self.directory.member().clone(),
        }
    }

    /// Takes no more of a feed, and says so once.
    async fn quarantine(&self, proof: ForkProof) -> Result<(), StoreError> {
        let feed = proof.feed().clone();
        self.store().quarantine(proof).await?;
        if self.board.is_new_fork(&feed) {
            tracing::error!(code = "FEED_FORKED", %feed, "the feed's member signed two histories; nothing more of it is taken");
        }
        self.board.want_replan();
        Ok(())
    }

    /// Another member holds more of an own feed than this node.
    async fn fall_behind(&self, feed: FeedId, size: Seq) -> Result<(), StoreError> {
        self.liveness.newest(&feed, size);
        match self.store().feed_state(&feed) {
            FeedState::Quarantined => return Ok(()),
            FeedState::Behind if !self.own.recovers() => return Ok(()),
            FeedState::Behind => {}
            FeedState::Unconfirmed if self.own.recovers() => {
                tracing::info!(%feed, %size, "another member holds more of this node's own feed; it is fetched")
            }
            FeedState::Followed | FeedState::Unconfirmed | FeedState::Expelled => tracing::error!(
                code = "OWN_FEED_BEHIND", %feed, %size,
                "another member holds more of this node's own feed; nothing is written to it until it is recovered"
            ),
        }
        self.store().mark_behind(feed, size).await
    }
}

/// How a session went.
pub(super) struct Outcome {
    pub(super) error: SessionError,
    /// Whether it was good for something, so that the peer is worth dialling again soon.
    pub(super) progress: bool,
}

/// Follows at `peer` what the plan says, until the connection ends.
pub(super) async fn run(ctx: &Context, peer: &MemberId, link: &dyn Link) -> Outcome {
    let mut progress = false;
    ctx.board.introduced(peer, link.version());
    let result = converse(ctx, peer, link, &mut progress).await;
    ctx.board.traffic(peer, link.traffic());
    let Err(error) = result;
    Outcome { error, progress }
}

async fn converse(
    ctx: &Context,
    peer: &MemberId,
    link: &dyn Link,
    progress: &mut bool,
) -> Result<std::convert::Infallible, SessionError> {
    let stream = ask(ctx, link.follow()).await?;
    let mut events = stream.events;
    let mut session = Session::new(ctx, peer, link);
    match timeout(ctx.pace.silence(), events.next()).await.map_err(|_| SessionError::Silent(ctx.pace.silence()))? {
        Some(Ok(FollowEvent::Heartbeat(word))) => session.greet(word).await?,
        Some(Ok(_)) => return Err(Misbehaviour::NoGreeting.into()),
        Some(Err(error)) => return Err(error.into()),
        None => return Err(SessionError::Ended),
    }
    ctx.board.connected(peer);
    let mut plans = ctx.plan.subscribe();
    let mut rosters = ctx.directory.subscribe();
    plans.mark_changed();
    loop {
        // From here and not from the last event on: what was spent on that event is not the peer's silence.
        let deadline = Instant::now() + ctx.pace.silence();
        tokio::select! {
            biased;
            permit = stream.commands.reserve(), if !session.waiting.is_empty() => session.send(permit),
            changed = plans.changed() => match changed {
                Ok(()) => {
                    let wanted = plans.borrow_and_update().at(peer);
                    session.adopt(wanted).await?;
                }
                Err(_) => return Err(SessionError::Ended),
            },
            changed = rosters.changed() => match changed {
                Ok(()) => session.reconsider().await?,
                Err(_) => return Err(SessionError::Ended),
            },
            event = timeout_at(deadline, events.next()) => match event {
                Ok(Some(Ok(event))) => session.take(event).await?,
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(None) => return Err(SessionError::Ended),
                Err(_) => return Err(SessionError::Silent(ctx.pace.silence())),
            },
        }
        *progress |= session.progress;
    }
}

/// Asks the peer something, and waits no longer than for a heartbeat.
pub(super) async fn ask<T>(ctx: &Context, question: impl Future<Output = Result<T, LinkError>>) -> Result<T, SessionError> {
    let patience = ctx.pace.silence();
    Ok(timeout(patience, question).await.map_err(|_| SessionError::Silent(patience))??)
}

/// Work that a peer can cause: once in a while, however often it asks for it.
struct Allowance {
    every: Duration,
    next: Instant,
}

impl Allowance {
    fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() }
    }

    /// Whether it may be done now; then not again for a while.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}

struct Session<'a> {
    ctx: &'a Context,
    peer: &'a MemberId,
    link: &'a dyn Link,
    /// Commands that the peer has not been told yet: the last one for each feed.
    waiting: BTreeMap<FeedId, FollowCommand>,
    followed: BTreeSet<FeedId>,
    /// Whatever was followed in this session: more of it may be on the way.
    asked: BTreeSet<FeedId>,
    /// Feeds asked for again because entries were missing, and the batches passed over since.
    gaps: BTreeMap<FeedId, u32>,
    /// Feeds of the peer's own of which it has lost a part.
    stale: BTreeSet<FeedId>,
    /// Sizes beyond what is held that the peer has shown, and the weight of heartbeats since a batch of it came.
    ahead: BTreeMap<FeedId, (Seq, u32)>,
    /// The peer's own feeds that were compared: of these it gives word.
    compared: BTreeSet<FeedId>,
    /// Serial and digest of the peer's roster.
    roster: (u64, Hash),
    /// A roster that the peer claims to hold and that was not taken.
    refused_roster: Option<(u64, Hash)>,
    listings: Allowance,
    rosters: Allowance,
    /// Weight of the heartbeats in a row with other heads.
    differing: u32,
    patience: u32,
    upkeep: Upkeep,
    flowing: bool,
    progress: bool,
}

impl<'a> Session<'a> {
    fn new(ctx: &'a Context, peer: &'a MemberId, link: &'a dyn Link) -> Self {
        Self {
            ctx,
            peer,
            link,
            waiting: BTreeMap::new(),
            followed: BTreeSet::new(),
            asked: BTreeSet::new(),
            gaps: BTreeMap::new(),
            stale: BTreeSet::new(),
            ahead: BTreeMap::new(),
            compared: BTreeSet::new(),
            roster: (0, Hash([0; 32])),
            refused_roster: None,
            listings: Allowance::new(ctx.pace.allowance()),
            rosters: Allowance::new(ctx.pace.allowance()),
            differing: 0,
            patience: PATIENCE,
            upkeep: Upkeep::new(ctx.pace.heartbeat, ctx.pace.memory()),
            flowing: false,
            progress: false,
        }
    }

    /// The first heartbeat: heads are compared before anything is followed, and before the peer counts as heard. It may have said
    /// anything since it was heard last.
    async fn greet(&mut self, word: Word) -> Result<(), SessionError> {
        self.roster = word.roster();
        self.weigh_roster(word).await?;
        if self.agrees(word.heads_digest).await? {
            self.at_one();
        } else {
            self.listings.is_due();
            self.exchange_heads().await?;
        }
        self.hear();
        Ok(())
    }

    /// Sends a waiting command. Where the peer reads no more, the events say why.
    fn send(&mut self, permit: Result<mpsc::Permit<'_, FollowCommand>, mpsc::error::SendError<()>>) {
        let next = self.waiting.pop_first();
        match (permit, next) {
            (Ok(permit), Some((_, command))) => permit.send(command),
            _ => self.waiting.clear(),
        }
    }

    /// Follows what the plan wants here, and nothing else.
    async fn adopt(&mut self, wanted: BTreeSet<FeedId>) -> Result<(), SessionError> {
        for feed in self.followed.difference(&wanted).cloned().collect::<Vec<_>>() {
            self.drop_feed(&feed);
        }
        let held = self.ctx.reader.held().await?;
        for feed in wanted.difference(&self.followed).cloned().collect::<Vec<_>>() {
            let size = held.size(&feed);
            self.ask_for(feed, size);
        }
        self.ctx.board.following(self.peer, self.followed.len());
        Ok(())
    }

    /// What was refused may be served now. The plan may never have learned of a refusal that is forgotten at once, and then it
    /// does not change either: what it wants here is asked for again in any case.
    async fn reconsider(&mut self) -> Result<(), SessionError> {
        self.ctx.board.forget_refusals(self.peer);
        let wanted = self.ctx.plan.value().at(self.peer);
        self.adopt(wanted).await
    }

    fn ask_for(&mut self, feed: FeedId, size: Seq) {
        self.followed.insert(feed.clone());
        self.asked.insert(feed.clone());
        self.waiting.insert(feed.clone(), FollowCommand::Follow { feed, size });
    }

    fn drop_feed(&mut self, feed: &FeedId) {
        if self.followed.remove(feed) {
            self.waiting.insert(feed.clone(), FollowCommand::Unfollow { feed: feed.clone() });
        }
    }

    async fn take(&mut self, event: FollowEvent) -> Result<(), SessionError> {
        match event {
            FollowEvent::Heartbeat(word) => self.heartbeat(word).await?,
            FollowEvent::Batch { feed, first, entries, erased, checkpoint } => {
                let taken = self.batch(&feed, first, (entries, erased), checkpoint).await;
                if matches!(taken, Err(SessionError::Misbehaved(_))) {
                    self.ctx.board.distrusted(self.peer, feed, &self.ctx.pace);
                }
                taken?;
            }
            FollowEvent::Refused { feed, refusal } => self.refused(feed, refusal),
        }
        self.ctx.board.traffic(self.peer, self.link.traffic());
        Ok(())
    }

    fn refused(&mut self, feed: FeedId, refusal: Refusal) {
        if self.followed.remove(&feed) {
            self.ctx.board.complain(self.peer, Occasion::Feeds, &Complaint::Refused(refusal));
            self.ctx.board.refused(self.peer, feed);
        }
    }

    async fn heartbeat(&mut self, word: Word) -> Result<(), SessionError> {
        self.progress = true;
        self.hear();
        self.weigh_roster(word).await?;
        let weight = if std::mem::take(&mut self.flowing) { FLOWING } else { QUIET };
        if self.agrees(word.heads_digest).await? {
            self.at_one();
            return self.upkeep.tend(self.ctx, self.peer, self.link).await;
        }
        self.find_stalled(weight).await?;
        self.differing = self.differing.saturating_add(weight);
        let impatient = self.differing >= self.patience;
        // An own feed that waits for this peer's word waits no longer than it must.
        if (impatient || !self.ctx.waiting_for(self.peer).is_empty()) && self.listings.is_due() {
            if impatient {
                self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
            }
            self.differing = 0;
            self.exchange_heads().await?;
        }
        Ok(())
    }

    /// Notes that the peer is there.
    fn hear(&self) {
        let now = self.ctx.clock.now();
        self.compared.iter().for_each(|feed| self.ctx.liveness.heard(feed, now));
        self.ctx.board.heard(self.peer, now);
    }

    /// Has a look at the peer's roster where that is another one.
    async fn weigh_roster(&mut self, word: Word) -> Result<(), SessionError> {
        let theirs = word.roster();
        let mine = self.my_roster();
        if theirs == mine {
            self.ctx.board.complaints(self.peer, Occasion::Roster, vec![]);
        }
        let news = theirs != self.roster;
        let unseen = theirs.0 >= mine.0 && theirs != mine && self.refused_roster != Some(theirs);
        // A peer that shows one roster after the other makes no more work than one that shows a new one now and then.
        if !(news || unseen) || !self.rosters.is_due() {
            return Ok(());
        }
        if news {
            self.roster = theirs;
            self.reconsider().await?;
        }
        if unseen { self.fetch_roster(theirs).await } else { Ok(()) }
    }

    async fn fetch_roster(&mut self, claimed: (u64, Hash)) -> Result<(), SessionError> {
        let note = ask(self.ctx, self.link.roster()).await?;
        let complaints = match self.ctx.directory.offer(note).await {
            Ok(_) => vec![],
            Err(error) => vec![Complaint::Roster(error)],
        };
        // A roster is large: one that is not taken, or not what the heartbeat said, is not fetched again for the same word.
        let mine = self.my_roster();
        if mine != claimed && mine.0 <= claimed.0 {
            self.refused_roster = Some(claimed);
        }
        self.ctx.board.complaints(self.peer, Occasion::Roster, complaints);
        Ok(())
    }

    fn my_roster(&self) -> (u64, Hash) {
        let signed = self.ctx.directory.roster();
        (signed.roster().serial, signed.digest())
    }

    /// Notes the feeds that the peer has shown more of than it sends: whoever withholds them must not be their only source. Where it is,
    /// it is asked for them again, because it may believe that it has sent them.
    async fn find_stalled(&mut self, weight: u32) -> Result<(), SessionError> {
        let held = self.ctx.reader.held().await?;
        self.ahead.retain(|feed, (size, _)| *size > held.size(feed));
        let mut stalled = Vec::new();
        for (feed, (_, waited)) in self.ahead.iter_mut().filter(|(feed, _)| self.followed.contains(*feed)) {
            *waited = waited.saturating_add(weight);
            if *waited >= STALLED {
                *waited = 0;
                stalled.push(feed.clone());
            }
        }
        for feed in stalled {
            self.ctx.board.stalled(self.peer, feed.clone(), &self.ctx.pace);
            let size = held.size(&feed);
            self.ask_for(feed, size);
        }
        Ok(())
    }

    /// Whether the peer holds what this node holds, and more is known of no feed that is followed here or that the peer lost.
    async fn agrees(&self, digest: Hash) -> Result<bool, SessionError> {
        let held = self.ctx.reader.held().await?;
        let signed = self.ctx.directory.roster();
        let mine = heads_digest(signed.roster(), &held, self.ctx.directory.member(), self.peer);
        let mut concerned = self.followed.iter().chain(&self.stale);
        Ok(mine == digest && concerned.all(|feed| self.ctx.liveness.newest_size(feed) <= held.size(feed)))
    }

    fn at_one(&mut self) {
        self.differing = 0;
        self.patience = PATIENCE;
        self.stale.clear();
        self.ahead.clear();
        self.ctx.board.showed(self.peer, BTreeMap::new(), BTreeSet::new());
        self.ctx.board.complaints(self.peer, Occasion::Heads, vec![]);
        self.note_compared();
    }

    /// The peer's heads are known. They tell only by the same roster: by another one it may have shown less than it holds, down to
    /// nothing where that one knows this node, or the peer itself, as expelled.
    fn note_compared(&mut self) {
        let signed = self.ctx.directory.roster();
        let (roster, me) = (signed.roster(), self.ctx.directory.member());
        if self.roster.0 != roster.serial {
            self.compared.clear();
            return;
        }
        let feed = |audience| FeedId { member: self.peer.clone(), audience };
        let shared = roster.groups.iter().filter(|group| group.members.contains(me) && group.members.contains(self.peer));
        let shared = shared.map(|group| feed(Audience::Group(group.name.clone())));
        self.compared = shared.chain([feed(Audience::Alliance)]).collect();
        self.ctx.confirm_by(self.peer);
    }

    /// Asks for the peer's heads, and draws the conclusions.
    async fn exchange_heads(&mut self) -> Result<(), SessionError> {
        let opener = self.ctx.opener();
        let once_signed = self.once_signed(&opener).await?;
        let heads = ask(self.ctx, self.link.checkpoints()).await?;
        let findings = self.ctx.reader.run(move |store| judge(store, &opener, heads, &once_signed)).await??;
        for (feed, size) in findings.signed {
            self.ctx.liveness.newest(&feed, size);
        }
        let mut ahead = findings.ahead;
        for (feed, size) in findings.behind {
            if self.ctx.own.recovers() {
                ahead.insert(feed.clone(), size);
            }
            self.ctx.fall_behind(feed, size).await?;
        }
        for proof in findings.forks {
            self.ctx.quarantine(proof).await?;
        }
        self.stale.clone_from(&findings.stale);
        self.ahead = ahead.iter().map(|(feed, size)| (feed.clone(), (*size, self.waited(feed)))).collect();
        self.ctx.board.showed(self.peer, ahead, findings.stale);
        self.ctx.board.complaints(self.peer, Occasion::Heads, findings.complaints);
        self.note_compared();
        Ok(())
    }

    fn waited(&self, feed: &FeedId) -> u32 {
        self.ahead.get(feed).map_or(0, |(_, waited)| *waited)
    }

    /// What the peer has signed of its own feeds, as far as anyone showed it.
    async fn once_signed(&self, opener: &Opener) -> Result<BTreeMap<FeedId, Seq>, SessionError> {
        let held = self.ctx.reader.held().await?;
        let readable = opener.roster.roster().readable_feeds(&opener.me);
        let own = readable.into_iter().filter(|feed| feed.member == *self.peer && !held.forked().contains(feed));
        let size = |feed: &FeedId| held.size(feed).max(self.ctx.liveness.newest_size(feed));
        Ok(own.map(|feed| (feed.clone(), size(&feed))).collect())
    }

    async fn batch(
        &mut self,
        feed: &FeedId,
        first: Seq,
        parts: (Vec<Bytes>, Vec<Hash>),
        checkpoint: Bytes,
    ) -> Result<(), SessionError> {
        if !self.asked.contains(feed) {
            return Err(Misbehaviour::NotAsked.into());
        }
        let opener = self.ctx.opener();
        if !self.followed.contains(feed) || !opener.roster.roster().may_read_feed(&opener.me, feed) {
            return Ok(());
        }
        if self.ctx.store().feed_state(feed) == FeedState::Quarantined {
            self.drop_feed(feed);
            return Ok(());
        }
        let offered = Offered::open(&opener, feed, first, parts.0, parts.1, checkpoint)?;
        self.flowing = true;
        if let Some((_, waited)) = self.ahead.get_mut(feed) {
            *waited = 0;
        }
        self.ctx.liveness.newest(feed, offered.checkpoint.checkpoint().size);
        // Each round that ends out of order has seen the feed grow by another source, so this ends.
        loop {
            let (opener, candidate) = (opener.clone(), offered.clone());
            match self.ctx.reader.run(move |store| weigh(store, &opener, &candidate)).await?? {
                Verdict::Take(import) => match self.ctx.store().import(import).await {
                    Ok(_) => {
                        self.progress = true;
                        self.gaps.remove(feed);
                        self.note_recovery(feed);
                        return Ok(());
                    }
                    Err(StoreError::OutOfOrder { .. }) => {}
                    Err(StoreError::Quarantined) => {
                        self.drop_feed(feed);
                        return Ok(());
                    }
                    Err(error) => return Err(error.into()),
                },
                Verdict::Held(standing) => {
                    self.gaps.remove(feed);
                    return self.settle(standing).await;
                }
                Verdict::Gap { held } => return self.ask_again(feed, held),
                Verdict::Mismatch(mismatch) => return self.prove(*mismatch, offered).await,
                Verdict::Refuse(misbehaviour) => return Err(misbehaviour.into()),
            }
        }
    }

    async fn settle(&self, standing: Standing) -> Result<(), SessionError> {
        match standing {
            Standing::Ahead | Standing::Agrees => {}
            Standing::Forked(proof) => self.ctx.quarantine(*proof).await?,
            Standing::Unproven(error) => {
                self.ctx.board.complain(self.peer, Occasion::Heads, &Complaint::Evidence(error));
            }
        }
        Ok(())
    }

    /// Once: an honest peer starts where it is told to. What it had sent before it was told is passed over.
    fn ask_again(&mut self, feed: &FeedId, held: Seq) -> Result<(), SessionError> {
        let Some(passed) = self.gaps.get_mut(feed) else {
            self.gaps.insert(feed.clone(), 0);
            self.ask_for(feed.clone(), held);
            return Ok(());
        };
        *passed += 1;
        if *passed > MAX_BATCHES_ON_THE_WAY { Err(Misbehaviour::Gap.into()) } else { Ok(()) }
    }

    fn note_recovery(&self, feed: &FeedId) {
        if feed.member == *self.ctx.directory.member() && self.ctx.store().feed_state(feed) != FeedState::Behind {
            let size = self.ctx.store().size(feed);
            tracing::info!(%feed, %size, "the own feed is back as far as other members have shown it");
        }
    }

    /// Either the feed's member signed two histories, or the peer tampered with the entries: the peer's frontier tells.
    async fn prove(&self, mismatch: Mismatch, offered: Offered) -> Result<(), SessionError> {
        let feed = offered.checkpoint.checkpoint().feed.clone();
        let frontier = match mismatch.held {
            Seq::ZERO => Vec::new(),
            held => ask(self.ctx, self.link.frontier(&feed, held)).await?,
        };
        let proof = mismatch.prove(&self.ctx.opener(), offered.checkpoint, frontier)?;
        Ok(self.ctx.quarantine(proof).await?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_a_peer_can_cause_is_done_once_in_a_while_however_often_it_asks() {
        let mut allowance = Allowance::new(Duration::from_secs(7));
        assert_eq!([allowance.is_due(), allowance.is_due()], [true, false]);
        advance(Duration::from_millis(6_999)).await;
        assert!(!allowance.is_due());
        advance(Duration::from_millis(1)).await;
        assert_eq!([allowance.is_due(), allowance.is_due()], [true, false]);
        advance(Duration::from_secs(700)).await;
        assert_eq!([allowance.is_due(), allowance.is_due()], [true, false], "what was not used is not saved up");
    }
}
