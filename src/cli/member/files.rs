//! The texts of the configuration files that the ceremonies write. Their paths are relative, so that a folder can be moved.

use std::net::SocketAddr;

use crate::alliance::JoinRequest;
use crate::cli::alliance::{clients_beside, listener};
use crate::cli::failure::Failure;
use crate::config::{Address, NodeName};
use crate::domain::{ClientName, FeedKey, Role};

/// Where the clients of the node that `request` describes dial in.
///
/// # Errors
/// Where its address leaves no room for it.
pub(super) fn clients_listen(request: &JoinRequest) -> Result<SocketAddr, Failure> {
    clients_beside(listener(&request.address)?)
}

/// The node's configuration; every name in it is of characters that TOML leaves alone.
///
/// # Errors
/// As [`clients_listen`].
pub(super) fn node_toml(request: &JoinRequest, secretariat: &FeedKey, operator: &ClientName) -> Result<String, Failure> {
    let (peers, clients) = (listener(&request.address)?, clients_listen(request)?);
    let JoinRequest { alliance, member, .. } = request;
    let secretariat_key = String::from(*secretariat);
    let access = access(operator, Role::ALL);
    Ok(format!(
        r#"# The node of {member} in {alliance}. Paths are seen from the folder of this file; what is left out holds by default.
# `countermark config check` shows what will hold.

[node]
alliance = "{alliance}"
member = "{member}"
data_dir = "data"

[peers]
listen = "{peers}"
certificate = "node.pem"
key = "node.key"
ca = "alliance-ca.pem"

[clients]
listen = "{clients}"
ca = "client-ca.pem"

[roster]
file = "roster.note"
secretariat_key = "{secretariat_key}"

[keys]
feed_key = "feed.key"
local_secret = "local.secret"
pseudonym_keys = "keys"

{access}"#
    ))
}

/// The lines of node.toml by which `client` has `roles`.
pub(super) fn access(client: &ClientName, roles: &[Role]) -> String {
    let roles: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
    format!("[[clients.access]]\nname = \"{client}\"\nroles = [{}]\n", roles.join(", "))
}

/// A client's configuration; its own files lie at `prefix`.
pub(super) fn client_toml(address: &Address, server: &NodeName, prefix: &str) -> String {
    format!(
        r#"[client]
address = "{address}"
server_name = "{server}"
certificate = "{prefix}client.pem"
key = "{prefix}client.key"
ca = "{prefix}alliance-ca.pem"
"#
    )
}
