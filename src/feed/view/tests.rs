use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::domain::{Erasure, ErasureReason, Opinion, Retraction, RetractionReason, Stance, SubmissionTag};
use crate::feed::fixtures::{any, content, entry, signal_entry};

/// An entry as a node reads it.
type Read = Result<Entry, NotUnderstood>;

fn retraction(signal: u64) -> Read {
    Ok(entry(Body::Retraction(Retraction { signal: Seq::new(signal), reason: RetractionReason::Settled })))
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

/// Takes in what `view` does not have yet of `feed`.
fn fold(view: &mut FeedView, feed: &[Read]) -> Vec<Effect> {
    let from = usize::try_from(view.size().get()).expect("small");
    let apply = |(i, read): (usize, &Read)| {
        let seq = Seq::new(i as u64);
        view.apply(seq, read.as_ref(), |signal| Ok::<_, Infallible>(content_at(feed, signal))).expect("in order")
    };
    feed.iter().enumerate().skip(from).map(apply).collect()
}

fn folded(feed: &[Read]) -> (FeedView, Vec<Effect>) {
    let mut view = FeedView::new();
    let effects = fold(&mut view, feed);
    (view, effects)
}

#[test]
fn a_signal_stands_until_it_is_withdrawn() {
    let (view, effects) = folded(&[signal(), signal(), retraction(0)]);
    assert_eq!(effects, [Effect::Added, Effect::Added, Effect::Withdrawn(vec![Seq::ZERO])]);
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
    let withdrawn = Effect::Withdrawn(vec![Seq::ZERO]);
    assert_eq!(effects, [Effect::Added, nothing(), nothing(), nothing(), nothing(), withdrawn, nothing(), nothing()]);
    assert_eq!((view.signals(), view.withdrawn(), view.not_understood()), (1, 1, 1));
    assert_eq!(view.retraction_of(Seq::ZERO), Some(Seq::new(5)), "the first one counts");
    assert_eq!(view.digest(), ViewDigest::default());
}

#[test]
fn a_retraction_of_itself_or_later_is_not_even_looked_up() {
    let mut view = FeedView::new();
    for target in [0, 1] {
        let entry = retraction(target).expect("understood");
        let effect = view.clone().apply(Seq::ZERO, Ok(&entry), |_| Err("read"));
        assert_eq!(effect, Ok(Effect::Nothing));
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
    let erasure = |entries: &[u64]| {
        let entries = entries.iter().copied().map(Seq::new).collect();
        Ok(entry(Body::Erasure(Erasure { entries, tags: Vec::new(), reason: ErasureReason::Request })))
    };
    let (view, effects) = folded(&[signal(), signal(), retraction(0), signal(), erasure(&[0, 1, 2, 3, 4])]);
    let since = signal_entry().recorded_at;
    let erased = Effect::Erased { withdrawn: vec![Seq::new(1), Seq::new(3)], gone: vec![Seq::ZERO], since };
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
    feed.push(Ok(entry(Body::Erasure(Erasure {
        entries: vec![Seq::new(1)],
        tags: Vec::new(),
        reason: ErasureReason::Request,
    }))));
    let (view, _) = folded(&feed);
    assert_eq!((view.missing(), view.is_missing(Seq::new(2)), view.retraction_of(Seq::new(1))), (1, true, Some(Seq::new(3))));
}

#[test]
fn who_saw_the_content_and_who_did_not_see_the_same_signals() {
    let erasure = Erasure { entries: vec![Seq::ZERO, Seq::new(1)], tags: Vec::new(), reason: ErasureReason::Request };
    let erasure = || Ok(entry(Body::Erasure(erasure.clone())));
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
        assert_eq!(view.resume(later, [withdrawn], [], []), Err(ResumeError), "{withdrawn:?}");
    }
    for earlier in [ViewTotals { size: seq(2), ..later }, ViewTotals { signals: 1, ..later }] {
        assert_eq!(view.resume(earlier, [], [], []), Err(ResumeError), "{earlier:?}");
    }
    assert_eq!(view, before);
    assert_eq!(view.resume(later, [(seq(1), seq(4))], [], []), Ok(()));
    assert_eq!((view.retraction_of(seq(1)), view.size()), (Some(seq(4)), seq(5)));
}

fn erasure(entries: impl IntoIterator<Item = u64>) -> Read {
    let entries = entries.into_iter().map(Seq::new).collect();
    Ok(entry(Body::Erasure(Erasure { entries, tags: Vec::new(), reason: ErasureReason::Request })))
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
        1 => prop::collection::btree_set(0_u64..40, 1..4).prop_map(erasure)
    ];
    prop::collection::vec(read, 0..40)
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
        for cut in cuts {
            let before = folded.size();
            let (mut withdrawn, mut missing, mut gone) = (Vec::new(), Vec::new(), Vec::new());
            for (i, effect) in fold(&mut folded, &feed[..cut]).into_iter().enumerate() {
                let at = before.plus(i);
                let by = |seqs: Vec<Seq>| seqs.into_iter().map(move |seq| (seq, at));
                match effect {
                    Effect::Withdrawn(signals) => withdrawn.extend(by(signals)),
                    Effect::Erased { withdrawn: signals, gone: others, .. } => {
                        withdrawn.extend(by(signals));
                        gone.extend(by(others));
                    }
                    Effect::Missing => missing.push(at),
                    Effect::Added | Effect::Noted(_) | Effect::Nothing => {}
                }
            }
            prop_assert_eq!(resumed.resume(folded.totals(), withdrawn, missing, gone), Ok(()));
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
        live.iter().rev().for_each(|seq| digest.add(signal_digest(*seq, &content_at(&feed, *seq).expect("a signal"))));
        prop_assert_eq!(view.digest(), digest);
        let withdrawn = effects.iter().map(|effect| match effect {
            Effect::Withdrawn(signals) | Effect::Erased { withdrawn: signals, .. } => signals.len() as u64,
            Effect::Added | Effect::Noted(_) | Effect::Missing | Effect::Nothing => 0,
        });
        prop_assert_eq!(withdrawn.sum::<u64>(), view.withdrawn());
    }
}
