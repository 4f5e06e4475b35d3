//! What goods come to, as it is printed.

use rust_decimal::Decimal;
use serde::Serialize;

use super::output::counted;
use crate::domain::Currency;
use crate::rpc::proto;

/// What goods come to. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Goods {
    total_minor: i64,
    currency: String,
    stated: Vec<Stated>,
    goods: u32,
    repeated_signals: u32,
    unvalued_signals: u32,
    left_out_signals: u32,
}

#[derive(Debug, Serialize)]
struct Stated {
    amount_minor: i64,
    currency: String,
    without_rate: bool,
}

impl From<proto::GoodsTotal> for Goods {
    fn from(total: proto::GoodsTotal) -> Self {
        let stated = |stated: proto::StatedAmount| {
            let proto::StatedAmount { amount_minor, currency, without_rate } = stated;
            Stated { amount_minor, currency, without_rate }
        };
        Self {
            total_minor: total.total_minor,
            currency: total.currency,
            stated: total.stated.into_iter().map(stated).collect(),
            goods: total.goods,
            repeated_signals: total.repeated_signals,
            unvalued_signals: total.unvalued_signals,
            left_out_signals: total.left_out_signals,
        }
    }
}

impl Goods {
    /// A line of the sum, and one for each thing to know about it.
    pub(super) fn table(&self) -> String {
        let head = match self.goods {
            0 => "goods: no amount is stated\n".to_owned(),
            goods => format!("goods: {} in all, {goods} goods, each counted once\n", money(self.total_minor, &self.currency)),
        };
        let stated = self.stated.iter().map(|stated| {
            let missing = ", not in the sum: the alliance's policy has no rate for it";
            let note = if stated.without_rate { missing } else { "" };
            format!("  stated    {}{note}\n", money(stated.amount_minor, &stated.currency))
        });
        let signals = [
            ("repeated", self.repeated_signals, "of goods that other signals state too"),
            ("unvalued", self.unvalued_signals, "without an amount"),
            ("left out", self.left_out_signals, "disputed or of parallel imports"),
        ];
        let signals = signals.into_iter().filter(|(_, count, _)| *count > 0);
        let signals = signals.map(|(name, count, what)| format!("  {name}  {}, {what}\n", counted(count.into(), "signal")));
        std::iter::once(head).chain(stated).chain(signals).collect()
    }
}

/// An amount in major units; in minor ones where the currency's are not known.
pub(super) fn money(minor: i64, currency: &str) -> String {
    match currency.parse::<Currency>().ok().and_then(|currency| currency.exponent()) {
        Some(exponent) => format!("{} {currency}", Decimal::new(minor, exponent.into())),
        None => format!("{minor} minor units of {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (minor, currency, text) in [
            (123_450, "CNY", "1234.50 CNY"),
            (5, "EUR", "0.05 EUR"),
            (1_234, "JPY", "1234 JPY"),
            (i64::MAX, "KWD", "9223372036854775.807 KWD"),
            (7, "XAU", "7 minor units of XAU"),
        ] {
            assert_eq!(money(minor, currency), text);
        }
    }
}
