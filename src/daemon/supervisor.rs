//! What runs the daemon and wants to know how far it is: systemd, or whatever else gives it a `NOTIFY_SOCKET`; see sd_notify(3).
//!
//! It is told when the node serves, reads its configuration again, and begins to stop. There is no watchdog: what makes it useless
//! to go on ends the process by itself.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::config::Environment;

/// Nobody, where the node was started by hand.
pub(super) struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    pub(super) fn of(environment: &Environment) -> io::Result<Self> {
        let Some(name) = environment.notify_socket() else { return Ok(Self(None)) };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        Ok(Self(Some((UnixDatagram::unbound()?, address))))
    }

    /// The node serves: at first, and after each time that it read its configuration again.
    pub(super) fn ready(&self) {
        self.tell("READY=1\n");
    }

    pub(super) fn reloading(&self) {
        // By this instant a supervisor tells its own reload from one before it.
        let now = clock_gettime(ClockId::Monotonic);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}{:06}\n", now.tv_sec, now.tv_nsec / 1_000));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\n");
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(code = "SUPERVISOR_UNREACHABLE", %error, "what runs this daemon cannot be told its state");
        }
    }
}
