//! Decoders of files that commands read and that come from other parties: bundles of leads, audit logs, feeds, evidence. Where the
//! content is signed, it is signed after it was changed.

use std::fs;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countermark::cli::foreign::{audit_export, is_entry_line, is_verifier_key, lead_bundle};
use countermark::daemon::{EvidenceFolder, read_evidence};
use countermark::domain::{
    Actor, Amendment, AuditKind, AuditRecord, Change, Dispute, DisputeGround, Evidence, EvidenceKind, FeedId, IdentifierKind,
    Infringement, KeyClass, LeadId, Opinion, Pseudonym, PseudonymSet, Referral, ReferralStage, Retraction, RetractionReason,
    Seq, SignalContent, SignalRef, Stance, Statement, SubmissionTag,
};
use countermark::feed::{
    AuditHead, Body, Checkpoint, Entry, EntryBytes, Frontier, Hash, InclusionPath, SignedCheckpoint, decode, encode,
    encode_audit, leaf_hash, verifier_key, write_proof,
};
use countermark::pseudonym::toprf::ToprfError;
use countermark::service::{EvaluationAnswer, EvaluationRequest, EvidenceShelf as _, HolderEvidence};
use serde_json::{Value, json};

use super::{Decoder, Fixed, NOW, ROSTER, SHARED, alliance, feed, is_text, key, member, place, share};

pub(super) const DECODERS: &[Decoder] = &[
    (
        "a bundle of a lead",
        |data| is_text(data, |text| lead_bundle(text, &key().public()).is_ok()),
        || bundle(&entries()[..2], summary()),
    ),
    ("entries in a bundle of a lead", of_entries, || framed(&entries())),
    ("an export of an audit log", |data| audit_export(data, &ROSTER).is_ok(), || exported(&audit_lines()).expect("lines")),
    ("records in an export of an audit log", of_records, audit_lines),
    (
        "the verifier key of a feed",
        |data| is_text(data, is_verifier_key),
        || verifier_key(&feed().origin(&alliance()), &key().public()).into_bytes(),
    ),
    ("a line of entries", is_entry_line, || format!("hex:{}", hex::encode(entries()[0].as_slice())).into_bytes()),
    ("evidence against a key holder", of_evidence, evidence),
];

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

pub(super) fn decoded(bytes: &EntryBytes) -> Entry {
    decode(bytes).expect("an entry")
}

pub(super) fn is_signal(bytes: &EntryBytes) -> bool {
    matches!(decoded(bytes).body, Body::Signal { .. })
}

/// A signal, and the rest that is said of it.
pub(super) fn entries() -> Vec<EntryBytes> {
    static ENTRIES: LazyLock<Vec<EntryBytes>> = LazyLock::new(|| {
        let signal = || SignalRef { feed: feed(), seq: Seq::ZERO };
        let evidence = vec![Evidence::of(EvidenceKind::CourtJudgment)];
        let pseudonyms = vec![PseudonymSet { key: "k1".parse().expect("valid"), pseudonyms: vec![Pseudonym([7; 32])] }];
        let statement = Statement::of(Infringement::Other, evidence.clone());
        let content = SignalContent { kinds: vec![IdentifierKind::Phone], pseudonyms, statement };
        let referral = |stage: ReferralStage| Referral {
            lead: LeadId([1; 16]),
            stage,
            signals: if stage.names_signals() { vec![signal()] } else { vec![] },
            region: Some("CN".parse().expect("valid")),
            authority: Some("Police".into()),
            sentence: None,
            happened_on: None,
            goods_value: None,
        };
        let (ground, reference) = (DisputeGround::Licensed, countermark::domain::CaseTag([3; 16]));
        let bodies = [
            Body::Signal { tag: SubmissionTag([7; 16]), content },
            Body::Referral(referral(ReferralStage::Referred)),
            Body::Amendment(Amendment {
                signal: Seq::ZERO,
                change: Change { evidence: evidence.clone(), ..Change::default() },
            }),
            Body::Referral(referral(ReferralStage::Accepted)),
            Body::Dispute(Dispute { signals: vec![signal()], ground, digests: vec![], reference }),
            Body::Opinion(Opinion { signal: signal(), stance: Stance::Agree(evidence) }),
            Body::Retraction(Retraction { signal: Seq::ZERO, reason: RetractionReason::Settled }),
        ];
        let entry = |body| encode(&Entry { recorded_at: NOW, body }, [5; 16]).expect("an entry");
        bodies.map(entry).into()
    });
    ENTRIES.clone()
}

/// Each behind its length, as two bytes.
fn framed(entries: &[EntryBytes]) -> Vec<u8> {
    let length = |entry: &EntryBytes| u16::try_from(entry.as_slice().len()).expect("bounded").to_be_bytes();
    entries.iter().flat_map(|entry| [&length(entry), entry.as_slice()].concat()).collect()
}

/// The same back; what cannot be an entry is left out.
fn unframed(mut data: &[u8]) -> Vec<EntryBytes> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let (entry, rest) = rest.split_at(rest.len().min(u16::from_be_bytes(*length).into()));
        entries.extend(EntryBytes::from_peer(entry.to_vec().into()));
        data = rest;
    }
    entries
}

/// The feed in which an opinion stands; all else stands in the first one.
fn feed_of(entry: &EntryBytes) -> FeedId {
    let is_opinion = decode(entry).is_ok_and(|entry| matches!(entry.body, Body::Opinion(_)));
    if is_opinion { "brand/all".parse().expect("valid") } else { feed() }
}

/// A bundle with these entries, each signed by its member.
fn bundle(entries: &[EntryBytes], summary: Value) -> Vec<u8> {
    let feeds = [feed(), "brand/all".parse().expect("valid")];
    let proven = feeds.iter().flat_map(|feed| {
        let entries: Vec<&EntryBytes> = entries.iter().filter(|entry| feed_of(entry) == *feed).collect();
        let leaves: Vec<Hash> = entries.iter().map(|entry| entry.leaf_hash()).collect();
        let mut frontier = Frontier::empty();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        let checkpoint = Checkpoint { feed: feed.clone(), size: frontier.size(), root: frontier.root() };
        let signed = SignedCheckpoint::sign(checkpoint, &alliance(), &key());
        let proven = |(seq, entry): (u64, &EntryBytes)| {
            let path = InclusionPath::of(&Frontier::empty(), &leaves, Seq::new(seq)).expect("in it");
            let proof = write_proof(&path, signed.note());
            json!({"entry": format!("{feed}/{seq}"), "bytes": BASE64.encode(entry.as_slice()), "proof": proof})
        };
        (0..).zip(entries).map(proven).collect::<Vec<_>>()
    });
    let bundle = json!({
        "format": "countermark-lead/1",
        "lead": "acme/all/1",
        "made_by": "acme",
        "made_at": null,
        "cut": false,
        "entries": proven.collect::<Vec<_>>(),
        "roster": text(ROSTER.note()),
        "summary": summary,
    });
    serde_json::to_vec(&bundle).expect("JSON")
}

/// Whether the entries say what a lead comes to: only what they come to in words is missing in the bundle.
fn of_entries(data: &[u8]) -> bool {
    let bundle = bundle(&unframed(data), Value::Null);
    lead_bundle(text(&bundle).expect("JSON"), &key().public()) == Err("BUNDLE_SUMMARY_WRONG".into())
}

/// What the first two of [`entries`] come to in words.
fn summary() -> Value {
    let at = "2026-11-22T00:00:00Z";
    json!({
        "stage": "referred",
        "goods_value": null,
        "steps": [{
            "entry": "acme/all/1", "stage": "referred", "recorded_at": at, "happened_on": "", "region": "CN", "authority": "Police",
            "sentence": "",
        }],
        "members": [{"member": "acme", "name": "ACME", "kind": "brand", "state": "active"}],
        "signals": [{
            "signal": "acme/all/0", "member": "acme", "recorded_at": at, "kinds": ["phone"], "infringement": "other",
            "rights_holder": "", "brand": "", "actions": [], "platform": "", "seen_region": "", "hs_chapter": null,
            "evidence": [{"kind": "court_judgment", "grade": "conclusive", "sha256": []}],
            "nice_class": null, "gtin": "", "goods_value": null, "observed_on": "", "acted_on": "", "said_since": [],
        }],
        "missing": [],
    })
}

fn audit_records() -> [AuditRecord; 2] {
    let record = |kind, reference: &str| AuditRecord {
        at: NOW,
        actor: Actor { client: "shop-1".parse().expect("valid"), certificate: "0f".repeat(8) },
        kind,
        reference: reference.to_owned(),
        count: 2,
    };
    [record(AuditKind::Submission, "acme/all/17-18"), record(AuditKind::Check, "")]
}

pub(super) fn audit_record() -> Vec<u8> {
    encode_audit(&audit_records()[0])
}

/// Lines of an export but for the first.
fn audit_lines() -> Vec<u8> {
    let line = |(number, record): (u64, &AuditRecord)| {
        let AuditRecord { at, actor, kind, reference, count } = record;
        let line = json!({
            "record": number,
            "at": at.to_string(),
            "client": actor.client,
            "certificate": actor.certificate,
            "kind": kind.as_str(),
            "reference": reference,
            "count": count,
            "bytes": BASE64.encode(encode_audit(record)),
        });
        format!("{line}\n")
    };
    (0..).zip(&audit_records()).map(line).collect::<String>().into_bytes()
}

/// An export with these lines, whose records the member signed; `None` where there are none in them.
fn exported(lines: &[u8]) -> Option<Vec<u8>> {
    let mut frontier = Frontier::empty();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line: Value = serde_json::from_slice(line).ok()?;
        frontier.push(leaf_hash(&BASE64.decode(line["bytes"].as_str()?).ok()?));
    }
    let head = AuditHead { size: frontier.size(), root: frontier.root() }.sign(&alliance(), &member("acme"), &key());
    let first = json!({
        "format": "countermark-audit/1",
        "size": frontier.size().get(),
        "head": text(&head),
        "kept_from": 0,
        "kept_frontier": [],
    });
    Some([format!("{first}\n").as_bytes(), lines].concat())
}

fn of_records(data: &[u8]) -> bool {
    exported(data).is_some_and(|export| audit_export(&export, &ROSTER).is_ok())
}

/// A wrong answer of `acme`.
fn evidence() -> Vec<u8> {
    let request = EvaluationRequest {
        request: [9; 16],
        key: "k1".parse().expect("valid"),
        class: KeyClass::LowEntropy,
        generation: 0,
        quorum: vec![place(1), place(2)],
        blinded: SHARED.blinding.encoded().to_vec(),
    };
    let mut evaluation = share(0).evaluate(&SHARED.quorum, &request.blinded, &Fixed).expect("evaluated");
    evaluation.elements.swap(0, 1);
    let answer = EvaluationAnswer { evaluation, receipt: bytes::Bytes::new() };
    let (holder, asker) = (member("acme"), member("brand"));
    let evidence =
        HolderEvidence { holder, member: asker, request, answer, sharing: None, roster: ROSTER.note().clone(), at: NOW };
    let folder = tempfile::tempdir().expect("a folder");
    EvidenceFolder::at(folder.path().to_owned()).keep(&receipted(evidence), ToprfError::ProofWrong);
    let file = fs::read_dir(folder.path()).expect("a folder").next().expect("one").expect("readable");
    fs::read(file.path()).expect("readable")
}

/// The same with the holder's receipt.
fn receipted(evidence: HolderEvidence) -> HolderEvidence {
    let HolderEvidence { holder, member, request, answer, .. } = &evidence;
    let receipt = request.receipt(holder, member, share(0).verifying_share(), &answer.evaluation);
    let receipt = receipt.sign(&alliance(), &key());
    let answer = EvaluationAnswer { receipt, ..answer.clone() };
    HolderEvidence { answer, ..evidence }
}

/// Whether it blames somebody as it stands, and once the holder has signed it.
fn of_evidence(data: &[u8]) -> bool {
    let Some(evidence) = text(data).and_then(|text| read_evidence(text).ok()) else { return false };
    let blames = |evidence: &HolderEvidence| evidence.verify(ROSTER.roster()).is_ok();
    blames(&evidence) & blames(&receipted(evidence))
}
