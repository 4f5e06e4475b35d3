//! What two nodes that hold the same ask each other for besides: receipts for what this member has erased, and content that came
//! without an erasure.
//!
//! Neither is urgent, and a peer that has neither must not be asked at every heartbeat: each wait is twice the last, up to an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::{Context, ask};
use super::{Link, SessionError};
use crate::domain::limits::MAX_ENTRIES_ASKED;
use crate::domain::{FeedId, MemberId, Seq};
use crate::feed::{EntryBytes, ErasureReceipt};
use crate::store::StoreError;
use tokio::time::Instant;

/// What is asked of one peer, and when next.
pub(super) struct Upkeep {
    first: Duration,
    last: Duration,
    waits: BTreeMap<Question, (Instant, Duration)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    /// For a receipt of this feed.
    Receipt(FeedId),
    /// For content of this feed.
    Content(FeedId),
}

impl Upkeep {
    /// Waits begin with `first` and end with `last`.
    pub(super) const fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, waits: BTreeMap::new() }
    }

    /// Asks what is due. What the peer does not answer rightly is asked again later.
    pub(super) async fn tend(&mut self, ctx: &Context, peer: &MemberId, link: &dyn Link) -> Result<(), SessionError> {
        for feed in receipts_wanted(ctx, peer).await? {
            if self.is_due(Question::Receipt(feed.clone())) {
                let note = ask(ctx, link.receipt(&feed)).await?;
                take_receipt(ctx, peer, feed, note).await?;
            }
        }
        for (feed, seqs) in content_wanted(ctx, peer).await? {
            if self.is_due(Question::Content(feed.clone())) {
                let content = ask(ctx, link.entries(&feed, &seqs)).await?;
                take_content(ctx, peer, feed, &seqs, content).await?;
            }
        }
        Ok(())
    }

    fn is_due(&mut self, question: Question) -> bool {
        let now = Instant::now();
        let (next, wait) = self.waits.entry(question).or_insert((now, self.first));
        if *next > now {
            return false;
        }
        (*next, *wait) = (now + *wait, (*wait * 2).min(self.last));
        true
    }
}

/// Own feeds of the peer's with erasures for which it has not given its last receipt.
async fn receipts_wanted(ctx: &Context, peer: &MemberId) -> Result<Vec<FeedId>, StoreError> {
    let (signed, holder) = (ctx.directory.roster(), peer.clone());
    let wanted = move |store: &crate::store::Store| {
        let mut feeds = store.own_feeds();
        feeds.retain(|feed| signed.roster().may_read_feed(&holder, feed));
        feeds.retain(|feed| {
            let last = store.erasures(feed).last().copied();
            last.is_some_and(|last| store.receipt(feed, &holder).is_none_or(|held| held.progress.purged <= last))
        });
        feeds
    };
    ctx.reader.run(wanted).await
}

async fn take_receipt(ctx: &Context, peer: &MemberId, feed: FeedId, note: bytes::Bytes) -> Result<(), StoreError> {
    // The peer has carried out nothing yet.
    if note.is_empty() {
        return Ok(());
    }
    let signed = ctx.directory.roster();
    let Some(member) = signed.roster().member(peer) else { return Ok(()) };
    match ErasureReceipt::open(&note, ctx.directory.alliance(), &feed, peer, &member.feed_key) {
        Ok(receipt) => ctx.store().put_receipt(receipt, note).await,
        Err(error) => {
            tracing::warn!(code = error.code(), %peer, %feed, %error, "the peer's receipt for erasures is not believed");
            Ok(())
        }
    }
}

/// Feeds that the peer may have in whole of which content is missing here, with the first entries that are.
async fn content_wanted(ctx: &Context, peer: &MemberId) -> Result<Vec<(FeedId, Vec<Seq>)>, StoreError> {
    let held = ctx.reader.held().await?;
    let (signed, me) = (ctx.directory.roster(), ctx.directory.member());
    let shared = |feed: &&FeedId| signed.roster().may_read_feed(peer, feed) && signed.roster().may_read_feed(me, feed);
    let hollow: Vec<FeedId> = held.hollow().iter().filter(shared).cloned().collect();
    if hollow.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = move |store: &crate::store::Store| {
        hollow.into_iter().map(|feed| (feed.clone(), store.missing(&feed, MAX_ENTRIES_ASKED))).collect()
    };
    ctx.reader.run(wanted).await
}

async fn take_content(
    ctx: &Context,
    peer: &MemberId,
    feed: FeedId,
    asked: &[Seq],
    content: Vec<(Seq, EntryBytes)>,
) -> Result<(), StoreError> {
    if content.is_empty() {
        return Ok(());
    }
    let content = content.into_iter().filter(|(seq, _)| asked.contains(seq)).collect();
    let filled = ctx.store().fill(feed.clone(), content).await?;
    tracing::warn!(code = "CONTENT_MISSING", %feed, %peer, filled, "entries had come without their content; the peer had it");
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_peer_does_not_have_is_asked_for_less_and_less_often_but_never_given_up() {
        let mut upkeep = Upkeep::new(Duration::from_secs(10), Duration::from_secs(60));
        let receipt = || Question::Receipt("acme/all".parse().expect("valid"));
        assert!(upkeep.is_due(receipt()));
        for wait in [10, 20, 40, 60, 60].map(Duration::from_secs) {
            advance(wait - Duration::from_millis(1)).await;
            assert!(!upkeep.is_due(receipt()), "before {wait:?}");
            advance(Duration::from_millis(1)).await;
            assert!(upkeep.is_due(receipt()), "after {wait:?}");
        }
        assert!(upkeep.is_due(Question::Content("acme/all".parse().expect("valid"))), "another question has its own wait");
    }
}
