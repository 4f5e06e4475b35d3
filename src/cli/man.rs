//! `man`: the manual pages, out of the definition of the command line, so that they say what `--help` says.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use jiff::civil::Date;
use serde::Serialize;

use super::arguments::Arguments;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, counted};

const MAN_HELP: &str = "\
Writes countermark.1 and a page for each command under it, such as countermark-alliance-admit.1, in place of those that are there.
`man -l FILE` shows one; in `share/man/man1` of a prefix, man finds them by their names.

JSON: {folder, pages: [name]}.";

#[derive(Args)]
#[command(after_long_help = MAN_HELP)]
pub(super) struct ManArguments {
    /// Where to write them; made where it does not exist.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// The date in the pages' foot, as YYYY-MM-DD. Default: none, so that the same version always writes the same pages.
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
}

pub(super) fn run(arguments: &ManArguments, printer: &mut Printer) -> Result<Outcome, Failure> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let date = arguments.date.map(|date| date.to_string()).unwrap_or_default();
    let pages = write(arguments, &program, &date).map_err(|error| {
        let failure = Failure::of("OUTPUT_FAILED", &error);
        failure.advise(format!("give another folder than `{}`, or make it writable", arguments.folder.display()))
    })?;
    printer.show(&Written { folder: arguments.folder.clone(), pages })?;
    Ok(Outcome::Done)
}

/// Writes the page of `command` and of all that stand under it, and gives their names. What `--help` does not show has none.
fn write(arguments: &ManArguments, command: &Command, date: &str) -> io::Result<Vec<String>> {
    fs::create_dir_all(&arguments.folder)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = format!("{name}.1");
    fs::write(arguments.folder.join(&file), page(command, name, date)?)?;
    let mut written = vec![file];
    for below in shown(command) {
        written.extend(write(arguments, below, date)?);
    }
    Ok(written)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

/// The sections in the order of man-pages(7).
fn page(command: &Command, name: &str, date: &str) -> io::Result<Vec<u8>> {
    let source = concat!("countermark ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name).date(date).source(source).manual("Countermark");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        notes_section(&notes.to_string()).to_writer(&mut page)?;
    }
    if let Some((program, _)) = name.split_once('-') {
        let mut see_also = Roff::new();
        see_also.control("SH", ["SEE ALSO"]).text([bold(program), roman("(1)")]);
        see_also.to_writer(&mut page)?;
    }
    Ok(page)
}

/// What `--help` says last. Paragraphs are filled; lines that are indented there, such as tables, stay as they are.
fn notes_section(notes: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["NOTES"]);
    let mut filled = true;
    for line in notes.lines() {
        if line.is_empty() {
            section.control("PP", []);
            continue;
        }
        if filled == line.starts_with(' ') {
            filled = !filled;
            section.control(if filled { "fi" } else { "nf" }, []);
        }
        section.text([roman(line)]);
    }
    section
}

/// What was written. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    pages: Vec<String>,
}

impl Show for Written {
    fn table(&self) -> String {
        let pages = u64::try_from(self.pages.len()).unwrap_or(u64::MAX);
        format!("{} in {}\n", counted(pages, "page"), self.folder.display())
    }
}
