use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::access::peer_member;
use super::fault::Fault;
use super::holder_convert;
use super::proto::key_holder_service_server::KeyHolderService;
use super::proto::{EvaluateRequest, EvaluateResponse};
use crate::service::KeyHolder;

/// `countermark.v1.KeyHolderService`.
#[derive(Clone)]
pub struct KeyHolderServer {
    /// Evaluates.
    pub holder: Arc<KeyHolder>,
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
