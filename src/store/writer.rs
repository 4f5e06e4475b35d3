//! The one way to commit: a thread that owns the growing ends of all feeds.
//!
//! It takes whatever requests have gathered while the last commit was being forced to disk, builds one batch of them, signs
//! a checkpoint for every own feed that grew, commits, takes the entries into the derived state, and only then answers. So
//! concurrent submitters share one flush, and nothing is acknowledged, served to a peer or found by a check before it is
//! durable.
//!
//! After a failed commit the tips run ahead of the disk and are not used again: writing is suspended, and with the next
//! request after the volume has room again the store is opened and read anew. What the failed commit held was acknowledged
//! to nobody and its checkpoints were shown to nobody, so it may be there or not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::checks::{CheckRecord, CheckReference, encode_block};
use super::engine::{Commit, EngineError, parts_of, read_parts};
use super::index::FeedNo;
use super::rows::ForkRow;
use super::state::{ForkRecord, State, read_entry};
use super::tip::Tip;
use super::{Append, Appended, Import, OpenError, Shared, StoreError, keys};
use crate::domain::limits::{CHECK_RETENTION, MAX_COMMIT_ENTRIES};
use crate::domain::{Audience, Clock, Entropy, FeedId, Seq, SubmissionTag};
use crate::feed::{Body, Checkpoint, Entry, EntryBytes, ForkProof, NotUnderstood, SignedCheckpoint, SigningKey, decode};

const ZSTD_LEVEL: i32 = 1;
/// Blocks of expired checks that are removed in one commit.
const EXPIRED_PER_COMMIT: usize = 1_024;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Request {
    Append(Vec<Append>, Reply<Vec<Result<Appended, StoreError>>>),
    Import(Box<Import>, Reply<Seq>),
    RecordChecks(Vec<CheckRecord>, Reply<Vec<CheckReference>>),
    Quarantine(Box<ForkProof>, Reply<()>),
    MarkBehind(FeedId, Seq, Reply<()>),
    PutRoster(bytes::Bytes, Reply<()>),
    Rebuild(Reply<()>),
}

impl Request {
    fn entries(&self) -> usize {
        match self {
            Self::Append(items, _) => items.len(),
            Self::Import(import, _) => import.entries.len(),
            Self::RecordChecks(checks, _) => checks.len(),
            Self::Quarantine(..) | Self::MarkBehind(..) | Self::PutRoster(..) | Self::Rebuild(_) => 1,
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Append(_, reply) => answer(reply, Err(error)),
            Self::Import(_, reply) => answer(reply, Err(error)),
            Self::RecordChecks(_, reply) => answer(reply, Err(error)),
            Self::Quarantine(_, reply) | Self::MarkBehind(_, _, reply) | Self::PutRoster(_, reply) | Self::Rebuild(reply) => {
                answer(reply, Err(error));
            }
        }
    }
}

/// Whoever asked may have gone; what was committed stays committed.
fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    drop(reply.send(result));
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    tips: BTreeMap<FeedId, Tip>,
    next_feed: u32,
    next_block: u64,
    key: Arc<SigningKey>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Set after a failure, until the store has been opened anew.
    failed: Option<EngineError>,
    expired_until: u16,
}

/// What is being built into one commit.
#[derive(Default)]
struct Group {
    commit: Commit,
    grown: BTreeMap<FeedId, Grown>,
    tags: HashMap<(FeedId, SubmissionTag), Seq>,
    withdrawn: HashSet<(FeedId, Seq)>,
    checks: Vec<(u64, CheckRecord)>,
    forks: Vec<(FeedId, ForkRecord)>,
    behind: Vec<(FeedId, Seq)>,
    /// Own feeds that are behind no more.
    level: Vec<FeedId>,
    roster: Option<bytes::Bytes>,
    /// Something could not be staged whole, so that nothing of the group may be committed.
    broken: Option<EngineError>,
    /// The derived state is to be built anew after the commit.
    rebuild: bool,
    /// Day and number of the block of check records.
    block: (u16, u64),
    replies: Vec<GroupReply>,
}

/// Answers one request with what became of its group: the block of check records, or why nothing was committed.
type GroupReply = Box<dyn FnOnce(Result<(u16, u64), StoreError>) + Send>;

impl Group {
    fn broke(&mut self, error: std::io::Error) -> StoreError {
        let error = EngineError::Io(error);
        let refusal = StoreError::unwritable(&error);
        self.broken = Some(error);
        refusal
    }
}

/// What a feed gains in a group.
#[derive(Default)]
struct Grown {
    first: Seq,
    entries: Vec<Result<Entry, NotUnderstood>>,
    note: bytes::Bytes,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        tips: BTreeMap<FeedId, Tip>,
        key: Arc<SigningKey>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let mut writer = Self {
            shared,
            tips: BTreeMap::new(),
            next_feed: 0,
            next_block: 0,
            key,
            clock,
            entropy,
            failed: None,
            expired_until: 0,
        };
        writer.adopt(tips)?;
        Ok(writer)
    }

    /// Goes on from what is on disk.
    fn adopt(&mut self, tips: BTreeMap<FeedId, Tip>) -> Result<(), OpenError> {
        self.next_feed = tips.values().map(|tip| tip.no.get() + 1).max().unwrap_or(0);
        self.tips = tips;
        let last = self.shared.engine.last_until(&keys::all_checks(), &keys::checks(u16::MAX, u64::MAX))?;
        self.next_block = last.and_then(|(key, _)| keys::read_checks(&key)).map_or(0, |(_, block)| block + 1);
        Ok(())
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut entries = first.entries();
            let mut gathered = vec![first];
            while entries < MAX_COMMIT_ENTRIES
                && let Ok(next) = requests.try_recv()
            {
                entries += next.entries();
                gathered.push(next);
            }
            self.serve(gathered);
        }
    }

    fn serve(&mut self, requests: Vec<Request>) {
        if let Err(error) = self.recover() {
            requests.into_iter().for_each(|request| request.refuse(error.clone()));
            return;
        }
        let mut group = Group { block: (self.today(), self.next_block), ..Group::default() };
        for request in requests {
            self.stage(request, &mut group);
        }
        let result = self.finish(&mut group).and_then(|()| self.commit(&mut group));
        if let Err(error) = &result {
            self.suspend(error);
        }
        self.next_block += u64::from(result.is_ok() && !group.checks.is_empty());
        let result = result.map(|()| group.block).map_err(|error| StoreError::unwritable(&error));
        group.replies.into_iter().for_each(|reply| reply(result.clone()));
        self.expire_checks();
    }

    /// Opens the store anew after a failure, once there is room.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(failure) = &self.failed else { return Ok(()) };
        if !self.shared.engine.has_room() {
            return Err(StoreError::unwritable(failure));
        }
        let reopened = self.shared.engine.reopen().map_err(OpenError::from).and_then(|()| self.reload());
        if let Err(error) = reopened {
            tracing::error!(code = error.code(), %error, "the store could not be opened anew");
            return Err(StoreError::Unwritable { code: error.code(), detail: error.to_string() });
        }
        tracing::info!("the store was opened anew after a failure; writing resumes");
        self.failed = None;
        *self.shared.problem.write() = None;
        self.shared.engine.keep_ballast().map_err(|error| {
            self.suspend(&error);
            StoreError::unwritable(&error)
        })
    }

    /// Builds tips and derived state from what is on disk.
    fn reload(&mut self) -> Result<(), OpenError> {
        let (state, tips) = State::load(&self.shared.engine, &self.shared.member)?;
        self.adopt(tips)?;
        *self.shared.state.write() = state;
        *self.shared.roster.write() = self.shared.engine.get_large(&keys::roster())?.map(Into::into);
        self.shared.announce();
        Ok(())
    }

    fn suspend(&mut self, error: &EngineError) {
        tracing::error!(code = error.code(), %error, "writing is suspended");
        *self.shared.problem.write() = Some((error.code(), error.to_string()));
        self.failed = Some(match error {
            EngineError::Full(source) => EngineError::Full(std::io::Error::new(source.kind(), source.to_string())),
            EngineError::Io(source) => EngineError::Io(std::io::Error::new(source.kind(), source.to_string())),
            EngineError::Damaged(what) => EngineError::Damaged(what.clone()),
            EngineError::InUse | EngineError::Suspended => EngineError::Suspended,
        });
    }

    fn stage(&mut self, request: Request, group: &mut Group) {
        match request {
            Request::Append(items, reply) => {
                let appended: Vec<_> = items.into_iter().map(|item| self.stage_item(item, group)).collect();
                group.replies.push(Box::new(move |r| answer(reply, r.map(|_| appended))));
            }
            Request::Import(import, reply) => match self.stage_import(*import, group) {
                Ok(size) => group.replies.push(Box::new(move |r| answer(reply, r.map(|_| size)))),
                Err(error) => answer(reply, Err(error)),
            },
            Request::RecordChecks(checks, reply) => self.stage_checks(checks, reply, group),
            Request::Quarantine(proof, reply) => {
                self.stage_fork(&proof, group);
                group.replies.push(Box::new(move |r| answer(reply, r.map(|_| ()))));
            }
            Request::MarkBehind(feed, size, reply) => {
                let known = self.shared.state.read().behind.get(&feed).copied().unwrap_or_default();
                let size = size.max(known);
                group.commit.put(keys::behind(&feed), size.get().to_be_bytes().to_vec());
                group.behind.push((feed, size));
                group.replies.push(Box::new(move |r| answer(reply, r.map(|_| ()))));
            }
            Request::PutRoster(note, reply) => {
                if let Some(old) = self.shared.roster.read().as_ref() {
                    group.commit.remove_large(&keys::roster(), parts_of(old.len()));
                }
                group.commit.put_large(&keys::roster(), &note);
                group.roster = Some(note);
                group.replies.push(Box::new(move |r| answer(reply, r.map(|_| ()))));
            }
            Request::Rebuild(reply) => {
                group.rebuild = true;
                group.replies.push(Box::new(move |r| answer(reply, r.map(|_| ()))));
            }
        }
    }

    fn own_feed(&self, audience: &Audience) -> FeedId {
        FeedId { member: self.shared.member.clone(), audience: audience.clone() }
    }

    fn stage_item(&mut self, item: Append, group: &mut Group) -> Result<Appended, StoreError> {
        let feed = self.own_feed(item.audience());
        if self.shared.state.read().behind.contains_key(&feed) {
            return Err(StoreError::OwnFeedBehind);
        }
        if !self.shared.is_confirmed(&feed) {
            return Err(StoreError::OwnFeedUnconfirmed);
        }
        match item {
            Append::Signal { tag, entry, bytes, .. } => {
                let held = match group.tags.get(&(feed.clone(), tag)) {
                    Some(seq) => Some(*seq),
                    None => self.shared.find_submission(&feed, &tag)?,
                };
                if let Some(seq) = held {
                    return Ok(Appended::Existing(seq));
                }
                let seq = self.push(&feed, bytes, Ok(entry), group)?;
                group.tags.insert((feed, tag), seq);
                Ok(Appended::Created(seq))
            }
            Append::Retraction { signal, entry, bytes, .. } => {
                if !self.is_signal(&feed, signal)? {
                    return Err(StoreError::NoSuchSignal);
                }
                let withdrawn = self.shared.state.read().feed(&feed).is_some_and(|f| f.view.is_withdrawn(signal));
                if withdrawn || !group.withdrawn.insert((feed.clone(), signal)) {
                    return Ok(Appended::Existing(signal));
                }
                self.push(&feed, bytes, Ok(entry), group).map(Appended::Created)
            }
        }
    }

    fn is_signal(&self, feed: &FeedId, seq: Seq) -> Result<bool, StoreError> {
        let entry = self.shared.read(feed, seq)?;
        Ok(entry.is_some_and(|bytes| decode(&bytes).is_ok_and(|entry| matches!(entry.body, Body::Signal { .. }))))
    }

    /// Appends to an own feed, with a checkpoint before the entry where a batch would otherwise become too large.
    fn push(
        &mut self,
        feed: &FeedId,
        bytes: EntryBytes,
        entry: Result<Entry, NotUnderstood>,
        group: &mut Group,
    ) -> Result<Seq, StoreError> {
        if self.tip(feed)?.checkpoint_due_before(bytes.as_slice().len()) {
            self.sign(feed, group)?;
        }
        let tip = self.tip(feed)?;
        let first = tip.frontier.size();
        let seq = tip.push(bytes, &mut group.commit).map_err(|error| group.broke(error))?;
        let grown = group.grown.entry(feed.clone()).or_insert_with(|| Grown { first, ..Grown::default() });
        grown.entries.push(entry);
        Ok(seq)
    }

    fn tip(&mut self, feed: &FeedId) -> Result<&mut Tip, StoreError> {
        if !self.tips.contains_key(feed) {
            let no = FeedNo::new(self.next_feed).ok_or(StoreError::Unwritable {
                code: "STORE_TOO_MANY_FEEDS",
                detail: "this store has met a million feeds; it takes no more".into(),
            })?;
            self.next_feed += 1;
            self.tips.insert(feed.clone(), Tip::new(feed.clone(), no));
        }
        self.tips.get_mut(feed).ok_or(StoreError::Closed)
    }

    /// Signs the feed as it stands, and makes that its newest checkpoint.
    fn sign(&mut self, feed: &FeedId, group: &mut Group) -> Result<(), StoreError> {
        let (key, alliance) = (self.key.clone(), self.shared.alliance.clone());
        let tip = self.tip(feed)?;
        let checkpoint = Checkpoint { feed: feed.clone(), size: tip.frontier.size(), root: tip.frontier.root() };
        let signed = SignedCheckpoint::sign(checkpoint, &alliance, &key);
        tip.advance(&signed, &mut group.commit);
        if let Some(grown) = group.grown.get_mut(feed) {
            grown.note = signed.note().clone();
        }
        Ok(())
    }

    fn stage_import(&mut self, import: Import, group: &mut Group) -> Result<Seq, StoreError> {
        if self.shared.state.read().forks.contains_key(&import.feed) {
            return Err(StoreError::Quarantined);
        }
        let tip = self.tip(&import.feed)?;
        let held = tip.frontier.size();
        if held != import.start {
            return Err(StoreError::OutOfOrder { held });
        }
        for (bytes, entry) in import.entries {
            tip.push(bytes, &mut group.commit).map_err(|error| group.broke(error))?;
            let grown = group.grown.entry(import.feed.clone()).or_insert_with(|| Grown { first: held, ..Grown::default() });
            grown.entries.push(entry);
        }
        tip.advance(&import.checkpoint, &mut group.commit);
        if let Some(grown) = group.grown.get_mut(&import.feed) {
            grown.note = import.checkpoint.note().clone();
        }
        let size = tip.frontier.size();
        if self.shared.state.read().behind.get(&import.feed).is_some_and(|behind| *behind <= size) {
            group.commit.remove(&keys::behind(&import.feed));
            group.level.push(import.feed);
        }
        Ok(size)
    }

    fn stage_checks(&mut self, checks: Vec<CheckRecord>, reply: Reply<Vec<CheckReference>>, group: &mut Group) {
        let mut secrets = vec![0; checks.len() * 8];
        if self.entropy.fill(&mut secrets).is_err() {
            let detail = "the operating system gave no random bytes".to_owned();
            return answer(reply, Err(StoreError::Unwritable { code: "NO_ENTROPY", detail }));
        }
        let secrets: Vec<u64> = secrets.chunks_exact(8).map(|c| c.try_into().map_or(0, u64::from_be_bytes)).collect();
        let first = group.checks.len();
        group.checks.extend(secrets.iter().copied().zip(checks));
        group.replies.push(Box::new(move |result| {
            let references = result.map(|(day, block)| {
                let reference =
                    |(i, secret)| CheckReference { day, block, place: u16::try_from(first + i).unwrap_or(u16::MAX), secret };
                secrets.into_iter().enumerate().map(reference).collect()
            });
            answer(reply, references);
        }));
    }

    fn stage_fork(&mut self, proof: &ForkProof, group: &mut Group) {
        let feed = proof.feed().clone();
        if self.shared.state.read().forks.contains_key(&feed) {
            return;
        }
        let fork = ForkRecord {
            first: proof.first().note().clone(),
            second: proof.second().note().clone(),
            frontier: proof.frontier().to_vec(),
            leaf_hashes: proof.leaf_hashes().to_vec(),
            found_at: self.clock.now(),
        };
        let row = ForkRow {
            first: fork.first.clone(),
            second: fork.second.clone(),
            frontier: fork.frontier.iter().flat_map(|h| h.0).collect(),
            leaf_hashes: fork.leaf_hashes.iter().flat_map(|h| h.0).collect(),
            found_at_ms: fork.found_at.unix_ms(),
        };
        group.commit.put(keys::fork(&feed), row.encode_to_vec());
        group.forks.push((feed, fork));
    }

    /// Signs what grew, and puts the ends of all grown feeds and the checks into the commit.
    fn finish(&mut self, group: &mut Group) -> Result<(), EngineError> {
        if let Some(error) = group.broken.take() {
            return Err(error);
        }
        let own = self.shared.member.clone();
        for feed in group.grown.keys().cloned().collect::<Vec<_>>() {
            // What came back from another member is signed already.
            if feed.member == own && !self.tip(&feed).is_ok_and(|tip| tip.is_signed()) {
                self.sign(&feed, group).map_err(|e| EngineError::Damaged(e.to_string()))?;
            }
            if let Some(tip) = self.tips.get(&feed) {
                tip.finish(&mut group.commit).map_err(EngineError::Io)?;
            }
        }
        if !group.checks.is_empty() {
            let block = encode_block(&group.checks).encode_to_vec();
            let value = zstd::bulk::compress(&block, ZSTD_LEVEL).map_err(EngineError::Io)?;
            group.commit.put_large(&keys::checks(group.block.0, group.block.1), &value);
        }
        Ok(())
    }

    fn commit(&mut self, group: &mut Group) -> Result<(), EngineError> {
        let commit = std::mem::take(&mut group.commit);
        if !commit.is_empty() {
            self.shared.engine.commit(commit)?;
        }
        let derived = if group.rebuild { self.reload() } else { self.publish(group) };
        derived.map_err(|error| match error {
            OpenError::Engine(error) => error,
            other => EngineError::Damaged(other.to_string()),
        })
    }

    /// Takes what is durable now into the derived state.
    fn publish(&self, group: &mut Group) -> Result<(), OpenError> {
        let mut state = self.shared.state.write();
        for (feed, grown) in std::mem::take(&mut group.grown) {
            let Some(tip) = self.tips.get(&feed) else { continue };
            state.add_feed(tip.no, feed);
            for (i, entry) in grown.entries.iter().enumerate() {
                state.fold(&self.shared.engine, tip.no, grown.first.plus(i), entry)?;
            }
            if let Some(record) = state.feeds.get_mut(&tip.no) {
                record.frontier = tip.frontier.clone();
                record.note = grown.note;
            }
        }
        state.forks.extend(std::mem::take(&mut group.forks));
        for feed in std::mem::take(&mut group.level) {
            state.behind.remove(&feed);
        }
        state.behind.extend(std::mem::take(&mut group.behind));
        drop(state);
        if let Some(note) = group.roster.take() {
            *self.shared.roster.write() = Some(note);
        }
        self.shared.announce();
        Ok(())
    }

    fn today(&self) -> u16 {
        u16::try_from(self.clock.now().unix_day()).unwrap_or(u16::MAX)
    }

    /// Removes, some at a time, records of checks that are older than anyone may ask for.
    fn expire_checks(&mut self) {
        let kept_days = u16::try_from(CHECK_RETENTION.as_secs() / 86_400).unwrap_or(u16::MAX);
        let until = self.today().saturating_sub(kept_days);
        if until <= self.expired_until || self.failed.is_some() {
            return;
        }
        match self.expire_some(until) {
            Ok(true) => self.expired_until = until,
            Ok(false) => {}
            Err(error) => self.suspend(&error),
        }
    }

    /// True where nothing older than `until` is left.
    fn expire_some(&self, until: u16) -> Result<bool, EngineError> {
        let mut commit = Commit::default();
        let mut from = keys::all_checks();
        for _ in 0..EXPIRED_PER_COMMIT {
            let Some((key, row)) = self.shared.engine.first_from(&keys::all_checks(), &from)? else { break };
            if keys::read_checks(&key).is_none_or(|(day, _)| day >= until) {
                break;
            }
            commit.remove_large(&key, read_parts(&row).unwrap_or(0));
            from = key;
            from.push(0);
        }
        if commit.is_empty() {
            return Ok(true);
        }
        self.shared.engine.commit(commit)?;
        Ok(false)
    }
}

impl Shared {
    /// The own signal that was made of the submission with this tag.
    pub(super) fn find_submission(&self, feed: &FeedId, tag: &SubmissionTag) -> Result<Option<Seq>, StoreError> {
        let positions = self.state.read().submissions.positions(tag.into());
        for position in positions {
            if self.state.read().number(feed) != Some(position.feed()) {
                continue;
            }
            let entry = read_entry(&self.engine, position.feed(), position.seq()).map_err(|e| StoreError::unreadable(&e))?;
            let stored = entry.and_then(|bytes| decode(&bytes).ok());
            if let Some(Entry { body: Body::Signal { tag: held, .. }, .. }) = stored
                && held == *tag
            {
                return Ok(Some(position.seq()));
            }
        }
        Ok(None)
    }

    /// The entry at `seq`, or `None` where the feed does not reach so far.
    pub(super) fn read(&self, feed: &FeedId, seq: Seq) -> Result<Option<EntryBytes>, StoreError> {
        let no = {
            let state = self.state.read();
            state.number(feed).filter(|no| state.feeds.get(no).is_some_and(|f| seq < f.frontier.size()))
        };
        let Some(no) = no else { return Ok(None) };
        read_entry(&self.engine, no, seq).map_err(|e| StoreError::unreadable(&e))
    }
}
