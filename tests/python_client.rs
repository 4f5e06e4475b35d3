//! A client in another language, over mutual TLS, that learns the interface by reflection.

mod cluster;

use std::io::Write as _;
use std::process::Command;

use cluster::Alliance;
use countermark::daemon::{SystemClock, SystemEntropy};
use countermark::domain::{Clock as _, MemberKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_submits_and_checks() {
    let Some(python) = std::env::var_os("COUNTERMARK_PYTHON") else {
        let why = "skipped: COUNTERMARK_PYTHON names no interpreter with the packages of .ci/python.txt";
        writeln!(std::io::stderr(), "{why}").expect("standard error is open");
        return;
    };
    let (alliance, sockets) = Alliance::new(&[("aurelle", MemberKind::Brand)]).await;
    let _nodes = alliance.start_all(sockets).await;
    let folder = tempfile::tempdir().expect("a folder");
    let client = "all-roles".parse().expect("valid");
    let own = alliance.client_ca("aurelle").issue_client(&client, SystemClock.now(), &SystemEntropy).expect("issued");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let ca = write("ca.pem", &alliance.peer_anchors().ca);
    let (certificate, key) = (write("client.pem", &own.chain), write("client.key", &own.key));
    let run = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_client.py"))
            .arg(alliance.membership("aurelle").clients.to_string())
            .arg(alliance.name.node_dns_name(&cluster::member("aurelle")))
            .args([&ca, &certificate, &key])
            .output()
    });
    let output = run.await.expect("joined").expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}
