//! What a member says of identifiers against all signals that name them.

use super::case::validate_digests;
use super::limits::{MAX_ACTIVE_KEYS, MAX_IDENTIFIERS, MAX_RETENTION_DAYS};
use super::vocabulary::vocabulary;
use super::{FieldError, IdentifierKind, KeyId, Pseudonym, PseudonymSet, Seq, Sha256Digest};

/// The kinds of one seller's identifiers, 1 to 32, and one set of pseudonyms for each key that was active, 1 to 4, each as long as
/// the kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Kind of each identifier.
    pub kinds: &'a [IdentifierKind],
    /// The identifiers under each key.
    pub pseudonyms: &'a [PseudonymSet],
}

impl<'a> Subject<'a> {
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(self) -> Result<(), FieldError> {
        if !(1..=MAX_IDENTIFIERS).contains(&self.kinds.len()) {
            return Err(FieldError::new("IDENTIFIER_COUNT", "kinds", "give 1 to 32 identifiers"));
        }
        validate_sets(self.pseudonyms, self.kinds.len())
    }

    /// Every identifier under every key.
    pub fn identifiers(self) -> impl Iterator<Item = (&'a KeyId, IdentifierKind, &'a Pseudonym)> {
        let of = move |set: &'a PseudonymSet| {
            self.kinds.iter().zip(&set.pseudonyms).map(|(kind, pseudonym)| (&set.key, *kind, pseudonym))
        };
        self.pseudonyms.iter().flat_map(of)
    }

    /// Whether it names the identifier of `kind` that is `pseudonym` under `key`. Compares whole pseudonyms.
    #[must_use]
    pub fn names(self, key: &KeyId, kind: IdentifierKind, pseudonym: &Pseudonym) -> bool {
        self.identifiers().any(|(of, named, held)| held == pseudonym && named == kind && of == key)
    }
}

/// One set for each key, 1 to 4 of them, with one pseudonym for each of `identifiers`.
pub(super) fn validate_sets(sets: &[PseudonymSet], identifiers: usize) -> Result<(), FieldError> {
    if !(1..=MAX_ACTIVE_KEYS).contains(&sets.len()) {
        return Err(FieldError::new("KEY_COUNT", "pseudonyms", "there are 1 to 4 sets of pseudonyms"));
    }
    for (i, set) in sets.iter().enumerate() {
        if sets[..i].iter().any(|earlier| earlier.key == set.key) {
            return Err(FieldError::new("KEY_REPEATED", format!("pseudonyms[{i}].key_id"), "one set for each key"));
        }
        if set.pseudonyms.len() != identifiers {
            let field = format!("pseudonyms[{i}].pseudonyms");
            return Err(FieldError::new("PSEUDONYM_COUNT", field, "one pseudonym for each identifier"));
        }
    }
    Ok(())
}

/// Takes identifiers out of flagging and linking, or vouches for their holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// What it says.
    pub kind: MarkerKind,
    /// Kind of each identifier, 1 to 32.
    pub kinds: Vec<IdentifierKind>,
    /// One set for each key that was active, 1 to 4, each as long as `kinds`.
    pub pseudonyms: Vec<PseudonymSet>,
    /// Why.
    pub reason: MarkerReason,
    /// SHA-256 of each ground, at most 16.
    pub digests: Vec<Sha256Digest>,
    /// Days from when it was recorded, 1 to 3,653; `None` for the alliance's policy.
    pub valid_days: Option<u16>,
}

impl Marker {
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self) -> Result<(), FieldError> {
        self.subject().validate()?;
        self.validate_shape()
    }

    /// Checks what a person hands in: everything but the pseudonyms, and that the reason goes with the kind.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate_terms(&self) -> Result<(), FieldError> {
        if !self.kind.allows(self.reason) {
            return Err(FieldError::new("MARKER_REASON_UNFIT", "reason", "give a reason that goes with this kind of marker"));
        }
        self.validate_shape()
    }

    fn validate_shape(&self) -> Result<(), FieldError> {
        validate_digests(&self.digests)?;
        if self.valid_days.is_some_and(|days| !(1..=MAX_RETENTION_DAYS).contains(&days)) {
            return Err(FieldError::new("VALIDITY_OUT_OF_RANGE", "valid_days", "give 1 to 3653 days, or leave it empty"));
        }
        Ok(())
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kinds: &self.kinds, pseudonyms: &self.pseudonyms }
    }
}

vocabulary! {
    /// What a marker says.
    MarkerKind, "kind", "MARKER_KIND_UNKNOWN";
    /// The identifier belongs to a victim: it flags nobody and links nobody.
    Victim = 1, "victim";
    /// The identifier belongs to a seller that the member vouches for.
    KnownGood = 2, "known_good";
}

impl MarkerKind {
    fn allows(self, reason: MarkerReason) -> bool {
        use MarkerReason::{AuthorisedDealer, BorrowedIdentity, Other, OwnStore, StolenAccount, StolenLicence};
        match self {
            Self::Victim => matches!(reason, StolenLicence | BorrowedIdentity | StolenAccount | Other),
            Self::KnownGood => matches!(reason, AuthorisedDealer | OwnStore | Other),
        }
    }
}

vocabulary! {
    /// Why a marker was set.
    MarkerReason, "reason", "MARKER_REASON_UNKNOWN";
    /// Of a victim: its licence was used by somebody else.
    StolenLicence = 1, "stolen_licence";
    /// Of a victim: its name was lent or taken.
    BorrowedIdentity = 2, "borrowed_identity";
    /// Of a victim: its account, phone or mailbox was taken over.
    StolenAccount = 3, "stolen_account";
    /// Of the known good: authorised by the owner of the rights.
    AuthorisedDealer = 4, "authorised_dealer";
    /// Of the known good: the owner's own store.
    OwnStore = 5, "own_store";
    /// Anything else.
    Other = 6, "other";
}

/// Takes a marker of the same feed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerLift {
    /// The marker; smaller than the lift's own position.
    pub marker: Seq,
}
