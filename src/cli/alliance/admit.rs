//! Admitting a member, or renewing its certificate.

use serde::Serialize;

use super::Secretariat;
use super::first_day::listed;
use crate::alliance::folder::{Access, AllianceFolder, read_public, write_new};
use crate::alliance::{Admission, JoinRequest};
use crate::cli::Environment;
use crate::cli::arguments::AdmitArguments;
use crate::cli::failure::Failure;
use crate::cli::fingerprint;
use crate::cli::output::{Printer, Show, facts, plain};
use crate::domain::{Group, GroupName, MemberState, Roster};

/// Bytes of a request: see its reader, which says more when it is longer than any good one.
const MAX_REQUEST_BYTES: u64 = 64 * 1_024;

pub(super) fn run(arguments: &AdmitArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let request = JoinRequest::from_json(&read_public(&arguments.request, MAX_REQUEST_BYTES)?)?;
    let mut secretariat = Secretariat::open(AllianceFolder::at(&arguments.folder))?;
    let standing = standing(secretariat.roster(), &request, arguments.readmit)?;
    refuse_existing(arguments)?;
    printer.note(format_args!(
        "{} asks {}: {} \"{}\", reached at {}",
        request.member,
        standing.verb(),
        request.kind,
        plain(&request.name),
        request.address
    ));
    fingerprint::compare(request.fingerprint(), "request", "the member", &arguments.compared, printer)?;

    let mut next = secretariat.roster().clone();
    enter(&mut next, &request);
    arguments.groups.iter().for_each(|group| join(&mut next, group, &request));
    if next != *secretariat.roster() {
        secretariat.change(environment.now(), |roster| *roster = next)?;
        super::spread(&secretariat, printer);
    }
    let admission = secretariat.issue(&request, environment)?;
    write_new(&arguments.out, &admission.to_json()?, Access::Public)?;
    printer.show(&Admitted::of(&admission, &request, secretariat.roster().serial, standing))?;
    printer.note(format_args!(
        "Send {} to {}; any way will do. Read out its fingerprint by another way when they ask.",
        arguments.out.display(),
        request.member
    ));
    Ok(())
}

/// Looked at before the roster changes: the admission is written last.
fn refuse_existing(arguments: &AdmitArguments) -> Result<(), Failure> {
    if arguments.out.exists() {
        return Err(crate::alliance::folder::FolderError::Exists { path: arguments.out.clone() }.into());
    }
    Ok(())
}

/// What the one who asks is to the alliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    New,
    Renewal,
    Readmission,
}

impl Standing {
    const fn verb(self) -> &'static str {
        match self {
            Self::New => "to be admitted",
            Self::Renewal => "for a new certificate",
            Self::Readmission => "to be taken back",
        }
    }
}

fn standing(roster: &Roster, request: &JoinRequest, readmit: bool) -> Result<Standing, Failure> {
    if request.alliance != roster.alliance {
        let sentence = format!("the request is for {}, and this is the folder of {}", request.alliance, roster.alliance);
        return Err(Failure::new("JOIN_REQUEST_OTHER_ALLIANCE", sentence).advise("give the folder of that alliance"));
    }
    let Some(member) = roster.member(&request.member) else { return Ok(Standing::New) };
    if member.feed_key != request.feed_key {
        let sentence = format!("{} is a member with another feed key", member.id);
        let advice =
            "a feed is signed by one key for ever: the member renews from the folder that has it, or asks under a new id";
        return Err(Failure::new("MEMBER_KEY_DIFFERS", sentence).advise(advice));
    }
    match (member.state, readmit) {
        (MemberState::Active, _) => Ok(Standing::Renewal),
        (MemberState::Expelled, true) => Ok(Standing::Readmission),
        (MemberState::Expelled, false) => {
            let failure = Failure::new("MEMBER_EXPELLED", format!("{} has been expelled", member.id));
            Err(failure.advise("give --readmit where the alliance takes it back"))
        }
    }
}

/// Puts the member as the request describes it into the roster.
fn enter(roster: &mut Roster, request: &JoinRequest) {
    match roster.members.iter_mut().find(|member| member.id == request.member) {
        Some(member) => *member = listed(request),
        None => roster.members.push(listed(request)),
    }
}

fn join(roster: &mut Roster, group: &GroupName, request: &JoinRequest) {
    match roster.groups.iter_mut().find(|g| g.name == *group) {
        Some(group) => drop(group.members.insert(request.member.clone())),
        None => roster.groups.push(Group { name: group.clone(), members: [request.member.clone()].into() }),
    }
}

/// What was done. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Admitted {
    member: String,
    standing: Standing,
    request_fingerprint: String,
    admission_fingerprint: String,
    roster_serial: u64,
}

impl Admitted {
    fn of(admission: &Admission, request: &JoinRequest, roster_serial: u64, standing: Standing) -> Self {
        Self {
            member: request.member.to_string(),
            standing,
            request_fingerprint: request.fingerprint().to_string(),
            admission_fingerprint: admission.fingerprint().to_string(),
            roster_serial,
        }
    }
}

impl Show for Admitted {
    fn table(&self) -> String {
        facts([
            ("member", self.member.clone()),
            ("roster", self.roster_serial.to_string()),
            ("request", self.request_fingerprint.clone()),
            ("admission", self.admission_fingerprint.clone()),
        ])
    }
}
