use clap::Args;
use serde::Serialize;

use super::standing;
use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, facts};
use crate::cli::words;
use crate::domain::SignalRef;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{
    AmendmentRecord, Change, DisputeState, Evidence, GetSignalRequest, OpinionRecord, SignalRecord, Stance,
};

const SIGNAL_HELP: &str = "\
One signal that this node holds, its own or another member's, and all that was said of it since, with times.

JSON: {signal, status, recorded_at, kinds, infringement, evidence, actions, answer_until, retraction_reason, history: [{at, entry,
what}]}.";

#[derive(Args)]
#[command(after_long_help = SIGNAL_HELP)]
pub(in crate::cli) struct SignalArguments {
    /// The signal, as member/audience/sequence.
    #[arg(value_name = "SIGNAL")]
    signal: SignalRef,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn signal(
    arguments: SignalArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = GetSignalRequest { signal: arguments.signal.to_string() };
    let record = SignalServiceClient::new(node.channel).get_signal(request).await?.into_inner().record;
    printer.show(&Signal::of(record.unwrap_or_default()))?;
    Ok(Outcome::Done)
}

/// A signal as it is printed. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Signal {
    signal: String,
    status: &'static str,
    recorded_at: Option<String>,
    kinds: Vec<&'static str>,
    infringement: &'static str,
    evidence: Vec<String>,
    actions: Vec<&'static str>,
    /// Until when the seller may answer.
    answer_until: Option<String>,
    /// Empty where it was not retracted.
    retraction_reason: &'static str,
    history: Vec<Event>,
}

/// Something that was said of it, in order of time.
#[derive(Serialize)]
struct Event {
    #[serde(skip)]
    ms: i64,
    at: Option<String>,
    /// Entry or member that says it.
    entry: String,
    what: String,
}

impl Event {
    fn new(ms: i64, entry: String, what: String) -> Self {
        Self { ms, at: words::instant(ms), entry, what }
    }
}

impl Signal {
    fn of(record: SignalRecord) -> Self {
        let statement = record.statement.unwrap_or_default();
        let amendments = record.amendments.into_iter().map(amendment);
        let opinions = record.opinions.into_iter().map(opinion);
        let disputes = record.disputes.into_iter().map(dispute);
        let mut history: Vec<Event> = amendments.chain(opinions).chain(disputes).collect();
        history.sort_by_key(|event| event.ms);
        Self {
            signal: record.signal,
            status: words::status(record.status),
            recorded_at: words::instant(record.recorded_at_ms),
            kinds: record.kinds.iter().map(|kind| words::kind(*kind)).collect(),
            infringement: words::infringement(statement.infringement),
            evidence: pieces(&statement.evidence),
            actions: statement.actions.iter().map(|action| words::action(*action)).collect(),
            answer_until: words::instant(record.answer_until_ms),
            retraction_reason: if record.retraction_reason == 0 { "" } else { words::retraction(record.retraction_reason) },
            history,
        }
    }
}

fn pieces(evidence: &[Evidence]) -> Vec<String> {
    evidence.iter().map(|e| format!("{} ({})", words::evidence(e.kind), words::grade(e.grade))).collect()
}

fn amendment(amended: AmendmentRecord) -> Event {
    let Change { evidence, actions, goods_value, acted_on, step, outcome } = amended.change.unwrap_or_default();
    let mut said = pieces(&evidence);
    said.extend(actions.iter().map(|action| words::action(*action).to_owned()));
    said.extend(goods_value.map(|_| "goods' value".to_owned()));
    said.extend((!acted_on.is_empty()).then(|| format!("acted {acted_on}")));
    said.extend((step != 0).then(|| words::step(step).to_owned()));
    said.extend((outcome != 0).then(|| words::stage(outcome).to_owned()));
    Event::new(amended.recorded_at_ms, amended.amendment, format!("amended: {}", said.join(", ")))
}

fn opinion(opinion: OpinionRecord) -> Event {
    let what = match Stance::try_from(opinion.stance) {
        Ok(Stance::Agree) => format!("agrees: {}", pieces(&opinion.evidence).join(", ")),
        Ok(Stance::Disagree) => format!("disagrees: {}", words::ground(opinion.reason)),
        Ok(Stance::None | Stance::Unspecified) | Err(_) => "says nothing that this version knows".to_owned(),
    };
    Event::new(opinion.recorded_at_ms, opinion.member, what)
}

fn dispute(dispute: DisputeState) -> Event {
    let what = format!("disputed: {}", standing(&dispute));
    Event::new(dispute.opened_at_ms, dispute.dispute, what)
}

impl Show for Signal {
    fn table(&self) -> String {
        let status = match self.retraction_reason {
            "" => self.status.to_owned(),
            reason => format!("{} ({reason})", self.status),
        };
        let head = [
            ("signal", self.signal.clone()),
            ("status", status),
            ("recorded at", self.recorded_at.clone().unwrap_or_default()),
            ("names", self.kinds.join(", ")),
            ("infringement", self.infringement.to_owned()),
            ("evidence", self.evidence.join(", ")),
            ("actions", self.actions.join(", ")),
            ("answer until", self.answer_until.clone().unwrap_or_default()),
        ];
        let head = facts(head.into_iter().filter(|(_, value)| !value.is_empty()));
        let line = |event: &Event| format!("{}  {}  {}", event.at.as_deref().unwrap_or_default(), event.entry, event.what);
        let history: String = self.history.iter().map(|event| crate::cli::output::plain(&line(event)) + "\n").collect();
        if history.is_empty() { head } else { format!("{head}\n{history}") }
    }
}
