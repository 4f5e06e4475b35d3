//! What a trace of calls tells apart. Without the feature `otel` there are no traces, and nothing here costs anything.
//!
//! A span says what metrics say, too: names of methods, codes, members and clients. Nothing of a message stands in it, nor anything that
//! a caller makes up.

use super::MemberId;

/// Target of all spans that are exported. No other span is.
pub const TARGET: &str = "countermark::spans";

/// Their level.
#[cfg(feature = "otel")]
pub const LEVEL: tracing::Level = tracing::Level::INFO;

/// `work`, which the node of `peer` does or this one itself, as a part of the call that it is done for. Where it is done for none, or
/// nobody traces, it is `work` and no more.
#[cfg(feature = "otel")]
pub fn part<F: Future>(name: &'static str, peer: Option<&MemberId>, work: F) -> impl Future<Output = F::Output> + use<F> {
    use tracing::{Instrument as _, Span, span};

    let span = if Span::current().is_none() {
        Span::none()
    } else {
        let kind = if peer.is_some() { "client" } else { "internal" };
        span!(target: TARGET, LEVEL, "part", otel.name = name, otel.kind = kind, countermark.peer = peer.map(MemberId::as_str))
    };
    work.instrument(span)
}

/// `work`: nobody traces.
#[cfg(not(feature = "otel"))]
pub fn part<F: Future>(_name: &'static str, _peer: Option<&MemberId>, work: F) -> F {
    work
}
