//! Countermark: the node of an anti-counterfeiting alliance.

#![forbid(unsafe_code)]

pub mod alliance;
pub mod domain;
pub mod feed;
pub mod rpc;
