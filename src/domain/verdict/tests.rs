use super::*;
use crate::domain::EvidenceKind;

const DAY_MS: i64 = 86_400_000;
const NOW: Timestamp = Timestamp::from_unix_ms(20_000 * DAY_MS);

fn member(name: &str) -> MemberId {
    name.parse().expect("valid")
}

fn evidence(kind: EvidenceKind, grade: EvidenceGrade, digest: u8) -> Vec<Evidence> {
    vec![Evidence { kind, grade, digests: vec![Sha256Digest([digest; 32])] }]
}

struct Case {
    member: MemberId,
    status: SignalStatus,
    infringement: Infringement,
    evidence: Vec<Evidence>,
    days_ago: i64,
    derived: bool,
    covered: bool,
    agreed_by: Vec<MemberId>,
}

/// A confirmed signal with a judgment, on evidence that nobody else has.
fn confirmed(name: &str, digest: u8) -> Case {
    Case {
        member: member(name),
        status: SignalStatus::Confirmed,
        infringement: Infringement::TrademarkCounterfeit,
        evidence: evidence(EvidenceKind::CourtJudgment, EvidenceGrade::Conclusive, digest),
        days_ago: 1,
        derived: false,
        covered: false,
        agreed_by: vec![],
    }
}

/// An allegation on a notice.
fn alleged(name: &str, digest: u8) -> Case {
    Case {
        status: SignalStatus::Alleged,
        evidence: evidence(EvidenceKind::RightsHolderNotice, EvidenceGrade::Substantial, digest),
        ..confirmed(name, digest)
    }
}

fn judged_with(cases: &[Case], circumstances: Circumstances, weight_of: impl Fn(&MemberId) -> u8) -> Judgment {
    let testimonies: Vec<_> = cases
        .iter()
        .map(|case| Testimony {
            member: &case.member,
            status: case.status,
            infringement: case.infringement,
            evidence: &case.evidence,
            recorded_at: Timestamp::from_unix_ms(NOW.unix_ms() - case.days_ago * DAY_MS),
            incident_day: NOW.unix_day() - case.days_ago,
            derived: case.derived,
            covered: case.covered,
            agreed_by: case.agreed_by.iter().collect(),
        })
        .collect();
    judge(&testimonies, &circumstances, &VerdictPolicy::default(), weight_of, NOW)
}

fn judged(cases: &[Case]) -> Judgment {
    judged_with(cases, Circumstances::default(), |_| 100)
}

fn verdict(cases: &[Case]) -> Verdict {
    judged(cases).verdict
}

#[test]
fn one_confirmation_confirms_and_two_members_make_a_repeat_offender() {
    assert_eq!(verdict(&[]), Verdict::NoneKnown);
    assert_eq!(verdict(&[alleged("a", 1)]), Verdict::Alleged);
    assert_eq!(verdict(&[alleged("a", 1), confirmed("b", 2)]), Verdict::Confirmed);
    assert_eq!(verdict(&[confirmed("a", 1), confirmed("b", 2)]), Verdict::RepeatOffender);
}

#[test]
fn a_crowd_of_allegations_confirms_nothing() {
    let crowd: Vec<_> = (0..50).map(|i| alleged(&format!("m{i}"), i)).collect();
    assert_eq!(verdict(&crowd), Verdict::Alleged);
    assert!(judged(&crowd).score > 90);
}

#[test]
fn nobody_confirms_himself() {
    let twice = [confirmed("a", 1), confirmed("a", 2)];
    assert_eq!(verdict(&twice), Verdict::Confirmed, "two of one day are one incident");
    let once = judged(&twice[..1]).score;
    assert_eq!(judged(&twice).score, once, "a second signal of the same member adds nothing");
}

#[test]
fn another_members_signal_or_its_evidence_is_no_evidence() {
    let derived = Case { derived: true, ..confirmed("b", 2) };
    assert_eq!(verdict(&[confirmed("a", 1), derived]), Verdict::Confirmed);
    for days_ago in [1, 400] {
        let copied = Case { days_ago, ..confirmed("b", 1) };
        let both = judged(&[confirmed("a", 1), copied]);
        assert_eq!(both.verdict, Verdict::Confirmed, "both have the same judgment, whatever the dates say");
        assert!(both.reasons.contains(&Reason::Derived));
        assert_eq!(both.score, judged(&[confirmed("a", 1)]).score);
    }
    let alone = Case { derived: true, ..confirmed("b", 2) };
    assert_eq!(verdict(&[alone]), Verdict::Alleged);
}

#[test]
fn a_piece_beside_it_makes_no_copy_ones_own() {
    let mut copied = confirmed("b", 1);
    copied.evidence.push(Evidence::of(EvidenceKind::ConsumerComplaint));
    assert_eq!(verdict(&[confirmed("a", 1), copied]), Verdict::Confirmed);
}

#[test]
fn a_lesser_copy_takes_no_weight_from_what_it_copies() {
    let lesser = Case {
        status: SignalStatus::Alleged,
        evidence: evidence(EvidenceKind::ConsumerComplaint, EvidenceGrade::Indicative, 1),
        days_ago: 30,
        ..confirmed("b", 1)
    };
    assert_eq!(verdict(&[confirmed("a", 1), lesser]), Verdict::Confirmed);
}

#[test]
fn that_evidence_was_denied_elsewhere_is_told_and_takes_no_weight() {
    // Whoever copies a signal and has the copy denied must not clear the seller.
    let disputed = Case { status: SignalStatus::Disputed, ..confirmed("b", 1) };
    let judged_so = judged(&[confirmed("a", 1), disputed]);
    assert_eq!(judged_so.verdict, Verdict::Confirmed);
    assert!(judged_so.reasons.contains(&Reason::EvidenceDenied));
    let refuted = Circumstances { refuted: [Sha256Digest([1; 32])].into(), ..Circumstances::default() };
    let judged_so = judged_with(&[confirmed("a", 1)], refuted.clone(), |_| 100);
    assert!(judged_so.verdict == Verdict::Confirmed && judged_so.reasons.contains(&Reason::EvidenceDenied));
    assert!(!judged_with(&[confirmed("a", 2)], refuted, |_| 100).reasons.contains(&Reason::EvidenceDenied));
}

#[test]
fn members_are_one_group_by_way_of_a_third() {
    let both = Case {
        evidence: [
            evidence(EvidenceKind::CourtJudgment, EvidenceGrade::Conclusive, 1),
            evidence(EvidenceKind::PoliceRaid, EvidenceGrade::Conclusive, 2),
        ]
        .concat(),
        ..confirmed("c", 1)
    };
    assert_eq!(verdict(&[confirmed("a", 1), confirmed("b", 2)]), Verdict::RepeatOffender);
    assert_eq!(verdict(&[confirmed("a", 1), confirmed("b", 2), both]), Verdict::Confirmed);
}

#[test]
fn incidents_far_apart_are_a_repeat_and_one_case_told_twice_is_not() {
    let earlier = |digest| Case { days_ago: 200, ..confirmed("a", digest) };
    assert_eq!(verdict(&[confirmed("a", 1), earlier(2)]), Verdict::RepeatOffender);
    assert_eq!(verdict(&[confirmed("a", 1), earlier(1)]), Verdict::Confirmed, "the same evidence");
}

#[test]
fn a_disputed_signal_flags_nobody_as_confirmed() {
    let disputed = |name, digest| Case { status: SignalStatus::Disputed, ..confirmed(name, digest) };
    assert_eq!(verdict(&[disputed("a", 1)]), Verdict::Disputed);
    assert_eq!(verdict(&[disputed("a", 1), alleged("b", 2)]), Verdict::Alleged);
    let other = judged(&[disputed("a", 1), confirmed("b", 2)]);
    assert_eq!(other.verdict, Verdict::Confirmed);
    assert!(other.reasons.contains(&Reason::DisputeOpen));
}

#[test]
fn a_seller_that_may_still_answer_is_alleged_at_most() {
    let pending = Case { status: SignalStatus::RefutationPending, ..confirmed("a", 1) };
    assert_eq!(verdict(&[pending]), Verdict::Alleged);
}

#[test]
fn who_is_vouched_for_is_good_as_far_as_the_word_reaches() {
    let vouched = Circumstances { vouched_for: true, ..Circumstances::default() };
    let with = |cases: &[Case]| judged_with(cases, vouched.clone(), |_| 100).verdict;
    let covered = |case: Case| Case { covered: true, ..case };
    assert_eq!(with(&[]), Verdict::KnownGood);
    assert_eq!(with(&[covered(alleged("a", 1))]), Verdict::KnownGood);
    assert_eq!(with(&[covered(confirmed("a", 1))]), Verdict::Disputed, "member against member");
    let disputed = Case { status: SignalStatus::Disputed, ..confirmed("a", 1) };
    assert_eq!(with(&[covered(disputed)]), Verdict::Disputed, "a denial and a word for the seller do not clear it");
    // Asked together with the phone of an honest dealer.
    assert_eq!(with(&[alleged("a", 1)]), Verdict::Alleged);
    assert_eq!(with(&[confirmed("a", 1)]), Verdict::Confirmed);
}

#[test]
fn old_indications_fade_and_judgments_last() {
    let old = |kind, grade| Case {
        status: SignalStatus::Alleged,
        evidence: evidence(kind, grade, 1),
        days_ago: 1_800,
        ..alleged("a", 1)
    };
    let faded = judged(&[old(EvidenceKind::ConsumerComplaint, EvidenceGrade::Indicative)]);
    assert_eq!((faded.verdict, faded.score), (Verdict::NoneKnown, 0));
    assert!(faded.reasons.contains(&Reason::Faded));
    assert_eq!(verdict(&[old(EvidenceKind::RightsHolderNotice, EvidenceGrade::Substantial)]), Verdict::Alleged);
    assert_eq!(verdict(&[Case { days_ago: 1_800, ..confirmed("a", 1) }]), Verdict::Confirmed);
}

#[test]
fn weights_halve_with_each_half_life() {
    assert_eq!(faded(FULL, 0, 100), FULL);
    assert_eq!(faded(FULL, 50, 100), FULL * 3 / 4);
    assert_eq!(faded(FULL, 100, 100), FULL / 2);
    assert_eq!(faded(FULL, 300, 100), FULL / 8);
    assert_eq!(faded(FULL, u64::MAX, 1), 0);
}

#[test]
fn what_is_no_counterfeit_confirms_nothing() {
    let parallel = Case { infringement: Infringement::ParallelImport, ..confirmed("a", 1) };
    let judged = judged(&[parallel]);
    assert_eq!(judged.verdict, Verdict::Alleged);
    assert!(judged.reasons.contains(&Reason::ParallelImport));
}

#[test]
fn a_member_that_is_often_wrong_weighs_less() {
    let full = judged(&[alleged("a", 1)]);
    let half = judged_with(&[alleged("a", 1)], Circumstances::default(), |_| 50);
    assert!(half.score < full.score && half.reasons.contains(&Reason::WeightLowered));
    let none = judged_with(&[confirmed("a", 1)], Circumstances::default(), |_| 0);
    assert_eq!(none.verdict, Verdict::NoneKnown);
}

#[test]
fn agreement_adds_half_a_signal_to_the_score_and_nothing_to_the_verdict() {
    let agreed = Case { agreed_by: vec![member("b")], ..alleged("a", 1) };
    assert_eq!(verdict(&[agreed]), Verdict::Alleged);
    let agreed = Case { agreed_by: vec![member("b")], ..alleged("a", 1) };
    assert!(judged(&[agreed]).score > judged(&[alleged("a", 1)]).score);
}

#[test]
fn the_order_of_what_is_known_does_not_matter() {
    let cases = || vec![confirmed("a", 1), alleged("b", 2), Case { days_ago: 100, ..confirmed("c", 1) }, alleged("d", 1)];
    let mut turned = cases();
    turned.reverse();
    assert_eq!(judged(&cases()), judged(&turned));
}

#[test]
fn silence_says_what_was_left_out() {
    let circumstances = Circumstances { weak: true, expelled: true, victim_marked: true, ..Circumstances::default() };
    let judged = judged_with(&[], circumstances, |_| 100);
    assert_eq!(judged.verdict, Verdict::NoneKnown);
    assert_eq!(judged.reasons, [Reason::VictimMarked, Reason::WeakOnly, Reason::ExpelledOnly].into());
}
