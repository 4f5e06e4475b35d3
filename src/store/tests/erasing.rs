//! What is erased is gone: from answers at once, from the log a moment later, from the files after a purge; and nothing brings it
//! back.

use std::path::Path;

use super::*;
use crate::domain::{Erasure, ErasureReason};
use crate::feed::Leaf;

const OWN: &str = "acme/all";

fn open(folder: &Path, member: &str) -> Store {
    Store::open(options(folder, member)).unwrap_or_else(|error| panic!("{error} {error:?}"))
}

/// Erases signals of the own feed that [`fill`] put there.
pub(super) fn erasure(seqs: &[u64]) -> Append {
    let entries: Vec<Seq> = seqs.iter().copied().map(Seq::new).collect();
    let tags = seqs.iter().map(|n| Some(tag(*n))).collect();
    let body = Body::Erasure(Erasure { entries: entries.clone(), tags, reason: ErasureReason::Request });
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(5), body };
    let bytes = encode(&entry, [3; limits::SALT_BYTES]).expect("fits");
    Append::Erasure { audience: Audience::Alliance, entries, entry: entry.into(), bytes }
}

async fn erase(store: &Store, seqs: &[u64]) {
    let outcome = store.append(vec![erasure(seqs)]).await.expect("durable");
    assert!(matches!(outcome[..], [Ok(Appended::Created(_))]), "{outcome:?}");
    removed(store, &feed(OWN)).await;
}

/// Waits until all that erasures of a feed name is removed.
pub(super) async fn removed(store: &Store, of: &FeedId) {
    let mut changes = store.changes();
    let last = *store.erasures(of).last().expect("there is one");
    while store.erasure_progress(of).is_none_or(|progress| progress.removed <= last) {
        changes.changed().await.expect("the store is open");
    }
}

fn is_erased(store: &Store, seq: u64) -> bool {
    matches!(store.read(&feed(OWN), Seq::new(seq)), Ok(Some(Leaf::Erased(_))))
}

/// What anybody sees of the feed: where each submission stands, where each pseudonym is found, what each place holds.
fn seen(store: &Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let of = feed(OWN);
    let summary = store.feed(&of).expect("held");
    let positions: Vec<_> = (0..60).map(|n| store.positions(&pseudonym(n))).collect();
    let submissions: Vec<_> = (0..60).map(|n| store.find_submission(&Audience::Alliance, &tag(n)).expect("readable")).collect();
    let by: Vec<_> = (0..60).map(|n| store.retraction_of(&of, Seq::new(n))).collect();
    let leaves: Vec<_> = (0..60).map(|n| store.read(&of, Seq::new(n)).expect("readable")).collect();
    (summary.root, summary.live_signals, summary.view_digest, summary.missing, positions, submissions, by, leaves)
}

#[tokio::test]
async fn what_is_erased_is_gone_and_the_tree_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..50).await;
    assert!(store.append(vec![retraction(Seq::new(4))]).await.expect("durable")[0].is_ok());
    // In a full segment, across two, in the last one; and one that was withdrawn before.
    erase(&store, &[3, 4, 15, 16, 49]).await;
    assert!([3, 4, 15, 16, 49].iter().all(|n| is_erased(&store, *n)) && !is_erased(&store, 5));
    assert!(store.positions(&pseudonym(3)).is_empty() && store.positions(&pseudonym(49)).is_empty());
    fill(&store, 50..55).await;
    let before = seen(&store);
    let summary = store.feed(&feed(OWN)).expect("held");
    assert_eq!((summary.live_signals, summary.missing), (50, 0));
    drop(store);
    let by_hints = open(folder.path(), "acme");
    assert_eq!(seen(&by_hints), before, "by hints");
    drop(by_hints);
    std::fs::remove_file(folder.path().join("hints")).expect("there were hints");
    let by_log = open(folder.path(), "acme");
    assert_eq!(seen(&by_log), before, "by the log");
    assert!(by_log.batch_after(&feed(OWN), Seq::ZERO).expect("readable").is_some_and(|batch| batch.leaves.len() == 57));
}

#[tokio::test]
async fn what_was_erased_is_not_taken_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..20).await;
    erase(&store, &[7]).await;
    let erased = Ok(vec![Ok(Appended::Erased(Seq::new(7)))]);
    assert_eq!(store.append(vec![signal(7)]).await, erased);
    store.rebuild().await.expect("rebuilt");
    assert_eq!(store.append(vec![signal(7)]).await, erased, "though nobody has seen its content");
    assert_eq!(store.append(vec![erasure(&[7])]).await, Ok(vec![Ok(Appended::Gone)]));
    // The feed comes back from another member, with a hole where it was erased.
    let (other, lost) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let replica = open(other.path(), "bolt");
    follow(&store, &replica, &feed(OWN), &key("acme")).await;
    let recovered = open(lost.path(), "acme");
    follow(&replica, &recovered, &feed(OWN), &key("acme")).await;
    assert_eq!(
        recovered.append(vec![signal(7), signal(8)]).await.map(|outcomes| outcomes[0].clone()),
        Ok(Ok(Appended::Erased(Seq::new(7))))
    );
}

#[tokio::test]
async fn a_replica_that_was_away_removes_what_it_holds() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (owner, replica) = (open(one.path(), "acme"), open(two.path(), "bolt"));
    fill(&owner, 0..40).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    erase(&owner, &[1, 30]).await;
    fill(&owner, 40..45).await;
    assert!(!is_erased(&replica, 1));
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    removed(&replica, &feed(OWN)).await;
    assert!(is_erased(&replica, 1) && is_erased(&replica, 30) && !is_erased(&replica, 2));
    assert_eq!(
        replica.feed(&feed(OWN)).map(|f| (f.root, f.view_digest, f.live_signals)),
        owner.feed(&feed(OWN)).map(|f| (f.root, f.view_digest, f.live_signals))
    );
}

#[tokio::test]
async fn a_relay_that_withholds_content_is_seen_and_made_good() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (owner, replica) = (open(one.path(), "acme"), open(two.path(), "bolt"));
    fill(&owner, 0..40).await;
    let batch = owner.batch_after(&feed(OWN), Seq::ZERO).expect("readable").expect("there is one");
    let leaves = batch.leaves.iter().enumerate();
    let withheld = leaves.map(|(i, leaf)| if [3, 39].contains(&i) { Leaf::Erased(leaf.hash()) } else { leaf.clone() });
    let alliance = "alliance.example".parse().expect("valid");
    let checkpoint = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(key("acme").public())).expect("signed");
    let import = Import::verify(&Frontier::empty(), withheld.collect(), checkpoint).expect("as signed");
    replica.import(import).await.expect("stored");
    let missing = || replica.missing(&feed(OWN), 10);
    assert_eq!(missing(), [Seq::new(3), Seq::new(39)]);
    assert!(replica.positions(&pseudonym(3)).is_empty());
    let content = |n: u64| owner.read(&feed(OWN), Seq::new(n)).expect("readable").and_then(|leaf| leaf.bytes().cloned());
    let [three, other] = [content(3), content(5)].map(|bytes| bytes.expect("there"));
    let wrong = vec![(Seq::new(3), other.clone()), (Seq::new(5), other), (Seq::new(400), three.clone())];
    assert_eq!(replica.fill(feed(OWN), wrong).await, Ok(0), "what was not signed there is not taken");
    let right = vec![(Seq::new(39), content(39).expect("there")), (Seq::new(3), three)];
    assert_eq!(replica.fill(feed(OWN), right).await, Ok(2));
    assert_eq!((missing(), replica.positions(&pseudonym(3)).len()), (vec![], 1));
    fill(&owner, 40..41).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    assert_eq!(replica.feed(&feed(OWN)).map(|f| f.view_digest), owner.feed(&feed(OWN)).map(|f| f.view_digest));
}

/// The files below `folder` that hold `needle`.
pub(super) fn holds(folder: &Path, needle: &[u8]) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let found = |path: std::path::PathBuf| match path.is_dir() {
        true => holds(&path, needle),
        false if std::fs::read(&path).expect("readable").windows(needle.len()).any(|window| window == needle) => vec![path],
        false => vec![],
    };
    paths.flat_map(found).collect()
}

/// A signal whose pseudonyms no compression shortens, so that its bytes are found in files as they are.
fn loud_signal(n: u64) -> (Append, [u8; 8]) {
    let mut bytes = vec![0; 32 * 32];
    Counter(AtomicU64::new((n + 1) << 32)).fill(&mut bytes).expect("filled");
    let (pseudonyms, _) = bytes.as_chunks();
    let pseudonyms: Vec<_> = pseudonyms.iter().copied().map(Pseudonym).collect();
    let needle = pseudonyms[7].0[..8].try_into().expect("8 bytes");
    let mut content = content(n, "Loud");
    content.kinds = vec![IdentifierKind::Phone; 32];
    content.pseudonyms[0].pseudonyms = pseudonyms;
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(1), body: Body::Signal { tag: tag(n), content } };
    let bytes = encode(&entry, [8; limits::SALT_BYTES]).expect("fits");
    (Append::Signal { audience: Audience::Alliance, tag: tag(n), known_as: vec![], entry: entry.into(), bytes }, needle)
}

#[tokio::test]
async fn after_a_purge_no_file_holds_what_was_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    let (loud, needles): (Vec<_>, Vec<_>) = (0..16).map(loud_signal).unzip();
    let [gone, kept, ..] = needles[..] else { panic!("sixteen of them") };
    assert!(store.append(loud).await.expect("durable").iter().all(Result::is_ok));
    fill(&store, 16..700).await;
    let none: Vec<std::path::PathBuf> = vec![];
    let hints = folder.path().join("hints");
    assert_eq!(holds(folder.path(), &gone).len(), 2, "log and hints hold it as it is");
    assert!(holds(folder.path(), &kept).contains(&hints), "the log may have compressed it");
    erase(&store, &[0]).await;
    assert_ne!(holds(folder.path(), &gone), none, "the file still holds what nothing reads any more");
    assert!(store.purge_due().is_some());
    assert_eq!(store.purge().await, Ok(true));
    assert_eq!(holds(folder.path(), &gone), none);
    assert!(holds(folder.path(), &kept).contains(&hints));
    let progress = store.erasure_progress(&feed(OWN)).expect("there is an erasure");
    assert_eq!((progress.removed, progress.purged), (Seq::new(701), Seq::new(701)));
    assert_eq!((store.purge_due(), store.purge().await), (None, Ok(false)));
    fill(&store, 700..710).await;
    let before = seen(&store);
    drop(store);
    let reopened = open(folder.path(), "acme");
    assert_eq!(seen(&reopened), before, "by hints without it");
    reopened.rebuild().await.expect("rebuilt");
    assert_eq!(seen(&reopened), before, "by the log");
    assert_eq!(holds(folder.path(), &gone), none);
    assert_eq!(reopened.feed(&feed(OWN)).map(|f| (f.live_signals, f.missing)), Some((709, 0)));
}

/// The engine's threads let go of files a moment after they are closed, on a busy machine later.
#[tokio::test]
async fn a_purge_waits_until_the_files_it_wrote_are_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..30).await;
    erase(&store, &[3]).await;
    let fresh = folder.path().join("sled.fresh").join("db");
    let (give_back, kept) = std::sync::mpsc::channel::<()>();
    let slow = std::thread::spawn(move || {
        // Once there is something in it, the engine has it locked.
        let file = loop {
            match std::fs::File::open(&fresh) {
                Ok(file) if file.metadata().is_ok_and(|meta| meta.len() > 0) => break file,
                _ => std::thread::yield_now(),
            }
        };
        file.lock().expect("a lock");
        kept.recv().expect("told");
    });
    let mut purge = std::pin::pin!(store.purge());
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut purge).await;
    assert!(early.is_err(), "it ended with {early:?} while the files were not free");
    give_back.send(()).expect("it has the lock");
    assert_eq!(purge.await, Ok(true));
    slow.join().expect("it had the lock");
    assert!(store.read(&feed(OWN), Seq::new(4)).expect("readable").is_some());
}

#[tokio::test]
async fn a_purge_that_ended_at_any_step_is_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), "acme");
    fill(&store, 0..300).await;
    erase(&store, &[5]).await;
    let before = seen(&store);
    drop(store);
    let path = |name: &str| folder.path().join(name);
    let copy = |from: &str, to: &str| {
        std::fs::create_dir_all(path(to)).expect("made");
        for file in std::fs::read_dir(path(from)).expect("a folder") {
            let file = file.expect("readable");
            if file.path().is_dir() {
                continue;
            }
            std::fs::copy(file.path(), path(to).join(file.file_name())).expect("copied");
        }
    };
    let reopened = |step: &str| {
        let store = open(folder.path(), "acme");
        assert_eq!(seen(&store), before, "{step}");
        drop(store);
        let left: Vec<_> = ["sled.fresh", "sled.next", "sled.old"].into_iter().filter(|name| path(name).exists()).collect();
        assert!(left.is_empty(), "{step}: {left:?}");
    };
    std::fs::create_dir(path("sled.fresh")).expect("made");
    std::fs::write(path("sled.fresh/db"), b"half").expect("written");
    reopened("while the copy was written");
    copy("sled", "sled.next");
    reopened("when the copy was whole");
    copy("sled", "sled.next");
    std::fs::rename(path("sled"), path("sled.old")).expect("renamed");
    reopened("when the old files were set aside");
    copy("sled", "sled.old");
    reopened("before the old files were overwritten");
}

#[tokio::test]
async fn what_has_expired_is_removed_without_an_erasure() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (owner, replica) = (open(one.path(), "acme"), open(two.path(), "bolt"));
    let (loud, needles): (Vec<_>, Vec<_>) = (0..16).map(loud_signal).unzip();
    assert!(owner.append(loud).await.expect("durable").iter().all(Result::is_ok));
    fill(&owner, 16..600).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    let expired: Vec<Seq> = [0, 20, 599].map(Seq::new).to_vec();
    assert_eq!(owner.expire(feed(OWN), expired.clone()).await, Ok(0), "what is its own a member erases");
    assert_eq!(replica.expire(feed(OWN), expired.clone()).await, Ok(3));
    assert_eq!(replica.expire(feed(OWN), expired).await, Ok(0));
    let summary = |store: &Store| store.feed(&feed(OWN)).map(|f| (f.root, f.live_signals, f.view_digest, f.missing));
    let after = summary(&replica);
    assert_eq!(after.map(|(_, live, _, missing)| (live, missing)), Some((597, 0)));
    assert!(replica.positions(&pseudonym(20)).is_empty());
    assert_eq!(replica.purge().await, Ok(true));
    assert_eq!(holds(two.path(), &needles[0]), Vec::<std::path::PathBuf>::new());
    drop(replica);
    let replica = open(two.path(), "bolt");
    assert_eq!((summary(&replica), replica.purge_due()), (after, None));
    // Its member erases it later, and one that was there: that is an erasure like any other.
    erase(&owner, &[20, 21]).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    removed(&replica, &feed(OWN)).await;
    assert!(is_erased(&replica, 20) && is_erased(&replica, 21));
    replica.rebuild().await.expect("rebuilt");
    assert_eq!(replica.feed(&feed(OWN)).map(|f| (f.live_signals, f.missing)), Some((596, 0)));
}

#[tokio::test]
async fn hints_from_before_an_erasure_are_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let hints = folder.path().join("hints");
    let store = open(folder.path(), "acme");
    fill(&store, 0..40).await;
    drop(store);
    let old = std::fs::read(&hints).expect("there are hints");
    let store = open(folder.path(), "acme");
    erase(&store, &[3, 30]).await;
    let before = seen(&store);
    drop(store);
    // As a loss of power may leave it: the log is forced, and the hints are not.
    std::fs::write(&hints, old).expect("written");
    let reopened = open(folder.path(), "acme");
    assert_eq!(reopened.retraction_of(&feed(OWN), Seq::new(30)), Some(Seq::new(40)));
    assert!(seen(&reopened) == before);
}

#[tokio::test]
async fn an_erasure_that_a_relay_withheld_is_carried_out_once_it_is_there() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (owner, replica) = (open(one.path(), "acme"), open(two.path(), "bolt"));
    fill(&owner, 0..20).await;
    follow(&owner, &replica, &feed(OWN), &key("acme")).await;
    for seqs in [[1], [2]] {
        assert!(owner.append(vec![erasure(&seqs)]).await.expect("durable")[0].is_ok());
    }
    // The first of the two erasures comes without its content.
    let batch = owner.batch_after(&feed(OWN), Seq::new(20)).expect("readable").expect("there is one");
    let withheld = vec![Leaf::Erased(batch.leaves[0].hash()), batch.leaves[1].clone()];
    let alliance = "alliance.example".parse().expect("valid");
    let checkpoint = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(key("acme").public())).expect("signed");
    replica
        .import(Import::verify(&replica.frontier(&feed(OWN)), withheld, checkpoint).expect("as signed"))
        .await
        .expect("stored");
    removed(&replica, &feed(OWN)).await;
    assert!(is_erased(&replica, 2) && !is_erased(&replica, 1));
    assert_eq!(replica.missing(&feed(OWN), 10), [Seq::new(20)]);
    let content = batch.leaves[0].bytes().expect("there").clone();
    assert_eq!(replica.fill(feed(OWN), vec![(Seq::new(20), content)]).await, Ok(1));
    removed(&replica, &feed(OWN)).await;
    assert!(is_erased(&replica, 1) && is_erased(&replica, 2));
}
