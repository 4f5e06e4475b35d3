//! What a thief of a node's whole disk learns: under a key that all members hold, every seller whose phone it can count to; under one
//! that is shared, with fewer shares than are needed, nobody.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::daemon::{SystemClock, SystemEntropy};
use countermark::domain::{MemberKind, Seq};
use countermark::feed::{Body, Leaf, decode};
use countermark::rpc::proto::IdentifierKind as Kind;
use countermark::store::{Options, Store};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;

use crate::cluster;
use crate::cluster::{Alliance, identifier, submission, until_found};

/// As many phones as the thief tries, of the ten billion that there are: every one of the signals is among them.
const DICTIONARY: u32 = 1_000_000;
const SELLERS: u32 = 100;
const THREE: [(&str, MemberKind); 3] =
    [("aurelle", MemberKind::Brand), ("bazaar", MemberKind::Platform), ("chips", MemberKind::Brand)];

fn phone(number: u32) -> String {
    format!("+86138{number:08}")
}

/// The phones that were submitted, spread over the dictionary.
fn flagged() -> impl Iterator<Item = u32> {
    (0..SELLERS).map(|seller| seller * (DICTIONARY / SELLERS) + 7)
}

/// What the node computes on, as its source says: label, version of the canonical forms, kind, and E.164.
fn input(number: u32) -> Vec<u8> {
    [b"countermark-pseudonym".as_slice(), &[0, 1], b"phone", &[0], phone(number).as_bytes()].concat()
}

/// Submits to one member's node, waits for another to have all, stops both, and gives every pseudonym on the disk of the latter.
async fn stolen(alliance: &Alliance, sockets: cluster::Sockets) -> HashSet<[u8; 32]> {
    let nodes = alliance.start_all(sockets).await;
    let mut aurelle = alliance.client("aurelle").await;
    for number in flagged() {
        aurelle.submit(submission("all", vec![identifier(Kind::Phone, &phone(number))])).await.expect("taken");
    }
    let last = phone(flagged().last().expect("some"));
    let bazaar = alliance.client("bazaar").await;
    until_found(&bazaar, identifier(Kind::Phone, &last)).await;
    for node in nodes.into_values() {
        node.stop().await;
    }
    let options = Options {
        folder: alliance.data_dir("bazaar"),
        cache_bytes: 16 << 20,
        alliance: alliance.name.clone(),
        member: cluster::member("bazaar"),
        key: Arc::new(alliance.setup("bazaar").feed_key),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let store = Store::open(options).expect("the disk is readable");
    let feed = "aurelle/all".parse().expect("valid");
    let (mut pseudonyms, mut size) = (HashSet::new(), Seq::new(0));
    while let Some(batch) = store.batch_after(&feed, size).expect("readable") {
        for leaf in &batch.leaves {
            let Leaf::Entry(bytes) = leaf else { panic!("nothing was erased") };
            let Ok(entry) = decode(bytes) else { panic!("of this version") };
            if let Body::Signal { content, .. } = entry.body {
                pseudonyms.extend(content.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(|pseudonym| pseudonym.0));
            }
        }
        size = Seq::new(size.get() + batch.leaves.len() as u64);
    }
    store.close();
    assert_eq!(pseudonyms.len(), SELLERS as usize, "one for each");
    pseudonyms
}

/// Calls `found` for the numbers below `DICTIONARY` in pieces, on all processors, and adds up.
fn count(found: impl Fn(std::ops::Range<u32>) -> usize + Sync) -> usize {
    const PIECE: u32 = 10_000;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        let work = || {
            let mut sum = 0;
            loop {
                let start = next.fetch_add(PIECE, std::sync::atomic::Ordering::Relaxed);
                if start >= DICTIONARY {
                    return sum;
                }
                sum += found(start..(start + PIECE).min(DICTIONARY));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum()
    })
}

/// RFC 9380, `expand_message_xmd` with SHA-512, and RFC 9496's map: `HashToGroup` of RFC 9497, written down once more.
fn hash_to_group(message: &[u8]) -> RistrettoPoint {
    const LABEL: &[u8] = b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512";
    let label = [LABEL, &[u8::try_from(LABEL.len()).expect("short")]].concat();
    let sha512 = |parts: &[&[u8]]| digest::digest(&digest::SHA512, &parts.concat());
    let first = sha512(&[&[0; 128], message, &[0, 64, 0], &label]);
    let uniform = sha512(&[first.as_ref(), &[1], &label]);
    RistrettoPoint::from_uniform_bytes(uniform.as_ref().try_into().expect("64 bytes"))
}

/// A holder's share of the key for phones, and its place, from its disk.
fn share(disk: &Path) -> (Scalar, Scalar) {
    let record = std::fs::read_to_string(disk.join("s1.json")).expect("the disk is readable");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let text = record["held"]["shares"].as_str().expect("shares").to_owned();
    let value = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)).expect("there").trim().to_owned();
    let bytes: [u8; 32] = BASE64.decode(value("low_entropy")).expect("base64").try_into().expect("32 bytes");
    let place: u16 = value("index").parse().expect("a number");
    (Scalar::from(place), Scalar::from_canonical_bytes(bytes).expect("a scalar"))
}

/// How many of these numbers have a pseudonym that is `secret` times their element, or the element itself, also after the factors that
/// a quorum would have brought in.
fn matches(range: std::ops::Range<u32>, secret: &Scalar, doubled: &HashMap<[u8; 32], [u8; 32]>) -> usize {
    let elements: Vec<RistrettoPoint> = range.map(|number| hash_to_group(&input(number))).collect();
    let multiplied: Vec<RistrettoPoint> = elements.iter().map(|element| element * secret).collect();
    let mut found: HashSet<[u8; 32]> = HashSet::new();
    for points in [&elements, &multiplied] {
        let encoded = RistrettoPoint::double_and_compress_batch(points);
        found.extend(encoded.iter().filter_map(|encoded| doubled.get(&encoded.0).copied()));
    }
    found.len()
}

/// Twice each pseudonym times each factor, and the pseudonym that it comes from.
fn doubled(pseudonyms: &HashSet<[u8; 32]>, factors: &[Scalar]) -> HashMap<[u8; 32], [u8; 32]> {
    let decode = |bytes: &[u8; 32]| CompressedRistretto(*bytes).decompress().expect("an element");
    let all = pseudonyms.iter().flat_map(|pseudonym| {
        factors.iter().map(move |factor| ((decode(pseudonym) * (factor + factor)).compress().0, *pseudonym))
    });
    all.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_of_a_disk_finds_every_seller_under_a_key_of_all_members() {
    let (alliance, sockets) = Alliance::new(&THREE).await;
    let pseudonyms = stolen(&alliance, sockets).await;
    let key = BASE64.decode(alliance.key_text().trim()).expect("the key file is on the same disk");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let found = count(|range| range.filter(|number| pseudonyms.contains(hmac::sign(&key, &input(*number)).as_ref())).count());
    assert_eq!(found, SELLERS as usize, "all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thief_of_a_disk_with_one_share_of_two_finds_nobody() {
    let (mut alliance, sockets) = Alliance::new(&THREE).await;
    alliance.share_key(2, &["aurelle", "bazaar", "chips"]);
    let pseudonyms = stolen(&alliance, sockets).await;
    let disk = |member: &str| alliance.vault_folder(member);
    let (own, secret) = share(&disk("bazaar"));
    // What a quorum with another holder would multiply the share by, undone: 1, and x / (x - own) for each other place.
    let others = (1..=3_u16).map(Scalar::from).filter(|place| *place != own);
    let factors: Vec<Scalar> = others.map(|place| (place * (place - own).invert()).invert()).chain([Scalar::ONE]).collect();
    let targets = doubled(&pseudonyms, &factors);
    let found = count(|range| matches(range, &secret, &targets));
    assert_eq!(found, 0, "nobody");

    // The same tools find everybody as soon as there are two shares: they are no blunt ones.
    let (other, second) = share(&disk("chips"));
    let key = other * (other - own).invert() * secret + own * (own - other).invert() * second;
    let targets = doubled(&pseudonyms, &[Scalar::ONE]);
    for number in flagged().take(3) {
        assert_eq!(matches(number..number + 1, &key, &targets), 1, "with two shares");
    }
}
