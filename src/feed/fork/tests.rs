use proptest::prelude::*;

use super::*;
use crate::domain::Seq;
use crate::feed::fixtures::{alliance, signing_key};
use crate::feed::{Checkpoint, leaf_hash};

fn leaf(history: u8, n: usize) -> Hash {
    leaf_hash(&[&[history], n.to_be_bytes().as_slice()].concat())
}

/// A history of `size` entries that goes its own way from `parting` on.
fn history(branch: u8, parting: usize, size: usize) -> Vec<Hash> {
    (0..size).map(|n| leaf(if n < parting { 0 } else { branch }, n)).collect()
}

fn frontier(leaves: &[Hash]) -> Frontier {
    let mut frontier = Frontier::empty();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier
}

fn signed_for(feed: &str, leaves: &[Hash]) -> SignedCheckpoint {
    let root = frontier(leaves).root();
    let checkpoint = Checkpoint { feed: feed.parse().expect("valid"), size: Seq::ZERO.plus(leaves.len()), root };
    SignedCheckpoint::sign(checkpoint, &alliance(), &signing_key(1))
}

fn signed(leaves: &[Hash]) -> SignedCheckpoint {
    signed_for("acme/all", leaves)
}

/// The parts for checkpoints of `first` and `second` with what is true of the second history.
fn prove(first: &[Hash], second: &[Hash]) -> Result<ForkProof, ForkProofError> {
    let (before, after) = second.split_at(first.len());
    ForkProof::new(signed(first), signed(second), frontier(before).hashes().to_vec(), after.to_vec())
}

#[test]
fn two_roots_of_one_size_are_a_fork() {
    let (ours, theirs) = (history(1, 3, 7), history(2, 3, 7));
    let proof = ForkProof::new(signed(&ours), signed(&theirs), vec![], vec![]).expect("a fork");
    assert_eq!((proof.first(), proof.second()), (&signed(&ours), &signed(&theirs)));
    assert_eq!(proof.feed().to_string(), "acme/all");
    let same = ForkProof::new(signed(&ours), signed(&ours), vec![], vec![]);
    assert_eq!(same, Err(ForkProofError::Consistent));
    let baggage = ForkProof::new(signed(&ours), signed(&theirs), vec![], vec![leaf(0, 0)]);
    assert_eq!(baggage, Err(ForkProofError::Unproven));
    let baggage = ForkProof::new(signed(&ours), signed(&theirs), vec![leaf(0, 0)], vec![]);
    assert_eq!(baggage, Err(ForkProofError::Unproven));
}

#[test]
fn a_longer_history_that_left_out_entries_is_a_fork() {
    let proof = prove(&history(1, 4, 6), &history(2, 4, 11)).expect("a fork");
    assert_eq!((proof.frontier().len(), proof.leaf_hashes().len()), (2, 5));
}

#[test]
fn parts_that_are_made_up_prove_nothing() {
    let (ours, theirs) = (history(1, 4, 6), history(2, 4, 11));
    let true_frontier = frontier(&theirs[..6]).hashes().to_vec();
    let new = |frontier: Vec<Hash>, leaves: &[Hash]| {
        ForkProof::new(signed(&ours), signed(&theirs), frontier, leaves.to_vec()).map_err(|e| e.code())
    };
    assert_eq!(new(frontier(&ours).hashes().to_vec(), &theirs[6..]), Err("FORK_UNPROVEN"));
    assert_eq!(new(true_frontier.clone(), &theirs[5..10]), Err("FORK_UNPROVEN"));
    assert_eq!(new(true_frontier.clone(), &theirs[6..10]), Err("FORK_UNPROVEN"));
    assert_eq!(new(true_frontier.clone(), &[]), Err("FORK_UNPROVEN"));
    assert_eq!(new(true_frontier[..1].to_vec(), &theirs[6..]), Err("FORK_PROOF_FRONTIER"));
    assert_eq!(new(true_frontier, &[leaf(0, 0); MAX_BATCH_ENTRIES + 1]), Err("FORK_PROOF_TOO_LARGE"));
}

#[test]
fn only_checkpoints_of_one_feed_in_order_can_contradict_each_other() {
    let (ours, theirs) = (history(1, 0, 5), history(2, 0, 5));
    let other_feed = ForkProof::new(signed(&ours), signed_for("acme/luxury", &theirs), vec![], vec![]);
    assert_eq!(other_feed, Err(ForkProofError::DifferentFeeds));
    let other_member = ForkProof::new(signed(&ours), signed_for("umbra/all", &theirs), vec![], vec![]);
    assert_eq!(other_member, Err(ForkProofError::DifferentFeeds));
    let turned = ForkProof::new(signed(&ours), signed(&theirs[..4]), vec![], vec![]);
    assert_eq!(turned, Err(ForkProofError::WrongOrder));
}

#[test]
fn a_false_root_of_the_empty_feed_is_a_fork() {
    let checkpoint = Checkpoint { feed: "acme/all".parse().expect("valid"), size: Seq::ZERO, root: leaf(9, 9) };
    let first = SignedCheckpoint::sign(checkpoint, &alliance(), &signing_key(1));
    assert!(ForkProof::new(first, signed(&history(0, 0, 2)), vec![], history(0, 0, 2)).is_ok());
}

proptest! {
    #[test]
    fn forks_are_proved_and_growth_is_not(parting in 0_usize..40, first in 0_usize..40, more in 1_usize..40) {
        let (ours, theirs) = (history(1, parting, first), history(2, parting, first + more));
        prop_assert_eq!(prove(&ours, &theirs).is_ok(), parting < first);
        prop_assert_eq!(prove(&ours, &history(1, parting, first + more)), Err(ForkProofError::Consistent));
    }
}

#[test]
fn a_proof_may_span_a_whole_batch() {
    let size = 6 + MAX_BATCH_ENTRIES;
    assert!(prove(&history(1, 4, 6), &history(2, 4, size)).is_ok());
}
