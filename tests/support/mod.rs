//! What the tests share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "each test program uses a part of it"
)]

pub mod consent;
pub mod databases;
pub mod gateway;
mod groups;
pub mod legacy;
mod line;
mod people;
pub mod process;
pub mod sample;
mod scim_side;
pub mod slapd;

use portcullis::http::gateway::Gateway;
use portcullis::oauth::opaque;
use portcullis::store::{Client, ClientSecret};
use portcullis::types::{Clock, Random};

/// An access token by client credentials, from the token endpoint itself.
pub async fn oauth_token(gateway: &Gateway, tenant: &str, random: &Random, clock: &Clock) -> String {
    use bytes::Bytes;
    let secret = opaque::mint(opaque::Kind::ClientSecret, random);
    let client = Client {
        id: format!("test-{tenant}"),
        tenant: tenant.into(),
        name: "test".into(),
        redirect_uris: vec!["http://127.0.0.1/callback".into()],
        scopes: vec!["scim.read".into(), "scim.write".into()],
        secrets: vec![ClientSecret {
            digest: secret.digest(),
            prefix: opaque::public_prefix(&secret),
            created: clock.now(),
            expires: None,
            last_used: None,
        }],
        public: false,
        doors: portcullis::oauth::Doors::CONFIDENTIAL,
        disabled: false,
        created: clock.now(),
    };
    gateway.store.add_client(&client).await.unwrap();
    let body = format!("grant_type=client_credentials&client_id={}&client_secret={}", client.id, secret.expose());
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let request = portcullis::http::message::Request {
        method: http::Method::POST,
        path: format!("/t/{tenant}/oauth/token"),
        query: None,
        headers,
        body: Bytes::from(body),
        peer: std::net::IpAddr::from([127, 0, 0, 1]),
        request_id: "test".into(),
    };
    let snapshot = gateway.snapshot.load_full();
    let endpoint = portcullis::http::route::Endpoint::Token;
    let response = gateway.authorization.handle(&snapshot.tenants[tenant].config, endpoint, request).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {body}")).to_owned()
}
