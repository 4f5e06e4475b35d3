//! The benchmark runs to its end and says what it should. How fast it was is nobody's business here: no figure fails this test.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::PROGRAM;

/// What the quick run measures, each beside its limit where it has one.
const MEASURED: [&str; 15] = [
    "pseudonyms of a node, 3 of 5",
    "evaluations of a holder",
    "checks through 3 of 5 holders",
    "CheckSeller",
    "CheckSeller p99",
    "CheckSellers",
    "CheckSellers identifiers",
    "SubmitSignal",
    "SubmitSignals",
    "first synchronisation",
    "answered at another node (p99 as highest)",
    "idle, from a peer",
    "memory, peak",
    "disk",
    "open after a crash",
];

#[test]
fn a_quick_run_measures_a_whole_node_beside_its_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let plot = folder.path().join("growth.svg");
    let output = Command::new(PROGRAM)
        .args(["bench", "--quick", "--output", "json", "--plot"])
        .arg(&plot)
        .arg("--folder")
        .arg(folder.path())
        .output()
        .expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let figures = report["figures"].as_array().expect("figures");
    for operation in MEASURED {
        let of = figures.iter().filter(|figure| figure["operation"] == operation).collect::<Vec<_>>();
        assert!(!of.is_empty(), "{operation} is measured");
        for figure in of {
            assert!(figure["ours"]["median"].as_f64().is_some_and(|value| value > 0.0 || operation == "idle, from a peer"));
            // The arithmetic of shared keys hangs on no signals.
            let of_keys = MEASURED[..3].contains(&operation);
            assert!(of_keys || figure["signals"].as_u64().is_some_and(|signals| signals >= 100_000), "{figure}");
        }
    }
    let limits: Vec<&str> = figures.iter().filter_map(|figure| figure["limit"]["of"].as_str()).collect();
    for limit in ["empty call", "empty stream", "sled alone", "plain file"] {
        assert!(limits.contains(&limit), "{limit} is measured in turn");
    }
    for share in report["population"].as_array().expect("a population") {
        let (target, realised) = (share["target"].as_f64().expect("said"), share["realised"].as_f64().expect("said"));
        assert!((realised / target - 1.0).abs() < 0.15, "{share}");
    }
    assert!(std::fs::read_to_string(plot).expect("drawn").contains("<svg"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing but the plot is left behind");
}

#[tokio::test]
async fn a_run_that_is_stopped_leaves_no_node_and_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bench = Command::new(PROGRAM)
        .args(["bench", "--quick", "--soak", "60", "--folder"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let serves = || {
        let processes = procfs::process::all_processes().expect("/proc").filter_map(Result::ok);
        let below = folder.path().to_string_lossy().into_owned();
        processes
            .filter_map(|process| process.cmdline().ok())
            .any(|words| words.iter().any(|word| word == "serve") && words.iter().any(|word| word.starts_with(&below)))
    };
    let until = async |what: &str, wanted: bool| {
        let waited = tokio::time::timeout(Duration::from_secs(60), async {
            while serves() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "waited in vain: {what}");
    };
    until("a node serves", true).await;
    let told = Command::new("kill").args(["-TERM", &bench.id().to_string()]).status().expect("runs");
    assert!(told.success());
    assert_eq!(bench.wait().expect("ends").code(), Some(1));
    until("no node serves", false).await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
