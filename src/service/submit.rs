use std::sync::Arc;

use super::blocking::Panicked;
use super::record::Reader;
use super::rekeying::{is_kept, missing_sets, with_rekeyings};
use super::{LocalSecret, Pseudonymiser};
use crate::domain::limits::{MAX_IDENTIFIERS, SALT_BYTES};
use crate::domain::{
    Audience, Clock, Entropy, EntropyError, FeedId, FieldError, IdentifierKind, KeyId, PseudonymSet, Rekeying, SignalContent,
    SignalRef, SignalStatus, Statement, Strength, Submission, SubmissionTag, Timestamp,
};
use crate::feed::{Body, EncodeError, Entry, are_comparable, content_digest, encode, same_content};
use crate::membership::Directory;
use crate::pseudonym::{CanonicalIdentifier, PseudonymError};
use crate::store::{Append, Appended, Store, StoreError};

/// Takes this member's signals: canonical forms, pseudonyms, an entry in the feed of the audience, a receipt.
pub struct Submitter {
    /// Where the entries go.
    pub store: Arc<Store>,
    /// Who may be written to.
    pub directory: Arc<Directory>,
    /// What replaces the identifiers.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Makes the tags of submissions.
    pub secret: Arc<LocalSecret>,
    /// Tells the time of recording.
    pub clock: Arc<dyn Clock>,
    /// Gives the salts.
    pub entropy: Arc<dyn Entropy>,
}

/// What became of a submission that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The signal's name in every node.
    pub signal: SignalRef,
    /// False where it was there already.
    pub created: bool,
    /// It was there already, and was given pseudonyms under keys that became active since.
    pub rekeyed: bool,
    /// What the signal is now.
    pub status: SignalStatus,
}

/// Why a submission was not taken; nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The id was used before, for something else.
    #[error("this submission id stands for another signal ({0}); correct the content or give a new id")]
    IdReused(SignalRef),
    /// The id was used before, for a signal all of whose keys are destroyed since.
    #[error(
        "the signal that this id stands for ({0}) was stated under keys that are destroyed, so nobody can tell whether this is the same; \
         retract or erase it, and state it under a new id"
    )]
    KeysDestroyed(SignalRef),
    /// The entry would be too large.
    #[error(transparent)]
    Entry(#[from] EncodeError),
    /// No pseudonyms could be made.
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
    /// It could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The work ended with a panic.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl SubmitError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(error) => error.code,
            Self::IdReused(_) => "SUBMISSION_ID_REUSED",
            Self::KeysDestroyed(_) => "SIGNAL_KEYS_DESTROYED",
            Self::Entry(error) => error.code(),
            Self::Pseudonym(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Entropy(_) => "NO_ENTROPY",
            Self::Panicked(error) => error.code(),
        }
    }
}

/// A submission that can be taken.
struct Good {
    row: usize,
    submission: Submission,
    /// Of its identifiers in canonical form.
    kinds: Vec<IdentifierKind>,
}

/// A submission on its way into the feed.
struct Draft {
    row: usize,
    feed: FeedId,
    tag: SubmissionTag,
    /// Other tags under which the same submission may have been taken before.
    known_as: Vec<SubmissionTag>,
    /// A signal.
    entry: Arc<Entry>,
    /// Its content with pseudonyms under every key by which an earlier signal can be recognised, where that is more than is
    /// written.
    known: Option<Box<SignalContent>>,
}

impl Draft {
    /// What earlier signals are compared with.
    fn content(&self) -> Option<&SignalContent> {
        match &self.entry.body {
            Body::Signal { content, .. } => Some(self.known.as_deref().unwrap_or(content)),
            _ => None,
        }
    }
}

impl Submitter {
    /// Takes submissions together, so that they share pseudonym batches and one commit. One outcome for each, in order; a bad
    /// one does not touch its neighbours.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Vec<Result<Receipt, SubmitError>> {
        let mut outcomes: Vec<Option<Result<Receipt, SubmitError>>> = submissions.iter().map(|_| None).collect();
        let (mut good, mut sellers) = (Vec::with_capacity(submissions.len()), Vec::with_capacity(submissions.len()));
        for (row, submission) in submissions.into_iter().enumerate() {
            match self.canonical(&submission) {
                Ok((kinds, canonical)) => {
                    good.push(Good { row, submission, kinds });
                    sellers.push(canonical);
                }
                Err(error) => outcomes[row] = Some(Err(error.into())),
            }
        }
        for (row, outcome) in self.take(good, sellers).await {
            outcomes[row] = Some(outcome);
        }
        outcomes.into_iter().map(|o| o.unwrap_or(Err(SubmitError::Panicked(Panicked)))).collect()
    }

    /// Checks everything that needs no key, and brings the identifiers into canonical form.
    fn canonical(&self, submission: &Submission) -> Result<(Vec<IdentifierKind>, Vec<CanonicalIdentifier>), FieldError> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        self.directory.check_audience(&submission.audience)?;
        if !(1..=MAX_IDENTIFIERS).contains(&submission.identifiers.len()) {
            return Err(FieldError::new("IDENTIFIER_COUNT", "identifiers", "give 1 to 32 identifiers of one seller"));
        }
        if submission.identifiers.iter().all(|i| roster.strength(i.kind) == Strength::Weak) {
            let message = "a name or an address alone flags nobody; give an account, phone, licence or other strong identifier";
            return Err(FieldError::new("IDENTIFIERS_ALL_WEAK", "identifiers", message));
        }
        let statement = &submission.statement;
        statement.validate(self.clock.now().date()).map_err(|e| e.inside("statement"))?;
        amount_in_money(statement).map_err(|e| e.inside("statement"))?;
        if let Some(platform) = statement.sighting.as_ref().and_then(|s| s.platform.as_ref())
            && !roster.platforms.iter().any(|p| p.id == *platform)
        {
            let message = "the roster lists no such platform; ask the secretariat to add it";
            return Err(FieldError::new("PLATFORM_UNKNOWN", "statement.sighting.platform", message));
        }
        let other = |signal: &SignalRef| {
            let all = signal.feed.audience == Audience::Alliance || signal.feed.audience == submission.audience;
            all && signal.feed.member != *self.directory.member() && roster.may_read_feed(self.directory.member(), &signal.feed)
        };
        if let Some(i) = statement.derived_from.iter().position(|signal| !other(signal)) {
            let message = "name other members' signals of the same audience, or of the whole alliance";
            return Err(FieldError::new("SIGNAL_NOT_DERIVABLE", format!("statement.derived_from[{i}]"), message));
        }
        self.pseudonymiser.seller(&submission.identifiers)
    }

    async fn take(
        &self,
        good: Vec<Good>,
        sellers: Vec<Vec<CanonicalIdentifier>>,
    ) -> Vec<(usize, Result<Receipt, SubmitError>)> {
        let sets = match self.pseudonymiser.to_submit(sellers).await {
            Ok(sets) => sets,
            Err(error) => return good.into_iter().map(|good| (good.row, Err(error.clone().into()))).collect(),
        };
        let drafts = good.into_iter().zip(sets.known).filter_map(|(good, known)| self.draft(good, known, &sets.active));
        self.append(drafts.collect()).await
    }

    /// `None` never comes: there is an active key, and so a tag.
    fn draft(&self, good: Good, known: Vec<PseudonymSet>, active: &[KeyId]) -> Option<Draft> {
        let Good { row, submission, kinds } = good;
        let mut content = SignalContent { kinds, pseudonyms: known, statement: submission.statement };
        let (tag, known_as) = match &submission.id {
            Some(id) => (self.secret.by_id(&submission.audience, id), Vec::new()),
            None => self.content_tags(&submission.audience, &content, active)?,
        };
        let is_written = |set: &PseudonymSet| active.contains(&set.key);
        let known = (!content.pseudonyms.iter().all(is_written)).then(|| Box::new(content.clone()));
        content.pseudonyms.retain(is_written);
        let feed = FeedId { member: self.directory.member().clone(), audience: submission.audience };
        let entry = Entry { recorded_at: self.clock.now(), body: Body::Signal { tag, content } };
        Some(Draft { row, feed, tag, known_as, entry: Arc::new(entry), known })
    }

    /// The tag to write, and the others to look for: one for each key by which the content can be recognised, so that a key
    /// that comes or goes does not make known content new. Written is that of the newest active key, the last in the roster,
    /// which of all keys in the entry stays in use for longest.
    fn content_tags(
        &self,
        audience: &Audience,
        content: &SignalContent,
        written: &[KeyId],
    ) -> Option<(SubmissionTag, Vec<SubmissionTag>)> {
        let tag = |key: &KeyId| content_digest(content, key).map(|digest| self.secret.by_content(audience, &digest));
        let newest = written.last()?;
        let others = content.pseudonyms.iter().map(|set| &set.key).filter(|key| *key != newest);
        Some((tag(newest)?, others.filter_map(tag).collect()))
    }

    async fn append(&self, drafts: Vec<Draft>) -> Vec<(usize, Result<Receipt, SubmitError>)> {
        let mut outcomes = Vec::with_capacity(drafts.len());
        let (mut sent, mut items) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
        let mut salts = vec![[0; SALT_BYTES]; drafts.len()];
        if let Err(error) = self.entropy.fill(salts.as_flattened_mut()) {
            return drafts.into_iter().map(|draft| (draft.row, Err(error.into()))).collect();
        }
        for (draft, salt) in drafts.into_iter().zip(salts) {
            match encoded(&draft, salt) {
                Ok(item) => {
                    sent.push(draft);
                    items.push(item);
                }
                Err(error) => outcomes.push((draft.row, Err(error.into()))),
            }
        }
        if items.is_empty() {
            return outcomes;
        }
        match self.store.append(items).await {
            Ok(appended) => {
                let (mut taken, mut rekeyings) = (Vec::with_capacity(sent.len()), Vec::new());
                for (draft, appended) in sent.into_iter().zip(appended) {
                    let (receipt, rekeying) = self.receipt(&draft, appended);
                    rekeyings.extend(rekeying.map(|rekeying| (taken.len(), draft.feed.audience, rekeying)));
                    taken.push((draft.row, receipt));
                }
                self.rekey(rekeyings, &mut taken).await;
                outcomes.extend(taken);
            }
            Err(error) => outcomes.extend(sent.into_iter().map(|draft| (draft.row, Err(error.clone().into())))),
        }
        outcomes
    }

    /// What became of a draft, and what is to be added where its signal lacks pseudonyms under the active keys.
    fn receipt(
        &self,
        draft: &Draft,
        appended: Result<Appended, StoreError>,
    ) -> (Result<Receipt, SubmitError>, Option<Rekeying>) {
        let at = |seq| SignalRef { feed: draft.feed.clone(), seq };
        let receipt = |seq, created, status| Receipt { signal: at(seq), created, rekeyed: false, status };
        match appended {
            Ok(Appended::Created(seq)) => match draft.content() {
                Some(said) => (Ok(receipt(seq, true, said.live_status())), None),
                None => (Err(Panicked.into()), None),
            },
            Ok(Appended::Known(seq, known)) => match self.known(draft, at(seq), &known) {
                Ok((status, rekeying)) => (Ok(receipt(seq, false, status)), rekeying),
                Err(error) => (Err(error), None),
            },
            Ok(Appended::Erased(seq)) => (Ok(receipt(seq, false, SignalStatus::Erased)), None),
            Ok(Appended::Withdrawn | Appended::Gone | Appended::Unneeded) => (Err(Panicked.into()), None),
            Err(error) => (Err(error.into()), None),
        }
    }

    /// What a known signal is now, and what it lacks; refused where it says something else than the draft.
    fn known(&self, draft: &Draft, signal: SignalRef, known: &Entry) -> Result<(SignalStatus, Option<Rekeying>), SubmitError> {
        let (Body::Signal { tag, content }, Body::Signal { content: written, .. }) = (&known.body, &draft.entry.body) else {
            return Err(SubmitError::IdReused(signal));
        };
        let said = draft.content().unwrap_or(written);
        let content = with_rekeyings(content, self.store.rekeyed(&signal)?);
        let seq = signal.seq;
        let status = self.status(signal.clone(), &content, known.recorded_at);
        if !are_comparable(&content, said) {
            // All keys that it was stated under are destroyed. What was withdrawn stays so; of anything else it cannot be told that it is
            // the same.
            return if is_kept(status) { Err(SubmitError::KeysDestroyed(signal)) } else { Ok((status, None)) };
        }
        if !same_content(&content, said) {
            return Err(SubmitError::IdReused(signal));
        }
        let missing = if is_kept(status) { missing_sets(&content, said, &written.pseudonyms) } else { Vec::new() };
        let rekeying = (!missing.is_empty()).then(|| Rekeying {
            signal: seq,
            tag: (*tag != draft.tag).then_some(draft.tag),
            pseudonyms: missing,
        });
        Ok((status, rekeying))
    }

    /// What a known signal is now.
    fn status(&self, signal: SignalRef, content: &SignalContent, recorded_at: Timestamp) -> SignalStatus {
        let reader = Reader::new(&self.store, &self.directory, &*self.clock);
        if !self.store.speaks_of(&signal) && self.store.retraction_of(&signal.feed, signal.seq).is_none() {
            return reader.status_alone(content, recorded_at);
        }
        // What was acknowledged stands; a disk that cannot be read now says so when the signal is read.
        match reader.signal(signal) {
            Ok(Some(record)) => record.status,
            Ok(None) => SignalStatus::Erased,
            Err(_) => content.live_status(),
        }
    }

    /// Adds what known signals lack, before anybody is told that they are there: who has sent everything again relies on it. With each
    /// goes the place of its receipt.
    async fn rekey(&self, rekeyings: Vec<(usize, Audience, Rekeying)>, taken: &mut [(usize, Result<Receipt, SubmitError>)]) {
        let mut salts = vec![[0; SALT_BYTES]; rekeyings.len()];
        if let Err(error) = self.entropy.fill(salts.as_flattened_mut()) {
            rekeyings.iter().for_each(|(place, ..)| taken[*place].1 = Err(error.into()));
            return;
        }
        let (mut places, mut items) = (Vec::with_capacity(rekeyings.len()), Vec::with_capacity(rekeyings.len()));
        for ((place, audience, rekeying), salt) in rekeyings.into_iter().zip(salts) {
            let signal = rekeying.signal;
            let entry = Arc::new(Entry { recorded_at: self.clock.now(), body: Body::Rekeying(rekeying) });
            match encode(&entry, salt) {
                Ok(bytes) => {
                    places.push(place);
                    items.push(Append::Rekeying { audience, signal, entry, bytes });
                }
                Err(error) => taken[place].1 = Err(error.into()),
            }
        }
        if items.is_empty() {
            return;
        }
        let outcomes = match self.store.append(items).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); places.len()],
        };
        for (place, outcome) in places.into_iter().zip(outcomes) {
            match (outcome, &mut taken[place].1) {
                (Ok(appended), Ok(receipt)) => receipt.rekeyed = matches!(appended, Appended::Created(_)),
                (Err(error), receipt) => *receipt = Err(error.into()),
                (Ok(_), Err(_)) => {}
            }
        }
    }
}

fn encoded(draft: &Draft, salt: [u8; SALT_BYTES]) -> Result<Append, EncodeError> {
    let (audience, known_as, entry) = (draft.feed.audience.clone(), draft.known_as.clone(), draft.entry.clone());
    let bytes = encode(&entry, salt)?;
    Ok(Append::Signal { audience, tag: draft.tag, known_as, entry, bytes })
}

/// An amount is a whole number of minor units, which the codes of metals, funds and tests (ISO 4217) do not have. Asked when a
/// signal is handed in, not when an entry is read: nodes of all versions must read the same in it.
fn amount_in_money(statement: &Statement) -> Result<(), FieldError> {
    let amount = statement.goods_value.as_ref().and_then(|value| value.amount);
    match amount {
        Some((_, currency)) if currency.exponent().is_none() => {
            let message = "give a currency that has amounts of money";
            Err(FieldError::new("CURRENCY_WITHOUT_MINOR_UNIT", "goods_value.currency", message))
        }
        Some(_) | None => Ok(()),
    }
}
