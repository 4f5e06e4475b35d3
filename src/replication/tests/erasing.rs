//! What a member erases goes from every node, each of which says so, whoever was away for however long and whoever lies.

use super::world::*;
use crate::domain::{Erasure, ErasureReason, Seq, SignalRef, Timestamp};
use crate::feed::{Body, Entry, Leaf, encode};
use crate::store::{Append, Appended};

const ALL: &str = "a/all";

/// The member `a` erases signals of its own.
async fn erase(world: &World, seqs: &[u64]) {
    let entries: Vec<Seq> = seqs.iter().copied().map(Seq::new).collect();
    let body = Body::Erasure(Erasure { entries: entries.clone(), tags: vec![], reason: ErasureReason::Request });
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(3), body };
    let bytes = encode(&entry, [4; 16]).expect("fits");
    let audience = "all".parse().expect("valid");
    let erasure = Append::Erasure { audience, entries, entry: entry.into(), bytes };
    let outcome = world.node("a").store.append(vec![erasure]).await.expect("durable");
    assert!(matches!(outcome[..], [Ok(Appended::Created(_))]), "{outcome:?}");
}

/// Whether the content at `seq` is gone from a node, and so is every trace in its index.
fn is_erased(world: &World, name: &str, seq: u64) -> bool {
    let store = &world.node(name).store;
    let at = SignalRef { feed: feed(ALL), seq: Seq::new(seq) };
    store.is_erased(&at) && matches!(store.read(&at.feed, at.seq), Ok(Some(Leaf::Erased(_))))
}

/// How far the node of `holder` has come, as its receipt at `a` says.
fn confirmed(world: &World, holder: &str) -> Option<(u64, u64)> {
    let receipt = world.node("a").store.receipt(&feed(ALL), &id(holder))?;
    Some((receipt.progress.removed.get(), receipt.progress.purged.get()))
}

#[tokio::test]
async fn every_node_that_has_removed_what_was_erased_says_so() {
    let world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..20).await;
    world.converge(20).await;
    erase(&world, &[3, 19]).await;
    for name in ["a", "b", "c"] {
        world.until("it is gone", |w| is_erased(w, name, 3) && is_erased(w, name, 19) && !is_erased(w, name, 4)).await;
    }
    world.until("b and c confirm", |w| ["b", "c"].iter().all(|name| confirmed(w, name) == Some((21, 0)))).await;
    assert_eq!(world.node("b").store.purge().await, Ok(true));
    world.until("b confirms that its files are clean", |w| confirmed(w, "b") == Some((21, 21))).await;
    assert_eq!(confirmed(&world, "c"), Some((21, 0)), "c has not done it");
}

#[tokio::test]
async fn a_node_that_was_away_for_a_day_a_month_or_a_year_brings_nothing_back() {
    for days in [1, 30, 400] {
        let mut world = World::new(roster(1, &["a", "b", "c", "d"], &[], &[]));
        for name in ["a", "b", "c"] {
            world.start(name).await;
        }
        world.node("a").append("all", 0..30).await;
        world.converge(30).await;
        world.stop("c").await;
        erase(&world, &[7]).await;
        world.until("b has removed it", |w| is_erased(w, "b", 7)).await;
        for name in ["a", "b"] {
            assert_eq!(world.node(name).store.purge().await, Ok(true));
        }
        world.clock.pass_days(days);
        // A new member hears of the feed from the one that was away, before that one hears of the erasure.
        for (x, y) in [("c", "a"), ("c", "b"), ("d", "a"), ("d", "b")] {
            world.cut(x, y);
        }
        world.start("c").await;
        world.start("d").await;
        world.until("d has what c had", |w| w.node("d").size(ALL) == 30).await;
        assert!(!is_erased(&world, "d", 7), "{days} days: nobody has told it yet");
        world.heal_all();
        world.converge(31).await;
        for name in ["a", "b", "c", "d"] {
            world.until("it is gone everywhere", |w| is_erased(w, name, 7)).await;
        }
        world.until("all confirm", |w| ["b", "c", "d"].iter().all(|name| confirmed(w, name).is_some())).await;
        let live = |name: &str| world.node(name).store.feed(&feed(ALL)).map(|f| (f.live_signals, f.view_digest, f.missing));
        assert_eq!(live("a").map(|(signals, _, missing)| (signals, missing)), Some((29, 0)), "{days} days");
        assert!(["b", "c", "d"].iter().all(|name| live(name) == live("a")), "{days} days");
    }
}

#[tokio::test]
async fn a_node_that_comes_later_gets_no_content_that_is_gone() {
    let mut world = World::new(roster(1, &["a", "b"], &[], &[]));
    world.start("a").await;
    world.start("b").await;
    world.node("a").append("all", 0..10).await;
    world.converge(10).await;
    erase(&world, &[2]).await;
    world.until("a has removed it", |w| is_erased(w, "a", 2)).await;
    world.stop("b").await;
    std::fs::remove_dir_all(world.folder("b")).expect("its disk is lost");
    world.start("b").await;
    world.converge(11).await;
    world.until("it is told at once", |w| is_erased(w, "b", 2)).await;
    assert_eq!(world.node("b").store.feed(&feed(ALL)).map(|f| (f.missing, f.live_signals)), Some((0, 9)));
}

#[tokio::test]
async fn content_that_a_relay_withholds_comes_from_another() {
    let mut world = World::new(roster(1, &["a", "b", "c"], &[], &[]));
    world.start("a").await;
    world.start("b").await;
    world.node("a").append("all", 0..12).await;
    world.converge(12).await;
    world.net.set_faults("b", "c", vec![Fault::Hollow(feed(ALL))]);
    world.cut("a", "c");
    world.start("c").await;
    world.until("c holds the shell of it", |w| w.node("c").size(ALL) == 12).await;
    assert_eq!(world.node("c").store.missing(&feed(ALL), 100).len(), 12, "and knows that it is a shell");
    world.heal("a", "c");
    world.until("a makes it good", |w| w.node("c").store.missing(&feed(ALL), 100).is_empty()).await;
    let live = |name: &str| world.node(name).store.feed(&feed(ALL)).map(|f| (f.live_signals, f.view_digest));
    assert_eq!(live("c"), live("a"));
}
