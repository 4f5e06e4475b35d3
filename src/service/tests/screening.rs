//! What a check counts, shows and keeps.

use super::world::{TestNode, World, allegation, feed, identifier, named, submission};
use crate::domain::{EvidenceKind, IdentifierKind, SignalStatus, Strength, Verdict};
use crate::service::freshness::rests_on;
use crate::service::{Answer, Reference};

const SELLER: &str = "outlet-17.test";

/// Verdict, members elsewhere, own signals listed, others listed.
fn summary(answer: &Answer) -> (Verdict, u32, usize, usize) {
    let own = answer.matches.iter().filter(|m| m.own).count();
    (answer.judgment.verdict, answer.members_elsewhere, own, answer.matches.len() - own)
}

async fn is_as_given(node: &TestNode, answer: &Answer) {
    let reference = answer.reference.clone().expect("kept");
    let past = node.screener.past_check(reference).await.expect("read again");
    assert_eq!(past.answer, *answer);
}

#[tokio::test]
async fn who_left_a_group_is_told_nothing_of_it_any_more() {
    let mut world = World::new(&["aurelle", "bazaar", "kestrel"]).await;
    world.node("aurelle").submit(submission("makers", SELLER, EvidenceKind::TestPurchase, 1)).await.expect("taken");
    world.deliver("aurelle/makers", "bazaar").await;
    world.deliver("aurelle/makers", "kestrel").await;
    assert_eq!(summary(&world.node("bazaar").ask(SELLER).await), (Verdict::Alleged, 1, 0, 1));
    world.amend(|roster| roster.groups[0].members.retain(|m| m.as_str() != "bazaar")).await;
    let after = world.node("bazaar").ask(SELLER).await;
    assert_eq!(summary(&after), (Verdict::NoneKnown, 0, 0, 0), "the signal is still in its store");
    assert!(!rests_on(&after.freshness, &feed("aurelle/makers")));
    assert_eq!(summary(&world.node("kestrel").ask(SELLER).await), (Verdict::Alleged, 1, 0, 1));
}

#[tokio::test]
async fn what_a_member_said_in_a_group_counts_for_others_no_more_once_it_left() {
    let mut world = World::new(&["aurelle", "bazaar"]).await;
    world.node("aurelle").submit(submission("makers", SELLER, EvidenceKind::TestPurchase, 1)).await.expect("taken");
    world.deliver("aurelle/makers", "bazaar").await;
    world.amend(|roster| roster.groups[0].members.retain(|m| m.as_str() != "aurelle")).await;
    // Its retraction would never arrive: nobody follows the feed now.
    assert_eq!(summary(&world.node("bazaar").ask(SELLER).await), (Verdict::NoneKnown, 0, 0, 0));
    let own = world.node("aurelle").ask(SELLER).await;
    assert_eq!(summary(&own), (Verdict::Alleged, 0, 1, 0), "it may still read, and withdraw, what it said itself");
    assert!(rests_on(&own.freshness, &feed("aurelle/makers")), "what an answer rests on is listed");
}

#[tokio::test]
async fn conclusive_evidence_of_another_member_confirms_and_a_weak_match_flags_nobody() {
    let world = World::new(&["aurelle", "bazaar"]).await;
    let name = || identifier(IdentifierKind::LegalName, "Outlet Trading Ltd");
    let mut judged = submission("all", SELLER, EvidenceKind::CourtJudgment, 1);
    judged.identifiers.push(name());
    world.node("aurelle").submit(judged).await.expect("taken");
    world.node("aurelle").submit(allegation(SELLER, 2)).await.expect("taken");
    world.deliver("aurelle/all", "bazaar").await;
    let bazaar = world.node("bazaar");
    let answer = bazaar.ask(SELLER).await;
    assert_eq!(summary(&answer), (Verdict::Confirmed, 1, 0, 2));
    let statuses: Vec<_> = answer.matches.iter().map(|m| m.record.status).collect();
    assert_eq!(statuses, [SignalStatus::Confirmed, SignalStatus::Alleged], "the strongest first, although it is older");
    let weak = bazaar.check(vec![name()]).await.expect("answered");
    assert_eq!(summary(&weak), (Verdict::NoneKnown, 0, 0, 1));
    assert_eq!((weak.matches[0].counts, weak.matches[0].matched[0].strength), (false, Strength::Weak));
    is_as_given(bazaar, &answer).await;
    is_as_given(bazaar, &weak).await;
}

#[tokio::test]
async fn a_question_that_repeats_itself_is_read_again_as_it_was_answered() {
    let world = World::new(&["aurelle", "bazaar"]).await;
    let name = || identifier(IdentifierKind::LegalName, "Outlet Trading Ltd");
    let phone = || identifier(IdentifierKind::Phone, "+8613800138000");
    let mut stated = allegation(SELLER, 1);
    stated.identifiers.extend([name(), phone()]);
    world.node("aurelle").submit(stated).await.expect("taken");
    world.deliver("aurelle/all", "bazaar").await;
    let bazaar = world.node("bazaar");
    let asked = vec![name(), named(SELLER), named("OUTLET-17.test"), identifier(IdentifierKind::Phone, "+86 138 0013 8000")];
    let answer = bazaar.check(asked).await.expect("answered");
    let places: Vec<_> = answer.matches[0].matched.iter().map(|m| (m.index, m.kind)).collect();
    assert_eq!(places, [(0, IdentifierKind::LegalName), (1, IdentifierKind::Domain), (3, IdentifierKind::Phone)]);
    is_as_given(bazaar, &answer).await;
    let past = bazaar.screener.past_check(answer.reference.expect("kept")).await.expect("read again");
    let kinds = [IdentifierKind::LegalName, IdentifierKind::Domain, IdentifierKind::Domain, IdentifierKind::Phone];
    assert_eq!(past.kinds, kinds);
}

#[tokio::test]
async fn an_answer_that_found_nothing_is_read_again_from_its_reference_for_a_year() {
    let world = World::new(&["aurelle", "bazaar"]).await;
    world.node("aurelle").submit(allegation(SELLER, 1)).await.expect("taken");
    let bazaar = world.node("bazaar");
    let before =
        bazaar.check(vec![named(SELLER), identifier(IdentifierKind::Phone, "+8613800138000")]).await.expect("answered");
    assert_eq!(summary(&before), (Verdict::NoneKnown, 0, 0, 0));
    assert!(matches!(before.reference, Ok(Reference::Sealed(_))));
    world.deliver("aurelle/all", "bazaar").await;
    let after = bazaar.ask(SELLER).await;
    assert!(matches!(after.reference, Ok(Reference::Sealed(_))), "one signal fits");
    assert_ne!(before.freshness.feeds, after.freshness.feeds);
    is_as_given(bazaar, &before).await;
    is_as_given(bazaar, &after).await;
    let reference = before.reference.clone().expect("sealed");
    let past = bazaar.screener.past_check(reference.clone()).await.expect("read again");
    assert_eq!(past.kinds, [IdentifierKind::Domain, IdentifierKind::Phone]);
    let elsewhere = world.node("aurelle").screener.past_check(reference.clone()).await.expect_err("sealed by another node");
    assert_eq!(elsewhere.code(), "CHECK_NOT_FOUND");
    bazaar.clock.advance_days(364);
    is_as_given(bazaar, &before).await;
    bazaar.clock.advance_days(2);
    assert_eq!(bazaar.screener.past_check(reference).await.expect_err("too old").code(), "CHECK_NOT_FOUND");
}

#[tokio::test]
async fn a_question_has_1_to_32_identifiers() {
    let world = World::new(&["bazaar"]).await;
    let many = |count: usize| (0..count).map(|i| named(&format!("shop-{i}.test"))).collect::<Vec<_>>();
    let outcomes = world.node("bazaar").screener.check(vec![many(33), many(32), many(0)]).await;
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(|_| ()).map_err(|e| e.code())).collect();
    assert_eq!(codes, [Err("IDENTIFIER_COUNT"), Ok(()), Err("IDENTIFIER_COUNT")]);
}
