//! What nodes tell each other of the program that they run, so that an alliance can be upgraded node by node.
//!
//! A *protocol* is a number for all that two nodes must agree on to share feeds at all. A program speaks a range of them, the one
//! before its newest always among them; two nodes use the newest that both speak. A *capability* is the name of something that a
//! node may offer beyond that: who does not find it named goes without.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use super::FieldError;
use super::limits::{MAX_CAPABILITIES, MAX_SLUG_CHARS};

/// The protocols that this program speaks.
const PROTOCOLS: RangeInclusive<u32> = 1..=1;
/// What this program offers.
const CAPABILITIES: [&str; 3] = ["erasure-receipts", "key-ceremonies", "rekeyings"];

/// What a node tells of its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeVersion {
    /// Version of the program, 1 to 40 characters that can be printed; empty where the node is too old to tell.
    program: String,
    protocols: (u32, u32),
    capabilities: BTreeSet<String>,
}

impl NodeVersion {
    /// Of this program.
    #[must_use]
    pub fn own() -> Self {
        Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            protocols: (*PROTOCOLS.start(), *PROTOCOLS.end()),
            capabilities: CAPABILITIES.map(str::to_owned).into(),
        }
    }

    /// Of a node from before nodes told: it speaks the first protocol.
    #[must_use]
    pub fn unknown() -> Self {
        Self { program: String::new(), protocols: (1, 1), capabilities: BTreeSet::new() }
    }

    /// Of another node, by its own word. Capabilities beyond [`MAX_CAPABILITIES`] and names that are none are passed over: a newer
    /// node may say more than this one knows.
    ///
    /// # Errors
    /// `VERSION_INVALID` where the program has no name that can be printed, or the range is empty.
    pub fn told(
        program: &str,
        protocols: RangeInclusive<u32>,
        capabilities: impl IntoIterator<Item = String>,
    ) -> Result<Self, FieldError> {
        let is_name = |text: &str| (1..=MAX_SLUG_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_name(program) || protocols.is_empty() || *protocols.start() == 0 {
            let message = "give the program's version and the protocols that it speaks, from 1 on";
            return Err(FieldError::new("VERSION_INVALID", "version", message));
        }
        let capabilities = capabilities.into_iter().filter(|name| is_name(name)).take(MAX_CAPABILITIES).collect();
        Ok(Self { program: program.to_owned(), protocols: (*protocols.start(), *protocols.end()), capabilities })
    }

    /// Version of the program; empty where the node is too old to tell.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The protocols that it speaks.
    #[must_use]
    pub const fn protocols(&self) -> RangeInclusive<u32> {
        self.protocols.0..=self.protocols.1
    }

    /// What it offers beyond them.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.capabilities.iter().map(String::as_str)
    }

    /// The protocol that both speak; `None` where there is none.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<u32> {
        let newest = self.protocols.1.min(other.protocols.1);
        (newest >= self.protocols.0.max(other.protocols.0)).then_some(newest)
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (oldest, newest) = self.protocols;
        let program = if self.program.is_empty() { "unknown" } else { &self.program };
        match oldest == newest {
            true => write!(f, "{program} (protocol {newest})"),
            false => write!(f, "{program} (protocols {oldest} to {newest})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaking(protocols: RangeInclusive<u32>) -> NodeVersion {
        NodeVersion::told("9.9.9", protocols, []).expect("valid")
    }

    #[test]
    fn nodes_use_the_newest_protocol_that_both_speak() {
        for (ours, theirs, common) in [
            (1..=1, 1..=1, Some(1)),
            (1..=2, 2..=3, Some(2)),
            (2..=3, 1..=2, Some(2)),
            (1..=4, 2..=3, Some(3)),
            (1..=2, 3..=4, None),
        ] {
            assert_eq!(speaking(ours.clone()).common(&speaking(theirs.clone())), common, "{ours:?} and {theirs:?}");
        }
        assert_eq!(NodeVersion::own().common(&NodeVersion::unknown()), Some(1), "a node from before nodes told is talked with");
    }

    #[test]
    fn what_is_told_is_bounded_and_can_be_printed() {
        let control = NodeVersion::told("1.0\x1b[2J", 1..=1, []).expect_err("control characters");
        assert_eq!(control.code, "VERSION_INVALID");
        for protocols in [0..=1, RangeInclusive::new(2, 1)] {
            NodeVersion::told("1.0", protocols, []).expect_err("no protocols");
        }
        let many = (0..10_000).map(|number| format!("c{number}")).chain(["new line\n".to_owned()]);
        assert_eq!(NodeVersion::told("1.0", 1..=1, many).expect("valid").capabilities().count(), MAX_CAPABILITIES);
    }
}
