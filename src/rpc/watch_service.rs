use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::access::AccessList;
use super::convert;
use super::fault::Fault;
use super::proto::watch_service_server::WatchService;
use super::proto::{
    AcknowledgeAlertRequest, AcknowledgeAlertResponse, AddWatchRequest, AddWatchResponse, FollowAlertsRequest,
    FollowAlertsResponse, ListAlertsRequest, ListAlertsResponse, ListWatchesRequest, ListWatchesResponse, RemoveWatchRequest,
    RemoveWatchResponse,
};
use super::rows::Responses;
use super::signal_service::{next_page, page_size};
use crate::domain::{Alert, AlertId, FieldError, Role};
use crate::service::{WatchDraft, Watches};

/// Alerts that are read at a time for a stream.
const ALERTS_AHEAD: usize = 64;

/// `countermark.v1.WatchService`.
#[derive(Clone)]
pub struct WatchServer {
    /// Watches, and hands out alerts.
    pub watches: Arc<Watches>,
    /// Who may do so.
    pub access: Arc<ArcSwap<AccessList>>,
    /// Ends every stream.
    pub shutdown: CancellationToken,
}

impl WatchServer {
    fn require<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.access.load().require(request, &[Role::Check])
    }
}

/// What was asked of a watch.
///
/// # Errors
/// A [`FieldError`].
pub(super) fn draft(request: AddWatchRequest) -> Result<WatchDraft, FieldError> {
    let too_many = |_| FieldError::new("WATCH_DAYS_INVALID", "days", "give 1 to 3653 days, or 0 for the policy's");
    Ok(WatchDraft {
        identifiers: convert::identifiers(request.identifiers)?,
        days: if request.days == 0 { None } else { Some(u16::try_from(request.days).map_err(too_many)?) },
        label: request.label,
    })
}

#[tonic::async_trait]
impl WatchService for WatchServer {
    async fn add_watch(&self, request: Request<AddWatchRequest>) -> Result<Response<AddWatchResponse>, Status> {
        self.require(&request)?;
        let draft = draft(request.into_inner()).map_err(Fault::from)?;
        let added = self.watches.add(vec![draft]).await.pop();
        let added = added.ok_or_else(|| Fault::new(tonic::Code::Internal, "NO_OUTCOME", "nothing came of it"))?;
        Ok(Response::new(AddWatchResponse { watch: added.map_err(Fault::from)?.to_string() }))
    }

    async fn remove_watch(&self, request: Request<RemoveWatchRequest>) -> Result<Response<RemoveWatchResponse>, Status> {
        self.require(&request)?;
        let id = request.into_inner().watch.parse().map_err(Fault::from)?;
        Ok(Response::new(RemoveWatchResponse { removed: self.watches.remove(id).await.map_err(Fault::from)? }))
    }

    async fn list_watches(&self, request: Request<ListWatchesRequest>) -> Result<Response<ListWatchesResponse>, Status> {
        self.require(&request)?;
        let request = request.into_inner();
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let listed =
            self.watches.list(convert::optional(&request.after).map_err(Fault::from)?, count).await.map_err(Fault::from)?;
        let next = next_page(&listed, count);
        let watches = listed.iter().map(|(id, watch)| convert::watch(*id, watch)).collect();
        Ok(Response::new(ListWatchesResponse { watches, next }))
    }

    type FollowAlertsStream = Responses<FollowAlertsResponse>;

    async fn follow_alerts(&self, request: Request<FollowAlertsRequest>) -> Result<Response<Self::FollowAlertsStream>, Status> {
        self.require(&request)?;
        let after = convert::optional(&request.into_inner().after).map_err(Fault::from)?;
        let changes = self.watches.store.changes();
        let following =
            Following { watches: self.watches.clone(), changes, after, at_hand: Vec::new(), stop: self.shutdown.clone() };
        Ok(Response::new(Box::pin(following.alerts())))
    }

    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        self.require(&request)?;
        let request = request.into_inner();
        let count = page_size(request.page_size).map_err(Fault::from)?;
        let listed =
            self.watches.alerts(convert::optional(&request.after).map_err(Fault::from)?, count).await.map_err(Fault::from)?;
        let next = next_page(&listed, count);
        let alerts = listed.iter().map(|(id, alert)| convert::alert(*id, alert)).collect();
        Ok(Response::new(ListAlertsResponse { alerts, next }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<AcknowledgeAlertRequest>,
    ) -> Result<Response<AcknowledgeAlertResponse>, Status> {
        self.require(&request)?;
        let id = request.into_inner().alert.parse().map_err(Fault::from)?;
        let acknowledged = self.watches.acknowledge(id).await.map_err(Fault::from)?;
        Ok(Response::new(AcknowledgeAlertResponse { acknowledged }))
    }
}

/// One stream of alerts: where its receiver stands. Keeps a few alerts and no more, however slowly they are taken.
struct Following {
    watches: Arc<Watches>,
    changes: watch::Receiver<u64>,
    after: Option<AlertId>,
    /// Those that come next, the last first.
    at_hand: Vec<(AlertId, Alert)>,
    stop: CancellationToken,
}

impl Following {
    fn alerts(self) -> impl Stream<Item = Result<FollowAlertsResponse, Status>> + Send {
        stream::unfold(Some(self), |following| async move {
            let mut following = following?;
            match following.next().await {
                Ok(Some((id, alert))) => {
                    following.after = Some(id);
                    Some((Ok(FollowAlertsResponse { alert: Some(convert::alert(id, &alert)) }), Some(following)))
                }
                Ok(None) => None,
                Err(fault) => Some((Err(fault.into()), None)),
            }
        })
    }

    /// The next alert, once there is one; `None` where the node stops.
    async fn next(&mut self) -> Result<Option<(AlertId, Alert)>, Fault> {
        loop {
            if let Some(next) = self.at_hand.pop() {
                return Ok(Some(next));
            }
            if self.watches.store.may_have_alerts(self.after) {
                self.at_hand = self.watches.alerts(self.after, ALERTS_AHEAD).await.map_err(Fault::from)?;
                self.at_hand.reverse();
            }
            if !self.at_hand.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    return Err(Fault::new(tonic::Code::Unavailable, "NODE_STOPPING", "the node is stopping"));
                }
                changed = self.changes.changed() => if changed.is_err() { return Ok(None) },
            }
        }
    }
}
