//! A program that shares no code with this crate verifies a feed that this crate made, and refuses every falsification.
//!
//! The program is `tests/verify_checkpoint.py`: Python's standard library, with Ed25519 and the tree written from their RFCs.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::domain::{AllianceName, Retraction, RetractionReason, Seq, Timestamp};
use countermark::feed::{
    Body, Checkpoint, Entry, EntryBytes, Frontier, SignedCheckpoint, SigningKey, encode, leaf_hash, verifier_key,
};

/// What a member hands to somebody who does not trust its node.
#[derive(Clone)]
struct Published {
    vkey: String,
    checkpoint: String,
    entries: Vec<Vec<u8>>,
}

/// What is done to it, in words and in deed.
type Falsification<'f> = (&'f str, &'f dyn Fn(&mut Published));

fn entry(n: u8) -> EntryBytes {
    let retraction = Retraction { signal: Seq::new(n.into()), reason: RetractionReason::Other };
    let entry = Entry { recorded_at: Timestamp::from_unix_ms(1_770_000_000_000), body: Body::Retraction(retraction) };
    encode(&entry, [n; 16]).expect("valid")
}

fn published(entries: u8) -> Published {
    let alliance: AllianceName = "alliance.example".parse().expect("valid");
    let feed: countermark::domain::FeedId = "acme/all".parse().expect("valid");
    let key = SigningKey::from_seed_text(&BASE64.encode([7; 32])).expect("a seed");
    let entries: Vec<Vec<u8>> = (0..entries).map(|n| entry(n).as_slice().to_vec()).collect();
    let mut frontier = Frontier::empty();
    entries.iter().for_each(|entry| frontier.push(leaf_hash(entry)));
    let vkey = verifier_key(&feed.origin(&alliance), &key.public());
    let checkpoint = Checkpoint { feed, size: frontier.size(), root: frontier.root() };
    let signed = SignedCheckpoint::sign(checkpoint, &alliance, &key);
    Published { vkey, checkpoint: String::from_utf8(signed.note().to_vec()).expect("text"), entries }
}

/// Exit code of the program, and what it said.
fn verdict(of: &Published) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    };
    let entries: String = of.entries.iter().map(|entry| BASE64.encode(entry) + "\n").collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_checkpoint.py");
    let output = Command::new("python3")
        .arg(script)
        .args([file("vkey", &of.vkey), file("checkpoint", &of.checkpoint), file("entries", &entries)])
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), said)
}

fn python_is_missing() -> bool {
    let version = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let missing = !version.is_ok_and(|status| status.success());
    if missing {
        eprintln!("skipped: no python3");
    }
    missing
}

#[test]
fn a_foreign_program_verifies_our_feeds() {
    if python_is_missing() {
        return;
    }
    for entries in [0, 1, 2, 7, 64, 100] {
        let (code, said) = verdict(&published(entries));
        assert_eq!(code, Some(0), "{entries} entries: {said}");
        assert!(said.contains(&format!("{entries} entries")), "{said}");
    }
}

#[test]
fn a_foreign_program_refuses_what_was_falsified() {
    if python_is_missing() {
        return;
    }
    let good = published(7);
    let root = good.checkpoint.lines().nth(2).expect("a root").to_owned();
    let other_root = published(6).checkpoint.lines().nth(2).expect("a root").to_owned();
    let falsifications: [Falsification<'_>; 7] = [
        ("a changed entry", &|p| p.entries[3][5] ^= 1),
        ("entries in another order", &|p| p.entries.swap(0, 1)),
        ("an entry left out", &|p| drop(p.entries.pop())),
        ("another size", &|p| p.checkpoint = p.checkpoint.replacen("\n7\n", "\n8\n", 1)),
        ("another root", &|p| p.checkpoint = p.checkpoint.replace(&root, &other_root)),
        ("the signature of another checkpoint", &|p| {
            let (text, _) = p.checkpoint.rsplit_once("\n\n").expect("a note");
            let other = published(6).checkpoint;
            p.checkpoint = format!("{text}\n\n{}", other.rsplit_once("\n\n").expect("a note").1);
        }),
        ("another key", &|p| {
            let key = SigningKey::from_seed_text(&BASE64.encode([8; 32])).expect("a seed");
            p.vkey = verifier_key("alliance.example/acme/all", &key.public());
        }),
    ];
    for (what, falsify) in falsifications {
        let mut bad = good.clone();
        falsify(&mut bad);
        let (code, said) = verdict(&bad);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.starts_with("refused: "), "{what}: {said}");
    }
}
