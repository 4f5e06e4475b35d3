//! A row while it is being read: the one place where texts become a submission.
//!
//! The node checks everything again; what is checked here too is what turns text into numbers, and every count and length,
//! so that one oversized row is refused by itself and does not break the stream that carries its neighbours.

use super::field::Field;
use super::money::minor_units;
use crate::domain::limits::{
    MAX_ACTIONS, MAX_DERIVED_FROM, MAX_DIGESTS, MAX_EVIDENCE, MAX_IDENTIFIER_BYTES, MAX_IDENTIFIERS, MAX_NAME_CHARS,
    MAX_RETENTION_DAYS,
};
use crate::domain::{
    Action, Audience, Currency, EvidenceGrade, EvidenceKind, FieldError, GoodsState, Gtin, IdentifierKind, Infringement,
    PlatformId, ProductClass, Region, Sha256Digest, SignalRef, SubmissionId, parse_day,
};
use crate::rpc::proto;

/// What rows are read for, hence what they must have and what of them is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Everything.
    Submit,
    /// Identifiers, and the region of phone numbers. Other fields are not looked at.
    Check,
    /// The same, and the submission id, which names the watch that is left.
    Watch,
    /// Submission id and audience. Other fields are not looked at.
    Retract,
}

impl Purpose {
    /// Whether a field of a row is looked at.
    pub(super) const fn uses(self, field: Field) -> bool {
        match self {
            Self::Submit => true,
            Self::Check => matches!(field, Field::Region),
            Self::Watch => matches!(field, Field::Region | Field::SubmissionId),
            Self::Retract => matches!(field, Field::SubmissionId | Field::Audience),
        }
    }
}

/// What stands for the fields that a row leaves empty. Written as in CSV cells.
#[derive(Debug, Clone, Default)]
pub struct Defaults(Vec<(Field, String)>);

impl Defaults {
    /// Sets the text of a field; the last one counts. An empty text changes nothing.
    ///
    /// # Errors
    /// What a row with this text in this field would be refused for.
    pub fn set(&mut self, field: Field, text: &str) -> Result<(), FieldError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        Draft::new(Purpose::Submit).set(field, text)?;
        self.0.retain(|(other, _)| *other != field);
        self.0.push((field, text.to_owned()));
        Ok(())
    }
}

/// An address is written over several lines, and means the same on one. In any other kind a line break is a mistake, and the
/// node refuses it.
fn on_one_line(kind: IdentifierKind, value: &str) -> String {
    if kind == IdentifierKind::PostalAddress { value.replace(['\r', '\n'], " ") } else { value.to_owned() }
}

/// A row so far.
pub(super) struct Draft {
    purpose: Purpose,
    given: Vec<Field>,
    submission_id: String,
    audience: String,
    region: String,
    identifiers: Vec<(IdentifierKind, String)>,
    statement: proto::Statement,
    sighting: proto::Sighting,
    product: proto::Product,
    amount: Option<Amount>,
    currency: Option<Currency>,
    count: u64,
    goods_reference: String,
    goods_state: Option<GoodsState>,
}

enum Amount {
    Major(String),
    Minor(i64),
}

impl Draft {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            given: Vec::new(),
            submission_id: String::new(),
            audience: String::new(),
            region: String::new(),
            identifiers: Vec::new(),
            statement: proto::Statement::default(),
            sighting: proto::Sighting::default(),
            product: proto::Product::default(),
            amount: None,
            currency: None,
            count: 0,
            goods_reference: String::new(),
            goods_state: None,
        }
    }

    /// Adds an identifier; an empty one is none.
    pub(super) fn identify(&mut self, kind: IdentifierKind, value: &str) {
        let value = value.trim();
        if !value.is_empty() && self.purpose != Purpose::Retract {
            self.identifiers.push((kind, on_one_line(kind, value)));
        }
    }

    /// Whether a field's text is to be read at all; notes that the row gives it.
    fn takes(&mut self, field: Field) -> bool {
        let uses = self.purpose.uses(field);
        if uses {
            self.given.push(field);
        }
        uses
    }

    /// Reads the text of a field; an empty one leaves it to the defaults.
    pub(super) fn set(&mut self, field: Field, text: &str) -> Result<(), FieldError> {
        let text = text.trim();
        if text.is_empty() || !self.takes(field) {
            return Ok(());
        }
        self.read(field, text).map_err(|e| match field {
            // Its errors say which piece they are about.
            Field::Evidence => e,
            _ => FieldError { field: field.as_str().to_owned(), ..e },
        })
    }

    fn read(&mut self, field: Field, text: &str) -> Result<(), FieldError> {
        match field {
            Field::SubmissionId => text.parse::<SubmissionId>().map(|_| self.submission_id = text.to_owned())?,
            Field::Audience => text.parse::<Audience>().map(|_| self.audience = text.to_owned())?,
            Field::Region => self.region = country(text)?,
            Field::Infringement => self.statement.infringement = text.parse::<Infringement>()?.number(),
            Field::RightsHolder => self.statement.rights_holder = name(field, text)?,
            Field::Brand => self.statement.brand = name(field, text)?,
            Field::Evidence => self.statement.evidence = pieces(text)?,
            Field::Actions => self.statement.actions = actions(text.split('|'))?,
            Field::Platform => self.sighting.platform = text.parse::<PlatformId>()?.as_str().to_owned(),
            Field::SeenRegion => self.sighting.region = text.parse::<Region>()?.as_str().to_owned(),
            Field::HsChapter => {
                let chapter = number(field, text)?;
                ProductClass::hs_chapter(chapter)?;
                self.classify(proto::product::Class::HsChapter(chapter))?;
            }
            Field::NiceClass => {
                let class = number(field, text)?;
                ProductClass::nice(class)?;
                self.classify(proto::product::Class::NiceClass(class))?;
            }
            Field::Gtin => self.product.gtin = text.parse::<Gtin>()?.as_str().to_owned(),
            Field::Amount => self.amount = Some(Amount::Major(text.to_owned())),
            Field::Currency => self.currency = Some(text.parse()?),
            Field::Count => self.count = number(field, text)?,
            Field::GoodsReference => self.goods_reference = name(field, text)?,
            Field::GoodsState => self.goods_state = Some(text.parse()?),
            Field::ObservedOn => self.statement.observed_on = parse_day(field.as_str(), text)?.to_string(),
            Field::ActedOn => self.statement.acted_on = parse_day(field.as_str(), text)?.to_string(),
            Field::RetentionDays => self.statement.retention_days = retention(number(field, text)?)?,
            Field::DerivedFrom => self.statement.derived_from = signals(text)?,
        }
        Ok(())
    }

    /// Takes evidence that did not come as text.
    pub(super) fn set_evidence(&mut self, evidence: Vec<proto::Evidence>) {
        if !evidence.is_empty() && self.takes(Field::Evidence) {
            self.statement.evidence = evidence;
        }
    }

    /// Takes actions that did not come as one text.
    pub(super) fn set_actions(&mut self, words: &[String]) -> Result<(), FieldError> {
        if !words.is_empty() && self.takes(Field::Actions) {
            self.statement.actions = actions(words.iter().map(String::as_str))?;
        }
        Ok(())
    }

    /// Takes an amount that is in minor units already.
    pub(super) fn set_amount_minor(&mut self, minor: i64) {
        if self.takes(Field::Amount) {
            self.amount = Some(Amount::Minor(minor));
        }
    }

    fn classify(&mut self, class: proto::product::Class) -> Result<(), FieldError> {
        match self.product.class.replace(class) {
            None => Ok(()),
            Some(_) => Err(FieldError::new("PRODUCT_CLASS_TWICE", "", "give hs_chapter or nice_class, not both")),
        }
    }

    /// The submission, with `defaults` for what the row does not give.
    ///
    /// # Errors
    /// What is missing, or does not go together.
    pub(super) fn finish(mut self, defaults: &Defaults) -> Result<proto::Submission, FieldError> {
        for (field, text) in &defaults.0 {
            let class = matches!(field, Field::HsChapter | Field::NiceClass);
            if !(self.given.contains(field) || class && self.product.class.is_some()) {
                self.set(*field, text)?;
            }
        }
        match self.purpose {
            Purpose::Check | Purpose::Watch => {
                let submission_id = std::mem::take(&mut self.submission_id);
                Ok(proto::Submission { submission_id, identifiers: self.identifiers()?, ..Default::default() })
            }
            Purpose::Retract => self.retraction(),
            Purpose::Submit => self.submission(),
        }
    }

    fn retraction(self) -> Result<proto::Submission, FieldError> {
        self.submission_id.parse::<SubmissionId>().map_err(|_| {
            Field::SubmissionId.error("SUBMISSION_ID_INVALID", "give the submission id of the signal to retract")
        })?;
        self.audience.parse::<Audience>()?;
        Ok(proto::Submission { submission_id: self.submission_id, audience: self.audience, ..Default::default() })
    }

    fn submission(mut self) -> Result<proto::Submission, FieldError> {
        self.audience.parse::<Audience>()?;
        if self.statement.infringement == 0 {
            // The same words as for one that is not known.
            "".parse::<Infringement>()?;
        }
        if !(1..=MAX_EVIDENCE).contains(&self.statement.evidence.len()) {
            return Err(Field::Evidence.error("EVIDENCE_COUNT", "give 1 to 16 pieces of evidence"));
        }
        let identifiers = self.identifiers()?;
        let goods_value = self.goods_value()?;
        let stated = |text: &String| !text.is_empty();
        let sighting = (stated(&self.sighting.platform) || stated(&self.sighting.region)).then_some(self.sighting);
        let product = (stated(&self.product.gtin) || self.product.class.is_some()).then_some(self.product);
        Ok(proto::Submission {
            submission_id: self.submission_id,
            audience: self.audience,
            identifiers,
            statement: Some(proto::Statement { sighting, product, goods_value, ..self.statement }),
        })
    }

    fn identifiers(&mut self) -> Result<Vec<proto::Identifier>, FieldError> {
        // One order, so that the content of a signal does not hang on the order of columns or object fields.
        self.identifiers.sort_by_key(|(kind, _)| kind.number());
        if !(1..=MAX_IDENTIFIERS).contains(&self.identifiers.len()) {
            return Err(FieldError::new("IDENTIFIER_COUNT", "identifiers", "give 1 to 32 identifiers of one seller"));
        }
        if let Some(i) = self.identifiers.iter().position(|(_, value)| value.len() > MAX_IDENTIFIER_BYTES) {
            let field = format!("identifiers[{i}].value");
            return Err(FieldError::new("IDENTIFIER_TOO_LONG", field, "give at most 2048 bytes"));
        }
        let region = |kind| if may_be_a_phone(kind) { self.region.clone() } else { String::new() };
        Ok(std::mem::take(&mut self.identifiers)
            .into_iter()
            .map(|(kind, value)| proto::Identifier { kind: kind.number(), value, region: region(kind) })
            .collect())
    }

    /// A currency or state without an amount, a count or a reference says nothing and is left out: exports carry the column in every
    /// row.
    fn goods_value(&self) -> Result<Option<proto::GoodsValue>, FieldError> {
        let state = self.goods_state.map_or(0, GoodsState::number);
        let value =
            proto::GoodsValue { count: self.count, reference: self.goods_reference.clone(), state, ..Default::default() };
        let Some(amount) = &self.amount else {
            let says_something = value.count > 0 || !value.reference.is_empty();
            return Ok(says_something.then_some(value));
        };
        let currency = self.currency.ok_or_else(|| {
            Field::Currency.error("CURRENCY_MISSING", "give the currency of the amount, three letters of ISO 4217")
        })?;
        let amount_minor = match amount {
            Amount::Major(text) => minor_units(text, currency)?,
            Amount::Minor(minor) => *minor,
        };
        Ok(Some(proto::GoodsValue { amount_minor, currency: currency.code().to_owned(), ..value }))
    }
}

/// Names of signals, `|` between them.
fn signals(text: &str) -> Result<Vec<String>, FieldError> {
    let names = text.split('|').map(str::trim).filter(|name| !name.is_empty()).take(MAX_DERIVED_FROM + 1);
    let named = |name: &str| match name.parse::<SignalRef>() {
        Ok(signal) => Ok(signal.to_string()),
        Err(_) => {
            Err(Field::DerivedFrom.error("SIGNAL_INVALID", "give signals as member/audience/sequence, such as acme/all/17"))
        }
    };
    names.map(named).collect()
}

/// Evidence as it is written behind flags: `kind[:grade][:sha256]` each.
///
/// # Errors
/// The first that is written otherwise.
pub(in crate::cli) fn evidence_of(flags: &[String]) -> Result<Vec<proto::Evidence>, FieldError> {
    pieces(&flags.join("|"))
}

/// What goods are worth as it is written behind flags; `None` where nothing is said.
///
/// # Errors
/// The first field that is written otherwise.
pub(in crate::cli) fn goods_value(
    amount: Option<&str>,
    currency: Option<&str>,
    count: Option<u64>,
    reference: Option<&str>,
    state: Option<GoodsState>,
) -> Result<Option<proto::GoodsValue>, FieldError> {
    let mut draft = Draft::new(Purpose::Submit);
    let texts = [(Field::Amount, amount), (Field::Currency, currency), (Field::GoodsReference, reference)];
    for (field, text) in texts {
        draft.set(field, text.unwrap_or_default())?;
    }
    draft.count = count.unwrap_or(0);
    draft.goods_state = state;
    draft.goods_value()
}

/// Whether an identifier of this kind can be a phone number in national form, whose country has then to be said.
pub(in crate::cli) fn may_be_a_phone(kind: IdentifierKind) -> bool {
    matches!(kind, IdentifierKind::Phone | IdentifierKind::MessagingAccount | IdentifierKind::PaymentAccount)
}

fn country(text: &str) -> Result<String, FieldError> {
    match text.parse::<Region>() {
        Ok(region) if text.len() == 2 => Ok(region.as_str().to_owned()),
        _ => Err(Field::Region.error("REGION_UNKNOWN", "give an ISO 3166-1 country such as CN")),
    }
}

fn name(field: Field, text: &str) -> Result<String, FieldError> {
    if text.chars().count() <= MAX_NAME_CHARS {
        return Ok(text.to_owned());
    }
    Err(field.error("TEXT_INVALID", "give 1 to 120 characters, or leave it empty"))
}

/// A whole number above 0.
fn number<N: std::str::FromStr + PartialOrd + From<u8>>(field: Field, text: &str) -> Result<N, FieldError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number
        .filter(|n| *n > N::from(0))
        .ok_or_else(|| field.error("NUMBER_INVALID", "give a whole number above 0 in digits, or leave it empty"))
}

fn retention(days: u32) -> Result<u32, FieldError> {
    if days <= u32::from(MAX_RETENTION_DAYS) {
        return Ok(days);
    }
    Err(Field::RetentionDays.error("RETENTION_OUT_OF_RANGE", "give 1 to 3653 days, or leave it empty"))
}

fn actions<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec<i32>, FieldError> {
    let words = words.map(str::trim).filter(|word| !word.is_empty()).take(MAX_ACTIONS + 1);
    let actions: Vec<_> = words.map(|word| word.parse::<Action>().map(Action::number)).collect::<Result<_, _>>()?;
    if actions.len() > MAX_ACTIONS {
        return Err(Field::Actions.error("ACTION_REPEATED", "give each action at most once"));
    }
    Ok(actions)
}

/// Reads `kind[:grade][:sha256[+sha256...]]`, `|` between the pieces.
fn pieces(text: &str) -> Result<Vec<proto::Evidence>, FieldError> {
    let pieces = text.split('|').map(str::trim).filter(|piece| !piece.is_empty()).take(MAX_EVIDENCE + 1);
    let pieces = pieces.enumerate().map(|(i, text)| piece(text).map_err(|e| e.inside(format!("evidence[{i}]"))));
    pieces.collect()
}

/// A grade is at most a word, a digest is 64 digits: the two cannot be taken for each other.
fn piece(text: &str) -> Result<proto::Evidence, FieldError> {
    let mut parts = text.split(':').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let (grade, digests) = match (parts.next(), parts.next(), parts.next()) {
        (grade, Some(digests), None) => (grade.unwrap_or_default(), digests),
        (Some(digests), None, None) if digests.len() >= 64 => ("", digests),
        (grade, None, None) => (grade.unwrap_or_default(), ""),
        (_, _, Some(_)) => {
            return Err(FieldError::new(
                "EVIDENCE_FORMAT",
                "",
                "write evidence as kind:grade:sha256, several digests with + between",
            ));
        }
    };
    evidence(kind, grade, digests.split('+').filter(|digest| !digest.is_empty()))
}

/// A piece of evidence from its words; an empty grade is the usual one of its kind.
///
/// # Errors
/// With `kind`, `grade` or `sha256` as field.
pub(super) fn evidence<'a>(
    kind: &str,
    grade: &str,
    digests: impl Iterator<Item = &'a str>,
) -> Result<proto::Evidence, FieldError> {
    let kind = kind.parse::<EvidenceKind>().map_err(|e| FieldError { field: "kind".into(), ..e })?;
    let grade = if grade.is_empty() { 0 } else { grade.parse::<EvidenceGrade>()?.number() };
    let digests = digests.take(MAX_DIGESTS + 1).map(|digest| digest.trim().parse::<Sha256Digest>());
    let sha256: Vec<_> = digests.map(|digest| digest.map(|d| d.0.to_vec().into())).collect::<Result<_, _>>()?;
    if sha256.len() > MAX_DIGESTS {
        return Err(FieldError::new("EVIDENCE_COUNT", "sha256", "give at most 8 digests"));
    }
    Ok(proto::Evidence { kind: kind.number(), grade, sha256 })
}
