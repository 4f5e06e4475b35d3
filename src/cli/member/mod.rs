//! The member's side of the ceremonies, and the certificates of its clients.

mod accept;
mod client;
mod files;
mod revoke;

use std::fs;
use std::path::Path;

use serde::Serialize;

pub(super) use accept::take_in;

use super::Environment;
use super::arguments::{MemberCommand, RenewArguments, RequestArguments};
use super::failure::{Failure, Outcome};
use super::issued::MAX_PEM_BYTES;
use super::output::{Printer, Show, facts};
use crate::alliance::folder::{Access, FolderError, MemberFolder, read_public, read_secret, replace, write_new};
use crate::alliance::{Applicant, ClientCa, JoinRequest};
use crate::config::NodeConfig;

/// Bytes of a request: see its reader, which says more when it is longer than any good one.
const MAX_REQUEST_BYTES: u64 = 64 * 1_024;
/// Bytes of a node's configuration: of some ten thousand clients.
const MAX_CONFIG_BYTES: u64 = 4 * 1_024 * 1_024;

pub(super) fn run(command: MemberCommand, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    match command {
        MemberCommand::Request(arguments) => request(&arguments, environment, printer)?,
        MemberCommand::Accept(arguments) => accept::run(&arguments, environment, printer)?,
        MemberCommand::Client(arguments) => client::run(&arguments, environment, printer)?,
        MemberCommand::Revoke(arguments) => revoke::run(&arguments, environment, printer)?,
        MemberCommand::Renew(arguments) => renew(&arguments, printer)?,
    }
    Ok(Outcome::Done)
}

fn request(arguments: &RequestArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    if arguments.out.exists() {
        return Err(FolderError::Exists { path: arguments.out.clone() }.into());
    }
    let applicant = Applicant {
        alliance: arguments.alliance.clone(),
        member: arguments.id.clone(),
        kind: arguments.kind,
        name: arguments.name.clone(),
        address: arguments.address.clone(),
    };
    let (request, secrets) = JoinRequest::create(applicant, environment.now(), environment.entropy.as_ref())?;
    let text = request.to_json()?;
    MemberFolder::at(&arguments.folder).save_request(&text, &secrets)?;
    write_new(&arguments.out, &text, Access::Public)?;
    printer.show(&Requested::of(&request))?;
    printer.note(format_args!(
        "Send {} to the secretariat; any way will do, it holds no secret. Read out its fingerprint by another way when they \
         ask. Then: countermark member accept --folder {} ADMISSION.json",
        arguments.out.display(),
        arguments.folder.display()
    ));
    Ok(())
}

fn renew(arguments: &RenewArguments, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let old = read_request(&home)?;
    let mut secrets = home.load_secrets(&old)?;
    secrets.renew_node_key()?;
    let applicant = Applicant {
        alliance: old.alliance,
        member: old.member,
        kind: old.kind,
        name: old.name,
        address: arguments.address.clone().unwrap_or(old.address),
    };
    let request = JoinRequest::with(applicant, &secrets)?;
    let text = request.to_json()?;
    home.save_renewal(&text, &secrets)?;
    replace(&arguments.out, &text, Access::Public)?;
    printer.show(&Requested::of(&request))?;
    printer.note(format_args!(
        "The node goes on with its old certificate. Send {} to the secretariat, and then: countermark member accept --folder {} \
         ADMISSION.json",
        arguments.out.display(),
        arguments.folder.display()
    ));
    Ok(())
}

fn read_request(home: &MemberFolder) -> Result<JoinRequest, Failure> {
    let text = read_public(&home.join_request(), MAX_REQUEST_BYTES);
    let text =
        text.map_err(|e| Failure::from(e).advise("give the folder of a member, as `countermark member request` makes it"))?;
    Ok(JoinRequest::from_json(&text)?)
}

/// The CA of the member's own clients.
fn client_ca(home: &MemberFolder, request: &JoinRequest) -> Result<ClientCa, Failure> {
    let (certificate, key) = (read_public(&home.client_ca(), MAX_PEM_BYTES)?, read_secret(&home.client_ca_key())?);
    Ok(ClientCa::load(request.alliance.clone(), request.member.clone(), certificate, key)?)
}

/// A change of a node's configuration.
struct Edit<'a> {
    path: &'a Path,
    new: &'a str,
    /// What was added, for whoever has to do it by hand.
    lines: &'a str,
}

impl Edit<'_> {
    /// Writes the new text, unless it would not load, or not say what `is_said` looks for: that is tried on a file beside it, since a node
    /// may start at any moment. A link stays one.
    fn make(&self, environment: &Environment, is_said: impl Fn(&NodeConfig) -> bool) -> Result<(), Failure> {
        let io = |source| FolderError::Io { path: self.path.to_owned(), source };
        let tried = self.path.with_extension("toml.new");
        replace(&tried, self.new, Access::Public)?;
        let loaded = NodeConfig::load(&tried, &environment.variables);
        fs::remove_file(&tried).map_err(io)?;
        let failure = match loaded {
            Ok(loaded) if is_said(&loaded.config) => {
                return Ok(replace(&fs::canonicalize(self.path).map_err(io)?, self.new, Access::Public)?);
            }
            Ok(_) => Failure::new("CONFIG_UNCHANGED", format!("{} could not be added to", self.path.display())),
            Err(error) => Failure::from(error),
        };
        Err(failure.advise(format!("add to {} by hand:\n{}", self.path.display(), self.lines)))
    }
}

/// A request that was made. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Requested {
    alliance: String,
    member: String,
    fingerprint: String,
}

impl Requested {
    fn of(request: &JoinRequest) -> Self {
        Self {
            alliance: request.alliance.to_string(),
            member: request.member.to_string(),
            fingerprint: request.fingerprint().to_string(),
        }
    }
}

impl Show for Requested {
    fn table(&self) -> String {
        facts([("alliance", self.alliance.clone()), ("member", self.member.clone()), ("fingerprint", self.fingerprint.clone())])
    }
}
