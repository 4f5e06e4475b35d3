//! Decoders of backups, and of what a store keeps beside its log: whoever keeps these files may have changed them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use countermark::archive::{Archive, ArchiveError, ArchiveWriter, ArchivedPart, Identities, Manifest};
use countermark::domain::{Actor, Audience, SubmissionTag};
use countermark::feed::sha256;
use countermark::store::{Append, ModelDisk, Piece, Restoration, RowDigest, is_hint, on_behalf_of};
use tempfile::TempDir;

use super::files::in_file;
use super::{Decoder, NOW, ROSTER, alliance, exports, key, member, store_of};

const BACKUP: &str = "00112233445566778899aabbccddeeff";
/// No backup is encrypted to it but those that are made here.
const IDENTITY: &[u8] = include_bytes!("alliance/age.key");

pub(super) const DECODERS: &[Decoder] = &[
    ("the list of a backup", of_manifest, || serde_json::to_vec(&manifest(&part(), &[])).expect("JSON")),
    ("a part of a backup", |data| of_part(data, &[]), part),
    ("a sealed part of a backup", |data| of_part(data, &[recipient()]), sealed),
    ("identities that open backups", |data| in_file(data, |path| Identities::read(path).is_ok()), || IDENTITY.to_vec()),
    ("rows of a backup", of_rows, || ROWS.clone()),
    ("rows that are put back", of_rows_put_back, || ROWS.clone()),
    ("what is remembered of a backup", of_digest, || {
        let mut digest = RowDigest::default();
        digest.take(&Piece::decode(&ROWS).expect("rows"));
        digest.encode()
    }),
    ("a hint", |data| is_hint(data, &member("acme")), hint),
];

/// All rows of a store with a signal, what was said of it, and a roster.
static ROWS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let store = store_of("acme");
    let filled = async {
        store.put_roster(ROSTER.note().clone()).await.expect("put");
        let append = |bytes| {
            let (audience, entry) = (Audience::Alliance, Arc::new(exports::decoded(bytes)));
            match exports::is_signal(bytes) {
                true => {
                    let (tag, known_as) = (SubmissionTag([7; 16]), vec![]);
                    Append::Signal { audience, tag, known_as, entry, bytes: bytes.clone() }
                }
                false => Append::Note { audience, entry, bytes: bytes.clone() },
            }
        };
        let own = exports::entries().iter().take(3).map(append).collect();
        let actor = Actor { client: "shop-1".parse().expect("valid"), certificate: "0f".repeat(8) };
        let appended = on_behalf_of(actor, store.append(own)).await.expect("durable");
        assert!(appended.iter().all(Result::is_ok), "{appended:?}");
        let mut backup = store.back_up(None).await.expect("begun");
        let mut rows = Vec::new();
        // Rows after rows are rows.
        while let Some(piece) = backup.next_piece().expect("readable") {
            rows.extend(piece.encode());
        }
        rows.extend(store.end_backup(&mut backup).await.expect("ended").encode());
        rows
    };
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(filled)
});

fn of_rows(data: &[u8]) -> bool {
    let Some(piece) = Piece::decode(data) else { return false };
    let mut digest = RowDigest::default();
    digest.take(&piece);
    let again = RowDigest::decode(&digest.encode()).expect("what it encodes it decodes");
    again.verify(&alliance(), &member("acme"), &key().public()).flaws.is_empty()
}

fn of_rows_put_back(data: &[u8]) -> bool {
    let Some(piece) = Piece::decode(data) else { return false };
    let begun = Restoration::begin_model(&ModelDisk::new(), alliance(), member("acme"), key().public());
    let mut restoration = begun.expect("an empty disk");
    restoration.put(piece).is_ok() && restoration.finish(NOW).is_ok_and(|verified| verified.flaws.is_empty())
}

fn of_digest(data: &[u8]) -> bool {
    let verified = RowDigest::decode(data).map(|digest| digest.verify(&alliance(), &member("acme"), &key().public()));
    verified.is_some_and(|verified| verified.flaws.is_empty())
}

fn recipient() -> String {
    let text = std::str::from_utf8(IDENTITY).expect("text");
    text.split_ascii_whitespace().nth(3).expect("its public half").to_owned()
}

fn identities() -> Identities {
    in_file(IDENTITY, |path| Identities::read(path).expect("one"))
}

fn begun() -> Manifest {
    let (alliance, member) = (alliance().to_string(), member("acme").to_string());
    Manifest::begun(alliance, member, BACKUP.into(), "1.2.3".into(), NOW.unix_ms())
}

/// Of a whole backup that has this one part.
fn manifest(part: &[u8], recipients: &[String]) -> Manifest {
    let part = ArchivedPart {
        name: "part-000001".into(),
        bytes: part.len() as u64,
        sha256: sha256(&[part]).to_string(),
        rows: 1,
        until: None,
    };
    Manifest { as_of_ms: Some(NOW.unix_ms()), recipients: recipients.to_vec(), parts: vec![part], ..begun() }
}

fn folder(manifest: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("manifest.json"), manifest).expect("written");
    folder
}

fn of_manifest(data: &[u8]) -> bool {
    let folder = folder(data);
    fs::write(folder.path().join("part-000001"), part()).expect("written");
    let archive = Archive::open(folder.path(), Some(identities()));
    archive.is_ok_and(|archive| archive.manifest().bytes() > 0 && reads(&archive))
}

/// The list says of the part what it is: who changes the one can change the other.
fn of_part(data: &[u8], recipients: &[String]) -> bool {
    let folder = folder(&serde_json::to_vec(&manifest(data, recipients)).expect("JSON"));
    fs::write(folder.path().join("part-000001"), data).expect("written");
    Archive::open(folder.path(), Some(identities())).is_ok_and(|archive| reads(&archive))
}

fn reads(archive: &Archive) -> bool {
    let mut digest = RowDigest::default();
    let read = archive.read(|piece| {
        digest.take(&piece);
        Ok::<_, ArchiveError>(())
    });
    read.is_ok()
}

fn part() -> Vec<u8> {
    let mut part = format!("countermark-backup 1 {BACKUP} 1\n").into_bytes();
    part.write_all(&u32::try_from(ROWS.len()).expect("short").to_be_bytes()).expect("memory");
    [part, ROWS.clone()].concat()
}

/// The same, as whoever is backed up writes it.
fn sealed() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let written = |folder: &Path| {
        let recipients = [recipient().parse().expect("valid")];
        let mut writer = ArchiveWriter::begin(folder, begun(), &recipients)?;
        writer.put(&Piece::decode(&ROWS).expect("rows"))?;
        writer.finish(NOW.unix_ms(), &alliance(), &member("acme"), &key().public())
    };
    written(folder.path()).expect("written");
    fs::read(folder.path().join("part-000001")).expect("there")
}

/// What a signal of the own feed did, at its beginning.
fn hint() -> Vec<u8> {
    let field =
        |number: u8, content: &[u8]| [&[number << 3 | 2, u8::try_from(content.len()).expect("short")], content].concat();
    let feed = [
        field(2, b"acme/all"),
        field(4, &[6; 32]),
        vec![5 << 3, 1],
        field(7, &[7; 32]),
        field(8, &4_u16.to_be_bytes()),
        field(9, &[8; 8]),
        field(10, &[9; 8]),
        vec![12 << 3, 1],
    ];
    field(1, &feed.concat())
}
