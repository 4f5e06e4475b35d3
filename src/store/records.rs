//! The store's records of what was answered: checks, and the pictures of feeds that answers rest on.

use std::sync::Arc;

use prost::Message as _;

use super::checks::{self, CheckRecord, CheckReference, FreshnessRecord};
use super::pictures::{self, PictureId};
use super::request::Request;
use super::rows::CheckBlockRow;
use super::{Store, StoreError, damaged, frame, keys};
use crate::domain::limits::CHECK_RETENTION;

/// Largest block of check records that is read: its checks end at 128 KiB and one full answer; beside them stands the freshness of
/// as many feeds as a roster can list.
const MAX_CHECK_BLOCK_BYTES: usize = 16 * 1_024 * 1_024;

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

/// The first day whose checks may still be read on the day `today`.
pub(super) fn expired_before(today: u16) -> u16 {
    let kept_days = u16::try_from(CHECK_RETENTION.as_secs() / 86_400).unwrap_or(u16::MAX);
    today.saturating_sub(kept_days)
}
