//! The frame that every page for people stands in: one style, one policy.
//!
//! Pages work without script and load nothing. The Content Security Policy admits the one style sheet by its hash and lets forms go only
//! to ourselves and, where a page says so, onwards: browsers apply `form-action` to the redirects that answer a form as well.
//! `Referrer-Policy` is `same-origin` because a page without referrer makes Chromium send `Origin: null` with its own forms. There is
//! no `Cross-Origin-Opener-Policy`: portals open these pages in a window of theirs and wait for it to call back.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};

use super::message::{Response, answer};
use crate::types::Digest;

const CSS: &str = include_str!("pages/shell.css");

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("sha256-{}", STANDARD.encode(Digest::of(CSS.as_bytes()).as_slice())));

#[derive(Template)]
#[template(path = "shell.html", config = "src/http/askama.toml")]
struct Shell<'a> {
    title: &'a str,
    css: &'a str,
    body: &'a str,
    wide: bool,
}

#[derive(Template)]
#[template(path = "message.html", config = "src/http/askama.toml")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    hint: Option<&'a str>,
    alert: bool,
}

/// A page of `title` around `body`, which is HTML with everything foreign already escaped. Forms on it may lead to ourselves and to
/// `onward`, CSP sources such as `http://127.0.0.1:4000 https:`.
#[must_use]
pub fn page(status: StatusCode, title: &str, body: &str, onward: Option<&str>) -> Response {
    framed(status, &Shell { title, css: CSS, body, wide: false }, onward)
}

/// As [`page`], with room for lists; its forms lead to ourselves only.
#[must_use]
pub fn wide_page(status: StatusCode, title: &str, body: &str) -> Response {
    framed(status, &Shell { title, css: CSS, body, wide: true }, None)
}

fn framed(status: StatusCode, shell: &Shell<'_>, onward: Option<&str>) -> Response {
    let html = render(shell);
    let mut response = answer(status, "text/html; charset=utf-8", html);
    let policy = format!(
        "default-src 'none'; style-src '{}'; form-action 'self'{}{}; frame-ancestors 'none'; base-uri 'none'",
        *STYLE_HASH,
        if onward.is_some() { " " } else { "" },
        onward.unwrap_or_default(),
    );
    let headers = response.headers_mut();
    // A source that is no header value is left out: the form then ends at its own origin.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page that says one thing and offers nothing to press. `hint` says what to do; with `alert` it is a mistake.
#[must_use]
pub fn message(status: StatusCode, title: &str, text: &str, hint: Option<&str>, alert: bool) -> Response {
    page(status, title, &render(&Message { title, text, hint, alert }), None)
}

/// A page for a request that cannot be answered; `text` says why and what to do.
#[must_use]
pub fn refusal(status: StatusCode, text: &str, hint: Option<&str>) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Nothing is here",
        StatusCode::METHOD_NOT_ALLOWED => "Not possible here",
        StatusCode::PAYLOAD_TOO_LARGE => "This is too large",
        StatusCode::REQUEST_TIMEOUT => "This took too long",
        status if status.is_server_error() => "Something went wrong",
        _ => "This request cannot be answered",
    };
    // Other forms quote the text within a sentence of theirs; here it is one.
    let mut sentence: String = text.chars().take(1).flat_map(char::to_uppercase).chain(text.chars().skip(1)).collect();
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    message(status, title, &sentence, hint, true)
}

/// The HTML of a template.
#[must_use]
pub fn render(template: &impl Template) -> String {
    // Writing to a String and our own escapers cannot fail.
    template.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence() {
        for text in ["there is no such tenant", "There is no such tenant."] {
            let html = format!("{:?}", refusal(StatusCode::NOT_FOUND, text, None).body());
            assert!(html.contains("Nothing is here") && html.contains(">There is no such tenant.<"), "{html}");
        }
    }

    #[test]
    fn foreign_text_is_escaped_and_the_policy_names_the_onward_origin() {
        let response = message(StatusCode::BAD_REQUEST, "<script>", "\"><b>", Some("&"), true);
        assert_eq!(response.headers()[header::REFERRER_POLICY], "same-origin");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'none'; style-src 'sha256-") && policy.contains("form-action 'self';"));
        let html = format!("{:?}", response.body());
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");

        let response = page(StatusCode::OK, "t", "", Some("https:"));
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("form-action 'self' https:;"), "{policy}");
    }
}
