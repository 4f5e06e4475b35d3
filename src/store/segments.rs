//! Segments that were read lately, unpacked: sellers who were flagged are asked about again and again, and what is handed in twice
//! is compared with what stands there.
//!
//! Only full segments are kept. They change where an entry is erased, and what was read from a commit that failed may be written
//! differently later: whoever erases, or opens the files anew, clears them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::engine::{Engine, EngineError};
use super::index::FeedNo;
use super::{keys, segment};
use crate::domain::Seq;
use crate::feed::Leaf;

/// Segments kept at most; each has a place of its own that it shares with many others.
const SLOTS: usize = 1_024;
/// Bytes of entries above which a segment is not kept, so that all together stay below 16 MiB. Usual ones have 4 KiB.
const MAX_KEPT_BYTES: usize = 16 * 1_024;

type Leaves = Arc<[Leaf]>;

/// A full segment by feed and number.
type Slot = Mutex<Option<(FeedNo, u64, Leaves)>>;

fn missing() -> EngineError {
    EngineError::Damaged("an entry is missing".into())
}

/// See the module.
pub(super) struct RecentSegments {
    slots: Vec<Slot>,
    /// How often they were cleared: what was read before is not kept after.
    cleared: AtomicU64,
}

impl RecentSegments {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::new(None)).collect(), cleared: AtomicU64::new(0) }
    }

    /// What stands at `seq`, to which the feed reaches: where nothing is there, the store is damaged.
    pub(super) fn read(&self, engine: &Engine, no: FeedNo, seq: Seq) -> Result<Leaf, EngineError> {
        let (number, place) = (segment::number_of(seq), segment::place_of(seq));
        let slot = self.slot(no, number);
        if let Some((held, which, leaves)) = &*slot.lock()
            && (*held, *which) == (no, number)
        {
            return leaves.get(place).cloned().ok_or_else(missing);
        }
        let cleared = self.cleared.load(Ordering::SeqCst);
        let value = engine.get(&keys::segment(no, number))?.ok_or_else(missing)?;
        let leaves: Leaves = segment::unpack(&value).map_err(|e| EngineError::Damaged(e.to_string()))?.into();
        let leaf = leaves.get(place).cloned().ok_or_else(missing)?;
        let bytes: usize = leaves.iter().map(Leaf::size).sum();
        if leaves.len() == segment::SEGMENT_ENTRIES && bytes <= MAX_KEPT_BYTES {
            let mut slot = slot.lock();
            if self.cleared.load(Ordering::SeqCst) == cleared {
                *slot = Some((no, number, leaves));
            }
        }
        Ok(leaf)
    }

    /// Whether the segment of `seq` is kept.
    pub(super) fn has(&self, no: FeedNo, seq: Seq) -> bool {
        let number = segment::number_of(seq);
        self.slot(no, number).lock().as_ref().is_some_and(|(held, which, _)| (*held, *which) == (no, number))
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        self.cleared.fetch_add(1, Ordering::SeqCst);
        self.slots.iter().for_each(|slot| *slot.lock() = None);
    }

    /// Consecutive segments of a feed lie side by side.
    fn slot(&self, no: FeedNo, number: u64) -> &Slot {
        let spread = number.wrapping_add(u64::from(no.get()).wrapping_mul(0x9E37_79B9));
        &self.slots[usize::try_from(spread % SLOTS as u64).unwrap_or(0)]
    }
}
