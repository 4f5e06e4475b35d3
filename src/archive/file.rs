//! Files of a backup: nobody else's, and digested as they pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};

/// Opens a file for writing, anew and for its owner alone.
pub(super) fn create(path: &Path) -> io::Result<File> {
    File::options().create(true).write(true).truncate(true).mode(0o600).open(path)
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
