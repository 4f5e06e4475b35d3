//! Backup and restore as an operator does it, with real nodes: while signals come in, after the disk is lost, with an old copy.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use countermark::rpc::proto::{self, backup_response::Part};
use serde_json::Value;

use crate::cluster::program::{PROGRAM, Programs, program};
use crate::cluster::{Client, eventually};

/// Runs a command for `member`, by its client's or its node's configuration.
fn run(programs: &Programs, member: &str, file: &str, arguments: &[&str]) -> Output {
    let config = programs.home(member).join(file).display().to_string();
    program(&[arguments, &["--config", &config, "--output", "json"]].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[track_caller]
fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(output)
}

/// The code of the error it ended with.
#[track_caller]
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    said.split_once("error[").and_then(|(_, rest)| rest.split_once(']')).expect("a code").0.to_owned()
}

/// A file of made-up sellers.
fn rows(programs: &Programs, name: &str, range: std::ops::Range<u64>) -> PathBuf {
    let path = programs.root().join(name);
    let row = |n: u64| format!("{n},+8613{:09},all,trademark_counterfeit,Lux,test_purchase\n", n * 7_919 % 1_000_000_000);
    let rows: String = range.map(row).collect();
    std::fs::write(&path, format!("submission_id,phone,audience,infringement,brand,evidence\n{rows}")).expect("written");
    path
}

fn submit(programs: &Programs, member: &str, file: &Path) -> Value {
    done(&run(programs, member, "client.toml", &["submit", &file.display().to_string()]))
}

fn size_of(status: &proto::GetStatusResponse, member: &str) -> u64 {
    let feeds = &status.freshness.as_ref().expect("freshness").feeds;
    feeds.iter().find(|feed| feed.member == member && feed.audience == "all").map_or(0, |feed| feed.size)
}

/// Until `client`'s node holds so much of `member`'s feed.
async fn until_held(client: &Client, member: &str, size: u64) {
    eventually("the feed is there", || {
        let mut client = client.clone();
        async move { size_of(&client.status().await, member) >= size }
    })
    .await;
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_busy_node_is_put_back_and_goes_on_where_the_others_are() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform"]);
    let (acme, _bazaar) = (programs.serve("acme"), programs.serve("bazaar"));
    let clients = [programs.client("acme").await, programs.client("bazaar").await];
    clients[0].ready().await;
    assert_eq!(submit(&programs, "acme", &rows(&programs, "first.csv", 0..3_000))["created"], 3_000);

    // While it is made, others come in.
    let busy = rows(&programs, "busy.csv", 3_000..9_000);
    let mut submitting = Command::new(PROGRAM);
    submitting
        .args(["submit", "--config", &programs.client_config("acme")])
        .arg(&busy)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut submitting = submitting.spawn().expect("runs");
    let folder = programs.root().join("backup");
    let made = done(&run(&programs, "acme", "client.toml", &["backup", "--to", &text(&folder)]));
    assert!(submitting.wait().expect("ends").success());
    assert_eq!((&made["alliance"], &made["member"]), (&Value::from("alliance.example"), &Value::from("acme")));
    let size = made["feeds"][0]["size"].as_u64().expect("a size");
    assert!(size >= 3_000, "{made}");
    assert_eq!(refused(&run(&programs, "acme", "client.toml", &["backup", "--to", &text(&folder)])), "BACKUP_WHOLE");
    let status = done(&run(&programs, "acme", "client.toml", &["status"]));
    assert!(status["store"]["last_backup_at"].is_string(), "{status}");
    let dry = done(&run(&programs, "acme", "node.toml", &["restore", &text(&folder), "--dry-run"]));
    assert_eq!((&dry["feeds"], &dry["data_dir"]), (&made["feeds"], &Value::Null));

    // The other node has it all when the disk is lost, and the backup does not.
    assert_eq!(submit(&programs, "acme", &rows(&programs, "last.csv", 9_000..9_500))["created"], 500);
    until_held(&clients[1], "acme", 9_500).await;
    assert_eq!(refused(&run(&programs, "acme", "node.toml", &["restore", &text(&folder)])), "RESTORE_NOT_EMPTY");
    acme.stop();
    std::fs::rename(programs.data("acme"), programs.root().join("lost")).expect("moved");
    let put_back = done(&run(&programs, "acme", "node.toml", &["restore", &text(&folder)]));
    assert_eq!(put_back["feeds"], made["feeds"]);
    let verified = done(&run(&programs, "acme", "node.toml", &["store", "verify"]));
    assert_eq!(verified["feeds"], made["feeds"]);

    // It takes nothing before it has the rest; then it goes on, and nobody sees a second history.
    let _acme = programs.serve("acme");
    let client = programs.client("acme").await;
    until_held(&client, "acme", 9_500).await;
    client.ready().await;
    assert_eq!(submit(&programs, "acme", &busy)["already_there"], 6_000, "what was taken is known");
    assert_eq!(submit(&programs, "acme", &rows(&programs, "new.csv", 9_500..9_600))["created"], 100);
    until_held(&clients[1], "acme", 9_600).await;
    for client in [client, clients[1].clone()] {
        assert_eq!(client.clone().status().await.forks, vec![]);
    }
    let log = std::fs::read_to_string(programs.log("acme")).expect("a log");
    assert!(log.contains("the store is restored"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_kept_only_its_keys_gets_all_back_from_the_others() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform", "chips:brand"]);
    let nodes = ["acme", "bazaar", "chips"].map(|member| programs.serve(member));
    let client = programs.client("bazaar").await;
    for member in ["acme", "chips"] {
        programs.client(member).await.ready().await;
        let file = rows(&programs, &format!("{member}.csv"), 0..500);
        assert_eq!(submit(&programs, member, &file)["created"], 500);
        until_held(&client, member, 500).await;
    }
    let [acme, _bazaar, chips] = nodes;
    assert_eq!(refused(&run(&programs, "acme", "node.toml", &["restore", "--from-peers"])), "STORE_IN_USE");
    acme.stop();
    assert_eq!(refused(&run(&programs, "acme", "node.toml", &["restore", "--from-peers"])), "RESTORE_NOT_EMPTY");
    std::fs::remove_dir_all(programs.data("acme")).expect("removed");
    // One member is away: another one has what it said.
    chips.stop();
    let recovered = done(&run(&programs, "acme", "node.toml", &["restore", "--from-peers", "--skip-unreached"]));
    let held: Vec<_> =
        recovered["feeds"].as_array().expect("feeds").iter().map(|feed| (&feed["feed"], &feed["size"])).collect();
    let (acme, chips) = (Value::from("acme/all"), Value::from("chips/all"));
    let all = Value::from(500);
    assert!(held.contains(&(&acme, &all)) && held.contains(&(&chips, &all)), "{recovered}");
    assert_eq!((&recovered["complete"], &recovered["unreached"][0]), (&Value::from(true), &Value::from("chips")));

    let _acme = programs.serve("acme");
    programs.client("acme").await.ready().await;
    assert_eq!(submit(&programs, "acme", &programs.root().join("acme.csv"))["already_there"], 500);
    let again = rows(&programs, "more.csv", 500..510);
    assert_eq!(submit(&programs, "acme", &again)["created"], 10);
    until_held(&client, "acme", 510).await;
    assert_eq!(client.clone().status().await.forks, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_encrypted_gone_on_with_and_noted_in_the_audit_log() {
    let programs = Programs::found(&["acme:brand"]);
    let _acme = programs.serve("acme");
    let mut client = programs.client("acme").await;
    client.ready().await;
    assert_eq!(submit(&programs, "acme", &rows(&programs, "first.csv", 0..100_000))["created"], 100_000);

    // A line breaks after the first piece.
    let begin = client.node.backup(proto::BackupRequest::default()).await.expect("begins");
    let mut stream = begin.into_inner();
    let Some(Part::Begun(begun)) = stream.message().await.expect("a message").and_then(|m| m.part) else { panic!("not begun") };
    let Some(Part::Piece(first)) = stream.message().await.expect("a message").and_then(|m| m.part) else { panic!("no piece") };
    let second = client.node.backup(proto::BackupRequest::default()).await.expect_err("one at a time");
    assert!(second.message().contains("another backup"), "{second:?}");
    drop(stream);
    let place = proto::BackupRequest { backup: begun.backup, after: first.until };
    eventually("the node has seen that the line broke", || {
        let (mut client, place) = (client.clone(), place.clone());
        async move { client.node.backup(place).await.is_ok() }
    })
    .await;

    // A recipient is the public half of an identity, as age-keygen prints it.
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let file = programs.root().join("identity.txt");
    let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
    std::fs::write(&file, secret).expect("written");
    let folder = programs.root().join("sealed");
    let backup = ["backup", "--to", &text(&folder), "--recipient", &recipient];
    eventually("the node has seen that the line broke", || {
        let output = run(&programs, "acme", "client.toml", &backup);
        let is_running = !output.status.success() && refused(&output) == "BACKUP_RUNNING";
        assert!(is_running || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        async move { !is_running }
    })
    .await;
    let restore = |arguments: &[&str]| {
        run(&programs, "acme", "node.toml", &[&["restore", &text(&folder), "--dry-run"], arguments].concat())
    };
    assert_eq!(refused(&restore(&[])), "BACKUP_ENCRYPTED");
    assert_eq!(done(&restore(&["--identity", &text(&file)]))["feeds"][0]["size"], 100_000);

    let audit = run(&programs, "acme", "client.toml", &["audit"]);
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(said.matches("\"backup\"").count() >= 3, "{said}");
}
