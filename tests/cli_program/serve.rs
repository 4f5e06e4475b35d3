//! `countermark serve` as a process: what it logs, what it refuses before it listens, how it reloads, how it stops.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use countermark::domain::limits::DRAIN_TIMEOUT;
use countermark::rpc::connector::{ConnectError, connect};
use countermark::rpc::proto;
use countermark::rpc::proto::node_service_client::NodeServiceClient;
use countermark::rpc::proto::peer_service_client::PeerServiceClient;
use countermark::rpc::proto::signal_service_client::SignalServiceClient;
use countermark::rpc::tls::{Credentials, TrustAnchors, client_config};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use crate::PROGRAM;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
const DOMAIN: &str = "outlet-0042.test";

/// An alliance of two members on disk, of which `acme` is served.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        let members = ["--member", "acme:brand:127.0.0.1:7400", "--member", "globex:platform:127.0.0.1:7402"];
        world.run(
            &[
                &["alliance", "init", "--name", "alliance.example", "--folder", "secretariat", "--scheme", "hmac-sha256"][..],
                &members,
            ]
            .concat(),
        );
        world
    }

    fn home(&self, member: &str) -> std::path::PathBuf {
        self.0.path().join("secretariat/members").join(member)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Gives what it prints.
    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(arguments).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn serve_command(&self, peers: &str, clients: &str) -> Command {
        let home = self.home("acme");
        let mut command = self.command(&["serve", "--trust-own-feed", "--config", home.to_str().expect("UTF-8")]);
        command.env("COUNTERMARK__PEERS__LISTEN", peers).env("COUNTERMARK__CLIENTS__LISTEN", clients);
        command.env("COUNTERMARK__LOG__FORMAT", "json").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn serve(&self) -> Served {
        Served::new(self.serve_command("127.0.0.1:0", "127.0.0.1:0").spawn().expect("the program starts"))
    }

    /// A start that must fail: its words on standard error.
    fn fails(&self, peers: &str, clients: &str) -> String {
        let output = self.serve_command(peers, clients).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.home("acme").join(file);
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replacen(from, to, 1)).expect("written");
    }

    async fn client(&self, address: &str, name: &str) -> Result<Channel, ConnectError> {
        let folder = self.home("acme").join("clients").join(name);
        dial(address, &folder.join("client.pem"), &folder.join("client.key"), &folder.join("alliance-ca.pem")).await
    }

    async fn globex(&self, address: &str) -> Result<Channel, ConnectError> {
        let home = self.home("globex");
        dial(address, &home.join("node.pem"), &home.join("node.key"), &home.join("alliance-ca.pem")).await
    }
}

async fn dial(address: &str, chain: &Path, key: &Path, ca: &Path) -> Result<Channel, ConnectError> {
    let read = |path: &Path| fs::read_to_string(path).expect("readable");
    let own = Credentials { chain: read(chain), key: read(key).into() };
    let config = client_config(&own, &TrustAnchors { ca: read(ca), crls: vec![] }).expect("good");
    connect(address, "acme.alliance.example".into(), Arc::new(config)).await
}

/// A node at work.
struct Served {
    child: Child,
    events: Receiver<Value>,
    seen: Vec<Value>,
    peers: String,
    clients: String,
}

impl Served {
    fn new(mut child: Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (event, events) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                let line = line.expect("UTF-8");
                let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if event.send(parsed).is_err() {
                    return;
                }
            }
        });
        let mut served = Self { child, events, seen: Vec::new(), peers: String::new(), clients: String::new() };
        let ready = served.event("ready", |fields| fields["message"] == "the node is ready");
        let address = |name: &str| ready[name].as_str().expect("an address").to_owned();
        (served.peers, served.clients) = (address("peers"), address("clients"));
        served
    }

    /// The fields of the first event from now on that is wanted.
    fn event(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no event: {what}; seen {:#?}", self.seen));
            self.seen.push(event.clone());
            if wanted(&event["fields"]) {
                return event["fields"].clone();
            }
        }
    }

    /// Waits for an event of this level.
    fn event_at(&mut self, level: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("nothing at {level}"));
            self.seen.push(event.clone());
            if event["level"] == level {
                return;
            }
        }
    }

    fn event_of(&mut self, code: &str) -> Value {
        self.event(code, |fields| fields["code"] == code)
    }

    fn tell(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
    }

    fn reload(&mut self) {
        self.tell("-HUP");
        self.event("reloaded", |fields| fields["message"].as_str().is_some_and(|m| m.ends_with("are in force")));
    }

    fn refuse_reload(&mut self, code: &str) -> Value {
        self.tell("-HUP");
        let refused = self.event("refused", |fields| fields["message"].as_str().is_some_and(|m| m.starts_with("nothing was")));
        assert_eq!(refused["code"], code, "{refused}");
        refused
    }

    /// Waits for the end; every event there was, and how it ended.
    fn end(mut self) -> (ExitStatus, Vec<Value>) {
        let status = self.child.wait().expect("it ends");
        let mut out = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
        assert_eq!(out, "", "standard output is for commands that print");
        self.seen.extend(self.events.iter());
        assert!(self.seen.iter().all(Value::is_object), "not JSON: {:#?}", self.seen);
        (status, self.seen)
    }
}

fn row(name: &str) -> proto::SubmitSignalsRequest {
    let identifier =
        proto::Identifier { kind: proto::IdentifierKind::Domain.into(), value: name.into(), region: String::new() };
    let statement = proto::Statement {
        infringement: proto::Infringement::TrademarkCounterfeit.into(),
        evidence: vec![proto::Evidence { kind: proto::EvidenceKind::TestPurchase.into(), grade: 0, sha256: vec![] }],
        ..proto::Statement::default()
    };
    let submission = proto::Submission {
        submission_id: String::new(),
        audience: "all".into(),
        identifiers: vec![identifier],
        statement: Some(statement),
    };
    proto::SubmitSignalsRequest { submission: Some(submission) }
}

fn code(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

/// A stream of rows that stays open, with the answer to its first one.
async fn open_stream(
    channel: Channel,
) -> (mpsc::Sender<proto::SubmitSignalsRequest>, tonic::Streaming<proto::SubmitSignalsResponse>) {
    let (rows, outgoing) = mpsc::channel(8);
    rows.send(row(DOMAIN)).await.expect("taken");
    let answers = SignalServiceClient::new(channel).submit_signals(ReceiverStream::new(outgoing)).await.expect("a stream");
    let mut answers = answers.into_inner();
    let answer = answers.message().await.expect("an answer").expect("one").result;
    assert!(matches!(answer, Some(proto::submit_signals_response::Result::Receipt(_))), "{answer:?}");
    (rows, answers)
}

#[test]
fn it_logs_json_prints_nothing_holds_its_store_alone_and_ends_on_sigterm() {
    let world = World::new();
    let served = world.serve();
    let second = world.fails("127.0.0.1:0", "127.0.0.1:0");
    assert!(second.contains("STORE_IN_USE"), "{second}");
    served.tell("-TERM");
    let (status, events) = served.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(events.last().expect("events")["fields"]["message"], "the node has stopped");
}

#[test]
fn what_runs_it_is_told_how_far_it_is() {
    let world = World::new();
    let path = world.0.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("set");
    let told = || {
        let mut state = [0; 256];
        let length = supervisor.recv(&mut state).expect("a state");
        String::from_utf8(state[..length].to_vec()).expect("UTF-8")
    };
    let mut command = world.serve_command("127.0.0.1:0", "127.0.0.1:0");
    let mut served = Served::new(command.env("NOTIFY_SOCKET", &path).spawn().expect("the program starts"));
    assert_eq!(told(), "READY=1\n");
    let told_of_reload = || {
        let state = told();
        let since = state.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("a reload").trim_end();
        assert!(since.parse::<u64>().is_ok_and(|since| since > 0), "{state}");
        assert_eq!(told(), "READY=1\n");
    };
    served.reload();
    told_of_reload();
    world.edit("node.toml", "[node]", "[nodes]\n[node]");
    served.refuse_reload("CONFIG_UNKNOWN_KEY");
    told_of_reload();
    served.tell("-TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(served.end().0.code(), Some(0));
}

#[test]
fn nothing_is_bound_before_everything_is_good() {
    let world = World::new();
    // Both addresses are taken: a start that tried to bind would say so, in place of what it found before.
    let taken = || TcpListener::bind("127.0.0.1:0").expect("bound");
    let (peers, clients) = (taken(), taken());
    let address = |socket: &TcpListener| socket.local_addr().expect("bound").to_string();
    let (peers, clients) = (address(&peers), address(&clients));
    let keys = world.home("acme").join("keys");
    let key = fs::read_dir(&keys).expect("a folder").next().expect("a key").expect("readable").path();
    let good = fs::read_to_string(&key).expect("readable");
    let aside = key.with_extension("aside");
    fs::rename(&key, &aside).expect("moved");
    let missing = world.fails(&peers, &clients);
    assert!(missing.contains("KEY_MISSING"), "{missing}");
    assert_eq!(missing.matches("KEY_MISSING").count(), 1, "said once: {missing}");
    fs::rename(&aside, &key).expect("moved back");

    let feed_key = world.home("acme").join("feed.key");
    let own = fs::read_to_string(&feed_key).expect("readable");
    fs::write(&feed_key, &good).expect("written");
    let wrong = world.fails(&peers, &clients);
    assert!(wrong.contains("WRONG_FEED_KEY"), "{wrong}");
    let home = world.home("acme");
    let checked = world.command(&["config", "check", "--config", home.to_str().expect("UTF-8")]).output().expect("starts");
    let words = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.code() == Some(1) && words.contains("WRONG_FEED_KEY"), "the check says what a start would: {words}");
    fs::write(&feed_key, &own).expect("written");

    let in_use = world.fails(&peers, "127.0.0.1:0");
    assert!(in_use.contains("ADDRESS_IN_USE"), "{in_use}");
    let foreign = world.fails("192.0.2.1:0", "127.0.0.1:0");
    assert!(foreign.contains("ADDRESS_NOT_AVAILABLE"), "{foreign}");
    let served = world.serve();
    served.tell("-INT");
    assert!(served.end().0.success(), "what failed before left nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_at_once_although_streams_are_open_and_answers_what_it_read() {
    let world = World::new();
    let served = world.serve();
    let operator = world.client(&served.clients, "operator").await.expect("connects");
    let (_rows, mut answers) = open_stream(operator.clone()).await;
    let watched = HealthClient::new(operator).watch(HealthCheckRequest { service: String::new() }).await.expect("a stream");
    let mut watched = watched.into_inner();
    assert_eq!(watched.message().await.expect("a word").expect("one").status(), ServingStatus::Serving);
    let peer = world.globex(&served.peers).await.expect("connects");
    let (_commands, outgoing) = mpsc::channel(1);
    let followed = PeerServiceClient::new(peer).follow_feeds(ReceiverStream::new(outgoing)).await.expect("a stream");

    let told = Instant::now();
    served.tell("-TERM");
    let broken = answers.message().await.expect_err("the node stops");
    assert_eq!(code(&broken), (Code::Unavailable, "NODE_STOPPING".into()));
    assert_eq!(watched.message().await.expect("a word").expect("one").status(), ServingStatus::NotServing);
    assert!(watched.message().await.expect("an end").is_none());
    let (status, events) = served.end();
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() < DRAIN_TIMEOUT / 2, "it took {:?}", told.elapsed());
    assert!(events.iter().all(|event| event["fields"]["code"] != "DRAIN_TIMEOUT"));
    drop(followed);

    let served = world.serve();
    let operator = world.client(&served.clients, "operator").await.expect("connects");
    let status = NodeServiceClient::new(operator).get_status(proto::GetStatusRequest {}).await.expect("served").into_inner();
    assert_eq!(status.own_live_signals, 1, "what was answered is kept");
    served.tell("-TERM");
    assert!(served.end().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_looks_after_the_node_can_have_it_reload_and_is_told_what_is_wrong() {
    let world = World::new();
    let served = world.serve();
    let operator = world.client(&served.clients, "operator").await.expect("connects");
    let mut node = NodeServiceClient::new(operator);
    node.reload(proto::ReloadRequest {}).await.expect("nothing has changed, and all is well");

    let file = world.home("acme").join("node.toml");
    let good = fs::read_to_string(&file).expect("readable");
    fs::write(&file, good.replace("[node]", "[nodd]")).expect("written");
    let refused = node.reload(proto::ReloadRequest {}).await.expect_err("there is no such section");
    assert_eq!(code(&refused).0, Code::FailedPrecondition);
    assert!(refused.message().contains("nodd"), "{}", refused.message());
    node.get_status(proto::GetStatusRequest {}).await.expect("what was in force stays");

    // Roles that are taken away hold before the answer is there: the very connection that asked is closed.
    fs::write(&file, good.replace("\"submit\", \"check\", \"cases\", \"admin\"", "\"check\"")).expect("written");
    drop(node.reload(proto::ReloadRequest {}).await);
    let operator = world.client(&served.clients, "operator").await.expect("connects");
    let denied = NodeServiceClient::new(operator).reload(proto::ReloadRequest {}).await.expect_err("no admin any more");
    assert_eq!(code(&denied), (Code::PermissionDenied, "ROLE_MISSING".into()));
    served.tell("-TERM");
    assert!(served.end().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_node_is_cut_off_and_refused_after_a_reload() {
    let world = World::new();
    let mut served = world.serve();
    let peer = world.globex(&served.peers).await.expect("connects");
    let mut peer = PeerServiceClient::new(peer);
    peer.get_roster(proto::GetRosterRequest {}).await.expect("served");
    let (_commands, outgoing) = mpsc::channel(1);
    let mut followed = peer.follow_feeds(ReceiverStream::new(outgoing)).await.expect("a stream").into_inner();

    world.run(&["alliance", "expel", "--folder", "secretariat", "--crl", "globex"]);
    fs::copy(world.0.path().join("secretariat/crl.pem"), world.home("acme").join("crl.pem")).expect("copied");
    world.edit("node.toml", "ca = \"alliance-ca.pem\"", "ca = \"alliance-ca.pem\"\ncrl = [\"crl.pem\"]");
    served.reload();
    // The roster that expels has not come yet: it is the certificate that is refused.
    let ended = async { while let Ok(Some(_)) = followed.message().await {} };
    tokio::time::timeout(SECONDS, ended).await.expect("it ends");
    let refused = world.globex(&served.peers).await.expect_err("revoked");
    assert_eq!(refused.code(), "PEER_REFUSED_CERTIFICATE");
    served.event_of("TLS_REVOKED");

    fs::copy(world.0.path().join("secretariat/roster.note"), world.home("acme").join("roster.note")).expect("copied");
    served.reload();
    let operator = world.client(&served.clients, "operator").await.expect("connects");
    let status = NodeServiceClient::new(operator).get_status(proto::GetStatusRequest {}).await.expect("served").into_inner();
    assert_eq!(status.roster_serial, 2, "the roster was taken as well");
    let list = status.deadlines.iter().find(|deadline| deadline.what == "alliance_crl").expect("the list ends, too");
    assert!(list.at_ms > status.started_at_ms, "{list:?}");
    served.tell("-TERM");
    assert!(served.end().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_all_or_nothing_and_lets_new_clients_in() {
    let world = World::new();
    let mut served = world.serve();
    let home = world.home("acme");
    let home = home.to_str().expect("UTF-8");
    world.run(&["member", "client", "screener", "--folder", home, "--role", "check"]);
    let refused = world.client(&served.clients, "screener").await.expect_err("not listed yet");
    assert_eq!(refused.code(), "PEER_REFUSED_IDENTITY");
    served.event_of("CLIENT_NOT_LISTED");

    let chain = fs::read_to_string(world.home("acme").join("node.pem")).expect("readable");
    fs::write(world.home("acme").join("node.pem"), "torn").expect("written");
    served.refuse_reload("TLS_CERTIFICATE");
    world.client(&served.clients, "operator").await.expect("the old certificate serves");
    assert!(world.client(&served.clients, "screener").await.is_err(), "nothing of it was taken");
    fs::write(world.home("acme").join("node.pem"), chain).expect("written");

    world.edit("node.toml", "data_dir = \"data\"", "data_dir = \"elsewhere\"");
    served.refuse_reload("RESTART_NEEDED");
    world.edit("node.toml", "data_dir = \"elsewhere\"", "data_dir = \"data\"");

    served.reload();
    let screener = world.client(&served.clients, "screener").await.expect("listed now");
    let mut health = HealthClient::new(screener);
    health.check(HealthCheckRequest { service: String::new() }).await.expect("served");

    // Taken out of the list again, it loses its connection as well.
    let list = fs::read_to_string(world.home("acme").join("node.toml")).expect("readable");
    let (without, _) = list.rsplit_once("[[clients.access]]").expect("the last client");
    fs::write(world.home("acme").join("node.toml"), without).expect("written");
    served.reload();
    while health.check(HealthCheckRequest { service: String::new() }).await.is_ok() {}
    assert_eq!(world.client(&served.clients, "screener").await.expect_err("not listed").code(), "PEER_REFUSED_IDENTITY");
    served.tell("-TERM");
    assert!(served.end().0.success());
}

/// How soon a connection ends whose right has ended: seconds, also on a machine that does other things.
const SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_is_cut_off_within_seconds_of_a_reload_and_its_next_certificate_serves() {
    let world = World::new();
    let mut served = world.serve();
    let home = world.home("acme");
    let (folder, stolen) = (home.join("clients/operator"), home.join("stolen"));
    fs::create_dir(&stolen).expect("made");
    for file in ["client.pem", "client.key"] {
        fs::copy(folder.join(file), stolen.join(file)).expect("copied");
    }
    let (chain, key, ca) = (stolen.join("client.pem"), stolen.join("client.key"), folder.join("alliance-ca.pem"));
    let thief = dial(&served.clients, &chain, &key, &ca).await.expect("connects");
    let home = home.to_str().expect("UTF-8");
    let mut health = HealthClient::new(thief);
    let watched = health.watch(HealthCheckRequest { service: String::new() }).await.expect("served");
    let mut watched = watched.into_inner();
    world.run(&["member", "client", "operator", "--folder", home, "--renew"]);
    let (one, other) = (fs::read(&chain).expect("readable"), fs::read(folder.join("client.pem")).expect("readable"));
    assert_ne!(one, other);
    world.client(&served.clients, "operator").await.expect("another certificate for the same client");
    dial(&served.clients, &chain, &key, &ca).await.expect("the one before is good as well");

    world.run(&["member", "revoke", "operator", "--folder", home]);
    world.run(&["member", "client", "operator", "--folder", home, "--renew"]);
    served.reload();
    let ended = async { while let Ok(Some(_)) = watched.message().await {} };
    tokio::time::timeout(SECONDS, ended).await.expect("it ends");
    let refused = dial(&served.clients, &chain, &key, &ca).await.expect_err("revoked");
    assert_eq!(refused.code(), "PEER_REFUSED_CERTIFICATE");
    served.event_of("TLS_REVOKED");
    let operator = world.client(&served.clients, "operator").await.expect("what was made since is not revoked");
    let status = NodeServiceClient::new(operator).get_status(proto::GetStatusRequest {}).await.expect("served").into_inner();
    assert!(status.deadlines.iter().any(|deadline| deadline.what == "client_crl"), "{:?}", status.deadlines);
    served.tell("-TERM");
    assert!(served.end().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_serves_after_a_reload_and_the_log_says_as_much_as_is_wanted() {
    let world = World::new();
    let mut served = world.serve();
    let before = presented(&world, &served.clients).await;
    let home = world.home("acme");
    let home = home.to_str().expect("UTF-8");
    let renewal = world.run(&["member", "renew", "--folder", home, "--out", "renewal.json", "--output", "json"]);
    let renewal: Value = serde_json::from_slice(&renewal).expect("JSON");
    let fingerprint = renewal["fingerprint"].as_str().expect("a fingerprint");
    let admit = ["alliance", "admit", "--folder", "secretariat", "renewal.json", "--out", "admission.json"];
    world.run(&[&admit[..], &["--fingerprint", fingerprint]].concat());
    world.run(&["member", "accept", "--folder", home, "admission.json"]);
    assert_eq!(presented(&world, &served.clients).await, before, "files alone change nothing");
    world.edit("node.toml", "[keys]", "[log]\nlevel = \"debug\"\n\n[keys]");
    served.reload();
    let after = presented(&world, &served.clients).await;
    assert_ne!(after, before);
    served.event_at("DEBUG");
    assert!(served.seen.iter().filter(|event| event["level"] == "DEBUG").count() == 1, "none before it was wanted");
    served.tell("-TERM");
    assert!(served.end().0.success());
}

/// The certificate that the node presents.
async fn presented(world: &World, address: &str) -> Vec<u8> {
    let folder = world.home("acme").join("clients/operator");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("readable");
    let own = Credentials { chain: read("client.pem"), key: read("client.key").into() };
    let config = client_config(&own, &TrustAnchors { ca: read("alliance-ca.pem"), crls: vec![] }).expect("good");
    let tcp = tokio::net::TcpStream::connect(address).await.expect("connects");
    let name = "acme.alliance.example".try_into().expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("TLS");
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].to_vec()
}

#[test]
fn another_content_of_a_file_that_only_a_start_reads_needs_a_restart() {
    let world = World::new();
    let home = world.home("acme");
    fs::copy(home.join("alliance-ca.pem"), home.join("webhook-ca.pem")).expect("copied");
    fs::copy(home.join("local.secret"), home.join("webhook.secret")).expect("copied");
    let webhook = "[webhook]\nurl = \"https://127.0.0.1:1/\"\nca = \"webhook-ca.pem\"\nsecret = \"webhook.secret\"\n\n[keys]";
    world.edit("node.toml", "[keys]", webhook);
    let mut served = world.serve();
    for (file, other, setting) in [
        ("local.secret", world.home("globex").join("local.secret"), "keys.local_secret"),
        ("feed.key", world.home("globex").join("feed.key"), "keys.feed_key"),
    ] {
        let old = fs::read(home.join(file)).expect("readable");
        fs::write(home.join(file), fs::read(other).expect("readable")).expect("written");
        let refused = served.refuse_reload("RESTART_NEEDED");
        assert!(refused["error"].as_str().is_some_and(|error| error.starts_with(&format!("{setting} cannot"))), "{refused}");
        fs::write(home.join(file), old).expect("written");
    }
    // Those of the webhook wait for a restart, and whatever else has changed does not.
    fs::copy(world.home("globex").join("local.secret"), home.join("webhook.secret")).expect("copied");
    fs::copy(home.join("client-ca.pem"), home.join("webhook-ca.pem")).expect("copied");
    served.reload();
    // Nor does one that cannot be taken at all: others may read it.
    fs::set_permissions(home.join("webhook.secret"), fs::Permissions::from_mode(0o644)).expect("set");
    served.reload();
    served.tell("-TERM");
    let (status, events) = served.end();
    assert!(status.success());
    let warned: Vec<_> = events.iter().filter(|event| event["level"] == "WARN").map(|event| &event["fields"]).collect();
    let told: Vec<_> =
        warned.iter().filter(|fields| fields["code"] == "RESTART_NEEDED").map(|fields| &fields["settings"]).collect();
    assert_eq!(told, ["webhook.ca, webhook.secret"]);
    let unusable = |fields: &&&Value| fields["error"].as_str().is_some_and(|error| error.contains("webhook.secret"));
    assert_eq!(warned.iter().filter(unusable).count(), 1, "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_has_a_code_and_is_logged_once_without_its_content() {
    let world = World::new();
    let home = world.home("acme");
    world.run(&["member", "client", "screener", "--folder", home.to_str().expect("UTF-8"), "--role", "check"]);
    let mut served = world.serve();
    let operator = world.client(&served.clients, "operator").await.expect("connects");

    let (rows, mut answers) = open_stream(operator.clone()).await;
    rows.send(row(&"x".repeat(200_000))).await.expect("taken");
    let broken = answers.message().await.expect_err("beyond the bound");
    assert_eq!(code(&broken), (Code::ResourceExhausted, "ROW_TOO_LARGE".into()), "{}", broken.message());
    let logged = served.event_of("ROW_TOO_LARGE");
    assert_eq!((logged["client"].as_str(), logged["held_back"].as_u64()), (Some("operator"), Some(0)));

    let path = "/countermark.v1.SignalService/SubmitSignal".parse().expect("a path");
    let mut raw = tonic::client::Grpc::new(operator);
    raw.ready().await.expect("open");
    let codec = tonic_prost::ProstCodec::<proto::GetSignalRequest, proto::SubmitSignalResponse>::default();
    let request = tonic::Request::new(proto::GetSignalRequest { signal: DOMAIN.into() });
    let refused = raw.unary(request, path, codec).await.expect_err("no submission");
    assert_eq!(code(&refused), (Code::InvalidArgument, "MESSAGE_MALFORMED".into()), "{}", refused.message());
    served.event_of("MESSAGE_MALFORMED");

    let screener = world.client(&served.clients, "screener").await.expect("connects");
    let mut signals = SignalServiceClient::new(screener);
    for _ in 0..2 {
        let request = proto::SubmitSignalRequest { submission: row(DOMAIN).submission };
        let refused = signals.submit_signal(request).await.expect_err("no such role");
        assert_eq!(code(&refused), (Code::PermissionDenied, "ROLE_MISSING".into()));
    }
    served.tell("-TERM");
    let (status, events) = served.end();
    assert!(status.success());
    let refused: Vec<&Value> = events.iter().map(|e| &e["fields"]).filter(|f| f["code"] == "ROLE_MISSING").collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert_eq!(refused[0]["client"], "screener");
    assert_eq!(refused[0]["method"], "SignalService/SubmitSignal");
    assert!(!format!("{events:?}").contains(DOMAIN));
}
