//! What a holder does: multiply with its share, and prove it.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA512};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

use super::group::{ELEMENT_BYTES, SCALAR_BYTES, VOPRF, element, encode_doubled, random_scalar, scalar};
use super::proof::{Claim, PROOF_BYTES};
use super::{Quorum, ToprfError};
use crate::domain::{Entropy, HolderIndex};

/// A holder's share of a key. Wiped when dropped; `Debug` shows its place alone.
#[derive(Clone)]
pub struct KeyShare {
    holder: HolderIndex,
    secret: Scalar,
}

/// What a holder answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The elements times the share and its coefficient, in their order.
    pub elements: Vec<[u8; ELEMENT_BYTES]>,
    /// That they are.
    pub proof: [u8; PROOF_BYTES],
}

impl KeyShare {
    /// The share of the holder at this place.
    ///
    /// # Errors
    /// [`ToprfError::ScalarInvalid`].
    pub fn new(holder: HolderIndex, secret: &Zeroizing<[u8; SCALAR_BYTES]>) -> Result<Self, ToprfError> {
        Ok(Self { holder, secret: scalar(secret)? })
    }

    /// Its place.
    #[must_use]
    pub const fn holder(&self) -> HolderIndex {
        self.holder
    }

    /// The share itself, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; SCALAR_BYTES]> {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// What everybody may know of it, and verifies its work by.
    #[must_use]
    pub fn verifying_share(&self) -> [u8; ELEMENT_BYTES] {
        RistrettoPoint::mul_base(&self.secret).compress().0
    }

    /// Multiplies blinded elements for a quorum. Takes the same time for every share.
    ///
    /// # Errors
    /// [`ToprfError::ElementInvalid`], [`ToprfError::CountWrong`] for none or more than 65,535, [`ToprfError::QuorumInvalid`] where this
    /// holder is none of it; [`ToprfError::Entropy`].
    pub fn evaluate(
        &self,
        quorum: &Quorum,
        blinded: &[[u8; ELEMENT_BYTES]],
        entropy: &dyn Entropy,
    ) -> Result<Evaluation, ToprfError> {
        let random = Zeroizing::new(random_scalar(entropy)?);
        let nonce = Zeroizing::new(hedged(&self.secret, &random, quorum, blinded));
        self.evaluate_with(quorum, blinded, &nonce)
    }

    /// The same with this nonce, which is used for nothing else.
    pub(super) fn evaluate_with(
        &self,
        quorum: &Quorum,
        blinded: &[[u8; ELEMENT_BYTES]],
        nonce: &Scalar,
    ) -> Result<Evaluation, ToprfError> {
        let wanted = usize::from(u16::MAX);
        if blinded.is_empty() || blinded.len() > wanted {
            return Err(ToprfError::CountWrong { given: blinded.len(), wanted });
        }
        let elements = decode(blinded)?;
        let secret = Zeroizing::new(quorum.coefficient(self.holder)? * self.secret);
        let half = Zeroizing::new(secret.div_by_2());
        let halves: Vec<RistrettoPoint> = elements.iter().map(|element| *half * element).collect();
        let multiplied = encode_doubled(&halves);
        let key = RistrettoPoint::mul_base(&secret);
        let claim = Claim { key: &key, elements: &elements, encoded: blinded, multiplied: &multiplied };
        let proof = claim.prove(&VOPRF, &secret, nonce);
        Ok(Evaluation { elements: multiplied, proof })
    }
}

/// A nonce that is another one for each batch and quorum, even where a machine that was copied while it ran gives the same randomness twice: with two
/// answers under one nonce the share could be computed.
fn hedged(secret: &Scalar, random: &Scalar, quorum: &Quorum, blinded: &[[u8; ELEMENT_BYTES]]) -> Scalar {
    let places: Vec<u8> = quorum.holders().iter().flat_map(|place| place.get().to_be_bytes()).collect();
    let (secret, random) = (Zeroizing::new(secret.to_bytes()), Zeroizing::new(random.to_bytes()));
    let mut context = Context::new(&SHA512);
    // As many places as the threshold, hence of one length for each key.
    for part in [&b"countermark proof nonce v1\0"[..], secret.as_slice(), random.as_slice(), &places, blinded.as_flattened()] {
        context.update(part);
    }
    let mut wide = Zeroizing::new([0; 64]);
    wide.copy_from_slice(context.finish().as_ref());
    Scalar::from_bytes_mod_order_wide(&wide)
}

pub(super) fn decode(encoded: &[[u8; ELEMENT_BYTES]]) -> Result<Vec<RistrettoPoint>, ToprfError> {
    encoded.iter().enumerate().map(|(place, bytes)| element(bytes, place)).collect()
}

impl Drop for KeyShare {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for KeyShare {}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare({}, redacted)", self.holder)
    }
}
