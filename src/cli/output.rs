//! What a command prints: data on standard output, everything else on standard error, progress on a terminal only.
//!
//! Nothing that came from elsewhere reaches a terminal with its control characters: a member's brand must not move the cursor.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Write};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::failure::Failure;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For programs: one document, or an object a line where there are many.
    Json,
}

/// What can be printed either way. The fields of its JSON are part of the interface.
pub(super) trait Show: Serialize {
    /// The text for people, with a line feed at its end.
    fn table(&self) -> String;
}

/// Where a command prints. Handed down from the top; there is no other way to the terminal.
pub(super) struct Printer {
    format: OutputFormat,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    out_is_terminal: bool,
    err_is_terminal: bool,
    bar: Option<ProgressBar>,
}

impl Printer {
    /// Of this process.
    pub(super) fn of_process(format: OutputFormat) -> Self {
        Self {
            format,
            out: Box::new(BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            bar: None,
        }
    }

    /// Whether a person can be asked: both ends of the conversation are a terminal.
    pub(super) fn can_ask(&self) -> bool {
        self.err_is_terminal && io::stdin().is_terminal()
    }

    /// Prints one document.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn show(&mut self, document: &impl Show) -> Result<(), Failure> {
        let text = match self.format {
            OutputFormat::Table => document.table(),
            OutputFormat::Json => json(document, serde_json::to_string_pretty)?,
        };
        self.write(&text)
    }

    /// Prints a document in place of the last one, where a person looks on; else after it, as a line where it is JSON.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn redraw(&mut self, document: &impl Show) -> Result<(), Failure> {
        let text = match self.format {
            // Home, and clear to the end of the screen (ECMA-48, 8.3.21 and 8.3.39).
            OutputFormat::Table if self.out_is_terminal => format!("\x1b[H\x1b[2J{}", document.table()),
            OutputFormat::Table => document.table() + "\n",
            OutputFormat::Json => json(document, serde_json::to_string)?,
        };
        self.write(&text)?;
        self.flush()
    }

    /// Prints one of many: a line either way.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn record(&mut self, record: &impl Show) -> Result<(), Failure> {
        let text = match self.format {
            OutputFormat::Table => record.table(),
            OutputFormat::Json => json(record, serde_json::to_string)?,
        };
        self.write(&text)
    }

    /// Prints a line of a table that has no place in JSON, such as its head.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn heading(&mut self, text: &str) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Table => self.write(text),
            OutputFormat::Json => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let out = &mut self.out;
        let written = match &self.bar {
            // Flushed while the bar is away, so that it does not stand between two halves of a line.
            Some(bar) => bar.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush())),
            None => out.write_all(text.as_bytes()),
        };
        written.map_err(|error| Failure::output(&error))
    }

    /// Brings what was printed so far to the terminal, before a wait.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }

    /// Tells the person who runs the command something that is no data.
    pub(super) fn note(&mut self, text: impl Display) {
        let err = &mut self.err;
        let written = match &self.bar {
            Some(bar) => bar.suspend(|| writeln!(err, "{text}")),
            None => writeln!(err, "{text}"),
        };
        if written.is_err() {
            // Nobody listens there any more.
            self.err = Box::new(io::sink());
        }
    }

    /// Asks a question and reads the line that answers it.
    ///
    /// # Errors
    /// Where standard input fails.
    pub(super) fn ask(&mut self, question: &str) -> Result<String, Failure> {
        if write!(self.err, "{question} ").and_then(|()| self.err.flush()).is_err() {
            self.err = Box::new(io::sink());
        }
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(|error| Failure::of("INPUT_UNREADABLE", &error))?;
        Ok(line.trim().to_owned())
    }

    /// Shows `text` as what is going on, where a person looks on.
    pub(super) fn progress(&mut self, text: impl FnOnce() -> String) {
        if !self.err_is_terminal {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        bar.set_message(text());
        bar.tick();
    }

    /// Takes progress off the terminal.
    pub(super) fn end_progress(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Prints what is left.
    ///
    /// # Errors
    /// Where standard output is closed or full.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.end_progress();
        self.out.flush().map_err(|error| Failure::output(&error))
    }
}

fn json<T>(document: &T, write: impl FnOnce(&T) -> serde_json::Result<String>) -> Result<String, Failure> {
    write(document).map(|text| text + "\n").map_err(|error| Failure::of("OUTPUT_FAILED", &error))
}

/// `text` on one line, without what a terminal would take for a command and without changes of writing direction.
pub(super) fn plain(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// A table of `rows` under `head`, without colours or borders, as wide as its contents.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    lines(table.lines())
}

/// Names and values, one pair a line, the values in a column of their own.
pub(super) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    lines(facts.into_iter().map(|(name, value)| format!("{name:<14} {}", plain(&value))))
}

/// Lines without blanks at their ends.
pub(super) fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(plain("Ac\u{1b}[31mme\u{202e}\n\u{9b}"), "Ac [31mme   ");
        assert_eq!(plain("雅诗兰黛 Söhne"), "雅诗兰黛 Söhne");
    }

    #[test]
    fn a_table_is_as_wide_as_its_contents() {
        let rows = [vec!["acme".to_owned(), "1".to_owned()], vec!["a\tb".to_owned(), String::new()]];
        assert_eq!(table(&["member", "size"], rows), "MEMBER  SIZE\nacme    1\na b\n");
    }
}
