//! Eight members submit eight public lists as their maintainers publish them, dirt included, and a ninth that saw none of them
//! finds who flagged what. The lists are real input that nobody here wrote; where they are absent, this says so and passes.

mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cluster::{Alliance, Client, eventually, identifier};
use countermark::cli::input::{Defaults, Field, Layout, LinesOptions, Purpose, Rows, Source};
use countermark::domain::{Identifier, IdentifierKind, MemberKind};
use countermark::pseudonym::Canonicaliser;
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

/// Rows, and lines that are no data, of each list.
const LINES: [(&str, (u64, u64)); 8] = [
    ("tw165", (26_550, 3_653)),
    ("twnic", (882, 29_321)),
    ("cffc", (2_754, 27_449)),
    ("gaso", (11_221, 0)),
    ("durable", (14_952, 2)),
    ("shadow", (7_307, 0)),
    ("exoego", (3_179, 0)),
    ("infinity", (4_930, 24)),
];

/// Rows of all lists that are refused, by code. Among them are stores below hosts of many tenants that the Public Suffix List
/// does not part: one below ecplaza.net, and two below itch.io.
const REFUSED: &[(&str, u64)] = &[
    ("DOMAIN_IS_ADDRESS", 2),
    ("DOMAIN_IS_PLATFORM", 16),
    ("DOMAIN_IS_PUBLIC_SUFFIX", 12),
    ("DOMAIN_IS_SHARED_HOST", 183),
    ("IDENTIFIER_INVALID", 62),
];

/// Domains of all histories that are refused, by code. The hosts of many tenants ecplaza.net, itch.io, spreadshirt.com and
/// zyrosite.com are among them.
const REFUSED_OF_HISTORIES: &[(&str, u64)] = &[("DOMAIN_IS_PLATFORM", 20), ("DOMAIN_IS_SHARED_HOST", 38)];

/// Domains of the golden answers that are nobody's identity, because many sellers stand behind them; and the
/// code of their refusal.
const SHARED: [(&str, &str); 10] = [
    ("business.site", "DOMAIN_IS_SHARED_HOST"),
    ("company.site", "DOMAIN_IS_SHARED_HOST"),
    ("godaddysites.com", "DOMAIN_IS_SHARED_HOST"),
    ("jimdosite.com", "DOMAIN_IS_SHARED_HOST"),
    ("mystrikingly.com", "DOMAIN_IS_SHARED_HOST"),
    ("onshopbase.com", "DOMAIN_IS_SHARED_HOST"),
    ("otzo.com", "DOMAIN_IS_SHARED_HOST"),
    ("tumblr.com", "DOMAIN_IS_PLATFORM"),
    ("weebly.com", "DOMAIN_IS_SHARED_HOST"),
    ("wordpress.com", "DOMAIN_IS_SHARED_HOST"),
];

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/lists");
    let found = beside.is_dir().then_some(beside);
    if found.is_none() {
        writeln!(std::io::stderr(), "skipped: the real lists are not here").expect("standard error is open");
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

/// Waits until every node derives the same, that is, holds all that any member's own node has acknowledged.
async fn level(clients: &BTreeMap<&'static str, Client>) {
    eventually("every feed arrives everywhere", || async {
        let mut digests = BTreeSet::new();
        for client in clients.values() {
            digests.insert(client.clone().status().await.view_digest);
        }
        digests.len() == 1
    })
    .await;
}

/// Who flags each of `domains`, as `client`'s node sees it; the code of its refusal for one that is refused.
async fn flagged_by(client: &mut Client, domains: &[String]) -> BTreeMap<String, Result<BTreeSet<String>, String>> {
    let asked = domains.iter().map(|domain| vec![identifier(Kind::Domain, domain)]).collect();
    let answers = client.check_all(asked).await;
    assert_eq!(answers.len(), domains.len());
    let members = |answer: proto::CheckAnswer| {
        let matches = answer.elsewhere.into_iter().chain(answer.own);
        matches.filter(|m| m.counts).map(|m| m.member).collect()
    };
    domains.iter().cloned().zip(answers.into_iter().map(|answer| answer.map(members).map_err(|e| e.code))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_real_lists_give_the_right_answers_at_a_node_that_saw_none() {
    let Some(data) = data() else { return };
    let (alliance, _nodes, clients) = nine().await;
    let mut tally = Tally::default();
    for (member, file, tag) in LISTS {
        tally.submit(member, rows(&data.join(file), tag, IdentifierKind::Domain), &clients).await;
    }
    tally.assert_nothing_is_lost();
    level(&clients).await;

    let golden = golden(&data);
    let mut observer = clients[OBSERVER].clone();
    let domains: Vec<String> = golden.keys().cloned().collect();
    let answers = flagged_by(&mut observer, &domains).await;
    let shared: Vec<_> = answers.iter().filter_map(|(domain, a)| Some((domain.as_str(), a.as_ref().err()?.as_str()))).collect();
    assert_eq!(shared, SHARED, "and nothing else is refused");
    for (domain, members) in &answers {
        let Ok(members) = members else { continue };
        assert_eq!(members, &golden[domain], "{domain}");
    }
    // Asked as it is written in a list, with its host names, wildcards and paths, a domain is flagged by the members of its
    // registrable domain, and by more than one only where the golden answers say so.
    let canonicaliser = Canonicaliser::new(&alliance.roster).expect("a good roster");
    let written: Vec<String> = tally.written.keys().cloned().collect();
    let mut by_one = 0;
    for (written, answer) in flagged_by(&mut observer, &written).await {
        let Ok(members) = answer else { continue };
        let domain = registrable(&canonicaliser, &written);
        match golden.get(&domain) {
            Some(golden) => assert_eq!(&members, golden, "{domain}"),
            None => {
                by_one += 1;
                assert_eq!(members, tally.written[&written], "{domain}");
                assert_eq!(members.len(), 1, "{domain}");
            }
        }
    }
    assert!(by_one > 30_000, "{by_one} domains of one member alone");
    resubmission_changes_nothing(&data, &clients).await;
    line_accounts(&data, &clients).await;
}

/// What became of every line of every list.
#[derive(Default)]
struct Tally {
    /// Rows and skipped lines of each member's list.
    lines: BTreeMap<&'static str, (u64, u64)>,
    /// Rows that were refused, by code.
    refused: BTreeMap<String, u64>,
    /// Who wrote what.
    written: BTreeMap<String, BTreeSet<String>>,
}

impl Tally {
    /// Submits a whole list as `member`.
    async fn submit(&mut self, member: &'static str, mut rows: Rows, clients: &BTreeMap<&'static str, Client>) {
        let read: Vec<_> = rows.by_ref().map(|row| row.expect("readable").result).collect();
        let totals = rows.totals();
        assert_eq!(totals.lines, totals.rows + totals.skipped + totals.continued, "{member}: a line was lost");
        assert_eq!(totals.rows, read.len() as u64);
        self.lines.insert(member, (totals.rows, totals.skipped));
        let (good, bad): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
        bad.into_iter().filter_map(Result::err).for_each(|e| self.refuse(e.code));
        let good: Vec<_> = good.into_iter().flatten().collect();
        for identifier in good.iter().flat_map(|row| &row.identifiers) {
            self.written.entry(identifier.value.clone()).or_default().insert(member.to_owned());
        }
        let sent = good.len();
        let results = clients[member].clone().submit_all(good).await;
        assert_eq!(results.len(), sent, "{member}: a row got no answer");
        for error in results.into_iter().filter_map(Result::err) {
            assert!(!error.retryable && !error.message.is_empty(), "{member}: {error:?}");
            self.refuse(&error.code);
        }
    }

    fn refuse(&mut self, code: &str) {
        *self.refused.entry(code.to_owned()).or_default() += 1;
    }

    /// Every line is a row or no data, and every row is taken or refused for a reason: the numbers are those of the lists.
    fn assert_nothing_is_lost(&self) {
        assert_eq!(self.lines, BTreeMap::from(LINES));
        let refused: Vec<_> = self.refused.iter().map(|(code, count)| (code.as_str(), *count)).collect();
        assert_eq!(refused, REFUSED);
    }
}

/// The answers that were worked out from the lists without this program.
fn golden(data: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let golden = std::fs::read_to_string(data.join("golden_flagged_elsewhere.csv")).expect("reads");
    let lines = golden.lines().skip(1).filter_map(|line| line.split_once(','));
    lines.map(|(domain, members)| (domain.to_owned(), members.split('|').map(str::to_owned).collect())).collect()
}

fn registrable(canonicaliser: &Canonicaliser, written: &str) -> String {
    let identifier = Identifier { kind: IdentifierKind::Domain, value: written.to_owned(), region: String::new() };
    let form = canonicaliser.canonical(&identifier).expect("it was taken before");
    String::from_utf8(form.as_bytes().to_vec()).expect("text")
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
    tag: String,
}

/// A list's history: its members with the tags of their events, and how many domains each has in the end.
type History = (&'static str, &'static [(&'static str, &'static [&'static str], usize)]);

/// Before the list of three members had tags, all of its lines were one member's.
const HISTORIES: [History; 6] = [
    ("tw_scam_sites", &[("tw165", &["165jtz"], 25_675), ("twnic", &["TWNICscams"], 868), ("cffc", &["", "cffc"], 2_693)]),
    ("gaso", &[("gaso", &[""], 10_926)]),
    ("durablenapkin", &[("durable", &[""], 927)]),
    ("shadowwhisperer", &[("shadow", &[""], 7_260)]),
    ("exoego", &[("exoego", &[""], 3_109)]),
    ("infinitytec", &[("infinity", &[""], 4_848)]),
];

fn events(path: &Path, tags: &[&str]) -> Vec<Event> {
    let text = unzip(path);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let records = reader.records().map(|r| r.expect("a record")).filter(|r| tags.contains(&&r[3]));
    let event = |r: csv::StringRecord| Event {
        at: r[0].to_owned(),
        add: &r[1] == "add",
        domain: r[2].to_owned(),
        tag: r[3].to_owned(),
    };
    records.map(event).collect()
}

/// What is left when all is added and removed, each tag's lines by themselves.
fn fold(events: &[Event]) -> BTreeSet<&str> {
    let mut live = BTreeSet::new();
    for Event { add, domain, tag, .. } in events {
        let line = (domain.as_str(), tag.as_str());
        if *add {
            live.insert(line);
        } else {
            live.remove(&line);
        }
    }
    live.into_iter().map(|(domain, _)| domain).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_of_additions_and_removals_end_in_the_same_state_at_every_node() {
    let Some(data) = data() else { return };
    let (_alliance, _nodes, clients) = nine().await;
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (list, members) in HISTORIES {
        for (member, tags, left) in members {
            let events = events(&data.join(format!("{list}.timeline.csv.gz")), tags);
            let live = fold(&events);
            assert_eq!(live.len(), *left, "{member}");
            for event in &events {
                let flagged_by = expected.entry(event.domain.clone()).or_default();
                if live.contains(event.domain.as_str()) {
                    flagged_by.insert((*member).to_owned());
                }
            }
            replay(&mut clients[*member].clone(), &events).await;
        }
    }
    level(&clients).await;
    let domains: Vec<String> = expected.keys().cloned().collect();
    for asker in [OBSERVER, "gaso", "cffc"] {
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        for (domain, answer) in flagged_by(&mut clients[asker].clone(), &domains).await {
            match answer {
                Ok(members) => assert_eq!(members, expected[&domain], "{domain} as {asker} sees it"),
                Err(code) => *refused.entry(code).or_default() += 1,
            }
        }
        let refused: Vec<_> = refused.iter().map(|(code, count)| (code.as_str(), *count)).collect();
        assert_eq!(refused, REFUSED_OF_HISTORIES, "as {asker} sees it");
    }
}

/// Replays events in order: runs of additions on one stream, runs of removals as calls side by side.
async fn replay(client: &mut Client, events: &[Event]) {
    let mut live: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for run in events.chunk_by(|a, b| a.add == b.add) {
        if run[0].add {
            let row = |event: &Event| proto::Submission {
                submission_id: format!("{}@{}#{}", event.domain, event.at, event.tag),
                ..cluster::submission("all", vec![identifier(Kind::Domain, &event.domain)])
            };
            let results = client.submit_all(run.iter().map(row).collect()).await;
            assert_eq!(results.len(), run.len());
            let taken = run.iter().zip(results).filter_map(|(event, result)| Some((event, result.ok()?)));
            live.extend(taken.map(|(event, receipt)| ((event.domain.as_str(), event.tag.as_str()), receipt.signal)));
        } else {
            let gone = run.iter().filter_map(|event| live.remove(&(event.domain.as_str(), event.tag.as_str())));
            retract(client, gone.collect()).await;
        }
    }
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
            client.signals.retract_signal(request).await.expect("withdrawn").into_inner()
        }
    };
    let withdrawn: Vec<_> = futures_util::stream::iter(signals).map(retract).buffer_unordered(128).collect().await;
    assert!(withdrawn.iter().all(|response| response.newly_withdrawn));
}
