//! Countermark: the node of an anti-counterfeiting alliance.

#![forbid(unsafe_code)]

pub mod alliance;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod feed;
pub mod membership;
pub mod pseudonym;
pub mod replication;
pub mod rpc;
pub mod service;
pub mod store;
pub mod telemetry;
