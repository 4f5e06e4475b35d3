//! Where the nodes of a [`World`](super::world::World) find each other's key holders, and where some of these misbehave.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{HolderIndex, KeyClass, KeyId, MemberId};
use crate::feed::SigningKey;
use crate::pseudonym::HeldShares;
use crate::pseudonym::toprf::KeyShare;
use crate::service::{EvaluationAnswer, EvaluationRequest, HolderError, KeyHolder, KeyHolders, KeyShares};
use async_trait::async_trait;
use parking_lot::Mutex;

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
}

/// A holder, and what its member signs with.
type Present = (Arc<KeyHolder>, Arc<SigningKey>);

#[derive(Default)]
pub(crate) struct Hall {
    holders: Mutex<BTreeMap<MemberId, Present>>,
    manners: Mutex<BTreeMap<MemberId, Manner>>,
    last: Mutex<BTreeMap<MemberId, EvaluationAnswer>>,
    asked: Mutex<Vec<(MemberId, EvaluationRequest)>>,
}

impl Hall {
    pub(crate) fn enter(&self, member: MemberId, holder: Arc<KeyHolder>, key: Arc<SigningKey>) {
        self.holders.lock().insert(member, (holder, key));
    }

    pub(crate) fn behave(&self, member: &str, manner: Option<Manner>) {
        let member: MemberId = member.parse().expect("valid");
        match manner {
            Some(manner) => drop(self.manners.lock().insert(member, manner)),
            None => drop(self.manners.lock().remove(&member)),
        }
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
        let manner = self.hall.manners.lock().get(holder).copied();
        let down = || HolderError::failed("PEER_UNREACHABLE", "nobody is there".into());
        let (found, key) = self.hall.holders.lock().get(holder).cloned().ok_or_else(down)?;
        if manner == Some(Manner::Down) {
            return Err(down());
        }
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
                let receipt = request.receipt(holder, &self.member, &evaluation);
                let receipt = receipt.sign(&"alliance.example".parse().expect("valid"), &key);
                EvaluationAnswer { evaluation, receipt }
            }
            Some(Manner::Down | Manner::Slow) | None => answer,
        })
    }
}

/// The shares of a member, which has none until it is given some.
#[derive(Default)]
pub(crate) struct Chest(Mutex<Option<HeldShares>>);

impl Chest {
    pub(crate) fn put(&self, held: Option<HeldShares>) {
        *self.0.lock() = held;
    }
}

impl KeyShares for Chest {
    fn share(&self, _: &KeyId, class: KeyClass, generation: u32, _: HolderIndex) -> Option<KeyShare> {
        self.0.lock().as_ref().filter(|held| held.generation() == generation)?.share(class).cloned()
    }
}
