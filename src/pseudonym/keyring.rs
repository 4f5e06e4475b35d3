use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::domain::limits::{MAX_IDENTIFIERS, MAX_ROWS_PER_CHUNK};
use crate::domain::{KeyId, KeyState, Pseudonym, PseudonymSet, RosterKey, Scheme};

use super::{CanonicalIdentifier, HmacKey, PseudonymError, SharedKey};

/// Identifiers of one batch: as many as one chunk of a stream can hold. Under `hmac-sha256` that is a few milliseconds of
/// computing between two awaits.
pub const MAX_IDENTIFIERS_PER_BATCH: usize = MAX_ROWS_PER_CHUNK * MAX_IDENTIFIERS;

/// One way to make pseudonyms under one key.
///
/// Asynchronous and in batches because a threshold scheme asks its key holders over the network; the local scheme merely
/// does not wait.
#[async_trait]
pub trait PseudonymScheme: fmt::Debug + Send + Sync {
    /// A pseudonym for each identifier, in their order.
    ///
    /// # Errors
    /// All or nothing: where one cannot be made, none is returned.
    async fn pseudonyms(&self, identifiers: &[CanonicalIdentifier]) -> Result<Vec<Pseudonym>, PseudonymError>;
}

/// What pseudonyms are wanted for, which decides the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To write a signal: active keys.
    Submit,
    /// To look sellers up: active and retiring keys, since signals from before a rotation still stand.
    Check,
}

impl Purpose {
    fn uses(self, state: KeyState) -> bool {
        match (self, state) {
            (Self::Submit | Self::Check, KeyState::Active) | (Self::Check, KeyState::Retiring) => true,
            (Self::Submit, KeyState::Retiring) | (_, KeyState::Pending | KeyState::Destroyed) => false,
        }
    }
}

/// What a key of the roster is and is good for; says nothing about its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Its name.
    pub id: KeyId,
    /// How pseudonyms are made under it.
    pub scheme: Scheme,
    /// What it is good for now.
    pub state: KeyState,
}

/// Every key of one roster, with the secrets of those in use. Replaced whole when the roster changes.
#[derive(Debug)]
pub struct KeyRing {
    status: Vec<KeyStatus>,
    usable: Vec<UsableKey>,
}

#[derive(Debug)]
struct UsableKey {
    id: KeyId,
    state: KeyState,
    scheme: Box<dyn PseudonymScheme>,
}

impl KeyRing {
    /// The keys of a roster. Secrets of keys that are pending, destroyed or not in the roster are dropped and wiped:
    /// nothing is ever computed under them. Of shared keys `holders` are asked.
    ///
    /// # Errors
    /// [`PseudonymError::KeyMissing`] or [`PseudonymError::KeyMismatch`] where the secret of an active or retiring key was
    /// not given or is not the one that the roster's check value means; [`PseudonymError::SharesInconsistent`] for a shared one. A node
    /// that went on would write pseudonyms that match nobody's.
    pub fn new(
        roster_keys: &[RosterKey],
        secrets: impl IntoIterator<Item = (KeyId, HmacKey)>,
        holders: &dyn Holders,
    ) -> Result<Self, PseudonymError> {
        let mut secrets: BTreeMap<KeyId, HmacKey> = secrets.into_iter().collect();
        let status =
            roster_keys.iter().map(|key| KeyStatus { id: key.id.clone(), scheme: key.scheme, state: key.state }).collect();
        let in_use = roster_keys.iter().filter(|key| Purpose::Check.uses(key.state));
        let usable = in_use.map(|key| usable(key, secrets.remove(&key.id), holders)).collect::<Result<_, _>>()?;
        Ok(Self { status, usable })
    }

    /// Whether pseudonyms could be made under these keys, as far as it can be seen without asking anybody.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(roster_keys: &[RosterKey], secrets: impl IntoIterator<Item = (KeyId, HmacKey)>) -> Result<(), PseudonymError> {
        Self::new(roster_keys, secrets, &NoHolders).map(drop)
    }

    /// Every key of the roster, in its order, pending and destroyed ones included.
    #[must_use]
    pub fn keys(&self) -> &[KeyStatus] {
        &self.status
    }

    /// The pseudonyms of `identifiers`: one set for each key that `purpose` uses, in roster order, each as long as
    /// `identifiers` and in their order.
    ///
    /// # Errors
    /// [`PseudonymError::NoActiveKey`] where the purpose has no key: never an empty answer, which would read as "nothing
    /// known". [`PseudonymError::BatchTooLarge`] above [`MAX_IDENTIFIERS_PER_BATCH`]. Whatever a scheme fails with; then
    /// there are no sets at all, so that nothing is stored or looked up under a part of the keys.
    pub async fn pseudonyms(
        &self,
        purpose: Purpose,
        identifiers: &[CanonicalIdentifier],
    ) -> Result<Vec<PseudonymSet>, PseudonymError> {
        if identifiers.len() > MAX_IDENTIFIERS_PER_BATCH {
            return Err(PseudonymError::BatchTooLarge { given: identifiers.len(), most: MAX_IDENTIFIERS_PER_BATCH });
        }
        let mut sets = Vec::new();
        for key in self.usable.iter().filter(|key| purpose.uses(key.state)) {
            sets.push(PseudonymSet { key: key.id.clone(), pseudonyms: key.scheme.pseudonyms(identifiers).await? });
        }
        if sets.is_empty() { Err(PseudonymError::NoActiveKey) } else { Ok(sets) }
    }
}

/// The way to the holders of shared keys.
pub trait Holders: Send + Sync {
    /// Pseudonyms under this shared key of the roster.
    ///
    /// # Errors
    /// [`PseudonymError::SharesInconsistent`].
    fn scheme(&self, key: &RosterKey) -> Result<Box<dyn PseudonymScheme>, PseudonymError>;
}

/// Where nobody can be asked: every shared key fails.
#[derive(Debug)]
pub struct NoHolders;

impl Holders for NoHolders {
    fn scheme(&self, key: &RosterKey) -> Result<Box<dyn PseudonymScheme>, PseudonymError> {
        Ok(Box::new(Unasked(SharedKey::of(key, None)?)))
    }
}

#[derive(Debug)]
struct Unasked(SharedKey);

#[async_trait]
impl PseudonymScheme for Unasked {
    async fn pseudonyms(&self, _: &[CanonicalIdentifier]) -> Result<Vec<Pseudonym>, PseudonymError> {
        let (key, needed) = (self.0.id.clone(), self.0.threshold);
        Err(PseudonymError::HoldersUnreachable { key, needed, reasons: "nobody can be asked here".into() })
    }
}

fn usable(key: &RosterKey, secret: Option<HmacKey>, holders: &dyn Holders) -> Result<UsableKey, PseudonymError> {
    let scheme: Box<dyn PseudonymScheme> = match key.scheme {
        Scheme::HmacSha256 => Box::new(recognised(key, secret)?),
        Scheme::ToprfRistretto255 => holders.scheme(key)?,
    };
    Ok(UsableKey { id: key.id.clone(), state: key.state, scheme })
}

fn recognised(key: &RosterKey, secret: Option<HmacKey>) -> Result<HmacKey, PseudonymError> {
    let secret = secret.ok_or_else(|| PseudonymError::KeyMissing(key.id.clone()))?;
    if secret.matches(&key.check) { Ok(secret) } else { Err(PseudonymError::KeyMismatch(key.id.clone())) }
}
