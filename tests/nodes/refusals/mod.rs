//! Everything that a node refuses, over real mutual TLS: the caller gets the right code, and the refusing node says so in its log
//! exactly once.

mod callers;
mod expulsion;
mod liars;
mod requests;

use countermark::rpc::proto::{self, IdentifierKind as Kind};

use crate::cluster::{self, Client};

fn seller(name: &str) -> Vec<proto::Identifier> {
    vec![cluster::identifier(Kind::Domain, &format!("{name}.test"))]
}

fn signal(name: &str) -> proto::Submission {
    cluster::submission("all", seller(name))
}

/// Waits until `client`'s node holds so many entries of `member`'s feed for all.
async fn holds(client: &Client, member: &str, size: u64) {
    cluster::eventually(&format!("{size} entries of {member} arrive"), || {
        let mut client = client.clone();
        async move { client.size(member, "all").await == size }
    })
    .await;
}
