use iban::{Iban, IbanLike as _};

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::{country, text};

const KIND: IdentifierKind = IdentifierKind::BankAccount;
/// Characters of a bank's code and of an account number; ISO 13616 allows 30 for both together.
const MAX_PART: usize = 34;

/// An IBAN in electronic form (ISO 13616), else `country:bank:account`.
///
/// An account has one form: where a country has IBANs, the IBAN is the one that is taken.
pub(super) fn canonical(value: &str) -> Result<String, FieldError> {
    let value = text::packed(&text::upper(value));
    let value = match value.strip_prefix("IBAN") {
        Some(rest) => rest.trim_start_matches(':'),
        None => &value,
    };
    match value.split(':').collect::<Vec<_>>()[..] {
        [_] if is_iban_shaped(value) => iban(value),
        [country, bank, account] => national(country, bank, account),
        _ => Err(invalid(KIND, "give an IBAN, or country:bank:account where the country has none")),
    }
}

/// Two letters and two digits: no national form that this kind takes begins like this.
fn is_iban_shaped(value: &str) -> bool {
    matches!(value.as_bytes(), [a, b, c, d, ..]
        if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_digit() && d.is_ascii_digit())
}

fn iban(value: &str) -> Result<String, FieldError> {
    match value.parse::<Iban>() {
        Ok(iban) => Ok(iban.electronic_str().to_owned()),
        Err(iban::ParseIbanError::UnknownCountry(_)) => {
            Err(refused(KIND, "IBAN_COUNTRY_UNKNOWN", "the IBAN registry has no such country; give country:bank:account"))
        }
        Err(_) => Err(refused(
            KIND,
            "IBAN_INVALID",
            "this looks like an IBAN, but its check digits or its length are wrong; compare it with the source",
        )),
    }
}

fn national(country: &str, bank: &str, account: &str) -> Result<String, FieldError> {
    if !country::exists(country) {
        return Err(refused(KIND, "COUNTRY_UNKNOWN", "begin with the ISO 3166-1 alpha-2 code of the bank's country"));
    }
    if country::uses_iban(country) {
        return Err(refused(
            KIND,
            "IBAN_REQUIRED",
            "accounts in this country have an IBAN; give the IBAN, so that the account has one form",
        ));
    }
    if !text::is_alphanumeric(bank, MAX_PART) || !text::is_alphanumeric(account, MAX_PART) {
        return Err(invalid(KIND, "give country:bank:account, bank and account as 1 to 34 letters and digits each"));
    }
    Ok(format!("{country}:{}:{account}", head_office(bank)))
}

/// A BIC (ISO 9362) of eleven characters that ends in `XXX` means the head office, which its first eight mean too.
fn head_office(bank: &str) -> &str {
    match bank.strip_suffix("XXX") {
        Some(short) if short.len() == 8 && short.bytes().take(6).all(|b| b.is_ascii_uppercase()) => short,
        _ => bank,
    }
}
