//! What the parts of a node cost, one by one: `cargo bench`. A whole node is measured by `countermark bench`.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use countermark::alliance::default_platforms;
use countermark::domain::{
    Action, AllianceName, Audience, Clock, Entropy, EntropyError, Evidence, EvidenceKind, FeedId, GoodsValue, Identifier,
    IdentifierKind, Infringement, KeyId, Pseudonym, PseudonymSet, Roster, Seq, Sha256Digest, Sighting, SignalContent, Standing,
    Statement, SubmissionTag, Timestamp, Watch, WatchId,
};
use countermark::feed::{
    Body, Checkpoint, Entry, EntryBytes, Frontier, SignedCheckpoint, SigningKey, decode, encode, leaf_hash,
};
use countermark::population::{Population, Store};
use countermark::pseudonym::{CanonicalIdentifier, Canonicaliser, HmacKey, PseudonymScheme as _};
use countermark::store::index::{FeedNo, Position, PositionIndex, Postings as _};
use countermark::store::{Append, Options};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

struct Random(SystemRandom);

impl Entropy for Random {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(out).map_err(|_| EntropyError)
    }
}

fn random() -> Random {
    Random(SystemRandom::new())
}

/// Stores of the made-up population, one of each controller.
fn stores(count: u64) -> Vec<Store> {
    let population = Population::new(1);
    (0..count).filter_map(|number| population.controller(number).pop()).collect()
}

/// A roster with the platforms that every alliance begins with.
fn roster() -> Roster {
    Roster { platforms: default_platforms(), ..Roster::first("bench.test".parse().expect("valid"), String::new()) }
}

fn canonical_forms(c: &mut Criterion) {
    let canonicaliser = Canonicaliser::new(&roster()).expect("valid");
    let stores = stores(1_000);
    let mut group = c.benchmark_group("canonical form");
    group.throughput(Throughput::Elements(1));
    let mut measure = |name: &str, identifiers: Vec<Identifier>| {
        let mut next = identifiers.iter().cycle();
        group.bench_function(name, |b| b.iter(|| canonicaliser.canonical(black_box(next.next().expect("endless")))));
    };
    for place in 0..stores[0].identifiers.len() {
        let identifiers: Vec<_> = stores.iter().map(|store| store.identifiers[place].clone()).collect();
        measure(identifiers[0].kind.as_str(), identifiers);
    }
    let of = |kind, value: String| Identifier { kind, value, region: String::new() };
    let numbers = || 0..1_000_u32;
    measure("domain", numbers().map(|n| of(IdentifierKind::Domain, format!("www.shop-{n}.co.uk"))).collect());
    measure("domain, IDN", numbers().map(|n| of(IdentifierKind::Domain, format!("händler-{n}.example"))).collect());
    measure(
        "url",
        numbers().map(|n| of(IdentifierKind::Url, format!("https://shop-{n}.example/a?id={n}&utm_source=x"))).collect(),
    );
    measure(
        "legal_name",
        numbers().map(|n| of(IdentifierKind::LegalName, format!("Shenzhen Trading No. {n} Co., Ltd."))).collect(),
    );
    measure(
        "legal_name, Chinese",
        numbers().map(|n| of(IdentifierKind::LegalName, format!("深圳市第{n}贸易有限公司"))).collect(),
    );
    group.finish();
}

fn pseudonyms(c: &mut Criterion) {
    let canonicaliser = Canonicaliser::new(&roster()).expect("valid");
    let forms: Vec<CanonicalIdentifier> =
        stores(512).iter().filter_map(|store| canonicaliser.canonical(&store.identifiers[1]).ok()).collect();
    let key = HmacKey::generate(&random()).expect("random");
    let wait = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = c.benchmark_group("HMAC");
    for count in [3, 512] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} identifiers"), |b| b.iter(|| wait.block_on(key.pseudonyms(&forms[..count]))));
    }
    group.finish();
}

/// About 250 bytes when encoded.
fn entry(number: u64) -> Entry {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let mut pseudonym = [7; 32];
    pseudonym[..8].copy_from_slice(&spread);
    let key: KeyId = "k1".parse().expect("valid");
    let evidence = Evidence { digests: vec![Sha256Digest([3; 32])], ..Evidence::of(EvidenceKind::TestPurchase) };
    let content = SignalContent {
        kinds: vec![IdentifierKind::Phone, IdentifierKind::BankAccount],
        pseudonyms: vec![PseudonymSet { key, pseudonyms: vec![Pseudonym(pseudonym), Pseudonym([9; 32])] }],
        statement: Statement {
            infringement: Infringement::TrademarkCounterfeit,
            rights_holder: None,
            brand: Some(format!("Brand {number}")),
            evidence: vec![evidence],
            actions: vec![Action::ListingRemoved],
            sighting: Some(Sighting { platform: "taobao".parse().ok(), region: "CN-GD".parse().ok() }),
            product: None,
            goods_value: Some(GoodsValue {
                amount: "CNY".parse().ok().map(|currency| (120_000, currency)),
                count: Some(12),
                reference: None,
                state: None,
            }),
            observed_on: "2026-03-01".parse().ok(),
            acted_on: None,
            retention_days: None,
            derived_from: vec![],
        },
    };
    Entry {
        recorded_at: Timestamp::from_unix_ms(1_800_000_000_000),
        body: Body::Signal { tag: SubmissionTag([1; 16]), content },
    }
}

fn bytes(number: u64) -> EntryBytes {
    encode(&entry(number), [number as u8; 16]).expect("within bounds")
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("entry");
    let (one, encoded) = (entry(1), bytes(1));
    group.throughput(Throughput::Bytes(encoded.as_slice().len() as u64));
    group.bench_function("encode", |b| b.iter(|| encode(black_box(&one), [1; 16])));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&encoded))));
    group.finish();
}

fn tree(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree");
    group.throughput(Throughput::Elements(1));
    let encoded = bytes(1);
    group.bench_function("leaf hash", |b| b.iter(|| leaf_hash(black_box(encoded.as_slice()))));
    let mut frontier = Frontier::empty();
    let leaf = encoded.leaf_hash();
    group.bench_function("append", |b| b.iter(|| frontier.push(black_box(leaf))));
    group.finish();
}

fn checkpoints(c: &mut Criterion) {
    let key = SigningKey::generate(&random()).expect("random");
    let alliance: AllianceName = "bench.test".parse().expect("valid");
    let feed = FeedId { member: "acme".parse().expect("valid"), audience: Audience::Alliance };
    let checkpoint = Checkpoint { feed, size: Seq::new(4_096), root: bytes(1).leaf_hash() };
    let mut group = c.benchmark_group("checkpoint");
    group.bench_function("sign", |b| b.iter(|| SignedCheckpoint::sign(checkpoint.clone(), &alliance, &key)));
    let note = SignedCheckpoint::sign(checkpoint.clone(), &alliance, &key).note().clone();
    let public = key.public();
    group.bench_function("verify", |b| b.iter(|| SignedCheckpoint::open(note.clone(), &alliance, |_| Some(public))));
    group.finish();
}

/// Rows of the index that is asked: well beyond what the processor caches.
const ROWS: u64 = 4_000_000;

fn index(c: &mut Criterion) {
    let no = FeedNo::new(0).expect("small");
    let pseudonym = |number: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        Pseudonym(bytes)
    };
    let mut index = PositionIndex::new();
    (0..ROWS).for_each(|number| index.insert((&pseudonym(number)).into(), Position::new(no, Seq::new(number))));
    let mut group = c.benchmark_group(format!("index of {ROWS} rows"));
    group.throughput(Throughput::Elements(1));
    let mut number = 0_u64;
    let mut next = || {
        number = number.wrapping_add(0x9E37_79B9);
        number
    };
    group.bench_function("hit", |b| b.iter(|| index.contains((&pseudonym(next() % ROWS)).into())));
    group.bench_function("miss", |b| b.iter(|| index.contains((&pseudonym(ROWS + next())).into())));
    group.bench_function("insert and remove", |b| {
        b.iter(|| {
            let (pseudonym, position) = (pseudonym(ROWS + next()), Position::new(no, Seq::new(1)));
            index.insert((&pseudonym).into(), position);
            index.remove((&pseudonym).into(), position);
        });
    });
    group.finish();
}

struct StandingStill;

impl Clock for StandingStill {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_800_000_000_000)
    }
}

/// Watches beside which entries arrive.
const WATCHES: u64 = 1_000_000;
/// Entries in one commit.
const ARRIVING: u64 = 1_024;

/// What watches cost that no arriving entry concerns. The store is the same, because one that has held more rows is slower: the two
/// are compared with each other and with nothing else.
fn watches(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        folder: folder.path().to_owned(),
        cache_bytes: 256 << 20,
        alliance: "bench.test".parse().expect("valid"),
        member: "acme".parse().expect("valid"),
        key: Arc::new(SigningKey::generate(&random()).expect("random")),
        clock: Arc::new(StandingStill),
        entropy: Arc::new(random()),
    };
    let store = countermark::store::Store::open(options).expect("opens");
    let wait = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = c.benchmark_group("arriving entries");
    group.throughput(Throughput::Elements(ARRIVING)).sample_size(50);
    let mut number = 0;
    let mut arriving = || {
        let append = |n: u64| {
            let mut entry = entry(n);
            let tag = SubmissionTag([n.to_be_bytes(), n.to_be_bytes()].concat().try_into().expect("16 bytes"));
            if let Body::Signal { tag: of_entry, .. } = &mut entry.body {
                *of_entry = tag;
            }
            let bytes = encode(&entry, [n as u8; 16]).expect("within bounds");
            Append::Signal { audience: Audience::Alliance, tag, known_as: vec![], entry: entry.into(), bytes }
        };
        number += ARRIVING;
        (number..number + ARRIVING).map(append).collect::<Vec<_>>()
    };
    let mut measure = |name: &str| {
        group.bench_function(name, |b| {
            b.iter_batched(&mut arriving, |appends| wait.block_on(store.append(appends)), BatchSize::PerIteration);
        });
    };
    for chunk in (0..WATCHES).collect::<Vec<_>>().chunks(8_192) {
        let watch = |number: &u64| {
            let pseudonym = |salt: u64| {
                let mut bytes = [5; 32];
                bytes[..8].copy_from_slice(&(number ^ salt << 40).wrapping_mul(0xD6E8_FEB8_6659_FD93).to_be_bytes());
                Pseudonym(bytes)
            };
            Watch {
                kinds: vec![IdentifierKind::Phone, IdentifierKind::BankAccount],
                pseudonyms: vec![PseudonymSet {
                    key: "k1".parse().expect("valid"),
                    pseudonyms: vec![pseudonym(1), pseudonym(2)],
                }],
                made_at: StandingStill.now(),
                until: StandingStill.now().plus_days(360),
                label: String::new(),
                standing: Standing::UNKNOWN,
            }
        };
        wait.block_on(store.put_watches(chunk.iter().map(watch).collect())).expect("durable");
        let settled = store.looks(8_192).into_iter().map(|look| (look, Standing::UNKNOWN, None)).collect();
        wait.block_on(store.settle_looks(settled)).expect("durable");
    }
    measure(&format!("beside {WATCHES} watches"));
    let ids: Vec<_> = (1..=WATCHES).map(WatchId).collect();
    for chunk in ids.chunks(8_192) {
        wait.block_on(store.remove_watches(chunk.to_vec())).expect("durable");
    }
    measure("when they have ended");
    group.finish();
}

criterion_group!(parts, canonical_forms, pseudonyms, codec, tree, checkpoints, index, watches);
criterion_main!(parts);
