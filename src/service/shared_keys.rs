//! Pseudonyms under shared keys: a node asks the holders, and believes none of them.
//!
//! The quorum is of those holders that answered fastest lately. Where one fails, or its answer does not verify, another takes its
//! place; where one is slow, another quorum is asked beside it, and whichever is whole first counts. A quorum that changes is asked
//! anew, because every holder computes with its coefficient in the quorum. Where holders have made their shares anew, the node learns of
//! it when one of them refuses the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::blocking::off_thread;
use super::evaluation::{EvaluationAnswer, EvaluationRequest, HolderError, KeyHolders};
use super::holder_board::HolderBoard;
use super::holder_evidence::{EvidenceShelf, HolderEvidence};
use super::keeping::newest;
use crate::domain::limits::{HEDGE_AFTER, HOLDER_TIMEOUT, MAX_BATCHES_IN_FLIGHT};
use crate::domain::{
    Clock, Entropy, HolderIndex, KeyClass, KeyId, MemberId, Pseudonym, RosterKey, SharedGeneration, Timestamp,
};
use crate::membership::Directory;
use crate::pseudonym::toprf::{Blinding, ELEMENT_BYTES, MAX_BATCH, Quorum, ToprfError, Verified};
use crate::pseudonym::{CanonicalIdentifier, Holders, PseudonymCache, PseudonymError, PseudonymScheme, SharedKey};

/// How many times as long as it usually takes a holder may take before it is slow.
const SLOW: u32 = 4;
/// How often a batch is asked anew because the holders have newer shares: they make them once a month.
const GENERATIONS_TRIED: usize = 3;

/// Asks key holders on behalf of a node.
pub struct HolderDesk {
    asking: Arc<Asking>,
}

struct Asking {
    directory: Arc<Directory>,
    holders: Arc<dyn KeyHolders>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    shelf: Arc<dyn EvidenceShelf>,
    board: Arc<HolderBoard>,
    /// What was asked lately.
    cache: PseudonymCache,
    /// Shares newer than those that the roster knows of, and what the holders signed of them.
    newer: Mutex<BTreeMap<KeyId, (SharedGeneration, Bytes)>>,
    /// One asks for newer shares, and the others wait for what it learns.
    learning: tokio::sync::Mutex<()>,
}

impl HolderDesk {
    /// Asks through `holders`, which are chosen by `board`; what shows that one of them lied is kept on `shelf`.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        holders: Arc<dyn KeyHolders>,
        board: Arc<HolderBoard>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        shelf: Arc<dyn EvidenceShelf>,
        cache: PseudonymCache,
    ) -> Self {
        Self {
            asking: Arc::new(Asking {
                directory,
                holders,
                entropy,
                clock,
                shelf,
                board,
                cache,
                newer: Mutex::default(),
                learning: tokio::sync::Mutex::default(),
            }),
        }
    }
}

impl Holders for HolderDesk {
    fn scheme(&self, key: &RosterKey) -> Result<Box<dyn PseudonymScheme>, PseudonymError> {
        let roster = self.asking.directory.roster().note().clone();
        let known = Known { key: SharedKey::of(key, None)?, note: None, roster };
        let scheme = SharedScheme { listed: key.clone(), known: ArcSwap::from_pointee(known), asking: self.asking.clone() };
        scheme.renew();
        Ok(Box::new(scheme))
    }
}

/// A shared key with shares of one generation.
struct Known {
    key: SharedKey,
    /// What the holders signed of them; `None` where the roster says it.
    note: Option<Bytes>,
    /// That roster, as signed note.
    roster: Bytes,
}

/// Pseudonyms under one shared key.
struct SharedScheme {
    /// What the roster says of it.
    listed: RosterKey,
    /// The newest shares that are known.
    known: ArcSwap<Known>,
    asking: Arc<Asking>,
}

impl fmt::Debug for SharedScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = &self.known.load().key;
        write!(f, "SharedScheme({}, {} of {})", known.id, known.threshold, known.holders.len())
    }
}

/// Why a batch came to nothing.
enum BatchError {
    /// The holders have shares of another generation; these are known now.
    Renewed,
    Failed(PseudonymError),
}

impl From<PseudonymError> for BatchError {
    fn from(error: PseudonymError) -> Self {
        Self::Failed(error)
    }
}

impl SharedScheme {
    /// Takes up the newest shares that are known.
    fn renew(&self) {
        let newer = self.asking.newer.lock().get(&self.listed.id).cloned();
        let Some((newer, note)) = newer.filter(|(newer, _)| newer.generation > self.known.load().key.generation) else {
            return;
        };
        // What is known was believed, hence of the same key.
        if let Ok(key) = SharedKey::of(&self.listed, Some(&newer)) {
            let roster = self.asking.directory.roster().note().clone();
            self.known.store(Arc::new(Known { key, note: Some(note), roster }));
        }
    }

    /// The pseudonyms of identifiers of one class. Holders that make their shares anew again and again are no holders.
    async fn batch(&self, class: KeyClass, identifiers: Arc<[CanonicalIdentifier]>) -> Result<Vec<Pseudonym>, PseudonymError> {
        for _ in 0..GENERATIONS_TRIED {
            let batch = Batch { listed: &self.listed, known: self.known.load_full(), class, asking: self.asking.clone() };
            match batch.pseudonyms(identifiers.clone()).await {
                Ok(pseudonyms) => return Ok(pseudonyms),
                Err(BatchError::Renewed) => self.renew(),
                Err(BatchError::Failed(error)) => return Err(error),
            }
        }
        let (key, needed) = (self.listed.id.clone(), self.known.load().key.threshold);
        Err(PseudonymError::HoldersUnreachable { key, needed, reasons: "they make their shares anew again and again".into() })
    }
}

#[async_trait]
impl PseudonymScheme for SharedScheme {
    async fn pseudonyms(&self, identifiers: &[CanonicalIdentifier]) -> Result<Vec<Pseudonym>, PseudonymError> {
        let mut by_class: BTreeMap<KeyClass, Vec<usize>> = BTreeMap::new();
        let mut pseudonyms = vec![Pseudonym([0; 32]); identifiers.len()];
        for (place, identifier) in identifiers.iter().enumerate() {
            if let Some(known) = self.asking.cache.find(&self.listed.id, identifier) {
                pseudonyms[place] = known;
                continue;
            }
            by_class.entry(identifier.kind().key_class()).or_default().push(place);
        }
        let batch = |(class, places): (KeyClass, Vec<usize>)| {
            let batch: Arc<[CanonicalIdentifier]> = places.iter().map(|place| identifiers[*place].clone()).collect();
            async move { Ok::<_, PseudonymError>((places, self.batch(class, batch).await?)) }
        };
        let parts = by_class.into_iter().flat_map(|(class, places)| {
            let parts: Vec<_> = places.chunks(MAX_BATCH).map(|part| (class, part.to_vec())).collect();
            parts
        });
        let made: Vec<(Vec<usize>, Vec<Pseudonym>)> =
            stream::iter(parts.map(batch).collect::<Vec<_>>()).buffer_unordered(MAX_BATCHES_IN_FLIGHT).try_collect().await?;
        for (place, pseudonym) in made.into_iter().flat_map(|(places, made)| places.into_iter().zip(made)) {
            self.asking.cache.put(&self.listed.id, &identifiers[place], pseudonym);
            pseudonyms[place] = pseudonym;
        }
        Ok(pseudonyms)
    }
}

/// Identifiers of one class that go to the holders together.
struct Batch<'b> {
    listed: &'b RosterKey,
    known: Arc<Known>,
    class: KeyClass,
    asking: Arc<Asking>,
}

/// A quorum that is being asked.
struct Attempt {
    quorum: Quorum,
    /// Holders whose answers are there.
    answered: Arc<Mutex<BTreeSet<HolderIndex>>>,
}

impl Batch<'_> {
    async fn pseudonyms(&self, identifiers: Arc<[CanonicalIdentifier]>) -> Result<Vec<Pseudonym>, BatchError> {
        let entropy = self.asking.entropy.clone();
        let blinded = off_thread(move || Blinding::of(&identifiers, &*entropy)).await.map_err(|_| PseudonymError::Panicked)?;
        let blinding = Arc::new(blinded.map_err(|error| self.unsound(error))?);
        let (mut failed, mut running, mut hedged) = (BTreeMap::new(), FuturesUnordered::new(), false);
        let mut asked = Vec::new();
        let first = self.choose(&BTreeSet::new()).ok_or_else(|| self.unreachable(&failed))?;
        let patience = self.patience(&first);
        running.push(self.ask(&blinding, first, &mut asked));
        loop {
            let done = tokio::select! {
                Some(done) = running.next() => done,
                () = sleep(patience), if !hedged => {
                    hedged = true;
                    let answered: BTreeSet<HolderIndex> = asked.iter().flat_map(|a: &Attempt| a.answered.lock().clone()).collect();
                    let slow = asked.iter().flat_map(|attempt| attempt.quorum.holders()).filter(|holder| !answered.contains(holder));
                    let without = failed.keys().chain(slow).copied().collect();
                    if let Some(other) = self.choose(&without) {
                        running.push(self.ask(&blinding, other, &mut asked));
                    }
                    continue;
                }
            };
            match done {
                Ok((quorum, verified)) => {
                    let finished = off_thread(move || blinding.finish(&quorum, &verified)).await;
                    return Ok(finished.map_err(|_| PseudonymError::Panicked)?.map_err(|error| self.unsound(error))?);
                }
                Err((holder, error)) => {
                    if error.is_of_other_generation() && self.asking.learn(self.listed, self.known.key.generation).await {
                        return Err(BatchError::Renewed);
                    }
                    if let Some(member) = self.known.key.holders.get(&holder) {
                        self.asking.board.note_failure(member, &error);
                    }
                    failed.insert(holder, error);
                    if running.is_empty() {
                        let next = self.choose(&failed.keys().copied().collect()).ok_or_else(|| self.unreachable(&failed))?;
                        running.push(self.ask(&blinding, next, &mut asked));
                    }
                }
            }
        }
    }

    /// The holders that answered fastest lately, without those of `without`; `None` where they are too few.
    fn choose(&self, without: &BTreeSet<HolderIndex>) -> Option<Quorum> {
        let holders = self.known.key.holders.iter().filter(|(index, _)| !without.contains(index));
        let mut holders: Vec<(HolderIndex, &MemberId)> = holders.map(|(index, member)| (*index, member)).collect();
        self.asking.board.rank(&mut holders);
        let chosen = holders.into_iter().take(self.known.key.threshold.into()).map(|(index, _)| index).collect();
        Quorum::new(chosen, self.known.key.threshold).ok()
    }

    /// How long a quorum is waited for alone. Where all are slow another one would only make them slower.
    fn patience(&self, quorum: &Quorum) -> Duration {
        let members = quorum.holders().iter().filter_map(|holder| self.known.key.holders.get(holder));
        HEDGE_AFTER.max(self.asking.board.slowest(members) * SLOW)
    }

    /// Asks a quorum; gives what all of it answered, or who failed first.
    fn ask(
        &self,
        blinding: &Arc<Blinding>,
        quorum: Quorum,
        asked: &mut Vec<Attempt>,
    ) -> impl Future<Output = Result<(Quorum, Vec<Verified>), (HolderIndex, HolderError)>> + Send + use<> {
        let answered = Arc::new(Mutex::new(BTreeSet::new()));
        asked.push(Attempt { quorum: quorum.clone(), answered: answered.clone() });
        let (known, class, asking, blinding) = (self.known.clone(), self.class, self.asking.clone(), blinding.clone());
        async move {
            let one = |holder: HolderIndex| {
                let asking = asking.ask_one(&known, class, &blinding, &quorum, holder);
                let answered = &answered;
                async move {
                    let verified = asking.await.map_err(|error| (holder, error))?;
                    answered.lock().insert(holder);
                    Ok(verified)
                }
            };
            let verified = future::try_join_all(quorum.holders().iter().copied().map(one)).await?;
            Ok((quorum, verified))
        }
    }

    fn unsound(&self, error: ToprfError) -> PseudonymError {
        PseudonymError::SharesInconsistent { key: self.known.key.id.clone(), error }
    }

    fn unreachable(&self, failed: &BTreeMap<HolderIndex, HolderError>) -> PseudonymError {
        let renewals = failed.values().filter_map(|error| match error {
            HolderError::OverBudget { renews_at } => Some(*renews_at),
            HolderError::Failed { .. } | HolderError::Wrong { .. } => None,
        });
        let renewals: Vec<Timestamp> = renewals.collect();
        let key = self.known.key.id.clone();
        // With those that are only out of budget the quorum would be whole.
        let others = failed.len() - renewals.len();
        match renewals.into_iter().max() {
            Some(renews_at) if self.known.key.holders.len() - others >= usize::from(self.known.key.threshold) => {
                PseudonymError::BudgetSpent { key, class: self.class, renews_at }
            }
            _ => {
                let name =
                    |holder: &HolderIndex| self.known.key.holders.get(holder).map(ToString::to_string).unwrap_or_default();
                let reasons = failed.iter().map(|(holder, error)| format!("{}: {}", name(holder), error.code()));
                let reasons = reasons.collect::<Vec<_>>().join(", ");
                PseudonymError::HoldersUnreachable { key, needed: self.known.key.threshold, reasons }
            }
        }
    }
}

impl Asking {
    /// Asks the holders of a key for shares newer than those of `generation`; whether there are any.
    async fn learn(&self, listed: &RosterKey, generation: u32) -> bool {
        let _one = self.learning.lock().await;
        let is_newer = || self.newer.lock().get(&listed.id).is_some_and(|(known, _)| known.generation > generation);
        if is_newer() {
            return true;
        }
        let signed = self.directory.roster();
        let holders = listed.sharing.iter().flat_map(|sharing| &sharing.holders).map(|holder| &holder.member);
        if let Some((said, note)) = newest(&*self.holders, signed.roster(), listed, holders).await {
            let mut newer = self.newer.lock();
            let known = newer.get(&listed.id).map(|(known, _)| known.generation);
            if known.is_none_or(|known| known < said.generation) {
                tracing::info!(key = %listed.id, generation = said.generation, "the holders of a key have made their shares anew");
                newer.insert(listed.id.clone(), (said, note));
            }
        }
        is_newer()
    }

    async fn ask_one(
        &self,
        known: &Arc<Known>,
        class: KeyClass,
        blinding: &Arc<Blinding>,
        quorum: &Quorum,
        holder: HolderIndex,
    ) -> Result<Verified, HolderError> {
        let (failed, key) = (HolderError::failed, &known.key);
        let shares = key.shares(class).ok_or_else(|| failed("KEY_UNKNOWN", "it has no such class".into()))?;
        let member = key.holders.get(&holder).ok_or_else(|| failed("KEY_UNKNOWN", "no such holder".into()))?;
        let mut request = EvaluationRequest {
            request: [0; 16],
            key: key.id.clone(),
            class,
            generation: key.generation,
            quorum: quorum.holders().to_vec(),
            blinded: blinding.encoded().to_vec(),
        };
        self.entropy.fill(&mut request.request).map_err(|error| failed("NO_ENTROPY", error.to_string()))?;
        let begun = self.clock.now();
        let answer = timeout(HOLDER_TIMEOUT, self.holders.evaluate(member, &request)).await;
        let answer = answer.map_err(|_| failed("HOLDER_TIMEOUT", format!("{member} did not answer in time")))??;
        self.board.note_answer(member, self.clock.now().since(begun));
        self.receipt(member, &request, shares.verifying_share(holder), &answer)?;
        let (known, blinding, quorum) = (known.clone(), blinding.clone(), quorum.clone());
        let (shelf, at) = (self.shelf.clone(), self.clock.now());
        let (asked, own) = (member.clone(), self.directory.member().clone());
        let verify = move || {
            let shares = known.key.shares(class).ok_or(ToprfError::QuorumInvalid)?;
            let verified = blinding.verify(&answer.evaluation, shares, &quorum, holder);
            if let Err(error) = &verified {
                let (sharing, roster) = (known.note.clone(), known.roster.clone());
                shelf.keep(&HolderEvidence { holder: asked, member: own, request, answer, sharing, roster, at }, *error);
            }
            verified
        };
        let verified = off_thread(verify).await.map_err(|panicked| failed(panicked.code(), panicked.to_string()))?;
        verified.map_err(|error| HolderError::Wrong {
            code: error.code(),
            detail: format!("{member} answered what does not verify: {error}"),
        })
    }

    /// Whether the holder signed what it answered, and that it did so with this share.
    fn receipt(
        &self,
        member: &MemberId,
        request: &EvaluationRequest,
        share: [u8; ELEMENT_BYTES],
        answer: &EvaluationAnswer,
    ) -> Result<(), HolderError> {
        let (signed, own) = (self.directory.roster(), self.directory.member());
        let expected = request.receipt(member, own, share, &answer.evaluation);
        let key = signed.roster().member(member).map(|listed| listed.feed_key);
        let opened = key.map(|key| expected.open(&answer.receipt, self.directory.alliance(), &key));
        match opened {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => {
                Err(HolderError::Wrong { code: "RECEIPT_WRONG", detail: format!("{member} did not sign what it answered") })
            }
        }
    }
}
