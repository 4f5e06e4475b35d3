use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Request, Response, Status};

use super::access::AccessList;
use super::convert;
use super::fault::Fault;
use super::proto::lead_service_server::LeadService;
use super::proto::{self, GetRingRequest, GetRingResponse};
use crate::domain::{FieldError, IdentifierKind, Role};
use crate::service::{GoodsTotal, Hub, Ring, RingQuery, RingSeller, RingStart, Rings, SignalRecord};

const USUAL_DEPTH: u32 = 4;
const USUAL_SELLERS: u32 = 100;
/// Signals of one seller that are shown, so that a thousand sellers fit into one answer.
const MAX_SIGNALS_SHOWN: usize = 16;

/// `countermark.v1.LeadService`.
#[derive(Clone)]
pub struct LeadServer {
    /// Finds rings.
    pub rings: Arc<Rings>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
}

#[tonic::async_trait]
impl LeadService for LeadServer {
    async fn get_ring(&self, request: Request<GetRingRequest>) -> Result<Response<GetRingResponse>, Status> {
        self.access.load().require(&request, &[Role::Cases])?;
        let query = query(request.into_inner()).map_err(Fault::from)?;
        let ring = self.rings.ring(query).await.map_err(Fault::from)?;
        Ok(Response::new(response(&ring)))
    }
}

fn query(request: GetRingRequest) -> Result<RingQuery, FieldError> {
    let start = match (request.signal.as_str(), request.identifiers) {
        (signal, identifiers) if !signal.is_empty() && identifiers.is_empty() => RingStart::Signal(signal.parse()?),
        ("", identifiers) if !identifiers.is_empty() => RingStart::Identifiers(convert::identifiers(identifiers)?),
        _ => return Err(FieldError::new("RING_START", "signal", "name a signal, or identifiers of one seller")),
    };
    let or_usual = |asked: u32, usual: u32| usize::try_from(if asked == 0 { usual } else { asked }).unwrap_or(usize::MAX);
    let (depth, sellers) = (or_usual(request.depth, USUAL_DEPTH), or_usual(request.max_sellers, USUAL_SELLERS));
    let currency = Some(request.currency).filter(|code| !code.is_empty()).map(|code| code.parse()).transpose()?;
    Ok(RingQuery { start, depth, sellers, currency })
}

fn response(ring: &Ring) -> GetRingResponse {
    let link =
        |(a, b, kind): &(usize, usize, IdentifierKind)| proto::RingLink { a: place(*a), b: place(*b), kind: kind.number() };
    let hub = |hub: &Hub| proto::RingHub { kind: hub.kind.number(), seller: hub.seller.map(place), count: place(hub.count) };
    GetRingResponse {
        sellers: ring.sellers.iter().map(seller).collect(),
        links: ring.links.iter().map(link).collect(),
        hubs: ring.hubs.iter().map(hub).collect(),
        cut: ring.cut,
        goods: Some(goods(&ring.goods)),
    }
}

fn goods(total: &GoodsTotal) -> proto::GoodsTotal {
    let stated = total.stated.iter().map(|(currency, minor)| proto::StatedAmount {
        amount_minor: *minor,
        currency: currency.to_string(),
        without_rate: total.without_rate.contains(currency),
    });
    proto::GoodsTotal {
        total_minor: total.total_minor,
        currency: total.currency.to_string(),
        stated: stated.collect(),
        goods: place(total.goods),
        repeated_signals: place(total.repeated),
        unvalued_signals: place(total.unvalued),
        left_out_signals: place(total.left_out),
    }
}

fn seller(seller: &RingSeller) -> proto::RingSeller {
    proto::RingSeller {
        depth: place(seller.depth),
        via_seller: seller.via.map(|(from, _)| place(from)),
        via_kind: seller.via.map_or(0, |(_, kind)| kind.number()),
        signals: seller.signals.iter().take(MAX_SIGNALS_SHOWN).map(signal).collect(),
    }
}

fn signal(record: &SignalRecord) -> proto::RingSignal {
    let statement = record.statement();
    let region = statement.sighting.as_ref().and_then(|sighting| sighting.region.as_ref());
    proto::RingSignal {
        signal: record.signal.to_string(),
        status: record.status.number(),
        kinds: record.content.kinds.iter().map(|kind| kind.number()).collect(),
        region: region.map(ToString::to_string).unwrap_or_default(),
        brand: statement.brand.clone().unwrap_or_default(),
    }
}

fn place(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
