use std::collections::BTreeMap;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use super::toprf::{KeyShare, ToprfError, random_scalar};
use super::{HeldShares, PseudonymError};
use crate::domain::{Entropy, GroupElement, HolderIndex, KeyClass, KeyHolder, MemberId, SharedClass, Sharing};

/// Makes a key and shares it among these members, in their order at the places from 1: what the roster says of it, and what each
/// gets. Whoever calls this has known the key: for measurements and tests, where no ceremony is held.
///
/// # Errors
/// [`PseudonymError::Entropy`]; [`PseudonymError::KeyInvalid`] for no holder, or more than there are places.
pub fn deal(threshold: u16, members: &[MemberId], entropy: &dyn Entropy) -> Result<(Sharing, Vec<HeldShares>), PseudonymError> {
    let invalid = || PseudonymError::KeyInvalid;
    let place = |place: usize| u16::try_from(place + 1).ok().and_then(HolderIndex::new).ok_or_else(invalid);
    let places = (0..members.len()).map(place).collect::<Result<Vec<_>, _>>()?;
    let mut held: Vec<BTreeMap<KeyClass, KeyShare>> = vec![BTreeMap::new(); members.len()];
    let mut classes = Vec::new();
    for class in KeyClass::ALL {
        let mut coefficients = Zeroizing::new(Vec::new());
        for _ in 0..threshold {
            coefficients.push(random_scalar(entropy).map_err(|error| match error {
                ToprfError::Entropy(error) => PseudonymError::Entropy(error),
                _ => PseudonymError::KeyInvalid,
            })?);
        }
        for (held, place) in held.iter_mut().zip(&places) {
            let x = Scalar::from(place.get());
            let share = coefficients.iter().rev().fold(Scalar::ZERO, |sum, coefficient| sum * x + coefficient);
            let share = KeyShare::new(*place, &Zeroizing::new(share.to_bytes())).map_err(|_| invalid())?;
            held.insert(*class, share);
        }
        let commit = |coefficient| GroupElement(RistrettoPoint::mul_base(coefficient).compress().0);
        classes.push(SharedClass { class: *class, polynomial: coefficients.iter().map(commit).collect() });
    }
    let holders = members.iter().zip(places).map(|(member, index)| KeyHolder { member: member.clone(), index }).collect();
    let held = held.into_iter().map(|shares| HeldShares::new(0, shares)).collect::<Result<_, _>>()?;
    Ok((Sharing { threshold, generation: 0, holders, classes, former: Vec::new() }, held))
}
