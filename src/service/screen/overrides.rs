//! This member's own word about the seller that is asked about.

use super::{Found, MatchedIdentifier, Question};
use crate::domain::{Judgment, Reason, Roster, Strength, Timestamp, Verdict};
use crate::store::{OverrideId, Store};

/// An override that names a strong identifier of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideMatch {
    /// By this it is taken back.
    pub id: OverrideId,
    /// What it says.
    pub verdict: Verdict,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it holds.
    pub until: Option<Timestamp>,
    /// Why.
    pub note: String,
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
                let mut held = made.pseudonyms.iter().filter(|held| held.key == set.key);
                let names = held.any(|held| held.pseudonyms.iter().zip(&made.kinds).any(|(p, k)| k == kind && p == pseudonym));
                if !names || !made.holds(now) {
                    continue;
                }
                match found.iter_mut().find(|known| known.id == id) {
                    Some(known) if known.indices.contains(index) => {}
                    Some(known) => known.indices.push(*index),
                    None => {
                        let (verdict, made_at, until, note) = (made.verdict, made.made_at, made.until, made.note);
                        found.push(OverrideMatch { id, verdict, made_at, until, note, indices: vec![*index] });
                    }
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
    let flags = found.overrides.iter().filter(in_force).find(|own| own.verdict.is_flagged());
    let cleared = |identifier: &MatchedIdentifier| {
        identifier.strength != Strength::Strong || newest_about(&identifier.index).is_some_and(|own| !own.verdict.is_flagged())
    };
    let mut weighed = found.own.iter().chain(&found.elsewhere).filter(|found| found.counts);
    let clears = || found.overrides.first().filter(|_| weighed.all(|found| found.matched.iter().all(cleared)));
    let Some(decides) = flags.or_else(clears) else { return judgment };
    let mut reasons = judgment.reasons;
    reasons.insert(Reason::DecidedHere);
    Judgment { verdict: decides.verdict, reasons, score: judgment.score }
}
