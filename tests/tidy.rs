//! Keeps the house in order by reading it: layers, names, what belongs where, what belongs nowhere.
//!
//! Every rule says what to do, and every rule is shown to fail on a small offence. A rule that is in the way is changed here, with
//! its reason; there is no way round one from the code that it is about.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The layers of the design, lowest first, each with those that it may use. The ones from `telemetry` on are the top.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("pseudonym", &["domain"]),
    ("feed", &["domain"]),
    ("store", &["domain", "feed"]),
    ("membership", &["domain", "feed", "store"]),
    ("replication", &["domain", "feed", "store", "membership"]),
    ("service", &["domain", "pseudonym", "feed", "store", "membership", "replication"]),
    ("rpc", &["domain", "pseudonym", "feed", "store", "membership", "replication", "service"]),
    ("telemetry", &["domain"]),
    ("population", &["domain"]),
    ("archive", &["domain", "feed", "store"]),
    ("alliance", &["domain", "pseudonym", "feed", "rpc"]),
    ("config", &["domain", "pseudonym", "feed", "service", "rpc", "telemetry", "alliance"]),
    ("daemon", BELOW_THE_DAEMON),
    ("cli", BELOW_THE_COMMANDS),
];
#[rustfmt::skip]
const BELOW_THE_DAEMON: &[&str] = &[
    "domain", "pseudonym", "feed", "store", "membership", "service", "replication", "rpc", "telemetry", "alliance", "config",
];
#[rustfmt::skip]
const BELOW_THE_COMMANDS: &[&str] = &[
    "domain", "pseudonym", "feed", "store", "membership", "service", "replication", "rpc", "telemetry", "alliance", "config",
    "daemon", "population", "archive",
];
/// Layers into which clock, randomness and environment are handed down.
const BELOW_THE_TOP: &[&str] = &["domain", "pseudonym", "feed", "store", "membership", "replication", "service", "rpc"];

/// Files that are long for a reason.
const LONG_FILES: &[(&str, &str)] = &[];
const LONGEST: usize = 700;

/// A file of the repository.
struct Source {
    /// From the top of the repository, with `/`.
    path: String,
    text: String,
    /// The text with what stands in comments, strings and characters blanked; lines and columns stay.
    code: String,
    /// The code without what is for tests only; empty for a file of tests.
    production: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { code_of(text) } else { String::new() };
        let production = if path.starts_with("src/") && !is_test_file(path) { without_tests(&code) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code, production }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Its layer, `None` outside of `src` and for `lib.rs` and `main.rs`.
    fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let name = inside.split('/').next()?;
        let name = name.strip_suffix(".rs").unwrap_or(name);
        (name != "lib" && name != "main").then_some(name)
    }

    fn in_layers(&self, layers: &[&str]) -> bool {
        self.layer().is_some_and(|layer| layers.contains(&layer))
    }

    fn part(&self, part: Part) -> &str {
        match part {
            Part::Text => &self.text,
            Part::Code => &self.code,
            Part::Production => &self.production,
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    /// All of it, of any file.
    Text,
    /// Rust without comments and strings.
    Code,
    /// The same without tests.
    Production,
}

fn is_test_file(path: &str) -> bool {
    let stem = path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
    matches!(stem, "tests" | "fixtures") || path.contains("/tests/") || path.starts_with("tests/")
}

/// Blanks comments and the content of literals.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => at + text[at..].find('\n').unwrap_or(text.len() - at),
            [b'/', b'*', ..] => end_of_comment(bytes, at),
            [b'r', b'"' | b'#', ..] if !is_word(bytes, at) => end_of_raw(bytes, at).unwrap_or(at),
            [b'"', ..] => end_of_quoted(bytes, at, b'"'),
            [b'\'', b'\\', ..] => end_of_quoted(bytes, at, b'\''),
            // A lifetime has no closing quote after its one character.
            [b'\'', rest @ ..] => match std::str::from_utf8(rest).ok().and_then(|rest| rest.chars().next()) {
                Some(c) if rest.get(c.len_utf8()) == Some(&b'\'') => at + 2 + c.len_utf8(),
                _ => at,
            },
            _ => at,
        };
        code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end.max(at + 1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

/// Whether the letter at `at` belongs to a longer word.
fn is_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|i| bytes[i]);
    before.is_some_and(|b| b != b'b' && b != b'c' && (b.is_ascii_alphanumeric() || b == b'_'))
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_raw(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..].iter().take_while(|b| **b == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let length = bytes[open + 1..].windows(close.len()).position(|window| window == close);
    length.map(|length| open + 1 + length + close.len())
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Blanks every item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut rest = code.to_owned();
    while let Some(start) = rest.find(ATTRIBUTE) {
        let mut depth = 0_usize;
        let end = rest[start + ATTRIBUTE.len()..].char_indices().find_map(|(i, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(start + ATTRIBUTE.len() + i + 1)
        });
        let end = end.unwrap_or(rest.len());
        let blank: String = rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        rest.replace_range(start..end, &blank);
    }
    rest
}

/// What is wrong at a place of a file.
struct Offence {
    line: usize,
    what: String,
}

fn offence(text: &str, at: usize, what: impl Into<String>) -> Offence {
    Offence { line: text[..at].matches('\n').count() + 1, what: what.into() }
}

/// Where `word` stands in `text`, not as part of a longer word.
fn find_word(text: &str, word: &str) -> Vec<usize> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let places = text.match_indices(word).map(|(at, _)| at);
    let free = |at: &usize| {
        let before = text[..*at].chars().next_back().is_some_and(is_name) && word.starts_with(is_name);
        let after = text[at + word.len()..].chars().next().is_some_and(is_name) && word.ends_with(is_name);
        !before && !after
    };
    places.filter(free).collect()
}

/// Words that have no place in a part of the repository.
struct Ban {
    words: &'static [&'static str],
    part: Part,
    applies: fn(&Source) -> bool,
    advice: &'static str,
    /// Path and text that break the rule.
    breaks: (&'static str, &'static str),
    /// The same, where it may seem to and does not.
    keeps: (&'static str, &'static str),
}

const BANS: &[Ban] = &[
    Ban {
        words: &["sled"],
        part: Part::Code,
        // The floor is what the store is measured against, and no part of it.
        applies: |s| !["src/store/engine/on_sled.rs", "src/store/floor.rs"].contains(&s.path.as_str()),
        advice: "src/store/engine/on_sled.rs alone names the database: ask the store",
        breaks: ("src/store/keys.rs", "fn key(k: sled::IVec) {}"),
        keeps: ("src/store/keys.rs", "// sled keeps it inline\nfn sledge() {}"),
    },
    Ban {
        words: &["tonic", "tonic_prost", "tonic_health", "tonic_reflection", "tonic_types"],
        part: Part::Code,
        applies: |s| s.path.starts_with("src/") && !s.in_layers(&["rpc", "daemon", "cli"]),
        advice: "gRPC ends at src/rpc, where the daemon puts its servers together, and in the command line's client: return a type \
                 of your layer",
        breaks: ("src/service/submit.rs", "fn submit() -> tonic::Status {}"),
        keeps: ("src/rpc/fault.rs", "fn fault() -> tonic::Status {}"),
    },
    Ban {
        words: &["wire::", "proto::", "rpc::proto", "feed::wire"],
        part: Part::Code,
        applies: |s| s.path.starts_with("src/") && !s.in_layers(&["rpc", "feed", "daemon", "cli"]),
        advice: "generated types end at src/rpc and src/feed: parse into a type of the domain",
        breaks: ("src/service/submit.rs", "use crate::feed::wire;"),
        keeps: ("src/cli/draft.rs", "fn draft() -> proto::Submission {}"),
    },
    Ban {
        words: &["prost", "prost_types"],
        part: Part::Code,
        applies: |s| s.path.starts_with("src/") && !s.in_layers(&["rpc", "feed", "store", "cli"]),
        advice: "messages are encoded in src/rpc, src/feed, src/store and the command line's client only",
        breaks: ("src/service/submit.rs", "use prost::Message as _;"),
        keeps: ("src/store/rows.rs", "use prost::Message;"),
    },
    Ban {
        words: &["println!", "print!", "eprintln!", "eprint!", "dbg!"],
        part: Part::Production,
        applies: |s| !s.in_layers(&["cli"]),
        advice: "src/cli prints; everything else returns what there is to say, or logs it",
        breaks: ("src/daemon.rs", "fn run() { println!(\"up\"); }"),
        keeps: ("src/daemon.rs", "fn run() {}\n#[cfg(test)]\nmod tests { fn t() { eprintln!(\"skipped\"); } }"),
    },
    Ban {
        words: &["#[ignore", "should_panic"],
        part: Part::Code,
        applies: Source::is_rust,
        advice: "a test runs, and says what it expects: mend or remove it",
        breaks: ("tests/cluster.rs", "#[ignore = \"slow\"]\n#[test]\nfn t() {}"),
        keeps: ("tests/cluster.rs", "// nothing is #[ignore]d"),
    },
    Ban {
        words: &["thread::sleep"],
        part: Part::Code,
        // The engine waits for sled's threads to let go of a file lock, of which no event tells.
        applies: |s| s.is_rust() && s.path != "src/store/engine/on_sled.rs",
        advice: "wait for an event: a sleep is too long on one machine and too short on another",
        breaks: ("tests/cluster.rs", "fn t() { std::thread::sleep(PAUSE); }"),
        keeps: ("tests/cluster.rs", "// no thread::sleep here"),
    },
    Ban {
        words: &[
            "SystemTime::now",
            "SystemRandom",
            "rand",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "Zoned::now",
        ],
        part: Part::Production,
        applies: |s| s.in_layers(BELOW_THE_TOP),
        advice: "clock, randomness and environment enter at the top: take a domain::Clock, a domain::Entropy or a value",
        breaks: ("src/store/writer.rs", "fn now() -> SystemTime { SystemTime::now() }"),
        keeps: (
            "src/store/writer.rs",
            "#[cfg(test)]\nfn now() -> SystemTime { SystemTime::now() }\nuse std::time::SystemTime;",
        ),
    },
    Ban {
        words: &["Instant::now"],
        part: Part::Production,
        applies: |s| s.in_layers(BELOW_THE_TOP) && !s.in_layers(&["rpc", "replication"]),
        advice: "take a domain::Clock; only the layers that wait for the network measure time, with tokio's",
        breaks: ("src/service/screen.rs", "fn start() -> Instant { Instant::now() }"),
        keeps: ("src/rpc/acceptor.rs", "use tokio::time::Instant;\nfn start() -> Instant { Instant::now() }"),
    },
    Ban {
        words: &[".unwrap()"],
        part: Part::Production,
        applies: Source::is_rust,
        advice: "return the error, or `expect` with the reason why there is none",
        breaks: ("src/feed/hash.rs", "fn f(h: Option<u8>) -> u8 { h.unwrap() }"),
        keeps: (
            "src/feed/hash.rs",
            "fn f(h: Option<u8>) -> u8 { h.unwrap_or(0) }\n#[cfg(test)]\nmod tests { fn g() { f().unwrap(); } }",
        ),
    },
    Ban {
        words: &["todo!", "unimplemented!"],
        part: Part::Code,
        applies: Source::is_rust,
        advice: "do it, or leave it out",
        breaks: ("src/feed/hash.rs", "fn f() { todo!() }"),
        keeps: ("src/feed/hash.rs", "fn f() {} // not todo!"),
    },
    Ban {
        words: &[concat!("FIX", "ME"), concat!("TO", "DO"), concat!("// ", "XXX")],
        part: Part::Text,
        applies: |s| s.path != "Cargo.lock",
        advice: "do it now, or write an issue or a failing test: a reminder in the text is read by nobody",
        breaks: ("build.rs", concat!("// TO", "DO: later")),
        keeps: ("src/pseudonym/bank.rs", "/// A BIC that ends in `XXX`."),
    },
    Ban {
        words: &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/tmp/", "wt")],
        part: Part::Text,
        applies: |_| true,
        advice: "a path of one machine: name it relative to the repository, or as a placeholder",
        breaks: ("README.md", concat!("cd /ho", "me/me/countermark")),
        keeps: ("README.md", "cd ~/countermark"),
    },
];

/// A rule that is more than a word.
struct Rule {
    check: fn(&Source) -> Vec<Offence>,
    breaks: &'static [(&'static str, &'static str)],
    keeps: &'static [(&'static str, &'static str)],
}

const RULES: &[Rule] = &[
    Rule {
        check: imports_point_down,
        breaks: &[
            ("src/store/mod.rs", "use crate::rpc::tls;"),
            ("src/feed/mod.rs", "use crate::{domain::Seq, store::{Store, error}};"),
            ("src/feed/entry.rs", "fn f() -> super::super::service::Answer {}"),
            ("src/config/mod.rs", "use crate::cli::Cli;"),
            ("src/gossip/mod.rs", "use crate::domain::Seq;"),
        ],
        keeps: &[
            ("src/store/mod.rs", "use crate::{domain::Seq, feed::{Entry, service}, store::keys};"),
            ("src/feed/view/tests.rs", "use super::super::entry;\n// crate::store is above"),
            ("src/pseudonym/url.rs", "use super::domain;"),
            ("src/rpc/mod.rs", "use crate::service::Answer;"),
        ],
    },
    Rule {
        check: the_edge_holds_no_store,
        breaks: &[
            ("src/rpc/rows.rs", "use crate::store::Store;"),
            ("src/rpc/rows.rs", "use crate::store::{FreshnessRecord, Append};"),
        ],
        keeps: &[(
            "src/rpc/fault.rs",
            "use crate::store::{FreshnessRecord, StoreError};\nfn f() -> Fault { SubmitError::Store }",
        )],
    },
    Rule {
        check: network_time_is_tokios,
        breaks: &[
            ("src/rpc/acceptor.rs", "use std::time::{Duration, Instant};"),
            ("src/replication/follow.rs", "fn f(at: std::time::Instant) {}"),
        ],
        keeps: &[("src/rpc/acceptor.rs", "use std::time::Duration;\nuse tokio::time::Instant;")],
    },
    Rule {
        check: ports_are_free_ones,
        breaks: &[("tests/cluster.rs", "TcpListener::bind(\"127.0.0.1:7400\")"), ("src/rpc/tests.rs", "bind(\"[::1]:80\")")],
        keeps: &[
            ("tests/cluster.rs", "TcpListener::bind(\"127.0.0.1:0\")"),
            ("src/daemon.rs", "bind(\"peers.listen\", address)"),
        ],
    },
    Rule {
        check: modules_say_what_they_are,
        breaks: &[("src/store/util.rs", ""), ("src/common/mod.rs", ""), ("tests/helpers/mod.rs", "")],
        keeps: &[("src/store/rows.rs", "")],
    },
    Rule { check: files_are_of_readable_length, breaks: &[], keeps: &[("src/store/rows.rs", "fn f() {}")] },
    Rule {
        check: dependencies_have_reasons,
        breaks: &[
            ("Cargo.toml", "[dependencies]\nserde = \"1\"\n"),
            ("Cargo.toml", "[dev-dependencies]\nserde = { version = \"1\", features = [\"derive\"] } #\n"),
            ("Cargo.toml", "[dependencies.serde]\nversion = \"1\"\n"),
        ],
        keeps: &[(
            "Cargo.toml",
            "[package]\nname = \"x\"\n[dependencies]\nserde = \"1\" # configuration\n[profile.dev]\nopt-level = 1",
        )],
    },
    Rule {
        check: roots_forbid_unsafe_code,
        breaks: &[("src/main.rs", "// #![forbid(unsafe_code)]\nfn main() {}"), ("src/lib.rs", "pub mod domain;")],
        keeps: &[("src/lib.rs", "//! House.\n#![forbid(unsafe_code)]")],
    },
];

fn allowed(layer: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == layer).map(|(_, allowed)| *allowed)
}

fn imports_point_down(source: &Source) -> Vec<Offence> {
    let Some(layer) = source.layer().filter(|_| source.is_rust()) else { return Vec::new() };
    let Some(below) = allowed(layer) else {
        return vec![offence("", 0, format!("`{layer}` is in no layer: give it its place in LAYERS, and in the design"))];
    };
    let used = paths_from_root(source).into_iter();
    let upward = used.filter(|(_, to)| to != layer && allowed(to).is_some() && !below.contains(&to.as_str()));
    upward.map(|(at, to)| offence(&source.code, at, format!("`{layer}` knows nothing of `{to}`: imports point down"))).collect()
}

/// What follows `crate::`, or as many `super::` as lead there: where, and the first name of each path.
fn paths_from_root(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let climb = "super::".repeat(inside.split('/').count());
    let mut found = Vec::new();
    for root in ["crate::", climb.as_str()] {
        for at in find_word(code, root) {
            let rest = code[at + root.len()..].trim_start_matches("super::");
            found.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    found
}

/// The first name of the path that `text` begins with; of each path, where it begins with a group.
fn first_names(text: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut depth = 0_usize;
    let mut names = vec![name(group)];
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

fn the_edge_holds_no_store(source: &Source) -> Vec<Offence> {
    const ROOT: &str = "crate::store::";
    const ACTING: &[&str] = &["Store", "Options", "Append", "Import", "EngineError"];
    if !source.in_layers(&["rpc"]) {
        return Vec::new();
    }
    let acts =
        |at: &usize| first_names(&source.production[at + ROOT.len()..]).iter().any(|name| ACTING.contains(&name.as_str()));
    let used = find_word(&source.production, ROOT).into_iter().filter(acts);
    let advice = "the edge may name records and errors of the store; what acts on it belongs into a service";
    used.map(|at| offence(&source.production, at, advice)).collect()
}

fn network_time_is_tokios(source: &Source) -> Vec<Offence> {
    if !source.in_layers(&["rpc", "replication"]) {
        return Vec::new();
    }
    let used = find_word(&source.production, "std::time::").into_iter().filter(|at| {
        let rest = &source.production[at + "std::time::".len()..];
        let path = rest.split(';').next().unwrap_or_default();
        if path.starts_with('{') { !find_word(path, "Instant").is_empty() } else { first_names(path) == ["Instant"] }
    });
    let advice = "use tokio::time::Instant, which a test can stop";
    used.map(|at| offence(&source.production, at, advice)).collect()
}

fn ports_are_free_ones(source: &Source) -> Vec<Offence> {
    let bound = find_word(&source.text, "bind(\"").into_iter().filter(|at| {
        let address = source.text[at + "bind(\"".len()..].split('"').next().unwrap_or_default();
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        source.is_rust() && source.path != "tests/tidy.rs" && port.is_some_and(|port| port != 0)
    });
    bound
        .map(|at| offence(&source.text, at, "bind port 0 and ask which it became: two runs at once must not collide"))
        .collect()
}

fn modules_say_what_they_are(source: &Source) -> Vec<Offence> {
    const SAY_NOTHING: &[&str] = &["util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "stuff"];
    let names = source.path.split('/').map(|name| name.trim_end_matches(".rs"));
    let advice =
        |name| format!("`{name}` says nothing: name the module for what it is about, or put each part where it is used");
    names.filter(|name| source.is_rust() && SAY_NOTHING.contains(name)).map(|name| offence("", 0, advice(name))).collect()
}

fn files_are_of_readable_length(source: &Source) -> Vec<Offence> {
    let lines = source.text.lines().count();
    let reasoned = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    if !source.is_rust() || lines <= LONGEST || reasoned {
        return Vec::new();
    }
    let what = format!("{lines} lines: divide it at a seam, or give the reason in LONG_FILES");
    vec![Offence { line: LONGEST + 1, what }]
}

fn dependencies_have_reasons(source: &Source) -> Vec<Offence> {
    if source.path != "Cargo.toml" {
        return Vec::new();
    }
    let mut offences = Vec::new();
    let mut of_dependencies = false;
    for (number, line) in source.text.lines().enumerate() {
        let header = line.trim();
        if header.starts_with('[') {
            of_dependencies = header.ends_with("dependencies]");
            if header.contains("dependencies.") {
                offences.push(Offence { line: number + 1, what: "write a dependency on one line, with its reason".into() });
            }
        }
        let reason = line.rsplit_once('#').map_or("", |(_, reason)| reason.trim());
        if of_dependencies && line.contains('=') && !line.starts_with('#') && reason.len() < 4 {
            offences.push(Offence { line: number + 1, what: "say behind a # what this dependency is for".into() });
        }
    }
    offences
}

fn roots_forbid_unsafe_code(source: &Source) -> Vec<Offence> {
    let root = matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs");
    if !root || source.code.contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![offence("", 0, "begin with #![forbid(unsafe_code)]")]
}

fn all_offences(source: &Source) -> Vec<String> {
    let banned = BANS.iter().flat_map(|ban| broken(ban, source));
    let ruled = RULES.iter().flat_map(|rule| (rule.check)(source));
    banned.chain(ruled).map(|offence| format!("{}:{}: {}", source.path, offence.line, offence.what)).collect()
}

fn broken(ban: &Ban, source: &Source) -> Vec<Offence> {
    if !(ban.applies)(source) {
        return Vec::new();
    }
    let text = source.part(ban.part);
    let places = ban.words.iter().flat_map(|word| find_word(text, word).into_iter().map(move |at| (at, word)));
    places.map(|(at, word)| offence(text, at, format!("`{word}`: {}", ban.advice))).collect()
}

/// Every text file of the repository: none that is built, and of what is hidden the files at the top and the checks only.
fn repository() -> Vec<Source> {
    let mut sources = Vec::new();
    read_folder(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut sources);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the repository was read");
    sources
}

fn read_folder(folder: &Path, within: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = format!("{within}{name}");
        let kind = entry.file_type().expect("a kind");
        let hidden = name.starts_with('.') && name != ".ci";
        if kind.is_dir() && !hidden && path != "target" {
            read_folder(&entry.path(), &format!("{path}/"), sources);
        } else if kind.is_file() && name != ".git" {
            let text = String::from_utf8(fs::read(entry.path()).expect("readable"));
            sources.extend(text.ok().map(|text| Source::new(&path, &text)));
        }
    }
}

#[test]
fn the_house_is_in_order() {
    let offences: Vec<String> = repository().iter().flat_map(all_offences).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn every_rule_can_fail_and_knows_what_is_allowed() {
    let source = |(path, text): &(&str, &str)| Source::new(path, text);
    for ban in BANS {
        assert!(!broken(ban, &source(&ban.breaks)).is_empty(), "passes: {:?}", ban.breaks);
        assert!(broken(ban, &source(&ban.keeps)).is_empty(), "is refused: {:?}", ban.keeps);
    }
    for rule in RULES {
        for breaks in rule.breaks {
            assert!(!(rule.check)(&source(breaks)).is_empty(), "passes: {breaks:?}");
        }
        for keeps in rule.keeps {
            let offences: Vec<String> = (rule.check)(&source(keeps)).into_iter().map(|offence| offence.what).collect();
            assert!(offences.is_empty(), "is refused: {keeps:?}: {offences:?}");
        }
    }
    let long = Source::new("src/store/rows.rs", &"//\n".repeat(LONGEST + 1));
    assert_eq!(files_are_of_readable_length(&long)[0].line, LONGEST + 1);
}

#[test]
fn a_layer_uses_those_below_it_only() {
    for (index, (layer, below)) in LAYERS.iter().enumerate() {
        for used in *below {
            assert!(LAYERS[..index].iter().any(|(name, _)| name == used), "`{layer}` stands below `{used}`");
        }
    }
    for (path, reason) in LONG_FILES {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists() && !reason.is_empty(), "{path}");
    }
}

#[test]
fn code_is_told_from_what_only_looks_like_it() {
    let kept = |text: &str| code_of(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(kept("a /* b /* c */ d */ e // f\ng"), "a e g");
    assert_eq!(kept(r##"a("b\"c", r#"d"e"#, br"f", 'g', '\'', b'h') 'i: loop"##), "a( , , b , , , b ) 'i: loop");
    assert_eq!(kept("for x in 'a'..='ü' {}"), "for x in ..= {}");
    assert_eq!(code_of("\"ä\nb\" c").lines().count(), 2);
    let tests = "a;\n#[cfg(test)]\nmod tests {\n fn f() { b }\n}\nc;\n#[cfg(test)]\nmod more;\nd";
    assert_eq!(without_tests(tests).split_whitespace().collect::<Vec<_>>(), ["a;", "c;", "d"]);
    assert_eq!(without_tests(tests).lines().count(), tests.lines().count());
}

/// The command lines of `countermark` in the fences of a page, each by the words before its first argument.
fn commands_in(page: &str) -> Vec<Vec<&str>> {
    let mut fenced = false;
    let mut commands = Vec::new();
    for line in page.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let line = line.trim_start().trim_start_matches("$ ");
        if let Some(rest) = line.strip_prefix("countermark ").filter(|_| fenced) {
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
            commands.push(rest.split_whitespace().take_while(is_word).take(2).collect());
        }
    }
    commands
}

#[test]
fn the_readme_names_commands_that_exist() {
    let page =
        "text\n```sh\n$ countermark check --kind domain x.example\ncountermark alliance init a.example\n```\ncountermark no";
    assert_eq!(commands_in(page), [vec!["check"], vec!["alliance", "init"]]);

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let Ok(page) = fs::read_to_string(readme) else { return };
    for words in commands_in(&page) {
        let output = Command::new(env!("CARGO_BIN_EXE_countermark")).args(&words).arg("--help").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "README.md: `countermark {}`: {said}", words.join(" "));
    }
}
