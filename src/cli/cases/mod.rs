//! What becomes of signals after they were stated: `signal`, `amend`, `erase`, `erasures`, `dispute`, `opinion`, `mark`, `unmark`,
//! `override`.

mod amend;
mod dispute;
mod erase;
mod marker;
mod opinion;
mod overrides;
mod signal;

pub(super) use amend::{AmendArguments, amend};
pub(super) use dispute::{DisputeCommand, dispute};
pub(super) use erase::{EraseArguments, ErasuresArguments, erase, erasures};
pub(super) use marker::{MarkArguments, UnmarkArguments, mark, unmark};
pub(super) use opinion::{OpinionArguments, opinion};
pub(super) use overrides::{Override, OverrideCommand, overrides};
pub(super) use signal::{SignalArguments, signal};

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;

use super::failure::Failure;
use super::words;
use crate::domain::{Audience, Sha256Digest, SignalRef};
use crate::feed::sha256;
use crate::rpc::proto::DisputeState;

/// What somebody handed in: it stays here, and its digest is told.
#[derive(Args)]
pub(super) struct DocumentArguments {
    /// A file that it rests on; its SHA-256 is told, the file stays here. May be repeated.
    #[arg(long = "document", value_name = "FILE")]
    documents: Vec<PathBuf>,
    /// The SHA-256 of a document, 64 hexadecimal digits. May be repeated.
    #[arg(long = "sha256", value_name = "HEX")]
    digests: Vec<Sha256Digest>,
}

impl DocumentArguments {
    fn digests(&self) -> Result<Vec<Bytes>, Failure> {
        let read = |path: &PathBuf| match std::fs::read(path) {
            Ok(content) => Ok(sha256(&[&content]).0.to_vec().into()),
            Err(error) => Err(Failure::new("DOCUMENT_UNREADABLE", format!("a document cannot be read: {}", error.kind()))
                .advise("give the path of a readable file, or its SHA-256 with --sha256")),
        };
        let given = self.digests.iter().map(|digest| Ok(digest.0.to_vec().into()));
        self.documents.iter().map(read).chain(given).collect()
    }
}

/// Which entry of this member's own is meant.
#[derive(Args)]
struct OwnEntry {
    /// The signal, as member/audience/sequence; with `erase` also a marker or a lead.
    #[arg(long, value_name = "SIGNAL", required_unless_present = "submission_id")]
    signal: Option<SignalRef>,
    /// The submission id that the signal was submitted under; takes --audience.
    #[arg(long, value_name = "ID", conflicts_with = "signal", requires = "audience")]
    submission_id: Option<String>,
    /// Audience of the submission: `all` or a group.
    #[arg(long, requires = "submission_id")]
    audience: Option<Audience>,
}

impl OwnEntry {
    /// The target and audience of a request, whose two kinds of target are given.
    fn target<T>(self, signal: fn(String) -> T, submission: fn(String) -> T) -> (Option<T>, String) {
        let target = self.signal.map(|name| signal(name.to_string())).or_else(|| self.submission_id.map(submission));
        (target, self.audience.map(|audience| audience.to_string()).unwrap_or_default())
    }
}

/// How a dispute stands, in a few words.
fn standing(dispute: &DisputeState) -> String {
    let day = |ms| words::instant(ms).unwrap_or_default();
    let ground = words::ground(dispute.ground);
    match (dispute.ended, dispute.outcome) {
        (false, _) => format!("open since {} ({ground}), lapses {}", day(dispute.opened_at_ms), day(dispute.due_ms)),
        (true, 0) => format!("lapsed in the seller's favour {} ({ground})", day(dispute.ended_at_ms)),
        (true, outcome) => format!("{} {} ({ground})", words::outcome(outcome), day(dispute.ended_at_ms)),
    }
}
