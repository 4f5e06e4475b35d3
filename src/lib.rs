//! Countermark: the node of an anti-counterfeiting alliance.
//!
//! A member's clients hand in signals and ask about sellers over gRPC. Identifiers become pseudonyms, a signal becomes an entry
//! of the member's own signed feed, feeds are pulled by the other members' nodes, and a question is answered from what is held.
//!
//! ```text
//! top           cli  daemon  config  telemetry  alliance     commands, a whole node, ceremonies
//!               population  archive                           made-up sellers, to measure and to show with; backups as files
//! edge          rpc                                           TLS, identity, services, generated types
//! use cases     service                                       submit, screen, read, withdraw
//! replication   replication                                   who is followed, where, and believed
//! membership    membership                                    the roster in force, who was heard
//! store         store                                         the durable log on sled, the index
//! pure          feed          pseudonym                       entries, tree, checkpoints; canonical forms, keys
//! words         domain                                        types, bounds
//! ```
//!
//! Imports point down only, and `tests/tidy.rs` keeps it so. What holds everywhere:
//!
//! - An identifier in the clear never leaves the process that was given it: it is in no file, log, error or message.
//! - What was acknowledged is on disk, forced there, under a checkpoint that its member signed.
//! - Nothing of another member is stored before it is verified, and nothing that was stored is ever overwritten.
//! - Member and role come from the verified certificate of a connection, never from a message.
//! - Whatever a peer or a client can make grow has a bound in [`domain::limits`].
//! - Everything but the feeds is derived from them and can be built anew.
//!
//! The clock, randomness and the environment are read at the top and handed down.

#![forbid(unsafe_code)]

pub mod domain;

pub mod feed;
pub mod pseudonym;

pub mod store;

pub mod membership;

pub mod replication;

pub mod service;

pub mod rpc;

pub mod alliance;
pub mod archive;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod population;
pub mod telemetry;
