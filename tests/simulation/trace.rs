//! What happened in a run, event by event: as one digest, by which two runs are compared, and as text for whoever looks for a fault.

use std::fmt::Display;

use countermark::feed::{Hash, sha256};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Lines that are kept for a failure's report.
const KEPT_LINES: usize = 400;

struct Lines {
    digest: Hash,
    events: u64,
    kept: std::collections::VecDeque<String>,
}

/// See the module.
pub(crate) struct Trace {
    began: Instant,
    lines: Mutex<Lines>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        let lines = Lines { digest: Hash([0; 32]), events: 0, kept: std::collections::VecDeque::new() };
        Self { began: Instant::now(), lines: Mutex::new(lines) }
    }

    /// Virtual milliseconds since the run began.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn note(&self, event: impl Display) {
        let line = format!("{:>9} ms  {event}", self.elapsed_ms());
        let mut lines = self.lines.lock();
        lines.digest = sha256(&[&lines.digest.0, line.as_bytes()]);
        lines.events += 1;
        if lines.kept.len() == KEPT_LINES {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
    }

    /// The digest over all events, and how many there were.
    pub(crate) fn digest(&self) -> (Hash, u64) {
        let lines = self.lines.lock();
        (lines.digest, lines.events)
    }

    pub(crate) fn tail(&self) -> String {
        self.lines.lock().kept.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
