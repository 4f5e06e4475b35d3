//! The README's tour works as it is written, on the demonstration that it names.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::PROGRAM;

/// The demonstration, which removes its folder when it is told to stop.
struct Demo {
    child: Child,
    /// The lines that a person pastes: where to go, what to call the program, which client to be.
    pasted: String,
}

impl Demo {
    fn start() -> Self {
        let child = Command::new(PROGRAM)
            .args(["demo", "--keep"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
        let wanted = |line: &String| ["cd ", "alias ", "export "].iter().any(|word| line.trim_start().starts_with(word));
        let pasted: Vec<String> = lines.filter(wanted).take(3).collect();
        Self { child, pasted: pasted.join("\n") }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()) && self.child.wait().is_ok());
    }
}

/// The commands of the `sh` blocks below `heading`, each on one line, comments left out.
fn commands(heading: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let section = readme.split_once(&format!("\n## {heading}\n")).expect("the heading").1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.collect::<String>().replace("\\\n", " ");
    lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_tour_works_as_it_is_written() {
    let demo = Demo::start();
    let commands = commands("A tour");
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        let script = format!("shopt -s expand_aliases\n{}\n{command}\n", demo.pasted);
        let output = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        // A watch is left where nothing is known.
        let flagged = command.starts_with("countermark check") && !command.contains("--watch");
        assert_eq!(output.status.code(), Some(if flagged { 3 } else { 0 }), "{command}\n{said}");
    }
}
