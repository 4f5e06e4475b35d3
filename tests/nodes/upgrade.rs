//! An alliance goes over from the program of the previous release to this one, a node at a time, as its members would.
//!
//! `COUNTERMARK_PREVIOUS` names that program; `.ci/run` builds it from the newest release before this one, from the second release on.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::cluster::program::{PROGRAM, Programs, program_at};
use crate::cluster::{Client, eventually};

const MEMBERS: [&str; 2] = ["acme", "bazaar"];

/// Runs a command of a client of `member` by the program at `path`.
fn run(path: &str, programs: &Programs, member: &str, arguments: &[&str]) -> Output {
    program_at(path, &[arguments, &["--config", &programs.client_config(member), "--output", "json"]].concat())
}

/// Hands in so many sellers of the numbers from `first` on, and says what became of them.
fn submit(path: &str, programs: &Programs, member: &str, first: u64, count: u64) -> Value {
    let row = |n: u64| format!("{n},+8613800{n:06},all,trademark_counterfeit,court_judgment\n");
    let rows: String = (first..first + count).map(row).collect();
    let file: PathBuf = programs.root().join("rows.csv");
    std::fs::write(&file, format!("submission_id,phone,audience,infringement,evidence\n{rows}")).expect("written");
    let output = run(path, programs, member, &["submit", &file.display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What a check of that number ends with: 3 where it is flagged.
fn check(path: &str, programs: &Programs, member: &str, number: u64) -> Option<i32> {
    run(path, programs, member, &["check", "--phone", &format!("+8613800{number:06}")]).status.code()
}

/// Until `client`'s node holds `sizes` of the feeds of [`MEMBERS`].
async fn until_held(client: &Client, sizes: [u64; 2]) {
    eventually(&format!("all of {sizes:?} is there"), || {
        let mut client = client.clone();
        async move {
            let feeds = client.status().await.freshness.expect("freshness").feeds;
            let size = |member| feeds.iter().find(|feed| feed.member == member).map_or(0, |feed| feed.size);
            MEMBERS.map(size) == sizes
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_upgrade_one_after_the_other_while_signals_go_on() {
    let Ok(previous) = std::env::var("COUNTERMARK_PREVIOUS") else {
        let why = "skipped: COUNTERMARK_PREVIOUS names no program of the previous release, see .ci/run";
        writeln!(std::io::stderr(), "{why}").expect("standard error is open");
        return;
    };
    assert!(Path::new(&previous).is_file(), "COUNTERMARK_PREVIOUS: there is no {previous}");
    let programs = Programs::found_by(&previous, "hmac-sha256", &["acme:brand", "bazaar:platform"]);
    let (old_acme, old_bazaar) = (programs.serve_by(&previous, "acme"), programs.serve_by(&previous, "bazaar"));
    programs.client("acme").await.ready().await;
    programs.client("bazaar").await.ready().await;
    assert_eq!(submit(&previous, &programs, "acme", 0, 100)["created"], 100);
    assert_eq!(submit(&previous, &programs, "bazaar", 200, 50)["created"], 50);
    until_held(&programs.client("bazaar").await, [100, 50]).await;

    // One is new, and has all that it had; what either adds reaches the other.
    old_bazaar.stop();
    let new_bazaar = programs.serve_by(PROGRAM, "bazaar");
    let bazaar = programs.client("bazaar").await;
    bazaar.ready().await;
    until_held(&bazaar, [100, 50]).await;
    assert_eq!(submit(&previous, &programs, "acme", 100, 20)["created"], 20);
    assert_eq!(submit(PROGRAM, &programs, "bazaar", 250, 30)["created"], 30);
    until_held(&bazaar, [120, 80]).await;
    until_held(&programs.client("acme").await, [120, 80]).await;
    for number in [0, 119, 200, 279] {
        assert_eq!(check(PROGRAM, &programs, "bazaar", number), Some(3), "{number}");
        assert_eq!(check(&previous, &programs, "acme", number), Some(3), "{number}");
    }
    assert_eq!(check(PROGRAM, &programs, "bazaar", 999), Some(0));

    // So is the other, and nobody sees a second history.
    old_acme.stop();
    let new_acme = programs.serve_by(PROGRAM, "acme");
    let acme = programs.client("acme").await;
    acme.ready().await;
    assert_eq!(submit(PROGRAM, &programs, "acme", 0, 130)["already_there"], 120);
    until_held(&acme, [130, 80]).await;
    until_held(&bazaar, [130, 80]).await;
    assert_eq!(check(PROGRAM, &programs, "bazaar", 129), Some(3));
    for mut client in [acme, bazaar] {
        assert_eq!(client.status().await.forks, vec![]);
    }
    new_acme.stop();
    new_bazaar.stop();
}
