//! A receiver of alerts over HTTPS: a POST for each, signed as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>, version 1.0.0, symmetric signatures).
//!
//! TLS 1.3 only, and the receiver's certificate must lead to the CA that the configuration names. The body is JSON; the header
//! `webhook-signature` is `v1,` and the base64 of HMAC-SHA-256 over `webhook-id.webhook-timestamp.body` under the shared secret.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::names;
use super::tls::{TlsError, webhook_config};
use crate::domain::{Alert, AlertId, Clock, Standing};
use crate::service::{AlertSink, DELIVERY_TIMEOUT, DeliveryError};

/// A receiver of alerts.
pub struct Webhook {
    url: Url,
    /// `host:port`, as it is dialled.
    address: String,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    key: hmac::Key,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.url)
    }
}

impl Webhook {
    /// A receiver at an `https` URL whose certificate leads to `ca` (PEM); `secret` is what both sides hold, 24 to 64 bytes.
    ///
    /// # Errors
    /// [`TlsError`] where the CA cannot be read or the URL has no host that a certificate can name.
    pub fn new(url: Url, ca: &str, secret: &[u8], clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let host = url.host_str().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| TlsError::Certificate)?;
        let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(443));
        let (tls, key) = (Arc::new(webhook_config(ca)?), hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(Self { url, address, name, tls, key, clock })
    }

    async fn post(&self, id: AlertId, body: Bytes) -> Result<StatusCode, DeliveryError> {
        let unreachable = |detail: String| DeliveryError { code: "WEBHOOK_UNREACHABLE", detail, refused: false };
        let stream = names::connect(&self.address).await.map_err(|error| unreachable(error.to_string()))?;
        let tls = TlsConnector::from(self.tls.clone()).connect(self.name.clone(), stream).await;
        let tls = tls.map_err(|error| DeliveryError { code: "WEBHOOK_TLS", ..unreachable(error.to_string()) })?;
        let broken = |error: hyper::Error| unreachable(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(broken)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = self.request(id, body).map_err(|error| unreachable(error.to_string()))?;
        Ok(sender.send_request(request).await.map_err(broken)?.status())
    }

    fn request(&self, id: AlertId, body: Bytes) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let seconds = self.clock.now().unix_ms() / 1_000;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(format!("{id}.{seconds}.").as_bytes());
        context.update(&body);
        let signature = BASE64.encode(context.sign());
        let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(HOST, &self.url[url::Position::BeforeHost..url::Position::AfterPort])
            .header(USER_AGENT, concat!("countermark/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", format!("v1,{signature}"))
            .body(Full::new(body))
    }
}

#[async_trait]
impl AlertSink for Webhook {
    async fn deliver(&self, id: AlertId, alert: &Alert) -> Result<(), DeliveryError> {
        let body = Bytes::from(serde_json::to_vec(&Message::of(id, alert)).unwrap_or_default());
        let late = || DeliveryError {
            code: "WEBHOOK_TIMEOUT",
            detail: format!("no answer within {} s", DELIVERY_TIMEOUT.as_secs()),
            refused: false,
        };
        let status = timeout(DELIVERY_TIMEOUT, self.post(id, body)).await.map_err(|_| late())??;
        if status.is_success() {
            return Ok(());
        }
        // A receiver that is in trouble, or wants to be asked later, has not refused anything.
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        let refused = status.is_client_error() && !passing.contains(&status);
        let code = if refused { "WEBHOOK_REFUSED" } else { "WEBHOOK_FAILED" };
        Err(DeliveryError { code, detail: format!("the receiver answered {status}"), refused })
    }
}

/// What is posted. Its fields are part of the interface.
#[derive(Serialize)]
struct Message {
    r#type: &'static str,
    timestamp: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    alert: String,
    watch: String,
    label: String,
    kind: &'static str,
    before: Stands,
    after: Stands,
    /// Empty where time alone changed the answer.
    signal: String,
}

#[derive(Serialize)]
struct Stands {
    verdict: &'static str,
    members_elsewhere: u32,
}

impl Stands {
    fn of(standing: Standing) -> Self {
        Self { verdict: standing.verdict.as_str(), members_elsewhere: standing.members }
    }
}

impl Message {
    fn of(id: AlertId, alert: &Alert) -> Self {
        Self {
            r#type: "countermark.alert",
            timestamp: alert.raised_at.to_string(),
            data: Data {
                alert: id.to_string(),
                watch: alert.watch.to_string(),
                label: alert.label.clone(),
                kind: alert.kind.as_str(),
                before: Stands::of(alert.before),
                after: Stands::of(alert.after),
                signal: alert.signal.as_ref().map(ToString::to_string).unwrap_or_default(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
