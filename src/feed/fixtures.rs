//! Values that the tests of this layer share.

use crate::domain::{
    Action, AllianceName, Entropy, EntropyError, Evidence, EvidenceGrade, EvidenceKind, GoodsValue, IdentifierKind,
    Infringement, Product, ProductClass, Pseudonym, PseudonymSet, Sha256Digest, Sighting, SignalContent, Statement,
    SubmissionTag, Timestamp,
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

pub(super) fn alliance() -> AllianceName {
    "alliance.example".parse().expect("valid")
}

/// The shortest statement that is valid.
pub(super) fn bare_statement() -> Statement {
    Statement {
        infringement: Infringement::Other,
        rights_holder: None,
        brand: None,
        evidence: vec![Evidence::of(EvidenceKind::ConsumerComplaint)],
        actions: vec![],
        sighting: None,
        product: None,
        goods_value: None,
        observed_on: None,
        acted_on: None,
        retention_days: None,
    }
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
        goods_value: Some(GoodsValue { amount: Some((1_250_000, "CNY".parse().expect("valid"))), count: Some(500) }),
        observed_on: Some(jiff::civil::date(2026, 1, 30)),
        acted_on: Some(jiff::civil::date(2026, 2, 1)),
        retention_days: Some(365),
    }
}

/// A seller with two identifiers under two keys.
pub(super) fn content() -> SignalContent {
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
