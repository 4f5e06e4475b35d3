use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::PseudonymError;
use super::toprf::{KeyShare, SCALAR_BYTES};
use crate::domain::{HolderIndex, KeyClass};

/// The shares that a member holds of one key, one for each class of identifiers.
#[derive(Debug, Clone)]
pub struct HeldShares {
    generation: u32,
    shares: BTreeMap<KeyClass, KeyShare>,
}

impl HeldShares {
    /// Of one generation, and of the holder at one place.
    ///
    /// # Errors
    /// [`PseudonymError::KeyInvalid`] where a class is missing, or the places differ.
    pub fn new(generation: u32, shares: BTreeMap<KeyClass, KeyShare>) -> Result<Self, PseudonymError> {
        let mut places = shares.values().map(KeyShare::holder);
        let first = places.next();
        let sound = shares.keys().eq(KeyClass::ALL) && places.all(|place| Some(place) == first);
        if sound { Ok(Self { generation, shares }) } else { Err(PseudonymError::KeyInvalid) }
    }

    /// Which shares of the key these are.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The share of a class.
    #[must_use]
    pub fn share(&self, class: KeyClass) -> Option<&KeyShare> {
        self.shares.get(&class)
    }

    /// Reads the text of a share file: a line with the generation, one with the place, and one for each class in the order of
    /// [`KeyClass::ALL`], each a word, a blank and the value, which of a share is standard base64 of its 32 bytes.
    ///
    /// # Errors
    /// [`PseudonymError::KeyInvalid`] for anything else; what it holds is not told.
    pub fn from_text(text: &str) -> Result<Self, PseudonymError> {
        let invalid = || PseudonymError::KeyInvalid;
        let mut lines = text.lines();
        let mut value = |word: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(word)?.strip_prefix(' '));
            line.ok_or_else(invalid)
        };
        let generation = value("generation")?.parse().map_err(|_| invalid())?;
        let place = value("index")?.parse().ok().and_then(HolderIndex::new).ok_or_else(invalid)?;
        let mut shares = BTreeMap::new();
        for class in KeyClass::ALL {
            let decoded = Zeroizing::new(BASE64.decode(value(class.as_str())?).map_err(|_| invalid())?);
            let mut bytes = Zeroizing::new([0; SCALAR_BYTES]);
            if decoded.len() != SCALAR_BYTES {
                return Err(invalid());
            }
            bytes.copy_from_slice(&decoded);
            shares.insert(*class, KeyShare::new(place, &bytes).map_err(|_| invalid())?);
        }
        if lines.next().is_some() {
            return Err(invalid());
        }
        Self::new(generation, shares)
    }

    /// The text of a share file. With `t` of them from as many holders the key is known.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // The capacity is that of the whole text, so that no part of it is left behind by a growing buffer.
        let mut text = Zeroizing::new(String::with_capacity(512));
        let place = self.shares.values().next().map_or(0, |share| share.holder().get());
        text.push_str(&format!("generation {}\nindex {place}\n", self.generation));
        for (class, share) in &self.shares {
            text.push_str(class.as_str());
            text.push(' ');
            BASE64.encode_string(share.to_bytes().as_slice(), &mut text);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> HeldShares {
        let place = HolderIndex::new(2).expect("not zero");
        let share = |(class, byte): (&KeyClass, u8)| {
            let mut bytes = Zeroizing::new([0; 32]);
            bytes[0] = byte;
            (*class, KeyShare::new(place, &bytes).expect("a scalar"))
        };
        HeldShares::new(7, KeyClass::ALL.iter().zip(1..).map(share).collect()).expect("whole")
    }

    #[test]
    fn shares_are_read_back_as_they_were_written_and_shown_to_nobody() {
        let text = held().to_text();
        let read = HeldShares::from_text(&text).expect("as written");
        assert_eq!((read.generation(), read.to_text()), (7, text.clone()));
        assert_eq!(
            read.share(KeyClass::Name).map(KeyShare::verifying_share),
            held().share(KeyClass::Name).map(KeyShare::verifying_share)
        );
        assert!(format!("{read:?}").matches("redacted").count() == 3 && !format!("{read:?}").contains("AQAA"));
        let zero = "A".repeat(43) + "=";
        let cases = [
            text.replace("index 2", "index 0"),
            text.replace("generation 7", "generation -1"),
            text.replace("business", "busyness"),
            text.replace("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &zero),
            text.replace("AgAAAAAA", "Ag"),
            format!("{}more\n", &*text),
            text.lines().take(4).collect::<Vec<_>>().join("\n"),
        ];
        for case in cases {
            assert_eq!(HeldShares::from_text(&case).map(drop), Err(PseudonymError::KeyInvalid), "{case}");
        }
    }

    #[test]
    fn shares_are_whole_of_one_place_and_of_their_length() {
        let with = |change: &dyn Fn(&mut BTreeMap<KeyClass, KeyShare>)| {
            let mut shares = held().shares;
            change(&mut shares);
            HeldShares::new(7, shares).map(drop)
        };
        assert_eq!(with(&|_| ()), Ok(()));
        assert_eq!(with(&|shares| drop(shares.remove(&KeyClass::Name))), Err(PseudonymError::KeyInvalid));
        let mut bytes = Zeroizing::new([0; 32]);
        bytes[0] = 9;
        let elsewhere = KeyShare::new(HolderIndex::new(3).expect("not zero"), &bytes).expect("a scalar");
        let moved = with(&|shares| drop(shares.insert(KeyClass::Name, elsewhere.clone())));
        assert_eq!(moved, Err(PseudonymError::KeyInvalid));
        let text = held().to_text();
        for length in [31, 33] {
            let cut = text.replace("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &BASE64.encode(vec![2; length]));
            assert_ne!(cut, *text);
            assert_eq!(HeldShares::from_text(&cut).map(drop), Err(PseudonymError::KeyInvalid));
        }
    }
}
