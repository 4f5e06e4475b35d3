//! The list of a backup's parts.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ArchiveError;
use super::file::{create, read};
use crate::domain::limits::MAX_BACKUP_MANIFEST_BYTES;
use crate::store::VerifiedFeed;

/// The layout of the folder. A higher one is refused.
pub(super) const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";

/// Name of the file of a part; the first is 1.
pub(super) fn part_name(number: usize) -> String {
    format!("part-{number:06}")
}

/// What a backup is, and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the folder's layout: 1.
    pub format: u32,
    /// The alliance.
    pub alliance: String,
    /// Whose store it is.
    pub member: String,
    /// Its name, 32 hexadecimal digits.
    pub backup: String,
    /// Version of the program that gave it.
    pub version: String,
    /// Milliseconds since 1970-01-01T00:00:00Z, by the node's clock.
    pub began_at_ms: i64,
    /// The same, of the moment as of which the store was copied; absent while it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_ms: Option<i64>,
    /// The age recipients that its parts are encrypted to; none where they are not.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Its parts, in their order.
    #[serde(default)]
    pub parts: Vec<ArchivedPart>,
    /// The feeds in it, once it is whole.
    #[serde(default)]
    pub feeds: Vec<ArchivedFeed>,
}

/// A part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedPart {
    /// Name of its file.
    pub name: String,
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// Rows in it.
    pub rows: u64,
    /// The last key in it, in hexadecimal; absent where what comes after it cannot be had again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedFeed {
    /// Its name, `member/audience`.
    pub feed: String,
    /// Its entries.
    pub size: u64,
    /// Root over them, 64 hexadecimal digits.
    pub root: String,
}

impl From<&VerifiedFeed> for ArchivedFeed {
    fn from(feed: &VerifiedFeed) -> Self {
        Self { feed: feed.feed.to_string(), size: feed.size.get(), root: feed.root.to_string() }
    }
}

impl Manifest {
    /// Of a backup that a node has just begun: nothing of it is there yet, and nobody is named whom it is encrypted to.
    #[must_use]
    pub fn begun(alliance: String, member: String, backup: String, version: String, began_at_ms: i64) -> Self {
        let (recipients, parts, feeds) = (Vec::new(), Vec::new(), Vec::new());
        Self { format: FORMAT, alliance, member, backup, version, began_at_ms, as_of_ms: None, recipients, parts, feeds }
    }

    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// Whether all of it is there.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.as_of_ms.is_some()
    }

    /// Bytes of all parts. Saturates: a list that was tampered with may say anything.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |bytes, part| bytes.saturating_add(part.bytes))
    }

    /// `None` where there is none in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = Self::path(folder);
        let text = match read(&path, MAX_BACKUP_MANIFEST_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ArchiveError::io(&path, error)),
        };
        let invalid = |source| ArchiveError::Manifest { path: path.clone(), source };
        // The layout first, so that a newer one is told from a broken one.
        #[derive(Deserialize)]
        struct Layout {
            format: u32,
        }
        let Layout { format } = serde_json::from_slice(&text).map_err(invalid)?;
        if format > FORMAT {
            return Err(ArchiveError::NewerFormat(format));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(invalid)?;
        // Files are read, written and removed by these names, and whoever can write to where backups lie can have changed them.
        if !(1..).zip(&manifest.parts).all(|(number, part)| part.name == part_name(number)) {
            return Err(ArchiveError::damaged(&path, "its parts are not part-000001 and so on"));
        }
        Ok(Some(manifest))
    }

    /// Puts it in place of the one that is there, whole and for good.
    pub(super) fn write(&self, folder: &Path) -> Result<(), ArchiveError> {
        let (path, next) = (Self::path(folder), folder.join("manifest.json.next"));
        let write = || {
            let mut file = create(&next)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&next, &path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| ArchiveError::io(&path, error))
    }
}
