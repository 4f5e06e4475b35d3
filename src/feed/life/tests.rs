use proptest::prelude::*;

use super::*;
use crate::domain::{
    Amendment, CaseTag, Decision, EvidenceKind, Infringement, MarkerKind, MarkerReason, Retraction, RetractionReason,
};
use crate::feed::fixtures::{full_statement, roster};

const DAY_MS: i64 = 86_400_000;
/// A Monday.
const START: i64 = 20_787 * DAY_MS;

fn at(day: i64) -> Timestamp {
    Timestamp::from_unix_ms(START + day * DAY_MS)
}

fn named(text: &str) -> SignalRef {
    text.parse().expect("valid")
}

/// With nothing but a notice of the rights holder.
fn substantial() -> Statement {
    let evidence = vec![Evidence::of(EvidenceKind::RightsHolderNotice)];
    Statement { evidence, infringement: Infringement::TrademarkCounterfeit, retention_days: None, ..full_statement() }
}

fn note(name: &str, day: i64, body: Body) -> Note {
    Note { at: named(name), recorded_at: at(day), since: at(day), body }
}

fn amendment(name: &str, day: i64, change: Change) -> Note {
    note(name, day, Body::Amendment(Amendment { signal: Seq::new(5), change }))
}

fn step(name: &str, day: i64, step: AnswerStep) -> Note {
    amendment(name, day, Change { step: Some(step), ..Change::default() })
}

fn dispute(name: &str, day: i64) -> Note {
    let signals = vec![named("acme/all/5")];
    let reference = CaseTag([7; 16]);
    note(name, day, Body::Dispute(Dispute { signals, ground: DisputeGround::GenuineGoods, digests: vec![], reference }))
}

fn decision(name: &str, day: i64, of: &str, outcome: DisputeOutcome) -> Note {
    let signals = if outcome == DisputeOutcome::TakenBack { vec![] } else { vec![Seq::new(5)] };
    note(name, day, Body::Decision(Decision { dispute: named(of), outcome, signals, reference: CaseTag([7; 16]) }))
}

fn opinion(name: &str, day: i64, stance: Stance) -> Note {
    note(name, day, Body::Opinion(Opinion { signal: named("acme/all/5"), stance }))
}

fn disagreement(name: &str, day: i64) -> Note {
    opinion(name, day, Stance::Disagree(DisputeGround::Licensed))
}

/// What signal `acme/all/5` of day 0 comes to.
fn life_of(statement: &Statement, notes: &[Note], day: i64) -> Life {
    let signal = named("acme/all/5");
    let told = Told { signal: &signal, recorded_at: at(0), statement, gone: None, notes };
    life(&told, &roster(), at(day))
}

fn status(statement: &Statement, notes: &[Note], day: i64) -> SignalStatus {
    life_of(statement, notes, day).status
}

#[test]
fn nothing_said_is_what_it_rests_on() {
    assert_eq!(status(&substantial(), &[], 1), SignalStatus::Alleged);
    assert_eq!(status(&full_statement(), &[], 1), SignalStatus::Confirmed);
    let kept_days = i64::from(Policy::default().retention_days);
    assert_eq!(status(&substantial(), &[], kept_days - 1), SignalStatus::Alleged);
    assert_eq!(status(&substantial(), &[], kept_days), SignalStatus::Expired);
}

#[test]
fn evidence_that_is_added_makes_a_better_status_and_what_was_said_stays() {
    let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let notes = [amendment("acme/all/9", 2, Change { evidence, ..Change::default() })];
    let life = life_of(&substantial(), &notes, 3);
    assert_eq!(life.status, SignalStatus::Confirmed);
    assert_eq!((life.statement.evidence.len(), life.amendments.len(), life.amendments[0].at), (2, 1, at(2)));
}

#[test]
fn nobody_amends_anothers_signal_or_an_earlier_place() {
    let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let change = || Change { evidence: evidence.clone(), ..Change::default() };
    for name in ["brand/all/9", "acme/all/4", "acme/luxury/9"] {
        assert_eq!(status(&substantial(), &[amendment(name, 2, change())], 3), SignalStatus::Alleged, "{name}");
    }
    let of_another = Body::Amendment(Amendment { signal: Seq::new(4), change: change() });
    assert_eq!(status(&substantial(), &[note("acme/all/9", 2, of_another)], 3), SignalStatus::Alleged);
}

#[test]
fn a_seller_that_was_told_has_its_working_days_and_silence_confirms_only_after_them() {
    let told = step("acme/all/6", 1, AnswerStep::SellerNotified);
    // Told on a Tuesday: Wednesday, Thursday and Friday.
    assert_eq!(life_of(&full_statement(), std::slice::from_ref(&told), 2).answer_until, Some(at(5)));
    assert_eq!(status(&full_statement(), std::slice::from_ref(&told), 4), SignalStatus::RefutationPending);
    assert_eq!(status(&full_statement(), std::slice::from_ref(&told), 5), SignalStatus::Confirmed);
    let early = [told.clone(), step("acme/all/7", 4, AnswerStep::Unrefuted)];
    assert_eq!(status(&substantial(), &early, 6), SignalStatus::Alleged, "stated before the time had passed");
    let late = [told, step("acme/all/7", 5, AnswerStep::Unrefuted)];
    assert_eq!(status(&substantial(), &late, 6), SignalStatus::Confirmed);
    let weak = Statement { evidence: vec![Evidence::of(EvidenceKind::ConsumerComplaint)], ..substantial() };
    assert_eq!(status(&weak, &late, 6), SignalStatus::Alleged, "silence confirms no indication");
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::RightsHolderNotice)], ..Change::default() };
    let mut more = late.to_vec();
    more.push(amendment("acme/all/8", 5, change));
    assert_eq!(status(&weak, &more, 6), SignalStatus::Alleged, "nor what the seller was never told of");
    let evidence = vec![Evidence::of(EvidenceKind::RightsHolderNotice)];
    let before = amendment("acme/all/6", 1, Change { evidence, ..Change::default() });
    let told = step("acme/all/7", 1, AnswerStep::SellerNotified);
    let all = [before, told, step("acme/all/8", 5, AnswerStep::Unrefuted)];
    assert_eq!(status(&weak, &all, 6), SignalStatus::Confirmed, "but all that it was told of");
}

#[test]
fn telling_a_seller_again_gives_a_new_term_only_for_new_evidence() {
    let told = |name: &str, day| step(name, day, AnswerStep::SellerNotified);
    let resent = [told("acme/all/6", 1), step("acme/all/7", 6, AnswerStep::Unrefuted), told("acme/all/8", 7)];
    let life = life_of(&substantial(), &resent, 8);
    assert_eq!((life.status, life.answer_until), (SignalStatus::Confirmed, Some(at(5))));
    let evidence = vec![Evidence::of(EvidenceKind::CustomsSeizure)];
    let news = amendment("acme/all/8", 7, Change { evidence, ..Change::default() });
    let anew = [resent[0].clone(), resent[1].clone(), news, told("acme/all/9", 7)];
    assert_eq!(status(&substantial(), &anew, 8), SignalStatus::RefutationPending);
}

#[test]
fn a_dispute_holds_until_it_is_decided() {
    for name in ["acme/all/8", "brand/all/3"] {
        let open = dispute(name, 2);
        assert_eq!(status(&full_statement(), std::slice::from_ref(&open), 3), SignalStatus::Disputed);
        let upheld = [open.clone(), decision("acme/all/9", 4, name, DisputeOutcome::Upheld)];
        assert_eq!(status(&full_statement(), &upheld, 5), SignalStatus::Confirmed);
        let refuted = [open, decision("acme/all/9", 4, name, DisputeOutcome::Refuted)];
        assert_eq!(status(&full_statement(), &refuted, 5), SignalStatus::Refuted);
    }
}

#[test]
fn what_nobody_decides_lapses_in_the_sellers_favour() {
    let open = [dispute("brand/all/3", 2)];
    assert_eq!(status(&full_statement(), &open, 17), SignalStatus::Disputed);
    let life = life_of(&full_statement(), &open, 18);
    assert_eq!(life.status, SignalStatus::Refuted);
    assert_eq!(life.disputes[0].end, Some(DisputeEnd { outcome: None, at: at(18) }));
    let late = [open[0].clone(), decision("acme/all/9", 40, "brand/all/3", DisputeOutcome::Upheld)];
    assert_eq!(status(&full_statement(), &late, 41), SignalStatus::Confirmed, "it might as well be stated anew");
    let taken_back = [open[0].clone(), decision("brand/all/9", 18, "brand/all/3", DisputeOutcome::TakenBack)];
    assert_eq!(status(&full_statement(), &taken_back, 19), SignalStatus::Refuted, "only before it lapsed");
}

#[test]
fn nobody_decides_what_is_not_recorded_yet() {
    let Note { body: Body::Decision(ahead), .. } = decision("acme/all/9", 1, "brand/all/3", DisputeOutcome::Upheld) else {
        panic!("a decision")
    };
    let guessed = note("acme/all/9", 1, Body::Decision(Decision { reference: CaseTag([8; 16]), ..ahead }));
    assert_eq!(status(&full_statement(), &[dispute("brand/all/3", 2), guessed], 3), SignalStatus::Disputed);
}

#[test]
fn only_who_may_decides() {
    let open = dispute("brand/all/3", 2);
    let decided_by = |name: &str, outcome| [open.clone(), decision(name, 3, "brand/all/3", outcome)];
    let status = |notes: &[Note]| status(&full_statement(), notes, 4);
    assert_eq!(status(&decided_by("chips/all/9", DisputeOutcome::Upheld)), SignalStatus::Disputed, "a third member");
    assert_eq!(status(&decided_by("brand/all/9", DisputeOutcome::Refuted)), SignalStatus::Disputed, "who recorded it");
    assert_eq!(status(&decided_by("brand/all/9", DisputeOutcome::TakenBack)), SignalStatus::Confirmed);
    assert_eq!(status(&decided_by("acme/all/9", DisputeOutcome::TakenBack)), SignalStatus::Disputed, "not the accuser");
    assert_eq!(status(&decided_by("brand/all/2", DisputeOutcome::TakenBack)), SignalStatus::Disputed, "before the dispute");
}

#[test]
fn once_refuted_is_refuted_whatever_the_dates_say() {
    let refuted = decision("acme/all/9", 5, "brand/all/3", DisputeOutcome::Refuted);
    for other in [
        decision("acme/all/8", 2, "brand/all/3", DisputeOutcome::Upheld),
        decision("brand/all/9", 2, "brand/all/3", DisputeOutcome::TakenBack),
    ] {
        let notes = [dispute("brand/all/3", 2), other, refuted.clone()];
        assert_eq!(status(&full_statement(), &notes, 6), SignalStatus::Refuted);
    }
}

#[test]
fn a_dispute_dated_before_the_signal_does_not_lapse_at_once() {
    let backdated = [dispute("brand/all/3", -400)];
    let life = life_of(&full_statement(), &backdated, 1);
    assert_eq!((life.status, life.disputes[0].opened_at), (SignalStatus::Disputed, at(0)));
    let ahead = [dispute("brand/all/3", 40_000)];
    assert_eq!(status(&full_statement(), &ahead, 100), SignalStatus::Disputed, "and one dated ahead is open now");
}

#[test]
fn a_disagreement_disputes_until_it_is_taken_back() {
    let disagrees = disagreement("brand/all/3", 2);
    assert_eq!(status(&full_statement(), std::slice::from_ref(&disagrees), 300), SignalStatus::Disputed);
    let back = [disagrees.clone(), opinion("brand/all/4", 3, Stance::None)];
    assert_eq!(status(&full_statement(), &back, 4), SignalStatus::Confirmed);
    let own = [disagreement("acme/all/9", 2)];
    assert_eq!(status(&full_statement(), &own, 3), SignalStatus::Confirmed, "nobody has an opinion on his own");
    let agrees = opinion("brand/all/4", 3, Stance::Agree(vec![Evidence::of(EvidenceKind::TestPurchase)]));
    let life = life_of(&substantial(), &[disagrees, agrees], 4);
    assert_eq!((life.status, life.opinions.len()), (SignalStatus::Alleged, 1), "the newest holds, and confirms nothing");
}

#[test]
fn what_expelled_members_say_counts_no_more_but_what_was_conceded_stays() {
    let notes = [dispute("gone/all/3", 2), disagreement("gone/all/4", 2)];
    assert_eq!(status(&full_statement(), &notes, 3), SignalStatus::Confirmed);
    let conceded = [dispute("gone/all/3", 2), decision("acme/all/9", 4, "gone/all/3", DisputeOutcome::Refuted)];
    assert_eq!(status(&full_statement(), &conceded, 5), SignalStatus::Refuted);
    let stranger = [dispute("stranger/all/3", 2), decision("acme/all/9", 4, "stranger/all/3", DisputeOutcome::Refuted)];
    assert_eq!(status(&full_statement(), &stranger, 5), SignalStatus::Confirmed, "who never belonged to the audience");
}

#[test]
fn what_is_dated_ahead_says_nothing_yet() {
    let life_on = |day| {
        let (signal, statement) = (named("acme/all/5"), full_statement());
        let told = Told { signal: &signal, recorded_at: at(40_000), statement: &statement, gone: None, notes: &[] };
        life(&told, &roster(), at(day)).status
    };
    assert_eq!((life_on(1), life_on(39_999)), (SignalStatus::DatedAhead, SignalStatus::Confirmed));
}

#[test]
fn the_best_evidence_stays_where_there_is_too_much() {
    let evidence = |n: u8, kind| Evidence { digests: vec![Sha256Digest([n; 32])], ..Evidence::of(kind) };
    let amends = |n: u8| {
        let kind = if n == 29 { EvidenceKind::CourtJudgment } else { EvidenceKind::ConsumerComplaint };
        let change = Change { evidence: vec![evidence(n, kind)], ..Change::default() };
        amendment(&format!("acme/all/{}", n + 6), 2, change)
    };
    let notes: Vec<Note> = (0..30).map(amends).collect();
    let life = life_of(&substantial(), &notes, 3);
    assert_eq!((life.status, life.statement.evidence.len()), (SignalStatus::Confirmed, MAX_EVIDENCE));
    let again: Vec<Note> = (0..3).map(|n| Note { at: named(&format!("acme/all/{}", n + 40)), ..amends(29) }).collect();
    assert_eq!(life_of(&substantial(), &again, 3).statement.evidence.len(), 2, "each piece once");
    // In the order in which it was handed in as long as there is not too much of it.
    let just_enough: Vec<Note> = (15..30).map(amends).collect();
    let evidence = life_of(&substantial(), &just_enough, 3).statement.evidence;
    assert_eq!((evidence.len(), evidence[0].kind), (MAX_EVIDENCE, EvidenceKind::RightsHolderNotice));
    assert_eq!(evidence[15].kind, EvidenceKind::CourtJudgment);
}

#[test]
fn what_an_amendment_states_stands_in_the_statement_and_what_it_leaves_out_stays() {
    use crate::domain::{Action, GoodsValue};
    let worth = GoodsValue { amount: None, count: Some(7), reference: None, state: None };
    let first = Change { actions: vec![Action::ListingRemoved, Action::PermanentBan], ..Change::default() };
    let day = jiff::civil::date(2026, 11, 1);
    let second = Change { goods_value: Some(worth.clone()), acted_on: Some(day), ..Change::default() };
    let third = Change { actions: vec![Action::PermanentBan], ..Change::default() };
    let notes = [amendment("acme/all/6", 1, first), amendment("acme/all/7", 1, second), amendment("acme/all/8", 1, third)];
    let said = life_of(&substantial(), &notes, 2).statement;
    assert_eq!(said.actions, [Action::ListingRemoved, Action::StoreClosed, Action::PermanentBan], "each once");
    assert_eq!((said.goods_value, said.acted_on), (Some(worth), Some(day)));
    let unchanged = life_of(&substantial(), &notes[..1], 2).statement;
    assert_eq!((unchanged.goods_value, unchanged.acted_on), (substantial().goods_value, substantial().acted_on));
}

#[test]
fn a_flood_of_one_member_is_bounded() {
    let floods = |n: u64| dispute(&format!("brand/all/{n}"), 2);
    let notes: Vec<Note> = (0..100).map(floods).collect();
    assert_eq!(life_of(&full_statement(), &notes, 3).disputes.len(), MAX_DISPUTES_BY_MEMBER);
    let amends = |n: u64| {
        let change = Change { acted_on: Some(jiff::civil::date(2026, 11, 1)), ..Change::default() };
        amendment(&format!("acme/all/{n}"), 2, change)
    };
    let notes: Vec<Note> = (6..200).rev().map(amends).collect();
    let life = life_of(&full_statement(), &notes, 3);
    assert_eq!((life.amendments.len(), life.amendments[0].seq), (MAX_AMENDMENTS, Seq::new(6)));
}

#[test]
fn the_first_disputes_of_a_member_count_and_stand_in_the_order_of_time() {
    let flood: Vec<Note> = (0..40_u64).rev().map(|n| dispute(&format!("brand/all/{n}"), 2)).collect();
    let counted = life_of(&full_statement(), &flood, 3).disputes;
    let first: Vec<u64> = (0..MAX_DISPUTES_BY_MEMBER as u64).collect();
    assert_eq!(counted.iter().map(|disputed| disputed.dispute.seq.get()).collect::<Vec<_>>(), first);
    let life = life_of(&full_statement(), &[dispute("brand/all/3", 3), dispute("chips/all/3", 2)], 4);
    assert_eq!(life.disputes.iter().map(|disputed| disputed.opened_at).collect::<Vec<_>>(), [at(2), at(3)]);
}

#[test]
fn an_acquittal_confirms_nothing_and_a_conviction_does() {
    let outcome = |name: &str, outcome| amendment(name, 2, Change { outcome: Some(outcome), ..Change::default() });
    let acquitted = [outcome("acme/all/9", ReferralStage::Acquitted)];
    assert_eq!(status(&full_statement(), &acquitted, 3), SignalStatus::Alleged);
    let convicted = [outcome("acme/all/9", ReferralStage::Convicted)];
    assert_eq!(status(&substantial(), &convicted, 3), SignalStatus::Confirmed);
}

#[test]
fn withdrawn_comes_before_all_else() {
    let signal = named("acme/all/5");
    let notes = [dispute("brand/all/3", 2)];
    let statement = full_statement();
    let told =
        Told { signal: &signal, recorded_at: at(0), statement: &statement, gone: Some(SignalStatus::Withdrawn), notes: &notes };
    assert_eq!(life(&told, &roster(), at(400)).status, SignalStatus::Withdrawn);
}

#[test]
fn a_marker_holds_for_its_days_and_as_long_as_its_member_takes_part() {
    let marker = |valid_days| Marker {
        kind: MarkerKind::Victim,
        kinds: vec![],
        pseudonyms: vec![],
        reason: MarkerReason::StolenLicence,
        digests: vec![],
        valid_days,
    };
    let holds = |member: &str, valid_days, day| {
        marker_holds(&marker(valid_days), &member.parse().expect("valid"), at(0), &roster(), at(day))
    };
    assert!(holds("brand", None, 395) && !holds("brand", None, 396), "thirteen months");
    assert!(holds("brand", Some(9), 8) && !holds("brand", Some(9), 9));
    assert!(!holds("gone", None, 1));
}

fn any_note() -> impl Strategy<Value = Note> {
    let member = prop::sample::select(vec!["acme", "brand", "chips", "gone"]);
    let what = prop_oneof![Just(0), Just(1), Just(2), Just(3), Just(4), Just(5), Just(6), Just(7)];
    (member, 0_u64..30, -3_i64..30, what, "acme|brand|chips|gone", 0_u64..30).prop_map(|(member, seq, day, what, other, of)| {
        let (name, of) = (format!("{member}/all/{seq}"), format!("{other}/all/{of}"));
        match what {
            0 => step(&name, day, AnswerStep::SellerNotified),
            1 => step(&name, day, AnswerStep::Unrefuted),
            2 => dispute(&name, day),
            3 => decision(&name, day, &of, DisputeOutcome::Upheld),
            4 => decision(&name, day, &of, DisputeOutcome::Refuted),
            5 => decision(&name, day, &of, DisputeOutcome::TakenBack),
            6 => disagreement(&name, day),
            _ => note(&name, day, Body::Retraction(Retraction { signal: Seq::new(5), reason: RetractionReason::Other })),
        }
    })
}

proptest! {
    #[test]
    fn what_a_signal_comes_to_does_not_hang_on_the_order_in_which_entries_arrive(
        (notes, shuffled) in prop::collection::vec(any_note(), 0..20)
            .prop_map(|mut notes| {
                // One entry stands at each place.
                let mut places = std::collections::BTreeSet::new();
                notes.retain(|note| places.insert(note.at.clone()));
                notes
            })
            .prop_flat_map(|notes| (Just(notes.clone()), Just(notes).prop_shuffle())),
        day in -2_i64..60,
    ) {
        prop_assert_eq!(life_of(&full_statement(), &notes, day), life_of(&full_statement(), &shuffled, day));
    }
}
