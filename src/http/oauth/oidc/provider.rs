//! What is known of an OpenID provider: its discovery document (OpenID Connect Discovery §4). Its keys are kept with those of all foreign
//! issuers ([`super::super::federation`]).
//!
//! It is kept for an hour. One asks, the others wait for its answer. What a document may send us to is checked when it is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, ExtraTokenFields, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::config::sign_in::Oidc;
use crate::http::fetch::{FetchError, Fetcher, Until};
use crate::oauth::id_token::Refused;
use crate::types::{Clock, Secret};

/// How long a document is good for.
const KEPT: Duration = Duration::from_hours(1);

/// Why a sign-in at the provider came to nothing; for the operator's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It cannot be reached.
    #[error("{what}: {error}")]
    Unreached {
        /// Which call.
        what: &'static str,
        /// Why.
        error: FetchError,
    },
    /// It answers something else than the standard says.
    #[error("{what}: {problem}")]
    Answer {
        /// Which call.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// It refuses the code.
    #[error("the token endpoint refuses the code: {0}")]
    Refused(String),
    /// Its ID token is not believed.
    #[error(transparent)]
    Token(#[from] Refused),
}

impl Fault {
    pub(super) fn answer(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Answer { what, problem: problem.into() }
    }

    /// Whether trying again later may help.
    pub(super) const fn passes(&self) -> bool {
        matches!(self, Self::Unreached { .. } | Self::Answer { .. })
    }
}

/// What the provider says of itself.
pub(super) struct Document {
    authorization: AuthUrl,
    token: TokenUrl,
    /// Where its keys are.
    pub jwks: Url,
    /// Whether it takes the secret in the body only.
    secret_in_body: bool,
    /// Whether its answers say who they are from (RFC 9207).
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct IdToken {
    id_token: Option<String>,
}
impl ExtraTokenFields for IdToken {}

type Tokens = StandardTokenResponse<IdToken, BasicTokenType>;
type Client = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Every provider that some tenant names, by issuer.
pub(in super::super) struct Providers {
    fetcher: Arc<Fetcher>,
    clock: Clock,
    known: Lock<HashMap<String, Arc<Provider>>>,
}

/// One provider.
pub(super) struct Provider(Mutex<Option<(Arc<Document>, Duration)>>);

impl Providers {
    /// Knows none yet.
    pub(in super::super) fn new(clock: Clock, fetcher: Arc<Fetcher>) -> Self {
        Self { fetcher, clock, known: Lock::default() }
    }

    pub(super) fn of(&self, issuer: &str) -> Arc<Provider> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let provider = known.entry(issuer.to_owned()).or_insert_with(|| Arc::new(Provider(Mutex::default())));
        Arc::clone(provider)
    }

    /// Where the browser goes: code flow, `state`, `nonce` and PKCE, and what the client of ours asked.
    pub(super) async fn authorization_url(
        &self,
        config: &Oidc,
        journey: &Journey<'_>,
        login_hint: Option<&str>,
        afresh: bool,
        deadline: Instant,
    ) -> Result<Url, Fault> {
        let provider = self.of(&config.issuer);
        let document = self.document(&provider, &config.issuer, deadline).await?;
        let client = client(config, &document).set_redirect_uri(journey.redirect()?);
        let state = CsrfToken::new(journey.state.expose().to_owned());
        let verifier = PkceCodeVerifier::new(journey.verifier.expose().to_owned());
        let mut request = client
            .authorize_url(|| state)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(config.scopes.iter().cloned().map(Scope::new))
            .add_extra_param("nonce", journey.nonce.expose());
        if afresh {
            request = request.add_extra_param("prompt", "login");
        }
        if let Some(hint) = login_hint.filter(|hint| !hint.is_empty()) {
            request = request.add_extra_param("login_hint", hint);
        }
        Ok(request.url().0)
    }

    /// The ID token that the provider gives for the code.
    pub(super) async fn exchange(
        &self,
        config: &Oidc,
        journey: &Journey<'_>,
        code: &str,
        deadline: Instant,
    ) -> Result<String, Fault> {
        const WHAT: &str = "the token endpoint";
        let provider = self.of(&config.issuer);
        let document = self.document(&provider, &config.issuer, deadline).await?;
        let client = client(config, &document).set_redirect_uri(journey.redirect()?);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(journey.verifier.expose().to_owned()))
            .request_async(&Until(&self.fetcher, deadline))
            .await;
        let tokens = answer.map_err(|error| match error {
            // Its code alone: descriptions may quote what was sent.
            RequestTokenError::ServerResponse(refusal) => Fault::Refused(refusal.error().to_string()),
            RequestTokenError::Request(error) => Fault::Unreached { what: WHAT, error },
            RequestTokenError::Parse(..) => Fault::answer(WHAT, "its answer is no token response"),
            RequestTokenError::Other(_) => Fault::answer(WHAT, "its answer is not what RFC 6749 says"),
        })?;
        let token = tokens.extra_fields().id_token.clone();
        token.ok_or_else(|| Fault::answer(WHAT, "its answer holds no id_token"))
    }

    /// The discovery document, from memory or from the provider.
    pub(super) async fn document(
        &self,
        provider: &Provider,
        issuer: &str,
        deadline: Instant,
    ) -> Result<Arc<Document>, Fault> {
        const WHAT: &str = "the discovery document";
        let silent = |_| Fault::Unreached { what: WHAT, error: FetchError::Silent };
        let mut known = tokio::time::timeout_at(deadline, provider.0.lock()).await.map_err(silent)?;
        let now = self.clock.monotonic();
        if let Some((document, _)) = known.as_ref().filter(|(_, since)| now.saturating_sub(*since) < KEPT) {
            return Ok(Arc::clone(document));
        }
        let at = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let at = Url::parse(&at).map_err(|error| Fault::answer(WHAT, error.to_string()))?;
        let unreached = |error| match error {
            FetchError::Status(_) => Fault::answer(WHAT, error.to_string()),
            error => Fault::Unreached { what: WHAT, error },
        };
        let published = self.fetcher.get(&at, Some(deadline)).await.map_err(unreached)?;
        let published: Published =
            serde_json::from_slice(&published).map_err(|error| Fault::answer(WHAT, error.to_string()))?;
        let document = Arc::new(believe(&published, issuer)?);
        *known = Some((Arc::clone(&document), now));
        Ok(document)
    }
}

/// One way there and back.
pub(super) struct Journey<'a> {
    /// Ours, as the provider sees it.
    pub redirect_uri: &'a str,
    /// Who is on the way.
    pub state: &'a Secret,
    /// What the ID token must repeat.
    pub nonce: Secret,
    /// PKCE.
    pub verifier: Secret,
}

impl Journey<'_> {
    fn redirect(&self) -> Result<RedirectUrl, Fault> {
        RedirectUrl::new(self.redirect_uri.to_owned())
            .map_err(|error| Fault::answer("our own address", error.to_string()))
    }
}

fn client(
    config: &Oidc,
    document: &Document,
) -> oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    oauth2::EndpointSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
> {
    let in_body = document.secret_in_body || config.client_secret.is_none();
    let mut client = Client::new(ClientId::new(config.client_id.clone()))
        .set_auth_uri(document.authorization.clone())
        .set_token_uri(document.token.clone())
        .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
    if let Some(secret) = &config.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    client
}

/// A document that is about the issuer it was asked of (Discovery §4.3) and sends us and the browser nowhere in clear, unless
/// the provider itself is on this machine.
fn believe(published: &Published, issuer: &str) -> Result<Document, Fault> {
    const WHAT: &str = "the discovery document";
    if published.issuer != issuer {
        return Err(Fault::answer(WHAT, "it is about another issuer; `issuer` must be written as it stands there"));
    }
    let in_clear = issuer.starts_with("http://");
    let url = |name: &str, text: &str| {
        let url = Url::parse(text).ok().filter(|url| {
            let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            url.scheme() == "https" || (in_clear && loopback && url.scheme() == "http")
        });
        url.ok_or_else(|| Fault::answer(WHAT, format!("its {name} is no https address")))
    };
    let methods = &published.token_endpoint_auth_methods_supported;
    let offers = |method: &str| methods.iter().any(|offered| offered == method);
    Ok(Document {
        authorization: AuthUrl::from_url(url("authorization_endpoint", &published.authorization_endpoint)?),
        token: TokenUrl::from_url(url("token_endpoint", &published.token_endpoint)?),
        jwks: url("jwks_uri", &published.jwks_uri)?,
        secret_in_body: offers("client_secret_post") && !offers("client_secret_basic"),
        names_itself: published.authorization_response_iss_parameter_supported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_believed_about_itself_and_in_https_only() {
        let published = |issuer: &str, token: &str| Published {
            issuer: issuer.into(),
            authorization_endpoint: format!("{issuer}/auth"),
            token_endpoint: token.into(),
            jwks_uri: format!("{issuer}/jwks"),
            token_endpoint_auth_methods_supported: vec!["client_secret_post".into()],
            authorization_response_iss_parameter_supported: false,
        };
        for (document, issuer, believed) in [
            (published("https://id.example", "https://tokens.example/x"), "https://id.example", true),
            (published("https://id.example", "http://id.example/token"), "https://id.example", false),
            (published("https://id.example", "http://127.0.0.1/token"), "https://id.example", false),
            (published("https://id.example", "file:///etc/passwd"), "https://id.example", false),
            (published("https://id.example/", "https://id.example/token"), "https://id.example", false),
            (published("https://evil.example", "https://id.example/token"), "https://id.example", false),
            (published("http://127.0.0.1:9", "http://127.0.0.1:9/token"), "http://127.0.0.1:9", true),
            (published("http://127.0.0.1:9", "http://10.0.0.1/token"), "http://127.0.0.1:9", false),
        ] {
            assert_eq!(believe(&document, issuer).is_ok(), believed, "{issuer} {}", document.token_endpoint);
        }
        assert!(
            believe(&published("https://i", "https://i/t"), "https://i").is_ok_and(|document| document.secret_in_body)
        );
    }
}
