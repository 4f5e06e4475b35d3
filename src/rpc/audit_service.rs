use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::access::AccessList;
use super::fault::Fault;
use super::proto::audit_service_server::AuditService;
use super::proto::{ListAuditRequest, ListAuditResponse};
use super::signal_service::page_size;
use crate::domain::{Role, Seq};
use crate::service::AuditTrail;

/// `countermark.v1.AuditService`.
#[derive(Clone)]
pub struct AuditServer {
    /// Reads the log.
    pub audit: Arc<AuditTrail>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
}

#[tonic::async_trait]
impl AuditService for AuditServer {
    async fn list_audit(&self, request: Request<ListAuditRequest>) -> Result<Response<ListAuditResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let ListAuditRequest { from, page_size: asked } = request.into_inner();
        let count = page_size(asked).map_err(Fault::from)?;
        let page = self.audit.list(Seq::new(from), count).await.map_err(Fault::from)?;
        Ok(Response::new(ListAuditResponse {
            first: page.first.get(),
            records: page.records,
            size: page.size.get(),
            head: page.head,
            kept_from: page.kept_after.size().get(),
            kept_frontier: page.kept_after.hashes().iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect(),
        }))
    }
}
