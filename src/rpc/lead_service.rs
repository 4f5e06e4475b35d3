use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::stream;
use tonic::{Request, Response, Status};

use super::access::AccessList;
use super::fault::Fault;
use super::proto::export_lead_response::Part;
use super::proto::lead_service_server::LeadService;
use super::proto::{
    BundleHead, ExportLeadRequest, ExportLeadResponse, FindLeadsRequest, FindLeadsResponse, GetFunnelRequest,
    GetFunnelResponse, GetLeadRequest, GetLeadResponse, GetRingRequest, GetRingResponse, ListLeadsRequest, ListLeadsResponse,
    OpenLeadRequest, OpenLeadResponse, ProvenEntry, RecordLeadRequest, RecordLeadResponse,
};
use super::rows::Responses;
use super::signal_service::page_size;
use super::{convert, lead_convert};
use crate::domain::{AuditKind, FieldError, Role, SignalRef};
use crate::feed::entry_name_from_wire;
use crate::service::{AuditTrail, Bundle, LeadFilter, Leads, RingQuery, RingStart};

/// `countermark.v1.LeadService`.
#[derive(Clone)]
pub struct LeadServer {
    /// Finds rings, and follows leads.
    pub leads: Arc<Leads>,
    /// Notes who asked, and who took what away.
    pub audit: Arc<AuditTrail>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
}

impl LeadServer {
    fn require<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.access.load().require(request, &[Role::Cases])
    }
}

#[tonic::async_trait]
impl LeadService for LeadServer {
    async fn get_ring(&self, request: Request<GetRingRequest>) -> Result<Response<GetRingResponse>, Status> {
        self.require(&request)?;
        let request = request.into_inner();
        let signal = request.signal.clone();
        let query = query(request).map_err(Fault::from)?;
        let ring = self.leads.rings.ring(query).await.map_err(Fault::from)?;
        self.audit.answered(AuditKind::Ring, [signal.as_str()]);
        Ok(Response::new(lead_convert::ring(&ring)))
    }

    async fn find_leads(&self, request: Request<FindLeadsRequest>) -> Result<Response<FindLeadsResponse>, Status> {
        self.require(&request)?;
        let FindLeadsRequest { thresholds, from, depth, max_sellers } = request.into_inner();
        let from = convert::optional_name("from", &from).map_err(Fault::from)?;
        let thresholds = lead_convert::thresholds(thresholds).map_err(Fault::from)?;
        let page = self.leads.find(from, thresholds, lead_convert::reach(depth, max_sellers)).await.map_err(Fault::from)?;
        self.audit.answered(AuditKind::LeadSearch, [""]);
        let leads = page.found.iter().map(lead_convert::found).collect();
        Ok(Response::new(FindLeadsResponse { leads, next: name_of(page.next) }))
    }

    async fn open_lead(&self, request: Request<OpenLeadRequest>) -> Result<Response<OpenLeadResponse>, Status> {
        self.require(&request)?;
        let OpenLeadRequest { signal, depth, max_sellers, region } = request.into_inner();
        let signal = entry_name_from_wire("signal", &signal).map_err(Fault::from)?;
        let region = convert::optional(&region).map_err(Fault::from)?;
        let opened = self.leads.open(signal, lead_convert::reach(depth, max_sellers), region).await;
        let (record, created) = opened.map_err(Fault::from)?;
        Ok(Response::new(OpenLeadResponse { lead: Some(lead_convert::lead(&record)), created }))
    }

    async fn record_lead(&self, request: Request<RecordLeadRequest>) -> Result<Response<RecordLeadResponse>, Status> {
        self.require(&request)?;
        let request = request.into_inner();
        let lead = entry_name_from_wire("lead", &request.lead).map_err(Fault::from)?;
        let progress = lead_convert::progress(request).map_err(Fault::from)?;
        let (lead, entry) = self.leads.progress(lead, progress).await.map_err(Fault::from)?;
        Ok(Response::new(RecordLeadResponse { entry: entry.to_string(), lead: lead.to_string() }))
    }

    async fn get_lead(&self, request: Request<GetLeadRequest>) -> Result<Response<GetLeadResponse>, Status> {
        self.require(&request)?;
        let lead = entry_name_from_wire("lead", &request.into_inner().lead).map_err(Fault::from)?;
        let record = self.leads.get(lead).await.map_err(Fault::from)?;
        Ok(Response::new(GetLeadResponse { lead: Some(lead_convert::lead(&record)) }))
    }

    async fn list_leads(&self, request: Request<ListLeadsRequest>) -> Result<Response<ListLeadsResponse>, Status> {
        self.require(&request)?;
        let ListLeadsRequest { open_only, own_only, region, after, page_size: asked } = request.into_inner();
        let after = convert::optional_name("after", &after).map_err(Fault::from)?;
        let filter = LeadFilter { open_only, own_only, region: convert::optional(&region).map_err(Fault::from)? };
        let count = page_size(asked).map_err(Fault::from)?;
        let page = self.leads.list(filter, after, count).await.map_err(Fault::from)?;
        let leads = page.leads.iter().map(lead_convert::lead).collect();
        Ok(Response::new(ListLeadsResponse { leads, next: name_of(page.next) }))
    }

    async fn get_funnel(&self, request: Request<GetFunnelRequest>) -> Result<Response<GetFunnelResponse>, Status> {
        self.require(&request)?;
        let funnels = self.leads.funnels(request.into_inner().own_only).await.map_err(Fault::from)?;
        let by_region = funnels.by_region.iter().map(|(region, funnel)| lead_convert::funnel(region.as_ref(), *funnel));
        let overall = Some(lead_convert::funnel(None, funnels.overall));
        Ok(Response::new(GetFunnelResponse { overall, by_region: by_region.collect() }))
    }

    type ExportLeadStream = Responses<ExportLeadResponse>;

    async fn export_lead(&self, request: Request<ExportLeadRequest>) -> Result<Response<Self::ExportLeadStream>, Status> {
        self.require(&request)?;
        let lead = entry_name_from_wire("lead", &request.into_inner().lead).map_err(Fault::from)?;
        let Bundle { lead, roster, made_at, made_by, entries, cut } = self.leads.export(lead).await.map_err(Fault::from)?;
        self.audit.exported(lead.to_string()).await.map_err(Fault::from)?;
        let (lead, made_at_ms, made_by) = (lead.to_string(), made_at.unix_ms(), made_by.to_string());
        let secretariat_key = self.leads.directory.secretariat().0.to_vec().into();
        let head = Part::Head(BundleHead { lead, roster, made_at_ms, made_by, cut, secretariat_key });
        let entries = entries.into_iter().map(|(entry, bytes, proof)| {
            Part::Entry(ProvenEntry { entry: entry.to_string(), bytes: bytes.bytes().clone(), proof })
        });
        let parts = std::iter::once(head).chain(entries).map(|part| Ok(ExportLeadResponse { part: Some(part) }));
        Ok(Response::new(Box::pin(stream::iter(parts))))
    }
}

pub(super) fn query(request: GetRingRequest) -> Result<RingQuery, FieldError> {
    let start = match (request.signal.as_str(), request.identifiers) {
        (signal, identifiers) if !signal.is_empty() && identifiers.is_empty() => RingStart::Signal(signal.parse()?),
        ("", identifiers) if !identifiers.is_empty() => RingStart::Identifiers(convert::identifiers(identifiers)?),
        _ => return Err(FieldError::new("RING_START", "signal", "name a signal, or identifiers of one seller")),
    };
    Ok(RingQuery {
        start,
        reach: lead_convert::reach(request.depth, request.max_sellers),
        currency: convert::optional(&request.currency)?,
        thresholds: lead_convert::thresholds(request.thresholds)?,
    })
}

fn name_of(name: Option<SignalRef>) -> String {
    name.map(|name| name.to_string()).unwrap_or_default()
}
