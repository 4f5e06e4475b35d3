use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::Timestamp;

/// What ends by itself unless somebody renews it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// The node's certificate: nobody is reached after it.
    NodeCertificate,
    /// The alliance's CA: no node trusts another after it.
    AllianceCa,
    /// The member's own CA: no client gets in after it.
    ClientCa,
    /// The alliance's revocation list: after it a newer one should be there; this one still counts.
    AllianceCrl,
    /// The revocation list of the member's own CA, as the alliance's.
    ClientCrl,
}

impl Ending {
    /// As it is written in labels and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeCertificate => "node_certificate",
            Self::AllianceCa => "alliance_ca",
            Self::ClientCa => "client_ca",
            Self::AllianceCrl => "alliance_crl",
            Self::ClientCrl => "client_crl",
        }
    }
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// What.
    pub ending: Ending,
    /// The last instant at which it is good.
    pub at: Timestamp,
}

/// The deadlines of what is in force, replaced whole by whoever puts certificates in force.
pub type Deadlines = Arc<ArcSwap<Vec<Deadline>>>;
