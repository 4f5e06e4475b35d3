//! A disk is lost, and what a backup holds is put back, while ways are cut, clocks are off and others are at work.

use std::time::Duration;

use countermark::domain::{Audience, Clock as _, FeedId, Seq};
use countermark::replication::OwnFeeds;
use countermark::store::{Piece, Restoration, Store, Verification};
use tokio::time::sleep;

use super::alliance::{Alliance, name};
use super::words::alliance;

/// All pieces of a backup; `None` where the disk does not give them.
pub(crate) async fn copy(store: &Store) -> Option<Vec<Piece>> {
    let mut backup = store.back_up(None).await.ok()?;
    let mut pieces = Vec::new();
    loop {
        let piece = match backup.next_piece().ok()? {
            Some(piece) => piece,
            None => store.end_backup(&mut backup).await.ok()?,
        };
        let is_last = piece.is_last();
        pieces.push(piece);
        if is_last {
            return Some(pieces);
        }
    }
}

impl Alliance {
    /// A member copies its store, adds to its feed, loses its disk and puts the copy back. What nobody else had by then is lost.
    pub(crate) async fn restore(&mut self, member: usize, count: u64) {
        let lost = self.nodes[member].member.clone();
        let is_known = self.nodes.iter().all(|node| node.running.is_some() && self.roster().is_active(&node.member));
        // Else it cannot be told what will come back of what.
        if !is_known || self.liar.is_some() || !self.forkers.is_empty() || self.is_restoring() {
            return;
        }
        let Some(pieces) = copy(self.nodes[member].store().expect("all run")).await else { return };
        self.append(member, &Audience::Alliance, count).await;
        sleep(Duration::from_millis(700)).await;
        self.sweep().await;
        let own: Vec<FeedId> = self.said.keys().filter(|feed| feed.member == lost).cloned().collect();
        let somewhere = |feed: &FeedId| {
            let others = self.nodes.iter().filter(|node| node.member != feed.member);
            others.map(|node| node.store().map(|store| store.size(feed))).collect::<Option<Vec<Seq>>>()
        };
        let elsewhere: Option<Vec<(Seq, Seq)>> = own
            .iter()
            .map(|feed| Some((somewhere(feed)?.into_iter().max().unwrap_or_default(), self.held_elsewhere(feed))))
            .collect();
        // Whoever has left a group keeps what it had, and shows it to nobody.
        let Some(elsewhere) = elsewhere.filter(|sizes| sizes.iter().all(|(any, readers)| any == readers)) else { return };
        self.net.trace.note(format_args!("{lost} loses its disk, and has a backup"));
        self.crash(member).await;
        let put_back = self.put_back(member, pieces);
        for (feed, (_, size)) in own.into_iter().zip(elsewhere) {
            let kept = put_back.feeds.iter().find(|held| held.feed == feed).map_or(Seq::ZERO, |held| held.size);
            self.said.entry(feed).or_default().retain(|seq, _| *seq < size.max(kept));
        }
        self.restoring.insert(member);
        self.restored.insert(lost);
        self.start(member, OwnFeeds::Confirm).await;
    }

    fn put_back(&mut self, member: usize, pieces: Vec<Piece>) -> Verification {
        let node = &self.nodes[member];
        node.disk.wipe();
        node.disk.mend();
        node.disk.set_full(false);
        let (lost, secretariat) = (node.member.clone(), super::alliance::secretariat());
        let mut restoration = Restoration::begin_model(&node.disk, alliance(), lost, secretariat).expect("an empty disk");
        pieces.into_iter().for_each(|piece| restoration.put(piece).expect("rows"));
        let verified = restoration.finish(node.clock.now()).expect("is put back");
        assert_eq!(verified.flaws, Vec::<String>::new(), "{}", name(member));
        self.forget_seen(member);
        verified
    }

    /// Whether a store that was put back is not known to be level yet.
    pub(crate) fn is_restoring(&mut self) -> bool {
        let nodes = &self.nodes;
        self.restoring.retain(|member| nodes[*member].store().is_none_or(|store| store.is_restored()));
        !self.restoring.is_empty()
    }
}
