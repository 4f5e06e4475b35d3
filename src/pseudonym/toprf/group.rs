//! The group, and how bytes become elements and scalars of it (RFC 9497 section 4.1, RFC 9380 section 5.3.1, RFC 9496).

use aws_lc_rs::digest::{Context, SHA512};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use zeroize::Zeroizing;

use super::ToprfError;
use crate::domain::Entropy;

/// Bytes of an encoded element.
pub const ELEMENT_BYTES: usize = 32;
/// Bytes of an encoded scalar.
pub const SCALAR_BYTES: usize = 32;
/// Bytes of a block of SHA-512.
const BLOCK: [u8; 128] = [0; 128];

/// What separates the uses of the hash: a mode of the suite.
pub(super) struct Mode {
    pub(super) to_group: &'static [u8],
    pub(super) to_scalar: &'static [u8],
    pub(super) seed: &'static [u8],
}

/// The mode with proofs, which is the one in use.
pub(super) const VOPRF: Mode = Mode {
    to_group: b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512",
    to_scalar: b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512",
    seed: b"Seed-OPRFV1-\x01-ristretto255-SHA512",
};

/// `expand_message_xmd` of RFC 9380 with SHA-512, for 64 bytes, over the concatenation of `message`.
fn expand(message: &[&[u8]], label: &[u8]) -> Zeroizing<[u8; 64]> {
    let length = [u8::try_from(label.len()).unwrap_or(u8::MAX)];
    let digest = |parts: &mut dyn Iterator<Item = &[u8]>| {
        let mut context = Context::new(&SHA512);
        parts.for_each(|part| context.update(part));
        let mut out = Zeroizing::new([0; 64]);
        out.copy_from_slice(context.finish().as_ref());
        out
    };
    let end: [&[u8]; 2] = [label, &length];
    let head: [&[u8]; 1] = [&BLOCK];
    let asked: [&[u8]; 1] = [&[0, 64, 0]];
    let whole = digest(&mut head.into_iter().chain(message.iter().copied()).chain(asked).chain(end));
    digest(&mut [whole.as_slice(), &[1]].into_iter().chain(end))
}

/// `HashToGroup`: the element that an input means.
pub(super) fn hash_to_group(mode: &Mode, input: &[&[u8]]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&expand(input, mode.to_group))
}

/// `HashToScalar`.
pub(super) fn hash_to_scalar(mode: &Mode, input: &[&[u8]]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&expand(input, mode.to_scalar))
}

/// A scalar that nobody knows; never zero but with the chance of guessing it.
pub(in crate::pseudonym) fn random_scalar(entropy: &dyn Entropy) -> Result<Scalar, ToprfError> {
    let mut bytes = Zeroizing::new([0; 64]);
    entropy.fill(bytes.as_mut_slice())?;
    Ok(Scalar::from_bytes_mod_order_wide(&bytes))
}

/// An element that nobody knows a relation of.
pub(super) fn random_element(entropy: &dyn Entropy) -> Result<RistrettoPoint, ToprfError> {
    let mut bytes = Zeroizing::new([0; 64]);
    entropy.fill(bytes.as_mut_slice())?;
    Ok(RistrettoPoint::from_uniform_bytes(&bytes))
}

/// `DeserializeElement`, of which `place` is told where it is none.
pub(super) fn element(bytes: &[u8; ELEMENT_BYTES], place: usize) -> Result<RistrettoPoint, ToprfError> {
    let decoded = CompressedRistretto(*bytes).decompress();
    decoded.filter(|element| !element.is_identity()).ok_or(ToprfError::ElementInvalid { place })
}

/// `DeserializeScalar`, and not zero.
pub(super) fn scalar(bytes: &[u8; SCALAR_BYTES]) -> Result<Scalar, ToprfError> {
    let decoded: Option<Scalar> = Scalar::from_canonical_bytes(*bytes).into();
    decoded.filter(|scalar| *scalar != Scalar::ZERO).ok_or(ToprfError::ScalarInvalid)
}

/// The encodings of twice these elements: so many at once share the one costly step.
pub(super) fn encode_doubled(halves: &[RistrettoPoint]) -> Vec<[u8; ELEMENT_BYTES]> {
    RistrettoPoint::double_and_compress_batch(halves).into_iter().map(|encoded| encoded.0).collect()
}
