//! `watch` and `alerts`: standing checks, and what is told when their answer changes.

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::Environment;
use super::arguments::NodeArguments;
use super::check::SellerArguments;
use super::connection::{Node, page_size};
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, facts, plain};
use super::words;
use crate::domain::{AlertId, WatchId};
use crate::rpc::proto;
use crate::rpc::proto::watch_service_client::WatchServiceClient;
use crate::rpc::proto::{
    AcknowledgeAlertRequest, AddWatchRequest, FollowAlertsRequest, ListAlertsRequest, ListWatchesRequest, RemoveWatchRequest,
    Standing,
};

const WATCH_HELP: &str = "\
Without a command: prints every alert that nobody has acknowledged, and then each new one as it is raised, until interrupted. An alert
says that the answer to a watch has changed: new_flag, confirmed, disputed, withdrawn, weakened. It is delivered until it is
acknowledged: with --acknowledge once it is printed, else with `countermark alerts ack`. A watch holds pseudonyms and stays on
this node.

JSON, an object a line: {alert, watch, label, kind, raised_at, before: {verdict, members_elsewhere}, after: {...}, signal,
refused}.";

#[derive(Args)]
#[command(after_long_help = WATCH_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct WatchArguments {
    #[command(subcommand)]
    command: Option<WatchCommand>,
    /// Only those after this one, such as alr_17.
    #[arg(long, value_name = "ALERT")]
    after: Option<AlertId>,
    /// Acknowledge each alert once it is printed.
    #[arg(long)]
    acknowledge: bool,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Subcommand)]
enum WatchCommand {
    /// Watch a seller from now on.
    Add(Box<AddArguments>),
    /// Show the watches.
    List(ListArguments),
    /// End a watch.
    Remove(RemoveArguments),
}

const ADD_HELP: &str = "\
What is known of the seller already is told at once. `countermark check --watch` leaves a watch where nobody flags the seller.

JSON: {watch}.";

#[derive(Args)]
#[command(after_long_help = ADD_HELP)]
struct AddArguments {
    #[command(flatten)]
    seller: SellerArguments,
    /// Country in which national phone numbers are read.
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
    /// Days that it runs, 1 to 3653; by default those of the alliance's policy.
    #[arg(long, value_name = "DAYS", default_value_t = 0, hide_default_value = true)]
    days: u32,
    /// Your own name for it, at most 120 characters, shown with its alerts. It must not name the seller.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    label: String,
    #[command(flatten)]
    node: NodeArguments,
}

const LIST_HELP: &str = "\
JSON, an object a line: {watch, kinds, made_at, until, label, standing: {verdict, members_elsewhere}}.";

#[derive(Args)]
#[command(after_long_help = LIST_HELP)]
struct ListArguments {
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Args)]
struct RemoveArguments {
    /// As it is listed, such as wat_17.
    #[arg(value_name = "WATCH")]
    watch: WatchId,
    #[command(flatten)]
    node: NodeArguments,
}

const ALERTS_HELP: &str = "\
Without a command: the alerts that nobody has acknowledged.

JSON, an object a line, as of `countermark watch`.";

#[derive(Args)]
#[command(after_long_help = ALERTS_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct AlertsArguments {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Subcommand)]
enum AlertsCommand {
    /// Say that alerts were taken care of; they are delivered no more.
    Ack(AckArguments),
}

#[derive(Args)]
struct AckArguments {
    /// As they are listed, such as alr_17.
    #[arg(value_name = "ALERT", required = true)]
    alerts: Vec<AlertId>,
    #[command(flatten)]
    node: NodeArguments,
}

type Client = WatchServiceClient<Channel>;

async fn reach(node: &NodeArguments, environment: &Environment) -> Result<Client, Failure> {
    Ok(WatchServiceClient::new(Node::reach(node.config.as_deref(), environment).await?.channel))
}

pub(super) async fn watch(
    arguments: WatchArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    match arguments.command {
        None => {
            let client = reach(&arguments.node, environment).await?;
            let after = arguments.after.map(|after| after.to_string()).unwrap_or_default();
            follow(client, after, arguments.acknowledge, printer).await
        }
        Some(WatchCommand::Add(arguments)) => add(*arguments, environment, printer).await,
        Some(WatchCommand::List(arguments)) => list(&arguments, environment, printer).await,
        Some(WatchCommand::Remove(arguments)) => {
            let mut client = reach(&arguments.node, environment).await?;
            let request = RemoveWatchRequest { watch: arguments.watch.to_string() };
            let removed = client.remove_watch(request).await?.into_inner().removed;
            printer.show(&Ended { watch: arguments.watch.to_string(), removed })?;
            Ok(Outcome::Done)
        }
    }
}

/// Until the person interrupts it, or the node ends it.
async fn follow(mut client: Client, after: String, acknowledge: bool, printer: &mut Printer) -> Result<Outcome, Failure> {
    let interrupted = CancellationToken::new();
    let _waiting = {
        let interrupted = interrupted.clone();
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
        }))
    };
    let mut alerts = client.follow_alerts(FollowAlertsRequest { after }).await?.into_inner();
    loop {
        let next = interrupted.run_until_cancelled(alerts.message()).await;
        let Some(next) = next else { return Ok(Outcome::Done) };
        let Some(alert) = next?.and_then(|response| response.alert) else { return Ok(Outcome::Done) };
        let name = alert.alert.clone();
        printer.record(&Alert::of(alert))?;
        printer.flush()?;
        if acknowledge {
            client.acknowledge_alert(AcknowledgeAlertRequest { alert: name }).await?;
        }
    }
}

async fn add(arguments: AddArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let identifiers = arguments.seller.identifiers(arguments.region.as_deref().unwrap_or_default());
    if identifiers.is_empty() {
        return Err(Failure::usage("give the identifiers by flags, such as --business-licence"));
    }
    let mut client = reach(&arguments.node, environment).await?;
    let request = AddWatchRequest { identifiers, days: arguments.days, label: arguments.label };
    let watch = client.add_watch(request).await?.into_inner().watch;
    printer.show(&Added { watch })?;
    Ok(Outcome::Done)
}

async fn list(arguments: &ListArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    let mut client = reach(&arguments.node, environment).await?;
    let mut after = String::new();
    loop {
        let request = ListWatchesRequest { after, page_size: page_size() };
        let page = client.list_watches(request).await?.into_inner();
        page.watches.into_iter().try_for_each(|watch| printer.record(&Watch::of(watch)))?;
        if page.next.is_empty() {
            return Ok(Outcome::Done);
        }
        after = page.next;
    }
}

pub(super) async fn alerts(
    arguments: AlertsArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    if let Some(AlertsCommand::Ack(arguments)) = arguments.command {
        let mut client = reach(&arguments.node, environment).await?;
        for alert in arguments.alerts {
            let request = AcknowledgeAlertRequest { alert: alert.to_string() };
            let acknowledged = client.acknowledge_alert(request).await?.into_inner().acknowledged;
            printer.record(&Acknowledged { alert: alert.to_string(), acknowledged })?;
        }
        return Ok(Outcome::Done);
    }
    let mut client = reach(&arguments.node, environment).await?;
    let mut after = String::new();
    loop {
        let page = client.list_alerts(ListAlertsRequest { after, page_size: page_size() }).await?.into_inner();
        page.alerts.into_iter().try_for_each(|alert| printer.record(&Alert::of(alert)))?;
        if page.next.is_empty() {
            return Ok(Outcome::Done);
        }
        after = page.next;
    }
}

#[derive(Serialize)]
struct Added {
    watch: String,
}

impl Show for Added {
    fn table(&self) -> String {
        facts([("watch", self.watch.clone())])
    }
}

#[derive(Serialize)]
struct Ended {
    watch: String,
    removed: bool,
}

impl Show for Ended {
    fn table(&self) -> String {
        facts([(if self.removed { "ended" } else { "no such watch" }, self.watch.clone())])
    }
}

#[derive(Serialize)]
struct Acknowledged {
    alert: String,
    acknowledged: bool,
}

impl Show for Acknowledged {
    fn table(&self) -> String {
        facts([(if self.acknowledged { "acknowledged" } else { "no such alert" }, self.alert.clone())])
    }
}

/// What a seller comes to.
#[derive(Serialize)]
struct Stands {
    verdict: &'static str,
    members_elsewhere: u32,
}

impl Stands {
    fn of(standing: Option<Standing>) -> Self {
        let standing = standing.unwrap_or_default();
        Self { verdict: words::verdict(standing.verdict), members_elsewhere: standing.members_elsewhere }
    }

    fn text(&self) -> String {
        let verdict = self.verdict.replace('_', " ");
        match self.members_elsewhere {
            0 => verdict,
            members => format!("{verdict} (by {members})"),
        }
    }
}

#[derive(Serialize)]
struct Watch {
    watch: String,
    kinds: Vec<&'static str>,
    made_at: Option<String>,
    until: Option<String>,
    label: String,
    standing: Stands,
}

impl Watch {
    fn of(record: proto::WatchRecord) -> Self {
        Self {
            watch: record.watch,
            kinds: record.kinds.iter().map(|kind| words::kind(*kind)).collect(),
            made_at: words::instant(record.made_at_ms),
            until: words::instant(record.until_ms),
            label: record.label,
            standing: Stands::of(record.standing),
        }
    }
}

impl Show for Watch {
    fn table(&self) -> String {
        let until = self.until.as_deref().unwrap_or_default();
        let parts = [&self.watch, until, &self.standing.text(), &self.kinds.join(", "), &self.label];
        plain(parts.join("  ").trim_end()) + "\n"
    }
}

#[derive(Serialize)]
struct Alert {
    alert: String,
    watch: String,
    label: String,
    kind: &'static str,
    raised_at: Option<String>,
    before: Stands,
    after: Stands,
    signal: String,
    /// Code of why the webhook refused it; empty where it did not.
    refused: String,
}

impl Alert {
    fn of(alert: proto::Alert) -> Self {
        Self {
            alert: alert.alert,
            watch: alert.watch,
            label: alert.label,
            kind: words::alert(alert.kind),
            raised_at: words::instant(alert.raised_at_ms),
            before: Stands::of(alert.before),
            after: Stands::of(alert.after),
            signal: alert.signal,
            refused: alert.refused,
        }
    }
}

impl Show for Alert {
    fn table(&self) -> String {
        let raised = self.raised_at.as_deref().unwrap_or_default();
        let kind = self.kind.replace('_', " ");
        let change = format!("{} -> {}", self.before.text(), self.after.text());
        let parts = [&self.alert, raised, &kind, &change, &self.watch, &self.label, &self.signal, &self.refused];
        let shown: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        plain(&shown.join("  ")) + "\n"
    }
}
