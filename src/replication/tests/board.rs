//! What the board tells the planner, the operator and the log while time passes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::FutureExt as _;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::time::{Instant, advance};
use tracing::subscriber::DefaultGuard;

use super::log::Log;
use super::world::{feed, id};
use crate::domain::{MemberId, NodeVersion, Seq, Timestamp};
use crate::replication::board::{Board, Occasion};
use crate::replication::error::Complaint;
use crate::replication::plan::{Presence, Prospect};
use crate::replication::{Misbehaviour, Pace, PeerStatus, SessionError, Traffic};

const MOMENT: Duration = Duration::from_millis(1);

/// A board with one peer, and the intervals of the alliance.
fn board() -> (Board, MemberId, Pace) {
    let (board, peer) = (Board::default(), id("acme"));
    board.enlist(&peer);
    (board, peer, Pace::default())
}

fn prospect(board: &Board, peer: &MemberId) -> Prospect {
    board.prospects(&Pace::default()).0.remove(peer).expect("enlisted")
}

fn next_change(board: &Board) -> Option<Instant> {
    board.prospects(&Pace::default()).1
}

fn status(board: &Board) -> PeerStatus {
    board.statuses().pop().expect("enlisted")
}

fn replans(board: &Board) -> bool {
    board.replan_wanted().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_lost_is_waited_for_and_then_counts_as_away_until_it_is_back() {
    let (board, peer, pace) = board();
    let nobody_expected = || board.none_expected([&peer].into_iter(), &pace);
    let until_away = Instant::now() + pace.relay_after;
    for passes in [Duration::ZERO, pace.relay_after - MOMENT] {
        advance(passes).await;
        assert_eq!((prospect(&board, &peer).presence, next_change(&board)), (Presence::Lost, Some(until_away)));
        assert!(!nobody_expected());
    }
    advance(MOMENT).await;
    assert_eq!((prospect(&board, &peer).presence, next_change(&board)), (Presence::Away, None));
    assert!(nobody_expected());
    assert!(!board.none_expected([&peer, &id("stranger")].into_iter(), &pace), "who was never dialled is expected");

    board.connected(&peer);
    assert_eq!((prospect(&board, &peer).presence, next_change(&board)), (Presence::Connected, None));
    assert!(nobody_expected());
    advance(pace.relay_after * 2).await;
    assert_eq!(prospect(&board, &peer).presence, Presence::Connected);
    board.disconnected(&peer, &SessionError::Ended, &pace);
    let until_away = Instant::now() + pace.relay_after;
    assert_eq!((prospect(&board, &peer).presence, next_change(&board)), (Presence::Lost, Some(until_away)));
    advance(pace.relay_after / 2).await;
    board.disconnected(&peer, &SessionError::Ended, &pace);
    assert_eq!(next_change(&board), Some(until_away), "a dial that fails is no new loss");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_yet_has_its_turn_and_one_that_greets_has_the_time_to() {
    let (board, peer, pace) = board();
    let had_its_turn = || board.all_had_their_turn([&peer].into_iter(), 1, &pace);
    // It starts beside this node, and refuses while it opens its store.
    for _ in 0..20 {
        board.disconnected(&peer, &SessionError::Ended, &pace);
        assert!(!had_its_turn());
        advance(pace.relay_after / 25).await;
    }
    let began = Instant::now();
    board.introduced(&peer, &NodeVersion::own());
    advance(pace.silence() - MOMENT).await;
    assert!(!had_its_turn());
    assert_eq!(next_change(&board), Some(began + pace.silence()));
    advance(MOMENT).await;
    assert!(had_its_turn());
    // Whoever greets again and again keeps nobody from writing.
    let mut rounds = 0;
    while !had_its_turn() || rounds < 2 {
        board.introduced(&peer, &NodeVersion::own());
        advance(pace.silence() / 2).await;
        board.disconnected(&peer, &SessionError::Ended, &pace);
        board.introduced(&peer, &NodeVersion::own());
        rounds += 1;
        assert!(rounds < 5, "it never ends");
    }
    board.disconnected(&peer, &SessionError::Ended, &pace);
    assert!(had_its_turn(), "what had its time has had it");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_tampered_with_a_feed_or_withheld_it_is_asked_for_it_last_for_an_hour() {
    let (board, peer, pace) = board();
    board.connected(&peer);
    let began = Instant::now();
    board.distrusted(&peer, feed("acme/all"), &pace);
    advance(Duration::from_secs(10)).await;
    board.stalled(&peer, feed("bazaar/all"), &pace);
    let told = || {
        let Prospect { distrusted, stalled, .. } = prospect(&board, &peer);
        (distrusted, stalled, next_change(&board))
    };
    let (tampered, withheld) = (BTreeSet::from([feed("acme/all")]), BTreeSet::from([feed("bazaar/all")]));
    let hour = Duration::from_secs(3_600);
    assert_eq!(told(), (tampered.clone(), withheld.clone(), Some(began + hour)));
    advance(hour - Duration::from_secs(10) - MOMENT).await;
    assert_eq!(told(), (tampered, withheld.clone(), Some(began + hour)));
    advance(MOMENT).await;
    assert_eq!(told(), (BTreeSet::new(), withheld, Some(began + hour + Duration::from_secs(10))));
    advance(Duration::from_secs(10)).await;
    assert_eq!(told(), (BTreeSet::new(), BTreeSet::new(), None));
}

#[tokio::test(start_paused = true)]
async fn an_operator_sees_of_a_peer_what_it_said_last_and_what_went_over_the_line_since_the_start() {
    let (board, peer, pace) = board();
    board.dialled(&peer, "acme:1");
    board.connected(&peer);
    let version = NodeVersion::own();
    board.introduced(&peer, &version);
    board.heard(&peer, Timestamp::from_unix_ms(7));
    board.traffic(&peer, Traffic { received_bytes: 10, sent_bytes: 20 });
    board.following(&peer, 3);
    let seen = PeerStatus {
        member: peer.clone(),
        address: "acme:1".into(),
        connected: true,
        last_error: None,
        version: Some(version),
        last_heard: Some(Timestamp::from_unix_ms(7)),
        traffic: Traffic { received_bytes: 10, sent_bytes: 20 },
        following: 3,
    };
    assert_eq!(status(&board), seen);
    board.disconnected(&peer, &SessionError::Ended, &pace);
    let after = status(&board);
    assert_eq!(after.last_error.as_ref().map(|failure| failure.code), Some("STREAM_ENDED"));
    assert_eq!(after, PeerStatus { connected: false, last_error: after.last_error.clone(), following: 0, ..seen.clone() });
    board.connected(&peer);
    board.traffic(&peer, Traffic { received_bytes: 1, sent_bytes: 2 });
    assert_eq!(status(&board), PeerStatus { traffic: Traffic { received_bytes: 11, sent_bytes: 22 }, following: 0, ..seen });
    board.strike(&peer);
    assert_eq!(board.statuses(), []);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_made_anew_when_a_peer_comes_or_goes_or_shows_or_refuses_something_else() {
    let (board, peer, pace) = board();
    assert!(!replans(&board));
    board.connected(&peer);
    assert!(replans(&board) && !replans(&board), "once");
    let show = |size: u64, stale: &[&str]| {
        let known = BTreeMap::from([(feed("bazaar/all"), Seq::new(size))]);
        board.showed(&peer, known, stale.iter().map(|name| feed(name)).collect());
        replans(&board)
    };
    assert_eq!(
        [show(5, &[]), show(5, &[]), show(6, &[]), show(6, &["acme/all"]), show(6, &["acme/all"])],
        [true, false, true, true, false]
    );
    assert_eq!(prospect(&board, &peer).known, BTreeMap::from([(feed("bazaar/all"), Seq::new(6))]));
    assert_eq!(prospect(&board, &peer).stale, BTreeSet::from([feed("acme/all")]));

    board.refused(&peer, feed("bazaar/all"));
    assert!(replans(&board));
    assert_eq!(prospect(&board, &peer).refused, BTreeSet::from([feed("bazaar/all")]));
    board.forget_refusals(&peer);
    assert!(replans(&board) && prospect(&board, &peer).refused.is_empty());
    board.forget_refusals(&peer);
    assert!(!replans(&board), "there was nothing to forget");
    board.refused(&peer, feed("bazaar/all"));
    board.stalled(&peer, feed("bazaar/all"), &pace);
    assert!(replans(&board));
    board.disconnected(&peer, &SessionError::Ended, &pace);
    assert!(replans(&board) && prospect(&board, &peer).known.is_empty());
    board.connected(&peer);
    assert!(prospect(&board, &peer).refused.is_empty(), "another session may serve it");
}

#[test]
fn own_feeds_are_level_once_all_were_compared_under_the_roster_in_force() {
    let (board, a, b) = (Board::default(), id("acme"), id("bazaar"));
    let all = |serial| board.all_compared([&a, &b].into_iter(), serial);
    board.compared(&a, 7);
    assert!(!all(7));
    board.compared(&b, 6);
    assert!(!all(7) && !all(6));
    board.compared(&b, 7);
    assert!(all(7) && !all(8));
}

/// What this thread logs while it lives.
struct News {
    log: Log,
    seen: Cell<usize>,
    _kept: DefaultGuard,
}

impl News {
    fn keep() -> Self {
        let log = Log::default();
        let kept = tracing::dispatcher::set_default(&log.dispatch());
        Self { log, seen: Cell::new(0), _kept: kept }
    }

    /// The codes, or else the messages, that were logged since the last look.
    fn news(&self) -> Vec<String> {
        let lines = self.log.lines();
        let said = |line: &Value| {
            let said = |field: &str| line["fields"][field].as_str().map(str::to_owned);
            said("code").or_else(|| said("message")).expect("something")
        };
        lines[self.seen.replace(lines.len())..].iter().map(said).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_logged_when_it_is_another_one_and_a_misbehaviour_once_an_hour() {
    let ((board, peer, pace), log) = (board(), News::keep());
    let fails = |error: SessionError| {
        board.disconnected(&peer, &error, &pace);
        log.news()
    };
    let comes = || {
        board.connected(&peer);
        log.news()
    };
    let none: [&str; 0] = [];
    let misbehaves = || fails(Misbehaviour::Gap.into());
    assert_eq!(comes(), none, "it was never away");
    assert_eq!(fails(SessionError::Ended), ["STREAM_ENDED"]);
    assert_eq!(fails(SessionError::Ended), none);
    assert_eq!(fails(SessionError::Silent(pace.silence())), ["PEER_SILENT"]);
    assert_eq!(comes(), ["the peer is back"]);
    assert_eq!(fails(SessionError::Ended), ["STREAM_ENDED"], "it had ceased");
    assert_eq!(misbehaves(), ["PEER_MISBEHAVED"]);
    assert_eq!(comes(), none, "who misbehaves is not told to be back each time");
    advance(Duration::from_secs(3_600) - MOMENT).await;
    assert_eq!(misbehaves(), none);
    assert_eq!(fails(Misbehaviour::NotAsked.into()), ["PEER_MISBEHAVED"], "it is another misbehaviour");
    advance(MOMENT).await;
    assert_eq!((misbehaves(), misbehaves()), (vec!["PEER_MISBEHAVED".to_owned()], vec![]));

    let mut registry = Registry::default();
    registry.register("failures", "Failures", board.errors.clone());
    let mut counted = String::new();
    encode(&mut counted, &registry).expect("text");
    for line in ["code=\"STREAM_ENDED\"} 3", "code=\"PEER_SILENT\"} 1", "code=\"BATCH_GAP\"} 4", "code=\"BATCH_NOT_ASKED\"} 1"]
    {
        assert!(counted.contains(&format!("failures_total{{member=\"acme\",{line}\n")), "{counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_shows_that_is_not_taken_is_logged_once_until_it_has_ceased() {
    let ((board, peer, pace), log) = (board(), News::keep());
    let none: [&str; 0] = [];
    let shows = |occasion: Occasion, complaints: Vec<Complaint>| {
        board.complaints(&peer, occasion, complaints);
        log.news()
    };
    assert_eq!(shows(Occasion::Heads, vec![Complaint::Repeated]), ["CHECKPOINT_REPEATED"]);
    assert_eq!(status(&board).last_error.map(|failure| failure.code), Some("CHECKPOINT_REPEATED"));
    assert_eq!(shows(Occasion::Heads, vec![Complaint::Repeated, Complaint::Stale]), ["CHECKPOINT_STALE"]);
    assert_eq!(shows(Occasion::Roster, vec![]), none);
    assert_eq!(shows(Occasion::Heads, vec![Complaint::Stale]), none, "it is still so");
    assert_eq!(shows(Occasion::Heads, vec![]), none);
    assert_eq!(status(&board).last_error, None);
    assert_eq!(shows(Occasion::Heads, vec![Complaint::Repeated]), ["CHECKPOINT_REPEATED"]);

    let withholds = || {
        board.stalled(&peer, feed("bazaar/all"), &pace);
        log.news()
    };
    assert_eq!(withholds(), ["FEED_STALLED"]);
    advance(Duration::from_secs(3_600) - MOMENT).await;
    assert_eq!(withholds(), none);
    advance(Duration::from_secs(3_600)).await;
    assert_eq!(withholds(), ["FEED_STALLED"]);
    assert_eq!((board.is_new_fork(&feed("acme/all")), board.is_new_fork(&feed("acme/all"))), (true, false));
}
