//! Values that the tests of this layer and of those above it share.

use crate::domain::{
    Action, AllianceName, Entropy, EntropyError, Evidence, EvidenceGrade, EvidenceKind, FeedKey, GoodsValue, IdentifierKind,
    Infringement, Member, MemberKind, MemberState, Product, ProductClass, Pseudonym, PseudonymSet, Roster, Sha256Digest,
    Sighting, SignalContent, Statement, SubmissionTag, Timestamp,
};
use crate::feed::{Body, Entry, SigningKey};

/// Gives the same byte over and over, or fails.
pub(super) struct FixedEntropy(pub(super) Option<u8>);

impl Entropy for FixedEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(self.0.ok_or(EntropyError)?);
        Ok(())
    }
}

pub(super) fn signing_key(byte: u8) -> SigningKey {
    SigningKey::generate(&FixedEntropy(Some(byte))).expect("a key")
}

/// `note` with another's signature below it that makes it `bytes` long.
pub(super) fn padded(note: &[u8], bytes: usize) -> Vec<u8> {
    let (before, after) = ("\u{2014} ".as_bytes(), b" AAAAAAAA\n");
    let name = b"n".repeat(bytes - note.len() - before.len() - after.len());
    [note, before, &name, after].concat()
}

pub(super) fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

/// Three members that take part, and one that was expelled.
pub(crate) fn roster() -> Roster {
    let member = |id: &str, state| Member {
        id: id.parse().expect("valid"),
        kind: MemberKind::Brand,
        name: id.into(),
        state,
        address: String::new(),
        feed_key: FeedKey([0; 32]),
    };
    let active = ["acme", "brand", "chips"].map(|id| member(id, MemberState::Active));
    Roster {
        members: active.into_iter().chain([member("gone", MemberState::Expelled)]).collect(),
        ..Roster::first("alliance.example".parse().expect("valid"), "2026-11-22T00:00:00Z".into())
    }
}

/// The shortest statement that is valid.
pub(crate) fn bare_statement() -> Statement {
    Statement::of(Infringement::Other, vec![Evidence::of(EvidenceKind::ConsumerComplaint)])
}

/// A statement with every field.
pub(super) fn full_statement() -> Statement {
    let graded = Evidence {
        kind: EvidenceKind::TestPurchase,
        grade: EvidenceGrade::Conclusive,
        digests: vec![Sha256Digest([0xaa; 32])],
    };
    Statement {
        infringement: Infringement::TrademarkCounterfeit,
        rights_holder: Some("Example Holdings".into()),
        brand: Some("Exämple".into()),
        evidence: vec![Evidence::of(EvidenceKind::RightsHolderNotice), graded],
        actions: vec![Action::ListingRemoved, Action::StoreClosed],
        sighting: Some(Sighting {
            platform: Some("market".parse().expect("valid")),
            region: Some("CN-GD".parse().expect("valid")),
        }),
        product: Some(Product {
            class: Some(ProductClass::HsChapter(42)),
            gtin: Some("4006381333931".parse().expect("valid")),
        }),
        goods_value: Some(GoodsValue {
            amount: Some((1_250_000, "CNY".parse().expect("valid"))),
            count: Some(500),
            reference: None,
            state: None,
        }),
        observed_on: Some(jiff::civil::date(2026, 1, 30)),
        acted_on: Some(jiff::civil::date(2026, 2, 1)),
        retention_days: Some(365),
        derived_from: vec![],
    }
}

/// A seller with two identifiers under two keys.
pub(crate) fn content() -> SignalContent {
    let set = |key: &str, byte: u8| PseudonymSet {
        key: key.parse().expect("valid"),
        pseudonyms: vec![Pseudonym([byte; 32]), Pseudonym([byte + 1; 32])],
    };
    SignalContent {
        kinds: vec![IdentifierKind::MarketplaceAccount, IdentifierKind::Phone],
        pseudonyms: vec![set("k1", 0x10), set("k2", 0x20)],
        statement: full_statement(),
    }
}

pub(super) fn entry(body: Body) -> Entry {
    Entry { recorded_at: Timestamp::from_unix_ms(1_770_000_000_123), body }
}

pub(super) fn signal_entry() -> Entry {
    entry(Body::Signal { tag: SubmissionTag([0x5a; 16]), content: content() })
}

/// Strategies: anything that is valid.
pub(super) mod any {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::domain::{Region, Retraction, RetractionReason, Seq};

    fn name() -> impl Strategy<Value = String> {
        "[a-zA-Zäöü東京0-9]([a-zA-Z äöü東京&.]{0,40}[a-z])?"
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        (select(EvidenceKind::ALL), select(EvidenceGrade::ALL), vec(any::<[u8; 32]>().prop_map(Sha256Digest), 0..=8))
            .prop_map(|(kind, grade, digests)| Evidence { kind, grade: grade.min(kind.highest_grade()), digests })
    }

    fn sighting() -> impl Strategy<Value = Sighting> {
        let regions: Vec<Region> = ["CN", "CN-GD", "DE", "US-CA"].map(|r| r.parse().expect("valid")).into();
        ("[a-z0-9-]{1,40}", option::of(select(regions)))
            .prop_map(|(platform, region)| Sighting { platform: Some(platform.parse().expect("valid")), region })
    }

    fn product() -> impl Strategy<Value = Product> {
        (any::<bool>(), 1_u8..=45).prop_map(|(nice, class)| Product {
            class: Some(if nice { ProductClass::Nice(class) } else { ProductClass::HsChapter(class) }),
            gtin: nice.then(|| "4006381333931".parse().expect("valid")),
        })
    }

    fn goods_value() -> impl Strategy<Value = GoodsValue> {
        (option::of(1..=i64::MAX), 1..=u64::MAX, option::of("[A-Z0-9]{1,120}")).prop_map(|(amount, count, reference)| {
            GoodsValue {
                amount: amount.map(|amount| (amount, "EUR".parse().expect("valid"))),
                count: Some(count),
                reference,
                state: None,
            }
        })
    }

    fn day() -> impl Strategy<Value = jiff::civil::Date> {
        (1990_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| jiff::civil::date(year, month, day))
    }

    pub(in crate::feed) fn statement() -> impl Strategy<Value = Statement> {
        (
            (select(Infringement::ALL), option::of(name()), option::of(name()), vec(evidence(), 1..=16)),
            (subsequence(Action::ALL, 0..=10), option::of(sighting()), option::of(product()), option::of(goods_value())),
            (option::of(day()), option::of(day()), option::of(1_u16..=3_653)),
        )
            .prop_map(|(what, how, when)| Statement {
                infringement: what.0,
                rights_holder: what.1,
                brand: what.2,
                evidence: what.3,
                actions: how.0,
                sighting: how.1,
                product: how.2,
                goods_value: how.3,
                observed_on: when.0,
                acted_on: when.1,
                retention_days: when.2,
                derived_from: vec![],
            })
    }

    /// Few enough identifiers and keys to fit the largest statement into an entry beside them.
    pub(in crate::feed) fn content() -> impl Strategy<Value = SignalContent> {
        let identifiers = vec((select(IdentifierKind::ALL), any::<[[u8; 32]; 4]>()), 1..=16);
        (identifiers, 1_usize..=2, statement()).prop_map(|(identifiers, keys, statement)| {
            let set = |key: usize| PseudonymSet {
                key: format!("key-{key}").parse().expect("valid"),
                pseudonyms: identifiers.iter().map(|(_, p)| Pseudonym(p[key])).collect(),
            };
            let pseudonyms = (0..keys).map(set).collect();
            SignalContent { kinds: identifiers.iter().map(|(kind, _)| *kind).collect(), pseudonyms, statement }
        })
    }

    pub(in crate::feed) fn retraction() -> impl Strategy<Value = Retraction> {
        (any::<u64>(), select(RetractionReason::ALL)).prop_map(|(seq, reason)| Retraction { signal: Seq::new(seq), reason })
    }

    pub(in crate::feed) fn entry() -> impl Strategy<Value = Entry> {
        let signal =
            (any::<[u8; 16]>(), content()).prop_map(|(tag, content)| Body::Signal { tag: SubmissionTag(tag), content });
        let body = prop_oneof![3 => signal, 1 => retraction().prop_map(Body::Retraction)];
        (0_i64..=253_402_200_000_000, body).prop_map(|(ms, body)| Entry { recorded_at: Timestamp::from_unix_ms(ms), body })
    }
}
