//! The revocation list of the member's own CA.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{MAX_CONFIG_BYTES, client_ca, read_request, rewrite};
use crate::alliance::folder::{Access, MemberFolder, read_public, replace};
use crate::cli::Environment;
use crate::cli::arguments::RevokeArguments;
use crate::cli::failure::Failure;
use crate::cli::issued::{IssuedCertificates, MAX_PEM_BYTES, certificate_of, list_before};
use crate::cli::output::{Printer, Show, facts};
use crate::config::NodeConfig;
use crate::domain::ClientName;
use crate::rpc::identity::{CertificateSerial, Identity};
use crate::rpc::tls::TrustAnchors;

pub(super) fn run(arguments: &RevokeArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let request = read_request(&home)?;
    let ca = client_ca(&home, &request)?;
    let serials = match &arguments.name {
        Some(name) => certificates_of(&home, name)?,
        None => Vec::new(),
    };
    let path = home.client_crl();
    let list = ca.revoke(list_before(&path)?.as_deref(), &serials, environment.now())?;
    replace(&path, &list, Access::Public)?;
    let renew_before = TrustAnchors { ca: ca.certificate().to_owned(), crls: vec![list] }.revocations()?.next_update;
    let node_toml = home.node_toml();
    let named = name_list(&node_toml, &path, environment)?;
    printer.show(&Revoked {
        client: arguments.name.as_ref().map(ToString::to_string),
        revoked: serials.len(),
        list: path.clone(),
        renew_before: renew_before.map(|time| time.to_string()),
        named,
    })?;
    if named {
        printer.note("It is in force once the node reloads: send it SIGHUP, as `kill -HUP` or `systemctl reload` does.");
    } else {
        printer.note(format_args!(
            "{} names other lists for clients; add {} to them, and have the node reload.",
            node_toml.display(),
            path.display()
        ));
    }
    Ok(())
}

/// All certificates that the client `name` was given, one that was made before they were kept included.
fn certificates_of(home: &MemberFolder, name: &ClientName) -> Result<Vec<CertificateSerial>, Failure> {
    let is_of = |identity: &Identity| matches!(identity, Identity::Client { name: holder, .. } if holder == name);
    let mut serials = IssuedCertificates::of(home.path()).serials(is_of)?;
    let newest = home.path().join("clients").join(name.as_str()).join("client.pem");
    if newest.exists() {
        let newest = certificate_of(&read_public(&newest, MAX_PEM_BYTES)?)?;
        serials.extend((is_of(&newest.identity) && !serials.contains(&newest.serial)).then_some(newest.serial));
    }
    if serials.is_empty() {
        let failure = Failure::new("CLIENT_UNKNOWN", format!("no certificate of a client {name} was made in this folder"));
        return Err(failure.advise("give a name as node.toml has it below [[clients.access]]"));
    }
    Ok(serials)
}

/// Has `node.toml` name the list where it names none for clients. Whether it names this one then.
fn name_list(node_toml: &Path, list: &Path, environment: &Environment) -> Result<bool, Failure> {
    let named = NodeConfig::load(node_toml, &environment.variables)?.config.clients.crl;
    if !named.is_empty() {
        let here = fs::canonicalize(list).ok();
        return Ok(named.iter().any(|other| fs::canonicalize(other).ok() == here));
    }
    let old = read_public(node_toml, MAX_CONFIG_BYTES)?;
    let line = "crl = [\"client-crl.pem\"]\n";
    let new: String = old
        .split_inclusive('\n')
        .map(|old| if old.trim() == "[clients]" { format!("{}\n{line}", old.trim_end()) } else { old.to_owned() })
        .collect();
    rewrite(node_toml, &old, &new, &format!("[clients]\n{line}"), environment)?;
    Ok(true)
}

/// What was revoked. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Revoked {
    client: Option<String>,
    revoked: usize,
    list: PathBuf,
    /// When the list wants to be signed anew, RFC 3339.
    renew_before: Option<String>,
    named: bool,
}

impl Show for Revoked {
    fn table(&self) -> String {
        let client = self.client.clone().map(|client| [("client", client), ("revoked", self.revoked.to_string())]);
        facts(client.into_iter().flatten().chain([
            ("list", self.list.display().to_string()),
            ("renew before", self.renew_before.clone().unwrap_or_default()),
        ]))
    }
}
