//! A backup as files: a folder with parts and a list of them.
//!
//! - `manifest.json` names the parts in their order with their SHA-256, and says whose store it is and whether all of it is there.
//! - `part-000001` and so on hold the rows: a line `countermark-backup 1 <backup> <number>`, then pieces, each after its length as four bytes,
//!   big-endian. With recipients each part is an age file (<https://age-encryption.org/v1>) of that.
//! - `part-000001.digest` and so on are there until the backup is whole: what must be known of a part to verify it with the others, because
//!   whoever writes sealed parts cannot read them. They hold hashes, names of feeds, checkpoints and the roster.
//!
//! A part is forced to disk before the list names it, and the list is replaced as a whole; so a backup that broke off can be gone on with
//! after its last part.

mod error;
mod file;
mod manifest;
mod reader;
mod sealing;
mod writer;

pub use error::ArchiveError;
pub use manifest::{ArchivedFeed, ArchivedPart, Manifest};
pub use reader::Archive;
pub use sealing::{Identities, Recipient};
pub use writer::ArchiveWriter;

#[cfg(test)]
mod tests;
