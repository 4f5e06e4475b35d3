//! Every way in, and every way to be turned away, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    CrlIssuingDistributionPoint, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use zeroize::Zeroizing;

use super::{Acceptor, Bounds, OpenConnections, PeerInfo, Refusal, RefusalCode, clients_of, peers_of};
use crate::rpc::connector::{ConnectError, connect};
use crate::rpc::identity::{Certificate, CertificateSerial, IdentityError};
use crate::rpc::tls::{Credentials, TlsError, TrustAnchors, client_config, server_config};

const NODE_A: &str = "spiffe://alliance.example/member/a/node";
const NODE_B: &str = "spiffe://alliance.example/member/b/node";
const CLIENT: &str = "spiffe://alliance.example/member/a/client/crawler";

struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate that a test wants, good unless it says otherwise.
struct Wish {
    uris: Vec<&'static str>,
    dns: Option<&'static str>,
    serial: u64,
    until_year: i32,
}

fn node(uri: &'static str, dns: &'static str, serial: u64) -> Wish {
    Wish { uris: vec![uri], dns: Some(dns), serial, until_year: 2100 }
}

fn client() -> Wish {
    Wish { uris: vec![CLIENT], dns: None, serial: 7, until_year: 2100 }
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("CA"))
    }

    fn issue(&self, wish: Wish) -> Credentials {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        let uris = wish.uris.into_iter().map(|u| SanType::URI(u.try_into().expect("ASCII")));
        let dns = wish.dns.into_iter().map(|d| SanType::DnsName(d.try_into().expect("ASCII")));
        params.subject_alt_names = uris.chain(dns).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from(wish.serial));
        params.not_after = date_time_ymd(wish.until_year, 1, 1);
        let chain = params.signed_by(&key, &self.0).expect("certificate").pem();
        Credentials { chain, key: Zeroizing::new(key.serialize_pem()) }
    }

    fn anchors(&self) -> TrustAnchors {
        TrustAnchors { ca: self.0.pem(), crls: vec![] }
    }

    fn revoking(&self, serials: &[u64]) -> TrustAnchors {
        TrustAnchors { ca: self.0.pem(), crls: vec![self.list(serials, None)] }
    }

    /// A list, PEM; `part` says where those of the certificates are found that it is for, where it is not for all.
    fn list(&self, serials: &[u64], part: Option<&str>) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2024, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: part.map(|uri| CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![uri.into()] },
                scope: None,
            }),
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("CRL").pem().expect("PEM")
    }
}

/// An alliance of two members, and member `a`'s own CA.
struct World {
    alliance: Ca,
    clients: Ca,
    node_a: Credentials,
}

impl World {
    fn new() -> Self {
        let alliance = Ca::new();
        let node_a = alliance.issue(node(NODE_A, "a.alliance.example", 1));
        Self { alliance, clients: Ca::new(), node_a }
    }

    fn node_b(&self) -> Credentials {
        self.alliance.issue(node(NODE_B, "b.alliance.example", 2))
    }

    fn dialler(&self, own: &Credentials) -> Arc<ClientConfig> {
        Arc::new(client_config(own, &self.alliance.anchors()).expect("configuration"))
    }

    fn peer_listener(&self) -> ServerConfig {
        server_config(&self.node_a, &self.alliance.anchors()).expect("configuration")
    }
}

/// A listener with the health service, whose interceptor reports who called.
struct Node {
    address: SocketAddr,
    config: Arc<ArcSwap<ServerConfig>>,
    refusals: mpsc::UnboundedReceiver<Refusal>,
    callers: mpsc::UnboundedReceiver<PeerInfo>,
    open: OpenConnections,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Node {
    async fn start(
        config: ServerConfig,
        bounds: Bounds,
        admit: impl Fn(&crate::rpc::identity::Identity) -> Result<(), RefusalCode> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let config = Arc::new(ArcSwap::from_pointee(config));
        let (refused, refusals) = mpsc::unbounded_channel();
        let (called, callers) = mpsc::unbounded_channel();
        let acceptor = Acceptor::new(Arc::clone(&config), admit).with_bounds(bounds).on_refused(move |refusal| {
            refused.send(refusal.clone()).expect("the test listens");
        });
        let open = acceptor.open_connections();
        let shutdown = CancellationToken::new();
        let incoming = acceptor.accept(listener, shutdown.clone());
        let (_, health) = tonic_health::server::health_reporter();
        let service = InterceptedService::new(health, move |request: tonic::Request<()>| {
            let peer = PeerInfo::of(&request).ok_or_else(|| tonic::Status::unauthenticated("nobody"))?;
            called.send(peer.clone()).expect("the test listens");
            Ok(request)
        });
        let server = Server::builder().add_service(service);
        let served = tokio::spawn(server.serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned()));
        Self { address, config, refusals, callers, open, shutdown, served }
    }

    async fn peers(config: ServerConfig) -> Self {
        let alliance = "alliance.example".parse().expect("valid");
        Self::start(config, Bounds::default(), peers_of(alliance, |m| m.as_str() != "expelled")).await
    }

    async fn clients(world: &World) -> Self {
        let config = server_config(&world.node_a, &world.clients.anchors()).expect("configuration");
        let (alliance, own) = ("alliance.example".parse().expect("valid"), "a".parse().expect("valid"));
        Self::start(config, Bounds::default(), clients_of(alliance, own, |c| c.as_str() != "unlisted")).await
    }

    async fn dial(&self, config: Arc<ClientConfig>) -> Result<Channel, ConnectError> {
        connect(&self.address.to_string(), "a.alliance.example".into(), config).await
    }

    async fn refusal(&mut self) -> Refusal {
        self.refusals.recv().await.expect("a refusal")
    }

    /// Dials, is turned away, and gives the code on either side.
    async fn turned_away(&mut self, config: Arc<ClientConfig>) -> (&'static str, &'static str) {
        let error = self.dial(config).await.expect_err("refused");
        assert!(self.callers.try_recv().is_err(), "nothing was served");
        (self.refusal().await.code.code(), error.code())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.served.await.expect("no panic").expect("served");
    }
}

async fn check(channel: Channel) -> Result<(), tonic::Status> {
    HealthClient::new(channel).check(HealthCheckRequest { service: String::new() }).await.map(|_| ())
}

#[tokio::test]
async fn a_peer_is_served_and_known_by_its_certificate() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let b = world.node_b();
    let channel = a.dial(world.dialler(&b)).await.expect("connected");
    check(channel).await.expect("served");
    let peer = a.callers.recv().await.expect("a caller");
    assert_eq!(peer.identity.to_string(), NODE_B);
    let certificate = b.certificate().expect("readable");
    assert_eq!((peer.certificate_serial, peer.certificate_not_after), (certificate.serial, certificate.not_after));
    assert_eq!(peer.remote.ip(), a.address.ip());
    a.stop().await;
}

#[tokio::test]
async fn a_client_is_served_on_the_client_listener() {
    let world = World::new();
    let mut a = Node::clients(&world).await;
    let channel = a.dial(world.dialler(&world.clients.issue(client()))).await.expect("connected");
    check(channel).await.expect("served");
    assert_eq!(a.callers.recv().await.expect("a caller").identity.to_string(), CLIENT);
    a.stop().await;
}

#[tokio::test]
async fn each_listener_refuses_the_callers_of_the_other() {
    let world = World::new();
    let (crawler, b) = (world.dialler(&world.clients.issue(client())), world.dialler(&world.node_b()));
    let refused = ("TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE");
    assert_eq!(Node::peers(world.peer_listener()).await.turned_away(crawler).await, refused);
    assert_eq!(Node::clients(&world).await.turned_away(b).await, refused);
}

#[tokio::test]
async fn a_good_certificate_of_the_wrong_kind_is_not_admitted() {
    let world = World::new();
    let refused = ("IDENTITY_REFUSED", "PEER_REFUSED_IDENTITY");
    let mut peers = Node::peers(world.peer_listener()).await;
    // The alliance's CA would not sign these; were it to, they would not pass.
    assert_eq!(peers.turned_away(world.dialler(&world.alliance.issue(client()))).await, refused);
    let stranger = node("spiffe://other.example/member/b/node", "b.other.example", 3);
    assert_eq!(peers.turned_away(world.dialler(&world.alliance.issue(stranger))).await, refused);
    let expelled = node("spiffe://alliance.example/member/expelled/node", "expelled.alliance.example", 4);
    let codes = peers.turned_away(world.dialler(&world.alliance.issue(expelled))).await;
    assert_eq!(codes, ("MEMBER_NOT_ACTIVE", "PEER_REFUSED_IDENTITY"));

    // A member's own CA can sign what it likes, and nobody else's listener believes it; its own must not either.
    let mut clients = Node::clients(&world).await;
    let posing = node(NODE_B, "b.alliance.example", 5);
    assert_eq!(clients.turned_away(world.dialler(&world.clients.issue(posing))).await, refused);
    let of_b = Wish { uris: vec!["spiffe://alliance.example/member/b/client/crawler"], ..client() };
    assert_eq!(clients.turned_away(world.dialler(&world.clients.issue(of_b))).await, refused);
    let unlisted = Wish { uris: vec!["spiffe://alliance.example/member/a/client/unlisted"], ..client() };
    let codes = clients.turned_away(world.dialler(&world.clients.issue(unlisted))).await;
    assert_eq!(codes, ("CLIENT_NOT_LISTED", "PEER_REFUSED_IDENTITY"));
}

#[tokio::test]
async fn a_caller_without_certificate_is_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.alliance.0.der().clone()).expect("CA");
    let mut bare = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    bare.alpn_protocols = vec![b"h2".to_vec()];
    let error = a.dial(Arc::new(bare)).await.expect_err("refused");
    assert_eq!(a.refusal().await.code, RefusalCode::NoCertificate);
    assert_eq!(error.code(), "PEER_REFUSED_CERTIFICATE");
    assert!(error.advice().contains("none was presented"));
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let forged = Ca::new().issue(node(NODE_B, "b.alliance.example", 2));
    assert_eq!(a.turned_away(world.dialler(&forged)).await, ("TLS_UNKNOWN_ISSUER", "PEER_REFUSED_CERTIFICATE"));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let old = world.alliance.issue(Wish { until_year: 2020, ..node(NODE_B, "b.alliance.example", 2) });
    let error = a.dial(world.dialler(&old)).await.expect_err("refused");
    assert_eq!(a.refusal().await.code, RefusalCode::Expired);
    assert!(error.advice().contains("has expired"), "{}", error.advice());
}

#[tokio::test]
async fn a_certificate_that_names_two_or_none_is_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let two = Wish { uris: vec![NODE_B, NODE_A], ..node(NODE_B, "b.alliance.example", 2) };
    let none = Wish { uris: vec![], ..node(NODE_B, "b.alliance.example", 2) };
    for wish in [two, none] {
        let error = a.dial(world.dialler(&world.alliance.issue(wish))).await.expect_err("refused");
        let refusal = a.refusal().await;
        assert_eq!(refusal.code, RefusalCode::Identity(IdentityError::UriCount));
        assert_eq!((refusal.code.code(), error.code()), ("CERTIFICATE_IDENTITY", "PEER_REFUSED_IDENTITY"));
    }
    let unnamed = world.alliance.issue(node(NODE_B, "c.alliance.example", 2));
    a.dial(world.dialler(&unnamed)).await.expect_err("refused");
    assert_eq!(a.refusal().await.code, RefusalCode::Identity(IdentityError::DnsName));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_once_the_list_is_loaded_and_its_connections_close() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let mut keeping_tickets = Arc::unwrap_or_clone(world.dialler(&world.node_b()));
    keeping_tickets.resumption = rustls::client::Resumption::default();
    let b = Arc::new(keeping_tickets);
    let channel = a.dial(Arc::clone(&b)).await.expect("connected");
    check(channel.clone()).await.expect("served");

    let revoking = world.alliance.revoking(&[2]);
    a.config.store(Arc::new(server_config(&world.node_a, &revoking).expect("configuration")));
    check(channel.clone()).await.expect("TLS does not look again");
    let revoked = revoking.revocations().expect("readable").serials;
    assert_eq!(a.open.close_where(|peer| revoked.contains(&peer.certificate_serial)), 1);

    // The channel dials again on its own, with the same certificate, and finds the door closed.
    let status = loop {
        if let Err(status) = check(channel.clone()).await {
            break status;
        }
    };
    assert!(super::super::connector::explain(&status).is_some());
    while !a.open.is_empty() {
        tokio::task::yield_now().await;
    }
    a.callers.close();
    while a.callers.recv().await.is_some() {}
    let error = a.dial(b).await.expect_err("refused");
    assert_eq!(a.refusal().await.code, RefusalCode::Revoked);
    assert!(error.advice().contains("revoked"), "{}", error.advice());
    let c = node("spiffe://alliance.example/member/c/node", "c.alliance.example", 3);
    a.dial(world.dialler(&world.alliance.issue(c))).await.expect("others are let in, though the list is old");
}

#[tokio::test]
async fn the_server_must_be_the_node_that_was_meant() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let b = world.dialler(&world.node_b());
    let error = connect(&a.address.to_string(), "c.alliance.example".into(), b).await.expect_err("another node");
    assert_eq!(error.code(), "PEER_CERTIFICATE");
    assert_eq!(a.refusal().await.code, RefusalCode::RefusedUs);

    let foreign = client_config(&world.node_b(), &Ca::new().anchors()).expect("configuration");
    assert_eq!(a.dial(Arc::new(foreign)).await.expect_err("another CA").code(), "PEER_CERTIFICATE");
    let revoking = client_config(&world.node_b(), &world.alliance.revoking(&[1])).expect("configuration");
    assert_eq!(a.dial(Arc::new(revoking)).await.expect_err("revoked").code(), "PEER_CERTIFICATE");
}

#[tokio::test]
async fn nobody_listening_is_told_from_a_refusal() {
    let world = World::new();
    let free = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("address");
    let b = world.dialler(&world.node_b());
    let error = connect(&free.to_string(), "a.alliance.example".into(), b.clone()).await.expect_err("nobody there");
    assert_eq!(error.code(), "PEER_UNREACHABLE");
    let error = connect(&free.to_string(), "not a name".into(), b).await.expect_err("no name");
    assert_eq!(error.code(), "PEER_NAME");
}

/// A ClientHello of TLS 1.2 with AES-GCM suites, P-256, ECDSA, and no `supported_versions` (RFC 5246, 7.4.1.2).
fn tls12_client_hello() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],     // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],                // ec_point_formats: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],          // signature_algorithms: ecdsa_secp256r1_sha256
        &[0, 23, 0, 0],                      // extended_master_secret
        &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'], // ALPN: h2
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]); // no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression
    body.extend(u16::try_from(extensions.len()).expect("short").to_be_bytes());
    body.extend(extensions);
    let length = |n: usize| u16::try_from(n).expect("short").to_be_bytes();
    [&[22, 3, 1][..], &length(body.len() + 4), &[1, 0], &length(body.len()), &body].concat()
}

#[tokio::test]
async fn who_does_not_name_http2_is_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    let named = world.dialler(&world.node_b());
    let mut unnamed = ClientConfig::clone(&named);
    unnamed.alpn_protocols.clear();
    let mut refused = silent(&a, Arc::new(unnamed)).await;
    assert_eq!(a.refusal().await.code, RefusalCode::Incompatible);
    assert_eq!(refused.read(&mut [0; 1]).await.expect("closed"), 0);
    check(a.dial(named).await.expect("connected")).await.expect("served");
}

#[tokio::test]
async fn tls_1_2_and_plaintext_are_refused() {
    let world = World::new();
    let mut a = Node::peers(world.peer_listener()).await;
    for (hello, code) in
        [(tls12_client_hello(), RefusalCode::Incompatible), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), RefusalCode::NotTls)]
    {
        let mut tcp = TcpStream::connect(a.address).await.expect("connected");
        tcp.write_all(&hello).await.expect("sent");
        assert_eq!(a.refusal().await.code, code);
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.expect("closed");
        assert_eq!(answer.first(), Some(&21), "an alert, and nothing else");
    }
    let tcp = TcpStream::connect(a.address).await.expect("connected");
    drop(tcp);
    assert_eq!(a.refusal().await.code, RefusalCode::Closed);
}

#[tokio::test]
async fn a_silent_caller_is_dropped_and_holds_up_nobody() {
    let world = World::new();
    let bounds = Bounds { handshake_timeout: Duration::from_millis(100), handshakes: 2, connections: 2, ..Bounds::default() };
    let mut a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let mut silent = TcpStream::connect(a.address).await.expect("connected");
    let channel = a.dial(world.dialler(&world.node_b())).await.expect("served beside it");
    assert_eq!(a.refusal().await.code, RefusalCode::Timeout);
    assert_eq!(silent.read(&mut [0; 1]).await.expect("closed"), 0);
    check(channel).await.expect("served");
}

#[tokio::test]
async fn silent_callers_of_one_address_keep_those_of_another_out_at_no_time() {
    let world = World::new();
    let bounds = Bounds { handshake_timeout: Duration::from_secs(3_600), handshakes: 8, connections: 10, ..Bounds::default() };
    let mut a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let b = world.dialler(&world.node_b());
    // Also where half of the connections that there may be are open.
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(a.dial(Arc::clone(&b)).await.expect("connected"));
    }
    let mut held = Vec::new();
    for _ in 0..20 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("bound");
        held.push(socket.connect(a.address).await.expect("connected"));
    }
    assert_eq!(a.refusal().await.code, RefusalCode::Crowded);
    check(a.dial(b).await.expect("connected")).await.expect("served");
}

#[tokio::test]
async fn connections_are_bounded_and_a_closed_one_makes_room() {
    let world = World::new();
    let bounds = Bounds { handshake_timeout: Duration::from_secs(3_600), connections: 1, ..Bounds::default() };
    let a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let b = world.dialler(&world.node_b());
    let first = a.dial(Arc::clone(&b)).await.expect("connected");
    let mut second = std::pin::pin!(a.dial(b));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    check(first.clone()).await.expect("served");
    assert_eq!(a.open.len(), 1);
    drop(first);
    second.await.expect("room again");
}

#[tokio::test]
async fn whoever_finds_no_room_in_time_is_told_apart_from_those_who_are_silent() {
    let world = World::new();
    let bounds = Bounds { handshake_timeout: Duration::from_millis(500), connections: 1, ..Bounds::default() };
    let mut a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let b = world.dialler(&world.node_b());
    let first = a.dial(Arc::clone(&b)).await.expect("connected");
    let _waits = silent(&a, b).await;
    assert_eq!(a.refusal().await.code, RefusalCode::Full);
    check(first).await.expect("served");
}

#[tokio::test]
async fn one_more_connection_of_the_same_node_takes_the_place_of_its_oldest() {
    let world = World::new();
    let bounds = Bounds { connections_each: 2, ..Bounds::default() };
    let a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let (b, c) = (world.dialler(&world.node_b()), node("spiffe://alliance.example/member/c/node", "c.alliance.example", 3));
    let other = a.dial(world.dialler(&world.alliance.issue(c))).await.expect("connected");
    let mut oldest = silent(&a, Arc::clone(&b)).await;
    let second = a.dial(Arc::clone(&b)).await.expect("connected");
    let third = a.dial(b).await.expect("connected");
    // The node said its first word when the connection opened; now it only closes.
    let mut rest = Vec::new();
    let ended = oldest.read_to_end(&mut rest).await;
    assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock));
    for channel in [second, third, other] {
        check(channel).await.expect("served");
    }
}

#[tokio::test]
async fn a_caller_that_is_let_in_and_does_not_begin_is_dropped() {
    let world = World::new();
    let bounds = Bounds { handshake_timeout: Duration::from_millis(200), ..Bounds::default() };
    let a = Node::start(world.peer_listener(), bounds, |_| Ok(())).await;
    let channel = a.dial(world.dialler(&world.node_b())).await.expect("connected");
    for said in ["", "PRI * HTTP/2.0\r\n"] {
        let mut quiet = silent(&a, world.dialler(&world.node_b())).await;
        quiet.write_all(said.as_bytes()).await.expect("taken");
        drop(quiet.read_to_end(&mut Vec::new()).await);
    }
    check(channel).await.expect("who has spoken stays");
    assert_eq!(a.open.len(), 1);
}

#[tokio::test]
async fn a_caller_that_fills_the_line_and_takes_nothing_is_closed_like_any_other() {
    let world = World::new();
    let a = Node::start(world.peer_listener(), Bounds::default(), |_| Ok(())).await;
    let mut caller = silent(&a, world.dialler(&world.node_b())).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    caller.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()).await.expect("taken");
    // Probes, whose answers fill the line: then the node reads no more, either (RFC 9113, 6.7).
    let probes = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(1_000);
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(1), caller.write_all(&probes)).await.is_ok_and(|written| written.is_ok()) {
        sent += probes.len();
    }
    assert!(sent > 0);
    assert_eq!(a.open.close_where(|_| true), 1);
    let closed = async {
        while !a.open.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("it is closed");
}

/// A connection that is through TLS and speaks no HTTP/2.
async fn silent(node: &Node, config: Arc<ClientConfig>) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(node.address).await.expect("connected");
    let name = rustls::pki_types::ServerName::try_from("a.alliance.example").expect("a name");
    tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.expect("TLS")
}

#[tokio::test]
async fn shutting_down_ends_handshakes_under_way() {
    let world = World::new();
    let a = Node::peers(world.peer_listener()).await;
    let mut silent = TcpStream::connect(a.address).await.expect("connected");
    a.stop().await;
    let ended = silent.read(&mut [0; 1]).await;
    assert!(matches!(ended, Ok(0) | Err(_)));
}

#[test]
fn bad_inputs_are_told_apart() {
    let world = World::new();
    let (good, other) = (world.node_b(), world.node_b());
    let anchors = world.alliance.anchors();
    let code = |own: &Credentials, anchors: &TrustAnchors| {
        let server = server_config(own, anchors).map(|_| ()).map_err(|e| e.code());
        assert_eq!(client_config(own, anchors).map(|_| ()).map_err(|e| e.code()), server);
        server
    };
    let with = |chain: &str, key: &str| Credentials { chain: chain.into(), key: Zeroizing::new(key.into()) };
    assert_eq!(code(&good, &anchors), Ok(()));
    assert_eq!(code(&with("", &good.key), &anchors), Err("TLS_CERTIFICATE"));
    assert_eq!(code(&with(&good.chain, ""), &anchors), Err("TLS_KEY"));
    assert_eq!(code(&with(&good.chain, &good.chain), &anchors), Err("TLS_KEY"));
    assert_eq!(code(&with(&good.chain, &other.key), &anchors), Err("TLS_KEY_MISMATCH"));
    let anchored = |ca: &str, crls: &[&str]| TrustAnchors { ca: ca.into(), crls: crls.iter().map(|c| (*c).into()).collect() };
    assert_eq!(code(&good, &anchored("", &[])), Err("TLS_CA"));
    assert_eq!(code(&good, &anchored(&anchors.ca, &[""])), Err("TLS_CRL"));
    assert!(!format!("{good:?}").contains("PRIVATE"));
}

#[test]
fn a_revocation_list_of_another_ca_is_refused_before_it_locks_everyone_out() {
    let world = World::new();
    let mut named = CertificateParams::default();
    named.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    named.distinguished_name.push(rcgen::DnType::CommonName, "another");
    let other = Ca(CertifiedIssuer::self_signed(named, KeyPair::generate().expect("key")).expect("CA"));
    let anchors = TrustAnchors { ca: world.alliance.anchors().ca, crls: other.revoking(&[]).crls };
    let error = server_config(&world.node_b(), &anchors).expect_err("refused");
    assert!(matches!(error, TlsError::CrlIssuer));
}

#[test]
fn a_revocation_list_that_the_ca_did_not_sign_is_refused_whatever_name_it_bears() {
    let world = World::new();
    // Another CA of the same name, as an attacker would make it.
    let forged = Ca::new().revoking(&[]);
    let anchors = TrustAnchors { ca: world.alliance.anchors().ca, crls: forged.crls.clone() };
    let error = server_config(&world.node_b(), &anchors).expect_err("refused");
    assert!(matches!(error, TlsError::CrlSignature));
    // While one CA replaces another, each needs its own list, and its own name to be found by.
    let both = |crls| TrustAnchors { ca: world.alliance.anchors().ca + &forged.ca, crls };
    let own = world.alliance.revoking(&[]).crls;
    let error = server_config(&world.node_b(), &both(own.clone())).expect_err("one CA has no list");
    assert!(matches!(error, TlsError::CrlIssuer));
    let error =
        server_config(&world.node_b(), &both([own, forged.crls].concat())).expect_err("one of the lists is never asked");
    assert!(matches!(error, TlsError::CrlTwice));
}

#[test]
fn a_second_list_of_a_ca_is_refused_because_what_it_revokes_would_not_count() {
    let world = World::new();
    let lists = |crls: &[(&[u64], Option<&str>)]| {
        let crls = crls.iter().map(|(serials, part)| world.alliance.list(serials, *part)).collect();
        let anchors = TrustAnchors { ca: world.alliance.anchors().ca, crls };
        server_config(&world.node_b(), &anchors).map(drop).map_err(|error| error.code())
    };
    let (first, second) = (Some("http://crl.test/1"), Some("http://crl.test/2"));
    assert_eq!(lists(&[(&[], None), (&[2], None)]), Err("TLS_CRL_TWICE"));
    assert_eq!(lists(&[(&[], first), (&[2], first)]), Err("TLS_CRL_TWICE"));
    assert_eq!(lists(&[(&[], None), (&[2], first)]), Err("TLS_CRL_TWICE"), "the first is for all");
    assert_eq!(lists(&[(&[2], first), (&[], None)]), Err("TLS_CRL_TWICE"));
    assert_eq!(lists(&[(&[], first), (&[2], second)]), Ok(()), "each is for its part");
}

#[test]
fn what_a_revocation_list_says() {
    let revocations = Ca::new().revoking(&[2, 0x8000]).revocations().expect("readable");
    let serials = [&[2][..], &[0x80, 0]].map(CertificateSerial::from_der_integer);
    assert_eq!(revocations.serials, serials.into());
    assert_eq!(revocations.next_update.expect("given").to_string(), "2024-02-01T00:00:00Z");
    let certificate = Certificate { serial: CertificateSerial::from_der_integer(&[0, 0x80, 0]), ..a_certificate() };
    assert!(revocations.serials.contains(&certificate.serial));
}

fn a_certificate() -> Certificate {
    World::new().node_a.certificate().expect("readable")
}
