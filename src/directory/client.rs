//! The outbound call: pooled, bounded, over by a deadline whatever happens, to the one host that is configured.
//!
//! HTTP/1.1, or HTTP/2 where a TLS server offers it (ALPN). Redirects are answers like others: a request, with its bearer
//! token, goes nowhere but to [`Base`]. A failed call tells whether it can have been carried out (design decision 6); only a
//! GET whose connection broke is made once more. No directory's language is known here.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ports::DirectoryError;
use crate::types::{Clock, Secret, Timestamp};

/// The most an answer's body may hold, in bytes.
pub const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// How long an idle connection is kept. Shorter than the 5 s after which common application servers close theirs, so that a
/// request that must not be repeated rarely meets a connection that is just going away.
const IDLE: Duration = Duration::from_secs(4);

/// The longest wait that is believed of a `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Where a directory lives: scheme, host and port, and what stands before every path.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

impl Base {
    /// Reads `http[s]://host[:port][/prefix]`.
    ///
    /// # Errors
    /// Says what is wrong, without the address (it may hold a password).
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text)
            .map_err(|error| format!("is not an address such as https://hr.example.com/api: {error}"))?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(format!("must begin with http:// or https://, not {other}:")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password; give a bearer token in token".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must end before ? and #; parameters stand in the operations".into());
        }
        let authority = Authority::try_from(url.authority()).map_err(|_| "names no usable host")?;
        Ok(Self { scheme, authority, prefix: url.path().trim_end_matches('/').to_owned() })
    }

    /// Scheme, host and port, such as `https://hr.example.com`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// What stands before every path: empty, or begins with `/` and does not end with it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer. Texts are for the operator's log and hold no value of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The deadline passed after the request may have left.
    #[error("no answer in time")]
    Silent,
    /// The deadline passed while too many other calls were under way; the request never left.
    #[error("too many calls under way")]
    Crowded,
    /// The request certainly never left.
    #[error("not reached: {0}")]
    Unreached(String),
    /// The connection broke after the request may have left, or the answer could not be read to its end.
    #[error("broken off: {0}")]
    Broken(String),
    /// The answer is longer than [`ANSWER_LIMIT`].
    #[error("the answer is longer than {ANSWER_LIMIT} bytes")]
    TooLong,
}

impl CallError {
    /// As a connector reports it; `changes` is false for a request that only reads, of which nothing can have been done.
    #[must_use]
    pub fn reported(self, changes: bool) -> DirectoryError {
        match self {
            Self::Silent => DirectoryError::Silent,
            Self::Crowded => DirectoryError::Busy { retry_after: None },
            Self::Unreached(_) => DirectoryError::Failed { reason: self.to_string(), maybe_done: false },
            Self::Broken(_) | Self::TooLong => DirectoryError::Failed { reason: self.to_string(), maybe_done: changes },
        }
    }
}

/// The point by which a piece of work, be it several calls, must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// Calls one directory.
pub struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Base,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    under_way: Semaphore,
    clock: Clock,
}

impl Client {
    /// A client of the directory at `base`, with a bearer `token`, one `timeout` a call and `max_in_flight` calls at once. The
    /// machine's trust roots are read only when `base` is https.
    ///
    /// # Errors
    /// Says why TLS or the token cannot be set up.
    pub fn new(
        base: Base,
        token: Option<&Secret>,
        timeout: Duration,
        max_in_flight: usize,
        clock: Clock,
    ) -> Result<Self, String> {
        let authorization = token
            .map(|token| {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                    .map_err(|_| "the bearer token holds a letter that a header cannot carry")?;
                value.set_sensitive(true);
                Ok::<_, String>(value)
            })
            .transpose()?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(base.scheme == Scheme::HTTPS)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(max_in_flight)
            .build(connector);
        Ok(Self { http, base, authorization, timeout, under_way: Semaphore::new(max_in_flight), clock })
    }

    /// The directory's address.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// When what begins now must have ended.
    pub fn deadline(&self) -> Deadline {
        Deadline(Instant::now() + self.timeout)
    }

    /// Sends one request, with `body` as JSON if there is one, and reads the answer to its end, all before `deadline`.
    ///
    /// # Errors
    /// When there is none to read.
    pub async fn call(
        &self,
        method: &Method,
        path: PathAndQuery,
        body: Option<Bytes>,
        deadline: Deadline,
    ) -> Result<Answer, CallError> {
        self.call_with(method, path, &HeaderMap::new(), body, deadline).await
    }

    /// As [`Client::call`], with headers of the caller's, which replace those of the same name.
    ///
    /// # Errors
    /// When there is no answer to read.
    pub async fn call_with(
        &self,
        method: &Method,
        path: PathAndQuery,
        headers: &HeaderMap,
        body: Option<Bytes>,
        deadline: Deadline,
    ) -> Result<Answer, CallError> {
        let mut at = Stage::Waiting;
        let whole = async {
            let _permit = self.under_way.acquire().await.map_err(|_| CallError::Crowded)?;
            match self.send(method, path.clone(), headers, body.clone(), &mut at).await {
                Err(CallError::Broken(_)) if *method == Method::GET => {
                    self.send(method, path, headers, body, &mut at).await
                }
                outcome => outcome,
            }
        };
        match tokio::time::timeout_at(deadline.0, whole).await {
            Ok(outcome) => outcome,
            Err(_) => Err(at.overdue()),
        }
    }

    async fn send(
        &self,
        method: &Method,
        path: PathAndQuery,
        own: &HeaderMap,
        body: Option<Bytes>,
        at: &mut Stage,
    ) -> Result<Answer, CallError> {
        let mut request = Request::new(Full::new(body.clone().unwrap_or_default()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = Uri::builder()
            .scheme(self.base.scheme.clone())
            .authority(self.base.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| CallError::Unreached(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in own {
            if *name != header::CONTENT_TYPE || body.is_some() {
                headers.insert(name, value.clone());
            }
        }
        // What is only read needs no knowledge of how far it came.
        *at = match *method {
            Method::GET => Stage::Sent,
            _ => Stage::Connecting(capture_connection(&mut request)),
        };
        let answer = self.http.request(request).await.map_err(|error| unsent_or_broken(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { CallError::TooLong } else { CallError::Broken(chain(error.as_ref())) }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// How long an answer's `Retry-After` (RFC 9110 §10.2.3) asks to wait, in seconds or as a date; a day at most.
    pub fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = if let Ok(seconds) = text.parse() {
            Duration::from_secs(seconds)
        } else {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Timestamp::from_millis(date.as_millisecond()).since(self.clock.now())
        };
        Some(wait.min(LONGEST_WAIT))
    }
}

/// How far a call has come.
enum Stage {
    Waiting,
    Connecting(legacy::connect::CaptureConnection),
    Sent,
}

impl Stage {
    fn overdue(&self) -> CallError {
        match self {
            Self::Waiting => CallError::Crowded,
            Self::Connecting(connection) if connection.connection_metadata().is_none() => {
                CallError::Unreached("no connection in time".into())
            }
            Self::Connecting(_) | Self::Sent => CallError::Silent,
        }
    }
}

/// hyper gives a request back as "canceled" only while nothing of it has been written; the pool then tries another connection
/// by itself, unless this one was new.
fn unsent_or_broken(error: &legacy::Error) -> CallError {
    let cancelled =
        error.source().and_then(|source| source.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_canceled);
    let text = chain(error);
    if error.is_connect() || cancelled { CallError::Unreached(text) } else { CallError::Broken(text) }
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}

/// How TLS is spoken to others: with the machine's trust roots if `wanted`, else with none (for plain HTTP alone).
///
/// # Errors
/// Says why there are none.
pub(crate) fn tls(wanted: bool) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    if wanted {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!("no trusted certificates found on this machine (SSL_CERT_FILE, SSL_CERT_DIR){why}"));
        }
    }
    trusting(roots)
}

/// The same with these trust roots.
///
/// # Errors
/// Says why they are none.
pub(crate) fn tls_with(certificates: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| format!("a trusted root is no certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("the file of trusted roots holds no certificate".into());
    }
    trusting(roots)
}

fn trusting(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        let base = Base::parse("http://127.0.0.1:9").unwrap();
        let clock = Clock::manual(Timestamp::from_seconds(784_111_777)); // Sun, 06 Nov 1994 08:49:37 GMT
        Client::new(base, None, Duration::from_millis(20), 1, clock).unwrap()
    }

    #[test]
    fn an_address_is_taken_apart_or_refused() {
        for (text, prefix) in [
            ("http://127.0.0.1:9000", Ok("")),
            ("https://hr.example.com/", Ok("")),
            ("https://hr.example.com/api/v1/", Ok("/api/v1")),
            ("http://[::1]:9000/x", Ok("/x")),
            ("ldap://hr.example.com", Err("must begin with http:// or https://, not ldap:")),
            (
                "https://ada:pw@hr.example.com",
                Err("must not hold a user name or password; give a bearer token in token"),
            ),
            ("https://hr.example.com/?a=b", Err("must end before ? and #; parameters stand in the operations")),
        ] {
            assert_eq!(Base::parse(text).as_ref().map(Base::prefix).map_err(String::as_str), prefix, "{text}");
        }
        assert!(Base::parse("hr.example.com").is_err());
        assert!(Base::parse("").is_err());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let client = client();
        for (text, wait) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(86400)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(client.retry_after(&headers), wait.map(Duration::from_secs), "{text}");
        }
        assert_eq!(client.retry_after(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_place_was_never_sent() {
        let client = client();
        let _place = client.under_way.acquire().await.unwrap();
        let outcome = client.call(&Method::POST, PathAndQuery::from_static("/"), None, client.deadline()).await;
        assert_eq!(outcome.map(|answer| answer.status), Err(CallError::Crowded));
    }
}
