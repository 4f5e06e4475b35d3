use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::domain::limits::MAX_BACKUP_RECIPIENTS;
use crate::domain::{AllianceName, Clock, Entropy, EntropyError, FeedKey, MemberId, Timestamp};
use crate::feed::SigningKey;
use crate::store::{BackupPlace, Options, Piece, Restoration, Store};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_800_000_000_000)
    }
}

struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.fill(7);
        Ok(())
    }
}

fn names() -> (AllianceName, MemberId, FeedKey) {
    let key = SigningKey::generate(&Fixed).expect("a key").public();
    ("alliance.example".parse().expect("valid"), "acme".parse().expect("valid"), key)
}

/// A store with some bytes in it that nobody signs; what is signed has its tests beside the store.
async fn store(folder: &Path) -> Store {
    let (alliance, member, _) = names();
    let key = Arc::new(SigningKey::generate(&Fixed).expect("a key"));
    let options = Options {
        folder: folder.to_owned(),
        cache_bytes: 16 << 20,
        alliance,
        member,
        key,
        clock: Arc::new(Noon),
        entropy: Arc::new(Fixed),
    };
    Store::open(options).expect("opens")
}

fn begun(backup: &str) -> Manifest {
    Manifest::begun("alliance.example".into(), "acme".into(), backup.into(), "1.2.3".into(), 1)
}

/// All pieces of a backup of a small store, and its name.
async fn pieces(store: &Store) -> (String, Vec<Piece>) {
    let mut backup = store.back_up(None).await.expect("begins");
    let mut pieces = Vec::new();
    while let Some(piece) = backup.next_piece().expect("readable") {
        pieces.push(piece);
    }
    pieces.push(store.end_backup(&mut backup).await.expect("ends"));
    (backup.id().to_string(), pieces)
}

fn write(folder: &Path, recipients: &[Recipient], backup: &str, pieces: &[Piece]) -> Manifest {
    let (alliance, member, secretariat) = names();
    let mut writer = ArchiveWriter::begin(folder, begun(backup), recipients).expect("begins").with_parts_of(1);
    pieces.iter().for_each(|piece| writer.put(piece).expect("is written"));
    let (manifest, verified) = writer.finish(2, &alliance, &member, &secretariat).expect("ends");
    assert_eq!(verified.flaws, Vec::<String>::new());
    manifest
}

fn read(folder: &Path, identities: Option<Identities>) -> Result<usize, &'static str> {
    let archive = Archive::open(folder, identities).map_err(|error| error.code())?;
    let mut rows = 0;
    let read = archive.read(|piece| {
        rows += piece.rows();
        Ok::<_, ArchiveError>(())
    });
    read.map(|()| rows).map_err(|error| error.code())
}

/// An identity and its file.
fn identity(folder: &Path) -> (Recipient, std::path::PathBuf) {
    use age::secrecy::ExposeSecret as _;
    let identity = age::x25519::Identity::generate();
    let path = folder.join(format!("{}.txt", &identity.to_public().to_string()[..12]));
    let text = format!("# created for a test\n{}\n", identity.to_string().expose_secret());
    std::fs::write(&path, text).expect("written");
    (identity.to_public().to_string().parse().expect("a recipient"), path)
}

#[tokio::test]
async fn what_was_written_is_read_again_sealed_or_not_and_by_its_recipients_only() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(&root.path().join("store")).await;
    let (backup, all) = pieces(&store).await;
    let rows: usize = all.iter().map(Piece::rows).sum();
    let (one, one_file) = identity(root.path());
    let (other, other_file) = identity(root.path());
    let (_, stranger) = identity(root.path());
    let (open, sealed) = (root.path().join("open"), root.path().join("sealed"));
    write(&open, &[], &backup, &all);
    let manifest = write(&sealed, &[one, other], &backup, &all);
    assert_eq!(manifest.recipients.len(), 2);
    assert_eq!(read(&open, None), Ok(rows));
    assert_eq!(read(&sealed, None), Err("BACKUP_ENCRYPTED"));
    for file in [&one_file, &other_file] {
        assert_eq!(read(&sealed, Some(Identities::read(file).expect("identities"))), Ok(rows));
    }
    assert_eq!(read(&sealed, Some(Identities::read(&stranger).expect("identities"))), Err("BACKUP_NOT_DECRYPTED"));
    let sealed_part = std::fs::read(sealed.join("part-000001")).expect("a part");
    assert!(sealed_part.starts_with(b"age-encryption.org/v1\n"), "other tools decrypt it, too");
    assert!(!sealed_part.windows(4).any(|bytes| bytes == b"acme"));
    assert!(!format!("{:?}", Identities::read(&one_file)).contains("AGE-SECRET"));
}

#[tokio::test]
async fn a_backup_that_was_changed_or_is_not_whole_is_not_read() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(&root.path().join("store")).await;
    let (backup, all) = pieces(&store).await;
    let folder = root.path().join("backup");
    write(&folder, &[], &backup, &all);
    let part = folder.join("part-000001");
    let good = std::fs::read(&part).expect("a part");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&part, bad).expect("written");
        assert_eq!(read(&folder, None), Err("BACKUP_DAMAGED"), "byte {at}");
    }
    for length in 0..good.len() {
        std::fs::write(&part, &good[..length]).expect("written");
        assert_eq!(read(&folder, None), Err("BACKUP_DAMAGED"), "{length} bytes");
    }
    std::fs::remove_file(&part).expect("removed");
    assert_eq!(read(&folder, None), Err("BACKUP_FOLDER_UNUSABLE"));
    assert_eq!(read(root.path(), None), Err("BACKUP_ABSENT"));
    std::fs::write(folder.join("manifest.json"), r#"{"format": 2, "new": true}"#).expect("written");
    assert_eq!(read(&folder, None), Err("BACKUP_FORMAT_NEWER"));
    std::fs::write(folder.join("manifest.json"), r#"{"format": 1}"#).expect("written");
    assert_eq!(read(&folder, None), Err("BACKUP_MANIFEST_INVALID"));
}

#[tokio::test]
async fn a_backup_that_broke_off_is_gone_on_with_after_its_last_part() {
    let root = tempfile::tempdir().expect("a folder");
    let store = store(&root.path().join("store")).await;
    let (alliance, member, secretariat) = names();
    let (backup, all) = pieces(&store).await;
    let (recipient, file) = identity(root.path());
    let recipients = [recipient];
    let folder = root.path().join("backup");
    let resume = |recipients: &[Recipient]| ArchiveWriter::resume(&folder, recipients);
    assert!(resume(&recipients).expect("nothing is there").is_none());

    // The line breaks after what is in order, and amid what changed.
    let mut writer = ArchiveWriter::begin(&folder, begun(&backup), &recipients).expect("begins").with_parts_of(1);
    writer.put(&all[0]).expect("is written");
    writer.put(&all[1]).expect("is written");
    drop(writer);
    assert_eq!(read(&folder, Identities::read(&file).ok()), Err("BACKUP_PARTIAL"));
    assert_eq!(resume(&[]).err().map(|error| error.code()), Some("BACKUP_OTHER"), "it was to be encrypted");
    let mut writer = resume(&recipients).expect("readable").expect("is there");
    let place = BackupPlace { id: backup.parse().expect("a name"), after: all[0].until().expect("in order").to_vec() };
    assert_eq!(writer.place(), Some(place));
    all[1..].iter().for_each(|piece| writer.put(piece).expect("is written"));
    let (manifest, verified) = writer.finish(2, &alliance, &member, &secretariat).expect("ends");
    assert_eq!((verified.flaws, manifest.parts.len()), (vec![], 2));
    assert_eq!(read(&folder, Identities::read(&file).ok()), Ok(all.iter().map(Piece::rows).sum()));
    let left: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(resume(&recipients).err().map(|error| error.code()), Some("BACKUP_WHOLE"), "it is never written to again");
    assert_eq!(ArchiveWriter::resume(root.path(), &[]).err().map(|error| error.code()), Some("BACKUP_FOLDER_OCCUPIED"));

    let back = root.path().join("back");
    let mut restoration = Restoration::begin(&back, 16 << 20, alliance, member, secretariat).expect("empty");
    let archive = Archive::open(&folder, Identities::read(&file).ok()).expect("whole");
    let put = archive.read(|piece| {
        restoration.put(piece).expect("rows");
        Ok::<_, ArchiveError>(())
    });
    put.expect("as written");
    assert_eq!(restoration.finish(Noon.now()).expect("is put back").flaws, Vec::<String>::new());
}

/// Whoever can write to where backups lie has the program that takes the next one, or puts one back, look at no file beside the backup's.
#[test]
fn a_list_whose_parts_lie_elsewhere_is_refused_and_nothing_there_is_touched() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("backup");
    let precious = root.path().join("feed.key");
    std::fs::create_dir(&folder).expect("made");
    for name in [precious.to_str().expect("text"), "../feed.key", "part-000002", "PART-000001", "manifest.json", ""] {
        for until in [None, Some("00")] {
            std::fs::write(&precious, "a key").expect("written");
            let part =
                ArchivedPart { name: name.into(), bytes: 5, sha256: String::new(), rows: 1, until: until.map(str::to_owned) };
            let list = Manifest { parts: vec![part], ..begun("00") };
            list.write(&folder).expect("written");
            assert_eq!(ArchiveWriter::resume(&folder, &[]).err().map(|error| error.code()), Some("BACKUP_DAMAGED"), "{name}");
            assert_eq!(ArchiveWriter::begin(&folder, begun("01"), &[]).err().map(|error| error.code()), Some("BACKUP_DAMAGED"));
            Manifest { as_of_ms: Some(2), ..list }.write(&folder).expect("written");
            assert_eq!(read(&folder, None), Err("BACKUP_DAMAGED"), "{name}");
            assert_eq!(std::fs::read(&precious).expect("still there"), b"a key");
        }
    }
}

#[test]
fn more_recipients_than_can_be_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (recipient, _) = identity(folder.path());
    let to = folder.path().join("backup");
    let resume = |count| ArchiveWriter::resume(&to, &vec![recipient.clone(); count]).map(|begun| begun.is_some());
    assert!(matches!(resume(MAX_BACKUP_RECIPIENTS), Ok(false)), "as many as can be");
    assert_eq!(resume(MAX_BACKUP_RECIPIENTS + 1).expect_err("too many").code(), "RECIPIENTS_TOO_MANY");
    assert!(!to.exists());
}

#[test]
fn who_is_no_recipient_is_told_and_a_secret_is_not_repeated() {
    let refused = |text: &str| text.parse::<Recipient>().expect_err("refused").to_string();
    assert!(refused("age1nobody").contains("age1nobody"));
    assert!(!refused("AGE-SECRET-KEY-1QQQ").contains("SECRET"));
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("no-identities");
    std::fs::write(&file, "this is no identity\n").expect("written");
    assert_eq!(Identities::read(&file).expect_err("refused").code(), "IDENTITY_UNREADABLE");
}
