//! The way to key holders over gRPC and mutual TLS; a node that is one itself does not go over the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::PeerDialer;
use super::holder_convert;
use super::proto::key_ceremony_service_client::KeyCeremonyServiceClient;
use super::proto::key_holder_service_client::KeyHolderServiceClient;
use super::proto::{GetCeremonyRequest, GetSharingRequest};
use crate::domain::limits::{MAX_PEER_MESSAGE_BYTES, MAX_PEER_REQUEST_BYTES};
use crate::domain::{FieldError, KeyId, MemberId, spans};
use crate::membership::Directory;
use crate::service::{
    CeremonyAnswer, CeremonyQuery, EvaluationAnswer, EvaluationRequest, FellowHolders, HolderError, KeyHolder, KeyHolders,
    RepairAnswer, RepairQuery,
};

/// Asks key holders.
pub struct HolderLink {
    dialer: Arc<PeerDialer>,
    directory: Arc<Directory>,
    /// This member's own, whether it holds a share or not.
    own: Arc<KeyHolder>,
    links: Mutex<BTreeMap<MemberId, Link>>,
}

/// The one connection to a holder: whoever comes while it is dialled waits for it, since a holder closes the oldest of too many. In the
/// place of one that failed another is dialled, with the newest certificate.
type Link = Arc<OnceCell<Channel>>;

impl HolderLink {
    /// Dials through `dialer`, at the addresses of the roster.
    #[must_use]
    pub fn new(dialer: Arc<PeerDialer>, directory: Arc<Directory>, own: Arc<KeyHolder>) -> Self {
        Self { dialer, directory, own, links: Mutex::default() }
    }

    async fn dial(&self, holder: &MemberId) -> Result<Channel, HolderError> {
        let signed = self.directory.roster();
        let listed = signed.roster().member(holder).filter(|_| signed.roster().is_active(holder));
        let unknown = || HolderError::failed("NOT_A_MEMBER", format!("{holder} takes no part in the alliance"));
        let channel = self.dialer.channel(holder, &listed.ok_or_else(unknown)?.address).await;
        channel.map_err(|error| HolderError::failed(error.code, error.to_string()))
    }

    /// Makes a call to a holder. A connection that failed is not used again, but for one that was dialled since.
    async fn call<A, Fut>(&self, holder: &MemberId, call: impl FnOnce(Channel) -> Fut + Send) -> Result<A, HolderError>
    where
        Fut: Future<Output = Result<Response<A>, Status>> + Send,
    {
        let link = self.links.lock().entry(holder.clone()).or_default().clone();
        let channel = link.get_or_try_init(|| self.dial(holder)).await?.clone();
        call(channel).await.map(Response::into_inner).map_err(|status| {
            if holder_convert::is_of_transport(&status) {
                let mut links = self.links.lock();
                if links.get(holder).is_some_and(|standing| Arc::ptr_eq(standing, &link)) {
                    links.remove(holder);
                }
            }
            holder_convert::refusal(&status)
        })
    }
}

fn ceremonies(channel: Channel) -> KeyCeremonyServiceClient<Channel> {
    KeyCeremonyServiceClient::new(channel).max_decoding_message_size(MAX_PEER_REQUEST_BYTES)
}

fn malformed(error: FieldError) -> HolderError {
    HolderError::failed(error.code, error.to_string())
}

#[async_trait]
impl KeyHolders for HolderLink {
    async fn evaluate(&self, holder: &MemberId, request: &EvaluationRequest) -> Result<EvaluationAnswer, HolderError> {
        if holder == self.directory.member() {
            return Ok(self.own.evaluate(holder, request.clone()).await?);
        }
        let message = holder_convert::request_to_wire(request);
        let evaluate = |channel| async move {
            let client = KeyHolderServiceClient::new(channel).max_decoding_message_size(MAX_PEER_MESSAGE_BYTES);
            client.max_encoding_message_size(MAX_PEER_REQUEST_BYTES).evaluate(message).await
        };
        let called = spans::part("countermark.v1.KeyHolderService/Evaluate", Some(holder), self.call(holder, evaluate));
        holder_convert::answer(&called.await?).map_err(malformed)
    }
}

#[async_trait]
impl FellowHolders for HolderLink {
    async fn sharing(&self, holder: &MemberId, key: &KeyId) -> Result<Option<Bytes>, HolderError> {
        if holder == self.directory.member() {
            return Ok(self.own.sharing(key).await?);
        }
        let message = GetSharingRequest { key: key.to_string() };
        let note = self.call(holder, |channel| async move { ceremonies(channel).get_sharing(message).await }).await?.note;
        Ok(Some(note).filter(|note| !note.is_empty()))
    }

    async fn ceremony(&self, holder: &MemberId, query: &CeremonyQuery) -> Result<CeremonyAnswer, HolderError> {
        let message = GetCeremonyRequest { key: query.key.to_string(), ceremony: Bytes::copy_from_slice(&query.ceremony.0) };
        let response = self.call(holder, |channel| async move { ceremonies(channel).get_ceremony(message).await }).await?;
        Ok(holder_convert::ceremony_answer(response))
    }

    async fn repair(&self, holder: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, HolderError> {
        let message = holder_convert::repair_to_wire(query);
        let response = self.call(holder, |channel| async move { ceremonies(channel).repair_share(message).await }).await?;
        Ok(holder_convert::repair_answer(response))
    }
}
