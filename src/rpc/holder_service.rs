use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::access::peer_member;
use super::fault::Fault;
use super::holder_convert;
use super::proto::key_ceremony_service_server::KeyCeremonyService;
use super::proto::key_holder_service_server::KeyHolderService;
use super::proto::{
    EvaluateRequest, EvaluateResponse, GetCeremonyRequest, GetCeremonyResponse, GetSharingRequest, GetSharingResponse,
    RepairShareRequest, RepairShareResponse,
};
use crate::domain::KeyId;
use crate::service::{Ceremonies, KeyHolder};

/// `countermark.v1.KeyHolderService` and `countermark.v1.KeyCeremonyService`.
#[derive(Clone)]
pub struct KeyHolderServer {
    /// Evaluates.
    pub holder: Arc<KeyHolder>,
    /// Takes part in ceremonies.
    pub ceremonies: Arc<Ceremonies>,
}

#[tonic::async_trait]
impl KeyHolderService for KeyHolderServer {
    async fn evaluate(&self, request: Request<EvaluateRequest>) -> Result<Response<EvaluateResponse>, Status> {
        let peer = peer_member(&request)?;
        let request = holder_convert::request(request.into_inner()).map_err(Fault::from)?;
        let answer = self.holder.evaluate(&peer, request).await.map_err(Fault::from)?;
        Ok(Response::new(holder_convert::answer_to_wire(answer)))
    }
}

#[tonic::async_trait]
impl KeyCeremonyService for KeyHolderServer {
    async fn get_sharing(&self, request: Request<GetSharingRequest>) -> Result<Response<GetSharingResponse>, Status> {
        peer_member(&request)?;
        let key: KeyId = request.into_inner().key.parse().map_err(Fault::from)?;
        let note = self.holder.sharing(&key).await.map_err(Fault::from)?;
        Ok(Response::new(GetSharingResponse { note: note.unwrap_or_default() }))
    }

    async fn get_ceremony(&self, request: Request<GetCeremonyRequest>) -> Result<Response<GetCeremonyResponse>, Status> {
        let peer = peer_member(&request)?;
        let query = holder_convert::ceremony_query(&request.into_inner()).map_err(Fault::from)?;
        let answer = self.ceremonies.ceremony(&peer, &query).await.map_err(Fault::from)?;
        Ok(Response::new(holder_convert::ceremony_answer_to_wire(answer)))
    }

    async fn repair_share(&self, request: Request<RepairShareRequest>) -> Result<Response<RepairShareResponse>, Status> {
        let peer = peer_member(&request)?;
        let query = holder_convert::repair(request.into_inner()).map_err(Fault::from)?;
        let answer = self.ceremonies.help(&peer, &query).await.map_err(Fault::from)?;
        Ok(Response::new(holder_convert::repair_answer_to_wire(&answer)))
    }
}
