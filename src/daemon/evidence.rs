use std::fs;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::alliance::folder::create_private_folder;
use crate::service::{EvidenceShelf, HolderEvidence};

/// Pieces that are kept: enough to tell a fault from malice, and too few to fill a disk with 256 KiB each.
const MAX_PIECES: usize = 64;

/// A folder with a JSON file for each wrong answer of a key holder. Nothing in it is secret, and no identifier can be told from it: what
/// was asked is blinded.
pub struct EvidenceFolder {
    folder: PathBuf,
}

/// What a file says. With the holder's feed key anybody can verify the receipt under both digests, and that the proof does not hold
/// (RFC 9497, section 2.2.2, mode VOPRF) for the verifying share times its Lagrange coefficient in the quorum.
#[derive(Serialize)]
struct Piece {
    holder: String,
    place: u16,
    at: String,
    /// Why it does not verify.
    code: &'static str,
    key: String,
    class: &'static str,
    generation: u32,
    quorum: Vec<u16>,
    /// In base64, as what follows.
    verifying_share: String,
    blinded: Vec<String>,
    evaluated: Vec<String>,
    proof: String,
    /// Signed note of the holder.
    receipt: String,
}

impl Piece {
    fn of(evidence: &HolderEvidence) -> Self {
        let HolderEvidence { holder, place, request, answer, verifying_share, code, at } = evidence;
        let encode = |elements: &[[u8; 32]]| elements.iter().map(|element| BASE64.encode(element)).collect();
        Self {
            holder: holder.to_string(),
            place: place.get(),
            at: at.to_string(),
            code,
            key: request.key.to_string(),
            class: request.class.as_str(),
            generation: request.generation,
            quorum: request.quorum.iter().map(|place| place.get()).collect(),
            verifying_share: BASE64.encode(verifying_share),
            blinded: encode(&request.blinded),
            evaluated: encode(&answer.evaluation.elements),
            proof: BASE64.encode(answer.evaluation.proof),
            receipt: String::from_utf8_lossy(&answer.receipt).into_owned(),
        }
    }
}

impl EvidenceFolder {
    /// In this folder, which is made when something is kept.
    #[must_use]
    pub const fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn write(&self, evidence: &HolderEvidence) -> io::Result<Option<PathBuf>> {
        create_private_folder(&self.folder).map_err(io::Error::other)?;
        if fs::read_dir(&self.folder)?.count() >= MAX_PIECES {
            return Ok(None);
        }
        let name: String = evidence.request.request.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{}-{name}.json", evidence.holder));
        let piece = serde_json::to_vec_pretty(&Piece::of(evidence)).map_err(io::Error::other)?;
        fs::write(&path, piece)?;
        Ok(Some(path))
    }
}

impl EvidenceShelf for EvidenceFolder {
    fn keep(&self, evidence: &HolderEvidence) {
        let holder = &evidence.holder;
        match self.write(evidence) {
            Ok(Some(path)) => {
                tracing::error!(%holder, code = evidence.code, path = %path.display(), "a key holder gave a wrong answer, which is kept");
            }
            Ok(None) => {
                tracing::error!(%holder, code = evidence.code, most = MAX_PIECES, "a key holder gave another wrong answer; no more are kept");
            }
            Err(error) => {
                tracing::error!(%holder, code = evidence.code, %error, "a key holder's wrong answer could not be kept")
            }
        }
    }
}
