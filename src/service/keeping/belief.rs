use bytes::Bytes;
use futures_util::future;
use tokio::time::timeout;

use super::FellowHolders;
use crate::domain::limits::HOLDER_TIMEOUT;
use crate::domain::{AllianceName, KeyId, KeyState, MemberId, Roster, RosterKey, SharedGeneration};
use crate::feed::{NoteError, open_sharing};
use crate::pseudonym::toprf::PublicShares;

/// Why what holders say of their shares is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// Not all of them have signed it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It is of another key.
    #[error("it is not about the key {0} of the roster")]
    OtherKey(KeyId),
    /// Too few of them are holders.
    #[error("too few of those that signed it are holders of the key")]
    OtherHolders,
}

impl Disbelief {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Note(error) => error.code(),
            Self::OtherKey(_) => "SHARING_OTHER_KEY",
            Self::OtherHolders => "SHARING_OTHER_HOLDERS",
        }
    }
}

/// What a note says of the shares of a key of the roster. Before the roster knows the key itself, it must be signed by just the
/// holders that the roster names; afterwards by as many of them as can use the key, beside whom others may have been holders then:
/// fewer than that lie, or the key is lost anyway.
///
/// # Errors
/// [`Disbelief`].
pub fn believe(alliance: &AllianceName, roster: &Roster, key: &RosterKey, note: &[u8]) -> Result<SharedGeneration, Disbelief> {
    let said = open_sharing(note, alliance, |member| roster.member(member).map(|listed| listed.feed_key))?;
    let other = || Disbelief::OtherKey(key.id.clone());
    let sharing = key.sharing.as_ref().ok_or_else(other)?;
    if said.key != key.id || said.threshold != sharing.threshold {
        return Err(other());
    }
    if said.classes.iter().any(|class| PublicShares::of(class).is_err()) {
        return Err(other());
    }
    let known = said.holders.iter().filter(|holder| sharing.holders.contains(holder)).count();
    let enough = match SharedGeneration::of(key) {
        Some(listed) if !said.is_of_the_same_keys(&listed) => return Err(other()),
        Some(_) => known >= usize::from(sharing.threshold),
        None => key.state == KeyState::Pending && known == sharing.holders.len() && known == said.holders.len(),
    };
    if enough { Ok(said) } else { Err(Disbelief::OtherHolders) }
}

/// The newest shares of a key of which any of these holders speaks, and its note. What is not believed is logged.
pub(in crate::service) async fn newest(
    fellows: &dyn FellowHolders,
    roster: &Roster,
    key: &RosterKey,
    holders: impl Iterator<Item = &MemberId>,
) -> Option<(SharedGeneration, Bytes)> {
    let ask = |member: &MemberId| {
        let (member, id) = (member.clone(), key.id.clone());
        async move { timeout(HOLDER_TIMEOUT, fellows.sharing(&member, &id)).await.ok()?.ok()? }
    };
    let notes = future::join_all(holders.map(ask)).await;
    let believed = notes.into_iter().flatten().filter_map(|note| match believe(&roster.alliance, roster, key, &note) {
        Ok(said) => Some((said, note)),
        Err(error) => {
            tracing::warn!(key = %key.id, code = error.code(), %error, "what a holder says of its shares is not believed");
            None
        }
    });
    let believed: Vec<_> = believed.collect();
    let (newest, note) = believed.iter().max_by_key(|(said, _)| said.generation)?;
    if believed.iter().any(|(said, _)| said.generation == newest.generation && said != newest) {
        tracing::error!(key = %key.id, generation = newest.generation, "holders signed two results of one ceremony; neither is believed");
        return None;
    }
    Some((newest.clone(), note.clone()))
}
