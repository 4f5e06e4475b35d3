//! `key evidence`: that a key holder signed a wrong answer, without a node and without trust in whoever says so.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::alliance::{open_roster, read_secretariat_key};
use super::failure::{Failure, Outcome};
use super::output::{Printer, Show, facts};
use super::words;
use crate::alliance::folder::read_public;
use crate::daemon::read_evidence;
use crate::domain::Timestamp;
use crate::domain::limits::MAX_EVIDENCE_BYTES;
use crate::service::EvidenceError;

const EVIDENCE_HELP: &str = "\
FILE is one of data_dir/evidence. The holder's receipt, the roster and the proof in it are verified by the secretariat's key alone: have
that from the alliance by another way than the file. A proof that does not hold is a fault of the holder's machine at best. Nothing in the
file tells who was asked about.

JSON: {holder, asked_by, asked_at, alliance, roster_serial, key, class, generation, day, elements, code, reason}.";

#[derive(Args)]
#[command(after_help = EVIDENCE_HELP)]
pub(super) struct KeyEvidenceArguments {
    /// A file that a node kept of a wrong answer.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File with the secretariat's key in base64, such as roster.pub of a member's folder.
    #[arg(long, value_name = "FILE")]
    secretariat_key: PathBuf,
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        Self::of(error.code(), &error).advise("blame nobody by this file")
    }
}

pub(super) fn verify(arguments: &KeyEvidenceArguments, printer: &mut Printer) -> Result<Outcome, Failure> {
    let text = read_public(&arguments.file, MAX_EVIDENCE_BYTES)?;
    let key = read_secretariat_key(&arguments.secretariat_key)?;
    let evidence = read_evidence(&text)
        .map_err(|error| Failure::of(error.code(), &error).advise("give a file of data_dir/evidence as the node wrote it"))?;
    let signed = open_roster(String::from_utf8_lossy(&evidence.roster).into_owned(), &key)?;
    let (receipt, reason) = evidence.verify(signed.roster())?;
    printer.show(&Shown {
        holder: evidence.holder.to_string(),
        asked_by: evidence.member.to_string(),
        asked_at: words::instant(evidence.at.unix_ms()),
        alliance: signed.roster().alliance.to_string(),
        roster_serial: signed.roster().serial,
        key: receipt.key.to_string(),
        class: receipt.class.as_str(),
        generation: receipt.generation,
        day: Timestamp::from_unix_day(receipt.day).date().to_string(),
        elements: receipt.count,
        code: reason.code(),
        reason: reason.to_string(),
    })?;
    Ok(Outcome::Done)
}

/// What is shown. Its JSON fields are part of the interface.
#[derive(Serialize)]
struct Shown {
    holder: String,
    asked_by: String,
    /// By the clock of who asked, which nobody signed.
    asked_at: Option<String>,
    alliance: String,
    roster_serial: u64,
    key: String,
    class: &'static str,
    generation: u32,
    /// By the holder's clock, which it signed.
    day: String,
    elements: u32,
    code: &'static str,
    reason: String,
}

impl Show for Shown {
    fn table(&self) -> String {
        let Self { holder, asked_by, alliance, roster_serial, key, class, generation, day, elements, code, reason, .. } = self;
        let asked_at = self.asked_at.as_deref().unwrap_or_default();
        facts([
            ("holder", format!("{holder} of {alliance} signed a wrong answer")),
            ("reason", format!("{code}: {reason}")),
            ("signed for", format!("{elements} elements, {day}")),
            ("asked by", format!("{asked_by} at {asked_at}")),
            ("key", format!("{key}, class {class}, generation {generation}, roster {roster_serial}")),
        ])
    }
}
