//! sled alone: the least that any store on it costs, to measure the store of this program against.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::segment;
use crate::feed::{EntryBytes, Leaf};

/// Bytes of sled's page cache: as much as a node has where nothing else is configured.
const CACHE_BYTES: u64 = 64 * 1_024 * 1_024;

/// A sled database as it comes, that is given packed entries and nothing else: no tree, no checkpoint, no index. As with the
/// store, what it took is forced to disk when it returns.
pub struct Floor {
    database: sled::Db,
    file: PathBuf,
    next: u64,
}

impl Floor {
    /// An empty one in `folder`.
    ///
    /// # Errors
    /// Where sled or the operating system refuses.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let database = config.mode(sled::Mode::HighThroughput).open().map_err(io::Error::other)?;
        Ok(Self { database, file: folder.join("db"), next: 0 })
    }

    /// Takes values that [`pack`] made, together.
    ///
    /// # Errors
    /// As above.
    pub fn append(&mut self, values: &[Vec<u8>]) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for value in values {
            let key = [&[0; 5], &self.next.to_be_bytes()[..]].concat();
            batch.insert(key, value.as_slice());
            self.next += 1;
        }
        self.database.apply_batch(batch).map_err(io::Error::other)?;
        self.database.flush().map_err(io::Error::other)?;
        File::open(&self.file)?.sync_data()
    }
}

/// Entries in one value.
pub const PACKED: usize = segment::SEGMENT_ENTRIES;

/// At most [`PACKED`] entries as the store keeps them.
///
/// # Errors
/// Where they cannot be compressed.
pub fn pack(entries: &[EntryBytes]) -> io::Result<Vec<u8>> {
    let leaves: Vec<Leaf> = entries.iter().cloned().map(Leaf::from).collect();
    segment::pack(&leaves)
}
