//! What a member keeps of one key, and how it stands on disk: JSON, because it is a few kilobytes of many parts, and whoever repairs an
//! alliance should be able to read it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::limits::MAX_SHARE_RECORD_BYTES;
use crate::domain::{HolderIndex, KeyClass, MemberId, SharedGeneration, Timestamp};
use crate::feed::Hash;
use crate::pseudonym::HeldShares;
use crate::pseudonym::ceremony::Seed;
use crate::pseudonym::toprf::{KeyShare, PublicShares};

/// The layout of the record.
const FORMAT: u32 = 1;

/// A part with its maker's signature. Parts may be secret: `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signed note, see [`crate::feed::CeremonyPart`].
    pub note: Bytes,
    /// What it is about.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes, redacted)", self.body.len())
    }
}

/// All that is kept of one key.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// The shares in use.
    pub(super) held: Option<Held>,
    /// Those before them, while nodes learn of the new ones.
    pub(super) before: Option<Held>,
    /// The ceremony at hand.
    pub(super) running: Option<Running>,
    /// What came of ceremonies whose results this member has signed, and has not seen signed by all.
    pub(super) signed: Vec<Held>,
}

/// Shares, and what everybody may know of them.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) shares: HeldShares,
    pub(super) sharing: SharedGeneration,
    /// What all holders signed; `None` where they have not, or the roster says it.
    pub(super) note: Option<Bytes>,
    /// Since when this member has them.
    pub(super) since: Timestamp,
}

impl Held {
    /// Whose shares these are.
    pub(super) fn place(&self) -> Option<HolderIndex> {
        KeyClass::ALL.first().and_then(|class| self.shares.share(*class)).map(KeyShare::holder)
    }

    /// Whether the shares are those that everybody knows of.
    pub(super) fn is_sound(&self) -> bool {
        let fits = |class: &crate::domain::SharedClass| {
            let share = self.shares.share(class.class)?;
            Some(PublicShares::of(class).ok()?.verifying_share(share.holder()) == share.verifying_share())
        };
        self.shares.generation() == self.sharing.generation
            && self.sharing.classes.iter().all(|class| fits(class) == Some(true))
    }
}

/// A ceremony as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct Running {
    /// The generation that it makes.
    pub(super) generation: u32,
    /// What the participants agree on, see `Plan::name`.
    pub(super) ceremony: Hash,
    pub(super) seed: Seed,
    /// By the others' places.
    pub(super) commitments: BTreeMap<HolderIndex, Signed>,
    /// That all saw the same commitments.
    pub(super) echoed: bool,
    /// By the others' places.
    pub(super) shares: BTreeMap<HolderIndex, Signed>,
    /// Why it does not go on.
    pub(super) failed: Option<Failed>,
}

/// Why a ceremony failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub(super) code: String,
    pub(super) sentence: String,
    /// Who is to blame, where that is known.
    pub(super) culprit: Option<MemberId>,
    pub(super) at_ms: i64,
}

impl Record {
    /// The highest generation of which anything is kept. As what is kept of results that were signed is only dropped below the shares in
    /// use, none that was ever signed is higher: no ceremony of this member makes one again.
    pub(super) fn highest(&self) -> Option<u32> {
        let kept = self.held.iter().chain(&self.before).chain(&self.signed);
        kept.map(|kept| kept.sharing.generation).max()
    }

    /// Puts the shares into use that this member has signed, now that all have. Results of higher generations stay: all may have signed
    /// one of these, too, and somebody who keeps that to itself may show it later.
    pub(super) fn adopt(&mut self, generation: u32, note: Bytes, now: Timestamp) {
        let Some(place) = self.signed.iter().position(|signed| signed.sharing.generation == generation) else { return };
        let mut held = self.signed.swap_remove(place);
        (held.note, held.since) = (Some(note), now);
        self.retire();
        self.held = Some(held);
    }

    /// Puts the shares in use aside because newer ones are there, or are to be repaired.
    pub(super) fn retire(&mut self) {
        self.running = None;
        let Some(held) = self.held.take() else { return };
        // Shares of another key are not older ones of this.
        let is_other = |before: &Held| !before.sharing.is_of_the_same_keys(&held.sharing);
        let other = self.before.take().filter(is_other);
        self.signed.extend(other);
        self.before = Some(held);
    }

    /// Takes out what is kept beside the shares in use and is `wanted`.
    pub(super) fn take(&mut self, wanted: impl Fn(&Held) -> bool) -> Option<Held> {
        match self.signed.iter().position(&wanted) {
            Some(place) => Some(self.signed.swap_remove(place)),
            None => self.before.take_if(|before| wanted(before)),
        }
    }

    /// Drops results that nobody can go on with any more: shares of the same keys as those in use, and no newer. True where there were
    /// any.
    pub(super) fn prune(&mut self) -> bool {
        let Some(held) = &self.held else { return false };
        let before = self.signed.len();
        let newer = |signed: &Held| signed.sharing.generation > held.sharing.generation;
        self.signed.retain(|signed| newer(signed) || !signed.sharing.is_of_the_same_keys(&held.sharing));
        self.signed.len() < before
    }

    /// Puts the shares aside that are in use, as a result that was signed: the roster may want them again.
    pub(super) fn set_aside(&mut self) {
        self.signed.extend(self.held.take());
        self.running = None;
    }

    /// Takes back times that lie in the future, because the clock was ahead once; true where there were any. Else nothing would ever be
    /// old.
    pub(super) fn set_back(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        for held in self.held.iter_mut().chain(&mut self.before).filter(|held| held.since > now) {
            (held.since, changed) = (now, true);
        }
        let failed = self.running.as_mut().and_then(|running| running.failed.as_mut());
        if let Some(failed) = failed.filter(|failed| failed.at_ms > now.unix_ms()) {
            (failed.at_ms, changed) = (now.unix_ms(), true);
        }
        changed
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Large enough that it does not grow and leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_SHARE_RECORD_BYTES));
        let file = File {
            format: FORMAT,
            held: self.held.as_ref().map(HeldFile::of),
            before: self.before.as_ref().map(HeldFile::of),
            running: self.running.as_ref().map(RunningFile::of),
            signed: self.signed.iter().map(HeldFile::of).collect(),
        };
        // Nothing in it can fail to be written: no map has keys that are no text, and the buffer takes all.
        serde_json::to_writer_pretty(&mut *out, &file).unwrap_or_default();
        out
    }

    pub(super) fn from_json(bytes: &[u8]) -> Option<Self> {
        let file = serde_json::from_slice(bytes).ok().filter(|file: &File| file.format == FORMAT)?;
        Self::read(file).ok()
    }

    fn read(file: File) -> Result<Self, Unreadable> {
        Ok(Self {
            held: file.held.map(HeldFile::read).transpose()?,
            before: file.before.map(HeldFile::read).transpose()?,
            running: file.running.map(RunningFile::read).transpose()?,
            signed: file.signed.into_iter().map(HeldFile::read).collect::<Result<_, _>>()?,
        })
    }
}

/// The record of a member that was dealt shares, as [`crate::pseudonym::deal`] does for tests and measurements.
#[must_use]
pub fn dealt_record(shares: HeldShares, sharing: SharedGeneration, since: Timestamp) -> Zeroizing<Vec<u8>> {
    Record { held: Some(Held { shares, sharing, note: None, since }), ..Record::default() }.to_json()
}

/// What is there cannot be read, and spoils the whole.
struct Unreadable;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    held: Option<HeldFile>,
    before: Option<HeldFile>,
    running: Option<RunningFile>,
    signed: Vec<HeldFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldFile {
    /// See [`HeldShares::to_text`].
    shares: Zeroizing<String>,
    sharing: SharedGeneration,
    note: Option<String>,
    since_ms: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunningFile {
    generation: u32,
    ceremony: String,
    seed: Zeroizing<String>,
    commitments: BTreeMap<HolderIndex, SignedFile>,
    echoed: bool,
    shares: BTreeMap<HolderIndex, SignedFile>,
    failed: Option<Failed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedFile {
    note: String,
    body: Zeroizing<String>,
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn bytes(encoded: &str) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    BASE64.decode(encoded).map(Zeroizing::new).map_err(|_| Unreadable)
}

fn fixed(encoded: &str) -> Result<Zeroizing<[u8; 32]>, Unreadable> {
    bytes(encoded)?.as_slice().try_into().map(Zeroizing::new).map_err(|_| Unreadable)
}

impl HeldFile {
    fn of(held: &Held) -> Self {
        let Held { shares, sharing, note, since } = held;
        Self { shares: shares.to_text(), sharing: sharing.clone(), note: note.as_ref().map(text), since_ms: since.unix_ms() }
    }

    fn read(self) -> Result<Held, Unreadable> {
        Ok(Held {
            shares: HeldShares::from_text(&self.shares).map_err(|_| Unreadable)?,
            sharing: self.sharing,
            note: self.note.map(Bytes::from),
            since: Timestamp::from_unix_ms(self.since_ms),
        })
    }
}

impl RunningFile {
    fn of(running: &Running) -> Self {
        let signed =
            |of: &BTreeMap<HolderIndex, Signed>| of.iter().map(|(place, part)| (*place, SignedFile::of(part))).collect();
        Self {
            generation: running.generation,
            ceremony: BASE64.encode(running.ceremony.0),
            seed: Zeroizing::new(BASE64.encode(running.seed.as_bytes())),
            commitments: signed(&running.commitments),
            echoed: running.echoed,
            shares: signed(&running.shares),
            failed: running.failed.clone(),
        }
    }

    fn read(self) -> Result<Running, Unreadable> {
        let signed = |of: BTreeMap<HolderIndex, SignedFile>| -> Result<BTreeMap<HolderIndex, Signed>, Unreadable> {
            of.into_iter().map(|(place, part)| Ok((place, part.read()?))).collect()
        };
        Ok(Running {
            generation: self.generation,
            ceremony: Hash(*fixed(&self.ceremony)?),
            seed: Seed::from_bytes(&*fixed(&self.seed)?),
            commitments: signed(self.commitments)?,
            echoed: self.echoed,
            shares: signed(self.shares)?,
            failed: self.failed,
        })
    }
}

impl SignedFile {
    fn of(part: &Signed) -> Self {
        Self { note: text(&part.note), body: Zeroizing::new(BASE64.encode(part.body.as_slice())) }
    }

    fn read(self) -> Result<Signed, Unreadable> {
        Ok(Signed { note: self.note.into(), body: bytes(&self.body)? })
    }
}
