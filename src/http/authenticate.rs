//! Who is calling: from an `Authorization` header to a [`Caller`], which can be made nowhere else.
//!
//! A token is looked at once and the verdict kept by its hash until it expires or anybody's access ends; after that a request
//! costs one SHA-256 and one lookup. A verdict carries the epoch in which it was reached: whatever was decided from a state that
//! has since moved on is not believed, even if it arrives in the cache late.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use moka::future::Cache;

use super::oauth::{AuthorizationServer, Distrust};
use crate::config::Tenant;
use crate::dialect::SecretForm;
use crate::oauth::assertion::Unverified;
use crate::oauth::claims::{TokenId, base36};
use crate::oauth::opaque::{self, Kind};
use crate::oauth::{Role, Scope, Scopes};
use crate::store::{Access, StoreError};
use crate::types::{Digest, Timestamp};

/// How many tokens' verdicts are kept; each takes some 500 bytes.
const CAPACITY: u64 = 10_000;
/// How long at most, before the state is asked again.
const KEPT: Duration = Duration::from_hours(1);
/// How exact the last use of a secret token is known.
const TOUCH: Duration = Duration::from_mins(1);
/// The longest token that is looked at. Ours have some 400 characters, Entra's up to 2,000.
const MAX_TOKEN: usize = 4096;
/// Clients whose own grants are remembered.
const GRANTS: u64 = 10_000;
/// The door of tokens that Entra issued itself, among the uses of a tenant's doors.
pub const ENTRA_TOKENS: &str = "entra_tokens";

/// Who is calling, for which tenant, and what they may do.
#[derive(Clone)]
pub struct Caller(Arc<Verdict>);

struct Verdict {
    tenant: String,
    budget_key: String,
    actor: String,
    scopes: Scopes,
    role: Option<Role>,
    epoch: u64,
    until: Timestamp,
    /// Of what notes its uses: what it is, and when that was last written down, in milliseconds.
    touched: Option<(Noted, AtomicI64)>,
}

/// What has its last use written down here; tokens of grants have it where they are issued.
enum Noted {
    SecretToken(String),
    EntraToken,
}

impl Caller {
    /// The tenant's name.
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// Whose limits count: one per grant or secret token, unlike any other of this gateway.
    pub fn budget_key(&self) -> &str {
        &self.0.budget_key
    }

    /// Who it was, for the audit trail: public ids only.
    pub fn actor(&self) -> &str {
        &self.0.actor
    }

    /// What they may do.
    pub fn scopes(&self) -> Scopes {
        self.0.scopes
    }

    /// The role of the administrator who approved; none for a secret token or a client's own credentials.
    pub fn role(&self) -> Option<Role> {
        self.0.role
    }

    /// Whether they may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.0.scopes.has(scope)
    }
}

/// Why a request is not let in (RFC 6750 §3.1). The body is its handler's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unauthorized {
    /// 401, 403, 400, or 503 when the state is not available.
    pub status: StatusCode,
    /// For `WWW-Authenticate`; none with 503.
    pub challenge: Option<HeaderValue>,
    /// What to do about it.
    pub detail: &'static str,
}

impl Unauthorized {
    /// Nothing was presented, so no error is named.
    fn missing() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(HeaderValue::from_static("Bearer")),
            detail: "No access token was sent. Send it in the Authorization header, as Bearer; tokens in the address are ignored.",
        }
    }

    fn invalid_request(detail: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            challenge: Some(HeaderValue::from_static("Bearer error=\"invalid_request\"")),
            detail,
        }
    }

    fn invalid_token() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(HeaderValue::from_static(
                "Bearer error=\"invalid_token\", error_description=\"The token is expired, revoked, malformed or of another tenant\"",
            )),
            detail: "The token is expired, revoked, malformed or of another tenant. Authorize again, or issue a new secret token.",
        }
    }

    /// The caller is known but may not do this: 403.
    pub fn insufficient_scope(scope: Scope) -> Self {
        let challenge = match scope {
            Scope::Read => "Bearer error=\"insufficient_scope\", scope=\"scim.read\"",
            Scope::Write => "Bearer error=\"insufficient_scope\", scope=\"scim.write\"",
        };
        let detail = match scope {
            Scope::Read => "The token was not granted scim.read. Authorize again with that scope.",
            Scope::Write => "The token was not granted scim.write. Authorize again with that scope.",
        };
        Self { status: StatusCode::FORBIDDEN, challenge: Some(HeaderValue::from_static(challenge)), detail }
    }

    /// The keys of whoever issued the token are out of reach.
    fn unverifiable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            challenge: None,
            detail: "The gateway cannot fetch the keys of the token's issuer. Try again in a moment.",
        }
    }

    fn unavailable(error: &StoreError) -> Self {
        tracing::error!(error = %error, "the state failed to tell who is calling");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            challenge: None,
            detail: "The gateway cannot reach its own records. Try again in a moment.",
        }
    }
}

/// What is known about tokens that were seen.
pub(super) struct Verdicts {
    cache: Cache<Digest, Arc<Verdict>>,
    /// What stands behind grants that clients have of themselves, with the epoch in which it was found out: a client gets many
    /// access tokens for one of those.
    grants: Cache<i64, (u64, Access)>,
    epoch: AtomicU64,
}

impl Verdicts {
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::builder().max_capacity(CAPACITY).time_to_live(KEPT).build(),
            grants: Cache::builder().max_capacity(GRANTS).time_to_live(KEPT).build(),
            epoch: AtomicU64::new(0),
        }
    }

    /// The number that [`Verdicts::forget`] moves: what was learnt under another is not believed.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// No verdict reached so far is believed any more.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate_all();
        self.grants.invalidate_all();
    }
}

/// First uses of tokens that the state has yet to hear of: of a grant the newest generation used. A refresh looks here as well as
/// into the state, so that whether a replay is noticed does not hang on how quick the disk is. At most one entry a live grant.
#[derive(Default)]
pub(super) struct FirstUses(Mutex<HashMap<i64, i64>>);

impl FirstUses {
    /// Whether a token of the generation, or of a later one, has been used.
    pub(super) fn has(&self, grant: i64, number: i64) -> bool {
        self.notes().get(&grant).is_some_and(|used| *used >= number)
    }

    fn note(&self, id: TokenId) {
        let mut notes = self.notes();
        let used = notes.entry(id.grant).or_insert(id.number);
        *used = id.number.max(*used);
    }

    /// The state knows now.
    fn written(&self, id: TokenId) {
        let mut notes = self.notes();
        if notes.get(&id.grant) == Some(&id.number) {
            notes.remove(&id.grant);
        }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, HashMap<i64, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request presents.
enum Credential<'a> {
    Bearer(&'a str),
    Basic(&'a str),
}

impl<'a> Credential<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, Unauthorized> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or_else(Unauthorized::missing)?;
        if values.next().is_some() {
            return Err(Unauthorized::invalid_request("The request has more than one Authorization header."));
        }
        let (scheme, token) =
            value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(Unauthorized::missing)?;
        let token = token.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            if token.is_empty() || token.len() > MAX_TOKEN {
                return Err(Unauthorized::invalid_token());
            }
            Ok(Self::Bearer(token))
        } else if scheme.eq_ignore_ascii_case("basic") && token.len() <= MAX_TOKEN {
            Ok(Self::Basic(token))
        } else {
            Err(Unauthorized::missing())
        }
    }
}

impl AuthorizationServer {
    /// Who sent a request with these headers to `tenant`: by an access token or a secret token as Bearer (RFC 6750), or by a key pair as
    /// Basic where the dialect has those.
    ///
    /// # Errors
    /// When nothing, something malformed or something no longer good was sent, or the state is not available.
    pub async fn authenticate(&self, tenant: &Tenant, headers: &HeaderMap) -> Result<Caller, Unauthorized> {
        let pairs = tenant.dialect.secret_tokens.is_some_and(|door| door.form == SecretForm::Base64Pair);
        let token = match Credential::read(headers)? {
            Credential::Bearer(token) => token,
            Credential::Basic(token) if pairs => token,
            Credential::Basic(_) => return Err(Unauthorized::missing()),
        };
        let key = Digest::of(token.as_bytes());
        let now = self.clock.now();
        let epoch = self.verdicts.epoch();
        if let Some(verdict) = self.verdicts.cache.get(&key).await
            && verdict.epoch == epoch
            && verdict.tenant == tenant.name
            && now < verdict.until
        {
            self.touch(&verdict, now);
            return Ok(Caller(verdict));
        }
        let judged = self.judge(tenant, token, pairs, epoch, now).await;
        let verdict = match judged.map_err(|error| Unauthorized::unavailable(&error))? {
            Some(verdict) => verdict,
            None => self.judge_entra_token(tenant, token, epoch, now).await?.ok_or_else(Unauthorized::invalid_token)?,
        };
        let verdict = Arc::new(verdict);
        self.touch(&verdict, now);
        self.verdicts.cache.insert(key, Arc::clone(&verdict)).await;
        Ok(Caller(verdict))
    }

    /// Judges a token that has not been seen before.
    async fn judge(
        &self,
        tenant: &Tenant,
        token: &str,
        pairs: bool,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Option<Verdict>, StoreError> {
        if tenant.dialect.secret_tokens.is_some() {
            let pair = || if pairs { opaque::recognise_pair(token) } else { None };
            if let Some(digest) = opaque::recognise(Kind::SecretToken, token).or_else(pair) {
                return self.judge_secret_token(tenant, &digest, epoch, now).await;
            }
        }
        if !tenant.dialect.oauth {
            return Ok(None);
        }
        let Some((id, expires)) = self.verified(tenant, token) else { return Ok(None) };
        let Some(access) = self.access(tenant, id, epoch).await? else { return Ok(None) };
        if access.unconfirmed {
            // Only the first use of a generation gets here, and nobody has to wait for the disk: what counts is noted at once.
            self.first_uses.note(id);
            let (store, first_uses) = (self.store.clone(), Arc::clone(&self.first_uses));
            self.background.spawn(async move {
                match store.confirm(id.grant, id.number).await {
                    Ok(()) => first_uses.written(id),
                    Err(error) => tracing::warn!(error = %error, "the first use of a token could not be written down"),
                }
            });
        }
        let grant = base36(id.grant);
        Ok(Some(Verdict {
            tenant: tenant.name.clone(),
            // A client's own grants differ by scope; they share one budget.
            budget_key: match access.administrator {
                Some(_) => format!("{}/grant/{grant}", tenant.name),
                None => format!("{}/client/{}", tenant.name, access.client_id),
            },
            actor: format!("client {} grant {grant}", access.client_id),
            scopes: access.scopes,
            role: access.administrator.map(|(_, role)| role),
            epoch,
            until: Timestamp::from_seconds(expires),
            touched: None,
        }))
    }

    /// What stands behind one of our access tokens.
    async fn access(&self, tenant: &Tenant, id: TokenId, epoch: u64) -> Result<Option<Access>, StoreError> {
        // The signature binds the grant to this tenant.
        if let Some((_, access)) = self.verdicts.grants.get(&id.grant).await.filter(|(then, _)| *then == epoch) {
            return Ok(Some(access));
        }
        let access = self.store.access(&tenant.name, id.grant, id.number).await?;
        if let Some(own) = access.as_ref().filter(|access| access.administrator.is_none()) {
            self.verdicts.grants.insert(id.grant, (epoch, own.clone())).await;
        }
        Ok(access)
    }

    /// Judges a token that Entra issued for us of its own accord (entra.md §1.1: the Secret Token left blank), where the tenant says
    /// so.
    async fn judge_entra_token(
        &self,
        tenant: &Tenant,
        token: &str,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Option<Verdict>, Unauthorized> {
        let Some(trust) = &tenant.doors.entra_tokens else { return Ok(None) };
        let Ok(read) = Unverified::read(token) else { return Ok(None) };
        let verified = match self.foreign.verify(&read, trust, &tenant.doors.key_hosts).await {
            Ok(verified) => verified,
            Err(Distrust::Refused(refusal)) => {
                tracing::info!(tenant = tenant.name, reason = %refusal, "a token that is not ours was refused");
                return Ok(None);
            }
            Err(Distrust::Unreachable) => return Err(Unauthorized::unverifiable()),
        };
        Ok(Some(Verdict {
            tenant: tenant.name.clone(),
            budget_key: format!("{}/entra", tenant.name),
            actor: "token of entra".to_owned(),
            scopes: Scopes::ALL,
            role: None,
            epoch,
            until: verified.expires.min(now.after(KEPT)),
            touched: Some((Noted::EntraToken, AtomicI64::new(0))),
        }))
    }

    async fn judge_secret_token(
        &self,
        tenant: &Tenant,
        digest: &Digest,
        epoch: u64,
        now: Timestamp,
    ) -> Result<Option<Verdict>, StoreError> {
        let until = now.after(KEPT);
        let found = self.store.secret_token_by_digest(&tenant.name, digest).await?;
        let good = |expires: Option<Timestamp>| expires.is_none_or(|expires| now < expires);
        Ok(found.filter(|token| !token.revoked && good(token.expires)).map(|token| Verdict {
            tenant: tenant.name.clone(),
            budget_key: format!("{}/token/{}", tenant.name, token.id),
            actor: format!("token {} {}", token.id, token.prefix),
            scopes: Scopes::ALL,
            role: None,
            epoch,
            until: token.expires.map_or(until, |expires| expires.min(until)),
            touched: Some((Noted::SecretToken(token.id), AtomicI64::new(token.last_used.map_or(0, Timestamp::millis)))),
        }))
    }

    /// Writes down that such a token is in use, once a minute at most and off the path.
    fn touch(&self, verdict: &Verdict, now: Timestamp) {
        let Some((what, last)) = &verdict.touched else { return };
        let before = last.load(Ordering::Relaxed);
        if now.since(Timestamp::from_millis(before)) < TOUCH
            || last.compare_exchange(before, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        match what {
            Noted::SecretToken(id) => self.store.touch_secret_token(id, now),
            Noted::EntraToken => self.store.touch_tenant_door(&verdict.tenant, ENTRA_TOKENS, now),
        }
    }
}
