//! Every way a SCIM request can be refused, and the one place that says how each leaves (RFC 7644 §3.12).
//!
//! There are two messages: the `detail` tells the identity provider's administrator what to change; what happened inside
//! goes only to the log, tied to the answer by the request id.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};

use super::authenticate::Unauthorized;
use super::message::{Response, SCIM_JSON, answer};
use super::permit::Limited;
use crate::ports::DirectoryError;
use crate::scim::error::ScimError;
use crate::store::StoreError;

/// Why a SCIM request is not answered as asked.
#[derive(Debug)]
pub enum Refusal {
    /// The request itself is at fault, or a rule of the dialect forbids it.
    Scim(ScimError),
    /// No valid token, or one that does not cover this.
    Unauthorized(Unauthorized),
    /// Over the limit.
    Limited(Limited),
    /// The path does not answer this method.
    MethodNotAllowed(&'static str),
    /// The directory failed.
    Directory(DirectoryError),
    /// The gateway's own state failed.
    Store(StoreError),
    /// A defect of the gateway.
    Panic,
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self::Scim(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

/// What is left for the log once the answer is made.
#[derive(Debug, Default)]
pub struct Cause(pub Option<String>);

/// How long a client is asked to leave a directory alone that did not say so itself.
const LEAVE_ALONE: Duration = Duration::from_secs(5);

impl Refusal {
    /// The answer, with the request id quoted in it, and what the operator should read.
    pub fn into_response(self, request_id: &str) -> (Response, Cause) {
        let mut cause = None;
        let mut retry = None;
        let mut extra = Vec::new();
        let error = match self {
            Self::Scim(error) => error,
            Self::Unauthorized(refused) => {
                extra.extend(refused.challenge.map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
                ScimError::new(refused.status.as_u16(), None, refused.detail)
            }
            Self::Limited(limited) => {
                retry = Some(limited.retry_after());
                ScimError::new(429, None, limited.detail())
            }
            Self::MethodNotAllowed(allow) => {
                extra.push((header::ALLOW, HeaderValue::from_static(allow)));
                ScimError::new(405, None, format!("this path answers only {allow}"))
            }
            Self::Directory(error) => directory(error, &mut cause, &mut retry),
            Self::Store(error) => {
                cause = Some(format!("state: {error}"));
                retry = Some(LEAVE_ALONE);
                ScimError::new(503, None, "the gateway cannot reach its own state; try again shortly")
            }
            Self::Panic => {
                cause = Some("a handler panicked".into());
                ScimError::new(500, None, "the gateway met a defect of its own; tell its operator the request id")
            }
        };
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer(status, SCIM_JSON, error.body(Some(request_id)));
        for (name, value) in extra {
            response.headers_mut().insert(name, value);
        }
        if let Some(wait) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        (response, Cause(cause))
    }
}

/// Seconds for `Retry-After`, rounded up: a client that waits them has waited long enough.
pub fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn directory(error: DirectoryError, cause: &mut Option<String>, retry: &mut Option<Duration>) -> ScimError {
    if !matches!(error, DirectoryError::NotFound | DirectoryError::Conflict { .. }) {
        *cause = Some(format!("directory: {error}"));
    }
    match error {
        DirectoryError::NotFound => ScimError::new(404, None, "the directory has no such person"),
        DirectoryError::Conflict { attribute } => ScimError::uniqueness(format!(
            "{attribute} is already taken by another person in the directory; change it, or remove or rename the other one"
        )),
        DirectoryError::Invalid { attribute: Some(attribute), detail } => {
            ScimError::invalid_value(format!("{attribute}: the directory refused the value: {detail}"))
        }
        DirectoryError::Invalid { attribute: None, detail } => {
            ScimError::invalid_value(format!("the directory refused a value: {detail}"))
        }
        DirectoryError::NoCapacity { detail } => ScimError::forbidden(format!(
            "the directory has nothing left to create a person with ({detail}); free or buy one"
        )),
        DirectoryError::Busy { retry_after } => {
            *retry = Some(retry_after.unwrap_or(LEAVE_ALONE));
            ScimError::new(503, None, "the directory is busy; try again after the stated time")
        }
        DirectoryError::Refused { .. } => {
            ScimError::new(502, None, "the directory refused the gateway's own credentials; its operator must act")
        }
        DirectoryError::Failed { .. } => {
            *retry = Some(LEAVE_ALONE);
            ScimError::new(502, None, "the directory behind the gateway failed; the request can be repeated safely")
        }
        DirectoryError::Silent => {
            *retry = Some(LEAVE_ALONE);
            ScimError::new(
                504,
                None,
                "the directory behind the gateway did not answer in time; the request can be repeated safely",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_faults_never_become_500() {
        let rows = [
            (DirectoryError::NotFound, 404, None),
            (DirectoryError::Conflict { attribute: "userName".into() }, 409, None),
            (DirectoryError::Invalid { attribute: None, detail: "too long".into() }, 400, None),
            (DirectoryError::NoCapacity { detail: "extensions".into() }, 403, None),
            (DirectoryError::Busy { retry_after: Some(Duration::from_millis(1200)) }, 503, Some("2")),
            (DirectoryError::Refused { reason: "401".into() }, 502, None),
            (DirectoryError::Failed { reason: "reset".into(), maybe_done: true }, 502, Some("5")),
            (DirectoryError::Silent, 504, Some("5")),
        ];
        for (error, status, retry) in rows {
            let (response, _) = Refusal::Directory(error.clone()).into_response("r-1");
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry, "{error:?}");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
