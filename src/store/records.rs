//! The store's records of what was answered: checks, and the pictures of feeds that answers rest on.

use std::sync::Arc;

use prost::Message as _;

use super::checks::{self, CheckBlock, CheckRecord, CheckReference, FreshnessRecord};
use super::engine::{Commit, EngineError, read_parts};
use super::group::Group;
use super::pictures::{self, PictureId};
use super::request::{Reply, Request, answer};
use super::rows::CheckBlockRow;
use super::writer::Writer;
use super::{Store, StoreError, damaged, frame, keys};
use crate::domain::Timestamp;
use crate::domain::limits::CHECK_RETENTION;

/// Largest block of check records that is read: its checks end at 128 KiB and one full answer; beside them stands the freshness of
/// as many feeds as a roster can list.
const MAX_CHECK_BLOCK_BYTES: usize = 16 * 1_024 * 1_024;

/// Blocks of expired checks that are removed in one commit.
const EXPIRED_PER_COMMIT: usize = 1_024;

impl Store {
    /// Keeps records of checks. Durable when this returns; one reference for each, in order.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn record_checks(&self, checks: Vec<CheckRecord>) -> Result<Vec<CheckReference>, StoreError> {
        self.request(|reply| Request::RecordChecks(checks, reply)).await
    }

    /// Keeps how fresh feeds are, for the answers that rest on it. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn keep_picture(&self, picture: Arc<FreshnessRecord>) -> Result<PictureId, StoreError> {
        self.request(|reply| Request::KeepPicture(picture, reply)).await
    }

    /// The record of an earlier check; `None` where there is none under this reference, or no more.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn check(&self, reference: &CheckReference) -> Result<Option<CheckRecord>, StoreError> {
        if reference.day < expired_before(self.shared.today()) {
            return Ok(None);
        }
        let value = self.shared.engine.get_large(&keys::checks(reference.day, reference.block));
        let Some(value) = value.map_err(|e| StoreError::unreadable(&e))? else { return Ok(None) };
        let block = frame::decompress(&value, MAX_CHECK_BLOCK_BYTES).ok();
        let block = block.and_then(|raw| CheckBlockRow::decode(&*raw).ok()).ok_or_else(|| damaged("a block of checks"))?;
        Ok(checks::decode_check(block, reference))
    }

    /// How fresh feeds were; `None` where it is kept no more.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn picture(&self, id: PictureId) -> Result<Option<FreshnessRecord>, StoreError> {
        pictures::read(&self.shared.engine, id)
    }
}

impl Writer {
    /// The highest number of any block of check records. The newest day need not have it: the clock may have been set back.
    pub(super) fn highest_block(&self) -> Result<Option<u64>, EngineError> {
        let mut highest = None;
        let mut until = keys::checks(u16::MAX, u64::MAX);
        while let Some((key, _)) = self.shared.engine.last_until(&keys::all_checks(), &until)? {
            let Some((day, block)) = keys::read_checks(&key) else { break };
            highest = highest.max(Some(block));
            let Some(before) = day.checked_sub(1) else { break };
            until = keys::checks(before, u64::MAX);
        }
        Ok(highest)
    }

    pub(super) fn stage_checks(&mut self, checks: Vec<CheckRecord>, reply: Reply<Vec<CheckReference>>, group: &mut Group) {
        let mut secrets = vec![0; checks.len() * 8];
        if self.entropy.fill(&mut secrets).is_err() {
            let detail = "the operating system gave no random bytes".to_owned();
            return answer(reply, Err(StoreError::Unwritable { code: "NO_ENTROPY", detail }));
        }
        let secrets: Vec<u64> = secrets.chunks_exact(8).map(|c| c.try_into().map_or(0, u64::from_be_bytes)).collect();
        let placed = secrets.into_iter().zip(&checks).map(|(secret, check)| place_check(secret, check, group));
        let references: Vec<_> = placed.collect();
        group.replies.push(Box::new(move |result| answer(reply, result.map(|()| references))));
    }

    /// Removes, some at a time, records of checks and pictures that are older than anyone may ask for.
    pub(super) fn expire_checks(&mut self) {
        let until = expired_before(self.shared.today());
        if until <= self.expired_until || self.is_suspended() {
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
        let oldest = Timestamp::from_unix_day(until.into());
        if commit.is_empty() && !pictures::expire_one(&self.shared.engine, oldest, &mut commit)? {
            return Ok(true);
        }
        self.shared.engine.commit(commit)?;
        Ok(false)
    }
}

/// Puts a check into the last block of the group, or into a new one.
fn place_check(secret: u64, check: &CheckRecord, group: &mut Group) -> CheckReference {
    if group.blocks.last().is_none_or(CheckBlock::is_full) {
        group.blocks.push(CheckBlock::default());
    }
    let last = group.blocks.len() - 1;
    let place = group.blocks[last].push(secret, check);
    CheckReference { day: group.day, block: group.first_block + last as u64, place, secret }
}

/// The first day whose checks may still be read on the day `today`.
pub(super) fn expired_before(today: u16) -> u16 {
    let kept_days = u16::try_from(CHECK_RETENTION.as_secs() / 86_400).unwrap_or(u16::MAX);
    today.saturating_sub(kept_days)
}
