//! Workload identity federation (RFC 7523 §2.2; entra.md §1.3): an assertion that the identity provider signed stands for the client.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use portcullis::config::Tenant;
use portcullis::oauth::assertion::Trust;
use portcullis::oauth::{Door, Doors};
use serde_json::{Value, json};

use crate::issuer::{Issuer, Signer};
use crate::table::{JWT_BEARER, Table, access, error};

const DOORS: Doors = Doors::NONE.with(Door::Federation);

pub fn federate(trust: Trust) -> impl Fn(&mut Tenant) {
    let trust = Arc::new(trust);
    move |tenant| {
        tenant.doors.key_hosts = vec!["127.0.0.1".into()];
        tenant.doors.federation.insert("app".into(), Arc::clone(&trust));
    }
}

#[tokio::test]
async fn an_assertion_of_the_issuer_gives_an_access_token() {
    let signer = Signer::rs256("one");
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", DOORS, federate(issuer.trust(&[Algorithm::RS256]))).await;
    let answer = table.by_assertion(&signer.sign(&issuer.claims(table.now(), 1))).await;
    let body = answer.json();
    assert_eq!((&body["expires_in"], &body["scope"]), (&json!(3600), &json!("scim.read scim.write")), "{body}");
    assert!(body.get("refresh_token").is_none());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = access(&answer);
    assert!(token.len() <= 400);
    assert_eq!(table.scim(&format!("Bearer {token}")).await.status, 200);
    assert_eq!(table.last_used(Door::Federation).await, Some(table.now()));
    assert_eq!(table.last_used(Door::ClientCredentials).await, None);

    // A second one needs no second look at the keys.
    access(&table.by_assertion(&signer.sign(&issuer.claims(table.now(), 2))).await);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_text_says_what() {
    let (signer, stranger) = (Signer::ed25519("one", 1), Signer::ed25519("one", 2));
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", DOORS, federate(issuer.trust(&[Algorithm::EdDSA]))).await;
    let now = table.now();
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut claims = issuer.claims(now, 1);
        change(&mut claims);
        signer.sign(&claims)
    };
    for (assertion, words) in [
        (forged(&|claims| claims["iss"] = "https://evil.example.com".into()), "issuer (iss)"),
        (forged(&|claims| claims["aud"] = "api://other".into()), "audience (aud)"),
        (forged(&|claims| claims["sub"] = "somebody".into()), "subject (sub)"),
        (forged(&|claims| claims["tid"] = "another".into()), "tenant (tid)"),
        (forged(&|claims| claims["exp"] = (now - 60).into()), "expired"),
        (forged(&|claims| claims["nbf"] = (now + 61).into()), "not valid yet"),
        (forged(&|claims| claims["exp"] = (now + 86_401).into()), "max_lifetime"),
        (stranger.sign(&issuer.claims(now, 1)), "signature"),
        (Signer::es256("one").sign(&issuer.claims(now, 1)), "algorithm"),
        ("junk".to_owned(), "not a signed JWT"),
    ] {
        let answer = table.by_assertion(&assertion).await;
        assert_eq!((answer.status, error(&answer).as_str()), (401, "invalid_client"), "{words}");
        let said = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(said.contains(words), "{said}");
        assert!(said.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'), "{said}");
    }
    // Another client's name, an unknown one, and no trust at all.
    table.add("other", DOORS, &[]).await;
    for id in ["other", "nobody"] {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &signer.sign(&issuer.claims(now, 1))),
        ];
        assert_eq!(error(&table.post("oauth/token", &fields).await), "invalid_client", "{id}");
    }
    access(&table.by_assertion(&signer.sign(&issuer.claims(now, 1))).await);
}

#[tokio::test]
async fn an_assertion_is_good_once_on_every_replica() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", DOORS, federate(issuer.trust(&[Algorithm::EdDSA]))).await;
    let first = signer.sign(&issuer.claims(table.now(), 1));
    access(&table.by_assertion(&first).await);
    let again = table.by_assertion(&first).await;
    assert_eq!(error(&again), "invalid_client");
    assert!(again.json()["error_description"].as_str().unwrap().contains("used before"));
    // The same jti in another text is the same assertion.
    let mut claims = issuer.claims(table.now(), 1);
    claims["exp"] = (table.now() + 60).into();
    assert_eq!(error(&table.by_assertion(&signer.sign(&claims)).await), "invalid_client");
    // Without a jti, the text counts.
    claims.as_object_mut().unwrap().remove("jti");
    access(&table.by_assertion(&signer.sign(&claims)).await);
    assert_eq!(error(&table.by_assertion(&signer.sign(&claims)).await), "invalid_client");

    // Side by side, one wins: whichever replica asks, it is one state.
    let table = Arc::new(table);
    let second = signer.sign(&issuer.claims(table.now(), 2));
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (table, second) = (Arc::clone(&table), second.clone());
            tokio::spawn(async move { table.by_assertion(&second).await.status })
        })
        .collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await.unwrap() == 200);
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn an_issuer_that_repeats_itself_can_be_let_through() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let trust = Trust { single_use: false, ..issuer.trust(&[Algorithm::EdDSA]) };
    let table = Table::lay("standard", DOORS, federate(trust)).await;
    let assertion = signer.sign(&issuer.claims(table.now(), 1));
    for _ in 0..3 {
        access(&table.by_assertion(&assertion).await);
    }
    table.gateway.clock.advance(Duration::from_mins(61));
    assert_eq!(error(&table.by_assertion(&assertion).await), "invalid_client");
}

#[tokio::test]
async fn a_closed_door_and_a_barred_client_are_shut_out() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", Doors::CONFIDENTIAL, federate(issuer.trust(&[Algorithm::EdDSA]))).await;
    let mut number = 0;
    let mut next = || {
        number += 1;
        signer.sign(&issuer.claims(table.now(), number))
    };
    let closed = table.by_assertion(&next()).await;
    assert_eq!((closed.status, error(&closed).as_str()), (400, "unauthorized_client"));
    table.store().set_doors("standard", "app", DOORS).await.unwrap();
    let token = format!("Bearer {}", access(&table.by_assertion(&next()).await));
    assert_eq!(error(&table.by_secret(table.secret.expose()).await), "unauthorized_client");
    assert_eq!(table.scim(&token).await.status, 200);
    table.store().disable_client("standard", "app").await.unwrap();
    table.notice();
    assert_eq!(table.scim(&token).await.status, 401);
    assert_eq!(error(&table.by_assertion(&next()).await), "invalid_client");
    table.store().enable_client("standard", "app").await.unwrap();
    access(&table.by_assertion(&next()).await);
    assert_eq!(table.scim(&token).await.status, 401, "what it had does not come back");
}

#[tokio::test]
async fn federation_proves_a_client_at_the_other_endpoints_too() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", DOORS, federate(issuer.trust(&[Algorithm::EdDSA]))).await;
    let token = access(&table.by_assertion(&signer.sign(&issuer.claims(table.now(), 1))).await);
    let about = async |number, endpoint| {
        let assertion = signer.sign(&issuer.claims(table.now(), number));
        let fields = [
            ("client_id", "app"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.as_str()),
            ("token", token.as_str()),
        ];
        table.post(endpoint, &fields).await
    };
    assert_eq!(about(2, "oauth/introspect").await.json()["active"], true);
    assert_eq!(about(3, "oauth/revoke").await.status, 200);
    assert_eq!(about(4, "oauth/introspect").await.json()["active"], false);
}
