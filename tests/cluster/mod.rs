//! An alliance of real nodes in one process: real stores in temporary folders, real mutual TLS on sockets of the kernel's
//! choosing, certificates from the real ceremonies. Nothing is faked but the population.
#![allow(dead_code, unreachable_pub)]

pub mod evidence;
pub mod front;
pub mod log;
pub mod logged;
pub mod ports;
pub mod program;
pub mod proxy;
pub mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use countermark::alliance::{
    Admission, AllianceCa, Applicant, ClientCa, JoinRequest, MemberSecrets, PseudonymSecret, RosterHandover, default_platforms,
};
use countermark::daemon::{EvidenceFolder, FolderVault, Listeners, Node, NodeSetup, StartError, SystemClock, SystemEntropy};
use countermark::domain::{
    AllianceName, ClientName, Clock as _, Group, KeyId, KeyState, Member, MemberId, MemberKind, MemberState, Role, Roster,
    RosterKey, Scheme, SharedGeneration, Timestamp,
};
use countermark::feed::{SignedRoster, SigningKey};
use countermark::pseudonym::{HmacKey, deal};
use countermark::replication::{OwnFeeds, Pace};
use countermark::rpc::AccessList;
use countermark::rpc::connector::{ConnectError, connect};
use countermark::rpc::proto;
use countermark::rpc::proto::case_service_client::CaseServiceClient;
use countermark::rpc::proto::lead_service_client::LeadServiceClient;
use countermark::rpc::proto::node_service_client::NodeServiceClient;
use countermark::rpc::proto::peer_service_client::PeerServiceClient;
use countermark::rpc::proto::screening_service_client::ScreeningServiceClient;
use countermark::rpc::proto::signal_service_client::SignalServiceClient;
use countermark::rpc::tls::{Credentials, TrustAnchors, client_config};
use countermark::service::{CeremonyPace, KeySecrets, LocalSecret, ReloadDesk, ShareVault as _, dealt_record};
use tokio::net::TcpListener;
use tonic::transport::Channel;

/// How long a test waits for what must come, before it fails. Never slept: what is waited for is asked again and again.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub fn member(name: &str) -> MemberId {
    name.parse().expect("a member's name")
}

/// What the secretariat and every member hold.
pub struct Alliance {
    pub name: AllianceName,
    pub ca: AllianceCa,
    pub secretariat: SigningKey,
    pub roster: Roster,
    keys: BTreeMap<KeyId, String>,
    members: BTreeMap<MemberId, Membership>,
    folder: tempfile::TempDir,
    /// Where one member's node dials another's in place of the roster's address.
    routes: BTreeMap<(MemberId, MemberId), String>,
    /// Of every node that is started from now on.
    pub pace: Pace,
    /// What nodes take their own feeds for when they start.
    pub own_feeds: OwnFeeds,
}

impl Drop for Alliance {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            evidence::assert_silent([self.folder.path()], &self.signed_roster());
        }
    }
}

/// One member's secrets and addresses.
pub struct Membership {
    pub secrets: MemberSecrets,
    pub request: JoinRequest,
    pub peers: SocketAddr,
    pub clients: SocketAddr,
    access: BTreeMap<ClientName, BTreeSet<Role>>,
}

struct HeldKeys(BTreeMap<KeyId, String>);

impl KeySecrets for HeldKeys {
    fn secrets(&self) -> Vec<(KeyId, HmacKey)> {
        self.0.iter().map(|(id, text)| (id.clone(), HmacKey::from_text(text).expect("a key"))).collect()
    }

    fn destroy(&self, _key: &KeyId) {}
}

/// Sockets that were bound to learn their addresses, until the node takes them.
pub type Sockets = BTreeMap<MemberId, Listeners>;

impl Alliance {
    /// An alliance with these members, one HMAC key, and sockets for all.
    pub async fn new(members: &[(&str, MemberKind)]) -> (Self, Sockets) {
        let entropy = SystemEntropy;
        let name: AllianceName = "alliance.example".parse().expect("valid");
        let ca = AllianceCa::create(name.clone(), SystemClock.now(), &entropy).expect("a CA");
        let key = HmacKey::generate(&entropy).expect("a key");
        let id: KeyId = "k1".parse().expect("valid");
        let listed = RosterKey {
            id: id.clone(),
            scheme: Scheme::HmacSha256,
            state: KeyState::Active,
            check: key.check_value(),
            sharing: None,
        };
        let roster = Roster {
            keys: vec![listed],
            platforms: default_platforms(),
            ..Roster::first(name.clone(), "2026-11-22T00:00:00Z".into())
        };
        let mut alliance = Self {
            name,
            ca,
            secretariat: SigningKey::generate(&entropy).expect("a key"),
            roster,
            keys: [(id, key.to_text().to_string())].into(),
            members: BTreeMap::new(),
            folder: tempfile::tempdir().expect("a folder"),
            routes: BTreeMap::new(),
            pace: quick(),
            own_feeds: OwnFeeds::default(),
        };
        let mut sockets = Sockets::new();
        for (id, kind) in members {
            sockets.insert(member(id), alliance.admit(id, *kind).await);
        }
        (alliance, sockets)
    }

    /// Brings in one more member, and binds its sockets.
    pub async fn admit(&mut self, id: &str, kind: MemberKind) -> Listeners {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (peers, clients) = (bind().await.expect("a socket"), bind().await.expect("a socket"));
        let listeners = Listeners { peers, clients, monitoring: None };
        let peers = listeners.peers.local_addr().expect("bound");
        let applicant =
            Applicant { alliance: self.name.clone(), member: member(id), kind, name: id.into(), address: peers.to_string() };
        let (request, secrets) = JoinRequest::create(applicant, SystemClock.now(), &SystemEntropy).expect("a request");
        self.roster.members.push(Member {
            id: member(id),
            kind,
            name: id.into(),
            state: MemberState::Active,
            address: peers.to_string(),
            feed_key: request.feed_key,
        });
        let roles: BTreeSet<Role> = Role::ALL.iter().copied().collect();
        let client: ClientName = "all-roles".parse().expect("valid");
        let clients = listeners.clients.local_addr().expect("bound");
        let membership = Membership { secrets, request, peers, clients, access: [(client, roles)].into() };
        self.members.insert(member(id), membership);
        listeners
    }

    /// Makes a key that these members share, `threshold` of whom are needed, the only one. No secret of all members is left.
    pub fn share_key(&mut self, threshold: u16, holders: &[&str]) {
        let members: Vec<MemberId> = holders.iter().map(|holder| member(holder)).collect();
        let (sharing, held) = deal(threshold, &members, &SystemEntropy).expect("dealt");
        self.keys.clear();
        let (id, scheme, state) = ("s1".parse().expect("valid"), Scheme::ToprfRistretto255, KeyState::Active);
        let listed = RosterKey { id, scheme, state, check: String::new(), sharing: Some(sharing) };
        let generation = SharedGeneration::of(&listed).expect("dealt");
        for (holder, held) in holders.iter().zip(held) {
            let record = dealt_record(held, generation.clone(), SystemClock.now());
            self.vault(holder).save(&listed.id, &record).expect("kept");
        }
        self.amend(|roster| roster.keys = vec![listed]);
    }

    /// Where `id`'s node keeps its shares.
    pub fn vault(&self, id: &str) -> FolderVault {
        FolderVault::at(self.vault_folder(id))
    }

    /// See [`Self::vault`].
    pub fn vault_folder(&self, id: &str) -> PathBuf {
        self.folder.path().join("shares").join(id)
    }

    /// The secret of the key that all members hold, as its file has it.
    pub fn key_text(&self) -> &str {
        self.keys.values().next().expect("a key")
    }

    /// Forms a group.
    pub fn group(&mut self, name: &str, members: &[&str]) {
        let members = members.iter().map(|m| member(m)).collect();
        self.roster.groups.push(Group { name: name.parse().expect("valid"), members });
    }

    /// Gives a client of `id` these roles, beside `all-roles`, which has all of them.
    pub fn grant(&mut self, id: &str, client: &str, roles: &[Role]) {
        let membership = self.members.get_mut(&member(id)).expect("a member");
        membership.access.insert(client.parse().expect("valid"), roles.iter().copied().collect());
    }

    /// Changes the roster and raises its serial.
    pub fn amend(&mut self, change: impl FnOnce(&mut Roster)) {
        change(&mut self.roster);
        self.roster.serial += 1;
    }

    pub fn signed_roster(&self) -> Bytes {
        SignedRoster::sign(self.roster.clone(), &self.secretariat).expect("valid").note().clone()
    }

    pub fn membership(&self, id: &str) -> &Membership {
        &self.members[&member(id)]
    }

    pub fn data_dir(&self, id: &str) -> PathBuf {
        self.folder.path().join(id)
    }

    pub fn client_ca(&self, id: &str) -> &ClientCa {
        &self.members[&member(id)].secrets.client_ca
    }

    pub fn peer_anchors(&self) -> TrustAnchors {
        TrustAnchors { ca: self.ca.certificate().to_owned(), crls: vec![] }
    }

    /// From now on `from`'s node reaches `to`'s at `address`.
    pub fn route(&mut self, from: &str, to: &str, address: impl ToString) {
        self.routes.insert((member(from), member(to)), address.to_string());
    }

    /// The node's own credentials, through the real admission.
    pub fn node_credentials(&self, id: &str) -> Credentials {
        self.node_credentials_of(id, SystemClock.now())
    }

    /// The same, issued at another time.
    pub fn node_credentials_of(&self, id: &str, now: Timestamp) -> Credentials {
        let membership = self.membership(id);
        let handover = RosterHandover {
            note: String::from_utf8(self.signed_roster().to_vec()).expect("text"),
            key: self.secretariat.public(),
        };
        let keys: Vec<PseudonymSecret> = self
            .keys
            .iter()
            .map(|(id, text)| PseudonymSecret { id: id.clone(), text: zeroize::Zeroizing::new(text.clone()) })
            .collect();
        let admission = Admission::issue(&membership.request, &self.ca, handover, &keys, now, &SystemEntropy);
        let accepted = admission.expect("issued").accept(&membership.request, &membership.secrets, now);
        accepted.expect("accepted").node
    }

    /// All that `id`'s node is made of.
    pub fn setup(&self, id: &str) -> NodeSetup {
        let membership = self.membership(id);
        NodeSetup {
            alliance: self.name.clone(),
            member: member(id),
            data_dir: self.data_dir(id),
            cache_bytes: 32 << 20,
            feed_key: SigningKey::from_seed_text(&membership.secrets.feed_key).expect("a key"),
            local_secret: LocalSecret::from_text(&membership.secrets.local_secret).expect("a secret"),
            secrets: Arc::new(HeldKeys(self.keys.clone())),
            vault: Arc::new(self.vault(id)),
            cached_pseudonyms: 0,
            shelf: Arc::new(EvidenceFolder::at(self.folder.path().join("evidence").join(id))),
            roster: Some(self.signed_roster()),
            secretariat: self.secretariat.public(),
            credentials: self.node_credentials(id),
            peers: self.peer_anchors(),
            clients: TrustAnchors { ca: membership.secrets.client_ca.certificate().to_owned(), crls: vec![] },
            access: AccessList::new(membership.access.clone()),
            webhook: None,
            addresses: self.addresses(id),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            pace: self.pace,
            ceremony_pace: CeremonyPace { busy: Duration::from_millis(50), idle: Duration::from_millis(200) },
            own_feeds: self.own_feeds,
            reloads: ReloadDesk::default(),
        }
    }

    fn addresses(&self, from: &str) -> BTreeMap<MemberId, String> {
        let routes = self.routes.iter().filter(|((of, _), _)| of.as_str() == from);
        routes.map(|((_, to), address)| (to.clone(), address.clone())).collect()
    }

    /// `id`'s own addresses again, for a node that was stopped.
    pub async fn rebind(&self, id: &str) -> Listeners {
        let membership = self.membership(id);
        Listeners {
            peers: TcpListener::bind(membership.peers).await.expect("its address"),
            clients: TcpListener::bind(membership.clients).await.expect("its address"),
            monitoring: None,
        }
    }

    /// Starts `id`'s node on `listeners`, or on its own addresses again.
    pub async fn start(&self, id: &str, listeners: Option<Listeners>) -> Result<Node, StartError> {
        let listeners = match listeners {
            Some(listeners) => listeners,
            None => self.rebind(id).await,
        };
        Node::start(self.setup(id), listeners).await
    }

    /// Starts every node.
    pub async fn start_all(&self, sockets: Sockets) -> BTreeMap<MemberId, Node> {
        let mut nodes = BTreeMap::new();
        for (id, listeners) in sockets {
            let node = self.start(id.as_str(), Some(listeners)).await.expect("starts");
            nodes.insert(id, node);
        }
        self.wait_until_writable().await;
        nodes
    }

    /// Until each node has compared its own feeds with another member's copy, and takes signals.
    async fn wait_until_writable(&self) {
        for id in self.members.keys() {
            self.client(id.as_str()).await.ready().await;
        }
    }

    /// A connection of `id`'s client `name`.
    pub async fn channel(&self, id: &str, name: &str) -> Channel {
        self.try_channel(id, name).await.expect("connects")
    }

    /// The same, for one that may be refused.
    pub async fn try_channel(&self, id: &str, name: &str) -> Result<Channel, ConnectError> {
        let own = self.client_credentials(id, name, SystemClock.now());
        self.dial(id, self.membership(id).clients, &own).await
    }

    /// A certificate of `id`'s client `name`, issued at `now`.
    pub fn client_credentials(&self, id: &str, name: &str, now: Timestamp) -> Credentials {
        let client = name.parse().expect("valid");
        self.client_ca(id).issue_client(&client, now, &SystemEntropy).expect("issued")
    }

    /// Dials one of `id`'s listeners with these credentials.
    pub async fn dial(&self, id: &str, address: SocketAddr, own: &Credentials) -> Result<Channel, ConnectError> {
        let config = client_config(own, &self.peer_anchors()).expect("valid");
        connect(&address.to_string(), self.name.node_dns_name(&member(id)), Arc::new(config)).await
    }

    /// The peer service of `to`, called as `from`'s node.
    pub async fn peer(&self, from: &str, to: &str) -> PeerServiceClient<Channel> {
        let channel = self.dial(to, self.membership(to).peers, &self.node_credentials(from)).await.expect("connects");
        PeerServiceClient::new(channel)
    }

    pub async fn client(&self, id: &str) -> Client {
        Client::on(self.channel(id, "all-roles").await)
    }
}

/// Heartbeats and waits short enough for a test.
pub fn quick() -> Pace {
    Pace {
        heartbeat: Duration::from_millis(500),
        relay_after: Duration::from_millis(1_000),
        backoff_first: Duration::from_millis(50),
        backoff_last: Duration::from_millis(500),
    }
}

/// Every service of one node.
#[derive(Clone)]
pub struct Client {
    pub signals: SignalServiceClient<Channel>,
    pub screening: ScreeningServiceClient<Channel>,
    pub cases: CaseServiceClient<Channel>,
    pub leads: LeadServiceClient<Channel>,
    pub node: NodeServiceClient<Channel>,
}

impl Client {
    pub fn on(channel: Channel) -> Self {
        Self {
            signals: SignalServiceClient::new(channel.clone()),
            screening: ScreeningServiceClient::new(channel.clone()),
            cases: CaseServiceClient::new(channel.clone()),
            leads: LeadServiceClient::new(channel.clone()),
            node: NodeServiceClient::new(channel),
        }
    }

    pub async fn status(&mut self) -> proto::GetStatusResponse {
        self.node.get_status(proto::GetStatusRequest {}).await.expect("a status").into_inner()
    }

    /// Waits until the node may write: it first compares its own feeds with what other members hold of them.
    pub async fn ready(&self) {
        eventually("the node knows that it holds all of its own feeds", || {
            let mut client = self.clone();
            async move {
                let feeds = client.status().await.freshness.expect("freshness").feeds;
                feeds.iter().all(|feed| feed.state() != proto::FeedState::Unconfirmed)
            }
        })
        .await;
    }

    pub async fn submit(&mut self, submission: proto::Submission) -> Result<proto::SubmissionReceipt, tonic::Status> {
        self.ready().await;
        let request = proto::SubmitSignalRequest { submission: Some(submission) };
        self.signals.submit_signal(request).await.map(|r| r.into_inner().receipt.expect("a receipt"))
    }

    /// Submits all on one stream. One result for each, in order.
    pub async fn submit_all(&mut self, rows: Vec<proto::Submission>) -> Vec<Result<proto::SubmissionReceipt, proto::RowError>> {
        self.ready().await;
        let requests = rows.into_iter().map(|row| proto::SubmitSignalsRequest { submission: Some(row) });
        let responses = self.signals.submit_signals(tokio_stream::iter(requests.collect::<Vec<_>>())).await.expect("a stream");
        let mut responses = responses.into_inner();
        let mut results = Vec::new();
        while let Some(response) = responses.message().await.expect("a response") {
            results.push(match response.result.expect("a result") {
                proto::submit_signals_response::Result::Receipt(receipt) => Ok(receipt),
                proto::submit_signals_response::Result::Error(error) => Err(error),
            });
        }
        results
    }

    pub async fn check(&mut self, identifiers: Vec<proto::Identifier>) -> Result<proto::CheckAnswer, tonic::Status> {
        let request = proto::CheckSellerRequest { identifiers, watch: None };
        self.screening.check_seller(request).await.map(|r| r.into_inner().answer.expect("an answer"))
    }

    /// Checks all on one stream. One result for each, in order.
    pub async fn check_all(&mut self, rows: Vec<Vec<proto::Identifier>>) -> Vec<Result<proto::CheckAnswer, proto::RowError>> {
        let requests: Vec<_> =
            rows.into_iter().map(|identifiers| proto::CheckSellersRequest { identifiers, watch: None }).collect();
        let responses = self.screening.check_sellers(tokio_stream::iter(requests)).await.expect("a stream");
        let mut responses = responses.into_inner();
        let mut results = Vec::new();
        while let Some(response) = responses.message().await.expect("a response") {
            results.push(match response.result.expect("a result") {
                proto::check_sellers_response::Result::Answer(answer) => Ok(answer),
                proto::check_sellers_response::Result::Error(error) => Err(error),
            });
        }
        results
    }

    /// Entries held of a feed.
    pub async fn size(&mut self, feed_member: &str, audience: &str) -> u64 {
        self.feed(feed_member, audience).await.map_or(0, |feed| feed.size)
    }

    /// What the node says of a feed.
    pub async fn feed(&mut self, feed_member: &str, audience: &str) -> Option<proto::FeedFreshness> {
        let feeds = self.status().await.freshness.expect("freshness").feeds;
        feeds.into_iter().find(|f| f.member == feed_member && f.audience == audience)
    }

    /// What the node says of a peer.
    pub async fn peer(&mut self, id: &str) -> proto::PeerStatus {
        self.status().await.peers.into_iter().find(|peer| peer.member == id).unwrap_or_default()
    }
}

pub fn identifier(kind: proto::IdentifierKind, value: &str) -> proto::Identifier {
    evidence::told(value);
    proto::Identifier { kind: kind.into(), value: value.into(), region: String::new() }
}

/// The least that a statement needs.
pub fn statement() -> proto::Statement {
    proto::Statement {
        infringement: proto::Infringement::TrademarkCounterfeit.into(),
        evidence: vec![proto::Evidence { kind: proto::EvidenceKind::TestPurchase.into(), grade: 0, sha256: vec![] }],
        ..proto::Statement::default()
    }
}

/// A submission to `audience` about one seller.
pub fn submission(audience: &str, identifiers: Vec<proto::Identifier>) -> proto::Submission {
    proto::Submission { submission_id: String::new(), audience: audience.into(), identifiers, statement: Some(statement()) }
}

/// Waits until a check at a member's node finds the identifier.
pub async fn until_found(client: &Client, identifier: proto::Identifier) {
    eventually("the signal is found", || {
        let (mut client, identifier) = (client.clone(), identifier.clone());
        async move { client.check(vec![identifier]).await.expect("answered").verdict() != proto::Verdict::NoneKnown }
    })
    .await;
}

/// Asks again and again until the answer is yes; fails the test with `what` when it never comes.
pub async fn eventually<F, Fut>(what: &str, mut ask: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !ask().await {
            pause.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}
