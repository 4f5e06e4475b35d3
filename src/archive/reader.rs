//! Reads a backup, part by part.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::file::{Digesting, open};
use super::sealing::{Identities, unseal};
use super::writer::head;
use super::{ArchiveError, ArchivedPart, Manifest};
use crate::domain::limits::MAX_BACKUP_PIECE_BYTES;
use crate::store::Piece;

/// Bytes of the longest encoded piece: its rows, the largest row beyond them, and what stands around each of many small ones.
const MAX_ENCODED_BYTES: usize = 4 * MAX_BACKUP_PIECE_BYTES;

/// A whole backup.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    manifest: Manifest,
    identities: Option<Identities>,
}

impl Archive {
    /// The one in `folder`.
    ///
    /// # Errors
    /// [`ArchiveError::Absent`], [`ArchiveError::Partial`], [`ArchiveError::Sealed`], [`ArchiveError::Manifest`],
    /// [`ArchiveError::Damaged`], [`ArchiveError::NewerFormat`], [`ArchiveError::Io`].
    pub fn open(folder: &Path, identities: Option<Identities>) -> Result<Self, ArchiveError> {
        let manifest = Manifest::read(folder)?.ok_or_else(|| ArchiveError::Absent(folder.to_owned()))?;
        if !manifest.is_whole() {
            return Err(ArchiveError::Partial(folder.to_owned()));
        }
        if identities.is_none() && !manifest.recipients.is_empty() {
            return Err(ArchiveError::Sealed);
        }
        Ok(Self { folder: folder.to_owned(), manifest, identities })
    }

    /// What it is.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gives each piece to `take`, in order. Of a part that is not as it was written nothing is given that does not decrypt; but where
    /// it is not encrypted, what comes before the fault may be given: nothing counts before this has come to its end.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`], [`ArchiveError::NotForUs`], [`ArchiveError::Io`], and what `take` gives.
    pub fn read<E: From<ArchiveError>>(&self, mut take: impl FnMut(Piece) -> Result<(), E>) -> Result<(), E> {
        for (number, part) in (1..).zip(&self.manifest.parts) {
            self.read_part(number, part, &mut take)?;
        }
        Ok(())
    }

    fn read_part<E: From<ArchiveError>>(
        &self,
        number: usize,
        part: &ArchivedPart,
        take: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.folder.join(&part.name);
        let damaged = |what| E::from(ArchiveError::damaged(&path, what));
        let file = open(&path).map_err(|error| ArchiveError::io(&path, error))?;
        let mut digesting = Digesting::new(BufReader::new(file));
        {
            let mut content: Box<dyn Read + '_> = match &self.identities {
                Some(identities) if !self.manifest.recipients.is_empty() => unseal(identities, &path, &mut digesting)?,
                _ => Box::new(&mut digesting),
            };
            let head = head(&self.manifest.backup, number);
            let mut begin = vec![0; head.len()];
            content.read_exact(&mut begin).map_err(|_| damaged("it is cut short"))?;
            if begin != head.as_bytes() {
                return Err(damaged("it is a part of another backup, or another part"));
            }
            while let Some(bytes) = next_piece(&mut content).map_err(|_| damaged("it is cut short, or was changed"))? {
                take(Piece::decode(&bytes).ok_or_else(|| damaged("its rows cannot be read"))?)?;
            }
        }
        io::copy(&mut digesting, &mut io::sink()).map_err(|error| ArchiveError::io(&path, error))?;
        let is_as_written = digesting.bytes == part.bytes && digesting.sha256() == part.sha256;
        if is_as_written { Ok(()) } else { Err(damaged("its SHA-256 is another one")) }
    }
}

/// `None` at the end.
fn next_piece(content: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match content.read(&mut length)? {
        0 => return Ok(None),
        read => content.read_exact(&mut length[read..])?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_ENCODED_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    content.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
