use proptest::prelude::*;

use super::*;
use crate::feed::fixtures::signing_key;

const NAME: &str = "alliance.example/acme/all";

/// The example of Go's `golang.org/x/mod/sumdb/note`, made by another implementation.
const FOREIGN_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const FOREIGN_SIGNATURE: &str =
    "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const FOREIGN_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn foreign_key() -> FeedKey {
    let encoded = FOREIGN_VERIFIER.rsplit_once('+').expect("a vkey").1;
    FeedKey(BASE64.decode(encoded).expect("base64")[1..].try_into().expect("32 bytes"))
}

fn signature_lines(note: &Bytes) -> String {
    let note = std::str::from_utf8(note).expect("text");
    note.rsplit_once("\n\n").expect("a note").1.to_owned()
}

#[test]
fn a_note_of_another_implementation_opens() {
    let note = format!("{FOREIGN_TEXT}\n{FOREIGN_SIGNATURE}");
    assert_eq!(open_note(note.as_bytes(), "PeterNeumann", &foreign_key()), Ok(FOREIGN_TEXT));
    assert_eq!(verifier_key("PeterNeumann", &foreign_key()), FOREIGN_VERIFIER);
    let key = SigningKey::from_seed_text("gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=").expect("a seed");
    assert_eq!(sign_note(FOREIGN_TEXT, "PeterNeumann", &key), note);
}

#[test]
fn other_signatures_are_ignored_and_the_expected_one_is_needed() {
    let (ours, other) = (signing_key(1), signing_key(2));
    let text = "hello\n\nworld\n";
    let note = sign_note(text, NAME, &ours);
    let by_other = signature_lines(&sign_note(text, NAME, &other));
    let elsewhere = signature_lines(&sign_note(text, "elsewhere", &ours));
    let both = format!("{text}\n{by_other}{elsewhere}{}", signature_lines(&note));
    assert_eq!(open_note(both.as_bytes(), NAME, &ours.public()), Ok(text));
    let without = format!("{text}\n{by_other}{elsewhere}");
    assert_eq!(open_note(without.as_bytes(), NAME, &ours.public()), Err(NoteError::NotSigned));
}

#[test]
fn a_wrong_signature_of_the_expected_key_condemns_the_note() {
    let key = signing_key(1);
    let right = sign_note("a\n", NAME, &key);
    let wrong = signature_lines(&sign_note("b\n", NAME, &key));
    let note = [right.as_ref(), wrong.as_bytes()].concat();
    assert_eq!(open_note(&note, NAME, &key.public()), Err(NoteError::WrongSignature));
}

#[test]
fn signatures_are_counted() {
    let key = signing_key(1);
    let line = signature_lines(&sign_note("a\n", "elsewhere", &key));
    let ours = signature_lines(&sign_note("a\n", NAME, &key));
    let with = |others: usize| format!("a\n\n{}{ours}", line.repeat(others));
    assert_eq!(open_note(with(MAX_NOTE_SIGNATURES - 1).as_bytes(), NAME, &key.public()), Ok("a\n"));
    assert_eq!(open_note(with(MAX_NOTE_SIGNATURES).as_bytes(), NAME, &key.public()), Err(NoteError::TooManySignatures));
}

#[test]
fn a_note_has_one_form() {
    let key = signing_key(1);
    let note = sign_note("text\n", NAME, &key);
    let note = std::str::from_utf8(&note).expect("text");
    let short = format!("text\n\n\u{2014} {NAME} {}\n", BASE64.encode([0; 4]));
    let malformed = [
        "",
        "\n",
        "text\n",
        "text\n\n",
        note.trim_end(),
        &format!("{note}\n"),
        &format!("{note}\n\n"),
        &note.replace('\u{2014}', "-"),
        &note.replace("\u{2014} ", "\u{2014}"),
        &note.replace("=\n", "\n"),
        &note.replace(NAME, ""),
        &note.replace(NAME, "a+b"),
        &note.replace(NAME, "a\u{a0}b"),
        &note.replace("text", "te\txt"),
        &note.replace("text\n", "text\r\n"),
        &note.replace("text", "te\0xt"),
        &short,
    ];
    for bad in malformed {
        assert_eq!(open_note(bad.as_bytes(), NAME, &key.public()), Err(NoteError::Malformed), "{bad:?}");
    }
    assert_eq!(open_note(b"\xff\n\n\n", NAME, &key.public()), Err(NoteError::Malformed));
}

#[test]
fn a_key_that_is_no_point_verifies_nothing() {
    let note = sign_note("a\n", NAME, &signing_key(1));
    let line = signature_lines(&note);
    let no_point = FeedKey([0xff; 32]);
    let mut signature = key_hint(NAME, &no_point).to_vec();
    signature.extend([0; 64]);
    let forged = format!("a\n\n{line}\u{2014} {NAME} {}\n", BASE64.encode(signature));
    assert_eq!(open_note(forged.as_bytes(), NAME, &no_point), Err(NoteError::WrongSignature));
}

proptest! {
    #[test]
    fn what_is_signed_opens(lines in prop::collection::vec("[^\\p{Cc}]{0,20}", 1..6), byte in any::<u8>()) {
        let text = lines.join("\n") + "\n";
        let key = signing_key(byte);
        let note = sign_note(&text, NAME, &key);
        prop_assert_eq!(open_note(&note, NAME, &key.public()), Ok(text.as_str()));
    }

    #[test]
    fn a_changed_byte_is_noticed(at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let key = signing_key(3);
        let mut note = sign_note("origin\n5\nroot\n", NAME, &key).to_vec();
        let at = at.index(note.len());
        note[at] ^= flip;
        prop_assert!(open_note(&note, NAME, &key.public()).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(note in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open_note(&note, NAME, &signing_key(1).public()).is_err());
    }
}

#[test]
fn as_many_may_claim_to_have_signed_as_are_looked_at() {
    let lines = |count: usize| format!("a\n\n{}", format!("\u{2014} {NAME} AAAAAAAA\n").repeat(count));
    assert_eq!(claimed_signers(lines(MAX_NOTE_SIGNATURES).as_bytes()), Ok(vec![NAME; MAX_NOTE_SIGNATURES]));
    assert_eq!(claimed_signers(lines(MAX_NOTE_SIGNATURES + 1).as_bytes()), Err(NoteError::TooManySignatures));
}
