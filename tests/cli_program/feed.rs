//! `feed verify`, on files that the feed layer signs here.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::domain::{AllianceName, FeedId, Seq};
use countermark::feed::{Checkpoint, Frontier, SignedCheckpoint, SigningKey, leaf_hash, verifier_key};

use crate::{Run, folder, run};

const SEED: &str = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=";

/// Writes key, checkpoint and entries of a feed of three.
fn feed(folder: &Path, origin: &str) {
    let alliance: AllianceName = "alliance.example".parse().expect("valid");
    let feed: FeedId = origin.parse().expect("valid");
    let key = SigningKey::from_seed_text(SEED).expect("a seed");
    let entries = [b"one".as_slice(), b"two", b"three"];
    let mut frontier = Frontier::empty();
    entries.iter().for_each(|entry| frontier.push(leaf_hash(entry)));
    let checkpoint = Checkpoint { feed: feed.clone(), size: Seq::new(3), root: frontier.root() };
    let signed = SignedCheckpoint::sign(checkpoint, &alliance, &key);
    let lines: String = entries.iter().map(|entry| BASE64.encode(entry) + "\n").collect();
    fs::write(folder.join("vkey"), verifier_key(&feed.origin(&alliance), &key.public()) + "\n").expect("written");
    fs::write(folder.join("checkpoint"), signed.note()).expect("written");
    fs::write(folder.join("entries"), lines).expect("written");
}

fn verify(folder: &Path, more: &[&str]) -> Run {
    let arguments: Vec<&str> =
        ["feed", "verify", "--checkpoint", "checkpoint", "--output", "json"].iter().chain(more).copied().collect();
    run(folder, &arguments)
}

#[test]
fn a_feed_is_verified_without_a_node() {
    let folder = folder();
    feed(folder.path(), "acme/all");
    let verified = verify(folder.path(), &["--key", "vkey", "--entries", "entries"]).expect(0).json();
    assert_eq!((&verified["feed"], &verified["size"]), (&"acme/all".into(), &3.into()));
    assert_eq!(verified["entries_verified"], 3);
    assert_eq!(verified["root"].as_str().map(str::len), Some(64));
    let signature_only = verify(folder.path(), &["--key", "vkey"]).expect(0).json();
    assert!(signature_only["entries_verified"].is_null());
    let hexadecimal = "hex:6f6e65\n\nhex:74776F\ndGhyZWU=";
    fs::write(folder.path().join("entries"), hexadecimal).expect("written");
    verify(folder.path(), &["--key", "vkey", "--entries", "entries"]).expect(0);
}

#[test]
fn what_was_changed_is_found() {
    let folder = folder();
    feed(folder.path(), "acme/all");
    for (entries, code) in [
        ("b25l\ndHdv\ndHJlZQ==\n", "FEED_ROOT_MISMATCH"),
        ("dHdv\nb25l\ndGhyZWU=\n", "FEED_ROOT_MISMATCH"),
        ("b25l\ndHdv\n", "FEED_SIZE_MISMATCH"),
        ("", "FEED_SIZE_MISMATCH"),
        ("b25l\n*\ndGhyZWU=\n", "ENTRY_INVALID"),
        ("b25l\nhex:6\ndGhyZWU=\n", "ENTRY_INVALID"),
    ] {
        fs::write(folder.path().join("entries"), entries).expect("written");
        let refused = verify(folder.path(), &["--key", "vkey", "--entries", "entries"]).expect(1);
        assert!(refused.err.starts_with(&format!("error[{code}]")) && refused.out.is_empty(), "{}", refused.err);
    }
    let note = fs::read_to_string(folder.path().join("checkpoint")).expect("text").replace("\n3\n", "\n4\n");
    fs::write(folder.path().join("checkpoint"), note).expect("written");
    assert!(verify(folder.path(), &["--key", "vkey"]).expect(1).err.starts_with("error[NOTE_SIGNATURE_WRONG]"));
}

#[test]
fn a_roster_says_whose_key_it_is() {
    let folder = folder();
    let init = ["alliance", "init", "--name", "alliance.example", "--folder", "s", "--member", "acme:brand:127.0.0.1:7400"];
    run(folder.path(), &init).expect(0);
    feed(folder.path(), "acme/all");
    let trust = ["--roster", "s/roster.note", "--secretariat-key", "s/members/acme/roster.pub"];
    // Signed by another key than the roster's for this member.
    assert!(verify(folder.path(), &trust).expect(1).err.starts_with("error[NOTE_NOT_SIGNED]"));
    feed(folder.path(), "globex/all");
    assert!(verify(folder.path(), &trust).expect(1).err.starts_with("error[CHECKPOINT_UNKNOWN_MEMBER]"));
    feed(folder.path(), "acme/all");
    let foreign = ["--roster", "s/roster.note", "--secretariat-key", "vkey"];
    assert!(verify(folder.path(), &foreign).expect(1).err.starts_with("error[FEED_KEY_INVALID]"));
}
