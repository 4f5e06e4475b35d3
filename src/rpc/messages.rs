//! The messages that arrive from outside and become words of the domain, each by its name in the proto: where fuzzers and tests begin.

use prost::Message;

use super::proto;
use super::{
    case_service, convert, holder_convert, lead_convert, lead_service, node_service, peer_convert, signal_service,
    watch_service,
};
use crate::domain::{FieldError, KeyId};

/// The name of a message, and whether bytes are one that is taken. Nothing is done with what it says.
pub type Readable = (&'static str, fn(&[u8]) -> bool);

/// All of them: what clients, other members' nodes, and nodes that are asked send. Others have fields that are looked at one by one.
pub const MESSAGES: &[Readable] = &[
    ("SubmitSignalRequest", |bytes| read(bytes, |m: proto::SubmitSignalRequest| convert::submission(m.submission))),
    ("RetractSignalRequest", |bytes| read(bytes, |m| signal_service::retraction(&m))),
    ("EraseSignalRequest", |bytes| read(bytes, |m| signal_service::erasure(&m))),
    ("AmendSignalRequest", |bytes| read(bytes, signal_service::amendment)),
    ("OpenDisputeRequest", |bytes| read(bytes, |m| case_service::dispute(&m))),
    ("DecideDisputeRequest", |bytes| read(bytes, |m| case_service::decision(&m))),
    ("GiveOpinionRequest", |bytes| read(bytes, case_service::opinion)),
    ("MarkIdentifiersRequest", |bytes| read(bytes, case_service::marker)),
    ("AddWatchRequest", |bytes| read(bytes, watch_service::draft)),
    ("BackupRequest", |bytes| read(bytes, node_service::place)),
    ("CheckSellerRequest", |bytes| read(bytes, |m: proto::CheckSellerRequest| convert::identifiers(m.identifiers))),
    ("SetOverrideRequest", |bytes| read(bytes, convert::override_draft)),
    ("GetRingRequest", |bytes| read(bytes, lead_service::query)),
    ("FindLeadsRequest", |bytes| read(bytes, |m: proto::FindLeadsRequest| lead_convert::thresholds(m.thresholds))),
    ("RecordLeadRequest", |bytes| read(bytes, lead_convert::progress)),
    ("ExchangeVersionsRequest", |bytes| read(bytes, |m: proto::ExchangeVersionsRequest| peer_convert::version(m.version))),
    ("FollowFeedsRequest", |bytes| read(bytes, peer_convert::command)),
    ("FollowFeedsResponse", |bytes| read(bytes, peer_convert::event)),
    ("ListCheckpointsResponse", |bytes| read(bytes, peer_convert::heads)),
    ("GetFrontierRequest", |bytes| read(bytes, |m: proto::GetFrontierRequest| peer_convert::feed(m.feed))),
    ("GetFrontierResponse", |bytes| read(bytes, |m: proto::GetFrontierResponse| peer_convert::frontier(m.hashes))),
    ("GetErasureReceiptRequest", |bytes| read(bytes, |m: proto::GetErasureReceiptRequest| peer_convert::feed(m.feed))),
    ("GetEntriesRequest", |bytes| read(bytes, |m: proto::GetEntriesRequest| peer_convert::feed(m.feed))),
    ("GetEntriesResponse", |bytes| read(bytes, peer_convert::entries)),
    ("EvaluateRequest", |bytes| read(bytes, holder_convert::request)),
    ("EvaluateResponse", |bytes| read(bytes, |m: proto::EvaluateResponse| holder_convert::answer(&m))),
    ("GetSharingRequest", |bytes| read(bytes, |m: proto::GetSharingRequest| m.key.parse::<KeyId>())),
    ("GetCeremonyRequest", |bytes| read(bytes, |m: proto::GetCeremonyRequest| holder_convert::ceremony_query(&m))),
    ("GetCeremonyResponse", |bytes| read(bytes, |m| Ok(holder_convert::ceremony_answer(m)))),
    ("RepairShareRequest", |bytes| read(bytes, holder_convert::repair)),
    ("RepairShareResponse", |bytes| read(bytes, |m| Ok(holder_convert::repair_answer(m)))),
];

fn read<M: Message + Default, T>(bytes: &[u8], convert: impl FnOnce(M) -> Result<T, FieldError>) -> bool {
    M::decode(bytes).is_ok_and(|message| convert(message).is_ok())
}
