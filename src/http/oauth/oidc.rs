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
use crate::oauth::id_token::{self, Expected, Unverified};
use crate::oauth::parameters::Parameters;
use crate::oauth::redirect;
use crate::store::{Source, StoreError};
use crate::types::Secret;
pub(super) use provider::Providers;
use provider::{Fault, Journey};

/// Why nobody is signed in.
enum Failure {
    /// The browser cannot be told who it is; there is nowhere to go back to.
    Lost,
    /// The provider says no: the person gave up, or may not use us.
    Declined,
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
        let state = Secret::new(self.random.text::<32>());
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
        let onwards = match self.store.take_sign_in(&tenant.name, &digest, &cookie, &config.issuer).await {
            Ok(Some(onwards)) => onwards,
            Ok(None) => return pages::lost_on_the_way(),
            Err(error) => return pages::unavailable(&error),
        };
        let redirect_uri = callback_address(tenant, request);
        let journey = self.journey(&redirect_uri, &state);
        match self.admit(tenant, config, &browser, &parameters, &journey, &onwards).await {
            Ok(response) => response,
            Err(Failure::Lost) => pages::lost_on_the_way(),
            Err(Failure::Declined) => pages::declined(&redirect::destination(&config.issuer), &onwards),
            Err(Failure::MixedUp) => {
                tracing::warn!(tenant = tenant.name, "an answer to a sign-in came from another issuer than was asked");
                pages::not_believed(&redirect::destination(&config.issuer), &onwards)
            }
            Err(Failure::Provider(fault)) => provider_failed(tenant, config, &fault, &onwards),
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
        onwards: &str,
    ) -> Result<Response, Failure> {
        let deadline = Instant::now() + config.timeout;
        let text = |name| parameters.text(name).map_err(|_| Failure::Lost);
        let document = self.providers.document(&self.providers.of(&config.issuer), &config.issuer, deadline).await?;
        match text("iss")? {
            Some(issuer) if issuer == config.issuer => {}
            None if !document.names_itself => {}
            _ => return Err(Failure::MixedUp),
        }
        if parameters.has("error") {
            return Err(Failure::Declined);
        }
        let code = text("code")?.ok_or(Failure::Lost)?;
        let token = self.providers.exchange(config, journey, code, deadline).await?;
        let token = Unverified::read(&token).map_err(Fault::from)?;
        let key = self.providers.key(&config.issuer, &token, deadline).await?;
        let expected = Expected {
            issuer: &config.issuer,
            client_id: &config.client_id,
            nonce: journey.nonce.expose(),
            now: self.clock.now(),
        };
        let claims = token.verify(&key, &expected).map_err(Fault::from)?;
        let name = id_token::display_name(&claims);
        let Some(role) = config.roles.of(&config.role_claim.texts(&claims)) else {
            return Ok(pages::no_role(tenant, &name, &as_another(onwards)));
        };
        let subject = claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
        let source = Source::Oidc(config.issuer.clone());
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

/// The same place for somebody who wants to be somebody else: the provider shall ask, though it knows them still.
fn as_another(onwards: &str) -> String {
    format!("{onwards}{}prompt=login", if onwards.contains('?') { '&' } else { '?' })
}
