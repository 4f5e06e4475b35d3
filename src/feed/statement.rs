//! Statements between the domain's types and the generated ones, for entries and for the gRPC edge alike.
//!
//! Reading is strict: a number or text without a meaning is refused, never guessed, with the path of the field as in the proto.
//! Bounds between fields and against today's date are [`Statement::validate`]'s. An entry is read by its bytes alone; whether a
//! word stands in a standard's list, or a grade is within its kind's, was for the submission to check.

use jiff::civil::Date;

use super::wire;
use crate::domain::{
    Action, AnswerStep, Change, Currency, Evidence, EvidenceGrade, EvidenceKind, FieldError, GoodsState, GoodsValue,
    Infringement, Product, ProductClass, ReferralStage, Region, Sha256Digest, Sighting, SignalRef, Statement, parse_day,
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
        derived_from: statement.derived_from.iter().map(ToString::to_string).collect(),
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
    grades_are_given(&statement.evidence)?;
    read(statement, Words::WellFormed)
}

/// How much is asked of words that a standard lists.
#[derive(Clone, Copy)]
pub(super) enum Words {
    /// The standard lists it.
    InForce,
    /// It has the form of one.
    WellFormed,
}

fn read(statement: wire::Statement, words: Words) -> Result<Statement, FieldError> {
    let sighting = |sighting| sighting_from_wire(sighting, words).map_err(|e| e.inside("sighting"));
    let goods_value = |value| goods_value_from_wire(value, words).map_err(|e| e.inside("goods_value"));
    Ok(Statement {
        infringement: Infringement::from_number(statement.infringement)
            .ok_or_else(|| unknown("INFRINGEMENT_UNKNOWN", "infringement"))?,
        rights_holder: stated(statement.rights_holder),
        brand: stated(statement.brand),
        evidence: evidence_list_from_wire(statement.evidence)?,
        actions: actions_from_wire(&statement.actions)?,
        sighting: statement.sighting.map(sighting).transpose()?,
        product: statement.product.map(product_from_wire).transpose().map_err(|e| e.inside("product"))?,
        goods_value: statement.goods_value.map(goods_value).transpose()?,
        observed_on: day_from_wire("observed_on", &statement.observed_on)?,
        acted_on: day_from_wire("acted_on", &statement.acted_on)?,
        retention_days: retention_from_wire(statement.retention_days)?,
        derived_from: signals_from_wire("derived_from", &statement.derived_from)?,
    })
}

/// What a change of a signal says, of a person (words of standards are those in force) or of an entry.
pub(super) fn change_from(change: wire::Change, words: Words) -> Result<Change, FieldError> {
    if let Words::WellFormed = words {
        grades_are_given(&change.evidence)?;
    }
    let goods_value = |value| goods_value_from_wire(value, words).map_err(|e| e.inside("goods_value"));
    Ok(Change {
        evidence: evidence_list_from_wire(change.evidence)?,
        actions: actions_from_wire(&change.actions)?,
        goods_value: change.goods_value.map(goods_value).transpose()?,
        acted_on: day_from_wire("acted_on", &change.acted_on)?,
        step: word(change.step, AnswerStep::from_number, "ANSWER_STEP_UNKNOWN", "step")?,
        outcome: word(change.outcome, ReferralStage::from_number, "REFERRAL_STAGE_UNKNOWN", "outcome")?,
    })
}

/// What a person wants to add to a signal.
///
/// # Errors
/// The first field without a meaning.
pub fn change_from_wire(change: wire::Change) -> Result<Change, FieldError> {
    change_from(change, Words::InForce)
}

/// The message that says the same.
#[must_use]
pub fn change_to_wire(change: &Change) -> wire::Change {
    wire::Change {
        evidence: change.evidence.iter().map(evidence_to_wire).collect(),
        actions: change.actions.iter().map(|action| action.number()).collect(),
        goods_value: change.goods_value.as_ref().map(goods_value_to_wire),
        acted_on: change.acted_on.map(|day| day.to_string()).unwrap_or_default(),
        step: change.step.map_or(0, AnswerStep::number),
        outcome: change.outcome.map_or(0, ReferralStage::number),
    }
}

/// A word of a vocabulary that can be left out: `None` for 0.
///
/// # Errors
/// `code` in `field` for a number without a word.
pub fn word<T>(
    number: i32,
    from_number: fn(i32) -> Option<T>,
    code: &'static str,
    field: &'static str,
) -> Result<Option<T>, FieldError> {
    match number {
        0 => Ok(None),
        number => from_number(number).map(Some).ok_or_else(|| unknown(code, field)),
    }
}

/// In an entry there is no usual grade.
pub(super) fn grades_are_given(evidence: &[wire::Evidence]) -> Result<(), FieldError> {
    match evidence.iter().position(|evidence| evidence.grade == 0) {
        Some(i) => Err(unknown("EVIDENCE_GRADE_UNKNOWN", format!("evidence[{i}].grade"))),
        None => Ok(()),
    }
}

/// Evidence as it was handed in.
///
/// # Errors
/// The first field without a meaning.
pub fn evidence_list_from_wire(evidence: Vec<wire::Evidence>) -> Result<Vec<Evidence>, FieldError> {
    let one = |(i, e)| evidence_from_wire(e).map_err(|e: FieldError| e.inside(format!("evidence[{i}]")));
    evidence.into_iter().enumerate().map(one).collect()
}

fn actions_from_wire(actions: &[i32]) -> Result<Vec<Action>, FieldError> {
    let one = |(i, number): (usize, &i32)| {
        Action::from_number(*number).ok_or_else(|| unknown("ACTION_UNKNOWN", format!("actions[{i}]")))
    };
    actions.iter().enumerate().map(one).collect()
}

/// Names of signals in field `field`.
///
/// # Errors
/// The first that is none.
pub fn signals_from_wire(field: &str, names: &[String]) -> Result<Vec<SignalRef>, FieldError> {
    let one = |(i, name): (usize, &String)| {
        name.parse().map_err(|error: FieldError| FieldError { field: format!("{field}[{i}]"), ..error })
    };
    names.iter().enumerate().map(one).collect()
}

/// SHA-256 digests of field `sha256`.
///
/// # Errors
/// The first that has not 32 bytes.
pub fn digests_from_wire(digests: &[bytes::Bytes]) -> Result<Vec<Sha256Digest>, FieldError> {
    let one = |(i, bytes): (usize, &bytes::Bytes)| {
        let digest = bytes.as_ref().try_into().map(Sha256Digest);
        digest.map_err(|_| FieldError::new("DIGEST_INVALID", format!("sha256[{i}]"), "give the 32 bytes of a SHA-256"))
    };
    digests.iter().enumerate().map(one).collect()
}

/// 32 bytes each.
#[must_use]
pub fn digests_to_wire(digests: &[Sha256Digest]) -> Vec<bytes::Bytes> {
    digests.iter().map(|digest| digest.0.to_vec().into()).collect()
}

/// The message that says the same.
#[must_use]
pub fn evidence_to_wire(evidence: &Evidence) -> wire::Evidence {
    wire::Evidence { kind: evidence.kind.number(), grade: evidence.grade.number(), sha256: digests_to_wire(&evidence.digests) }
}

fn evidence_from_wire(evidence: wire::Evidence) -> Result<Evidence, FieldError> {
    let kind = EvidenceKind::from_number(evidence.kind).ok_or_else(|| unknown("EVIDENCE_UNKNOWN", "kind"))?;
    let grade = match evidence.grade {
        0 => kind.usual_grade(),
        number => EvidenceGrade::from_number(number).ok_or_else(|| unknown("EVIDENCE_GRADE_UNKNOWN", "grade"))?,
    };
    Ok(Evidence { kind, grade, digests: digests_from_wire(&evidence.sha256)? })
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

/// The message that says the same.
#[must_use]
pub fn goods_value_to_wire(value: &GoodsValue) -> wire::GoodsValue {
    let (amount_minor, currency) =
        value.amount.map_or_else(Default::default, |(amount, currency)| (amount, currency.code().to_owned()));
    let (count, reference) = (value.count.unwrap_or(0), value.reference.clone().unwrap_or_default());
    wire::GoodsValue { amount_minor, currency, count, reference, state: value.state.map_or(0, GoodsState::number) }
}

pub(super) fn goods_value_from_wire(value: wire::GoodsValue, words: Words) -> Result<GoodsValue, FieldError> {
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
    let state = word(value.state, GoodsState::from_number, "GOODS_STATE_UNKNOWN", "state")?;
    let value = GoodsValue { amount, count, reference: stated(value.reference), state };
    value.validate().map(|()| value)
}

/// A day in `field`; an empty text is none.
///
/// # Errors
/// Where it is no day.
pub fn day_from_wire(field: &'static str, text: &str) -> Result<Option<Date>, FieldError> {
    if text.is_empty() { Ok(None) } else { parse_day(field, text).map(Some) }
}

fn retention_from_wire(days: u32) -> Result<Option<u16>, FieldError> {
    let too_long = |_| FieldError::new("RETENTION_OUT_OF_RANGE", "retention_days", "give 1 to 3653 days, or leave it empty");
    if days == 0 { Ok(None) } else { u16::try_from(days).map(Some).map_err(too_long) }
}

pub(super) fn stated(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn unknown(code: &'static str, field: impl Into<String>) -> FieldError {
    FieldError::new(code, field, "give one of the values of the interface; there is no default")
}

#[cfg(test)]
mod tests;
