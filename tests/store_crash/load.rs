//! The child: opens the store below the shim and works on it, and writes down what was acknowledged once it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countermark::domain::Seq;
use countermark::store::{Appended, Options, Store};

use crate::acks::{Acks, Line};
use crate::fixture::{self, HEAVY, Random};
use crate::verify::verify;

/// What the child is to do.
#[derive(Debug, Clone)]
pub struct Task {
    pub folder: PathBuf,
    pub acks: PathBuf,
    pub load: Load,
    pub seed: u64,
    /// Counts the children that worked on one folder; numbers of signals differ by it.
    pub round: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Opens the store and ends; says so where the disk is too full.
    Open,
    /// One request after another, few and small.
    Small,
    /// Several at once.
    Large,
    /// Writes so much, and so much of it anew, that segments of the engine fill up, are freed and used again.
    Rolling,
    /// Erases, and has the files written anew.
    Erasing,
    /// Like `Large`, without an end.
    Endless,
    /// Submits until the disk fails, and knows what to expect then.
    Unsound,
    /// Toggles the flag of a full disk, over a store that is far larger than the engine's cache.
    Full,
    /// Fills the disk and goes on trying.
    FullForEver,
    /// Holds the store against what was acknowledged.
    Verify,
}

/// Far less than `Load::Full` fills in.
const SMALL_CACHE_BYTES: u64 = 1 << 20;
/// Signals that `Load::Full` fills in: three thousand segments.
const FILLED_IN: u64 = 48_000;
/// Longer than the store ever waits between two attempts to write again.
const LONGEST_WAIT: Duration = Duration::from_secs(61);

const LOADS: [(&str, Load); 10] = [
    ("erasing", Load::Erasing),
    ("unsound", Load::Unsound),
    ("open", Load::Open),
    ("small", Load::Small),
    ("large", Load::Large),
    ("rolling", Load::Rolling),
    ("endless", Load::Endless),
    ("full", Load::Full),
    ("full-for-ever", Load::FullForEver),
    ("verify", Load::Verify),
];

impl Task {
    pub fn to_setting(&self) -> String {
        let (name, _) = LOADS.iter().find(|(_, load)| *load == self.load).expect("named");
        format!("{}|{}|{name}|{}|{}", self.folder.display(), self.acks.display(), self.seed, self.round)
    }

    pub fn from_setting(text: &str) -> Self {
        let [folder, acks, name, seed, round] = text.split('|').collect::<Vec<_>>()[..] else { panic!("no task: {text}") };
        let (_, load) = *LOADS.iter().find(|(known, _)| *known == name).expect("a load");
        Self {
            folder: folder.into(),
            acks: acks.into(),
            load,
            seed: seed.parse().expect("a number"),
            round: round.parse().expect("a number"),
        }
    }

    /// The file that makes the disk full while it exists.
    pub fn full_flag(&self) -> PathBuf {
        full_flag(&self.folder)
    }
}

pub fn full_flag(folder: &Path) -> PathBuf {
    folder.with_extension("full")
}

pub fn work(task: &Task) {
    if task.load == Load::Verify {
        return verify(&task.folder, &task.acks);
    }
    let acks = Arc::new(Acks::open(&task.acks));
    let cache_bytes = if task.load == Load::Full { SMALL_CACHE_BYTES } else { fixture::options(&task.folder).cache_bytes };
    let store = match Store::open(Options { cache_bytes, ..fixture::options(&task.folder) }) {
        Ok(store) => Arc::new(store),
        Err(refusal) if task.load == Load::Open && refusal.code() == "STORE_FULL" => {
            return acks.write(&[Line::At("refused".into())]);
        }
        Err(refusal) if task.load == Load::Unsound => {
            assert_eq!(refusal.code(), "STORE_IO", "{refusal}");
            return acks.write(&[Line::At("refused".into())]);
        }
        Err(refusal) => panic!("{} {refusal} {refusal:?}", refusal.code()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let worker = |lane: u64| Worker {
        store: store.clone(),
        acks: acks.clone(),
        next: task.round << 40 | lane << 32,
        random: Random(task.seed ^ task.round << 16 ^ lane << 8),
        own: Vec::new(),
    };
    match task.load {
        Load::Open | Load::Verify => {}
        Load::Small => runtime.block_on(worker(0).small()),
        Load::Large => runtime.block_on(large(worker, Some(1))),
        Load::Rolling => runtime.block_on(worker(0).rolling()),
        Load::Erasing => runtime.block_on(worker(0).erasing()),
        Load::Endless => runtime.block_on(large(worker, None)),
        Load::Unsound => runtime.block_on(worker(0).unsound()),
        Load::Full => runtime.block_on(full(worker, &task.full_flag())),
        Load::FullForEver => runtime.block_on(full_for_ever(worker(0), &task.full_flag())),
    }
    drop(runtime);
    store.close();
    drop(store);
    acks.write(&[Line::At("end".into())]);
}

/// All kinds of requests at once, from tasks that each wait for their own answers.
async fn large(worker: impl Fn(u64) -> Worker, rounds: Option<u64>) {
    let again = move |done: u64| rounds.is_none_or(|rounds| done < rounds);
    let mut tasks = tokio::task::JoinSet::new();
    let mut w = worker(1);
    tasks.spawn(async move {
        for i in (0..).take_while(|i| again(i / 12)) {
            w.append(if i % 3 == 0 { "north" } else { "all" }, 1).await;
            w.retract_one().await;
        }
    });
    let mut w = worker(2);
    tasks.spawn(async move {
        for _ in (0..).take_while(|i| again(i / 4)) {
            // Now and then more than a batch may hold in one request.
            let count = if w.random.below(24) == 0 { 4_100 } else { 1 + w.random.below(250) };
            let audience = if w.random.below(4) == 0 { "north" } else { "all" };
            w.append(audience, count).await;
        }
    });
    let mut w = worker(3);
    tasks.spawn(async move {
        for i in (0..).take_while(|i| again(i / 8)) {
            let count = 1 + w.random.below(40);
            w.checks(count).await;
            if i % 4 == 0 {
                w.roster().await;
            }
        }
    });
    let mut w = worker(4);
    tasks.spawn(async move {
        for _ in (0..).take_while(|i| again(i / 5)) {
            w.import().await;
        }
    });
    let mut w = worker(5);
    tasks.spawn(async move {
        for _ in (0..).take_while(|i| again(i / 3)) {
            let count = 1 + w.random.below(60);
            w.heavy("all", count).await;
            w.retract_one().await;
        }
    });
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
}

/// Two submit all the while and take no for an answer; a third fills the disk and knows what to expect.
async fn full(lane: impl Fn(u64) -> Worker, flag: &Path) {
    let mut worker = lane(0);
    let done = Arc::new(AtomicBool::new(false));
    let mut others = tokio::task::JoinSet::new();
    for mut other in [lane(1), lane(2)] {
        let done = done.clone();
        others.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                other.submit_or_be_refused().await;
            }
        });
    }
    worker.small_mix().await;
    for _ in 0..FILLED_IN / 4_000 {
        worker.append("all", 4_000).await;
    }
    for round in 0..6 {
        worker.append("all", 400 * round).await;
        let reference = worker.checks(2).await;
        std::fs::write(flag, "").expect("the flag");
        for attempt in 0..5 {
            worker.refused(round, attempt).await;
            worker.reads_go_on(reference);
        }
        std::fs::remove_file(flag).expect("the flag");
        fixture::move_clock(LONGEST_WAIT);
        worker.small_mix().await;
        assert_eq!(worker.store.health().problem, None, "round {round}");
    }
    done.store(true, Ordering::Relaxed);
    while let Some(ended) = others.join_next().await {
        ended.expect("no panic");
    }
}

async fn full_for_ever(mut worker: Worker, flag: &Path) {
    worker.small_mix().await;
    std::fs::write(flag, "").expect("the flag");
    for attempt in 0.. {
        worker.refused(0, attempt).await;
        worker.acks.write(&[Line::At("full".into())]);
    }
}

struct Worker {
    store: Arc<Store>,
    acks: Arc<Acks>,
    next: u64,
    random: Random,
    /// Own signals of the alliance's feed that were acknowledged and not retracted.
    own: Vec<Seq>,
}

impl Worker {
    fn numbers(&mut self, count: u64) -> Vec<u64> {
        let from = self.next;
        self.next += count;
        (from..self.next).collect()
    }

    async fn append(&mut self, audience: &str, count: u64) {
        let numbers = self.numbers(count);
        self.submit(audience, &numbers).await.expect("durable");
    }

    async fn heavy(&mut self, audience: &str, count: u64) {
        let numbers: Vec<_> = self.numbers(count).into_iter().map(|n| n | HEAVY).collect();
        self.submit(audience, &numbers).await.expect("durable");
    }

    async fn submit(&mut self, audience: &str, numbers: &[u64]) -> Result<(), countermark::store::StoreError> {
        let tried = |n: &u64| Line::Try { audience: audience.to_owned(), n: *n };
        self.acks.write(&numbers.iter().map(tried).collect::<Vec<_>>());
        let outcomes = self.store.append(numbers.iter().map(|n| fixture::signal(audience, *n)).collect()).await?;
        let mut lines = Vec::with_capacity(numbers.len());
        for (n, outcome) in numbers.iter().zip(outcomes) {
            let (Appended::Created(seq) | Appended::Known(seq, _)) = outcome.expect("taken") else { panic!("no retraction") };
            if audience == "all" {
                self.own.push(seq);
            }
            lines.push(Line::Signal { audience: audience.to_owned(), n: *n, seq });
        }
        self.acks.write(&lines);
        Ok(())
    }

    /// Retracts a signal that was acknowledged to this worker.
    async fn retract_one(&mut self) {
        if self.own.is_empty() {
            return;
        }
        let at = self.random.below(self.own.len() as u64);
        let signal = self.own.swap_remove(usize::try_from(at).expect("small"));
        let outcomes = self.store.append(vec![fixture::retraction("all", signal)]).await.expect("durable");
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
        self.acks.write(&[Line::Retracted { audience: "all".into(), signal }]);
    }

    /// Erases two signals that were acknowledged to this worker.
    async fn erase_two(&mut self) {
        let signals = [(); 2].map(|()| {
            let at = self.random.below(self.own.len() as u64);
            self.own.swap_remove(usize::try_from(at).expect("small"))
        });
        let outcomes = self.store.append(vec![fixture::erasure("all", &signals)]).await.expect("durable");
        assert!(outcomes[0].is_ok(), "{outcomes:?}");
        self.acks.write(&signals.map(|signal| Line::Erased { audience: "all".into(), signal }));
    }

    async fn erasing(&mut self) {
        self.append("all", 40).await;
        self.import().await;
        self.erase_two().await;
        self.append("all", 3).await;
        self.erase_two().await;
        assert_eq!(self.store.purge().await, Ok(true));
        self.append("all", 2).await;
        self.erase_two().await;
        self.append("north", 1).await;
    }

    async fn checks(&mut self, count: u64) -> (u64, countermark::store::CheckReference) {
        let numbers = self.numbers(count);
        let records = numbers.iter().map(|n| fixture::check_record(*n)).collect();
        let references = self.store.record_checks(records).await.expect("durable");
        let lines = numbers.iter().zip(&references).map(|(n, reference)| Line::Check { n: *n, reference: *reference });
        self.acks.write(&lines.collect::<Vec<_>>());
        (numbers[0], references[0])
    }

    async fn import(&mut self) {
        let import = fixture::next_import(&self.store);
        let size = self.store.import(import).await.expect("durable");
        self.acks.write(&[Line::Imported { size }]);
    }

    async fn roster(&mut self) {
        let n = self.numbers(1)[0];
        self.put_roster(n).await;
    }

    async fn put_roster(&self, n: u64) {
        self.store.put_roster(fixture::roster(n)).await.expect("durable");
        self.acks.write(&[Line::Roster { n }]);
    }

    async fn small(&mut self) {
        self.small_mix().await;
        // Sixteen large entries are a value that the engine keeps in a file of its own once the page is written anew.
        self.heavy("all", 18).await;
        self.append("all", 1).await;
        // More than one batch may hold: it gets a checkpoint within.
        self.heavy("all", 140).await;
        self.marks().await;
        self.small_mix().await;
        self.expire().await;
    }

    async fn marks(&self) {
        self.store.quarantine(fixture::fork()).await.expect("durable");
        self.acks.write(&[Line::Forked]);
        self.store.mark_behind(fixture::behind_feed(), Seq::new(5)).await.expect("durable");
        self.acks.write(&[Line::Behind]);
    }

    /// Lets a year pass. What is too old goes with the commits that follow.
    async fn expire(&mut self) {
        self.acks.write(&[Line::Expire]);
        fixture::move_clock(Duration::from_secs(366 * 86_400));
        self.checks(1).await;
        self.checks(1).await;
    }

    /// Nothing is acknowledged after the first failure, however long it is tried; what was, is still read.
    async fn unsound(&mut self) {
        for i in 0..10 {
            let count = if i == 5 { 30 } else { 3 };
            let numbers: Vec<_> = self.numbers(count).into_iter().map(|n| if i == 5 { n | HEAVY } else { n }).collect();
            let Err(refusal) = self.submit("all", &numbers).await else { continue };
            assert_eq!(refusal.code(), "STORE_IO", "{refusal}");
            for _ in 0..3 {
                fixture::move_clock(LONGEST_WAIT);
                let numbers = self.numbers(1);
                assert_eq!(self.submit("all", &numbers).await, Err(refusal.clone()));
            }
            assert_eq!(self.store.health().problem.map(|(code, _)| code), Some("STORE_IO"));
            self.entries_are_read();
            return self.acks.write(&[Line::At("refused".into())]);
        }
    }

    async fn rolling(&mut self) {
        for i in 0..30 {
            self.append("all", 2).await;
            let n = self.numbers(1)[0] | HEAVY;
            self.put_roster(n).await;
            self.checks(1).await;
            self.retract_one().await;
            if i % 6 == 0 {
                self.heavy("north", 20).await;
            }
        }
    }

    async fn small_mix(&mut self) {
        self.append("all", 1).await;
        self.append("all", 20).await;
        self.import().await;
        self.append("north", 3).await;
        self.checks(2).await;
        self.retract_one().await;
        self.roster().await;
        self.import().await;
    }

    async fn submit_or_be_refused(&mut self) {
        let count = 1 + self.random.below(9);
        let numbers = self.numbers(count);
        if let Err(refusal) = self.submit("north", &numbers).await {
            assert_eq!(refusal.code(), "STORE_FULL", "{refusal}");
        }
    }

    /// A submission on a full disk.
    async fn refused(&mut self, round: u64, attempt: u64) {
        fixture::move_clock(LONGEST_WAIT);
        let numbers = self.numbers(1 + attempt);
        let refusal = self.submit("all", &numbers).await.expect_err("the disk is full");
        assert_eq!(refusal.code(), "STORE_FULL", "round {round}, attempt {attempt}: {refusal}");
        let problem = self.store.health().problem.expect("a problem");
        assert_eq!(problem.0, "STORE_FULL", "round {round}, attempt {attempt}: {problem:?}");
    }

    fn reads_go_on(&self, (n, reference): (u64, countermark::store::CheckReference)) {
        let feed = fixture::own_feed("all");
        self.entries_are_read();
        assert_eq!(self.store.check(&reference).expect("readable"), Some(fixture::check_record(n)));
        assert!(self.store.roster().is_some());
        assert!(self.store.batch_after(&feed, Seq::ZERO).expect("readable").is_some());
    }

    /// One entry of every segment, and every one of the last.
    fn entries_are_read(&self) {
        let feed = fixture::own_feed("all");
        let size = self.store.size(&feed).get();
        for seq in (0..size).step_by(16).chain(size.saturating_sub(64)..size) {
            assert!(self.store.read(&feed, Seq::new(seq)).expect("readable").is_some(), "entry {seq}");
        }
    }
}
