//! A signal's life over several members: corrections, rebuttals, opinions and markers, and what checks answer meanwhile.

use super::world::{World, allegation, feed, identifier, marker, named, submission};
use crate::domain::{
    Action, AnswerStep, Change, Clock as _, DisputeGround, DisputeOutcome, Evidence, EvidenceKind, IdentifierKind, MarkerKind,
    MarkerReason, MemberState, Reason, RetractionReason, Sha256Digest, SignalRef, SignalStatus, Stance, Timestamp, Verdict,
};
use crate::service::{CaseError, MarkerDraft, OverrideDraft, Target};

const SELLER: &str = "bad-seller.example";

fn code<T: std::fmt::Debug>(result: Result<T, CaseError>) -> &'static str {
    result.expect_err("refused").code()
}

/// Three members; `acme` has stated on a judgment that the seller infringed, and the others know.
async fn confirmed() -> (World, SignalRef) {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let receipt = world.node("acme").submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 1)).await.expect("taken");
    spread(&world).await;
    (world, receipt.signal)
}

/// Everybody gets what everybody said.
async fn spread(world: &World) {
    for from in ["acme", "brand", "chips"] {
        for to in ["acme", "brand", "chips"].into_iter().filter(|to| *to != from) {
            world.deliver(&format!("{from}/all"), to).await;
        }
    }
}

async fn verdicts(world: &World) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for member in ["acme", "brand", "chips"] {
        verdicts.push(world.node(member).ask(SELLER).await.judgment.verdict);
    }
    verdicts
}

async fn everywhere(world: &World, verdict: Verdict) {
    spread(world).await;
    assert_eq!(verdicts(world).await, [verdict; 3]);
}

#[tokio::test]
async fn what_is_added_to_a_signal_is_seen_everywhere_and_its_history_stays() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let acme = world.node("acme");
    let signal = acme.submit(allegation(SELLER, 1)).await.expect("taken").signal;
    everywhere(&world, Verdict::Alleged).await;
    let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let change = Change { evidence, actions: vec![Action::StoreClosed], ..Change::default() };
    acme.cases.amend(Target::Signal(signal.clone()), change.clone()).await.expect("durable");
    everywhere(&world, Verdict::Confirmed).await;
    let record = world.node("chips").signals.get(signal.clone()).await.expect("held");
    let life = record.life.clone().expect("something was said");
    assert_eq!((record.content.statement.evidence.len(), record.statement().evidence.len()), (1, 2));
    assert_eq!(life.amendments[0].change, change);
    let foreign = world.node("brand").cases.amend(Target::Signal(signal.clone()), change.clone()).await;
    assert_eq!(code(foreign), "ENTRY_NOT_OWN");
    acme.signals.retract(Target::Signal(signal.clone()), RetractionReason::Settled).await.expect("durable");
    let more = Change { actions: vec![Action::NamedPublicly], ..Change::default() };
    assert_eq!(code(acme.cases.amend(Target::Signal(signal.clone()), more).await), "SIGNAL_NOT_LIVE");
    assert_eq!(code(acme.cases.amend(Target::Signal(signal), Change::default()).await), "AMENDMENT_EMPTY");
}

#[tokio::test]
async fn one_dispute_holds_at_all_members_until_it_is_decided() {
    let (world, signal) = confirmed().await;
    everywhere(&world, Verdict::Confirmed).await;
    // The seller turns to another member than the one that flagged it.
    let opened = world.node("chips").cases.open_dispute(vec![signal.clone()], DisputeGround::GenuineGoods, vec![]).await;
    let opened = opened.expect("durable");
    everywhere(&world, Verdict::Disputed).await;
    assert!(world.node("brand").ask(SELLER).await.judgment.reasons.contains(&Reason::DisputeOpen));
    for member in ["acme", "brand", "chips"] {
        let case = world.node(member).cases.by_reference(&opened.reference).await.expect("found everywhere");
        assert_eq!((case.len(), &case[0].dispute), (1, &opened.dispute));
        assert_eq!((&case[0].signals[0].signal, case[0].signals[0].status), (&signal, SignalStatus::Disputed));
    }
    let upheld = world.node("acme").cases.decide(opened.dispute.clone(), DisputeOutcome::Upheld, vec![]).await;
    upheld.expect("durable");
    everywhere(&world, Verdict::Confirmed).await;
    let again = world.node("acme").cases.decide(opened.dispute, DisputeOutcome::Refuted, vec![]).await;
    assert_eq!(code(again), "DISPUTE_ENDED");
}

#[tokio::test]
async fn a_refuted_signal_counts_nowhere() {
    let (world, signal) = confirmed().await;
    let acme = &world.node("acme").cases;
    let opened = acme.open_dispute(vec![signal.clone()], DisputeGround::MistakenIdentity, vec![]).await.expect("durable");
    acme.decide(opened.dispute, DisputeOutcome::Refuted, vec![signal.clone()]).await.expect("durable");
    everywhere(&world, Verdict::NoneKnown).await;
    assert_eq!(world.node("chips").signals.get(signal).await.expect("held").status, SignalStatus::Refuted);
}

#[tokio::test]
async fn what_nobody_decides_lapses_in_the_sellers_favour_everywhere() {
    let (world, signal) = confirmed().await;
    let opened = world.node("brand").cases.open_dispute(vec![signal], DisputeGround::Other, vec![]).await.expect("durable");
    everywhere(&world, Verdict::Disputed).await;
    for member in ["acme", "brand", "chips"] {
        world.node(member).clock.advance_days(17);
    }
    everywhere(&world, Verdict::NoneKnown).await;
    world.node("acme").cases.decide(opened.dispute, DisputeOutcome::Upheld, vec![]).await.expect("as good as a new signal");
    everywhere(&world, Verdict::Confirmed).await;
}

#[tokio::test]
async fn the_same_rebuttal_again_is_the_same_case_and_a_new_one_after_it_has_ended() {
    let (world, signal) = confirmed().await;
    let acme = &world.node("acme").cases;
    let open = || acme.open_dispute(vec![signal.clone()], DisputeGround::Licensed, vec![]);
    let (first, second) = (open().await.expect("durable"), open().await.expect("known"));
    assert!(first.created && !second.created);
    assert_eq!((&first.dispute, &first.reference), (&second.dispute, &second.reference));
    acme.decide(first.dispute.clone(), DisputeOutcome::Upheld, vec![]).await.expect("durable");
    let third = open().await.expect("durable");
    assert!(third.created && third.dispute != first.dispute);
    assert_eq!(acme.by_reference(&first.reference).await.expect("both").len(), 2);
}

#[tokio::test]
async fn a_reference_shows_its_case_alone() {
    let (world, signal) = confirmed().await;
    let chips = world.node("chips");
    let other = chips.submit(allegation("another.example", 2)).await.expect("taken").signal;
    let first = chips.cases.open_dispute(vec![signal], DisputeGround::Licensed, vec![]).await.expect("durable");
    let second = chips.cases.open_dispute(vec![other], DisputeGround::Licensed, vec![]).await.expect("durable");
    assert_ne!(first.reference, second.reference);
    let found = chips.cases.by_reference(&first.reference).await.expect("found");
    assert_eq!(found.iter().map(|case| &case.dispute).collect::<Vec<_>>(), [&first.dispute]);
    let unknown = "CM-00000-00000-00000-00000".parse().expect("valid");
    assert_eq!(code(chips.cases.by_reference(&unknown).await), "DISPUTE_NOT_FOUND");
}

#[tokio::test]
async fn a_signal_that_is_no_more_than_another_members_adds_nothing() {
    let (world, signal) = confirmed().await;
    let brand = world.node("brand");
    let mut derived = submission("all", SELLER, EvidenceKind::CourtJudgment, 2);
    derived.statement.derived_from = vec![signal.clone()];
    brand.submit(derived).await.expect("taken");
    everywhere(&world, Verdict::Confirmed).await;
    let mut own = submission("all", SELLER, EvidenceKind::CourtJudgment, 3);
    own.statement.derived_from = vec![signal];
    let refused = world.node("acme").submit(own).await.expect_err("its own");
    assert_eq!(refused.code(), "SIGNAL_NOT_DERIVABLE");
    let mut secret = submission("all", SELLER, EvidenceKind::CourtJudgment, 4);
    secret.statement.derived_from = vec!["acme/makers/0".parse().expect("valid")];
    let refused = brand.submit(secret).await.expect_err("would tell the alliance of a group's signal");
    assert_eq!(refused.code(), "SIGNAL_NOT_DERIVABLE");
    brand.submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 5)).await.expect("taken");
    everywhere(&world, Verdict::RepeatOffender).await;
}

#[tokio::test]
async fn the_same_amendment_again_is_the_same() {
    let (world, signal) = confirmed().await;
    let acme = &world.node("acme").cases;
    let change = || Change { actions: vec![Action::StoreClosed], ..Change::default() };
    let first = acme.amend(Target::Signal(signal.clone()), change()).await.expect("durable");
    assert_eq!(acme.amend(Target::Signal(signal), change()).await.expect("known"), first);
}

#[tokio::test]
async fn a_phone_of_an_honest_dealer_vouches_for_nobody_else() {
    let (world, _) = confirmed().await;
    let phone = identifier(IdentifierKind::Phone, "+8613800138000");
    let draft = marker(MarkerKind::KnownGood, phone.clone(), MarkerReason::AuthorisedDealer);
    world.node("brand").cases.mark(draft).await.expect("durable");
    spread(&world).await;
    let asked = |identifiers| world.node("chips").check(identifiers);
    assert_eq!(asked(vec![phone.clone()]).await.expect("answered").judgment.verdict, Verdict::KnownGood);
    let both = asked(vec![named(SELLER), phone]).await.expect("answered");
    assert_eq!(both.judgment.verdict, Verdict::Confirmed);
}

#[tokio::test]
async fn only_who_may_decides_a_dispute() {
    let (world, signal) = confirmed().await;
    let brand = &world.node("brand").cases;
    let opened = brand.open_dispute(vec![signal.clone()], DisputeGround::Licensed, vec![]).await.expect("durable");
    spread(&world).await;
    let foreign = brand.decide(opened.dispute.clone(), DisputeOutcome::Refuted, vec![signal]).await;
    assert_eq!(code(foreign), "SIGNAL_NOT_OWN");
    let nothing_own = brand.decide(opened.dispute.clone(), DisputeOutcome::Refuted, vec![]).await;
    assert_eq!(code(nothing_own), "DISPUTE_ENDED");
    let not_recorded_here = world.node("acme").cases.decide(opened.dispute.clone(), DisputeOutcome::TakenBack, vec![]).await;
    assert_eq!(code(not_recorded_here), "ENTRY_NOT_OWN");
    brand.decide(opened.dispute, DisputeOutcome::TakenBack, vec![]).await.expect("durable");
    everywhere(&world, Verdict::Confirmed).await;
}

#[tokio::test]
async fn the_sellers_right_to_answer_comes_before_its_silence() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let acme = world.node("acme");
    let signal = acme.submit(submission("all", SELLER, EvidenceKind::RightsHolderNotice, 1)).await.expect("taken").signal;
    let step = |step| Change { step: Some(step), ..Change::default() };
    let amend = |change| acme.cases.amend(Target::Signal(signal.clone()), change);
    assert_eq!(code(amend(step(AnswerStep::Unrefuted)).await), "SELLER_NOT_NOTIFIED");
    amend(step(AnswerStep::SellerNotified)).await.expect("durable");
    spread(&world).await;
    assert!(world.node("brand").ask(SELLER).await.judgment.reasons.contains(&Reason::RefutationPending));
    assert_eq!(code(amend(step(AnswerStep::Unrefuted)).await), "ANSWER_STILL_POSSIBLE");
    for member in ["acme", "brand", "chips"] {
        world.node(member).clock.advance_days(7);
    }
    amend(step(AnswerStep::Unrefuted)).await.expect("durable");
    everywhere(&world, Verdict::Confirmed).await;
}

#[tokio::test]
async fn a_disagreement_disputes_and_agreement_confirms_nobody() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let signal = world.node("acme").submit(allegation(SELLER, 1)).await.expect("taken").signal;
    spread(&world).await;
    let brand = &world.node("brand").cases;
    let own_evidence = Stance::Agree(vec![Evidence::of(EvidenceKind::CustomsSeizure)]);
    let before = world.node("chips").ask(SELLER).await.judgment;
    brand.opine(signal.clone(), own_evidence.clone()).await.expect("durable").expect("new");
    assert_eq!(brand.opine(signal.clone(), own_evidence).await.expect("known"), None, "the same again says nothing");
    everywhere(&world, Verdict::Alleged).await;
    assert!(world.node("chips").ask(SELLER).await.judgment.score > before.score);
    brand.opine(signal.clone(), Stance::Disagree(DisputeGround::Licensed)).await.expect("durable");
    everywhere(&world, Verdict::Disputed).await;
    brand.opine(signal.clone(), Stance::None).await.expect("durable");
    everywhere(&world, Verdict::Alleged).await;
    let own = world.node("acme").cases.opine(signal, Stance::Disagree(DisputeGround::Other)).await;
    assert_eq!(code(own), "OPINION_ON_OWN");
}

#[tokio::test]
async fn a_victims_identifier_flags_nobody_from_the_moment_its_marker_arrives() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let licence = identifier(IdentifierKind::BusinessLicence, "91110000600037341L");
    let mut both = submission("all", SELLER, EvidenceKind::CourtJudgment, 1);
    both.identifiers.push(licence.clone());
    world.node("acme").submit(both).await.expect("taken");
    spread(&world).await;
    let by_licence = async |member: &str| world.node(member).check(vec![licence.clone()]).await.expect("answered").judgment;
    assert_eq!(by_licence("chips").await.verdict, Verdict::Confirmed);
    let draft = marker(MarkerKind::Victim, licence.clone(), MarkerReason::StolenLicence);
    let marker = world.node("brand").cases.mark(draft.clone()).await.expect("durable");
    spread(&world).await;
    for member in ["acme", "brand", "chips"] {
        let judged = by_licence(member).await;
        assert_eq!((judged.verdict, judged.reasons), (Verdict::NoneKnown, [Reason::VictimMarked].into()), "{member}");
        assert_eq!(world.node(member).ask(SELLER).await.judgment.verdict, Verdict::Confirmed, "the other identifier stands");
        let answer = world.node(member).check(vec![licence.clone(), named(SELLER)]).await.expect("answered");
        assert_eq!((answer.judgment.verdict, answer.markers.len()), (Verdict::Confirmed, 1));
        assert_eq!(answer.markers[0].marker, marker);
    }
    assert_eq!(code(world.node("acme").cases.lift(marker.clone()).await), "ENTRY_NOT_OWN");
    world.node("brand").cases.lift(marker).await.expect("durable");
    spread(&world).await;
    assert_eq!(by_licence("chips").await.verdict, Verdict::Confirmed);
    world.node("brand").cases.mark(draft).await.expect("durable");
    spread(&world).await;
    assert_eq!(by_licence("chips").await.verdict, Verdict::NoneKnown);
    world.node("chips").clock.advance_days(397);
    assert_eq!(by_licence("chips").await.verdict, Verdict::Confirmed, "a marker holds for thirteen months");
}

#[tokio::test]
async fn a_marker_of_an_expelled_member_clears_nobody() {
    let (mut world, _) = confirmed().await;
    let draft = marker(MarkerKind::Victim, named(SELLER), MarkerReason::BorrowedIdentity);
    world.node("brand").cases.mark(draft).await.expect("durable");
    everywhere(&world, Verdict::NoneKnown).await;
    world.amend(|roster| roster.members[1].state = MemberState::Expelled).await;
    assert_eq!(world.node("chips").ask(SELLER).await.judgment.verdict, Verdict::Confirmed);
}

#[tokio::test]
async fn who_is_vouched_for_is_known_good_unless_confirmed() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let draft =
        MarkerDraft { valid_days: Some(30), ..marker(MarkerKind::KnownGood, named(SELLER), MarkerReason::AuthorisedDealer) };
    assert_eq!(
        code(world.node("brand").cases.mark(MarkerDraft { reason: MarkerReason::StolenLicence, ..draft.clone() }).await),
        "MARKER_REASON_UNFIT"
    );
    world.node("brand").cases.mark(draft).await.expect("durable");
    everywhere(&world, Verdict::KnownGood).await;
    world.node("acme").submit(allegation(SELLER, 1)).await.expect("taken");
    everywhere(&world, Verdict::KnownGood).await;
    world.node("acme").submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 2)).await.expect("taken");
    everywhere(&world, Verdict::Disputed).await;
}

#[tokio::test]
async fn an_opinion_may_arrive_before_what_it_is_about() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let signal = world.node("acme").submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 1)).await;
    let signal = signal.expect("taken").signal;
    world.deliver("acme/all", "brand").await;
    world.node("brand").cases.opine(signal, Stance::Disagree(DisputeGround::NoRight)).await.expect("durable");
    world.deliver("brand/all", "chips").await;
    assert_eq!(world.node("chips").ask(SELLER).await.judgment.verdict, Verdict::NoneKnown);
    world.deliver("acme/all", "chips").await;
    assert_eq!(world.node("chips").ask(SELLER).await.judgment.verdict, Verdict::Disputed);
}

#[tokio::test]
async fn what_a_member_is_told_in_a_group_says_nothing_to_others() {
    let mut world = World::new(&["acme", "brand", "chips"]).await;
    world.amend(|roster| roster.groups[0].members.retain(|member| member.as_str() != "chips")).await;
    let signal = world.node("acme").submit(submission("makers", SELLER, EvidenceKind::CourtJudgment, 1)).await;
    let signal = signal.expect("taken").signal;
    let chips = &world.node("chips").cases;
    let refused = chips.open_dispute(vec![signal.clone()], DisputeGround::Other, vec![]).await;
    assert_eq!(code(refused), "SIGNAL_NOT_FOUND");
    assert_eq!(code(chips.opine(signal, Stance::Disagree(DisputeGround::Other)).await), "SIGNAL_NOT_FOUND");
    assert_eq!(world.node("chips").store.size(&feed("chips/makers")).get(), 0, "and nothing was written");
}

#[tokio::test]
async fn who_is_often_wrong_is_counted_and_weighs_less_by_policy() {
    let (mut world, _) = confirmed().await;
    world
        .amend(|roster| {
            let verdict = &mut roster.policy.verdict;
            (verdict.accuracy_after, verdict.refuted_percent, verdict.inaccurate_weight_percent) = (4, 50, 0);
        })
        .await;
    let acme = world.node("acme");
    for case in 0..4 {
        let signal = acme.submit(allegation(&format!("honest-{case}.example"), case)).await.expect("taken").signal;
        spread(&world).await;
        let brand = &world.node("brand").cases;
        let opened = brand.open_dispute(vec![signal], DisputeGround::GenuineGoods, vec![]).await.expect("durable");
        spread(&world).await;
        let outcome = if case == 0 { DisputeOutcome::Upheld } else { DisputeOutcome::Refuted };
        acme.cases.decide(opened.dispute, outcome, vec![]).await.expect("durable");
    }
    spread(&world).await;
    let chips = world.node("chips");
    chips.accuracy.renew();
    let counts = chips.accuracy.members();
    let of_acme = counts[&super::world::member("acme")];
    assert_eq!((counts.len(), of_acme.upheld, of_acme.refuted, of_acme.refuted_percent()), (1, 1, 3, 75));
    let judged = chips.ask(SELLER).await.judgment;
    assert_eq!(judged.verdict, Verdict::NoneKnown, "nothing of its weight is left");
    assert!(judged.reasons.contains(&Reason::WeightLowered));
}

#[tokio::test]
async fn a_members_own_word_wins_in_its_own_answers_and_reaches_as_far_as_it_names() {
    let (world, _) = confirmed().await;
    let (brand, chips) = (world.node("brand"), world.node("chips"));
    let licence = identifier(IdentifierKind::BusinessLicence, "91110000600037341L");
    let draft = |verdict, identifiers| OverrideDraft { verdict, identifiers, until: None, note: "by contract".into() };
    let good = chips.overrides.set(draft(Verdict::KnownGood, vec![named(SELLER)])).await.expect("durable");
    let answer = chips.ask(SELLER).await;
    assert_eq!((answer.judgment.verdict, answer.overrides.len()), (Verdict::KnownGood, 1));
    assert_eq!((answer.overrides[0].id, answer.overrides[0].made.note.as_str()), (good, "by contract"));
    assert!(answer.judgment.reasons.contains(&Reason::DecidedHere) && answer.matches.len() == 1, "and hides nothing");
    assert_eq!(brand.ask(SELLER).await.judgment.verdict, Verdict::Confirmed, "it stays at home");

    let other = chips.overrides.set(draft(Verdict::KnownGood, vec![licence.clone()])).await.expect("durable");
    chips.overrides.remove(good).await.expect("durable");
    let both = chips.check(vec![named(SELLER), licence.clone()]).await.expect("answered");
    assert_eq!(both.judgment.verdict, Verdict::Confirmed, "a word for the licence does not clear the domain");
    chips.overrides.remove(other).await.expect("durable");

    let until = Timestamp::from_unix_ms(chips.clock.now().unix_ms() + 60_000);
    let bad = OverrideDraft { until: Some(until), ..draft(Verdict::Confirmed, vec![licence.clone()]) };
    chips.overrides.set(bad).await.expect("durable");
    assert_eq!(chips.check(vec![licence.clone()]).await.expect("answered").judgment.verdict, Verdict::Confirmed);
    chips.clock.advance_ms(60_000);
    assert_eq!(chips.check(vec![licence.clone()]).await.expect("answered").judgment.verdict, Verdict::NoneKnown);
    let past = OverrideDraft { until: Some(until), ..draft(Verdict::Confirmed, vec![licence]) };
    assert_eq!(code(chips.overrides.set(past).await), "OVERRIDE_ENDED");
    assert_eq!(chips.overrides.list(None, 10).len(), 1);
}

/// Three members say this and that of each other's signals, one commit after the other.
async fn quarrel(world: &World) -> Vec<SignalRef> {
    let members = ["acme", "brand", "chips"].map(|name| world.node(name));
    let mut signals = Vec::new();
    for round in 0..4 {
        for node in members {
            let stated = submission("all", SELLER, EvidenceKind::CourtJudgment, 10 * signals.len() + round);
            signals.push(node.submit(stated).await.expect("taken").signal);
        }
        spread(world).await;
        let nth = |n: usize| signals[n % signals.len()].clone();
        for (i, node) in members.into_iter().enumerate() {
            let own = signals[signals.len() - 3 + i].clone();
            let change = Change { actions: vec![Action::ALL[round + i]], ..Change::default() };
            node.cases.amend(Target::Signal(own.clone()), change).await.expect("durable");
            let foreign = signals[signals.len() - 3 + (i + 1) % 3].clone();
            let stance = if round % 2 == 0 { Stance::Disagree(DisputeGround::Other) } else { Stance::None };
            node.cases.opine(foreign.clone(), stance).await.expect("durable");
            let opened = node.cases.open_dispute(vec![own, foreign], DisputeGround::Licensed, vec![]).await.expect("durable");
            match round {
                0 => drop(node.cases.decide(opened.dispute, DisputeOutcome::Upheld, vec![]).await.expect("durable")),
                1 => drop(node.cases.decide(opened.dispute, DisputeOutcome::Refuted, vec![]).await.expect("durable")),
                2 => drop(node.cases.decide(opened.dispute, DisputeOutcome::TakenBack, vec![]).await.expect("durable")),
                _ => {}
            }
            if round == 3 && i == 0 {
                node.signals.retract(Target::Signal(nth(0)), RetractionReason::Settled).await.expect("durable");
            }
        }
        spread(world).await;
    }
    signals
}

#[tokio::test]
async fn every_node_comes_to_the_same_in_whatever_order_the_feeds_arrived() {
    let world = World::new(&["acme", "brand", "chips", "p", "q", "r", "s", "t"]).await;
    let signals = quarrel(&world).await;
    // A walk of its own for each replica, commit by commit.
    let mut random = 0x9E37_79B9_u32;
    for replica in ["p", "q", "r", "s", "t"] {
        let mut rest = vec!["acme/all", "brand/all", "chips/all"];
        while !rest.is_empty() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let chosen = (random >> 16) as usize % rest.len();
            if !world.deliver_next(rest[chosen], replica).await {
                rest.remove(chosen);
            }
        }
    }
    let told = async |name: &str| {
        let mut lives = Vec::new();
        for signal in &signals {
            lives.push(world.node(name).signals.get(signal.clone()).await.expect("held"));
        }
        (lives, world.node(name).ask(SELLER).await.judgment)
    };
    let expected = told("p").await;
    assert!(expected.0.iter().any(|record| record.status == SignalStatus::Refuted), "there is something to compare");
    for replica in ["q", "r", "s", "t"] {
        assert_eq!(told(replica).await, expected, "{replica}");
    }
}

#[tokio::test]
async fn the_newest_word_about_each_identifier_holds_and_one_that_flags_is_not_talked_away() {
    let world = World::new(&["acme"]).await;
    let acme = world.node("acme");
    let phone = identifier(IdentifierKind::Phone, "+8613800138000");
    let set = async |verdict, identifiers| {
        let draft = OverrideDraft { verdict, identifiers, until: None, note: String::new() };
        acme.overrides.set(draft).await.expect("durable")
    };
    let verdict = async |identifiers| acme.check(identifiers).await.expect("answered").judgment.verdict;
    set(Verdict::Confirmed, vec![named(SELLER)]).await;
    set(Verdict::KnownGood, vec![phone.clone()]).await;
    assert_eq!(verdict(vec![named(SELLER), phone.clone()]).await, Verdict::Confirmed, "asked with an honest dealer's phone");
    assert_eq!(verdict(vec![phone]).await, Verdict::KnownGood);
    set(Verdict::NoneKnown, vec![named(SELLER)]).await;
    assert_eq!(verdict(vec![named(SELLER)]).await, Verdict::NoneKnown, "the newest holds");
    let weak = OverrideDraft {
        verdict: Verdict::KnownGood,
        identifiers: vec![identifier(IdentifierKind::LegalName, "Shop Ltd")],
        until: None,
        note: String::new(),
    };
    assert_eq!(code(acme.overrides.set(weak).await), "IDENTIFIERS_ALL_WEAK");
}

#[tokio::test]
async fn no_number_of_disputes_makes_a_signal_undecidable() {
    let names = ["acme", "b", "c", "d", "e", "f"];
    let world = World::new(&names).await;
    let acme = world.node("acme");
    let signal = acme.submit(submission("all", SELLER, EvidenceKind::CourtJudgment, 1)).await.expect("taken").signal;
    for name in &names[1..] {
        world.deliver("acme/all", name).await;
        for n in 0..16_u8 {
            let digests = vec![Sha256Digest([n; 32])];
            let node = world.node(name);
            node.cases.open_dispute(vec![signal.clone()], DisputeGround::Other, digests).await.expect("durable");
        }
        world.deliver(&format!("{name}/all"), "acme").await;
    }
    let open = acme.cases.list(None, 1_000, true, true).await.expect("readable").cases;
    assert_eq!(open.len(), 80);
    for case in open {
        acme.cases.decide(case.dispute, DisputeOutcome::Upheld, vec![]).await.expect("durable");
    }
    assert_eq!(acme.ask(SELLER).await.judgment.verdict, Verdict::Confirmed);
    let one_more = world.node("b").cases.open_dispute(vec![signal], DisputeGround::Licensed, vec![]).await;
    assert_eq!(code(one_more), "DISPUTES_FULL");
}

#[tokio::test]
async fn disputes_are_listed_by_page() {
    let world = World::new(&["acme", "brand", "chips"]).await;
    let acme = world.node("acme");
    let mut disputes = Vec::new();
    for case in 0..5 {
        let signal = acme.submit(allegation(&format!("seller-{case}.example"), case)).await.expect("taken").signal;
        disputes.push(acme.cases.open_dispute(vec![signal], DisputeGround::Other, vec![]).await.expect("durable").dispute);
    }
    acme.cases.decide(disputes[1].clone(), DisputeOutcome::Upheld, vec![]).await.expect("durable");
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = acme.cases.list(after, 2, true, true).await.expect("readable");
        assert!(page.cases.len() <= 2);
        listed.extend(page.cases.into_iter().map(|case| case.dispute));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    disputes.remove(1);
    assert_eq!(listed, disputes);
    spread(&world).await;
    let of_others = world.node("brand").cases.list(None, 10, false, true).await.expect("readable");
    assert_eq!(of_others.cases.len(), 0, "nothing of its own");
    assert_eq!(world.node("brand").cases.list(None, 10, false, false).await.expect("readable").cases.len(), 5);
}
