use clap::{Args, Subcommand};
use serde::Serialize;
use tonic::transport::Channel;

use super::{DocumentArguments, standing};
use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, facts, table};
use crate::cli::words;
use crate::domain::{DisputeGround, DisputeOutcome, SignalRef};
use crate::rpc::proto::case_service_client::CaseServiceClient;
use crate::rpc::proto::{
    CaseRecord, CaseSignal, DecideDisputeRequest, GetCaseRequest, ListCasesRequest, OpenDisputeRequest, OpenDisputeResponse,
};

#[derive(Subcommand)]
pub(in crate::cli) enum DisputeCommand {
    /// Record a seller's rebuttal: from now on every member answers that the signals are disputed.
    Open(OpenArguments),
    /// Decide about own signals, or say that the seller took the rebuttal back.
    Decide(DecideArguments),
    /// The case that a seller's reference stands for.
    Show(ShowArguments),
    /// Disputes that this node holds.
    List(ListArguments),
}

const OPEN_HELP: &str = "\
Any member may record it, about its own signals or others'. The answer has a reference for the seller: whoever has it can ask any
member how that case stands, and finds nothing else by it. Where nobody decides within the days of the alliance's policy, the
dispute lapses in the seller's favour. Recording the same again while it is open gives the same reference.

JSON: {dispute, reference, due, created}.";

#[derive(Args)]
#[command(after_long_help = OPEN_HELP)]
pub(in crate::cli) struct OpenArguments {
    /// A signal that the seller rebuts, as member/audience/sequence. May be repeated.
    #[arg(long = "signal", value_name = "SIGNAL", required = true)]
    signals: Vec<SignalRef>,
    /// genuine_goods, licensed, mistaken_identity, stolen_identity, no_right or other.
    #[arg(long)]
    ground: DisputeGround,
    #[command(flatten)]
    documents: DocumentArguments,
    #[command(flatten)]
    node: NodeArguments,
}

const DECIDE_HELP: &str = "\
upheld: the signals stand. refuted: the seller was right, and they count for nothing anywhere. taken-back: the seller withdrew the
rebuttal, for the member that recorded it to say. Once refuted is refuted; a dispute that has lapsed can still be decided.

JSON, an object a line: {dispute, decision}.";

#[derive(Args)]
#[command(after_long_help = DECIDE_HELP)]
pub(in crate::cli) struct DecideArguments {
    /// The dispute, as member/audience/sequence; else every open one about the signals that are given.
    #[arg(long, value_name = "DISPUTE", required_unless_present = "signals")]
    dispute: Option<SignalRef>,
    /// upheld, refuted or taken-back.
    #[arg(long)]
    outcome: DisputeOutcome,
    /// An own signal that is decided; else all own ones that the dispute names. May be repeated.
    #[arg(long = "signal", value_name = "SIGNAL")]
    signals: Vec<SignalRef>,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Args)]
pub(in crate::cli) struct ShowArguments {
    /// What the seller was given.
    #[arg(value_name = "REFERENCE")]
    reference: String,
    #[command(flatten)]
    node: NodeArguments,
}

const LIST_HELP: &str = "\
JSON, an object a line: {dispute, ground, sha256: [hex], signals: [{signal, status, opened_at, due, ended, outcome}]}.";

#[derive(Args)]
#[command(after_long_help = LIST_HELP)]
pub(in crate::cli) struct ListArguments {
    /// Those that have ended too.
    #[arg(long)]
    all: bool,
    /// Those between others too.
    #[arg(long)]
    everyone: bool,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn dispute(
    command: DisputeCommand,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    match command {
        DisputeCommand::Open(arguments) => open(arguments, environment, printer).await,
        DisputeCommand::Decide(arguments) => decide(arguments, environment, printer).await,
        DisputeCommand::Show(arguments) => show(arguments, environment, printer).await,
        DisputeCommand::List(arguments) => list(&arguments, environment, printer).await,
    }
}

async fn open(arguments: OpenArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let request = OpenDisputeRequest {
        signals: arguments.signals.iter().map(ToString::to_string).collect(),
        ground: arguments.ground.number(),
        sha256: arguments.documents.digests()?,
    };
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let opened = CaseServiceClient::new(node.channel).open_dispute(request).await?.into_inner();
    printer.show(&Opened::of(opened))?;
    Ok(Outcome::Done)
}

async fn decide(arguments: DecideArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut client = CaseServiceClient::new(node.channel);
    let signals: Vec<String> = arguments.signals.iter().map(ToString::to_string).collect();
    let taken_back = arguments.outcome == DisputeOutcome::TakenBack;
    let disputes = match arguments.dispute {
        Some(dispute) => vec![dispute.to_string()],
        None => open_about(&mut client, &signals).await?,
    };
    if disputes.is_empty() {
        let failure = Failure::new("DISPUTE_NOT_FOUND", "no dispute about these signals is open");
        return Err(failure.advise("`countermark dispute list --all` shows those that have ended, too"));
    }
    for dispute in disputes {
        let signals = if taken_back { Vec::new() } else { signals.clone() };
        let request = DecideDisputeRequest { dispute: dispute.clone(), outcome: arguments.outcome.number(), signals };
        let decision = client.decide_dispute(request).await?.into_inner().decision;
        printer.record(&Decided { dispute, decision })?;
    }
    Ok(Outcome::Done)
}

/// The open disputes that name all of `signals`.
async fn open_about(client: &mut CaseServiceClient<Channel>, signals: &[String]) -> Result<Vec<String>, Failure> {
    let mut about = Vec::new();
    each_case(client, false, true, |case| {
        let named = |signal: &String| case.signals.iter().any(|of| of.signal == *signal);
        if signals.iter().all(named) {
            about.push(case.dispute);
        }
        Ok(())
    })
    .await?;
    Ok(about)
}

/// Hands every case that the node lists to `take`.
async fn each_case(
    client: &mut CaseServiceClient<Channel>,
    ended_too: bool,
    own_only: bool,
    mut take: impl FnMut(CaseRecord) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let request = ListCasesRequest { open_only: !ended_too, own_only, after, page_size: 0 };
        let page = client.list_cases(request).await?.into_inner();
        page.cases.into_iter().try_for_each(&mut take)?;
        if page.next.is_empty() {
            return Ok(());
        }
        after = page.next;
    }
}

async fn show(arguments: ShowArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = GetCaseRequest { reference: arguments.reference };
    let found = CaseServiceClient::new(node.channel).get_case(request).await?.into_inner();
    printer.show(&Cases { cases: found.cases.into_iter().map(Case::from).collect() })?;
    Ok(Outcome::Done)
}

async fn list(arguments: &ListArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let mut client = CaseServiceClient::new(node.channel);
    let mut none = true;
    each_case(&mut client, arguments.all, !arguments.everyone, |case| {
        none = false;
        printer.record(&Case::from(case))
    })
    .await?;
    if none {
        printer.note("There are no such disputes.");
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Opened {
    dispute: String,
    /// For the seller.
    reference: String,
    /// When it lapses in the seller's favour.
    due: Option<String>,
    created: bool,
}

impl Opened {
    fn of(opened: OpenDisputeResponse) -> Self {
        let OpenDisputeResponse { dispute, reference, due_ms, created } = opened;
        Self { dispute, reference, due: words::instant(due_ms), created }
    }
}

impl Show for Opened {
    fn table(&self) -> String {
        let known = if self.created { "" } else { " (recorded before, and open)" };
        facts([
            ("dispute", format!("{}{known}", self.dispute)),
            ("for the seller", self.reference.clone()),
            ("to decide by", self.due.clone().unwrap_or_default()),
        ])
    }
}

#[derive(Serialize)]
struct Decided {
    dispute: String,
    decision: String,
}

impl Show for Decided {
    fn table(&self) -> String {
        facts([("dispute", self.dispute.clone()), ("decision", self.decision.clone())])
    }
}

#[derive(Serialize)]
struct Cases {
    cases: Vec<Case>,
}

impl Show for Cases {
    fn table(&self) -> String {
        self.cases.iter().map(Show::table).collect()
    }
}

/// A dispute as it is printed. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Case {
    dispute: String,
    ground: &'static str,
    /// Lower-case hexadecimal.
    sha256: Vec<String>,
    signals: Vec<Signal>,
}

#[derive(Serialize)]
struct Signal {
    signal: String,
    status: &'static str,
    opened_at: Option<String>,
    due: Option<String>,
    ended: bool,
    /// upheld, refuted, taken_back or lapsed; empty while it is open.
    outcome: &'static str,
    #[serde(skip)]
    standing: String,
}

impl From<CaseRecord> for Case {
    fn from(case: CaseRecord) -> Self {
        Self {
            dispute: case.dispute,
            ground: words::ground(case.ground),
            sha256: case.sha256.iter().map(hex::encode).collect(),
            signals: case.signals.into_iter().map(Signal::from).collect(),
        }
    }
}

impl From<CaseSignal> for Signal {
    fn from(signal: CaseSignal) -> Self {
        let dispute = signal.dispute.unwrap_or_default();
        Self {
            signal: signal.signal,
            status: words::status(signal.status),
            opened_at: words::instant(dispute.opened_at_ms),
            due: words::instant(dispute.due_ms),
            ended: dispute.ended,
            outcome: match (dispute.ended, dispute.outcome) {
                (false, _) => "",
                (true, 0) => "lapsed",
                (true, outcome) => words::outcome(outcome),
            },
            standing: standing(&dispute),
        }
    }
}

impl Show for Case {
    fn table(&self) -> String {
        let rows = self.signals.iter().map(|s| vec![s.signal.clone(), s.status.to_owned(), s.standing.clone()]);
        format!("dispute {}\n{}", self.dispute, table(&["signal", "status", "dispute"], rows))
    }
}
