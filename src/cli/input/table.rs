//! CSV (RFC 4180) with a header.
//!
//! A quoted cell may go over several lines, and a stray quote may open one by mistake. So a record is followed over a
//! bounded number of lines only; if it has not ended by then, or is malformed, or has the wrong number of cells, each of its
//! lines is refused as a row of its own. None of them is read anew: the tail of a broken cell could pass for a row that
//! nobody wrote.

use std::io;

use super::draft::{Draft, Purpose};
use super::field::{Column, may_be_shown};
use super::source::{Next, Source};
use super::{Delimiter, InputError};
use crate::domain::{FieldError, IdentifierKind};

/// Lines of one record: a postal address has a handful.
const MAX_RECORD_LINES: u64 = 100;

/// The columns of an input and what splits its records.
pub(super) struct Table {
    splitter: Splitter,
    columns: Vec<Column>,
}

/// A record, or the reason why its lines are none.
pub(super) struct Record {
    /// How many lines it takes up.
    pub(super) lines: u64,
    /// Its cells.
    pub(super) cells: Result<Vec<String>, FieldError>,
}

impl Table {
    /// Reads the header; blank lines may stand before it.
    ///
    /// # Errors
    /// Where it is missing, or a column is unknown or given twice.
    pub(super) fn open(source: &mut Source, delimiter: Delimiter) -> Result<Self, InputError> {
        let mut splitter = Splitter::new(delimiter);
        let mut line = Vec::new();
        let record = loop {
            line.clear();
            let next = source.append_line(&mut line).map_err(|e| InputError::Read { line: source.lines(), source: e })?;
            match next {
                Next::End => return Err(header("HEADER_MISSING", "header", "the first line has to name the columns")),
                Next::Line if line.trim_ascii().is_empty() => {}
                next => break splitter.record(source, next, &mut line),
            }
        };
        let record = record.map_err(|e| InputError::Read { line: source.lines(), source: e })?;
        Ok(Self { splitter, columns: columns(&record.cells.map_err(InputError::Header)?)? })
    }

    /// The record that starts with `line`, which was read just now.
    pub(super) fn record(&mut self, source: &mut Source, next: Next, line: &mut Vec<u8>) -> io::Result<Record> {
        let record = self.splitter.record(source, next, line)?;
        let columns = self.columns.len();
        let cells = record.cells.and_then(|cells| {
            if cells.len() == columns {
                return Ok(cells);
            }
            let message = format!(
                "this row has {} cells and the header {columns}; put quotes round a cell with a delimiter",
                cells.len()
            );
            Err(FieldError::new("CELL_COUNT", "", message))
        });
        Ok(Record { cells, ..record })
    }

    /// What the cells of a record say.
    pub(super) fn draft(&self, cells: &[String], purpose: Purpose) -> Result<Draft, FieldError> {
        let mut draft = Draft::new(purpose);
        for (column, cell) in self.columns.iter().zip(cells) {
            match column {
                Column::Identifier(kind) => identify(&mut draft, *kind, cell),
                Column::Field(field) => draft.set(*field, cell)?,
            }
        }
        Ok(draft)
    }
}

fn header(code: &'static str, field: impl Into<String>, message: impl Into<std::borrow::Cow<'static, str>>) -> InputError {
    InputError::Header(FieldError::new(code, field, message))
}

/// What the header's cells stand for. Where no cell is a column, the line is data and none of it may be shown.
fn columns(cells: &[String]) -> Result<Vec<Column>, InputError> {
    let named: Vec<_> = cells.iter().map(|cell| Column::named(cell)).collect();
    let is_header = named.iter().any(Option::is_some);
    let mut columns = Vec::with_capacity(named.len());
    for (i, (column, cell)) in named.into_iter().zip(cells).enumerate() {
        let place = format!("column {}", i + 1);
        let Some(column) = column else {
            let name = if is_header && may_be_shown(cell.trim()) { format!("`{}`", cell.trim()) } else { "this".to_owned() };
            return Err(header("COLUMN_UNKNOWN", place, format!("{name} is no column; known are {}", Column::known())));
        };
        if columns.contains(&column) {
            return Err(header(
                "COLUMN_REPEATED",
                place,
                "this column stands twice; several identifiers go into one cell with | between",
            ));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Splits a cell at `|`; `\|` is a bar and `\\` a backslash, any other backslash stands for itself.
fn identify(draft: &mut Draft, kind: IdentifierKind, cell: &str) {
    let mut value = String::new();
    let mut chars = cell.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.push(chars.next_if(|next| matches!(next, '|' | '\\')).unwrap_or(c)),
            '|' => draft.identify(kind, &std::mem::take(&mut value)),
            c => value.push(c),
        }
    }
    draft.identify(kind, &value);
}

/// Turns lines into cells.
///
/// Strict where a lenient reader would go on: after the quote that closes a cell only a delimiter or the end of the line may
/// come. That is how an opening quote that nobody meant is found: the next quote in the file then stands in the wrong place.
struct Splitter {
    delimiter: u8,
    state: State,
    text: Vec<u8>,
    ends: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell, the one place where a quote opens one.
    Start,
    /// In a cell without quotes; a quote is a character like any other.
    Bare,
    /// In a quoted cell.
    Quoted,
    /// After a quote in a quoted cell: it closed the cell, or another follows and both are one character.
    QuoteSeen,
}

impl Splitter {
    fn new(delimiter: Delimiter) -> Self {
        Self { delimiter: delimiter.byte(), state: State::Start, text: Vec::new(), ends: Vec::new() }
    }

    /// The record that starts with `line`; reads on while a quote is open. `line` is a buffer afterwards, no more.
    fn record(&mut self, source: &mut Source, mut next: Next, line: &mut Vec<u8>) -> io::Result<Record> {
        let refused = |lines, error| Ok(Record { lines, cells: Err(error) });
        (self.state, self.text, self.ends) = (State::Start, Vec::new(), Vec::new());
        let (mut lines, mut fed) = (1, 0);
        loop {
            match next {
                Next::Line => {}
                Next::TooLong => return refused(lines, too_long()),
                Next::End => return refused(lines - 1, quote_open()),
            }
            if !line[fed..].iter().all(|byte| self.take(*byte)) {
                return refused(lines, stray_quote());
            }
            if self.state != State::Quoted {
                self.ends.push(self.text.len());
                return Ok(Record { lines, cells: self.cells() });
            }
            if lines == MAX_RECORD_LINES {
                return refused(lines, quote_open());
            }
            self.text.push(b'\n');
            fed = line.len();
            next = source.append_line(line)?;
            lines += 1;
        }
    }

    /// Takes a byte that is no line end; false where it may not stand here.
    fn take(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::Start, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuoteSeen,
            (State::Start | State::Bare | State::QuoteSeen, b) if b == self.delimiter => {
                self.ends.push(self.text.len());
                State::Start
            }
            (State::QuoteSeen, b'"') | (State::Quoted, _) => {
                self.text.push(byte);
                State::Quoted
            }
            (State::Start | State::Bare, _) => {
                self.text.push(byte);
                State::Bare
            }
            (State::QuoteSeen, _) => return false,
        };
        true
    }

    fn cells(&self) -> Result<Vec<String>, FieldError> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let cells = starts.zip(&self.ends).map(|(start, end)| std::str::from_utf8(&self.text[*start..*end]));
        cells.map(|cell| cell.map(str::to_owned)).collect::<Result<_, _>>().map_err(|_| not_utf8())
    }
}

pub(super) fn too_long() -> FieldError {
    FieldError::new("LINE_TOO_LONG", "", "a row may have at most 1 MiB")
}

pub(super) fn not_utf8() -> FieldError {
    FieldError::new("NOT_UTF8", "", "this row is not UTF-8; export the file as UTF-8")
}

fn quote_open() -> FieldError {
    FieldError::new(
        "QUOTE_OPEN",
        "",
        "this line stands in or after a quoted cell that does not end; close the quote, or double it",
    )
}

fn stray_quote() -> FieldError {
    FieldError::new("QUOTE_STRAY", "", "a quote closes a cell here and more follows; double the quotes within a quoted cell")
}
