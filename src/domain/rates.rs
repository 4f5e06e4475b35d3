//! What currencies are worth in one another, day by day, as the roster's policy has it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Currency, FieldError};

/// Rates of all days together: twenty years of months for twelve currencies, so that a roster stays small.
const MAX_RATES: usize = 3_000;

/// What currencies are worth in one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// The currency that all others are measured in.
    pub base: Currency,
    /// By the first day on which it holds: what one unit (one dollar, not one cent) of a currency is worth in the base. It holds
    /// until a later day names the currency again.
    pub from: BTreeMap<Date, BTreeMap<Currency, Rate>>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { base: Currency::CNY, from: BTreeMap::new() }
    }
}

impl Rates {
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.from.values().map(BTreeMap::len).sum::<usize>() > MAX_RATES {
            let message = "give at most 3000 rates; leave out those from before the oldest signal that is kept";
            return Err(FieldError::new("RATES_INVALID", "from", message));
        }
        match self.from.iter().find(|(_, rates)| rates.contains_key(&self.base)) {
            Some((day, _)) => {
                let message = "leave the base out: it is worth one of itself";
                Err(FieldError::new("RATES_INVALID", format!("from.{day}.{}", self.base), message))
            }
            None => Ok(()),
        }
    }

    /// What an amount is worth in another currency by the rates of a day, both in minor units; what is less than one is dropped.
    /// `None` where a rate or a minor unit is not known, or the amount is beyond all measure.
    #[must_use]
    pub fn convert(&self, amount_minor: i64, currency: Currency, target: Currency, day: Date) -> Option<i64> {
        if currency == target {
            return Some(amount_minor);
        }
        let amount = Decimal::try_from_i128_with_scale(amount_minor.into(), currency.exponent()?.into()).ok()?;
        let worth = amount.checked_mul(self.rate(currency, day)?)?.checked_div(self.rate(target, day)?)?;
        let minor = worth.checked_mul(Decimal::from(10_u64.checked_pow(target.exponent()?.into())?))?;
        i64::try_from(minor.trunc()).ok()
    }

    /// What one unit of the currency is worth in the base on that day.
    fn rate(&self, currency: Currency, day: Date) -> Option<Decimal> {
        if currency == self.base {
            return Some(Decimal::ONE);
        }
        self.from.range(..=day).rev().find_map(|(_, rates)| rates.get(&currency)).map(|rate| rate.0)
    }
}

/// What one unit of a currency is worth in another: a decimal number above 0 with at most 9 digits on either side of its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(Decimal);

impl FromStr for Rate {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let form = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let number = if form(whole) && form(fraction) { Decimal::from_str_exact(text).ok() } else { None };
        number.filter(|rate| !rate.is_zero()).map(Self).ok_or_else(|| {
            FieldError::new(
                "RATE_INVALID",
                "",
                "give a decimal number above 0 in quotes, such as \"7.0986\", with at most 9 decimals",
            )
        })
    }
}

impl TryFrom<String> for Rate {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().expect("listed")
    }

    fn rates() -> Rates {
        toml::from_str(
            "base = \"CNY\"\n[from.2026-01-01]\nUSD = \"7.00\"\nJPY = \"0.05\"\n[from.2026-06-01]\nUSD = \"7.1234\"\n",
        )
        .expect("rates")
    }

    #[test]
    fn the_rate_of_the_day_holds_and_what_is_less_than_a_minor_unit_is_dropped() {
        let in_cny = |minor, code: &str, day| rates().convert(minor, currency(code), Currency::CNY, day);
        assert_eq!(in_cny(10_000, "USD", date(2026, 1, 1)), Some(70_000));
        assert_eq!(in_cny(10_000, "USD", date(2026, 5, 31)), Some(70_000));
        assert_eq!(in_cny(10_001, "USD", date(2026, 6, 1)), Some(71_241));
        // The yen has no minor unit, and its rate of January holds on.
        assert_eq!(in_cny(100, "JPY", date(2026, 7, 1)), Some(500));
        let from_cny = |minor, code: &str| rates().convert(minor, Currency::CNY, currency(code), date(2026, 1, 1));
        assert_eq!((from_cny(70_006, "USD"), from_cny(504, "JPY")), (Some(10_000), Some(100)));
        assert_eq!(rates().convert(100, currency("USD"), currency("JPY"), date(2026, 1, 1)), Some(140));
    }

    #[test]
    fn what_has_no_rate_is_not_guessed() {
        let day = date(2026, 1, 1);
        assert_eq!(rates().convert(1, currency("EUR"), Currency::CNY, day), None);
        assert_eq!(rates().convert(1, currency("USD"), Currency::CNY, date(2025, 12, 31)), None);
        // Gold has no minor unit.
        assert_eq!(rates().convert(1, currency("XAU"), Currency::CNY, day), None);
        assert_eq!(rates().convert(i64::MAX, currency("USD"), Currency::CNY, day), None);
        assert_eq!(rates().convert(5, currency("XAU"), currency("XAU"), day), Some(5));
    }

    #[test]
    fn rates_are_exact_decimals() {
        for (text, taken) in [
            ("7", true),
            ("0.000000001", true),
            ("", false),
            ("0", false),
            ("-1", false),
            ("1e3", false),
            ("7,1", false),
            ("1.", false),
        ] {
            assert_eq!(text.parse::<Rate>().is_ok(), taken, "{text}");
        }
        assert!("1234567890".parse::<Rate>().is_err() && "1.0000000001".parse::<Rate>().is_err());
        let json = serde_json::to_string(&rates()).expect("JSON");
        let expected = r#"{"base":"CNY","from":{"2026-01-01":{"JPY":"0.05","USD":"7.00"},"2026-06-01":{"USD":"7.1234"}}}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Rates>(&json).expect("read again"), rates());
        let of_base = toml::from_str::<Rates>("[from.2026-01-01]\nCNY = \"1\"\n").expect("well-formed");
        assert_eq!(of_base.validate().expect_err("the base").field, "from.2026-01-01.CNY");
    }
}
