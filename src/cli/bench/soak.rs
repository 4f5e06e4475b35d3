//! A node at saturation for long: whether its memory stays what it was, and whether it answers checks meanwhile.
//!
//! Two streams hand in what is there already and two ask about many sellers, each as fast as it is answered; beside them single checks
//! are made, on connections of their own and on those of the streams, and some new signals are handed in every second, so that the log
//! grows and other members' nodes have something to fetch.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::load::{Run, latencies, micros};
use super::messages;
use super::report::{Figure, Goal, Spread};
use super::rig::Server;
use super::stage::{MEMBERS, Stage};
use crate::cli::Environment;
use crate::cli::connection::Node;
use crate::cli::failure::Failure;
use crate::cli::output::Printer;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{CheckSellerRequest, CheckSellersRequest, SubmitSignalRequest, SubmitSignalsRequest};

/// Rows of one round on each kind of stream.
const ROWS: usize = 100_000;
/// Single checks under way at once, on connections of their own and as many on those of streams.
const CHECKS: usize = 4;
/// Questions of single checks, over and over.
const QUESTIONS: usize = 10_000;
/// New signals that are handed in each second.
const NEW_EACH_SECOND: u32 = 100;
const MIB: f64 = 1_048_576.0;

/// What a round came to.
struct Round {
    submitted: Run,
    checked: Run,
    single: Checked,
    fresh: usize,
}

impl Stage {
    /// Holds a node and one that follows it at saturation for so long, after `size` signals were handed in.
    pub(super) async fn soak(&mut self, size: u64, long: Duration, printer: &mut Printer) -> Result<Vec<Figure>, Failure> {
        printer.progress(|| format!("submitting signals up to {size}"));
        self.fill(size).await?;
        let second = self.rig.node(1).await?;
        let questions = self.questions(ROWS);
        let known = self.known_submissions(ROWS);
        let alone = self.single_checks(&questions, Duration::from_secs(10)).await?;
        let (began, mut memory, mut rounds) = (Instant::now(), Vec::new(), Vec::new());
        // Until caches and buffers have what they ever will, memory says nothing.
        let warm = long / 10;
        while began.elapsed() < long {
            rounds.push(self.round(&known, &questions).await?);
            let resident = self.node.usage()?.resident as f64 / MIB;
            if began.elapsed() >= warm {
                memory.push(resident);
            }
            let minutes = began.elapsed().as_secs() / 60;
            printer.progress(|| format!("minute {minutes} at saturation, {resident:.0} MiB in memory"));
        }
        // A round leaves now more, now less behind it: what counts is whether quarters of the time differ.
        let quarter = memory.len().div_ceil(4);
        let median = |samples: &[f64]| Spread::of(samples.iter().copied()).median;
        let (early, late) = (median(&memory[..quarter]), median(&memory[memory.len() - quarter..]));
        let (mut apart, mut beside) = (latencies(), latencies());
        for round in &rounds {
            let added = apart.add(&round.single.apart).and_then(|()| beside.add(&round.single.beside));
            added.map_err(|error| Failure::of("BENCH_LATENCIES", &error))?;
        }
        let at = |of: &Histogram<u64>, quantile| of.value_at_quantile(quantile) as f64;
        let latency = |operation, of: &Histogram<u64>, quantile| {
            Figure::beside(operation, "us", "the same alone", &[(at(of, quantile), at(&alone.apart, quantile))])
        };
        let rate = |of: fn(&Round) -> &Run| Spread::of(rounds.iter().map(|round| of(round).rate()));
        let fresh: usize = rounds.iter().map(|round| round.fresh).sum();
        let peer = second.usage()?.peak as f64;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        Ok(vec![
            Figure::new("soak", "minutes", Spread::one(minutes)),
            Figure::new("soak, SubmitSignals of known rows", "a second", rate(|round| &round.submitted)),
            Figure::new("soak, CheckSellers", "a second", rate(|round| &round.checked)),
            Figure::new("soak, new signals", "a second", Spread::one(fresh as f64 / began.elapsed().as_secs_f64())),
            latency("soak, CheckSeller p50", &apart, 0.5),
            latency("soak, CheckSeller p99", &apart, 0.99),
            latency("soak, CheckSeller p50 on the connection of a stream", &beside, 0.5),
            latency("soak, CheckSeller p99 on the connection of a stream", &beside, 0.99),
            Figure::new("soak, memory", "MiB", Spread::of(memory.iter().copied())),
            Figure::beside("soak, memory, last quarter", "MiB", "first quarter", &[(late, early)]).goal(Goal::AtMost(1.1)),
            Figure::new("soak, memory of the follower, peak", "MiB", Spread::one(peer / MIB)),
        ])
    }

    /// Rows that the node knows already.
    fn known_submissions(&self, count: usize) -> Vec<SubmitSignalsRequest> {
        let row = |find| SubmitSignalsRequest { submission: Some(messages::submission(&find)) };
        self.population.finds(MEMBERS).take(count).map(row).collect()
    }

    /// Single checks for so long while nothing else is asked.
    async fn single_checks(&self, questions: &[CheckSellersRequest], long: Duration) -> Result<Checked, Failure> {
        let checks = self.begin_checks(questions)?;
        tokio::time::sleep(long).await;
        checks.end()
    }

    fn begin_checks(&self, questions: &[CheckSellersRequest]) -> Result<Checks, Failure> {
        let client = (self.rig.home(0).path().join("client.toml"), self.rig.environment().clone());
        Checks::begin(client, &self.node, questions.iter().take(QUESTIONS).cloned().collect())
    }

    async fn round(&mut self, known: &[SubmitSignalsRequest], questions: &[CheckSellersRequest]) -> Result<Round, Failure> {
        let stop = CancellationToken::new();
        // More than a round lasts; what is left over is not handed in.
        let fresh = self.submissions(60 * NEW_EACH_SECOND as usize);
        let (known, questions) = (known.to_vec(), questions.to_vec());
        let checks = self.begin_checks(&questions)?;
        let fresh = tokio::spawn(hand_in(SignalServiceClient::new(self.node.channel(2)), fresh, stop.clone()));
        let bulk = tokio::try_join!(self.submit(&self.node, known), self.check(&self.node, questions));
        stop.cancel();
        let (single, fresh) = (checks.end()?, ended(fresh.await)?);
        let (submitted, checked) = bulk?;
        Ok(Round { submitted, checked, single, fresh })
    }
}

fn ended<T>(task: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    task.map_err(|error| Failure::of("BENCH_TASK", &error))?
}

/// Latencies of single checks.
struct Checked {
    /// On connections of their own.
    apart: Histogram<u64>,
    /// On the connections that carry streams.
    beside: Histogram<u64>,
}

/// Single checks, [`CHECKS`] under way at once, until they are stopped. A thread of their own makes them: what is measured is the node,
/// and not how the senders of streams share this process with them.
struct Checks {
    stop: CancellationToken,
    thread: std::thread::JoinHandle<Result<Checked, Failure>>,
}

impl Checks {
    fn begin(client: (PathBuf, Environment), node: &Server, questions: Vec<CheckSellersRequest>) -> Result<Self, Failure> {
        let stop = CancellationToken::new();
        let (stopped, streams) = (stop.clone(), [node.channel(0), node.channel(1)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of("RUNTIME", &error))?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let (path, environment) = client;
                let own = [Node::reach(Some(&path), &environment).await?.channel];
                let questions = Arc::new(questions);
                let (apart, beside) =
                    tokio::try_join!(callers(&own, &questions, &stopped), callers(&streams, &questions, &stopped))?;
                Ok(Checked { apart, beside })
            })
        });
        Ok(Self { stop, thread })
    }

    fn end(self) -> Result<Checked, Failure> {
        self.stop.cancel();
        self.thread.join().map_err(|_| Failure::new("BENCH_TASK", "the thread of single checks ended with a panic"))?
    }
}

/// Asks on these connections until it is stopped.
async fn callers(
    channels: &[Channel],
    questions: &Arc<Vec<CheckSellersRequest>>,
    stop: &CancellationToken,
) -> Result<Histogram<u64>, Failure> {
    let mut callers = JoinSet::new();
    for caller in 0..CHECKS {
        let mut client = ScreeningServiceClient::new(channels[caller % channels.len()].clone());
        let (questions, stop) = (questions.clone(), stop.clone());
        callers.spawn(async move {
            let mut latencies = latencies();
            for row in questions.iter().skip(caller).step_by(CHECKS).cycle().take_while(|_| !stop.is_cancelled()) {
                let began = Instant::now();
                client.check_seller(CheckSellerRequest { identifiers: row.identifiers.clone(), watch: None }).await?;
                latencies.saturating_record(micros(began.elapsed()));
            }
            Ok(latencies)
        });
    }
    let mut all = latencies();
    while let Some(caller) = callers.join_next().await {
        all.add(&ended(caller)?).map_err(|error| Failure::of("BENCH_LATENCIES", &error))?;
    }
    Ok(all)
}

/// Hands in new signals, [`NEW_EACH_SECOND`] each second, until it is stopped; how many.
async fn hand_in(
    mut client: SignalServiceClient<Channel>,
    rows: Vec<SubmitSignalsRequest>,
    stop: CancellationToken,
) -> Result<usize, Failure> {
    let mut pace = interval(Duration::from_secs(1) / NEW_EACH_SECOND);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken = 0;
    for row in rows {
        pace.tick().await;
        if stop.is_cancelled() {
            break;
        }
        client.submit_signal(SubmitSignalRequest { submission: row.submission }).await?;
        taken += 1;
    }
    Ok(taken)
}
