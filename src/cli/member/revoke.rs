//! The revocation list of the member's own CA.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::client::client_folder;
use super::{Edit, MAX_CONFIG_BYTES, client_ca, read_request};
use crate::alliance::folder::{MemberFolder, read_public};
use crate::cli::Environment;
use crate::cli::arguments::RevokeArguments;
use crate::cli::failure::Failure;
use crate::cli::issued::{IssuedCertificates, MAX_PEM_BYTES, RevocationList};
use crate::cli::output::{Printer, Show};
use crate::config::NodeConfig;
use crate::domain::ClientName;
use crate::rpc::identity::{CertificateSerial, Identity};

pub(super) fn run(arguments: &RevokeArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let request = read_request(&home)?;
    let ca = client_ca(&home, &request)?;
    let issued = IssuedCertificates::of(home.path());
    let serials = match &arguments.name {
        Some(name) => certificates_of(&home, &issued, name)?,
        None => Vec::new(),
    };
    let now = environment.now();
    let of_ca = (&issued, ca.certificate());
    let signed = RevocationList::extend(home.client_crl(), of_ca, &serials, |before, serials| ca.revoke(before, serials, now))?;
    let (node_toml, list) = (home.node_toml(), signed.list.clone());
    let named = name_list(&node_toml, &list, environment)?;
    printer.show(&Revoked { client: arguments.name.clone(), signed, named })?;
    check_lists(&node_toml, environment)?;
    if named {
        printer.note(
            "It is in force once the node reloads: send it SIGHUP, as `kill -HUP` or `systemctl reload` does. `countermark status` shows \
             until when the list is good.",
        );
    } else {
        printer.note(format_args!(
            "{} names other lists for clients. Add {} to them, or where one is of this CA, name it in that one's place once it revokes the \
             same clients; then have the node reload.",
            node_toml.display(),
            list.display()
        ));
    }
    Ok(())
}

/// All certificates that the client `name` was given, one that was made before they were kept included.
fn certificates_of(
    home: &MemberFolder,
    issued: &IssuedCertificates,
    name: &ClientName,
) -> Result<Vec<CertificateSerial>, Failure> {
    let newest = client_folder(home, name).join("client.pem");
    if newest.exists() {
        issued.keep(&read_public(&newest, MAX_PEM_BYTES)?)?;
    }
    let serials = issued.serials(|identity| matches!(identity, Identity::Client { name: holder, .. } if holder == name))?;
    if serials.is_empty() {
        let failure = Failure::new("CLIENT_UNKNOWN", format!("no certificate of a client {name} was made in this folder"));
        return Err(failure.advise("give a name as node.toml has it below [[clients.access]]"));
    }
    Ok(serials)
}

/// Whether the node can take the lists that `node.toml` names now: with two of one CA, say, it would go on with what it has.
fn check_lists(node_toml: &Path, environment: &Environment) -> Result<(), Failure> {
    let taken = NodeConfig::load(node_toml, &environment.variables)?.check_clients();
    let advice = format!("change crl in [clients] of {}, or the node will not take the list", node_toml.display());
    taken.map_err(|error| Failure::from(error).advise(advice))
}

/// Has `node.toml` name the list where it names none for clients. Whether it names this one then.
fn name_list(node_toml: &Path, list: &Path, environment: &Environment) -> Result<bool, Failure> {
    let here = fs::canonicalize(list).ok();
    let is_here = |named: &PathBuf| fs::canonicalize(named).ok() == here;
    let named = NodeConfig::load(node_toml, &environment.variables)?.config.clients.crl;
    if !named.is_empty() {
        return Ok(named.iter().any(is_here));
    }
    let old = read_public(node_toml, MAX_CONFIG_BYTES)?;
    let naming = "crl = [\"client-crl.pem\"]";
    let is_head = |line: &str| line.split('#').next().is_some_and(|text| text.replace(' ', "").trim() == "[clients]");
    let lines = |line: &str| if is_head(line) { format!("{line}\n{naming}\n") } else { format!("{line}\n") };
    let new: String = old.lines().map(lines).collect();
    let edit = Edit { path: node_toml, new: &new, lines: &format!("[clients]\n{naming}") };
    edit.make(environment, |config| config.clients.crl.iter().any(is_here))?;
    Ok(true)
}

/// What was revoked. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Revoked {
    client: Option<ClientName>,
    #[serde(flatten)]
    signed: RevocationList,
    named: bool,
}

impl Show for Revoked {
    fn table(&self) -> String {
        self.signed.rows(self.client.as_ref().map(|client| ("client", client.to_string())))
    }
}
