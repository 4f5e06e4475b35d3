//! What a collector of traces is told of calls, and what it is not; and that nobody waits for it.
#![cfg(feature = "otel")]

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use cluster::program::Programs;
use cluster::{Alliance, PATIENCE, eventually, identifier, submission};
use countermark::domain::MemberKind;
use countermark::domain::limits::{MAX_TRACEPARENT_BYTES, TRACES_STOP_TIMEOUT};
use countermark::rpc::proto::watch_service_client::WatchServiceClient;
use countermark::rpc::proto::{
    CheckSellerRequest, FeedName, FollowAlertsRequest, GetFrontierRequest, GetStatusRequest, IdentifierKind,
};
use countermark::telemetry::{Collector, Filter, Format, init};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;
use tonic::{Code, IntoRequest as _};

/// As OTLP 1.5 has it, of `opentelemetry/proto/trace/v1`, what is looked at here.
mod otlp {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Export {
        #[prost(message, repeated, tag = "1")]
        pub(super) resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ResourceSpans {
        #[prost(message, optional, tag = "1")]
        pub(super) resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub(super) attributes: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ScopeSpans {
        #[prost(message, repeated, tag = "2")]
        pub(super) spans: Vec<Span>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Span {
        #[prost(bytes, tag = "1")]
        pub(super) trace_id: Vec<u8>,
        #[prost(bytes, tag = "2")]
        pub(super) span_id: Vec<u8>,
        #[prost(string, tag = "3")]
        pub(super) trace_state: String,
        #[prost(bytes, tag = "4")]
        pub(super) parent_span_id: Vec<u8>,
        #[prost(string, tag = "5")]
        pub(super) name: String,
        #[prost(int32, tag = "6")]
        pub(super) kind: i32,
        #[prost(message, repeated, tag = "9")]
        pub(super) attributes: Vec<Attribute>,
        #[prost(bytes, repeated, tag = "11")]
        pub(super) events: Vec<Vec<u8>>,
        #[prost(bytes, repeated, tag = "13")]
        pub(super) links: Vec<Vec<u8>>,
        #[prost(message, optional, tag = "15")]
        pub(super) status: Option<Status>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attribute {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<Value>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Value {
        #[prost(oneof = "Kind", tags = "1, 3")]
        pub(super) kind: Option<Kind>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Kind {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(int64, tag = "3")]
        Integer(i64),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Status {
        #[prost(string, tag = "2")]
        pub(super) message: String,
        #[prost(int32, tag = "3")]
        pub(super) code: i32,
    }
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

fn values(attributes: &[otlp::Attribute]) -> BTreeMap<String, String> {
    let text = |attribute: &otlp::Attribute| match attribute.value.as_ref().and_then(|value| value.kind.clone()) {
        Some(otlp::Kind::Text(text)) => text,
        Some(otlp::Kind::Integer(number)) => number.to_string(),
        None => panic!("{} is of another kind", attribute.key),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

/// A collector, as far as a node can tell: OTLP over gRPC.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Vec<u8>>>>);

impl Told {
    async fn listen(&self) -> SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("bound");
        let server = tonic::transport::Server::builder().add_service(self.clone());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(socket)));
        address
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no panic").concat()
    }

    fn exports(&self) -> Vec<otlp::ResourceSpans> {
        let messages = self.0.lock().expect("no panic").clone();
        messages.iter().flat_map(|m| otlp::Export::decode(&**m).expect("an export").resource_spans).collect()
    }

    fn spans(&self) -> Vec<otlp::Span> {
        self.exports().into_iter().flat_map(|export| export.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans of this kind and name.
    fn of(&self, kind: i32, name: &str) -> Vec<otlp::Span> {
        self.spans().into_iter().filter(|span| span.kind == kind && span.name == name).collect()
    }
}

impl NamedService for Told {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower::Service<Request<Body>> for Told {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let told = self.clone();
        Box::pin(async move {
            let body = request.into_body().collect().await.expect("a whole message").to_bytes();
            // One message, behind whether it is compressed and its length.
            told.0.lock().expect("no panic").push(body[5..].to_vec());
            let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))]);
            let nothing = Full::new(bytes::Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
            let answer = Response::builder().header("content-type", "application/grpc").body(Body::new(nothing));
            Ok(answer.expect("an answer"))
        })
    }
}

/// What a span may say, and no more.
const KEYS: [&str; 8] = [
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.grpc.status_code",
    "error.type",
    "countermark.listener",
    "countermark.caller",
    "countermark.peer",
];

fn assert_says_no_more(span: &otlp::Span) {
    for (key, value) in values(&span.attributes) {
        assert!(KEYS.contains(&key.as_str()), "{key} = {value}");
        let is_known = match key.as_str() {
            "rpc.system" => value == "grpc",
            "rpc.service" => value.strip_prefix("countermark.v1.").is_some_and(|name| name.ends_with("Service")),
            "rpc.method" => value.bytes().all(|b| b.is_ascii_alphabetic()),
            "rpc.grpc.status_code" => value.parse::<i32>().is_ok_and(|code| code <= 16),
            "error.type" => value.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
            "countermark.listener" => ["peers", "clients"].contains(&value.as_str()),
            _ => ["all-roles", "acme", "bazaar"].contains(&value.as_str()),
        };
        assert!(is_known, "{key} = {value}");
    }
    assert!(span.events.is_empty() && span.links.is_empty() && span.trace_state.is_empty(), "{span:?}");
    assert_eq!(span.status.clone().unwrap_or_default().message, "", "{span:?}");
}

/// How a trace is named (W3C Trace Context); `sampled` is 01 where it is recorded.
fn name_of(trace: u8, sampled: &str) -> String {
    format!("00-{}-{}-{sampled}", format!("{trace:02x}").repeat(16), "07".repeat(8))
}

/// A request that says of which trace it is a part.
fn part_of<T>(trace: u8, message: T) -> tonic::Request<T> {
    let mut request = message.into_request();
    request.metadata_mut().insert("traceparent", name_of(trace, "01").parse().expect("a value"));
    request.metadata_mut().insert("tracestate", "vendor=GB29NWBK60161331926819".parse().expect("a value"));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_of_its_clients_trace_and_says_nothing_of_what_was_asked() {
    let told = Told::default();
    let collector = Collector { address: told.listen().await, member: "acme".into(), one_in: NonZeroU32::MIN };
    let telemetry = init(Format::Text, &"off".parse::<Filter>().expect("a filter"), Some(&collector)).expect("begins");
    let (mut alliance, sockets) = Alliance::new(&[("acme", MemberKind::Brand), ("bazaar", MemberKind::Platform)]).await;
    alliance.share_key(2, &["acme", "bazaar"]);
    let _nodes = alliance.start_all(sockets).await;
    let mut client = alliance.client("acme").await;

    let seller = || vec![identifier(IdentifierKind::BankAccount, "GB29 NWBK 6016 1331 9268 19")];
    client.submit(submission("all", seller())).await.expect("taken");
    let check = CheckSellerRequest { identifiers: seller(), watch: None };
    client.screening.check_seller(part_of(0xc1, check)).await.expect("answered");
    let malformed = vec![identifier(IdentifierKind::Phone, "+1 202 555 99")];
    client.check(malformed).await.expect_err("no phone");
    for path in ["/made.Up/GB29NWBK60161331926819", "/countermark.v1.ScreeningService/GB29NWBK60161331926819"] {
        let mut raw = tonic::client::Grpc::new(alliance.channel("acme", "all-roles").await);
        raw.ready().await.expect("open");
        let codec = tonic_prost::ProstCodec::<CheckSellerRequest, ()>::default();
        let message = CheckSellerRequest { identifiers: seller(), watch: None };
        raw.unary(part_of(0xc2, message), path.parse().expect("a path"), codec).await.expect_err("no such method");
    }
    // What is no name of one trace, or longer than any, or of one that its client does not record.
    let (later, longest) = (name_of(0xc3, "01").replacen("00", "01", 1), MAX_TRACEPARENT_BYTES);
    let long = |bytes: usize| format!("{later}-{}", "f".repeat(bytes - later.len() - 1));
    let badly = [
        vec![name_of(0xbb, "01"), name_of(0xbb, "01")],
        vec![long(longest + 1).replace("c3", "bb")],
        vec![name_of(0xbb, "").trim_end_matches('-').to_owned()],
        vec![name_of(0xbb, "00")],
        vec!["GB29NWBK60161331926819".to_owned()],
    ];
    for names in badly.into_iter().chain([vec![long(longest)]]) {
        let mut request = GetStatusRequest {}.into_request();
        for name in names {
            request.metadata_mut().append("traceparent", name.parse().expect("a value"));
        }
        client.node.get_status(request).await.expect("a status");
    }
    let mut watcher = WatchServiceClient::new(alliance.channel("acme", "all-roles").await);
    drop(watcher.follow_alerts(FollowAlertsRequest::default()).await.expect("a stream"));
    let feed = Some(FeedName { member: "acme".into(), audience: "all".into() });
    let request = part_of(0xee, GetFrontierRequest { feed, size: 1 });
    alliance.peer("bazaar", "acme").await.get_frontier(request).await.expect("a frontier");

    let check = "countermark.v1.ScreeningService/CheckSeller";
    eventually("the spans are handed over", || async {
        told.of(SERVER, check).len() == 2
            && told.of(SERVER, "other").len() == 2
            && !told.of(SERVER, "countermark.v1.PeerService/GetFrontier").is_empty()
            && !told.of(SERVER, "countermark.v1.WatchService/FollowAlerts").is_empty()
            && !told.of(SERVER, "countermark.v1.KeyHolderService/Evaluate").is_empty()
    })
    .await;
    telemetry.end_traces().await;

    let checks = told.of(SERVER, check);
    let (good, bad): (Vec<_>, Vec<_>) = checks.iter().partition(|span| span.trace_id == [0xc1; 16]);
    let (good, bad) = (good.first().expect("of the client's trace"), bad.first().expect("of a trace of its own"));
    assert_eq!(good.parent_span_id, [7; 8]);
    let expected = [
        ("rpc.system", "grpc"),
        ("rpc.service", "countermark.v1.ScreeningService"),
        ("rpc.method", "CheckSeller"),
        ("rpc.grpc.status_code", "0"),
        ("countermark.listener", "clients"),
        ("countermark.caller", "all-roles"),
    ];
    let expected = BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(values(&good.attributes), expected);
    assert!(bad.parent_span_id.is_empty(), "{bad:?}");
    let said = values(&bad.attributes);
    assert_eq!((said["rpc.grpc.status_code"].as_str(), said["error.type"].as_str()), ("3", "PHONE_INVALID"));
    assert_ne!(bad.status.clone().unwrap_or_default().code, ERROR, "the caller's own fault");

    for span in told.of(SERVER, "other") {
        let said = values(&span.attributes);
        assert_eq!((said["rpc.method"].as_str(), said.get("rpc.service")), ("other", None));
        assert_eq!(said["rpc.grpc.status_code"], (Code::Unimplemented as i32).to_string());
        assert_eq!(span.trace_id, [0xc2; 16]);
    }

    assert!(told.spans().iter().all(|span| span.trace_id != [0xbb; 16]));
    assert!(told.of(SERVER, "countermark.v1.NodeService/GetStatus").iter().any(|span| span.trace_id == [0xc3; 16]));
    let left = &told.of(SERVER, "countermark.v1.WatchService/FollowAlerts")[0];
    assert_eq!(values(&left.attributes)["error.type"], "CANCELLED");

    // A peer's call is part of no trace but its own, whatever it says, and a peer is told of none.
    for span in
        told.spans().iter().filter(|span| values(&span.attributes).get("countermark.listener").is_some_and(|l| l == "peers"))
    {
        assert!(span.parent_span_id.is_empty(), "{span:?}");
        assert!(![[0xc1; 16], [0xc2; 16], [0xee; 16]].iter().any(|trace| span.trace_id == trace), "{span:?}");
    }
    // The parts of a call are parts of its trace.
    let asked = told.of(CLIENT, "countermark.v1.KeyHolderService/Evaluate");
    let of_check = asked.iter().find(|span| span.parent_span_id == good.span_id).expect("the check asked a holder");
    assert_eq!((values(&of_check.attributes)["countermark.peer"].as_str(), &*of_check.trace_id), ("bazaar", &[0xc1; 16][..]));
    let submitted = &told.of(SERVER, "countermark.v1.SignalService/SubmitSignal")[0];
    let committed =
        told.spans().into_iter().find(|span| span.name == "store commit" && span.parent_span_id == submitted.span_id);
    assert!(committed.is_some(), "the submission waited for the store");

    // Nothing else is told: no library's span, no event, and no word of what was asked or made up.
    let names: BTreeSet<String> = told.spans().into_iter().map(|span| span.name).collect();
    let is_ours = |name: &String| name.starts_with("countermark.v1.") || name == "other" || name == "store commit";
    assert!(names.iter().all(is_ours), "{names:?}");
    told.spans().iter().for_each(assert_says_no_more);
    let text = String::from_utf8_lossy(&told.bytes()).into_owned();
    assert!(!text.contains("GB29NWBK60161331926819") && !text.contains("vendor"));
    for export in told.exports() {
        let said = values(&export.resource.expect("a resource").attributes);
        let expected =
            [("service.name", "countermark"), ("service.version", env!("CARGO_PKG_VERSION")), ("countermark.member", "acme")];
        assert_eq!(said, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }
    // The alliance looks through its folder for what its members were told. For pseudonyms there is no attribute: see above.
    std::fs::write(alliance.data_dir("acme").join("exported.bin"), told.bytes()).expect("written");
}

/// Serves a member's node by the program, with a collector at this address; has it answer a check, stop, and gives what it logged and how
/// long the stop took.
async fn one_check(collector: SocketAddr, one_in: u32) -> (String, std::time::Duration) {
    let programs = Programs::found(&["acme:brand"]);
    let mut command = programs.command("acme");
    command.env("COUNTERMARK__TRACES__COLLECTOR", collector.to_string()).env("COUNTERMARK__LOG__LEVEL", "debug");
    command.env("COUNTERMARK__TRACES__ONE_IN", one_in.to_string());
    let mut served = cluster::program::Running(command.spawn().expect("starts"));
    let mut client = programs.client("acme").await;
    client.submit(submission("all", vec![identifier(IdentifierKind::Domain, "outlet-0042.test")])).await.expect("taken");
    client.check(vec![identifier(IdentifierKind::Domain, "outlet-0042.test")]).await.expect("answered");

    let begun = Instant::now();
    let told = Command::new("kill").args(["-TERM", &served.0.id().to_string()]).status().expect("runs");
    assert!(told.success());
    let ended = tokio::task::spawn_blocking(move || served.0.wait());
    let status = tokio::time::timeout(PATIENCE, ended).await.expect("it stops").expect("no panic").expect("it ends");
    assert!(status.success(), "{status}");
    (std::fs::read_to_string(programs.log("acme")).expect("a log"), begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_handed_over_before_the_end_and_the_log_has_none() {
    let told = Told::default();
    let (log, _) = one_check(told.listen().await, 1).await;
    assert_eq!(told.of(SERVER, "countermark.v1.ScreeningService/CheckSeller").len(), 1);
    let resource = told.exports().into_iter().next().and_then(|export| export.resource).expect("a resource");
    assert_eq!(values(&resource.attributes)["countermark.member"], "acme");
    assert!(!log.contains("TRACES_") && !log.contains("\"span\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_traces_as_few_are_recorded_as_the_operator_wants() {
    let told = Told::default();
    let (log, _) = one_check(told.listen().await, u32::MAX).await;
    assert_eq!(told.spans(), []);
    assert!(!log.contains("TRACES_"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_collector_that_hangs_or_is_not_there() {
    // It is connected to, and says nothing.
    let hangs = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let (log, took) = one_check(hangs.local_addr().expect("bound"), 1).await;
    assert!(log.contains("TRACES_CUT_OFF"), "{log}");
    // Beside the end of everything else, which takes as long as the machine is busy.
    assert!(took < 5 * TRACES_STOP_TIMEOUT, "{took:?}");

    let absent = TcpListener::bind("127.0.0.1:0").await.expect("a socket").local_addr().expect("bound");
    let (log, took) = one_check(absent, 1).await;
    assert_eq!(log.matches("TRACES_LOST").count(), 1, "{log}");
    assert!(took < 5 * TRACES_STOP_TIMEOUT, "{took:?}");
}
