//! Between the peer listener's messages and the words of replication.

use bytes::Bytes;

use super::proto;
use super::proto::{follow_feeds_request, follow_feeds_response};
use crate::domain::limits::{
    MAX_BATCH_ENTRIES, MAX_ENTRIES_ASKED, MAX_FRONTIER_HASHES, MAX_LISTED_CHECKPOINTS, MAX_LISTED_FORKS,
};
use crate::domain::{FeedId, FieldError, NodeVersion, Seq};
use crate::feed::{EntryBytes, Hash};
use crate::replication::{FollowCommand, FollowEvent, ForkParts, Heads, Refusal, Word};

fn missing(field: &'static str) -> FieldError {
    FieldError::new("FIELD_MISSING", field, "this field is required")
}

pub(super) fn version_to_wire(version: &NodeVersion) -> proto::NodeVersion {
    proto::NodeVersion {
        program: version.program().to_owned(),
        oldest_protocol: *version.protocols().start(),
        newest_protocol: *version.protocols().end(),
        capabilities: version.capabilities().map(str::to_owned).collect(),
    }
}

pub(super) fn version(told: Option<proto::NodeVersion>) -> Result<NodeVersion, FieldError> {
    let told = told.ok_or_else(|| missing("version"))?;
    NodeVersion::told(&told.program, told.oldest_protocol..=told.newest_protocol, told.capabilities)
}

pub(super) fn feed_to_wire(feed: &FeedId) -> Option<proto::FeedName> {
    Some(proto::FeedName { member: feed.member.to_string(), audience: feed.audience.to_string() })
}

pub(super) fn feed(name: Option<proto::FeedName>) -> Result<FeedId, FieldError> {
    let name = name.ok_or_else(|| missing("feed"))?;
    Ok(FeedId { member: name.member.parse()?, audience: name.audience.parse()? })
}

/// Refuses a list beyond its bound before anything is made of it.
fn at_most<T>(list: Vec<T>, bound: usize, field: &'static str) -> Result<Vec<T>, FieldError> {
    if list.len() <= bound {
        return Ok(list);
    }
    Err(FieldError::new("LIST_TOO_LONG", field, format!("at most {bound} of them")))
}

/// The hashes of a frontier.
pub(super) fn frontier(raw: Vec<Bytes>) -> Result<Vec<Hash>, FieldError> {
    hashes(&at_most(raw, MAX_FRONTIER_HASHES, "frontier")?)
}

fn hash(bytes: Bytes, field: &'static str) -> Result<Hash, FieldError> {
    hashes(&[bytes])?.pop().ok_or_else(|| missing(field))
}

fn hashes(raw: &[Bytes]) -> Result<Vec<Hash>, FieldError> {
    let wrong = |_| FieldError::new("HASH_INVALID", "hashes", "a hash has 32 bytes");
    raw.iter().map(|bytes| Hash::try_from(&**bytes).map_err(wrong)).collect()
}

pub(super) fn hashes_to_wire(hashes: &[Hash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect()
}

pub(super) fn command(message: proto::FollowFeedsRequest) -> Result<FollowCommand, FieldError> {
    match message.request.ok_or_else(|| missing("request"))? {
        follow_feeds_request::Request::Follow(follow) => {
            Ok(FollowCommand::Follow { feed: feed(follow.feed)?, size: Seq::new(follow.size) })
        }
        follow_feeds_request::Request::Unfollow(unfollow) => Ok(FollowCommand::Unfollow { feed: feed(unfollow.feed)? }),
    }
}

pub(super) fn command_to_wire(command: &FollowCommand) -> proto::FollowFeedsRequest {
    let request = match command {
        FollowCommand::Follow { feed, size } => {
            follow_feeds_request::Request::Follow(proto::Follow { feed: feed_to_wire(feed), size: size.get() })
        }
        FollowCommand::Unfollow { feed } => {
            follow_feeds_request::Request::Unfollow(proto::Unfollow { feed: feed_to_wire(feed) })
        }
    };
    proto::FollowFeedsRequest { request: Some(request) }
}

pub(super) fn event(message: proto::FollowFeedsResponse) -> Result<FollowEvent, FieldError> {
    match message.response.ok_or_else(|| missing("response"))? {
        follow_feeds_response::Response::Batch(batch) => Ok(FollowEvent::Batch {
            feed: feed(batch.feed)?,
            first: Seq::new(batch.first_seq),
            entries: at_most(batch.entries, MAX_BATCH_ENTRIES, "entries")?,
            erased: hashes(&at_most(batch.erased, MAX_BATCH_ENTRIES, "erased")?)?,
            checkpoint: batch.checkpoint,
        }),
        follow_feeds_response::Response::Heartbeat(heartbeat) => Ok(FollowEvent::Heartbeat(Word {
            roster_serial: heartbeat.roster_serial,
            roster_digest: hash(heartbeat.roster_digest, "roster_digest")?,
            heads_digest: hash(heartbeat.heads_digest, "heads_digest")?,
        })),
        follow_feeds_response::Response::Refused(refused) => {
            Ok(FollowEvent::Refused { feed: feed(refused.feed)?, refusal: Refusal::from_code(&refused.code) })
        }
    }
}

pub(super) fn event_to_wire(event: FollowEvent) -> proto::FollowFeedsResponse {
    let response = match event {
        FollowEvent::Batch { feed, first, entries, erased, checkpoint } => {
            follow_feeds_response::Response::Batch(proto::FeedBatch {
                feed: feed_to_wire(&feed),
                first_seq: first.get(),
                entries,
                checkpoint,
                erased: hashes_to_wire(&erased),
            })
        }
        FollowEvent::Heartbeat(Word { roster_serial, roster_digest, heads_digest }) => {
            let [roster_digest, heads_digest] = [roster_digest, heads_digest].map(|hash| Bytes::copy_from_slice(&hash.0));
            follow_feeds_response::Response::Heartbeat(proto::Heartbeat { roster_serial, heads_digest, roster_digest })
        }
        FollowEvent::Refused { feed, refusal } => {
            let refused = proto::FollowRefused { feed: feed_to_wire(&feed), code: refusal.code().to_owned() };
            follow_feeds_response::Response::Refused(refused)
        }
    };
    proto::FollowFeedsResponse { response: Some(response) }
}

pub(super) fn heads(message: proto::ListCheckpointsResponse) -> Result<Heads, FieldError> {
    let fork = |fork: proto::ForkProof| {
        Ok(ForkParts {
            first: fork.first_checkpoint,
            second: fork.second_checkpoint,
            frontier: frontier(fork.frontier)?,
            leaf_hashes: hashes(&at_most(fork.leaf_hashes, MAX_BATCH_ENTRIES, "leaf_hashes")?)?,
        })
    };
    let forks = at_most(message.forks, MAX_LISTED_FORKS, "forks")?;
    Ok(Heads {
        checkpoints: at_most(message.checkpoints, MAX_LISTED_CHECKPOINTS, "checkpoints")?,
        forks: forks.into_iter().map(fork).collect::<Result<_, _>>()?,
    })
}

pub(super) fn heads_to_wire(heads: Heads) -> proto::ListCheckpointsResponse {
    let fork = |fork: ForkParts| proto::ForkProof {
        frontier: hashes_to_wire(&fork.frontier),
        leaf_hashes: hashes_to_wire(&fork.leaf_hashes),
        first_checkpoint: fork.first,
        second_checkpoint: fork.second,
    };
    proto::ListCheckpointsResponse { checkpoints: heads.checkpoints, forks: heads.forks.into_iter().map(fork).collect() }
}

pub(super) fn entries(message: proto::GetEntriesResponse) -> Result<Vec<(Seq, EntryBytes)>, FieldError> {
    let entry = |content: proto::EntryContent| {
        let bytes = EntryBytes::from_peer(content.entry);
        let bytes = bytes.map_err(|error| FieldError::new(error.code(), "entry", error.to_string()))?;
        Ok((Seq::new(content.seq), bytes))
    };
    at_most(message.entries, MAX_ENTRIES_ASKED, "entries")?.into_iter().map(entry).collect()
}

pub(super) fn entries_to_wire(entries: &[(Seq, EntryBytes)]) -> proto::GetEntriesResponse {
    let content = |(seq, bytes): &(Seq, EntryBytes)| proto::EntryContent { seq: seq.get(), entry: bytes.bytes().clone() };
    proto::GetEntriesResponse { entries: entries.iter().map(content).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_beyond_its_bound_is_refused() {
        let empty = |n: usize| vec![Bytes::new(); n];
        let code =
            |checkpoints, forks| heads(proto::ListCheckpointsResponse { checkpoints, forks }).map_err(|e| (e.code, e.field));
        assert!(code(empty(MAX_LISTED_CHECKPOINTS), vec![]).is_ok());
        let refused = |field: &str| Err(("LIST_TOO_LONG", field.to_owned()));
        assert_eq!(code(empty(MAX_LISTED_CHECKPOINTS + 1), vec![]).map(drop), refused("checkpoints"));
        assert_eq!(code(vec![], vec![proto::ForkProof::default(); MAX_LISTED_FORKS + 1]).map(drop), refused("forks"));
        let fork = proto::ForkProof { leaf_hashes: empty(MAX_BATCH_ENTRIES + 1), ..proto::ForkProof::default() };
        assert_eq!(code(vec![], vec![fork]).map(drop), refused("leaf_hashes"));
        let fork = proto::ForkProof { frontier: empty(MAX_FRONTIER_HASHES + 1), ..proto::ForkProof::default() };
        assert_eq!(code(vec![], vec![fork]).map(drop), refused("frontier"));
        let batch = proto::FeedBatch {
            feed: Some(proto::FeedName { member: "a".into(), audience: "all".into() }),
            entries: empty(MAX_BATCH_ENTRIES + 1),
            ..proto::FeedBatch::default()
        };
        let response = Some(follow_feeds_response::Response::Batch(batch));
        let refused = event(proto::FollowFeedsResponse { response }).expect_err("refused");
        assert_eq!((refused.code, refused.field.as_str()), ("LIST_TOO_LONG", "entries"));
    }
}
