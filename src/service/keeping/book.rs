use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::record::{Held, Record};
use crate::domain::{KeyClass, KeyId, RosterKey, SharedGeneration};
use crate::pseudonym::toprf::KeyShare;

/// Where records are kept: secret bytes by key.
pub trait ShareVault: Send + Sync + 'static {
    /// What was kept last; `None` where nothing is.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn load(&self, key: &KeyId) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Keeps it in place of what was there, which is overwritten. Durable when this returns.
    ///
    /// # Errors
    /// Where it cannot be written; what was there is still there.
    fn save(&self, key: &KeyId, record: &[u8]) -> io::Result<()>;

    /// Of which keys something is kept.
    ///
    /// # Errors
    /// Where that cannot be read.
    fn keys(&self) -> io::Result<Vec<KeyId>>;

    /// Overwrites and removes what is there.
    ///
    /// # Errors
    /// Where it cannot be removed.
    fn remove(&self, key: &KeyId) -> io::Result<()>;
}

/// Shares could not be read or kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The disk failed.
    #[error("what this member keeps of key {key} cannot be read or written: {kind}; look at its disk")]
    Io {
        /// Of which key.
        key: KeyId,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// It is no record.
    #[error("what this member keeps of key {0} is damaged; move the file away, and the other holders repair the share")]
    Damaged(KeyId),
}

impl VaultError {
    /// What the operating system said about one key.
    fn of(key: &KeyId) -> impl FnOnce(io::Error) -> Self {
        |error| Self::Io { key: key.clone(), kind: error.kind() }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "SHARES_IO",
            Self::Damaged(_) => "SHARES_DAMAGED",
        }
    }
}

/// What this member keeps of the keys of which it holds shares, in memory and on disk. One writer, see [`super::Ceremonies`].
pub struct ShareBook {
    vault: Arc<dyn ShareVault>,
    records: Mutex<BTreeMap<KeyId, Arc<Record>>>,
}

impl ShareBook {
    /// Over what the vault has.
    #[must_use]
    pub fn new(vault: Arc<dyn ShareVault>) -> Self {
        Self { vault, records: Mutex::default() }
    }

    /// What is kept of a key. Reads the disk the first time.
    pub(super) fn record(&self, key: &KeyId) -> Result<Arc<Record>, VaultError> {
        if let Some(record) = self.records.lock().get(key) {
            return Ok(record.clone());
        }
        let read = match self.vault.load(key).map_err(VaultError::of(key))? {
            None => Record::default(),
            Some(bytes) => {
                let record = Record::from_json(&bytes).ok_or_else(|| VaultError::Damaged(key.clone()))?;
                let sound = record.held.iter().chain(&record.before).chain(&record.signed).all(Held::is_sound);
                if !sound {
                    return Err(VaultError::Damaged(key.clone()));
                }
                record
            }
        };
        Ok(self.records.lock().entry(key.clone()).or_insert_with(|| Arc::new(read)).clone())
    }

    /// Keeps a record: on disk first, then for all to see.
    pub(super) fn keep(&self, key: &KeyId, record: &Record) -> Result<(), VaultError> {
        self.vault.save(key, &record.to_json()).map_err(VaultError::of(key))?;
        self.records.lock().insert(key.clone(), Arc::new(record.clone()));
        Ok(())
    }

    /// Destroys what is kept of a key.
    pub(super) fn destroy(&self, key: &KeyId) -> Result<(), VaultError> {
        // Also where the disk fails: what it removed is not to live on in memory.
        self.records.lock().remove(key);
        self.vault.remove(key).map_err(VaultError::of(key))
    }

    /// The keys of which something is kept.
    pub(super) fn keys(&self) -> io::Result<Vec<KeyId>> {
        self.vault.keys()
    }

    /// The share of a class of a key of the roster, of one generation, and the newest generation there is. May read the disk.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn share(
        &self,
        key: &RosterKey,
        class: KeyClass,
        generation: u32,
    ) -> Result<(Option<KeyShare>, Option<u32>), VaultError> {
        let (record, listed) = (self.record(&key.id)?, SharedGeneration::of(key));
        // Of another key of this name nothing is used: the answer would not verify, and it would look like a lie.
        let is_of_it = |held: &&Held| listed.as_ref().is_some_and(|listed| held.sharing.is_of_the_same_keys(listed));
        let of_it = || record.held.iter().chain(&record.before).filter(is_of_it);
        let held = of_it().find(|held| held.sharing.generation == generation);
        let share = held.and_then(|held| held.shares.share(class).cloned());
        Ok((share, of_it().map(|held| held.sharing.generation).next()))
    }

    /// What the holders said of the shares in use; `None` where this member has none, or the roster says it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn sharing(&self, key: &KeyId) -> Result<Option<Bytes>, VaultError> {
        Ok(self.record(key)?.held.as_ref().and_then(|held| held.note.clone()))
    }
}
