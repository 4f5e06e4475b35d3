//! Nodes of an alliance that run in this process or as programs, over real mutual TLS on loopback: what members and clients see of them.

#[path = "../cluster/mod.rs"]
mod cluster;

mod alliance;
mod audit;
mod backup;
mod case_handler;
mod cases;
mod ceremonies;
mod doctor;
mod foreign;
mod holders;
mod monitoring;
mod refusals;
mod rings;
mod secrecy;
mod thief;
mod upgrade;
mod versions;
mod wire;
