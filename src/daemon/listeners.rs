use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::layer::util::{Identity, Stack};

use super::parts::Parts;
use super::rights::Tls;
use crate::domain::limits::{
    CLIENT_CONNECTION_WINDOW, CLIENT_STREAM_WINDOW, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_CLIENT_MESSAGE_BYTES,
    MAX_HEADER_BYTES, MAX_PEER_MESSAGE_BYTES, MAX_PEER_REQUEST_BYTES, MAX_STREAMS_PER_CONNECTION, MAX_STREAMS_PER_NODE,
};
use crate::domain::{ClientName, MemberId};
use crate::rpc::acceptor::{Acceptor, Bounds, OpenConnections, clients_of, peers_of};
use crate::rpc::identity::Identity as Caller;
use crate::rpc::proto::DESCRIPTORS;
use crate::rpc::proto::audit_service_server::AuditServiceServer;
use crate::rpc::proto::case_service_server::CaseServiceServer;
use crate::rpc::proto::key_ceremony_service_server::KeyCeremonyServiceServer;
use crate::rpc::proto::key_holder_service_server::KeyHolderServiceServer;
use crate::rpc::proto::key_service_server::KeyServiceServer;
use crate::rpc::proto::lead_service_server::LeadServiceServer;
use crate::rpc::proto::node_service_server::NodeServiceServer;
use crate::rpc::proto::peer_service_server::PeerServiceServer;
use crate::rpc::proto::screening_service_server::ScreeningServiceServer;
use crate::rpc::proto::signal_service_server::SignalServiceServer;
use crate::rpc::proto::watch_service_server::WatchServiceServer;
use crate::rpc::{
    AuditServer, CaseServer, Gate, KeyServer, LeadServer, Listener, NodeServer, PeerServer, ScreeningServer, SignalServer,
    WatchServer,
};

type Layers = Stack<Gate, Identity>;
pub(super) type Serving = JoinHandle<Result<(), tonic::transport::Error>>;

/// A listener at work.
pub(super) struct Listening {
    pub(super) server: Serving,
    pub(super) connections: OpenConnections,
}

/// The services of the client listener by name, the empty one for the node as a whole, as the health service knows them.
const SERVICES: [&str; 9] = [
    "",
    <AuditServiceServer<AuditServer> as NamedService>::NAME,
    <CaseServiceServer<CaseServer> as NamedService>::NAME,
    <KeyServiceServer<KeyServer> as NamedService>::NAME,
    <LeadServiceServer<LeadServer> as NamedService>::NAME,
    <SignalServiceServer<SignalServer> as NamedService>::NAME,
    <ScreeningServiceServer<ScreeningServer> as NamedService>::NAME,
    <NodeServiceServer<NodeServer> as NamedService>::NAME,
    <WatchServiceServer<WatchServer> as NamedService>::NAME,
];

/// What the health service tells.
pub(super) struct Health(HealthReporter);

impl Health {
    async fn begin(&self) {
        for service in SERVICES {
            self.0.set_service_status(service, ServingStatus::Serving).await;
        }
    }

    /// Tells everyone who watches that the node does not serve any more, and ends their streams, which would go on for ever.
    pub(super) async fn end(mut self) {
        for service in SERVICES {
            self.0.set_service_status(service, ServingStatus::NotServing).await;
            self.0.clear_service_status(service).await;
        }
    }
}

impl Parts {
    pub(super) fn peer_server(&self, tls: &Tls, socket: TcpListener, serving: &CancellationToken) -> Listening {
        let service = PeerServiceServer::new(PeerServer { context: self.serve.clone(), shutdown: serving.clone() })
            .max_decoding_message_size(MAX_PEER_REQUEST_BYTES)
            .max_encoding_message_size(MAX_PEER_MESSAGE_BYTES);
        let directory = self.directory.clone();
        let active = move |member: &MemberId| directory.roster().roster().is_active(member);
        let acceptor = Acceptor::new(tls.peers.clone(), peers_of(self.directory.alliance().clone(), active));
        let acceptor = self.counting(acceptor, Listener::Peers);
        let holder = KeyHolderServiceServer::new(self.holder.clone())
            .max_decoding_message_size(MAX_PEER_REQUEST_BYTES)
            .max_encoding_message_size(MAX_PEER_MESSAGE_BYTES);
        let ceremonies = KeyCeremonyServiceServer::new(self.holder.clone())
            .max_decoding_message_size(MAX_PEER_REQUEST_BYTES)
            .max_encoding_message_size(MAX_PEER_REQUEST_BYTES);
        let gate = Gate::of_peers(serving.clone(), self.counted.calls.clone(), self.clock.clone());
        let router = server(gate, MAX_STREAMS_PER_NODE).add_service(service).add_service(holder).add_service(ceremonies);
        serve_on(router, acceptor.with_bounds(Bounds::of_peers()), socket, serving)
    }

    pub(super) async fn client_server(
        &self,
        tls: &Tls,
        socket: TcpListener,
        serving: &CancellationToken,
    ) -> (Listening, Health) {
        let (reporter, health_service) = health_reporter();
        let health = Health(reporter);
        health.begin().await;
        let (watches, access) = (self.watches.clone(), self.access.clone());
        let watches = WatchServer { watches, access, shutdown: serving.clone() };
        let (calls, used) = (self.counted.calls.clone(), self.rows_of_today().await);
        let gate = Gate::of_clients(serving.clone(), calls, self.clock.clone(), self.access.clone(), used);
        let server = server(gate, MAX_STREAMS_PER_CONNECTION);
        let mut server =
            server.initial_connection_window_size(CLIENT_CONNECTION_WINDOW).initial_stream_window_size(CLIENT_STREAM_WINDOW);
        let router = server
            .add_service(health_service)
            .add_service(SignalServiceServer::new(self.signals.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(
                ScreeningServiceServer::new(self.screening.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES),
            )
            .add_service(CaseServiceServer::new(self.cases.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(WatchServiceServer::new(watches).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(LeadServiceServer::new(self.leads.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(KeyServiceServer::new(self.keys.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(AuditServiceServer::new(self.audit.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES))
            .add_service(NodeServiceServer::new(self.node.clone()).max_decoding_message_size(MAX_CLIENT_MESSAGE_BYTES));
        let router = with_reflection(router);
        let access = self.access.clone();
        let listed = move |client: &ClientName| access.load().lists(client);
        let (alliance, own) = (self.directory.alliance().clone(), self.directory.member().clone());
        let acceptor = Acceptor::new(tls.clients.clone(), clients_of(alliance, own, listed));
        let acceptor = self.counting(acceptor, Listener::Clients);
        (serve_on(router, acceptor.with_bounds(Bounds::of_clients()), socket, serving), health)
    }

    /// What each client has handed in today, before the node was started; looked for where that matters.
    async fn rows_of_today(&self) -> Vec<(Caller, u64)> {
        if !self.access.load().has_quotas() {
            return Vec::new();
        }
        let (alliance, member) = (self.directory.alliance(), self.directory.member());
        let identity = |name| Caller::Client { alliance: alliance.clone(), member: member.clone(), name };
        match self.audit.audit.rows_of_today().await {
            Ok(rows) => rows.into_iter().map(|(client, rows)| (identity(client), rows)).collect(),
            Err(error) => {
                tracing::warn!(code = error.code(), %error, "rows of the day are counted from now on: the audit log cannot be read");
                Vec::new()
            }
        }
    }

    /// Counts who is not let in.
    fn counting(&self, acceptor: Acceptor, listener: Listener) -> Acceptor {
        let calls = self.counted.calls.clone();
        acceptor.on_refused(move |refusal| calls.refused(listener, refusal))
    }
}

fn server(gate: Gate, streams: u32) -> Server<Layers> {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(streams))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .layer(gate)
}

/// Both versions of reflection: some tools speak only the older one. It names what this listener serves, and not what serves
/// the nodes of others.
fn with_reflection(router: Router<Layers>) -> Router<Layers> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        let own = SERVICES.into_iter().filter(|service| !service.is_empty());
        let own = own.fold(builder, tonic_reflection::server::Builder::with_service_name);
        own.with_service_name("grpc.health.v1.Health")
    };
    let v1 = builder().with_service_name("grpc.reflection.v1.ServerReflection").build_v1();
    let v1alpha = builder().with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    match (v1, v1alpha) {
        (Ok(v1), Ok(v1alpha)) => router.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(code = "REFLECTION", %error, "reflection is not offered");
            router
        }
    }
}

fn serve_on(router: Router<Layers>, acceptor: Acceptor, socket: TcpListener, serving: &CancellationToken) -> Listening {
    let connections = acceptor.open_connections();
    let incoming = acceptor.accept(socket, serving.clone());
    let ended = serving.clone().cancelled_owned();
    let server = tokio::spawn(router.serve_with_incoming_shutdown(Box::pin(incoming), ended));
    Listening { server, connections }
}
