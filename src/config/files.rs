use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Bytes of the longest secret: an RSA key of 8,192 bits as PEM takes less than half of it.
const MAX_SECRET_BYTES: usize = 16 * 1_024;
/// Permissions of group and others, of which a secret has none.
const NOT_THE_OWNER: u32 = 0o077;

/// Reads a secret: UTF-8, at most 16 KiB, in a file that only its owner can read. The text is wiped when it is dropped.
///
/// # Errors
/// [`FileError`]; [`FileError::Exposed`] where others can read the file, since they may know the secret already.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let file = open(path)?;
    let mode = file.metadata().map_err(|source| FileError::io(path, source))?.permissions().mode() & 0o777;
    if mode & NOT_THE_OWNER != 0 {
        return Err(FileError::Exposed { path: path.to_owned(), mode });
    }
    // Room for the whole file and the byte too many, so that no part of it is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
    read_bounded(path, file, MAX_SECRET_BYTES, &mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText { path: path.to_owned() })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads a file that is no secret, at most `most` bytes.
pub(super) fn read_text(path: &Path, most: usize) -> Result<String, FileError> {
    String::from_utf8(read_bytes(path, most)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// The same, where it need not be text.
pub(super) fn read_bytes(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    read_bounded(path, open(path)?, most, &mut bytes)?;
    Ok(bytes)
}

fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| FileError::io(path, source))
}

fn read_bounded(path: &Path, file: File, most: usize, bytes: &mut Vec<u8>) -> Result<(), FileError> {
    let read = file.take(most as u64 + 1).read_to_end(bytes).map_err(|source| FileError::io(path, source))?;
    if read > most { Err(FileError::TooLong { path: path.to_owned(), most }) } else { Ok(()) }
}

/// Why a file cannot be used. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system does not give it.
    #[error("`{}` cannot be read", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A secret that is known to more than its owner.
    #[error(
        "`{}` is a secret that others can read (mode {mode:03o}); run `chmod 600 '{}'`, and replace the secret if others use \
         this machine",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is longer than any good one.
    #[error("`{}` is longer than {most} bytes, which no such file is", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How many bytes there may be.
        most: usize,
    },
    /// It is not UTF-8.
    #[error("`{}` is not text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::TooLong { .. } | Self::NotText { .. } => "CONFIG_FILE",
            Self::Exposed { .. } => "CONFIG_SECRET_READABLE",
        }
    }
}
