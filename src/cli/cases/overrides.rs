use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tonic::transport::Channel;

use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::check::SellerArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::input::{Defaults, Purpose};
use crate::cli::output::{Printer, Show, facts, plain};
use crate::cli::reading::{ReadArguments, Reading};
use crate::cli::words;
use crate::domain::Verdict;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::{Identifier, ListOverridesRequest, OverrideRecord, RemoveOverrideRequest, SetOverrideRequest};

/// Overrides under way at once: enough to share a commit.
const AT_ONCE: usize = 64;
/// Refused rows that are named on standard error.
const NAMED_REFUSALS: u64 = 5;

#[derive(Subcommand)]
pub(in crate::cli) enum OverrideCommand {
    /// Have this node answer so about a seller, whatever the members say.
    Set(Box<SetArguments>),
    /// Show what was set.
    List(ListArguments),
    /// Take one back.
    Remove(RemoveArguments),
}

const SET_HELP: &str = "\
Stays on this node, as pseudonyms, and holds from the next check on; answers show it as what it is. One that flags holds for every
question with one of the identifiers. One that clears (none-known, known-good) reaches as far as what it names: a signal that
matches by another strong identifier still flags. A file has one seller a row, in the formats of `submit`.

Exit codes with a file: 0 all is set; 1 failed, or a row was refused: what the others name is set all the same.

JSON: {override}; of a file {rows, set, refused, refused_by_code: {CODE: count}}.";

#[derive(Args)]
#[command(after_long_help = SET_HELP)]
pub(in crate::cli) struct SetArguments {
    /// none-known, alleged, confirmed, repeat-offender, disputed or known-good.
    #[arg(value_name = "VERDICT")]
    verdict: Verdict,
    #[command(flatten)]
    seller: SellerArguments,
    /// File of sellers, one a row; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArguments,
    /// Until when it holds, in RFC 3339, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    until: Option<jiff::Timestamp>,
    /// Why, at most 120 characters. Kept as it is: it must not name the seller.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    #[command(flatten)]
    node: NodeArguments,
}

const LIST_HELP: &str = "\
JSON, an object a line: {override, verdict, kinds, made_at, until, note}.";

#[derive(Args)]
#[command(after_long_help = LIST_HELP)]
pub(in crate::cli) struct ListArguments {
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Args)]
pub(in crate::cli) struct RemoveArguments {
    /// As it is listed, such as own_17.
    #[arg(value_name = "OVERRIDE")]
    id: String,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn overrides(
    command: OverrideCommand,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    match command {
        OverrideCommand::Set(arguments) => set(*arguments, environment, printer).await,
        OverrideCommand::List(arguments) => list(&arguments, environment, printer).await,
        OverrideCommand::Remove(arguments) => remove(arguments, environment, printer).await,
    }
}

async fn set(arguments: SetArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let SetArguments { verdict, seller, from, read, until, note, node } = arguments;
    let identifiers = seller.identifiers(read.region());
    let until_ms = until.map_or(0, jiff::Timestamp::as_millisecond);
    let request =
        move |identifiers| SetOverrideRequest { verdict: verdict.number(), identifiers, until_ms, note: note.clone() };
    match (identifiers.is_empty(), from) {
        (false, None) => {
            let node = Node::reach(node.config.as_deref(), environment).await?;
            let set = ScreeningServiceClient::new(node.channel).set_override(request(identifiers)).await?.into_inner();
            printer.show(&Named { name: set.r#override })?;
            Ok(Outcome::Done)
        }
        (true, Some(path)) => {
            let rows = Reading::start(read.plan(&path, Purpose::Check, Defaults::default())?);
            let node = Node::reach(node.config.as_deref(), environment).await?;
            let summary = set_all(&ScreeningServiceClient::new(node.channel), rows, request, printer).await?;
            printer.end_progress();
            printer.show(&summary)?;
            Ok(if summary.refused == 0 { Outcome::Done } else { Outcome::Failed })
        }
        _ => Err(Failure::usage(
            "give the identifiers of one seller by flags, such as --domain, or a file of sellers with --from",
        )),
    }
}

/// Sets one for each row; a bad one does not touch its neighbours.
async fn set_all(
    client: &ScreeningServiceClient<Channel>,
    mut rows: Reading,
    request: impl Fn(Vec<Identifier>) -> SetOverrideRequest,
    printer: &mut Printer,
) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let mut under_way = FuturesUnordered::new();
    loop {
        let may_read = under_way.len() < AT_ONCE && !rows.ended();
        let next = if may_read { rows.next().await? } else { None };
        match next {
            Some(row) => {
                summary.rows += 1;
                match row.result {
                    Ok(submission) => {
                        let (mut client, request) = (client.clone(), request(submission.identifiers));
                        under_way.push(async move { (row.line, client.set_override(request).await.map(drop)) });
                    }
                    Err(error) => summary.refuse(row.line, error.code, &error.message, printer),
                }
            }
            None => {
                let Some((line, outcome)) = under_way.next().await else { return Ok(summary) };
                match outcome.map_err(Failure::from) {
                    Ok(()) => summary.set += 1,
                    Err(failure) => summary.refuse(line, failure.code(), failure.sentence(), printer),
                }
            }
        }
        printer.progress(|| format!("{} rows, {} set", summary.rows, summary.set));
    }
}

/// What became of a file.
#[derive(Debug, Default, Serialize)]
struct Summary {
    rows: u64,
    set: u64,
    refused: u64,
    refused_by_code: BTreeMap<String, u64>,
}

impl Summary {
    fn refuse(&mut self, line: u64, code: &str, message: &str, printer: &mut Printer) {
        self.refused += 1;
        *self.refused_by_code.entry(code.to_owned()).or_default() += 1;
        if self.refused <= NAMED_REFUSALS {
            printer.note(plain(&format!("line {line}: {code}: {message}")));
        }
    }
}

impl Show for Summary {
    fn table(&self) -> String {
        let by_code = self.refused_by_code.iter().map(|(code, count)| format!("{code} {count}")).collect::<Vec<_>>().join(", ");
        facts([("rows", self.rows.to_string()), ("set", self.set.to_string()), ("refused", by_code)])
    }
}

async fn list(arguments: &ListArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut client = ScreeningServiceClient::new(node.channel);
    let (mut after, mut none) = (String::new(), true);
    loop {
        let page = client.list_overrides(ListOverridesRequest { after, page_size: 0 }).await?.into_inner();
        for record in page.overrides {
            none = false;
            printer.record(&Override::from(record))?;
        }
        if page.next.is_empty() {
            break;
        }
        after = page.next;
    }
    if none {
        printer.note("There are no overrides.");
    }
    Ok(Outcome::Done)
}

async fn remove(arguments: RemoveArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = RemoveOverrideRequest { r#override: arguments.id.clone() };
    let removed = ScreeningServiceClient::new(node.channel).remove_override(request).await?.into_inner().removed;
    if !removed {
        printer.note("There was no such override.");
    }
    printer.show(&Named { name: arguments.id })?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Named {
    #[serde(rename = "override")]
    name: String,
}

impl Show for Named {
    fn table(&self) -> String {
        facts([("override", self.name.clone())])
    }
}

/// This member's own word about a seller, as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Override {
    #[serde(rename = "override")]
    name: String,
    verdict: &'static str,
    kinds: Vec<&'static str>,
    made_at: Option<String>,
    until: Option<String>,
    note: String,
}

impl From<OverrideRecord> for Override {
    fn from(record: OverrideRecord) -> Self {
        Self {
            name: record.r#override,
            verdict: words::verdict(record.verdict),
            kinds: record.kinds.iter().map(|kind| words::kind(*kind)).collect(),
            made_at: words::instant(record.made_at_ms),
            until: words::instant(record.until_ms),
            note: record.note,
        }
    }
}

impl Override {
    /// In one line.
    pub(in crate::cli) fn in_words(&self) -> String {
        let until = self.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
        let note = if self.note.is_empty() { String::new() } else { format!(": {}", self.note) };
        let kinds = if self.kinds.is_empty() { String::new() } else { format!(" ({})", self.kinds.join(", ")) };
        plain(&format!("{}, {}{until}{kinds}{note}", self.name, self.verdict))
    }
}

impl Show for Override {
    fn table(&self) -> String {
        self.in_words() + "\n"
    }
}
