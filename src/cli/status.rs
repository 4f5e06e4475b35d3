//! `status`.

mod conditions;

use std::time::Duration;

use serde::Serialize;
use tonic::transport::Channel;

use super::Environment;
use super::arguments::StatusArguments;
use super::check::{FeedView, FreshnessView};
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, counted, facts, plain, table};
use super::words;
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::{
    ForkStatus, GetStatusRequest, GetStatusResponse, KeyHolderStatus, KeyStatus, MemberAccuracy, PeerStatus, StoreStatus,
    WebhookStatus,
};
use conditions::{Deadline, FaultCount, faults};

pub(super) async fn run(
    arguments: &StatusArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut client = NodeServiceClient::new(node.channel);
    let Some(every) = arguments.watch else {
        printer.show(&look(&mut client).await?)?;
        return Ok(Outcome::Done);
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(every));
    loop {
        ticks.tick().await;
        // A node that is started anew is looked at again: the channel dials anew.
        match look(&mut client).await {
            Ok(state) => printer.redraw(&state)?,
            Err(failure) => printer.note(&failure),
        }
    }
}

async fn look(client: &mut NodeServiceClient<Channel>) -> Result<State, Failure> {
    Ok(State::of(client.get_status(GetStatusRequest {}).await?.into_inner()))
}

/// A status as `status --output json` shows it.
pub(super) fn as_json(status: GetStatusResponse) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec_pretty(&State::of(status))
}

/// The state of a node as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct State {
    alliance: String,
    member: String,
    version: String,
    roster_serial: u64,
    started_at: Option<String>,
    own_live_signals: u64,
    /// Lower-case hexadecimal. Nodes that hold the same entries show the same.
    view_digest: String,
    store: Store,
    freshness: FreshnessView,
    peers: Vec<Peer>,
    keys: Vec<Key>,
    /// How the holders of shared keys answered this node since it started.
    key_holders: Vec<KeyHolder>,
    /// Why no pseudonyms can be computed; empty while they can.
    key_problem: String,
    forks: Vec<Fork>,
    /// Of those of whose signals any dispute was decided.
    accuracy: Vec<Accuracy>,
    watches: u64,
    /// Alerts that nobody has acknowledged.
    alerts: u64,
    /// How deliveries of alerts go; null where there is no webhook.
    webhook: Option<Webhook>,
    /// When certificates and revocation lists end.
    deadlines: Vec<Deadline>,
    /// Errors of calls since the node started, the most frequent first.
    faults: Vec<FaultCount>,
}

#[derive(Debug, Serialize)]
struct Webhook {
    delivered_at: Option<String>,
    failing_since: Option<String>,
    /// Code and words of the last failure; empty where there was none since the last delivery.
    last_error: String,
}

#[derive(Debug, Serialize)]
struct Store {
    disk_bytes: u64,
    free_bytes: u64,
    index_rows: u64,
    writable: bool,
    /// Why it is not; empty while it is.
    problem: String,
    /// What waits to be written.
    queued_requests: u64,
    queued_bytes: u64,
    /// Null for never.
    last_backup_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Peer {
    member: String,
    address: String,
    connected: bool,
    /// Code of the last failure, or empty.
    last_error: String,
    last_error_detail: String,
    last_heard: Option<String>,
    received_bytes: u64,
    sent_bytes: u64,
    /// The program that it ran when it was last connected.
    version: String,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    scheme: String,
    state: String,
}

#[derive(Debug, Serialize)]
struct KeyHolder {
    member: String,
    answered_at: Option<String>,
    /// Null where it never answered.
    latency_us: Option<u64>,
    failed_at: Option<String>,
    /// Code of that failure, or empty.
    last_error: String,
    last_error_detail: String,
    /// When it last answered what is not true.
    wrong_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Fork {
    member: String,
    audience: String,
    found_at: Option<String>,
    /// Signed notes, as `feed verify --checkpoint` takes them.
    first_checkpoint: String,
    second_checkpoint: String,
}

impl State {
    fn of(status: GetStatusResponse) -> Self {
        let now_ms = status.freshness.as_ref().map_or(0, |freshness| freshness.as_of_ms);
        Self {
            alliance: status.alliance,
            member: status.member,
            version: status.version,
            roster_serial: status.roster_serial,
            started_at: words::instant(status.started_at_ms),
            own_live_signals: status.own_live_signals,
            view_digest: hex::encode(&status.view_digest),
            store: status.store.unwrap_or_default().into(),
            freshness: FreshnessView::of(status.freshness.unwrap_or_default()),
            peers: status.peers.into_iter().map(Peer::from).collect(),
            keys: status.keys.into_iter().map(Key::from).collect(),
            key_holders: status.key_holders.into_iter().map(KeyHolder::from).collect(),
            key_problem: status.key_problem,
            forks: status.forks.into_iter().map(Fork::from).collect(),
            accuracy: status.accuracy.into_iter().map(Accuracy::from).collect(),
            watches: status.watches,
            alerts: status.alerts,
            webhook: status.webhook.map(Webhook::from),
            deadlines: status.deadlines.into_iter().map(|deadline| Deadline::of(deadline, now_ms)).collect(),
            faults: status.faults.into_iter().map(FaultCount::from).collect(),
        }
    }
}

impl From<WebhookStatus> for Webhook {
    fn from(WebhookStatus { delivered_at_ms, failing_since_ms, last_error }: WebhookStatus) -> Self {
        let (delivered_at, failing_since) = (words::instant(delivered_at_ms), words::instant(failing_since_ms));
        Self { delivered_at, failing_since, last_error }
    }
}

impl Webhook {
    fn line(&self) -> String {
        let delivered =
            self.delivered_at.as_deref().map_or("none delivered yet".to_owned(), |at| format!("last delivered {at}"));
        match &self.failing_since {
            Some(since) => format!("NOT TAKEN since {since}: {}; {delivered}", self.last_error),
            None => delivered,
        }
    }
}

/// What became of a member's disputed signals.
#[derive(Debug, Serialize)]
struct Accuracy {
    member: String,
    upheld: u64,
    refuted: u64,
    refuted_percent: u64,
}

impl From<MemberAccuracy> for Accuracy {
    fn from(MemberAccuracy { member, upheld, refuted }: MemberAccuracy) -> Self {
        let refuted_percent = (refuted * 100).checked_div(upheld + refuted).unwrap_or(0);
        Self { member, upheld, refuted, refuted_percent }
    }
}

impl Accuracy {
    const HEAD: [&'static str; 4] = ["disputed", "upheld", "refuted", "share refuted"];

    fn row(&self) -> Vec<String> {
        let numbers = [self.upheld.to_string(), self.refuted.to_string(), format!("{} %", self.refuted_percent)];
        std::iter::once(self.member.clone()).chain(numbers).collect()
    }
}

impl From<StoreStatus> for Store {
    fn from(store: StoreStatus) -> Self {
        let StoreStatus { disk_bytes, free_bytes, index_rows, writable, problem, queued_requests, queued_bytes, .. } = store;
        let last_backup_at = words::instant(store.last_backup_at_ms);
        Self { disk_bytes, free_bytes, index_rows, writable, problem, queued_requests, queued_bytes, last_backup_at }
    }
}

impl Store {
    /// Empty where nothing waits.
    fn queue(&self) -> String {
        let Self { queued_requests, queued_bytes, .. } = self;
        if queued_requests + queued_bytes == 0 {
            return String::new();
        }
        format!("{} of {} to be written", counted(*queued_requests, "request"), words::bytes(*queued_bytes))
    }
}

impl From<PeerStatus> for Peer {
    fn from(peer: PeerStatus) -> Self {
        let PeerStatus { member, address, connected, last_error, last_error_detail, last_heard_ms, .. } = peer;
        let (received_bytes, sent_bytes, version) = (peer.received_bytes, peer.sent_bytes, peer.version);
        let last_heard = words::instant(last_heard_ms);
        Self { member, address, connected, last_error, last_error_detail, last_heard, received_bytes, sent_bytes, version }
    }
}

impl From<KeyStatus> for Key {
    fn from(key: KeyStatus) -> Self {
        let KeyStatus { id, scheme, state } = key;
        Self { id, scheme, state }
    }
}

impl From<KeyHolderStatus> for KeyHolder {
    fn from(holder: KeyHolderStatus) -> Self {
        let KeyHolderStatus { member, answered_at_ms, latency_us, failed_at_ms, last_error, last_error_detail, wrong_at_ms } =
            holder;
        Self {
            member,
            answered_at: words::instant(answered_at_ms),
            latency_us: (answered_at_ms != 0).then_some(latency_us),
            failed_at: words::instant(failed_at_ms),
            last_error,
            last_error_detail,
            wrong_at: words::instant(wrong_at_ms),
        }
    }
}

impl KeyHolder {
    const HEAD: [&'static str; 4] = ["key holder", "last answer", "takes", "notice"];

    /// Whether its last answer is later than its last failure. Both are written the same way.
    fn is_well(&self) -> bool {
        self.failed_at <= self.answered_at
    }

    fn row(&self) -> Vec<String> {
        let takes = self.latency_us.map_or_else(String::new, |us| format!("{}.{} ms", us / 1_000, us % 1_000 / 100));
        let notice = match (&self.wrong_at, self.is_well(), &self.answered_at) {
            (Some(_), ..) => "WRONG ANSWER",
            (None, true, None) => "not asked yet",
            (None, true, Some(_)) => "",
            (None, false, _) => "does not answer",
        };
        vec![self.member.clone(), self.answered_at.clone().unwrap_or_else(|| "never".to_owned()), takes, notice.to_owned()]
    }

    /// What is wrong with it, on a line of its own.
    fn problem(&self) -> Option<String> {
        let Self { member, failed_at, last_error, last_error_detail, .. } = self;
        if let Some(wrong_at) = &self.wrong_at {
            let sentence = "see the files in data_dir/evidence and `countermark key evidence`";
            return Some(plain(&format!("{member}: ANSWERED WHAT IS NOT TRUE at {wrong_at}; {sentence}")) + "\n");
        }
        let failed_at = failed_at.as_ref().filter(|_| !self.is_well())?;
        Some(plain(&format!("{member}: {last_error} at {failed_at}: {last_error_detail}")) + "\n")
    }
}

impl From<ForkStatus> for Fork {
    fn from(fork: ForkStatus) -> Self {
        let ForkStatus { member, audience, first_checkpoint, second_checkpoint, found_at_ms } = fork;
        Self { member, audience, found_at: words::instant(found_at_ms), first_checkpoint, second_checkpoint }
    }
}

impl Store {
    fn line(&self) -> String {
        let sizes = format!("{} on disk, {} free", words::bytes(self.disk_bytes), words::bytes(self.free_bytes));
        if self.writable { sizes } else { format!("NOT WRITABLE: {}; {sizes}", self.problem) }
    }
}

impl Peer {
    const HEAD: [&'static str; 6] = ["peer", "address", "connected", "last heard", "received", "version"];

    /// The last failure, on a line of its own: its text is as long as it needs to be.
    fn error(&self) -> Option<String> {
        let detail = if self.last_error_detail.is_empty() { String::new() } else { format!(": {}", self.last_error_detail) };
        (!self.last_error.is_empty()).then(|| plain(&format!("{}: {}{detail}", self.member, self.last_error)) + "\n")
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.member.clone(),
            self.address.clone(),
            if self.connected { "yes" } else { "no" }.to_owned(),
            self.last_heard.clone().unwrap_or_else(|| "never".to_owned()),
            words::bytes(self.received_bytes),
            self.version.clone(),
        ]
    }
}

impl Show for State {
    fn table(&self) -> String {
        let digest = self.view_digest.get(..16).unwrap_or(&self.view_digest);
        let watches = format!("{} kept, {} to acknowledge", self.watches, counted(self.alerts, "alert"));
        let head = [
            ("node", format!("{} in {}, version {}", self.member, self.alliance, self.version)),
            ("started", self.started_at.clone().unwrap_or_default()),
            ("roster", self.roster_serial.to_string()),
            ("own signals", format!("{} live", self.own_live_signals)),
            ("store", self.store.line()),
            ("queue", self.store.queue()),
            ("last backup", self.store.last_backup_at.clone().unwrap_or_else(|| "never".to_owned())),
            ("index", format!("{} rows, view {digest}", self.store.index_rows)),
            ("watches", if self.watches + self.alerts == 0 { String::new() } else { watches }),
            ("webhook", self.webhook.as_ref().map(Webhook::line).unwrap_or_default()),
        ];
        let head = facts(head.into_iter().filter(|(_, value)| !value.is_empty()));
        let feeds = table(&FeedView::HEAD, self.freshness.feeds().iter().map(FeedView::row));
        let errors: String = self.peers.iter().filter_map(Peer::error).collect();
        let peers = table(&Peer::HEAD, self.peers.iter().map(Peer::row)) + &errors;
        let keys = self.keys.iter().map(|key| vec![key.id.clone(), key.scheme.clone(), key.state.clone()]);
        let keys = table(&["key", "scheme", "state"], keys) + &self.key_problem();
        let holders = if self.key_holders.is_empty() {
            String::new()
        } else {
            let problems: String = self.key_holders.iter().filter_map(KeyHolder::problem).collect();
            table(&KeyHolder::HEAD, self.key_holders.iter().map(KeyHolder::row)) + &problems
        };
        let forks: String = self.forks.iter().map(Fork::line).collect();
        let accuracy = if self.accuracy.is_empty() {
            String::new()
        } else {
            table(&Accuracy::HEAD, self.accuracy.iter().map(Accuracy::row))
        };
        let ends = table(&Deadline::HEAD, self.deadlines.iter().map(Deadline::row));
        let parts = [head, feeds, peers, keys, holders, accuracy, ends, faults(&self.faults), forks];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl State {
    fn key_problem(&self) -> String {
        if self.key_problem.is_empty() { String::new() } else { plain(&format!("NO PSEUDONYMS: {}", self.key_problem)) + "\n" }
    }
}

impl Fork {
    fn line(&self) -> String {
        let found = self.found_at.as_deref().unwrap_or_default();
        let feed = plain(&format!("{}/{}", self.member, self.audience));
        format!("FORK of {feed}, found {found}: its member signed two histories; --output json shows both checkpoints\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto;
    use crate::rpc::proto::{FeedFreshness, FeedState, Freshness};

    const NOW_MS: i64 = 1_795_305_600_000;

    fn state() -> State {
        let feed = |member: &str, state: FeedState, heard| FeedFreshness {
            member: member.into(),
            audience: "all".into(),
            size: 5,
            newest_size: 5,
            last_heard_ms: heard,
            state: state as i32,
            live_signals: 4,
            not_understood: 0,
            missing: 0,
        };
        State::of(GetStatusResponse {
            accuracy: vec![],
            watches: 0,
            alerts: 0,
            webhook: None,
            alliance: "alliance.example".into(),
            member: "acme".into(),
            version: "0.1.0".into(),
            roster_serial: 3,
            started_at_ms: NOW_MS - 1_000,
            store: Some(StoreStatus {
                disk_bytes: 2_048,
                free_bytes: 20 << 30,
                index_rows: 12,
                writable: false,
                problem: "no room on the volume".into(),
                queued_requests: 2,
                queued_bytes: 65_536,
                last_backup_at_ms: NOW_MS - 86_400_000,
            }),
            deadlines: vec![
                proto::Deadline { what: "node_certificate".into(), at_ms: NOW_MS + 29 * 86_400_000 },
                proto::Deadline { what: "alliance_ca".into(), at_ms: NOW_MS + 3_000 * 86_400_000 },
                proto::Deadline { what: "client_crl".into(), at_ms: NOW_MS - 1 },
            ],
            faults: vec![proto::FaultCount {
                listener: "clients".into(),
                method: "ScreeningService/CheckSeller".into(),
                code: "PHONE_INVALID".into(),
                count: 7,
            }],
            freshness: Some(Freshness {
                as_of_ms: NOW_MS,
                feeds: vec![feed("acme", FeedState::Followed, NOW_MS), feed("globex", FeedState::Quarantined, NOW_MS - 2_000)],
            }),
            peers: vec![PeerStatus {
                member: "globex".into(),
                address: "127.0.0.1:7400".into(),
                connected: false,
                last_error: "PEER_UNREACHABLE".into(),
                last_error_detail: "the node cannot be reached".into(),
                last_heard_ms: NOW_MS - 2_000,
                received_bytes: 4_096,
                sent_bytes: 10,
                version: "0.1.0 (protocol 1)".into(),
            }],
            view_digest: vec![0xab; 32].into(),
            key_holders: vec![
                KeyHolderStatus {
                    member: "acme".into(),
                    answered_at_ms: NOW_MS - 1_000,
                    latency_us: 3_250,
                    failed_at_ms: NOW_MS - 9_000,
                    last_error: "HOLDER_TIMEOUT".into(),
                    last_error_detail: "acme did not answer in time".into(),
                    wrong_at_ms: 0,
                },
                KeyHolderStatus {
                    member: "globex".into(),
                    failed_at_ms: NOW_MS - 1_000,
                    last_error: "PEER_UNREACHABLE".into(),
                    last_error_detail: "the node cannot be reached".into(),
                    ..KeyHolderStatus::default()
                },
                KeyHolderStatus {
                    member: "initech".into(),
                    answered_at_ms: NOW_MS - 3_000,
                    latency_us: 12_000,
                    failed_at_ms: NOW_MS - 3_000,
                    last_error: "PROOF_WRONG".into(),
                    last_error_detail: "initech answered what does not verify".into(),
                    wrong_at_ms: NOW_MS - 3_000,
                },
            ],
            keys: vec![KeyStatus { id: "k1".into(), scheme: "hmac-sha256".into(), state: "active".into() }],
            forks: vec![ForkStatus {
                member: "globex".into(),
                audience: "all".into(),
                first_checkpoint: "one".into(),
                second_checkpoint: "two".into(),
                found_at_ms: NOW_MS - 2_000,
            }],
            own_live_signals: 4,
            key_problem: "KEY_MISSING: the key k2 is missing".into(),
        })
    }

    #[test]
    fn the_state_at_a_glance() {
        let expected = "\
node           acme in alliance.example, version 0.1.0
started        2026-11-21T23:59:59Z
roster         3
own signals    4 live
store          NOT WRITABLE: no room on the volume; 2 KiB on disk, 20 GiB free
queue          2 requests of 64 KiB to be written
last backup    2026-11-21T00:00:00Z
index          12 rows, view abababababababab

FEED        ENTRIES  BEHIND  LIVE  LAST HEARD  NOTICE
acme/all    5        0       4     0 s ago
globex/all  5        0       4     2 s ago     quarantined

PEER    ADDRESS         CONNECTED  LAST HEARD            RECEIVED  VERSION
globex  127.0.0.1:7400  no         2026-11-21T23:59:58Z  4 KiB     0.1.0 (protocol 1)
globex: PEER_UNREACHABLE: the node cannot be reached

KEY  SCHEME       STATE
k1   hmac-sha256  active
NO PSEUDONYMS: KEY_MISSING: the key k2 is missing

KEY HOLDER  LAST ANSWER           TAKES    NOTICE
acme        2026-11-21T23:59:59Z  3.2 ms
globex      never                          does not answer
initech     2026-11-21T23:59:57Z  12.0 ms  WRONG ANSWER
globex: PEER_UNREACHABLE at 2026-11-21T23:59:59Z: the node cannot be reached
initech: ANSWERED WHAT IS NOT TRUE at 2026-11-21T23:59:57Z; see the files in data_dir/evidence and `countermark key evidence`

ENDS              AT                    LEFT
node certificate  2026-12-21T00:00:00Z  29 days: RENEW IT
alliance ca       2035-02-08T00:00:00Z  3000 days
client crl        2026-11-21T23:59:59Z  OVERDUE

ERROR          SINCE THE START  LISTENER  METHOD
PHONE_INVALID  7                clients   ScreeningService/CheckSeller

FORK of globex/all, found 2026-11-21T23:59:58Z: its member signed two histories; --output json shows both checkpoints
";
        assert_eq!(state().table(), expected);
    }

    #[test]
    fn the_state_for_a_program() {
        let json = serde_json::to_value(state()).expect("JSON");
        let keys: Vec<&String> = json.as_object().expect("object").keys().collect();
        assert_eq!(
            keys,
            [
                "accuracy",
                "alerts",
                "alliance",
                "deadlines",
                "faults",
                "forks",
                "freshness",
                "key_holders",
                "key_problem",
                "keys",
                "member",
                "own_live_signals",
                "peers",
                "roster_serial",
                "started_at",
                "store",
                "version",
                "view_digest",
                "watches",
                "webhook"
            ]
        );
        assert_eq!(json["store"]["writable"], false);
        assert_eq!(json["forks"][0]["second_checkpoint"], "two");
        assert_eq!(json["peers"][0]["received_bytes"], 4_096);
    }
}
