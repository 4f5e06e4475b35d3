//! An answer says of every feed how fresh it is.

use super::world::{World, allegation, feed};
use crate::domain::{MemberState, Seq, Timestamp};
use crate::feed::{Checkpoint, ForkProof, Hash, SignedCheckpoint};
use crate::store::{FeedFreshness, FeedState};

#[tokio::test]
async fn silent_expelled_and_quarantined_members_are_told_apart() {
    let mut world = World::new(&["asker", "expelled", "forked", "silent"]).await;
    for id in ["expelled", "forked"] {
        world.node(id).submit(allegation("shop.test", 1)).await.expect("taken");
        world.deliver(&format!("{id}/all"), "asker").await;
    }
    world.node("asker").liveness.heard(&feed("forked/all"), Timestamp::from_unix_ms(7));
    world.node("asker").liveness.newest(&feed("silent/all"), Seq::new(12));
    let checkpoint = |root| {
        let checkpoint = Checkpoint { feed: feed("forked/all"), size: Seq::new(1), root: Hash([root; 32]) };
        SignedCheckpoint::sign(checkpoint, &world.roster.alliance, world.node("forked").feed_key())
    };
    let proof = ForkProof::new(checkpoint(1), checkpoint(2), vec![], vec![]).expect("a fork");
    world.node("asker").store.quarantine(proof).await.expect("durable");
    let expel = |m: &mut crate::domain::Member| m.state = MemberState::Expelled;
    world.amend(|roster| roster.members.iter_mut().filter(|m| m.id.as_str() == "expelled").for_each(expel)).await;

    let asker = world.node("asker");
    let answer = asker.ask("shop.test").await;
    let all: Vec<&FeedFreshness> = answer.freshness.feeds.iter().filter(|f| f.feed.audience.as_str() == "all").collect();
    let told: Vec<_> = all.iter().map(|f| (f.feed.to_string(), f.state, f.size.get(), f.newest_size.get())).collect();
    let expected = [
        ("asker/all".to_owned(), FeedState::Followed, 0, 0),
        ("expelled/all".to_owned(), FeedState::Expelled, 1, 1),
        ("forked/all".to_owned(), FeedState::Quarantined, 1, 1),
        ("silent/all".to_owned(), FeedState::Followed, 0, 12),
    ];
    assert_eq!(told, expected);
    let heard: Vec<_> = all.iter().map(|f| f.last_heard).collect();
    assert_eq!(heard, [Some(answer.freshness.as_of), None, Some(Timestamp::from_unix_ms(7)), None]);
    let marks: Vec<_> = answer.matches.iter().map(|m| (m.record.signal.to_string(), m.counts, m.quarantined)).collect();
    assert_eq!(marks, [("forked/all/0".to_owned(), true, true), ("expelled/all/0".to_owned(), false, false)]);
    let past = asker.screener.past_check(answer.reference.clone().expect("kept")).await.expect("read again");
    assert_eq!(past.answer, answer);
}

#[tokio::test]
async fn a_new_roster_is_a_new_picture_at_once() {
    let mut world = World::new(&["asker", "bazaar"]).await;
    let before = world.node("asker").freshness.now();
    world.amend(|roster| roster.groups.clear()).await;
    let after = world.node("asker").freshness.now();
    assert_eq!((before.feeds.len(), after.feeds.len()), (4, 2));
}
