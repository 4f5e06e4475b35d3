//! What a caller may not ask, though it may call.

use countermark::domain::limits::{MAX_CLIENT_MESSAGE_BYTES, MAX_PEER_MESSAGE_BYTES};
use countermark::rpc::proto::peer_service_client::PeerServiceClient;
use countermark::rpc::proto::{
    FeedName, Follow, FollowFeedsRequest, FollowRefused, GetFrontierRequest, IdentifierKind as Kind, follow_feeds_request,
    follow_feeds_response,
};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{seller, signal};
use crate::cluster::logged::{LoggedNode, heartbeats};
use crate::cluster::{Alliance, identifier, member, submission};
use crate::{THREE, code};

/// aurelle's node, with a signal in a group that bazaar does not belong to, and bazaar's way in.
async fn world() -> (Alliance, LoggedNode, PeerServiceClient<Channel>) {
    let (mut alliance, mut sockets) = Alliance::new(&THREE).await;
    alliance.group("makers", &["aurelle", "kestrel"]);
    let kestrel = alliance.start_logged("kestrel", sockets.remove(&member("kestrel"))).await.expect("starts");
    let node = alliance.start_logged("aurelle", sockets.remove(&member("aurelle"))).await.expect("starts");
    let mut client = alliance.client("aurelle").await;
    client.submit(submission("makers", seller("quiet"))).await.expect("taken");
    client.submit(signal("loud")).await.expect("taken");
    kestrel.stop().await;
    let peer = alliance.peer("bazaar", "aurelle").await;
    (alliance, node, peer)
}

fn feed(audience: &str) -> Option<FeedName> {
    Some(FeedName { member: "aurelle".into(), audience: audience.into() })
}

/// Follows a feed until it is refused, the stream ends, or a batch comes, which none of these may.
async fn refusal(peer: &mut PeerServiceClient<Channel>, audience: &str) -> Result<FollowRefused, Status> {
    let follow = follow_feeds_request::Request::Follow(Follow { feed: feed(audience), size: 0 });
    let (commands, receiver) = tokio::sync::mpsc::channel(1);
    commands.send(FollowFeedsRequest { request: Some(follow) }).await.expect("room");
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut events = peer.follow_feeds(requests).await?.into_inner();
    while let Some(event) = events.message().await? {
        match event.response.expect("a response") {
            follow_feeds_response::Response::Refused(refused) => return Ok(refused),
            follow_feeds_response::Response::Batch(batch) => panic!("it was served {:?}", batch.feed),
            follow_feeds_response::Response::Heartbeat(_) => {}
        }
    }
    panic!("the stream ended without a word");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_outside_the_audience_is_not_served_and_looks_like_one_that_does_not_exist() {
    let (_alliance, _node, mut peer) = world().await;
    for audience in ["makers", "nobody"] {
        let refused = refusal(&mut peer, audience).await.expect("the stream goes on");
        assert_eq!((refused.code.as_str(), refused.feed), ("FEED_NOT_SHARED", feed(audience)));
        let request = GetFrontierRequest { feed: feed(audience), size: 1 };
        let refused = peer.get_frontier(request).await.expect_err("not shared");
        assert_eq!(code(&refused), (Code::PermissionDenied, "FEED_NOT_SHARED".into()));
    }
    let heads = peer.list_checkpoints(countermark::rpc::proto::ListCheckpointsRequest {}).await.expect("heads").into_inner();
    let names: Vec<_> = heads.checkpoints.iter().map(|note| String::from_utf8_lossy(note).into_owned()).collect();
    assert!(names.iter().all(|note| note.starts_with("alliance.example/aurelle/all\n")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_a_feed_outside_the_audience_is_logged_once() {
    for audience in ["makers", "nobody"] {
        let (_alliance, node, mut peer) = world().await;
        refusal(&mut peer, audience).await.expect("refused");
        node.log.expect("FEED_NOT_SHARED").await;
        heartbeats(2).await;
        node.log.only_once("FEED_NOT_SHARED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_the_frontier_of_a_feed_outside_the_audience_is_logged_once() {
    let (_alliance, node, mut peer) = world().await;
    peer.get_frontier(GetFrontierRequest { feed: feed("makers"), size: 1 }).await.expect_err("not shared");
    node.log.expect("FEED_NOT_SHARED").await;
    heartbeats(2).await;
    node.log.only_once("FEED_NOT_SHARED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_audience_is_never_widened() {
    let (_alliance, _node, mut peer) = world().await;
    let refused = refusal(&mut peer, "").await.expect_err("no audience");
    assert_eq!(code(&refused), (Code::InvalidArgument, "AUDIENCE_INVALID".into()));
    let refused = peer.get_frontier(GetFrontierRequest { feed: feed(""), size: 1 }).await.expect_err("no audience");
    assert_eq!(code(&refused), (Code::InvalidArgument, "AUDIENCE_INVALID".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn following_an_empty_audience_is_logged_once() {
    let (_alliance, node, mut peer) = world().await;
    refusal(&mut peer, "").await.expect_err("no audience");
    node.log.expect("AUDIENCE_INVALID").await;
    heartbeats(2).await;
    node.log.only_once("AUDIENCE_INVALID");
}

fn too_large(refused: &Status) {
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_its_limit_is_refused_on_both_listeners_and_the_node_goes_on() {
    let (alliance, _node, mut peer) = world().await;
    let audience = "x".repeat(MAX_PEER_MESSAGE_BYTES);
    too_large(&peer.get_frontier(GetFrontierRequest { feed: feed(&audience), size: 1 }).await.expect_err("too large"));
    let mut client = alliance.client("aurelle").await;
    let huge = vec![identifier(Kind::Url, &"x".repeat(MAX_CLIENT_MESSAGE_BYTES))];
    too_large(&client.submit(submission("all", huge.clone())).await.expect_err("too large"));
    too_large(&client.check(huge).await.expect_err("too large"));
    client.check(seller("loud")).await.expect("the same connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_its_limit_on_the_peer_listener_has_a_code_and_is_logged_once() {
    let (_alliance, node, mut peer) = world().await;
    let audience = "x".repeat(MAX_PEER_MESSAGE_BYTES);
    let refused = peer.get_frontier(GetFrontierRequest { feed: feed(&audience), size: 1 }).await.expect_err("too large");
    assert_eq!(code(&refused), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into()));
    node.log.expect("MESSAGE_TOO_LARGE").await;
    heartbeats(2).await;
    node.log.only_once("MESSAGE_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beyond_its_limit_on_a_stream_of_feeds_has_a_code_and_is_logged_once() {
    let (_alliance, node, mut peer) = world().await;
    let refused = refusal(&mut peer, &"x".repeat(MAX_PEER_MESSAGE_BYTES)).await.expect_err("too large");
    assert_eq!(code(&refused), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into()));
    node.log.expect("MESSAGE_TOO_LARGE").await;
    heartbeats(2).await;
    node.log.only_once("MESSAGE_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_beyond_its_limit_on_the_client_listener_has_a_code_and_is_logged_once() {
    let (alliance, node, _peer) = world().await;
    let mut client = alliance.client("aurelle").await;
    let huge = vec![identifier(Kind::Url, &"x".repeat(MAX_CLIENT_MESSAGE_BYTES))];
    let refused = client.submit(submission("all", huge)).await.expect_err("too large");
    assert_eq!(code(&refused), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into()));
    node.log.expect("MESSAGE_TOO_LARGE").await;
    heartbeats(2).await;
    node.log.only_once("MESSAGE_TOO_LARGE");
}
