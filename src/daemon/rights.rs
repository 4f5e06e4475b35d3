use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{NodeSetup, StartError};
use crate::domain::limits::{CERTIFICATE_CHECK_INTERVAL, CERTIFICATE_WARNING, CERTIFICATE_WARNING_PAUSE};
use crate::domain::{AllianceName, Clock, MemberId, Timestamp};
use crate::feed::{Replacement, RosterError, SignedRoster};
use crate::membership::{Directory, DirectoryError};
use crate::rpc::AccessList;
use crate::rpc::acceptor::{OpenConnections, PeerInfo};
use crate::rpc::identity::Identity;
use crate::rpc::tls::{Credentials, Revocations, TrustAnchors, client_config, server_config, verify_node};
use crate::service::{Deadline, Deadlines, Ending, Pseudonymiser};

/// What a running node can be given anew.
pub struct Renewal {
    /// The node's certificate and key.
    pub credentials: Credentials,
    /// The alliance CA and its revocation lists.
    pub peers: TrustAnchors,
    /// The member's own CA and its revocation lists.
    pub clients: TrustAnchors,
    /// Roles of clients.
    pub access: AccessList,
    /// A roster at hand, as signed note. One that is older than the one in force changes nothing.
    pub roster: Option<Bytes>,
}

impl From<NodeSetup> for Renewal {
    fn from(setup: NodeSetup) -> Self {
        let NodeSetup { credentials, peers, clients, access, roster, .. } = setup;
        Self { credentials, peers, clients, access, roster }
    }
}

/// TLS of both listeners and for dialling, replaced whole.
pub(super) struct Tls {
    pub(super) peers: Arc<ArcSwap<rustls::ServerConfig>>,
    pub(super) clients: Arc<ArcSwap<rustls::ServerConfig>>,
    pub(super) dialling: Arc<ArcSwap<rustls::ClientConfig>>,
    pub(super) deadlines: Deadlines,
    basis: ArcSwap<Basis>,
}

/// What the configurations in use were built from, as far as it is needed later.
struct Basis {
    /// The last instant at which the node's own certificate is good.
    own_until: Timestamp,
    peers_ca: String,
    clients_ca: String,
}

/// The same, built and not in use yet.
struct Built {
    peers: rustls::ServerConfig,
    clients: rustls::ServerConfig,
    dialling: rustls::ClientConfig,
    /// In the order of what ends.
    deadlines: Vec<Deadline>,
    /// What the lists of the alliance's CA revoke, and those of the member's own.
    revoked: (Revocations, Revocations),
    basis: Basis,
}

impl Built {
    fn new(
        own: &Credentials,
        peers: &TrustAnchors,
        clients: &TrustAnchors,
        (alliance, member): (&AllianceName, &MemberId),
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let certificate = verify_node(own, peers, now)?;
        if certificate.identity != (Identity::Node { alliance: alliance.clone(), member: member.clone() }) {
            return Err(StartError::WrongCertificate(certificate.identity.to_string()));
        }
        let revoked = (peers.revocations()?, clients.revocations()?);
        let certificates = [
            (Ending::NodeCertificate, Some(certificate.not_after)),
            (Ending::AllianceCa, Some(peers.not_after()?)),
            (Ending::ClientCa, Some(clients.not_after()?)),
            (Ending::AllianceCrl, revoked.0.next_update),
            (Ending::ClientCrl, revoked.1.next_update),
        ];
        let deadlines = certificates.into_iter().filter_map(|(ending, at)| Some(Deadline { ending, at: at? }));
        Ok(Self {
            peers: server_config(own, peers)?,
            clients: server_config(own, clients)?,
            dialling: client_config(own, peers)?,
            deadlines: deadlines.collect(),
            revoked,
            basis: Basis { own_until: certificate.not_after, peers_ca: peers.ca.clone(), clients_ca: clients.ca.clone() },
        })
    }
}

impl Tls {
    pub(super) fn build(setup: &NodeSetup) -> Result<Self, StartError> {
        let whose = (&setup.alliance, &setup.member);
        let built = Built::new(&setup.credentials, &setup.peers, &setup.clients, whose, setup.clock.now())?;
        Ok(Self {
            peers: Arc::new(ArcSwap::from_pointee(built.peers)),
            clients: Arc::new(ArcSwap::from_pointee(built.clients)),
            dialling: Arc::new(ArcSwap::from_pointee(built.dialling)),
            deadlines: Arc::new(ArcSwap::from_pointee(built.deadlines)),
            basis: ArcSwap::from_pointee(built.basis),
        })
    }

    /// Gives back what was in use.
    fn replace(&self, built: Built) -> Arc<Basis> {
        self.peers.store(Arc::new(built.peers));
        self.clients.store(Arc::new(built.clients));
        self.dialling.store(Arc::new(built.dialling));
        self.deadlines.store(Arc::new(built.deadlines));
        self.basis.swap(Arc::new(built.basis))
    }
}

/// Who may come in and stay: certificates, roles and roster in force, and the connections that were opened by them.
///
/// Whatever ends a right is put in force first, and the connections are looked through after it; the acceptor does it the
/// other way round. So a connection that is being opened meanwhile is found here or refused there.
pub(super) struct Rights {
    pub(super) directory: Arc<Directory>,
    pub(super) pseudonymiser: Arc<Pseudonymiser>,
    pub(super) access: Arc<ArcSwap<AccessList>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tls: Tls,
    pub(super) peers: OpenConnections,
    pub(super) clients: OpenConnections,
}

impl Rights {
    pub(super) async fn renew(&self, renewal: Renewal) -> Result<(), StartError> {
        let Renewal { credentials, peers, clients, access, roster } = renewal;
        let whose = (self.directory.alliance(), self.directory.member());
        let mut built = Built::new(&credentials, &peers, &clients, whose, self.clock.now())?;
        let revoked = std::mem::take(&mut built.revoked);
        let newer = roster.map(|note| self.newer(note)).transpose()?.flatten();
        let in_force = self.directory.roster();
        self.pseudonymiser.ready(newer.as_ref().unwrap_or(&in_force).roster())?;
        // The roster first: it is kept on disk, which can fail; what follows cannot.
        if let Some(newer) = newer {
            self.directory.offer(newer.note().clone()).await?;
        }
        self.pseudonymiser.renew();
        let old = (self.tls.replace(built), self.access.swap(Arc::new(access)));
        self.close_lost(&old.0, &old.1, &revoked);
        self.close_expelled();
        self.close_ended();
        Ok(())
    }

    /// The roster in `note` where it is newer than the one in force.
    fn newer(&self, note: Bytes) -> Result<Option<SignedRoster>, StartError> {
        match self.directory.judge(note) {
            Ok((offered, Replacement::Replace)) => {
                let member = offered.roster().member(self.directory.member());
                let in_force = self.directory.roster();
                let own = in_force.roster().member(self.directory.member());
                match (member, own) {
                    (Some(member), Some(own)) if member.feed_key != own.feed_key => Err(StartError::WrongFeedKey),
                    (Some(_), _) if offered.roster().is_active(self.directory.member()) => Ok(Some(offered)),
                    (Some(_) | None, _) => Err(DirectoryError::NotAMember.into()),
                }
            }
            Ok((_, Replacement::Keep)) => Ok(None),
            Err(error @ RosterError::RolledBack { .. }) => {
                tracing::info!(code = error.code(), %error, "the roster file is not used; a newer one is in force");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes connections of revoked certificates, of clients that may do less than before, and all where their CA is another:
    /// who is still trusted comes again.
    fn close_lost(&self, old: &Basis, old_access: &AccessList, (peers, clients): &(Revocations, Revocations)) {
        let (basis, access) = (self.tls.basis.load(), self.access.load());
        let of_peers =
            self.peers.close_where(|peer| basis.peers_ca != old.peers_ca || peers.serials.contains(&peer.certificate_serial));
        let of_clients = self.clients.close_where(|peer| {
            let keeps = match &peer.identity {
                Identity::Client { name, .. } => access.keeps(name, old_access),
                Identity::Node { .. } => false,
            };
            !keeps || basis.clients_ca != old.clients_ca || clients.serials.contains(&peer.certificate_serial)
        });
        if of_peers + of_clients > 0 {
            tracing::warn!(
                code = "CONNECTIONS_CLOSED",
                of_peers,
                of_clients,
                "connections without a right to stay were closed"
            );
        }
    }

    fn close_where(&self, unwanted: impl Fn(&PeerInfo) -> bool) -> usize {
        self.peers.close_where(&unwanted) + self.clients.close_where(&unwanted)
    }

    /// Closes every connection, and says how many there were.
    pub(super) fn close_all(&self) -> usize {
        self.close_where(|_| true)
    }

    fn close_expelled(&self) {
        let signed = self.directory.roster();
        let closed = self.close_where(|peer| !signed.roster().is_active(peer.identity.member()));
        if closed > 0 {
            tracing::warn!(code = "MEMBER_NOT_ACTIVE", closed, "connections of expelled members were closed");
        }
    }

    fn close_ended(&self) {
        let now = self.clock.now();
        let closed = self.close_where(|peer| peer.certificate_not_after < now);
        if closed > 0 {
            tracing::warn!(code = "TLS_EXPIRED", closed, "connections whose certificate has ended were closed");
        }
    }

    /// Cuts off members as soon as a roster expels them and certificates as soon as they end, and warns of the node's own end.
    pub(super) async fn watch(self: Arc<Self>, mut serials: watch::Receiver<u64>, working: CancellationToken) {
        let mut minutes = interval(CERTIFICATE_CHECK_INTERVAL);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut warned_at = None;
        loop {
            tokio::select! {
                () = working.cancelled() => return,
                changed = serials.changed() => match changed {
                    Ok(()) => self.close_expelled(),
                    Err(_) => return,
                },
                _ = minutes.tick() => {
                    self.close_ended();
                    self.warn_of_own_end(&mut warned_at);
                }
            }
        }
    }

    fn warn_of_own_end(&self, warned_at: &mut Option<Timestamp>) {
        let (now, until) = (self.clock.now(), self.tls.basis.load().own_until);
        let is_near = until.since(now) < CERTIFICATE_WARNING;
        let is_due = warned_at.is_none_or(|at| now.since(at) >= CERTIFICATE_WARNING_PAUSE);
        if is_near && is_due {
            *warned_at = Some(now);
            tracing::warn!(
                code = "CERTIFICATE_ENDS",
                %until,
                "this node's certificate ends soon, and no peer or client is reached after it; have the secretariat renew it, put the \
                 new one in place and reload"
            );
        }
    }
}
