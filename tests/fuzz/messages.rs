//! Messages of clients, of other members' nodes, and of nodes that were asked.

use bytes::Bytes;
use countermark::rpc::{MESSAGES, proto};
use prost::Message;

use super::Decoder;

pub(super) const DECODERS: &[Decoder] = &[
    (
        "a submission",
        |data| _ = is_taken("SubmitSignalRequest", data),
        || {
            let evidence = proto::Evidence { kind: proto::EvidenceKind::TestPurchase.into(), ..Default::default() };
            let statement = proto::Statement {
                infringement: proto::Infringement::Other.into(),
                evidence: vec![evidence],
                brand: "Lux".into(),
                ..Default::default()
            };
            let submission = proto::Submission {
                submission_id: "case-1".into(),
                audience: "all".into(),
                identifiers: identifiers(),
                statement: Some(statement),
            };
            taken("SubmitSignalRequest", &proto::SubmitSignalRequest { submission: Some(submission) })
        },
    ),
    (
        "a question about a seller",
        |data| _ = is_taken("CheckSellerRequest", data),
        || taken("CheckSellerRequest", &proto::CheckSellerRequest { identifiers: identifiers(), watch: None }),
    ),
    (
        "an override",
        |data| _ = is_taken("SetOverrideRequest", data),
        || {
            let verdict = proto::Verdict::KnownGood.into();
            let until_ms = 1_800_000_000_000;
            let message = proto::SetOverrideRequest { verdict, identifiers: identifiers(), until_ms, note: "ours".into() };
            taken("SetOverrideRequest", &message)
        },
    ),
    (
        "thresholds of goods",
        |data| _ = is_taken("FindLeadsRequest", data),
        || {
            let threshold = proto::Threshold {
                name: "felony".into(),
                region: "CN".into(),
                infringements: vec![proto::Infringement::Other.into()],
                state: proto::GoodsState::Sold.into(),
                marks: 2,
                currency: "CNY".into(),
                amount: 50_000,
            };
            taken("FindLeadsRequest", &proto::FindLeadsRequest { thresholds: vec![threshold], ..Default::default() })
        },
    ),
    (
        "what became of a lead",
        |data| _ = is_taken("RecordLeadRequest", data),
        || {
            let message = proto::RecordLeadRequest {
                lead: "acme/all/7".into(),
                stage: proto::ReferralStage::Referred.into(),
                region: "CN".into(),
                authority: "Police".into(),
                sentence: 0,
                happened_on: "2026-11-29".into(),
            };
            taken("RecordLeadRequest", &message)
        },
    ),
    (
        "versions",
        |data| _ = is_taken("ExchangeVersionsRequest", data),
        || {
            let capabilities = vec!["erasure".into()];
            let version = proto::NodeVersion { program: "1.2.3".into(), oldest_protocol: 1, newest_protocol: 3, capabilities };
            taken("ExchangeVersionsRequest", &proto::ExchangeVersionsRequest { version: Some(version) })
        },
    ),
    (
        "what a follower says",
        |data| _ = is_taken("FollowFeedsRequest", data),
        || {
            let follow = proto::Follow { feed: feed(), size: 17 };
            let request = Some(proto::follow_feeds_request::Request::Follow(follow));
            taken("FollowFeedsRequest", &proto::FollowFeedsRequest { request })
        },
    ),
    (
        "what a follower is told",
        |data| _ = is_taken("FollowFeedsResponse", data),
        || {
            let batch = proto::FeedBatch {
                feed: feed(),
                first_seq: 17,
                entries: vec![vec![8, 1].into()],
                checkpoint: vec![b'n'; 40].into(),
                erased: vec![hash()],
            };
            let response = Some(proto::follow_feeds_response::Response::Batch(batch));
            taken("FollowFeedsResponse", &proto::FollowFeedsResponse { response })
        },
    ),
    (
        "heads and forks",
        |data| _ = is_taken("ListCheckpointsResponse", data),
        || {
            let note: Bytes = vec![b'n'; 40].into();
            let fork = proto::ForkProof {
                first_checkpoint: note.clone(),
                second_checkpoint: note.clone(),
                frontier: vec![hash()],
                leaf_hashes: vec![hash()],
            };
            taken("ListCheckpointsResponse", &proto::ListCheckpointsResponse { checkpoints: vec![note], forks: vec![fork] })
        },
    ),
    (
        "a frontier",
        |data| _ = is_taken("GetFrontierResponse", data),
        || taken("GetFrontierResponse", &proto::GetFrontierResponse { hashes: vec![hash(), hash()] }),
    ),
    (
        "content that was missing",
        |data| _ = is_taken("GetEntriesResponse", data),
        || {
            let entry = proto::EntryContent { seq: 3, entry: vec![8, 1].into() };
            taken("GetEntriesResponse", &proto::GetEntriesResponse { entries: vec![entry] })
        },
    ),
    (
        "elements to be evaluated",
        |data| _ = is_taken("EvaluateRequest", data),
        || {
            let message = proto::EvaluateRequest {
                request_id: vec![7; 16].into(),
                key: "k1".into(),
                key_class: proto::KeyClass::LowEntropy.into(),
                generation: 1,
                quorum: vec![1, 2],
                blinded: vec![4; 64].into(),
            };
            taken("EvaluateRequest", &message)
        },
    ),
    (
        "evaluated elements in a message",
        |data| _ = is_taken("EvaluateResponse", data),
        || {
            let (evaluated, proof) = (vec![4; 64].into(), vec![5; 64].into());
            taken("EvaluateResponse", &proto::EvaluateResponse { evaluated, proof, receipt: vec![b'n'; 40].into() })
        },
    ),
    (
        "a question about a ceremony",
        |data| _ = is_taken("GetCeremonyRequest", data),
        || taken("GetCeremonyRequest", &proto::GetCeremonyRequest { key: "k1".into(), ceremony: hash() }),
    ),
    (
        "an answer about a ceremony",
        |data| _ = is_taken("GetCeremonyResponse", data),
        || {
            let (generation, result) = (1, vec![b'n'; 40].into());
            let message = proto::GetCeremonyResponse { generation, commitments: part(), echo: part(), shares: part(), result };
            taken("GetCeremonyResponse", &message)
        },
    ),
    (
        "a question about a repair",
        |data| _ = is_taken("RepairShareRequest", data),
        || {
            let (wanted, note) = (vec![b'w'; 40].into(), vec![b'n'; 40].into());
            taken("RepairShareRequest", &proto::RepairShareRequest { member: "acme".into(), wanted, note })
        },
    ),
    (
        "an answer about a repair",
        |data| _ = is_taken("RepairShareResponse", data),
        || {
            let splits = part().into_iter().collect();
            taken("RepairShareResponse", &proto::RepairShareResponse { splits, scalars: vec![3; 64].into() })
        },
    ),
];

/// Whether these bytes are a message of that name.
fn is_taken(name: &str, data: &[u8]) -> bool {
    MESSAGES.iter().find(|(known, _)| *known == name).is_some_and(|(_, reads)| reads(data))
}

/// The bytes of a message that is taken.
fn taken(name: &str, message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    assert!(is_taken(name, &bytes), "{name}");
    bytes
}

fn identifiers() -> Vec<proto::Identifier> {
    let kind = proto::IdentifierKind::Phone.into();
    vec![proto::Identifier { kind, value: "+8613800138000".into(), region: "CN".into() }]
}

fn feed() -> Option<proto::FeedName> {
    Some(proto::FeedName { member: "acme".into(), audience: "all".into() })
}

fn hash() -> Bytes {
    vec![9; 32].into()
}

fn part() -> Option<proto::SignedPart> {
    Some(proto::SignedPart { note: vec![b'n'; 40].into(), body: vec![b'b'; 40].into() })
}
