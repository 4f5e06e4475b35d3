//! What a stream serves and refuses, driven by hand.

use futures_util::StreamExt as _;

use super::world::*;
use crate::domain::limits::MAX_FOLLOWED_FEEDS;
use crate::domain::{FeedId, Seq};
use crate::replication::{FollowCommand, FollowEvent, Held, Refusal, heads_digest};

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

/// A follower forgets refusals when the peer's serial changes; one that came after that would stay for ever.
#[tokio::test]
async fn no_refusal_comes_after_the_heartbeat_of_the_roster_that_lifts_it() {
    let world = World::of(roster(1, &["a", "b"], &[("luxury", &["a"])], &[])).await;
    let link = world.dial("b", "a").await.expect("a member");
    let mut stream = link.follow().await.expect("open");
    for _ in 0..20 {
        stream.commands.send(follow("a/luxury", 0)).await.expect("open");
    }
    let wider = signed(roster(2, &["a", "b"], &[("luxury", &["a", "b"])], &[]));
    world.node("a").directory.offer(wider).await.expect("newer");
    world.node("a").append("luxury", 0..1).await;
    stream.commands.send(follow("a/luxury", 0)).await.expect("open");
    let (mut refused, mut lifted) = (0, false);
    loop {
        match stream.events.next().await.expect("goes on").expect("no error") {
            FollowEvent::Refused { .. } => {
                assert!(!lifted, "too late");
                refused += 1;
            }
            FollowEvent::Heartbeat(word) => lifted |= word.roster_serial == 2,
            FollowEvent::Batch { .. } => break,
        }
    }
    assert!(lifted && refused > 0);
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

/// The digest as an implementer would write it from its description; nodes compare it, so it cannot change.
#[tokio::test]
async fn the_digest_of_heads_is_what_it_is_said_to_be() {
    let world = World::of(roster(1, &["a", "a-b", "c"], &[("luxury", &["a", "a-b"])], &[])).await;
    for name in ["a", "a-b"] {
        world.node(name).append("all", 0..3).await;
        world.node(name).append("luxury", 0..2).await;
    }
    world.converge(6).await;
    let store = &world.node("a").store;
    let digest = |names: &[&str]| {
        let mut text = Vec::new();
        for name in names {
            let head = store.feed(&feed(name)).expect("held");
            text.extend_from_slice(name.as_bytes());
            text.push(b'\n');
            text.extend_from_slice(&head.size.get().to_be_bytes());
            text.extend_from_slice(&head.root.0);
        }
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text)
    };
    let held = Held::of(store);
    let roster = world.node("a").directory.roster();
    let of = |a: &str, b: &str| heads_digest(roster.roster(), &held, &id(a), &id(b)).0;
    // In the order of bytes, a hyphen comes before a slash.
    assert_eq!(of("a", "c"), digest(&["a-b/all", "a/all"]).as_ref());
    assert_eq!(of("c", "a"), of("a", "c"));
    let a = world.node("a");
    world.until("the group too", |_| a.size("a-b/luxury") == 2).await;
    let held = Held::of(store);
    let with_group = heads_digest(roster.roster(), &held, &id("a"), &id("a-b"));
    assert_eq!(with_group.0, digest(&["a-b/all", "a-b/luxury", "a/all", "a/luxury"]).as_ref());
    assert_eq!(of("a", "stranger"), digest(&[]).as_ref());
}
