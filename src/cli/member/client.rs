//! Certificates of the member's clients.

use std::path::PathBuf;

use serde::Serialize;

use super::{files, read_request};
use crate::alliance::folder::{Access, MemberFolder, create_private_folder, read_public, read_secret, replace, write_new};
use crate::alliance::{ClientCa, JoinRequest};
use crate::cli::Environment;
use crate::cli::arguments::ClientArguments;
use crate::cli::failure::Failure;
use crate::cli::output::{Printer, Show, facts};
use crate::config::{Address, NodeConfig, NodeName};
use crate::domain::{ClientName, Role};

const MAX_PEM_BYTES: u64 = 256 * 1_024;
const MAX_CONFIG_BYTES: u64 = 4 * 1_024 * 1_024;

pub(super) fn run(arguments: &ClientArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let request = read_request(&home)?;
    let ca = ClientCa::load(
        request.alliance.clone(),
        request.member.clone(),
        read_public(&home.client_ca(), MAX_PEM_BYTES)?,
        read_secret(&home.client_ca_key())?,
    )?;
    let node_toml = home.path().join("node.toml");
    let node = NodeConfig::load(&node_toml, &environment.variables)?;
    let address = match &arguments.address {
        Some(address) => address.clone(),
        None => node.config.clients.listen.to_string().parse()?,
    };
    let issued = issue(&home, &ca, &arguments.name, address, &request, environment)?;
    let mut roles = arguments.roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let lines = files::access(&arguments.name, &roles);
    let granted = grant(&node_toml, &node.config, &arguments.name, &lines, environment)?;
    printer.show(&Issued {
        client: arguments.name.to_string(),
        folder: issued.folder.clone(),
        roles,
        until: issued.until.clone(),
        granted,
    })?;
    if granted {
        printer.note(format_args!(
            "{} grants these roles once the node reloads: send it SIGHUP, as `kill -HUP` or `systemctl reload` does.",
            node_toml.display()
        ));
    } else {
        printer.note(format_args!("{} names this client already; see that it reads:\n{lines}", node_toml.display()));
    }
    printer.note(format_args!("Give {} to the client; it holds a private key.", issued.folder.display()));
    Ok(())
}

/// Appends the client to the node's configuration, unless it stands there. A result that would not load is not written.
fn grant(
    path: &std::path::Path,
    config: &NodeConfig,
    name: &ClientName,
    lines: &str,
    environment: &Environment,
) -> Result<bool, Failure> {
    if config.clients.access.0.contains_key(name) {
        return Ok(false);
    }
    let old = read_public(path, MAX_CONFIG_BYTES)?;
    replace(path, &format!("{}\n\n{lines}", old.trim_end()), Access::Public)?;
    if let Err(error) = NodeConfig::load(path, &environment.variables) {
        replace(path, &old, Access::Public)?;
        return Err(Failure::from(error).advise(format!("add to it by hand:\n{lines}")));
    }
    Ok(true)
}

/// A client's certificate with all that it needs, in a folder of its own.
pub(super) struct IssuedClient {
    pub(super) folder: PathBuf,
    until: String,
    server: NodeName,
    address: Address,
}

impl IssuedClient {
    /// The client's configuration, whose files lie at `prefix`.
    pub(super) fn settings(&self, prefix: &str) -> String {
        files::client_toml(&self.address, &self.server, prefix)
    }
}

/// Makes the folder `clients/<name>` with key, certificate, the alliance's CA and client.toml.
///
/// # Errors
/// Where there is one already.
pub(super) fn issue(
    home: &MemberFolder,
    ca: &ClientCa,
    name: &ClientName,
    address: Address,
    request: &JoinRequest,
    environment: &Environment,
) -> Result<IssuedClient, Failure> {
    let folder = home.path().join("clients").join(name.as_str());
    let credentials = ca.issue_client(name, environment.now(), environment.entropy.as_ref())?;
    create_private_folder(&folder)?;
    write_new(&folder.join("client.key"), &credentials.key, Access::Private)?;
    write_new(&folder.join("client.pem"), &credentials.chain, Access::Public)?;
    replace(&folder.join("alliance-ca.pem"), &read_public(&home.alliance_ca(), MAX_PEM_BYTES)?, Access::Public)?;
    let server = NodeName { member: request.member.clone(), alliance: request.alliance.clone() };
    let until = credentials.certificate()?.not_after.to_string();
    let issued = IssuedClient { folder, until, server, address };
    write_new(&issued.folder.join("client.toml"), &issued.settings(""), Access::Public)?;
    Ok(issued)
}

/// What was made. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Issued {
    client: String,
    folder: PathBuf,
    roles: Vec<Role>,
    until: String,
    /// Whether node.toml grants the roles now; false where it named the client before.
    granted: bool,
}

impl Show for Issued {
    fn table(&self) -> String {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        facts([
            ("client", self.client.clone()),
            ("folder", self.folder.display().to_string()),
            ("roles", roles.join(", ")),
            ("certificate", format!("good until {}", self.until)),
        ])
    }
}
