//! A node under load and malice: what is too much is refused with a hint or slowed, memory stays bounded, and others are answered.

mod cluster;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cluster::program::{Programs, Running};
use cluster::{Alliance, Client, identifier, submission};
use countermark::daemon::{Node, NodeSetup};
use countermark::domain::limits::{MAX_DIGESTS, MAX_EVIDENCE, MAX_ROW_STREAMS_EACH};
use countermark::domain::{Allowance, ClientName, MemberKind, Role};
use countermark::rpc::proto::{
    CheckSellersRequest, Evidence, EvidenceKind, IdentifierKind as Kind, ListSignalsRequest, Submission, SubmitSignalsRequest,
};
use countermark::rpc::tls::{Credentials, client_config};
use countermark::rpc::{AccessList, Grant};
use futures_util::StreamExt as _;
use procfs::process::Process;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_types::StatusExt as _;

/// What a node of one member is made of with two clients, of which one is measured.
fn measuring(alliance: &Alliance, allowance: Allowance) -> NodeSetup {
    let grant = |name: &str, allowance| -> (ClientName, Grant) {
        (name.parse().expect("valid"), Grant { roles: BTreeSet::from_iter(Role::ALL.iter().copied()), allowance })
    };
    let mut setup = alliance.setup("acme");
    setup.access = AccessList::new([grant("measured", allowance), grant("other", Allowance::default())]);
    setup
}

async fn measured(allowance: Allowance) -> (Alliance, Node, Client, Client) {
    let (alliance, mut sockets) = Alliance::new(&[("acme", MemberKind::Brand)]).await;
    let sockets = sockets.remove(&cluster::member("acme")).expect("sockets");
    let node = Node::start(measuring(&alliance, allowance), sockets).await.expect("starts");
    let measured = Client::on(alliance.channel("acme", "measured").await);
    let other = Client::on(alliance.channel("acme", "other").await);
    (alliance, node, measured, other)
}

fn seller() -> Vec<countermark::rpc::proto::Identifier> {
    vec![identifier(Kind::Domain, "outlet-17.test")]
}

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_fast_is_told_when_to_come_again_and_nobody_else_is_held_up() {
    let calls_per_second = NonZeroU32::new(5);
    let (_alliance, _node, mut hasty, mut other) = measured(Allowance { calls_per_second, ..Allowance::default() }).await;
    let mut refused = Vec::new();
    for _ in 0..40 {
        match hasty.check(seller()).await {
            Ok(_) => {}
            Err(status) => refused.push(status),
        }
        other.check(seller()).await.expect("answered");
    }
    let last = refused.last().expect("forty calls are more than ten at once and five a second");
    assert_eq!((last.code(), reason(last).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    let wait = last.get_details_retry_info().and_then(|retry| retry.retry_delay).expect("a hint");
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
    let seen = other.status().await;
    let counted = seen.faults.iter().find(|fault| fault.code == "RATE_LIMITED").expect("counted");
    assert_eq!((counted.count, counted.method.as_str()), (refused.len() as u64, "ScreeningService/CheckSeller"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_too_fast_are_all_answered_later() {
    let rows_per_second = NonZeroU32::new(200);
    let (_alliance, _node, mut measured, mut other) = measured(Allowance { rows_per_second, ..Allowance::default() }).await;
    let began = Instant::now();
    let answers = measured.check_all((0..1_000).map(|_| seller()).collect()).await;
    assert!(answers.len() == 1_000 && answers.iter().all(Result::is_ok));
    // Four hundred at once, and two hundred a second: the other six hundred take three seconds, less those that pieces share.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let began = Instant::now();
    let answers = other.check_all((0..1_000).map(|_| seller()).collect()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_below_a_piece_of_rows_is_kept() {
    let rows_per_second = NonZeroU32::new(20);
    let (_alliance, _node, mut measured, _other) = measured(Allowance { rows_per_second, ..Allowance::default() }).await;
    let began = Instant::now();
    let answers = measured.check_all((0..120).map(|_| seller()).collect()).await;
    assert!(answers.len() == 120 && answers.iter().all(Result::is_ok));
    // Forty at once, and the other eighty take four seconds.
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_those_of_a_day_are_refused_also_after_a_restart() {
    let allowance = Allowance { rows_per_day: NonZeroU32::new(10), ..Allowance::default() };
    let (alliance, node, mut measured, mut other) = measured(allowance).await;
    measured.ready().await;
    let rows = std::iter::repeat_with(|| CheckSellersRequest { identifiers: seller(), watch: None });
    let stream = measured.screening.check_sellers(tokio_stream::iter(rows.take(14))).await.expect("a stream");
    let answers: Vec<_> = stream.into_inner().collect().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let spent = answers.last().and_then(|answer| answer.as_ref().err()).expect("it ends with an error");
    assert_eq!((spent.code(), reason(spent).as_str()), (Code::ResourceExhausted, "QUOTA_SPENT"));
    let wait = spent.get_details_retry_info().and_then(|retry| retry.retry_delay).expect("a hint");
    assert!(wait <= Duration::from_secs(86_400));
    assert_eq!(reason(&measured.check(seller()).await.expect_err("nothing is left")), "QUOTA_SPENT");
    measured.status().await;
    other.check(seller()).await.expect("others have rows of their own");

    // What was answered is in the audit log when the node has stopped.
    node.stop().await;
    let listeners = alliance.rebind("acme").await;
    let _node = Node::start(measuring(&alliance, allowance), listeners).await.expect("starts");
    let mut again = Client::on(alliance.channel("acme", "measured").await);
    again.ready().await;
    assert_eq!(reason(&again.check(seller()).await.expect_err("nothing is left")), "QUOTA_SPENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_take_all_streams_and_none_of_them_takes_the_checks() {
    let (_alliance, _node, mut greedy, mut other) = measured(Allowance::default()).await;
    let mut held = Vec::new();
    let refused = loop {
        let (rows, requests) = tokio::sync::mpsc::channel::<SubmitSignalsRequest>(1);
        match greedy.signals.submit_signals(ReceiverStream::new(requests)).await {
            Ok(stream) => held.push((rows, stream)),
            Err(status) => break status,
        }
        assert!(held.len() < 100, "no end of streams");
    };
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "TOO_MANY_CALLS"));
    assert!(refused.get_details_retry_info().is_some_and(|retry| retry.retry_delay.is_some()));
    greedy.check(seller()).await.expect("a check needs no stream");
    let answers = other.check_all(vec![seller()]).await;
    assert!(answers[0].is_ok(), "others have streams of their own");
    let (ended, _) = held.pop().expect("one");
    drop(ended);
    cluster::eventually("a stream that has ended makes room", || {
        let mut screening = greedy.screening.clone();
        async move { screening.check_sellers(tokio_stream::empty()).await.is_ok() }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_whose_rows_wait_leave_their_connection_to_other_calls() {
    let rows_per_second = NonZeroU32::new(1);
    let (_alliance, _node, mut measured, _other) = measured(Allowance { rows_per_second, ..Allowance::default() }).await;
    measured.ready().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..MAX_ROW_STREAMS_EACH {
        let counted = sent.clone();
        let rows = std::iter::repeat_with(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            CheckSellersRequest { identifiers: seller(), watch: None }
        });
        streams.push(measured.screening.check_sellers(tokio_stream::iter(rows)).await.expect("a stream"));
    }
    let mut last = 0;
    cluster::eventually("the node takes no more of the streams", || {
        let now = sent.load(Ordering::Relaxed);
        let last = std::mem::replace(&mut last, now);
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            now > 1_000 && now == last
        }
    })
    .await;
    tokio::time::timeout(Duration::from_secs(30), measured.status()).await.expect("answered on the same connection");
}

// HTTP/2 by hand (RFC 9113): what no library would send.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2).
const INITIAL_WINDOW_SIZE: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields without indexing (RFC 7541, 6.2.2), names and values below 127 bytes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

fn head(path: &str) -> Vec<u8> {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "acme.alliance.example")];
    let fields = fields.into_iter().chain([("content-type", "application/grpc"), ("te", "trailers")]);
    fields.flat_map(|(name, value)| field(name, value)).collect()
}

const CHECK: &str = "/countermark.v1.ScreeningService/CheckSeller";
const LIST: &str = "/countermark.v1.SignalService/ListSignals";
const ROSTER: &str = "/countermark.v1.PeerService/GetRoster";

/// What is sent over and over, by its number: calls of this method where it is any.
type Attack = fn(u32, &str) -> Vec<u8>;

/// Requests that are taken back at once.
fn rapid_reset(number: u32, method: &str) -> Vec<u8> {
    let stream = 2 * number + 1;
    [frame(HEADERS, END_HEADERS, stream, &head(method)), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
}

/// Probes whose answers nobody reads.
fn ping_flood(_: u32, _: &str) -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8])
}

/// Settings, each of which is to be acknowledged.
fn settings_flood(_: u32, _: &str) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

/// A head that never ends.
fn continuation_flood(number: u32, method: &str) -> Vec<u8> {
    match number {
        0 => frame(HEADERS, 0, 1, &head(method)),
        _ => frame(CONTINUATION, 0, 1, &field("x-more", &"a".repeat(100))),
    }
}

/// Frames of data without data, on a call that is never ended.
fn empty_data(number: u32, method: &str) -> Vec<u8> {
    match number {
        0 => frame(HEADERS, END_HEADERS, 1, &head(method)),
        _ => frame(DATA, 0, 1, &[]),
    }
}

/// Calls that begin a message and never end it.
fn begun_messages(number: u32, method: &str) -> Vec<u8> {
    let stream = 2 * number + 1;
    let prefix = [&[0][..], &100_000_u32.to_be_bytes(), &[1; 1_000]].concat();
    [frame(HEADERS, END_HEADERS, stream, &head(method)), frame(DATA, 0, stream, &prefix)].concat()
}

/// Heads of a megabyte, as far as the other side reads them.
fn large_heads(number: u32, method: &str) -> Vec<u8> {
    let stream = 2 * number + 1;
    let mut frames = frame(HEADERS, 0, stream, &head(method));
    let part: Vec<u8> = (0..100).flat_map(|_| field("x-large", &"a".repeat(120))).collect();
    (0..80).for_each(|_| frames.extend(frame(CONTINUATION, 0, stream, &part)));
    frames.extend(frame(CONTINUATION, END_HEADERS, stream, &[]));
    frames
}

/// Calls for pages of a megabyte, of which not a byte is taken.
fn untaken_pages(number: u32, method: &str) -> Vec<u8> {
    pages(number, method, PAGE, 0)
}

/// The same, of which the first byte is taken.
fn begun_pages(number: u32, method: &str) -> Vec<u8> {
    pages(number, method, PAGE, 1)
}

/// Calls for pages that HTTP/2 would take over whole, with room for all of them, from a connection on which nothing is read.
fn unread_pages(number: u32, method: &str) -> Vec<u8> {
    let room = (i32::MAX.unsigned_abs() - u32::from(u16::MAX)).to_be_bytes();
    let calls = pages(number, method, PAGE / 4, i32::MAX.unsigned_abs());
    match number {
        0 => [frame(WINDOW_UPDATE, 0, 0, &room), calls].concat(),
        _ => calls,
    }
}

/// Signals of a page of a megabyte.
const PAGE: u32 = 256;

fn pages(number: u32, method: &str, page_size: u32, window: u32) -> Vec<u8> {
    let request = ListSignalsRequest { audience: "all".into(), page_size, ..ListSignalsRequest::default() };
    let request = request.encode_to_vec();
    let length = u32::try_from(request.len()).expect("short").to_be_bytes();
    let (stream, message) = (2 * number + 1, [&[0][..], &length, &request].concat());
    let settings = match number {
        0 => frame(SETTINGS, 0, 0, &[&[0, INITIAL_WINDOW_SIZE][..], &window.to_be_bytes()].concat()),
        _ => vec![],
    };
    [settings, frame(HEADERS, END_HEADERS, stream, &head(method)), frame(DATA, END_STREAM, stream, &message)].concat()
}

/// A signal of nearly as many bytes as one may have.
fn large_signal(number: u8) -> Submission {
    let digest = |piece: usize, place: u8| [&[number, place][..], &[u8::try_from(piece).expect("few"); 30]].concat();
    let evidence = |place: u8| Evidence {
        kind: EvidenceKind::TestPurchase.into(),
        grade: 0,
        sha256: (0..MAX_DIGESTS).map(|piece| digest(piece, place).into()).collect(),
    };
    let mut stated = submission("all", vec![identifier(Kind::Domain, &format!("outlet-{number}.test"))]);
    if let Some(statement) = &mut stated.statement {
        statement.evidence = (0..u8::try_from(MAX_EVIDENCE).expect("few")).map(evidence).collect();
    }
    stated
}

async fn tls(address: &str, own: &Credentials, anchors: &countermark::rpc::tls::TrustAnchors) -> TlsStream<TcpStream> {
    let config = Arc::new(client_config(own, anchors).expect("valid"));
    let tcp = TcpStream::connect(address).await.expect("connects");
    let name = "acme.alliance.example".try_into().expect("a name");
    TlsConnector::from(config).connect(name, tcp).await.expect("TLS")
}

/// How much an attacker sends, and for how long, at the most.
const ATTACK_BYTES: usize = 32 * 1_024 * 1_024;
const ATTACK_LASTS: Duration = Duration::from_secs(4);

/// Sends until the node ends it, or takes no more. Reads nothing.
async fn attack(mut stream: TlsStream<TcpStream>, what: Attack, method: &str) -> usize {
    let mut sent = 0;
    let attacking = async {
        stream.write_all(PREFACE).await?;
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        for number in 0.. {
            let frames = what(number, method);
            // Counted before it is known whether all of it is taken: a node may end this in the middle.
            sent += frames.len();
            stream.write_all(&frames).await?;
            if sent > ATTACK_BYTES {
                break;
            }
        }
        stream.flush().await
    };
    drop(tokio::time::timeout(ATTACK_LASTS, attacking).await);
    // What the node still has to say is not waited for for long.
    let mut said = Vec::new();
    drop(tokio::time::timeout(Duration::from_millis(100), stream.read_to_end(&mut said)).await);
    sent
}

fn memory(pid: u32) -> u64 {
    let process = Process::new(i32::try_from(pid).expect("a number")).expect("it runs");
    process.status().expect("a status").vmrss.expect("memory")
}

/// KiB by which a node may grow under an attack that makes it hold what six connections have sent: their buffers.
const FEW_BUFFERS: u64 = 64 * 1_024;
/// The same where it makes sixteen pages for a caller, of which none is taken: each is a megabyte of entries, and some in memory while it is put
/// together, all sixteen at once on a machine of many processors; the allocator gives it back when it likes. Without the bound of
/// sixteen it is twice this.
const SIXTEEN_PAGES: u64 = 400 * 1_024;
/// The same of pages a quarter as long, which HTTP/2 takes over whole. Where it may take over as many as a connection has streams, 300 MiB.
const SIXTEEN_QUARTERS: u64 = SIXTEEN_PAGES / 2;

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_frames_cost_a_node_neither_its_memory_nor_its_other_clients() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform"]);
    let node = Running(programs.command("acme").arg("--trust-own-feed").spawn().expect("starts"));
    let mut client = programs.client("acme").await;
    client.ready().await;
    client.submit(submission("all", seller())).await.expect("taken");
    let pages = client.submit_all((0..=u8::MAX).map(large_signal).collect()).await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
    let attacks: [(&str, Attack, &'static str, u64); 10] = [
        ("rapid reset", rapid_reset, CHECK, FEW_BUFFERS),
        ("ping flood", ping_flood, CHECK, FEW_BUFFERS),
        ("settings flood", settings_flood, CHECK, FEW_BUFFERS),
        ("continuation flood", continuation_flood, CHECK, FEW_BUFFERS),
        ("empty data", empty_data, CHECK, FEW_BUFFERS),
        ("begun messages", begun_messages, CHECK, FEW_BUFFERS),
        ("large heads", large_heads, CHECK, FEW_BUFFERS),
        ("unread pages", unread_pages, LIST, SIXTEEN_QUARTERS),
        ("untaken pages", untaken_pages, LIST, SIXTEEN_PAGES),
        ("begun pages", begun_pages, LIST, SIXTEEN_PAGES),
    ];
    let before = memory(node.0.id());
    for (name, what, method, most) in attacks {
        // A client of the member, and another member's node.
        let ways = [
            (programs.clients("acme"), programs.client_credentials("acme"), method),
            (programs.peers("acme"), programs.node_credentials("bazaar"), ROSTER),
        ];
        let attackers = ways.into_iter().flat_map(|way| std::iter::repeat_n(way, 3)).map(|(address, own, method)| {
            let anchors = programs.anchors("acme");
            tokio::spawn(async move { attack(tls(&address, &own, &anchors).await, what, method).await })
        });
        let attackers: Vec<_> = attackers.collect();
        let mut answered = 0;
        while answered < 20 || attackers.iter().any(|attacker| !attacker.is_finished()) {
            client.check(seller()).await.unwrap_or_else(|status| panic!("{name}: {status}"));
            answered += 1;
        }
        for attacker in attackers {
            let sent = attacker.await.expect("no panic");
            assert!(sent > 0, "{name} sent nothing");
        }
        let grown = memory(node.0.id()).saturating_sub(before);
        assert!(grown < most, "{name}: the node has grown by {grown} KiB");
    }
}
