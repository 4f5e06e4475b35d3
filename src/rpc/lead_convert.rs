//! Between the messages of `LeadService` and the words of the domain.

use prost::Message as _;

use super::convert::optional;
use super::proto::{self, GetRingResponse};
use crate::domain::{
    Currency, FieldError, GoodsState, IdentifierKind, Infringement, ReferralStage, Region, Sentence, Threshold, Thresholds,
};
use crate::feed::{LeadStep, day_from_wire, goods_value_to_wire, optional_word, required_word};
use crate::service::{
    FoundLead, Funnel, GoodsTotal, Hub, LeadRecord, Measured, Progress, Reach, Ring, RingSeller, SignalRecord,
};

/// Signals of one seller that are shown.
const MAX_SIGNALS_SHOWN: usize = 16;
/// Bytes of signals that are shown beyond the first of each seller: with these, the links and the hubs an answer stays below the 4 MiB
/// that clients take, whatever members wrote into their statements.
const MAX_SHOWN_BYTES: usize = 2 * 1_024 * 1_024;

/// How far a walk goes; 0 for what is usual.
pub(super) fn reach(depth: u32, sellers: u32) -> Reach {
    let usual = Reach::default();
    let or_usual = |asked: u32, usual: usize| if asked == 0 { usual } else { usize::try_from(asked).unwrap_or(usize::MAX) };
    Reach { depth: or_usual(depth, usual.depth), sellers: or_usual(sellers, usual.sellers), audience: None }
}

pub(super) fn thresholds(rules: Vec<proto::Threshold>) -> Result<Thresholds, FieldError> {
    let one = |(i, rule)| threshold(rule).map_err(|error| error.inside(format!("thresholds[{i}]")));
    Ok(Thresholds { rules: rules.into_iter().enumerate().map(one).collect::<Result<_, _>>()? })
}

fn threshold(rule: proto::Threshold) -> Result<Threshold, FieldError> {
    let infringement = |number| required_word(number, Infringement::from_number, "INFRINGEMENT_UNKNOWN", "infringements");
    Ok(Threshold {
        name: rule.name,
        region: optional(&rule.region)?,
        infringements: rule.infringements.into_iter().map(infringement).collect::<Result<_, _>>()?,
        state: optional_word(rule.state, GoodsState::from_number, "GOODS_STATE_UNKNOWN", "state")?,
        marks: u16::try_from(rule.marks.max(1)).unwrap_or(u16::MAX),
        currency: rule.currency.parse::<Currency>()?,
        amount: rule.amount,
    })
}

pub(super) fn progress(request: proto::RecordLeadRequest) -> Result<Progress, FieldError> {
    let proto::RecordLeadRequest { lead: _, stage, region, authority, sentence, happened_on } = request;
    Ok(Progress {
        stage: required_word(stage, ReferralStage::from_number, "REFERRAL_STAGE_UNKNOWN", "stage")?,
        region: optional(&region)?,
        authority: (!authority.is_empty()).then_some(authority),
        sentence: optional_word(sentence, Sentence::from_number, "SENTENCE_UNKNOWN", "sentence")?,
        happened_on: day_from_wire("happened_on", &happened_on)?,
    })
}

pub(super) fn ring(ring: &Ring) -> GetRingResponse {
    let link =
        |(a, b, kind): &(usize, usize, IdentifierKind)| proto::RingLink { a: count(*a), b: count(*b), kind: kind.number() };
    let hub = |hub: &Hub| proto::RingHub { kind: hub.kind.number(), seller: hub.seller.map(count), count: count(hub.count) };
    let mut room = MAX_SHOWN_BYTES;
    GetRingResponse {
        sellers: ring.sellers.iter().map(|of| seller(of, &mut room)).collect(),
        links: ring.links.iter().map(link).collect(),
        hubs: ring.hubs.iter().map(hub).collect(),
        cut: ring.cut,
        goods: Some(goods(&ring.goods)),
        thresholds: ring.thresholds.iter().map(measured).collect(),
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
        goods: count(total.goods),
        repeated_signals: count(total.repeated),
        unvalued_signals: count(total.unvalued),
        left_out_signals: count(total.left_out),
    }
}

fn measured(measured: &Measured) -> proto::MeasuredThreshold {
    let Measured { rule, total_minor, marks, met } = measured;
    proto::MeasuredThreshold {
        name: rule.name.clone(),
        met: *met,
        total_minor: *total_minor,
        needed_minor: rule.minor().unwrap_or(i64::MAX),
        currency: rule.currency.to_string(),
        marks: count(*marks),
        needed_marks: rule.marks.into(),
    }
}

fn seller(seller: &RingSeller, room: &mut usize) -> proto::RingSeller {
    let mut shown: Vec<proto::RingSignal> = Vec::new();
    for signal in seller.signals.iter().take(MAX_SIGNALS_SHOWN).map(signal) {
        let bytes = signal.encoded_len();
        if !shown.is_empty() && bytes > *room {
            break;
        }
        *room = room.saturating_sub(bytes);
        shown.push(signal);
    }
    proto::RingSeller {
        depth: count(seller.depth),
        via_seller: seller.via.map(|(from, _)| count(from)),
        via_kind: seller.via.map_or(0, |(_, kind)| kind.number()),
        signals: shown,
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

pub(super) fn found(found: &FoundLead) -> proto::FoundLead {
    proto::FoundLead {
        signal: found.signal.to_string(),
        sellers: count(found.sellers),
        signals: count(found.signals),
        members: found.members.iter().map(ToString::to_string).collect(),
        regions: found.regions.iter().map(ToString::to_string).collect(),
        cut: found.cut,
        goods: Some(goods(&found.goods)),
        thresholds: found.thresholds.iter().map(measured).collect(),
        leads: found.leads.iter().map(ToString::to_string).collect(),
    }
}

pub(super) fn lead(record: &LeadRecord) -> proto::LeadRecord {
    let LeadRecord { lead, signals, overlaps } = record;
    proto::LeadRecord {
        lead: lead.name().to_string(),
        stage: lead.stage().number(),
        open: lead.stage().is_open(),
        region: lead.region().map(ToString::to_string).unwrap_or_default(),
        authority: lead.authority().unwrap_or_default().to_owned(),
        goods_value: lead.goods_value().map(goods_value_to_wire),
        signals: signals
            .iter()
            .map(|(signal, status)| proto::LeadSignal {
                signal: signal.to_string(),
                status: status.map_or(0, crate::domain::SignalStatus::number),
            })
            .collect(),
        steps: lead.steps().map(step).collect(),
        overlaps: overlaps.iter().map(ToString::to_string).collect(),
    }
}

fn step(step: &LeadStep) -> proto::LeadStep {
    let referral = &step.referral;
    proto::LeadStep {
        entry: step.at.to_string(),
        stage: referral.stage.number(),
        recorded_at_ms: step.recorded_at.unix_ms(),
        happened_on: referral.happened_on.map(|day| day.to_string()).unwrap_or_default(),
        region: referral.region.as_ref().map(ToString::to_string).unwrap_or_default(),
        authority: referral.authority.clone().unwrap_or_default(),
        sentence: referral.sentence.map_or(0, Sentence::number),
    }
}

pub(super) fn funnel(region: Option<&Region>, funnel: Funnel) -> proto::Funnel {
    let Funnel { identified, referred, accepted, arrested, convicted, open } = funnel;
    proto::Funnel {
        region: region.map(ToString::to_string).unwrap_or_default(),
        identified: count(identified),
        referred: count(referred),
        accepted: count(accepted),
        arrested: count(arrested),
        convicted: count(convicted),
        open: count(open),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::{MAX_NAME_CHARS, MAX_RING_HUBS, MAX_RING_LINKS, MAX_RING_SELLERS};
    use crate::domain::{Evidence, EvidenceKind, Seq, SignalContent, SignalRef, SignalStatus, Statement, Timestamp};

    /// What gRPC clients take unless they are told otherwise.
    const CLIENT_BYTES: usize = 4 * 1_024 * 1_024;

    /// A ring of as many sellers as there may be, of each of which so many signals name `brand`.
    fn ring_of(signals: u64, brand: &str) -> Ring {
        let statement = Statement {
            brand: Some(brand.to_owned()),
            ..Statement::of(Infringement::Other, vec![Evidence::of(EvidenceKind::TestPurchase)])
        };
        let feed: crate::domain::FeedId = format!("{}/{}", "m".repeat(32), "g".repeat(32)).parse().expect("valid");
        let record = |seq| SignalRecord {
            signal: SignalRef { feed: feed.clone(), seq: Seq::new(seq) },
            status: SignalStatus::Alleged,
            recorded_at: Timestamp::from_unix_ms(1),
            content: SignalContent { kinds: vec![IdentifierKind::Phone; 32], pseudonyms: vec![], statement: statement.clone() },
            rekeyed: vec![],
            retraction: None,
            life: None,
        };
        let seller = |_| RingSeller {
            depth: 8,
            via: Some((MAX_RING_SELLERS, IdentifierKind::Phone)),
            signals: (0..signals).map(|n| record(u64::MAX / 2 + n)).collect(),
        };
        let links = (0..MAX_RING_SELLERS).flat_map(|a| (a + 1..MAX_RING_SELLERS).map(move |b| (a, b, IdentifierKind::Phone)));
        let goods = GoodsTotal {
            total_minor: 0,
            currency: "EUR".parse().expect("valid"),
            stated: [].into(),
            without_rate: [].into(),
            goods: 0,
            repeated: 0,
            unvalued: 0,
            left_out: 0,
        };
        let hub = |_| Hub { kind: IdentifierKind::Email, seller: Some(MAX_RING_SELLERS), count: usize::MAX };
        Ring {
            sellers: (0..MAX_RING_SELLERS).map(seller).collect(),
            links: links.take(MAX_RING_LINKS).collect(),
            hubs: (0..MAX_RING_HUBS).map(hub).collect(),
            cut: true,
            goods,
            thresholds: vec![],
        }
    }

    #[test]
    fn a_ring_fits_into_an_answer_whatever_members_wrote() {
        let answer = ring(&ring_of(20, &"牌".repeat(MAX_NAME_CHARS)));
        assert!(answer.encoded_len() < CLIENT_BYTES, "{}", answer.encoded_len());
        assert!(answer.sellers.iter().all(|seller| !seller.signals.is_empty()), "each seller can be named");
        assert_eq!(answer.sellers[0].signals.len(), MAX_SIGNALS_SHOWN);
        let usual = ring(&ring_of(3, "Outlet"));
        assert!(usual.sellers.iter().all(|seller| seller.signals.len() == 3), "what fits is shown whole");
    }
}
