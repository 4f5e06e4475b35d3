use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::domain::{FieldError, Identifier, KeyId, PseudonymSet, Roster};
use crate::membership::Directory;
use crate::pseudonym::{
    CanonicalIdentifier, Canonicaliser, HmacKey, KeyRing, KeyStatus, MAX_IDENTIFIERS_PER_BATCH, PseudonymError, Purpose,
};

/// Where the secrets of the pseudonym keys come from. Read again when the roster changes.
pub trait KeySecrets: Send + Sync + 'static {
    /// Every secret this node has.
    fn secrets(&self) -> Vec<(KeyId, HmacKey)>;
}

/// Canonical forms and pseudonyms under the roster in force.
pub struct Pseudonymiser {
    directory: Arc<Directory>,
    secrets: Arc<dyn KeySecrets>,
    current: ArcSwapOption<Current>,
}

/// What was built for one roster.
struct Current {
    serial: u64,
    canonicaliser: Result<Canonicaliser, FieldError>,
    keys: Result<KeyRing, PseudonymError>,
}

impl Pseudonymiser {
    /// For the roster of `directory`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, secrets: Arc<dyn KeySecrets>) -> Self {
        Self { directory, secrets, current: ArcSwapOption::empty() }
    }

    /// What stands for the roster in force; built anew by the first caller after a change.
    fn current(&self) -> Arc<Current> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        if let Some(current) = self.current.load_full()
            && current.serial == roster.serial
        {
            return current;
        }
        let keys = KeyRing::new(&roster.keys, self.secrets.secrets());
        if let Err(error) = &keys {
            tracing::error!(code = error.code(), %error, "pseudonyms cannot be computed under this roster");
        }
        let canonicaliser = Canonicaliser::new(roster);
        let built = Arc::new(Current { serial: roster.serial, canonicaliser, keys });
        self.current.store(Some(built.clone()));
        built
    }

    /// Whether pseudonyms could be computed under `roster`; asked before a node serves and before it takes a roster from its
    /// operator.
    ///
    /// # Errors
    /// [`PseudonymError::KeyMissing`], [`PseudonymError::KeyMismatch`].
    pub fn ready(&self, roster: &Roster) -> Result<(), PseudonymError> {
        KeyRing::new(&roster.keys, self.secrets.secrets()).map(|_| ())
    }

    /// Has the secrets read again by the next caller.
    pub fn renew(&self) {
        self.current.store(None);
    }

    /// The keys of the roster, with their states.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyStatus> {
        self.current().keys.as_ref().map(|keys| keys.keys().to_vec()).unwrap_or_default()
    }

    /// Canonical forms of one seller's identifiers, each once. With each goes its place among those given.
    ///
    /// # Errors
    /// The first identifier that has none, with its place in the field.
    pub fn canonical(&self, identifiers: &[Identifier]) -> Result<Vec<(u32, CanonicalIdentifier)>, FieldError> {
        let current = self.current();
        let canonicaliser = current.canonicaliser.as_ref().map_err(Clone::clone)?;
        let mut canonical: Vec<(u32, CanonicalIdentifier)> = Vec::with_capacity(identifiers.len());
        for (place, identifier) in (0..).zip(identifiers) {
            let form = canonicaliser.canonical(identifier).map_err(|e| e.inside(format!("identifiers[{place}]")))?;
            if !canonical.iter().any(|(_, known)| *known == form) {
                canonical.push((place, form));
            }
        }
        Ok(canonical)
    }

    /// Pseudonyms of many sellers' identifiers at once: for each seller one set a key.
    ///
    /// # Errors
    /// Where no key can be used.
    pub async fn pseudonyms(
        &self,
        purpose: Purpose,
        sellers: Vec<Vec<CanonicalIdentifier>>,
    ) -> Result<Vec<Vec<PseudonymSet>>, PseudonymError> {
        let current = self.current();
        let keys = current.keys.as_ref().map_err(Clone::clone)?;
        let counts: Vec<usize> = sellers.iter().map(Vec::len).collect();
        let flat: Vec<CanonicalIdentifier> = sellers.into_iter().flatten().collect();
        let mut all: Vec<PseudonymSet> = Vec::new();
        for batch in flat.chunks(MAX_IDENTIFIERS_PER_BATCH) {
            for (i, set) in keys.pseudonyms(purpose, batch).await?.into_iter().enumerate() {
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
