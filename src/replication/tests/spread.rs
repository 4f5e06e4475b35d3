//! Entries reach every member of their audience, at the cost of what changed.

use std::sync::atomic::Ordering;

use super::world::*;
use crate::domain::{Audience, Clock as _};
use crate::replication::OwnFeeds;

#[tokio::test]
async fn three_nodes_converge_and_hear_each_other() {
    let world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..700).await;
    world.node("b").append("all", 0..3).await;
    world.converge(703).await;
    world.node("c").append("all", 0..2).await;
    world.converge(705).await;
    let c = world.node("c");
    assert!(c.liveness.last_heard(&feed("a/all"), world.clock.now()).is_some());
    assert_eq!(c.liveness.newest_size(&feed("a/all")).get(), 700);
    world.until("status", |w| w.node("c").peer("a").is_some_and(|p| p.following == 1 && p.last_error.is_none())).await;
}

#[tokio::test]
async fn a_node_that_was_away_catches_up() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..10).await;
    world.converge(10).await;
    world.stop("c").await;
    world.node("a").append("all", 10..600).await;
    world.node("b").append("all", 0..5).await;
    world.converge(605).await;
    world.start("c").await;
    world.converge(605).await;
}

#[tokio::test]
async fn a_third_member_relays_while_the_owner_is_down() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.cut("a", "c");
    world.node("a").append("all", 0..50).await;
    world.until("b has it", |w| w.node("b").size("a/all") == 50).await;
    world.stop("a").await;
    world.until("c has it from b", |w| w.node("c").size("a/all") == 50).await;
    assert_eq!(world.net.meter("b", "c").entries.load(Ordering::Relaxed), 50);
    world.heal_all();
    world.start("a").await;
    world.node("a").append("all", 50..60).await;
    world.converge(60).await;
}

#[tokio::test]
async fn the_feeds_of_expelled_members_reach_those_who_come_later() {
    let mut world = World::new(roster(1, &["a", "b", "c"], &[], &[]));
    world.start("a").await;
    world.start("b").await;
    world.node("a").append("all", 0..5).await;
    world.until("b has it", |w| w.node("b").size("a/all") == 5).await;
    let expelled = signed(roster(2, &["a", "b", "c"], &[], &["a"]));
    world.node("b").directory.offer(expelled).await.expect("newer");
    world.start("c").await;
    world.until("c has it from b", |w| w.node("c").size("a/all") == 5).await;
}

#[tokio::test]
async fn a_group_feed_reaches_the_group_only() {
    let world = World::of(roster(1, &["a", "b", "c"], &[("luxury", &["a", "b"])], &[])).await;
    world.node("a").append("luxury", 0..20).await;
    world.node("a").append("all", 0..1).await;
    world.until("b has it", |w| w.node("b").size("a/luxury") == 20).await;
    world.converge(1).await;
    assert!(world.node("c").picture(&Audience::Group("luxury".parse().expect("valid"))).is_empty());
    assert_eq!(world.node("c").liveness.newest_size(&feed("a/luxury")).get(), 0, "not even its size is shown");
}

#[tokio::test]
async fn a_cut_in_the_middle_costs_nothing_twice() {
    let mut world = World::new(roster(1, &["a", "b"], &[], &[]));
    world.start_with("a", "a", OwnFeeds::Trust).await;
    world.node("a").append("all", 0..10_000).await;
    world.net.set_faults("a", "b", vec![Fault::CutAfter(4_000)]);
    world.start("b").await;
    world.until("the link broke", |w| w.node("b").error_of("a") == Some("STREAM_BROKEN")).await;
    world.converge(10_000).await;
    assert_eq!(world.net.meter("a", "b").entries.load(Ordering::Relaxed), 10_000);
}

#[tokio::test]
async fn a_session_with_nothing_new_costs_less_than_a_kibibyte() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[("luxury", &["a", "b"])], &[])).await;
    for name in ["a", "b", "c"] {
        world.node(name).append("all", 0..300).await;
    }
    world.node("a").append("luxury", 0..300).await;
    world.converge(900).await;
    world.until("the group too", |w| w.node("b").size("a/luxury") == 300).await;
    world.stop("b").await;
    let before = world.net.meter("a", "b").bytes.load(Ordering::Relaxed);
    world.start("b").await;
    world.until("the session is up", |w| w.node("b").peer("a").is_some_and(|peer| peer.following == 2)).await;
    let cost = world.net.meter("a", "b").bytes.load(Ordering::Relaxed) - before;
    assert!((1..1_024).contains(&cost), "{cost} bytes");
}
