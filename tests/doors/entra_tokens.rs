//! Access tokens that Entra issues itself (entra.md §1.1, the Secret Token left blank): off unless the tenant says so.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use portcullis::config::Tenant;
use portcullis::oauth::Doors;
use portcullis::oauth::assertion::Trust;
use serde_json::Value;

use crate::issuer::{Issuer, Manner, Signer};
use crate::table::Table;

fn take(issuer: &Issuer) -> impl Fn(&mut Tenant) + use<> {
    let trust = Arc::new(Trust { single_use: false, ..issuer.trust(&[Algorithm::RS256]) });
    move |tenant| {
        tenant.doors.key_hosts = vec!["127.0.0.1".into()];
        tenant.doors.entra_tokens = Some(Arc::clone(&trust));
    }
}

#[tokio::test]
async fn they_are_taken_where_the_tenant_says_so() {
    let signer = Signer::rs256("one");
    let issuer = Issuer::start(&[&signer]).await;
    for tenant in ["standard", "vonage-contact-center", "playvox", "ringcentral"] {
        let table = Table::lay(tenant, Doors::NONE, take(&issuer)).await;
        let mut claims = issuer.claims(table.now(), 1);
        let pad: Value = "x".repeat(800).into();
        claims["xms_pad"] = pad;
        let token = signer.sign(&claims);
        let bearer = format!("Bearer {token}");
        let asked = issuer.asked();
        for _ in 0..3 {
            let answer = table.scim(&bearer).await;
            assert_eq!(answer.status, 200, "{tenant}: {}", answer.json());
        }
        assert_eq!(issuer.asked(), asked + 1, "the verdict is kept, and so are the keys");
        table.store().flush_audit().await;
        let uses = table.store().door_uses(tenant, "").await.unwrap();
        assert_eq!(uses, [("entra_tokens".to_owned(), table.gateway.clock.now())]);

        for (claim, value) in [
            ("aud", "api://other".into()),
            ("iss", "https://sts.windows.net/other/".into()),
            ("tid", "other".into()),
            ("sub", "other".into()),
            ("exp", Value::from(table.now() - 60)),
        ] {
            let mut claims = issuer.claims(table.now(), 2);
            claims[claim] = value;
            let answer = table.scim(&format!("Bearer {}", signer.sign(&claims))).await;
            assert_eq!(answer.status, 401, "{tenant} {claim}");
        }
        table.gateway.clock.advance(Duration::from_mins(61));
        assert_eq!(table.scim(&bearer).await.status, 401, "it has ended");
    }
}

#[tokio::test]
async fn elsewhere_they_are_nothing() {
    let signer = Signer::rs256("one");
    let issuer = Issuer::start(&[&signer]).await;
    let table = Table::lay("standard", Doors::NONE, |_| {}).await;
    let token = signer.sign(&issuer.claims(table.now(), 1));
    assert_eq!(table.scim(&format!("Bearer {token}")).await.status, 401);
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn an_issuer_out_of_reach_is_not_the_callers_fault() {
    let signer = Signer::rs256("one");
    let issuer = Issuer::start(&[&signer]).await;
    issuer.behave(Manner::Status(500));
    let table = Table::lay("standard", Doors::NONE, take(&issuer)).await;
    let token = signer.sign(&issuer.claims(table.now(), 1));
    assert_eq!(table.scim(&format!("Bearer {token}")).await.status, 503);
    assert_eq!(table.scim("Bearer junk").await.status, 401);
    issuer.behave(Manner::Keys);
    table.gateway.clock.advance(Duration::from_secs(5));
    assert_eq!(table.scim(&format!("Bearer {token}")).await.status, 200);
}
