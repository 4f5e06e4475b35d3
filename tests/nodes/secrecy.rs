//! No identifier in the clear leaves the process that was given it. Real programs run as a member would run them, at the most
//! talkative log level; then everything they wrote, said and sent is searched for what they were told, also in the forms that
//! bytes take in text. What is sought the same way and must be there is: a search that finds nothing proves nothing. Pseudonyms stand in
//! stores and in what members send one another, and are sought everywhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::config::{Environment, NodeConfig};
use countermark::daemon::{SystemClock, SystemEntropy};
use countermark::domain::{Clock as _, MemberId, Pseudonym};
use countermark::feed::{Body, decode};
use countermark::rpc::proto::{
    FollowFeedsRequest, FollowFeedsResponse, GetFrontierRequest, GetFrontierResponse, GetRosterResponse,
    ListCheckpointsResponse,
};
use countermark::service::Reference;
use countermark::store::{Options, Store};
use parking_lot::Mutex;
use prost::Message;

use crate::cluster;
use crate::cluster::evidence::unpacked;
use crate::cluster::front::{Cast, Front, Manner};
use crate::cluster::ports::port_pair;
use crate::cluster::program::{Programs, Running, program};
use crate::cluster::secrets::{contains, encoded, secrets};

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
    "made-up-submission-id",
];
/// Stands in the clear beside the identifiers, in what is stored and sent as it was handed in.
const PLAIN: &str = "Wolkenbruch Uhrenwerke";

const MEMBERS: [&str; 2] = ["bazaar", "aurelle"];

/// Asks with `arguments` until `good` is content.
fn until(what: &str, arguments: &[&str], good: impl Fn(&Output) -> bool) -> Output {
    let began = Instant::now();
    loop {
        let output = program(arguments);
        if good(&output) {
            return output;
        }
        assert!(began.elapsed() < cluster::PATIENCE, "{what}: {}", String::from_utf8_lossy(&output.stderr));
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

    /// All files of a folder, and what is compressed in them.
    fn of_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.of_folder(&path);
            } else {
                let bytes = std::fs::read(&path).expect("readable");
                self.add(format!("{}: unpacked", path.display()), unpacked(&bytes));
                self.add(path.display().to_string(), bytes);
            }
        }
    }

    /// The places at which one of `forms` stands.
    fn places_of(&self, forms: &[Vec<u8>]) -> Vec<&str> {
        let found = |bytes: &[u8]| forms.iter().any(|form| contains(bytes, form));
        self.0.iter().filter(|(_, bytes)| found(bytes)).map(|(place, _)| place.as_str()).collect()
    }

    /// The same for a text, whatever its case, as it is, in hexadecimal and in base64.
    fn places_of_text(&self, text: &str) -> Vec<&str> {
        let lower = text.to_lowercase().into_bytes();
        let upper = text.to_uppercase().into_bytes();
        let mut forms: Vec<Vec<u8>> = [text.as_bytes(), &lower, &upper].into_iter().flat_map(encoded).collect();
        let mut places = self.places_of(&forms);
        forms.clear();
        let folded = |bytes: &[u8]| contains(&bytes.to_ascii_lowercase(), &lower);
        places.extend(self.0.iter().filter(|(_, bytes)| folded(bytes)).map(|(place, _)| place.as_str()));
        places
    }
}

/// Keeps whatever nodes say to one another on this way.
#[derive(Default)]
struct Recorder(Mutex<Vec<u8>>);

impl Recorder {
    fn keep(&self, message: &impl Message) {
        self.0.lock().extend(message.encode_to_vec());
    }
}

impl Manner for Recorder {
    fn roster(&self, message: &mut GetRosterResponse) {
        self.keep(message);
    }

    fn heads(&self, message: &mut ListCheckpointsResponse) {
        self.keep(message);
    }

    fn frontier(&self, message: &mut GetFrontierResponse) {
        self.keep(message);
    }

    fn frontier_asked(&self, message: &GetFrontierRequest) {
        self.keep(message);
    }

    fn command(&self, message: &FollowFeedsRequest) {
        self.keep(message);
    }

    fn event(&self, message: &mut FollowFeedsResponse) {
        self.keep(message);
    }
}

/// Has `member`'s node tell its metrics.
fn watch_over(programs: &Programs, member: &str) {
    let file = std::fs::OpenOptions::new().append(true).open(programs.home(member).join("node.toml"));
    writeln!(file.expect("a configuration"), "\n[monitoring]\nlisten = \"127.0.0.1:{}\"", port_pair()).expect("written");
}

/// What a member hands to whoever helps it, metrics and status of its node included.
fn bundle(programs: &Programs, member: &str, evidence: &mut Evidence) {
    let file = programs.root().join(format!("{member}.tar.gz"));
    let (home, client) = (programs.home(member).display().to_string(), programs.client_config(member));
    let doctor = program(&["doctor", "--config", &home, "--client", &client, "--bundle", &file.display().to_string()]);
    assert_eq!(doctor.status.code(), Some(0), "{}", String::from_utf8_lossy(&doctor.stderr));
    evidence.of_run("doctor", &doctor);
    let mut parts = Vec::new();
    let packed = std::fs::File::open(&file).expect("a bundle");
    for part in tar::Archive::new(flate2::read::GzDecoder::new(packed)).entries().expect("a tar file") {
        let mut part = part.expect("a part");
        let name = part.path().expect("a name").display().to_string();
        let mut text = Vec::new();
        part.read_to_end(&mut text).expect("readable");
        evidence.add(format!("bundle of {member}: {name}"), text);
        parts.push(name);
    }
    for part in ["metrics.txt", "status.json"] {
        assert!(parts.iter().any(|name| name.ends_with(part)), "{part} in {parts:?}");
    }
}

/// Stands between `from`'s node and `to`'s, and records both directions.
async fn record(programs: &Programs, from: &str, to: &str) -> (Front, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let caller: MemberId = from.parse().expect("valid");
    let cast = Cast {
        own: programs.node_credentials(to),
        anchors: programs.anchors(to),
        callers: [(caller, programs.node_credentials(from))].into(),
        target: programs.peers(to),
        server_name: format!("{to}.alliance.example"),
    };
    let front = Front::start(cast, recorder.clone()).await;
    programs.route(from, to, front.address);
    (front, recorder)
}

fn serve(programs: &Programs, member: &str) -> Running {
    let mut command = programs.command(member);
    command.env("COUNTERMARK__LOG__LEVEL", "trace").env_remove("COUNTERMARK__LOG__FORMAT");
    Running(command.spawn().expect("starts"))
}

#[test]
fn nothing_that_was_submitted_or_asked_is_found_in_stores_logs_messages_or_errors() {
    let programs = Programs::found(&["bazaar:platform", "aurelle:brand"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = runtime
        .block_on(async { [record(&programs, "bazaar", "aurelle").await, record(&programs, "aurelle", "bazaar").await] });
    MEMBERS.iter().for_each(|member| watch_over(&programs, member));
    let nodes = MEMBERS.map(|member| serve(&programs, member));
    let mut evidence = Evidence::default();
    let references = converse(&programs, &mut evidence);
    MEMBERS.iter().for_each(|member| bundle(&programs, member, &mut evidence));
    drop(nodes);
    let mut pseudonyms = BTreeSet::new();
    for (way, recorder) in ["bazaar follows aurelle", "aurelle follows bazaar"].into_iter().zip(ways.iter().map(|way| &way.1)) {
        evidence.add(format!("messages: {way}"), &*recorder.0.lock());
    }
    for member in MEMBERS {
        let log = std::fs::read(programs.log(member)).expect("a log");
        assert!(log.len() > 10_000, "the log is talkative, or its silence proves nothing");
        evidence.add(format!("log of {member}"), log);
        evidence.of_folder(&programs.data(member));
        stored(&programs, member, &references, &mut evidence, &mut pseudonyms);
    }
    assert!(pseudonyms.len() >= TAKEN.len(), "{pseudonyms:?}");
    for pseudonym in pseudonyms {
        only_stored_and_sent(&programs, &evidence, pseudonym);
    }
    for secret in SECRETS {
        assert_eq!(evidence.places_of_text(secret), Vec::<&str>::new(), "{secret:?} is found");
    }
    for (name, key) in keys(&programs) {
        assert_eq!(evidence.places_of(&encoded(&key)), Vec::<&str>::new(), "{name} is found");
    }
    the_search_finds_what_is_there(&evidence);
}

/// Submits at one member, asks at the other, and hands in what is refused. Gives back the references of all checks.
fn converse(programs: &Programs, evidence: &mut Evidence) -> Vec<String> {
    let (aurelle, bazaar) = (programs.client_config("aurelle"), programs.client_config("bazaar"));
    for member in [&aurelle, &bazaar] {
        until("the node answers", &["status", "--config", member], |output| output.status.success());
    }
    let input = write_input(programs.root());
    let rejects = programs.root().join("rejects.csv").display().to_string();
    // Both members state it, so that both directions carry it.
    for member in [&aurelle, &bazaar] {
        let arguments = ["submit", &input, "--config", member, "--format", "jsonl", "--rejects", &rejects];
        let submit = until("it is taken", &arguments, |output| output.status.success());
        evidence.of_run("submit", &submit);
        evidence.add("rejects", std::fs::read(&rejects).expect("rejects"));
    }
    let mut references = Vec::new();
    for (asked_at, other) in [(&bazaar, "aurelle/all/"), (&aurelle, "bazaar/all/")] {
        for (kind, value) in TAKEN {
            let flag = format!("--{}", kind.replace('_', "-"));
            let asked = ["check", "--config", asked_at, "--output", "json", &flag, value];
            let arrived = |output: &Output| String::from_utf8_lossy(&output.stdout).contains(other);
            let check = until("the signals arrive", &asked, arrived);
            let text = String::from_utf8_lossy(&check.stdout).into_owned();
            references.extend(text.split('"').filter(|word| word.starts_with("chk_")).map(str::to_owned));
            evidence.of_run("check", &check);
        }
    }
    for (kind, value) in REFUSED {
        let flag = format!("--{}", kind.replace('_', "-"));
        let output = program(&["check", "--config", &bazaar, &flag, value]);
        assert_eq!(output.status.code(), Some(1), "{kind} is refused");
        assert!(!output.stderr.is_empty(), "and it is said why");
        evidence.of_run("refused check", &output);
    }
    evidence.of_run("status", &program(&["status", "--config", &bazaar, "--output", "json"]));
    references
}

/// Some rows that are taken, and a row for each identifier that is refused, and one that is no JSON.
fn write_input(root: &Path) -> String {
    let path = root.join("signals.jsonl");
    let mut file = std::fs::File::create(&path).expect("a file");
    let mut number = 0;
    let mut row = |identifiers: serde_json::Value| {
        number += 1;
        let row = serde_json::json!({
            "submission_id": format!("made-up-submission-id {number} {identifiers}").chars().take(100).collect::<String>(),
            "audience": "all", "infringement": "trademark_counterfeit", "brand": PLAIN,
            "evidence": [{"kind": "test_purchase"}], "identifiers": identifiers,
        });
        writeln!(file, "{row}").expect("written");
    };
    // So many that the answers about the seller are kept in the store.
    for _ in 0..6 {
        row(TAKEN.iter().map(|(kind, value)| ((*kind).to_owned(), serde_json::json!(value))).collect());
    }
    for (kind, value) in REFUSED {
        row(serde_json::json!({ kind: value }));
    }
    writeln!(file, "{{\"identifiers\": {{\"phone\": zqxjkv").expect("written");
    path.display().to_string()
}

/// That a pseudonym, or as much of it as tells two apart, is where members need it and in nothing that people or machines read.
fn only_stored_and_sent(programs: &Programs, evidence: &Evidence, pseudonym: Pseudonym) {
    let data = MEMBERS.map(|member| programs.data(member).display().to_string());
    let is_needed = |place: &str| {
        place.starts_with("store of ") || place.starts_with("messages: ") || data.iter().any(|data| place.starts_with(data))
    };
    let places = evidence.places_of(&encoded(&pseudonym.0));
    assert!(places.iter().all(|place| is_needed(place)), "{places:?}");
    for needed in ["messages: ", "store of "] {
        assert!(places.iter().any(|place| place.starts_with(needed)), "the search finds it: {places:?}");
    }
    let shown = format!("{pseudonym:?}").into_bytes();
    let places: Vec<_> = evidence.places_of(&[shown]).into_iter().filter(|place| !place.starts_with("store of ")).collect();
    assert!(places.is_empty(), "{places:?}");
}

/// What the store says of entries and checks, through its own interface.
fn stored(
    programs: &Programs,
    member: &str,
    references: &[String],
    evidence: &mut Evidence,
    pseudonyms: &mut BTreeSet<Pseudonym>,
) {
    let file = programs.home(member).join("node.toml");
    let loaded = NodeConfig::load(&file, &Environment::default()).expect("a configuration");
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
    for feed in MEMBERS.map(|author| format!("{author}/all")) {
        let id = feed.parse().expect("valid");
        let batch = store.batch_after(&id, Default::default()).expect("readable").expect("entries");
        for entry in batch.leaves.iter().filter_map(|leaf| leaf.bytes()) {
            evidence.add(format!("store of {member}: {feed}"), entry.as_slice());
            if let Ok(Body::Signal { content, .. }) = decode(entry).map(|entry| entry.body) {
                pseudonyms.extend(content.pseudonyms.iter().flat_map(|set| set.pseudonyms.iter().copied()));
            }
        }
    }
    let mut kept = 0;
    for reference in references {
        let Reference::Kept(reference) = reference.parse().expect("a reference") else { continue };
        if let Some(check) = store.check(&reference).expect("readable") {
            evidence.add(format!("store of {member}: checks"), format!("{check:?}"));
            kept += 1;
        }
    }
    assert!(kept > 0, "{member} keeps some of {} checks", references.len());
}

/// The secrets of all members, as the bytes that they are.
fn keys(programs: &Programs) -> Vec<(String, Vec<u8>)> {
    let keys = MEMBERS.map(|member| secrets(&programs.home(member)));
    for name in ["keys/k1.key", "local.secret", "feed.key", "node.key", "client-ca.key", "clients/operator/client.key"] {
        assert!(keys.iter().all(|keys| keys.iter().any(|(file, _)| file.ends_with(name))), "{name} is among the keys");
    }
    keys.into_iter().flatten().collect()
}

/// What is no secret is found wherever it went, so that a secret would be, too.
fn the_search_finds_what_is_there(evidence: &Evidence) {
    let places = evidence.places_of_text(PLAIN);
    for way in ["messages: bazaar follows aurelle", "messages: aurelle follows bazaar"] {
        assert!(places.contains(&way), "{places:?}");
    }
    for member in MEMBERS {
        for feed in MEMBERS {
            assert!(places.contains(&format!("store of {member}: {feed}/all").as_str()), "{places:?}");
        }
        assert!(evidence.0.contains_key(&format!("store of {member}: checks")), "checks were read again");
    }
    assert!(places.iter().any(|place| place.ends_with(": unpacked")), "compressed files are looked into: {places:?}");
    assert!(evidence.places_of_text("aurelle/all").len() > 3);
    let mut planted = Evidence::default();
    for (i, form) in encoded(b"zqxjkv-outlet.test").into_iter().enumerate() {
        planted.add(format!("form {i}"), [b"??".as_slice(), &form, b"??"].concat());
    }
    planted.add("mixed case", "ZqXjKv-Outlet.Test");
    planted.add("longer base64", BASE64.encode("x: zqxjkv-outlet.test, y"));
    planted.add("packed", unpacked(&zstd::bulk::compress(b"it says zqxjkv-outlet.test", 3).expect("compressed")));
    let found = planted.places_of_text("zqxjkv-outlet.test");
    assert!(planted.0.keys().all(|place| found.contains(&place.as_str())), "{found:?}");
}

/// Runs the program in ways that are mistakes of usage, and looks for what was typed in what it says.
#[track_caller]
fn is_not_repeated(arguments: &[&str]) {
    let output = program(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?} is a mistake of usage");
    let mut evidence = Evidence::default();
    evidence.of_run("run", &output);
    for secret in ["zqxjkv", "206 555 0187"] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(evidence.places_of_text(secret), Vec::<&str>::new(), "{arguments:?}: {said}");
    }
}

#[test]
fn an_identifier_typed_where_none_belongs_is_not_repeated() {
    is_not_repeated(&["check", "zqxjkv-outlet.test"]);
    is_not_repeated(&["check", "--phnoe", "+1 206 555 0187"]);
    is_not_repeated(&["check", "--phone=+1 206 555 0187", "zqxjkv-outlet.test"]);
    is_not_repeated(&["status", "zqxjkv-outlet.test"]);
}

#[test]
fn an_identifier_typed_in_the_place_of_a_choice_is_not_repeated() {
    is_not_repeated(&["check", "--output", "zqxjkv-outlet.test"]);
    is_not_repeated(&["submit", "--kind", "zqxjkv-outlet.test"]);
    is_not_repeated(&["submit", "--format", "zqxjkv-outlet.test", "file"]);
    is_not_repeated(&["retract", "--reason", "zqxjkv-outlet.test"]);
}

#[test]
fn an_identifier_typed_in_the_place_of_a_command_or_a_flag_is_not_repeated() {
    is_not_repeated(&["check", "--zqxjkv-outlet.test"]);
    is_not_repeated(&["zqxjkv-outlet.test"]);
    is_not_repeated(&["alliance", "zqxjkv-outlet.test"]);
}
