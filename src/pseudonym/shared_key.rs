use std::collections::BTreeMap;

use super::PseudonymError;
use super::toprf::{PublicShares, ToprfError};
use crate::domain::{HolderIndex, KeyClass, KeyId, MemberId, RosterKey, SharedClass, SharedGeneration, Sharing};

/// A shared key with the shares of one generation. Who holds one is as the roster says: the polynomial gives each place its share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// Its name.
    pub id: KeyId,
    /// How many holders together can use it.
    pub threshold: u16,
    /// Which shares.
    pub generation: u32,
    /// Who has one.
    pub holders: BTreeMap<HolderIndex, MemberId>,
    classes: BTreeMap<KeyClass, PublicShares>,
}

impl SharedKey {
    /// Of a key in use, with these of its shares, or those that the roster knows of.
    ///
    /// # Errors
    /// [`PseudonymError::SharesInconsistent`], also for shares of other keys.
    pub fn of(key: &RosterKey, newer: Option<&SharedGeneration>) -> Result<Self, PseudonymError> {
        let inconsistent = |error| PseudonymError::SharesInconsistent { key: key.id.clone(), error };
        let none = || inconsistent(ToprfError::QuorumInvalid);
        let listed = SharedGeneration::of(key).ok_or_else(none)?;
        let shares = newer.unwrap_or(&listed);
        if !shares.is_of_the_same_keys(&listed) {
            return Err(none());
        }
        let of_class = |class: &SharedClass| Ok((class.class, PublicShares::of(class).map_err(inconsistent)?));
        Ok(Self {
            id: key.id.clone(),
            threshold: shares.threshold,
            generation: shares.generation,
            holders: key.sharing.as_ref().map(Sharing::seats).unwrap_or_default(),
            classes: shares.classes.iter().map(of_class).collect::<Result<_, _>>()?,
        })
    }

    /// By what the work of holders is verified for a class of identifiers; `None` before the ceremony.
    #[must_use]
    pub fn shares(&self, class: KeyClass) -> Option<&PublicShares> {
        self.classes.get(&class)
    }
}
