//! Rings on the made-up population, whose controllers are known: of the stores that belong together, how many are found, and how
//! many that do not.

use std::collections::{BTreeMap, BTreeSet};

use countermark::domain::{IdentifierKind, Platform};
use countermark::population::{Population, Store};
use countermark::rpc::proto;

use crate::TWO;
use crate::cluster::{Alliance, submission};

/// The population has fewer customers for each agent than an alliance would see.
const HUB_SELLERS: u16 = 8;

fn wire(store: &Store) -> Vec<proto::Identifier> {
    let identifier = |identifier: &countermark::domain::Identifier| proto::Identifier {
        kind: identifier.kind.number(),
        value: identifier.value.clone(),
        region: String::new(),
    };
    store.identifiers.iter().map(identifier).collect()
}

/// Places of the stores of one controller that are linked with its first by what is strong.
fn linked(stores: &[Store]) -> BTreeSet<u32> {
    let strong = |store: &Store| -> BTreeSet<String> {
        let strong = store.identifiers.iter().filter(|identifier| identifier.kind != IdentifierKind::PostalAddress);
        strong.map(|identifier| identifier.value.clone()).collect()
    };
    let (mut reached, mut rest) = (BTreeSet::from([0]), vec![0]);
    while let Some(at) = rest.pop() {
        for (other, store) in stores.iter().enumerate() {
            if !reached.contains(&other) && !strong(&stores[at]).is_disjoint(&strong(store)) {
                reached.insert(other);
                rest.push(other);
            }
        }
    }
    reached.into_iter().map(|place| stores[place].place).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stores_of_a_controller_are_found_and_an_agents_other_customers_are_not() {
    let (mut alliance, sockets) = Alliance::new(&TWO).await;
    alliance.amend(|roster| {
        roster.policy.hub_sellers = HUB_SELLERS;
        let platform = |id: &str| Platform { id: id.parse().expect("valid"), case_sensitive: false, domains: [].into() };
        roster.platforms = ["taobao", "aliexpress", "amazon"].map(platform).into();
    });
    let nodes = alliance.start_all(sockets).await;
    let mut bazaar = alliance.client("bazaar").await;
    let population = Population::new(7);
    let controllers: Vec<Vec<Store>> = (0..2_000).map(|number| population.controller(number)).collect();
    let mut store_of: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    let rows = controllers.iter().flatten().map(|store| submission("all", wire(store))).collect();
    for (store, result) in controllers.iter().flatten().zip(bazaar.submit_all(rows).await) {
        store_of.insert(result.expect("taken").signal, (store.controller, store.place));
    }
    let (mut right, mut wrong, mut expected) = (0, 0, 0);
    for stores in controllers.iter().filter(|stores| (3..=60).contains(&stores.len())).take(120) {
        let request = proto::GetRingRequest {
            identifiers: wire(&stores[0])[..1].to_vec(),
            depth: 8,
            max_sellers: 1_000,
            ..Default::default()
        };
        let ring = bazaar.leads.get_ring(request).await.expect("found").into_inner();
        let belong: BTreeSet<_> = linked(stores).into_iter().map(|place| (stores[0].controller, place)).collect();
        let signals = ring.sellers.iter().flat_map(|seller| &seller.signals);
        let found: BTreeSet<_> = signals.map(|signal| store_of[&signal.signal]).collect();
        right += found.intersection(&belong).count();
        wrong += found.difference(&belong).count();
        expected += belong.len();
    }
    let (precision, recall) = (right as f64 / (right + wrong) as f64, right as f64 / expected as f64);
    // What is missed hangs on an agent's phone alone, or more than eight links away; what is wrong came by an agent with few customers.
    assert!(precision > 0.95 && recall > 0.95, "precision {precision:.3}, recall {recall:.3} of {expected} stores");
    for node in nodes.into_values() {
        node.stop().await;
    }
}
