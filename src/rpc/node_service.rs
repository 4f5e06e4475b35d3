use std::cmp::Reverse;
use std::future::ready;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use super::access::AccessList;
use super::convert;
use super::fault::Fault;
use super::meters::{CallMeters, FaultLabels};
use super::proto;
use super::proto::backup_response::Part;
use super::proto::node_service_server::NodeService;
use super::proto::{
    BackupRequest, BackupResponse, GetStatusRequest, GetStatusResponse, PurgeStoreRequest, PurgeStoreResponse,
    RebuildIndexRequest, RebuildIndexResponse, ReloadRequest, ReloadResponse,
};
use super::rows::Responses;
use crate::domain::{FieldError, MemberId, Role, Timestamp};
use crate::replication::PeerStatus;
use crate::service::{Accuracy, Deadline, DeliveryStatus, HolderStanding, NodeReport, NodeState, ReloadDesk};
use crate::store::{Backup, BackupPlace};

/// `countermark.v1.NodeService`.
#[derive(Clone)]
pub struct NodeServer {
    /// What the node knows of itself.
    pub state: Arc<NodeState>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
    /// What calls ended with.
    pub calls: CallMeters,
    /// Has the configuration read again.
    pub reloads: ReloadDesk,
    /// Ends every stream.
    pub shutdown: CancellationToken,
}

#[tonic::async_trait]
impl NodeService for NodeServer {
    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        self.access.load().require(&request, &[])?;
        let state = self.state.clone();
        let report = tokio::task::spawn_blocking(move || state.report()).await;
        let report = report.map_err(|_| Fault::new(Code::Internal, "STATUS_PANICKED", "the status could not be read"))?;
        Ok(Response::new(status(report, &self.calls)))
    }

    async fn rebuild_index(&self, request: Request<RebuildIndexRequest>) -> Result<Response<RebuildIndexResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let (before, after) = self.state.rebuild().await.map_err(Fault::from)?;
        Ok(Response::new(RebuildIndexResponse {
            view_digest_before: Bytes::copy_from_slice(&before.view_digest.0),
            view_digest_after: Bytes::copy_from_slice(&after.view_digest.0),
            index_rows_before: before.index_rows,
            index_rows_after: after.index_rows,
        }))
    }

    async fn reload(&self, request: Request<ReloadRequest>) -> Result<Response<ReloadResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        match self.reloads.reload().await {
            Ok(()) => Ok(Response::new(ReloadResponse {})),
            // Who may have it reloaded may know where its files lie.
            Err(refusal) => Err(Fault::new(Code::FailedPrecondition, refusal.code, refusal.sentence).unlogged()),
        }
    }

    type BackupStream = Responses<BackupResponse>;

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let place = place(request.into_inner()).map_err(Fault::from)?;
        let backup = self.state.store.back_up(place).await.map_err(Fault::from)?;
        let begun = proto::BackupBegun {
            backup: backup.id().to_string(),
            alliance: self.state.directory.alliance().to_string(),
            member: self.state.directory.member().to_string(),
            secretariat_key: Bytes::copy_from_slice(&self.state.directory.secretariat().0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms: self.state.clock.now().unix_ms(),
        };
        let begun = stream::once(ready(Ok(BackupResponse { part: Some(Part::Begun(begun)) })));
        Ok(Response::new(Box::pin(begun.chain(pieces(self.state.clone(), backup, self.shutdown.clone())))))
    }

    async fn purge_store(&self, request: Request<PurgeStoreRequest>) -> Result<Response<PurgeStoreResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let purged = self.state.store.purge().await.map_err(Fault::from)?;
        Ok(Response::new(PurgeStoreResponse { purged }))
    }
}

pub(super) fn place(request: BackupRequest) -> Result<Option<BackupPlace>, FieldError> {
    let BackupRequest { backup, after } = request;
    match (backup.is_empty(), after.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(BackupPlace { id: backup.parse()?, after: after.to_vec() })),
        _ => Err(FieldError::new("BACKUP_PLACE_INCOMPLETE", "after", "give both backup and after, or neither")),
    }
}

/// What is left of a backup, as fast as its reader takes it.
fn pieces(
    state: Arc<NodeState>,
    backup: Backup,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<BackupResponse, Status>> + Send {
    stream::unfold(Some(backup), move |backup| {
        let (state, shutdown) = (state.clone(), shutdown.clone());
        async move {
            let backup = backup?;
            let stopping = || Fault::new(Code::Unavailable, "NODE_STOPPING", "the node is stopping");
            let next = shutdown.run_until_cancelled(state.next_piece(backup)).await;
            match next.ok_or_else(stopping).and_then(|next| next.map_err(Fault::from)) {
                Ok((backup, piece)) => {
                    let rest = (!piece.is_last()).then_some(backup);
                    let piece = proto::BackupPiece {
                        rows: piece.encode().into(),
                        until: Bytes::copy_from_slice(piece.until().unwrap_or_default()),
                        is_last: piece.is_last(),
                        at_ms: state.clock.now().unix_ms(),
                    };
                    Some((Ok(BackupResponse { part: Some(Part::Piece(piece)) }), rest))
                }
                Err(fault) => Some((Err(fault.into()), None)),
            }
        }
    })
}

fn accuracy((member, accuracy): (&MemberId, &Accuracy)) -> proto::MemberAccuracy {
    proto::MemberAccuracy { member: member.to_string(), upheld: accuracy.upheld, refuted: accuracy.refuted }
}

/// The errors that a status names.
const MOST_FAULTS: usize = 32;

fn faults(calls: &CallMeters) -> Vec<proto::FaultCount> {
    let mut faults = calls.faults();
    faults.sort_by_key(|(_, count)| Reverse(*count));
    let counted = faults.into_iter().take(MOST_FAULTS).map(|(FaultLabels { listener, method, reason }, count)| {
        proto::FaultCount { listener: listener.to_owned(), method: method.to_string(), code: reason, count }
    });
    counted.collect()
}

fn deadline(deadline: &Deadline) -> proto::Deadline {
    proto::Deadline { what: deadline.ending.as_str().to_owned(), at_ms: deadline.at.unix_ms() }
}

fn status(report: NodeReport, calls: &CallMeters) -> GetStatusResponse {
    let keys = report.keys.iter().map(|key| proto::KeyStatus {
        id: key.id.to_string(),
        scheme: key.scheme.to_string(),
        state: key.state.to_string(),
    });
    let note = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let forks = report.forks.iter().map(|(feed, fork)| proto::ForkStatus {
        member: feed.member.to_string(),
        audience: feed.audience.to_string(),
        first_checkpoint: note(&fork.first),
        second_checkpoint: note(&fork.second),
        found_at_ms: fork.found_at.unix_ms(),
    });
    let (problem_code, problem) = report.health.problem.clone().unwrap_or_default();
    GetStatusResponse {
        alliance: report.alliance.to_string(),
        member: report.member.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        roster_serial: report.roster_serial,
        started_at_ms: report.started_at.unix_ms(),
        store: Some(proto::StoreStatus {
            disk_bytes: report.health.disk_bytes,
            free_bytes: report.health.free_bytes,
            index_rows: report.health.index_rows,
            writable: report.health.problem.is_none(),
            problem: if problem.is_empty() { problem } else { format!("{problem_code}: {problem}") },
            queued_requests: report.health.queue.requests as u64,
            queued_bytes: report.health.queue.bytes as u64,
            last_backup_at_ms: report.health.backed_up_at.map_or(0, Timestamp::unix_ms),
        }),
        freshness: Some(convert::freshness(&report.freshness)),
        peers: report.peers.into_iter().map(peer).collect(),
        view_digest: Bytes::copy_from_slice(&report.view_digest.0),
        keys: keys.collect(),
        forks: forks.collect(),
        accuracy: report.accuracy.iter().map(accuracy).collect(),
        own_live_signals: report.own_live_signals,
        watches: report.watches.0,
        alerts: report.watches.1,
        webhook: report.deliveries.map(webhook),
        key_holders: report.key_holders.into_iter().map(key_holder).collect(),
        key_problem: report.key_problem.map_or_else(String::new, |error| format!("{}: {error}", error.code())),
        deadlines: report.deadlines.iter().map(deadline).collect(),
        faults: faults(calls),
    }
}

fn key_holder((member, standing): (MemberId, HolderStanding)) -> proto::KeyHolderStatus {
    let HolderStanding { latency, answered_at, failure, wrong_at } = standing;
    let unix_ms = |at: Option<Timestamp>| at.map_or(0, Timestamp::unix_ms);
    let failed_at = failure.as_ref().map(|failure| failure.at);
    let (last_error, last_error_detail) = failure.map(|failure| (failure.code, failure.detail)).unwrap_or_default();
    proto::KeyHolderStatus {
        member: member.to_string(),
        answered_at_ms: unix_ms(answered_at),
        latency_us: latency.map_or(0, |latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
        failed_at_ms: unix_ms(failed_at),
        last_error,
        last_error_detail,
        wrong_at_ms: unix_ms(wrong_at),
    }
}

fn webhook(status: DeliveryStatus) -> proto::WebhookStatus {
    proto::WebhookStatus {
        delivered_at_ms: status.delivered_at.map_or(0, Timestamp::unix_ms),
        failing_since_ms: status.failing_since.map_or(0, Timestamp::unix_ms),
        last_error: status.last_error.map(|(code, detail)| format!("{code}: {detail}")).unwrap_or_default(),
    }
}

fn peer(status: PeerStatus) -> proto::PeerStatus {
    let failure = status.last_error.map(|failure| (failure.code.to_owned(), failure.detail));
    let (last_error, last_error_detail) = failure.unwrap_or_default();
    proto::PeerStatus {
        member: status.member.to_string(),
        address: status.address,
        connected: status.connected,
        last_error,
        last_error_detail,
        last_heard_ms: status.last_heard.map_or(0, Timestamp::unix_ms),
        received_bytes: status.traffic.received_bytes,
        sent_bytes: status.traffic.sent_bytes,
        version: status.version.map_or_else(String::new, |version| version.to_string()),
    }
}
