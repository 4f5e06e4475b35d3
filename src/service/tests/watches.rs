//! A watch tells when what a check would answer changes, whatever changed it, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::world::{TestNode, World, allegation, identifier, marker, named, submission};
use crate::domain::{
    Alert, AlertId, AlertKind, Change, DisputeGround, DisputeOutcome, ErasureReason, Evidence, EvidenceKind, IdentifierKind,
    MarkerKind, MarkerReason, RetractionReason, Stance, Verdict, WatchId,
};
use crate::service::{AlertSink, Deliveries, DeliveryError, Target, WatchDraft};

const THREE: [&str; 3] = ["aurelle", "bazaar", "kestrel"];

pub(super) async fn watch(node: &TestNode, domain: &str) -> WatchId {
    let draft = WatchDraft { identifiers: vec![named(domain)], days: None, label: format!("about {}", domain.len()) };
    node.watches.add(vec![draft]).await.pop().expect("one outcome").expect("durable")
}

/// Looks at all that is to be looked at, and gives what was raised since, acknowledged.
pub(super) async fn news(node: &TestNode) -> Vec<(WatchId, AlertKind)> {
    node.clock.advance_ms(2_000);
    while node.watcher.look().await.expect("readable") > 0 {}
    let mut news = Vec::new();
    for (id, alert) in node.watches.alerts(None, 100).await.expect("readable") {
        news.push((alert.watch, alert.kind));
        assert!(node.watches.acknowledge(id).await.expect("durable"));
    }
    news
}

#[tokio::test]
async fn every_turn_of_a_signals_life_is_told_once() {
    let world = World::new(&THREE).await;
    let (aurelle, bazaar, kestrel) = (world.node("aurelle"), world.node("bazaar"), world.node("kestrel"));
    let seen = watch(bazaar, "outlet.test").await;
    let other = watch(bazaar, "honest.test").await;
    assert_eq!(news(bazaar).await, []);
    let signal = aurelle.submit(allegation("outlet.test", 1)).await.expect("taken").signal;
    let hear = async |member: &str| {
        world.deliver(&format!("{member}/all"), "bazaar").await;
        news(bazaar).await
    };
    assert_eq!(hear("aurelle").await, [(seen, AlertKind::NewFlag)]);
    assert_eq!(news(bazaar).await, [], "once");
    kestrel.submit(allegation("outlet.test", 2)).await.expect("taken");
    assert_eq!(hear("kestrel").await, [(seen, AlertKind::NewFlag)], "one more member");
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    aurelle.cases.amend(Target::Signal(signal.clone()), change).await.expect("durable");
    assert_eq!(hear("aurelle").await, [(seen, AlertKind::Confirmed)]);
    world.deliver("aurelle/all", "kestrel").await;
    let opened = kestrel.cases.open_dispute(vec![signal.clone()], DisputeGround::Licensed, vec![]).await.expect("durable");
    assert_eq!(hear("kestrel").await, [(seen, AlertKind::Weakened)], "kestrel's own allegation stays");
    world.deliver("kestrel/all", "aurelle").await;
    aurelle.cases.decide(opened.dispute, DisputeOutcome::Upheld, vec![]).await.expect("durable");
    assert_eq!(hear("aurelle").await, [(seen, AlertKind::Confirmed)]);
    kestrel.cases.opine(signal.clone(), Stance::Disagree(DisputeGround::NoRight)).await.expect("durable");
    assert_eq!(hear("kestrel").await, [(seen, AlertKind::Weakened)]);
    aurelle.eraser.erase(Target::Signal(signal), ErasureReason::Request).await.expect("durable");
    assert_eq!(hear("aurelle").await, [], "an allegation it was, and is");
    let page = kestrel.signals.list("all".parse().expect("valid"), crate::domain::Seq::ZERO, 10, true).await.expect("listed");
    let own = page.records[0].signal.clone();
    kestrel.signals.retract(Target::Signal(own), RetractionReason::Settled).await.expect("durable");
    assert_eq!(hear("kestrel").await, [(seen, AlertKind::Withdrawn)]);
    let listed = bazaar.watches.list(None, 10).await.expect("readable");
    assert!(listed.iter().all(|(id, watch)| [seen, other].contains(id) && watch.standing.verdict == Verdict::NoneKnown));
}

#[tokio::test]
async fn what_is_known_already_is_told_at_once_and_a_victim_is_none() {
    let world = World::new(&THREE).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    bazaar.submit(allegation("outlet.test", 1)).await.expect("taken");
    let seen = watch(bazaar, "outlet.test").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::NewFlag)], "its own flag, too");
    let draft = marker(MarkerKind::Victim, named("outlet.test"), MarkerReason::StolenAccount);
    let marker = aurelle.cases.mark(draft).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::Withdrawn)]);
    aurelle.cases.lift(marker).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::NewFlag)]);
}

#[tokio::test]
async fn time_alone_changes_an_answer_and_ends_a_watch() {
    let world = World::new(&THREE).await;
    let bazaar = world.node("bazaar");
    let mut short = submission("all", "outlet.test", EvidenceKind::TestPurchase, 1);
    short.statement.retention_days = Some(10);
    bazaar.submit(short).await.expect("taken");
    let seen = watch(bazaar, "outlet.test").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::NewFlag)]);
    bazaar.clock.advance_days(11);
    assert_eq!(news(bazaar).await, [], "nothing has asked for a look");
    bazaar.store.look_again().await.expect("durable");
    assert_eq!(news(bazaar).await, [(seen, AlertKind::Withdrawn)]);
    bazaar.clock.advance_days(350);
    bazaar.submit(allegation("outlet.test", 2)).await.expect("taken");
    assert_eq!(news(bazaar).await, [], "its 360 days are over");
    assert_eq!(bazaar.watches.sweep().await, Ok(1));
    assert_eq!(bazaar.store.watch_counts(), (0, 0));
}

#[tokio::test]
async fn alerts_wait_until_they_are_acknowledged_and_survive_a_restart() {
    let world = World::new(&THREE).await;
    let bazaar = world.node("bazaar");
    let watches = [watch(bazaar, "one.test").await, watch(bazaar, "two.test").await];
    for (case, domain) in ["one.test", "two.test"].into_iter().enumerate() {
        bazaar.submit(allegation(domain, case)).await.expect("taken");
    }
    while bazaar.watcher.look().await.expect("readable") > 0 {}
    let raised = async || bazaar.watches.alerts(None, 100).await.expect("readable");
    let first = raised().await;
    assert_eq!(first.iter().map(|(_, alert)| alert.watch).collect::<Vec<_>>(), watches);
    assert_eq!(first[0].1.label, "about 8");
    bazaar.store.rebuild().await.expect("rebuilt");
    assert_eq!(raised().await, first, "as they were");
    assert_eq!(bazaar.watches.alerts(Some(first[0].0), 100).await.expect("readable"), first[1..]);
    assert!(bazaar.watches.acknowledge(first[0].0).await.expect("durable"));
    assert!(!bazaar.watches.acknowledge(first[0].0).await.expect("known"), "once");
    assert_eq!(raised().await, first[1..]);
    assert!(bazaar.watches.remove(watches[1]).await.expect("durable"));
    assert!(!bazaar.watches.remove(watches[1]).await.expect("known"));
    assert_eq!(raised().await, first[1..], "what was raised stays");
    bazaar.submit(allegation("two.test", 7)).await.expect("taken");
    assert_eq!(bazaar.watcher.look().await, Ok(0));
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_and_the_rest_is_not() {
    let world = World::new(&THREE).await;
    let bazaar = world.node("bazaar");
    let draft = |identifiers, days, label: &str| WatchDraft { identifiers, days, label: label.into() };
    let weak = vec![identifier(IdentifierKind::LegalName, "Somebody Ltd")];
    let drafts = vec![
        draft(weak, None, ""),
        draft(vec![named("outlet.test")], Some(0), ""),
        draft(vec![named("outlet.test")], Some(4_000), ""),
        draft(vec![named("outlet.test")], None, &"x".repeat(121)),
        draft(vec![named("com")], None, ""),
        draft(vec![named("outlet.test")], Some(1), "case 4"),
    ];
    let outcomes = bazaar.watches.add(drafts).await;
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(|_| ()).map_err(|error| error.code())).collect();
    let refused = ["IDENTIFIERS_ALL_WEAK", "WATCH_DAYS_INVALID", "WATCH_DAYS_INVALID", "TEXT_INVALID", "IDENTIFIER_INVALID"];
    assert_eq!(codes[..5], refused.map(Err));
    assert_eq!((codes[5], bazaar.store.watch_counts()), (Ok(()), (1, 0)));
}

/// Takes alerts as it was told to, and notes them.
struct Scripted {
    outcomes: Mutex<Vec<Result<(), bool>>>,
    seen: Mutex<Vec<AlertId>>,
}

#[async_trait]
impl AlertSink for Scripted {
    async fn deliver(&self, id: AlertId, _: &Alert) -> Result<(), DeliveryError> {
        self.seen.lock().push(id);
        let outcome = self.outcomes.lock().pop().unwrap_or(Ok(()));
        outcome.map_err(|refused| DeliveryError { code: "WEBHOOK_TEST", detail: "as told".into(), refused })
    }
}

#[tokio::test]
async fn a_receiver_gets_every_alert_in_turn_and_one_that_it_refuses_is_set_aside() {
    let world = World::new(&THREE).await;
    let bazaar = world.node("bazaar");
    for (case, domain) in ["one.test", "two.test", "three.test"].into_iter().enumerate() {
        watch(bazaar, domain).await;
        bazaar.submit(allegation(domain, case)).await.expect("taken");
    }
    while bazaar.watcher.look().await.expect("readable") > 0 {}
    // The first is taken after two failures, the second refused as often as it may be.
    let mut outcomes = vec![Err(false), Err(false), Ok(())];
    outcomes.extend([Err(true); 5]);
    outcomes.reverse();
    let sink = Arc::new(Scripted { outcomes: Mutex::new(outcomes), seen: Mutex::default() });
    let (stop, status) = (CancellationToken::new(), Arc::default());
    let deliveries = Deliveries {
        store: bazaar.store.clone(),
        sink: sink.clone(),
        pauses: (Duration::from_millis(1), Duration::from_millis(2)),
        clock: bazaar.clock.clone(),
        status: Arc::clone(&status),
    };
    let running = tokio::spawn(deliveries.run(stop.clone()));
    let mut changes = bazaar.store.changes();
    while bazaar.store.delivered_until() != Some(AlertId(3)) {
        changes.changed().await.expect("the store is open");
    }
    stop.cancel();
    running.await.expect("no panic");
    let seen: Vec<u64> = sink.seen.lock().iter().map(|id| id.0).collect();
    assert_eq!(seen, [1, 1, 1, 2, 2, 2, 2, 2, 3]);
    let left = bazaar.watches.alerts(None, 10).await.expect("readable");
    let left: Vec<_> = left.into_iter().map(|(id, alert)| (id, alert.refused)).collect();
    assert_eq!(left, [(AlertId(2), "WEBHOOK_TEST".to_owned())], "what was taken is acknowledged");
    let status = status.lock().clone();
    assert!(status.delivered_at.is_some() && status.failing_since.is_none());
}
