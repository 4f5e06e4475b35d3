//! Whoever takes nothing of what there is for it.
//!
//! A caller that answers HTTP/2's probes alone gives no sign that it goes on. What waits for it holds a place among the calls at hand,
//! and memory: after [`UNTAKEN_TIMEOUT`] its connection is closed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admission::Place;
use crate::domain::limits::UNTAKEN_TIMEOUT;

/// All answers of one listener that are on their way. Clones look after the same ones.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    answers: HashMap<u64, Answer>,
    is_watched: bool,
}

struct Answer {
    progress: Arc<Mutex<Progress>>,
    close: CancellationToken,
}

/// How far the caller is with an answer.
struct Progress {
    /// Pieces that were given to HTTP/2 and are not in the socket yet.
    given: usize,
    /// Whether HTTP/2 has not asked for more since the last piece was given, or for anything yet.
    is_to_ask: bool,
    /// When the caller last took anything, or when there was something for it again.
    since: Instant,
}

impl Progress {
    fn is_over(&self) -> bool {
        (self.is_to_ask || self.given > 0) && self.since.elapsed() >= UNTAKEN_TIMEOUT
    }
}

impl Readers {
    /// Whoever reads an answer that is there now, over the connection that `close` closes. The answer holds `place` until all of it is
    /// in the socket.
    pub(super) fn reader(&self, close: CancellationToken, place: Option<Place>) -> Reader {
        let progress = Arc::new(Mutex::new(Progress { given: 0, is_to_ask: true, since: Instant::now() }));
        let mut table = self.0.lock();
        let id = table.next;
        table.next += 1;
        table.answers.insert(id, Answer { progress: progress.clone(), close });
        if !std::mem::replace(&mut table.is_watched, true) {
            tokio::spawn(self.clone().watch());
        }
        Reader(Arc::new(Held { readers: self.clone(), id, progress, _place: place }))
    }

    /// Looks at all, until there are none any more.
    async fn watch(self) {
        loop {
            tokio::time::sleep(UNTAKEN_TIMEOUT / 4).await;
            let mut table = self.0.lock();
            let is_over = |answer: &Answer| answer.progress.lock().is_over();
            for answer in table.answers.values().filter(|answer| !answer.close.is_cancelled() && is_over(answer)) {
                tracing::warn!(code = "ANSWERS_UNTAKEN", "a connection was closed whose caller takes nothing of an answer");
                answer.close.cancel();
            }
            if table.answers.is_empty() {
                table.is_watched = false;
                return;
            }
        }
    }
}

/// Whoever reads one answer, until all pieces of it are given.
pub(super) struct Reader(Arc<Held>);

/// What an answer holds until its last piece is in the socket.
struct Held {
    readers: Readers,
    id: u64,
    progress: Arc<Mutex<Progress>>,
    _place: Option<Place>,
}

impl Reader {
    /// More is asked for.
    pub(super) fn asks(&self) {
        self.0.progress.lock().is_to_ask = false;
    }

    /// `bytes` in the form in which they may be given: HTTP/2 keeps them for as long as the caller likes, and for as long they hold what
    /// the answer holds.
    pub(super) fn piece(&self, bytes: Bytes) -> Bytes {
        let mut progress = self.0.progress.lock();
        progress.is_to_ask = true;
        if progress.given == 0 {
            progress.since = Instant::now();
        }
        progress.given += 1;
        drop(progress);
        Bytes::from_owner(Piece { bytes, held: self.0.clone() })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.asks();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.readers.0.lock().answers.remove(&self.id);
    }
}

/// A piece of an answer, until it is in the socket or the stream is no more.
struct Piece {
    bytes: Bytes,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut progress = self.held.progress.lock();
        progress.given -= 1;
        progress.since = Instant::now();
    }
}
