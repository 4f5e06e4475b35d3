//! What a signal says, as it is printed.

use serde::Serialize;

use super::words;
use crate::rpc::proto::{self, GoodsValue, Product, product};

/// A statement. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct StatementView {
    pub(super) infringement: &'static str,
    rights_holder: String,
    brand: String,
    evidence: Vec<Evidence>,
    pub(super) actions: Vec<&'static str>,
    platform: String,
    seen_region: String,
    hs_chapter: Option<u32>,
    nice_class: Option<u32>,
    gtin: String,
    goods_value: Option<Value>,
    observed_on: String,
    acted_on: String,
}

#[derive(Debug, Serialize)]
struct Evidence {
    kind: &'static str,
    /// indicative, substantial or conclusive.
    grade: &'static str,
    /// Lower-case hexadecimal.
    sha256: Vec<String>,
}

/// What goods are worth. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Value {
    amount_minor: i64,
    currency: String,
    count: u64,
    reference: String,
    /// sold or unsold; empty for not stated.
    state: &'static str,
}

impl From<GoodsValue> for Value {
    fn from(value: GoodsValue) -> Self {
        let GoodsValue { amount_minor, currency, count, reference, state } = value;
        let state = if state == 0 { "" } else { words::goods_state(state) };
        Self { amount_minor, currency, count, reference, state }
    }
}

impl StatementView {
    pub(super) fn of(statement: proto::Statement) -> Self {
        let sighting = statement.sighting.unwrap_or_default();
        let Product { class, gtin } = statement.product.unwrap_or_default();
        let (hs_chapter, nice_class) = match class {
            Some(product::Class::HsChapter(chapter)) => (Some(chapter), None),
            Some(product::Class::NiceClass(class)) => (None, Some(class)),
            None => (None, None),
        };
        let evidence = statement.evidence.iter().map(|e| Evidence {
            kind: words::evidence(e.kind),
            grade: words::grade(e.grade),
            sha256: e.sha256.iter().map(hex::encode).collect(),
        });
        Self {
            infringement: words::infringement(statement.infringement),
            rights_holder: statement.rights_holder,
            brand: statement.brand,
            evidence: evidence.collect(),
            actions: statement.actions.iter().map(|action| words::action(*action)).collect(),
            platform: sighting.platform,
            seen_region: sighting.region,
            hs_chapter,
            nice_class,
            gtin,
            goods_value: statement.goods_value.map(Value::from),
            observed_on: statement.observed_on,
            acted_on: statement.acted_on,
        }
    }

    /// Brand, else rights holder.
    pub(super) fn about(&self) -> Option<&str> {
        [self.brand.as_str(), self.rights_holder.as_str()].into_iter().find(|name| !name.is_empty())
    }

    /// Kind and grade of each piece.
    pub(super) fn evidence_in_words(&self) -> String {
        let evidence: Vec<String> = self.evidence.iter().map(|e| format!("{} ({})", e.kind, e.grade)).collect();
        evidence.join(", ")
    }

    /// Where and when.
    pub(super) fn seen_in_words(&self) -> String {
        let seen = [self.platform.as_str(), self.seen_region.as_str()].into_iter().filter(|part| !part.is_empty());
        let dates = [("observed", &self.observed_on), ("acted", &self.acted_on)];
        let dates = dates.into_iter().filter(|(_, day)| !day.is_empty()).map(|(what, day)| format!("{what} {day}"));
        seen.map(str::to_owned).chain(dates).collect::<Vec<_>>().join(", ")
    }
}
