//! The answer about one seller, for a person and for a program.

use serde::Serialize;

use super::FreshnessView;
use crate::cli::cases::Override;
use crate::cli::output::{Show, counted, facts, plain};
use crate::cli::statement::StatementView;
use crate::cli::words;
use crate::domain;
use crate::rpc::proto::{CheckAnswer, Freshness, MarkerMatch, MatchedIdentifier, SignalMatch};

/// Whether the verdict is one that a screener acts on.
pub(super) fn is_flagged(answer: &CheckAnswer) -> bool {
    domain::Verdict::from_number(answer.verdict).is_some_and(domain::Verdict::is_flagged)
}

/// Whether this version knows the verdict. A newer node may give one that says more than ours do, so it is never taken for a
/// clean one.
pub(super) fn is_understood(answer: &CheckAnswer) -> bool {
    domain::Verdict::from_number(answer.verdict).is_some()
}

/// The answer as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// Empty where `reference_error` says why.
    reference: String,
    checked_at: Option<String>,
    /// none_known, alleged, confirmed, repeat_offender, disputed or known_good; unknown where this version does not know it.
    verdict: &'static str,
    /// Why, as codes.
    reasons: Vec<&'static str>,
    /// 0 to 100.
    score: u32,
    members_elsewhere: u32,
    elsewhere: Vec<Signal>,
    own: Vec<Signal>,
    markers: Vec<Marker>,
    /// This member's own word about the seller.
    overrides: Vec<Override>,
    matches_omitted: u32,
    reference_error: String,
    /// The watch that was left, where one was asked for and nobody flags the seller.
    watch: String,
    /// Code of why none could be left.
    watch_error: String,
    /// Kind of each identifier that was asked about.
    asked: Vec<&'static str>,
    freshness: FreshnessView,
    #[serde(skip)]
    verbose: bool,
}

impl Answer {
    pub(super) fn of(answer: CheckAnswer, freshness: Freshness, kinds: &[i32], verbose: bool) -> Self {
        Self {
            reference: answer.reference,
            checked_at: words::instant(answer.checked_at_ms),
            verdict: words::verdict(answer.verdict),
            reasons: answer.reasons.iter().map(|reason| words::reason(*reason)).collect(),
            score: answer.score,
            markers: answer.markers.into_iter().map(Marker::of).collect(),
            overrides: answer.overrides.into_iter().map(Override::from).collect(),
            members_elsewhere: answer.members_elsewhere,
            elsewhere: answer.elsewhere.into_iter().map(Signal::of).collect(),
            own: answer.own.into_iter().map(Signal::of).collect(),
            matches_omitted: answer.matches_omitted,
            reference_error: answer.reference_error,
            watch: answer.watch,
            watch_error: answer.watch_error,
            asked: kinds.iter().map(|kind| words::kind(*kind)).collect(),
            freshness: FreshnessView::of(freshness),
            verbose,
        }
    }

    /// The answer in words.
    fn sentence(&self) -> String {
        let own = self.own.iter().any(|signal| signal.counts);
        let who = match (self.members_elsewhere, own) {
            (0, true) => "only your own member flags this seller".to_owned(),
            (n, true) => format!("{} and your own flag this seller", counted(u64::from(n), "other member")),
            (1, false) => "1 other member flags this seller".to_owned(),
            (n, false) => format!("{n} other members flag this seller"),
        };
        let decided_here = self.reasons.contains(&domain::Reason::DecidedHere.as_str());
        match self.verdict {
            verdict if decided_here => format!("{}: by this member's own word", verdict.to_uppercase().replace('_', " ")),
            "confirmed" => format!("CONFIRMED: {who}, on conclusive evidence"),
            "repeat_offender" => format!("REPEAT OFFENDER: {who}, again and again"),
            "alleged" => format!("ALLEGED: {who}, without conclusive evidence"),
            "disputed" => "DISPUTED: this seller is flagged, and it is denied".to_owned(),
            "known_good" => "KNOWN GOOD: a member vouches for this seller".to_owned(),
            "none_known" if self.elsewhere.is_empty() && self.own.is_empty() && self.reasons.is_empty() => {
                "NONE KNOWN: nothing matches".to_owned()
            }
            "none_known" => "NONE KNOWN: what matches does not count".to_owned(),
            other => other.to_uppercase(),
        }
    }

    /// The reasons in words.
    fn because(&self) -> String {
        let words = self.reasons.iter().map(|code| code.parse().map_or(*code, domain::Reason::words));
        words.collect::<Vec<_>>().join("; ")
    }

    fn reference_line(&self) -> String {
        match self.reference_error.as_str() {
            "" => format!("{} (kept for 365 days)", self.reference),
            code => format!("not kept: {code}"),
        }
    }
}

impl Show for Answer {
    fn table(&self) -> String {
        let head = [
            ("reference", self.reference_line()),
            ("checked at", self.checked_at.clone().unwrap_or_default()),
            ("because", self.because()),
            ("watch", if self.watch_error.is_empty() { self.watch.clone() } else { format!("none: {}", self.watch_error) }),
            ("your own word", self.overrides.iter().map(Override::in_words).collect::<Vec<_>>().join("; ")),
            ("asked", self.asked.join(", ")),
        ];
        let head = facts(head.into_iter().filter(|(_, value)| !value.is_empty()));
        let elsewhere = self.elsewhere.iter().map(|signal| signal.block(&signal.member, &self.asked));
        let own = self.own.iter().map(|signal| signal.block("your own", &self.asked));
        let markers = self.markers.iter().map(|marker| marker.block(&self.asked));
        let signals: String = elsewhere.chain(own).chain(markers).map(|block| format!("\n{block}")).collect();
        let omitted = match self.matches_omitted {
            0 => String::new(),
            n => format!("\n{} not listed\n", counted(u64::from(n), "further matching signal")),
        };
        let freshness = self.freshness.table(self.verbose);
        format!("{}\n{head}{signals}{omitted}\n{freshness}", self.sentence())
    }
}

/// A member's word about an asked identifier. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Marker {
    marker: String,
    /// victim or known_good.
    kind: &'static str,
    reason: &'static str,
    recorded_at: Option<String>,
    /// Position in the question, from 0.
    index: u32,
    identifier: &'static str,
}

impl Marker {
    fn of(found: MarkerMatch) -> Self {
        Self {
            marker: found.marker,
            kind: words::marker(found.kind),
            reason: words::marker_reason(found.reason),
            recorded_at: words::instant(found.recorded_at_ms),
            index: found.index,
            identifier: words::kind(found.identifier),
        }
    }

    fn block(&self, asked: &[&str]) -> String {
        let identifier = numbered(self.identifier, self.index, asked);
        let (member, _) = self.marker.split_once('/').unwrap_or((&self.marker, ""));
        let head = plain(&format!("{member}, {}: {identifier} ({})", self.kind, self.reason));
        format!("{head}\n{}", facts([("  marker", self.marker.clone())]))
    }
}

/// A matching signal as it is printed. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Signal {
    signal: String,
    member: String,
    /// alleged, confirmed, refutation_pending or disputed.
    status: &'static str,
    recorded_at: Option<String>,
    /// Whether it counts towards the verdict.
    counts: bool,
    quarantined: bool,
    matched: Vec<Matched>,
    #[serde(flatten)]
    statement: StatementView,
}

#[derive(Debug, Serialize)]
struct Matched {
    /// Position in the question, from 0.
    index: u32,
    kind: &'static str,
    strength: &'static str,
}

impl From<MatchedIdentifier> for Matched {
    fn from(matched: MatchedIdentifier) -> Self {
        Self { index: matched.index, kind: words::kind(matched.kind), strength: words::strength(matched.strength) }
    }
}

impl Signal {
    fn of(found: SignalMatch) -> Self {
        Self {
            signal: found.signal,
            member: found.member,
            status: words::status(found.status),
            recorded_at: words::instant(found.recorded_at_ms),
            counts: found.counts,
            quarantined: found.quarantined,
            matched: found.matched.into_iter().map(Matched::from).collect(),
            statement: StatementView::of(found.statement.unwrap_or_default()),
        }
    }

    /// A few lines about it, those left out that say nothing.
    fn block(&self, whose: &str, asked: &[&str]) -> String {
        let marks = [(self.quarantined, "quarantined feed"), (!self.counts, "does not count")];
        let marks = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, mark)| mark);
        let status: Vec<&str> = std::iter::once(self.status).chain(marks).collect();
        let about = self.statement.about().map_or_else(String::new, |name| format!(" of {name}"));
        let head = plain(&format!("{whose}, {}: {}{about}", status.join(", "), self.statement.infringement));
        let matched: Vec<String> = self.matched.iter().map(|m| m.in_words(asked)).collect();
        let said = [
            ("  signal", self.signal.clone()),
            ("  matched by", matched.join(", ")),
            ("  evidence", self.statement.evidence_in_words()),
            ("  actions", self.statement.actions.join(", ")),
            ("  seen", self.statement.seen_in_words()),
        ];
        format!("{head}\n{}", facts(said.into_iter().filter(|(_, value)| !value.is_empty())))
    }
}

impl Matched {
    /// The kind, with its number among those of the kind that were asked about: `phone 2 (strong)`.
    fn in_words(&self, asked: &[&str]) -> String {
        format!("{} ({})", numbered(self.kind, self.index, asked), self.strength)
    }
}

/// A kind, with its number among those of the kind that were asked about.
fn numbered(kind: &str, index: u32, asked: &[&str]) -> String {
    let same_kind = |kinds: &[&str]| kinds.iter().filter(|other| **other == kind).count();
    let before = asked.get(..index as usize).map_or(0, same_kind);
    if same_kind(asked) > 1 { format!("{kind} {}", before + 1) } else { kind.to_owned() }
}

#[cfg(test)]
mod tests;
