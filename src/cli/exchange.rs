//! Rows of a file against answers of the node, over a two-way stream that may break and is then opened again.
//!
//! Every row that was read is answered exactly once and in order: refused before it was sent, answered by the node, or left
//! unanswered where the node is gone for good. Rows without an answer are held, at most [`MAX_ROWS_IN_FLIGHT`] of them and
//! [`MAX_HELD_BYTES`], and sent again when the stream is; the services bear that without harm.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Response, Status, Streaming};

use super::failure::Failure;
use super::input::Row;
use super::reading::Reading;
use crate::domain::limits::{BACKOFF_FIRST, BACKOFF_LAST, MAX_ROWS_IN_FLIGHT};
use crate::rpc::proto;

/// How long the holders of a shared key are waited for, which are elsewhere: a budget of a day renews within it.
const MAX_HOLDER_WAIT: Duration = Duration::from_secs(25 * 3_600);
/// Bytes of rows without an answer: the longest rows, of which a full window would be a quarter of a gigabyte, take fewer.
const MAX_HELD_BYTES: usize = 32 * 1_024 * 1_024;
/// Times in a row that the stream is opened without a row being answered: about a minute and a half, in which a node restarts.
const MAX_ATTEMPTS: u32 = 9;
/// Time for the node to end a stream on which everything was answered.
const GOODBYE: Duration = Duration::from_secs(1);

/// A two-way call of the node, one response a request.
pub(super) trait Exchange {
    type Request: Message + Clone + 'static;
    type Response: Send + 'static;
    type Answer;

    /// The request that a row is.
    fn request(&self, row: proto::Submission) -> Self::Request;

    /// Opens the stream.
    fn open(
        &self,
        requests: ReceiverStream<Self::Request>,
    ) -> impl Future<Output = Result<Response<Streaming<Self::Response>>, Status>> + Send;

    /// What a response says of its row; `None` where it says nothing.
    fn answer(&self, response: Self::Response) -> Option<Result<Self::Answer, proto::RowError>>;
}

/// Why a row was refused, here or by the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) field: String,
    pub(super) message: String,
}

impl From<proto::RowError> for Refused {
    fn from(error: proto::RowError) -> Self {
        Self { code: error.code, field: error.field, message: error.message }
    }
}

/// Who is told what became of the rows.
pub(super) trait Sink<A> {
    /// The row that starts at `line`. Rows come in order.
    ///
    /// # Errors
    /// Where nothing more can be taken: the exchange ends.
    fn row(&mut self, line: u64, result: Result<A, Refused>) -> Result<(), Failure>;

    /// The stream broke and is opened again after `wait`.
    fn retrying(&mut self, failure: &Failure, wait: Duration);
}

/// Sends all of `rows` and hands on what became of each. Gives how many were left without an answer, with the reason.
pub(super) async fn exchange<E: Exchange>(
    call: &E,
    rows: &mut Reading,
    sink: &mut impl Sink<E::Answer>,
) -> Result<(), (u64, Failure)> {
    let mut window = Window { rows: VecDeque::new(), bytes: 0, unreadable: None };
    let (mut attempts, mut waited, mut is_idle) = (0, Duration::ZERO, false);
    loop {
        let failure = match stream_once(call, rows, &mut window, sink, &mut attempts, is_idle).await {
            Ok(()) => return window.unreadable.map_or(Ok(()), |failure| Err((0, failure))),
            // Nothing came for long, and nothing is lost: another stream is opened for the next row.
            Err(Broken::Again(failure)) if failure.code() == "STREAM_IDLE" && window.rows.is_empty() => {
                (attempts, is_idle) = (0, true);
                continue;
            }
            Err(Broken::Again(failure)) if attempts < MAX_ATTEMPTS || is_waited_for(&failure, waited) => failure,
            Err(Broken::Again(failure) | Broken::ForGood(failure)) => return Err((window.asked(), failure)),
        };
        is_idle = false;
        if attempts == 0 {
            waited = Duration::ZERO;
        }
        let wait = BACKOFF_FIRST.saturating_mul(1 << attempts.min(16)).min(BACKOFF_LAST);
        waited += wait;
        attempts += 1;
        sink.retrying(&failure, wait);
        tokio::time::sleep(wait).await;
    }
}

/// What a person is told who waits.
pub(super) fn waiting(failure: &Failure, wait: Duration) -> String {
    let (code, seconds) = (failure.code(), wait.as_secs_f32());
    format!("{} ({code}); trying again in {seconds:.1} s", worth_waiting(code).unwrap_or("the stream broke"))
}

/// What is worth to wait for, for up to a day: holders of a shared key, or midnight.
fn worth_waiting(code: &str) -> Option<&'static str> {
    match code {
        "KEY_HOLDERS_UNREACHABLE" => Some("too few holders of the pseudonym key answer"),
        "EVALUATION_BUDGET_SPENT" => Some("the day's budget of evaluations is used up"),
        "QUOTA_SPENT" => Some("this client's rows of the day are used up"),
        _ => None,
    }
}

fn is_waited_for(failure: &Failure, waited: Duration) -> bool {
    worth_waiting(failure.code()).is_some() && waited < MAX_HOLDER_WAIT
}

/// How a stream ended before its rows did.
enum Broken {
    /// It may be opened again.
    Again(Failure),
    ForGood(Failure),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        if is_passing(&status) { Self::Again(status.into()) } else { Self::ForGood(status.into()) }
    }
}

/// Whether the same call may succeed later: the node is busy, on its way down or up, or the connection to it was lost.
pub(super) fn is_passing(status: &Status) -> bool {
    let lost = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => true,
        Code::Cancelled | Code::Unknown | Code::Internal => lost,
        _ => false,
    }
}

/// One stream, from its opening to its end or to where it breaks. An idle one is opened once there is a row to send.
async fn stream_once<E: Exchange>(
    call: &E,
    rows: &mut Reading,
    window: &mut Window<E::Request>,
    sink: &mut impl Sink<E::Answer>,
    attempts: &mut u32,
    is_idle: bool,
) -> Result<(), Broken> {
    // As large as the window, so that what stands in the window always fits.
    let (sender, requests) = mpsc::channel(MAX_ROWS_IN_FLIGHT);
    window.send_all(&sender);
    if is_idle && !rows.ended() {
        window.read(call, rows.next().await, &sender);
    }
    let responses = stream::once(call.open(ReceiverStream::new(requests))).map_ok(Response::into_inner).try_flatten();
    let mut responses = pin!(responses);
    loop {
        window.settle(sink).map_err(Broken::ForGood)?;
        if rows.ended() && window.rows.is_empty() {
            break;
        }
        tokio::select! {
            row = rows.next(), if !rows.ended() && window.has_room() => window.read(call, row, &sender),
            response = responses.next() => {
                let ended = || Broken::Again(Failure::new("STREAM_ENDED", "the node ended the stream before it had answered"));
                let response = response.ok_or_else(ended)??;
                take_answer(call, window, response, sink)?;
                *attempts = 0;
            }
        }
    }
    drop(sender);
    // All is answered; how the stream ends changes nothing.
    drop(tokio::time::timeout(GOODBYE, responses.next()).await);
    Ok(())
}

/// Hands on the answer to the first row of the window.
fn take_answer<E: Exchange>(
    call: &E,
    window: &mut Window<E::Request>,
    response: E::Response,
    sink: &mut impl Sink<E::Answer>,
) -> Result<(), Broken> {
    let unexpected = |what| Broken::ForGood(Failure::new("RESPONSE_INVALID", what));
    let answer = call.answer(response).ok_or_else(|| unexpected("the node answered a row with nothing"))?;
    if let Err(error) = &answer
        && error.retryable
    {
        return Err(Broken::Again(Failure::new(error.code.clone(), super::output::plain(&error.message))));
    }
    let line = window.pop().ok_or_else(|| unexpected("the node answered more rows than it was sent"))?;
    sink.row(line, answer.map_err(Refused::from)).map_err(Broken::ForGood)
}

/// Rows that were read and have no answer yet. Outlives the streams.
struct Window<R> {
    rows: VecDeque<(u64, Held<R>)>,
    bytes: usize,
    /// Why the input ended before its end; told once the rows before were answered, over however many streams.
    unreadable: Option<Failure>,
}

enum Held<R> {
    /// Sent, or to be sent again.
    Asked(R),
    /// Refused here; it waits for its turn.
    Refused(Refused),
}

impl<R: Message + Clone> Window<R> {
    fn has_room(&self) -> bool {
        self.rows.len() < MAX_ROWS_IN_FLIGHT && self.bytes < MAX_HELD_BYTES
    }

    fn asked(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Sends every row again, in order.
    fn send_all(&self, sender: &mpsc::Sender<R>) {
        for (_, row) in &self.rows {
            if let Held::Asked(request) = row {
                send(sender, request.clone());
            }
        }
    }

    /// What came of reading on.
    fn read<E: Exchange<Request = R>>(&mut self, call: &E, row: Result<Option<Row>, Failure>, sender: &mpsc::Sender<R>) {
        match row {
            Ok(Some(row)) => self.take(call, row, sender),
            Ok(None) => {}
            Err(failure) => self.unreadable = Some(failure),
        }
    }

    fn take<E: Exchange<Request = R>>(&mut self, call: &E, row: Row, sender: &mpsc::Sender<R>) {
        let held = match row.result {
            Ok(submission) => {
                let request = call.request(submission);
                self.bytes += request.encoded_len();
                send(sender, request.clone());
                Held::Asked(request)
            }
            Err(error) => {
                let (code, message) = (error.code.to_owned(), error.message.into_owned());
                Held::Refused(Refused { code, field: error.field, message })
            }
        };
        self.rows.push_back((row.line, held));
    }

    /// Hands on the rows at the front that were refused here.
    fn settle<A>(&mut self, sink: &mut impl Sink<A>) -> Result<(), Failure> {
        while let Some((line, Held::Refused(refused))) = self.rows.front() {
            sink.row(*line, Err(refused.clone()))?;
            self.rows.pop_front();
        }
        Ok(())
    }

    /// Takes out the first row, which has been answered, and gives its line.
    fn pop(&mut self) -> Option<u64> {
        match self.rows.pop_front()? {
            (line, Held::Asked(request)) => {
                self.bytes -= request.encoded_len();
                Some(line)
            }
            // The front is never one that was refused here: those are handed on before an answer is looked at.
            (_, Held::Refused(_)) => None,
        }
    }
}

/// There is always room. A stream that is closed already says so by its responses, and the row is in the window.
fn send<R>(sender: &mpsc::Sender<R>, request: R) {
    drop(sender.try_send(request));
}
