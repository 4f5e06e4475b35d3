//! The words of the alliance as types, and every bound.
//!
//! What stands here has one meaning in proto, code, command line and documents. A value of one of these types is valid:
//! it was parsed once, where it came in, and is never checked again below. Nothing here does I/O, reads a clock or knows
//! another layer.

mod environment;
mod error;
mod identifier;
pub mod limits;
mod names;
mod role;
mod roster;
mod signal;
mod statement;
mod time;
mod verdict;
mod vocabulary;

pub use environment::{Clock, Entropy, EntropyError};
pub use error::FieldError;
pub use identifier::{Identifier, IdentifierKind, KeyState, Pseudonym, PseudonymSet, Strength};
pub use names::{AllianceName, Audience, ClientName, FeedId, GroupName, KeyId, MemberId, PlatformId, Seq, SignalRef};
pub use role::Role;
pub use roster::{FeedKey, Group, Member, MemberKind, MemberState, Platform, Policy, Roster, RosterKey, Scheme};
pub use signal::{Retraction, RetractionReason, SignalContent, SignalStatus, Submission, SubmissionId, SubmissionTag};
pub use statement::{
    Action, Currency, Evidence, EvidenceGrade, EvidenceKind, GoodsValue, Gtin, Infringement, Product, ProductClass, Region,
    Sha256Digest, Sighting, Statement, parse_day,
};
pub use time::Timestamp;
pub use verdict::Verdict;
