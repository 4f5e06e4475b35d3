//! The secretariat's ceremonies.
//!
//! A roster is written before what depends on it is handed out, so that a ceremony that was interrupted is simply held again.

mod admit;
mod first_day;
mod keys;
mod secretariat;

use std::collections::BTreeSet;

use serde::Serialize;

pub(super) use first_day::{FirstMember, clients_beside, found, listener};
pub(super) use keys::{AllianceKeyCommand, take_in};
pub(super) use secretariat::{MAX_KEY_BYTES, Secretariat, open_roster, read_roster, read_secretariat_key};

use super::Environment;
use super::arguments::{
    AllianceCommand, AllianceRevokeArguments, ExpelArguments, GroupArguments, InitArguments, PolicyArguments, RosterArguments,
};
use super::failure::{Failure, Outcome};
use super::issued::RevocationList;
use super::output::{Printer, Show, counted, facts, table};
use crate::alliance::folder::AllianceFolder;
use crate::domain::{FeedKey, Group, KeyState, MemberId, MemberState, Policy, Roster};

pub(super) fn run(command: AllianceCommand, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    match command {
        AllianceCommand::Init(arguments) => init(&arguments, environment, printer)?,
        AllianceCommand::Admit(arguments) => admit::run(&arguments, environment, printer)?,
        AllianceCommand::Expel(arguments) => expel(&arguments, environment, printer)?,
        AllianceCommand::Revoke(arguments) => revoke(&arguments, environment, printer)?,
        AllianceCommand::Group(arguments) => group(&arguments, environment, printer)?,
        AllianceCommand::Policy(arguments) => policy(&arguments, environment, printer)?,
        AllianceCommand::Key(command) => keys::run(&command, environment, printer)?,
        AllianceCommand::Roster(arguments) => roster(&arguments, printer)?,
    }
    Ok(Outcome::Done)
}

fn init(arguments: &InitArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let folder = AllianceFolder::at(&arguments.folder);
    let homes = first_day::found(&arguments.name, &folder, &arguments.members, arguments.scheme, environment)?;
    let secretariat = Secretariat::open(folder)?;
    printer.show(&Document::of(&secretariat))?;
    let folder = arguments.folder.display();
    printer.note(format_args!(
        "Keep {folder} on a machine that is no node, with a copy in a safe: its keys decide who is a member."
    ));
    for home in homes {
        printer.note(format_args!("countermark serve --config {}", home.path().join("node.toml").display()));
    }
    let pending = secretariat.roster().keys.iter().find(|key| key.state == KeyState::Pending);
    if let Some(key) = pending {
        printer.note(format_args!(
            "Nothing can be submitted before the members have made key {0} among them: start their nodes; then `countermark key result {0} \
             --config MEMBER --out {0}.note`, and `countermark alliance key adopt --folder {folder} {0}.note`.",
            key.id
        ));
    }
    if secretariat.roster().keys.is_empty() {
        printer.note(format_args!(
            "There is no pseudonym key yet: with two members or more, `countermark alliance key add --folder {folder}` has them make one."
        ));
    }
    if arguments.members.is_empty() {
        printer.note(format_args!(
            "Next: a member runs `countermark member request --alliance {} ...` and sends the request; then \
             `countermark alliance admit --folder {folder} REQUEST.json --out ADMISSION.json`.",
            arguments.name
        ));
    }
    Ok(())
}

fn expel(arguments: &ExpelArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let mut secretariat = Secretariat::open(AllianceFolder::at(&arguments.folder))?;
    let id = &arguments.member;
    match secretariat.roster().member(id) {
        None => return Err(unknown(&secretariat, id)),
        Some(member) if member.state == MemberState::Expelled => printer.note(format_args!("{id} has been expelled before")),
        Some(_) => {
            secretariat.change(environment.now(), |roster| {
                roster.members.iter_mut().filter(|m| m.id == *id).for_each(|m| m.state = MemberState::Expelled);
            })?;
        }
    }
    if arguments.crl {
        let RevocationList { revoked, list, .. } = secretariat.revoke(Some(id), environment.now())?;
        printer.note(format_args!("{} revoked in {}", counted(revoked as u64, "certificate"), list.display()));
    }
    spread(&secretariat, printer);
    printer.show(&Document::of(&secretariat))
}

fn unknown(secretariat: &Secretariat, id: &MemberId) -> Failure {
    let failure = Failure::new("MEMBER_UNKNOWN", format!("{id} is no member of {}", secretariat.roster().alliance));
    failure.advise("see `countermark alliance roster`")
}

fn revoke(arguments: &AllianceRevokeArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let secretariat = Secretariat::open(AllianceFolder::at(&arguments.folder))?;
    if let Some(id) = arguments.member.as_ref().filter(|id| secretariat.roster().member(id).is_none()) {
        return Err(unknown(&secretariat, id));
    }
    let signed = secretariat.revoke(arguments.member.as_ref(), environment.now())?;
    let list = signed.list.display().to_string();
    printer.show(&Revoked { member: arguments.member.clone(), signed })?;
    printer.note(format_args!("Hand {list} to the members; each node names it under [peers] as crl, and reloads."));
    Ok(())
}

/// What was revoked. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Revoked {
    member: Option<MemberId>,
    #[serde(flatten)]
    signed: RevocationList,
}

impl Show for Revoked {
    fn table(&self) -> String {
        self.signed.rows(self.member.as_ref().map(|member| ("member", member.to_string())))
    }
}

fn group(arguments: &GroupArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let mut secretariat = Secretariat::open(AllianceFolder::at(&arguments.folder))?;
    let members: BTreeSet<_> = arguments.members.iter().cloned().collect();
    let name = &arguments.name;
    let held = secretariat.roster().groups.iter().find(|g| g.name == *name);
    if held.is_some_and(|group| group.members == members) {
        printer.note(format_args!("the group {name} has these members already"));
    } else {
        secretariat.change(environment.now(), |roster| match roster.groups.iter_mut().find(|g| g.name == *name) {
            Some(group) => group.members = members,
            None => roster.groups.push(Group { name: name.clone(), members }),
        })?;
        spread(&secretariat, printer);
    }
    printer.show(&Document::of(&secretariat))
}

fn policy(arguments: &PolicyArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let mut secretariat = Secretariat::open(AllianceFolder::at(&arguments.folder))?;
    if let Some(path) = &arguments.from {
        let unreadable = |error: std::io::Error| {
            let sentence = format!("{} cannot be read: {}", path.display(), error.kind());
            Failure::new("POLICY_UNREADABLE", sentence).advise("give the path of a readable file")
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let policy: Policy = toml::from_str(&text).map_err(|error| {
            let failure = Failure::new("POLICY_INVALID", format!("{} is no policy: {error}", path.display()));
            failure.advise("put that right; `countermark alliance policy` without --from shows the form")
        })?;
        if policy == secretariat.roster().policy {
            printer.note("this policy holds already");
        } else {
            secretariat.change(environment.now(), |roster| roster.policy = policy)?;
            spread(&secretariat, printer);
        }
    }
    printer.show(&PolicyDocument(secretariat.roster().policy.clone()))
}

/// The policy as it is printed.
#[derive(Serialize)]
#[serde(transparent)]
struct PolicyDocument(Policy);

impl Show for PolicyDocument {
    /// As it can be given back.
    fn table(&self) -> String {
        toml::to_string(&self.0).unwrap_or_default()
    }
}

fn roster(arguments: &RosterArguments, printer: &mut Printer) -> Result<(), Failure> {
    printer.show(&Document::of(&Secretariat::open(AllianceFolder::at(&arguments.folder))?))
}

/// Says what is to be done with a roster that has changed.
fn spread(secretariat: &Secretariat, printer: &mut Printer) {
    printer.note(format_args!(
        "Roster {} stands in {}. Put it in place of roster.note at any one node and send that node SIGHUP, as `kill -HUP` or \
         `systemctl reload` does; the nodes spread it.",
        secretariat.roster().serial,
        secretariat.folder().roster_note().display()
    ));
}

/// The roster as it is printed: the roster's own fields, and the key by which it is verified.
#[derive(Serialize)]
struct Document<'r> {
    /// Base64 of the secretariat's key.
    secretariat_key: FeedKey,
    #[serde(flatten)]
    roster: &'r Roster,
}

impl<'r> Document<'r> {
    fn of(secretariat: &'r Secretariat) -> Self {
        Self { secretariat_key: secretariat.public_key(), roster: secretariat.roster() }
    }
}

impl Show for Document<'_> {
    fn table(&self) -> String {
        let roster = self.roster;
        let head = facts([
            ("alliance", roster.alliance.to_string()),
            ("roster", format!("{} of {}", roster.serial, roster.issued_at)),
            ("key", String::from(self.secretariat_key)),
            ("platforms", roster.platforms.len().to_string()),
        ]);
        let members = table(
            &["member", "kind", "state", "name", "address", "groups"],
            roster.members.iter().map(|m| {
                let groups = roster.groups.iter().filter(|g| g.members.contains(&m.id)).map(|g| g.name.as_str());
                let groups: Vec<&str> = groups.collect();
                let words = [m.id.as_str(), m.kind.as_str(), m.state.as_str(), &m.name, &m.address];
                words.into_iter().map(str::to_owned).chain([groups.join(", ")]).collect()
            }),
        );
        let keys = table(
            &["key", "scheme", "state", "holders"],
            roster.keys.iter().map(|k| {
                let holders = k.sharing.as_ref().map_or_else(|| "every member has it".to_owned(), keys::holders_line);
                vec![k.id.to_string(), k.scheme.to_string(), k.state.to_string(), holders]
            }),
        );
        [head, members, keys].join("\n")
    }
}
