//! The shim for crash and power-loss tests does what it says: what it kills, keeps and refuses is what `crash.c` promises.
//!
//! The child is this test binary again, so that the calls are those of Rust's own standard library.

#![allow(clippy::print_stdout, clippy::print_stderr)] // The child acknowledges on its output; a test that cannot run says so.

#[path = "shim/mod.rs"]
mod shim;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use shim::Shim;
use tempfile::TempDir;

const SCRIPT: &str = "SHIM_TEST_SCRIPT";
const SIGKILL: i32 = 9;
const EXIT_FULL: i32 = 28;
const EIO: i32 = 5;
const EXIT_FAILED: i32 = EIO;

/// What the child does: one operation a line. Those of one call take one step each, `open` and `append` none.
#[test]
fn child() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    match play(&script) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::StorageFull => std::process::exit(EXIT_FULL),
        Err(e) if e.raw_os_error() == Some(EIO) => std::process::exit(EXIT_FAILED),
        Err(e) => panic!("{e}"),
    }
}

fn play(script: &str) -> std::io::Result<()> {
    let mut files: HashMap<&str, File> = HashMap::new();
    for line in script.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["make" | "empty", name] => {
                files.insert(name, OpenOptions::new().create(true).write(true).truncate(true).open(name)?);
            }
            ["open", name] => {
                files.insert(name, OpenOptions::new().write(true).open(name)?);
            }
            ["append", name] => {
                files.insert(name, OpenOptions::new().append(true).open(name)?);
            }
            ["write", name, text] => (&files[name]).write_all(text.as_bytes())?,
            ["write_at", name, offset, text] => files[name].write_all_at(text.as_bytes(), offset.parse().expect("a number"))?,
            ["size", name, size] => files[name].set_len(size.parse().expect("a number"))?,
            ["try_sync", name] => drop(files[name].sync_all()),
            ["sync", name] => files[name].sync_all()?,
            ["data", name] => files[name].sync_data()?,
            ["rename", from, to] => fs::rename(from, to)?,
            ["unlink", name] => fs::remove_file(name)?,
            ["mkdir", name] => fs::create_dir(name)?,
            ["names", name] => File::open(name)?.sync_all()?,
            ["scatter", name, writes] => scatter(&files[name], writes.parse().expect("a number"))?,
            ["count", name, to] => count_up(&files[name], to.parse().expect("a number"))?,
            ["threads", threads, rounds] => in_threads(threads.parse().expect("a number"), rounds.parse().expect("a number"))?,
            _ => panic!("no operation: {line}"),
        }
    }
    Ok(())
}

/// Writes every other byte, from both ends towards the middle.
fn scatter(file: &File, writes: u64) -> std::io::Result<()> {
    (0..writes).map(|i| if i % 2 == 0 { i } else { 2 * writes - i }).try_for_each(|at| file.write_all_at(b"x", at * 2))
}

/// Writes and forces a number, says so, and goes on with the next.
fn count_up(mut file: &File, to: u32) -> std::io::Result<()> {
    for n in 0..to {
        file.write_all(format!("{n:07}\n").as_bytes())?;
        file.sync_data()?;
        println!("{n}");
    }
    Ok(())
}

fn in_threads(threads: usize, rounds: usize) -> std::io::Result<()> {
    std::thread::scope(|scope| {
        let work = |i: usize| {
            move || -> std::io::Result<()> {
                let mut file = File::create(format!("file-{i}"))?;
                for _ in 0..rounds {
                    file.write_all(b"x")?;
                    file.sync_all()?;
                }
                Ok(())
            }
        };
        let running: Vec<_> = (0..threads).map(|i| scope.spawn(work(i))).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

/// A folder that a child works in, and what a power loss would leave of it.
struct Stage {
    outer: TempDir,
}

impl Stage {
    fn new() -> Self {
        let outer = tempfile::tempdir().expect("a folder");
        fs::create_dir(outer.path().join("data")).expect("a folder");
        Self { outer }
    }

    /// A stage on which `script` has been played without a shim.
    fn after(script: &str) -> Self {
        let stage = Self::new();
        assert!(stage.command(script).status().expect("a child").success());
        stage
    }

    fn data(&self) -> PathBuf {
        self.outer.path().join("data")
    }

    fn shadow(&self) -> PathBuf {
        self.outer.path().join("shadow")
    }

    fn shim(&self) -> Shim {
        Shim::new(&self.data())
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "child", "--nocapture", "--quiet"]).current_dir(self.data()).env(SCRIPT, script);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    fn play(&self, shim: &Shim, script: &str) -> ExitStatus {
        let mut command = self.command(script);
        shim.command_env(&mut command);
        command.output().expect("a child").status
    }
}

/// Every file and folder below `folder` with its content.
fn image(folder: &Path) -> BTreeMap<String, String> {
    let mut image = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        if entry.path().is_dir() {
            image.extend(self::image(&entry.path()).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text)));
            image.insert(format!("{name}/"), String::new());
        } else {
            let bytes = fs::read(entry.path()).expect("a file");
            image.insert(name, String::from_utf8(bytes).expect("text").replace('\0', "."));
        }
    }
    image
}

fn expected(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// One step a line.
const STEPS: &str = "make log\nwrite log one,\nsync log\nmkdir sub\nmake sub/new\nwrite_at sub/new 2 two\ndata sub/new\n\
                     size log 2\n\
                     rename sub/new sub/now\nnames sub\nempty log\nwrite log three\nsync log\nunlink sub/now\nnames .";

fn lines(script: &str, n: usize) -> String {
    script.lines().take(n).collect::<Vec<_>>().join("\n")
}

#[test]
fn steps_are_counted() {
    let stage = Stage::new();
    let shim = stage.shim();
    assert!(stage.play(&shim, STEPS).success());
    assert_eq!(shim.steps(), STEPS.lines().count() as u64);
    assert!(stage.play(&shim, "").success());
    assert_eq!(shim.steps(), 0);
}

/// A kill at step N leaves the folder as the first N - 1 steps made it.
#[test]
fn a_kill_comes_before_its_step() {
    for n in 1..=STEPS.lines().count() {
        let stage = Stage::new();
        let shim = stage.shim().shadow(&stage.shadow()).kill_at(n as u64);
        assert_eq!(stage.play(&shim, STEPS).signal(), Some(SIGKILL), "step {n}");
        assert_eq!(shim.steps(), n as u64);

        let before = lines(STEPS, n - 1);
        assert_eq!(image(&stage.data()), image(&Stage::after(&before).data()), "step {n}");
        let whole = Stage::new();
        let shim = whole.shim().shadow(&whole.shadow());
        assert!(whole.play(&shim, &before).success());
        assert_eq!(image(&stage.shadow()), image(&whole.shadow()), "step {n}");
    }
}

#[test]
fn a_torn_write_happens_by_half() {
    for (script, at, text) in [
        ("make log\nwrite log abcdef", 2, "abc"),
        ("make log\nwrite log abcdef\nwrite_at log 3 vwxyz", 3, "abcvwf"),
        ("make log\nwrite log abc\nwrite log x", 3, "abc"),
        ("make log\nwrite log abc\nsync log", 3, "abc"),
    ] {
        let stage = Stage::new();
        assert_eq!(stage.play(&stage.shim().kill_at(at).torn(), script).signal(), Some(SIGKILL));
        assert_eq!(image(&stage.data()), expected(&[("log", text)]), "{script}");
    }
}

#[test]
fn a_power_loss_leaves_what_was_forced() {
    for (name, script, left) in [
        ("nothing is forced", "make a\nwrite a text", &[][..]),
        ("forced content", "make a\nwrite a text\nsync a\nwrite a -lost", &[("a", "text")]),
        ("fdatasync is enough", "make a\nwrite a text\ndata a", &[("a", "text")]),
        (
            "in place",
            "make a\nwrite a abcdef\nsync a\nwrite_at a 1 XX\nwrite_at a 4 YY\ndata a\nwrite_at a 0 Z",
            &[("a", "aXXdYY")],
        ),
        ("a hole", "make a\nsync a\nwrite_at a 3 x\ndata a", &[("a", "...x")]),
        ("grown", "make a\nwrite a x\nsize a 3\nsync a", &[("a", "x..")]),
        ("cut, not forced", "make a\nwrite a abc\nsync a\nsize a 1", &[("a", "abc")]),
        ("cut and forced", "make a\nwrite a abc\nsync a\nsize a 1\nsync a", &[("a", "a")]),
        ("cut and grown", "make a\nwrite a abc\nsync a\nsize a 1\nsize a 3\nsync a", &[("a", "a..")]),
        ("emptied, not forced", "make a\nwrite a abc\nsync a\nempty a\nwrite a x", &[("a", "abc")]),
        ("emptied and forced", "make a\nwrite a abc\nsync a\nempty a\nwrite a x\nsync a", &[("a", "x")]),
        ("appended", "make a\nwrite a abc\nsync a\nappend a\nwrite a def\nsync a\nwrite a g", &[("a", "abcdef")]),
        ("a name without its content", "make a\nwrite a text\nnames .", &[("a", "")]),
        ("a name, then its content", "make a\nwrite a text\nnames .\nsync a", &[("a", "text")]),
        ("a folder, not forced", "mkdir d", &[]),
        ("a folder, forced by its parent", "mkdir d\nnames .", &[("d/", "")]),
        ("a folder, forced by its file", "mkdir d\nmake d/a\nwrite d/a x\nsync d/a", &[("d/", ""), ("d/a", "x")]),
        ("a rename, not forced", "make a\nwrite a new\nsync a\nrename a b", &[("a", "new")]),
        ("a rename, forced by its folder", "make a\nwrite a new\nsync a\nrename a b\nnames .", &[("b", "new")]),
        ("a rename, forced by its file", "make a\nwrite a new\nrename a b\nsync a", &[("b", "new")]),
        ("a rename of what was not forced", "make a\nwrite a new\nrename a b\nnames .", &[("b", "")]),
        (
            "replaced, not forced",
            "make b\nwrite b old\nsync b\nmake a\nwrite a new\nsync a\nrename a b",
            &[("a", "new"), ("b", "old")],
        ),
        ("replaced", "make b\nwrite b old\nsync b\nmake a\nwrite a new\nsync a\nrename a b\nnames .", &[("b", "new")]),
        ("replaced by nothing", "make b\nwrite b old\nsync b\nmake a\nwrite a new\nrename a b\nnames .", &[("b", "")]),
        (
            "a chain",
            "make a\nwrite a 1\nsync a\nmake c\nwrite c 2\nsync c\nrename a b\nrename c a\nsync c",
            &[("a", "2"), ("b", "1")],
        ),
        ("gone at once", "make a\nwrite a x\nsync a\nunlink a", &[]),
        ("gone under another name", "make a\nwrite a x\nsync a\nrename a b\nunlink b", &[]),
        ("an unlink commits names before it", "make a\nwrite a x\nmake b\nwrite b y\nsync b\nunlink b", &[("a", "")]),
        ("gone and made again", "make a\nwrite a x\nsync a\nunlink a\nmake a\nwrite a yy\nsync a\nwrite a z", &[("a", "yy")]),
        ("forced after it is gone", "make a\nwrite a x\nunlink a\nsync a\nmake a\nwrite a y\nsync a", &[("a", "y")]),
        ("moved", "mkdir d\nmake a\nwrite a x\nsync a\nrename a d/a\nnames d", &[("d/", ""), ("d/a", "x")]),
    ] {
        let stage = Stage::new();
        let shim = stage.shim().shadow(&stage.shadow());
        assert!(stage.play(&shim, script).success(), "{name}");
        assert_eq!(image(&stage.shadow()), expected(left), "{name}");
        assert_eq!(image(&stage.data()), image(&Stage::after(script).data()), "{name}");
    }
}

#[test]
fn what_was_there_before_counts_as_forced() {
    let stage = Stage::after("make a\nwrite a old\nmkdir d\nmake d/b\nwrite d/b kept");
    let shim = stage.shim().shadow(&stage.shadow());
    assert!(stage.play(&shim, "open a\nwrite a NEW").success());
    assert_eq!(image(&stage.shadow()), expected(&[("a", "old"), ("d/", ""), ("d/b", "kept")]));
    assert!(stage.play(&shim, "open a\nwrite_at a 3 er\nsync a\nwrite a lost").success());
    assert_eq!(image(&stage.shadow()), expected(&[("a", "NEWer"), ("d/", ""), ("d/b", "kept")]));
}

/// More dirty extents than the shim keeps apart.
#[test]
fn scattered_writes_are_all_forced() {
    let stage = Stage::new();
    let shim = stage.shim().shadow(&stage.shadow());
    assert!(stage.play(&shim, "make a\nscatter a 9000\nsync a\nwrite_at a 0 lost").success());
    let (kept, now) = (image(&stage.shadow()), image(&Stage::after("make a\nscatter a 9000").data()));
    assert!(kept == now, "{} bytes of {}", kept["a"].len(), now["a"].len());
}

/// What was acknowledged before somebody else killed the process is in the shadow, and nothing in it is out of order.
#[test]
fn a_kill_from_outside_leaves_a_possible_shadow() {
    for acknowledged in [1_usize, 20, 77] {
        let stage = Stage::new();
        let mut command = stage.command("make log\ncount log 1000000");
        stage.shim().shadow(&stage.shadow()).command_env(&mut command);
        let mut child = command.spawn().expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let numbers = output.lines().map(|line| line.expect("text")).filter(|line| line.parse::<u32>().is_ok());
        let last: usize = numbers.take(acknowledged).last().expect("an acknowledgement").parse().expect("a number");
        child.kill().expect("alive");
        assert_eq!(child.wait().expect("a child").signal(), Some(SIGKILL));
        let log = fs::read_to_string(stage.shadow().join("log")).expect("the log");
        let whole: Vec<_> = log.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
        assert!(whole.len() > last, "{} of {last}", whole.len());
        assert!(whole.iter().enumerate().all(|(n, line)| *line == format!("{n:07}\n")));
    }
}

#[test]
fn a_full_disk_refuses_what_needs_space() {
    for (script, refused) in [
        ("open a\nwrite a x", true),
        ("open a\nwrite_at a 0 x", true),
        ("open a\nsize a 9", true),
        ("open a\nsize a 1", false),
        ("open a\nsync a", false),
        ("make b", true),
        ("mkdir d", true),
        ("empty a", false),
        ("unlink a", false),
        ("rename a b", false),
    ] {
        let stage = Stage::after("make a\nwrite a abc");
        let flag = stage.outer.path().join("full");
        fs::write(&flag, "").expect("the flag");
        let shim = stage.shim().full_while(&flag);
        assert_eq!(stage.play(&shim, script).code(), Some(if refused { EXIT_FULL } else { 0 }), "{script}");
        assert_eq!(shim.steps(), u64::from(!refused), "{script}");
        fs::remove_file(&flag).expect("the flag");
        let stage = Stage::after("make a\nwrite a abc");
        assert!(stage.play(&stage.shim().full_while(&flag), script).success(), "{script}");
    }
}

#[test]
fn a_failed_sync_forces_nothing_and_neither_does_the_next() {
    for (script, sync, code, left) in [
        ("make a\nwrite a text\nsync a", 1, EXIT_FAILED, &[][..]),
        ("make a\nwrite a old\nsync a\nwrite a -new\ndata a", 2, EXIT_FAILED, &[("a", "old")]),
        ("make a\nwrite a old\nsync a\nwrite a -new\ntry_sync a\nsync a", 2, 0, &[("a", "old....")]),
        ("make a\nwrite a old\nsync a\ntry_sync a\nwrite_at a 0 new\nsync a", 2, 0, &[("a", "new")]),
        ("make a\nnames .", 1, EXIT_FAILED, &[]),
    ] {
        let stage = Stage::new();
        let shim = stage.shim().shadow(&stage.shadow()).fail_sync_at(sync);
        assert_eq!(stage.play(&shim, script).code(), Some(code), "{script}");
        assert_eq!(image(&stage.shadow()), expected(left), "{script}");
    }
}

#[test]
fn threads_are_counted_and_kept_apart() {
    let stage = Stage::new();
    let shim = stage.shim().shadow(&stage.shadow());
    assert!(stage.play(&shim, "threads 4 50").success());
    assert_eq!(shim.steps(), 4 * (1 + 2 * 50));
    assert_eq!(image(&stage.shadow()), image(&stage.data()));
}

#[test]
fn other_folders_are_left_alone() {
    let stage = Stage::new();
    let flag = stage.outer.path().join("data.full");
    fs::write(&flag, "").expect("the flag");
    let shim = stage.shim().shadow(&stage.shadow()).kill_at(1).full_while(&flag);
    assert!(stage.play(&shim, "make ../data-not\nwrite ../data-not x\nsync ../data-not\nunlink ../data-not").success());
    assert_eq!(shim.steps(), 0);
}

/// The one call that the store's engine makes and Rust's standard library does not.
#[test]
fn sync_file_range_forces_nothing() {
    let python = "import ctypes, os\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        fd = os.open('a', os.O_CREAT | os.O_WRONLY)\n\
        os.pwrite(fd, b'text', 0)\n\
        offset = ctypes.c_int64(0)\n\
        assert libc.sync_file_range(fd, offset, ctypes.c_int64(4), ctypes.c_uint(7)) == 0\n";
    let stage = Stage::new();
    let shim = stage.shim().shadow(&stage.shadow());
    let mut command = Command::new("python3");
    command.args(["-c", python]).current_dir(stage.data());
    shim.command_env(&mut command);
    match command.status() {
        // Straight to the standard error: a test that skips what it is there for says so even where output is captured.
        Err(e) if e.kind() == ErrorKind::NotFound => {
            writeln!(std::io::stderr(), "sync_file_range_forces_nothing was skipped: there is no python3").expect("stderr");
        }
        status => {
            assert!(status.expect("a child").success());
            assert_eq!(shim.steps(), 3);
            assert_eq!(image(&stage.shadow()), expected(&[]));
        }
    }
}
