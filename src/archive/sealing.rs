//! Encryption of parts to age recipients, and back.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

use super::ArchiveError;
use crate::domain::limits::MAX_SEALED_HEADER_BYTES;

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
    let mut sealed = BufReader::new(sealed);
    let header = io::Cursor::new(header(&mut sealed).map_err(refused)?);
    let decryptor = age::Decryptor::new_buffered(header.chain(sealed)).map_err(refused)?;
    let identities = identities.0.iter().map(|identity| &**identity as &dyn age::Identity);
    Ok(Box::new(decryptor.decrypt(identities).map_err(refused)?))
}

/// The lines of the header, of which the last begins with `---`. The library takes one of any length, and a time that grows with the square
/// of it, from whoever can write to where backups lie.
fn header(sealed: &mut impl BufRead) -> Result<Vec<u8>, age::DecryptError> {
    let mut header = Vec::new();
    loop {
        let begin = header.len();
        sealed.by_ref().take((MAX_SEALED_HEADER_BYTES - begin) as u64).read_until(b'\n', &mut header)?;
        match &header[begin..] {
            [b'-', b'-', b'-', .., b'\n'] => return Ok(header),
            [.., b'\n'] => {}
            _ => return Err(age::DecryptError::InvalidHeader),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::MAX_BACKUP_RECIPIENTS;

    #[test]
    fn what_has_as_many_recipients_as_can_be_is_opened() {
        let identities: Vec<_> = (0..MAX_BACKUP_RECIPIENTS).map(|_| age::x25519::Identity::generate()).collect();
        let recipients: Vec<Recipient> = identities.iter().map(|identity| Recipient(identity.to_public())).collect();
        let mut seal = Seal::new(&recipients, Vec::new()).expect("sealed");
        seal.write_all(b"rows").expect("memory");
        let sealed = seal.finish().expect("memory");
        let last = Identities(identities.into_iter().rev().take(1).map(|identity| Box::new(identity) as _).collect());
        let mut opened = Vec::new();
        unseal(&last, Path::new("part"), &*sealed).expect("for it").read_to_end(&mut opened).expect("whole");
        assert_eq!(opened, b"rows");
    }

    #[test]
    fn a_header_without_an_end_is_refused() {
        let identities = Identities(vec![Box::new(age::x25519::Identity::generate())]);
        let refused = |begin: &'static str, rest: u8| {
            let part = begin.as_bytes().chain(io::repeat(rest));
            matches!(unseal(&identities, Path::new("part"), part), Err(ArchiveError::NotForUs { .. }))
        };
        assert!(refused("age-encryption.org/v1\n-> ", b'a'));
        assert!(refused("age-encryption.org/v1\n-> X25519 ", b'\n'));
    }
}
