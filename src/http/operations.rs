//! The operations listener: health, readiness, metrics. Never reachable through the public one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode, header};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::timeout;

use super::gateway::{REQUEST_ID, request_id_value};
use super::message::{Response, answer, empty};
use super::record::RequestIds;
use crate::store::Store;
use crate::types::Clock;

/// What the operations listener answers from.
pub struct Operations {
    /// Whose reachability readiness tells.
    pub store: Store,
    /// Renders the metrics; `None` when another part of the process owns the recorder.
    pub metrics: Option<PrometheusHandle>,
    /// Time.
    pub clock: Clock,
    /// Names requests, as the public listener does.
    pub request_ids: Arc<RequestIds>,
    /// Set when the process has been told to stop.
    pub draining: Arc<AtomicBool>,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Operations {
    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: http::Request<Incoming>) -> Response {
        let mut response = self.answer(&request).await;
        let id = self.request_ids.next(self.clock.now());
        response.headers_mut().insert(REQUEST_ID, request_id_value(&id));
        response
    }

    async fn answer<B>(&self, request: &http::Request<B>) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.ready().await,
            "/metrics" => {
                let text = self.metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default();
                answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
            }
            _ => answer(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz and /metrics here\n"),
        }
    }

    async fn ready(&self) -> Response {
        if self.draining.load(Ordering::Acquire) {
            return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n");
        }
        match timeout(Duration::from_secs(1), self.store.ping()).await {
            Ok(Ok(())) => answer(StatusCode::OK, TEXT, "ready\n"),
            Ok(Err(_)) | Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the state cannot be reached\n"),
        }
    }
}
