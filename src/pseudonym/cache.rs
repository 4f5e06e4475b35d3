use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::hmac;
use parking_lot::Mutex;

use super::CanonicalIdentifier;
use crate::domain::{Entropy, EntropyError, KeyId, Pseudonym};

type Tag = [u8; 32];

/// Pseudonyms that were made lately, in memory alone: what is asked about again need not be asked of the holders again.
///
/// An identifier stands in it as its HMAC-SHA-256 under a key that is drawn at the start and never leaves the process: never a value, nor
/// anything that could be told from the value without that key. It has at most as many entries as it was made for; beyond that those
/// are forgotten that were not asked for in the last half of them.
pub struct PseudonymCache {
    key: hmac::Key,
    half: usize,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<Tag, Pseudonym>,
    old: HashMap<Tag, Pseudonym>,
}

impl PseudonymCache {
    /// For so many entries, of about 100 bytes each; for fewer than 2 it keeps nothing.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn new(entries: usize, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        entropy.fill(key.as_mut_slice())?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), half: entries / 2, halves: Mutex::default() })
    }

    fn tag(&self, key: &KeyId, identifier: &CanonicalIdentifier) -> Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(key.as_str().as_bytes());
        context.update(&[0]);
        identifier.input().into_iter().for_each(|part| context.update(part));
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// The pseudonym of an identifier under a key, where it is still known.
    #[must_use]
    pub fn find(&self, key: &KeyId, identifier: &CanonicalIdentifier) -> Option<Pseudonym> {
        if self.half == 0 {
            return None;
        }
        let tag = self.tag(key, identifier);
        let mut halves = self.halves.lock();
        if let Some(found) = halves.young.get(&tag) {
            return Some(*found);
        }
        let found = halves.old.remove(&tag)?;
        halves.put(self.half, tag, found);
        Some(found)
    }

    /// Remembers a pseudonym.
    pub fn put(&self, key: &KeyId, identifier: &CanonicalIdentifier, pseudonym: Pseudonym) {
        if self.half > 0 {
            let tag = self.tag(key, identifier);
            self.halves.lock().put(self.half, tag, pseudonym);
        }
    }
}

impl Halves {
    fn put(&mut self, half: usize, tag: Tag, pseudonym: Pseudonym) {
        if self.young.len() >= half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(tag, pseudonym);
    }
}

impl fmt::Debug for PseudonymCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PseudonymCache({} entries, redacted)", 2 * self.half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Identifier, IdentifierKind};
    use crate::pseudonym::tests::canonicaliser;

    struct All(u8);

    impl Entropy for All {
        fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
            out.fill(self.0);
            Ok(())
        }
    }

    fn phone(number: u32) -> CanonicalIdentifier {
        let value = format!("+86138{number:08}");
        canonicaliser().canonical(&Identifier { kind: IdentifierKind::Phone, value, region: String::new() }).expect("valid")
    }

    #[test]
    fn what_was_asked_for_lately_is_known_and_no_more_than_it_is_made_for() {
        let cache = PseudonymCache::new(8, &All(1)).expect("random");
        let (key, other): (KeyId, KeyId) = ("k1".parse().expect("valid"), "k2".parse().expect("valid"));
        let pseudonym = |number: u8| Pseudonym([number; 32]);
        cache.put(&key, &phone(0), pseudonym(0));
        assert_eq!(cache.find(&key, &phone(0)), Some(pseudonym(0)));
        assert_eq!(cache.find(&other, &phone(0)), None, "under another key it is another");
        for number in 1..100 {
            cache.put(&key, &phone(number.into()), pseudonym(number));
            assert_eq!(cache.find(&key, &phone(0)), Some(pseudonym(0)), "asked for again and again");
            let halves = cache.halves.lock();
            assert!(halves.young.len() + halves.old.len() <= 8);
        }
        assert_eq!(cache.find(&key, &phone(1)), None, "long ago");
        assert_eq!(format!("{cache:?}"), "PseudonymCache(8 entries, redacted)");
        let none = PseudonymCache::new(0, &All(1)).expect("random");
        none.put(&key, &phone(0), pseudonym(0));
        assert_eq!(none.find(&key, &phone(0)), None);
    }

    #[test]
    fn as_many_are_known_as_half_of_what_it_is_made_for_at_least() {
        let key: KeyId = "k1".parse().expect("valid");
        for (entries, half) in [(8, 4_u8), (2, 1)] {
            let cache = PseudonymCache::new(entries, &All(1)).expect("random");
            (0..half).for_each(|number| cache.put(&key, &phone(number.into()), Pseudonym([number; 32])));
            for number in 0..half {
                assert_eq!(cache.find(&key, &phone(number.into())), Some(Pseudonym([number; 32])), "{number} of {entries}");
            }
        }
    }

    #[test]
    fn an_identifier_stands_in_it_under_a_key_of_its_own() {
        let key = "k1".parse().expect("valid");
        let tags = [1, 2].map(|byte| PseudonymCache::new(8, &All(byte)).expect("random").tag(&key, &phone(0)));
        assert_ne!(tags[0], tags[1]);
    }
}
