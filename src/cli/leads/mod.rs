//! `leads`: rings whose goods are worth a prosecutor's time, and what became of them.

mod bundle;

pub(super) use bundle::{verified, verify_bundle};

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tonic::transport::Channel;

use super::Environment;
use super::arguments::NodeArguments;
use super::connection::{Node, page_size};
use super::failure::{Failure, Outcome};
use super::goods::{Goods, money};
use super::output::{Printer, Show, counted, facts, plain, table};
use super::statement::Value;
use super::thresholds::{Measured, ThresholdArguments};
use super::words;
use crate::domain::{ReferralStage, Region, Sentence, SignalRef};
use crate::rpc::proto::lead_service_client::LeadServiceClient;
use crate::rpc::proto::{
    self, ExportLeadRequest, FindLeadsRequest, GetFunnelRequest, GetLeadRequest, ListLeadsRequest, OpenLeadRequest,
    RecordLeadRequest,
};

const LEADS_HELP: &str = "\
Without a command: the leads of all members with which somebody has to do something yet, and how many came how far, overall and by
region.

JSON: {leads: [{lead, stage, open, region, authority, goods_value, signals: [{signal, status}], steps: [{entry, stage, recorded_at,
happened_on, region, authority, sentence}], overlaps}], funnel: {overall: {region, identified, referred, accepted, arrested,
convicted, open}, by_region: [...]}}.";

#[derive(Args)]
#[command(after_long_help = LEADS_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct LeadsArguments {
    #[command(subcommand)]
    command: Option<LeadsCommand>,
    /// Those that have ended, too.
    #[arg(long)]
    all: bool,
    /// This member's only.
    #[arg(long)]
    own: bool,
    /// Only those in this country or subdivision, such as CN or CN-GD.
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Subcommand)]
enum LeadsCommand {
    /// Look for rings whose goods meet a threshold.
    Find(FindArguments),
    /// Open a lead on the ring around a signal's seller: its audience sees that this member follows it.
    Open(OpenArguments),
    /// One lead, step by step.
    Show(ShowArguments),
    /// Say what became of an own lead.
    Record(RecordArguments),
    /// Write a lead into a file that an authority can verify by itself.
    Export(ExportArguments),
}

const FIND_HELP: &str = "\
Goes through all signals that this node holds. It looks from each one that states an amount. A ring is told of
once; of one of which --depth or --sellers leaves a part out (cut) each part is, as it is seen from such a signal, and what only
the whole of it would meet may be missed: look again with more. `leads` names the leads that follow it already, at most 64.

JSON, an object a line: {signal, sellers, signals, members, regions, cut, goods, thresholds: [{threshold, met, total_minor,
needed_minor, currency, marks, needed_marks}], leads}.";

#[derive(Args)]
#[command(after_long_help = FIND_HELP)]
struct FindArguments {
    #[command(flatten)]
    thresholds: ThresholdArguments,
    /// How many links to go, 1 to 8.
    #[arg(long, value_name = "LINKS", default_value_t = 4)]
    depth: u32,
    /// How many sellers at most, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    sellers: u32,
    #[command(flatten)]
    node: NodeArguments,
}

const OPEN_HELP: &str = "\
The lead rests on the ring as far as the signal's audience knows it, at most 64 signals, those that state an amount first. Opening it
again while it is open gives the same lead.

JSON: as of one lead of `countermark leads`.";

#[derive(Args)]
#[command(after_long_help = OPEN_HELP)]
struct OpenArguments {
    /// A signal of the ring, as member/audience/sequence.
    #[arg(value_name = "SIGNAL")]
    signal: SignalRef,
    /// How many links to go, 1 to 8.
    #[arg(long, value_name = "LINKS", default_value_t = 4)]
    depth: u32,
    /// How many sellers at most, 1 to 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    sellers: u32,
    /// Country or subdivision whose authorities it is for; where most of the signals were seen, if it is left out.
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    #[command(flatten)]
    node: NodeArguments,
}

const SHOW_HELP: &str = "\
JSON: as of one lead of `countermark leads`.";

#[derive(Args)]
#[command(after_long_help = SHOW_HELP)]
struct ShowArguments {
    /// The lead, as it is listed; or a signal that an own one rests on.
    #[arg(value_name = "LEAD")]
    lead: SignalRef,
    #[command(flatten)]
    node: NodeArguments,
}

const RECORD_HELP: &str = "\
From identified a lead comes to referred; from referred to accepted or not-accepted; from not-accepted to referred again; from
accepted to arrested, convicted or acquitted, and from each of these three to each of them; and before a judgment to dropped. What
is referred are the signals that count at that time. A lead has 64 steps at most.

JSON: {lead, entry}.";

#[derive(Args)]
#[command(after_long_help = RECORD_HELP)]
struct RecordArguments {
    /// The lead, as it is listed; or a signal that an own one rests on.
    #[arg(value_name = "LEAD")]
    lead: SignalRef,
    /// referred, accepted, not-accepted, arrested, convicted, acquitted or dropped.
    #[arg(long)]
    stage: ReferralStage,
    /// Country or subdivision.
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// Which authority, at most 120 characters.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    authority: String,
    /// Of a conviction: fine, suspended, detention, imprisonment or other.
    #[arg(long)]
    sentence: Option<Sentence>,
    /// When it happened, YYYY-MM-DD; today if it is left out.
    #[arg(long = "on", value_name = "DAY", default_value = "", hide_default_value = true)]
    happened_on: String,
    #[command(flatten)]
    node: NodeArguments,
}

const EXPORT_HELP: &str = "\
The file has what the signals say, the digests of their evidence, which members to ask for it, what was said of the signals since, and
for each entry the proof that its member signed it. `countermark feed verify --bundle FILE --secretariat-key KEY` verifies all of it
without a node or the network. Give the authority the secretariat's key by another way than the file.

JSON: {lead, file, entries, cut}.";

#[derive(Args)]
#[command(after_long_help = EXPORT_HELP)]
struct ExportArguments {
    /// The lead, as it is listed; or a signal that an own one rests on.
    #[arg(value_name = "LEAD")]
    lead: SignalRef,
    /// Where to write it; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    node: NodeArguments,
}

type Client = LeadServiceClient<Channel>;

async fn reach(node: &NodeArguments, environment: &Environment) -> Result<Client, Failure> {
    Ok(LeadServiceClient::new(Node::reach(node.config.as_deref(), environment).await?.channel))
}

fn text(region: Option<&Region>) -> String {
    region.map(ToString::to_string).unwrap_or_default()
}

pub(super) async fn run(
    arguments: LeadsArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    match arguments.command {
        None => {
            let mut client = reach(&arguments.node, environment).await?;
            let leads = list(&mut client, &arguments).await?;
            let funnel = client.get_funnel(GetFunnelRequest { own_only: arguments.own }).await?.into_inner();
            printer.show(&Listing { leads, funnel: funnel.into() })?;
        }
        Some(LeadsCommand::Find(arguments)) => find(&arguments, environment, printer).await?,
        Some(LeadsCommand::Open(arguments)) => {
            let mut client = reach(&arguments.node, environment).await?;
            let (signal, region) = (arguments.signal.to_string(), text(arguments.region.as_ref()));
            let request = OpenLeadRequest { signal, depth: arguments.depth, max_sellers: arguments.sellers, region };
            let opened = client.open_lead(request).await?.into_inner();
            printer.show(&Lead::from(opened.lead.unwrap_or_default()))?;
            if !opened.created {
                printer.note("this member follows it already");
            }
        }
        Some(LeadsCommand::Show(arguments)) => {
            let mut client = reach(&arguments.node, environment).await?;
            let request = GetLeadRequest { lead: arguments.lead.to_string() };
            printer.show(&Lead::from(client.get_lead(request).await?.into_inner().lead.unwrap_or_default()))?;
        }
        Some(LeadsCommand::Record(arguments)) => record(arguments, environment, printer).await?,
        Some(LeadsCommand::Export(arguments)) => {
            let mut client = reach(&arguments.node, environment).await?;
            let request = ExportLeadRequest { lead: arguments.lead.to_string() };
            let parts = client.export_lead(request).await?.into_inner();
            printer.show(&bundle::write(parts, &arguments.out).await?)?;
        }
    }
    Ok(Outcome::Done)
}

async fn list(client: &mut Client, arguments: &LeadsArguments) -> Result<Vec<Lead>, Failure> {
    let (mut leads, mut after) = (Vec::new(), String::new());
    loop {
        let request = ListLeadsRequest {
            open_only: !arguments.all,
            own_only: arguments.own,
            region: text(arguments.region.as_ref()),
            after,
            page_size: page_size(),
        };
        let page = client.list_leads(request).await?.into_inner();
        leads.extend(page.leads.into_iter().map(Lead::from));
        if page.next.is_empty() {
            return Ok(leads);
        }
        after = page.next;
    }
}

async fn find(arguments: &FindArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let thresholds = arguments.thresholds.rules()?;
    if thresholds.is_empty() {
        return Err(Failure::usage("give the rules that goods are measured by with --thresholds"));
    }
    let mut client = reach(&arguments.node, environment).await?;
    let (mut from, mut found) = (String::new(), 0);
    loop {
        let (depth, max_sellers) = (arguments.depth, arguments.sellers);
        let request = FindLeadsRequest { thresholds: thresholds.clone(), from, depth, max_sellers };
        let page = client.find_leads(request).await?.into_inner();
        found += page.leads.len();
        page.leads.into_iter().try_for_each(|lead| printer.record(&Found::from(lead)))?;
        if page.next.is_empty() {
            printer.end_progress();
            if found == 0 {
                printer.note("no ring meets a threshold");
            }
            return Ok(());
        }
        from = page.next;
        printer.progress(|| format!("looked until {from}"));
    }
}

async fn record(arguments: RecordArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let mut client = reach(&arguments.node, environment).await?;
    let request = RecordLeadRequest {
        lead: arguments.lead.to_string(),
        stage: arguments.stage.number(),
        region: text(arguments.region.as_ref()),
        authority: arguments.authority,
        sentence: arguments.sentence.map_or(0, Sentence::number),
        happened_on: arguments.happened_on,
    };
    let recorded = client.record_lead(request).await?.into_inner();
    printer.show(&Recorded { lead: recorded.lead, entry: recorded.entry })
}

#[derive(Serialize)]
struct Recorded {
    lead: String,
    entry: String,
}

impl Show for Recorded {
    fn table(&self) -> String {
        facts([("lead", self.lead.clone()), ("recorded as", self.entry.clone())])
    }
}

/// What is listed. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Listing {
    leads: Vec<Lead>,
    funnel: Funnels,
}

#[derive(Serialize)]
struct Funnels {
    overall: Funnel,
    by_region: Vec<Funnel>,
}

#[derive(Serialize)]
struct Funnel {
    /// Empty overall, and where none is stated.
    region: String,
    identified: u32,
    referred: u32,
    accepted: u32,
    arrested: u32,
    convicted: u32,
    open: u32,
}

impl From<proto::GetFunnelResponse> for Funnels {
    fn from(funnels: proto::GetFunnelResponse) -> Self {
        let by_region = funnels.by_region.into_iter().map(Funnel::from).collect();
        Self { overall: funnels.overall.unwrap_or_default().into(), by_region }
    }
}

impl From<proto::Funnel> for Funnel {
    fn from(funnel: proto::Funnel) -> Self {
        let proto::Funnel { region, identified, referred, accepted, arrested, convicted, open } = funnel;
        Self { region, identified, referred, accepted, arrested, convicted, open }
    }
}

impl Funnel {
    fn row(&self, name: &str) -> Vec<String> {
        let counts = [self.identified, self.referred, self.accepted, self.arrested, self.convicted, self.open];
        std::iter::once(name.to_owned()).chain(counts.map(|count| count.to_string())).collect()
    }
}

/// A lead as it is printed. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Lead {
    lead: String,
    stage: &'static str,
    open: bool,
    region: String,
    authority: String,
    goods_value: Option<Value>,
    #[serde(skip)]
    worth: String,
    signals: Vec<LeadSignal>,
    steps: Vec<Step>,
    /// Other leads that rest on one of the signals.
    overlaps: Vec<String>,
}

#[derive(Serialize)]
struct LeadSignal {
    signal: String,
    /// unknown where this node cannot read it.
    status: &'static str,
}

#[derive(Serialize)]
struct Step {
    entry: String,
    stage: &'static str,
    recorded_at: Option<String>,
    /// Empty for the day on which it was recorded.
    happened_on: String,
    region: String,
    authority: String,
    /// Empty for none.
    sentence: &'static str,
}

impl From<proto::LeadRecord> for Lead {
    fn from(lead: proto::LeadRecord) -> Self {
        let signal = |signal: proto::LeadSignal| LeadSignal { signal: signal.signal, status: words::status(signal.status) };
        let worth = lead.goods_value.as_ref().map(|value| money(value.amount_minor, &value.currency)).unwrap_or_default();
        Self {
            lead: lead.lead,
            stage: words::stage(lead.stage),
            open: lead.open,
            region: lead.region,
            authority: lead.authority,
            goods_value: lead.goods_value.map(Value::from),
            worth,
            signals: lead.signals.into_iter().map(signal).collect(),
            steps: lead.steps.into_iter().map(Step::from).collect(),
            overlaps: lead.overlaps,
        }
    }
}

impl From<proto::LeadStep> for Step {
    fn from(step: proto::LeadStep) -> Self {
        Self {
            entry: step.entry,
            stage: words::stage(step.stage),
            recorded_at: words::instant(step.recorded_at_ms),
            happened_on: step.happened_on,
            region: step.region,
            authority: step.authority,
            sentence: if step.sentence == 0 { "" } else { words::sentence(step.sentence) },
        }
    }
}

impl Step {
    fn line(&self) -> String {
        let day = if self.happened_on.is_empty() { self.recorded_at.as_deref().unwrap_or_default() } else { &self.happened_on };
        let about = [self.sentence, self.authority.as_str(), self.region.as_str()];
        let about: Vec<&str> = about.into_iter().filter(|text| !text.is_empty()).collect();
        let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        plain(&format!("{}  {day}  {}{about}", self.entry, self.stage)) + "\n"
    }
}

impl Show for Lead {
    fn table(&self) -> String {
        let head = [
            ("lead", self.lead.clone()),
            ("stage", self.stage.to_owned()),
            ("region", self.region.clone()),
            ("authority", self.authority.clone()),
            ("goods", self.worth.clone()),
            ("also followed as", self.overlaps.join(", ")),
        ];
        let head = facts(head.into_iter().filter(|(_, value)| !value.is_empty()));
        let steps: String = self.steps.iter().map(Step::line).collect();
        let signals = self.signals.iter().map(|signal| plain(&format!("{}  {}", signal.signal, signal.status)) + "\n");
        format!("{head}\n{steps}\n{}", signals.collect::<String>())
    }
}

impl Show for Listing {
    fn table(&self) -> String {
        let row = |lead: &Lead| {
            let signals = counted(lead.signals.len() as u64, "signal");
            vec![lead.lead.clone(), lead.stage.to_owned(), lead.region.clone(), lead.worth.clone(), signals]
        };
        let leads = match self.leads.as_slice() {
            [] => "no leads\n".to_owned(),
            leads => table(&["lead", "stage", "region", "goods", "rests on"], leads.iter().map(row)),
        };
        let name = |funnel: &Funnel| if funnel.region.is_empty() { "no region".to_owned() } else { funnel.region.clone() };
        let by_region = self.funnel.by_region.iter().map(|funnel| funnel.row(&name(funnel)));
        let rows = std::iter::once(self.funnel.overall.row("overall")).chain(by_region);
        let head = ["", "identified", "referred", "accepted", "arrested", "convicted", "open"];
        format!("{leads}\n{}", table(&head, rows))
    }
}

/// A ring that meets a threshold. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Found {
    /// By it the lead can be opened.
    signal: String,
    sellers: u32,
    signals: u32,
    members: Vec<String>,
    regions: Vec<String>,
    /// There are more sellers than were asked for.
    cut: bool,
    goods: Goods,
    thresholds: Vec<Measured>,
    /// Leads that rest on one of the signals already.
    leads: Vec<String>,
}

impl From<proto::FoundLead> for Found {
    fn from(found: proto::FoundLead) -> Self {
        Self {
            signal: found.signal,
            sellers: found.sellers,
            signals: found.signals,
            members: found.members,
            regions: found.regions,
            cut: found.cut,
            goods: found.goods.unwrap_or_default().into(),
            thresholds: found.thresholds.into_iter().map(Measured::from).collect(),
            leads: found.leads,
        }
    }
}

impl Show for Found {
    fn table(&self) -> String {
        let more = if self.cut { " and more" } else { "" };
        let (sellers, signals) = (counted(self.sellers.into(), "seller"), counted(self.signals.into(), "signal"));
        let regions = if self.regions.is_empty() { String::new() } else { format!(", seen in {}", self.regions.join(", ")) };
        let members = self.members.join(", ");
        let head = plain(&format!("ring at {}: {sellers}{more}, {signals} of {members}{regions}", self.signal));
        let met = self.thresholds.iter().filter(|measured| measured.met).map(|measured| format!("  {}", measured.line()));
        let followed = if self.leads.is_empty() { String::new() } else { format!("  followed as {}\n", self.leads.join(", ")) };
        format!("{head}\n{}{followed}", met.collect::<String>())
    }
}
