//! Whom to believe: what a peer shows against what is held.
//!
//! All of it reads the store and blocks. Nothing here writes, and nothing is concluded from a peer's word alone: a fork is a
//! [`ForkProof`] or it is none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::error::Complaint;
use super::{ForkParts, Heads, Misbehaviour};
use crate::domain::limits::MAX_FORKS_PER_FEED;
use crate::domain::{AllianceName, FeedId, FeedKey, MemberId, Seq};
use crate::feed::{
    BatchError, Checkpoint, CheckpointError, EntryBytes, ForkProof, ForkProofError, Frontier, Hash, Leaf, SignedCheckpoint,
    SignedRoster,
};
use crate::store::{FeedState, Import, Store, StoreError};

/// Opens checkpoints of feeds that this node may read, under one roster.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) alliance: AllianceName,
    pub(super) roster: Arc<SignedRoster>,
    pub(super) me: MemberId,
}

impl Opener {
    /// Verifies that the feed's member signed `note`.
    pub(super) fn open(&self, note: Bytes) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::open(note, &self.alliance, |feed| self.key_of(feed))
    }

    fn key_of(&self, feed: &FeedId) -> Option<FeedKey> {
        let roster = self.roster.roster();
        let readable = roster.may_read_feed(&self.me, feed);
        roster.member(&feed.member).filter(|_| readable).map(|member| member.feed_key)
    }

    /// Verifies evidence of a fork that came from a peer.
    pub(super) fn evidence(&self, parts: ForkParts) -> Result<Result<ForkProof, ForkProofError>, CheckpointError> {
        let (first, second) = (self.open(parts.first)?, self.open(parts.second)?);
        Ok(ForkProof::new(first, second, parts.frontier, parts.leaf_hashes))
    }
}

/// How a signed checkpoint stands to what is held.
#[derive(Debug)]
pub(super) enum Standing {
    /// It covers more than is held.
    Ahead,
    /// It is of the same history.
    Agrees,
    /// It and a checkpoint that is held contradict each other.
    Forked(Box<ForkProof>),
    /// It contradicts what is held, but there is no proof of it.
    Unproven(ForkProofError),
}

/// Compares `theirs` with what is held of its feed.
pub(super) fn compare(store: &Store, opener: &Opener, theirs: &SignedCheckpoint) -> Result<Standing, StoreError> {
    let Checkpoint { feed, size, root } = theirs.checkpoint();
    let Some(mine) = store.feed(feed) else {
        return Ok(if *size == Seq::ZERO { Standing::Agrees } else { Standing::Ahead });
    };
    if *size > mine.size {
        return Ok(Standing::Ahead);
    }
    if *size == mine.size && *root == mine.root {
        return Ok(Standing::Agrees);
    }
    let at = store.frontier_at(feed, *size)?.unwrap_or_else(Frontier::empty);
    if at.root() == *root {
        return Ok(Standing::Agrees);
    }
    let (note, frontier, leaves) = if *size == mine.size {
        (mine.checkpoint, Vec::new(), Vec::new())
    } else {
        let batch = store.batch_after(feed, *size)?;
        let (note, leaves) = batch.map_or_else(|| (mine.checkpoint, Vec::new()), |batch| (batch.checkpoint, batch.leaves));
        (note, at.hashes().to_vec(), leaves.iter().map(Leaf::hash).collect())
    };
    // An own note that no longer verifies was signed under a key that the roster has replaced: it proves nothing any more.
    let Ok(mine) = opener.open(note) else { return Ok(Standing::Unproven(ForkProofError::Unproven)) };
    Ok(match ForkProof::new(theirs.clone(), mine, frontier, leaves) {
        Ok(proof) => Standing::Forked(Box::new(proof)),
        Err(error) => Standing::Unproven(error),
    })
}

/// What a peer's heads come to.
#[derive(Default)]
pub(super) struct Findings {
    /// Sizes signed by the feeds' members.
    pub(super) signed: BTreeMap<FeedId, Seq>,
    /// Those of other members' feeds that are beyond what is held.
    pub(super) ahead: BTreeMap<FeedId, Seq>,
    /// Those of this node's own feeds that are beyond what is held.
    pub(super) behind: Vec<(FeedId, Seq)>,
    /// Feeds of the peer's own that it shows less of than it has signed.
    pub(super) stale: BTreeSet<FeedId>,
    /// Forks that were not known.
    pub(super) forks: Vec<ForkProof>,
    pub(super) complaints: Vec<Complaint>,
}

/// Judges what a peer showed. `once_signed` are the sizes of the peer's own feeds that it had signed before it was asked.
pub(super) fn judge(
    store: &Store,
    opener: &Opener,
    heads: Heads,
    once_signed: &BTreeMap<FeedId, Seq>,
) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let mine: HashMap<Bytes, (FeedId, Seq)> =
        store.feeds().into_iter().map(|head| (head.checkpoint, (head.feed, head.size))).collect();
    for note in heads.checkpoints {
        // A note that is held was verified before: in the usual case nothing is to be verified at all.
        match mine.get(&note) {
            Some((feed, size)) => drop(findings.signed.insert(feed.clone(), *size)),
            None => findings.judge_note(store, opener, note)?,
        }
    }
    let mut proofs: BTreeMap<FeedId, usize> = BTreeMap::new();
    for parts in heads.forks {
        let proof = match opener.evidence(parts) {
            Ok(Ok(proof)) => proof,
            Ok(Err(error)) => {
                findings.complain(Complaint::Evidence(error));
                continue;
            }
            Err(error) => {
                findings.complain(Complaint::Checkpoint(error));
                continue;
            }
        };
        let shown = proofs.entry(proof.feed().clone()).or_default();
        *shown += 1;
        match store.feed_state(proof.feed()) {
            _ if *shown > MAX_FORKS_PER_FEED => findings.complain(Complaint::Repeated),
            FeedState::Quarantined => {}
            _ => findings.forks.push(proof),
        }
    }
    let shown = |feed: &FeedId| findings.signed.get(feed).copied().unwrap_or_default();
    let stale = once_signed.iter().filter(|(feed, size)| shown(feed) < **size).map(|(feed, _)| feed.clone());
    findings.stale = stale.collect();
    if !findings.stale.is_empty() {
        findings.complain(Complaint::Stale);
    }
    Ok(findings)
}

impl Findings {
    fn judge_note(&mut self, store: &Store, opener: &Opener, note: Bytes) -> Result<(), StoreError> {
        let theirs = match opener.open(note) {
            Ok(theirs) => theirs,
            Err(error) => {
                self.complain(Complaint::Checkpoint(error));
                return Ok(());
            }
        };
        let Checkpoint { feed, size, .. } = theirs.checkpoint().clone();
        // Each feed once, so that a peer that keeps many old checkpoints of one cannot have all of them compared.
        if self.signed.contains_key(&feed) {
            self.complain(Complaint::Repeated);
            return Ok(());
        }
        self.signed.insert(feed.clone(), size);
        if store.feed_state(&feed) == FeedState::Quarantined {
            return Ok(());
        }
        match compare(store, opener, &theirs)? {
            Standing::Ahead if feed.member == opener.me => self.behind.push((feed, size)),
            Standing::Ahead => drop(self.ahead.insert(feed, size)),
            Standing::Agrees => {}
            Standing::Forked(proof) => self.forks.push(*proof),
            Standing::Unproven(error) => self.complain(Complaint::Evidence(error)),
        }
        Ok(())
    }

    /// One complaint of each code is as good as a thousand.
    fn complain(&mut self, complaint: Complaint) {
        if self.complaints.iter().all(|known| known.code() != complaint.code()) {
            self.complaints.push(complaint);
        }
    }
}

/// A batch as it came, with its checkpoint opened.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub(super) first: Seq,
    pub(super) leaves: Vec<Leaf>,
    pub(super) checkpoint: SignedCheckpoint,
}

impl Offered {
    /// Verifies all about a batch that can be told without the store.
    pub(super) fn open(
        opener: &Opener,
        feed: &FeedId,
        first: Seq,
        entries: Vec<Bytes>,
        erased: Vec<Hash>,
        checkpoint: Bytes,
    ) -> Result<Self, Misbehaviour> {
        let checkpoint = opener.open(checkpoint).map_err(Misbehaviour::Checkpoint)?;
        if checkpoint.checkpoint().feed != *feed {
            return Err(Misbehaviour::OtherFeed);
        }
        let (reached, signed) = (first.plus(entries.len()), checkpoint.checkpoint().size);
        if entries.is_empty() {
            return Err(Misbehaviour::Batch(BatchError::Empty));
        }
        if reached != signed {
            return Err(Misbehaviour::Batch(BatchError::SizeMismatch { reached, signed }));
        }
        Ok(Self { first, leaves: leaves(entries, erased)?, checkpoint })
    }
}

/// Entries as they came, each empty one an erased one whose leaf hash is the next of `erased`.
fn leaves(entries: Vec<Bytes>, erased: Vec<Hash>) -> Result<Vec<Leaf>, Misbehaviour> {
    let mut erased = erased.into_iter();
    let leaf = |bytes: Bytes| match if bytes.is_empty() { erased.next() } else { None } {
        Some(hash) => Ok(Leaf::Erased(hash)),
        None => EntryBytes::from_peer(bytes).map(Leaf::Entry).map_err(Misbehaviour::Entry),
    };
    entries.into_iter().map(leaf).collect()
}

/// What is to be done with a batch.
pub(super) enum Verdict {
    /// Store it.
    Take(Import),
    /// All of it is held; this is how its checkpoint stands to that.
    Held(Standing),
    /// Entries between what is held and its first are missing.
    Gap {
        /// Entries held.
        held: Seq,
    },
    /// It does not lead from what is held to its checkpoint: a fork, or entries that were tampered with.
    Mismatch(Box<Mismatch>),
    /// No batch that an honest node sends.
    Refuse(Misbehaviour),
}

/// What is at hand when entries do not hash to the signed root.
pub(super) struct Mismatch {
    /// The checkpoint at the end of what is held; `None` where nothing is.
    pub(super) mine: Option<Bytes>,
    /// Entries held.
    pub(super) held: Seq,
    /// The leaf hashes of the entries from there on.
    pub(super) leaf_hashes: Vec<Hash>,
    pub(super) error: BatchError,
}

/// Weighs a batch against what is held now. Where another source was faster, only the rest of it is taken.
pub(super) fn weigh(store: &Store, opener: &Opener, offered: &Offered) -> Result<Verdict, StoreError> {
    let signed = offered.checkpoint.checkpoint();
    let frontier = store.frontier(&signed.feed);
    let held = frontier.size();
    if offered.first > held {
        return Ok(Verdict::Gap { held });
    }
    if signed.size <= held {
        return Ok(Verdict::Held(compare(store, opener, &offered.checkpoint)?));
    }
    let skip = usize::try_from(held.since(offered.first)).unwrap_or(usize::MAX);
    let rest: Vec<Leaf> = offered.leaves.iter().skip(skip).cloned().collect();
    match Import::verify(&frontier, rest.clone(), offered.checkpoint.clone()) {
        Ok(import) => Ok(Verdict::Take(import)),
        Err(error @ BatchError::RootMismatch { .. }) => {
            let mine = store.feed(&signed.feed);
            if mine.as_ref().is_some_and(|mine| mine.size != held) {
                return weigh(store, opener, offered);
            }
            let leaf_hashes = rest.iter().map(Leaf::hash).collect();
            Ok(Verdict::Mismatch(Box::new(Mismatch { mine: mine.map(|mine| mine.checkpoint), held, leaf_hashes, error })))
        }
        Err(error) => Ok(Verdict::Refuse(Misbehaviour::Batch(error))),
    }
}

impl Mismatch {
    /// The proof of a fork, if that is what it is, given the peer's frontier at the size that is held.
    pub(super) fn prove(
        self,
        opener: &Opener,
        theirs: SignedCheckpoint,
        frontier: Vec<Hash>,
    ) -> Result<ForkProof, Misbehaviour> {
        let tampered = || Misbehaviour::Batch(self.error);
        let mine = self.mine.clone().and_then(|note| opener.open(note).ok()).ok_or_else(tampered)?;
        ForkProof::new(mine, theirs, frontier, self.leaf_hashes.clone()).map_err(|_| tampered())
    }
}
