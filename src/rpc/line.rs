//! A TCP connection below TLS that ends when it is to, and when its other side takes nothing for long.
//!
//! HTTP/2 reads nothing while it cannot write what it has to say first, such as the answer to a probe: whoever fills the line and takes
//! nothing stops it, its own probes of the other side included. So what ends a connection is looked at here, whichever way it waits.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::domain::limits::WRITE_STALL;

/// The connection. Reading and writing fail once it is to close, or nothing can be written for [`WRITE_STALL`].
#[derive(Debug)]
pub(super) struct Line {
    tcp: TcpStream,
    closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// When what waits to be written has waited for too long.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub(super) const fn new(tcp: TcpStream) -> Self {
        Self { tcp, closing: None, stalled: None }
    }

    /// Has it end when `close` is cancelled.
    pub(super) fn close_on(&mut self, close: &CancellationToken) {
        self.closing = Some(Box::pin(close.clone().cancelled_owned()));
    }

    /// What ends it, where anything does. Wakes whoever polls it then.
    fn end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.closing.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready()) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.stalled.as_mut().is_some_and(|stalled| stalled.as_mut().poll(cx).is_ready()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.end(cx)?;
        let written = write(Pin::new(&mut self.tcp), cx);
        if written.is_ready() {
            self.stalled = None;
        } else if self.stalled.is_none() {
            self.stalled = Some(Box::pin(tokio::time::sleep(WRITE_STALL)));
            self.end(cx)?;
        }
        written
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.end(cx)?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |tcp, cx| tcp.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |tcp, cx| tcp.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A line, and its other side.
    async fn lines() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let other = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        (Line::new(listener.accept().await.expect("accepted").0), other)
    }

    /// Writes until there is no room any more.
    async fn fill(line: &mut Line) {
        let full = poll_fn(|cx| Poll::Ready(Pin::new(&mut *line).poll_write(cx, &[0; 65_536]).is_pending()));
        if !full.await {
            Box::pin(fill(line)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_whose_other_side_takes_nothing_ends_whichever_way_it_is_waited_for() {
        let (mut line, _other) = lines().await;
        fill(&mut line).await;
        let began = tokio::time::Instant::now();
        assert_eq!(line.read_u8().await.expect_err("ended").kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= WRITE_STALL && began.elapsed() < 2 * WRITE_STALL, "{:?}", began.elapsed());
        let (mut line, _other) = lines().await;
        fill(&mut line).await;
        assert_eq!(line.write_all(b"more").await.expect_err("ended").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_line_that_is_to_close_ends_whichever_way_it_is_waited_for() {
        for writes in [true, false] {
            let (mut line, _other) = lines().await;
            let close = CancellationToken::new();
            line.close_on(&close);
            fill(&mut line).await;
            let waits = async { if writes { line.write_all(b"more").await.map(drop) } else { line.read_u8().await.map(drop) } };
            let ((), ended) = tokio::join!(async { close.cancel() }, waits);
            assert_eq!(ended.expect_err("ended").kind(), io::ErrorKind::ConnectionAborted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_on_which_something_goes_on_stays() {
        let (mut line, mut other) = lines().await;
        fill(&mut line).await;
        let taken = tokio::spawn(async move {
            tokio::time::sleep(WRITE_STALL / 2).await;
            let mut taken = vec![0; 1 << 20];
            while other.read(&mut taken).await.expect("read") > 0 {}
        });
        line.write_all(&[1; 1 << 20]).await.expect("room again");
        let quiet = tokio::time::timeout(10 * WRITE_STALL, line.read_u8()).await;
        assert!(quiet.is_err(), "who has nothing to say and is not spoken to is waited for");
        drop(line);
        taken.await.expect("no panic");
    }
}
