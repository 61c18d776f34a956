//! What ties a browser to its forms and its session: one cookie.
//!
//! The cookie is 32 random bytes. Before sign-in it means nothing but "the same browser as before", which is what form tokens are bound
//! to; at sign-in it is replaced by a fresh one whose hash stands in the state (no session fixation). Over https it has the
//! `__Host-` prefix: no other host and no plain connection can set it. Over http, in the demo, there is no such thing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};

use crate::config::Tenant;
use crate::http::message::Response;
use crate::types::{Random, Secret};

/// The browser a request comes from.
pub(super) struct Browser {
    /// What the cookie holds.
    pub cookie: Secret,
    /// Whether it has yet to be given to the browser.
    fresh: bool,
}

impl Browser {
    /// The browser of a request: the one its cookie names, else a new one.
    pub(super) fn of(tenant: &Tenant, headers: &HeaderMap, random: &Random) -> Self {
        let name = cookie_name(tenant);
        let cookie = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
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
    pub(super) fn remember(&self, tenant: &Tenant, mut response: Response) -> Response {
        if self.fresh {
            let secure = if is_https(tenant) { "; Secure" } else { "" };
            let value =
                format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie_name(tenant), self.cookie.expose());
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
        response
    }
}

fn is_https(tenant: &Tenant) -> bool {
    tenant.issuer.starts_with("https://")
}

fn cookie_name(tenant: &Tenant) -> String {
    format!("{}portcullis-{}", if is_https(tenant) { "__Host-" } else { "" }, tenant.name)
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
