use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::limits::{
    EARLIEST_YEAR, MAX_ACTIONS, MAX_DERIVED_FROM, MAX_DIGESTS, MAX_EVIDENCE, MAX_NAME_CHARS, MAX_RETENTION_DAYS,
};
use super::vocabulary::vocabulary;
use super::{FieldError, PlatformId, SignalRef};

/// What is known of an infringement beside who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What was infringed.
    pub infringement: Infringement,
    /// Whose right it is; 1 to 120 characters.
    pub rights_holder: Option<String>,
    /// The brand or work; 1 to 120 characters.
    pub brand: Option<String>,
    /// What it rests on; 1 to 16 pieces.
    pub evidence: Vec<Evidence>,
    /// What the member did about it, each at most once.
    pub actions: Vec<Action>,
    /// Where it was seen.
    pub sighting: Option<Sighting>,
    /// What the goods are.
    pub product: Option<Product>,
    /// What the goods are worth.
    pub goods_value: Option<GoodsValue>,
    /// Day of the observation, UTC.
    pub observed_on: Option<Date>,
    /// Day of the member's action, UTC.
    pub acted_on: Option<Date>,
    /// Days to keep the signal, 1 to 3,653; `None` for the alliance's policy.
    pub retention_days: Option<u16>,
    /// Other members' signals that this one was derived from, at most 16, each once. It then adds no weight of its own.
    pub derived_from: Vec<SignalRef>,
}

impl Statement {
    /// What was infringed and what that rests on, and nothing beside.
    #[must_use]
    pub const fn of(infringement: Infringement, evidence: Vec<Evidence>) -> Self {
        Self {
            infringement,
            rights_holder: None,
            brand: None,
            evidence,
            actions: Vec::new(),
            sighting: None,
            product: None,
            goods_value: None,
            observed_on: None,
            acted_on: None,
            retention_days: None,
            derived_from: Vec::new(),
        }
    }

    /// Checks what no single field can: counts, and that nothing lies before 1990 or after `today` (with a day for time zones).
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self, today: Date) -> Result<(), FieldError> {
        self.validate_shape(today)?;
        Evidence::validate_grades(&self.evidence)
    }

    /// The same, but for what hangs on tables that change: which grade each kind of evidence can have.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate_shape(&self, today: Date) -> Result<(), FieldError> {
        Self::validate_text("rights_holder", self.rights_holder.as_deref())?;
        Self::validate_text("brand", self.brand.as_deref())?;
        Evidence::validate_list(&self.evidence, 1)?;
        Self::validate_actions(&self.actions)?;
        if let Some(sighting) = &self.sighting {
            sighting.validate().map_err(|e| e.inside("sighting"))?;
        }
        if let Some(product) = &self.product {
            product.validate().map_err(|e| e.inside("product"))?;
        }
        if let Some(value) = &self.goods_value {
            value.validate().map_err(|e| e.inside("goods_value"))?;
        }
        Self::validate_day("observed_on", self.observed_on, today)?;
        Self::validate_day("acted_on", self.acted_on, today)?;
        if let Some(days) = self.retention_days
            && !(1..=MAX_RETENTION_DAYS).contains(&days)
        {
            return Err(FieldError::new("RETENTION_OUT_OF_RANGE", "retention_days", "give 1 to 3653 days, or leave it empty"));
        }
        let distinct: BTreeSet<_> = self.derived_from.iter().collect();
        if self.derived_from.len() > MAX_DERIVED_FROM || distinct.len() != self.derived_from.len() {
            return Err(FieldError::new("SIGNAL_COUNT", "derived_from", "give at most 16 signals, each once"));
        }
        Ok(())
    }

    pub(super) fn validate_actions(actions: &[Action]) -> Result<(), FieldError> {
        let distinct: BTreeSet<_> = actions.iter().collect();
        if actions.len() > MAX_ACTIONS || distinct.len() != actions.len() {
            return Err(FieldError::new("ACTION_REPEATED", "actions", "give each action at most once"));
        }
        Ok(())
    }

    pub(super) fn validate_text(field: &'static str, text: Option<&str>) -> Result<(), FieldError> {
        let Some(text) = text else { return Ok(()) };
        let bad = text.is_empty() || text.chars().count() > MAX_NAME_CHARS || text.trim() != text;
        if bad || text.chars().any(char::is_control) {
            return Err(FieldError::new(
                "TEXT_INVALID",
                field,
                "give 1 to 120 characters without control characters or outer blanks, or leave it empty",
            ));
        }
        Ok(())
    }

    pub(super) fn validate_day(field: &'static str, day: Option<Date>, today: Date) -> Result<(), FieldError> {
        let Some(day) = day else { return Ok(()) };
        let latest = today.tomorrow().unwrap_or(Date::MAX);
        if day.year() < EARLIEST_YEAR || day > latest {
            return Err(FieldError::new("DATE_OUT_OF_RANGE", field, "give a day from 1990 to today"));
        }
        Ok(())
    }
}

/// Reads an RFC 3339 full-date (`2026-01-31`) of field `field`.
///
/// # Errors
/// Anything else.
pub fn parse_day(field: &'static str, text: &str) -> Result<Date, FieldError> {
    let well_formed = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day = if well_formed { text.parse().ok() } else { None };
    day.ok_or_else(|| FieldError::new("DATE_INVALID", field, "give a day as YYYY-MM-DD"))
}

vocabulary! {
    /// What was infringed.
    Infringement, "infringement", "INFRINGEMENT_UNKNOWN";
    /// A trade mark on goods that are not its owner's.
    TrademarkCounterfeit = 1, "trademark_counterfeit";
    /// Copies of a protected work.
    PiratedCopyright = 2, "pirated_copyright";
    /// Patent or utility model.
    PatentOrUtilityModel = 3, "patent_or_utility_model";
    /// Registered or unregistered design.
    Design = 4, "design";
    /// Geographical indication.
    GeographicalIndication = 5, "geographical_indication";
    /// Trade dress.
    TradeDress = 6, "trade_dress";
    /// Genuine goods sold outside their market: no counterfeit, and kept apart from it.
    ParallelImport = 7, "parallel_import";
    /// Anything else.
    Other = 8, "other";
}

/// One ground for a statement. The file itself stays with the member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// How far it carries.
    pub grade: EvidenceGrade,
    /// SHA-256 of each piece, at most 8.
    pub digests: Vec<Sha256Digest>,
}

impl Evidence {
    /// Evidence of `kind` with its usual grade.
    #[must_use]
    pub fn of(kind: EvidenceKind) -> Self {
        Self { kind, grade: kind.usual_grade(), digests: Vec::new() }
    }

    /// At least `least` (0 or 1) and at most 16 pieces, none with more digests than it may have.
    pub(super) fn validate_list(list: &[Self], least: usize) -> Result<(), FieldError> {
        if !(least..=MAX_EVIDENCE).contains(&list.len()) {
            let message = if least == 0 { "give at most 16 pieces of evidence" } else { "give 1 to 16 pieces of evidence" };
            return Err(FieldError::new("EVIDENCE_COUNT", "evidence", message));
        }
        each(list, Self::validate_count)
    }

    /// No grade above what its kind can have.
    pub(super) fn validate_grades(list: &[Self]) -> Result<(), FieldError> {
        each(list, Self::validate_grade)
    }

    fn validate_count(&self) -> Result<(), FieldError> {
        if self.digests.len() > MAX_DIGESTS {
            return Err(FieldError::new("EVIDENCE_COUNT", "sha256", "give at most 8 digests"));
        }
        Ok(())
    }

    fn validate_grade(&self) -> Result<(), FieldError> {
        if self.grade > self.kind.highest_grade() {
            return Err(FieldError::new(
                "EVIDENCE_GRADE_TOO_HIGH",
                "grade",
                format!("{} is at most {}; add the evidence that carries more", self.kind, self.kind.highest_grade()),
            ));
        }
        Ok(())
    }
}

fn each(list: &[Evidence], judge: fn(&Evidence) -> Result<(), FieldError>) -> Result<(), FieldError> {
    list.iter().enumerate().try_for_each(|(i, evidence)| judge(evidence).map_err(|e| e.inside(format!("evidence[{i}]"))))
}

vocabulary! {
    /// What a statement rests on. Another member's signal is not evidence.
    EvidenceKind, "evidence", "EVIDENCE_UNKNOWN";
    /// Notice of the rights holder.
    RightsHolderNotice = 1, "rights_holder_notice";
    /// Goods bought and examined.
    TestPurchase = 2, "test_purchase";
    /// Seizure by customs.
    CustomsSeizure = 3, "customs_seizure";
    /// Complaint of a buyer.
    ConsumerComplaint = 4, "consumer_complaint";
    /// A machine recognised a picture or mark.
    ImageRecognition = 5, "image_recognition";
    /// Report of volunteers or a public list.
    VolunteerSurveillance = 6, "volunteer_surveillance";
    /// Judgment of a court.
    CourtJudgment = 7, "court_judgment";
    /// Raid by police.
    PoliceRaid = 8, "police_raid";
    /// Decision of an administrative authority.
    AdministrativeDecision = 9, "administrative_decision";
}

impl EvidenceKind {
    /// The highest grade that evidence of this kind can have on its own.
    #[must_use]
    pub const fn highest_grade(self) -> EvidenceGrade {
        match self {
            Self::ConsumerComplaint | Self::ImageRecognition | Self::VolunteerSurveillance | Self::RightsHolderNotice => {
                EvidenceGrade::Substantial
            }
            Self::TestPurchase
            | Self::CustomsSeizure
            | Self::CourtJudgment
            | Self::PoliceRaid
            | Self::AdministrativeDecision => EvidenceGrade::Conclusive,
        }
    }

    /// The grade where the submitter gives none.
    #[must_use]
    pub const fn usual_grade(self) -> EvidenceGrade {
        match self {
            Self::ConsumerComplaint | Self::ImageRecognition | Self::VolunteerSurveillance => EvidenceGrade::Indicative,
            Self::RightsHolderNotice | Self::TestPurchase | Self::CustomsSeizure | Self::PoliceRaid => {
                EvidenceGrade::Substantial
            }
            Self::CourtJudgment | Self::AdministrativeDecision => EvidenceGrade::Conclusive,
        }
    }
}

vocabulary! {
    /// How far a piece of evidence carries.
    EvidenceGrade, "grade", "EVIDENCE_GRADE_UNKNOWN";
    /// Grounds for suspicion; somebody should look.
    Indicative = 1, "indicative";
    /// Would carry a takedown on its own; the seller has not answered yet.
    Substantial = 2, "substantial";
    /// Established: examined goods, or a finding of an authority or a court.
    Conclusive = 3, "conclusive";
}

/// SHA-256 of a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl FromStr for Sha256Digest {
    type Err = FieldError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let mut out = [0; 32];
        match hex::decode_to_slice(text, &mut out) {
            Ok(()) => Ok(Self(out)),
            Err(_) => {
                Err(FieldError::new("DIGEST_INVALID", "sha256", "give the SHA-256 of the piece as 64 hexadecimal digits"))
            }
        }
    }
}

vocabulary! {
    /// What a member did about an infringement.
    Action, "actions", "ACTION_UNKNOWN";
    /// The listing was removed.
    ListingRemoved = 1, "listing_removed";
    /// The seller's ability to list was limited.
    ListingLimited = 2, "listing_limited";
    /// The store was suspended.
    StoreSuspended = 3, "store_suspended";
    /// The store was closed.
    StoreClosed = 4, "store_closed";
    /// The seller was banned for good.
    PermanentBan = 5, "permanent_ban";
    /// The deposit was confiscated.
    DepositConfiscated = 6, "deposit_confiscated";
    /// The payout was withheld.
    PayoutWithheld = 7, "payout_withheld";
    /// Buyers were reimbursed.
    BuyerReimbursed = 8, "buyer_reimbursed";
    /// The seller was named in public.
    NamedPublicly = 9, "named_publicly";
    /// The case was referred to the police.
    ReferredToPolice = 10, "referred_to_police";
}

/// Where an infringement was seen; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// On which platform of the roster.
    pub platform: Option<PlatformId>,
    /// In which country or subdivision.
    pub region: Option<Region>,
}

impl Sighting {
    /// # Errors
    /// Where it says nothing.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.platform.is_none() && self.region.is_none() {
            return Err(FieldError::new("SIGHTING_EMPTY", "", "give a platform or a region, or leave the sighting out"));
        }
        Ok(())
    }
}

/// An ISO 3166-1 alpha-2 country or an ISO 3166-2 subdivision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

impl Region {
    /// `CN` or `CN-GD`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes what has the form of a code (ISO 3166-2, 4.2), whether or not the standard lists it today.
    ///
    /// # Errors
    /// Anything else.
    pub fn well_formed(text: &str) -> Result<Self, FieldError> {
        let (country, subdivision) = text.split_once('-').map_or((text, None), |(country, rest)| (country, Some(rest)));
        let upper = |b: u8| b.is_ascii_uppercase();
        let is_country = country.len() == 2 && country.bytes().all(upper);
        let is_subdivision = |rest: &str| (1..=3).contains(&rest.len()) && rest.bytes().all(|b| upper(b) || b.is_ascii_digit());
        if is_country && subdivision.is_none_or(is_subdivision) { Ok(Self(text.to_owned())) } else { Err(Self::unknown()) }
    }

    /// Whether this is `other` or lies in it.
    #[must_use]
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    fn unknown() -> FieldError {
        FieldError::new(
            "REGION_UNKNOWN",
            "region",
            "give an ISO 3166-1 country such as CN or an ISO 3166-2 subdivision such as CN-GD",
        )
    }
}

impl FromStr for Region {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let known = match text.len() {
            2 => rust_iso3166::from_alpha2(text).is_some(),
            _ => rust_iso3166::iso3166_2::from_code(text).is_some(),
        };
        if known { Ok(Self(text.to_owned())) } else { Err(Self::unknown()) }
    }
}

impl TryFrom<String> for Region {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the goods are; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Class of goods.
    pub class: Option<ProductClass>,
    /// GS1 trade item number, 8, 12, 13 or 14 digits with a right check digit.
    pub gtin: Option<Gtin>,
}

impl Product {
    /// # Errors
    /// Where it says nothing, or names a class that its classification does not have.
    pub fn validate(&self) -> Result<(), FieldError> {
        match self.class {
            None if self.gtin.is_none() => {
                Err(FieldError::new("PRODUCT_EMPTY", "", "give a class or a GTIN, or leave the product out"))
            }
            None => Ok(()),
            Some(ProductClass::HsChapter(chapter)) => ProductClass::hs_chapter(chapter.into()).map(drop),
            Some(ProductClass::Nice(class)) => ProductClass::nice(class.into()).map(drop),
        }
    }
}

/// Class of goods in one of two classifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductClass {
    /// Chapter of the Harmonized System 2022: 1 to 97 without the reserved 77.
    HsChapter(u8),
    /// Class of the Nice classification: 1 to 45.
    Nice(u8),
}

impl ProductClass {
    /// # Errors
    /// A chapter that the Harmonized System does not have.
    pub fn hs_chapter(chapter: u32) -> Result<Self, FieldError> {
        match u8::try_from(chapter) {
            Ok(c @ 1..=97) if c != 77 => Ok(Self::HsChapter(c)),
            _ => Err(FieldError::new(
                "HS_CHAPTER_UNKNOWN",
                "hs_chapter",
                "give a chapter of the Harmonized System, 1 to 97 without 77",
            )),
        }
    }

    /// # Errors
    /// A class that the Nice classification does not have.
    pub fn nice(class: u32) -> Result<Self, FieldError> {
        match u8::try_from(class) {
            Ok(c @ 1..=45) => Ok(Self::Nice(c)),
            _ => Err(FieldError::new("NICE_CLASS_UNKNOWN", "nice_class", "give a class of the Nice classification, 1 to 45")),
        }
    }
}

/// A GS1 trade item number as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gtin(String);

impl Gtin {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Gtin {
    type Err = FieldError;

    /// Reads 8, 12, 13 or 14 digits and verifies the check digit (GS1 General Specifications, 7.9).
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
        let sum =
            |digits: &[u32]| -> u32 { digits.iter().rev().enumerate().map(|(i, d)| if i % 2 == 0 { *d } else { d * 3 }).sum() };
        match digits {
            Some(d) if matches!(d.len(), 8 | 12 | 13 | 14) && sum(&d) % 10 == 0 => Ok(Self(text.to_owned())),
            _ => Err(FieldError::new("GTIN_INVALID", "gtin", "give 8, 12, 13 or 14 digits with a right check digit")),
        }
    }
}

/// What the goods of one statement are worth: at least one of the three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodsValue {
    /// Amount in minor units of the ISO 4217 currency, above 0.
    pub amount: Option<(i64, Currency)>,
    /// Number of pieces, above 0.
    pub count: Option<u64>,
    /// What these goods are known by among members, such as the number of a seizure; 1 to 120 characters. Statements with one
    /// reference, in whatever case and blanks, are about the same goods.
    pub reference: Option<String>,
    /// Whether they were sold; laws set other thresholds for either.
    pub state: Option<GoodsState>,
}

vocabulary! {
    /// What had become of the goods.
    GoodsState, "state", "GOODS_STATE_UNKNOWN";
    /// Buyers paid for them: the value is what they paid.
    Sold = 1, "sold";
    /// They were offered or in stock: the value is what was asked for them.
    Unsold = 2, "unsold";
}

impl GoodsValue {
    /// # Errors
    /// Where it says nothing, a number is not above 0, or the reference is no text.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.amount.is_none() && self.count.is_none() && self.reference.is_none() {
            let message = "give an amount, a count or a reference, or leave the goods' value out";
            return Err(FieldError::new("GOODS_VALUE_EMPTY", "", message));
        }
        if self.amount.is_some_and(|(amount, _)| amount <= 0) {
            return Err(FieldError::new("AMOUNT_INVALID", "amount_minor", "give an amount above 0 in minor units"));
        }
        if self.count == Some(0) {
            return Err(FieldError::new("COUNT_INVALID", "count", "give a count above 0, or leave it out"));
        }
        Statement::validate_text("reference", self.reference.as_deref())
    }
}

/// An ISO 4217 currency by its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The yuan.
    pub const CNY: Self = Self(*b"CNY");

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Takes what has the form of a code, whether or not the standard lists it today.
    ///
    /// # Errors
    /// Anything else.
    pub fn well_formed(text: &str) -> Result<Self, FieldError> {
        let letters = text.as_bytes().try_into().ok().filter(|code: &[u8; 3]| code.iter().all(u8::is_ascii_uppercase));
        letters
            .map(Self)
            .ok_or_else(|| FieldError::new("CURRENCY_UNKNOWN", "currency", "give the three letters of ISO 4217, such as CNY"))
    }

    /// Digits of the minor unit; `None` where the currency has none defined.
    #[must_use]
    pub fn exponent(&self) -> Option<u16> {
        iso_currency::Currency::from_code(self.code())?.exponent()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// In the roster, which every version has to read alike: whatever has the form of a code.
impl TryFrom<String> for Currency {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        Self::well_formed(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

impl FromStr for Currency {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        // The empty text has no code, so that an unlisted one is refused as a malformed one is.
        Self::well_formed(iso_currency::Currency::from_code(text).map_or("", |currency| currency.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement::of(Infringement::TrademarkCounterfeit, vec![Evidence::of(EvidenceKind::TestPurchase)])
    }

    const TODAY: Date = jiff::civil::date(2026, 11, 22);

    fn code(statement: &Statement) -> &'static str {
        statement.validate(TODAY).expect_err("refused").code
    }

    #[test]
    fn a_volunteer_cannot_make_a_conclusive_flag() {
        let mut s = statement();
        s.evidence =
            vec![Evidence { kind: EvidenceKind::VolunteerSurveillance, grade: EvidenceGrade::Conclusive, digests: vec![] }];
        assert_eq!(code(&s), "EVIDENCE_GRADE_TOO_HIGH");
    }

    #[test]
    fn bounds_of_a_statement() {
        assert_eq!(statement().validate(TODAY), Ok(()));
        let with = |change: &dyn Fn(&mut Statement)| {
            let mut s = statement();
            change(&mut s);
            s
        };
        assert_eq!(code(&with(&|s| s.evidence.clear())), "EVIDENCE_COUNT");
        assert_eq!(code(&with(&|s| s.brand = Some("x".repeat(121)))), "TEXT_INVALID");
        assert_eq!(code(&with(&|s| s.brand = Some("a\u{7}".into()))), "TEXT_INVALID");
        assert_eq!(code(&with(&|s| s.actions = vec![Action::StoreClosed, Action::StoreClosed])), "ACTION_REPEATED");
        assert_eq!(code(&with(&|s| s.observed_on = Some(jiff::civil::date(2026, 11, 24)))), "DATE_OUT_OF_RANGE");
        assert_eq!(code(&with(&|s| s.acted_on = Some(jiff::civil::date(1989, 12, 31)))), "DATE_OUT_OF_RANGE");
        assert_eq!(code(&with(&|s| s.retention_days = Some(4_000))), "RETENTION_OUT_OF_RANGE");
    }

    #[test]
    fn codes_of_the_standards() {
        assert!("CN-GD".parse::<Region>().is_ok() && "DE".parse::<Region>().is_ok());
        let region = |text: &str| text.parse::<Region>().expect("listed");
        assert!(
            region("CN-GD").is_in(&region("CN")) && region("CN").is_in(&region("CN")) && !region("CN").is_in(&region("CN-GD"))
        );
        assert!("CN-XX".parse::<Region>().is_err() && "cn".parse::<Region>().is_err());
        assert!("CNY".parse::<Currency>().is_ok() && "RMB".parse::<Currency>().is_err());
        assert!("4006381333931".parse::<Gtin>().is_ok() && "4006381333932".parse::<Gtin>().is_err());
        assert!(ProductClass::hs_chapter(77).is_err() && ProductClass::nice(46).is_err());
        assert!("zz".repeat(32).parse::<Sha256Digest>().is_err() && "0a".repeat(32).parse::<Sha256Digest>().is_ok());
    }
}
