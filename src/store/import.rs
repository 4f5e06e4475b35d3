use std::sync::Arc;

use crate::domain::{FeedId, Seq};
use crate::feed::{BatchError, Entry, Frontier, Leaf, NotUnderstood, SignedCheckpoint, verify_batch};

/// A batch of another member's feed that was verified against its checkpoint: there is no other way to make one.
pub struct Import {
    pub(super) feed: FeedId,
    pub(super) start: Seq,
    pub(super) entries: Vec<(Leaf, Result<Arc<Entry>, NotUnderstood>)>,
    pub(super) checkpoint: SignedCheckpoint,
    frontier: Frontier,
}

impl Import {
    /// Verifies that `leaves` follow what `frontier` covers and end at `checkpoint`, and decodes them.
    ///
    /// # Errors
    /// See [`verify_batch`].
    pub fn verify(frontier: &Frontier, leaves: Vec<Leaf>, checkpoint: SignedCheckpoint) -> Result<Self, BatchError> {
        let grown = verify_batch(frontier, &leaves, &checkpoint)?;
        let decoded = leaves.into_iter().map(|leaf| {
            let entry = leaf.read().map(Arc::new);
            (leaf, entry)
        });
        Ok(Self {
            feed: checkpoint.checkpoint().feed.clone(),
            start: frontier.size(),
            entries: decoded.collect(),
            checkpoint,
            frontier: grown,
        })
    }

    /// The feed's frontier after the batch.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}
