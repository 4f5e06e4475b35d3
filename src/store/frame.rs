//! zstd frames. Contexts are kept by each thread: to make one costs more than to compress what is compressed here.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// The lowest level that still compresses: it costs nothing beside what it saves to write.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// One frame that says how long its content is.
pub(super) fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(content),
        none => none.insert(Compressor::new(LEVEL)?).compress(content),
    })
}

/// The content of a frame that [`compress`] made, at most `most` bytes.
pub(super) fn decompress(frame: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let room = content_size(frame, most)?;
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(frame, room),
        none => none.insert(Decompressor::new()?).decompress(frame, room),
    })
}

/// The same, for content that is much like `known`, which must be at hand to read it again.
pub(super) fn compress_against(known: &[u8], content: &[u8]) -> io::Result<Vec<u8>> {
    Compressor::with_dictionary(LEVEL, known)?.compress(content)
}

/// The content of a frame that [`compress_against`] made with the same `known`, at most `most` bytes.
pub(super) fn decompress_against(known: &[u8], frame: &[u8], most: usize) -> io::Result<Vec<u8>> {
    Decompressor::with_dictionary(known)?.decompress(frame, content_size(frame, most)?)
}

fn content_size(frame: &[u8], most: usize) -> io::Result<usize> {
    let said = get_frame_content_size(frame).ok().flatten().and_then(|size| usize::try_from(size).ok());
    said.filter(|size| *size <= most).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_never_longer_than_it_may_be() {
        let frame = compress(&[7; 1_000]).expect("compresses");
        assert_eq!(decompress(&frame, 1_000).expect("fits"), [7; 1_000]);
        assert!(decompress(&frame, 999).is_err());
        assert!(decompress(b"no frame", 1_000).is_err());
        assert_eq!(decompress(&compress(&[]).expect("compresses"), 0).expect("fits"), b"");
    }

    #[test]
    fn what_is_known_costs_little() {
        let known: Vec<u8> = (0..4_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut content = known.clone();
        content[7_000] ^= 1;
        let frame = compress_against(&known, &content).expect("compresses");
        assert!(frame.len() < 100, "{} bytes", frame.len());
        assert_eq!(decompress_against(&known, &frame, content.len()).expect("fits"), content);
        assert!(decompress_against(&known, &frame, 100).is_err());
    }
}
