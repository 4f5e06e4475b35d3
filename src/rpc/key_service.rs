use std::sync::Arc;

use arc_swap::ArcSwap;
use tonic::{Code, Request, Response, Status};

use super::access::AccessList;
use super::fault::Fault;
use super::proto::key_service_server::KeyService;
use super::proto::{
    self, KeyDetail, KeyHolderName, KeySharing, KeyUsage, ListKeysRequest, ListKeysResponse, ListUsageRequest,
    ListUsageResponse, OwnShare, RefreshKeyRequest, RefreshKeyResponse, ShareState,
};
use super::signal_service::page_size;
use crate::domain::{KeyId, Role, Sharing, Usage};
use crate::service::{CeremonyState, KeyError, KeyRecord, KeyReport, KeyStates, Unkeyed};

/// `countermark.v1.KeyService`.
#[derive(Clone)]
pub struct KeyServer {
    /// Knows the keys.
    pub keys: Arc<KeyStates>,
    /// Who may ask.
    pub access: Arc<ArcSwap<AccessList>>,
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        let grpc = match &error {
            KeyError::NotAHolder(_) => Code::FailedPrecondition,
            KeyError::Vault(_) | KeyError::Store(_) => Code::Unavailable,
            KeyError::Panicked(_) => Code::Internal,
        };
        Self::new(grpc, error.code(), error.to_string())
    }
}

#[tonic::async_trait]
impl KeyService for KeyServer {
    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        self.access.load().require(&request, &[])?;
        let keys = self.keys.list().await.map_err(Fault::from)?;
        Ok(Response::new(ListKeysResponse { keys: keys.into_iter().map(detail).collect() }))
    }

    async fn refresh_key(&self, request: Request<RefreshKeyRequest>) -> Result<Response<RefreshKeyResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let key: KeyId = request.into_inner().key.parse().map_err(Fault::from)?;
        self.keys.refresh(&key).map_err(Fault::from)?;
        Ok(Response::new(RefreshKeyResponse {}))
    }

    async fn list_usage(&self, request: Request<ListUsageRequest>) -> Result<Response<ListUsageResponse>, Status> {
        self.access.load().require(&request, &[Role::Admin])?;
        let ListUsageRequest { from_day, page_size: asked } = request.into_inner();
        let count = page_size(asked).map_err(Fault::from)?;
        let (usage, next) = self.keys.usage(from_day, count).await.map_err(Fault::from)?;
        let usage = usage.into_iter().map(|usage| {
            let Usage { day, key, class, member, evaluations, requests } = usage;
            let (key, key_class, member) = (key.to_string(), class.number(), member.to_string());
            KeyUsage { day, key, key_class, member, evaluations, requests }
        });
        Ok(Response::new(ListUsageResponse { usage: usage.collect(), next_day: next.unwrap_or(0) }))
    }
}

fn detail(record: KeyRecord) -> KeyDetail {
    let KeyRecord { listed, own, note, rekeyed, unkeyed } = record;
    let Unkeyed { markers, overrides, watches } = unkeyed.unwrap_or_default();
    let (id, scheme, state) = (listed.id.to_string(), listed.scheme.to_string(), listed.state.to_string());
    KeyDetail {
        key: Some(proto::KeyStatus { id, scheme, state }),
        sharing: listed.sharing.map(sharing),
        own_signals: rekeyed.as_ref().map_or(0, |rekeyed| rekeyed.signals),
        own_live_signals: rekeyed.map_or(0, |rekeyed| rekeyed.of),
        markers_without: markers,
        overrides_without: overrides,
        watches_without: watches,
        own: own.map(|own| OwnShare { note: note.unwrap_or_default(), ..share(own) }),
    }
}

fn sharing(sharing: Sharing) -> KeySharing {
    let holder = |holder: crate::domain::KeyHolder| KeyHolderName {
        member: holder.member.to_string(),
        place: holder.index.get().into(),
    };
    KeySharing {
        threshold: sharing.threshold.into(),
        made: !sharing.classes.is_empty(),
        holders: sharing.holders.into_iter().map(holder).collect(),
    }
}

fn share(report: KeyReport) -> OwnShare {
    let KeyReport { key: _, place, generation, since, state, waiting_for } = report;
    let word = match &state {
        CeremonyState::Held => ShareState::Held,
        CeremonyState::Made => ShareState::Made,
        CeremonyState::Making => ShareState::Making,
        CeremonyState::Repairing => ShareState::Repairing,
        CeremonyState::Failed { .. } => ShareState::Failed,
    };
    let share = OwnShare {
        place: place.get().into(),
        held: generation.is_some(),
        generation: generation.unwrap_or(0),
        since_ms: since.map_or(0, |since| since.unix_ms()),
        state: word.into(),
        waiting_for: waiting_for.iter().map(ToString::to_string).collect(),
        ..OwnShare::default()
    };
    match state {
        CeremonyState::Failed { code, sentence, culprit } => OwnShare {
            failure_code: code,
            failure: sentence,
            culprit: culprit.map(|culprit| culprit.to_string()).unwrap_or_default(),
            ..share
        },
        _ => share,
    }
}
