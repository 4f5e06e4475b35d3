//! An alliance is upgraded node by node: what nodes of different versions make of each other.

use std::sync::Arc;

use countermark::domain::MemberKind;
use countermark::rpc::proto::{ExchangeVersionsRequest, ExchangeVersionsResponse, NodeVersion};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::cluster;
use crate::cluster::front::{Front, Manner};
use crate::cluster::{Alliance, eventually};

/// Says what a program of another version would say.
struct Says(Option<NodeVersion>);

impl Manner for Says {
    fn version(&self, response: &mut ExchangeVersionsResponse) -> Result<(), Status> {
        match &self.0 {
            Some(version) => response.version = Some(version.clone()),
            None => return Err(Status::unimplemented("")),
        }
        Ok(())
    }
}

fn speaking(oldest_protocol: u32, newest_protocol: u32) -> NodeVersion {
    NodeVersion { program: "9.9.9".into(), oldest_protocol, newest_protocol, capabilities: vec!["time-travel".into()] }
}

/// What acme's node makes of bazaar's, which says this: whether it is connected, its version, the last error.
async fn made_of(said: Option<NodeVersion>, expected: (bool, &str, &str)) {
    let (mut alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    let front = Front::of(&alliance, "bazaar", Arc::new(Says(said))).await;
    alliance.route("acme", "bazaar", front.address);
    let listeners = |sockets: &mut cluster::Sockets, id| sockets.remove(&cluster::member(id)).expect("sockets");
    let _bazaar = alliance.start("bazaar", Some(listeners(&mut sockets, "bazaar"))).await.expect("starts");
    let _acme = alliance.start("acme", Some(listeners(&mut sockets, "acme"))).await.expect("starts");
    let client = alliance.client("acme").await;
    eventually(&format!("bazaar is seen as {expected:?}"), || {
        let mut client = client.clone();
        async move {
            let peer = client.peer("bazaar").await;
            (peer.connected, peer.version.as_str(), peer.last_error.as_str()) == expected
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_node_that_still_speaks_our_protocol_is_followed() {
    made_of(Some(speaking(1, 3)), (true, "9.9.9 (protocols 1 to 3)", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_from_before_versions_were_told_is_followed() {
    made_of(None, (true, "unknown (protocol 1)", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_shares_no_protocol_is_named_and_not_followed() {
    made_of(Some(speaking(2, 3)), (false, "", "PEER_INCOMPATIBLE")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_version_is_not_taken_for_one() {
    let nonsense = NodeVersion { program: "\x1b[2J".into(), ..speaking(1, 1) };
    made_of(Some(nonsense), (false, "", "PEER_MALFORMED")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_shares_no_protocol_is_told_which_side_to_upgrade() {
    let (alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    let _acme = alliance.start("acme", sockets.remove(&cluster::member("acme"))).await.expect("starts");
    let mut peer = alliance.peer("bazaar", "acme").await;
    let refused = peer.exchange_versions(ExchangeVersionsRequest { version: Some(speaking(7, 8)) }).await.expect_err("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_details_error_info().expect("details").reason, "PROTOCOL_UNSUPPORTED");
    assert!(refused.message().contains("9.9.9 (protocols 7 to 8); upgrade the older one"), "{}", refused.message());
    let missing = peer.exchange_versions(ExchangeVersionsRequest { version: None }).await.expect_err("refused");
    assert_eq!(missing.get_details_error_info().expect("details").reason, "FIELD_MISSING");
}
