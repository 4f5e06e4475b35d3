//! Many sellers from a file: a line an answer, as the answers come.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::FreshnessView;
use super::answer::is_flagged;
use crate::cli::exchange::{Exchange, Refused, Sink, exchange, waiting};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, plain};
use crate::cli::reading::{Plan, Reading};
use crate::cli::words;
use crate::domain::Verdict;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::{
    self, CheckAnswer, CheckSellersRequest, CheckSellersResponse, Freshness, LeaveWatch, check_sellers_response,
};

/// Rows between two changes of the progress line.
const PROGRESS_EVERY: u64 = 64;
const HEAD: &str = "    LINE  VERDICT          ELSEWHERE  OWN  REFERENCE                     FLAGGED BY\n";

pub(super) async fn run(call: CheckRows, plan: Plan, verbose: bool, printer: &mut Printer) -> Result<Outcome, Failure> {
    let mut rows = Reading::start(plan);
    printer.heading(HEAD)?;
    let mut asking = Asking { summary: Summary::default(), freshness: None, printer };
    let sent = exchange(&call, &mut rows, &mut asking).await;
    let Asking { mut summary, freshness, printer } = asking;
    printer.end_progress();
    summary.skipped_lines = rows.totals().skipped;
    let sent = sent.map_err(|(unanswered, failure)| {
        summary.unanswered = unanswered;
        failure
    });
    let outcome = summary.outcome();
    printer.record(&End { summary, freshness: freshness.map(FreshnessView::of), verbose })?;
    sent.map(|()| outcome)
}

/// ScreeningService.CheckSellers.
pub(in crate::cli) struct CheckRows {
    client: ScreeningServiceClient<Channel>,
    /// What is left where nobody flags the seller.
    watch: Option<LeaveWatch>,
}

impl CheckRows {
    pub(in crate::cli) const fn new(client: ScreeningServiceClient<Channel>, watch: Option<LeaveWatch>) -> Self {
        Self { client, watch }
    }
}

impl Exchange for CheckRows {
    type Request = CheckSellersRequest;
    type Response = CheckSellersResponse;
    type Answer = (CheckAnswer, Option<Freshness>);

    fn request(&self, row: proto::Submission) -> CheckSellersRequest {
        let label =
            |watch: &LeaveWatch| if row.submission_id.is_empty() { watch.label.clone() } else { row.submission_id.clone() };
        let watch = self.watch.as_ref().map(|watch| LeaveWatch { label: label(watch), ..watch.clone() });
        CheckSellersRequest { identifiers: row.identifiers, watch }
    }

    fn open(
        &self,
        requests: ReceiverStream<CheckSellersRequest>,
    ) -> impl Future<Output = Result<Response<Streaming<CheckSellersResponse>>, Status>> + Send {
        let mut client = self.client.clone();
        async move { client.check_sellers(requests).await }
    }

    fn answer(&self, response: CheckSellersResponse) -> Option<Result<Self::Answer, proto::RowError>> {
        Some(match response.result? {
            check_sellers_response::Result::Answer(answer) => Ok((answer, response.freshness)),
            check_sellers_response::Result::Error(error) => Err(error),
        })
    }
}

struct Asking<'p> {
    summary: Summary,
    /// What the newest answers rest on.
    freshness: Option<Freshness>,
    printer: &'p mut Printer,
}

impl Sink<(CheckAnswer, Option<Freshness>)> for Asking<'_> {
    fn row(&mut self, line: u64, result: Result<(CheckAnswer, Option<Freshness>), Refused>) -> Result<(), Failure> {
        let row = match result {
            Ok((answer, freshness)) => {
                self.freshness = freshness.or_else(|| self.freshness.take());
                self.summary.count(&answer);
                Row::of(line, answer)
            }
            Err(refused) => {
                self.summary.rows += 1;
                self.summary.refused += 1;
                Row { line, result: RowResult::Refused { error: refused.into() } }
            }
        };
        let (rows, flagged) = (self.summary.rows, self.summary.alleged + self.summary.confirmed);
        if rows.is_multiple_of(PROGRESS_EVERY) {
            self.printer.progress(|| format!("{rows} rows: {flagged} flagged"));
        }
        self.printer.record(&row)
    }

    fn retrying(&mut self, failure: &Failure, wait: Duration) {
        self.printer.note(waiting(failure, wait));
    }
}

/// The answer to a row. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Row {
    line: u64,
    #[serde(flatten)]
    result: RowResult,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RowResult {
    Answered {
        verdict: &'static str,
        members_elsewhere: u32,
        /// Own signals that count.
        own: usize,
        /// Other members whose signals count, as far as they are listed.
        flagged_by: Vec<String>,
        matches_omitted: u32,
        reference: String,
        reference_error: String,
        watch: String,
        watch_error: String,
    },
    Refused {
        error: RowError,
    },
}

#[derive(Debug, Serialize)]
struct RowError {
    code: String,
    field: String,
    message: String,
}

impl From<Refused> for RowError {
    fn from(refused: Refused) -> Self {
        Self { code: refused.code, field: refused.field, message: refused.message }
    }
}

impl Row {
    fn of(line: u64, answer: CheckAnswer) -> Self {
        let members = answer.elsewhere.into_iter().filter(|signal| signal.counts).map(|signal| signal.member);
        let result = RowResult::Answered {
            verdict: words::verdict(answer.verdict),
            members_elsewhere: answer.members_elsewhere,
            own: answer.own.iter().filter(|signal| signal.counts).count(),
            flagged_by: members.collect::<BTreeSet<_>>().into_iter().collect(),
            matches_omitted: answer.matches_omitted,
            reference: answer.reference,
            reference_error: answer.reference_error,
            watch: answer.watch,
            watch_error: answer.watch_error,
        };
        Self { line, result }
    }
}

impl Show for Row {
    fn table(&self) -> String {
        let line = self.line;
        match &self.result {
            RowResult::Answered { verdict, members_elsewhere, own, flagged_by, reference, reference_error, .. } => {
                let verdict = verdict.replace('_', " ");
                let reference = plain(if reference_error.is_empty() { reference } else { reference_error });
                let by = plain(&flagged_by.join(", "));
                let row = format!("{line:>8}  {verdict:<15}  {members_elsewhere:>9}  {own:>3}  {reference:<28}  {by}");
                row.trim_end().to_owned() + "\n"
            }
            RowResult::Refused { error: RowError { code, field, message } } => {
                format!("{line:>8}  refused          {}\n", plain(&format!("{code} {field}: {message}")))
            }
        }
    }
}

/// What stands at the end. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct End {
    summary: Summary,
    freshness: Option<FreshnessView>,
    #[serde(skip)]
    verbose: bool,
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    none_known: u64,
    alleged: u64,
    confirmed: u64,
    repeat_offender: u64,
    disputed: u64,
    known_good: u64,
    refused: u64,
    /// Answers with a verdict that this version does not know.
    not_understood: u64,
    unanswered: u64,
    skipped_lines: u64,
    #[serde(skip)]
    flagged: bool,
}

impl Summary {
    fn count(&mut self, answer: &CheckAnswer) {
        self.rows += 1;
        let counted = match Verdict::from_number(answer.verdict) {
            Some(Verdict::NoneKnown) => &mut self.none_known,
            Some(Verdict::Alleged) => &mut self.alleged,
            Some(Verdict::Confirmed) => &mut self.confirmed,
            Some(Verdict::RepeatOffender) => &mut self.repeat_offender,
            Some(Verdict::Disputed) => &mut self.disputed,
            Some(Verdict::KnownGood) => &mut self.known_good,
            None => &mut self.not_understood,
        };
        *counted += 1;
        self.flagged |= is_flagged(answer);
    }

    /// A row that was not checked is no row of which nothing is known.
    fn outcome(&self) -> Outcome {
        if self.flagged {
            Outcome::Flagged
        } else if self.refused + self.not_understood > 0 {
            Outcome::Failed
        } else {
            Outcome::Done
        }
    }
}

impl Show for End {
    fn table(&self) -> String {
        let Summary { rows, none_known, alleged, confirmed, refused, .. } = self.summary;
        let counts = format!("{confirmed} confirmed, {alleged} alleged, {none_known} not known, {refused} refused");
        let rare = [
            (self.summary.repeat_offender, "repeat offender"),
            (self.summary.disputed, "disputed"),
            (self.summary.known_good, "known good"),
            (self.summary.not_understood, "not understood"),
            (self.summary.unanswered, "without an answer"),
        ];
        let rare = rare.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
        let rare: String = rare.collect();
        let freshness = self.freshness.as_ref().map(|freshness| freshness.table(self.verbose));
        format!("\n{rows} rows: {counts}{rare}\n{}", freshness.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::SignalMatch;

    #[test]
    fn a_row_is_one_line_either_way() {
        let signal = |member: &str, counts| SignalMatch { member: member.into(), counts, ..SignalMatch::default() };
        let elsewhere = vec![signal("globex", true), signal("acme", true), signal("globex", true), signal("weak", false)];
        let answer =
            CheckAnswer { reference: "chk_1".into(), verdict: 2, members_elsewhere: 2, elsewhere, ..CheckAnswer::default() };
        let row = Row::of(17, answer);
        assert_eq!(
            HEAD.to_owned() + &row.table(),
            "    LINE  VERDICT          ELSEWHERE  OWN  REFERENCE                     FLAGGED BY\n      17  alleged                  2    0  \
             chk_1                         acme, globex\n"
        );
        assert_eq!(
            serde_json::to_string(&row).expect("JSON"),
            r#"{"line":17,"verdict":"alleged","members_elsewhere":2,"own":0,"flagged_by":["acme","globex"],"matches_omitted":0,"reference":"chk_1","reference_error":"","watch":"","watch_error":""}"#
        );
        let (code, field) = ("IDENTIFIER_INVALID".to_owned(), "identifiers[0].value".to_owned());
        let refused = Refused { code, field, message: "give a domain".into() };
        let row = Row { line: 18, result: RowResult::Refused { error: refused.into() } };
        assert_eq!(row.table(), "      18  refused          IDENTIFIER_INVALID identifiers[0].value: give a domain\n");
        assert_eq!(
            serde_json::to_string(&row).expect("JSON"),
            r#"{"line":18,"error":{"code":"IDENTIFIER_INVALID","field":"identifiers[0].value","message":"give a domain"}}"#
        );
    }

    #[test]
    fn a_row_that_was_not_checked_is_no_clean_row() {
        let clean = Summary { rows: 2, none_known: 2, ..Summary::default() };
        assert_eq!(clean.outcome(), Outcome::Done);
        assert_eq!(Summary { refused: 1, ..Summary::default() }.outcome(), Outcome::Failed);
        assert_eq!(Summary { not_understood: 1, ..clean }.outcome(), Outcome::Failed);
    }

    #[test]
    fn every_verdict_is_counted_as_what_it_is() {
        for verdict in Verdict::ALL {
            let mut summary = Summary { refused: 1, ..Summary::default() };
            summary.count(&CheckAnswer { verdict: verdict.number(), ..CheckAnswer::default() });
            let json = serde_json::to_value(&summary).expect("JSON");
            assert_eq!((&json[verdict.as_str()], &json["rows"]), (&1.into(), &1.into()), "{verdict}");
            let expected = if verdict.is_flagged() { Outcome::Flagged } else { Outcome::Failed };
            assert_eq!(summary.outcome(), expected, "{verdict}");
        }
    }
}
