use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::invalid;

/// Rounds within which every text met so far stands still; the first round does nearly all.
const MAX_ROUNDS: usize = 8;

/// A name or address as what a reader sees: confusable letters, case, punctuation and spacing are evened out.
///
/// Skeleton (UTS-39), full case fold, skeleton again: a fold first would turn a Greek capital Nu that poses as N into a
/// letter that looks like v. The plain letters A to Z are lowered before, because the skeleton of a capital I is an l, and
/// NIKE and Nike would part. Honest names can meet in one form (rn and m): these kinds are weak and only support.
pub(super) fn canonical(kind: IdentifierKind, value: &str) -> Result<String, FieldError> {
    let mut form = round(value);
    for _ in 0..MAX_ROUNDS {
        let next = round(&form);
        if next == form {
            return if form.is_empty() { Err(wordless(kind)) } else { Ok(form) };
        }
        form = next;
    }
    Err(wordless(kind))
}

fn round(text: &str) -> String {
    if text.is_ascii()
        && let Some(form) = round_ascii(text)
    {
        return form;
    }
    round_any(text)
}

fn round_any(text: &str) -> String {
    let lowered: String = words(text).nfd().map(|c| c.to_ascii_lowercase()).collect();
    let folded = caseless::default_case_fold_str(&skeleton(&lowered));
    words(&skeleton(&folded))
}

/// The same for ASCII, which is its own NFKC and NFD and whose fold is its lower case; `None` where a skeleton is not ASCII.
fn round_ascii(text: &str) -> Option<String> {
    let lowered = words_of_ascii(text.bytes()).to_ascii_lowercase();
    let folded = skeleton_of_ascii(&lowered)?.to_ascii_lowercase();
    Some(words_of_ascii(skeleton_of_ascii(&folded)?.bytes()))
}

fn words_of_ascii(text: impl Iterator<Item = u8>) -> String {
    let mut words = String::new();
    let mut apart = false;
    for byte in text {
        if !byte.is_ascii_alphanumeric() {
            apart = true;
            continue;
        }
        if std::mem::take(&mut apart) && !words.is_empty() {
            words.push(' ');
        }
        words.push(char::from(byte));
    }
    words
}

fn skeleton_of_ascii(text: &str) -> Option<String> {
    static SKELETONS: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..128_u8).map(|byte| skeleton(char::from(byte).encode_utf8(&mut [0; 4]))).collect());
    let mut form = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        form.push_str(SKELETONS.get(usize::from(byte)).filter(|skeleton| skeleton.is_ascii())?);
    }
    Some(form)
}

fn skeleton(text: &str) -> String {
    unicode_security::skeleton(text).collect()
}

/// The words of `text` in NFKC with one blank between: whatever is no letter, digit or mark separates.
fn words(text: &str) -> String {
    let spaced: String = text.nfkc().map(|c| if c.is_alphanumeric() || is_combining_mark(c) { c } else { ' ' }).collect();
    spaced.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn wordless(kind: IdentifierKind) -> FieldError {
    invalid(kind, "has no letters or digits to compare; give it as it stands in the register or on the account")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_for_ascii_leads_to_the_same_form(text in "[ -~\t]{0,60}") {
            prop_assert_eq!(round_ascii(&text), Some(round_any(&text)));
        }
    }
}
