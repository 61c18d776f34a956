//! `GET /t/{tenant}/managed/{key}`: whether provisioning manages a person, and which fields the legacy portal must lock, so that
//! it can show "managed by company directory". `GET /t/{tenant}/managed` tells what the portal must know of the tenant as a whole.
//!
//! The portal comes with a token of its own (`[tenants.T.managed]`); without one configured there is nothing here: 404. The
//! answer holds nothing of the person but that: no name, no value. Requests draw on one budget a tenant.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::error::{Refusal, whole_seconds};
use super::gateway::{Gateway, Runtime};
use super::message::{Request, Response, answer};
use super::record::Record;
use super::scim::view::external_id_path;
use crate::limit::{Group, Penalty, Quota};
use crate::ports::{Directory as _, DirectoryError, Entry};
use crate::scim::ResourceType;
use crate::store::{Link, LinkState};
use crate::types::{Digest, Timestamp};

/// A portal that shows one person a page stays far below this.
const QUOTA: Quota = Quota {
    requests: match NonZeroU32::new(1200) {
        Some(requests) => requests,
        None => NonZeroU32::MIN,
    },
    window: Duration::from_mins(1),
};
const NO_PENALTY: Penalty = Penalty { duration: Duration::ZERO, extend: false };

/// What the portal shows.
const TEXT: &str = "This user is managed by company directory";

/// Answers the portal's question; `key` is the directory's key, which is the SCIM `id`.
pub async fn handle(
    gateway: &Gateway,
    tenant: &Runtime,
    key: Option<&str>,
    request: &Request,
    record: &mut Record,
) -> Response {
    let outcome = ask(gateway, tenant, key, request, record).await;
    let mut response = outcome.unwrap_or_else(|Problem { status, error, text, extra }| {
        let text = format!("{text} (request {})", request.request_id);
        let mut response = answer(status, JSON, json!({ "error": error, "error_description": text }).to_string());
        response.headers_mut().extend(extra.map(|(name, value)| (Some(name), value)).into_iter().collect::<Vec<_>>());
        response
    });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const JSON: &str = "application/json";

/// Why there is no answer.
struct Problem {
    status: StatusCode,
    error: &'static str,
    text: String,
    extra: Option<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, error: &'static str, text: impl Into<String>) -> Self {
        Self { status, error, text: text.into(), extra: None }
    }

    /// The directory or the state failed, which has words and a waiting time of its own.
    fn of(refusal: Refusal, record: &mut Record) -> Self {
        let (response, super::error::Cause(cause)) = refusal.into_response("");
        record.cause = cause;
        let wait = response.headers().get(header::RETRY_AFTER).cloned();
        let text = "the directory or the gateway's own state did not answer; ask again later";
        Self {
            extra: wait.map(|wait| (header::RETRY_AFTER, wait)),
            ..Self::new(response.status(), "unavailable", text)
        }
    }
}

async fn ask(
    gateway: &Gateway,
    tenant: &Runtime,
    key: Option<&str>,
    request: &Request,
    record: &mut Record,
) -> Result<Response, Problem> {
    let config = &tenant.config;
    let Some(token) = config.managed else {
        let text = "this tenant does not tell who is managed; set `token` in [tenants.NAME.managed]";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", text));
    };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let allow = Some((header::ALLOW, HeaderValue::from_static("GET, HEAD")));
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "this path answers only GET");
        return Err(Problem { extra: allow, ..problem });
    }
    if !presents(&request.headers, &token) {
        let challenge = Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        let text = "send the token of [tenants.NAME.managed] as Bearer";
        return Err(Problem { extra: challenge, ..Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", text) });
    }
    // After the token: a stranger cannot use the portal's budget up, and a guess costs one hash.
    let budget = format!("{}/managed", config.name);
    let decision = tenant.limiter.admit(&budget, gateway.clock.monotonic(), Group::Read, QUOTA, NO_PENALTY);
    if !decision.admitted {
        let wait = (header::RETRY_AFTER, whole_seconds(decision.retry_after).into());
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many questions in one minute");
        return Err(Problem { extra: Some(wait), ..problem });
    }
    record.actor = Some("portal".to_owned());
    let Some(key) = key else { return Ok(answer(StatusCode::OK, JSON, of_tenant(tenant).to_string())) };
    let store = &gateway.store;
    let held = match tenant.directory.read(ResourceType::User, key).await {
        Ok(Some(entry)) => entry,
        Ok(None) | Err(DirectoryError::NotFound) => {
            let text = "the directory has nobody under this key";
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", text));
        }
        Err(error) => return Err(Problem::of(error.into(), record)),
    };
    let link = match store.link(&config.name, &held.key).await {
        Ok(link) => link.filter(|link| link.state == LinkState::Managed),
        Err(error) => return Err(Problem::of(error.into(), record)),
    };
    record.target = Some(held.key.clone());
    let since = match store.managed_since(&config.name, &held.key).await {
        Ok(since) => since,
        Err(error) => return Err(Problem::of(error.into(), record)),
    };
    Ok(answer(StatusCode::OK, JSON, of_person(tenant, &held, link.as_ref(), since).to_string()))
}

/// Whether the request carries the token.
fn presents(headers: &HeaderMap, token: &Digest) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Some((scheme, sent)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else { return false };
    scheme.eq_ignore_ascii_case("bearer") && Digest::of(sent.trim().as_bytes()).same(token)
}

fn of_person(tenant: &Runtime, held: &Entry, link: Option<&Link>, since: Option<Timestamp>) -> Value {
    let dialect = &tenant.config.dialect;
    let Some(link) = link else {
        return json!({ "managed": false, "locked": [], "locked_actions": [], "text": null });
    };
    let by_external_id = link.external_id.is_some() || held.resource.text(&external_id_path()).is_some();
    let locked: Vec<_> = dialect.locked.iter().map(ToString::to_string).collect();
    json!({
        "managed": true,
        "linked_by_external_id": by_external_id,
        "since": since.map(|since| since.to_string()),
        "locked": locked,
        "locked_actions": dialect.locked_actions,
        "text": TEXT,
    })
}

fn of_tenant(tenant: &Runtime) -> Value {
    let switches = &tenant.config.switches;
    json!({
        "directory_provider": if switches.refusal(&tenant.config.name).is_none() { "scim" } else { "none" },
        "scim_only_add": switches.scim_only_add.unwrap_or(false),
        "welcome_mail": switches.welcome_mail.unwrap_or(true),
    })
}
