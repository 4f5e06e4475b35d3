//! The clock, randomness and variables of the process: read here, at the top, and handed down.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config;
use crate::daemon::{SystemClock, SystemEntropy};
use crate::domain::{Clock, Entropy, Timestamp};

/// What a command has from the process that runs it.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The variables that configuration depends on.
    pub variables: config::Environment,
    /// Where this program lies, if the operating system says so.
    pub program: Option<PathBuf>,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            variables: config::Environment::of(std::env::vars_os()),
            program: std::env::current_exe().ok(),
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("variables", &self.variables).finish_non_exhaustive()
    }
}
