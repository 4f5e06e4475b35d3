//! A signal's life over real nodes: it is corrected, rebutted, disagreed with and decided at one member, and all answer alike.

use countermark::domain::Role;
use countermark::rpc::proto::{
    self, AnswerStep, DisputeGround, DisputeOutcome, IdentifierKind as Kind, MarkerKind, MarkerReason, Reason, SignalStatus,
    Stance, Verdict,
};
use tonic::Code;

use crate::cluster::{Alliance, Client, eventually, identifier, member, statement, submission};
use crate::{THREE, code};

fn seller() -> Vec<proto::Identifier> {
    vec![identifier(Kind::Domain, "outlet-17.test"), identifier(Kind::BusinessLicence, "91110000600037341L")]
}

/// Waits until every one of `clients` gives the verdict.
async fn all_say(clients: &[Client], asked: &[proto::Identifier], verdict: Verdict) {
    eventually(&format!("everybody says {verdict:?}"), || {
        let (clients, asked) = (clients.to_vec(), asked.to_vec());
        async move {
            for mut client in clients {
                if client.check(asked.clone()).await.expect("answered").verdict() != verdict {
                    return false;
                }
            }
            true
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rebuttal_holds_at_all_members_and_its_decision_too() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let nodes = alliance.start_all(sockets).await;
    let mut clients = Vec::new();
    for (member, _) in THREE {
        clients.push(alliance.client(member).await);
    }
    let [mut bazaar, mut aurelle, mut kestrel] = [clients[0].clone(), clients[1].clone(), clients[2].clone()];
    let mut judged = submission("all", seller());
    let court = proto::Evidence { kind: proto::EvidenceKind::CourtJudgment.into(), ..Default::default() };
    judged.statement = Some(proto::Statement { evidence: vec![court], ..statement() });
    let signal = aurelle.submit(judged).await.expect("taken").signal;
    all_say(&clients, &seller(), Verdict::Confirmed).await;

    // The seller turns to the platform, which did not flag it.
    let open = proto::OpenDisputeRequest {
        signals: vec![signal.clone()],
        ground: DisputeGround::GenuineGoods.into(),
        sha256: vec![vec![7; 32].into()],
    };
    let opened = bazaar.cases.open_dispute(open.clone()).await.expect("durable").into_inner();
    assert!(opened.created && opened.reference.starts_with("CM-"), "{opened:?}");
    let again = bazaar.cases.open_dispute(open).await.expect("known").into_inner();
    assert_eq!(again, proto::OpenDisputeResponse { created: false, ..opened.clone() });
    all_say(&clients, &seller(), Verdict::Disputed).await;
    let request = proto::GetCaseRequest { reference: opened.reference.to_lowercase() };
    let cases = kestrel.cases.get_case(request).await.expect("found at any member").into_inner().cases;
    assert_eq!((cases.len(), cases[0].dispute.as_str(), cases[0].sha256.len()), (1, opened.dispute.as_str(), 1));
    assert_eq!((cases[0].signals[0].signal.as_str(), cases[0].signals[0].status()), (signal.as_str(), SignalStatus::Disputed));

    let decide = |outcome: DisputeOutcome| proto::DecideDisputeRequest {
        dispute: opened.dispute.clone(),
        outcome: outcome.into(),
        signals: vec![],
    };
    let refused = kestrel.cases.decide_dispute(decide(DisputeOutcome::Refuted)).await.expect_err("not its signal");
    assert_eq!(code(&refused), (Code::FailedPrecondition, "DISPUTE_ENDED".into()));
    aurelle.cases.decide_dispute(decide(DisputeOutcome::Refuted)).await.expect("durable");
    all_say(&clients, &seller(), Verdict::NoneKnown).await;
    let refused = aurelle.cases.decide_dispute(decide(DisputeOutcome::Upheld)).await.expect_err("decided");
    assert_eq!(code(&refused), (Code::FailedPrecondition, "DISPUTE_ENDED".into()));

    let record = kestrel.signals.get_signal(proto::GetSignalRequest { signal }).await.expect("readable").into_inner().record;
    let record = record.expect("a record");
    assert_eq!((record.status(), record.disputes.len()), (SignalStatus::Refuted, 1));
    assert_eq!((record.disputes[0].ended, record.disputes[0].outcome()), (true, DisputeOutcome::Refuted));
    for node in nodes.into_values() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_opinions_and_markers_reach_everybody_and_survive_a_restart() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let mut nodes = alliance.start_all(sockets).await;
    let mut clients = Vec::new();
    for (member, _) in THREE {
        clients.push(alliance.client(member).await);
    }
    let [mut bazaar, mut aurelle, mut kestrel] = [clients[0].clone(), clients[1].clone(), clients[2].clone()];
    let with_id = proto::Submission { submission_id: "case-17".into(), ..submission("all", seller()) };
    let signal = aurelle.submit(with_id).await.expect("taken").signal;
    all_say(&clients, &seller(), Verdict::Alleged).await;

    let amend = |change: proto::Change| proto::AmendSignalRequest {
        target: Some(proto::amend_signal_request::Target::SubmissionId("case-17".into())),
        audience: "all".into(),
        change: Some(change),
    };
    let judgment = proto::Evidence { kind: proto::EvidenceKind::CourtJudgment.into(), ..Default::default() };
    let change = proto::Change { evidence: vec![judgment], ..Default::default() };
    let amended = aurelle.signals.amend_signal(amend(change)).await.expect("durable").into_inner();
    assert_eq!(amended.signal, signal);
    all_say(&clients, &seller(), Verdict::Confirmed).await;
    let notify = proto::Change { step: AnswerStep::Unrefuted.into(), ..Default::default() };
    let refused = aurelle.signals.amend_signal(amend(notify)).await.expect_err("the seller was never told");
    assert_eq!(code(&refused), (Code::FailedPrecondition, "SELLER_NOT_NOTIFIED".into()));

    let disagree = proto::GiveOpinionRequest {
        signal: signal.clone(),
        stance: Stance::Disagree.into(),
        evidence: vec![],
        reason: DisputeGround::Licensed.into(),
    };
    let own = aurelle.cases.give_opinion(disagree.clone()).await.expect_err("its own");
    assert_eq!(code(&own), (Code::InvalidArgument, "OPINION_ON_OWN".into()));
    kestrel.cases.give_opinion(disagree.clone()).await.expect("durable");
    all_say(&clients, &seller(), Verdict::Disputed).await;
    let none = proto::GiveOpinionRequest { stance: Stance::None.into(), reason: 0, ..disagree };
    kestrel.cases.give_opinion(none).await.expect("durable");
    all_say(&clients, &seller(), Verdict::Confirmed).await;

    let licence = vec![seller().remove(1)];
    let mark = proto::MarkIdentifiersRequest {
        kind: MarkerKind::Victim.into(),
        audience: "all".into(),
        identifiers: licence.clone(),
        reason: MarkerReason::StolenLicence.into(),
        sha256: vec![],
        valid_days: 0,
    };
    let marker = bazaar.cases.mark_identifiers(mark).await.expect("durable").into_inner().marker;
    all_say(&clients, &licence, Verdict::NoneKnown).await;
    all_say(&clients, &seller(), Verdict::Confirmed).await;
    let answer = kestrel.check(seller()).await.expect("answered");
    assert_eq!((answer.markers.len(), answer.markers[0].marker.as_str()), (1, marker.as_str()));
    assert!(answer.reasons().any(|reason| reason == Reason::VictimMarked));
    let past = kestrel.screening.get_check(proto::GetCheckRequest { reference: answer.reference.clone() }).await;
    let past = past.expect("read again").into_inner().answer.expect("an answer");
    assert_eq!((past.verdict(), past.reasons, past.score), (answer.verdict(), answer.reasons, answer.score));

    // What was said stands in the log, and not in memory alone.
    nodes.remove(&member("kestrel")).expect("runs").stop().await;
    let restarted = alliance.start("kestrel", None).await.expect("starts again");
    let kestrel = alliance.client("kestrel").await;
    all_say(std::slice::from_ref(&kestrel), &licence, Verdict::NoneKnown).await;
    all_say(std::slice::from_ref(&kestrel), &seller(), Verdict::Confirmed).await;
    bazaar.cases.lift_marker(proto::LiftMarkerRequest { marker }).await.expect("durable");
    all_say(&[kestrel, bazaar, aurelle], &licence, Verdict::Confirmed).await;
    restarted.stop().await;
    for node in nodes.into_values() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_for_those_who_handle_them() {
    let (mut alliance, sockets) = Alliance::new(&THREE).await;
    alliance.grant("bazaar", "screening", &[Role::Check]);
    let nodes = alliance.start_all(sockets).await;
    let mut screening = Client::on(alliance.channel("bazaar", "screening").await);
    let refused = |status: tonic::Status| assert_eq!(code(&status), (Code::PermissionDenied, "ROLE_MISSING".into()));
    refused(screening.cases.open_dispute(proto::OpenDisputeRequest::default()).await.expect_err("refused"));
    refused(screening.cases.decide_dispute(proto::DecideDisputeRequest::default()).await.expect_err("refused"));
    refused(screening.cases.get_case(proto::GetCaseRequest::default()).await.expect_err("refused"));
    refused(screening.cases.list_cases(proto::ListCasesRequest::default()).await.expect_err("refused"));
    refused(screening.cases.give_opinion(proto::GiveOpinionRequest::default()).await.expect_err("refused"));
    refused(screening.cases.mark_identifiers(proto::MarkIdentifiersRequest::default()).await.expect_err("refused"));
    refused(screening.cases.lift_marker(proto::LiftMarkerRequest::default()).await.expect_err("refused"));
    refused(screening.signals.amend_signal(proto::AmendSignalRequest::default()).await.expect_err("refused"));
    refused(screening.leads.get_ring(proto::GetRingRequest::default()).await.expect_err("refused"));
    refused(screening.screening.set_override(proto::SetOverrideRequest::default()).await.expect_err("refused"));
    refused(screening.screening.remove_override(proto::RemoveOverrideRequest::default()).await.expect_err("refused"));
    refused(screening.screening.list_overrides(proto::ListOverridesRequest::default()).await.expect_err("refused"));

    let mut handler = alliance.client("bazaar").await;
    let set = |verdict: Verdict| proto::SetOverrideRequest {
        verdict: verdict.into(),
        identifiers: seller(),
        until_ms: 0,
        note: "a partner".into(),
    };
    let refused = handler.screening.set_override(set(Verdict::Unspecified)).await.expect_err("no verdict");
    assert_eq!(code(&refused), (Code::InvalidArgument, "VERDICT_UNKNOWN".into()));
    let own = handler.screening.set_override(set(Verdict::KnownGood)).await.expect("durable").into_inner().r#override;
    let answer = screening.check(seller()).await.expect("answered");
    assert_eq!((answer.verdict(), answer.overrides[0].r#override.as_str()), (Verdict::KnownGood, own.as_str()));
    let remove = proto::RemoveOverrideRequest { r#override: own };
    assert!(handler.screening.remove_override(remove.clone()).await.expect("durable").into_inner().removed);
    assert!(!handler.screening.remove_override(remove).await.expect("idempotent").into_inner().removed);
    assert_eq!(screening.check(seller()).await.expect("answered").verdict(), Verdict::NoneKnown);
    for node in nodes.into_values() {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_goes_through_what_several_members_know() {
    let (mut alliance, sockets) = Alliance::new(&THREE).await;
    alliance.amend(|roster| roster.policy.rates = toml::from_str("[from.2026-01-01]\nUSD = \"7.25\"\n").expect("rates"));
    let nodes = alliance.start_all(sockets).await;
    let mut bazaar = alliance.client("bazaar").await;
    let phone = |n: u32| identifier(Kind::Phone, &format!("+86138001380{n:02}"));
    let shop = |n: u32| identifier(Kind::Domain, &format!("shop-{n}.test"));
    // Each member knows one link of the chain, and two of them state the goods of one seizure.
    let mut told = Vec::new();
    let goods = [(100_000, "CNY", "HP 2026-1189"), (20_000, "USD", "hp2026/1189"), (1_000, "CNY", "")];
    for (n, (member, (amount_minor, currency, reference))) in
        ["bazaar", "aurelle", "kestrel"].into_iter().zip(goods).enumerate()
    {
        let n = u32::try_from(n).expect("small");
        let mut client = alliance.client(member).await;
        let mut stated = submission("all", vec![shop(n), phone(n), phone(n + 1)]);
        if let Some(statement) = &mut stated.statement {
            let (currency, reference) = (currency.to_owned(), reference.to_owned());
            statement.goods_value = Some(proto::GoodsValue { amount_minor, currency, count: 0, reference, state: 0 });
        }
        told.push(client.submit(stated).await.expect("taken").signal);
    }
    eventually("the platform knows all three", || {
        let mut bazaar = bazaar.clone();
        async move { bazaar.size("aurelle", "all").await == 1 && bazaar.size("kestrel", "all").await == 1 }
    })
    .await;
    let request = proto::GetRingRequest { identifiers: vec![shop(0)], ..Default::default() };
    let ring = bazaar.leads.get_ring(request).await.expect("found").into_inner();
    let found: Vec<_> = ring.sellers.iter().map(|seller| (seller.depth, seller.signals[0].signal.clone())).collect();
    assert_eq!(found, [(0, told[0].clone()), (1, told[1].clone()), (2, told[2].clone())]);
    assert_eq!((ring.links.len(), ring.hubs.len(), ring.cut), (2, 0, false));
    let goods = ring.goods.expect("a sum");
    assert_eq!((goods.total_minor, goods.currency.as_str()), (146_000, "CNY"), "{:?}", goods.stated);
    assert_eq!((goods.goods, goods.repeated_signals, goods.unvalued_signals), (2, 1, 0));
    let request = proto::GetRingRequest { signal: told[0].clone(), currency: "RMB".into(), ..Default::default() };
    let refused = bazaar.leads.get_ring(request).await.expect_err("no currency");
    assert_eq!(code(&refused), (Code::InvalidArgument, "CURRENCY_UNKNOWN".into()));
    let refused = bazaar.leads.get_ring(proto::GetRingRequest::default()).await.expect_err("no start");
    assert_eq!(code(&refused), (Code::InvalidArgument, "RING_START".into()));
    for node in nodes.into_values() {
        node.stop().await;
    }
}
