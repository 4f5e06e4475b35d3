//! What one peer after the other can make of a node, word by word.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::script::{Member, Stage, followed, settle};
use super::world::{feed, follow, id, roster, signal};
use crate::domain::{Roster, Timestamp};
use crate::feed::Hash;
use crate::replication::{FollowEvent, Heads, OwnFeeds, Pace, Refusal, ServeContext, Word, serve};
use crate::store::{FeedState, StoreError};

const NOTHING: Heads = Heads { checkpoints: vec![], forks: vec![] };

fn two() -> Roster {
    roster(1, &["a", "b"], &[], &[])
}

fn three() -> Roster {
    roster(1, &["a", "b", "c"], &[], &[])
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_always_shows_other_heads_is_asked_for_them_less_and_less_often() {
    let stage = Stage::new(&two(), OwnFeeds::Trust).await;
    let b = stage.peer("b");
    stage.greeted_by("b", NOTHING, stage.other("b")).await;
    assert_eq!(b.asked(), (0, 1), "at the greeting");
    let mut waited = Vec::new();
    for _ in 0..5 {
        let mut beats = 0;
        while b.asked().1 == 0 {
            b.beats(stage.other("b"), 1).await;
            beats += 1;
        }
        waited.push(beats);
    }
    assert_eq!(waited, [2, 4, 8, 16, 16]);
    b.beats(stage.agreed("b"), 1).await;
    b.beats(stage.other("b"), 1).await;
    assert_eq!(b.asked().1, 0);
    b.beats(stage.other("b"), 1).await;
    assert_eq!(b.asked().1, 1, "as soon as at first, after they agreed");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_word_all_the_time_makes_no_more_work_than_another() {
    let stage = Stage::new(&two(), OwnFeeds::Trust).await;
    let b = stage.peer("b");
    stage.greeted_by("b", NOTHING, stage.other("b")).await;
    b.asked();
    let began = Instant::now();
    for n in 0..2_000_u64 {
        // Another roster each time, none of which it has.
        let word = Word { roster_serial: 2 + n % 7, roster_digest: Hash([n as u8; 32]), ..stage.other("b") };
        b.says(FollowEvent::Heartbeat(word)).await;
        sleep(Duration::from_millis(9)).await;
    }
    let each = 1 + began.elapsed().as_millis() / Pace::default().allowance().as_millis();
    let (rosters, listings) = b.asked();
    assert!(rosters as u128 <= each && listings as u128 <= each, "{rosters} rosters and {listings} listings, at most {each}");
}

#[tokio::test(start_paused = true)]
async fn a_roster_that_a_peer_has_not_got_is_fetched_once_for_the_same_word() {
    let stage = Stage::new(&two(), OwnFeeds::Trust).await;
    let b = stage.peer("b");
    let claims = |serial, digest| Word { roster_serial: serial, roster_digest: Hash([digest; 32]), ..stage.agreed("b") };
    stage.greeted_by("b", NOTHING, claims(9, 1)).await;
    b.beats(claims(9, 1), 20).await;
    assert_eq!(b.asked().0, 1);
    b.beats(claims(9, 2), 20).await;
    assert_eq!(b.asked().0, 1, "another one of that serial");
    b.beats(claims(1, 3), 20).await;
    assert_eq!(b.asked().0, 1, "another one of the serial in force");
    b.beats(claims(0, 4), 20).await;
    assert_eq!(b.asked().0, 0, "an older one is of no interest");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_refuses_is_asked_for_again_only_when_it_has_another_roster() {
    let stage = Stage::new(&two(), OwnFeeds::Trust).await;
    let b = stage.peer("b");
    stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
    assert_eq!(followed(&b.told()).0, [("b/all".to_owned(), 0)]);
    b.says(FollowEvent::Refused { feed: feed("b/all"), refusal: Refusal::NotShared }).await;
    assert_eq!((stage.error_of("b"), stage.status("b").following), (Some("FEED_NOT_SHARED"), 0));
    b.beats(stage.agreed("b"), 10).await;
    assert_eq!(b.told(), []);
    b.says(FollowEvent::Refused { feed: feed("c/all"), refusal: Refusal::NotShared }).await;
    let other = Word { roster_serial: 0, ..stage.agreed("b") };
    b.beats(other, 2).await;
    assert_eq!(followed(&b.told()).0, [("b/all".to_owned(), 0)], "once, by its other roster");
}

#[tokio::test(start_paused = true)]
async fn a_feed_is_followed_at_one_peer_and_what_comes_late_from_another_does_no_harm() {
    let roster = three();
    let (stage, b) = (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("b", &roster, 3).await);
    b.append("all", 0..4).await;
    let batch = b.batch("b/all", 0);
    stage.greeted_by("c", b.heads_for("a").await, stage.other("c")).await;
    sleep(Pace::default().relay_after).await;
    settle().await;
    let (begun, _) = followed(&stage.peer("c").told());
    assert!(begun.contains(&("b/all".to_owned(), 0)), "b is away, and c has more of it: {begun:?}");
    stage.greeted_by("b", b.heads_for("a").await, b.word_for("a")).await;
    assert_eq!(followed(&stage.peer("b").told()).0, [("b/all".to_owned(), 0)]);
    assert!(followed(&stage.peer("c").told()).1.contains("b/all"), "b is back");
    stage.peer("c").says(batch.clone()).await;
    stage.peer("b").says(batch).await;
    assert_eq!((stage.a.size("b/all"), stage.error_of("b"), stage.error_of("c")), (4, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_line_breaks_is_dialled_at_once_while_it_is_good_for_something() {
    let stage = Stage::new(&two(), OwnFeeds::Trust).await;
    let b = stage.peer("b");
    let pause = async |beats| {
        stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
        b.beats(stage.agreed("b"), beats).await;
        let (broken, before) = (Instant::now(), b.dials().len());
        b.breaks().await;
        while b.dials().len() == before {
            sleep(Duration::from_millis(10)).await;
        }
        let pause = b.dials()[before] - broken;
        b.breaks().await;
        pause
    };
    for _ in 0..8 {
        assert!(pause(1).await <= Pace::default().backoff_first * 2, "it gave word");
    }
    let mut last = Duration::ZERO;
    for _ in 0..8 {
        last = pause(0).await;
    }
    assert!(last > Pace::default().backoff_last / 4, "it does no more than greet: {last:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_shows_and_does_not_send_is_asked_for_again_after_three_quiet_heartbeats() {
    let roster = two();
    let (stage, b) = (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("b", &roster, 3).await);
    b.append("all", 0..5).await;
    let peer = stage.peer("b");
    stage.greeted_by("b", b.heads_for("a").await, stage.other("b")).await;
    let again = [("b/all".to_owned(), 0)];
    assert_eq!(followed(&peer.told()).0, again);
    for _ in 0..3 {
        peer.beats(stage.other("b"), 2).await;
        assert_eq!(peer.told(), []);
        peer.beats(stage.other("b"), 1).await;
        assert_eq!(followed(&peer.told()).0, again);
    }
    peer.says(b.batch("b/all", 0)).await;
    assert_eq!(stage.a.size("b/all"), 5);
    peer.beats(stage.other("b"), 12).await;
    assert_eq!(peer.told(), [], "all of it is here, whatever else differs");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_holds_less_of_anothers_feed_has_lost_nothing() {
    let roster = three();
    let (stage, b) = (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("b", &roster, 3).await);
    let c = Member::new("c", &roster, 4).await;
    c.append("all", 0..5).await;
    stage.greeted_by("c", c.heads_for("a").await, c.word_for("a")).await;
    stage.peer("c").says(c.batch("c/all", 0)).await;
    stage.greeted_by("b", b.heads_for("a").await, b.word_for("a")).await;
    stage.peer("b").beats(b.word_for("a"), 4).await;
    assert_eq!((stage.a.size("c/all"), stage.error_of("b")), (5, None));
}

#[tokio::test(start_paused = true)]
async fn a_peer_counts_as_heard_for_the_feeds_that_both_may_read() {
    let groups: &[(&str, &[&str])] = &[("ours", &["a", "b"]), ("theirs", &["b", "c"]), ("mine", &["a", "c"])];
    let stage = Stage::new(&roster(1, &["a", "b", "c"], groups, &[]), OwnFeeds::Trust).await;
    stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
    let heard = |of: &str| stage.liveness.last_heard(&feed(of), Timestamp::from_unix_ms(i64::MAX)).is_some();
    assert_eq!(["b/all", "b/ours", "b/theirs", "b/mine"].map(heard), [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn content_that_is_missing_is_asked_only_of_those_who_may_read_it() {
    let roster = roster(1, &["a", "b", "c"], &[("ours", &["a", "c"])], &[]);
    let (stage, c) = (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("c", &roster, 4).await);
    c.append("ours", 0..2).await;
    stage.greeted_by("c", c.heads_for("a").await, stage.other("c")).await;
    stage.peer("c").says(c.shells("c/ours", 0)).await;
    assert_eq!(stage.a.store.missing(&feed("c/ours"), 10).len(), 2);
    stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
    stage.peer("b").beats(stage.agreed("b"), 2).await;
    stage.peer("c").beats(stage.agreed("c"), 2).await;
    assert_eq!((stage.peer("b").asked_for_content(), stage.peer("c").asked_for_content()[0].clone()), (vec![], feed("c/ours")));
}

#[tokio::test(start_paused = true)]
async fn entries_that_are_missing_before_a_batch_are_asked_for_once_and_a_peer_that_goes_on_is_left() {
    let roster = two();
    let (stage, b) = (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("b", &roster, 3).await);
    b.append("all", 0..5).await;
    let peer = stage.peer("b");
    stage.greeted_by("b", b.heads_for("a").await, b.word_for("a")).await;
    peer.told();
    peer.says(b.batch("b/all", 2)).await;
    assert_eq!(followed(&peer.told()).0, [("b/all".to_owned(), 0)]);
    // What its stream and the connection hold may still be on the way.
    for _ in 0..64 {
        peer.says(b.batch("b/all", 2)).await;
    }
    assert_eq!((peer.told(), stage.status("b").connected, stage.a.size("b/all")), (vec![], true, 0));
    peer.says(b.batch("b/all", 2)).await;
    assert_eq!((stage.status("b").connected, stage.error_of("b")), (false, Some("PEER_MISBEHAVED")));
}

#[tokio::test(start_paused = true)]
async fn another_history_is_found_in_a_batch_of_entries_that_are_held() {
    let roster = two();
    let (stage, b, twin) =
        (Stage::new(&roster, OwnFeeds::Trust).await, Member::new("b", &roster, 3).await, Member::new("b", &roster, 4).await);
    b.append("all", 0..5).await;
    twin.append("all", 7..10).await;
    stage.greeted_by("b", b.heads_for("a").await, b.word_for("a")).await;
    stage.peer("b").says(b.batch("b/all", 0)).await;
    assert_eq!(stage.a.size("b/all"), 5);
    stage.peer("b").says(twin.batch("b/all", 0)).await;
    assert_eq!(stage.a.store.feed_state(&feed("b/all")), FeedState::Quarantined);
}

#[tokio::test(start_paused = true)]
async fn an_own_feed_that_is_fetched_back_is_written_to_when_it_is_as_long_as_the_longest_that_anyone_showed() {
    let roster = three();
    let stage = Stage::new(&roster, OwnFeeds::Recover).await;
    let (b, c, before) =
        (Member::new("b", &roster, 3).await, Member::new("c", &roster, 4).await, Member::new("a", &roster, 5).await);
    let log = Log::default();
    let logging = tracing::dispatcher::set_default(&log.dispatch());
    let told = || log.lines().iter().filter(|line| line.to_string().contains("the own feed is back")).count();
    let own = feed("a/all");
    let mut shown = Vec::new();
    for n in [0..3, 3..6] {
        before.append("all", n).await;
        shown.push((before.heads_for("b").await, before.batch("a/all", shown.len() as u64 * 3)));
    }
    // Nobody has any of it, as far as anybody is there.
    stage.greeted_by("b", NOTHING, b.word_for("a")).await;
    stage.greeted_by("c", NOTHING, c.word_for("a")).await;
    stage.peer("b").beats(b.word_for("a"), 1).await;
    assert_eq!(stage.a.store.feed_state(&own), FeedState::Followed);
    for (name, (heads, _)) in ["b", "c"].iter().zip(&shown) {
        stage.peer(name).shows(heads.clone());
        stage.peer(name).beats(stage.other(name), 2).await;
        assert_eq!(stage.a.store.feed_state(&own), FeedState::Behind);
    }
    let write = async || stage.a.store.append(vec![signal("all", 99)]).await.expect("an outcome").remove(0).map(drop);
    let sends = |name: &&str| {
        let (begun, ended) = followed(&stage.peer(name).told());
        begun.iter().any(|(of, _)| of == "a/all") && !ended.contains("a/all")
    };
    let from = ["b", "c"].into_iter().find(sends).expect("it is asked for");
    stage.peer(from).says(shown[0].1.clone()).await;
    assert_eq!((stage.a.size("a/all"), write().await), (3, Err(StoreError::OwnFeedBehind)), "c has shown more");
    assert_eq!(told(), 0);
    stage.peer(from).says(shown[1].1.clone()).await;
    assert_eq!((stage.a.size("a/all"), write().await), (6, Ok(())));
    assert_eq!(told(), 1, "an operator hears of it");
    drop(logging);
}

#[tokio::test(start_paused = true)]
async fn that_another_member_holds_more_of_an_own_feed_is_an_error_where_nobody_asked_for_a_recovery() {
    for (own, is_error) in [(OwnFeeds::Confirm, true), (OwnFeeds::Recover, false)] {
        let log = Log::default();
        let logging = tracing::dispatcher::set_default(&log.dispatch());
        let (stage, before) = (Stage::new(&two(), own).await, Member::new("a", &two(), 5).await);
        before.append("all", 0..3).await;
        stage.greeted_by("b", before.heads_for("b").await, stage.other("b")).await;
        assert_eq!(stage.a.store.feed_state(&feed("a/all")), FeedState::Behind);
        let is_told = log.lines().iter().any(|line| line.to_string().contains("OWN_FEED_BEHIND"));
        assert_eq!(is_told, is_error, "{own:?}");
        drop(logging);
    }
}

#[tokio::test(start_paused = true)]
async fn a_recovery_waits_for_who_is_there_and_for_who_was_just_now() {
    let own = feed("a/all");
    let roster = three();
    let elsewhere = Word { roster_serial: 0, ..Member::new("c", &roster, 4).await.word_for("a") };
    let stage = Stage::new(&roster, OwnFeeds::Recover).await;
    stage.greeted_by("c", NOTHING, elsewhere).await;
    stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
    assert_eq!(stage.a.store.feed_state(&own), FeedState::Unconfirmed, "c is there, and has not shown its heads yet");

    let stage = Stage::new(&roster, OwnFeeds::Recover).await;
    stage.greeted_by("c", NOTHING, stage.agreed("c")).await;
    stage.peer("c").breaks().await;
    stage.greeted_by("b", NOTHING, stage.agreed("b")).await;
    assert_eq!(stage.a.store.feed_state(&own), FeedState::Unconfirmed, "c is about to come back, and may hold more by then");
    sleep(Pace::default().relay_after).await;
    assert_eq!(stage.a.store.feed_state(&own), FeedState::Followed, "c is away");
}

#[tokio::test(start_paused = true)]
async fn a_peer_for_whose_word_own_feeds_wait_is_asked_for_its_heads_at_every_other_word() {
    let stage = Stage::new(&three(), OwnFeeds::RecoverWithAll).await;
    let b = stage.peer("b");
    stage.greeted_by("b", NOTHING, stage.other("b")).await;
    assert_eq!(b.asked().1, 1, "at the greeting");
    for _ in 0..3 {
        b.beats(stage.other("b"), 1).await;
        assert_eq!(b.asked().1, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_what_is_new_at_once_and_nothing_but_heartbeats_where_nothing_is() {
    let a = Member::new("a", &two(), 1).await;
    let serving: Arc<ServeContext> = Arc::new(a.serving());
    let (commands, told) = mpsc::channel(4);
    let (out, served) = mpsc::channel(2);
    let stop = CancellationToken::new();
    let (context, ends) = (serving.clone(), stop.clone());
    let task = tokio::spawn(async move { serve(id("b"), ReceiverStream::new(told), out, &context, ends).await });
    let mut served = ReceiverStream::new(served);
    commands.send(follow("a/all", 0)).await.expect("open");
    let mut next = async || {
        let began = Instant::now();
        let event = timeout(Duration::from_secs(60), served.next()).await.expect("in time").expect("goes on");
        (matches!(event, FollowEvent::Batch { .. }), began.elapsed())
    };
    assert_eq!(next().await, (false, Duration::ZERO), "the greeting");
    for n in 0..3 {
        for _ in 0..5 {
            let (is_batch, after) = next().await;
            assert!(!is_batch && after > Duration::ZERO && after <= Pace::default().heartbeat, "{after:?}");
        }
        a.append("all", n..n + 1).await;
        assert_eq!(next().await, (true, Duration::ZERO));
    }
    stop.cancel();
    assert!(task.await.expect("no panic").is_ok());
    drop(commands);
}
