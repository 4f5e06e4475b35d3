//! Between the messages of key holders and the words of the service.

use bytes::Bytes;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::proto::{
    EvaluateRequest, EvaluateResponse, GetCeremonyRequest, GetCeremonyResponse, RepairShareRequest, RepairShareResponse,
    SignedPart,
};
use crate::domain::{FieldError, HolderIndex, KeyClass, Timestamp};
use crate::feed::{Hash, required_word};
use crate::pseudonym::toprf::{ELEMENT_BYTES, Evaluation, PROOF_BYTES};
use crate::service::{
    CeremonyAnswer, CeremonyQuery, CeremonyRefusal, EvaluationAnswer, EvaluationRequest, HolderError, HolderRefusal,
    RepairAnswer, RepairQuery, Signed,
};

/// In the metadata of an ErrorInfo: when a budget renews, in milliseconds of the Unix epoch.
const RENEWS_AT: &str = "renews_at_ms";

pub(super) fn request(message: EvaluateRequest) -> Result<EvaluationRequest, FieldError> {
    let EvaluateRequest { request_id, key, key_class, generation, quorum, blinded } = message;
    let place = |place: u32| {
        let place = u16::try_from(place).ok().and_then(HolderIndex::new);
        place.ok_or_else(|| FieldError::new("QUORUM_INVALID", "quorum", "places are 1 to 65535"))
    };
    Ok(EvaluationRequest {
        request: fixed(&request_id, "request_id", "REQUEST_ID_INVALID", "give 16 random bytes")?,
        key: key.parse()?,
        class: required_word(key_class, KeyClass::from_number, "KEY_CLASS_UNKNOWN", "key_class")?,
        generation,
        quorum: quorum.into_iter().map(place).collect::<Result<_, _>>()?,
        blinded: elements(&blinded, "blinded")?,
    })
}

pub(super) fn request_to_wire(request: &EvaluationRequest) -> EvaluateRequest {
    EvaluateRequest {
        request_id: Bytes::copy_from_slice(&request.request),
        key: request.key.to_string(),
        key_class: request.class.number(),
        generation: request.generation,
        quorum: request.quorum.iter().map(|place| place.get().into()).collect(),
        blinded: Bytes::copy_from_slice(request.blinded.as_flattened()),
    }
}

pub(super) fn answer(message: &EvaluateResponse) -> Result<EvaluationAnswer, FieldError> {
    let EvaluateResponse { evaluated, proof, receipt } = message;
    let proof: [u8; PROOF_BYTES] = fixed(proof, "proof", "PROOF_WRONG", "a proof has 64 bytes")?;
    let evaluation = Evaluation { elements: elements(evaluated, "evaluated")?, proof };
    Ok(EvaluationAnswer { evaluation, receipt: receipt.clone() })
}

pub(super) fn answer_to_wire(answer: EvaluationAnswer) -> EvaluateResponse {
    let EvaluationAnswer { evaluation: Evaluation { elements, proof }, receipt } = answer;
    EvaluateResponse {
        evaluated: Bytes::copy_from_slice(elements.as_flattened()),
        proof: Bytes::copy_from_slice(&proof),
        receipt,
    }
}

fn fixed<const N: usize>(
    bytes: &[u8],
    field: &'static str,
    code: &'static str,
    message: &'static str,
) -> Result<[u8; N], FieldError> {
    bytes.try_into().map_err(|_| FieldError::new(code, field, message))
}

fn elements(bytes: &[u8], field: &'static str) -> Result<Vec<[u8; ELEMENT_BYTES]>, FieldError> {
    let (elements, rest) = bytes.as_chunks();
    if rest.is_empty() {
        return Ok(elements.to_vec());
    }
    Err(FieldError::new("ELEMENT_COUNT", field, "give elements of 32 bytes, one after the other"))
}

fn part(part: SignedPart) -> Signed {
    Signed { note: part.note, body: Zeroizing::new(part.body.into()) }
}

fn part_to_wire(part: &Signed) -> SignedPart {
    SignedPart { note: part.note.clone(), body: Bytes::copy_from_slice(&part.body) }
}

pub(super) fn ceremony_query(message: &GetCeremonyRequest) -> Result<CeremonyQuery, FieldError> {
    let ceremony = fixed(&message.ceremony, "ceremony", "CEREMONY_INVALID", "give the 32 bytes of a digest")?;
    Ok(CeremonyQuery { key: message.key.parse()?, ceremony: Hash(ceremony) })
}

pub(super) fn ceremony_answer(message: GetCeremonyResponse) -> CeremonyAnswer {
    let GetCeremonyResponse { generation, commitments, echo, shares, result } = message;
    CeremonyAnswer {
        generation,
        commitments: commitments.map(part),
        echo: echo.map(part),
        shares: shares.map(part),
        result: Some(result).filter(|note| !note.is_empty()),
    }
}

pub(super) fn ceremony_answer_to_wire(answer: CeremonyAnswer) -> GetCeremonyResponse {
    let CeremonyAnswer { generation, commitments, echo, shares, result } = answer;
    GetCeremonyResponse {
        generation,
        commitments: commitments.as_ref().map(part_to_wire),
        echo: echo.as_ref().map(part_to_wire),
        shares: shares.as_ref().map(part_to_wire),
        result: result.unwrap_or_default(),
    }
}

pub(super) fn repair(message: RepairShareRequest) -> Result<RepairQuery, FieldError> {
    let RepairShareRequest { member, wanted, note } = message;
    Ok(RepairQuery { member: member.parse()?, wanted, note })
}

pub(super) fn repair_to_wire(query: &RepairQuery) -> RepairShareRequest {
    let RepairQuery { member, wanted, note } = query.clone();
    RepairShareRequest { member: member.to_string(), wanted, note }
}

pub(super) fn repair_answer(message: RepairShareResponse) -> RepairAnswer {
    let RepairShareResponse { splits, scalars } = message;
    RepairAnswer { splits: splits.into_iter().map(part).collect(), scalars: Zeroizing::new(scalars.into()) }
}

pub(super) fn repair_answer_to_wire(answer: &RepairAnswer) -> RepairShareResponse {
    let splits = answer.splits.iter().map(part_to_wire).collect();
    RepairShareResponse { splits, scalars: Bytes::copy_from_slice(&answer.scalars) }
}

impl From<CeremonyRefusal> for Fault {
    fn from(refusal: CeremonyRefusal) -> Self {
        let grpc = match &refusal {
            CeremonyRefusal::NotAHolder(_) | CeremonyRefusal::KeyUnknown(_) | CeremonyRefusal::ShareMissing(_) => {
                Code::FailedPrecondition
            }
            CeremonyRefusal::RepairInvalid => Code::InvalidArgument,
            CeremonyRefusal::RepairFailed(_) => Code::Aborted,
            CeremonyRefusal::Vault(_) => Code::Unavailable,
            CeremonyRefusal::Ceremony(_) | CeremonyRefusal::Panicked(_) => Code::Internal,
        };
        Self::new(grpc, refusal.code(), refusal.to_string())
    }
}

impl From<HolderRefusal> for Fault {
    fn from(refusal: HolderRefusal) -> Self {
        let grpc = match &refusal {
            HolderRefusal::NotAMember => Code::PermissionDenied,
            HolderRefusal::KeyUnknown(_)
            | HolderRefusal::NotAHolder(_)
            | HolderRefusal::GenerationOther { .. }
            | HolderRefusal::ShareMissing(_) => Code::FailedPrecondition,
            HolderRefusal::Invalid(_) | HolderRefusal::RequestReused => Code::InvalidArgument,
            HolderRefusal::OverBudget { .. } => Code::ResourceExhausted,
            HolderRefusal::Store(_) | HolderRefusal::Vault(_) => Code::Unavailable,
            HolderRefusal::Panicked(_) => Code::Internal,
        };
        let renews = match &refusal {
            HolderRefusal::OverBudget { renews_at, .. } => Some((RENEWS_AT, renews_at.unix_ms().to_string())),
            _ => None,
        };
        let fault = Self::new(grpc, refusal.code(), refusal.to_string());
        renews.into_iter().fold(fault, |fault, (name, value)| fault.with(name, value))
    }
}

/// Whether no holder said so: the connection failed.
pub(super) fn is_of_transport(status: &Status) -> bool {
    status.get_details_error_info().is_none()
}

/// What a holder's refusal means to who asked.
pub(super) fn refusal(status: &Status) -> HolderError {
    let info = status.get_details_error_info();
    let renews = info.as_ref().and_then(|info| info.metadata.get(RENEWS_AT)?.parse().ok());
    match (status.code(), renews) {
        (Code::ResourceExhausted, Some(renews)) => HolderError::OverBudget { renews_at: Timestamp::from_unix_ms(renews) },
        _ => {
            let code = info.map_or_else(|| "HOLDER_UNREACHABLE".to_owned(), |info| info.reason);
            HolderError::Failed { code, detail: status.message().to_owned() }
        }
    }
}
