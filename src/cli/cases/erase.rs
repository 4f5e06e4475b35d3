use clap::Args;
use serde::Serialize;

use super::OwnEntry;
use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, counted, facts, table};
use crate::cli::words;
use crate::domain::{Audience, ErasureReason, SignalRef};
use crate::rpc::proto::erase_signal_request::Target;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{EraseSignalRequest, ErasureRecord, ErasureReplica, ListErasuresRequest, ListErasuresResponse};

const ERASE_HELP: &str = "\
Takes a signal with its amendments, a marker, or a lead (named by any of its steps) with all of them away from every member's node,
and for good: it counts for nothing from now on, its content is removed as soon as the erasure arrives, and each node's files are
written anew without it within a day. What is submitted again under the same id is not taken. A signal that was wrong is retracted
instead, so that its history stays readable.

JSON: {signal, erasure, newly_erased}. `countermark erasures` shows who has done it.";

#[derive(Args)]
#[command(after_long_help = ERASE_HELP)]
pub(in crate::cli) struct EraseArguments {
    #[command(flatten)]
    entry: OwnEntry,
    /// request, order, entry-error, expired or other.
    #[arg(long)]
    reason: ErasureReason,
    #[command(flatten)]
    node: NodeArguments,
}

const ERASURES_HELP: &str = "\
Each member's node signs how far it has carried out the erasures: what is removed can be read no more, what is purged is in no file of
that node either. A node that is away says so when it is back.

JSON: {erasures: [{erasure, recorded_at, reason, entries, removed_by, purged_by, waiting_for}], replicas: [{member, removed_before,
removed_at, purged_before, purged_at, receipt}], next_seq}. `receipt` is the signed note.";

#[derive(Args)]
#[command(after_long_help = ERASURES_HELP)]
pub(in crate::cli) struct ErasuresArguments {
    /// `all`, or a group.
    #[arg(long, default_value = "all")]
    audience: Audience,
    /// For older ones: the next_seq of the page before.
    #[arg(long, value_name = "SEQ", default_value_t = 0, hide_default_value = true)]
    before: u64,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn erase(
    arguments: EraseArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let (target, audience) = arguments.entry.target(Target::Signal, Target::SubmissionId);
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = EraseSignalRequest { target, audience, reason: arguments.reason.number() };
    let erased = SignalServiceClient::new(node.channel).erase_signal(request).await?.into_inner();
    let (signal, erasure, newly_erased) = (erased.signal, erased.erasure, erased.newly_erased);
    printer.show(&Erased { signal, erasure, newly_erased })?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Erased {
    signal: String,
    erasure: String,
    newly_erased: bool,
}

impl Show for Erased {
    fn table(&self) -> String {
        let what = if self.newly_erased { "erased" } else { "erased before" };
        facts([(what, self.signal.clone()), ("erasure", self.erasure.clone())])
    }
}

pub(in crate::cli) async fn erasures(
    arguments: ErasuresArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = ListErasuresRequest { audience: arguments.audience.to_string(), before_seq: arguments.before };
    let listed = SignalServiceClient::new(node.channel).list_erasures(request).await?.into_inner();
    printer.show(&Erasures::of(listed))?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Erasures {
    erasures: Vec<Erasure>,
    replicas: Vec<Replica>,
    next_seq: u64,
}

#[derive(Serialize)]
struct Erasure {
    erasure: String,
    recorded_at: Option<String>,
    reason: &'static str,
    entries: u32,
    /// How many of the members' nodes have come so far.
    removed_by: usize,
    purged_by: usize,
    /// Members whose nodes have not said that it is removed.
    waiting_for: Vec<String>,
}

#[derive(Serialize)]
struct Replica {
    member: String,
    removed_before: u64,
    removed_at: Option<String>,
    purged_before: u64,
    purged_at: Option<String>,
    receipt: String,
}

impl Erasures {
    fn of(listed: ListErasuresResponse) -> Self {
        let replicas = &listed.replicas;
        let erasures = listed.erasures.iter().map(|record| Erasure::of(record, replicas)).collect();
        Self { erasures, replicas: listed.replicas.into_iter().map(Replica::of).collect(), next_seq: listed.next_seq }
    }
}

impl Erasure {
    fn of(record: &ErasureRecord, replicas: &[ErasureReplica]) -> Self {
        let at = record.erasure.parse::<SignalRef>().map_or(u64::MAX, |erasure| erasure.seq.get());
        let waiting = replicas.iter().filter(|replica| replica.removed_before_seq <= at);
        let waiting_for: Vec<String> = waiting.map(|replica| replica.member.clone()).collect();
        Self {
            erasure: record.erasure.clone(),
            recorded_at: words::instant(record.recorded_at_ms),
            reason: words::erasure(record.reason),
            entries: record.entries,
            removed_by: replicas.len() - waiting_for.len(),
            purged_by: replicas.iter().filter(|replica| replica.purged_before_seq > at).count(),
            waiting_for,
        }
    }

    fn row(&self, of: usize) -> Vec<String> {
        vec![
            self.erasure.clone(),
            self.recorded_at.clone().unwrap_or_default(),
            self.reason.to_owned(),
            self.entries.to_string(),
            format!("{} of {of}", self.removed_by),
            format!("{} of {of}", self.purged_by),
            self.waiting_for.join(", "),
        ]
    }
}

impl Replica {
    fn of(replica: ErasureReplica) -> Self {
        Self {
            removed_before: replica.removed_before_seq,
            removed_at: words::instant(replica.removed_at_ms),
            purged_before: replica.purged_before_seq,
            purged_at: words::instant(replica.purged_at_ms),
            receipt: String::from_utf8_lossy(&replica.receipt).into_owned(),
            member: replica.member,
        }
    }
}

impl Show for Erasures {
    fn table(&self) -> String {
        if self.erasures.is_empty() {
            return "nothing was erased\n".to_owned();
        }
        let head = ["erasure", "recorded at", "reason", "entries", "removed by", "purged by", "waiting for"];
        let rows = self.erasures.iter().map(|erasure| erasure.row(self.replicas.len()));
        let more = match self.next_seq {
            0 => String::new(),
            next => format!("there are older ones: --before {next}\n"),
        };
        let held = counted(self.replicas.len() as u64, "member");
        format!("{}copies are held by {held}\n{more}", table(&head, rows))
    }
}
