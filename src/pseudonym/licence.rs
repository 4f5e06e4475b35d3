use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::{country, text};

const KIND: IdentifierKind = IdentifierKind::BusinessLicence;
/// The characters of a USCC in the order of their values (GB 32100-2015, table 2): no I, O, S, V, Z.
const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// The weights of the first seventeen characters (GB 32100-2015, annex A): 3^i mod 31.
const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// Bytes of a register's name and of a number in it.
const MAX_PART: usize = 64;

/// The German registers (HRV section 3, and those of cooperatives, partnerships, companies of civil law, associations). Each
/// local court numbers its own from 1.
const GERMAN_REGISTERS: [&str; 6] = ["HRA", "HRB", "GNR", "PR", "GSR", "VR"];

/// A USCC (GB 32100-2015) as its eighteen characters, else `country:register:number`.
pub(super) fn canonical(value: &str) -> Result<String, FieldError> {
    let value = text::upper(value);
    match value.split(':').collect::<Vec<_>>()[..] {
        [code] => uscc(&text::packed(code)),
        [country, register, number] => foreign(&text::packed(country), register, number),
        _ => Err(invalid(KIND, "give a Chinese credit code (USCC), or country:register:number")),
    }
}

/// The letter O is not mapped to the digit 0, nor I to 1: a code that was read wrong once may be wrong elsewhere too, and
/// the check character is too weak to tell.
fn uscc(code: &str) -> Result<String, FieldError> {
    if code.chars().count() != WEIGHTS.len() + 1 {
        return Err(refused(
            KIND,
            "USCC_LENGTH",
            "a Chinese credit code (USCC) has 18 characters; look up the one that replaced an older number, or give country:register:number",
        ));
    }
    let values: Option<Vec<usize>> = code.bytes().map(|c| ALPHABET.iter().position(|&a| a == c)).collect();
    let values = values.ok_or_else(|| {
        refused(
            KIND,
            "USCC_CHARACTER",
            "a Chinese credit code (USCC) has digits and capitals without I, O, S, V, Z; check for O in place of 0",
        )
    })?;
    let sum: usize = WEIGHTS.iter().zip(&values).map(|(weight, value)| weight * value).sum();
    if values.last() == Some(&((31 - sum % 31) % 31)) {
        return Ok(code.to_owned());
    }
    Err(refused(
        KIND,
        "USCC_CHECK",
        "the check character of this Chinese credit code (USCC) is wrong; compare it with the licence",
    ))
}

fn foreign(country: &str, register: &str, number: &str) -> Result<String, FieldError> {
    if country == "CN" {
        return Err(refused(
            KIND,
            "USCC_REQUIRED",
            "a Chinese business has a credit code (USCC); give its 18 characters alone",
        ));
    }
    if !country::exists(country) {
        return Err(refused(KIND, "COUNTRY_UNKNOWN", "begin with the ISO 3166-1 alpha-2 code of the register's country"));
    }
    let (register, number) = match country {
        "DE" => (german(register)?, dashed(number)),
        _ => (text::packed(register), dashed(number)),
    };
    let sound = register.split('-').all(is_part) && number.split('-').all(is_part);
    if !sound || country == "DE" && !is_numbered(&number) {
        return Err(invalid(KIND, "give country:register:number, the last two as letters, digits, dots and slashes"));
    }
    Ok(format!("{country}:{register}:{number}"))
}

/// `COURT-HRB` from the court and the register in either order: the number alone is another firm's at each court.
fn german(register: &str) -> Result<String, FieldError> {
    let words: Vec<&str> = register.split(text::is_filler).filter(|word| !word.is_empty()).collect();
    let (kind, court) = match words[..] {
        [ref court @ .., kind] if GERMAN_REGISTERS.contains(&kind) => (kind, court),
        [kind, ref court @ ..] if GERMAN_REGISTERS.contains(&kind) => (kind, court),
        _ => ("", &[][..]),
    };
    if court.is_empty() {
        return Err(refused(
            KIND,
            "REGISTER_COURT",
            "German register numbers repeat from court to court; give DE:court-register:number, such as DE:Muenchen-HRB:number",
        ));
    }
    // A court is written with umlauts and without.
    let court = court.concat().replace('Ä', "AE").replace('Ö', "OE").replace('Ü', "UE");
    Ok(format!("{court}-{kind}"))
}

/// Digits, and the letters that some courts put after them: `123456 B`.
fn is_numbered(number: &str) -> bool {
    let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() + 3 >= number.len() && !digits.is_empty()
}

/// `number` without blanks, its dashes all of one kind. They stay: `123-4` and `12-34` are two firms.
fn dashed(number: &str) -> String {
    let packed = number.chars().filter(|&c| !text::is_blank(c));
    packed.map(|c| if text::is_filler(c) { '-' } else { c }).collect()
}

fn is_part(part: &str) -> bool {
    (1..=MAX_PART).contains(&part.len()) && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '/' | '_'))
}
