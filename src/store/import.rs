use std::sync::Arc;

use crate::domain::{FeedId, Seq};
use crate::feed::{BatchError, Entry, EntryBytes, Frontier, NotUnderstood, SignedCheckpoint, decode, verify_batch};

/// A batch of another member's feed that was verified against its checkpoint: there is no other way to make one.
pub struct Import {
    pub(super) feed: FeedId,
    pub(super) start: Seq,
    pub(super) entries: Vec<(EntryBytes, Result<Arc<Entry>, NotUnderstood>)>,
    pub(super) checkpoint: SignedCheckpoint,
    frontier: Frontier,
}

impl Import {
    /// Verifies that `entries` follow what `frontier` covers and end at `checkpoint`, and decodes them.
    ///
    /// # Errors
    /// See [`verify_batch`].
    pub fn verify(frontier: &Frontier, entries: Vec<EntryBytes>, checkpoint: SignedCheckpoint) -> Result<Self, BatchError> {
        let grown = verify_batch(frontier, &entries, &checkpoint)?;
        let decoded = entries.into_iter().map(|bytes| {
            let entry = decode(&bytes).map(Arc::new);
            (bytes, entry)
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
