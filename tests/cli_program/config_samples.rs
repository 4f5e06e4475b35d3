//! The samples in `config/` load, and the full ones name every key there is with the default that holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countermark::config::{ClientConfig, Environment, NodeConfig};
use countermark::domain::{Policy, Thresholds};
use countermark::telemetry::HAS_TRACES;
use serde_json::Value;

/// Keys that have a default. That they are all such keys is shown by the samples themselves: without them they load.
const NODE_DEFAULTS: [(&str, &str); 6] =
    [("peers", "crl"), ("peers", "addresses"), ("clients", "crl"), ("store", "cache_mib"), ("log", "format"), ("log", "level")];

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(sample(name)).expect("a sample")
}

fn node(path: &Path) -> NodeConfig {
    NodeConfig::load(path, &Environment::default()).expect("a good sample").config
}

/// `section.key` of everything in `value`; what stands in an array is told by all of its elements.
fn keys(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                keys(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, into);
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            items.iter().for_each(|item| keys(item, path, into));
        }
        _ => drop(into.insert(path.to_owned())),
    }
}

fn keys_of(value: &impl serde::Serialize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    keys(&serde_json::to_value(value).expect("JSON"), "", &mut found);
    found
}

#[test]
fn every_sample_loads() {
    let names = std::fs::read_dir(sample("")).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("UTF-8"));
    // What else stands there is for those who package the program.
    let names: BTreeSet<String> = names.filter(|name| name.ends_with(".toml")).collect();
    for name in &names {
        match name.as_str() {
            node_file if node_file.starts_with("node") => drop(node(&sample(node_file))),
            "policy.toml" => toml::from_str::<Policy>(&text(name)).expect("TOML").validate().expect("a good sample"),
            "thresholds.toml" => toml::from_str::<Thresholds>(&text(name)).expect("TOML").validate().expect("a good sample"),
            _ => drop(ClientConfig::load(&sample(name), &Environment::default()).expect("a good sample")),
        }
    }
    assert!(names.contains("node.toml") && names.contains("client.toml"), "{names:?}");
}

#[test]
fn the_full_samples_name_every_key() {
    let in_file = |name: &str| keys_of(&toml::from_str::<toml::Table>(&text(name)).expect("TOML"));
    assert_eq!(in_file("node.toml"), keys_of(&node(&sample("node.toml"))));
    let client = ClientConfig::load(&sample("client.toml"), &Environment::default()).expect("a good sample").config;
    assert_eq!(in_file("client.toml"), keys_of(&client));
    assert_eq!(in_file("policy.toml"), keys_of(&Policy::default()));
}

/// A setting that is commented out: prose has a space after its `#`.
fn setting(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()))
}

#[test]
fn what_a_feature_brings_stands_in_the_full_sample_behind_a_comment() {
    let with_all: String = text("node.toml").lines().map(|line| format!("{}\n", setting(line).unwrap_or(line))).collect();
    let table = toml::from_str::<toml::Table>(&with_all).expect("TOML");
    let (all, plain) = (keys_of(&table), keys_of(&toml::from_str::<toml::Table>(&text("node.toml")).expect("TOML")));
    assert_eq!(all.difference(&plain).collect::<Vec<_>>(), ["traces.collector", "traces.one_in"]);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.toml");
    std::fs::write(&path, with_all).expect("written");
    if HAS_TRACES {
        assert_eq!(keys_of(&node(&path)), all);
    } else {
        assert_eq!(NodeConfig::load(&path, &Environment::default()).expect_err("not built").code(), "TRACES_NOT_BUILT");
    }
}

#[test]
fn the_full_samples_show_the_defaults() {
    let mut table: toml::Table = toml::from_str(&text("node.toml")).expect("TOML");
    for (section, key) in NODE_DEFAULTS {
        table[section].as_table_mut().expect("a section").remove(key).expect("a key of the sample");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let without = folder.path().join("node.toml");
    std::fs::write(&without, table.to_string()).expect("written");
    let relative = |config: NodeConfig, folder: &Path| {
        let json = serde_json::to_string(&config).expect("JSON");
        json.replace(&folder.display().to_string(), "")
    };
    let full = relative(node(&sample("node.toml")), &sample("").join(""));
    assert_eq!(relative(node(&without), &folder.path().join("")), full);

    let client = text("client.toml").replace("retract_share = 0.1\n", "");
    assert!(!client.contains("\nretract_share"), "the sample's default is another");
    let without = folder.path().join("client.toml");
    std::fs::write(&without, client).expect("written");
    let client = ClientConfig::load(&without, &Environment::default()).expect("valid").config.client;
    assert!((client.retract_share.get() - 0.1).abs() < f64::EPSILON);
}

#[test]
fn the_sample_of_a_policy_is_the_default() {
    assert_eq!(toml::from_str::<Policy>(&text("policy.toml")).expect("TOML"), Policy::default());
}

#[test]
fn the_minimal_sample_has_no_key_that_could_be_left_out() {
    let minimal = text("node-minimal.toml");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node.toml");
    let lines: Vec<&str> = minimal.lines().collect();
    // The first roster and the first client are what makes a node useful, though it starts without.
    let needed = |line: &&str| line.contains(" = ") && !line.starts_with("file = ");
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| needed(line)) {
        let without: Vec<&str> = lines.iter().enumerate().filter(|(i, _)| *i != number).map(|(_, line)| *line).collect();
        std::fs::write(&path, without.join("\n")).expect("written");
        let error = NodeConfig::load(&path, &Environment::default()).expect_err(line);
        assert_eq!(error.code(), "CONFIG_MISSING_KEY", "{line}: {error}");
    }
}

#[test]
fn the_unit_gives_a_node_the_time_that_it_may_take_to_stop() {
    let unit = text("systemd/countermark.service");
    let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a limit");
    assert!(seconds.parse::<u64>().expect("seconds") > countermark::daemon::STOP_WITHIN.as_secs(), "{seconds}");
}

#[test]
fn the_debian_package_is_of_this_version() {
    let first = format!("countermark ({}-", env!("CARGO_PKG_VERSION"));
    assert!(text("debian/changelog").starts_with(&first), "give config/debian/changelog an entry that begins with {first}");
}
