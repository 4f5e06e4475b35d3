//! The texts of the configuration files that the ceremonies write. Their paths are relative, so that a folder can be moved; but for the
//! store of a node that the system runs.

use std::net::SocketAddr;
use std::path::Path;

use crate::alliance::JoinRequest;
use crate::cli::alliance::{clients_beside, listener};
use crate::cli::failure::Failure;
use crate::config::{Address, NodeName, SYSTEM_DATA_DIR, SYSTEM_FOLDER};
use crate::domain::{ClientName, FeedKey, Role};

/// Where the clients of the node that `request` describes dial in.
///
/// # Errors
/// Where its address leaves no room for it.
pub(super) fn clients_listen(request: &JoinRequest) -> Result<SocketAddr, Failure> {
    clients_beside(listener(&request.address)?)
}

/// Where the store of the node in `home` lies: beside the rest. Of the folder that a service has, it lies where systems keep what
/// changes: to a service /etc is not to be written to.
fn data_dir(home: &Path) -> &'static str {
    if home == Path::new(SYSTEM_FOLDER) { SYSTEM_DATA_DIR } else { "data" }
}

/// The configuration of the node in `home`; every name in it is of characters that TOML leaves alone.
///
/// # Errors
/// As [`clients_listen`].
pub(super) fn node_toml(
    home: &Path,
    request: &JoinRequest,
    secretariat: &FeedKey,
    operator: &ClientName,
) -> Result<String, Failure> {
    let data_dir = data_dir(home);
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
data_dir = "{data_dir}"

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_of_a_service_is_not_in_etc() {
        assert_eq!(data_dir(Path::new("/etc/countermark/")), "/var/lib/countermark");
        assert_eq!(data_dir(Path::new("countermark")), "data");
    }
}
