//! Whoever takes nothing of what there is for it.
//!
//! A caller that answers HTTP/2's probes alone gives no sign that it goes on. What waits for it holds a place among the calls at hand,
//! and memory: after [`UNTAKEN_TIMEOUT`] its connection is closed.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
    untaken_since: Since,
    close: CancellationToken,
}

/// Since when something has waited to be taken.
type Since = Arc<Mutex<Option<Instant>>>;

impl Readers {
    /// Whoever reads an answer that is there now, over the connection that `close` closes.
    pub(super) fn reader(&self, close: CancellationToken) -> Reader {
        let untaken_since = Arc::new(Mutex::new(Some(Instant::now())));
        let mut table = self.0.lock();
        let id = table.next;
        table.next += 1;
        table.answers.insert(id, Answer { untaken_since: untaken_since.clone(), close });
        if !std::mem::replace(&mut table.is_watched, true) {
            tokio::spawn(self.clone().watch());
        }
        Reader { readers: self.clone(), id, untaken_since }
    }

    /// Looks at all, until there are none any more.
    async fn watch(self) {
        loop {
            tokio::time::sleep(UNTAKEN_TIMEOUT / 4).await;
            let mut table = self.0.lock();
            let is_over = |answer: &Answer| answer.untaken_since.lock().is_some_and(|since| since.elapsed() >= UNTAKEN_TIMEOUT);
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

/// Whoever reads one answer.
pub(super) struct Reader {
    readers: Readers,
    id: u64,
    untaken_since: Since,
}

impl Reader {
    /// More is asked for: what came before is on its way.
    pub(super) fn asks(&self) {
        *self.untaken_since.lock() = None;
    }

    /// Something is there for it.
    pub(super) fn is_given(&self) {
        *self.untaken_since.lock() = Some(Instant::now());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.readers.0.lock().answers.remove(&self.id);
    }
}
