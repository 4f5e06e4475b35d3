//! One holder of three does what it can to have the others lose a key, sign twice, blame each other, or never end. None of that costs more
//! than a ceremony.

use bytes::Bytes;

use super::ceremonies::{FIVE, HOLDERS, all, holders, key, made, pending, report, rounds, said, shares, works};
use super::hall::Manner;
use super::world::{World, entropy, member};
use crate::domain::{KeyState, MemberId};
use crate::feed::open_sharing;
use crate::pseudonym::deal;
use crate::service::CeremonyState;

/// What `drinks` alone has of what all signed.
async fn hoarded(world: &World) -> Bytes {
    world.hall.holder("drinks").holder.sharing(&key()).await.expect("readable").expect("all have signed")
}

async fn generations(world: &World) -> Vec<Option<u32>> {
    let mut generations = Vec::new();
    for holder in ["chips", "estate"] {
        generations.push(said(world, holder).await.map(|said| said.generation));
    }
    generations
}

/// Two results that all have signed, and that `drinks` alone knows of.
async fn two_hoarded(world: &World, first: u32) -> [Bytes; 2] {
    let before = world.node("drinks").chest.take(&key());
    let restore = || before.iter().for_each(|before| world.node("drinks").chest.put(&key(), before.clone()));
    restore();
    world.hall.behave("drinks", Some(Manner::Hoarding(0)));
    rounds(&all(world)).await;
    let one = hoarded(world).await;
    world.node("drinks").chest.take(&key());
    restore();
    world.hall.behave("drinks", Some(Manner::Hoarding(first + 1)));
    rounds(&all(world)).await;
    rounds(&all(world)).await;
    [one, hoarded(world).await]
}

#[tokio::test]
async fn results_that_one_holder_shows_to_some_and_not_to_others_cost_nobody_a_share() {
    let world = made().await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
    let [first, second] = two_hoarded(&world, 1).await;
    world.hall.tell("chips", &second);
    world.hall.tell("estate", &first);
    let honest = [world.open_holder("chips"), world.open_holder("estate")];
    rounds(&honest).await;
    assert_eq!(generations(&world).await, [Some(2), Some(2)], "the two go on together");
    FIVE.iter().for_each(|id| world.node(id).clock.advance_ms(3_600_000));
    rounds(&honest).await;
    world.hall.behave("drinks", Some(Manner::Down));
    works(&world, 1).await;
}

#[tokio::test]
async fn no_generation_is_signed_twice_though_one_holder_hides_that_it_was() {
    let world = made().await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
    let [first, _] = two_hoarded(&world, 1).await;
    for holder in ["chips", "estate"] {
        world.hall.tell(holder, &first);
    }
    rounds(&[world.open_holder("chips"), world.open_holder("estate")]).await;
    assert_eq!(generations(&world).await, [Some(1), Some(1)]);
    world.hall.behave("drinks", None);
    world.node("drinks").chest.take(&key()).expect("kept");
    rounds(&all(&world)).await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
    rounds(&all(&world)).await;
    let [chips, estate] = generations(&world).await[..] else { panic!("there are two") };
    assert!(chips == estate && chips >= Some(3), "they have signed a second one: {chips:?}, {estate:?}");
}

#[tokio::test]
async fn whichever_result_the_secretariat_takes_into_use_its_holders_still_have_it() {
    let mut world = pending().await;
    let [first, _] = two_hoarded(&world, 0).await;
    world.hall.behave("drinks", None);
    rounds(&all(&world)).await;
    assert_eq!(generations(&world).await, [Some(1), Some(1)]);
    assert_eq!(take_in(&mut world, &first).await, 0);
    rounds(&[world.open_holder("chips"), world.open_holder("estate")]).await;
    world.hall.behave("drinks", Some(Manner::Down));
    works(&world, 1).await;
}

/// The secretariat takes a result into use, and says so in a roster; gives its generation.
async fn take_in(world: &mut World, note: &Bytes) -> u32 {
    let alliance = world.roster.alliance.clone();
    let feed_key = |id: &MemberId| world.roster.member(id).map(|listed| listed.feed_key);
    let said = open_sharing(note, &alliance, feed_key).expect("signed by all");
    let generation = said.generation;
    world
        .amend(|roster| {
            roster.keys.retain(|listed| listed.id == key());
            roster.keys[0].state = KeyState::Active;
            let sharing = roster.keys[0].sharing.as_mut().expect("shared");
            (sharing.generation, sharing.classes) = (said.generation, said.classes);
        })
        .await;
    generation
}

#[tokio::test]
async fn a_result_that_the_secretariat_alone_was_shown_is_taken_up_by_those_that_signed_it() {
    for refresh in [false, true] {
        let mut world = if refresh { made().await } else { pending().await };
        FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
        world.hall.behave("drinks", Some(Manner::Hoarding(0)));
        rounds(&all(&world)).await;
        let note = hoarded(&world).await;
        assert_eq!(take_in(&mut world, &note).await, u32::from(refresh));
        world.hall.behave("drinks", Some(Manner::Down));
        rounds(&[world.open_holder("chips"), world.open_holder("estate")]).await;
        works(&world, 1).await;
    }
}

#[tokio::test]
async fn a_roster_that_takes_all_holders_from_their_places_costs_nobody_its_share() {
    let mut world = made().await;
    let set = |of: [(&'static str, u16); 3]| {
        move |roster: &mut crate::domain::Roster| roster.keys[0].sharing.as_mut().expect("shared").holders = holders(&of)
    };
    world.amend(set([("chips", 4), ("drinks", 5), ("estate", 6)])).await;
    let present = all(&world);
    rounds(&present).await;
    assert_eq!(report(&present[0]).state, CeremonyState::Repairing, "nobody can help anybody");
    world.amend(set([("chips", 1), ("drinks", 2), ("estate", 3)])).await;
    rounds(&present).await;
    works(&world, 1).await;
}

#[tokio::test]
async fn a_wish_for_new_shares_is_done_with_when_they_are_there_whoever_saw_them_first() {
    let world = made().await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(2));
    let present = all(&world);
    present[2].ceremonies.refresh(&key());
    rounds(&present).await;
    rounds(&present).await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(2));
    rounds(&present).await;
    for holder in &present {
        assert_eq!((report(holder).state, report(holder).generation), (CeremonyState::Held, Some(1)));
    }
}

#[tokio::test]
async fn a_line_beside_a_signature_spoils_nothing() {
    let world = pending().await;
    world.hall.behave("drinks", Some(Manner::Spoiling));
    let present = all(&world);
    rounds(&present).await;
    assert_eq!((report(&present[0]).state, report(&present[0]).waiting_for), (CeremonyState::Making, vec![member("drinks")]));
    world.hall.behave("drinks", None);
    rounds(&present).await;
    for holder in HOLDERS {
        assert_eq!(said(&world, holder).await.map(|said| said.generation), Some(0));
    }
}

#[tokio::test]
async fn a_holder_that_runs_ahead_is_followed_slowly_and_done_without() {
    let mut world = pending().await;
    world.hall.behave("drinks", Some(Manner::Hoarding(u32::MAX)));
    let present = [world.open_holder("chips"), world.open_holder("estate")];
    // More often the one than the other.
    rounds(&present[..1]).await;
    rounds(&present).await;
    let record: serde_json::Value = serde_json::from_str(&world.node("chips").chest.text()).expect("JSON");
    let generation = record["running"]["generation"].as_u64().expect("one is at hand");
    assert!((1..=12 * 64).contains(&generation), "{generation}");
    world
        .amend(|roster| {
            let sharing = roster.keys.iter_mut().find_map(|listed| listed.sharing.as_mut()).expect("shared");
            sharing.holders = holders(&[("chips", 1), ("estate", 3), ("bazaar", 4)]);
        })
        .await;
    let present = ["chips", "estate", "bazaar"].map(|holder| world.open_holder(holder));
    rounds(&present).await;
    rounds(&present).await;
    assert!(said(&world, "bazaar").await.is_some(), "{:?}", report(&present[2]));
}

#[tokio::test]
async fn a_helper_that_makes_up_anothers_part_is_the_one_that_is_blamed() {
    let world = made().await;
    world.node("estate").chest.take(&key()).expect("kept");
    let estate = world.open_holder("estate");
    world.hall.behave("chips", Some(Manner::Framing("estate")));
    estate.ceremonies.look().await;
    let CeremonyState::Failed { culprit, .. } = report(&estate).state else { panic!("{:?}", report(&estate)) };
    assert_eq!(culprit, Some(member("chips")));
}

#[tokio::test]
async fn a_roster_with_another_key_of_that_name_destroys_no_share() {
    let mut world = made().await;
    works(&world, 1).await;
    let before = HOLDERS.map(|holder| shares(&world, holder));
    let right = world.roster.keys.clone();
    let (wrong, _) = deal(2, &HOLDERS.map(member), &*entropy(99)).expect("dealt");
    world.amend(|roster| roster.keys[0].sharing.as_mut().expect("shared").classes = wrong.classes).await;
    let present = all(&world);
    rounds(&present).await;
    for holder in &present {
        let CeremonyState::Failed { code, .. } = report(holder).state else { panic!("{:?}", report(holder)) };
        assert_eq!(code, "KEY_OTHER");
    }
    world.amend(|roster| roster.keys = right).await;
    rounds(&present).await;
    assert_eq!(HOLDERS.map(|holder| shares(&world, holder)), before);
    works(&world, 2).await;
}

#[tokio::test]
async fn a_holder_whose_place_is_another_gets_the_share_of_that_place() {
    let mut world = made().await;
    world
        .amend(|roster| {
            let sharing = roster.keys[0].sharing.as_mut().expect("shared");
            sharing.holders = holders(&[("drinks", 2), ("estate", 3), ("chips", 4)]);
        })
        .await;
    let present = all(&world);
    rounds(&present).await;
    rounds(&present).await;
    assert_eq!(report(&present[0]).state, CeremonyState::Held);
    FIVE.iter().for_each(|id| world.node(id).clock.advance_ms(3_600_000));
    rounds(&present).await;
    world.hall.behave("drinks", Some(Manner::Down));
    works(&world, 1).await;
}

#[tokio::test]
async fn a_key_that_was_made_is_made_again_where_others_are_to_hold_it() {
    let mut world = pending().await;
    rounds(&all(&world)).await;
    world
        .amend(|roster| {
            let sharing = roster.keys.iter_mut().find_map(|listed| listed.sharing.as_mut()).expect("shared");
            sharing.holders = holders(&[("chips", 1), ("drinks", 2), ("bazaar", 4)]);
        })
        .await;
    let present = ["chips", "drinks", "bazaar"].map(|holder| world.open_holder(holder));
    rounds(&present).await;
    rounds(&present).await;
    assert_eq!(said(&world, "bazaar").await.map(|said| said.generation), Some(1), "{:?}", report(&present[2]));
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_stops_no_ceremony() {
    let mut world = pending().await;
    let advance = |world: &World, days: i64| FIVE.iter().for_each(|id| world.node(id).clock.advance_days(days));
    advance(&world, 1_000);
    rounds(&all(&world)).await;
    super::ceremonies::adopt(&mut world).await;
    rounds(&all(&world)).await;
    advance(&world, -1_000);
    rounds(&all(&world)).await;
    advance(&world, 31);
    rounds(&all(&world)).await;
    assert_eq!(generations(&world).await, [Some(1), Some(1)]);
}
