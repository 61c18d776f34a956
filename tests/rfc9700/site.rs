//! A gateway with an administrator and a client, and somebody at a browser.

use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::password::NewPassword;
use portcullis::oauth::{Doors, Role};
use portcullis::store::{Client, ClientSecret};
use portcullis::types::{Random, Secret};
use serde_json::Value;
use url::form_urlencoded::{Serializer, parse};

use crate::support::gateway::{Answer, TestGateway};

pub const PASSWORD: &str = "correct horse battery";
pub const CALLBACK: &str = "https://portal.azure.com/TokenAuthorize";
pub const NATIVE: &str = "http://127.0.0.1/callback";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The tenants `standard` and `ringcentral`, each with the administrator `ada` and the clients `entra` (confidential) and
/// `app` (public).
pub struct Site {
    pub gateway: TestGateway,
    pub secret: String,
}

impl Site {
    pub async fn open() -> Self {
        let gateway = TestGateway::start().await;
        let random = Random::seeded(3);
        let (store, now) = (&gateway.gateway.store, gateway.clock.now());
        let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash(&random);
        let secret = opaque::mint(Kind::ClientSecret, &random);
        for tenant in ["standard", "ringcentral"] {
            store.add_administrator(tenant, "ada", Role::SuperUser, &hash).await.unwrap();
            for (id, public) in [("entra", false), ("other", false), ("app", true)] {
                let kept = ClientSecret {
                    digest: secret.digest(),
                    prefix: "pcx".into(),
                    created: now,
                    expires: None,
                    last_used: None,
                };
                let client = Client {
                    doors: if public { Doors::PUBLIC } else { Doors::CONFIDENTIAL },
                    id: id.into(),
                    tenant: tenant.into(),
                    name: "Entra".into(),
                    redirect_uris: vec![CALLBACK.into(), NATIVE.into()],
                    scopes: vec!["scim.read".into(), "scim.write".into()],
                    secrets: if public { vec![] } else { vec![kept] },
                    public,
                    disabled: false,
                    created: now,
                };
                store.add_client(&client).await.unwrap();
            }
        }
        Self { gateway, secret: secret.expose().to_owned() }
    }

    /// The address of the tenant `standard` with `path` below it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/t/standard{path}", self.gateway.public)
    }

    pub fn issuer(&self) -> String {
        self.url("")
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http::Request::get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.gateway.send(request.body(Full::default()).unwrap()).await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request =
            http::Request::post(self.url(path)).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.gateway.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// A form of the client `entra` to one of the endpoints for clients.
    pub async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let own = [("client_id", "entra"), ("client_secret", self.secret.as_str())];
        self.post(path, &[], form(&[&own, fields].concat())).await
    }

    pub async fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Answer {
        let fields = [("grant_type", "authorization_code"), ("code", code)];
        self.ask("/oauth/token", &[&fields, more].concat()).await
    }

    /// A code for `entra` by the whole conversation, with more parameters in the request.
    pub async fn code(&self, more: &[(&str, &str)]) -> String {
        let mut visitor = Visitor::new(self, &request("entra", more));
        visitor.sign_in().await;
        let answer = visitor.press("authorize").await;
        parameter(&answer, "code").unwrap_or_else(|| panic!("no code: {}", answer.status))
    }

    /// An access token by client credentials.
    pub async fn token(&self) -> String {
        let answer = self.ask("/oauth/token", &[("grant_type", "client_credentials")]).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub async fn status_of(&self, token: &str) -> u16 {
        let authorization = format!("Bearer {token}");
        self.get("/scim/v2/Users?count=0", &[("authorization", authorization.as_str())]).await.status
    }
}

pub fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An authorization request's query.
pub fn request(client: &str, more: &[(&str, &str)]) -> String {
    let base = [("response_type", "code"), ("client_id", client), ("state", "s1"), ("redirect_uri", CALLBACK)];
    let kept: Vec<_> = base.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).copied().collect();
    form(&[&kept, more].concat())
}

/// A parameter of a redirect, decoded.
pub fn parameter(answer: &Answer, name: &str) -> Option<String> {
    let (_, query) = answer.header("location")?.split_once('?')?;
    parse(query.as_bytes()).find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

pub fn error(answer: &Answer) -> Value {
    answer.json()["error"].clone()
}

pub fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Somebody at a browser on one authorization request.
pub struct Visitor<'a> {
    site: &'a Site,
    pub query: String,
    pub cookie: String,
    pub form_token: String,
    pub headers: Vec<(&'static str, String)>,
}

impl<'a> Visitor<'a> {
    pub fn new(site: &'a Site, query: &str) -> Self {
        Self { site, query: query.into(), cookie: String::new(), form_token: String::new(), headers: Vec::new() }
    }

    pub async fn open(&mut self) -> Answer {
        let path = format!("/oauth/authorize?{}", self.query);
        let answer = self.site.get(&path, &[("cookie", self.cookie.as_str())]).await;
        self.note(answer)
    }

    pub async fn submit(&mut self, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("form_token", self.form_token.as_str())], fields].concat();
        let mut headers = vec![("cookie", self.cookie.as_str())];
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = self.site.post(&format!("/oauth/authorize?{}", self.query), &headers, form(&fields)).await;
        self.note(answer)
    }

    pub async fn press(&mut self, action: &str) -> Answer {
        self.submit(&[("action", action)]).await
    }

    pub async fn guess(&mut self, name: &str, password: &str) -> Answer {
        self.submit(&[("action", "sign_in"), ("username", name), ("password", password)]).await
    }

    /// Signs `ada` in and goes on to the Access Request.
    pub async fn sign_in(&mut self) -> Answer {
        self.open().await;
        let answer = self.guess("ada", PASSWORD).await;
        let (_, query) = answer.header("location").expect("signed in").split_once('?').unwrap();
        query.clone_into(&mut self.query);
        self.open().await
    }

    fn note(&mut self, answer: Answer) -> Answer {
        if let Some(set) = answer.header("set-cookie") {
            set.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        if let Some((_, rest)) = text(&answer).split_once("name=\"form_token\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.form_token);
        }
        answer
    }
}
