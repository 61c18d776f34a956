//! Somebody at a browser, over the wire: cookies, forms with their tokens, redirects within the gateway.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::Full;
use portcullis::oauth::Role;
use portcullis::oauth::password::NewPassword;
use portcullis::types::{Random, Secret};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::support::gateway::{Answer, TestGateway};

pub const PASSWORD: &str = "correct horse battery";
/// A tenant whose client the gateway of the tests has registered.
pub const TENANT: &str = "ringcentral";

pub struct Visitor<'a> {
    pub gateway: &'a TestGateway,
    pub cookies: BTreeMap<String, String>,
    /// Where the browser is.
    pub at: Url,
    pub form_token: String,
}

impl<'a> Visitor<'a> {
    /// Somebody who has not opened anything yet.
    pub fn new(gateway: &'a TestGateway) -> Self {
        let at = Url::parse(&format!("http://{}/", gateway.public)).unwrap();
        Self { gateway, cookies: BTreeMap::new(), at, form_token: String::new() }
    }

    /// Somebody whom an identity provider sends, with more parameters.
    pub fn sent(gateway: &'a TestGateway, more: &[(&str, &str)]) -> Self {
        let mut visitor = Self::new(gateway);
        let query = Serializer::new(String::new())
            .extend_pairs([("response_type", "code"), ("state", "s"), ("redirect_uri", "http://127.0.0.1/callback")])
            .append_pair("client_id", &format!("test-{TENANT}"))
            .extend_pairs(more)
            .finish();
        visitor.at = visitor.at.join(&format!("/t/{TENANT}/oauth/authorize?{query}")).unwrap();
        visitor
    }

    /// Somebody before the console.
    pub fn at_console(gateway: &'a TestGateway) -> Self {
        let mut visitor = Self::new(gateway);
        visitor.at = visitor.at.join(&format!("/t/{TENANT}/console")).unwrap();
        visitor
    }

    /// Opens where the browser is (again).
    pub async fn open(&mut self) -> Answer {
        let request = http::Request::get(self.at.as_str());
        self.send(request, String::new()).await
    }

    pub async fn go(&mut self, to: &str) -> Answer {
        self.at = self.at.join(to).unwrap();
        self.open().await
    }

    /// Posts the form of the page.
    pub async fn submit(&mut self, fields: &[(&str, &str)]) -> Answer {
        let mut form = Serializer::new(String::new());
        form.append_pair("form_token", &self.form_token).extend_pairs(fields);
        let request = http::Request::post(self.at.as_str()).header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form.finish()).await
    }

    pub async fn press(&mut self, action: &str) -> Answer {
        self.submit(&[("action", action)]).await
    }

    pub async fn guess(&mut self, name: &str, password: &str) -> Answer {
        self.submit(&[("action", "sign_in"), ("username", name), ("password", password)]).await
    }

    /// Opens, signs in by name and password and follows to the next page, if there is one.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        self.open().await;
        let answer = self.guess(name, password).await;
        self.follow(answer).await
    }

    /// Where the answer leads, opened if that is the gateway.
    pub async fn follow(&mut self, answer: Answer) -> Answer {
        match answer.header("location").map(|to| self.at.join(to).unwrap()) {
            Some(to) if to.origin() == self.at.origin() => {
                self.at = to;
                self.open().await
            }
            _ => answer,
        }
    }

    async fn send(&mut self, request: http::request::Builder, body: String) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header("cookie", cookies.join("; ")).body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.gateway.send(request).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        if let Some((_, rest)) = text(&answer).split_once("name=\"form_token\" value=\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.form_token);
        }
        answer
    }

    /// The cookie of the session.
    pub fn session(&self) -> Option<&String> {
        self.cookies.get(&format!("portcullis-{TENANT}"))
    }
}

pub fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A parameter of the address an answer leads to.
pub fn parameter(answer: &Answer, name: &str) -> Option<String> {
    let to = answer.header("location")?;
    let (_, query) = to.split_once('?')?;
    url::form_urlencoded::parse(query.as_bytes()).into_owned().find_map(|(key, value)| (key == name).then_some(value))
}

/// A local administrator of the tenant.
pub async fn add_administrator(gateway: &TestGateway, name: &str, role: Role) -> i64 {
    let hash = NewPassword::new(Secret::new(PASSWORD)).unwrap().hash(&Random::seeded(3));
    gateway.gateway.store.add_administrator(TENANT, name, role, &hash).await.unwrap()
}
