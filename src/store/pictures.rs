//! Pictures: how fresh every feed was at a moment, kept once for all answers that rest on it.
//!
//! They come in generations, because one picture differs little from the next. The first of a generation stands by itself, the
//! others are compressed against it and are a few dozen bytes each. A generation ends when its places are used up or the
//! store is opened anew, and is removed as a whole.

use std::io;

use prost::Message as _;

use super::checks::{FreshnessRecord, decode_freshness, encode_freshness};
use super::engine::{Commit, Engine, EngineError, read_parts};
use super::rows::FreshnessRow;
use super::{StoreError, damaged, frame, keys};
use crate::domain::Timestamp;

/// Largest picture: as many feeds as a roster can list, a hundred bytes each.
const MAX_PICTURE_BYTES: usize = 16 * 1_024 * 1_024;

/// Which picture: 5 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureId {
    pub(super) generation: u32,
    pub(super) place: u8,
}

impl PictureId {
    /// For a reference that stands for an answer.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.generation.to_be_bytes();
        [a, b, c, d, self.place]
    }

    /// Reads what [`Self::to_bytes`] gave.
    #[must_use]
    pub const fn from_bytes([a, b, c, d, place]: [u8; 5]) -> Self {
        Self { generation: u32::from_be_bytes([a, b, c, d]), place }
    }
}

/// Where the writer puts the next picture.
pub(super) struct Album {
    next: PictureId,
    /// The first of the generation, encoded; empty before it is there.
    first: Vec<u8>,
}

impl Album {
    /// Goes on after what is on disk, with a generation of its own.
    pub(super) fn open(engine: &Engine) -> Result<Self, EngineError> {
        let highest =
            engine.last_until(&keys::all_pictures(), &keys::picture(PictureId { generation: u32::MAX, place: u8::MAX }))?;
        let highest = highest.and_then(|(key, _)| keys::read_picture(&key));
        let generation = highest.map_or(0, |picture| picture.generation.saturating_add(1));
        Ok(Self { next: PictureId { generation, place: 0 }, first: Vec::new() })
    }

    /// Puts a picture into `commit`. Where the commit fails, the album is opened anew.
    pub(super) fn put(&mut self, record: &FreshnessRecord, commit: &mut Commit) -> io::Result<PictureId> {
        let encoded = encode_freshness(record).encode_to_vec();
        let id = self.next;
        let value = if id.place == 0 { frame::compress(&encoded)? } else { frame::compress_against(&self.first, &encoded)? };
        commit.put_large(&keys::picture(id), &value);
        if id.place == 0 {
            self.first = encoded;
        }
        self.next = match id.place.checked_add(1) {
            Some(place) => PictureId { place, ..id },
            None => PictureId { generation: id.generation.saturating_add(1), place: 0 },
        };
        Ok(id)
    }
}

/// A picture, or `None` where it is kept no more.
pub(super) fn read(engine: &Engine, id: PictureId) -> Result<Option<FreshnessRecord>, StoreError> {
    let Some(encoded) = encoded(engine, id)? else { return Ok(None) };
    let record = FreshnessRow::decode(&*encoded).ok().as_ref().and_then(decode_freshness);
    record.map(Some).ok_or_else(|| damaged("a picture of feeds"))
}

fn encoded(engine: &Engine, id: PictureId) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(value) = engine.get_large(&keys::picture(id)).map_err(|e| StoreError::unreadable(&e))? else { return Ok(None) };
    let plain = if id.place == 0 {
        frame::decompress(&value, MAX_PICTURE_BYTES)
    } else {
        let Some(first) = encoded(engine, PictureId { place: 0, ..id })? else { return Ok(None) };
        frame::decompress_against(&first, &value, MAX_PICTURE_BYTES)
    };
    plain.map(Some).map_err(|_| damaged("a picture of feeds"))
}

/// Removes the oldest generation into `commit` where all of it is from before `until`: the next one began before then. False
/// where there is none.
pub(super) fn expire_one(engine: &Engine, until: Timestamp, commit: &mut Commit) -> Result<bool, EngineError> {
    let prefix = keys::all_pictures();
    let at = |from: &[u8]| -> Result<Option<PictureId>, EngineError> {
        Ok(engine.first_from(&prefix, from)?.and_then(|(key, _)| keys::read_picture(&key)))
    };
    let Some(oldest) = at(&prefix)? else { return Ok(false) };
    let Some(generation) = oldest.generation.checked_add(1) else { return Ok(false) };
    let Some(next) = at(&keys::picture(PictureId { generation, place: 0 }))? else { return Ok(false) };
    let began = read(engine, PictureId { place: 0, ..next }).ok().flatten().map(|record| record.as_of);
    if began.is_none_or(|began| began >= until) {
        return Ok(false);
    }
    engine.scan(&keys::pictures_of(oldest.generation), |key, row| {
        commit.remove_large(key, read_parts(row).unwrap_or(0));
        Ok(())
    })?;
    Ok(true)
}
