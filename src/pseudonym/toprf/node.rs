//! What a node does: blind, verify, combine, unblind.

use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::group::{ELEMENT_BYTES, VOPRF, encode_doubled, hash_to_group, random_element, random_scalar};
use super::holder::decode;
use super::proof::Claim;
use super::{Evaluation, PublicShares, Quorum, ToprfError};
use crate::domain::{Entropy, HolderIndex, Pseudonym};
use crate::pseudonym::CanonicalIdentifier;

/// Sizes that batches are filled up to, so that a holder sees hardly how many identifiers a node asks about.
const BATCH_SIZES: [usize; 5] = [8, 32, 128, 512, MAX_BATCH];
/// Identifiers of one batch at most.
pub const MAX_BATCH: usize = 1_024;

/// The size that a batch of so many identifiers is filled up to; `None` above the largest, 1,024.
#[must_use]
pub fn padded(identifiers: usize) -> Option<usize> {
    BATCH_SIZES.into_iter().find(|size| *size >= identifiers)
}

/// Identifiers on their way to the holders. What is secret of it is wiped when it is dropped, and not shown by `Debug`.
pub struct Blinding {
    /// Half the inverse of each scalar, in the order of the identifiers.
    unblind: Zeroizing<Vec<Scalar>>,
    blinded: Blinded,
}

/// What holders are sent, and their work is verified against: by the node, and by whoever is shown it later.
#[derive(Debug)]
pub struct Blinded {
    elements: Vec<RistrettoPoint>,
    encoded: Vec<[u8; ELEMENT_BYTES]>,
}

/// A holder's work that was verified.
#[derive(Debug, Clone)]
pub struct Verified {
    holder: HolderIndex,
    elements: Vec<RistrettoPoint>,
}

impl Blinding {
    /// Blinds identifiers.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(identifiers: &[CanonicalIdentifier], entropy: &dyn Entropy) -> Result<Self, ToprfError> {
        let inputs: Vec<[&[u8]; 5]> = identifiers.iter().map(CanonicalIdentifier::input).collect();
        Self::new(&inputs.iter().map(|parts| parts.as_slice()).collect::<Vec<_>>(), entropy)
    }

    /// Blinds inputs, each given in parts, and fills up with elements that mean nothing.
    ///
    /// # Errors
    /// [`ToprfError::CountWrong`] for none or more than 1,024; [`ToprfError::Entropy`].
    pub(super) fn new(inputs: &[&[&[u8]]], entropy: &dyn Entropy) -> Result<Self, ToprfError> {
        let given = inputs.len();
        let size = padded(given).filter(|_| given > 0).ok_or(ToprfError::CountWrong { given, wanted: MAX_BATCH })?;
        let mut blinds = Zeroizing::new(Vec::with_capacity(given));
        for _ in inputs {
            blinds.push(random_scalar(entropy)?);
        }
        let filling = (given..size).map(|_| random_element(entropy)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::with(inputs, blinds, filling))
    }

    /// The same with these scalars, of which none is zero, and half of each of the elements to fill up with.
    pub(super) fn with(inputs: &[&[&[u8]]], mut blinds: Zeroizing<Vec<Scalar>>, filling: Vec<RistrettoPoint>) -> Self {
        let blind = |(input, blind): (&&[&[u8]], &Scalar)| {
            let mut hashed = hash_to_group(&VOPRF, input);
            let half = Zeroizing::new(blind.div_by_2());
            let blinded = *half * hashed;
            hashed.zeroize();
            blinded
        };
        let halves: Vec<RistrettoPoint> = inputs.iter().zip(blinds.iter()).map(blind).chain(filling).collect();
        let encoded = encode_doubled(&halves);
        let elements = halves.into_iter().map(|half| half + half).collect();
        Scalar::invert_batch_alloc(&mut blinds);
        blinds.iter_mut().for_each(|inverse| *inverse = inverse.div_by_2());
        Self { unblind: blinds, blinded: Blinded { elements, encoded } }
    }

    /// What is sent to the holders.
    #[must_use]
    pub fn encoded(&self) -> &[[u8; ELEMENT_BYTES]] {
        self.blinded.encoded()
    }

    /// Verifies what a holder of the quorum answered.
    ///
    /// # Errors
    /// As [`Blinded::verify`].
    pub fn verify(
        &self,
        evaluation: &Evaluation,
        shares: &PublicShares,
        quorum: &Quorum,
        holder: HolderIndex,
    ) -> Result<Verified, ToprfError> {
        self.blinded.verify(evaluation, shares, quorum, holder)
    }

    /// The pseudonyms, in the order of the inputs, from the verified work of a whole quorum.
    ///
    /// # Errors
    /// [`ToprfError::QuorumInvalid`] where a holder of the quorum is missing or stands twice; [`ToprfError::ElementInvalid`] where the
    /// identity comes out.
    pub fn finish(&self, quorum: &Quorum, verified: &[Verified]) -> Result<Vec<Pseudonym>, ToprfError> {
        let mut holders: Vec<HolderIndex> = verified.iter().map(|verified| verified.holder).collect();
        holders.sort_unstable();
        if holders != quorum.holders() {
            return Err(ToprfError::QuorumInvalid);
        }
        let mut halves = Zeroizing::new(Vec::with_capacity(self.unblind.len()));
        for (place, unblind) in self.unblind.iter().enumerate() {
            let sum: RistrettoPoint = verified.iter().map(|verified| verified.elements[place]).sum();
            if sum.is_identity() {
                return Err(ToprfError::ElementInvalid { place });
            }
            halves.push(*unblind * sum);
        }
        Ok(encode_doubled(&halves).into_iter().map(Pseudonym).collect())
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blinding({} of {}, redacted)", self.unblind.len(), self.blinded.encoded.len())
    }
}

impl Blinded {
    /// Those that somebody sent.
    ///
    /// # Errors
    /// [`ToprfError::ElementInvalid`] with the place of one that is none.
    pub fn of(encoded: Vec<[u8; ELEMENT_BYTES]>) -> Result<Self, ToprfError> {
        Ok(Self { elements: decode(&encoded)?, encoded })
    }

    /// As they are sent.
    #[must_use]
    pub fn encoded(&self) -> &[[u8; ELEMENT_BYTES]] {
        &self.encoded
    }

    /// Verifies what a holder of the quorum answered.
    ///
    /// # Errors
    /// [`ToprfError::CountWrong`], [`ToprfError::ElementInvalid`], [`ToprfError::ProofWrong`]; [`ToprfError::QuorumInvalid`] where the
    /// holder is none of it.
    pub fn verify(
        &self,
        evaluation: &Evaluation,
        shares: &PublicShares,
        quorum: &Quorum,
        holder: HolderIndex,
    ) -> Result<Verified, ToprfError> {
        let (given, wanted) = (evaluation.elements.len(), self.encoded.len());
        if given != wanted {
            return Err(ToprfError::CountWrong { given, wanted });
        }
        let key = shares.partial_key(quorum, holder)?;
        let elements = decode(&evaluation.elements)?;
        let multiplied = &evaluation.elements;
        let claim = Claim { key: &key, elements: &self.elements, encoded: &self.encoded, multiplied };
        claim.verify(&VOPRF, &elements, &evaluation.proof)?;
        Ok(Verified { holder, elements })
    }
}
