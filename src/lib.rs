//! Countermark: the node of an anti-counterfeiting alliance.

#![forbid(unsafe_code)]

pub mod config;
pub mod domain;
pub mod feed;
pub mod pseudonym;
pub mod rpc;
pub mod store;
pub mod telemetry;
