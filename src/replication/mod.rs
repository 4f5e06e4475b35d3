//! How feeds reach every member of their audience.
//!
//! Every node pulls. For each other member there is one task that dials its node, follows feeds on one stream, and dials again
//! for ever; a planner says which feed is followed at which peer, so that nothing is fetched twice and what an absent member
//! signed comes from whoever has it. A peer's word is believed where a signature carries it and nowhere else: every batch is
//! hashed against a signed root before it is stored, every head is compared with what is held, and two signed histories
//! that contradict each other become evidence that travels to all.
//!
//! This layer knows nothing of gRPC, sockets or certificates: it asks a [`Dialer`] for a [`Link`], and is driven by whoever
//! accepts streams through [`serve`]. It never writes to this member's own feeds but in
//! a recovery that the operator asked for, never serves a feed outside its audience,
//! and never overwrites what was stored. All of its channels are bounded, and all of its tasks are joined.
//!
//! In reading order: link (the way to a peer), reader (the store as it is read here), serve (what peers get), plan (who is
//! asked for what), judge (whom to believe), board (what is known of each peer), own (when own feeds
//! may be written to), upkeep (what equals ask each other), session (one connection), follow (all of them).

mod board;
mod error;
mod follow;
mod judge;
mod link;
mod own;
mod pace;
mod plan;
mod reader;
mod serve;
mod session;
mod upkeep;

pub use board::{Failure, PeerErrors, PeerStatus};
pub use error::{Misbehaviour, ServeError, SessionError};
pub use follow::{Replicator, Setup};
pub use link::{Dialer, FollowCommand, FollowEvent, FollowStream, ForkParts, Heads, Link, LinkError, Refusal, Traffic, Word};
pub use own::OwnFeeds;
pub use pace::Pace;
pub use reader::{Held, Reader, heads_digest};
pub use serve::{ServeContext, serve};

use crate::membership::{Directory, DirectoryError, Liveness};

#[cfg(test)]
mod tests;
