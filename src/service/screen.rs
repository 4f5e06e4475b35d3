use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::signals::{SignalRecord, read_signal};
use super::{FreshnessBoard, Pseudonymiser};
use crate::domain::limits::{MAX_IDENTIFIERS, MAX_MATCHES, MAX_POSTINGS_READ};
use crate::domain::{
    Clock, FieldError, Identifier, IdentifierKind, MemberId, PseudonymSet, Roster, SignalRef, SignalStatus, Strength,
    Timestamp, Verdict,
};
use crate::membership::Directory;
use crate::pseudonym::{CanonicalIdentifier, PseudonymError, Purpose};
use crate::store::{CheckRecord, CheckReference, FeedNo, FeedState, FreshnessRecord, MatchRecord, Position, Store, StoreError};

/// Signals of one feed that are read for one identifier, at least; a flood in one feed hides nothing of the others.
const MIN_READ_PER_FEED: usize = 16;

/// Answers questions about sellers from what this node holds.
pub struct Screener {
    /// What is held.
    pub store: Arc<Store>,
    /// Who counts.
    pub directory: Arc<Directory>,
    /// What replaces the identifiers.
    pub pseudonymiser: Arc<Pseudonymiser>,
    /// What answers rest on.
    pub freshness: Arc<FreshnessBoard>,
    /// Tells the time of the check.
    pub clock: Arc<dyn Clock>,
}

/// What is known of a seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// By this it can be read again for 365 days; else why it could not be kept.
    pub reference: Result<CheckReference, StoreError>,
    /// When.
    pub checked_at: Timestamp,
    /// The summary.
    pub verdict: Verdict,
    /// Members other than this one that flag by a strong identifier. Exact even where matches are omitted.
    pub members_elsewhere: u32,
    /// Signals that match, those that count and weigh most first.
    pub matches: Vec<SignalMatch>,
    /// Signals that match beyond those.
    pub omitted: u32,
    /// What the answer rests on.
    pub freshness: Arc<FreshnessRecord>,
}

/// A live signal that names the seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalMatch {
    /// The signal.
    pub record: SignalRecord,
    /// Which of the asked identifiers matched.
    pub matched: Vec<MatchedIdentifier>,
    /// It is this member's own.
    pub own: bool,
    /// Its feed is quarantined.
    pub quarantined: bool,
    /// It counts towards the verdict: strong, and of a member that has not been expelled.
    pub counts: bool,
}

/// One of the asked identifiers that a signal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedIdentifier {
    /// Its place in the question.
    pub index: u32,
    /// Its kind.
    pub kind: IdentifierKind,
    /// What the match means.
    pub strength: Strength,
}

/// An earlier answer, read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastCheck {
    /// As it was given.
    pub answer: Answer,
    /// What was asked, by kind.
    pub kinds: Vec<IdentifierKind>,
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScreenError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No pseudonyms could be made.
    #[error(transparent)]
    Pseudonym(#[from] PseudonymError),
    /// What is held could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No check is kept under this reference.
    #[error("no check is kept under this reference; references hold for 365 days")]
    NoSuchCheck,
}

impl ScreenError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Field(error) => error.code,
            Self::Pseudonym(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::NoSuchCheck => "CHECK_NOT_FOUND",
        }
    }
}

/// A question in the form that is looked up and recorded.
struct Question {
    row: usize,
    /// Kind and place of each distinct identifier, in the order of the pseudonyms.
    asked: Vec<(u32, IdentifierKind)>,
    pseudonyms: Vec<PseudonymSet>,
}

/// Matches of one question, before they are cut to what one answer lists.
#[derive(Default)]
struct Found {
    matches: Vec<SignalMatch>,
    unread: u32,
}

impl Screener {
    /// Answers questions together. One outcome for each, in order; a bad one does not touch its neighbours.
    pub async fn check(self: &Arc<Self>, sellers: Vec<Vec<Identifier>>) -> Vec<Result<Answer, ScreenError>> {
        let mut outcomes: Vec<Option<Result<Answer, ScreenError>>> = sellers.iter().map(|_| None).collect();
        let (mut asked, mut forms) = (Vec::new(), Vec::new());
        for (row, identifiers) in sellers.into_iter().enumerate() {
            match self.canonical(&identifiers) {
                Ok(canonical) => {
                    asked.push((row, canonical.iter().map(|(place, form)| (*place, form.kind())).collect()));
                    forms.push(canonical.into_iter().map(|(_, form)| form).collect());
                }
                Err(error) => outcomes[row] = Some(Err(error.into())),
            }
        }
        let rows: Vec<usize> = asked.iter().map(|(row, _)| *row).collect();
        match self.pseudonymiser.pseudonyms(Purpose::Check, forms).await {
            Ok(sets) => {
                let questions = asked.into_iter().zip(sets);
                let questions = questions.map(|((row, asked), pseudonyms)| Question { row, asked, pseudonyms });
                for (row, answer) in self.answer(questions.collect()).await {
                    outcomes[row] = Some(answer);
                }
            }
            Err(error) => rows.into_iter().for_each(|row| outcomes[row] = Some(Err(error.clone().into()))),
        }
        outcomes.into_iter().map(|o| o.unwrap_or(Err(ScreenError::Store(StoreError::Closed)))).collect()
    }

    fn canonical(&self, identifiers: &[Identifier]) -> Result<Vec<(u32, CanonicalIdentifier)>, FieldError> {
        if !(1..=MAX_IDENTIFIERS).contains(&identifiers.len()) {
            return Err(FieldError::new("IDENTIFIER_COUNT", "identifiers", "give 1 to 32 identifiers of one seller"));
        }
        self.pseudonymiser.canonical(identifiers)
    }

    /// Looks up, records, and hands out references.
    async fn answer(self: &Arc<Self>, questions: Vec<Question>) -> Vec<(usize, Result<Answer, ScreenError>)> {
        let (mut answered, mut outcomes) = (Vec::new(), Vec::new());
        let freshness = self.freshness.now();
        for (question, found) in self.look_up(questions).await {
            match found {
                Ok(found) => {
                    let answer = self.sum_up(found, freshness.clone());
                    answered.push((question.row, record_of(question, &answer), answer));
                }
                Err(error) => outcomes.push((question.row, Err(error.into()))),
            }
        }
        if answered.is_empty() {
            return outcomes;
        }
        let records = answered.iter().map(|(_, record, _)| record.clone()).collect();
        let references = match self.store.record_checks(records).await {
            Ok(references) => references.into_iter().map(Ok).collect(),
            // The answer stands without its record: reading goes on when nothing can be written.
            Err(error) => vec![Err(error); answered.len()],
        };
        outcomes.extend(
            answered.into_iter().zip(references).map(|((row, _, answer), reference)| (row, Ok(Answer { reference, ..answer }))),
        );
        outcomes
    }

    /// Misses are answered from memory on the spot; the rest reads entries, off the asynchronous threads.
    async fn look_up(self: &Arc<Self>, questions: Vec<Question>) -> Vec<(Question, Result<Found, StoreError>)> {
        let hit = |q: &Question| q.pseudonyms.iter().flat_map(|s| &s.pseudonyms).any(|p| !self.store.positions(p).is_empty());
        let (hits, misses): (Vec<_>, Vec<_>) = questions.into_iter().partition(hit);
        let mut found: Vec<_> = misses.into_iter().map(|q| (q, Ok(Found::default()))).collect();
        if hits.is_empty() {
            return found;
        }
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let find = |question: Question| {
                let result = this.find(&question);
                (question, result)
            };
            hits.into_iter().map(find).collect::<Vec<_>>()
        });
        match read.await {
            Ok(read) => found.extend(read),
            Err(error) => tracing::error!(code = "CHECK_PANICKED", %error, "a look-up ended with a panic"),
        }
        found
    }

    fn find(&self, question: &Question) -> Result<Found, StoreError> {
        let signed = self.directory.roster();
        let (candidates, unread) = self.candidates(question);
        let mut found = Found { matches: Vec::new(), unread };
        for position in candidates {
            let Some(feed) = self.store.feed_of(position) else { continue };
            let Some(record) = read_signal(&self.store, SignalRef { feed, seq: position.seq() })? else { continue };
            found.matches.extend(self.match_of(question, record, signed.roster()));
        }
        Ok(found)
    }

    /// Positions to read, the newest of each feed first, and how many are left unread.
    fn candidates(&self, question: &Question) -> (BTreeSet<Position>, u32) {
        let (mut candidates, mut unread) = (BTreeSet::new(), 0);
        for pseudonym in question.pseudonyms.iter().flat_map(|set| &set.pseudonyms) {
            let mut feeds: BTreeMap<FeedNo, Vec<Position>> = BTreeMap::new();
            for position in self.store.positions(pseudonym) {
                feeds.entry(position.feed()).or_default().push(position);
            }
            let each = (MAX_POSTINGS_READ / feeds.len().max(1)).max(MIN_READ_PER_FEED);
            for mut positions in feeds.into_values() {
                positions.sort_unstable();
                let skipped = positions.len().saturating_sub(each);
                unread += u32::try_from(skipped).unwrap_or(u32::MAX);
                candidates.extend(&positions[skipped..]);
            }
        }
        (candidates, unread)
    }

    /// Compares whole pseudonyms; `None` where only the index's short form agreed, or the signal was withdrawn since.
    fn match_of(&self, question: &Question, record: SignalRecord, roster: &Roster) -> Option<SignalMatch> {
        let matched = matched_identifiers(question, &record, roster);
        if matched.is_empty() || record.status == SignalStatus::Withdrawn {
            return None;
        }
        let strong = matched.iter().any(|m| m.strength == Strength::Strong);
        let member = &record.signal.feed.member;
        Some(SignalMatch {
            own: member == self.directory.member(),
            quarantined: self.store.feed_state(&record.signal.feed) == FeedState::Quarantined,
            counts: strong && roster.is_active(member),
            matched,
            record,
        })
    }

    fn sum_up(&self, found: Found, freshness: Arc<FreshnessRecord>) -> Answer {
        let mut matches = found.matches;
        let members: BTreeSet<&MemberId> =
            matches.iter().filter(|m| m.counts && !m.own).map(|m| &m.record.signal.feed.member).collect();
        let members_elsewhere = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let verdict = verdict_of(&matches);
        let weight = |m: &SignalMatch| (m.counts, m.record.status == SignalStatus::Confirmed, m.record.recorded_at);
        matches.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.record.signal.cmp(&b.record.signal)));
        let cut = matches.len().saturating_sub(MAX_MATCHES);
        matches.truncate(MAX_MATCHES);
        Answer {
            reference: Err(StoreError::Closed),
            checked_at: self.clock.now(),
            verdict,
            members_elsewhere,
            matches,
            omitted: found.unread.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX)),
            freshness,
        }
    }

    /// Reads an earlier answer again, as it was given.
    ///
    /// # Errors
    /// [`ScreenError::NoSuchCheck`].
    pub fn past_check(&self, reference: CheckReference) -> Result<PastCheck, ScreenError> {
        let record = self.store.check(&reference)?.ok_or(ScreenError::NoSuchCheck)?;
        let mut matches = Vec::with_capacity(record.matches.len());
        for past in &record.matches {
            let Some(now) = read_signal(&self.store, past.signal.clone())? else { continue };
            matches.push(past_match(past, now, &record.kinds, self.directory.member()));
        }
        let answer = Answer {
            reference: Ok(reference),
            checked_at: record.checked_at,
            verdict: record.verdict,
            members_elsewhere: record.members_elsewhere,
            matches,
            omitted: record.omitted,
            freshness: record.freshness,
        };
        Ok(PastCheck { answer, kinds: record.kinds })
    }
}

/// The rule of [`Verdict`].
fn verdict_of(matches: &[SignalMatch]) -> Verdict {
    match matches.iter().filter(|m| m.counts).map(|m| m.record.status).max_by_key(|s| *s == SignalStatus::Confirmed) {
        None => Verdict::NoneKnown,
        Some(SignalStatus::Confirmed) => Verdict::Confirmed,
        Some(SignalStatus::Alleged | SignalStatus::Withdrawn) => Verdict::Alleged,
    }
}

fn matched_identifiers(question: &Question, record: &SignalRecord, roster: &Roster) -> Vec<MatchedIdentifier> {
    let names = |at: usize, kind: IdentifierKind| {
        question.pseudonyms.iter().any(|asked| {
            let Some(pseudonym) = asked.pseudonyms.get(at) else { return false };
            record
                .content
                .pseudonyms
                .iter()
                .filter(|held| held.key == asked.key)
                .any(|held| held.pseudonyms.iter().zip(&record.content.kinds).any(|(p, k)| *k == kind && p == pseudonym))
        })
    };
    let asked = question.asked.iter().enumerate().filter(|(at, (_, kind))| names(*at, *kind));
    asked.map(|(_, (index, kind))| MatchedIdentifier { index: *index, kind: *kind, strength: roster.strength(*kind) }).collect()
}

fn record_of(question: Question, answer: &Answer) -> CheckRecord {
    let by = |m: &SignalMatch, strength| m.matched.iter().filter(|i| i.strength == strength).map(|i| i.index).collect();
    let matched = |m: &SignalMatch| MatchRecord {
        signal: m.record.signal.clone(),
        status: m.record.status,
        strong: by(m, Strength::Strong),
        weak: by(m, Strength::Weak),
        quarantined: m.quarantined,
        counts: m.counts,
    };
    CheckRecord {
        checked_at: answer.checked_at,
        kinds: question.asked.iter().map(|(_, kind)| *kind).collect(),
        pseudonyms: question.pseudonyms,
        verdict: answer.verdict,
        members_elsewhere: answer.members_elsewhere,
        omitted: answer.omitted,
        matches: answer.matches.iter().map(matched).collect(),
        freshness: answer.freshness.clone(),
    }
}

/// A match as it was answered: what a signal says never changes, what it was then is in the record.
fn past_match(past: &MatchRecord, now: SignalRecord, kinds: &[IdentifierKind], own: &MemberId) -> SignalMatch {
    let identifier = |index: &u32, strength| {
        let kind = usize::try_from(*index).ok().and_then(|i| kinds.get(i)).copied();
        kind.map(|kind| MatchedIdentifier { index: *index, kind, strength })
    };
    let strong = past.strong.iter().filter_map(|i| identifier(i, Strength::Strong));
    let weak = past.weak.iter().filter_map(|i| identifier(i, Strength::Weak));
    SignalMatch {
        matched: strong.chain(weak).collect(),
        own: now.signal.feed.member == *own,
        quarantined: past.quarantined,
        counts: past.counts,
        record: SignalRecord { status: past.status, retraction: None, ..now },
    }
}
