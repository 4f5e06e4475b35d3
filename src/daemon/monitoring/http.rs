use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Monitor;
use crate::domain::limits::{MAX_MONITORS, MONITOR_HEAD_TIMEOUT, MONITOR_TIMEOUT};

const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers on `socket` until `working` is cancelled. Not until the node stops serving: that it is stopping is worth telling.
pub(in crate::daemon) async fn serve(monitor: Arc<Monitor>, socket: TcpListener, working: CancellationToken) {
    let room = Arc::new(Semaphore::new(MAX_MONITORS));
    let connections = TaskTracker::new();
    while let Some(accepted) = working.run_until_cancelled(next(&socket, &room)).await {
        let Some((stream, permit)) = accepted else { break };
        let (monitor, working) = (monitor.clone(), working.clone());
        connections.spawn(async move {
            let _permit = permit;
            let connection = tokio::time::timeout(MONITOR_TIMEOUT, converse(monitor, stream));
            if working.run_until_cancelled(connection).await.is_some_and(|ended| ended.is_err()) {
                tracing::debug!("a connection of whoever monitors was closed for its age");
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// The next connection once there is room for it; `None` never comes while the node runs. What the operating system refuses is
/// waited out.
async fn next(socket: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return Some((stream, permit)),
            Err(error) => {
                tracing::warn!(code = "ACCEPT_FAILED", %error, "whoever monitors cannot be let in");
                tokio::time::sleep(MONITOR_HEAD_TIMEOUT).await;
            }
        }
    }
}

async fn converse(monitor: Arc<Monitor>, stream: TcpStream) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let monitor = monitor.clone();
        async move { Ok::<_, Infallible>(answer(monitor, &request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(MONITOR_HEAD_TIMEOUT);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a connection of whoever monitors ended early");
    }
}

async fn answer(monitor: Arc<Monitor>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/readyz" => off_thread(move || readiness(&monitor)).await,
        "/metrics" => off_thread(move || metrics(&monitor)).await,
        _ => plain(StatusCode::NOT_FOUND, "here are /metrics, /healthz and /readyz\n"),
    }
}

/// The node's state reads sizes of files.
async fn off_thread(look: impl FnOnce() -> Response<Full<Bytes>> + Send + 'static) -> Response<Full<Bytes>> {
    let looked = tokio::task::spawn_blocking(look).await;
    looked.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the state of the node could not be read\n"))
}

fn readiness(monitor: &Monitor) -> Response<Full<Bytes>> {
    let reasons = monitor.unready();
    if reasons.is_empty() {
        return plain(StatusCode::OK, "ready\n");
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, reasons.iter().map(|reason| format!("{reason}\n")).collect::<String>())
}

fn metrics(monitor: &Monitor) -> Response<Full<Bytes>> {
    match monitor.metrics() {
        Ok(text) => response(StatusCode::OK, prometheus_text::CONTENT_TYPE, text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n"),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, PLAIN, text)
}

fn response(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
