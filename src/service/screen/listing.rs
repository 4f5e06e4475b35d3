//! Which of the matching signals one answer lists, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::SignalMatch;
use crate::domain::{MemberId, SignalStatus, Timestamp};

/// What counts stands before what does not, what is confirmed before what is alleged, the newest first. When it was recorded
/// is each member's own word, so a day to come is worth no more than this moment; within a feed the order of the entries tells.
fn weight(found: &SignalMatch, now: Timestamp) -> (bool, bool, Timestamp) {
    (found.counts, found.record.status == SignalStatus::Confirmed, found.record.recorded_at.min(now))
}

fn sort(matches: &mut [SignalMatch], now: Timestamp) {
    matches.sort_by(|a, b| {
        let (of_a, of_b) = (&a.record.signal, &b.record.signal);
        let stronger_first = weight(b, now).cmp(&weight(a, now));
        stronger_first.then_with(|| of_a.feed.cmp(&of_b.feed)).then_with(|| of_b.seq.cmp(&of_a.seq))
    });
}

/// The strongest, at most `most`, and how many are left out.
pub(super) fn strongest(mut matches: Vec<SignalMatch>, most: usize, now: Timestamp) -> (Vec<SignalMatch>, usize) {
    sort(&mut matches, now);
    let cut = matches.len().saturating_sub(most);
    matches.truncate(most);
    (matches, cut)
}

/// At most `most`, and how many are left out: the strongest of every member, then the second of every member, and so on, so
/// that however much one of them states, all are heard. Listed by strength.
pub(super) fn of_every_member(matches: Vec<SignalMatch>, most: usize, now: Timestamp) -> (Vec<SignalMatch>, usize) {
    let cut = matches.len().saturating_sub(most);
    let mut members: BTreeMap<MemberId, Vec<SignalMatch>> = BTreeMap::new();
    for found in matches {
        members.entry(found.record.signal.feed.member.clone()).or_default().push(found);
    }
    let mut members: Vec<Vec<SignalMatch>> = members.into_values().collect();
    members.iter_mut().for_each(|of_member| sort(of_member, now));
    members.sort_by_key(|of_member| Reverse(of_member.first().map(|strongest| weight(strongest, now))));
    let mut rest: Vec<_> = members.into_iter().map(Vec::into_iter).collect();
    let mut listed = Vec::new();
    while !rest.is_empty() && listed.len() < most {
        rest.retain_mut(|of_member| match of_member.next() {
            Some(found) if listed.len() < most => {
                listed.push(found);
                true
            }
            Some(_) | None => false,
        });
    }
    sort(&mut listed, now);
    (listed, cut)
}
