//! A pseudonym key that is shared among holders: what the roster says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::limits::{MAX_KEY_HOLDERS, MIN_THRESHOLD};
use super::vocabulary::vocabulary;
use super::{FieldError, IdentifierKind, KeyId, KeyState, MemberId, RosterKey};

vocabulary! {
    /// Kinds of identifiers that one key is for. A holder cannot see of what kind an identifier is, so what it may be asked is
    /// bounded by the key.
    KeyClass, "class", "KEY_CLASS_UNKNOWN";
    /// What can be counted through: phones, accounts at banks and for payment and messages, numbers of persons at a tax office.
    LowEntropy = 1, "low_entropy";
    /// What a business is known by in public: licences, domains, addresses on the web, marketplace accounts.
    Business = 2, "business";
    /// E-mail, names, addresses.
    Name = 3, "name";
}

impl IdentifierKind {
    /// Which key of a shared one it takes.
    #[must_use]
    pub const fn key_class(self) -> KeyClass {
        match self {
            Self::Phone | Self::BankAccount | Self::TaxId | Self::PaymentAccount | Self::MessagingAccount => {
                KeyClass::LowEntropy
            }
            Self::MarketplaceAccount | Self::Domain | Self::Url | Self::BusinessLicence => KeyClass::Business,
            Self::Email | Self::LegalName | Self::PostalAddress => KeyClass::Name,
        }
    }
}

/// A holder's place in the sharing, from 1: where the polynomial is evaluated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderIndex(NonZeroU16);

impl HolderIndex {
    /// `None` for zero, at which the secret itself stands.
    #[must_use]
    pub fn new(place: u16) -> Option<Self> {
        NonZeroU16::new(place).map(Self)
    }

    /// From 1.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for HolderIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An element of ristretto255 (RFC 9496), 32 bytes, in text as standard base64. Whether the bytes are one is seen when it is used.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupElement(pub [u8; 32]);

impl TryFrom<String> for GroupElement {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        let bytes = BASE64.decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| FieldError::new("ELEMENT_INVALID", "element", "give the 32 bytes of an element in base64"))
    }
}

impl From<GroupElement> for String {
    fn from(element: GroupElement) -> Self {
        BASE64.encode(element.0)
    }
}

impl fmt::Debug for GroupElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupElement({})", BASE64.encode(self.0))
    }
}

/// How a key of scheme `toprf-ristretto255` is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharing {
    /// How many holders together can use it, from 2.
    pub threshold: u16,
    /// Counts up whenever the shares are made anew: those of different generations do not fit together.
    pub generation: u32,
    /// Who has a share, 2 to 16.
    pub holders: Vec<KeyHolder>,
    /// What came of the ceremony, for each class of identifiers; empty before it.
    #[serde(default)]
    pub classes: Vec<SharedClass>,
    /// Who had a share once, at which place. A share that somebody may still have becomes nobody else's: whoever comes back gets its
    /// own place again, and nobody another's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<KeyHolder>,
}

/// A member that has a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyHolder {
    /// Which.
    pub member: MemberId,
    /// Its place.
    pub index: HolderIndex,
}

/// The key of one class of identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedClass {
    /// Which.
    pub class: KeyClass,
    /// The coefficients of the polynomial whose values at the holders' places are their shares, each times the generator, from the
    /// constant one, which is the public key; as many as the threshold. The verifying share of every place follows from them.
    pub polynomial: Vec<GroupElement>,
}

impl Sharing {
    /// Checks what holds between its parts; whether the shares are of the keys is seen where they are used.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn validate(&self, state: KeyState, is_member: impl Fn(&MemberId) -> bool) -> Result<(), FieldError> {
        let fault = |field: &str, message: &str| Err(FieldError::new("SHARING_INVALID", field.to_owned(), message.to_owned()));
        let holders = self.holders.len();
        if !(MIN_THRESHOLD..=MAX_KEY_HOLDERS).contains(&holders) {
            return fault("holders", "name 2 to 16 holders");
        }
        if !(MIN_THRESHOLD..=holders).contains(&usize::from(self.threshold)) {
            return fault("threshold", "give 2 to as many as there are holders");
        }
        let members: BTreeSet<&MemberId> = self.holders.iter().map(|holder| &holder.member).collect();
        let places: BTreeSet<HolderIndex> = self.holders.iter().map(|holder| holder.index).collect();
        if members.len() != holders || places.len() != holders || !members.iter().all(|member| is_member(member)) {
            return fault("holders", "each holder is another member of this roster, with another place");
        }
        let ever: BTreeSet<HolderIndex> = self.holders.iter().chain(&self.former).map(|holder| holder.index).collect();
        let members: BTreeSet<&MemberId> = self.holders.iter().chain(&self.former).map(|holder| &holder.member).collect();
        if [ever.len(), members.len()] != [holders + self.former.len(); 2] {
            return fault("former", "a former holder is no holder, and keeps a place of its own");
        }
        let classes: Vec<KeyClass> = self.classes.iter().map(|class| class.class).collect();
        match state {
            KeyState::Pending | KeyState::Destroyed if classes.is_empty() => {}
            _ if classes == KeyClass::ALL => {}
            _ => return fault("classes", "give what came of the ceremony, one entry for each class in order"),
        }
        if self.classes.iter().any(|class| class.polynomial.len() != usize::from(self.threshold)) {
            return fault("classes", "give as many coefficients for each class as the threshold");
        }
        Ok(())
    }

    /// The holders in the order of their places, whatever order the roster lists them in.
    #[must_use]
    pub fn in_order(&self) -> Vec<KeyHolder> {
        let mut holders = self.holders.clone();
        holders.sort_unstable_by_key(|holder| holder.index);
        holders
    }

    /// Who sits at each place.
    #[must_use]
    pub fn seats(&self) -> BTreeMap<HolderIndex, MemberId> {
        self.holders.iter().map(|holder| (holder.index, holder.member.clone())).collect()
    }

    /// The place of a member; `None` where it has no share.
    #[must_use]
    pub fn index_of(&self, member: &MemberId) -> Option<HolderIndex> {
        self.holders.iter().find(|holder| holder.member == *member).map(|holder| holder.index)
    }

    /// The key of a class; `None` before the ceremony.
    #[must_use]
    pub fn class(&self, class: KeyClass) -> Option<&SharedClass> {
        self.classes.iter().find(|shared| shared.class == class)
    }
}

/// What everybody may know of the shares that one ceremony made; believed where all that took part have signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedGeneration {
    /// Of which key.
    pub key: KeyId,
    /// Which shares these are. A later ceremony has a higher one.
    pub generation: u32,
    /// How many holders together can use them.
    pub threshold: u16,
    /// Who took part, in the order of their places.
    pub holders: Vec<KeyHolder>,
    /// What came of it.
    pub classes: Vec<SharedClass>,
}

impl SharedGeneration {
    /// What the roster says of a key; `None` where there has been no ceremony.
    #[must_use]
    pub fn of(key: &RosterKey) -> Option<Self> {
        let sharing = key.sharing.as_ref()?;
        (!sharing.classes.is_empty()).then(|| Self {
            key: key.id.clone(),
            generation: sharing.generation,
            threshold: sharing.threshold,
            holders: sharing.in_order(),
            classes: sharing.classes.clone(),
        })
    }

    /// Whether these are shares of the same keys.
    #[must_use]
    pub fn is_of_the_same_keys(&self, other: &Self) -> bool {
        let keys =
            |of: &Self| of.classes.iter().map(|class| (class.class, class.polynomial.first().copied())).collect::<Vec<_>>();
        (&self.key, self.threshold) == (&other.key, other.threshold) && keys(self) == keys(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharing() -> Sharing {
        let holder = |(member, index): (&str, u16)| KeyHolder {
            member: member.parse().expect("valid"),
            index: HolderIndex::new(index).expect("not zero"),
        };
        let class = |class: &KeyClass| SharedClass { class: *class, polynomial: vec![GroupElement([1; 32]); 2] };
        let holders = [("acme", 1), ("brand", 2), ("chips", 5)].map(holder).to_vec();
        Sharing { threshold: 2, generation: 0, holders, classes: KeyClass::ALL.iter().map(class).collect(), former: vec![] }
    }

    #[test]
    fn a_sharing_that_nobody_could_use_is_refused() {
        let check = |state: KeyState, change: &dyn Fn(&mut Sharing)| {
            let mut changed = sharing();
            change(&mut changed);
            changed.validate(state, |member| member.as_str() != "stranger").map_err(|error| error.field.to_string())
        };
        let active = |change: &dyn Fn(&mut Sharing)| check(KeyState::Active, change);
        assert_eq!(active(&|_| ()), Ok(()));
        assert_eq!(check(KeyState::Pending, &|s| s.classes.clear()), Ok(()), "before the ceremony");
        assert_eq!(active(&|s| s.classes.clear()), Err("classes".into()));
        assert_eq!(active(&|s| s.classes.swap(0, 1)), Err("classes".into()));
        assert_eq!(active(&|s| s.classes[1].polynomial.truncate(1)), Err("classes".into()));
        assert_eq!(active(&|s| s.threshold = 1), Err("threshold".into()), "one holder would be the key");
        assert_eq!(active(&|s| s.threshold = 4), Err("threshold".into()));
        assert_eq!(active(&|s| s.holders[1].member = "acme".parse().expect("valid")), Err("holders".into()));
        assert_eq!(active(&|s| s.holders[1].member = "stranger".parse().expect("valid")), Err("holders".into()));
        assert_eq!(active(&|s| s.holders[1].index = s.holders[0].index), Err("holders".into()));
        assert_eq!(active(&|s| s.holders.truncate(1)), Err("holders".into()));
        let former = |member: &str, index| KeyHolder {
            member: member.parse().expect("valid"),
            index: HolderIndex::new(index).expect("not zero"),
        };
        assert_eq!(active(&|s| s.former = vec![former("drinks", 3)]), Ok(()));
        assert_eq!(active(&|s| s.former = vec![former("drinks", 2)]), Err("former".into()), "another's place");
        assert_eq!(active(&|s| s.former = vec![former("chips", 3)]), Err("former".into()), "it would have two");
        let text = toml::to_string(&sharing()).expect("writes");
        assert_eq!(toml::from_str(&text), Ok(sharing()));
        assert!(toml::from_str::<Sharing>(&text.replace("index = 5", "index = 0")).is_err(), "no share is the secret");
    }

    #[test]
    fn every_kind_has_its_class_and_phones_are_counted_through() {
        assert_eq!(IdentifierKind::Phone.key_class(), KeyClass::LowEntropy);
        let of = |class| IdentifierKind::ALL.iter().filter(|kind| kind.key_class() == class).count();
        assert_eq!(KeyClass::ALL.iter().copied().map(of).collect::<Vec<_>>(), [5, 4, 3]);
    }
}
