use iban::Iban;

/// Whether `code` is an upper-case ISO 3166-1 alpha-2 code that is in use.
pub(super) fn exists(code: &str) -> bool {
    code.len() == 2 && rust_iso3166::from_alpha2(code).is_some()
}

/// Territories with a country code of their own whose accounts carry another country's IBAN (ISO 13616 registry, field
/// "IBAN structure: includes other territories").
const IBAN_OF_ANOTHER: &[&str] =
    &["AX", "BL", "GF", "GG", "GP", "IM", "JE", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"];

/// Whether accounts in this country have IBANs, by the registry that the pinned library carries.
///
/// The library does not list its countries, but tells an unknown one from a wrong account: so it is asked about a string
/// with right check digits and a one-digit account, which no country has.
pub(super) fn uses_iban(code: &str) -> bool {
    let probe = format!("{code}{:02}0", check_digits(code));
    IBAN_OF_ANOTHER.contains(&code) || matches!(probe.parse::<Iban>(), Ok(_) | Err(iban::ParseIbanError::InvalidBban(_)))
}

/// Check digits (ISO 7064 MOD 97-10) of the account `0` in `code`.
fn check_digits(code: &str) -> u32 {
    let letters = code.bytes().fold(0, |sum, letter| sum * 100 + u32::from(letter.wrapping_sub(b'A')) + 10);
    98 - letters * 100 % 97
}
