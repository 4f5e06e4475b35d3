//! Where the nodes of a [`World`](super::world::World) find each other's key holders, and where some of these misbehave.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::domain::{KeyId, MemberId};
use crate::feed::{CeremonyPart, Hash, Round, SigningKey, sign_note};
use crate::pseudonym::toprf::ToprfError;
use crate::service::{
    Ceremonies, CeremonyAnswer, CeremonyQuery, EvaluationAnswer, EvaluationRequest, EvidenceShelf, FellowHolders, HolderError,
    HolderEvidence, KeyHolder, KeyHolders, RepairAnswer, RepairQuery, ShareVault, Signed,
};

/// How a holder behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Down,
    Slow,
    /// Adds up wrong, and signs it.
    Lying,
    /// Gives the answer to another request.
    Replaying,
    /// Answers what another signed.
    Unsigned,
    /// Shows this member other commitments than the rest.
    TwoFaced(&'static str),
    /// Says that it saw other commitments of this one's than it did.
    Echoing(usize),
    /// Deals this member what is no share of its polynomial.
    Dealing(&'static str),
    /// Signs that something else came of it, and keeps to itself what all signed.
    Signing,
    /// Helps this member with other scalars than it committed to.
    Helping(&'static str),
    /// Hands this member another split than the other helper made.
    Framing(&'static str),
    /// Keeps to itself what all signed, shows of that to each what [`Hall::tell`] says, and claims to be at this generation at least.
    Hoarding(u32),
    /// Signs rightly what came of it, puts a line beside its signature, and keeps to itself what all signed.
    Spoiling,
}

/// A holder, and what its member signs with.
#[derive(Clone)]
pub(crate) struct Present {
    pub(crate) holder: Arc<KeyHolder>,
    pub(crate) ceremonies: Arc<Ceremonies>,
    pub(crate) key: Arc<SigningKey>,
}

#[derive(Default)]
pub(crate) struct Hall {
    holders: Mutex<BTreeMap<MemberId, Present>>,
    manners: Mutex<BTreeMap<MemberId, Manner>>,
    last: Mutex<BTreeMap<MemberId, EvaluationAnswer>>,
    asked: Mutex<Vec<(MemberId, EvaluationRequest)>>,
    evidence: Mutex<Vec<HolderEvidence>>,
    told: Mutex<BTreeMap<MemberId, Bytes>>,
}

impl EvidenceShelf for Hall {
    fn keep(&self, evidence: &HolderEvidence, _error: ToprfError) {
        self.evidence.lock().push(evidence.clone());
    }
}

impl Hall {
    pub(crate) fn enter(&self, member: MemberId, present: Present) {
        self.holders.lock().insert(member, present);
    }

    /// What a member does as a holder.
    pub(crate) fn holder(&self, member: &str) -> Present {
        self.holders.lock()[&member.parse::<MemberId>().expect("valid")].clone()
    }

    /// Who is there and answers, and how it behaves.
    fn present(&self, holder: &MemberId) -> Result<(Present, Option<Manner>), HolderError> {
        let manner = self.manners.lock().get(holder).copied();
        let found = self.holders.lock().get(holder).cloned().filter(|_| manner != Some(Manner::Down));
        let found = found.ok_or_else(|| HolderError::failed("PEER_UNREACHABLE", "nobody is there".into()))?;
        Ok((found, manner))
    }

    pub(crate) fn behave(&self, member: &str, manner: Option<Manner>) {
        let member: MemberId = member.parse().expect("valid");
        match manner {
            Some(manner) => drop(self.manners.lock().insert(member, manner)),
            None => drop(self.manners.lock().remove(&member)),
        }
    }

    /// What a member that hoards shows this one.
    pub(crate) fn tell(&self, member: &str, note: &Bytes) {
        self.told.lock().insert(member.parse().expect("valid"), note.clone());
    }

    /// What was kept as evidence since.
    pub(crate) fn evidence(&self) -> Vec<HolderEvidence> {
        std::mem::take(&mut *self.evidence.lock())
    }

    /// What was asked since, and of whom.
    pub(crate) fn asked(&self) -> Vec<(MemberId, EvaluationRequest)> {
        std::mem::take(&mut *self.asked.lock())
    }
}

/// The way of one member into the hall.
pub(crate) struct Door {
    pub(crate) hall: Arc<Hall>,
    pub(crate) member: MemberId,
}

#[async_trait]
impl KeyHolders for Door {
    async fn evaluate(&self, holder: &MemberId, request: &EvaluationRequest) -> Result<EvaluationAnswer, HolderError> {
        self.hall.asked.lock().push((holder.clone(), request.clone()));
        let (Present { holder: found, key, ceremonies }, manner) = self.hall.present(holder)?;
        if manner == Some(Manner::Slow) {
            std::future::pending::<()>().await;
        }
        let answer = found.evaluate(&self.member, request.clone()).await?;
        let earlier = self.hall.last.lock().insert(holder.clone(), answer.clone());
        Ok(match manner {
            Some(Manner::Replaying) => earlier.expect("asked before"),
            Some(Manner::Unsigned) => EvaluationAnswer { receipt: earlier.expect("asked before").receipt, ..answer },
            Some(Manner::Lying) => {
                let mut evaluation = answer.evaluation;
                evaluation.elements.swap(0, 1);
                let signed = ceremonies.directory.roster();
                let listed = signed.roster().keys.iter().find(|listed| listed.id == request.key).expect("listed");
                let share =
                    ceremonies.book.share(listed, request.class, request.generation).expect("readable").0.expect("held");
                let receipt = request.receipt(holder, &self.member, share.verifying_share(), &evaluation);
                let receipt = receipt.sign(&alliance(), &key);
                EvaluationAnswer { evaluation, receipt }
            }
            _ => answer,
        })
    }
}

#[async_trait]
impl FellowHolders for Door {
    async fn sharing(&self, holder: &MemberId, key: &KeyId) -> Result<Option<Bytes>, HolderError> {
        let (present, manner) = self.hall.present(holder)?;
        match manner {
            Some(Manner::Signing | Manner::Spoiling) => return Ok(None),
            Some(Manner::Hoarding(_)) => return Ok(self.hall.told.lock().get(&self.member).cloned()),
            _ => {}
        }
        Ok(present.holder.sharing(key).await?)
    }

    async fn ceremony(&self, holder: &MemberId, query: &CeremonyQuery) -> Result<CeremonyAnswer, HolderError> {
        let (present, manner) = self.hall.present(holder)?;
        let answer = present.ceremonies.ceremony(&self.member, query).await;
        let mut answer = answer.map_err(|error| HolderError::failed(error.code(), error.to_string()))?;
        let sign = |round, to: Option<&MemberId>, body: Zeroizing<Vec<u8>>| {
            let part = CeremonyPart { ceremony: Hash(query.ceremony.0), round, from: holder.clone(), to: to.cloned() };
            Signed { note: part.sign(&alliance(), &body, &present.key), body }
        };
        match manner {
            Some(Manner::TwoFaced(to)) if self.member.as_str() == to => {
                let shown = answer.commitments.map(|part| sign(Round::Commitments, None, turned(&part.body)));
                answer.commitments = shown;
            }
            Some(Manner::Echoing(place)) => {
                answer.echo = answer.echo.map(|mut part| {
                    part.body[place * 32] ^= 1;
                    sign(Round::Echo, None, part.body)
                });
            }
            Some(Manner::Dealing(to)) if self.member.as_str() == to => {
                answer.shares = answer.shares.map(|part| sign(Round::Shares, Some(&self.member), turned(&part.body)));
            }
            Some(Manner::Signing) => {
                answer.result = answer.result.map(|note| {
                    let text = String::from_utf8(note.to_vec()).expect("text");
                    let text = text.split_once("\n\n").expect("a note").0.replace(":1", ":9");
                    sign_note(&format!("{text}\n"), &format!("{}/{holder}", alliance()), &present.key)
                });
            }
            Some(Manner::Hoarding(generation)) => {
                answer.result = None;
                answer.generation = answer.generation.max(generation);
            }
            Some(Manner::Spoiling) => {
                let spoiled = |note: Bytes| [&note[..], "\u{2014} x/y AAAAAAAA\n".as_bytes()].concat().into();
                answer.result = answer.result.map(spoiled);
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn repair(&self, holder: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, HolderError> {
        let (present, manner) = self.hall.present(holder)?;
        let answer = present.ceremonies.help(&self.member, query).await;
        let mut answer = answer.map_err(|error| HolderError::failed(error.code(), error.to_string()))?;
        if matches!(manner, Some(Manner::Helping(to)) if self.member.as_str() == to) {
            answer.scalars = turned(&answer.scalars);
        }
        if matches!(manner, Some(Manner::Framing(to)) if self.member.as_str() == to) {
            let made_up = turned(&answer.splits[1].body);
            let part = CeremonyPart { ceremony: Hash([0; 32]), round: Round::Split, from: holder.clone(), to: None };
            answer.splits[1] = Signed { note: part.sign(&alliance(), &made_up, &present.key), body: made_up };
        }
        Ok(answer)
    }
}

fn alliance() -> crate::domain::AllianceName {
    "alliance.example".parse().expect("valid")
}

/// The parts of the classes in another order: each is what it was, and none is where it belongs.
fn turned(body: &[u8]) -> Zeroizing<Vec<u8>> {
    let (first, rest) = body.split_at(body.len() / 3);
    Zeroizing::new([rest, first].concat())
}

/// What a member keeps of its shares. It can be told to fail from one write on, as a process that is killed there.
#[derive(Default)]
pub(crate) struct Chest {
    kept: Mutex<BTreeMap<KeyId, Zeroizing<Vec<u8>>>>,
    writes: AtomicUsize,
    fails_at: Mutex<Option<usize>>,
}

impl Chest {
    /// The next `writes` succeed and no more; all, where none is said.
    pub(crate) fn fail_after(&self, writes: Option<usize>) {
        self.writes.store(0, Ordering::SeqCst);
        *self.fails_at.lock() = writes;
    }

    pub(crate) fn put(&self, key: &KeyId, record: Zeroizing<Vec<u8>>) {
        self.kept.lock().insert(key.clone(), record);
    }

    pub(crate) fn take(&self, key: &KeyId) -> Option<Zeroizing<Vec<u8>>> {
        self.kept.lock().remove(key)
    }

    /// All that is kept, as text.
    pub(crate) fn text(&self) -> String {
        self.kept.lock().values().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
    }
}

impl ShareVault for Chest {
    fn load(&self, key: &KeyId) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.kept.lock().get(key).cloned())
    }

    fn save(&self, key: &KeyId, record: &[u8]) -> io::Result<()> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        if self.fails_at.lock().is_some_and(|fails_at| write >= fails_at) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.kept.lock().insert(key.clone(), Zeroizing::new(record.to_vec()));
        Ok(())
    }

    fn keys(&self) -> io::Result<Vec<KeyId>> {
        Ok(self.kept.lock().keys().cloned().collect())
    }

    fn remove(&self, key: &KeyId) -> io::Result<()> {
        self.kept.lock().remove(key);
        Ok(())
    }
}
