use clap::Args;
use serde::Serialize;

use super::OwnEntry;
use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::input;
use crate::cli::output::{Printer, Show, facts};
use crate::domain::{Action, AnswerStep, GoodsState, ReferralStage};
use crate::rpc::proto::amend_signal_request::Target;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{AmendSignalRequest, Change};

const AMEND_HELP: &str = "\
Adds to one signal of this member. What it said before stays readable (`countermark signal`), and what is added stands at every
member. `--step seller-notified` gives the seller the working days of the alliance's policy to answer; `--step unrefuted`, when
they are over without a dispute, confirms a signal with substantial evidence.

JSON: {signal, amendment}.";

#[derive(Args)]
#[command(after_long_help = AMEND_HELP)]
pub(in crate::cli) struct AmendArguments {
    #[command(flatten)]
    entry: OwnEntry,
    /// kind[:grade][:sha256], as with `submit`. May be repeated.
    #[arg(long)]
    evidence: Vec<String>,
    /// listing_removed, store_closed, ... May be repeated.
    #[arg(long = "action", value_name = "ACTION")]
    actions: Vec<Action>,
    /// What the goods are worth, as decimal number; takes --currency.
    #[arg(long, requires = "currency")]
    amount: Option<String>,
    /// Three letters of ISO 4217.
    #[arg(long, requires = "amount")]
    currency: Option<String>,
    /// Number of pieces.
    #[arg(long)]
    count: Option<u64>,
    /// What the goods are known by among members, such as the number of a seizure.
    #[arg(long, value_name = "TEXT")]
    goods_reference: Option<String>,
    /// What had become of the goods: sold or unsold.
    #[arg(long, value_name = "STATE")]
    goods_state: Option<GoodsState>,
    /// Day of the action, YYYY-MM-DD.
    #[arg(long, value_name = "DAY")]
    acted_on: Option<String>,
    /// seller-notified or unrefuted.
    #[arg(long)]
    step: Option<AnswerStep>,
    /// What came of a referral: referred, accepted, not-accepted, arrested, convicted or acquitted.
    #[arg(long)]
    outcome: Option<ReferralStage>,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn amend(
    arguments: AmendArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let usage = |error: crate::domain::FieldError| Failure::usage(error.to_string());
    let (amount, currency) = (arguments.amount.as_deref(), arguments.currency.as_deref());
    let (count, reference, state) = (arguments.count, arguments.goods_reference.as_deref(), arguments.goods_state);
    let goods = input::goods_value(amount, currency, count, reference, state);
    let change = Change {
        evidence: input::evidence_of(&arguments.evidence).map_err(usage)?,
        actions: arguments.actions.iter().map(|action| action.number()).collect(),
        goods_value: goods.map_err(usage)?,
        acted_on: arguments.acted_on.unwrap_or_default(),
        step: arguments.step.map_or(0, AnswerStep::number),
        outcome: arguments.outcome.map_or(0, ReferralStage::number),
    };
    let (target, audience) = arguments.entry.target(Target::Signal, Target::SubmissionId);
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = AmendSignalRequest { target, audience, change: Some(change) };
    let amended = SignalServiceClient::new(node.channel).amend_signal(request).await?.into_inner();
    printer.show(&Amended { signal: amended.signal, amendment: amended.amendment })?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Amended {
    signal: String,
    amendment: String,
}

impl Show for Amended {
    fn table(&self) -> String {
        facts([("amended", self.signal.clone()), ("amendment", self.amendment.clone())])
    }
}
