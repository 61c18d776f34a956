//! The call to an OpenID provider: one request, one answer read whole, by a deadline and within a bound.
//!
//! Redirects are not followed (a token request must go nowhere but to the token endpoint), proxies of the environment are not
//! asked, and nothing is sent twice.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::directory::client::tls;

/// The most an answer may hold, in bytes.
const ANSWER_LIMIT: usize = 512 * 1024;

/// Why there is no answer; for the operator's log, without a value of the request.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboundError {
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
    /// The deadline passed.
    #[error("no answer in time")]
    Silent,
    /// No connection, or it broke.
    #[error("not reached: {0}")]
    Unreached(#[from] legacy::Error),
    /// The answer broke off or is longer than half a MiB.
    #[error("the answer cannot be read: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
}

/// The client; made when it is first needed, because reading the machine's trust roots takes a while.
#[derive(Default)]
pub(super) struct Outbound(OnceCell<legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>>);

impl Outbound {
    /// Sends `request` and reads the answer to its end before `deadline`.
    ///
    /// # Errors
    /// When there is none to read.
    pub(super) async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        deadline: Instant,
    ) -> Result<http::Response<Vec<u8>>, OutboundError> {
        let exchange = async {
            let client = self.0.get_or_try_init(client).await?;
            let answer = client.request(request.map(|body| Full::new(Bytes::from(body)))).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT).collect().await.map_err(OutboundError::Answer)?;
            Ok(http::Response::from_parts(head, body.to_bytes().to_vec()))
        };
        tokio::time::timeout_at(deadline, exchange).await.unwrap_or(Err(OutboundError::Silent))
    }
}

/// An [`Outbound`] with a deadline, as the oauth2 crate wants its HTTP client.
pub(super) struct Until<'a>(pub &'a Outbound, pub Instant);

impl<'c> oauth2::AsyncHttpClient<'c> for Until<'_> {
    type Error = OutboundError;
    type Future = BoxFuture<'c, Result<oauth2::HttpResponse, OutboundError>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(self.0.send(request, self.1))
    }
}

async fn client() -> Result<legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>, OutboundError> {
    // Providers on this machine are asked in clear and need no roots; that the machine has none is found out by the others.
    let roots = tokio::task::spawn_blocking(|| tls(true).or_else(|_| tls(false))).await;
    let tls = roots.map_err(|error| OutboundError::Tls(error.to_string()))?.map_err(OutboundError::Tls)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(2)
        .build(connector))
}
