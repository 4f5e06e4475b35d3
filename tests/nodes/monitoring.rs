//! What a node shows to whoever watches over it, and what it does not: metrics, health, readiness.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countermark::domain::MemberKind;
use countermark::rpc::proto::{FollowFeedsResponse, IdentifierKind, follow_feeds_response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster;
use crate::cluster::front::{Front, Manner};
use crate::cluster::{Alliance, PATIENCE, eventually, identifier, submission};

/// Head and body of the answer to one request.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        answer
    };
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

async fn metrics(address: SocketAddr) -> String {
    let (head, body) = ask(address, "GET /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    body
}

/// The value of the metric with exactly this name and these labels.
fn value(metrics: &str, metric: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn monitored(alliance: &Alliance, id: &str, sockets: &mut cluster::Sockets) -> (countermark::daemon::Node, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("bound");
    let mut listeners = sockets.remove(&cluster::member(id)).expect("sockets");
    listeners.monitoring = Some(socket);
    (alliance.start(id, Some(listeners)).await.expect("starts"), address)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_does_can_be_counted_and_nobody_is_named_by_it() {
    let (mut alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    alliance.share_key(2, &["acme", "bazaar"]);
    let (_node, address) = monitored(&alliance, "acme", &mut sockets).await;
    let (other, _) = monitored(&alliance, "bazaar", &mut sockets).await;
    let mut client = alliance.client("acme").await;
    client.ready().await;

    let seller = || vec![identifier(IdentifierKind::Phone, "+1 202 555 0142")];
    client.submit(submission("all", seller())).await.expect("taken");
    client.submit(submission("all", seller())).await.expect("known");
    client.submit(submission("all", vec![identifier(IdentifierKind::Phone, "+1 202 555 99")])).await.expect_err("no phone");
    client.check(seller()).await.expect("answered");
    client.check_all(vec![seller(), vec![identifier(IdentifierKind::Phone, "+1 202 555 0143")]]).await;
    // A node's certificate is no client's.
    let stranger = alliance.node_credentials("bazaar");
    alliance.dial("acme", alliance.membership("acme").clients, &stranger).await.expect_err("refused");
    eventually("bazaar's node is followed", || async {
        value(&metrics(address).await, "countermark_peer_connected{member=\"bazaar\"}") == Some(1.0)
    })
    .await;

    let told = metrics(address).await;
    let at_least = |metric: &str, least: f64| {
        let found = value(&told, metric).unwrap_or_else(|| panic!("no {metric} in\n{told}"));
        assert!(found >= least, "{metric} is {found}");
    };
    let exactly = |metric: &str, expected: f64| assert_eq!(value(&told, metric), Some(expected), "{metric} in\n{told}");
    exactly("countermark_submissions_total{outcome=\"created\",code=\"\"}", 1.0);
    exactly("countermark_submissions_total{outcome=\"known\",code=\"\"}", 1.0);
    exactly("countermark_submissions_total{outcome=\"refused\",code=\"PHONE_INVALID\"}", 1.0);
    exactly("countermark_checks_total{outcome=\"alleged\",code=\"\"}", 2.0);
    exactly("countermark_checks_total{outcome=\"none_known\",code=\"\"}", 1.0);
    let call = "countermark_calls_total{listener=\"clients\",method=\"SignalService/SubmitSignal\"";
    exactly(&format!("{call},code=\"OK\",caller=\"all-roles\"}}"), 2.0);
    exactly(&format!("{call},code=\"INVALID_ARGUMENT\",caller=\"all-roles\"}}"), 1.0);
    let error =
        "countermark_call_errors_total{listener=\"clients\",method=\"SignalService/SubmitSignal\",code=\"PHONE_INVALID\"}";
    exactly(error, 1.0);
    exactly("countermark_call_seconds_count{listener=\"clients\",method=\"SignalService/SubmitSignal\"}", 3.0);
    assert!(!told.contains("call_seconds_count{listener=\"clients\",method=\"ScreeningService/CheckSellers\"}"), "{told}");
    exactly("countermark_callers_refused_total{listener=\"clients\",code=\"TLS_UNKNOWN_ISSUER\"}", 1.0);
    at_least("countermark_store_commit_seconds_count", 1.0);
    at_least("countermark_store_disk_bytes", 1.0);
    at_least("countermark_store_free_bytes", 1.0);
    exactly("countermark_store_writable", 1.0);
    exactly("countermark_store_last_backup_timestamp_seconds", 0.0);
    exactly("countermark_keys_ready", 1.0);
    exactly("countermark_own_live_signals", 1.0);
    exactly("countermark_feed_entries{member=\"acme\",audience=\"all\"}", 1.0);
    exactly("countermark_feed_behind_entries{member=\"bazaar\",audience=\"all\"}", 0.0);
    at_least("countermark_feed_lag_seconds{member=\"bazaar\",audience=\"all\"}", 0.0);
    exactly("countermark_feed_state{member=\"acme\",audience=\"all\",state=\"followed\"}", 1.0);
    at_least("countermark_deadline_timestamp_seconds{what=\"node_certificate\"}", 1.8e9);
    at_least("countermark_deadline_timestamp_seconds{what=\"alliance_ca\"}", 1.8e9);
    at_least("process_resident_memory_bytes", 1e6);
    at_least("process_start_time_seconds", 1.7e9);
    at_least("countermark_key_holder_seconds{member=\"bazaar\"}", 0.0);
    exactly("countermark_key_holder_wrong{member=\"bazaar\"}", 0.0);
    // The alliance looks through its folder for what its members were told; `secrecy.rs` looks for pseudonyms, too.
    std::fs::write(alliance.data_dir("acme").join("scraped.txt"), told).expect("written");

    other.stop().await;
    let lost = "countermark_peer_errors_total{member=\"bazaar\"";
    eventually("bazaar's node is missed", || async { metrics(address).await.contains(lost) }).await;
    assert_asked_for(&metrics(address).await);
}

/// From some time on, whatever another member's node sends of its feed is changed on the way, and never taken.
#[derive(Default)]
struct Garbled(AtomicBool);

impl Manner for Garbled {
    fn event(&self, event: &mut FollowFeedsResponse) {
        if let Some(follow_feeds_response::Response::Batch(batch)) = &mut event.response
            && self.0.load(Ordering::SeqCst)
        {
            batch.entries.iter_mut().for_each(|entry| *entry = entry.slice(1..));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_has_and_does_not_arrive_is_counted_in_entries_and_seconds() {
    let (mut alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    let garbled = Arc::new(Garbled::default());
    let front = Front::of(&alliance, "bazaar", garbled.clone()).await;
    alliance.route("acme", "bazaar", front.address);
    let (_other, at_bazaar) = monitored(&alliance, "bazaar", &mut sockets).await;
    let (_node, address) = monitored(&alliance, "acme", &mut sockets).await;
    let mut client = alliance.client("bazaar").await;
    client.ready().await;
    let seller = |number| vec![identifier(IdentifierKind::Phone, &format!("+1 202 555 014{number}"))];
    client.submit(submission("all", seller(0))).await.expect("taken");
    let of_bazaar = |metric: &str| format!("countermark_{metric}{{member=\"bazaar\",audience=\"all\"}}");
    eventually("acme is level", || async {
        let told = metrics(address).await;
        value(&told, &of_bazaar("feed_entries")) == Some(1.0) && value(&told, &of_bazaar("feed_lag_seconds")).is_some()
    })
    .await;
    garbled.0.store(true, Ordering::SeqCst);
    for number in 1..4 {
        client.submit(submission("all", seller(number))).await.expect("taken");
    }
    eventually("acme lags", || async {
        let told = metrics(address).await;
        value(&told, &of_bazaar("feed_behind_entries")) == Some(3.0)
            && value(&told, &of_bazaar("feed_lag_seconds")).is_some_and(|lag| lag > 1.0)
    })
    .await;
    let told = metrics(address).await;
    let errors = "countermark_peer_errors_total{member=\"bazaar\",code=\"BATCH_ROOT_MISMATCH\"}";
    assert!(value(&told, errors).is_some_and(|count| count >= 1.0), "{told}");
    // Bazaar's node counts the calls of another member's node by that member.
    let told = metrics(at_bazaar).await;
    let calls = "countermark_calls_total{listener=\"peers\",method=\"PeerService/ListCheckpoints\",code=\"OK\",caller=";
    assert!(told.lines().any(|line| line.starts_with(calls)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_when_and_why_it_should_not_be_sent_work() {
    let (alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    let (node, address) = monitored(&alliance, "acme", &mut sockets).await;
    assert_eq!(ask(address, "GET /healthz").await.1, "ok\n");
    let (head, body) = ask(address, "GET /readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    assert_eq!(body, "OWN_FEED_UNCONFIRMED: acme/all is not compared with another member's copy yet\n");

    let (_other, _) = monitored(&alliance, "bazaar", &mut sockets).await;
    eventually("the node is ready", || async { ask(address, "GET /readyz").await.1 == "ready\n" }).await;
    node.stop().await;
    TcpStream::connect(address).await.expect_err("nobody listens there any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_there_is_told_and_only_to_who_asks_for_it() {
    let (alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand)]).await;
    let (_node, address) = monitored(&alliance, "acme", &mut sockets).await;
    for (request, status) in [
        ("POST /metrics", "405 Method Not Allowed"),
        ("GET /", "404 Not Found"),
        ("GET /metrics/../etc/passwd", "404 Not Found"),
        ("HEAD /healthz", "200 OK"),
    ] {
        let (head, _) = ask(address, request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {head}");
    }
    // Who says nothing, or never ends what it says, does not keep others out for long.
    let mut silent = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        if number % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.expect("written");
        }
        silent.push(stream);
    }
    assert_eq!(ask(address, "GET /healthz").await.1, "ok\n");
}

/// The words of `text` that begin as the metrics of a node do.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("countermark_") || word.starts_with("process_")).collect()
}

/// That the dashboard and the alert rules ask for metrics that there are.
fn assert_asked_for(told: &str) {
    let types: BTreeSet<&str> = told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let is_told = |name: &&str| {
        let parts = ["_bucket", "_sum", "_count"];
        types.contains(*name) || parts.iter().any(|part| name.strip_suffix(part).is_some_and(|name| types.contains(name)))
    };
    for file in ["config/monitoring/grafana.json", "config/monitoring/alerts.yml"] {
        let text = std::fs::read_to_string(file).expect(file);
        let asked = named(&text);
        assert!(asked.len() > 5, "{file} asks for {asked:?}");
        let missing: Vec<_> = asked.iter().filter(|name| !is_told(name)).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}, which no node tells");
    }
    let dashboard = std::fs::read("config/monitoring/grafana.json").expect("there");
    serde_json::from_slice::<serde_json::Value>(&dashboard).expect("JSON");
}
