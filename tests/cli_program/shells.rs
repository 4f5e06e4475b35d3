//! `completions` and `man`: what is made of the definition of the command line.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::json;

use crate::{folder, run};

#[test]
fn every_shell_is_told_of_every_command_that_help_shows() {
    let folder = folder();
    for (shell, begins) in [
        ("bash", "_countermark() {"),
        ("zsh", "#compdef countermark"),
        ("fish", "# Print an optspec"),
        ("elvish", "\nuse builtin;"),
        ("powershell", "\nusing namespace"),
    ] {
        let script = run(folder.path(), &["completions", shell]).expect(0).out;
        assert!(script.starts_with(begins), "{shell}: {}", &script[..script.len().min(200)]);
        for word in ["alliance", "completions", "submission-id", "secretariat-key"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        assert!(!script.contains("answer-nothing"), "{shell}: offers a command that is hidden");
        let document = run(folder.path(), &["completions", shell, "--output", "json"]).expect(0).json();
        assert_eq!(document, json!({"shell": shell, "script": script}));
    }
    assert!(run(folder.path(), &["completions", "tcsh"]).expect(2).err.contains("one of bash, elvish, fish, powershell, zsh"));
}

#[test]
fn bash_completes() {
    let folder = folder();
    let script = run(folder.path(), &["completions", "bash"]).expect(0).out;
    let completed = |words: &[&str]| {
        let last = words.len() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({}) COMP_CWORD={last}\n_countermark countermark {} {}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words[last],
            words[last - 1]
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("a shell");
        String::from_utf8(output.stdout).expect("UTF-8").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed(&["countermark", "al"]), ["alerts", "alliance"]);
    assert_eq!(completed(&["countermark", "alliance", "ad"]), ["admit"]);
    assert_eq!(completed(&["countermark", "config", "check", "--c"]), ["--config"]);
    assert_eq!(completed(&["countermark", "status", "--output", "j"]), ["json"]);
}

#[test]
fn every_command_that_help_shows_has_a_manual_page() {
    let folder = folder();
    let written =
        run(folder.path(), &["man", "--folder", "new/man1", "--date", "2026-11-28", "--output", "json"]).expect(0).json();
    let names = |entries: fs::ReadDir| -> BTreeSet<String> {
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
    };
    let files = names(fs::read_dir(folder.path().join("new/man1")).expect("a folder"));
    let listed = written["pages"].as_array().expect("pages").iter().map(|page| page.as_str().expect("a name").to_owned());
    assert_eq!(files, listed.collect());
    for page in ["countermark.1", "countermark-serve.1", "countermark-alliance-key-adopt.1", "countermark-man.1"] {
        assert!(files.contains(page), "no {page}: {files:?}");
    }
    assert!(!files.iter().any(|page| page.contains("answer-nothing") || page.contains("help")), "{files:?}");

    let page = |name: &str| fs::read_to_string(folder.path().join("new/man1").join(name)).expect("a page");
    assert!(!page("countermark.1").contains("nothing(1)"), "a command that is hidden is not listed either");
    // A page as a whole: what stands in it is the clap definition's, in the sections of man-pages(7).
    let purge = page("countermark-store-purge.1");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        purge.contains(&format!(".TH countermark-store-purge 1 2026-11-28 \"countermark {version}\" Countermark")),
        "{purge}"
    );
    let sections: Vec<&str> = purge.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    assert_eq!(sections, ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "NOTES", "\"SEE ALSO\""], "{purge}");
    assert!(purge.contains("JSON: {purged}."), "{purge}");
}

#[test]
fn pages_are_the_same_again_and_a_folder_that_cannot_be_written_to_is_said() {
    let folder = folder();
    let read = || fs::read(folder.path().join("man/countermark.1")).expect("a page");
    let said = run(folder.path(), &["man", "--folder", "man"]).expect(0).out;
    assert!(said.ends_with(" pages in man\n"), "{said}");
    let first = read();
    run(folder.path(), &["man", "--folder", "man"]).expect(0);
    assert_eq!(read(), first);
    fs::write(folder.path().join("file"), "").expect("written");
    let failed = run(folder.path(), &["man", "--folder", "file"]).expect(1).err;
    assert!(failed.starts_with("error[OUTPUT_FAILED]") && failed.contains("give another folder than `file`"), "{failed}");
}
