//! The rows of files that `submit`, `check` and `retract --from` read.
//!
//! Three formats: CSV with a header, JSON lines, and plain lists with one identifier a line as public blocklists are
//! published. All three stream: no more than one record is held. Every data row comes out exactly once, good or bad, with
//! its line number; what is no data is counted, so that [`Totals`] add up to the lines read.
//!
//! Invariant: no error, count or reject repeats a value of the input. A header column or a field of an object is named
//! only where it cannot be a value.

mod draft;
mod field;
mod json;
mod lines;
mod money;
mod rejects;
mod rows;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use draft::{Defaults, Purpose};
pub(super) use draft::{evidence_of, goods_value, may_be_a_phone};
pub use field::Field;
pub use lines::LinesOptions;
pub use rejects::Rejects;
pub use rows::{Row, Rows, Totals};
pub use source::Source;

use crate::domain::FieldError;

/// Bytes of one record, over all its lines: room for 32 identifiers of the longest kind many times over.
const MAX_RECORD_BYTES: usize = 1_024 * 1_024;

/// How an input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// CSV (RFC 4180) whose first record names the columns.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// One identifier a line: plain lists, hosts files, ad-block and match patterns.
    Lines,
}

impl Format {
    /// The format that the path's extension says, `.gz` aside; `None` where it says nothing.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        match name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "txt" | "list" | "hosts" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// What stands between the cells of a CSV record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Delimiter {
    /// `,`
    #[default]
    Comma,
    /// `;`
    Semicolon,
    /// A tabulator.
    Tab,
}

impl Delimiter {
    const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// A format with all that has to be known to read it.
#[derive(Debug, Clone)]
pub enum Layout {
    /// CSV.
    Csv(Delimiter),
    /// JSON lines.
    Jsonl,
    /// One identifier a line.
    Lines(LinesOptions),
}

/// Why an input cannot be read at all, or no further. Rows that came out before stay valid.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file cannot be opened, or its start cannot be read.
    #[error("cannot open {}", path.display())]
    Open {
        /// As it was given.
        path: PathBuf,
        /// What the operating system or the decompressor says.
        #[source]
        source: io::Error,
    },
    /// Reading failed midway: a broken disk or pipe, a damaged or cut-off gzip member.
    #[error("cannot read on after line {line}")]
    Read {
        /// Lines that were read in full before.
        line: u64,
        /// What the operating system or the decompressor says.
        #[source]
        source: io::Error,
    },
    /// The header of a CSV input does not say what its columns are.
    #[error(transparent)]
    Header(FieldError),
}

impl InputError {
    /// Stable, for logs and JSON output.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::Read { .. } => "INPUT_UNREADABLE",
            Self::Header(error) => error.code,
        }
    }
}
