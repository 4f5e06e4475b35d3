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
use crate::domain::{
    DisputeOutcome, Evidence, FeedId, FeedKey, Referral, Roster, Sentence, Sha256Digest, SignalRef, Stance, Timestamp,
};
use crate::feed::{
    Amended, Body, DisputeEnd, Disputed, Entry, EntryBytes, Lead, LeadStep, Life, Note, Opined, Told, decode,
    goods_value_to_wire, life, statement_to_wire, verify_proof,
};
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

#[derive(Debug, Serialize)]
struct Contact {
    member: String,
    name: String,
    kind: &'static str,
    /// expelled where the alliance has excluded it since: what it says counts no more.
    state: &'static str,
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

/// What was said of a signal after it was stated, and counts. What a dispute has come to hangs on times that the file does not show
/// (what else its members said, and when): told is who decided, and what holds where nobody did.
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
        let fits = |referral: &Referral, at: &SignalRef| {
            referral.signals.iter().all(|signal| signal.feed.audience == at.feed.audience)
        };
        let step = |(at, entry): (&SignalRef, &Entry)| match &entry.body {
            Body::Referral(referral) if at.feed == lead.feed && referral.lead == opening.lead && fits(referral, at) => {
                Some(LeadStep { at: at.clone(), recorded_at: entry.recorded_at, referral: referral.clone() })
            }
            _ => None,
        };
        let found =
            Lead::of(entries.iter().filter_map(step).collect()).filter(|found| found.name() == lead).ok_or_else(none)?;
        let notes = notes(entries);
        let signals: Vec<Signal> =
            found.signals().iter().filter_map(|signal| Signal::of(signal, entries, &notes, roster)).collect();
        let names = found.signals().iter().map(ToString::to_string);
        let missing = names.filter(|name| signals.iter().all(|signal| signal.signal != *name)).collect();
        let members: BTreeSet<_> =
            found.signals().iter().map(|signal| &signal.feed.member).chain([&lead.feed.member]).collect();
        let contact = |member| {
            let listed = roster.member(member)?;
            let (kind, state) = (listed.kind.as_str(), listed.state.as_str());
            Some(Contact { member: member.to_string(), name: listed.name.clone(), kind, state })
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

/// Before anything was said, so that the fold tells of no end by the lapse of time.
const BEFORE: Timestamp = Timestamp::from_unix_ms(0);

/// What is said of signals, for the fold of their lives.
fn notes(entries: &Entries) -> Vec<Note> {
    let note = |(at, entry): (&SignalRef, &Entry)| {
        let (at, recorded_at, body) = (at.clone(), entry.recorded_at, entry.body.clone());
        Note { at, recorded_at, since: recorded_at, body }
    };
    entries.iter().map(note).collect()
}

impl Signal {
    /// `None` where its content is not in the bundle: it was erased.
    fn of(name: &SignalRef, entries: &Entries, notes: &[Note], roster: &Roster) -> Option<Self> {
        let Entry { recorded_at, body: Body::Signal { content, .. } } = entries.get(name)? else { return None };
        let (recorded_at, statement) = (*recorded_at, &content.statement);
        let told = Told { signal: name, recorded_at, statement, gone: None, notes };
        let life = life(&told, roster, BEFORE);
        Some(Self {
            signal: name.to_string(),
            member: name.feed.member.to_string(),
            recorded_at: recorded_at.to_string(),
            kinds: content.kinds.iter().map(|kind| kind.as_str()).collect(),
            statement: StatementView::of(statement_to_wire(statement)),
            said_since: Said::of(&life, name, entries, roster),
        })
    }
}

impl Said {
    /// What counts of what was said of the signal, the earliest first.
    fn of(life: &Life, signal: &SignalRef, entries: &Entries, roster: &Roster) -> Vec<Self> {
        let amended = life.amendments.iter().map(|amended| Self::amended(amended, &signal.feed));
        let days = roster.policy.answers.resolve_days;
        let recorded = |disputed: &Disputed| entries.get(&disputed.dispute).map_or(BEFORE, |entry| entry.recorded_at);
        let disputed = life.disputes.iter().map(|disputed| Self::disputed(disputed, recorded(disputed), days));
        let withdrawn = Self::withdrawn(signal, entries);
        let mut said: Vec<Self> =
            withdrawn.into_iter().chain(amended).chain(disputed).chain(life.opinions.iter().map(Self::opined)).collect();
        said.sort_by(|a, b| a.recorded_at.cmp(&b.recorded_at));
        said
    }

    fn new(at: &SignalRef, recorded_at: Timestamp, what: String, digests: &[Sha256Digest]) -> Self {
        let sha256 = digests.iter().map(|digest| hex::encode(digest.0)).collect();
        Self { entry: at.to_string(), recorded_at: recorded_at.to_string(), what, sha256 }
    }

    fn withdrawn(signal: &SignalRef, entries: &Entries) -> Option<Self> {
        let retracts = |(at, entry): (&SignalRef, &Entry)| match &entry.body {
            Body::Retraction(retraction)
                if at.feed == signal.feed && retraction.signal == signal.seq && at.seq > signal.seq =>
            {
                Some(Self::new(at, entry.recorded_at, format!("withdrawn: {}", retraction.reason), &[]))
            }
            _ => None,
        };
        entries.iter().find_map(retracts)
    }

    fn amended(Amended { seq, at, change }: &Amended, feed: &FeedId) -> Self {
        let kinds = change.evidence.iter().map(|e| format!("{} ({})", e.kind, e.grade));
        let actions = change.actions.iter().map(ToString::to_string);
        let words = change.step.map(|step| step.to_string()).into_iter().chain(change.outcome.map(|o| o.to_string()));
        let goods = change.goods_value.as_ref().map(|_| "goods' value".to_owned());
        let acted = change.acted_on.map(|day| format!("acted {day}"));
        let said: Vec<String> = kinds.chain(actions).chain(words).chain(goods).chain(acted).collect();
        let name = SignalRef { feed: feed.clone(), seq: *seq };
        Self::new(&name, *at, format!("amended: {}", said.join(", ")), &digests(&change.evidence))
    }

    fn disputed(disputed: &Disputed, recorded_at: Timestamp, days: u16) -> Self {
        let undecided = format!("without a decision it lapses in the seller's favour after {days} days");
        let end = match &disputed.end {
            Some(DisputeEnd { outcome: Some(DisputeOutcome::TakenBack), at }) => {
                format!("said to be taken back {at}; {undecided}")
            }
            Some(DisputeEnd { outcome: Some(outcome), at }) => format!("decided {at}: {outcome}"),
            Some(DisputeEnd { outcome: None, .. }) | None => undecided,
        };
        let what = format!("disputed by the seller: {}; {end}", disputed.ground);
        Self::new(&disputed.dispute, recorded_at, what, &disputed.digests)
    }

    fn opined(opined: &Opined) -> Self {
        let (what, rests_on) = match &opined.stance {
            Stance::Agree(evidence) => ("another member agrees".to_owned(), digests(evidence)),
            Stance::Disagree(ground) => (format!("another member disagrees: {ground}"), Vec::new()),
            Stance::None => ("another member has no opinion any more".to_owned(), Vec::new()),
        };
        Self::new(&opined.opinion, opined.at, what, &rests_on)
    }
}

fn digests(evidence: &[Evidence]) -> Vec<Sha256Digest> {
    evidence.iter().flat_map(|evidence| evidence.digests.clone()).collect()
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

/// The same of the text of a file, by the key itself.
pub(in crate::cli) fn verified(text: &str, key: &FeedKey) -> Result<Verified, Failure> {
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
        roster_serial: roster.serial,
        members: summary.members,
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
    let (mut believed, mut names) = (Entries::new(), BTreeSet::new());
    for BundleEntry { entry: name, bytes, proof } in entries {
        let at: SignalRef = name.parse()?;
        let bytes = BASE64.decode(bytes).ok().and_then(|bytes| EntryBytes::from_peer(bytes.into()).ok());
        let bytes = bytes.ok_or_else(|| malformed("an entry"))?;
        let key_of = |feed: &FeedId| roster.feed_key(feed).filter(|_| *feed == at.feed);
        verify_proof(proof, bytes.leaf_hash(), at.seq, &roster.alliance, key_of).map_err(|error| {
            let failure = Failure::new(error.code(), format!("{name} cannot be believed: {error}"));
            failure.advise("ask whoever gave you the bundle for another one, and keep this")
        })?;
        // Two entries under one name, both signed, are no misprint: the member's feed is forked.
        if !names.insert(at.clone()) {
            let failure = Failure::new("BUNDLE_TWICE", format!("{name} is in the bundle twice"));
            return Err(failure.advise("keep the file: two entries under one name, if both were signed, show a forked feed"));
        }
        if let Ok(read) = decode(&bytes) {
            believed.insert(at, read);
        }
    }
    Ok(believed)
}

/// What holds. Its JSON fields are part of the interface.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Verified {
    lead: String,
    alliance: String,
    /// As the file says; nobody signed that.
    made_by: String,
    made_at: Option<String>,
    stage: &'static str,
    /// Of the roster that the file is verified by; the alliance may have a newer one.
    roster_serial: u64,
    members: Vec<Contact>,
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
        let member = |Contact { member, name, state, .. }: &Contact| match *state {
            "active" => format!("{member} ({name})"),
            state => format!("{member} ({name}, {state})"),
        };
        let members: Vec<String> = self.members.iter().map(member).collect();
        facts([
            ("lead", format!("{} of {}", self.lead, self.alliance)),
            (
                "made",
                format!("by {} at {}, as the file says", self.made_by, self.made_at.as_deref().unwrap_or("no known time")),
            ),
            ("stage", self.stage.to_owned()),
            ("roster", format!("serial {}; ask whether there is a newer one", self.roster_serial)),
            ("members", members.join(", ")),
            ("signals", format!("{}{missing}", self.signals)),
            ("entries", format!("{}, each as its member signed it{more}", self.entries_verified)),
            ("summary", "says what the entries say".to_owned()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        CaseTag, Decision, Dispute, DisputeGround, LeadId, Opinion, ReferralStage, Rekeying, Seq, SignalContent, SubmissionTag,
    };
    use crate::feed::fixtures::{bare_statement, roster};

    fn referral(stage: ReferralStage, signals: &[&str]) -> Body {
        let signals = signals.iter().map(|signal| named(signal)).collect();
        let (lead, region, goods_value) = (LeadId([1; 16]), None, None);
        Body::Referral(Referral {
            lead,
            stage,
            signals,
            region,
            authority: None,
            sentence: None,
            happened_on: None,
            goods_value,
        })
    }

    fn named(name: &str) -> SignalRef {
        name.parse().expect("valid")
    }

    fn disagrees(signal: &str) -> Body {
        Body::Opinion(Opinion { signal: named(signal), stance: Stance::Disagree(DisputeGround::Licensed) })
    }

    #[test]
    fn what_no_node_counts_is_not_told_to_an_authority() {
        let content = SignalContent { statement: bare_statement(), kinds: vec![], pseudonyms: vec![] };
        let signal = Body::Signal { content, tag: SubmissionTag([0; 16]) };
        let reference = CaseTag([7; 16]);
        let ground = DisputeGround::GenuineGoods;
        let dispute = Body::Dispute(Dispute { signals: vec![named("acme/all/0")], ground, digests: vec![], reference });
        let dispute_of = named("brand/all/0");
        let taken_back =
            Body::Decision(Decision { dispute: dispute_of, outcome: DisputeOutcome::TakenBack, signals: vec![], reference });
        let said = [
            ("acme/all/0", signal),
            ("acme/all/1", referral(ReferralStage::Identified, &["acme/all/0"])),
            ("acme/all/2", disagrees("acme/all/0")),
            ("acme/all/3", referral(ReferralStage::Referred, &["acme/makers/0"])),
            ("brand/all/0", dispute),
            ("brand/makers/0", disagrees("acme/all/0")),
            ("chips/all/0", taken_back),
            ("chips/all/1", disagrees("acme/all/0")),
            ("gone/all/0", disagrees("acme/all/0")),
            ("chips/all/2", disagrees("brand/all/7")),
            ("acme/all/4", Body::Rekeying(Rekeying { signal: Seq::ZERO, tag: None, pseudonyms: vec![] })),
        ];
        let recorded_at = Timestamp::from_unix_ms(1_790_000_000_000);
        let mut entries: Entries = said.into_iter().map(|(at, body)| (named(at), Entry { recorded_at, body })).collect();
        let far = Timestamp::from_unix_ms(4_000_000_000_000);
        entries.entry(named("chips/all/2")).and_modify(|entry| entry.recorded_at = far);
        let summary = Summary::of(&named("acme/all/1"), &entries, &roster()).expect("a lead");
        assert_eq!((summary.stage, summary.steps.len()), ("identified", 1), "a lead is of one audience");
        let said: Vec<_> = summary.signals[0].said_since.iter().map(|said| (said.entry.as_str(), said.what.as_str())).collect();
        let disputed =
            "disputed by the seller: genuine_goods; without a decision it lapses in the seller's favour after 15 days";
        assert_eq!((said.len(), said[0]), (2, ("brand/all/0", disputed)), "whatever dates are stated beside it");
        assert_eq!(said[1], ("chips/all/1", "another member disagrees: licensed"));
    }
}
