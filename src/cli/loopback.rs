//! For nodes that a command starts itself: free ports of this machine, and what ends them before it is done.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use crate::daemon::{Listeners, SystemEntropy};
use crate::domain::Entropy as _;

/// Tries to find two free ports beside each other.
const TRIES: usize = 64;
/// Where they are looked for: below the ports that Linux gives to connections (from 32,768 on, ip(7)). A client that dials a port
/// of theirs over and over until a node listens would at some time be given that very port, be connected to itself, and leave
/// none to the node.
const PORTS: Range<u16> = 20_000..32_768;

/// Two free ports beside each other, as a member's listeners are laid out.
pub(super) async fn free_pair() -> Result<Listeners, Failure> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    for _ in 0..TRIES {
        let mut random = [0; 2];
        SystemEntropy.fill(&mut random).map_err(|error| Failure::new("NO_FREE_PORTS", error.to_string()))?;
        let first = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start - 1);
        if let (Ok(peers), Ok(clients)) = (bind(first).await, bind(first + 1).await) {
            return Ok(Listeners { peers, clients, monitoring: None });
        }
    }
    Err(Failure::new("NO_FREE_PORTS", "no two free ports beside each other were found").advise("try again"))
}

/// What tells a program to stop: Ctrl-C, the end of its terminal, a service manager.
pub(super) struct Stop([Signal; 3]);

impl Stop {
    pub(super) fn new() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::of("SIGNALS", &error));
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?]))
    }

    pub(super) async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_are_beside_each_other_and_none_that_a_connection_may_be_given() {
        for _ in 0..50 {
            let pair = free_pair().await.expect("there are free ones");
            let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
            let (peers, clients) = (port(&pair.peers), port(&pair.clients));
            assert_eq!(peers + 1, clients);
            assert!(PORTS.contains(&peers) && PORTS.contains(&clients), "{peers}, {clients}");
        }
    }
}
