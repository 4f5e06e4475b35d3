//! What came of handing a lead to an authority.

use jiff::civil::Date;

use super::case::validate_signals;
use super::vocabulary::vocabulary;
use super::{Audience, FieldError, GoodsValue, Region, SignalRef, Statement};

/// 16 bytes by which the entries about one lead belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadId(pub [u8; 16]);

/// How far a lead has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referral {
    /// Which lead.
    pub lead: LeadId,
    /// How far.
    pub stage: ReferralStage,
    /// The signals that it rests on, 1 to 64, where it is identified or referred; none later.
    pub signals: Vec<SignalRef>,
    /// Where.
    pub region: Option<Region>,
    /// To whom; 1 to 120 characters.
    pub authority: Option<String>,
    /// Of a conviction.
    pub sentence: Option<Sentence>,
    /// When, UTC; `None` for the day on which it was recorded.
    pub happened_on: Option<Date>,
    /// What the goods came to.
    pub goods_value: Option<GoodsValue>,
}

impl Referral {
    /// Checks what no single field can, and that nothing lies after `today` (with a day for time zones).
    ///
    /// # Errors
    /// The first field that is out of bounds for a feed of `audience`.
    pub fn validate(&self, audience: &Audience, today: Date) -> Result<(), FieldError> {
        if self.stage.names_signals() {
            validate_signals(&self.signals, audience)?;
        } else if !self.signals.is_empty() {
            return Err(FieldError::new(
                "SIGNAL_COUNT",
                "signals",
                "signals are named when a lead is identified or referred, and not again",
            ));
        }
        if self.sentence.is_some() && self.stage != ReferralStage::Convicted {
            return Err(FieldError::new("SENTENCE_UNFIT", "sentence", "a sentence goes with a conviction"));
        }
        Statement::validate_text("authority", self.authority.as_deref())?;
        if let Some(value) = &self.goods_value {
            value.validate().map_err(|e| e.inside("goods_value"))?;
        }
        Statement::validate_day("happened_on", self.happened_on, today)
    }
}

vocabulary! {
    /// How far a referral to an authority has come.
    ReferralStage, "stage", "REFERRAL_STAGE_UNKNOWN";
    /// Handed over.
    Referred = 1, "referred";
    /// The authority took it up.
    Accepted = 2, "accepted";
    /// It did not.
    NotAccepted = 3, "not_accepted";
    /// Somebody was arrested.
    Arrested = 4, "arrested";
    /// Somebody was convicted.
    Convicted = 5, "convicted";
    /// Nobody was.
    Acquitted = 6, "acquitted";
    /// A member found it, and has handed it to nobody yet.
    Identified = 7, "identified";
    /// It is followed no further.
    Dropped = 8, "dropped";
}

impl ReferralStage {
    /// Whether a lead can come to this after `before`; `None` for one that is new. A lead may have several defendants, and a judgment
    /// be changed on appeal, so what courts do may follow itself.
    #[must_use]
    pub const fn follows(self, before: Option<Self>) -> bool {
        let Some(before) = before else { return self.names_signals() };
        match before {
            Self::Identified => matches!(self, Self::Referred | Self::Dropped),
            Self::Referred => matches!(self, Self::Accepted | Self::NotAccepted | Self::Dropped),
            Self::NotAccepted => matches!(self, Self::Referred | Self::Dropped),
            Self::Accepted | Self::Arrested => {
                matches!(self, Self::Arrested | Self::Convicted | Self::Acquitted | Self::Dropped)
            }
            Self::Convicted | Self::Acquitted => matches!(self, Self::Arrested | Self::Convicted | Self::Acquitted),
            Self::Dropped => false,
        }
    }

    /// Whether somebody has to do something yet.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Identified | Self::Referred | Self::Accepted | Self::Arrested)
    }

    /// Whether an entry of this stage says which signals the lead rests on.
    #[must_use]
    pub const fn names_signals(self) -> bool {
        matches!(self, Self::Identified | Self::Referred)
    }
}

vocabulary! {
    /// What a court imposed.
    Sentence, "sentence", "SENTENCE_UNKNOWN";
    /// A fine.
    Fine = 1, "fine";
    /// A sentence on probation.
    Suspended = 2, "suspended";
    /// Detention.
    Detention = 3, "detention";
    /// Imprisonment.
    Imprisonment = 4, "imprisonment";
    /// Anything else.
    Other = 5, "other";
}
