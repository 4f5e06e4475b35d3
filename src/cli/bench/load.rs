//! What is asked of a server, and how long it took: many calls at once, each sent when another has been answered; or streams.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::{Response, Status, Streaming};

use crate::cli::failure::Failure;

/// Calls under way at once.
pub(super) const IN_FLIGHT: usize = 128;
/// Latencies are kept in microseconds with three digits.
const DIGITS: u8 = 3;
/// The longest latency that is told apart: a minute.
const MOST_MICROS: u64 = 60_000_000;

/// One measured run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// What was done: calls, or rows of streams.
    pub(super) count: usize,
    pub(super) took: Duration,
    /// Of single calls, in microseconds; empty for streams.
    pub(super) latencies: Histogram<u64>,
}

impl Run {
    pub(super) fn of(count: usize, took: Duration) -> Self {
        Self { count, took, latencies: latencies() }
    }

    /// In a second.
    pub(super) fn rate(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// An empty set of latencies.
pub(super) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MOST_MICROS, DIGITS).expect("the bounds are in order")
}

/// In whole microseconds.
pub(super) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Makes a call for each of `requests`, [`IN_FLIGHT`] at once; whoever makes them is told the number of its caller, by which it
/// chooses a connection.
pub(super) async fn calls<Req, Fut>(
    requests: Vec<Req>,
    call: impl Fn(usize, Req) -> Fut + Clone + Send + Sync + 'static,
) -> Result<Run, Failure>
where
    Req: Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let count = requests.len();
    let mut callers = JoinSet::new();
    let began = Instant::now();
    for (caller, requests) in dealt(requests, IN_FLIGHT).into_iter().enumerate() {
        let call = call.clone();
        callers.spawn(async move {
            let mut latencies = latencies();
            for request in requests {
                let began = Instant::now();
                call(caller, request).await?;
                latencies.saturating_record(micros(began.elapsed()));
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut all = latencies();
    while let Some(ended) = callers.join_next().await {
        let latencies = ended.map_err(|error| Failure::of("BENCH_TASK", &error))??;
        all.add(latencies).map_err(|error| Failure::of("BENCH_LATENCIES", &error))?;
    }
    Ok(Run { count, took: began.elapsed(), latencies: all })
}

/// `items` in `parts` parts of about the same size, in turn.
pub(super) fn dealt<T>(items: Vec<T>, parts: usize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..parts).map(|_| Vec::with_capacity(items.len() / parts + 1)).collect();
    items.into_iter().enumerate().for_each(|(i, item)| dealt[i % parts].push(item));
    dealt
}

/// Sends the rows of each part on a stream of its own, and counts the answers.
pub(super) async fn streams<Req, Res, Fut>(
    parts: Vec<Vec<Req>>,
    open: impl Fn(usize, tokio_stream::Iter<std::vec::IntoIter<Req>>) -> Fut,
    check: fn(&Res) -> Result<(), Failure>,
) -> Result<Run, Failure>
where
    Req: Send + 'static,
    Res: Send + 'static,
    Fut: Future<Output = Result<Response<Streaming<Res>>, Status>> + Send + 'static,
{
    let count = parts.iter().map(Vec::len).sum();
    let mut readers = JoinSet::new();
    let began = Instant::now();
    for (place, rows) in parts.into_iter().enumerate() {
        let (expected, opened) = (rows.len(), open(place, tokio_stream::iter(rows)));
        readers.spawn(async move {
            let mut answers = opened.await?.into_inner();
            let mut seen = 0;
            while let Some(answer) = answers.message().await? {
                check(&answer)?;
                seen += 1;
            }
            if seen == expected { Ok(()) } else { Err(Failure::new("BENCH_ANSWERS", "a stream had fewer answers than rows")) }
        });
    }
    while let Some(read) = readers.join_next().await {
        read.map_err(|error| Failure::of("BENCH_TASK", &error))??;
    }
    Ok(Run::of(count, began.elapsed()))
}
