//! Statements between the domain's types and the generated ones, for entries and for the gRPC edge alike.
//!
//! Reading is strict: a number or text without a meaning is refused, never guessed, with the path of the field as in the proto.
//! Bounds between fields and against today's date are [`Statement::validate`]'s. An entry is read by its bytes alone; whether a
//! word stands in a standard's list, or a grade is within its kind's, was for the submission to check.

use jiff::civil::Date;

use super::wire;
use crate::domain::{
    Action, Currency, Evidence, EvidenceGrade, EvidenceKind, FieldError, GoodsValue, Infringement, Product, ProductClass,
    Region, Sha256Digest, Sighting, Statement, parse_day,
};

/// The message that says the same.
#[must_use]
pub fn statement_to_wire(statement: &Statement) -> wire::Statement {
    wire::Statement {
        infringement: statement.infringement.number(),
        rights_holder: statement.rights_holder.clone().unwrap_or_default(),
        brand: statement.brand.clone().unwrap_or_default(),
        evidence: statement.evidence.iter().map(evidence_to_wire).collect(),
        actions: statement.actions.iter().map(|action| action.number()).collect(),
        sighting: statement.sighting.as_ref().map(sighting_to_wire),
        product: statement.product.as_ref().map(product_to_wire),
        goods_value: statement.goods_value.as_ref().map(goods_value_to_wire),
        observed_on: statement.observed_on.map(|day| day.to_string()).unwrap_or_default(),
        acted_on: statement.acted_on.map(|day| day.to_string()).unwrap_or_default(),
        retention_days: statement.retention_days.map_or(0, u32::from),
    }
}

/// What the message of a submitter says: words of standards are those in force.
///
/// # Errors
/// The first field without a meaning. Zero is none for enums, except that a grade of 0 is the usual one of its kind.
pub fn statement_from_wire(statement: wire::Statement) -> Result<Statement, FieldError> {
    read(statement, Words::InForce)
}

/// What the statement of an entry says, whose bounds are the entry's to keep. It hangs on no table that changes and on no day:
/// what one node reads, every node reads, of whatever version and whenever.
pub(super) fn statement_of_entry(statement: wire::Statement) -> Result<Statement, FieldError> {
    if let Some(i) = statement.evidence.iter().position(|evidence| evidence.grade == 0) {
        return Err(unknown("EVIDENCE_GRADE_UNKNOWN", format!("evidence[{i}].grade")));
    }
    read(statement, Words::WellFormed)
}

/// How much is asked of words that a standard lists.
#[derive(Clone, Copy)]
enum Words {
    /// The standard lists it.
    InForce,
    /// It has the form of one.
    WellFormed,
}

fn read(statement: wire::Statement, words: Words) -> Result<Statement, FieldError> {
    let evidence = |(i, e)| evidence_from_wire(e).map_err(|e| e.inside(format!("evidence[{i}]")));
    let action = |(i, number)| Action::from_number(number).ok_or_else(|| unknown("ACTION_UNKNOWN", format!("actions[{i}]")));
    let sighting = |sighting| sighting_from_wire(sighting, words).map_err(|e| e.inside("sighting"));
    let goods_value = |value| goods_value_from_wire(value, words).map_err(|e| e.inside("goods_value"));
    Ok(Statement {
        infringement: Infringement::from_number(statement.infringement)
            .ok_or_else(|| unknown("INFRINGEMENT_UNKNOWN", "infringement"))?,
        rights_holder: stated(statement.rights_holder),
        brand: stated(statement.brand),
        evidence: statement.evidence.into_iter().enumerate().map(evidence).collect::<Result<_, _>>()?,
        actions: statement.actions.into_iter().enumerate().map(action).collect::<Result<_, _>>()?,
        sighting: statement.sighting.map(sighting).transpose()?,
        product: statement.product.map(product_from_wire).transpose().map_err(|e| e.inside("product"))?,
        goods_value: statement.goods_value.map(goods_value).transpose()?,
        observed_on: day_from_wire("observed_on", &statement.observed_on)?,
        acted_on: day_from_wire("acted_on", &statement.acted_on)?,
        retention_days: retention_from_wire(statement.retention_days)?,
    })
}

fn evidence_to_wire(evidence: &Evidence) -> wire::Evidence {
    wire::Evidence {
        kind: evidence.kind.number(),
        grade: evidence.grade.number(),
        sha256: evidence.digests.iter().map(|digest| digest.0.to_vec().into()).collect(),
    }
}

fn evidence_from_wire(evidence: wire::Evidence) -> Result<Evidence, FieldError> {
    let kind = EvidenceKind::from_number(evidence.kind).ok_or_else(|| unknown("EVIDENCE_UNKNOWN", "kind"))?;
    let grade = match evidence.grade {
        0 => kind.usual_grade(),
        number => EvidenceGrade::from_number(number).ok_or_else(|| unknown("EVIDENCE_GRADE_UNKNOWN", "grade"))?,
    };
    let digest = |(i, bytes): (usize, &bytes::Bytes)| {
        let digest = bytes.as_ref().try_into().map(Sha256Digest);
        digest.map_err(|_| FieldError::new("DIGEST_INVALID", format!("sha256[{i}]"), "give the 32 bytes of a SHA-256"))
    };
    Ok(Evidence { kind, grade, digests: evidence.sha256.iter().enumerate().map(digest).collect::<Result<_, _>>()? })
}

fn sighting_to_wire(sighting: &Sighting) -> wire::Sighting {
    wire::Sighting {
        platform: sighting.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
        region: sighting.region.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn sighting_from_wire(sighting: wire::Sighting, words: Words) -> Result<Sighting, FieldError> {
    let platform = stated(sighting.platform).map(|text| text.parse()).transpose()?;
    let region = stated(sighting.region).map(|text| match words {
        Words::InForce => text.parse(),
        Words::WellFormed => Region::well_formed(&text),
    });
    let region = region.transpose()?;
    let sighting = Sighting { platform, region };
    sighting.validate().map(|()| sighting)
}

fn product_to_wire(product: &Product) -> wire::Product {
    let class = product.class.map(|class| match class {
        ProductClass::HsChapter(chapter) => wire::product::Class::HsChapter(chapter.into()),
        ProductClass::Nice(class) => wire::product::Class::NiceClass(class.into()),
    });
    wire::Product { class, gtin: product.gtin.as_ref().map(|gtin| gtin.as_str().to_owned()).unwrap_or_default() }
}

fn product_from_wire(product: wire::Product) -> Result<Product, FieldError> {
    let class = product.class.map(|class| match class {
        wire::product::Class::HsChapter(chapter) => ProductClass::hs_chapter(chapter),
        wire::product::Class::NiceClass(class) => ProductClass::nice(class),
    });
    let class = class.transpose()?;
    let gtin = stated(product.gtin).map(|text| text.parse()).transpose()?;
    let product = Product { class, gtin };
    product.validate().map(|()| product)
}

fn goods_value_to_wire(value: &GoodsValue) -> wire::GoodsValue {
    let (amount_minor, currency) =
        value.amount.map_or_else(Default::default, |(amount, currency)| (amount, currency.code().to_owned()));
    wire::GoodsValue { amount_minor, currency, count: value.count.unwrap_or(0) }
}

fn goods_value_from_wire(value: wire::GoodsValue, words: Words) -> Result<GoodsValue, FieldError> {
    let amount = match (value.amount_minor, value.currency.as_str()) {
        (0, "") => None,
        (0, _) => {
            return Err(FieldError::new("AMOUNT_INVALID", "amount_minor", "give an amount, or leave the currency empty"));
        }
        (amount, currency) => match words {
            Words::InForce => Some((amount, currency.parse()?)),
            Words::WellFormed => Some((amount, Currency::well_formed(currency)?)),
        },
    };
    let count = (value.count > 0).then_some(value.count);
    let value = GoodsValue { amount, count };
    value.validate().map(|()| value)
}

fn day_from_wire(field: &'static str, text: &str) -> Result<Option<Date>, FieldError> {
    if text.is_empty() { Ok(None) } else { parse_day(field, text).map(Some) }
}

fn retention_from_wire(days: u32) -> Result<Option<u16>, FieldError> {
    let too_long = |_| FieldError::new("RETENTION_OUT_OF_RANGE", "retention_days", "give 1 to 3653 days, or leave it empty");
    if days == 0 { Ok(None) } else { u16::try_from(days).map(Some).map_err(too_long) }
}

fn stated(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn unknown(code: &'static str, field: impl Into<String>) -> FieldError {
    FieldError::new(code, field, "give one of the values of the interface; there is no default")
}

#[cfg(test)]
mod tests;
