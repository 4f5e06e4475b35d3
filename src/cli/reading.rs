//! Reads the rows of a file beside the conversation with the node, a bounded number of them ahead.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::mpsc;

use super::failure::Failure;
use super::input::{Defaults, Delimiter, Field, Format, InputError, Layout, LinesOptions, Purpose, Row, Rows, Source, Totals};
use crate::domain::IdentifierKind;

/// Rows read ahead: enough that the disk is not waited for, few enough that it costs no memory.
const ROWS_AHEAD: usize = 512;

/// How a file is read.
#[derive(Args)]
pub(super) struct ReadArguments {
    /// How the file is written; told by its name where that says it (.csv, .jsonl, .txt, each also with .gz).
    #[arg(long, value_enum, help_heading = "Reading files")]
    format: Option<Format>,
    /// What stands between the cells of CSV.
    #[arg(long, value_enum, default_value_t, help_heading = "Reading files")]
    delimiter: Delimiter,
    /// With lines: the kind of every identifier, such as domain.
    #[arg(long, help_heading = "Reading files")]
    kind: Option<IdentifierKind>,
    /// With lines: text that every line starts with and that is no part of the identifier.
    #[arg(long, value_name = "TEXT", help_heading = "Reading files")]
    strip_prefix: Option<String>,
    /// With lines: put before every identifier, such as `line` for line:ID.
    #[arg(long, value_name = "TEXT", help_heading = "Reading files")]
    scheme: Option<String>,
    /// With lines: only those that carry this tag (#!TAG) at their end.
    #[arg(long, value_name = "TAG", help_heading = "Reading files")]
    only_tag: Option<String>,
    /// With lines: makes every line its own submission id, with this text before it.
    #[arg(long, value_name = "TEXT", help_heading = "Reading files")]
    id_prefix: Option<String>,
    /// Country in which national phone numbers are read, those of messengers and payment services too, such as CN.
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
}

/// What stands for the fields that a row leaves empty.
#[derive(Args)]
#[command(next_help_heading = "What rows leave empty")]
pub(super) struct StatementArguments {
    /// Who may read the signals: `all`, or a group of the roster.
    #[arg(long)]
    audience: Option<String>,
    /// trademark_counterfeit, pirated_copyright, patent_or_utility_model, design, geographical_indication, trade_dress,
    /// parallel_import or other.
    #[arg(long)]
    infringement: Option<String>,
    /// Whose right it is.
    #[arg(long, value_name = "NAME")]
    rights_holder: Option<String>,
    /// The brand or work.
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    /// kind[:grade][:sha256]: rights_holder_notice, test_purchase, customs_seizure, consumer_complaint, image_recognition,
    /// volunteer_surveillance, court_judgment, police_raid or administrative_decision. May be repeated.
    #[arg(long)]
    evidence: Vec<String>,
    /// listing_removed, store_closed, ... May be repeated.
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<String>,
    /// Platform on which it was seen.
    #[arg(long)]
    platform: Option<String>,
    /// Where it was seen: ISO 3166, such as CN or CN-GD.
    #[arg(long, value_name = "REGION")]
    seen_region: Option<String>,
    /// Chapter of the Harmonized System.
    #[arg(long, value_name = "NUMBER")]
    hs_chapter: Option<String>,
    /// Class of the Nice classification.
    #[arg(long, value_name = "NUMBER", conflicts_with = "hs_chapter")]
    nice_class: Option<String>,
    /// Currency of amounts, three letters of ISO 4217.
    #[arg(long)]
    currency: Option<String>,
    /// Day of the observation, YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    observed_on: Option<String>,
    /// Day of the action, YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    acted_on: Option<String>,
    /// Days to keep the signals, 1 to 3653.
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<String>,
}

impl StatementArguments {
    /// Sets what is given.
    ///
    /// # Errors
    /// A usage error for what no row could say.
    pub(super) fn set(&self, defaults: &mut Defaults) -> Result<(), Failure> {
        let lists = [(Field::Evidence, self.evidence.join("|")), (Field::Actions, self.actions.join("|"))];
        let single = [
            (Field::Audience, &self.audience),
            (Field::Infringement, &self.infringement),
            (Field::RightsHolder, &self.rights_holder),
            (Field::Brand, &self.brand),
            (Field::Platform, &self.platform),
            (Field::SeenRegion, &self.seen_region),
            (Field::HsChapter, &self.hs_chapter),
            (Field::NiceClass, &self.nice_class),
            (Field::Currency, &self.currency),
            (Field::ObservedOn, &self.observed_on),
            (Field::ActedOn, &self.acted_on),
            (Field::RetentionDays, &self.retention_days),
        ];
        let single = single.into_iter().filter_map(|(field, text)| Some((field, text.clone()?)));
        single.chain(lists).try_for_each(|(field, text)| set(defaults, field, &text))
    }
}

/// Sets one of the `defaults`.
///
/// # Errors
/// A usage error for what no row could say.
pub(super) fn set(defaults: &mut Defaults, field: Field, text: &str) -> Result<(), Failure> {
    defaults.set(field, text).map_err(|error| Failure::usage(error.to_string()))
}

/// A file, and how it is to be read.
pub(super) struct Plan {
    path: PathBuf,
    layout: Layout,
    purpose: Purpose,
    defaults: Defaults,
}

impl ReadArguments {
    /// Country in which national phone numbers are read; empty for none.
    pub(super) fn region(&self) -> &str {
        self.region.as_deref().unwrap_or_default()
    }

    /// Whether lines are their own submission ids.
    pub(super) fn has_id_prefix(&self) -> bool {
        self.id_prefix.is_some()
    }

    /// How `path` is to be read for `purpose`.
    ///
    /// # Errors
    /// A usage error where that is not said.
    pub(super) fn plan(&self, path: &Path, purpose: Purpose, mut defaults: Defaults) -> Result<Plan, Failure> {
        set(&mut defaults, Field::Region, self.region())?;
        let unknown = || {
            let failure = Failure::usage("say how the input is written: --format csv, jsonl or lines");
            failure.advise("or name a file .csv, .jsonl or .txt; a single identifier goes behind its flag, such as --phone")
        };
        let layout = match self.format.or_else(|| Format::of_path(path)).ok_or_else(unknown)? {
            Format::Csv => Layout::Csv(self.delimiter),
            Format::Jsonl => Layout::Jsonl,
            Format::Lines => Layout::Lines(self.lines()?),
        };
        Ok(Plan { path: path.to_owned(), layout, purpose, defaults })
    }

    fn lines(&self) -> Result<LinesOptions, Failure> {
        let kind = self.kind.ok_or_else(|| Failure::usage("say what the lines are, with --kind, such as --kind domain"))?;
        Ok(LinesOptions {
            kind,
            strip_prefix: self.strip_prefix.clone(),
            scheme: self.scheme.clone(),
            only_tag: self.only_tag.clone(),
            id_prefix: self.id_prefix.clone(),
        })
    }
}

/// What comes out of a file.
#[expect(clippy::large_enum_variant, reason = "nearly all are rows; a box would cost each of them an allocation")]
enum Read {
    Row(Row),
    End(Totals),
    Failed(Failure),
}

/// Rows of a file, in order.
pub(super) struct Reading {
    rows: mpsc::Receiver<Read>,
    ended: bool,
    totals: Totals,
}

impl Reading {
    /// Starts to read on a thread of its own, which ends when this is dropped and the next row has been read.
    pub(super) fn start(plan: Plan) -> Self {
        let (sender, rows) = mpsc::channel(ROWS_AHEAD);
        // Not joined: a read from a terminal has no end of its own, and nothing hangs on how it ends.
        drop(tokio::task::spawn_blocking(move || read(plan, &sender)));
        Self { rows, ended: false, totals: Totals::default() }
    }

    /// The next row; `None` at the end. May be dropped before it is done without loss.
    ///
    /// # Errors
    /// Where the file cannot be read on. Rows before stay valid.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, Failure> {
        let read = self.rows.recv().await;
        if let Some(Read::Row(row)) = read {
            return Ok(Some(row));
        }
        self.ended = true;
        match read {
            Some(Read::Failed(failure)) => Err(failure),
            Some(Read::End(totals)) => {
                self.totals = totals;
                Ok(None)
            }
            Some(Read::Row(_)) | None => Err(Failure::new("INPUT_UNREADABLE", "reading ended before the end of the file")),
        }
    }

    /// Whether there is nothing more to come.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Counts of lines and rows; all zero before the end.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }
}

/// Sends until nobody listens any more.
fn read(plan: Plan, sender: &mpsc::Sender<Read>) {
    let mut rows = match open(plan) {
        Ok(rows) => rows,
        Err(failure) => return drop(sender.blocking_send(Read::Failed(failure))),
    };
    for row in rows.by_ref() {
        let read = row.map_or_else(|error| Read::Failed(error.into()), Read::Row);
        let failed = matches!(read, Read::Failed(_));
        if sender.blocking_send(read).is_err() || failed {
            return;
        }
    }
    drop(sender.blocking_send(Read::End(rows.totals())));
}

fn open(plan: Plan) -> Result<Rows, Failure> {
    let Plan { path, layout, purpose, defaults } = plan;
    let source = Source::open(&path).map_err(|error| unopened(error, &path))?;
    Ok(Rows::new(source, layout, purpose, defaults)?)
}

/// What is not surely a file's name may be an identifier that was meant for a flag, and is not repeated.
fn unopened(error: InputError, path: &Path) -> Failure {
    let named = Format::of_path(path).is_some() || path == Path::new("-");
    let failure = match (&error, named) {
        (InputError::Open { source, .. }, false) => {
            Failure::new(error.code(), format!("an input file cannot be opened: {}", source.kind()))
        }
        _ => error.into(),
    };
    failure.advise("give the path of a readable file, or - for standard input")
}
