use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use tonic::{Code, Request, Response, Status, Streaming};

use super::access::AccessList;
use super::convert;
use super::fault::{Fault, log_rows};
use super::proto::screening_service_server::ScreeningService;
use super::proto::{
    CheckSellerRequest, CheckSellerResponse, CheckSellersRequest, CheckSellersResponse, GetCheckRequest, GetCheckResponse,
    Identifier, ListOverridesRequest, ListOverridesResponse, RemoveOverrideRequest, RemoveOverrideResponse, SetOverrideRequest,
    SetOverrideResponse, check_sellers_response,
};
use super::rows::{self, Responses};
use super::signal_service::page_size;
use crate::domain::Role;
use crate::service::{Answer, Overrides, Screener};
use crate::store::FreshnessRecord;

/// `countermark.v1.ScreeningService`.
#[derive(Clone)]
pub struct ScreeningServer {
    /// Answers.
    pub screener: Arc<Screener>,
    /// This member's own word.
    pub overrides: Arc<Overrides>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
}

#[tonic::async_trait]
impl ScreeningService for ScreeningServer {
    async fn check_seller(&self, request: Request<CheckSellerRequest>) -> Result<Response<CheckSellerResponse>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let outcome = check(&self.screener, vec![request.into_inner().identifiers]).await.pop();
        let answer = outcome.unwrap_or_else(|| Err(no_outcome()))?;
        Ok(Response::new(CheckSellerResponse {
            answer: Some(convert::answer(&answer)),
            freshness: Some(convert::freshness(&answer.freshness)),
        }))
    }

    type CheckSellersStream = Responses<CheckSellersResponse>;

    async fn check_sellers(
        &self,
        request: Request<Streaming<CheckSellersRequest>>,
    ) -> Result<Response<Self::CheckSellersStream>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let screener = self.screener.clone();
        let answers = rows::answer(request.into_inner(), move |rows: Vec<CheckSellersRequest>| {
            let screener = screener.clone();
            async move {
                let outcomes = check(&screener, rows.into_iter().map(|row| row.identifiers).collect()).await;
                log_rows(&outcomes);
                outcomes
            }
        });
        let mut told: Option<Arc<FreshnessRecord>> = None;
        Ok(Response::new(Box::pin(answers.map(move |outcome| outcome.map(|outcome| response(outcome, &mut told))))))
    }

    async fn set_override(&self, request: Request<SetOverrideRequest>) -> Result<Response<SetOverrideResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases])?;
        let draft = convert::override_draft(request.into_inner()).map_err(Fault::from)?;
        let id = self.overrides.set(draft).await.map_err(Fault::from)?;
        Ok(Response::new(SetOverrideResponse { r#override: id.to_string() }))
    }

    async fn remove_override(
        &self,
        request: Request<RemoveOverrideRequest>,
    ) -> Result<Response<RemoveOverrideResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases])?;
        let id = request.into_inner().r#override.parse().map_err(Fault::from)?;
        Ok(Response::new(RemoveOverrideResponse { removed: self.overrides.remove(id).await.map_err(Fault::from)? }))
    }

    async fn list_overrides(&self, request: Request<ListOverridesRequest>) -> Result<Response<ListOverridesResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases])?;
        let request = request.into_inner();
        let after = if request.after.is_empty() { None } else { Some(request.after.parse().map_err(Fault::from)?) };
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let listed = self.overrides.list(after, count);
        let next = listed.last().filter(|_| listed.len() == count).map(|(id, _)| id.to_string());
        let overrides = listed.iter().map(|(id, made)| convert::override_record(*id, made)).collect();
        Ok(Response::new(ListOverridesResponse { overrides, next: next.unwrap_or_default() }))
    }

    async fn get_check(&self, request: Request<GetCheckRequest>) -> Result<Response<GetCheckResponse>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let reference = request.into_inner().reference.parse().map_err(Fault::from)?;
        let past = self.screener.past_check(reference).await.map_err(Fault::from)?;
        Ok(Response::new(convert::past_check(&past)))
    }
}

fn no_outcome() -> Fault {
    Fault::new(Code::Internal, "NO_OUTCOME", "nothing came of it")
}

/// Questions that cannot be read are refused here; the rest is answered together. One outcome for each, in order.
async fn check(screener: &Arc<Screener>, rows: Vec<Vec<Identifier>>) -> Vec<Result<Answer, Fault>> {
    let mut good = Vec::with_capacity(rows.len());
    let read: Vec<Result<(), Fault>> =
        rows.into_iter().map(|row| convert::identifiers(row).map(|q| good.push(q)).map_err(Fault::from)).collect();
    let mut outcomes = screener.check(good).await.into_iter();
    let mut next = |()| outcomes.next().map_or_else(|| Err(no_outcome()), |outcome| outcome.map_err(Fault::from));
    read.into_iter().map(|row| row.and_then(&mut next)).collect()
}

/// Freshness goes with the first answer, and whenever it differs from what was told last.
fn response(outcome: Result<Answer, Fault>, told: &mut Option<Arc<FreshnessRecord>>) -> CheckSellersResponse {
    match outcome {
        Ok(answer) => {
            let news = told.as_ref().is_none_or(|told| told.feeds != answer.freshness.feeds);
            let freshness = news.then(|| convert::freshness(&answer.freshness));
            *told = Some(answer.freshness.clone());
            CheckSellersResponse { result: Some(check_sellers_response::Result::Answer(convert::answer(&answer))), freshness }
        }
        Err(fault) => {
            CheckSellersResponse { result: Some(check_sellers_response::Result::Error(fault.into())), freshness: None }
        }
    }
}
