//! Decoders of what comes from a member's own clients, from files that other hands have written, and from a certificate.

use std::io::Write as _;
use std::path::Path;

use countermark::alliance::{Admission, JoinRequest};
use countermark::cli::input::{Defaults, Delimiter, Layout, LinesOptions, Purpose, Rows, Source};
use countermark::config::{ClientConfig, Environment, NodeConfig};
use countermark::daemon::read_evidence;
use countermark::domain::{Identifier, IdentifierKind, Roster};
use countermark::feed::{AuditHead, ErasureReceipt};
use countermark::pseudonym::Canonicaliser;
use countermark::rpc::identity::Certificate;
use countermark::store::{Piece, RowDigest};

use super::{Decoder, alliance, key, member};

pub(super) const DECODERS: &[Decoder] = &[
    ("an identifier", of_identifier, || b"\x04CN 138 0013 8000".to_vec()),
    ("names and references", of_names, || b"acme/all/17".to_vec()),
    ("a table", of_table, || {
        b"submission_id,phone,audience,infringement,evidence\n1,+8613800138000|\"x\",all,other,test_purchase\n".to_vec()
    }),
    ("JSON lines", of_json, || b"{\"identifiers\": {\"phone\": [\"+8613800138000\"]}, \"audience\": \"all\"}\n".to_vec()),
    ("a list", of_lines, || b"# hosts\n0.0.0.0 outlet.test\n||shop.test^$third-party\n*.mall.test\n".to_vec()),
    ("a compressed table", of_table, || {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(b"submission_id,phone\n1,+8613800138000\n").expect("memory");
        writer.finish().expect("memory")
    }),
    ("a join request", of_request, || b"{\"format\": 1, \"alliance\": \"alliance.example\", \"member\": \"acme\"}".to_vec()),
    ("an admission", of_admission, || b"{\"format\": 1, \"member\": \"acme\", \"keys\": []}".to_vec()),
    ("evidence against a key holder", of_evidence, || b"{\"roster\": \"\", \"request\": \"\", \"answer\": \"\"}".to_vec()),
    ("a certificate", of_certificate, || vec![0x30, 0x82, 0x01, 0x0a, 0x30, 0x81, 0xc0, 0xa0, 0x03, 0x02, 0x01, 0x02]),
    ("a receipt for an erasure", of_erasure, || {
        b"countermark erasure receipt v1\nalliance.example/acme/all\nglobex\n1\n\n\xe2\x80\x94 a AAAA\n".to_vec()
    }),
    ("the head of an audit log", of_audit_head, || {
        AuditHead { size: countermark::domain::Seq::new(3), root: countermark::feed::Hash([7; 32]) }
            .sign(&alliance(), &member("acme"), &key())
            .to_vec()
    }),
    ("rows of a backup", of_piece, schema_row),
    ("a node's configuration", of_node_config, || include_bytes!("../../config/node.toml").to_vec()),
    ("a client's configuration", of_client_config, || include_bytes!("../../config/client.toml").to_vec()),
    ("what is remembered of a backup", of_digest, || {
        let mut digest = RowDigest::default();
        digest.take(&Piece::decode(&schema_row()).expect("rows"));
        digest.encode()
    }),
];

/// The row that says whose store it is, alone.
fn schema_row() -> Vec<u8> {
    let row = [&[8, 1, 18, 16][..], b"alliance.example", &[26, 4], b"acme"].concat();
    let pair = [&[10, 1, 0, 18, u8::try_from(row.len()).expect("short")][..], &row].concat();
    [&[10, u8::try_from(pair.len()).expect("short")][..], &pair].concat()
}

fn of_identifier(data: &[u8]) {
    thread_local! {
        static CANONICALISER: Canonicaliser =
            Canonicaliser::new(&Roster::first(alliance(), "2026-11-22T00:00:00Z".into())).expect("valid");
    }
    let Some((kind, rest)) = data.split_first() else { return };
    let (Some(kind), Ok(text)) = (IdentifierKind::from_number(i32::from(*kind)), std::str::from_utf8(rest)) else { return };
    let (region, value) = text.split_at_checked(2).unwrap_or(("", text));
    for region in [region, ""] {
        let identifier = Identifier { kind, value: value.to_owned(), region: region.to_owned() };
        let canonical = CANONICALISER.with(|canonicaliser| canonicaliser.canonical(&identifier));
        drop(canonical);
    }
}

fn of_names(data: &[u8]) {
    use countermark::domain::{Audience, FeedId, MemberId, Sha256Digest, SignalRef, SubmissionId};
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(text.parse::<SignalRef>());
    drop(text.parse::<FeedId>());
    drop(text.parse::<MemberId>());
    drop(text.parse::<Audience>());
    drop(text.parse::<SubmissionId>());
    drop(text.parse::<Sha256Digest>());
    drop(text.parse::<countermark::store::BackupId>());
    drop(text.parse::<countermark::store::CheckReference>());
    drop(text.parse::<countermark::rpc::identity::Identity>());
    drop(text.parse::<countermark::archive::Recipient>());
}

fn read(data: &[u8], layout: &Layout) {
    for purpose in [Purpose::Submit, Purpose::Check, Purpose::Watch, Purpose::Retract] {
        let Ok(source) = Source::new(std::io::Cursor::new(data.to_vec())) else { return };
        if let Ok(rows) = Rows::new(source, layout.clone(), purpose, Defaults::default()) {
            rows.for_each(drop);
        }
    }
}

fn of_table(data: &[u8]) {
    read(data, &Layout::Csv(Delimiter::Comma));
}

fn of_json(data: &[u8]) {
    read(data, &Layout::Jsonl);
}

fn of_lines(data: &[u8]) {
    read(data, &Layout::Lines(LinesOptions::of(IdentifierKind::Domain)));
}

fn of_request(data: &[u8]) {
    drop(std::str::from_utf8(data).map(JoinRequest::from_json));
}

fn of_admission(data: &[u8]) {
    drop(std::str::from_utf8(data).map(Admission::from_json));
}

fn of_evidence(data: &[u8]) {
    drop(std::str::from_utf8(data).map(read_evidence));
}

fn of_certificate(data: &[u8]) {
    drop(Certificate::read(&data.to_vec().into()));
}

fn of_erasure(data: &[u8]) {
    let feed = "acme/all".parse().expect("valid");
    drop(ErasureReceipt::open(data, &alliance(), &feed, &member("globex"), &key().public()));
}

fn of_audit_head(data: &[u8]) {
    let _ = AuditHead::open(data, &alliance(), &member("acme"), &key().public());
}

fn of_piece(data: &[u8]) {
    let Some(piece) = Piece::decode(data) else { return };
    let mut digest = RowDigest::default();
    digest.take(&piece);
    let again = RowDigest::decode(&digest.encode()).expect("what it encodes it decodes");
    drop(again.verify(&alliance(), &member("acme"), &key().public()));
}

/// Reads what is in a file of its own.
fn in_file(data: &[u8], read: impl FnOnce(&Path)) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("written");
    read(file.path());
}

fn of_node_config(data: &[u8]) {
    in_file(data, |path| drop(NodeConfig::load(path, &Environment::default())));
}

fn of_client_config(data: &[u8]) {
    in_file(data, |path| drop(ClientConfig::load(path, &Environment::default())));
}

fn of_digest(data: &[u8]) {
    drop(RowDigest::decode(data).map(|digest| digest.verify(&alliance(), &member("acme"), &key().public())));
}
