//! What happens to a signal after it was stated: amendments, disputes and their decisions, other members' opinions.

use jiff::civil::Date;

use super::limits::{MAX_CASE_SIGNALS, MAX_EVIDENCE, MAX_REBUTTAL_DIGESTS};
use super::vocabulary::vocabulary;
use super::{Action, Audience, Evidence, EvidenceGrade, FieldError, GoodsValue, Seq, Sha256Digest, SignalRef, Statement};
use crate::domain::ReferralStage;

/// Adds to a signal of the same feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The signal; smaller than the amendment's own position.
    pub signal: Seq,
    /// What is added.
    pub change: Change,
}

/// What an amendment adds; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Further evidence, at most 16 pieces.
    pub evidence: Vec<Evidence>,
    /// Further actions, each at most once.
    pub actions: Vec<Action>,
    /// Takes the place of the goods' value.
    pub goods_value: Option<GoodsValue>,
    /// Takes the place of the day of the member's action.
    pub acted_on: Option<Date>,
    /// How far the seller's right to answer has come.
    pub step: Option<AnswerStep>,
    /// What came of a referral of this signal.
    pub outcome: Option<ReferralStage>,
}

impl Change {
    /// Whether a signal may rest on more with it than without, so that it may come to be confirmed.
    #[must_use]
    pub fn strengthens(&self) -> bool {
        self.evidence.iter().any(|evidence| evidence.grade == EvidenceGrade::Conclusive)
            || self.step == Some(AnswerStep::Unrefuted)
            || self.outcome == Some(ReferralStage::Convicted)
    }

    /// Checks counts, and that nothing lies before 1990 or after `today` (with a day for time zones).
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate(&self, today: Date) -> Result<(), FieldError> {
        self.validate_shape(today)?;
        Evidence::validate_grades(&self.evidence)
    }

    /// The same, but for what hangs on tables that change: which grade each kind of evidence can have.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn validate_shape(&self, today: Date) -> Result<(), FieldError> {
        if *self == Self::default() {
            return Err(FieldError::new("AMENDMENT_EMPTY", "", "say what is to be added to the signal"));
        }
        Evidence::validate_list(&self.evidence, 0)?;
        Statement::validate_actions(&self.actions)?;
        if let Some(value) = &self.goods_value {
            value.validate().map_err(|e| e.inside("goods_value"))?;
        }
        if matches!(self.outcome, Some(ReferralStage::Identified | ReferralStage::Dropped)) {
            let message = "give what came of a referral; a lead is identified and dropped with `leads`";
            return Err(FieldError::new("REFERRAL_STAGE_UNFIT", "outcome", message));
        }
        Statement::validate_day("acted_on", self.acted_on, today)
    }
}

vocabulary! {
    /// How far a seller's right to answer has come.
    AnswerStep, "step", "ANSWER_STEP_UNKNOWN";
    /// The seller was told, and may answer within the working days of the alliance's policy.
    SellerNotified = 1, "seller_notified";
    /// The time to answer has passed without a dispute.
    Unrefuted = 2, "unrefuted";
}

/// A seller's rebuttal of signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// Which, 1 to 64 of one audience, each once.
    pub signals: Vec<SignalRef>,
    /// What the seller says.
    pub ground: DisputeGround,
    /// SHA-256 of each piece that the seller handed in, at most 16.
    pub digests: Vec<Sha256Digest>,
    /// Stands for the reference that the seller was given.
    pub reference: CaseTag,
}

impl Dispute {
    /// # Errors
    /// The first field that is out of bounds for a feed of `audience`.
    pub fn validate(&self, audience: &Audience) -> Result<(), FieldError> {
        validate_signals(&self.signals, audience)?;
        validate_digests(&self.digests)
    }
}

/// 1 to 64 signals of `audience`, each once.
pub(super) fn validate_signals(signals: &[SignalRef], audience: &Audience) -> Result<(), FieldError> {
    let distinct: std::collections::BTreeSet<_> = signals.iter().collect();
    if !(1..=MAX_CASE_SIGNALS).contains(&signals.len()) || distinct.len() != signals.len() {
        return Err(FieldError::new("SIGNAL_COUNT", "signals", "give 1 to 64 signals, each once"));
    }
    match signals.iter().position(|signal| signal.feed.audience != *audience) {
        Some(i) => Err(other_audience(format!("signals[{i}]"))),
        None => Ok(()),
    }
}

pub(super) fn other_audience(field: impl Into<String>) -> FieldError {
    FieldError::new("AUDIENCE_DIFFERS", field, "name signals of one audience; what is said of them is for the same readers")
}

pub(super) fn validate_digests(digests: &[Sha256Digest]) -> Result<(), FieldError> {
    if digests.len() > MAX_REBUTTAL_DIGESTS {
        return Err(FieldError::new("EVIDENCE_COUNT", "sha256", "give at most 16 digests"));
    }
    Ok(())
}

vocabulary! {
    /// Why a signal is rebutted, or disagreed with.
    DisputeGround, "ground", "DISPUTE_GROUND_UNKNOWN";
    /// The goods are genuine.
    GenuineGoods = 1, "genuine_goods";
    /// The seller is licensed or authorised.
    Licensed = 2, "licensed";
    /// Another seller did it.
    MistakenIdentity = 3, "mistaken_identity";
    /// The seller's identity, licence or account was used by somebody else.
    StolenIdentity = 4, "stolen_identity";
    /// The right does not exist, has ended, or does not reach so far.
    NoRight = 5, "no_right";
    /// Anything else.
    Other = 6, "other";
}

/// 16 bytes that stand in a feed for the reference that a seller was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseTag(pub [u8; 16]);

/// Ends a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The entry with the dispute, of the same audience.
    pub dispute: SignalRef,
    /// How.
    pub outcome: DisputeOutcome,
    /// Signals of this feed that it is about, 1 to 64; none where the seller took the rebuttal back.
    pub signals: Vec<Seq>,
    /// That of the dispute, so that nobody can decide what is not recorded yet.
    pub reference: CaseTag,
}

impl Decision {
    /// # Errors
    /// The first field that is out of bounds for a feed of `audience`.
    pub fn validate(&self, audience: &Audience) -> Result<(), FieldError> {
        if self.dispute.feed.audience != *audience {
            return Err(other_audience("dispute"));
        }
        let distinct: std::collections::BTreeSet<_> = self.signals.iter().collect();
        let expected = if self.outcome == DisputeOutcome::TakenBack { 0..=0 } else { 1..=MAX_CASE_SIGNALS };
        if !expected.contains(&self.signals.len()) || distinct.len() != self.signals.len() {
            let message = "give 1 to 64 signals, each once; none where the seller took the rebuttal back";
            return Err(FieldError::new("SIGNAL_COUNT", "signal_seqs", message));
        }
        Ok(())
    }
}

vocabulary! {
    /// How a dispute ended.
    DisputeOutcome, "outcome", "DISPUTE_OUTCOME_UNKNOWN";
    /// The signal stands.
    Upheld = 1, "upheld";
    /// The seller was right: the signal counts for nothing.
    Refuted = 2, "refuted";
    /// The seller took the rebuttal back: as if there had been none.
    TakenBack = 3, "taken_back";
}

/// What a member thinks of another member's signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// Which, of the same audience.
    pub signal: SignalRef,
    /// What it thinks.
    pub stance: Stance,
}

/// Agreement needs own evidence, disagreement a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stance {
    /// Rests on 1 to 16 pieces.
    Agree(Vec<Evidence>),
    /// Makes the signal disputed in answers.
    Disagree(DisputeGround),
    /// Takes an earlier opinion back.
    None,
}

impl Opinion {
    /// # Errors
    /// The first field that is out of bounds for a feed of `audience`; `grades` are checked where a person hands it in.
    pub fn validate(&self, audience: &Audience, grades: bool) -> Result<(), FieldError> {
        if self.signal.feed.audience != *audience {
            return Err(other_audience("signal"));
        }
        let Stance::Agree(evidence) = &self.stance else { return Ok(()) };
        Evidence::validate_list(evidence, 1)?;
        if grades { Evidence::validate_grades(evidence) } else { Ok(()) }
    }
}

const _: () = assert!(MAX_EVIDENCE == 16, "the texts say so");
