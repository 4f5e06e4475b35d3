//! Erasing at the level of use cases, and what is kept no longer than policy says.

use super::world::{World, allegation, feed, marker, named};
use crate::domain::{
    Change, DisputeGround, ErasureReason, Evidence, EvidenceKind, MarkerKind, MarkerReason, RetentionRule, RetractionReason,
    SignalRef, SignalStatus, Stance, Verdict,
};
use crate::service::{Swept, Target};

const THREE: [&str; 3] = ["aurelle", "bazaar", "kestrel"];

/// Waits until a node has removed all that erasures of `of` name.
pub(super) async fn removed(world: &World, at: &str, of: &str) {
    let store = &world.node(at).store;
    let mut changes = store.changes();
    let last = *store.erasures(&feed(of)).last().expect("there is one");
    while store.erasure_progress(&feed(of)).is_none_or(|progress| progress.removed <= last) {
        changes.changed().await.expect("the store is open");
    }
}

#[tokio::test]
async fn an_erased_signal_is_gone_with_its_amendments_and_stays_so() {
    let world = World::new(&THREE).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let mut row = allegation("outlet.test", 1);
    row.id = Some("case-17".parse().expect("valid"));
    let signal = aurelle.submit(row.clone()).await.expect("taken").signal;
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    let target = || Target::Submission("all".parse().expect("valid"), "case-17".parse().expect("valid"));
    let (_, amendment) = aurelle.cases.amend(target(), change.clone()).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(bazaar.ask("outlet.test").await.judgment.verdict, Verdict::Confirmed);

    let foreign = bazaar.eraser.erase(Target::Signal(signal.clone()), ErasureReason::Request).await;
    assert_eq!(foreign.map_err(|error| error.code()), Err("SIGNAL_NOT_OWN"));
    let erased = aurelle.eraser.erase(target(), ErasureReason::Request).await.expect("durable");
    assert!(erased.newly && erased.entry == signal);
    let again = aurelle.eraser.erase(target(), ErasureReason::Order).await.expect("known");
    assert_eq!((again.newly, again.erasure), (false, erased.erasure));
    world.deliver("aurelle/all", "bazaar").await;
    for node in [aurelle, bazaar] {
        assert_eq!(node.ask("outlet.test").await.judgment.verdict, Verdict::NoneKnown, "at once");
        let code = node.signals.get(signal.clone()).await.map_err(|error| error.code());
        assert_eq!(code.map(drop), Err("SIGNAL_ERASED"));
    }
    for at in ["aurelle", "bazaar"] {
        removed(&world, at, "aurelle/all").await;
        for entry in [&signal, &amendment] {
            let leaf = world.node(at).store.read(&entry.feed, entry.seq).expect("readable");
            assert!(leaf.is_some_and(|leaf| leaf.bytes().is_none()), "{at} {entry}");
        }
    }
    let refused = [
        aurelle.signals.retract(target(), RetractionReason::Other).await.map(drop).map_err(|error| error.code()),
        aurelle.cases.amend(target(), change).await.map(drop).map_err(|error| error.code()),
    ];
    assert_eq!(refused, [Err("SIGNAL_ERASED"); 2]);
    let receipt = aurelle.submit(row).await.expect("known");
    assert_eq!((receipt.created, receipt.status, receipt.signal), (false, SignalStatus::Erased, signal));
    assert_eq!(bazaar.ask("outlet.test").await.judgment.verdict, Verdict::NoneKnown);
}

#[tokio::test]
async fn what_erasures_have_been_carried_out_is_listed() {
    let world = World::new(&THREE).await;
    let aurelle = world.node("aurelle");
    for case in 0..3 {
        let signal = aurelle.submit(allegation("outlet.test", case)).await.expect("taken").signal;
        aurelle.eraser.erase(Target::Signal(signal), ErasureReason::EntryError).await.expect("durable");
    }
    removed(&world, "aurelle", "aurelle/all").await;
    let list = async |audience: &str| aurelle.eraser.list(audience.parse().expect("valid"), None).await;
    let page = list("all").await.expect("listed");
    let listed: Vec<u64> = page.erasures.iter().map(|record| record.erasure.seq.get()).collect();
    assert_eq!((listed, page.next), (vec![5, 3, 1], None));
    assert!(page.erasures.iter().all(|record| record.entries == 1 && record.reason == ErasureReason::EntryError));
    let replicas: Vec<(&str, bool)> = page.replicas.iter().map(|r| (r.member.as_str(), r.progress.is_some())).collect();
    assert_eq!(replicas, [("aurelle", true), ("bazaar", false), ("kestrel", false)]);
    assert_eq!(list("nobody").await.map_err(|error| error.code()).map(drop), Err("AUDIENCE_UNKNOWN"));
}

#[tokio::test]
async fn a_marker_can_be_erased_and_a_dispute_cannot() {
    let world = World::new(&THREE).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let signal = aurelle.submit(allegation("outlet.test", 1)).await.expect("taken").signal;
    let draft = marker(MarkerKind::Victim, named("outlet.test"), MarkerReason::StolenAccount);
    let marker = aurelle.cases.mark(draft).await.expect("durable");
    let opened = aurelle.cases.open_dispute(vec![signal], DisputeGround::Licensed, vec![]).await.expect("durable");
    assert!(aurelle.ask("outlet.test").await.markers.len() == 1);
    let erase = async |entry: SignalRef| aurelle.eraser.erase(Target::Signal(entry), ErasureReason::Request).await;
    assert!(erase(marker).await.expect("durable").newly);
    assert_eq!(erase(opened.dispute).await.map_err(|error| error.code()).map(drop), Err("SIGNAL_NOT_FOUND"));
    world.deliver("aurelle/all", "bazaar").await;
    for node in [aurelle, bazaar] {
        let answer = node.ask("outlet.test").await;
        assert_eq!((answer.judgment.verdict, answer.markers.len()), (Verdict::Disputed, 0));
    }
}

#[tokio::test]
async fn what_has_been_kept_long_enough_is_erased_by_its_member() {
    let mut world = World::new(&THREE).await;
    world
        .amend(|roster| {
            roster.policy.retention_days = 100;
            let evidence = Some(EvidenceKind::CourtJudgment);
            roster.policy.retention = vec![RetentionRule { infringement: None, evidence, days: 900 }];
        })
        .await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let usual = aurelle.submit(allegation("outlet.test", 1)).await.expect("taken").signal;
    let mut short = allegation("outlet.test", 2);
    short.statement.retention_days = Some(10);
    let short = aurelle.submit(short).await.expect("taken").signal;
    let mut judged = allegation("outlet.test", 3);
    judged.statement.evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let judged = aurelle.submit(judged).await.expect("taken").signal;
    let amended = aurelle.submit(allegation("outlet.test", 4)).await.expect("taken").signal;
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    aurelle.cases.amend(Target::Signal(amended.clone()), change).await.expect("durable");
    let withdrawn = aurelle.submit(allegation("outlet.test", 5)).await.expect("taken").signal;
    aurelle.signals.retract(Target::Signal(withdrawn.clone()), RetractionReason::Settled).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    bazaar.cases.opine(usual.clone(), Stance::Disagree(DisputeGround::NoRight)).await.expect("durable");

    let gone = |at: &str| {
        let store = &world.node(at).store;
        [&usual, &short, &judged, &amended, &withdrawn].map(|signal| store.is_erased(signal))
    };
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept::default()));
    aurelle.clock.advance_days(11);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 1, removed: 0 }));
    assert_eq!(gone("aurelle"), [false, true, false, false, false]);
    aurelle.clock.advance_days(90);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 2, removed: 0 }));
    assert_eq!(gone("aurelle"), [true, true, false, false, true], "the withdrawn one, too");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(gone("bazaar"), gone("aurelle"));
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 1, removed: 0 }), "its opinion of what is gone");
    aurelle.clock.advance_days(800);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 3, removed: 0 }), "with the amendment");
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept::default()));
    assert_eq!(gone("aurelle"), [true; 5]);
}

#[tokio::test]
async fn what_a_member_that_is_gone_left_behind_is_removed_by_every_node() {
    let world = World::new(&THREE).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let signal = aurelle.submit(allegation("outlet.test", 1)).await.expect("taken").signal;
    let draft = marker(MarkerKind::Victim, named("victim.test"), MarkerReason::StolenAccount);
    let marker = aurelle.cases.mark(draft).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    let held = |entry: &SignalRef| {
        let leaf = bazaar.store.read(&entry.feed, entry.seq).expect("readable").expect("there");
        leaf.bytes().is_some()
    };
    bazaar.clock.advance_days(396 + 31);
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 0, removed: 1 }));
    assert!(held(&signal) && !held(&marker), "thirteen months, and a month for its member to erase it");
    bazaar.clock.advance_days(1_826);
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 0, removed: 1 }));
    assert!(!held(&signal));
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept::default()));
    assert_eq!(bazaar.ask("outlet.test").await.judgment.verdict, Verdict::NoneKnown);
    assert_eq!(bazaar.store.feed(&feed("aurelle/all")).map(|held| (held.live_signals, held.missing)), Some((0, 0)));
}
