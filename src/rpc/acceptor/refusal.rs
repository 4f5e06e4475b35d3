use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::{CertificateError, Error as Tls};
use tokio::time::Instant;

use crate::domain::limits::MAX_REFUSALS_LOGGED;
use crate::rpc::identity::{Identity, IdentityError};

/// Why a caller was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// It closed before it had said all: a probe, or a client that did not like our certificate and said nothing.
    Closed,
    /// It did not end the handshake in time.
    Timeout,
    /// Its address has too many handshakes under way.
    Crowded,
    /// As many connections are open as the listener takes, and none of them closed in time.
    Full,
    /// It does not speak TLS.
    NotTls,
    /// It does not offer TLS 1.3 with our algorithms and HTTP/2.
    Incompatible,
    /// It refused us: most often it knows another CA, or dialled another name.
    RefusedUs,
    /// It presented no certificate.
    NoCertificate,
    /// Its certificate is not of this listener's CA.
    UnknownIssuer,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet: one of the clocks is wrong.
    NotYetValid,
    /// Its certificate is on the revocation list.
    Revoked,
    /// No revocation list says anything about its certificate.
    RevocationUnknown,
    /// Its certificate is bad in another way, such as one that is not for clients.
    Certificate,
    /// The handshake failed in another way.
    Handshake,
    /// Its certificate is good and names nobody.
    Identity(IdentityError),
    /// It is somebody whom this listener does not serve: of another alliance, a client among nodes, another member's client.
    IdentityRefused,
    /// It is of a member that is not active in the roster.
    MemberNotActive,
    /// It is a client of this member that the node's configuration does not list.
    ClientNotListed,
    /// The certificates or revocation lists were replaced during the handshake; dialling again is enough.
    Reloaded,
}

impl RefusalCode {
    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Closed => "TLS_CLOSED",
            Self::Timeout => "TLS_TIMEOUT",
            Self::Crowded => "TLS_CROWDED",
            Self::Full => "TLS_FULL",
            Self::NotTls => "TLS_NOT_TLS",
            Self::Incompatible => "TLS_INCOMPATIBLE",
            Self::RefusedUs => "TLS_REFUSED_US",
            Self::NoCertificate => "TLS_NO_CERTIFICATE",
            Self::UnknownIssuer => "TLS_UNKNOWN_ISSUER",
            Self::Expired => "TLS_EXPIRED",
            Self::NotYetValid => "TLS_NOT_YET_VALID",
            Self::Revoked => "TLS_REVOKED",
            Self::RevocationUnknown => "TLS_REVOCATION_UNKNOWN",
            Self::Certificate => "TLS_CERTIFICATE",
            Self::Handshake => "TLS_HANDSHAKE",
            Self::Identity(error) => error.code(),
            Self::IdentityRefused => "IDENTITY_REFUSED",
            Self::MemberNotActive => "MEMBER_NOT_ACTIVE",
            Self::ClientNotListed => "CLIENT_NOT_LISTED",
            Self::Reloaded => "TLS_RELOADED",
        }
    }

    /// What a failed handshake was about.
    pub(super) fn of_handshake(error: &io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<Tls>()) {
            Some(Tls::NoCertificatesPresented) => Self::NoCertificate,
            Some(Tls::InvalidCertificate(e)) => Self::of_certificate(e),
            Some(Tls::PeerIncompatible(_) | Tls::NoApplicationProtocol) => Self::Incompatible,
            Some(Tls::InvalidMessage(_)) => Self::NotTls,
            Some(Tls::AlertReceived(_)) => Self::RefusedUs,
            Some(_) => Self::Handshake,
            None => Self::Closed,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            // A CA of the same name with another key shows as a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus => Self::RevocationUnknown,
            _ => Self::Certificate,
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A caller that was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// Where it called from.
    pub remote: SocketAddr,
    /// Who it is, where its certificate was good.
    pub identity: Option<Identity>,
}

impl Refusal {
    /// The one log line about it. Of the certificate it shows the SPIFFE id, and that only where the CA vouches for it.
    fn log(&self) {
        let (code, remote) = (self.code.code(), self.remote);
        match (&self.identity, self.code) {
            // Load balancers and port monitors connect and go; that is no news.
            (None, RefusalCode::Closed) => tracing::debug!(code, %remote, "caller left before the handshake ended"),
            (None, _) => tracing::warn!(code, %remote, "caller refused"),
            (Some(identity), _) => tracing::warn!(code, %remote, %identity, "caller refused"),
        }
    }
}

/// Logs refusals, one line each up to [`MAX_REFUSALS_LOGGED`] in a second and one more line for all beyond.
#[derive(Debug)]
pub(super) struct RefusalLog {
    /// When the second ends that is counted now.
    until: Instant,
    logged: u32,
    held_back: u64,
}

impl RefusalLog {
    const SECOND: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self { until: Instant::now() + Self::SECOND, logged: 0, held_back: 0 }
    }

    pub(super) fn log(&mut self, refusal: &Refusal) {
        if Instant::now() >= self.until {
            self.sum_up();
        }
        if self.logged < MAX_REFUSALS_LOGGED {
            self.logged += 1;
            refusal.log();
        } else {
            self.held_back += 1;
        }
    }

    /// Ready when there is something to sum up and its second is over.
    pub(super) async fn until_due(&self) {
        if self.held_back == 0 {
            std::future::pending().await
        }
        tokio::time::sleep_until(self.until).await;
    }

    /// Says what was held back, and begins a new second.
    pub(super) fn sum_up(&mut self) {
        if self.held_back > 0 {
            tracing::warn!(code = "CALLERS_REFUSED", count = self.held_back, "more callers were refused within a second");
        }
        *self = Self::new();
    }
}
