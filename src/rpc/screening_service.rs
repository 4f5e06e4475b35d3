use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use tonic::{Code, Request, Response, Status, Streaming};

use super::access::AccessList;
use super::convert;
use super::fault::{Fault, log_rows};
use super::meters::RowMeters;
use super::proto::screening_service_server::ScreeningService;
use super::proto::{
    AddWatchRequest, CheckAnswer, CheckSellerRequest, CheckSellerResponse, CheckSellersRequest, CheckSellersResponse,
    GetCheckRequest, GetCheckResponse, LeaveWatch, ListOverridesRequest, ListOverridesResponse, RemoveOverrideRequest,
    RemoveOverrideResponse, SetOverrideRequest, SetOverrideResponse, check_sellers_response,
};
use super::rows::{self, Responses};
use super::signal_service::{next_page, page_size};
use super::watch_service::draft as draft_of;
use crate::domain::{AuditKind, Role};
use crate::service::{Answer, AuditTrail, Overrides, Screener, WatchDraft, Watches};
use crate::store::FreshnessRecord;

/// `countermark.v1.ScreeningService`.
#[derive(Clone)]
pub struct ScreeningServer {
    /// Answers.
    pub screener: Arc<Screener>,
    /// This member's own word.
    pub overrides: Arc<Overrides>,
    /// What is left of checks that found nothing.
    pub watches: Arc<Watches>,
    /// Notes who asked.
    pub audit: Arc<AuditTrail>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
    /// Counts what became of questions.
    pub checks: RowMeters,
}

#[tonic::async_trait]
impl ScreeningService for ScreeningServer {
    async fn check_seller(&self, request: Request<CheckSellerRequest>) -> Result<Response<CheckSellerResponse>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let CheckSellerRequest { identifiers, watch } = request.into_inner();
        let outcome = self.check(vec![CheckSellersRequest { identifiers, watch }]).await.pop();
        let (answer, found) = outcome.unwrap_or_else(|| Err(no_outcome()))?;
        Ok(Response::new(CheckSellerResponse { answer: Some(answer), freshness: Some(convert::freshness(&found.freshness)) }))
    }

    type CheckSellersStream = Responses<CheckSellersResponse>;

    async fn check_sellers(
        &self,
        request: Request<Streaming<CheckSellersRequest>>,
    ) -> Result<Response<Self::CheckSellersStream>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let server = self.clone();
        let answers = rows::answer(request, move |rows: Vec<CheckSellersRequest>| {
            let server = server.clone();
            async move {
                let outcomes = server.check(rows).await;
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
        let after = convert::optional(&request.after).map_err(Fault::from)?;
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let listed = self.overrides.list(after, count);
        let next = next_page(&listed, count);
        let overrides = listed.iter().map(|(id, made)| convert::override_record(*id, made)).collect();
        Ok(Response::new(ListOverridesResponse { overrides, next }))
    }

    async fn get_check(&self, request: Request<GetCheckRequest>) -> Result<Response<GetCheckResponse>, Status> {
        self.access.load().require(&request, &[Role::Check])?;
        let GetCheckRequest { reference } = request.into_inner();
        let past = self.screener.past_check(reference.parse().map_err(Fault::from)?).await.map_err(Fault::from)?;
        self.audit.answered(AuditKind::CheckRead, [reference.as_str()]);
        Ok(Response::new(convert::past_check(&past)))
    }
}

fn no_outcome() -> Fault {
    Fault::new(Code::Internal, "NO_OUTCOME", "nothing came of it")
}

/// An answer on its way, and what it was made of.
type Answered = (CheckAnswer, Answer);

impl ScreeningServer {
    /// Questions that cannot be read are refused here; the rest is answered together. One outcome for each, in order.
    async fn check(&self, rows: Vec<CheckSellersRequest>) -> Vec<Result<Answered, Fault>> {
        let mut good = Vec::with_capacity(rows.len());
        let mut wanted: Vec<Option<WatchDraft>> = Vec::new();
        let mut read: Vec<Result<(), Fault>> = Vec::with_capacity(rows.len());
        for row in rows {
            let draft = row.watch.map(|LeaveWatch { days, label }| AddWatchRequest {
                identifiers: row.identifiers.clone(),
                days,
                label,
            });
            let question =
                convert::identifiers(row.identifiers).and_then(|question| Ok((question, draft.map(draft_of).transpose()?)));
            read.push(
                question
                    .map(|(question, draft)| {
                        good.push(question);
                        wanted.push(draft);
                    })
                    .map_err(Fault::from),
            );
        }
        let outcomes = self.screener.check(good).await;
        let outcomes = outcomes.into_iter().map(|outcome| outcome.map(|answer| (convert::answer(&answer), answer)));
        let mut outcomes: Vec<_> = outcomes.map(|outcome| outcome.map_err(Fault::from)).collect();
        self.leave_watches(&mut outcomes, wanted).await;
        let answered = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
        self.audit.answered(AuditKind::Check, answered.map(|(answer, _)| answer.reference.as_str()));
        let mut outcomes = outcomes.into_iter();
        let mut next = |()| outcomes.next().unwrap_or_else(|| Err(no_outcome()));
        let outcomes: Vec<_> = read.into_iter().map(|row| row.and_then(&mut next)).collect();
        self.checks.note(&outcomes, |(_, answer)| answer.judgment.verdict.as_str());
        outcomes
    }

    /// Leaves the watches that were asked for where nobody flags the seller.
    async fn leave_watches(&self, outcomes: &mut [Result<Answered, Fault>], wanted: Vec<Option<WatchDraft>>) {
        let (mut places, mut drafts) = (Vec::new(), Vec::new());
        for (place, (outcome, draft)) in outcomes.iter().zip(wanted).enumerate() {
            let unflagged = outcome.as_ref().is_ok_and(|(_, answer)| !answer.judgment.verdict.is_flagged());
            if let Some(draft) = draft.filter(|_| unflagged) {
                places.push(place);
                drafts.push(draft);
            }
        }
        if drafts.is_empty() {
            return;
        }
        for (place, left) in places.into_iter().zip(self.watches.add(drafts).await) {
            let Ok((answer, _)) = &mut outcomes[place] else { continue };
            match left {
                Ok(watch) => answer.watch = watch.to_string(),
                Err(error) => error.code().clone_into(&mut answer.watch_error),
            }
        }
    }
}

/// Freshness goes with the first answer, and whenever it differs from what was told last.
fn response(outcome: Result<Answered, Fault>, told: &mut Option<Arc<FreshnessRecord>>) -> CheckSellersResponse {
    match outcome {
        Ok((shown, answer)) => {
            let news = told.as_ref().is_none_or(|told| told.feeds != answer.freshness.feeds);
            let freshness = news.then(|| convert::freshness(&answer.freshness));
            *told = Some(answer.freshness.clone());
            CheckSellersResponse { result: Some(check_sellers_response::Result::Answer(shown)), freshness }
        }
        Err(fault) => {
            CheckSellersResponse { result: Some(check_sellers_response::Result::Error(fault.into())), freshness: None }
        }
    }
}
