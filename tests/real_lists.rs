//! Eight members submit eight public lists as their maintainers publish them, dirt included, and a ninth that saw none of them
//! finds who flagged what. The lists are real input that nobody here wrote; where they are absent, this says so and passes.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cluster::{Alliance, Client, eventually, identifier};
use countermark::cli::input::{Defaults, Field, Layout, LinesOptions, Purpose, Rows, Source};
use countermark::domain::{IdentifierKind, MemberKind};
use countermark::rpc::proto::{self, IdentifierKind as Kind};
use futures_util::StreamExt as _;

/// Member, file, and the tag of its lines where a file holds several members' lists.
const LISTS: [(&str, &str, Option<&str>); 8] = [
    ("tw165", "tw_scam_sites.txt.gz", Some("165jtz")),
    ("twnic", "tw_scam_sites.txt.gz", Some("TWNICscams")),
    ("cffc", "tw_scam_sites.txt.gz", Some("cffc")),
    ("gaso", "gaso.txt.gz", None),
    ("durable", "durablenapkin_raw.txt.gz", None),
    ("shadow", "shadowwhisperer.txt.gz", None),
    ("exoego", "exoego.txt.gz", None),
    ("infinity", "infinitytec.txt.gz", None),
];
const OBSERVER: &str = "observer";

/// Domains of the golden answers that are nobody's identity, because many sellers stand behind them.
const SHARED: [&str; 10] = [
    "business.site",
    "company.site",
    "godaddysites.com",
    "jimdosite.com",
    "mystrikingly.com",
    "onshopbase.com",
    "otzo.com",
    "tumblr.com",
    "weebly.com",
    "wordpress.com",
];

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/lists");
    let found = beside.is_dir().then_some(beside);
    if found.is_none() {
        println!("skipped: the real lists are not here");
    }
    found
}

/// Every data row of a list, good or bad.
fn rows(path: &Path, tag: Option<&str>, kind: IdentifierKind) -> Rows {
    let mut options = LinesOptions::of(kind);
    options.only_tag = tag.map(str::to_owned);
    if kind == IdentifierKind::MessagingAccount {
        (options.strip_prefix, options.scheme) = (Some("line-page:".into()), Some("line".into()));
    }
    let mut defaults = Defaults::default();
    for (field, text) in [(Field::Audience, "all"), (Field::Infringement, "other"), (Field::Evidence, "volunteer_surveillance")]
    {
        defaults.set(field, text).expect("a good default");
    }
    let source = Source::open(path).expect("opens");
    Rows::new(source, Layout::Lines(options), Purpose::Submit, defaults).expect("reads")
}

fn unzip(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("opens");
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).expect("reads");
    text
}

async fn nine() -> (Alliance, Vec<countermark::daemon::Node>, BTreeMap<&'static str, Client>) {
    let names: Vec<_> = LISTS.iter().map(|(member, ..)| *member).chain([OBSERVER]).collect();
    let members: Vec<_> = names.iter().map(|member| (*member, MemberKind::Brand)).collect();
    let (alliance, sockets) = Alliance::new(&members).await;
    let nodes = alliance.start_all(sockets).await.into_values().collect();
    let mut clients = BTreeMap::new();
    for name in names {
        clients.insert(name, alliance.client(name).await);
    }
    (alliance, nodes, clients)
}

/// Waits until every node holds of every feed what its own member holds.
async fn level(clients: &BTreeMap<&'static str, Client>) {
    let mut sizes = Vec::new();
    for (member, client) in clients {
        sizes.push((*member, client.clone().size(member, "all").await));
    }
    for client in clients.values() {
        eventually("every feed arrives everywhere", || {
            let (mut client, sizes) = (client.clone(), sizes.clone());
            async move {
                let feeds = client.status().await.freshness.expect("freshness").feeds;
                sizes.iter().all(|(m, size)| feeds.iter().any(|f| f.member == *m && f.size == *size))
            }
        })
        .await;
    }
}

async fn assert_same_digest(clients: &BTreeMap<&'static str, Client>) {
    let mut digests = BTreeSet::new();
    for client in clients.values() {
        digests.insert(client.clone().status().await.view_digest);
    }
    assert_eq!(digests.len(), 1, "all nodes derive the same");
}

/// Who flags each of `domains`, as `client`'s node sees it; `None` for a domain that is refused.
async fn flagged_by(client: &mut Client, domains: &[String]) -> BTreeMap<String, Option<BTreeSet<String>>> {
    let asked = domains.iter().map(|domain| vec![identifier(Kind::Domain, domain)]).collect();
    let answers = client.check_all(asked).await;
    assert_eq!(answers.len(), domains.len());
    let members = |answer: proto::CheckAnswer| {
        let matches = answer.elsewhere.into_iter().chain(answer.own);
        matches.filter(|m| m.counts).map(|m| m.member).collect()
    };
    domains.iter().cloned().zip(answers.into_iter().map(|answer| answer.ok().map(members))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_real_lists_give_the_right_answers_at_a_node_that_saw_none() {
    let Some(data) = data() else { return };
    let (_alliance, _nodes, clients) = nine().await;
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for (member, file, tag) in LISTS {
        let mut rows = rows(&data.join(file), tag, IdentifierKind::Domain);
        let read: Vec<_> = rows.by_ref().map(|row| row.expect("readable").result).collect();
        let totals = rows.totals();
        assert_eq!(totals.lines, totals.rows + totals.skipped + totals.continued, "{member}: a line was lost");
        assert_eq!(totals.rows, read.len() as u64);
        let (good, bad): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
        let good: Vec<_> = good.into_iter().flatten().collect();
        bad.into_iter().filter_map(Result::err).for_each(|e| *refused.entry(e.code.to_owned()).or_default() += 1);
        let sent = good.len();
        let results = clients[member].clone().submit_all(good).await;
        assert_eq!(results.len(), sent, "{member}: a row got no answer");
        results.into_iter().filter_map(Result::err).for_each(|e| {
            assert!(!e.retryable && !e.message.is_empty(), "{member}: {e:?}");
            *refused.entry(e.code).or_default() += 1;
        });
    }
    println!("refused rows by reason: {refused:?}");
    level(&clients).await;
    assert_same_digest(&clients).await;

    let golden = std::fs::read_to_string(data.join("golden_flagged_elsewhere.csv")).expect("reads");
    let golden: BTreeMap<String, BTreeSet<String>> = golden
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .map(|(domain, members)| (domain.to_owned(), members.split('|').map(str::to_owned).collect()))
        .collect();
    let mut observer = clients[OBSERVER].clone();
    let domains: Vec<String> = golden.keys().cloned().collect();
    let answers = flagged_by(&mut observer, &domains).await;
    let shared: Vec<&str> = answers.iter().filter(|(_, a)| a.is_none()).map(|(domain, _)| domain.as_str()).collect();
    assert_eq!(shared, SHARED, "shared hosts are refused as a seller's identity, and nothing else is");
    for (domain, members) in &answers {
        let Some(members) = members else { continue };
        assert_eq!(members, &golden[domain], "{domain}");
    }
    // Everything else that any list holds is flagged by one member only.
    let mut others = BTreeSet::new();
    for (_, file, tag) in LISTS {
        for row in rows(&data.join(file), tag, IdentifierKind::Domain) {
            let Ok(submission) = row.expect("readable").result else { continue };
            others.extend(submission.identifiers.into_iter().map(|i| i.value));
        }
    }
    let others: Vec<String> = others.into_iter().collect();
    for (written, members) in flagged_by(&mut observer, &others).await {
        let Some(members) = members else { continue };
        assert!(!members.is_empty(), "what was submitted is found");
        assert!(members.len() == 1 || golden.values().any(|golden| *golden == members), "{written}: {members:?}");
    }
    resubmission_changes_nothing(&data, &clients).await;
    line_accounts(&data, &clients).await;
}

async fn resubmission_changes_nothing(data: &Path, clients: &BTreeMap<&'static str, Client>) {
    let mut exoego = clients["exoego"].clone();
    let before = exoego.size("exoego", "all").await;
    let rows = rows(&data.join("exoego.txt.gz"), None, IdentifierKind::Domain);
    let again = rows.filter_map(|row| row.expect("readable").result.ok()).collect();
    assert!(exoego.submit_all(again).await.into_iter().flatten().all(|receipt| !receipt.created));
    assert_eq!(exoego.size("exoego", "all").await, before);
}

/// Identifiers that are no domains: the accounts of a messenger that a police force publishes.
async fn line_accounts(data: &Path, clients: &BTreeMap<&'static str, Client>) {
    let file = data.join("tw_165_line_ids.txt.gz");
    let read: Vec<_> = rows(&file, None, IdentifierKind::MessagingAccount).map(|row| row.expect("readable").result).collect();
    let good: Vec<_> = read.into_iter().flatten().collect();
    let accounts: Vec<_> = good.iter().map(|row| row.identifiers.clone()).collect();
    let taken: Vec<bool> = clients["tw165"].clone().submit_all(good).await.iter().map(Result::is_ok).collect();
    assert!(taken.iter().filter(|taken| **taken).count() > 2_200, "LINE ids are messaging accounts");
    level(clients).await;
    let answers = clients[OBSERVER].clone().check_all(accounts).await;
    for (answer, taken) in answers.into_iter().zip(taken) {
        assert_eq!(answer.ok().map(|a| a.members_elsewhere), taken.then_some(1));
    }
}

/// One event of a list's history.
struct Event {
    at: String,
    add: bool,
    domain: String,
}

fn timeline(path: &Path, tag: Option<&str>) -> Vec<Event> {
    let text = unzip(path);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.records().map(|r| r.expect("a record"));
    let of_tag = records.filter(|r| tag.is_none_or(|tag| &r[3] == tag));
    of_tag.map(|r| Event { at: r[0].to_owned(), add: &r[1] == "add", domain: r[2].to_owned() }).collect()
}

const TIMELINES: [(&str, &str, Option<&str>); 5] = [
    ("gaso", "gaso.timeline.csv.gz", None),
    ("durable", "durablenapkin.timeline.csv.gz", None),
    ("shadow", "shadowwhisperer.timeline.csv.gz", None),
    ("exoego", "exoego.timeline.csv.gz", None),
    ("infinity", "infinitytec.timeline.csv.gz", None),
];

/// How many events of a history are replayed: all of the small ones, and enough of the largest to include its accidents.
const MAX_EVENTS: usize = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn histories_of_additions_and_removals_end_in_the_same_state_at_every_node() {
    let Some(data) = data() else { return };
    let (_alliance, _nodes, clients) = nine().await;
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (member, file, tag) in TIMELINES {
        let mut events = timeline(&data.join(file), tag);
        events.drain(..events.len().saturating_sub(MAX_EVENTS));
        let live = replay(&mut clients[member].clone(), &events).await;
        events.into_iter().for_each(|event| {
            expected.entry(event.domain).or_default();
        });
        live.into_iter().for_each(|domain| {
            expected.entry(domain).or_default().insert(member.to_owned());
        });
    }
    level(&clients).await;
    assert_same_digest(&clients).await;
    let domains: Vec<String> = expected.keys().cloned().collect();
    for asker in [OBSERVER, "gaso", "cffc"] {
        for (domain, members) in flagged_by(&mut clients[asker].clone(), &domains).await {
            if let Some(members) = members {
                assert_eq!(members, expected[&domain], "{domain} as {asker} sees it");
            }
        }
    }
}

/// Replays events in order: runs of additions on one stream, runs of removals as calls side by side. Gives what is live.
async fn replay(client: &mut Client, events: &[Event]) -> BTreeSet<String> {
    let mut live: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for run in events.chunk_by(|a, b| a.add == b.add) {
        if run[0].add {
            let id = |event: &Event| format!("{}@{}", event.domain, event.at);
            let row = |event: &Event| proto::Submission {
                submission_id: id(event),
                ..cluster::submission("all", vec![identifier(Kind::Domain, &event.domain)])
            };
            let results = client.submit_all(run.iter().map(row).collect()).await;
            for (event, result) in run.iter().zip(results) {
                if let Ok(receipt) = result {
                    live.entry(&event.domain).or_default().push(receipt.signal);
                }
            }
        } else {
            let gone: Vec<String> = run.iter().filter_map(|event| live.remove(event.domain.as_str())).flatten().collect();
            retract(client, gone).await;
        }
    }
    live.into_keys().map(str::to_owned).collect()
}

async fn retract(client: &Client, signals: Vec<String>) {
    let retract = |signal: String| {
        let mut client = client.clone();
        async move {
            let request = proto::RetractSignalRequest {
                target: Some(proto::retract_signal_request::Target::Signal(signal)),
                audience: String::new(),
                reason: proto::RetractionReason::SourceWithdrew.into(),
            };
            client.signals.retract_signal(request).await.expect("withdrawn")
        }
    };
    let withdrawn: Vec<_> = futures_util::stream::iter(signals).map(retract).buffer_unordered(128).collect().await;
    assert!(withdrawn.iter().all(|response| response.get_ref().newly_withdrawn || !response.get_ref().signal.is_empty()));
}
