use std::io;
use std::path::{Path, PathBuf};

use crate::domain::limits::MAX_BACKUP_RECIPIENTS;

/// Why a backup's folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("{path} cannot be used")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no list of parts.
    #[error("there is no backup in {0}; give the folder that holds manifest.json")]
    Absent(PathBuf),
    /// There is something else in the folder.
    #[error("{0} is not empty; give a folder of the backup's own, or the one of a backup that broke off")]
    Occupied(PathBuf),
    /// All of it is there.
    #[error("the backup in {0} is whole already; give another folder for the next one")]
    Whole(PathBuf),
    /// It broke off and was never gone on with.
    #[error("the backup in {0} is not whole: it broke off; use another one")]
    Partial(PathBuf),
    /// The list cannot be read.
    #[error("the list of parts in {path} cannot be read")]
    Manifest {
        /// The list.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A later version wrote it.
    #[error("this backup has format {0}, and this version of countermark knows {known}; use the version that wrote it, or a later one", known = super::manifest::FORMAT)]
    NewerFormat(u32),
    /// A part is not the one that was written.
    #[error("{path} is not as it was written ({what}); fetch it from where it is whole, or use another backup")]
    Damaged {
        /// The part.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// What does not fit is not as the backup that broke off was begun.
    #[error(
        "the backup in {0} was begun with other recipients, or of another node; go on as it was begun, or give another folder"
    )]
    OtherBackup(PathBuf),
    /// No recipient.
    #[error("`{0}` is no age recipient; give one that begins with age1, as age-keygen prints it")]
    Recipient(String),
    /// More recipients than a part can be encrypted to.
    #[error("a backup has at most {MAX_BACKUP_RECIPIENTS} recipients; give fewer")]
    Recipients,
    /// The identities cannot be read.
    #[error("{path} holds no age identities that could be used; give a file as age-keygen writes it")]
    Identities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is encrypted, and nothing was given to open it with.
    #[error("the backup is encrypted; give the file of an age identity that it was encrypted to")]
    Sealed,
    /// It is encrypted to somebody else.
    #[error("{path} cannot be decrypted with what was given; give the identity of one of its recipients")]
    NotForUs {
        /// The part.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ArchiveError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "BACKUP_FOLDER_FULL",
            Self::Io { .. } => "BACKUP_FOLDER_UNUSABLE",
            Self::Absent(_) => "BACKUP_ABSENT",
            Self::Occupied(_) => "BACKUP_FOLDER_OCCUPIED",
            Self::Whole(_) => "BACKUP_WHOLE",
            Self::Partial(_) => "BACKUP_PARTIAL",
            Self::Manifest { .. } => "BACKUP_MANIFEST_INVALID",
            Self::NewerFormat(_) => "BACKUP_FORMAT_NEWER",
            Self::Damaged { .. } => "BACKUP_DAMAGED",
            Self::OtherBackup(_) => "BACKUP_OTHER",
            Self::Recipient(_) => "RECIPIENT_INVALID",
            Self::Recipients => "RECIPIENTS_TOO_MANY",
            Self::Identities { .. } => "IDENTITY_UNREADABLE",
            Self::Sealed => "BACKUP_ENCRYPTED",
            Self::NotForUs { .. } => "BACKUP_NOT_DECRYPTED",
        }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, what: &'static str) -> Self {
        Self::Damaged { path: path.to_owned(), what }
    }
}
