use std::collections::BTreeMap;

use super::PseudonymError;
use super::toprf::{PublicShares, ToprfError};
use crate::domain::{HolderIndex, KeyClass, KeyId, MemberId, RosterKey, SharedClass, Sharing};

/// A shared key as the roster describes it, after it was seen that the shares are of it.
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
    /// Of a key in use.
    ///
    /// # Errors
    /// [`PseudonymError::SharesInconsistent`].
    pub fn of(key: &RosterKey) -> Result<Self, PseudonymError> {
        let inconsistent = |error| PseudonymError::SharesInconsistent { key: key.id.clone(), error };
        let sharing = key.sharing.as_ref().ok_or_else(|| inconsistent(ToprfError::QuorumInvalid))?;
        let of_class = |class: &SharedClass| {
            let coefficients: Vec<_> = class.polynomial.iter().map(|coefficient| coefficient.0).collect();
            Ok((class.class, PublicShares::new(&coefficients).map_err(inconsistent)?))
        };
        let Sharing { threshold, generation, holders, classes } = sharing;
        Ok(Self {
            id: key.id.clone(),
            threshold: *threshold,
            generation: *generation,
            holders: holders.iter().map(|holder| (holder.index, holder.member.clone())).collect(),
            classes: classes.iter().map(of_class).collect::<Result<_, _>>()?,
        })
    }

    /// By what the work of holders is verified for a class of identifiers; `None` before the ceremony.
    #[must_use]
    pub fn shares(&self, class: KeyClass) -> Option<&PublicShares> {
        self.classes.get(&class)
    }
}
