//! A line between two nodes that counts the bytes on it, and can hold them up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Counts {
    to: AtomicU64,
    from: AtomicU64,
    connections: AtomicU64,
}

/// Passes on every connection to one address. Bytes are those of TCP's payload: TLS and HTTP/2 with all that they add.
pub struct Proxy {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    /// Bytes from the target that may have passed in all.
    allowed: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Proxy {
    pub async fn to(target: impl ToString) -> Self {
        let target = target.to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("bound");
        let (counts, shutdown) = (Arc::new(Counts::default()), CancellationToken::new());
        let (allowed, limit) = watch::channel(u64::MAX);
        let line = Line { counts: counts.clone(), limit, shutdown: shutdown.clone() };
        tokio::spawn(async move {
            while let Some(Ok((caller, _))) = line.shutdown.run_until_cancelled(listener.accept()).await {
                tokio::spawn(line.clone().join(caller, target.clone()));
            }
        });
        Self { address, counts, allowed, shutdown }
    }

    /// Bytes in both directions.
    pub fn bytes(&self) -> u64 {
        self.counts.to.load(Ordering::SeqCst) + self.received()
    }

    pub fn received(&self) -> u64 {
        self.counts.from.load(Ordering::SeqCst)
    }

    /// Connections that were opened.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Lets no more than `bytes` more from the target through.
    pub fn allow(&self, bytes: u64) {
        self.allowed.send_replace(self.received().saturating_add(bytes));
    }
}

#[derive(Clone)]
struct Line {
    counts: Arc<Counts>,
    limit: watch::Receiver<u64>,
    shutdown: CancellationToken,
}

impl Line {
    async fn join(self, caller: TcpStream, target: String) {
        let Ok(callee) = TcpStream::connect(target).await else { return };
        for socket in [&caller, &callee] {
            socket.set_nodelay(true).expect("an open socket");
        }
        self.counts.connections.fetch_add(1, Ordering::SeqCst);
        let ((from_caller, to_caller), (from_callee, to_callee)) = (caller.into_split(), callee.into_split());
        let up = pass(from_caller, to_callee, |bytes| add(&self.counts.to, bytes), None);
        let counted = |bytes| add(&self.counts.from, bytes);
        let down = pass(from_callee, to_caller, counted, Some((self.limit.clone(), self.counts.clone())));
        // Either end that closes closes both: half-open connections are of no use to HTTP/2.
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = up => {}
            () = down => {}
        }
    }
}

fn add(count: &AtomicU64, bytes: u64) {
    count.fetch_add(bytes, Ordering::SeqCst);
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    count: impl Fn(u64),
    mut limit: Option<(watch::Receiver<u64>, Arc<Counts>)>,
) {
    let mut buffer = vec![0; 16 * 1_024];
    loop {
        if let Some((limit, counts)) = &mut limit {
            let passed = |allowed: &u64| counts.from.load(Ordering::SeqCst) < *allowed;
            if limit.wait_for(passed).await.is_err() {
                return;
            }
        }
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        count(read as u64);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
