use std::sync::LazyLock;

use proptest::prelude::*;

use crate::domain::{Identifier, IdentifierKind};
use crate::pseudonym::Canonicaliser;

use super::{canonicaliser, identifier, text};

static CANONICALISER: LazyLock<Canonicaliser> = LazyLock::new(canonicaliser);

fn kind() -> impl Strategy<Value = IdentifierKind> {
    proptest::sample::select(IdentifierKind::ALL)
}

/// Text near enough to identifiers that much of it is accepted.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,40}",
        "(\\+|00)?[0-9]{1,3}[ ()0-9-]{6,14}",
        "(https?://|//|\\*\\.)?[a-zA-Z0-9üß中_-]{1,12}(\\.[a-z0-9]{1,8}){1,3}(:[0-9]{2,4})?(/[a-z&;?=#.]{0,12})?",
        "[a-zA-Z.+]{1,12}@[a-zA-Zü]{1,8}\\.(com|cn)",
        "(taobao|tube|line|whatsapp|telegram|alipay|paypal|eth|btc|vat|us|cn|QQ):[@+$]{0,3}\\PC{1,20}",
        "(taobao|tube|line|qq|telegram|alipay|payoneer|stripe|vat|us|cn|CN:icbk|DE:hrb):[a-zA-Z0-9 ._@+-]{1,20}",
        "[0-9A-HJ-NP-RTUW-Y]{17,18}",
    ]
}

fn check_one(identifier: &Identifier) -> Result<(), TestCaseError> {
    let Ok(form) = CANONICALISER.canonical(identifier) else { return Ok(()) };
    prop_assert!(!form.as_bytes().is_empty());
    let again = CANONICALISER.canonical(&super::identifier(identifier.kind, text(&form), ""));
    prop_assert!(
        again.as_ref() == Ok(&form),
        "{}: {:?} became {:?}, then {again:?}",
        identifier.kind,
        identifier.value,
        text(&form)
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_form_is_its_own_form(kind in kind(), value in value(), region in "(|CN|US|IT|AR|MX|[A-Z]{2})") {
        check_one(&identifier(kind, &value, &region))?;
    }

    #[test]
    fn nothing_said_contains_the_value(kind in kind(), secret in "[qzwvj]{14}[0-9]{8}", shape in 0_usize..8) {
        let value = match shape {
            0 => secret.clone(),
            1 => format!("taobao:{secret}"),
            2 => format!("{secret}:{secret}"),
            3 => format!("+86{secret}"),
            4 => format!("{secret}@{secret}"),
            5 => format!("https://{secret}.com"),
            6 => format!("CN:{secret}:{secret}"),
            _ => format!("vat:{secret}"),
        };
        let identifier = identifier(kind, &value, &secret);
        let said = match CANONICALISER.canonical(&identifier) {
            Ok(form) => format!("{form:?}"),
            Err(refusal) => format!("{refusal} {refusal:?}"),
        };
        for start in 0..=secret.len() - 4 {
            let part = &secret[start..start + 4];
            prop_assert!(!said.to_lowercase().contains(part), "{said} tells {part}");
        }
    }
}

/// Letters, digits and marks but for the two blocks of ideographs and syllables, which are large and have no case.
fn letters() -> impl Iterator<Item = char> {
    let uniform = |c: char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    let counts = |c: char| c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c);
    ('\0'..'\u{20000}').filter(move |&c| counts(c) && !uniform(c))
}

#[test]
fn every_letter_in_a_name_comes_to_rest() {
    for c in letters() {
        for value in [format!("{c}"), format!("a{c}I")] {
            let Ok(form) = CANONICALISER.canonical(&identifier(IdentifierKind::LegalName, &value, "")) else {
                assert!(!value.starts_with('a'), "U+{:04X} is refused within a name", u32::from(c));
                continue;
            };
            let again = CANONICALISER.canonical(&identifier(IdentifierKind::LegalName, text(&form), ""));
            assert_eq!(again.as_ref().map(text), Ok(text(&form)), "U+{:04X}", u32::from(c));
        }
    }
}
