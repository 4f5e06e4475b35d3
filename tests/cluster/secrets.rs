//! The secrets that a member's files hold, and the forms in which one may have got into something that was written.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Bytes of each: a scalar, a seed or a key.
const SECRET_BYTES: usize = 32;

/// Every private key, secret and share of a key in the folders of a member, with its file.
pub fn secrets(home: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    collect(home, &mut files);
    let secrets = files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).expect("readable");
        let found = if file.extension().is_some_and(|e| e == "json") { of_shares(&text) } else { vec![of_key(&text)] };
        assert!(!found.is_empty() && found.iter().all(|secret| secret.len() == SECRET_BYTES), "{}", file.display());
        let file = file.display().to_string();
        found.into_iter().map(move |secret| (file.clone(), secret))
    });
    secrets.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let is_of_shares = folder.ends_with("shares");
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            _ if path.is_dir() => collect(&path, files),
            Some("key" | "secret") => files.push(path),
            Some("json") if is_of_shares => files.push(path),
            Some(_) | None => {}
        }
    }
}

/// A key as PKCS #8, of which the private part is an octet string of its own, or as the bytes that it is.
fn of_key(text: &str) -> Vec<u8> {
    const OCTETS: [u8; 2] = [0x04, 32];
    let is_body = |line: &&str| !line.starts_with('-');
    let bytes = BASE64.decode(text.lines().filter(is_body).collect::<String>()).expect("base64");
    let Some(at) = bytes.windows(2).position(|pair| pair == OCTETS).filter(|_| text.starts_with('-')) else { return bytes };
    bytes[at + 2..].iter().copied().take(SECRET_BYTES).collect()
}

/// What is held of a key: a share for each class of identifiers.
fn of_shares(text: &str) -> Vec<Vec<u8>> {
    let record: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let held = ["held", "before"].into_iter().filter_map(|which| record[which]["shares"].as_str());
    let shares = held.flat_map(|shares| shares.lines().skip(2)).filter_map(|line| line.split(' ').nth(1));
    shares.map(|share| BASE64.decode(share).expect("base64")).collect()
}

/// Fails where a secret from one of `homes` stands in one of `logs`, as it is or in the forms that bytes take in text.
pub fn assert_kept(homes: &[PathBuf], logs: &[PathBuf]) {
    let read = |log: &PathBuf| std::fs::read(log).ok().map(|bytes| (log.display().to_string(), bytes));
    assert_absent(homes, &logs.iter().filter_map(read).collect::<Vec<_>>());
}

/// The same of what was read, each with its name.
pub fn assert_absent(homes: &[PathBuf], written: &[(String, Vec<u8>)]) {
    for (file, secret) in homes.iter().flat_map(|home| secrets(home)) {
        for form in encoded(&secret) {
            let found = written.iter().find(|(_, bytes)| contains(bytes, &form));
            assert!(found.is_none(), "the secret of {file} stands in {:?}", found.map(|(name, _)| name));
        }
    }
}

/// Whether `form` stands in `bytes`.
pub fn contains(bytes: &[u8], form: &[u8]) -> bool {
    // Whole windows only where the first byte is right: evidence is large.
    let first = form[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(form) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Bytes as they are, in hexadecimal of both cases, and in base64 of both alphabets wherever within a longer text they begin.
pub fn encoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex::encode(bytes);
    let mut forms = vec![bytes.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for shift in 0..3 {
        let text = BASE64.encode([&vec![0; shift], bytes].concat());
        // The characters that depend on nothing but these bytes.
        let (from, to) = ((shift * 8).div_ceil(6), (shift + bytes.len()) * 8 / 6);
        let inner = text[from..to].to_owned();
        forms.push(inner.replace('+', "-").replace('/', "_").into_bytes());
        forms.push(inner.into_bytes());
    }
    forms
}
