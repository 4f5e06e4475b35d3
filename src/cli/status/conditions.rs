use serde::Serialize;

use crate::cli::output::table;
use crate::cli::words;
use crate::rpc::proto;

const DAY_MS: i64 = 86_400_000;

/// When something ends by itself. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Deadline {
    what: String,
    at: Option<String>,
    /// Whole days that are left; negative once it has ended.
    days_left: i64,
}

impl Deadline {
    pub(super) const HEAD: [&'static str; 3] = ["ends", "at", "left"];
    /// Days before an end from which on a person has to see to it.
    const SOON: i64 = 30;
    /// The same of a revocation list, which is signed for 35 days and counts after them, too.
    const LIST_SOON: i64 = 7;

    pub(super) fn of(deadline: proto::Deadline, now_ms: i64) -> Self {
        let proto::Deadline { what, at_ms } = deadline;
        Self { what, at: words::instant(at_ms), days_left: at_ms.saturating_sub(now_ms).div_euclid(DAY_MS) }
    }

    pub(super) fn row(&self) -> Vec<String> {
        let is_list = self.what.ends_with("_crl");
        let soon = if is_list { Self::LIST_SOON } else { Self::SOON };
        let left = match self.days_left {
            ..0 if is_list => "OVERDUE".to_owned(),
            ..0 => "ENDED".to_owned(),
            days if days < soon => format!("{days} days: RENEW IT"),
            days => format!("{days} days"),
        };
        vec![self.what.replace('_', " "), self.at.clone().unwrap_or_default(), left]
    }
}

/// An error that calls ended with. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct FaultCount {
    listener: String,
    method: String,
    code: String,
    count: u64,
}

impl From<proto::FaultCount> for FaultCount {
    fn from(fault: proto::FaultCount) -> Self {
        let proto::FaultCount { listener, method, code, count } = fault;
        Self { listener, method, code, count }
    }
}

/// The errors that a person sees at a glance; JSON has all.
const MOST_SHOWN: usize = 8;

/// Empty where there was none.
pub(super) fn faults(faults: &[FaultCount]) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let row = |fault: &FaultCount| {
        let FaultCount { listener, method, code, count } = fault;
        vec![code.clone(), count.to_string(), listener.clone(), method.clone()]
    };
    table(&["error", "since the start", "listener", "method"], faults.iter().take(MOST_SHOWN).map(row))
}
