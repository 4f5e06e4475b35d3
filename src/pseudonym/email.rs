use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::domain::a_labels;
use super::text;

/// Octets of a local part (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// Domains whose provider ignores dots and what follows `+` in the local part, each with the domain under which its
/// addresses are kept. Only what the provider documents stands here: elsewhere `a.b` and `ab` are two people.
const PROVIDERS: &[(&str, &str)] = &[("gmail.com", "gmail.com"), ("googlemail.com", "gmail.com")];

/// `local@domain`, the domain as A-labels, the local part in NFKC and lower case.
///
/// RFC 5321 lets a server tell `A` from `a` in a local part, and none of note does, while people write both: folding
/// costs no two real mailboxes and keeping case would miss matches. Quoted local parts and comments are refused: no
/// provider gives them out, and they would let one mailbox have many forms. `kind` is whose address it is.
pub(super) fn canonical(kind: IdentifierKind, value: &str) -> Result<String, FieldError> {
    let value = text::lower(value);
    let value = value.strip_prefix("mailto:").unwrap_or(&value);
    let (local, domain) = value.rsplit_once('@').ok_or_else(|| not_an_address(kind))?;
    if local.starts_with('"') {
        return Err(refused(kind, "EMAIL_QUOTED", "a quoted local part is not taken; give the plain address"));
    }
    let domain = a_labels(domain).map_err(|_| not_an_address(kind))?;
    let (local, domain) = match PROVIDERS.iter().find(|(name, _)| *name == domain) {
        Some(&(_, kept)) => (local.split('+').next().unwrap_or_default().replace('.', ""), kept.to_owned()),
        None => (local.to_owned(), domain),
    };
    if is_dot_string(&local) { Ok(format!("{local}@{domain}")) } else { Err(not_an_address(kind)) }
}

/// Dot-string of RFC 5321 section 4.1.2, with the letters beyond ASCII of RFC 6531.
fn is_dot_string(local: &str) -> bool {
    local.len() <= MAX_LOCAL_BYTES && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !text::is_blank(c) && !c.is_control())
}

fn not_an_address(kind: IdentifierKind) -> FieldError {
    invalid(kind, "no e-mail address; give one plain address such as name@shop.example, without a display name")
}
