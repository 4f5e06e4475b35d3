//! Receipts: a member's signature under how far its node has carried out the erasures of a feed.
//!
//! A signed note like a checkpoint, so that foreign tools can verify it. By it the member whose content it was can show who has
//! removed it, and when.

use bytes::Bytes;

use super::note::{decimal, open_note, sign_note};
use super::{NoteError, SigningKey};
use crate::domain::limits::MAX_CHECKPOINT_BYTES;
use crate::domain::{AllianceName, ErasureProgress, FeedId, FeedKey, MemberId, Seq, Timestamp};

/// First line of every receipt, so that no checkpoint or roster can be passed off as one.
const PURPOSE: &str = "countermark erasure receipt v1";

/// What a member says of its own copy of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureReceipt {
    /// Whose content it was.
    pub feed: FeedId,
    /// Whose copy it was.
    pub holder: MemberId,
    /// How far the feed's erasures are carried out.
    pub progress: ErasureProgress,
}

/// The name under which a holder signs: of the alliance and itself.
fn key_name(alliance: &AllianceName, holder: &MemberId) -> String {
    format!("{alliance}/{holder}")
}

impl ErasureReceipt {
    /// The signed note: purpose, feed, holder, how far things are removed and since when, and how far they are purged; positions are
    /// decimal, instants in milliseconds of the Unix epoch.
    #[must_use]
    pub fn sign(&self, alliance: &AllianceName, key: &SigningKey) -> Bytes {
        let Self { feed, holder, progress } = self;
        let origin = feed.origin(alliance);
        let (removed_at, purged_at) = (progress.removed_at.unix_ms(), progress.purged_at.unix_ms());
        let (removed, purged) = (progress.removed, progress.purged);
        let text = format!("{PURPOSE}\n{origin}\n{holder}\nremoved {removed} {removed_at}\npurged {purged} {purged_at}\n");
        sign_note(&text, &key_name(alliance, holder), key)
    }

    /// Verifies that `holder` signed `note` about `feed`.
    ///
    /// # Errors
    /// [`ReceiptError`]; all of it is its sender's fault.
    pub fn open(
        note: &[u8],
        alliance: &AllianceName,
        feed: &FeedId,
        holder: &MemberId,
        key: &FeedKey,
    ) -> Result<Self, ReceiptError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(ReceiptError::Malformed);
        }
        let text = open_note(note, &key_name(alliance, holder), key).map_err(ReceiptError::Note)?;
        let about = format!("{PURPOSE}\n{}\n{holder}\n", feed.origin(alliance));
        let lines = text.strip_prefix(&about).ok_or(ReceiptError::OfOther)?;
        let (removed, purged) = lines.strip_suffix('\n').and_then(|l| l.split_once('\n')).ok_or(ReceiptError::Malformed)?;
        let (removed, removed_at) = step(removed, "removed ").ok_or(ReceiptError::Malformed)?;
        let (purged, purged_at) = step(purged, "purged ").ok_or(ReceiptError::Malformed)?;
        let progress = ErasureProgress { removed, removed_at, purged, purged_at };
        Ok(Self { feed: feed.clone(), holder: holder.clone(), progress })
    }
}

fn step(line: &str, word: &str) -> Option<(Seq, Timestamp)> {
    let (position, at) = line.strip_prefix(word)?.split_once(' ')?;
    Some((Seq::new(decimal(position)?), Timestamp::from_unix_ms(decimal(at)?)))
}

/// Why a receipt is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a receipt.
    #[error("not an erasure receipt")]
    Malformed,
    /// Of another feed or holder.
    #[error("an erasure receipt of another feed or member")]
    OfOther,
    /// Not signed by the holder.
    #[error("the signature does not hold")]
    Note(#[source] NoteError),
}

impl ReceiptError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "RECEIPT_MALFORMED",
            Self::OfOther => "RECEIPT_OF_OTHER",
            Self::Note(note) => note.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{alliance, padded, signing_key};

    fn receipt() -> ErasureReceipt {
        ErasureReceipt {
            feed: "acme/all".parse().expect("valid"),
            holder: "globex".parse().expect("valid"),
            progress: ErasureProgress {
                removed: Seq::new(12),
                removed_at: Timestamp::from_unix_ms(1_800_000_000_000),
                purged: Seq::new(7),
                purged_at: Timestamp::from_unix_ms(1_799_999_999_999),
            },
        }
    }

    fn open(note: &[u8], feed: &str, holder: &str) -> Result<ErasureReceipt, &'static str> {
        let (feed, holder) = (feed.parse().expect("valid"), holder.parse().expect("valid"));
        ErasureReceipt::open(note, &alliance(), &feed, &holder, &signing_key(1).public()).map_err(|error| error.code())
    }

    const TEXT: &str = "countermark erasure receipt v1
alliance.example/acme/all
globex
removed 12 1800000000000
purged 7 1799999999999
";

    #[test]
    fn the_text_of_a_receipt_never_changes() {
        let note = receipt().sign(&alliance(), &signing_key(1));
        assert!(note.starts_with(TEXT.as_bytes()), "{}", String::from_utf8_lossy(&note));
        assert_eq!(open(&note, "acme/all", "globex"), Ok(receipt()));
    }

    #[test]
    fn nothing_else_is_believed() {
        let note = receipt().sign(&alliance(), &signing_key(1));
        assert_eq!(open(&note, "acme/luxury", "globex"), Err("RECEIPT_OF_OTHER"));
        assert_eq!(open(&note, "acme/all", "initech"), Err("NOTE_NOT_SIGNED"));
        assert_eq!(open(&receipt().sign(&alliance(), &signing_key(2)), "acme/all", "globex"), Err("NOTE_NOT_SIGNED"));
        let name = key_name(&alliance(), &"globex".parse().expect("valid"));
        for wrong in [TEXT.replace("12", "012"), TEXT.replace("purged 7", "purged"), TEXT.replace("99\n", "99\nmore\n")] {
            let note = sign_note(&wrong, &name, &signing_key(1));
            assert_eq!(open(&note, "acme/all", "globex"), Err("RECEIPT_MALFORMED"), "{wrong}");
        }
    }

    #[test]
    fn a_receipt_is_no_longer_than_a_checkpoint() {
        let note = receipt().sign(&alliance(), &signing_key(1));
        assert_eq!(open(&padded(&note, MAX_CHECKPOINT_BYTES), "acme/all", "globex"), Ok(receipt()));
        assert_eq!(open(&padded(&note, MAX_CHECKPOINT_BYTES + 1), "acme/all", "globex"), Err("RECEIPT_MALFORMED"));
    }
}
