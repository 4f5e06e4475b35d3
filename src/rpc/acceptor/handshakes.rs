//! Handshakes under way, and whose make room.
//!
//! Anybody can begin one. Whoever begins many and is silent must not keep the others out: where all places are taken, the next one gets
//! that of a handshake of the network that has the most. Which of these is left to chance, so that an honest caller who shares the
//! network of a flood gets through more often than not: its handshake takes some round trips, and each of hundreds is as likely to go.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// The network that an address is of: itself, or with IPv6 the 56 bits that the smallest site has (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

/// Bits of an IPv6 address that are the caller's own to choose.
const OWN_BITS: u32 = 128 - 56;

impl Source {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> OWN_BITS << OWN_BITS).into(),
        })
    }
}

struct UnderWay {
    remote: SocketAddr,
    source: Source,
    abort: AbortHandle,
}

/// At most so many at once. Dropping it ends them.
pub(super) struct Handshakes<T> {
    tasks: JoinSet<T>,
    under_way: HashMap<Id, UnderWay>,
    most: usize,
    chance: RandomState,
    begun: u64,
}

impl<T: Send + 'static> Handshakes<T> {
    pub(super) fn at_most(most: usize) -> Self {
        Self { tasks: JoinSet::new(), under_way: HashMap::new(), most, chance: RandomState::new(), begun: 0 }
    }

    /// Begins one with `remote`. Gives the caller whose handshake made room, where one had to.
    pub(super) fn begin(
        &mut self,
        remote: SocketAddr,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> Option<SocketAddr> {
        self.begun += 1;
        let evicted = if self.under_way.len() < self.most { None } else { self.make_room() };
        let abort = self.tasks.spawn(handshake);
        self.under_way.insert(abort.id(), UnderWay { remote, source: Source::of(remote.ip()), abort });
        evicted
    }

    fn make_room(&mut self) -> Option<SocketAddr> {
        let mut counts = HashMap::<Source, usize>::new();
        for one in self.under_way.values() {
            *counts.entry(one.source).or_default() += 1;
        }
        let (source, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let chosen = usize::try_from(self.chance.hash_one(self.begun) % count as u64).unwrap_or(0);
        let id = *self.under_way.iter().filter(|(_, one)| one.source == source).nth(chosen)?.0;
        let evicted = self.under_way.remove(&id)?;
        evicted.abort.abort();
        Some(evicted.remote)
    }

    /// What the next one that ends gives; `None` where none is under way. One that made room gives an error.
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

    fn caller(text: &str) -> SocketAddr {
        (address(text), 4_000).into()
    }

    #[tokio::test]
    async fn a_flood_makes_room_for_others_and_for_itself() {
        let mut handshakes = Handshakes::<bool>::at_most(16);
        let (flood, other) = (caller("192.0.2.1"), caller("192.0.2.2"));
        assert!((0..16).all(|_| handshakes.begin(flood, pending()).is_none()), "nobody else wants a place");
        assert_eq!(handshakes.begin(other, async { true }), Some(flood));
        for _ in 0..1_000 {
            assert_eq!(handshakes.begin(flood, pending()), Some(flood), "whoever has the most makes room, also for its own");
            assert_eq!(handshakes.under_way.len(), 16);
        }
        // Also where many take part: nobody of whom there are fewer loses his.
        for network in 0..7 {
            handshakes.begin(caller(&format!("198.51.100.{network}")), pending());
            handshakes.begin(caller(&format!("198.51.100.{network}")), pending());
        }
        let mut given = Vec::new();
        while !given.contains(&true) {
            given.extend(handshakes.next().await.expect("under way").ok());
        }
        handshakes.shutdown().await;
        assert!(handshakes.next().await.is_none() && handshakes.begin(flood, async { true }).is_none());
    }

    #[tokio::test]
    async fn an_honest_caller_in_the_network_of_a_flood_gets_through_more_often_than_not() {
        let mut handshakes = Handshakes::<()>::at_most(256);
        let flood = caller("192.0.2.1");
        let through = (0..100_u16).filter(|number| {
            let honest = SocketAddr::from((flood.ip(), 5_000 + number));
            handshakes.begin(honest, pending());
            // As many as come while its handshake takes its round trips.
            !(0..50).any(|_| handshakes.begin(flood, pending()) == Some(honest))
        });
        let through = through.count();
        assert!(through > 50, "{through} of 100");
    }

    #[test]
    fn a_source_is_what_one_site_has() {
        let same = |one: &str, other: &str| Source::of(address(one)) == Source::of(address(other));
        assert!(same("2001:db8::1", "2001:db8:0:1::ffff:2") && !same("2001:db8::1", "2001:db8:0:100::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
