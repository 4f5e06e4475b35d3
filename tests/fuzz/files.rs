//! Decoders of what comes from a member's own clients and in the files that it keeps: identifiers, tables, configuration.

use std::io::Write as _;
use std::path::Path;

use countermark::cli::input::{Defaults, Delimiter, Layout, LinesOptions, Purpose, Rows, Source};
use countermark::config::{ClientConfig, Environment, NodeConfig};
use countermark::domain::{ErasureProgress, Identifier, IdentifierKind, Policy, Roster, Seq, Thresholds};
use countermark::feed::{AuditHead, ErasureReceipt};
use countermark::pseudonym::Canonicaliser;

use super::{Decoder, NOW, alliance, feed, key, member};

pub(super) const DECODERS: &[Decoder] = &[
    ("an identifier", of_identifier, || b"\x04CN138 0013 8000".to_vec()),
    ("a table", of_table, || {
        b"submission_id,phone,audience,infringement,evidence\n1,+8613800138000|\"x\",all,other,test_purchase\n".to_vec()
    }),
    ("JSON lines", of_json, || {
        b"{\"identifiers\": {\"phone\": [\"+8613800138000\"]}, \"audience\": \"all\", \"evidence\": [\"test_purchase\"], \
          \"infringement\": \"other\"}\n"
            .to_vec()
    }),
    ("a list", of_lines, || b"# hosts\n0.0.0.0 outlet.test\n||shop.test^$third-party\n*.mall.test\n".to_vec()),
    ("a compressed table", of_table, || {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(b"submission_id,phone\n1,+8613800138000\n").expect("memory");
        writer.finish().expect("memory")
    }),
    ("a receipt for an erasure", of_erasure, || {
        let progress = ErasureProgress { removed: Seq::new(9), removed_at: NOW, purged: Seq::new(4), purged_at: NOW };
        ErasureReceipt { feed: feed(), holder: member("globex"), progress }.sign(&alliance(), &key()).to_vec()
    }),
    ("the head of an audit log", of_audit_head, || {
        AuditHead { size: Seq::new(3), root: countermark::feed::Hash([7; 32]) }
            .sign(&alliance(), &member("acme"), &key())
            .to_vec()
    }),
    ("a node's configuration", of_node_config, || include_bytes!("../../config/node.toml").to_vec()),
    ("a client's configuration", of_client_config, || include_bytes!("../../config/client.toml").to_vec()),
    ("thresholds of goods", of_thresholds, || include_bytes!("../../config/thresholds.toml").to_vec()),
    ("a policy", |data| of_toml::<Policy>(data).is_some(), || include_bytes!("../../config/policy.toml").to_vec()),
];

fn of_identifier(data: &[u8]) -> bool {
    thread_local! {
        static CANONICALISER: Canonicaliser =
            Canonicaliser::new(&Roster::first(alliance(), "2026-11-22T00:00:00Z".into())).expect("valid");
    }
    let Some((kind, rest)) = data.split_first() else { return false };
    let (Some(kind), Ok(text)) = (IdentifierKind::from_number(i32::from(*kind)), std::str::from_utf8(rest)) else {
        return false;
    };
    let (region, value) = text.split_at_checked(2).unwrap_or(("", text));
    let is_taken = |region: &str| {
        let identifier = Identifier { kind, value: value.to_owned(), region: region.to_owned() };
        CANONICALISER.with(|canonicaliser| canonicaliser.canonical(&identifier).is_ok())
    };
    is_taken(region) | is_taken("")
}

/// Whether any row is taken, whatever it is for.
fn read(data: &[u8], layout: &Layout) -> bool {
    let taken = |purpose| {
        let source = Source::new(std::io::Cursor::new(data.to_vec())).ok()?;
        let rows = Rows::new(source, layout.clone(), purpose, Defaults::default()).ok()?;
        Some(rows.filter(|row| row.as_ref().is_ok_and(|row| row.result.is_ok())).count())
    };
    let counts = [Purpose::Submit, Purpose::Check, Purpose::Watch, Purpose::Retract].map(taken);
    counts.into_iter().flatten().sum::<usize>() > 0
}

fn of_table(data: &[u8]) -> bool {
    read(data, &Layout::Csv(Delimiter::Comma))
}

fn of_json(data: &[u8]) -> bool {
    read(data, &Layout::Jsonl)
}

fn of_lines(data: &[u8]) -> bool {
    read(data, &Layout::Lines(LinesOptions::of(IdentifierKind::Domain)))
}

fn of_erasure(data: &[u8]) -> bool {
    ErasureReceipt::open(data, &alliance(), &feed(), &member("globex"), &key().public()).is_ok()
}

fn of_audit_head(data: &[u8]) -> bool {
    AuditHead::open(data, &alliance(), &member("acme"), &key().public()).is_ok()
}

/// Reads what is in a file of its own.
pub(super) fn in_file<T>(data: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    read(file.path())
}

fn of_node_config(data: &[u8]) -> bool {
    in_file(data, |path| NodeConfig::load(path, &Environment::default()).is_ok())
}

fn of_client_config(data: &[u8]) -> bool {
    in_file(data, |path| ClientConfig::load(path, &Environment::default()).is_ok())
}

fn of_toml<T: serde::de::DeserializeOwned>(data: &[u8]) -> Option<T> {
    toml::from_str(std::str::from_utf8(data).ok()?).ok()
}

fn of_thresholds(data: &[u8]) -> bool {
    of_toml::<Thresholds>(data).is_some_and(|thresholds| thresholds.validate().is_ok())
}
