//! The audit log of a node: records like entries, in a tree of their own, under checkpoints that the member signs.
//!
//! It is nobody's feed and is sent to nobody; but whoever keeps one of its checkpoints elsewhere can show later whether what came
//! before it was changed.

use bytes::Bytes;
use prost::Message as _;

use super::checkpoint::{head_text, size_and_root};
use super::note::{open_note, sign_note};
use super::{Hash, NoteError, SigningKey, wire};
use crate::domain::limits::MAX_CHECKPOINT_BYTES;
use crate::domain::{Actor, AllianceName, AuditKind, AuditRecord, FeedKey, MemberId, Seq, Timestamp};

/// What stands in the place of an audience, where no group can be called so.
const NAME: &str = "audit.log";

/// The bytes of a record, which are the leaf of the tree.
#[must_use]
pub fn encode_audit(record: &AuditRecord) -> Vec<u8> {
    let AuditRecord { at, actor, kind, reference, count } = record;
    wire::AuditRecord {
        recorded_at_ms: at.unix_ms(),
        client: actor.client.to_string(),
        certificate: actor.certificate.clone(),
        kind: kind.number(),
        reference: reference.clone(),
        count: *count,
    }
    .encode_to_vec()
}

/// What the bytes of a record say; `None` where this version does not understand them.
#[must_use]
pub fn decode_audit(bytes: &[u8]) -> Option<AuditRecord> {
    let record = wire::AuditRecord::decode(bytes).ok()?;
    Some(AuditRecord {
        at: Timestamp::from_unix_ms(record.recorded_at_ms),
        actor: Actor { client: record.client.parse().ok()?, certificate: record.certificate },
        kind: AuditKind::from_number(record.kind)?,
        reference: record.reference,
        count: record.count,
    })
}

/// When the record was made, whether this version understands the rest of it or not.
#[must_use]
pub fn audit_time(bytes: &[u8]) -> Option<Timestamp> {
    wire::AuditRecord::decode(bytes).ok().map(|record| Timestamp::from_unix_ms(record.recorded_at_ms))
}

/// The head of an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Records that it covers.
    pub size: Seq,
    /// Root of the tree over them.
    pub root: Hash,
}

impl AuditHead {
    /// The signed note, in the form of a C2SP tlog-checkpoint with the origin `alliance/member/audit.log`.
    #[must_use]
    pub fn sign(&self, alliance: &AllianceName, member: &MemberId, key: &SigningKey) -> Bytes {
        let origin = origin(alliance, member);
        let text = head_text(&origin, self.size, &self.root);
        sign_note(&text, &origin, key)
    }

    /// Verifies that `member` signed `note`.
    ///
    /// # Errors
    /// [`NoteError`]; [`NoteError::Malformed`] also for what is no head of this log.
    pub fn open(note: &[u8], alliance: &AllianceName, member: &MemberId, key: &FeedKey) -> Result<Self, NoteError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(NoteError::Malformed);
        }
        let origin = origin(alliance, member);
        let text = open_note(note, &origin, key)?;
        // It has no line but these three.
        let head = size_and_root(text).filter(|(size, root)| head_text(&origin, *size, root) == text);
        head.map(|(size, root)| Self { size, root }).ok_or(NoteError::Malformed)
    }
}

fn origin(alliance: &AllianceName, member: &MemberId) -> String {
    format!("{alliance}/{member}/{NAME}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fixtures::{self, FixedEntropy, padded};

    #[test]
    fn of_a_record_of_a_newer_version_the_time_is_known() {
        let record = wire::AuditRecord { recorded_at_ms: 1_790_000_000_000, kind: 900, ..Default::default() }.encode_to_vec();
        assert_eq!((decode_audit(&record), audit_time(&record).map(|at| at.unix_ms())), (None, Some(1_790_000_000_000)));
        assert_eq!(audit_time(b"\xff"), None, "which is kept");
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let record = AuditRecord {
            at: Timestamp::from_unix_ms(1_795_305_600_123),
            actor: Actor { client: "screening-1".parse().expect("valid"), certificate: "0a1b".into() },
            kind: AuditKind::Check,
            reference: "00112233aabbccdd".into(),
            count: 7,
        };
        assert_eq!(decode_audit(&encode_audit(&record)), Some(record));
        assert_eq!(decode_audit(&[0xff]), None);
    }

    #[test]
    fn a_head_is_its_members_and_no_other() {
        let (alliance, acme): (AllianceName, MemberId) =
            ("alliance.example".parse().expect("valid"), "acme".parse().expect("valid"));
        let key = SigningKey::generate(&FixedEntropy(Some(7))).expect("a key");
        let other = SigningKey::generate(&FixedEntropy(Some(8))).expect("a key");
        let head = AuditHead { size: Seq::new(12), root: Hash([5; 32]) };
        let note = head.sign(&alliance, &acme, &key);
        assert!(note.starts_with(b"alliance.example/acme/audit.log\n12\n"));
        assert_eq!(AuditHead::open(&note, &alliance, &acme, &key.public()), Ok(head));
        assert!(AuditHead::open(&note, &alliance, &acme, &other.public()).is_err());
        assert!(AuditHead::open(&note, &alliance, &"globex".parse().expect("valid"), &key.public()).is_err());
        let changed = String::from_utf8(note.to_vec()).expect("text").replace("\n12\n", "\n13\n");
        assert_eq!(AuditHead::open(changed.as_bytes(), &alliance, &acme, &key.public()), Err(NoteError::WrongSignature));
    }

    #[test]
    fn a_head_is_no_longer_than_a_checkpoint() {
        let (alliance, acme) = (fixtures::alliance(), "acme".parse().expect("valid"));
        let (key, head) = (fixtures::signing_key(7), AuditHead { size: Seq::new(12), root: Hash([5; 32]) });
        let note = head.sign(&alliance, &acme, &key);
        let open = |bytes| AuditHead::open(&padded(&note, bytes), &alliance, &acme, &key.public());
        assert_eq!((open(MAX_CHECKPOINT_BYTES), open(MAX_CHECKPOINT_BYTES + 1)), (Ok(head), Err(NoteError::Malformed)));
    }
}
