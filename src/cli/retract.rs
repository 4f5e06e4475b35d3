//! `retract`: own signals, one by name or many from a file.
//!
//! All that is to be retracted is known, and compared with the live signals of this member, before the first is. A file that is
//! cut off or unreadable retracts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tonic::Status;
use tonic::transport::Channel;

use super::Environment;
use super::arguments::RetractArguments;
use super::check::CheckRows;
use super::connection::Node;
use super::exchange::{Refused, Sink, exchange, is_passing, waiting};
use super::failure::{Failure, Outcome};
use super::input::{Defaults, Field, Purpose};
use super::output::{Printer, Show, counted, facts, plain};
use super::reading::{Plan, Reading, set};
use crate::config::Share;
use crate::domain::limits::{BACKOFF_FIRST, BACKOFF_LAST};
use crate::domain::{Audience, RetractionReason, SignalRef};
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{CheckAnswer, Freshness, GetStatusRequest, RetractSignalRequest, retract_signal_request};

/// Retractions under way at once: enough to share a commit.
const AT_ONCE: usize = 256;
/// Times that one retraction is tried before it counts as failed.
const MAX_ATTEMPTS: u32 = 8;
/// Refused rows that are named on standard error.
const NAMED_REFUSALS: u64 = 5;

/// What the rows of a file say which signals are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum By {
    /// Identifiers of one seller: every own live signal that matches by a strong one.
    #[default]
    Identifiers,
    /// The submission id, with the audience.
    SubmissionId,
}

/// A signal that is to be retracted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Signal(String),
    Submission { id: String, audience: String },
}

/// Where the targets come from.
enum Choice {
    Named(Target),
    Rows(Plan, By, Option<Audience>),
}

impl Choice {
    fn of(arguments: &RetractArguments) -> Result<Self, Failure> {
        let RetractArguments { signal, submission_id, from, by, audience, read, .. } = arguments;
        match (signal, submission_id, from) {
            (Some(signal), None, None) => Ok(Self::Named(Target::Signal(signal.to_string()))),
            (None, Some(id), None) => {
                let audience = audience.as_ref().map_or("", Audience::as_str).to_owned();
                Ok(Self::Named(Target::Submission { id: id.clone(), audience }))
            }
            (None, None, Some(path)) => {
                if read.has_id_prefix() && *by == By::Identifiers {
                    return Err(Failure::usage("--id-prefix makes submission ids: give --by submission-id with it"));
                }
                let mut defaults = Defaults::default();
                set(&mut defaults, Field::Audience, audience.as_ref().map_or("", Audience::as_str))?;
                let purpose = if *by == By::Identifiers { Purpose::Check } else { Purpose::Retract };
                Ok(Self::Rows(read.plan(path, purpose, defaults)?, *by, audience.clone()))
            }
            _ => Err(Failure::usage("say what is to be retracted: --signal, --submission-id or --from")),
        }
    }
}

pub(super) async fn run(
    arguments: RetractArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let choice = Choice::of(&arguments)?;
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut found = Found::default();
    // Signals that a check finds are there; others are only named.
    let named = matches!(choice, Choice::Named(_) | Choice::Rows(_, By::SubmissionId, _));
    match choice {
        Choice::Named(target) => drop(found.targets.insert(target)),
        Choice::Rows(plan, by, audience) => collect(&node, plan, by, audience.as_ref(), &mut found, printer).await?,
    }
    let status = NodeServiceClient::new(node.channel.clone()).get_status(GetStatusRequest {}).await?.into_inner();
    let live = status.own_live_signals;
    let mut summary = Summary::of(&found, live, arguments.dry_run);
    found.notes().iter().for_each(|note| printer.note(note));
    if arguments.dry_run && named {
        printer.note("Whether a signal that is named is there is found out only when it is retracted.");
    }
    if !arguments.dry_run {
        if !arguments.yes {
            refuse_too_many(summary.to_retract, live, node.retract_share)?;
        }
        let client = SignalServiceClient::new(node.channel);
        retract_all(&client, found.targets, arguments.reason, &mut summary, printer).await;
    }
    printer.end_progress();
    printer.show(&summary)?;
    Ok(summary.outcome())
}

/// One signal is never a mass of them, whatever share it is.
fn refuse_too_many(count: u64, live: u64, share: Share) -> Result<(), Failure> {
    if count <= 1 || !share.is_exceeded_by(count, live) {
        return Ok(());
    }
    let sentence = format!("{count} of {live} live signals would be retracted, which is more than a share of {}", share.get());
    let advice =
        "make sure that the file is what it should be; --dry-run counts, and --yes goes on (retract_share in client.toml)";
    Err(Failure::new("RETRACTION_TOO_LARGE", sentence).advise(advice))
}

/// What a file comes to.
#[derive(Default)]
struct Found {
    targets: BTreeSet<Target>,
    rows: u64,
    refused: u64,
    without_signal: u64,
    omitted: u64,
    /// Sellers of whom not every own signal was listed.
    unlisted: u64,
    /// The first rows that were refused, for standard error.
    named: Vec<String>,
}

impl Found {
    fn refuse(&mut self, line: u64, code: &str, field: &str, message: &str) {
        self.refused += 1;
        if self.refused <= NAMED_REFUSALS {
            self.named.push(plain(&format!("line {line}: {code} {field}: {message}")));
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.named.clone();
        if self.targets.is_empty() {
            notes.push("Nothing is to be retracted.".to_owned());
        }
        if self.refused > 0 {
            let rows = counted(self.refused, "row");
            notes
                .push(format!("What {rows} would retract is not known, because it was refused: put that right and run again."));
        }
        if self.unlisted > 0 {
            notes
                .push("A seller has more own signals than one answer lists; run the same command again afterwards.".to_owned());
        }
        notes
    }
}

async fn collect(
    node: &Node,
    plan: Plan,
    by: By,
    audience: Option<&Audience>,
    found: &mut Found,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut rows = Reading::start(plan);
    if by == By::SubmissionId {
        while let Some(row) = rows.next().await? {
            found.rows += 1;
            match row.result {
                Ok(row) => drop(found.targets.insert(Target::Submission { id: row.submission_id, audience: row.audience })),
                Err(error) => found.refuse(row.line, error.code, &error.field, &error.message),
            }
        }
        return Ok(());
    }
    let call = CheckRows::new(ScreeningServiceClient::new(node.channel.clone()), None);
    let mut collecting = Collecting { found, audience, printer };
    exchange(&call, &mut rows, &mut collecting).await.map_err(|(_, failure)| failure.advise("nothing has been retracted"))
}

/// Gathers the own live signals of the sellers that rows name.
struct Collecting<'c> {
    found: &'c mut Found,
    audience: Option<&'c Audience>,
    printer: &'c mut Printer,
}

impl Sink<(CheckAnswer, Option<Freshness>)> for Collecting<'_> {
    fn row(&mut self, line: u64, result: Result<(CheckAnswer, Option<Freshness>), Refused>) -> Result<(), Failure> {
        self.found.rows += 1;
        match result {
            Ok((answer, _)) => {
                let signals: Vec<Target> = own_signals(&answer, self.audience).map(Target::Signal).collect();
                self.found.without_signal += u64::from(signals.is_empty());
                self.found.omitted += u64::from(answer.matches_omitted);
                self.found.unlisted += u64::from(answer.own_omitted > 0);
                self.found.targets.extend(signals);
            }
            Err(refused) => self.found.refuse(line, &refused.code, &refused.field, &refused.message),
        }
        let (rows, signals) = (self.found.rows, self.found.targets.len());
        if rows.is_multiple_of(64) {
            self.printer.progress(|| format!("{rows} rows: {signals} signals found"));
        }
        Ok(())
    }

    fn retrying(&mut self, failure: &Failure, wait: Duration) {
        self.printer.note(waiting(failure, wait));
    }
}

/// Own signals that match by a strong identifier, of `audience` where one is given.
fn own_signals<'a>(answer: &'a CheckAnswer, audience: Option<&'a Audience>) -> impl Iterator<Item = String> + 'a {
    let wanted = move |signal: &str| match (audience, signal.parse::<SignalRef>()) {
        (None, _) => true,
        (Some(audience), Ok(signal)) => signal.feed.audience == *audience,
        (Some(_), Err(_)) => false,
    };
    let strong = answer.own.iter().filter(|signal| signal.counts);
    strong.map(|signal| signal.signal.clone()).filter(move |signal| wanted(signal))
}

async fn retract_all(
    client: &SignalServiceClient<Channel>,
    targets: BTreeSet<Target>,
    reason: RetractionReason,
    summary: &mut Summary,
    printer: &mut Printer,
) {
    let retractions = stream::iter(targets).map(|target| retract_one(client.clone(), target, reason));
    let mut retractions = std::pin::pin!(retractions.buffered(AT_ONCE));
    while let Some(outcome) = retractions.next().await {
        match outcome {
            Ok(true) => summary.retracted += 1,
            Ok(false) => summary.already_withdrawn += 1,
            Err(status) => {
                let failure = Failure::from(status);
                summary.failed += 1;
                let count = summary.failed_by_code.entry(failure.code().to_owned()).or_default();
                *count += 1;
                if *count == 1 {
                    printer.note(&failure);
                }
            }
        }
        let (done, all) = (summary.retracted + summary.already_withdrawn + summary.failed, summary.to_retract);
        printer.progress(|| format!("{done} of {all} signals"));
    }
}

/// Whether the signal was live until now. Tried again where the node is busy or away: a retraction may be sent twice.
async fn retract_one(
    mut client: SignalServiceClient<Channel>,
    target: Target,
    reason: RetractionReason,
) -> Result<bool, Status> {
    let (target, audience) = match target {
        Target::Signal(signal) => (retract_signal_request::Target::Signal(signal), String::new()),
        Target::Submission { id, audience } => (retract_signal_request::Target::SubmissionId(id), audience),
    };
    let request = RetractSignalRequest { target: Some(target), audience, reason: reason.number() };
    let mut attempt = 0;
    loop {
        match client.retract_signal(request.clone()).await {
            Ok(response) => return Ok(response.into_inner().newly_withdrawn),
            Err(status) if attempt < MAX_ATTEMPTS && is_passing(&status) => {
                tokio::time::sleep(BACKOFF_FIRST.saturating_mul(1 << attempt).min(BACKOFF_LAST)).await;
                attempt += 1;
            }
            Err(status) => return Err(status),
        }
    }
}

/// What was done, or would be. Its JSON fields are part of the interface.
#[derive(Debug, Default, Serialize)]
struct Summary {
    dry_run: bool,
    rows: u64,
    refused_rows: u64,
    rows_without_signal: u64,
    /// Rows whose seller has more own signals than one answer lists.
    rows_partly_listed: u64,
    matches_omitted: u64,
    /// With submission ids, so many at most: which of them are live, the node says when it retracts them.
    to_retract: u64,
    /// Before anything was retracted.
    own_live_signals: u64,
    retracted: u64,
    already_withdrawn: u64,
    failed: u64,
    failed_by_code: BTreeMap<String, u64>,
}

impl Summary {
    fn of(found: &Found, live: u64, dry_run: bool) -> Self {
        Self {
            dry_run,
            rows: found.rows,
            refused_rows: found.refused,
            rows_without_signal: found.without_signal,
            matches_omitted: found.omitted,
            rows_partly_listed: found.unlisted,
            to_retract: found.targets.len() as u64,
            own_live_signals: live,
            ..Self::default()
        }
    }

    /// What was asked for and is not surely done is no success, whatever else was.
    fn outcome(&self) -> Outcome {
        let missed = self.failed + self.refused_rows + self.rows_partly_listed;
        if missed > 0 { Outcome::Failed } else { Outcome::Done }
    }
}

impl Show for Summary {
    fn table(&self) -> String {
        let of_live = format!("{} of {}", self.to_retract, counted(self.own_live_signals, "live signal"));
        let asked = if self.dry_run { "would retract" } else { "to retract" };
        let always = [(asked, of_live)];
        let optional = [
            ("rows", self.rows),
            ("refused rows", self.refused_rows),
            ("without signal", self.rows_without_signal),
            ("partly listed", self.rows_partly_listed),
            ("retracted", self.retracted),
            ("were withdrawn", self.already_withdrawn),
            ("failed", self.failed),
        ];
        let optional = optional.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.to_string()));
        let codes = self.failed_by_code.iter().map(|(code, count)| format!("  {count:>8}  {}\n", plain(code)));
        facts(always.into_iter().chain(optional)) + &codes.collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::SignalMatch;

    fn own(signal: &str, counts: bool) -> SignalMatch {
        SignalMatch { signal: signal.into(), member: "acme".into(), counts, ..SignalMatch::default() }
    }

    #[test]
    fn only_strong_matches_of_the_audience_are_retracted() {
        let own = vec![own("acme/all/1", true), own("acme/all/2", false), own("acme/luxury/3", true)];
        let answer = CheckAnswer { own, elsewhere: vec![SignalMatch::default()], ..CheckAnswer::default() };
        assert_eq!(own_signals(&answer, None).collect::<Vec<_>>(), ["acme/all/1", "acme/luxury/3"]);
        let luxury = "luxury".parse().expect("valid");
        assert_eq!(own_signals(&answer, Some(&luxury)).collect::<Vec<_>>(), ["acme/luxury/3"]);
    }

    #[test]
    fn what_is_not_surely_retracted_is_no_success() {
        let outcome = |found: Found| Summary::of(&found, 20, false).outcome();
        assert_eq!(outcome(Found { rows: 2, without_signal: 1, omitted: 9, ..Found::default() }), Outcome::Done);
        assert_eq!(outcome(Found { rows: 2, refused: 1, ..Found::default() }), Outcome::Failed);
        assert_eq!(outcome(Found { rows: 2, unlisted: 1, ..Found::default() }), Outcome::Failed);
    }

    #[test]
    fn a_mass_retraction_wants_a_confirmation() {
        for (count, live, fine) in
            [(0, 0, true), (1, 1, true), (2, 20, true), (3, 20, false), (1_000, 1_000, false), (2, 0, false)]
        {
            assert_eq!(refuse_too_many(count, live, Share::TENTH).is_ok(), fine, "{count} of {live}");
        }
        let failure = refuse_too_many(3, 20, Share::TENTH).expect_err("too many");
        assert_eq!(failure.code(), "RETRACTION_TOO_LARGE");
    }

    #[test]
    fn the_summary_either_way() {
        let found = Found { rows: 3, refused: 1, ..Found::default() };
        let mut summary = Summary::of(&found, 20, true);
        assert_eq!(summary.table(), "would retract  0 of 20 live signals\nrows           3\nrefused rows   1\n");
        summary.failed = 2;
        summary.failed_by_code.insert("SIGNAL_NOT_FOUND".into(), 2);
        assert_eq!(
            serde_json::to_string(&summary).expect("JSON"),
            r#"{"dry_run":true,"rows":3,"refused_rows":1,"rows_without_signal":0,"rows_partly_listed":0,"matches_omitted":0,"to_retract":0,"own_live_signals":20,"retracted":0,"already_withdrawn":0,"failed":2,"failed_by_code":{"SIGNAL_NOT_FOUND":2}}"#
        );
    }
}
