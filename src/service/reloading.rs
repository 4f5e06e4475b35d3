use tokio::sync::{mpsc, oneshot};

/// Why nothing was reloaded; what was in force stays so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct ReloadRefusal {
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and where, for the operator.
    pub sentence: String,
}

/// Somebody who asked for a reload, and waits to hear what came of it.
pub type ReloadWish = oneshot::Sender<Result<(), ReloadRefusal>>;

/// Where a reload is asked for. Without anybody who carries it out, each wish is refused.
#[derive(Debug, Clone, Default)]
pub struct ReloadDesk(Option<mpsc::Sender<ReloadWish>>);

impl ReloadDesk {
    /// A desk, and the wishes that are handed in at it. One at a time is carried out; one more waits, and others wait to hand theirs in.
    #[must_use]
    pub fn open() -> (Self, mpsc::Receiver<ReloadWish>) {
        let (wishes, receiver) = mpsc::channel(1);
        (Self(Some(wishes)), receiver)
    }

    /// Has configuration and files read again, and waits until they are in force.
    ///
    /// # Errors
    /// What is wrong with them; `RELOAD_UNAVAILABLE` where the node was not started from a configuration, or stops.
    pub async fn reload(&self) -> Result<(), ReloadRefusal> {
        let unavailable = || ReloadRefusal {
            code: "RELOAD_UNAVAILABLE",
            sentence: "this node has no configuration that it could read again, or is stopping".to_owned(),
        };
        let wishes = self.0.as_ref().ok_or_else(unavailable)?;
        let (wish, heard) = oneshot::channel();
        wishes.send(wish).await.map_err(|_| unavailable())?;
        heard.await.map_err(|_| unavailable())?
    }
}
