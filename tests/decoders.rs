//! What others send or write never makes a decoder panic: what is valid is taken apart, and so is what is cut, longer, of other bits, or noise.

#[path = "fuzz/decoders.rs"]
mod decoders;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use decoders::{decoders, selector};
use flate2::read::GzDecoder;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tar::Archive;

/// Inputs that made a decoder panic once: which decoder, and the bytes.
const KNOWN: &[(&str, &[u8])] = &[
    // The lengths of its parts came to more than a number holds.
    (
        "the list of a backup",
        b"{\"format\": 1, \"alliance\": \"alliance.example\", \"member\": \"acme\", \"backup\": \"00\", \"version\": \"1\", \
          \"began_at_ms\": 0, \"as_of_ms\": 0, \"parts\": [\
          {\"name\": \"part-000001\", \"bytes\": 18446744073709551615, \"sha256\": \"\", \"rows\": 0}, \
          {\"name\": \"part-000002\", \"bytes\": 1, \"sha256\": \"\", \"rows\": 0}]}",
    ),
    // Its number is the highest that is read, and the next list has the next one.
    (
        "a revocation list of our own",
        b"-----BEGIN X509 CRL-----\nMIIBIjCBygIBATAKBggqhkjOPQQDAjA9MRkwFwYDVQQKDBBhbGxpYW5jZS5leGFtcGxlMSAwHgYDVQQDDBdDb3VudGVybWFyayBh\
          bGxpYW5jZSBDQRcNMjYxMTIyMDAwMDAwWhcNMjYxMjI3MDAwMDAwWjAjMCECEAcHBwcHBwcHBwcHBwcHBwcXDTI2MTEyMjAwMDAw\
          MFqgNzA1MB8GA1UdIwQYMBaAFCiuyk6c9trz//hXiGUV7z5OVgWjMBIGA1UdFAQLAgkA//////////8wCgYIKoZIzj0EAwIDRwAw\
          RAIgE16K5aFQPXxRgSHWmO8ygVFrSLhUitlsL3KC8W0gT3ACIHcohhikMdVSib4uQH7AsCPIpyMT/CZljhZ5XzpNUIKA\n-----END X509 CRL-----\n",
    ),
];

/// What happens to an input on its way.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len() + 1;
        match change {
            Change::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Change::Flip(..) => {}
            Change::Cut(at) => bytes.truncate(at.index(length)),
            Change::Insert(at, more) => drop(bytes.splice(at.index(length)..at.index(length), more.iter().copied())),
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(part);
            }
        }
    }
    bytes
}

#[test]
fn an_input_is_for_one_decoder() {
    let by_selector: BTreeMap<[u8; 2], &str> = decoders().map(|(name, ..)| (selector(name), name)).collect();
    for (name, ..) in decoders() {
        assert_eq!(by_selector[&selector(name)], name, "both have the same selector: call one of them something else");
    }
    for (name, _) in KNOWN {
        assert!(decoders().any(|(known, ..)| known == *name), "{name}");
    }
}

#[test]
fn no_decoder_panics_whatever_it_is_given() {
    for (name, is_taken, valid) in decoders() {
        let valid = valid();
        assert!(is_taken(&valid), "{name}: {}", String::from_utf8_lossy(&valid));
        for (_, bytes) in KNOWN.iter().filter(|(known, _)| *known == name) {
            is_taken(bytes);
        }
        let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
        let inputs = prop_oneof![
            4 => prop::collection::vec(change(), 1..4).prop_map(move |changes| changed(valid.clone(), &changes)),
            1 => prop::collection::vec(any::<u8>(), 0..600),
        ];
        let ran = runner.run(&inputs, |bytes| {
            is_taken(&bytes);
            Ok(())
        });
        assert!(ran.is_ok(), "{name}: {ran:?}");
    }
}

/// What the fuzzer kept of all that it tried, because each led somewhere that the others did not.
#[test]
fn no_decoder_panics_at_what_a_fuzzer_found_worth_keeping() {
    let corpus = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus.tar.gz")).expect("the corpus");
    let mut corpus = Archive::new(GzDecoder::new(corpus));
    let mut runs: BTreeMap<[u8; 2], usize> = BTreeMap::new();
    for file in corpus.entries().expect("an archive") {
        let mut input = Vec::new();
        file.expect("a file").read_to_end(&mut input).expect("whole");
        decoders::run(&input);
        if let Some(chosen) = input.first_chunk() {
            *runs.entry(*chosen).or_default() += 1;
        }
    }
    for (name, ..) in decoders() {
        assert!(runs.contains_key(&selector(name)), "there is nothing for {name}");
    }
    assert!(runs.values().sum::<usize>() > 1_000, "{runs:?}");
}
