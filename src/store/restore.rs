//! Rows are put back into an empty store, and held against what members signed before it may be opened.
//!
//! A restore that does not come to its end leaves a store that does not open. One that does leaves a mark: the node takes its own feeds
//! for a part of what other members hold until it is known that they are not.

use std::path::Path;

use prost::Message as _;

use super::backup::Piece;
use super::engine::{Commit, Engine, MAX_VALUE_BYTES};
use super::keys::RowKind;
use super::rows::{RestoredRow, SchemaRow};
use super::verify::{Verification, verify};
use super::{ModelDisk, OpenError, keys};
use crate::domain::{AllianceName, FeedKey, MemberId, Timestamp};

/// Bytes that are put in one commit.
const COMMIT_BYTES: usize = 8 * 1_024 * 1_024;
/// What may lie in a store's folder beside the engine's files and is none of them: what a holder of keys keeps, and what a volume has that
/// is mounted there.
const BESIDE: [&str; 3] = ["shares", "evidence", "lost+found"];

/// A store that is being put back.
pub struct Restoration {
    engine: Engine,
    alliance: AllianceName,
    member: MemberId,
    secretariat: FeedKey,
    commit: Commit,
    bytes: usize,
}

impl Restoration {
    /// Begins in `folder`, which is made where it is not there.
    ///
    /// # Errors
    /// [`OpenError::NotEmpty`], [`OpenError::Engine`].
    pub fn begin(
        folder: &Path,
        cache_bytes: u64,
        alliance: AllianceName,
        member: MemberId,
        secretariat: FeedKey,
    ) -> Result<Self, OpenError> {
        let is_beside = |name: &std::ffi::OsStr| BESIDE.iter().any(|beside| name == *beside);
        let is_empty = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().all(|entry| is_beside(&entry.file_name())),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if !is_empty {
            return Err(OpenError::NotEmpty);
        }
        Self::into(Engine::open(folder, cache_bytes)?, alliance, member, secretariat)
    }

    /// The same on a disk in memory.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_model(
        disk: &ModelDisk,
        alliance: AllianceName,
        member: MemberId,
        secretariat: FeedKey,
    ) -> Result<Self, OpenError> {
        Self::into(Engine::open_model(disk)?, alliance, member, secretariat)
    }

    fn into(engine: Engine, alliance: AllianceName, member: MemberId, secretariat: FeedKey) -> Result<Self, OpenError> {
        if engine.first_from(&[], &[])?.is_some() {
            return Err(OpenError::NotEmpty);
        }
        let row = SchemaRow { unfinished: true, ..SchemaRow::of(&alliance, &member) };
        let mut commit = Commit::default();
        commit.put(keys::schema(), row.encode_to_vec());
        engine.commit(commit)?;
        Ok(Self { engine, alliance, member, secretariat, commit: Commit::default(), bytes: 0 })
    }

    /// Puts the rows of a piece.
    ///
    /// # Errors
    /// [`OpenError::Engine`], [`OpenError::WrongOwner`], [`OpenError::NewerSchema`], or [`OpenError::Damaged`] where these are no rows
    /// of a store.
    pub fn put(&mut self, piece: Piece) -> Result<(), OpenError> {
        for (key, value) in piece.pairs {
            match (keys::kind(&key), value) {
                (None, _) => return Err(OpenError::damaged("a row is of no kind that this version knows")),
                // It says so once all is there.
                (Some(RowKind::Schema), Some(value)) => self.check(&value)?,
                (Some(RowKind::Schema | RowKind::Restored), _) => {}
                (Some(_), Some(value)) if value.len() > MAX_VALUE_BYTES => {
                    return Err(OpenError::damaged("a row is too large"));
                }
                (Some(_), Some(value)) => {
                    self.bytes += key.len() + value.len();
                    self.commit.put(key, value);
                }
                (Some(_), None) => self.commit.remove(&key),
            }
        }
        if self.bytes >= COMMIT_BYTES { self.flush() } else { Ok(()) }
    }

    fn check(&self, row: &[u8]) -> Result<(), OpenError> {
        let row = SchemaRow::decode(row).map_err(|_| OpenError::damaged("the schema row"))?;
        row.check(&self.alliance, &self.member)
    }

    fn flush(&mut self) -> Result<(), OpenError> {
        self.bytes = 0;
        Ok(self.engine.commit(std::mem::take(&mut self.commit))?)
    }

    /// Makes of the rows a store that opens, if they are whole. Without rows it is one of a member that lost all but its keys.
    ///
    /// # Errors
    /// As [`Self::put`]. Where there are flaws, it stays one that does not open.
    pub fn finish(mut self, at: Timestamp) -> Result<Verification, OpenError> {
        self.flush()?;
        let verified = verify(&self.engine, &self.alliance, &self.member, &self.secretariat)?;
        if verified.flaws.is_empty() {
            self.commit.put(keys::restored(), RestoredRow { restored_at_ms: at.unix_ms() }.encode_to_vec());
            self.commit.put(keys::schema(), SchemaRow::of(&self.alliance, &self.member).encode_to_vec());
            self.flush()?;
        }
        Ok(verified)
    }
}
