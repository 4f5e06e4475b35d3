use std::fs;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::alliance::folder::create_private_folder;
use crate::domain::{HolderIndex, KeyClass, KeyId, MemberId, Timestamp};
use crate::pseudonym::toprf::{ELEMENT_BYTES, Evaluation, ToprfError};
use crate::service::{EvaluationAnswer, EvaluationRequest, EvidenceShelf, HolderEvidence};

/// Pieces that are kept: enough to tell a fault from malice, and too few to fill a disk with 256 KiB each.
const MAX_PIECES: usize = 64;
/// The layout of a file. A newer one is refused.
const FORMAT: &str = "countermark-evidence/1";

/// A folder with a JSON file for each wrong answer of a key holder. Nothing in it is secret, and no identifier can be told from it: what
/// was asked is blinded.
pub struct EvidenceFolder {
    folder: PathBuf,
}

/// What a file says. Its fields are part of the interface; what is not text stands in it in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    format: String,
    holder: MemberId,
    /// Who asked.
    member: MemberId,
    at_ms: i64,
    /// Why the answer does not verify, as who asked saw it.
    code: String,
    key: KeyId,
    class: KeyClass,
    generation: u32,
    quorum: Vec<HolderIndex>,
    request: String,
    blinded: Vec<String>,
    evaluated: Vec<String>,
    proof: String,
    /// Signed note of the holder.
    receipt: String,
    /// Note of all holders on the shares; null where the roster speaks of them.
    sharing: Option<String>,
    /// The roster of that time, as signed note.
    roster: String,
}

/// Why a file is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFileError {
    /// No JSON of this layout.
    #[error("the file is no evidence: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A part of it is not what it should be.
    #[error("the file is no evidence: {0} is no base64 of the right length")]
    Part(&'static str),
    /// Another layout.
    #[error("the file is in the format {0}, and this version reads {FORMAT}")]
    Format(String),
}

impl EvidenceFileError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Part(_) => "EVIDENCE_MALFORMED",
            Self::Format(_) => "EVIDENCE_FORMAT",
        }
    }
}

fn text(note: &Bytes) -> String {
    String::from_utf8_lossy(note).into_owned()
}

fn array<const BYTES: usize>(part: &'static str, text: &str) -> Result<[u8; BYTES], EvidenceFileError> {
    BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(EvidenceFileError::Part(part))
}

fn elements(part: &'static str, texts: &[String]) -> Result<Vec<[u8; ELEMENT_BYTES]>, EvidenceFileError> {
    texts.iter().map(|text| array(part, text)).collect()
}

impl Piece {
    fn of(evidence: &HolderEvidence, code: &str) -> Self {
        let HolderEvidence { holder, member, request, answer, sharing, roster, at } = evidence;
        let encode = |elements: &[[u8; ELEMENT_BYTES]]| elements.iter().map(|element| BASE64.encode(element)).collect();
        Self {
            format: FORMAT.to_owned(),
            holder: holder.clone(),
            member: member.clone(),
            at_ms: at.unix_ms(),
            code: code.to_owned(),
            key: request.key.clone(),
            class: request.class,
            generation: request.generation,
            quorum: request.quorum.clone(),
            request: BASE64.encode(request.request),
            blinded: encode(&request.blinded),
            evaluated: encode(&answer.evaluation.elements),
            proof: BASE64.encode(answer.evaluation.proof),
            receipt: text(&answer.receipt),
            sharing: sharing.as_ref().map(text),
            roster: text(roster),
        }
    }

    fn read(self) -> Result<HolderEvidence, EvidenceFileError> {
        if self.format != FORMAT {
            return Err(EvidenceFileError::Format(self.format));
        }
        let evaluation = Evaluation { elements: elements("evaluated", &self.evaluated)?, proof: array("proof", &self.proof)? };
        let request = EvaluationRequest {
            request: array("request", &self.request)?,
            key: self.key,
            class: self.class,
            generation: self.generation,
            quorum: self.quorum,
            blinded: elements("blinded", &self.blinded)?,
        };
        Ok(HolderEvidence {
            holder: self.holder,
            member: self.member,
            request,
            answer: EvaluationAnswer { evaluation, receipt: self.receipt.into() },
            sharing: self.sharing.map(Bytes::from),
            roster: self.roster.into(),
            at: Timestamp::from_unix_ms(self.at_ms),
        })
    }
}

/// What a file of an [`EvidenceFolder`] says; nothing of it is verified.
///
/// # Errors
/// [`EvidenceFileError`].
pub fn read_evidence(text: &str) -> Result<HolderEvidence, EvidenceFileError> {
    serde_json::from_str::<Piece>(text)?.read()
}

impl EvidenceFolder {
    /// In this folder, which is made when something is kept.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn write(&self, evidence: &HolderEvidence, code: &str) -> io::Result<Option<PathBuf>> {
        create_private_folder(&self.folder).map_err(io::Error::other)?;
        if fs::read_dir(&self.folder)?.count() >= MAX_PIECES {
            return Ok(None);
        }
        let name = hex::encode(evidence.request.request);
        let path = self.folder.join(format!("{}-{name}.json", evidence.holder));
        let piece = serde_json::to_vec_pretty(&Piece::of(evidence, code)).map_err(io::Error::other)?;
        fs::write(&path, piece)?;
        Ok(Some(path))
    }
}

impl EvidenceShelf for EvidenceFolder {
    fn keep(&self, evidence: &HolderEvidence, error: ToprfError) {
        let (holder, code) = (&evidence.holder, error.code());
        match self.write(evidence, code) {
            Ok(Some(path)) => {
                tracing::error!(%holder, code, path = %path.display(), "a key holder gave a wrong answer, which is kept");
            }
            Ok(None) => {
                tracing::error!(%holder, code, most = MAX_PIECES, "a key holder gave another wrong answer; no more are kept");
            }
            Err(error) => tracing::error!(%holder, code, %error, "a key holder's wrong answer could not be kept"),
        }
    }
}
