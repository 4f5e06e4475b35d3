//! Making a key, and making its shares anew.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use frost_ristretto255::keys::dkg::{self, round1, round2};
use frost_ristretto255::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare, refresh};
use frost_ristretto255::{Error, Identifier, VerifyingKey};
use zeroize::Zeroizing;

use super::{CeremonyError, Seed};
use crate::domain::{GroupElement, HolderIndex, KeyClass, SharedClass};
use crate::pseudonym::HeldShares;
use crate::pseudonym::toprf::{KeyShare, PublicShares, SCALAR_BYTES, at};

const COMMITMENTS: &str = "commitments";
const SHARES: &str = "shares";

/// What a ceremony is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// A key that was not there before.
    Generate,
    /// Other shares of a key that is there.
    Refresh {
        /// Those that this participant has.
        held: HeldShares,
        /// The polynomials of the generation before, one for each class in order.
        classes: Vec<SharedClass>,
    },
}

/// One participant's side of making shares.
#[derive(Debug, Clone)]
pub struct Making {
    /// What for.
    pub purpose: Purpose,
    /// Holders that together can use the key; a refresh does not change it.
    pub threshold: u16,
    /// Who takes part, this participant among them.
    pub participants: BTreeSet<HolderIndex>,
    /// Its own place.
    pub own: HolderIndex,
    /// What it draws from.
    pub seed: Seed,
}

/// What comes of it.
#[derive(Debug)]
pub struct Made {
    /// What everybody may know, the same at all participants.
    pub classes: Vec<SharedClass>,
    /// This participant's own.
    pub shares: BTreeMap<KeyClass, KeyShare>,
}

/// What the others committed to, by class.
type Read = Vec<(KeyClass, BTreeMap<Identifier, round1::Package>)>;

/// The first part of one participant, for one class.
struct Committed {
    secret: round1::SecretPackage,
    package: round1::Package,
}

impl Making {
    /// The part of round 1, for everybody.
    ///
    /// # Errors
    /// [`CeremonyError::Unsound`].
    pub fn commitments(&self) -> Result<Vec<u8>, CeremonyError> {
        let mut part = Parts::default();
        for class in KeyClass::ALL {
            let package = self.commit(*class)?.package.serialize().map_err(|_| CeremonyError::Unsound)?;
            part.push(&package);
        }
        Ok(part.0.to_vec())
    }

    /// The parts of round 3, one for each other participant, from what all others committed to.
    ///
    /// # Errors
    /// See [`CeremonyError`].
    pub fn shares(
        &self,
        commitments: &BTreeMap<HolderIndex, Vec<u8>>,
    ) -> Result<BTreeMap<HolderIndex, Zeroizing<Vec<u8>>>, CeremonyError> {
        let others = self.others();
        let mut parts: BTreeMap<HolderIndex, Parts> = others.iter().map(|holder| (*holder, Parts::default())).collect();
        for (class, packages) in self.read(commitments)? {
            let (_, dealt) = self.deal(class, self.commit(class)?.secret, &packages)?;
            for (holder, part) in &mut parts {
                let package = dealt.get(&identifier(*holder)?).ok_or(CeremonyError::Unsound)?;
                part.push(&Zeroizing::new(package.serialize().map_err(|_| CeremonyError::Unsound)?));
            }
        }
        Ok(parts.into_iter().map(|(holder, parts)| (holder, parts.0)).collect())
    }

    /// What comes of it, from what all others committed to and dealt to this participant.
    ///
    /// # Errors
    /// See [`CeremonyError`].
    pub fn finish(
        &self,
        commitments: &BTreeMap<HolderIndex, Vec<u8>>,
        dealt: &BTreeMap<HolderIndex, Zeroizing<Vec<u8>>>,
    ) -> Result<Made, CeremonyError> {
        if !dealt.keys().copied().eq(self.others()) {
            return Err(CeremonyError::Incomplete);
        }
        let mut read: BTreeMap<KeyClass, BTreeMap<Identifier, round2::Package>> = BTreeMap::new();
        for (holder, part) in dealt {
            let malformed = || CeremonyError::Malformed { holder: *holder, what: SHARES };
            for (class, bytes) in KeyClass::ALL.iter().zip(split(part).ok_or_else(malformed)?) {
                let package = round2::Package::deserialize(bytes).map_err(|_| malformed())?;
                read.entry(*class).or_default().insert(identifier(*holder)?, package);
            }
        }
        let (mut classes, mut shares) = (Vec::new(), BTreeMap::new());
        for (class, packages) in self.read(commitments)? {
            let committed = self.commit(class)?;
            let polynomial = self.polynomial(class, packages.values().chain([&committed.package]))?;
            let (secret, _) = self.deal(class, committed.secret, &packages)?;
            let dealt = read.remove(&class).unwrap_or_default();
            self.check_dealt(class, &packages, &dealt)?;
            let made = match self.before(class)? {
                None => dkg::part3(&secret, &packages, &dealt),
                Some((public, held)) => refresh::refresh_dkg_shares(&secret, &packages, &dealt, public, held),
            };
            let (key, _) = made.map_err(|error| self.blame(&error, SHARES, class))?;
            let share = share_of(self.own, key.signing_share())?;
            // What the crate made is what everybody will verify by, or it is nothing.
            let made = SharedClass { class, polynomial };
            let public = PublicShares::of(&made).map_err(|_| CeremonyError::Unsound)?;
            if public.verifying_share(self.own) != share.verifying_share() {
                return Err(CeremonyError::Unsound);
            }
            shares.insert(class, share);
            classes.push(made);
        }
        Ok(Made { classes, shares })
    }

    fn others(&self) -> BTreeSet<HolderIndex> {
        self.participants.iter().copied().filter(|holder| *holder != self.own).collect()
    }

    fn commit(&self, class: KeyClass) -> Result<Committed, CeremonyError> {
        let numbers = self.seed.numbers(class.as_str());
        let count = u16::try_from(self.participants.len()).map_err(|_| CeremonyError::Unsound)?;
        let begun = match self.purpose {
            Purpose::Generate => dkg::part1(identifier(self.own)?, count, self.threshold, numbers),
            Purpose::Refresh { .. } => refresh::refresh_dkg_part1(identifier(self.own)?, count, self.threshold, numbers),
        };
        let (secret, package) = begun.map_err(|_| CeremonyError::Unsound)?;
        Ok(Committed { secret, package })
    }

    /// The commitments of the others, by class.
    fn read(&self, commitments: &BTreeMap<HolderIndex, Vec<u8>>) -> Result<Read, CeremonyError> {
        if !commitments.keys().copied().eq(self.others()) {
            return Err(CeremonyError::Incomplete);
        }
        // The commitment to a constant of zero is left out: it is the identity.
        let left_out = usize::from(matches!(self.purpose, Purpose::Refresh { .. }));
        let mut read: Vec<_> = KeyClass::ALL.iter().map(|class| (*class, BTreeMap::new())).collect();
        for (holder, part) in commitments {
            let malformed = || CeremonyError::Malformed { holder: *holder, what: COMMITMENTS };
            for ((_, packages), bytes) in read.iter_mut().zip(split(part).ok_or_else(malformed)?) {
                let package = round1::Package::deserialize(bytes).map_err(|_| malformed())?;
                if package.commitment().coefficients().len() + left_out != usize::from(self.threshold) {
                    return Err(malformed());
                }
                packages.insert(identifier(*holder)?, package);
            }
        }
        Ok(read)
    }

    fn deal(
        &self,
        class: KeyClass,
        secret: round1::SecretPackage,
        packages: &BTreeMap<Identifier, round1::Package>,
    ) -> Result<(round2::SecretPackage, BTreeMap<Identifier, round2::Package>), CeremonyError> {
        let dealt = match self.purpose {
            Purpose::Generate => dkg::part2(secret, packages),
            Purpose::Refresh { .. } => refresh::refresh_dkg_part2(secret, packages),
        };
        dealt.map_err(|error| self.blame(&error, COMMITMENTS, class))
    }

    /// The sum of all polynomials; with that of the generation before where there is one.
    fn polynomial<'p>(
        &self,
        class: KeyClass,
        packages: impl Iterator<Item = &'p round1::Package>,
    ) -> Result<Vec<GroupElement>, CeremonyError> {
        let unsound = || CeremonyError::Unsound;
        let mut sum = match self.before_class(class)? {
            None => vec![RistrettoPoint::default(); self.threshold.into()],
            Some(before) => {
                let decoded = before.polynomial.iter().map(|element| decode(&element.0));
                decoded.collect::<Option<Vec<_>>>().ok_or(CeremonyError::OwnShareWrong)?
            }
        };
        let left_out = usize::from(matches!(self.purpose, Purpose::Refresh { .. }));
        for package in packages {
            let coefficients = package.commitment().serialize().map_err(|_| unsound())?;
            for (sum, coefficient) in sum.iter_mut().skip(left_out).zip(coefficients) {
                *sum += decode(&coefficient).ok_or_else(unsound)?;
            }
        }
        Ok(sum.into_iter().map(|element| GroupElement(element.compress().0)).collect())
    }

    /// Whether each share lies on what its dealer committed to. The crate checks it, too, but names nobody in a refresh.
    fn check_dealt(
        &self,
        class: KeyClass,
        packages: &BTreeMap<Identifier, round1::Package>,
        dealt: &BTreeMap<Identifier, round2::Package>,
    ) -> Result<(), CeremonyError> {
        let x = at(self.own);
        let constant = if matches!(self.purpose, Purpose::Refresh { .. }) { x } else { Scalar::ONE };
        for holder in self.others() {
            let of = identifier(holder)?;
            let (Some(package), Some(share)) = (packages.get(&of), dealt.get(&of)) else {
                return Err(CeremonyError::Incomplete);
            };
            let committed = package.commitment().serialize().map_err(|_| CeremonyError::Unsound)?;
            let committed = committed.iter().map(|element| decode(element)).collect::<Option<Vec<_>>>();
            let committed = committed.ok_or(CeremonyError::Unsound)?;
            let powers = successors(Some(constant), |power| Some(power * x)).take(committed.len()).collect::<Vec<Scalar>>();
            let expected = RistrettoPoint::vartime_multiscalar_mul(powers, committed);
            let holds = share_of(self.own, share.signing_share()).is_ok_and(|s| s.verifying_share() == expected.compress().0);
            if !holds {
                return Err(CeremonyError::Wrong { holder, what: SHARES, class });
            }
        }
        Ok(())
    }

    fn before_class(&self, class: KeyClass) -> Result<Option<&SharedClass>, CeremonyError> {
        let Purpose::Refresh { classes, .. } = &self.purpose else { return Ok(None) };
        let found = classes.iter().find(|before| before.class == class);
        let fits = |before: &&SharedClass| before.polynomial.len() == usize::from(self.threshold);
        found.filter(fits).map(Some).ok_or(CeremonyError::OwnShareWrong)
    }

    /// The share that is made anew, and what everybody knows of the others, as the crate takes them.
    fn before(&self, class: KeyClass) -> Result<Option<(PublicKeyPackage, KeyPackage)>, CeremonyError> {
        let (Some(before), Purpose::Refresh { held, .. }) = (self.before_class(class)?, &self.purpose) else { return Ok(None) };
        let wrong = || CeremonyError::OwnShareWrong;
        let public = PublicShares::of(before).map_err(|_| wrong())?;
        let share = held.share(class).filter(|share| share.holder() == self.own).ok_or_else(wrong)?;
        if share.verifying_share() != public.verifying_share(self.own) {
            return Err(wrong());
        }
        let verifying = |holder: HolderIndex| VerifyingShare::deserialize(&public.verifying_share(holder)).map_err(|_| wrong());
        let key = VerifyingKey::deserialize(&public.public_key()).map_err(|_| wrong())?;
        let all = self.participants.iter().map(|holder| Ok((identifier(*holder)?, verifying(*holder)?)));
        let all: BTreeMap<Identifier, VerifyingShare> = all.collect::<Result<_, CeremonyError>>()?;
        let signing = SigningShare::deserialize(share.to_bytes().as_slice()).map_err(|_| wrong())?;
        let own = KeyPackage::new(identifier(self.own)?, signing, verifying(self.own)?, key, self.threshold);
        Ok(Some((PublicKeyPackage::new(all, key, Some(self.threshold)), own)))
    }

    fn blame(&self, error: &Error, what: &'static str, class: KeyClass) -> CeremonyError {
        let culprits = error.culprits();
        let holder = self.participants.iter().find(|holder| identifier(**holder).is_ok_and(|of| culprits.contains(&of)));
        holder.map_or(CeremonyError::Unsound, |holder| CeremonyError::Wrong { holder: *holder, what, class })
    }
}

pub(super) fn decode(bytes: &[u8]) -> Option<RistrettoPoint> {
    CompressedRistretto::from_slice(bytes).ok()?.decompress()
}

pub(super) fn identifier(holder: HolderIndex) -> Result<Identifier, CeremonyError> {
    Identifier::try_from(holder.get()).map_err(|_| CeremonyError::Unsound)
}

pub(super) fn share_of(holder: HolderIndex, share: &SigningShare) -> Result<KeyShare, CeremonyError> {
    let encoded = Zeroizing::new(share.serialize());
    let mut bytes = Zeroizing::new([0; SCALAR_BYTES]);
    if encoded.len() != SCALAR_BYTES {
        return Err(CeremonyError::Unsound);
    }
    bytes.copy_from_slice(&encoded);
    KeyShare::new(holder, &bytes).map_err(|_| CeremonyError::Unsound)
}

/// Byte strings one after the other, each behind its length in two bytes, big-endian.
#[derive(Default)]
struct Parts(Zeroizing<Vec<u8>>);

impl Parts {
    fn push(&mut self, part: &[u8]) {
        // A buffer that grows leaves secret bytes behind: what it will hold at most is a few kilobytes.
        if self.0.capacity() == 0 {
            self.0.reserve_exact(4_096);
        }
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(part);
    }
}

/// As many byte strings as there are classes, and nothing else.
fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::with_capacity(KeyClass::ALL.len());
    for _ in KeyClass::ALL {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        parts.push(part);
        bytes = rest;
    }
    bytes.is_empty().then_some(parts)
}
