//! What the listeners count of their callers and calls, for whoever monitors the node.
//!
//! Labels are the names of methods, codes, members and clients, all of which the descriptors, this program, the roster and the
//! configuration bound: what a caller makes up is counted as `other`. Nothing of a message is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;
use tonic::Code;

use super::acceptor::Refusal;
use super::fault::Fault;
use super::identity::Identity;
use super::methods::{Kind, Method};

/// Seconds: from a check in memory to one that waits for a key holder's last deadline.
const BUCKETS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Which of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// For other members' nodes.
    Peers,
    /// For the member's own clients.
    Clients,
}

impl Listener {
    /// As it is written in a label: `peers` or `clients`, as in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Clients => "clients",
        }
    }
}

/// By listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabels {
    listener: &'static str,
}

/// By method.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MethodLabels {
    listener: &'static str,
    method: Arc<str>,
}

/// By method, how it ended, and who called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    listener: &'static str,
    method: Arc<str>,
    code: &'static str,
    /// A member on the peer listener, a client on the other.
    caller: String,
}

/// A kind of error that calls ended with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct FaultLabels {
    /// Where.
    pub listener: &'static str,
    /// Of which method, as `Service/Method`.
    pub method: Arc<str>,
    /// Stable code of this program's, or gRPC's where the error is of gRPC's own machinery.
    pub reason: String,
}

/// By stable code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    listener: &'static str,
    code: &'static str,
}

/// What became of a row, and with which stable code where it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RowLabels {
    outcome: &'static str,
    code: &'static str,
}

/// What is counted of rows, whether they came alone or on a stream. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct RowMeters(Family<RowLabels, Counter>);

impl RowMeters {
    /// Rows with the same outcome, in the words of the interface.
    pub(super) fn note<T>(&self, outcomes: &[Result<T, Fault>], name: impl Fn(&T) -> &'static str) {
        for outcome in outcomes {
            let labels = match outcome {
                Ok(done) => RowLabels { outcome: name(done), code: "" },
                Err(fault) => RowLabels { outcome: "refused", code: fault.code() },
            };
            self.0.get_or_create(&labels).inc();
        }
    }

    /// By outcome.
    #[must_use]
    pub fn family(&self) -> Family<RowLabels, Counter> {
        self.0.clone()
    }
}

type Timings = Family<MethodLabels, Histogram, fn() -> Histogram>;

/// What is counted of calls. Clones count together.
#[derive(Debug, Clone)]
pub struct CallMeters {
    /// Calls that have ended.
    pub calls: Family<CallLabels, Counter>,
    /// How long unary calls took, from their head to the end of their answer.
    pub seconds: Timings,
    /// Calls at hand.
    pub in_flight: Family<ListenerLabels, Gauge>,
    /// Callers that were not let in.
    pub refused: Family<RefusalLabels, Counter>,
    faults: Arc<Mutex<BTreeMap<FaultLabels, u64>>>,
}

impl Default for CallMeters {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Family::default(),
            faults: Arc::default(),
            refused: Family::default(),
        }
    }
}

impl CallMeters {
    /// A caller was not let in.
    pub fn refused(&self, listener: Listener, refusal: &Refusal) {
        self.refused.get_or_create(&RefusalLabels { listener: listener.as_str(), code: refusal.code.code() }).inc();
    }

    /// Which calls failed since the start, and how often with which stable code. It has no more rows than methods have codes.
    #[must_use]
    pub fn faults(&self) -> Vec<(FaultLabels, u64)> {
        self.faults.lock().iter().map(|(labels, count)| (labels.clone(), *count)).collect()
    }

    /// A call has come in.
    pub(super) fn begin(&self, listener: Listener, method: Method, identity: Option<&Identity>) -> CallMeter {
        let caller = identity.map_or("", Identity::own_name).to_owned();
        let listener = listener.as_str();
        self.in_flight.get_or_create(&ListenerLabels { listener }).inc();
        CallMeter { meters: self.clone(), listener, method, caller, begun: Instant::now(), code: Code::Cancelled }
    }
}

/// A call at hand. Dropped before [`Self::ended`] it counts as cancelled: nobody waits for its answer any more.
#[derive(Debug)]
pub(super) struct CallMeter {
    meters: CallMeters,
    listener: &'static str,
    method: Method,
    caller: String,
    begun: Instant,
    code: Code,
}

impl CallMeter {
    /// It has its answer, with this code, and where that is no success with this reason.
    pub(super) fn ended(&mut self, code: Code, reason: Option<&str>) {
        self.code = code;
        if code != Code::Ok {
            let reason = reason.unwrap_or_else(|| name_of(code)).to_owned();
            let labels = FaultLabels { listener: self.listener, method: self.method.name.clone(), reason };
            *self.meters.faults.lock().entry(labels).or_default() += 1;
        }
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        let Self { meters, listener, method: Method { name, kind, .. }, .. } = self;
        let (listener, method) = (*listener, name.clone());
        meters.in_flight.get_or_create(&ListenerLabels { listener }).dec();
        // Of a stream it would tell how much its caller had to ask.
        if matches!(kind, Kind::Unary | Kind::Large) {
            let took = self.begun.elapsed().as_secs_f64();
            meters.seconds.get_or_create(&MethodLabels { listener, method: method.clone() }).observe(took);
        }
        let caller = std::mem::take(&mut self.caller);
        meters.calls.get_or_create(&CallLabels { listener, method, code: name_of(self.code), caller }).inc();
    }
}

/// As gRPC names it (`google.rpc.Code`).
pub(super) const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::methods::Methods;

    fn method(path: &str) -> Method {
        Methods::of_descriptors().at(path).clone()
    }

    fn client(name: &str) -> Identity {
        format!("spiffe://alliance.example/member/acme/client/{name}").parse().expect("an identity")
    }

    #[test]
    fn methods_are_told_apart_and_what_a_caller_makes_up_is_not() {
        let meters = CallMeters::default();
        for path in ["/countermark.v1.ScreeningService/CheckSeller", "/made.Up/Name", "/made.Up/Other"] {
            meters.begin(Listener::Clients, method(path), Some(&client("desk"))).ended(Code::Ok, None);
        }
        let counted = |method: &str| {
            let caller = "desk".to_owned();
            let labels = CallLabels { listener: "clients", method: method.into(), code: "OK", caller };
            meters.calls.get(&labels).map(|counter| counter.get())
        };
        assert_eq!((counted("ScreeningService/CheckSeller"), counted("other"), counted("Up/Name")), (Some(1), Some(2), None));
    }

    #[test]
    fn a_call_whose_caller_has_left_is_cancelled_and_no_longer_at_hand() {
        let meters = CallMeters::default();
        let at_hand = || meters.in_flight.get_or_create(&ListenerLabels { listener: "peers" }).get();
        let call = meters.begin(Listener::Peers, method("/countermark.v1.PeerService/FollowFeeds"), None);
        assert_eq!(at_hand(), 1);
        drop(call);
        assert_eq!(at_hand(), 0);
        let (method, caller) = ("PeerService/FollowFeeds".into(), String::new());
        let labels = CallLabels { listener: "peers", method, code: "CANCELLED", caller };
        assert_eq!(meters.calls.get(&labels).map(|counter| counter.get()), Some(1));
        assert_eq!(meters.faults(), []);
    }

    #[test]
    fn errors_are_counted_by_their_stable_code() {
        let meters = CallMeters::default();
        for (code, reason) in
            [(Code::InvalidArgument, Some("PHONE")), (Code::InvalidArgument, Some("PHONE")), (Code::Unimplemented, None)]
        {
            meters.begin(Listener::Clients, method("/countermark.v1.ScreeningService/CheckSeller"), None).ended(code, reason);
        }
        let faults: Vec<_> = meters.faults().into_iter().map(|(labels, count)| (labels.reason, count)).collect();
        assert_eq!(faults, [("PHONE".to_owned(), 2), ("UNIMPLEMENTED".to_owned(), 1)]);
    }
}
