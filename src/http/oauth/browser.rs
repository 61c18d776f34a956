//! What ties a browser to its forms and its session: one cookie. A second one is the mark of a browser that an account signed in
//! with before, by which the brake on guessing tells its owner from strangers.
//!
//! The cookie is 32 random bytes. Before sign-in it means nothing but "the same browser as before", which is what form tokens are bound
//! to; at sign-in it is replaced by a fresh one whose hash stands in the state (no session fixation). Over https it has the
//! `__Host-` prefix: no other host and no plain connection can set it. Over http, in the demo, there is no such thing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};

use crate::config::Tenant;
use crate::http::message::{Request, Response};
use crate::types::{Random, Secret};

/// How long a browser keeps its mark, in seconds: half a year.
const MARK_LIFE: u32 = 15_768_000;

/// The browser a request comes from.
pub(in crate::http) struct Browser {
    /// What the cookie holds.
    pub cookie: Secret,
    /// Whether it has yet to be given to the browser.
    fresh: bool,
}

impl Browser {
    /// The browser of a request: the one its cookie names, else a new one.
    pub(super) fn of(tenant: &Tenant, headers: &HeaderMap, random: &Random) -> Self {
        let cookie = cookie(headers, &cookie_name(tenant, ""))
            .filter(|value| value.len() == 43 && URL_SAFE_NO_PAD.decode(value).is_ok());
        match cookie {
            Some(value) => Self { cookie: Secret::new(value), fresh: false },
            None => Self::new(random),
        }
    }

    /// A browser with a new cookie.
    pub(super) fn new(random: &Random) -> Self {
        Self { cookie: Secret::new(random.text::<32>()), fresh: true }
    }

    /// Gives the cookie to the browser with `response`, if it has it not.
    pub(in crate::http) fn remember(&self, tenant: &Tenant, mut response: Response) -> Response {
        if self.fresh {
            set_cookie(tenant, &mut response, "", self.cookie.expose(), "");
        }
        response
    }

    /// The mark that the browser of a request says it has.
    pub(super) fn mark(tenant: &Tenant, headers: &HeaderMap) -> Option<String> {
        cookie(headers, &cookie_name(tenant, "_browser")).filter(|mark| mark.len() <= 128).map(str::to_owned)
    }

    /// Gives the browser a mark with `response`.
    pub(super) fn give_mark(tenant: &Tenant, mut response: Response, mark: Option<&str>) -> Response {
        if let Some(mark) = mark {
            set_cookie(tenant, &mut response, "_browser", mark, &format!("; Max-Age={MARK_LIFE}"));
        }
        response
    }
}

/// The value of a cookie, if the browser sends it.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn set_cookie(tenant: &Tenant, response: &mut Response, kind: &str, value: &str, more: &str) {
    let secure = if is_https(tenant) { "; Secure" } else { "" };
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}", cookie_name(tenant, kind));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

fn is_https(tenant: &Tenant) -> bool {
    tenant.issuer.starts_with("https://")
}

/// Tenants' names hold no `_`, so no tenant's cookie is another's mark.
fn cookie_name(tenant: &Tenant, kind: &str) -> String {
    format!("{}portcullis{kind}-{}", if is_https(tenant) { "__Host-" } else { "" }, tenant.name)
}

/// The tenant's address on the host that a request came to, without a slash at its end: its issuer, or a host name of its own.
pub(super) fn own_address(tenant: &Tenant, request: &Request) -> String {
    let prefixed = request.path.strip_prefix("/t/").and_then(|rest| rest.strip_prefix(tenant.name.as_str()));
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    let scheme = if is_https(tenant) { "https" } else { "http" };
    let own = |host: &String| tenant.hosts.contains(host);
    match host.filter(own) {
        Some(host) if prefixed.is_none() => format!("{scheme}://{host}"),
        _ => tenant.issuer.clone(),
    }
}

/// Whether a POST comes from a page of our own, as far as the browser says. Browsers that say nothing are let through:
/// the form token decides.
pub(super) fn is_same_origin(tenant: &Tenant, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some((_, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return false };
    let own = tenant.issuer.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    own == Some(authority)
        || tenant.hosts.iter().any(|host| host == authority)
        || headers.get(header::HOST).is_some_and(|host| host == authority)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::config::DirectoryConfig;
    use crate::dialect::Dialect;
    use crate::directory::embedded;

    #[test]
    fn a_tenant_is_where_the_browser_is() {
        let directory = DirectoryConfig::Embedded(embedded::Config::memory());
        let mut tenant =
            Tenant::new("acme", Dialect::named("standard").unwrap(), "https://scim.example.com", directory);
        tenant.hosts = vec!["acme.example.com".into(), "acme.example.com:8443".into()];
        for (path, host, expected) in [
            ("/t/acme/console", "scim.example.com", "https://scim.example.com/t/acme"),
            ("/t/acme/console", "acme.example.com", "https://scim.example.com/t/acme"),
            ("/console", "acme.example.com", "https://acme.example.com"),
            ("/console", "ACME.example.com:8443", "https://acme.example.com:8443"),
            ("/console", "evil.example", "https://scim.example.com/t/acme"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let request = Request {
                method: Method::GET,
                path: path.into(),
                query: None,
                headers,
                body: Bytes::new(),
                peer: [127, 0, 0, 1].into(),
                request_id: String::new(),
            };
            assert_eq!(own_address(&tenant, &request), expected, "{path} {host}");
        }
    }
}
