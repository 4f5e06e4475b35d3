//! Clients that know nothing of this program but its standard services: health and reflection, and through them a client in
//! another language, over mutual TLS.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Command;

use cluster::{Alliance, member};
use countermark::daemon::{Node, SystemClock};
use countermark::domain::{Clock as _, MemberId, MemberKind};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const SERVICES: [&str; 3] = ["countermark.v1.SignalService", "countermark.v1.ScreeningService", "countermark.v1.NodeService"];

async fn world() -> (Alliance, BTreeMap<MemberId, Node>) {
    let (alliance, sockets) = Alliance::new(&[("aurelle", MemberKind::Brand)]).await;
    let nodes = alliance.start_all(sockets).await;
    (alliance, nodes)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_healthy_and_an_unknown_one_is_not_found() {
    let (alliance, _nodes) = world().await;
    let mut health = HealthClient::new(alliance.channel("aurelle", "all-roles").await);
    for service in ["", SERVICES[0], SERVICES[1], SERVICES[2]] {
        let response: HealthCheckResponse =
            health.check(HealthCheckRequest { service: service.into() }).await.expect("an answer").into_inner();
        assert_eq!(response.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = health.check(HealthCheckRequest { service: "countermark.v1.PeerService".into() }).await;
    assert_eq!(unknown.expect_err("not on this listener").code(), tonic::Code::NotFound);
}

/// Services that a version of reflection lists, and the files that describe the first of ours.
macro_rules! reflected {
    ($version:ident, $channel:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let channel: Channel = $channel;
        let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let questions = vec![
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(SERVICES[0].into())),
        ];
        let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::iter(questions)).await;
        let mut answers = answers.expect("a stream").into_inner();
        let mut next = async || answers.message().await.expect("an answer").expect("an answer").message_response;
        let Some(MessageResponse::ListServicesResponse(listed)) = next().await else { panic!("no list") };
        let Some(MessageResponse::FileDescriptorResponse(files)) = next().await else { panic!("no files") };
        assert!(!files.file_descriptor_proto.is_empty());
        listed.service.into_iter().map(|service| service.name).collect::<BTreeSet<String>>()
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_reflection_describe_the_services() {
    let (alliance, _nodes) = world().await;
    let v1 = reflected!(v1, alliance.channel("aurelle", "all-roles").await);
    let v1alpha = reflected!(v1alpha, alliance.channel("aurelle", "all-roles").await);
    for service in SERVICES {
        assert!(v1.contains(service) && v1alpha.contains(service), "{service}: {v1:?} {v1alpha:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_submits_and_checks() {
    let Some(python) = std::env::var_os("COUNTERMARK_PYTHON") else {
        let why = "skipped: COUNTERMARK_PYTHON names no interpreter with the packages of .ci/python.txt";
        writeln!(std::io::stderr(), "{why}").expect("standard error is open");
        return;
    };
    let (alliance, _nodes) = world().await;
    let folder = tempfile::tempdir().expect("a folder");
    let own = alliance.client_credentials("aurelle", "all-roles", SystemClock.now());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let ca = write("ca.pem", &alliance.peer_anchors().ca);
    let (certificate, key) = (write("client.pem", &own.chain), write("client.key", &own.key));
    let run = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_client.py"))
            .arg(alliance.membership("aurelle").clients.to_string())
            .arg(alliance.name.node_dns_name(&member("aurelle")))
            .args([&ca, &certificate, &key])
            .output()
    });
    let output = run.await.expect("joined").expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}
