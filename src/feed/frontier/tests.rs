use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::feed::leaf_hash;

fn grown<'l>(leaves: impl IntoIterator<Item = &'l [u8]>) -> Frontier {
    let mut frontier = Frontier::empty();
    leaves.into_iter().for_each(|leaf| frontier.push(leaf_hash(leaf)));
    frontier
}

/// The leaves that implementations of Certificate Transparency test with.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// The roots of the first 0 to 8 of them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_of_certificate_transparency() {
    for (n, root) in ROOTS.iter().enumerate() {
        let frontier = grown(LEAVES[..n].iter().copied());
        assert_eq!(frontier.root().to_string(), *root, "{n} leaves");
        assert_eq!(frontier.size(), Seq::new(n as u64));
    }
}

#[test]
fn a_frontier_has_a_hash_for_each_bit_of_its_size() {
    let leaf = leaf_hash(b"a");
    for (size, expected) in [(0, 0), (1, 1), (6, 2), (7, 3), (8, 1), (u64::MAX, 64)] {
        assert!(Frontier::from_parts(Seq::new(size), vec![leaf; expected]).is_ok(), "{size}");
        let one_more = Frontier::from_parts(Seq::new(size), vec![leaf; expected + 1]).expect_err("refused");
        assert_eq!((one_more.code(), one_more.expected, one_more.found), ("FRONTIER_INVALID", expected, expected + 1));
    }
}

#[test]
fn the_largest_size_does_not_overflow() {
    let mut frontier = Frontier::from_parts(Seq::new(u64::MAX), vec![leaf_hash(b"a"); 64]).expect("64 bits");
    frontier.push(leaf_hash(b"b"));
    assert_eq!(frontier.size(), Seq::new(u64::MAX));
}

proptest! {
    #[test]
    fn roots_are_those_of_an_independent_tree(leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..200)) {
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut frontier = Frontier::empty();
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf));
            oracle.push(leaf);
            let expected = oracle.root();
            prop_assert_eq!(&frontier.root().0[..], &expected.as_bytes()[..]);
            prop_assert_eq!(frontier.hashes().len(), frontier.size().get().count_ones() as usize);
        }
    }

    #[test]
    fn a_frontier_goes_on_from_its_parts(before in 0_usize..300, after in 0_usize..50) {
        let leaves: Vec<Vec<u8>> = (0..before + after).map(|n| n.to_be_bytes().to_vec()).collect();
        let whole = grown(leaves.iter().map(Vec::as_slice));
        let half = grown(leaves[..before].iter().map(Vec::as_slice));
        let mut resumed = Frontier::from_parts(half.size(), half.hashes().to_vec()).expect("its own parts");
        leaves[before..].iter().for_each(|leaf| resumed.push(leaf_hash(leaf)));
        prop_assert_eq!(resumed, whole);
    }
}
