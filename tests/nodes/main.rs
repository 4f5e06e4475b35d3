//! Nodes of an alliance that run in this process or as programs, over real mutual TLS on loopback: what members and clients see of them.

#[path = "../cluster/mod.rs"]
mod cluster;

mod alliance;
mod audit;
mod backup;
mod case_handler;
mod cases;
mod ceremonies;
mod doctor;
mod foreign;
mod holders;
mod monitoring;
mod refusals;
mod rings;
mod secrecy;
mod thief;
mod upgrade;
mod versions;
mod wire;

use countermark::domain::MemberKind;
use tonic_types::StatusExt as _;

const TWO: [(&str, MemberKind); 2] = [("bazaar", MemberKind::Platform), ("aurelle", MemberKind::Brand)];
const THREE: [(&str, MemberKind); 3] =
    [("bazaar", MemberKind::Platform), ("aurelle", MemberKind::Brand), ("kestrel", MemberKind::Brand)];

/// The code of gRPC, and ours.
fn code(status: &tonic::Status) -> (tonic::Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}
