//! Schemas that the configuration declares, over the wire: who lists one takes and shows it, and its characteristics hold.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use std::sync::Arc;

use futures_util::future::join_all;
use portcullis::scim::ResourceType;
use portcullis::scim::schema::{self, Declared, DeclaredAttribute, GROUP, Kind, Mutability, Selection, Uniqueness};
use serde_json::{Value, json};
use support::gateway::{Answer, TestGateway};

const BADGES: &str = "urn:example:params:scim:schemas:extension:badges:2.0:User";

fn declare() {
    let attribute = |name: &str| DeclaredAttribute::new(name, Kind::String);
    let badges = Declared {
        urn: BADGES.into(),
        name: "Badges".into(),
        description: "What opens doors.".into(),
        extends: ResourceType::User,
        attributes: vec![
            DeclaredAttribute { uniqueness: Uniqueness::Server, ..attribute("badge") },
            DeclaredAttribute { required: true, ..attribute("site") },
            DeclaredAttribute { mutability: Mutability::Immutable, ..attribute("hired") },
        ],
    };
    let groups = Declared {
        urn: GROUP.into(),
        name: String::new(),
        description: String::new(),
        extends: ResourceType::Group,
        attributes: vec![DeclaredAttribute { uniqueness: Uniqueness::Server, ..attribute("costCode") }],
    };
    schema::declare(vec![badges, groups]).map(drop).unwrap();
}

async fn send(gateway: &TestGateway, tenant: &str, line: &str, body: &Value) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let body = (!body.is_null()).then(|| body.to_string());
    gateway.scim(tenant, method, path, body.as_deref()).await
}

fn badge(user_name: &str, badge: &Value) -> Value {
    json!({ "userName": user_name, BADGES: badge })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_schema_is_taken_shown_and_kept_to() {
    declare();
    let gateway = Arc::new(
        TestGateway::with(|tenant| {
            tenant.limits = None;
            if tenant.name == "standard" {
                tenant.schemas = Selection::new(vec![BADGES.into(), GROUP.into()]);
            }
        })
        .await,
    );
    let whole = json!({"badge": "B-1", "site": "Graz", "hired": "2024"});
    let created = send(&gateway, "standard", "POST /Users", &badge("ada", &whole)).await;
    assert_eq!((created.status, &created.json()[BADGES]), (201, &whole), "{}", created.json());
    let ada = format!("/Users/{}", created.json()["id"].as_str().unwrap());
    let patch = |path: &str, value: Value| json!({"Operations": [{"op": "replace", "path": format!("{BADGES}:{path}"), "value": value}]});
    for (line, body, status, says) in [
        ("POST /Users".to_owned(), badge("bob", &json!({"badge": "B-2"})), 400, "site is required"),
        ("POST /Users".to_owned(), badge("bob", &json!({"badge": "b-1", "site": "Wien"})), 409, "badge"),
        ("POST /Users".to_owned(), badge("bob", &json!({"badge": "B-2", "site": "Wien"})), 201, ""),
        (format!("PATCH {ada}"), patch("badge", json!("B-2")), 409, "badge"),
        (format!("PATCH {ada}"), patch("hired", json!("2025")), 400, "hired"),
        (format!("PUT {ada}"), badge("ada", &json!({"site": "Graz", "hired": "2025"})), 400, "hired"),
        (format!("PUT {ada}"), badge("ada", &json!({"badge": "B-1"})), 400, "site is required"),
        (format!("PATCH {ada}"), patch("badge", json!("B-3")), 200, ""),
        ("POST /Groups".to_owned(), json!({"displayName": "One", "costCode": "C"}), 201, ""),
        ("POST /Groups".to_owned(), json!({"displayName": "Two", "costCode": "C"}), 409, "costCode"),
    ] {
        let answer = send(&gateway, "standard", &line, &body).await;
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == status && detail.contains(says), "{line} {body}: {}", answer.json());
    }
    let found =
        send(&gateway, "standard", &format!("GET /Users?filter={BADGES}:badge+eq+%22B-3%22"), &Value::Null).await;
    assert_eq!(found.json()["totalResults"], 1);
    let schemas = send(&gateway, "standard", "GET /Schemas", &Value::Null).await.json();
    assert_eq!(schemas["totalResults"], 4, "{schemas}");
    assert_eq!(send(&gateway, "standard", &format!("GET /Schemas/{BADGES}"), &Value::Null).await.status, 200);

    // Who does not list it neither takes nor shows it.
    let person = json!({"userName": "eve@example.com", "name": {"givenName": "E", "familyName": "V"},
        "emails": [{"type": "work", "value": "eve@example.com"}], BADGES: {"badge": "B-9"}});
    let other = send(&gateway, "playvox", "POST /Users", &person).await;
    assert!(other.status == 201 && other.json().get(BADGES).is_none(), "{}", other.json());
    assert_eq!(send(&gateway, "playvox", &format!("GET /Schemas/{BADGES}"), &Value::Null).await.status, 404);

    // Two at once cannot both come by one badge.
    let tries = (0..16).map(|number| {
        let gateway = Arc::clone(&gateway);
        let body = badge(&format!("twin{number}"), &json!({"badge": "T", "site": "Linz"}));
        tokio::spawn(async move { send(&gateway, "standard", "POST /Users", &body).await.status })
    });
    let statuses: Vec<u16> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
}
