use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::feed::fixtures::{self, FixedEntropy, padded};
use crate::feed::{Checkpoint, SigningKey, leaf_hash};

fn leaf(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn hashes(numbers: std::ops::Range<u64>) -> Vec<Hash> {
    numbers.map(|number| leaf_hash(&leaf(number))).collect()
}

fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::empty();
    hashes(0..size).into_iter().for_each(|leaf| frontier.push(leaf));
    frontier
}

proptest! {
    #[test]
    fn a_path_leads_to_the_root_of_another_implementation(size in 1_u64..300, start in 0_u64..300, at in 0_u64..300) {
        let start = start % size;
        let index = start + at % (size - start);
        let path = InclusionPath::of(&frontier(start), &hashes(start..size), Seq::new(index)).expect("among the leaves");
        prop_assert_eq!(path.root(leaf_hash(&leaf(index)), Seq::new(size)), Some(frontier(size).root()));
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        (0..size).for_each(|number| tree.push(leaf(number)));
        let theirs = tree.prove_inclusion(usize::try_from(index).expect("small"));
        let ours: Vec<u8> = path.hashes.iter().flat_map(|hash| hash.0).collect();
        prop_assert_eq!(theirs.as_bytes(), ours.as_slice());
        let root: RootHash<Sha256> = tree.root();
        prop_assert!(root.verify_inclusion(&leaf(index), index, &theirs).is_ok());
    }

    #[test]
    fn no_other_leaf_place_or_size_has_that_path(size in 2_u64..100, at in 0_u64..100, other in 0_u64..100) {
        let index = at % size;
        let path = InclusionPath::of(&Frontier::empty(), &hashes(0..size), Seq::new(index)).expect("among the leaves");
        let root = Some(frontier(size).root());
        let moved = InclusionPath { index: Seq::new(other), ..path.clone() };
        prop_assert_eq!(moved.root(leaf_hash(&leaf(index)), Seq::new(size)) == root, other == index);
        prop_assert_eq!(path.root(leaf_hash(&leaf(other)), Seq::new(size)) == root, other == index);
        let mut longer = path.clone();
        longer.hashes.push(Hash([0; 32]));
        prop_assert_eq!(longer.root(leaf_hash(&leaf(index)), Seq::new(size)), None);
    }
}

#[test]
fn a_leaf_that_is_not_there_has_no_path() {
    assert_eq!(InclusionPath::of(&frontier(2), &hashes(2..5), Seq::new(1)), None, "before what is at hand");
    assert_eq!(InclusionPath::of(&frontier(2), &hashes(2..5), Seq::new(5)), None, "behind it");
    let path = InclusionPath { index: Seq::ZERO, hashes: Vec::new() };
    assert_eq!(path.root(Hash([1; 32]), Seq::ZERO), None, "in no tree");
    assert_eq!(path.root(Hash([1; 32]), Seq::new(1)), Some(Hash([1; 32])), "a tree of one leaf is its hash");
}

#[test]
fn a_proof_stands_for_itself() {
    let alliance: AllianceName = "alliance.example".parse().expect("valid");
    let key = SigningKey::generate(&FixedEntropy(Some(7))).expect("a key");
    let feed: FeedId = "acme/all".parse().expect("valid");
    let checkpoint = Checkpoint { feed: feed.clone(), size: Seq::new(6), root: frontier(6).root() };
    let signed = SignedCheckpoint::sign(checkpoint, &alliance, &key);
    let path = InclusionPath::of(&frontier(3), &hashes(3..6), Seq::new(4)).expect("among the leaves");
    let text = write_proof(&path, signed.note());
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 4\n"), "{text}");
    let verify = |text: &str, number: u64, index: u64| {
        let key_of = |asked: &FeedId| (*asked == feed).then(|| key.public());
        verify_proof(text, leaf_hash(&leaf(number)), Seq::new(index), &alliance, key_of).map_err(|error| error.code())
    };
    assert_eq!(verify(&text, 4, 4), Ok(signed));
    let extended = text.replace("@v1\n", "@v1\nextra YQ==\n");
    assert!(verify(&extended, 4, 4).is_ok(), "what others add is nothing to us");
    assert_eq!(verify(&text, 5, 4), Err("PROOF_NOT_INCLUDED"), "another entry");
    assert_eq!(verify(&text, 4, 3), Err("PROOF_NOT_INCLUDED"), "another place");
    assert_eq!(verify(&text.replace("\n6\n", "\n7\n"), 4, 4), Err("NOTE_SIGNATURE_WRONG"), "a changed checkpoint");
    for broken in [String::new(), text.replace("index 4", "index 04"), text.replace("\n\n", "\n"), "x".repeat(1 << 20)] {
        assert_eq!(verify(&broken, 4, 4), Err("PROOF_MALFORMED"));
    }
}

#[test]
fn a_proof_may_be_as_long_as_that_of_the_largest_tree_and_has_a_bound() {
    let (alliance, key) = (fixtures::alliance(), fixtures::signing_key(7));
    let checkpoint = Checkpoint { feed: "acme/all".parse().expect("valid"), size: Seq::new(u64::MAX), root: Hash([1; 32]) };
    let note = padded(SignedCheckpoint::sign(checkpoint, &alliance, &key).note(), MAX_CHECKPOINT_BYTES);
    let path = InclusionPath { index: Seq::new(u64::MAX - 1), hashes: vec![Hash([2; 32]); MAX_FRONTIER_HASHES] };
    let text = write_proof(&path, &note);
    let code = |text: &str| {
        let leaf = Hash([3; 32]);
        verify_proof(text, leaf, path.index, &alliance, |_| Some(key.public())).expect_err("of no tree").code()
    };
    assert_eq!(code(&text), "PROOF_NOT_INCLUDED", "it was read");
    let extended = |bytes: usize| {
        let extra = format!("@v1\nextra {}\n", "A".repeat(bytes - text.len() - "extra \n".len()));
        text.replacen("@v1\n", &extra, 1)
    };
    let bound = 256 + 64 * 48 + 1_024;
    assert_eq!((code(&extended(bound)), code(&extended(bound + 1))), ("PROOF_NOT_INCLUDED", "PROOF_MALFORMED"));
}
