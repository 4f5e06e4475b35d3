//! Free ports of this machine, for nodes that a command starts itself.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::failure::Failure;
use crate::daemon::Listeners;

/// Tries to find two free ports beside each other.
const TRIES: usize = 64;

/// Two free ports beside each other, as a member's listeners are laid out.
pub(super) async fn free_pair() -> Result<Listeners, Failure> {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    for _ in 0..TRIES {
        let peers = bind(0).await.map_err(|error| Failure::of("NO_FREE_PORTS", &error))?;
        let Some(next) = peers.local_addr().ok().and_then(|address| address.port().checked_add(1)) else { continue };
        if let Ok(clients) = bind(next).await {
            return Ok(Listeners { peers, clients, monitoring: None });
        }
    }
    Err(Failure::new("NO_FREE_PORTS", "no two free ports beside each other were found").advise("try again"))
}
