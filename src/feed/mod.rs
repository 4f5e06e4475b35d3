//! What a feed is: the bytes of its entries, the tree over them, the signed checkpoints, and what the entries come to.
//!
//! A member encodes an [`Entry`] once, as [`EntryBytes`]; from then on every node keeps, sends and hashes those same opaque
//! bytes. Their leaf hashes form an RFC 6962 tree, of which a node holds the [`Frontier`]; the member signs the root of each
//! durable batch as a [`SignedCheckpoint`]. A follower recomputes the root with [`verify_batch`] before it stores a byte. Two
//! signed histories that do not agree make a [`ForkProof`]. What a feed says now is a [`FeedView`]: a pure fold over its
//! entries, so every node that holds the same entries arrives at the same view.
//!
//! This layer does no I/O, reads no clock, draws no randomness of its own, and knows nothing of gRPC or the store. It never
//! encodes a message again to check a signature. Nothing that a peer sends makes it panic, and everything that a peer can grow
//! has a bound in [`crate::domain::limits`].
//!
//! In reading order: hash, frontier and inclusion (the tree), signing key and note (the signature), checkpoint, batch, fork, receipt and roster
//! (what is signed), entry with codec and statement (the bytes), content (what a submission says), view (what a feed
//! comes to), life (what a signal comes to, with the entries of all feeds about it), lead (what a lead comes to), audit
//! (a node's own log).

mod audit;
mod batch;
mod bodies;
mod ceremony;
mod checkpoint;
mod codec;
mod content;
mod entry;
mod evaluation;
#[cfg(test)]
pub(crate) mod fixtures;
mod fork;
mod frontier;
mod hash;
mod inclusion;
mod lead;
mod life;
mod note;
mod receipt;
mod roster;
mod sharing;
mod signing_key;
mod statement;
mod transcript;
mod view;
pub mod wire;

pub use audit::{AuditHead, audit_time, decode_audit, encode_audit};
pub use batch::{BatchError, verify_batch};
pub use bodies::{entry_name_from_wire, required_word, stance_from_wire, stance_to_wire, validity_from_wire};
pub use ceremony::{CeremonyPart, Round};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use codec::{EncodeError, NotUnderstood, decode, encode};
pub use content::{are_comparable, content_digest, same_content};
pub use entry::{Body, Entry, EntryBytes, EntryBytesError, Leaf};
pub use evaluation::EvaluationReceipt;
pub use fork::{ForkProof, ForkProofError};
pub use frontier::{Frontier, FrontierError};
pub use hash::{Hash, HashLengthError, leaf_hash, node_hash, sha256};
pub use inclusion::{InclusionPath, ProofError, verify_proof, write_proof};
pub use lead::{Lead, LeadOutline, LeadStep, counting};
pub use life::{Amended, DisputeEnd, Disputed, Life, Note, Opined, Told, life, marker_holds};
pub use note::{NoteError, decimal, open_note, sign_note, verifier_key};
pub use receipt::{ErasureReceipt, ReceiptError};
pub use roster::{Replacement, RosterError, SignedRoster, supersede};
pub use sharing::{join_sharing, open_sharing, sign_sharing, verify_sharing};
pub use signing_key::{KeyError, SigningKey};
pub use statement::{
    change_from_wire, change_to_wire, day_from_wire, digests_from_wire, digests_to_wire, evidence_list_from_wire,
    evidence_to_wire, goods_value_to_wire, signals_from_wire, statement_from_wire, statement_to_wire, word as optional_word,
};
pub use view::{
    Effect, FeedView, FoldError, KeyedSignal, Keying, Rekeyed, ResumeError, Since, ViewDigest, ViewTotals, rekeyings_at,
    signal_digest,
};
