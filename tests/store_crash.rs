//! The store under `kill -9`, power loss and a full disk, at every step and at random: nothing acknowledged is lost, nothing is
//! half there, and it opens and goes on by itself.
//!
//! The child is this test binary again, below the shim of `tests/shim`. It writes down what was acknowledged to it; the parent
//! opens what the crash left, and compares. The seed of what is random is printed; `STORE_CRASH_SEED` sets it.

#![allow(clippy::print_stdout, clippy::print_stderr)] // The tests say how much they did.
#![allow(unreachable_pub)] // The modules below belong to this crate alone.

#[path = "store_crash/acks.rs"]
mod acks;
#[path = "store_crash/fixture.rs"]
mod fixture;
#[path = "store_crash/load.rs"]
mod load;
mod shim;
#[path = "store_crash/verify.rs"]
mod verify;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use acks::ECHO;
use fixture::Random;
use load::{Load, Task};
use shim::Shim;
use tempfile::TempDir;

const TASK: &str = "STORE_CRASH_TASK";
const SEED: &str = "STORE_CRASH_SEED";
const SIGKILL: i32 = 9;

/// Fewest steps of the small load, which is killed at every one of them in four ways.
const SMALL_STEPS: u64 = 60;
/// Fewest steps of an opening after a crash.
const OPENING_STEPS: u64 = 8;
/// Fewest kills of each test that kills at random: a step that a run does not reach kills nothing.
const RANDOM_KILLS: u64 = 30;
const KILLS_BEFORE_POWER_LOSS: u64 = 18;
const ROLLING_KILLS: u64 = 18;
/// Kills of the two tests that kill from outside.
const OUTSIDE_KILLS: u64 = 40;
const FULL_DISK_KILLS: u64 = 12;
/// What all of it comes to under load.
const _: () =
    assert!(4 * SMALL_STEPS + RANDOM_KILLS + KILLS_BEFORE_POWER_LOSS + ROLLING_KILLS + OUTSIDE_KILLS + FULL_DISK_KILLS >= 200);

#[test]
fn child() {
    if let Ok(task) = std::env::var(TASK) {
        load::work(&Task::from_setting(&task));
    }
}

/// The seed of one test.
fn seed(test: &str) -> u64 {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            now.as_nanos() as u64 >> 10 & 0xFFFF_FFFF
        }
    };
    println!("{test}: {SEED}={seed}");
    seed
}

/// A folder in which a store is, or was, or will be, with the acknowledgements beside it.
struct Stage {
    outer: TempDir,
    seed: u64,
    round: u64,
}

impl Stage {
    /// In memory where there is room: what survives is the shim's to decide, and not the disk's.
    fn bare(seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let roomy = fs4::available_space(memory).is_ok_and(|bytes| bytes > 4 << 30);
        let outer = if roomy { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { outer: outer.expect("a folder"), seed, round: 0 }
    }

    /// With the ballast set aside, as a file without blocks: to write it again and again costs more than all the rest.
    fn new(seed: u64) -> Self {
        let stage = Self::bare(seed);
        fs::create_dir(stage.data()).expect("a folder");
        let ballast = fs::File::create(stage.data().join("ballast")).expect("a file");
        ballast.set_len(24 << 20).expect("a size");
        stage
    }

    /// A second stage on which the same has happened.
    fn fork(&self) -> Self {
        let stage = Self { outer: Self::bare(self.seed).outer, seed: self.seed, round: self.round };
        for (from, to) in [(self.data(), stage.data()), (self.shadow(), stage.shadow())] {
            shim::copy(&from, &to).expect("a copy");
        }
        fs::copy(self.acks(), stage.acks()).expect("a copy");
        stage
    }

    fn data(&self) -> PathBuf {
        self.outer.path().join("data")
    }

    fn acks(&self) -> PathBuf {
        self.outer.path().join("acks")
    }

    fn shadow(&self) -> PathBuf {
        self.outer.path().join("shadow")
    }

    fn task(&self, load: Load) -> Task {
        Task { folder: self.data(), acks: self.acks(), load, seed: self.seed, round: self.round }
    }

    fn shim(&self) -> Shim {
        Shim::new(&self.data())
    }

    fn command(&mut self, shim: &Shim, load: Load) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "child", "--nocapture", "--quiet"]).current_dir(self.outer.path());
        command.env(TASK, self.task(load).to_setting()).stdout(Stdio::null());
        shim.command_env(&mut command);
        self.round += 1;
        command
    }

    /// True where the child was killed, false where it came to its end before.
    fn play(&mut self, shim: &Shim, load: Load, context: &str) -> bool {
        let status = self.command(shim, load).status().expect("a child");
        was_killed(status, context)
    }

    /// Kills the child from outside once it has written `lines` lines of acknowledgements with `word` in them.
    fn kill_after(&mut self, shim: &Shim, load: Load, lines: u64, word: &str) {
        let mut child = self.command(shim, load).stdout(Stdio::piped()).spawn().expect("a child");
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines().map(|line| line.expect("text"));
        let count = usize::try_from(lines).expect("small");
        let written = output.by_ref().filter(|line| line.starts_with(ECHO) && line.contains(word)).take(count).count();
        child.kill().expect("alive");
        let status = child.wait().expect("a child");
        assert_eq!((written, status.signal()), (count, Some(SIGKILL)), "{load:?}");
    }

    /// Holds the store against what was acknowledged: in a process of its own, because whoever forks while a store is open holds
    /// its lock for a moment too.
    fn verify(&mut self, context: &str) {
        let killed = self.play(&self.shim(), Load::Verify, context);
        assert!(!killed, "{context}");
    }

    /// Puts what a power loss left in the place of the store.
    fn lose_power(&self) {
        fs::remove_dir_all(self.data()).expect("the store");
        fs::rename(self.shadow(), self.data()).expect("the shadow");
        for entry in fs::read_dir(self.outer.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.to_string_lossy().contains("shadow.stage") {
                fs::remove_file(path).expect("a stage");
            }
        }
    }
}

fn was_killed(status: ExitStatus, context: &str) -> bool {
    match status.signal() {
        Some(SIGKILL) => true,
        None if status.success() => false,
        _ => panic!("{context}: {status}"),
    }
}

/// What becomes of a child and of its files.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Killed before a step.
    Kill,
    /// Killed in the midst of a write.
    Torn,
    /// Killed, and of the files is left what was forced.
    Power,
    /// ... and any part of what was not.
    Stray(u64),
}

impl Fate {
    fn any(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Kill,
            1 => Self::Torn,
            2 => Self::Power,
            _ => Self::Stray(random.next() >> 32),
        }
    }

    fn of(self, shim: Shim) -> Shim {
        match self {
            Self::Kill | Self::Power => shim,
            Self::Torn => shim.torn(),
            Self::Stray(seed) => shim.stray(seed),
        }
    }

    fn loses_power(self) -> bool {
        matches!(self, Self::Power | Self::Stray(_))
    }
}

/// Kills one child at `step` and looks at what is left.
fn crash(stage: &mut Stage, load: Load, step: u64, fate: Fate) -> bool {
    let context = format!("seed {}, round {}, {load:?}, step {step}, {fate:?}", stage.seed, stage.round);
    let mut shim = fate.of(stage.shim().kill_at(step));
    if fate.loses_power() {
        shim = shim.shadow(&stage.shadow());
    }
    let killed = stage.play(&shim, load, &context);
    if fate.loses_power() {
        stage.lose_power();
    }
    stage.verify(&context);
    killed
}

/// Steps of a whole run of `load` on `stage`.
fn steps(mut stage: Stage, load: Load) -> u64 {
    let shim = stage.shim();
    assert!(!stage.play(&shim, load, "a whole run"));
    let steps = shim.steps();
    stage.verify("a whole run");
    stage.verify("opened again after a clean end");
    steps
}

/// Crashes at every step up to `steps`, of which there are at least `floor`; a fault at one must not hide the others.
fn every(what: &str, floor: u64, steps: u64, crash: impl Fn(u64) -> bool) {
    let (mut kills, mut failures) = (0, Vec::new());
    for step in 1..=steps {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crash(step))) {
            Ok(killed) => kills += u64::from(killed),
            Err(_) => failures.push(step),
        }
    }
    println!("{what}: {kills} kills at {steps} steps");
    assert_eq!(failures, Vec::<u64>::new(), "steps at which a crash does harm");
    assert!(steps >= floor, "{what}: only {steps} steps");
    // The engine's own threads make a run a step or two shorter now and then.
    assert!(kills * 20 >= steps * 19, "{what}: only {kills} kills at {steps} steps");
}

fn every_step(stage: impl Fn(u64) -> Stage, fate: impl Fn(u64) -> Fate) {
    let steps = steps(stage(1), Load::Small);
    let what = format!("a small load, {:?}", fate(1));
    every(&what, SMALL_STEPS, steps, |step| crash(&mut stage(1), Load::Small, step, fate(step)));
}

#[test]
fn a_kill_at_every_step() {
    every_step(Stage::bare, |_| Fate::Kill);
}

#[test]
fn a_kill_within_every_write() {
    every_step(Stage::new, |_| Fate::Torn);
}

#[test]
fn a_power_loss_at_every_step() {
    every_step(Stage::new, |_| Fate::Power);
}

#[test]
fn a_power_loss_at_every_step_with_strays() {
    let seed = seed("a_power_loss_at_every_step_with_strays");
    every_step(Stage::new, |step| Fate::Stray(seed ^ step << 20));
}

/// While content is removed, files are written anew and the old ones overwritten.
#[test]
fn a_crash_at_every_step_of_an_erasure() {
    let seed = seed("a_crash_at_every_step_of_an_erasure");
    let steps = steps(Stage::new(1), Load::Erasing);
    every("erasing", SMALL_STEPS, steps, |step| {
        let fate = Fate::any(&mut Random(seed ^ step << 20));
        crash(&mut Stage::new(1), Load::Erasing, step, fate)
    });
}

/// A store whose child was killed in the midst of its work, with a shadow of it.
fn crashed() -> Stage {
    let mut stage = Stage::new(2);
    let shim = stage.shim().kill_at(75).shadow(&stage.shadow());
    assert!(stage.play(&shim, Load::Small, "a store that crashed"));
    stage
}

#[test]
fn a_crash_at_every_step_of_the_opening_after_a_crash() {
    let crashed = crashed();
    let steps = steps(crashed.fork(), Load::Open);
    for fate in [Fate::Kill, Fate::Torn] {
        every(&format!("the opening, {fate:?}"), OPENING_STEPS, steps, |step| {
            crash(&mut crashed.fork(), Load::Open, step, fate)
        });
    }
    // What the first child wrote and did not force, the second one reads: it is still in the system's cache.
    for fate in [Fate::Power, Fate::Stray(3)] {
        every(&format!("the opening, {fate:?}"), OPENING_STEPS, steps + 12, |step| {
            let context = format!("the opening, step {step}, {fate:?}");
            let mut stage = crashed.fork();
            let shim = fate.of(stage.shim().kill_at(step).same_shadow(&stage.shadow()));
            let killed = stage.play(&shim, Load::Small, &context);
            stage.lose_power();
            stage.verify(&context);
            killed
        });
    }
}

/// Crashes again and again on the same folder, early ones among them that hit the opening.
#[test]
fn crashes_at_random_one_after_the_other() {
    const STORES: u64 = 10;
    const CRASHES: u64 = 6;
    let seed = seed("crashes_at_random_one_after_the_other");
    let mut random = Random(seed);
    let steps = steps(Stage::new(seed), Load::Large);
    let mut kills = 0;
    for _ in 0..STORES {
        let mut stage = Stage::new(random.next() >> 16);
        for _ in 0..CRASHES {
            let bound = if random.below(3) == 0 { 40 } else { steps };
            let step = 1 + random.below(bound);
            kills += u64::from(crash(&mut stage, Load::Large, step, Fate::any(&mut random)));
        }
    }
    println!("a large load of {steps} steps: {kills} kills at random");
    assert!(kills >= RANDOM_KILLS);
}

/// Kills, starts again, and kills twice more before the power goes: recovery builds on what was never forced.
fn kills_and_then_a_power_loss(load: Load, steps: u64, random: &mut Random) -> u64 {
    let mut stage = Stage::new(random.next() >> 16);
    let first = 1 + random.below(steps);
    let context = format!("seed {}, {load:?}, step {first}", stage.seed);
    let shim = stage.shim().kill_at(first).shadow(&stage.shadow());
    let mut kills = u64::from(stage.play(&shim, load, &context));
    for _ in 0..2 {
        let shim = stage.shim().kill_at(1 + random.below(60)).same_shadow(&stage.shadow());
        let fate = Fate::Stray(random.next() >> 32);
        kills += u64::from(stage.play(&fate.of(shim), load, &context));
    }
    stage.lose_power();
    stage.verify(&context);
    kills
}

#[test]
fn a_power_loss_after_kills() {
    const STORES: u64 = 12;
    let seed = seed("a_power_loss_after_kills");
    let mut random = Random(seed);
    let kills: u64 = (0..STORES).map(|_| kills_and_then_a_power_loss(Load::Large, 150, &mut random)).sum();
    println!("{STORES} power losses after {kills} kills");
    assert!(kills >= KILLS_BEFORE_POWER_LOSS);
}

/// The engine's log rolls from segment to segment, and overwrites those that it has freed.
#[test]
fn crashes_while_segments_come_and_go() {
    const STORES: u64 = 6;
    let seed = seed("crashes_while_segments_come_and_go");
    let mut random = Random(seed);
    let steps = steps(Stage::new(seed), Load::Rolling);
    let mut kills = 0;
    for _ in 0..STORES {
        let mut stage = Stage::new(random.next() >> 16);
        for _ in 0..3 {
            let step = 1 + random.below(steps);
            kills += u64::from(crash(&mut stage, Load::Rolling, step, Fate::any(&mut random)));
        }
        drop(stage);
        kills += kills_and_then_a_power_loss(Load::Rolling, steps, &mut random);
    }
    println!("a rolling load of {steps} steps: {kills} kills");
    assert!(kills >= ROLLING_KILLS);
}

/// Kills that no step decides.
#[test]
fn kills_from_outside() {
    let seed = seed("kills_from_outside");
    let mut random = Random(seed);
    let mut stage = Stage::new(seed);
    for kill in 0..OUTSIDE_KILLS {
        let power = kill % 2 == 1;
        if kill % 5 == 0 {
            stage = Stage::new(seed ^ kill);
        }
        let shim = if power { stage.shim().shadow(&stage.shadow()) } else { stage.shim() };
        stage.kill_after(&shim, Load::Endless, 1 + random.below(30), "");
        if power {
            stage.lose_power();
        }
        stage.verify(&format!("seed {seed}, kill {kill} from outside"));
    }
    println!("{OUTSIDE_KILLS} kills from outside, after half of them the power was lost");
}

/// At each forcing of a file in turn. What is in the system's cache may be read again by the next process or be lost with the power.
#[test]
fn a_disk_that_fails_once_is_not_believed_again() {
    const UNSCATHED_AT_THE_END: u32 = 3;
    const FEWEST_FAILURES: u32 = 10;
    let (mut failures, mut unscathed) = (0, 0);
    for sync in 1.. {
        let mut stage = Stage::new(4);
        let context = format!("sync {sync} fails");
        let shim = stage.shim().shadow(&stage.shadow()).fail_sync_at(sync);
        assert!(!stage.play(&shim, Load::Unsound, &context));
        let refused = acks::read(&stage.acks()).contains(&acks::Line::At("refused".into()));
        (failures, unscathed) = if refused { (failures + 1, 0) } else { (failures, unscathed + 1) };
        if sync % 2 == 0 {
            stage.lose_power();
        }
        stage.verify(&context);
        if unscathed == UNSCATHED_AT_THE_END {
            break;
        }
    }
    println!("{failures} failures of the disk");
    assert!(failures >= FEWEST_FAILURES);
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let mut stage = Stage::new(3);
    let shim = stage.shim().full_while(&load::full_flag(&stage.data())).full_gives();
    assert!(!stage.play(&shim, Load::Full, "a full disk"));
    stage.verify("a disk that was full");
}

#[test]
fn crashes_on_a_full_disk() {
    let seed = seed("crashes_on_a_full_disk");
    let mut random = Random(seed);
    let mut stage = Stage::new(seed);
    for crash in 0..FULL_DISK_KILLS {
        let context = format!("seed {seed}, crash {crash} on a full disk");
        let flag = load::full_flag(&stage.data());
        let power = crash % 2 == 1;
        let mut shim = stage.shim().full_while(&flag).full_gives();
        if power {
            shim = shim.shadow(&stage.shadow());
        }
        stage.kill_after(&shim, Load::FullForEver, 1 + random.below(4), "full");
        if power {
            stage.lose_power();
        }
        fs::remove_file(flag).expect("the flag");
        stage.verify(&context);
    }
    println!("{FULL_DISK_KILLS} kills on a full disk, after half of them the power was lost");
}

/// The ballast makes room for it.
#[test]
fn a_store_that_crashed_opens_on_a_full_disk() {
    let mut stage = crashed();
    let flag = load::full_flag(&stage.data());
    let refused = |stage: &Stage| acks::read(&stage.acks()).contains(&acks::Line::At("refused".into()));
    stage.verify("before the disk is full");
    fs::write(&flag, "").expect("the flag");
    let shim = stage.shim().full_while(&flag).full_gives();
    assert!(!stage.play(&shim, Load::Open, "a full disk"));
    assert!(!refused(&stage), "the ballast was not enough");
    assert!(!stage.play(&shim, Load::Open, "a full disk without ballast"));
    assert!(refused(&stage));
    fs::remove_file(&flag).expect("the flag");
    stage.verify("after the disk was full");
}
