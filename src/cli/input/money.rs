//! Amounts as people write them.

use super::field::Field;
use crate::domain::{Currency, FieldError};

/// Minor units of a decimal amount in major units: `1234.50` of a currency with two decimals is 123,450.
///
/// Digits, and a point before the decimals; no sign, no separators of thousands, no more decimals than the currency has.
pub(super) fn minor_units(text: &str, currency: Currency) -> Result<i64, FieldError> {
    let invalid = || Field::Amount.error("AMOUNT_INVALID", "give a decimal number above 0 such as 1234.50, without separators");
    let Some(exponent) = currency.exponent() else {
        return Err(Field::Currency.error("CURRENCY_WITHOUT_MINOR_UNIT", "give a currency that has amounts of money"));
    };
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return Err(invalid()),
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    let Some(missing) = usize::from(exponent).checked_sub(decimals.len()) else {
        let message = format!("give at most {exponent} decimals; {} has no more", currency.code());
        return Err(Field::Amount.error("AMOUNT_DECIMALS", message));
    };
    let minor = format!("{whole}{decimals}{}", "0".repeat(missing)).parse().map_err(|_| invalid())?;
    if minor == 0 { Err(invalid()) } else { Ok(minor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, currency: &str) -> Result<i64, &'static str> {
        minor_units(text, currency.parse().expect("a currency")).map_err(|e| e.code)
    }

    #[test]
    fn amounts_follow_their_currency() {
        for (text, currency, expected) in [
            ("1234.50", "CNY", 123_450),
            ("1234.5", "CNY", 123_450),
            ("1234", "CNY", 123_400),
            ("0.01", "EUR", 1),
            ("1234", "JPY", 1_234),
            ("1.234", "KWD", 1_234),
            ("0007", "JPY", 7),
            ("92233720368547758.07", "USD", i64::MAX),
        ] {
            assert_eq!(minor(text, currency), Ok(expected), "{text} {currency}");
        }
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for (text, currency, code) in [
            ("1.234", "CNY", "AMOUNT_DECIMALS"),
            ("1.0", "JPY", "AMOUNT_DECIMALS"),
            ("1,234.50", "CNY", "AMOUNT_INVALID"),
            ("1234,50", "EUR", "AMOUNT_INVALID"),
            ("-1", "CNY", "AMOUNT_INVALID"),
            ("+1", "CNY", "AMOUNT_INVALID"),
            ("1e3", "CNY", "AMOUNT_INVALID"),
            (".5", "CNY", "AMOUNT_INVALID"),
            ("5.", "CNY", "AMOUNT_INVALID"),
            ("", "CNY", "AMOUNT_INVALID"),
            ("0.00", "CNY", "AMOUNT_INVALID"),
            ("1.2.3", "KWD", "AMOUNT_INVALID"),
            ("92233720368547758.08", "USD", "AMOUNT_INVALID"),
            ("\u{0661}", "CNY", "AMOUNT_INVALID"),
            ("1", "XAU", "CURRENCY_WITHOUT_MINOR_UNIT"),
        ] {
            assert_eq!(minor(text, currency), Err(code), "{text} {currency}");
        }
    }
}
