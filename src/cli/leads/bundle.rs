//! A lead as a file for an authority: written by `leads export`, verified by `feed verify --bundle`.
//!
//! The file is JSON. `summary` says in words what the entries say; `entries` has each entry as its member signed it, with a proof of
//! inclusion under a checkpoint (C2SP tlog-proof); `roster` says whose keys they are. The verifier believes the secretariat's
//! key alone, which it is given by another way, and derives the summary anew. What is in the file is proven; that nothing was left
//! out of what was said of a signal since is not, for which an authority asks the members that the file names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tonic::Streaming;

use crate::alliance::folder::{Access, read_public, write_new};
use crate::cli::alliance::{open_roster, read_secretariat_key};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::{Printer, Show, facts};
use crate::cli::statement::{StatementView, Value};
use crate::cli::words;
use crate::domain::limits::{MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES};
use crate::domain::{Evidence, FeedId, FeedKey, Roster, Sentence, Sha256Digest, SignalRef, Stance};
use crate::feed::{Body, Entry, EntryBytes, Lead, LeadStep, decode, goods_value_to_wire, statement_to_wire, verify_proof};
use crate::rpc::proto::ExportLeadResponse;
use crate::rpc::proto::export_lead_response::Part;

/// The layout of the file. A newer one is refused.
const FORMAT: &str = "countermark-lead/1";

/// The file. Its fields are part of the interface.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    format: String,
    lead: String,
    /// Whose node made it, and when.
    made_by: String,
    made_at: Option<String>,
    /// There was more than fits.
    cut: bool,
    summary: Json,
    entries: Vec<BundleEntry>,
    /// The alliance's roster as signed note.
    roster: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleEntry {
    /// member/audience/sequence.
    entry: String,
    /// The bytes in base64.
    bytes: String,
    /// A C2SP tlog-proof.
    proof: String,
}

/// What the entries say in words.
#[derive(Serialize)]
struct Summary {
    stage: &'static str,
    goods_value: Option<Value>,
    steps: Vec<Step>,
    /// Whom to ask for the evidence.
    members: Vec<Contact>,
    signals: Vec<Signal>,
    /// Signals that the lead rests on and that are not in the file: they were erased, or left out.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Step {
    entry: String,
    stage: &'static str,
    recorded_at: String,
    happened_on: String,
    region: String,
    authority: String,
    sentence: &'static str,
}

#[derive(Serialize)]
struct Contact {
    member: String,
    name: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct Signal {
    signal: String,
    member: String,
    recorded_at: String,
    /// Kinds of identifiers that it names; the identifiers are with the member.
    kinds: Vec<&'static str>,
    #[serde(flatten)]
    statement: StatementView,
    said_since: Vec<Said>,
}

/// What was said of a signal after it was stated.
#[derive(Serialize)]
struct Said {
    entry: String,
    recorded_at: String,
    what: String,
    /// SHA-256 of what it rests on, lower-case hexadecimal.
    sha256: Vec<String>,
}

/// Entries by their names.
type Entries = BTreeMap<SignalRef, Entry>;

fn malformed(what: &str) -> Failure {
    Failure::new("BUNDLE_MALFORMED", format!("{what} of the bundle cannot be read"))
        .advise("give the file as `leads export` wrote it")
}

impl Summary {
    /// What `entries` say of the lead; a pure function, so that whoever has the entries finds the same.
    fn of(lead: &SignalRef, entries: &Entries, roster: &Roster) -> Result<Self, Failure> {
        let none = || malformed("the lead");
        let Some(Entry { body: Body::Referral(opening), .. }) = entries.get(lead) else { return Err(none()) };
        let step = |(at, entry): (&SignalRef, &Entry)| match &entry.body {
            Body::Referral(referral) if at.feed == lead.feed && referral.lead == opening.lead => {
                Some(LeadStep { at: at.clone(), recorded_at: entry.recorded_at, referral: referral.clone() })
            }
            _ => None,
        };
        let found =
            Lead::of(entries.iter().filter_map(step).collect()).filter(|found| found.name() == lead).ok_or_else(none)?;
        let signals: Vec<Signal> = found.signals().iter().filter_map(|signal| Signal::of(signal, entries)).collect();
        let names = found.signals().iter().map(ToString::to_string);
        let missing = names.filter(|name| signals.iter().all(|signal| signal.signal != *name)).collect();
        let members: BTreeSet<_> =
            found.signals().iter().map(|signal| &signal.feed.member).chain([&lead.feed.member]).collect();
        let contact = |member| {
            let listed = roster.member(member)?;
            Some(Contact { member: member.to_string(), name: listed.name.clone(), kind: listed.kind.as_str() })
        };
        Ok(Self {
            stage: found.stage().as_str(),
            goods_value: found.goods_value().map(|value| goods_value_to_wire(value).into()),
            steps: found.steps().map(Step::of).collect(),
            members: members.into_iter().filter_map(contact).collect(),
            signals,
            missing,
        })
    }

    fn json(&self) -> Result<Json, Failure> {
        serde_json::to_value(self).map_err(|error| Failure::of("OUTPUT_FAILED", &error))
    }
}

impl Step {
    fn of(step: &LeadStep) -> Self {
        let referral = &step.referral;
        Self {
            entry: step.at.to_string(),
            stage: referral.stage.as_str(),
            recorded_at: step.recorded_at.to_string(),
            happened_on: referral.happened_on.map(|day| day.to_string()).unwrap_or_default(),
            region: referral.region.as_ref().map(ToString::to_string).unwrap_or_default(),
            authority: referral.authority.clone().unwrap_or_default(),
            sentence: referral.sentence.map_or("", Sentence::as_str),
        }
    }
}

impl Signal {
    /// `None` where its content is not in the bundle: it was erased.
    fn of(name: &SignalRef, entries: &Entries) -> Option<Self> {
        let Entry { recorded_at, body: Body::Signal { content, .. } } = entries.get(name)? else { return None };
        Some(Self {
            signal: name.to_string(),
            member: name.feed.member.to_string(),
            recorded_at: recorded_at.to_string(),
            kinds: content.kinds.iter().map(|kind| kind.as_str()).collect(),
            statement: StatementView::of(statement_to_wire(&content.statement)),
            said_since: entries.iter().filter_map(|(at, entry)| Said::of(at, entry, name, entries)).collect(),
        })
    }
}

impl Said {
    fn of(at: &SignalRef, entry: &Entry, signal: &SignalRef, entries: &Entries) -> Option<Self> {
        let own = |seq| at.feed == signal.feed && seq == signal.seq;
        let digests = |evidence: &[Evidence]| evidence.iter().flat_map(|e| e.digests.clone()).collect();
        let (what, rests_on): (String, Vec<Sha256Digest>) = match &entry.body {
            Body::Retraction(retraction) if own(retraction.signal) => (format!("withdrawn: {}", retraction.reason), Vec::new()),
            Body::Amendment(amendment) if own(amendment.signal) => {
                let change = &amendment.change;
                let kinds = change.evidence.iter().map(|e| format!("{} ({})", e.kind, e.grade));
                let actions = change.actions.iter().map(ToString::to_string);
                let words = change.step.map(|step| step.to_string()).into_iter().chain(change.outcome.map(|o| o.to_string()));
                let goods = change.goods_value.as_ref().map(|_| "goods' value".to_owned());
                let acted = change.acted_on.map(|day| format!("acted {day}"));
                let said: Vec<String> = kinds.chain(actions).chain(words).chain(goods).chain(acted).collect();
                (format!("amended: {}", said.join(", ")), digests(&change.evidence))
            }
            Body::Dispute(dispute) if dispute.signals.contains(signal) => {
                (format!("disputed by the seller: {}", dispute.ground), dispute.digests.clone())
            }
            Body::Decision(decision) => {
                let disputed = entries
                    .get(&decision.dispute)
                    .is_some_and(|entry| matches!(&entry.body, Body::Dispute(dispute) if dispute.signals.contains(signal)));
                let concerned = decision.signals.is_empty() || decision.signals.iter().any(|seq| own(*seq));
                (disputed && concerned).then(|| (format!("dispute decided: {}", decision.outcome), Vec::new()))?
            }
            Body::Opinion(opinion) if opinion.signal == *signal => match &opinion.stance {
                Stance::Agree(evidence) => ("another member agrees".to_owned(), digests(evidence)),
                Stance::Disagree(ground) => (format!("another member disagrees: {ground}"), Vec::new()),
                Stance::None => ("another member has no opinion any more".to_owned(), Vec::new()),
            },
            _ => return None,
        };
        let sha256 = rests_on.iter().map(|digest| words::hex(&digest.0)).collect();
        Some(Self { entry: at.to_string(), recorded_at: entry.recorded_at.to_string(), what, sha256 })
    }
}

/// Writes what the node sends into a new file, where it holds.
pub(super) async fn write(mut parts: Streaming<ExportLeadResponse>, path: &Path) -> Result<Exported, Failure> {
    let (mut head, mut entries) = (None, Vec::new());
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Head(given)) => head = Some(given),
            Some(Part::Entry(entry)) => {
                let bytes = BASE64.encode(&entry.bytes);
                entries.push(BundleEntry { entry: entry.entry, bytes, proof: entry.proof });
            }
            None => {}
        }
    }
    let head = head.ok_or_else(|| malformed("the head"))?;
    let roster = String::from_utf8(head.roster.to_vec()).map_err(|_| malformed("the roster"))?;
    let key = head.secretariat_key.as_ref().try_into().map(FeedKey).map_err(|_| malformed("the secretariat's key"))?;
    // Nobody is to be given what does not hold.
    let signed = open_roster(roster.clone(), &key)?;
    let believed = believe(&entries, signed.roster())?;
    let count = entries.len();
    let bundle = Bundle {
        format: FORMAT.to_owned(),
        summary: Summary::of(&head.lead.parse()?, &believed, signed.roster())?.json()?,
        lead: head.lead,
        made_by: head.made_by,
        made_at: words::instant(head.made_at_ms),
        cut: head.cut,
        entries,
        roster,
    };
    let text = serde_json::to_string_pretty(&bundle).map_err(|error| Failure::of("OUTPUT_FAILED", &error))?;
    write_new(path, &text, Access::Private)?;
    Ok(Exported { lead: bundle.lead, file: path.display().to_string(), entries: count, cut: bundle.cut })
}

/// What was written. Its JSON fields are part of the interface.
#[derive(Serialize)]
pub(super) struct Exported {
    lead: String,
    file: String,
    entries: usize,
    /// There was more than fits.
    cut: bool,
}

impl Show for Exported {
    fn table(&self) -> String {
        let more = if self.cut { ", and there are more" } else { "" };
        facts([("lead", self.lead.clone()), ("file", self.file.clone()), ("entries", format!("{}{more}", self.entries))])
    }
}

/// Verifies the bundle at `path`: every entry is the one that its member signed, and the summary says what the entries say. Believes
/// the secretariat's key in the file at `key`.
pub(in crate::cli) fn verify_bundle(path: &Path, key: &Path, printer: &mut Printer) -> Result<Outcome, Failure> {
    let text = read_public(path, MAX_BUNDLE_BYTES as u64)?;
    printer.show(&verified(&text, &read_secretariat_key(key)?)?)?;
    Ok(Outcome::Done)
}

fn verified(text: &str, key: &FeedKey) -> Result<Verified, Failure> {
    let bundle: Bundle = serde_json::from_str(text).map_err(|error| malformed(&format!("a part ({error})")))?;
    if bundle.format != FORMAT {
        let failure = Failure::new("BUNDLE_FORMAT", format!("the bundle is in the format {}", bundle.format));
        return Err(failure.advise(format!("this version reads {FORMAT}")));
    }
    let signed = open_roster(bundle.roster, key)?;
    let roster = signed.roster();
    let entries = believe(&bundle.entries, roster)?;
    let lead: SignalRef = bundle.lead.parse()?;
    let summary = Summary::of(&lead, &entries, roster)?;
    if summary.json()? != bundle.summary {
        let failure = Failure::new("BUNDLE_SUMMARY_WRONG", "the summary does not say what the entries say");
        return Err(failure.advise("the file was changed, or made by another version: believe the entries alone"));
    }
    Ok(Verified {
        lead: bundle.lead,
        alliance: roster.alliance.to_string(),
        made_by: bundle.made_by,
        made_at: bundle.made_at,
        stage: summary.stage,
        members: summary.members.into_iter().map(|contact| contact.member).collect(),
        signals: summary.signals.len(),
        missing: summary.missing,
        entries_verified: bundle.entries.len(),
        cut: bundle.cut,
    })
}

/// The entries by their names, each as its member signed it by the roster. One that this version does not understand is left out.
fn believe(entries: &[BundleEntry], roster: &Roster) -> Result<Entries, Failure> {
    if entries.len() > MAX_BUNDLE_ENTRIES {
        return Err(malformed("the number of entries"));
    }
    let mut believed = Entries::new();
    for BundleEntry { entry: name, bytes, proof } in entries {
        let at: SignalRef = name.parse()?;
        let bytes = BASE64.decode(bytes).ok().and_then(|bytes| EntryBytes::from_peer(bytes.into()).ok());
        let bytes = bytes.ok_or_else(|| malformed("an entry"))?;
        let key_of = |feed: &FeedId| roster.feed_key(feed).filter(|_| *feed == at.feed);
        verify_proof(proof, bytes.leaf_hash(), at.seq, &roster.alliance, key_of).map_err(|error| {
            let failure = Failure::new(error.code(), format!("{name} cannot be believed: {error}"));
            failure.advise("ask whoever gave you the bundle for another one, and keep this")
        })?;
        if let Ok(read) = decode(&bytes) {
            believed.insert(at, read);
        }
    }
    Ok(believed)
}

/// What holds. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
struct Verified {
    lead: String,
    alliance: String,
    /// As the file says; nobody signed that.
    made_by: String,
    made_at: Option<String>,
    stage: &'static str,
    members: Vec<String>,
    signals: usize,
    missing: Vec<String>,
    entries_verified: usize,
    cut: bool,
}

impl Show for Verified {
    fn table(&self) -> String {
        let more = if self.cut { "; there were more, which are not in the file" } else { "" };
        let missing = match self.missing.as_slice() {
            [] => String::new(),
            missing => format!("; not in the file, erased or left out: {}", missing.join(", ")),
        };
        facts([
            ("lead", format!("{} of {}", self.lead, self.alliance)),
            (
                "made",
                format!("by {} at {}, as the file says", self.made_by, self.made_at.as_deref().unwrap_or("no known time")),
            ),
            ("stage", self.stage.to_owned()),
            ("members", self.members.join(", ")),
            ("signals", format!("{}{missing}", self.signals)),
            ("entries", format!("{}, each as its member signed it{more}", self.entries_verified)),
            ("summary", "says what the entries say".to_owned()),
        ])
    }
}
