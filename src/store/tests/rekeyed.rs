//! A signal that was given pseudonyms under another key is found by them, as itself, for as long as it stands, and by nothing else.

use super::erasing::{holds, removed};
use super::*;
use crate::domain::{Amendment, Change, Erasure, ErasureReason, Rekeying, SignalRef};
use crate::feed::Leaf;

const OWN: &str = "acme/all";

fn open(folder: &std::path::Path, member: &str) -> Store {
    Store::open(options(folder, member)).unwrap_or_else(|error| panic!("{error} {error:?}"))
}

/// Gives the signal at `seq` the pseudonym `n` under `key`.
fn rekeying(seq: u64, key: &str, n: u64) -> Append {
    let pseudonyms = vec![PseudonymSet { key: key.parse().expect("valid"), pseudonyms: vec![pseudonym(n)] }];
    let body = Body::Rekeying(Rekeying { signal: Seq::new(seq), tag: Some(tag(n)), pseudonyms });
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(4), body };
    let bytes = encode(&entry, [n as u8; limits::SALT_BYTES]).expect("fits");
    Append::Rekeying { audience: Audience::Alliance, signal: Seq::new(seq), entry: entry.into(), bytes }
}

/// The same as anybody may write it, whatever it says.
fn unchecked(append: Append) -> Append {
    match append {
        Append::Rekeying { audience, entry, bytes, .. } => Append::Note { audience, entry, bytes },
        other => other,
    }
}

fn erasure(seqs: &[u64], tags: &[Option<u64>]) -> Append {
    let entries: Vec<Seq> = seqs.iter().copied().map(Seq::new).collect();
    let tags = tags.iter().map(|n| n.map(tag)).collect();
    let body = Body::Erasure(Erasure { entries: entries.clone(), tags, reason: ErasureReason::Request });
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(5), body };
    let bytes = encode(&entry, [3; limits::SALT_BYTES]).expect("fits");
    Append::Erasure { audience: Audience::Alliance, entries, entry: entry.into(), bytes }
}

async fn append(store: &Store, item: Append) -> Appended {
    store.append(vec![item]).await.expect("durable").pop().expect("one").expect("taken")
}

fn found(store: &Store, n: u64) -> Vec<(u64, bool)> {
    store.positions(&pseudonym(n)).into_iter().map(|at| (at.seq().get(), at.is_conclusive())).collect()
}

fn under(store: &Store, key: &str) -> u64 {
    store.own_live_signals_under(&key.parse().expect("valid"), |_| true)
}

/// All that follows from the entries.
fn derived(store: &Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let summary = store.feed(&feed(OWN)).expect("held");
    let positions: Vec<_> = (0..300).map(|n| found(store, n)).collect();
    let signal = |seq| SignalRef { feed: feed(OWN), seq: Seq::new(seq) };
    let rekeyings: Vec<_> = (0..60).map(|n| (store.rekeyings(&signal(n)), store.all_rekeyings(&signal(n)))).collect();
    let submissions: Vec<_> =
        (0..300).map(|n| store.find_submission(&Audience::Alliance, &tag(n)).expect("readable")).collect();
    let counts = ["k1", "k2", "k3"].map(|key| under(store, key));
    (summary.view_digest, summary.live_signals, store.index_rows(), positions, rekeyings, submissions, counts)
}

#[tokio::test]
async fn a_rekeying_is_added_once_and_only_to_what_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..4).await;
    let both = store.append(vec![rekeying(1, "k2", 101), rekeying(1, "k2", 101)]).await.expect("durable");
    assert_eq!(both, [Ok(Appended::Created(Seq::new(4))), Ok(Appended::Unneeded)], "of two in one commit");
    assert_eq!(append(&store, rekeying(1, "k2", 101)).await, Appended::Unneeded);
    assert_eq!(append(&store, rekeying(1, "k1", 1)).await, Appended::Unneeded, "it was stated under that one");
    assert_eq!(append(&store, rekeying(1, "k3", 201)).await, Appended::Created(Seq::new(5)));
    assert_eq!(append(&store, retraction(Seq::new(2))).await, Appended::Created(Seq::new(6)));
    assert_eq!(append(&store, rekeying(2, "k2", 102)).await, Appended::Unneeded, "what is withdrawn stays so");
    let together = store.append(vec![retraction(Seq::new(3)), rekeying(3, "k2", 103)]).await.expect("durable");
    assert_eq!(together[1], Ok(Appended::Unneeded));
    for no_signal in [4, 99] {
        assert_eq!(store.append(vec![rekeying(no_signal, "k2", 1)]).await, Ok(vec![Err(StoreError::NoSuchSignal)]));
    }
    assert_eq!(
        (found(&store, 101), found(&store, 201), found(&store, 1)),
        (vec![(1, false)], vec![(1, false)], vec![(1, false)])
    );
    assert_eq!((under(&store, "k1"), under(&store, "k2"), under(&store, "k3"), store.own_live_signals()), (2, 1, 1, 2));
    // Who submits it again under the new key meets the signal, also when it was withdrawn since.
    assert_eq!(store.append(vec![signal(101)]).await, Ok(vec![Ok(known(1, 1))]));
    append(&store, retraction(Seq::new(1))).await;
    assert_eq!(store.append(vec![signal(101)]).await, Ok(vec![Ok(known(1, 1))]));
    assert_eq!((found(&store, 101), under(&store, "k2"), under(&store, "k3")), (vec![], 0, 0));
}

#[tokio::test]
async fn what_rekeyings_come_to_is_the_same_by_hints_by_the_log_and_at_a_replica() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (store, replica) = (open(folder.path(), "acme"), open(other.path(), "bolt"));
    fill(&store, 0..40).await;
    for n in 0..20 {
        append(&store, rekeying(n, "k2", 100 + n)).await;
    }
    follow(&store, &replica, &feed(OWN), &key("acme")).await;
    // One is strengthened when it was rekeyed, one before.
    let change = Change { evidence: vec![Evidence::of(EvidenceKind::CourtJudgment)], ..Change::default() };
    let amendment = |seq| {
        let body = Body::Amendment(Amendment { signal: Seq::new(seq), change: change.clone() });
        let entry = Entry { recorded_at: Timestamp::from_unix_ms(4), body };
        let bytes = encode(&entry, [5; limits::SALT_BYTES]).expect("fits");
        Append::Note { audience: Audience::Alliance, entry: entry.into(), bytes }
    };
    append(&store, amendment(3)).await;
    append(&store, amendment(30)).await;
    append(&store, rekeying(30, "k2", 130)).await;
    assert_eq!((found(&store, 103), found(&store, 130)), (vec![(3, true)], vec![(30, true)]));
    append(&store, retraction(Seq::new(5))).await;
    append(&store, rekeying(3, "k3", 203)).await;
    for (seq, n) in [(7, 107), (7, 1), (99, 250), (41, 251)] {
        append(&store, unchecked(rekeying(seq, "k2", n))).await;
    }
    append(&store, erasure(&[0, 40], &[Some(0), Some(100)])).await;
    removed(&store, &feed(OWN)).await;
    follow(&store, &replica, &feed(OWN), &key("acme")).await;
    removed(&replica, &feed(OWN)).await;
    assert_eq!((under(&store, "k1"), under(&store, "k2"), under(&store, "k3")), (38, 19, 1));
    assert_eq!((found(&store, 105), found(&store, 250), found(&store, 251)), (vec![], vec![], vec![]));
    let expected = derived(&store);
    drop(store);
    let store = open(folder.path(), "acme");
    assert_eq!(derived(&store), expected, "by hints");
    store.rebuild().await.expect("rebuilt");
    assert_eq!(derived(&store), expected, "by the log");
    let digest = |store: &Store| store.feed(&feed(OWN)).map(|feed| feed.view_digest);
    assert_eq!((digest(&replica), replica.index_rows()), (digest(&store), store.index_rows()));
    assert_eq!(under(&replica, "k2"), 0, "of others' signals nobody keeps count");
    // And hints go on behind hints.
    append(&store, rekeying(20, "k2", 120)).await;
    let expected = derived(&store);
    drop(store);
    assert_eq!(derived(&open(folder.path(), "acme")), expected);
}

#[tokio::test]
async fn an_erasure_names_all_rekeyings_and_no_file_holds_them_afterwards() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (store, replica) = (open(folder.path(), "acme"), open(other.path(), "bolt"));
    fill(&store, 0..600).await;
    append(&store, rekeying(7, "k2", 1007)).await;
    append(&store, rekeying(8, "k2", 1008)).await;
    fill(&store, 602..620).await;
    follow(&store, &replica, &feed(OWN), &key("acme")).await;
    let (gone, kept) = (&pseudonym(1007).0[..8], &pseudonym(1008).0[..8]);
    let hints = |folder: &tempfile::TempDir| folder.path().join("hints");
    assert_eq!(append(&store, erasure(&[7], &[Some(7)])).await, Appended::Gone, "its pseudonyms would stay");
    assert!(found(&store, 1007).len() == 1);
    append(&store, erasure(&[7, 600], &[Some(7), Some(1007)])).await;
    assert_eq!((found(&store, 7), found(&store, 1007)), (vec![], vec![]), "at once");
    follow(&store, &replica, &feed(OWN), &key("acme")).await;
    for (at, folder) in [(&store, &folder), (&replica, &other)] {
        removed(at, &feed(OWN)).await;
        for seq in [7, 600].map(Seq::new) {
            assert!(matches!(at.read(&feed(OWN), seq), Ok(Some(Leaf::Erased(_)))));
        }
        assert_eq!(at.purge().await, Ok(true));
        assert_eq!(holds(folder.path(), gone), Vec::<std::path::PathBuf>::new());
        assert!(holds(folder.path(), kept).contains(&hints(folder)));
    }
    // By the erasure's tags it is recognised under the new key as well, also by who has nothing else.
    let erased = |appended: Appended| matches!(appended, Appended::Erased(_));
    assert!(erased(append(&store, signal(1007)).await) && erased(append(&store, signal(7)).await));
    store.rebuild().await.expect("rebuilt");
    assert!(erased(append(&store, signal(1007)).await) && erased(append(&store, signal(7)).await));
    drop(store);
    let store = open(folder.path(), "acme");
    assert!(erased(append(&store, signal(1007)).await));
    assert_eq!((found(&store, 1007), found(&store, 1008)), (vec![], vec![(8, false)]));
}

#[tokio::test]
async fn nobody_fills_a_check_with_rekeyings_of_one_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..1).await;
    for n in 0..30 {
        append(&store, unchecked(rekeying(0, &format!("k{}", n + 2), 100 + n))).await;
    }
    let signal = SignalRef { feed: feed(OWN), seq: Seq::ZERO };
    assert_eq!((store.rekeyings(&signal).len(), store.all_rekeyings(&signal).len()), (limits::MAX_REKEYINGS, 30));
    let counting: Vec<u64> = (100..130).filter(|n| !found(&store, *n).is_empty()).collect();
    assert_eq!((counting, store.index_rows()), ((122..130).collect(), 9));
    assert_eq!((under(&store, "k2"), under(&store, "k31")), (0, 1));
    append(&store, retraction(Seq::ZERO)).await;
    assert_eq!((store.index_rows(), under(&store, "k1"), under(&store, "k31")), (0, 0, 0));
}

#[tokio::test]
async fn a_rekeying_that_is_erased_alone_takes_away_what_it_alone_gave() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..300).await;
    for (key, n) in [("k2", 1_000), ("k3", 1_000), ("k4", 0), ("k5", 1_001)] {
        append(&store, unchecked(rekeying(0, key, n))).await;
    }
    append(&store, erasure(&[300, 302, 303], &[])).await;
    let stays = |store: &Store| {
        let found = [0, 1_000, 1_001].map(|n| found(store, n));
        assert_eq!(found, [vec![(0, false)], vec![(0, false)], vec![]], "it was stated so, and one rekeying is left");
        assert_eq!(["k1", "k2", "k3", "k4", "k5"].map(|key| under(store, key)), [300, 0, 1, 0, 0]);
    };
    stays(&store);
    removed(&store, &feed(OWN)).await;
    stays(&store);
    assert_eq!(store.purge().await, Ok(true));
    assert_eq!(holds(folder.path(), &pseudonym(1_001).0[..8]), Vec::<std::path::PathBuf>::new());
    drop(store);
    let store = open(folder.path(), "acme");
    stays(&store);
    store.rebuild().await.expect("rebuilt");
    stays(&store);
}

#[tokio::test]
async fn what_another_member_left_behind_expires_with_its_rekeyings() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (owner, replica) = (open(one.path(), "acme"), open(two.path(), "bolt"));
    fill(&owner, 0..20).await;
    append(&owner, rekeying(3, "k2", 103)).await;
    append(&owner, rekeying(4, "k2", 104)).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    let summary = |store: &Store| store.feed(&feed(OWN)).map(|feed| (feed.live_signals, feed.view_digest));
    assert_eq!(replica.expire(feed(OWN), [3, 20].map(Seq::new).to_vec()).await, Ok(2));
    assert_eq!((found(&replica, 103), found(&replica, 104)), (vec![], vec![(4, false)]));
    let (after, rows) = (summary(&replica), replica.index_rows());
    drop(replica);
    let replica = open(two.path(), "bolt");
    assert_eq!((summary(&replica), replica.index_rows()), (after, rows), "by the log");
}
