//! One participant's way through a ceremony that makes shares.

use std::collections::BTreeMap;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::record::{Failed, Held, Record, Running};
use super::{CeremonyAnswer, Signed};
use crate::domain::{
    AllianceName, Entropy, EntropyError, HolderIndex, KeyHolder, KeyId, MemberId, Roster, SharedGeneration, Sharing, Timestamp,
};
use crate::feed::{CeremonyPart, Hash, Round, SigningKey, join_sharing, open_sharing, sha256, sign_sharing, verify_sharing};
use crate::pseudonym::HeldShares;
use crate::pseudonym::ceremony::{CeremonyError, Making, Purpose, Seed};

/// First line of what a ceremony is named by.
const PURPOSE: &str = "countermark shares v1";

/// What is to be made, as roster and record say it; the same at all participants.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) key: KeyId,
    pub(super) threshold: u16,
    /// All participants in the order of their places.
    pub(super) holders: Vec<KeyHolder>,
    /// This one's place.
    pub(super) own: HolderIndex,
    /// The shares that are made anew; `None` where the key is made.
    pub(super) base: Option<Held>,
    /// The generation from which on it may be.
    pub(super) least: u32,
}

/// Who this participant is.
pub(super) struct Seat<'s> {
    pub(super) alliance: &'s AllianceName,
    pub(super) member: &'s MemberId,
    pub(super) key: &'s SigningKey,
    pub(super) roster: &'s Roster,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing new; these are waited for.
    Waiting(Vec<MemberId>),
    /// There is more to do.
    Changed,
    /// All have signed: the shares are in use.
    Done,
}

impl Plan {
    /// For the key that is shared so.
    pub(super) fn of(key: &KeyId, sharing: &Sharing, own: HolderIndex, base: Option<Held>) -> Self {
        let least = base.as_ref().map_or(sharing.generation, |base| base.sharing.generation.saturating_add(1));
        Self { key: key.clone(), threshold: sharing.threshold, holders: sharing.in_order(), own, base, least }
    }

    /// The digest of what the participants agree on.
    pub(super) fn name(&self, alliance: &AllianceName, generation: u32) -> Hash {
        let holders: Vec<String> = self.holders.iter().map(|holder| format!("{}:{}", holder.member, holder.index)).collect();
        let base = self.base.as_ref().map_or_else(String::new, |base| base.sharing.generation.to_string());
        let head =
            format!("{PURPOSE}\n{alliance}\n{} {generation} {}\n{}\n{base}\n", self.key, self.threshold, holders.join(" "));
        let classes = self.base.iter().flat_map(|base| &base.sharing.classes).flat_map(|class| &class.polynomial);
        let polynomials: Vec<u8> = classes.flat_map(|coefficient| coefficient.0).collect();
        sha256(&[head.as_bytes(), &polynomials])
    }

    /// The ceremony of this plan that a record is at.
    pub(super) fn running<'r>(&self, alliance: &AllianceName, record: &'r Record) -> Option<&'r Running> {
        record.running.as_ref().filter(|running| running.ceremony == self.name(alliance, running.generation))
    }

    /// How many results of these participants are kept: others must not keep a new set of holders from beginning.
    pub(super) fn results(&self, record: &Record) -> usize {
        record.signed.iter().filter(|signed| signed.sharing.holders == self.holders).count()
    }

    /// Begins the ceremony where a record is at none of this plan, or at one of a generation that is too low.
    pub(super) fn begin(
        &self,
        alliance: &AllianceName,
        record: &mut Record,
        at_least: u32,
        entropy: &dyn Entropy,
    ) -> Result<bool, EntropyError> {
        if self.running(alliance, record).is_some_and(|running| running.generation >= at_least) {
            return Ok(false);
        }
        // After the last one there is none: a second result of it would be signed.
        let Some(after) = record.highest().map_or(Some(0), |highest| highest.checked_add(1)) else { return Ok(false) };
        let generation = at_least.max(self.least).max(after);
        record.running = Some(Running {
            generation,
            ceremony: self.name(alliance, generation),
            seed: Seed::new(entropy)?,
            commitments: BTreeMap::new(),
            echoed: false,
            shares: BTreeMap::new(),
            failed: None,
        });
        Ok(true)
    }

    fn making(&self, seed: &Seed) -> Making {
        let purpose = match &self.base {
            None => Purpose::Generate,
            Some(base) => Purpose::Refresh { held: base.shares.clone(), classes: base.sharing.classes.clone() },
        };
        Making {
            purpose,
            threshold: self.threshold,
            participants: self.holders.iter().map(|holder| holder.index).collect(),
            own: self.own,
            seed: seed.clone(),
        }
    }

    pub(super) fn others(&self) -> impl Iterator<Item = &KeyHolder> {
        self.holders.iter().filter(|holder| holder.index != self.own)
    }

    fn member(&self, place: HolderIndex) -> Option<&MemberId> {
        self.holders.iter().find(|holder| holder.index == place).map(|holder| &holder.member)
    }

    /// The digests of all commitments in the order of the places, from what this participant saw.
    fn echo(&self, own: &[u8], running: &Running) -> Vec<u8> {
        let seen = |holder: &KeyHolder| {
            let of = running.commitments.get(&holder.index).map(|part| part.body.as_slice());
            sha256(&[of.unwrap_or(own)]).0
        };
        self.holders.iter().flat_map(seen).collect()
    }

    /// Whether all others' parts of a round are there.
    fn is_whole(&self, kept: &BTreeMap<HolderIndex, Signed>) -> bool {
        self.others().all(|holder| kept.contains_key(&holder.index))
    }

    /// The parts that this participant may show `to`, as far as it is.
    pub(super) fn parts(&self, seat: &Seat<'_>, record: &Record, to: &MemberId) -> Result<CeremonyAnswer, CeremonyError> {
        let Some(running) = &record.running else { return Ok(CeremonyAnswer::default()) };
        let mut answer = CeremonyAnswer { generation: running.generation, ..CeremonyAnswer::default() };
        let ceremony = running.ceremony;
        let sign = |round, to: Option<&MemberId>, body: Zeroizing<Vec<u8>>| {
            let part = CeremonyPart { ceremony, round, from: seat.member.clone(), to: to.cloned() };
            Signed { note: part.sign(seat.alliance, &body, seat.key), body }
        };
        let making = self.making(&running.seed);
        let commitments = making.commitments()?;
        if self.is_whole(&running.commitments) && running.failed.is_none() {
            answer.echo = Some(sign(Round::Echo, None, Zeroizing::new(self.echo(&commitments, running))));
        }
        if running.echoed
            && running.failed.is_none()
            && let Some(holder) = self.others().find(|holder| holder.member == *to)
        {
            let mut shares = making.shares(&bodies(&running.commitments))?;
            answer.shares = shares.remove(&holder.index).map(|body| sign(Round::Shares, Some(to), body));
        }
        answer.commitments = Some(sign(Round::Commitments, None, Zeroizing::new(commitments)));
        answer.result = signed_at(&record.signed, running.generation)
            .map(|signed| sign_sharing(seat.alliance, &signed.sharing, seat.member, seat.key));
        Ok(answer)
    }

    /// Goes on with what the others answered. The record is to be kept before anything is shown of what has changed.
    pub(super) fn step(
        &self,
        seat: &Seat<'_>,
        record: &mut Record,
        answers: &BTreeMap<HolderIndex, CeremonyAnswer>,
        now: Timestamp,
    ) -> Step {
        let Some(running) = &mut record.running else { return Step::Waiting(Vec::new()) };
        if running.failed.is_some() {
            return Step::Waiting(Vec::new());
        }
        let signed = signed_at(&record.signed, running.generation);
        let advanced = match signed {
            Some(signed) => self.conclude(seat, signed, answers),
            None => self.advance(seat, running, answers, now),
        };
        match advanced {
            Ok(Advance::Waiting(missing)) => Step::Waiting(missing),
            Ok(Advance::Kept) => Step::Changed,
            Ok(Advance::Made(held)) => {
                record.signed.push(*held);
                Step::Changed
            }
            Ok(Advance::Complete(note)) => {
                let generation = running.generation;
                record.adopt(generation, note, now);
                Step::Done
            }
            Err(blame) => {
                running.failed = Some(Failed {
                    code: blame.code.to_owned(),
                    sentence: blame.sentence,
                    culprit: blame.culprit.and_then(|place| self.member(place)).cloned(),
                    at_ms: now.unix_ms(),
                });
                Step::Changed
            }
        }
    }

    /// The rounds up to this participant's own result.
    fn advance(
        &self,
        seat: &Seat<'_>,
        running: &mut Running,
        answers: &BTreeMap<HolderIndex, CeremonyAnswer>,
        now: Timestamp,
    ) -> Result<Advance, Blame> {
        let making = self.making(&running.seed);
        let mut part =
            CeremonyPart { ceremony: running.ceremony, round: Round::Commitments, from: seat.member.clone(), to: None };
        if !self.is_whole(&running.commitments) {
            let collected =
                self.collect(seat, &mut part, answers, |answer| answer.commitments.as_ref(), &mut running.commitments);
            return Ok(collected);
        }
        let commitments = bodies(&running.commitments);
        if !running.echoed {
            // What does not hold is seen before anything is dealt.
            making.shares(&commitments)?;
            part.round = Round::Echo;
            let mut echoes = BTreeMap::new();
            self.collect(seat, &mut part, answers, |answer| answer.echo.as_ref(), &mut echoes);
            self.compare(&self.echo(&making.commitments()?, running), &echoes)?;
            running.echoed = self.is_whole(&echoes);
            return Ok(if running.echoed { Advance::Kept } else { Advance::Waiting(self.lacking(&echoes)) });
        }
        if !self.is_whole(&running.shares) {
            (part.round, part.to) = (Round::Shares, Some(seat.member.clone()));
            return Ok(self.collect(seat, &mut part, answers, |answer| answer.shares.as_ref(), &mut running.shares));
        }
        let dealt = running.shares.iter().map(|(place, part)| (*place, part.body.clone())).collect();
        let made = making.finish(&commitments, &dealt)?;
        let shares = HeldShares::new(running.generation, made.shares).map_err(|_| CeremonyError::Unsound)?;
        let sharing = SharedGeneration {
            key: self.key.clone(),
            generation: running.generation,
            threshold: self.threshold,
            holders: self.holders.clone(),
            classes: made.classes,
        };
        Ok(Advance::Made(Box::new(Held { shares, sharing, note: None, since: now })))
    }

    /// Takes in what was not there yet. What is not rightly signed is not there.
    fn collect(
        &self,
        seat: &Seat<'_>,
        part: &mut CeremonyPart,
        answers: &BTreeMap<HolderIndex, CeremonyAnswer>,
        of: impl Fn(&CeremonyAnswer) -> Option<&Signed>,
        kept: &mut BTreeMap<HolderIndex, Signed>,
    ) -> Advance {
        let before = kept.len();
        for holder in self.others().filter(|holder| !kept.contains_key(&holder.index)).collect::<Vec<_>>() {
            let Some(given) = answers.get(&holder.index).and_then(&of) else { continue };
            part.from.clone_from(&holder.member);
            let key = seat.roster.member(&holder.member).map(|listed| listed.feed_key);
            let verified = key.map(|key| part.verify(seat.alliance, &given.note, &given.body, &key));
            match verified {
                Some(Ok(())) => drop(kept.insert(holder.index, given.clone())),
                Some(Err(error)) => {
                    tracing::warn!(member = %holder.member, code = error.code(), "a part of a key ceremony is not rightly signed");
                }
                None => {}
            }
        }
        if kept.len() > before { Advance::Kept } else { Advance::Waiting(self.lacking(kept)) }
    }

    fn lacking(&self, kept: &BTreeMap<HolderIndex, Signed>) -> Vec<MemberId> {
        let missing = self.others().filter(|holder| !kept.contains_key(&holder.index));
        missing.map(|holder| holder.member.clone()).collect()
    }

    /// Whether all saw what this participant saw.
    fn compare(&self, own: &[u8], echoes: &BTreeMap<HolderIndex, Signed>) -> Result<(), Blame> {
        for (from, echo) in echoes {
            let (ours, theirs) = (own.chunks(32), echo.body.chunks(32));
            let Some(place) = ours.zip(theirs).position(|(ours, theirs)| ours != theirs) else {
                if echo.body.len() == own.len() {
                    continue;
                }
                return Err(CeremonyError::Malformed { holder: *from, what: "an echo" }.into());
            };
            let name = |place: HolderIndex| self.member(place).map(ToString::to_string).unwrap_or_default();
            let of = self.holders.get(place).map(|holder| holder.index);
            let (from, of) = (*from, of.unwrap_or(*from));
            // Who it is cannot be told: of two one lies, and one that says it of itself may have lost its records.
            let sentence = format!(
                "{} saw other commitments of {} than this member did: one of the two shows two faces, or has lost its records",
                name(from),
                name(of)
            );
            return Err(Blame { culprit: None, code: "CEREMONY_ECHO_DIFFERS", sentence });
        }
        Ok(())
    }

    /// The last round: all sign what came of it.
    fn conclude(
        &self,
        seat: &Seat<'_>,
        signed: &Held,
        answers: &BTreeMap<HolderIndex, CeremonyAnswer>,
    ) -> Result<Advance, Blame> {
        let mut notes = vec![sign_sharing(seat.alliance, &signed.sharing, seat.member, seat.key)];
        let mut missing = Vec::new();
        for holder in self.others() {
            let given = answers.get(&holder.index).and_then(|answer| answer.result.clone());
            let key = seat.roster.member(&holder.member).map(|listed| listed.feed_key);
            let (Some(note), Some(key)) = (given, key) else {
                missing.push(holder.member.clone());
                continue;
            };
            match verify_sharing(seat.alliance, &signed.sharing, &holder.member, &key, &note) {
                Ok(true) => notes.push(note),
                Err(error) => {
                    let (member, code) = (&holder.member, error.code());
                    tracing::warn!(%member, code, %error, "a holder's word on what came of a key ceremony is not rightly signed");
                    missing.push(holder.member.clone());
                }
                Ok(false) => {
                    let sentence = format!("{} signed that something else came of it than this member computed", holder.member);
                    return Err(Blame { culprit: Some(holder.index), code: "CEREMONY_RESULT_DIFFERS", sentence });
                }
            }
        }
        if !missing.is_empty() {
            return Ok(Advance::Waiting(missing));
        }
        let joined = join_sharing(notes.iter().map(|note| &note[..])).ok_or(CeremonyError::Unsound)?;
        // What is put into use is what everybody else will believe.
        let feed_key = |member: &MemberId| seat.roster.member(member).map(|listed| listed.feed_key);
        match open_sharing(&joined, seat.alliance, feed_key) {
            Ok(said) if said == signed.sharing => Ok(Advance::Complete(joined)),
            Ok(_) | Err(_) => Err(CeremonyError::Unsound.into()),
        }
    }
}

/// What a round came to.
enum Advance {
    Waiting(Vec<MemberId>),
    Kept,
    Made(Box<Held>),
    Complete(Bytes),
}

/// Why it does not go on, and who is to blame.
struct Blame {
    culprit: Option<HolderIndex>,
    code: &'static str,
    sentence: String,
}

impl From<CeremonyError> for Blame {
    fn from(error: CeremonyError) -> Self {
        Self { culprit: error.culprit(), code: error.code(), sentence: error.to_string() }
    }
}

/// The result of a generation, where this member has signed it.
fn signed_at(signed: &[Held], generation: u32) -> Option<&Held> {
    signed.iter().find(|signed| signed.sharing.generation == generation)
}

fn bodies(parts: &BTreeMap<HolderIndex, Signed>) -> BTreeMap<HolderIndex, Vec<u8>> {
    parts.iter().map(|(place, part)| (*place, part.body.to_vec())).collect()
}
