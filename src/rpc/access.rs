//! Which client may do what. The client is the one its certificate names; a request cannot say otherwise.

use std::collections::{BTreeMap, BTreeSet};

use tonic::{Request, Status};

use super::acceptor::PeerInfo;
use super::fault::Fault;
use super::identity::Identity;
use crate::domain::{Allowance, ClientName, MemberId, Role};

/// What one client may do, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What.
    pub roles: BTreeSet<Role>,
    /// How fast.
    pub allowance: Allowance,
}

impl From<BTreeSet<Role>> for Grant {
    /// As fast as the client likes.
    fn from(roles: BTreeSet<Role>) -> Self {
        Self { roles, allowance: Allowance::default() }
    }
}

/// Grants by client, as configured. A client that is not listed is not let in.
#[derive(Debug, Clone, Default)]
pub struct AccessList(BTreeMap<ClientName, Grant>);

impl AccessList {
    /// From the configuration.
    #[must_use]
    pub fn new(grants: impl IntoIterator<Item = (ClientName, impl Into<Grant>)>) -> Self {
        Self(grants.into_iter().map(|(client, grant)| (client, grant.into())).collect())
    }

    /// How fast `client` may ask.
    pub(super) fn allowance(&self, client: &ClientName) -> Allowance {
        self.0.get(client).map_or_else(Allowance::default, |grant| grant.allowance)
    }

    /// Whether any client may hand in only so many rows a day.
    #[must_use]
    pub fn has_quotas(&self) -> bool {
        self.0.values().any(|grant| grant.allowance.rows_per_day.is_some())
    }

    /// Whether `client` may do anything at all.
    #[must_use]
    pub fn lists(&self, client: &ClientName) -> bool {
        self.0.contains_key(client)
    }

    /// Whether `client` has every role here that it has in `older`: then what it was allowed to begin it may go on with.
    #[must_use]
    pub fn keeps(&self, client: &ClientName, older: &Self) -> bool {
        match (self.0.get(client), older.0.get(client)) {
            (Some(newer), Some(older)) => newer.roles.is_superset(&older.roles),
            (newer, _) => newer.is_some(),
        }
    }

    /// Refuses a request whose client has none of `roles`; any listed client will do where `roles` is empty.
    pub(super) fn require<T>(&self, request: &Request<T>, roles: &[Role]) -> Result<(), Status> {
        let identity = PeerInfo::of(request).map(|peer| &peer.identity);
        let Some(Identity::Client { name, .. }) = identity else {
            return Err(Fault::denied("CLIENT_REQUIRED", "this service is for clients of this member").into());
        };
        let granted = self.0.get(name);
        if granted.is_some_and(|granted| roles.is_empty() || roles.iter().any(|role| granted.roles.contains(role))) {
            return Ok(());
        }
        let wanted: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let message =
            format!("this client lacks the role {}; the operator grants it in the node's configuration", wanted.join(" or "));
        Err(Fault::denied("ROLE_MISSING", &message).into())
    }
}

/// The member whose node sent `request` on the peer listener.
pub(super) fn peer_member<T>(request: &Request<T>) -> Result<MemberId, Status> {
    match PeerInfo::of(request).map(|peer| &peer.identity) {
        Some(Identity::Node { member, .. }) => Ok(member.clone()),
        Some(Identity::Client { .. }) | None => {
            Err(Fault::denied("NODE_REQUIRED", "this service is for the nodes of other members").into())
        }
    }
}
