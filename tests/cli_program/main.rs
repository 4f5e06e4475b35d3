//! The program as it is called: arguments, output, exit codes, files, logs, a node that is played by the test, and real ones.

mod audit;
mod bench;
mod ceremonies;
mod config_samples;
mod demo;
mod feed;
mod leads;
mod node;
#[path = "../cluster/ports.rs"]
mod ports;
mod readme;
mod real_nodes;
mod serve;
mod shells;
mod usage;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_countermark");

/// What a call of the program came to.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    /// Expects this exit code, and gives back what was printed.
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("JSON on standard output")
    }
}

/// Runs the program in `folder`, with nothing of this process's environment that it could mistake for its own.
fn run(folder: &Path, arguments: &[&str]) -> Run {
    run_with(folder, arguments, &[], "")
}

fn run_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).env_clear().envs(variables.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // A program that reads nothing closes its end first.
    drop(child.stdin.take().expect("piped").write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code().expect("not killed"), out: text(output.stdout), err: text(output.stderr) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}
