//! Signed notes (C2SP signed-note, <https://c2sp.org/signed-note>) with Ed25519 signatures (type 0x01).
//!
//! Parsing is strict: a note has one reading or none. The text is handed out after the signature was verified and never before.
//! Signatures of other keys are ignored, as the specification demands; one that claims the expected key and is wrong condemns
//! the note.

use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::SigningKey;
use super::hash::{Hash, sha256};
use crate::domain::FeedKey;
use crate::domain::limits::MAX_NOTE_SIGNATURES;

/// Signature type of Ed25519 over the note's text.
const ED25519_TYPE: u8 = 0x01;
/// What opens a signature line: em dash (U+2014) and space.
const SIGNATURE_MARK: &str = "\u{2014} ";
const KEY_ID_BYTES: usize = 4;

type KeyHint = [u8; KEY_ID_BYTES];

/// The note that `text` makes when `key` signs it as `key_name`.
///
/// `text` ends in a newline and has no control characters but newlines; `key_name` is not empty and has neither blanks nor `+`.
/// What breaks these rules becomes a note that [`open_note`] refuses.
#[must_use]
pub fn sign_note(text: &str, key_name: &str, key: &SigningKey) -> Bytes {
    let mut signature = key_hint(key_name, &key.public()).to_vec();
    signature.extend(key.sign(text.as_bytes()));
    format!("{text}\n{SIGNATURE_MARK}{key_name} {}\n", BASE64.encode(signature)).into()
}

/// The text of `note`, if `key` signed it as `key_name`.
///
/// # Errors
/// [`NoteError::Malformed`] and [`NoteError::TooManySignatures`] where it is no note, [`NoteError::NotSigned`] where that key has
/// not signed, [`NoteError::WrongSignature`] where a signature in its name does not verify.
pub fn open_note<'n>(note: &'n [u8], key_name: &str, key: &FeedKey) -> Result<&'n str, NoteError> {
    let (text, signatures) = split(note)?;
    let hint = key_hint(key_name, key);
    let public = UnparsedPublicKey::new(&ED25519, key.0);
    let mut signed = false;
    for (i, line) in signatures.split_terminator('\n').enumerate() {
        if i == MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let (name, line_hint, signature) = signature_line(line).ok_or(NoteError::Malformed)?;
        if name == key_name && line_hint == hint {
            public.verify(text.as_bytes(), &signature).map_err(|_| NoteError::WrongSignature)?;
            signed = true;
        }
    }
    if signed { Ok(text) } else { Err(NoteError::NotSigned) }
}

/// The note that several keys signed, of the notes that each of them signed alone; `None` where these do not say the same.
#[must_use]
pub(super) fn join_notes<'n>(notes: impl IntoIterator<Item = &'n [u8]>) -> Option<Bytes> {
    let (mut joined, mut said) = (String::new(), None);
    for note in notes {
        let (text, signatures) = split(note).ok()?;
        if *said.get_or_insert(text) != text {
            return None;
        }
        if joined.is_empty() {
            joined = format!("{text}\n");
        }
        joined.push_str(signatures);
    }
    said.map(|_| joined.into())
}

/// The names under which a note claims to be signed; nothing of it is verified.
///
/// # Errors
/// [`NoteError::Malformed`], [`NoteError::TooManySignatures`].
pub(super) fn claimed_signers(note: &[u8]) -> Result<Vec<&str>, NoteError> {
    let (_, signatures) = split(note)?;
    let names: Option<Vec<&str>> = signatures.split_terminator('\n').map(|line| Some(signature_line(line)?.0)).collect();
    let names = names.ok_or(NoteError::Malformed)?;
    if names.len() > MAX_NOTE_SIGNATURES { Err(NoteError::TooManySignatures) } else { Ok(names) }
}

/// A number of a signed text, in its one spelling: decimal, without a plus sign or leading zeros.
#[must_use]
pub fn decimal<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}

/// The key as foreign tools read it (C2SP vkey): `name+key id+base64 of type and key`.
#[must_use]
pub fn verifier_key(name: &str, key: &FeedKey) -> String {
    let id = hex::encode(key_hint(name, key));
    format!("{name}+{id}+{}", BASE64.encode([&[ED25519_TYPE], key.0.as_slice()].concat()))
}

/// The key id: four bytes by which a verifier finds the signatures that are for it. No proof of anything.
fn key_hint(name: &str, key: &FeedKey) -> KeyHint {
    let Hash([a, b, c, d, ..]) = sha256(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &key.0]);
    [a, b, c, d]
}

/// Text with its final newline, and signature lines, divided at the last empty line.
fn split(note: &[u8]) -> Result<(&str, &str), NoteError> {
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
    if note.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed);
    }
    let text_end = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
    let (text, signatures) = (&note[..text_end], &note[text_end + 1..]);
    if signatures.ends_with('\n') { Ok((text, signatures)) } else { Err(NoteError::Malformed) }
}

fn signature_line(line: &str) -> Option<(&str, KeyHint, Vec<u8>)> {
    let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
        return None;
    }
    let bytes = BASE64.decode(base64).ok()?;
    let (hint, signature) = bytes.split_first_chunk()?;
    (!signature.is_empty()).then(|| (name, *hint, signature.to_vec()))
}

/// Why a note is not believed. All of it is its sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("not a signed note")]
    Malformed,
    /// More signatures than are looked at.
    #[error("more than {MAX_NOTE_SIGNATURES} signatures")]
    TooManySignatures,
    /// The expected key has not signed it.
    #[error("not signed by the expected key")]
    NotSigned,
    /// A signature in the name of the expected key does not verify.
    #[error("the signature of the expected key is wrong")]
    WrongSignature,
}

impl NoteError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "NOTE_MALFORMED",
            Self::TooManySignatures => "NOTE_TOO_MANY_SIGNATURES",
            Self::NotSigned => "NOTE_NOT_SIGNED",
            Self::WrongSignature => "NOTE_SIGNATURE_WRONG",
        }
    }
}

#[cfg(test)]
mod tests;
