use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::blocking::off_thread;
use crate::domain::{Clock, FieldError, Identifier, IdentifierKind, KeyId, KeyState, PseudonymSet, Roster, Timestamp};
use crate::membership::Directory;
use crate::pseudonym::{
    CanonicalIdentifier, Canonicaliser, HmacKey, Holders, KeyRing, KeyStatus, MAX_IDENTIFIERS_PER_BATCH, PseudonymError,
    Purpose,
};

/// How long keys that could not be used are not looked at again: a missing file is found soon after it is put in its place,
/// and a flood of requests does not become a flood of reads.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where the secrets of the pseudonym keys come from. Read again when the roster changes, and while one is missing.
pub trait KeySecrets: Send + Sync + 'static {
    /// Every secret this node has. May read files.
    fn secrets(&self) -> Vec<(KeyId, HmacKey)>;

    /// Destroys the secret of a key that the roster calls destroyed: with it every seller could be named that was stated under the key,
    /// under later ones, too. What cannot be destroyed is logged there.
    fn destroy(&self, key: &KeyId);
}

/// Canonical forms and pseudonyms under the roster in force.
pub struct Pseudonymiser {
    directory: Arc<Directory>,
    secrets: Arc<dyn KeySecrets>,
    holders: Arc<dyn Holders>,
    clock: Arc<dyn Clock>,
    forms: ArcSwapOption<Forms>,
    keys: ArcSwapOption<Keys>,
}

/// The canonical forms of one roster.
struct Forms {
    serial: u64,
    canonicaliser: Result<Canonicaliser, FieldError>,
}

/// The keys of one roster, as they were when they were looked at.
struct Keys {
    serial: u64,
    looked_at: Timestamp,
    ring: Result<KeyRing, PseudonymError>,
}

/// Sellers' identifiers as pseudonyms, for signals about them.
pub(super) struct SellerPseudonyms {
    /// For each seller what earlier signals are recognised by: a set for each active or retiring key, in the order of the roster.
    pub(super) known: Vec<Vec<PseudonymSet>>,
    /// The active keys, whose sets are written, in the same order.
    pub(super) active: Vec<KeyId>,
}

impl Pseudonymiser {
    /// For the roster of `directory`; of shared keys `holders` are asked.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        secrets: Arc<dyn KeySecrets>,
        holders: Arc<dyn Holders>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { directory, secrets, holders, clock, forms: ArcSwapOption::empty(), keys: ArcSwapOption::empty() }
    }

    /// The canonical forms under the roster in force; built anew by the first caller after a change.
    fn forms(&self) -> Arc<Forms> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        if let Some(forms) = self.forms.load_full()
            && forms.serial == roster.serial
        {
            return forms;
        }
        let built = Arc::new(Forms { serial: roster.serial, canonicaliser: Canonicaliser::new(roster) });
        self.forms.store(Some(built.clone()));
        built
    }

    /// The keys of the roster in force where they are at hand: usable ones for as long as the roster stands, a failure for a
    /// second.
    fn keys_at_hand(&self) -> Option<Arc<Keys>> {
        let serial = self.directory.roster().roster().serial;
        let fresh = |keys: &Keys| keys.ring.is_ok() || self.clock.now().since(keys.looked_at) < RETRY_AFTER;
        self.keys.load_full().filter(|keys| keys.serial == serial && fresh(keys))
    }

    /// The keys of the roster in force. Reads files where they are not at hand.
    fn read_keys(&self) -> Arc<Keys> {
        if let Some(keys) = self.keys_at_hand() {
            return keys;
        }
        let signed = self.directory.roster();
        let roster = signed.roster();
        let (ended, secrets): (Vec<_>, Vec<_>) = self
            .secrets
            .secrets()
            .into_iter()
            .partition(|(id, _)| roster.keys.iter().any(|listed| listed.id == *id && listed.state == KeyState::Destroyed));
        ended.iter().for_each(|(id, _)| self.secrets.destroy(id));
        let ring = KeyRing::new(&roster.keys, secrets, &*self.holders);
        let before = self.keys.load_full().filter(|keys| keys.serial == roster.serial);
        let known = before.and_then(|keys| keys.ring.as_ref().err().cloned());
        match (&ring, known) {
            (Err(error), known) if known.as_ref() != Some(error) => {
                tracing::error!(code = error.code(), %error, "pseudonyms cannot be computed under this roster");
            }
            (Ok(_), Some(_)) => tracing::info!("the pseudonym keys of this roster are all there now"),
            (Ok(_), None) | (Err(_), _) => {}
        }
        let keys = Arc::new(Keys { serial: roster.serial, looked_at: self.clock.now(), ring });
        self.keys.store(Some(keys.clone()));
        keys
    }

    /// [`Self::read_keys`] off the asynchronous threads.
    async fn keys(self: &Arc<Self>) -> Result<Arc<Keys>, PseudonymError> {
        if let Some(keys) = self.keys_at_hand() {
            return Ok(keys);
        }
        let this = self.clone();
        // A panic while keys are read leaves none that could be used.
        off_thread(move || this.read_keys()).await.map_err(|_| PseudonymError::NoActiveKey)
    }

    /// Why no pseudonyms can be computed; `None` where all is well. Reads files: asked before a node serves, and by status.
    #[must_use]
    pub fn problem(&self) -> Option<PseudonymError> {
        self.read_keys().ring.as_ref().err().cloned()
    }

    /// Whether pseudonyms could be computed under `roster`; asked before a node serves and before it takes a roster from its
    /// operator.
    ///
    /// # Errors
    /// [`PseudonymError::KeyMissing`], [`PseudonymError::KeyMismatch`].
    pub fn ready(&self, roster: &Roster) -> Result<(), PseudonymError> {
        KeyRing::check(&roster.keys, self.secrets.secrets())
    }

    /// Has the secrets read again by the next caller.
    pub fn renew(&self) {
        self.keys.store(None);
    }

    /// The keys of the roster, with their states.
    #[must_use]
    pub fn listed_keys(&self) -> Vec<KeyStatus> {
        let signed = self.directory.roster();
        let status = |key: &crate::domain::RosterKey| KeyStatus { id: key.id.clone(), scheme: key.scheme, state: key.state };
        signed.roster().keys.iter().map(status).collect()
    }

    /// Canonical forms of one seller's identifiers, each once. With each goes its place among those given.
    ///
    /// # Errors
    /// The first identifier that has none, with its place in the field.
    pub fn canonical(&self, identifiers: &[Identifier]) -> Result<Vec<(u32, CanonicalIdentifier)>, FieldError> {
        let forms = self.forms();
        let canonicaliser = forms.canonicaliser.as_ref().map_err(Clone::clone)?;
        let mut canonical: Vec<(u32, CanonicalIdentifier)> = Vec::with_capacity(identifiers.len());
        for (place, identifier) in (0..).zip(identifiers) {
            let form = canonicaliser.canonical(identifier).map_err(|e| e.inside(format!("identifiers[{place}]")))?;
            if !canonical.iter().any(|(_, known)| *known == form) {
                canonical.push((place, form));
            }
        }
        Ok(canonical)
    }

    /// Kinds and canonical forms of one seller's identifiers, each once.
    ///
    /// # Errors
    /// As [`Self::canonical`].
    pub(super) fn seller(
        &self,
        identifiers: &[Identifier],
    ) -> Result<(Vec<IdentifierKind>, Vec<CanonicalIdentifier>), FieldError> {
        let forms = self.canonical(identifiers)?.into_iter().map(|(_, form)| form);
        Ok(forms.map(|form| (form.kind(), form)).unzip())
    }

    /// Pseudonyms of many sellers' identifiers at once, to look them up: for each seller one set a key.
    ///
    /// # Errors
    /// Where no key can be used.
    pub async fn to_check(
        self: &Arc<Self>,
        sellers: Vec<Vec<CanonicalIdentifier>>,
    ) -> Result<Vec<Vec<PseudonymSet>>, PseudonymError> {
        self.keys().await?.pseudonyms(sellers).await
    }

    /// Pseudonyms of many sellers' identifiers at once, to write signals about them and to recognise earlier ones.
    ///
    /// # Errors
    /// Where no key can be used, or none is active.
    pub(super) async fn to_submit(
        self: &Arc<Self>,
        sellers: Vec<Vec<CanonicalIdentifier>>,
    ) -> Result<SellerPseudonyms, PseudonymError> {
        let keys = self.keys().await?;
        Ok(SellerPseudonyms { active: keys.active()?, known: keys.pseudonyms(sellers).await? })
    }

    /// Pseudonyms of one seller's identifiers under the active keys, to write something about it.
    ///
    /// # Errors
    /// As [`Self::to_submit`].
    pub(super) async fn to_write(
        self: &Arc<Self>,
        seller: Vec<CanonicalIdentifier>,
    ) -> Result<Vec<PseudonymSet>, PseudonymError> {
        let sets = self.to_submit(vec![seller]).await?;
        Ok(sets.known.into_iter().flatten().filter(|set| sets.active.contains(&set.key)).collect())
    }
}

impl Keys {
    fn ring(&self) -> Result<&KeyRing, PseudonymError> {
        self.ring.as_ref().map_err(Clone::clone)
    }

    fn active(&self) -> Result<Vec<KeyId>, PseudonymError> {
        let active = self.ring()?.keys().iter().filter(|key| key.state == KeyState::Active);
        let active: Vec<KeyId> = active.map(|key| key.id.clone()).collect();
        if active.is_empty() { Err(PseudonymError::NoActiveKey) } else { Ok(active) }
    }

    /// For each seller one set for each active or retiring key.
    async fn pseudonyms(&self, sellers: Vec<Vec<CanonicalIdentifier>>) -> Result<Vec<Vec<PseudonymSet>>, PseudonymError> {
        let ring = self.ring()?;
        let counts: Vec<usize> = sellers.iter().map(Vec::len).collect();
        let flat: Vec<CanonicalIdentifier> = sellers.into_iter().flatten().collect();
        let mut all: Vec<PseudonymSet> = Vec::new();
        for batch in flat.chunks(MAX_IDENTIFIERS_PER_BATCH) {
            for (i, set) in ring.pseudonyms(Purpose::Check, batch).await?.into_iter().enumerate() {
                match all.get_mut(i) {
                    Some(known) => known.pseudonyms.extend(set.pseudonyms),
                    None => all.push(set),
                }
            }
        }
        let mut rest: Vec<_> = all.into_iter().map(|set| (set.key, set.pseudonyms.into_iter())).collect();
        let take = |count: usize, rest: &mut Vec<(KeyId, std::vec::IntoIter<_>)>| {
            let set = |(key, pseudonyms): &mut (KeyId, std::vec::IntoIter<_>)| PseudonymSet {
                key: key.clone(),
                pseudonyms: pseudonyms.by_ref().take(count).collect(),
            };
            rest.iter_mut().map(set).collect()
        };
        Ok(counts.into_iter().map(|count| take(count, &mut rest)).collect())
    }
}
