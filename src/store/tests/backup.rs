//! Backups as whoever takes one sees them: of a store that is written to meanwhile, broken off and gone on with, put back.

use std::future::Future as _;

use super::*;
use crate::domain::Actor;
use crate::feed::SignedRoster;
use crate::store::backup::{Backup, BackupPlace, Piece};
use crate::store::{Restoration, RowDigest, Verification, verify_store};

fn secretariat() -> Arc<SigningKey> {
    key("zecretariat")
}

fn roster() -> crate::domain::Roster {
    let member = |id: &str| crate::domain::Member {
        id: id.parse().expect("valid"),
        kind: crate::domain::MemberKind::Brand,
        name: id.to_owned(),
        state: crate::domain::MemberState::Active,
        address: String::new(),
        feed_key: key(id).public(),
    };
    crate::domain::Roster {
        members: vec![member("acme"), member("globex")],
        ..crate::domain::Roster::first("alliance.example".parse().expect("valid"), "2027-01-01T00:00:00Z".into())
    }
}

async fn store_with_roster(folder: &std::path::Path) -> Store {
    let store = Store::open(options(folder, "acme")).expect("opens");
    let signed = SignedRoster::sign(roster(), &secretariat()).expect("valid");
    store.put_roster(signed.note().clone()).await.expect("kept");
    store
}

fn names() -> (AllianceName, MemberId, crate::domain::FeedKey) {
    ("alliance.example".parse().expect("valid"), "acme".parse().expect("valid"), secretariat().public())
}

/// All that is left of a backup.
async fn rest(store: &Store, backup: &mut Backup) -> Vec<Piece> {
    let mut pieces = Vec::new();
    loop {
        let piece = match backup.next_piece().expect("readable") {
            Some(piece) => piece,
            None => store.end_backup(backup).await.expect("ends"),
        };
        let is_last = piece.is_last();
        pieces.push(piece);
        if is_last {
            return pieces;
        }
    }
}

fn put_back(folder: &std::path::Path, pieces: &[Piece]) -> Verification {
    let (alliance, member, secretariat) = names();
    let mut restoration = Restoration::begin(folder, 16 << 20, alliance, member, secretariat).expect("empty");
    for piece in pieces {
        restoration.put(Piece::decode(&piece.encode()).expect("as it was encoded")).expect("rows");
    }
    restoration.finish(Timestamp::from_unix_ms(NOW_MS)).expect("is put back")
}

fn derived(store: &Store) -> Vec<(String, Seq, Hash, ViewDigest)> {
    store.feeds().into_iter().map(|feed| (feed.feed.to_string(), feed.size, feed.root, feed.view_digest)).collect()
}

#[tokio::test]
async fn what_is_written_while_it_is_copied_is_in_a_backup() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let store = store_with_roster(folder.path()).await;
    fill(&store, 0..1_000).await;
    let mut backup = store.back_up(None).await.expect("begins");
    let mut pieces = vec![backup.next_piece().expect("readable").expect("rows")];
    // Into segments that were copied already, and new ones; a retraction changes what is derived.
    fill(&store, 1_000..40_000).await;
    store.append(vec![retraction(Seq::new(5))]).await.expect("durable");
    pieces.extend(rest(&store, &mut backup).await);
    let verified = put_back(other.path(), &pieces);
    assert_eq!((verified.flaws.clone(), verified.feeds.len()), (vec![], 1));
    let restored = Store::open(options(other.path(), "acme")).expect("opens");
    assert_eq!(derived(&restored), derived(&store));
    assert_eq!(restored.find_submission(&Audience::Alliance, &tag(39_999)), Ok(Some(Seq::new(39_999))));
    assert!(restored.is_restored() && !store.is_restored());
    assert!(Backup::next_piece(&mut backup).is_err(), "it has ended");
}

#[tokio::test]
async fn a_backup_that_broke_off_is_gone_on_with_after_what_was_kept() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let store = store_with_roster(folder.path()).await;
    fill(&store, 0..40_000).await;
    let mut backup = store.back_up(None).await.expect("begins");
    let first = backup.next_piece().expect("readable").expect("rows");
    assert_eq!(store.back_up(None).await.err(), Some(StoreError::BackupRunning), "one at a time");
    let place = BackupPlace { id: backup.id(), after: first.until().expect("in order").to_vec() };
    // All but its end was handed out, and is lost on the way.
    while backup.next_piece().expect("readable").is_some() {}
    drop(backup);
    fill(&store, 40_000..41_000).await;
    let mut backup = store.back_up(Some(place.clone())).await.expect("goes on");
    let mut pieces = vec![first];
    pieces.extend(rest(&store, &mut backup).await);
    drop(backup);
    assert_eq!(store.back_up(Some(place)).await.err(), Some(StoreError::BackupEnded), "its end was handed out");
    assert_eq!(put_back(other.path(), &pieces).flaws, Vec::<String>::new());
    let restored = Store::open(options(other.path(), "acme")).expect("opens");
    assert_eq!(derived(&restored), derived(&store));
}

#[tokio::test]
async fn a_backup_is_forgotten_after_an_hour_or_for_another_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let store = Store::open(Options { clock: clock.clone(), ..options(folder.path(), "acme") }).expect("opens");
    let place = |id| Some(BackupPlace { id, after: vec![] });
    let first = store.back_up(None).await.expect("begins").id();
    clock.set(NOW_MS + 3_600_000);
    drop(store.back_up(place(first)).await.expect("in time"));
    clock.set(NOW_MS + 3_600_000 + 3_600_001);
    assert_eq!(store.back_up(place(first)).await.err(), Some(StoreError::BackupEnded));
    let second = store.back_up(None).await.expect("begins").id();
    drop(store.back_up(None).await.expect("takes its place"));
    assert_eq!(store.back_up(place(second)).await.err(), Some(StoreError::BackupEnded));
}

#[tokio::test]
async fn what_is_erased_while_it_is_copied_comes_back_erased() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let store = store_with_roster(folder.path()).await;
    fill(&store, 0..100).await;
    let mut backup = store.back_up(None).await.expect("begins");
    let mut pieces = vec![backup.next_piece().expect("readable").expect("rows")];
    store.append(vec![super::erasing::erasure(&[3])]).await.expect("durable");
    store.purge().await.expect("the files are written anew under the backup");
    pieces.extend(rest(&store, &mut backup).await);
    assert_eq!(put_back(other.path(), &pieces).flaws, Vec::<String>::new());
    let restored = Store::open(options(other.path(), "acme")).expect("opens");
    let read = restored.read(&feed("acme/all"), Seq::new(3)).expect("readable");
    assert!(matches!(read, Some(Leaf::Erased(_))), "{read:?}");
}

#[tokio::test]
async fn rows_that_are_not_those_signed_are_not_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with_roster(folder.path()).await;
    fill(&store, 0..100).await;
    let pieces = rest(&store, &mut store.back_up(None).await.expect("begins")).await;
    let (alliance, member, secretariat) = names();
    let verify = |pieces: &[Piece], secretariat| {
        let mut all = RowDigest::default();
        for piece in pieces {
            let mut digest = RowDigest::default();
            digest.take(piece);
            all.absorb(RowDigest::decode(&digest.encode()).expect("as it was encoded"));
        }
        all.verify(&alliance, &member, &secretariat)
    };
    assert_eq!(verify(&pieces, secretariat).flaws, Vec::<String>::new());
    assert!(!verify(&pieces, key("globex").public()).flaws.is_empty(), "another secretariat");
    // Whatever is taken out of a feed, or changed in it, shows.
    let is_of_feed = |key: &[u8]| matches!(key.first(), Some(1 | 2));
    let all: Vec<_> = pieces.iter().flat_map(|piece| piece.pairs.clone()).collect();
    for at in (0..all.len()).filter(|at| is_of_feed(&all[*at].0)) {
        let mut without = all.clone();
        drop(without.remove(at));
        let mut changed = all.clone();
        if let Some(value) = changed[at].1.as_mut() {
            let middle = value.len() / 2;
            value[middle] ^= 1;
        }
        for pairs in [without, changed] {
            let pieces = [Piece::of(pairs)];
            assert_ne!(verify(&pieces, secretariat).flaws, Vec::<String>::new(), "row {at}");
            let other = tempfile::tempdir().expect("a folder");
            assert!(!put_back(other.path(), &pieces).flaws.is_empty());
            let refusal = Store::open(options(other.path(), "acme")).err().expect("refused");
            assert_eq!(refusal.code(), "RESTORE_UNFINISHED");
        }
    }
}

#[tokio::test]
async fn a_store_is_put_back_only_where_there_is_none_and_only_its_own() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let store = store_with_roster(folder.path()).await;
    let pieces = rest(&store, &mut store.back_up(None).await.expect("begins")).await;
    let (alliance, member, secretariat) = names();
    let begin = |folder: &std::path::Path, member: &MemberId| {
        Restoration::begin(folder, 16 << 20, alliance.clone(), member.clone(), secretariat)
    };
    assert_eq!(begin(folder.path(), &member).err().map(|error| error.code()), Some("RESTORE_NOT_EMPTY"));
    std::fs::create_dir(other.path().join("shares")).expect("shares of keys are no store");
    let mut of_another = begin(other.path(), &"globex".parse().expect("valid")).expect("empty");
    let refusals: Vec<_> = pieces.into_iter().filter_map(|piece| of_another.put(piece).err()).map(|e| e.code()).collect();
    assert_eq!(refusals, ["STORE_WRONG_OWNER"]);
}

#[tokio::test]
async fn a_store_is_verified_while_no_node_has_it_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let (alliance, member, secretariat) = names();
    let verify = |secretariat| verify_store(folder.path(), 16 << 20, &alliance, &member, &secretariat);
    assert_eq!(verify(secretariat).err().map(|error| error.code()), Some("STORE_ABSENT"));
    let store = store_with_roster(folder.path()).await;
    let actor = Actor { client: "desk".parse().expect("valid"), certificate: "0a".into() };
    crate::store::on_behalf_of(actor, fill(&store, 0..10_000)).await;
    assert_eq!(verify(secretariat).err().map(|error| error.code()), Some("STORE_IN_USE"));
    store.close();
    let verified = verify(secretariat).expect("readable");
    let feeds: Vec<_> = verified.feeds.iter().map(|feed| (feed.feed.to_string(), feed.size.get())).collect();
    assert_eq!((verified.flaws, feeds), (vec![], vec![("acme/all".to_owned(), 10_000)]));
    assert_eq!(verify(key("globex").public()).expect("readable").flaws.len(), 1);
}

#[tokio::test]
async fn who_asks_for_a_backup_and_has_gone_keeps_nobody_from_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store_with_roster(folder.path()).await;
    for _ in 0..50 {
        // Gone before the writer has answered, or just after.
        let mut asked = Box::pin(store.back_up(None));
        let waker = std::task::Waker::noop();
        drop(asked.as_mut().poll(&mut std::task::Context::from_waker(waker)));
        drop(asked);
        // Whatever comes after it finds what it left.
        store.rebuild().await.expect("durable");
        assert!(store.back_up(None).await.is_ok());
    }
}
