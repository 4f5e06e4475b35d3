//! `feed verify`: a checkpoint, and the entries under it, without a node and without trust in the machine they came from.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::alliance::{MAX_KEY_BYTES, read_roster};
use super::arguments::FeedVerifyArguments;
use super::failure::{Failure, Outcome};
use super::leads::verify_bundle;
use super::output::{Printer, Show, facts};
use crate::alliance::folder::read_public;
use crate::domain::limits::{MAX_CHECKPOINT_BYTES, MAX_ENTRY_BYTES};
use crate::domain::{AllianceName, FeedId, FeedKey};
use crate::feed::{EntryBytes, Frontier, SignedCheckpoint, SignedRoster, verifier_key};

/// Signature type of Ed25519 in a C2SP verifier key.
const ED25519_TYPE: u8 = 0x01;
/// Characters of an entry's line: hexadecimal of the longest entry, its mark and its end.
const MAX_LINE_BYTES: u64 = 2 * MAX_ENTRY_BYTES as u64 + 8;

pub(super) fn verify(arguments: &FeedVerifyArguments, printer: &mut Printer) -> Result<Outcome, Failure> {
    if let (Some(bundle), Some(key)) = (&arguments.bundle, &arguments.secretariat_key) {
        return verify_bundle(bundle, key, printer);
    }
    let Some(checkpoint) = &arguments.checkpoint else {
        return Err(Failure::usage("give --checkpoint, or --bundle with --secretariat-key"));
    };
    // Of its full length, so that what is too long is refused by the reader that knows why.
    let note = read_public(checkpoint, 4 * MAX_CHECKPOINT_BYTES as u64)?;
    let keys = match (&arguments.key, &arguments.roster, &arguments.secretariat_key) {
        (Some(key), None, None) => Keys::of_feed(&read_public(key, MAX_KEY_BYTES)?)?,
        (None, Some(roster), Some(key)) => read_roster(roster, key)?.into(),
        _ => return Err(Failure::usage("give --key, or --roster with --secretariat-key")),
    };
    let signed = SignedCheckpoint::open(note.into(), &keys.alliance, |feed| keys.of(feed))?;
    let checkpoint = signed.checkpoint();
    let entries_verified = arguments.entries.as_deref().map(|path| recompute(path, &signed)).transpose()?;
    let key = keys.of(&checkpoint.feed).map(|key| verifier_key(&checkpoint.feed.origin(&keys.alliance), &key));
    printer.show(&Verified {
        alliance: keys.alliance.to_string(),
        feed: checkpoint.feed.to_string(),
        size: checkpoint.size.get(),
        root: checkpoint.root.to_string(),
        key: key.unwrap_or_default(),
        entries_verified,
    })?;
    Ok(Outcome::Done)
}

/// Whose signature is to be expected.
pub(super) struct Keys {
    alliance: AllianceName,
    known: Known,
}

enum Known {
    Feed(FeedId, FeedKey),
    Roster(Box<SignedRoster>),
}

impl Keys {
    /// A C2SP verifier key, `name+key id+base64`, whose name is the feed's origin.
    pub(super) fn of_feed(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        parse_verifier_key(text).ok_or_else(|| {
            let failure = Failure::new("VERIFIER_KEY_INVALID", "the key is no verifier key of a feed");
            failure.advise("give alliance/member/audience+key id+base64, on one line")
        })
    }

    fn of(&self, feed: &FeedId) -> Option<FeedKey> {
        match &self.known {
            Known::Feed(known, key) => (known == feed).then_some(*key),
            Known::Roster(signed) => signed.roster().feed_key(feed),
        }
    }
}

impl From<SignedRoster> for Keys {
    fn from(signed: SignedRoster) -> Self {
        Self { alliance: signed.roster().alliance.clone(), known: Known::Roster(Box::new(signed)) }
    }
}

fn parse_verifier_key(text: &str) -> Option<Keys> {
    let (name, rest) = text.split_once('+')?;
    let (_, base64) = rest.split_once('+')?;
    let (alliance, feed) = name.split_once('/')?;
    let (alliance, feed): (AllianceName, FeedId) = (alliance.parse().ok()?, feed.parse().ok()?);
    let bytes = BASE64.decode(base64).ok()?;
    let (kind, key) = bytes.split_first()?;
    let key = FeedKey(key.try_into().ok()?);
    // Made again, so that a key id that belongs to another key is found.
    let good = *kind == ED25519_TYPE && verifier_key(name, &key) == text;
    good.then_some(Keys { alliance, known: Known::Feed(feed, key) })
}

/// Recomputes the root from every entry of the feed and gives their number.
fn recompute(path: &Path, signed: &SignedCheckpoint) -> Result<u64, Failure> {
    let unreadable = |error: &std::io::Error| Failure::of("INPUT_UNREADABLE", error).advise("give the file of the entries");
    let mut reader = BufReader::new(File::open(path).map_err(|error| unreadable(&error))?);
    let mut frontier = Frontier::empty();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(|error| unreadable(&error))?;
        if read == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let entry = read_entry(text).ok_or_else(|| {
            let sentence =
                format!("line {number} is no entry: base64, or hexadecimal after `hex:`, of 1 to {MAX_ENTRY_BYTES} bytes");
            Failure::new("ENTRY_INVALID", sentence)
        })?;
        frontier.push(entry.leaf_hash());
    }
    let checkpoint = signed.checkpoint();
    if frontier.size() != checkpoint.size {
        let sentence = format!("there are {} entries under a checkpoint of {}", frontier.size(), checkpoint.size);
        return Err(Failure::new("FEED_SIZE_MISMATCH", sentence).advise("give every entry of the feed up to the checkpoint"));
    }
    if frontier.root() != checkpoint.root {
        let failure = Failure::new("FEED_ROOT_MISMATCH", "the entries are not those that the member signed");
        return Err(failure.advise("keep both files: one of them was changed, or the member signed two histories"));
    }
    Ok(frontier.size().get())
}

pub(super) fn read_entry(text: &[u8]) -> Option<EntryBytes> {
    let bytes = match text.strip_prefix(b"hex:") {
        Some(digits) => hex::decode(digits).ok()?,
        None => BASE64.decode(text).ok()?,
    };
    EntryBytes::from_peer(bytes.into()).ok()
}

/// What holds. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Verified {
    alliance: String,
    feed: String,
    size: u64,
    /// Lower-case hexadecimal.
    root: String,
    /// The feed's C2SP verifier key, for other tools.
    key: String,
    /// Null where no entries were given.
    entries_verified: Option<u64>,
}

impl Show for Verified {
    fn table(&self) -> String {
        let entries = match self.entries_verified {
            Some(count) => format!("{count}, which hash to the root"),
            None => "not given; only the signature was verified".to_owned(),
        };
        facts([
            ("feed", format!("{} of {}", self.feed, self.alliance)),
            ("size", self.size.to_string()),
            ("root", self.root.clone()),
            ("key", self.key.clone()),
            ("entries", entries),
        ])
    }
}
