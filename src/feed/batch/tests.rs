use super::*;
use crate::feed::EntryBytes;
use crate::feed::fixtures::{alliance, signing_key};
use crate::feed::{Checkpoint, leaf_hash};

fn leaf(bytes: Vec<u8>) -> Leaf {
    EntryBytes::from_peer(bytes.into()).expect("within bounds").into()
}

fn entries(range: std::ops::Range<u64>) -> Vec<Leaf> {
    range.map(|n| leaf(n.to_be_bytes().to_vec())).collect()
}

fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::empty();
    entries(0..size).iter().for_each(|entry| frontier.push(entry.hash()));
    frontier
}

fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    let checkpoint = Checkpoint { feed: "acme/all".parse().expect("valid"), size: Seq::new(size), root };
    SignedCheckpoint::sign(checkpoint, &alliance(), &signing_key(1))
}

fn signed_at(size: u64) -> SignedCheckpoint {
    signed(size, frontier(size).root())
}

#[test]
fn a_batch_that_was_signed_is_taken() {
    assert_eq!(verify_batch(&Frontier::empty(), &entries(0..1), &signed_at(1)), Ok(frontier(1)));
    assert_eq!(verify_batch(&frontier(5), &entries(5..12), &signed_at(12)), Ok(frontier(12)));
}

#[test]
fn a_changed_left_out_or_moved_entry_is_noticed() {
    let held = frontier(5);
    let mut moved = entries(5..12);
    moved.swap(2, 3);
    let mut changed = entries(5..12);
    changed[6] = entries(99..100).remove(0);
    for bad in [moved, changed] {
        let error = verify_batch(&held, &bad, &signed_at(12)).expect_err("refused");
        assert_eq!(error.code(), "BATCH_ROOT_MISMATCH");
    }
    let mut other_history = frontier(4);
    other_history.push(leaf_hash(b"other"));
    let mut expected = other_history.clone();
    entries(5..12).iter().for_each(|entry| expected.push(entry.hash()));
    let error = verify_batch(&other_history, &entries(5..12), &signed_at(12));
    assert_eq!(error, Err(BatchError::RootMismatch { computed: expected.root() }));
}

#[test]
fn sizes_add_up() {
    let held = frontier(5);
    let code = |entries: &[Leaf], size| verify_batch(&held, entries, &signed_at(size)).expect_err("refused").code();
    assert_eq!(code(&entries(5..11), 12), "BATCH_SIZE_MISMATCH");
    assert_eq!(code(&entries(5..13), 12), "BATCH_SIZE_MISMATCH");
    assert_eq!(code(&entries(5..6), 5), "CHECKPOINT_STALE");
    assert_eq!(code(&entries(5..6), 3), "CHECKPOINT_STALE");
    assert_eq!(code(&[], 12), "BATCH_EMPTY");
}

#[test]
fn a_full_feed_is_stale_and_no_overflow() {
    let full = Frontier::from_parts(Seq::new(u64::MAX), vec![leaf_hash(b""); 64]).expect("64 bits");
    let error = verify_batch(&full, &entries(0..1), &signed(u64::MAX, leaf_hash(b""))).expect_err("refused");
    assert_eq!(error.code(), "CHECKPOINT_STALE");
}

#[test]
fn a_batch_is_bounded_in_entries_and_bytes() {
    let most = MAX_BATCH_ENTRIES as u64;
    assert!(verify_batch(&Frontier::empty(), &entries(0..most), &signed_at(most)).is_ok());
    let one_more = verify_batch(&Frontier::empty(), &entries(0..most + 1), &signed_at(most + 1));
    assert_eq!(one_more.expect_err("refused").code(), "BATCH_TOO_LARGE");

    let large = leaf(vec![0; MAX_ENTRY_BYTES]);
    let of = |n: usize| verify_batch(&Frontier::empty(), &vec![large.clone(); n], &signed(n as u64, leaf_hash(b"")));
    let fitting = MAX_BATCH_BYTES / MAX_ENTRY_BYTES + 1;
    assert_eq!(of(fitting).expect_err("an invented root").code(), "BATCH_ROOT_MISMATCH");
    assert_eq!(of(fitting + 1).expect_err("refused").code(), "BATCH_TOO_LARGE");
}
