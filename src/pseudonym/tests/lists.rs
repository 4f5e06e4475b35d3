//! The rules against public lists of flagged sellers. They lie beside the project, not in it; without them these tests
//! say that they were skipped.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use flate2::read::GzDecoder;

use crate::domain::IdentifierKind::{Domain, MessagingAccount};

use super::{canonicaliser, identifier, text};

/// Golden domains that really are shared hosts or platforms; every other one is a shop's or a scam's own.
const REFUSED: &[&str] = &[
    "business.site",
    "company.site",
    "godaddysites.com",
    "jimdosite.com",
    "mystrikingly.com",
    "onshopbase.com",
    "otzo.com",
    "tumblr.com",
    "weebly.com",
    "wordpress.com",
];

fn list(name: &str) -> Option<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");
    let folder = std::env::var_os("COUNTERMARK_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = folder.join("lists").join(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        writeln!(std::io::stderr(), "skipped: {name} is not there").expect("standard error is open");
    }
    found
}

#[test]
fn golden_domains_are_their_own_form() {
    let Some(golden) = list("golden_flagged_elsewhere.csv") else { return };
    let golden = String::from_utf8(golden).expect("UTF-8");
    let canonicaliser = canonicaliser();
    let mut refused = Vec::new();
    for domain in golden.lines().skip(1).filter_map(|line| line.split(',').next()) {
        for value in [domain.to_owned(), format!("https://{domain}:443/a?b=c"), format!("*.{domain}.")] {
            match canonicaliser.canonical(&identifier(Domain, &value, "")) {
                Ok(form) => assert_eq!(text(&form), domain),
                Err(refusal) => refused.push((domain, refusal.code)),
            }
        }
    }
    refused.dedup();
    let names: Vec<&str> = refused.iter().map(|(domain, _)| *domain).collect();
    assert_eq!(names, REFUSED, "{refused:?}");
}

#[test]
fn published_line_ids_are_taken() {
    let Some(packed) = list("tw_165_line_ids.txt.gz") else { return };
    let mut lines = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut lines).expect("gzip of UTF-8");
    let canonicaliser = canonicaliser();
    let ids = lines.lines().filter_map(|line| line.strip_prefix("line-page:")?.split(' ').next());
    let mut taken = 0;
    for id in ids {
        match canonicaliser.canonical(&identifier(MessagingAccount, &format!("line:{id}"), "")) {
            Ok(form) => taken += usize::from(text(&form) == format!("line:{}", id.to_lowercase())),
            Err(refusal) => assert!(id.contains('/'), "{refusal}: only a line that names two ids is refused"),
        }
    }
    assert!(taken > 2_000, "{taken} taken");
}
