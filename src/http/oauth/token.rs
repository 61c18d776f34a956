//! The token endpoint (RFC 6749 §4.1.3, §4.4, §6).

use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{Known, Proved, open};
use super::{AuthorizationServer, Fault, private};
use crate::config::Tenant;
use crate::http::message::{Request, Response};
use crate::oauth::claims::{Claims, TokenId, base36, subject};
use crate::oauth::exchange::{self, Approved, Presented};
use crate::oauth::opaque::{self, Kind};
use crate::oauth::parameters::Parameters;
use crate::oauth::refresh::{Generation, Lifetime, Verdict, judge};
use crate::oauth::{Door, ErrorCode, OAuthError, Scopes};
use crate::store::{Client, FirstTokens, Held, Redeemed, Refreshed, Span, StoreError, Turn};
use crate::types::{Digest, Secret, Timestamp};

/// RingCentral's bounds of `access_token_ttl`, seconds; what is outside is clamped, not refused.
const CHOSEN_TTL: std::ops::RangeInclusive<u64> = 600..=3600;

/// What an access token is made of, beside the client and the tenant.
struct Issue {
    grant: i64,
    number: i64,
    administrator: Option<i64>,
    scopes: Scopes,
    access: Span,
    /// When it was made: read once, or a second that turns over meanwhile makes an hour 3599 seconds, which Entra refuses.
    now: Timestamp,
    /// The refresh token, and how long it lives unused.
    refresh: Option<(Secret, Duration)>,
}

impl AuthorizationServer {
    pub(super) async fn token(&self, tenant: &Tenant, request: &Request) -> Result<Response, Fault> {
        let form = Self::form(request)?;
        let known = self.known(tenant, request, &form).await?;
        let client = &known.client;
        let (kind, door, issue) = match form.required("grant_type")? {
            "authorization_code" => {
                open(client, Door::Code)?;
                ("authorization_code", Door::Code, self.exchange(tenant, client, &form).await?)
            }
            "refresh_token" => {
                open(client, Door::Refresh)?;
                ("refresh_token", Door::Refresh, self.refresh(tenant, client, &form).await?)
            }
            "client_credentials" => {
                let door = own_door(&known)?;
                ("client_credentials", door, self.client_credentials(tenant, &known, &form).await?)
            }
            _ => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedGrantType,
                    "grant_type is none of authorization_code, refresh_token, client_credentials.",
                )
                .into());
            }
        };
        let body = self.answer(tenant, client, &form, &issue)?;
        self.came_through(tenant, &known, door);
        metrics::counter!("portcullis_tokens_issued_total", "tenant" => tenant.name.clone(), "grant" => kind)
            .increment(1);
        Ok(private(&body))
    }

    /// A code for a grant.
    async fn exchange(&self, tenant: &Tenant, client: &Client, form: &Parameters) -> Result<Issue, Fault> {
        const UNKNOWN: &str = "The code is unknown, used up or of another client. Authorize again.";
        let digest =
            opaque::recognise(Kind::Code, form.required("code")?).ok_or_else(|| OAuthError::invalid_grant(UNKNOWN))?;
        let presented = Presented {
            redirect_uri: form.text("redirect_uri")?,
            verifier: form.text("code_verifier")?,
            registered: &client.redirect_uris,
        };
        let now = self.clock.now();
        let access = span(tenant, form, now)?;
        let life = refresh_life(tenant, form)?;
        let refresh = opaque::mint(Kind::Refresh, &self.random);
        let tokens = FirstTokens { refresh: refresh.digest(), access };
        let redeemed = self
            .store
            .redeem_code(&tenant.name, &client.id, &digest, &tokens, |code| {
                let approved = Approved {
                    redirect_uri: code.redirect_uri.as_deref(),
                    challenge: code.challenge,
                    expires: code.expires,
                };
                exchange::fits(&approved, &presented, now)
            })
            .await?;
        match redeemed {
            Redeemed::Granted { grant, code } => {
                if let Some(life) = life {
                    self.store.set_refresh_life(grant, life.as_secs()).await?;
                }
                let life = life.unwrap_or(tenant.refresh.idle);
                Ok(Issue {
                    grant,
                    number: 0,
                    administrator: Some(code.administrator),
                    scopes: code.scopes,
                    access,
                    now,
                    refresh: client.doors.has(Door::Refresh).then_some((refresh, life)),
                })
            }
            Redeemed::Refused(error) => Err(error.into()),
            Redeemed::Unknown => Err(OAuthError::invalid_grant(UNKNOWN).into()),
            Redeemed::Replayed => {
                tracing::warn!(
                    tenant = tenant.name,
                    client = client.id,
                    "a code was presented twice; its grant has ended"
                );
                self.forget();
                Err(OAuthError::invalid_grant(UNKNOWN).into())
            }
        }
    }

    /// A refresh token for the next generation, or for the same one again (design decision 8).
    async fn refresh(&self, tenant: &Tenant, client: &Client, form: &Parameters) -> Result<Issue, Fault> {
        const UNKNOWN: &str = "The refresh token is unknown, revoked or of another client. Authorize again.";
        let presented = Secret::new(form.required("refresh_token")?);
        let digest =
            opaque::recognise(Kind::Refresh, presented.expose()).ok_or_else(|| OAuthError::invalid_grant(UNKNOWN))?;
        let asked = asked_scopes(form)?;
        let now = self.clock.now();
        let access = span(tenant, form, now)?;
        let successor = self.derivation.successor(&presented);
        let life = refresh_life(tenant, form)?;
        let lifetime = self.refresh_lifetime(tenant, &digest).await?;
        let idle = lifetime.idle;
        let judged = |held: &Held| {
            let confirmed = held.current.confirmed || self.first_uses.has(held.grant, held.current.number);
            let current = Generation { confirmed, ..held.current };
            judge(held.presented, current, held.since, now, lifetime)
        };
        let before = self.store.held(&tenant.name, &client.id, &digest).await?.as_ref().map(judged);
        let refreshed = self
            .store
            .refresh(&tenant.name, &client.id, &digest, |held| {
                let verdict = judged(held).as_it_came_in(before);
                if matches!(verdict, Verdict::Rotate | Verdict::Repeat)
                    && asked.is_some_and(|asked| asked.is_empty() || !asked.within(held.granted))
                {
                    return Err(invalid_scope());
                }
                match verdict {
                    Verdict::Rotate => {
                        Ok(Turn::Rotate { refresh: successor.digest(), access, scopes: asked.unwrap_or(held.granted) })
                    }
                    Verdict::Repeat => {
                        let over = held.access.is_some_and(|access| access.until <= now);
                        Ok(Turn::Repeat { renewed: over.then_some(access) })
                    }
                    Verdict::Replay => Ok(Turn::End),
                    Verdict::Expired => Err(OAuthError::invalid_grant(
                        "The refresh token has not been used for too long, or the grant has come to its limit. Authorize again.",
                    )),
                }
            })
            .await?;
        match refreshed {
            Refreshed::Given { grant, number, administrator, scopes, access } => {
                if let Some(life) = life {
                    self.store.set_refresh_life(grant, life.as_secs()).await?;
                }
                let refresh = Some((successor, life.unwrap_or(idle)));
                Ok(Issue { grant, number, administrator, scopes, access, now, refresh })
            }
            Refreshed::Refused(error) => Err(error.into()),
            Refreshed::Unknown => Err(OAuthError::invalid_grant(UNKNOWN).into()),
            Refreshed::Ended => {
                tracing::warn!(
                    tenant = tenant.name,
                    client = client.id,
                    "a refresh token was replayed after its successor was used; the grant has ended"
                );
                self.forget();
                Err(OAuthError::invalid_grant(UNKNOWN).into())
            }
        }
    }

    /// How long the refresh token with this digest lives: as long as its grant was asked to, or as the tenant says.
    pub(super) async fn refresh_lifetime(&self, tenant: &Tenant, digest: &Digest) -> Result<Lifetime, StoreError> {
        let chosen = match tenant.dialect.oauth_alias {
            Some(_) => self.store.refresh_life(digest).await?.map(Duration::from_secs),
            None => None,
        };
        // What was chosen before the tenant's own was made shorter does not outlive that.
        let idle = chosen.map_or(tenant.refresh.idle, |chosen| chosen.min(tenant.refresh.idle));
        Ok(Lifetime { idle, ..tenant.refresh })
    }

    /// The client for itself.
    async fn client_credentials(&self, tenant: &Tenant, known: &Known, form: &Parameters) -> Result<Issue, Fault> {
        let registered = Scopes::registered(&known.client.scopes);
        let scopes = match asked_scopes(form) {
            // Entra asks for the scope of an application of its own (api://…/.default), which means all that is registered.
            Err(_) if asks_for_default(form)? => registered,
            asked => asked?.unwrap_or(registered),
        };
        if scopes.is_empty() || !scopes.within(registered) {
            return Err(invalid_scope().into());
        }
        let grant = self.own_grant(tenant, known, scopes).await?;
        let now = self.clock.now();
        let from = Timestamp::from_seconds(now.seconds());
        let access = Span { from, until: from.after(tenant.doors.client_credentials_ttl) };
        Ok(Issue { grant, number: access.from.seconds(), administrator: None, scopes, access, now, refresh: None })
    }

    /// The answer of RFC 6749 §5.1, with RingCentral's additions for its dialect.
    fn answer(&self, tenant: &Tenant, client: &Client, form: &Parameters, issue: &Issue) -> Result<Value, Fault> {
        let claims = Claims {
            iss: tenant.issuer.clone(),
            aud: tenant.name.clone(),
            sub: issue.administrator.map_or_else(|| client.id.clone(), subject),
            client_id: client.id.clone(),
            iat: issue.access.from.seconds(),
            exp: issue.access.until.seconds(),
            jti: TokenId { grant: issue.grant, number: issue.number }.to_string(),
        };
        let token = self.keys.sign(&claims).map_err(Fault::Signing)?;
        let mut body = json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": claims.exp.saturating_sub(issue.now.seconds()),
            "scope": issue.scopes.to_string(),
        });
        if let Some((refresh, _)) = &issue.refresh {
            body["refresh_token"] = refresh.expose().into();
        }
        if tenant.dialect.oauth_alias.is_some() {
            let session = base36(issue.grant);
            if let Some((_, idle)) = issue.refresh {
                let life = Lifetime { idle, ..tenant.refresh }.at_most();
                body["refresh_token_expires_in"] = life.as_secs().into();
            }
            body["owner_id"] = issue.administrator.map_or_else(|| client.id.clone(), |id| id.to_string()).into();
            body["endpoint_id"] = form.text("endpoint_id")?.unwrap_or(&session).into();
            body["session_id"] = session.into();
        }
        Ok(body)
    }
}

/// The life of an access token issued now: whole seconds, since that is what its claims can say.
fn span(tenant: &Tenant, form: &Parameters, now: Timestamp) -> Result<Span, OAuthError> {
    let mut life = tenant.dialect.access_ttl;
    if tenant.dialect.oauth_alias.is_some()
        && let Some(wanted) = form.text("access_token_ttl")?
    {
        let seconds = wanted.parse::<u64>().map_err(|_| {
            OAuthError::invalid_request("access_token_ttl is not a whole number of seconds (600 to 3600).")
        })?;
        life = Duration::from_secs(seconds.clamp(*CHOSEN_TTL.start(), *CHOSEN_TTL.end()));
    }
    let from = Timestamp::from_seconds(now.seconds());
    Ok(Span { from, until: from.after(life) })
}

/// How long the client wants its refresh tokens to live unused: no longer than the dialect gives.
fn refresh_life(tenant: &Tenant, form: &Parameters) -> Result<Option<Duration>, OAuthError> {
    let wanted = form.text("refresh_token_ttl")?.filter(|_| tenant.dialect.oauth_alias.is_some());
    let Some(wanted) = wanted else { return Ok(None) };
    let seconds = wanted
        .parse::<u64>()
        .map_err(|_| OAuthError::invalid_request("refresh_token_ttl is not a whole number of seconds."))?;
    Ok(Some(Duration::from_secs(seconds.clamp(*CHOSEN_TTL.start(), tenant.refresh.idle.as_secs()))))
}

/// The door of a client that comes for itself.
fn own_door(known: &Known) -> Result<Door, OAuthError> {
    let door = match known.proved {
        Proved::Secret => Door::ClientCredentials,
        Proved::Federation => Door::Federation,
        Proved::PrivateKeyJwt => Door::PrivateKeyJwt,
        Proved::Not => {
            return Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "A public client has no credentials; use the authorization code grant.",
            ));
        }
    };
    open(&known.client, door)?;
    Ok(door)
}

/// Whether the scope is one `…/.default`, as Entra's clients write "what is registered".
fn asks_for_default(form: &Parameters) -> Result<bool, OAuthError> {
    Ok(form.text("scope")?.is_some_and(|scope| !scope.contains(' ') && scope.ends_with("/.default")))
}

fn asked_scopes(form: &Parameters) -> Result<Option<Scopes>, OAuthError> {
    form.text("scope")?.map(|text| Scopes::parse(text).ok_or_else(invalid_scope)).transpose()
}

fn invalid_scope() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidScope,
        "The scope is unknown or more than was granted; there are scim.read and scim.write.",
    )
}
