//! A stand-in for a member's peer listener: it has the member's certificate, passes every call on to the member's real node as
//! the caller, and lets a [`Manner`] see and change what goes by. So a test records what nodes say to one another, or plays a
//! member that lies, while everything that it does not touch is what a real node says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countermark::domain::MemberId;
use countermark::rpc::acceptor::{Acceptor, PeerInfo};
use countermark::rpc::connector::connect;
use countermark::rpc::proto::peer_service_client::PeerServiceClient;
use countermark::rpc::proto::peer_service_server::{PeerService, PeerServiceServer};
use countermark::rpc::proto::{
    ExchangeVersionsRequest, ExchangeVersionsResponse, FollowFeedsRequest, FollowFeedsResponse, GetEntriesRequest,
    GetEntriesResponse, GetErasureReceiptRequest, GetErasureReceiptResponse, GetFrontierRequest, GetFrontierResponse,
    GetRosterRequest, GetRosterResponse, ListCheckpointsRequest, ListCheckpointsResponse,
};
use countermark::rpc::tls::{Credentials, TrustAnchors, client_config, server_config};
use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

use super::{Alliance, member};

/// What becomes of messages on their way. By default nothing.
pub trait Manner: Send + Sync + 'static {
    fn version(&self, _: &mut ExchangeVersionsResponse) -> Result<(), Status> {
        Ok(())
    }
    fn roster(&self, _: &mut GetRosterResponse) {}
    fn heads(&self, _: &mut ListCheckpointsResponse) {}
    fn frontier(&self, _: &mut GetFrontierResponse) {}
    fn frontier_asked(&self, _: &GetFrontierRequest) {}
    fn command(&self, _: &FollowFeedsRequest) {}
    fn event(&self, _: &mut FollowFeedsResponse) {}
}

/// A running stand-in. Dropping it ends it.
pub struct Front {
    pub address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Who stands in for whom.
pub struct Cast {
    /// Of the member that it stands in for.
    pub own: Credentials,
    pub anchors: TrustAnchors,
    /// Of those whose calls it passes on.
    pub callers: BTreeMap<MemberId, Credentials>,
    /// The real node.
    pub target: String,
    pub server_name: String,
}

impl Front {
    /// Stands in for `id` towards every other member, which has to be routed to it.
    pub async fn of(alliance: &Alliance, id: &str, manner: Arc<dyn Manner>) -> Self {
        let callers = alliance.roster.members.iter().map(|m| (m.id.clone(), alliance.node_credentials(m.id.as_str())));
        let cast = Cast {
            own: alliance.node_credentials(id),
            anchors: alliance.peer_anchors(),
            callers: callers.collect(),
            target: alliance.membership(id).peers.to_string(),
            server_name: alliance.name.node_dns_name(&member(id)),
        };
        Self::start(cast, manner).await
    }

    pub async fn start(cast: Cast, manner: Arc<dyn Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let tls = server_config(&cast.own, &cast.anchors).expect("valid");
        let acceptor = Acceptor::new(Arc::new(ArcSwap::from_pointee(tls)), |_| Ok(()));
        let service = PeerServiceServer::new(Pass { cast: Arc::new(cast), manner });
        let incoming = Box::pin(acceptor.accept(listener, shutdown.clone()));
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned()));
        Self { address, shutdown }
    }
}

#[derive(Clone)]
struct Pass {
    cast: Arc<Cast>,
    manner: Arc<dyn Manner>,
}

impl Pass {
    /// A way to the real node, as the one who calls.
    async fn on<T>(&self, request: &Request<T>) -> Result<PeerServiceClient<Channel>, Status> {
        let caller = PeerInfo::of(request).expect("a caller").identity.member();
        let tls = client_config(&self.cast.callers[caller], &self.cast.anchors).expect("valid");
        let channel = connect(&self.cast.target, self.cast.server_name.clone(), Arc::new(tls)).await;
        let channel = channel.map_err(|error| Status::unavailable(error.code()))?;
        Ok(PeerServiceClient::new(channel).max_decoding_message_size(usize::MAX))
    }
}

#[tonic::async_trait]
impl PeerService for Pass {
    async fn exchange_versions(
        &self,
        request: Request<ExchangeVersionsRequest>,
    ) -> Result<Response<ExchangeVersionsResponse>, Status> {
        let mut response = self.on(&request).await?.exchange_versions(request.into_inner()).await?.into_inner();
        self.manner.version(&mut response)?;
        Ok(Response::new(response))
    }

    async fn get_roster(&self, request: Request<GetRosterRequest>) -> Result<Response<GetRosterResponse>, Status> {
        let mut response = self.on(&request).await?.get_roster(request.into_inner()).await?.into_inner();
        self.manner.roster(&mut response);
        Ok(Response::new(response))
    }

    async fn list_checkpoints(
        &self,
        request: Request<ListCheckpointsRequest>,
    ) -> Result<Response<ListCheckpointsResponse>, Status> {
        let mut response = self.on(&request).await?.list_checkpoints(request.into_inner()).await?.into_inner();
        self.manner.heads(&mut response);
        Ok(Response::new(response))
    }

    async fn get_erasure_receipt(
        &self,
        request: Request<GetErasureReceiptRequest>,
    ) -> Result<Response<GetErasureReceiptResponse>, Status> {
        self.on(&request).await?.get_erasure_receipt(request.into_inner()).await
    }

    async fn get_entries(&self, request: Request<GetEntriesRequest>) -> Result<Response<GetEntriesResponse>, Status> {
        self.on(&request).await?.get_entries(request.into_inner()).await
    }

    async fn get_frontier(&self, request: Request<GetFrontierRequest>) -> Result<Response<GetFrontierResponse>, Status> {
        self.manner.frontier_asked(request.get_ref());
        let mut response = self.on(&request).await?.get_frontier(request.into_inner()).await?.into_inner();
        self.manner.frontier(&mut response);
        Ok(Response::new(response))
    }

    type FollowFeedsStream = Pin<Box<dyn Stream<Item = Result<FollowFeedsResponse, Status>> + Send>>;

    async fn follow_feeds(
        &self,
        request: Request<Streaming<FollowFeedsRequest>>,
    ) -> Result<Response<Self::FollowFeedsStream>, Status> {
        let mut node = self.on(&request).await?;
        let manner = self.manner.clone();
        let mut commands = request.into_inner();
        let (sender, receiver) = mpsc::channel(64);
        // A caller that is gone ends the commands, as it would at the real node.
        tokio::spawn(async move {
            while let Ok(Some(command)) = commands.message().await {
                manner.command(&command);
                if sender.send(command).await.is_err() {
                    return;
                }
            }
        });
        let events = node.follow_feeds(ReceiverStream::new(receiver)).await?.into_inner();
        let manner = self.manner.clone();
        Ok(Response::new(Box::pin(events.map(move |event| {
            let mut event = event?;
            manner.event(&mut event);
            Ok(event)
        }))))
    }
}
