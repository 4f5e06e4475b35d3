//! Nodes with real stores, real serving and real following, joined in memory: no sockets, and switches for everything that can
//! go wrong on the way.

mod board;
mod erasing;
mod faults;
mod forks;
mod membership;
mod random;
mod spread;
mod streams;
mod world;
