//! Countermark: the node of an anti-counterfeiting alliance.

#![forbid(unsafe_code)]

pub mod domain;
pub mod feed;
pub mod pseudonym;
pub mod replication;
pub mod rpc;
pub mod service;
pub mod store;
