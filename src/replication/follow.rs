//! All peers: one task for each that dials it for ever, and one that starts, stops and directs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::{Board, PeerErrors, PeerStatus};
use super::plan::Situation;
use super::session::{Context, Outcome, run};
use super::{Dialer, Directory, Liveness, OwnFeeds, Pace, Reader, SessionError};
use crate::domain::{Clock, Entropy, MemberId};
use crate::store::{Announcer, StoreError};

/// What replication needs.
pub struct Setup {
    /// The store, read and written.
    pub reader: Reader,
    /// Who belongs to the alliance.
    pub directory: Arc<Directory>,
    /// Is told who was heard and how large feeds are.
    pub liveness: Arc<Liveness>,
    /// The way to peers.
    pub dialer: Arc<dyn Dialer>,
    /// Tells when a peer was heard.
    pub clock: Arc<dyn Clock>,
    /// Spreads the dials of many nodes.
    pub entropy: Arc<dyn Entropy>,
    /// The intervals.
    pub pace: Pace,
    /// What own feeds are taken for.
    pub own: OwnFeeds,
}

/// Replication at work. It ends when the token it was given is cancelled, and is joined by its tracker.
pub struct Replicator {
    ctx: Arc<Context>,
}

impl Replicator {
    /// Starts it among `tasks`. When this returns, own feeds wait as `setup` has it. Ends with `shutdown`: a batch that is being stored then is stored or not, never in part.
    #[must_use]
    pub fn spawn(setup: Setup, tasks: &TaskTracker, shutdown: CancellationToken) -> Self {
        let Setup { reader, directory, liveness, dialer, clock, entropy, pace, own } = setup;
        let own = own.after_restoring(reader.store());
        let plan = Announcer::new(Arc::default());
        let ctx = Arc::new(Context { reader, directory, liveness, clock, pace, own, board: Board::default(), plan });
        ctx.hold_own_feeds();
        let crew = Crew { ctx: ctx.clone(), dialer, entropy, tasks: JoinSet::new(), members: BTreeMap::new() };
        tasks.spawn(crew.lead(shutdown));
        Self { ctx }
    }

    /// Every peer that is dialled, in the order of their names.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.ctx.board.statuses()
    }

    /// How often what went wrong with whom since the start.
    #[must_use]
    pub fn errors(&self) -> PeerErrors {
        self.ctx.board.errors.clone()
    }
}

/// The tasks, one for each active other member that has an address.
struct Crew {
    ctx: Arc<Context>,
    dialer: Arc<dyn Dialer>,
    entropy: Arc<dyn Entropy>,
    tasks: JoinSet<()>,
    members: BTreeMap<MemberId, (CancellationToken, AbortHandle)>,
}

impl Crew {
    async fn lead(mut self, shutdown: CancellationToken) {
        let mut rosters = self.ctx.directory.subscribe();
        self.muster();
        loop {
            let next = self.replan().await;
            self.ctx.confirm_compared();
            self.ctx.end_restoration().await;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = rosters.changed() => if changed.is_err() { break } else { self.muster() },
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(code = "PEER_TASK_FAILED", %error, "the task of a peer ended by a fault of this node");
                    }
                    self.muster();
                }
                () = self.ctx.board.replan_wanted() => {}
                () = until(next) => {}
            }
        }
        self.members.values().for_each(|(stop, _)| stop.cancel());
        while self.tasks.join_next().await.is_some() {}
    }

    /// Starts and stops tasks as the roster has it. Who is stopped and wanted again is started when its task has ended.
    fn muster(&mut self) {
        self.ctx.confirm_unshared();
        let signed = self.ctx.directory.roster();
        let (roster, me) = (signed.roster(), self.ctx.directory.member());
        let dialled = |member: &MemberId| {
            let address = roster.member(member).is_some_and(|member| !member.address.is_empty());
            address && member != me && roster.is_active(me) && roster.is_active(member)
        };
        let ctx = self.ctx.clone();
        self.members.retain(|member, (stop, task)| {
            if !dialled(member) {
                stop.cancel();
            }
            if task.is_finished() {
                ctx.board.strike(member);
            }
            !task.is_finished()
        });
        for member in roster.members.iter().map(|member| &member.id).filter(|member| dialled(member)) {
            if !self.members.contains_key(member) {
                let stop = CancellationToken::new();
                self.ctx.board.enlist(member);
                let task = self.tasks.spawn(self.attendant(member).attend(stop.clone()));
                self.members.insert(member.clone(), (stop, task));
            }
        }
    }

    fn attendant(&self, peer: &MemberId) -> Attendant {
        Attendant {
            ctx: self.ctx.clone(),
            dialer: self.dialer.clone(),
            peer: peer.clone(),
            backoff: Backoff { pace: self.ctx.pace, next: self.ctx.pace.backoff_first, entropy: self.entropy.clone() },
        }
    }

    /// Makes a new plan, and says when the next one is due.
    async fn replan(&self) -> Option<Instant> {
        let (peers, next) = self.ctx.board.prospects(&self.ctx.pace);
        let previous = self.ctx.plan.value();
        let (signed, me) = (self.ctx.directory.roster(), self.ctx.directory.member().clone());
        let recovering = self.ctx.own.recovers();
        let made = async {
            let held = self.ctx.reader.held().await?;
            let plan = move |_: &crate::store::Store| {
                let size = |feed: &crate::domain::FeedId| held.size(feed);
                let (roster, quarantined) = (signed.roster(), held.forked());
                Situation { me: &me, roster, peers: &peers, quarantined, held: &size, previous: &previous, recovering }.plan()
            };
            self.ctx.reader.run(plan).await
        };
        match made.await {
            Ok(plan) => {
                self.ctx.plan.change(|current| {
                    let changed = **current != plan;
                    *current = Arc::new(plan);
                    changed
                });
            }
            Err(StoreError::Closed) => {}
            Err(error) => tracing::error!(code = error.code(), %error, "no plan could be made of whom to follow"),
        }
        next
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Keeps up the connection to one peer.
struct Attendant {
    ctx: Arc<Context>,
    dialer: Arc<dyn Dialer>,
    peer: MemberId,
    backoff: Backoff,
}

impl Attendant {
    async fn attend(mut self, stop: CancellationToken) {
        let mut rosters = self.ctx.directory.subscribe();
        while let Some(outcome) = stop.run_until_cancelled(self.visit()).await {
            self.ctx.board.disconnected(&self.peer, &outcome.error, &self.ctx.pace);
            let pause = self.backoff.after(&outcome);
            // In this order: nothing is dialled any more after a stop, and there is no second round in which anything could starve.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
                // The peer may have another address now.
                Ok(()) = rosters.changed() => {}
            }
        }
    }

    async fn visit(&self) -> Outcome {
        let signed = self.ctx.directory.roster();
        let address = signed.roster().member(&self.peer).map(|member| member.address.clone()).unwrap_or_default();
        self.ctx.board.dialled(&self.peer, &address);
        let patience = self.ctx.pace.silence();
        let error = match timeout(patience, self.dialer.dial(&self.peer, &address)).await {
            Ok(Ok(link)) => return run(&self.ctx, &self.peer, &*link).await,
            Ok(Err(error)) => error.into(),
            Err(_) => SessionError::Silent(patience),
        };
        Outcome { error, progress: false }
    }
}

/// How long to wait before the next dial: longer each time, never twice the same, so that many nodes do not dial in step.
struct Backoff {
    pace: Pace,
    next: Duration,
    entropy: Arc<dyn Entropy>,
}

impl Backoff {
    fn after(&mut self, outcome: &Outcome) -> Duration {
        if outcome.progress {
            self.next = self.pace.backoff_first;
        }
        if matches!(outcome.error, SessionError::Misbehaved(_)) {
            self.next = self.pace.backoff_last;
        }
        let pause = self.next;
        self.next = (self.next * 2).min(self.pace.backoff_last);
        self.jittered(pause)
    }

    /// Between one half and all of `pause`; all of it where there are no random bytes.
    fn jittered(&self, pause: Duration) -> Duration {
        let mut random = [u8::MAX];
        let drawn = self.entropy.fill(&mut random);
        let share = if drawn.is_ok() { u32::from(random[0]) } else { u32::from(u8::MAX) };
        pause / 2 + pause / 2 * share / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EntropyError;
    use crate::replication::Misbehaviour;

    /// Draws the same byte for ever, or nothing.
    struct Draws(Option<u8>);

    impl Entropy for Draws {
        fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
            out.fill(self.0.ok_or(EntropyError)?);
            Ok(())
        }
    }

    fn backoff(drawn: Option<u8>) -> Backoff {
        let pace = Pace::default();
        Backoff { pace, next: pace.backoff_first, entropy: Arc::new(Draws(drawn)) }
    }

    fn fails(progress: bool) -> Outcome {
        Outcome { error: SessionError::Ended, progress }
    }

    #[test]
    fn a_peer_is_dialled_less_and_less_often_and_soon_again_after_it_was_good_for_something() {
        let mut backoff = backoff(Some(u8::MAX));
        let mut pauses =
            |count: usize, progress| -> Vec<u128> { (0..count).map(|_| backoff.after(&fails(progress)).as_millis()).collect() };
        assert_eq!(pauses(9, false), [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(pauses(2, false), [30_000, 30_000]);
        assert_eq!(pauses(2, true), [200, 200]);
        assert_eq!(pauses(2, false), [400, 800]);
    }

    #[test]
    fn a_peer_that_misbehaves_is_dialled_as_seldom_as_any_however_much_it_was_good_for() {
        let mut backoff = backoff(Some(u8::MAX));
        let misbehaved = Outcome { error: Misbehaviour::Gap.into(), progress: true };
        assert_eq!(backoff.after(&misbehaved), Duration::from_secs(30));
        assert_eq!(backoff.after(&fails(false)), Duration::from_secs(30));
    }

    #[test]
    fn a_pause_is_between_one_half_and_all_and_all_of_it_without_random_bytes() {
        let first = |drawn| backoff(drawn).after(&fails(false)).as_millis();
        assert_eq!([first(Some(0)), first(Some(51)), first(Some(255)), first(None)], [100, 120, 200, 200]);
    }
}
