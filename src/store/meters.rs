//! What the store counts, for whoever monitors the node.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// Seconds, in powers of two: from a fast disk to one that is all but gone.
const BUCKETS: [f64; 14] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 4.096, 16.384, 65.536];

/// What is counted of commits. Clones count together.
#[derive(Debug, Clone)]
pub struct StoreMeters {
    /// How long each commit took to be forced to disk. Measured in whole milliseconds.
    pub commit_seconds: Histogram,
    /// Commits that failed.
    pub failed_commits: Counter,
    /// Requests that were worked on: so many shared the commits.
    pub requests: Counter,
}

impl Default for StoreMeters {
    fn default() -> Self {
        let commit_seconds = Histogram::new(BUCKETS);
        Self { commit_seconds, failed_commits: Counter::default(), requests: Counter::default() }
    }
}
