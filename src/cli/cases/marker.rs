use clap::Args;
use serde::Serialize;

use super::DocumentArguments;
use crate::cli::Environment;
use crate::cli::arguments::NodeArguments;
use crate::cli::check::SellerArguments;
use crate::cli::connection::Node;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, facts};
use crate::domain::{Audience, MarkerKind, MarkerReason, SignalRef};
use crate::rpc::proto::case_service_client::CaseServiceClient;
use crate::rpc::proto::{LiftMarkerRequest, MarkIdentifiersRequest};

const MARK_HELP: &str = "\
victim: the identifier was stolen or borrowed. From the moment the marker arrives it flags nobody and links nobody, at every member,
also in signals that are stored already. known-good: this member vouches for the seller. A marker holds for the days of the
alliance's policy, or those given, and counts as long as its member takes part. Identifiers never leave this node: the marker
holds pseudonyms.

JSON: {marker}; by it the marker is taken back (`countermark unmark`).";

#[derive(Args)]
#[command(after_long_help = MARK_HELP)]
pub(in crate::cli) struct MarkArguments {
    /// victim or known-good.
    #[arg(value_name = "KIND")]
    kind: MarkerKind,
    /// Of a victim stolen_licence, borrowed_identity, stolen_account or other; of the known good authorised_dealer, own_store or
    /// other.
    #[arg(long)]
    reason: MarkerReason,
    /// Who may read it: `all`, or a group of the roster.
    #[arg(long)]
    audience: Audience,
    #[command(flatten)]
    seller: SellerArguments,
    /// Country in which national phone numbers are read.
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
    /// Days that it holds, 1 to 3653.
    #[arg(long, value_name = "DAYS", default_value_t = 0, hide_default_value = true)]
    valid_days: u32,
    #[command(flatten)]
    documents: DocumentArguments,
    #[command(flatten)]
    node: NodeArguments,
}

#[derive(Args)]
pub(in crate::cli) struct UnmarkArguments {
    /// The marker, as member/audience/sequence.
    #[arg(value_name = "MARKER")]
    marker: SignalRef,
    #[command(flatten)]
    node: NodeArguments,
}

pub(in crate::cli) async fn mark(
    arguments: MarkArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let identifiers = arguments.seller.identifiers(arguments.region.as_deref().unwrap_or_default());
    if identifiers.is_empty() {
        return Err(Failure::usage("give the identifiers by flags, such as --business-licence"));
    }
    let request = MarkIdentifiersRequest {
        kind: arguments.kind.number(),
        audience: arguments.audience.to_string(),
        identifiers,
        reason: arguments.reason.number(),
        sha256: arguments.documents.digests()?,
        valid_days: arguments.valid_days,
    };
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let marked = CaseServiceClient::new(node.channel).mark_identifiers(request).await?.into_inner();
    printer.show(&Marked { marker: marked.marker })?;
    Ok(Outcome::Done)
}

pub(in crate::cli) async fn unmark(
    arguments: UnmarkArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    let request = LiftMarkerRequest { marker: arguments.marker.to_string() };
    CaseServiceClient::new(node.channel).lift_marker(request).await?;
    printer.show(&Marked { marker: arguments.marker.to_string() })?;
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Marked {
    marker: String,
}

impl Show for Marked {
    fn table(&self) -> String {
        facts([("marker", self.marker.clone())])
    }
}
