//! Who calls without the right to.

use std::net::SocketAddr;
use std::sync::Arc;

use countermark::alliance::{AllianceCa, ClientCa};
use countermark::daemon::{SystemClock, SystemEntropy};
use countermark::domain::{Clock as _, Role, Timestamp};
use countermark::replication::OwnFeeds;
use countermark::rpc::connector::connect;
use countermark::rpc::tls::Credentials;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tonic::Code;

use super::{seller, signal};
use crate::cluster::logged::{LoggedNode, heartbeats};
use crate::cluster::{Alliance, Client, member};
use crate::{THREE, code};

/// One node of three members, so that nobody else calls it.
async fn world() -> (Alliance, LoggedNode) {
    let (mut alliance, mut sockets) = Alliance::new(&THREE).await;
    alliance.own_feeds = OwnFeeds::Trust;
    alliance.grant("bazaar", "crawler", &[Role::Check]);
    alliance.grant("bazaar", "feeder", &[Role::Submit]);
    let node = alliance.start_logged("bazaar", sockets.remove(&member("bazaar"))).await.expect("starts");
    (alliance, node)
}

fn listeners(alliance: &Alliance) -> (SocketAddr, SocketAddr) {
    let bazaar = alliance.membership("bazaar");
    (bazaar.peers, bazaar.clients)
}

/// Two years ago: what was issued then has expired.
fn long_ago() -> Timestamp {
    Timestamp::from_unix_ms(SystemClock.now().unix_ms() - 2 * 366 * 86_400_000)
}

/// Dials once, and expects to be turned away with one line in the log.
async fn turned_away(alliance: &Alliance, node: &LoggedNode, address: SocketAddr, own: &Credentials, logged: &str, told: &str) {
    let error = alliance.dial("bazaar", address, own).await.expect_err(logged);
    assert_eq!(error.code(), told, "{logged}");
    node.log.expect(logged).await;
    heartbeats(2).await;
    node.log.only_once(logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_without_a_certificate() {
    for peers in [true, false] {
        let (alliance, node) = world().await;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(alliance.peer_anchors().ca.as_bytes()).expect("PEM")).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let bare = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
        let mut bare = bare.expect("TLS 1.3").with_root_certificates(roots).with_no_client_auth();
        bare.alpn_protocols = vec![b"h2".to_vec()];
        let (of_peers, of_clients) = listeners(&alliance);
        let address = if peers { of_peers } else { of_clients };
        let name = alliance.name.node_dns_name(&member("bazaar"));
        let error = connect(&address.to_string(), name, Arc::new(bare)).await.expect_err("no certificate");
        assert_eq!(error.code(), "PEER_REFUSED_CERTIFICATE");
        assert!(error.advice().contains("none was presented"));
        node.log.expect("TLS_NO_CERTIFICATE").await;
        heartbeats(2).await;
        node.log.only_once("TLS_NO_CERTIFICATE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_foreign_authority_is_refused() {
    let (alliance, node) = world().await;
    let now = SystemClock.now();
    // The same names, under keys that nobody here knows.
    let foreign = AllianceCa::create(alliance.name.clone(), now, &SystemEntropy).expect("a CA");
    let request = &alliance.membership("aurelle").request.signing_request;
    let own = Credentials {
        chain: foreign.issue_node(&member("aurelle"), request, now, &SystemEntropy).expect("issued"),
        key: alliance.membership("aurelle").secrets.node_key.clone(),
    };
    let (peers, _) = listeners(&alliance);
    turned_away(&alliance, &node, peers, &own, "TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE").await;

    let (alliance, node) = world().await;
    let foreign = ClientCa::create(alliance.name.clone(), member("bazaar"), now, &SystemEntropy).expect("a CA");
    let own = foreign.issue_client(&"all-roles".parse().expect("valid"), now, &SystemEntropy).expect("issued");
    let (_, clients) = listeners(&alliance);
    turned_away(&alliance, &node, clients, &own, "TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let (alliance, node) = world().await;
    let old = alliance.node_credentials_of("aurelle", long_ago());
    let (peers, _) = listeners(&alliance);
    turned_away(&alliance, &node, peers, &old, "TLS_EXPIRED", "PEER_REFUSED_CERTIFICATE").await;

    let (alliance, node) = world().await;
    let old = alliance.client_credentials("bazaar", "all-roles", long_ago());
    let (_, clients) = listeners(&alliance);
    turned_away(&alliance, &node, clients, &old, "TLS_EXPIRED", "PEER_REFUSED_CERTIFICATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_refuses_the_callers_of_the_other() {
    let (alliance, node) = world().await;
    let client = alliance.client_credentials("bazaar", "all-roles", SystemClock.now());
    let (peers, _) = listeners(&alliance);
    turned_away(&alliance, &node, peers, &client, "TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE").await;

    for whose in ["aurelle", "bazaar"] {
        let (alliance, node) = world().await;
        let peer = alliance.node_credentials(whose);
        let (_, clients) = listeners(&alliance);
        turned_away(&alliance, &node, clients, &peer, "TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_member_is_refused() {
    let (alliance, node) = world().await;
    let theirs = alliance.client_credentials("aurelle", "all-roles", SystemClock.now());
    let (_, clients) = listeners(&alliance);
    turned_away(&alliance, &node, clients, &theirs, "TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_what_its_roles_allow_and_no_more() {
    let (alliance, node) = world().await;
    let mut crawler = Client::on(alliance.channel("bazaar", "crawler").await);
    let refused = crawler.submit(signal("shop")).await.expect_err("it may only check");
    assert_eq!(code(&refused), (Code::PermissionDenied, "ROLE_MISSING".into()));
    crawler.check(seller("shop")).await.expect("it may check");
    heartbeats(2).await;
    node.log.only_once("ROLE_MISSING");

    let (alliance, node) = world().await;
    let mut feeder = Client::on(alliance.channel("bazaar", "feeder").await);
    let refused = feeder.check(seller("shop")).await.expect_err("it may only submit");
    assert_eq!(code(&refused), (Code::PermissionDenied, "ROLE_MISSING".into()));
    feeder.submit(signal("shop")).await.expect("it may submit");
    heartbeats(2).await;
    node.log.only_once("ROLE_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_the_configuration_does_not_list_is_refused() {
    let (alliance, node) = world().await;
    let unlisted = alliance.client_credentials("bazaar", "stranger", SystemClock.now());
    let (_, clients) = listeners(&alliance);
    turned_away(&alliance, &node, clients, &unlisted, "CLIENT_NOT_LISTED", "PEER_REFUSED_IDENTITY").await;
}
