//! Connections to addresses that may be names, which the system's resolver looks up.
//!
//! The resolver blocks a thread, for half a minute where no name server answers, and cannot be called off. While a thousand nodes are
//! dialled again and again, such look-ups would soon have all threads that there are for blocking work, and every check would wait for
//! one. So they have threads of their own, a bounded number is under way at once, and the others wait, and give up with their dial.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::domain::limits::MAX_LOOKUPS;

static THREADS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut threads = Builder::new_current_thread();
    threads.max_blocking_threads(MAX_LOOKUPS).thread_name("names");
    threads.build().expect("the system has threads for a program that has just been called upon")
});

static NAMES: LazyLock<Names> =
    LazyLock::new(|| Names::new(MAX_LOOKUPS, Arc::new(|address| Ok(address.to_socket_addrs()?.collect()))));

/// A TCP connection to `address` (`host:port`, the host a name, an IPv4 address, or an IPv6 address in brackets): to the first of a
/// name's addresses that takes one.
///
/// # Errors
/// The look-up's, or that of the last address.
pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    NAMES.connect(address).await
}

type LookUp = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Looks names up, so many at once.
struct Names {
    places: Arc<Semaphore>,
    look_up: LookUp,
}

impl Names {
    fn new(at_once: usize, look_up: LookUp) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), look_up }
    }

    async fn connect(&self, address: &str) -> io::Result<TcpStream> {
        if let Ok(address) = address.parse::<SocketAddr>() {
            return TcpStream::connect(address).await;
        }
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (look_up, address) = (self.look_up.clone(), address.to_owned());
        let found = THREADS.spawn_blocking(move || {
            // Kept until the resolver is done, also where nobody waits for it any more.
            let _place = place;
            look_up(&address)
        });
        TcpStream::connect(found.await.map_err(io::Error::other)??.as_slice()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use parking_lot::Mutex;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn names_that_no_server_answers_for_take_a_bounded_number_of_threads_and_hold_up_no_other_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = listener.local_addr().expect("bound");
        let (asks, asked) = mpsc::channel();
        let (answers, answered) = mpsc::channel::<()>();
        let answered = Mutex::new(answered);
        let names = Arc::new(Names::new(
            2,
            Arc::new(move |address| {
                asks.send(address.to_owned()).expect("the test looks");
                answered.lock().recv().map_err(io::Error::other)?;
                Ok(vec![here])
            }),
        ));
        for number in 0..20 {
            let address = format!("node-{number}.test:7400");
            let dial = timeout(Duration::from_millis(20), names.connect(&address));
            assert!(dial.await.is_err(), "nobody answers");
        }
        assert_eq!(asked.try_iter().count(), 2, "two are under way, though nobody waits for them any more");
        names.connect(&here.to_string()).await.expect("an address needs no look-up");
        answers.send(()).expect("the resolver waits");
        answers.send(()).expect("the resolver waits");
        answers.send(()).expect("the resolver will wait");
        names.connect("node-20.test:7400").await.expect("looked up");
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), ["node-20.test:7400"], "those that gave up are not looked up later");
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        connect(&format!("localhost:{port}")).await.expect("connected");
    }
}
