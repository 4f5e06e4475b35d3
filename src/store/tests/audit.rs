//! The audit log: noted with what it tells of, under a head that its member signed, and kept no longer than it is to be.

use super::*;
use crate::domain::{Actor, AuditKind, AuditRecord, Verdict};
use crate::feed::{AuditHead, decode_audit, leaf_hash};

fn actor(name: &str) -> Actor {
    Actor { client: name.parse().expect("valid"), certificate: "0a".into() }
}

fn clearing(until: Timestamp) -> Override {
    let verdict = Verdict::KnownGood;
    let (kinds, pseudonyms, note) = (Vec::new(), Vec::new(), String::new());
    Override { verdict, kinds, pseudonyms, made_at: Timestamp::from_unix_ms(NOW_MS), until: Some(until), note }
}

fn noted(at: i64, n: u32) -> AuditRecord {
    let (at, actor) = (Timestamp::from_unix_ms(at), actor("screening"));
    AuditRecord { at, actor, kind: AuditKind::Check, reference: format!("{n:016x}"), count: n }
}

/// Everything that is kept, after it was compared with the signed head.
fn log(store: &Store) -> Vec<AuditRecord> {
    let (mut frontier, mut records, mut head) = (None, Vec::new(), Vec::new());
    loop {
        let from = frontier.as_ref().map_or(Seq::ZERO, Frontier::size);
        let page = store.audit(from, 7).expect("readable");
        let grown = frontier.get_or_insert_with(|| page.kept_after.clone());
        assert_eq!(page.first, grown.size());
        head = if head.is_empty() { page.head.to_vec() } else { head };
        if page.records.is_empty() {
            break;
        }
        page.records.iter().for_each(|record| grown.push(leaf_hash(record)));
        records.extend(page.records.iter().map(|record| decode_audit(record).expect("of this version")));
    }
    let frontier = frontier.expect("a page");
    if !head.is_empty() {
        let (alliance, member) = ("alliance.example".parse().expect("valid"), "acme".parse().expect("valid"));
        let signed = AuditHead::open(&head, &alliance, &member, &key("acme").public()).expect("signed");
        assert_eq!(signed, AuditHead { size: frontier.size(), root: frontier.root() });
    }
    records
}

#[tokio::test]
async fn what_a_client_changes_is_noted_with_it_and_what_the_node_does_itself_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    fill(&store, 0..3).await;
    assert_eq!(log(&store), []);
    on_behalf_of(actor("brand-1"), fill(&store, 3..10)).await;
    let again =
        on_behalf_of(actor("brand-2"), store.append(vec![signal(4), retraction(Seq::new(4)), retraction(Seq::new(99))]));
    assert_eq!(again.await.expect("durable")[2], Err(StoreError::NoSuchSignal));
    store.close();
    drop(store);
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    let said: Vec<_> = log(&store).into_iter().map(|r| (r.actor.client.to_string(), r.kind, r.reference, r.count)).collect();
    let expected = [
        ("brand-1".to_owned(), AuditKind::Submission, "acme/all/3-9".to_owned(), 7),
        ("brand-2".to_owned(), AuditKind::Submission, "acme/all/4".to_owned(), 1),
        ("brand-2".to_owned(), AuditKind::Retraction, "acme/all/10".to_owned(), 1),
    ];
    assert_eq!(said, expected, "what was refused was not done");
}

#[tokio::test]
async fn what_is_done_to_the_store_is_noted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    fill(&store, 0..3).await;
    let purged = on_behalf_of(actor("operator"), async {
        store.rebuild().await.expect("whole");
        (store.purge().await, store.append(vec![super::erasing::erasure(&[1])]).await, store.purge().await)
    })
    .await;
    assert_eq!((purged.0, purged.2), (Ok(false), Ok(true)), "there was nothing to purge at first");
    let made = clearing(Timestamp::from_unix_ms(NOW_MS + DAY_MS));
    let number = on_behalf_of(actor("desk"), store.put_override(made)).await.expect("durable");
    let (first, second) = on_behalf_of(actor("desk"), async {
        let other = store.note_audit(Vec::new());
        let (_, first, second) = tokio::join!(other, store.remove_override(number), store.remove_override(number));
        (first, second)
    })
    .await;
    assert_eq!((first, second), (Ok(true), Ok(false)));
    let kinds: Vec<AuditKind> = log(&store).iter().map(|record| record.kind).collect();
    let expected = [AuditKind::Rebuild, AuditKind::Erasure, AuditKind::Purge, AuditKind::Override, AuditKind::OverrideRemoval];
    assert_eq!(kinds, expected);
}

#[test]
fn a_page_that_is_read_while_others_are_pruned_numbers_its_records_rightly() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let store = std::sync::Arc::new(Store::open(options(folder.path(), "acme")).expect("opens"));
    for round in 0..200 {
        let records = (0..64).map(|n| noted(NOW_MS + round, u32::try_from(round).expect("few") * 64 + n)).collect();
        runtime.block_on(store.note_audit(records)).expect("durable");
    }
    let pruning = store.clone();
    let pruned = runtime.spawn(async move {
        for round in 1..200 {
            pruning.prune_audit(Timestamp::from_unix_ms(NOW_MS + round)).await.expect("durable");
        }
    });
    while !pruned.is_finished() {
        let page = store.audit(Seq::ZERO, 1_000).expect("readable");
        for (number, record) in (page.first.get()..).zip(&page.records) {
            assert_eq!(u64::from(decode_audit(record).expect("of this version").count), number);
        }
    }
    runtime.block_on(pruned).expect("ended");
}

#[tokio::test]
async fn old_records_go_and_the_tree_over_the_rest_still_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(folder.path(), "acme")).expect("opens");
    for day in 0..10 {
        store.note_audit((0..100).map(|n| noted(NOW_MS + day * DAY_MS, n)).collect()).await.expect("durable");
    }
    assert_eq!(log(&store).len(), 1_000);
    assert_eq!(store.prune_audit(Timestamp::from_unix_ms(NOW_MS)).await, Ok(0));
    assert_eq!(store.prune_audit(Timestamp::from_unix_ms(NOW_MS + 3 * DAY_MS)).await, Ok(300));
    let kept = log(&store);
    assert_eq!((kept.len(), kept[0].at), (700, Timestamp::from_unix_ms(NOW_MS + 3 * DAY_MS)));
    store.note_audit(vec![noted(NOW_MS, 1)]).await.expect("durable");
    store.close();
    drop(store);
    let store = Store::open(options(folder.path(), "acme")).expect("opens again");
    assert_eq!(log(&store).len(), 701);
    assert_eq!(store.prune_audit(Timestamp::from_unix_ms(NOW_MS + 100 * DAY_MS)).await, Ok(701));
    assert_eq!(log(&store), []);
    store.note_audit(vec![noted(NOW_MS, 1)]).await.expect("durable");
    let page = store.audit(Seq::ZERO, 10).expect("readable");
    assert_eq!((page.first, page.records.len(), page.size), (Seq::new(1_001), 1, Seq::new(1_002)));
}
