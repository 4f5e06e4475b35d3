//! Admitting a member, and accepting the admission.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::transcript::{Fingerprint, transcript};
use super::{AllianceCa, AllianceError, JoinRequest, MemberSecrets, envelope};
use crate::domain::limits::MAX_ROSTER_BYTES;
use crate::domain::{AllianceName, Entropy, FeedKey, KeyId, MemberId, Timestamp};
use crate::rpc::identity::Identity;
use crate::rpc::tls::{Credentials, TrustAnchors, verify_node};

/// Layout of the file.
const FORMAT: u32 = 1;
/// What a sealed key is. Never used for anything else.
const SEAL_LABEL: &str = "countermark/pseudonym-key/v1";
const FINGERPRINT_LABEL: &str = "countermark/admission/v1";
/// The largest roster, whose line breaks JSON doubles, with certificates and keys.
const MAX_FILE_BYTES: usize = 2 * MAX_ROSTER_BYTES + 64 * 1_024;

/// A pseudonym key's secret, as the text of its file. Wiped when dropped.
#[derive(Clone)]
pub struct PseudonymSecret {
    /// Its name in the roster.
    pub id: KeyId,
    /// The text of its file.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for PseudonymSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PseudonymSecret({}, redacted)", self.id)
    }
}

/// The roster as a new member gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterHandover {
    /// The signed note.
    pub note: String,
    /// The secretariat's key, by which this note and all later ones are verified.
    pub key: FeedKey,
}

/// A pseudonym key's secret, sealed for one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKey {
    /// Its name in the roster.
    pub id: KeyId,
    /// Base64 of HPKE's encapsulated secret.
    encapsulated: String,
    /// Base64 of HPKE's ciphertext.
    ciphertext: String,
}

/// The secretariat's answer to a [`JoinRequest`]. A JSON file; the secrets in it are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    format: u32,
    /// The alliance.
    pub alliance: AllianceName,
    /// Who is admitted.
    pub member: MemberId,
    /// PEM: the node's certificate.
    pub node_chain: String,
    /// PEM: the alliance's CA.
    pub alliance_ca: String,
    /// The secretariat's key, by which rosters are verified.
    pub roster_key: FeedKey,
    /// The roster as signed note.
    pub roster_note: String,
    /// Every key that is active or retiring.
    pub keys: Vec<SealedKey>,
}

/// What a member has from its admission.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The node's certificate with its key.
    pub node: Credentials,
    /// The alliance's CA, without revocation lists.
    pub anchors: TrustAnchors,
    /// The roster, not verified yet: open the note with the key, and compare each pseudonym key with its `check`.
    pub roster: RosterHandover,
    /// The pseudonym keys.
    pub keys: Vec<PseudonymSecret>,
}

impl Admission {
    /// Answers `request`: certifies its node key and seals `keys` for it. The roster must name the member already.
    ///
    /// # Errors
    /// Those of [`JoinRequest::verify`]; [`AllianceError::OtherMember`] where the request is for another alliance than `ca`'s;
    /// [`AllianceError::Envelope`], [`AllianceError::Certificate`], [`AllianceError::Clock`], [`AllianceError::Entropy`].
    pub fn issue(
        request: &JoinRequest,
        ca: &AllianceCa,
        roster: RosterHandover,
        keys: &[PseudonymSecret],
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AllianceError> {
        request.verify()?;
        if request.alliance != *ca.alliance() {
            return Err(AllianceError::OtherMember);
        }
        let keys = keys.iter().map(|secret| SealedKey::seal(secret, request)).collect::<Result<_, _>>()?;
        Ok(Self {
            format: FORMAT,
            alliance: request.alliance.clone(),
            member: request.member.clone(),
            node_chain: ca.issue_node(&request.member, &request.signing_request, now, entropy)?,
            alliance_ca: ca.certificate().to_owned(),
            roster_key: roster.key,
            roster_note: roster.note,
            keys,
        })
    }

    /// Opens the admission of the member that made `request` and holds `secrets`. What comes out is good under the CA and the
    /// roster key in the file; that these are the alliance's is known once [`Admission::fingerprint`] has been compared with
    /// the secretariat.
    ///
    /// # Errors
    /// [`AllianceError::Format`], [`AllianceError::OtherMember`], [`AllianceError::SealedKey`], and [`AllianceError::Tls`]
    /// where the certificate is not for our key, names somebody else, or is not of the CA.
    pub fn accept(self, request: &JoinRequest, secrets: &MemberSecrets, now: Timestamp) -> Result<Accepted, AllianceError> {
        if self.format != FORMAT {
            return Err(AllianceError::Format);
        }
        if (&self.alliance, &self.member) != (&request.alliance, &request.member) {
            return Err(AllianceError::OtherMember);
        }
        let node = Credentials { chain: self.node_chain, key: secrets.node_key.clone() };
        let anchors = TrustAnchors { ca: self.alliance_ca, crls: vec![] };
        let certificate = verify_node(&node, &anchors, now)?;
        if certificate.identity != (Identity::Node { alliance: self.alliance, member: self.member }) {
            return Err(AllianceError::OtherMember);
        }
        let keys = self.keys.into_iter().map(|sealed| sealed.open(request, secrets)).collect::<Result<_, _>>()?;
        let roster = RosterHandover { note: self.roster_note, key: self.roster_key };
        Ok(Accepted { node, anchors, roster, keys })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`AllianceError::TooLong`], [`AllianceError::Malformed`].
    pub fn from_json(text: &str) -> Result<Self, AllianceError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(AllianceError::TooLong);
        }
        serde_json::from_str(text).map_err(|source| AllianceError::Malformed { what: "admission", source })
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that happens: every field can be written.
    pub fn to_json(&self) -> Result<String, AllianceError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|t| t + "\n").map_err(|source| AllianceError::Malformed { what: "admission", source })
    }

    /// Of the alliance's name, CA and roster key, on which all else hangs: the same for every member, so that the secretariat
    /// can publish it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let alliance = self.alliance.as_str().as_bytes();
        Fingerprint::of(&transcript(FINGERPRINT_LABEL, &[alliance, self.alliance_ca.as_bytes(), &self.roster_key.0]))
    }
}

impl SealedKey {
    fn seal(secret: &PseudonymSecret, request: &JoinRequest) -> Result<Self, AllianceError> {
        let info = info(&request.alliance, &request.member, &secret.id);
        let sealed = envelope::seal(&request.envelope_key, &info, secret.text.as_bytes())?;
        Ok(Self {
            id: secret.id.clone(),
            encapsulated: BASE64.encode(sealed.encapsulated),
            ciphertext: BASE64.encode(sealed.ciphertext),
        })
    }

    fn open(self, request: &JoinRequest, secrets: &MemberSecrets) -> Result<PseudonymSecret, AllianceError> {
        let info = info(&request.alliance, &request.member, &self.id);
        match self.text(&info, secrets) {
            Ok(text) => Ok(PseudonymSecret { id: self.id, text }),
            Err(source) => Err(AllianceError::SealedKey { key: self.id, source: Box::new(source) }),
        }
    }

    fn text(&self, info: &[u8], secrets: &MemberSecrets) -> Result<Zeroizing<String>, AllianceError> {
        let decode = |text: &str| BASE64.decode(text).map_err(|_| AllianceError::EnvelopeContent);
        let sealed = envelope::Sealed { encapsulated: decode(&self.encapsulated)?, ciphertext: decode(&self.ciphertext)? };
        let opened = envelope::open(&secrets.envelope_key, info, sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| AllianceError::EnvelopeContent)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// Binds a sealed key to its purpose, alliance, member and name.
fn info(alliance: &AllianceName, member: &MemberId, key: &KeyId) -> Vec<u8> {
    transcript(SEAL_LABEL, &[alliance.as_str().as_bytes(), member.as_str().as_bytes(), key.as_str().as_bytes()])
}
