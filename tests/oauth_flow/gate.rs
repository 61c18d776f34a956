//! A gateway's authorization server on a state in memory, a browser and a client to talk to it, and a clock to move.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use portcullis::config::{DirectoryConfig, Keys, State, Tenant};
use portcullis::dialect::Dialect;
use portcullis::directory::embedded;
use portcullis::http::authenticate::{Caller, Unauthorized};
use portcullis::http::message::Request;
use portcullis::http::oauth::{AuthorizationServer, Endpoint};
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::password::NewPassword;
use portcullis::oauth::{Doors, Role};
use portcullis::store::{Client, ClientSecret, Store};
use portcullis::types::{Clock, Random, Secret, Timestamp};
use serde_json::Value;
use url::form_urlencoded;

pub const PASSWORD: &str = "correct horse battery";
pub const CALLBACK: &str = "https://portal.azure.com/TokenAuthorize";
pub const LOOPBACK: &str = "http://127.0.0.1/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What came back, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The parameters of the redirect, decoded.
    pub fn redirect(&self) -> Vec<(String, String)> {
        let location = self.header(header::LOCATION);
        form_urlencoded::parse(location.split_once('?').map_or("", |(_, query)| query).as_bytes())
            .into_owned()
            .collect()
    }

    pub fn redirect_parameter(&self, name: &str) -> Option<String> {
        self.redirect().into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }
}

pub struct Gate {
    pub server: Arc<AuthorizationServer>,
    pub store: Store,
    pub clock: Clock,
    pub random: Random,
    pub tenant: Tenant,
    pub client_secret: Secret,
    pub administrator: i64,
}

pub fn tenant(name: &str, dialect: &str) -> Tenant {
    let directory = DirectoryConfig::Embedded(embedded::Config {
        path: PathBuf::from(":memory:"),
        durable: false,
        timeout: Duration::from_secs(1),
    });
    Tenant::new(name, Dialect::named(dialect).unwrap(), "https://scim.example.com", directory)
}

impl Gate {
    /// A tenant of `dialect` with the administrator `ada` and the confidential client `entra`.
    pub async fn open(dialect: &str) -> Self {
        Self::open_at(dialect, "sqlite::memory:").await
    }

    /// The same on a state that others can get at, too.
    pub async fn open_at(dialect: &str, url: &str) -> Self {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let random = Random::seeded(7);
        let store = Store::open(url, clock.clone()).await.unwrap();
        let keys = Keys::beside(&State { url: url.to_owned() });
        let server = AuthorizationServer::open(store.clone(), &keys, clock.clone(), random.clone()).await.unwrap();
        let client_secret = opaque::mint(Kind::ClientSecret, &random);
        let gate = Self {
            server: Arc::new(server),
            administrator: 0,
            tenant: tenant("acme", dialect),
            store,
            clock,
            random,
            client_secret,
        };
        gate.add_client("entra", false, Some(&gate.client_secret)).await;
        let administrator = gate.add_administrator("ada", Role::SuperUser).await;
        Self { administrator, ..gate }
    }

    pub async fn add_administrator(&self, name: &str, role: Role) -> i64 {
        let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash(&self.random);
        self.store.add_administrator(&self.tenant.name, name, role, &hash).await.unwrap()
    }

    pub async fn add_client(&self, id: &str, public: bool, secret: Option<&Secret>) {
        let client = Client {
            id: id.to_owned(),
            tenant: self.tenant.name.clone(),
            name: "Microsoft <Entra> ID".to_owned(),
            redirect_uris: vec![CALLBACK.to_owned(), LOOPBACK.to_owned()],
            scopes: vec!["scim.read".to_owned(), "scim.write".to_owned()],
            secrets: secret
                .map(|secret| ClientSecret {
                    digest: secret.digest(),
                    prefix: opaque::public_prefix(secret),
                    created: self.clock.now(),
                    expires: None,
                    last_used: None,
                })
                .into_iter()
                .collect(),
            public,
            doors: if public { Doors::PUBLIC } else { Doors::CONFIDENTIAL },
            disabled: false,
            created: self.clock.now(),
        };
        self.store.add_client(&client).await.unwrap();
    }

    pub async fn send(&self, endpoint: Endpoint, request: Request) -> Answer {
        self.send_to(&self.tenant, endpoint, request).await
    }

    pub async fn send_to(&self, tenant: &Tenant, endpoint: Endpoint, request: Request) -> Answer {
        let response = self.server.handle(tenant, endpoint, request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A form posted to one of the endpoints for clients, with Basic credentials of `entra`.
    pub async fn post(&self, endpoint: Endpoint, fields: &[(&str, &str)]) -> Answer {
        let basic = STANDARD.encode(format!("entra:{}", self.client_secret.expose()));
        let mut request = form(fields);
        request.headers.insert(header::AUTHORIZATION, format!("Basic {basic}").parse().unwrap());
        self.send(endpoint, request).await
    }

    pub async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        self.post(Endpoint::Token, fields).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn exchange(&self, code: &str) -> Answer {
        self.token(&[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)]).await
    }

    /// A code that `ada` approved, by the whole conversation.
    pub async fn code(&self) -> String {
        self.code_for(&query(&[("redirect_uri", CALLBACK)])).await
    }

    pub async fn code_for(&self, query: &str) -> String {
        let mut browser = Browser::new(self, query);
        browser.sign_in("ada", PASSWORD).await;
        let answer = browser.press("authorize").await;
        answer.redirect_parameter("code").unwrap_or_else(|| panic!("{} {}", answer.status, answer.body))
    }

    /// Access and refresh token of a new grant.
    pub async fn grant(&self) -> (String, String) {
        tokens(&self.exchange(&self.code().await).await)
    }

    pub async fn authenticate(&self, authorization: &str) -> Result<Caller, Unauthorized> {
        self.authenticate_at(&self.tenant, &[authorization]).await
    }

    pub async fn authenticate_at(&self, tenant: &Tenant, values: &[&str]) -> Result<Caller, Unauthorized> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        let verdict = self.server.authenticate(tenant, &headers).await;
        self.server.settle().await;
        verdict
    }

    pub async fn admits(&self, access: &str) -> bool {
        self.authenticate(&format!("Bearer {access}")).await.is_ok()
    }
}

/// Access and refresh token of an answer.
pub fn tokens(answer: &Answer) -> (String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

/// An authorization request of `entra`, with more parameters.
pub fn query(more: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", "entra").append_pair("state", "1");
    query.extend_pairs(more);
    query.finish()
}

pub fn request(method: Method, query: Option<&str>, body: impl Into<Bytes>) -> Request {
    Request {
        method,
        path: "/t/acme/oauth/authorize".to_owned(),
        query: query.map(str::to_owned),
        headers: HeaderMap::new(),
        body: body.into(),
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        request_id: "test".to_owned(),
    }
}

pub fn form(fields: &[(&str, &str)]) -> Request {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = request(Method::POST, None, body);
    request.headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    request
}

/// Somebody at a browser, on the way through one authorization request.
pub struct Browser<'a> {
    gate: &'a Gate,
    pub tenant: Tenant,
    pub query: String,
    pub cookie: Option<String>,
    pub form_token: String,
    pub peer: IpAddr,
    pub headers: HeaderMap,
}

impl<'a> Browser<'a> {
    pub fn new(gate: &'a Gate, query: &str) -> Self {
        Self {
            gate,
            tenant: gate.tenant.clone(),
            query: query.to_owned(),
            cookie: None,
            form_token: String::new(),
            peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            headers: HeaderMap::new(),
        }
    }

    pub async fn open(&mut self) -> Answer {
        let request = request(Method::GET, Some(&self.query), "");
        self.send(request).await
    }

    pub async fn submit(&mut self, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token.clone();
        let fields: Vec<_> = [("form_token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
        let mut request = form(&fields);
        request.query = Some(self.query.clone());
        request.headers.extend(self.headers.clone());
        self.send(request).await
    }

    pub async fn press(&mut self, action: &str) -> Answer {
        self.submit(&[("action", action)]).await
    }

    /// Opens the page, signs in and follows to the next page.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.open().await;
        let answer = self.guess(name, password).await;
        if answer.status != StatusCode::SEE_OTHER {
            return answer;
        }
        let (_, query) = answer.header(header::LOCATION).split_once('?').unwrap();
        query.clone_into(&mut self.query);
        self.open().await
    }

    pub async fn guess(&mut self, name: &str, password: &str) -> Answer {
        self.submit(&[("action", "sign_in"), ("username", name), ("password", password)]).await
    }

    async fn send(&mut self, mut request: Request) -> Answer {
        request.peer = self.peer;
        if let Some(cookie) = &self.cookie {
            request.headers.insert(header::COOKIE, format!("other=1; {cookie}").parse().unwrap());
        }
        let answer = self.gate.send_to(&self.tenant, Endpoint::Authorize, request).await;
        if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        if let Some((_, rest)) = answer.body.split_once("name=\"form_token\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.form_token);
        }
        answer
    }
}
