//! A span of every call on either listener, for a collector of traces.
//!
//! It is part of its caller's trace where the caller is a client of the member and names one; what other members' nodes say of theirs is
//! not read, and they are told of none, so that nobody links what happens at two members. Without the feature `otel` there are no spans.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod traced;

#[cfg(not(feature = "otel"))]
pub(super) use absent::CallSpan;
#[cfg(feature = "otel")]
pub(super) use traced::CallSpan;
