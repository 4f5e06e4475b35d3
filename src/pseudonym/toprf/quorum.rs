//! Who computes together: holders by their places, Lagrange coefficients, and what the roster says of their shares.

use std::collections::BTreeMap;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

use super::ToprfError;
use super::group::{ELEMENT_BYTES, element};
use crate::domain::HolderIndex;

/// Where the polynomial is evaluated for a holder.
fn at(place: HolderIndex) -> Scalar {
    Scalar::from(place.get())
}

/// As many different holders as the threshold, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quorum(Vec<HolderIndex>);

impl Quorum {
    /// Of these holders of a key with this threshold, in whatever order.
    ///
    /// # Errors
    /// [`ToprfError::QuorumInvalid`] where they are not as many, or one stands twice.
    pub fn new(mut holders: Vec<HolderIndex>, threshold: u16) -> Result<Self, ToprfError> {
        holders.sort_unstable();
        let distinct = holders.windows(2).all(|pair| pair[0] != pair[1]);
        let enough = threshold > 0 && holders.len() == usize::from(threshold);
        if distinct && enough { Ok(Self(holders)) } else { Err(ToprfError::QuorumInvalid) }
    }

    /// In ascending order.
    #[must_use]
    pub fn holders(&self) -> &[HolderIndex] {
        &self.0
    }

    /// By what the share of `holder` is multiplied so that the sum over the quorum is the secret: its Lagrange coefficient at zero.
    ///
    /// # Errors
    /// [`ToprfError::QuorumInvalid`] where the holder is none of the quorum's.
    pub(super) fn coefficient(&self, holder: HolderIndex) -> Result<Scalar, ToprfError> {
        if self.0.contains(&holder) { Ok(lagrange(&self.0, holder, Scalar::ZERO)) } else { Err(ToprfError::QuorumInvalid) }
    }
}

/// The Lagrange coefficient of `of` among `places`, at `x`. No place is another's.
fn lagrange(places: &[HolderIndex], of: HolderIndex, x: Scalar) -> Scalar {
    let others = places.iter().filter(|other| **other != of).map(|other| at(*other));
    let (above, below) =
        others.fold((Scalar::ONE, Scalar::ONE), |(above, below), other| (above * (x - other), below * (at(of) - other)));
    above * below.invert()
}

/// What everybody knows of the shares of one key: by it a holder's work is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicShares {
    threshold: u16,
    shares: BTreeMap<HolderIndex, RistrettoPoint>,
}

impl PublicShares {
    /// Of a key with this public key, of which any `threshold` holders can use theirs.
    ///
    /// # Errors
    /// [`ToprfError::ElementInvalid`] with the place of a share, counted from 1 as the key itself is 0; [`ToprfError::QuorumInvalid`] where there
    /// are fewer than the threshold, or a holder stands twice; [`ToprfError::SharesInconsistent`].
    pub fn new(
        threshold: u16,
        public_key: &[u8; ELEMENT_BYTES],
        shares: &[(HolderIndex, [u8; ELEMENT_BYTES])],
    ) -> Result<Self, ToprfError> {
        let public_key = element(public_key, 0)?;
        let mut decoded = BTreeMap::new();
        for (place, (holder, share)) in (1..).zip(shares) {
            if decoded.insert(*holder, element(share, place)?).is_some() {
                return Err(ToprfError::QuorumInvalid);
            }
        }
        let first: Vec<HolderIndex> = decoded.keys().copied().take(threshold.into()).collect();
        Quorum::new(first.clone(), threshold)?;
        // One polynomial of degree below the threshold goes through all of them, and through the key at zero.
        let through = |x| first.iter().map(|place| decoded[place] * lagrange(&first, *place, x)).sum::<RistrettoPoint>();
        let key_of = first.last().copied().ok_or(ToprfError::QuorumInvalid)?;
        if through(Scalar::ZERO) != public_key {
            return Err(ToprfError::SharesInconsistent { holder: key_of });
        }
        let odd = decoded.iter().skip(first.len()).find(|(place, share)| through(at(**place)) != **share);
        match odd {
            Some((holder, _)) => Err(ToprfError::SharesInconsistent { holder: *holder }),
            None => Ok(Self { threshold, shares: decoded }),
        }
    }

    /// Holders that together can use the key.
    #[must_use]
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// What `holder` computes with in `quorum`, times the generator.
    pub(super) fn partial_key(&self, quorum: &Quorum, holder: HolderIndex) -> Result<RistrettoPoint, ToprfError> {
        let share = self.shares.get(&holder).ok_or(ToprfError::QuorumInvalid)?;
        Ok(share * quorum.coefficient(holder)?)
    }
}
