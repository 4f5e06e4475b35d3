//! Handshakes under way, and how many of them one address may have.
//!
//! Anybody can begin one. Whoever begins many and is silent must not keep the others out, and those that share an address with it are
//! not to pay for it: the place of its oldest one is given to the next from there.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

/// How long a handshake is left alone though others from its address want its place: an honest one takes some round trips.
const GRACE: Duration = Duration::from_secs(1);

/// The network that an address is of: itself, or with IPv6 the 64 bits that one customer has (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

struct UnderWay {
    source: Source,
    since: Instant,
    abort: AbortHandle,
}

/// At most so many at once. Dropping it ends them.
pub(super) struct Handshakes<T> {
    tasks: JoinSet<T>,
    under_way: HashMap<Id, UnderWay>,
    most: usize,
}

impl<T: Send + 'static> Handshakes<T> {
    pub(super) fn at_most(most: usize) -> Self {
        Self { tasks: JoinSet::new(), under_way: HashMap::new(), most }
    }

    pub(super) fn has_room(&self) -> bool {
        self.tasks.len() < self.most
    }

    /// Begins one from `address`. Not where that has as many as are left of all, and none of them has had its time.
    pub(super) fn begin(&mut self, address: IpAddr, handshake: impl Future<Output = T> + Send + 'static) -> bool {
        let source = Source::of(address);
        let of_source = self.under_way.values().filter(|one| one.source == source);
        if of_source.clone().count() >= self.most.saturating_sub(self.tasks.len()) {
            match of_source.filter(|one| one.since.elapsed() >= GRACE).min_by_key(|one| one.since) {
                Some(oldest) => oldest.abort.abort(),
                None => return false,
            }
        }
        let abort = self.tasks.spawn(handshake);
        self.under_way.insert(abort.id(), UnderWay { source, since: Instant::now(), abort });
        true
    }

    /// What the next one that ends gives; `None` where none is under way. One whose place was given away gives an error.
    pub(super) async fn next(&mut self) -> Option<Result<T, JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        self.under_way.remove(&id);
        Some(ended.map(|(_, given)| given))
    }

    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn silent_ones_leave_room_for_others_and_make_room_for_their_own() {
        let mut handshakes = Handshakes::<()>::at_most(8);
        let (attacker, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let begun = (0..20).filter(|_| handshakes.begin(attacker, pending())).count();
        assert_eq!(begun, 4);
        assert!(handshakes.has_room() && handshakes.begin(other, async {}));
        assert!(handshakes.next().await.expect("under way").is_ok());
        tokio::time::advance(GRACE).await;
        assert!(handshakes.begin(attacker, async {}), "an honest one from the same address");
        let ended = [handshakes.next().await.expect("under way").is_ok(), handshakes.next().await.expect("under way").is_ok()];
        assert!(ended.contains(&true) && ended.contains(&false), "it ends, and a silent one has ended for it");
        handshakes.shutdown().await;
        assert!(handshakes.next().await.is_none() && handshakes.begin(attacker, async {}));
    }

    #[test]
    fn a_source_is_what_one_customer_has() {
        let same = |one: &str, other: &str| Source::of(address(one)) == Source::of(address(other));
        assert!(same("2001:db8::1", "2001:db8::ffff:2") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
