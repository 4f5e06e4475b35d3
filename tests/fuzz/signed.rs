//! Decoders of texts that somebody signed, whatever they are: a key that belongs to the alliance is in its member's hands, and what that
//! one signs is taken apart by all others.

use bytes::Bytes;
use countermark::domain::{ErasureProgress, Seq};
use countermark::feed::{
    AuditHead, Checkpoint, ErasureReceipt, Hash, SignedCheckpoint, SignedRoster, join_sharing, open_sharing, sign_note,
    sign_sharing,
};

use super::{Decoder, NOW, ROSTER, alliance, feed, generation, key, member, receipt};

pub(super) const DECODERS: &[Decoder] = &[
    ("a signed checkpoint", of_checkpoint, checkpoint),
    ("a signed roster", of_roster, || text(ROSTER.note())),
    ("a signed receipt of a holder", of_receipt, holders_receipt),
    ("what holders signed of their shares", of_sharing, sharing),
    ("a signed receipt for an erasure", of_erasure, erasure),
    ("the signed head of an audit log", of_audit_head, audit_head),
];

fn checkpoint() -> Vec<u8> {
    let checkpoint = Checkpoint { feed: feed(), size: Seq::new(17), root: Hash([3; 32]) };
    text(SignedCheckpoint::sign(checkpoint, &alliance(), &key()).note())
}

fn holders_receipt() -> Vec<u8> {
    text(&receipt().sign(&alliance(), &key()))
}

fn sharing() -> Vec<u8> {
    text(&sign_sharing(&alliance(), &generation(), &member("acme"), &key()))
}

fn erasure() -> Vec<u8> {
    let progress = ErasureProgress { removed: Seq::new(9), removed_at: NOW, purged: Seq::new(4), purged_at: NOW };
    text(&ErasureReceipt { feed: feed(), holder: member("globex"), progress }.sign(&alliance(), &key()))
}

fn audit_head() -> Vec<u8> {
    text(&AuditHead { size: Seq::new(3), root: Hash([7; 32]) }.sign(&alliance(), &member("acme"), &key()))
}

/// What was signed in a note.
fn text(note: &[u8]) -> Vec<u8> {
    let note = std::str::from_utf8(note).expect("text");
    let (text, _) = note.rsplit_once("\n\n").expect("a note");
    [text, "\n"].concat().into_bytes()
}

/// The note in which this is signed under `name`.
fn signed(data: &[u8], name: &str) -> Bytes {
    std::str::from_utf8(data).map_or_else(|_| Bytes::new(), |text| sign_note(text, name, &key()))
}

fn of_checkpoint(data: &[u8]) -> bool {
    SignedCheckpoint::open(signed(data, "alliance.example/acme/all"), &alliance(), |_| Some(key().public())).is_ok()
}

fn of_roster(data: &[u8]) -> bool {
    SignedRoster::open(signed(data, "alliance.example/roster"), &alliance(), &key().public()).is_ok()
}

fn of_receipt(data: &[u8]) -> bool {
    receipt().open(&signed(data, "alliance.example/acme"), &alliance(), &key().public()).is_ok()
}

fn of_sharing(data: &[u8]) -> bool {
    let of = |name: &str| signed(data, &format!("alliance.example/{name}"));
    let notes = ["acme", "brand", "chips"].map(of);
    let note = join_sharing(notes.iter().map(|note| &**note)).unwrap_or_default();
    open_sharing(&note, &alliance(), |_| Some(key().public())).is_ok()
}

fn of_erasure(data: &[u8]) -> bool {
    let note = signed(data, "alliance.example/globex");
    ErasureReceipt::open(&note, &alliance(), &feed(), &member("globex"), &key().public()).is_ok()
}

fn of_audit_head(data: &[u8]) -> bool {
    let note = signed(data, "alliance.example/acme/audit.log");
    AuditHead::open(&note, &alliance(), &member("acme"), &key().public()).is_ok()
}
