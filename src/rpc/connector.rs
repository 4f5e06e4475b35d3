//! Dials a node: TCP, TLS, HTTP/2, with errors that say which of them failed and why.
//!
//! In TLS 1.3 a client is done before the server has looked at its certificate, so that a refusal would show as an opaque
//! failure of the first call. An HTTP/2 server speaks first (RFC 9113, 3.4): a connection counts as open here only once the
//! node has said something, or its refusal arrives in place of it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error as Tls};
use tokio::io::AsyncBufReadExt as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::line::Line;
use super::names;
use crate::domain::limits::{HANDSHAKE_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};

/// Opens a channel to the node at `address` (`host:port`). TLS verifies `server_name`, whatever address is dialled. A channel
/// whose connection breaks dials again with the same configuration at its next call.
///
/// # Errors
/// What failed; nothing is tried twice.
pub async fn connect(address: &str, server_name: String, config: Arc<ClientConfig>) -> Result<Channel, ConnectError> {
    connect_within(HANDSHAKE_TIMEOUT, address, server_name, config).await
}

/// `limit` is the time for TCP, and again for TLS and the node's first word.
async fn connect_within(
    limit: Duration,
    address: &str,
    server_name: String,
    config: Arc<ClientConfig>,
) -> Result<Channel, ConnectError> {
    let name = ServerName::try_from(server_name.clone()).map_err(|_| ConnectError::ServerName)?;
    // The scheme is http because TLS is ours and not tonic's; the name is what goes into `:authority`.
    let endpoint = Endpoint::from_shared(format!("http://{server_name}"))
        .map_err(|_| ConnectError::ServerName)?
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let target = Arc::new(Target { address: address.to_owned(), name, connector: TlsConnector::from(config), limit });
    let dial = tower::service_fn(move |_| {
        let target = Arc::clone(&target);
        async move { target.dial().await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(dial).await.map_err(|error| {
        let ours = find(&error).cloned();
        ours.unwrap_or_else(|| ConnectError::Http(Arc::new(error)))
    })
}

struct Target {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
    limit: Duration,
}

impl Target {
    async fn dial(&self) -> Result<TlsStream<Line>, ConnectError> {
        let unreachable = |error| ConnectError::Unreachable(Arc::new(error));
        let tcp = tokio::time::timeout(self.limit, names::connect(&self.address))
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        tokio::time::timeout(self.limit, self.open(Line::new(tcp))).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self, line: Line) -> Result<TlsStream<Line>, ConnectError> {
        let handshake = self.connector.connect(self.name.clone(), line).await;
        let mut stream = handshake.map_err(ConnectError::of_handshake)?;
        match stream.fill_buf().await {
            Ok([]) => Err(ConnectError::NotAdmitted),
            Ok(_) => Ok(stream),
            Err(error) => Err(ConnectError::of_handshake(error)),
        }
    }
}

/// Why there is no connection to a node.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The name that TLS should verify is not a DNS name.
    #[error("the node's name is not a DNS name")]
    ServerName,
    /// No TCP connection.
    #[error("the node cannot be reached")]
    Unreachable(#[source] Arc<io::Error>),
    /// No answer in time.
    #[error("the node does not answer")]
    Timeout,
    /// The certificate of the node is not good, or is another node's.
    #[error("the node's certificate is not accepted")]
    Certificate(#[source] Tls),
    /// What answers does not speak TLS 1.3 with HTTP/2 as the alliance does.
    #[error("what answers at the address does not speak TLS as a node does")]
    Protocol(#[source] Tls),
    /// The node did not accept our certificate.
    #[error("the node refused the certificate presented to it")]
    CertificateRefused(#[source] Tls),
    /// The node accepted our certificate and does not serve the one it names.
    #[error("the node does not serve this identity")]
    NotAdmitted,
    /// The connection was lost before the node said anything.
    #[error("the node closed the connection")]
    Closed(#[source] Arc<io::Error>),
    /// HTTP/2 failed.
    #[error("HTTP/2 failed")]
    Http(#[source] Arc<tonic::transport::Error>),
}

impl ConnectError {
    fn of_handshake(error: io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<Tls>()) {
            Some(tls @ Tls::InvalidCertificate(_)) => Self::Certificate(tls.clone()),
            Some(tls @ Tls::AlertReceived(alert)) if concerns_certificate(*alert) => Self::CertificateRefused(tls.clone()),
            Some(tls) => Self::Protocol(tls.clone()),
            None => Self::Closed(Arc::new(error)),
        }
    }

    /// Stable; part of the interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ServerName => "PEER_NAME",
            Self::Unreachable(_) => "PEER_UNREACHABLE",
            Self::Timeout => "PEER_TIMEOUT",
            Self::Certificate(_) => "PEER_CERTIFICATE",
            Self::Protocol(_) => "PEER_PROTOCOL",
            Self::CertificateRefused(_) => "PEER_REFUSED_CERTIFICATE",
            Self::NotAdmitted => "PEER_REFUSED_IDENTITY",
            Self::Closed(_) => "PEER_CLOSED",
            Self::Http(_) => "PEER_HTTP",
        }
    }

    /// What to do about it, for a person.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::ServerName => "give the node's name as <member>.<alliance>",
            Self::Unreachable(_) => "check the address, that the node is running, and the firewalls on the way",
            Self::Timeout => {
                "check the address, the name server and the firewalls on the way; a node that is overloaded also answers late"
            }
            Self::Certificate(_) => {
                "check that the address is this member's node, that the CA file is the alliance's, and both clocks"
            }
            Self::Protocol(_) => "check that the port is a node's listener and that nothing on the way ends TLS",
            Self::CertificateRefused(Tls::AlertReceived(alert)) => advice_on(*alert),
            Self::CertificateRefused(_) => ADVICE_CERTIFICATE,
            Self::NotAdmitted => {
                "nodes are served on the peer listener while their member is active, clients on their own member's client \
                 listener while the node's configuration lists them; check the port, the certificate's SPIFFE id and \
                 [[clients.access]]"
            }
            Self::Closed(_) => "try again; where it stays, look for the refusal in the node's log",
            Self::Http(_) => "try again; where it stays, compare the versions of both programs",
        }
    }
}

const ADVICE_CERTIFICATE: &str = "the node's log says why it refused the certificate; most often it is of another CA than the \
     listener's: nodes use the peer listener, clients the client listener";

fn concerns_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
}

fn advice_on(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRevoked => "the certificate presented has been revoked; ask for a new one",
        AlertDescription::CertificateExpired => "the certificate presented has expired; renew it, and check both clocks",
        AlertDescription::CertificateRequired => "the node wants a certificate; none was presented",
        _ => ADVICE_CERTIFICATE,
    }
}

/// What to do about a failed call, for a person; `None` where the status speaks for itself. Finds the reason of a connection
/// that could not be made again, and translates what HTTP/2 says of one that broke.
#[must_use]
pub fn explain(status: &tonic::Status) -> Option<&'static str> {
    if let Some(error) = find(status) {
        return Some(error.advice());
    }
    match status.code() {
        tonic::Code::Cancelled if status.message().contains("Timeout expired") => {
            Some("the call took longer than allowed; whether it was carried out is not known")
        }
        tonic::Code::Cancelled | tonic::Code::Unavailable | tonic::Code::Unknown if status.source().is_some() => {
            Some("the connection to the node broke; try again, and look for a refusal in the node's log where it stays")
        }
        _ => None,
    }
}

/// The error of the dial within what tonic wrapped around it.
fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ConnectError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
