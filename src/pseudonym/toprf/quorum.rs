//! Who computes together: holders by their places, Lagrange coefficients, and what everybody knows of their shares.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;

use super::ToprfError;
use super::group::{ELEMENT_BYTES, element};
use crate::domain::{HolderIndex, SharedClass};

/// Where the polynomial is evaluated for a holder.
pub(in crate::pseudonym) fn at(place: HolderIndex) -> Scalar {
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
pub(in crate::pseudonym) fn lagrange(places: &[HolderIndex], of: HolderIndex, x: Scalar) -> Scalar {
    let others = places.iter().filter(|other| **other != of).map(|other| at(*other));
    let (above, below) =
        others.fold((Scalar::ONE, Scalar::ONE), |(above, below), other| (above * (x - other), below * (at(of) - other)));
    above * below.invert()
}

/// What everybody knows of the shares of one key: the polynomial whose values at the holders' places are their shares, each of its
/// coefficients times the generator (Feldman's commitments). By it a holder's work is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicShares {
    /// From the constant one, which is the public key; as many as the threshold.
    coefficients: Vec<RistrettoPoint>,
}

impl PublicShares {
    /// Of these coefficients, from the constant one.
    ///
    /// # Errors
    /// [`ToprfError::ElementInvalid`] with the place of a coefficient; [`ToprfError::QuorumInvalid`] for none.
    pub fn new(coefficients: &[[u8; ELEMENT_BYTES]]) -> Result<Self, ToprfError> {
        let decoded = coefficients.iter().enumerate().map(|(place, bytes)| element(bytes, place));
        let coefficients = decoded.collect::<Result<Vec<_>, _>>()?;
        if coefficients.is_empty() { Err(ToprfError::QuorumInvalid) } else { Ok(Self { coefficients }) }
    }

    /// Those of one class of a shared key.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(class: &SharedClass) -> Result<Self, ToprfError> {
        Self::new(&class.polynomial.iter().map(|coefficient| coefficient.0).collect::<Vec<_>>())
    }

    /// Holders that together can use the key.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.coefficients.len()
    }

    /// The share of the holder at a place, times the generator.
    #[must_use]
    pub fn verifying_share(&self, holder: HolderIndex) -> [u8; ELEMENT_BYTES] {
        self.scaled(holder, Scalar::ONE).compress().0
    }

    /// The share of `holder`, times the generator and `factor`.
    pub(in crate::pseudonym) fn scaled(&self, holder: HolderIndex, factor: Scalar) -> RistrettoPoint {
        let powers = std::iter::successors(Some(factor), |power| Some(power * at(holder)));
        let powers: Vec<Scalar> = powers.take(self.coefficients.len()).collect();
        RistrettoPoint::vartime_multiscalar_mul(powers, &self.coefficients)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; ELEMENT_BYTES] {
        self.coefficients.first().map_or([0; ELEMENT_BYTES], |key| key.compress().0)
    }

    /// What `holder` computes with in `quorum`, times the generator.
    pub(super) fn partial_key(&self, quorum: &Quorum, holder: HolderIndex) -> Result<RistrettoPoint, ToprfError> {
        let fits = quorum.holders().len() == self.threshold();
        if fits { Ok(self.scaled(holder, quorum.coefficient(holder)?)) } else { Err(ToprfError::QuorumInvalid) }
    }
}
