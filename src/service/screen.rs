use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::blocking::{Panicked, contained, off_thread};
use super::freshness::KeptPicture;
use super::record::{Reader, SignalRecord};
use super::reference::{MAX_SEALED_MATCHES, Seal, digest};
use super::{AccuracyBoard, FreshnessBoard, LocalSecret, Pseudonymiser, Reference, SealedReference};
use crate::domain::limits::{CHECK_RETENTION, MAX_IDENTIFIERS, MAX_MATCHES, MAX_OWN_MATCHES};
use crate::domain::{
    Circumstances, Clock, FieldError, Identifier, IdentifierKind, Judgment, MemberId, PseudonymSet, Roster, SignalRef,
    SignalStatus, Stance, Standing, Strength, Subject, Testimony, Timestamp, Watch, judge,
};
use crate::membership::Directory;
use crate::pseudonym::{CanonicalIdentifier, PseudonymError};
use crate::store::{
    BriefCheck, CheckRecord, CheckReference, FeedState, FreshnessRecord, MatchRecord, PictureId, Store, StoreError,
};
use candidates::{Candidates, Chosen};
pub use marks::MarkerMatch;
use marks::Marks;
pub use overrides::OverrideMatch;

mod candidates;
mod listing;
mod marks;
mod overrides;

/// Answers questions about sellers from what this node holds.
pub struct Screener {
    store: Arc<Store>,
    directory: Arc<Directory>,
    pseudonymiser: Arc<Pseudonymiser>,
    freshness: Arc<FreshnessBoard>,
    accuracy: Arc<AccuracyBoard>,
    clock: Arc<dyn Clock>,
    seal: Seal,
}

impl Screener {
    /// Answers from `store`, and seals with a key that `secret` leads to.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        directory: Arc<Directory>,
        pseudonymiser: Arc<Pseudonymiser>,
        freshness: Arc<FreshnessBoard>,
        accuracy: Arc<AccuracyBoard>,
        clock: Arc<dyn Clock>,
        secret: &LocalSecret,
    ) -> Self {
        Self { store, directory, pseudonymiser, freshness, accuracy, clock, seal: Seal::new(secret) }
    }
}

/// What is known of a seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// By this it can be read again for 365 days; else why it could not be kept.
    pub reference: Result<Reference, StoreError>,
    /// When.
    pub checked_at: Timestamp,
    /// The summary, and why.
    pub judgment: Judgment,
    /// Members other than this one that flag by a strong identifier, undisputed. Exact even where matches are omitted.
    pub members_elsewhere: u32,
    /// Signals that match, those that count and weigh most first; own ones before those of others.
    pub matches: Vec<SignalMatch>,
    /// Signals that match beyond those; a lower bound where not all could be read.
    pub omitted: u32,
    /// Of those, this member's own.
    pub own_omitted: u32,
    /// What members say of the asked identifiers themselves.
    pub markers: Vec<MarkerMatch>,
    /// This member's own word about the seller.
    pub overrides: Vec<OverrideMatch>,
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
    /// It is weighed: live, by a strong identifier, and of a member that has not been expelled.
    pub counts: bool,
    /// A member vouches for every strong identifier by which it matches.
    covered: bool,
    /// It was stated of another seller, and matches by what its member said of it later alone.
    turned: bool,
}

impl SignalMatch {
    /// It is weighed, and nobody denies it.
    fn flags(&self) -> bool {
        self.counts && self.record.status != SignalStatus::Disputed
    }
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
    /// The look-up ended with a panic.
    #[error(transparent)]
    Panicked(#[from] Panicked),
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
            Self::Panicked(error) => error.code(),
            Self::NoSuchCheck => "CHECK_NOT_FOUND",
        }
    }
}

/// A question in the form that is looked up and recorded.
struct Question {
    row: usize,
    /// Kind of each identifier, in its place.
    kinds: Vec<IdentifierKind>,
    /// Place and kind of each distinct identifier, in the order of the pseudonyms.
    asked: Vec<(u32, IdentifierKind)>,
    pseudonyms: Vec<PseudonymSet>,
}

impl Question {
    fn of(row: usize, identifiers: &[Identifier], canonical: &[(u32, CanonicalIdentifier)]) -> Self {
        Self {
            row,
            kinds: identifiers.iter().map(|identifier| identifier.kind).collect(),
            asked: canonical.iter().map(|(place, form)| (*place, form.kind())).collect(),
            pseudonyms: Vec::new(),
        }
    }

    /// Whether the subject has the asked identifier at this place, under any key.
    fn is_named(&self, at: usize, subject: Subject<'_>) -> bool {
        let Some((_, kind)) = self.asked.get(at) else { return false };
        let under_key = |set: &PseudonymSet| set.pseudonyms.get(at).is_some_and(|asked| subject.names(&set.key, *kind, asked));
        self.pseudonyms.iter().any(under_key)
    }
}

/// Matches of one question, before they are cut to what one answer lists.
#[derive(Default)]
struct Found {
    own: Vec<SignalMatch>,
    elsewhere: Vec<SignalMatch>,
    own_unread: u32,
    elsewhere_unread: u32,
    markers: Vec<MarkerMatch>,
    overrides: Vec<OverrideMatch>,
    circumstances: Circumstances,
}

impl Screener {
    /// Answers questions together. One outcome for each, in order; a bad one does not touch its neighbours. Stops looking up
    /// soon after it is dropped.
    pub async fn check(self: &Arc<Self>, sellers: Vec<Vec<Identifier>>) -> Vec<Result<Answer, ScreenError>> {
        let mut outcomes: Vec<Option<Result<Answer, ScreenError>>> = sellers.iter().map(|_| None).collect();
        let (mut questions, mut forms) = (Vec::new(), Vec::new());
        for (row, identifiers) in sellers.into_iter().enumerate() {
            match self.canonical(&identifiers) {
                Ok(canonical) => {
                    questions.push(Question::of(row, &identifiers, &canonical));
                    forms.push(canonical.into_iter().map(|(_, form)| form).collect());
                }
                Err(error) => outcomes[row] = Some(Err(error.into())),
            }
        }
        match self.pseudonymiser.to_check(forms).await {
            Ok(sets) => {
                questions.iter_mut().zip(sets).for_each(|(question, sets)| question.pseudonyms = sets);
                for (row, answer) in self.answer(questions).await {
                    outcomes[row] = Some(answer);
                }
            }
            Err(error) => questions.iter().for_each(|question| outcomes[question.row] = Some(Err(error.clone().into()))),
        }
        outcomes.into_iter().map(|o| o.unwrap_or(Err(ScreenError::Panicked(Panicked)))).collect()
    }

    /// What a check of a watched seller would come to now, and a signal that bears on it. Reads entries.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub(super) fn standing_of(&self, watch: &Watch) -> Result<(Standing, Option<SignalRef>), StoreError> {
        let asked = (0..).zip(watch.kinds.iter().copied()).collect();
        let question = Question { row: 0, kinds: watch.kinds.clone(), asked, pseudonyms: watch.pseudonyms.clone() };
        let freshness = self.freshness.now();
        let found = self.read(&question, self.choose(&question, &freshness), &freshness)?;
        let answer = self.sum_up(found, self.clock.now(), freshness);
        let signal = answer.matches.iter().find(|found| found.counts).map(|found| found.record.signal.clone());
        Ok((Standing { verdict: answer.judgment.verdict, members: answer.members_elsewhere }, signal))
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
        self.accuracy.renew_beside();
        let (KeptPicture { record: freshness, id: picture }, now) = (self.freshness.kept().await, self.clock.now());
        for (question, found) in self.look_up(questions, &freshness).await {
            match found {
                Ok(found) => {
                    let mut answer = self.sum_up(found, now, freshness.clone());
                    let sealed = picture.as_ref().map(|picture| self.sealed(&question, &answer, *picture));
                    match sealed {
                        Ok(Some(sealed)) => {
                            answer.reference = Ok(sealed);
                            outcomes.push((question.row, Ok(answer)));
                        }
                        Ok(None) | Err(_) => answered.push((question.row, record_of(question, &answer), answer)),
                    }
                }
                Err(error) => outcomes.push((question.row, Err(error))),
            }
        }
        if answered.is_empty() {
            return outcomes;
        }
        let records = answered.iter().map(|(_, record, _)| record.clone()).collect();
        let references = match self.store.record_checks(records).await {
            Ok(references) => references.into_iter().map(|reference| Ok(Reference::Kept(reference))).collect(),
            // The answer stands without its record: reading goes on when nothing can be written.
            Err(error) => vec![Err(error); answered.len()],
        };
        outcomes.extend(
            answered.into_iter().zip(references).map(|((row, _, answer), reference)| (row, Ok(Answer { reference, ..answer }))),
        );
        outcomes
    }

    /// The reference of an answer that is short enough to be kept in it.
    fn sealed(&self, question: &Question, answer: &Answer, picture: PictureId) -> Option<Reference> {
        if answer.omitted > 0 || answer.matches.len() > MAX_SEALED_MATCHES {
            return None;
        }
        let check = BriefCheck {
            checked_at: answer.checked_at,
            as_of: answer.freshness.as_of,
            picture,
            kinds: question.kinds.clone(),
            pseudonyms: digest(&question.pseudonyms),
            judgment: answer.judgment.clone(),
            members_elsewhere: answer.members_elsewhere,
            matches: answer.matches.iter().map(match_record).collect(),
            number: self.seal.number(),
        };
        self.seal.seal(&check).map(Reference::Sealed)
    }

    /// What can be answered from memory is, on the spot; the rest reads entries, off the asynchronous threads.
    async fn look_up(
        self: &Arc<Self>,
        questions: Vec<Question>,
        freshness: &Arc<FreshnessRecord>,
    ) -> Vec<(Question, Result<Found, ScreenError>)> {
        let (mut found, mut rest) = (Vec::with_capacity(questions.len()), Vec::new());
        for question in questions {
            let named = question.pseudonyms.iter().flat_map(|s| &s.pseudonyms).any(|p| self.store.is_named(p));
            let spoken_of = Marks::are_likely(&self.store, &question) || self.has_own_word(&question);
            if !named && !spoken_of {
                found.push((question, Ok(Found::default())));
                continue;
            }
            let chosen = self.choose(&question, freshness);
            if !spoken_of && chosen.is_at_hand(&self.store) {
                let read = self.read(&question, chosen, freshness).map_err(ScreenError::from);
                found.push((question, read));
            } else {
                rest.push((question, chosen));
            }
        }
        if rest.is_empty() {
            return found;
        }
        let abandoned = CancellationToken::new();
        let _abandons_when_dropped = abandoned.clone().drop_guard();
        let (this, freshness) = (self.clone(), freshness.clone());
        let read = off_thread(move || this.read_all(rest, &freshness, &abandoned)).await;
        found.extend(read.unwrap_or_default());
        found
    }

    /// Nobody waits for the rest once `abandoned` is cancelled.
    fn read_all(
        &self,
        questions: Vec<(Question, Chosen)>,
        freshness: &FreshnessRecord,
        abandoned: &CancellationToken,
    ) -> Vec<(Question, Result<Found, ScreenError>)> {
        let read = |(question, chosen): (Question, Chosen)| {
            let found = contained(|| self.read(&question, chosen, freshness));
            let found = found.map_err(ScreenError::from).and_then(|found| found.map_err(ScreenError::from));
            (question, found)
        };
        questions.into_iter().take_while(|_| !abandoned.is_cancelled()).map(read).collect()
    }

    /// In memory: what the index names.
    fn choose(&self, question: &Question, freshness: &FreshnessRecord) -> Chosen {
        let signed = self.directory.roster();
        Candidates::of(&self.store, question, signed.roster(), freshness).choose(self.directory.member())
    }

    fn read(
        &self,
        question: &Question,
        Chosen { own, elsewhere }: Chosen,
        freshness: &FreshnessRecord,
    ) -> Result<Found, StoreError> {
        let reader = self.reader();
        let mut found = Found { own_unread: own.unread, elsewhere_unread: elsewhere.unread, ..Found::default() };
        let marks =
            if Marks::are_likely(&self.store, question) { Marks::of(question, &reader, freshness)? } else { Marks::default() };
        found.circumstances.vouched_for = marks.vouched_for();
        found.overrides = overrides::of(&self.store, question, reader.roster(), reader.now);
        for signal in own.read.into_iter().chain(elsewhere.read) {
            if let Some(record) = reader.signal(signal)? {
                self.take_match(question, record, &reader, &marks, &mut found);
            }
        }
        found.markers = marks.markers;
        Ok(found)
    }

    fn has_own_word(&self, question: &Question) -> bool {
        question.pseudonyms.iter().flat_map(|set| &set.pseudonyms).any(|pseudonym| self.store.is_overridden(pseudonym))
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.store, &self.directory, &*self.clock)
    }

    /// Compares whole pseudonyms: it is no match where only the index's short form agreed.
    fn take_match(&self, question: &Question, record: SignalRecord, reader: &Reader<'_>, marks: &Marks, found: &mut Found) {
        let mut matched = matched_identifiers(question, &record, reader.roster());
        if matched.is_empty() {
            return;
        }
        if !record.status.is_live() {
            if record.status == SignalStatus::Refuted && reader.roster().is_active(&record.signal.feed.member) {
                let digests = record.statement().evidence.iter().flat_map(|evidence| evidence.digests.iter().copied());
                found.circumstances.refuted.extend(digests);
            }
            return;
        }
        matched.iter_mut().for_each(|identifier| identifier.strength = marks.strength(identifier.index, identifier.strength));
        let strongest = matched.iter().map(|identifier| identifier.strength).max().unwrap_or(Strength::Void);
        let member = &record.signal.feed.member;
        let active = reader.roster().is_active(member);
        found.circumstances.victim_marked |= matched.iter().any(|identifier| identifier.strength == Strength::Void);
        found.circumstances.weak |= strongest == Strength::Weak && active;
        found.circumstances.expelled |= strongest == Strength::Strong && !active;
        let matched = SignalMatch {
            covered: marks.cover(&matched, member),
            turned: is_turned(question, &record),
            own: member == self.directory.member(),
            quarantined: self.store.feed_state(&record.signal.feed) == FeedState::Quarantined,
            counts: strongest == Strength::Strong && active,
            matched,
            record,
        };
        if matched.own { found.own.push(matched) } else { found.elsewhere.push(matched) }
    }

    /// Reads an earlier answer again, as it was given.
    ///
    /// # Errors
    /// [`ScreenError::NoSuchCheck`].
    pub async fn past_check(self: &Arc<Self>, reference: Reference) -> Result<PastCheck, ScreenError> {
        let this = self.clone();
        let read = move || match reference {
            Reference::Kept(reference) => this.read_past(reference),
            Reference::Sealed(sealed) => this.read_sealed(sealed),
        };
        off_thread(read).await?
    }

    fn read_sealed(&self, sealed: SealedReference) -> Result<PastCheck, ScreenError> {
        let check = self.seal.open(&sealed).ok_or(ScreenError::NoSuchCheck)?;
        if self.clock.now().since(check.checked_at) > CHECK_RETENTION {
            return Err(ScreenError::NoSuchCheck);
        }
        let picture = self.store.picture(check.picture)?.ok_or(ScreenError::NoSuchCheck)?;
        let answer = Answer {
            reference: Ok(Reference::Sealed(sealed)),
            checked_at: check.checked_at,
            judgment: check.judgment,
            members_elsewhere: check.members_elsewhere,
            matches: self.past_matches(&check.matches, &check.kinds)?,
            omitted: 0,
            own_omitted: 0,
            markers: Vec::new(),
            overrides: Vec::new(),
            freshness: Arc::new(picture.at(check.as_of)),
        };
        Ok(PastCheck { answer, kinds: check.kinds })
    }

    fn past_matches(&self, matches: &[MatchRecord], kinds: &[IdentifierKind]) -> Result<Vec<SignalMatch>, ScreenError> {
        let (reader, mut read) = (self.reader(), Vec::with_capacity(matches.len()));
        for past in matches {
            let Some(now) = reader.signal(past.signal.clone())? else { continue };
            read.push(past_match(past, now, kinds, self.directory.member()));
        }
        Ok(read)
    }

    fn read_past(&self, reference: CheckReference) -> Result<PastCheck, ScreenError> {
        let record = self.store.check(&reference)?.ok_or(ScreenError::NoSuchCheck)?;
        let matches = self.past_matches(&record.matches, &record.kinds)?;
        let answer = Answer {
            reference: Ok(Reference::Kept(reference)),
            checked_at: record.checked_at,
            judgment: record.judgment,
            members_elsewhere: record.members_elsewhere,
            matches,
            omitted: record.omitted,
            own_omitted: record.own_omitted,
            markers: Vec::new(),
            overrides: Vec::new(),
            freshness: record.freshness,
        };
        Ok(PastCheck { answer, kinds: record.kinds })
    }

    /// The verdict is drawn from all that was read; what one answer lists is chosen afterwards.
    fn sum_up(&self, found: Found, now: Timestamp, freshness: Arc<FreshnessRecord>) -> Answer {
        let members: BTreeSet<&MemberId> =
            found.elsewhere.iter().filter(|m| m.flags()).map(|m| &m.record.signal.feed.member).collect();
        let members_elsewhere = count(members.len());
        let signed = self.directory.roster();
        let testimonies: Vec<_> = found.own.iter().chain(&found.elsewhere).filter(|m| m.counts).map(testimony).collect();
        let policy = &signed.roster().policy.verdict;
        let weight_of = |member: &MemberId| self.accuracy.weight_percent(member, policy);
        let judgment = judge(&testimonies, &found.circumstances, policy, weight_of, now);
        let judgment = overrides::decide(judgment, &found);
        let (mut matches, own_cut) = listing::strongest(found.own, MAX_OWN_MATCHES, now);
        let (elsewhere, elsewhere_cut) = listing::of_every_member(found.elsewhere, MAX_MATCHES, now);
        matches.extend(elsewhere);
        let own_omitted = found.own_unread.saturating_add(count(own_cut));
        Answer {
            reference: Err(StoreError::Closed),
            checked_at: now,
            judgment,
            members_elsewhere,
            matches,
            omitted: own_omitted.saturating_add(found.elsewhere_unread).saturating_add(count(elsewhere_cut)),
            own_omitted,
            markers: found.markers,
            overrides: found.overrides,
            freshness,
        }
    }
}

/// What a verdict weighs of a match.
fn testimony(found: &SignalMatch) -> Testimony<'_> {
    let (record, statement) = (&found.record, found.record.statement());
    let epoch = jiff::civil::date(1970, 1, 1);
    let stated_day = statement.observed_on.and_then(|day| epoch.until(day).ok()).map(|span| i64::from(span.get_days()));
    let opinions = record.life.iter().flat_map(|life| &life.opinions);
    let agrees = opinions.filter(|opinion| !found.turned && matches!(opinion.stance, Stance::Agree(_)));
    Testimony {
        member: &record.signal.feed.member,
        status: record.status,
        infringement: statement.infringement,
        evidence: &statement.evidence,
        recorded_at: record.recorded_at,
        incident_day: stated_day.unwrap_or_else(|| record.recorded_at.unix_day()),
        derived: !statement.derived_from.is_empty(),
        covered: found.covered,
        agreed_by: agrees.map(|opined| &opined.opinion.feed.member).collect(),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn matched_identifiers(question: &Question, record: &SignalRecord, roster: &Roster) -> Vec<MatchedIdentifier> {
    let subjects = record.subjects();
    let matched =
        question.asked.iter().enumerate().filter(|(at, _)| subjects.iter().any(|subject| question.is_named(*at, *subject)));
    matched
        .map(|(_, (index, kind))| MatchedIdentifier { index: *index, kind: *kind, strength: roster.strength(*kind) })
        .collect()
}

/// Whether a signal that matches was stated of another seller, as a key shows under which it was stated and the question is asked:
/// under it the two have nothing in common. Where such a key is left, an honest rekeying matches only what the signal itself matches.
fn is_turned(question: &Question, record: &SignalRecord) -> bool {
    let stated = record.content.subject();
    let comparable = stated.pseudonyms.iter().any(|set| question.pseudonyms.iter().any(|asked| asked.key == set.key));
    comparable && !(0..question.asked.len()).any(|at| question.is_named(at, stated))
}

fn match_record(m: &SignalMatch) -> MatchRecord {
    let by = |strength| m.matched.iter().filter(|i| i.strength == strength).map(|i| i.index).collect();
    MatchRecord {
        signal: m.record.signal.clone(),
        status: m.record.status,
        strong: by(Strength::Strong),
        weak: by(Strength::Weak),
        void: by(Strength::Void),
        quarantined: m.quarantined,
        counts: m.counts,
    }
}

fn record_of(question: Question, answer: &Answer) -> CheckRecord {
    CheckRecord {
        checked_at: answer.checked_at,
        kinds: question.kinds,
        pseudonyms: question.pseudonyms,
        judgment: answer.judgment.clone(),
        members_elsewhere: answer.members_elsewhere,
        omitted: answer.omitted,
        own_omitted: answer.own_omitted,
        matches: answer.matches.iter().map(match_record).collect(),
        freshness: answer.freshness.clone(),
    }
}

/// A match as it was answered: what a signal was then is in the record; what was added to it since is shown too.
fn past_match(past: &MatchRecord, now: SignalRecord, kinds: &[IdentifierKind], own: &MemberId) -> SignalMatch {
    let identifier = |index: &u32, strength| {
        let kind = usize::try_from(*index).ok().and_then(|i| kinds.get(i)).copied();
        kind.map(|kind| MatchedIdentifier { index: *index, kind, strength })
    };
    let strong = past.strong.iter().filter_map(|i| identifier(i, Strength::Strong));
    let weak = past.weak.iter().filter_map(|i| identifier(i, Strength::Weak));
    let void = past.void.iter().filter_map(|i| identifier(i, Strength::Void));
    let mut matched: Vec<MatchedIdentifier> = strong.chain(weak).chain(void).collect();
    matched.sort_by_key(|identifier| identifier.index);
    SignalMatch {
        matched,
        own: now.signal.feed.member == *own,
        quarantined: past.quarantined,
        counts: past.counts,
        covered: false,
        turned: false,
        record: SignalRecord { status: past.status, retraction: None, ..now },
    }
}

#[cfg(test)]
mod tests;
