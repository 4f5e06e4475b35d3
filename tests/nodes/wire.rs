//! What passes between nodes that have nothing to tell each other.

use countermark::replication::Pace;
use countermark::rpc::proto::IdentifierKind as Kind;

use crate::TWO;
use crate::cluster::proxy::Proxy;
use crate::cluster::{Alliance, Client, eventually, identifier, member, submission};

const MOST: u64 = 1_024;
const SIGNALS: usize = 2_000;
const CHECKS: usize = 1_000;

/// When `client`'s node last heard the peer.
async fn heard(client: &Client, peer: &str) -> i64 {
    client.clone().peer(peer).await.last_heard_ms
}

/// Waits for so many heartbeats of each peer at the other.
async fn beats(clients: &[(&Client, &str); 2], count: usize) {
    for _ in 0..count {
        let next = clients.map(async |(client, peer)| {
            let before = heard(client, peer).await;
            eventually("a heartbeat", || async { heard(client, peer).await > before }).await;
        });
        futures_util::future::join_all(next).await;
    }
}

/// The rule: "a node that synchronised everything transfers less than 1 KiB a peer when nothing is new". Counted are all bytes of
/// TCP's payload, hence also those of TLS, HTTP/2 and its probes, of both connections between two nodes (each follows the other)
/// and in both directions, in the time of one heartbeat at the pace of production. A connection that is made anew costs the two
/// TLS handshakes with their certificates on top; what is said on it is counted apart, as bytes of messages, under the same
/// bound. Checks are answered meanwhile: nobody is asked about a seller, so that they add nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_costs_less_than_a_kibibyte_a_heartbeat_and_checks_cost_nothing() {
    let (mut alliance, sockets) = Alliance::new(&TWO).await;
    alliance.pace = Pace::default();
    let lines = [Proxy::to(alliance.membership("aurelle").peers).await, Proxy::to(alliance.membership("bazaar").peers).await];
    alliance.route("bazaar", "aurelle", lines[0].address);
    alliance.route("aurelle", "bazaar", lines[1].address);
    let mut nodes = alliance.start_all(sockets).await;
    let (mut bazaar, mut aurelle) = (alliance.client("bazaar").await, alliance.client("aurelle").await);
    let name = |i: usize| vec![identifier(Kind::Domain, &format!("shop-{i}.test"))];
    let signals = (0..SIGNALS).map(|i| submission("all", name(i))).collect();
    assert!(aurelle.submit_all(signals).await.iter().all(Result::is_ok));
    let follower = bazaar.clone();
    eventually("all signals arrive", || {
        let mut bazaar = follower.clone();
        async move { bazaar.size("aurelle", "all").await == SIGNALS as u64 }
    })
    .await;
    let clients = [(&follower, "aurelle"), (&aurelle, "bazaar")];
    beats(&clients, 1).await;

    let bytes = || lines.iter().map(Proxy::bytes).sum::<u64>();
    let before = bytes();
    beats(&clients, 2).await;
    let idle = (bytes() - before) / 2;
    assert!(idle > 0, "heartbeats pass here, or the count proves nothing");
    assert!(idle < MOST, "{idle} bytes a heartbeat");

    let before = bytes();
    let answers = bazaar.check_all((0..CHECKS).map(name).collect()).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok_and(|answer| answer.members_elsewhere == 1)));
    let asked = bytes() - before;
    beats(&clients, 1).await;
    // The checks take less than a heartbeat, so that at most two fall into this time.
    let with_checks = bytes() - before;
    assert!(asked < MOST && with_checks < 2 * MOST, "{asked} and {with_checks} bytes");

    let before = (bytes(), lines[0].connections());
    nodes.remove(&member("bazaar")).expect("running").stop().await;
    let _bazaar_node = alliance.start("bazaar", None).await.expect("starts");
    let anew = alliance.client("bazaar").await;
    eventually("bazaar is back", || async { heard(&anew, "aurelle").await > 0 }).await;
    let peer = anew.clone().peer("aurelle").await;
    let said = peer.received_bytes + peer.sent_bytes;
    assert!(peer.connected && lines[0].connections() > before.1);
    assert!(said < MOST, "{said} bytes of messages after a reconnection");
    let on_the_line = bytes() - before.0;
    assert!(on_the_line < 32 * MOST, "{on_the_line} bytes for two handshakes");
}
