//! Keys come from where they may, once, and are asked for again when they turn over (RFC 7517; no redirect, a bound, a deadline).

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use portcullis::oauth::assertion::{Keys, Trust};
use portcullis::oauth::{Door, Doors};
use serde_json::json;

use crate::federation::federate;
use crate::issuer::{Issuer, Manner, Signer};
use crate::table::{Table, access, error};

const DOORS: Doors = Doors::NONE.with(Door::Federation);

async fn table(issuer: &Issuer) -> Table {
    Table::lay("standard", DOORS, federate(issuer.trust(&[Algorithm::EdDSA]))).await
}

#[tokio::test]
async fn an_unknown_kid_brings_one_look_a_minute() {
    let (old, new) = (Signer::ed25519("old", 1), Signer::ed25519("new", 2));
    let issuer = Issuer::start(&[&old]).await;
    let table = table(&issuer).await;
    access(&table.by_assertion(&old.sign(&issuer.claims(table.now(), 1))).await);
    assert_eq!(issuer.asked(), 1);

    // Strangers name keys at will: within the minute nobody is asked.
    for number in 2..10 {
        assert_eq!(error(&table.by_assertion(&new.sign(&issuer.claims(table.now(), number))).await), "invalid_client");
    }
    assert_eq!(issuer.asked(), 1);
    issuer.publish(&[&old, &new]);
    table.gateway.clock.advance(Duration::from_mins(1));
    access(&table.by_assertion(&new.sign(&issuer.claims(table.now(), 10))).await);
    access(&table.by_assertion(&old.sign(&issuer.claims(table.now(), 11))).await);
    assert_eq!(issuer.asked(), 2);

    // A key that was taken away is gone at the next look, after hours at the latest.
    issuer.publish(&[&new]);
    table.gateway.clock.advance(Duration::from_hours(6));
    assert_eq!(error(&table.by_assertion(&old.sign(&issuer.claims(table.now(), 12))).await), "invalid_client");
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn many_at_once_make_one_fetch() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let table = Arc::new(table(&issuer).await);
    let all: Vec<_> = (0..16)
        .map(|number| {
            let (table, assertion) = (Arc::clone(&table), signer.sign(&issuer.claims(table.now(), number)));
            tokio::spawn(async move { table.by_assertion(&assertion).await.status })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_trusted_for_a_day() {
    let signer = Signer::ed25519("one", 1);
    let issuer = Issuer::start(&[&signer]).await;
    let table = table(&issuer).await;
    let ask = async |number| table.by_assertion(&signer.sign(&issuer.claims(table.now(), number))).await;
    for (number, manner) in
        [Manner::Status(500), Manner::Redirect(format!("{}/elsewhere", issuer.url())), Manner::Huge, Manner::Junk]
            .into_iter()
            .enumerate()
    {
        issuer.behave(manner);
        let answer = ask(number).await;
        assert_eq!((answer.status, error(&answer).as_str()), (503, "temporarily_unavailable"), "{number}");
        assert_eq!(ask(number).await.status, 503);
        assert_eq!(issuer.asked(), number + 1, "asked again only after a while; no redirect was followed");
        table.gateway.clock.advance(Duration::from_secs(5));
    }
    issuer.behave(Manner::Keys);
    access(&ask(10).await);
    issuer.behave(Manner::Status(503));
    table.gateway.clock.advance(Duration::from_hours(7));
    access(&ask(11).await);
    table.gateway.clock.advance(Duration::from_hours(16));
    access(&ask(12).await);
    table.gateway.clock.advance(Duration::from_hours(2));
    assert_eq!(ask(13).await.status, 503);
}

#[tokio::test]
async fn metadata_name_the_keys_and_only_hosts_on_the_list_are_asked() {
    let signer = Signer::ed25519("one", 1);
    let discovered = |issuer: &Issuer| Trust {
        keys: Keys::Discovered {
            metadata: format!("{}/.well-known/openid-configuration", issuer.url()),
            issuer: issuer.url(),
        },
        ..issuer.trust(&[Algorithm::EdDSA])
    };
    let good = Issuer::start(&[&signer]).await;
    let with = async |issuer: &Issuer| {
        let table = Table::lay("standard", DOORS, federate(discovered(issuer))).await;
        table.by_assertion(&signer.sign(&issuer.claims(table.now(), 1))).await
    };
    access(&with(&good).await);
    assert_eq!(good.asked(), 1);

    // The same keys by a name that is not on the list, over another scheme, or in another's metadata.
    let port = good.url().rsplit_once(':').unwrap().1.to_owned();
    for metadata in [
        json!({"issuer": good.url(), "jwks_uri": format!("http://localhost:{port}/keys")}),
        json!({"issuer": good.url(), "jwks_uri": "file:///etc/passwd"}),
        json!({"issuer": good.url(), "jwks_uri": format!("http://127.0.0.1:{port}@169.254.169.254/keys")}),
        json!({"issuer": "https://other.example.com", "jwks_uri": format!("{}/keys", good.url())}),
        json!({"issuer": good.url()}),
    ] {
        good.set_metadata(metadata.clone());
        assert_eq!(with(&good).await.status, 503, "{metadata}");
    }
    assert_eq!(good.asked(), 1);
}
