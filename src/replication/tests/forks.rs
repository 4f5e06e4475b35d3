//! Members that signed two histories, and members that lost one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::world::*;
use crate::domain::{FeedId, Seq, Timestamp};
use crate::feed::Leaf;
use crate::replication::judge::{Offered, Opener, Verdict, judge, weigh};
use crate::replication::{ForkParts, Heads, OwnFeeds, Pace};
use crate::store::{FeedState, Piece, Restoration, Store, StoreError};

fn is_quarantined(node: &Node, feed: &FeedId) -> bool {
    node.store.feed_state(feed) == FeedState::Quarantined
}

/// Once its own feed is known to be forked or behind, nothing more is acknowledged.
async fn stops_writing(world: &World, name: &str) {
    let own = feed(&format!("{name}/all"));
    let knows = |w: &World| matches!(w.node(name).store.feed_state(&own), FeedState::Quarantined | FeedState::Behind);
    world.until("it knows", knows).await;
    let refused = world.node(name).store.append(vec![signal("all", 99_999)]).await.expect("writable");
    assert_eq!(refused, vec![Err(StoreError::OwnFeedBehind)]);
}

/// Two nodes speak for `a`, with one key and two histories after `common` entries: `b` sees one, `c` the other, `d` neither.
async fn two_histories(common: u64, of_b: u64, of_c: u64) -> World {
    let mut world = World::new(roster(1, &["a", "b", "c", "d"], &[], &[]));
    for (x, y) in [("b", "c"), ("b", "d"), ("c", "d"), ("d", "a")] {
        world.cut(x, y);
    }
    world.route("c", "a", "twin");
    for name in ["b", "c", "d"] {
        world.start(name).await;
    }
    world.start_with("a", "a", OwnFeeds::Trust).await;
    world.start_with("twin", "a", OwnFeeds::Trust).await;
    world.node("a").append("all", 0..common).await;
    world.node("twin").append("all", 0..common).await;
    world.node("a").append("all", 1_000..1_000 + of_b).await;
    world.node("twin").append("all", 2_000..2_000 + of_c).await;
    world.until("b has one", |w| w.node("b").size("a/all") == common + of_b).await;
    world.until("c has the other", |w| w.node("c").size("a/all") == common + of_c).await;
    world
}

/// Joins those who saw the two histories; then the evidence reaches `d`, which saw only one of them.
async fn is_proved_to_all(world: World) {
    let forked = feed("a/all");
    world.heal("b", "d");
    world.until("d has b's history", |w| w.node("d").size("a/all") == w.node("b").size("a/all")).await;
    let sizes = ["b", "c", "d"].map(|name| world.node(name).size("a/all"));
    world.heal("b", "c");
    for name in ["b", "c", "d"] {
        world.until("quarantined", |w| is_quarantined(w.node(name), &forked)).await;
    }
    stops_writing(&world, "a").await;
    world.node("b").append("all", 0..1).await;
    for name in ["c", "d"] {
        world.until("other feeds go on", |w| w.node(name).size("b/all") == 1).await;
    }
    assert_eq!(["b", "c", "d"].map(|name| world.node(name).size("a/all")), sizes, "nothing merged, nothing overwritten");
}

#[tokio::test]
async fn a_fork_of_equal_sizes_is_proved_to_all() {
    is_proved_to_all(two_histories(0, 3, 3).await).await;
}

#[tokio::test]
async fn a_fork_of_different_sizes_is_proved_to_all() {
    is_proved_to_all(two_histories(4, 2, 7).await).await;
}

#[tokio::test]
async fn a_fork_is_proved_from_a_batch_that_does_not_follow() {
    let mut world = two_histories(4, 2, 7).await;
    world.stop("a").await;
    world.stop("twin").await;
    // Nothing but c's larger history to follow: the batch from it does not fit what b holds.
    world.heal("b", "c");
    world.until("b proves it", |w| is_quarantined(w.node("b"), &feed("a/all"))).await;
    let forks = world.node("b").store.forks();
    assert_eq!(forks.len(), 1);
    world.stop("b").await;
    world.start("b").await;
    assert!(is_quarantined(world.node("b"), &feed("a/all")), "also after a restart");
}

#[tokio::test]
async fn a_member_that_lost_its_disk_finds_its_own_feed_behind() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.stop("c").await;
    world.node("a").append("all", 0..10).await;
    world.until("b has it", |w| w.node("b").size("a/all") == 10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    world.start("a").await;
    stops_writing(&world, "a").await;
    world.until("b says so", |w| w.node("b").error_of("a") == Some("CHECKPOINT_STALE")).await;
    assert!(world.node("b").is_connected("a"), "nothing else is refused");
    world.start("c").await;
    world.until("c gets it from b while a is up", |w| w.node("c").size("a/all") == 10).await;
    assert_eq!(world.node("a").store.feed_state(&feed("a/all")), FeedState::Behind, "and no fork");
}

#[tokio::test]
async fn a_member_that_went_on_from_an_old_copy_is_proved_to_have_forked() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..10).await;
    world.converge(10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    world.cut("a", "b");
    world.cut("a", "c");
    world.start_with("a", "a", OwnFeeds::Trust).await;
    world.node("a").append("all", 500..512).await;
    world.heal_all();
    let own = feed("a/all");
    for name in ["a", "b", "c"] {
        world.until("quarantined", |w| is_quarantined(w.node(name), &own)).await;
    }
    stops_writing(&world, "a").await;
    assert_eq!(world.node("b").size("a/all"), 10);
}

/// A node that lost its disk, among members that hold ten entries of it.
async fn without_a_disk() -> World {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..10).await;
    world.converge(10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    world
}

#[tokio::test]
async fn a_member_that_came_back_without_its_disk_writes_nothing_before_it_heard_of_a_peer() {
    let mut world = without_a_disk().await;
    world.cut("a", "b");
    world.cut("a", "c");
    world.start("a").await;
    let own = feed("a/all");
    assert_eq!(world.node("a").store.feed_state(&own), FeedState::Unconfirmed);
    let refused = world.node("a").store.append(vec![signal("all", 500)]).await.expect("writable");
    assert_eq!(refused, vec![Err(StoreError::OwnFeedUnconfirmed)]);
    world.heal_all();
    // Never confirmed on the way there.
    world
        .until("it knows", |w| {
            let now = w.node("a").store.feed_state(&own);
            assert_ne!(now, FeedState::Followed, "nothing may be written");
            now == FeedState::Behind
        })
        .await;
}

#[tokio::test]
async fn whoever_has_nobody_to_ask_waits_for_nobody() {
    let mut world = World::new(roster(1, &["a", "b", "gone"], &[("alone", &["a"])], &["gone", "b"]));
    world.start("a").await;
    for own in ["a/all", "a/alone"] {
        assert_eq!(world.node("a").store.feed_state(&feed(own)), FeedState::Followed);
    }
}

#[tokio::test]
async fn a_group_of_its_own_waits_for_a_member_of_the_group() {
    let mut world = World::new(roster(1, &["a", "b", "c"], &[("luxury", &["a", "c"])], &[]));
    world.start("a").await;
    world.start("b").await;
    world.until("b confirms what it may read", |w| w.node("a").store.feed_state(&feed("a/all")) == FeedState::Followed).await;
    assert_eq!(world.node("a").store.feed_state(&feed("a/luxury")), FeedState::Unconfirmed);
    world.start("c").await;
    world.until("c confirms the rest", |w| w.node("a").store.feed_state(&feed("a/luxury")) == FeedState::Followed).await;
}

#[tokio::test]
async fn a_lost_feed_comes_back_from_the_others_and_goes_on() {
    let mut world = without_a_disk().await;
    world.start_with("a", "a", OwnFeeds::Recover).await;
    world.node("b").append("all", 0..3).await;
    world.until("it is back", |w| w.node("a").size("a/all") == 10).await;
    world.until("it is written to", |w| w.node("a").store.feed_state(&feed("a/all")) == FeedState::Followed).await;
    world.node("a").append("all", 0..12).await;
    world.converge(15).await;
    for name in ["a", "b", "c"] {
        assert!(world.node(name).store.forks().is_empty());
    }
    world.stop("a").await;
    world.start("a").await;
    world.node("a").append("all", 12..13).await;
    world.converge(16).await;
}

#[tokio::test]
async fn a_recovery_takes_the_most_that_any_member_holds() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..6).await;
    world.converge(6).await;
    world.cut("b", "a");
    world.cut("b", "c");
    world.node("a").append("all", 6..10).await;
    world.until("c has it", |w| w.node("c").size("a/all") == 10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    world.heal("a", "b");
    world.start_with("a", "a", OwnFeeds::Recover).await;
    world.until("all of it is back", |w| w.node("a").size("a/all") == 10).await;
    world.node("a").append("all", 10..11).await;
    world.heal_all();
    world.converge(11).await;
    assert!(world.node("b").store.forks().is_empty());
}

#[tokio::test]
async fn a_fork_does_not_hide_among_members_that_never_pause() {
    let mut world = World::new(roster(1, &["a", "b", "c"], &[], &[]));
    world.route("c", "a", "twin");
    for name in ["b", "c"] {
        world.start(name).await;
    }
    world.start_with("a", "a", OwnFeeds::Trust).await;
    world.start_with("twin", "a", OwnFeeds::Trust).await;
    for (x, y) in [("b", "c"), ("c", "b"), ("b", "a"), ("c", "a")] {
        world.until("all have met", |w| w.node(x).is_connected(y)).await;
    }
    // Heads are compared at the greeting; what is signed after it must be found while everything moves.
    let (a, twin) = (&world.node("a").store, &world.node("twin").store);
    for (store, n) in [(a, 1_000), (twin, 2_000)] {
        assert!(store.append(vec![signal("all", n)]).await.expect("durable")[0].is_ok());
    }
    let own = feed("a/all");
    let mut written = 0;
    while !["b", "c"].iter().all(|name| is_quarantined(world.node(name), &own)) {
        for name in ["b", "c"] {
            world.node(name).append("all", written..written + 1).await;
        }
        written += 1;
        assert!(written < 20_000, "it is never found");
    }
}

/// An old copy that was put back holds as much as the one member that answers, and less than the one that does not.
#[tokio::test]
async fn a_store_that_was_put_back_waits_for_the_member_that_is_away() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..6).await;
    world.converge(6).await;
    let pieces = backup_of(&world.node("a").store).await;
    world.cut("b", "a");
    world.cut("b", "c");
    world.node("a").append("all", 6..10).await;
    world.until("c has it", |w| w.node("c").size("a/all") == 10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    let secretariat = key("secretariat").public();
    let restoration = Restoration::begin(&world.folder("a"), 4 << 20, alliance(), id("a"), secretariat);
    let mut restoration = restoration.expect("empty");
    pieces.into_iter().for_each(|piece| restoration.put(piece).expect("rows"));
    assert_eq!(restoration.finish(Timestamp::from_unix_ms(1)).expect("is put back").flaws, Vec::<String>::new());

    world.heal("a", "b");
    world.cut("a", "c");
    // Who trusts it for one start is not told that it was ever level.
    world.start_with("a", "a", OwnFeeds::Trust).await;
    world.node("b").append("all", 0..1).await;
    world.until("b is heard", |w| w.node("a").size("b/all") == 1).await;
    assert_eq!(world.node("a").store.feed_state(&feed("a/all")), FeedState::Followed);
    world.stop("a").await;
    world.start("a").await;
    for n in 1..4 {
        world.node("b").append("all", n..n + 1).await;
        world.until("b is heard", |w| w.node("a").size("b/all") == n + 1).await;
        assert_eq!(world.node("a").store.feed_state(&feed("a/all")), FeedState::Unconfirmed);
        assert!(world.node("a").store.is_restored(), "it would wait after another start, too");
    }
    let refused = world.node("a").store.append(vec![signal("all", 99)]).await.expect("an outcome");
    assert_eq!(refused[0], Err(StoreError::OwnFeedUnconfirmed));

    world.heal_all();
    world.until("all of it is back", |w| w.node("a").size("a/all") == 10).await;
    world.until("it is restored", |w| !w.node("a").store.is_restored()).await;
    world.node("a").append("all", 10..11).await;
    world.converge(15).await;
    for name in ["a", "b", "c"] {
        assert!(world.node(name).store.forks().is_empty());
    }
}

/// A copy that was put back by other means looks like any store. The first member to answer holds as little as it does.
#[tokio::test]
async fn an_old_copy_is_not_written_to_before_all_have_answered_that_can_be_reached() {
    let mut world = World::of(roster(1, &["a", "b", "c"], &[], &[])).await;
    world.node("a").append("all", 0..6).await;
    world.converge(6).await;
    world.stop("a").await;
    let old = world.folder("old");
    copy(&world.folder("a"), &old);
    world.start("a").await;
    world.cut("b", "a");
    world.cut("b", "c");
    world.node("a").append("all", 6..10).await;
    world.until("c has it", |w| w.node("c").size("a/all") == 10).await;
    world.stop("a").await;
    std::fs::remove_dir_all(world.folder("a")).expect("removed");
    std::fs::rename(&old, world.folder("a")).expect("put back");

    world.heal("a", "b");
    world.net.set_faults("c", "a", vec![Fault::LateHeads(Duration::from_millis(500))]);
    world.pace = Pace { heartbeat: Duration::from_secs(20), relay_after: Duration::from_secs(60), ..PACE };
    world.start("a").await;
    while world.node("a").store.feed_state(&feed("a/all")) != FeedState::Behind {
        let refused = world.node("a").store.append(vec![signal("all", 99)]).await.expect("an outcome");
        assert!(matches!(refused[0], Err(StoreError::OwnFeedUnconfirmed | StoreError::OwnFeedBehind)), "{refused:?}");
    }
    assert_eq!(world.node("a").size("a/all"), 6);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &copied);
        } else {
            std::fs::copy(entry.path(), copied).expect("copied");
        }
    }
}

async fn backup_of(store: &Store) -> Vec<Piece> {
    let (mut backup, mut pieces) = (store.back_up(None).await.expect("begins"), Vec::new());
    while let Some(piece) = backup.next_piece().expect("readable") {
        pieces.push(piece);
    }
    pieces.push(store.end_backup(&mut backup).await.expect("ends"));
    pieces
}

fn opener(node: &Node) -> Opener {
    Opener { alliance: alliance(), roster: node.directory.roster(), me: node.directory.member().clone() }
}

#[tokio::test]
async fn what_a_peer_shows_many_times_is_looked_at_once_and_each_thing_that_is_wrong_is_told() {
    let world = two_histories(4, 2, 7).await;
    world.heal("b", "c");
    let forked = feed("a/all");
    world.until("b proves it", |w| is_quarantined(w.node("b"), &forked)).await;
    let (b, d) = (world.node("b"), world.node("d"));
    let proof = || -> ForkParts { b.store.forks().remove(0).1.into() };
    let found = |node: &Node, heads: Heads, once_signed: &[(&str, u64)]| {
        let once_signed: BTreeMap<_, _> = once_signed.iter().map(|(name, size)| (feed(name), Seq::new(*size))).collect();
        let found = judge(&node.store, &opener(node), heads, &once_signed).expect("read");
        let told: BTreeSet<_> = found.complaints.iter().map(|complaint| complaint.code()).collect();
        assert_eq!(told.len(), found.complaints.len(), "each once");
        (found.forks.len(), found.stale.len(), told.into_iter().collect::<Vec<_>>())
    };
    let forks = |count: usize| Heads { checkpoints: vec![], forks: std::iter::repeat_with(proof).take(count).collect() };
    assert_eq!(found(d, forks(1), &[]), (1, 0, vec![]));
    assert_eq!(found(d, forks(3), &[]), (1, 0, vec!["CHECKPOINT_REPEATED"]));
    assert_eq!(found(b, forks(1), &[]), (0, 0, vec![]), "it is known");
    // Each as often as it likes, and all that is wrong with it.
    let mut broken = proof();
    broken.leaf_hashes.clear();
    broken.frontier.clear();
    let garbage = Bytes::from_static(b"no checkpoint");
    let heads = Heads { checkpoints: vec![garbage.clone(), garbage], forks: vec![broken.clone(), broken] };
    let (none, stale, told) = found(d, heads, &[("c/all", 1)]);
    assert_eq!((none, stale, told.len()), (0, 1, 3), "{told:?}");
    // What its own node still shows of a feed is not lost.
    world.node("c").append("all", 0..3).await;
    let shown =
        || Heads { checkpoints: vec![world.node("c").store.feed(&feed("c/all")).expect("held").checkpoint], forks: vec![] };
    assert_eq!(found(d, shown(), &[("c/all", 3)]), (0, 0, vec![]));
    assert_eq!(found(d, shown(), &[("c/all", 4)]), (0, 1, vec!["CHECKPOINT_STALE"]));
}

#[tokio::test]
async fn a_batch_beyond_what_is_held_is_a_gap_and_one_from_there_on_is_taken() {
    let world = two_histories(4, 2, 7).await;
    let forked = feed("a/all");
    let (b, d) = (world.node("b"), world.node("d"));
    let offered = |size: u64| {
        let batch = b.store.batch_after(&forked, Seq::new(size)).expect("read").expect("there is more");
        let entries = batch.leaves.iter().map(|leaf: &Leaf| leaf.bytes().expect("an entry").bytes().clone()).collect();
        Offered::open(&opener(b), &forked, batch.first, entries, vec![], batch.checkpoint).expect("signed")
    };
    let verdict = |offered: &Offered| match weigh(&d.store, &opener(d), offered).expect("read") {
        Verdict::Gap { held } => format!("gap after {}", held.get()),
        Verdict::Take(_) => "take".to_owned(),
        Verdict::Held(_) => "held".to_owned(),
        Verdict::Mismatch(_) | Verdict::Refuse(_) => "refuse".to_owned(),
    };
    assert_eq!(verdict(&offered(4)), "gap after 0");
    assert_eq!(verdict(&offered(0)), "take");
}
