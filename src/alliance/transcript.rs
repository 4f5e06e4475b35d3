use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// Bytes that are signed or bound into a key: `label` and each field behind its length (4 bytes, big-endian), so that no two
/// lists of fields, and no two purposes, give the same bytes.
pub(super) fn transcript(label: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(label.as_bytes()).chain(fields.iter().copied()) {
        // Fields are bounded where they are read, far below 4 GiB.
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

/// SHA-256 of what matters in a file, for two people to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    /// Sixteen groups of four hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pair) in self.0.chunks_exact(2).enumerate() {
            let gap = if i == 0 { "" } else { " " };
            write!(f, "{gap}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_each_other() {
        assert_eq!(transcript("l", &[b"ab", b""]), b"\0\0\0\x01l\0\0\0\x02ab\0\0\0\0");
        assert_ne!(transcript("l", &[b"ab", b"c"]), transcript("l", &[b"a", b"bc"]));
        assert_ne!(transcript("l", &[b"a"]), transcript("la", &[]));
    }

    #[test]
    fn a_fingerprint_can_be_read_aloud() {
        let text = Fingerprint::of(b"").to_string();
        assert!(text.starts_with("e3b0 c442 98fc") && text.len() == 79, "{text}");
    }
}
