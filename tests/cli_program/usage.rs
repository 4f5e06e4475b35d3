//! Help, wrong command lines, and what is never repeated.

use crate::{folder, run, run_with};

#[test]
fn every_command_explains_itself() {
    let folder = folder();
    for (command, words) in [
        (vec![], vec!["submit", "check", "retract", "status", "serve", "demo", "alliance", "member", "Exit codes: 0 done"]),
        (vec!["submit"], vec!["--rejects", "--audience", "--strip-prefix", "refused_by_code", "Nothing is ever"]),
        (
            vec!["check"],
            vec!["--phone", "--bank-account", "--postal-address", "--reference", "3 at least one is, be it disputed"],
        ),
        (vec!["retract"], vec!["--dry-run", "--submission-id", "an empty file retracts nothing", "Exit codes"]),
        (vec!["status"], vec!["--config"]),
        (vec!["serve"], vec!["--config"]),
        (vec!["demo"], vec!["--keep"]),
        (vec!["config", "check"], vec!["--config"]),
        (vec!["feed", "verify"], vec!["--entries", "--secretariat-key", "base64"]),
        (vec!["alliance", "init"], vec!["--member", "id:kind:host:port"]),
        (vec!["alliance", "admit"], vec!["--fingerprint", "--group", "--readmit"]),
        (vec!["alliance", "expel"], vec!["--crl"]),
        (vec!["alliance", "revoke"], vec!["MEMBER", "renew_before"]),
        (vec!["alliance", "group"], vec!["--members"]),
        (vec!["alliance", "roster"], vec!["--folder"]),
        (vec!["member", "request"], vec!["--address", "--kind"]),
        (vec!["member", "accept"], vec!["--fingerprint"]),
        (vec!["member", "client"], vec!["--role", "--renew"]),
        (vec!["member", "revoke"], vec!["NAME", "renew_before"]),
        (vec!["member", "renew"], vec!["--out"]),
        (vec!["completions"], vec!["bash", "elvish", "fish", "powershell", "zsh", "{shell, script}"]),
        (vec!["man"], vec!["--folder", "--date", "countermark-alliance-admit.1"]),
    ] {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let help = run(folder.path(), &arguments).expect(0);
        assert!(help.err.is_empty(), "{}", help.err);
        for word in words {
            assert!(help.out.contains(word), "`{word}` is missing from the help of {command:?}:\n{}", help.out);
        }
        assert!(!help.out.contains('\u{1b}'), "no colours where nobody looks on");
    }
    assert!(run(folder.path(), &["--version"]).expect(0).out.starts_with("countermark "));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let folder = folder();
    for arguments in [
        vec![],
        vec!["nonsense"],
        vec!["submit"],
        vec!["check"],
        vec!["check", "--reference", "chk_1", "--phone", "1"],
        vec!["check", "a.csv", "b.csv"],
        vec!["check", "sellers"],
        vec!["submit", "list.txt"],
        vec!["submit", "a.csv", "--infringement", "nonsense"],
        vec!["submit", "a.csv", "b.csv", "--rejects", "r.csv"],
        vec!["retract", "--reason", "other"],
        vec!["retract", "--signal", "acme/all/1"],
        vec!["retract", "--signal", "acme", "--reason", "other"],
        vec!["retract", "--submission-id", "x", "--reason", "other"],
        vec!["retract", "--from", "a.txt", "--kind", "domain", "--id-prefix", "x", "--reason", "other"],
        vec!["status", "--output", "xml"],
        vec!["member", "client", "--folder", ".", "x"],
        vec!["member", "client", "--folder", ".", "x", "--renew", "--address", "a.example:1"],
        vec!["alliance", "init", "--name", "Alliance", "--folder", "a"],
        vec!["alliance", "init", "--name", "a.example", "--folder", "a", "--member", "acme:brand"],
        vec!["feed", "verify", "--checkpoint", "x"],
        vec!["feed", "verify", "--checkpoint", "x", "--roster", "y"],
    ] {
        let run = run(folder.path(), &arguments).expect(2);
        assert!(run.out.is_empty(), "{arguments:?} printed {}", run.out);
        assert!(run.err.contains("error") || run.err.contains("Usage"), "{arguments:?}: {}", run.err);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0, "nothing was written");
}

#[test]
fn what_may_be_an_identifier_is_not_repeated() {
    let folder = folder();
    let secret = "13800138000";
    for arguments in [
        vec!["check", secret],
        vec!["check", secret, "--format", "lines", "--kind", "phone"],
        vec!["check", "--phone", secret],
        vec!["check", "--phone", secret, "--reference", "chk_1"],
        vec!["check", "--phone", secret, "--config", "client.toml"],
        vec!["check", "--phone", secret, secret],
        vec!["check", secret, secret],
        vec!["submit", secret, "--format", "lines", "--kind", "phone"],
        vec!["retract", "--submission-id", secret, "--reason", "other"],
        vec!["retract", "--from", secret, "--reason", "other"],
        // In the wrong place altogether, where the command line's own errors would show it.
        vec![secret],
        vec![&format!("--{secret}")],
        vec!["status", secret],
        vec!["status", &format!("--config=x={secret}"), "--output", secret],
        vec!["check", &format!("--{secret}")],
        vec!["check", &format!("--fone={secret}")],
        vec!["check", &format!("-{secret}")],
        vec!["check", "a.csv", "--format", secret],
        vec!["check", "a.csv", "--format=csv", "--kind", secret],
        vec!["check", "--verbose=13800138000"],
        vec!["check", "--reference", "a", "--reference", secret],
        vec!["submit", "a.csv", "--nice-class", secret, "--hs-chapter", secret],
        vec!["submit", "a.csv", "--infringement", secret],
        vec!["retract", secret, "--reason", "other"],
        vec!["retract", "--signal", secret, "--reason", "other"],
        vec!["retract", "--signal", "a/all/1", "--reason", secret],
        vec!["retract", "--from", "a.csv", "--audience", &format!("A {secret}"), "--reason", "other"],
        vec!["member", "request", "--id", &format!("A {secret}")],
        vec!["alliance", "init", "--name", secret, "--folder", "a", "--member", secret],
        vec!["alliance", secret],
    ] {
        let run = run(folder.path(), &arguments);
        assert!(run.code != 0 && !run.err.contains(secret) && !run.out.contains(secret), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn a_wrong_command_line_is_explained_without_what_was_typed() {
    let folder = folder();
    let explained = |arguments: &[&str]| run(folder.path(), arguments).expect(2).err;
    let misspelt = explained(&["check", "--fone", "1", "--domian", "shop.test"]);
    assert!(misspelt.starts_with("error[USAGE]: unexpected argument found, perhaps --phone"), "{misspelt}");
    assert!(misspelt.contains("Usage: countermark check") && misspelt.contains("--help"), "{misspelt}");
    let value = explained(&["check", "a.csv", "--format", "xls"]);
    assert!(value.contains("--format <FORMAT>, one of csv, jsonl, lines"), "{value}");
    let ours = explained(&["retract", "--signal", "acme", "--reason", "other"]);
    assert!(ours.contains("--signal <SIGNAL>; ") && ours.contains("give"), "{ours}");
    let conflict = explained(&["submit", "a.csv", "--nice-class", "1", "--hs-chapter", "2"]);
    assert!(conflict.contains("--nice-class <NUMBER>, beside --hs-chapter <NUMBER>"), "{conflict}");
    let missing = explained(&["submit"]);
    assert!(missing.contains("<FILE>..."), "{missing}");
}

#[test]
fn errors_say_what_to_do() {
    let folder = folder();
    let run = run_with(folder.path(), &["status"], &[("HOME", "/nowhere")], "").expect(1);
    assert!(run.err.starts_with("error[CONFIG_NOT_FOUND]: there is no configuration; give one with --config"), "{}", run.err);
    let run = run_with(folder.path(), &["status"], &[("COUNTERMARK_CLIENT", "nowhere/client.toml")], "").expect(1);
    assert!(run.err.starts_with("error[") && run.err.contains("nowhere/client.toml"), "{}", run.err);
}
