//! `submit`, `check`, `retract` and `status` against a node that the test plays, over real TLS.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use countermark::cli::Environment;
use countermark::config::NodeConfig;
use countermark::rpc::acceptor::{Acceptor, clients_of};
use countermark::rpc::proto::node_service_server::{NodeService, NodeServiceServer};
use countermark::rpc::proto::screening_service_server::{ScreeningService, ScreeningServiceServer};
use countermark::rpc::proto::signal_service_server::{SignalService, SignalServiceServer};
use countermark::rpc::proto::{
    AmendSignalRequest, AmendSignalResponse, BackupRequest, BackupResponse, CheckAnswer, CheckSellerRequest,
    CheckSellerResponse, CheckSellersRequest, CheckSellersResponse, EraseSignalRequest, EraseSignalResponse, FeedFreshness,
    FeedState, Freshness, GetCheckRequest, GetCheckResponse, GetSignalRequest, GetSignalResponse, GetStatusRequest,
    GetStatusResponse, Identifier, ListErasuresRequest, ListErasuresResponse, ListOverridesRequest, ListOverridesResponse,
    ListSignalsRequest, ListSignalsResponse, MatchedIdentifier, PurgeStoreRequest, PurgeStoreResponse, RebuildIndexRequest,
    RebuildIndexResponse, ReloadRequest, ReloadResponse, RemoveOverrideRequest, RemoveOverrideResponse, RetractSignalRequest,
    RetractSignalResponse, RowError, SetOverrideRequest, SetOverrideResponse, SignalMatch, Strength, SubmissionReceipt,
    SubmitSignalRequest, SubmitSignalResponse, SubmitSignalsRequest, SubmitSignalsResponse, check_sellers_response,
    retract_signal_request, submit_signals_response,
};
use countermark::rpc::tls::server_config;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{PROGRAM, Run, folder, run, run_with};

const NOW_MS: i64 = 1_795_305_600_000;

/// What the node was told, and how it misbehaves.
#[derive(Default)]
struct State {
    /// By first identifier: the signal's number.
    held: BTreeMap<String, u64>,
    withdrawn: Vec<String>,
    /// Rows answered over all streams.
    answered: u64,
    streams: u64,
    /// The stream breaks where so many rows have been answered, or so many sellers checked; each number counts once.
    break_at: Vec<u64>,
    /// The next stream is ended because nothing was sent on it for long.
    is_idle: bool,
    /// The row of this number is too much for now; once.
    busy_at: Vec<u64>,
    checks: u64,
    live: u64,
}

impl State {
    fn breaks_at(&mut self, answered: u64) -> Result<(), Status> {
        let Some(i) = self.break_at.iter().position(|at| *at == answered) else { return Ok(()) };
        self.break_at.remove(i);
        Err(Status::unavailable("the node is going down"))
    }
}

#[derive(Clone, Default)]
struct Node(Arc<Mutex<State>>);

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }

    /// The next answer of a stream, or its end.
    fn submit(&self, row: SubmitSignalsRequest) -> Result<SubmitSignalsResponse, Status> {
        let mut state = self.state();
        let answered = state.answered;
        state.breaks_at(answered)?;
        let busy = state.busy_at.iter().position(|at| *at == answered);
        let refuse = |code: &str, field: &str, retryable| {
            let (code, field) = (code.to_owned(), field.to_owned());
            let error = RowError { code, field, message: "give a domain".into(), retryable };
            Ok(SubmitSignalsResponse { result: Some(submit_signals_response::Result::Error(error)) })
        };
        if let Some(i) = busy {
            state.busy_at.remove(i);
            return refuse("STORE_BUSY", "", true);
        }
        state.answered += 1;
        let name = row.submission.unwrap_or_default().identifiers.first().map(|i| i.value.clone()).unwrap_or_default();
        if name.starts_with("bad") {
            return refuse("IDENTIFIER_INVALID", "identifiers[0].value", false);
        }
        let next = state.held.len() as u64;
        let created = !state.held.contains_key(&name);
        let number = *state.held.entry(name).or_insert(next);
        let signal = format!("a/all/{number}");
        let status = if state.withdrawn.contains(&signal) { 3 } else { 1 };
        let receipt = SubmissionReceipt { signal, created, rekeyed: false, status };
        Ok(SubmitSignalsResponse { result: Some(submit_signals_response::Result::Receipt(receipt)) })
    }

    fn answer(&self, identifiers: &[Identifier]) -> CheckAnswer {
        let mut state = self.state();
        state.checks += 1;
        let of = |member: &str, signal: String| SignalMatch {
            signal,
            member: member.into(),
            status: 1,
            recorded_at_ms: NOW_MS,
            matched: vec![MatchedIdentifier { index: 0, kind: identifiers[0].kind, strength: Strength::Strong as i32 }],
            counts: true,
            ..SignalMatch::default()
        };
        let value = &identifiers[0].value;
        let own: Vec<SignalMatch> = state.held.get(value).map(|n| of("a", format!("a/all/{n}"))).into_iter().collect();
        let flagged = value.starts_with("fake");
        let elsewhere: Vec<SignalMatch> = flagged.then(|| of("globex", "globex/all/4".into())).into_iter().collect();
        CheckAnswer {
            reference: format!("chk_{}", state.checks),
            checked_at_ms: NOW_MS,
            verdict: match value.as_str() {
                "newer.test" => 99,
                _ if flagged || !own.is_empty() => 2,
                _ => 1,
            },
            members_elsewhere: u32::from(flagged),
            elsewhere,
            own,
            ..CheckAnswer::default()
        }
    }
}

fn freshness() -> Freshness {
    let feed = |member: &str, newest_size| FeedFreshness {
        member: member.into(),
        audience: "all".into(),
        size: 5,
        newest_size,
        last_heard_ms: NOW_MS,
        state: FeedState::Followed as i32,
        live_signals: 5,
        not_understood: 0,
        missing: 0,
    };
    Freshness { as_of_ms: NOW_MS, feeds: vec![feed("a", 5), feed("globex", 9)] }
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl SignalService for Node {
    async fn submit_signal(&self, _: Request<SubmitSignalRequest>) -> Result<Response<SubmitSignalResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type SubmitSignalsStream = Responses<SubmitSignalsResponse>;

    async fn submit_signals(
        &self,
        request: Request<Streaming<SubmitSignalsRequest>>,
    ) -> Result<Response<Self::SubmitSignalsStream>, Status> {
        self.state().streams += 1;
        if std::mem::take(&mut self.state().is_idle) {
            let details = ErrorDetails::with_error_info("STREAM_IDLE", "countermark", []);
            let ended = Status::with_error_details(Code::Unavailable, "no row came for ten minutes", details);
            return Ok(Response::new(Box::pin(stream::once(async { Err(ended) }))));
        }
        let node = self.clone();
        let answers = stream::unfold(Some(request.into_inner()), move |rows| {
            let node = node.clone();
            async move {
                let mut rows = rows?;
                let answer = node.submit(rows.next().await?.ok()?);
                let goes_on = answer.is_ok().then_some(rows);
                Some((answer, goes_on))
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn erase_signal(&self, _: Request<EraseSignalRequest>) -> Result<Response<EraseSignalResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_erasures(&self, _: Request<ListErasuresRequest>) -> Result<Response<ListErasuresResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn amend_signal(&self, _: Request<AmendSignalRequest>) -> Result<Response<AmendSignalResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn retract_signal(&self, request: Request<RetractSignalRequest>) -> Result<Response<RetractSignalResponse>, Status> {
        let request = request.into_inner();
        let signal = match request.target {
            Some(retract_signal_request::Target::Signal(signal)) => signal,
            Some(retract_signal_request::Target::SubmissionId(id)) if request.audience == "all" && id.starts_with("case-") => {
                id.replace("case-", "a/all/")
            }
            _ => return Err(Status::not_found("there is no such signal")),
        };
        let mut state = self.state();
        let newly_withdrawn = !state.withdrawn.contains(&signal);
        state.withdrawn.push(signal.clone());
        Ok(Response::new(RetractSignalResponse { signal, newly_withdrawn }))
    }

    async fn get_signal(&self, _: Request<GetSignalRequest>) -> Result<Response<GetSignalResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_signals(&self, _: Request<ListSignalsRequest>) -> Result<Response<ListSignalsResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

#[tonic::async_trait]
impl ScreeningService for Node {
    async fn check_seller(&self, request: Request<CheckSellerRequest>) -> Result<Response<CheckSellerResponse>, Status> {
        let answer = self.answer(&request.into_inner().identifiers);
        Ok(Response::new(CheckSellerResponse { answer: Some(answer), freshness: Some(freshness()) }))
    }

    type CheckSellersStream = Responses<CheckSellersResponse>;

    async fn check_sellers(
        &self,
        request: Request<Streaming<CheckSellersRequest>>,
    ) -> Result<Response<Self::CheckSellersStream>, Status> {
        let node = self.clone();
        let answers = request.into_inner().map(move |row| {
            let identifiers = row?.identifiers;
            let checks = node.state().checks;
            node.state().breaks_at(checks)?;
            let result = check_sellers_response::Result::Answer(node.answer(&identifiers));
            Ok(CheckSellersResponse { result: Some(result), freshness: Some(freshness()) })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn set_override(&self, _: Request<SetOverrideRequest>) -> Result<Response<SetOverrideResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn remove_override(&self, _: Request<RemoveOverrideRequest>) -> Result<Response<RemoveOverrideResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn list_overrides(&self, _: Request<ListOverridesRequest>) -> Result<Response<ListOverridesResponse>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn get_check(&self, request: Request<GetCheckRequest>) -> Result<Response<GetCheckResponse>, Status> {
        if request.into_inner().reference != "chk_1" {
            return Err(Status::not_found("there is no such check, or it is older than 365 days"));
        }
        let answer = CheckAnswer { reference: "chk_1".into(), checked_at_ms: NOW_MS, verdict: 1, ..CheckAnswer::default() };
        Ok(Response::new(GetCheckResponse { answer: Some(answer), freshness: Some(freshness()), kinds: vec![4, 4] }))
    }
}

#[tonic::async_trait]
impl NodeService for Node {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let own_live_signals = self.state().live;
        Ok(Response::new(GetStatusResponse {
            alliance: "alliance.example".into(),
            member: "a".into(),
            freshness: Some(freshness()),
            own_live_signals,
            ..GetStatusResponse::default()
        }))
    }

    async fn purge_store(&self, _: Request<PurgeStoreRequest>) -> Result<Response<PurgeStoreResponse>, Status> {
        Ok(Response::new(PurgeStoreResponse { purged: true }))
    }

    async fn reload(&self, _: Request<ReloadRequest>) -> Result<Response<ReloadResponse>, Status> {
        Ok(Response::new(ReloadResponse {}))
    }

    type BackupStream = tokio_stream::Empty<Result<BackupResponse, Status>>;

    async fn backup(&self, _: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn rebuild_index(&self, _: Request<RebuildIndexRequest>) -> Result<Response<RebuildIndexResponse>, Status> {
        Ok(Response::new(RebuildIndexResponse {
            view_digest_before: vec![1; 32].into(),
            view_digest_after: vec![1; 32].into(),
            index_rows_before: 7,
            index_rows_after: 7,
        }))
    }
}

/// A folder with an alliance of one member, whose node the test plays.
struct World {
    folder: tempfile::TempDir,
    address: SocketAddr,
    node: Node,
    shutdown: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let folder = folder();
        let init = ["alliance", "init", "--name", "alliance.example", "--folder", "s", "--member", "a:brand:127.0.0.1:7400"];
        run(folder.path(), &init).expect(0);
        let environment = Environment::of_process();
        let config = NodeConfig::load(&folder.path().join("s/members/a/node.toml"), &environment.variables).expect("valid");
        let materials = config.materials(environment.now()).expect("valid");
        let tls = server_config(&materials.own, &materials.clients).expect("valid");
        let admit = clients_of("alliance.example".parse().expect("valid"), "a".parse().expect("valid"), |_| true);
        let acceptor = Acceptor::new(Arc::new(ArcSwap::from_pointee(tls)), admit);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let (node, shutdown) = (Node::default(), CancellationToken::new());
        let server = tonic::transport::Server::builder()
            .add_service(SignalServiceServer::new(node.clone()))
            .add_service(ScreeningServiceServer::new(node.clone()))
            .add_service(NodeServiceServer::new(node.clone()));
        let incoming = acceptor.accept(listener, shutdown.clone());
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned()));
        Self { folder, address, node, shutdown }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Runs the program as the member's operator.
    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_on(arguments, "").await
    }

    async fn run_on(&self, arguments: &[&str], input: &str) -> Run {
        let (folder, address, input) = (self.path().to_owned(), self.address.to_string(), input.to_owned());
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let call = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let variables = [("COUNTERMARK_CLIENT", "s/members/a"), ("COUNTERMARK__CLIENT__ADDRESS", &address)];
            run_with(&folder, &arguments, &variables, &input)
        };
        tokio::task::spawn_blocking(call).await.expect("run")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

const LIST: [&str; 10] = [
    "--format",
    "lines",
    "--kind",
    "domain",
    "--infringement",
    "other",
    "--evidence",
    "volunteer-surveillance",
    "--audience",
    "all",
];

fn submit<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    ["submit", file].iter().chain(&LIST).chain(more).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_submitted_row_by_row_and_once_more_without_change() {
    let world = World::new().await;
    world.write("list.txt", "# list\nfake1.test\nbad.test\n\nfake2.test\ntwo names\n");
    let first = world.run(&submit("list.txt", &["--rejects", "rejects.csv"])).await.expect(0);
    assert_eq!(
        first.out,
        "rows           4\ncreated        2\nalready there  0\nwithdrawn      0\nrefused        2\nskipped lines  2\n\
         refused by code\n         1  IDENTIFIER_INVALID\n         1  LINE_SEVERAL_VALUES\n"
    );
    let rejects = std::fs::read_to_string(world.path().join("rejects.csv")).expect("text");
    assert_eq!(
        rejects,
        "line,code,field,reason\n3,IDENTIFIER_INVALID,identifiers[0].value,give a domain\n\
         6,LINE_SEVERAL_VALUES,line,give one name a line\n"
    );
    let again = world.run(&submit("-", &["--output", "json"])).await;
    assert_eq!(again.expect(0).json()["rows"], 0, "standard input is empty");
    world.node.state().withdrawn.push("a/all/1".into());
    let again = world.run(&submit("list.txt", &["--output", "json"])).await.expect(0);
    assert_eq!(
        again.json(),
        json!({"lines": 6, "skipped_lines": 2, "rows": 4, "created": 0, "already_there": 1, "already_withdrawn": 1, "already_erased": 0, "rekeyed": 0, "refused": 2,
            "refused_by_code": {"IDENTIFIER_INVALID": 1, "LINE_SEVERAL_VALUES": 1}, "unanswered": 0})
    );
    assert!(again.err.contains("give it a new submission id"), "{}", again.err);
    assert!(again.err.contains("line 3: IDENTIFIER_INVALID identifiers[0].value: give a domain"), "{}", again.err);
    world.run(&submit("list.txt", &["--strict"])).await.expect(1);
    world.write("bad.txt", "bad.test\n");
    world.run(&submit("bad.txt", &[])).await.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_loses_no_row_and_counts_none_twice() {
    let world = World::new().await;
    *world.node.state() = State { break_at: vec![0, 700, 9_000], busy_at: vec![5_000], ..State::default() };
    let list: String = (0..10_000).map(|i| format!("fake{i}.test\n")).collect();
    let done = world.run_on(&submit("-", &["--output", "json"]), &list).await.expect(0);
    let summary = done.json();
    assert_eq!((&summary["rows"], &summary["refused"]), (&json!(10_000), &json!(0)), "{}", done.err);
    // A row that was taken and whose answer was lost is there already when it comes again.
    let count = |name: &str| summary[name].as_u64().expect("a count");
    assert_eq!(count("created") + count("already_there"), 10_000);
    let state = world.node.state();
    assert_eq!((state.held.len(), state.streams), (10_000, 5));
    assert_eq!(done.err.matches("trying again").count(), 4, "{}", done.err);
    assert!(done.err.contains("(STORE_BUSY)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_idle_is_opened_again_when_there_is_a_row_and_not_before() {
    let world = World::new().await;
    world.node.state().is_idle = true;
    let mut command = std::process::Command::new(PROGRAM);
    command.args(submit("-", &["--output", "json"])).current_dir(world.path()).env_clear();
    command.env("COUNTERMARK_CLIENT", "s/members/a").env("COUNTERMARK__CLIENT__ADDRESS", world.address.to_string());
    let piped = std::process::Stdio::piped;
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().expect("started");
    while world.node.state().streams == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(world.node.state().streams, 1, "there is nothing to send");
    let mut rows = child.stdin.take().expect("piped");
    rows.write_all(b"fake.test\n").expect("taken");
    drop(rows);
    let done = tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("run").expect("ended");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && !said.contains("trying again"), "{said}");
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&summary["created"], world.node.state().streams), (&json!(1), 2));
}

/// A compressed list that was cut off: its rows can be read, and then comes an error and not the end.
fn cut(list: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(list.as_bytes()).expect("in memory");
    let mut bytes = encoder.finish().expect("in memory");
    bytes.truncate(bytes.len() - 4);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_stays_so_when_the_stream_breaks() {
    let world = World::new().await;
    let list: String = (0..80).map(|i| format!("shop{i}.test\n")).collect();
    std::fs::write(world.path().join("cut.txt.gz"), cut(&list)).expect("written");
    // Broken before the last row each time, so that the input has long ended when the stream is opened anew.
    let breaks = || State { break_at: vec![79, 79, 79], live: 10_000, ..State::default() };

    *world.node.state() = breaks();
    let submitted = world.run(&submit("cut.txt.gz", &["--output", "json"])).await.expect(1);
    assert!(submitted.err.contains("error[INPUT_UNREADABLE]"), "{}", submitted.err);
    let summary = submitted.json();
    assert_eq!((&summary["rows"], &summary["unanswered"]), (&json!(80), &json!(0)), "what could be read was submitted");

    let held = std::mem::take(&mut world.node.state().held);
    *world.node.state() = State { held, ..breaks() };
    let retract = ["retract", "--from", "cut.txt.gz", "--kind", "domain", "--reason", "other", "--yes"];
    let retracted = world.run(&retract).await.expect(1);
    assert!(retracted.err.contains("error[INPUT_UNREADABLE]"), "{}", retracted.err);
    assert!(retracted.err.contains("nothing has been retracted") && world.node.state().withdrawn.is_empty());

    *world.node.state() = breaks();
    world.run(&["check", "cut.txt.gz", "--kind", "domain"]).await.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_never_written_over_the_input() {
    let world = World::new().await;
    let list = "bad.test\nfake1.test\n";
    world.write("list.txt", list);
    std::os::unix::fs::symlink("list.txt", world.path().join("link.csv")).expect("linked");
    std::fs::hard_link(world.path().join("list.txt"), world.path().join("same.csv")).expect("linked");
    for rejects in ["list.txt", "./list.txt", "link.csv", "same.csv"] {
        let refused = world.run(&submit("list.txt", &["--rejects", rejects])).await.expect(2);
        assert!(refused.err.contains("--rejects"), "{}", refused.err);
        assert_eq!(std::fs::read_to_string(world.path().join("list.txt")).expect("there"), list, "{rejects}");
    }
    assert!(world.node.state().held.is_empty());
    world.run(&submit("list.txt", &["--rejects", "rejects.csv"])).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_is_not_known_is_no_clean_answer() {
    let world = World::new().await;
    let one = world.run(&["check", "--domain", "newer.test"]).await.expect(1);
    assert!(one.out.starts_with("UNKNOWN") && one.err.contains("error[VERDICT_UNKNOWN]"), "{}{}", one.out, one.err);
    world.write("list.txt", "genuine.test\nnewer.test\n");
    let many = world.run(&["check", "list.txt", "--kind", "domain"]).await.expect(1);
    assert!(many.out.contains("2 rows: 0 confirmed, 0 alleged, 1 not known, 0 refused, 1 not understood"), "{}", many.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_seller_is_checked_by_flags() {
    let world = World::new().await;
    let clean = world.run(&["check", "--domain", "genuine.test"]).await.expect(0);
    assert_eq!(
        clean.out,
        "NONE KNOWN: nothing matches\nreference      chk_1 (kept for 365 days)\nchecked at     2026-11-22T00:00:00Z\n\
         asked          domain\n\nrests on 2 feeds, of which 1 not current:\n\
         FEED        ENTRIES  BEHIND  LIVE  LAST HEARD  NOTICE\nglobex/all  5        4       5     0 s ago     behind\n"
    );
    let flagged = world.run(&["check", "--domain", "fake1.test", "--phone", "13800138000", "--region", "CN"]).await.expect(3);
    assert!(flagged.out.starts_with("ALLEGED: 1 other member flags this seller"), "{}", flagged.out);
    assert!(!flagged.out.contains("fake1.test") && !flagged.out.contains("13800138000"));
    let json = world.run(&["check", "--domain", "fake1.test", "--output", "json"]).await.expect(3).json();
    assert_eq!((&json["verdict"], &json["elsewhere"][0]["member"]), (&json!("alleged"), &json!("globex")));
    let earlier = world.run(&["check", "--reference", "chk_1", "--output", "json"]).await.expect(0).json();
    assert_eq!(earlier["asked"], json!(["phone", "phone"]));
    let unknown = world.run(&["check", "--reference", "chk_9"]).await.expect(1);
    assert!(unknown.err.starts_with("error[GRPC_NOT_FOUND]: there is no such check"), "{}", unknown.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_sellers_is_a_line_an_answer() {
    let world = World::new().await;
    world.write("sellers.csv", "domain,phone\ngenuine.test,\n,\nfake1.test,13800138000\n");
    let checked = world.run(&["check", "sellers.csv"]).await.expect(3);
    assert_eq!(
        checked.out,
        "    LINE  VERDICT          ELSEWHERE  OWN  REFERENCE                     FLAGGED BY\n       2  none known               0    0  \
         chk_1\n       3  refused          IDENTIFIER_COUNT identifiers: give 1 to 32 identifiers of one seller\n       4  alleged   \
         \x20              1    0  chk_2                         globex\n\n3 rows: 0 confirmed, 1 alleged, 1 not known, 1 refused\nrests on 2 feeds, of which 1 not current:\n\
         FEED        ENTRIES  BEHIND  LIVE  LAST HEARD  NOTICE\nglobex/all  5        4       5     0 s ago     behind\n"
    );
    let lines =
        world.run_on(&["check", "-", "--format", "lines", "--kind", "domain", "--output", "json"], "genuine.test\n").await;
    let lines: Vec<serde_json::Value> =
        lines.expect(0).out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["line"], &lines[0]["verdict"]), (&json!(1), &json!("none_known")));
    assert_eq!((&lines[1]["summary"]["rows"], &lines[1]["freshness"]["feeds"][1]["behind"]), (&json!(1), &json!(4)));
    world.write("bad.csv", "domain\n\"\"\n");
    world.run(&["check", "bad.csv"]).await.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retraction_is_counted_before_it_is_made() {
    let world = World::new().await;
    let list: String = (0..20).map(|i| format!("shop{i}.test\n")).collect();
    world.write("list.txt", &list);
    world.run(&submit("list.txt", &[])).await.expect(0);
    world.node.state().live = 20;
    let retract = |file: &'static str, more: &[&'static str]| -> Vec<&'static str> {
        let arguments = ["retract", "--from", file, "--kind", "domain", "--reason", "source-withdrew", "--output", "json"];
        arguments.iter().chain(more).copied().collect()
    };
    let dry = world.run(&retract("list.txt", &["--dry-run"])).await.expect(0).json();
    assert_eq!((&dry["to_retract"], &dry["retracted"]), (&json!(20), &json!(0)));
    let refused = world.run(&retract("list.txt", &[])).await.expect(1);
    assert!(refused.err.contains("error[RETRACTION_TOO_LARGE]: 20 of 20 live signals"), "{}", refused.err);
    assert!(world.node.state().withdrawn.is_empty());

    world.write("empty.txt", "# all gone\n");
    let empty = world.run(&retract("empty.txt", &["--yes"])).await.expect(0);
    assert!(empty.err.contains("Nothing is to be retracted.") && empty.json()["retracted"] == 0, "{}", empty.err);
    world.write("two.txt", "shop3.test\nunknown.test\nshop4.test\n");
    let two = world.run(&retract("two.txt", &[])).await.expect(0).json();
    assert_eq!((&two["retracted"], &two["rows_without_signal"], &two["failed"]), (&json!(2), &json!(1), &json!(0)));
    // Retractions are under way side by side, and reach the node in any order.
    let withdrawn: std::collections::BTreeSet<String> = world.node.state().withdrawn.iter().cloned().collect();
    assert_eq!(withdrawn, ["a/all/3", "a/all/4"].map(String::from).into());
    let all = world.run(&retract("list.txt", &["--yes"])).await.expect(0).json();
    assert_eq!((&all["retracted"], &all["already_withdrawn"]), (&json!(18), &json!(2)));

    let one = world.run(&["retract", "--signal", "a/all/3", "--reason", "other", "--output", "json"]).await.expect(0).json();
    assert_eq!(one["already_withdrawn"], 1);
    let by_id = |id: &'static str| ["retract", "--submission-id", id, "--audience", "all", "--reason", "other"];
    world.run(&by_id("case-99")).await.expect(0);
    let missing = world.run(&by_id("nothing")).await.expect(1);
    assert!(missing.err.contains("error[GRPC_NOT_FOUND]") && missing.out.contains("failed         1"), "{}", missing.err);
    world.write("ids.csv", "submission_id,audience\ncase-100,all\n,all\n");
    let ids = ["retract", "--from", "ids.csv", "--by", "submission-id", "--reason", "other", "--output", "json"];
    let ids = world.run(&ids).await.expect(1);
    assert!(ids.err.contains("put that right"), "{}", ids.err);
    let ids = ids.json();
    assert_eq!((&ids["retracted"], &ids["refused_rows"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_rebuilt_on_demand() {
    let world = World::new().await;
    let rebuilt = world.run(&["store", "rebuild"]).await.expect(0);
    let expected = "before         7 rows, view 0101010101010101\nafter          7 rows, view 0101010101010101\noutcome        as before\n";
    assert_eq!(rebuilt.out, expected);
    assert_eq!(world.run(&["store", "rebuild", "--output", "json"]).await.expect(0).json()["unchanged"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_shown_and_a_closed_pipe_is_no_panic() {
    let world = World::new().await;
    world.node.state().live = 7;
    let status = world.run(&["status"]).await.expect(0);
    assert!(status.out.contains("own signals    7 live\n"), "{}", status.out);
    assert_eq!(world.run(&["status", "--output", "json"]).await.expect(0).json()["own_live_signals"], 7);

    let folder = world.path().to_owned();
    let address = world.address.to_string();
    let closed = move || {
        let mut command = std::process::Command::new(PROGRAM);
        command.arg("status").current_dir(folder).env_clear();
        command.env("COUNTERMARK_CLIENT", "s/members/a").env("COUNTERMARK__CLIENT__ADDRESS", address);
        let piped = std::process::Stdio::piped;
        let mut child = command.stdout(piped()).stderr(piped()).spawn().expect("started");
        drop(child.stdout.take());
        child.wait_with_output().expect("ended")
    };
    let closed = tokio::task::spawn_blocking(closed).await.expect("run");
    assert_eq!((closed.status.code(), String::from_utf8_lossy(&closed.stderr).as_ref()), (Some(1), ""));
}
