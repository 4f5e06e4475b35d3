//! This member's own word about sellers, which its node answers whatever the feeds say.

use std::sync::Arc;

use super::Pseudonymiser;
use super::cases::CaseError;
use crate::domain::limits::{MAX_NAME_CHARS, MAX_PAGE};
use crate::domain::{Clock, FieldError, Identifier, Strength, Timestamp, Verdict};
use crate::membership::Directory;
use crate::store::{Override, OverrideId, Store};

/// Makes, lists and takes back overrides.
pub struct Overrides {
    /// Where they are.
    pub store: Arc<Store>,
    /// Which kinds are weak.
    pub directory: Arc<Directory>,
    /// What replaces the identifiers.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What is to be answered about a seller.
#[derive(Debug, Clone)]
pub struct OverrideDraft {
    /// What.
    pub verdict: Verdict,
    /// About whom.
    pub identifiers: Vec<Identifier>,
    /// Until when; `None` for as long as it is not taken back.
    pub until: Option<Timestamp>,
    /// Why, at most 120 characters. Kept as it is: it must not name the seller.
    pub note: String,
}

impl Overrides {
    /// Has every later check of the seller answered so. Durable when this returns.
    ///
    /// # Errors
    /// A [`FieldError`], or why no pseudonyms could be made, or the store's.
    pub async fn set(&self, draft: OverrideDraft) -> Result<OverrideId, CaseError> {
        let OverrideDraft { verdict, identifiers, until, note } = draft;
        let made_at = self.clock.now();
        if until.is_some_and(|until| until <= made_at) {
            return Err(FieldError::new("OVERRIDE_ENDED", "until", "give an instant to come, or leave it empty").into());
        }
        if note.chars().count() > MAX_NAME_CHARS || note.chars().any(char::is_control) {
            let message = "give at most 120 characters without control characters";
            return Err(FieldError::new("TEXT_INVALID", "note", message).into());
        }
        let signed = self.directory.roster();
        if identifiers.iter().all(|identifier| signed.roster().strength(identifier.kind) == Strength::Weak) {
            let message =
                "a name or an address alone decides nothing; give an account, phone, licence or other strong identifier";
            return Err(FieldError::new("IDENTIFIERS_ALL_WEAK", "identifiers", message).into());
        }
        let (kinds, forms) = self.pseudonymiser.seller(&identifiers)?;
        let pseudonyms = self.pseudonymiser.to_write(forms).await?;
        Ok(self.store.put_override(Override { verdict, kinds, pseudonyms, made_at, until, note }).await?)
    }

    /// Takes one back. Durable when this returns; false where there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove(&self, id: OverrideId) -> Result<bool, CaseError> {
        Ok(self.store.remove_override(id).await?)
    }

    /// Those after `after`, at most `count` (1 to 1,000), in the order in which they were made.
    #[must_use]
    pub fn list(&self, after: Option<OverrideId>, count: usize) -> Vec<(OverrideId, Override)> {
        self.store.overrides(after, count.clamp(1, MAX_PAGE))
    }
}
