//! What the demo answers outside the tenants: the page, its assets, its set-up, and the directories' rows as they are.
//!
//! The page is plain files without a build step, compiled in. It gets the sample client's credentials from here, which only a
//! demo may do; so nothing here answers under a name that could be somebody else's (DNS rebinding).

use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::embedded;
use crate::http::gateway::{Gateway, Site};
use crate::http::message::{Request, Response, answer};
use crate::ports::{Directory as _, Entry, Lookup, Page};
use crate::scim::ResourceType;
use crate::scim::resource::Resource;
use crate::store::{Link, LinkState};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

/// Files by path.
const FILES: [(&str, &str, &str); 9] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/callback", HTML, include_str!("page/index.html")),
    ("/favicon.svg", SVG, include_str!("page/favicon.svg")),
    ("/demo/demo.css", CSS, include_str!("page/demo.css")),
    ("/demo/theme.js", SCRIPT, include_str!("page/theme.js")),
    ("/demo/demo.js", SCRIPT, include_str!("page/demo.js")),
    ("/demo/provider.js", SCRIPT, include_str!("page/provider.js")),
    ("/demo/watch.js", SCRIPT, include_str!("page/watch.js")),
    ("/demo/people.js", SCRIPT, include_str!("page/people.js")),
];
const NOT_FOUND: &str = include_str!("page/not-found.html");

/// Everything from this origin, nothing inline; the way to the identity provider and back is navigation, not a form.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How many rows are looked at, and how many of them are sent.
const LOOKED_AT: u64 = 5_000;
const SENT: usize = 500;

/// What the site shows, once the gateway behind it stands.
#[derive(Default)]
pub(super) struct Stage(OnceLock<Scene>);

struct Scene {
    setup: String,
    host: String,
    gateway: Weak<Gateway>,
}

impl Stage {
    /// Sets it: the text of `/demo/setup.json`, where the gateway is, and the gateway. Only the first time counts.
    pub(super) fn set(&self, setup: String, base_url: &str, gateway: &Arc<Gateway>) {
        let host = base_url.trim_start_matches("http://").to_owned();
        let _ = self.0.set(Scene { setup, host, gateway: Arc::downgrade(gateway) });
    }
}

/// The site itself.
pub(super) fn site(stage: Arc<Stage>) -> Site {
    Arc::new(move |request| {
        let stage = Arc::clone(&stage);
        async move { guarded(respond(&stage, &request).await) }.boxed()
    })
}

async fn respond(stage: &Stage, request: &Request) -> Response {
    let Some(scene) = stage.0.get() else {
        return answer(StatusCode::SERVICE_UNAVAILABLE, JSON, r#"{"detail":"the demo is still starting"}"#);
    };
    if !own_name(request, &scene.host) {
        return answer(StatusCode::MISDIRECTED_REQUEST, HTML, NOT_FOUND);
    }
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, HTML, NOT_FOUND);
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    if let Some((_, media_type, text)) = FILES.iter().find(|(path, ..)| *path == request.path) {
        return answer(StatusCode::OK, media_type, *text);
    }
    if request.path == "/demo/setup.json" {
        return answer(StatusCode::OK, JSON, scene.setup.clone());
    }
    let tenant = request.path.strip_prefix("/demo/directory/").and_then(|rest| rest.strip_suffix(".json"));
    match (tenant, scene.gateway.upgrade()) {
        (Some(tenant), Some(gateway)) => directory(&gateway, tenant).await,
        _ => answer(StatusCode::NOT_FOUND, HTML, NOT_FOUND),
    }
}

/// Whether the request was sent to an address, to this machine or to where the demo listens: to nobody else's name.
fn own_name(request: &Request, host: &str) -> bool {
    let Some(named) = request.headers.get(header::HOST) else { return true };
    let Ok(named) = named.to_str() else { return false };
    let bare = match named.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => named,
    };
    let address = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare);
    named == host || address.parse::<IpAddr>().is_ok() || bare == "localhost" || bare.ends_with(".localhost")
}

/// The directory's rows, the last changed first, each with what the gateway remembers of the person.
async fn directory(gateway: &Gateway, tenant: &str) -> Response {
    let snapshot = gateway.snapshot.load_full();
    let Some(runtime) = snapshot.tenants.get(tenant) else {
        return answer(StatusCode::NOT_FOUND, JSON, r#"{"detail":"there is no such tenant"}"#);
    };
    let Some(people) = embedded(runtime) else {
        return answer(StatusCode::NOT_FOUND, JSON, r#"{"detail":"this tenant has no embedded directory"}"#);
    };
    let unavailable = || answer(StatusCode::BAD_GATEWAY, JSON, r#"{"detail":"the directory cannot be read"}"#);
    let Ok(mut found) = people.find(ResourceType::User, &Lookup::All, Page { offset: 0, limit: LOOKED_AT }).await
    else {
        return unavailable();
    };
    found.entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
    found.entries.truncate(SENT);
    let keys: Vec<&str> = found.entries.iter().map(|entry| entry.key.as_str()).collect();
    let Ok(links) = gateway.store.links(tenant, &keys).await else {
        return unavailable();
    };
    let rows: Vec<Value> = found.entries.iter().map(|entry| row(entry, links.get(&entry.key))).collect();
    answer(StatusCode::OK, JSON, json!({ "total": found.total, "people": rows }).to_string())
}

fn row(entry: &Entry, link: Option<&Link>) -> Value {
    let person = &entry.resource;
    json!({
        "key": entry.key,
        "userName": person.user_name(),
        "name": name(person),
        "email": person.as_map().get("emails").and_then(|list| list.get(0)?.get("value")?.as_str()),
        "active": person.active() == Some(true),
        "link": link.map(|link| match link.state {
            LinkState::Managed => "managed",
            LinkState::Unlinked => "unlinked",
            LinkState::Removed => "removed",
        }),
    })
}

fn name(person: &Resource) -> String {
    let part = |key: &str| person.as_map().get("name").and_then(|name| name.get(key)?.as_str());
    match (part("givenName"), part("familyName")) {
        (None, None) => person.as_map().get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned(),
        (given, family) => [given, family].into_iter().flatten().collect::<Vec<_>>().join(" "),
    }
}

/// With the headers every answer of the site carries.
fn guarded(mut response: Response) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it Chromium sends `Origin: null` on a page's own form.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn request(method: Method, path: &str, host: Option<&str>) -> Request {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        Request {
            method,
            path: path.to_owned(),
            query: None,
            headers,
            body: Bytes::new(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: String::new(),
        }
    }

    fn stage() -> Stage {
        let stage = Stage::default();
        let scene = Scene { setup: "{}".into(), host: "gate.test:8080".into(), gateway: Weak::new() };
        assert!(stage.0.set(scene).is_ok());
        stage
    }

    #[tokio::test]
    async fn paths_have_answers() {
        let rows = [
            (Method::GET, "/", 200),
            (Method::GET, "/callback", 200),
            (Method::HEAD, "/demo/demo.js", 200),
            (Method::GET, "/demo/setup.json", 200),
            (Method::GET, "/demo/directory/none.json", 404),
            (Method::GET, "/demo/../Cargo.toml", 404),
            (Method::GET, "/elsewhere", 404),
            (Method::POST, "/", 405),
        ];
        let stage = stage();
        for (method, path, status) in rows {
            let response = guarded(respond(&stage, &request(method, path, None)).await);
            assert_eq!(response.status(), status, "{path}");
            assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        }
    }

    #[tokio::test]
    async fn it_answers_under_no_foreign_name() {
        let rows = [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("192.0.2.7", true),
            ("localhost:9000", true),
            ("demo.localhost", true),
            ("gate.test:8080", true),
            ("attacker.test:8080", false),
            ("localhost.attacker.test", false),
            ("127.0.0.1.attacker.test", false),
        ];
        let stage = stage();
        for (host, answered) in rows {
            let response = respond(&stage, &request(Method::GET, "/demo/setup.json", Some(host))).await;
            assert_eq!(response.status() == StatusCode::OK, answered, "{host}");
        }
    }

    #[test]
    fn the_page_asks_for_nothing_that_is_not_here() {
        for (path, _, text) in FILES {
            for (at, _) in text.match_indices("=\"/").chain(text.match_indices("from \"./")) {
                let rest = text[at..].split('"').nth(1).unwrap_or_default().replace("./", "/demo/");
                assert!(FILES.iter().any(|(known, ..)| *known == rest), "{path} asks for {rest}");
            }
            assert!(!text.contains("https://"), "{path} reaches outside");
        }
    }
}
