//! Where requests wait for the writer.
//!
//! The writer of a store on a volume has a thread of its own, because it waits for the disk. That of a store on a disk in memory
//! has none: whoever asks lets everybody else who is about to ask do so first, and then does what has gathered. Requests form groups
//! in both, and whoever asked may be gone before its turn comes.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::audit::actor;
use super::request::{Queued, Reply, Request};
use super::writer::Writer;
use super::{EngineError, OpenError, QueueDepth, Shared, StoreError};
use crate::domain::limits::{MAX_COMMIT_QUEUE, MAX_COMMIT_QUEUE_BYTES};
use crate::domain::spans;

/// Unit in which the bytes of waiting requests are counted.
const QUEUE_UNIT: usize = 1_024;

/// The way to the writer.
pub(super) struct Desk {
    requests: Mutex<Option<mpsc::Sender<Queued>>>,
    /// Bytes that may wait, in units of [`QUEUE_UNIT`].
    room: Arc<Semaphore>,
    work: Work,
}

/// Who does the writer's work.
enum Work {
    Thread(Mutex<Option<JoinHandle<()>>>),
    Asker(Mutex<Option<Box<Waiting>>>),
}

/// A writer, and what waits for it.
struct Waiting {
    writer: Writer,
    requests: mpsc::Receiver<Queued>,
}

impl Waiting {
    fn work_off(&mut self) {
        self.writer.work_off(&mut self.requests);
    }
}

impl Desk {
    fn new(requests: mpsc::Sender<Queued>, work: Work) -> Self {
        let room = Arc::new(Semaphore::new(MAX_COMMIT_QUEUE_BYTES / QUEUE_UNIT));
        Self { requests: Mutex::new(Some(requests)), room, work }
    }

    /// A writer that `open` makes on the thread that it works on: what is derived is made by the thread that changes it later, see
    /// `Gathered::build`.
    pub(super) fn with_thread(
        open: impl FnOnce() -> Result<Writer, OpenError> + Send + 'static,
    ) -> Result<(Arc<Shared>, Self), OpenError> {
        let (requests, receiver) = mpsc::channel(MAX_COMMIT_QUEUE);
        let (opened, outcome) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            let (result, writer) = match open() {
                Ok(writer) => (Ok(writer.shared().clone()), Some(writer)),
                Err(error) => (Err(error), None),
            };
            drop(opened.send(result));
            if let Some(writer) = writer {
                writer.run(receiver);
            }
        });
        let thread = thread.map_err(EngineError::Io)?;
        let shared = outcome.recv().unwrap_or_else(|_| Err(OpenError::damaged("it cannot be opened")))?;
        Ok((shared, Self::new(requests, Work::Thread(Mutex::new(Some(thread))))))
    }

    /// A writer that works where it is asked; before that it does what it had begun when the store was closed.
    pub(super) fn without_thread(writer: Writer) -> Self {
        let (sender, requests) = mpsc::channel(MAX_COMMIT_QUEUE);
        let mut waiting = Box::new(Waiting { writer, requests });
        waiting.work_off();
        Self::new(sender, Work::Asker(Mutex::new(Some(waiting))))
    }

    pub(super) const fn is_without_thread(&self) -> bool {
        matches!(self.work, Work::Asker(_))
    }

    pub(super) async fn request<T>(&self, make: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let requests = self.requests.lock().clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = make(reply);
        let units = request.bytes().div_ceil(QUEUE_UNIT).min(MAX_COMMIT_QUEUE_BYTES / QUEUE_UNIT);
        let share = self.room.clone().acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).await;
        let share = share.map_err(|_| StoreError::Closed)?;
        requests.send(Queued { request, actor: actor(), _share: share }).await.map_err(|_| StoreError::Closed)?;
        if let Work::Asker(waiting) = &self.work {
            tokio::task::yield_now().await;
            if let Some(waiting) = &mut *waiting.lock() {
                waiting.work_off();
            }
        }
        // The writer answers everything that reaches it, unless it panics.
        spans::part("store commit", None, answer).await.map_err(|_| Shared::panicked())?
    }

    /// What waits.
    pub(super) fn depth(&self) -> QueueDepth {
        let requests = self.requests.lock().as_ref().map_or(0, |requests| requests.max_capacity() - requests.capacity());
        let taken = (MAX_COMMIT_QUEUE_BYTES / QUEUE_UNIT).saturating_sub(self.room.available_permits());
        QueueDepth { requests, bytes: taken * QUEUE_UNIT }
    }

    /// Ends what is queued, and takes nothing more.
    pub(super) fn close(&self) {
        drop(self.requests.lock().take());
        match &self.work {
            Work::Thread(thread) => {
                let thread = thread.lock().take();
                if thread.is_some_and(|thread| thread.join().is_err()) {
                    tracing::error!(code = "STORE_WRITER_PANICKED", "the store's writer ended with a panic");
                }
            }
            Work::Asker(waiting) => {
                if let Some(mut waiting) = waiting.lock().take() {
                    waiting.work_off();
                }
            }
        }
    }
}
