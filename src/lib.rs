//! Countermark: the node of an anti-counterfeiting alliance.

#![forbid(unsafe_code)]

pub mod cli;
pub mod domain;
pub mod feed;
pub mod rpc;
