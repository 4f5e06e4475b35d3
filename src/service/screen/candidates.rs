//! Which signals one question reads.
//!
//! The index names far more signals than an answer can list where somebody floods a seller with them. What is read is bounded
//! for the question as a whole, and chosen so that no flood changes the verdict or the count of members: of every feed the
//! signal that weighs most is read first, whatever stands in the others, and the own member's feeds have a bound of their own.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Question;
use crate::domain::limits::{MAX_MATCHES, MAX_POSTINGS_READ};
use crate::domain::{FeedId, MemberId, Roster, Seq, SignalRef, Strength};
use crate::service::freshness::rests_on;
use crate::store::{FeedPositions, FreshnessRecord, Store};

/// Signals that may match, feed by feed.
pub(super) struct Candidates(BTreeMap<FeedId, OfFeed>);

/// Signals of one feed that may match.
#[derive(Default)]
struct OfFeed {
    signals: BTreeMap<Seq, Weight>,
    /// Signals that the index names beyond those. One signal may be named by many pseudonyms, so these do not add up: it is the
    /// most that was left out under one of them.
    skipped: u64,
}

/// What a candidate may come to once it is read; the greater is read first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    /// A strong identifier leads to it.
    strong: bool,
    conclusive: bool,
}

/// Signals that are read on the spot at most, where they are in memory.
const MAX_READ_AT_ONCE: usize = 16;

/// What is read of the own member's feeds, and of all others.
pub(super) struct Chosen {
    pub(super) own: Choice,
    pub(super) elsewhere: Choice,
}

impl Chosen {
    /// Whether all of it can be read in a moment and without the disk.
    pub(super) fn is_at_hand(&self, store: &Store) -> bool {
        let signals = || self.own.read.iter().chain(&self.elsewhere.read);
        let is_recent = |signal: &SignalRef| {
            store.is_recent(&signal.feed, signal.seq)
                && store.rekeyings(signal).iter().all(|at| store.is_recent(&signal.feed, *at))
        };
        let at_hand = |signal: &SignalRef| is_recent(signal) && !store.speaks_of(signal);
        signals().count() <= MAX_READ_AT_ONCE && signals().all(at_hand)
    }
}

/// What is read, and how much is left unread.
#[derive(Default)]
pub(super) struct Choice {
    pub(super) read: Vec<SignalRef>,
    pub(super) unread: u32,
}

impl Candidates {
    /// What the index names, of the feeds that the answer rests on.
    pub(super) fn of(store: &Store, question: &Question, roster: &Roster, freshness: &FreshnessRecord) -> Self {
        let mut feeds: BTreeMap<FeedId, OfFeed> = BTreeMap::new();
        for set in &question.pseudonyms {
            for (pseudonym, (_, kind)) in set.pseudonyms.iter().zip(&question.asked) {
                let strong = roster.strength(*kind) == Strength::Strong;
                let positions = store.newest_positions(pseudonym, MAX_MATCHES).into_iter();
                for found in positions.filter(|found| rests_on(freshness, &found.feed)) {
                    feeds.entry(found.feed.clone()).or_default().take(&found, strong);
                }
            }
        }
        Self(feeds)
    }

    /// What is read of them.
    pub(super) fn choose(self, own: &MemberId) -> Chosen {
        let (own, others): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|(feed, _)| feed.member == *own);
        Chosen { own: Choice::of(own), elsewhere: Choice::of(others) }
    }
}

impl OfFeed {
    fn take(&mut self, found: &FeedPositions, strong: bool) {
        for position in &found.newest {
            let weight = Weight { strong, conclusive: position.is_conclusive() };
            let known = self.signals.entry(position.seq()).or_insert(weight);
            *known = weight.max(*known);
        }
        self.skipped = self.skipped.max(found.skipped);
    }

    /// The heaviest first, and of these the newest.
    fn ordered(&self) -> Vec<Seq> {
        let mut signals: Vec<(Weight, Seq)> = self.signals.iter().map(|(seq, weight)| (*weight, *seq)).collect();
        signals.sort_unstable_by_key(|signal| Reverse(*signal));
        signals.into_iter().map(|(_, seq)| seq).collect()
    }
}

impl Choice {
    /// The first of every feed, then the second of every feed, and so on up to the bound.
    fn of(feeds: Vec<(FeedId, OfFeed)>) -> Self {
        let named: u64 = feeds.iter().map(|(_, of)| of.signals.len() as u64 + of.skipped).sum();
        let most = feeds.len() + MAX_POSTINGS_READ;
        let mut rest: Vec<_> = feeds.into_iter().map(|(feed, of)| (feed, of.ordered().into_iter())).collect();
        let mut read = Vec::new();
        while !rest.is_empty() && read.len() < most {
            rest.retain_mut(|(feed, signals)| match signals.next() {
                Some(seq) if read.len() < most => {
                    read.push(SignalRef { feed: feed.clone(), seq });
                    true
                }
                Some(_) | None => false,
            });
        }
        let unread = named.saturating_sub(read.len() as u64);
        Self { read, unread: u32::try_from(unread).unwrap_or(u32::MAX) }
    }
}
