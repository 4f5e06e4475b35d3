//! Crashes and power losses for integration tests: builds `crash.c` and sets it up for a child process.
//!
//! Use it by `#[path = "shim/mod.rs"] mod shim;`. What counts as a step and what survives a power loss stands in `crash.c`.

#![allow(dead_code, unreachable_pub)] // Each test crate includes this module and uses a part of it.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{fs, io};

const SOURCE: &str = include_str!("crash.c");

/// The shim as a library to preload; compiled once for each version of its source.
///
/// Panics where there is no C compiler: the project needs one anyway.
pub fn build() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(compile).clone()
}

fn compile() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("crash-{:016x}.so", hasher.finish()));
    if library.exists() {
        return library;
    }
    // Several test processes may build at once; each puts a whole library in place.
    let own = folder.join(format!("crash-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/crash.c");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&own, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("cc, the C compiler that the project needs");
    assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&own, &library).expect("the library in its place");
    library
}

/// How the files of one child process are to fare.
#[derive(Debug, Clone)]
pub struct Shim {
    folder: PathBuf,
    steps: PathBuf,
    shadow: Option<PathBuf>,
    kill_at: Option<u64>,
    torn: bool,
    full_flag: Option<PathBuf>,
    full_gives: bool,
    stray: Option<u64>,
    fail_sync_at: Option<u64>,
}

impl Shim {
    /// Acts on what is below `folder`, whose parent must exist. Counts steps in `<folder>.steps`.
    pub fn new(folder: &Path) -> Self {
        let mut steps = folder.as_os_str().to_owned();
        steps.push(".steps");
        Self {
            folder: folder.to_owned(),
            steps: steps.into(),
            shadow: None,
            kill_at: None,
            torn: false,
            full_flag: None,
            full_gives: false,
            stray: None,
            fail_sync_at: None,
        }
    }

    /// Keeps in `shadow` what a power loss would leave. What is in the folder now counts as durable and is copied at once;
    /// `shadow` must be absolute and must not exist, and its sibling `<shadow>.stage-<pid>` is used too.
    pub fn shadow(mut self, shadow: &Path) -> Self {
        assert!(shadow.is_absolute() && !shadow.exists(), "{}", shadow.display());
        copy(&self.folder, shadow).expect("a copy of the folder");
        self.shadow = Some(shadow.to_owned());
        self
    }

    /// Goes on with the `shadow` of an earlier process that was killed: what it had written and not forced is still not durable,
    /// though it can be read.
    pub fn same_shadow(mut self, shadow: &Path) -> Self {
        assert!(shadow.is_absolute() && shadow.exists(), "{}", shadow.display());
        self.shadow = Some(shadow.to_owned());
        self
    }

    /// At the kill, lets any part of what was not forced reach the shadow.
    pub fn stray(mut self, seed: u64) -> Self {
        self.stray = Some(seed);
        self
    }

    /// Kills the process instead of its `step`-th step, counted from 1.
    pub fn kill_at(mut self, step: u64) -> Self {
        self.kill_at = Some(step);
        self
    }

    /// Lets the first half of the write happen that the process is killed at.
    pub fn torn(mut self) -> Self {
        self.torn = true;
        self
    }

    /// Fails the `sync`-th forcing of a file or folder with EIO, and takes what it was to force for clean.
    pub fn fail_sync_at(mut self, sync: u64) -> Self {
        self.fail_sync_at = Some(sync);
        self
    }

    /// Fails what needs space with ENOSPC while the file `flag` exists.
    pub fn full_while(mut self, flag: &Path) -> Self {
        self.full_flag = Some(flag.to_owned());
        self
    }

    /// Lets what is unlinked while the disk is full be written again.
    pub fn full_gives(mut self) -> Self {
        self.full_gives = true;
        self
    }

    /// Sets all of it up for `command`. Forgets the steps of an earlier run.
    pub fn command_env(&self, command: &mut Command) {
        match fs::remove_file(&self.steps) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => panic!("{}: {e}", self.steps.display()),
            _ => {}
        }
        command.env("LD_PRELOAD", build());
        command.env("COUNTERMARK_SHIM_DIR", &self.folder).env("COUNTERMARK_SHIM_COUNT", &self.steps);
        let settings = [
            ("COUNTERMARK_SHIM_FAIL_SYNC_AT", self.fail_sync_at.map(|n| n.to_string().into())),
            ("COUNTERMARK_SHIM_SHADOW", self.shadow.as_ref().map(|path| path.clone().into_os_string())),
            ("COUNTERMARK_SHIM_KILL_AT", self.kill_at.map(|n| n.to_string().into())),
            ("COUNTERMARK_SHIM_TORN", self.torn.then(|| "1".into())),
            ("COUNTERMARK_SHIM_STRAY", self.stray.map(|seed| seed.to_string().into())),
            ("COUNTERMARK_SHIM_FULL_GIVES", self.full_gives.then(|| "1".into())),
            ("COUNTERMARK_SHIM_FULL_FLAG", self.full_flag.as_ref().map(|path| path.clone().into_os_string())),
        ];
        for (name, value) in settings {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }

    /// Steps that the process took, the one included that it was killed at; 0 where it took none.
    pub fn steps(&self) -> u64 {
        match fs::read_to_string(&self.steps) {
            Ok(digits) => digits.parse().expect("20 digits"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => panic!("{}: {e}", self.steps.display()),
        }
    }
}

/// Copies a folder with all that is in it; one that does not exist is empty. A file without blocks stays one.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    if !from.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.metadata()?.blocks() == 0 {
            File::create(target)?.set_len(entry.metadata()?.len())?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
