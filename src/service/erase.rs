//! Erasing own content, and seeing who has done it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::SignalError;
use super::blocking::off_thread;
use super::signals::{Signals, Target};
use crate::domain::{
    Audience, Erasure, ErasureProgress, ErasureReason, FeedId, LeadId, MemberId, Seq, SignalRef, SubmissionTag, Timestamp,
};
use crate::feed::{Body, Entry};
use crate::membership::Directory;
use crate::store::{Append, Appended, Store, StoreError};

/// Entries that one erasure names when it is written here: with their tags they fit into an entry.
pub(super) const ERASED_PER_ENTRY: usize = 256;
/// Times that an erasure is made anew because another one was faster.
const MAX_ATTEMPTS: usize = 4;
/// Erasures on a page of a listing: 256 entries each, a few bytes an entry.
const MAX_ERASURES_A_PAGE: usize = 200;

/// Erases what this member has stated.
pub struct Eraser {
    /// Where it is.
    pub store: Arc<Store>,
    /// Who holds copies.
    pub directory: Arc<Directory>,
    /// Finds own signals by what they were submitted under, and makes entries.
    pub signals: Arc<Signals>,
}

/// What became of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// What was to be erased.
    pub entry: SignalRef,
    /// The erasure that names it; `None` where it was erased before as a part of something else.
    pub erasure: Option<SignalRef>,
    /// False where it was erased before.
    pub newly: bool,
}

/// An erasure in a feed of this member's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// Where it stands.
    pub erasure: SignalRef,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Why.
    pub reason: ErasureReason,
    /// How many entries it names.
    pub entries: usize,
}

/// How far a member's node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Whose.
    pub member: MemberId,
    /// What it has said; `None` where it has said nothing yet.
    pub progress: Option<ErasureProgress>,
    /// What it has signed, as note; empty for this node itself, and where it has said nothing.
    pub receipt: bytes::Bytes,
}

/// Erasures of one audience, and who has carried them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasurePage {
    /// The newest first.
    pub erasures: Vec<ErasureRecord>,
    /// Every member of the audience that takes part, this one first.
    pub replicas: Vec<Replica>,
    /// Before which position the next page ends; `None` at the end.
    pub next: Option<Seq>,
}

/// What one erasure is to name: each entry, and the tag of a signal.
pub(super) type Named = Vec<(Seq, Option<SubmissionTag>)>;

impl Eraser {
    /// Takes a signal with its amendments and rekeyings, or a marker, away from every node and for good. Durable when this returns.
    ///
    /// # Errors
    /// [`SignalError::NotFound`], [`SignalError::NotOwn`], or the store's.
    pub async fn erase(&self, target: Target, reason: ErasureReason) -> Result<Erased, SignalError> {
        let entry = self.signals.resolve(target).await?;
        let _changing = self.signals.leads.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            let (store, at) = (self.store.clone(), entry.clone());
            if self.store.is_erased(&entry) {
                let erasure = self.store.retraction_of(&entry.feed, entry.seq);
                let erasure = erasure.map(|seq| SignalRef { feed: entry.feed.clone(), seq });
                return Ok(Erased { entry, erasure, newly: false });
            }
            let named = off_thread(move || named(&store, &at)).await??.ok_or(SignalError::NotFound)?;
            // Of what does not fit into one the later parts go first: what is left meanwhile is a shorter lead, and no other one.
            let mut erasure = None;
            for part in named.rchunks(ERASED_PER_ENTRY) {
                erasure = self.write(&entry.feed.audience, part.to_vec(), reason).await?;
            }
            if erasure.is_some() {
                return Ok(Erased { entry, erasure, newly: true });
            }
        }
        Err(StoreError::Unwritable { code: "ERASURE_CONTENDED", detail: "others erase the same; try again".into() }.into())
    }

    /// Adds an erasure, in ascending order, of at most [`ERASED_PER_ENTRY`] entries of one own feed. `None` where all of it was erased
    /// meanwhile, or a signal among it was given pseudonyms that are not named.
    pub(super) async fn write(
        &self,
        audience: &Audience,
        mut named: Named,
        reason: ErasureReason,
    ) -> Result<Option<SignalRef>, SignalError> {
        named.sort_unstable_by_key(|(seq, _)| *seq);
        named.truncate(ERASED_PER_ENTRY);
        let (entries, tags): (Vec<Seq>, Vec<_>) = named.into_iter().unzip();
        let body = Body::Erasure(Erasure { entries: entries.clone(), tags, reason });
        let (entry, bytes) = self.signals.entry(body)?;
        let erasure = Append::Erasure { audience: audience.clone(), entries, entry, bytes };
        let outcome = self.store.append(vec![erasure]).await?;
        match outcome.into_iter().next().unwrap_or(Err(StoreError::Closed))? {
            Appended::Created(seq) => {
                let feed = FeedId { member: self.directory.member().clone(), audience: audience.clone() };
                Ok(Some(SignalRef { feed, seq }))
            }
            Appended::Gone | Appended::Unneeded | Appended::Erased(_) | Appended::Known(..) | Appended::Withdrawn => Ok(None),
        }
    }

    /// Own erasures of one audience before `before`, the newest first, and how far every member's node is.
    ///
    /// # Errors
    /// A [`crate::domain::FieldError`] where there is no such audience, or the store's.
    pub async fn list(&self, audience: Audience, before: Option<Seq>) -> Result<ErasurePage, SignalError> {
        let feed = FeedId { member: self.directory.member().clone(), audience };
        if self.store.size(&feed) == Seq::ZERO {
            self.directory.check_audience(&feed.audience)?;
        }
        let (store, directory) = (self.store.clone(), self.directory.clone());
        off_thread(move || page(&store, &directory, &feed, before)).await?
    }
}

/// What is to be erased with the entry at `at`: a signal goes with all that was added to it, a step of a lead with all of the lead. `None`
/// where it is neither, and no marker.
fn named(store: &Store, at: &SignalRef) -> Result<Option<Named>, StoreError> {
    Ok(match store.entry(at)?.map(|entry| entry.body) {
        Some(Body::Signal { tag, .. }) => Some(signal_with_additions(store, at, tag)?),
        Some(Body::Marker(_)) => Some(vec![(at.seq, None)]),
        Some(Body::Referral(referral)) => Some(lead_with_steps(store, at, referral.lead)),
        Some(_) | None => None,
    })
}

/// A signal and what its member added to it since.
pub(super) fn signal_with_additions(store: &Store, at: &SignalRef, tag: SubmissionTag) -> Result<Named, StoreError> {
    let mut named = vec![(at.seq, Some(tag))];
    for seq in store.all_rekeyings(at) {
        // With its tag the submission is still recognised once the older keys are destroyed.
        if let Some(Body::Rekeying(rekeying)) = store.entry(&SignalRef { seq, ..at.clone() })?.map(|entry| entry.body) {
            named.push((seq, rekeying.tag));
        }
    }
    if store.speaks_of(at) {
        let notes = store.notes_about(at)?;
        let amendments = notes.iter().filter(|note| matches!(note.body, Body::Amendment(_)));
        named.extend(amendments.map(|note| (note.at.seq, None)));
    }
    Ok(named)
}

/// All that the feed says of a lead, and the entry at `at`, whether it counts or not: what is left of a lead would be another one.
pub(super) fn lead_with_steps(store: &Store, at: &SignalRef, lead: LeadId) -> Named {
    let steps: BTreeSet<Seq> = store.lead_steps(&at.feed, lead).into_iter().map(|step| step.seq).chain([at.seq]).collect();
    steps.into_iter().map(|seq| (seq, None)).collect()
}

fn page(store: &Store, directory: &Directory, feed: &FeedId, before: Option<Seq>) -> Result<ErasurePage, SignalError> {
    let all = store.erasures(feed);
    let end = before.map_or(all.len(), |before| all.partition_point(|seq| *seq < before));
    let start = end.saturating_sub(MAX_ERASURES_A_PAGE);
    let mut erasures = Vec::with_capacity(end - start);
    for seq in all.get(start..end).unwrap_or_default().iter().rev() {
        let erasure = SignalRef { feed: feed.clone(), seq: *seq };
        if let Some(Entry { recorded_at, body: Body::Erasure(said) }) = store.entry(&erasure)? {
            erasures.push(ErasureRecord { erasure, recorded_at, reason: said.reason, entries: said.entries.len() });
        }
    }
    let own = directory.member();
    let this = Replica { member: own.clone(), progress: store.erasure_progress(feed), receipt: bytes::Bytes::new() };
    let signed = directory.roster();
    let others = signed.roster().members.iter().map(|member| &member.id);
    let others = others.filter(|member| *member != own && signed.roster().may_read_feed(member, feed));
    let replica = |member: &MemberId| {
        let receipt = store.receipt(feed, member);
        Replica {
            member: member.clone(),
            progress: receipt.as_ref().map(|receipt| receipt.progress),
            receipt: receipt.map(|receipt| receipt.note).unwrap_or_default(),
        }
    };
    let replicas = std::iter::once(this).chain(others.map(replica)).collect();
    Ok(ErasurePage { erasures, replicas, next: (start > 0).then(|| all[start]) })
}
