//! A whole alliance in one run: does what the plan says, and keeps account of what its members were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use countermark::domain::{Audience, FeedId, Group, Member, MemberId, MemberKind, MemberState, Roster, Seq, SignalRef};
use countermark::feed::{Hash, SignedRoster, SigningKey};
use countermark::replication::OwnFeeds;
use countermark::store::{Append, Appended, DiskFault, FaultKind, FeedState, ModelDisk, Moment, Remains, Store};
use tokio::time::sleep;

use super::net::{Condition, Net};
use super::node::{Node, NotStarted};
use super::plan::{Op, Plan};
use super::words::*;

/// How long a node that lost its disk may take to have its feeds back among nodes that are well.
const RECOVERY: Duration = Duration::from_secs(1_800);
const LOOK: Duration = Duration::from_secs(5);
/// Milliseconds after which whoever hears of a member knows of what it had said: two quiet heartbeats, over the worst of ways.
const NEWS_MS: u64 = 240_000;

/// What a member was told to stand in its feed.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) leaf: Hash,
    pub(crate) what: What,
    /// Virtual milliseconds since the run began.
    at_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Signal(u64),
    Rekeying { signal: Seq, n: u64 },
    Retraction(Seq),
    Erasure(Vec<Seq>),
    Note,
}

/// See the module.
pub(crate) struct Alliance {
    pub(crate) net: Arc<Net>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) liar: Option<usize>,
    /// The newest one last.
    pub(crate) rosters: Vec<Roster>,
    /// What was acknowledged and is to be found.
    pub(crate) said: BTreeMap<FeedId, BTreeMap<Seq, Said>>,
    /// What members tried to erase and were refused: it may be done all the same.
    pub(crate) tried: BTreeMap<FeedId, BTreeSet<Seq>>,
    /// How far each node's copy of a feed had come when it was looked at, and the root then.
    seen: BTreeMap<(usize, FeedId), (Seq, Hash)>,
    /// Nodes whose clock was off once.
    skewed: BTreeSet<usize>,
    /// Nodes whose store was put back from a backup, and which may not be level yet.
    pub(crate) restoring: BTreeSet<usize>,
    /// Members whose store was put back once.
    pub(crate) restored: BTreeSet<MemberId>,
    /// Members that went on from an older copy of their disk.
    pub(crate) forkers: BTreeSet<MemberId>,
    /// Members that told a lie once.
    pub(crate) liars: BTreeSet<MemberId>,
    /// Gives every signal and every salt a number of its own.
    next: u64,
    /// What went against a promise on the way.
    pub(crate) broken: Vec<String>,
}

/// Keys cost more than anything else in a run, so that they are made once.
fn keys() -> &'static (Arc<SigningKey>, Vec<Arc<SigningKey>>) {
    static KEYS: OnceLock<(Arc<SigningKey>, Vec<Arc<SigningKey>>)> = OnceLock::new();
    KEYS.get_or_init(|| (key("secretariat"), (0..64).map(|i| key(&name(i))).collect()))
}

pub(crate) fn public_key(member: &MemberId) -> Option<countermark::domain::FeedKey> {
    let number: usize = member.as_str().strip_prefix('m')?.parse().ok()?;
    keys().1.get(number).map(|key| key.public())
}

pub(crate) fn secretariat() -> countermark::domain::FeedKey {
    keys().0.public()
}

pub(crate) fn name(i: usize) -> String {
    format!("m{i:02}")
}

fn first_roster(plan: &Plan) -> Roster {
    let member = |i: usize| Member {
        id: id(&name(i)),
        kind: MemberKind::Brand,
        name: name(i),
        state: MemberState::Active,
        address: format!("{}:1", name(i)),
        feed_key: keys().1[i].public(),
    };
    let group = |(i, members): (usize, &Vec<usize>)| Group {
        name: format!("g{i}").parse().expect("valid"),
        // Somebody is in every group.
        members: members.iter().chain([&0]).map(|member| id(&name(*member))).collect(),
    };
    Roster {
        members: (0..plan.members).map(member).collect(),
        groups: plan.groups.iter().enumerate().map(group).collect(),
        ..Roster::first(alliance(), "2026-11-22T00:00:00Z".into())
    }
}

fn signed(roster: Roster) -> Bytes {
    SignedRoster::sign(roster, &keys().0).expect("valid").note().clone()
}

fn leaf_of(append: &Append) -> Hash {
    match append {
        Append::Signal { bytes, .. }
        | Append::Retraction { bytes, .. }
        | Append::Erasure { bytes, .. }
        | Append::Rekeying { bytes, .. }
        | Append::Note { bytes, .. } => bytes.leaf_hash(),
    }
}

impl Alliance {
    /// An alliance whose nodes all run.
    pub(crate) async fn of(plan: &Plan) -> Self {
        let net = Net::new(plan.seed);
        let roster = first_roster(plan);
        let note = signed(roster.clone());
        let secretariat = keys().0.public();
        let node = |i: usize| {
            Node::new(&id(&name(i)), keys().1[i].clone(), note.clone(), secretariat, mix(plan.seed ^ (i as u64) << 32))
        };
        let mut alliance = Self {
            net,
            nodes: (0..plan.members).map(node).collect(),
            liar: plan.liar,
            rosters: vec![roster],
            said: BTreeMap::new(),
            tried: BTreeMap::new(),
            seen: BTreeMap::new(),
            skewed: BTreeSet::new(),
            restoring: BTreeSet::new(),
            restored: BTreeSet::new(),
            forkers: BTreeSet::new(),
            liars: BTreeSet::new(),
            next: plan.seed << 20,
            broken: Vec::new(),
        };
        for i in 0..plan.members {
            alliance.start(i, OwnFeeds::Confirm).await;
        }
        if let Some(liar) = plan.liar {
            let lies = super::lies::LIES;
            let told = [mix(plan.seed) as usize % lies.len(), mix(!plan.seed) as usize % lies.len()].map(|i| lies[i]);
            alliance.lie(liar, None, &told);
        }
        alliance
    }

    pub(crate) fn roster(&self) -> &Roster {
        self.rosters.last().expect("the first one")
    }

    pub(crate) fn liar_id(&self) -> Option<&MemberId> {
        self.liar.map(|liar| &self.nodes[liar].member)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) async fn start(&mut self, i: usize, own: OwnFeeds) {
        if self.nodes[i].running.is_some() {
            return;
        }
        let mut started = self.nodes[i].start(&self.net, own).await;
        if matches!(started, Err(NotStarted::Expelled)) && self.roster().is_active(&self.nodes[i].member) {
            // Who is admitted again is given the roster that says so: its own one keeps it from asking anybody.
            self.nodes[i].at_hand = signed(self.roster().clone());
            started = self.nodes[i].start(&self.net, own).await;
        }
        self.net.trace.note(format_args!("{} starts: {started:?}", name(i)));
        if let Err(NotStarted::Disk { code }) = started {
            // Whoever starts it again has looked after it.
            self.net.trace.note(format_args!("{} has to be looked after: {code}", name(i)));
            self.nodes[i].disk.crash();
        }
    }

    /// Machines that lost their power are gone.
    pub(crate) async fn sweep(&mut self) {
        for i in 0..self.nodes.len() {
            if self.nodes[i].running.is_some() && !self.nodes[i].disk.is_open() {
                self.crash(i).await;
            }
        }
    }

    pub(crate) async fn crash(&mut self, i: usize) {
        if self.nodes[i].running.is_some() {
            self.net.trace.note(format_args!("{} crashes", name(i)));
            let net = self.net.clone();
            self.nodes[i].crash(&net).await;
        }
    }

    fn ends(&self, a: usize, b: usize) -> (MemberId, MemberId) {
        (self.nodes[a].member.clone(), self.nodes[b].member.clone())
    }

    pub(crate) fn cut(&self, from: usize, to: usize, silent: bool) {
        let condition = if silent { Condition::Silent } else { Condition::Refusing };
        self.net.set_condition(&self.ends(from, to), condition);
    }

    pub(crate) fn join(&self, a: usize, b: usize) {
        self.net.set_condition(&self.ends(a, b), Condition::Open);
        self.net.set_condition(&self.ends(b, a), Condition::Open);
    }

    pub(crate) fn lie(&mut self, from: usize, to: Option<usize>, lies: &[super::lies::Lie]) {
        self.liars.insert(self.nodes[from].member.clone());
        for other in (0..self.nodes.len()).filter(|other| *other != from && to.is_none_or(|to| to == *other)) {
            if self.nodes[other].member == self.nodes[from].member {
                continue;
            }
            self.net.set_lies(&self.ends(from, other), lies.to_vec());
        }
    }

    /// Does it, where that can be done now.
    pub(crate) async fn apply(&mut self, op: &Op) {
        self.net.trace.note(format_args!("{op:?}"));
        match *op {
            Op::Append { member, group, count } => {
                let audience = group.map_or(Audience::Alliance, |group| self.group(group));
                self.append(member, &audience, count).await;
            }
            Op::Retract { member, pick } => self.retract(member, pick).await,
            Op::Erase { member, pick, count } => self.erase(member, pick, count).await,
            Op::Amend { member, pick } => self.amend(member, pick).await,
            Op::Rekey { member, pick } => self.rekey(member, pick).await,
            Op::Opine { member, about, pick } => self.opine(member, about, pick).await,
            Op::Purge { member } => {
                if let Some(store) = self.nodes[member].store() {
                    drop(store.purge().await);
                }
            }
            Op::Rebuild { member } => self.rebuild(member).await,
            Op::Cut { from, to, both, silent } => {
                self.cut(from, to, silent);
                if both {
                    self.cut(to, from, silent);
                }
            }
            Op::Split { side, silent } => self.split(side, silent),
            Op::Join { a, b } => self.join(a, b),
            Op::Heal => self.net.heal(),
            Op::Strain { a, b, delay_ms, breaks } => {
                self.net.strain(&self.ends(a, b), (delay_ms, 1 + delay_ms / 2), breaks);
                self.net.strain(&self.ends(b, a), (1 + delay_ms / 3, 1 + delay_ms / 2), breaks);
            }
            Op::Break { a, b } => self.net.break_between(&self.nodes[a].member, &self.nodes[b].member),
            Op::Skew { member, ms } => {
                let nodes = self.nodes.iter().enumerate().filter(|(_, node)| node.member == self.nodes[member].member);
                self.skewed.extend(nodes.map(|(i, _)| i));
                self.nodes[member].clock.jump(ms);
            }
            Op::Crash { member } => self.crash(member).await,
            Op::Stop { member } => {
                let net = self.net.clone();
                self.nodes[member].stop(&net).await;
            }
            Op::Start { member } => self.start(member, OwnFeeds::Confirm).await,
            Op::Full { member, is_full } => self.nodes[member].disk.set_full(is_full),
            Op::DiskFails { member, after, power, remains } => {
                let kind = if power { FaultKind::PowerCut } else { FaultKind::Refused };
                let remains = [Remains::Nothing, Remains::Shown, Remains::Forced][usize::from(remains % 3)];
                self.nodes[member].disk.fail(DiskFault { moment: Moment::Step(after), kind, remains });
            }
            Op::LoseDisk { member } => self.lose_disk(member).await,
            Op::Restore { member, count } => self.restore(member, count).await,
            Op::Fork { member, before, after } => self.fork(member, before, after).await,
            Op::Twin { member, side, count } => self.twin(member, side, count).await,
            Op::Lie { member, to, ref lies } => self.lie(member, to, lies),
            Op::Honest => self.net.end_lies(self.liar_id()),
            // Nobody else may have what a member that is being restored needs.
            Op::Expel { .. } | Op::Regroup { .. } if self.is_restoring() => {}
            Op::Expel { member } => self.expel(member).await,
            Op::Regroup { member, group } => self.regroup(member, group).await,
            Op::Look { member } => self.look(member),
        }
        self.sweep().await;
        let member = self.number() as usize % self.nodes.len();
        self.look(member);
    }

    fn group(&self, group: usize) -> Audience {
        format!("g{group}").parse().expect("valid")
    }

    fn split(&self, side: u64, silent: bool) {
        let side_of = |i: usize| side >> i & 1;
        for a in 0..self.nodes.len() {
            for b in (0..self.nodes.len()).filter(|b| side_of(a) != side_of(*b)) {
                self.cut(a, b, silent);
            }
        }
    }

    /// Hands entries in, and notes what was acknowledged.
    async fn hand_in(&mut self, member: usize, audience: &Audience, items: Vec<(Append, What)>) {
        let node = &self.nodes[member];
        let Some(running) = &node.running else { return };
        // As the service does: nobody writes for an audience that is not its own.
        if running.directory.check_audience(audience).is_err() {
            return;
        }
        let feed = FeedId { member: node.member.clone(), audience: audience.clone() };
        let (items, noted): (Vec<_>, Vec<_>) = items
            .into_iter()
            .map(|(item, what)| (leaf_of(&item), item, what))
            .map(|(leaf, item, what)| (item, (leaf, what)))
            .unzip();
        let outcomes = running.store.append(items).await;
        let at_ms = self.net.trace.elapsed_ms();
        let told = match &outcomes {
            Ok(outcomes) => outcomes.iter().filter(|outcome| matches!(outcome, Ok(Appended::Created(_)))).count().to_string(),
            Err(error) => error.code().to_owned(),
        };
        self.net.trace.note(format_args!("{feed}: {told} acknowledged"));
        let Ok(outcomes) = outcomes else {
            let tried =
                noted.into_iter().filter_map(|(_, what)| if let What::Erasure(entries) = what { Some(entries) } else { None });
            self.tried.entry(feed).or_default().extend(tried.flatten());
            return;
        };
        let of_feed = self.said.entry(feed).or_default();
        for (outcome, (leaf, what)) in outcomes.into_iter().zip(noted) {
            if let Ok(Appended::Created(seq)) = outcome {
                of_feed.insert(seq, Said { leaf, what, at_ms });
            }
        }
    }

    pub(crate) async fn append(&mut self, member: usize, audience: &Audience, count: u64) {
        let numbers: Vec<u64> = (0..count).map(|_| self.number()).collect();
        let items = numbers.into_iter().map(|n| (signal(audience, n), What::Signal(n))).collect();
        self.hand_in(member, audience, items).await;
    }

    /// A signal of the member's own that was acknowledged.
    fn own_signal(&self, member: usize, pick: u64) -> Option<(Audience, Seq, u64)> {
        let own = self.said.iter().filter(|(feed, _)| feed.member == self.nodes[member].member);
        let signals: Vec<_> = own
            .flat_map(|(feed, said)| {
                said.iter().filter_map(|(seq, said)| match said.what {
                    What::Signal(n) => Some((feed.audience.clone(), *seq, n)),
                    _ => None,
                })
            })
            .collect();
        if signals.is_empty() { None } else { signals.get(pick as usize % signals.len()).cloned() }
    }

    async fn retract(&mut self, member: usize, pick: u64) {
        let Some((audience, seq, _)) = self.own_signal(member, pick) else { return };
        let item = retraction(&audience, seq, self.number());
        self.hand_in(member, &audience, vec![(item, What::Retraction(seq))]).await;
    }

    async fn erase(&mut self, member: usize, pick: u64, count: u64) {
        let Some((audience, first, _)) = self.own_signal(member, pick) else { return };
        let feed = FeedId { member: self.nodes[member].member.clone(), audience: audience.clone() };
        let Some(store) = self.nodes[member].store() else { return };
        let size = store.size(&feed);
        let mut entries: BTreeSet<Seq> = (0..count).map(|i| first.plus(7 * i as usize)).filter(|seq| *seq < size).collect();
        let rekeyings: Vec<Seq> =
            entries.iter().flat_map(|seq| store.all_rekeyings(&SignalRef { feed: feed.clone(), seq: *seq })).collect();
        entries.extend(rekeyings);
        let entries: Vec<Seq> = entries.into_iter().collect();
        if entries.is_empty() {
            return;
        }
        let item = erasure(&audience, &entries, self.number());
        self.hand_in(member, &audience, vec![(item, What::Erasure(entries))]).await;
    }

    async fn amend(&mut self, member: usize, pick: u64) {
        let Some((audience, seq, _)) = self.own_signal(member, pick) else { return };
        let item = amendment(&audience, seq, self.number());
        self.hand_in(member, &audience, vec![(item, What::Note)]).await;
    }

    async fn rekey(&mut self, member: usize, pick: u64) {
        let Some((audience, seq, n)) = self.own_signal(member, pick) else { return };
        let item = rekeying(&audience, seq, n, self.number());
        self.hand_in(member, &audience, vec![(item, What::Rekeying { signal: seq, n })]).await;
    }

    async fn opine(&mut self, member: usize, about: usize, pick: u64) {
        let Some((audience, seq, _)) = self.own_signal(about, pick) else { return };
        let about = SignalRef { feed: FeedId { member: self.nodes[about].member.clone(), audience: audience.clone() }, seq };
        let item = opinion(&audience, about, self.number());
        self.hand_in(member, &audience, vec![(item, What::Note)]).await;
    }

    async fn rebuild(&mut self, member: usize) {
        let Some(store) = self.nodes[member].store().cloned() else { return };
        let before = derived(&store);
        if store.rebuild().await.is_ok() && derived(&store) != before {
            self.broken.push(format!("{}: a rebuild gives something else", name(member)));
        }
    }

    /// All that can be mended is.
    pub(crate) async fn mend(&mut self) {
        self.net.heal();
        self.net.end_lies(self.liar_id());
        for i in 0..self.nodes.len() {
            self.nodes[i].disk.mend();
            self.nodes[i].disk.set_full(false);
        }
        self.tend().await;
    }

    /// What an operator does who looks at every node now and then: starts what does not run, and starts again what has failed.
    pub(crate) async fn tend(&mut self) {
        self.sweep().await;
        for i in 0..self.nodes.len() {
            let problem = self.nodes[i].store().and_then(|store| store.health().problem);
            match problem {
                Some(("STORE_FULL", _)) => {
                    // Writing resumes by itself with whatever is written next.
                    if let Some(store) = self.nodes[i].store() {
                        drop(store.remove_watches(vec![]).await);
                    }
                }
                Some(_) => self.crash(i).await,
                None => {}
            }
            self.start(i, OwnFeeds::Confirm).await;
        }
        let newest = signed(self.roster().clone());
        for node in &self.nodes {
            if let Some(running) = &node.running {
                // The secretariat sends it to everybody; who is expelled need not take it.
                drop(running.directory.offer(newest.clone()).await);
            }
        }
    }

    /// A disk is lost among nodes that are well; then its feeds come back.
    async fn lose_disk(&mut self, member: usize) {
        let lost = self.nodes[member].member.clone();
        if !self.roster().is_active(&lost) || self.liar == Some(member) || self.forkers.contains(&lost) {
            return;
        }
        self.mend().await;
        // Long enough for everything to reach everybody who may have it, also past a peer that is distrusted.
        sleep(Duration::from_secs(240)).await;
        let kept: BTreeMap<FeedId, Seq> =
            self.said.keys().filter(|feed| feed.member == lost).map(|feed| (feed.clone(), self.held_elsewhere(feed))).collect();
        self.net.trace.note(format_args!("{lost} loses its disk"));
        let net = self.net.clone();
        self.nodes[member].crash(&net).await;
        self.nodes[member].disk.wipe();
        self.forget_seen(member);
        for (feed, size) in &kept {
            // What nobody else had is lost.
            self.said.entry(feed.clone()).or_default().retain(|seq, _| seq < size);
        }
        self.start(member, OwnFeeds::Recover).await;
        let mut waited = Duration::ZERO;
        while let Some(feed) = self.not_recovered(member, &kept) {
            if waited > RECOVERY {
                self.broken.push(format!("{feed} does not come back"));
                break;
            }
            sleep(LOOK).await;
            waited += LOOK;
        }
    }

    /// Its disk is another one now.
    pub(crate) fn forget_seen(&mut self, member: usize) {
        self.seen.retain(|(node, _), _| *node != member);
    }

    pub(crate) fn held_elsewhere(&self, feed: &FeedId) -> Seq {
        let others = self.nodes.iter().enumerate().filter(|(i, node)| node.member != feed.member && Some(*i) != self.liar);
        let readers = others.filter(|(_, node)| self.roster().may_read_feed(&node.member, feed));
        readers.filter_map(|(_, node)| Some(node.store()?.size(feed))).max().unwrap_or_default()
    }

    fn not_recovered(&self, member: usize, kept: &BTreeMap<FeedId, Seq>) -> Option<FeedId> {
        let store = self.nodes[member].store()?;
        let back = |feed: &FeedId, size: &Seq| store.size(feed) >= *size && store.feed_state(feed) == FeedState::Followed;
        let due = kept.iter().filter(|(feed, size)| size.get() > 0 && self.roster().may_read_feed(&feed.member, feed));
        due.filter(|(feed, size)| !back(feed, size)).map(|(feed, _)| feed.clone()).next()
    }

    /// A member adds something, puts back the disk as it was before, and adds something else.
    async fn fork(&mut self, member: usize, before: u64, after: u64) {
        let forker = self.nodes[member].member.clone();
        let honest = self.nodes.len() - self.forkers.len() - usize::from(self.liar.is_some());
        if self.nodes[member].running.is_none() || self.liar == Some(member) || honest <= 2 {
            return;
        }
        let copy: ModelDisk = self.nodes[member].disk.copy();
        self.append(member, &Audience::Alliance, before).await;
        sleep(Duration::from_millis(700)).await;
        self.crash(member).await;
        self.forkers.insert(forker.clone());
        self.said.retain(|feed, _| feed.member != forker);
        self.nodes[member].disk = copy;
        self.forget_seen(member);
        self.start(member, OwnFeeds::Trust).await;
        self.append(member, &Audience::Alliance, after).await;
        self.said.retain(|feed, _| feed.member != forker);
    }

    /// A member runs two nodes with one name, and hands different things in to each.
    async fn twin(&mut self, member: usize, side: u64, count: u64) {
        let honest = self.nodes.len() - self.forkers.len() - usize::from(self.liar.is_some());
        let forker = self.nodes[member].member.clone();
        if self.nodes[member].running.is_none()
            || self.liar == Some(member)
            || honest <= 2
            || !self.forkers.insert(forker.clone())
        {
            return;
        }
        let twin = self.nodes[member].twin();
        for (i, node) in self.nodes.iter().enumerate().filter(|(i, _)| side >> i & 1 == 1) {
            self.net.trace.note(format_args!("{} gets to the twin of {forker}", name(i)));
            self.net.lead_to_twin(&(node.member.clone(), forker.clone()));
        }
        self.nodes.push(twin);
        let twin = self.nodes.len() - 1;
        // Both look at one clock.
        if self.skewed.contains(&member) {
            self.skewed.insert(twin);
        }
        self.start(twin, OwnFeeds::Trust).await;
        for node in [twin, member] {
            self.append(node, &Audience::Alliance, count).await;
        }
        self.said.retain(|feed, _| feed.member != forker);
    }

    async fn publish(&mut self, roster: Roster) {
        let note = signed(roster.clone());
        self.rosters.push(roster);
        let taker = self.nodes.iter().find_map(|node| node.running.as_ref());
        if let Some(taker) = taker {
            drop(taker.directory.offer(note).await);
        }
    }

    async fn expel(&mut self, member: usize) {
        let mut roster = self.roster().clone();
        roster.serial += 1;
        let active = roster.members.iter().filter(|member| member.state == MemberState::Active).count();
        let state = &mut roster.members[member].state;
        *state = match state {
            MemberState::Active if active > 2 => MemberState::Expelled,
            _ => MemberState::Active,
        };
        self.publish(roster).await;
    }

    async fn regroup(&mut self, member: usize, group: usize) {
        let mut roster = self.roster().clone();
        roster.serial += 1;
        let (member, members) = (&self.nodes[member].member, &mut roster.groups[group].members);
        if !members.remove(member) || members.is_empty() {
            members.insert(member.clone());
        }
        self.publish(roster).await;
    }

    /// Looks at a node: what answers would rest on now, and that what it holds has only grown.
    pub(crate) fn look(&mut self, member: usize) {
        // A machine that has just lost its power shows nothing any more.
        if self.nodes[member].running.is_some() && self.nodes[member].disk.is_open() {
            let broken = self.freshness_of(member).err().into_iter().chain(self.growth_of(member).err());
            let broken: Vec<String> = broken.map(|why| format!("{}: {why}", name(member))).collect();
            self.broken.extend(broken);
        }
    }

    fn freshness_of(&self, member: usize) -> Result<(), String> {
        let Some(running) = &self.nodes[member].running else { return Ok(()) };
        let (picture, store, signed) = (running.board.fresh(), &running.store, running.directory.roster());
        let mut expected = signed.roster().readable_feeds(&self.nodes[member].member);
        expected.extend(store.own_feeds());
        let told: BTreeSet<FeedId> = picture.feeds.iter().map(|feed| feed.feed.clone()).collect();
        if told != expected {
            return Err(format!("freshness tells of {told:?}, not of {expected:?}"));
        }
        for feed in &picture.feeds {
            let is_forked = store.forks().iter().any(|(forked, _)| *forked == feed.feed);
            let due = self.due_by(member, feed);
            let wrong = match () {
                () if feed.newest_size < feed.size => "less is known than is held".to_owned(),
                () if is_forked && feed.state != FeedState::Quarantined => "a forked feed is not told as one".to_owned(),
                () if feed.last_heard.is_some_and(|heard| heard > picture.as_of) => "heard in the future".to_owned(),
                () if feed.newest_size < due => format!("is told as {} of {}, and has {due}", feed.size, feed.newest_size),
                () => continue,
            };
            return Err(format!("{}: {wrong}", feed.feed));
        }
        Ok(())
    }

    /// How much of a feed a node must know to be there, because its member said so well before it was heard last.
    fn due_by(&self, member: usize, feed: &countermark::store::FeedFreshness) -> Seq {
        let owner = &feed.feed.member;
        let is_doubtful = self.skewed.contains(&member) || self.liars.contains(owner) || self.forkers.contains(owner);
        let Some(heard) = feed.last_heard.filter(|_| !is_doubtful && feed.state == FeedState::Followed) else {
            return Seq::ZERO;
        };
        let heard_ms = u64::try_from(heard.unix_ms() - NOW_MS).unwrap_or(0);
        let said = self.said.get(&feed.feed).into_iter().flatten();
        let due = said.filter(|(_, said)| said.at_ms + NEWS_MS < heard_ms).map(|(seq, _)| seq.plus(1));
        due.max().unwrap_or_default()
    }

    fn growth_of(&mut self, member: usize) -> Result<(), String> {
        let Some(store) = self.nodes[member].store().cloned() else { return Ok(()) };
        for ((_, feed), (size, root)) in self.seen.iter().filter(|((node, _), _)| *node == member) {
            let then = store.frontier_at(feed, *size).map_err(|error| format!("{feed}: {error}"))?;
            if then.is_none_or(|then| then.root() != *root) {
                return Err(format!("{feed} is not what it was at {size} entries"));
            }
        }
        self.seen.extend(store.feeds().into_iter().map(|held| ((member, held.feed), (held.size, held.root))));
        Ok(())
    }

    /// Stores that are to be looked at: those of active members but for the liar, which run.
    pub(crate) fn readers(&self) -> impl Iterator<Item = (&MemberId, &Arc<Store>)> {
        let honest =
            self.nodes.iter().enumerate().filter(|(i, node)| Some(*i) != self.liar && self.roster().is_active(&node.member));
        honest.filter_map(|(_, node)| Some((&node.member, node.store()?)))
    }
}

/// What is derived from the feeds of a store.
pub(crate) fn derived(store: &Store) -> Vec<String> {
    let of_feed = |summary: countermark::store::FeedSummary| {
        let (live, missing) = (summary.live_signals, summary.missing);
        format!("{} {} {:?} {live} {missing} {:?}", summary.feed, summary.size, summary.root, summary.view_digest)
    };
    store.feeds().into_iter().map(of_feed).chain([store.index_rows().to_string()]).collect()
}
