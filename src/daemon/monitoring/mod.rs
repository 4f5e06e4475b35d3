//! What a node shows to whoever watches over it: metrics for Prometheus, whether it lives, whether it can do its work.
//!
//! Everything here is read only, on a listener of its own that this machine alone reaches. Metrics come from two sources: what the
//! layers count as it happens, and what the node knows of itself at the moment of the question. Neither has a pseudonym, an
//! identifier or a word of a client in it; labels are names of the roster, of the configuration and of this program.

mod gauges;
mod http;
mod readiness;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::replication::PeerErrors;
use crate::rpc::acceptor::OpenConnections;
use crate::rpc::{CallMeters, Listener, RowMeters};
use crate::service::NodeState;
use crate::store::StoreMeters;
use gauges::{AtHand, gauges, process};
pub(super) use http::serve;
use readiness::{Reason, reasons};

/// What is counted as it happens.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) calls: CallMeters,
    pub(super) submissions: RowMeters,
    pub(super) checks: RowMeters,
}

impl Counted {
    fn register(&self, store: &StoreMeters, peers: PeerErrors) -> Registry {
        let mut registry = Registry::with_prefix("countermark");
        let calls = &self.calls;
        registry.register("calls", "Calls that have ended, by gRPC code and by who called", calls.calls.clone());
        registry.register("call_seconds", "How long unary calls took", calls.seconds.clone());
        registry.register("calls_in_flight", "Calls at hand", calls.in_flight.clone());
        registry.register("callers_refused", "Callers that were not let in, by stable code", calls.refused.clone());
        let submitted = "Rows of submissions: created, known, rekeyed, or refused with a stable code";
        registry.register("submissions", submitted, self.submissions.family());
        let checked = "Rows of checks by verdict, or refused with a stable code";
        registry.register("checks", checked, self.checks.family());
        let commits = "How long commits took to be forced to disk";
        registry.register("store_commit_seconds", commits, store.commit_seconds.clone());
        registry.register("store_failed_commits", "Commits that failed", store.failed_commits.clone());
        let requests = "Requests that the store's writer worked on; so many shared the commits";
        registry.register("store_requests", requests, store.requests.clone());
        let errors =
            "Sessions with peers that were lost or never came about, and what peers showed that was refused, by stable code";
        registry.register("peer_errors", errors, peers);
        registry
    }
}

/// What is asked at the monitoring listener.
pub(super) struct Monitor {
    state: Arc<NodeState>,
    calls: CallMeters,
    counted: Registry,
    connections: [(Listener, OpenConnections); 2],
    /// Cancelled once the node stops.
    serving: CancellationToken,
}

impl Monitor {
    pub(super) fn new(
        state: Arc<NodeState>,
        counted: &Counted,
        connections: [(Listener, OpenConnections); 2],
        serving: CancellationToken,
    ) -> Self {
        let registry = counted.register(&state.store.meters(), state.replicator.errors());
        Self { state, calls: counted.calls.clone(), counted: registry, connections, serving }
    }

    /// All metrics in the text format of Prometheus, version 0.0.4. Reads sizes of files.
    fn metrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let report = self.state.report();
        let at_hand = AtHand { report: &report, faults: self.calls.faults(), connections: &self.connections };
        prometheus_text::encode(&mut text, &self.counted)?;
        prometheus_text::encode(&mut text, &gauges(&at_hand))?;
        prometheus_text::encode(&mut text, &process(report.started_at))?;
        Ok(text)
    }

    /// Why the node should not be sent work now; none where it should.
    fn unready(&self) -> Vec<Reason> {
        reasons(&self.state.report(), self.serving.is_cancelled())
    }
}
