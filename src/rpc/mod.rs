//! The gRPC edge: generated types and their conversions, identity and TLS, the services, and the client side of both
//! listeners.
//!
//! It knows nothing of the database. Every request is from somebody: the identity comes from the verified certificate of its
//! connection, never from a field, and a request without one is refused.

pub mod acceptor;
mod access;
mod admission;
mod audit_service;
mod case_service;
pub mod connector;
mod convert;
mod fault;
mod gate;
mod holder_convert;
mod holder_link;
mod holder_service;
pub mod identity;
mod key_service;
mod lead_convert;
mod lead_service;
mod line;
mod messages;
mod meters;
mod methods;
mod names;
mod node_service;
mod peer_convert;
mod peer_link;
mod peer_service;
pub mod proto;
mod readers;
mod repeats;
mod rows;
mod screening_service;
mod signal_service;
mod spans;
pub mod tls;
mod watch_service;
pub mod webhook;

pub use access::{AccessList, Grant};
pub use audit_service::AuditServer;
pub use case_service::CaseServer;
pub use gate::{Gate, Gated};
pub use holder_link::HolderLink;
pub use holder_service::KeyHolderServer;
pub use key_service::KeyServer;
pub use lead_service::LeadServer;
pub use messages::{MESSAGES, Readable};
pub use meters::{CallMeters, FaultLabels, Listener, RowMeters};
pub use node_service::NodeServer;
pub use peer_link::{PeerDialer, exchange_versions};
pub use peer_service::PeerServer;
pub use screening_service::ScreeningServer;
pub use signal_service::SignalServer;
pub use watch_service::WatchServer;
