//! What nodes promise, tried where everything goes wrong that can: disks that fail at every step, and whole alliances among cut
//! links, crashes and liars, whose every run is told by one number.

mod alliance;
mod cases;
mod dice;
mod lies;
mod net;
mod node;
mod plan;
mod promises;
mod restoring;
mod runs;
mod steps;
mod trace;
mod words;
