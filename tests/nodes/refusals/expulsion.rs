//! A member that was expelled.

use countermark::domain::{MemberState, Roster};
use countermark::rpc::proto::{FeedName, FeedState, Follow, FollowFeedsRequest, SubmitSignalRequest, follow_feeds_request};

use super::{holds, seller, signal};
use crate::THREE;
use crate::cluster::logged::heartbeats;
use crate::cluster::{Alliance, eventually, member};

fn expel(roster: &mut Roster) {
    let aurelle = roster.members.iter_mut().find(|m| m.id == member("aurelle")).expect("a member");
    aurelle.state = MemberState::Expelled;
}

fn follow(feed_member: &str, audience: &str) -> FollowFeedsRequest {
    let feed = Some(FeedName { member: feed_member.into(), audience: audience.into() });
    FollowFeedsRequest { request: Some(follow_feeds_request::Request::Follow(Follow { feed, size: 0 })) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expelled_member_is_cut_off_at_every_node_and_nothing_more_of_it_arrives() {
    let (mut alliance, mut sockets) = Alliance::new(&THREE).await;
    let bazaar_node = alliance.start_logged("bazaar", sockets.remove(&member("bazaar"))).await.expect("starts");
    let kestrel_node = alliance.start_logged("kestrel", sockets.remove(&member("kestrel"))).await.expect("starts");
    let aurelle_node = alliance.start_logged("aurelle", sockets.remove(&member("aurelle"))).await.expect("starts");
    let (bazaar, kestrel) = (alliance.client("bazaar").await, alliance.client("kestrel").await);
    alliance.client("aurelle").await.submit(signal("before")).await.expect("taken");
    holds(&bazaar, "aurelle", 1).await;
    holds(&kestrel, "aurelle", 1).await;
    // From here on the test alone speaks as aurelle, so that every line in a log is of its making.
    aurelle_node.stop().await;
    let mut peer = alliance.peer("aurelle", "bazaar").await;
    let (commands, receiver) = tokio::sync::mpsc::channel(4);
    commands.send(follow("bazaar", "all")).await.expect("room");
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut events = peer.follow_feeds(requests).await.expect("a stream").into_inner();
    events.message().await.expect("served").expect("a heartbeat");

    // The secretariat tells kestrel; bazaar learns of it from kestrel.
    alliance.amend(expel);
    kestrel_node.stop().await;
    let kestrel_node = alliance.start_logged("kestrel", None).await.expect("starts");
    let ended =
        tokio::time::timeout(std::time::Duration::from_secs(60), async { while let Ok(Some(_)) = events.message().await {} });
    ended.await.expect("the stream of an expelled member ends");
    drop(commands);
    let mut kestrel = alliance.client("kestrel").await;
    let mut bazaar = bazaar;
    for client in [&mut bazaar, &mut kestrel] {
        assert_eq!(client.status().await.roster_serial, 2);
        assert_eq!(client.feed("aurelle", "all").await.expect("kept").state(), FeedState::Expelled);
        let answer = client.check(seller("before")).await.expect("answered");
        assert_eq!((answer.members_elsewhere, answer.elsewhere.iter().any(|found| found.counts)), (0, false));
    }
    for (id, node) in [("bazaar", &bazaar_node), ("kestrel", &kestrel_node)] {
        let refused = |lines: Vec<serde_json::Value>| {
            lines.into_iter().filter(|line| line["fields"]["message"] == "caller refused").count()
        };
        assert_eq!(refused(node.log.naming("MEMBER_NOT_ACTIVE")), 0, "nobody has dialled yet");
        let dialled = alliance.dial(id, alliance.membership(id).peers, &alliance.node_credentials("aurelle")).await;
        assert_eq!(dialled.expect_err("expelled").code(), "PEER_REFUSED_IDENTITY");
        eventually("the refusal is logged", || async { refused(node.log.naming("MEMBER_NOT_ACTIVE")) > 0 }).await;
        heartbeats(2).await;
        assert_eq!(refused(node.log.naming("MEMBER_NOT_ACTIVE")), 1);
    }

    // Its node goes on by the roster that it has, and nobody hears it.
    alliance.amend(|roster| {
        roster.members.iter_mut().for_each(|m| m.state = MemberState::Active);
        roster.serial = 0;
    });
    let _aurelle_node = alliance.start_logged("aurelle", None).await.expect("starts");
    let mut aurelle = alliance.client("aurelle").await;
    let told = aurelle.clone();
    eventually("aurelle's node is turned away", || {
        let mut aurelle = told.clone();
        async move { aurelle.peer("bazaar").await.last_error == "PEER_REFUSED_IDENTITY" }
    })
    .await;
    // Where it may still write, or where it knows that nobody would take it: either way it stays at home.
    let request = SubmitSignalRequest { submission: Some(signal("after")) };
    drop(aurelle.signals.submit_signal(request).await);
    heartbeats(6).await;
    for client in [&mut bazaar, &mut kestrel] {
        assert_eq!(client.size("aurelle", "all").await, 1);
        assert!(client.check(seller("after")).await.expect("answered").elsewhere.is_empty());
    }
}
