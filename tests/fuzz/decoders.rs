//! Every decoder of what others send or write, behind one door: bytes in, whether they are taken out, and never a panic. Here those of
//! what a peer sends about shared keys, and of the notes and entries that come from peers. Shared by the fuzzer and by the test that runs
//! on stable.
//!
//! Not here is what libraries take apart before us (TLS, HTTP/2, frames of gRPC), and the `traceparent` of a caller, which a program
//! without the feature `otel` does not read.

mod backups;
mod certificates;
mod exports;
mod files;
mod messages;
mod names;
mod repairs;
mod signed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use countermark::domain::{
    AllianceName, Clock, Entropy, EntropyError, FeedId, FeedKey, Group, GroupElement, HolderIndex, KeyClass, KeyState, Member,
    MemberId, MemberKind, MemberState, Roster, RosterKey, Scheme, Seq, SharedGeneration, Sharing, Timestamp,
};
use countermark::feed::{
    CeremonyPart, Checkpoint, EntryBytes, EvaluationReceipt, Hash, Round, SignedCheckpoint, SignedRoster, SigningKey, decode,
    decode_audit, join_sharing, open_sharing, sha256, sign_sharing,
};
use countermark::pseudonym::ceremony::{Making, Piece, Purpose, Repair, Seed, Split};
use countermark::pseudonym::toprf::{Blinding, Evaluation, KeyShare, PublicShares, Quorum};
use countermark::pseudonym::{CanonicalIdentifier, Canonicaliser, HeldShares, deal};
use countermark::store::{ModelDisk, Owner, Store};
use zeroize::Zeroizing;

/// When all of this happens: 2026-11-22T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_305_600_000);

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

/// Stands still.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

fn member(name: &str) -> MemberId {
    name.parse().expect("valid")
}

fn feed() -> FeedId {
    "acme/all".parse().expect("valid")
}

fn place(index: u16) -> HolderIndex {
    HolderIndex::new(index).expect("not zero")
}

/// The secretariat's, and that of all members.
fn key() -> SigningKey {
    SigningKey::generate(&Fixed).expect("a key")
}

/// A member's, which is empty and in memory.
fn store_of(name: &str) -> Store {
    let (alliance, member, key) = (alliance(), member(name), Arc::new(key()));
    let owner = Owner { alliance, member, key, clock: Arc::new(Stopped), entropy: Arc::new(Fixed) };
    Store::open_model(&ModelDisk::new(), owner).expect("opens")
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
    sharing: Sharing,
    held: Vec<HeldShares>,
    public: PublicShares,
    quorum: Quorum,
    blinding: Blinding,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let (sharing, held) = deal(2, &["acme", "brand", "chips"].map(member), &Fixed).expect("dealt");
    Shared {
        public: PublicShares::of(sharing.class(KeyClass::LowEntropy).expect("there")).expect("elements"),
        quorum: Quorum::new(vec![place(1), place(2)], 2).expect("two"),
        blinding: Blinding::of(&identifiers(), &Fixed).expect("blinded"),
        sharing,
        held,
    }
});

fn identifiers() -> Vec<CanonicalIdentifier> {
    use countermark::domain::{Identifier, IdentifierKind};
    let roster = Roster::first(alliance(), "2026-11-22T00:00:00Z".into());
    let canonicaliser = Canonicaliser::new(&roster).expect("valid");
    let phone = Identifier { kind: IdentifierKind::Phone, value: "+8613800138000".into(), region: String::new() };
    vec![canonicaliser.canonical(&phone).expect("valid")]
}

/// Three members, a group, and the key that they hold.
static ROSTER: LazyLock<SignedRoster> = LazyLock::new(|| {
    let of = |name: &str| Member {
        id: member(name),
        kind: MemberKind::Brand,
        name: name.to_uppercase(),
        state: MemberState::Active,
        address: format!("{name}.example:7400"),
        feed_key: key().public(),
    };
    let roster = Roster {
        members: ["acme", "brand", "chips"].map(of).into(),
        groups: vec![Group { name: "luxury".parse().expect("valid"), members: [member("acme"), member("brand")].into() }],
        keys: vec![RosterKey {
            id: "k1".parse().expect("valid"),
            scheme: Scheme::ToprfRistretto255,
            state: KeyState::Active,
            check: String::new(),
            sharing: Some(SHARED.sharing.clone()),
        }],
        ..Roster::first(alliance(), "2026-11-22T00:00:00Z".into())
    };
    SignedRoster::sign(roster, &key()).expect("valid")
});

fn share(own: usize) -> &'static KeyShare {
    SHARED.held[own].share(KeyClass::LowEntropy).expect("there")
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

fn generation() -> SharedGeneration {
    SharedGeneration::of(&ROSTER.roster().keys[0]).expect("made")
}

fn chunks(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.as_chunks::<32>().0.to_vec()
}

fn pieces(bytes: &[u8]) -> BTreeMap<HolderIndex, Piece> {
    chunks(bytes).into_iter().zip(1..).map(|(bytes, index)| (place(index), Zeroizing::new(bytes))).collect()
}

/// A name, whether it takes bytes, and bytes that it takes.
pub(crate) type Decoder = (&'static str, fn(&[u8]) -> bool, fn() -> Vec<u8>);

const DECODERS: &[Decoder] = &[
    ("commitments of a ceremony", of_commitments, || making(2, 2).commitments().expect("made")),
    ("shares of a ceremony", of_dealt, || {
        let theirs = BTreeMap::from([(place(1), making(1, 1).commitments().expect("made"))]);
        making(2, 2).shares(&theirs).expect("dealt").remove(&place(1)).expect("for one").to_vec()
    }),
    ("commitments of a repair", of_split, || {
        let split = REPAIR.split(share(0), &Seed::from_bytes(&[1; 32])).expect("split");
        split.commitments.iter().flat_map(|element| element.0).collect()
    }),
    (
        "pieces of a repair",
        |data| REPAIR.sum(place(1), &pieces(data), &COMMITMENTS).is_ok(),
        || SPLITS.iter().flat_map(|split| *split.pieces[&place(1)]).collect(),
    ),
    (
        "sums of a repair",
        |data| REPAIR.finish(&pieces(data), &COMMITMENTS).is_ok(),
        || {
            let sum = |own: u16| {
                let given =
                    SPLITS.iter().zip(1..).map(|(split, from)| (place(from), split.pieces[&place(own)].clone())).collect();
                *REPAIR.sum(place(own), &given, &COMMITMENTS).expect("added up")
            };
            [1, 2].map(sum).concat()
        },
    ),
    ("blinded elements", of_blinded, || SHARED.blinding.encoded().as_flattened().to_vec()),
    ("evaluated elements and their proof", of_evaluated, || {
        let evaluation = share(0).evaluate(&SHARED.quorum, SHARED.blinding.encoded(), &Fixed).expect("evaluated");
        [evaluation.proof.as_slice(), evaluation.elements.as_flattened()].concat()
    }),
    (
        "a polynomial",
        |data| PublicShares::new(&chunks(data)).is_ok(),
        || SHARED.sharing.classes[0].polynomial.iter().flat_map(|element| element.0).collect(),
    ),
    ("a holder's receipt", of_receipt, || receipt().sign(&alliance(), &key()).to_vec()),
    ("a part of a ceremony", of_part, || part().sign(&alliance(), b"", &key()).to_vec()),
    ("what holders say of their shares", of_sharing, || {
        let notes = ["acme", "brand", "chips"].map(|name| sign_sharing(&alliance(), &generation(), &member(name), &key()));
        join_sharing(notes.iter().map(|note| &**note)).expect("of one").to_vec()
    }),
    (
        "a share file",
        |data| is_text(data, |text| HeldShares::from_text(text).is_ok()),
        || SHARED.held[0].to_text().as_bytes().to_vec(),
    ),
    ("a checkpoint", of_checkpoint, || {
        let checkpoint = Checkpoint { feed: feed(), size: Seq::new(17), root: Hash([3; 32]) };
        SignedCheckpoint::sign(checkpoint, &alliance(), &key()).note().to_vec()
    }),
    ("a roster", of_roster, || ROSTER.note().to_vec()),
    ("an entry", of_entry, || exports::entries()[0].as_slice().to_vec()),
    ("a record of an audit log", |data| decode_audit(data).is_some(), exports::audit_record),
];

/// All of them.
pub(crate) fn decoders() -> impl Iterator<Item = Decoder> {
    let listed = [
        DECODERS,
        files::DECODERS,
        names::DECODERS,
        signed::DECODERS,
        repairs::DECODERS,
        certificates::DECODERS,
        backups::DECODERS,
        exports::DECODERS,
    ];
    listed.into_iter().flatten().copied().chain(messages::decoders())
}

/// By what an input says which decoder it is for, whatever others there are: the first two bytes of the SHA-256 of its name.
pub(crate) fn selector(name: &str) -> [u8; 2] {
    let Hash([first, second, ..]) = sha256(&[name.as_bytes()]);
    [first, second]
}

/// The first two bytes of `input` say which decoder gets the rest; where a fuzzer has changed them, any.
pub(crate) fn run(input: &[u8]) {
    static BY_SELECTOR: LazyLock<Vec<([u8; 2], Decoder)>> =
        LazyLock::new(|| decoders().map(|decoder| (selector(decoder.0), decoder)).collect());
    let Some((chosen, rest)) = input.split_first_chunk() else { return };
    let named = BY_SELECTOR.iter().find(|(selector, _)| selector == chosen);
    let any = || &BY_SELECTOR[usize::from(u16::from_be_bytes(*chosen)) % BY_SELECTOR.len()];
    let (_, (_, is_taken, _)) = named.unwrap_or_else(any);
    is_taken(rest);
}

static HELPERS: LazyLock<BTreeSet<HolderIndex>> = LazyLock::new(|| [place(1), place(2)].into());
/// Of the share at the third place.
static REPAIR: LazyLock<Repair<'_>> =
    LazyLock::new(|| Repair { class: KeyClass::LowEntropy, public: &SHARED.public, helpers: &HELPERS, place: place(3) });
/// What its helpers made of theirs.
static SPLITS: LazyLock<[Split; 2]> =
    LazyLock::new(|| [0, 1].map(|own| REPAIR.split(share(own), &Seed::from_bytes(&[1; 32])).expect("split")));
static COMMITMENTS: LazyLock<BTreeMap<HolderIndex, Vec<GroupElement>>> =
    LazyLock::new(|| SPLITS.iter().zip(1..).map(|(split, from)| (place(from), split.commitments.clone())).collect());

fn is_text(data: &[u8], is_taken: impl FnOnce(&str) -> bool) -> bool {
    std::str::from_utf8(data).is_ok_and(is_taken)
}

fn of_commitments(data: &[u8]) -> bool {
    making(1, 1).shares(&BTreeMap::from([(place(2), data.to_vec())])).is_ok()
}

fn of_dealt(data: &[u8]) -> bool {
    let theirs = BTreeMap::from([(place(2), making(2, 2).commitments().expect("made"))]);
    making(1, 1).finish(&theirs, &BTreeMap::from([(place(2), Zeroizing::new(data.to_vec()))])).is_ok()
}

fn of_split(data: &[u8]) -> bool {
    let commitments: Vec<GroupElement> = chunks(data).into_iter().map(GroupElement).collect();
    REPAIR.check_split(place(1), &commitments).is_ok()
}

fn of_blinded(data: &[u8]) -> bool {
    share(0).evaluate(&SHARED.quorum, &chunks(data), &Fixed).is_ok()
}

fn of_evaluated(data: &[u8]) -> bool {
    let Some((proof, elements)) = data.split_first_chunk::<64>() else { return false };
    let evaluation = Evaluation { elements: chunks(elements), proof: *proof };
    SHARED.blinding.verify(&evaluation, &SHARED.public, &SHARED.quorum, place(1)).is_ok()
}

fn of_receipt(data: &[u8]) -> bool {
    receipt().open(data, &alliance(), &key().public()).is_ok()
}

fn of_part(data: &[u8]) -> bool {
    part().verify(&alliance(), data, b"", &key().public()).is_ok()
}

fn of_sharing(data: &[u8]) -> bool {
    let known: Option<FeedKey> = Some(key().public());
    open_sharing(data, &alliance(), |_| known).is_ok()
}

fn of_checkpoint(data: &[u8]) -> bool {
    SignedCheckpoint::open(Bytes::copy_from_slice(data), &alliance(), |_| Some(key().public())).is_ok()
}

fn of_roster(data: &[u8]) -> bool {
    SignedRoster::open(Bytes::copy_from_slice(data), &alliance(), &key().public()).is_ok()
}

fn of_entry(data: &[u8]) -> bool {
    EntryBytes::from_peer(Bytes::copy_from_slice(data)).is_ok_and(|bytes| decode(&bytes).is_ok())
}
