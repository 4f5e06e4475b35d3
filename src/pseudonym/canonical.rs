use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::domain::limits::MAX_IDENTIFIER_BYTES;
use crate::domain::{FieldError, Identifier, IdentifierKind, Roster};

use super::hosts::Hosts;
use super::{CANONICAL_FORMS_VERSION, account, bank, domain, email, licence, name, phone, scheme, text, url};

/// Separates pseudonyms from every other use of the same key.
const PSEUDONYM_LABEL: &[u8] = b"countermark-pseudonym";

/// Brings identifiers into their canonical form. Built from a roster, replaced whole when the roster changes.
#[derive(Debug)]
pub struct Canonicaliser {
    /// Whether case counts in the account ids of each platform.
    platforms: BTreeMap<String, bool>,
    hosts: Hosts,
}

impl Canonicaliser {
    /// A canonicaliser for the platforms and shared hosts of `roster`.
    ///
    /// # Errors
    /// `ROSTER_DOMAIN_INVALID` where the roster names a shared host or a platform's domain that is none. An entry that
    /// was passed over in silence would be a guard that the secretariat believes in.
    pub fn new(roster: &Roster) -> Result<Self, FieldError> {
        let platforms = roster.platforms.iter().map(|p| (p.id.as_str().to_owned(), p.case_sensitive)).collect();
        Ok(Self { platforms, hosts: Hosts::new(roster)? })
    }

    /// The one form of `identifier`. The canonical form of a canonical form is itself.
    ///
    /// # Errors
    /// Of field `value`, or `region` for a phone number's country. The code is stable; the message names the kind, the
    /// reason and what to do, and never the value or a part of it.
    pub fn canonical(&self, identifier: &Identifier) -> Result<CanonicalIdentifier, FieldError> {
        let kind = identifier.kind;
        let value = trimmed(kind, &identifier.value)?;
        let region = identifier.region.trim();
        let form = match kind {
            IdentifierKind::MarketplaceAccount => account::canonical(value, &self.platforms),
            IdentifierKind::Domain => domain::canonical(value, &self.hosts),
            IdentifierKind::Url => url::canonical(value, &self.hosts),
            IdentifierKind::Phone => phone::canonical(kind, value, region),
            IdentifierKind::Email => email::canonical(kind, value),
            IdentifierKind::BankAccount => bank::canonical(value),
            IdentifierKind::BusinessLicence => licence::canonical(value),
            IdentifierKind::TaxId => scheme::tax(value),
            IdentifierKind::PaymentAccount => scheme::payment(value, region),
            IdentifierKind::MessagingAccount => scheme::messaging(value, region),
            IdentifierKind::LegalName | IdentifierKind::PostalAddress => name::canonical(kind, value),
        };
        CanonicalIdentifier::new(kind, form?)
    }
}

/// The one form of an identifier, still in the clear: it is turned into pseudonyms and dropped, never kept.
///
/// Wiped when dropped. `Debug` shows the kind only, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalIdentifier {
    kind: IdentifierKind,
    form: Zeroizing<String>,
}

impl CanonicalIdentifier {
    /// Unicode normalisation can make a value longer; what comes out is bounded like what went in.
    fn new(kind: IdentifierKind, form: String) -> Result<Self, FieldError> {
        let form = Zeroizing::new(form);
        if form.len() > MAX_IDENTIFIER_BYTES { Err(too_long(kind)) } else { Ok(Self { kind, form }) }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// The form as UTF-8, 1 to 2,048 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.form.as_bytes()
    }

    /// What every scheme computes on, in parts: label, `0x00` and version, kind, `0x00`, form. No kind's text contains `0x00`, so no
    /// two identifiers give the same.
    pub(super) fn input(&self) -> [&[u8]; 5] {
        [PSEUDONYM_LABEL, &[0, CANONICAL_FORMS_VERSION], self.kind.as_str().as_bytes(), &[0], self.as_bytes()]
    }
}

impl fmt::Debug for CanonicalIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalIdentifier({}, redacted)", self.kind)
    }
}

/// A refusal of the value: `kind: message`. The message is ours alone; nothing of the value goes into it.
pub(super) fn refused(kind: IdentifierKind, code: &'static str, message: impl fmt::Display) -> FieldError {
    FieldError::new(code, "value", format!("{kind}: {message}"))
}

/// A value that is not of its kind at all, with what to give instead.
pub(super) fn invalid(kind: IdentifierKind, message: impl fmt::Display) -> FieldError {
    refused(kind, "IDENTIFIER_INVALID", message)
}

fn too_long(kind: IdentifierKind) -> FieldError {
    refused(kind, "IDENTIFIER_TOO_LONG", format_args!("longer than {MAX_IDENTIFIER_BYTES} bytes; give the identifier alone"))
}

/// What holds for every kind: bounded, not blank, no control characters. Blanks and invisible characters around the value
/// come from spreadsheets and address books and mean nothing.
fn trimmed(kind: IdentifierKind, value: &str) -> Result<&str, FieldError> {
    if value.len() > MAX_IDENTIFIER_BYTES {
        return Err(too_long(kind));
    }
    let value = value.trim_matches(text::is_blank);
    if value.is_empty() {
        return Err(refused(kind, "IDENTIFIER_EMPTY", "nothing but blanks; leave the identifier out or fill it in"));
    }
    if value.contains(char::is_control) {
        return Err(invalid(kind, "contains a control character; give the identifier on one line, as plain text"));
    }
    Ok(value)
}
