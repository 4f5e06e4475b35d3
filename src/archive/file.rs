//! Files of a backup: nobody else's, and digested as they pass.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::OFlags;

/// Removes a file that need not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Opens a file for writing, anew and for its owner alone, in the place of one that is there. A link is not followed: others may write to
/// where backups lie, and what a link of theirs leads to is not theirs to have overwritten.
pub(super) fn create(path: &Path) -> io::Result<File> {
    remove(path)?;
    File::options().create_new(true).write(true).mode(0o600).open(path)
}

/// Opens what is a file: of a pipe that others put in its place nobody would ever see the end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Opened without waiting for who writes to a pipe, and looked at then: what a path leads to may change at any moment.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
    }
}

/// What a file of at most `most` bytes holds.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= most {
        true => Ok(bytes),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {most} bytes"))),
    }
}

/// Counts and digests what passes to or from a file.
pub(super) struct Digesting<F> {
    pub(super) file: F,
    pub(super) bytes: u64,
    digest: Context,
}

impl<F> Digesting<F> {
    pub(super) fn new(file: F) -> Self {
        Self { file, bytes: 0, digest: Context::new(&SHA256) }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// SHA-256 of all that passed, 64 hexadecimal digits.
    pub(super) fn sha256(self) -> String {
        hex::encode(self.digest.finish())
    }
}

impl<F: Write> Write for Digesting<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.passed(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Read> Read for Digesting<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(out)?;
        self.passed(&out[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_leads_to_is_not_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let (victim, link) = (folder.path().join("feed.key"), folder.path().join("part-000001"));
        fs::write(&victim, "secret").expect("written");
        symlink(&victim, &link).expect("linked");
        create(&link).expect("created").write_all(b"rows").expect("written");
        assert_eq!(fs::read(&victim).expect("there"), b"secret");
        assert!(fs::symlink_metadata(&link).expect("there").is_file());
        drop(create(&link).expect("anew"));
        assert_eq!(fs::read(&link).expect("there"), b"");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("part-000001.digest");
        fs::write(&path, "rows").expect("written");
        assert_eq!(read(&path, 4).expect("there"), b"rows");
        assert_eq!(read(&path, 3).expect_err("too long").kind(), io::ErrorKind::InvalidData);
        fs::remove_file(&path).expect("removed");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("runs").success());
        assert_eq!(read(&path, 4).expect_err("a pipe").kind(), io::ErrorKind::InvalidInput);
    }
}
