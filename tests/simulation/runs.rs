//! Runs by the thousand, each told by its seed.
//!
//! A run that fails prints its seed, its plan, a shorter plan that fails as well, and how to see it again:
//! `COUNTERMARK_SIM_SEED=7 cargo test --test simulation runs`, with `COUNTERMARK_SIM_OPS=0,3,9` for some of its operations only.
//! `COUNTERMARK_SIM_SEEDS=100000` makes more runs, from `COUNTERMARK_SIM_SEED` on where both are given.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countermark::feed::Hash;
use tokio::time::sleep;

use super::alliance::Alliance;
use super::plan::Plan;

/// Runs of a test of everything.
const SEEDS: u64 = 2_000;
/// Runs that are made twice.
const TWICE: u64 = 40;
/// Runs that are spent on a shorter plan.
const SHORTENINGS: usize = 150;
const THREADS: usize = 2;

/// What a run came to: its trace's digest and number of events; or what was broken, and the last events.
type Outcome = Result<(Hash, u64), (String, String)>;

thread_local! {
    /// Panics of this thread: the runtime keeps those of tasks to itself.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            if std::thread::current().name().is_none_or(|name| !name.starts_with("sim-")) {
                usual(panic);
            }
        }));
    });
}

/// Makes a run in virtual time, on this thread alone.
pub(crate) fn run(plan: &Plan) -> Outcome {
    note_panics();
    PANICS.with_borrow_mut(Vec::clear);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let kept = RefCell::new(None);
    let made = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut alliance = Alliance::of(plan).await;
            *kept.borrow_mut() = Some(alliance.net.clone());
            for (pause, op) in &plan.ops {
                sleep(Duration::from_millis(*pause)).await;
                alliance.apply(op).await;
            }
            alliance.conclude().await.map(|()| alliance.net.trace.digest())
        })
    }));
    let tail = || kept.borrow().as_ref().map(|net| net.trace.tail()).unwrap_or_default();
    let panics = PANICS.with_borrow_mut(std::mem::take);
    match made {
        Ok(Ok(digest)) if panics.is_empty() => Ok(digest),
        Ok(Err(broken)) if panics.is_empty() => Err((broken, tail())),
        _ => Err((panics.join("\n"), tail())),
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    environment(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A plan that fails with fewer operations: halves are left out, then smaller parts, while it goes on failing.
fn shorten(plan: &Plan) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..plan.ops.len()).collect();
    let mut part = kept.len().div_ceil(2);
    let mut left = SHORTENINGS;
    while part > 0 && left > 0 {
        let mut at = 0;
        while at < kept.len() && left > 0 {
            let shorter: Vec<usize> =
                kept.iter().enumerate().filter(|(i, _)| !(at..at + part).contains(i)).map(|(_, op)| *op).collect();
            left -= 1;
            if run(&plan.only(&shorter)).is_err() {
                kept = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    kept
}

fn report(plan: &Plan, broken: &str, tail: &str) -> String {
    let kept = shorten(plan);
    let shorter = plan.only(&kept);
    let list = kept.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let why = run(&shorter).err().map_or_else(String::new, |(why, _)| why);
    let seed = plan.seed;
    format!(
        "{broken}\n\nthe plan: {plan}\nthe last of what happened:\n{tail}\na shorter one: {shorter}{why}\n\n\
         again: COUNTERMARK_SIM_SEED={seed} cargo test --test simulation runs::\n\
         shorter: COUNTERMARK_SIM_SEED={seed} COUNTERMARK_SIM_OPS={list} cargo test --test simulation runs::"
    )
}

#[test]
fn whatever_happens_every_promise_holds() {
    let first = number("COUNTERMARK_SIM_SEED");
    let seeds = number("COUNTERMARK_SIM_SEEDS").unwrap_or(if first.is_some() { 1 } else { SEEDS });
    let first = first.unwrap_or(1);
    let only: Option<Vec<usize>> =
        environment("COUNTERMARK_SIM_OPS").map(|list| list.split(',').filter_map(|op| op.parse().ok()).collect());
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let failures = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let work = || {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let plan = only.as_ref().map_or_else(|| Plan::of(seed), |only| Plan::of(seed).only(only));
                    if let Err((broken, tail)) = run(&plan) {
                        failed.store(true, Ordering::Relaxed);
                        failures.lock().push(report(&plan, &broken, &tail));
                    }
                }
            };
            std::thread::Builder::new().name(format!("sim-{i}")).spawn_scoped(scope, work).expect("a thread");
        }
    });
    let failures = failures.into_inner();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn a_seed_tells_all_of_a_run() {
    for seed in 1..=TWICE {
        let plan = Plan::of(seed);
        let (first, second) = (run(&plan), run(&plan));
        assert_eq!(first.map_err(|(why, _)| why), second.map_err(|(why, _)| why), "seed {seed}");
    }
}
