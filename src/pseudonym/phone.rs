use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::refused;
use super::text;

/// E.164 (ITU-T) of a valid number, with its `+`.
///
/// A number in national form is read in `region`; one that begins with `+` never is. Only digits reach the library, so
/// what it would guess from letters, from text around the number or from an extension cannot happen: extensions and
/// vanity letters are refused. `kind` is whose number it is, for the refusal.
pub(super) fn canonical(kind: IdentifierKind, value: &str, region: &str) -> Result<String, FieldError> {
    let dialled = dialled(value).ok_or_else(|| not_valid(kind))?;
    let region = if dialled.starts_with('+') { None } else { Some(region_of(kind, region)?) };
    let form = e164(&dialled, region).ok_or_else(|| not_valid(kind))?;
    if is_several(value, &form) {
        return Err(refused(
            kind,
            "PHONE_SEVERAL",
            "what follows the slash, bracket or last dash may be a second number or an extension; give one number, with + and \
             country code, digits only",
        ));
    }
    // A form that read as another number would break the promise that a canonical form stays what it is.
    let stays = form == dialled || e164(&form, None).as_deref() == Some(form.as_str());
    if stays { Ok(form) } else { Err(not_valid(kind)) }
}

/// The digits, after a `+` if there is one; `None` where there is anything but digits and punctuation.
fn dialled(value: &str) -> Option<String> {
    let value = text::nfkc(value);
    let number = match value.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("tel:") => value.get(4..)?,
        _ => &value,
    };
    let dialled: String = number.chars().filter(|&c| !is_punctuation(c)).collect();
    let digits = dialled.strip_prefix('+').unwrap_or(&dialled);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(dialled)
}

/// Digits that a subscriber's number has at least. Fewer after a slash or bracket stand for another number's last digits.
const MIN_AFTER_MARK: usize = 5;
/// Countries in whose numbers a direct dial of one digit may follow a dash (DIN 5008, OENORM A 1080): it is dialled with
/// the rest.
const DIRECT_DIAL: [&str; 2] = ["+49", "+43"];

/// Whether `value`, which reads as the number `form`, rather names two numbers that differ at the end, or has an extension:
/// glued together they would be a third subscriber's number.
fn is_several(value: &str, form: &str) -> bool {
    let value = text::nfkc(value);
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let after = |mark: &[char]| value.rsplit_once(mark).map(|(_, rest)| digits(rest));
    let marked = after(&['/', '(', ')', '[', ']']).is_some_and(|count| count < MIN_AFTER_MARK);
    let two = value.split_once('/').is_some_and(|(before, _)| digits(before) > most_before_slash(&value));
    let is_dash = |c: char| text::is_filler(c) && !text::is_blank(c);
    let dialled_through = value.rsplit_once(is_dash).is_some_and(|(_, rest)| digits(rest) == 1);
    marked || two || dialled_through && !DIRECT_DIAL.iter().any(|country| form.starts_with(country))
}

/// Digits of an area code with what is dialled before it: a country code, with the prefix for abroad or without, or the
/// trunk's 0. More of them before a slash are a subscriber's number.
fn most_before_slash(value: &str) -> usize {
    if value.contains('+') {
        7
    } else if value.trim_start_matches(['(', ' ']).starts_with("00") {
        9
    } else {
        6
    }
}

fn is_punctuation(c: char) -> bool {
    text::is_filler(c) || matches!(c, '.' | '(' | ')' | '[' | ']' | '/' | '\u{b7}' | '\u{30fb}' | '\u{30fc}')
}

fn region_of(kind: IdentifierKind, region: &str) -> Result<Region, FieldError> {
    if region.is_empty() {
        return Err(refused(
            kind,
            "PHONE_NEEDS_REGION",
            "a number without + can be one in many countries; give it with + and country code, or give its region",
        ));
    }
    let known = |r: &Region| region.len() == 2 && PHONE_NUMBER_UTIL.get_country_code_for_region(*r).is_some();
    Region::from_code(region).ok().filter(known).ok_or_else(|| {
        FieldError::new(
            "REGION_UNKNOWN",
            "region",
            format!("{kind}: no such region; give the ISO 3166-1 alpha-2 code of the country, such as CN"),
        )
    })
}

fn e164(dialled: &str, region: Option<Region>) -> Option<String> {
    let number = PhoneNumber::parse(dialled, region).ok().filter(PhoneNumber::is_valid)?;
    Some(number.format_as(PhoneNumberFormat::E164).into_owned())
}

fn not_valid(kind: IdentifierKind) -> FieldError {
    refused(
        kind,
        "PHONE_INVALID",
        "no valid phone number; give it with + and country code, digits only, without extension, and check them",
    )
}
