//! Between the peer listener's messages and the words of replication.

use bytes::Bytes;

use super::proto;
use super::proto::{follow_feeds_request, follow_feeds_response};
use crate::domain::{FeedId, FieldError, Seq};
use crate::feed::Hash;
use crate::replication::{FollowCommand, FollowEvent, ForkParts, Heads, Refusal};

fn missing(field: &'static str) -> FieldError {
    FieldError::new("FIELD_MISSING", field, "this field is required")
}

pub(super) fn feed_to_wire(feed: &FeedId) -> Option<proto::FeedName> {
    Some(proto::FeedName { member: feed.member.to_string(), audience: feed.audience.to_string() })
}

pub(super) fn feed(name: Option<proto::FeedName>) -> Result<FeedId, FieldError> {
    let name = name.ok_or_else(|| missing("feed"))?;
    Ok(FeedId { member: name.member.parse()?, audience: name.audience.parse()? })
}

pub(super) fn hashes(raw: &[Bytes]) -> Result<Vec<Hash>, FieldError> {
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
            entries: batch.entries,
            checkpoint: batch.checkpoint,
        }),
        follow_feeds_response::Response::Heartbeat(heartbeat) => Ok(FollowEvent::Heartbeat {
            roster_serial: heartbeat.roster_serial,
            heads_digest: hashes(&[heartbeat.heads_digest])?.pop().ok_or_else(|| missing("heads_digest"))?,
        }),
        follow_feeds_response::Response::Refused(refused) => {
            Ok(FollowEvent::Refused { feed: feed(refused.feed)?, refusal: Refusal::from_code(&refused.code) })
        }
    }
}

pub(super) fn event_to_wire(event: FollowEvent) -> proto::FollowFeedsResponse {
    let response = match event {
        FollowEvent::Batch { feed, first, entries, checkpoint } => follow_feeds_response::Response::Batch(proto::FeedBatch {
            feed: feed_to_wire(&feed),
            first_seq: first.get(),
            entries,
            checkpoint,
        }),
        FollowEvent::Heartbeat { roster_serial, heads_digest } => {
            let heads_digest = Bytes::copy_from_slice(&heads_digest.0);
            follow_feeds_response::Response::Heartbeat(proto::Heartbeat { roster_serial, heads_digest })
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
            frontier: hashes(&fork.frontier)?,
            leaf_hashes: hashes(&fork.leaf_hashes)?,
        })
    };
    Ok(Heads { checkpoints: message.checkpoints, forks: message.forks.into_iter().map(fork).collect::<Result<_, _>>()? })
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
