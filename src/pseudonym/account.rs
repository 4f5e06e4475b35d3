use std::collections::BTreeMap;

use crate::domain::{FieldError, IdentifierKind};

use super::canonical::{invalid, refused};
use super::text;

const KIND: IdentifierKind = IdentifierKind::MarketplaceAccount;
/// Bytes of an account id; the longest that a marketplace is known to give out is half of it.
const MAX_ID_BYTES: usize = 256;
/// Platforms named in a refusal, so that a long roster does not make a long error.
const NAMED: usize = 20;

/// `platform:id`, the platform by its name in the roster, the id folded to lower case unless the platform tells apart
/// `A` and `a`. `platforms` says that of each.
pub(super) fn canonical(value: &str, platforms: &BTreeMap<String, bool>) -> Result<String, FieldError> {
    let value = text::nfkc(value);
    let (platform, id) = value
        .split_once(':')
        .ok_or_else(|| invalid(KIND, "give platform:id, with the platform's name in the roster and the seller's id there"))?;
    let platform = platform.trim_matches(text::is_blank).to_ascii_lowercase();
    let case_sensitive = *platforms.get(&platform).ok_or_else(|| unknown(platforms))?;
    let id = id.trim_matches(text::is_blank);
    if !(1..=MAX_ID_BYTES).contains(&id.len()) || id.contains(text::is_blank) {
        return Err(invalid(KIND, "the part after the platform is no account id; give 1 to 256 bytes without blanks"));
    }
    let id = if case_sensitive { id.to_owned() } else { text::lower(id) };
    Ok(format!("{platform}:{id}"))
}

fn unknown(platforms: &BTreeMap<String, bool>) -> FieldError {
    let named: Vec<&str> = platforms.keys().map(String::as_str).take(NAMED).collect();
    let known = match (platforms.len(), platforms.len().saturating_sub(NAMED)) {
        (0, _) => "the roster lists none".to_owned(),
        (_, 0) => format!("the roster lists {}", named.join(", ")),
        (_, more) => format!("the roster lists {} and {more} more", named.join(", ")),
    };
    refused(KIND, "PLATFORM_UNKNOWN", format_args!("no platform of this name; {known}; the secretariat adds platforms"))
}
