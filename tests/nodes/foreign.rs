//! Clients and judges that know nothing of this program: its standard services, health and reflection; clients in other languages,
//! over mutual TLS; a scanner of TLS, and judges of TLS and of HTTP/2.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Command;

use countermark::daemon::{Node, SystemClock};
use countermark::domain::{Clock as _, MemberId, MemberKind};
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::cluster::{Alliance, member};

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

/// What a program of another language is given of one client of one node.
struct Handed {
    alliance: Alliance,
    nodes: BTreeMap<MemberId, Node>,
    folder: tempfile::TempDir,
}

impl Handed {
    async fn new() -> Self {
        let (alliance, nodes) = world().await;
        let folder = tempfile::tempdir().expect("a folder");
        let own = alliance.client_credentials("aurelle", "all-roles", SystemClock.now());
        let files = [("ca.pem", alliance.peer_anchors().ca), ("client.pem", own.chain), ("client.key", own.key.to_string())];
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).expect("written"));
        Self { alliance, nodes, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The arguments that both clients take.
    fn arguments(&self) -> [String; 5] {
        let address = self.alliance.membership("aurelle").clients.to_string();
        let name = self.alliance.name.node_dns_name(&member("aurelle"));
        [address, name, self.file("ca.pem"), self.file("client.pem"), self.file("client.key")]
    }

    /// Runs a program to its good end, and gives what it said.
    async fn run(&self, mut command: Command) -> String {
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = run.await.expect("joined").expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");
        out.into_owned()
    }
}

/// The value of a variable that names what a test needs; says so where there is none.
fn needed(variable: &str, what: &str) -> Option<std::ffi::OsString> {
    let value = std::env::var_os(variable);
    if value.is_none() {
        writeln!(std::io::stderr(), "skipped: {variable} names no {what}").expect("standard error is open");
    }
    value
}

fn python() -> Option<std::ffi::OsString> {
    needed("COUNTERMARK_PYTHON", "interpreter with the packages of .ci/python.txt")
}

fn beside(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_submits_and_checks() {
    let Some(python) = python() else { return };
    let handed = Handed::new().await;
    let mut command = Command::new(python);
    command.arg(beside("tests/python_client.py")).args(handed.arguments());
    handed.run(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_js_client_submits_and_checks() {
    let Some(modules) = needed("COUNTERMARK_NODE_PATH", "folder with the packages of .ci/node") else { return };
    let handed = Handed::new().await;
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(beside("tests/node_client.js")).arg(beside("proto")).args(handed.arguments());
    handed.run(command).await;
}

/// They do word for word what a client must not do, within TLS and within HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn judges_of_tls_and_of_http2_find_nothing_on_either_listener() {
    let Some(python) = python() else { return };
    let handed = Handed::new().await;
    let node = handed.alliance.node_credentials("aurelle");
    let files = [("node.pem", node.chain), ("node.key", node.key.to_string())];
    files.iter().for_each(|(name, text)| std::fs::write(handed.file(name), text).expect("written"));
    let membership = handed.alliance.membership("aurelle");
    let listeners = [
        (membership.clients, "client", "/grpc.health.v1.Health/Check"),
        (membership.peers, "node", "/countermark.v1.PeerService/GetRoster"),
    ];
    for (listener, caller, method) in listeners {
        for judge in ["tests/tls_judge.py", "tests/protocol_judge.py"] {
            let [_, name, ca, ..] = handed.arguments();
            let (certificate, key) = (handed.file(&format!("{caller}.pem")), handed.file(&format!("{caller}.key")));
            let mut command = Command::new(&python);
            // Nothing compiled is left beside the programs.
            command.arg("-B").arg(beside(judge));
            command.args([listener.to_string(), name, ca, certificate, key, method.to_owned()]);
            let said = handed.run(command).await;
            assert!(said.trim_end().ends_with(" 0 failed"), "{judge} at {listener}: {said}");
        }
    }
    assert_eq!(handed.nodes.len(), 1);
}

/// A scanner that tries whatever a TLS library can still be made to offer.
#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_finds_tls_1_3_and_nothing_weak_on_either_listener() {
    let Some(python) = python() else { return };
    let handed = Handed::new().await;
    let membership = handed.alliance.membership("aurelle");
    for listener in [membership.peers, membership.clients] {
        let report = handed.file(&format!("{}.json", listener.port()));
        let mut command = Command::new(&python);
        command.args(["-m", "sslyze", "--json_out", &report]);
        command.args([
            "--sslv2",
            "--sslv3",
            "--tlsv1",
            "--tlsv1_1",
            "--tlsv1_2",
            "--tlsv1_3",
            "--elliptic_curves",
            "--early_data",
        ]);
        command.args(["--heartbleed", "--openssl_ccs", "--compression", "--reneg", "--mozilla_config", "disable"]);
        command.arg(listener.to_string());
        handed.run(command).await;
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).expect("a report")).expect("JSON");
        let found = &report["server_scan_results"][0]["scan_result"];
        let accepted = |version: &str| {
            let suites =
                found[version]["result"]["accepted_cipher_suites"].as_array().unwrap_or_else(|| panic!("{version}: {found}"));
            suites
                .iter()
                .map(|suite| suite["cipher_suite"]["name"].as_str().expect("a name").to_owned())
                .collect::<BTreeSet<_>>()
        };
        for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2"] {
            assert_eq!(accepted(&format!("{version}_cipher_suites")), BTreeSet::new(), "{version} at {listener}");
        }
        let good = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"].map(str::to_owned);
        assert_eq!(accepted("tls_1_3_cipher_suites"), good.into(), "{listener}");
        assert_eq!(found["heartbleed"]["result"]["is_vulnerable_to_heartbleed"], false);
        assert_eq!(found["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"], false);
        assert_eq!(found["tls_compression"]["result"]["supports_compression"], false);
        assert_eq!(found["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"], false);
        let early = &found["tls_1_3_early_data"];
        // Where it does not get far enough to send any, it says that its question failed.
        assert!(early["status"] == "ERROR" || early["result"]["supports_early_data"] == false, "{early}");
        let curves = found["elliptic_curves"]["result"]["supported_curves"].as_array().expect("curves");
        let curves: BTreeSet<&str> = curves.iter().map(|curve| curve["name"].as_str().expect("a name")).collect();
        assert_eq!(curves, BTreeSet::from(["X25519", "secp256r1", "secp384r1"]), "{listener}");
    }
    assert_eq!(handed.nodes.len(), 1);
}
