//! Two-way streams with one response a row, in order.
//!
//! Rows that have arrived are worked on together, up to a bound in number and in bytes; some such pieces of work are under way
//! at once, and while they are, no more is read, so the stream's own flow control holds the sender back. A stream on which nothing is
//! done for long gives its place back.
//!
//! They are worked on by threads of their own. On those that read and answer, each call that comes in meanwhile would wait behind all
//! pieces of all streams: beside four streams at saturation, one check in a hundred took a tenth of a second, and takes a hundredth so
//! (`countermark bench --soak`).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Status, Streaming};

use super::admission::RowPace;
use super::fault::Fault;
use crate::domain::limits::{
    MAX_CHUNK_BYTES, MAX_ROWS_IN_FLIGHT, MAX_ROWS_PER_CHUNK, ROW_READERS_PER_PROCESSOR, ROWS_IDLE_TIMEOUT,
};
use crate::service::processors;
use crate::store::{actor, on_behalf_of};

/// The threads: as many as the machine has processors, which the system's scheduler divides fairly between them and the others, and a few
/// that wait for the disk. More of these would take the processors from all others, and each keeps memory of its own.
static WORKERS: LazyLock<Runtime> = LazyLock::new(|| {
    let readers = ROW_READERS_PER_PROCESSOR * processors();
    let mut workers = Builder::new_multi_thread();
    workers.worker_threads(processors()).max_blocking_threads(readers).thread_name("rows").enable_all();
    workers.build().expect("the system has threads for a program that has just been called upon")
});

/// Responses of a two-way stream.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers `requests` by `work`, as fast as its caller may have rows worked on and as many as it may today, which gives one response for each
/// request of its piece, in order. A stream that breaks ends with its own error after the responses to everything before.
pub(super) fn answer<Req, Res, Fut>(
    requests: Request<Streaming<Req>>,
    work: impl Fn(Vec<Req>) -> Fut + Send + 'static,
) -> Responses<Res>
where
    Req: Message + 'static,
    Res: Send + 'static,
    Fut: Future<Output = Vec<Res>> + Send + 'static,
{
    let pace = RowPace::of(&requests);
    let under_way = UnderWay::default();
    let pieces = stream::unfold(Some(Pieces::of(requests.into_inner(), under_way.clone())), move |pieces| {
        let pace = pace.clone();
        async move {
            let mut pieces = pieces?;
            let mut piece = pieces.next().await?;
            let (allowed, spent) = pace.take(piece.rows.len());
            piece.rows.truncate(allowed);
            pace.wait_for(allowed).await;
            let goes_on = spent.is_none().then_some(pieces);
            piece.broken = spent.map(|busy| busy.fault().into()).or(piece.broken);
            Some((piece, goes_on))
        }
    });
    let pieces = pieces.map(move |Piece { rows, broken }| {
        let working = under_way.begin();
        let work = match actor() {
            Some(actor) => WORKERS.spawn(on_behalf_of(actor, work(rows))),
            None => WORKERS.spawn(work(rows)),
        };
        let work = AbortOnDropHandle::new(work);
        async move {
            let mut responses: Vec<Result<Res, Status>> = match work.await {
                Ok(responses) => responses.into_iter().map(Ok).collect(),
                Err(_) => vec![Err(Fault::new(Code::Internal, "ROWS_PANICKED", "these rows could not be worked on").into())],
            };
            responses.extend(broken.map(Err));
            drop(working);
            stream::iter(responses)
        }
    });
    Box::pin(pieces.buffered(MAX_ROWS_IN_FLIGHT / MAX_ROWS_PER_CHUNK).flatten())
}

/// Rows that had arrived together, and what ended the stream after them where it broke.
struct Piece<Req> {
    rows: Vec<Req>,
    broken: Option<Status>,
}

/// How many pieces of a stream are worked on, and since when it has been so many.
#[derive(Clone)]
struct UnderWay(Arc<Mutex<(usize, Instant)>>);

impl Default for UnderWay {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((0, Instant::now()))))
    }
}

impl UnderWay {
    fn begin(&self) -> Working {
        self.change(1);
        Working(self.clone())
    }

    fn change(&self, by: isize) {
        let mut state = self.0.lock();
        *state = (state.0.saturating_add_signed(by), Instant::now());
    }

    /// When the stream will have been idle for too long if nothing happens on it.
    fn idle_at(&self) -> Instant {
        let (pieces, since) = *self.0.lock();
        (if pieces == 0 { since } else { Instant::now() }) + ROWS_IDLE_TIMEOUT
    }
}

/// A piece that is worked on, until it is dropped.
struct Working(UnderWay);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.change(-1);
    }
}

/// The rows of a stream in pieces of at most [`MAX_ROWS_PER_CHUNK`] rows, the last of which may be the one that goes beyond
/// [`MAX_CHUNK_BYTES`]. It ends with the stream, and breaks where no row comes for [`ROWS_IDLE_TIMEOUT`] while none is worked on.
struct Pieces<S> {
    /// `None` once it has ended.
    requests: Option<S>,
    under_way: UnderWay,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Pieces<S> {
    const fn of(requests: S, under_way: UnderWay) -> Self {
        Self { requests: Some(requests), under_way, alarm: None }
    }

    /// Whether it has been idle for too long; else `cx` is woken when it may have been.
    fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let at = self.under_way.idle_at();
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
            match alarm.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(()) if at <= Instant::now() => return true,
                Poll::Ready(()) => alarm.as_mut().reset(at),
            }
        }
    }
}

impl<S, Req> Stream for Pieces<S>
where
    S: Stream<Item = Result<Req, Status>> + Unpin,
    Req: Message,
{
    type Item = Piece<Req>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece<Req>>> {
        let (mut piece, mut bytes) = (Piece { rows: Vec::new(), broken: None }, 0);
        while let Some(requests) = &mut self.requests
            && piece.rows.len() < MAX_ROWS_PER_CHUNK
            && bytes < MAX_CHUNK_BYTES
        {
            match requests.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(row))) => {
                    bytes += row.encoded_len();
                    piece.rows.push(row);
                }
                Poll::Ready(Some(Err(status))) => {
                    piece.broken = Some(status);
                    self.requests = None;
                }
                Poll::Ready(None) => self.requests = None,
                Poll::Pending if piece.rows.is_empty() && self.is_idle(cx) => {
                    let message = "nothing was sent on this stream for long; open another one when there are more rows";
                    piece.broken = Some(Fault::new(Code::Unavailable, "STREAM_IDLE", message).into());
                    self.requests = None;
                }
                Poll::Pending if piece.rows.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let is_empty = piece.rows.is_empty() && piece.broken.is_none();
        Poll::Ready((!is_empty).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pieces(rows: Vec<Result<Vec<u8>, Status>>) -> Vec<(usize, bool)> {
        let pieces = Pieces::of(stream::iter(rows), UnderWay::default());
        pieces.map(|piece| (piece.rows.len(), piece.broken.is_some())).collect().await
    }

    #[tokio::test]
    async fn a_piece_ends_at_a_number_of_rows_or_at_their_bytes() {
        let small = vec![Ok(vec![7; 10]); MAX_ROWS_PER_CHUNK + 1];
        assert_eq!(pieces(small).await, [(MAX_ROWS_PER_CHUNK, false), (1, false)]);
        let large = vec![Ok(vec![7; MAX_CHUNK_BYTES / 2]); 5];
        assert_eq!(pieces(large).await, [(2, false), (2, false), (1, false)]);
        assert_eq!(pieces(vec![]).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_breaks_that_is_idle_for_long_and_not_while_a_row_is_worked_on() {
        let rows = stream::iter([Ok(vec![7])]).chain(stream::pending());
        let under_way = UnderWay::default();
        let mut pieces = Pieces::of(rows, under_way.clone());
        assert!(pieces.next().await.is_some_and(|piece| piece.rows.len() == 1 && piece.broken.is_none()));
        let working = under_way.begin();
        let waited = tokio::time::timeout(5 * ROWS_IDLE_TIMEOUT, pieces.next()).await;
        assert!(waited.is_err(), "what is worked on is waited for");
        drop(working);
        let began = Instant::now();
        let broken = pieces.next().await.and_then(|piece| piece.broken).expect("it breaks");
        assert_eq!((broken.code(), began.elapsed() >= ROWS_IDLE_TIMEOUT), (Code::Unavailable, true));
        assert!(began.elapsed() < 2 * ROWS_IDLE_TIMEOUT, "{:?}", began.elapsed());
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn rows_before_the_break_are_whole_and_none_after_it_is_taken() {
        let row = || Ok(vec![7]);
        assert_eq!(pieces(vec![row(), row(), Err(Status::internal("broken")), row()]).await, [(2, true)]);
    }
}
