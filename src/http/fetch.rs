//! Small public documents from elsewhere: an issuer's keys and metadata. GET only, no redirects, a bound, a deadline.
//!
//! Which addresses may be asked is for the caller, before each call; a redirect would lead somewhere nobody allowed, so it is an error
//! like any other status.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::Url;

/// From the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest document; Entra's keys have some 20 KiB.
const LIMIT: usize = 256 * 1024;
const IDLE: Duration = Duration::from_secs(10);

/// Why there is no document. Texts are for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The deadline passed.
    #[error("no answer within 5 seconds")]
    Silent,
    /// The connection cannot be made or broke.
    #[error("not reached: {0}")]
    Unreached(String),
    /// Anything but 200; also a redirect.
    #[error("answered {0}, not 200")]
    Status(StatusCode),
    /// The document is too large.
    #[error("the document is larger than 256 KiB")]
    TooLong,
}

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Fetches documents. The machine's trust roots are read by the first https call.
#[derive(Default)]
pub(super) struct Fetcher {
    http: OnceCell<Https>,
}

impl Fetcher {
    /// The document at `url`.
    ///
    /// # Errors
    /// When there is none to read.
    pub(super) async fn get(&self, url: &Url) -> Result<Bytes, FetchError> {
        timeout(DEADLINE, self.fetch(url)).await.map_err(|_| FetchError::Silent)?
    }

    async fn fetch(&self, url: &Url) -> Result<Bytes, FetchError> {
        let http = self.http.get_or_try_init(connect).await?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| FetchError::Unreached("not a URI".to_owned()))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
        let answer = http.request(request).await.map_err(|error| FetchError::Unreached(error.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), LIMIT).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { FetchError::TooLong } else { FetchError::Unreached(error.to_string()) }
        })?;
        Ok(body.to_bytes())
    }
}

async fn connect() -> Result<Https, FetchError> {
    // Reading some hundred certificates takes a while.
    let tls = tokio::task::spawn_blocking(tls)
        .await
        .map_err(|error| FetchError::Tls(error.to_string()))?
        .map_err(FetchError::Tls)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

/// The machine's trust roots; `SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise. None at all is an error only of https calls.
fn tls() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
