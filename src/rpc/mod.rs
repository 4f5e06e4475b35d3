//! The gRPC edge.
pub mod acceptor;
pub mod connector;
pub mod identity;
pub mod proto;
pub mod tls;
