//! The way to key holders over gRPC and mutual TLS; a node that is one itself does not go over the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tonic::Status;
use tonic::transport::Channel;

use super::PeerDialer;
use super::holder_convert;
use super::proto::key_ceremony_service_client::KeyCeremonyServiceClient;
use super::proto::key_holder_service_client::KeyHolderServiceClient;
use super::proto::{GetCeremonyRequest, GetSharingRequest};
use crate::domain::limits::{MAX_PEER_MESSAGE_BYTES, MAX_PEER_REQUEST_BYTES};
use crate::domain::{FieldError, KeyId, MemberId};
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
    /// Connections that stand. One that fails is dialled anew, with the newest certificate.
    channels: Mutex<BTreeMap<MemberId, Channel>>,
}

impl HolderLink {
    /// Dials through `dialer`, at the addresses of the roster.
    #[must_use]
    pub fn new(dialer: Arc<PeerDialer>, directory: Arc<Directory>, own: Arc<KeyHolder>) -> Self {
        Self { dialer, directory, own, channels: Mutex::default() }
    }

    async fn channel(&self, holder: &MemberId) -> Result<Channel, HolderError> {
        if let Some(channel) = self.channels.lock().get(holder) {
            return Ok(channel.clone());
        }
        let signed = self.directory.roster();
        let listed = signed.roster().member(holder).filter(|_| signed.roster().is_active(holder));
        let unknown = || HolderError::failed("NOT_A_MEMBER", format!("{holder} takes no part in the alliance"));
        let channel = self.dialer.channel(holder, &listed.ok_or_else(unknown)?.address).await;
        let channel = channel.map_err(|error| HolderError::failed(error.code, error.to_string()))?;
        self.channels.lock().insert(holder.clone(), channel.clone());
        Ok(channel)
    }

    async fn ceremonies(&self, holder: &MemberId) -> Result<KeyCeremonyServiceClient<Channel>, HolderError> {
        let client = KeyCeremonyServiceClient::new(self.channel(holder).await?);
        Ok(client.max_decoding_message_size(MAX_PEER_REQUEST_BYTES))
    }

    /// What a call failed with; a connection that failed is not used again.
    fn refused(&self, holder: &MemberId, status: &Status) -> HolderError {
        if holder_convert::is_of_transport(status) {
            self.channels.lock().remove(holder);
        }
        holder_convert::refusal(status)
    }
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
        let mut client = KeyHolderServiceClient::new(self.channel(holder).await?)
            .max_decoding_message_size(MAX_PEER_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_PEER_REQUEST_BYTES);
        let response = client.evaluate(holder_convert::request_to_wire(request)).await;
        let response = response.map_err(|status| self.refused(holder, &status))?;
        holder_convert::answer(&response.into_inner()).map_err(malformed)
    }
}

#[async_trait]
impl FellowHolders for HolderLink {
    async fn sharing(&self, holder: &MemberId, key: &KeyId) -> Result<Option<Bytes>, HolderError> {
        if holder == self.directory.member() {
            return Ok(self.own.sharing(key).await?);
        }
        let mut client = self.ceremonies(holder).await?;
        let response = client.get_sharing(GetSharingRequest { key: key.to_string() }).await;
        let note = response.map_err(|status| self.refused(holder, &status))?.into_inner().note;
        Ok(Some(note).filter(|note| !note.is_empty()))
    }

    async fn ceremony(&self, holder: &MemberId, query: &CeremonyQuery) -> Result<CeremonyAnswer, HolderError> {
        let request = GetCeremonyRequest { key: query.key.to_string(), ceremony: Bytes::copy_from_slice(&query.ceremony.0) };
        let response = self.ceremonies(holder).await?.get_ceremony(request).await;
        let response = response.map_err(|status| self.refused(holder, &status))?;
        Ok(holder_convert::ceremony_answer(response.into_inner()))
    }

    async fn repair(&self, holder: &MemberId, query: &RepairQuery) -> Result<RepairAnswer, HolderError> {
        let response = self.ceremonies(holder).await?.repair_share(holder_convert::repair_to_wire(query)).await;
        let response = response.map_err(|status| self.refused(holder, &status))?;
        Ok(holder_convert::repair_answer(response.into_inner()))
    }
}
