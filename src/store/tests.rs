//! The store as its users see it: what was acknowledged is there after a reopen, a replica built from batches is the same, and
//! what must not open does not.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::*;
use crate::domain::{
    Evidence, EvidenceKind, IdentifierKind, Infringement, Judgment, PseudonymSet, Reason, Retraction, RetractionReason,
    SignalContent, Statement, Timestamp, Verdict, limits,
};
use crate::feed::{Body, Entry, ForkProof, SignedCheckpoint, encode};

mod audit;
mod backup;
mod erasing;
mod hints;
mod ledger;
mod rekeyed;

/// Stands still until it is set; a negative time makes whoever asks panic.
struct TestClock(AtomicI64);

const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

impl TestClock {
    fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let ms = self.0.load(Ordering::Relaxed);
        assert!(ms >= 0, "the clock breaks, as the test wants it");
        Timestamp::from_unix_ms(ms)
    }
}

/// Counts up, so that every draw differs.
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), crate::domain::EntropyError> {
        for chunk in out.chunks_mut(8) {
            let bytes = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

fn entropy() -> Arc<Counter> {
    Arc::new(Counter(AtomicU64::new(1)))
}

fn key(member: &str) -> Arc<SigningKey> {
    let seed = u64::from(member.as_bytes()[0]);
    Arc::new(SigningKey::generate(&Counter(AtomicU64::new(seed << 32))).expect("a key"))
}

fn options(folder: &std::path::Path, member: &str) -> Options {
    Options {
        folder: folder.to_owned(),
        cache_bytes: 16 << 20,
        alliance: "alliance.example".parse().expect("valid"),
        member: member.parse().expect("valid"),
        key: key(member),
        clock: TestClock::at(NOW_MS),
        entropy: entropy(),
    }
}

fn pseudonym(n: u64) -> Pseudonym {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    Pseudonym(bytes)
}

fn content(n: u64, brand: &str) -> SignalContent {
    SignalContent {
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: vec![PseudonymSet { key: "k1".parse().expect("valid"), pseudonyms: vec![pseudonym(n)] }],
        statement: Statement {
            brand: Some(brand.to_owned()),
            ..Statement::of(Infringement::Other, vec![Evidence::of(EvidenceKind::TestPurchase)])
        },
    }
}

fn tag(n: u64) -> SubmissionTag {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0xD6E8_FEB8_6659_FD93).to_be_bytes());
    SubmissionTag(bytes)
}

fn signal(n: u64) -> Append {
    let entry =
        Entry { recorded_at: Timestamp::from_unix_ms(1), body: Body::Signal { tag: tag(n), content: content(n, "Brand") } };
    let bytes = encode(&entry, [n as u8; limits::SALT_BYTES]).expect("fits");
    Append::Signal { audience: Audience::Alliance, tag: tag(n), known_as: vec![], entry: entry.into(), bytes }
}

/// What becomes of handing in `signal(n)` again, which stands at `seq`.
fn known(seq: u64, n: u64) -> Appended {
    let Append::Signal { entry, .. } = signal(n) else { unreachable!("a signal") };
    Appended::Known(Seq::new(seq), entry)
}

fn retraction(of: Seq) -> Append {
    let body = Body::Retraction(Retraction { signal: of, reason: RetractionReason::EntryError });
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(2), body };
    let bytes = encode(&entry, [9; limits::SALT_BYTES]).expect("fits");
    Append::Retraction { audience: Audience::Alliance, signal: of, entry: entry.into(), bytes }
}

fn feed(text: &str) -> FeedId {
    text.parse().expect("valid")
}

async fn fill(store: &Store, range: std::ops::Range<u64>) {
    for chunk in range.collect::<Vec<_>>().chunks(500) {
        let outcomes = store.append(chunk.iter().map(|n| signal(*n)).collect()).await.expect("durable");
        assert!(outcomes.iter().all(|o| matches!(o, Ok(Appended::Created(_)))));
    }
}

/// Copies everything of `feed` as a follower would.
async fn follow(from: &Store, to: &Store, feed: &FeedId, member_key: &SigningKey) {
    while let Some(batch) = from.batch_after(feed, to.size(feed)).expect("readable") {
        assert!(batch.leaves.len() <= limits::MAX_BATCH_ENTRIES);
        let alliance = "alliance.example".parse().expect("valid");
        let checkpoint = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(member_key.public())).expect("signed");
        let import = Import::verify(&to.frontier(feed), batch.leaves, checkpoint).expect("as signed");
        to.import(import).await.expect("stored");
    }
}

#[test]
fn a_new_store_is_closed_to_other_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep/data");
    let store = Store::open(options(&data, "acme")).expect("opens");
    assert_eq!(data.metadata().expect("there").permissions().mode() & 0o077, 0);
    store.close();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        fill(&store, 0..1_003).await;
        assert_eq!(store.append(vec![retraction(Seq::new(17))]).await, Ok(vec![Ok(Appended::Created(Seq::new(1_003)))]));
        store.feed(&feed("acme/all")).expect("held")
    };
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    let after = store.feed(&feed("acme/all")).expect("held");
    assert_eq!((after.size, after.root, &after.checkpoint), (before.size, before.root, &before.checkpoint));
    assert_eq!((after.live_signals, after.view_digest), (1_002, before.view_digest));
    assert_eq!(store.positions(&pseudonym(5)).len(), 1);
    assert!(store.positions(&pseudonym(17)).is_empty(), "withdrawn");
    assert_eq!(store.retraction_of(&feed("acme/all"), Seq::new(17)), Some(Seq::new(1_003)));
    store.rebuild().await.expect("rebuilt");
    assert_eq!(store.feed(&feed("acme/all")).expect("held").view_digest, before.view_digest);
}

#[tokio::test]
async fn a_submission_is_taken_once_also_within_one_commit_and_after_a_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        let outcomes = store.append(vec![signal(1), signal(2), signal(1)]).await.expect("durable");
        assert_eq!(outcomes[2], Ok(known(0, 1)));
    }
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    assert_eq!(store.append(vec![signal(2)]).await, Ok(vec![Ok(known(1, 2))]));
    assert_eq!(store.find_submission(&Audience::Alliance, &tag(2)), Ok(Some(Seq::new(1))));
    assert_eq!(store.size(&feed("acme/all")), Seq::new(2));
}

#[tokio::test]
async fn a_bad_retraction_spoils_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    fill(&store, 0..2).await;
    let outcomes = store.append(vec![retraction(Seq::new(9)), retraction(Seq::ZERO), retraction(Seq::ZERO), signal(7)]).await;
    let expected = vec![
        Err(StoreError::NoSuchSignal),
        Ok(Appended::Created(Seq::new(2))),
        Ok(Appended::Withdrawn),
        Ok(Appended::Created(Seq::new(3))),
    ];
    assert_eq!(outcomes, Ok(expected));
    let of_a_retraction = store.append(vec![retraction(Seq::new(2))]).await.expect("answered");
    assert_eq!(of_a_retraction, vec![Err(StoreError::NoSuchSignal)]);
}

#[tokio::test]
async fn a_replica_is_the_same_and_can_be_followed_in_turn() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let [acme, bolt, cup] = ["acme", "bolt", "cup"];
    let first = Store::open(options(folders[0].path(), acme)).expect("opens");
    let second = Store::open(options(folders[1].path(), bolt)).expect("opens");
    let third = Store::open(options(folders[2].path(), cup)).expect("opens");
    let of = feed("acme/all");
    for (start, end) in [(0, 3), (3, 4_000), (4_000, 9_500)] {
        fill(&first, start..end).await;
        follow(&first, &second, &of, &key(acme)).await;
    }
    first.append(vec![retraction(Seq::new(4_097))]).await.expect("durable");
    follow(&first, &second, &of, &key(acme)).await;
    follow(&second, &third, &of, &key(acme)).await;
    let summaries: Vec<_> = [&first, &second, &third].map(|s| s.feed(&of).expect("held")).into();
    for summary in &summaries[1..] {
        assert_eq!((summary.size, summary.root), (summaries[0].size, summaries[0].root));
        assert_eq!((summary.view_digest, &summary.checkpoint), (summaries[0].view_digest, &summaries[0].checkpoint));
    }
    for size in [0, 1, 15, 16, 17, 4_096, 4_097, 9_501] {
        let frontiers = [&first, &second, &third].map(|s| s.frontier_at(&of, Seq::new(size)).expect("readable"));
        assert!(frontiers[0].is_some() && frontiers.iter().all(|f| *f == frontiers[0]), "{size}");
    }
    assert_eq!(third.positions(&pseudonym(4_097)), vec![]);
    assert_eq!(third.positions(&pseudonym(4_096)).len(), 1);
}

fn check_record(n: i64) -> CheckRecord {
    CheckRecord {
        checked_at: Timestamp::from_unix_ms(n),
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: content(1, "x").pseudonyms,
        judgment: Judgment { verdict: Verdict::Alleged, reasons: [Reason::AllegedByMember].into(), score: 20 },
        members_elsewhere: 2,
        omitted: 0,
        own_omitted: 0,
        matches: vec![MatchRecord {
            signal: "acme/all/3".parse().expect("valid"),
            status: crate::domain::SignalStatus::Alleged,
            strong: vec![0],
            weak: vec![],
            void: vec![],
            quarantined: false,
            counts: true,
        }],
        freshness: Arc::new(FreshnessRecord { as_of: Timestamp::from_unix_ms(4), feeds: vec![] }),
    }
}

#[tokio::test]
async fn a_check_is_read_again_by_its_reference_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = check_record(5);
    let references = {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        store.record_checks(vec![record.clone(), record.clone()]).await.expect("durable")
    };
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    assert_eq!(store.check(&references[1]), Ok(Some(record.clone())));
    let guessed = CheckReference { secret: references[0].secret ^ 1, ..references[0] };
    assert_eq!(store.check(&guessed), Ok(None));
    let later = store.record_checks(vec![record.clone()]).await.expect("durable");
    assert_ne!(later[0].block, references[0].block, "a reopened store does not write over earlier records");
    assert_eq!(store.check(&references[0]), Ok(Some(record)));
}

#[tokio::test]
async fn a_quarantined_feed_takes_nothing_more_also_after_a_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    let of = feed("bolt/all");
    let alliance: AllianceName = "alliance.example".parse().expect("valid");
    let checkpoint = |root| {
        SignedCheckpoint::sign(
            crate::feed::Checkpoint { feed: of.clone(), size: Seq::new(1), root: Hash([root; 32]) },
            &alliance,
            &key("bolt"),
        )
    };
    {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        let proof = ForkProof::new(checkpoint(1), checkpoint(2), vec![], vec![]).expect("a fork");
        store.quarantine(proof).await.expect("durable");
    }
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    let source = Store::open(options(other.path(), "bolt")).expect("opens");
    fill(&source, 0..1).await;
    let batch = source.batch_after(&of, Seq::ZERO).expect("readable").expect("one entry");
    let signed = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(key("bolt").public())).expect("signed");
    let import = Import::verify(&store.frontier(&of), batch.leaves, signed).expect("as signed");
    assert_eq!(store.import(import).await, Err(StoreError::Quarantined));
    assert_eq!((store.feed_state(&of), store.forks().len()), (FeedState::Quarantined, 1));
}

#[tokio::test]
async fn what_is_heard_of_and_imported_at_once_holds_nothing_up() {
    let (folder, source) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let before = Store::open(options(source.path(), "acme")).expect("opens");
    fill(&before, 0..5).await;
    let of = feed("acme/all");
    let batch = before.batch_after(&of, Seq::ZERO).expect("readable").expect("something");
    let (alliance, public) = ("alliance.example".parse().expect("valid"), key("acme").public());
    let checkpoint = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(public)).expect("signed");
    let import = Import::verify(&Frontier::empty(), batch.leaves, checkpoint).expect("as signed");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let (behind, imported) = tokio::join!(store.mark_behind(of.clone(), Seq::new(5)), store.import(import));
    assert_eq!((behind, imported), (Ok(()), Ok(Seq::new(5))));
    assert_eq!(store.feed_state(&of), FeedState::Followed);
    drop(store);
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    assert!(store.append(vec![signal(5)]).await.expect("durable")[0].is_ok());
}

#[tokio::test]
async fn what_was_imported_since_it_was_heard_of_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    store.append((0..5).map(signal).collect()).await.expect("durable");
    store.mark_behind(feed("acme/all"), Seq::new(5)).await.expect("durable");
    assert_eq!(store.feed_state(&feed("acme/all")), FeedState::Followed);
    assert!(store.append(vec![signal(5)]).await.expect("durable")[0].is_ok());
}

#[tokio::test]
async fn an_own_feed_that_is_behind_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    store.mark_behind(feed("acme/all"), Seq::new(5)).await.expect("durable");
    assert_eq!(store.append(vec![signal(1)]).await, Ok(vec![Err(StoreError::OwnFeedBehind)]));
}

#[tokio::test]
async fn overrides_outlive_the_process_and_are_numbered_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |n| Override {
        verdict: Verdict::KnownGood,
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: content(n, "").pseudonyms,
        made_at: Timestamp::from_unix_ms(5),
        until: None,
        note: "by contract".into(),
    };
    let ids = {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(store.put_override(made(n)).await.expect("durable"));
        }
        assert!(store.remove_override(ids[0]).await.expect("durable"));
        assert!(!store.remove_override(ids[0]).await.expect("durable"), "there is none any more");
        ids
    };
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    assert_eq!(store.overrides(None, 10), [(ids[1], made(1)), (ids[2], made(2))]);
    assert_eq!(store.overrides(Some(ids[1]), 10), [(ids[2], made(2))]);
    assert_eq!(store.overrides_of(&pseudonym(2)), [(ids[2], made(2))]);
    assert!(!store.is_overridden(&pseudonym(0)) && store.is_overridden(&pseudonym(1)));
    assert_eq!(ids[2].to_string().parse(), Ok(ids[2]));
    store.rebuild().await.expect("built");
    assert_eq!(store.overrides(None, 10).len(), 2);
    assert!(store.remove_override(ids[2]).await.expect("durable"));
    assert!(store.put_override(made(3)).await.expect("durable") > ids[2], "no number is given twice");
    let ended = Override { until: Some(Timestamp::from_unix_ms(NOW_MS)), ..made(4) };
    let ended = store.put_override(ended).await.expect("durable");
    store.put_override(made(5)).await.expect("durable");
    assert!(store.overrides(None, 10).iter().all(|(id, _)| *id != ended), "what has ended makes room");
}

#[test]
fn what_must_not_open_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let code = |result: Result<Store, OpenError>| result.err().map(|e| e.code());
    assert_eq!(code(Store::open(options(folder.path(), "acme"))), Some("STORE_IN_USE"));
    let newer = SchemaRow { version: 2, alliance: "alliance.example".into(), member: "acme".into(), unfinished: false };
    let mut commit = Commit::default();
    commit.put(keys::schema(), newer.encode_to_vec());
    drop(store);
    assert_eq!(code(Store::open(options(folder.path(), "bolt"))), Some("STORE_WRONG_OWNER"));
    Engine::open(folder.path(), 1 << 20).and_then(|engine| engine.commit(commit)).expect("written");
    assert_eq!(code(Store::open(options(folder.path(), "acme"))), Some("STORE_SCHEMA_NEWER"));
}

#[tokio::test]
async fn damage_is_refused_and_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        fill(&store, 0..40).await;
    }
    let engine = Engine::open(folder.path(), 1 << 20).expect("opens");
    let no = FeedNo::new(0).expect("small");
    let mut commit = Commit::default();
    commit.remove(&keys::segment(no, 1));
    engine.commit(commit).expect("written");
    drop(engine);
    std::fs::remove_file(folder.path().join("hints")).expect("removed");
    let refused = Store::open(options(folder.path(), "acme")).err().expect("refused");
    assert_eq!(refused.code(), "STORE_DAMAGED");
    assert!(refused.to_string().contains("acme/all"), "{refused}");
}

fn at(folder: &std::path::Path, clock: &Arc<TestClock>) -> Options {
    Options { clock: clock.clone(), ..options(folder, "acme") }
}

#[tokio::test]
async fn many_checks_are_cut_into_blocks_and_each_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let records: Vec<_> = (0..200).map(check_record).collect();
    let references = store.record_checks(records.clone()).await.expect("durable");
    assert_eq!(references.last().map(|r| (r.block, r.place)), Some((3, 7)));
    for (record, reference) in records.iter().zip(&references) {
        assert_eq!(store.check(reference).as_ref(), Ok(&Some(record.clone())));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_overwrites_no_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let mut acknowledged = Vec::new();
    for (n, day) in [(1, 0), (2, 5), (3, 5), (4, 0), (5, 5), (6, 1), (7, 0)] {
        clock.set(NOW_MS + day * DAY_MS);
        let store = Store::open(at(folder.path(), &clock)).expect("opens");
        let references = store.record_checks(vec![check_record(n)]).await.expect("durable");
        acknowledged.push((references[0], check_record(n)));
        for (reference, record) in &acknowledged {
            assert_eq!(store.check(reference).as_ref(), Ok(&Some(record.clone())), "after the check of day {day}");
        }
    }
}

#[tokio::test]
async fn a_check_can_be_read_for_a_year_and_is_then_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let store = Store::open(at(folder.path(), &clock)).expect("opens");
    let first = store.record_checks(vec![check_record(1)]).await.expect("durable")[0];
    clock.set(NOW_MS + DAY_MS);
    let second = store.record_checks(vec![check_record(2)]).await.expect("durable")[0];
    clock.set(NOW_MS + 365 * DAY_MS);
    store.record_checks(vec![check_record(3)]).await.expect("durable");
    assert_eq!(store.check(&first), Ok(Some(check_record(1))));
    clock.set(NOW_MS + 366 * DAY_MS);
    assert_eq!(store.check(&first), Ok(None), "before anything is removed");
    for _ in 0..2 {
        store.record_checks(vec![check_record(4)]).await.expect("durable");
    }
    let block = store.shared.engine.get(&keys::checks(first.day, first.block)).expect("readable");
    assert_eq!(block, None, "removed");
    assert_eq!(store.check(&second), Ok(Some(check_record(2))));
    clock.set(NOW_MS);
    assert_eq!(store.check(&first), Ok(None), "removed for good");
}

fn picture(n: u64, as_of: i64) -> Arc<FreshnessRecord> {
    let feed = |member: &str, size| FeedFreshness {
        feed: feed(&format!("{member}/all")),
        size: Seq::new(size),
        newest_size: Seq::new(size),
        last_heard: Some(Timestamp::from_unix_ms(as_of)),
        state: FeedState::Followed,
        live_signals: size,
        not_understood: 0,
        missing: 0,
    };
    let feeds = (0..40).map(|i| feed(&format!("member-{i}"), if i == 7 { n } else { 1 })).collect();
    Arc::new(FreshnessRecord { as_of: Timestamp::from_unix_ms(as_of), feeds })
}

#[tokio::test]
async fn pictures_of_several_generations_are_read_again_after_a_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut kept = Vec::new();
    for round in 0..2 {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        for n in 0..300 {
            let record = picture(1_000 * round + n, NOW_MS);
            kept.push((store.keep_picture(record.clone()).await.expect("durable"), record));
        }
    }
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    let generations: std::collections::BTreeSet<u32> = kept.iter().map(|(id, _)| id.generation).collect();
    assert_eq!(generations.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (id, record) in &kept {
        assert_eq!(store.picture(*id).expect("readable").as_ref(), Some(&**record), "{id:?}");
    }
}

#[tokio::test]
async fn pictures_are_kept_for_a_year_and_then_go_by_generations() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let store = Store::open(at(folder.path(), &clock)).expect("opens");
    let mut ids = Vec::new();
    for n in 0..=256 {
        let day = if n == 256 { 30 } else { 0 };
        ids.push(store.keep_picture(picture(n, NOW_MS + day * DAY_MS)).await.expect("durable"));
    }
    let present = |id| store.picture(id).expect("readable").is_some();
    clock.set(NOW_MS + 380 * DAY_MS);
    store.record_checks(vec![check_record(1)]).await.expect("durable");
    assert!(present(ids[0]) && present(ids[255]), "the last one may have served until day 30");
    clock.set(NOW_MS + 396 * DAY_MS);
    for n in 2..4 {
        store.record_checks(vec![check_record(n)]).await.expect("durable");
    }
    assert!(!present(ids[0]) && !present(ids[255]) && present(ids[256]), "the newest generation stays");
}

#[test]
fn two_pictures_tell_the_same_whenever_they_were_taken() {
    let (a, later, other) = (picture(1, 5), picture(1, 9), picture(2, 9));
    assert!(a.tells_the_same(&later) && !a.tells_the_same(&other));
    assert_eq!(FreshnessRecord::clone(&a).at(Timestamp::from_unix_ms(9)), *later);
    let mut silent = FreshnessRecord::clone(&later);
    silent.feeds[3].last_heard = Some(Timestamp::from_unix_ms(5));
    assert!(!a.tells_the_same(&silent), "heard at that moment and not since");
}

/// Lets nobody know the time while it is locked.
#[derive(Default)]
struct GateClock {
    gate: Mutex<()>,
    asked: AtomicU64,
}

impl Clock for GateClock {
    fn now(&self) -> Timestamp {
        self.asked.fetch_add(1, Ordering::Relaxed);
        drop(self.gate.lock());
        Timestamp::from_unix_ms(NOW_MS)
    }
}

fn forged(root: u8) -> SignedCheckpoint {
    let checkpoint = crate::feed::Checkpoint { feed: feed("bolt/all"), size: Seq::new(1), root: Hash([root; 32]) };
    SignedCheckpoint::sign(checkpoint, &"alliance.example".parse().expect("valid"), &key("bolt"))
}

fn fork(root: u8) -> ForkProof {
    ForkProof::new(forged(root), forged(root + 1), vec![], vec![]).expect("a fork")
}

async fn one_entry_of_bolt() -> Import {
    let folder = tempfile::tempdir().expect("a folder");
    let bolt = Store::open(options(folder.path(), "bolt")).expect("opens");
    fill(&bolt, 0..1).await;
    let batch = bolt.batch_after(&feed("bolt/all"), Seq::ZERO).expect("readable").expect("one entry");
    let alliance = "alliance.example".parse().expect("valid");
    let signed = SignedCheckpoint::open(batch.checkpoint, &alliance, |_| Some(key("bolt").public())).expect("signed");
    Import::verify(&Frontier::empty(), batch.leaves, signed).expect("as signed")
}

#[tokio::test]
async fn marks_hold_within_the_group_that_makes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let import = one_entry_of_bolt().await;
    let clock = Arc::new(GateClock::default());
    let store = Store::open(Options { clock: clock.clone(), ..options(folder.path(), "acme") }).expect("opens");
    let (large, small) = (Bytes::from(vec![1; 300_000]), Bytes::from_static(b"small"));
    let closed = clock.gate.lock();
    let before = clock.asked.load(Ordering::Relaxed);
    // The writer waits at the gate with the first request; what is sent meanwhile makes one group.
    let group = async {
        while clock.asked.load(Ordering::Relaxed) == before {
            tokio::task::yield_now().await;
        }
        tokio::join!(
            store.mark_behind(feed("acme/all"), Seq::new(5)),
            store.append(vec![signal(1)]),
            store.quarantine(fork(1)),
            store.import(import),
            store.quarantine(fork(3)),
            store.put_roster(large),
            store.put_roster(small),
            async { drop(closed) },
        )
    };
    let (first, group) = tokio::join!(store.put_roster(Bytes::from_static(b"first")), group);
    assert_eq!((first, group.0, group.2, group.4, group.5, group.6), (Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())));
    assert_eq!(group.1, Ok(vec![Err(StoreError::OwnFeedBehind)]));
    assert_eq!(group.3, Err(StoreError::Quarantined));
    assert_eq!(store.forks()[0].1.first, *forged(1).note(), "the first proof stays");
    let second_part = store.shared.engine.get(&keys::part(&keys::roster(), 1)).expect("readable");
    assert_eq!(second_part, None, "nothing is left of the large roster");
    drop(store);
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    assert_eq!((store.forks().len(), store.roster().as_deref()), (1, Some(b"small".as_slice())));
}

#[tokio::test]
async fn a_panic_of_the_writer_is_seen_by_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let store = Store::open(at(folder.path(), &clock)).expect("opens");
    fill(&store, 0..3).await;
    clock.set(-1);
    let code = |result: Result<Vec<Result<Appended, StoreError>>, StoreError>| result.err().map(|e| e.code());
    assert_eq!(code(store.append(vec![signal(3)]).await), Some("STORE_WRITER_PANICKED"));
    clock.set(NOW_MS);
    assert_eq!(code(store.append(vec![signal(4)]).await), Some("STORE_WRITER_PANICKED"));
    assert_eq!(store.health().problem.map(|(code, _)| code), Some("STORE_WRITER_PANICKED"));
    assert_eq!(store.panicked().await.code(), "STORE_WRITER_PANICKED");
    assert!(store.read(&feed("acme/all"), Seq::new(2)).expect("readable").is_some(), "reads go on");
    store.close();
    let store = Store::open(at(folder.path(), &clock)).expect("opens again");
    assert_eq!(store.size(&feed("acme/all")), Seq::new(3));
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_a_problem() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    let store = Store::open(at(folder.path(), &clock)).expect("opens");
    store.shared.began(clock.now());
    clock.set(NOW_MS + 29_000);
    assert_eq!(store.health().problem, None);
    clock.set(NOW_MS + 31_000);
    assert_eq!(store.health().problem.map(|(code, _)| code), Some("STORE_STALLED"));
    store.shared.ended();
    assert_eq!(store.health().problem, None);
}

#[tokio::test]
async fn a_head_that_its_member_did_not_sign_is_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let store = Store::open(options(folder.path(), "acme")).expect("opens");
        fill(&store, 0..3).await;
    }
    // Entries and frontier agree with each other, and not with the note.
    let engine = Engine::open(folder.path(), 1 << 20).expect("opens");
    let no = FeedNo::new(0).expect("small");
    let mut row = rows::HeadRow::decode(&*engine.get(&keys::head(no)).expect("read").expect("a head")).expect("a row");
    let feed = feed("acme/all");
    let checkpoint = crate::feed::Checkpoint { feed, size: Seq::new(3), root: Hash([1; 32]) };
    let note = SignedCheckpoint::sign(checkpoint, &"alliance.example".parse().expect("valid"), &key("acme"));
    row.checkpoint.note = note.note().clone();
    let mut commit = Commit::default();
    commit.put(keys::head(no), row.encode_to_vec());
    engine.commit(commit).expect("written");
    drop(engine);
    assert_eq!(Store::open(options(folder.path(), "acme")).err().map(|e| e.code()), Some("STORE_DAMAGED"));
}

#[tokio::test]
async fn a_closed_store_is_free_for_another_and_a_refused_open_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let unfinished = folder.path().join("sled").join("snap.1.generating");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    fill(&store, 0..3).await;
    std::fs::write(&unfinished, "of the process that has it open").expect("written");
    assert_eq!(Store::open(options(folder.path(), "acme")).err().map(|e| e.code()), Some("STORE_IN_USE"));
    assert!(unfinished.exists());
    store.close();
    let second = Store::open(options(folder.path(), "acme")).expect("the first is closed");
    assert_eq!(second.size(&feed("acme/all")), Seq::new(3));
    assert_eq!(store.append(vec![signal(9)]).await, Err(StoreError::Closed));
}

#[tokio::test]
async fn a_store_that_cannot_keep_its_ballast_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = TestClock::at(NOW_MS);
    {
        let store = Store::open(at(folder.path(), &clock)).expect("opens");
        fill(&store, 0..3).await;
    }
    // A folder in its place: the ballast cannot be written.
    let ballast = folder.path().join("ballast");
    std::fs::remove_file(&ballast).expect("removed");
    std::fs::create_dir(&ballast).expect("a folder");
    let store = Store::open(at(folder.path(), &clock)).expect("opens");
    assert_eq!(store.health().problem.map(|(code, _)| code), Some("STORE_IO"));
    assert_eq!(store.append(vec![signal(9)]).await.err().map(|e| e.code()), Some("STORE_IO"));
    assert!(store.read(&feed("acme/all"), Seq::new(2)).expect("readable").is_some(), "reads go on");
}
