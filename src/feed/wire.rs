//! Messages and vocabulary of `entry.proto`, as generated. Named by the feed layer and the gRPC edge only.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/entry/countermark.v1.rs"));
