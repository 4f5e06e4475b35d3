//! Ports for programs that a test starts.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::sync::Mutex;

/// A port with a free one beside it.
///
/// Both are below those that Linux gives to connections (from 32,768 on, ip(7)): whoever dials a node until it listens would at
/// some time be given the node's own port. Tests of one program run beside one another: none is given what another was.
pub(crate) fn port_pair() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let random = RandomState::new().hash_one(0);
        let port = 20_000 + u16::try_from(random % 12_767).expect("below 12,767");
        let mut given = GIVEN.lock().expect("no panic");
        let is_new = !given.contains(&port) && !given.contains(&(port + 1));
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_new && is_free(port) && is_free(port + 1) {
            given.extend([port, port + 1]);
            return port;
        }
    }
}
