use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Response, Status, Streaming};

use super::access::peer_member;
use super::fault::Fault;
use super::peer_convert;
use super::proto::peer_service_server::PeerService;
use super::proto::{
    ExchangeVersionsRequest, ExchangeVersionsResponse, FollowFeedsRequest, FollowFeedsResponse, GetEntriesRequest,
    GetEntriesResponse, GetErasureReceiptRequest, GetErasureReceiptResponse, GetFrontierRequest, GetFrontierResponse,
    GetRosterRequest, GetRosterResponse, ListCheckpointsRequest, ListCheckpointsResponse,
};
use super::rows::Responses;
use crate::domain::limits::MAX_PEER_MESSAGE_BYTES;
use crate::domain::{NodeVersion, Seq};
use crate::replication::{FollowCommand, ServeContext, ServeError, serve};

/// Events on their way to one follower; with the largest batch, 4 MiB. Beyond it the follower's pace is the stream's.
const EVENTS_AHEAD: usize = 4;

/// `countermark.v1.PeerService`.
#[derive(Clone)]
pub struct PeerServer {
    /// What is served, and to whom.
    pub context: Arc<ServeContext>,
    /// Ends every stream.
    pub shutdown: CancellationToken,
}

impl From<ServeError> for Fault {
    fn from(error: ServeError) -> Self {
        let grpc = match &error {
            ServeError::NotAMember | ServeError::NotShared => Code::PermissionDenied,
            ServeError::NotHeld => Code::NotFound,
            ServeError::Store(_) => Code::Unavailable,
        };
        Self::new(grpc, error.code(), error.to_string())
    }
}

#[tonic::async_trait]
impl PeerService for PeerServer {
    async fn exchange_versions(
        &self,
        request: Request<ExchangeVersionsRequest>,
    ) -> Result<Response<ExchangeVersionsResponse>, Status> {
        peer_member(&request)?;
        let (own, theirs) = (NodeVersion::own(), peer_convert::version(request.into_inner().version).map_err(Fault::from)?);
        if own.common(&theirs).is_none() {
            let message = format!("this node runs {own}, the caller {theirs}; upgrade the older one");
            return Err(Fault::new(Code::FailedPrecondition, "PROTOCOL_UNSUPPORTED", message).into());
        }
        Ok(Response::new(ExchangeVersionsResponse { version: Some(peer_convert::version_to_wire(&own)) }))
    }

    async fn get_roster(&self, request: Request<GetRosterRequest>) -> Result<Response<GetRosterResponse>, Status> {
        peer_member(&request)?;
        Ok(Response::new(GetRosterResponse { note: self.context.roster_note() }))
    }

    async fn list_checkpoints(
        &self,
        request: Request<ListCheckpointsRequest>,
    ) -> Result<Response<ListCheckpointsResponse>, Status> {
        let peer = peer_member(&request)?;
        let heads = self.context.heads_for(&peer).await.map_err(Fault::from)?;
        Ok(Response::new(peer_convert::heads_to_wire(heads)))
    }

    async fn get_frontier(&self, request: Request<GetFrontierRequest>) -> Result<Response<GetFrontierResponse>, Status> {
        let peer = peer_member(&request)?;
        let request = request.into_inner();
        let feed = peer_convert::feed(request.feed).map_err(Fault::from)?;
        let hashes = self.context.frontier_for(&peer, &feed, Seq::new(request.size)).await.map_err(Fault::from)?;
        Ok(Response::new(GetFrontierResponse { hashes: peer_convert::hashes_to_wire(&hashes) }))
    }

    async fn get_erasure_receipt(
        &self,
        request: Request<GetErasureReceiptRequest>,
    ) -> Result<Response<GetErasureReceiptResponse>, Status> {
        let peer = peer_member(&request)?;
        let feed = peer_convert::feed(request.into_inner().feed).map_err(Fault::from)?;
        let receipt = self.context.receipt_for(&peer, &feed).await.map_err(Fault::from)?;
        Ok(Response::new(GetErasureReceiptResponse { receipt }))
    }

    async fn get_entries(&self, request: Request<GetEntriesRequest>) -> Result<Response<GetEntriesResponse>, Status> {
        let peer = peer_member(&request)?;
        let request = request.into_inner();
        let feed = peer_convert::feed(request.feed).map_err(Fault::from)?;
        let seqs = request.seqs.into_iter().map(Seq::new).collect();
        let entries = self.context.entries_for(&peer, &feed, seqs).await.map_err(Fault::from)?;
        Ok(Response::new(peer_convert::entries_to_wire(&entries)))
    }

    type FollowFeedsStream = Responses<FollowFeedsResponse>;

    async fn follow_feeds(
        &self,
        request: Request<Streaming<FollowFeedsRequest>>,
    ) -> Result<Response<Self::FollowFeedsStream>, Status> {
        let peer = peer_member(&request)?;
        let (events, outgoing) = mpsc::channel(EVENTS_AHEAD);
        let broken = Arc::new(Mutex::new(None));
        let (context, shutdown) = (self.context.clone(), self.shutdown.clone());
        let refusing = (context.clone(), peer.clone());
        let commands = commands(request.into_inner(), broken.clone());
        let serving =
            AbortOnDropHandle::new(tokio::spawn(
                async move { serve(peer, Box::pin(commands), events, &context, shutdown).await },
            ));
        let end = stream::once(async move {
            let served = serving.await;
            let broken = broken.lock().take();
            if let Some(fault) = &broken {
                let (context, peer) = refusing;
                context.note_refusal(&peer, "", fault.code());
            }
            end_of_stream(served, broken)
        });
        let events = ReceiverStream::new(outgoing).map(|event| Ok(peer_convert::event_to_wire(event)));
        Ok(Response::new(Box::pin(events.chain(end.filter_map(|end| async { end.map(Err) })))))
    }
}

/// The follower's commands up to the first that cannot be read, which is left in `broken`.
fn commands(
    requests: Streaming<FollowFeedsRequest>,
    broken: Arc<Mutex<Option<Fault>>>,
) -> impl futures_util::Stream<Item = FollowCommand> + Send {
    stream::unfold((requests, broken), |(mut requests, broken)| async move {
        let fault = match requests.message().await {
            Ok(request) => match peer_convert::command(request?) {
                Ok(command) => return Some((command, (requests, broken))),
                Err(error) => error.into(),
            },
            Err(status) => unreadable(&status)?,
        };
        *broken.lock() = Some(fault);
        None
    })
}

/// What is wrong with a message that could not be read; `None` where the connection broke, and nobody is left to tell.
fn unreadable(status: &Status) -> Option<Fault> {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            let message = format!("a message has at most {MAX_PEER_MESSAGE_BYTES} bytes");
            Some(Fault::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message))
        }
        Code::Internal | Code::InvalidArgument if std::error::Error::source(status).is_none() => {
            Some(Fault::new(Code::InvalidArgument, "MESSAGE_MALFORMED", "the message cannot be read"))
        }
        _ => None,
    }
}

/// What a follower is told at the end: nothing where it ended the stream itself or the node stops.
fn end_of_stream(served: Result<Result<(), ServeError>, tokio::task::JoinError>, broken: Option<Fault>) -> Option<Status> {
    match (served, broken) {
        (_, Some(fault)) => Some(fault.into()),
        (Ok(Ok(())), None) => None,
        (Ok(Err(error)), None) => Some(Fault::from(error).into()),
        (Err(_), None) => Some(Fault::new(Code::Internal, "SERVE_PANICKED", "the stream cannot go on").into()),
    }
}
