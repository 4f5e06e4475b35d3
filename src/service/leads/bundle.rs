//! What an authority is given of a lead.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{LeadRecord, Leads};
use crate::domain::limits::MAX_BUNDLE_ENTRIES;
use crate::domain::{FeedId, MemberId, Seq, SignalRef, Timestamp};
use crate::feed::{EntryBytes, Leaf, write_proof};
use crate::service::cases::CaseError;
use crate::store::{Store, StoreError};

/// All that an authority needs to verify a lead by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The lead.
    pub lead: SignalRef,
    /// The roster in force, as signed note.
    pub roster: Bytes,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whose node made it.
    pub made_by: MemberId,
    /// What the lead rests on, and all that was said of it: each entry with its proof of inclusion.
    pub entries: Vec<(SignalRef, EntryBytes, String)>,
    /// There is more than fits.
    pub cut: bool,
}

impl Leads {
    /// What an authority needs to verify the lead: each entry that it rests on, and all that was said of it, with its proof. What was
    /// erased is not in it, whether it is gone from the disk yet or not; nor is what this member may read no more.
    ///
    /// # Errors
    /// [`CaseError::NotFound`], or the store's.
    pub async fn export(&self, lead: SignalRef) -> Result<Bundle, CaseError> {
        let record = self.get(lead).await?;
        let (store, directory, made_at) = (self.store.clone(), self.directory.clone(), self.clock.now());
        let gather = move || {
            let signed = directory.roster();
            let mut named = named_by(&store, &record)?;
            named.retain(|name| signed.roster().may_read_feed(directory.member(), &name.feed) && !store.is_erased(name));
            let cut = named.len() > MAX_BUNDLE_ENTRIES;
            named.truncate(MAX_BUNDLE_ENTRIES);
            let mut by_feed: BTreeMap<FeedId, BTreeSet<Seq>> = BTreeMap::new();
            for name in named {
                by_feed.entry(name.feed).or_default().insert(name.seq);
            }
            let mut entries = Vec::new();
            for (feed, seqs) in by_feed {
                for proven in store.prove(&feed, &seqs)? {
                    let name = SignalRef { feed: feed.clone(), seq: proven.seq };
                    if let Leaf::Entry(bytes) = proven.leaf
                        && !store.is_erased(&name)
                    {
                        entries.push((name, bytes, write_proof(&proven.path, &proven.checkpoint)));
                    }
                }
            }
            let (roster, made_by) = (signed.note().clone(), directory.member().clone());
            let lead = record.lead.name().clone();
            Ok::<_, StoreError>(Bundle { lead, roster, made_at, made_by, entries, cut })
        };
        Ok(self.rings.searches.run(gather).await??)
    }
}

/// Entries that a lead rests on, its own first, each once.
fn named_by(store: &Store, record: &LeadRecord) -> Result<Vec<SignalRef>, StoreError> {
    let mut named: Vec<SignalRef> = record.lead.steps().map(|step| step.at.clone()).collect();
    named.extend(record.lead.signals().iter().cloned());
    for signal in record.lead.signals() {
        let retraction = store.retraction_of(&signal.feed, signal.seq);
        // By these two signals may belong together that have no pseudonym in common without them.
        let rekeyings = store.rekeyings(signal);
        named.extend(retraction.into_iter().chain(rekeyings).map(|seq| SignalRef { feed: signal.feed.clone(), seq }));
        if store.speaks_of(signal) {
            named.extend(store.notes_about(signal)?.into_iter().map(|note| note.at));
        }
    }
    // A dispute and its decisions are about each of the signals that it names.
    let mut known = BTreeSet::new();
    named.retain(|name| known.insert(name.clone()));
    Ok(named)
}
