//! Who is at the other end: read once from the certificate that TLS has verified, then handed down as a type.
//!
//! Nothing here verifies a signature or a date; [`Certificate::read`] is for certificates that a verifier has accepted, and
//! for one's own. A certificate says exactly one thing, or it is refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::domain::{AllianceName, ClientName, MemberId, Timestamp};

/// Whom a certificate names. Written as the SPIFFE id in its one SAN URI.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// `spiffe://<alliance>/member/<id>/node`: a member's node.
    Node {
        /// The alliance that the node takes part in.
        alliance: AllianceName,
        /// Whose node it is.
        member: MemberId,
    },
    /// `spiffe://<alliance>/member/<id>/client/<name>`: a program or person of a member's staff.
    Client {
        /// The alliance of the member.
        alliance: AllianceName,
        /// Whose client it is.
        member: MemberId,
        /// Its name among the member's clients.
        name: ClientName,
    },
}

impl Identity {
    /// The alliance that the certificate is for.
    #[must_use]
    pub fn alliance(&self) -> &AllianceName {
        match self {
            Self::Node { alliance, .. } | Self::Client { alliance, .. } => alliance,
        }
    }

    /// The member that the certificate speaks for.
    #[must_use]
    pub fn member(&self) -> &MemberId {
        match self {
            Self::Node { member, .. } | Self::Client { member, .. } => member,
        }
    }

    /// Its own name on the listener that serves it: a client's, or the member whose node it is.
    #[must_use]
    pub fn own_name(&self) -> &str {
        match self {
            Self::Client { name, .. } => name.as_str(),
            Self::Node { member, .. } => member.as_str(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { alliance, member } => write!(f, "spiffe://{alliance}/member/{member}/node"),
            Self::Client { alliance, member, name } => write!(f, "spiffe://{alliance}/member/{member}/client/{name}"),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Reads a SPIFFE id of one of the two forms: no other scheme, case, port, query or empty segment.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let invalid = || IdentityError::SpiffeId;
        let mut parts = text.strip_prefix("spiffe://").ok_or_else(invalid)?.split('/');
        let alliance = parts.next().and_then(|p| p.parse().ok()).ok_or_else(invalid)?;
        let member = match (parts.next(), parts.next()) {
            (Some("member"), Some(id)) => id.parse().map_err(|_| invalid())?,
            _ => return Err(invalid()),
        };
        match (parts.next(), parts.next(), parts.next()) {
            (Some("node"), None, None) => Ok(Self::Node { alliance, member }),
            (Some("client"), Some(name), None) => {
                Ok(Self::Client { alliance, member, name: name.parse().map_err(|_| invalid())? })
            }
            _ => Err(invalid()),
        }
    }
}

/// Number of a certificate among those of its issuer (RFC 5280, 4.1.2.2): big-endian, without leading zeros.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateSerial(Arc<[u8]>);

impl CertificateSerial {
    /// From the contents of a DER integer; leading zeros do not count.
    #[must_use]
    pub fn from_der_integer(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default().into())
    }

    /// The number, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CertificateSerial {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateSerial({self})")
    }
}

/// What a certificate says that the program acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub identity: Identity,
    /// Its number, by which it is revoked.
    pub serial: CertificateSerial,
    /// The last instant at which it is good.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Reads an end-entity certificate.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] where it is not one X.509 certificate; the others where it does not name one identity in
    /// the way of the alliance.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Malformed)?;
        if !rest.is_empty() {
            return Err(IdentityError::Malformed);
        }
        let seconds = certificate.validity().not_after.timestamp();
        Ok(Self {
            identity: identity_of(&certificate)?,
            serial: CertificateSerial::from_der_integer(certificate.raw_serial()),
            not_after: Timestamp::from_unix_ms(seconds.saturating_mul(1_000)),
        })
    }
}

fn identity_of(certificate: &X509Certificate<'_>) -> Result<Identity, IdentityError> {
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Malformed)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    if names.iter().any(|n| matches!(n, GeneralName::Invalid(..))) {
        return Err(IdentityError::Malformed);
    }
    let uris: Vec<&str> = names.iter().filter_map(|n| if let GeneralName::URI(uri) = n { Some(*uri) } else { None }).collect();
    let [uri] = uris[..] else { return Err(IdentityError::UriCount) };
    let identity: Identity = uri.parse()?;
    if let Identity::Node { alliance, member } = &identity {
        let expected = alliance.node_dns_name(member);
        if !names.iter().any(|n| matches!(n, GeneralName::DNSName(name) if *name == expected)) {
            return Err(IdentityError::DnsName);
        }
    }
    Ok(identity)
}

/// Why a certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the certificate is malformed")]
    Malformed,
    /// It has no SAN URI, or more than one.
    #[error("the certificate must have exactly one SAN URI")]
    UriCount,
    /// The URI has another form.
    #[error("the SAN URI must be spiffe://<alliance>/member/<id>/node or spiffe://<alliance>/member/<id>/client/<name>")]
    SpiffeId,
    /// A node's certificate lacks the name that TLS verifies.
    #[error("a node's certificate must have the DNS name <id>.<alliance>")]
    DnsName,
}

impl IdentityError {
    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "CERTIFICATE_MALFORMED",
            Self::UriCount | Self::SpiffeId => "CERTIFICATE_IDENTITY",
            Self::DnsName => "CERTIFICATE_DNS_NAME",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_one_spelling() {
        for text in ["spiffe://alliance.example/member/acme/node", "spiffe://alliance.example/member/acme/client/crawler-1"] {
            assert_eq!(text.parse::<Identity>().expect(text).to_string(), text);
        }
        for bad in [
            "",
            "spiffe://",
            "spiffe://alliance.example",
            "SPIFFE://alliance.example/member/acme/node",
            "https://alliance.example/member/acme/node",
            "spiffe://Alliance.example/member/acme/node",
            "spiffe://alliance.example:443/member/acme/node",
            "spiffe://user@alliance.example/member/acme/node",
            "spiffe://alliance.example/member/acme",
            "spiffe://alliance.example/member/acme/",
            "spiffe://alliance.example/member//node",
            "spiffe://alliance.example/member/acme/node/",
            "spiffe://alliance.example/member/acme/node/x",
            "spiffe://alliance.example/member/acme/node?x=1",
            "spiffe://alliance.example/member/acme/node#x",
            "spiffe://alliance.example/member/acme/client",
            "spiffe://alliance.example/member/acme/client/",
            "spiffe://alliance.example/member/acme/client/a/b",
            "spiffe://alliance.example/member/acme/client/../node",
            "spiffe://alliance.example/member/%61cme/node",
            " spiffe://alliance.example/member/acme/node",
        ] {
            assert_eq!(bad.parse::<Identity>(), Err(IdentityError::SpiffeId), "{bad}");
        }
    }

    #[test]
    fn a_serial_has_no_leading_zeros() {
        assert_eq!(CertificateSerial::from_der_integer(&[0, 0x8f, 0]).to_string(), "8f00");
        assert_eq!(CertificateSerial::from_der_integer(&[0]).as_bytes(), b"");
    }
}
