//! A node on threads of its own, so that what it logs is kept apart from what the others of the process log.

use std::time::{Duration, Instant};

use countermark::daemon::{Listeners, Node, StartError};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::log::Log;
use super::{Alliance, eventually};

impl Log {
    /// Warnings and errors that name `code`, as their own or as the reason that they give.
    pub fn naming(&self, code: &str) -> Vec<Value> {
        let is_word = |text: &str| text.split(|c: char| !c.is_ascii_uppercase() && c != '_').any(|word| word == code);
        let names = |line: &Value| {
            let of_weight = matches!(line["level"].as_str(), Some("WARN" | "ERROR"));
            let fields = ["code", "detail", "error"].map(|field| line["fields"][field].as_str().unwrap_or_default());
            of_weight && fields.into_iter().any(is_word)
        };
        self.lines().into_iter().filter(names).collect()
    }

    /// Waits until `code` is named.
    pub async fn expect(&self, code: &str) {
        eventually(&format!("{code} is logged"), || async { !self.naming(code).is_empty() }).await;
    }

    /// Fails unless `code` is named exactly once.
    #[track_caller]
    pub fn only_once(&self, code: &str) {
        let lines = self.naming(code);
        assert_eq!(lines.len(), 1, "lines that name {code}: {lines:#?}");
    }
}

/// A running node with its log.
pub struct LoggedNode {
    pub log: Log,
    node: Option<Node>,
    runtime: Option<Runtime>,
}

impl Alliance {
    /// Starts `id`'s node with a log of its own, on `listeners` or on its own addresses again.
    pub async fn start_logged(&self, id: &str, listeners: Option<Listeners>) -> Result<LoggedNode, StartError> {
        let log = Log::default();
        let dispatch = log.dispatch();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            // For as long as the thread lives.
            .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&dispatch)))
            .build()
            .expect("threads");
        let listeners = match listeners {
            Some(listeners) => listeners,
            None => self.rebind(id).await,
        };
        let sockets = [listeners.peers, listeners.clients].map(|socket| socket.into_std().expect("a socket"));
        let setup = self.setup(id);
        let started = runtime.spawn(async move {
            let [peers, clients] = sockets.map(|socket| TcpListener::from_std(socket).expect("a socket"));
            Node::start(setup, Listeners { peers, clients, monitoring: None }).await
        });
        let started = started.await.expect("no panic");
        match started {
            Ok(node) => Ok(LoggedNode { log, node: Some(node), runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }
}

impl LoggedNode {
    pub async fn stop(mut self) -> Log {
        let (node, runtime) = (self.node.take().expect("running"), self.runtime.take().expect("running"));
        runtime.spawn(node.stop()).await.expect("no panic");
        runtime.shutdown_background();
        self.log.clone()
    }
}

impl Drop for LoggedNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets some heartbeats pass, so that what would be logged again is logged.
pub async fn heartbeats(count: u32) {
    let until = Instant::now() + Duration::from_millis(500) * count;
    eventually("time passes", || async { Instant::now() >= until }).await;
}
