use std::fmt;

use super::KeyId;
use super::vocabulary::vocabulary;

vocabulary! {
    /// Kind of an identifier of a seller.
    IdentifierKind, "kind", "IDENTIFIER_KIND_UNKNOWN";
    /// `platform:id`.
    MarketplaceAccount = 1, "marketplace_account";
    /// Registrable domain.
    Domain = 2, "domain";
    /// WHATWG URL.
    Url = 3, "url";
    /// ITU-T E.164.
    Phone = 4, "phone";
    /// RFC 5321, 6531.
    Email = 5, "email";
    /// IBAN (ISO 13616), else `country:bank:account`.
    BankAccount = 6, "bank_account";
    /// USCC (GB 32100-2015), else `country:register:number`.
    BusinessLicence = 7, "business_licence";
    /// `scheme:value`.
    TaxId = 8, "tax_id";
    /// `scheme:value`.
    PaymentAccount = 9, "payment_account";
    /// `scheme:value`.
    MessagingAccount = 10, "messaging_account";
    /// Name in a register or on an account.
    LegalName = 11, "legal_name";
    /// Postal address.
    PostalAddress = 12, "postal_address";
}

/// What a match by an identifier means. Which kinds are weak is policy of the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// The identifier belongs to a victim: it neither flags nor links nor supports.
    Void,
    /// Only supports: never flags alone, never links.
    Weak,
    /// Flags and links.
    Strong,
}

/// An identifier as it was handed in: the one thing that never leaves the process.
///
/// `Debug` shows the kind only, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Its kind.
    pub kind: IdentifierKind,
    /// As written in the submitter's records.
    pub value: String,
    /// ISO 3166-1 alpha-2 country in which a national phone number is read; empty for none.
    pub region: String,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({}, redacted)", self.kind)
    }
}

/// 32 bytes that stand for an identifier under one key.
///
/// `Debug` shows the first four bytes: enough to tell two apart in a test, not enough to carry it into a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 32]);

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Pseudonym({a:02x}{b:02x}{c:02x}{d:02x}..)")
    }
}

vocabulary! {
    /// What a pseudonym key is good for now.
    KeyState, "state", "KEY_STATE_UNKNOWN";
    /// Announced; nothing is computed under it yet.
    Pending = 1, "pending";
    /// New signals and checks use it.
    Active = 2, "active";
    /// Checks use it, new signals do not.
    Retiring = 3, "retiring";
    /// Nothing is computed under it any more.
    Destroyed = 4, "destroyed";
}

impl KeyState {
    /// Whether checks are answered under the key.
    #[must_use]
    pub const fn is_in_use(self) -> bool {
        matches!(self, Self::Active | Self::Retiring)
    }
}

/// The pseudonyms of one seller's identifiers under one key, in the order of the identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PseudonymSet {
    /// Under which key.
    pub key: KeyId,
    /// One for each identifier.
    pub pseudonyms: Vec<Pseudonym>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_does_not_show_its_value() {
        let identifier = Identifier { kind: IdentifierKind::Phone, value: "+8613800138000".into(), region: String::new() };
        assert_eq!(format!("{identifier:?}"), "Identifier(phone, redacted)");
    }

    #[test]
    fn every_kind_reads_back_its_name() {
        for &kind in IdentifierKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.as_str().replace('_', "-").parse(), Ok(kind));
            assert_eq!(IdentifierKind::from_number(kind.number()), Some(kind));
        }
    }
}
