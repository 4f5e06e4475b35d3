//! Lets callers in: TCP, TLS, identity, admission, each with its bound.
//!
//! The stream of connections owns all that it started: dropping it ends the handshakes under way and closes the socket. A
//! caller that is refused is logged here, once, and nowhere else. Nothing here knows what the listener serves.

mod connection;
mod handshakes;
mod open;
mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::Stream;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use handshakes::Handshakes;
use open::Registration;
use refusal::RefusalLog;

pub use connection::{PeerInfo, TlsConnection};
pub use open::OpenConnections;
pub use refusal::{Refusal, RefusalCode};

use super::identity::{Certificate, Identity, IdentityError};
use super::line::Line;
use crate::domain::limits::{
    HANDSHAKE_TIMEOUT, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_CLIENT, MAX_CONNECTIONS_PER_NODE, MAX_HANDSHAKES,
};
use crate::domain::{AllianceName, ClientName, MemberId};

/// First and longest wait after the operating system gave no connection, such as when file descriptors are used up.
const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// How much a listener takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// For a handshake with all that belongs to it.
    pub handshake_timeout: Duration,
    /// Handshakes under way, beside the connections that are open. One more takes the place of one of the address that has the most.
    pub handshakes: usize,
    /// Connections open. More wait for one that closes, until their handshake's time is over.
    pub connections: usize,
    /// Connections open of one identity. One more closes its oldest.
    pub connections_each: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshake_timeout: HANDSHAKE_TIMEOUT,
            handshakes: MAX_HANDSHAKES,
            connections: MAX_CONNECTIONS,
            connections_each: MAX_CONNECTIONS,
        }
    }
}

impl Bounds {
    /// Those of the peer listener, where each caller is one node.
    #[must_use]
    pub fn of_peers() -> Self {
        Self { connections_each: MAX_CONNECTIONS_PER_NODE, ..Self::default() }
    }

    /// Those of the client listener, where one client may be many processes.
    #[must_use]
    pub fn of_clients() -> Self {
        Self { connections_each: MAX_CONNECTIONS_PER_CLIENT, ..Self::default() }
    }
}

type Admit = dyn Fn(&Identity) -> Result<(), RefusalCode> + Send + Sync;
type Observe = dyn Fn(&Refusal) + Send + Sync;

/// How a listener lets callers in.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ArcSwap<ServerConfig>>,
    admit: Arc<Admit>,
    on_refused: Arc<Observe>,
    bounds: Bounds,
    open: OpenConnections,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Every handshake uses the configuration that `config` holds when it begins. `admit` decides about callers with a good
    /// certificate; see [`peers_of`] and [`clients_of`].
    pub fn new(
        config: Arc<ArcSwap<ServerConfig>>,
        admit: impl Fn(&Identity) -> Result<(), RefusalCode> + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            admit: Arc::new(admit),
            on_refused: Arc::new(|_| {}),
            bounds: Bounds::default(),
            open: OpenConnections::default(),
        }
    }

    /// Tells `on_refused` of every refusal as well, for metrics. It is called on the listener's own task: it must not block.
    #[must_use]
    pub fn on_refused(mut self, on_refused: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.on_refused = Arc::new(on_refused);
        self
    }

    /// Other bounds than the usual.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// The connections that are open, to count them and to close those whose right has ended.
    #[must_use]
    pub fn open_connections(&self) -> OpenConnections {
        self.open.clone()
    }

    /// Admitted callers, for tonic's `serve_with_incoming_shutdown`. Ends on `shutdown`; connections handed out live on. It
    /// never yields an error: what concerns one caller is a [`Refusal`], and what concerns the listener is waited out.
    pub fn accept(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> impl Stream<Item = io::Result<TlsConnection>> + Send {
        let incoming = Incoming {
            permits: Arc::new(Semaphore::new(self.bounds.connections)),
            handshakes: Handshakes::at_most(self.bounds.handshakes),
            acceptor: self,
            listener,
            shutdown,
            failures: 0,
            resume_at: Instant::now(),
            refusals: RefusalLog::new(),
        };
        futures_util::stream::unfold(incoming, |mut incoming| async move {
            let connection = incoming.next().await?;
            Some((Ok(connection), incoming))
        })
    }
}

/// Admits the nodes of active members of `alliance`. `is_active` asks the newest roster.
pub fn peers_of(
    alliance: AllianceName,
    is_active: impl Fn(&MemberId) -> bool + Send + Sync + 'static,
) -> impl Fn(&Identity) -> Result<(), RefusalCode> + Send + Sync + 'static {
    move |identity| match identity {
        Identity::Node { alliance: theirs, .. } if *theirs != alliance => Err(RefusalCode::IdentityRefused),
        Identity::Node { member, .. } if !is_active(member) => Err(RefusalCode::MemberNotActive),
        Identity::Node { .. } => Ok(()),
        Identity::Client { .. } => Err(RefusalCode::IdentityRefused),
    }
}

/// Admits the clients of `own`, a member of `alliance`. `is_listed` asks the newest list of those that may do anything at all.
pub fn clients_of(
    alliance: AllianceName,
    own: MemberId,
    is_listed: impl Fn(&ClientName) -> bool + Send + Sync + 'static,
) -> impl Fn(&Identity) -> Result<(), RefusalCode> + Send + Sync + 'static {
    move |identity| match identity {
        Identity::Client { alliance: theirs, member, name } if *theirs == alliance && *member == own => {
            if is_listed(name) {
                Ok(())
            } else {
                Err(RefusalCode::ClientNotListed)
            }
        }
        Identity::Client { .. } | Identity::Node { .. } => Err(RefusalCode::IdentityRefused),
    }
}

/// A listener at work.
struct Incoming {
    acceptor: Acceptor,
    listener: TcpListener,
    shutdown: CancellationToken,
    permits: Arc<Semaphore>,
    handshakes: Handshakes<Result<TlsConnection, Refusal>>,
    /// Times in a row that the operating system gave no connection.
    failures: u32,
    resume_at: Instant,
    refusals: RefusalLog,
}

impl Incoming {
    async fn next(&mut self) -> Option<TlsConnection> {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    self.handshakes.shutdown().await;
                    self.refusals.sum_up();
                    return None;
                }
                () = self.refusals.until_due() => self.refusals.sum_up(),
                Some(ended) = self.handshakes.next() => {
                    if let Some(connection) = self.settle(ended) {
                        return Some(connection);
                    }
                }
                accepted = accept_one(&self.listener, self.resume_at) => match accepted {
                    Ok((tcp, remote)) => self.begin(tcp, remote),
                    Err(error) => self.back_off(&error),
                }
            }
        }
    }

    fn begin(&mut self, tcp: TcpStream, remote: SocketAddr) {
        self.failures = 0;
        let (acceptor, permits) = (self.acceptor.clone(), self.permits.clone());
        let evicted = self.handshakes.begin(remote, async move { acceptor.let_in(tcp, remote, permits).await });
        if let Some(remote) = evicted {
            self.refuse(&Refusal { code: RefusalCode::Crowded, remote, identity: None });
        }
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.refusals.log(refusal);
        (self.acceptor.on_refused)(refusal);
    }

    fn settle(&mut self, ended: Result<Result<TlsConnection, Refusal>, JoinError>) -> Option<TlsConnection> {
        match ended {
            Ok(Ok(connection)) => Some(connection),
            Ok(Err(refusal)) => {
                self.refuse(&refusal);
                None
            }
            // It made room for another, and its caller is noted already.
            Err(error) if error.is_cancelled() => None,
            Err(error) => {
                tracing::error!(code = "HANDSHAKE_PANICKED", %error, "a handshake ended by a fault of this program");
                None
            }
        }
    }

    /// Without a wait, a process without file descriptors would spin here, and hold up those that could give some back.
    fn back_off(&mut self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return; // The caller was gone before it was taken from the backlog.
        }
        let (first, last) = ACCEPT_BACKOFF;
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(last);
        self.failures = self.failures.saturating_add(1);
        self.resume_at = Instant::now() + wait;
        tracing::warn!(code = "ACCEPT_FAILED", %error, wait_ms = wait.as_millis(), "no connection can be taken");
    }
}

/// The next caller. Nothing is lost where this is dropped before it is ready.
async fn accept_one(listener: &TcpListener, resume_at: Instant) -> io::Result<(TcpStream, SocketAddr)> {
    tokio::time::sleep_until(resume_at).await;
    listener.accept().await
}

impl Acceptor {
    async fn let_in(&self, tcp: TcpStream, remote: SocketAddr, permits: Arc<Semaphore>) -> Result<TlsConnection, Refusal> {
        let refused = |code| Refusal { code, remote, identity: None };
        let of_handshake = |error: io::Error| refused(RefusalCode::of_handshake(&error));
        let until = Instant::now() + self.bounds.handshake_timeout;
        tcp.set_nodelay(true).map_err(of_handshake)?;
        let config = self.config.load_full();
        let handshake = TlsAcceptor::from(Arc::clone(&config)).accept(Line::new(tcp));
        let handshake = timeout_at(until, handshake).await.map_err(|_| refused(RefusalCode::Timeout))?;
        let mut stream = handshake.map_err(of_handshake)?;
        // Only now: whoever has no certificate takes no connection from those who have one.
        let permit = timeout_at(until, permits.acquire_owned()).await.ok().and_then(Result::ok);
        let judged = permit.ok_or_else(|| refused(RefusalCode::Full)).and_then(|permit| {
            let (peer, registration) = self.judge(&stream, remote, &config)?;
            Ok((peer, registration, permit))
        });
        match judged {
            Ok((peer, registration, permit)) => {
                Ok(TlsConnection::new(stream, peer, registration, permit, self.bounds.handshake_timeout))
            }
            Err(refusal) => {
                // The caller learns that it was turned away, and did not lose the line. Where it is gone already, so be it.
                drop(timeout_at(until, stream.shutdown()).await);
                Err(refusal)
            }
        }
    }

    /// Decides about a caller whose certificate TLS has verified under `config`.
    fn judge(
        &self,
        stream: &TlsStream<Line>,
        remote: SocketAddr,
        config: &Arc<ServerConfig>,
    ) -> Result<(PeerInfo, Registration), Refusal> {
        let unknown = |code| Refusal { code, remote, identity: None };
        // TLS refuses who offers other protocols than HTTP/2, and not who offers none (RFC 9113, 3.3).
        stream.get_ref().1.alpn_protocol().ok_or_else(|| unknown(RefusalCode::Incompatible))?;
        let certificate = certificate_of(stream).map_err(|error| unknown(RefusalCode::Identity(error)))?;
        let peer = PeerInfo {
            identity: certificate.identity,
            remote,
            certificate_serial: certificate.serial,
            certificate_not_after: certificate.not_after,
            close: CancellationToken::new(),
        };
        // Registered first and judged then: who replaces the configuration or the roster and closes connections after it
        // finds either this one, or the replacement is seen here.
        let registration = self.open.register(peer.clone(), self.bounds.connections_each);
        let refused = |code| Refusal { code, remote, identity: Some(peer.identity.clone()) };
        (self.admit)(&peer.identity).map_err(refused)?;
        if !Arc::ptr_eq(config, &self.config.load()) {
            return Err(refused(RefusalCode::Reloaded));
        }
        Ok((peer, registration))
    }
}

fn certificate_of(stream: &TlsStream<Line>) -> Result<Certificate, IdentityError> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Certificate::read(chain.first().ok_or(IdentityError::Malformed)?)
}
