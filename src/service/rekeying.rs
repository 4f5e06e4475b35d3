//! What a known signal lacks to be found under the keys that are active now, made of what is submitted again.

use std::borrow::Cow;

use crate::domain::{PseudonymSet, SignalContent, SignalStatus};

/// What a signal says, with the pseudonyms that its rekeyings give it.
pub(super) fn with_rekeyings(content: &SignalContent, rekeyed: Vec<PseudonymSet>) -> Cow<'_, SignalContent> {
    if rekeyed.is_empty() {
        return Cow::Borrowed(content);
    }
    let mut content = content.clone();
    let lacking = first_under_each_key(&content, rekeyed);
    content.pseudonyms.extend(lacking);
    Cow::Owned(content)
}

/// Of the sets that rekeyings give a signal, the newest first, the first under each key that it was not stated under: under one key
/// it is about one seller.
pub(super) fn first_under_each_key(content: &SignalContent, rekeyed: Vec<PseudonymSet>) -> Vec<PseudonymSet> {
    let mut first: Vec<PseudonymSet> = Vec::with_capacity(rekeyed.len());
    for set in rekeyed {
        if content.pseudonyms.iter().chain(&first).all(|held| held.key != set.key) {
            first.push(set);
        }
    }
    first
}

/// Whether a signal that is this now may come to be looked for under later keys. One that was refuted may: that it was counts for its
/// seller.
pub(super) const fn is_kept(status: SignalStatus) -> bool {
    match status {
        SignalStatus::Withdrawn | SignalStatus::Expired | SignalStatus::Erased => false,
        SignalStatus::Alleged
        | SignalStatus::Confirmed
        | SignalStatus::RefutationPending
        | SignalStatus::Disputed
        | SignalStatus::Refuted
        | SignalStatus::DatedAhead => true,
    }
}

/// The sets of `written` under keys that `known` has none for, in the order of its identifiers. `said` is what was submitted, which says
/// the same as `known` in whatever order, and `written` of it what is under the active keys.
pub(super) fn missing_sets(known: &SignalContent, said: &SignalContent, written: &[PseudonymSet]) -> Vec<PseudonymSet> {
    let has = |set: &&PseudonymSet| known.pseudonyms.iter().any(|held| held.key == set.key);
    let missing: Vec<&PseudonymSet> = written.iter().filter(|set| !has(set)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let Some(places) = places(known, said) else { return Vec::new() };
    let in_order = |set: &PseudonymSet| {
        let pseudonyms = places.iter().map(|place| set.pseudonyms.get(*place).copied()).collect::<Option<_>>()?;
        Some(PseudonymSet { key: set.key.clone(), pseudonyms })
    };
    missing.into_iter().filter_map(in_order).collect()
}

/// Where each identifier of `known` stands in `said`, as seen under a key that both have.
fn places(known: &SignalContent, said: &SignalContent) -> Option<Vec<usize>> {
    let shared = known.pseudonyms.iter().find_map(|held| Some((held, said.pseudonyms.iter().find(|set| set.key == held.key)?)));
    let (held, set) = shared?;
    let said: Vec<_> = said.kinds.iter().zip(&set.pseudonyms).collect();
    known.kinds.iter().zip(&held.pseudonyms).map(|identifier| said.iter().position(|said| *said == identifier)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Pseudonym;
    use crate::feed::fixtures::content;

    #[test]
    fn pseudonyms_come_in_the_order_of_the_signal() {
        let known = content();
        let mut said = content();
        said.kinds.reverse();
        said.pseudonyms.iter_mut().for_each(|set| set.pseudonyms.reverse());
        let fresh = |first, second| PseudonymSet {
            key: "k9".parse().expect("valid"),
            pseudonyms: vec![Pseudonym([first; 32]), Pseudonym([second; 32])],
        };
        said.pseudonyms.push(fresh(2, 1));
        assert_eq!(missing_sets(&known, &said, &said.pseudonyms), [fresh(1, 2)]);
        said.pseudonyms.retain(|set| set.key.as_str() == "k9");
        assert_eq!(missing_sets(&known, &said, &said.pseudonyms), [], "nothing tells which is which");
        let rekeyed = with_rekeyings(&known, vec![fresh(1, 2)]);
        assert_eq!(missing_sets(&rekeyed, &said, &said.pseudonyms), [], "it has them");
        let sets = vec![fresh(1, 2), fresh(3, 4), known.pseudonyms[0].clone()];
        assert_eq!(first_under_each_key(&known, sets), [fresh(1, 2)], "the newest, under a key that it was not stated under");
    }
}
