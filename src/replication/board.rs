//! What is known of each peer while the node runs: for the planner, and for the operator.
//!
//! Sessions write here, the planner and the status read. Locks are held for look-ups only, and never across an await. A
//! refusal is logged when it is new for its peer, and again only after it had ceased; a misbehaviour once an hour.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::error::Complaint;
use super::plan::{Presence, Prospect};
use super::{Pace, SessionError, Traffic};
use crate::domain::{FeedId, MemberId, NodeVersion, Seq, Timestamp};

/// One peer as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub member: MemberId,
    /// Where it is dialled, as in the roster.
    pub address: String,
    /// Whether there is a session with it.
    pub connected: bool,
    /// What is wrong: why there is no session, or what was refused in it. `None` where nothing is.
    pub last_error: Option<Failure>,
    /// The program that it ran when it was last connected; `None` for not since this node started.
    pub version: Option<NodeVersion>,
    /// Its last heartbeat; `None` for never.
    pub last_heard: Option<Timestamp>,
    /// Bytes of messages since the node started.
    pub traffic: Traffic,
    /// Feeds that are followed there.
    pub following: usize,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub code: &'static str,
    /// What is told apart in logs: the code, or which misbehaviour it was.
    pub(super) kind: &'static str,
    /// In words, for the operator.
    pub detail: String,
}

/// When something can be found wrong, and found right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Occasion {
    /// Heads were compared.
    Heads,
    /// A newer roster was fetched.
    Roster,
    /// Feeds were asked for.
    Feeds,
}

struct Peer {
    address: String,
    connected: bool,
    /// Since when it has not been connected.
    lost_at: Instant,
    /// Since when it is dialled.
    enlisted_at: Instant,
    /// Since when a connection is up that has not become a session yet: it is about to show what it holds.
    greeting_since: Option<Instant>,
    prospect: Prospect,
    failure: Option<Failure>,
    /// When each kind of failure that outlives a greeting was last logged.
    logged: BTreeMap<&'static str, Instant>,
    /// Until when it is asked last of all for a feed that it tampered with.
    distrusted: BTreeMap<FeedId, Instant>,
    /// The same for a feed that it withheld.
    stalled: BTreeMap<FeedId, Instant>,
    complaints: BTreeMap<(Occasion, &'static str), String>,
    version: Option<NodeVersion>,
    last_heard: Option<Timestamp>,
    /// Of sessions that are over, and of the one that is not.
    traffic: (Traffic, Traffic),
    following: usize,
}

impl Peer {
    fn new() -> Self {
        Self {
            address: String::new(),
            connected: false,
            lost_at: Instant::now(),
            enlisted_at: Instant::now(),
            greeting_since: None,
            prospect: Prospect::new(Presence::Lost),
            failure: None,
            logged: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            stalled: BTreeMap::new(),
            complaints: BTreeMap::new(),
            version: None,
            last_heard: None,
            traffic: (Traffic::default(), Traffic::default()),
            following: 0,
        }
    }

    fn presence(&self, now: Instant, pace: &Pace) -> Presence {
        match self.connected {
            true => Presence::Connected,
            false if now.duration_since(self.lost_at) < pace.relay_after => Presence::Lost,
            false => Presence::Away,
        }
    }

    /// What the planner is to know of it at `now`.
    fn prospect(&self, now: Instant, pace: &Pace) -> Prospect {
        let lasting = |until: &BTreeMap<FeedId, Instant>| {
            until.iter().filter(|(_, until)| **until > now).map(|(feed, _)| feed.clone()).collect()
        };
        let (distrusted, stalled) = (lasting(&self.distrusted), lasting(&self.stalled));
        Prospect { presence: self.presence(now, pace), distrusted, stalled, ..self.prospect.clone() }
    }

    /// Until when it has the time to show what it holds. However often it cannot be reached before: a node that starts beside this one
    /// refuses many times while it opens its store. One that is about to show it has as long as a peer may be silent, and whoever comes
    /// anew over and over twice as long in all.
    fn turn_ends(&self, pace: &Pace) -> Instant {
        let reached_by = self.enlisted_at + pace.relay_after;
        let greeted_by = self.greeting_since.map(|since| (since + pace.silence()).min(reached_by + 2 * pace.silence()));
        greeted_by.map_or(reached_by, |greeted_by| greeted_by.max(reached_by))
    }

    /// When the planner is to look at it again though nothing happens.
    fn next_change(&self, now: Instant, pace: &Pace) -> Option<Instant> {
        let away = (self.presence(now, pace) == Presence::Lost).then(|| self.lost_at + pace.relay_after);
        let until = self.distrusted.values().chain(self.stalled.values()).copied().chain([self.turn_ends(pace)]);
        until.filter(|until| *until > now).chain(away).min()
    }

    /// Whether a failure of this kind is to be logged, as it was not for long.
    fn is_due(&mut self, kind: &'static str, pace: &Pace) -> bool {
        let now = Instant::now();
        let known = self.logged.get(kind).is_some_and(|at| now.duration_since(*at) < pace.memory());
        if !known {
            self.logged.insert(kind, now);
        }
        !known
    }

    fn status(&self, member: &MemberId) -> PeerStatus {
        let complaint = self.complaints.iter().next();
        let complaint = complaint.map(|((_, code), detail)| Failure { code, kind: code, detail: detail.clone() });
        PeerStatus {
            member: member.clone(),
            address: self.address.clone(),
            connected: self.connected,
            last_error: self.failure.clone().or(complaint),
            version: self.version.clone(),
            last_heard: self.last_heard,
            traffic: self.traffic.0 + self.traffic.1,
            following: self.following,
        }
    }
}

/// A peer, and the stable code of what went wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PeerErrorLabels {
    member: String,
    code: &'static str,
}

/// What went wrong with peers: sessions that were lost or never came about, and what they showed that was not taken.
pub type PeerErrors = Family<PeerErrorLabels, Counter>;

/// What is known of all peers.
#[derive(Default)]
pub(super) struct Board {
    pub(super) errors: PeerErrors,
    peers: Mutex<BTreeMap<MemberId, Peer>>,
    /// Forks that were reported.
    forked: Mutex<BTreeSet<FeedId>>,
    /// By the roster of which serial each was last compared with.
    compared: Mutex<BTreeMap<MemberId, u64>>,
    replan: Notify,
}

impl Board {
    pub(super) fn statuses(&self) -> Vec<PeerStatus> {
        self.peers.lock().iter().map(|(member, peer)| peer.status(member)).collect()
    }

    /// The peers, and when one of them is to be seen with other eyes though nothing happens.
    pub(super) fn prospects(&self, pace: &Pace) -> (BTreeMap<MemberId, Prospect>, Option<Instant>) {
        let now = Instant::now();
        let peers = self.peers.lock();
        let next = peers.values().filter_map(|peer| peer.next_change(now, pace)).min();
        (peers.iter().map(|(member, peer)| (member.clone(), peer.prospect(now, pace))).collect(), next)
    }

    /// Whether every one of `members` is connected, or has been away for so long that nobody waits for it.
    pub(super) fn none_expected<'m>(&self, mut members: impl Iterator<Item = &'m MemberId>, pace: &Pace) -> bool {
        let (now, peers) = (Instant::now(), self.peers.lock());
        members.all(|member| peers.get(member).is_some_and(|peer| peer.presence(now, pace) != Presence::Lost))
    }

    /// The heads of `member`, who has the roster of this serial as well, were compared with what is held.
    pub(super) fn compared(&self, member: &MemberId, serial: u64) {
        self.compared.lock().insert(member.clone(), serial);
    }

    /// Whether those of one of `members` were, by this roster.
    pub(super) fn any_compared<'m>(&self, mut members: impl Iterator<Item = &'m MemberId>, serial: u64) -> bool {
        let compared = self.compared.lock();
        members.any(|member| compared.get(member) == Some(&serial))
    }

    /// Whether those of each of `members` were, by this roster, or it had the time to show them.
    pub(super) fn all_had_their_turn<'m>(
        &self,
        mut members: impl Iterator<Item = &'m MemberId>,
        serial: u64,
        pace: &Pace,
    ) -> bool {
        let (now, peers, compared) = (Instant::now(), self.peers.lock(), self.compared.lock());
        members.all(|member| {
            compared.get(member) == Some(&serial) || peers.get(member).is_some_and(|peer| now >= peer.turn_ends(pace))
        })
    }

    /// Whether those of all `members` were, by this roster, however long ago since the start: what they showed is remembered.
    pub(super) fn all_compared<'m>(&self, mut members: impl Iterator<Item = &'m MemberId>, serial: u64) -> bool {
        let compared = self.compared.lock();
        members.all(|member| compared.get(member) == Some(&serial))
    }

    pub(super) fn want_replan(&self) {
        self.replan.notify_one();
    }

    pub(super) async fn replan_wanted(&self) {
        self.replan.notified().await;
    }

    /// A peer that is dialled from now on.
    pub(super) fn enlist(&self, member: &MemberId) {
        self.peers.lock().entry(member.clone()).or_insert_with(Peer::new);
    }

    /// It is dialled at this address now.
    pub(super) fn dialled(&self, member: &MemberId, address: &str) {
        self.with(member, |peer| address.clone_into(&mut peer.address));
    }

    /// A peer that is dialled no more.
    pub(super) fn strike(&self, member: &MemberId) {
        self.peers.lock().remove(member);
    }

    fn with<T>(&self, member: &MemberId, change: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        self.peers.lock().get_mut(member).map(change)
    }

    /// A session is up.
    pub(super) fn connected(&self, member: &MemberId) {
        let was_down = self.with(member, |peer| {
            peer.connected = true;
            peer.greeting_since = None;
            peer.prospect.refused.clear();
            peer.failure.take().is_some_and(|failure| !peer.logged.contains_key(failure.kind))
        });
        if was_down == Some(true) {
            tracing::info!(peer = %member, "the peer is back");
        }
        self.want_replan();
    }

    /// A session is over, or none came about.
    pub(super) fn disconnected(&self, member: &MemberId, error: &SessionError, pace: &Pace) {
        let failure = Failure { code: error.code(), kind: error.kind(), detail: error.to_string() };
        self.count(member, failure.kind);
        let news = self.with(member, |peer| {
            if std::mem::take(&mut peer.connected) {
                peer.lost_at = Instant::now();
            }
            peer.greeting_since = None;
            peer.prospect.known.clear();
            peer.following = 0;
            peer.traffic = (peer.traffic.0 + peer.traffic.1, Traffic::default());
            let known = peer.failure.replace(failure.clone());
            // A peer that misbehaves greets like any other: greeting does not make its next misbehaviour news.
            let again = if error.outlives_greeting() {
                !peer.is_due(failure.kind, pace)
            } else {
                known.is_some_and(|known| known.kind == failure.kind)
            };
            !again
        });
        if news == Some(true) {
            tracing::warn!(peer = %member, code = failure.code, detail = failure.detail, "there is no session with the peer");
        }
        self.want_replan();
    }

    /// There is a connection with the peer, by which it told its version; a greeting follows.
    pub(super) fn introduced(&self, member: &MemberId, version: &NodeVersion) {
        self.with(member, |peer| {
            peer.version = Some(version.clone());
            peer.greeting_since = Some(Instant::now());
        });
    }

    pub(super) fn heard(&self, member: &MemberId, at: Timestamp) {
        self.with(member, |peer| peer.last_heard = Some(at));
    }

    pub(super) fn traffic(&self, member: &MemberId, of_session: Traffic) {
        self.with(member, |peer| peer.traffic.1 = of_session);
    }

    pub(super) fn following(&self, member: &MemberId, feeds: usize) {
        self.with(member, |peer| peer.following = feeds);
    }

    /// The heads that the peer showed: sizes beyond what is held, and its own feeds of which it lost a part.
    pub(super) fn showed(&self, member: &MemberId, known: BTreeMap<FeedId, Seq>, stale: BTreeSet<FeedId>) {
        let changed = self.with(member, |peer| {
            let changed = peer.prospect.known != known || peer.prospect.stale != stale;
            peer.prospect.known = known;
            peer.prospect.stale = stale;
            changed
        });
        if changed == Some(true) {
            self.want_replan();
        }
    }

    /// The peer does not serve `feed` for the rest of the session, or until it has another roster.
    pub(super) fn refused(&self, member: &MemberId, feed: FeedId) {
        self.with(member, |peer| peer.prospect.refused.insert(feed));
        self.want_replan();
    }

    /// The peer's roster, or this node's, is another one: what was refused may be served now.
    pub(super) fn forget_refusals(&self, member: &MemberId) {
        let any = self.with(member, |peer| !std::mem::take(&mut peer.prospect.refused).is_empty());
        self.complaints(member, Occasion::Feeds, Vec::new());
        if any == Some(true) {
            self.want_replan();
        }
    }

    /// The peer sent entries of `feed` that were not those signed.
    pub(super) fn distrusted(&self, member: &MemberId, feed: FeedId, pace: &Pace) {
        self.with(member, |peer| peer.distrusted.insert(feed, Instant::now() + pace.memory()));
    }

    /// The peer has shown more of `feed` than it sends.
    pub(super) fn stalled(&self, member: &MemberId, feed: FeedId, pace: &Pace) {
        let now = Instant::now();
        let before = self.with(member, |peer| peer.stalled.insert(feed.clone(), now + pace.memory())).flatten();
        if before.is_none_or(|until| until <= now) {
            tracing::warn!(code = "FEED_STALLED", peer = %member, %feed, "the peer shows more of the feed than it sends; another one is asked");
        }
        self.want_replan();
    }

    /// All that is wrong on this occasion; what was wrong on the last one and is not any more has ceased.
    pub(super) fn complaints(&self, member: &MemberId, occasion: Occasion, complaints: Vec<Complaint>) {
        self.with(member, |peer| {
            let codes: BTreeSet<_> = complaints.iter().map(Complaint::code).collect();
            peer.complaints.retain(|(of, code), _| *of != occasion || codes.contains(code));
        });
        complaints.into_iter().for_each(|complaint| self.complain(member, occasion, &complaint));
    }

    /// Something is wrong beside what was wrong before.
    pub(super) fn complain(&self, member: &MemberId, occasion: Occasion, complaint: &Complaint) {
        let (code, detail) = (complaint.code(), complaint.to_string());
        let known = self.with(member, |peer| peer.complaints.insert((occasion, code), detail.clone()));
        if known == Some(None) {
            self.count(member, code);
            tracing::warn!(peer = %member, code, detail, "what the peer showed is not taken");
        }
    }

    fn count(&self, member: &MemberId, code: &'static str) {
        self.errors.get_or_create(&PeerErrorLabels { member: member.to_string(), code }).inc();
    }

    /// Whether this fork is news: true once for each feed.
    pub(super) fn is_new_fork(&self, feed: &FeedId) -> bool {
        self.forked.lock().insert(feed.clone())
    }
}
