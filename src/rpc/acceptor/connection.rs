use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::open::Registration;
use crate::domain::Timestamp;
use crate::rpc::identity::{CertificateSerial, Identity};
use crate::rpc::line::Line;

/// Bytes of the preface that a client begins HTTP/2 with (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// Who is at the other end of a connection: the only source of member and role in a handler.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Whom the verified certificate names.
    pub identity: Identity,
    /// Where the connection comes from.
    pub remote: SocketAddr,
    /// Number of the certificate.
    pub certificate_serial: CertificateSerial,
    /// The last instant at which the certificate is good.
    pub certificate_not_after: Timestamp,
    /// Cancelled where the connection is to close.
    pub(in crate::rpc) close: CancellationToken,
}

impl PeerInfo {
    /// Who sent `request`; `None` where it did not come through [`super::Acceptor`], and such a request is to be refused.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<&Self> {
        request.extensions().get()
    }
}

/// A connection of an admitted caller. It counts against the listener's bounds until it is dropped.
#[derive(Debug)]
pub struct TlsConnection {
    stream: TlsStream<Line>,
    peer: PeerInfo,
    /// How much of HTTP/2's preface has not come, and until when it may: only from there on HTTP/2 itself keeps watch.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _registration: Registration,
    _permit: OwnedSemaphorePermit,
}

impl TlsConnection {
    pub(super) fn new(
        mut stream: TlsStream<Line>,
        peer: PeerInfo,
        registration: Registration,
        permit: OwnedSemaphorePermit,
        silence: Duration,
    ) -> Self {
        stream.get_mut().0.close_on(&peer.close);
        let preface = Some((PREFACE_BYTES, Box::pin(tokio::time::sleep(silence))));
        Self { stream, peer, preface, _registration: registration, _permit: permit }
    }
}

impl Connected for TlsConnection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for TlsConnection {
    /// Fails where the caller was let in and then does not begin.
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some((missing, until)) = &mut self.preface {
            *missing = missing.saturating_sub(buf.filled().len() - before);
            if *missing == 0 {
                self.preface = None;
            } else if read.is_pending() && until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
