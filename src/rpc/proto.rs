//! Messages, clients and servers of `countermark.v1`, as generated. Named within the gRPC edge and by the command line's
//! client code only.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub use crate::feed::wire::*;

include!(concat!(env!("OUT_DIR"), "/services/countermark.v1.rs"));

/// The descriptors of all services, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
