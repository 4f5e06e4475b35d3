//! A segment: sixteen consecutive entries of a feed in one value, compressed together.
//!
//! One value for sixteen entries is what makes sled fast and small here (five times the rate and a third of the memory of one
//! key an entry). Segments are aligned, so that the position of an entry gives its key. The last segment of a feed is written
//! again with each commit until it is full.
//!
//! Layout: one byte of version (1), then a zstd frame of: one byte of count, a big-endian `u16` length for each entry, the
//! entries.

use bytes::Bytes;

use super::frame;
use crate::domain::Seq;
use crate::domain::limits::MAX_ENTRY_BYTES;
use crate::feed::EntryBytes;

/// Entries in a full segment.
pub(super) const SEGMENT_ENTRIES: usize = 16;
const VERSION: u8 = 1;
const MAX_RAW_BYTES: usize = 1 + SEGMENT_ENTRIES * (2 + MAX_ENTRY_BYTES);

/// The number of the segment that holds `seq`.
pub(super) fn number_of(seq: Seq) -> u64 {
    seq.get() / SEGMENT_ENTRIES as u64
}

/// The place of `seq` within its segment.
pub(super) fn place_of(seq: Seq) -> usize {
    usize::try_from(seq.get() % SEGMENT_ENTRIES as u64).unwrap_or(0)
}

/// Why a stored segment cannot be read; the store is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored segment cannot be read")]
pub(super) struct SegmentDamaged;

/// Packs at most sixteen entries.
pub(super) fn pack(entries: &[EntryBytes]) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(1 + entries.iter().map(|e| 2 + e.as_slice().len()).sum::<usize>());
    raw.push(u8::try_from(entries.len()).unwrap_or(u8::MAX));
    for entry in entries {
        raw.extend_from_slice(&u16::try_from(entry.as_slice().len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    entries.iter().for_each(|entry| raw.extend_from_slice(entry.as_slice()));
    let mut value = vec![VERSION];
    value.extend(frame::compress(&raw)?);
    Ok(value)
}

/// Unpacks what [`pack`] made.
pub(super) fn unpack(value: &[u8]) -> Result<Vec<EntryBytes>, SegmentDamaged> {
    let [VERSION, frame @ ..] = value else { return Err(SegmentDamaged) };
    let mut rest = Bytes::from(frame::decompress(frame, MAX_RAW_BYTES).map_err(|_| SegmentDamaged)?);
    let count = usize::from(*rest.first().ok_or(SegmentDamaged)?);
    let lengths = rest.get(1..1 + 2 * count).ok_or(SegmentDamaged)?.to_vec();
    rest = rest.slice(1 + 2 * count..);
    let mut entries = Vec::with_capacity(count);
    for length in lengths.chunks_exact(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length > rest.len() {
            return Err(SegmentDamaged);
        }
        entries.push(EntryBytes::from_peer(rest.split_to(length)).map_err(|_| SegmentDamaged)?);
    }
    if rest.is_empty() { Ok(entries) } else { Err(SegmentDamaged) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(bytes: Vec<u8>) -> EntryBytes {
        EntryBytes::from_peer(bytes.into()).expect("within bounds")
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(sizes in prop::collection::vec(1usize..MAX_ENTRY_BYTES, 0..=SEGMENT_ENTRIES), fill: u8) {
            let entries: Vec<_> = sizes.iter().map(|n| entry(vec![fill; *n])).collect();
            prop_assert_eq!(unpack(&pack(&entries).expect("packs")).expect("unpacks"), entries);
        }

        #[test]
        fn damage_is_noticed_and_never_panics(mut at in 0usize..60, bit in 0u8..8) {
            let entries = vec![entry(b"first".to_vec()), entry(b"second entry".to_vec())];
            let mut value = pack(&entries).expect("packs");
            at %= value.len();
            value[at] ^= 1 << bit;
            let _ = unpack(&value).is_ok_and(|read| read == entries);
        }
    }

    #[test]
    fn the_largest_segment_fits() {
        let noise = |i: usize| (0..MAX_ENTRY_BYTES).map(|j| (((i * 31 + j) * 2_654_435_761) >> 7) as u8).collect::<Vec<_>>();
        let entries: Vec<_> = (0..SEGMENT_ENTRIES).map(|i| entry(noise(i))).collect();
        assert_eq!(unpack(&pack(&entries).expect("packs")).expect("unpacks"), entries);
    }
}
