use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Request, Response, Status};

use super::access::AccessList;
use super::convert;
use super::fault::Fault;
use super::proto::case_service_server::CaseService;
use super::proto::{
    DecideDisputeRequest, DecideDisputeResponse, GetCaseRequest, GetCaseResponse, GiveOpinionRequest, GiveOpinionResponse,
    LiftMarkerRequest, LiftMarkerResponse, ListCasesRequest, ListCasesResponse, MarkIdentifiersRequest,
    MarkIdentifiersResponse, OpenDisputeRequest, OpenDisputeResponse,
};
use super::signal_service::page_size;
use crate::domain::{
    DisputeGround, DisputeOutcome, FieldError, MarkerKind, MarkerReason, Role, Sha256Digest, SignalRef, Stance,
};
use crate::feed::{
    digests_from_wire, entry_name_from_wire, required_word, signals_from_wire, stance_from_wire, validity_from_wire,
};
use crate::service::{Cases, MarkerDraft};

/// `countermark.v1.CaseService`.
#[derive(Clone)]
pub struct CaseServer {
    /// Handles cases.
    pub cases: Arc<Cases>,
    /// Who may do so.
    pub access: Arc<ArcSwap<AccessList>>,
}

impl CaseServer {
    fn require<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.access.load().require(request, &[Role::Cases])
    }
}

#[tonic::async_trait]
impl CaseService for CaseServer {
    async fn open_dispute(&self, request: Request<OpenDisputeRequest>) -> Result<Response<OpenDisputeResponse>, Status> {
        self.require(&request)?;
        let (signals, ground, digests) = dispute(&request.into_inner()).map_err(Fault::from)?;
        let opened = self.cases.open_dispute(signals, ground, digests).await.map_err(Fault::from)?;
        Ok(Response::new(OpenDisputeResponse {
            dispute: opened.dispute.to_string(),
            reference: opened.reference.to_string(),
            due_ms: opened.due.unix_ms(),
            created: opened.created,
        }))
    }

    async fn decide_dispute(&self, request: Request<DecideDisputeRequest>) -> Result<Response<DecideDisputeResponse>, Status> {
        self.require(&request)?;
        let (dispute, outcome, signals) = decision(&request.into_inner()).map_err(Fault::from)?;
        let decision = self.cases.decide(dispute, outcome, signals).await.map_err(Fault::from)?;
        Ok(Response::new(DecideDisputeResponse { decision: decision.to_string() }))
    }

    async fn get_case(&self, request: Request<GetCaseRequest>) -> Result<Response<GetCaseResponse>, Status> {
        self.require(&request)?;
        let reference = request.into_inner().reference.parse().map_err(Fault::from)?;
        let cases = self.cases.by_reference(&reference).await.map_err(Fault::from)?;
        Ok(Response::new(GetCaseResponse { cases: cases.iter().map(convert::case).collect() }))
    }

    async fn list_cases(&self, request: Request<ListCasesRequest>) -> Result<Response<ListCasesResponse>, Status> {
        self.require(&request)?;
        let request = request.into_inner();
        let after = convert::optional_name("after", &request.after).map_err(Fault::from)?;
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let page = self.cases.list(after, count, request.open_only, request.own_only).await.map_err(Fault::from)?;
        Ok(Response::new(ListCasesResponse {
            cases: page.cases.iter().map(convert::case).collect(),
            next: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn give_opinion(&self, request: Request<GiveOpinionRequest>) -> Result<Response<GiveOpinionResponse>, Status> {
        self.require(&request)?;
        let (signal, stance) = opinion(request.into_inner()).map_err(Fault::from)?;
        let opinion = self.cases.opine(signal, stance).await.map_err(Fault::from)?;
        Ok(Response::new(GiveOpinionResponse { opinion: opinion.map(|at| at.to_string()).unwrap_or_default() }))
    }

    async fn mark_identifiers(
        &self,
        request: Request<MarkIdentifiersRequest>,
    ) -> Result<Response<MarkIdentifiersResponse>, Status> {
        self.require(&request)?;
        let draft = marker(request.into_inner()).map_err(Fault::from)?;
        let marker = self.cases.mark(draft).await.map_err(Fault::from)?;
        Ok(Response::new(MarkIdentifiersResponse { marker: marker.to_string() }))
    }

    async fn lift_marker(&self, request: Request<LiftMarkerRequest>) -> Result<Response<LiftMarkerResponse>, Status> {
        self.require(&request)?;
        let marker = entry_name_from_wire("marker", &request.into_inner().marker).map_err(Fault::from)?;
        let lift = self.cases.lift(marker).await.map_err(Fault::from)?;
        Ok(Response::new(LiftMarkerResponse { lift: lift.to_string() }))
    }
}

type DisputeDraft = (Vec<SignalRef>, DisputeGround, Vec<Sha256Digest>);

pub(super) fn dispute(request: &OpenDisputeRequest) -> Result<DisputeDraft, FieldError> {
    let signals = signals_from_wire("signals", &request.signals)?;
    let ground = required_word(request.ground, DisputeGround::from_number, "DISPUTE_GROUND_UNKNOWN", "ground")?;
    Ok((signals, ground, digests_from_wire(&request.sha256)?))
}

pub(super) fn decision(request: &DecideDisputeRequest) -> Result<(SignalRef, DisputeOutcome, Vec<SignalRef>), FieldError> {
    let dispute = entry_name_from_wire("dispute", &request.dispute)?;
    let signals = signals_from_wire("signals", &request.signals)?;
    let outcome = required_word(request.outcome, DisputeOutcome::from_number, "DISPUTE_OUTCOME_UNKNOWN", "outcome")?;
    Ok((dispute, outcome, signals))
}

pub(super) fn opinion(request: GiveOpinionRequest) -> Result<(SignalRef, Stance), FieldError> {
    let signal = entry_name_from_wire("signal", &request.signal)?;
    Ok((signal, stance_from_wire(request.stance, request.evidence, request.reason)?))
}

pub(super) fn marker(request: MarkIdentifiersRequest) -> Result<MarkerDraft, FieldError> {
    Ok(MarkerDraft {
        kind: required_word(request.kind, MarkerKind::from_number, "MARKER_KIND_UNKNOWN", "kind")?,
        audience: request.audience.parse()?,
        identifiers: convert::identifiers(request.identifiers)?,
        reason: required_word(request.reason, MarkerReason::from_number, "MARKER_REASON_UNKNOWN", "reason")?,
        digests: digests_from_wire(&request.sha256)?,
        valid_days: validity_from_wire(request.valid_days)?,
    })
}
