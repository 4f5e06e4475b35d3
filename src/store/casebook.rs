//! What entries say about others, by what they are about: in memory, derived from the log. Only positions are kept; whoever asks
//! reads the entries.
//!
//! Of what one feed says about one entry only so much is kept as counts in [`crate::feed::life`]: a feed arrives in order, so every
//! node keeps the same, and nobody can make a check read more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use roaring::RoaringTreemap;

use super::index::{FeedNo, Fingerprint, Position, PositionIndex, Postings};
use super::leadbook::{KeptStep, LeadBook, LeadKey};
use crate::domain::limits::{MAX_AMENDMENTS, MAX_CASE_SIGNALS, MAX_DISPUTES_BY_MEMBER};
use crate::domain::{CaseTag, DisputeOutcome, FeedId, Marker, MarkerKind, SignalRef, Timestamp};
use crate::feed::Body;

/// Decisions of one feed about one dispute with one outcome: one for each signal that a dispute can name.
const MAX_DECISIONS: usize = MAX_CASE_SIGNALS;
/// Opinions of one feed about one signal: the newest that is not erased holds.
const MAX_OPINIONS_KEPT: usize = 8;
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
    Upheld,
    Refuted,
    TakenBack,
    Opinion,
    Lift,
}

impl Kind {
    /// How many of one feed are kept, the first ones; of opinions the last ones.
    const fn bound(self) -> usize {
        match self {
            // Beyond those that count, so that others take the place of those that are erased, at every node the same.
            Self::Amendment => 2 * MAX_AMENDMENTS,
            Self::Opinion => MAX_OPINIONS_KEPT,
            Self::Dispute => MAX_DISPUTES_BY_MEMBER,
            Self::Upheld | Self::Refuted => MAX_DECISIONS,
            Self::TakenBack | Self::Lift => 1,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Casebook {
    about: HashMap<SignalRef, BTreeMap<(Kind, FeedNo), Vec<Noted>>>,
    cases: HashMap<CaseTag, Vec<Position>>,
    disputes: BTreeSet<SignalRef>,
    leads: LeadBook,
    /// What erasures name: it counts no more, whether its content is gone yet or not.
    erased: HashMap<FeedNo, RoaringTreemap>,
    /// Those of victims are marked.
    markers: PositionIndex,
}

impl Casebook {
    /// Takes in the entry at `at`, which stands as `name`.
    pub(super) fn take(&mut self, name: &SignalRef, at: Position, since: Timestamp, body: &Body) {
        let same_feed = |seq| SignalRef { feed: name.feed.clone(), seq };
        match body {
            Body::Amendment(amendment) => self.note(same_feed(amendment.signal), at, since, Kind::Amendment),
            Body::Dispute(dispute) if dispute.signals.iter().all(|signal| signal.feed.audience == name.feed.audience) => {
                dispute.signals.iter().for_each(|signal| self.note(signal.clone(), at, since, Kind::Dispute));
                self.cases.entry(dispute.reference).or_default().push(at);
                self.disputes.insert(name.clone());
            }
            Body::Decision(decision) if decision.dispute.feed.audience == name.feed.audience => {
                let kind = match decision.outcome {
                    DisputeOutcome::Upheld => Kind::Upheld,
                    DisputeOutcome::Refuted => Kind::Refuted,
                    DisputeOutcome::TakenBack => Kind::TakenBack,
                };
                if kind != Kind::TakenBack || decision.dispute.feed == name.feed {
                    self.note(decision.dispute.clone(), at, since, kind);
                }
            }
            Body::Opinion(opinion) if opinion.signal.feed.audience == name.feed.audience => {
                self.note(opinion.signal.clone(), at, since, Kind::Opinion);
            }
            Body::Marker(marker) => {
                let at = at.marked(marker.kind == MarkerKind::Victim);
                fingerprints(marker).for_each(|fingerprint| self.markers.insert(fingerprint, at));
            }
            Body::MarkerLift(lift) => self.note(same_feed(lift.marker), at, since, Kind::Lift),
            Body::Erasure(erasure) => {
                let earlier = erasure.entries.iter().filter(|seq| **seq < at.seq());
                self.erased.entry(at.feed()).or_default().extend(earlier.map(|seq| seq.get()));
            }
            Body::Referral(referral) if referral.signals.iter().all(|signal| signal.feed.audience == name.feed.audience) => {
                self.leads.take(at, referral);
            }
            Body::Signal { .. }
            | Body::Retraction(_)
            | Body::Dispute(_)
            | Body::Decision(_)
            | Body::Opinion(_)
            | Body::Rekeying(_)
            | Body::Referral(_) => {}
        }
    }

    fn note(&mut self, about: SignalRef, at: Position, since: Timestamp, kind: Kind) {
        let noted = self.about.entry(about).or_default().entry((kind, at.feed())).or_default();
        if noted.len() == kind.bound() && kind == Kind::Opinion {
            noted.remove(0);
        }
        if noted.len() < kind.bound() {
            noted.push(Noted { at, since });
        }
    }

    /// Whether an erasure names the entry.
    pub(super) fn is_erased(&self, at: Position) -> bool {
        self.erased.get(&at.feed()).is_some_and(|erased| erased.contains(at.seq().get()))
    }

    /// What erasures name of a feed.
    pub(super) fn erased(&self, feed: FeedNo) -> Option<&RoaringTreemap> {
        self.erased.get(&feed)
    }

    /// Forgets where an entry stands whose content is gone: who never saw it has no place for it either.
    pub(super) fn forget(&mut self, at: Position, feed: &FeedId, body: &Body) {
        let about = match body {
            Body::Amendment(amendment) => SignalRef { feed: feed.clone(), seq: amendment.signal },
            Body::Opinion(opinion) => opinion.signal.clone(),
            Body::Marker(marker) => return fingerprints(marker).for_each(|print| self.markers.remove(print, at)),
            Body::Referral(referral) => return self.leads.forget(at, referral),
            _ => return,
        };
        if let Some(about_it) = self.about.get_mut(&about) {
            about_it.values_mut().for_each(|noted| noted.retain(|noted| noted.at != at));
            about_it.retain(|_, noted| !noted.is_empty());
            if about_it.is_empty() {
                self.about.remove(&about);
            }
        }
    }

    /// Whether anything is said about the entry.
    pub(super) fn speaks_of(&self, entry: &SignalRef) -> bool {
        self.about.contains_key(entry)
    }

    /// What is said about a signal, but for the decisions of its disputes.
    pub(super) fn about(&self, signal: &SignalRef) -> Vec<Noted> {
        let about = self.about.get(signal).into_iter().flatten();
        let kept = about.filter(|((kind, _), _)| matches!(kind, Kind::Amendment | Kind::Dispute | Kind::Opinion));
        let noted = kept.flat_map(|((kind, _), noted)| noted.iter().map(move |noted| (*kind, *noted)));
        noted.filter(|(kind, noted)| *kind == Kind::Dispute || !self.is_erased(noted.at)).map(|(_, noted)| noted).collect()
    }

    /// How a dispute was decided by the member of the feed `of`, and whether the seller took it back.
    pub(super) fn decisions(&self, dispute: &SignalRef, of: FeedNo) -> Vec<Noted> {
        let about = self.about.get(dispute).into_iter().flatten();
        let decides = |(kind, feed): &(Kind, FeedNo)| match kind {
            Kind::Upheld | Kind::Refuted => *feed == of,
            Kind::TakenBack => true,
            Kind::Amendment | Kind::Dispute | Kind::Opinion | Kind::Lift => false,
        };
        about.filter(|(key, _)| decides(key)).flat_map(|(_, noted)| noted).copied().collect()
    }

    /// The disputes that were recorded under a reference: one, unless it was recorded again.
    pub(super) fn case(&self, tag: &CaseTag) -> Vec<Position> {
        self.cases.get(tag).cloned().unwrap_or_default()
    }

    /// Entries that record disputes, in the order of their names.
    pub(super) fn disputes_after(&self, after: Option<&SignalRef>) -> impl Iterator<Item = &SignalRef> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.disputes.range((from, Bound::Unbounded))
    }

    /// What each feed says of each of its leads.
    pub(super) fn leads(&self) -> impl Iterator<Item = impl Iterator<Item = &KeptStep>> {
        self.leads.all().map(|steps| steps.iter().filter(|step| !self.is_erased(step.at)))
    }

    /// What the feed says of one of its leads.
    pub(super) fn lead(&self, key: &LeadKey) -> impl Iterator<Item = &KeptStep> {
        self.leads.steps(key).iter().filter(|step| !self.is_erased(step.at))
    }

    /// Where the feed says anything of one of its leads, whether it counts or not.
    pub(super) fn lead_positions(&self, key: &LeadKey) -> impl Iterator<Item = Position> {
        self.leads.positions(key).filter(|at| !self.is_erased(*at))
    }

    /// Leads that name the signal.
    pub(super) fn leads_naming(&self, signal: &SignalRef) -> impl Iterator<Item = &LeadKey> {
        self.leads.naming(signal).iter().filter(|(_, at)| !self.is_erased(*at)).map(|(key, _)| key)
    }

    /// Leads of one feed, with those whose content is still to be removed.
    pub(super) fn count_leads(&self, feed: FeedNo) -> usize {
        self.leads.count(feed)
    }

    /// Whether a marker may name the pseudonym.
    pub(super) fn is_marked(&self, fingerprint: Fingerprint) -> bool {
        self.markers.postings() > 0 && self.markers.contains(fingerprint)
    }

    /// Markers that may name the pseudonym.
    pub(super) fn markers(&self, fingerprint: Fingerprint) -> Vec<Position> {
        let newest = self.markers.newest(fingerprint, MAX_MARKERS_READ).into_iter().flat_map(|newest| newest.positions);
        newest.filter(|at| !self.is_erased(*at)).collect()
    }

    /// Whether the marker was taken back.
    pub(super) fn is_lifted(&self, marker: &SignalRef) -> bool {
        self.about.get(marker).is_some_and(|about| about.keys().any(|(kind, _)| *kind == Kind::Lift))
    }
}

fn fingerprints(marker: &Marker) -> impl Iterator<Item = Fingerprint> {
    marker.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
}
