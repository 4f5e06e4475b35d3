//! One alliance at one size after the other, and what is measured at each.

use std::path::Path;
use std::time::{Duration, Instant};

use super::floors::Floors;
use super::load::{self, Run, calls, dealt, micros, streams};
use super::nothing::Canned;
use super::paper::{Relay, Scribe};
use super::report::{Figure, Goal, Spread};
use super::rig::{Rig, Server};
use super::{Scale, messages};
use crate::cli::Environment;
use crate::cli::failure::Failure;
use crate::cli::output::Printer;
use crate::domain::IdentifierKind;
use crate::population::{Find, Finds, Population};
use crate::rpc::proto::node_service_client::NodeServiceClient;
use crate::rpc::proto::screening_service_client::ScreeningServiceClient;
use crate::rpc::proto::signal_service_client::SignalServiceClient;
use crate::rpc::proto::{
    CheckSellerRequest, CheckSellersRequest, CheckSellersResponse, GetStatusRequest, GetStatusResponse, Identifier,
    SubmitSignalRequest, SubmitSignalsRequest, SubmitSignalsResponse, check_sellers_response, submit_signals_response,
};

/// Members among whom the finds are distributed.
pub(super) const MEMBERS: usize = 20;
/// Share of questions about sellers who were found.
const HITS: f64 = 0.03;
/// Streams at once: as many as the cores that the goals are for.
const STREAMS: usize = 2;
/// Signals that are sent at once while a store is filled.
const FILL: usize = 200_000;
/// Entries that the floors take turns with.
const FLOOR_ENTRIES: usize = 65_536;
/// Identifiers of a question.
const IDENTIFIERS: f64 = crate::population::ASKED as f64;

/// An alliance, its first node and what that is compared with.
pub(super) struct Stage {
    pub(super) rig: Rig,
    pub(super) population: Population,
    scale: Scale,
    finds: Finds,
    pub(super) node: Server,
    nothing: Option<Server>,
    floors: Floors,
    feeds: usize,
    /// Entries held, and their bytes as far as they are known.
    size: u64,
    entry_bytes: f64,
    /// Signals taken in a second while the store was filled to the last size.
    filled: Option<f64>,
    /// Numbers for sellers of whom nobody has heard yet.
    fresh: u64,
}

impl Stage {
    /// A node whose own feed is all there is, empty.
    pub(super) async fn grow(
        folder: &Path,
        population: Population,
        scale: Scale,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let rig = Rig::found(folder, 2, environment).await?;
        let node = rig.node(0).await?;
        Self::around(rig, node, population, scale, population.finds(MEMBERS), 1).await
    }

    async fn around(
        rig: Rig,
        node: Server,
        population: Population,
        scale: Scale,
        finds: Finds,
        feeds: usize,
    ) -> Result<Self, Failure> {
        let scribe = Scribe::of(&rig)?;
        let first: Vec<Find> = population.finds(MEMBERS).take(FLOOR_ENTRIES).collect();
        let entries = scribe.entries(&first).await?;
        let bytes: usize = entries.iter().map(|entry| entry.as_slice().len()).sum();
        let floors = Floors::create(rig.path(), &entries).map_err(|error| Failure::of("BENCH_FLOOR", &error))?;
        let entry_bytes = bytes as f64 / entries.len() as f64;
        let (size, filled, fresh) = (0, None, 0);
        Ok(Self { rig, population, scale, finds, node, nothing: None, floors, feeds, size, entry_bytes, filled, fresh })
    }

    /// All figures at one size, to which the node's own feed is filled first.
    pub(super) async fn at(&mut self, size: u64, printer: &mut Printer) -> Result<Vec<Figure>, Failure> {
        printer.progress(|| format!("submitting signals up to {size}"));
        self.fill(size).await?;
        let mut figures = self.calls(printer).await?;
        let held = self.size;
        printer.progress(|| "a second node fetches everything".to_owned());
        let second = self.synchronise(&mut figures).await?;
        printer.progress(|| "signals on their way from one node to the other".to_owned());
        figures.push(self.trips(&second).await?);
        printer.progress(|| "nothing at all".to_owned());
        figures.extend(self.idle(&second).await?);
        drop(second);
        printer.progress(|| "opening the store after a crash".to_owned());
        figures.push(self.crash().await?);
        Ok(self.labelled(figures, held))
    }

    /// All figures of a node that fetched `size` signals in `feeds` feeds of others from one member that relays them.
    pub(super) async fn relayed(
        folder: &Path,
        population: Population,
        scale: Scale,
        environment: &Environment,
        feeds: usize,
        size: u64,
        printer: &mut Printer,
    ) -> Result<Vec<Figure>, Failure> {
        printer.progress(|| format!("writing {size} signals in {feeds} feeds"));
        let rig = Rig::found(folder, feeds + 1, environment).await?;
        let mut relay = Relay::open(&rig, 1, 1..=feeds)?;
        let mut finds = population.finds(feeds);
        relay.store(finds.by_ref().take(usize::try_from(size).unwrap_or(usize::MAX))).await?;
        relay.finish().await?;
        let source = rig.node(1).await?;
        let node = rig.node(0).await?;
        let mut stage = Self::around(rig, node, population, scale, finds, feeds).await?;
        printer.progress(|| "fetching them".to_owned());
        let fetched = stage.level(&stage.node, size, None).await?;
        let mut figures = vec![Figure { signals: size, ..fetched }];
        drop(source);
        stage.size = size;
        figures.extend(stage.calls(printer).await?);
        figures.push(stage.crash().await?);
        Ok(stage.labelled(figures, stage.size))
    }

    /// Says of all figures in how many feeds the signals lay, and that there were `held` where it is not said yet.
    pub(super) fn labelled(&self, figures: Vec<Figure>, held: u64) -> Vec<Figure> {
        let signals = |figure: &Figure| if figure.signals == 0 { held } else { figure.signals };
        figures.into_iter().map(|figure| Figure { signals: signals(&figure), feeds: self.feeds, ..figure }).collect()
    }

    /// Submits until so many are held.
    pub(super) async fn fill(&mut self, size: u64) -> Result<(), Failure> {
        let before = self.size;
        let mut busy = Duration::ZERO;
        while self.size < size {
            let more = usize::try_from(size - self.size).unwrap_or(usize::MAX).min(FILL);
            let rows = self.submissions(more);
            busy += self.submit(&self.node, rows).await?.took;
            self.size = self.held().await?;
        }
        if self.size > before {
            self.filled = Some((self.size - before) as f64 / busy.as_secs_f64());
        }
        Ok(())
    }

    pub(super) fn submissions(&mut self, count: usize) -> Vec<SubmitSignalsRequest> {
        let row = |find: Find| SubmitSignalsRequest { submission: Some(messages::submission(&find)) };
        self.finds.by_ref().take(count).map(row).collect()
    }

    pub(super) async fn submit(&self, server: &Server, rows: Vec<SubmitSignalsRequest>) -> Result<Run, Failure> {
        let open = |place: usize, rows| {
            let mut client = SignalServiceClient::new(server.channel(place));
            async move { client.submit_signals(rows).await }
        };
        streams(dealt(rows, STREAMS), open, taken).await
    }

    pub(super) async fn check(&self, server: &Server, rows: Vec<CheckSellersRequest>) -> Result<Run, Failure> {
        let open = |place: usize, rows| {
            let mut client = ScreeningServiceClient::new(server.channel(place));
            async move { client.check_sellers(rows).await }
        };
        streams(dealt(rows, STREAMS), open, answered).await
    }

    async fn status(server: &Server) -> Result<GetStatusResponse, Failure> {
        Ok(NodeServiceClient::new(server.channel(0)).get_status(GetStatusRequest {}).await?.into_inner())
    }

    /// Entries of all feeds at the first node.
    async fn held(&self) -> Result<u64, Failure> {
        held_at(&self.node).await
    }

    /// What single calls and streams cost, beside nothing and the disk.
    async fn calls(&mut self, printer: &mut Printer) -> Result<Vec<Figure>, Failure> {
        let fill = self.floors.fill(self.size);
        fill.map_err(|error| Failure::of("BENCH_FLOOR", &error))?;
        if self.nothing.is_none() {
            let answers = self.canned().await?.write(self.rig.path()).map_err(|error| Failure::of("BENCH_ANSWERS", &error))?;
            self.nothing = Some(self.rig.nothing(0, &answers).await?);
        }
        let mut figures = self.at_rest().await?;
        printer.progress(|| "checks, one by one".to_owned());
        figures.extend(self.check_calls().await?);
        printer.progress(|| "checks in streams".to_owned());
        figures.extend(self.check_streams().await?);
        printer.progress(|| "submissions, one by one".to_owned());
        figures.extend(self.submit_calls().await?);
        printer.progress(|| "submissions in streams".to_owned());
        figures.extend(self.submit_streams().await?);
        // Submissions add to what is held; they are said of the size at which they began.
        figures.iter_mut().for_each(|figure| figure.signals = self.size);
        self.size = self.held().await?;
        Ok(figures)
    }

    /// A node's own answers, for the server that does nothing.
    async fn canned(&mut self) -> Result<Canned, Failure> {
        let question = self.questions(64).into_iter().next().map(|row| row.identifiers).unwrap_or_default();
        let request = CheckSellerRequest { identifiers: question, watch: None };
        let checked = ScreeningServiceClient::new(self.node.channel(0)).check_seller(request).await?.into_inner();
        let submission = self.submissions(1).into_iter().next().and_then(|row| row.submission);
        let mut submitter = SignalServiceClient::new(self.node.channel(0));
        let submitted = submitter.submit_signal(SubmitSignalRequest { submission }).await?.into_inner();
        Ok(Canned { checked, submitted })
    }

    pub(super) fn questions(&self, count: usize) -> Vec<CheckSellersRequest> {
        let row = |question| CheckSellersRequest { identifiers: messages::identifiers(&question), watch: None };
        self.population.questions(HITS, self.finds.controllers()).take(count).map(row).collect()
    }

    fn idle_server(&self) -> Result<&Server, Failure> {
        self.nothing.as_ref().ok_or_else(|| Failure::new("BENCH_SERVER", "there is nothing to compare with"))
    }

    /// CPU that node and empty server have used.
    fn cpu(&self) -> Result<(Duration, Duration), Failure> {
        Ok((self.node.usage()?.cpu, self.idle_server()?.usage()?.cpu))
    }

    /// Microseconds of CPU for each call or row of both.
    fn cpu_since(&self, before: (Duration, Duration), pairs: &[(Run, Run)]) -> Result<[(f64, f64); 1], Failure> {
        let now = self.cpu()?;
        let each = |cpu: Duration, count: usize| micros(cpu) as f64 / count.max(1) as f64;
        let (ours, nothing) = (pairs.iter().map(|(ours, _)| ours.count).sum(), pairs.iter().map(|(_, n)| n.count).sum());
        Ok([(each(now.0 - before.0, ours), each(now.1 - before.1, nothing))])
    }

    async fn check_calls(&self) -> Result<Vec<Figure>, Failure> {
        let questions = self.questions(self.scale.calls);
        let run = async |server: &Server| {
            let channels = server.channels.clone();
            calls(questions.clone(), move |caller, row: CheckSellersRequest| {
                let mut client = ScreeningServiceClient::new(channels[caller % channels.len()].clone());
                async move {
                    client.check_seller(CheckSellerRequest { identifiers: row.identifiers, watch: None }).await?;
                    Ok(())
                }
            })
            .await
        };
        let (nothing, mut pairs) = (self.idle_server()?, Vec::new());
        let before = self.cpu()?;
        for _ in 0..self.scale.alternations {
            pairs.push((run(&self.node).await?, run(nothing).await?));
        }
        let cpu = self.cpu_since(before, &pairs)?;
        Ok(vec![
            Figure::beside("CheckSeller", "a second", "empty call", &rates(&pairs)).goal(Goal::AtLeast(0.8)),
            Figure::beside("CheckSeller p50", "us", "empty call", &quantiles(&pairs, 0.5)),
            Figure::beside("CheckSeller p99", "us", "empty call", &quantiles(&pairs, 0.99)).goal(Goal::AtMost(1.5)),
            Figure::beside("CheckSeller CPU", "us a call", "empty call", &cpu),
        ])
    }

    async fn check_streams(&self) -> Result<Vec<Figure>, Failure> {
        let questions = self.questions(self.scale.rows);
        let (nothing, mut pairs) = (self.idle_server()?, Vec::new());
        let before = self.cpu()?;
        for _ in 0..self.scale.alternations {
            let ours = self.check(&self.node, questions.clone()).await?;
            pairs.push((ours, self.check(nothing, questions.clone()).await?));
        }
        let cpu = self.cpu_since(before, &pairs)?;
        let identifiers = Spread::of(pairs.iter().map(|(ours, _)| IDENTIFIERS * ours.rate()));
        Ok(vec![
            Figure::beside("CheckSellers", "a second", "empty stream", &rates(&pairs)).goal(Goal::AtLeast(0.5)),
            Figure::new("CheckSellers identifiers", "a second", identifiers).goal(Goal::AtLeast(300_000.0)),
            Figure::beside("CheckSellers CPU", "us a row", "empty stream", &cpu),
        ])
    }

    async fn submit_calls(&mut self) -> Result<Vec<Figure>, Failure> {
        let run = async |server: &Server, rows: Vec<SubmitSignalsRequest>| {
            let channels = server.channels.clone();
            calls(rows, move |caller, row: SubmitSignalsRequest| {
                let mut client = SignalServiceClient::new(channels[caller % channels.len()].clone());
                async move {
                    client.submit_signal(SubmitSignalRequest { submission: row.submission }).await?;
                    Ok(())
                }
            })
            .await
        };
        let (before, mut pairs) = (self.cpu()?, Vec::new());
        for _ in 0..self.scale.alternations {
            let rows = self.submissions(self.scale.calls);
            let ours = run(&self.node, rows.clone()).await?;
            pairs.push((ours, run(self.idle_server()?, rows).await?));
        }
        let cpu = self.cpu_since(before, &pairs)?;
        Ok(vec![
            Figure::beside("SubmitSignal", "a second", "empty call", &rates(&pairs)).goal(Goal::AtLeast(0.4)),
            Figure::beside("SubmitSignal p50", "us", "empty call", &quantiles(&pairs, 0.5)),
            Figure::beside("SubmitSignal p99", "us", "empty call", &quantiles(&pairs, 0.99)),
            Figure::beside("SubmitSignal CPU", "us a call", "empty call", &cpu),
        ])
    }

    async fn submit_streams(&mut self) -> Result<Vec<Figure>, Failure> {
        let before = self.cpu()?;
        let (mut beside_nothing, mut beside_engine, mut beside_file) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.scale.alternations {
            let rows = self.submissions(self.scale.rows);
            let ours = self.submit(&self.node, rows.clone()).await?;
            beside_nothing.push((ours.clone(), self.submit(self.idle_server()?, rows).await?));
            let of = |error: std::io::Error| Failure::of("BENCH_FLOOR", &error);
            beside_engine.push((ours.clone(), self.floors.engine(self.scale.rows).map_err(of)?));
            beside_file.push((ours, self.floors.file(self.scale.rows).map_err(of)?));
        }
        let cpu = self.cpu_since(before, &beside_nothing)?;
        let least = if self.size < 5_000_000 { 120_000.0 } else { 100_000.0 };
        let (operation, unit) = ("SubmitSignals", "a second");
        Ok(vec![
            Figure::beside(operation, unit, "sled alone", &rates(&beside_engine)).goal(Goal::AtLeast(0.5)),
            Figure::beside(operation, unit, "plain file", &rates(&beside_file)),
            Figure::beside(operation, unit, "empty stream", &rates(&beside_nothing)),
            Figure::new(operation, unit, Spread::of(beside_nothing.iter().map(|(ours, _)| ours.rate())))
                .goal(Goal::AtLeast(least)),
            Figure::beside("SubmitSignals CPU", "us a row", "empty stream", &cpu),
        ])
    }

    /// Memory and disk, while nothing is asked.
    async fn at_rest(&self) -> Result<Vec<Figure>, Failure> {
        let (usage, status) = (self.node.usage()?, Self::status(&self.node).await?);
        let disk = status.store.unwrap_or_default();
        let rows = disk.index_rows as f64;
        // A row of the index has 8 bytes of a pseudonym and 8 of a position.
        let payload = self.size as f64 * self.entry_bytes + 16.0 * rows;
        let mib = |bytes: f64| Spread::one(bytes / 1_048_576.0);
        Ok(vec![
            Figure::new("memory, peak", "MiB", mib(usage.peak as f64)).goal(Goal::AtMost(3_072.0)),
            Figure::new("memory, steady", "MiB", mib(usage.resident as f64)).goal(Goal::AtMost(1_536.0)),
            Figure::new("disk", "MiB", mib(disk.disk_bytes as f64)),
            Figure::beside("disk", "bytes", "entries and index", &[(disk.disk_bytes as f64, payload)]).goal(Goal::AtMost(1.5)),
        ])
    }

    /// Starts the second node, and waits until it holds all that the first does.
    async fn synchronise(&self, figures: &mut Vec<Figure>) -> Result<Server, Failure> {
        let second = self.rig.node(1).await?;
        figures.push(self.level(&second, self.size, self.filled).await?);
        let peak = second.usage()?.peak as f64 / 1_048_576.0;
        figures.push(Figure::new("first synchronisation, memory", "MiB", Spread::one(peak)));
        Ok(second)
    }

    /// Waits until a node that has just been started holds `size` entries; beside the rate at which they were submitted. Where
    /// they come from a member that relays them, from the first on: a relay is asked only after a while.
    async fn level(&self, node: &Server, size: u64, submitted: Option<f64>) -> Result<Figure, Failure> {
        let (mut began, mut before) = (Instant::now(), 0);
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let mut held = held_at(node).await?;
        while held < size {
            if submitted.is_none() && before == 0 && held > 0 {
                (began, before) = (Instant::now(), held);
            }
            look.tick().await;
            held = held_at(node).await?;
        }
        let operation = "first synchronisation";
        Ok(match submitted {
            Some(submitted) => {
                let rate = size as f64 / (began.elapsed() + node.ready_after).as_secs_f64();
                Figure::beside(operation, "a second", "durable submission", &[(rate, submitted)]).goal(Goal::AtLeast(0.9))
            }
            None => Figure::new(operation, "a second", Spread::one((size - before) as f64 / began.elapsed().as_secs_f64())),
        })
    }

    /// From the acknowledgement at one node to the answer at the other.
    async fn trips(&mut self, second: &Server) -> Result<Figure, Failure> {
        let mut took = load::latencies();
        let mut submitter = SignalServiceClient::new(self.node.channel(0));
        let mut screener = ScreeningServiceClient::new(second.channel(0));
        for _ in 0..self.scale.trips {
            let Some(mut row) = self.submissions(1).pop().and_then(|row| row.submission) else { break };
            let seller = self.stranger();
            row.submission_id = format!("trip-{}", self.fresh);
            row.identifiers = vec![seller.clone()];
            submitter.submit_signal(SubmitSignalRequest { submission: Some(row) }).await?;
            let acknowledged = Instant::now();
            loop {
                let request = CheckSellerRequest { identifiers: vec![seller.clone()], watch: None };
                let answer = screener.check_seller(request).await?.into_inner().answer.unwrap_or_default();
                if answer.members_elsewhere > 0 {
                    break;
                }
            }
            took.saturating_record(micros(acknowledged.elapsed()));
        }
        let ms = |quantile| took.value_at_quantile(quantile) as f64 / 1_000.0;
        self.size = self.held().await?;
        let spread = Spread { median: ms(0.5), low: ms(0.0), high: ms(0.99) };
        Ok(Figure::new("answered at another node (p99 as highest)", "ms", spread).goal(Goal::AtMost(10.0)))
    }

    fn stranger(&mut self) -> Identifier {
        self.fresh += 1;
        let kind = IdentifierKind::MarketplaceAccount.number();
        Identifier { kind, value: format!("taobao:trip-{}", self.fresh), region: String::new() }
    }

    /// What two nodes that are level cost while nothing happens.
    async fn idle(&self, second: &Server) -> Result<Vec<Figure>, Failure> {
        let received = async || Ok::<u64, Failure>(Self::status(second).await?.peers.iter().map(|p| p.received_bytes).sum());
        let (cpu, bytes) = (self.node.usage()?.cpu + second.usage()?.cpu, received().await?);
        tokio::time::sleep(self.scale.idle).await;
        let seconds = self.scale.idle.as_secs_f64();
        let cpu = self.node.usage()?.cpu + second.usage()?.cpu - cpu;
        let bytes = received().await? - bytes;
        Ok(vec![
            Figure::new("idle, CPU of two nodes", "ms a second", Spread::one(1_000.0 * cpu.as_secs_f64() / seconds)),
            Figure::new("idle, from a peer", "bytes a second", Spread::one(bytes as f64 / seconds)).goal(Goal::AtMost(100.0)),
        ])
    }

    /// From the start after a crash to the first answer.
    async fn crash(&mut self) -> Result<Figure, Failure> {
        self.node.kill()?;
        self.node = self.rig.node(0).await?;
        let answered = self.check(&self.node, self.questions(1)).await?;
        let seconds = (self.node.ready_after + answered.took).as_secs_f64();
        Ok(Figure::new("open after a crash", "s", Spread::one(seconds)).goal(Goal::AtMost(5.0)))
    }
}

async fn held_at(server: &Server) -> Result<u64, Failure> {
    let freshness = Stage::status(server).await?.freshness.unwrap_or_default();
    Ok(freshness.feeds.iter().map(|feed| feed.size).sum())
}

fn taken(answer: &SubmitSignalsResponse) -> Result<(), Failure> {
    match &answer.result {
        Some(submit_signals_response::Result::Receipt(_)) => Ok(()),
        Some(submit_signals_response::Result::Error(error)) => Err(Failure::new(error.code.clone(), error.message.clone())),
        None => Err(Failure::new("BENCH_ANSWERS", "an answer was empty")),
    }
}

pub(super) fn answered(answer: &CheckSellersResponse) -> Result<(), Failure> {
    match &answer.result {
        Some(check_sellers_response::Result::Answer(_)) => Ok(()),
        Some(check_sellers_response::Result::Error(error)) => Err(Failure::new(error.code.clone(), error.message.clone())),
        None => Err(Failure::new("BENCH_ANSWERS", "an answer was empty")),
    }
}

fn rates(pairs: &[(Run, Run)]) -> Vec<(f64, f64)> {
    pairs.iter().map(|(ours, limit)| (ours.rate(), limit.rate())).collect()
}

fn quantiles(pairs: &[(Run, Run)], quantile: f64) -> Vec<(f64, f64)> {
    let at = |run: &Run| run.latencies.value_at_quantile(quantile) as f64;
    pairs.iter().map(|(ours, limit)| (at(ours), at(limit))).collect()
}
