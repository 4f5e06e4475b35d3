//! Founding, asking, admitting, accepting, renewing, expelling, through files alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::{folder, run, run_with};

fn found(folder: &Path) {
    run(folder, &["alliance", "init", "--name", "alliance.example", "--folder", "secretariat", "--scheme", "hmac-sha256"])
        .expect(0);
}

/// A member's request, and its fingerprint.
fn ask(folder: &Path, id: &str) -> String {
    let arguments = [
        "member",
        "request",
        "--alliance",
        "alliance.example",
        "--id",
        id,
        "--kind",
        "brand",
        "--name",
        "Acme & Söhne",
        "--address",
        "node.acme.example:7400",
        "--folder",
        id,
        "--out",
        &format!("{id}-request.json"),
        "--output",
        "json",
    ];
    let asked = run(folder, &arguments).expect(0).json();
    asked["fingerprint"].as_str().expect("a fingerprint").to_owned()
}

/// Admits a request whose fingerprint is compared, and gives that of the admission.
fn admit(folder: &Path, id: &str, fingerprint: &str, more: &[&str]) -> serde_json::Value {
    let (request, admission) = (format!("{id}-request.json"), format!("{id}-admission.json"));
    let mut arguments = vec![
        "alliance",
        "admit",
        "--folder",
        "secretariat",
        &request,
        "--out",
        &admission,
        "--fingerprint",
        fingerprint,
        "--output",
        "json",
    ];
    arguments.extend(more);
    run(folder, &arguments).expect(0).json()
}

fn accept(folder: &Path, id: &str, fingerprint: &str) -> serde_json::Value {
    let admission = format!("{id}-admission.json");
    let arguments = ["member", "accept", "--folder", id, &admission, "--fingerprint", fingerprint, "--output", "json"];
    run(folder, &arguments).expect(0).json()
}

fn roster(folder: &Path) -> serde_json::Value {
    run(folder, &["alliance", "roster", "--folder", "secretariat", "--output", "json"]).expect(0).json()
}

#[test]
fn a_member_asks_is_admitted_accepts_and_has_a_configuration_that_holds() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let request = ask(folder, "acme");
    let admitted = admit(folder, "acme", &request.to_uppercase(), &["--group", "luxury"]);
    assert_eq!((&admitted["standing"], &admitted["roster_serial"]), (&json!("new"), &json!(2)));
    assert_eq!(admitted["request_fingerprint"], request.as_str());
    let taken = accept(folder, "acme", admitted["admission_fingerprint"].as_str().expect("a fingerprint"));
    assert_eq!((&taken["member"], &taken["roster_serial"]), (&json!("acme"), &json!(2)));

    let summary = run(folder, &["config", "check", "--config", "acme", "--output", "json"]).expect(0).json();
    assert_eq!(summary["certificate"]["identity"], "spiffe://alliance.example/member/acme/node");
    let roles = ["submit", "check", "cases", "admin"];
    let operator =
        json!({"name": "operator", "roles": roles, "calls_per_second": null, "rows_per_second": null, "rows_per_day": null});
    assert_eq!(summary["access"], json!([operator]));
    assert_eq!(summary["roster"]["serial"], 2);
    assert_eq!((&summary["peers_listen"], &summary["clients_listen"]), (&json!("0.0.0.0:7400"), &json!("127.0.0.1:7401")));

    let roster = roster(folder);
    assert_eq!(roster["members"][0]["name"], "Acme & Söhne");
    assert_eq!(roster["groups"], json!([{"name": "luxury", "members": ["acme"]}]));
    assert_eq!(roster["keys"][0]["id"], "k1");
}

#[test]
fn no_secret_leaves_its_folder() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let request = ask(folder, "acme");
    admit(folder, "acme", &request, &[]);
    let mut secrets = Vec::new();
    for (home, names) in [
        ("acme", vec!["node.key", "feed.key", "envelope.key", "local.secret", "client-ca.key"]),
        ("secretariat", vec!["ca.key", "roster.key", "keys/k1.key"]),
    ] {
        for name in names {
            let path = folder.join(home).join(name);
            assert_eq!(fs::metadata(&path).expect(name).permissions().mode() & 0o777, 0o600, "{home}/{name}");
            let text = fs::read_to_string(&path).expect(name);
            secrets.extend(text.lines().filter(|line| !line.starts_with('-') && line.len() > 16).map(str::to_owned));
        }
    }
    for name in ["acme-request.json", "acme-admission.json", "secretariat/roster.note", "secretariat/ca.pem"] {
        let text = fs::read_to_string(folder.join(name)).expect(name);
        assert!(!text.contains("PRIVATE") && secrets.iter().all(|secret| !text.contains(secret.as_str())), "{name}");
    }
    assert!(secrets.len() >= 8);
}

#[test]
fn nothing_is_believed_whose_fingerprint_nobody_compared() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    ask(folder, "acme");
    let admit = ["alliance", "admit", "--folder", "secretariat", "acme-request.json", "--out", "a.json"];
    let refused = run(folder, &admit).expect(1);
    assert!(
        refused.err.contains("error[FINGERPRINT_NOT_COMPARED]") && refused.err.contains("--fingerprint"),
        "{}",
        refused.err
    );
    let wrong: Vec<&str> = admit.iter().copied().chain(["--fingerprint", "88f0 15d2"]).collect();
    assert!(run(folder, &wrong).expect(1).err.contains("error[FINGERPRINT_DIFFERS]"));
    assert!(!folder.join("a.json").exists());
    assert_eq!(roster(folder)["serial"], 1, "nobody was admitted");

    let yes: Vec<&str> = admit.iter().copied().chain(["--yes"]).collect();
    run(folder, &yes).expect(0);
    let accept = ["member", "accept", "--folder", "acme", "a.json"];
    assert!(run(folder, &accept).expect(1).err.contains("error[FINGERPRINT_NOT_COMPARED]"));
    assert!(!folder.join("acme/node.pem").exists());
    let asked = run_with(folder, &accept, &[], "yes\n").expect(1);
    assert!(asked.err.contains("error[FINGERPRINT_NOT_COMPARED]"), "a pipe is nobody who compares");
}

#[test]
fn a_request_that_was_changed_on_the_way_is_refused() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    ask(folder, "acme");
    let path = folder.join("acme-request.json");
    let text = fs::read_to_string(&path).expect("text").replace("node.acme.example:7400", "node.evil.example:7400");
    fs::write(&path, text).expect("written");
    let admit = ["alliance", "admit", "--folder", "secretariat", "acme-request.json", "--out", "a.json", "--yes"];
    assert!(run(folder, &admit).expect(1).err.contains("error[JOIN_REQUEST_PROOF]"));
}

#[test]
fn a_renewal_issues_a_certificate_and_changes_no_roster() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let request = ask(folder, "acme");
    let admitted = admit(folder, "acme", &request, &[]);
    let fingerprint = admitted["admission_fingerprint"].as_str().expect("a fingerprint").to_owned();
    accept(folder, "acme", &fingerprint);
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("text");
    let (old, config) = (read("acme/node.pem"), read("acme/node.toml"));

    let renew = ["member", "renew", "--folder", "acme", "--out", "renewal-request.json", "--output", "json"];
    let renewal = run(folder, &renew).expect(0).json();
    let admitted = admit(folder, "renewal", renewal["fingerprint"].as_str().expect("a fingerprint"), &[]);
    assert_eq!((&admitted["standing"], &admitted["roster_serial"]), (&json!("renewal"), &json!(2)));
    // By the same CA and key as before: there is nothing to compare again.
    run(folder, &["member", "accept", "--folder", "acme", "renewal-admission.json"]).expect(0);
    assert_ne!(read("acme/node.pem"), old);
    assert_eq!(read("acme/node.toml"), config, "an operator's configuration is left alone");
    run(folder, &["config", "check", "--config", "acme"]).expect(0);
}

#[test]
fn an_expelled_member_stays_out_until_it_is_taken_back() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let request = ask(folder, "acme");
    admit(folder, "acme", &request, &[]);
    let expelled = run(folder, &["alliance", "expel", "--folder", "secretariat", "acme", "--crl"]).expect(0);
    assert!(expelled.err.contains("1 certificate revoked"), "{}", expelled.err);
    assert!(folder.join("secretariat/crl.pem").exists());
    let held = roster(folder);
    assert_eq!((&held["serial"], &held["members"][0]["state"]), (&json!(3), &json!("expelled")));
    run(folder, &["alliance", "expel", "--folder", "secretariat", "acme"]).expect(0);
    assert_eq!(roster(folder)["serial"], 3, "nothing has changed");
    let stranger = run(folder, &["alliance", "expel", "--folder", "secretariat", "globex"]).expect(1);
    assert!(stranger.err.contains("error[MEMBER_UNKNOWN]"));

    let admit = ["alliance", "admit", "--folder", "secretariat", "acme-request.json", "--out", "again.json", "--yes"];
    assert!(run(folder, &admit).expect(1).err.contains("error[MEMBER_EXPELLED]"));
    let readmit: Vec<&str> = admit.iter().copied().chain(["--readmit"]).collect();
    run(folder, &readmit).expect(0);
    assert_eq!(roster(folder)["members"][0]["state"], "active");
}

#[test]
fn another_key_never_takes_over_a_members_name() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let request = ask(folder, "acme");
    admit(folder, "acme", &request, &[]);
    fs::rename(folder.join("acme"), folder.join("lost")).expect("moved");
    fs::rename(folder.join("acme-request.json"), folder.join("old.json")).expect("moved");
    ask(folder, "acme");
    let admit = ["alliance", "admit", "--folder", "secretariat", "acme-request.json", "--out", "again.json", "--yes"];
    assert!(run(folder, &admit).expect(1).err.contains("error[MEMBER_KEY_DIFFERS]"));
}

#[test]
fn a_policy_is_given_back_as_it_is_shown_and_refused_where_it_is_none() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let policy = |more: &[&str]| {
        let arguments = ["alliance", "policy", "--folder", "secretariat"];
        run(folder, &[&arguments[..], more].concat())
    };
    let shown = policy(&[]).expect(0).out;
    assert!(shown.contains("working_days = 3"), "{shown}");
    fs::write(folder.join("same.toml"), &shown).expect("written");
    policy(&["--from", "same.toml"]).expect(0);
    assert_eq!(roster(folder)["serial"], 1, "nothing has changed");
    fs::write(folder.join("policy.toml"), shown.replace("working_days = 3", "working_days = 5")).expect("written");
    assert_eq!(policy(&["--from", "policy.toml"]).expect(0).out, shown.replace("working_days = 3", "working_days = 5"));
    let held = roster(folder);
    assert_eq!((&held["serial"], &held["policy"]["answers"]["working_days"]), (&json!(2), &json!(5)));
    for (text, code) in [
        ("[answers]\nworking_days = 0\n", "error[ANSWER_DAYS_INVALID]"),
        ("[answers]\nworking_day = 3\n", "error[POLICY_INVALID]"),
        ("retention_days = 9000\n", "error[RETENTION_OUT_OF_RANGE]"),
    ] {
        fs::write(folder.join("policy.toml"), text).expect("written");
        let refused = policy(&["--from", "policy.toml"]).expect(1);
        assert!(refused.err.contains(code), "{}", refused.err);
    }
    assert_eq!(roster(folder)["serial"], 2);
}

#[test]
fn groups_have_members_of_the_roster() {
    let folder = folder();
    let folder = folder.path();
    let init = [
        "alliance",
        "init",
        "--name",
        "alliance.example",
        "--folder",
        "secretariat",
        "--member",
        "a:brand:127.0.0.1:7400",
        "--member",
        "b:platform:127.0.0.1:7410",
    ];
    let founded = run(folder, &init).expect(0);
    assert!(founded.err.contains("countermark serve --config secretariat/members/a/node.toml"), "{}", founded.err);
    assert!(founded.err.contains("before the members have made key k1"), "{}", founded.err);
    let key = &roster(folder)["keys"][0];
    assert_eq!((&key["scheme"], &key["state"]), (&json!("toprf-ristretto255"), &json!("pending")));
    assert_eq!((&key["sharing"]["threshold"], &key["sharing"]["holders"][1]["member"]), (&json!(2), &json!("b")));
    for member in ["a", "b"] {
        run(folder, &["config", "check", "--config", &format!("secretariat/members/{member}")]).expect(0);
    }
    let group = |members: &str| run(folder, &["alliance", "group", "--folder", "secretariat", "luxury", "--members", members]);
    group("a,b").expect(0);
    group("b,a").expect(0);
    let held = roster(folder);
    assert_eq!((&held["serial"], &held["groups"][0]["members"]), (&json!(2), &json!(["a", "b"])));
    assert!(group("a,stranger").expect(1).err.contains("error[GROUP_INVALID]"));
    assert_eq!(roster(folder)["serial"], 2);

    let again = run(folder, &init).expect(1);
    assert!(again.err.contains("error[FILE_EXISTS]"), "{}", again.err);
    let close = [
        "alliance",
        "init",
        "--name",
        "alliance.example",
        "--folder",
        "other",
        "--member",
        "a:brand:127.0.0.1:7400",
        "--member",
        "b:platform:127.0.0.1:7401",
    ];
    assert!(run(folder, &close).expect(2).err.contains("both listen at 127.0.0.1:7401"));
}

/// An alliance of one member, and the member's folder seen from there.
fn member() -> (tempfile::TempDir, &'static str) {
    let folder = folder();
    let init = ["alliance", "init", "--name", "alliance.example", "--folder", "s", "--member", "a:brand:127.0.0.1:7400"];
    run(folder.path(), &init).expect(0);
    (folder, "s/members/a")
}

#[test]
fn a_client_gets_a_certificate_and_its_roles() {
    let (folder, home) = member();
    let folder = folder.path();
    let client = |roles: &[&str]| {
        let mut arguments = vec!["member", "client", "--folder", home, "onboarding", "--output", "json"];
        arguments.extend(roles.iter().flat_map(|role| ["--role", role]));
        run(folder, &arguments)
    };
    let made = client(&["check", "submit", "check"]).expect(0).json();
    assert_eq!((&made["granted"], &made["roles"]), (&json!(true), &json!(["submit", "check"])));
    let summary = run(folder, &["config", "check", "--config", home, "--output", "json"]).expect(0).json();
    let roles = ["submit", "check"];
    let onboarding =
        json!({"name": "onboarding", "roles": roles, "calls_per_second": null, "rows_per_second": null, "rows_per_day": null});
    assert_eq!(summary["access"][0], onboarding);
    let again = client(&["check"]).expect(1);
    assert!(again.err.contains("error[FILE_EXISTS]") && again.err.contains("--renew"), "{}", again.err);
    let unreached = run(folder, &["status", "--config", &format!("{home}/clients/onboarding")]).expect(1);
    assert!(unreached.err.contains("error[PEER_"), "its configuration is read and dialled: {}", unreached.err);

    let renew = |name| run(folder, &["member", "client", "--folder", home, name, "--renew", "--output", "json"]);
    let settings = folder.join(home).join("clients/onboarding/client.toml");
    fs::write(&settings, fs::read_to_string(&settings).expect("readable") + "# ours\n").expect("written");
    let renewed = renew("onboarding").expect(0).json();
    assert_eq!((&renewed["granted"], &renewed["roles"]), (&json!(false), &json!(roles)));
    assert!(fs::read_to_string(&settings).expect("readable").ends_with("# ours\n"), "what was set stays");
    assert!(renew("stranger").expect(1).err.contains("error[CLIENT_UNKNOWN]"));
    // A client of which node.toml says nothing any more.
    let node_toml = folder.join(home).join("node.toml");
    let text = fs::read_to_string(&node_toml).expect("readable");
    fs::write(&node_toml, text.rsplit_once("[[clients.access]]").expect("the last client").0).expect("written");
    assert!(renew("onboarding").expect(1).err.contains("give its roles"));
    let back =
        run(folder, &["member", "client", "--folder", home, "onboarding", "--renew", "--role", "check", "--output", "json"]);
    assert_eq!(back.expect(0).json()["granted"], true);
}

#[test]
fn a_clients_certificates_are_revoked_in_a_list_that_the_node_then_names() {
    let (folder, home) = member();
    let folder = folder.path();
    let revoke = |name: &[&str]| run(folder, &[&["member", "revoke", "--folder", home, "--output", "json"], name].concat());
    let summary =
        || run(folder, &["config", "check", "--config", home, "--output", "json"]).expect(0).json()["clients_crl"].clone();
    run(folder, &["member", "client", "--folder", home, "onboarding", "--role", "check"]).expect(0);
    run(folder, &["member", "client", "--folder", home, "onboarding", "--renew"]).expect(0);
    assert!(revoke(&["stranger"]).expect(1).err.contains("error[CLIENT_UNKNOWN]"));
    assert!(summary()["revoked"].is_null() && !folder.join(home).join("client-crl.pem").exists(), "nothing was written");

    let revoked = revoke(&["onboarding"]).expect(0).json();
    let due = summary()["next_update"].clone();
    let first = fs::read(folder.join(home).join("client-crl.pem")).expect("readable");
    let fields = json!({"client": "onboarding", "revoked": 2, "list": format!("{home}/client-crl.pem"), "renew_before": due, "named": true});
    assert_eq!(revoked, fields);
    assert!(due.is_string() && summary()["revoked"] == 2, "{due}");
    // A certificate that was made before its number was kept, and one that took its place.
    fs::remove_dir_all(folder.join(home).join("issued")).expect("removed");
    run(folder, &["member", "client", "--folder", home, "operator", "--renew"]).expect(0);
    assert_eq!(revoke(&["operator"]).expect(0).json()["revoked"], 2);
    let again = revoke(&[]).expect(0).json();
    assert_eq!((&again["client"], &again["revoked"], summary()["revoked"].clone()), (&Value::Null, &json!(0), json!(4)));

    // A list that is lost gives nobody back what was taken, nor does an older one that is put in its place.
    let list = folder.join(home).join("client-crl.pem");
    fs::remove_file(&list).expect("removed");
    assert_eq!(revoke(&[]).expect(0).json()["revoked"], 0);
    assert_eq!(summary()["revoked"], 4);
    fs::write(&list, first).expect("written");
    revoke(&[]).expect(0);
    assert_eq!(summary()["revoked"], 4);

    // A list of another tool stays the one that is named, until somebody adds this one.
    let node_toml = folder.join(home).join("node.toml");
    let named = fs::read_to_string(&node_toml).expect("readable");
    fs::copy(folder.join(home).join("client-crl.pem"), folder.join(home).join("other.pem")).expect("copied");
    fs::write(&node_toml, named.replace("client-crl.pem", "other.pem")).expect("written");
    let unnamed = revoke(&["onboarding"]).expect(0);
    assert_eq!(unnamed.json()["named"], false);
    assert!(unnamed.err.contains("client-crl.pem to them, or where one is of this CA"), "{}", unnamed.err);
    // With both the node would go on with what it has.
    fs::write(&node_toml, named.replace("\"client-crl.pem\"", "\"other.pem\", \"client-crl.pem\"")).expect("written");
    let both = revoke(&["onboarding"]).expect(1);
    assert!(both.err.contains("error[TLS_CRL_TWICE]") && both.err.contains("node.toml"), "{}", both.err);
    // Where nothing can be added, the file is left as it is, and nobody is told that the list is in force.
    let none = named.replace("crl = [\"client-crl.pem\"]\n", "");
    for text in [named.replace("crl = [\"client-crl.pem\"]", "crl = []"), none.replace("[clients]", "[\"clients\"]")] {
        fs::write(&node_toml, &text).expect("written");
        let refused = revoke(&["onboarding"]).expect(1);
        assert!(refused.out.is_empty() && refused.err.contains("client-crl.pem"), "{}", refused.err);
        assert_eq!(fs::read_to_string(&node_toml).expect("readable"), text);
    }
    for head in ["[clients]  # our staff", "[ clients ]"] {
        fs::write(&node_toml, none.replace("[clients]", head)).expect("written");
        assert_eq!(revoke(&["onboarding"]).expect(0).json()["named"], true, "{head}");
        let written = fs::read_to_string(&node_toml).expect("readable");
        assert!(written.contains(&format!("{head}\ncrl = [\"client-crl.pem\"]\n")), "{written}");
    }
}

#[test]
fn the_certificate_of_a_stolen_node_is_revoked_and_its_member_stays() {
    let folder = folder();
    let folder = folder.path();
    found(folder);
    let fingerprint = ask(folder, "acme");
    admit(folder, "acme", &fingerprint, &[]);
    let revoke = |member: &[&str]| {
        run(folder, &[&["alliance", "revoke", "--folder", "secretariat", "--output", "json"], member].concat())
    };
    assert!(revoke(&["stranger"]).expect(1).err.contains("error[MEMBER_UNKNOWN]"));
    assert!(!folder.join("secretariat/crl.pem").exists());
    let revoked = revoke(&["acme"]).expect(0).json();
    assert_eq!((&revoked["member"], &revoked["revoked"]), (&json!("acme"), &json!(1)));
    assert!(revoked["renew_before"].is_string() && revoked["list"] == "secretariat/crl.pem", "{revoked}");
    let first = fs::read(folder.join("secretariat/crl.pem")).expect("a list");
    assert_eq!(revoke(&[]).expect(0).json()["revoked"], 0);
    assert_ne!(fs::read(folder.join("secretariat/crl.pem")).expect("a list"), first, "signed anew");
    assert_eq!(roster(folder)["members"][0]["state"], "active");
}
