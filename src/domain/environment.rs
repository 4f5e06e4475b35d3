use super::Timestamp;

/// Tells the time. Entered at the top and handed down, so that tests can set it.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes fit for keys and salts. Entered at the top and handed down.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out`.
    ///
    /// # Errors
    /// Where the operating system gives none.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct EntropyError;
