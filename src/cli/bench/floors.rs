//! What the disk allows: sled alone, and a plain file, with the bytes of packed entries.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use super::load::Run;
use crate::feed::EntryBytes;
use crate::store::floor::{Floor, PACKED, pack};

/// Entries that are forced to disk together: as many as one stream has in flight, which no node can go beyond.
const TOGETHER: usize = 4_096;
const _: () = assert!(TOGETHER.is_multiple_of(PACKED));

/// Both of them, and packed entries to give them.
pub(super) struct Floors {
    engine: Floor,
    file: File,
    /// The values of one commit after the other, in turn.
    commits: Vec<Vec<Vec<u8>>>,
    next: usize,
    /// Entries that sled has taken.
    held: u64,
}

impl Floors {
    /// With `entries` to take from, at least as many as one commit has.
    pub(super) fn create(folder: &Path, entries: &[EntryBytes]) -> io::Result<Self> {
        let packed: Vec<Vec<u8>> = entries.chunks_exact(PACKED).map(pack).collect::<io::Result<_>>()?;
        let commits = packed.chunks_exact(TOGETHER / PACKED).map(<[_]>::to_vec).collect();
        let engine = Floor::create(&folder.join("floor"))?;
        Ok(Self { engine, file: File::create(folder.join("floor.bytes"))?, commits, next: 0, held: 0 })
    }

    /// Lets sled take entries until it holds `size`.
    pub(super) fn fill(&mut self, size: u64) -> io::Result<()> {
        match usize::try_from(size.saturating_sub(self.held)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(more) => self.engine(more).map(drop),
        }
    }

    /// sled alone with about `entries` entries more.
    pub(super) fn engine(&mut self, entries: usize) -> io::Result<Run> {
        let Self { engine, commits, next, .. } = self;
        let run = forced(entries, commits, next, |values| engine.append(values))?;
        self.held += run.count as u64;
        Ok(run)
    }

    /// A plain file with about `entries` entries more.
    pub(super) fn file(&mut self, entries: usize) -> io::Result<Run> {
        let Self { file, commits, next, .. } = self;
        forced(entries, commits, next, |values| {
            file.write_all(&values.concat())?;
            file.sync_data()
        })
    }
}

/// Lets `force` take one commit after the other.
fn forced(
    entries: usize,
    commits: &[Vec<Vec<u8>>],
    next: &mut usize,
    mut force: impl FnMut(&[Vec<u8>]) -> io::Result<()>,
) -> io::Result<Run> {
    let count = entries.div_ceil(TOGETHER);
    let began = Instant::now();
    for _ in 0..count {
        force(&commits[*next % commits.len()])?;
        *next += 1;
    }
    Ok(Run::of(count * TOGETHER, began.elapsed()))
}
