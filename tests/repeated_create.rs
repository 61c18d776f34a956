//! A create whose end nobody wrote down: the process was killed, or the directory's answer was lost. Its repeat finds the first
//! try and answers 201 once; somebody whom others created is never taken for it (design decision 6).

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use portcullis::config::DirectoryConfig;
use portcullis::dialect::Dialect;
use portcullis::directory::rest::Draft;
use portcullis::scim::resource::{Resource, ResourceType};
use portcullis::types::Digest;
use serde_json::{Value, json};
use support::gateway::TestGateway;
use support::legacy::{Fault, Legacy};
use support::sample;

fn ada() -> Value {
    json!({
        "userName": "Ada@example.com", "displayName": "Ada", "active": true,
        "name": {"givenName": "Ada", "familyName": "Lovelace"}, "emails": [{"type": "work", "value": "ada@example.com"}],
    })
}

/// Leaves behind what a killed process leaves: the intent, not struck out.
async fn begin(gateway: &TestGateway, tenant: &str) {
    begin_as(gateway, tenant, Digest::of(b"some request")).await;
}

async fn begin_as(gateway: &TestGateway, tenant: &str, request: Digest) {
    let name = Digest::of(b"ada@example.com");
    gateway.gateway.store.begin_create(tenant, &name, &request).await.unwrap();
}

/// What the journal knows a request for `ada` by.
fn request(tenant: &str) -> Digest {
    let sent = Resource::parse(ResourceType::User, ada().to_string().as_bytes()).unwrap().resource;
    let accepted = Dialect::named(tenant).unwrap().accept(None, sent).resource;
    Digest::of(Value::Object(accepted.into_map()).to_string().as_bytes())
}

async fn create(gateway: &TestGateway, tenant: &str) -> (u16, Value) {
    let answer = gateway.scim(tenant, "POST", "/Users", Some(&ada().to_string())).await;
    (answer.status, answer.json()["id"].clone())
}

const ALL: [&str; 5] = ["ringcentral", "vonage-business", "vonage-contact-center", "playvox", "standard"];

#[tokio::test]
async fn killed_before_the_directory_was_asked() {
    let gateway = TestGateway::start().await;
    for tenant in ALL {
        begin(&gateway, tenant).await;
        assert_eq!(create(&gateway, tenant).await.0, 201, "{tenant}");
        assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}: once");
    }
}

#[tokio::test]
async fn killed_after_the_person_was_created() {
    let gateway = TestGateway::start().await;
    for tenant in ALL {
        begin(&gateway, tenant).await;
        let key = gateway.seed(tenant, ada()).await;
        assert_eq!(create(&gateway, tenant).await, (201, json!(key)), "{tenant}");
        assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}: once");
    }
}

#[tokio::test]
async fn killed_after_the_person_was_linked() {
    let gateway = TestGateway::start().await;
    for tenant in ALL {
        let (status, id) = create(&gateway, tenant).await;
        assert_eq!(status, 201, "{tenant}");
        begin(&gateway, tenant).await;
        assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}: another request");
        begin_as(&gateway, tenant, request(tenant)).await;
        assert_eq!(create(&gateway, tenant).await, (201, id), "{tenant}");
        assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}: once");
        // Somebody else's request of the same name is not that one, and two accounts never become one.
        begin(&gateway, tenant).await;
        assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}: another request");
    }
}

#[tokio::test]
async fn somebody_whom_others_created_is_not_adopted() {
    // Before the try, and long after it.
    for (before, after) in [(3600, 0), (0, 3600), (0, 25 * 3600)] {
        let gateway = TestGateway::start().await;
        for tenant in ["vonage-contact-center", "playvox", "standard"] {
            if before > 0 {
                gateway.seed(tenant, ada()).await;
            }
            gateway.clock.advance(Duration::from_secs(before));
            begin(&gateway, tenant).await;
            gateway.clock.advance(Duration::from_secs(after));
            if before == 0 {
                gateway.seed(tenant, ada()).await;
            }
            assert_eq!(create(&gateway, tenant).await.0, 409, "{tenant}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_of_the_directory_is_found_again() {
    for lost in [Fault::ResetAfter, Fault::Cut, Fault::StatusAfter(500), Fault::Silence] {
        let legacy = Legacy::start().await;
        let draft = Draft { timeout: Duration::from_millis(300), ..sample::draft(&legacy.url()) };
        let directory = DirectoryConfig::Rest(sample::checked(draft));
        let gateway = TestGateway::with(|tenant| tenant.directory = directory.clone()).await;
        legacy.next([lost.clone()]);
        let (status, _) = create(&gateway, "standard").await;
        assert_eq!(status, if lost == Fault::Silence { 504 } else { 502 }, "{lost:?}");
        // Down meanwhile, and slow to say who is there: the first try is as unknown as before.
        legacy.next([Fault::Status(503, Some("1")), Fault::None, Fault::Status(500, None)]);
        assert_eq!(create(&gateway, "standard").await.0, 503, "{lost:?}");
        assert_eq!(create(&gateway, "standard").await.0, 502, "{lost:?}");
        let (status, id) = create(&gateway, "standard").await;
        assert_eq!((status, legacy.people().len()), (201, 1), "{lost:?}");
        assert_eq!(id, legacy.people()[0]["id"].to_string().trim_matches('"'), "{lost:?}");
        assert_eq!(create(&gateway, "standard").await.0, 409, "{lost:?}: once");
    }
}
