//! What happens to signals after they were stated: amendments, disputes and their decisions, opinions, markers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};

use super::blocking::{Panicked, off_thread};
use super::record::{Reader, SignalRecord};
use super::signals::Target;
use super::{LocalSecret, Pseudonymiser, SignalError, Signals};
use crate::domain::limits::{MAX_AMENDMENTS, MAX_DISPUTES_BY_MEMBER, MAX_PAGE};
use crate::domain::{
    Amendment, AnswerStep, Audience, CaseTag, Change, Clock, Decision, Dispute, DisputeGround, DisputeOutcome, EntropyError,
    EvidenceGrade, FeedId, FieldError, Identifier, Marker, MarkerKind, MarkerLift, MarkerReason, Opinion, Seq, Sha256Digest,
    SignalRef, SignalStatus, Stance, Timestamp,
};
use crate::feed::{Body, DisputeEnd, Disputed, EncodeError, Entry};
use crate::membership::Directory;
use crate::pseudonym::PseudonymError;
use crate::store::{Store, StoreError};

/// Keeps references of cases apart from whatever else is derived.
const REFERENCE: &[u8] = b"countermark/case-reference/v1";
const TAG: &[u8] = b"countermark/case-tag/v1\0";
/// Digits and letters without those that are mistaken for others (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Disputes looked at for one page of a listing; a page of disputes that have nearly all ended comes out short.
const MAX_LOOKED_AT: usize = 20_000;
/// Signals of disputes after which a page of a listing ends: about a quarter of a kibibyte each.
const MAX_SIGNALS_A_PAGE: usize = 4_096;
/// Cases shown under one reference of one member: as many as count.
const MAX_CASES_SHOWN: usize = MAX_DISPUTES_BY_MEMBER;
const REFERENCE_CHARS: usize = 20;
const GROUP_CHARS: usize = 5;

/// Handles what is said of signals after they were stated.
pub struct Cases {
    /// Where the entries are.
    pub store: Arc<Store>,
    /// Who may say what.
    pub directory: Arc<Directory>,
    /// Finds own signals by what they were submitted under, and makes entries.
    pub signals: Arc<Signals>,
    /// What replaces the identifiers of markers.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// Makes the references of cases.
    pub secret: Arc<LocalSecret>,
    /// Tells the time of recording.
    pub clock: Arc<dyn Clock>,
    /// Held from when it is seen that something may be recorded until it is: two at once would both see it.
    pub recording: tokio::sync::Mutex<()>,
}

/// By this a seller asks about its case, and whoever has it finds that case alone: `CM-` and four groups of five characters, 100
/// bits that only this node could make.
#[derive(Clone, PartialEq, Eq)]
pub struct CaseReference(String);

impl CaseReference {
    /// What stands for it in `feed`: a member that copies it into its own feed makes nothing that is found by it.
    fn tag(&self, feed: &FeedId) -> CaseTag {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(TAG);
        context.update(feed.to_string().as_bytes());
        context.update(&[0]);
        context.update(self.0.as_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&context.finish().as_ref()[..16]);
        CaseTag(tag)
    }
}

impl FromStr for CaseReference {
    type Err = FieldError;

    /// Takes small letters too, blanks or nothing between the groups, and the letters that look like digits for these.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let rest = text.trim().to_ascii_uppercase();
        let rest = rest.strip_prefix("CM").unwrap_or(&rest);
        let kept = rest.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| match byte {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        });
        let kept: Vec<u8> = kept.collect();
        if kept.len() == REFERENCE_CHARS && kept.iter().all(|byte| ALPHABET.contains(byte)) {
            return Ok(Self(kept.into_iter().map(char::from).collect()));
        }
        let message = "give the reference as it was handed out, CM- and four groups of five characters";
        Err(FieldError::new("CASE_REFERENCE_INVALID", "reference", message))
    }
}

impl fmt::Display for CaseReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CM")?;
        self.0.as_bytes().chunks(GROUP_CHARS).try_for_each(|group| write!(f, "-{}", String::from_utf8_lossy(group)))
    }
}

/// Whoever reads the log must not be able to ask.
impl fmt::Debug for CaseReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaseReference(redacted)")
    }
}

/// A dispute, recorded here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedDispute {
    /// The entry that records it.
    pub dispute: SignalRef,
    /// What the seller is given.
    pub reference: CaseReference,
    /// When it lapses in the seller's favour.
    pub due: Timestamp,
    /// False where it was recorded before and is open still.
    pub created: bool,
}

/// A dispute as this node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRecord {
    /// The entry that records it; its member took it.
    pub dispute: SignalRef,
    /// What the seller says.
    pub ground: DisputeGround,
    /// What the seller handed in.
    pub digests: Vec<Sha256Digest>,
    /// Stands for the reference that the seller was given.
    tag: CaseTag,
    /// The signals that this node holds of those it is about.
    pub signals: Vec<CaseSignal>,
}

/// A signal that a dispute is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseSignal {
    /// Which.
    pub signal: SignalRef,
    /// What it is now.
    pub status: SignalStatus,
    /// When the dispute was recorded.
    pub opened_at: Timestamp,
    /// When it lapses in the seller's favour.
    pub due: Timestamp,
    /// How it ended.
    pub end: Option<DisputeEnd>,
}

impl CaseSignal {
    /// Whether the signal's member has not said what it thinks.
    const fn is_undecided(&self) -> bool {
        matches!(self.end, None | Some(DisputeEnd { outcome: None, .. }))
    }
}

/// Some of the disputes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CasePage {
    /// In order of their entries.
    pub cases: Vec<CaseRecord>,
    /// After which entry the next page starts; `None` at the end.
    pub next: Option<SignalRef>,
}

/// What is to be said of identifiers.
#[derive(Debug, Clone)]
pub struct MarkerDraft {
    /// What.
    pub kind: MarkerKind,
    /// Who may read it.
    pub audience: Audience,
    /// Of whom.
    pub identifiers: Vec<Identifier>,
    /// Why.
    pub reason: MarkerReason,
    /// SHA-256 of each ground.
    pub digests: Vec<Sha256Digest>,
    /// For how long.
    pub valid_days: Option<u16>,
}

/// Why nothing was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// There is no such entry, or it is not this member's to see.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Only its own member can do that.
    #[error("{0}")]
    NotOwn(&'static str),
    /// As things stand, it cannot be done.
    #[error("{message}")]
    Transition {
        /// Stable code.
        code: &'static str,
        /// What to do.
        message: &'static str,
    },
    /// No pseudonyms could be made.
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry could not be made.
    #[error(transparent)]
    Entry(#[from] EncodeError),
    /// There are no random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The work ended with a panic.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl CaseError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(error) => error.code,
            Self::NotFound("dispute") => "DISPUTE_NOT_FOUND",
            Self::NotFound("marker") => "MARKER_NOT_FOUND",
            Self::NotFound("lead") => "LEAD_NOT_FOUND",
            Self::NotFound(_) => "SIGNAL_NOT_FOUND",
            Self::NotOwn(_) => "ENTRY_NOT_OWN",
            Self::Transition { code, .. } => code,
            Self::Pseudonym(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Entry(error) => error.code(),
            Self::Entropy(_) => "NO_ENTROPY",
            Self::Panicked(error) => error.code(),
        }
    }

    pub(super) const fn transition(code: &'static str, message: &'static str) -> Self {
        Self::Transition { code, message }
    }
}

impl From<SignalError> for CaseError {
    fn from(error: SignalError) -> Self {
        match error {
            SignalError::Field(error) => Self::Field(error),
            SignalError::NotFound => Self::NotFound("signal"),
            SignalError::NotOwn => Self::NotOwn("this signal is another member's; only that member can change it"),
            SignalError::Erased => Self::transition("SIGNAL_ERASED", "this signal was erased; nothing of it is left to change"),
            SignalError::Store(error) => Self::Store(error),
            SignalError::Entry(error) => Self::Entry(error),
            SignalError::Entropy(error) => Self::Entropy(error),
            SignalError::Panicked(error) => Self::Panicked(error),
        }
    }
}

impl Cases {
    /// Adds to an own signal. Durable when this returns; gives the signal and the amendment's place, which is the last one's where
    /// that says the same.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotOwn`], [`CaseError::Transition`] where the signal counts no more, has as many amendments
    /// as count, or its seller may still answer; or the store's.
    pub async fn amend(&self, target: Target, change: Change) -> Result<(SignalRef, SignalRef), CaseError> {
        change.validate(self.clock.now().date()).map_err(|error| error.inside("change"))?;
        let signal = self.signals.resolve(target).await?;
        let record = self.record(signal.clone()).await?;
        let last = record.life.as_ref().and_then(|life| life.amendments.last());
        if let Some(same) = last.filter(|amended| amended.change == change) {
            return Ok((signal.clone(), SignalRef { seq: same.seq, ..signal }));
        }
        amendable(&record, &change, self.clock.now())?;
        let audience = signal.feed.audience.clone();
        let amendment = self.signals.note(audience, Body::Amendment(Amendment { signal: signal.seq, change })).await?;
        Ok((signal, amendment))
    }

    /// Records a seller's rebuttal of signals of one audience. Durable when this returns. The same again while it is open gives the
    /// same reference.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], [`CaseError::Transition`] where a signal counts no more; or the store's.
    pub async fn open_dispute(
        &self,
        signals: Vec<SignalRef>,
        ground: DisputeGround,
        digests: Vec<Sha256Digest>,
    ) -> Result<OpenedDispute, CaseError> {
        let audience = self.audience_of(signals.first())?;
        let feed = FeedId { member: self.directory.member().clone(), audience: audience.clone() };
        let reference = self.reference(&signals, ground, &digests);
        let dispute = Dispute { signals, ground, digests, reference: reference.tag(&feed) };
        dispute.validate(&audience)?;
        let _recording = self.recording.lock().await;
        if let Some((at, due)) = self.open_case(&feed, &reference).await? {
            return Ok(OpenedDispute { dispute: at, reference, due, created: false });
        }
        for signal in &dispute.signals {
            self.disputable(self.record(signal.clone()).await?)?;
        }
        let answers = self.directory.roster().roster().policy.answers.clone();
        let due = answers.calendar.days_after(self.clock.now(), answers.resolve_days);
        let at = self.signals.note(audience, Body::Dispute(dispute)).await?;
        Ok(OpenedDispute { dispute: at, reference, due, created: true })
    }

    /// Ends a dispute for own signals, all that are not decided where `signals` is empty, also after it has lapsed; or as taken back,
    /// where it was recorded here. Durable when this returns; gives the decision's place.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], [`CaseError::NotOwn`], [`CaseError::Transition`] where it has ended; or the store's.
    pub async fn decide(
        &self,
        dispute: SignalRef,
        outcome: DisputeOutcome,
        signals: Vec<SignalRef>,
    ) -> Result<SignalRef, CaseError> {
        let _recording = self.recording.lock().await;
        let case = self.case_at(dispute.clone()).await?.ok_or(CaseError::NotFound("dispute"))?;
        let own = self.directory.member();
        let ended = || CaseError::transition("DISPUTE_ENDED", "this dispute has ended; a new rebuttal is a new dispute");
        let decided: Vec<Seq> = if outcome == DisputeOutcome::TakenBack {
            if dispute.feed.member != *own {
                return Err(CaseError::NotOwn("only the member that recorded a dispute can say that the seller took it back"));
            }
            if !signals.is_empty() {
                let message = "a rebuttal is taken back as a whole; name no signals";
                return Err(FieldError::new("SIGNAL_COUNT", "signals", message).into());
            }
            if case.signals.iter().all(|case| case.end.is_some()) {
                return Err(ended());
            }
            Vec::new()
        } else {
            let undecided = |signal: &SignalRef| case.signals.iter().any(|case| case.signal == *signal && case.is_undecided());
            let all = case.signals.iter().map(|case| case.signal.clone()).filter(|signal| signal.feed.member == *own);
            let chosen: Vec<SignalRef> = if signals.is_empty() { all.filter(undecided).collect() } else { signals };
            if let Some(foreign) = chosen.iter().position(|signal| signal.feed.member != *own) {
                let message = "decide about signals of your own; others' members decide about theirs";
                return Err(FieldError::new("SIGNAL_NOT_OWN", format!("signals[{foreign}]"), message).into());
            }
            if chosen.is_empty() || !chosen.iter().all(undecided) {
                return Err(ended());
            }
            chosen.into_iter().map(|signal| signal.seq).collect()
        };
        let audience = dispute.feed.audience.clone();
        let decision = Decision { dispute, outcome, signals: decided, reference: case.tag };
        decision.validate(&audience)?;
        Ok(self.signals.note(audience, Body::Decision(decision)).await?)
    }

    /// Says what this member thinks of another's signal. Durable when this returns; gives the opinion's place, or `None` where the
    /// same was said before.
    ///
    /// # Errors
    /// A [`FieldError`], [`CaseError::NotFound`], [`CaseError::Transition`] where the signal counts no more; or the store's.
    pub async fn opine(&self, signal: SignalRef, stance: Stance) -> Result<Option<SignalRef>, CaseError> {
        let own = self.directory.member();
        if signal.feed.member == *own {
            let message = "nobody confirms himself: amend or retract your own signal";
            return Err(FieldError::new("OPINION_ON_OWN", "signal", message).into());
        }
        let audience = self.audience_of(Some(&signal))?;
        let opinion = Opinion { signal: signal.clone(), stance };
        opinion.validate(&audience, true)?;
        let record = self.record(signal).await?;
        if !record.status.is_live() {
            return Err(CaseError::transition(
                "SIGNAL_NOT_LIVE",
                "this signal counts for nothing; there is nothing to think of it",
            ));
        }
        let held = record.life.iter().flat_map(|life| &life.opinions).find(|held| held.opinion.feed.member == *own);
        if held.map_or(&Stance::None, |held| &held.stance) == &opinion.stance {
            return Ok(None);
        }
        Ok(Some(self.signals.note(audience, Body::Opinion(opinion)).await?))
    }

    /// Says something of identifiers that holds against all signals that name them. Durable when this returns; gives the marker's
    /// place.
    ///
    /// # Errors
    /// A [`FieldError`], or why no pseudonyms could be made, or the store's.
    pub async fn mark(&self, draft: MarkerDraft) -> Result<SignalRef, CaseError> {
        let MarkerDraft { kind, audience, identifiers, reason, digests, valid_days } = draft;
        self.directory.check_audience(&audience)?;
        let (kinds, forms) = self.pseudonymiser.seller(&identifiers)?;
        let mut marker = Marker { kind, kinds, pseudonyms: Vec::new(), reason, digests, valid_days };
        marker.validate_terms()?;
        marker.pseudonyms = self.pseudonymiser.to_write(forms).await?;
        marker.validate()?;
        Ok(self.signals.note(audience, Body::Marker(marker)).await?)
    }

    /// Takes an own marker back. Durable when this returns.
    ///
    /// # Errors
    /// [`CaseError::NotFound`], [`CaseError::NotOwn`], or the store's.
    pub async fn lift(&self, marker: SignalRef) -> Result<SignalRef, CaseError> {
        if marker.feed.member != *self.directory.member() {
            return Err(CaseError::NotOwn("this marker is another member's; only that member can take it back"));
        }
        let (store, at) = (self.store.clone(), marker.clone());
        let entry = off_thread(move || store.entry(&at)).await??;
        if !matches!(entry, Some(Entry { body: Body::Marker(_), .. })) {
            return Err(CaseError::NotFound("marker"));
        }
        Ok(self.signals.note(marker.feed.audience, Body::MarkerLift(MarkerLift { marker: marker.seq })).await?)
    }

    /// The cases under a reference that a seller has: one, unless it was recorded again after it had ended.
    ///
    /// # Errors
    /// [`CaseError::NotFound`], or the store's.
    pub async fn by_reference(&self, reference: &CaseReference) -> Result<Vec<CaseRecord>, CaseError> {
        let mut cases = Vec::new();
        for feed in self.directory.roster().roster().readable_feeds(self.directory.member()) {
            for at in self.recorded(&feed, reference) {
                cases.extend(self.case_at(at).await?);
            }
        }
        if cases.is_empty() { Err(CaseError::NotFound("dispute")) } else { Ok(cases) }
    }

    /// Disputes after the entry `after`, at most `count` (1 to 1,000), and no more than fit into one answer; with `open_only` those
    /// that have not ended, and with `own_only` those about own signals or recorded here. A page may be short, or even empty, while
    /// more follows.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        after: Option<SignalRef>,
        count: usize,
        open_only: bool,
        own_only: bool,
    ) -> Result<CasePage, CaseError> {
        let own = self.directory.member();
        let mut page = CasePage { cases: Vec::new(), next: None };
        let (mut looked_at, mut signals, mut last) = (0, 0, None);
        for at in self.store.disputes_after(after.as_ref(), MAX_LOOKED_AT + 1) {
            if page.cases.len() == count.clamp(1, MAX_PAGE) || looked_at == MAX_LOOKED_AT || signals >= MAX_SIGNALS_A_PAGE {
                page.next = last;
                break;
            }
            looked_at += 1;
            last = Some(at.clone());
            let Some(case) = self.case_at(at).await? else { continue };
            let is_own = case.dispute.feed.member == *own || case.signals.iter().any(|s| s.signal.feed.member == *own);
            let is_open = case.signals.iter().any(|case| case.end.is_none());
            if (is_open || !open_only) && (is_own || !own_only) {
                signals += case.signals.len();
                page.cases.push(case);
            }
        }
        Ok(page)
    }

    /// A signal that this member may read.
    async fn record(&self, signal: SignalRef) -> Result<SignalRecord, CaseError> {
        Ok(self.signals.get(signal).await?)
    }

    async fn case_at(&self, at: SignalRef) -> Result<Option<CaseRecord>, CaseError> {
        if !self.directory.roster().roster().may_read(self.directory.member(), &at.feed.audience) {
            return Ok(None);
        }
        let (store, directory, clock) = (self.store.clone(), self.directory.clone(), self.clock.clone());
        let read = move || case_record(&store, &Reader::new(&store, &directory, &*clock), at);
        Ok(off_thread(read).await??)
    }

    /// The disputes in `feed` under a reference.
    fn recorded(&self, feed: &FeedId, reference: &CaseReference) -> Vec<SignalRef> {
        let mut recorded = self.store.case(&reference.tag(feed));
        recorded.retain(|at| at.feed == *feed);
        recorded.sort_unstable();
        recorded.truncate(MAX_CASES_SHOWN);
        recorded
    }

    /// The own dispute under a reference that is open, and when it lapses.
    async fn open_case(&self, feed: &FeedId, reference: &CaseReference) -> Result<Option<(SignalRef, Timestamp)>, CaseError> {
        for at in self.recorded(feed, reference) {
            let case = self.case_at(at.clone()).await?;
            let open = case.iter().flat_map(|case| &case.signals).find(|case| case.end.is_none());
            if let Some(open) = open {
                return Ok(Some((at, open.due)));
            }
        }
        Ok(None)
    }

    /// Whether a further dispute of this member about the signal would count.
    fn disputable(&self, record: SignalRecord) -> Result<(), CaseError> {
        if !record.status.is_live() {
            return Err(CaseError::transition("SIGNAL_NOT_LIVE", "a signal that counts for nothing needs no dispute"));
        }
        let disputes = record.life.into_iter().flat_map(|life| life.disputes);
        let own = disputes.filter(|disputed| disputed.dispute.feed.member == *self.directory.member()).count();
        if own >= MAX_DISPUTES_BY_MEMBER {
            let message = "16 disputes that this member recorded of one signal count; another member can record a further one";
            return Err(CaseError::transition("DISPUTES_FULL", message));
        }
        Ok(())
    }

    /// The same for the same dispute, whenever it is recorded; nobody else can make it.
    fn reference(&self, signals: &[SignalRef], ground: DisputeGround, digests: &[Sha256Digest]) -> CaseReference {
        let key = self.secret.derive(REFERENCE);
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
        let mut names: Vec<String> = signals.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.iter().for_each(|name| {
            context.update(name.as_bytes());
            context.update(&[0]);
        });
        context.update(&ground.number().to_be_bytes());
        digests.iter().for_each(|digest| context.update(&digest.0));
        let sum = context.sign();
        let characters = sum.as_ref().iter().take(REFERENCE_CHARS).map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        CaseReference(characters.collect())
    }

    /// The audience of a signal, of which this member is.
    fn audience_of(&self, signal: Option<&SignalRef>) -> Result<Audience, CaseError> {
        let Some(signal) = signal else {
            return Err(FieldError::new("SIGNAL_COUNT", "signals", "give 1 to 64 signals, each once").into());
        };
        self.directory.check_audience(&signal.feed.audience).map_err(|_| CaseError::NotFound("signal"))?;
        Ok(signal.feed.audience.clone())
    }
}

/// A dispute with what became of each signal; `None` where there is none.
fn case_record(store: &Store, reader: &Reader<'_>, at: SignalRef) -> Result<Option<CaseRecord>, StoreError> {
    let Some(Entry { body: Body::Dispute(dispute), .. }) = store.entry(&at)? else { return Ok(None) };
    let mut signals = Vec::with_capacity(dispute.signals.len());
    for signal in dispute.signals {
        let Some(record) = reader.signal(signal)? else { continue };
        let disputes = record.life.into_iter().flat_map(|life| life.disputes);
        let found = disputes.into_iter().find(|disputed| disputed.dispute == at);
        if let Some(Disputed { opened_at, due, end, .. }) = found {
            signals.push(CaseSignal { signal: record.signal, status: record.status, opened_at, due, end });
        }
    }
    let (ground, digests, tag) = (dispute.ground, dispute.digests, dispute.reference);
    Ok(Some(CaseRecord { dispute: at, ground, digests, tag, signals }))
}

/// Whether the change would say anything.
fn amendable(record: &SignalRecord, change: &Change, now: Timestamp) -> Result<(), CaseError> {
    if !record.status.is_live() {
        return Err(CaseError::transition("SIGNAL_NOT_LIVE", "this signal counts for nothing any more; state a new one"));
    }
    let life = record.life.as_deref();
    if life.is_some_and(|life| life.amendments.len() >= MAX_AMENDMENTS) {
        let message = "32 amendments of one signal count; retract it and state it anew with all that is known";
        return Err(CaseError::transition("AMENDMENTS_FULL", message));
    }
    if change.step != Some(AnswerStep::Unrefuted) {
        return Ok(());
    }
    if record.status == SignalStatus::Disputed {
        let message = "the seller has answered, or another member disagrees: decide the dispute first";
        return Err(CaseError::transition("SIGNAL_DISPUTED", message));
    }
    let Some(until) = life.and_then(|life| life.answer_until) else {
        let message = "say first that the seller was told (seller_notified), and wait for its working days";
        return Err(CaseError::transition("SELLER_NOT_NOTIFIED", message));
    };
    if now < until {
        return Err(CaseError::transition("ANSWER_STILL_POSSIBLE", "the seller's working days to answer are not over"));
    }
    let known = record.statement().evidence.iter().map(|evidence| evidence.grade).max();
    if known < Some(EvidenceGrade::Substantial) {
        let message = "silence confirms substantial evidence that the seller was told of, and no indication";
        return Err(CaseError::transition("EVIDENCE_TOO_WEAK", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_as_people_write_it() {
        let reference = CaseReference("0123456789ABCDEFGHJK".into());
        assert_eq!(reference.to_string(), "CM-01234-56789-ABCDE-FGHJK");
        for text in
            ["CM-01234-56789-ABCDE-FGHJK", "cm-o1234 56789 abcde fghjk", "CM0I23456789ABCDEFGHJK", "0L23456789abcdefghjk"]
        {
            assert_eq!(text.parse::<CaseReference>().expect("valid"), reference, "{text}");
        }
        for text in ["", "CM-", "CM-01234-56789-ABCDE-FGHJ", "CM-01234-56789-ABCDE-FGHJKM", "CM-01234-56789-ABCDE-FGHJU"] {
            assert_eq!(text.parse::<CaseReference>().expect_err("refused").code, "CASE_REFERENCE_INVALID", "{text}");
        }
        assert_eq!(format!("{reference:?}"), "CaseReference(redacted)");
    }
}
