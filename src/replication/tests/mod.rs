//! Nodes with real stores, real serving and real following, joined in memory: no sockets, and switches for everything that can
//! go wrong on the way.

mod board;
mod erasing;
mod faults;
mod forks;
#[path = "../../../tests/cluster/log.rs"]
mod log;
mod membership;
mod random;
mod script;
mod serving;
mod sessions;
mod spread;
mod streams;
mod world;
