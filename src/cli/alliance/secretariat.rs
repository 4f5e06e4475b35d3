//! The secretariat's folder, opened.

use std::path::Path;

use super::keys;
use crate::alliance::folder::{Access, AllianceFolder, read_public, read_secret, replace, write_new};
use crate::alliance::{Admission, AllianceCa, JoinRequest, PseudonymSecret, RosterHandover, default_platforms};
use crate::cli::Environment;
use crate::cli::failure::Failure;
use crate::cli::issued::{IssuedCertificates, MAX_PEM_BYTES, RevocationList};
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::domain::{AllianceName, FeedKey, KeyId, KeyState, Member, MemberId, Roster, RosterKey, Scheme, Timestamp};
use crate::feed::{SignedRoster, SigningKey};
use crate::pseudonym::HmacKey;

/// Bytes of a public key as text.
pub(in crate::cli) const MAX_KEY_BYTES: u64 = 1_024;
const FIRST_KEY: &str = "k1";

/// The CA, the key that signs rosters, and the roster as it was last signed.
pub(in crate::cli) struct Secretariat {
    folder: AllianceFolder,
    ca: AllianceCa,
    key: SigningKey,
    signed: SignedRoster,
}

impl Secretariat {
    /// Founds an alliance of `members` in a new folder.
    ///
    /// # Errors
    /// Where there is an alliance already, or the roster would not be valid.
    pub(in crate::cli) fn found(
        name: &AllianceName,
        folder: AllianceFolder,
        members: Vec<Member>,
        scheme: Scheme,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let (now, entropy) = (environment.now(), environment.entropy.as_ref());
        let ca = AllianceCa::create(name.clone(), now, entropy)?;
        let key = SigningKey::generate(entropy)?;
        let id: KeyId = FIRST_KEY.parse()?;
        let secret = match scheme {
            Scheme::HmacSha256 => Some(HmacKey::generate(entropy)?),
            Scheme::ToprfRistretto255 => None,
        };
        let of_all = secret.as_ref().map(|secret| RosterKey {
            id: id.clone(),
            scheme,
            state: KeyState::Active,
            check: secret.check_value(),
            sharing: None,
        });
        let active = members.iter().map(|member| member.id.clone()).collect::<Vec<_>>();
        let keys = of_all.or_else(|| keys::first(id.clone(), &active)).into_iter().collect();
        let roster = Roster { members, keys, platforms: default_platforms(), ..Roster::first(name.clone(), now.to_string()) };
        let signed = SignedRoster::sign(roster, &key)?;
        folder.save_ca(&ca)?;
        write_new(&folder.roster_key(), &key.to_seed_text(), Access::Private)?;
        if let Some(secret) = secret {
            write_new(&folder.pseudonym_key(&id), &secret.to_text(), Access::Private)?;
        }
        let secretariat = Self { folder, ca, key, signed };
        secretariat.write_roster()?;
        Ok(secretariat)
    }

    /// Opens the folder of an alliance.
    ///
    /// # Errors
    /// Where its parts cannot be read or do not belong together.
    pub(in crate::cli) fn open(folder: AllianceFolder) -> Result<Self, Failure> {
        let note = read_public(&folder.roster_note(), MAX_ROSTER_BYTES as u64).map_err(|error| {
            Failure::from(error).advise("give the folder of an alliance, as `countermark alliance init` makes it")
        })?;
        let key = SigningKey::from_seed_text(&read_secret(&folder.roster_key())?)?;
        let signed = open_roster(note, &key.public())?;
        let alliance = signed.roster().alliance.clone();
        let certificate = read_public(&folder.ca(), MAX_PEM_BYTES)?;
        let ca = AllianceCa::load(alliance, certificate, read_secret(&folder.ca_key())?)?;
        Ok(Self { folder, ca, key, signed })
    }

    pub(in crate::cli) fn folder(&self) -> &AllianceFolder {
        &self.folder
    }

    pub(in crate::cli) fn roster(&self) -> &Roster {
        self.signed.roster()
    }

    pub(in crate::cli) fn public_key(&self) -> FeedKey {
        self.key.public()
    }

    /// Signs and writes the next roster.
    ///
    /// # Errors
    /// Where the roster would not be valid; then the old one stays.
    pub(in crate::cli) fn change(&mut self, now: Timestamp, edit: impl FnOnce(&mut Roster)) -> Result<(), Failure> {
        let mut roster = self.roster().clone();
        edit(&mut roster);
        roster.serial += 1;
        roster.issued_at = now.to_string();
        self.signed = SignedRoster::sign(roster, &self.key)?;
        self.write_roster()
    }

    fn write_roster(&self) -> Result<(), Failure> {
        let note = String::from_utf8_lossy(self.signed.note());
        Ok(replace(&self.folder.roster_note(), &note, Access::Public)?)
    }

    /// Answers a request of a member that the roster names. The certificate is kept before it is handed out, so that it can be
    /// revoked.
    ///
    /// # Errors
    /// Where the request is not good, or a pseudonym key is not the roster's.
    pub(in crate::cli) fn issue(&self, request: &JoinRequest, environment: &Environment) -> Result<Admission, Failure> {
        let note = String::from_utf8_lossy(self.signed.note()).into_owned();
        let roster = RosterHandover { note, key: self.public_key() };
        let keys = self.pseudonym_secrets()?;
        let admission = Admission::issue(request, &self.ca, roster, &keys, environment.now(), environment.entropy.as_ref())?;
        IssuedCertificates::of(self.folder.path()).keep(&admission.node_chain)?;
        Ok(admission)
    }

    fn pseudonym_secrets(&self) -> Result<Vec<PseudonymSecret>, Failure> {
        let in_use = self.roster().keys.iter().filter(|k| k.state.is_in_use());
        let held_by_all = in_use.filter(|key| key.sharing.is_none());
        held_by_all
            .map(|key| {
                let text = read_secret(&self.folder.pseudonym_key(&key.id))?;
                if HmacKey::from_text(&text)?.matches(&key.check) {
                    return Ok(PseudonymSecret { id: key.id.clone(), text });
                }
                let sentence = format!("the file of key {} holds another key than the roster means", key.id);
                Err(Failure::new("KEY_MISMATCH", sentence).advise("put the right file back from the copy in the safe"))
            })
            .collect()
    }

    /// Revokes every certificate that `member` was issued until now; without one the list is signed anew.
    ///
    /// # Errors
    /// Where the folder or the list before cannot be read.
    pub(in crate::cli) fn revoke(&self, member: Option<&MemberId>, now: Timestamp) -> Result<RevocationList, Failure> {
        let issued = IssuedCertificates::of(self.folder.path());
        let serials = match member {
            Some(member) => issued.serials(|identity| identity.member() == member)?,
            None => Vec::new(),
        };
        RevocationList::extend(self.folder.crl(), (&issued, self.ca.certificate()), &serials, |before, serials| {
            self.ca.revoke(before, serials, now)
        })
    }
}

/// The alliance that a roster note claims to be of: the name of the key that signed it. Worth nothing until the note has been
/// opened under it.
///
/// # Errors
/// Where it is no signed roster.
fn claimed_alliance(note: &str) -> Result<AllianceName, Failure> {
    let signed = note.lines().filter_map(|line| line.strip_prefix("\u{2014} "));
    let mut names = signed.filter_map(|line| line.split_once(' ')?.0.strip_suffix("/roster")?.parse().ok());
    names.next().ok_or_else(|| {
        Failure::new("ROSTER_MALFORMED", "the file is no signed roster").advise("give the file roster.note as it was made")
    })
}

/// The roster in `note`, which `key` signed, of whatever alliance.
///
/// # Errors
/// Where it is none.
pub(in crate::cli) fn open_roster(note: String, key: &FeedKey) -> Result<SignedRoster, Failure> {
    let alliance = claimed_alliance(&note)?;
    Ok(SignedRoster::open(note.into(), &alliance, key)?)
}

/// The same of a file, and of a file with the key.
///
/// # Errors
/// Where one of the two cannot be read, or the roster is none.
pub(in crate::cli) fn read_roster(roster: &Path, key: &Path) -> Result<SignedRoster, Failure> {
    open_roster(read_public(roster, MAX_ROSTER_BYTES as u64)?, &read_secretariat_key(key)?)
}

/// The secretariat's public key in base64, such as the file roster.pub of a member's folder.
///
/// # Errors
/// Where it cannot be read.
pub(in crate::cli) fn read_secretariat_key(path: &Path) -> Result<FeedKey, Failure> {
    Ok(FeedKey::try_from(read_public(path, MAX_KEY_BYTES)?.trim().to_owned())?)
}
