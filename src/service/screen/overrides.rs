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
                let mut named = made.pseudonyms.iter().filter(|held| held.key == set.key);
                let names = named.any(|held| held.pseudonyms.iter().zip(&made.kinds).any(|(p, k)| k == kind && p == pseudonym));
                match found.iter_mut().find(|known| known.id == id) {
                    Some(known) if !known.indices.contains(index) => known.indices.push(*index),
                    Some(_) => {}
                    None if names && made.holds(now) => {
                        let (verdict, made_at, until, note) = (made.verdict, made.made_at, made.until, made.note);
                        found.push(OverrideMatch { id, verdict, made_at, until, note, indices: vec![*index] });
                    }
                    None => {}
                }
            }
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.id));
    found
}

/// The newest override decides. One that flags holds for the whole question; one that clears reaches as far as what it names: it
/// decides where every strong identifier by which a signal is weighed is named by one that clears.
pub(super) fn decide(judgment: Judgment, found: &Found) -> Judgment {
    let Some(newest) = found.overrides.first() else { return judgment };
    let cleared = |identifier: &MatchedIdentifier| {
        let clears = |own: &OverrideMatch| !own.verdict.is_flagged() && own.indices.contains(&identifier.index);
        identifier.strength != Strength::Strong || found.overrides.iter().any(clears)
    };
    let mut weighed = found.own.iter().chain(&found.elsewhere).filter(|found| found.counts);
    if !newest.verdict.is_flagged() && !weighed.all(|found| found.matched.iter().all(cleared)) {
        return judgment;
    }
    let mut reasons = judgment.reasons;
    reasons.insert(Reason::DecidedHere);
    Judgment { verdict: newest.verdict, reasons, score: judgment.score }
}
