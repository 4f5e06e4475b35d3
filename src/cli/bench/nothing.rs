//! A server that does nothing: the same TLS, the same messages in and out, and no work between. What it reaches is what a node
//! on this machine could reach at most.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::{Stream, StreamExt as _};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::cli::Environment;
use crate::cli::arguments::NothingArguments;
use crate::cli::failure::{Failure, Outcome};
use crate::config::NodeConfig;
use crate::domain::limits::MAX_STREAMS_PER_CONNECTION;
use crate::rpc::acceptor::{Acceptor, clients_of};
use crate::rpc::proto::screening_service_server::{ScreeningService, ScreeningServiceServer};
use crate::rpc::proto::signal_service_server::{SignalService, SignalServiceServer};
use crate::rpc::proto::{
    AmendSignalRequest, AmendSignalResponse, CheckSellerRequest, CheckSellerResponse, CheckSellersRequest,
    CheckSellersResponse, EraseSignalRequest, EraseSignalResponse, GetCheckRequest, GetCheckResponse, GetSignalRequest,
    GetSignalResponse, ListErasuresRequest, ListErasuresResponse, ListOverridesRequest, ListOverridesResponse,
    ListSignalsRequest, ListSignalsResponse, RemoveOverrideRequest, RemoveOverrideResponse, RetractSignalRequest,
    RetractSignalResponse, SetOverrideRequest, SetOverrideResponse, SubmitSignalRequest, SubmitSignalResponse,
    SubmitSignalsRequest, SubmitSignalsResponse, check_sellers_response, submit_signals_response,
};
use crate::rpc::tls::server_config;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is answered to everything: what a node answered before.
#[derive(Debug, Clone, Default)]
pub(super) struct Canned {
    pub(super) checked: CheckSellerResponse,
    pub(super) submitted: SubmitSignalResponse,
}

impl Canned {
    /// Writes them to a file for the server.
    pub(super) fn write(&self, folder: &std::path::Path) -> std::io::Result<PathBuf> {
        let path = folder.join("answers");
        std::fs::create_dir_all(&path)?;
        std::fs::write(path.join("checked"), self.checked.encode_to_vec())?;
        std::fs::write(path.join("submitted"), self.submitted.encode_to_vec())?;
        Ok(path)
    }

    fn read(folder: &std::path::Path) -> Result<Self, Failure> {
        let read = |name| std::fs::read(folder.join(name)).map_err(|error| Failure::of("BENCH_ANSWERS", &error));
        let of = |error: prost::DecodeError| Failure::of("BENCH_ANSWERS", &error);
        Ok(Self {
            checked: CheckSellerResponse::decode(&*read("checked")?).map_err(of)?,
            submitted: SubmitSignalResponse::decode(&*read("submitted")?).map_err(of)?,
        })
    }
}

/// `answer-nothing`: serves until it is killed.
pub(in crate::cli) async fn run(arguments: &NothingArguments, environment: &Environment) -> Result<Outcome, Failure> {
    let loaded = NodeConfig::load(&arguments.config, &environment.variables)?;
    let materials = loaded.materials(environment.now())?;
    let tls = Arc::new(ArcSwap::from_pointee(server_config(&materials.own, &materials.clients)?));
    let (alliance, member) = (loaded.config.node.alliance.clone(), loaded.config.node.member.clone());
    let acceptor = Acceptor::new(tls, clients_of(alliance, member, |_| true));
    let socket = TcpListener::bind(arguments.listen).await.map_err(|error| Failure::of("BENCH_PORTS", &error))?;
    let nothing = Nothing(Arc::new(Canned::read(&arguments.answers)?));
    let served = Server::builder()
        .max_concurrent_streams(Some(MAX_STREAMS_PER_CONNECTION))
        .add_service(SignalServiceServer::new(nothing.clone()))
        .add_service(ScreeningServiceServer::new(nothing))
        .serve_with_incoming(Box::pin(acceptor.accept(socket, CancellationToken::new())));
    served.await.map_err(|error| Failure::of("BENCH_SERVER", &error))?;
    Ok(Outcome::Done)
}

/// Answers the same to everybody.
#[derive(Clone)]
struct Nothing(Arc<Canned>);

fn not_measured() -> Status {
    Status::unimplemented("this server answers what is measured, and nothing else")
}

#[tonic::async_trait]
impl ScreeningService for Nothing {
    async fn check_seller(&self, _: Request<CheckSellerRequest>) -> Result<Response<CheckSellerResponse>, Status> {
        Ok(Response::new(self.0.checked.clone()))
    }

    type CheckSellersStream = Answers<CheckSellersResponse>;

    async fn check_sellers(
        &self,
        request: Request<Streaming<CheckSellersRequest>>,
    ) -> Result<Response<Self::CheckSellersStream>, Status> {
        let result = self.0.checked.answer.clone().map(check_sellers_response::Result::Answer);
        let answer = CheckSellersResponse { result, freshness: None };
        Ok(Response::new(Box::pin(request.into_inner().map(move |row| row.map(|_| answer.clone())))))
    }

    async fn set_override(&self, _: Request<SetOverrideRequest>) -> Result<Response<SetOverrideResponse>, Status> {
        Err(not_measured())
    }

    async fn remove_override(&self, _: Request<RemoveOverrideRequest>) -> Result<Response<RemoveOverrideResponse>, Status> {
        Err(not_measured())
    }

    async fn list_overrides(&self, _: Request<ListOverridesRequest>) -> Result<Response<ListOverridesResponse>, Status> {
        Err(not_measured())
    }

    async fn get_check(&self, _: Request<GetCheckRequest>) -> Result<Response<GetCheckResponse>, Status> {
        Err(not_measured())
    }
}

#[tonic::async_trait]
impl SignalService for Nothing {
    async fn submit_signal(&self, _: Request<SubmitSignalRequest>) -> Result<Response<SubmitSignalResponse>, Status> {
        Ok(Response::new(self.0.submitted.clone()))
    }

    type SubmitSignalsStream = Answers<SubmitSignalsResponse>;

    async fn submit_signals(
        &self,
        request: Request<Streaming<SubmitSignalsRequest>>,
    ) -> Result<Response<Self::SubmitSignalsStream>, Status> {
        let result = self.0.submitted.receipt.clone().map(submit_signals_response::Result::Receipt);
        let answer = SubmitSignalsResponse { result };
        Ok(Response::new(Box::pin(request.into_inner().map(move |row| row.map(|_| answer.clone())))))
    }

    async fn amend_signal(&self, _: Request<AmendSignalRequest>) -> Result<Response<AmendSignalResponse>, Status> {
        Err(not_measured())
    }

    async fn erase_signal(&self, _: Request<EraseSignalRequest>) -> Result<Response<EraseSignalResponse>, Status> {
        Err(not_measured())
    }

    async fn list_erasures(&self, _: Request<ListErasuresRequest>) -> Result<Response<ListErasuresResponse>, Status> {
        Err(not_measured())
    }

    async fn retract_signal(&self, _: Request<RetractSignalRequest>) -> Result<Response<RetractSignalResponse>, Status> {
        Err(not_measured())
    }

    async fn get_signal(&self, _: Request<GetSignalRequest>) -> Result<Response<GetSignalResponse>, Status> {
        Err(not_measured())
    }

    async fn list_signals(&self, _: Request<ListSignalsRequest>) -> Result<Response<ListSignalsResponse>, Status> {
        Err(not_measured())
    }
}
