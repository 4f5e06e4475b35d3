//! A store that takes up hints is the one that reads its whole log, whatever became of the hints meanwhile.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    Amendment, CaseTag, Change, Dispute, DisputeGround, Erasure, ErasureReason, Marker, MarkerKind, MarkerReason, Opinion,
    SignalRef, Stance,
};
use crate::feed::Note;

const OWN: &str = "acme/all";
const OTHER: &str = "bolt/all";
/// Signals of the own feed, and of the other one.
const SIGNALS: (u64, u64) = (900, 700);
/// Those that are retracted or erased.
const GONE: u64 = 25;

fn hints_of(folder: &Path) -> std::path::PathBuf {
    folder.join("hints")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn open(folder: &Path) -> Store {
    Store::open(options(folder, "acme")).unwrap_or_else(|error| panic!("{error} {error:?}"))
}

/// Puts signals into both feeds of the store in `folder`, and withdraws some; with pauses in which hints are written.
async fn live(folder: &Path) {
    let (store, source) = (open(folder), tempfile::tempdir().expect("a folder"));
    let bolt = Store::open(options(source.path(), "bolt")).expect("opens");
    for part in 0..5 {
        let [own, other] = [SIGNALS.0 / 5, SIGNALS.1 / 5].map(|n| part * n..(part + 1) * n);
        fill(&store, own).await;
        fill(&bolt, other).await;
        let withdrawn = [part * 7, 3 + part * 20].map(|seq| retraction(Seq::new(seq)));
        assert!(bolt.append(withdrawn.into()).await.expect("durable").iter().all(Result::is_ok));
        assert!(store.append(vec![retraction(Seq::new(2 + part * 50))]).await.expect("durable")[0].is_ok());
        for of in [&store, &bolt] {
            assert!(of.append(notes(part)).await.expect("durable").iter().all(Result::is_ok));
        }
        follow(&bolt, &store, &feed(OTHER), &key("bolt")).await;
    }
}

/// One entry of each kind about others, told apart by `part`.
fn notes(part: u64) -> Vec<Append> {
    let named = |of: &str, seq: u64| SignalRef { feed: feed(of), seq: Seq::new(seq) };
    let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let reference = CaseTag([u8::try_from(part).expect("small"); 16]);
    let signals = vec![named(OWN, part * 30 + 4), named(OTHER, part * 30 + 5)];
    let ground = DisputeGround::Licensed;
    let bodies = [
        Body::Amendment(Amendment { signal: Seq::new(part * 30 + 1), change: Change { evidence, ..Change::default() } }),
        Body::Dispute(Dispute { signals, ground, digests: vec![], reference }),
        Body::Opinion(Opinion { signal: named(OTHER, part * 30 + 6), stance: Stance::Disagree(ground) }),
        Body::Marker(Marker {
            kind: MarkerKind::Victim,
            kinds: vec![IdentifierKind::Phone],
            pseudonyms: content(part * 30 + 7, "").pseudonyms,
            reason: MarkerReason::StolenAccount,
            digests: vec![],
            valid_days: None,
        }),
        Body::Erasure(Erasure { entries: vec![Seq::new(part * 30 + 8)], tags: vec![], reason: ErasureReason::Request }),
    ];
    let note = |body| {
        let entry = Entry { recorded_at: Timestamp::from_unix_ms(3), body };
        let bytes = encode(&entry, [5; limits::SALT_BYTES]).expect("fits");
        Append::Note { audience: Audience::Alliance, entry: entry.into(), bytes }
    };
    bodies.map(note).into()
}

/// All that is derived.
#[derive(Debug, PartialEq)]
struct Derived {
    notes: Vec<Vec<Note>>,
    markers: Vec<Vec<StandingMarker>>,
    marked: Vec<bool>,
    feeds: Vec<(FeedId, Seq, Hash, ViewDigest, u64, u64)>,
    rows: u64,
    positions: Vec<Vec<Position>>,
    retractions: Vec<Option<Seq>>,
    submissions: Vec<Option<Seq>>,
}

fn derived(store: &Store) -> Derived {
    let of_feed = |f: FeedSummary| (f.feed, f.size, f.root, f.view_digest, f.live_signals, f.not_understood);
    let seqs = || (0..1_000).map(Seq::new);
    let named = |of: &str| seqs().map(|seq| SignalRef { feed: feed(of), seq }).collect::<Vec<_>>();
    let notes = [OWN, OTHER].iter().flat_map(|of| named(of)).map(|signal| store.notes_about(&signal).expect("readable"));
    let marked = (0..1_000).flat_map(|n| store.positions(&pseudonym(n))).map(Position::is_conclusive).collect::<Vec<_>>();
    assert!(marked.contains(&true) && notes.clone().any(|notes| notes.len() > 1), "there is something to compare");
    Derived {
        notes: notes.collect(),
        markers: (0..200).map(|n| store.markers_of(&pseudonym(n)).expect("readable")).collect(),
        marked,
        feeds: store.feeds().into_iter().map(of_feed).collect(),
        rows: store.index_rows(),
        positions: (0..1_000).map(|n| store.positions(&pseudonym(n))).collect(),
        retractions: [OWN, OTHER].iter().flat_map(|of| seqs().map(|seq| store.retraction_of(&feed(of), seq))).collect(),
        submissions: (0..1_000).map(|n| store.find_submission(&Audience::Alliance, &tag(n)).expect("readable")).collect(),
    }
}

/// What the store in `folder` derives when it opens, which must be what it derives from its log, and goes on.
fn opened(folder: &Path) -> Derived {
    let store = open(folder);
    let found = derived(&store);
    runtime().block_on(store.rebuild()).expect("rebuilt");
    assert_eq!(derived(&store), found);
    found
}

/// Puts another value, or none, in the place of a segment of the first feed; gives what was there.
fn replace(folder: &Path, number: u64, value: Option<Vec<u8>>) -> Vec<u8> {
    let engine = Engine::open(folder, 1 << 20).expect("opens");
    let key = keys::segment(FeedNo::new(0).expect("small"), number);
    let before = engine.get(&key).expect("readable").unwrap_or_default();
    let mut commit = Commit::default();
    match value {
        Some(value) => commit.put(key, value),
        None => commit.remove(&key),
    }
    engine.commit(commit).expect("written");
    before
}

fn refusal(folder: &Path) -> Option<&'static str> {
    Store::open(options(folder, "acme")).err().map(|error| error.code())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("there") {
        let entry = entry.expect("readable").path();
        let target = to.join(entry.file_name().expect("named"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("copied");
        }
    }
}

#[test]
fn a_store_opens_by_its_hints_as_by_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    runtime().block_on(live(folder.path()));
    let by_hints = opened(folder.path());
    std::fs::remove_file(hints_of(folder.path())).expect("there were hints");
    assert_eq!(opened(folder.path()), by_hints);
    assert_eq!(by_hints.rows, SIGNALS.0 + SIGNALS.1 - GONE);
    // And hints go on behind hints.
    let store = open(folder.path());
    runtime().block_on(fill(&store, 5_000..5_400));
    drop(store);
    assert_eq!(opened(folder.path()).rows, by_hints.rows + 400);
}

#[test]
fn what_hints_tell_of_is_not_read_from_the_log_until_it_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    runtime().block_on(live(folder.path()));
    let whole = opened(folder.path());
    replace(folder.path(), 1, None);
    let store = open(folder.path());
    assert_eq!((store.index_rows(), store.size(&feed(OWN))), (whole.rows, whole.feeds[0].1));
    let damaged = |result: Result<(), StoreError>| result.err().map(|error| error.code());
    assert_eq!(damaged(store.read(&feed(OWN), Seq::new(20)).map(drop)), Some("STORE_DAMAGED"));
    assert_eq!(damaged(store.batch_after(&feed(OWN), Seq::ZERO).map(drop)), Some("STORE_DAMAGED"));
    assert_eq!(damaged(store.find_submission(&Audience::Alliance, &tag(20)).map(drop)), Some("STORE_DAMAGED"));
}

#[test]
fn hints_of_another_version_are_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    runtime().block_on(live(folder.path()));
    let expected = opened(folder.path());
    let mut hints = std::fs::read(hints_of(folder.path())).expect("there were hints");
    let end = hints.iter().position(|byte| *byte == b'\n').expect("a first line");
    assert!(hints[..end].ends_with(env!("CARGO_PKG_VERSION").as_bytes()));
    hints[end - 1] ^= 1;
    std::fs::write(hints_of(folder.path()), &hints).expect("written");
    let first = replace(folder.path(), 0, None);
    assert_eq!(refusal(folder.path()), Some("STORE_DAMAGED"), "the log is read");
    replace(folder.path(), 0, Some(first));
    assert_eq!(opened(folder.path()), expected);
}

#[test]
fn the_last_segment_is_looked_at_however_much_hints_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    runtime().block_on(async { fill(&open(folder.path()), 0..20).await });
    for left in [0, 3] {
        let whole = replace(folder.path(), 1, None);
        let entries = segment::unpack(&whole).expect("whole");
        replace(folder.path(), 1, (left > 0).then(|| segment::pack(&entries[..left]).expect("packs")));
        assert_eq!(refusal(folder.path()), Some("STORE_DAMAGED"), "{left} of its entries are left");
        replace(folder.path(), 1, Some(whole));
        assert_eq!(open(folder.path()).size(&feed(OWN)), Seq::new(20));
    }
}

#[test]
fn hints_of_a_log_that_was_put_back_are_thrown_away() {
    let (folder, saved) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    runtime().block_on(live(folder.path()));
    copy(folder.path(), saved.path());
    let before = opened(saved.path());
    let store = open(folder.path());
    runtime().block_on(fill(&store, 5_000..5_300));
    drop(store);
    // Hints of more than the log holds.
    std::fs::copy(hints_of(folder.path()), hints_of(saved.path())).expect("copied");
    assert_eq!(opened(saved.path()), before);
    // Hints of another history of the same size.
    let other = tempfile::tempdir().expect("a folder");
    copy(saved.path(), other.path());
    let store = open(other.path());
    runtime().block_on(fill(&store, 6_000..6_300));
    drop(store);
    let store = open(saved.path());
    runtime().block_on(fill(&store, 7_000..7_300));
    drop(store);
    std::fs::copy(hints_of(other.path()), hints_of(saved.path())).expect("copied");
    let found = opened(saved.path());
    assert_eq!(found.feeds[0].1, before.feeds[0].1.plus(300));
    let store = open(saved.path());
    assert_eq!((store.positions(&pseudonym(7_000)).len(), store.positions(&pseudonym(6_000)).len()), (1, 0));
}

#[test]
fn whatever_happens_to_the_file_of_hints_the_store_opens_the_same() {
    let whole = tempfile::tempdir().expect("a folder");
    runtime().block_on(live(whole.path()));
    let (expected, hints) = (opened(whole.path()), std::fs::read(hints_of(whole.path())).expect("there were hints"));
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) };
    let mut runner = proptest::test_runner::TestRunner::new(cases);
    // Torn, flipped, with frames twice, or with other bytes behind.
    let damage = (0_u8..4, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1_u8..=255);
    let result = runner.run(&damage, |(kind, at, to, bits)| {
        let mut hints = hints.clone();
        let (at, to) = (at.index(hints.len()), to.index(hints.len()));
        match kind {
            0 => hints.truncate(at),
            1 => hints[at] ^= bits,
            2 => hints.extend_from_within(at.min(to)..at.max(to)),
            _ => hints.extend(vec![bits; at]),
        }
        std::fs::write(hints_of(whole.path()), &hints).expect("written");
        let store = open(whole.path());
        prop_assert_eq!(&derived(&store), &expected);
        drop(store);
        prop_assert_eq!(&derived(&open(whole.path())), &expected, "after what was left was gone on from");
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_store_without_room_for_hints_works_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing can be written where a folder stands.
    std::fs::create_dir(hints_of(folder.path())).expect("made");
    runtime().block_on(live(folder.path()));
    assert_eq!(opened(folder.path()).rows, SIGNALS.0 + SIGNALS.1 - GONE);
}

#[test]
fn what_is_erased_says_nothing_any_more_by_hints_and_by_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |store: &Store| {
        let amended = SignalRef { feed: feed(OWN), seq: Seq::new(1) };
        let notes = store.notes_about(&amended).expect("readable").len();
        (notes, store.markers_of(&pseudonym(7)).expect("readable").len())
    };
    runtime().block_on(async {
        let store = open(folder.path());
        fill(&store, 0..400).await;
        let Ok(appended) = store.append(notes(0)).await else { panic!("durable") };
        assert_eq!(said(&store), (1, 1));
        let at = |place: usize| match appended[place] {
            Ok(Appended::Created(seq)) => seq,
            ref other => panic!("{other:?}"),
        };
        let body = Body::Erasure(Erasure { entries: vec![at(0), at(3)], tags: vec![], reason: ErasureReason::Request });
        let entry = Entry { recorded_at: Timestamp::from_unix_ms(4), body };
        let bytes = encode(&entry, [6; limits::SALT_BYTES]).expect("fits");
        let erasure = Append::Note { audience: Audience::Alliance, entry: entry.into(), bytes };
        assert!(store.append(vec![erasure]).await.expect("durable")[0].is_ok());
        assert_eq!(said(&store), (0, 0));
    });
    assert_eq!(said(&open(folder.path())), (0, 0), "by hints");
    std::fs::remove_file(hints_of(folder.path())).expect("there were hints");
    assert_eq!(said(&open(folder.path())), (0, 0), "by the log");
}
