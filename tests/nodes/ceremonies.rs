//! A key that members make among them with real programs, as their operators and the secretariat do it: made, taken into use, its shares
//! lost and made anew, its holders changed.

use std::path::Path;
use std::process::{Command, Output};

use countermark::rpc::proto::{IdentifierKind as Kind, Verdict};

use crate::cluster::program::{PROGRAM, Programs, Running};
use crate::cluster::{eventually, identifier, submission, until_found};

const MEMBERS: [&str; 4] = ["bazaar", "aurelle", "chips", "drinks"];

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("runs")
}

fn done(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The keys as a member's node shows them; none where it does not answer, as in the moment in which it reloads.
fn keys(alliance: &Programs, member: &str) -> Vec<serde_json::Value> {
    let output = run(&["key", "status", "--output", "json", "--config", &alliance.client_config(member)]);
    if output.status.success() { serde_json::from_slice(&output.stdout).expect("JSON") } else { Vec::new() }
}

/// The first of them.
fn key(alliance: &Programs, member: &str) -> serde_json::Value {
    keys(alliance, member).into_iter().next().unwrap_or_default()
}

async fn until(alliance: &Programs, member: &str, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    eventually(what, || async { holds(&key(alliance, member)) }).await;
}

/// Puts the secretariat's roster into force at one node, which spreads it.
fn spread(alliance: &Programs, member: &str, node: &Running) {
    let roster = alliance.root().join("alliance/roster.note");
    std::fs::copy(roster, alliance.home(member).join("roster.note")).expect("copied");
    let told = Command::new("kill").args(["-HUP", &node.0.id().to_string()]).status().expect("runs");
    assert!(told.success());
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_make_a_key_use_it_lose_a_share_and_change_who_holds_it() {
    let alliance =
        Programs::found_with("toprf-ristretto255", &["bazaar:platform", "aurelle:brand", "chips:brand", "drinks:brand"]);
    let mut nodes: Vec<Running> = MEMBERS.iter().map(|member| alliance.serve(member)).collect();
    let mut aurelle = alliance.client("aurelle").await;
    let seller = || vec![identifier(Kind::Domain, "outlet-17.test"), identifier(Kind::Phone, "+8613800138000")];
    let refused = aurelle.submit(submission("all", seller())).await.expect_err("there is no key yet");
    assert!(refused.message().contains("no active key"), "{refused:?}");

    until(&alliance, "drinks", "the key is made", |key| key["share"]["state"] == "made").await;
    assert_eq!(
        (key(&alliance, "drinks")["threshold"].as_u64(), key(&alliance, "drinks")["state"].as_str()),
        (Some(3), Some("pending"))
    );
    let (folder, note) = (display(&alliance.root().join("alliance")), display(&alliance.root().join("k1.note")));
    done(&["key", "result", "k1", "--out", &note, "--config", &alliance.client_config("drinks")]);
    let other = run(&["key", "result", "k9", "--out", &note, "--config", &alliance.client_config("drinks")]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("KEY_UNKNOWN"));
    done(&["alliance", "key", "adopt", "--folder", &folder, &note]);
    spread(&alliance, "bazaar", &nodes[0]);
    for member in MEMBERS {
        let _ready = alliance.client(member).await;
        until(&alliance, member, "the key is in use", |key| key["state"] == "active").await;
    }
    aurelle.submit(submission("all", seller())).await.expect("taken");
    let mut bazaar = alliance.client("bazaar").await;
    until_found(&bazaar, identifier(Kind::Phone, "+86 138 0013 8000")).await;
    let usage = done(&["key", "usage", "--output", "json", "--config", &alliance.client_config("bazaar")]);
    assert!(
        usage.lines().any(|line| line.contains(r#""member":"aurelle""#) && line.contains(r#""class":"low_entropy""#)),
        "{usage}"
    );

    // A node loses its shares with its machine, and the others repair them.
    drop(nodes.pop());
    std::fs::remove_dir_all(alliance.data("drinks").join("shares")).expect("there");
    nodes.push(alliance.serve("drinks"));
    let _ready = alliance.client("drinks").await;
    until(&alliance, "drinks", "the share is repaired", |key| key["share"]["state"] == "held").await;

    // One holder leaves: the others make their shares anew, and it destroys its own.
    assert!(alliance.data("aurelle").join("shares/k1.json").exists());
    done(&["alliance", "key", "holders", "k1", "--folder", &folder, "--holders", "bazaar,chips,drinks"]);
    spread(&alliance, "bazaar", &nodes[0]);
    until(&alliance, "chips", "the shares are made anew", |key| key["share"]["generation"] == 1).await;
    eventually("the share of who left is destroyed", || async { !alliance.data("aurelle").join("shares/k1.json").exists() })
        .await;
    let answer = bazaar.check(seller()).await.expect("answered");
    assert_ne!(answer.verdict(), Verdict::NoneKnown, "pseudonyms stay");

    // The secretariat takes in the newest shares, and goes back to no older ones.
    until(&alliance, "drinks", "the new shares are in use", |key| key["share"]["generation"] == 1).await;
    let newest = display(&alliance.root().join("newest.note"));
    done(&["key", "result", "k1", "--out", &newest, "--config", &alliance.client_config("drinks")]);
    done(&["alliance", "key", "adopt", "--folder", &folder, &newest]);
    let roster = std::fs::read_to_string(alliance.root().join("alliance/roster.note")).expect("a roster");
    assert!(roster.contains("generation = 1"), "{roster}");
    let older = run(&["alliance", "key", "adopt", "--folder", &folder, &note]);
    let said = String::from_utf8_lossy(&older.stderr).into_owned();
    assert!(!older.status.success() && said.contains("KEY_RESULT_REFUSED"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alliance_leaves_the_key_that_all_members_have_behind() {
    let alliance = Programs::found(&["bazaar:platform", "aurelle:brand", "chips:brand"]);
    let nodes: Vec<Running> = MEMBERS[..3].iter().map(|member| alliance.serve(member)).collect();
    let bazaar = alliance.client("bazaar").await;
    let (aurelle, _chips) = (alliance.client("aurelle").await, alliance.client("chips").await);
    drop(aurelle);
    let rows = alliance.root().join("rows.csv");
    std::fs::write(
        &rows,
        "submission_id,audience,phone,infringement,evidence\ncase-1,all,+8613800138000,trademark-counterfeit,test-purchase\n",
    )
    .expect("written");
    let submit = || {
        let printed = done(&["submit", &display(&rows), "--output", "json", "--config", &alliance.client_config("aurelle")]);
        serde_json::from_str::<serde_json::Value>(&printed).expect("JSON")
    };
    assert_eq!(submit()["created"], 1);
    let phone = || identifier(Kind::Phone, "+8613800138000");
    until_found(&bazaar, phone()).await;

    let (folder, note) = (display(&alliance.root().join("alliance")), display(&alliance.root().join("k2.note")));
    done(&["alliance", "key", "add", "--folder", &folder]);
    spread(&alliance, "bazaar", &nodes[0]);
    let named = |member: &str, id: &str| {
        let keys = keys(&alliance, member);
        keys.into_iter().find(|key| key["key"] == id).unwrap_or_default()
    };
    eventually("the key is made", || async { named("chips", "k2")["share"]["state"] == "made" }).await;
    done(&["key", "result", "k2", "--out", &note, "--config", &alliance.client_config("chips")]);
    done(&["alliance", "key", "adopt", "--folder", &folder, &note]);
    spread(&alliance, "bazaar", &nodes[0]);
    for member in &MEMBERS[..3] {
        eventually("it is in use", || async { named(member, "k2")["state"] == "active" }).await;
        assert_eq!(named(member, "k1")["state"], "retiring");
    }
    let mut asking = bazaar.clone();
    let answer = asking.check(vec![phone()]).await.expect("answered");
    assert_ne!(answer.verdict(), Verdict::NoneKnown, "both keys answer");
    let progress = || (named("aurelle", "k2")["own_signals"].clone(), named("aurelle", "k2")["own_live_signals"].clone());
    assert_eq!(progress(), (0.into(), 1.into()));
    let again = submit();
    assert_eq!((&again["created"], &again["rekeyed"]), (&0.into(), &1.into()));
    assert_eq!(progress(), (1.into(), 1.into()));
    let before = asking.check(vec![phone()]).await.expect("answered");
    assert_eq!(before.members_elsewhere, 1, "it is one signal under both keys");

    done(&["alliance", "key", "destroy", "k1", "--folder", &folder]);
    spread(&alliance, "bazaar", &nodes[0]);
    eventually("the old key is gone", || async { named("bazaar", "k1")["state"] == "destroyed" }).await;
    until_found(&bazaar, phone()).await;
}
