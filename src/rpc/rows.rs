//! Two-way streams with one response a row, in order.
//!
//! Rows that have arrived are worked on together, up to a bound in number and in bytes; some such pieces of work are under way
//! at once, and while they are, no more is read, so the stream's own flow control holds the sender back.
//!
//! They are worked on by threads of their own. On those that read and answer, each call that comes in meanwhile would wait behind all
//! pieces of all streams: beside four streams at saturation, one check in a hundred took a tenth of a second, and takes a hundredth so
//! (`countermark bench --soak`).

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _, stream};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Request, Status, Streaming};

use super::admission::RowPace;
use super::fault::Fault;
use crate::domain::limits::{MAX_CHUNK_BYTES, MAX_ROWS_IN_FLIGHT, MAX_ROWS_PER_CHUNK, ROW_READERS_PER_PROCESSOR};
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
    let pieces = stream::unfold(Some(Pieces(Some(requests.into_inner()))), move |pieces| {
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

/// The rows of a stream in pieces of at most [`MAX_ROWS_PER_CHUNK`] rows, the last of which may be the one that goes beyond
/// [`MAX_CHUNK_BYTES`]. `None` once the stream has ended.
struct Pieces<S>(Option<S>);

impl<S, Req> Stream for Pieces<S>
where
    S: Stream<Item = Result<Req, Status>> + Unpin,
    Req: Message,
{
    type Item = Piece<Req>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece<Req>>> {
        let (mut piece, mut bytes) = (Piece { rows: Vec::new(), broken: None }, 0);
        while let Some(requests) = &mut self.0
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
                    self.0 = None;
                }
                Poll::Ready(None) => self.0 = None,
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
        let pieces = Pieces(Some(stream::iter(rows)));
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

    #[tokio::test]
    async fn rows_before_the_break_are_whole_and_none_after_it_is_taken() {
        let row = || Ok(vec![7]);
        assert_eq!(pieces(vec![row(), row(), Err(Status::internal("broken")), row()]).await, [(2, true)]);
    }
}
