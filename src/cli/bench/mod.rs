//! `bench`: what this machine makes of a node, beside what the machine allows.
//!
//! A whole node runs as its operator would run it, in a process of its own, and is called over mutual TLS. Each figure stands
//! beside its limit, measured in turn with it in the same run: a server that does nothing with the same messages, sled alone and
//! a plain file with the same bytes. Ratios travel from machine to machine, rates do not.

mod floors;
mod load;
mod messages;
pub(super) mod nothing;
mod paper;
mod plot;
mod report;
mod rig;
mod soak;
mod stage;
mod threshold;

use super::arguments::BenchArguments;
use super::failure::{Failure, Outcome};
use super::loopback::Stop;
use super::output::Printer;
use super::{Environment, wait_for};
use crate::population::{DUPLICATES, Population, TIERS, UNLINKED};
use crate::service::processors;
use procfs::Current as _;
use report::{Machine, Report, Share};
use stage::Stage;

/// How much is done for each figure.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Runs of ours and of the limit, in turn.
    alternations: usize,
    /// Single calls in one run.
    calls: usize,
    /// Rows of streams in one run.
    rows: usize,
    /// Signals seen at another node, one after the other.
    trips: usize,
    /// How long nothing is done to see what that costs.
    idle: std::time::Duration,
    /// Identifiers that are checked under a shared key.
    shared: usize,
}

const FULL: Scale = Scale {
    alternations: 5,
    calls: 100_000,
    rows: 400_000,
    trips: 500,
    idle: std::time::Duration::from_secs(30),
    shared: 1_000_000,
};
const QUICK: Scale =
    Scale { alternations: 5, calls: 5_000, rows: 20_000, trips: 50, idle: std::time::Duration::from_secs(10), shared: 20_000 };
/// Signals of a quick run.
const QUICK_SIGNALS: u64 = 100_000;
/// Finds and controllers that are looked at to see what the population comes to.
const SAMPLE: usize = 100_000;

pub(super) fn run(arguments: &BenchArguments, environment: &Environment, printer: &mut Printer) -> Result<Outcome, Failure> {
    wait_for(async {
        let mut stop = Stop::new()?;
        // However it ends, nodes and folders go.
        let report = tokio::select! {
            report = measure(arguments, environment, printer) => report?,
            () = stop.told() => return Err(Failure::new("BENCH_STOPPED", "it was stopped before everything was measured")),
        };
        printer.end_progress();
        printer.show(&report)?;
        if let Some(path) = &arguments.plot {
            let drawn = plot::draw(&report.figures, path);
            drawn.map_err(|error| Failure::new("BENCH_PLOT", format!("the plot could not be written: {error}")))?;
        }
        Ok(Outcome::Done)
    })
}

async fn measure(arguments: &BenchArguments, environment: &Environment, printer: &mut Printer) -> Result<Report, Failure> {
    let scale = if arguments.quick { QUICK } else { FULL };
    let mut sizes = if arguments.quick { vec![QUICK_SIGNALS] } else { arguments.signals.iter().map(|count| count.0).collect() };
    sizes.sort_unstable();
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let population = Population::new(arguments.seed);
    if let Some(minutes) = arguments.soak {
        let mut stage = Stage::grow(&folder, population, scale, environment).await?;
        let (size, long) = (sizes.first().copied().unwrap_or(QUICK_SIGNALS), std::time::Duration::from_secs(60 * minutes));
        let figures = stage.soak(size, long, printer).await?;
        let figures = stage.labelled(figures, size);
        return Ok(Report { machine: machine(), population: shares(population), figures });
    }
    let mut figures = threshold::measure(&folder, scale, environment, printer).await?;
    for feeds in &arguments.feeds {
        let feeds = usize::from(*feeds).max(1);
        if feeds == 1 {
            let mut stage = Stage::grow(&folder, population, scale, environment).await?;
            for size in &sizes {
                figures.extend(stage.at(*size, printer).await?);
            }
        } else {
            for size in &sizes {
                figures.extend(Stage::relayed(&folder, population, scale, environment, feeds, *size, printer).await?);
            }
        }
    }
    Ok(Report { machine: machine(), population: shares(population), figures })
}

fn machine() -> Machine {
    let processor = procfs::CpuInfo::current().ok().and_then(|cpus| cpus.model_name(0).map(str::to_owned));
    Machine {
        processor: processor.unwrap_or_else(|| "unknown".to_owned()),
        cores: processors(),
        memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
        version: env!("CARGO_PKG_VERSION"),
        optimised: cfg!(not(debug_assertions)),
    }
}

/// What the population of this run comes to, beside what it is drawn from.
fn shares(population: Population) -> Vec<Share> {
    let finds: Vec<_> = population.finds(20).take(SAMPLE).collect();
    let controllers: Vec<_> = (0..SAMPLE as u64 / 4).map(|number| population.controller(number)).collect();
    let share = |of: &str, target, realised| Share { of: of.to_owned(), target, realised };
    let part = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let again = finds.len() - finds.iter().map(|find| find.number).collect::<std::collections::BTreeSet<_>>().len();
    let stores: usize = controllers.iter().map(Vec::len).sum();
    let mut shares = vec![
        share("stores a controller", 2.9, part(stores, controllers.len())),
        share("duplicates", DUPLICATES, part(again, finds.len())),
    ];
    let pairs = || controllers.iter().flat_map(|stores| stores.windows(2)).filter(|p| p.iter().all(|s| !s.at_an_agent));
    for (place, (kind, chance)) in (1..).zip(crate::population::REUSE) {
        let same = pairs().filter(|pair| pair[0].identifiers[place] == pair[1].identifiers[place]).count();
        let target = chance * (1.0 - UNLINKED);
        shares.push(share(&format!("{kind} used again"), target, part(same, pairs().count())));
    }
    for (tier, target) in TIERS.into_iter().enumerate() {
        let of_tier = controllers.iter().filter(|stores| stores.first().is_some_and(|store| store.tier == tier)).count();
        shares.push(share(&format!("regions of tier {}", tier + 1), target, part(of_tier, controllers.len())));
    }
    let harmonic = |n: u32| (1..=n).map(|k| 1.0 / f64::from(k)).sum::<f64>();
    let first = |of: &dyn Fn(&crate::population::Find) -> bool| part(finds.iter().filter(|find| of(find)).count(), finds.len());
    shares.push(share("of the first of 20 members", 1.0 / harmonic(20), first(&|find| find.member == 0)));
    shares.push(share("of the first brand", 1.0 / harmonic(crate::population::BRANDS), first(&|find| find.brand == 0)));
    shares.push(share("identifiers a signal", 2.0, part(finds.iter().map(|f| f.store.known().count()).sum(), finds.len())));
    shares
}
