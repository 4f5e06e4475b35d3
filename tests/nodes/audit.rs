//! Everything that a client does with a node stands in its audit log, under the name of its certificate, and no identifier does.

use countermark::domain::{AuditKind, AuditRecord, Role};
use countermark::feed::{decode_audit, sha256};
use countermark::rpc::proto::audit_service_client::AuditServiceClient;
use countermark::rpc::proto::{self, IdentifierKind as Kind, ListAuditRequest};
use tonic::Code;
use tonic::transport::Channel;

use crate::cluster::{Alliance, eventually, identifier, statement, submission};
use crate::{TWO, cluster};

async fn log(client: &mut AuditServiceClient<Channel>) -> Vec<AuditRecord> {
    let request = ListAuditRequest { from: 0, page_size: 1_000 };
    let page = client.list_audit(request).await.expect("listed").into_inner();
    page.records.iter().map(|bytes| decode_audit(bytes).expect("of this version")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_client_does_is_noted_under_its_name() {
    let (mut alliance, sockets) = Alliance::new(&TWO).await;
    alliance.grant("bazaar", "onboarding", &[Role::Check]);
    alliance.grant("bazaar", "operator", &[Role::Admin]);
    let nodes = alliance.start_all(sockets).await;
    let mut desk = alliance.client("bazaar").await;
    let mut aurelle = alliance.client("aurelle").await;
    let channel = alliance.channel("bazaar", "onboarding").await;
    let mut onboarding = cluster::Client::on(channel.clone());
    let mut audit = AuditServiceClient::new(alliance.channel("bazaar", "operator").await);
    let seller = || vec![identifier(Kind::Domain, "outlet-17.test"), identifier(Kind::Phone, "+8613800138000")];

    let before = log(&mut audit).await.len();
    let mut stated = submission("all", seller());
    stated.statement = Some(proto::Statement {
        goods_value: Some(proto::GoodsValue { amount_minor: 7_000_000, currency: "CNY".into(), ..Default::default() }),
        ..statement()
    });
    let signal = desk.submit(stated).await.expect("taken").signal;
    let other = aurelle.submit(submission("all", seller())).await.expect("taken").signal;
    eventually("the other member's signal is here", || {
        let mut desk = desk.clone();
        async move { desk.size("aurelle", "all").await == 1 }
    })
    .await;
    let court = proto::Evidence { kind: proto::EvidenceKind::CourtJudgment.into(), ..Default::default() };
    let change = Some(proto::Change { evidence: vec![court], ..Default::default() });
    let target = Some(proto::amend_signal_request::Target::Signal(signal.clone()));
    desk.signals.amend_signal(proto::AmendSignalRequest { target, audience: String::new(), change }).await.expect("durable");
    let opinion = proto::GiveOpinionRequest {
        signal: other,
        stance: proto::Stance::Disagree.into(),
        evidence: vec![],
        reason: proto::DisputeGround::Licensed.into(),
    };
    desk.cases.give_opinion(opinion).await.expect("durable");
    let dispute = proto::OpenDisputeRequest {
        signals: vec![signal.clone()],
        ground: proto::DisputeGround::GenuineGoods.into(),
        sha256: vec![],
    };
    let dispute = desk.cases.open_dispute(dispute).await.expect("durable").into_inner().dispute;
    let decision = proto::DecideDisputeRequest {
        dispute: dispute.clone(),
        outcome: proto::DisputeOutcome::Upheld.into(),
        signals: vec![],
    };
    let decision = desk.cases.decide_dispute(decision).await.expect("durable").into_inner().decision;
    let marker = proto::MarkIdentifiersRequest {
        kind: proto::MarkerKind::Victim.into(),
        audience: "all".into(),
        identifiers: vec![identifier(Kind::Phone, "+8613800138001")],
        reason: proto::MarkerReason::StolenLicence.into(),
        sha256: vec![],
        valid_days: 0,
    };
    let marker = desk.cases.mark_identifiers(marker).await.expect("durable").into_inner().marker;
    let lift = proto::LiftMarkerRequest { marker: marker.clone() };
    let lift = desk.cases.lift_marker(lift).await.expect("durable").into_inner().lift;
    let opened = desk.leads.open_lead(proto::OpenLeadRequest { signal: signal.clone(), ..Default::default() }).await;
    let lead = opened.expect("durable").into_inner().lead.expect("a lead").lead;
    let mut parts =
        desk.leads.export_lead(proto::ExportLeadRequest { lead: lead.clone() }).await.expect("exported").into_inner();
    while parts.message().await.expect("a part").is_some() {}
    let ring = proto::GetRingRequest { identifiers: seller(), ..Default::default() };
    desk.leads.get_ring(ring).await.expect("walked");
    let rule = proto::Threshold { name: "any".into(), currency: "CNY".into(), amount: 1, ..Default::default() };
    desk.leads.find_leads(proto::FindLeadsRequest { thresholds: vec![rule], ..Default::default() }).await.expect("looked");
    let answer = onboarding.check(seller()).await.expect("answered");
    onboarding.check(seller()).await.expect("answered");

    let digest = |text: &str| hex::encode(&sha256(&[text.as_bytes()]).0[..8]);
    let wanted = digest(&answer.reference);
    eventually("the checks are noted", || {
        let mut audit = audit.clone();
        async move { log(&mut audit).await.iter().filter(|r| r.kind == AuditKind::Check).map(|r| r.count).sum::<u32>() == 2 }
    })
    .await;
    let records = log(&mut audit).await.split_off(before);
    let by = |kind: AuditKind| {
        let of_kind = records.iter().filter(|record| record.kind == kind);
        of_kind.map(|record| (record.actor.client.as_str(), record.reference.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(by(AuditKind::Submission), [("all-roles", signal.as_str())]);
    assert_eq!(by(AuditKind::Amendment), [("all-roles", "bazaar/all/1")]);
    assert_eq!(by(AuditKind::Opinion), [("all-roles", "bazaar/all/2")]);
    for (kind, entry) in [
        (AuditKind::Dispute, dispute),
        (AuditKind::Decision, decision),
        (AuditKind::Marker, marker),
        (AuditKind::MarkerLift, lift),
    ] {
        assert_eq!(by(kind), [("all-roles", entry.as_str())]);
    }
    assert_eq!(
        (by(AuditKind::Lead), by(AuditKind::Export)),
        (vec![("all-roles", lead.as_str())], vec![("all-roles", lead.as_str())])
    );
    assert_eq!((by(AuditKind::Ring), by(AuditKind::LeadSearch)), (vec![("all-roles", "")], vec![("all-roles", "")]));
    assert!(by(AuditKind::Check).iter().all(|(client, _)| *client == "onboarding"));
    assert!(by(AuditKind::Check).iter().any(|(_, reference)| reference.contains(&wanted)), "{wanted} in {records:?}");
    assert!(records.iter().all(|record| !record.actor.certificate.is_empty()));
    let text = format!("{records:?}");
    for identifier in ["outlet-17", "13800138000"] {
        assert!(!text.contains(identifier));
    }

    // A stream is worked on in other tasks, and on the same behalf.
    let rows = (0..300).map(|n| submission("all", vec![identifier(Kind::Domain, &format!("row-{n}.test"))]));
    let rows: Vec<_> = rows.map(|row| proto::SubmitSignalsRequest { submission: Some(row) }).collect();
    let mut responses = desk.signals.submit_signals(futures_util::stream::iter(rows)).await.expect("a stream").into_inner();
    while responses.message().await.expect("a row").is_some() {}
    let submitted = log(&mut audit).await.split_off(before);
    let submitted = submitted.iter().filter(|record| record.kind == AuditKind::Submission);
    assert_eq!(submitted.map(|record| record.count).sum::<u32>(), 301);

    // Who may check may not read who checks.
    let refused = AuditServiceClient::new(channel).list_audit(ListAuditRequest::default()).await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    for node in nodes.into_values() {
        node.stop().await;
    }
}
