//! Which client may do what. The client is the one its certificate names; a request cannot say otherwise.

use std::collections::{BTreeMap, BTreeSet};

use tonic::{Request, Status};

use super::acceptor::PeerInfo;
use super::fault::Fault;
use super::identity::Identity;
use crate::domain::{ClientName, MemberId, Role};

/// Roles by client, as configured. A client that is not listed is not let in.
#[derive(Debug, Clone, Default)]
pub struct AccessList(BTreeMap<ClientName, BTreeSet<Role>>);

impl AccessList {
    /// From the configuration.
    #[must_use]
    pub fn new(roles: BTreeMap<ClientName, BTreeSet<Role>>) -> Self {
        Self(roles)
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
            (Some(newer), Some(older)) => newer.is_superset(older),
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
        if granted.is_some_and(|granted| roles.is_empty() || roles.iter().any(|role| granted.contains(role))) {
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
