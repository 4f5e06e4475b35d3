//! Asking to join: the member makes its secrets and a request that contains none of them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::transcript::{Fingerprint, transcript};
use super::{AllianceError, ClientCa, EnvelopeKey, ed25519, envelope, pki};
use crate::domain::limits::MAX_NAME_CHARS;
use crate::domain::{AllianceName, Entropy, FeedKey, FieldError, MemberId, MemberKind, Timestamp};

/// Layout of the file.
const FORMAT: u32 = 1;
/// What the proof is a signature of. Never used for anything else.
const LABEL: &str = "countermark/join-request/v1";
/// The largest request, with a long signing request, is a fifth of it.
const MAX_FILE_BYTES: usize = 16 * 1_024;
/// Of a signing request of a P-256 key, with room for what other tools add.
const MAX_SIGNING_REQUEST_BYTES: usize = 4 * 1_024;
/// A DNS name of 253 characters, a colon and a port.
const MAX_ADDRESS_BYTES: usize = 259;
/// Bytes of the secret that never leaves the node.
const LOCAL_SECRET_BYTES: usize = 32;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Which alliance is to be joined.
    pub alliance: AllianceName,
    /// The id it would like to have.
    pub member: MemberId,
    /// What it is.
    pub kind: MemberKind,
    /// Its name for people, at most 120 characters.
    pub name: String,
    /// `host:port` at which the other nodes reach its own.
    pub address: String,
}

/// What a member keeps to itself. Each is the text of its file; all are wiped when dropped.
pub struct MemberSecrets {
    /// Of the node's certificate: PEM of PKCS #8.
    pub node_key: Zeroizing<String>,
    /// With it the feeds are signed: 32 bytes in base64.
    pub feed_key: Zeroizing<String>,
    /// Opens what the secretariat seals for the member: 32 bytes in base64.
    pub envelope_key: Zeroizing<String>,
    /// The public part of it.
    pub envelope_public: EnvelopeKey,
    /// For what the node keys for itself alone: 32 bytes in base64.
    pub local_secret: Zeroizing<String>,
    /// Signs the certificates of the member's clients.
    pub client_ca: ClientCa,
}

impl fmt::Debug for MemberSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberSecrets(redacted)")
    }
}

impl MemberSecrets {
    /// New secrets.
    ///
    /// # Errors
    /// [`AllianceError::Entropy`], [`AllianceError::Clock`], [`AllianceError::Certificate`].
    pub fn generate(
        alliance: &AllianceName,
        member: &MemberId,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, AllianceError> {
        let (_, node_key) = pki::signing_request()?;
        let (envelope_public, envelope_key) = envelope::generate()?;
        let mut local_secret = Zeroizing::new([0; LOCAL_SECRET_BYTES]);
        entropy.fill(local_secret.as_mut_slice())?;
        Ok(Self {
            node_key,
            feed_key: ed25519::generate(entropy)?,
            envelope_key,
            envelope_public,
            local_secret: ed25519::secret_text(local_secret.as_slice()),
            client_ca: ClientCa::create(alliance.clone(), member.clone(), now, entropy)?,
        })
    }

    /// Takes a new key for the node's certificate, to have it renewed by a new request. Feeds go on under the same key.
    ///
    /// # Errors
    /// [`AllianceError::Certificate`] where no key can be made; the old one stays.
    pub fn renew_node_key(&mut self) -> Result<(), AllianceError> {
        (_, self.node_key) = pki::signing_request()?;
        Ok(())
    }
}

/// A member's request to be admitted, or to have its certificate renewed. A JSON file without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    format: u32,
    /// The alliance that it is for.
    pub alliance: AllianceName,
    /// The id asked for.
    pub member: MemberId,
    /// What the member is.
    pub kind: MemberKind,
    /// Its name for people.
    pub name: String,
    /// `host:port` of its peer listener.
    pub address: String,
    /// PEM of PKCS #10. Only its key counts.
    pub signing_request: String,
    /// With it the member signs its feeds.
    pub feed_key: FeedKey,
    /// For it the pseudonym keys are sealed.
    pub envelope_key: EnvelopeKey,
    /// Base64 of the feed key's signature over all of the above.
    proof: String,
}

impl JoinRequest {
    /// New secrets, and the request that goes with them.
    ///
    /// # Errors
    /// [`AllianceError::Field`] where the applicant's particulars are not good, and those of [`MemberSecrets::generate`].
    pub fn create(applicant: Applicant, now: Timestamp, entropy: &dyn Entropy) -> Result<(Self, MemberSecrets), AllianceError> {
        let secrets = MemberSecrets::generate(&applicant.alliance, &applicant.member, now, entropy)?;
        Ok((Self::with(applicant, &secrets)?, secrets))
    }

    /// The request of a member that has its secrets, such as to renew a certificate.
    ///
    /// # Errors
    /// [`AllianceError::Field`] where the particulars are not good; [`AllianceError::Tls`], [`AllianceError::FeedKey`] where a
    /// secret is not.
    pub fn with(applicant: Applicant, secrets: &MemberSecrets) -> Result<Self, AllianceError> {
        let mut request = Self {
            format: FORMAT,
            alliance: applicant.alliance,
            member: applicant.member,
            kind: applicant.kind,
            name: applicant.name,
            address: applicant.address,
            signing_request: pki::signing_request_for(&secrets.node_key)?,
            feed_key: ed25519::public(&secrets.feed_key)?,
            envelope_key: secrets.envelope_public,
            proof: String::new(),
        };
        request.check_fields()?;
        request.proof = BASE64.encode(ed25519::sign(&secrets.feed_key, &request.signed_bytes())?);
        Ok(request)
    }

    /// Reads the file and verifies it.
    ///
    /// # Errors
    /// [`AllianceError::TooLong`], [`AllianceError::Malformed`], and those of [`JoinRequest::verify`].
    pub fn from_json(text: &str) -> Result<Self, AllianceError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(AllianceError::TooLong);
        }
        let request: Self =
            serde_json::from_str(text).map_err(|source| AllianceError::Malformed { what: "join request", source })?;
        request.verify()?;
        Ok(request)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that happens: every field can be written.
    pub fn to_json(&self) -> Result<String, AllianceError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|t| t + "\n").map_err(|source| AllianceError::Malformed { what: "join request", source })
    }

    /// Whether the request is whole, and its sender holds the keys in it. Says nothing about who the sender is: for that the
    /// secretariat compares [`JoinRequest::fingerprint`] with the member.
    ///
    /// # Errors
    /// [`AllianceError::Format`], [`AllianceError::Field`], [`AllianceError::SigningRequest`], [`AllianceError::Proof`].
    pub fn verify(&self) -> Result<(), AllianceError> {
        if self.format != FORMAT {
            return Err(AllianceError::Format);
        }
        self.check_fields()?;
        let proof = BASE64.decode(&self.proof).map_err(|_| AllianceError::Proof)?;
        if !ed25519::verify(&self.feed_key, &self.signed_bytes(), &proof) {
            return Err(AllianceError::Proof);
        }
        pki::public_key_of(&self.signing_request)?;
        Ok(())
    }

    /// For the member and the secretariat to compare by another way than the file came.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.signed_bytes())
    }

    /// The bytes that the feed key signs: every field, in the order of the file.
    fn signed_bytes(&self) -> Vec<u8> {
        transcript(
            LABEL,
            &[
                self.alliance.as_str().as_bytes(),
                self.member.as_str().as_bytes(),
                self.kind.as_str().as_bytes(),
                self.name.as_bytes(),
                self.address.as_bytes(),
                self.signing_request.as_bytes(),
                &self.feed_key.0,
                &self.envelope_key.0,
            ],
        )
    }

    fn check_fields(&self) -> Result<(), AllianceError> {
        pki::dns_name(&self.alliance, &self.member)?;
        let chars = self.name.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&chars) || self.name.chars().any(char::is_control) || self.name.trim() != self.name {
            return Err(field("NAME_INVALID", "name", "give 1 to 120 characters on one line, without blanks around them"));
        }
        if !is_address(&self.address) {
            return Err(field("ADDRESS_INVALID", "address", "give host:port, such as node.acme.example:7101"));
        }
        if self.signing_request.len() > MAX_SIGNING_REQUEST_BYTES {
            return Err(field("CSR_TOO_LONG", "signing_request", "give a signing request of at most 4096 bytes"));
        }
        Ok(())
    }
}

fn field(code: &'static str, field: &'static str, message: &'static str) -> AllianceError {
    AllianceError::Field(FieldError::new(code, field, message))
}

/// Whether `text` is `host:port`: a DNS name, an IPv4 address, or an IPv6 address in brackets, and a port above 0.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let canonical_port = port.parse::<u16>().is_ok_and(|p| p > 0 && p.to_string() == port);
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.contains(':') && rustls::pki_types::ServerName::try_from(host).is_ok(),
    };
    text.len() <= MAX_ADDRESS_BYTES && canonical_port && host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["node.acme.example:7101", "127.0.0.1:1", "[::1]:7101", "localhost:65535"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "node", "node:", "node:0", "node:07", "node:65536", "node:+1", "::1:7101", "[::1]", "a b:1", ":1"] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn the_signed_bytes_and_their_signature_never_change() {
        let seed = ed25519::secret_text(&[7; 32]);
        let request = JoinRequest {
            format: FORMAT,
            alliance: "alliance.example".parse().expect("valid"),
            member: "acme".parse().expect("valid"),
            kind: MemberKind::Brand,
            name: "Acme".into(),
            address: "node.acme.example:7101".into(),
            signing_request: "-----BEGIN CERTIFICATE REQUEST-----\n".into(),
            feed_key: ed25519::public(&seed).expect("a key"),
            envelope_key: EnvelopeKey([9; 32]),
            proof: String::new(),
        };
        let bytes = request.signed_bytes();
        let head =
            b"\0\0\0\x1bcountermark/join-request/v1\0\0\0\x10alliance.example\0\0\0\x04acme\0\0\0\x05brand\0\0\0\x04Acme";
        assert_eq!(bytes[..head.len()], head[..]);
        assert_eq!(
            request.fingerprint().to_string(),
            "88f0 15d2 b0d4 c2b5 358d d8ec 849e 28e0 8998 43e9 7f97 2620 d43e d3b0 ba2d 3290"
        );
        let signature = ed25519::sign(&seed, &bytes).expect("signed");
        assert_eq!(
            BASE64.encode(signature),
            "t05EOFtJs6bU1OPxH8t1UfGe73LwiVZlOSlwE2szjrefgWxhWfiQnmh5sNy3gaJWwhQFZ+Q1M58akdg1OnElDA=="
        );
    }
}
