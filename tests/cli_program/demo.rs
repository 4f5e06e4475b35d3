//! The demonstration as a newcomer runs it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::PROGRAM;

const MEMBERS: [&str; 3] = ["aurelle", "bazaar", "kestrel"];

/// The program, whose temporary files go to `folder`.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("TMPDIR", folder).stdin(Stdio::null());
    command
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn each_of_three_members_learns_from_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program(folder.path()).args(["demo", "--output", "json"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let members = report["members"].as_array().expect("a list");
    let mut names: Vec<&str> = members.iter().filter_map(|member| member["member"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, MEMBERS);
    for member in members {
        for other in MEMBERS.iter().filter(|other| member["member"] != **other) {
            assert!(member["by"][*other].as_u64() > Some(0), "{} learned nothing from {other}", member["member"]);
        }
    }
    assert!(is_empty(folder.path()), "nothing stays behind");
}

/// A program that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn kept_nodes_answer_the_printed_command_until_they_are_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program(folder.path());
    let child = command.args(["demo", "--keep"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut demo = Running(child);
    let printed = BufReader::new(demo.0.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let mut printed = printed.map(|line| line.trim().to_owned());
    let mut line = |word: &str| printed.find(|line| line.starts_with(word)).expect("a line to paste");
    let client = line("export COUNTERMARK_CLIENT=");
    let check = line("countermark check");

    // As a shell reads it: words, and one value in quotes.
    let (words, value) = check.strip_suffix('\'').and_then(|check| check.split_once('\'')).expect("a quoted value");
    let arguments = words.split_whitespace().skip(1).chain([value]);
    let client = client.split_once('=').expect("a variable").1;
    let checked = program(folder.path()).args(arguments).env("COUNTERMARK_CLIENT", client).output().expect("runs");
    assert_eq!(checked.status.code(), Some(3), "{check}: {}", String::from_utf8_lossy(&checked.stderr));

    let killed = Command::new("kill").args(["-INT", &demo.0.id().to_string()]).status().expect("runs");
    assert!(killed.success());
    assert_eq!(demo.0.wait().expect("ends").code(), Some(0));
    assert!(is_empty(folder.path()), "the nodes' folders are gone");
}
