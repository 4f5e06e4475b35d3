//! How fresh an answer is, feed by feed. What stands out is shown always, the rest where it is asked for: nothing is partial in
//! silence.

use serde::Serialize;

use crate::cli::output::{counted, table};
use crate::cli::words;
use crate::domain::limits::HEARTBEAT_INTERVAL;
use crate::rpc::proto::{FeedFreshness, FeedState, Freshness};

/// Heartbeats that may be missed before a member counts as silent.
const MISSED_HEARTBEATS: u32 = 6;

/// Freshness as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FreshnessView {
    as_of: Option<String>,
    feeds: Vec<FeedView>,
}

/// A feed as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct FeedView {
    member: String,
    audience: String,
    /// followed, quarantined, expelled or behind.
    state: &'static str,
    /// Entries held.
    size: u64,
    /// Entries that are known to exist and are not held yet.
    behind: u64,
    live_signals: u64,
    not_understood: u64,
    /// Entries that came without their content, of which no erasure is known.
    missing: u64,
    /// RFC 3339; null for never.
    last_heard: Option<String>,
    /// Milliseconds from the last word of the member to `as_of`; null for never.
    silent_ms: Option<i64>,
    /// Codes of what stands out: quarantined, expelled, recovering, behind, silent, never_heard, not_understood,
    /// content_missing.
    notices: Vec<&'static str>,
}

impl FreshnessView {
    pub(in crate::cli) fn of(freshness: Freshness) -> Self {
        let as_of = freshness.as_of_ms;
        Self {
            as_of: words::instant(as_of),
            feeds: freshness.feeds.into_iter().map(|feed| FeedView::of(feed, as_of)).collect(),
        }
    }

    pub(in crate::cli) fn feeds(&self) -> &[FeedView] {
        &self.feeds
    }

    /// The feeds that stand out, or all of them, below a line that says how many there are.
    pub(in crate::cli) fn table(&self, verbose: bool) -> String {
        let standing_out = self.feeds.iter().filter(|feed| !feed.notices.is_empty()).count();
        let feeds = counted(self.feeds.len() as u64, "feed");
        let head = match standing_out {
            0 => format!("rests on {feeds}, all of them current\n"),
            n => format!("rests on {feeds}, of which {n} not current:\n"),
        };
        let shown = self.feeds.iter().filter(|feed| verbose || !feed.notices.is_empty());
        let rows: Vec<Vec<String>> = shown.map(FeedView::row).collect();
        if rows.is_empty() { head } else { head + &table(&FeedView::HEAD, rows) }
    }
}

impl FeedView {
    pub(in crate::cli) const HEAD: [&'static str; 6] = ["feed", "entries", "behind", "live", "last heard", "notice"];

    fn of(feed: FeedFreshness, as_of_ms: i64) -> Self {
        let behind = feed.newest_size.saturating_sub(feed.size);
        let silent_ms = (feed.last_heard_ms != 0).then(|| as_of_ms.saturating_sub(feed.last_heard_ms).max(0));
        let longest = HEARTBEAT_INTERVAL.saturating_mul(MISSED_HEARTBEATS).as_millis();
        let notices = [
            (feed.state == FeedState::Quarantined as i32, "quarantined"),
            (feed.state == FeedState::Expelled as i32, "expelled"),
            (feed.state == FeedState::Behind as i32, "recovering"),
            (feed.state == FeedState::Unconfirmed as i32, "unconfirmed"),
            (behind > 0, "behind"),
            (silent_ms.is_some_and(|ms| u128::from(ms.unsigned_abs()) > longest), "silent"),
            (silent_ms.is_none(), "never_heard"),
            (feed.not_understood > 0, "not_understood"),
            (feed.missing > 0, "content_missing"),
        ];
        Self {
            state: words::feed_state(feed.state),
            size: feed.size,
            behind,
            live_signals: feed.live_signals,
            not_understood: feed.not_understood,
            missing: feed.missing,
            last_heard: words::instant(feed.last_heard_ms),
            silent_ms,
            notices: notices.into_iter().filter(|(holds, _)| *holds).map(|(_, notice)| notice).collect(),
            member: feed.member,
            audience: feed.audience,
        }
    }

    pub(in crate::cli) fn row(&self) -> Vec<String> {
        let heard = self.silent_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} ago", words::span(ms)));
        vec![
            format!("{}/{}", self.member, self.audience),
            self.size.to_string(),
            self.behind.to_string(),
            self.live_signals.to_string(),
            heard,
            self.notices.join(", ").replace('_', " "),
        ]
    }
}
