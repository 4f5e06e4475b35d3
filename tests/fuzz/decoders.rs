//! Every decoder of what others send or write, behind one door: bytes in, nothing out, and never a panic. Here those of what a peer sends
//! about shared keys, and of the notes and entries that come from peers. Shared by the fuzzer and by the test that runs on stable.

mod files;
mod messages;
mod signed;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use countermark::domain::{
    AllianceName, Entropy, EntropyError, FeedKey, GroupElement, HolderIndex, KeyClass, KeyHolder, MemberId, SharedClass,
    SharedGeneration,
};
use countermark::feed::{
    CeremonyPart, EntryBytes, EvaluationReceipt, Hash, Round, SignedCheckpoint, SignedRoster, SigningKey, decode, decode_audit,
    open_sharing, sign_sharing,
};
use countermark::pseudonym::ceremony::{Making, Piece, Purpose, Repair, Seed};
use countermark::pseudonym::toprf::{Blinding, Evaluation, KeyShare, PublicShares, Quorum};
use countermark::pseudonym::{CanonicalIdentifier, Canonicaliser, HeldShares, deal};
use zeroize::Zeroizing;

/// Gives the same numbers every time.
pub(crate) struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for (place, byte) in out.iter_mut().enumerate() {
            *byte = u8::try_from(place % 251).unwrap_or(0) ^ 0x5a;
        }
        Ok(())
    }
}

fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

fn member(name: &str) -> MemberId {
    name.parse().expect("valid")
}

fn place(index: u16) -> HolderIndex {
    HolderIndex::new(index).expect("not zero")
}

fn key() -> SigningKey {
    SigningKey::generate(&Fixed).expect("a key")
}

fn making(own: u16, seed: u8) -> Making {
    Making {
        purpose: Purpose::Generate,
        threshold: 2,
        participants: [place(1), place(2)].into(),
        own: place(own),
        seed: Seed::from_bytes(&[seed; 32]),
    }
}

/// A key 2 of 3, and a batch that was blinded for it.
struct Shared {
    classes: Vec<SharedClass>,
    held: Vec<HeldShares>,
    public: PublicShares,
    quorum: Quorum,
    blinding: Blinding,
}

fn identifiers() -> Vec<CanonicalIdentifier> {
    use countermark::domain::{Identifier, IdentifierKind, Roster};
    let roster = Roster::first(alliance(), "2026-11-22T00:00:00Z".into());
    let canonicaliser = Canonicaliser::new(&roster).expect("valid");
    let phone = Identifier { kind: IdentifierKind::Phone, value: "+8613800138000".into(), region: String::new() };
    vec![canonicaliser.canonical(&phone).expect("valid")]
}

fn shared() -> Shared {
    let members = ["acme", "brand", "chips"].map(member);
    let (sharing, held) = deal(2, &members, &Fixed).expect("dealt");
    let class = sharing.class(KeyClass::LowEntropy).expect("there");
    Shared {
        public: PublicShares::of(class).expect("elements"),
        quorum: Quorum::new(vec![place(1), place(2)], 2).expect("two"),
        blinding: Blinding::of(&identifiers(), &Fixed).expect("blinded"),
        classes: sharing.classes,
        held,
    }
}

fn share(shared: &Shared, own: usize) -> &KeyShare {
    shared.held[own].share(KeyClass::LowEntropy).expect("there")
}

fn receipt() -> EvaluationReceipt {
    EvaluationReceipt {
        holder: member("acme"),
        member: member("brand"),
        key: "k1".parse().expect("valid"),
        class: KeyClass::LowEntropy,
        generation: 0,
        share: GroupElement([4; 32]),
        day: 20_000,
        count: 8,
        spent: 8,
        asked: Hash([1; 32]),
        answered: Hash([2; 32]),
    }
}

fn part() -> CeremonyPart {
    CeremonyPart { ceremony: Hash([3; 32]), round: Round::Commitments, from: member("acme"), to: None }
}

fn generation(classes: Vec<SharedClass>) -> SharedGeneration {
    let holder = |(index, name): (u16, &str)| KeyHolder { member: member(name), index: place(index) };
    let holders = (1..).zip(["acme", "brand", "chips"]).map(holder).collect();
    SharedGeneration { key: "k1".parse().expect("valid"), generation: 0, threshold: 2, holders, classes }
}

fn chunks(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.as_chunks::<32>().0.to_vec()
}

fn pieces(bytes: &[u8]) -> BTreeMap<HolderIndex, Piece> {
    chunks(bytes).into_iter().zip(1..).map(|(bytes, index)| (place(index), Zeroizing::new(bytes))).collect()
}

pub(crate) type Decoder = (&'static str, fn(&[u8]), fn() -> Vec<u8>);

/// A name, the decoder, and something that it takes.
const DECODERS: &[Decoder] = &[
    ("commitments of a ceremony", of_commitments, || making(2, 2).commitments().expect("made")),
    ("shares of a ceremony", of_dealt, || {
        let theirs = BTreeMap::from([(place(1), making(1, 1).commitments().expect("made"))]);
        making(2, 2).shares(&theirs).expect("dealt").remove(&place(1)).expect("for one").to_vec()
    }),
    ("a split, pieces and sums of a repair", of_repair, || {
        let shared = shared();
        let helpers: BTreeSet<HolderIndex> = [place(1), place(2)].into();
        let repair = Repair { class: KeyClass::LowEntropy, public: &shared.public, helpers: &helpers, place: place(3) };
        let split = repair.split(share(&shared, 0), &Seed::from_bytes(&[1; 32])).expect("split");
        split.commitments.iter().flat_map(|element| element.0).chain(split.pieces.values().flat_map(|piece| **piece)).collect()
    }),
    ("blinded elements", of_blinded, || shared().blinding.encoded().as_flattened().to_vec()),
    ("evaluated elements and their proof", of_evaluated, || {
        let shared = shared();
        let evaluation = share(&shared, 0).evaluate(&shared.quorum, shared.blinding.encoded(), &Fixed).expect("evaluated");
        [evaluation.proof.as_slice(), evaluation.elements.as_flattened()].concat()
    }),
    ("a polynomial", of_polynomial, || shared().classes[0].polynomial.iter().flat_map(|element| element.0).collect()),
    ("a holder's receipt", of_receipt, || receipt().sign(&alliance(), &key()).to_vec()),
    ("a part of a ceremony", of_part, || part().sign(&alliance(), b"", &key()).to_vec()),
    ("what holders say of their shares", of_sharing, || {
        sign_sharing(&alliance(), &generation(shared().classes), &member("acme"), &key()).to_vec()
    }),
    ("a share file", of_shares, || shared().held[0].to_text().as_bytes().to_vec()),
    ("a checkpoint", of_checkpoint, || {
        b"alliance.example/acme/all\n1\nAAAA\n\n\xe2\x80\x94 alliance.example/acme AAAAAAAA\n".to_vec()
    }),
    ("a roster", of_roster, || b"format = 1\n\n\xe2\x80\x94 alliance.example/roster AAAAAAAA\n".to_vec()),
    ("an entry", of_entry, || vec![8, 1, 18, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 1]),
    ("a record of an audit log", of_audit, || vec![8, 1, 16, 1]),
];

/// All of them.
pub(crate) fn decoders() -> impl Iterator<Item = &'static Decoder> {
    DECODERS.iter().chain(files::DECODERS).chain(signed::DECODERS).chain(messages::DECODERS)
}

fn of_commitments(data: &[u8]) {
    let theirs = BTreeMap::from([(place(2), data.to_vec())]);
    drop(making(1, 1).shares(&theirs));
}

fn of_dealt(data: &[u8]) {
    let theirs = BTreeMap::from([(place(2), making(2, 2).commitments().expect("made"))]);
    let dealt = BTreeMap::from([(place(2), Zeroizing::new(data.to_vec()))]);
    drop(making(1, 1).finish(&theirs, &dealt));
}

fn of_repair(data: &[u8]) {
    let shared = shared();
    let helpers: BTreeSet<HolderIndex> = [place(1), place(2)].into();
    let repair = Repair { class: KeyClass::LowEntropy, public: &shared.public, helpers: &helpers, place: place(3) };
    let (elements, scalars) = data.split_at(data.len().min(64));
    let commitments: Vec<GroupElement> = chunks(elements).into_iter().map(GroupElement).collect();
    let _ = repair.check_split(place(1), &commitments);
    let all = BTreeMap::from([(place(1), commitments.clone()), (place(2), commitments)]);
    drop(repair.sum(place(1), &pieces(scalars), &all));
    drop(repair.finish(&pieces(scalars), &all));
}

fn of_blinded(data: &[u8]) {
    let shared = shared();
    drop(share(&shared, 0).evaluate(&shared.quorum, &chunks(data), &Fixed));
}

fn of_evaluated(data: &[u8]) {
    let shared = shared();
    let Some((proof, elements)) = data.split_first_chunk::<64>() else { return };
    let evaluation = Evaluation { elements: chunks(elements), proof: *proof };
    drop(shared.blinding.verify(&evaluation, &shared.public, &shared.quorum, place(1)));
}

fn of_polynomial(data: &[u8]) {
    drop(PublicShares::new(&chunks(data)));
}

fn of_receipt(data: &[u8]) {
    drop(receipt().open(data, &alliance(), &key().public()));
}

fn of_part(data: &[u8]) {
    let _ = part().verify(&alliance(), data, b"", &key().public());
}

fn of_sharing(data: &[u8]) {
    let known: Option<FeedKey> = Some(key().public());
    drop(open_sharing(data, &alliance(), |_| known));
}

fn of_shares(data: &[u8]) {
    drop(std::str::from_utf8(data).map(HeldShares::from_text));
}

fn of_checkpoint(data: &[u8]) {
    drop(SignedCheckpoint::open(Bytes::copy_from_slice(data), &alliance(), |_| Some(key().public())));
}

fn of_roster(data: &[u8]) {
    drop(SignedRoster::open(Bytes::copy_from_slice(data), &alliance(), &key().public()));
}

fn of_entry(data: &[u8]) {
    drop(EntryBytes::from_peer(Bytes::copy_from_slice(data)).map(|bytes| decode(&bytes).map(drop)));
}

fn of_audit(data: &[u8]) {
    drop(decode_audit(data));
}

/// The first byte says which decoder gets the rest.
pub(crate) fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    if let Some((_, decoder, _)) = decoders().nth(usize::from(*first)) {
        decoder(rest);
    }
}
