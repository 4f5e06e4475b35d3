//! What a stream serves and refuses, driven by hand.

use super::world::*;
use crate::domain::limits::MAX_FOLLOWED_FEEDS;
use crate::domain::{FeedId, Seq};
use crate::replication::{FollowCommand, FollowEvent, Refusal};

#[tokio::test]
async fn whoever_is_not_of_the_audience_learns_nothing() {
    let world = World::of(roster(1, &["a", "b", "c"], &[("luxury", &["a", "b"])], &[])).await;
    world.node("a").append("luxury", 0..20).await;
    world.node("a").append("all", 0..2).await;
    let link = world.dial("c", "a").await.expect("a member");
    let mut stream = link.follow().await.expect("open");
    for of in ["a/luxury", "a/no-such-group", "stranger/all", "c/luxury"] {
        stream.commands.send(follow(of, 0)).await.expect("open");
        let refused = FollowEvent::Refused { feed: feed(of), refusal: Refusal::NotShared };
        assert_eq!(next_word(&mut stream).await, refused, "the same answer, whether there is such a feed or not");
        assert_eq!(link.frontier(&feed(of), Seq::new(1)).await.expect_err("refused").code, "FEED_NOT_SHARED");
    }
    stream.commands.send(follow("a/all", 0)).await.expect("the stream goes on");
    assert!(matches!(next_word(&mut stream).await, FollowEvent::Batch { entries, .. } if entries.len() == 2));
    assert_eq!(link.checkpoints().await.expect("answers").checkpoints.len(), 1);
    assert_eq!(link.frontier(&feed("a/all"), Seq::new(3)).await.expect_err("too far").code, "FEED_NOT_HELD");
}

#[tokio::test]
async fn whoever_leaves_the_group_is_served_no_more() {
    let world = World::of(roster(1, &["a", "b"], &[("luxury", &["a", "b"])], &[])).await;
    world.node("a").append("luxury", 0..1).await;
    let link = world.dial("b", "a").await.expect("a member");
    let mut stream = link.follow().await.expect("open");
    stream.commands.send(follow("a/luxury", 0)).await.expect("open");
    assert!(matches!(next_word(&mut stream).await, FollowEvent::Batch { .. }));
    let smaller = signed(roster(2, &["a", "b"], &[("luxury", &["a"])], &[]));
    world.node("a").directory.offer(smaller).await.expect("newer");
    let refused = FollowEvent::Refused { feed: feed("a/luxury"), refusal: Refusal::NotShared };
    assert_eq!(next_word(&mut stream).await, refused);
    world.node("a").append("luxury", 1..2).await;
    world.node("a").append("all", 0..1).await;
    stream.commands.send(follow("a/all", 0)).await.expect("open");
    assert!(matches!(next_word(&mut stream).await, FollowEvent::Batch { feed: of, .. } if of == feed("a/all")));
}

#[tokio::test]
async fn feeds_take_turns_and_resume_where_they_are_told_to() {
    let world = World::of(roster(1, &["a", "b"], &[("luxury", &["a", "b"])], &[])).await;
    world.node("a").append("all", 0..9_000).await;
    world.node("a").append("luxury", 0..2).await;
    let link = world.dial("b", "a").await.expect("a member");
    let mut stream = link.follow().await.expect("open");
    stream.commands.send(follow("a/all", 100)).await.expect("open");
    stream.commands.send(follow("a/luxury", 1)).await.expect("open");
    let mut order = Vec::new();
    while order.iter().map(|(_, _, end)| *end).max() != Some(9_000) || order.len() < 3 {
        let FollowEvent::Batch { feed, first, entries, .. } = next_word(&mut stream).await else { panic!("a batch") };
        order.push((feed.to_string(), first.get(), first.get() + entries.len() as u64));
    }
    let all: Vec<_> = order.iter().filter(|(feed, ..)| feed == "a/all").map(|(_, first, end)| (*first, *end)).collect();
    assert_eq!(all[0].0, 100);
    assert!(all.windows(2).all(|pair| pair[0].1 == pair[1].0), "{all:?}");
    let place = order.iter().position(|(feed, ..)| feed == "a/luxury").expect("served");
    assert!(place < order.len() - 1, "it did not wait for the large feed: {order:?}");
    assert_eq!(order[place].1, 1);
}

#[tokio::test]
async fn a_stream_follows_a_bounded_number_of_feeds() {
    let names: Vec<String> = (0..=MAX_FOLLOWED_FEEDS).map(|n| format!("m{n}")).collect();
    let mut members: Vec<&str> = names.iter().map(String::as_str).collect();
    members.truncate(MAX_FOLLOWED_FEEDS + 1);
    let world = {
        let mut world = World::new(bulk(&members));
        world.start("m0").await;
        world
    };
    let link = world.dial("m1", "m0").await.expect("a member");
    let stream = link.follow().await.expect("open");
    let (commands, mut stream) = (stream.commands.clone(), stream);
    let asking = tokio::spawn(async move {
        for name in names {
            let feed = FeedId { member: id(&name), audience: crate::domain::Audience::Alliance };
            commands.send(FollowCommand::Follow { feed, size: Seq::ZERO }).await.expect("open");
        }
    });
    let last = feed(&format!("m{MAX_FOLLOWED_FEEDS}/all"));
    assert_eq!(next_word(&mut stream).await, FollowEvent::Refused { feed: last, refusal: Refusal::TooManyFeeds });
    asking.await.expect("done");
}

/// Many members that differ in name only; making a key for each would take long.
fn bulk(members: &[&str]) -> crate::domain::Roster {
    let mut roster = roster(1, &["m0"], &[], &[]);
    let first = roster.members[0].clone();
    roster.members = members.iter().map(|name| crate::domain::Member { id: id(name), ..first.clone() }).collect();
    roster.members.iter_mut().skip(1).for_each(|member| member.address.clear());
    roster
}
