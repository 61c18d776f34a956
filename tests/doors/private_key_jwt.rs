//! `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9): the client signs with a key of its own, at every grant.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use portcullis::config::Tenant;
use portcullis::oauth::assertion::{Keys, Trust};
use portcullis::oauth::{Door, Doors};
use serde_json::{Value, json};

use crate::issuer::{Issuer, Signer};
use crate::table::{JWT_BEARER, Table, access, error};

const DOORS: Doors = Doors::NONE.with(Door::PrivateKeyJwt);

/// What the configuration makes of a client's own keys.
fn own_keys(keys: &Keys, algorithm: Algorithm) -> impl Fn(&mut Tenant) + use<> {
    let keys = keys.clone();
    move |tenant| {
        tenant.doors.key_hosts = vec!["127.0.0.1".into()];
        let trust = Trust {
            issuer: "app".into(),
            audiences: vec![format!("{}/oauth/token", tenant.issuer), tenant.issuer.clone()],
            subject: Some("app".into()),
            tenant_id: None,
            algorithms: vec![algorithm],
            max_lifetime: Duration::from_hours(1),
            single_use: true,
            keys: keys.clone(),
        };
        tenant.doors.private_key_jwt.insert("app".into(), Arc::new(trust));
    }
}

fn claims(table: &Table, audience: &str, jti: &str) -> Value {
    json!({"iss": "app", "sub": "app", "aud": audience, "jti": jti, "iat": table.now(), "exp": table.now() + 60})
}

#[tokio::test]
async fn a_client_signs_for_itself() {
    for signer in [Signer::ed25519("k", 7), Signer::es256("k"), Signer::rs256("k")] {
        let table = Table::lay("standard", DOORS, own_keys(&signer.set(), signer.algorithm)).await;
        let issuer = format!("http://{}/t/standard", table.gateway.public);
        for (jti, audience) in [("1", issuer.clone()), ("2", format!("{issuer}/oauth/token"))] {
            let token = access(&table.by_assertion(&signer.sign(&claims(&table, &audience, jti))).await);
            assert_eq!(table.scim(&format!("Bearer {token}")).await.status, 200);
        }
        // RFC 7521 §4.2: the client_id may be left out.
        let assertion = signer.sign(&claims(&table, &issuer, "3"));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
        ];
        access(&table.post("oauth/token", &fields).await);
        assert_eq!(error(&table.post("oauth/token", &fields).await), "invalid_client", "a second time");
        assert_eq!(table.last_used(Door::PrivateKeyJwt).await, Some(table.now()));

        let mut long = claims(&table, &issuer, "4");
        long["exp"] = (table.now() + 3601).into();
        let mut foreign = claims(&table, &issuer, "5");
        foreign["sub"] = "other".into();
        for bad in [claims(&table, "https://other.example.com", "6"), long, foreign] {
            assert_eq!(error(&table.by_assertion(&signer.sign(&bad)).await), "invalid_client", "{bad}");
        }
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let signer = Signer::ed25519("k", 7);
    let table = Table::lay("standard", DOORS, own_keys(&signer.set(), Algorithm::EdDSA)).await;
    let issuer = format!("http://{}/t/standard", table.gateway.public);
    let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
    header.kid = Some("k".into());
    for secret in [b"public".as_slice(), table.secret.expose().as_bytes()] {
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let forged = jsonwebtoken::encode(&header, &claims(&table, &issuer, "1"), &key).unwrap();
        assert_eq!(error(&table.by_assertion(&forged).await), "invalid_client");
    }
}

#[tokio::test]
async fn keys_may_be_published_by_the_client() {
    let signer = Signer::ed25519("k", 7);
    let publisher = Issuer::start(&[&signer]).await;
    let keys = Keys::At(format!("{}/keys", publisher.url()));
    let table = Table::lay("standard", DOORS, own_keys(&keys, Algorithm::EdDSA)).await;
    let issuer = format!("http://{}/t/standard", table.gateway.public);
    access(&table.by_assertion(&signer.sign(&claims(&table, &issuer, "1"))).await);
    assert_eq!(publisher.asked(), 1);
}
