//! The SCIM endpoint as Entra calls it: its encodings and headers, the token, patience with 429, and the checks that
//! hold for every answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::report::{Check, Limit, Report, Trip};
use super::token::Access;
use super::wire::{Answer, Silence, Wire};
use crate::types::{Clock, Secret};

const SCIM_JSON: &str = "application/scim+json";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// How often one request is tried again after a 429, and how long one wait may be.
const TRIES: usize = 10;
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// What a 429 without `Retry-After` is given.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// Requests without an answer, one after another, after which the endpoint counts as gone.
const SILENT_IN_A_ROW: u32 = 20;

/// What a request is for; the identity provider's reaction depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Query,
    Read,
    Create,
    Change,
    Delete,
    Discovery,
}

/// The endpoint.
pub(super) struct Endpoint<'a> {
    pub wire: &'a Wire,
    pub report: &'a Report,
    pub access: Access<'a>,
    pub clock: Clock,
    /// Without a slash at the end.
    pub base: String,
    /// Set when the run is to end early.
    pub stop: CancellationToken,
    state: Flow,
}

#[derive(Default)]
struct Flow {
    /// No request leaves before this, on the monotonic clock.
    resume_at: Mutex<Duration>,
    limits: Mutex<BTreeMap<String, Limit>>,
    silent: AtomicU32,
    cleaning: AtomicBool,
}

impl<'a> Endpoint<'a> {
    pub fn new(
        wire: &'a Wire,
        report: &'a Report,
        access: Access<'a>,
        clock: Clock,
        base: &str,
        stop: CancellationToken,
    ) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self { wire, report, access, clock, base, stop, state: Flow::default() }
    }

    /// From here on the run ends by itself: waiting for the endpoint's limits is no longer cut short.
    pub fn start_cleaning(&self) {
        self.state.cleaning.store(true, Ordering::Release);
    }

    /// Limits as the answers told them.
    pub fn limits(&self) -> BTreeMap<String, Limit> {
        self.state.limits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A request without a body.
    pub async fn get(&self, path: &str) -> Result<Answer, Trip> {
        self.call(Method::GET, path, None).await
    }

    /// A query as Entra writes it: spaces as `+`, quotes as `%22`, no SCIM media type asked for.
    pub async fn query(&self, kind: &str, filter: &str, more: &str) -> Result<Answer, Trip> {
        self.get(&query_path(kind, filter, more)).await
    }

    /// Sends a request, with a JSON body if there is one; waits and renews the token as an identity provider would.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Trip> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.call_raw(method, path, body).await
    }

    /// As [`Self::call`], with any bytes for a body.
    pub async fn call_raw(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer, Trip> {
        let line = format!("{method} {}{path}", self.base);
        let mut renewed = false;
        let mut tries = 0;
        loop {
            self.turn().await.map_err(|silence| Trip::silence(&line, &silence))?;
            let token = self.access.token().await?;
            let answer = self.once(&method, path, body.clone(), &token).await?;
            match answer.status {
                401 if !renewed && self.access.replace(&token).await? => renewed = true,
                429 if tries < TRIES => {
                    tries += 1;
                    self.wait_after(&answer);
                }
                _ => {
                    self.judge(&answer);
                    return Ok(answer);
                }
            }
        }
    }

    /// Sends with another token than the right one.
    pub async fn with_token(&self, path: &str, token: &Secret) -> Result<Answer, Trip> {
        self.once(&Method::GET, path, None, token).await
    }

    async fn once(&self, method: &Method, path: &str, body: Option<Bytes>, token: &Secret) -> Result<Answer, Trip> {
        let uri = format!("{}{path}", self.base);
        let line = format!("{method} {uri}");
        let mut request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .header(header::USER_AGENT, concat!("portcullis-rehearse/", env!("CARGO_PKG_VERSION")));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/scim+json; charset=utf-8");
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        let request = request.map_err(|error| Trip::at(line.as_str(), None, error.to_string(), ""))?;
        match self.wire.send(request).await {
            Ok(answer) => {
                self.state.silent.store(0, Ordering::Release);
                self.note_limits(&answer);
                Ok(answer)
            }
            Err(silence) => {
                if self.state.silent.fetch_add(1, Ordering::AcqRel) + 1 >= SILENT_IN_A_ROW {
                    self.stop.cancel();
                }
                Err(Trip::silence(line, &silence))
            }
        }
    }

    /// Waits until requests may leave again; everybody shares the wait that one refusal caused.
    async fn turn(&self) -> Result<(), Silence> {
        loop {
            let resume_at = *self.state.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
            let left = resume_at.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return Ok(());
            }
            if self.state.cleaning.load(Ordering::Acquire) {
                tokio::time::sleep(left).await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = self.stop.cancelled() => return Err(Silence::Interrupted),
                }
            }
        }
    }

    fn wait_after(&self, refused: &Answer) {
        let asked = refused.header(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let wait = asked.map_or(DEFAULT_WAIT, Duration::from_secs).min(LONGEST_WAIT);
        let now = self.clock.monotonic();
        let mut resume_at = self.state.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (*resume_at).max(now);
        let after = before.max(now + wait);
        self.wire.waited(after.saturating_sub(before));
        *resume_at = after;
    }

    fn note_limits(&self, answer: &Answer) {
        let number = |name: &str| answer.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let (Some(group), Some(limit), Some(remaining)) =
            (answer.header("x-rate-limit-group"), number("x-rate-limit-limit"), number("x-rate-limit-remaining"))
        else {
            return;
        };
        let window = number("x-rate-limit-window").unwrap_or(0);
        let mut limits = self.state.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = limits.get_mut(group) {
            known.lowest = known.lowest.min(remaining);
        } else if limits.len() < 16 {
            limits.insert(group.to_owned(), Limit { requests: limit, window, lowest: remaining });
        }
    }

    /// What holds for every answer.
    fn judge(&self, answer: &Answer) {
        if !answer.body.is_empty() {
            let outcome = match answer.media_type().as_deref() {
                Some(SCIM_JSON) => Ok(()),
                found => {
                    let why = found.map_or_else(|| "no Content-Type".to_owned(), |found| format!("it is {found}"));
                    Err(Trip::over(answer, why, "its validator refuses the answer whatever it says"))
                }
            };
            self.report.note(Check::MediaType, outcome);
        }
        if answer.status >= 400 && answer.status != 429 {
            let body = answer.json().unwrap_or_default();
            let named = body["schemas"].as_array().is_some_and(|schemas| schemas.iter().any(|urn| urn == ERROR));
            let why = if !named {
                Some("the body does not name the SCIM error schema")
            } else if body["status"].as_str() != Some(answer.status.to_string().as_str()) {
                Some("status in the body is not the HTTP status as text")
            } else {
                None
            };
            let then = "shows the administrator an error without its reason";
            self.report.note(Check::ErrorForm, why.map_or(Ok(()), |why| Err(Trip::over(answer, why, then))));
        }
    }
}

/// The path of a query, encoded as recorded from Entra.
pub(super) fn query_path(kind: &str, filter: &str, more: &str) -> String {
    let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    format!("/{kind}?filter={filter}{more}")
}

/// The resources of a ListResponse, if the answer is one.
pub(super) fn list(answer: &Answer, purpose: Purpose) -> Result<(u64, Vec<Value>), Trip> {
    wants(answer, &[200], purpose)?;
    let trip = |why: &str| {
        Trip::over(answer, why, "cannot tell whether the user exists and takes the endpoint for incompatible")
    };
    let mut body = answer.json().ok_or_else(|| trip("the body is no JSON"))?;
    if !body["schemas"].as_array().is_some_and(|schemas| schemas.iter().any(|urn| urn == LIST)) {
        return Err(trip("the body does not name the ListResponse schema"));
    }
    let total = body["totalResults"].as_u64().ok_or_else(|| trip("totalResults is not a number"))?;
    match body.get_mut("Resources").map(Value::take) {
        // RFC 7644 §3.4.2 allows leaving it out when there is nothing.
        None | Some(Value::Null) if total == 0 => Ok((0, Vec::new())),
        Some(Value::Array(resources)) => Ok((total, resources)),
        _ => Err(trip("Resources is not a list")),
    }
}

/// Checks the status; the trip says what Entra makes of the one that came.
pub(super) fn wants(answer: &Answer, statuses: &[u16], purpose: Purpose) -> Result<(), Trip> {
    if statuses.contains(&answer.status) {
        return Ok(());
    }
    let wanted: Vec<String> = statuses.iter().map(u16::to_string).collect();
    let mut why = format!("{} instead of {}", answer.status, wanted.join(" or "));
    let body = answer.json().unwrap_or_default();
    if let Some(detail) = body["detail"].as_str() {
        let detail: String = detail.chars().take(300).collect();
        // The request id at its end would make every finding a different one.
        let detail = detail.rsplit_once(" (request ").map_or(detail.as_str(), |(text, _)| text);
        why.push_str(": ");
        why.push_str(detail);
    }
    Err(Trip::over(answer, why, consequence(purpose, answer.status)))
}

/// What Entra does about a status it did not want.
pub(super) const fn consequence(purpose: Purpose, status: u16) -> &'static str {
    match (purpose, status) {
        (_, 401 | 403) => "takes the credentials for bad: the whole job goes to quarantine, whatever the count",
        (_, 429) => {
            "may not wait as told: what was refused is kept for a later cycle, and many refusals end in quarantine"
        }
        (Purpose::Query, 404) => "takes the endpoint for incompatible: quarantine for non-compliance",
        (Purpose::Query, 200..=299) => "cannot tell whether the user exists: wrong matches or duplicate users follow",
        (Purpose::Create, 409) => "logs a conflict and tries again in a later cycle",
        (Purpose::Create, 200..=299) => {
            "may not take the answer for a creation and try again, which ends in a conflict"
        }
        (Purpose::Read | Purpose::Change, 404) => "takes the user for gone and creates them anew later",
        (Purpose::Change, 200..=299) => "believes the change was made, and does not send it again",
        (Purpose::Discovery, _) => "shows no attributes to map in its provisioning page; provisioning itself goes on",
        (Purpose::Delete, 200..=299) => "believes the user is deleted and forgets about them",
        (Purpose::Delete, 400 | 405 | 501) => "shows the endpoint as incompatible, and the user stays",
        (_, 400..=499) => {
            "reports SystemForCrossDomainIdentityManagementServiceIncompatible with this body and holds the user \
             back for later cycles"
        }
        (_, 500..) => {
            "counts a failure, keeps the user back and tries again with growing gaps of hours; on the first probe the \
             job goes to quarantine at once"
        }
        _ => "does not know what to make of it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded_as_recorded() {
        assert_eq!(
            query_path("Users", "userName eq \"7d420df3@x\"", ""),
            "/Users?filter=userName+eq+%227d420df3%40x%22"
        );
    }
}
