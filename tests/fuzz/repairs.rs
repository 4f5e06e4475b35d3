//! Decoders of what holders of a key say to one another when one has lost its share, and of what each keeps of its own. The parts are
//! signed after they were changed: whoever signs them is a member, and may want to do harm.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use countermark::domain::{Entropy as _, KeyId, MemberId};
use countermark::feed::{CeremonyPart, Hash, Round, sha256};
use countermark::membership::Directory;
use countermark::pseudonym::toprf::{ELEMENT_BYTES, SCALAR_BYTES};
use countermark::service::{
    Ceremonies, CeremonyAnswer, CeremonyDesk, CeremonyPace, CeremonyQuery, CeremonyState, FellowHolders, HolderError,
    RepairAnswer, RepairQuery, ShareBook, ShareVault, Signed, dealt_record,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use super::{Decoder, Fixed, NOW, ROSTER, SHARED, Stopped, alliance, generation, key, member, store_of};

/// The third has lost its share, and the other two help.
const HOLDERS: [&str; 3] = ["acme", "brand", "chips"];
/// Bytes of what one helper commits to, of all classes.
const SPLIT_BYTES: usize = 3 * 2 * ELEMENT_BYTES;

pub(super) const DECODERS: &[Decoder] = &[
    ("what a member wants repaired", of_wanted, wanted),
    (
        "what a helper gives a helper",
        |data| helped("acme", &query(&wanted()), Some(data)).is_some(),
        || {
            let answer = in_runtime(ceremonies("brand", None).help(&member("acme"), &query(&wanted()))).expect("helped");
            written(&answer)
        },
    ),
    (
        "what a helper gives a member",
        |data| repaired(Some(data)),
        || written(&helped("brand", &query(&wanted()), None).expect("helped")),
    ),
    ("what is kept of a share", of_record, record),
];

/// With the right threads and timers for what a node does.
fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// What is kept of the key.
struct Chest(Option<Zeroizing<Vec<u8>>>);

impl ShareVault for Chest {
    fn load(&self, _: &KeyId) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.0.clone())
    }

    fn save(&self, _: &KeyId, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn keys(&self) -> io::Result<Vec<KeyId>> {
        Ok(Vec::new())
    }

    fn remove(&self, _: &KeyId) -> io::Result<()> {
        Ok(())
    }
}

/// The way of one holder to the others, on which `brand` says something else where there is such.
struct Way {
    from: MemberId,
    instead: Option<Vec<u8>>,
}

#[async_trait]
impl FellowHolders for Way {
    async fn sharing(&self, _: &MemberId, _: &KeyId) -> Result<Option<Bytes>, HolderError> {
        Ok(None)
    }

    async fn ceremony(&self, _: &MemberId, _: &CeremonyQuery) -> Result<CeremonyAnswer, HolderError> {
        Ok(CeremonyAnswer::default())
    }

    async fn repair(&self, holder: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, HolderError> {
        if let Some(instead) = self.instead.as_ref().filter(|_| holder.as_str() == "brand") {
            return Ok(read(instead, query));
        }
        let refused = |error: countermark::service::CeremonyRefusal| HolderError::Failed {
            code: error.code().to_owned(),
            detail: error.to_string(),
        };
        ceremonies(holder.as_str(), None).help(&self.from, query).await.map_err(refused)
    }
}

fn directory(of: &str) -> Arc<Directory> {
    static OF_ALL: LazyLock<BTreeMap<&str, Arc<Directory>>> = LazyLock::new(|| {
        let of = |name: &'static str| {
            let (store, note) = (Arc::new(store_of(name)), ROSTER.note().clone());
            let opened = Directory::open(alliance(), member(name), key().public(), store, Some(note));
            let runtime = Builder::new_current_thread().build().expect("a runtime");
            (name, Arc::new(runtime.block_on(opened).expect("listed")))
        };
        HOLDERS.into_iter().map(of).collect()
    });
    OF_ALL[of].clone()
}

/// A holder as its node has it.
fn ceremonies(of: &str, instead: Option<Vec<u8>>) -> Ceremonies {
    let held = HOLDERS.iter().zip(&SHARED.held).find(|(name, _)| **name == of && of != "chips");
    let kept = held.map(|(_, held)| dealt_record(held.clone(), generation(), NOW));
    Ceremonies {
        book: Arc::new(ShareBook::new(Arc::new(Chest(kept)))),
        directory: directory(of),
        fellows: Arc::new(Way { from: member(of), instead }),
        feed_key: Arc::new(key()),
        clock: Arc::new(Stopped),
        entropy: Arc::new(Fixed),
        pace: CeremonyPace::default(),
        desk: CeremonyDesk::default(),
    }
}

/// What it asks for, which hangs on what is drawn.
fn wanted() -> Vec<u8> {
    let mut nonce = [0; 16];
    Fixed.fill(&mut nonce).expect("filled");
    format!("k1 0 3\n1,2\n{}\n", hex::encode(nonce)).into()
}

/// A part of the repair with this text, by who makes it.
fn part(of: &[u8], round: Round, from: &str) -> CeremonyPart {
    CeremonyPart { ceremony: sha256(&[of]), round, from: member(from), to: None }
}

/// `chips` asks for it.
fn query(wanted: &[u8]) -> RepairQuery {
    let note = part(wanted, Round::Repair, "chips").sign(&alliance(), wanted, &key());
    RepairQuery { member: member("chips"), wanted: Bytes::copy_from_slice(wanted), note }
}

/// What a helper answers `chips`, where it helps.
fn helped(helper: &str, query: &RepairQuery, instead: Option<&[u8]>) -> Option<RepairAnswer> {
    let helper = ceremonies(helper, instead.map(<[u8]>::to_vec));
    in_runtime(helper.help(&member("chips"), query)).ok()
}

fn of_wanted(data: &[u8]) -> bool {
    helped("acme", &query(data), None).is_some()
}

/// Whether `chips` comes to a share.
fn repaired(instead: Option<&[u8]>) -> bool {
    let chips = ceremonies("chips", instead.map(<[u8]>::to_vec));
    in_runtime(chips.look());
    chips.reports().iter().all(|report| report.state == CeremonyState::Held)
}

/// The number of bytes of scalars, these, and the splits one after the other.
fn written(answer: &RepairAnswer) -> Vec<u8> {
    let count = u8::try_from(answer.scalars.len()).expect("few");
    let splits = answer.splits.iter().flat_map(|split| split.body.iter().copied());
    [count].into_iter().chain(answer.scalars.iter().copied()).chain(splits).collect()
}

/// The same back, each split signed by the helper whose it is.
fn read(data: &[u8], query: &RepairQuery) -> RepairAnswer {
    let (count, rest) = data.split_first().map_or((0, data), |(count, rest)| (usize::from(*count), rest));
    let (scalars, bodies) = rest.split_at(count.min(rest.len()));
    // To a helper its own alone, which is the second's.
    let makers = if bodies.len() > SPLIT_BYTES { &HOLDERS[..] } else { &HOLDERS[1..] };
    let split = |(body, maker): (&[u8], &&str)| Signed {
        note: part(&query.wanted, Round::Split, maker).sign(&alliance(), body, &key()),
        body: Zeroizing::new(body.to_vec()),
    };
    let splits = bodies.chunks(SPLIT_BYTES).zip(makers).map(split).collect();
    RepairAnswer { splits, scalars: Zeroizing::new(scalars.to_vec()) }
}

fn of_record(data: &[u8]) -> bool {
    let book = ShareBook::new(Arc::new(Chest(Some(Zeroizing::new(data.to_vec())))));
    book.sharing(&"k1".parse().expect("valid")).is_ok()
}

/// Of a member that has a share, and is about to have another.
fn record() -> Vec<u8> {
    let kept = dealt_record(SHARED.held[0].clone(), generation(), NOW);
    let mut record: Value = serde_json::from_slice(&kept).expect("JSON");
    let encode = |bytes: &[u8]| BASE64.encode(bytes);
    let part = json!({"note": "note", "body": encode(&[3; 2 * SCALAR_BYTES])});
    record["signed"] = json!([record["held"]]);
    record["running"] = json!({
        "generation": 1,
        "ceremony": encode(&Hash([1; 32]).0),
        "seed": encode(&[2; 32]),
        "commitments": {"2": part},
        "echoed": true,
        "shares": {"3": part},
        "failed": {"code": "CEREMONY_PART_WRONG", "sentence": "it is wrong", "culprit": "brand", "at_ms": NOW.unix_ms()},
    });
    serde_json::to_vec(&record).expect("JSON")
}
