use std::sync::atomic::AtomicU64;
use std::time::Duration;

use procfs::WithCurrentSystemInfo as _;
use procfs::process::{LimitValue, Process};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::{FeedId, MemberId, Timestamp};
use crate::rpc::acceptor::OpenConnections;
use crate::rpc::{FaultLabels, Listener};
use crate::service::NodeReport;
use crate::store::{FeedFreshness, FeedState};

/// What the node knows of itself at one moment.
pub(super) struct AtHand<'a> {
    pub(super) report: &'a NodeReport,
    pub(super) faults: Vec<(FaultLabels, u64)>,
    pub(super) connections: &'a [(Listener, OpenConnections)],
}

type Labels = Vec<(&'static str, String)>;

/// Metrics of one moment, each registered once it has its values.
struct Snapshot(Registry);

impl Snapshot {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn gauges(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        rows.into_iter().for_each(|(labels, value)| {
            family.get_or_create(&labels).set(value);
        });
        self.0.register(name, help, family);
    }

    fn counters(&mut self, name: &str, help: &str, rows: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        rows.into_iter().for_each(|(labels, value)| {
            family.get_or_create(&labels).inc_by(value);
        });
        self.0.register(name, help, family);
    }
}

/// Whole numbers up to 2^53 stay exact.
#[allow(clippy::cast_precision_loss)]
const fn number(value: u64) -> f64 {
    value as f64
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Seconds since 1970.
#[allow(clippy::cast_precision_loss)]
const fn instant(at: Timestamp) -> f64 {
    at.unix_ms() as f64 / 1_000.0
}

fn member_label(member: &MemberId) -> Labels {
    vec![("member", member.to_string())]
}

fn feed_labels(feed: &FeedId) -> Labels {
    vec![("member", feed.member.to_string()), ("audience", feed.audience.to_string())]
}

/// The node's own metrics.
pub(super) fn gauges(at_hand: &AtHand<'_>) -> Registry {
    let mut snapshot = Snapshot(Registry::with_prefix("countermark"));
    let report = at_hand.report;
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("member", report.member.to_string())];
    snapshot.gauges("build_info", "The program and whose node it is; always 1", [(version, 1.0)]);
    snapshot.gauge("roster_serial", "Serial of the roster in force", number(report.roster_serial));
    calls(&mut snapshot, at_hand);
    store(&mut snapshot, report);
    feeds(&mut snapshot, report);
    peers(&mut snapshot, report);
    keys(&mut snapshot, report);
    let ends = report.deadlines.iter().map(|of| (vec![("what", of.ending.as_str().to_owned())], instant(of.at)));
    snapshot.gauges("deadline_timestamp_seconds", "When a certificate or revocation list in force ends", ends);
    snapshot.gauge("watches", "Watches of this member", number(report.watches.0));
    snapshot.gauge("alerts_open", "Alerts that nobody has acknowledged", number(report.watches.1));
    let failing = report.deliveries.as_ref().is_some_and(|deliveries| deliveries.failing_since.is_some());
    snapshot.gauge("webhook_failing", "1 while the receiver of alerts does not take the one at hand", truth(failing));
    snapshot.0
}

fn calls(snapshot: &mut Snapshot, at_hand: &AtHand<'_>) {
    let label = |listener: &Listener| vec![("listener", listener.as_str().to_owned())];
    let open = at_hand.connections.iter().map(|(listener, open)| (label(listener), number(open.len() as u64)));
    snapshot.gauges("connections", "Connections that are open", open);
    let faults = at_hand.faults.iter().map(|(FaultLabels { listener, method, reason }, count)| {
        let labels = [("listener", (*listener).to_owned()), ("method", method.to_string()), ("code", reason.clone())];
        (labels.to_vec(), *count)
    });
    snapshot.counters("call_errors", "Calls that ended with an error, by stable code", faults);
}

fn store(snapshot: &mut Snapshot, report: &NodeReport) {
    let health = &report.health;
    snapshot.gauge("store_disk_bytes", "Bytes of the store on disk", number(health.disk_bytes));
    snapshot.gauge("store_free_bytes", "Bytes free on the store's volume", number(health.free_bytes));
    snapshot.gauge("store_index_rows", "Pairs of pseudonym and signal in the index in memory", number(health.index_rows));
    snapshot.gauge("store_writable", "0 while nothing can be written", truth(health.problem.is_none()));
    snapshot.gauge("store_queue_requests", "Requests that wait to be written", number(health.queue.requests as u64));
    snapshot.gauge("store_queue_bytes", "Their bytes", number(health.queue.bytes as u64));
    let backed_up_at = health.backed_up_at.map_or(0.0, instant);
    snapshot.gauge("store_last_backup_timestamp_seconds", "When a backup came to its end last; 0 for never", backed_up_at);
    snapshot.gauge("own_live_signals", "Live signals of this member", number(report.own_live_signals));
}

fn feeds(snapshot: &mut Snapshot, report: &NodeReport) {
    let feeds = &report.freshness.feeds;
    let each = |value: fn(&FeedFreshness) -> u64| {
        let row = move |feed: &FeedFreshness| (feed_labels(&feed.feed), number(value(feed)));
        feeds.iter().map(row).collect::<Vec<_>>()
    };
    snapshot.gauges("feed_entries", "Entries held of a feed", each(|feed| feed.size.get()));
    let behind = "Entries of a feed that its member has signed and this node does not hold";
    let behind_by = |feed: &FeedFreshness| feed.newest_size.get().saturating_sub(feed.size.get());
    snapshot.gauges("feed_behind_entries", behind, each(behind_by));
    let lag = "How long ago what is held of a feed was last known to be all that its member had signed";
    let lags = report.lags.iter().map(|(feed, lag)| (feed_labels(feed), Duration::as_secs_f64(lag)));
    snapshot.gauges("feed_lag_seconds", lag, lags);
    snapshot.gauges("feed_live_signals", "Signals of a feed that are not withdrawn", each(|feed| feed.live_signals));
    let missing = "Entries of a feed whose content is missing though no erasure names them";
    snapshot.gauges("feed_missing_entries", missing, each(|feed| feed.missing));
    let state = |feed: &FeedFreshness| {
        let mut labels = feed_labels(&feed.feed);
        labels.push(("state", state_name(feed.state).to_owned()));
        (labels, 1.0)
    };
    snapshot.gauges("feed_state", "The state that a feed is in; always 1", feeds.iter().map(state));
    snapshot.gauge("forks", "Feeds whose member signed two histories", number(report.forks.len() as u64));
}

const fn state_name(state: FeedState) -> &'static str {
    match state {
        FeedState::Followed => "followed",
        FeedState::Quarantined => "quarantined",
        FeedState::Expelled => "expelled",
        FeedState::Behind => "behind",
        FeedState::Unconfirmed => "unconfirmed",
    }
}

fn peers(snapshot: &mut Snapshot, report: &NodeReport) {
    let peers = &report.peers;
    let connected = peers.iter().map(|peer| (member_label(&peer.member), truth(peer.connected)));
    snapshot.gauges("peer_connected", "1 while there is a session with a peer", connected);
    let received = peers.iter().map(|peer| (member_label(&peer.member), peer.traffic.received_bytes));
    snapshot.counters("peer_received_bytes", "Bytes of messages from a peer, on connections that this node opened", received);
    let sent = peers.iter().map(|peer| (member_label(&peer.member), peer.traffic.sent_bytes));
    snapshot.counters("peer_sent_bytes", "Bytes of messages to a peer, on connections that this node opened", sent);
}

fn keys(snapshot: &mut Snapshot, report: &NodeReport) {
    let ready = "0 while no pseudonyms can be made, and so nothing submitted or checked";
    snapshot.gauge("keys_ready", ready, truth(report.key_problem.is_none()));
    let holders = &report.key_holders;
    let latency = holders.iter().filter_map(|(member, of_it)| Some((member_label(member), of_it.latency?.as_secs_f64())));
    snapshot.gauges("key_holder_seconds", "How long a key holder takes to answer, the last answers counting most", latency);
    let failing = holders.iter().map(|(member, standing)| {
        let failed_at = standing.failure.as_ref().map(|failure| failure.at);
        (member_label(member), truth(failed_at > standing.answered_at))
    });
    snapshot.gauges("key_holder_failing", "1 where the last word of a key holder was a failure", failing);
    let wrong = holders.iter().map(|(member, standing)| (member_label(member), truth(standing.wrong_at.is_some())));
    snapshot.gauges("key_holder_wrong", "1 where a key holder answered what is not true since the node started", wrong);
}

/// What every process tells Prometheus, under the names that are usual for it. Without /proc there is little to tell; a service may be
/// shown its own process there alone, and so not when the machine started, from where its own start is counted.
pub(super) fn process(started_at: Timestamp) -> Registry {
    let mut snapshot = Snapshot(Registry::with_prefix("process"));
    snapshot.gauge("start_time_seconds", "When the process started", instant(started_at));
    let Ok(own) = Process::myself() else { return snapshot.0 };
    if let Ok(stat) = own.stat() {
        let seconds = number(stat.utime + stat.stime) / number(procfs::ticks_per_second());
        let cpu = Counter::<f64, AtomicU64>::default();
        cpu.inc_by(seconds);
        snapshot.0.register("cpu_seconds", "Processor time of the process", cpu);
        snapshot.gauge("resident_memory_bytes", "Memory of the process", number(stat.rss_bytes().get()));
        snapshot.gauge("virtual_memory_bytes", "Address space of the process", number(stat.vsize));
        snapshot.gauge("threads", "Threads of the process", number(u64::try_from(stat.num_threads).unwrap_or(0)));
    }
    if let Ok(open) = own.fd_count() {
        snapshot.gauge("open_fds", "File descriptors that are open", number(open as u64));
    }
    if let Ok(limits) = own.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        snapshot.gauge("max_fds", "File descriptors that may be open", number(most));
    }
    snapshot.0
}
