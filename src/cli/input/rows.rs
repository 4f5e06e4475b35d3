//! The rows of an input, one after the other.

use std::fmt;
use std::ops::Range;

use super::draft::{Defaults, Draft, Purpose};
use super::lines::LinesOptions;
use super::source::{Next, Source};
use super::table::{Record, Table, not_utf8, too_long};
use super::{InputError, Layout, json};
use crate::domain::FieldError;
use crate::domain::limits::MAX_SUBMISSION_ID_BYTES;
use crate::rpc::proto;

/// One data row, good or bad. `Debug` does not show what it says.
pub struct Row {
    /// Its first line, counted from 1.
    pub line: u64,
    /// How many lines it takes up: above 1 only in CSV, where a quoted cell goes over several.
    pub lines: u64,
    /// For a check only the identifiers are set; for a retraction, submission id and audience.
    pub result: Result<proto::Submission, FieldError>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.result.as_ref().map_or_else(|e| e.code, |_| "good");
        write!(f, "Row({}+{}, {what})", self.line, self.lines)
    }
}

/// What was read so far: `lines == rows + skipped + continued`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Lines of the input.
    pub lines: u64,
    /// Rows that came out, good and bad.
    pub rows: u64,
    /// Lines that are no data: blanks, comments, the header, and lines without the tag that was asked for.
    pub skipped: u64,
    /// Second and further lines of good CSV rows.
    pub continued: u64,
}

/// Reads rows until the end of the input or the first [`InputError`]; no more than one record is held.
pub struct Rows {
    source: Source,
    format: Parser,
    purpose: Purpose,
    defaults: Defaults,
    line: Vec<u8>,
    refused: Refused,
    totals: Totals,
    ended: bool,
}

enum Parser {
    Csv(Table),
    Jsonl,
    Lines(LinesOptions),
}

/// Lines that are no rows and come out one by one, each with the same error.
struct Refused {
    lines: Range<u64>,
    error: Option<FieldError>,
}

impl Rows {
    /// Starts reading; a CSV header is read at once.
    ///
    /// # Errors
    /// [`InputError::Header`], [`InputError::Read`].
    pub fn new(mut source: Source, layout: Layout, purpose: Purpose, defaults: Defaults) -> Result<Self, InputError> {
        let format = match layout {
            Layout::Csv(delimiter) => Parser::Csv(Table::open(&mut source, delimiter)?),
            Layout::Jsonl => Parser::Jsonl,
            Layout::Lines(options) => Parser::Lines(options),
        };
        let totals = Totals { lines: source.lines(), skipped: source.lines(), ..Totals::default() };
        let refused = Refused { lines: 0..0, error: None };
        Ok(Self { source, format, purpose, defaults, line: Vec::new(), refused, totals, ended: false })
    }

    /// What was read so far, this row included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn next_row(&mut self) -> Result<Option<Row>, InputError> {
        loop {
            if let Some(row) = self.next_refused() {
                return Ok(Some(row));
            }
            self.line.clear();
            let row = match self.append_line()? {
                Next::End => return Ok(None),
                next if matches!(self.format, Parser::Csv(_)) => self.record(next)?,
                Next::TooLong => Some(self.row(Err(too_long()))),
                Next::Line => self.single_line(),
            };
            match row {
                Some(row) => return Ok(Some(row)),
                None if self.refused.lines.is_empty() => self.totals.skipped += 1,
                None => {}
            }
        }
    }

    fn append_line(&mut self) -> Result<Next, InputError> {
        let next = self.source.append_line(&mut self.line).map_err(|e| self.read_error(e))?;
        self.totals.lines = self.source.lines();
        Ok(next)
    }

    fn read_error(&self, source: std::io::Error) -> InputError {
        InputError::Read { line: self.source.lines(), source }
    }

    fn row(&self, result: Result<proto::Submission, FieldError>) -> Row {
        Row { line: self.source.lines(), lines: 1, result }
    }

    fn next_refused(&mut self) -> Option<Row> {
        let line = self.refused.lines.next()?;
        let error = self.refused.error.clone()?;
        Some(Row { line, lines: 1, result: Err(error) })
    }

    /// The row of a line of JSON or of a list; `None` where it is no data.
    fn single_line(&self) -> Option<Row> {
        if self.line.trim_ascii().is_empty() {
            return None;
        }
        let Ok(line) = std::str::from_utf8(&self.line) else { return Some(self.row(Err(not_utf8()))) };
        let draft = match &self.format {
            Parser::Lines(options) => options.identifier(line)?.and_then(|value| listed(options, &value, self.purpose)),
            Parser::Jsonl | Parser::Csv(_) => json::draft(line, self.purpose),
        };
        Some(self.row(draft.and_then(|draft| draft.finish(&self.defaults))))
    }

    /// The row of a CSV record that starts with the line read just now; `None` where it is blank, or where its lines are
    /// refused one by one.
    fn record(&mut self, next: Next) -> Result<Option<Row>, InputError> {
        let Parser::Csv(table) = &mut self.format else { return Ok(None) };
        if next == Next::Line && self.line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let line = self.source.lines();
        let record = table.record(&mut self.source, next, &mut self.line);
        let Record { lines, cells } = record.map_err(|e| InputError::Read { line: self.source.lines(), source: e })?;
        self.totals.lines = self.source.lines();
        let cells = match cells {
            Ok(cells) => cells,
            Err(error) => {
                self.refused = Refused { lines: line..line + lines, error: Some(error) };
                return Ok(None);
            }
        };
        self.totals.continued += lines - 1;
        let draft = table.draft(&cells, self.purpose);
        Ok(Some(Row { line, lines, result: draft.and_then(|draft| draft.finish(&self.defaults)) }))
    }
}

/// The one identifier of a line of a list.
fn listed(options: &LinesOptions, value: &str, purpose: Purpose) -> Result<Draft, FieldError> {
    let mut draft = Draft::new(purpose);
    draft.identify(options.kind, value);
    if let Some(prefix) = &options.id_prefix {
        let id = format!("{prefix}{value}");
        if id.len() > MAX_SUBMISSION_ID_BYTES {
            let message = "this line is too long for a submission id of 128 bytes; use CSV with submission_id";
            return Err(super::Field::SubmissionId.error("SUBMISSION_ID_INVALID", message));
        }
        draft.set(super::Field::SubmissionId, &id)?;
    }
    Ok(draft)
}

impl Iterator for Rows {
    type Item = Result<Row, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_row().transpose();
        match &next {
            Some(Ok(_)) => self.totals.rows += 1,
            Some(Err(_)) | None => self.ended = true,
        }
        next
    }
}
