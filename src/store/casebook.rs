//! What entries say about others, by what they are about: in memory, derived from the log. Only positions are kept; whoever asks
//! reads the entries.
//!
//! Of what one feed says about one entry only so much is kept as counts in [`crate::feed::life`]: a feed arrives in order, so every
//! node keeps the same, and nobody can make a check read more.

use std::collections::{BTreeMap, HashMap};

use super::index::{FeedNo, Fingerprint, Position, PositionIndex, Postings};
use crate::domain::limits::{MAX_AMENDMENTS, MAX_DISPUTES_BY_MEMBER};
use crate::domain::{CaseTag, DisputeOutcome, LeadId, Marker, MarkerKind, SignalRef, Timestamp};
use crate::feed::Body;

/// Decisions of one feed about one signal: the first of each kind about each dispute holds.
const MAX_DECISIONS: usize = 64;
/// Markers that are read of one feed for one pseudonym, of each kind: the newest.
const MAX_MARKERS_READ: usize = 8;

/// An entry about another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) at: Position,
    /// When it counts as recorded.
    pub(super) since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Amendment,
    Dispute,
    Decision,
    Opinion,
    Lift,
}

impl Kind {
    /// How many of one feed are kept, the first ones.
    const fn bound(self) -> usize {
        match self {
            Self::Amendment => MAX_AMENDMENTS,
            Self::Dispute => MAX_DISPUTES_BY_MEMBER,
            Self::Decision => MAX_DECISIONS,
            Self::Opinion | Self::Lift => 1,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Casebook {
    about: HashMap<SignalRef, BTreeMap<(Kind, FeedNo), Vec<Noted>>>,
    cases: HashMap<CaseTag, Vec<Position>>,
    leads: BTreeMap<LeadId, Vec<Position>>,
    /// Those of victims are marked.
    markers: PositionIndex,
}

impl Casebook {
    /// Takes in the entry at `at`, which stands as `name`.
    pub(super) fn take(&mut self, name: &SignalRef, at: Position, since: Timestamp, body: &Body) {
        let same_feed = |seq| SignalRef { feed: name.feed.clone(), seq };
        match body {
            Body::Amendment(amendment) => self.note(same_feed(amendment.signal), at, since, Kind::Amendment),
            Body::Dispute(dispute) => {
                dispute.signals.iter().for_each(|signal| self.note(signal.clone(), at, since, Kind::Dispute));
                self.cases.entry(dispute.reference).or_default().push(at);
            }
            Body::Decision(decision) if decision.outcome == DisputeOutcome::TakenBack => {
                self.note(decision.dispute.clone(), at, since, Kind::Decision);
            }
            Body::Decision(decision) => {
                decision.signals.iter().for_each(|signal| self.note(same_feed(*signal), at, since, Kind::Decision));
            }
            Body::Opinion(opinion) => self.note(opinion.signal.clone(), at, since, Kind::Opinion),
            Body::Marker(marker) => {
                let at = at.marked(marker.kind == MarkerKind::Victim);
                fingerprints(marker).for_each(|fingerprint| self.markers.insert(fingerprint, at));
            }
            Body::MarkerLift(lift) => self.note(same_feed(lift.marker), at, since, Kind::Lift),
            Body::Referral(referral) => self.leads.entry(referral.lead).or_default().push(at),
            Body::Signal { .. } | Body::Retraction(_) | Body::Erasure(_) => {}
        }
    }

    fn note(&mut self, about: SignalRef, at: Position, since: Timestamp, kind: Kind) {
        let noted = self.about.entry(about).or_default().entry((kind, at.feed())).or_default();
        if kind == Kind::Opinion {
            noted.clear();
        }
        if noted.len() < kind.bound() {
            noted.push(Noted { at, since });
        }
    }

    /// Whether nothing is said about any entry.
    pub(super) fn is_empty(&self) -> bool {
        self.about.is_empty()
    }

    /// Whether anything is said about the entry.
    pub(super) fn speaks_of(&self, entry: &SignalRef) -> bool {
        !self.is_empty() && self.about.contains_key(entry)
    }

    /// What is said about the entry.
    pub(super) fn about(&self, entry: &SignalRef) -> Vec<Noted> {
        self.about.get(entry).into_iter().flat_map(BTreeMap::values).flatten().copied().collect()
    }

    /// The disputes that were recorded under a reference: one, unless it was recorded again.
    pub(super) fn case(&self, tag: &CaseTag) -> Vec<Position> {
        self.cases.get(tag).cloned().unwrap_or_default()
    }

    /// Every dispute there is.
    pub(super) fn disputes(&self) -> impl Iterator<Item = Position> {
        self.cases.values().flatten().copied()
    }

    /// What was recorded of each lead.
    pub(super) fn leads(&self) -> &BTreeMap<LeadId, Vec<Position>> {
        &self.leads
    }

    /// Whether a marker may name the pseudonym.
    pub(super) fn is_marked(&self, fingerprint: Fingerprint) -> bool {
        self.markers.postings() > 0 && self.markers.contains(fingerprint)
    }

    /// Markers that may name the pseudonym.
    pub(super) fn markers(&self, fingerprint: Fingerprint) -> Vec<Position> {
        self.markers.newest(fingerprint, MAX_MARKERS_READ).into_iter().flat_map(|newest| newest.positions).collect()
    }

    /// Whether the marker was taken back.
    pub(super) fn is_lifted(&self, marker: &SignalRef) -> bool {
        self.about.get(marker).is_some_and(|about| about.keys().any(|(kind, _)| *kind == Kind::Lift))
    }
}

fn fingerprints(marker: &Marker) -> impl Iterator<Item = Fingerprint> {
    marker.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
}
