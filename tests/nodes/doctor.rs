//! What `doctor` finds on a member's machine, and what it hands to whoever helps.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::cluster::PATIENCE;
use crate::cluster::program::{PROGRAM, Programs};
use crate::cluster::secrets::assert_absent;

fn doctor(programs: &Programs, member: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["doctor", "--config"]).arg(programs.home(member)).args(arguments);
    command.env_remove("COUNTERMARK_CLIENT").stdin(Stdio::null()).output().expect("runs")
}

fn findings(output: &Output) -> Vec<Value> {
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    said["findings"].as_array().expect("findings").clone()
}

/// State and code of what was found of `check` and a subject that begins like this.
fn found(output: &Output, check: &str, subject: &str) -> (String, String) {
    let all = findings(output);
    let is_it =
        |finding: &&Value| finding["check"] == check && finding["subject"].as_str().is_some_and(|of| of.starts_with(subject));
    let it = all.iter().find(is_it).unwrap_or_else(|| panic!("no {check} of {subject:?} in {all:#?}"));
    (it["state"].as_str().expect("text").to_owned(), it["code"].as_str().expect("text").to_owned())
}

const JSON: [&str; 2] = ["--output", "json"];

fn stands(state: &str, code: &str) -> (String, String) {
    (state.to_owned(), code.to_owned())
}

/// Asks again until both nodes are up.
fn until_well(programs: &Programs, member: &str, client: &str) -> Output {
    let began = Instant::now();
    loop {
        let output = doctor(programs, member, &[&JSON[..], &["--client", client]].concat());
        // Its own node may be well before the other one listens.
        let is_alone = String::from_utf8_lossy(&output.stdout).contains("PEER_UNREACHABLE");
        if output.status.code() == Some(0) && found(&output, "status", "") == stands("ok", "") && !is_alone {
            return output;
        }
        assert!(began.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_node_that_runs_with_its_alliance_is_well_and_one_that_does_not_is_told_what_to_do() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform"]);
    let before = doctor(&programs, "acme", &JSON);
    assert_eq!(found(&before, "configuration", ""), stands("ok", ""));
    assert_eq!(found(&before, "keys", ""), stands("ok", ""));
    assert_eq!(found(&before, "certificate", "this node's"), stands("ok", ""));
    assert_eq!(found(&before, "node", ""), stands("warning", "PEER_UNREACHABLE"));
    assert_eq!(found(&before, "peers", "bazaar at "), stands("warning", "PEER_UNREACHABLE"));
    assert_eq!(found(&before, "clock", ""), stands("skipped", ""));
    assert_eq!(before.status.code(), Some(0), "another member's node that is down is no fault of this one");

    let _nodes = ["acme", "bazaar"].map(|member| programs.serve(member));
    let client = programs.client_config("acme");
    let well = until_well(&programs, "acme", &client);
    assert_eq!(found(&well, "node", ""), stands("ok", ""));
    assert_eq!(found(&well, "peers", "bazaar at "), stands("ok", ""));
    assert_eq!(found(&well, "clock", ""), stands("ok", ""));

    let text = doctor(&programs, "acme", &["--offline"]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains("skipped  network       nobody was dialled, as asked\n"), "{text}");
}

#[test]
fn what_keeps_a_node_from_starting_is_a_fault_with_what_to_do() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform"]);
    let (home, client) = (programs.home("acme"), ["--output", "json", "--offline"]);
    let data = programs.data("acme");
    std::fs::create_dir_all(&data).expect("made");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("set");
    let open = doctor(&programs, "acme", &client);
    assert_eq!(found(&open, "store", data.to_str().expect("UTF-8")), stands("warning", "DATA_DIR_OPEN"));
    assert_eq!(open.status.code(), Some(0));

    std::fs::set_permissions(home.join("feed.key"), std::fs::Permissions::from_mode(0o644)).expect("set");
    let readable = doctor(&programs, "acme", &client);
    assert_eq!((readable.status.code(), found(&readable, "files", "").0.as_str()), (Some(1), "fault"));
    std::fs::set_permissions(home.join("feed.key"), std::fs::Permissions::from_mode(0o600)).expect("set");

    std::fs::copy(programs.home("bazaar").join("feed.key"), home.join("feed.key")).expect("copied");
    let foreign = doctor(&programs, "acme", &client);
    assert_eq!((foreign.status.code(), found(&foreign, "keys", "")), (Some(1), stands("fault", "WRONG_FEED_KEY")));

    std::fs::write(home.join("node.toml"), "[node]\nmembr = \"acme\"\n").expect("written");
    let misspelt = doctor(&programs, "acme", &client);
    let all = findings(&misspelt);
    assert_eq!((misspelt.status.code(), all.len()), (Some(1), 1), "{all:#?}");
    assert!(all[0]["sentence"].as_str().is_some_and(|sentence| sentence.contains("membr")), "{all:#?}");
}

#[test]
fn a_bundle_for_whoever_helps_holds_no_secret() {
    let programs = Programs::found(&["acme:brand", "bazaar:platform"]);
    let _nodes = ["acme", "bazaar"].map(|member| programs.serve(member));
    let client = programs.client_config("acme");
    until_well(&programs, "acme", &client);
    let file = programs.root().join("bundle.tar.gz");
    let name = file.to_str().expect("UTF-8");
    let written = doctor(&programs, "acme", &["--client", &client, "--bundle", name]);
    assert_eq!(written.status.code(), Some(0), "{}", String::from_utf8_lossy(&written.stderr));
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);

    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&file).expect("there")));
    let mut texts = std::collections::BTreeMap::new();
    for entry in archive.entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a name").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        texts.insert(path, text);
    }
    for part in ["doctor.txt", "doctor.json", "configuration.txt", "status.json", "version.txt"] {
        assert!(texts.contains_key(&format!("countermark-support/{part}")), "{part} in {:?}", texts.keys());
    }
    let all: String = texts.into_values().collect();
    for secret in ["feed.key", "local.secret", "node.key", "keys/k1.key", "clients/operator/client.key"] {
        let secret = std::fs::read_to_string(programs.home("acme").join(secret)).expect(secret);
        let line = secret.lines().find(|line| !line.starts_with("-----")).expect("a line");
        assert!(!all.contains(line), "a secret stands in the bundle");
    }
    assert_absent(&[programs.home("acme")], &[("the bundle".to_owned(), all.into_bytes())]);
    let again = doctor(&programs, "acme", &["--offline", "--bundle", name]);
    assert_eq!(again.status.code(), Some(1), "what is there is not written over");
}
