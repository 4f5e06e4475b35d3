//! Feeds values to SHA-256 so that different values never give the same bytes.
//!
//! Texts and lists carry their length, numbers have a fixed width, absence is written down. Unlike the bytes of an entry, what
//! is hashed here is never kept or sent; the layout is pinned by golden digests, because nodes compare them.

use super::Hash;
use super::hash::sha256;

/// Room for usual transcripts.
const USUAL_BYTES: usize = 512;

/// A digest under way. It is gathered first: many short updates of a digest cost more than the digest.
pub(super) struct Transcript(Vec<u8>);

impl Transcript {
    /// Starts with `purpose`, so that digests for two purposes never meet.
    pub(super) fn of(purpose: &str) -> Self {
        let mut transcript = Self(Vec::with_capacity(USUAL_BYTES));
        transcript.bytes(purpose.as_bytes());
        transcript
    }

    /// Eight bytes, the highest first.
    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// The number of a word of a vocabulary; never negative.
    pub(super) fn word(&mut self, number: i32) {
        self.number(u64::from(number.unsigned_abs()));
    }

    /// A length and that many bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// 0 for absence; 1 and the value.
    pub(super) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A count and that many items, in an order that does not depend on the one they came in.
    pub(super) fn unordered(&mut self, mut items: Vec<Vec<u8>>) {
        items.sort_unstable();
        self.number(items.len() as u64);
        items.iter().for_each(|item| self.bytes(item));
    }

    /// The digest.
    pub(super) fn finish(self) -> Hash {
        sha256(&[&self.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(write: impl FnOnce(&mut Transcript)) -> Hash {
        let mut transcript = Transcript::of("test");
        write(&mut transcript);
        transcript.finish()
    }

    #[test]
    fn neighbours_do_not_run_into_each_other() {
        let parts = |a: &'static [u8], b: &'static [u8]| {
            digest(|t| {
                t.bytes(a);
                t.bytes(b);
            })
        };
        assert_ne!(parts(b"ab", b"c"), parts(b"a", b"bc"));
        assert_ne!(
            digest(|t| t.optional(None::<&[u8]>, Transcript::bytes)),
            digest(|t| t.optional(Some(&[][..]), Transcript::bytes))
        );
        assert_eq!(digest(|t| t.unordered(vec![vec![1], vec![0]])), digest(|t| t.unordered(vec![vec![0], vec![1]])));
    }
}
