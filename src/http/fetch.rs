//! Calls to identity providers: their keys and metadata, and the token endpoint where administrators sign in. One request, one
//! answer read whole, by a deadline and within a bound.
//!
//! Redirects are not followed (a code must go nowhere but to the token endpoint, keys come from nowhere but where they may), proxies of
//! the environment are not asked, and nothing is sent twice. Which addresses may be asked is for the caller, before each call.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::directory::client::tls;

/// Of a public document, from the connection to the last byte.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest answer, in bytes; Entra's keys have some 20 KiB, an ID token with many groups as much.
const LIMIT: usize = 512 * 1024;
const IDLE: Duration = Duration::from_secs(10);

/// Why there is no answer; for the operator's log, without a value of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The deadline passed.
    #[error("no answer in time")]
    Silent,
    /// The connection cannot be made or broke.
    #[error("not reached: {0}")]
    Unreached(String),
    /// Anything but 200; also a redirect.
    #[error("it answers {0}, not 200")]
    Status(StatusCode),
    /// The answer is too large.
    #[error("the answer is larger than 512 KiB")]
    TooLong,
}

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Fetches. The client is made when it is first needed: reading the machine's trust roots takes a while.
#[derive(Default)]
pub(super) struct Fetcher {
    http: OnceCell<Https>,
}

impl Fetcher {
    /// The public document at `url`, within [`DEADLINE`] and no later than `deadline`.
    ///
    /// # Errors
    /// When there is none to read.
    pub(super) async fn get(&self, url: &Url, deadline: Option<Instant>) -> Result<Bytes, FetchError> {
        let request = Request::get(url.as_str())
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))))
            .body(Bytes::new())
            .map_err(|_| FetchError::Unreached("not a URI".to_owned()))?;
        let ours = Instant::now() + DEADLINE;
        let answer = self.send(request, deadline.map_or(ours, |deadline| deadline.min(ours))).await?;
        if answer.status() == StatusCode::OK {
            Ok(answer.into_body())
        } else {
            Err(FetchError::Status(answer.status()))
        }
    }

    /// Sends `request` and reads the answer to its end before `deadline`, whatever its status.
    ///
    /// # Errors
    /// When there is none to read.
    async fn send(&self, request: Request<Bytes>, deadline: Instant) -> Result<Response<Bytes>, FetchError> {
        let exchange = async {
            let http = self.http.get_or_try_init(connect).await?;
            let unreached = |error: &dyn std::error::Error| FetchError::Unreached(error.to_string());
            let answer = http.request(request.map(Full::new)).await.map_err(|error| unreached(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LIMIT).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() { FetchError::TooLong } else { unreached(error.as_ref()) }
            })?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout_at(deadline, exchange).await.unwrap_or(Err(FetchError::Silent))
    }
}

/// A [`Fetcher`] with a deadline, as the oauth2 crate wants its HTTP client.
pub(super) struct Until<'a>(pub &'a Fetcher, pub Instant);

impl<'c> oauth2::AsyncHttpClient<'c> for Until<'_> {
    type Error = FetchError;
    type Future = BoxFuture<'c, Result<oauth2::HttpResponse, FetchError>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        let sent = self.0.send(request.map(Bytes::from), self.1);
        Box::pin(async { Ok(sent.await?.map(|body| body.to_vec())) })
    }
}

async fn connect() -> Result<Https, FetchError> {
    // Issuers on this machine are asked in clear and need no roots; that the machine has none is found out by the others.
    let tls = tokio::task::spawn_blocking(|| tls(true).or_else(|_| tls(false)))
        .await
        .map_err(|error| FetchError::Tls(error.to_string()))?
        .map_err(FetchError::Tls)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
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
