//! That one scalar multiplied all elements of a batch: RFC 9497 section 2.2.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;

use super::ToprfError;
use super::group::{ELEMENT_BYTES, Mode, SCALAR_BYTES, hash_to_scalar, scalar};
use aws_lc_rs::digest::{SHA512, digest};

/// Bytes of a proof: the challenge and the response.
pub const PROOF_BYTES: usize = 2 * SCALAR_BYTES;

/// What is proven: each of `multiplied` is the element of `elements` at the same place, times the scalar whose product with the
/// generator is `key`.
pub(super) struct Claim<'a> {
    pub(super) key: &'a RistrettoPoint,
    pub(super) elements: &'a [RistrettoPoint],
    pub(super) encoded: &'a [[u8; ELEMENT_BYTES]],
    pub(super) multiplied: &'a [[u8; ELEMENT_BYTES]],
}

/// A length as two bytes.
fn length(of: &[u8]) -> [u8; 2] {
    u16::try_from(of.len()).unwrap_or(u16::MAX).to_be_bytes()
}

impl Claim<'_> {
    /// By what each element is weighted in the sums that stand for all of them. Public, as all that goes into it is.
    fn weights(&self, mode: &Mode) -> Vec<Scalar> {
        let key = self.key.compress().0;
        let seed = digest(&SHA512, &[&length(&key)[..], &key, &length(mode.seed), mode.seed].concat());
        let seed = seed.as_ref();
        let pairs = (0_u16..).zip(self.encoded.iter().zip(self.multiplied));
        let weight = |(place, (element, multiplied)): (u16, (&[u8; ELEMENT_BYTES], &[u8; ELEMENT_BYTES]))| {
            let place = place.to_be_bytes();
            let (a, b) = (length(element), length(multiplied));
            hash_to_scalar(mode, &[&length(seed), seed, &place, &a, element, &b, multiplied, b"Composite"])
        };
        pairs.map(weight).collect()
    }

    /// The challenge of a transcript.
    fn challenge(&self, mode: &Mode, sums: [&RistrettoPoint; 2], commitments: [&RistrettoPoint; 2]) -> Scalar {
        let elements = [self.key, sums[0], sums[1], commitments[0], commitments[1]].map(|element| element.compress().0);
        let mut transcript = Vec::with_capacity(5 * (2 + ELEMENT_BYTES));
        for element in &elements {
            transcript.extend_from_slice(&length(element));
            transcript.extend_from_slice(element);
        }
        hash_to_scalar(mode, &[&transcript, b"Challenge"])
    }

    /// Proves it by `secret`, with a `nonce` that is never used again.
    pub(super) fn prove(&self, mode: &Mode, secret: &Scalar, nonce: &Scalar) -> [u8; PROOF_BYTES] {
        let sum = RistrettoPoint::vartime_multiscalar_mul(self.weights(mode), self.elements);
        let multiplied = secret * sum;
        let commitments = [RistrettoPoint::mul_base(nonce), nonce * sum];
        let challenge = self.challenge(mode, [&sum, &multiplied], [&commitments[0], &commitments[1]]);
        let response = nonce - challenge * secret;
        let mut proof = [0; PROOF_BYTES];
        proof[..SCALAR_BYTES].copy_from_slice(challenge.as_bytes());
        proof[SCALAR_BYTES..].copy_from_slice(response.as_bytes());
        proof
    }

    /// Verifies it; `decoded` are the elements of `multiplied`.
    pub(super) fn verify(&self, mode: &Mode, decoded: &[RistrettoPoint], proof: &[u8; PROOF_BYTES]) -> Result<(), ToprfError> {
        let (challenge, response) = proof.split_at(SCALAR_BYTES);
        let part = |bytes: &[u8]| bytes.try_into().map_err(|_| ToprfError::ProofWrong).and_then(|bytes| scalar(&bytes));
        let wrong = |_| ToprfError::ProofWrong;
        let (challenge, response) = (part(challenge).map_err(wrong)?, part(response).map_err(wrong)?);
        let weights = self.weights(mode);
        let sum = RistrettoPoint::vartime_multiscalar_mul(&weights, self.elements);
        let multiplied = RistrettoPoint::vartime_multiscalar_mul(&weights, decoded);
        let first = RistrettoPoint::vartime_double_scalar_mul_basepoint(&challenge, self.key, &response);
        let second = RistrettoPoint::vartime_multiscalar_mul([response, challenge], [sum, multiplied]);
        let expected = self.challenge(mode, [&sum, &multiplied], [&first, &second]);
        if expected == challenge { Ok(()) } else { Err(ToprfError::ProofWrong) }
    }
}
