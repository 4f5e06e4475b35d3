//! Everything that a node refuses, over real mutual TLS: the caller gets the right code, and the refusing node says so in its log
//! exactly once.

mod callers;
mod expulsion;
mod liars;
mod requests;

use countermark::domain::MemberKind;
use countermark::rpc::proto::{self, IdentifierKind as Kind};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::cluster::Client;

const THREE: [(&str, MemberKind); 3] =
    [("bazaar", MemberKind::Platform), ("aurelle", MemberKind::Brand), ("kestrel", MemberKind::Brand)];

/// The code of gRPC, and ours.
fn code(status: &tonic::Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

fn seller(name: &str) -> Vec<proto::Identifier> {
    vec![crate::cluster::identifier(Kind::Domain, &format!("{name}.test"))]
}

fn signal(name: &str) -> proto::Submission {
    crate::cluster::submission("all", seller(name))
}

/// Waits until `client`'s node holds so many entries of `member`'s feed for all.
async fn holds(client: &Client, member: &str, size: u64) {
    crate::cluster::eventually(&format!("{size} entries of {member} arrive"), || {
        let mut client = client.clone();
        async move { client.size(member, "all").await == size }
    })
    .await;
}
