//! Who belongs to whom, and by what.

use super::world::{World, allegation, identifier, marker, named};
use crate::domain::{IdentifierKind, MarkerKind, MarkerReason, Strength, Thresholds};
use crate::service::{CaseError, Reach, Ring, RingQuery, RingStart};

fn query(start: RingStart, depth: usize, sellers: usize) -> RingQuery {
    let reach = Reach { depth, sellers, audience: None };
    RingQuery { start, reach, currency: None, thresholds: Thresholds::default() }
}

async fn ring(world: &World, start: RingStart) -> Ring {
    world.node("acme").leads.rings.ring(query(start, 8, 1_000)).await.expect("found")
}

#[tokio::test]
async fn a_ring_has_paths_and_names_its_hubs() {
    let mut world = World::new(&["acme"]).await;
    world.amend(|roster| roster.policy.hub_sellers = 5).await;
    let acme = world.node("acme");
    let phone = |n: usize| identifier(IdentifierKind::Phone, &format!("+86138001380{n:02}"));
    let agent = identifier(IdentifierKind::Email, "agent@forwarding.example");
    let seller = |n: usize, more: Vec<crate::domain::Identifier>| {
        let mut stated = allegation(&format!("shop-{n}.example"), n);
        stated.identifiers.extend(more);
        stated
    };
    // 0 - 1 - 2 by phones, each at the agent; 3 to 9 are the agent's other customers.
    let submissions = [
        seller(0, vec![phone(1), agent.clone()]),
        seller(1, vec![phone(1), phone(2), agent.clone()]),
        seller(2, vec![phone(2), agent.clone()]),
    ];
    acme.submit_all(submissions.into_iter().chain((3..10).map(|n| seller(n, vec![agent.clone()])))).await;
    let found = ring(&world, RingStart::Identifiers(vec![named("shop-0.example")])).await;
    let paths: Vec<_> = found.sellers.iter().map(|seller| (seller.depth, seller.via)).collect();
    assert_eq!(paths, [(0, None), (1, Some((0, IdentifierKind::Phone))), (2, Some((1, IdentifierKind::Phone)))]);
    assert_eq!(found.links, [(0, 1, IdentifierKind::Phone), (1, 2, IdentifierKind::Phone)].into());
    assert_eq!((found.hubs.len(), found.hubs[0].kind, found.hubs[0].count, found.cut), (1, IdentifierKind::Email, 10, false));
    let signal = found.sellers[2].signals[0].signal.clone();
    assert_eq!(ring(&world, RingStart::Signal(signal)).await.sellers.len(), 3, "from the other end too");
    let bounded =
        |depth, sellers| acme.leads.rings.ring(query(RingStart::Identifiers(vec![named("shop-0.example")]), depth, sellers));
    let near = bounded(1, 100).await.expect("found");
    assert_eq!((near.sellers.len(), near.cut), (2, true));
    let few = bounded(8, 2).await.expect("found");
    assert_eq!((few.sellers.len(), few.cut), (2, true));
    let code = |result: Result<Ring, CaseError>| result.expect_err("refused").code();
    assert_eq!(code(bounded(0, 10).await), "RING_DEPTH_INVALID");
    assert_eq!(code(bounded(9, 10).await), "RING_DEPTH_INVALID");
    assert_eq!(code(bounded(1, 1_001).await), "RING_SIZE_INVALID");

    let marker = marker(MarkerKind::Victim, phone(1), MarkerReason::StolenAccount);
    acme.cases.mark(marker).await.expect("durable");
    let found = ring(&world, RingStart::Identifiers(vec![named("shop-0.example")])).await;
    assert_eq!(found.sellers.len(), 1, "a victim's phone links nobody");
}

#[tokio::test]
async fn a_weak_identifier_links_nobody() {
    let world = World::new(&["acme"]).await;
    let name = || identifier(IdentifierKind::LegalName, "Outlet Trading Ltd");
    assert_eq!(world.roster.strength(IdentifierKind::LegalName), Strength::Weak);
    for n in 0..2 {
        let mut stated = allegation(&format!("shop-{n}.example"), n);
        stated.identifiers.push(name());
        world.node("acme").submit(stated).await.expect("taken");
    }
    assert_eq!(ring(&world, RingStart::Identifiers(vec![named("shop-0.example")])).await.sellers.len(), 1);
    let nothing = ring(&world, RingStart::Identifiers(vec![name()])).await;
    assert!(nothing.sellers.is_empty() && nothing.hubs.is_empty() && !nothing.cut, "{nothing:?}");
}
