use std::sync::Arc;

use super::{LocalSecret, Pseudonymiser};
use crate::domain::limits::{MAX_IDENTIFIERS, SALT_BYTES};
use crate::domain::{
    Clock, Entropy, EntropyError, FeedId, FieldError, Seq, SignalContent, SignalRef, SignalStatus, Strength, Submission,
    SubmissionTag,
};
use crate::feed::{Body, EncodeError, Entry, content_digest, decode, encode, same_content};
use crate::membership::Directory;
use crate::pseudonym::{CanonicalIdentifier, PseudonymError, Purpose};
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
}

impl SubmitError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(error) => error.code,
            Self::IdReused(_) => "SUBMISSION_ID_REUSED",
            Self::Entry(error) => error.code(),
            Self::Pseudonym(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Entropy(_) => "NO_ENTROPY",
        }
    }
}

/// A submission on its way into the feed.
struct Draft {
    row: usize,
    feed: FeedId,
    tag: SubmissionTag,
    content: SignalContent,
}

impl Submitter {
    /// Takes submissions together, so that they share pseudonym batches and one commit. One outcome for each, in order; a bad
    /// one does not touch its neighbours.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Vec<Result<Receipt, SubmitError>> {
        let mut outcomes: Vec<Option<Result<Receipt, SubmitError>>> = submissions.iter().map(|_| None).collect();
        let mut good = Vec::new();
        for (row, submission) in submissions.into_iter().enumerate() {
            match self.canonical(&submission) {
                Ok(canonical) => good.push((row, submission, canonical)),
                Err(error) => outcomes[row] = Some(Err(error.into())),
            }
        }
        for (row, outcome) in self.take(good).await {
            outcomes[row] = Some(outcome);
        }
        outcomes.into_iter().map(|o| o.unwrap_or(Err(SubmitError::Store(StoreError::Closed)))).collect()
    }

    /// Checks everything that needs no key, and brings the identifiers into canonical form.
    fn canonical(&self, submission: &Submission) -> Result<Vec<CanonicalIdentifier>, FieldError> {
        let signed = self.directory.roster();
        let roster = signed.roster();
        if !roster.may_read(self.directory.member(), &submission.audience) {
            let message = "this member belongs to no such group; give `all` or a group of yours";
            return Err(FieldError::new("AUDIENCE_UNKNOWN", "audience", message));
        }
        if !(1..=MAX_IDENTIFIERS).contains(&submission.identifiers.len()) {
            return Err(FieldError::new("IDENTIFIER_COUNT", "identifiers", "give 1 to 32 identifiers of one seller"));
        }
        if submission.identifiers.iter().all(|i| roster.strength(i.kind) == Strength::Weak) {
            let message = "a name or an address alone flags nobody; give an account, phone, licence or other strong identifier";
            return Err(FieldError::new("IDENTIFIERS_ALL_WEAK", "identifiers", message));
        }
        let statement = &submission.statement;
        statement.validate(self.clock.now().date()).map_err(|e| e.inside("statement"))?;
        if let Some(platform) = statement.sighting.as_ref().and_then(|s| s.platform.as_ref())
            && !roster.platforms.iter().any(|p| p.id == *platform)
        {
            let message = "the roster lists no such platform; ask the secretariat to add it";
            return Err(FieldError::new("PLATFORM_UNKNOWN", "statement.sighting.platform", message));
        }
        Ok(self.pseudonymiser.canonical(&submission.identifiers)?.into_iter().map(|(_, form)| form).collect())
    }

    async fn take(
        &self,
        good: Vec<(usize, Submission, Vec<CanonicalIdentifier>)>,
    ) -> Vec<(usize, Result<Receipt, SubmitError>)> {
        let rows: Vec<usize> = good.iter().map(|(row, ..)| *row).collect();
        let kinds: Vec<Vec<_>> =
            good.iter().map(|(_, _, forms)| forms.iter().map(CanonicalIdentifier::kind).collect()).collect();
        let (submissions, sellers): (Vec<_>, Vec<_>) = good.into_iter().map(|(_, s, forms)| (s, forms)).unzip();
        let sets = match self.pseudonymiser.pseudonyms(Purpose::Submit, sellers).await {
            Ok(sets) => sets,
            Err(error) => return rows.into_iter().map(|row| (row, Err(error.clone().into()))).collect(),
        };
        let drafts = rows.into_iter().zip(submissions).zip(kinds).zip(sets).map(|(((row, submission), kinds), pseudonyms)| {
            let content = SignalContent { kinds, pseudonyms, statement: submission.statement };
            let tag = self.secret.tag(&submission.audience, submission.id.as_ref(), &content_digest(&content));
            let feed = FeedId { member: self.directory.member().clone(), audience: submission.audience };
            Draft { row, feed, tag, content }
        });
        self.append(drafts.collect()).await
    }

    async fn append(&self, drafts: Vec<Draft>) -> Vec<(usize, Result<Receipt, SubmitError>)> {
        let mut outcomes = Vec::with_capacity(drafts.len());
        let (mut sent, mut items) = (Vec::new(), Vec::new());
        for draft in drafts {
            match self.encode(&draft) {
                Ok(item) => {
                    sent.push(draft);
                    items.push(item);
                }
                Err(error) => outcomes.push((draft.row, Err(error))),
            }
        }
        if items.is_empty() {
            return outcomes;
        }
        match self.store.append(items).await {
            Ok(appended) => outcomes.extend(sent.into_iter().zip(appended).map(|(draft, appended)| {
                let receipt = appended.map_err(SubmitError::from).and_then(|appended| self.receipt(&draft, appended));
                (draft.row, receipt)
            })),
            Err(error) => outcomes.extend(sent.into_iter().map(|draft| (draft.row, Err(error.clone().into())))),
        }
        outcomes
    }

    fn encode(&self, draft: &Draft) -> Result<Append, SubmitError> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt)?;
        let body = Body::Signal { tag: draft.tag, content: draft.content.clone() };
        let entry = Entry { recorded_at: self.clock.now(), body };
        let bytes = encode(&entry, salt)?;
        Ok(Append::Signal { audience: draft.feed.audience.clone(), tag: draft.tag, entry, bytes })
    }

    fn receipt(&self, draft: &Draft, appended: Appended) -> Result<Receipt, SubmitError> {
        let live = draft.content.live_status();
        match appended {
            Appended::Created(seq) => {
                Ok(Receipt { signal: SignalRef { feed: draft.feed.clone(), seq }, created: true, status: live })
            }
            Appended::Existing(seq) => self.existing(draft, seq, live),
        }
    }

    /// The signal that was made of the same submission before; refused where it says something else.
    fn existing(&self, draft: &Draft, seq: Seq, live: SignalStatus) -> Result<Receipt, SubmitError> {
        let signal = SignalRef { feed: draft.feed.clone(), seq };
        let held = self.store.read(&draft.feed, seq)?.and_then(|bytes| decode(&bytes).ok());
        let same =
            matches!(held, Some(Entry { body: Body::Signal { content, .. }, .. }) if same_content(&content, &draft.content));
        if !same {
            return Err(SubmitError::IdReused(signal));
        }
        let withdrawn = self.store.retraction_of(&draft.feed, seq).is_some();
        Ok(Receipt { signal, created: false, status: if withdrawn { SignalStatus::Withdrawn } else { live } })
    }
}
