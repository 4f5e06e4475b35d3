//! The way to another member's node: replication's [`Link`] over gRPC and mutual TLS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use prost::Message;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::admission::Busy;
use super::connector::{connect, explain};
use super::peer_convert;
use super::proto::peer_service_client::PeerServiceClient;
use super::proto::{
    ExchangeVersionsRequest, GetEntriesRequest, GetErasureReceiptRequest, GetFrontierRequest, GetRosterRequest,
    ListCheckpointsRequest,
};
use crate::domain::limits::MAX_PEER_MESSAGE_BYTES;
use crate::domain::{AllianceName, FeedId, FieldError, MemberId, NodeVersion, Seq};
use crate::feed::{EntryBytes, Hash};
use crate::replication::{Dialer, FollowStream, Heads, Link, LinkError, Traffic};

/// Commands on their way to a peer; it reads them at once.
const COMMANDS_AHEAD: usize = 64;

/// Dials nodes of the alliance with this node's own certificate.
pub struct PeerDialer {
    /// Name of the alliance, which every node's DNS name ends in.
    pub alliance: AllianceName,
    /// TLS for dialling; the newest is used for each connection.
    pub tls: Arc<ArcSwap<ClientConfig>>,
    /// Addresses that take the place of the roster's, as this node's network needs them.
    pub addresses: BTreeMap<MemberId, String>,
}

impl PeerDialer {
    /// A channel to the node of `member`, for services other than replication's.
    pub(super) async fn channel(&self, member: &MemberId, address: &str) -> Result<Channel, LinkError> {
        let address = self.addresses.get(member).map_or(address, String::as_str);
        let name = self.alliance.node_dns_name(member);
        let channel = connect(address, name, self.tls.load_full()).await;
        channel.map_err(|error| LinkError::new(error.code(), format!("{error}; {}", error.advice())))
    }
}

#[async_trait]
impl Dialer for PeerDialer {
    async fn dial(&self, member: &MemberId, address: &str) -> Result<Box<dyn Link>, LinkError> {
        let channel = self.channel(member, address).await?;
        let client = PeerServiceClient::new(channel)
            .max_decoding_message_size(MAX_PEER_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PEER_MESSAGE_BYTES);
        let version = exchange_versions(client.clone()).await?;
        Ok(Box::new(PeerLink { client, version, meter: Arc::new(Meter::default()) }))
    }
}

/// Tells the peer which program this is, and is told the same. Both must speak one protocol.
///
/// # Errors
/// `PEER_INCOMPATIBLE` where they do not; where the peer did not answer.
pub async fn exchange_versions(mut client: PeerServiceClient<Channel>) -> Result<NodeVersion, LinkError> {
    let own = NodeVersion::own();
    let request = ExchangeVersionsRequest { version: Some(peer_convert::version_to_wire(&own)) };
    let version = match client.exchange_versions(request).await {
        Ok(response) => peer_convert::version(response.into_inner().version).map_err(malformed)?,
        Err(status) if status.code() == Code::Unimplemented => NodeVersion::unknown(),
        Err(status) => return Err(link_error(status)),
    };
    if own.common(&version).is_none() {
        return Err(LinkError::new(
            "PEER_INCOMPATIBLE",
            format!("the peer runs {version}, this node {own}; upgrade the older one"),
        ));
    }
    Ok(version)
}

struct PeerLink {
    client: PeerServiceClient<Channel>,
    version: NodeVersion,
    meter: Arc<Meter>,
}

/// Counts bytes of messages.
#[derive(Default)]
struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    fn received<T: Message>(&self, message: T) -> T {
        self.received.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
        message
    }

    fn sent<T: Message>(&self, message: T) -> T {
        self.sent.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
        message
    }
}

#[async_trait]
impl Link for PeerLink {
    async fn roster(&self) -> Result<Bytes, LinkError> {
        let response = self.client.clone().get_roster(GetRosterRequest {}).await.map_err(link_error)?;
        Ok(self.meter.received(response.into_inner()).note)
    }

    async fn checkpoints(&self) -> Result<Heads, LinkError> {
        let response = self.client.clone().list_checkpoints(ListCheckpointsRequest {}).await.map_err(link_error)?;
        peer_convert::heads(self.meter.received(response.into_inner())).map_err(malformed)
    }

    async fn frontier(&self, feed: &FeedId, size: Seq) -> Result<Vec<Hash>, LinkError> {
        let request = GetFrontierRequest { feed: peer_convert::feed_to_wire(feed), size: size.get() };
        let response = self.client.clone().get_frontier(self.meter.sent(request)).await.map_err(link_error)?;
        peer_convert::frontier(self.meter.received(response.into_inner()).hashes).map_err(malformed)
    }

    async fn receipt(&self, feed: &FeedId) -> Result<Bytes, LinkError> {
        let request = GetErasureReceiptRequest { feed: peer_convert::feed_to_wire(feed) };
        let response = self.client.clone().get_erasure_receipt(self.meter.sent(request)).await.map_err(link_error)?;
        Ok(self.meter.received(response.into_inner()).receipt)
    }

    async fn entries(&self, feed: &FeedId, seqs: &[Seq]) -> Result<Vec<(Seq, EntryBytes)>, LinkError> {
        let seqs = seqs.iter().map(|seq| seq.get()).collect();
        let request = GetEntriesRequest { feed: peer_convert::feed_to_wire(feed), seqs };
        let response = self.client.clone().get_entries(self.meter.sent(request)).await.map_err(link_error)?;
        peer_convert::entries(self.meter.received(response.into_inner())).map_err(malformed)
    }

    async fn follow(&self) -> Result<FollowStream, LinkError> {
        let (commands, outgoing) = mpsc::channel(COMMANDS_AHEAD);
        let meter = self.meter.clone();
        let requests = ReceiverStream::new(outgoing).map(move |command| meter.sent(peer_convert::command_to_wire(&command)));
        let responses = self.client.clone().follow_feeds(requests).await.map_err(link_error)?;
        let meter = self.meter.clone();
        let events = responses.into_inner().map(move |message| {
            let message = meter.received(message.map_err(link_error)?);
            peer_convert::event(message).map_err(malformed)
        });
        Ok(FollowStream { commands, events: Box::pin(events) })
    }

    fn version(&self) -> &NodeVersion {
        &self.version
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            received_bytes: self.meter.received.load(Ordering::Relaxed),
            sent_bytes: self.meter.sent.load(Ordering::Relaxed),
        }
    }
}

fn link_error(status: Status) -> LinkError {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let code = match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => "PEER_REFUSED",
        Code::ResourceExhausted if Busy::is_code(&reason) => "PEER_BUSY",
        Code::ResourceExhausted | Code::OutOfRange => "PEER_MESSAGE_TOO_LARGE",
        Code::Unimplemented | Code::FailedPrecondition => "PEER_INCOMPATIBLE",
        Code::NotFound => "PEER_HAS_NOT",
        _ => "STREAM_BROKEN",
    };
    let reason = if reason.is_empty() { reason } else { reason + ": " };
    let advice = explain(&status).map(|advice| format!("; {advice}")).unwrap_or_default();
    LinkError::new(code, format!("{reason}{}{advice}", status.message()))
}

fn malformed(error: FieldError) -> LinkError {
    LinkError::new("PEER_MALFORMED", error.to_string())
}
