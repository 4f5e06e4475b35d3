//! A change of the pseudonym keys makes nothing new that was known.

use super::watches::watch;
use super::world::{TestNode, World, allegation, marker, named, roster_key};
use crate::domain::KeyState::{Active, Destroyed, Retiring};
use crate::domain::{Audience, MarkerKind, MarkerReason, RetractionReason, SignalStatus, Submission, Verdict};
use crate::service::{KeySecrets as _, KeyStates, OverrideDraft, SubmitError, Target, Unkeyed};

async fn created_and_status(node: &TestNode, submission: Submission) -> (bool, SignalStatus) {
    let receipt = node.submit(submission).await.expect("taken");
    (receipt.created, receipt.status)
}

#[tokio::test]
async fn a_retracted_signal_without_an_id_stays_so_while_keys_come_and_go() {
    let mut world = World::new(&["aurelle"]).await;
    let retracted = || allegation("withdrawn.test", 1);
    let signal = world.node("aurelle").submit(retracted()).await.expect("taken").signal;
    let retraction = world.node("aurelle").signals.retract(Target::Signal(signal), RetractionReason::Settled);
    assert!(retraction.await.expect("withdrawn").newly);
    world.rotate(&[("k1", Active), ("k2", Active)]).await;
    assert_eq!(created_and_status(world.node("aurelle"), retracted()).await, (false, SignalStatus::Withdrawn));
    // Rows of one commit meet each other too.
    let twice = world.node("aurelle").submitter.submit(vec![allegation("new.test", 1), allegation("new.test", 1)]).await;
    assert_eq!(twice.iter().map(|r| r.as_ref().expect("taken").created).collect::<Vec<_>>(), [true, false]);
    world.rotate(&[("k1", Retiring), ("k2", Active)]).await;
    assert_eq!(created_and_status(world.node("aurelle"), retracted()).await, (false, SignalStatus::Withdrawn));
    assert_eq!(created_and_status(world.node("aurelle"), allegation("new.test", 1)).await, (false, SignalStatus::Alleged));
    world.rotate(&[("k1", Destroyed), ("k2", Active)]).await;
    let in_both = created_and_status(world.node("aurelle"), allegation("new.test", 1)).await;
    assert_eq!(in_both, (false, SignalStatus::Alleged), "what was written under both keys outlives the first");
}

#[tokio::test]
async fn a_submission_id_stands_for_the_same_content_under_the_next_key() {
    let mut world = World::new(&["aurelle"]).await;
    let with_id = |case| Submission { id: Some("case-17".parse().expect("valid")), ..allegation("shop.test", case) };
    let first = world.node("aurelle").submit(with_id(1)).await.expect("taken");
    world.rotate(&[("k1", Retiring), ("k2", Active)]).await;
    let again = world.node("aurelle").submit(with_id(1)).await.expect("the same content");
    assert_eq!((again.signal, again.created), (first.signal, false));
    let refused = world.node("aurelle").submit(with_id(2)).await.expect_err("other content");
    assert!(matches!(refused, SubmitError::IdReused(_)), "{refused}");
}

/// The nightly file comes again after the old key is gone: what was withdrawn stays so, and of what was not taken over in time nobody is
/// told to state it anew while it stands.
#[tokio::test]
async fn a_row_whose_signal_has_only_destroyed_keys_brings_nothing_back() {
    let mut world = World::new(&["aurelle"]).await;
    let row = |id: &str| Submission { id: Some(id.parse().expect("valid")), ..allegation(&format!("{id}.test"), 1) };
    for id in ["withdrawn", "late"] {
        world.node("aurelle").submit(row(id)).await.expect("taken");
    }
    let target = Target::Submission(Audience::Alliance, "withdrawn".parse().expect("valid"));
    world.node("aurelle").signals.retract(target, RetractionReason::Settled).await.expect("withdrawn");
    world.rotate(&[("k1", Destroyed), ("k2", Active)]).await;
    assert_eq!(created_and_status(world.node("aurelle"), row("withdrawn")).await, (false, SignalStatus::Withdrawn));
    let refused = world.node("aurelle").submit(row("late")).await.expect_err("nothing to compare by");
    assert_eq!(refused.code(), "SIGNAL_KEYS_DESTROYED");
    let left: Vec<String> = world.node("aurelle").keys.secrets().iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(left, ["k2"], "and the secret is destroyed with the key");
}

#[tokio::test]
async fn a_key_that_is_put_in_its_place_is_used_without_a_restart() {
    let mut world = World::new(&["aurelle"]).await;
    world.amend(|roster| roster.keys.push(roster_key("k2", Active))).await;
    let node = world.node("aurelle");
    let refused = node.submit(allegation("shop.test", 1)).await.expect_err("a secret is missing");
    assert_eq!(refused.code(), "KEY_MISSING");
    assert_eq!(node.pseudonymiser.problem().map(|e| e.code()), Some("KEY_MISSING"), "and status tells it");
    assert_eq!(node.pseudonymiser.listed_keys().len(), 2);
    node.keys.put("k2");
    assert_eq!(node.submit(allegation("shop.test", 1)).await.expect_err("not looked at again yet").code(), "KEY_MISSING");
    node.clock.advance_ms(1_000);
    assert!(node.submit(allegation("shop.test", 1)).await.expect("taken").created);
    assert_eq!(node.pseudonymiser.problem(), None);
}

#[tokio::test]
async fn what_is_to_be_made_again_beside_signals_is_counted() {
    let mut world = World::new(&["aurelle", "bazaar"]).await;
    let states = {
        let (node, ceremonies) = (world.node("aurelle"), world.open_holder("aurelle").ceremonies);
        let (directory, signals, store) = (node.directory.clone(), node.signals.clone(), node.store.clone());
        KeyStates { directory, ceremonies, signals, store }
    };
    let lacking = async || {
        let keys = states.list().await.expect("readable").into_iter();
        keys.filter_map(|key| Some((key.listed.id.to_string(), key.unkeyed?))).collect::<Vec<_>>()
    };
    let victim = || marker(MarkerKind::Victim, named("victim.test"), MarkerReason::StolenAccount);
    let make = async |node: &TestNode| {
        let marked = node.cases.mark(victim()).await.expect("durable");
        let (identifiers, note) = (vec![named("known.test")], String::new());
        let draft = OverrideDraft { verdict: Verdict::KnownGood, identifiers, until: None, note };
        (marked, node.overrides.set(draft).await.expect("durable"), watch(node, "outlet.test").await)
    };
    let (marked, decided, watched) = make(world.node("aurelle")).await;
    // Of those of others each member sees to its own.
    make(world.node("bazaar")).await;
    world.deliver("bazaar/all", "aurelle").await;
    assert_eq!(lacking().await, [("k1".to_owned(), Unkeyed::default())]);
    world.rotate(&[("k1", Retiring), ("k2", Active)]).await;
    let all = Unkeyed { markers: 1, overrides: 1, watches: 1 };
    assert_eq!(lacking().await, [("k2".to_owned(), all)]);
    world.node("aurelle").store.rebuild().await.expect("rebuilt");
    assert_eq!(lacking().await, [("k2".to_owned(), all)]);
    let aurelle = world.node("aurelle");
    make(aurelle).await;
    assert_eq!(lacking().await, [("k2".to_owned(), all)], "the old ones hold on under the old key");
    aurelle.cases.lift(marked).await.expect("durable");
    assert!(aurelle.overrides.remove(decided).await.expect("durable"));
    assert!(aurelle.watches.remove(watched).await.expect("durable"));
    assert_eq!(lacking().await, [("k2".to_owned(), Unkeyed::default())]);
    world.rotate(&[("k2", Retiring), ("k3", Active)]).await;
    assert_eq!(lacking().await, [("k3".to_owned(), all)]);
    let aurelle = world.node("aurelle");
    aurelle.clock.advance_days(4_000);
    assert_eq!(aurelle.watches.sweep().await, Ok(1));
    assert_eq!(lacking().await, [("k3".to_owned(), Unkeyed { overrides: 1, ..Unkeyed::default() })], "what has ended is over");
}
