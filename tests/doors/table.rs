//! What the conversations share: a gateway with one client `app` on a tenant, and words to talk to it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::config::Tenant;
use portcullis::oauth::opaque::{self, Kind};
use portcullis::oauth::{Door, Doors};
use portcullis::store::{Client, ClientSecret, Store};
use portcullis::types::{Random, Secret};
use url::form_urlencoded::Serializer;

use crate::support::gateway::{Answer, TestGateway};

pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A gateway and what is needed to come to it.
pub struct Table {
    pub gateway: Arc<TestGateway>,
    pub tenant: &'static str,
    pub secret: Secret,
    random: Random,
}

impl Table {
    /// A tenant of the dialect, changed first, with the client `app` that has `doors` and a secret that never ends.
    pub async fn lay(tenant: &'static str, doors: Doors, change: impl Fn(&mut Tenant)) -> Self {
        let gateway = TestGateway::with(|one| {
            if one.name == tenant {
                change(one);
            }
        });
        let gateway = Arc::new(gateway.await);
        let random = Random::seeded(99);
        let secret = opaque::mint(Kind::ClientSecret, &random);
        let table = Self { gateway, tenant, secret, random };
        table.add("app", doors, std::slice::from_ref(&table.secret)).await;
        table
    }

    pub fn store(&self) -> &Store {
        &self.gateway.gateway.store
    }

    pub fn now(&self) -> i64 {
        self.gateway.clock.now().seconds()
    }

    pub async fn add(&self, id: &str, doors: Doors, secrets: &[Secret]) {
        let now = self.gateway.clock.now();
        let kept = |secret: &Secret| kept(secret, now, None);
        let client = Client {
            id: id.to_owned(),
            tenant: self.tenant.to_owned(),
            name: "Entra".to_owned(),
            redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
            scopes: vec!["scim.read".to_owned(), "scim.write".to_owned()],
            secrets: secrets.iter().map(kept).collect(),
            public: false,
            doors,
            disabled: false,
            created: now,
        };
        self.store().add_client(&client).await.unwrap();
    }

    pub fn mint(&self) -> Secret {
        opaque::mint(Kind::ClientSecret, &self.random)
    }

    /// The state moved by another hand: the gateway takes notice, as it does four times a second.
    pub fn notice(&self) {
        self.gateway.gateway.authorization.forget();
    }

    /// Posts a form to an OAuth endpoint.
    pub async fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Answer {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(endpoint, &[("content-type", "application/x-www-form-urlencoded")], &body).await
    }

    /// Posts a body with headers.
    pub async fn send(&self, endpoint: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = http::Request::post(format!("http://{}/t/{}/{endpoint}", self.gateway.public, self.tenant));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.gateway.send(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await
    }

    /// Client credentials by secret.
    pub async fn by_secret(&self, secret: &str) -> Answer {
        self.post(
            "oauth/token",
            &[("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", secret)],
        )
        .await
    }

    /// Client credentials by assertion, as Entra asks.
    pub async fn by_assertion(&self, assertion: &str) -> Answer {
        self.post(
            "oauth/token",
            &[
                ("grant_type", "client_credentials"),
                ("client_id", "app"),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", assertion),
                ("scope", "api://portcullis/.default"),
            ],
        )
        .await
    }

    /// What a query for people answers to this bearer.
    pub async fn scim(&self, authorization: &str) -> Answer {
        let dialect = portcullis::dialect::Dialect::named(self.tenant).unwrap();
        let url = format!(
            "http://{}/t/{}/{}/Users?filter=userName%20eq%20%22nobody%22",
            self.gateway.public, self.tenant, dialect.scim_base
        );
        let request = http::Request::get(url).header("authorization", authorization);
        self.gateway.send(request.body(Full::default()).unwrap()).await
    }

    /// When a door of `app` was last used.
    pub async fn last_used(&self, door: Door) -> Option<i64> {
        self.store().flush_audit().await;
        let uses = self.store().door_uses(self.tenant, "app").await.unwrap();
        uses.into_iter().find(|(name, _)| name == door.as_str()).map(|(_, at)| at.seconds())
    }
}

/// What is kept of a secret.
pub fn kept(
    secret: &Secret,
    created: portcullis::types::Timestamp,
    expires: Option<portcullis::types::Timestamp>,
) -> ClientSecret {
    ClientSecret { digest: secret.digest(), prefix: opaque::public_prefix(secret), created, expires, last_used: None }
}

pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub fn access(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub fn error(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap_or_default().to_owned()
}
