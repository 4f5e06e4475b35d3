//! How a holder that has no share gets it from others, and how they help.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA512};
use futures_util::future;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{FellowHolders, RepairAnswer, RepairQuery, Signed};
use crate::domain::limits::{HOLDER_TIMEOUT, MAX_CEREMONY_PART_BYTES};
use crate::domain::{AllianceName, Entropy, GroupElement, HolderIndex, KeyClass, KeyId, MemberId, Roster, SharedGeneration};
use crate::feed::{CeremonyPart, Hash, Round, SigningKey, decimal, sha256};
use crate::pseudonym::HeldShares;
use crate::pseudonym::ceremony::{CeremonyError, Piece, Repair, Seed, Split};
use crate::pseudonym::toprf::{ELEMENT_BYTES, KeyShare, PublicShares, SCALAR_BYTES};

/// Why a share is not repaired.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RepairError {
    /// A helper did not answer as it should.
    #[error("{helper}: {sentence} ({code})")]
    Helper { helper: MemberId, code: String, sentence: String },
    /// What is asked for is no repair.
    #[error("this is no request for a share of this key that its holder signed")]
    Request,
    /// The arithmetic failed.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
}

/// A repair that a holder asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) key: KeyId,
    pub(super) generation: u32,
    pub(super) place: HolderIndex,
    /// As many as the threshold, in the order of their places.
    pub(super) helpers: BTreeSet<HolderIndex>,
    nonce: String,
}

impl Wanted {
    pub(super) fn new(
        key: KeyId,
        generation: u32,
        place: HolderIndex,
        helpers: BTreeSet<HolderIndex>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CeremonyError> {
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce).map_err(|_| CeremonyError::Unsound)?;
        Ok(Self { key, generation, place, helpers, nonce: hex::encode(nonce) })
    }

    /// `key generation place`, the helpers' places between commas, and 16 random bytes in hexadecimal, a line each.
    fn text(&self) -> String {
        let helpers: Vec<String> = self.helpers.iter().map(ToString::to_string).collect();
        format!("{} {} {}\n{}\n{}\n", self.key, self.generation, self.place, helpers.join(","), self.nonce)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        let place = |word: &str| HolderIndex::new(decimal(word)?);
        let wanted = Self {
            key: words.next()?.parse().ok()?,
            generation: decimal(words.next()?)?,
            place: place(words.next()?)?,
            helpers: lines.next()?.split(',').map(place).collect::<Option<_>>()?,
            nonce: lines.next().filter(|nonce| nonce.len() == 32)?.to_owned(),
        };
        (wanted.text() == text).then_some(wanted)
    }

    /// As it is sent.
    pub(super) fn query(&self, alliance: &AllianceName, member: &MemberId, key: &SigningKey) -> RepairQuery {
        let text = self.text();
        let note = asked(&text, member).sign(alliance, text.as_bytes(), key);
        RepairQuery { member: member.clone(), wanted: text.into(), note }
    }

    /// What a member asked for, where it did.
    pub(super) fn open(query: &RepairQuery, alliance: &AllianceName, roster: &Roster) -> Result<Self, RepairError> {
        let text = std::str::from_utf8(&query.wanted).map_err(|_| RepairError::Request)?;
        let key = roster.member(&query.member).map(|listed| listed.feed_key).ok_or(RepairError::Request)?;
        let part = asked(text, &query.member);
        part.verify(alliance, &query.note, &query.wanted, &key).map_err(|_| RepairError::Request)?;
        Self::parse(text).ok_or(RepairError::Request)
    }
}

/// What is signed of a request, which its digest names.
fn asked(text: &str, member: &MemberId) -> CeremonyPart {
    CeremonyPart { ceremony: sha256(&[text.as_bytes()]), round: Round::Repair, from: member.clone(), to: None }
}

/// A repair with all that its parties know.
pub(super) struct Repairing<'r> {
    pub(super) alliance: &'r AllianceName,
    pub(super) roster: &'r Roster,
    pub(super) wanted: &'r Wanted,
    pub(super) query: &'r RepairQuery,
    /// The shares of which one is repaired.
    pub(super) sharing: &'r SharedGeneration,
    /// Who sits where.
    pub(super) holders: &'r BTreeMap<HolderIndex, MemberId>,
}

type Commitments = BTreeMap<HolderIndex, Vec<GroupElement>>;

impl Repairing<'_> {
    fn ceremony(&self) -> Hash {
        sha256(&[&self.query.wanted])
    }

    fn publics(&self) -> Result<Vec<(KeyClass, PublicShares)>, CeremonyError> {
        let of = |class: &crate::domain::SharedClass| {
            Ok((class.class, PublicShares::of(class).map_err(|_| CeremonyError::Unsound)?))
        };
        self.sharing.classes.iter().map(of).collect()
    }

    const fn repair<'p>(&'p self, class: KeyClass, public: &'p PublicShares) -> Repair<'p> {
        Repair { class, public, helpers: &self.wanted.helpers, place: self.wanted.place }
    }

    fn blame(&self, error: CeremonyError) -> RepairError {
        match error.culprit().and_then(|place| self.holders.get(&place)) {
            Some(helper) => {
                RepairError::Helper { helper: helper.clone(), code: error.code().to_owned(), sentence: error.to_string() }
            }
            None => error.into(),
        }
    }

    /// A helper's own splits, which follow from its shares and the request: asked again, it says the same again.
    pub(super) fn splits(&self, held: &HeldShares) -> Result<Vec<Split>, RepairError> {
        let split = |(class, public): (KeyClass, PublicShares)| {
            let share = held.share(class).ok_or(CeremonyError::OwnShareWrong)?;
            self.repair(class, &public).split(share, &seed(share, &self.ceremony()))
        };
        self.publics()?.into_iter().map(split).collect::<Result<_, _>>().map_err(Into::into)
    }

    /// What a helper committed to, signed.
    pub(super) fn sign_splits(&self, splits: &[Split], member: &MemberId, key: &SigningKey) -> Signed {
        let elements = splits.iter().flat_map(|split| &split.commitments).flat_map(|element| element.0);
        let body = Zeroizing::new(elements.collect::<Vec<u8>>());
        Signed { note: self.split_of(member).sign(self.alliance, &body, key), body }
    }

    fn split_of(&self, helper: &MemberId) -> CeremonyPart {
        CeremonyPart { ceremony: self.ceremony(), round: Round::Split, from: helper.clone(), to: None }
    }

    /// The piece of each class for one helper.
    pub(super) fn pieces(splits: &[Split], to: HolderIndex) -> Option<Zeroizing<Vec<u8>>> {
        let mut pieces = Zeroizing::new(Vec::with_capacity(splits.len() * SCALAR_BYTES));
        for split in splits {
            pieces.extend_from_slice(split.pieces.get(&to)?.as_slice());
        }
        Some(pieces)
    }

    /// That a helper signed what it is said to have committed to.
    fn verify_split(&self, place: HolderIndex, split: &Signed) -> Result<(), RepairError> {
        let helper = self.holders.get(&place).ok_or(RepairError::Request)?;
        let key = self.roster.member(helper).map(|listed| listed.feed_key).ok_or(RepairError::Request)?;
        let signed = self.split_of(helper).verify(self.alliance, &split.note, &split.body, &key);
        signed.map_err(|error| RepairError::Helper {
            helper: helper.clone(),
            code: error.code().to_owned(),
            sentence: "it did not sign the split of its share".to_owned(),
        })
    }

    /// What a helper committed to, by class, where it signed it and it is its part.
    fn read_split(&self, place: HolderIndex, split: &Signed) -> Result<Vec<Vec<GroupElement>>, RepairError> {
        self.verify_split(place, split)?;
        let helper = self.holders.get(&place).ok_or(RepairError::Request)?;
        let failed = |code: &str, sentence: &str| RepairError::Helper {
            helper: helper.clone(),
            code: code.to_owned(),
            sentence: sentence.to_owned(),
        };
        let count = self.wanted.helpers.len();
        if split.body.len() != KeyClass::ALL.len() * count * ELEMENT_BYTES || split.body.len() > MAX_CEREMONY_PART_BYTES {
            return Err(failed("CEREMONY_PART_MALFORMED", "it sent what cannot be read as a split of its share"));
        }
        let (elements, _) = split.body.as_chunks::<ELEMENT_BYTES>();
        let classes: Vec<Vec<GroupElement>> =
            elements.chunks(count).map(|of| of.iter().map(|e| GroupElement(*e)).collect()).collect();
        for ((class, public), commitments) in self.publics()?.iter().zip(&classes) {
            self.repair(*class, public).check_split(place, commitments).map_err(|error| self.blame(error))?;
        }
        Ok(classes)
    }

    /// What all helpers committed to, by class.
    fn commitments(&self, splits: &BTreeMap<HolderIndex, Signed>) -> Result<Vec<Commitments>, RepairError> {
        let mut by_class: Vec<Commitments> = KeyClass::ALL.iter().map(|_| BTreeMap::new()).collect();
        for (place, split) in splits {
            for (all, of) in by_class.iter_mut().zip(self.read_split(*place, split)?) {
                all.insert(*place, of);
            }
        }
        Ok(by_class)
    }

    /// What a helper gives the member: the sums of the pieces that all helpers gave it, and what they committed to.
    pub(super) fn answer(
        &self,
        own: HolderIndex,
        given: BTreeMap<HolderIndex, (Signed, Zeroizing<Vec<u8>>)>,
    ) -> Result<RepairAnswer, RepairError> {
        let mut pieces: Vec<BTreeMap<HolderIndex, Piece>> = KeyClass::ALL.iter().map(|_| BTreeMap::new()).collect();
        let mut splits = BTreeMap::new();
        for (place, (split, scalars)) in given {
            for (all, piece) in pieces.iter_mut().zip(self.scalars(place, &scalars)?) {
                all.insert(place, piece);
            }
            splits.insert(place, split);
        }
        let mut scalars = Zeroizing::new(Vec::with_capacity(KeyClass::ALL.len() * SCALAR_BYTES));
        let commitments = self.commitments(&splits)?;
        for (((class, public), pieces), commitments) in self.publics()?.iter().zip(&pieces).zip(&commitments) {
            let sum = self.repair(*class, public).sum(own, pieces, commitments).map_err(|error| self.blame(error))?;
            scalars.extend_from_slice(sum.as_slice());
        }
        Ok(RepairAnswer { splits: splits.into_values().collect(), scalars })
    }

    fn scalars(&self, place: HolderIndex, bytes: &[u8]) -> Result<Vec<Piece>, RepairError> {
        let malformed = || self.blame(CeremonyError::Malformed { holder: place, what: "scalars" });
        let (scalars, rest) = bytes.as_chunks::<SCALAR_BYTES>();
        let whole = rest.is_empty() && scalars.len() == KeyClass::ALL.len();
        if whole { Ok(scalars.iter().map(|scalar| Zeroizing::new(*scalar)).collect()) } else { Err(malformed()) }
    }

    /// The repaired shares, from what the helpers answered.
    pub(super) fn finish(&self, answers: &BTreeMap<HolderIndex, RepairAnswer>) -> Result<HeldShares, RepairError> {
        let mut splits: BTreeMap<HolderIndex, Signed> = BTreeMap::new();
        let mut sums: Vec<BTreeMap<HolderIndex, Piece>> = KeyClass::ALL.iter().map(|_| BTreeMap::new()).collect();
        let own_split = |of: &HolderIndex| {
            let place = self.wanted.helpers.iter().position(|helper| helper == of)?;
            answers.get(of)?.splits.get(place)
        };
        for (place, answer) in answers {
            let malformed = || self.blame(CeremonyError::Malformed { holder: *place, what: "splits" });
            if answer.splits.len() != self.wanted.helpers.len() {
                return Err(malformed());
            }
            for (of, split) in self.wanted.helpers.iter().zip(&answer.splits) {
                // What its maker has not signed, the one who hands it on has made up, unless the maker itself says so, too.
                let is_made_up = || own_split(of).is_none_or(|own| (&own.note, &own.body) != (&split.note, &split.body));
                self.verify_split(*of, split).map_err(|error| if is_made_up() { malformed() } else { error })?;
                match splits.get(of) {
                    Some(known) if known.body != split.body => {
                        return Err(self.blame(CeremonyError::Wrong {
                            holder: *of,
                            what: "two splits of one share",
                            class: KeyClass::LowEntropy,
                        }));
                    }
                    Some(_) => {}
                    None => drop(splits.insert(*of, split.clone())),
                }
            }
            for (all, sum) in sums.iter_mut().zip(self.scalars(*place, &answer.scalars)?) {
                all.insert(*place, sum);
            }
        }
        let commitments = self.commitments(&splits)?;
        let mut shares = BTreeMap::new();
        for (((class, public), sums), commitments) in self.publics()?.iter().zip(&sums).zip(&commitments) {
            let share = self.repair(*class, public).finish(sums, commitments).map_err(|error| self.blame(error))?;
            shares.insert(*class, share);
        }
        HeldShares::new(self.sharing.generation, shares).map_err(|_| CeremonyError::Unsound.into())
    }

    /// What other helpers give a helper.
    pub(super) async fn ask_helpers(
        &self,
        own: HolderIndex,
        fellows: &dyn FellowHolders,
    ) -> Result<BTreeMap<HolderIndex, (Signed, Zeroizing<Vec<u8>>)>, RepairError> {
        let others = self.wanted.helpers.iter().filter(|place| **place != own);
        let ask = |place: &HolderIndex| {
            let place = *place;
            async move {
                let helper = self.holders.get(&place).ok_or(RepairError::Request)?;
                let failed = |code: &str, sentence: String| RepairError::Helper {
                    helper: helper.clone(),
                    code: code.to_owned(),
                    sentence,
                };
                // In half the time that this helper has: so it is not this one that is taken for silent.
                let answer = timeout(HOLDER_TIMEOUT / 2, fellows.repair(helper, self.query)).await;
                let answer = answer.map_err(|_| failed("HOLDER_TIMEOUT", "it did not answer this helper in time".into()))?;
                let RepairAnswer { mut splits, scalars } = answer.map_err(|error| failed(error.code(), error.to_string()))?;
                let split = splits.pop().filter(|_| splits.is_empty());
                let split = split.ok_or_else(|| failed("CEREMONY_PART_MALFORMED", "it gave no split of its share".into()))?;
                Ok::<_, RepairError>((place, (split, scalars)))
            }
        };
        Ok(future::try_join_all(others.map(ask)).await?.into_iter().collect())
    }
}

/// What a helper's pieces of one class follow from. Nobody who does not have the share can tell it.
fn seed(share: &KeyShare, ceremony: &Hash) -> Seed {
    let mut context = Context::new(&SHA512);
    context.update(b"countermark repair seed v1\0");
    context.update(share.to_bytes().as_slice());
    context.update(&ceremony.0);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&context.finish().as_ref()[..32]);
    Seed::from_bytes(&seed)
}
