//! Two-way streams with one response a row, in order.
//!
//! Rows that have arrived are worked on together, up to a bound; some such pieces of work are under way at once, and while
//! they are, no more is read, so the stream's own flow control holds the sender back.

use std::future::Future;
use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

use super::fault::Fault;
use crate::domain::limits::{MAX_ROWS_IN_FLIGHT, MAX_ROWS_PER_CHUNK};

/// Responses of a two-way stream.
pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers `requests` by `work`, which gives one response for each request of its piece, in order. A stream that breaks ends
/// with its own error after the responses to everything before.
pub(super) fn answer<Req, Res, Fut>(requests: Streaming<Req>, work: impl Fn(Vec<Req>) -> Fut + Send + 'static) -> Responses<Res>
where
    Req: Send + 'static,
    Res: Send + 'static,
    Fut: Future<Output = Vec<Res>> + Send + 'static,
{
    let pieces = requests.ready_chunks(MAX_ROWS_PER_CHUNK).map(move |piece| {
        let (rows, broken) = whole_rows(piece);
        let work = AbortOnDropHandle::new(tokio::spawn(work(rows)));
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

/// The rows before the first error, and that error.
fn whole_rows<Req>(piece: Vec<Result<Req, Status>>) -> (Vec<Req>, Option<Status>) {
    let mut rows = Vec::with_capacity(piece.len());
    for row in piece {
        match row {
            Ok(row) => rows.push(row),
            Err(status) => return (rows, Some(status)),
        }
    }
    (rows, None)
}
