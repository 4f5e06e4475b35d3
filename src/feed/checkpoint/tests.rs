use super::*;
use crate::domain::limits::MAX_NOTE_SIGNATURES;
use crate::feed::fixtures::{alliance, padded, signing_key};
use crate::feed::leaf_hash;

fn checkpoint() -> Checkpoint {
    Checkpoint { feed: "acme/all".parse().expect("valid"), size: Seq::new(12), root: leaf_hash(b"root") }
}

fn open(note: impl Into<Bytes>) -> Result<SignedCheckpoint, CheckpointError> {
    SignedCheckpoint::open(note.into(), &alliance(), |feed| (feed.member.as_str() == "acme").then(|| signing_key(1).public()))
}

/// The note of `text`, rightly signed under the name of its first line.
fn signed(text: &str) -> Bytes {
    sign_note(text, text.lines().next().expect("a line"), &signing_key(1))
}

const GOLDEN: &str = "alliance.example/acme/all
12
PAb5plclr2BSYfY2ZyyWINQJcx2JpFHXRV/pxK4WeCk=

\u{2014} alliance.example/acme/all kl3/fLLWEMykNe6X7RPMZVCZdpmv9Vfhtq0wLb61qiM0cBpJZ5q/ReWe/cO47cbdqYB8xh63TnDiZjeGLe8y+dCRaAs=
";

#[test]
fn the_bytes_of_a_checkpoint_never_change() {
    let made = SignedCheckpoint::sign(checkpoint(), &alliance(), &signing_key(1));
    assert_eq!(std::str::from_utf8(made.note()), Ok(GOLDEN));
}

#[test]
fn a_checkpoint_opens_as_what_was_signed() {
    let made = SignedCheckpoint::sign(checkpoint(), &alliance(), &signing_key(1));
    let opened = open(made.note().clone()).expect("its own");
    assert_eq!(opened, made);
    assert_eq!(opened.checkpoint(), &checkpoint());
}

#[test]
fn the_largest_checkpoint_of_the_longest_names_fits() {
    let slug = "a".repeat(crate::domain::limits::MAX_SLUG_CHARS);
    let alliance: AllianceName = format!("{slug}.{slug}.{}", "a".repeat(18)).parse().expect("100 characters");
    let feed: FeedId = format!("{slug}/{slug}").parse().expect("valid");
    let largest = Checkpoint { feed, size: Seq::new(u64::MAX), root: leaf_hash(b"") };
    let made = SignedCheckpoint::sign(largest, &alliance, &signing_key(1));
    assert!(SignedCheckpoint::open(made.note().clone(), &alliance, |_| Some(signing_key(1).public())).is_ok());
}

#[test]
fn whose_checkpoint_it_is_decides() {
    let code = |note: &str| open(note.to_owned()).expect_err("refused").code();
    assert_eq!(code(&GOLDEN.replace("alliance.example", "other.example")), "CHECKPOINT_FOREIGN_ALLIANCE");
    assert_eq!(code(&GOLDEN.replace("/acme/", "/stranger/")), "CHECKPOINT_UNKNOWN_MEMBER");
    assert_eq!(code(&GOLDEN.replacen("\n12\n", "\n13\n", 1)), "NOTE_SIGNATURE_WRONG");
    let other = SignedCheckpoint::sign(checkpoint(), &alliance(), &signing_key(2));
    assert_eq!(open(other.note().clone()).expect_err("refused").code(), "NOTE_NOT_SIGNED");
    // The signature of one feed under the origin of another: the key's name is bound by its id.
    let moved = GOLDEN.replacen("acme/all", "acme/luxury", 1);
    assert_eq!(code(&moved), "NOTE_NOT_SIGNED");
}

#[test]
fn no_more_is_looked_at_than_a_checkpoint_has() {
    let padded = [GOLDEN.as_bytes(), &vec![b'x'; MAX_CHECKPOINT_BYTES]].concat();
    assert_eq!(open(padded), Err(CheckpointError::TooLarge));
    let cosigned = GOLDEN.to_owned() + &"\u{2014} w AAAAAAA=\n".repeat(MAX_NOTE_SIGNATURES);
    assert_eq!(open(cosigned).expect_err("refused").code(), "NOTE_TOO_MANY_SIGNATURES");
}

#[test]
fn size_and_root_have_one_spelling() {
    let root = BASE64.encode(leaf_hash(b"root").0);
    let text = |size: &str, rest: &str| format!("alliance.example/acme/all\n{size}\n{rest}\n");
    for size in ["", "012", "+12", "-1", " 12", "1e1", "18446744073709551616", "00"] {
        assert_eq!(open(signed(&text(size, &root))), Err(CheckpointError::Malformed), "{size:?}");
    }
    for bad_root in ["", "AAAA", &root.replace('=', ""), &format!("{root} ")] {
        assert_eq!(open(signed(&text("12", bad_root))), Err(CheckpointError::Malformed), "{bad_root:?}");
    }
    for size in ["0", "1", "18446744073709551615"] {
        assert_eq!(open(signed(&text(size, &root))).expect("valid").checkpoint().size.to_string(), size);
    }
}

#[test]
fn extension_lines_are_ignored_and_never_empty() {
    let root = BASE64.encode(leaf_hash(b"root").0);
    let with = |extension: &str| open(signed(&format!("alliance.example/acme/all\n12\n{root}\n{extension}")));
    assert_eq!(with("anything goes\nhere\n").expect("tolerated").checkpoint(), &checkpoint());
    assert_eq!(with("a\n\nb\n"), Err(CheckpointError::Malformed));
    assert_eq!(with("\n"), Err(CheckpointError::Malformed));
}

#[test]
fn an_origin_names_a_feed() {
    for origin in ["alliance.example", "alliance.example/acme", "alliance.example/acme/all/1", "alliance.example//all", ""] {
        let refused = open(format!("{origin}\n1\n\n\u{2014} a b\n")).expect_err("refused");
        assert_eq!(refused, CheckpointError::Malformed, "{origin:?}");
    }
    assert_eq!(open(Bytes::new()), Err(CheckpointError::Malformed));
    assert_eq!(open(&b"\xff/acme/all\n"[..]), Err(CheckpointError::Malformed));
}

#[test]
fn a_checkpoint_may_be_as_long_as_the_bound_and_no_longer() {
    let made = SignedCheckpoint::sign(checkpoint(), &alliance(), &signing_key(1));
    let longest = padded(made.note(), MAX_CHECKPOINT_BYTES);
    assert_eq!(open(longest).expect("fits").checkpoint(), &checkpoint());
    assert_eq!(open(padded(made.note(), MAX_CHECKPOINT_BYTES + 1)), Err(CheckpointError::TooLarge));
}
