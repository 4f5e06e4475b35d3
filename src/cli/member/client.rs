//! Certificates of the member's clients.

use std::path::PathBuf;

use serde::Serialize;

use super::{Edit, MAX_CONFIG_BYTES, client_ca, files, read_request};
use crate::alliance::folder::{Access, MemberFolder, create_private_folder, read_public, replace, write_new};
use crate::alliance::{ClientCa, JoinRequest};
use crate::cli::Environment;
use crate::cli::arguments::ClientArguments;
use crate::cli::failure::Failure;
use crate::cli::issued::{IssuedCertificates, MAX_PEM_BYTES};
use crate::cli::output::{Printer, Show, facts};
use crate::config::{Address, NodeConfig, NodeName};
use crate::domain::{ClientName, Role};

pub(super) fn run(arguments: &ClientArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let request = read_request(&home)?;
    let ca = client_ca(&home, &request)?;
    let node_toml = home.node_toml();
    let node = NodeConfig::load(&node_toml, &environment.variables)?;
    let address = match &arguments.address {
        Some(address) => address.clone(),
        None => node.config.clients.listen.to_string().parse()?,
    };
    let name = &arguments.name;
    let folder = client_folder(&home, name);
    if folder.join("client.key").exists() && !arguments.renew {
        let failure =
            Failure::new("FILE_EXISTS", format!("the client {name} has a key and a certificate in {}", folder.display()));
        return Err(failure.advise("add --renew to make others in their place"));
    }
    let held = node.config.clients.access.0.get(name);
    let roles = match held {
        Some(grant) if arguments.roles.is_empty() => grant.roles.clone(),
        None if arguments.roles.is_empty() => {
            let failure = Failure::new("CLIENT_UNKNOWN", format!("{} names no client {name}", node_toml.display()));
            return Err(failure.advise("give its roles"));
        }
        Some(_) | None => arguments.roles.iter().copied().collect(),
    };
    let granted = held.is_none();
    let as_said = held.is_some_and(|grant| grant.roles == roles);
    let roles: Vec<Role> = roles.into_iter().collect();
    let lines = files::access(name, &roles);
    // First, because it can fail by what people wrote: a client that has no certificate yet does no harm.
    if granted {
        let old = read_public(&node_toml, MAX_CONFIG_BYTES)?;
        let new = format!("{}\n\n{lines}", old.trim_end());
        let edit = Edit { path: &node_toml, new: &new, lines: &lines };
        edit.make(environment, |config| config.clients.access.0.contains_key(name))?;
    }
    let issuance = if arguments.renew { Issuance::Another } else { Issuance::First };
    let issued = issue(&home, &ca, name, address, issuance, &request, environment)?;
    printer.show(&Issued {
        client: name.to_string(),
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
    } else if !as_said {
        printer.note(format_args!("{} names this client already; see that it reads:\n{lines}", node_toml.display()));
    }
    printer.note(format_args!("Give {} to the client; it holds a private key.", issued.folder.display()));
    Ok(())
}

/// Which certificate of a client it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Issuance {
    /// Its first one.
    First,
    /// Another one in the place of that.
    Another,
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

/// Makes the folder `clients/<name>` with key, certificate, the alliance's CA and client.toml. Another certificate takes the place of
/// the one before in it, and leaves a client.toml as it is.
///
/// # Errors
/// Where there is one already, and another one was not asked for.
pub(super) fn issue(
    home: &MemberFolder,
    ca: &ClientCa,
    name: &ClientName,
    address: Address,
    issuance: Issuance,
    request: &JoinRequest,
    environment: &Environment,
) -> Result<IssuedClient, Failure> {
    let folder = client_folder(home, name);
    let (issued, chain) = (IssuedCertificates::of(home.path()), folder.join("client.pem"));
    let write = match issuance {
        Issuance::First => write_new,
        Issuance::Another => {
            // One that was made before they were kept.
            if chain.exists() {
                issued.keep(&read_public(&chain, MAX_PEM_BYTES)?)?;
            }
            replace
        }
    };
    let credentials = ca.issue_client(name, environment.now(), environment.entropy.as_ref())?;
    issued.keep(&credentials.chain)?;
    create_private_folder(&folder)?;
    write(&folder.join("client.key"), &credentials.key, Access::Private)?;
    write(&chain, &credentials.chain, Access::Public)?;
    replace(&folder.join("alliance-ca.pem"), &read_public(&home.alliance_ca(), MAX_PEM_BYTES)?, Access::Public)?;
    let server = NodeName { member: request.member.clone(), alliance: request.alliance.clone() };
    let until = credentials.certificate()?.not_after.to_string();
    let issued = IssuedClient { folder, until, server, address };
    let settings = issued.folder.join("client.toml");
    if issuance == Issuance::First || !settings.exists() {
        write_new(&settings, &issued.settings(""), Access::Public)?;
    }
    Ok(issued)
}

/// Where a client's key and certificate are made.
pub(super) fn client_folder(home: &MemberFolder, name: &ClientName) -> PathBuf {
    home.path().join("clients").join(name.as_str())
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
