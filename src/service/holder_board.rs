use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::evaluation::HolderError;
use crate::domain::{Clock, MemberId, RosterKey, Timestamp};
use crate::membership::Directory;

/// How long a holder that failed is asked only where the others do not suffice.
const AVOIDED_FOR: Duration = Duration::from_secs(30);
/// The same of one that answered what is not true, until the node is started again.
const LIAR_AVOIDED_FOR: Duration = Duration::from_secs(86_400);
/// What is assumed of a holder that was never asked.
const UNKNOWN_LATENCY: Duration = Duration::from_millis(50);

/// How the holders of the keys in use did lately: whoever asks them chooses by it, and the node's state shows it.
pub struct HolderBoard {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    standing: Mutex<BTreeMap<MemberId, HolderStanding>>,
}

/// How a holder did since the node was started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HolderStanding {
    /// How long its answers take, the last ones counting most; `None` where it never gave one.
    pub latency: Option<Duration>,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// Its last failure, also where it has answered since.
    pub failure: Option<HolderFailure>,
    /// When it last answered what does not verify.
    pub wrong_at: Option<Timestamp>,
}

/// That a holder did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderFailure {
    /// When.
    pub at: Timestamp,
    /// Stable code.
    pub code: String,
    /// In words.
    pub detail: String,
}

impl HolderBoard {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { directory, clock, standing: Mutex::default() }
    }

    /// The holders of the shared keys in use, and how they did.
    #[must_use]
    pub fn holders(&self) -> BTreeMap<MemberId, HolderStanding> {
        let in_use = |key: &&RosterKey| key.state.is_in_use();
        let (signed, standing) = (self.directory.roster(), self.standing.lock());
        let sharings = signed.roster().keys.iter().filter(in_use).filter_map(|key| key.sharing.as_ref());
        let members = sharings.flat_map(|sharing| &sharing.holders).map(|holder| holder.member.clone());
        members.map(|member| (member.clone(), standing.get(&member).cloned().unwrap_or_default())).collect()
    }

    /// Holders of which the first are to be asked first: those that did not fail lately, of these the fastest.
    pub(super) fn rank<T>(&self, holders: &mut [(T, &MemberId)]) {
        let (standing, now) = (self.standing.lock(), self.clock.now());
        holders.sort_by_cached_key(|(_, member)| {
            let Some(of) = standing.get(*member) else { return (false, UNKNOWN_LATENCY) };
            let within = |at: Option<Timestamp>, time| at.is_some_and(|at| now.since(at) < time);
            let failed_at = of.failure.as_ref().map(|failure| failure.at);
            let avoided = within(failed_at, AVOIDED_FOR) || within(of.wrong_at, LIAR_AVOIDED_FOR);
            (avoided, of.latency.unwrap_or(UNKNOWN_LATENCY))
        });
    }

    /// How long the slowest of these usually takes; zero where nothing is known.
    pub(super) fn slowest<'m>(&self, members: impl Iterator<Item = &'m MemberId>) -> Duration {
        let standing = self.standing.lock();
        members.filter_map(|member| standing.get(member)?.latency).max().unwrap_or_default()
    }

    pub(super) fn note_answer(&self, member: &MemberId, took: Duration) {
        let (mut standing, now) = (self.standing.lock(), self.clock.now());
        let of = standing.entry(member.clone()).or_default();
        of.latency = Some(of.latency.map_or(took, |known| (known * 7 + took) / 8));
        of.answered_at = Some(now);
    }

    pub(super) fn note_failure(&self, member: &MemberId, error: &HolderError) {
        tracing::warn!(%member, code = error.code(), %error, "a key holder did not answer as it should");
        let (mut standing, now) = (self.standing.lock(), self.clock.now());
        let of = standing.entry(member.clone()).or_default();
        of.failure = Some(HolderFailure { at: now, code: error.code().to_owned(), detail: error.to_string() });
        if matches!(error, HolderError::Wrong { .. }) {
            of.wrong_at = Some(now);
        }
    }
}
