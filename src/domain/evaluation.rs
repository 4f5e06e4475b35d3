//! What a key holder counts: how much of a shared key each member has used.

use super::{KeyClass, KeyId, MemberId};

/// What one request for evaluations takes from a member's budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Who asks.
    pub member: MemberId,
    /// Under which key.
    pub key: KeyId,
    /// For which class of identifiers.
    pub class: KeyClass,
    /// The holder's day, in days since 1970-01-01 UTC.
    pub day: u32,
    /// Elements that are to be evaluated, those that only fill up too.
    pub count: u32,
    /// Evaluations that the member has that day.
    pub budget: u64,
    /// The member's own name for the request: the same again costs nothing.
    pub request: [u8; 16],
    /// SHA-256 of what is asked, by which it is seen that it is the same.
    pub digest: [u8; 32],
}

/// What became of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// It may be computed; so much of the day's budget is used.
    Granted {
        /// With this request.
        spent: u64,
    },
    /// The budget does not suffice; nothing was charged.
    Over {
        /// Without this request.
        spent: u64,
    },
    /// Another request had this name.
    Reused,
}

/// What a member has used of a key on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// In days since 1970-01-01 UTC, by the holder's clock.
    pub day: u32,
    /// Under which key.
    pub key: KeyId,
    /// For which class of identifiers.
    pub class: KeyClass,
    /// Who asked.
    pub member: MemberId,
    /// Elements that were evaluated.
    pub evaluations: u64,
    /// In so many requests.
    pub requests: u64,
}
