//! No identifier in the clear leaves the process that was given it. Real programs run as a member would run them, at the most
//! talkative log level; then everything they wrote, said and sent is searched for what they were told.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use countermark::config::{Environment, NodeConfig};
use countermark::daemon::{SystemClock, SystemEntropy};
use countermark::domain::Clock as _;
use countermark::replication::{Dialer as _, FollowCommand, FollowEvent};
use countermark::rpc::PeerDialer;
use countermark::rpc::tls::client_config;
use countermark::store::{Options, Store};
use futures_util::StreamExt as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_countermark");
const PATIENCE: Duration = Duration::from_secs(60);

/// Identifiers that are taken, by kind; each has a part that occurs nowhere else.
const TAKEN: [(&str, &str); 9] = [
    ("phone", "+1 206 555 0187"),
    ("domain", "zqxjkv-outlet.test"),
    ("email", "zqxjkv.mailbox@zqxjkv-post.test"),
    ("marketplace_account", "taobao:zqxjkv-store-88"),
    ("bank_account", "DE89 3704 0044 0532 0130 00"),
    ("business_licence", "91110000600037341L"),
    ("messaging_account", "line:zqxjkv.line"),
    ("payment_account", "alipay:zqxjkv.pay@zqxjkv-post.test"),
    ("legal_name", "Zqxjkv Handels Gesellschaft"),
];
/// Identifiers that are refused, one way or another.
const REFUSED: [(&str, &str); 4] = [
    ("phone", "+86 1380013zqxjkv"),
    ("bank_account", "DE00 3704 0044 0532 0130 00"),
    ("business_licence", "911100006000373419"),
    ("domain", "zqxjkv_bad..name"),
];
/// What must be found nowhere: the values, and their canonical forms and tell-tale parts.
const SECRETS: [&str; 9] = [
    "zqxjkv",
    "2065550187",
    "206 555 0187",
    "37040044053201",
    "3704 0044 0532",
    "600037341",
    "6000373419",
    "1380013z",
    "MADE-UP-SUBMISSION-ID",
];

/// A program that runs until the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn program(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().expect("runs")
}

/// A port with a free one beside it.
fn port_pair() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = first.local_addr().expect("bound").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

fn serve(home: &Path, log: &Path) -> Running {
    let log = std::fs::File::create(log).expect("a log");
    let child = Command::new(PROGRAM)
        .args(["serve", "--config"])
        .arg(home)
        .env("COUNTERMARK__LOG__LEVEL", "trace")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    Running(child.expect("starts"))
}

/// Asks with `arguments` until `good` is content.
fn until(what: &str, arguments: &[&str], good: impl Fn(&Output) -> bool) -> Output {
    let began = Instant::now();
    loop {
        let output = program(arguments);
        if good(&output) {
            return output;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Everything that was said, sent or stored, by where it was found.
#[derive(Default)]
struct Evidence(BTreeMap<String, Vec<u8>>);

impl Evidence {
    fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.entry(place.into()).or_default().extend_from_slice(bytes.as_ref());
    }

    fn of_run(&mut self, place: &str, output: &Output) {
        self.add(format!("{place}: standard output"), &output.stdout);
        self.add(format!("{place}: standard error"), &output.stderr);
    }

    fn of_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.of_folder(&path);
            } else {
                self.add(path.display().to_string(), std::fs::read(&path).expect("readable"));
            }
        }
    }

    /// The places at which `secret` stands, whatever its case.
    fn places_of(&self, secret: &str) -> Vec<&str> {
        let secret = secret.to_lowercase();
        let found = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase().contains(&secret);
        self.0.iter().filter(|(_, bytes)| found(bytes)).map(|(place, _)| place.as_str()).collect()
    }
}

struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn home(&self, member: &str) -> PathBuf {
        self.root.path().join("alliance/members").join(member)
    }

    fn client(&self, member: &str) -> String {
        self.home(member).join("client.toml").display().to_string()
    }
}

#[test]
fn nothing_that_was_submitted_or_asked_is_found_in_stores_logs_messages_or_errors() {
    let folders = Folders { root: tempfile::tempdir().expect("a folder") };
    let root = folders.root.path();
    let members: Vec<String> = ["bazaar:platform", "aurelle:brand"].map(|m| format!("{m}:127.0.0.1:{}", port_pair())).into();
    let alliance = root.join("alliance").display().to_string();
    let mut arguments = vec!["alliance", "init", "--name", "alliance.example", "--folder", &alliance];
    members.iter().for_each(|member| arguments.extend(["--member", member]));
    let output = program(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let logs = ["bazaar", "aurelle"].map(|member| root.join(format!("{member}.log")));
    let nodes = [serve(&folders.home("bazaar"), &logs[0]), serve(&folders.home("aurelle"), &logs[1])];

    let mut evidence = Evidence::default();
    let (aurelle, bazaar) = (folders.client("aurelle"), folders.client("bazaar"));
    until("the nodes answer", &["status", "--config", &aurelle], |output| output.status.success());
    until("the nodes answer", &["status", "--config", &bazaar], |output| output.status.success());
    let input = write_input(root);
    let rejects = root.join("rejects.csv").display().to_string();
    let submit = program(&["submit", &input, "--config", &aurelle, "--format", "jsonl", "--rejects", &rejects]);
    let told = String::from_utf8_lossy(&submit.stderr).into_owned() + &String::from_utf8_lossy(&submit.stdout);
    assert!(submit.status.success(), "{told}");
    evidence.of_run("submit", &submit);
    evidence.add("rejects", std::fs::read(&rejects).expect("rejects"));
    // Asked at the other member's node, until what was submitted has arrived there.
    for (kind, value) in TAKEN {
        let flag = format!("--{}", kind.replace('_', "-"));
        let asked = ["check", "--config", &bazaar, "--output", "json", &flag, value];
        let arrived = |output: &Output| String::from_utf8_lossy(&output.stdout).contains("aurelle/all/");
        evidence.of_run("check", &until("the signals arrive", &asked, arrived));
    }
    for (kind, value) in REFUSED {
        let flag = format!("--{}", kind.replace('_', "-"));
        let output = program(&["check", "--config", &bazaar, &flag, value]);
        assert_eq!(output.status.code(), Some(1), "{kind} is refused");
        assert!(!output.stderr.is_empty(), "and it is said why");
        evidence.of_run("refused check", &output);
    }
    evidence.of_run("status", &program(&["status", "--config", &bazaar, "--output", "json"]));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(messages(&folders, &mut evidence));
    drop(nodes);
    for (member, log) in ["bazaar", "aurelle"].into_iter().zip(&logs) {
        let log = std::fs::read(log).expect("a log");
        assert!(log.len() > 10_000, "the log is talkative, or its silence proves nothing");
        evidence.add(format!("log of {member}"), log);
        evidence.of_folder(&folders.home(member).join("data"));
        stored(&folders, member, &mut evidence);
    }
    for secret in SECRETS {
        assert_eq!(evidence.places_of(secret), Vec::<&str>::new(), "{secret:?} is found");
    }
    // The search finds what is there: the names of members are no secret.
    assert!(evidence.places_of("aurelle/all").len() > 3);
}

/// One row that is taken, and a row for each identifier that is refused, and one that is no JSON.
fn write_input(root: &Path) -> String {
    let path = root.join("signals.jsonl");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut row = |identifiers: serde_json::Value| {
        let row = serde_json::json!({
            "submission_id": format!("made-up-submission-id {identifiers}").chars().take(100).collect::<String>(),
            "audience": "all", "infringement": "trademark_counterfeit",
            "evidence": [{"kind": "test_purchase"}], "identifiers": identifiers,
        });
        writeln!(file, "{row}").expect("written");
    };
    row(TAKEN.iter().map(|(kind, value)| ((*kind).to_owned(), serde_json::json!(value))).collect());
    for (kind, value) in REFUSED {
        row(serde_json::json!({ kind: value }));
    }
    writeln!(file, "{{\"identifiers\": {{\"phone\": zqxjkv").expect("written");
    path.display().to_string()
}

/// What another member's node is sent: everything it can ask for.
async fn messages(folders: &Folders, evidence: &mut Evidence) {
    let loaded = NodeConfig::load(&folders.home("bazaar").join("node.toml"), &Environment::default()).expect("a configuration");
    let materials = loaded.materials(SystemClock.now()).expect("materials");
    let tls = client_config(&materials.own, &materials.alliance).expect("valid");
    let alliance = loaded.config.node.alliance.clone();
    let tls = Arc::new(arc_swap::ArcSwap::from_pointee(tls));
    let dialer = PeerDialer { alliance, tls, addresses: BTreeMap::new() };
    let roster = materials.roster.expect("a roster");
    let author = roster.roster().member(&"aurelle".parse().expect("valid")).expect("listed").clone();
    let link = dialer.dial(&author.id, &author.address).await.expect("connects");
    evidence.add("message: roster", link.roster().await.expect("a roster"));
    for checkpoint in link.checkpoints().await.expect("heads").checkpoints {
        evidence.add("message: checkpoint of aurelle/all", checkpoint);
    }
    let mut stream = link.follow().await.expect("a stream");
    let follow = FollowCommand::Follow { feed: "aurelle/all".parse().expect("valid"), size: Default::default() };
    stream.commands.send(follow).await.expect("sent");
    while let Some(event) = stream.events.next().await {
        if let FollowEvent::Batch { entries, .. } = event.expect("an event") {
            assert!(!entries.is_empty());
            entries.into_iter().for_each(|entry| evidence.add("message: entries of aurelle/all", entry));
            return;
        }
    }
    panic!("the stream ended before a batch came");
}

/// What the store holds, unpacked.
fn stored(folders: &Folders, member: &str, evidence: &mut Evidence) {
    let loaded = NodeConfig::load(&folders.home(member).join("node.toml"), &Environment::default()).expect("a configuration");
    let materials = loaded.materials(SystemClock.now()).expect("materials");
    let store = Store::open(Options {
        folder: loaded.config.node.data_dir.clone(),
        cache_bytes: 1 << 20,
        alliance: loaded.config.node.alliance.clone(),
        member: loaded.config.node.member.clone(),
        key: Arc::new(materials.feed_key),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    });
    let store = store.expect("opens after the node was killed");
    let feed = "aurelle/all".parse().expect("valid");
    let batch = store.batch_after(&feed, Default::default()).expect("readable").expect("entries");
    batch.entries.iter().for_each(|entry| evidence.add(format!("store of {member}: aurelle/all"), entry.as_slice()));
}
