use std::sync::Arc;

use bytes::Bytes;

use super::blocking::{Panicked, off_thread};
use super::keeping::{Ceremonies, KeyReport, VaultError};
use super::signals::{Rekeyed, Signals};
use super::unkeyed::Unkeyed;
use crate::domain::{KeyId, RosterKey, Usage};
use crate::membership::Directory;
use crate::store::{Store, StoreError};

/// The pseudonym keys as an operator sees them.
pub struct KeyStates {
    /// What the roster says.
    pub directory: Arc<Directory>,
    /// What this member holds.
    pub ceremonies: Arc<Ceremonies>,
    /// How far this member's signals are taken over to each.
    pub signals: Arc<Signals>,
    /// What others used of it.
    pub store: Arc<Store>,
}

/// A key, and this member's part in it.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// As the roster lists it.
    pub listed: RosterKey,
    /// What this member holds; `None` where that is nothing.
    pub own: Option<KeyReport>,
    /// What all holders signed of the shares that this member has.
    pub note: Option<Bytes>,
    /// How far this member's signals are taken over to it; `None` where it is not active.
    pub rekeyed: Option<Rekeyed>,
    /// What else of this member's is to be made again; `None` where it is not active.
    pub unkeyed: Option<Unkeyed>,
}

/// Why an operator's wish is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// This member holds no share.
    #[error("this member holds no share of key {0}; ask one of its holders")]
    NotAHolder(KeyId),
    /// Shares cannot be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of the program.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl KeyError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAHolder(_) => "NOT_A_HOLDER",
            Self::Vault(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Panicked(panicked) => panicked.code(),
        }
    }
}

impl KeyStates {
    /// The keys of the roster, in its order.
    ///
    /// # Errors
    /// [`KeyError::Vault`], [`KeyError::Store`], [`KeyError::Panicked`].
    pub async fn list(&self) -> Result<Vec<KeyRecord>, KeyError> {
        let (reports, rekeyed) = (self.ceremonies.reports(), self.signals.rekeyed());
        let (signed, book) = (self.directory.roster(), self.ceremonies.book.clone());
        let (store, member, now) = (self.store.clone(), self.directory.member().clone(), self.signals.clock.now());
        off_thread(move || {
            let record = |listed: &RosterKey| {
                let own = reports.iter().find(|report| report.key == listed.id).cloned();
                let note = if own.is_some() { book.sharing(&listed.id)? } else { None };
                let rekeyed = rekeyed.iter().find(|rekeyed| rekeyed.key == listed.id).cloned();
                let under = |rekeyed: &Rekeyed| Unkeyed::under(&rekeyed.key, &store, signed.roster(), &member, now);
                let unkeyed = rekeyed.as_ref().map(under).transpose()?;
                Ok(KeyRecord { listed: listed.clone(), own, note, rekeyed, unkeyed })
            };
            signed.roster().keys.iter().map(record).collect()
        })
        .await?
    }

    /// Has the shares of a key made anew.
    ///
    /// # Errors
    /// [`KeyError::NotAHolder`].
    pub fn refresh(&self, key: &KeyId) -> Result<(), KeyError> {
        let signed = self.directory.roster();
        let listed = signed.roster().keys.iter().find(|listed| listed.id == *key);
        let place = listed.and_then(|listed| listed.sharing.as_ref()?.index_of(self.directory.member()));
        place.map(|_| self.ceremonies.refresh(key)).ok_or_else(|| KeyError::NotAHolder(key.clone()))
    }

    /// What members used from a day on, see [`Store::usage`].
    ///
    /// # Errors
    /// [`KeyError::Store`], [`KeyError::Panicked`].
    pub async fn usage(&self, from: u32, count: usize) -> Result<(Vec<Usage>, Option<u32>), KeyError> {
        let store = self.store.clone();
        Ok(off_thread(move || store.usage(from, count)).await??)
    }
}
