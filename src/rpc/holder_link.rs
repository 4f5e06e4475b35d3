//! The way to key holders over gRPC and mutual TLS; a node that is one itself does not go over the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tonic::transport::Channel;

use super::PeerDialer;
use super::holder_convert;
use super::proto::key_holder_service_client::KeyHolderServiceClient;
use crate::domain::MemberId;
use crate::domain::limits::{MAX_PEER_MESSAGE_BYTES, MAX_PEER_REQUEST_BYTES};
use crate::membership::Directory;
use crate::service::{EvaluationAnswer, EvaluationRequest, HolderError, KeyHolder, KeyHolders};

type Client = KeyHolderServiceClient<Channel>;

/// Asks key holders.
pub struct HolderLink {
    dialer: Arc<PeerDialer>,
    directory: Arc<Directory>,
    /// This member's own, whether it holds a share or not.
    own: Arc<KeyHolder>,
    /// Connections that stand. One that fails is dialled anew, with the newest certificate.
    clients: Mutex<BTreeMap<MemberId, Client>>,
}

impl HolderLink {
    /// Dials through `dialer`, at the addresses of the roster.
    #[must_use]
    pub fn new(dialer: Arc<PeerDialer>, directory: Arc<Directory>, own: Arc<KeyHolder>) -> Self {
        Self { dialer, directory, own, clients: Mutex::default() }
    }

    async fn client(&self, holder: &MemberId) -> Result<Client, HolderError> {
        if let Some(client) = self.clients.lock().get(holder) {
            return Ok(client.clone());
        }
        let signed = self.directory.roster();
        let listed = signed.roster().member(holder).filter(|_| signed.roster().is_active(holder));
        let unknown = || HolderError::failed("NOT_A_MEMBER", format!("{holder} takes no part in the alliance"));
        let channel = self.dialer.channel(holder, &listed.ok_or_else(unknown)?.address).await;
        let channel = channel.map_err(|error| HolderError::failed(error.code, error.to_string()))?;
        let client = KeyHolderServiceClient::new(channel)
            .max_decoding_message_size(MAX_PEER_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PEER_REQUEST_BYTES);
        self.clients.lock().insert(holder.clone(), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl KeyHolders for HolderLink {
    async fn evaluate(&self, holder: &MemberId, request: &EvaluationRequest) -> Result<EvaluationAnswer, HolderError> {
        if holder == self.directory.member() {
            return Ok(self.own.evaluate(holder, request.clone()).await?);
        }
        let mut client = self.client(holder).await?;
        let response = client.evaluate(holder_convert::request_to_wire(request)).await.map_err(|status| {
            if holder_convert::is_of_transport(&status) {
                self.clients.lock().remove(holder);
            }
            holder_convert::refusal(&status)
        })?;
        let answer = holder_convert::answer(&response.into_inner());
        answer.map_err(|error| HolderError::failed(error.code, error.to_string()))
    }
}
