//! What a member does that holds a share of a key: it evaluates what other members blinded, within their budgets.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::blocking::{Panicked, Turns, off_thread};
use super::evaluation::{EvaluationAnswer, EvaluationRequest};
use super::keeping::{ShareBook, VaultError};
use crate::domain::{Charge, Charged, Clock, Entropy, HolderIndex, KeyId, MemberId, RosterKey, Sharing, Timestamp};
use crate::feed::{EvaluationReceipt, SigningKey};
use crate::membership::Directory;
use crate::pseudonym::toprf::{MAX_BATCH, Quorum, ToprfError, padded};
use crate::store::{Store, StoreError};

/// Elements of the batches that checks of one seller need: a few milliseconds' work.
const SMALL_BATCH: usize = 32;

/// Evaluates for other members.
pub struct KeyHolder {
    store: Arc<Store>,
    directory: Arc<Directory>,
    shares: Arc<ShareBook>,
    feed_key: Arc<SigningKey>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// One evaluation a core: more would only wait for one another.
    cores: Turns,
    /// As many of the large batches, which queue here, so that a small one, of a check that somebody waits for, queues behind one of
    /// them at most and not behind what a night's submissions need.
    bulk: Turns,
}

/// Why nothing was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderRefusal {
    /// Whoever asks takes no part.
    #[error("this member takes no part in the alliance")]
    NotAMember,
    /// There is no such shared key, or it is not in use.
    #[error("the roster of this holder has no shared key {0} in use; compare rosters")]
    KeyUnknown(KeyId),
    /// This member holds no share of it.
    #[error("this member is no holder of key {0}; compare rosters")]
    NotAHolder(KeyId),
    /// The share of that generation is not here.
    #[error("this holder has the shares of generation {held}; ask for that")]
    GenerationOther {
        /// The one that it has.
        held: u32,
    },
    /// The holder lost its share, or has another one than the roster says.
    #[error("this holder has not its share of key {0}; the others are asked to repair it")]
    ShareMissing(KeyId),
    /// A quorum or batch that is none.
    #[error(transparent)]
    Invalid(#[from] ToprfError),
    /// The member's budget does not suffice.
    #[error("{spent} of {budget} evaluations of the day are used, too many for this request; it renews at {renews_at}")]
    OverBudget {
        /// Without this request.
        spent: u64,
        /// For the day.
        budget: u64,
        /// When it renews.
        renews_at: Timestamp,
    },
    /// Another request had the same name.
    #[error("another request had this name; give each its own, 16 random bytes")]
    RequestReused,
    /// Nothing can be charged now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its shares cannot be read now.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A fault of the program.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl HolderRefusal {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAMember => "NOT_A_MEMBER",
            Self::KeyUnknown(_) => "KEY_UNKNOWN",
            Self::NotAHolder(_) => "NOT_A_HOLDER",
            Self::GenerationOther { .. } => "SHARE_GENERATION_OTHER",
            Self::ShareMissing(_) => "SHARE_MISSING",
            Self::Invalid(error) => error.code(),
            Self::OverBudget { .. } => "EVALUATION_BUDGET_SPENT",
            Self::RequestReused => "REQUEST_REUSED",
            Self::Store(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Panicked(panicked) => panicked.code(),
        }
    }
}

impl KeyHolder {
    /// The holder of `directory`'s member.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        directory: Arc<Directory>,
        shares: Arc<ShareBook>,
        feed_key: Arc<SigningKey>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (cores, bulk) = (Turns::default(), Turns::default());
        Self { store, directory, shares, feed_key, clock, entropy, cores, bulk }
    }

    /// What all holders said of the shares that this member has in use; `None` where the roster says it.
    ///
    /// # Errors
    /// [`HolderRefusal::Vault`], [`HolderRefusal::Panicked`].
    pub async fn sharing(&self, key: &KeyId) -> Result<Option<Bytes>, HolderRefusal> {
        let (book, key) = (self.shares.clone(), key.clone());
        Ok(off_thread(move || book.sharing(&key)).await??)
    }

    /// Evaluates for `member`. What it asks is charged, durably, before anything is computed; the same request again is not charged.
    ///
    /// # Errors
    /// [`HolderRefusal`]; nothing was computed then.
    pub async fn evaluate(&self, member: &MemberId, request: EvaluationRequest) -> Result<EvaluationAnswer, HolderRefusal> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        if !roster.is_active(member) {
            return Err(HolderRefusal::NotAMember);
        }
        let in_use = |key: &&RosterKey| key.state.is_in_use() && key.id == request.key;
        let unknown = || HolderRefusal::KeyUnknown(request.key.clone());
        let listed = roster.keys.iter().find(in_use).ok_or_else(unknown)?;
        let sharing = listed.sharing.as_ref().ok_or_else(unknown)?;
        let holder = sharing.index_of(self.directory.member());
        let holder = holder.ok_or_else(|| HolderRefusal::NotAHolder(request.key.clone()))?;
        let quorum = quorum(sharing, holder, &request)?;
        let share = match self.shares.share(listed, request.class, request.generation)? {
            (Some(share), _) if share.holder() == holder => share,
            (None, Some(held)) if held != request.generation => return Err(HolderRefusal::GenerationOther { held }),
            _ => return Err(HolderRefusal::ShareMissing(request.key.clone())),
        };

        let asked = request.digest(member);
        let now = self.clock.now();
        let day = u32::try_from(now.unix_day()).unwrap_or(0);
        let budget = roster.policy.evaluations.budget(member, request.class);
        let charge = Charge {
            member: member.clone(),
            key: request.key.clone(),
            class: request.class,
            day,
            count: request.count(),
            budget,
            request: request.request,
            digest: asked.0,
        };
        let spent = match self.store.charge(charge).await? {
            Charged::Granted { spent } => spent,
            Charged::Over { spent } => {
                let renews_at = Timestamp::from_unix_day(day.saturating_add(1));
                return Err(HolderRefusal::OverBudget { spent, budget, renews_at });
            }
            Charged::Reused => return Err(HolderRefusal::RequestReused),
        };
        let request = Arc::new(request);
        let (batch, entropy) = (request.clone(), self.entropy.clone());
        let verifying = share.verifying_share();
        let bulk = if batch.blinded.len() > SMALL_BATCH { Some(self.bulk.next().await?) } else { None };
        let evaluate = move || {
            let _bulk = bulk;
            share.evaluate(&quorum, &batch.blinded, &*entropy)
        };
        let evaluation = self.cores.run(evaluate).await??;
        let receipt = request.receipt(self.directory.member(), member, verifying, &evaluation);
        let receipt = EvaluationReceipt { day, spent, ..receipt };
        let receipt = receipt.sign(self.directory.alliance(), &self.feed_key);
        Ok(EvaluationAnswer { evaluation, receipt })
    }
}

/// The quorum that is asked for, where it is one of the key's, has this holder, and the batch has one of the sizes.
fn quorum(sharing: &Sharing, holder: HolderIndex, request: &EvaluationRequest) -> Result<Quorum, ToprfError> {
    let listed: BTreeSet<HolderIndex> = sharing.holders.iter().map(|holder| holder.index).collect();
    if !request.quorum.contains(&holder) || !request.quorum.iter().all(|index| listed.contains(index)) {
        return Err(ToprfError::QuorumInvalid);
    }
    let given = request.blinded.len();
    match padded(given) {
        Some(wanted) if given == wanted => Quorum::new(request.quorum.clone(), sharing.threshold),
        wanted => Err(ToprfError::CountWrong { given, wanted: wanted.unwrap_or(MAX_BATCH) }),
    }
}
