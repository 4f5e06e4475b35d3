//! What members say, made from numbers: the same number gives the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use countermark::domain::{
    AllianceName, Audience, Clock, Entropy, EntropyError, Erasure, ErasureReason, Evidence, EvidenceKind, FeedId,
    IdentifierKind, Infringement, MemberId, Opinion, Pseudonym, PseudonymSet, Rekeying, Retraction, RetractionReason, Seq,
    SignalContent, SignalRef, Stance, Statement, SubmissionTag, Timestamp,
};
use countermark::feed::{Body, Entry, SigningKey, encode};
use countermark::store::Append;

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// A number spread over all bits, as SplitMix64 does it.
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn spread<const N: usize>(n: u64) -> [u8; N] {
    let mut bytes = [0; N];
    for (place, chunk) in (0_u64..).zip(bytes.chunks_mut(8)) {
        chunk.copy_from_slice(&mix(n.wrapping_mul(0x1_0001).wrapping_add(place << 48)).to_be_bytes()[..chunk.len()]);
    }
    bytes
}

/// Stands still until it is set.
pub(crate) struct HandClock(pub(crate) AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOW_MS)))
    }

    pub(crate) fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::Relaxed))
    }
}

/// Counts up, so that every draw differs.
pub(crate) struct Counter(pub(crate) AtomicU64);

impl Counter {
    pub(crate) fn from(n: u64) -> Self {
        Self(AtomicU64::new(n))
    }
}

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(8) {
            let bytes = mix(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

pub(crate) fn key(name: &str) -> Arc<SigningKey> {
    let seed = name.bytes().fold(7_u64, |seed, byte| mix(seed ^ u64::from(byte)));
    Arc::new(SigningKey::generate(&Counter::from(seed)).expect("a key"))
}

pub(crate) fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

pub(crate) fn id(text: &str) -> MemberId {
    text.parse().expect("valid")
}

pub(crate) fn feed(text: &str) -> FeedId {
    text.parse().expect("valid")
}

pub(crate) fn pseudonym(n: u64) -> Pseudonym {
    Pseudonym(spread(n))
}

pub(crate) fn tag(n: u64) -> SubmissionTag {
    SubmissionTag(spread(!n))
}

pub(crate) fn pseudonyms(key: &str, n: u64) -> Vec<PseudonymSet> {
    vec![PseudonymSet { key: key.parse().expect("valid"), pseudonyms: vec![pseudonym(n)] }]
}

fn content(n: u64) -> SignalContent {
    SignalContent {
        kinds: vec![IdentifierKind::Phone],
        pseudonyms: pseudonyms("k1", n),
        statement: Statement {
            brand: Some("Brand".into()),
            ..Statement::of(Infringement::Other, vec![Evidence::of(EvidenceKind::TestPurchase)])
        },
    }
}

fn entry(body: Body) -> Entry {
    Entry { recorded_at: Timestamp::from_unix_ms(NOW_MS), body }
}

/// The signal `n`; nobody else's, and about a seller whom no other signal is about.
pub(crate) fn signal(audience: &Audience, n: u64) -> Append {
    let entry = entry(Body::Signal { tag: tag(n), content: content(n) });
    let bytes = encode(&entry, spread(n ^ 0x5A17)).expect("fits");
    Append::Signal { audience: audience.clone(), tag: tag(n), known_as: vec![], entry: entry.into(), bytes }
}

pub(crate) fn retraction(audience: &Audience, signal: Seq, salt: u64) -> Append {
    let entry = entry(Body::Retraction(Retraction { signal, reason: RetractionReason::MistakenIdentity }));
    let bytes = encode(&entry, spread(salt)).expect("fits");
    Append::Retraction { audience: audience.clone(), signal, entry: entry.into(), bytes }
}

pub(crate) fn erasure(audience: &Audience, entries: &[Seq], salt: u64) -> Append {
    let erasure = Erasure { entries: entries.to_vec(), tags: vec![], reason: ErasureReason::Request };
    let entry = entry(Body::Erasure(erasure));
    let bytes = encode(&entry, spread(salt)).expect("fits");
    Append::Erasure { audience: audience.clone(), entries: entries.to_vec(), entry: entry.into(), bytes }
}

/// The signal `n`, which stands at `signal`, is given its pseudonym under another key.
pub(crate) fn rekeying(audience: &Audience, signal: Seq, n: u64, salt: u64) -> Append {
    let rekeying = Rekeying { signal, tag: None, pseudonyms: pseudonyms("k2", n ^ 1 << 40) };
    let entry = entry(Body::Rekeying(rekeying));
    let bytes = encode(&entry, spread(salt)).expect("fits");
    Append::Rekeying { audience: audience.clone(), signal, entry: entry.into(), bytes }
}

/// An amendment of an own signal.
pub(crate) fn amendment(audience: &Audience, signal: Seq, salt: u64) -> Append {
    let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
    let change = countermark::domain::Change { evidence, ..Default::default() };
    note(audience, Body::Amendment(countermark::domain::Amendment { signal, change }), salt)
}

/// An opinion on a signal, wherever it stands.
pub(crate) fn opinion(audience: &Audience, signal: SignalRef, salt: u64) -> Append {
    let stance = Stance::Agree(vec![Evidence::of(EvidenceKind::TestPurchase)]);
    note(audience, Body::Opinion(Opinion { signal, stance }), salt)
}

fn note(audience: &Audience, body: Body, salt: u64) -> Append {
    let entry = entry(body);
    let bytes = encode(&entry, spread(salt)).expect("fits");
    Append::Note { audience: audience.clone(), entry: entry.into(), bytes }
}
