//! A segment: sixteen consecutive entries of a feed in one value, compressed together.
//!
//! One value for sixteen entries is what makes sled fast and small here (five times the rate and a third of the memory of one
//! key an entry). Segments are aligned, so that the position of an entry gives its key. The last segment of a feed is written
//! again with each commit until it is full.
//!
//! Layout: one byte of version (1), then a zstd frame of: one byte of count, a big-endian `u16` length for each entry, the
//! entries. A length of 0 is that of an erased entry, one of 65,535 that of an expired one; of both the leaf hash stays, 32 bytes.

use bytes::Bytes;

use super::frame;
use crate::domain::Seq;
use crate::domain::limits::MAX_ENTRY_BYTES;
use crate::feed::{EntryBytes, Hash, Leaf};

/// Entries in a full segment.
pub(super) const SEGMENT_ENTRIES: usize = 16;
const VERSION: u8 = 1;
/// Lengths that no entry has.
const ERASED: u16 = 0;
const EXPIRED: u16 = u16::MAX;
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
pub(super) fn pack(leaves: &[Leaf]) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(1 + leaves.iter().map(|leaf| 2 + leaf.size()).sum::<usize>());
    raw.push(u8::try_from(leaves.len()).unwrap_or(u8::MAX));
    for leaf in leaves {
        let length = match leaf {
            Leaf::Entry(entry) => u16::try_from(entry.as_slice().len()).map_err(std::io::Error::other)?,
            Leaf::Erased(_) => ERASED,
            Leaf::Expired(_) => EXPIRED,
        };
        raw.extend_from_slice(&length.to_be_bytes());
    }
    for leaf in leaves {
        match leaf {
            Leaf::Entry(entry) => raw.extend_from_slice(entry.as_slice()),
            Leaf::Erased(hash) | Leaf::Expired(hash) => raw.extend_from_slice(&hash.0),
        }
    }
    let mut value = vec![VERSION];
    value.extend(frame::compress(&raw)?);
    Ok(value)
}

/// Unpacks what [`pack`] made.
pub(super) fn unpack(value: &[u8]) -> Result<Vec<Leaf>, SegmentDamaged> {
    let [VERSION, frame @ ..] = value else { return Err(SegmentDamaged) };
    let mut rest = Bytes::from(frame::decompress(frame, MAX_RAW_BYTES).map_err(|_| SegmentDamaged)?);
    let count = usize::from(*rest.first().ok_or(SegmentDamaged)?);
    let lengths = rest.get(1..1 + 2 * count).ok_or(SegmentDamaged)?.to_vec();
    rest = rest.slice(1 + 2 * count..);
    let mut leaves = Vec::with_capacity(count);
    for length in lengths.chunks_exact(2) {
        let length = u16::from_be_bytes([length[0], length[1]]);
        leaves.push(match length {
            ERASED => Leaf::Erased(take_hash(&mut rest)?),
            EXPIRED => Leaf::Expired(take_hash(&mut rest)?),
            _ => Leaf::Entry(EntryBytes::from_peer(take(&mut rest, length.into())?).map_err(|_| SegmentDamaged)?),
        });
    }
    if rest.is_empty() { Ok(leaves) } else { Err(SegmentDamaged) }
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, SegmentDamaged> {
    if length <= rest.len() { Ok(rest.split_to(length)) } else { Err(SegmentDamaged) }
}

fn take_hash(rest: &mut Bytes) -> Result<Hash, SegmentDamaged> {
    Hash::try_from(&*take(rest, Hash::BYTES)?).map_err(|_| SegmentDamaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(bytes: Vec<u8>) -> Leaf {
        EntryBytes::from_peer(bytes.into()).expect("within bounds").into()
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(
            sizes in prop::collection::vec(prop_oneof![Just(0), Just(usize::MAX), 1usize..MAX_ENTRY_BYTES], 0..=SEGMENT_ENTRIES),
            fill: u8,
        ) {
            let leaf = |n: usize| match n {
                0 => Leaf::Erased(Hash([fill; 32])),
                usize::MAX => Leaf::Expired(Hash([fill; 32])),
                _ => entry(vec![fill; n]),
            };
            let entries: Vec<_> = sizes.iter().map(|n| leaf(*n)).collect();
            prop_assert_eq!(unpack(&pack(&entries).expect("packs")).expect("unpacks"), entries);
        }

        #[test]
        fn damage_is_noticed_and_never_panics(mut at in 0usize..60, bit in 0u8..8) {
            let entries = vec![entry(b"first".to_vec()), Leaf::Erased(Hash([7; 32])), entry(b"second entry".to_vec())];
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
