//! How holders make the shares of a key, make them anew, and help one of them to its share again: with holders that die at each step,
//! and with one that lies at each step.

use std::collections::BTreeSet;

use super::hall::{Manner, Present};
use super::world::{World, member, submission};
use crate::domain::{
    EvidenceKind, HolderIndex, KeyHolder, KeyId, KeyState, MemberState, RosterKey, Scheme, SharedGeneration, Sharing, Verdict,
};
use crate::feed::open_sharing;
use crate::service::{CeremonyRefusal, CeremonyState, FellowHolders as _, KeyReport, RepairQuery};

pub(super) const FIVE: [&str; 5] = ["aurelle", "bazaar", "chips", "drinks", "estate"];
pub(super) const HOLDERS: [&str; 3] = ["chips", "drinks", "estate"];

pub(super) fn key() -> KeyId {
    "s1".parse().expect("valid")
}

pub(super) fn holders(of: &[(&str, u16)]) -> Vec<KeyHolder> {
    let holder =
        |(name, place): &(&str, u16)| KeyHolder { member: member(name), index: HolderIndex::new(*place).expect("not zero") };
    of.iter().map(holder).collect()
}

/// A world with a key that is to be made by three holders, any two of whom can use it.
pub(super) async fn pending() -> World {
    let mut world = World::new(&FIVE).await;
    let sharing = Sharing {
        threshold: 2,
        generation: 0,
        holders: holders(&[("chips", 1), ("drinks", 2), ("estate", 3)]),
        classes: vec![],
        former: vec![],
    };
    let (scheme, state) = (Scheme::ToprfRistretto255, KeyState::Pending);
    let listed = RosterKey { id: key(), scheme, state, check: String::new(), sharing: Some(sharing) };
    world.amend(|roster| roster.keys.push(listed)).await;
    world
}

/// A world whose key was made, and is the only one in use.
pub(super) async fn made() -> World {
    let mut world = pending().await;
    let present = all(&world);
    rounds(&present).await;
    adopt(&mut world).await;
    world
}

pub(super) fn all(world: &World) -> Vec<Present> {
    HOLDERS.iter().map(|holder| world.open_holder(holder)).collect()
}

/// Has all look several times, as they do by the clock.
pub(super) async fn rounds(present: &[Present]) {
    for _ in 0..6 {
        for holder in present {
            holder.ceremonies.look().await;
        }
    }
}

pub(super) async fn said(world: &World, holder: &str) -> Option<SharedGeneration> {
    let note = world.hall.holder(holder).holder.sharing(&key()).await.expect("readable")?;
    let alliance = &world.roster.alliance;
    let opened = open_sharing(&note, alliance, |id| world.roster.member(id).map(|listed| listed.feed_key));
    Some(opened.expect("signed by all"))
}

/// The secretariat puts what came of the ceremony into the roster.
pub(super) async fn adopt(world: &mut World) {
    let made = said(world, "chips").await.expect("made");
    world
        .amend(|roster| {
            let listed = roster.keys.iter_mut().find(|listed| listed.id == key()).expect("listed");
            let sharing = listed.sharing.as_mut().expect("shared");
            (sharing.generation, sharing.classes) = (made.generation, made.classes);
            listed.state = KeyState::Active;
            roster.keys.retain(|listed| listed.id == key());
        })
        .await;
}

pub(super) async fn works(world: &World, case: usize) {
    world.node("aurelle").submit(submission("all", "outlet.test", EvidenceKind::CourtJudgment, case)).await.expect("taken");
    world.deliver("aurelle/all", "bazaar").await;
    let verdict = world.node("bazaar").ask("outlet.test").await.judgment.verdict;
    assert!(matches!(verdict, Verdict::Confirmed | Verdict::RepeatOffender), "{verdict:?}");
}

pub(super) fn report(present: &Present) -> KeyReport {
    present.ceremonies.reports().pop().expect("a holder")
}

pub(super) fn shares(world: &World, holder: &str) -> BTreeSet<String> {
    let text = world.node(holder).chest.text();
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let of = |field: &str| record[field]["shares"].as_str().map(str::to_owned);
    [of("held"), of("before")].into_iter().flatten().collect()
}

#[tokio::test]
async fn holders_make_a_key_and_members_use_it() {
    let mut world = pending().await;
    let present = all(&world);
    rounds(&present).await;
    let made = said(&world, "chips").await.expect("made");
    assert_eq!((made.generation, made.threshold, made.holders.len()), (0, 2, 3));
    for (holder, name) in present.iter().zip(HOLDERS) {
        assert_eq!(report(holder).state, CeremonyState::Made);
        assert_eq!(said(&world, name).await, Some(made.clone()), "all say the same");
    }
    let distinct: BTreeSet<_> = HOLDERS.iter().flat_map(|holder| shares(&world, holder)).collect();
    assert_eq!(distinct.len(), 3, "each has another share");
    adopt(&mut world).await;
    works(&world, 1).await;
}

#[tokio::test]
async fn shares_are_made_anew_by_the_month_and_pseudonyms_stay() {
    let world = made().await;
    works(&world, 1).await;
    let before: Vec<_> = HOLDERS.iter().map(|holder| shares(&world, holder)).collect();
    let present = all(&world);
    rounds(&present).await;
    assert_eq!(said(&world, "chips").await.map(|said| said.generation), Some(0), "they are new");
    let advance = |days: i64| FIVE.iter().for_each(|id| world.node(id).clock.advance_days(days));
    advance(30);
    rounds(&present).await;
    let said = said(&world, "chips").await.expect("made");
    assert_eq!(said.generation, 1);
    // Nodes learn of them when a holder refuses the old ones; for an hour none does.
    works(&world, 2).await;
    FIVE.iter().for_each(|id| world.node(id).clock.advance_ms(3_600_000));
    rounds(&present).await;
    works(&world, 3).await;
    for (holder, before) in HOLDERS.iter().zip(before) {
        let after = shares(&world, holder);
        assert_eq!(after.len(), 1, "old shares are erased");
        assert!(after.is_disjoint(&before));
    }
}

#[tokio::test]
async fn a_ceremony_goes_on_after_holders_were_killed_at_any_of_their_writes() {
    for refresh in [false, true] {
        let mut crashes = 0;
        for writes in 0.. {
            let world = if refresh { made().await } else { pending().await };
            if refresh {
                FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
            }
            HOLDERS.iter().for_each(|holder| world.node(holder).chest.fail_after(Some(writes)));
            for _ in 0..6 {
                rounds(&all(&world)[..1]).await;
                rounds(&all(&world)).await;
            }
            let wanted = Some(u32::from(refresh));
            let done = said(&world, "chips").await.map(|said| said.generation) == wanted;
            if done {
                break;
            }
            crashes += 1;
            // They come up again with what they had kept.
            HOLDERS.iter().for_each(|holder| world.node(holder).chest.fail_after(None));
            rounds(&all(&world)).await;
            for holder in HOLDERS {
                assert_eq!(said(&world, holder).await.map(|said| said.generation), wanted, "killed after {writes} writes");
            }
        }
        assert!(crashes >= 4, "there are as many writes at least: {crashes}");
    }
}

#[tokio::test]
async fn a_holder_that_was_away_while_the_others_finished_comes_after() {
    let world = pending().await;
    let present = all(&world);
    // Until all have signed but one has not seen it.
    for _ in 0..3 {
        for holder in &present {
            holder.ceremonies.look().await;
        }
    }
    world.hall.behave("estate", Some(Manner::Down));
    rounds(&present[..2]).await;
    world.hall.behave("estate", None);
    rounds(&all(&world)).await;
    let generations: BTreeSet<_> =
        [said(&world, "chips").await, said(&world, "estate").await].map(|said| said.map(|said| said.generation)).into();
    assert_eq!(generations, [Some(0)].into());
}

#[tokio::test]
async fn a_holder_that_lies_makes_the_ceremony_fail_and_is_named() {
    let lies = [
        (Manner::Echoing(1), "CEREMONY_ECHO_DIFFERS", None),
        (Manner::Echoing(2), "CEREMONY_ECHO_DIFFERS", None),
        (Manner::TwoFaced("chips"), "CEREMONY_ECHO_DIFFERS", None),
        (Manner::Dealing("chips"), "CEREMONY_PART_WRONG", Some("drinks")),
        (Manner::Signing, "CEREMONY_RESULT_DIFFERS", Some("drinks")),
    ];
    for (manner, expected, named) in lies {
        let world = pending().await;
        world.hall.behave("drinks", Some(manner));
        let present = all(&world);
        rounds(&present).await;
        let CeremonyState::Failed { code, culprit, sentence } = report(&present[0]).state else {
            panic!("{manner:?}: {:?}", report(&present[0]))
        };
        assert_eq!((code.as_str(), culprit), (expected, named.map(member)), "{manner:?}: {sentence}");
        assert!(sentence.contains("drinks") || sentence.contains('2'), "{sentence}");
        assert_eq!(said(&world, "estate").await, None, "nothing came of it");
        // Once it is honest again, the next attempt succeeds, also where some had signed the one before.
        world.hall.behave("drinks", None);
        FIVE.iter().for_each(|id| world.node(id).clock.advance_ms(3_600_000));
        let present = all(&world);
        rounds(&present).await;
        rounds(&present).await;
        // What all had signed counts as soon as it is shown, although some took it for failed.
        let expected = if manner == Manner::Signing { 0 } else { 1 };
        for holder in HOLDERS {
            assert_eq!(said(&world, holder).await.map(|said| said.generation), Some(expected), "{manner:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_share_comes_back_and_a_helper_that_lies_is_named_and_replaced() {
    let mut world = made().await;
    works(&world, 1).await;
    let before = shares(&world, "estate");
    world.node("estate").chest.take(&key()).expect("kept");
    let estate = world.open_holder("estate");
    world.hall.behave("drinks", Some(Manner::Helping("chips")));
    estate.ceremonies.look().await;
    assert_eq!(report(&estate).waiting_for, [member("chips")], "who found it out, and does not help with it");
    world.hall.behave("drinks", Some(Manner::Helping("estate")));
    estate.ceremonies.look().await;
    let CeremonyState::Failed { code, culprit, .. } = report(&estate).state else { panic!("{:?}", report(&estate)) };
    assert_eq!((code.as_str(), culprit), ("CEREMONY_PART_WRONG", Some(member("drinks"))));
    world.hall.behave("drinks", None);
    estate.ceremonies.look().await;
    estate.ceremonies.look().await;
    assert_eq!(report(&estate).state, CeremonyState::Held);
    assert_eq!(shares(&world, "estate"), before, "it is the very share");
    world.hall.behave("chips", Some(Manner::Down));
    works(&world, 2).await;

    // Nobody but its holder gets a share, and only from those that it asked.
    world.hall.behave("chips", None);
    let chips = world.open_holder("chips");
    let bazaar = world.open_holder("bazaar");
    let stolen = RepairQuery {
        member: member("bazaar"),
        wanted: "s1 0 3\n1,2\n00112233445566778899aabbccddeeff\n".into(),
        note: "".into(),
    };
    assert_eq!(chips.ceremonies.help(&member("bazaar"), &stolen).await.map(drop), Err(CeremonyRefusal::RepairInvalid));
    assert!(bazaar.ceremonies.reports().is_empty());
    world
        .amend(|roster| {
            let gone = roster.members.iter_mut().find(|listed| listed.id == member("estate")).expect("listed");
            gone.state = MemberState::Expelled;
        })
        .await;
    let door = super::hall::Door { hall: world.hall.clone(), member: member("estate") };
    let query = crate::service::CeremonyQuery { key: key(), ceremony: crate::feed::Hash([0; 32]) };
    assert_eq!(
        door.ceremony(&member("chips"), &query).await.map(drop).map_err(|error| error.code().to_owned()),
        Err("NOT_A_HOLDER".into())
    );
}

#[tokio::test]
async fn the_set_of_holders_changes_and_the_one_that_left_cannot_use_its_share() {
    let mut world = made().await;
    works(&world, 1).await;
    let set = |of: Vec<KeyHolder>| {
        move |roster: &mut crate::domain::Roster| roster.keys[0].sharing.as_mut().expect("shared").holders = of
    };
    // One comes: it gets its share from the others.
    world.amend(set(holders(&[("chips", 1), ("drinks", 2), ("estate", 3), ("bazaar", 4)]))).await;
    let bazaar = world.open_holder("bazaar");
    let mut present = all(&world);
    present.push(bazaar);
    rounds(&present).await;
    assert_eq!(
        (report(&present[3]).state, report(&present[3]).generation),
        (CeremonyState::Held, Some(1)),
        "and all sign anew"
    );
    // One goes: the others make their shares anew at once.
    world.amend(set(holders(&[("drinks", 2), ("estate", 3), ("bazaar", 4)]))).await;
    rounds(&present).await;
    assert_eq!(said(&world, "bazaar").await.map(|said| said.generation), Some(2));
    assert!(world.node("chips").chest.text().is_empty(), "and the share of who left is destroyed");
    assert!(present[0].ceremonies.reports().is_empty());
    world.hall.behave("drinks", Some(Manner::Down));
    works(&world, 2).await;
}

#[tokio::test]
async fn a_roster_that_wants_a_key_no_more_ends_its_ceremony() {
    let mut world = pending().await;
    let present = all(&world);
    world.hall.behave("estate", Some(Manner::Down));
    rounds(&present[..2]).await;
    assert_eq!(report(&present[0]).waiting_for, [member("estate")]);
    assert!(!world.node("chips").chest.text().is_empty());
    let mut left_out = Vec::new();
    world.amend(|roster| std::mem::swap(&mut roster.keys, &mut left_out)).await;
    rounds(&present[..2]).await;
    assert!(!world.node("chips").chest.text().is_empty(), "a slip costs nobody a share");
    assert!(present[0].ceremonies.reports().is_empty());
    left_out.iter_mut().filter(|listed| listed.id == key()).for_each(|listed| listed.state = KeyState::Destroyed);
    world.amend(|roster| roster.keys = left_out).await;
    rounds(&present[..2]).await;
    assert!(world.node("chips").chest.text().is_empty());
    assert!(present[0].ceremonies.reports().is_empty());
}

#[tokio::test]
async fn shares_that_were_restored_from_an_old_backup_are_found_out_and_repaired() {
    let world = made().await;
    let old = world.node("estate").chest.take(&key()).expect("kept");
    world.node("estate").chest.put(&key(), old.clone());
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(31));
    rounds(&all(&world)).await;
    assert_eq!(said(&world, "estate").await.map(|said| said.generation), Some(1));
    world.node("estate").chest.put(&key(), old);
    let estate = world.open_holder("estate");
    rounds(std::slice::from_ref(&estate)).await;
    assert_eq!((report(&estate).state, report(&estate).generation), (CeremonyState::Held, Some(1)));
    world.hall.behave("chips", Some(Manner::Down));
    works(&world, 1).await;
}

#[tokio::test]
async fn one_holder_wants_new_shares_and_those_that_are_old_enough_join() {
    let world = made().await;
    let present = all(&world);
    present[0].ceremonies.refresh(&key());
    rounds(&present).await;
    assert_eq!(said(&world, "chips").await.map(|said| said.generation), Some(0), "within a day the others do not");
    FIVE.iter().for_each(|id| world.node(id).clock.advance_days(2));
    rounds(&present).await;
    assert_eq!(said(&world, "chips").await.map(|said| said.generation), Some(1));
}
