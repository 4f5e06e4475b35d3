//! Proofs that an entry stands under a checkpoint (RFC 9162, section 2.1.3), for who has neither the feed nor a node.
//!
//! As text a proof carries its checkpoint and is complete in itself (C2SP tlog-proof, <https://c2sp.org/tlog-proof>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::hash::node_hash;
use super::note::decimal;
use super::{CheckpointError, Frontier, Hash, SignedCheckpoint};
use crate::domain::limits::{MAX_CHECKPOINT_BYTES, MAX_FRONTIER_HASHES};
use crate::domain::{AllianceName, FeedId, FeedKey, Seq};

/// First line of the text.
const HEADER: &str = "c2sp.org/tlog-proof@v1\n";
/// Bytes of the text: header, index, a base64 line for each hash of the path, a blank line and the checkpoint.
const MAX_PROOF_BYTES: usize = 256 + MAX_FRONTIER_HASHES * 48 + MAX_CHECKPOINT_BYTES;

/// The hashes that lead from a leaf to the root of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionPath {
    /// Which leaf, from 0.
    pub index: Seq,
    /// From the leaf's sibling upwards; at most 64.
    pub hashes: Vec<Hash>,
}

impl InclusionPath {
    /// The path of leaf `index` in the tree that `frontier` becomes with `leaves`; `None` where it is not among these.
    #[must_use]
    pub fn of(frontier: &Frontier, leaves: &[Hash], index: Seq) -> Option<Self> {
        if index < frontier.size() || index.since(frontier.size()) >= leaves.len() as u64 {
            return None;
        }
        let mut hashes = Vec::new();
        // Perfect subtrees, the widest first, each with whether the leaf is in it; as in the frontier.
        let mut subtrees: Vec<(Hash, bool)> = frontier.hashes().iter().map(|hash| (*hash, false)).collect();
        let mut join = |(left, in_left): (Hash, bool), (right, in_right): (Hash, bool)| {
            if in_left {
                hashes.push(right);
            } else if in_right {
                hashes.push(left);
            }
            (node_hash(&left, &right), in_left || in_right)
        };
        for (i, leaf) in leaves.iter().enumerate() {
            let at = frontier.size().plus(i);
            let carries = at.get().trailing_ones() as usize;
            let kept = subtrees.len().saturating_sub(carries);
            let carried = subtrees.drain(kept..).rev().collect::<Vec<_>>();
            let joined = carried.into_iter().fold((*leaf, at == index), |right, left| join(left, right));
            subtrees.push(joined);
        }
        let mut narrowest_first = subtrees.into_iter().rev();
        let narrowest = narrowest_first.next()?;
        narrowest_first.fold(narrowest, |right, left| join(left, right));
        Some(Self { index, hashes })
    }

    /// The root of the tree of `size` leaves in which `leaf` is at the end of this path; `None` where no such tree has it.
    #[must_use]
    pub fn root(&self, leaf: Hash, size: Seq) -> Option<Hash> {
        if self.index >= size {
            return None;
        }
        // RFC 9162, section 2.1.3.2.
        let (mut at, mut last, mut root) = (self.index.get(), size.get() - 1, leaf);
        for hash in &self.hashes {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                root = node_hash(hash, &root);
                while at & 1 == 0 && at != 0 {
                    (at, last) = (at >> 1, last >> 1);
                }
            } else {
                root = node_hash(&root, hash);
            }
            (at, last) = (at >> 1, last >> 1);
        }
        (last == 0).then_some(root)
    }
}

/// A proof as text.
#[must_use]
pub fn write_proof(path: &InclusionPath, checkpoint: &[u8]) -> String {
    let hashes: String = path.hashes.iter().map(|hash| BASE64.encode(hash.0) + "\n").collect();
    format!("{HEADER}index {}\n{hashes}\n{}", path.index, String::from_utf8_lossy(checkpoint))
}

/// Verifies that `leaf` stands at `index` of a feed as `text` says, and gives the checkpoint under which it does. `key_of` gives the
/// key of a feed's member.
///
/// # Errors
/// [`ProofError`].
pub fn verify_proof(
    text: &str,
    leaf: Hash,
    index: Seq,
    alliance: &AllianceName,
    key_of: impl FnOnce(&FeedId) -> Option<FeedKey>,
) -> Result<SignedCheckpoint, ProofError> {
    let (path, note) = read(text).ok_or(ProofError::Malformed)?;
    let signed = SignedCheckpoint::open(note, alliance, key_of)?;
    let checkpoint = signed.checkpoint();
    if path.index == index && path.root(leaf, checkpoint.size) == Some(checkpoint.root) {
        return Ok(signed);
    }
    Err(ProofError::NotIncluded)
}

fn read(text: &str) -> Option<(InclusionPath, Bytes)> {
    if text.len() > MAX_PROOF_BYTES {
        return None;
    }
    let (head, note) = text.strip_prefix(HEADER)?.split_once("\n\n")?;
    // What an application adds of its own says nothing about the tree.
    let mut lines = head.split('\n').peekable();
    lines.next_if(|line| line.starts_with("extra "));
    let index = Seq::new(decimal(lines.next()?.strip_prefix("index ")?)?);
    let hash = |line: &str| Hash::try_from(BASE64.decode(line).ok()?.as_slice()).ok();
    let hashes = lines.map(hash).collect::<Option<Vec<Hash>>>()?;
    Some((InclusionPath { index, hashes }, Bytes::copy_from_slice(note.as_bytes())))
}

/// Why a proof is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not in the form of a proof.
    #[error("not a proof of inclusion")]
    Malformed,
    /// Its checkpoint is not to be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not under the checkpoint.
    #[error("the entry is not the one that its member signed")]
    NotIncluded,
}

impl ProofError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "PROOF_MALFORMED",
            Self::Checkpoint(error) => error.code(),
            Self::NotIncluded => "PROOF_NOT_INCLUDED",
        }
    }
}

#[cfg(test)]
mod tests;
