//! This member's own word about sellers: what its node answers, whatever the feeds say. It stays here, as pseudonyms.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use prost::Message as _;

use super::engine::Engine;
use super::index::Fingerprint;
use super::request::Request;
use super::rows::{OverrideRow, PseudonymSetRow};
use super::{OpenError, Store, StoreError, keys};
use crate::domain::{FieldError, IdentifierKind, KeyId, Pseudonym, PseudonymSet, Subject, Timestamp, Verdict};

const PREFIX: &str = "own_";

/// By this an override is listed and taken back: `own_` and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverrideId(pub(super) u64);

impl fmt::Display for OverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for OverrideId {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let number = text.strip_prefix(PREFIX).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        number
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| FieldError::new("OVERRIDE_INVALID", "override", "give it as it was listed, own_ and a number"))
    }
}

/// What this member's node answers about a seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// What.
    pub verdict: Verdict,
    /// Kind of each identifier, 1 to 32.
    pub kinds: Vec<IdentifierKind>,
    /// One set for each key that was active, each as long as `kinds`.
    pub pseudonyms: Vec<PseudonymSet>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it holds; `None` for as long as it is not taken back.
    pub until: Option<Timestamp>,
    /// Why, in the member's own words; at most 120 characters.
    pub note: String,
}

impl Override {
    /// Whether it says anything at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        Subject { kinds: &self.kinds, pseudonyms: &self.pseudonyms }
    }

    fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        self.pseudonyms.iter().flat_map(|set| &set.pseudonyms).map(Fingerprint::from)
    }

    pub(super) fn to_row(&self) -> OverrideRow {
        OverrideRow {
            verdict: self.verdict.number(),
            kinds: self.kinds.iter().map(|kind| kind.number()).collect(),
            pseudonyms: self.pseudonyms.iter().map(PseudonymSetRow::from).collect(),
            made_at_ms: self.made_at.unix_ms(),
            until_ms: self.until.map_or(0, Timestamp::unix_ms),
            note: self.note.clone(),
        }
    }

    fn from_row(row: OverrideRow) -> Option<Self> {
        Some(Self {
            verdict: Verdict::from_number(row.verdict)?,
            kinds: row.kinds.iter().map(|kind| IdentifierKind::from_number(*kind)).collect::<Option<_>>()?,
            pseudonyms: row.pseudonyms.iter().map(PseudonymSetRow::read).collect::<Option<_>>()?,
            made_at: Timestamp::from_unix_ms(row.made_at_ms),
            until: (row.until_ms != 0).then(|| Timestamp::from_unix_ms(row.until_ms)),
            note: row.note,
        })
    }
}

/// All of them, in memory.
#[derive(Default)]
pub(super) struct Overrides {
    all: BTreeMap<u64, Override>,
    /// The number of the newest there ever was.
    last: u64,
    by_pseudonym: HashMap<Fingerprint, Vec<u64>>,
}

impl Overrides {
    pub(super) fn load(engine: &Engine) -> Result<Self, OpenError> {
        let mut overrides = Self::default();
        engine.scan(&keys::overrides(), |key, value| {
            let number = keys::read_numbered(key);
            let read = OverrideRow::decode(value).ok().and_then(Override::from_row);
            let (Some(number), Some(read)) = (number, read) else { return Err(OpenError::damaged("an override")) };
            overrides.put(number, read);
            Ok(())
        })?;
        if let Some(last) = engine.get(&keys::last_override())? {
            let last = last.as_slice().try_into().map(u64::from_be_bytes);
            overrides.last = last.map_err(|_| OpenError::damaged("the number of the last override"))?;
        }
        Ok(overrides)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.all.contains_key(&number)
    }

    /// The number of the next one.
    pub(super) const fn next(&self) -> u64 {
        self.last + 1
    }

    /// Some that have ended.
    pub(super) fn ended(&self, now: Timestamp, count: usize) -> Vec<u64> {
        self.all.iter().filter(|(_, made)| !made.holds(now)).map(|(number, _)| *number).take(count).collect()
    }

    pub(super) fn put(&mut self, number: u64, made: Override) {
        made.fingerprints().for_each(|fingerprint| self.by_pseudonym.entry(fingerprint).or_default().push(number));
        self.last = self.last.max(number);
        self.all.insert(number, made);
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(gone) = self.all.remove(&number) else { return };
        for fingerprint in gone.fingerprints() {
            if let Some(numbers) = self.by_pseudonym.get_mut(&fingerprint) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.by_pseudonym.remove(&fingerprint);
                }
            }
        }
    }
}

impl Store {
    /// Keeps an override. Durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::OverridesFull`], [`StoreError::Unwritable`].
    pub async fn put_override(&self, made: Override) -> Result<OverrideId, StoreError> {
        self.request(|reply| Request::PutOverride(Box::new(made), reply)).await.map(OverrideId)
    }

    /// Takes an override back. Durable when this returns; false where there was none.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn remove_override(&self, id: OverrideId) -> Result<bool, StoreError> {
        self.request(|reply| Request::RemoveOverride(id.0, reply)).await
    }

    /// Every override after `after`, at most `count`. In memory.
    #[must_use]
    pub fn overrides(&self, after: Option<OverrideId>, count: usize) -> Vec<(OverrideId, Override)> {
        let overrides = self.shared.overrides.read();
        let from = after.map_or(0, |after| after.0.saturating_add(1));
        overrides.all.range(from..).take(count).map(|(number, made)| (OverrideId(*number), made.clone())).collect()
    }

    /// Overrides that hold at `now` and have no pseudonyms under `key`. In memory.
    #[must_use]
    pub fn overrides_without(&self, key: &KeyId, now: Timestamp) -> u64 {
        let overrides = self.shared.overrides.read();
        let without = |made: &&Override| made.holds(now) && made.pseudonyms.iter().all(|set| set.key != *key);
        overrides.all.values().filter(without).count() as u64
    }

    /// Whether there is an override that may name this pseudonym. In memory; one probe.
    #[must_use]
    pub fn is_overridden(&self, pseudonym: &Pseudonym) -> bool {
        let overrides = self.shared.overrides.read();
        !overrides.by_pseudonym.is_empty() && overrides.by_pseudonym.contains_key(&pseudonym.into())
    }

    /// The overrides that name this pseudonym, the newest first. In memory.
    #[must_use]
    pub fn overrides_of(&self, pseudonym: &Pseudonym) -> Vec<(OverrideId, Override)> {
        let overrides = self.shared.overrides.read();
        let numbers = overrides.by_pseudonym.get(&pseudonym.into()).into_iter().flatten().rev();
        let named = |number: &u64| Some((OverrideId(*number), overrides.all.get(number)?.clone()));
        let names = |made: &Override| made.pseudonyms.iter().any(|set| set.pseudonyms.contains(pseudonym));
        numbers.filter_map(named).filter(|(_, made)| names(made)).collect()
    }
}
