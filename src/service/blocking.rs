use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Work of this node ended with a panic. A fault of the program: trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fault of this node kept it from working on this; tell its operator, whose log says where")]
pub struct Panicked;

impl Panicked {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "PANICKED"
    }
}

/// Processors of this machine that the program may use; one where the system does not say.
#[must_use]
pub fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Turns at work that takes a processor for long: of much of it at once every check would get a small share of them. As many as there are
/// processors are under way, the others wait in the order in which they came. Clones count together.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self::at_once(processors())
    }
}

impl Turns {
    fn at_once(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// Waits for a turn, which lasts until what is returned is dropped. Whoever leaves while it waits is passed over.
    ///
    /// # Errors
    /// None that can happen: turns are given for as long as there are any.
    pub(super) async fn next(&self) -> Result<OwnedSemaphorePermit, Panicked> {
        self.0.clone().acquire_owned().await.map_err(|_| Panicked)
    }

    /// Runs `work` in its turn. What nobody waits for any more is not begun; what has begun keeps its turn until it ends, so that no
    /// more is under way than there are turns, however often a caller begins and leaves.
    ///
    /// # Errors
    /// [`Panicked`], which is logged.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
        let turn = self.next().await?;
        off_thread(move || {
            let _turn = turn;
            work()
        })
        .await
    }
}

/// Runs `work`, which reads the store or files, off the asynchronous threads.
///
/// # Errors
/// [`Panicked`], which is logged.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    tokio::task::spawn_blocking(move || contained(work)).await.map_err(|_| Panicked)?
}

/// Runs `work`, and keeps a panic of it from spoiling what is worked on beside it.
///
/// # Errors
/// [`Panicked`], which is logged.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What `work` borrows is read only, or dropped with it; the locks below are released by a panic.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        tracing::error!(code = Panicked.code(), "work on behalf of a client ended with a panic");
        Panicked
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_as_what_it_is() {
        assert_eq!(off_thread(|| 7).await, Ok(7));
        assert_eq!(off_thread(|| -> u8 { panic!("in a test") }).await, Err(Panicked));
        assert_eq!(contained(|| -> u8 { panic!("in a test") }), Err(Panicked));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_turn_until_it_ends_and_what_still_waits_gives_up_its_own() {
        let turns = Turns::at_once(1);
        let (ends, ended) = mpsc::channel::<()>();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let first = turns.clone();
        let left = tokio::spawn(async move {
            first
                .run(move || {
                    begins.send(()).expect("somebody waits");
                    ended.recv().expect("told to end");
                })
                .await
        });
        begun.await.expect("it begins");
        left.abort();
        assert!(left.await.expect_err("left").is_cancelled());
        let mut second = Box::pin(turns.run(|| 2));
        let mut third = Box::pin(turns.run(|| 3));
        let waiting = (futures_util::poll!(&mut second), futures_util::poll!(&mut third));
        assert!(waiting.0.is_pending() && waiting.1.is_pending(), "the first is under way, though nobody waits for it");
        drop(second);
        ends.send(()).expect("it waits");
        assert_eq!(third.await, Ok(3));
        assert_eq!(turns.run(|| -> u8 { panic!("in a test") }).await, Err(Panicked));
        assert_eq!(turns.run(|| 4).await, Ok(4), "a panic gives its turn back");
    }
}
