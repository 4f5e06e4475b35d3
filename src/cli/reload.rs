//! `reload`.

use clap::Args;
use serde::Serialize;

use super::Environment;
use super::arguments::NodeArguments;
use super::connection::Node;
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, facts};
use crate::rpc::proto::ReloadRequest;
use crate::rpc::proto::node_service_client::NodeServiceClient;

const RELOAD_HELP: &str = "\
What takes hold: certificates, revocation lists, roles, the roster's file, the log's level. Connections that lost their right are closed.
Where anything is wrong nothing changes, and the error says what. Needs the role admin.

JSON: {reloaded}.";

#[derive(Args)]
#[command(after_help = RELOAD_HELP)]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    node: NodeArguments,
}

/// What came of it. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Reloaded {
    reloaded: bool,
}

impl Show for Reloaded {
    fn table(&self) -> String {
        facts([("outcome", "configuration and files were read again and are in force".to_owned())])
    }
}

pub(super) async fn run(
    arguments: &ReloadArguments,
    environment: &Environment,
    printer: &mut Printer,
) -> Result<Outcome, Failure> {
    let node = Node::reach(arguments.node.config.as_deref(), environment).await?;
    NodeServiceClient::new(node.channel).reload(ReloadRequest {}).await?;
    printer.show(&Reloaded { reloaded: true })?;
    Ok(Outcome::Done)
}
