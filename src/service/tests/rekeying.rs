//! What members submit again when the keys change is found under the new key, as the signal that it is, and as nothing else.

use super::erasing::removed;
use super::watches::{news, watch};
use super::world::{TestNode, World, allegation, feed, identifier, named, submission};
use crate::domain::KeyState::{Active, Destroyed, Retiring};
use crate::domain::{
    AlertKind, Audience, Change, DisputeGround, ErasureReason, Evidence, EvidenceKind, Identifier, IdentifierKind, Pseudonym,
    PseudonymSet, Rekeying, RetractionReason, Seq, SignalRef, SignalStatus, Stance, Submission, Thresholds, Verdict,
};
use crate::feed::Body;
use crate::service::{Answer, Reach, Receipt, Rekeyed, RingQuery, RingStart, Swept, Target};

const SHOP: &str = "outlet.test";
const TWO: [&str; 2] = ["aurelle", "bazaar"];

async fn submit(node: &TestNode, submission: Submission) -> Receipt {
    node.submit(submission).await.expect("taken")
}

fn with_id(id: &str, case: usize) -> Submission {
    Submission { id: Some(id.parse().expect("valid")), ..allegation(SHOP, case) }
}

/// `k2` takes the place of `k1`.
pub(super) async fn replace_key(world: &mut World) {
    world.rotate(&[("k1", Retiring), ("k2", Active)]).await;
}

pub(super) async fn destroy_old_key(world: &mut World) {
    world.rotate(&[("k1", Destroyed), ("k2", Active)]).await;
}

fn summary(answer: &Answer) -> (Verdict, u32, usize) {
    (answer.judgment.verdict, answer.members_elsewhere, answer.matches.len())
}

async fn asked(world: &World, at: &str) -> (Verdict, u32, usize) {
    summary(&world.node(at).ask(SHOP).await)
}

const NOTHING: (Verdict, u32, usize) = (Verdict::NoneKnown, 0, 0);
const ALLEGED: (Verdict, u32, usize) = (Verdict::Alleged, 1, 1);

#[tokio::test]
async fn what_is_submitted_again_is_found_when_the_old_key_is_destroyed() {
    let mut world = World::new(&TWO).await;
    let first = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    let lost = submit(world.node("aurelle"), allegation("lost.test", 1)).await;
    replace_key(&mut world).await;
    let again = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    let expected = Receipt { signal: first.signal.clone(), created: false, rekeyed: true, status: SignalStatus::Alleged };
    assert_eq!(again, expected);
    for _ in 0..2 {
        let thrice = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
        assert_eq!(thrice, Receipt { rekeyed: false, ..expected.clone() });
    }
    assert_eq!(world.node("aurelle").store.size(&feed("aurelle/all")), Seq::new(3), "added once");
    world.deliver_next("aurelle/all", "bazaar").await;
    world.deliver("aurelle/all", "bazaar").await;
    let answer = world.node("bazaar").ask(SHOP).await;
    assert_eq!((summary(&answer), answer.omitted), (ALLEGED, 0), "once, while both keys answer");
    assert_eq!(answer.matches[0].record.signal, first.signal);
    destroy_old_key(&mut world).await;
    for at in TWO {
        assert_eq!(asked(&world, at).await.2, 1, "{at} has k2 alone");
        let answer = world.node(at).ask("lost.test").await;
        assert_eq!(answer.matches.len(), 0, "{at}: what was not submitted again is lost: {}", lost.signal);
    }
    assert_eq!(world.node("bazaar").ask(SHOP).await.matches[0].record.signal, first.signal);
    let known = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    assert_eq!((known.signal, known.created), (first.signal, false), "and is recognised under k2 alone");
}

#[tokio::test]
async fn a_replica_finds_it_under_the_new_key_only_once_the_rekeying_is_there() {
    let mut world = World::new(&TWO).await;
    submit(world.node("aurelle"), with_id("case-1", 1)).await;
    world.deliver("aurelle/all", "bazaar").await;
    replace_key(&mut world).await;
    assert!(submit(world.node("aurelle"), with_id("case-1", 1)).await.rekeyed);
    destroy_old_key(&mut world).await;
    assert_eq!(asked(&world, "bazaar").await, NOTHING);
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(asked(&world, "bazaar").await, ALLEGED);
    let again = submit(world.node("aurelle"), with_id("case-1", 1)).await;
    assert!(!again.created && !again.rekeyed, "compared under k2");
    let other = world.node("aurelle").submit(with_id("case-1", 2)).await.expect_err("other content");
    assert_eq!(other.code(), "SUBMISSION_ID_REUSED");
}

#[tokio::test]
async fn identifiers_in_another_order_are_given_their_own_pseudonyms() {
    let mut world = World::new(&TWO).await;
    let phone = || identifier(IdentifierKind::Phone, "+8613800138000");
    let other = || identifier(IdentifierKind::Phone, "+8613800138001");
    let stated = |identifiers| Submission { identifiers, ..with_id("case-1", 1) };
    submit(world.node("aurelle"), stated(vec![named(SHOP), phone(), other()])).await;
    replace_key(&mut world).await;
    assert!(submit(world.node("aurelle"), stated(vec![other(), phone(), named(SHOP)])).await.rekeyed);
    destroy_old_key(&mut world).await;
    world.deliver("aurelle/all", "bazaar").await;
    for identifier in [named(SHOP), phone(), other()] {
        let answer = world.node("bazaar").check(vec![identifier]).await.expect("answered");
        assert_eq!(answer.matches.len(), 1);
    }
    let answer = world.node("bazaar").check(vec![phone(), named(SHOP), other()]).await.expect("answered");
    let matched: Vec<_> = answer.matches[0].matched.iter().map(|matched| (matched.index, matched.kind)).collect();
    assert_eq!(matched, [(0, IdentifierKind::Phone), (1, IdentifierKind::Domain), (2, IdentifierKind::Phone)]);
}

#[tokio::test]
async fn a_batch_that_names_a_signal_twice_and_two_senders_at_once_add_one_rekeying() {
    let mut world = World::new(&TWO).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    replace_key(&mut world).await;
    let submitter = &world.node("aurelle").submitter;
    let batch = || submitter.submit(vec![allegation(SHOP, 1), allegation("new.test", 1), allegation(SHOP, 1)]);
    let (one, two) = tokio::join!(batch(), batch());
    let receipts: Vec<Receipt> = one.into_iter().chain(two).map(|receipt| receipt.expect("taken")).collect();
    assert_eq!(receipts.iter().filter(|receipt| receipt.rekeyed).count(), 1);
    assert_eq!(receipts.iter().filter(|receipt| receipt.created).count(), 1);
    assert_eq!(world.node("aurelle").store.size(&feed("aurelle/all")), Seq::new(3));
}

#[tokio::test]
async fn what_was_withdrawn_or_has_expired_is_not_brought_back() {
    let mut world = World::new(&TWO).await;
    let node = world.node("aurelle");
    let withdrawn = submit(node, with_id("withdrawn", 1)).await.signal;
    node.signals.retract(Target::Signal(withdrawn), RetractionReason::Settled).await.expect("durable");
    let mut short = with_id("short", 2);
    short.statement.retention_days = Some(10);
    submit(node, short.clone()).await;
    node.clock.advance_days(11);
    replace_key(&mut world).await;
    for (submission, status) in [(with_id("withdrawn", 1), SignalStatus::Withdrawn), (short, SignalStatus::Expired)] {
        let receipt = submit(world.node("aurelle"), submission).await;
        assert_eq!((receipt.created, receipt.rekeyed, receipt.status), (false, false, status));
    }
    assert_eq!(world.node("aurelle").store.size(&feed("aurelle/all")), Seq::new(3));
    destroy_old_key(&mut world).await;
    assert_eq!(asked(&world, "aurelle").await, NOTHING);
}

#[tokio::test]
async fn what_is_withdrawn_after_it_was_rekeyed_counts_under_neither_key() {
    let mut world = World::new(&TWO).await;
    let signal = submit(world.node("aurelle"), allegation(SHOP, 1)).await.signal;
    replace_key(&mut world).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(asked(&world, "bazaar").await, ALLEGED);
    world.node("aurelle").signals.retract(Target::Signal(signal), RetractionReason::Settled).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(asked(&world, "bazaar").await, NOTHING);
    destroy_old_key(&mut world).await;
    assert_eq!(asked(&world, "bazaar").await, NOTHING);
    let again = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    assert_eq!((again.created, again.status), (false, SignalStatus::Withdrawn), "recognised by the rekeying's tag");
}

#[tokio::test]
async fn an_erasure_takes_the_rekeyings_from_every_node() {
    let mut world = World::new(&TWO).await;
    let signal = submit(world.node("aurelle"), allegation(SHOP, 1)).await.signal;
    replace_key(&mut world).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    world.rotate(&[("k1", Retiring), ("k2", Retiring), ("k3", Active)]).await;
    assert!(submit(world.node("aurelle"), allegation(SHOP, 1)).await.rekeyed);
    world.deliver("aurelle/all", "bazaar").await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let erased = aurelle.eraser.erase(Target::Signal(signal), ErasureReason::Request).await.expect("durable");
    assert!(erased.newly);
    world.deliver("aurelle/all", "bazaar").await;
    for node in [aurelle, bazaar] {
        assert_eq!(summary(&node.ask(SHOP).await), NOTHING, "at once");
        removed(&world, node.directory.member().as_str(), "aurelle/all").await;
        for seq in 0..3 {
            let leaf = node.store.read(&feed("aurelle/all"), Seq::new(seq)).expect("readable").expect("held");
            assert!(leaf.bytes().is_none(), "{seq}");
        }
        assert_eq!(node.store.index_rows(), 0);
    }
    world.rotate(&[("k1", Destroyed), ("k2", Destroyed), ("k3", Active)]).await;
    let receipt = submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    assert_eq!(
        (receipt.created, receipt.status),
        (false, SignalStatus::Erased),
        "recognised by what the erasure says of the rekeying"
    );
}

#[tokio::test]
async fn rekeyings_are_kept_no_longer_than_their_signal() {
    let mut world = World::new(&TWO).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    replace_key(&mut world).await;
    world.node("aurelle").clock.advance_days(1_000);
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    world.deliver("aurelle/all", "bazaar").await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let days = i64::from(world.roster.policy.retention_days);
    aurelle.clock.advance_days(days - 1_000);
    assert_eq!(aurelle.retention.sweep().await, Ok(Swept { erased: 2, removed: 0 }));
    bazaar.clock.advance_days(days + 31);
    assert_eq!(bazaar.retention.sweep().await, Ok(Swept { erased: 0, removed: 2 }), "where its member has left");
    assert_eq!(bazaar.store.index_rows(), 0);
}

#[tokio::test]
async fn what_members_say_of_a_signal_holds_under_every_key() {
    let mut world = World::new(&TWO).await;
    let signal = submit(world.node("aurelle"), with_id("case-1", 1)).await.signal;
    world.deliver("aurelle/all", "bazaar").await;
    let opened = world.node("bazaar").cases.open_dispute(vec![signal.clone()], DisputeGround::Licensed, vec![]);
    opened.await.expect("durable");
    world.deliver("bazaar/all", "aurelle").await;
    replace_key(&mut world).await;
    assert!(submit(world.node("aurelle"), with_id("case-1", 1)).await.rekeyed, "disputed is not decided");
    destroy_old_key(&mut world).await;
    world.deliver("aurelle/all", "bazaar").await;
    for at in TWO {
        let answer = world.node(at).ask(SHOP).await;
        assert_eq!((answer.judgment.verdict, answer.matches[0].record.status), (Verdict::Disputed, SignalStatus::Disputed));
    }
    // What is added to it confirms it under the new key, too.
    let judged = submit(world.node("aurelle"), submission("all", "judged.test", EvidenceKind::TestPurchase, 2)).await.signal;
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    world.rotate(&[("k2", Retiring), ("k3", Active)]).await;
    submit(world.node("aurelle"), submission("all", "judged.test", EvidenceKind::TestPurchase, 2)).await;
    world.node("aurelle").cases.amend(Target::Signal(judged), change).await.expect("durable");
    world.rotate(&[("k2", Destroyed), ("k3", Active)]).await;
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(world.node("bazaar").ask("judged.test").await.judgment.verdict, Verdict::Confirmed);
}

/// What a seller is under the active keys, as any member can compute it.
pub(super) async fn sets(node: &TestNode, identifiers: &[Identifier]) -> Vec<PseudonymSet> {
    let (_, forms) = node.pseudonymiser.seller(identifiers).expect("canonical");
    node.pseudonymiser.to_write(forms).await.expect("made")
}

/// Has `node` say this of a signal of its own feed, whatever it is.
pub(super) async fn say(node: &TestNode, signal: u64, pseudonyms: Vec<PseudonymSet>) {
    let body = Body::Rekeying(Rekeying { signal: Seq::new(signal), tag: None, pseudonyms });
    node.signals.note(Audience::Alliance, body).await.expect("durable");
}

#[tokio::test]
async fn a_rekeying_that_does_not_fit_counts_for_nothing_and_a_flood_of_them_hides_nobody() {
    let mut world = World::new(&["aurelle", "bazaar", "kestrel"]).await;
    let stated = submit(world.node("aurelle"), with_id("case-1", 1)).await.signal;
    let signal = submit(world.node("kestrel"), allegation("elsewhere.test", 1)).await.signal;
    replace_key(&mut world).await;
    let set = sets(world.node("kestrel"), &[named(SHOP)]).await.remove(0);
    let kestrel = world.node("kestrel");
    let twice = PseudonymSet { key: set.key.clone(), pseudonyms: vec![set.pseudonyms[0]; 2] };
    let retracted = submit(kestrel, allegation("gone.test", 1)).await.signal;
    kestrel.signals.retract(Target::Signal(retracted.clone()), RetractionReason::Other).await.expect("durable");
    let misfits = [(signal.seq.get(), twice), (retracted.seq.get(), set.clone()), (2, set.clone()), (900, set.clone())];
    for (at, set) in misfits {
        say(kestrel, at, vec![set]).await;
    }
    let deliver = async || {
        for of in ["aurelle/all", "kestrel/all"] {
            world.deliver(of, "bazaar").await;
        }
    };
    deliver().await;
    assert_eq!(asked(&world, "bazaar").await, ALLEGED, "aurelle's, under k1");
    // It can have its own signal found for this seller, as it could state one, and nobody else's.
    submit(world.node("aurelle"), with_id("case-1", 1)).await;
    for n in 0..100 {
        let other = PseudonymSet { key: set.key.clone(), pseudonyms: vec![Pseudonym([n; 32])] };
        say(kestrel, signal.seq.get(), vec![if n % 2 == 0 { other } else { set.clone() }]).await;
    }
    deliver().await;
    let answer = world.node("bazaar").ask(SHOP).await;
    assert_eq!(summary(&answer), (Verdict::Alleged, 2, 2));
    assert!(answer.matches.iter().any(|found| found.record.signal == stated));
    kestrel.signals.retract(Target::Signal(signal), RetractionReason::Other).await.expect("durable");
    deliver().await;
    assert_eq!(asked(&world, "bazaar").await, ALLEGED);
    world.node("bazaar").store.rebuild().await.expect("rebuilt");
    assert_eq!(asked(&world, "bazaar").await, ALLEGED);
}

#[tokio::test]
async fn what_is_derived_from_rekeyings_can_be_built_anew() {
    let mut world = World::new(&TWO).await;
    for case in 0..5 {
        submit(world.node("aurelle"), allegation(SHOP, case)).await;
    }
    replace_key(&mut world).await;
    for case in 0..3 {
        submit(world.node("aurelle"), allegation(SHOP, case)).await;
    }
    destroy_old_key(&mut world).await;
    world.deliver("aurelle/all", "bazaar").await;
    for at in TWO {
        let store = &world.node(at).store;
        let derived = || (store.feed(&feed("aurelle/all")).map(|feed| feed.view_digest), store.index_rows());
        let before = (derived(), asked(&world, at).await);
        assert_eq!(before.1.2, 3);
        store.rebuild().await.expect("rebuilt");
        assert_eq!((derived(), asked(&world, at).await), before, "{at}");
    }
    let digest = |at: &str| world.node(at).store.feed(&feed("aurelle/all")).map(|feed| feed.view_digest);
    assert_eq!(digest("aurelle"), digest("bazaar"));
}

#[tokio::test]
async fn a_member_sees_how_many_of_its_signals_are_under_each_active_key() {
    let mut world = World::new(&TWO).await;
    let shops = ["one.test", "two.test", "three.test"];
    for shop in shops {
        submit(world.node("aurelle"), allegation(shop, 1)).await;
    }
    submit(world.node("bazaar"), allegation("other.test", 1)).await;
    world.deliver("bazaar/all", "aurelle").await;
    let far = |world: &World| world.node("aurelle").signals.rekeyed();
    let of = |key: &str, signals, of| Rekeyed { key: key.parse().expect("valid"), signals, of };
    assert_eq!(far(&world), [of("k1", 3, 3)]);
    replace_key(&mut world).await;
    assert_eq!(far(&world), [of("k2", 0, 3)]);
    submit(world.node("aurelle"), allegation("two.test", 1)).await;
    submit(world.node("aurelle"), allegation("new.test", 1)).await;
    assert_eq!(far(&world), [of("k2", 2, 4)]);
    let retracted = SignalRef { feed: feed("aurelle/all"), seq: Seq::new(1) };
    world.node("aurelle").signals.retract(Target::Signal(retracted), RetractionReason::Other).await.expect("durable");
    assert_eq!(far(&world), [of("k2", 1, 3)]);
    world.node("aurelle").store.rebuild().await.expect("rebuilt");
    assert_eq!(far(&world), [of("k2", 1, 3)]);
    for shop in shops {
        submit(world.node("aurelle"), allegation(shop, 1)).await;
    }
    assert_eq!(far(&world), [of("k2", 3, 3)]);
}

#[tokio::test]
async fn what_cannot_be_submitted_again_is_not_waited_for() {
    let mut world = World::new(&TWO).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    submit(world.node("aurelle"), submission("makers", SHOP, EvidenceKind::TestPurchase, 1)).await;
    replace_key(&mut world).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    let far = |world: &World| world.node("aurelle").signals.rekeyed().pop().map(|far| (far.signals, far.of));
    assert_eq!(far(&world), Some((1, 2)));
    world.amend(|roster| roster.groups[0].members.retain(|member| member.as_str() != "aurelle")).await;
    assert_eq!(far(&world), Some((1, 1)), "it has left the group");
}

#[tokio::test]
async fn who_agrees_about_one_seller_does_not_about_another() {
    let mut world = World::new(&["aurelle", "bazaar", "chips", "kestrel"]).await;
    let stated = [("aurelle", "honest.test"), ("kestrel", "real.test")];
    for (member, shop) in stated {
        let signal = submit(world.node(member), allegation(shop, 1)).await.signal;
        for other in ["bazaar", "chips"] {
            world.deliver(&format!("{member}/all"), other).await;
            let agrees = Stance::Agree(vec![Evidence::of(EvidenceKind::TestPurchase)]);
            world.node(other).cases.opine(signal.clone(), agrees).await.expect("durable");
        }
    }
    world.deliver("chips/all", "bazaar").await;
    let score = async |world: &World, shop: &str| {
        let answer = world.node("bazaar").ask(shop).await;
        (answer.matches.len(), answer.judgment.score)
    };
    let agreed = score(&world, "real.test").await;
    assert_eq!(score(&world, "honest.test").await, agreed);
    submit(world.node("aurelle"), allegation("alone.test", 1)).await;
    replace_key(&mut world).await;
    let rival = sets(world.node("kestrel"), &[named("rival.test")]).await;
    say(world.node("kestrel"), 0, rival).await;
    for shop in ["honest.test", "alone.test"] {
        submit(world.node("aurelle"), allegation(shop, 1)).await;
    }
    for member in ["aurelle", "kestrel"] {
        world.deliver(&format!("{member}/all"), "bazaar").await;
    }
    let alone = score(&world, "alone.test").await;
    assert!(alone.0 == 1 && alone.1 < agreed.1, "{alone:?} {agreed:?}");
    assert_eq!(score(&world, "rival.test").await, alone, "what they agreed about was another seller");
    for shop in ["real.test", "honest.test"] {
        assert_eq!(score(&world, shop).await, agreed, "{shop}");
    }
    destroy_old_key(&mut world).await;
    assert_eq!(score(&world, "honest.test").await, agreed, "an honest signal keeps its agreements");
}

#[tokio::test]
async fn a_ring_holds_together_while_keys_change() {
    let mut world = World::new(&["aurelle"]).await;
    let phone = || identifier(IdentifierKind::Phone, "+8613800138000");
    let shop = |domain: &str, case| {
        let mut stated = allegation(domain, case);
        stated.identifiers.push(phone());
        stated
    };
    submit(world.node("aurelle"), shop("one.test", 1)).await;
    submit(world.node("aurelle"), shop("two.test", 1)).await;
    replace_key(&mut world).await;
    submit(world.node("aurelle"), shop("one.test", 1)).await;
    // The same seller, stated anew under k2 alone.
    submit(world.node("aurelle"), shop("one.test", 2)).await;
    let ring = async |world: &World, domain: &str| {
        let reach = Reach { depth: 8, sellers: 100, audience: None };
        let start = RingStart::Identifiers(vec![named(domain)]);
        let query = RingQuery { start, reach, currency: None, thresholds: Thresholds::default() };
        let ring = world.node("aurelle").leads.rings.ring(query).await.expect("found");
        let signals: Vec<usize> = ring.sellers.iter().map(|seller| seller.signals.len()).collect();
        (signals, ring.links.len(), ring.hubs.len())
    };
    assert_eq!(ring(&world, "one.test").await, (vec![2, 1], 1, 0));
    assert_eq!(ring(&world, "two.test").await, (vec![1, 2], 1, 0));
    destroy_old_key(&mut world).await;
    assert_eq!(ring(&world, "one.test").await, (vec![2], 0, 0), "what is left of a destroyed key leads to nobody");
    assert_eq!(ring(&world, "two.test").await, (vec![], 0, 0), "it was not submitted again");
    // While both keys answer again, the phone has four sellers under two pseudonyms.
    replace_key(&mut world).await;
    submit(world.node("aurelle"), shop("three.test", 1)).await;
    submit(world.node("aurelle"), shop("four.test", 1)).await;
    world.amend(|roster| roster.policy.hub_sellers = 2).await;
    assert_eq!(ring(&world, "one.test").await, (vec![2], 0, 1), "a hub is one, under however many keys");
}

#[tokio::test]
async fn who_watches_a_seller_under_the_new_key_is_told() {
    let mut world = World::new(&TWO).await;
    let signal = submit(world.node("aurelle"), allegation(SHOP, 1)).await.signal;
    world.deliver("aurelle/all", "bazaar").await;
    replace_key(&mut world).await;
    submit(world.node("aurelle"), allegation(SHOP, 1)).await;
    destroy_old_key(&mut world).await;
    let (aurelle, bazaar) = (world.node("aurelle"), world.node("bazaar"));
    let seen = watch(bazaar, SHOP).await;
    assert_eq!(news(bazaar).await, []);
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::NewFlag)]);
    aurelle.signals.retract(Target::Signal(signal), RetractionReason::Settled).await.expect("durable");
    world.deliver("aurelle/all", "bazaar").await;
    assert_eq!(news(bazaar).await, [(seen, AlertKind::Withdrawn)]);
}
