//! This member's own word about the seller that is asked about.

use super::{Found, MatchedIdentifier, Question};
use crate::domain::{Judgment, Reason, Roster, Strength, Timestamp};
use crate::store::{Override, OverrideId, Store};

/// An override that names a strong identifier of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideMatch {
    /// By this it is taken back.
    pub id: OverrideId,
    /// What it says.
    pub made: Override,
    /// Places in the question that it names.
    pub indices: Vec<u32>,
}

/// Those that hold, the newest first.
pub(super) fn of(store: &Store, question: &Question, roster: &Roster, now: Timestamp) -> Vec<OverrideMatch> {
    let mut found: Vec<OverrideMatch> = Vec::new();
    for set in &question.pseudonyms {
        for (pseudonym, (index, kind)) in set.pseudonyms.iter().zip(&question.asked) {
            if roster.strength(*kind) == Strength::Weak {
                continue;
            }
            for (id, made) in store.overrides_of(pseudonym) {
                if !made.subject().names(&set.key, *kind, pseudonym) || !made.holds(now) {
                    continue;
                }
                match found.iter_mut().find(|known| known.id == id) {
                    Some(known) if known.indices.contains(index) => {}
                    Some(known) => known.indices.push(*index),
                    None => found.push(OverrideMatch { id, made, indices: vec![*index] }),
                }
            }
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.id));
    found
}

/// The newest word about each identifier holds. Where any of those flags, it decides, for the whole question; else one that clears
/// decides where every strong identifier by which a signal is weighed is named by one that clears.
pub(super) fn decide(judgment: Judgment, found: &Found) -> Judgment {
    let newest_about = |index: &u32| found.overrides.iter().find(|own| own.indices.contains(index));
    let in_force = |own: &&OverrideMatch| own.indices.iter().any(|index| newest_about(index).is_some_and(|n| n.id == own.id));
    let flags = found.overrides.iter().filter(in_force).find(|own| own.made.verdict.is_flagged());
    let cleared = |identifier: &MatchedIdentifier| {
        identifier.strength != Strength::Strong
            || newest_about(&identifier.index).is_some_and(|own| !own.made.verdict.is_flagged())
    };
    let mut weighed = found.own.iter().chain(&found.elsewhere).filter(|found| found.counts);
    let clears = || found.overrides.first().filter(|_| weighed.all(|found| found.matched.iter().all(cleared)));
    let Some(decides) = flags.or_else(clears) else { return judgment };
    let mut reasons = judgment.reasons;
    reasons.insert(Reason::DecidedHere);
    Judgment { verdict: decides.made.verdict, reasons, score: judgment.score }
}
