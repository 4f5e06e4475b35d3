//! What members say of the asked identifiers themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::{MatchedIdentifier, Question};
use crate::domain::{IdentifierKind, MarkerKind, MarkerReason, MemberId, SignalRef, Strength, Timestamp};
use crate::service::record::Reader;
use crate::store::{FreshnessRecord, StandingMarker, Store, StoreError};

/// A marker that names one of the asked identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerMatch {
    /// Where it stands.
    pub marker: SignalRef,
    /// What it says.
    pub kind: MarkerKind,
    /// Why.
    pub reason: MarkerReason,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Place of the identifier in the question.
    pub index: u32,
    /// Kind of the identifier.
    pub identifier: IdentifierKind,
}

/// The markers that hold.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) markers: Vec<MarkerMatch>,
    /// Places in the question whose identifier belongs to a victim.
    victims: BTreeSet<u32>,
    /// Strong ones whose holder a member vouches for, and who does.
    vouched: BTreeMap<u32, BTreeSet<MemberId>>,
}

impl Marks {
    /// Whether a marker may name any of the asked identifiers. In memory.
    pub(super) fn are_likely(store: &Store, question: &Question) -> bool {
        question.pseudonyms.iter().flat_map(|set| &set.pseudonyms).any(|pseudonym| store.is_marked(pseudonym))
    }

    /// Reads them, of the feeds that the answer rests on.
    pub(super) fn of(question: &Question, reader: &Reader<'_>, freshness: &FreshnessRecord) -> Result<Self, StoreError> {
        let mut marks = Self::default();
        for set in &question.pseudonyms {
            for (pseudonym, (index, kind)) in set.pseudonyms.iter().zip(&question.asked) {
                for StandingMarker { at, recorded_at, marker } in reader.markers_of(pseudonym, freshness)? {
                    let is_known = |known: &MarkerMatch| known.marker == at && known.index == *index;
                    if !marker.subject().names(&set.key, *kind, pseudonym) || marks.markers.iter().any(is_known) {
                        continue;
                    }
                    match marker.kind {
                        MarkerKind::Victim => drop(marks.victims.insert(*index)),
                        // As with signals, a weak identifier alone says nothing.
                        MarkerKind::KnownGood if reader.roster().strength(*kind) == Strength::Weak => {}
                        MarkerKind::KnownGood => {
                            marks.vouched.entry(*index).or_default().insert(at.feed.member.clone());
                        }
                    }
                    marks.markers.push(MarkerMatch {
                        marker: at,
                        kind: marker.kind,
                        reason: marker.reason,
                        recorded_at,
                        index: *index,
                        identifier: *kind,
                    });
                }
            }
        }
        Ok(marks)
    }

    /// Whether a member vouches for a strong identifier.
    pub(super) fn vouched_for(&self) -> bool {
        !self.vouched.is_empty()
    }

    /// Whether others than `member` vouch for every strong identifier of a match.
    pub(super) fn cover(&self, matched: &[MatchedIdentifier], member: &MemberId) -> bool {
        let strong = matched.iter().filter(|identifier| identifier.strength == Strength::Strong);
        strong.clone().next().is_some()
            && strong.into_iter().all(|identifier| {
                self.vouched.get(&identifier.index).is_some_and(|by| by.iter().any(|voucher| voucher != member))
            })
    }

    /// What a match by the identifier at `index` means.
    pub(super) fn strength(&self, index: u32, strength: Strength) -> Strength {
        if self.victims.contains(&index) { Strength::Void } else { strength }
    }
}
