use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Request, Response, Status, Streaming};

use super::access::AccessList;
use super::convert;
use super::fault::{Fault, log_rows};
use super::meters::RowMeters;
use super::proto::signal_service_server::SignalService;
use super::proto::{
    AmendSignalRequest, AmendSignalResponse, EraseSignalRequest, EraseSignalResponse, GetSignalRequest, GetSignalResponse,
    ListErasuresRequest, ListErasuresResponse, ListSignalsRequest, ListSignalsResponse, RetractSignalRequest,
    RetractSignalResponse, Submission, SubmissionReceipt, SubmitSignalRequest, SubmitSignalResponse, SubmitSignalsRequest,
    SubmitSignalsResponse, amend_signal_request, erase_signal_request, retract_signal_request, submit_signals_response,
};
use super::rows::{self, Responses};
use crate::domain::limits::MAX_PAGE;
use crate::domain::{Change, ErasureReason, FieldError, RetractionReason, Role, Seq};
use crate::feed::{change_from_wire, required_word};
use crate::service::{Cases, Eraser, Signals, Submitter, Target};

const USUAL_PAGE: usize = 100;

/// `countermark.v1.SignalService`.
#[derive(Clone)]
pub struct SignalServer {
    /// Takes signals.
    pub submitter: Arc<Submitter>,
    /// Reads and withdraws them.
    pub signals: Arc<Signals>,
    /// Adds to them.
    pub cases: Arc<Cases>,
    /// Erases them.
    pub eraser: Arc<Eraser>,
    /// Who may do so.
    pub access: Arc<ArcSwap<AccessList>>,
    /// Counts what became of submissions.
    pub submissions: RowMeters,
}

#[tonic::async_trait]
impl SignalService for SignalServer {
    async fn submit_signal(&self, request: Request<SubmitSignalRequest>) -> Result<Response<SubmitSignalResponse>, Status> {
        self.access.load().require(&request, &[Role::Submit])?;
        let outcome = self.submit(vec![request.into_inner().submission]).await.pop();
        let receipt = outcome.unwrap_or_else(|| Err(Fault::new(tonic::Code::Internal, "NO_OUTCOME", "nothing came of it")))?;
        Ok(Response::new(SubmitSignalResponse { receipt: Some(receipt) }))
    }

    type SubmitSignalsStream = Responses<SubmitSignalsResponse>;

    async fn submit_signals(
        &self,
        request: Request<Streaming<SubmitSignalsRequest>>,
    ) -> Result<Response<Self::SubmitSignalsStream>, Status> {
        self.access.load().require(&request, &[Role::Submit])?;
        let server = self.clone();
        Ok(Response::new(rows::answer(request, move |rows: Vec<SubmitSignalsRequest>| {
            let server = server.clone();
            async move {
                let outcomes = server.submit(rows.into_iter().map(|row| row.submission).collect()).await;
                log_rows(&outcomes);
                outcomes.into_iter().map(response).collect()
            }
        })))
    }

    async fn retract_signal(&self, request: Request<RetractSignalRequest>) -> Result<Response<RetractSignalResponse>, Status> {
        self.access.load().require(&request, &[Role::Submit, Role::Cases])?;
        let (target, reason) = retraction(&request.into_inner()).map_err(Fault::from)?;
        let withdrawal = self.signals.retract(target, reason).await.map_err(Fault::from)?;
        Ok(Response::new(RetractSignalResponse { signal: withdrawal.signal.to_string(), newly_withdrawn: withdrawal.newly }))
    }

    async fn erase_signal(&self, request: Request<EraseSignalRequest>) -> Result<Response<EraseSignalResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases])?;
        let (target, reason) = erasure(&request.into_inner()).map_err(Fault::from)?;
        let erased = self.eraser.erase(target, reason).await.map_err(Fault::from)?;
        Ok(Response::new(EraseSignalResponse {
            signal: erased.entry.to_string(),
            erasure: erased.erasure.map(|erasure| erasure.to_string()).unwrap_or_default(),
            newly_erased: erased.newly,
        }))
    }

    async fn list_erasures(&self, request: Request<ListErasuresRequest>) -> Result<Response<ListErasuresResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases, Role::Admin])?;
        let ListErasuresRequest { audience, before_seq } = request.into_inner();
        let audience = audience.parse().map_err(Fault::from)?;
        let before = (before_seq > 0).then_some(Seq::new(before_seq));
        let page = self.eraser.list(audience, before).await.map_err(Fault::from)?;
        Ok(Response::new(convert::erasures(&page)))
    }

    async fn amend_signal(&self, request: Request<AmendSignalRequest>) -> Result<Response<AmendSignalResponse>, Status> {
        self.access.load().require(&request, &[Role::Submit, Role::Cases])?;
        let (target, change) = amendment(request.into_inner()).map_err(Fault::from)?;
        let (signal, amendment) = self.cases.amend(target, change).await.map_err(Fault::from)?;
        Ok(Response::new(AmendSignalResponse { signal: signal.to_string(), amendment: amendment.to_string() }))
    }

    async fn get_signal(&self, request: Request<GetSignalRequest>) -> Result<Response<GetSignalResponse>, Status> {
        self.access.load().require(&request, &[Role::Submit, Role::Check, Role::Cases])?;
        let signal = request.into_inner().signal.parse().map_err(Fault::from)?;
        let record = self.signals.get(signal).await.map_err(Fault::from)?;
        Ok(Response::new(GetSignalResponse { record: Some(convert::record(&record)) }))
    }

    async fn list_signals(&self, request: Request<ListSignalsRequest>) -> Result<Response<ListSignalsResponse>, Status> {
        self.access.load().require(&request, &[Role::Submit])?;
        let request = request.into_inner();
        let audience = request.audience.parse().map_err(Fault::from)?;
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let page = self.signals.list(audience, Seq::new(request.from_seq), count, request.live_only);
        let page = page.await.map_err(Fault::from)?;
        Ok(Response::new(ListSignalsResponse {
            records: page.records.into_iter().map(|record| convert::record(&record)).collect(),
            next_seq: page.next.map_or(0, Seq::get),
        }))
    }
}

pub(super) fn page_size(asked: u32) -> Result<usize, FieldError> {
    match usize::try_from(asked) {
        Ok(0) => Ok(USUAL_PAGE),
        Ok(n) if n <= MAX_PAGE => Ok(n),
        Ok(_) | Err(_) => Err(FieldError::new("PAGE_TOO_LARGE", "page_size", "give 1 to 1000, or 0 for 100")),
    }
}

/// Where the page after a full one begins: the name of the last that is listed; empty where it was not full.
pub(super) fn next_page<N: ToString, T>(listed: &[(N, T)], count: usize) -> String {
    listed.last().filter(|_| listed.len() == count).map_or_else(String::new, |(name, _)| name.to_string())
}

/// The signal that a request names: all have the same two ways to do so, each in a type of its own (`$way`).
macro_rules! target {
    ($way:ident, $target:expr, $audience:expr) => {
        match $target {
            Some($way::Target::Signal(signal)) => by_name(signal, $audience),
            Some($way::Target::SubmissionId(id)) => by_submission(id, $audience),
            None => Err(FieldError::new("FIELD_MISSING", "target", "name the signal, or its submission id and audience")),
        }
    };
}

pub(super) fn retraction(request: &RetractSignalRequest) -> Result<(Target, RetractionReason), FieldError> {
    let target = target!(retract_signal_request, &request.target, &request.audience)?;
    Ok((target, convert::reason(request.reason)?))
}

pub(super) fn erasure(request: &EraseSignalRequest) -> Result<(Target, ErasureReason), FieldError> {
    let target = target!(erase_signal_request, &request.target, &request.audience)?;
    Ok((target, required_word(request.reason, ErasureReason::from_number, "ERASURE_REASON_UNKNOWN", "reason")?))
}

pub(super) fn amendment(request: AmendSignalRequest) -> Result<(Target, Change), FieldError> {
    let target = target!(amend_signal_request, &request.target, &request.audience)?;
    let missing = || FieldError::new("FIELD_MISSING", "change", "say what is to be added to the signal");
    Ok((target, change_from_wire(request.change.ok_or_else(missing)?).map_err(|e| e.inside("change"))?))
}

fn by_name(signal: &str, audience: &str) -> Result<Target, FieldError> {
    if audience.is_empty() {
        return Ok(Target::Signal(signal.parse()?));
    }
    let advice = "the signal's name says its audience; leave this empty";
    Err(FieldError::new("AUDIENCE_UNEXPECTED", "audience", advice))
}

fn by_submission(id: &str, audience: &str) -> Result<Target, FieldError> {
    Ok(Target::Submission(audience.parse()?, id.parse()?))
}

impl SignalServer {
    /// Rows that cannot be read are refused here; the rest is submitted together. One outcome for each, in order.
    async fn submit(&self, rows: Vec<Option<Submission>>) -> Vec<Result<SubmissionReceipt, Fault>> {
        let mut good = Vec::with_capacity(rows.len());
        let read: Vec<Result<(), Fault>> =
            rows.into_iter().map(|row| convert::submission(row).map(|s| good.push(s)).map_err(Fault::from)).collect();
        let mut outcomes = self.submitter.submit(good).await.into_iter();
        let mut next = |()| match outcomes.next() {
            Some(outcome) => outcome.map(|receipt| convert::receipt(&receipt)).map_err(Fault::from),
            None => Err(Fault::new(tonic::Code::Internal, "NO_OUTCOME", "nothing came of it")),
        };
        let outcomes: Vec<_> = read.into_iter().map(|row| row.and_then(&mut next)).collect();
        self.submissions.note(&outcomes, |receipt| match (receipt.created, receipt.rekeyed) {
            (true, _) => "created",
            (false, true) => "rekeyed",
            (false, false) => "known",
        });
        outcomes
    }
}

fn response(outcome: Result<SubmissionReceipt, Fault>) -> SubmitSignalsResponse {
    let result = match outcome {
        Ok(receipt) => submit_signals_response::Result::Receipt(receipt),
        Err(fault) => submit_signals_response::Result::Error(fault.into()),
    };
    SubmitSignalsResponse { result: Some(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_whole_or_by_id_and_audience() {
        use retract_signal_request::Target::{Signal, SubmissionId};
        let read = |named, audience: &str| {
            let request = RetractSignalRequest { target: named, audience: audience.into(), reason: 1 };
            retraction(&request).map(|_| ()).map_err(|error| (error.code, error.field))
        };
        let signal = || Some(Signal("acme/all/3".into()));
        assert_eq!(read(signal(), ""), Ok(()));
        assert_eq!(read(signal(), "luxury"), Err(("AUDIENCE_UNEXPECTED", "audience".into())));
        assert_eq!(read(Some(SubmissionId("case-17".into())), "all"), Ok(()));
        assert_eq!(read(Some(SubmissionId("case-17".into())), ""), Err(("AUDIENCE_INVALID", "audience".into())));
        assert_eq!(read(None, "all"), Err(("FIELD_MISSING", "target".into())));
    }
}
