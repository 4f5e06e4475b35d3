use std::fmt;

use crate::domain::FeedId;
use crate::service::{Ending, NodeReport};
use crate::store::FeedState;

/// Why a node cannot do all of its work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    code: String,
    detail: String,
}

impl Reason {
    fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

/// All reasons at once, so that one look tells what there is to do.
pub(super) fn reasons(report: &NodeReport, stopping: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if stopping {
        reasons.push(Reason::new("NODE_STOPPING", "the node is stopping"));
    }
    reasons.extend(report.health.problem.as_ref().map(|(code, detail)| Reason::new(*code, detail)));
    reasons.extend(report.key_problem.as_ref().map(|error| Reason::new(error.code(), error.to_string())));
    reasons.extend(report.freshness.feeds.iter().filter_map(|feed| unwritable(&feed.feed, feed.state)));
    let now = report.freshness.as_of;
    let ended = report.deadlines.iter().find(|deadline| deadline.ending == Ending::NodeCertificate && deadline.at < now);
    let ended = ended.map(|deadline| Reason::new("TLS_EXPIRED", format!("this node's certificate ended at {}", deadline.at)));
    reasons.extend(ended);
    reasons
}

/// Own feeds that nothing can be added to.
fn unwritable(feed: &FeedId, state: FeedState) -> Option<Reason> {
    match state {
        FeedState::Unconfirmed => {
            let detail = format!("{feed} is not compared with another member's copy yet");
            Some(Reason::new("OWN_FEED_UNCONFIRMED", detail))
        }
        FeedState::Behind => Some(Reason::new("OWN_FEED_BEHIND", format!("other members hold more of {feed} than this node"))),
        FeedState::Followed | FeedState::Quarantined | FeedState::Expelled => None,
    }
}
