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
use crate::domain::{KeyId, MemberState, RosterKey};
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
         --config {folder}`. A node that runs already takes the new certificate when it reloads: send it SIGHUP, as `kill -HUP` or \
         `systemctl reload` does."
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
/// Where the roster is not the secretariat's, is older than the one held, does not name this member with its key, or the
/// pseudonym keys are not those that it has in use, no fewer and no more; then nothing has been written.
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
    let (node_toml, client_toml) = (home.node_toml(), home.path().join("client.toml"));
    if !node_toml.exists() {
        write_new(&node_toml, &files::node_toml(home.path(), request, &accepted.roster.key, &operator)?, Access::Public)?;
        let listen = files::clients_listen(request)?.to_string().parse()?;
        let issued = client::issue(home, &secrets.client_ca, &operator, listen, client::Issuance::First, request, environment)?;
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

/// Each key of the admission is one that the roster has in use, and none of those is missing. One that is not would lie in the
/// folder until a later roster names it, and be believed then.
fn check_keys(signed: &SignedRoster, accepted: &Accepted) -> Result<(), Failure> {
    // Of those that are shared nobody is handed anything.
    let in_use = |key: &&RosterKey| key.sharing.is_none() && key.state.is_in_use();
    let keys: Vec<&RosterKey> = signed.roster().keys.iter().filter(in_use).collect();
    for secret in &accepted.keys {
        let Some(key) = keys.iter().find(|key| key.id == secret.id) else {
            return Err(refuse_key("KEY_NOT_LISTED", &secret.id, "is not one that the roster has in use"));
        };
        if !HmacKey::from_text(&secret.text)?.matches(&key.check) {
            return Err(refuse_key("KEY_MISMATCH", &secret.id, "is not the one that the roster means"));
        }
    }
    match keys.iter().find(|key| !accepted.keys.iter().any(|secret| secret.id == key.id)) {
        Some(missing) => Err(refuse_key("KEY_MISSING", &missing.id, "is in use in the roster and is not there")),
        None => Ok(()),
    }
}

fn refuse_key(code: &'static str, id: &KeyId, what: &str) -> Failure {
    let failure = Failure::new(code, format!("pseudonym key {id} of the admission {what}"));
    failure.advise("ask the secretariat for a new admission")
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

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::alliance::{PseudonymSecret, RosterHandover};
    use crate::domain::{KeyState, Roster, Scheme};
    use crate::feed::SigningKey;
    use crate::rpc::tls::{Credentials, TrustAnchors};

    fn secret(id: &str, byte: u8) -> PseudonymSecret {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        PseudonymSecret { id: id.parse().expect("valid"), text: Zeroizing::new(text) }
    }

    fn listed(secret: &PseudonymSecret, state: KeyState) -> RosterKey {
        let check = HmacKey::from_text(&secret.text).expect("a key").check_value();
        RosterKey { id: secret.id.clone(), scheme: Scheme::HmacSha256, state, check, sharing: None }
    }

    #[test]
    fn an_admission_brings_the_keys_in_use_and_no_other() {
        let (k1, k2, k3) = (secret("k1", 1), secret("k2", 2), secret("k3", 3));
        let secretariat = SigningKey::from_seed_text(&secret("seed", 9).text).expect("a key");
        let roster = Roster {
            keys: vec![listed(&k1, KeyState::Active), listed(&k2, KeyState::Retiring), listed(&k3, KeyState::Pending)],
            ..Roster::first("alliance.example".parse().expect("valid"), "2026-11-22T00:00:00Z".into())
        };
        let signed = SignedRoster::sign(roster, &secretariat).expect("signed");
        let verdict = |keys: &[&PseudonymSecret]| {
            let accepted = Accepted {
                node: Credentials { chain: String::new(), key: Zeroizing::new(String::new()) },
                anchors: TrustAnchors { ca: String::new(), crls: vec![] },
                roster: RosterHandover { note: String::new(), key: secretariat.public() },
                keys: keys.iter().map(|key| (*key).clone()).collect(),
            };
            check_keys(&signed, &accepted).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(verdict(&[&k1, &k2]), Ok(()));
        assert_eq!(verdict(&[&k1]), Err("KEY_MISSING".into()));
        assert_eq!(verdict(&[&k1, &k2, &k3]), Err("KEY_NOT_LISTED".into()), "pending");
        assert_eq!(verdict(&[&k1, &k2, &secret("k9", 9)]), Err("KEY_NOT_LISTED".into()), "unknown");
        assert_eq!(verdict(&[&k1, &secret("k2", 7)]), Err("KEY_MISMATCH".into()));
        assert_eq!(verdict(&[&k1, &k2, &secret("k1", 7)]), Err("KEY_MISMATCH".into()), "a second one of the same name");
    }
}
