//! HTTP as rehearse speaks it: one pooled HTTP/1.1 client, a deadline on every call, a bound on every body, no redirects.
//!
//! It counts requests and latency for the report. It knows neither SCIM nor OAuth; a TLS connection trusts the system's
//! roots and, if given, those of one more file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::types::Clock;

/// The largest answer that is read; a page of a hundred people takes some 200 KiB.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// An answer slower than this is counted as slow: what Okta's specification test asks for.
pub(super) const SLOW: Duration = Duration::from_millis(600);

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Method and address of the request it answers.
    pub line: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The text of a header, if there is one and it is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header(header::CONTENT_TYPE)?;
        Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Silence {
    /// No connection came about: name, address, port, TLS.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The connection broke, or the answer is no HTTP, or too long.
    #[error("connection broken: {0}")]
    Broken(String),
    /// The run was interrupted while it waited for its turn.
    #[error("interrupted")]
    Interrupted,
}

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error("cannot read certificates from {}: {reason}", path.display())]
    Certificates { path: PathBuf, reason: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// The client.
pub(super) struct Wire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    clock: Clock,
    tally: Mutex<Tally>,
}

impl Wire {
    /// A client that keeps up to `connections` idle connections and gives each call `timeout`.
    pub fn new(
        extra_roots: Option<&Path>,
        connections: usize,
        timeout: Duration,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let mut roots = rustls::RootCertStore::empty();
        // A machine without a certificate store can still rehearse against plain HTTP or with --ca-file.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = extra_roots {
            let failed = |reason: String| SetupError::Certificates { path: path.to_owned(), reason };
            let found: Vec<_> = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| failed(error.to_string()))?;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(failed("no usable certificate in it".into()));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(connections.max(1)).build(connector);
        Ok(Self { client, timeout, clock, tally: Mutex::default() })
    }

    /// Sends one request and reads its answer whole; never follows a redirect.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Silence> {
        let line = format!("{} {}", request.method(), request.uri());
        let start = self.clock.monotonic();
        let outcome = tokio::time::timeout(self.timeout, self.exchange(request)).await;
        let took = self.clock.monotonic().saturating_sub(start);
        let outcome = outcome.unwrap_or(Err(Silence::TimedOut(self.timeout)));
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok((parts, body)) => {
                let status = parts.status.as_u16();
                tally.answered(status, took);
                Ok(Answer { line, status, headers: parts.headers, body })
            }
            Err(silence) => {
                tally.silent += 1;
                Err(silence)
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(http::response::Parts, Bytes), Silence> {
        let response = self.client.request(request).await.map_err(|error| {
            let reason = root_cause(&error);
            if error.is_connect() { Silence::Unreachable(reason) } else { Silence::Broken(reason) }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await;
        Ok((parts, body.map_err(|error| Silence::Broken(root_cause(error.as_ref())))?.to_bytes()))
    }

    /// Notes that a 429 was waited out.
    pub fn waited(&self, span: Duration) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.waited += span;
    }

    /// What has been counted so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The innermost cause, which says more than "client error (Connect)".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Requests, statuses and latencies in constant space.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub silent: u64,
    /// Answers slower than [`SLOW`].
    pub slow: u64,
    /// Time spent waiting because of a 429.
    pub waited: Duration,
    /// The slowest answer.
    pub slowest: Duration,
    latencies: Latencies,
}

impl Tally {
    fn answered(&mut self, status: u16, took: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.slow += u64::from(took > SLOW);
        self.slowest = self.slowest.max(took);
        self.latencies.record(took);
    }

    /// Requests sent, answered or not.
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.silent
    }

    /// The latency that `percent` of the answers stay below, to some 6 %.
    pub fn percentile(&self, percent: u64) -> Duration {
        self.latencies.percentile(percent)
    }
}

/// A histogram of microseconds: sixteen buckets to each power of two.
#[derive(Clone, Debug, Default)]
struct Latencies {
    buckets: BTreeMap<u32, u64>,
}

impl Latencies {
    fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(16);
        let power = micros.ilog2();
        let step = u32::try_from((micros >> (power - 4)) & 15).unwrap_or(15);
        *self.buckets.entry(power * 16 + step).or_default() += 1;
    }

    fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.buckets.values().sum();
        let wanted = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                let (power, step) = (bucket / 16, u64::from(bucket % 16));
                return Duration::from_micros((17 + step) << (power - 4));
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_sixteenth() {
        let mut latencies = Latencies::default();
        for millis in 1..=100 {
            latencies.record(Duration::from_millis(millis));
        }
        for (percent, millis) in [(50, 50), (99, 99), (1, 1)] {
            let found = latencies.percentile(percent).as_micros();
            assert!((millis * 1000..=millis * 1070).contains(&found), "p{percent}: {found} µs");
        }
        assert_eq!(Latencies::default().percentile(99), Duration::ZERO);
    }
}
