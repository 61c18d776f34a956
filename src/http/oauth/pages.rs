//! The pages of the authorize conversation. They stand alone: no script, nothing loaded, one form each.

use std::time::Duration;

use askama::Template;
use http::{HeaderValue, StatusCode, header};

use crate::config::Tenant;
use crate::http::error::whole_seconds;
use crate::http::message::Response;
use crate::http::page::{message, page, render};
use crate::oauth::{OAuthError, Role, Scope, Scopes};
use crate::store::StoreError;

/// Who signs in: by name and password here, or at `provider`.
#[derive(Template)]
#[template(path = "sign_in.html", config = "src/http/askama.toml")]
pub(super) struct SignInPage<'a> {
    pub tenant: &'a str,
    pub client: Option<&'a str>,
    pub here: &'a str,
    pub username: &'a str,
    pub provider: Option<&'a str>,
    pub form_token: &'a str,
    pub alert: Option<&'a str>,
}

/// Whom to ask, as the operator wrote it.
pub(in crate::http) struct Contact<'a> {
    pub text: &'a str,
    /// Where a click leads, if it is an e-mail address or a page.
    pub href: Option<String>,
}

impl<'a> Contact<'a> {
    pub(in crate::http) fn new(text: &'a str) -> Self {
        let mail = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        let plain = !text.contains(|c: char| c.is_whitespace() || matches!(c, ':' | '?' | '&' | '#'));
        let href = match text {
            text if text.starts_with("https://") => Some(text.to_owned()),
            text if mail && plain => Some(format!("mailto:{text}")),
            _ => None,
        };
        Self { text, href }
    }
}

/// Signed in elsewhere, but nobody here.
#[derive(Template)]
#[template(path = "no_role.html", config = "src/http/askama.toml")]
struct NoRole<'a> {
    tenant: &'a str,
    username: &'a str,
    contact: Option<Contact<'a>>,
    disabled: bool,
    again: &'a str,
}

/// Signing in elsewhere came to nothing.
#[derive(Template)]
#[template(path = "not_signed_in.html", config = "src/http/askama.toml")]
struct NotSignedIn<'a> {
    title: &'a str,
    text: &'a str,
    hint: &'a str,
    again: &'a str,
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
    /// Whether the password is the gateway's own: to change it ends what was granted.
    pub local: bool,
}

/// Signed in, but not as somebody who may authorize.
#[derive(Template)]
#[template(path = "role.html", config = "src/http/askama.toml")]
pub(super) struct WrongRole<'a> {
    pub tenant: &'a str,
    pub client: &'a str,
    pub username: &'a str,
    pub role: &'a str,
    pub contact: Option<Contact<'a>>,
    pub who_can: String,
    pub destination: &'a str,
    pub form_token: &'a str,
}

impl SignInPage<'_> {
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
pub(in crate::http) const fn role_name(role: Role) -> &'static str {
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

/// They are who they say, and have no role here.
pub(super) fn no_role(tenant: &Tenant, username: &str, again: &str) -> Response {
    nobody_here(tenant, username, again, false)
}

/// They are who they say, and are barred here.
pub(super) fn disabled_here(tenant: &Tenant, username: &str, again: &str) -> Response {
    nobody_here(tenant, username, again, true)
}

fn nobody_here(tenant: &Tenant, username: &str, again: &str, disabled: bool) -> Response {
    let contact = tenant.contact.as_deref().map(Contact::new);
    let body = NoRole { tenant: &tenant.name, username, contact, disabled, again };
    let title = if disabled { "This account is disabled here" } else { "This account has no role here" };
    page(StatusCode::FORBIDDEN, title, &render(&body), None)
}

/// A browser is back from its provider, and we do not know what for.
pub(super) fn lost_on_the_way() -> Response {
    let text = "This sign-in has expired, or it was begun in another browser.";
    let hint = "Start again where you came from. If it happens again, allow cookies for this site.";
    message(StatusCode::FORBIDDEN, "You are not signed in", text, Some(hint), true)
}

/// The provider did not let them in, or they turned back; `error` is its code for why (RFC 6749 §4.1.2.1, OpenID Connect Core
/// §3.1.2.6).
pub(super) fn declined(provider: &str, error: &str, again: &str) -> Response {
    let (why, hint) = match error {
        "temporarily_unavailable" | "server_error" => {
            ("It is out of order just now.", "Nothing was granted. Try again in a moment.".to_owned())
        }
        "access_denied"
        | "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => {
            ("Perhaps you turned back, or your account may not use this gateway.", "Nothing was granted.".to_owned())
        }
        _ => (
            "The gateway may not be registered there as it should be.",
            format!("Nothing was granted. Tell your administrator that it answered “{error}”."),
        ),
    };
    not_signed_in(StatusCode::FORBIDDEN, &format!("{provider} did not sign you in. {why}"), &hint, again)
}

/// The provider's answer does not hold.
pub(super) fn not_believed(provider: &str, again: &str) -> Response {
    let text = format!("What {provider} answered cannot be believed, so nobody was signed in.");
    let hint = "If it happens again, tell your administrator the time; the reason stands in the gateway's log.";
    not_signed_in(StatusCode::FORBIDDEN, &text, hint, again)
}

/// The provider does not answer.
pub(super) fn provider_silent(provider: &str, again: &str) -> Response {
    let text = format!("{provider} does not answer as it should.");
    let hint =
        "Try again in a moment. If it stays so, tell your administrator; the reason stands in the gateway's log.";
    let response = not_signed_in(StatusCode::BAD_GATEWAY, &text, hint, again);
    retry_after(response, Duration::from_secs(5))
}

fn not_signed_in(status: StatusCode, text: &str, hint: &str, again: &str) -> Response {
    let title = "You are not signed in";
    page(status, title, &render(&NotSignedIn { title, text, hint, again }), None)
}

/// A form that is too old, or not ours.
pub(super) fn expired() -> Response {
    let hint = "If it happens again, allow cookies for this site.";
    message(StatusCode::FORBIDDEN, "This page has expired", "Go back, reload the page and try again.", Some(hint), true)
}

/// The state does not answer.
pub(in crate::http) fn unavailable(error: &StoreError) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_a_link_where_it_can_be_one() {
        for (text, href) in [
            ("it@example.com", Some("mailto:it@example.com")),
            ("https://help.example.com/gate?x=1", Some("https://help.example.com/gate?x=1")),
            ("the help desk, 4711", None),
            ("javascript:alert(1)@a.b", None),
            ("it@example.com?bcc=x@evil.example", None),
            ("@", None),
        ] {
            assert_eq!(Contact::new(text).href.as_deref(), href, "{text}");
        }
    }
}
