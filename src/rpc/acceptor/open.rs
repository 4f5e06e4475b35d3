use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::PeerInfo;

/// The connections of a listener that are open now.
///
/// TLS looks at a certificate once, and streams between nodes live for months. So whoever replaces a revocation list or a
/// roster calls [`OpenConnections::close_where`] after it: no connection outlives the right that it was opened by.
#[derive(Debug, Clone, Default)]
pub struct OpenConnections(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By their number, hence in the order in which they came.
    open: BTreeMap<u64, PeerInfo>,
}

impl OpenConnections {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().open.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Closes every connection of which `unwanted` is true, and says how many. Calls under way on them fail; work that was
    /// acknowledged stays.
    pub fn close_where(&self, unwanted: impl Fn(&PeerInfo) -> bool) -> usize {
        let table = self.0.lock();
        let closed = table.open.values().filter(|peer| unwanted(peer));
        closed.map(|peer| peer.close.cancel()).count()
    }

    /// Notes a connection. Where its identity would then have more than `most`, its oldest one closes: the newest is the one
    /// that its owner knows of, while an old one may hang on a line that is broken.
    pub(super) fn register(&self, peer: PeerInfo, most: usize) -> Registration {
        let mut table = self.0.lock();
        let same = table.open.values().filter(|open| open.identity == peer.identity && !open.close.is_cancelled());
        let same: Vec<&CancellationToken> = same.map(|open| &open.close).collect();
        let excess = (same.len() + 1).saturating_sub(most);
        same.iter().take(excess).for_each(|oldest| oldest.cancel());
        if excess > 0 {
            tracing::warn!(code = "CONNECTION_REPLACED", identity = %peer.identity, most, "an older connection of the same caller was closed");
        }
        let id = table.next;
        table.next += 1;
        table.open.insert(id, peer);
        Registration { connections: self.clone(), id }
    }
}

/// A connection's place among the open ones; gives it up when dropped.
#[derive(Debug)]
pub(super) struct Registration {
    connections: OpenConnections,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.0.lock().open.remove(&self.id);
    }
}
