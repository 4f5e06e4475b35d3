//! What must hold once nothing is wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use countermark::domain::{FeedId, MemberId, Seq, SignalRef};
use countermark::feed::{ForkProof, Frontier, Hash, Leaf, SignedCheckpoint};
use countermark::replication::OwnFeeds;
use countermark::store::{FeedState, Store};
use tokio::time::sleep;

use super::alliance::{Alliance, What, derived, public_key};
use super::words::{alliance, pseudonym};

/// Looks at whether everything is level: soon at first, then now and then.
const LOOKS: [(u32, Duration); 3] =
    [(60, Duration::from_secs(5)), (60, Duration::from_secs(30)), (60, Duration::from_secs(180))];
/// How long idle nodes are listened to.
const IDLE: Duration = Duration::from_secs(120);
/// Bytes that a way may carry in that time where nothing is new: twelve heartbeats, and a question or two.
const IDLE_BYTES: u64 = 12 * 72 + 1_000;
/// Until what was asked at the last heartbeats is answered.
const SETTLING: Duration = Duration::from_secs(60);

/// A promise that was broken, in words.
pub(crate) type Broken = String;

impl Alliance {
    /// Everything is mended; then nodes come to hold the same, and everything holds that was promised.
    pub(crate) async fn conclude(&mut self) -> Result<(), Broken> {
        self.mend().await;
        self.settle().await?;
        self.check()?;
        self.is_quiet().await?;
        self.purge_all().await?;
        self.start_anew().await?;
        self.check()?;
        self.rebuild_all().await?;
        match self.broken.first() {
            Some(broken) => Err(broken.clone()),
            None => Ok(()),
        }
    }

    async fn settle(&mut self) -> Result<(), Broken> {
        let mut left = String::new();
        for (times, pause) in LOOKS {
            for _ in 0..times {
                self.tend().await;
                match self.unsettled() {
                    None => return Ok(()),
                    Some(why) => left = why,
                }
                sleep(pause).await;
            }
        }
        let peers = self.nodes.iter().filter_map(|node| Some((&node.member, node.running.as_ref()?.replicator.peers())));
        let peers: String = peers.map(|(member, peers)| format!("{member}: {peers:?}\n")).collect();
        Err(format!("never level: {left}\n{peers}"))
    }

    /// What is not as it should be yet.
    fn unsettled(&self) -> Option<String> {
        for node in &self.nodes {
            let Some(running) = &node.running else {
                if self.roster().is_active(&node.member) {
                    return Some(format!("{} does not run", node.member));
                }
                continue;
            };
            if let Some((code, _)) = running.store.health().problem {
                return Some(format!("{} cannot write: {code}", node.member));
            }
            if self.roster().is_active(&node.member) && running.directory.roster().roster().serial != self.roster().serial {
                return Some(format!("{} has an old roster", node.member));
            }
        }
        let forked = self.contradicted();
        let unlevel = self.readers().find_map(|(reader, store)| {
            let feeds = self.roster().readable_feeds(reader);
            feeds
                .iter()
                .find_map(|feed| self.is_unlevel(reader, store, feed, &forked).map(|why| format!("{reader}: {feed} {why}")))
        });
        unlevel.or_else(|| self.check_freshness().err())
    }

    fn is_unlevel(&self, reader: &MemberId, store: &Store, feed: &FeedId, forked: &BTreeSet<FeedId>) -> Option<String> {
        let is_own_of_forker = self.forkers.contains(&feed.member) && *reader == feed.member;
        if is_own_of_forker && (self.has_twin(&feed.member) || !forked.contains(feed)) {
            // It may have put back less than others hold of it, and its own node takes nothing from them.
            return None;
        }
        if forked.contains(feed) {
            let known = store.forks().iter().any(|(known, _)| known == feed);
            return (!known).then(|| "is forked and not quarantined".to_owned());
        }
        let most =
            self.readers().filter(|(reader, _)| self.roster().may_read_feed(reader, feed) && self.tells_of(reader, feed));
        let most = most.map(|(_, store)| store.size(feed)).max().unwrap_or_default();
        let held = store.feed(feed);
        let (size, missing) = held.map_or((Seq::ZERO, 0), |held| (held.size, held.missing));
        if size != most {
            return Some(format!("has {size} of {most}"));
        }
        if missing > 0 && self.has_content(feed) {
            return Some(format!("lacks the content of {missing}"));
        }
        let is_own = *reader == feed.member && self.is_shared(feed);
        (is_own && store.feed_state(feed) != FeedState::Followed).then(|| format!("is own and {:?}", store.feed_state(feed)))
    }

    /// Whether another member than the liar may read the feed: nobody else can tell its own member that it is whole.
    fn is_shared(&self, feed: &FeedId) -> bool {
        self.readers().any(|(reader, _)| *reader != feed.member && self.roster().may_read_feed(reader, feed))
    }

    /// Whether the content of a feed's entries is to be had: of one that lies about it to the end, or did until it was expelled, it may
    /// not be.
    fn has_content(&self, feed: &FeedId) -> bool {
        let is_gone = !self.roster().is_active(&feed.member) && self.liars.contains(&feed.member);
        self.liar_id() != Some(&feed.member) && !is_gone
    }

    /// Feeds of which two active members' nodes hold histories that cannot both be true, or of which one knows that there are.
    fn contradicted(&self) -> BTreeSet<FeedId> {
        // Whoever was told of a fork takes no more of the feed, and tells the others.
        let told = self.readers().flat_map(|(reader, store)| store.forks().into_iter().map(move |(feed, _)| (reader, feed)));
        let told = told.filter(|(reader, feed)| self.tells_of(reader, feed)).map(|(_, feed)| feed);
        let mut found: BTreeSet<FeedId> = told.collect();
        for forker in &self.forkers {
            for feed in self.readers().flat_map(|(_, store)| store.feeds()).map(|summary| summary.feed) {
                if feed.member == *forker && !found.contains(&feed) && self.is_contradicted(&feed) {
                    found.insert(feed);
                }
            }
        }
        found
    }

    /// Whether others get to see what a node knows of a feed: of two nodes with one name, not everybody gets to each.
    fn tells_of(&self, reader: &MemberId, feed: &FeedId) -> bool {
        *reader != feed.member || !self.has_twin(reader)
    }

    fn has_twin(&self, member: &MemberId) -> bool {
        self.nodes.iter().filter(|node| node.member == *member).count() > 1
    }

    fn is_contradicted(&self, feed: &FeedId) -> bool {
        let readers =
            self.readers().filter(|(reader, _)| self.roster().may_read_feed(reader, feed) && self.tells_of(reader, feed));
        let histories: Vec<Vec<Hash>> = readers.map(|(_, store)| hashes(store, feed)).collect();
        histories.iter().enumerate().any(|(i, a)| {
            histories[i + 1..].iter().any(|b| {
                let shared = a.len().min(b.len());
                a[..shared] != b[..shared]
            })
        })
    }

    /// All promises that a look at the nodes can tell of.
    fn check(&mut self) -> Result<(), Broken> {
        for i in 0..self.nodes.len() {
            self.look(i);
        }
        let readers: Vec<_> = self.readers().collect();
        for (reader, store) in &readers {
            self.check_audiences(reader, store)?;
            for summary in store.feeds() {
                is_whole(store, &summary.feed).map_err(|why| format!("{reader}: {} {why}", summary.feed))?;
            }
            for (feed, _) in store.forks() {
                if !self.forkers.contains(&feed.member) {
                    return Err(format!("{reader}: {feed} counts as forked, and its member signed one history"));
                }
                is_proved(store, &feed).map_err(|why| format!("{reader}: {feed} {why}"))?;
            }
        }
        self.check_equality(&readers)?;
        self.check_said(&readers)
    }

    /// A node holds no feed that was never meant for its member.
    fn check_audiences(&self, reader: &MemberId, store: &Store) -> Result<(), Broken> {
        let meant =
            |feed: &FeedId| feed.member == *reader || self.rosters.iter().any(|roster| roster.may_read_feed(reader, feed));
        match store.feeds().into_iter().find(|summary| !meant(&summary.feed)) {
            Some(summary) => Err(format!("{reader} holds {}, which was never meant for it", summary.feed)),
            None => Ok(()),
        }
    }

    /// Who holds the same entries of a feed draws the same from them.
    fn check_equality(&self, readers: &[(&MemberId, &std::sync::Arc<Store>)]) -> Result<(), Broken> {
        let mut seen: BTreeMap<FeedId, (String, &MemberId)> = BTreeMap::new();
        for (reader, store) in readers {
            for summary in store.feeds() {
                let feed = summary.feed.clone();
                let differs = self.forkers.contains(&feed.member) || !self.has_content(&feed);
                if differs || !self.roster().may_read_feed(reader, &feed) {
                    continue;
                }
                let (live, missing, unread) = (summary.live_signals, summary.missing, summary.not_understood);
                let drawn = format!("{} {:?} {live} {missing} {unread} {:?}", summary.size, summary.root, summary.view_digest);
                match seen.get(&feed) {
                    Some((other, whose)) if *other != drawn => {
                        return Err(format!("{feed}: {reader} has {drawn}, {whose} has {other}"));
                    }
                    Some(_) => {}
                    None => drop(seen.insert(feed, (drawn, reader))),
                }
            }
        }
        Ok(())
    }

    /// What was acknowledged stands where it was said to, on every node of its audience, and says what it should by now.
    fn check_said(&self, readers: &[(&MemberId, &std::sync::Arc<Store>)]) -> Result<(), Broken> {
        for (feed, said) in &self.said {
            if !self.is_promised(feed) {
                continue;
            }
            let mut erased = BTreeSet::new();
            for (at, said) in said {
                if let What::Erasure(entries) = &said.what {
                    // An erasure takes away what stands before it, and no other erasure or retraction.
                    erased.extend(entries.iter().copied().filter(|seq| seq < at));
                }
            }
            for (reader, store) in readers.iter().filter(|(reader, _)| self.roster().may_read_feed(reader, feed)) {
                for (seq, said) in said {
                    let leaf = store.read(feed, *seq).map_err(|error| format!("{reader}: {feed} {seq}: {error}"))?;
                    let leaf = leaf.ok_or_else(|| format!("{reader}: {feed} {seq} was acknowledged and is not there"))?;
                    if leaf.hash() != said.leaf {
                        return Err(format!("{reader}: {feed} {seq} is not what was acknowledged"));
                    }
                    self.check_one(store, feed, *seq, &said.what, &leaf, &erased)
                        .map_err(|why| format!("{reader}: {feed} {seq} {why}"))?;
                }
            }
        }
        Ok(())
    }

    /// Whether the feed's member can be reached and is what it says.
    fn is_promised(&self, feed: &FeedId) -> bool {
        let member = &feed.member;
        let honest = !self.forkers.contains(member) && self.liar_id() != Some(member);
        honest && self.roster().is_active(member) && self.roster().may_read_feed(member, feed)
    }

    fn check_one(
        &self,
        store: &Store,
        feed: &FeedId,
        seq: Seq,
        what: &What,
        leaf: &Leaf,
        erased: &BTreeSet<Seq>,
    ) -> Result<(), Broken> {
        let found = |n: u64| {
            let positions = store.positions(&pseudonym(n)).into_iter();
            positions.filter(|at| store.feed_of(*at).as_ref() == Some(feed)).map(|at| at.seq()).collect::<Vec<_>>()
        };
        let was_tried = self.tried.get(feed).is_some_and(|tried| tried.contains(&seq));
        let is_gone = erased.contains(&seq) || was_tried && leaf.bytes().is_none();
        let is_named = store.is_erased(&SignalRef { feed: feed.clone(), seq });
        match *what {
            What::Retraction(signal) if store.retraction_of(feed, signal).is_none() && !erased.contains(&signal) => {
                return Err(format!("withdraws {signal}, which counts"));
            }
            What::Retraction(_) | What::Erasure(_) => return Ok(()),
            What::Signal(n) => {
                let counts = !is_gone && store.retraction_of(feed, seq).is_none();
                if found(n).contains(&seq) != counts {
                    return Err(format!("is found: {:?}, counts: {counts}", found(n)));
                }
            }
            What::Rekeying { signal, n } if (is_gone || erased.contains(&signal)) && !found(n ^ 1 << 40).is_empty() => {
                return Err("is found, and its signal is erased".to_owned());
            }
            What::Rekeying { .. } | What::Note => {}
        }
        match (is_gone, leaf) {
            (true, Leaf::Entry(_)) => Err("is erased, and its content is there".to_owned()),
            (true, _) if !is_named => Err("is gone, and no erasure names it".to_owned()),
            (false, Leaf::Erased(_) | Leaf::Expired(_)) => Err("is gone, and nobody erased it".to_owned()),
            _ => Ok(()),
        }
    }

    /// Every feed is told as level and heard of, as far as its member's node runs and tells the truth.
    fn check_freshness(&self) -> Result<(), Broken> {
        for node in self.nodes.iter().enumerate().filter(|(i, _)| Some(*i) != self.liar).map(|(_, node)| node) {
            let Some(running) = node.running.as_ref().filter(|_| self.roster().is_active(&node.member)) else { continue };
            for feed in &running.board.fresh().feeds {
                let member = &feed.feed.member;
                if self.liars.contains(member) || self.forkers.contains(member) || !self.roster().is_active(member) {
                    continue;
                }
                if *member == node.member && !self.is_shared(&feed.feed) {
                    // What a lost disk held of it, the liar alone has, and keeps to itself.
                    continue;
                }
                // Of what was lost with a disk, others may have seen the head and nothing else, until its member has signed more.
                let may_be_lost = self.restored.contains(member) && feed.newest_size > feed.size;
                if feed.newest_size != feed.size && !may_be_lost && self.roster().may_read_feed(&node.member, &feed.feed) {
                    return Err(format!(
                        "{}: {} is level and told as {} of {}",
                        node.member, feed.feed, feed.size, feed.newest_size
                    ));
                }
                if feed.last_heard.is_none() && self.roster().may_read_feed(&node.member, &feed.feed) {
                    return Err(format!("{}: {} was never heard of", node.member, feed.feed));
                }
            }
        }
        Ok(())
    }

    /// Where nothing is new, hardly anything passes. With a member that went on from an old copy there always is; and where a liar has
    /// shown and not sent something, others ask each other for it now and then.
    async fn is_quiet(&mut self) -> Result<(), Broken> {
        sleep(SETTLING).await;
        let others: BTreeSet<MemberId> = self.forkers.iter().chain(self.liar_id()).cloned().collect();
        let before = self.net.bytes_without(&others);
        sleep(IDLE).await;
        let bytes = self.net.bytes_without(&others) - before;
        let active = self.readers().filter(|(reader, _)| !others.contains(*reader)).count() as u64;
        // Whoever has a twin shows more than it sends, and is asked ever more seldom about it.
        let doubts = match (&self.liar, self.forkers.is_empty()) {
            (Some(_), _) => 4,
            (None, false) => 2,
            (None, true) => 1,
        };
        let bound = active * active.saturating_sub(1) * IDLE_BYTES * doubts;
        if bytes > bound {
            return Err(format!("{bytes} bytes pass among {active} nodes that hold the same, more than {bound}"));
        }
        Ok(())
    }

    /// Every disk is written anew; then nothing is left on it of what was erased, as far as its node was told.
    async fn purge_all(&mut self) -> Result<(), Broken> {
        for (reader, store) in self.readers() {
            store.purge().await.map_err(|error| format!("{reader}: a purge fails: {error}"))?;
        }
        let mut gone: BTreeMap<&FeedId, Vec<u64>> = BTreeMap::new();
        for (feed, said) in self.said.iter().filter(|(feed, _)| self.is_promised(feed)) {
            for said_erasure in said.values() {
                let What::Erasure(entries) = &said_erasure.what else { continue };
                for seq in entries {
                    match said.get(seq).map(|said| &said.what) {
                        Some(What::Signal(n)) => gone.entry(feed).or_default().push(*n),
                        Some(What::Rekeying { n, .. }) => gone.entry(feed).or_default().push(n ^ 1 << 40),
                        _ => {}
                    }
                }
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        for node in
            self.nodes.iter().filter(|node| self.roster().is_active(&node.member) && Some(&node.member) != self.liar_id())
        {
            let contents: Vec<Vec<u8>> = node.disk.contents().iter().map(|value| unpacked(value)).collect();
            for (feed, numbers) in gone.iter().filter(|(feed, _)| self.roster().may_read_feed(&node.member, feed)) {
                for n in numbers {
                    let needle = pseudonym(*n).0;
                    if contents.iter().any(|value| value.windows(needle.len()).any(|window| window == needle)) {
                        return Err(format!("{}: the disk still holds what was erased of {feed}", node.member));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every node is started again, and nothing is different.
    async fn start_anew(&mut self) -> Result<(), Broken> {
        for i in 0..self.nodes.len() {
            let Some(before) = self.nodes[i].store().map(|store| derived(store)) else { continue };
            let net = self.net.clone();
            self.nodes[i].stop(&net).await;
            self.start(i, OwnFeeds::Confirm).await;
            let Some(store) = self.nodes[i].store() else { continue };
            if derived(store) != before {
                return Err(format!("{}: a start gives something else: {before:?} {:?}", self.nodes[i].member, derived(store)));
            }
        }
        self.settle().await?;
        sleep(SETTLING).await;
        Ok(())
    }

    async fn rebuild_all(&mut self) -> Result<(), Broken> {
        for (reader, store) in self.readers() {
            let before = derived(store);
            store.rebuild().await.map_err(|error| format!("{reader}: {error}"))?;
            if derived(store) != before {
                return Err(format!("{reader}: a rebuild gives something else: {before:?} {:?}", derived(store)));
            }
        }
        Ok(())
    }
}

fn hashes(store: &Store, feed: &FeedId) -> Vec<Hash> {
    let size = usize::try_from(store.size(feed).get()).unwrap_or(usize::MAX);
    let leaves = store.run_of(feed, Seq::ZERO, size).unwrap_or_default();
    leaves.iter().map(Leaf::hash).collect()
}

/// The feed is what its newest checkpoint covers, which its member signed.
fn is_whole(store: &Store, feed: &FeedId) -> Result<(), Broken> {
    let summary = store.feed(feed).ok_or("is gone")?;
    let mut frontier = Frontier::empty();
    hashes(store, feed).into_iter().for_each(|hash| frontier.push(hash));
    let opened = SignedCheckpoint::open(summary.checkpoint, &alliance(), |feed| public_key(&feed.member));
    let opened = opened.map_err(|error| format!("has a checkpoint that does not hold: {error}"))?;
    let signed = opened.checkpoint();
    if (frontier.size(), frontier.root()) != (summary.size, summary.root)
        || (signed.size, signed.root) != (summary.size, summary.root)
    {
        return Err("is not what its member signed".to_owned());
    }
    Ok(())
}

/// The evidence of a fork is kept, and is one.
fn is_proved(store: &Store, feed: &FeedId) -> Result<(), Broken> {
    let record = store.forks().into_iter().find(|(forked, _)| forked == feed).map(|(_, record)| record).ok_or("is gone")?;
    let open = |note| SignedCheckpoint::open(note, &alliance(), |feed| public_key(&feed.member)).map_err(|e| e.to_string());
    let proof = ForkProof::new(open(record.first)?, open(record.second)?, record.frontier, record.leaf_hashes);
    proof.map(drop).map_err(|error| format!("has no proof: {error}"))
}

/// A value as it was before it was compressed, where it was.
fn unpacked(value: &[u8]) -> Vec<u8> {
    zstd::stream::decode_all(value).unwrap_or_else(|_| value.to_vec())
}
