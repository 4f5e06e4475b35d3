//! The file that names the rows that were refused.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::domain::FieldError;

/// Characters of a cell: the longest of our own messages fits, and a node's cannot grow the file without bound.
const MAX_CELL_CHARS: usize = 1_000;

/// Writes `line,code,field,reason`, one record a refused row. Never a value of the input.
#[must_use = "only `finish` makes the file durable"]
pub struct Rejects {
    writer: csv::Writer<File>,
}

impl Rejects {
    /// Creates the file, or empties it, and writes the header.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(File::create(path)?);
        writer.write_record(["line", "code", "field", "reason"]).map_err(io::Error::from)?;
        Ok(Self { writer })
    }

    /// Notes a row that was refused here.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn refuse(&mut self, line: u64, error: &FieldError) -> io::Result<()> {
        self.write(line, error.code, &error.field, &error.message)
    }

    /// Notes a row that the node refused.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&mut self, line: u64, code: &str, field: &str, reason: &str) -> io::Result<()> {
        let cells = [line.to_string(), plain(code), plain(field), plain(reason)];
        self.writer.write_record(&cells).map_err(io::Error::from)
    }

    /// Writes what is left and forces it to disk.
    ///
    /// # Errors
    /// What the operating system says; the file is then incomplete.
    pub fn finish(self) -> io::Result<()> {
        let file = self.writer.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()
    }
}

/// One line of bounded length that no spreadsheet takes for a formula.
fn plain(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CELL_CHARS);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        std::iter::once('\'').chain(line).collect()
    } else {
        line.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_one_line_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rejects.csv");
        let mut rejects = Rejects::create(&path).expect("created");
        rejects.refuse(7, &FieldError::new("DATE_INVALID", "observed_on", "give a day, as YYYY-MM-DD")).expect("written");
        rejects.write(9, "=1+1", "a\nb", &"x".repeat(5_000)).expect("written");
        rejects.finish().expect("durable");
        let text = std::fs::read_to_string(&path).expect("text");
        let expected = format!(
            "line,code,field,reason\n7,DATE_INVALID,observed_on,\"give a day, as YYYY-MM-DD\"\n9,'=1+1,a b,{}\n",
            "x".repeat(1_000)
        );
        assert_eq!(text, expected);
    }
}
