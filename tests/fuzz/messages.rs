//! Messages of clients, of other members' nodes, and of nodes that were asked.

use bytes::Bytes;
use countermark::rpc::{MESSAGES, proto};
use prost::Message;

use super::Decoder;

/// Those of all messages that arrive from outside.
pub(super) fn decoders() -> impl Iterator<Item = Decoder> {
    let seed = |name: &str| SEEDS.iter().find(|(known, _)| *known == name).map(|(_, seed)| *seed);
    MESSAGES.iter().map(move |(name, reads)| (*name, *reads, seed(name).expect("there is one of each")))
}

/// The name of a message, and bytes of one that is taken.
type Seed = (&'static str, fn() -> Vec<u8>);

const SEEDS: &[Seed] = &[
    ("SubmitSignalRequest", || {
        let statement = proto::Statement {
            infringement: proto::Infringement::Other.into(),
            evidence: vec![evidence()],
            brand: "Lux".into(),
            ..Default::default()
        };
        let submission = proto::Submission {
            submission_id: "case-1".into(),
            audience: "all".into(),
            identifiers: identifiers(),
            statement: Some(statement),
        };
        bytes(&proto::SubmitSignalRequest { submission: Some(submission) })
    }),
    ("RetractSignalRequest", || {
        let target = Some(proto::retract_signal_request::Target::SubmissionId("case-1".into()));
        let reason = proto::RetractionReason::Settled.into();
        bytes(&proto::RetractSignalRequest { target, audience: "all".into(), reason })
    }),
    ("EraseSignalRequest", || {
        let target = Some(proto::erase_signal_request::Target::Signal("acme/all/7".into()));
        bytes(&proto::EraseSignalRequest { target, audience: String::new(), reason: proto::ErasureReason::Request.into() })
    }),
    ("AmendSignalRequest", || {
        let goods_value = proto::GoodsValue { amount_minor: 50_000, currency: "CNY".into(), ..Default::default() };
        let change = proto::Change {
            evidence: vec![evidence()],
            actions: vec![proto::Action::ListingRemoved.into()],
            goods_value: Some(goods_value),
            acted_on: "2026-11-22".into(),
            step: proto::AnswerStep::SellerNotified.into(),
            outcome: proto::ReferralStage::Convicted.into(),
        };
        let target = Some(proto::amend_signal_request::Target::Signal("acme/all/7".into()));
        bytes(&proto::AmendSignalRequest { target, audience: String::new(), change: Some(change) })
    }),
    ("OpenDisputeRequest", || {
        let ground = proto::DisputeGround::Licensed.into();
        bytes(&proto::OpenDisputeRequest { signals: signals(), ground, sha256: vec![hash()] })
    }),
    ("DecideDisputeRequest", || {
        let outcome = proto::DisputeOutcome::Upheld.into();
        bytes(&proto::DecideDisputeRequest { dispute: "acme/all/9".into(), outcome, signals: signals() })
    }),
    ("GiveOpinionRequest", || {
        let stance = proto::Stance::Agree.into();
        bytes(&proto::GiveOpinionRequest { signal: "acme/all/7".into(), stance, evidence: vec![evidence()], reason: 0 })
    }),
    ("MarkIdentifiersRequest", || {
        let message = proto::MarkIdentifiersRequest {
            kind: proto::MarkerKind::Victim.into(),
            audience: "all".into(),
            identifiers: identifiers(),
            reason: proto::MarkerReason::StolenAccount.into(),
            sha256: vec![hash()],
            valid_days: 30,
        };
        bytes(&message)
    }),
    ("AddWatchRequest", || {
        bytes(&proto::AddWatchRequest { identifiers: identifiers(), days: 30, label: "applicant 17".into() })
    }),
    ("BackupRequest", || {
        let backup = "00112233445566778899aabbccddeeff".into();
        bytes(&proto::BackupRequest { backup, after: vec![1; 12].into() })
    }),
    ("CheckSellerRequest", || bytes(&proto::CheckSellerRequest { identifiers: identifiers(), watch: None })),
    ("SetOverrideRequest", || {
        let verdict = proto::Verdict::KnownGood.into();
        let until_ms = 1_800_000_000_000;
        let message = proto::SetOverrideRequest { verdict, identifiers: identifiers(), until_ms, note: "ours".into() };
        bytes(&message)
    }),
    ("GetRingRequest", || {
        let message = proto::GetRingRequest {
            identifiers: identifiers(),
            depth: 2,
            currency: "EUR".into(),
            thresholds: vec![threshold()],
            ..Default::default()
        };
        bytes(&message)
    }),
    ("FindLeadsRequest", || bytes(&proto::FindLeadsRequest { thresholds: vec![threshold()], ..Default::default() })),
    ("RecordLeadRequest", || {
        let message = proto::RecordLeadRequest {
            lead: "acme/all/7".into(),
            stage: proto::ReferralStage::Referred.into(),
            region: "CN".into(),
            authority: "Police".into(),
            sentence: 0,
            happened_on: "2026-11-29".into(),
        };
        bytes(&message)
    }),
    ("ExchangeVersionsRequest", || {
        let capabilities = vec!["erasure".into()];
        let version = proto::NodeVersion { program: "1.2.3".into(), oldest_protocol: 1, newest_protocol: 3, capabilities };
        bytes(&proto::ExchangeVersionsRequest { version: Some(version) })
    }),
    ("FollowFeedsRequest", || {
        let follow = proto::Follow { feed: feed(), size: 17 };
        let request = Some(proto::follow_feeds_request::Request::Follow(follow));
        bytes(&proto::FollowFeedsRequest { request })
    }),
    ("FollowFeedsResponse", || {
        let batch = proto::FeedBatch {
            feed: feed(),
            first_seq: 17,
            entries: vec![vec![8, 1].into()],
            checkpoint: vec![b'n'; 40].into(),
            erased: vec![hash()],
        };
        let response = Some(proto::follow_feeds_response::Response::Batch(batch));
        bytes(&proto::FollowFeedsResponse { response })
    }),
    ("ListCheckpointsResponse", || {
        let note: Bytes = vec![b'n'; 40].into();
        let fork = proto::ForkProof {
            first_checkpoint: note.clone(),
            second_checkpoint: note.clone(),
            frontier: vec![hash()],
            leaf_hashes: vec![hash()],
        };
        bytes(&proto::ListCheckpointsResponse { checkpoints: vec![note], forks: vec![fork] })
    }),
    ("GetFrontierRequest", || bytes(&proto::GetFrontierRequest { feed: feed(), size: 17 })),
    ("GetFrontierResponse", || bytes(&proto::GetFrontierResponse { hashes: vec![hash(), hash()] })),
    ("GetErasureReceiptRequest", || bytes(&proto::GetErasureReceiptRequest { feed: feed() })),
    ("GetEntriesRequest", || bytes(&proto::GetEntriesRequest { feed: feed(), seqs: vec![3, 5] })),
    ("GetEntriesResponse", || {
        let entry = proto::EntryContent { seq: 3, entry: vec![8, 1].into() };
        bytes(&proto::GetEntriesResponse { entries: vec![entry] })
    }),
    ("EvaluateRequest", || {
        let message = proto::EvaluateRequest {
            request_id: vec![7; 16].into(),
            key: "k1".into(),
            key_class: proto::KeyClass::LowEntropy.into(),
            generation: 1,
            quorum: vec![1, 2],
            blinded: vec![4; 64].into(),
        };
        bytes(&message)
    }),
    ("EvaluateResponse", || {
        let (evaluated, proof) = (vec![4; 64].into(), vec![5; 64].into());
        bytes(&proto::EvaluateResponse { evaluated, proof, receipt: vec![b'n'; 40].into() })
    }),
    ("GetSharingRequest", || bytes(&proto::GetSharingRequest { key: "k1".into() })),
    ("GetCeremonyRequest", || bytes(&proto::GetCeremonyRequest { key: "k1".into(), ceremony: hash() })),
    ("GetCeremonyResponse", || {
        let (generation, result) = (1, vec![b'n'; 40].into());
        let message = proto::GetCeremonyResponse { generation, commitments: part(), echo: part(), shares: part(), result };
        bytes(&message)
    }),
    ("RepairShareRequest", || {
        let (wanted, note) = (vec![b'w'; 40].into(), vec![b'n'; 40].into());
        bytes(&proto::RepairShareRequest { member: "acme".into(), wanted, note })
    }),
    ("RepairShareResponse", || {
        let splits = part().into_iter().collect();
        bytes(&proto::RepairShareResponse { splits, scalars: vec![3; 64].into() })
    }),
];

fn bytes(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
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

fn signals() -> Vec<String> {
    vec!["acme/all/7".into(), "brand/all/3".into()]
}

fn evidence() -> proto::Evidence {
    proto::Evidence { kind: proto::EvidenceKind::TestPurchase.into(), grade: 0, sha256: vec![hash()] }
}

fn threshold() -> proto::Threshold {
    proto::Threshold {
        name: "felony".into(),
        region: "CN".into(),
        infringements: vec![proto::Infringement::Other.into()],
        state: proto::GoodsState::Sold.into(),
        marks: 2,
        currency: "CNY".into(),
        amount: 50_000,
    }
}
