//! The words of the alliance as types, and every bound.
//!
//! What stands here has one meaning in proto, code, command line and documents. A value of one of these types is valid:
//! it was parsed once, where it came in, and is never checked again below. Nothing here does I/O, reads a clock or knows
//! another layer.

mod allowance;
mod audit;
mod calendar;
mod case;
mod environment;
mod error;
mod evaluation;
mod identifier;
pub mod limits;
mod marker;
mod names;
mod policy;
mod rates;
mod referral;
mod role;
mod roster;
mod sharing;
mod signal;
pub mod spans;
mod statement;
mod threshold;
mod time;
mod verdict;
mod version;
mod vocabulary;
mod watch;

pub use allowance::Allowance;
pub use audit::{Actor, AuditKind, AuditRecord};
pub use calendar::{Calendar, DayOfWeek};
pub use case::{Amendment, AnswerStep, CaseTag, Change, Decision, Dispute, DisputeGround, DisputeOutcome, Opinion, Stance};
pub use environment::{Clock, Entropy, EntropyError};
pub use error::FieldError;
pub use evaluation::{Charge, Charged, Usage};
pub use identifier::{Identifier, IdentifierKind, KeyState, Pseudonym, PseudonymSet, Strength};
pub use marker::{Marker, MarkerKind, MarkerLift, MarkerReason, Subject};
pub use names::{AllianceName, Audience, ClientName, FeedId, GroupName, KeyId, MemberId, PlatformId, Seq, SignalRef};
pub use policy::{AnswerPolicy, EvaluationPolicy, MarkerPolicy, MemberBudget, Policy, RetentionRule, VerdictPolicy};
pub use rates::{Rate, Rates};
pub use referral::{LeadId, Referral, ReferralStage, Sentence};
pub use role::Role;
pub use roster::{FeedKey, Group, Member, MemberKind, MemberState, Platform, Roster, RosterKey, Scheme};
pub use sharing::{GroupElement, HolderIndex, KeyClass, KeyHolder, SharedClass, SharedGeneration, Sharing};
pub use signal::{
    Erasure, ErasureProgress, ErasureReason, Rekeying, Retraction, RetractionReason, SignalContent, SignalStatus, Submission,
    SubmissionId, SubmissionTag,
};
pub use statement::{
    Action, Currency, Evidence, EvidenceGrade, EvidenceKind, GoodsState, GoodsValue, Gtin, Infringement, Product, ProductClass,
    Region, Sha256Digest, Sighting, Statement, parse_day,
};
pub use threshold::{Threshold, Thresholds};
pub use time::Timestamp;
pub use verdict::{Circumstances, Judgment, Reason, Testimony, Verdict, judge};
pub use version::NodeVersion;
pub use watch::{Alert, AlertId, AlertKind, Standing, Watch, WatchId};
