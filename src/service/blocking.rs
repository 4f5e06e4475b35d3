use std::panic::{AssertUnwindSafe, catch_unwind};

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
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_as_what_it_is() {
        assert_eq!(off_thread(|| 7).await, Ok(7));
        assert_eq!(off_thread(|| -> u8 { panic!("in a test") }).await, Err(Panicked));
        assert_eq!(contained(|| -> u8 { panic!("in a test") }), Err(Panicked));
    }
}
