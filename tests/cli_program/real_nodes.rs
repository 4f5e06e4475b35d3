//! The commands against nodes that run as a member runs them: lists that grow, shrink and come again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ports::port_pair;
use crate::{PROGRAM, Run, folder, run, run_with};

const PATIENCE: Duration = Duration::from_secs(60);
const HEAD: &str = "domain,submission_id,infringement,evidence,audience\n";

/// A node that runs until the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) struct World {
    folder: tempfile::TempDir,
    _nodes: Vec<Running>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = folder();
        let members = ["a:brand", "b:platform"].map(|member| format!("{member}:127.0.0.1:{}", port_pair()));
        let mut init = vec!["alliance", "init", "--name", "alliance.example", "--folder", "s", "--scheme", "hmac-sha256"];
        members.iter().for_each(|member| init.extend(["--member", member]));
        run(folder.path(), &init).expect(0);
        let nodes = ["a", "b"].map(|member| {
            let mut command = Command::new(PROGRAM);
            command.args(["serve", "--config", &format!("s/members/{member}")]).current_dir(folder.path()).env_clear();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Running(command.spawn().expect("starts"))
        });
        let world = Self { folder, _nodes: nodes.into() };
        for member in ["a", "b"] {
            world.until(member, &["status"], 0);
        }
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    pub(crate) fn run(&self, member: &str, arguments: &[&str], input: &str) -> Run {
        run_with(self.path(), arguments, &[("COUNTERMARK_CLIENT", &format!("s/members/{member}"))], input)
    }

    /// Asks again until the exit code is `code`.
    pub(crate) fn until(&self, member: &str, arguments: &[&str], code: i32) {
        let began = Instant::now();
        loop {
            let run = self.run(member, arguments, "");
            if run.code == code {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{arguments:?} at {member}: {} {}", run.code, run.err);
        }
    }

    /// Submits, and gives how many rows were new and how many there already.
    fn submit(&self, arguments: &[&str], input: &str) -> (u64, u64) {
        let arguments: Vec<&str> = ["submit", "--output", "json"].iter().chain(arguments).copied().collect();
        let summary = self.run("a", &arguments, input).expect(0).json();
        let count = |name: &str| summary[name].as_u64().expect("a count");
        assert_eq!((count("refused"), count("unanswered"), count("already_withdrawn")), (0, 0, 0));
        (count("created"), count("already_there"))
    }

    /// Asks again until `holds` of what is printed.
    pub(crate) fn until_json(&self, member: &str, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        let arguments: Vec<&str> = ["--output", "json"].iter().chain(arguments).copied().collect();
        loop {
            let shown = self.run(member, &arguments, "").expect(0).json();
            if holds(&shown) {
                return shown;
            }
            assert!(began.elapsed() < PATIENCE, "{arguments:?} at {member}: {shown}");
        }
    }

    /// A command that goes on until it is dropped.
    fn follow(&self, member: &str, arguments: &[&str]) -> Following {
        let mut command = Command::new(PROGRAM);
        command.args(["--output", "json"]).args(arguments).current_dir(self.path()).env_clear();
        command.env("COUNTERMARK_CLIENT", format!("s/members/{member}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().expect("starts"));
        let told = BufReader::new(running.0.stdout.take().expect("its output")).lines();
        Following { told, _running: running }
    }

    fn live(&self) -> u64 {
        let status = self.run("a", &["status", "--output", "json"], "").expect(0).json();
        status["own_live_signals"].as_u64().expect("a count")
    }
}

/// A command that prints one thing after the other.
struct Following {
    told: std::io::Lines<BufReader<ChildStdout>>,
    _running: Running,
}

impl Following {
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.told.next().expect("a line").expect("text")).expect("JSON")
    }
}

/// A list of so many sellers.
fn list(count: u64) -> String {
    let rows = (0..count).map(|i| format!("outlet-{i}.test,case-{i},trademark_counterfeit,test_purchase,all\n"));
    HEAD.to_owned() + &rows.collect::<String>()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn a_list_may_come_again_or_shrink_and_only_a_retraction_retracts() {
    let world = World::new();
    world.write("list.csv", list(40));
    assert_eq!(world.submit(&["list.csv"], ""), (40, 0));
    assert_eq!(world.submit(&["list.csv"], ""), (0, 40), "the same again is nothing new");
    world.write("list.csv", list(3));
    assert_eq!(world.submit(&["list.csv"], ""), (0, 3));
    world.write("list.csv", HEAD);
    assert_eq!(world.submit(&["list.csv"], ""), (0, 0));
    world.write("list.csv.gz", gzip(&list(40)));
    assert_eq!(world.submit(&["list.csv.gz"], ""), (0, 40));
    assert_eq!(world.submit(&["-", "--format", "csv"], &list(41)), (1, 40));
    assert_eq!(world.live(), 41, "what is left out of a file is not retracted");
    for seller in ["outlet-0.test", "outlet-39.test", "outlet-40.test"] {
        world.until("b", &["check", "--domain", seller], 3);
    }

    let retract = ["retract", "--from", "list.csv.gz", "--reason", "source-withdrew", "--output", "json"];
    let refused = world.run("a", &retract, "").expect(1);
    assert!(refused.err.contains("error[RETRACTION_TOO_LARGE]: 40 of 41 live signals"), "{}", refused.err);
    assert_eq!(world.live(), 41);
    let few = world.run("a", &["retract", "--from", "-", "--format", "csv", "--reason", "other"], &list(2)).expect(0);
    assert!(few.out.contains("2 of 41 live signals"), "{}", few.out);
    let confirmed: Vec<&str> = retract.iter().copied().chain(["--yes"]).collect();
    let retracted = world.run("a", &confirmed, "").expect(0).json();
    assert_eq!((&retracted["retracted"], &retracted["failed"], &retracted["refused_rows"]), (&json!(38), &json!(0), &json!(0)));
    assert_eq!(world.live(), 1);
    world.until("b", &["check", "--domain", "outlet-39.test"], 0);
    world.until("b", &["check", "--domain", "outlet-40.test"], 3);
}

#[test]
fn what_is_erased_is_gone_at_every_node_and_each_says_so() {
    let world = World::new();
    world.write("list.csv", list(20));
    assert_eq!(world.submit(&["list.csv"], ""), (20, 0));
    world.until("b", &["check", "--domain", "outlet-7.test"], 3);
    let erase = ["erase", "--submission-id", "case-7", "--audience", "all", "--reason", "request", "--output", "json"];
    let erased = world.run("a", &erase, "").expect(0).json();
    assert_eq!(erased["newly_erased"], true);
    assert_eq!(world.run("a", &erase, "").expect(0).json()["newly_erased"], false, "again, and nothing happens");
    world.until("b", &["check", "--domain", "outlet-7.test"], 0);
    let signal = erased["signal"].as_str().expect("a name");
    for member in ["a", "b"] {
        let shown = world.run(member, &["signal", signal], "").expect(1);
        assert!(shown.err.contains("error[SIGNAL_ERASED]"), "{}", shown.err);
    }
    let removed = world.until_json("a", &["erasures"], |shown| shown["erasures"][0]["removed_by"] == 2);
    assert_eq!((&removed["erasures"][0]["waiting_for"], &removed["erasures"][0]["purged_by"]), (&json!([]), &json!(0)));
    assert!(removed["replicas"][1]["receipt"].as_str().expect("a note").starts_with("countermark erasure receipt v1\n"));
    for member in ["a", "b"] {
        let purged = world.run(member, &["store", "purge"], "").expect(0);
        assert_eq!(purged.out, "outcome        the files were written anew\n");
    }
    world.until_json("a", &["erasures"], |shown| shown["erasures"][0]["purged_by"] == 2);
    let table = world.run("a", &["erasures"], "").expect(0).out;
    assert!(table.contains("2 of 2") && table.ends_with("copies are held by 2 members\n"), "{table}");

    let again = world.run("a", &["submit", "list.csv", "--output", "json"], "").expect(0);
    assert_eq!((&again.json()["already_erased"], &again.json()["already_there"]), (&json!(1), &json!(19)));
    assert!(again.err.contains("1 signal had been erased"), "{}", again.err);
    world.until("b", &["check", "--domain", "outlet-7.test"], 0);
    assert_eq!(world.live(), 19);
}

#[test]
fn a_check_that_found_nothing_tells_later_that_it_would_now() {
    let world = World::new();
    let asked = ["check", "--domain", "outlet-3.test", "--watch", "--watch-label", "shop 17", "--output", "json"];
    let answer = world.run("b", &asked, "").expect(0).json();
    assert_eq!((&answer["verdict"], &answer["watch"]), (&json!("none_known"), &json!("wat_1")));
    let sellers = world.write("sellers.csv", "domain,submission_id\nother-1.test,shop-1\nother-2.test,shop-2\n");
    let listed = world.run("b", &["check", sellers.to_str().expect("text"), "--watch"], "").expect(0);
    assert!(listed.out.contains("none known"), "{}", listed.out);
    let watches = world.run("b", &["watch", "list"], "").expect(0).out;
    assert_eq!(watches.lines().filter(|line| line.contains("none known  domain")).count(), 3, "{watches}");
    assert!(watches.contains("shop 17") && watches.contains("shop-2"), "{watches}");

    // Whoever follows is told as it happens.
    let mut following = world.follow("b", &["watch"]);
    world.write("list.csv", list(5));
    world.submit(&["list.csv"], "");
    let alert = following.next();
    assert_eq!((&alert["alert"], &alert["kind"], &alert["label"]), (&json!("alr_1"), &json!("new_flag"), &json!("shop 17")));
    assert_eq!(alert["after"], json!({"verdict": "alleged", "members_elsewhere": 1}));
    let signal = alert["signal"].as_str().expect("a name").to_owned();

    // Told to all who come, until somebody takes care of it.
    let shown = world.run("b", &["alerts"], "").expect(0).out;
    assert!(shown.contains("alr_1") && shown.contains("none known -> alleged (by 1)"), "{shown}");
    assert_eq!(world.run("b", &["alerts", "ack", "alr_1"], "").expect(0).out, "acknowledged   alr_1\n");
    assert_eq!(world.run("b", &["alerts"], "").expect(0).out, "");
    let retract = ["retract", "--submission-id", "case-3", "--audience", "all", "--reason", "settled"];
    world.run("a", &retract, "").expect(0);
    let alert = following.next();
    assert_eq!((&alert["alert"], &alert["kind"], &alert["signal"]), (&json!("alr_2"), &json!("withdrawn"), &json!(signal)));
    let withdrawn = world.run("a", &["signal", &signal, "--output", "json"], "").expect(0).json();
    assert_eq!(
        withdrawn["status"], "withdrawn",
        "the rows of a list are recorded in any order, and this was the one of case-3"
    );
    assert_eq!(world.run("b", &["watch", "remove", "wat_1"], "").expect(0).out, "ended          wat_1\n");
    let flagged = world.run("b", &["check", "--domain", "outlet-4.test", "--watch", "--output", "json"], "").expect(3).json();
    assert_eq!(flagged["watch"], "", "a seller that is flagged is none to wait for");
}

#[test]
fn whoever_watches_a_node_sees_it_change() {
    let world = World::new();
    let mut following = world.follow("a", &["status", "--watch", "1"]);
    assert_eq!(following.next()["own_live_signals"], 0);
    world.write("list.csv", list(5));
    world.submit(&["list.csv"], "");
    while following.next()["own_live_signals"] != 5 {}
}
