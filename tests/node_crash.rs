//! Nodes as they run, killed and starved: what a client was told stays true, and synchronising goes on where it was.

mod cluster;
#[path = "shim/mod.rs"]
mod shim;

use std::collections::BTreeMap;

use cluster::program::{Programs, Running};
use cluster::proxy::Proxy;
use cluster::{Client, eventually, identifier, submission};
use countermark::rpc::proto::{self, IdentifierKind as Kind, check_sellers_response, submit_signals_response};
use shim::Shim;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_types::StatusExt as _;

const KILLS: usize = 20;
/// More than four full batches.
const ENTRIES: usize = 20_480;

fn seller(name: &str) -> Vec<proto::Identifier> {
    vec![identifier(Kind::Domain, &format!("{name}.test"))]
}

fn signal(name: &str) -> proto::Submission {
    proto::Submission { submission_id: name.into(), ..submission("all", seller(name)) }
}

/// Waits until the node takes signals, as it does once it knows that it holds all of its own feed.
async fn takes_signals(client: &Client) {
    eventually("the node takes signals", || {
        let mut client = client.clone();
        async move { client.submit(signal("first")).await.is_ok() }
    })
    .await;
}

/// What was acknowledged so far: signals by submission id, answers by reference.
#[derive(Default)]
struct Acknowledged {
    receipts: BTreeMap<String, String>,
    answers: BTreeMap<String, proto::CheckAnswer>,
}

impl Acknowledged {
    /// Submits and asks on two streams at once, and kills the node after `enough` acknowledgements of both kinds together.
    async fn gather(&mut self, node: Running, client: &Client, round: usize, enough: usize) {
        let name = move |i: usize| format!("shop-{round}-{i}");
        let (rows, receiver) = mpsc::channel(64);
        let (questions, asked) = mpsc::channel(64);
        // Both end when the node does.
        let sending = tokio::spawn(async move {
            for i in 0.. {
                let row = proto::SubmitSignalsRequest { submission: Some(signal(&name(i))) };
                let question = proto::CheckSellersRequest { identifiers: seller(&name(i)), watch: None };
                if rows.send(row).await.is_err() || questions.send(question).await.is_err() {
                    return;
                }
            }
        });
        let (mut signals, mut screening) = (client.signals.clone(), client.screening.clone());
        let mut receipts = signals.submit_signals(ReceiverStream::new(receiver)).await.expect("a stream").into_inner();
        let mut answers = screening.check_sellers(ReceiverStream::new(asked)).await.expect("a stream").into_inner();
        let (mut node, mut row, mut given) = (Some(node), 0, 0);
        let (mut submitting, mut checking) = (true, true);
        while submitting || checking {
            tokio::select! {
                // What had arrived before the kill counts, and is read after it.
                receipt = receipts.message(), if submitting => match receipt {
                    Ok(Some(response)) => {
                        if let Some(submit_signals_response::Result::Receipt(receipt)) = response.result {
                            self.receipts.insert(name(row), receipt.signal);
                            given += 1;
                        }
                        row += 1;
                    }
                    Ok(None) | Err(_) => submitting = false,
                },
                answer = answers.message(), if checking => match answer {
                    Ok(Some(response)) => {
                        let Some(check_sellers_response::Result::Answer(answer)) = response.result else { panic!("no answer") };
                        assert!(answer.reference_error.is_empty(), "{}", answer.reference_error);
                        self.answers.insert(answer.reference.clone(), answer);
                        given += 1;
                    }
                    Ok(None) | Err(_) => checking = false,
                },
            }
            if given >= enough
                && let Some(node) = node.take()
            {
                node.kill();
            }
        }
        assert!(node.is_none(), "the streams ended before the node did");
        sending.abort();
    }

    /// All of it still holds at the node.
    async fn verify(&self, client: &mut Client) {
        let rows = self.receipts.keys().map(|id| signal(id)).collect();
        let again = client.submit_all(rows).await;
        assert_eq!(again.len(), self.receipts.len());
        for ((id, signal), outcome) in self.receipts.iter().zip(again) {
            let receipt = outcome.expect("taken again");
            assert_eq!((receipt.created, &receipt.signal), (false, signal), "{id} was acknowledged before");
        }
        for (reference, answer) in &self.answers {
            let request = proto::GetCheckRequest { reference: reference.clone() };
            let past = client.screening.get_check(request).await.expect("read again").into_inner();
            assert_eq!(past.answer.as_ref(), Some(answer));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_answers_after_every_kill_and_reaches_the_peer() {
    let programs = Programs::found(&["bazaar:platform", "aurelle:brand"]);
    let _bazaar_node = programs.serve("bazaar");
    let bazaar = programs.client("bazaar").await;
    let mut acknowledged = Acknowledged::default();
    for round in 0..KILLS {
        let node = programs.serve("aurelle");
        let client = programs.client("aurelle").await;
        takes_signals(&client).await;
        // Early and late within group commits.
        acknowledged.gather(node, &client, round, 1 + (round * 37) % 401).await;
    }
    assert!(acknowledged.receipts.len() > KILLS && acknowledged.answers.len() > KILLS);
    let _node = programs.serve("aurelle");
    let mut client = programs.client("aurelle").await;
    takes_signals(&client).await;
    acknowledged.verify(&mut client).await;
    let digest = client.status().await.view_digest;
    eventually("the peer derives the same", || {
        let (mut bazaar, digest) = (bazaar.clone(), digest.clone());
        async move { bazaar.status().await.view_digest == digest }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_synchronisation_that_was_killed_goes_on_where_it_was() {
    let programs = Programs::found(&["bazaar:platform", "aurelle:brand", "kestrel:brand"]);
    let lines = [Proxy::to(programs.peers("aurelle")).await, Proxy::to(programs.peers("aurelle")).await];
    programs.route("kestrel", "aurelle", lines[0].address);
    programs.route("bazaar", "aurelle", lines[1].address);
    // Alone for a while: nobody else can say how much of its feed there is.
    let alone = programs.command("aurelle").arg("--trust-own-feed").spawn();
    let _aurelle_node = Running(alone.expect("starts"));
    let mut aurelle = programs.client("aurelle").await;
    takes_signals(&aurelle).await;
    let rows = (1..ENTRIES).map(|i| signal(&format!("shop-{i}"))).collect();
    assert!(aurelle.submit_all(rows).await.iter().all(Result::is_ok));
    let all = aurelle.size("aurelle", "all").await;
    assert!(all >= ENTRIES as u64);

    // What a whole synchronisation costs.
    let kestrel_node = programs.serve("kestrel");
    let kestrel = programs.client("kestrel").await;
    eventually("kestrel has everything", || {
        let mut kestrel = kestrel.clone();
        async move { kestrel.size("aurelle", "all").await == all }
    })
    .await;
    let whole = lines[0].received();
    kestrel_node.kill();

    lines[1].allow(whole / 2);
    let node = programs.serve("bazaar");
    let bazaar = programs.client("bazaar").await;
    eventually("a part has arrived", || {
        let mut bazaar = bazaar.clone();
        let arrived = lines[1].received() >= whole / 2;
        async move { arrived && bazaar.size("aurelle", "all").await >= all / 5 }
    })
    .await;
    let before = bazaar.clone().size("aurelle", "all").await;
    assert!(before < all, "the line held the rest back");
    node.kill();

    let until_then = lines[1].received();
    lines[1].allow(u64::MAX / 2);
    let _node = programs.serve("bazaar");
    let bazaar = programs.client("bazaar").await;
    let held = bazaar.clone().size("aurelle", "all").await;
    assert!(held >= before && held > 0, "{held} after {before}");
    let mut reached = held;
    while reached < all {
        let size = bazaar.clone().size("aurelle", "all").await;
        assert!(size >= reached, "{size} after {reached}");
        reached = size;
    }
    // Before the kill no more was stored than that, so that the rest is what the line brings now.
    let rest = whole as f64 * (all - before) as f64 / all as f64;
    let brought = (lines[1].received() - until_then) as f64;
    assert!(brought <= rest * 1.15, "{brought} bytes for the rest of {rest}");
    let mut both = [bazaar, aurelle];
    let mut digests = Vec::new();
    for client in &mut both {
        digests.push(client.status().await.view_digest);
    }
    assert_eq!(digests[0], digests[1]);
}

fn reason(status: &tonic::Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_signals_answers_checks_and_recovers() {
    let programs = Programs::found(&["aurelle:brand"]);
    let flag = programs.root().join("full");
    let mut command = programs.command("aurelle");
    Shim::new(&programs.data("aurelle")).full_while(&flag).full_gives().command_env(&mut command);
    let _node = Running(command.spawn().expect("starts"));
    let mut client = programs.client("aurelle").await;
    takes_signals(&client).await;
    let mut kept = vec!["first".to_owned()];

    std::fs::write(&flag, "").expect("a flag");
    let mut refused = None;
    // What is still open in memory and on disk may take some more.
    for i in 0..1_000 {
        let name = format!("shop-{i}");
        match client.submit(signal(&name)).await {
            Ok(_) => kept.push(name),
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    assert_eq!(reason(&refused.expect("a full disk is noticed")), (Code::Unavailable, "STORE_FULL".into()));
    let row = client.submit_all(vec![signal("row")]).await.remove(0).expect_err("full");
    assert_eq!((row.code.as_str(), row.retryable), ("STORE_FULL", true));
    let answer = client.check(seller("first")).await.expect("checks go on");
    assert_eq!(answer.own.len(), 1);
    assert_eq!((answer.reference.as_str(), answer.reference_error.as_str()), ("", "STORE_FULL"));
    let store = client.status().await.store.expect("a store");
    assert!(!store.writable && store.problem.contains("STORE_FULL"), "{}", store.problem);

    std::fs::remove_file(&flag).expect("room again");
    let waiting = client.clone();
    eventually("it takes signals again", || {
        let mut client = waiting.clone();
        async move { client.submit(signal("later")).await.is_ok() }
    })
    .await;
    let store = client.status().await.store.expect("a store");
    assert!(store.writable && store.problem.is_empty(), "{}", store.problem);
    for name in kept {
        let again = client.submit(signal(&name)).await.expect("taken");
        assert!(!again.created, "{name} was acknowledged before");
    }
    assert!(!client.check(seller("later")).await.expect("answered").reference.is_empty());
}
