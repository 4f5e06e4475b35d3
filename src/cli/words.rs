//! Numbers of the proto as the words of the alliance. A number that this version does not know shows as `unknown`.

use jiff::Timestamp;

use crate::domain;
use crate::rpc::proto;

const UNKNOWN: &str = "unknown";

macro_rules! words {
    ($($name:ident: $type:ty),+ $(,)?) => {$(
        pub(super) fn $name(number: i32) -> &'static str {
            <$type>::from_number(number).map_or(UNKNOWN, <$type>::as_str)
        }
    )+};
}

words! {
    kind: domain::IdentifierKind,
    infringement: domain::Infringement,
    evidence: domain::EvidenceKind,
    grade: domain::EvidenceGrade,
    action: domain::Action,
    status: domain::SignalStatus,
    verdict: domain::Verdict,
    reason: domain::Reason,
    retraction: domain::RetractionReason,
    erasure: domain::ErasureReason,
    alert: domain::AlertKind,
    ground: domain::DisputeGround,
    outcome: domain::DisputeOutcome,
    step: domain::AnswerStep,
    stage: domain::ReferralStage,
    sentence: domain::Sentence,
    goods_state: domain::GoodsState,
    marker: domain::MarkerKind,
    marker_reason: domain::MarkerReason,
}

pub(super) fn strength(number: i32) -> &'static str {
    match proto::Strength::try_from(number) {
        Ok(proto::Strength::Void) => "of a victim",
        Ok(proto::Strength::Weak) => "weak",
        Ok(proto::Strength::Strong) => "strong",
        Ok(proto::Strength::Unspecified) | Err(_) => UNKNOWN,
    }
}

pub(super) fn feed_state(number: i32) -> &'static str {
    match proto::FeedState::try_from(number) {
        Ok(proto::FeedState::Followed) => "followed",
        Ok(proto::FeedState::Quarantined) => "quarantined",
        Ok(proto::FeedState::Expelled) => "expelled",
        Ok(proto::FeedState::Behind) => "behind",
        Ok(proto::FeedState::Unconfirmed) => "unconfirmed",
        Ok(proto::FeedState::Unspecified) | Err(_) => UNKNOWN,
    }
}

/// An instant in RFC 3339, to the second; `None` for 0, which means never.
pub(super) fn instant(unix_ms: i64) -> Option<String> {
    if unix_ms == 0 {
        return None;
    }
    Timestamp::from_second(unix_ms.div_euclid(1_000)).ok().map(|t| t.to_string())
}

/// A span as people say it: `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// An amount of bytes as people say it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(
            [span(-5), span(119_000), span(120_000), span(7_200_000), span(200_000_000)].join(", "),
            "0 s, 119 s, 2 min, 2 h, 2 d"
        );
        assert_eq!([bytes(1_023), bytes(1_024), bytes(5 << 20), bytes(20 << 30)].join(", "), "1023 B, 1 KiB, 5 MiB, 20 GiB");
    }

    #[test]
    fn an_instant_is_utc_and_zero_is_never() {
        assert_eq!(instant(1_795_305_600_123).as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(instant(0), None);
        assert_eq!(status(99), "unknown");
    }
}
