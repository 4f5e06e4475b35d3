//! The hashes of the tree (RFC 6962, section 2.1).
//!
//! Leaves and inner nodes are hashed under different prefixes, so that neither can be passed off as the other. Nothing here
//! knows what a leaf says.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// RFC 6962, section 2.1: what stands before a leaf.
const LEAF_PREFIX: [u8; 1] = [0x00];
/// RFC 6962, section 2.1: what stands before the two halves of an inner node.
const NODE_PREFIX: [u8; 1] = [0x01];

/// A SHA-256 digest. `Debug` and `Display` show it in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Length of a digest.
    pub const BYTES: usize = 32;
}

/// The leaf hash of an entry: SHA-256 of `0x00` and its bytes.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&LEAF_PREFIX, entry])
}

/// The hash of an inner node: SHA-256 of `0x01` and the hashes of its halves.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&NODE_PREFIX, &left.0, &right.0])
}

/// SHA-256 of `parts` one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Hash(out)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = HashLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, HashLengthError> {
        bytes.try_into().map(Self).map_err(|_| HashLengthError { bytes: bytes.len() })
    }
}

/// A hash that is not 32 bytes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash has 32 bytes, not {bytes}")]
pub struct HashLengthError {
    /// Its length.
    pub bytes: usize,
}

impl HashLengthError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "HASH_LENGTH"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_not_a_node() {
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let forged = [left.0, right.0].concat();
        assert_ne!(leaf_hash(&forged), node_hash(&left, &right));
        assert_ne!(node_hash(&left, &right), node_hash(&right, &left));
    }

    #[test]
    fn a_hash_shows_as_hexadecimal() {
        // SHA-256 of one zero byte: the leaf hash of the empty entry.
        let text = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(leaf_hash(b"").to_string(), text);
        assert_eq!(format!("{:?}", leaf_hash(b"")), format!("Hash({text})"));
        assert_eq!(Hash::try_from([0; 31].as_slice()), Err(HashLengthError { bytes: 31 }));
        assert_eq!(HashLengthError { bytes: 31 }.code(), "HASH_LENGTH");
    }
}
