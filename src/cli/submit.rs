//! `submit`.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::Environment;
use super::arguments::SubmitArguments;
use super::connection::Node;
use super::exchange::{Exchange, Refused, Sink, exchange, waiting};
use super::failure::{Failure, Outcome};
use super::input::{Defaults, Purpose, Rejects, Totals};
use super::output::{Printer, Show, counted, facts, plain};
use super::reading::Reading;
use crate::domain::SignalStatus;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{self, SubmissionReceipt, SubmitSignalsRequest, SubmitSignalsResponse, submit_signals_response};

/// Rows between two changes of the progress line.
const PROGRESS_EVERY: u64 = 64;
/// Refused rows that are named on standard error.
const NAMED_REFUSALS: u64 = 5;

pub(super) async fn run(
    arguments: SubmitArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    if arguments.rejects.is_some() && arguments.files.len() > 1 {
        return Err(Failure::usage("--rejects names lines of one file; submit the files one by one"));
    }
    let mut defaults = Defaults::default();
    arguments.statement.set(&mut defaults)?;
    let plans = arguments.files.iter().map(|path| arguments.read.plan(path, Purpose::Submit, defaults.clone()));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    if let Some(rejects) = &arguments.rejects
        && arguments.files.iter().any(|input| is_same_file(input, rejects))
    {
        return Err(Failure::usage("--rejects names the input itself, which it would empty; name another file"));
    }
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let call = Submit(SignalServiceClient::new(node.channel));

    let rejects = arguments.rejects.as_deref().map(create_rejects).transpose()?;
    let mut taking = Taking { summary: Summary::default(), rejects, printer };
    let mut failed = Ok(());
    for plan in plans {
        let mut rows = Reading::start(plan);
        let sent = exchange(&call, &mut rows, &mut taking).await;
        taking.summary.add(rows.totals());
        if let Err((unanswered, failure)) = sent {
            taking.summary.unanswered += unanswered;
            failed = Err(failure.advise("run the same command again once that is put right: nothing is taken twice"));
            break;
        }
    }
    let Taking { summary, rejects, printer } = taking;
    printer.end_progress();
    let finished = rejects.map_or(Ok(()), Rejects::finish).map_err(|error| rejects_failed(&error));
    // A command that got nowhere has no result beside its error.
    if failed.is_ok() || summary.rows > 0 {
        printer.show(&summary)?;
        summary.notes(arguments.rejects.is_some()).iter().for_each(|note| printer.note(note));
    }
    failed.and(finished)?;
    Ok(summary.outcome(arguments.strict))
}

/// Whether both names lead to one file, through links or redirections too. What does not exist is none.
fn is_same_file(input: &Path, rejects: &Path) -> bool {
    let input = if input == Path::new("-") { Path::new("/dev/stdin") } else { input };
    match (input.metadata(), rejects.metadata()) {
        (Ok(a), Ok(b)) => a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

fn create_rejects(path: &Path) -> Result<Rejects, Failure> {
    Rejects::create(path).map_err(|error| rejects_failed(&error))
}

fn rejects_failed(error: &std::io::Error) -> Failure {
    Failure::of("REJECTS_FAILED", error).advise("the file of --rejects is not complete; give another path or make room")
}

/// SignalService.SubmitSignals.
struct Submit(SignalServiceClient<Channel>);

impl Exchange for Submit {
    type Request = SubmitSignalsRequest;
    type Response = SubmitSignalsResponse;
    type Answer = SubmissionReceipt;

    fn request(&self, row: proto::Submission) -> SubmitSignalsRequest {
        SubmitSignalsRequest { submission: Some(row) }
    }

    fn open(
        &self,
        requests: ReceiverStream<SubmitSignalsRequest>,
    ) -> impl Future<Output = Result<Response<Streaming<SubmitSignalsResponse>>, Status>> + Send {
        let mut client = self.0.clone();
        async move { client.submit_signals(requests).await }
    }

    fn answer(&self, response: SubmitSignalsResponse) -> Option<Result<SubmissionReceipt, proto::RowError>> {
        Some(match response.result? {
            submit_signals_response::Result::Receipt(receipt) => Ok(receipt),
            submit_signals_response::Result::Error(error) => Err(error),
        })
    }
}

/// Counts what becomes of the rows, and writes down those that were refused.
struct Taking<'p> {
    summary: Summary,
    rejects: Option<Rejects>,
    printer: &'p mut Printer,
}

impl Sink<SubmissionReceipt> for Taking<'_> {
    fn row(&mut self, line: u64, result: Result<SubmissionReceipt, Refused>) -> Result<(), Failure> {
        self.summary.count(&result);
        if let Err(refused) = result {
            if let Some(rejects) = &mut self.rejects {
                let written = rejects.write(line, &refused.code, &refused.field, &refused.message);
                written.map_err(|error| rejects_failed(&error))?;
            } else if self.summary.refused <= NAMED_REFUSALS {
                let Refused { code, field, message } = &refused;
                self.printer.note(plain(&format!("line {line}: {code} {field}: {message}")));
            }
        }
        let summary = &self.summary;
        if summary.rows.is_multiple_of(PROGRESS_EVERY) {
            let (rows, taken, refused) = (summary.rows, summary.taken(), summary.refused);
            self.printer.progress(|| format!("{rows} rows: {taken} taken, {refused} refused"));
        }
        Ok(())
    }

    fn retrying(&mut self, failure: &Failure, wait: Duration) {
        self.printer.note(waiting(failure, wait));
    }
}

/// What became of everything. Its JSON fields are part of the interface.
#[derive(Debug, Default, Serialize)]
struct Summary {
    lines: u64,
    skipped_lines: u64,
    rows: u64,
    created: u64,
    already_there: u64,
    already_withdrawn: u64,
    already_erased: u64,
    /// Of those that were there.
    rekeyed: u64,
    refused: u64,
    refused_by_code: BTreeMap<String, u64>,
    /// Rows that were read and that the node did not answer.
    unanswered: u64,
}

impl Summary {
    fn add(&mut self, totals: Totals) {
        self.lines += totals.lines;
        self.skipped_lines += totals.skipped;
    }

    fn taken(&self) -> u64 {
        self.created + self.already_there + self.already_withdrawn + self.already_erased
    }

    fn count(&mut self, result: &Result<SubmissionReceipt, Refused>) {
        self.rows += 1;
        match result {
            Ok(receipt) if receipt.created => self.created += 1,
            Ok(receipt) if receipt.status == SignalStatus::Withdrawn.number() => self.already_withdrawn += 1,
            Ok(receipt) if receipt.status == SignalStatus::Erased.number() => self.already_erased += 1,
            Ok(receipt) => {
                self.already_there += 1;
                self.rekeyed += u64::from(receipt.rekeyed);
            }
            Err(refused) => {
                self.refused += 1;
                *self.refused_by_code.entry(refused.code.clone()).or_default() += 1;
            }
        }
    }

    fn outcome(&self, strict: bool) -> Outcome {
        let none_taken = self.rows > 0 && self.taken() == 0;
        if none_taken || (strict && self.refused > 0) { Outcome::Failed } else { Outcome::Done }
    }

    /// What a person should know of it.
    fn notes(&self, has_rejects: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if self.refused > NAMED_REFUSALS && !has_rejects {
            let more = counted(self.refused - NAMED_REFUSALS, "refused row");
            notes.push(format!("{more} more; --rejects FILE writes all of them down."));
        }
        if self.rows == 0 && self.unanswered == 0 {
            notes.push("The input has no rows; nothing was submitted, and nothing was retracted.".to_owned());
        }
        if self.already_withdrawn > 0 {
            let signals = counted(self.already_withdrawn, "signal");
            let stay = if self.already_withdrawn == 1 { "stays" } else { "stay" };
            notes.push(format!("{signals} had been retracted and {stay} so; to state one anew, give it a new submission id."));
        }
        if self.rekeyed > 0 {
            let signals = counted(self.rekeyed, "signal");
            let was = if self.rekeyed == 1 { "was" } else { "were" };
            notes.push(format!("{signals} {was} given pseudonyms under the keys that are active now."));
        }
        if self.already_erased > 0 {
            let signals = counted(self.already_erased, "signal");
            notes.push(format!("{signals} had been erased; to state one anew, give it a new submission id."));
        }
        notes
    }
}

impl Show for Summary {
    fn table(&self) -> String {
        let counts = [
            ("rows", self.rows),
            ("created", self.created),
            ("already there", self.already_there),
            ("withdrawn", self.already_withdrawn),
            ("refused", self.refused),
        ];
        let optional = [
            ("rekeyed", self.rekeyed),
            ("erased", self.already_erased),
            ("unanswered", self.unanswered),
            ("skipped lines", self.skipped_lines),
        ];
        let counts = counts.into_iter().chain(optional.into_iter().filter(|(_, count)| *count > 0));
        let codes = self.refused_by_code.iter().map(|(code, count)| format!("  {count:>8}  {}\n", plain(code)));
        let reasons: String = codes.collect();
        let reasons = if reasons.is_empty() { reasons } else { format!("refused by code\n{reasons}") };
        facts(counts.map(|(name, count)| (name, count.to_string()))) + &reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(created: bool, status: SignalStatus) -> Result<SubmissionReceipt, Refused> {
        Ok(SubmissionReceipt { signal: "acme/all/0".into(), created, rekeyed: false, status: status.number() })
    }

    fn refused(code: &str) -> Result<SubmissionReceipt, Refused> {
        Err(Refused { code: code.into(), field: "identifiers[0].value".into(), message: "give a domain".into() })
    }

    fn summary() -> Summary {
        let mut summary = Summary { lines: 8, skipped_lines: 2, ..Summary::default() };
        for row in [
            receipt(true, SignalStatus::Alleged),
            receipt(true, SignalStatus::Confirmed),
            receipt(false, SignalStatus::Alleged),
            receipt(false, SignalStatus::Withdrawn),
            refused("IDENTIFIER_INVALID"),
            refused("IDENTIFIER_INVALID"),
        ] {
            summary.count(&row);
        }
        summary
    }

    #[test]
    fn the_summary_as_a_table() {
        assert_eq!(
            summary().table(),
            "rows           6\ncreated        2\nalready there  1\nwithdrawn      1\nrefused        2\nskipped lines  2\n\
             refused by code\n         2  IDENTIFIER_INVALID\n"
        );
        assert_eq!(
            summary().notes(false),
            ["1 signal had been retracted and stays so; to state one anew, give it a new submission id."]
        );
    }

    #[test]
    fn what_was_taken_over_to_new_keys_is_told() {
        let mut summary = Summary::default();
        for rekeyed in [true, false] {
            summary.count(&receipt(false, SignalStatus::Alleged).map(|receipt| SubmissionReceipt { rekeyed, ..receipt }));
        }
        assert!(
            summary.table().ends_with("already there  2\nwithdrawn      0\nrefused        0\nrekeyed        1\n"),
            "{}",
            summary.table()
        );
        assert_eq!(summary.notes(false), ["1 signal was given pseudonyms under the keys that are active now."]);
    }

    #[test]
    fn the_summary_as_json() {
        assert_eq!(
            serde_json::to_string(&summary()).expect("JSON"),
            r#"{"lines":8,"skipped_lines":2,"rows":6,"created":2,"already_there":1,"already_withdrawn":1,"already_erased":0,"rekeyed":0,"refused":2,"refused_by_code":{"IDENTIFIER_INVALID":2},"unanswered":0}"#
        );
    }

    #[test]
    fn refused_rows_fail_the_command_only_where_nothing_was_taken_or_strictly() {
        let mut none = Summary::default();
        assert_eq!(none.outcome(true), Outcome::Done);
        none.count(&refused("X"));
        assert_eq!(none.outcome(false), Outcome::Failed);
        assert_eq!((summary().outcome(false), summary().outcome(true)), (Outcome::Done, Outcome::Failed));
    }
}
