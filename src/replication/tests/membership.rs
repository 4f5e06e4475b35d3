//! The roster on its way, and what follows from it.

use super::world::*;
use crate::replication::{FollowEvent, Refusal, Word};

fn serial(node: &Node) -> u64 {
    node.directory.roster().roster().serial
}

#[tokio::test]
async fn a_newer_roster_reaches_all_and_opens_a_group() {
    let world = World::of(roster(1, &["a", "b", "c"], &[("luxury", &["a", "b"])], &[])).await;
    world.node("a").append("luxury", 0..5).await;
    world.until("b has it", |w| w.node("b").size("a/luxury") == 5).await;
    let wider = signed(roster(2, &["a", "b", "c"], &[("luxury", &["a", "b", "c"])], &[]));
    world.node("b").directory.offer(wider).await.expect("newer");
    for name in ["a", "c"] {
        world.until("the roster", |w| serial(w.node(name)) == 2).await;
    }
    world.until("c has the group's feed", |w| w.node("c").size("a/luxury") == 5).await;
    world.until("all is well", |w| w.node("c").error_of("a").is_none()).await;
}

#[tokio::test]
async fn a_feed_that_was_refused_a_moment_before_the_news_is_asked_for_again() {
    let world = World::of(roster(1, &["a", "b"], &[], &[])).await;
    world.node("a").append("all", 0..2).await;
    world.converge(2).await;
    let refused = FollowEvent::Refused { feed: feed("a/all"), refusal: Refusal::NotShared };
    let digest = crate::feed::Hash([9; 32]);
    let news = FollowEvent::Heartbeat(Word { roster_serial: 7, roster_digest: digest, heads_digest: digest });
    world.net.set_faults("a", "b", vec![Fault::Unasked(refused), Fault::Unasked(news)]);
    let heard = world.net.meter("a", "b").bytes.load(std::sync::atomic::Ordering::Relaxed);
    let silent = |w: &World| w.net.meter("a", "b").bytes.load(std::sync::atomic::Ordering::Relaxed) == heard;
    world.until("both are said", |w| !silent(w)).await;
    world.net.set_faults("a", "b", vec![]);
    world.node("a").append("all", 2..5).await;
    world.converge(5).await;
}

#[tokio::test]
async fn a_rolled_back_roster_is_refused() {
    let world = World::of(roster(2, &["a", "b", "c"], &[], &[])).await;
    let old = signed(roster(1, &["a", "b", "c"], &[], &["b"]));
    world.net.set_faults("a", "b", vec![Fault::Roster(9, old)]);
    world.until("refused", |w| w.node("b").error_of("a") == Some("ROSTER_ROLLED_BACK")).await;
    assert_eq!(serial(world.node("b")), 2);
    assert!(world.node("b").is_connected("a"));
    let newer = signed(roster(3, &["a", "b", "c"], &[], &[]));
    world.node("c").directory.offer(newer.clone()).await.expect("newer");
    world.until("a newer one is taken", |w| serial(w.node("b")) == 3).await;
    world.net.set_faults("a", "b", vec![]);
    world.node("c").directory.offer(signed(roster(4, &["a", "b", "c"], &[], &[]))).await.expect("newer");
    world.until("the other one too", |w| serial(w.node("b")) == 4 && serial(w.node("a")) == 4).await;
}

#[tokio::test]
async fn a_roster_that_the_secretariat_did_not_sign_is_refused() {
    let world = World::of(roster(1, &["a", "b"], &[], &[])).await;
    let forged = crate::feed::SignedRoster::sign(roster(9, &["a", "b"], &[], &[]), &key("a")).expect("valid").note().clone();
    world.net.set_faults("a", "b", vec![Fault::Roster(9, forged)]);
    world.until("refused", |w| w.node("b").error_of("a") == Some("NOTE_NOT_SIGNED")).await;
    assert_eq!(serial(world.node("b")), 1);
}

#[tokio::test]
async fn an_expelled_member_is_cut_off() {
    let world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..3).await;
    world.converge(3).await;
    let link = world.dial("c", "a").await.expect("a member");
    let mut stream = link.follow().await.expect("open");
    stream.commands.send(follow("a/all", 3)).await.expect("open");
    let smaller = signed(roster(2, &["a", "b", "c"], &[], &["c"]));
    world.node("a").directory.offer(smaller).await.expect("newer");
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut stream.events).await {}
    world.until("b knows", |w| serial(w.node("b")) == 2).await;
    for name in ["a", "b"] {
        world.until("c is not dialled", |w| w.node(name).peer("c").is_none()).await;
        assert!(world.dial("c", name).await.is_err());
    }
    world.node("a").append("all", 3..9).await;
    world.until("b has it", |w| w.node("b").size("a/all") == 9).await;
    assert_eq!(world.node("c").size("a/all"), 3);
    let back = signed(roster(3, &["a", "b", "c"], &[], &[]));
    world.node("a").directory.offer(back.clone()).await.expect("newer");
    world.node("c").directory.offer(back).await.expect("newer");
    world.converge(9).await;
}

#[tokio::test]
async fn two_rosters_of_one_serial_are_noticed_by_both() {
    let first = roster(1, &["a", "b"], &[], &[]);
    let mut world = World::new(first.clone());
    world.start("a").await;
    world.hand_out(crate::domain::Roster { issued_at: "2026-11-23T00:00:00Z".into(), ..first });
    world.start("b").await;
    for (name, other) in [("a", "b"), ("b", "a")] {
        world.until("noticed", |w| w.node(name).error_of(other) == Some("ROSTER_EQUIVOCATION")).await;
    }
    world.node("a").append("all", 0..2).await;
    world.converge(2).await;
    let next = signed(roster(2, &["a", "b"], &[], &[]));
    world.node("a").directory.offer(next).await.expect("newer");
    for (name, other) in [("a", "b"), ("b", "a")] {
        world.until("settled by a newer one", |w| w.node(name).error_of(other).is_none()).await;
    }
}
