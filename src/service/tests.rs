//! The use cases over real stores: several members in one process, whose feeds are copied as a follower would.

mod audit;
mod bounds;
mod cases;
mod ceremonies;
mod erasing;
mod freshness;
pub(super) mod hall;
mod holders;
mod hostile_holders;
mod keys;
mod leads;
mod rekeying;
mod rings;
mod screening;
mod signals;
mod watches;
pub(super) mod world;
