//! Writes a backup, part by part.

use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::file::{self, Digesting, create};
use super::manifest::part_name;
use super::sealing::Seal;
use super::{ArchiveError, ArchivedPart, Manifest, Recipient};
use crate::domain::limits::{BACKUP_PART_BYTES, MAX_BACKUP_DIGEST_BYTES, MAX_BACKUP_RECIPIENTS};
use crate::domain::{AllianceName, FeedKey, MemberId};
use crate::store::{BackupPlace, Piece, RowDigest, Verification};

/// The part that is being written.
struct Part {
    name: String,
    path: PathBuf,
    out: Seal<Digesting<BufWriter<File>>>,
    rows: u64,
    bytes: u64,
    /// Its last key, where one can go on after it.
    until: Option<String>,
    digest: RowDigest,
}

/// A backup that is being written.
pub struct ArchiveWriter {
    folder: PathBuf,
    manifest: Manifest,
    recipients: Vec<Recipient>,
    digest: RowDigest,
    part: Option<Part>,
    part_bytes: u64,
}

impl ArchiveWriter {
    /// Takes up a backup in `folder` that broke off; `None` where the folder is not there or is empty.
    ///
    /// # Errors
    /// [`ArchiveError::Recipients`], [`ArchiveError::Occupied`], [`ArchiveError::Whole`], [`ArchiveError::OtherBackup`] where the
    /// recipients are others, and what keeps its files from being read.
    pub fn resume(folder: &Path, recipients: &[Recipient]) -> Result<Option<Self>, ArchiveError> {
        if recipients.len() > MAX_BACKUP_RECIPIENTS {
            return Err(ArchiveError::Recipients);
        }
        let Some(mut manifest) = Manifest::read(folder)? else {
            return match std::fs::read_dir(folder) {
                Ok(entries) => match entries.count() {
                    0 => Ok(None),
                    _ => Err(ArchiveError::Occupied(folder.to_owned())),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(ArchiveError::io(folder, error)),
            };
        };
        if manifest.is_whole() {
            return Err(ArchiveError::Whole(folder.to_owned()));
        }
        if manifest.recipients != names(recipients) {
            return Err(ArchiveError::OtherBackup(folder.to_owned()));
        }
        // What changed while it was copied is sent again from the beginning.
        let kept = manifest.parts.iter().take_while(|part| part.until.is_some()).count();
        manifest.parts.truncate(kept);
        let mut digest = RowDigest::default();
        for part in &manifest.parts {
            let path = digest_path(folder, &part.name);
            let bytes = file::read(&path, MAX_BACKUP_DIGEST_BYTES).map_err(|error| ArchiveError::io(&path, error))?;
            digest.absorb(RowDigest::decode(&bytes).ok_or_else(|| ArchiveError::damaged(&path, "it cannot be read"))?);
        }
        let recipients = recipients.to_vec();
        Ok(Some(Self { folder: folder.to_owned(), manifest, recipients, digest, part: None, part_bytes: BACKUP_PART_BYTES }))
    }

    /// Begins one in `folder`, which is made where it is not there, in place of one that broke off.
    ///
    /// # Errors
    /// [`ArchiveError::Io`], and what keeps the list of the one that broke off from being read.
    pub fn begin(folder: &Path, begun: Manifest, recipients: &[Recipient]) -> Result<Self, ArchiveError> {
        let io = |error| ArchiveError::io(folder, error);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        if let Some(old) = Manifest::read(folder)? {
            for part in old.parts {
                remove(&folder.join(&part.name))?;
                remove(&digest_path(folder, &part.name))?;
            }
        }
        let manifest = Manifest { recipients: names(recipients), ..begun };
        manifest.write(folder)?;
        let (recipients, digest) = (recipients.to_vec(), RowDigest::default());
        Ok(Self { folder: folder.to_owned(), manifest, recipients, digest, part: None, part_bytes: BACKUP_PART_BYTES })
    }

    #[cfg(test)]
    pub(super) fn with_parts_of(self, part_bytes: u64) -> Self {
        Self { part_bytes, ..self }
    }

    /// What is known of it so far.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where a node goes on with it; `None` where nothing of it is kept yet.
    #[must_use]
    pub fn place(&self) -> Option<BackupPlace> {
        let after = hex::decode(self.manifest.parts.last()?.until.as_deref()?).ok()?;
        Some(BackupPlace { id: self.manifest.backup.parse().ok()?, after })
    }

    /// Writes a piece. Once a part is large enough, it is ended and kept.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn put(&mut self, piece: &Piece) -> Result<(), ArchiveError> {
        let until = piece.until().map(hex::encode);
        // After rows that come in order one can go on, after those that changed one cannot: a part holds either.
        if let Some(part) = self.part.take_if(|part| part.until.is_some() != until.is_some()) {
            self.keep(part)?;
        }
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.next_part()?,
        };
        let bytes = piece.encode();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let written = part.out.write_all(&length.to_be_bytes()).and_then(|()| part.out.write_all(&bytes));
        written.map_err(|error| ArchiveError::io(&part.path, error))?;
        part.digest.take(piece);
        part.rows += piece.rows() as u64;
        part.bytes += bytes.len() as u64;
        part.until = until;
        if part.bytes >= self.part_bytes {
            return self.keep(part);
        }
        self.part = Some(part);
        Ok(())
    }

    fn next_part(&self) -> Result<Part, ArchiveError> {
        let number = self.manifest.parts.len() + 1;
        let name = part_name(number);
        let path = self.folder.join(&name);
        let open = || {
            let out = Digesting::new(BufWriter::new(create(&path)?));
            let mut out = Seal::new(&self.recipients, out)?;
            out.write_all(head(&self.manifest.backup, number).as_bytes())?;
            Ok(out)
        };
        let out = open().map_err(|error| ArchiveError::io(&path, error))?;
        Ok(Part { name, path, out, rows: 0, bytes: 0, until: None, digest: RowDigest::default() })
    }

    fn keep(&mut self, part: Part) -> Result<(), ArchiveError> {
        let Part { name, path, out, rows, until, digest, .. } = part;
        let finish = || {
            let mut out = out.finish()?;
            out.flush()?;
            out.file.get_ref().sync_all()?;
            Ok((out.bytes, out.sha256()))
        };
        let (bytes, sha256) = finish().map_err(|error| ArchiveError::io(&path, error))?;
        let beside = digest_path(&self.folder, &name);
        write_private(&beside, &digest.encode()).map_err(|error| ArchiveError::io(&beside, error))?;
        self.digest.absorb(digest);
        self.manifest.parts.push(ArchivedPart { name, bytes, sha256, rows, until });
        self.manifest.write(&self.folder)
    }

    /// All of it is there, as of `as_of_ms`. Whether it is what members signed; only then is it a backup, and else it is left as one
    /// that broke off.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn finish(
        mut self,
        as_of_ms: i64,
        alliance: &AllianceName,
        member: &MemberId,
        secretariat: &FeedKey,
    ) -> Result<(Manifest, Verification), ArchiveError> {
        if let Some(part) = self.part.take() {
            self.keep(part)?;
        }
        let verified = std::mem::take(&mut self.digest).verify(alliance, member, secretariat);
        if verified.flaws.is_empty() {
            self.manifest.as_of_ms = Some(as_of_ms);
            self.manifest.feeds = verified.feeds.iter().map(Into::into).collect();
            self.manifest.write(&self.folder)?;
            for part in &self.manifest.parts {
                remove(&digest_path(&self.folder, &part.name))?;
            }
        }
        Ok((self.manifest, verified))
    }
}

/// What a part begins with.
pub(super) fn head(backup: &str, number: usize) -> String {
    format!("countermark-backup {} {backup} {number}\n", super::manifest::FORMAT)
}

fn names(recipients: &[Recipient]) -> Vec<String> {
    recipients.iter().map(ToString::to_string).collect()
}

fn digest_path(folder: &Path, part: &str) -> PathBuf {
    folder.join(format!("{part}.digest"))
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> Result<(), ArchiveError> {
    file::remove(path).map_err(|error| ArchiveError::io(path, error))
}
