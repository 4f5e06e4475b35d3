//! From which value of goods on a law makes a crime of it: rules that an investigator gives in a file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::limits::{MAX_NAME_CHARS, MAX_THRESHOLDS};
use super::{Currency, FieldError, GoodsState, Infringement, Region};

/// Brands that a rule may ask for at most.
const MAX_MARKS: u16 = 100;

/// The rules of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// At most 64; each stands for itself.
    #[serde(default, rename = "threshold")]
    pub rules: Vec<Threshold>,
}

/// One rule: goods that fit it and are together worth at least so much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What people call it, 1 to 120 characters.
    pub name: String,
    /// Goods of signals seen there, or in a subdivision of it; `None` for everywhere.
    #[serde(default)]
    pub region: Option<Region>,
    /// Goods of these infringements; none named for all.
    #[serde(default)]
    pub infringements: BTreeSet<Infringement>,
    /// Goods in this state only; `None` for whatever state, also where none is stated.
    #[serde(default)]
    pub state: Option<GoodsState>,
    /// Different brands that the goods must carry at least, 1 to 100.
    #[serde(default = "one")]
    pub marks: u16,
    /// In what the value is measured.
    pub currency: Currency,
    /// The value in whole units of the currency, 0 or more.
    pub amount: u64,
}

const fn one() -> u16 {
    1
}

impl Thresholds {
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.rules.len() > MAX_THRESHOLDS {
            return Err(FieldError::new("THRESHOLD_COUNT", "threshold", "give at most 64 rules"));
        }
        let rules = self.rules.iter().enumerate();
        rules.into_iter().try_for_each(|(i, rule)| rule.validate().map_err(|error| error.inside(format!("threshold[{i}]"))))
    }
}

impl Threshold {
    fn validate(&self) -> Result<(), FieldError> {
        if !(1..=MAX_NAME_CHARS).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            return Err(FieldError::new("TEXT_INVALID", "name", "give 1 to 120 characters without control characters"));
        }
        if !(1..=MAX_MARKS).contains(&self.marks) {
            return Err(FieldError::new("THRESHOLD_MARKS", "marks", "give 1 to 100 brands"));
        }
        self.minor().map(drop)
    }

    /// The value in minor units.
    ///
    /// # Errors
    /// Where the currency has none, or the value is beyond all measure.
    pub fn minor(&self) -> Result<i64, FieldError> {
        let exponent = self.currency.exponent().ok_or_else(|| {
            FieldError::new("CURRENCY_WITHOUT_MINOR_UNIT", "currency", "give a currency that has amounts of money")
        })?;
        let minor = 10_u64.checked_pow(exponent.into()).and_then(|unit| self.amount.checked_mul(unit));
        minor
            .and_then(|minor| i64::try_from(minor).ok())
            .ok_or_else(|| FieldError::new("AMOUNT_INVALID", "amount", "give an amount that somebody could pay"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rule: &str) -> Result<Thresholds, String> {
        let text = format!("[[threshold]]\nname = \"a\"\ncurrency = \"CNY\"\namount = 50000\n{rule}");
        let thresholds: Thresholds = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
        thresholds.validate().map(|()| thresholds).map_err(|error| format!("{} {}", error.code, error.field))
    }

    #[test]
    fn a_rule_says_what_it_measures() {
        let rules = read("region = \"CN\"\ninfringements = [\"trademark_counterfeit\"]\nstate = \"sold\"\nmarks = 2")
            .expect("valid")
            .rules;
        assert_eq!((rules[0].minor(), rules[0].marks, rules[0].state), (Ok(5_000_000), 2, Some(GoodsState::Sold)));
        assert_eq!(read("").expect("valid").rules[0].marks, 1);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert_eq!(read("marks = 0"), Err("THRESHOLD_MARKS threshold[0].marks".into()));
        assert!(read("region = \"XX\"").is_err() && read("colour = 1").is_err() && read("state = \"lost\"").is_err());
        let rule = |currency: &str, amount: u64| Threshold {
            currency: currency.parse().expect("listed"),
            amount,
            ..read("").expect("valid").rules.remove(0)
        };
        assert_eq!(rule("JPY", 7).minor(), Ok(7));
        assert_eq!(rule("CNY", u64::MAX).minor().expect_err("too much").code, "AMOUNT_INVALID");
        assert_eq!(rule("XAU", 7).minor().expect_err("no money").code, "CURRENCY_WITHOUT_MINOR_UNIT");
        let rules = vec![rule("CNY", 1); MAX_THRESHOLDS + 1];
        assert_eq!(Thresholds { rules }.validate().expect_err("too many").code, "THRESHOLD_COUNT");
    }
}
