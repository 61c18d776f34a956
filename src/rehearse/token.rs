//! Where the access token comes from, and how it is renewed: a given bearer token, client credentials (RFC 6749 §4.4), or
//! the code of the authorize conversation (§4.1) with its refresh token (§6).
//!
//! The token requests are the `oauth2` crate's; its HTTP client is [`Wire`], which follows no redirect.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use oauth2::basic::{BasicClient, BasicRequestTokenError, BasicTokenResponse};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenResponse as _, TokenUrl,
};
use url::Url;

use super::report::{Check, Report, Trip};
use super::wire::{Answer, Silence, Wire};
use crate::types::{Clock, Secret};

/// Entra's own text asks for tokens of at least this life.
const SHORTEST_LIFE: Duration = Duration::from_hours(1);

/// The OAuth client that an administrator registers for the identity provider.
#[derive(Clone, Debug)]
pub(super) struct OAuthClient {
    pub token_url: Url,
    pub id: String,
    /// `None` for a public client.
    pub secret: Option<Secret>,
    pub scopes: Vec<String>,
    /// Whether id and secret go into the body instead of the Basic header.
    pub in_body: bool,
}

type Ready = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A code on its way to the token endpoint.
pub(super) struct Grant {
    pub code: Secret,
    pub verifier: PkceCodeVerifier,
    pub redirect_uri: Url,
}

impl OAuthClient {
    fn ready(&self) -> Ready {
        let client = BasicClient::new(ClientId::new(self.id.clone()))
            .set_auth_type(if self.in_body { AuthType::RequestBody } else { AuthType::BasicAuth })
            .set_token_uri(TokenUrl::from_url(self.token_url.clone()));
        match &self.secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
            None => client,
        }
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        self.scopes.iter().cloned().map(Scope::new)
    }

    fn line(&self) -> String {
        format!("POST {}", self.token_url)
    }
}

/// The access token in use.
pub(super) struct Access<'a> {
    wire: &'a Wire,
    report: &'a Report,
    clock: Clock,
    source: Source,
    token: tokio::sync::Mutex<Token>,
}

enum Source {
    Given,
    OAuth(OAuthClient),
}

struct Token {
    text: Secret,
    /// When to get the next one, on the monotonic clock; `None` if it is not told or cannot be renewed.
    renew_at: Option<Duration>,
    refresh: Option<Secret>,
}

impl<'a> Access<'a> {
    /// A token that somebody issued by hand.
    pub fn given(wire: &'a Wire, report: &'a Report, clock: Clock, token: Secret) -> Self {
        let token = Token { text: token, renew_at: None, refresh: None };
        Self { wire, report, clock, source: Source::Given, token: tokio::sync::Mutex::new(token) }
    }

    /// Fetches a token: with the grant's code if there is one, else by client credentials.
    pub async fn fetch(
        wire: &'a Wire,
        report: &'a Report,
        clock: Clock,
        client: OAuthClient,
        grant: Option<Grant>,
    ) -> Result<Self, Trip> {
        let by_code = grant.is_some();
        let exchange = Exchange { wire, client: &client, seen: Mutex::default() };
        let answer = match grant {
            Some(grant) => exchange.code(grant).await?,
            None => exchange.client_credentials().await?,
        };
        exchange.judge(report, &answer);
        let token = Token::from(&clock, &answer, None);
        if by_code && token.refresh.is_none() {
            let then = "has nothing to renew the access token with: provisioning ends when it expires";
            report
                .note(Check::Refresh, Err(Trip::at(client.line(), Some(200), "no refresh_token in the answer", then)));
        }
        let token = tokio::sync::Mutex::new(token);
        Ok(Self { wire, report, clock, source: Source::OAuth(client), token })
    }

    /// The token to send now; renewed first if its time is nearly over, as Entra does before a request.
    pub async fn token(&self) -> Result<Secret, Trip> {
        let mut token = self.token.lock().await;
        if token.renew_at.is_some_and(|at| self.clock.monotonic() >= at) {
            self.renew_locked(&mut token).await?;
        }
        Ok(token.text.clone())
    }

    /// Renews the token whether it is time or not; gives whether there was a way to.
    pub async fn renew(&self) -> Result<bool, Trip> {
        self.renew_locked(&mut *self.token.lock().await).await
    }

    /// Renews `refused` unless somebody else already did; gives whether there is now another token to try.
    pub async fn replace(&self, refused: &Secret) -> Result<bool, Trip> {
        let mut token = self.token.lock().await;
        if token.text.digest() != refused.digest() {
            return Ok(true);
        }
        self.renew_locked(&mut token).await
    }

    async fn renew_locked(&self, token: &mut Token) -> Result<bool, Trip> {
        let Source::OAuth(client) = &self.source else { return Ok(false) };
        let exchange = Exchange { wire: self.wire, client, seen: Mutex::default() };
        let answer = match &token.refresh {
            Some(refresh) => exchange.refresh(refresh).await,
            // A code grant without a refresh token can only try, and is refused: still the right request to name.
            None => exchange.client_credentials().await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(trip) => {
                if token.refresh.is_some() {
                    self.report.note(Check::Refresh, Err(trip.clone()));
                }
                return Err(trip);
            }
        };
        if token.refresh.is_some() {
            self.report.note(Check::Refresh, Ok(()));
        }
        *token = Token::from(&self.clock, &answer, token.refresh.take());
        Ok(true)
    }

    /// Whether a refresh token is there to be tried.
    pub async fn refreshable(&self) -> bool {
        self.token.lock().await.refresh.is_some()
    }
}

impl Token {
    /// An answer without a refresh token leaves the old one in force (RFC 6749 §6).
    fn from(clock: &Clock, answer: &BasicTokenResponse, old_refresh: Option<Secret>) -> Self {
        let renew_at = answer.expires_in().map(|life| clock.monotonic() + life.mul_f64(0.9));
        let refresh = answer.refresh_token().map(|refresh| Secret::new(refresh.secret().as_str())).or(old_refresh);
        Self { text: Secret::new(answer.access_token().secret().as_str()), renew_at, refresh }
    }
}

/// One token request and what its answer looked like.
struct Exchange<'a> {
    wire: &'a Wire,
    client: &'a OAuthClient,
    seen: Mutex<Option<Answer>>,
}

impl Exchange<'_> {
    async fn code(&self, grant: Grant) -> Result<BasicTokenResponse, Trip> {
        let client = self.client.ready().set_redirect_uri(RedirectUrl::from_url(grant.redirect_uri));
        let code = AuthorizationCode::new(grant.code.expose().to_owned());
        let http = |request| self.send(request);
        let outcome = client.exchange_code(code).set_pkce_verifier(grant.verifier).request_async(&http).await;
        outcome.map_err(|error| self.trip(&error))
    }

    async fn refresh(&self, refresh: &Secret) -> Result<BasicTokenResponse, Trip> {
        let client = self.client.ready();
        let refresh = RefreshToken::new(refresh.expose().to_owned());
        let http = |request| self.send(request);
        let outcome = client.exchange_refresh_token(&refresh).request_async(&http).await;
        outcome.map_err(|error| self.trip(&error))
    }

    async fn client_credentials(&self) -> Result<BasicTokenResponse, Trip> {
        let client = self.client.ready();
        let http = |request| self.send(request);
        let request = client.exchange_client_credentials().add_scopes(self.client.scopes());
        request.request_async(&http).await.map_err(|error| self.trip(&error))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Silence> {
        let answer = self.wire.send(request.map(Full::from)).await?;
        let mut response = http::Response::new(answer.body.to_vec());
        *response.status_mut() =
            http::StatusCode::from_u16(answer.status).map_err(|error| Silence::Broken(error.to_string()))?;
        *response.headers_mut() = answer.headers.clone();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(response)
    }

    fn trip(&self, error: &BasicRequestTokenError<Silence>) -> Trip {
        let then = "cannot get an access token: Authorize or Test Connection fails, a running job goes to quarantine";
        let why = match error {
            BasicRequestTokenError::Request(silence) => return Trip::silence(self.client.line(), silence),
            BasicRequestTokenError::ServerResponse(answer) => {
                let detail = answer.error_description().map(|text| format!(": {text}")).unwrap_or_default();
                format!("refused with {}{detail}", answer.error())
            }
            BasicRequestTokenError::Parse(error, _) => format!("the answer is no token answer: {error}"),
            BasicRequestTokenError::Other(reason) => reason.clone(),
        };
        let status = self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|answer| answer.status);
        Trip::at(self.client.line(), status, why, then)
    }

    /// The parts of a token answer that are seldom looked at.
    fn judge(&self, report: &Report, answer: &BasicTokenResponse) {
        report.note(Check::Token, Ok(()));
        let trip = |why: String, then| Err(Trip::at(self.client.line(), Some(200), why, then));
        report.note(
            Check::Expiry,
            match answer.expires_in() {
                None => trip("no expires_in".into(), "cannot know when to renew, and finds out by being refused"),
                Some(life) if life < SHORTEST_LIFE => {
                    trip(format!("{} s", life.as_secs()), "its gallery test wants 60 minutes to 6 hours")
                }
                Some(_) => Ok(()),
            },
        );
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let forbidden = seen.as_ref().and_then(|answer| answer.header(http::header::CACHE_CONTROL));
        let forbidden = forbidden.is_some_and(|value| value.to_ascii_lowercase().contains("no-store"));
        let outcome = if forbidden { Ok(()) } else { trip("no Cache-Control: no-store (RFC 6749 §5.1)".into(), "") };
        report.note(Check::NoStore, outcome);
    }
}
