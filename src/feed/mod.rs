//! Entries, trees, checkpoints.
pub mod wire;
