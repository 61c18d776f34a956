//! The authorization server's endpoints (RFC 6749, 7009, 7636, 7662, 8414, 9207) over the state.
//!
//! What may be granted, refused or repeated is decided in [`crate::oauth`]; here are the wire, the pages and the order of steps. Every
//! refusal leaves in the form its reader parses: a page for a person, JSON for a client, a redirect for a client by way of
//! a person.

pub(in crate::http) mod authorize;
pub(in crate::http) mod browser;
mod clients;
mod directory_sign_in;
mod expiry;
mod federation;
mod oidc;
pub(in crate::http) mod pages;
mod revoke;
pub(in crate::http) mod sign_in;
mod signing;
mod throttle;
mod token;

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::authenticate::{FirstUses, Verdicts};
use super::fetch::Fetcher;
use super::message::{Request, Response, answer, empty};
use super::page;
use crate::config::{self, Tenant};
use crate::oauth::derive::DerivationKey;
use crate::oauth::metadata;
use crate::oauth::parameters::{MAX_TOTAL, Parameters};
use crate::oauth::{ErrorCode, OAuthError};
use crate::store::{Store, StoreError};
use crate::types::{Clock, Random};
use browser::Browser;
use clients::Acquaintances;
use directory_sign_in::Verifiers;
pub use expiry::Expiring;
pub(super) use federation::Distrust;
use federation::Foreign;
use oidc::Providers;
use signing::Keys;
pub use signing::add_key;
use throttle::Throttle;

/// How many passwords are verified at once: each takes 19 MiB and a core for a while.
const HASHING: usize = 2;
/// How many passwords user systems are asked about at once, of all tenants.
const ASKING: usize = 32;

/// Why the authorization server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signing key cannot be made or read.
    #[error("the state holds a signing key that cannot be used")]
    Key,
}

/// One of the server's endpoints (contract §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/oauth/authorize`: sign-in and the Access Request.
    Authorize,
    /// `/oauth/token`.
    Token,
    /// `/oauth/revoke` (RFC 7009).
    Revoke,
    /// `/oauth/introspect` (RFC 7662).
    Introspect,
    /// `/oauth/jwks` (RFC 7517).
    Jwks,
    /// `/.well-known/oauth-authorization-server/t/…` (RFC 8414).
    Metadata,
    /// Ends the administrator's session; for forms on pages of our own.
    SignOut,
    /// `/oauth/callback`: back from the organisation's OpenID provider.
    Callback,
}

impl Endpoint {
    /// A refusal in the form of the endpoint's readers: a page for people, JSON for clients.
    fn refuse(self, status: StatusCode, text: &'static str) -> Response {
        match self {
            Self::Authorize | Self::SignOut | Self::Callback => page::refusal(status, text, None),
            _ => refusal(status, &OAuthError::invalid_request(text)),
        }
    }

    /// The `Allow` header, and whether `method` is in it.
    fn allows(self, method: &Method) -> (bool, &'static str) {
        match self {
            Self::Authorize => ([Method::GET, Method::HEAD, Method::POST].contains(method), "GET, HEAD, POST"),
            Self::Jwks | Self::Metadata | Self::Callback => ([Method::GET, Method::HEAD].contains(method), "GET, HEAD"),
            Self::Token | Self::Revoke | Self::Introspect | Self::SignOut => (*method == Method::POST, "POST"),
        }
    }
}

/// The authorization server of all tenants of a gateway.
pub struct AuthorizationServer {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) verdicts: Verdicts,
    pub(super) first_uses: Arc<FirstUses>,
    /// Writes begun off the path of a request.
    pub(super) background: TaskTracker,
    pub(super) foreign: Foreign,
    acquaintances: Acquaintances,
    keys: Keys,
    random: Random,
    derivation: DerivationKey,
    throttle: Throttle,
    hashing: Semaphore,
    asking: Semaphore,
    providers: Providers,
    verifiers: Verifiers,
}

impl AuthorizationServer {
    /// Opens the server over its state; the first start makes its keys.
    ///
    /// # Errors
    /// When the state is not available or a key in it cannot be used.
    pub async fn open(store: Store, keys: &config::Keys, clock: Clock, random: Random) -> Result<Self, OpenError> {
        store.unlock(&keys.master, &random).await?;
        let fetcher = Arc::<Fetcher>::default();
        Ok(Self {
            keys: Keys::open(&store, keys.algorithm, &clock, &random).await?,
            derivation: DerivationKey::new(&store.server_secret("derivation", &random.bytes()).await?),
            throttle: Throttle::new(&clock, &random),
            verdicts: Verdicts::new(),
            foreign: Foreign::new(&clock, Arc::clone(&fetcher)),
            acquaintances: Acquaintances::new(),
            first_uses: Arc::default(),
            background: TaskTracker::new(),
            hashing: Semaphore::new(HASHING),
            asking: Semaphore::new(ASKING),
            providers: Providers::new(clock.clone(), fetcher),
            verifiers: Verifiers::new(clock.clone()),
            store,
            clock,
            random,
        })
    }

    /// Answers a request to one of the endpoints of `tenant`.
    pub async fn handle(&self, tenant: &Tenant, endpoint: Endpoint, request: Request) -> Response {
        // Administrators sign in to every tenant's console.
        if !tenant.dialect.oauth && !matches!(endpoint, Endpoint::Callback | Endpoint::SignOut) {
            let text = "This tenant has no authorization server; its identity provider uses a secret token.";
            return endpoint.refuse(StatusCode::NOT_FOUND, text);
        }
        let (allowed, allow) = endpoint.allows(&request.method);
        if !allowed {
            let text = "This endpoint does not know the method; see the Allow header.";
            let mut response = endpoint.refuse(StatusCode::METHOD_NOT_ALLOWED, text);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
            return response;
        }
        match endpoint {
            Endpoint::Authorize => self.authorize(tenant, &request).await,
            Endpoint::Token => self.token(tenant, &request).await.unwrap_or_else(|fault| fault.answer(tenant)),
            Endpoint::Revoke => self.revoke(tenant, &request).await.unwrap_or_else(|fault| fault.answer(tenant)),
            Endpoint::Introspect => {
                self.introspect(tenant, &request).await.unwrap_or_else(|fault| fault.answer(tenant))
            }
            Endpoint::Jwks => published(&self.keys.jwks(self.clock.now())),
            Endpoint::Metadata => published(&metadata::document(&tenant.issuer)),
            Endpoint::SignOut => self.sign_out(tenant, &request).await,
            Endpoint::Callback => self.callback(tenant, &request).await,
        }
    }

    /// Drops every cached verdict about a token: the state's generation moved.
    pub fn forget(&self) {
        self.verdicts.forget();
    }

    /// Takes up what another process did: verdicts are void, and there may be other signing keys.
    pub async fn catch_up(&self) {
        self.forget();
        match self.keys.reload(&self.store).await {
            // A verdict of the meantime may rest on a key that is gone.
            Ok(true) => self.forget(),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = %error, "the signing keys cannot be read again; those known stay in use");
            }
        }
    }

    /// Waits for writes that were begun off the path of a request; for the end of the process.
    pub async fn settle(&self) {
        self.background.close();
        self.background.wait().await;
        self.background.reopen();
    }

    async fn sign_out(&self, tenant: &Tenant, request: &Request) -> Response {
        let browser = Browser::of(tenant, &request.headers, &self.random);
        let form = Parameters::parse(&request.body);
        let token = form.as_ref().ok().and_then(|form| form.text("form_token").ok().flatten()).unwrap_or_default();
        if !self.is_own_form(tenant, &browser, &request.headers, token) {
            return pages::expired();
        }
        match self.store.end_session(&browser.cookie.digest()).await {
            Ok(()) => {
                let text = "You can close this window.";
                Browser::new(&self.random)
                    .remember(tenant, page::message(StatusCode::OK, "You are signed out", text, None, false))
            }
            Err(error) => pages::unavailable(&error),
        }
    }

    /// The form a client posts, with no parameter twice (RFC 6749 §3.2).
    fn form(request: &Request) -> Result<Parameters, Fault> {
        // 415 here has broken a live tenant: whatever is wrong with the body is 400, which clients understand.
        if !is_form(request) {
            return Err(OAuthError::invalid_request("The body must be application/x-www-form-urlencoded.").into());
        }
        let form = Parameters::parse(&request.body)?;
        form.distinct()?;
        Ok(form)
    }
}

/// Whether the body is a form; a missing type is taken for one, and parameters such as a charset do not matter.
fn is_form(request: &Request) -> bool {
    request.headers.get(header::CONTENT_TYPE).is_none_or(|value| {
        let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }) && request.body.len() <= MAX_TOTAL
}

/// A redirect that is kept nowhere.
pub(in crate::http) fn redirect_to(status: StatusCode, to: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(to) else {
        return pages::broken_request(&OAuthError::invalid_request("The redirect_uri cannot be put into a header."));
    };
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Why a client does not get what it asked for.
enum Fault {
    /// It may not have it.
    Refused(OAuthError),
    /// The state is not available.
    State(StoreError),
    /// A token cannot be signed.
    Signing(jsonwebtoken::errors::Error),
}

impl From<OAuthError> for Fault {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::State(error)
    }
}

impl Fault {
    fn answer(self, tenant: &Tenant) -> Response {
        match self {
            Self::Refused(error) => {
                let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = refusal(status, &error);
                // Also when the credentials came in the body: a 401 without a challenge is none (RFC 9110 §15.5.2).
                if status == StatusCode::UNAUTHORIZED
                    && let Ok(challenge) = HeaderValue::try_from(format!("Basic realm=\"{}\"", tenant.name))
                {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Self::State(error) => {
                tracing::error!(tenant = tenant.name, error = %error, "the state failed an OAuth request");
                let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.");
                let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &error);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
            Self::Signing(error) => {
                tracing::error!(tenant = tenant.name, error = %error, "an access token cannot be signed");
                let error = OAuthError::new(ErrorCode::ServerError, "The token cannot be signed.");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, &error)
            }
        }
    }
}

/// A refusal as JSON (RFC 6749 §5.2).
fn refusal(status: StatusCode, error: &OAuthError) -> Response {
    unstored(answer(status, "application/json", error.body()))
}

/// An answer with tokens or about them (RFC 6749 §5.1).
fn private(body: &Value) -> Response {
    unstored(answer(StatusCode::OK, "application/json", body.to_string()))
}

fn unstored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A public document that may be kept for a while.
fn published(body: &Value) -> Response {
    let mut response = answer(StatusCode::OK, "application/json", body.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

/// An empty object: RFC 7009 wants only the status, but some clients parse every body.
fn done() -> Response {
    private(&json!({}))
}
