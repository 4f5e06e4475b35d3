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
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use fixture::Random;
use load::{Load, Task};
use shim::Shim;
use tempfile::TempDir;

const TASK: &str = "STORE_CRASH_TASK";
const SEED: &str = "STORE_CRASH_SEED";
const SIGKILL: i32 = 9;

#[test]
fn child() {
    if let Ok(task) = std::env::var(TASK) {
        load::work(&Task::from_setting(&task));
    }
}

/// The seed of this run.
fn seed() -> u64 {
    match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            now.as_nanos() as u64 >> 10
        }
    }
}

/// A folder in which a store is, or was, or will be, with the acknowledgements beside it.
struct Stage {
    outer: TempDir,
    seed: u64,
    round: u64,
}

impl Stage {
    /// In memory where there is room: what survives is the shim's to decide, and not the disk's.
    fn new(seed: u64) -> Self {
        let memory = Path::new("/dev/shm");
        let roomy = fs4::available_space(memory).is_ok_and(|bytes| bytes > 4 << 30);
        let outer = if roomy { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { outer: outer.expect("a folder"), seed, round: 0 }
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

#[derive(Debug, Clone, Copy)]
struct Fate {
    torn: bool,
    power: bool,
}

impl Fate {
    fn shim(self, stage: &Stage, step: u64) -> Shim {
        let mut shim = stage.shim().kill_at(step);
        if self.torn {
            shim = shim.torn();
        }
        if self.power {
            shim = shim.shadow(&stage.shadow());
        }
        shim
    }
}

/// Kills one child at `step` and looks at what is left.
fn crash(stage: &mut Stage, load: Load, step: u64, fate: Fate) -> bool {
    let context = format!("seed {}, round {}, {load:?}, step {step}, {fate:?}", stage.seed, stage.round);
    let shim = fate.shim(stage, step);
    let killed = stage.play(&shim, load, &context);
    if fate.power {
        stage.lose_power();
    }
    stage.verify(&context);
    killed
}

/// Steps of a whole run.
fn steps(load: Load, seed: u64) -> u64 {
    let mut stage = Stage::new(seed);
    let shim = stage.shim();
    assert!(!stage.play(&shim, load, "a whole run"));
    let steps = shim.steps();
    stage.verify("a whole run");
    steps
}

fn every_step(fate: Fate) {
    let steps = steps(Load::Small, 1);
    let (mut kills, mut failures) = (0, Vec::new());
    for step in 1..=steps {
        // One fault must not hide the others.
        match std::panic::catch_unwind(|| crash(&mut Stage::new(1), Load::Small, step, fate)) {
            Ok(killed) => kills += u64::from(killed),
            Err(_) => failures.push(step),
        }
    }
    println!("{fate:?}: {kills} kills at {steps} steps");
    assert_eq!(failures, Vec::<u64>::new(), "steps at which a kill does harm");
}

#[test]
fn a_kill_at_every_step() {
    every_step(Fate { torn: false, power: false });
}

#[test]
fn a_kill_within_every_write() {
    every_step(Fate { torn: true, power: false });
}

#[test]
fn a_power_loss_at_every_step() {
    every_step(Fate { torn: false, power: true });
}
