//! Giving a holder the share of its place: one that it lost, or one for a place that is new.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use frost_ristretto255::keys::repairable::{Delta, Sigma, repair_share_part1, repair_share_part2, repair_share_part3};
use frost_ristretto255::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use frost_ristretto255::{Identifier, Ristretto255Sha512, VerifyingKey};
use zeroize::Zeroizing;

use super::making::{decode, identifier, share_of};
use super::{CeremonyError, Seed};
use crate::domain::{GroupElement, HolderIndex, KeyClass};
use crate::pseudonym::toprf::{KeyShare, PublicShares, SCALAR_BYTES, at, lagrange};

const SPLIT: &str = "a split of its share";
const PIECE: &str = "a piece of its share";
const SUM: &str = "a sum of pieces";

/// A scalar of a repair, 32 bytes in canonical form.
pub type Piece = Zeroizing<[u8; SCALAR_BYTES]>;

/// A repair for one class: who helps, and which place.
#[derive(Debug, Clone)]
pub struct Repair<'p> {
    /// Of the key of which class.
    pub class: KeyClass,
    /// What everybody knows of the shares.
    pub public: &'p PublicShares,
    /// As many holders as the threshold.
    pub helpers: &'p BTreeSet<HolderIndex>,
    /// Whose share is made.
    pub place: HolderIndex,
}

/// A helper's part in the new share, split among the helpers so that none of them learns it.
#[derive(Clone)]
pub struct Split {
    /// What each helper gets.
    pub pieces: BTreeMap<HolderIndex, Piece>,
    /// The same times the generator, for everybody, in the order of the helpers.
    pub commitments: Vec<GroupElement>,
}

impl Repair<'_> {
    /// Splits a helper's part.
    ///
    /// # Errors
    /// [`CeremonyError::Incomplete`] where the helpers are no quorum, or the share is none of theirs; [`CeremonyError::Unsound`].
    pub fn split(&self, share: &KeyShare, seed: &Seed) -> Result<Split, CeremonyError> {
        if self.helpers.len() != self.public.threshold() || !self.helpers.contains(&share.holder()) {
            return Err(CeremonyError::Incomplete);
        }
        let unsound = || CeremonyError::Unsound;
        let ids = self.helpers.iter().map(|holder| identifier(*holder)).collect::<Result<Vec<Identifier>, _>>()?;
        let signing = SigningShare::deserialize(share.to_bytes().as_slice()).map_err(|_| unsound())?;
        let threshold = u16::try_from(self.public.threshold()).map_err(|_| unsound())?;
        let own = KeyPackage::new(
            identifier(share.holder())?,
            signing,
            VerifyingShare::deserialize(&share.verifying_share()).map_err(|_| unsound())?,
            self.key()?,
            threshold,
        );
        let mut numbers = seed.numbers(self.class.as_str());
        let split = repair_share_part1::<Ristretto255Sha512, _>(&ids, &own, &mut numbers, identifier(self.place)?)
            .map_err(|_| unsound())?;
        let piece = |(holder, id): (&HolderIndex, Identifier)| Ok((*holder, self.piece(split.get(&id).ok_or_else(unsound)?)?));
        let pieces = self.helpers.iter().zip(ids).map(piece).collect::<Result<BTreeMap<_, _>, CeremonyError>>()?;
        let commitments = pieces.values().map(|piece| Ok(commit(&*scalar(piece).ok_or_else(unsound)?)));
        let commitments = commitments.collect::<Result<_, CeremonyError>>()?;
        Ok(Split { pieces, commitments })
    }

    fn piece(&self, delta: &Delta) -> Result<Piece, CeremonyError> {
        let encoded = Zeroizing::new(delta.serialize());
        encoded.as_slice().try_into().map(Zeroizing::new).map_err(|_| CeremonyError::Unsound)
    }

    fn key(&self) -> Result<VerifyingKey, CeremonyError> {
        VerifyingKey::deserialize(&self.public.public_key()).map_err(|_| CeremonyError::Unsound)
    }

    /// Whether what a helper committed to is its part in the share.
    ///
    /// # Errors
    /// [`CeremonyError::Malformed`] or [`CeremonyError::Wrong`], with the helper.
    pub fn check_split(&self, helper: HolderIndex, commitments: &[GroupElement]) -> Result<(), CeremonyError> {
        let malformed = CeremonyError::Malformed { holder: helper, what: SPLIT };
        if commitments.len() != self.helpers.len() {
            return Err(malformed);
        }
        let sum = commitments.iter().map(|element| decode(&element.0)).sum::<Option<RistrettoPoint>>().ok_or(malformed)?;
        let helpers: Vec<HolderIndex> = self.helpers.iter().copied().collect();
        let factor = lagrange(&helpers, helper, at(self.place));
        let holds = self.helpers.contains(&helper) && sum == self.public.scaled(helper, factor);
        if holds { Ok(()) } else { Err(self.wrong(helper, SPLIT)) }
    }

    /// The sum of the pieces that the helper `own` got, after each was compared with what its sender committed to.
    ///
    /// # Errors
    /// [`CeremonyError::Wrong`] with the sender of a piece that is another; [`CeremonyError::Incomplete`].
    pub fn sum(
        &self,
        own: HolderIndex,
        pieces: &BTreeMap<HolderIndex, Piece>,
        commitments: &BTreeMap<HolderIndex, Vec<GroupElement>>,
    ) -> Result<Piece, CeremonyError> {
        if !pieces.keys().eq(self.helpers) || !commitments.keys().eq(self.helpers) {
            return Err(CeremonyError::Incomplete);
        }
        let place = self.helpers.iter().position(|holder| *holder == own).ok_or(CeremonyError::Incomplete)?;
        let mut deltas = Vec::with_capacity(pieces.len());
        for (holder, piece) in pieces {
            let committed = commitments.get(holder).and_then(|of| of.get(place));
            let wrong = || self.wrong(*holder, PIECE);
            if scalar(piece).map(|piece| commit(&piece)).as_ref() != committed {
                return Err(wrong());
            }
            deltas.push(Delta::deserialize(piece.as_slice()).map_err(|_| wrong())?);
        }
        let sigma = Zeroizing::new(repair_share_part2(&deltas).serialize());
        sigma.as_slice().try_into().map(Zeroizing::new).map_err(|_| CeremonyError::Unsound)
    }

    /// The share, from the sums of all helpers, after each was compared with what the helpers committed to.
    ///
    /// # Errors
    /// [`CeremonyError::Wrong`] with the helper whose sum is another; [`CeremonyError::Incomplete`]; [`CeremonyError::Unsound`].
    pub fn finish(
        &self,
        sums: &BTreeMap<HolderIndex, Piece>,
        commitments: &BTreeMap<HolderIndex, Vec<GroupElement>>,
    ) -> Result<KeyShare, CeremonyError> {
        if !sums.keys().eq(self.helpers) || !commitments.keys().eq(self.helpers) {
            return Err(CeremonyError::Incomplete);
        }
        let mut sigmas = Vec::with_capacity(sums.len());
        for (place, (holder, sum)) in sums.iter().enumerate() {
            let wrong = || self.wrong(*holder, SUM);
            let pieces = commitments.values().map(|of| of.get(place).and_then(|element| decode(&element.0)));
            let expected = pieces.sum::<Option<RistrettoPoint>>().ok_or(CeremonyError::Incomplete)?;
            if scalar(sum).map(|sum| RistrettoPoint::mul_base(&sum)) != Some(expected) {
                return Err(wrong());
            }
            sigmas.push(Sigma::deserialize(sum.as_slice()).map_err(|_| wrong())?);
        }
        let unsound = |_| CeremonyError::Unsound;
        let threshold = u16::try_from(self.public.threshold()).map_err(|_| CeremonyError::Unsound)?;
        let public = PublicKeyPackage::new(BTreeMap::new(), self.key()?, Some(threshold));
        let repaired = repair_share_part3(&sigmas, identifier(self.place)?, &public).map_err(unsound)?;
        let share = share_of(self.place, repaired.signing_share())?;
        let fits = share.verifying_share() == self.public.verifying_share(self.place);
        if fits { Ok(share) } else { Err(CeremonyError::Unsound) }
    }

    const fn wrong(&self, holder: HolderIndex, what: &'static str) -> CeremonyError {
        CeremonyError::Wrong { holder, what, class: self.class }
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} pieces, redacted)", self.pieces.len())
    }
}

fn commit(scalar: &Scalar) -> GroupElement {
    GroupElement(RistrettoPoint::mul_base(scalar).compress().0)
}

fn scalar(bytes: &Piece) -> Option<Zeroizing<Scalar>> {
    Option::from(Scalar::from_canonical_bytes(**bytes)).map(Zeroizing::new)
}
