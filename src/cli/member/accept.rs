//! Taking in an admission: verified from the certificate to the last key before a file is written.

use serde::Serialize;

use super::{client, files, read_request};
use crate::alliance::folder::{Access, MemberFolder, read_public, write_new};
use crate::alliance::{Accepted, Admission, JoinRequest, MemberSecrets};
use crate::cli::Environment;
use crate::cli::arguments::AcceptArguments;
use crate::cli::failure::Failure;
use crate::cli::fingerprint;
use crate::cli::output::{Printer, Show, facts};
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::domain::{KeyState, MemberState};
use crate::feed::{SignedRoster, supersede};
use crate::pseudonym::HmacKey;

/// Bytes of an admission: see its reader, which says more when it is longer than any good one.
const MAX_ADMISSION_BYTES: u64 = 4 * MAX_ROSTER_BYTES as u64;
const MAX_CA_BYTES: u64 = 256 * 1_024;
/// The first client, with every role.
const OPERATOR: &str = "operator";

pub(super) fn run(arguments: &AcceptArguments, environment: &Environment, printer: &mut Printer) -> Result<(), Failure> {
    let home = MemberFolder::at(&arguments.folder);
    let request = read_request(&home)?;
    let secrets = home.load_secrets(&request)?;
    let admission = Admission::from_json(&read_public(&arguments.admission, MAX_ADMISSION_BYTES)?)?;
    let fingerprint = admission.fingerprint();
    if is_trusted(&home, &admission)? {
        printer.note("The admission is by the same CA and secretariat as the one before.");
    } else {
        fingerprint::compare(fingerprint, "admission", "the secretariat", &arguments.compared, printer)?;
    }
    let accepted = admission.accept(&request, &secrets, environment.now())?;
    let roster_serial = take_in(&home, &request, &secrets, &accepted, environment)?;
    let folder = arguments.folder.display();
    printer.show(&Taken {
        alliance: request.alliance.to_string(),
        member: request.member.to_string(),
        roster_serial,
        certificate_until: accepted.node.certificate()?.not_after.to_string(),
        fingerprint: fingerprint.to_string(),
    })?;
    printer.note(format_args!(
        "Next: look through {folder}/node.toml, then `countermark config check --config {folder}` and `countermark serve \
         --config {folder}`. A node that runs already takes the new certificate when it reloads."
    ));
    Ok(())
}

/// Whether the admission hangs on what has been compared before: the CA and the secretariat's key in the folder.
fn is_trusted(home: &MemberFolder, admission: &Admission) -> Result<bool, Failure> {
    if !(home.alliance_ca().exists() && home.roster_key().exists()) {
        return Ok(false);
    }
    let ca = read_public(&home.alliance_ca(), MAX_CA_BYTES)?;
    let key = read_public(&home.roster_key(), MAX_CA_BYTES)?;
    Ok(ca == admission.alliance_ca && key.trim() == String::from(admission.roster_key))
}

/// Verifies what came with an admission and writes it, with configuration and a first client where there is none. Gives the
/// serial of the roster.
///
/// # Errors
/// Where the roster is not the secretariat's, is older than the one held, does not name this member with its key, or a
/// pseudonym key is not the roster's; then nothing has been written.
pub(in crate::cli) fn take_in(
    home: &MemberFolder,
    request: &JoinRequest,
    secrets: &MemberSecrets,
    accepted: &Accepted,
    environment: &Environment,
) -> Result<u64, Failure> {
    let note = accepted.roster.note.clone().into();
    let signed = SignedRoster::open(note, &request.alliance, &accepted.roster.key)?;
    supersede(held_roster(home, request, accepted)?.as_ref(), &signed)?;
    check_entry(&signed, request)?;
    check_keys(&signed, accepted)?;
    home.save_admission(accepted)?;

    let operator = OPERATOR.parse()?;
    let (node_toml, client_toml) = (home.path().join("node.toml"), home.path().join("client.toml"));
    if !node_toml.exists() {
        write_new(&node_toml, &files::node_toml(request, &accepted.roster.key, &operator)?, Access::Public)?;
        let listen = files::clients_listen(request)?.to_string().parse()?;
        let issued = client::issue(home, &secrets.client_ca, &operator, listen, request, environment)?;
        if !client_toml.exists() {
            write_new(&client_toml, &issued.settings("clients/operator/"), Access::Public)?;
        }
    }
    Ok(signed.roster().serial)
}

/// The roster in the folder; `None` where there is none, or it is of another secretariat, which the fingerprint covers.
fn held_roster(home: &MemberFolder, request: &JoinRequest, accepted: &Accepted) -> Result<Option<SignedRoster>, Failure> {
    if !home.roster_note().exists() {
        return Ok(None);
    }
    let note = read_public(&home.roster_note(), MAX_ROSTER_BYTES as u64)?;
    Ok(SignedRoster::open(note.into(), &request.alliance, &accepted.roster.key).ok())
}

fn check_entry(signed: &SignedRoster, request: &JoinRequest) -> Result<(), Failure> {
    let entry = signed.roster().member(&request.member);
    if entry.is_some_and(|m| m.state == MemberState::Active && m.feed_key == request.feed_key) {
        return Ok(());
    }
    let sentence = format!("the roster does not name {} as an active member with the feed key of this folder", request.member);
    Err(Failure::new("ADMISSION_ROSTER", sentence).advise("ask the secretariat to admit the request of this folder"))
}

fn check_keys(signed: &SignedRoster, accepted: &Accepted) -> Result<(), Failure> {
    let needed = signed.roster().keys.iter().filter(|k| matches!(k.state, KeyState::Active | KeyState::Retiring));
    for key in needed {
        let secret = accepted.keys.iter().find(|secret| secret.id == key.id);
        let matches = match secret {
            Some(secret) => HmacKey::from_text(&secret.text)?.matches(&key.check),
            None => false,
        };
        if !matches {
            let sentence = format!("pseudonym key {} is missing, or is not the one that the roster means", key.id);
            return Err(Failure::new("KEY_MISMATCH", sentence).advise("ask the secretariat for a new admission"));
        }
    }
    Ok(())
}

/// What was taken in. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Taken {
    alliance: String,
    member: String,
    roster_serial: u64,
    certificate_until: String,
    fingerprint: String,
}

impl Show for Taken {
    fn table(&self) -> String {
        facts([
            ("alliance", self.alliance.clone()),
            ("member", self.member.clone()),
            ("roster", self.roster_serial.to_string()),
            ("certificate", format!("good until {}", self.certificate_until)),
            ("admission", self.fingerprint.clone()),
        ])
    }
}
