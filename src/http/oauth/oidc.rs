//! Signing in at the organisation's OpenID provider (`sign_in.kind = "oidc"`; OpenID Connect Core §3.1, RFC 9700).
//!
//! The browser goes there with a `state` that is written down for this browser and this issuer and is good once. Nonce and PKCE verifier
//! follow from the `state`, so nothing secret rests meanwhile. What comes back at `/oauth/callback` is believed only from
//! that browser, for that issuer (mix-up: RFC 9207's `iss`, and one callback path a tenant), by an ID token fetched from the token
//! endpoint. The role is what the token says now, at every sign-in.

mod provider;

use http::StatusCode;
use tokio::time::Instant;

use super::AuthorizationServer;
use super::browser::{Browser, own_address};
use super::pages;
use super::sign_in::Doorstep;
use crate::config::sign_in::Oidc;
use crate::config::{SignIn, Tenant};
use crate::http::message::{Request, Response};
use crate::http::page;
use crate::oauth::id_token::{self, Expected};
use crate::oauth::parameters::Parameters;
use crate::oauth::redirect;
use crate::store::{Begun, Source, StoreError};
use crate::types::Secret;
pub(super) use provider::Providers;
use provider::{Fault, Journey};

/// What a `state` begins with whose visitor is to prove anew who they are. Only its hash rests here, so that it stands is sure.
const AFRESH: &str = "afresh.";

/// Why nobody is signed in.
enum Failure {
    /// The browser cannot be told who it is; there is nowhere to go back to.
    Lost,
    /// The provider says no, with this code: the person gave up, may not use us, or we are not set up there as we should be.
    Declined(String),
    /// The answer is not from the provider that was asked.
    MixedUp,
    Provider(Fault),
    State(StoreError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Provider(fault)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::State(error)
    }
}

impl AuthorizationServer {
    /// Sends the browser to the provider.
    pub(super) async fn send_to_provider(
        &self,
        doorstep: &Doorstep<'_>,
        config: &Oidc,
        request: &Request,
    ) -> Result<Response, StoreError> {
        let Doorstep { tenant, browser, .. } = doorstep;
        let mark = if doorstep.afresh { AFRESH } else { "" };
        let state = Secret::new(format!("{mark}{}", self.random.text::<32>()));
        let redirect_uri = callback_address(tenant, request);
        let journey = self.journey(&redirect_uri, &state);
        let deadline = Instant::now() + config.timeout;
        let url =
            self.providers.authorization_url(config, &journey, doorstep.login_hint, doorstep.afresh, deadline).await;
        let url = match url {
            Ok(url) => url,
            Err(fault) => return Ok(provider_failed(tenant, config, &fault, doorstep.here)),
        };
        let (state, browser_digest) = (state.digest(), browser.cookie.digest());
        self.store.begin_sign_in(&tenant.name, &state, &browser_digest, &config.issuer, doorstep.onwards).await?;
        Ok(browser.remember(tenant, super::redirect_to(StatusCode::SEE_OTHER, url.as_str())))
    }

    /// The browser is back.
    pub(super) async fn callback(&self, tenant: &Tenant, request: &Request) -> Response {
        let SignIn::Oidc(config) = &tenant.sign_in else {
            let text = "The administrators of this tenant do not sign in at another provider.";
            return page::refusal(StatusCode::NOT_FOUND, text, None);
        };
        let browser = Browser::of(tenant, &request.headers, &self.random);
        let parameters = Parameters::parse(request.query.as_deref().unwrap_or_default().as_bytes());
        let Some(parameters) = parameters.ok().filter(|parameters| parameters.distinct().is_ok()) else {
            return pages::lost_on_the_way();
        };
        let state = Secret::new(parameters.text("state").ok().flatten().unwrap_or_default());
        let (digest, cookie) = (state.digest(), browser.cookie.digest());
        let begun = match self.store.take_sign_in(&tenant.name, &digest, &cookie, &config.issuer).await {
            Ok(Some(begun)) => begun,
            Ok(None) => return pages::lost_on_the_way(),
            Err(error) => return pages::unavailable(&error),
        };
        let redirect_uri = callback_address(tenant, request);
        let journey = self.journey(&redirect_uri, &state);
        let onwards = begun.return_to.as_str();
        match self.admit(tenant, config, &browser, &parameters, &journey, &begun).await {
            Ok(response) => response,
            Err(Failure::Lost) => pages::lost_on_the_way(),
            Err(Failure::Declined(error)) => {
                tracing::warn!(
                    tenant = tenant.name,
                    issuer = config.issuer,
                    error,
                    "the provider did not sign somebody in"
                );
                pages::declined(&redirect::destination(&config.issuer), &error, onwards)
            }
            Err(Failure::MixedUp) => {
                tracing::warn!(tenant = tenant.name, "an answer to a sign-in came from another issuer than was asked");
                pages::not_believed(&redirect::destination(&config.issuer), onwards)
            }
            Err(Failure::Provider(fault)) => provider_failed(tenant, config, &fault, onwards),
            Err(Failure::State(error)) => pages::unavailable(&error),
        }
    }

    async fn admit(
        &self,
        tenant: &Tenant,
        config: &Oidc,
        browser: &Browser,
        parameters: &Parameters,
        journey: &Journey<'_>,
        begun: &Begun,
    ) -> Result<Response, Failure> {
        let onwards = begun.return_to.as_str();
        let deadline = Instant::now() + config.timeout;
        let text = |name| parameters.text(name).map_err(|_| Failure::Lost);
        let document = self.providers.document(&self.providers.of(&config.issuer), &config.issuer, deadline).await?;
        match text("iss")? {
            Some(issuer) if issuer == config.issuer => {}
            None if !document.names_itself => {}
            _ => return Err(Failure::MixedUp),
        }
        if parameters.has("error") {
            return Err(Failure::Declined(error_code(text("error")?.unwrap_or_default())));
        }
        let code = text("code")?.ok_or(Failure::Lost)?;
        let token = self.providers.exchange(config, journey, code, deadline).await?;
        let token = id_token::read(&token).map_err(Fault::from)?;
        let keys = tokio::time::timeout_at(deadline, self.foreign.published(&document.jwks, &token)).await;
        let keys = keys.ok().flatten().ok_or_else(|| {
            Fault::answer("the keys (jwks_uri)", "they cannot be fetched; a warning of its own says why")
        })?;
        let expected = Expected {
            issuer: &config.issuer,
            client_id: &config.client_id,
            nonce: journey.nonce.expose(),
            now: self.clock.now(),
            asked: journey.state.expose().starts_with(AFRESH).then_some(begun.at),
        };
        let claims = id_token::verify(&token, &keys, &expected).map_err(Fault::from)?;
        let name = id_token::display_name(&claims);
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
        let source = Source::Oidc(config.issuer.clone());
        let values = config.role_claim.texts(&claims);
        let Some(role) = config.roles.of(&values) else {
            let reason = if values.is_empty() {
                "the ID token holds nothing at role_claim: have the provider send that claim (Entra leaves groups out of the \
                 token of somebody who is in more than 200; assign groups or app roles to the application)"
            } else {
                "none of the values at role_claim stands in roles"
            };
            tracing::warn!(
                tenant = tenant.name,
                issuer = config.issuer,
                values = values.len(),
                reason,
                "somebody without a role signed in"
            );
            self.store.end_vouched_sessions(&tenant.name, &source, subject).await?;
            return Ok(pages::no_role(tenant, &name, &as_another(onwards)));
        };
        let administrator = self.store.vouched_administrator(&tenant.name, &source, subject, &name, role).await?;
        let admitted = if administrator.disabled {
            None
        } else {
            self.begin_session(tenant, browser, &administrator, onwards).await?
        };
        Ok(admitted.unwrap_or_else(|| pages::disabled_here(tenant, &name, &as_another(onwards))))
    }

    fn journey<'a>(&self, redirect_uri: &'a str, state: &'a Secret) -> Journey<'a> {
        let companion = |label| self.derivation.companion(label, state);
        Journey { redirect_uri, state, nonce: companion("nonce"), verifier: companion("verifier") }
    }
}

/// The page for it; the reason is for the log.
fn provider_failed(tenant: &Tenant, config: &Oidc, fault: &Fault, again: &str) -> Response {
    tracing::warn!(tenant = tenant.name, issuer = config.issuer, error = %fault, "a sign-in at the provider failed");
    let provider = redirect::destination(&config.issuer);
    if fault.passes() { pages::provider_silent(&provider, again) } else { pages::not_believed(&provider, again) }
}

/// Where the provider sends browsers back to: the same host they came to, since only there they have their cookie.
fn callback_address(tenant: &Tenant, request: &Request) -> String {
    format!("{}/oauth/callback", own_address(tenant, request))
}

/// An error code of the provider's as it may be shown and logged; its description may hold anything and is neither.
fn error_code(code: &str) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if code.len() <= 64 && code.chars().all(known) { code.to_owned() } else { "unreadable".to_owned() }
}

/// The same place for somebody who wants to be somebody else: the provider shall ask, though it knows them still.
fn as_another(onwards: &str) -> String {
    format!("{onwards}{}prompt=login", if onwards.contains('?') { '&' } else { '?' })
}
