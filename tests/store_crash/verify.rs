//! Opens a store after a crash, and holds it against what was acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use countermark::domain::{FeedId, Seq, SignalRef, SubmissionTag};
use countermark::feed::{Body, Frontier, Leaf, SignedCheckpoint, verify_batch};
use countermark::store::{Append, Appended, FeedState, FeedSummary, Store};

use crate::acks::{self, Acks, Line};
use crate::fixture;

/// Numbers that no load uses.
const AFTERWARDS: u64 = 1 << 61;

/// Everything that must hold of the store in `folder`, and that it goes on. What is written here is acknowledged too.
pub fn verify(folder: &Path, acknowledged: &Path) {
    let lines = acks::read(acknowledged);
    let store = open(folder);
    let feeds = whole_feeds(&store);
    nothing_is_lost(&store, &feeds, &lines);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let before = store.feeds();
        store.rebuild().await.expect("rebuilt");
        same(&before, &store.feeds());
        goes_on(&store, &Acks::open(acknowledged), &lines).await;
    });
    assert_eq!(store.health().problem, None);
}

fn open(folder: &Path) -> Store {
    Store::open(fixture::options(folder)).unwrap_or_else(|e| panic!("{} {e} {e:?}", e.code()))
}

fn same(before: &[FeedSummary], after: &[FeedSummary]) {
    let all = |feeds: &[FeedSummary]| -> Vec<_> {
        feeds.iter().map(|f| (f.feed.clone(), f.size, f.root, f.view_digest, f.live_signals, f.checkpoint.clone())).collect()
    };
    assert_eq!(all(before), all(after));
}

/// Reads each feed as a follower would, every kept checkpoint and the newest verified over all entries before it.
fn whole_feeds(store: &Store) -> HashMap<FeedId, Vec<Leaf>> {
    let mut feeds = HashMap::new();
    for summary in store.feeds() {
        let mut entries = Vec::new();
        let mut frontier = Frontier::empty();
        while let Some(batch) = store.batch_after(&summary.feed, frontier.size()).expect("readable") {
            let key = fixture::key(summary.feed.member.as_str());
            let signed = SignedCheckpoint::open(batch.checkpoint, &fixture::alliance(), |_| Some(key.public()));
            let signed = signed.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(signed.checkpoint().feed, summary.feed);
            frontier = verify_batch(&frontier, &batch.leaves, &signed).unwrap_or_else(|e| panic!("{e}"));
            entries.extend(batch.leaves);
        }
        assert_eq!((frontier.size(), frontier.root()), (summary.size, summary.root), "{}", summary.feed);
        assert_eq!(summary.not_understood, 0);
        feeds.insert(summary.feed, entries);
    }
    feeds
}

fn nothing_is_lost(store: &Store, feeds: &HashMap<FeedId, Vec<Leaf>>, lines: &[Line]) {
    let entry = |feed: &FeedId, seq: Seq| feeds.get(feed).and_then(|entries| entries.get(usize::try_from(seq.get()).ok()?));
    let mut roster = None;
    let expired = lines.iter().rposition(|line| *line == Line::Expire).unwrap_or(0);
    for (i, line) in lines.iter().enumerate() {
        match line {
            Line::Try { .. } | Line::At(_) | Line::Expire => {}
            Line::Forked => assert_eq!(store.feed_state(&fixture::forked_feed()), FeedState::Quarantined),
            Line::Behind => assert_eq!(store.feed_state(&fixture::behind_feed()), FeedState::Behind),
            Line::Signal { audience, n, seq } => {
                let feed = fixture::own_feed(audience);
                let was = Leaf::from(fixture::signal_entry(*n).1);
                let erased = store.is_erased(&SignalRef { feed: feed.clone(), seq: *seq }).then(|| Leaf::Erased(was.hash()));
                let held = entry(&feed, *seq);
                assert!(held == Some(&was) || held.is_some() && held == erased.as_ref(), "{line} is not there");
            }
            Line::Retracted { audience, signal } => {
                let feed = fixture::own_feed(audience);
                let by = store.retraction_of(&feed, *signal).unwrap_or_else(|| panic!("{line} is not there"));
                let body = entry(&feed, by).map(|leaf| leaf.read().expect("understood").body);
                assert!(matches!(body, Some(Body::Retraction(r)) if r.signal == *signal), "{line}");
            }
            Line::Erased { audience, signal } => {
                let feed = fixture::own_feed(audience);
                assert!(store.retraction_of(&feed, *signal).is_some(), "{line} is not there");
                assert!(store.is_erased(&SignalRef { feed, seq: *signal }), "{line} is not there");
            }
            Line::Check { n, reference } => {
                let held = store.check(reference).expect("readable");
                let gone = held.is_none() && i < expired;
                assert!(gone || held == Some(fixture::check_record(*n)), "{line}: {held:?}");
            }
            Line::Imported { size } => assert!(store.size(&fixture::imported_feed()) >= *size, "{line}"),
            Line::Roster { n } => roster = roster.max(Some(*n)),
        }
    }
    let held = store.roster();
    assert!(held.as_ref().map(|note| fixture::roster_number(note)) >= roster, "the roster {roster:?} is not there");
    assert!(held.is_none_or(|note| note == fixture::roster(fixture::roster_number(&note))), "half a roster");
    for (i, leaf) in feeds.get(&fixture::imported_feed()).into_iter().flatten().enumerate() {
        assert!(*leaf == fixture::signal_entry(fixture::imported(i as u64)).1.into(), "imported entry {i}");
    }
    for (feed, entries) in feeds {
        found_once(store, feed, entries);
    }
}

/// Each tag stands once, and each live signal is found by its pseudonym, a withdrawn one is not.
fn found_once(store: &Store, feed: &FeedId, entries: &[Leaf]) {
    let mut tags: BTreeMap<SubmissionTag, Seq> = BTreeMap::new();
    for (i, leaf) in entries.iter().enumerate() {
        let seq = Seq::ZERO.plus(i);
        if *leaf == Leaf::Erased(leaf.hash()) {
            continue;
        }
        let Body::Signal { tag, content } = leaf.read().expect("understood").body else { continue };
        let twice = tags.insert(tag, seq);
        assert_eq!(twice, None, "{feed} has one submission at {twice:?} and {seq}");
        let positions = store.positions(&content.pseudonyms[0].pseudonyms[0]);
        let found = positions.iter().filter(|p| p.seq() == seq && store.feed_of(**p).as_ref() == Some(feed)).count();
        let live = store.retraction_of(feed, seq).is_none();
        assert_eq!(found, usize::from(live), "{feed}/{seq}");
    }
}

/// What was handed in and not acknowledged is handed in again, and new things beside it.
async fn goes_on(store: &Store, acks: &Acks, lines: &[Line]) {
    let mut open: BTreeMap<(&str, u64), ()> = BTreeMap::new();
    for line in lines {
        match line {
            Line::Try { audience, n } => drop(open.insert((audience, *n), ())),
            Line::Signal { audience, n, .. } => drop(open.remove(&(audience.as_str(), *n))),
            _ => {}
        }
    }
    let used = lines.iter().filter(|l| matches!(l, Line::Signal { n, .. } if *n >= AFTERWARDS && *n < 1 << 62)).count();
    let new = AFTERWARDS + used as u64;
    let again: Vec<_> = open.into_keys().chain([("all", new), ("north", new)]).collect();
    let items: Vec<Append> = again.iter().map(|(audience, n)| fixture::signal(audience, *n)).collect();
    let (all, north) = (fixture::own_feed("all"), fixture::own_feed("north"));
    let size = |store: &Store| store.size(&all).get() + store.size(&north).get();
    let before = size(store);
    let outcomes = store.append(items).await.unwrap_or_else(|e| panic!("{e}"));
    let mut created = 0;
    let mut answered = Vec::new();
    for ((audience, n), outcome) in again.iter().zip(outcomes) {
        let outcome = outcome.unwrap_or_else(|e| panic!("{e}"));
        created += u64::from(matches!(outcome, Appended::Created(_)));
        let (Appended::Created(seq) | Appended::Known(seq, _)) = outcome else { panic!("no retraction was handed in") };
        let held = store.read(&fixture::own_feed(audience), seq).expect("readable");
        assert!(held == Some(fixture::signal_entry(*n).1.into()), "{audience} {n} at {seq}");
        answered.push(Line::Signal { audience: (*audience).to_owned(), n: *n, seq });
    }
    assert!(created >= 2, "the new ones");
    assert_eq!(size(store), before + created);
    acks.write(&answered);
}
