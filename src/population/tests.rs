use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::IdentifierKind as Kind;

const MANY: u64 = 30_000;

/// Whether `share` of `count` draws is what `expected` gives, within five standard deviations.
fn is_near(share: f64, expected: f64, count: usize) -> bool {
    (share - expected).abs() < 5.0 * (expected * (1.0 - expected) / count as f64).sqrt()
}

#[test]
fn the_same_seed_gives_the_same_population_and_another_one_another() {
    let take = |seed| Population::new(seed).finds(20).take(500).collect::<Vec<_>>();
    assert_eq!(take(7), take(7));
    assert_ne!(take(7), take(8));
    let population = Population::new(7);
    assert_eq!(population.controller(3), population.controller(3));
}

#[test]
fn controllers_have_as_many_stores_as_they_should_and_use_things_again() {
    let population = Population::new(1);
    let controllers: Vec<_> = (0..MANY).map(|number| population.controller(number)).collect();
    let stores: usize = controllers.iter().map(Vec::len).sum();
    let mean = stores as f64 / MANY as f64;
    // The variance of the truncated distribution is 180, so that the mean of 30,000 strays by 0.08.
    assert!((2.5..3.3).contains(&mean), "{mean} stores a controller");
    assert!(controllers.iter().all(|stores| (1..=MAX_STORES).contains(&stores.len())));
    let pairs = || controllers.iter().flat_map(|stores| stores.windows(2)).filter(|p| p.iter().all(|s| !s.at_an_agent));
    for (place, (kind, chance)) in (1..).zip(REUSE) {
        let again = pairs().filter(|pair| pair[0].identifiers[place] == pair[1].identifiers[place]).count();
        let share = again as f64 / pairs().count() as f64;
        let expected = (1.0 - UNLINKED) * chance;
        // Pairs of one controller are linked together or not at all, so that they vary more than draws do.
        assert!((share - expected).abs() < 0.06, "{kind:?}: {share} instead of {expected}");
    }
}

#[test]
fn finds_have_the_shares_that_are_said() {
    let finds: Vec<_> = Population::new(2).finds(20).take(50_000).collect();
    let distinct: BTreeSet<u64> = finds.iter().map(|find| find.number).collect();
    let again = 1.0 - distinct.len() as f64 / finds.len() as f64;
    assert!(is_near(again, DUPLICATES, finds.len()), "{again} duplicates");
    let of_first = finds.iter().filter(|find| find.member == 0).count() as f64 / finds.len() as f64;
    let harmonic: f64 = (1..=20).map(|k| 1.0 / f64::from(k)).sum();
    assert!((of_first - 1.0 / harmonic).abs() < 0.02, "{of_first} by the first member");
    assert!(finds.iter().all(|find| find.member < 20 && find.brand < BRANDS));
    let known: Vec<usize> = finds.iter().map(|find| find.store.known().count()).collect();
    assert!((1..=ASKED).all(|n| known.contains(&n)) && known.iter().all(|n| (1..=ASKED).contains(n)));
    assert!(finds.iter().all(|find| find.store.known().next().is_some_and(|i| i.kind != Kind::PostalAddress)));
}

#[test]
fn controllers_spread_over_the_tiers() {
    let population = Population::new(3);
    let mut tiers = BTreeMap::new();
    (0..MANY).for_each(|number| *tiers.entry(population.controller(number)[0].tier).or_insert(0_u32) += 1);
    for (tier, expected) in TIERS.iter().enumerate() {
        let share = f64::from(tiers[&tier]) / MANY as f64;
        assert!(is_near(share, *expected, MANY as usize), "tier {tier}: {share}");
    }
}

#[test]
fn questions_hit_as_often_as_they_should_and_misses_are_about_nobody() {
    let population = Population::new(4);
    let mut finds = population.finds(3);
    let known: BTreeSet<String> =
        finds.by_ref().take(5_000).flat_map(|f| f.store.identifiers).map(|identifier| identifier.value).collect();
    let questions: Vec<_> = population.questions(0.03, finds.controllers()).take(20_000).collect();
    let hits = questions.iter().filter(|question| question.is_known).count() as f64 / questions.len() as f64;
    assert!(is_near(hits, 0.03, questions.len()), "{hits} hits");
    let of_nobody = questions.iter().filter(|question| !question.is_known);
    let known_by_chance = of_nobody.flat_map(|q| &q.store.identifiers).filter(|i| known.contains(&i.value)).count();
    // One phone number of a thousand million is drawn twice now and then.
    assert!(known_by_chance <= 3, "{known_by_chance} identifiers of strangers are known");
    assert!(questions.iter().all(|question| question.store.asked().count() == ASKED));
}

#[test]
fn some_agents_serve_many_sellers_who_have_nothing_to_do_with_each_other() {
    let population = Population::new(5);
    let mut by_value: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for store in (0..MANY).flat_map(|number| population.controller(number)).filter(|store| store.at_an_agent) {
        let at_agents = store.identifiers.into_iter().filter(|i| matches!(i.kind, Kind::Phone | Kind::PostalAddress));
        at_agents.for_each(|i| by_value.entry(i.value).or_default().extend([store.controller]));
    }
    let largest = by_value.values().map(BTreeSet::len).max().unwrap_or(0);
    assert!(largest > 50, "the largest agent serves {largest} controllers");
}
