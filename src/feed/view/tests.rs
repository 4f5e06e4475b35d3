use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    Amendment, Change, Erasure, ErasureReason, Evidence, EvidenceKind, Opinion, Pseudonym, Rekeying, Retraction,
    RetractionReason, Stance, SubmissionTag,
};
use crate::feed::fixtures::{any, content, entry, signal_entry};

/// An entry as a node reads it.
type Read = Result<Entry, NotUnderstood>;

fn retraction(signal: u64) -> Read {
    Ok(entry(Body::Retraction(Retraction { signal: Seq::new(signal), reason: RetractionReason::Settled })))
}

fn erasure(entries: impl IntoIterator<Item = u64>) -> Read {
    let entries = entries.into_iter().map(Seq::new).collect();
    Ok(entry(Body::Erasure(Erasure { entries, tags: Vec::new(), reason: ErasureReason::Request })))
}

fn signal() -> Read {
    Ok(signal_entry())
}

/// An entry about others, recorded `late` milliseconds after the rest.
fn opinion(late: i64) -> Read {
    let signal = "globex/all/7".parse().expect("valid");
    let recorded_at = Timestamp::from_unix_ms(signal_entry().recorded_at.unix_ms() + late);
    Ok(Entry { recorded_at, body: Body::Opinion(Opinion { signal, stance: Stance::None }) })
}

fn garbage() -> Read {
    Err(NotUnderstood::Malformed)
}

/// The signal at `seq` as a store would read it.
fn content_at(feed: &[Read], seq: Seq) -> Option<SignalContent> {
    match &feed.get(usize::try_from(seq.get()).ok()?)?.as_ref().ok()?.body {
        Body::Signal { content, .. } => Some(content.clone()),
        _ => None,
    }
}

/// What the entry at `seq` says, as a store would read it.
fn body_at(feed: &[Read], seq: Seq) -> Option<Body> {
    Some(feed.get(usize::try_from(seq.get()).ok()?)?.as_ref().ok()?.body.clone())
}

/// Pseudonyms for two identifiers under a key of `byte`'s own.
fn sets(byte: u8) -> Vec<PseudonymSet> {
    let pseudonyms = vec![Pseudonym([byte; 32]), Pseudonym([byte.wrapping_add(1); 32])];
    vec![PseudonymSet { key: format!("new-{byte}").parse().expect("valid"), pseudonyms }]
}

fn rekeying(signal: u64, byte: u8) -> Read {
    Ok(entry(Body::Rekeying(Rekeying { signal: Seq::new(signal), tag: None, pseudonyms: sets(byte) })))
}

/// Takes in what `view` does not have yet of `feed`.
fn fold(view: &mut FeedView, feed: &[Read]) -> Vec<Effect> {
    let from = usize::try_from(view.size().get()).expect("small");
    let apply = |(i, read): (usize, &Read)| {
        let seq = Seq::new(i as u64);
        view.apply(seq, read.as_ref(), |seq| Ok::<_, Infallible>(body_at(feed, seq))).expect("in order")
    };
    feed.iter().enumerate().skip(from).map(apply).collect()
}

fn folded(feed: &[Read]) -> (FeedView, Vec<Effect>) {
    let mut view = FeedView::new();
    let effects = fold(&mut view, feed);
    (view, effects)
}

fn withdrawn_alone(signal: u64) -> Effect {
    Effect::Withdrawn { signals: vec![Seq::new(signal)], rekeyed: vec![] }
}

#[test]
fn a_signal_stands_until_it_is_withdrawn() {
    let (view, effects) = folded(&[signal(), signal(), retraction(0)]);
    assert_eq!(effects, [Effect::Added, Effect::Added, withdrawn_alone(0)]);
    assert_eq!((view.size(), view.signals(), view.withdrawn()), (Seq::new(3), 2, 1));
    assert!(view.is_withdrawn(Seq::ZERO) && !view.is_withdrawn(Seq::new(1)));
    assert_eq!(view.retraction_of(Seq::ZERO), Some(Seq::new(2)));
    assert_eq!(view.retraction_of(Seq::new(1)), None);
    let mut expected = ViewDigest::default();
    expected.add(signal_digest(Seq::new(1), &content()));
    assert_eq!(view.digest(), expected);
}

#[test]
fn a_retraction_of_what_is_no_earlier_live_signal_does_nothing() {
    let feed = [signal(), garbage(), retraction(3), retraction(9), retraction(1), retraction(0), retraction(0), retraction(5)];
    let (view, effects) = folded(&feed);
    let nothing = || Effect::Nothing;
    let withdrawn = withdrawn_alone(0);
    assert_eq!(effects, [Effect::Added, nothing(), nothing(), nothing(), nothing(), withdrawn, nothing(), nothing()]);
    assert_eq!((view.signals(), view.withdrawn(), view.not_understood()), (1, 1, 1));
    assert_eq!(view.retraction_of(Seq::ZERO), Some(Seq::new(5)), "the first one counts");
    assert_eq!(view.digest(), ViewDigest::default());
}

#[test]
fn a_retraction_or_an_erasure_of_itself_or_later_is_not_even_looked_up() {
    let mut view = FeedView::new();
    for target in [0, 1] {
        let entry = retraction(target).expect("understood");
        let effect = view.clone().apply(Seq::ZERO, Ok(&entry), |_| Err("read"));
        assert_eq!(effect, Ok(Effect::Nothing));
        let entry = erasure([target]).expect("understood");
        let effect = view.clone().apply(Seq::ZERO, Ok(&entry), |_| Err("read"));
        let since = signal_entry().recorded_at;
        assert_eq!(effect, Ok(Effect::Erased { withdrawn: vec![], gone: vec![], rekeyed: vec![], since }));
    }
    assert_eq!(fold(&mut view, &[retraction(1), signal()]), [Effect::Nothing, Effect::Added]);
    assert_eq!(view.withdrawn(), 0);
}

#[test]
fn what_is_said_of_others_is_noted_and_never_earlier_than_what_came_before() {
    let (view, effects) = folded(&[opinion(9), signal(), opinion(3), opinion(10)]);
    let at = |late| Effect::Noted(Timestamp::from_unix_ms(signal_entry().recorded_at.unix_ms() + late));
    assert_eq!(effects, [at(9), Effect::Added, at(9), at(10)]);
    assert_eq!((view.size(), view.signals(), view.not_understood()), (Seq::new(4), 1, 0));
}

#[test]
fn an_erasure_takes_away_the_signals_that_it_names() {
    let (view, effects) = folded(&[signal(), signal(), retraction(0), signal(), erasure([0, 1, 2, 3, 4])]);
    let since = signal_entry().recorded_at;
    let erased = Effect::Erased { withdrawn: vec![Seq::new(1), Seq::new(3)], gone: vec![Seq::ZERO], rekeyed: vec![], since };
    assert_eq!(effects[4], erased);
    assert_eq!((view.withdrawn(), view.digest()), (3, ViewDigest::default()));
    let by = [0, 1, 2, 3].map(|seq| view.retraction_of(Seq::new(seq)).map(Seq::get));
    assert_eq!(by, [Some(4), Some(4), None, Some(4)], "also what was retracted before");
}

#[test]
fn content_that_came_without_an_erasure_is_missing_until_one_comes() {
    let mut feed = vec![signal(), Err(NotUnderstood::Erased), Err(NotUnderstood::Erased)];
    let (view, effects) = folded(&feed);
    assert_eq!(effects[1..], [Effect::Missing, Effect::Missing]);
    assert_eq!((view.missing(), view.signals(), view.not_understood()), (2, 1, 0));
    let first = |count| view.first_missing(count).collect::<Vec<_>>();
    assert_eq!((first(1), first(3)), (vec![Seq::new(1)], vec![Seq::new(1), Seq::new(2)]));
    feed.push(erasure([1]));
    let (view, _) = folded(&feed);
    assert_eq!((view.missing(), view.is_missing(Seq::new(2)), view.retraction_of(Seq::new(1))), (1, true, Some(Seq::new(3))));
}

#[test]
fn who_saw_the_content_and_who_did_not_see_the_same_signals() {
    let erasure = || erasure([0, 1]);
    let (saw, _) = folded(&[signal(), signal(), signal(), retraction(1), erasure()]);
    let gone = || Err(NotUnderstood::Erased);
    let (late, _) = folded(&[gone(), gone(), signal(), retraction(1), erasure()]);
    let view = |view: &FeedView| {
        let by = [0, 1, 2].map(|seq| view.retraction_of(Seq::new(seq)));
        (view.digest(), view.signals() - view.withdrawn(), view.missing(), by)
    };
    assert_eq!(view(&saw), view(&late));
}

#[test]
fn a_rekeying_counts_for_an_earlier_live_signal_that_it_fits() {
    let seq = Seq::new;
    let mut misfit = rekeying(0, 3);
    if let Ok(Entry { body: Body::Rekeying(rekeying), .. }) = &mut misfit {
        rekeying.pseudonyms[0].pseudonyms.pop();
    }
    let mut stated_under = rekeying(0, 5);
    if let Ok(Entry { body: Body::Rekeying(rekeying), .. }) = &mut stated_under {
        rekeying.pseudonyms[0].key = content().pseudonyms[1].key.clone();
    }
    let head = [signal(), signal(), retraction(1), rekeying(0, 7), rekeying(1, 7), rekeying(2, 7), rekeying(6, 7)];
    let feed: Vec<Read> = head.into_iter().chain([misfit, stated_under, garbage()]).collect();
    let (view, effects) = folded(&feed);
    let others = content().pseudonyms;
    let keying = Keying::Counts;
    let counts = Rekeyed { signal: seq(0), rekeying: seq(3), keying, conclusive: true, sets: sets(7), others };
    assert_eq!(effects[3], Effect::Rekeyed(vec![counts]));
    assert_eq!(
        effects[4..],
        vec![Effect::Nothing; 6],
        "of what is withdrawn, of no signal, of itself, of another length, of a key that it has"
    );
    assert!(view.counting_rekeyings(seq(0)).eq([seq(3)]) && view.rekeyings_of(seq(1)).next().is_none());
    assert_eq!((view.signals(), view.withdrawn(), view.not_understood()), (2, 1, 1));
    assert_eq!(
        rekeyed::rekeying_digest(seq(0), seq(3), &sets(7)).to_string(),
        "fb17669a89476a8eef0f711fbc05502bc2759a25b410092815f898a0b9d7fa04"
    );
    let (withdrawn, effects) = folded(&[signal(), rekeying(0, 7), retraction(0)]);
    let Effect::Withdrawn { signals, rekeyed } = &effects[2] else { panic!("{effects:?}") };
    assert_eq!((signals.len(), rekeyed.len(), rekeyed[0].keying, &rekeyed[0].sets), (1, 1, Keying::Spent, &sets(7)));
    assert_eq!((withdrawn.digest(), withdrawn.counting_rekeyings(seq(0)).count()), (ViewDigest::default(), 0));
    assert_eq!(withdrawn.rekeyings_of(seq(0)).count(), 1, "to be erased with it");
    assert!(withdrawn.newest_rekeyings(seq(0)).eq([seq(1)]), "as they were while it stood");
}

#[test]
fn a_rekeying_is_of_a_conclusive_signal_only_where_it_rests_on_such_evidence() {
    let weak = SignalContent { statement: crate::feed::fixtures::bare_statement(), ..content() };
    let weak = Ok(entry(Body::Signal { tag: SubmissionTag([0; 16]), content: weak }));
    let (_, effects) = folded(&[weak, rekeying(0, 7), amendment(0), rekeying(0, 9)]);
    let conclusive = |effect: &Effect| match effect {
        Effect::Rekeyed(rekeyed) => rekeyed.iter().map(|rekeyed| rekeyed.conclusive).collect(),
        _ => Vec::new(),
    };
    assert_eq!((conclusive(&effects[1]), conclusive(&effects[3])), (vec![false], vec![true]));
}

#[test]
fn of_many_rekeyings_the_newest_count_and_an_erased_one_makes_room() {
    let seq = Seq::new;
    let mut feed = vec![signal()];
    feed.extend((1..=9).map(|byte| rekeying(0, byte)));
    let (view, effects) = folded(&feed);
    assert!(view.counting_rekeyings(seq(0)).eq((2..=9).rev().map(seq)));
    assert!(view.newest_rekeyings(seq(0)).eq(view.counting_rekeyings(seq(0))));
    let Effect::Rekeyed(last) = &effects[9] else { panic!("{effects:?}") };
    assert_eq!(
        last.iter().map(|r| (r.rekeying.get(), r.keying)).collect::<Vec<_>>(),
        [(9, Keying::Counts), (1, Keying::Spent)]
    );
    assert!(last[1].others.contains(&sets(9)[0]), "what took its place is among what is left");
    feed.push(erasure([5]));
    let (view, effects) = folded(&feed);
    let Effect::Erased { rekeyed, gone, .. } = &effects[10] else { panic!("{effects:?}") };
    let became: Vec<_> = rekeyed.iter().map(|r| (r.rekeying.get(), r.keying)).collect();
    assert_eq!((became, gone), (vec![(5, Keying::Spent), (1, Keying::Counts), (5, Keying::Gone)], &vec![seq(5)]));
    assert!(view.counting_rekeyings(seq(0)).eq([9, 8, 7, 6, 4, 3, 2, 1].map(seq)));
    // Who never saw it counts the same.
    feed[5] = Err(NotUnderstood::Erased);
    let (late, _) = folded(&feed);
    assert_eq!((late.digest(), late.retraction_of(seq(5))), (view.digest(), view.retraction_of(seq(5))));
    // With the signal all of them go.
    feed.push(erasure([0]));
    let (view, _) = folded(&feed);
    assert_eq!((view.digest(), view.rekeyings_of(seq(0)).count()), (ViewDigest::default(), 0));
}

#[test]
fn entries_come_in_order() {
    let (mut view, _) = folded(&[signal()]);
    let before = view.clone();
    let entry = signal_entry();
    for seq in [0, 2] {
        let error = view.apply(Seq::new(seq), Ok(&entry), |_| Ok::<_, Infallible>(None)).expect_err("refused");
        assert_eq!(error, FoldError::OutOfOrder { expected: Seq::new(1), found: Seq::new(seq) });
    }
    assert_eq!(view, before);
}

#[test]
fn a_failed_read_is_not_a_retraction_without_effect() {
    let (mut view, _) = folded(&[signal()]);
    let before = view.clone();
    let entry = retraction(0).expect("understood");
    assert_eq!(view.apply(Seq::new(1), Ok(&entry), |_| Err("disk")), Err(FoldError::Read("disk")));
    assert_eq!(view, before, "so that it can be tried again");
    assert_eq!(FoldError::Read("disk").code(), "VIEW_READ_FAILED");
    assert_eq!(FoldError::<&str>::OutOfOrder { expected: Seq::ZERO, found: Seq::ZERO }.code(), "VIEW_OUT_OF_ORDER");
}

#[test]
fn what_ends_its_time_counts_no_more() {
    let seq = Seq::new;
    let feed = [signal(), signal(), rekeying(0, 7), rekeying(1, 9), retraction(1)];
    let (mut view, _) = folded(&feed);
    let Ok(Entry { body: Body::Rekeying(of_withdrawn), .. }) = rekeying(1, 9) else { panic!("a rekeying") };
    let before = view.digest();
    assert!(!view.expire_rekeying(seq(3), &of_withdrawn), "its signal went before");
    assert_eq!((view.digest(), view.rekeyings_of(seq(1)).count()), (before, 0));
    let Ok(Entry { body: Body::Rekeying(counts), .. }) = rekeying(0, 7) else { panic!("a rekeying") };
    let (mut alone, _) = folded(&feed);
    assert!(alone.expire_rekeying(seq(2), &counts));
    let mut expected = ViewDigest::default();
    expected.add(signal_digest(seq(0), &content()));
    assert_eq!((alone.digest(), alone.rekeyings_of(seq(0)).count()), (expected, 0));
    let known =
        |view: &FeedView| view.keyed(seq(0), |at| Ok::<_, Infallible>(body_at(&feed, at))).expect("read").expect("stands");
    let with_rekeying = known(&view);
    view.strengthened.insert(0);
    view.expire(with_rekeying.clone());
    assert_eq!((view.digest(), view.withdrawn(), view.strengthened.len()), (ViewDigest::default(), 2, 0));
    assert_eq!((view.retraction_of(seq(0)), view.rekeyings_of(seq(0)).count()), (None, 0));
    view.expire(with_rekeying);
    assert_eq!((view.digest(), view.withdrawn()), (ViewDigest::default(), 2), "once");
}

#[test]
fn the_digest_never_changes() {
    assert_eq!(
        signal_digest(Seq::new(7), &content()).to_string(),
        "449b8a6fcae950f4d4082e196f0da7cd015b578fce687f6e2eed0d26bd5923ec"
    );
    let (view, _) = folded(&[signal(), signal(), retraction(0)]);
    assert_eq!(view.digest().to_string(), "79fe47ef0744026228af831bc2fbe46ae7a01bf7517117c54ed920d4d3dfa438");
}

#[test]
fn what_a_check_draws_from_a_signal_is_in_the_digest() {
    let original = signal_digest(Seq::ZERO, &content());
    let differs = |change: &dyn Fn(&mut SignalContent)| {
        let mut other = content();
        change(&mut other);
        signal_digest(Seq::ZERO, &other) != original
    };
    assert_ne!(signal_digest(Seq::new(1), &content()), original);
    assert!(differs(&|c| c.kinds.swap(0, 1)));
    assert!(differs(&|c| c.pseudonyms[0].key = "k9".parse().expect("valid")));
    assert!(differs(&|c| c.pseudonyms[0].pseudonyms.swap(0, 1)));
    assert!(differs(&|c| c.statement.evidence.truncate(1)), "no longer confirmed");
    let digest = folded(&[signal()]).0.digest();
    assert_eq!(ViewDigest::from_bytes(digest.to_bytes()), digest);
}

#[test]
fn a_view_goes_on_to_no_earlier_and_no_impossible_one() {
    let (mut view, _) = folded(&[signal(), signal(), retraction(0)]);
    let before = view.clone();
    let later = ViewTotals { size: Seq::new(5), ..view.totals() };
    let seq = Seq::new;
    let impossible = [(seq(0), seq(3)), (seq(1), seq(2)), (seq(1), seq(5)), (seq(4), seq(3)), (seq(3), seq(3))];
    for withdrawn in impossible {
        let since = Since { withdrawn: vec![withdrawn], ..Since::default() };
        assert_eq!(view.resume(later, since), Err(ResumeError), "{withdrawn:?}");
    }
    for (signal, rekeying) in [(seq(3), seq(3)), (seq(0), seq(5))] {
        let since = Since { rekeyed: vec![(signal, rekeying, Keying::Counts)], ..Since::default() };
        assert_eq!(view.resume(later, since), Err(ResumeError), "{rekeying}");
    }
    let strengthened = Since { strengthened: vec![seq(5)], ..Since::default() };
    assert_eq!(view.resume(later, strengthened), Err(ResumeError), "of a signal that is not there");
    for gone in [(seq(1), seq(5)), (seq(4), seq(4))] {
        assert_eq!(view.resume(later, Since { gone: vec![gone], ..Since::default() }), Err(ResumeError), "{gone:?}");
    }
    for earlier in [ViewTotals { size: seq(2), ..later }, ViewTotals { signals: 1, ..later }] {
        assert_eq!(view.resume(earlier, Since::default()), Err(ResumeError), "{earlier:?}");
    }
    assert_eq!(view, before);
    assert_eq!(view.resume(later, Since { withdrawn: vec![(seq(1), seq(4))], ..Since::default() }), Ok(()));
    assert_eq!((view.retraction_of(seq(1)), view.size()), (Some(seq(4)), seq(5)));
}

fn any_feed() -> impl Strategy<Value = Vec<Read>> {
    let tag = SubmissionTag([0; 16]);
    let signal = any::content().prop_map(move |content| Ok(entry(Body::Signal { tag, content })));
    let read = prop_oneof![
        4 => signal,
        3 => (0_u64..40).prop_map(retraction),
        1 => (-9_i64..9).prop_map(opinion),
        1 => Just(garbage()),
        1 => Just(Err(NotUnderstood::Erased)),
        1 => prop::collection::btree_set(0_u64..40, 1..4).prop_map(erasure),
        1 => (0_u64..20).prop_map(amendment),
        6 => (0_u64..8, any::<u8>()).prop_map(|(signal, byte)| rekeying(signal, byte)),
    ];
    // One in five rekeyings fits by chance alone; the others are made to.
    prop::collection::vec((read, 0..5_u8), 0..40).prop_map(|feed| {
        let kinds: Vec<usize> = feed
            .iter()
            .map(|(read, _)| match read.as_ref().map(|entry| &entry.body) {
                Ok(Body::Signal { content, .. }) => content.kinds.len(),
                _ => 1,
            })
            .collect();
        let fitted = |(mut read, luck): (Read, u8)| {
            if let Ok(Entry { body: Body::Rekeying(rekeying), .. }) = &mut read
                && luck > 0
            {
                let named = usize::try_from(rekeying.signal.get()).ok().and_then(|at| kinds.get(at)).copied().unwrap_or(1);
                rekeying.pseudonyms.iter_mut().for_each(|set| set.pseudonyms.resize(named, Pseudonym([luck; 32])));
            }
            read
        };
        feed.into_iter().map(fitted).collect()
    })
}

fn amendment(signal: u64) -> Read {
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    Ok(entry(Body::Amendment(Amendment { signal: Seq::new(signal), change })))
}

/// The rekeyings of a signal that count, without any order of events: those behind it that fit and that no erasure behind them names,
/// the newest eight.
fn counting(feed: &[Read], signal: Seq, content: &SignalContent) -> Vec<(Seq, Vec<PseudonymSet>)> {
    let is_erased = |at: usize| {
        let names = |read: &Read| matches!(read, Ok(Entry { body: Body::Erasure(erasure), .. }) if erasure.entries.contains(&Seq::new(at as u64)));
        feed[at..].iter().any(names)
    };
    let of_signal = |(at, read): (usize, &Read)| match read.as_ref().map(|entry| &entry.body) {
        Ok(Body::Rekeying(rekeying)) if rekeying.signal == signal && rekeying.fits(content) && !is_erased(at) => {
            Some((Seq::new(at as u64), rekeying.pseudonyms.clone()))
        }
        _ => None,
    };
    let behind = usize::try_from(signal.get()).expect("small") + 1;
    feed.iter().enumerate().skip(behind).rev().filter_map(of_signal).take(8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_view_does_not_depend_on_how_it_was_folded(feed in any_feed(), cuts in prop::collection::vec(0_usize..40, 0..6)) {
        let (whole, effects) = folded(&feed);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(feed.len())).chain([feed.len()]).collect();
        cuts.sort_unstable();
        let mut in_batches = FeedView::new();
        let batch_effects: Vec<Effect> = cuts.iter().flat_map(|cut| fold(&mut in_batches, &feed[..*cut])).collect();
        prop_assert_eq!(&in_batches, &whole);
        prop_assert_eq!(batch_effects, effects);
        prop_assert_eq!(folded(&feed).0, whole);
    }

    #[test]
    fn a_view_goes_on_from_what_was_noted_of_an_equal_one(feed in any_feed(), cuts in prop::collection::vec(0_usize..40, 0..6)) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(feed.len())).chain([feed.len()]).collect();
        cuts.sort_unstable();
        let (mut folded, mut resumed) = (FeedView::new(), FeedView::new());
        let mut strengthened: Vec<Seq> = Vec::new();
        let rekeyed = |changed: &Rekeyed| (changed.signal, changed.rekeying, changed.keying);
        let amended = |at| match body_at(&feed, at) {
            Some(Body::Amendment(amendment)) if amendment.signal < at => Some(amendment.signal),
            _ => None,
        };
        for cut in cuts {
            let before = folded.size();
            let mut since = Since::default();
            for (i, effect) in fold(&mut folded, &feed[..cut]).into_iter().enumerate() {
                let at = before.plus(i);
                let by = |seqs: Vec<Seq>| seqs.into_iter().map(move |seq| (seq, at));
                match effect {
                    Effect::Withdrawn { signals, rekeyed: changed } => {
                        since.withdrawn.extend(by(signals));
                        since.rekeyed.extend(changed.iter().map(rekeyed));
                    }
                    Effect::Erased { withdrawn: signals, gone: others, rekeyed: changed, .. } => {
                        since.withdrawn.extend(by(signals));
                        since.gone.extend(by(others));
                        since.rekeyed.extend(changed.iter().map(rekeyed));
                    }
                    Effect::Rekeyed(changed) => since.rekeyed.extend(changed.iter().map(rekeyed)),
                    Effect::Missing => since.missing.push(at),
                    Effect::Noted(_) => strengthened.extend(amended(at)),
                    Effect::Added | Effect::Nothing => {}
                }
            }
            strengthened.retain(|signal| !folded.is_withdrawn(*signal));
            since.strengthened.clone_from(&strengthened);
            prop_assert_eq!(resumed.resume(folded.totals(), since), Ok(()));
            prop_assert_eq!(&resumed, &folded);
        }
    }

    #[test]
    fn the_digest_is_that_of_the_live_signals(feed in any_feed()) {
        let (view, effects) = folded(&feed);
        let mut live: Vec<Seq> = (0..feed.len() as u64).map(Seq::new).filter(|s| content_at(&feed, *s).is_some()).collect();
        prop_assert_eq!(live.len() as u64, view.signals());
        live.retain(|seq| !view.is_withdrawn(*seq));
        let mut digest = ViewDigest::default();
        for seq in live.iter().rev() {
            let content = content_at(&feed, *seq).expect("a signal");
            digest.add(signal_digest(*seq, &content));
            let counting = counting(&feed, *seq, &content);
            counting.iter().for_each(|(at, sets)| digest.add(rekeyed::rekeying_digest(*seq, *at, sets)));
            prop_assert!(view.counting_rekeyings(*seq).eq(counting.iter().map(|(at, _)| *at)));
        }
        prop_assert_eq!(view.digest(), digest);
        let withdrawn = effects.iter().map(|effect| match effect {
            Effect::Withdrawn { signals, .. } | Effect::Erased { withdrawn: signals, .. } => signals.len() as u64,
            Effect::Added | Effect::Rekeyed(_) | Effect::Noted(_) | Effect::Missing | Effect::Nothing => 0,
        });
        prop_assert_eq!(withdrawn.sum::<u64>(), view.withdrawn());
    }
}
