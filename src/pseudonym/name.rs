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
    let lowered: String = words(text).nfd().map(|c| c.to_ascii_lowercase()).collect();
    let folded = caseless::default_case_fold_str(&skeleton(&lowered));
    words(&skeleton(&folded))
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
