use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::input;
use crate::cli::output::{Printer, Show, facts};
use crate::domain::{DisputeGround, SignalRef};
use crate::rpc::proto::case_service_client::CaseServiceClient;
use crate::rpc::proto::{GiveOpinionRequest, Stance};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum View {
    /// On evidence of one's own.
    Agree,
    /// Makes the signal disputed in answers; with a reason.
    Disagree,
    /// Takes an earlier opinion back.
    None,
}

const OPINION_HELP: &str = "\
The newest opinion of a member about a signal holds. Nobody has one about a signal of its own.

JSON: {signal, opinion}; opinion is empty where the same was said before.";

#[derive(Args)]
#[command(after_long_help = OPINION_HELP)]
pub(in crate::cli) struct OpinionArguments {
    /// Another member's signal, as member/audience/sequence.
    #[arg(long, value_name = "SIGNAL")]
    signal: SignalRef,
    /// What this member thinks of it.
    #[arg(long, value_enum)]
    stance: View,
    /// Own evidence, with agreement: kind[:grade][:sha256]. May be repeated.
    #[arg(long)]
    evidence: Vec<String>,
    /// Why, with disagreement: genuine_goods, licensed, mistaken_identity, stolen_identity, no_right or other.
    #[arg(long)]
    reason: Option<DisputeGround>,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn opinion(
    arguments: OpinionArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let stance = match arguments.stance {
        View::Agree => Stance::Agree,
        View::Disagree => Stance::Disagree,
        View::None => Stance::None,
    };
    let request = GiveOpinionRequest {
        signal: arguments.signal.to_string(),
        stance: stance.into(),
        evidence: input::evidence_of(&arguments.evidence).map_err(|error| Failure::usage(error.to_string()))?,
        reason: arguments.reason.map_or(0, DisputeGround::number),
    };
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let given = CaseServiceClient::new(node.channel).give_opinion(request).await?.into_inner();
    printer.show(&Given { signal: arguments.signal.to_string(), opinion: given.opinion })?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Given {
    signal: String,
    opinion: String,
}

impl Show for Given {
    fn table(&self) -> String {
        let opinion = if self.opinion.is_empty() { "said before" } else { &self.opinion };
        facts([("signal", self.signal.clone()), ("opinion", opinion.to_owned())])
    }
}
