//! Encryption of parts to age recipients, and back.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

use super::ArchiveError;

/// Whom a backup is encrypted to: the public half of an age X25519 identity, `age1` and 58 characters.
#[derive(Clone)]
pub struct Recipient(age::x25519::Recipient);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl FromStr for Recipient {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self, ArchiveError> {
        // What is given by mistake may be the secret half.
        let shown = if text.starts_with("age1") { text } else { "..." };
        text.trim().parse().map(Self).map_err(|_| ArchiveError::Recipient(shown.to_owned()))
    }
}

/// What backups can be decrypted with.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({} of them)", self.0.len())
    }
}

impl Identities {
    /// Those in a file as `age-keygen` writes it.
    ///
    /// # Errors
    /// [`ArchiveError::Identities`], [`ArchiveError::Io`].
    pub fn read(path: &Path) -> Result<Self, ArchiveError> {
        let unusable = |source| ArchiveError::Identities { path: path.to_owned(), source };
        let file = File::open(path).map_err(|error| ArchiveError::io(path, error))?;
        let identities = age::IdentityFile::from_buffer(BufReader::new(file)).map_err(|error| unusable(error.into()))?;
        identities.into_identities().map(Self).map_err(|error| unusable(error.into()))
    }
}

/// What a part is written to.
pub(super) enum Seal<W: Write> {
    Open(W),
    Sealed(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Seal<W> {
    /// Encrypts to all of `recipients`, or not at all where there are none.
    pub(super) fn new(recipients: &[Recipient], out: W) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Self::Open(out));
        }
        let recipients = recipients.iter().map(|recipient| &recipient.0 as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Sealed(Box::new(encryptor.wrap_output(out)?)))
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Open(out) => Ok(out),
            Self::Sealed(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Seal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(out) => out.write(bytes),
            Self::Sealed(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(out) => out.flush(),
            Self::Sealed(writer) => writer.flush(),
        }
    }
}

/// What a sealed part says.
pub(super) fn unseal<'r, R: Read + 'r>(
    identities: &Identities,
    path: &Path,
    sealed: R,
) -> Result<Box<dyn Read + 'r>, ArchiveError> {
    let refused = |error: age::DecryptError| ArchiveError::NotForUs { path: path.to_owned(), source: error.into() };
    let decryptor = age::Decryptor::new(sealed).map_err(refused)?;
    let identities = identities.0.iter().map(|identity| &**identity as &dyn age::Identity);
    Ok(Box::new(decryptor.decrypt(identities).map_err(refused)?))
}
