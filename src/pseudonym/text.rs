//! Forms of text that several families of identifiers share.
//!
//! Most text is ASCII, which is its own NFKC: it takes a short way to the same result.

use unicode_normalization::UnicodeNormalization as _;

/// NFKC (Unicode Standard Annex 15): full-width digits and letters become plain ones.
pub(super) fn nfkc(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfkc().collect() }
}

/// NFKC and lower case, letter by letter: unlike a case fold it does not merge `ß` with `ss`, which are two mailboxes and
/// two accounts. Composed once more, because a lower-case letter may compose where the upper-case one did not.
pub(super) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// NFKC and upper case, letter by letter.
pub(super) fn upper(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.nfkc().flat_map(char::to_uppercase).nfkc().collect()
}

/// Whether a person sees nothing there: white space, or a character of Unicode's Default_Ignorable_Code_Point, written
/// out so that no library's update moves it.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

fn is_invisible(c: char) -> bool {
    !c.is_ascii()
        && matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether people write it between the groups of a number and mean nothing by it: blanks and every kind of dash.
pub(super) fn is_filler(c: char) -> bool {
    is_blank(c) || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// `text` without blanks and dashes.
pub(super) fn packed(text: &str) -> String {
    text.chars().filter(|&c| !is_filler(c)).collect()
}

/// Whether `text` is 1 to `most` ASCII letters and digits.
pub(super) fn is_alphanumeric(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
