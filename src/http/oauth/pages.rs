//! The pages of the authorize conversation. They stand alone: no script, nothing loaded, one form each.

use std::time::Duration;

use askama::Template;
use http::{HeaderValue, StatusCode, header};

use crate::http::error::whole_seconds;
use crate::http::message::Response;
use crate::http::page::{message, page, render};
use crate::oauth::{OAuthError, Role, Scope, Scopes};
use crate::store::StoreError;

/// Who signs in.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/askama.toml")]
pub(super) struct SignIn<'a> {
    pub tenant: &'a str,
    pub client: &'a str,
    pub username: &'a str,
    pub form_token: &'a str,
    pub alert: Option<&'a str>,
}

/// What is granted to whom, by whom.
#[derive(Template)]
#[template(path = "consent.html", config = "src/http/askama.toml")]
pub(super) struct Consent<'a> {
    pub tenant: &'a str,
    pub client: &'a str,
    pub username: &'a str,
    pub role: &'a str,
    pub scopes: Vec<Scope>,
    pub destination: &'a str,
    pub form_token: &'a str,
    pub alert: Option<&'a str>,
}

/// Signed in, but not as somebody who may authorize.
#[derive(Template)]
#[template(path = "role.html", config = "src/http/askama.toml")]
pub(super) struct WrongRole<'a> {
    pub tenant: &'a str,
    pub client: &'a str,
    pub username: &'a str,
    pub role: &'a str,
    pub destination: &'a str,
    pub form_token: &'a str,
}

impl SignIn<'_> {
    pub(super) fn page(&self, status: StatusCode, onward: Option<&str>) -> Response {
        page(status, &format!("Sign in to {}", self.tenant), &render(self), onward)
    }
}

impl Consent<'_> {
    pub(super) fn page(&self, status: StatusCode, onward: Option<&str>) -> Response {
        page(status, "Access Request", &render(self), onward)
    }
}

impl WrongRole<'_> {
    pub(super) fn page(&self, onward: Option<&str>) -> Response {
        page(StatusCode::FORBIDDEN, "Your role cannot authorize", &render(self), onward)
    }
}

/// A role in words.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::SuperUser => "super user",
        Role::AccountAdmin => "account administrator",
        Role::Viewer => "viewer",
    }
}

/// Scopes for a template.
pub(super) fn scope_list(scopes: Scopes) -> Vec<Scope> {
    scopes.iter().collect()
}

/// A request that must not be answered by a redirect: the client or its address cannot be trusted.
pub(super) fn broken_request(error: &OAuthError) -> Response {
    message(
        StatusCode::BAD_REQUEST,
        "This request cannot be answered",
        &error.description,
        Some(
            "Nothing was granted. The link that led here is wrong: whoever set up the identity provider can compare it with the \
             client registered at this gateway.",
        ),
        true,
    )
}

/// A form that is too old, or not ours.
pub(super) fn expired() -> Response {
    let hint = "If it happens again, allow cookies for this site.";
    message(StatusCode::FORBIDDEN, "This page has expired", "Go back, reload the page and try again.", Some(hint), true)
}

/// The state does not answer.
pub(super) fn unavailable(error: &StoreError) -> Response {
    tracing::error!(error = %error, "the state failed a page");
    let text = "The gateway cannot reach its own records. Nothing was granted.";
    let hint = Some("Try again in a moment.");
    let mut response = message(StatusCode::SERVICE_UNAVAILABLE, "Not available now", text, hint, true);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// `response` with `Retry-After`, rounded up to whole seconds.
pub(super) fn retry_after(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    response
}
