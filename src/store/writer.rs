//! The one way to commit: a writer that owns the growing ends of all feeds.
//!
//! It takes whatever requests have gathered while the last commit was being forced to disk, builds one batch of them, signs
//! a checkpoint for every own feed that grew, commits, takes the entries into the derived state, and only then answers. So
//! concurrent submitters share one flush, and nothing is acknowledged, served to a peer or found by a check before it is
//! durable.
//!
//! After a failed commit the tips run ahead of the disk and are not used again: writing is suspended. Where the volume was full,
//! the store is opened and read anew with a request after there is room again; after any other failure only a start of the node
//! does that. What the failed commit held was acknowledged to nobody and its checkpoints were shown to nobody, so it may be there
//! or not.
//!
//! A panic of the writer ends all writing: whoever asks is told, and the daemon ends the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prost::Message as _;
use tokio::sync::mpsc;

use super::audit::AuditTip;
use super::engine::{Commit, EngineError, parts_of};
use super::erase::Erasing;
use super::frame;
use super::group::Group;
use super::hints::{Hints, Recalled};
use super::index::FeedNo;
use super::overrides::{Override, OverrideId, Overrides};
use super::pictures::Album;
use super::request::{Queued, Request, answer};
use super::rows::ForkRow;
use super::state::{Bodies, ForkRecord};
use super::suspension::Suspension;
use super::tip::Tip;
use super::watches::Watches;
use super::{Append, Import, OpenError, Problem, Shared, StoreError, keys, state};
use crate::domain::limits::{MAX_COMMIT_BYTES, MAX_COMMIT_ENTRIES, MAX_OVERRIDES};
use crate::domain::{Actor, Audience, AuditKind, AuditRecord, Entropy, FeedId, Seq, WatchId};
use crate::feed::{Body, Checkpoint, Entry, EntryBytes, ForkProof, NotUnderstood, SignedCheckpoint, SigningKey};

/// Overrides that have ended and are removed in one commit.
const ENDED_PER_COMMIT: usize = 64;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) tips: BTreeMap<FeedId, Tip>,
    pub(super) hints: Hints,
    next_feed: u32,
    next_block: u64,
    pub(super) audit: AuditTip,
    album: Album,
    key: Arc<SigningKey>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Set after a failure, until the store has been opened anew.
    suspended: Option<Suspension>,
    pub(super) expired_until: u16,
    /// The erasure that is being carried out, as far as its last part did not finish it.
    pub(super) erasing: Option<Erasing>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        tips: BTreeMap<FeedId, Tip>,
        hints: Hints,
        key: Arc<SigningKey>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let (album, audit) = (Album::open(&shared.engine)?, AuditTip::load(&shared.engine)?);
        let mut writer = Self {
            shared,
            tips: BTreeMap::new(),
            hints,
            next_feed: 0,
            next_block: 0,
            audit,
            album,
            key,
            entropy,
            suspended: None,
            expired_until: 0,
            erasing: None,
        };
        writer.adopt(tips)?;
        if let Err(error) = writer.shared.engine.keep_ballast() {
            writer.suspend(&error);
        }
        Ok(writer)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    /// Goes on from what is on disk.
    fn adopt(&mut self, tips: BTreeMap<FeedId, Tip>) -> Result<(), OpenError> {
        self.erasing = None;
        self.next_feed = tips.values().map(|tip| tip.no.get() + 1).max().unwrap_or(0);
        self.tips = tips;
        self.next_block = self.highest_block()?.map_or(0, |block| block + 1);
        self.album = Album::open(&self.shared.engine)?;
        self.audit = AuditTip::load(&self.shared.engine)?;
        Ok(())
    }

    /// Works until every sender is gone. After a panic everything is refused, and nothing more is touched.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Queued>) {
        let shared = self.shared.clone();
        let work = std::panic::AssertUnwindSafe(|| self.work(&mut requests));
        if std::panic::catch_unwind(work).is_ok() {
            return;
        }
        shared.writer_panicked();
        while let Some(Queued { request, .. }) = requests.blocking_recv() {
            request.refuse(Shared::panicked());
        }
    }

    fn work(&mut self, requests: &mut mpsc::Receiver<Queued>) {
        while let Some(first) = self.next_waiting(requests).or_else(|| requests.blocking_recv()) {
            self.serve_with(first, requests);
        }
        let last = self.shared.state.write().all_hints();
        self.hints.append(last);
    }

    /// Does what waits, and removes the content that is to be removed; waits for nothing itself.
    pub(super) fn work_off(&mut self, requests: &mut mpsc::Receiver<Queued>) {
        while let Some(first) = self.next_waiting(requests) {
            self.serve_with(first, requests);
        }
    }

    /// The next request that waits. While none does, content is removed that is to be.
    fn next_waiting(&mut self, requests: &mut mpsc::Receiver<Queued>) -> Option<Queued> {
        loop {
            match requests.try_recv() {
                Ok(request) => return Some(request),
                Err(mpsc::error::TryRecvError::Empty) if self.has_to_erase() => self.erase_some(),
                Err(_) => return None,
            }
        }
    }

    /// Serves `first` together with what waits behind it.
    fn serve_with(&mut self, first: Queued, requests: &mut mpsc::Receiver<Queued>) {
        let (mut entries, mut bytes) = (first.request.entries(), first.request.bytes());
        let mut gathered = vec![first];
        while entries < MAX_COMMIT_ENTRIES
            && bytes < MAX_COMMIT_BYTES
            && let Ok(next) = requests.try_recv()
        {
            entries += next.request.entries();
            bytes += next.request.bytes();
            gathered.push(next);
        }
        self.shared.began(self.shared.clock.now());
        self.serve(gathered);
        self.shared.ended();
    }

    fn serve(&mut self, requests: Vec<Queued>) {
        // The shares are given back when the group is done.
        let (requests, _shares): (Vec<_>, Vec<_>) = requests.into_iter().map(|q| ((q.request, q.actor), q._share)).unzip();
        if let Err(error) = self.recover() {
            requests.into_iter().for_each(|(request, _)| request.refuse(error.clone()));
            return;
        }
        let (at, day) = (self.shared.clock.now(), self.shared.today());
        self.shared.give_up_backup(at);
        let mut group = Group { at, day, first_block: self.next_block, ..Group::default() };
        self.shared.meters.requests.inc_by(requests.len() as u64);
        for (request, actor) in requests {
            self.stage(request, actor.as_deref(), &mut group);
        }
        let result = self.finish(&mut group).and_then(|()| self.commit(&mut group));
        match &result {
            Ok(()) => self.next_block += group.blocks.len() as u64,
            Err(error) => self.suspend(error),
        }
        let result = result.map_err(|error| StoreError::unwritable(&error));
        std::mem::take(&mut group.replies).into_iter().for_each(|reply| reply(result.clone()));
        if result.is_ok() {
            self.hint();
        }
        self.expire_checks();
        self.erase_some();
        for (feed, seqs, reply) in std::mem::take(&mut group.expired) {
            let expired = self.expire(&feed, seqs);
            answer(reply, expired);
        }
        for (resumed, reply) in std::mem::take(&mut group.backups_begun) {
            answer(reply, result.clone().and_then(|()| self.begin_backup(resumed)));
        }
        for (id, left, reply) in std::mem::take(&mut group.backups_ended) {
            answer(reply, self.end_backup(id, left));
        }
        if let Some((reply, actor)) = group.purge {
            let purged = self.purge(actor);
            answer(reply, purged);
        }
    }

    fn hint(&mut self) {
        if self.shared.state.read().is_hint_due() {
            let due = self.shared.state.write().all_hints();
            self.hints.append(due);
        }
    }

    /// Opens the store anew after the volume was full, once there is room.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(suspended) = &mut self.suspended else { return Ok(()) };
        let now = self.shared.clock.now();
        if !suspended.is_due(now) {
            return Err(suspended.refusal());
        }
        suspended.attempt_failed(now);
        let refusal = suspended.refusal();
        if !self.shared.engine.has_room() {
            self.keep_reading();
            return Err(refusal);
        }
        let reopened = self.shared.engine.reopen().map_err(OpenError::from).and_then(|()| {
            let recalled = self.hints.recall(&self.shared.member);
            self.reload(recalled)
        });
        if let Err(error) = reopened {
            tracing::error!(code = error.code(), %error, "the store could not be opened anew");
            return Err(StoreError::Unwritable { code: error.code(), detail: error.to_string() });
        }
        if let Err(error) = self.shared.engine.keep_ballast() {
            self.suspend(&error);
            return Err(StoreError::unwritable(&error));
        }
        tracing::info!("the store was opened anew after a failure; writing resumes");
        self.suspended = None;
        *self.shared.problem.write() = None;
        Ok(())
    }

    /// On a full volume the handle that failed may not read all that it should.
    fn keep_reading(&self) {
        if let Err(error) = self.shared.engine.reopen_in_ballast() {
            tracing::error!(code = error.code(), %error, "the store cannot be read until there is room");
        }
    }

    /// Builds tips and derived state from what is on disk.
    fn reload(&mut self, recalled: Recalled) -> Result<(), OpenError> {
        let (state, tips) = state::load(&self.shared.engine, &self.shared.member, recalled, &mut self.hints)?;
        self.shared.segments.clear();
        self.adopt(tips)?;
        *self.shared.state.write() = state;
        *self.shared.roster.write() = self.shared.engine.get_large(&keys::roster())?.map(Into::into);
        *self.shared.overrides.write() = Overrides::load(&self.shared.engine)?;
        *self.shared.watches.write() = Watches::load(&self.shared.engine)?;
        self.shared.announce();
        Ok(())
    }

    pub(super) fn suspend(&mut self, error: &EngineError) {
        tracing::error!(code = error.code(), %error, "writing is suspended");
        *self.shared.problem.write() = Some(Problem { code: error.code(), detail: error.to_string() });
        self.suspended = Some(Suspension::new(error, self.shared.clock.now()));
        if matches!(error, EngineError::Full(_)) {
            self.keep_reading();
        }
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    fn stage(&mut self, request: Request, actor: Option<&Actor>, group: &mut Group) {
        let note = |group: &mut Group, kind, reference: String, count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let record = |actor: &Actor| AuditRecord { at: group.at, actor: actor.clone(), kind, reference, count };
            group.audit.extend(actor.filter(|_| count > 0).map(record));
        };
        match request {
            Request::Append(items, reply) => {
                let asked: Vec<_> = items.iter().filter(|_| actor.is_some()).map(Append::audited_as).collect();
                let appended = self.stage_items(items, group);
                let name = |audience: &Audience| self.own_feed(audience).to_string();
                Self::note_appended(actor, &asked, &appended, name, group);
                group.answer_after(reply, Ok(appended));
            }
            Request::Import(import, reply) => {
                let staged = self.stage_import(*import, group);
                group.answer_after(reply, staged);
            }
            Request::RecordChecks(checks, reply) => self.stage_checks(checks, reply, group),
            Request::KeepPicture(picture, reply) => {
                let staged = self.album.put(&picture, &mut group.commit).map_err(|error| group.broke(error));
                group.answer_after(reply, staged);
            }
            Request::Quarantine(proof, reply) => {
                self.stage_fork(&proof, group);
                group.answer_after(reply, Ok(()));
            }
            Request::MarkBehind(feed, size, reply) => {
                // What the other member holds may have been imported since it was heard of.
                if self.tips.get(&feed).is_none_or(|tip| tip.frontier.size() < size) {
                    self.stage_behind(feed, size, group);
                }
                group.answer_after(reply, Ok(()));
            }
            Request::PutRoster(note, reply) => {
                group.roster = Some(note);
                group.answer_after(reply, Ok(()));
            }
            Request::PutOverride(made, reply) => {
                let staged = self.stage_override(*made, group);
                if let Ok(number) = &staged {
                    note(group, AuditKind::Override, OverrideId(*number).to_string(), 1);
                }
                group.answer_after(reply, staged);
            }
            Request::RemoveOverride(number, reply) => {
                let gone = group.overrides.iter().any(|(other, made)| *other == number && made.is_none());
                let held = !gone && self.shared.overrides.read().contains(number);
                note(group, AuditKind::OverrideRemoval, OverrideId(number).to_string(), usize::from(held));
                group.commit.remove(&keys::override_of(number));
                group.overrides.push((number, None));
                group.answer_after(reply, Ok(held));
            }
            Request::PutReceipt(receipt, note, reply) => {
                self.stage_receipt(*receipt, note, group);
                group.answer_after(reply, Ok(()));
            }
            Request::PutWatches(watches, reply) => {
                let staged = self.stage_watches(watches, group);
                if let Ok(ids) = &staged {
                    note(group, AuditKind::Watch, run_of(ids), ids.len());
                }
                group.answer_after(reply, staged);
            }
            Request::RemoveWatches(ids, reply) => {
                let staged = self.stage_removal(&ids, group);
                if let Ok(removed) = &staged {
                    note(group, AuditKind::WatchRemoval, run_of(&ids), *removed);
                }
                group.answer_after(reply, staged);
            }
            Request::SettleLooks(settled, reply) => {
                let staged = self.stage_settled(settled, group);
                group.answer_after(reply, staged);
            }
            Request::LookAgain(reply) => {
                self.stage_look_again(group);
                group.answer_after(reply, Ok(()));
            }
            Request::Acknowledge(id, reply) => {
                let staged = self.stage_acknowledged(id, group);
                note(group, AuditKind::Acknowledgement, id.to_string(), usize::from(staged == Ok(true)));
                group.answer_after(reply, staged);
            }
            Request::NoteDelivery(id, delivered, reply) => {
                let staged = self.stage_delivery(id, delivered, group);
                group.answer_after(reply, staged);
            }
            Request::Audit(records, reply) => {
                group.audit.extend(records);
                group.answer_after(reply, Ok(()));
            }
            Request::PruneAudit(before, reply) => {
                let staged = self.stage_audit_pruned(before, group);
                group.answer_after(reply, staged);
            }
            Request::Charge(charge, reply) => {
                let staged = self.stage_charge(&charge, group);
                group.answer_after(reply, staged);
            }
            Request::PruneLedger(today, reply) => {
                let staged = self.stage_ledger_pruned(today, group);
                group.answer_after(reply, staged);
            }
            Request::Expire(feed, seqs, reply) => group.expired.push((feed, seqs, reply)),
            Request::Purge(reply) => {
                if let Some((other, _)) = group.purge.replace((reply, actor.cloned())) {
                    answer(other, Ok(false));
                }
            }
            Request::BeginBackup(resumed, reply) => match self.may_begin_backup(resumed) {
                Ok(()) => {
                    note(group, AuditKind::Backup, String::new(), 1);
                    group.backups_begun.push((resumed, reply));
                }
                Err(error) => answer(reply, Err(error)),
            },
            Request::EndBackup(id, left, reply) => group.backups_ended.push((id, left, reply)),
            Request::EndRestoration(reply) => {
                group.commit.remove(&keys::restored());
                group.ends_restoration = true;
                group.answer_after(reply, Ok(()));
            }
            Request::Fill(feed, entries, reply) => {
                let staged = self.stage_fill(&feed, entries, group);
                group.answer_after(reply, staged);
            }
            Request::Rebuild(reply) => {
                note(group, AuditKind::Rebuild, String::new(), 1);
                group.rebuild = true;
                group.answer_after(reply, Ok(()));
            }
        }
    }

    fn stage_override(&self, made: Override, group: &mut Group) -> Result<u64, StoreError> {
        let held = self.shared.overrides.read();
        let staged = group.overrides.iter().filter(|(_, made)| made.is_some()).count();
        // Those that have ended make room, some at a time.
        let ended = if staged == 0 { held.ended(self.shared.clock.now(), ENDED_PER_COMMIT) } else { Vec::new() };
        if held.len() + staged >= MAX_OVERRIDES + ended.len() {
            return Err(StoreError::OverridesFull);
        }
        let number = held.next() + staged as u64;
        group.commit.put(keys::last_override(), number.to_be_bytes().to_vec());
        group.commit.put(keys::override_of(number), made.to_row().encode_to_vec());
        group.overrides.push((number, Some(made)));
        for number in ended {
            group.commit.remove(&keys::override_of(number));
            group.overrides.push((number, None));
        }
        Ok(number)
    }

    /// Appends to an own feed, with a checkpoint before the entry where a batch would otherwise become too large.
    pub(super) fn push(
        &mut self,
        feed: &FeedId,
        bytes: EntryBytes,
        entry: Result<Arc<Entry>, NotUnderstood>,
        group: &mut Group,
    ) -> Result<Seq, StoreError> {
        if self.tip(feed)?.checkpoint_due_before(bytes.as_slice().len()) {
            self.sign(feed, group)?;
        }
        let tip = self.tip(feed)?;
        let first = tip.frontier.size();
        let seq = tip.push(bytes.into(), &mut group.commit).map_err(|error| group.broke(error))?;
        group.grow(feed, first, entry);
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
        if group.is_forked(&import.feed) || self.shared.state.read().forks.contains_key(&import.feed) {
            return Err(StoreError::Quarantined);
        }
        let tip = self.tip(&import.feed)?;
        let held = tip.frontier.size();
        if held != import.start {
            return Err(StoreError::OutOfOrder { held });
        }
        for (leaf, entry) in import.entries {
            tip.push(leaf, &mut group.commit).map_err(|error| group.broke(error))?;
            group.grow(&import.feed, held, entry);
        }
        tip.advance(&import.checkpoint, &mut group.commit);
        if let Some(grown) = group.grown.get_mut(&import.feed) {
            grown.note = import.checkpoint.note().clone();
        }
        let size = tip.frontier.size();
        let staged = group.behind.iter().filter(|(feed, _)| *feed == import.feed).map(|(_, behind)| *behind).max();
        let behind = staged.max(self.shared.state.read().behind.get(&import.feed).copied());
        if behind.is_some_and(|behind| behind <= size) {
            group.commit.remove(&keys::behind(&import.feed));
            group.behind.retain(|(feed, _)| *feed != import.feed);
            group.level.push(import.feed);
        }
        Ok(size)
    }

    fn stage_behind(&self, feed: FeedId, size: Seq, group: &mut Group) {
        let known = self.shared.state.read().behind.get(&feed).copied().unwrap_or_default();
        let size = size.max(known);
        group.commit.put(keys::behind(&feed), size.get().to_be_bytes().to_vec());
        group.behind.push((feed, size));
    }

    fn stage_fork(&mut self, proof: &ForkProof, group: &mut Group) {
        let feed = proof.feed().clone();
        if group.is_forked(&feed) || self.shared.state.read().forks.contains_key(&feed) {
            return;
        }
        let fork = ForkRecord {
            first: proof.first().note().clone(),
            second: proof.second().note().clone(),
            frontier: proof.frontier().to_vec(),
            leaf_hashes: proof.leaf_hashes().to_vec(),
            found_at: self.shared.clock.now(),
        };
        let row = ForkRow {
            first: fork.first.clone(),
            second: fork.second.clone(),
            frontier: fork.frontier.iter().flat_map(|h| h.0).collect(),
            leaf_hashes: fork.leaf_hashes.iter().flat_map(|h| h.0).collect(),
            found_at_ms: fork.found_at.unix_ms(),
        };
        group.commit.put(keys::fork(&feed), row.encode_to_vec());
        // What would be added to an own feed could not reach anyone.
        if feed.member == self.shared.member {
            self.stage_behind(feed.clone(), proof.second().checkpoint().size, group);
        }
        group.forks.push((feed, fork));
    }

    /// Signs what grew, and puts the ends of all grown feeds and the checks into the commit.
    fn finish(&mut self, group: &mut Group) -> Result<(), EngineError> {
        if let Some(error) = group.broken.take() {
            return Err(error);
        }
        self.find_watched(group)?;
        self.finish_audit(group);
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
        for (number, block) in (group.first_block..).zip(&group.blocks) {
            let value = frame::compress(&block.encode()).map_err(EngineError::Io)?;
            group.commit.put_large(&keys::checks(group.day, number), &value);
        }
        if let Some(note) = &group.roster {
            if let Some(old) = self.shared.roster.read().as_ref() {
                group.commit.remove_large(&keys::roster(), parts_of(old.len()));
            }
            group.commit.put_large(&keys::roster(), note);
        }
        Ok(())
    }

    fn commit(&mut self, group: &mut Group) -> Result<(), EngineError> {
        let commit = std::mem::take(&mut group.commit);
        if !commit.is_empty() {
            self.force(commit)?;
        }
        let derived = if group.rebuild { self.reload(Recalled::default()) } else { self.publish(group) };
        derived.map_err(|error| match error {
            OpenError::Engine(error) => error,
            other => EngineError::Damaged(other.to_string()),
        })
    }

    /// Commits, and counts it.
    fn force(&self, commit: Commit) -> Result<(), EngineError> {
        let (clock, meters) = (&self.shared.clock, &self.shared.meters);
        let began = clock.now();
        let forced = self.shared.engine.commit(commit);
        meters.commit_seconds.observe(clock.now().since(began).as_secs_f64());
        if forced.is_err() {
            meters.failed_commits.inc();
        }
        forced
    }

    /// Takes what is durable now into the derived state.
    fn publish(&self, group: &mut Group) -> Result<(), OpenError> {
        let touched = self.touched(group)?;
        let mut state = self.shared.state.write();
        for (feed, grown) in std::mem::take(&mut group.grown) {
            let Some(tip) = self.tips.get(&feed) else { continue };
            state.add_feed(tip.no, feed);
            // What stands in the same group is read while others wait; there is hardly ever any.
            let mut bodies = Bodies::of(&self.shared.engine, tip.no);
            let read = |at| touched.get(&(tip.no, at)).cloned().map_or_else(|| bodies.read(at), Ok);
            state.fold(tip.no, grown.first, grown.entries.iter().map(Result::as_deref), read)?;
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
        for (no, holder, receipt) in std::mem::take(&mut group.receipts) {
            state.erasures.set_receipt(no, holder, receipt);
        }
        drop(state);
        let mut overrides = self.shared.overrides.write();
        for (number, made) in std::mem::take(&mut group.overrides) {
            match made {
                Some(made) => overrides.put(number, made),
                None => overrides.remove(number),
            }
        }
        drop(overrides);
        if !group.watches.is_empty() {
            self.shared.watches.write().take(std::mem::take(&mut group.watches));
        }
        self.shared.restored.fetch_and(!group.ends_restoration, Ordering::Relaxed);
        if let Some(note) = group.roster.take() {
            *self.shared.roster.write() = Some(note);
        }
        self.shared.announce();
        Ok(())
    }

    /// What the entries say that the group's other entries do something to, read before the state is locked: whoever checks must not
    /// wait for the disk.
    fn touched(&self, group: &Group) -> Result<HashMap<(FeedNo, Seq), Option<Body>>, EngineError> {
        let mut touched = HashMap::new();
        for (feed, grown) in &group.grown {
            let Some(tip) = self.tips.get(feed) else { continue };
            let mut named: BTreeSet<Seq> = BTreeSet::new();
            for entry in grown.entries.iter().flatten() {
                match &entry.body {
                    Body::Retraction(retraction) => named.extend([retraction.signal]),
                    Body::Erasure(erasure) => named.extend(&erasure.entries),
                    Body::Amendment(amendment) if amendment.change.strengthens() => named.extend([amendment.signal]),
                    Body::Rekeying(rekeying) => named.extend([rekeying.signal]),
                    _ => {}
                }
            }
            let rekeyings: Vec<Seq> = {
                let state = self.shared.state.read();
                let view = state.feed(feed).map(|record| &record.view);
                view.into_iter().flat_map(|view| named.iter().flat_map(|signal| view.counting_rekeyings(*signal))).collect()
            };
            named.extend(rekeyings);
            let mut bodies = Bodies::of(&self.shared.engine, tip.no);
            for seq in named {
                touched.insert((tip.no, seq), bodies.read(seq)?);
            }
        }
        Ok(touched)
    }
}

/// The first and the last of them.
fn run_of(ids: &[WatchId]) -> String {
    match ids {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}-{last}"),
    }
}
