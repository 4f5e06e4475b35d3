//! Decoders of texts that somebody signed, whatever they are: a key that belongs to the alliance is in its member's hands, and what that
//! one signs is taken apart by all others.

use bytes::Bytes;
use countermark::domain::{ErasureProgress, FeedId, Group, Member, MemberKind, MemberState, Roster, Seq, Timestamp};
use countermark::feed::{
    AuditHead, Checkpoint, ErasureReceipt, Hash, SignedCheckpoint, SignedRoster, join_sharing, open_sharing, sign_note,
    sign_sharing,
};

use super::{Decoder, alliance, generation, key, member, receipt, shared};

pub(super) const DECODERS: &[Decoder] = &[
    ("a signed checkpoint", |data| _ = of_checkpoint(data), || taken(of_checkpoint, checkpoint())),
    ("a signed roster", |data| _ = of_roster(data), || taken(of_roster, roster())),
    ("a signed receipt of a holder", |data| _ = of_receipt(data), || taken(of_receipt, holders_receipt())),
    ("what holders signed of their shares", |data| _ = of_sharing(data), || taken(of_sharing, sharing())),
    ("a signed receipt for an erasure", |data| _ = of_erasure(data), || taken(of_erasure, erasure())),
    ("the signed head of an audit log", |data| _ = of_audit_head(data), || taken(of_audit_head, audit_head())),
];

/// What is taken as it stands: from there, changes get furthest.
fn taken(is_taken: fn(&[u8]) -> bool, text: Vec<u8>) -> Vec<u8> {
    assert!(is_taken(&text), "{}", String::from_utf8_lossy(&text));
    text
}

fn checkpoint() -> Vec<u8> {
    let checkpoint = Checkpoint { feed: feed(), size: Seq::new(17), root: Hash([3; 32]) };
    text(SignedCheckpoint::sign(checkpoint, &alliance(), &key()).note())
}

fn roster() -> Vec<u8> {
    let of = |name: &str| Member {
        id: member(name),
        kind: MemberKind::Brand,
        name: name.to_uppercase(),
        state: MemberState::Active,
        address: format!("{name}.example:7400"),
        feed_key: key().public(),
    };
    let group = Group { name: "luxury".parse().expect("valid"), members: [member("acme"), member("brand")].into() };
    let first = Roster::first(alliance(), "2026-11-22T00:00:00Z".into());
    let roster = Roster { members: vec![of("acme"), of("brand")], groups: vec![group], ..first };
    text(SignedRoster::sign(roster, &key()).expect("valid").note())
}

fn holders_receipt() -> Vec<u8> {
    text(&receipt().sign(&alliance(), &key()))
}

fn sharing() -> Vec<u8> {
    text(&sign_sharing(&alliance(), &generation(shared().classes), &member("acme"), &key()))
}

fn erasure() -> Vec<u8> {
    let at = Timestamp::from_unix_ms(1_800_000_000_000);
    let progress = ErasureProgress { removed: Seq::new(9), removed_at: at, purged: Seq::new(4), purged_at: at };
    text(&ErasureReceipt { feed: feed(), holder: member("globex"), progress }.sign(&alliance(), &key()))
}

fn audit_head() -> Vec<u8> {
    text(&AuditHead { size: Seq::new(3), root: Hash([7; 32]) }.sign(&alliance(), &member("acme"), &key()))
}

fn feed() -> FeedId {
    "acme/all".parse().expect("valid")
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
