//! Who belongs to whom, and by what.

use super::leads::goods;
use super::rekeying::{destroy_old_key, replace_key, say, sets};
use super::world::{World, allegation, identifier, marker, named};
use crate::domain::{IdentifierKind, MarkerKind, MarkerReason, PseudonymSet, Strength, Thresholds};
use crate::service::{CaseError, Reach, Ring, RingQuery, RingStart, Rings, WalkBounds};

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
async fn what_a_member_puts_in_the_way_of_a_walk_cuts_the_ring_and_makes_it_no_larger() {
    let mut world = World::new(&["acme"]).await;
    world.amend(|roster| roster.policy.hub_sellers = 5).await;
    let phone = |n: usize| identifier(IdentifierKind::Phone, &format!("+861380013{n:04}"));
    let agent = || identifier(IdentifierKind::Email, "agent@forwarding.example");
    let shop = |n: usize, case: usize, more: Vec<crate::domain::Identifier>| {
        let mut stated = allegation(&format!("shop-{n}.example"), case);
        stated.identifiers.extend(more);
        stated
    };
    // 0, 1 and 2 share a phone, and each is at an agent; 0 is said to have many more phones.
    let linked = (0..3).map(|n| shop(n, 0, vec![phone(0), agent()]));
    let customers = (3..10).map(|n| shop(n, 0, vec![agent()]));
    let flood = (1..9).map(|case| shop(0, case, vec![phone(case)]));
    world.node("acme").submit_all(linked.chain(customers).chain(flood)).await;
    let rings = &world.node("acme").leads.rings;
    let within = async |change: &dyn Fn(&mut WalkBounds)| {
        let mut bounds = WalkBounds::default();
        change(&mut bounds);
        let rings = Rings { bounds, ..Rings::clone(rings) };
        let found = rings.ring(query(RingStart::Identifiers(vec![named("shop-0.example")]), 8, 1_000)).await.expect("found");
        let signals = found.sellers.iter().map(|seller| seller.signals.len()).sum::<usize>();
        assert!(found.sellers.iter().all(|seller| !seller.signals.is_empty()), "each seller can be named");
        (found.sellers.len(), signals, found.links.len(), found.hubs.len(), found.cut)
    };
    assert_eq!(within(&|_| ()).await, (3, 11, 2, 1, false));
    assert_eq!(within(&|bounds| bounds.signals = 11).await, (3, 11, 2, 1, false));
    let (_, signals, _, _, cut) = within(&|bounds| bounds.signals = 10).await;
    assert_eq!((signals, cut), (10, true));
    assert_eq!(within(&|bounds| bounds.links = 1).await, (3, 11, 1, 1, true));
    assert_eq!(within(&|bounds| bounds.hubs = 0).await, (3, 11, 2, 0, true));
    // Nine signals of the first shop are read, and then no more than is left.
    assert_eq!(within(&|bounds| bounds.reads = 9).await, (1, 9, 0, 0, true));
    assert_eq!(within(&|bounds| bounds.reads = 0).await, (0, 0, 0, 0, true));
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

#[tokio::test]
async fn a_member_that_says_that_its_seller_is_everybody_opens_no_hub() {
    // The first is heard first, and lies.
    let mut world = World::new(&["abel", "acme"]).await;
    world.amend(|roster| roster.policy.hub_sellers = 5).await;
    let seller = |shop: &str, case: usize| {
        let mut stated = allegation(shop, case);
        stated.identifiers.push(identifier(IdentifierKind::Email, "agent@forwarding.example"));
        stated
    };
    let shops: Vec<String> = (0..7).map(|n| format!("shop-{n}.example")).collect();
    let honest = || shops.iter().map(|shop| seller(shop, 1));
    world.node("acme").submit_all(honest()).await;
    world.node("abel").submit_all((0..8).map(|case| seller("elsewhere.example", case))).await;
    let hubs = async |world: &World| {
        world.deliver("abel/all", "acme").await;
        let found = ring(world, RingStart::Identifiers(vec![named(&shops[0])])).await;
        let mail = found.hubs.iter().filter(|hub| hub.kind == IdentifierKind::Email);
        mail.map(|hub| hub.count).collect::<Vec<_>>()
    };
    assert_eq!(hubs(&world).await, [8]);
    // Under keys that there are not it says what others are under one that there is.
    let mut others: Vec<PseudonymSet> = Vec::new();
    for (n, shop) in shops.iter().enumerate() {
        let set = sets(world.node("abel"), &seller(shop, 1).identifiers).await.remove(0);
        others.push(PseudonymSet { key: format!("x{n}").parse().expect("valid"), ..set });
    }
    for some in others.chunks(4) {
        say(world.node("abel"), 0, some.to_vec()).await;
    }
    assert_eq!(hubs(&world).await, [8]);
    // And under a key that there is, what each of them is.
    replace_key(&mut world).await;
    for submission in honest() {
        assert!(world.node("acme").submit(submission).await.expect("taken").rekeyed);
    }
    for (seq, shop) in (1..).zip(&shops) {
        let under_next = sets(world.node("abel"), &seller(shop, 1).identifiers).await;
        say(world.node("abel"), seq, under_next).await;
    }
    assert_eq!(hubs(&world).await, [8]);
}

#[tokio::test]
async fn what_is_stated_again_after_its_key_was_destroyed_is_met_once() {
    let mut world = World::new(&["acme"]).await;
    let (late, linked) = (|| goods("all", 0, 30_000, &[1]), || goods("all", 1, 0, &[1]));
    world.node("acme").submit_all([late(), linked()]).await;
    replace_key(&mut world).await;
    assert!(world.node("acme").submit(linked()).await.expect("taken").rekeyed);
    destroy_old_key(&mut world).await;
    assert!(world.node("acme").submit(late()).await.expect("taken").created, "by nothing is it known any more");
    let found = ring(&world, RingStart::Identifiers(vec![named("shop-1.example")])).await;
    let signals: Vec<usize> = found.sellers.iter().map(|seller| seller.signals.len()).collect();
    assert_eq!((signals, found.goods.total_minor), (vec![1, 1], 3_000_000));
}
