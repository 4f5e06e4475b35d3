//! Peers that send what they should not.

use super::world::*;
use crate::domain::Seq;
use crate::feed::{Checkpoint, SignedCheckpoint};
use crate::replication::FollowEvent;

/// `a` is down, `c` has nothing of it; `b` and `d` have. `c` reaches `b` only, with these faults.
async fn faulty_relay(faults: impl FnOnce(&World) -> Vec<Fault>) -> World {
    let mut world = World::of(roster(1, &["a", "b", "c", "d"], &[("luxury", &["a", "b", "d"])], &[])).await;
    world.cut("c", "a");
    world.cut("c", "b");
    world.cut("c", "d");
    world.node("a").append("all", 0..5).await;
    world.node("a").append("luxury", 0..5).await;
    for name in ["b", "d"] {
        world.until("replicated", |w| w.node(name).size("a/all") == 5 && w.node(name).size("a/luxury") == 5).await;
    }
    let faults = faults(&world);
    world.stop("a").await;
    world.net.set_faults("b", "c", faults);
    world.heal("c", "b");
    world
}

/// `c` finds `b` out, keeps nothing of what it sent, and gets the feed from `d`.
async fn is_found_out(world: World, why: &str) {
    world.until("b is found out", |w| w.node("c").error_of("b") == Some("PEER_MISBEHAVED")).await;
    let detail = world.node("c").peer("b").and_then(|peer| peer.last_error).map(|failure| failure.detail).unwrap_or_default();
    assert!(detail.contains(why), "{detail}");
    assert_eq!(world.node("c").size("a/all"), 0);
    assert_eq!(world.node("c").size("a/luxury"), 0);
    world.heal("c", "d");
    world.until("c has it from d", |w| w.node("c").size("a/all") == 5).await;
    assert!(world.node("c").store.forks().is_empty(), "tampering is no fork");
    assert_eq!(world.node("c").size("a/luxury"), 0, "c is not of the group");
}

#[tokio::test]
async fn a_flipped_bit_is_caught_and_the_feed_comes_from_elsewhere() {
    let world = faulty_relay(|_| vec![Fault::FlippedBit(feed("a/all"))]).await;
    is_found_out(world, "BATCH_ROOT_MISMATCH").await;
}

#[tokio::test]
async fn a_bit_flipped_beyond_what_is_held_is_no_fork() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..5).await;
    world.converge(5).await;
    world.cut("a", "c");
    world.net.set_faults("b", "c", vec![Fault::FlippedBit(feed("a/all"))]);
    world.node("a").append("all", 5..8).await;
    world.until("b has it", |w| w.node("b").size("a/all") == 8).await;
    world.stop("a").await;
    world.until("b is found out", |w| w.node("c").error_of("b") == Some("PEER_MISBEHAVED")).await;
    assert_eq!(world.node("c").size("a/all"), 5);
    assert!(world.node("c").store.forks().is_empty());
    world.net.set_faults("b", "c", vec![]);
    world.until("the only relay is asked again", |w| w.node("c").size("a/all") == 8).await;
}

#[tokio::test]
async fn a_checkpoint_that_another_key_signed_is_caught() {
    let world = faulty_relay(|world| {
        let held = world.node("b").store.feed(&feed("a/all")).expect("held");
        let checkpoint = Checkpoint { feed: held.feed, size: held.size, root: held.root };
        let forged = SignedCheckpoint::sign(checkpoint, &alliance(), &key("b"));
        vec![Fault::Checkpoint(feed("a/all"), forged.note().clone())]
    })
    .await;
    is_found_out(world, "NOTE_NOT_SIGNED").await;
}

#[tokio::test]
async fn an_old_checkpoint_is_caught() {
    let world = faulty_relay(|world| {
        let held = world.node("b").store.frontier_at(&feed("a/all"), Seq::new(2)).expect("readable").expect("held");
        let checkpoint = Checkpoint { feed: feed("a/all"), size: held.size(), root: held.root() };
        let old = SignedCheckpoint::sign(checkpoint, &alliance(), &key("a"));
        vec![Fault::Checkpoint(feed("a/all"), old.note().clone())]
    })
    .await;
    is_found_out(world, "BATCH_SIZE_MISMATCH").await;
}

#[tokio::test]
async fn a_checkpoint_of_another_feed_is_caught() {
    let world = faulty_relay(|world| {
        let other = world.node("b").store.feed(&feed("a/luxury")).expect("held");
        let checkpoint = Checkpoint { feed: feed("c/all"), size: other.size, root: other.root };
        let other = SignedCheckpoint::sign(checkpoint, &alliance(), &key("c"));
        vec![Fault::Checkpoint(feed("a/all"), other.note().clone())]
    })
    .await;
    is_found_out(world, "BATCH_OTHER_FEED").await;
}

#[tokio::test]
async fn a_feed_outside_the_audience_is_not_taken() {
    let world = faulty_relay(|world| {
        let batch = world.node("b").store.batch_after(&feed("a/luxury"), Seq::ZERO).expect("readable").expect("held");
        let entries = batch.leaves.iter().filter_map(|leaf| leaf.bytes()).map(|entry| entry.bytes().clone()).collect();
        let (feed, first, checkpoint) = (feed("a/luxury"), Seq::ZERO, batch.checkpoint);
        vec![
            Fault::Checkpoint(super::world::feed("a/all"), checkpoint.clone()),
            Fault::Unasked(FollowEvent::Batch { feed, first, entries, erased: vec![], checkpoint }),
        ]
    })
    .await;
    is_found_out(world, "BATCH_NOT_ASKED").await;
}

#[tokio::test]
async fn a_feed_that_its_owner_shows_and_withholds_comes_from_elsewhere() {
    let world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..2).await;
    world.converge(2).await;
    world.net.set_faults("a", "c", vec![Fault::Withheld(feed("a/all"))]);
    world.node("a").append("all", 2..7).await;
    world.until("c has it from b", |w| w.node("c").size("a/all") == 7).await;
    assert!(world.node("c").is_connected("a"));
}
